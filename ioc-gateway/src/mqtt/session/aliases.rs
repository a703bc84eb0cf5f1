//! The topics that a client of version 5 has given numbers to (section 3.3.2.3.4).
//!
//! Bound: [`MqttOptions::topic_alias_max`](crate::options::MqttOptions::topic_alias_max) topics,
//! cut to what a dead letter keeps of one: a topic that is longer is none of readings, nor is it mapped, and
//! what is left of it is too long for that, too.

use crate::formats::cut;
use crate::mqtt::close::CloseReason;
use crate::mqtt::codec::{Malformed, Publish};

/// The aliases of one connection.
#[derive(Debug)]
pub(super) struct Aliases {
    max: u16,
    /// By number, from 1; empty where none is given.
    topics: Vec<Box<str>>,
}

impl Aliases {
    pub const fn new(max: u16) -> Self {
        Self {
            max,
            topics: Vec::new(),
        }
    }

    /// The topic that a message is for; remembers it if it comes with a number.
    #[inline]
    pub fn topic_of<'t>(&'t mut self, publish: &Publish<'t>) -> Result<&'t str, CloseReason> {
        match publish.topic_alias {
            Some(alias) => self.topic_by(alias, publish.topic),
            None => Ok(publish.topic),
        }
    }

    fn topic_by<'t>(&'t mut self, alias: u16, topic: &'t str) -> Result<&'t str, CloseReason> {
        if alias == 0 || alias > self.max {
            return Err(CloseReason::TopicAliasInvalid);
        }
        let place = usize::from(alias - 1);
        if topic.is_empty() {
            return match self.topics.get(place) {
                Some(topic) if !topic.is_empty() => Ok(topic),
                _ => Err(CloseReason::Malformed(Malformed::TopicMissing)),
            };
        }
        if place >= self.topics.len() {
            self.topics.resize_with(place + 1, Box::default);
        }
        let kept = cut(topic);
        if *self.topics[place] != *kept {
            self.topics[place] = kept.into();
        }
        Ok(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::TOPIC_BYTES_MAX;
    use crate::mqtt::codec::Qos;

    fn publish(topic: &str, alias: u16) -> Publish<'_> {
        Publish {
            topic,
            topic_alias: Some(alias),
            content_type: None,
            event_properties: b"",
            payload: b"",
            qos: Qos::Zero,
            duplicate: false,
            retain: false,
        }
    }

    #[test]
    fn a_number_stands_for_the_topic_that_it_came_with_last() {
        let mut aliases = Aliases::new(3);
        let nothing = Err(CloseReason::Malformed(Malformed::TopicMissing));
        assert_eq!(aliases.topic_of(&publish("", 2)), nothing);
        assert_eq!(aliases.topic_of(&publish("a", 2)), Ok("a"));
        assert_eq!(aliases.topic_of(&publish("b", 3)), Ok("b"));
        assert_eq!(aliases.topic_of(&publish("", 2)), Ok("a"));
        assert_eq!(aliases.topic_of(&publish("c", 2)), Ok("c"));
        assert_eq!(aliases.topic_of(&publish("", 2)), Ok("c"));
        assert_eq!(aliases.topic_of(&publish("", 3)), Ok("b"));
        assert_eq!(aliases.topic_of(&publish("", 1)), nothing);
    }

    #[test]
    fn numbers_and_topics_have_a_bound() {
        let mut aliases = Aliases::new(3);
        let invalid = Err(CloseReason::TopicAliasInvalid);
        assert_eq!(aliases.topic_of(&publish("a", 0)), invalid);
        assert_eq!(aliases.topic_of(&publish("a", 4)), invalid);
        let long = "ä".repeat(10_000);
        assert_eq!(aliases.topic_of(&publish(&long, 1)), Ok(&long[..]));
        assert_eq!(aliases.topic_of(&publish("", 1)).map(str::len), Ok(512));
        for topic in [
            "ä",
            "a",
            "\u{1f30a}",
            "a\u{1f30a}",
            "aa\u{1f30a}",
            "aaa\u{1f30a}",
        ] {
            let long = topic.repeat(1_000);
            aliases.topic_of(&publish(&long, 1)).unwrap();
            let kept = aliases.topic_of(&publish("", 1)).map(str::len);
            let kept = kept.unwrap();
            assert!((TOPIC_BYTES_MAX + 1..=512).contains(&kept), "{topic}");
        }
    }
}
