//! What a file of scenarios says, as data.
//!
//! Leaves: [`Script`], made by `parse.rs` and `expected.rs`, checked against rules and city by
//! `stage.rs`, played by `play.rs`. Next: `parse.rs`.

use ioc_core::decision::Step;
use ioc_core::place::Position;
use ioc_core::time::Timestamp;

use super::clock::Moment;
use crate::config::mistake::Place;

/// A file of scenarios.
#[derive(Debug)]
pub(super) struct Script {
    /// The city of this file, in place of the configuration's: a file beside it.
    pub city: Option<(String, Place)>,
    pub scenarios: Vec<Scenario>,
}

/// A story and what is to come of it.
#[derive(Debug)]
pub(super) struct Scenario {
    pub title: String,
    pub place: Place,
    /// When its first day begins.
    pub midnight: Timestamp,
    /// What happens, in the order it is written.
    pub steps: Vec<Event>,
    pub expected: Vec<Expected>,
    /// Kinds of incident that may open without being expected.
    pub ignored: Vec<(String, Place)>,
    /// It goes on at least until then.
    pub until: Option<Timestamp>,
}

/// Something that happens.
#[derive(Debug)]
pub(super) struct Event {
    pub at: Timestamp,
    pub place: Place,
    pub what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// A sensor, or a person on the phone, says something.
    Said(Said),
    /// A person takes a step with an incident.
    Took {
        by: String,
        step: Step,
        incident: Name,
    },
    /// The server begins again after it was down since then.
    Started { down_from: Timestamp },
}

#[derive(Debug)]
pub(super) struct Said {
    pub sensor: String,
    /// `None`: the one it is registered with.
    pub kind: Option<String>,
    pub value: f64,
    /// Empty: the one it is registered with.
    pub unit: String,
    pub spot: Option<Spot>,
    /// `None`: when it is said.
    pub observed: Option<Timestamp>,
    pub id: String,
    pub attributes: Vec<(String, String)>,
}

/// A place, perhaps so many metres from a registered thing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Spot {
    At(Position),
    Near {
        of: String,
        east_m: f64,
        north_m: f64,
    },
}

/// An incident by its kind and, from 1, its place among those of the kind that opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub kind: String,
    pub number: Option<usize>,
}

/// What is to be decided, or not.
#[derive(Debug)]
pub(super) struct Expected {
    pub place: Place,
    /// As it was written.
    pub text: String,
    pub what: Wanted,
    pub window: Window,
    /// Whether it is expected not to be decided.
    pub never: bool,
}

#[derive(Debug)]
pub(super) enum Wanted {
    /// No incident opens.
    Nothing,
    /// Something about an incident; `verb` is a decision's word, or `is`: any that shows it so.
    Incident {
        name: Name,
        verb: String,
        traits: Vec<Trait>,
    },
    /// Something about a sensor.
    Sensor {
        sensor: String,
        verb: String,
        /// In which way it is broken, if that is asked for.
        fault: Option<String>,
    },
    /// Something about a zone, a gateway or a feeder as a whole.
    Site {
        site: String,
        verb: String,
        /// The detection that explains it, or `Some(None)`: none does; if that is asked for.
        explained_by: Option<Option<String>>,
    },
}

/// What else is to be true of the incident then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trait {
    Severity(String),
    Certainty(String),
    Sensors(u32),
    Zone(String),
    /// A detection rule among its evidence in this decision, or its correlation rule.
    Rule(String),
    Episode(u32),
    CausedBy(Name),
    /// Nothing is known to have caused it: it is told as an alarm of its own.
    Uncaused,
    Into(Name),
}

/// When something is to be decided: from the first to the last instant, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Window {
    /// Whenever.
    pub const ANY: Self = Self {
        from: Timestamp::MIN,
        to: Timestamp::MAX,
    };

    pub fn at(moment: Moment) -> Self {
        Self {
            from: moment.at,
            to: moment.end(),
        }
    }

    pub fn has(self, at: Timestamp) -> bool {
        (self.from..=self.to).contains(&at)
    }
}
