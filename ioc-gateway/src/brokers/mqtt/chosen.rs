//! Which topics a link asks for.
//!
//! A broker keeps a session's filters, also those that have been taken out of the settings since,
//! and goes on delivering by them: 3.1.1 has no way to ask which they are. So what no filter of the
//! settings chooses is acknowledged and passed over. Not here: what a broker means by a filter that
//! begins with `$` and is not shared (`$queue/…`, say): then everything is asked for.

use crate::formats::TopicFilter;

/// What the filters of a link choose.
#[derive(Debug)]
pub(super) struct Chosen {
    /// `None`: nobody can tell but the broker.
    filters: Option<Vec<TopicFilter>>,
}

impl Chosen {
    /// What these choose, as they are subscribed to.
    pub fn by<'f>(filters: impl IntoIterator<Item = &'f String>) -> Self {
        Self {
            filters: filters.into_iter().map(|filter| own(filter)).collect(),
        }
    }

    /// Whether one of them chooses this topic.
    pub fn has(&self, topic: &str) -> bool {
        let filters = self.filters.as_ref();
        filters.is_none_or(|filters| filters.iter().any(|filter| filter.chooses(topic)))
    }
}

/// Those of these filters that no other covers: brokers may deliver a message once for each
/// subscription that chooses it (5.0: section 3.3.4).
pub(super) fn widest(filters: &[String]) -> impl Iterator<Item = &String> {
    let read: Vec<_> = filters.iter().map(|filter| own(filter)).collect();
    let covers = move |wide: usize, narrow: usize| {
        let [wide, narrow] = [wide, narrow].map(|at| read[at].as_ref());
        wide.zip(narrow)
            .is_some_and(|(wide, narrow)| wide.covers(narrow))
    };
    // Of two that choose the same, the first.
    let is_covered = move |narrow: usize| {
        (0..filters.len()).any(|wide| {
            wide != narrow && covers(wide, narrow) && (wide < narrow || !covers(narrow, wide))
        })
    };
    let all = filters.iter().enumerate();
    all.filter(move |(at, _)| !is_covered(*at))
        .map(|(_, filter)| filter)
}

/// A filter without the group that shares it (5.0: section 4.8.2); `None` if it is one that only
/// the broker understands.
fn own(filter: &str) -> Option<TopicFilter> {
    let own = match filter.strip_prefix("$share/") {
        Some(shared) => shared.split_once('/')?.1,
        None if filter.starts_with('$') && !filter.starts_with("$SYS/") => return None,
        None => filter,
    };
    own.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(filters: &[&str]) -> Chosen {
        let filters: Vec<_> = filters.iter().map(|filter| (*filter).to_owned()).collect();
        Chosen::by(&filters)
    }

    #[test]
    fn what_no_filter_chooses_is_not_asked_for() {
        let own = chosen(&["city/water/#", "$share/ioc/air/+/raw", "$SYS/load"]);
        for topic in ["city/water/7", "city/water", "air/1/raw", "$SYS/load"] {
            assert!(own.has(topic), "{topic}");
        }
        for topic in ["city/gas/7", "air/1", "$SYS/other"] {
            assert!(!own.has(topic), "{topic}");
        }
    }

    #[test]
    fn what_another_covers_is_not_asked_for_twice() {
        for (filters, asked) in [
            (&["city/+/s1", "city/#", "city/a/#"][..], &["city/#"][..]),
            (&["city/a", "city/b/#"], &["city/a", "city/b/#"]),
            (
                &["#", "$SYS/load", "$queue/a"],
                &["#", "$SYS/load", "$queue/a"],
            ),
            (&["city/a", "city/a"], &["city/a"]),
        ] {
            let filters: Vec<_> = filters.iter().map(|each| (*each).to_owned()).collect();
            let widest: Vec<_> = widest(&filters).collect();
            assert_eq!(widest, asked);
        }
    }

    #[test]
    fn what_only_the_broker_understands_may_choose_anything() {
        for filter in ["$queue/city/#", "$exclusive/a", "$share/a", "$aws/things/+"] {
            assert!(chosen(&["a/b", filter]).has("city/gas"), "{filter}");
        }
    }
}
