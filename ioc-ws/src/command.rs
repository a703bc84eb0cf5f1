//! An operator's orders on their way to the host, and the answers on their way back.
//!
//! Arrives: an [`Order`] that the session or REST has checked and whose actor is known. Leaves: a
//! [`CommandRequest`] on a bounded queue that the host drains from its own thread. Promise: the
//! answer `ok` comes when the order is durable; a full queue refuses at once. Not here: what the
//! order does, which is the core's to decide.

use crossbeam_channel::{Receiver, Sender, TrySendError};
use ioc_core::decision::RefusalCode;
use ioc_core::id::{Actor, ActuatorId, CommandKey, CommandName, IncidentId, RequestId};
use ioc_core::record::{Action, Operate, Seq};
use ioc_core::time::Timestamp;
use tokio::sync::oneshot;

/// What somebody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// To acknowledge this incident.
    Acknowledge(IncidentId),
    /// To have an actuator do something.
    Operate(OperateOrder),
}

/// What an actuator is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperateOrder {
    /// Which.
    pub actuator: ActuatorId,
    /// What.
    pub command: CommandName,
    /// How: a JSON object; empty if nothing is said.
    pub parameters: Box<str>,
    /// Not after this time, which is logical; `None` for the actuator's own deadline.
    pub not_after: Option<Timestamp>,
    /// The command under way whose place it takes.
    pub replaces: Option<CommandKey>,
}

impl Order {
    /// The order as it is journaled.
    pub fn action(&self) -> Action<'_> {
        match self {
            Self::Acknowledge(incident) => Action::Acknowledge(*incident),
            Self::Operate(order) => Action::Operate(Operate {
                actuator: order.actuator.as_str(),
                command: order.command.as_str(),
                parameters: &order.parameters,
                not_after: order.not_after,
                replaces: order.replaces,
            }),
        }
    }
}

/// An order for the host to journal.
#[derive(Debug)]
pub struct CommandRequest {
    /// Chosen by the console: the same request twice acts once.
    pub request: RequestId,
    /// Who gives it.
    pub actor: Actor,
    /// What is asked.
    pub order: Order,
    /// Where the answer goes: the number of the input record once it is durable, or why not.
    pub answer: oneshot::Sender<Result<Seq, RefusalReason>>,
}

/// Why an order was not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// Too many orders are under way.
    Busy,
    /// The process is about to end.
    Stopping,
    /// The disk is full, to the last of what is kept for orders.
    StorageFull,
    /// The core could not follow it.
    Core(RefusalCode),
}

impl RefusalReason {
    /// The reason as a stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::StorageFull => "storage_full",
            Self::Core(code) => code.word(),
        }
    }

    /// The reason in a sentence, for a person.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Busy => "too many commands are under way; send it again",
            Self::Stopping => "the server is stopping; send it again when it is back",
            Self::StorageFull => "the server's disk is full; send it again when there is space",
            Self::Core(RefusalCode::UnknownIncident) => {
                "no incident has this id, or it is long over"
            }
            Self::Core(RefusalCode::AlreadyAcknowledged) => {
                "somebody has acknowledged this incident already"
            }
            Self::Core(RefusalCode::UnknownActuator) => "no actuator has this name",
            Self::Core(RefusalCode::CommandNotAllowed) => {
                "the actuator has no such command; GET /api/v1/actuators lists those it has"
            }
            Self::Core(RefusalCode::AlreadyPending) => {
                "a command to this actuator is under way; wait for its outcome, or say in \
                 `replaces` that this one takes its place"
            }
            Self::Core(RefusalCode::NotPending) => {
                "the command that is to be replaced is not under way any more; look at what came \
                 of it"
            }
            Self::Core(RefusalCode::TooManyPending) => {
                "as many commands are under way as there may be; send it again when some are over"
            }
            Self::Core(RefusalCode::TooLate) => {
                "its deadline had passed when it was taken; send it again with a later one"
            }
        }
    }
}

/// The host's end of the queue.
#[derive(Debug)]
pub struct Commands(Receiver<CommandRequest>);

impl Commands {
    /// The queue, for `crossbeam_channel::select!`.
    pub const fn receiver(&self) -> &Receiver<CommandRequest> {
        &self.0
    }
}

/// The window's end of the queue.
#[derive(Debug, Clone)]
pub(crate) struct Orders(Sender<CommandRequest>);

impl Orders {
    /// A queue of so many orders.
    pub(crate) fn new(commands_max: usize) -> (Self, Commands) {
        let (sender, receiver) = crossbeam_channel::bounded(commands_max);
        (Self(sender), Commands(receiver))
    }

    /// Gives an order and waits for the answer, which may be a refusal.
    ///
    /// # Cancel safety
    /// Cancelling loses the answer, not the order: ask again with the same request id.
    pub(crate) async fn give(
        &self,
        request: RequestId,
        actor: Actor,
        order: Order,
    ) -> Result<Seq, RefusalReason> {
        let (answer, answered) = oneshot::channel();
        let asked = CommandRequest {
            request,
            actor,
            order,
            answer,
        };
        match self.0.try_send(asked) {
            Ok(()) => answered.await.unwrap_or(Err(RefusalReason::Stopping)),
            Err(TrySendError::Full(_)) => Err(RefusalReason::Busy),
            Err(TrySendError::Disconnected(_)) => Err(RefusalReason::Stopping),
        }
    }
}
