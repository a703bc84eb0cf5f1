//! Message formats: bytes of a payload to readings, or to dead letters with a reason.
//!
//! One file for each format. What every adapter does with a payload is here.

pub mod native;
mod reject;
pub mod units;

use ioc_core::record::Input;

use crate::catalogue::Catalogue;
use crate::door::Inputs;

pub(crate) use reject::cut;
pub use reject::{Origin, Reason, Reject, append_beginning, append_dead_letter};

/// Appends the reading in a native payload, or the payload as a dead letter; never neither.
pub fn append_native(
    inputs: &mut Inputs,
    payload: &[u8],
    topic_sensor: Option<&str>,
    origin: Origin<'_>,
    catalogue: &Catalogue,
    scratch: &mut native::Scratch,
) -> Result<(), Reject> {
    match native::decode(payload, topic_sensor, catalogue, scratch) {
        Ok(reading) => {
            inputs.push(&Input::Reading(reading));
            Ok(())
        }
        Err(reject) => {
            append_dead_letter(inputs, origin, &reject, payload);
            Err(reject)
        }
    }
}
