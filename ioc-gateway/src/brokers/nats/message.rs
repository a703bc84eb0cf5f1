//! A message of NATS as every other adapter would have it, and the other way round.
//!
//! Arrives: a subject, headers, a payload. Leaves: a [`formats::Message`] with a topic: the subject
//! with `/` for `.`, which is what mappings choose by, and the sensor or device of our own subject as
//! it is called; and with the attributes of the event whose data the payload is, if it is. Next:
//! `formats.rs`.

use std::borrow::Cow;
use std::{fmt, str};

use ioc_core::time::Timestamp;

use super::wire::{Headers, Raw};
use crate::brokers::epoch::Epoch;
use crate::formats::{self, Reason, Reject, Reply};

/// What our own subjects begin with, and the topics that they stand for.
const SUBJECTS: [(&str, &str); 2] = [
    ("ioc.v1.readings.", "ioc/v1/readings/"),
    ("ioc.v1.feedback.", "ioc/v1/feedback/"),
];
/// The header that says what a message is.
const CONTENT_TYPE: &str = "Content-Type";
/// The attribute of an event that says so, if no header does.
const CONTENT_TYPE_OF_EVENT: &str = "datacontenttype";

/// Why what deletes a key is passed over, in a word to count by.
pub(super) const DELETED: &str = "key_deleted";

/// A message, however it came.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incoming<'m> {
    pub subject: &'m str,
    /// Each with its first value.
    pub headers: &'m [(&'m str, Cow<'m, str>)],
    pub payload: &'m [u8],
}

impl Incoming<'_> {
    /// Whether it says that a key of a key-value bucket, or what a subject had, is gone (ADR-8,
    /// ADR-48): it is there for its headers, and holds nothing.
    pub fn is_deletion(&self) -> bool {
        if self.headers.is_empty() || !self.payload.is_empty() {
            return false;
        }
        let header = |name| {
            let mut headers = self.headers.iter();
            headers.find(|(known, _)| *known == name)
        };
        let operation = header("KV-Operation").map(|(_, value)| &**value);
        matches!(operation, Some("DEL" | "PURGE")) || header("Nats-Marker-Reason").is_some()
    }

    /// Takes it as one of ours; `taken_at` is when a stream took it.
    pub fn taken(
        &self,
        taken_at: Option<Timestamp>,
        topic: &mut String,
        take: impl FnOnce(formats::Message<'_>),
    ) {
        put_topic(self.subject, topic);
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| (*name, value.as_bytes()));
        let event = formats::event_of_headers(headers);
        let event = formats::borrowed(&event);
        let named = event
            .iter()
            .find(|(name, _)| *name == CONTENT_TYPE_OF_EVENT);
        take(formats::Message {
            topic,
            payload: self.payload,
            content_type: self.content_type().or(named.map(|(_, value)| *value)),
            event: &event,
            taken_at,
            behind: 0,
        });
    }

    /// What it says that it is. Names of headers have a case (ADR-4), but not everybody keeps it.
    fn content_type(&self) -> Option<&str> {
        let mut headers = self.headers.iter();
        let is_it = |name: &str| name.eq_ignore_ascii_case(CONTENT_TYPE);
        let found = headers.find(|(name, _)| is_it(name));
        found.map(|(_, value)| &**value)
    }
}

/// Reads what came, for `take`; whether its subject and its headers can be read.
pub(super) fn read(raw: Raw<'_>, take: impl FnOnce(Incoming<'_>)) -> bool {
    let subject = str::from_utf8(raw.subject).ok();
    let Some((subject, headers)) = subject.zip(Headers::read(raw.headers)) else {
        return false;
    };
    take(Incoming {
        subject,
        headers: &headers.named,
        payload: raw.payload,
    });
    true
}

/// Makes a dead letter of a message that cannot be read; `what` it is called.
pub(super) fn put_aside(
    raw: Raw<'_>,
    what: fmt::Arguments<'_>,
    topic: &mut String,
    epoch: &mut Epoch,
) {
    put_topic(&String::from_utf8_lossy(raw.subject), topic);
    let detail = format!("{what}: its headers, or its subject, cannot be read");
    let reject = Reject::new(Reason::HeadersMalformed, detail);
    epoch.take_beginning(topic, &reject, raw.payload, raw.payload.len());
}

/// Writes the topic of a subject.
pub(super) fn put_topic(subject: &str, topic: &mut String) {
    topic.clear();
    let mut own = SUBJECTS.iter().filter_map(|(subjects, topics)| {
        let token = subject.strip_prefix(subjects)?;
        (!token.contains('.')).then_some((topics, token))
    });
    match own.next() {
        Some((topics, token)) => {
            topic.push_str(topics);
            match unescaped(token) {
                Some(sensor) => topic.push_str(&sensor),
                None => topic.push_str(token),
            }
        }
        None => topic.extend(subject.chars().map(|c| if c == '.' { '/' } else { c })),
    }
}

