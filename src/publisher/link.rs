//! What becomes of a connection: it breaks, it is refused, it is back.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ioc_gateway::brokers::{HandshakeError, TlsError};
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
        /// What else there is to say, once.
        hint: Option<&'static str>,
    },
}

/// What is asked when a server is not there at the second attempt either.
const IS_IT_RUNNING: &str = "is `ioc run` running there?";

/// How often in a row nobody was there; asks once whether the server was started at all.
#[derive(Debug, Default)]
pub(crate) struct Absence(u32);

impl Absence {
    /// Counts an attempt that failed with this error.
    pub(crate) fn hint(&mut self, error: &io::Error) -> Option<&'static str> {
        if error.kind() != io::ErrorKind::ConnectionRefused {
            return None;
        }
        self.0 = self.0.saturating_add(1);
        (self.0 == 2).then_some(IS_IT_RUNNING)
    }
}

impl fmt::Display for LinkEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Back(address) => write!(f, "connected to {address} again"),
            Self::Down {
                address,
                error,
                retry_in,
                hint,
            } => {
                let seconds = retry_in.as_secs_f64();
                write!(f, "no connection to {address}: {error}; ")?;
                write!(f, "trying again in {seconds:.1} s")?;
                hint.map_or(Ok(()), |hint| write!(f, "; {hint}"))
            }
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
    Io(#[from] io::Error),
    /// We do not come to terms about TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nothing answered in time.
    #[error("no answer within {} s", CONNECT_WITHIN.as_secs())]
    ConnectTimeout,
    /// A ping was not answered.
    #[error("a ping was not answered")]
    PingTimeout,
    /// The broker closed it.
    #[error("the broker closed the connection")]
    Closed,
    /// It was closed before a single byte came.
    #[error("the other side hung up without an answer; is this the MQTT port?")]
    Unanswered,
    /// Something else than an MQTT broker answered.
    #[error("{address} does not speak MQTT{}", if *.http { "; it speaks HTTP" } else { "" })]
    NotMqtt {
        /// Where.
        address: Address,
        /// Whether the answer was one of HTTP.
        http: bool,
    },
    /// The broker refused it.
    #[error("the broker refused the connection: {}", refusal(*.0))]
    Refused(ConnectReturnCode),
    /// The broker does not speak MQTT 3.1.1 as it should.
    #[error("the broker sent what MQTT 3.1.1 does not allow here: {0}")]
    Protocol(String),
    /// A NATS server is not there, or went away.
    #[error("{0}")]
    Nats(String),
    /// A NATS server will not have it.
    #[error("the server refused: {0}")]
    NatsRefused(String),
    /// No stream keeps what was published.
    #[error(
        "no stream keeps {0}: name one with --stream, which is made if it is missing, or send \
         with --qos 0"
    )]
    NoStream(String),
    /// Nothing was acknowledged for too long.
    #[error("nothing was acknowledged for too long")]
    Stalled,
}

impl From<mqttbytes::Error> for LinkError {
    fn from(error: mqttbytes::Error) -> Self {
        Self::Protocol(error.to_string())
    }
}

impl From<HandshakeError> for LinkError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Tls(error) => Self::Tls(error),
            HandshakeError::Broke(error) => Self::Io(error),
        }
    }
}

impl LinkError {
    /// Whether trying again cannot help.
    pub(super) const fn is_final(&self) -> bool {
        match self {
            Self::Refused(code) => !matches!(code, ConnectReturnCode::ServiceUnavailable),
            Self::Stalled | Self::NotMqtt { .. } | Self::Tls(_) => true,
            Self::NatsRefused(_) | Self::NoStream(_) => true,
            Self::Io(_)
            | Self::ConnectTimeout
            | Self::PingTimeout
            | Self::Closed
            | Self::Unanswered
            | Self::Nats(_)
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
