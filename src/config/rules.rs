//! The rules: what people who run a control room write, as the types the core judges by.
//!
//! Arrives: the trees of `rules/*.yaml`, and the kinds. Leaves: detection and correlation rules,
//! sorted by name, each with the hash of its meaning: comments, order and the unit a level is
//! written in do not change it. Promise: what compiles is sound: kinds and references exist,
//! levels rise in the right direction, what is normal is not abnormal. `docs/RULES.md` is the
//! language for people. Next: `rules/detection.rs`.

pub mod detection;
pub mod threshold;
pub mod rate;
pub mod usual;
pub mod window;
pub mod becomes;
pub mod fault;
pub mod sequence;
pub mod site;
pub mod across;
pub mod alone;
pub mod correlation;
pub mod handling;
pub mod suppression;

use std::collections::BTreeMap;

use ioc_core::bundle::{
    CorrelationRule, DetectionRule, HandlingRules, Lag, SuppressionRules, Test,
};
use ioc_core::limits::SHARED_MAX;
use ioc_core::rules::{BY_PERSON, in_common};
use ioc_core::time::Millis;

use super::field::{Field, Section};
use super::kinds::Kinds;
use super::mistake::{Mistakes, Place};
use super::quantity::show_span;
use super::source::{RULES, only_shipped};
use super::suggest::did_you_mean;
use super::yaml::Node;

/// All rules of a configuration, sorted by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// What is abnormal.
    pub detections: Vec<DetectionRule>,
    /// What belongs together.
    pub correlations: Vec<CorrelationRule>,
    /// What is asked of people.
    pub handling: HandlingRules,
    /// What may be kept quiet.
    pub suppression: SuppressionRules,
}

impl Rules {
    /// The most rules that a configuration may have.
    pub const COUNT_MAX: usize = 10_000;

    /// Reads the files of rules. Mistakes are added to the first list; what is allowed but
    /// probably not meant, to the second.
    pub fn read(
        files: &[Node],
        kinds: &Kinds,
        mistakes: &mut Mistakes,
        warnings: &mut Mistakes,
    ) -> Self {
        let mut written = Written::default();
        for root in files {
            written.collect(root, mistakes);
        }
        let (sequences, others): (Vec<_>, Vec<_>) = written
            .detections
            .iter()
            .partition(|(_, rule)| sequence::is_asked(&rule.field));
        let (sites, others): (Vec<_>, Vec<_>) = others
            .into_iter()
            .partition(|(_, rule)| site::is_asked(&rule.field));
        let mut detections: Vec<_> = others
            .iter()
            .filter_map(|(name, rule)| detection::read(name, &rule.field, kinds, mistakes))
            .collect();
        let all_are_known = detections.len() == others.len();
        detection::see_states(&mut detections, kinds, |blind| {
            if !all_are_known {
                return;
            }
            let written = &written.detections[blind.as_str()];
            let what = "no level rule of this kind says what its states are; write what a change \
                        is, such as `jump: … within 5 min`";
            mistakes.add(written.place, &written.field.path, what);
        });
        detection::settle_faults(&mut detections);
        let nameable = others
            .iter()
            .map(|(name, rule)| (name.as_str(), &rule.field));
        let nameable = nameable.collect();
        for rule in &detections {
            fault::know(rule, &detections, &nameable, mistakes);
        }
        let known = correlation::Known {
            detections: &detections,
            written: others.iter().map(|(name, _)| name.as_str()).collect(),
        };
        let own_names = sequences.iter().map(|(name, _)| name.as_str()).collect();
        let sequences: Vec<_> = sequences
            .iter()
            .filter_map(|(name, rule)| {
                sequence::read(name, &rule.field, &known, &own_names, mistakes)
            })
            .collect();
        let sites: Vec<_> = sites
            .iter()
            .filter_map(|(name, rule)| site::read(name, &rule.field, &known, &own_names, mistakes))
            .collect();
        detections.extend(sequences);
        detections.extend(sites);
        detections.sort_by(|one, other| one.name.cmp(&other.name));
        let known = correlation::Known {
            detections: &detections,
            written: written.detections.keys().map(String::as_str).collect(),
        };
        let correlations: Vec<_> = written
            .correlations
            .iter()
            .filter_map(|(name, rule)| {
                correlation::read(name, &rule.field, &known, mistakes, warnings)
            })
            .collect();
        written.check_effects(&correlations, mistakes);
        written.check_in_common(&detections, &correlations, mistakes);
        written.warn_of_forgotten(&correlations, warnings);
        written.warn_of_unused(&detections, &correlations, warnings);
        written.warn_of_extremes(&detections, warnings);
        let handling = written.handling.as_ref();
        let suppression = written.suppression.as_ref();
        let known = suppression::Known {
            kinds: detections.iter().map(|rule| rule.kind.as_str()).collect(),
            rules: written.detections.keys().map(String::as_str).collect(),
        };
        let suppression = suppression.map_or(SuppressionRules::USUAL, |field| {
            suppression::read(field, &known, mistakes)
        });
        Self {
            suppression,
            detections,
            correlations,
            handling: handling
                .map_or_else(handling::usual, |field| handling::read(field, mistakes)),
        }
    }
}

