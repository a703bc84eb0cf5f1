//! Why a connection ends: each way has its word, and everyone who looks for a lost sensor asks.

use super::codec::{Malformed, Refusal};

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CloseReason {
    /// The client sent DISCONNECT.
    ClientDisconnected,
    /// The client sent DISCONNECT, and wants its will published (5.0: section 3.14.2.1).
    ClientLeftItsWill,
    /// The client sent DISCONNECT with a reason code that tells of a fault.
    ClientComplained,
    /// The client closed the socket without a word.
    SocketClosed,
    /// The socket failed.
    SocketFailed,
    /// CONNECT did not come in time.
    ConnectOverdue,
    /// CONNECT had not come when all places were taken and another wanted one.
    GaveWay,
    /// The first packet is not CONNECT.
    ConnectMissing,
    /// CONNECT was answered with a refusal.
    Refused(Refusal),
    /// Nothing came for one and a half times the keep-alive interval (section 3.1.2.10).
    KeepAliveExpired,
    /// The same client connected again (section 3.1.4).
    TakenOver,
    /// The door stayed full for too long.
    Overloaded,
    /// All connections together held more than they may, and this one most.
    OverBudget,
    /// The client took nothing of what was written to it for too long.
    WriteStalled,
    /// More messages than may be, not yet acknowledged.
    ReceiveMaxExceeded,
    /// A topic alias that is not one, or stands for nothing.
    TopicAliasInvalid,
    /// An answer would be longer than the client takes.
    AnswerTooLong,
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
    /// The word that it is counted by, and that a client of version 5 is told.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ClientDisconnected => "client_disconnected",
            Self::ClientLeftItsWill => "client_left_its_will",
            Self::ClientComplained => "client_complained",
            Self::SocketClosed => "socket_closed",
            Self::SocketFailed => "socket_failed",
            Self::ConnectOverdue => "connect_overdue",
            Self::GaveWay => "gave_way",
            Self::ConnectMissing => "connect_missing",
            Self::Refused(refusal) => refusal.word(),
            Self::KeepAliveExpired => "keep_alive_expired",
            Self::TakenOver => "taken_over",
            Self::Overloaded => "overloaded",
            Self::OverBudget => "quota_exceeded",
            Self::WriteStalled => "write_stalled",
            Self::ReceiveMaxExceeded => "receive_max_exceeded",
            Self::TopicAliasInvalid => "topic_alias_invalid",
            Self::AnswerTooLong => "answer_too_long",
            Self::PacketUnexpected => "packet_unexpected",
            Self::Malformed(malformed) => malformed.word(),
            Self::Stopping => "stopping",
            Self::EngineStopped => "engine_stopped",
        }
    }

    /// Whether what came before is still acknowledged: who takes his leave right behind his messages
    /// may wait to hear of them.
    pub const fn is_in_peace(self) -> bool {
        matches!(
            self,
            Self::Stopping | Self::ClientDisconnected | Self::ClientLeftItsWill
        )
    }

    /// Whether somebody should look: the client is broken or cut off, rather than gone.
    pub const fn is_trouble(self) -> bool {
        match self {
            Self::ClientDisconnected | Self::ClientLeftItsWill => false,
            Self::SocketClosed | Self::SocketFailed => false,
            Self::TakenOver | Self::Stopping | Self::EngineStopped => false,
            Self::ClientComplained => true,
            Self::ConnectOverdue | Self::GaveWay => true,
            Self::ConnectMissing | Self::Refused(_) => true,
            Self::KeepAliveExpired | Self::Overloaded | Self::WriteStalled => true,
            Self::OverBudget | Self::PacketUnexpected => true,
            Self::ReceiveMaxExceeded | Self::TopicAliasInvalid | Self::AnswerTooLong => true,
            Self::Malformed(_) => true,
        }
    }

    /// Whether the client's will is published: it is unless the client took it back (section
    /// 3.14.4), and unless it is we who go. A stop of ours would else declare a whole city dead,
    /// which is there again as soon as we are; the standard leaves that open (5.0: section 3.1.2.5).
    pub const fn publishes_will(self) -> bool {
        match self {
            Self::ClientDisconnected | Self::Stopping | Self::EngineStopped => false,
            Self::ClientLeftItsWill | Self::ClientComplained => true,
            Self::SocketClosed | Self::SocketFailed | Self::KeepAliveExpired => true,
            Self::TakenOver | Self::Overloaded | Self::OverBudget | Self::WriteStalled => true,
            Self::PacketUnexpected | Self::ReceiveMaxExceeded => true,
            Self::TopicAliasInvalid | Self::AnswerTooLong | Self::Malformed(_) => true,
            // It was not let in, and left none.
            Self::ConnectOverdue | Self::GaveWay => false,
            Self::ConnectMissing | Self::Refused(_) => false,
        }
    }

    /// The reason code of the DISCONNECT that a client of version 5 is sent (section 3.14.2.1);
    /// `None` where nothing more can or may be said to it.
    pub const fn code(self) -> Option<u8> {
        let code = match self {
            Self::ClientDisconnected | Self::ClientLeftItsWill => return None,
            Self::ClientComplained => return None,
            Self::SocketClosed | Self::SocketFailed | Self::WriteStalled => return None,
            // Before CONNECT there is no version to say it in; a refusal is said by CONNACK.
            Self::ConnectOverdue | Self::GaveWay => return None,
            Self::ConnectMissing | Self::Refused(_) => return None,
            Self::KeepAliveExpired => 0x8d,
            Self::TakenOver => 0x8e,
            Self::Overloaded => 0x89,
            Self::OverBudget => 0x97,
            Self::ReceiveMaxExceeded => 0x93,
            Self::TopicAliasInvalid => 0x94,
            Self::AnswerTooLong => 0x95,
            Self::PacketUnexpected => 0x82,
            Self::Malformed(malformed) => malformed.code(),
            Self::Stopping | Self::EngineStopped => 0x8b,
        };
        Some(code)
    }
}
