//! An operator's orders on their way to the host, and the answers on their way back.
//!
//! Arrives: an [`Order`] that the session or REST has checked and whose actor is known. Leaves: a
//! [`CommandRequest`] on a bounded queue that the host drains from its own thread. Promise: the
//! answer `ok` comes when the order is durable; a full queue refuses at once. Not here: what the
//! order does, which is the core's to decide.

use crossbeam_channel::{Receiver, Sender, TrySendError};
use ioc_core::decision::{Condition, Handling, How, RefusalCode, Step, Target};
use ioc_core::id::{
    Actor, ActuatorId, CommandKey, CommandName, IncidentId, IncidentKind, RequestId, SuppressionId,
};
use ioc_core::record::{Action, Ask, Open, Operate, Quieted, Resuppress, Said, Seq, Suppress};
use ioc_core::time::Timestamp;
use tokio::sync::oneshot;

/// What somebody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// To acknowledge this incident.
    Acknowledge(IncidentId),
    /// Something about an incident.
    About(AboutOrder),
    /// To open an incident.
    Open(OpenOrder),
    /// To have an actuator do something.
    Operate(OperateOrder),
    /// To keep something quiet.
    Suppress(SuppressOrder),
    /// To have what is kept quiet end at another time, or now.
    Resuppress(ResuppressOrder),
}

/// What is to be kept quiet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressOrder {
    /// Shelved, or out of service.
    pub how: How,
    /// What.
    pub target: Target,
    /// Until when, in logical time.
    pub until: Timestamp,
    /// Why; never empty.
    pub reason: Box<str>,
}

/// What is to become of what is kept quiet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResuppressOrder {
    /// Which.
    pub suppression: SuppressionId,
    /// What.
    pub what: Resuppress,
    /// What is said to it; empty if nothing.
    pub note: Box<str>,
}

/// What is asked about an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AboutOrder {
    /// Which.
    pub incident: IncidentId,
    /// What.
    pub ask: Ask,
    /// The sources that it is about, a line each; empty if it is about all.
    pub sources: Box<str>,
    /// What is said to it; empty if nothing.
    pub note: Box<str>,
}

/// What a person knows of and no sensor has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOrder {
    /// What kind of incident it is.
    pub kind: IncidentKind,
    /// What is known of it.
    pub said: Said,
    /// More, for people; empty if nothing.
    pub note: Box<str>,
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
            Self::About(order) => Action::About {
                incident: order.incident,
                ask: order.ask,
                sources: &order.sources,
                note: &order.note,
            },
            Self::Open(order) => Action::Open(Open {
                kind: order.kind.as_str(),
                said: order.said,
                note: &order.note,
            }),
            Self::Operate(order) => Action::Operate(Operate {
                actuator: order.actuator.as_str(),
                command: order.command.as_str(),
                parameters: &order.parameters,
                not_after: order.not_after,
                replaces: order.replaces,
            }),
            Self::Suppress(order) => Action::Suppress(Suppress {
                how: order.how,
                target: quieted(&order.target),
                until: order.until,
                reason: &order.reason,
            }),
            Self::Resuppress(order) => Action::Resuppress {
                suppression: order.suppression,
                what: order.what,
                note: &order.note,
            },
        }
    }
}

fn quieted(target: &Target) -> Quieted<'_> {
    match target {
        Target::Incident(incident) => Quieted::Incident(*incident),
        Target::Detections(matcher) => Quieted::Detections {
            sensor: matcher.sensor.as_ref().map_or("", |own| own.as_str()),
            zone: matcher.zone.as_ref().map_or("", |own| own.as_str()),
            kind: matcher.kind.as_ref().map_or("", |own| own.as_str()),
            rule: matcher.rule.as_ref().map_or("", |own| own.as_str()),
        },
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
    /// The core could not follow it, as the incident stands.
    Standing(RefusalCode, Handling, Condition),
}

