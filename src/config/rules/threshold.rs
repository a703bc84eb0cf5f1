//! The question `above` or `below`: levels with hysteresis and persistence, to [`Threshold`].
//!
//! Arrives: the keys `above` or `below`, `clear`, `for` and `clear_for` of a detection rule. Leaves:
//! levels in the unit of the kind, least severe first, and the distance back to normal. Next:
//! `correlation.rs`.

use std::fmt::Write;

use ioc_core::bundle::{Level, Side, Threshold};
use ioc_core::time::Millis;

use super::detection::{SEVERITIES, SPAN_MAX};
use crate::config::field::{Field, Section};
use crate::config::kinds::Kind;
use crate::config::mistake::Mistakes;
use crate::config::quantity;

const READINGS_MAX: u32 = 1000;

/// Reads the keys of a threshold.
pub fn read(
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
    // All values first: each that cannot be read is told, and a ladder with gaps is not judged.
    let values: Vec<_> = written
        .iter()
        .map(|(_, field)| kind.value(field, mistakes))
        .collect();
    let mut levels: Vec<Level> = Vec::new();
    for ((severity, field), value) in written.iter().zip(values) {
        let value = value?;
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

/// A threshold in canonical words.
pub fn meaning(threshold: &Threshold) -> String {
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