/// The name that was made one token by [`super::token_of`].
fn unescaped(token: &str) -> Option<Cow<'_, str>> {
    if !token.contains('%') {
        return Some(token.into());
    }
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// The subject of a reply; none if its topic cannot be one.
pub(super) fn subject_of(reply: &Reply) -> Option<String> {
    let subject = reply.topic.replace('/', ".");
    let is_token =
        |token: &str| !token.is_empty() && !token.contains(['*', '>', ' ', '\t', '\r', '\n']);
    subject.split('.').all(is_token).then_some(subject)
}

#[cfg(test)]
mod tests {
    use super::super::token_of;
    use super::*;

    fn topic_of(subject: &str) -> String {
        let mut topic = "what was there before".to_owned();
        put_topic(subject, &mut topic);
        topic
    }

    #[test]
    fn a_sensor_is_one_token_whatever_its_name_and_back() {
        for name in ["wl-0412", "a.b", "pump:3@hill", "100%", "ü >*"] {
            let token = token_of(name);
            assert!(!token.contains(['.', ' ', '>', '*']), "{token}");
            let topic = topic_of(&format!("ioc.v1.readings.{token}"));
            assert_eq!(topic, format!("ioc/v1/readings/{name}"));
        }
    }

    #[test]
    fn a_subject_is_a_topic_with_a_level_for_each_token() {
        for (subject, topic) in [
            ("city.water.7", "city/water/7"),
            ("one", "one"),
            ("ioc.v1.readings.a.b", "ioc/v1/readings/a/b"),
            ("ioc.v1.readings.", "ioc/v1/readings/"),
            ("ioc.v1.readings.%4", "ioc/v1/readings/%4"),
            ("city.50%25", "city/50%25"),
        ] {
            assert_eq!(topic_of(subject), topic);
        }
    }

    /// A message with these headers, read.
    fn with<R>(headers: &[(&str, &str)], payload: &str, take: impl FnOnce(Incoming<'_>) -> R) -> R {
        let mut block = "NATS/1.0\r\n".to_owned();
        for (name, value) in headers {
            block += &format!("{name}: {value}\r\n");
        }
        block += "\r\n";
        let mut taken = None;
        let raw = Raw {
            subject: b"city.pumps",
            reply: b"",
            headers: block.as_bytes(),
            payload: payload.as_bytes(),
        };
        assert!(read(raw, |message| taken = Some(take(message))));
        taken.expect("it was taken")
    }

    #[test]
    fn a_content_type_is_known_in_any_case() {
        let content_type = |headers: &[(&str, &str)]| {
            with(headers, "{}", |message| {
                message.content_type().map(str::to_owned)
            })
        };
        let id = ("Nats-Msg-Id", "1");
        assert_eq!(content_type(&[id]), None);
        let typed = ("content-type", "application/senml+cbor");
        let other = ("content-type", "application/json");
        let said = content_type(&[id, typed, other]);
        assert_eq!(said.as_deref(), Some(typed.1), "the first value");
    }

    #[test]
    fn the_headers_of_an_event_are_its_attributes_and_say_what_its_data_is() {
        let taken_as = |headers: &[(&str, &str)]| {
            let mut said = String::new();
            with(headers, "{}", |message| {
                message.taken(None, &mut String::new(), |message| {
                    let mut event = message.event.to_vec();
                    event.sort_unstable();
                    said = format!("{} {:?} {event:?}", message.topic, message.content_type);
                });
            });
            said
        };
        let event = [("ce-specversion", "1.0"), ("ce-source", "/pumps%20north")];
        assert_eq!(
            taken_as(&event),
            r#"city/pumps None [("source", "/pumps north"), ("specversion", "1.0")]"#
        );
        let typed = [event[0], ("ce-datacontenttype", "application/senml+json")];
        assert!(taken_as(&typed).starts_with(r#"city/pumps Some("application/senml+json") [("d"#));
        let both = [typed[0], typed[1], ("Content-Type", "application/json")];
        assert!(taken_as(&both).starts_with(r#"city/pumps Some("application/json") [("d"#));
        assert_eq!(taken_as(&[("ce-id", "1")]), "city/pumps None []");
    }

    #[test]
    fn what_says_that_a_key_is_gone_holds_nothing() {
        let is_deletion =
            |header, payload| with(&[header], payload, |message| message.is_deletion());
        for header in [
            ("KV-Operation", "DEL"),
            ("KV-Operation", "PURGE"),
            ("Nats-Marker-Reason", "MaxAge"),
        ] {
            assert!(is_deletion(header, ""), "{header:?}");
            assert!(!is_deletion(header, "{}"), "{header:?}");
        }
        assert!(!is_deletion(("KV-Operation", "PUT"), ""));
        assert!(!is_deletion(("Nats-Msg-Id", "DEL"), ""));
    }

    #[test]
    fn a_reply_has_a_subject_if_its_topic_can_be_one() {
        let subject = |topic: &str| {
            subject_of(&Reply {
                topic: topic.to_owned(),
                payload: bytes::Bytes::new(),
            })
        };
        let rebirth = subject("spBv1.0/plant/NCMD/edge");
        assert_eq!(rebirth.as_deref(), Some("spBv1.0.plant.NCMD.edge"));
        for topic in ["", "/a", "a//b", "a/*", "a/>", "a b"] {
            assert_eq!(subject(topic), None, "{topic}");
        }
    }
}
