//! How the commands that publish get in at a broker elsewhere: who they are, and TLS.
//!
//! Arrives: flags, and `IOC_PASSWORD`. Leaves: what a connection is made with, checked. Promise: a
//! secret is in a file or in the environment, never among the arguments, which others may see. The
//! flags are called as the keys of `brokers` in `ioc.yaml`, and are used by the same code
//! (`ioc-gateway/src/brokers/tls.rs`).

use std::env;
use std::path::PathBuf;

use async_nats::{Client, ConnectOptions};
use clap::Args;
use ioc_gateway::brokers::{Identity, TlsError, TlsOptions, tls};

use crate::args::{Credentials, NatsAddress, PasswordFileError, Transport};

/// The variable with the password, if no file has it.
const PASSWORD: &str = "IOC_PASSWORD";

/// Who we are, and how TLS is spoken.
#[derive(Debug, Clone, Default, Args)]
pub struct AccessArgs {
    /// The user name, MQTT's or NATS's
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// A file whose first line is the user's password; without it IOC_PASSWORD is the password
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// TLS: the certificates of the authorities that are trusted, in PEM [default: the system's]
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// TLS: our certificate, if the broker asks for one
    #[arg(long, value_name = "FILE", requires = "certificate_key_file")]
    pub certificate_file: Option<PathBuf>,
    /// TLS: the key of our certificate
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    pub certificate_key_file: Option<PathBuf>,
    /// TLS: the name that the broker's certificate is for, if it is not that of the address
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
}

/// What a connection is made with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The user and password, if the broker asks for them.
    pub credentials: Option<Credentials>,
    /// How TLS is spoken, if it is.
    pub tls: Option<TlsOptions>,
}

/// Why nobody can get in like that.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The password file cannot be read.
    #[error(transparent)]
    Password(#[from] PasswordFileError),
    /// A file of TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// TLS without TLS.
    #[error(
        "--ca-file, --certificate-file and --server-name are of TLS: write mqtts:// or tls:// \
         before the address"
    )]
    NotSecure,
}

impl AccessArgs {
    /// What the flags say, of an address that is reached like that.
    ///
    /// # Errors
    /// See [`AccessError`].
    pub fn load(&self, transport: Transport) -> Result<Access, AccessError> {
        let password = env::var(PASSWORD).ok();
        let credentials = match (&self.user, &self.password_file, password) {
            (None, _, _) => None,
            (Some(user), None, Some(password)) => Some(Credentials {
                user: user.clone(),
                password,
            }),
            (Some(user), file, _) => Some(Credentials::load(user, file.as_deref())?),
        };
        let tls = self.tls();
        let tls = match transport {
            Transport::Plain if tls == TlsOptions::default() => None,
            Transport::Plain => return Err(AccessError::NotSecure),
            Transport::Tls => Some(tls),
        };
        if let Some(tls) = &tls {
            tls.config()?;
        }
        Ok(Access { credentials, tls })
    }

    fn tls(&self) -> TlsOptions {
        let files = (&self.certificate_file, &self.certificate_key_file);
        let identity = match files {
            (Some(certificate), Some(key)) => Some(Identity {
                certificate_file: certificate.clone(),
                key_file: key.clone(),
            }),
            (None, _) | (_, None) => None,
        };
        TlsOptions {
            ca_file: self.ca_file.clone(),
            identity,
            server_name: self.server_name.clone(),
        }
    }
}

/// Why a NATS server does not let us in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotLetIn {
    /// We do not come to terms about TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Anything else.
    #[error(transparent)]
    Connect(#[from] async_nats::ConnectError),
}

impl Access {
    /// Connects to a NATS server, once.
    pub(crate) async fn connect(
        &self,
        mut connect: ConnectOptions,
        to: &NatsAddress,
    ) -> Result<Client, NotLetIn> {
        if let Some(Credentials { user, password }) = &self.credentials {
            connect = connect.user_and_password(user.clone(), password.clone());
        }
        if let Some(tls) = &self.tls {
            connect = connect.require_tls(true).tls_client_config(tls.config()?);
        }
        let connected = connect.connect(format!("nats://{}", to.0)).await;
        connected.map_err(|error| match tls::behind(&error) {
            Some(error) => NotLetIn::Tls(error),
            None => NotLetIn::Connect(error),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_spoken_where_the_address_says_so_and_its_flags_are_of_no_use_elsewhere() {
        let flags = AccessArgs {
            server_name: Some("broker.city.example".to_owned()),
            ca_file: Some("/nowhere/ca.pem".into()),
            ..AccessArgs::default()
        };
        let said = |transport| flags.load(transport).unwrap_err().to_string();
        assert!(said(Transport::Plain).contains("mqtts://"));
        assert!(said(Transport::Tls).contains("/nowhere/ca.pem"));
        let bare = AccessArgs::default().load(Transport::Plain);
        assert_eq!(bare.unwrap(), Access::default());
    }
}
