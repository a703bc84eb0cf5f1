//! What an operator asked to see: zones, kinds, from which severity.
//!
//! Arrives: text from `hello` or from a query. Leaves: yes or no for a decision or an incident.
//! A filter hides decisions, never numbers: frames carry the numbers that they cover.

use ioc_core::decision::{Decision, IncidentState, Severity};
use ioc_core::id::{IncidentKind, ZoneId};
use serde::Deserialize;

/// What may pass. An empty list lets everything pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Filter {
    zones: Vec<ZoneId>,
    kinds: Vec<IncidentKind>,
    severity_min: Option<Severity>,
}

/// A filter as it is written. A member that is not known is a mistake: it would show everything to
/// somebody who asked for less.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilterText {
    #[serde(default)]
    pub zone: Words,
    #[serde(default)]
    pub kind: Words,
    #[serde(default)]
    pub severity_min: Option<String>,
}

/// One word or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Words {
    One(String),
    Several(Vec<String>),
}

impl Default for Words {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Words {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(word) => std::slice::from_ref(word),
            Self::Several(words) => words,
        }
    }
}

/// The most zones, and the most kinds, in one filter.
const WORDS_MAX: usize = 256;

impl Filter {
    /// The filter that this text means, or a sentence that says what is wrong with it.
    pub(crate) fn parse(text: &FilterText) -> Result<Self, String> {
        let (zones, kinds) = (text.zone.as_slice(), text.kind.as_slice());
        if zones.len() > WORDS_MAX || kinds.len() > WORDS_MAX {
            return Err(format!(
                "a filter names at most {WORDS_MAX} zones and kinds"
            ));
        }
        let zone = |word: &String| word.parse().map_err(|e| format!("{e}: {word}"));
        let kind = |word: &String| word.parse().map_err(|e| format!("{e}: {word}"));
        Ok(Self {
            zones: zones.iter().map(zone).collect::<Result<_, _>>()?,
            kinds: kinds.iter().map(kind).collect::<Result<_, _>>()?,
            severity_min: text.severity_min.as_deref().map(severity).transpose()?,
        })
    }

    /// Whether everything passes, so that shared frames serve.
    pub(crate) fn is_open(&self) -> bool {
        self.zones.is_empty() && self.kinds.is_empty() && self.severity_min.is_none()
    }

    /// Whether an incident passes.
    pub(crate) fn shows_incident(&self, incident: &IncidentState) -> bool {
        self.shows_zone(&incident.zone)
            && (self.kinds.is_empty() || self.kinds.contains(&incident.kind))
            && self.severity_min.is_none_or(|min| incident.severity >= min)
    }

    /// Whether something in this zone passes: sensors and actuators know neither kind of incident
    /// nor severity.
    pub(crate) fn shows_zone(&self, zone: &ZoneId) -> bool {
        self.zones.is_empty() || self.zones.contains(zone)
    }

    /// Whether a decision passes. What is about no place passes always.
    pub(crate) fn shows(&self, decision: &Decision) -> bool {
        let verdict = &decision.verdict;
        if let Some(incident) = verdict.incident() {
            return self.shows_incident(incident);
        }
        let sensor = verdict.sensor().map(|sensor| &sensor.zone);
        let zone = sensor.or_else(|| verdict.command().map(|command| &command.zone));
        zone.is_none_or(|zone| self.shows_zone(zone))
    }
}

/// The severity with this word.
pub(crate) fn severity(word: &str) -> Result<Severity, String> {
    Severity::from_word(word).ok_or_else(|| {
        let words: Vec<_> = Severity::ALL.iter().map(|each| each.word()).collect();
        format!("severity_min must be one of {}: {word}", words.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::incident;

    fn filter(json: &str) -> Result<Filter, String> {
        let text = serde_json::from_str(json).map_err(|e| e.to_string())?;
        Filter::parse(&text)
    }

    #[test]
    fn shows_what_was_asked_for_and_hides_the_rest() {
        let flood = incident("a");
        let shows = |json: &str| filter(json).unwrap().shows_incident(&flood);
        assert!(shows("{}"));
        assert!(shows(
            r#"{"zone":"z21","kind":["flood","fire"],"severity_min":"severe"}"#
        ));
        assert!(!shows(r#"{"zone":["z22"]}"#));
        assert!(!shows(r#"{"kind":["fire"]}"#));
        assert!(!shows(r#"{"severity_min":"extreme"}"#));
    }

    #[test]
    fn a_filter_that_is_not_understood_is_refused_rather_than_ignored() {
        assert!(
            filter(r#"{"zones":["z21"]}"#)
                .unwrap_err()
                .contains("zones")
        );
        let error = filter(r#"{"severity_min":"grave"}"#).unwrap_err();
        assert!(error.contains("unknown, minor, moderate, severe, extreme: grave"));
        assert!(filter(r#"{"kind":"Flood"}"#).is_err());
    }

    #[test]
    fn p5_a_filter_names_no_more_words_than_its_bound() {
        let zones = |count: usize| {
            let zones: Vec<_> = (0..count).map(|n| format!("z{n}")).collect();
            filter(&serde_json::json!({ "zone": zones }).to_string())
        };
        assert!(zones(WORDS_MAX).is_ok());
        let refused = zones(WORDS_MAX + 1).unwrap_err();
        assert!(refused.contains("at most 256"), "{refused}");
    }
}
