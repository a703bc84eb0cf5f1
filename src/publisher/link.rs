//! What becomes of a connection: it breaks, it is refused, it is back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::ConnectReturnCode;
use rumqttc::mqttbytes;

use super::CONNECT_WITHIN;
use crate::args::Address;

/// What happens to a connection, for whoever tells people.
pub enum LinkEvent<'a> {
    /// It is there again, after it was [`LinkEvent::Down`].
    Back(&'a Address),
    /// It is broken, or could not be made.
    Down {
        /// Where to.
        address: &'a Address,
        /// Why.
        error: &'a dyn fmt::Display,
        /// When the next attempt is made.
        retry_in: Duration,
    },
}

impl fmt::Display for LinkEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Back(address) => write!(f, "connected to {address} again"),
            Self::Down {
                address,
                error,
                retry_in,
            } => write!(
                f,
                "no connection to {address}: {error}; trying again in {:.1} s",
                retry_in.as_secs_f64()
            ),
        }
    }
}

/// Is told what happens to connections.
pub type OnLink = Arc<dyn Fn(&LinkEvent<'_>) + Send + Sync>;

/// Why one connection ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Nothing answered in time.
    #[error("no answer within {} s", CONNECT_WITHIN.as_secs())]
    ConnectTimeout,
    /// A ping was not answered.
    #[error("a ping was not answered")]
    PingTimeout,
    /// The broker closed it.
    #[error("the broker closed the connection")]
    Closed,
    /// The broker refused it.
    #[error("the broker refused the connection: {}", refusal(*.0))]
    Refused(ConnectReturnCode),
    /// The broker does not speak MQTT 3.1.1 as it should.
    #[error("the broker sent what MQTT 3.1.1 does not allow here: {0}")]
    Protocol(String),
    /// Nothing was acknowledged for too long.
    #[error("nothing was acknowledged for too long")]
    Stalled,
}

impl From<mqttbytes::Error> for LinkError {
    fn from(error: mqttbytes::Error) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl LinkError {
    /// Whether trying again cannot help.
    pub(super) const fn is_final(&self) -> bool {
        match self {
            Self::Refused(code) => !matches!(code, ConnectReturnCode::ServiceUnavailable),
            Self::Stalled => true,
            Self::Io(_)
            | Self::ConnectTimeout
            | Self::PingTimeout
            | Self::Closed
            | Self::Protocol(_) => false,
        }
    }
}

const fn refusal(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::Success => "accepted",
        ConnectReturnCode::RefusedProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::BadClientId => "it does not like the client identifier",
        ConnectReturnCode::ServiceUnavailable => "it is not available",
        ConnectReturnCode::BadUserNamePassword => "user name or password is wrong",
        ConnectReturnCode::NotAuthorized => "not authorised; give --user and --password-file",
    }
}