/// A rule as written.
struct Rule<'a> {
    place: &'a Place,
    field: Field<'a>,
}

/// The rules of all files, by name, not yet understood.
#[derive(Default)]
struct Written<'a> {
    detections: BTreeMap<String, Rule<'a>>,
    correlations: BTreeMap<String, Rule<'a>>,
    handling: Option<Field<'a>>,
    suppression: Option<Field<'a>>,
}

impl<'a> Written<'a> {
    fn collect(&mut self, root: &'a Node, mistakes: &mut Mistakes) {
        let Some(mut file) = Section::root(root, mistakes) else {
            return;
        };
        let detections = file.optional("detections");
        let correlations = file.optional("correlations");
        let handling = file.optional("handling");
        let suppression = file.optional("suppression");
        file.finish(mistakes);
        take_once(&mut self.handling, handling, mistakes);
        take_once(&mut self.suppression, suppression, mistakes);
        if let Some(field) = detections {
            self.add(&field, |written| &mut written.detections, mistakes);
        }
        if let Some(field) = correlations {
            self.add(&field, |written| &mut written.correlations, mistakes);
        }
    }

    fn add(
        &mut self,
        field: &Field<'a>,
        of: fn(&mut Self) -> &mut BTreeMap<String, Rule<'a>>,
        mistakes: &mut Mistakes,
    ) {
        let Some(section) = Section::of(field, mistakes) else {
            return;
        };
        for (entry, field) in section.entries() {
            if entry.key == BY_PERSON {
                let what = "is what evidence given by a person names; rename the rule";
                mistakes.add(&entry.place, &field.path, what);
            }
            if let Some(first) = self.named(&entry.key) {
                let what = format!(
                    "a rule of this name is already at {}; rename one",
                    first.place
                );
                mistakes.add(&entry.place, &field.path, what);
                continue;
            }
            if self.detections.len() + self.correlations.len() == Rules::COUNT_MAX {
                let what = format!("more than {} rules", Rules::COUNT_MAX);
                mistakes.add(&entry.place, &field.path, what);
                return;
            }
            let place = &entry.place;
            of(self).insert(entry.key.clone(), Rule { place, field });
        }
    }

