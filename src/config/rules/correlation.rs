//! Correlation rules: text to [`CorrelationRule`].
//!
//! A rule lists the detections that speak of one kind of incident, how near and how soon they
//! must be, and how much evidence opens one: a number of sources (`sources: 2`), or weights for
//! each detection and the sum that is enough (`from: { river-high: 3, flood-call: 1 }`,
//! `opens_at: 3`). `along` names the networks that it follows (`correlation/along.rs`).

mod along;
mod effects;

pub use self::effects::key_of as effect_key;

use std::collections::{BTreeMap, BTreeSet};

use ioc_core::bundle::{Along, CorrelationRule, DetectionRule, Front};
use ioc_core::id::RuleId;
use ioc_core::time::Millis;

use super::detection::{SPAN_MAX, is_of_sensor};
use super::meaning_hash;
use crate::config::field::{Field, Section};
use crate::config::mistake::Mistakes;
use crate::config::quantity::{metres, show_span};
use crate::config::source::{RULES, only_shipped};
use crate::config::suggest::did_you_mean;
use crate::config::yaml::Value;

/// The greatest distance that a rule may speak of, in metres.
pub const DISTANCE_MAX_M: i64 = 1_000_000;
pub(super) const SOURCES_MAX: u64 = 1000;
/// The fastest front, in metres a second.
pub const SPEED_MAX: i64 = 100_000;
const WEIGHT_MAX: u64 = 1000;
/// How many names a rule may ask to be in common.
const SAME_MAX: usize = 4;
/// What every reading has, which no two have in common by a cause.
pub(super) const NO_ATTRIBUTES: [&str; 8] = [
    "id",
    "sensor",
    "kind",
    "value",
    "unit",
    "position",
    "observed_at",
    "received_at",
];
/// When an incident is over once its sensors are normal, if the rule does not say.
const CLEAR_AFTER: Millis = Millis::minutes(10);
/// How long it can come back after that, if the rule does not say.
const REOPEN_WITHIN: Millis = Millis::minutes(30);

/// The detection rules that a correlation may name.
pub struct Known<'a> {
    /// Those that are sound, sorted by name.
    pub detections: &'a [DetectionRule],
    /// The names of all that are written, so that one mistake is not told twice.
    pub written: Vec<&'a str>,
}

/// Reads one rule.
pub fn read(
    name: &str,
    field: &Field<'_>,
    known: &Known<'_>,
    mistakes: &mut Mistakes,
    warnings: &mut Mistakes,
) -> Option<CorrelationRule> {
    let rule_name = field.name(name, mistakes);
    let mut section = Section::of(field, mistakes)?;
    let incident = section
        .required(mistakes, "incident", "flood")
        .and_then(|field| field.parsed(mistakes));
    let from = section
        .required(mistakes, "from", "[river-high, flood-call]")
        .and_then(|field| from(&field, known, mistakes));
    let sources_min = sources(&mut section, mistakes);
    let same = match section.optional("same") {
        Some(field) => attributes(&field, "[gateway, credential, command]", mistakes),
        None => Some(Vec::new()),
    };
    let group_by = match section.optional("group_by") {
        Some(field) => attributes(&field, "[event]", mistakes),
        None => Some(Vec::new()),
    };
    let within = match section.has("same") {
        true => section.optional("within"),
        false => section.required(mistakes, "within", "500 m"),
    };
    let within_m = match within {
        Some(field) => field.metres(mistakes, 1..=DISTANCE_MAX_M),
        None => section.has("same").then_some(0),
    };
    let along = match section.optional("along") {
        Some(field) => along::read(&field, mistakes),
        None => Some(Along::default()),
    };
    let front = front(&mut section, known, mistakes);
    let stale_after = match section.optional("stale_after") {
        Some(field) => field
            .span(mistakes, Millis::seconds(1)..=SPAN_MAX)
            .map(Some),
        None => Some(None),
    };
    let within = section
        .required(mistakes, "within_time", "30 min")
        .and_then(|field| field.span(mistakes, Millis::seconds(1)..=SPAN_MAX));
    let mut span = |key, default| match section.optional(key) {
        Some(field) => field.span(mistakes, Millis::ZERO..=SPAN_MAX),
        None => Some(default),
    };
    let clear_after = span("clear_after", CLEAR_AFTER);
    let reopen_within = span("reopen_within", REOPEN_WITHIN);
    let may_cause = effects::read(&mut section, incident.as_ref(), mistakes);
    section.finish(mistakes);

    let from = from?;
    let front = front?;
    for name in front.iter().flat_map(|front| &front.of) {
        if !from.contains_key(name) {
            let what = format!("asks when `{name}` was observed, which `from` does not take");
            field.wrong(mistakes, what);
        }
    }
    let mut rule = CorrelationRule {
        name: rule_name?,
        hash: 0,
        incident: incident?,
        detections: from.keys().cloned().collect(),
        weights: from.values().copied().collect(),
        within_m: within_m? as u32,
        along: along?,
        same: same?,
        group_by: group_by?,
        front,
        stale_after: stale_after?,
        within: within?,
        sources_min: sources_min?,
        clear_after: clear_after?,
        reopen_within: reopen_within?,
        may_cause: may_cause?,
    };
    rule.hash = meaning_hash(&meaning(&rule));
    warn(&rule, field, warnings);
    Some(rule)
}

