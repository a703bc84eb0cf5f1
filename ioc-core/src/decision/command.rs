//! A command to an actuator as people see it, from the order to its outcome.
//!
//! One [`CommandChange`] for each transition. What a broker or a network says is no part of it: a
//! command has arrived when its device says so, and is done when a sensor shows it (INV-31).
//! Next: `operate.rs`, where the transitions are.

use crate::codec::{CodecError, Put, Take};
use crate::id::{Actor, ActuatorId, CommandKey, CommandName, ReadingId, SensorId, ZoneId};
use crate::record::Seq;
use crate::time::Timestamp;

/// A command, as it is from a decision on.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandState {
    /// What its device tells it by from all others.
    pub key: CommandKey,
    /// Who is to do it.
    pub actuator: ActuatorId,
    /// The actuator's zone; `_` if it is in none.
    pub zone: ZoneId,
    /// What is to be done.
    pub command: CommandName,
    /// How: the text of a JSON object; empty if nothing is said.
    pub parameters: Box<str>,
    /// What may be done while nobody knows whether it arrived.
    pub effect: EffectClass,
    /// How far it has come.
    pub progress: Progress,
    /// Who ordered it.
    pub ordered_by: Actor,
    /// When.
    pub ordered_at: Timestamp,
    /// It is sent, and done, before this time or not at all (INV-30).
    pub not_after: Timestamp,
    /// When its outcome is to be known.
    pub outcome_by: Timestamp,
    /// The sensor that shows that it is done; `None` if only the device can say so.
    pub confirmed_by: Option<SensorId>,
    /// What the device said last.
    pub answer: Option<Answer>,
    /// What the sensor showed.
    pub confirmation: Option<Confirmation>,
}

/// What a device says about a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its word.
    pub word: AnswerWord,
    /// More, for people; empty if it says no more.
    pub detail: Box<str>,
    /// The input record that brought it.
    pub seq: Seq,
}

/// The reading that showed that a command is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmation {
    /// Its id, unique within the sensor.
    pub reading: ReadingId,
    /// What it said, in the sensor's unit.
    pub value: f64,
    /// The input record that brought it.
    pub seq: Seq,
}

/// How far a command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Progress {
    /// It is being sent; the device has not answered.
    Sent,
    /// The device has it and is about to do it.
    Accepted,
    /// The device says that it is done. If a sensor can show it, that is waited for.
    Done,
    /// A sensor shows that it is done.
    Confirmed,
    /// The device will not do it.
    Rejected,
    /// The device says that it could not.
    Failed,
    /// No device answered in time. It is not sent any more.
    Expired,
    /// The device took it, but in time nothing showed that it is done.
    NotConfirmed,
    /// This process ended while it was sent and must not send it again: nobody knows.
    OutcomeUnknown,
    /// Another command to the same actuator took its place.
    Superseded,
}

/// What happened to a command: one for each transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CommandChange {
    /// It was ordered, and is sent from now on.
    Sent,
    /// The device has it.
    Accepted,
    /// The device says that it is done.
    Done,
    /// A sensor shows that it is done.
    Confirmed,
    /// The device will not do it.
    Rejected,
    /// The device says that it could not.
    Failed,
    /// No device answered in time.
    Expired,
    /// In time nothing showed that it is done.
    NotConfirmed,
    /// Nobody knows whether it arrived.
    OutcomeUnknown,
    /// Another took its place.
    Superseded,
    /// The device answered when it was over: what was told of it stands, and this is news.
    AnsweredLate,
}

/// What a device can say about a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AnswerWord {
    /// I have it and am about to do it.
    Accepted,
    /// I will not do it.
    Rejected,
    /// I have done it.
    Done,
    /// I could not do it.
    Failed,
}

/// What may be done about a command of which nobody knows whether it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum EffectClass {
    /// It is sent again with the same key: the device does what has one key once.
    #[default]
    Idempotent,
    /// It is sent once. If this process ends meanwhile, a person is asked.
    AtMostOnce,
}

