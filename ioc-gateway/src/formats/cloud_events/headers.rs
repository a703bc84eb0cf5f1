//! Events in binary mode whose attributes are headers: of HTTP and of NATS, in the same way.
//!
//! Arrives: the headers of a message. Leaves: the event's attributes ("HTTP Protocol Binding for
//! CloudEvents 1.0", section 3.1.3; "NATS Protocol Binding", section 3.1). Whatever bounds the
//! headers bounds them. Over MQTT, attributes are user properties of their own names.

/// What the names of attributes begin with.
const PREFIX: &str = "ce-";
/// The attribute that each event has: without it the headers are of no event.
const VERSION: &str = "specversion";

/// The attributes that the headers say, without what their names begin with; none if they are of
/// no event. Names have no case.
pub fn attributes_of<'h>(
    headers: impl Iterator<Item = (&'h str, &'h [u8])>,
) -> Vec<(Box<str>, String)> {
    let attribute = |(name, value): (&str, &[u8])| {
        let (prefix, name) = name.split_at_checked(PREFIX.len())?;
        let is_one = prefix.eq_ignore_ascii_case(PREFIX);
        is_one.then(|| (name.to_ascii_lowercase().into(), unescaped(value)))
    };
    let attributes: Vec<(Box<str>, String)> = headers.filter_map(attribute).collect();
    match attributes.iter().any(|(name, _)| &**name == VERSION) {
        true => attributes,
        false => Vec::new(),
    }
}

/// The attributes as a message has them.
pub(crate) fn borrowed(attributes: &[(Box<str>, String)]) -> Vec<(&str, &str)> {
    let attributes = attributes.iter();
    attributes
        .map(|(name, value)| (&**name, value.as_str()))
        .collect()
}

/// Section 3.1.3.2: what is not printable ASCII is percent-encoded UTF-8.
fn unescaped(value: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let (byte, behind) = match escaped {
            Some((high, low)) => (high << 4 | low, &after[2..]),
            None => (first, after),
        };
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_of_an_event_are_its_attributes() {
        let source = ("ce-source", &b"/pumps%20%C3%BC%2"[..]);
        let other = ("content-type", &b"text/plain"[..]);
        let none = attributes_of([source, other, ("c", b""), ("\u{fc}\u{fc}", b"")].into_iter());
        assert_eq!(none, [], "it is of no event");
        let version = ("Ce-SpecVersion", &b"1.0"[..]);
        assert_eq!(
            attributes_of([source, other, version].into_iter()),
            [
                ("source".into(), "/pumps \u{fc}%2".to_owned()),
                ("specversion".into(), "1.0".to_owned())
            ]
        );
    }
}
