//! A plain native reading, as nearly all are, taken off the JSON in one pass.
//!
//! Arrives: JSON text. Leaves: the same [`Draft`] that the parser (`members.rs`) makes of it; or
//! nothing, and then that one has to read it: for what is not plain (`formats/plain.rs`), attributes,
//! and members that nobody here knows. Promise: what is read here is read alike there.

use super::members::Member;
use crate::formats::draft::{Draft, Part};
use crate::formats::plain::Rest;

/// Reads a whole message, if it is a plain one.
pub(super) fn read(json: &str) -> Option<Draft<'_>> {
    let (mut rest, mut draft) = (Rest::of(json), Draft::default());
    reading(&mut rest, &mut draft)?;
    rest.is_at_end().then_some(draft)
}

/// Reads a plain reading that something may follow; where the draft lies, as copies of it cost.
#[inline]
pub(super) fn reading<'a>(rest: &mut Rest<'a>, draft: &mut Draft<'a>) -> Option<()> {
    let mut seen = 0_u16;
    rest.object(|rest, name| {
        let member = Member::named(name)?;
        let bit = 1 << member as u16;
        if seen & bit != 0 {
            return None;
        }
        seen |= bit;
        match member {
            Member::Id => draft.id = Some(Part::Payload(rest.text()?)),
            Member::Sensor => draft.sensor = Some(Part::Payload(rest.text()?)),
            Member::Kind => draft.kind = Some(Part::Payload(rest.text()?)),
            Member::Unit => draft.unit = Some(Part::Payload(rest.text()?)),
            Member::ObservedAt => draft.observed_at = Some(rest.time()?),
            Member::ReceivedAt => draft.received_at = Some(rest.time()?),
            Member::Value => draft.value = Some(rest.number()?),
            Member::Position => draft.position = Some(rest.position()?),
            Member::Attributes => return None,
        }
        Some(())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Scratch;
    use super::*;

    /// What the parser for any JSON makes of it.
    fn parsed(json: &str) -> Option<String> {
        let mut scratch = Scratch::default();
        let draft = Draft::parse(json, &mut scratch).ok()?;
        Some(format!("{draft:?} {:?}", scratch.attributes))
    }

    fn is_alike(json: &str) -> bool {
        let plain = read(json);
        let shown = |draft: &Draft<'_>| format!("{draft:?} {:?}", Scratch::default().attributes);
        plain.is_none() || plain.as_ref().map(shown) == parsed(json)
    }

    #[test]
    fn a_plain_reading_is_read_here() {
        for json in [
            r#"{"id":"e1","sensor":"s","kind":"pm25","observed_at":"2026-03-14T06:45:10.933Z","value":42.25,"unit":"ug/m3","position":[101.07000,3.12]}"#,
            r#" { "id": "é", "value": -0, "position": [ -1 , 0.5 , 12 ] } "#,
            r#"{"received_at":"2026-03-14T06:45:10Z","value":123456789012345}"#,
        ] {
            assert!(read(json).is_some(), "{json}");
            assert!(is_alike(json), "{json}");
        }
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_parser() {
        for json in [
            "",
            "{}",
            "{",
            r#"{"value":1"#,
            r#"{"value":1}}"#,
            r#"{"value":1,}"#,
            r#"{"value":01}"#,
            r#"{"value":-}"#,
            r#"{"value":1.}"#,
            r#"{"value":.5}"#,
            r#"{"value":+1}"#,
            r#"{"value":1e3}"#,
            r#"{"value":1234567890123456}"#,
            r#"{"value":12345678901.23456}"#,
            r#"{"value":"1"}"#,
            r#"{"value":1,"value":2}"#,
            r#"{"id":null}"#,
            r#"{"id":"a\n"}"#,
            "{\"id\":\"a\nb\"}",
            r#"{"id":"a"#,
            r#"{"name":"a"}"#,
            r#"{"attributes":{}}"#,
            r#"{"observed_at":"yesterday"}"#,
            r#"{"position":[1]}"#,
            r#"{"position":[1,2,3,4]}"#,
            r#"{"position":[1,91]}"#,
        ] {
            assert!(read(json).is_none(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_here_is_read_alike_there(
            json in r#"\{("(id|sensor|kind|unit|observed_at|value|position|more)" ?: ?("[aé\\"]{0,3}"|"2026-03-14T06:45:10(\.[0-9]{1,4})?Z"|-?[0-9]{1,17}(\.[0-9]{0,16})?|\[-?[0-9]{1,3}(\.[0-9]{1,8})?, ?-?[0-9]{1,2}(\.[0-9]{1,13})?\]),? ?){1,4}\} ?"#
        ) {
            prop_assert!(is_alike(&json), "{json}");
        }

        #[test]
        fn numbers_are_rounded_alike(whole in 0..1_000_000_u64, digits in "[0-9]{1,9}", minus: bool) {
            let sign = if minus { "-" } else { "" };
            let json = format!(r#"{{"value":{sign}{whole}.{digits},"position":[{sign}{}.{digits},1.{digits}]}}"#, whole % 180);
            prop_assert!(read(&json).is_some(), "{json}");
            prop_assert!(is_alike(&json), "{json}");
        }
    }
}