    /// Detections and correlations share their names: a decision names only one rule.
    fn named(&self, name: &str) -> Option<&Rule<'a>> {
        self.detections
            .get(name)
            .or_else(|| self.correlations.get(name))
    }

    /// What an incident may cause is a kind that some correlation makes. While a correlation has
    /// mistakes of its own, nobody knows what it makes.
    fn check_effects(&self, correlations: &[CorrelationRule], mistakes: &mut Mistakes) {
        if correlations.len() != self.correlations.len() {
            return;
        }
        let made: Vec<_> = correlations.iter().map(|rule| &rule.incident).collect();
        for rule in correlations {
            for effect in &rule.may_cause {
                if made.contains(&&effect.incident) {
                    continue;
                }
                let written = &self.correlations[rule.name.as_str()];
                let names = made.iter().map(|kind| kind.as_str());
                let hint = match did_you_mean(effect.incident.as_str(), names) {
                    none if none.is_empty() => {
                        let made = format!("incident: {}", effect.incident);
                        only_shipped(RULES, |line| line.trim() == made).unwrap_or_default()
                    }
                    hint => hint,
                };
                let what = format!("no correlation makes incidents `{}`{hint}", effect.incident);
                let key = correlation::effect_key(effect);
                let path = format!("{}.{key}", written.field.path);
                mistakes.add(written.place, &path, what);
            }
        }
    }

    /// What evidence has in common with others is carried by it, up to a bound.
    fn check_in_common(
        &self,
        detections: &[DetectionRule],
        correlations: &[CorrelationRule],
        mistakes: &mut Mistakes,
    ) {
        let all = in_common(detections, correlations);
        for (rule, names) in detections.iter().zip(all) {
            let distinct = match &rule.test {
                Test::Report(report) => report.distinct.as_deref(),
                _ => None,
            };
            let count = names.len() + usize::from(distinct.is_some());
            let written = self.detections.get(rule.name.as_str());
            if let Some(written) = written.filter(|_| count > SHARED_MAX) {
                let names = names.iter().map(|name| name.trim_start());
                let names: Vec<_> = distinct.into_iter().chain(names).collect();
                let what = format!(
                    "{count} names are asked of what it finds by `same` and `group_by` of the \
                     correlations that take it, and by `distinct`: {}; at most {SHARED_MAX} can be: write \
                     fewer, or another detection like it for some of these correlations",
                    names.join(", ")
                );
                mistakes.add(written.place, &written.field.path, what);
            }
        }
    }

    /// What may be caused by an incident for longer than that is remembered is not.
    fn warn_of_forgotten(&self, correlations: &[CorrelationRule], warnings: &mut Mistakes) {
        for rule in correlations {
            let (clears, reopens) = (rule.clear_after, rule.reopen_within);
            let kept = Millis(clears.0.saturating_add(reopens.0));
            for effect in &rule.may_cause {
                let (key, lag) = match effect.lag {
                    Lag::AfterLast(lag) => ("after", lag),
                    Lag::AfterOpening(lag) => ("after_opening", lag),
                };
                if lag <= kept {
                    continue;
                }
                let written = &self.correlations[rule.name.as_str()];
                let (of, incident) = (correlation::effect_key(effect), &effect.incident);
                let path = format!("{}.{of}.{incident}.{key}", written.field.path);
                let [lag, kept, clears, reopens, longer] =
                    [lag, kept, clears, reopens, Millis(lag.0 - clears.0)].map(show_span);
                let what = format!(
                    "{lag} may be more than there is: an incident is forgotten {kept} after the last \
                     that is heard of it (`clear_after` {clears} and `reopen_within` {reopens}), and \
                     causes nothing from then on; write `reopen_within: {longer}`, or \
                     `{key}: {kept}`"
                );
                warnings.add(written.place, &path, what);
            }
        }
    }

    /// Percentiles that are the greatest or the least of so few sensors as a rule asks for.
    fn warn_of_extremes(&self, detections: &[DetectionRule], warnings: &mut Mistakes) {
        for rule in detections {
            let written = self.detections.get(rule.name.as_str());
            let doubt = across::is_of_one(rule);
            if let (Some(written), Some(what)) = (written, doubt) {
                warnings.add(written.place, &written.field.path, what);
            }
        }
    }

    fn warn_of_unused(
        &self,
        detections: &[DetectionRule],
        correlations: &[CorrelationRule],
        warnings: &mut Mistakes,
    ) {
        for detection in detections
            .iter()
            .filter(|rule| !detection::is_of_sensor(rule))
        {
            let taken = correlations
                .iter()
                .any(|correlation| correlation.detections.contains(&detection.name))
                || detections.iter().any(|other| other.names(&detection.name));
            if let Some(rule) = self
                .detections
                .get(detection.name.as_str())
                .filter(|_| !taken)
            {
                let what = "no correlation takes it, so it changes nothing; \
                            name it in a correlation's `from`, or remove it";
                warnings.add(rule.place, &rule.field.path, what);
            }
        }
    }
}

/// Takes a section that stands in one of the files.
fn take_once<'a>(taken: &mut Option<Field<'a>>, found: Option<Field<'a>>, mistakes: &mut Mistakes) {
    match (&taken, found) {
        (Some(first), Some(second)) => {
            let what = format!("is already at {}; write one of them", first.node.place);
            second.wrong(mistakes, what);
        }
        (None, found @ Some(_)) => *taken = found,
        (_, None) => {}
    }
}

/// The hash of a rule's meaning, given as a canonical text.
fn meaning_hash(meaning: &str) -> u64 {
    let digest = blake3::hash(meaning.as_bytes());
    let first = digest
        .as_bytes()
        .first_chunk()
        .expect("a digest is 32 bytes");
    u64::from_le_bytes(*first)
}

#[cfg(test)]
mod tests;
