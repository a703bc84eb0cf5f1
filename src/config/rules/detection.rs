//! Detection rules: text to [`DetectionRule`].
//!
//! A rule asks one question, and the key that is written says which: `above` or `below` a level,
//! `silent` for too long, or a `report` that somebody makes. Each question has its own keys; a key
//! of another question is a mistake. Next: `correlation.rs`.

use std::fmt::Write;

use ioc_core::bundle::{AttributeMatch, DetectionRule, Level, Report, Side, Silence};
use ioc_core::bundle::{Test, Threshold};
use ioc_core::decision::{Certainty, Severity};
use ioc_core::id::ReadingKind;
use ioc_core::time::Millis;

use super::meaning_hash;
use crate::config::field::{Field, Section};
use crate::config::kinds::{Kind, Kinds};
use crate::config::mistake::Mistakes;
use crate::config::quantity;

/// The longest time that a rule may speak of.
pub const SPAN_MAX: Millis = Millis::minutes(7 * 24 * 60);
const READINGS_MAX: u32 = 1000;
const INTERVALS_MAX: u64 = 1000;
const VALUES_MAX: usize = 100;

/// Severities as they are written.
pub const SEVERITIES: [(&str, Severity); 4] = [
    ("minor", Severity::Minor),
    ("moderate", Severity::Moderate),
    ("severe", Severity::Severe),
    ("extreme", Severity::Extreme),
];

const CERTAINTIES: [(&str, Certainty); 4] = [
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
    let rule_name = match name.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            field.wrong(mistakes, format!("`{name}`: {error}"));
            None
        }
    };
    let mut section = Section::of(field, mistakes)?;
    let kind = section
        .required(mistakes, "kind", "water_level")
        .and_then(|field| known_kind(&field, kinds, mistakes));
    let matching = section
        .optional("where")
        .and_then(|field| matching(&field, mistakes));
    let question = question(&section, mistakes);
    let of_kind = kind.as_ref().map(|(_, kind)| *kind);
    let test = question.and_then(|question| match question {
        Question::Threshold(side) => {
            threshold(&mut section, side, of_kind, mistakes).map(Test::Threshold)
        }
        Question::Silence => silence(&mut section, mistakes).map(Test::Silence),
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
        test: test?,
    };
    rule.hash = meaning_hash(&meaning(&rule, of_kind));
    Some(rule)
}

/// Whether a rule is about sensors that say nothing.
pub fn is_silence(rule: &DetectionRule) -> bool {
    matches!(rule.test, Test::Silence(_))
}

#[derive(Clone, Copy)]
enum Question {
    Threshold(Side),
    Silence,
    Report,
}