/// Names with their weights: a list (each weighs 1) or a mapping.
fn from(
    field: &Field<'_>,
    known: &Known<'_>,
    mistakes: &mut Mistakes,
) -> Option<BTreeMap<RuleId, u32>> {
    let mut from = BTreeMap::new();
    if let Value::Map(_) = field.node.value {
        for (entry, weight) in Section::of(field, mistakes)?.entries() {
            let name = detection(&entry.key, known)
                .map_err(|what| mistakes.add(&entry.place, &weight.path, what));
            let weight = weight.integer(mistakes, 0..=WEIGHT_MAX);
            if let (Ok(Some(name)), Some(weight)) = (name, weight) {
                from.insert(name, weight as u32);
            }
        }
    } else {
        for item in field.items() {
            let Some(text) = item.text(mistakes, "the name of a detection") else {
                continue;
            };
            match detection(text, known) {
                Ok(Some(name)) => {
                    if from.insert(name, 1).is_some() {
                        item.wrong(mistakes, format!("`{text}` is named twice; remove one"));
                    }
                }
                Ok(None) => {}
                Err(what) => item.wrong(mistakes, what),
            }
        }
    }
    if field.items().is_empty() {
        field.wrong(mistakes, "takes no detection; name at least one");
    }
    Some(from)
}

/// The detection of this name; nothing if it has mistakes of its own; else what is wrong.
pub fn detection(name: &str, known: &Known<'_>) -> Result<Option<RuleId>, String> {
    match known
        .detections
        .iter()
        .find(|rule| rule.name.as_str() == name)
    {
        Some(rule) if is_of_sensor(rule) => Err(format!(
            "`{name}` finds something about sensors, which is no evidence of an incident; remove it"
        )),
        Some(rule) => Ok(Some(rule.name.clone())),
        None if known.written.contains(&name) => Ok(None),
        None => {
            let hint = match did_you_mean(name, known.written.iter().copied()) {
                none if none.is_empty() => {
                    let written = format!("  {name}:");
                    only_shipped(RULES, |line| line == written).unwrap_or_default()
                }
                hint => hint,
            };
            Err(format!("no detection is named `{name}`{hint}"))
        }
    }
}

/// `sources: 2`, or `opens_at: 3` where the detections have weights.
fn sources(section: &mut Section<'_>, mistakes: &mut Mistakes) -> Option<u32> {
    let sources = section.optional("sources");
    let opens_at = section.optional("opens_at");
    let from = section.optional("from");
    let weighted = matches!(from, Some(Field { node, .. }) if matches!(node.value, Value::Map(_)));
    let field = match (sources, opens_at, weighted) {
        (Some(sources), None, false) => sources,
        (None, Some(opens_at), true) => opens_at,
        (Some(wrong), _, true) => {
            let what = "the detections have weights; write `opens_at: 3`, the sum that is enough";
            wrong.wrong(mistakes, what);
            return None;
        }
        (_, Some(wrong), false) => {
            let what = "the detections have no weights; write `sources: 2`, or give them weights: \
                        `from: { river-high: 3, flood-call: 1 }`";
            wrong.wrong(mistakes, what);
            return None;
        }
        (None, None, weighted) => {
            let example = if weighted {
                "opens_at: 3"
            } else {
                "sources: 2"
            };
            section.wrong(
                mistakes,
                format!("does not say when to open; write `{example}`"),
            );
            return None;
        }
    };
    field
        .integer(mistakes, 1..=SOURCES_MAX)
        .map(|sources| sources as u32)
}

/// `gateway`, or several names in a list, sorted.
fn attributes(field: &Field<'_>, such_as: &str, mistakes: &mut Mistakes) -> Option<Vec<String>> {
    let items = field.items();
    if items.is_empty() || items.len() > SAME_MAX {
        let what = format!("needs 1 to {SAME_MAX} names of attributes, such as `{such_as}`");
        field.wrong(mistakes, what);
        return None;
    }
    let mut names = BTreeSet::new();
    for item in items {
        let name = item.text(mistakes, "the name of an attribute, such as `gateway`")?;
        if NO_ATTRIBUTES.contains(&name) {
            let what = format!(
                "`{name}` is no attribute of a reading; write `gateway`, or the name of an attribute"
            );
            item.wrong(mistakes, what);
        } else if !names.insert(name.to_owned()) {
            item.wrong(mistakes, format!("`{name}` is named twice; remove one"));
        }
    }
    Some(names.into_iter().collect())
}

