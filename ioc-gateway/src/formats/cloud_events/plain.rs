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

/// Reads a batch of events, each with the JSON that it was written with, if all of it is plain.
pub(super) fn several<'d>(json: &'d str, by: By<'_>) -> Option<Vec<(Opened<'d>, &'d str)>> {
    let (mut rest, mut events) = (Rest::of(json), Vec::new());
    rest.take(b'[')?;
    loop {
        if events.len() == ITEMS_MAX {
            return None;
        }
        events.push(rest.with_source(|rest| event(rest, by))?);
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
