//! Commands to actuators: from an order to an outcome that people are told.
//!
//! Arrives: orders, what devices answer, what confirming sensors say, time. Leaves: one
//! [`Verdict::Command`] for each transition; the host sends what is [`Progress::Sent`] and nothing
//! else. Promise: no command is without a deadline, and each ends in an outcome; none may be sent
//! after its `not_after`, and no two share a key (INV-30); what a broker says moves nothing
//! (INV-31); an actuator has at most one command under way, so that orders never cross unseen.
//! Not here: how a command reaches a device, and any retry on the way (the host's executor); who
//! may order. Next: `operate/operation.rs`.
//!
//! ```text
//! order ─▶ Sent ──accepted──▶ Accepted ──done──▶ Done ──sensor──▶ Confirmed
//!            │ rejected, failed: over              │ without a sensor: over
//!            ├─ not_after ──▶ Expired              └─ outcome_by ──▶ NotConfirmed
//!            └─ a restart while it may be sent once only ──▶ OutcomeUnknown
//! ```

mod operation;
mod bytes;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use self::operation::Operation;
use crate::correlate::Turn;
use crate::decision::{About, Answer, Cause, CommandChange, Refusal, RefusalCode, Verdict};
use crate::decision::{CommandState, Confirmation, EffectClass, Progress};
use crate::id::{ActuatorId, CommandKey, SensorId};
use crate::invariant::{Audit, Invariant};
use crate::limits::{COMMANDS_PENDING_MAX, COMMANDS_REMEMBERED, NOT_AFTER_MAX};
use crate::record::Operate;
use crate::time::{Millis, Timestamp};

/// Every command under way, and the last ones that are over.
#[derive(Debug, Default)]
pub(crate) struct Operations {
    pending: BTreeMap<CommandKey, Operation>,
    /// The one under way at each actuator that has one.
    by_actuator: BTreeMap<ActuatorId, CommandKey>,
    /// Which sensors show what is waited for.
    awaited: BTreeSet<(SensorId, CommandKey)>,
    timers: BTreeSet<(Timestamp, CommandKey)>,
    over: Over,
}

/// The last commands that are over: their devices may still answer.
#[derive(Debug, Default)]
struct Over {
    in_order: VecDeque<CommandKey>,
    known: BTreeMap<CommandKey, Ended>,
}

/// A command that is over.
#[derive(Debug)]
struct Ended {
    state: CommandState,
    /// Which words of its device were told as late, a bit each.
    late: u8,
}

/// What a sensor said, seen as what may confirm a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub sensor: &'a SensorId,
    pub observed_at: Timestamp,
    pub confirmation: &'a Confirmation,
}

impl Operations {
    /// The commands under way, and whether each has been begun to be sent, in the order of keys.
    pub fn pending(&self) -> impl Iterator<Item = (&CommandState, bool)> {
        let pending = self.pending.values();
        pending.map(|operation| (&operation.state, operation.started))
    }

    /// The last commands that are over, oldest first.
    pub fn over(&self) -> impl Iterator<Item = &CommandState> {
        let over = self.over.in_order.iter();
        over.map(|key| &self.over.known[key].state)
    }

