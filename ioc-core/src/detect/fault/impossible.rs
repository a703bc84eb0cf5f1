//! Does it say what cannot be? -9999 m is a cut cable, 6553.5 °C a full register.
//!
//! Next: `skewed.rs`.

use super::{Row, Sign};
use crate::bundle::Impossible;

pub(super) fn judge(rule: &Impossible, row: &mut Row, value: f64) -> Sign {
    let too_low = rule.below.is_some_and(|least| value < least);
    let too_high = rule.above.is_some_and(|most| value > most);
    let wrong = too_low || too_high;
    row.count(wrong, rule.readings_min, rule.clear_readings_min)
}
