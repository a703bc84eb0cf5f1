//! Topics and the filters that choose among them (MQTT 3.1.1 and 5.0, section 4.7).

use std::fmt;
use std::str::FromStr;

/// A filter: `+` stands for one level, `#` at the end for all that follow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TopicFilter(Box<str>);

/// A text that is no filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a topic filter has `+` only as a whole level and `#` only as the last one, as in `a/+/#`")]
pub struct TopicFilterError;

impl FromStr for TopicFilter {
    type Err = TopicFilterError;

    fn from_str(text: &str) -> Result<Self, TopicFilterError> {
        let mut levels = text.split('/').peekable();
        if text.is_empty() || text.len() > 65_535 || text.contains('\0') {
            return Err(TopicFilterError);
        }
        while let Some(level) = levels.next() {
            let is_right = match level {
                "#" => levels.peek().is_none(),
                "+" => true,
                level => !level.contains(['+', '#']),
            };
            if !is_right {
                return Err(TopicFilterError);
            }
        }
        Ok(Self(text.into()))
    }
}

impl TopicFilter {
    /// Whether it chooses this topic. One that begins with a wildcard chooses none that begins
    /// with `$` (section 4.7.2).
    pub fn chooses(&self, topic: &str) -> bool {
        if topic.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let (mut wanted, mut rest) = (self.0.as_bytes(), topic.as_bytes());
        loop {
            (wanted, rest) = match (wanted, rest) {
                // Wildcards are whole levels.
                ([b'#', ..], _) => return true,
                ([b'+', wanted @ ..], _) => {
                    let level = rest.iter().position(|byte| *byte == b'/');
                    (wanted, &rest[level.unwrap_or(rest.len())..])
                }
                ([wanted, after @ ..], [byte, rest @ ..]) if wanted == byte => (after, rest),
                // `a/#` chooses `a` too (section 4.7.1.2).
                (wanted, []) => return matches!(wanted, [] | b"/#"),
                _ => return false,
            }
        }
    }

    /// Whether it chooses each topic that the other one does.
    pub fn covers(&self, other: &Self) -> bool {
        if other.0.starts_with('$') && self.0.starts_with(['+', '#']) {
            return false;
        }
        let (mut own, mut others) = (self.0.split('/'), other.0.split('/'));
        loop {
            match (own.next(), others.next()) {
                (Some("#"), _) | (None, None) => return true,
                (Some("+"), Some(level)) if level != "#" => {}
                (Some(own), Some(level)) if own == level => {}
                (Some(_) | None, _) => return false,
            }
        }
    }

    /// How many levels the topics have that it chooses, at least.
    pub fn levels(&self) -> usize {
        let levels = self.0.split('/');
        levels.filter(|level| *level != "#").count()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_filter_covers_another_if_it_chooses_each_of_its_topics() {
        let covers = |one: &str, other: &str| {
            let [one, other]: [TopicFilter; 2] = [one, other].map(|text| text.parse().unwrap());
            one.covers(&other)
        };
        for (one, other) in [
            ("#", "a/+"),
            ("a/#", "a"),
            ("a/#", "a/b/#"),
            ("a/+", "a/b"),
            ("+/+", "a/+"),
            ("a/b", "a/b"),
            ("#", "#"),
            ("$x/#", "$x/y"),
        ] {
            assert!(covers(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("a/+", "a/#"),
            ("a/b", "a/+"),
            ("a", "a/#"),
            ("#", "$x/y"),
            ("+/y", "$x/y"),
            ("a/+", "a"),
            ("a/+", "a/b/c"),
        ] {
            assert!(!covers(one, other), "{one} {other}");
        }
    }

    #[test]
    fn the_examples_of_section_4_7_are_chosen() {
        for (filter, topic, chosen) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/ranking",
                true,
            ),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/score/wimbledon",
                true,
            ),
            ("sport/#", "sport", true),
            ("#", "sport/tennis", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/load", false),
            ("+/load", "$SYS/load", false),
            ("$SYS/#", "$SYS/load", true),
            ("a/b", "a/b", true),
            ("a/b", "a", false),
            ("a", "a/b", false),
        ] {
            let filter: TopicFilter = filter.parse().unwrap();
            assert_eq!(filter.chooses(topic), chosen, "{filter} of {topic}");
        }
    }

    /// The same, level by level.
    fn chooses_levels(filter: &TopicFilter, topic: &str) -> bool {
        if topic.starts_with('$') && filter.0.starts_with(['+', '#']) {
            return false;
        }
        let mut levels = topic.split('/');
        for wanted in filter.0.split('/') {
            match (wanted, levels.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (wanted, Some(level)) if wanted == level => {}
                _ => return false,
            }
        }
        levels.next().is_none()
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: ProptestConfig::default().cases * 16,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_topic_is_chosen_as_its_levels_are(
            levels in prop::collection::vec("[+]|[ab$]{0,2}", 1..4),
            is_open: bool,
            topic in "[ab$]{0,2}(/[ab$]{0,2}){0,3}",
        ) {
            let mut filter = levels.join("/");
            if is_open {
                filter.push_str("/#");
            }
            prop_assume!(!filter.is_empty());
            let filter: TopicFilter = filter.parse().unwrap();
            prop_assert_eq!(filter.chooses(&topic), chooses_levels(&filter, &topic));
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in ["", "a/#/b", "a#", "a+/b", "+a", "a\0"] {
            assert_eq!(text.parse::<TopicFilter>(), Err(TopicFilterError), "{text}");
        }
    }
}