    /// When the next deadline is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Takes an order, or says why not.
    pub fn order(
        &mut self,
        order: &Operate<'_>,
        cause: &Cause,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal> {
        let ordered = self.check(order, cause, turn).map_err(|code| Refusal {
            code,
            about: About::Actuator(
                order
                    .actuator
                    .parse()
                    .expect("an order's actuator is valid"),
            ),
        })?;
        if let Some(replaced) = order.replaces {
            self.change(replaced, CommandChange::Superseded, cause.clone(), turn);
        }
        turn.desk.counters.commands_sent += 1;
        let told = Box::new(ordered.state.clone());
        self.link(ordered);
        turn.decide(Verdict::Command(CommandChange::Sent, told), cause.clone());
        Ok(())
    }

    /// The command that an order asks for, if it can be followed.
    fn check(
        &self,
        order: &Operate<'_>,
        cause: &Cause,
        turn: &Turn<'_>,
    ) -> Result<Operation, RefusalCode> {
        let actuator = turn.rules.actuator(order.actuator);
        let actuator = actuator.ok_or(RefusalCode::UnknownActuator)?;
        let mut commands = actuator.commands.iter();
        let command = commands.find(|command| command.name.as_str() == order.command);
        let command = command.ok_or(RefusalCode::CommandNotAllowed)?;
        let latest = turn.at + NOT_AFTER_MAX;
        let not_after = order.not_after.unwrap_or(turn.at + actuator.deadline);
        if not_after <= turn.at {
            return Err(RefusalCode::TooLate);
        }
        let under_way = self.by_actuator.get(order.actuator).copied();
        match (under_way, order.replaces) {
            (Some(_), None) => return Err(RefusalCode::AlreadyPending),
            (under_way, Some(_)) if under_way != order.replaces => {
                return Err(RefusalCode::NotPending);
            }
            (None | Some(_), _) => {}
        }
        if under_way.is_none() && self.pending.len() >= COMMANDS_PENDING_MAX {
            return Err(RefusalCode::TooManyPending);
        }
        let operation = Operation::new(
            order,
            (actuator, command),
            cause,
            (turn.at, not_after.min(latest)),
            turn.rules.actuator_zone(actuator),
        );
        let key = operation.state.key;
        // Nobody will ever see it; but a key that were given twice would be done once.
        if self.pending.contains_key(&key) || self.over.known.contains_key(&key) {
            return Err(RefusalCode::AlreadyPending);
        }
        Ok(operation)
    }

    /// A command that may be sent once only is about to be.
    pub fn started(&mut self, key: CommandKey, turn: &mut Turn<'_>) {
        match self.pending.get_mut(&key) {
            Some(operation) if operation.state.effect == EffectClass::AtMostOnce => {
                operation.started = true;
            }
            Some(_) | None => turn.desk.counters.effects_unknown += 1,
        }
    }

    /// A device has answered.
    pub fn answered(&mut self, key: CommandKey, device: &str, answer: Answer, turn: &mut Turn<'_>) {
        let Some(operation) = self.pending.get_mut(&key) else {
            self.answered_late(key, device, answer, turn);
            return;
        };
        if operation.state.actuator.as_str() != device {
            turn.desk.counters.effects_unknown += 1;
            return;
        }
        let Some(change) = operation.answered(answer) else {
            turn.desk.counters.effects_repeated += 1;
            return;
        };
        self.change(key, change, Cause::default(), turn);
        if let Some(operation) = self.pending.get_mut(&key)
            && operation.confirm_by_what_was_seen()
        {
            self.change(key, CommandChange::Confirmed, Cause::default(), turn);
        }
    }

    /// A device has answered when its command was over: each of its words is told once.
    fn answered_late(
        &mut self,
        key: CommandKey,
        device: &str,
        answer: Answer,
        turn: &mut Turn<'_>,
    ) {
        let ended = self.over.known.get_mut(&key);
        let Some(ended) = ended.filter(|ended| ended.state.actuator.as_str() == device) else {
            turn.desk.counters.effects_unknown += 1;
            return;
        };
        if !ended.is_news(&answer) {
            turn.desk.counters.effects_repeated += 1;
            return;
        }
        ended.late |= 1 << answer.word as u8;
        ended.state.answer = Some(answer);
        let told = Box::new(ended.state.clone());
        let verdict = Verdict::Command(CommandChange::AnsweredLate, told);
        turn.decide(verdict, Cause::default());
    }

    /// A sensor has said something that may show that a command is done.
    pub fn shown(&mut self, shown: Shown<'_>, turn: &mut Turn<'_>) {
        let least = CommandKey::from_bits(0).expect("nought is a key");
        let from = (shown.sensor.clone(), least);
        let waiting = self.awaited.range(from..).map_while(|(sensor, key)| {
            let is_its_own = sensor == shown.sensor;
            is_its_own.then_some(*key)
        });
        for key in waiting.collect::<Vec<_>>() {
            let operation = self.pending.get_mut(&key);
            let operation = operation.expect("what is awaited is under way");
            if operation.is_confirmed_by(&shown) {
                self.change(key, CommandChange::Confirmed, Cause::default(), turn);
            }
        }
    }

    /// The deadline that is due first, by `to` at the latest, has come: fires it.
    ///
    /// Precondition: there is one.
    pub fn fire(&mut self, turn: &mut Turn<'_>) {
        let (_, key) = *self.timers.first().expect("one is due");
        let operation = self.pending.get_mut(&key);
        let change = operation.expect("deadlines are of what is under way").due();
        let cause = Cause {
            due: turn.due,
            ..Cause::default()
        };
        self.change(key, change, cause, turn);
    }

    /// Waits longer for outcomes: for so long nobody could be heard. What may be sent, may not be
    /// sent any longer for that.
    pub fn wait_longer(&mut self, gap: Millis) {
        let keys: Vec<_> = self.pending.keys().copied().collect();
        for key in keys {
            if let Some(mut operation) = self.unlink(key) {
                operation.wait_longer(gap);
                self.link(operation);
            }
        }
    }

    /// This process has begun: of what may be sent once only and was about to be, nobody knows
    /// whether it was.
    pub fn restarted(&mut self, turn: &mut Turn<'_>) {
        let unknown = self
            .pending
            .values()
            .filter(|operation| operation.started && operation.state.progress == Progress::Sent);
        let unknown: Vec<_> = unknown.map(|operation| operation.state.key).collect();
        for key in unknown {
            self.change(key, CommandChange::OutcomeUnknown, Cause::default(), turn);
        }
    }

    /// A command goes on, and everybody is told.
    fn change(
        &mut self,
        key: CommandKey,
        change: CommandChange,
        cause: Cause,
        turn: &mut Turn<'_>,
    ) {
        let mut operation = self.unlink(key).expect("it is under way");
        operation.change(change);
        let told = Box::new(operation.state.clone());
        match operation.state.is_over() {
            true => self.over.push(operation.state),
            false => self.link(operation),
        }
        turn.decide(Verdict::Command(change, told), cause);
    }

    fn link(&mut self, operation: Operation) {
        let state = &operation.state;
        let key = state.key;
        self.by_actuator.insert(state.actuator.clone(), key);
        self.awaited
            .extend(state.confirmed_by.clone().map(|sensor| (sensor, key)));
        self.timers.insert((operation.next_due(), key));
        self.pending.insert(key, operation);
    }

    fn unlink(&mut self, key: CommandKey) -> Option<Operation> {
        let operation = self.pending.remove(&key)?;
        let state = &operation.state;
        self.by_actuator.remove(&state.actuator);
        if let Some(sensor) = &state.confirmed_by {
            self.awaited.remove(&(sensor.clone(), key));
        }
        self.timers.remove(&(operation.next_due(), key));
        Some(operation)
    }

    /// Checks that everything that follows from the commands under way is as it follows.
    pub fn audit(&self, audit: &mut Audit) {
        let pending = self.pending.values();
        let by_actuator = pending
            .clone()
            .map(|each| (&each.state.actuator, &each.state.key));
        let agree = self
            .by_actuator
            .iter()
            .eq(by_actuator.collect::<BTreeMap<_, _>>())
            && self.by_actuator.len() == self.pending.len();
        audit.expect(agree, Invariant::OneCommandPerActuator, "the actuators");
        let timers: BTreeSet<_> = pending
            .clone()
            .map(|each| (each.next_due(), each.state.key))
            .collect();
        audit.expect(
            self.timers == timers,
            Invariant::TimersAgree,
            "commands under way",
        );
        let awaited =
            pending.filter_map(|each| Some((each.state.confirmed_by.clone()?, each.state.key)));
        let agree = self.awaited == awaited.collect();
        audit.expect(agree, Invariant::IndexAgrees, "sensors that confirm");
        let known = self
            .over
            .in_order
            .iter()
            .filter(|key| self.over.known.contains_key(key));
        let agree = known.count() == self.over.known.len()
            && self.over.known.len() == self.over.in_order.len()
            && self
                .over
                .in_order
                .iter()
                .all(|key| !self.pending.contains_key(key));
        audit.expect(agree, Invariant::KeysAreUnique, "commands that are over");
    }
}

impl Over {
    /// Remembers a command, and forgets the oldest beyond the bound.
    fn push(&mut self, state: CommandState) {
        if self.in_order.len() == COMMANDS_REMEMBERED
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.in_order.push_back(state.key);
        self.known.insert(state.key, Ended { state, late: 0 });
    }
}

impl Ended {
    /// Whether its device says something that is neither known nor what was to be expected.
    fn is_news(&self, answer: &Answer) -> bool {
        use crate::decision::AnswerWord::{Accepted, Done};
        let is_known = self
            .state
            .answer
            .as_ref()
            .is_some_and(|before| before.word == answer.word);
        let is_done = matches!(self.state.progress, Progress::Confirmed | Progress::Done);
        let is_expected = is_done && matches!(answer.word, Accepted | Done);
        let is_told = self.late & 1 << answer.word as u8 != 0;
        !(is_known || is_expected || is_told)
    }
}
