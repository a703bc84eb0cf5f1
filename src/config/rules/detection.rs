//! Detection rules: text to [`DetectionRule`].
//!
//! A rule asks one question, and the key that is written says which: `above` or `below` a level,
//! whether the value `rises` or `falls` too fast, what a state `becomes`, `silent` for too long, a
//! fault of the sensor, or a `report` that somebody makes. Each question has its own keys; a key of
//! another question is a mistake. Next: `threshold.rs`.

use std::fmt::Write;

use ioc_core::bundle::{
    AttributeMatch, BY_SENSOR, Changes, DetectionRule, Direction, Fault, FaultSign, Report, Side,
    Silence, Test,
};
use ioc_core::decision::{Certainty, Severity};
use ioc_core::id::{ReadingKind, RuleId};
use ioc_core::time::Millis;

use super::correlation::NO_ATTRIBUTES;
use super::{across, alone, becomes, fault, meaning_hash, rate, threshold, usual, window};
use crate::config::field::{Field, Section};
use crate::config::kinds::{Kind, Kinds};
use crate::config::mistake::Mistakes;
use crate::config::quantity;

/// The longest time that a rule may speak of.
pub const SPAN_MAX: Millis = Millis::minutes(7 * 24 * 60);
/// The longest time that readings wait to be put in order.
const SETTLE_MAX: Millis = Millis::minutes(60);
const INTERVALS_MAX: u64 = 1000;
const VALUES_MAX: usize = 100;

/// Severities as they are written.
pub const SEVERITIES: [(&str, Severity); 4] = [
    ("minor", Severity::Minor),
    ("moderate", Severity::Moderate),
    ("severe", Severity::Severe),
    ("extreme", Severity::Extreme),
];

/// Certainties as they are written.
pub const CERTAINTIES: [(&str, Certainty); 4] = [
    ("unlikely", Certainty::Unlikely),
    ("possible", Certainty::Possible),
    ("likely", Certainty::Likely),
    ("observed", Certainty::Observed),
];

/// Reads one rule.
pub fn read(
    name: &str,
    field: &Field<'_>,
    kinds: &Kinds,
    mistakes: &mut Mistakes,
) -> Option<DetectionRule> {
    let rule_name = field.name(name, mistakes);
    let mut section = Section::of(field, mistakes)?;
    let kind = section
        .required(mistakes, "kind", "water_level")
        .and_then(|field| known_kind(&field, kinds, mistakes));
    let matching = section
        .optional("where")
        .and_then(|field| matching(&field, mistakes));
    let question = question(&section, mistakes);
    let settle = settle(&mut section, question, mistakes);
    let of_kind = kind.as_ref().map(|(_, kind)| *kind);
    let test = question.and_then(|question| match question {
        Question::Threshold(side) if window::is_asked(&section) => {
            window::read(&mut section, side, of_kind, mistakes).map(Test::Window)
        }
        Question::Threshold(side) if across::is_asked(&section) => {
            across::read(&mut section, side, of_kind, mistakes).map(Test::Across)
        }
        Question::Threshold(side) => {
            threshold::read(&mut section, side, of_kind, mistakes).map(Test::Threshold)
        }
        Question::Rate(direction) => {
            rate::read(&mut section, direction, of_kind, mistakes).map(Test::Rate)
        }
        Question::Usual(direction) => {
            usual::read(&mut section, direction, of_kind, mistakes).map(Test::Usual)
        }
        Question::Becomes => becomes::read(&mut section, of_kind, mistakes).map(Test::Becomes),
        Question::Silence => silence(&mut section, mistakes).map(Test::Silence),
        Question::Fault(fault::Asked::Spiking) if alone::is_asked(&mut section) => {
            alone::read(&mut section, of_kind, mistakes).map(Test::Alone)
        }
        Question::Fault(asked) => {
            fault::read(&mut section, asked, of_kind, mistakes).map(Test::Fault)
        }
        Question::Report => report(&mut section, of_kind, mistakes).map(Test::Report),
    });
    if question.is_some() {
        section.finish(mistakes);
    }
    let (kind, of_kind) = kind?;
    let mut rule = DetectionRule {
        name: rule_name?,
        hash: 0,
        kind,
        matching: matching.unwrap_or_default(),
        settle: settle?,
        test: test?,
    };
    rule.hash = meaning_hash(&meaning(&rule, of_kind));
    Some(rule)
}

/// How long readings wait to be put in order, where order means something.
fn settle(
    section: &mut Section<'_>,
    question: Option<Question>,
    mistakes: &mut Mistakes,
) -> Option<Millis> {
    let ordered = match question? {
        Question::Threshold(_) => !window::is_asked(section) && !across::is_asked(section),
        Question::Rate(_) | Question::Usual(_) | Question::Becomes => true,
        Question::Silence | Question::Fault(_) | Question::Report => false,
    };
    if !ordered {
        // An unknown key of this rule.
        return Some(Millis::ZERO);
    }
    let Some(field) = section.optional("settle") else {
        return Some(Millis::ZERO);
    };
    field.span(mistakes, Millis::ZERO..=SETTLE_MAX)
}

