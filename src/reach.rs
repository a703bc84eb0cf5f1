//! Whether somebody listens at an address at all, before a command settles down to wait for it.
//!
//! Arrives: an address. Leaves: nothing, or that nobody is there. A command that goes on through
//! interruptions would try a mistyped port for ever: the very first try tells whether it is right.
//! `--wait` is for whoever starts before the server does.

use std::io;

use clap::Args;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::args::Address;
use crate::publisher::CONNECT_WITHIN;

/// What to do where nobody listens yet.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Waiting {
    /// Wait for a server that does not listen yet, in place of ending
    #[arg(long)]
    pub wait: bool,
}

/// Nobody is there.
#[derive(Debug, thiserror::Error)]
#[error("nobody listens at {address}: {why}; is `ioc run` running there? --wait waits for it")]
pub struct Unreachable {
    /// Where.
    pub address: Address,
    /// What the system says of it.
    pub why: String,
}

impl Waiting {
    /// Tries once, and lets go at once; does not try, where it is to be waited for.
    ///
    /// # Errors
    /// The address refuses, or there is no such address.
    pub async fn first_try(self, address: &Address) -> Result<(), Unreachable> {
        if self.wait {
            return Ok(());
        }
        let connecting = TcpStream::connect((address.host.as_str(), address.port));
        match timeout(CONNECT_WITHIN, connecting).await {
            // Who does not answer in time may be there and be busy.
            Ok(Ok(_)) | Err(_) => Ok(()),
            Ok(Err(error)) if is_passing(&error) => Ok(()),
            Ok(Err(error)) => Err(Unreachable {
                address: address.clone(),
                why: error.to_string(),
            }),
        }
    }
}

/// Whether an error says nothing about the address.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_refuses_is_told_at_the_first_try_unless_it_is_waited_for() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
        };
        assert!(Waiting { wait: false }.first_try(&address).await.is_ok());
        drop(listener);
        let told = Waiting { wait: false }.first_try(&address).await;
        let told = told.unwrap_err().to_string();
        assert!(
            told.contains("refused") && told.contains("--wait"),
            "{told}"
        );
        assert!(Waiting { wait: true }.first_try(&address).await.is_ok());
        let nowhere = Address {
            host: "no-such-host.invalid".to_owned(),
            ..address
        };
        assert!(Waiting { wait: false }.first_try(&nowhere).await.is_err());
    }
}
