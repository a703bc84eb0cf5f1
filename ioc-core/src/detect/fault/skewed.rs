//! Is its clock wrong? By when readings claim to be observed and when they come.
//!
//! Nothing comes before it is observed, so a time ahead of ours is a clock that is ahead. A time
//! long past may be a slow way, or a backlog: but the last reading of a backlog is fresh, so only
//! many in a row that are all old show a clock that is behind. Next: `spiking.rs`.

use super::{Heard, Row, Sign};
use crate::bundle::Skewed;
use crate::codec::{CodecError, Put, Take};

/// How many readings in a row were wrong, each way.
#[derive(Debug, Default)]
pub(super) struct Memory {
    ahead: Row,
    behind: Row,
}

impl Memory {
    pub fn judge(&mut self, rule: &Skewed, heard: Heard<'_>) -> Sign {
        let observed_at = heard.claimed_at;
        let ahead = rule.ahead.is_some_and(|most| observed_at - heard.at > most);
        let behind = rule
            .behind
            .is_some_and(|most| heard.at - observed_at > most);
        let count =
            |row: &mut Row, wrong| row.count(wrong, rule.readings_min, rule.clear_readings_min);
        match (
            count(&mut self.ahead, ahead),
            count(&mut self.behind, behind),
        ) {
            (Sign::Fault, _) | (_, Sign::Fault) => Sign::Fault,
            (Sign::Sound, Sign::Sound) => Sign::Sound,
            (Sign::Sound | Sign::Neither, Sign::Sound | Sign::Neither) => Sign::Neither,
        }
    }

    pub fn put(&self, out: &mut impl Put) {
        self.ahead.put(out);
        self.behind.put(out);
    }

    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            ahead: Row::take(take)?,
            behind: Row::take(take)?,
        })
    }
}