/// Whether a rule is about sensors, not about the city: no correlation takes what it finds.
pub fn is_of_sensor(rule: &DetectionRule) -> bool {
    matches!(
        rule.test,
        Test::Silence(_) | Test::Fault(_) | Test::SiteSilence(_) | Test::Alone(_)
    )
}

/// Says what the states of a flapping sensor are, now that all rules of its kind are known: part of
/// what the rule means.
pub fn see_states(rules: &mut [DetectionRule], kinds: &Kinds, mut blind: impl FnMut(&RuleId)) {
    for place in 0..rules.len() {
        let Test::Fault(Fault {
            sign: FaultSign::Flapping(_),
            of,
            ..
        }) = &rules[place].test
        else {
            continue;
        };
        let seen = fault::states(rules, &rules[place].kind, of);
        let rule = &mut rules[place];
        let Test::Fault(Fault {
            sign: FaultSign::Flapping(flapping),
            ..
        }) = &mut rule.test
        else {
            unreachable!("found");
        };
        let Changes::Of(states) = &mut flapping.by else {
            continue;
        };
        if seen.is_empty() {
            blind(&rule.name);
        }
        *states = seen;
        if let Some(kind) = kinds.get(rule.kind.as_str()) {
            rule.hash = meaning_hash(&meaning(rule, kind));
        }
    }
}

/// Says how long readings wait before a sensor is examined by them, now that all rules of its kind are
/// known: as long as for any of those in whose findings it may be distrusted. That follows from the
/// other rules, and is no part of the hash: a state of before waits for nothing yet.
pub fn settle_faults(rules: &mut [DetectionRule]) {
    for place in 0..rules.len() {
        let Test::Fault(fault) = &rules[place].test else {
            continue;
        };
        if matches!(fault.sign, FaultSign::Skewed(_)) {
            continue;
        }
        let own = &rules[place].kind;
        let is_meant = |name: &RuleId| fault.of.is_empty() || fault.of.contains(name);
        let of_kind = rules.iter().filter(|rule| rule.kind == *own);
        let meant = of_kind.filter(|rule| is_meant(&rule.name));
        let longest = meant.map(|rule| rule.settle).max();
        rules[place].settle = longest.unwrap_or(Millis::ZERO);
    }
}

#[derive(Clone, Copy)]
enum Question {
    Threshold(Side),
    Rate(Direction),
    Usual(Direction),
    Becomes,
    Silence,
    Fault(fault::Asked),
    Report,
}

/// Which question is asked: exactly one of its keys must be there.
fn question(section: &Section<'_>, mistakes: &mut Mistakes) -> Option<Question> {
    const QUESTIONS: [(&str, Question); 9] = [
        ("above", Question::Threshold(Side::Above)),
        ("below", Question::Threshold(Side::Below)),
        ("rises", Question::Rate(Direction::Rises)),
        ("falls", Question::Rate(Direction::Falls)),
        ("above_usual", Question::Usual(Direction::Rises)),
        ("below_usual", Question::Usual(Direction::Falls)),
        ("becomes", Question::Becomes),
        ("silent", Question::Silence),
        ("report", Question::Report),
    ];
    let faults = fault::KEYS.map(|(key, asked)| (key, Question::Fault(asked)));
    let questions = QUESTIONS.into_iter().chain(faults);
    let mut asked = questions.filter(|(key, _)| section.has(key));
    match (asked.next(), asked.next()) {
        (Some((_, question)), None) => Some(question),
        (None, _) => {
            let what = "asks nothing; write one of `above: { moderate: … }`, \
                        `below: { moderate: … }`, `rises: { moderate: … per 15 min }`, `falls: …`, \
                        `above_usual: { moderate: … }`, `below_usual: …`, \
                        `becomes: { moderate: … }`, `silent: 4 intervals`, `report: moderate`, or of \
                        the sensor `flapping: 25 %`, `stuck: 12 h`, `impossible: { below: … }`, \
                        `skewed: { ahead: 5 min }` or `spiking: 4 of 60 readings`";
            section.wrong(mistakes, what);
            None
        }
        (Some((first, _)), Some((second, _))) => {
            let what = format!("asks two things, `{first}` and `{second}`; make it two rules");
            section.wrong(mistakes, what);
            None
        }
    }
}

fn known_kind<'k>(
    field: &Field<'_>,
    kinds: &'k Kinds,
    mistakes: &mut Mistakes,
) -> Option<(ReadingKind, &'k Kind)> {
    let name: ReadingKind = field.parsed(mistakes)?;
    match kinds.get(name.as_str()) {
        Some(kind) => Some((name, kind)),
        None => {
            field.wrong(mistakes, kinds.unknown(name.as_str()));
            None
        }
    }
}

