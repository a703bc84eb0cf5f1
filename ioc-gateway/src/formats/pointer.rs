//! JSON pointers (RFC 6901): a place within a message.
//!
//! Arrives: `/readings/0/value` of a configuration. Leaves: the value there, if there is one.

use std::fmt;
use std::str::FromStr;

use super::Reject;
use super::json::Value;

/// A place within a message: the names of members and the numbers of elements on the way to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pointer {
    /// As it was written.
    text: Box<str>,
    steps: Box<[Box<str>]>,
}

/// A text that is no pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a place is written `/member/0/member`, with `~1` for `/` and `~0` for `~` in a name")]
pub struct PointerError;

impl FromStr for Pointer {
    type Err = PointerError;

    /// Section 3 and, of `~0` and `~1`, section 4.
    fn from_str(text: &str) -> Result<Self, PointerError> {
        let mut steps = text.split('/');
        if steps.next() != Some("") {
            return Err(PointerError);
        }
        let step = |step: &str| {
            let mut tildes = step.split('~').skip(1);
            let is_right = tildes.all(|after| after.starts_with(['0', '1']));
            let unescaped = step.replace("~1", "/").replace("~0", "~");
            is_right.then(|| unescaped.into_boxed_str())
        };
        Ok(Self {
            text: text.into(),
            steps: steps.map(step).collect::<Option<_>>().ok_or(PointerError)?,
        })
    }
}

impl Pointer {
    /// The value at this place of `value`, section 4; `None` if there is none.
    pub(super) fn of<'d>(&self, value: Value<'d>) -> Result<Option<Value<'d>>, Reject> {
        walk(&self.steps, value)
    }

    /// The same from where the first step leads to.
    pub(super) fn rest_of<'d>(&self, value: Value<'d>) -> Result<Option<Value<'d>>, Reject> {
        walk(self.steps.get(1..).unwrap_or_default(), value)
    }

    /// The name or the number that it begins with; `None` if it stays where it is.
    pub fn first(&self) -> Option<&str> {
        self.steps.first().map(|step| &**step)
    }
}

fn walk<'d>(steps: &[Box<str>], mut value: Value<'d>) -> Result<Option<Value<'d>>, Reject> {
    for name in steps {
        match step(name, value)? {
            Some(inner) => value = inner,
            None => return Ok(None),
        }
    }
    Ok(Some(value))
}

/// The member of this name, or the element of this number.
pub(super) fn step<'d>(name: &str, value: Value<'d>) -> Result<Option<Value<'d>>, Reject> {
    if value.is_object() {
        return value.member(name);
    }
    Ok(number(name).and_then(|number| value.elements()?.nth(number)))
}

/// So much of a key stands in a place; no dead letter keeps more of one.
const KEY_CHARS_WRITTEN: usize = 512;
/// So much of the end of a longer key tells it from others where a letter keeps its place.
const KEY_END_BYTES: usize = 4096;

/// Writes a key as a step of a place. Of a long one its beginning: it is written for each of the
/// thousands in it; and, where a letter is to keep it, what tells it from others that begin so.
pub(super) fn write_key(key: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write_beginning(key, KEY_CHARS_WRITTEN, f)
}

/// The same of so many characters at most.
pub(super) fn write_beginning(key: &str, chars: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("/")?;
    let mut written = key.chars();
    let begin = written.by_ref().take(chars);
    { begin }.try_for_each(|character| match character {
        '~' => f.write_str("~0"),
        '/' => f.write_str("~1"),
        other => fmt::Write::write_char(f, other),
    })?;
    if !f.alternate() || written.as_str().is_empty() {
        return Ok(());
    }
    let end = &key.as_bytes()[key.len().saturating_sub(KEY_END_BYTES)..];
    write!(f, "#{} {}", key.len(), &blake3::hash(end).to_hex()[..16])
}

/// The number of an element: digits without a leading zero.
fn number(step: &str) -> Option<usize> {
    let is_plain = step == "0" || !step.starts_with(['0', '+']);
    step.parse().ok().filter(|_| is_plain)
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::Index;
    use super::*;

    #[test]
    fn the_examples_of_section_5_are_found() {
        let json = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,
            "k\"l":6," ":7,"m~n":8}"#;
        let mut index = Index::default();
        let root = index.read(json).unwrap();
        let at = |text: &str| {
            let pointer: Pointer = text.parse().unwrap();
            assert_eq!(pointer.to_string(), text);
            pointer.of(root).unwrap().map(|value| value.source())
        };
        assert_eq!(at(""), Some(json));
        assert_eq!(at("/foo"), Some(r#"["bar","baz"]"#));
        assert_eq!(at("/foo/0"), Some("\"bar\""));
        assert_eq!(at("/"), Some("0"));
        assert_eq!(at("/a~1b"), Some("1"));
        assert_eq!(at("/c%d"), Some("2"));
        assert_eq!(at("/e^f"), Some("3"));
        assert_eq!(at("/g|h"), Some("4"));
        assert_eq!(at("/i\\j"), Some("5"));
        assert_eq!(at("/k\"l"), Some("6"));
        assert_eq!(at("/ "), Some("7"));
        assert_eq!(at("/m~0n"), Some("8"));
        for nothing in [
            "/foo/2", "/foo/00", "/foo/+1", "/foo/-", "/foo/0/x", "/nothing",
        ] {
            assert_eq!(at(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        for text in ["foo", "#/foo", "/a~", "/a~2", " /a"] {
            assert_eq!(text.parse::<Pointer>(), Err(PointerError), "{text}");
        }
    }
}
