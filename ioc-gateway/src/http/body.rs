//! What a request brings: one reading, an array of them, or a line for each.
//!
//! Arrives: the whole body, of one whose content type does not say that it is lines. Leaves: the bytes of each item, where they lie: nothing is copied or
//! written again as JSON. What is wrong with one item is for the decoder to say; only a body that
//! cannot be taken apart is refused as a whole.

use std::fmt;

use axum::http::HeaderValue;
use serde::Deserializer;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::answer::Refusal;
use crate::formats::bare;

/// What the request says that it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// A line for each reading, as its content type says.
    Lines,
    /// Whatever its first byte says.
    Any,
}

impl BodyKind {
    /// The kind that a content type names.
    pub fn of(content_type: Option<&HeaderValue>) -> Self {
        let value = content_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        match is_lines(value) {
            true => Self::Lines,
            false => Self::Any,
        }
    }
}

/// Whether a content type, which may have parameters, is one of lines of JSON.
pub(super) fn is_lines(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let names = [
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/json-lines",
        "application/jsonlines",
    ];
    names.iter().any(|name| essence.eq_ignore_ascii_case(name))
}

/// The items of a body.
pub(super) fn split(body: &[u8], readings_max: usize) -> Result<Vec<&[u8]>, Refusal> {
    let body = bare(body);
    let items = match body.trim_ascii_start().first() {
        None => return Err(Refusal::Malformed("the body is empty".into())),
        Some(b'[') => array(body, readings_max)?,
        Some(b'{') => object_or_lines(body, readings_max)?,
        Some(_) => {
            return Err(Refusal::Malformed(
                "the body is neither an object nor a list".into(),
            ));
        }
    };
    if items.len() > readings_max {
        return Err(Refusal::TooMany { readings_max });
    }
    Ok(items)
}

/// The lines that are not blank, up to one more than may be.
fn lines(body: &[u8], readings_max: usize) -> Vec<&[u8]> {
    body.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .take(readings_max + 1)
        .collect()
}

/// The items of an array, up to one more than may be: what lies behind is not looked at.
fn array(body: &[u8], readings_max: usize) -> Result<Vec<&[u8]>, Refusal> {
    let mut items = Items::default();
    let mut json = serde_json::Deserializer::from_slice(body);
    let wanted = Wanted {
        items: &mut items,
        readings_max,
    };
    let read = wanted.deserialize(&mut json).and_then(|()| json.end());
    match read {
        Err(_) if items.len() > readings_max => Ok(items),
        // `NaN`, say, is no JSON, and many a library writes it all the same: the reading that it is in
        // is refused, and takes no other with it.
        Err(error) => match taken_apart(body, readings_max) {
            Some(items) => Ok(items),
            None => Err(Refusal::Malformed(error.to_string())),
        },
        Ok(()) => Ok(items),
    }
}

/// The elements of an array by its brackets, commas and quotes alone, up to one more than may be; `None`
/// if they do not fit together, nothing stands where an element belongs, or something looks like a
/// comment or a text in other quotes, whose brackets and commas count for nothing.
fn taken_apart(body: &[u8], readings_max: usize) -> Option<Items<'_>> {
    let body = body.trim_ascii().strip_prefix(b"[")?.strip_suffix(b"]")?;
    let (mut items, mut open) = (Items::default(), Vec::new());
    let (mut from, mut at) = (0, 0);
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => at = end_of_text(body, at)?,
            b'/' | b'\'' => return None,
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' if open.pop() != Some(*byte) => return None,
            b',' if open.is_empty() => {
                items.push(element(&body[from..at])?);
                if items.len() > readings_max {
                    return Some(items);
                }
                from = at + 1;
            }
            _ => {}
        }
        if open.len() > DEPTH_MAX {
            return None;
        }
        at += 1;
    }
    items.push(element(&body[from..])?);
    open.is_empty().then_some(items)
}

/// How deep brackets may lie in each other in an array that is taken apart by them.
const DEPTH_MAX: usize = 128;

/// The closing quote of a text that begins there.
fn end_of_text(body: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        match body.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            // No text has a control character (RFC 8259, section 7): a quote is missing.
            0..0x20 => return None,
            _ => at += 1,
        }
    }
}

fn element(text: &[u8]) -> Option<&[u8]> {
    let element = text.trim_ascii();
    (!element.is_empty()).then_some(element)
}

type Items<'de> = Vec<&'de [u8]>;

/// Reads an array into `items` until there are too many.
struct Wanted<'a, 'de> {
    items: &'a mut Items<'de>,
    readings_max: usize,
}

impl<'de> DeserializeSeed<'de> for Wanted<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of readings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(item) = list.next_element::<&RawValue>()? {
            self.items.push(item.get().as_bytes());
            if self.items.len() > self.readings_max {
                return Err(serde::de::Error::custom("too many readings"));
            }
        }
        Ok(())
    }
}

