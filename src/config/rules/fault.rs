//! The questions about the sensor itself: `flapping`, `stuck`, `impossible`, `skewed`, `spiking`, to
//! [`Fault`].
//!
//! Arrives: one of these keys with its own, and `distrust`. Leaves: the fault; but for what a
//! flapping sensor's states are, which the level rules of the kind say: `see_states` adds them
//! when all rules are read. Next: `correlation.rs`.

use std::collections::BTreeMap;
use std::fmt::Write;

use ioc_core::bundle::{
    Becomes, Changes, DetectionRule, Fault, FaultSign, Flapping, Impossible, Seen, Skewed, Spiking,
    Stuck, Test, Threshold,
};
use ioc_core::id::{ReadingKind, RuleId};
use ioc_core::limits::SPIKING_READINGS_MAX;
use ioc_core::time::Millis;

use super::detection::{SPAN_MAX, is_of_sensor};
use super::{becomes, threshold};
use crate::config::field::{Field, Section};
use crate::config::kinds::Kind;
use crate::config::mistake::Mistakes;
use crate::config::quantity::integer;
use crate::config::suggest::did_you_mean;

/// Which fault is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Too many changes.
    Flapping,
    /// None.
    Stuck,
    /// Values that cannot be.
    Impossible,
    /// Times that cannot be.
    Skewed,
    /// Single readings far from the others.
    Spiking,
}

/// The keys that ask about faults.
pub const KEYS: [(&str, Asked); 5] = [
    ("flapping", Asked::Flapping),
    ("stuck", Asked::Stuck),
    ("impossible", Asked::Impossible),
    ("skewed", Asked::Skewed),
    ("spiking", Asked::Spiking),
];

/// How many readings end a fault, if the rule does not say.
const CLEAR_READINGS: u32 = 3;
/// How many readings show that a clock is wrong, if the rule does not say.
const SKEWED_READINGS: u32 = 3;
const EXCEPTIONS_MAX: usize = 16;
/// How many detections a fault may be about.
const DETECTIONS_MAX: usize = 16;
/// The key that names them.
const OF: &str = "of";