/// Which question is asked: exactly one of its keys must be there.
fn question(section: &Section<'_>, mistakes: &mut Mistakes) -> Option<Question> {
    const QUESTIONS: [(&str, Question); 4] = [
        ("above", Question::Threshold(Side::Above)),
        ("below", Question::Threshold(Side::Below)),
        ("silent", Question::Silence),
        ("report", Question::Report),
    ];
    let mut asked = QUESTIONS.iter().filter(|(key, _)| section.has(key));
    match (asked.next(), asked.next()) {
        (Some((_, question)), None) => Some(*question),
        (None, _) => {
            let what = "asks nothing; write one of `above: { moderate: … }`, \
                        `below: { moderate: … }`, `silent: 4 intervals` or `report: moderate`";
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

fn threshold(
    section: &mut Section<'_>,
    side: Side,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Threshold> {
    let (key, back) = match side {
        Side::Above => ("above", "below"),
        Side::Below => ("below", "above"),
    };
    let levels = section
        .optional(key)
        .and_then(|field| levels(&field, side, kind, mistakes));
    let clear = section
        .required(
            mistakes,
            "clear",
            &example_of_clear(back, levels.as_deref(), kind),
        )
        .zip(kind)
        .and_then(|(field, kind)| clear(&field, back, kind, levels.as_deref(), side, mistakes));
    let persistence = section
        .optional("for")
        .map_or(Some(Persistence::ONCE), |field| {
            persistence(&field, mistakes)
        });
    let clear_readings_min = section
        .optional("clear_for")
        .map_or(Some(1), |field| readings(&field, mistakes));
    let persistence = persistence?;
    Some(Threshold {
        side,
        levels: levels?,
        clear_gap: clear?,
        readings_min: persistence.readings,
        lasting: persistence.lasting,
        clear_readings_min: clear_readings_min?,
    })
}

/// `{ moderate: 3.0 m, severe: 3.8 m }`, least severe first.
fn levels(
    field: &Field<'_>,
    side: Side,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Vec<Level>> {
    let mut section = Section::of(field, mistakes)?;
    let written = SEVERITIES.map(|(word, severity)| (severity, section.optional(word)));
    let written: Vec<_> = written
        .into_iter()
        .filter_map(|(severity, field)| Some((severity, field?)))
        .collect();
    section.finish(mistakes);
    let kind = kind?;
    if written.is_empty() {
        field.wrong(
            mistakes,
            format!(
                "no level; write for example `{{ moderate: {} }}`",
                kind.show(3.0)
            ),
        );
        return None;
    }
    let mut levels: Vec<Level> = Vec::new();
    for (severity, field) in &written {
        let value = kind.value(field, mistakes)?;
        let graver = levels
            .last()
            .is_none_or(|last| is_beyond(side, value, last.value));
        if !graver {
            let (word, last) = (side_word(side), kind.show(levels[levels.len() - 1].value));
            let what = format!("a graver level must lie further {word}: {word} {last}");
            field.wrong(mistakes, what);
        }
        levels.push(Level {
            severity: *severity,
            value,
        });
    }
    if let Some(normal) = kind
        .normal
        .filter(|normal| is_beyond(side, *normal, levels[0].value))
    {
        let what = format!(
            "would call the normal value of this kind abnormal, which is {} in kinds.yaml",
            kind.show(normal)
        );
        field.wrong(mistakes, what);
    }
    Some(levels)
}

/// `below 2.7 m`: how far back past the least level that is.
fn clear(
    field: &Field<'_>,
    back: &str,
    kind: &Kind,
    levels: Option<&[Level]>,
    side: Side,
    mistakes: &mut Mistakes,
) -> Option<f64> {
    let example = example_of_clear(back, levels, Some(kind));
    let text = field.text(mistakes, &format!("a level such as `{example}`"))?;
    let Some(level) = text.strip_prefix(back) else {
        let what = format!("`{text}` must begin with `{back}`, such as `{example}`");
        field.wrong(mistakes, what);
        return None;
    };
    let value = kind
        .parse(level.trim())
        .map_err(|what| field.wrong(mistakes, what))
        .ok()?;
    let least = levels?.first()?.value;
    if is_beyond(side, value, least) {
        let what = format!(
            "{} is still abnormal; write a value that is not {} {}",
            kind.show(value),
            side_word(side),
            kind.show(least)
        );
        field.wrong(mistakes, what);
        return None;
    }
    // As people would say it: 0.1 and not 0.10000000000000009, so that a sensor's own level keeps
    // a gap that ends where they expect.
    Some(((least - value).abs() * 1e9).round() / 1e9)
}

fn example_of_clear(back: &str, levels: Option<&[Level]>, kind: Option<&Kind>) -> String {
    let least = levels.and_then(|levels| levels.first()).zip(kind);
    let level = least.map_or("2.7 m".to_owned(), |(least, kind)| kind.show(least.value));
    format!("{back} {level}")
}

fn is_beyond(side: Side, value: f64, level: f64) -> bool {
    match side {
        Side::Above => value > level,
        Side::Below => value < level,
    }
}

const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Above => "above",
        Side::Below => "below",
    }
}

struct Persistence {
    readings: u32,
    lasting: Millis,
}

impl Persistence {
    const ONCE: Self = Self {
        readings: 1,
        lasting: Millis::ZERO,
    };
}

/// `2 readings`, `5 min`, or both in a list.
fn persistence(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Persistence> {
    let wanted = format!(
        "`2 readings` (1 to {READINGS_MAX}), `5 min` (up to 7 d), or both: `[2 readings, 5 min]`"
    );
    let (mut count, mut lasting) = (None, None);
    for item in field.items() {
        let text = item.text(mistakes, &wanted)?;
        let span = quantity::span(text).filter(|span| (Millis::ZERO..=SPAN_MAX).contains(span));
        let twice = match (reading_count(text), span) {
            (Some(readings), _) => count.replace(readings).is_some(),
            (None, Some(span)) => lasting.replace(span).is_some(),
            (None, None) => {
                item.wrong(mistakes, format!("`{text}` is not {wanted}"));
                return None;
            }
        };
        if twice {
            item.wrong(mistakes, format!("said twice; write {wanted}"));
        }
    }
    Some(Persistence {
        readings: count.unwrap_or(1),
        lasting: lasting.unwrap_or_default(),
    })
}

fn readings(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<u32> {
    let wanted = format!("a number of readings from 1 to {READINGS_MAX}, such as `2 readings`");
    field.read(mistakes, &wanted, reading_count)
}

fn reading_count(text: &str) -> Option<u32> {
    let count = text
        .strip_suffix("readings")
        .or_else(|| text.strip_suffix("reading"))?;
    count
        .trim()
        .parse()
        .ok()
        .filter(|count| (1..=READINGS_MAX).contains(count))
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
    Some(Report {
        severity: severity?,
        certainty: certainty?,
        lasting: lasting?,
        value_min,
    })
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
        Test::Threshold(threshold) => threshold_meaning(threshold),
        Test::Silence(silence) => {
            format!(
                " silent {} intervals, {} ms",
                silence.intervals, silence.at_least.0
            )
        }
        Test::Report(report) => format!(
            " report severity {} certainty {} for {} ms from {:?}",
            report.severity as u8, report.certainty as u8, report.lasting.0, report.value_min
        ),
    };
    text + &test
}

fn threshold_meaning(threshold: &Threshold) -> String {
    let mut text = format!(" {}", side_word(threshold.side));
    for level in &threshold.levels {
        write!(
            text,
            " severity {} at {:?}",
            level.severity as u8, level.value
        )
        .expect("a string takes all");
    }
    let Threshold {
        clear_gap,
        readings_min,
        lasting,
        clear_readings_min,
        ..
    } = threshold;
    text + &format!(
        " for {readings_min} readings, {} ms, clear by {clear_gap:?} for {clear_readings_min}",
        lasting.0
    )
}
