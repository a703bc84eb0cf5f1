//! CloudEvents in binary mode: the attributes are headers, the body is the data.
//!
//! Arrives: the headers of a request. Leaves: the event's attributes ("HTTP Protocol Binding for
//! CloudEvents 1.0", section 3.1.3), for `formats/cloud_events.rs`. The bound on a request's head
//! bounds them.

use axum::http::HeaderMap;

/// What the names of attributes begin with.
const PREFIX: &str = "ce-";
/// The attribute that each event has: without it the headers are of no event.
const VERSION: &str = "ce-specversion";

/// The attributes that the headers say, without what their names begin with; none if they are of
/// no event.
pub(super) fn attributes(headers: &HeaderMap) -> Vec<(Box<str>, String)> {
    if !headers.contains_key(VERSION) {
        return Vec::new();
    }
    let attributes = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(PREFIX)?;
        Some((name.into(), unescaped(value.as_bytes())))
    });
    attributes.collect()
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
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_headers_of_an_event_are_its_attributes() {
        let mut headers = HeaderMap::new();
        headers.insert("ce-source", HeaderValue::from_static("/pumps%20%C3%BC%2"));
        assert_eq!(attributes(&headers), [], "it is of no event");
        headers.insert("ce-specversion", HeaderValue::from_static("1.0"));
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        let mut found = attributes(&headers);
        found.sort();
        assert_eq!(
            found,
            [
                ("source".into(), "/pumps \u{fc}%2".to_owned()),
                ("specversion".into(), "1.0".to_owned())
            ]
        );
    }
}
