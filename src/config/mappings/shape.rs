//! A mapping of JSON: where in a message each part of a reading stands.
//!
//! Arrives: the keys of a mapping. Leaves: a [`Shape`]. What is written beside `topic` holds for
//! each of `readings` that does not say it itself.

use std::str::FromStr;

use ioc_core::id::SensorId;
use ioc_core::reading::{Attributes, Reading};
use ioc_gateway::formats::mapping::{
    Epoch, Level, MadeMarks, Measured, Moment, Names, Pattern, ReadingShape, Shape, Source, Text,
    Whence, Where, Written,
};
use ioc_gateway::formats::{TopicFilter, units};

use super::{has_keys, levels};
use crate::config::field::{Field, Section};
use crate::config::kinds::Kinds;
use crate::config::mistake::Mistakes;

/// The most words that say that there is no value.
pub(super) const NOTHING_MAX: usize = 64;
/// The most readings that one item may have.
const READINGS_MAX: usize = 64;

/// What the sources of a mapping may ask for.
struct Reader<'r> {
    topic: Option<&'r TopicFilter>,
    /// Where its items are; `None` if that was written wrongly.
    each: Option<&'r [Level]>,
    names: &'r Names,
    kinds: &'r Kinds,
}

/// Reads the keys of a mapping of JSON.
pub fn read(
    section: &mut Section<'_>,
    topic: Option<&TopicFilter>,
    names: &Names,
    kinds: &Kinds,
    mistakes: &mut Mistakes,
) -> Option<Shape> {
    let each = section.optional("each");
    let before = mistakes.count();
    let each = match each {
        Some(field) => levels::read(&field, mistakes),
        None => Some(Vec::new()),
    };
    let reader = Reader {
        topic,
        each: each.as_deref(),
        names,
        kinds,
    };
    let common = reader.common(section, mistakes);
    let listed = section.required(
        mistakes,
        "readings",
        "[{ kind: temperature, value: /temp }]",
    );
    let fields = listed.as_ref().map_or(Vec::new(), Field::items);
    if fields.len() > READINGS_MAX {
        let what = format!("{} are too many; at most {READINGS_MAX}", fields.len());
        section.wrong(mistakes, what);
        return None;
    }
    if listed.is_some() && fields.is_empty() {
        section.wrong(mistakes, "`readings` is empty; write what the message says");
    }
    let readings = fields.iter().filter_map(|field| {
        let reading = reader.reading(field, &common, mistakes)?;
        reader.check_columns(field, &reading, mistakes);
        Some(reading)
    });
    let readings = readings.collect();
    (mistakes.count() == before && listed.is_some()).then_some(Shape {
        is_text: false,
        each: each?,
        readings,
        marks: MadeMarks::default(),
    })
}

/// What may be written once for all readings.
#[derive(Default)]
struct Common {
    /// What is written, right or wrong, of what each reading must have.
    has_sensor: bool,
    has_observed_at: bool,
    sensor: Option<Text>,
    kind: Option<Text>,
    observed_at: Option<Moment>,
    id: Option<Text>,
    position: Option<Where>,
    attributes: Vec<(Box<str>, Text)>,
}

