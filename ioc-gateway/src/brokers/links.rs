//! The state of each link to a broker elsewhere, for people and for orchestrators.
//!
//! Arrives: what each link says of itself. Leaves: one line for each. Bound: one entry for each
//! connection that is configured, and for each session that is read out; none is added later.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry;

/// All links of the process: cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Links(Arc<Mutex<BTreeMap<String, LinkState>>>);

/// What a link does.
#[derive(Debug, Clone)]
pub enum LinkState {
    /// It has not been there yet.
    Connecting,
    /// It works.
    Up {
        /// What is not as it should be all the same.
        but: Option<Cow<'static, str>>,
    },
    /// It works, and somebody has told its server to deliver nothing for a while.
    Paused {
        /// Until then, as far as is known.
        until: Instant,
        /// What is not as it should be when it goes on.
        but: Option<Cow<'static, str>>,
    },
    /// It broke, or could not be made; it is tried again.
    Down {
        /// Since when.
        since: Instant,
        /// Why, in words.
        why: String,
    },
    /// It was given up because this process ends.
    Ended,
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting"),
            Self::Up { but: None } => f.write_str("up"),
            Self::Up { but: Some(but) } => write!(f, "up, but {but}"),
            Self::Paused { until, .. } => {
                let left = until.saturating_duration_since(Instant::now()).as_secs();
                write!(
                    f,
                    "paused on its server for another {left} s: nothing is delivered"
                )
            }
            Self::Down { since, why } => {
                write!(f, "down for {} s: {why}", since.elapsed().as_secs())
            }
            Self::Ended => f.write_str("ended"),
        }
    }
}

impl Links {
    /// Each link's name and state, by name.
    pub fn states(&self) -> Vec<(String, LinkState)> {
        self.with(|links| links.clone().into_iter().collect())
    }

    /// A new link.
    pub fn add(&self, name: &str) -> Link {
        let link = Link {
            links: self.clone(),
            name: name.to_owned(),
        };
        link.set(LinkState::Connecting);
        telemetry::broker_link(name, false);
        link
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, LinkState>) -> T) -> T {
        // A panic while it was held cannot have left the table in a bad state.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One link's end of the table.
#[derive(Debug)]
pub struct Link {
    links: Links,
    name: String,
}

impl Link {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it works, or did until just now.
    pub fn is_up(&self) -> bool {
        matches!(
            self.state(),
            Some(LinkState::Up { .. } | LinkState::Paused { .. })
        )
    }

    fn state(&self) -> Option<LinkState> {
        self.links.with(|links| links.get(&self.name).cloned())
    }

    /// It works, and its server is told to deliver nothing for so long.
    pub fn paused(&self, left: Duration) {
        let until = Instant::now() + left;
        let but = match self.state() {
            Some(LinkState::Up { but }) => {
                telemetry::broker_paused(&self.name, left);
                but
            }
            Some(LinkState::Paused { but, .. }) => but,
            Some(LinkState::Connecting | LinkState::Down { .. } | LinkState::Ended) | None => {
                return;
            }
        };
        self.set(LinkState::Paused { until, but });
    }

    /// Its server delivers; it goes on as it was, if it was paused.
    pub fn resumed(&self) {
        if let Some(LinkState::Paused { but, .. }) = self.state() {
            telemetry::broker_resumed(&self.name);
            self.set(LinkState::Up { but });
        }
    }

    /// It works.
    pub fn up(&self) {
        self.set(LinkState::Up { but: None });
        telemetry::broker_up(&self.name);
    }

    /// It works, but for something that people should know.
    pub fn up_but(&self, but: impl Into<Cow<'static, str>>) {
        let but = but.into();
        self.set(LinkState::Up {
            but: Some(but.clone()),
        });
        telemetry::broker_up(&self.name);
        telemetry::broker_up_but(&self.name, &but);
    }

    /// It broke, or could not be made. What is down stays so since when it was.
    pub fn down(&self, why: &str) {
        let was = self.links.with(|links| links.get(&self.name).cloned());
        let since = match was {
            Some(LinkState::Down { since, .. }) => since,
            Some(
                LinkState::Connecting
                | LinkState::Up { .. }
                | LinkState::Paused { .. }
                | LinkState::Ended,
            )
            | None => Instant::now(),
        };
        let is_news = !matches!(&was, Some(LinkState::Down { why: before, .. }) if before == why);
        let why = why.to_owned();
        telemetry::broker_down(&self.name, &why, is_news);
        self.set(LinkState::Down { since, why });
    }

    /// This process ends.
    pub fn ended(&self) {
        self.set(LinkState::Ended);
        telemetry::broker_link(&self.name, false);
    }

    /// It has done what it was for, and is no link any more.
    pub fn over(&self) {
        telemetry::broker_link(&self.name, false);
        self.links.with(|links| links.remove(&self.name));
    }

    fn set(&self, state: LinkState) {
        self.links
            .with(|links| links.insert(self.name.clone(), state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_down_since_it_broke_whatever_its_attempts_say() {
        let links = Links::default();
        let link = links.add("mqtt city");
        assert_eq!(links.states()[0].1.to_string(), "connecting");
        link.up();
        assert_eq!(links.states()[0].1.to_string(), "up");
        link.down("closed");
        let since = |links: &Links| match &links.states()[0].1 {
            LinkState::Down { since, why } => (*since, why.clone()),
            other => panic!("{other:?}"),
        };
        let first = since(&links);
        link.down("refused");
        assert_eq!(since(&links), (first.0, "refused".to_owned()));
        let said = links.states()[0].1.to_string();
        link.paused(Duration::from_secs(60));
        assert_eq!(
            links.states()[0].1.to_string(),
            said,
            "what is down is not paused"
        );
        assert!(said.starts_with("down for ") && said.ends_with(" s: refused"));
    }

    #[test]
    fn a_link_that_is_paused_goes_on_as_it_was() {
        let links = Links::default();
        let link = links.add("nats city");
        link.up_but("odd");
        link.paused(Duration::from_secs(3600));
        let said = links.states()[0].1.to_string();
        assert!(
            said.starts_with("paused on its server for another 3"),
            "{said}"
        );
        assert!(link.is_up());
        link.resumed();
        assert_eq!(links.states()[0].1.to_string(), "up, but odd");
    }
}
