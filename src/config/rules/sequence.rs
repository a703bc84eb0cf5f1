//! The question `after`: one detection after another, or without another, to [`Sequence`].
//!
//! Arrives: the names of detections, how near and how soon. Leaves: a rule about what they find,
//! whose kind is that of the detection whose sensors it is about. Next: `correlation.rs`.

use std::collections::BTreeSet;

use ioc_core::bundle::{DetectionRule, Sequence, Test};
use ioc_core::decision::Certainty;
use ioc_core::id::RuleId;
use ioc_core::time::Millis;

use super::correlation::{DISTANCE_MAX_M, Known, detection};
use super::detection::{CERTAINTIES, SEVERITIES, SPAN_MAX};
use super::meaning_hash;
use crate::config::field::{Field, Section};
use crate::config::mistake::Mistakes;

/// The key that asks.
const KEY: &str = "after";

/// Whether a rule asks about other detections.
pub fn is_asked(field: &Field<'_>) -> bool {
    Section::of(field, &mut Mistakes::default()).is_some_and(|section| section.has(KEY))
}

/// Reads one rule. `sequences`: the names of all such rules, which name none of their own.
pub fn read(
    name: &str,
    field: &Field<'_>,
    known: &Known<'_>,
    sequences: &BTreeSet<&str>,
    mistakes: &mut Mistakes,
) -> Option<DetectionRule> {
    let rule_name = field.name(name, mistakes);
    let mut section = Section::of(field, mistakes)?;
    let named = |section: &mut Section<'_>, key, mistakes: &mut Mistakes| {
        section
            .optional(key)
            .map(|field| detection_of(&field, known, sequences, mistakes))
    };
    let first = named(&mut section, KEY, mistakes);
    let then = named(&mut section, "then", mistakes);
    let missing = named(&mut section, "not_followed_by", mistakes);
    let unless = named(&mut section, "unless", mistakes);
    let absent = missing.is_some();
    let then = match (then, missing) {
        (Some(_), Some(_)) => {
            let what = "asks two things, `then` and `not_followed_by`; make it two rules";
            section.wrong(mistakes, what);
            None
        }
        (None, None) => {
            let what = "says not what follows; write `then: pump-stopped`, or what must not be \
                        missing: `not_followed_by: pump-running`";
            section.wrong(mistakes, what);
            None
        }
        (then, missing) => then.or(missing).flatten(),
    };
    let within = section
        .required(mistakes, "within_time", "30 min")
        .and_then(|field| field.span(mistakes, Millis::seconds(1)..=SPAN_MAX));
    let within_m = section
        .required(mistakes, "within", "500 m")
        .and_then(|field| field.metres(mistakes, 1..=DISTANCE_MAX_M));
    let fed_by = section.optional("along").map_or(Some(false), |field| {
        field.choice(mistakes, &[("fed_by", true)])
    });
    let severity = section
        .required(mistakes, "severity", "moderate")
        .and_then(|field| field.choice(mistakes, &SEVERITIES));
    let certainty = section
        .optional("certainty")
        .map_or(Some(Certainty::Observed), |field| {
            field.choice(mistakes, &CERTAINTIES)
        });
    section.finish(mistakes);
    let (first, then) = (first.flatten()?, then?);
    if first == then {
        let what = format!("`{first}` does not follow itself; name two detections");
        field.wrong(mistakes, what);
        return None;
    }
    let unless = match unless {
        Some(unless) => Some(unless?),
        None => None,
    };
    let about = if absent { &first } else { &then };
    let kind = known.detections.iter().find(|rule| rule.name == *about);
    let mut rule = DetectionRule {
        name: rule_name?,
        hash: 0,
        kind: kind?.kind.clone(),
        matching: Vec::new(),
        settle: Millis::ZERO,
        test: Test::Sequence(Sequence {
            first,
            then,
            absent,
            unless,
            within: within?,
            within_m: within_m? as u32,
            fed_by: fed_by?,
            severity: severity?,
            certainty: certainty?,
        }),
    };
    rule.hash = meaning_hash(&format!("{:?} of {:?}", rule.test, rule.kind));
    Some(rule)
}

/// The detection that a field names, which is about readings itself.
pub fn detection_of(
    field: &Field<'_>,
    known: &Known<'_>,
    sequences: &BTreeSet<&str>,
    mistakes: &mut Mistakes,
) -> Option<RuleId> {
    let name = field.text(mistakes, "the name of a detection")?;
    if sequences.contains(name) {
        let what = format!("`{name}` is about other detections itself; name one that is not");
        field.wrong(mistakes, what);
        return None;
    }
    let named = known
        .detections
        .iter()
        .find(|rule| rule.name.as_str() == name);
    if named.is_some_and(|rule| matches!(rule.test, Test::Across(_))) {
        let what = format!("`{name}` is about several sensors itself; name one that is not");
        field.wrong(mistakes, what);
        return None;
    }
    match detection(name, known) {
        Ok(found) => found,
        Err(what) => {
            field.wrong(mistakes, what);
            None
        }
    }
}
