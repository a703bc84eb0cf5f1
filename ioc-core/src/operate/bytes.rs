//! The commands in a saved state, and back.
//!
//! What follows from them (who has one, which sensor is waited for, what is due when) is not put.

use super::operation::Operation;
use super::{Ended, Operations};
use crate::bundle::Expected;
use crate::codec::{CodecError, Put, Take};
use crate::decision::{Answer, CommandState, Confirmation, EffectClass, Progress};
use crate::limits::{COMMANDS_PENDING_MAX, COMMANDS_REMEMBERED};

impl Operations {
    /// Puts the whole state: those under way in the order of their keys, the others oldest first.
    pub fn put(&self, out: &mut impl Put) {
        out.put_count(self.pending.len());
        for operation in self.pending.values() {
            operation.put(out);
        }
        out.put_count(self.over.in_order.len());
        for key in &self.over.in_order {
            let ended = &self.over.known[key];
            ended.state.put(out);
            out.put_u8(ended.late);
        }
    }

    /// The commands as they were put.
    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut operations = Self::default();
        for _ in 0..take.count(COMMANDS_PENDING_MAX)? {
            let operation = Operation::take(take)?;
            let is_alone = !operations
                .by_actuator
                .contains_key(&operation.state.actuator);
            let last = operations.pending.last_key_value();
            let in_order = last.is_none_or(|(key, _)| *key < operation.state.key);
            if !is_alone || !in_order {
                return Err(CodecError("commands contradict each other"));
            }
            operations.link(operation);
        }
        for _ in 0..take.count(COMMANDS_REMEMBERED)? {
            let (state, late) = (take_state(take)?, take.u8()?);
            let key = state.key;
            let is_new =
                !operations.pending.contains_key(&key) && !operations.over.known.contains_key(&key);
            if !state.is_over() || !is_new {
                return Err(CodecError("commands contradict each other"));
            }
            operations.over.in_order.push_back(key);
            operations.over.known.insert(key, Ended { state, late });
        }
        Ok(operations)
    }
}

impl Operation {
    fn put(&self, out: &mut impl Put) {
        self.state.put(out);
        out.put_option(self.expected, |out, expected| {
            let (kind, value) = match expected {
                Expected::Is(value) => (0, value),
                Expected::Above(level) => (1, level),
                Expected::Below(level) => (2, level),
            };
            out.put_u8(kind);
            out.put_f64(value);
        });
        out.put_flag(self.started);
        out.put_option(self.seen.as_ref(), |out, seen| seen.put(out));
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let operation = Self {
            state: take_state(take)?,
            expected: take.option(|take| match (take.u8()?, take.f64()?) {
                (0, value) => Ok(Expected::Is(value)),
                (1, level) => Ok(Expected::Above(level)),
                (2, level) => Ok(Expected::Below(level)),
                _ => Err(CodecError("an unknown expectation")),
            })?,
            started: take.flag()?,
            seen: take.option(Confirmation::take)?,
        };
        let state = &operation.state;
        let is_one = !state.is_over()
            && operation.expected.is_some() == state.confirmed_by.is_some()
            && (!operation.started || state.effect == EffectClass::AtMostOnce)
            && (operation.seen.is_none()
                || state.progress == Progress::Sent && state.confirmed_by.is_some());
        is_one
            .then_some(operation)
            .ok_or(CodecError("a command that cannot be"))
    }
}

/// A command's state, within its bounds.
fn take_state(take: &mut Take<'_>) -> Result<CommandState, CodecError> {
    let state = CommandState::take(take)?;
    let detail = state
        .answer
        .as_ref()
        .map_or(0, |answer| answer.detail.len());
    let is_bounded = state.parameters.len() <= CommandState::PARAMETERS_BYTES_MAX
        && detail <= Answer::DETAIL_BYTES_MAX;
    is_bounded
        .then_some(state)
        .ok_or(CodecError("a command that is too long"))
}