/// `observed_within: 10 s`, and with it perhaps `front_speed: 3.5 km/s` and `observed_of`. `Some(None)`
/// if none is written.
fn front(
    section: &mut Section<'_>,
    known: &Known<'_>,
    mistakes: &mut Mistakes,
) -> Option<Option<Front>> {
    let tolerance = section.optional("observed_within");
    let speed = section.optional("front_speed");
    let of = section.optional("observed_of");
    let Some(tolerance) = tolerance else {
        if let Some(alone) = speed.or(of) {
            let what =
                "needs `observed_within`: how exactly the sources know the time, such as `2 s`";
            alone.wrong(mistakes, what);
            return None;
        }
        return Some(None);
    };
    let of = match of {
        Some(field) => from_names(&field, known, mistakes),
        None => Some(Vec::new()),
    };
    let tolerance = tolerance.span(mistakes, Millis::ZERO..=SPAN_MAX);
    let speed_m_per_s = match speed {
        Some(speed) => speed
            .read(
                mistakes,
                "a speed from 1 m/s to 100 km/s, such as `3.5 km/s` or `340 m/s`",
                |text| {
                    metres(text.strip_suffix("/s")?).filter(|speed| (1..=SPEED_MAX).contains(speed))
                },
            )
            .map(|speed| Some(speed as u32)),
        None => Some(None),
    };
    Some(Some(Front {
        tolerance: tolerance?,
        speed_m_per_s: speed_m_per_s?,
        of: of?,
    }))
}

/// `[ground-shaking]`: detections by their names alone, sorted.
fn from_names(
    field: &Field<'_>,
    known: &Known<'_>,
    mistakes: &mut Mistakes,
) -> Option<Vec<RuleId>> {
    if let Value::Map(_) = field.node.value {
        field.wrong(
            mistakes,
            "needs names of detections, such as `[ground-shaking]`",
        );
        return None;
    }
    Some(from(field, known, mistakes)?.into_keys().collect())
}

/// What is allowed and probably not meant.
fn warn(rule: &CorrelationRule, field: &Field<'_>, warnings: &mut Mistakes) {
    if rule.within < rule.clear_after {
        let what = format!(
            "what comes more than {} after the last evidence opens a second incident beside the \
             first, which is not clear before {}; write a `within_time` of at least `clear_after`",
            show_span(rule.within),
            show_span(rule.clear_after)
        );
        field.wrong(warnings, what);
    }
    if !rule.weights.is_empty() && rule.weights.iter().all(|weight| *weight == 0) {
        field.wrong(warnings, "never opens: all its detections weigh nothing");
    }
}

/// A rule in canonical words: equal for rules that mean the same. What a rule does not say is not
/// in it, so that a rule means the same to a build that knows more keys.
fn meaning(rule: &CorrelationRule) -> String {
    let mut meaning = format!(
        "correlation to {:?} from {:?} weighing {:?} within {} m, {} ms, at {}, clear after {} ms, \
         reopen within {} ms",
        rule.incident,
        rule.detections,
        rule.weights,
        rule.within_m,
        rule.within.0,
        rule.sources_min,
        rule.clear_after.0,
        rule.reopen_within.0
    );
    if rule.along != Along::default() {
        meaning.push_str(&format!(", along {:?}", rule.along));
    }
    if !rule.same.is_empty() {
        meaning.push_str(&format!(", same {:?}", rule.same));
    }
    if !rule.group_by.is_empty() {
        meaning.push_str(&format!(", group by {:?}", rule.group_by));
    }
    if let Some(front) = &rule.front {
        let Front {
            tolerance,
            speed_m_per_s: speed,
            of,
        } = front;
        // In the words of when nobody could say of what.
        meaning.push_str(&format!(
            ", Front {{ tolerance: {tolerance:?}, speed_m_per_s: {speed:?} }}"
        ));
        if !of.is_empty() {
            meaning.push_str(&format!(" of {of:?}"));
        }
    }
    if let Some(age) = rule.stale_after {
        meaning.push_str(&format!(", stale after {} ms", age.0));
    }
    for effect in &rule.may_cause {
        meaning.push_str(&format!(", may cause {}", effects::meaning(effect)));
    }
    meaning
}