words! {
    Progress {
        Sent = "sent", Accepted = "accepted", Done = "done", Confirmed = "confirmed",
        Rejected = "rejected", Failed = "failed", Expired = "expired",
        NotConfirmed = "not_confirmed", OutcomeUnknown = "outcome_unknown",
        Superseded = "superseded",
    }
    CommandChange {
        Sent = "command_sent", Accepted = "command_accepted", Done = "command_done",
        Confirmed = "command_confirmed", Rejected = "command_rejected",
        Failed = "command_failed", Expired = "command_expired",
        NotConfirmed = "command_not_confirmed", OutcomeUnknown = "command_outcome_unknown",
        Superseded = "command_superseded", AnsweredLate = "command_answered_late",
    }
    AnswerWord {
        Accepted = "accepted", Rejected = "rejected", Done = "done", Failed = "failed",
    }
    EffectClass { Idempotent = "idempotent", AtMostOnce = "at_most_once" }
}

impl CommandState {
    /// The longest text of parameters.
    pub const PARAMETERS_BYTES_MAX: usize = 1024;

    /// Whether nothing more is waited for.
    pub const fn is_over(&self) -> bool {
        match self.progress {
            Progress::Sent | Progress::Accepted => false,
            Progress::Done => self.confirmed_by.is_none(),
            Progress::Confirmed
            | Progress::Rejected
            | Progress::Failed
            | Progress::Expired
            | Progress::NotConfirmed
            | Progress::OutcomeUnknown
            | Progress::Superseded => true,
        }
    }

    /// Whether a person must see to it: it is over, and not known to be done.
    pub const fn needs_person(&self) -> bool {
        match self.progress {
            Progress::Rejected
            | Progress::Failed
            | Progress::Expired
            | Progress::NotConfirmed
            | Progress::OutcomeUnknown => true,
            Progress::Sent
            | Progress::Accepted
            | Progress::Done
            | Progress::Confirmed
            | Progress::Superseded => false,
        }
    }

    pub(crate) fn put(&self, out: &mut impl Put) {
        out.put_key(self.key);
        out.put_text(self.actuator.as_str());
        out.put_text(self.zone.as_str());
        out.put_text(self.command.as_str());
        out.put_text(&self.parameters);
        out.put_u8(self.effect as u8);
        out.put_u8(self.progress as u8);
        out.put_text(self.ordered_by.as_str());
        out.put_time(self.ordered_at);
        out.put_time(self.not_after);
        out.put_time(self.outcome_by);
        out.put_option(self.confirmed_by.as_ref(), |out, sensor| {
            out.put_text(sensor.as_str());
        });
        out.put_option(self.answer.as_ref(), |out, answer| answer.put(out));
        out.put_option(self.confirmation.as_ref(), |out, shown| shown.put(out));
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            key: take.key()?,
            actuator: take.parsed("actuator")?,
            zone: take.parsed("zone")?,
            command: take.parsed("command")?,
            parameters: take.text()?.into(),
            effect: EffectClass::take(take)?,
            progress: Progress::take(take)?,
            ordered_by: take.parsed("actor")?,
            ordered_at: take.time()?,
            not_after: take.time()?,
            outcome_by: take.time()?,
            confirmed_by: take.option(|take| take.parsed("sensor"))?,
            answer: take.option(Answer::take)?,
            confirmation: take.option(Confirmation::take)?,
        })
    }
}

impl Answer {
    /// The longest detail that is kept.
    pub const DETAIL_BYTES_MAX: usize = 256;

    fn put(&self, out: &mut impl Put) {
        out.put_u8(self.word as u8);
        out.put_text(&self.detail);
        out.put_u64(self.seq);
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            word: AnswerWord::take(take)?,
            detail: take.text()?.into(),
            seq: take.u64()?,
        })
    }
}

impl Confirmation {
    pub(crate) fn put(&self, out: &mut impl Put) {
        out.put_text(self.reading.as_str());
        out.put_f64(self.value);
        out.put_u64(self.seq);
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            reading: take.parsed("reading id")?,
            value: take.f64()?,
            seq: take.u64()?,
        })
    }
}
