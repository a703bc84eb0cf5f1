//! A plain event around a plain native reading, taken off the JSON in one pass.
//!
//! Arrives: the JSON of a message in structured mode, or of a batch. Leaves: its events, opened, as
//! `cloud_events.rs` opens any; or nothing, and then that has to: for what is not plain
//! (`formats/plain.rs`), attributes that are no text, events without data, and data that is anything
//! else than one plain native reading. Promise: what is read here is read alike there; a batch is
//! read to its end before anything of it is handed over, as no event of one that breaks off is read.

use super::{Attributes, By, Data, Inner, Opened, inner};
use crate::formats::ITEMS_MAX;
use crate::formats::native;
use crate::formats::plain::Rest;

/// Reads a message of one event, if it is plain.
pub(super) fn one<'d>(json: &'d str, by: By<'_>) -> Option<Opened<'d>> {
    let mut rest = Rest::of(json);
    let event = event(&mut rest, by)?;
    rest.is_at_end().then_some(event)
}

/// An event that is opened, with the JSON that it was written with.
type Written<'d> = (Opened<'d>, &'d str);

/// How many bytes of memory the opened events of a batch may take for each of their own: a batch of
/// such that say next to nothing is read one by one.
const MEMORY_PER_BYTE: usize = 6;

/// Reads a batch of events, if all of it is plain.
pub(super) fn several<'d>(json: &'d str, by: By<'_>) -> Option<Vec<Written<'d>>> {
    let (mut rest, mut events, mut bytes) = (Rest::of(json), Vec::new(), 0);
    rest.take(b'[')?;
    loop {
        if events.len() == ITEMS_MAX {
            return None;
        }
        let written: Written<'d> = rest.with_source(|rest| event(rest, by))?;
        bytes += written.1.len();
        events.push(written);
        if events.len() * size_of::<Written<'_>>() > MEMORY_PER_BYTE * bytes {
            return None;
        }
        if !rest.goes_on(b']')? {
            return rest.is_at_end().then_some(events);
        }
    }
}

fn event<'d>(rest: &mut Rest<'d>, by: By<'_>) -> Option<Opened<'d>> {
    if by.shape.is_some() {
        // JSON is then what the mapping says.
        return None;
    }
    let (mut attributes, mut data) = (Attributes::default(), None);
    rest.object(|rest, name| {
        let is_repeated = match name {
            "data" => data.replace(native::Plain::read(rest)?).is_some(),
            "data_base64" => true,
            name => attributes.note(name, rest.text()?),
        };
        (!is_repeated).then_some(())
    })?;
    let is_native = matches!(inner(attributes.content_type, by), Ok(Inner::Native));
    let data = data.filter(|_| is_native)?;
    Some((attributes, Some(Data::Reading(data))))
}

#[cfg(test)]
mod tests;