fn matching(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Vec<AttributeMatch>> {
    let section = Section::of(field, mistakes)?;
    let mut matching = Vec::new();
    for (entry, field) in section.entries() {
        let items = field.items();
        if items.is_empty() || items.len() > VALUES_MAX {
            let what = format!("needs 1 to {VALUES_MAX} values, such as `[flood, water]`");
            field.wrong(mistakes, what);
        }
        let values = items
            .iter()
            .filter_map(|item| item.text(mistakes, "a value"));
        let mut values: Vec<_> = values.map(str::to_owned).collect();
        values.sort();
        values.dedup();
        matching.push(AttributeMatch {
            name: entry.key.clone(),
            values,
        });
    }
    matching.sort_by(|a, b| a.name.cmp(&b.name));
    Some(matching)
}

fn silence(section: &mut Section<'_>, mistakes: &mut Mistakes) -> Option<Silence> {
    let wanted = "a number of intervals from 1 to 1000, such as `4 intervals`";
    let intervals = section.optional("silent").and_then(|field| {
        field.read(mistakes, wanted, |text| {
            let count = text
                .strip_suffix("intervals")
                .or_else(|| text.strip_suffix("interval"))?;
            let count = quantity::integer(count.trim())?;
            (1..=INTERVALS_MAX).contains(&count).then_some(count as u32)
        })
    });
    let at_least = section
        .optional("at_least")
        .map_or(Some(Millis::ZERO), |field| {
            field.span(mistakes, Millis::ZERO..=SPAN_MAX)
        });
    Some(Silence {
        intervals: intervals?,
        at_least: at_least?,
    })
}

fn report(
    section: &mut Section<'_>,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Report> {
    let severity = section
        .optional("report")
        .and_then(|field| field.choice(mistakes, &SEVERITIES));
    let certainty = section
        .required(mistakes, "certainty", "possible")
        .and_then(|field| field.choice(mistakes, &CERTAINTIES));
    let lasting = section
        .required(mistakes, "counts_for", "30 min")
        .and_then(|field| field.span(mistakes, Millis::seconds(1)..=SPAN_MAX));
    let value_min = match section.optional("value_at_least").zip(kind) {
        Some((field, kind)) => Some(kind.value(&field, mistakes)?),
        None => None,
    };
    let until = section.optional("counts_until");
    let until = until.map(|field| becomes::attribute_name(&field, mistakes));
    let replaces = section.optional("replaces");
    let replaces = replaces.map(|field| becomes::attribute_name(&field, mistakes));
    let distinct = section.optional("distinct");
    let distinct = distinct.map(|field| who(&field, mistakes));
    Some(Report {
        severity: severity?,
        certainty: certainty?,
        lasting: lasting?,
        value_min,
        until: until.map_or(Some(None), |name| name.map(Some))?,
        replaces: replaces.map_or(Some(None), |name| name.map(Some))?,
        distinct: distinct.map_or(Some(None), |name| name.map(Some))?,
    })
}

/// `caller`, or `sensor`: by what it is known that two reports are of one and the same.
fn who(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<String> {
    let name = becomes::attribute_name(field, mistakes)?;
    if name != BY_SENSOR && NO_ATTRIBUTES.contains(&name.as_str()) {
        let what = format!(
            "`{name}` does not say who reports; write `caller`, or the name of the attribute that \
             does, or `{BY_SENSOR}`"
        );
        field.wrong(mistakes, what);
        return None;
    }
    Some(name)
}

fn report_meaning(report: &Report) -> String {
    let mut text = format!(
        " report severity {} certainty {} for {} ms from {:?}",
        report.severity as u8, report.certainty as u8, report.lasting.0, report.value_min
    );
    if let Some(until) = &report.until {
        write!(text, " until {until:?}").expect("a string takes all");
    }
    if let Some(replaces) = &report.replaces {
        write!(text, " replaces {replaces:?}").expect("a string takes all");
    }
    if let Some(distinct) = &report.distinct {
        write!(text, " distinct {distinct:?}").expect("a string takes all");
    }
    text
}

/// A rule in canonical words: equal for rules that mean the same.
fn meaning(rule: &DetectionRule, kind: &Kind) -> String {
    let unit = kind.unit.as_deref().unwrap_or_default();
    let mut text = format!("detection of {:?} in {unit:?}", rule.kind);
    for attribute in &rule.matching {
        write!(
            text,
            " where {:?} in {:?}",
            attribute.name, attribute.values
        )
        .expect("a string takes all");
    }
    let test = match &rule.test {
        Test::Threshold(threshold) => threshold::meaning(threshold),
        Test::Rate(rate) => rate::meaning(rate),
        Test::Usual(usual) => usual::meaning(usual),
        Test::Becomes(becomes) => becomes::meaning(becomes),
        Test::Window(window) => window::meaning(window),
        Test::Across(across) => across::meaning(across),
        Test::Silence(silence) => {
            format!(
                " silent {} intervals, {} ms",
                silence.intervals, silence.at_least.0
            )
        }
        Test::Fault(fault) => fault::meaning(fault),
        Test::Alone(alone) => format!(" {alone:?}"),
        Test::Sequence(_) | Test::SiteSilence(_) => {
            unreachable!("read by files of their own, with meanings of their own")
        }
        Test::Report(report) => report_meaning(report),
    };
    text += &test;
    if rule.settle > Millis::ZERO {
        write!(text, ", in order after {} ms", rule.settle.0).expect("a string takes all");
    }
    text
}
