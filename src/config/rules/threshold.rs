//! The question `above` or `below`: levels with hysteresis and persistence, to [`Threshold`].
//!
//! Arrives: the keys `above` or `below`, `margin`, `clear`, `for` and `clear_for` of a detection
//! rule. Leaves: levels in the unit of the kind, least severe first, and the distance back to
//! normal. Other questions have levels of something else than the value, and read them by a
//! [`Scale`] of their own. Next: `rate.rs`.

use std::fmt::Write;

use ioc_core::bundle::{Level, Side, Threshold};
use ioc_core::decision::Severity;
use ioc_core::time::Millis;

use super::detection::{SEVERITIES, SPAN_MAX};
use crate::config::field::{Field, Section};
use crate::config::kinds::Kind;
use crate::config::mistake::Mistakes;
use crate::config::quantity;

const READINGS_MAX: u32 = 1000;
/// The most readings that some are asked to be among.
const AMONG_MAX: u32 = 64;

/// What levels are of: the values of a kind, or something else.
pub struct Scale<'a> {
    /// Which side of a level is abnormal.
    pub side: Side,
    /// How a level is written.
    pub show: &'a dyn Fn(f64) -> String,
    /// What is written, or what to write instead.
    pub parse: &'a dyn Fn(&str) -> Result<f64, String>,
    /// A usual value, which no level may call abnormal.
    pub normal: Option<f64>,
    /// A level for examples.
    pub example: f64,
}