impl Reader<'_> {
    fn common(&self, section: &mut Section<'_>, mistakes: &mut Mistakes) -> Common {
        let mut text = |key| {
            let field = section.optional(key)?;
            self.text(&field, mistakes).map(|text| (field, text))
        };
        let (sensor, kind, id) = (text("sensor"), text("kind"), text("id"));
        if let Some((field, text)) = &sensor {
            self.check_sensor(field, text, mistakes);
        }
        if let Some((field, text)) = &kind {
            self.check_kind(field, text, mistakes);
        }
        let observed_at = section.optional("observed_at");
        let position = section.optional("position");
        let attributes = section.optional("attributes");
        Common {
            has_sensor: section.has("sensor"),
            has_observed_at: section.has("observed_at"),
            sensor: sensor.map(|(_, text)| text),
            kind: kind.map(|(_, text)| text),
            id: id.map(|(_, text)| text),
            observed_at: observed_at.and_then(|field| self.moment(&field, mistakes)),
            position: position.and_then(|field| self.position(&field, mistakes)),
            attributes: attributes.map_or(Vec::new(), |field| self.attributes(&field, mistakes)),
        }
    }

    fn reading(
        &self,
        field: &Field<'_>,
        common: &Common,
        mistakes: &mut Mistakes,
    ) -> Option<ReadingShape> {
        let mut section = Section::of(field, mistakes)?;
        let own = self.common(&mut section, mistakes);
        let value = section
            .required(mistakes, "value", "/temperature")
            .and_then(|field| self.measured(&field, mistakes));
        let kind = own.kind.or_else(|| common.kind.clone());
        let unit = section.optional("unit").and_then(|field| {
            let unit = self.text(&field, mistakes)?;
            self.check_unit(&field, &unit, kind.as_ref(), mistakes);
            Some(unit)
        });
        let optional = section.optional("optional").is_some_and(|field| {
            let words = [("true", true), ("false", false)];
            field.choice(mistakes, &words).unwrap_or_default()
        });
        let sensor = own.sensor.or_else(|| common.sensor.clone());
        let observed_at = own.observed_at.or_else(|| common.observed_at.clone());
        for (key, example, is_there) in [
            (
                "sensor",
                "\"{topic 2}-temperature\"",
                own.has_sensor || common.has_sensor,
            ),
            (
                "observed_at",
                "/time",
                own.has_observed_at || common.has_observed_at,
            ),
        ] {
            if !is_there {
                let what = format!(
                    "`{key}` is missing; write it here or beside `topic`, for example \
                     `{key}: {example}`"
                );
                section.wrong(mistakes, what);
            }
        }
        section.finish(mistakes);
        let mut attributes = own.attributes;
        for (name, text) in &common.attributes {
            if !attributes.iter().any(|(own, _)| own == name) {
                attributes.push((name.clone(), text.clone()));
            }
        }
        if attributes.len() > Attributes::COUNT_MAX {
            let most = Attributes::COUNT_MAX;
            let what = format!(
                "{} attributes are too many; at most {most}",
                attributes.len()
            );
            field.wrong(mistakes, what);
        }
        Some(ReadingShape {
            sensor: sensor?,
            kind,
            value: value?,
            unit,
            observed_at: observed_at?,
            id: own.id.or_else(|| common.id.clone()),
            position: own.position.or_else(|| common.position.clone()),
            attributes,
            optional,
        })
    }

    fn text(&self, field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Text> {
        let text: Text = self.expression(field, mistakes)?;
        for source in text.sources() {
            self.check_source(field, source, mistakes);
        }
        Some(text)
    }

    fn source(&self, field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Source> {
        let source = self.expression(field, mistakes)?;
        self.check_source(field, &source, mistakes);
        Some(source)
    }

    fn expression<T: FromStr<Err: std::fmt::Display>>(
        &self,
        field: &Field<'_>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let text = field.text(mistakes, "where it stands, such as `/member` or `topic 2`")?;
        let parsed = text.parse().map_err(|error| format!("`{text}` {error}"));
        parsed.map_err(|what| field.wrong(mistakes, what)).ok()
    }

    /// Makes sure that what is asked for can be there.
    fn check_source(&self, field: &Field<'_>, source: &Source, mistakes: &mut Mistakes) {
        match source {
            Source::Level(level) => {
                let Some(topic) = self.topic else { return };
                let levels = topic.levels();
                if *level > levels && !topic.to_string().ends_with('#') {
                    let what =
                        format!("`topic {level}`: the topics of `{topic}` have {levels} levels");
                    field.wrong(mistakes, what);
                }
            }
            Source::Key if self.each.is_some_and(<[Level]>::is_empty) => {
                field.wrong(
                    mistakes,
                    "`key` is the name of an item; without `each` there is none",
                );
            }
            Source::Item(place) => {
                if let Some(level) = self.each.and_then(<[Level]>::last) {
                    levels::check_place(field, "item", level, place, mistakes);
                }
            }
            Source::Outer(of, place) => {
                let own = match place.first() {
                    None => "item".to_owned(),
                    Some(_) => place.to_string(),
                };
                if let Some(level) = self.outer(field, *of, source, &own, mistakes) {
                    levels::check_place(field, &format!("item {of}"), level, place, mistakes);
                }
            }
            Source::OuterKey(of) => {
                self.outer(field, *of, source, "key", mistakes);
            }
            Source::OuterNumber(of) => {
                self.outer(field, *of, source, "number", mistakes);
            }
            Source::Number if self.each.is_some_and(<[Level]>::is_empty) => {
                field.wrong(
                    mistakes,
                    "`number` is that of an item in its list; without `each` there is none",
                );
            }
            Source::Key | Source::Number | Source::Message(_) => {}
        }
    }

    /// The level of an item that the items stand in; `own` says the same of the items themselves.
    fn outer(
        &self,
        field: &Field<'_>,
        of: usize,
        source: &Source,
        own: &str,
        mistakes: &mut Mistakes,
    ) -> Option<&Level> {
        let each = self.each?;
        let what = match each.len() {
            0 => format!("`{source}`: without `each` there are no items"),
            last if of == last => {
                format!("`{source}`: this is the item itself; write `{own}`")
            }
            count if of > count => {
                let places = if count == 1 { "place" } else { "places" };
                format!("`{source}`: `each` has {count} {places}")
            }
            _ => return each.get(of - 1),
        };
        field.wrong(mistakes, what);
        None
    }

    /// Makes sure that it can be told how many items a table of columns has for a reading.
    fn check_columns(&self, field: &Field<'_>, reading: &ReadingShape, mistakes: &mut Mistakes) {
        let Some(Level::Columns(_)) = self.each.and_then(<[Level]>::last) else {
            return;
        };
        // What is said of a reading makes none.
        let said = ReadingShape {
            id: None,
            position: None,
            attributes: Vec::new(),
            ..reading.clone()
        };
        let mut has_column = false;
        said.each_source(&mut |source| has_column |= matches!(source, Source::Item(_)));
        if !has_column {
            field.wrong(
                mistakes,
                "asks for none of the columns as its value, time or sensor, which say how many \
                 readings there are; write for example `value: /temperature`",
            );
        }
    }

    fn check_sensor(&self, field: &Field<'_>, sensor: &Text, mistakes: &mut Mistakes) {
        if let Text::Constant(name) = sensor
            && !SensorId::is_valid(name)
        {
            field.wrong(mistakes, format!("`{name}`: {}", SensorId::error()));
        }
    }

    fn check_kind(&self, field: &Field<'_>, kind: &Text, mistakes: &mut Mistakes) {
        if let Text::Constant(name) = kind {
            let name = self.names.kinds.get(name).unwrap_or(name);
            if self.kinds.get(name).is_none() {
                field.wrong(mistakes, self.kinds.unknown(name));
            }
        }
    }

    /// Makes sure that a unit can be converted to that of its kind.
    fn check_unit(
        &self,
        field: &Field<'_>,
        unit: &Text,
        kind: Option<&Text>,
        mistakes: &mut Mistakes,
    ) {
        let Text::Constant(unit) = unit else { return };
        let unit = self.names.units.get(unit).unwrap_or(unit);
        if unit.len() > Reading::UNIT_BYTES_MAX {
            let most = Reading::UNIT_BYTES_MAX;
            field.wrong(mistakes, format!("a unit has at most {most} bytes"));
        }
        let Some(Text::Constant(kind)) = kind else {
            return;
        };
        let kind = self.names.kinds.get(kind).unwrap_or(kind);
        let wanted = self.kinds.get(kind).and_then(|kind| kind.unit.as_deref());
        if let Some(wanted) = wanted
            && units::convert(1.0, unit, wanted).is_err()
        {
            let what = format!("`{unit}` cannot be converted to `{wanted}`, the unit of {kind}");
            field.wrong(mistakes, what);
        }
    }

    /// `value: /t`, `value: 1`, or its keys.
    fn measured(&self, field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Measured> {
        let plain = |from| Measured {
            from,
            written: Written::Whole,
            words: Vec::new(),
            nothing: Vec::new(),
            multiply: 1.0,
            add: 0.0,
        };
        if !has_keys(field) {
            let text = field.text(mistakes, "where the value stands, such as `/temperature`")?;
            if let Some(constant) = number(text) {
                return Some(plain(Whence::Constant(constant)));
            }
            return self.source(field, mistakes).map(Whence::Source).map(plain);
        }
        let mut section = Section::of(field, mistakes)?;
        let from = section
            .required(mistakes, "from", "/temperature")
            .and_then(|field| self.source(&field, mistakes));
        let words = section
            .optional("words")
            .map(|field| words(&field, mistakes));
        let nothing = section.optional("nothing").map_or(Vec::new(), |field| {
            let items = field.items();
            if items.len() > NOTHING_MAX {
                let what = format!("{} are too many; at most {NOTHING_MAX}", items.len());
                field.wrong(mistakes, what);
                return Vec::new();
            }
            let words = items.iter();
            words
                .filter_map(|item| {
                    item.text(mistakes, "a word such as `unavailable`")
                        .map(Into::into)
                })
                .collect()
        });
        let point = |point| Written::Leading { point };
        let written = match section.optional("as") {
            None => Some(Written::Whole),
            Some(field) => field.choice(
                mistakes,
                &[
                    ("number", Written::Whole),
                    ("leading_number", point('.')),
                    ("leading_number_comma", point(',')),
                ],
            ),
        };
        let mut factor = |key, usual| {
            let wanted = "a number such as `0.1`";
            match section.optional(key) {
                Some(field) => field.read(mistakes, wanted, number),
                None => Some(usual),
            }
        };
        let (multiply, add) = (factor("multiply", 1.0), factor("add", 0.0));
        section.finish(mistakes);
        Some(Measured {
            written: written?,
            words: words.unwrap_or_default(),
            nothing,
            multiply: multiply?,
            add: add?,
            ..plain(Whence::Source(from?))
        })
    }

    /// `observed_at: arrival`, `observed_at: /time`, or its keys.
    fn moment(&self, field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Moment> {
        if !has_keys(field) {
            if field.text(mistakes, "where the time stands, such as `/time`")? == "arrival" {
                return Some(Moment::Arrival);
            }
            return Some(Moment::Written {
                from: self.time(field, mistakes)?,
                offset: None,
                pattern: None,
            });
        }
        let mut section = Section::of(field, mistakes)?;
        let from = section
            .required(mistakes, "from", "/time")
            .and_then(|field| self.time(&field, mistakes));
        let written_as = section.optional("as");
        let epoch = match &written_as {
            None => Some(None),
            Some(field) => field.choice(
                mistakes,
                &[
                    ("rfc3339", None),
                    ("seconds", Some(Epoch::Seconds)),
                    ("milliseconds", Some(Epoch::Millis)),
                    ("microseconds", Some(Epoch::Micros)),
                    ("nanoseconds", Some(Epoch::Nanos)),
                ],
            ),
        };
        let before = mistakes.count();
        let format = section.optional("format");
        if let Some(field) = format.as_ref().filter(|_| written_as.is_some()) {
            field.wrong(
                mistakes,
                "`as` and `format` both say how the time is written; remove one",
            );
        }
        let offset = section.optional("utc_offset");
        let is_counted = epoch.flatten().is_some();
        if let Some(field) = offset.as_ref().filter(|_| is_counted) {
            field.wrong(
                mistakes,
                "what is counted since 1970 has no offset; remove it",
            );
        }
        let has_offset = offset.is_some();
        let offset = offset.and_then(|field| {
            field.read(mistakes, "an offset such as `+08:00`", |text| {
                let time = format!("2026-01-01T00:00:00{text}");
                let is_one = ioc_core::time::Timestamp::parse(time.as_bytes()).is_ok();
                is_one.then(|| text.into())
            })
        });
        let pattern = format.and_then(|field| pattern(&field, has_offset, mistakes));
        section.finish(mistakes);
        let from = from.filter(|_| mistakes.count() == before)?;
        Some(match epoch? {
            None => Moment::Written {
                from,
                offset,
                pattern,
            },
            Some(epoch) => Moment::Counted { from, epoch },
        })
    }

    /// Where a time stands, or what it is put together of.
    fn time(&self, field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Text> {
        let text: Text = self.expression(field, mistakes)?;
        if text.sources().next().is_none() {
            // A constant is no time of an observation.
            self.source(field, mistakes)?;
            return None;
        }
        for source in text.sources() {
            self.check_source(field, source, mistakes);
        }
        Some(text)
    }

    /// `position: /location/coordinates`, `{ lat_lon: /gps }`, or `{ lon: …, lat: … }`.
    fn position(&self, field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Where> {
        if !has_keys(field) {
            return self.source(field, mistakes).map(Where::List);
        }
        let mut section = Section::of(field, mistakes)?;
        for (key, is_lat_first) in [("lat_lon", true), ("lon_lat", false)] {
            if let Some(field) = section.optional(key) {
                section.finish(mistakes);
                let from = self.source(&field, mistakes)?;
                return Some(Where::Text { from, is_lat_first });
            }
        }
        let mut source = |key, example| {
            let field = section.required(mistakes, key, example)?;
            self.source(&field, mistakes)
        };
        let (lon, lat) = (source("lon", "/lon"), source("lat", "/lat"));
        section.finish(mistakes);
        Some(Where::Pair {
            lon: lon?,
            lat: lat?,
        })
    }

    fn attributes(&self, field: &Field<'_>, mistakes: &mut Mistakes) -> Vec<(Box<str>, Text)> {
        let Some(section) = Section::of(field, mistakes) else {
            return Vec::new();
        };
        let entries: Vec<_> = section.entries().collect();
        entries
            .into_iter()
            .filter_map(|(entry, field)| {
                let text = self.text(&field, mistakes)?;
                Some((entry.key.as_str().into(), text))
            })
            .collect()
    }
}

/// How times are written. Without an offset from UTC nobody knows which time is meant.
fn pattern(field: &Field<'_>, has_offset: bool, mistakes: &mut Mistakes) -> Option<Pattern> {
    let text = field.text(
        mistakes,
        "how the time is written, such as `%d.%m.%Y %H:%M`",
    )?;
    let parsed = text.parse::<Pattern>();
    let pattern = parsed.map_err(|error| format!("`{text}`: {error}"));
    let pattern = pattern.map_err(|what| field.wrong(mistakes, what)).ok()?;
    if !pattern.says_offset() && !has_offset {
        let what = format!(
            "`{text}` says no offset from UTC; write `%z` where it stands, also for `Z`, or \
             `utc_offset: \"+08:00\"` beside it"
        );
        field.wrong(mistakes, what);
    }
    Some(pattern)
}

/// What words are worth.
pub fn words(field: &Field<'_>, mistakes: &mut Mistakes) -> Vec<(Box<str>, f64)> {
    let Some(section) = Section::of(field, mistakes) else {
        return Vec::new();
    };
    let entries: Vec<_> = section.entries().collect();
    entries
        .into_iter()
        .filter_map(|(entry, field)| {
            let value = field.read(mistakes, "a number", number)?;
            Some((entry.key.as_str().into(), value))
        })
        .collect()
}

fn number(text: &str) -> Option<f64> {
    let is_one = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|value: &f64| is_one && value.is_finite())
}