impl RefusalReason {
    /// The reason as a stable word.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::StorageFull => "storage_full",
            Self::Core(code) | Self::Standing(code, ..) => code.word(),
        }
    }

    /// The reason in a sentence, for a person, with what is possible instead.
    pub fn message(self) -> String {
        let Self::Standing(_, handling, condition) = self else {
            return self.sentence().to_owned();
        };
        let possible = possible(handling, condition);
        let instead = match possible.is_empty() {
            true => String::new(),
            false => format!("; possible now: {}", possible.join(", ")),
        };
        let (handling, condition) = (handling.word(), condition.word());
        format!(
            "{} (it is {handling}, and {condition}){instead}",
            self.sentence()
        )
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Busy => "too many commands are under way; send it again",
            Self::Stopping => "the server is stopping; send it again when it is back",
            Self::StorageFull => "the server's disk is full; send it again when there is space",
            Self::Core(code) | Self::Standing(code, ..) => sentence(code),
        }
    }
}

/// What a refusal of the core means.
const fn sentence(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::UnknownIncident => "no incident has this id, or it is long over",
        RefusalCode::AlreadyAcknowledged => "somebody has acknowledged this incident already",
        RefusalCode::UnknownActuator => "no actuator has this name",
        RefusalCode::CommandNotAllowed => {
            "the actuator has no such command; those that it has are listed with it"
        }
        RefusalCode::AlreadyPending => {
            "a command to this actuator is under way; wait for its outcome, or let this one take \
             its place"
        }
        RefusalCode::NotPending => {
            "the command that is to be replaced is not under way any more; look at what came \
             of it"
        }
        RefusalCode::TooManyPending => {
            "as many commands are under way as there may be; send it again when some are over"
        }
        RefusalCode::TooLate => {
            "its deadline had passed when it was taken; send it again with a later one"
        }
        RefusalCode::AlreadyThere => "it is so already",
        RefusalCode::StepNotPossible => "this does not follow from where the incident stands",
        RefusalCode::StillActive => {
            "it goes on, or nobody knows whether it does: it is over for people when its sensors \
             are back to normal, or when somebody who is there says so (all_clear)"
        }
        RefusalCode::NothingToUndo => {
            "nobody's last step can be undone: something has happened to the incident since"
        }
        RefusalCode::NotYours => "the last step was somebody else's: only he can undo it",
        RefusalCode::UnknownKind => "no rule makes incidents of this kind",
        RefusalCode::IncidentOver => "the incident is over and cannot come back; open another one",
        RefusalCode::SensorsSayOtherwise => {
            "a sensor is heard that says it goes on; it clears when that is back to normal"
        }
        RefusalCode::DifferentRules => {
            "they are incidents of different rules and cannot be one; link them as cause and effect"
        }
        RefusalCode::NoSuchSource => {
            "none of its evidence is of what is named; what it rests on is listed with the incident"
        }
        RefusalCode::NothingLeft => {
            "all of its evidence is named, and nothing would be left; merge the incidents"
        }
        RefusalCode::TooManyIncidents => {
            "as many incidents are open as can be remembered; close some"
        }
        RefusalCode::WouldBeCircle => {
            "it would be among its own causes, or the chain of causes would be too long"
        }
        RefusalCode::MatchesNothing => {
            "no rule, kind or zone has this name, so nothing would be kept quiet"
        }
        RefusalCode::TooManySuppressions => {
            "as much is kept quiet as may be; end some, or match more at once"
        }
        RefusalCode::UnknownSuppression => "nothing that is kept quiet has this id any more",
        RefusalCode::ExtremeNotShelved => "what is extreme is not hidden",
        RefusalCode::SetByConfiguration => {
            "it is a maintenance window of the configuration: it can be ended, not extended"
        }
    }
}

/// The words of the steps that can be taken.
pub(crate) fn possible(handling: Handling, condition: Condition) -> Vec<&'static str> {
    let mut words: Vec<_> = handling.possible(condition).map(Step::word).collect();
    words.dedup();
    words
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_are_told_of_a_refusal_names_no_route_and_no_member() {
        for code in RefusalCode::ALL {
            let told = RefusalReason::Core(*code).message();
            for word in ["GET ", "POST ", "/api/", "`", "{"] {
                assert!(!told.contains(word), "{told}");
            }
        }
    }
}