/// Reads the keys of a threshold.
pub fn read(
    section: &mut Section<'_>,
    side: Side,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Threshold> {
    let key = side_word(side);
    let Some(kind) = kind else {
        // Its levels cannot be read; its other keys can.
        section.optional(key);
        section.optional("clear");
        hold(section, mistakes);
        return None;
    };
    let scale = Scale {
        side,
        show: &|value| kind.show(value),
        parse: &|text| kind.parse(text),
        normal: kind.normal,
        example: 3.0,
    };
    let margin = section
        .optional("margin")
        .map(|field| (margin(&field, mistakes), field));
    let threshold = of_scale(section, key, &scale, mistakes);
    let Some((margin, field)) = margin else {
        return threshold;
    };
    let threshold = threshold?;
    if threshold.levels.len() < 2 {
        field.wrong(
            mistakes,
            "is a share of the way to a second level; write another one, or a level further out",
        );
    }
    Some(Threshold {
        margin_percent: margin?,
        ..threshold
    })
}

/// `25 %`.
fn margin(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<u32> {
    let wanted = "a share of the way to the second level from 1 % to 99 %, such as `25 %`";
    field.read(mistakes, wanted, |text| {
        let percent: u32 = text.strip_suffix('%')?.trim().parse().ok()?;
        (1..100).contains(&percent).then_some(percent)
    })
}

/// Reads the levels of a scale under a key, with what goes with them.
pub fn of_scale(
    section: &mut Section<'_>,
    key: &'static str,
    scale: &Scale<'_>,
    mistakes: &mut Mistakes,
) -> Option<Threshold> {
    let levels = section
        .optional(key)
        .and_then(|field| levels(&field, scale, mistakes));
    let example = scale.example_of_clear(levels.as_deref());
    let clear = section
        .required(mistakes, "clear", &example)
        .and_then(|field| clear(&field, scale, levels.as_deref(), mistakes));
    let hold = hold(section, mistakes);
    hold?.over(scale.side, levels?, clear?)
}

/// What of several values levels are of.
#[derive(Clone, Copy)]
pub enum Gathered {
    /// How many there are, which has no unit.
    Count,
    /// All of them together: what is usual of one says nothing about that.
    Sum,
    /// One that stands for them, or each of them.
    Value,
}

/// Reads the levels of several values of a kind, with what goes with them.
pub fn of_several(
    section: &mut Section<'_>,
    of: Gathered,
    side: Side,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Threshold> {
    let number = Kind {
        unit: None,
        means: String::new(),
        normal: None,
        urgent: None,
    };
    let (kind, normal) = match of {
        Gathered::Count => (Some(&number), None),
        Gathered::Sum => (kind, None),
        Gathered::Value => (kind, kind.and_then(|kind| kind.normal)),
    };
    let Some(kind) = kind else {
        // Its levels cannot be read; its other keys can.
        section.optional(side_word(side));
        section.optional("clear");
        hold(section, mistakes);
        return None;
    };
    let scale = Scale {
        side,
        show: &|value| kind.show(value),
        parse: &|text| kind.parse(text),
        normal,
        example: 3.0,
    };
    of_scale(section, side_word(side), &scale, mistakes)
}

/// How long something must last, and how long its end.
pub struct Hold {
    persistence: Persistence,
    clear_readings_min: u32,
}

impl Hold {
    /// The same asked of levels.
    pub fn over(self, side: Side, levels: Vec<Level>, clear_gap: f64) -> Option<Threshold> {
        Some(Threshold {
            side,
            levels,
            margin_percent: 0,
            clear_gap,
            readings_min: self.persistence.readings,
            readings_among: self.persistence.among,
            lasting: self.persistence.lasting,
            clear_readings_min: self.clear_readings_min,
        })
    }
}

/// Reads `for` and `clear_for`.
pub fn hold(section: &mut Section<'_>, mistakes: &mut Mistakes) -> Option<Hold> {
    let persistence = section
        .optional("for")
        .map_or(Some(Persistence::ONCE), |field| {
            persistence(&field, mistakes)
        });
    let clear_readings_min = section
        .optional("clear_for")
        .map_or(Some(1), |field| readings(&field, mistakes));
    Some(Hold {
        persistence: persistence?,
        clear_readings_min: clear_readings_min?,
    })
}

/// The fields of a mapping from severities, least severe first.
pub fn by_severity<'a>(
    field: &Field<'a>,
    example: &str,
    mistakes: &mut Mistakes,
) -> Option<Vec<(Severity, Field<'a>)>> {
    let mut section = Section::of(field, mistakes)?;
    let written = SEVERITIES.map(|(word, severity)| (severity, section.optional(word)));
    let written: Vec<_> = written
        .into_iter()
        .filter_map(|(severity, field)| Some((severity, field?)))
        .collect();
    section.finish(mistakes);
    if written.is_empty() {
        let what = format!("no level; write for example `{{ moderate: {example} }}`");
        field.wrong(mistakes, what);
        return None;
    }
    Some(written)
}

/// `{ moderate: 3.0 m, severe: 3.8 m }`, least severe first.
fn levels(field: &Field<'_>, scale: &Scale<'_>, mistakes: &mut Mistakes) -> Option<Vec<Level>> {
    let example = (scale.show)(scale.example);
    let written = by_severity(field, &example, mistakes)?;
    // All values first: each that cannot be read is told, and a ladder with gaps is not judged.
    let values: Vec<_> = written
        .iter()
        .map(|(_, field)| scale.value(field, mistakes))
        .collect();
    let mut levels: Vec<Level> = Vec::new();
    for ((severity, field), value) in written.iter().zip(values) {
        let value = value?;
        let graver = levels
            .last()
            .is_none_or(|last| is_beyond(scale.side, value, last.value));
        if !graver {
            let last = (scale.show)(levels[levels.len() - 1].value);
            let word = side_word(scale.side);
            let what = format!("a graver level must lie further {word}: {word} {last}");
            field.wrong(mistakes, what);
        }
        levels.push(Level {
            severity: *severity,
            value,
        });
    }
    if let Some(normal) = scale
        .normal
        .filter(|normal| is_beyond(scale.side, *normal, levels[0].value))
    {
        let what = format!(
            "would call the normal value of this kind abnormal, which is {} in kinds.yaml",
            (scale.show)(normal)
        );
        field.wrong(mistakes, what);
    }
    Some(levels)
}

/// `below 2.7 m`: how far back past the least level that is.
fn clear(
    field: &Field<'_>,
    scale: &Scale<'_>,
    levels: Option<&[Level]>,
    mistakes: &mut Mistakes,
) -> Option<f64> {
    let (side, back) = (scale.side, scale.back());
    let example = scale.example_of_clear(levels);
    let text = field.text(mistakes, &format!("a level such as `{example}`"))?;
    let Some(level) = text.strip_prefix(back) else {
        let what = format!("`{text}` must begin with `{back}`, such as `{example}`");
        field.wrong(mistakes, what);
        return None;
    };
    let value = (scale.parse)(level.trim())
        .map_err(|what| field.wrong(mistakes, what))
        .ok()?;
    let least = levels?.first()?.value;
    if is_beyond(side, value, least) {
        let what = format!(
            "{} is still abnormal; write a value that is not {} {}",
            (scale.show)(value),
            side_word(side),
            (scale.show)(least)
        );
        field.wrong(mistakes, what);
        return None;
    }
    // As people would say it: 0.1 and not 0.10000000000000009, so that a sensor's own level keeps
    // a gap that ends where they expect.
    Some(((least - value).abs() * 1e9).round() / 1e9)
}

impl Scale<'_> {
    fn value(&self, field: &Field<'_>, mistakes: &mut Mistakes) -> Option<f64> {
        let wanted = format!("a value such as `{}`", (self.show)(self.example));
        let text = field.text(mistakes, &wanted)?;
        let value = (self.parse)(text);
        value.map_err(|what| field.wrong(mistakes, what)).ok()
    }

    /// The word for the way back to normal.
    const fn back(&self) -> &'static str {
        match self.side {
            Side::Above => "below",
            Side::Below => "above",
        }
    }

    fn example_of_clear(&self, levels: Option<&[Level]>) -> String {
        let least = levels.and_then(|levels| levels.first());
        let level = least.map_or(self.example, |least| least.value);
        format!("{} {}", self.back(), (self.show)(level))
    }
}