/// One object, however many lines it takes; else lines, if the first one is an object by itself.
fn object_or_lines(body: &[u8], readings_max: usize) -> Result<Vec<&[u8]>, Refusal> {
    let error = match serde_json::from_slice::<&RawValue>(body) {
        Ok(object) => return Ok(vec![object.get().as_bytes()]),
        Err(error) => error,
    };
    let lines = lines(body, readings_max);
    match lines[..] {
        [first, _, ..] if serde_json::from_slice::<&RawValue>(first).is_ok() => Ok(lines),
        _ => Err(Refusal::Malformed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(body: &str) -> Result<Vec<&str>, Refusal> {
        let items = split(body.as_bytes(), 3)?;
        Ok(items
            .into_iter()
            .map(|item| std::str::from_utf8(item).unwrap())
            .collect())
    }

    #[test]
    fn bodies_are_told_apart_by_their_first_byte() {
        assert_eq!(items(" {\"a\":\n1}\n"), Ok(vec!["{\"a\":\n1}"]));
        assert_eq!(items("\u{feff}{}"), Ok(vec!["{}"]), "a byte order mark");
        assert_eq!(items("\u{feff}{}\n\0\0"), Ok(vec!["{}"]), "an end as in C");
        assert_eq!(items("[{}]\0"), Ok(vec!["{}"]));
        assert_eq!(
            items("[{\"a\":1}, 2,\n {}]"),
            Ok(vec!["{\"a\":1}", "2", "{}"])
        );
        assert_eq!(items("[]"), Ok(vec![]));
        assert_eq!(items("{}\r\n\n{\"a\":1}\n"), Ok(vec!["{}", "{\"a\":1}"]));
        assert_eq!(items("{}\n{broken\n{}"), Ok(vec!["{}", "{broken", "{}"]));
    }

    #[test]
    fn an_element_that_is_no_json_takes_no_other_with_it() {
        assert_eq!(
            items(r#"[{"value":NaN}, {"a":"],[\"}"} ,nonsense]"#),
            Ok(vec![r#"{"value":NaN}"#, r#"{"a":"],[\"}"}"#, "nonsense"])
        );
        assert_eq!(
            items("[NaN,NaN,{},{}]"),
            Err(Refusal::TooMany { readings_max: 3 })
        );
        for body in [
            "[NaN,]",
            "[,{}]",
            "[{},,{}]",
            r#"[{"value":NaN]"#,
            r#"[{"value":NaN}}]"#,
            r#"[{"value":NaN},{"a":"b]"#,
            "[{\"value\":NaN},{\"a\":\"b\n}]",
            "[NaN] [1]",
            "[NaN][1]",
        ] {
            let refused = items(body);
            assert!(
                matches!(refused, Err(Refusal::Malformed(_))),
                "{body}: {refused:?}"
            );
        }
        let deep = format!("[NaN,{}{}]", "[".repeat(10_000), "]".repeat(10_000));
        assert!(matches!(items(&deep), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn what_a_sender_has_commented_out_is_no_reading() {
        for body in [
            r#"[{"a":1}, /* {"b":1}, {"c":1}, */ {"d":1}]"#,
            "[{\"a\":1}, // {\"b\":1},\n {\"d\":1}]",
            r#"[{'a':'},{'}, {"d":1}]"#,
        ] {
            let refused = items(body);
            assert!(
                matches!(refused, Err(Refusal::Malformed(_))),
                "{body}: {refused:?}"
            );
        }
        let texts = r#"[{"value":NaN,"unit":"m/s"},{"name":"Jack's"}]"#;
        assert_eq!(items(texts).unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_taken_apart_is_refused() {
        for body in [
            "",
            " \n",
            "hello",
            "3.72",
            "[{}",
            "[{}]]",
            "{",
            "{\"a\":1}}",
            "{broken\n{}",
        ] {
            let refused = items(body);
            assert!(
                matches!(refused, Err(Refusal::Malformed(_))),
                "{body}: {refused:?}"
            );
        }
        for body in ["[1,2,3,4]", "[1,2,3,4,nonsense", "{}\n{}\n{}\n{}"] {
            assert_eq!(items(body), Err(Refusal::TooMany { readings_max: 3 }));
        }
    }

    #[test]
    fn p5_of_a_long_array_no_more_is_taken_than_one_too_many() {
        let long = format!("[{}1]", "1,".repeat(1000));
        assert_eq!(array(long.as_bytes(), 3).unwrap().len(), 4);
    }

    #[test]
    fn content_types_have_parameters_and_no_case() {
        let kind = |value: &str| BodyKind::of(Some(&HeaderValue::from_str(value).unwrap()));
        assert_eq!(kind("Application/X-NDJSON; charset=utf-8"), BodyKind::Lines);
        assert_eq!(kind("application/json"), BodyKind::Any);
        assert_eq!(BodyKind::of(None), BodyKind::Any);
    }
}
