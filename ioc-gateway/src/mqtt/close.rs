//! Why a connection ends: each way has its word, and everyone who looks for a lost sensor asks.

use super::codec::{ConnectCode, Malformed};

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// The client sent DISCONNECT.
    ClientDisconnected,
    /// The client closed the socket without a word.
    SocketClosed,
    /// The socket failed.
    SocketFailed,
    /// CONNECT did not come in time.
    ConnectOverdue,
    /// The first packet is not CONNECT.
    ConnectMissing,
    /// CONNECT was answered with this code.
    Refused(ConnectCode),
    /// Nothing came for one and a half times the keep-alive interval (section 3.1.2.10).
    KeepAliveExpired,
    /// The same client connected again (section 3.1.4).
    TakenOver,
    /// The door stayed full for too long.
    Overloaded,
    /// The client took nothing of what was written to it for too long.
    WriteStalled,
    /// A message of quality 2, which is not served.
    Qos2Unsupported,
    /// A packet that a client may not send now.
    PacketUnexpected,
    /// A packet that is none.
    Malformed(Malformed),
    /// This process stops.
    Stopping,
    /// The engine is gone.
    EngineStopped,
}

impl CloseReason {
    /// The word that it is counted by.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ClientDisconnected => "client_disconnected",
            Self::SocketClosed => "socket_closed",
            Self::SocketFailed => "socket_failed",
            Self::ConnectOverdue => "connect_overdue",
            Self::ConnectMissing => "connect_missing",
            Self::Refused(code) => refusal_word(code),
            Self::KeepAliveExpired => "keep_alive_expired",
            Self::TakenOver => "taken_over",
            Self::Overloaded => "overloaded",
            Self::WriteStalled => "write_stalled",
            Self::Qos2Unsupported => "qos2_unsupported",
            Self::PacketUnexpected => "packet_unexpected",
            Self::Malformed(malformed) => malformed.word(),
            Self::Stopping => "stopping",
            Self::EngineStopped => "engine_stopped",
        }
    }

    /// Whether somebody should look: the client is broken or cut off, rather than gone.
    pub const fn is_trouble(self) -> bool {
        match self {
            Self::ClientDisconnected | Self::SocketClosed | Self::SocketFailed => false,
            Self::TakenOver | Self::Stopping | Self::EngineStopped => false,
            Self::ConnectOverdue | Self::ConnectMissing | Self::Refused(_) => true,
            Self::KeepAliveExpired | Self::Overloaded | Self::WriteStalled => true,
            Self::Qos2Unsupported | Self::PacketUnexpected | Self::Malformed(_) => true,
        }
    }
}

const fn refusal_word(code: ConnectCode) -> &'static str {
    match code {
        ConnectCode::Accepted => "accepted",
        ConnectCode::UnacceptableProtocolVersion => "refused_protocol_version",
        ConnectCode::IdentifierRejected => "refused_client_id",
        ConnectCode::ServerUnavailable => "refused_connections_max",
        ConnectCode::BadUserNameOrPassword => "refused_credentials",
        ConnectCode::NotAuthorized => "refused_not_authorized",
    }
}
