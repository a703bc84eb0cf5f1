//! Which topics a connection asks for.
//!
//! A broker keeps a session's filters, also those that have been taken out of the settings since,
//! and goes on delivering by them: 3.1.1 has no way to ask which they are. So what no filter of the
//! settings chooses is acknowledged and passed over. Not here: what a broker means by a filter that
//! begins with `$` and is not shared (`$queue/…`, say): then everything is asked for.

use crate::formats::TopicFilter;

/// What the filters of one connection choose.
#[derive(Debug)]
pub(super) struct Chosen {
    /// `None`: nobody can tell but the broker.
    filters: Option<Vec<TopicFilter>>,
}

impl Chosen {
    /// What these choose, as they are subscribed to.
    pub fn by(filters: &[String]) -> Self {
        Self {
            filters: filters.iter().map(|filter| own(filter)).collect(),
        }
    }

    /// Whether one of them chooses this topic.
    pub fn has(&self, topic: &str) -> bool {
        let filters = self.filters.as_ref();
        filters.is_none_or(|filters| filters.iter().any(|filter| filter.chooses(topic)))
    }
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
    fn what_only_the_broker_understands_may_choose_anything() {
        for filter in ["$queue/city/#", "$exclusive/a", "$share/a", "$aws/things/+"] {
            assert!(chosen(&["a/b", filter]).has("city/gas"), "{filter}");
        }
    }
}