fn is_beyond(side: Side, value: f64, level: f64) -> bool {
    match side {
        Side::Above => value > level,
        Side::Below => value < level,
    }
}

/// The word for a side.
pub const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Above => "above",
        Side::Below => "below",
    }
}

struct Persistence {
    readings: u32,
    among: Option<u32>,
    lasting: Millis,
}

impl Persistence {
    const ONCE: Self = Self {
        readings: 1,
        among: None,
        lasting: Millis::ZERO,
    };
}

/// `2 readings`, `3 of 5 readings`, `5 min`, or readings and a time in a list.
fn persistence(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Persistence> {
    let wanted = format!(
        "`2 readings` (1 to {READINGS_MAX}), `3 of 5 readings` (of up to {AMONG_MAX}), `5 min` (up \
         to 7 d), or readings and a time: `[2 readings, 5 min]`"
    );
    let (mut count, mut lasting) = (None, None);
    for item in field.items() {
        let text = item.text(mistakes, &wanted)?;
        let span = quantity::span(text).filter(|span| (Millis::ZERO..=SPAN_MAX).contains(span));
        let readings = reading_count(text).map(|readings| (readings, None));
        let twice = match (readings.or_else(|| some_among(text)), span) {
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
    let (readings, among) = count.unwrap_or((1, None));
    Some(Persistence {
        readings,
        among,
        lasting: lasting.unwrap_or_default(),
    })
}

/// `3 of 5 readings`. All of them are as many in a row.
fn some_among(text: &str) -> Option<(u32, Option<u32>)> {
    let (some, among) = text.split_once(" of ")?;
    let some: u32 = some.trim().parse().ok()?;
    let among = reading_count(among).filter(|among| *among <= AMONG_MAX)?;
    let sound = (1..=among).contains(&some);
    sound.then_some((some, (some < among).then_some(among)))
}

/// `2 readings`.
pub fn readings(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<u32> {
    let wanted = format!("a number of readings from 1 to {READINGS_MAX}, such as `2 readings`");
    field.read(mistakes, &wanted, reading_count)
}

/// The number in `2 readings`.
pub fn reading_count(text: &str) -> Option<u32> {
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
    if threshold.margin_percent > 0 {
        write!(text, " and {} %", threshold.margin_percent).expect("a string takes all");
    }
    let among = threshold.readings_among;
    let among = among.map_or(String::new(), |among| format!(" of {among}"));
    text + &format!(
        " for {readings_min}{among} readings, {} ms, clear by {clear_gap:?} for \
         {clear_readings_min}",
        lasting.0
    )
}
