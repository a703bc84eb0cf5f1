//! Is its clock wrong? By when readings claim to be observed and when they come.
//!
//! Nothing comes before it is observed, so a time ahead of ours is a clock that is ahead. A time
//! long past may be a slow way, or a backlog: but the last reading of a backlog is fresh, so only
//! many in a row that are all old show a clock that is behind. One that is found to be set back
//! (`memory.rs`) is behind, however little, until its readings are not half as old as then.
//! Next: `spiking.rs`.

use super::{Heard, Row, Sign};
use crate::bundle::Skewed;
use crate::codec::{CodecError, Put, Take};
use crate::limits::CLOCK_SET_BACK_LASTING;
use crate::time::Millis;

/// How many readings in a row were wrong, each way.
#[derive(Debug, Default)]
pub(super) struct Memory {
    ahead: Row,
    behind: Row,
    /// The clock was set back, and readings were so old by it.
    set_back: Option<Millis>,
}

impl Memory {
    pub fn judge(&mut self, rule: &Skewed, heard: Heard<'_>) -> Sign {
        let observed_at = heard.claimed_at;
        let age = heard.at - observed_at;
        let ahead = rule.ahead.is_some_and(|most| observed_at - heard.at > most);
        let set_back = self.set_back.is_some_and(|then| age.0 >= then.0 / 2);
        let behind = set_back || rule.behind.is_some_and(|most| age > most);
        let count =
            |row: &mut Row, wrong| row.count(wrong, rule.readings_min, rule.clear_readings_min);
        let (ahead, behind) = (
            count(&mut self.ahead, ahead),
            count(&mut self.behind, behind),
        );
        if behind == Sign::Sound {
            self.set_back = None;
        }
        match (ahead, behind) {
            (Sign::Fault, _) | (_, Sign::Fault) => Sign::Fault,
            (Sign::Sound, Sign::Sound) => Sign::Sound,
            (Sign::Sound | Sign::Neither, Sign::Sound | Sign::Neither) => Sign::Neither,
        }
    }

    /// The clock was set back: the reading that comes with this shows it, for those before it did.
    /// One that was ahead and is right now is not wrong.
    pub fn set_clock_back(&mut self, rule: &Skewed, age: Millis) {
        if rule.behind.is_some() && age >= CLOCK_SET_BACK_LASTING {
            self.set_back = Some(age);
            self.behind = Row {
                wrong: rule.readings_min,
                right: 0,
            };
        }
    }

    pub fn put(&self, out: &mut impl Put) {
        self.ahead.put(out);
        self.behind.put(out);
        out.put_option(self.set_back, |out, age| {
            out.put_u64(age.0.unsigned_abs());
        });
    }

    /// Before format 7 a clock that was set back was not told.
    pub fn take(format: u16, take: &mut Take<'_>) -> Result<Self, CodecError> {
        let age = |take: &mut Take<'_>| match i64::try_from(take.u64()?) {
            Ok(age) => Ok(Millis(age)),
            Err(_) => Err(CodecError("a clock that was set back for ever")),
        };
        Ok(Self {
            ahead: Row::take(take)?,
            behind: Row::take(take)?,
            set_back: match format {
                1..=6 => None,
                _ => take.option(age)?,
            },
        })
    }
}