/// Reads the keys of a fault.
pub fn read(
    section: &mut Section<'_>,
    asked: Asked,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Fault> {
    let sign = match asked {
        Asked::Flapping => flapping(section, kind, mistakes).map(FaultSign::Flapping),
        Asked::Stuck => stuck(section, kind, mistakes).map(FaultSign::Stuck),
        Asked::Impossible => impossible(section, kind, mistakes).map(FaultSign::Impossible),
        Asked::Skewed => skewed(section, mistakes).map(FaultSign::Skewed),
        Asked::Spiking => spiking(section, kind, mistakes).map(FaultSign::Spiking),
    };
    // A clock that is wrong, or a spike now and then, does not make the rest untrue.
    let usually = match asked {
        Asked::Flapping | Asked::Stuck | Asked::Impossible => true,
        Asked::Skewed | Asked::Spiking => false,
    };
    let distrust = section.optional("distrust").map_or(Some(usually), |field| {
        field.choice(mistakes, &[("yes", true), ("no", false)])
    });
    let of = match asked {
        Asked::Flapping => of(section, mistakes),
        Asked::Stuck | Asked::Impossible | Asked::Skewed | Asked::Spiking => Some(Vec::new()),
    };
    Some(Fault {
        sign: sign?,
        distrust: distrust?,
        of: of?,
    })
}

/// The detections that a fault is about, sorted; none are named if it is about all of the kind.
/// [`know`] says whether there are any.
fn of(section: &mut Section<'_>, mistakes: &mut Mistakes) -> Option<Vec<RuleId>> {
    let Some(field) = section.optional(OF) else {
        return Some(Vec::new());
    };
    let items = field.items();
    if items.is_empty() || items.len() > DETECTIONS_MAX {
        let what = format!("needs 1 to {DETECTIONS_MAX} detections, such as `[river-high]`");
        field.wrong(mistakes, what);
        return None;
    }
    let names = items.iter().map(|item| item.parsed(mistakes));
    let mut names: Vec<RuleId> = names.collect::<Option<_>>()?;
    names.sort();
    names.dedup();
    Some(names)
}

/// Says which of the detections that a fault names are none, or are of another kind, now that all
/// rules about single sensors are read. `written`: those that may be named.
pub fn know(
    rule: &DetectionRule,
    rules: &[DetectionRule],
    written: &BTreeMap<&str, &Field<'_>>,
    mistakes: &mut Mistakes,
) {
    let Test::Fault(fault) = &rule.test else {
        return;
    };
    let own = written.get(rule.name.as_str());
    let section = own.and_then(|field| Section::of(field, &mut Mistakes::default()));
    let Some(field) = section.and_then(|mut section| section.optional(OF)) else {
        return;
    };
    for name in &fault.of {
        let named = rules.iter().find(|rule| rule.name == *name);
        match named {
            Some(named) if named.kind != rule.kind || is_of_sensor(named) => {
                let what = format!("`{name}` is no detection by readings of `{}`", rule.kind);
                field.wrong(mistakes, what);
            }
            Some(_) => {}
            None if written.contains_key(name.as_str()) => {}
            None => {
                let hint = did_you_mean(name.as_str(), written.keys().copied());
                field.wrong(mistakes, format!("no detection is called `{name}`{hint}"));
            }
        }
    }
}

fn flapping(
    section: &mut Section<'_>,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Flapping> {
    let high = section
        .optional("flapping")
        .and_then(|field| hundredths(&field, "", mistakes));
    let low = section
        .required(mistakes, "clear", "below 10 %")
        .and_then(|field| {
            let low = hundredths(&field, "below", mistakes)?;
            if high.is_some_and(|high| low > high) {
                field.wrong(mistakes, "is more than flapping begins with; write less");
            }
            Some(low)
        });
    let by = match section.optional("jump") {
        Some(field) => jumps(&field, kind, mistakes),
        None => Some(Changes::Of(Vec::new())),
    };
    Some(Flapping {
        by: by?,
        high: high?,
        low: low?,
    })
}

/// `25 %`, after a word.
fn hundredths(field: &Field<'_>, word: &str, mistakes: &mut Mistakes) -> Option<u32> {
    let example = format!("{word} 25 %");
    let wanted = format!("hundredths from 1 % to 100 %, such as `{}`", example.trim());
    field.read(mistakes, &wanted, |text| {
        let text = text.strip_prefix(word)?.trim().strip_suffix('%')?;
        let hundredths = integer(text.trim())?;
        (1..=100).contains(&hundredths).then_some(hundredths as u32)
    })
}

/// `1 m within 5 min`.
pub(super) fn jumps(
    field: &Field<'_>,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Changes> {
    let kind = kind?;
    let wanted = format!(
        "a jump in a time, such as `{} within 5 min`",
        kind.show(1.0)
    );
    let text = field.text(mistakes, &wanted)?;
    let read = || {
        let (by, within) = text.split_once(" within ")?;
        let by = kind.difference(by.trim()).ok().filter(|by| *by > 0.0)?;
        let within = crate::config::quantity::span(within.trim())?;
        let sound = (Millis::seconds(1)..=SPAN_MAX).contains(&within);
        sound.then_some(Changes::Jumps { by, within })
    };
    let jumps = read();
    if jumps.is_none() {
        field.wrong(mistakes, format!("`{text}` is not {wanted}"));
    }
    jumps
}

fn stuck(section: &mut Section<'_>, kind: Option<&Kind>, mistakes: &mut Mistakes) -> Option<Stuck> {
    let lasting = section
        .optional("stuck")
        .and_then(|field| field.span(mistakes, Millis::seconds(1)..=SPAN_MAX));
    let except = match section.optional("except") {
        Some(field) => exceptions(&field, kind, mistakes),
        None => Some(Vec::new()),
    };
    let clear_readings_min = clear_for(section, mistakes);
    let mut stuck = Stuck {
        lasting: lasting?,
        except: Vec::new(),
        except_below: None,
        except_above: None,
        clear_readings_min: clear_readings_min?,
    };
    // Of several limits the one that excepts most.
    for exception in except? {
        match exception {
            Exception::Value(value) => stuck.except.push(value),
            Exception::Below(limit) => {
                let least = stuck.except_below.unwrap_or(limit);
                stuck.except_below = Some(least.max(limit));
            }
            Exception::Above(limit) => {
                let most = stuck.except_above.unwrap_or(limit);
                stuck.except_above = Some(most.min(limit));
            }
        }
    }
    stuck.except.sort_by(f64::total_cmp);
    Some(stuck)
}

/// What a sensor may say for as long as it likes.
enum Exception {
    Value(f64),
    Below(f64),
    Above(f64),
}

/// `0 mm/h`, `below 20 mm/h`, or several in a list.
fn exceptions(
    field: &Field<'_>,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Vec<Exception>> {
    let kind = kind?;
    let items = field.items();
    if items.is_empty() || items.len() > EXCEPTIONS_MAX {
        let what = format!(
            "needs 1 to {EXCEPTIONS_MAX} values, such as `[{}]` or `below {}`",
            kind.show(0.0),
            kind.show(1.0)
        );
        field.wrong(mistakes, what);
        return None;
    }
    let exceptions = items.iter().map(|item| exception(item, kind, mistakes));
    exceptions.collect()
}

fn exception(item: &Field<'_>, kind: &Kind, mistakes: &mut Mistakes) -> Option<Exception> {
    let wanted = format!("a value such as `{0}` or `below {0}`", kind.show(3.0));
    let text = item.text(mistakes, &wanted)?;
    let (make, value): (fn(f64) -> Exception, _) = match text.split_once(' ') {
        Some(("below", value)) => (Exception::Below, value),
        Some(("above", value)) => (Exception::Above, value),
        _ => (Exception::Value, text),
    };
    let value = kind.parse(value.trim());
    value
        .map_err(|what| item.wrong(mistakes, what))
        .ok()
        .map(make)
}

fn impossible(
    section: &mut Section<'_>,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Impossible> {
    let limits = section.optional("impossible");
    let readings_min = readings(section, "for", 1, mistakes);
    let clear_readings_min = clear_for(section, mistakes);
    let field = limits?;
    let mut limits = Section::of(&field, mistakes)?;
    let keys = ["below", "above"].map(|key| limits.optional(key));
    limits.finish(mistakes);
    let kind = kind?;
    if keys.iter().all(Option::is_none) {
        let (least, most) = (kind.show(0.0), kind.show(100.0));
        let what = format!("no limit; write for example `{{ below: {least}, above: {most} }}`");
        field.wrong(mistakes, what);
        return None;
    }
    let mut values = [None; 2];
    for (value, field) in values.iter_mut().zip(&keys) {
        if let Some(field) = field {
            *value = Some(kind.value(field, mistakes)?);
        }
    }
    let [below, above] = values;
    let usual = [below, above].into_iter().flatten().chain(kind.normal);
    let possible = |value: f64| {
        below.is_none_or(|least| value >= least) && above.is_none_or(|most| value <= most)
    };
    if let Some(value) = usual.into_iter().find(|value| !possible(*value)) {
        let what = format!(
            "would leave nothing possible, or call {} impossible",
            kind.show(value)
        );
        field.wrong(mistakes, what);
        return None;
    }
    Some(Impossible {
        below,
        above,
        readings_min: readings_min?,
        clear_readings_min: clear_readings_min?,
    })
}

fn skewed(section: &mut Section<'_>, mistakes: &mut Mistakes) -> Option<Skewed> {
    let limits = section.optional("skewed");
    let readings_min = readings(section, "for", SKEWED_READINGS, mistakes);
    let clear_readings_min = clear_for(section, mistakes);
    let field = limits?;
    let mut limits = Section::of(&field, mistakes)?;
    let keys = ["ahead", "behind"].map(|key| limits.optional(key));
    limits.finish(mistakes);
    if keys.iter().all(Option::is_none) {
        let what = "no limit; write for example `{ ahead: 5 min, behind: 6 h }`";
        field.wrong(mistakes, what);
        return None;
    }
    let mut spans = [None; 2];
    for (span, field) in spans.iter_mut().zip(&keys) {
        if let Some(field) = field {
            *span = Some(field.span(mistakes, Millis::seconds(1)..=SPAN_MAX)?);
        }
    }
    let [ahead, behind] = spans;
    Some(Skewed {
        ahead,
        behind,
        readings_min: readings_min?,
        clear_readings_min: clear_readings_min?,
    })
}

fn spiking(
    section: &mut Section<'_>,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Spiking> {
    let wanted =
        format!("spikes among up to {SPIKING_READINGS_MAX} readings, such as `4 of 60 readings`");
    let spikes = section
        .optional("spiking")
        .and_then(|field| field.read(mistakes, &wanted, spikes_among));
    let example = kind.map_or("1 m".to_owned(), |kind| kind.show(1.0));
    let height = section
        .required(mistakes, "spike", &example)
        .zip(kind)
        .and_then(|(field, kind)| {
            let text = field.text(mistakes, &format!("a height such as `{example}`"))?;
            let height = kind.difference(text).and_then(|height| {
                let wanted = || format!("`{text}` is no height; write more than nothing");
                (height > 0.0).then_some(height).ok_or_else(wanted)
            });
            height.map_err(|what| field.wrong(mistakes, what)).ok()
        });
    let (spikes_min, among) = spikes?;
    Some(Spiking {
        height: height?,
        spikes_min,
        among,
    })
}

/// `4 of 60 readings`: every other one at most can be a spike.
fn spikes_among(text: &str) -> Option<(u32, u32)> {
    let (spikes, among) = text.split_once(" of ")?;
    let spikes: u32 = spikes.trim().parse().ok()?;
    let among = threshold::reading_count(among)?;
    let sound = (2..=SPIKING_READINGS_MAX).contains(&among) && (1..=among / 2).contains(&spikes);
    sound.then_some((spikes, among))
}

fn clear_for(section: &mut Section<'_>, mistakes: &mut Mistakes) -> Option<u32> {
    readings(section, "clear_for", CLEAR_READINGS, mistakes)
}

fn readings(
    section: &mut Section<'_>,
    key: &'static str,
    usually: u32,
    mistakes: &mut Mistakes,
) -> Option<u32> {
    section
        .optional(key)
        .map_or(Some(usually), |field| threshold::readings(&field, mistakes))
}

/// What the states of a kind are, as its level rules see them and those that ask what a state
/// becomes: each once, in the order of the rules' names. Rules that look at some readings only see
/// no state of the others. `of`: the rules whose states are meant, each with its margin; if none is
/// named, those of the kind, all without.
pub fn states(rules: &[DetectionRule], kind: &ReadingKind, of: &[RuleId]) -> Vec<Seen> {
    let mut seen: Vec<Seen> = Vec::new();
    let rules = rules
        .iter()
        .filter(|rule| rule.kind == *kind && rule.matching.is_empty())
        .filter(|rule| of.is_empty() || of.contains(&rule.name));
    for rule in rules {
        let state = match &rule.test {
            Test::Threshold(threshold) if of.is_empty() => Seen::Level(bare(threshold)),
            Test::Threshold(threshold) => Seen::Level(Threshold {
                margin_percent: threshold.margin_percent,
                ..bare(threshold)
            }),
            Test::Becomes(becomes) => Seen::State(Becomes {
                threshold: bare(&becomes.threshold),
                from: None,
                ..becomes.clone()
            }),
            Test::Rate(_)
            | Test::Usual(_)
            | Test::Window(_)
            | Test::Silence(_)
            | Test::Fault(_)
            | Test::Sequence(_)
            | Test::SiteSilence(_)
            | Test::Across(_)
            | Test::Alone(_)
            | Test::Report(_) => continue,
        };
        if !seen.contains(&state) {
            seen.push(state);
        }
    }
    seen
}

/// A threshold's levels without what it asks of persistence.
fn bare(threshold: &Threshold) -> Threshold {
    Threshold {
        margin_percent: 0,
        readings_min: 1,
        readings_among: None,
        lasting: Millis::ZERO,
        clear_readings_min: 1,
        ..threshold.clone()
    }
}

/// A fault in canonical words.
pub fn meaning(fault: &Fault) -> String {
    let mut text = match &fault.sign {
        FaultSign::Flapping(Flapping { by, high, low }) => {
            let by = match by {
                Changes::Of(seen) => seen.iter().map(meaning_of_state).collect(),
                Changes::Jumps { by, within } => format!(" jump {by:?} in {} ms", within.0),
            };
            format!(" flapping {high} clear {low}{by}")
        }
        FaultSign::Stuck(stuck) => meaning_of_stuck(stuck),
        FaultSign::Impossible(rule) => format!(
            " impossible below {:?} above {:?} for {} clear {}",
            rule.below, rule.above, rule.readings_min, rule.clear_readings_min
        ),
        FaultSign::Skewed(rule) => format!(
            " skewed ahead {:?} behind {:?} for {} clear {}",
            rule.ahead, rule.behind, rule.readings_min, rule.clear_readings_min
        ),
        FaultSign::Spiking(rule) => format!(
            " spiking {} of {} by {:?}",
            rule.spikes_min, rule.among, rule.height
        ),
    };
    write!(text, " distrust {}", fault.distrust).expect("a string takes all");
    for name in &fault.of {
        write!(text, " of {name}").expect("a string takes all");
    }
    text
}

/// What is not said is not in it: so a rule means what it did before there were limits.
fn meaning_of_stuck(stuck: &Stuck) -> String {
    let mut text = format!(" stuck {} ms except {:?}", stuck.lasting.0, stuck.except);
    for (word, limit) in [("below", stuck.except_below), ("above", stuck.except_above)] {
        if let Some(limit) = limit {
            write!(text, " {word} {limit:?}").expect("a string takes all");
        }
    }
    write!(text, " clear {}", stuck.clear_readings_min).expect("a string takes all");
    text
}

fn meaning_of_state(seen: &Seen) -> String {
    match seen {
        Seen::Level(threshold) => threshold::meaning(threshold),
        Seen::State(state) => becomes::meaning(state),
    }
}
