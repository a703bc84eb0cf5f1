//! One command under way: what may follow what.
//!
//! A device that says *accepted* and then *done* walks all the way; one that says less skips
//! states, and one that repeats itself changes nothing. A sensor confirms only what the device has
//! taken: a gate that was shut before does not show that the command arrived. What a sensor showed
//! before the device said so counts when it does, and at the deadline of a device that never does.
//! Next: `operate/bytes.rs`.

use super::Shown;
use crate::bundle::{Actuator, ActuatorCommand, Expected};
use crate::decision::{
    Answer, AnswerWord, Cause, CommandChange, CommandState, Confirmation, Progress,
};
use crate::id::{CommandKey, ZoneId};
use crate::record::Operate;
use crate::time::{Millis, Timestamp};

/// A command under way.
#[derive(Debug)]
pub(super) struct Operation {
    pub state: CommandState,
    /// What the confirming sensor must say; `None` if there is none.
    pub expected: Option<Expected>,
    /// That it may be sent once only, and is about to be or has been.
    pub started: bool,
    /// What the sensor showed last, if it is as expected and the device has not answered yet.
    pub seen: Option<Confirmation>,
}

impl Operation {
    /// The command that a valid order asks for.
    pub fn new(
        order: &Operate<'_>,
        (actuator, command): (&Actuator, &ActuatorCommand),
        cause: &Cause,
        (at, not_after): (Timestamp, Timestamp),
        zone: ZoneId,
    ) -> Self {
        let ordered = cause.request.clone();
        let (request, ordered_by) = ordered.expect("people order, by a request");
        let at_ms = at.as_millis().to_string();
        let parts = [actuator.id.as_str(), request.as_str(), &at_ms];
        let confirmed_by = command.confirmed_by.as_ref();
        let state = CommandState {
            // A request's id may come again when it is long forgotten: the time tells them apart.
            key: CommandKey::derive(&parts),
            actuator: actuator.id.clone(),
            zone,
            command: command.name.clone(),
            parameters: order.parameters.into(),
            effect: actuator.effect,
            progress: Progress::Sent,
            ordered_by,
            ordered_at: at,
            not_after,
            outcome_by: not_after + actuator.outcome_within,
            confirmed_by: confirmed_by.map(|by| by.sensor.clone()),
            answer: None,
            confirmation: None,
        };
        Self {
            state,
            expected: confirmed_by.map(|by| by.expected),
            started: false,
            seen: None,
        }
    }

    /// When it is due if nothing happens.
    pub fn next_due(&self) -> Timestamp {
        match self.state.progress {
            Progress::Sent => self.state.not_after,
            _ => self.state.outcome_by,
        }
    }

    /// What follows when it is.
    pub fn due(&mut self) -> CommandChange {
        match self.state.progress {
            Progress::Sent if self.seen.is_some() => {
                self.state.confirmation = self.seen.take();
                CommandChange::Confirmed
            }
            Progress::Sent => CommandChange::Expired,
            _ => CommandChange::NotConfirmed,
        }
    }

    /// What follows from an answer; `None` if it says nothing new.
    pub fn answered(&mut self, answer: Answer) -> Option<CommandChange> {
        use Progress::{Accepted, Sent};
        let change = match (self.state.progress, answer.word) {
            (_, AnswerWord::Rejected) => CommandChange::Rejected,
            (_, AnswerWord::Failed) => CommandChange::Failed,
            (Sent, AnswerWord::Accepted) => CommandChange::Accepted,
            (Sent | Accepted, AnswerWord::Done) => CommandChange::Done,
            (_, AnswerWord::Accepted | AnswerWord::Done) => return None,
        };
        self.state.answer = Some(answer);
        Some(change)
    }

    /// Whether a reading shows that it is done. One that was observed before the order, or before
    /// the device has taken it, does not; the latter is kept.
    pub fn is_confirmed_by(&mut self, shown: &Shown<'_>) -> bool {
        if shown.observed_at < self.state.ordered_at {
            return false;
        }
        let expected = self.expected.expect("a sensor is waited for");
        let holds = expected.holds(shown.confirmation.value);
        self.seen = holds.then(|| shown.confirmation.clone());
        self.state.progress != Progress::Sent && self.confirm_by_what_was_seen()
    }

    /// Takes what the sensor showed last for its confirmation, if it showed it.
    pub fn confirm_by_what_was_seen(&mut self) -> bool {
        self.state.confirmation = self.seen.take();
        self.state.confirmation.is_some()
    }

    /// Waits longer for the outcome of what the device has.
    pub fn wait_longer(&mut self, gap: Millis) {
        if self.state.progress != Progress::Sent {
            self.state.outcome_by = self.state.outcome_by + gap;
        }
    }

    /// Goes on.
    pub fn change(&mut self, change: CommandChange) {
        self.state.progress = match change {
            CommandChange::Sent | CommandChange::AnsweredLate => return,
            CommandChange::Accepted => Progress::Accepted,
            CommandChange::Done => Progress::Done,
            CommandChange::Confirmed => Progress::Confirmed,
            CommandChange::Rejected => Progress::Rejected,
            CommandChange::Failed => Progress::Failed,
            CommandChange::Expired => Progress::Expired,
            CommandChange::NotConfirmed => Progress::NotConfirmed,
            CommandChange::OutcomeUnknown => Progress::OutcomeUnknown,
            CommandChange::Superseded => Progress::Superseded,
        };
    }
}
