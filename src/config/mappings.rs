//! Mappings: what messages of other topics than the native ones are, and how they become readings.
//!
//! Arrives: `mappings.yaml`. Leaves: the [`Mappings`] that the door reads messages by. Promise: what
//! is a constant is checked against kinds and units here; a level of the topic that the filter does
//! not promise, or an item's name where there are no items, is a mistake. Next:
//! `mappings/shape.rs`, JSON of any shape, and `mappings/levels.rs`, where in it the items are;
//! `ioc-gateway/src/formats/mapping.rs`, what is done with it.

mod levels;
mod shape;

use std::collections::{BTreeSet, HashMap};

use ioc_core::id::SensorId;
use ioc_core::limits::KINDS_PER_SENSOR_MAX;
use ioc_gateway::formats::mapping::{Format, Mapping, Names, Shape};
use ioc_gateway::formats::{Mappings, TopicFilter, native};

use super::field::{Field, Section};
use super::filters;
use super::kinds::Kinds;
use super::mistake::Mistakes;
use super::yaml::{Node, Value};

/// The most names that one mapping may call otherwise, of each sort.
const NAMES_MAX: usize = 100_000;

/// Reads `mappings.yaml`.
pub fn read(root: &Node, kinds: &Kinds, mistakes: &mut Mistakes) -> Mappings {
    let Some(mut file) = Section::root(root, mistakes) else {
        return Mappings::default();
    };
    let listed = file.optional("mappings");
    file.finish(mistakes);
    let Some(section) = listed.and_then(|field| Section::of(&field, mistakes)) else {
        return Mappings::default();
    };
    let mut list: Vec<Mapping> = Vec::new();
    for (entry, field) in section.entries() {
        let Some(mapping) = mapping(&entry.key, &field, kinds, mistakes) else {
            continue;
        };
        if let Some(first) = list.iter().find(|other| other.topic == mapping.topic) {
            let what = format!(
                "`{}` is the topic of mapping `{}` too, which is asked first; give each its own",
                mapping.topic, first.name
            );
            field.wrong(mistakes, what);
        } else if let Some(first) = list.iter().find(|other| other.topic.covers(&mapping.topic)) {
            let what = format!(
                "is never asked: all topics of `{}` are those of `{}` too, of mapping `{}`, which is asked \
                 first; write it before that one",
                mapping.topic, first.topic, first.name
            );
            field.doubtful(mistakes, what);
        }
        list.push(mapping);
    }
    if list.len() > Mappings::COUNT_MAX {
        let (count, most) = (list.len(), Mappings::COUNT_MAX);
        section.wrong(
            mistakes,
            format!("{count} mappings are too many; at most {most}"),
        );
    }
    Mappings::new(list)
}

fn mapping(
    name: &str,
    field: &Field<'_>,
    kinds: &Kinds,
    mistakes: &mut Mistakes,
) -> Option<Mapping> {
    let mut section = Section::of(field, mistakes)?;
    let topic = section
        .required(mistakes, "topic", "weather/+/report")
        .and_then(|field| topic(&field, mistakes));
    let format = section.optional("format");
    let format = match format {
        Some(field) => field.choice(mistakes, &WORDS),
        None => Some(Word::Json),
    };
    let mut names = names(&mut section, kinds, mistakes);
    let format = match format? {
        Word::Json => {
            shape::read(&mut section, topic.as_ref(), &names, kinds, mistakes).map(Format::Json)
        }
        Word::Text => {
            let shape = shape::read(&mut section, topic.as_ref(), &names, kinds, mistakes);
            shape.map(|shape| {
                Format::Json(Shape {
                    is_text: true,
                    ..shape
                })
            })
        }
        Word::Events if section.has("readings") => {
            let shape = shape::read(&mut section, topic.as_ref(), &names, kinds, mistakes);
            shape.map(|shape| Format::CloudEvents(Some(shape)))
        }
        Word::Events => {
            names.words = words(&mut section, mistakes);
            Some(Format::CloudEvents(None))
        }
        Word::Standard(format) => {
            names.words = words(&mut section, mistakes);
            if matches!(format, Format::Cap) {
                kinds_of_alerts(&names, &section, mistakes);
            }
            Some(format.clone())
        }
    };
    section.finish(mistakes);
    Some(Mapping {
        name: name.into(),
        topic: topic?,
        format: format?,
        names,
    })
}

/// The formats, as they are named.
#[derive(Clone, Copy)]
enum Word {
    Json,
    Text,
    Events,
    Standard(&'static Format),
}

const WORDS: [(&str, Word); 8] = [
    ("json", Word::Json),
    ("text", Word::Text),
    ("senml", Word::Standard(&Format::Senml)),
    ("sensorthings", Word::Standard(&Format::SensorThings)),
    ("ngsi-ld", Word::Standard(&Format::NgsiLd)),
    ("cloudevents", Word::Events),
    ("sparkplug", Word::Standard(&Format::Sparkplug)),
    ("cap", Word::Standard(&Format::Cap)),
];

fn topic(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<TopicFilter> {
    filters::doubt_topic(field, mistakes);
    let topic: TopicFilter = field.parsed(mistakes)?;
    if native::sensor_of(&topic.to_string()).is_some() {
        let what = "messages of these topics are native readings; no mapping is asked for them";
        field.wrong(mistakes, what);
        return None;
    }
    Some(topic)
}

/// Alerts of one sender must not be of more kinds than are judged of one sensor: those of further
/// kinds would count for nothing.
fn kinds_of_alerts(names: &Names, section: &Section<'_>, mistakes: &mut Mistakes) {
    let kinds: BTreeSet<_> = names.kinds.values().collect();
    // Beside them what no event is listed as.
    let most = KINDS_PER_SENSOR_MAX - 1;
    if kinds.len() > most {
        let count = kinds.len();
        let what = format!(
            "`kinds` makes alerts of {count} kinds; of one sender at most {most} are judged: let \
             some events be of one kind"
        );
        section.wrong(mistakes, what);
    }
}

/// What texts are worth, in a message of a standard.
fn words(section: &mut Section<'_>, mistakes: &mut Mistakes) -> HashMap<Box<str>, f64> {
    let words = section.optional("words");
    let words = words.map(|field| shape::words(&field, mistakes));
    words.unwrap_or_default().into_iter().collect()
}

/// The tables of what is called otherwise.
fn names(section: &mut Section<'_>, kinds: &Kinds, mistakes: &mut Mistakes) -> Names {
    let sensors = table(section.optional("sensors"), mistakes, |name| {
        let sensor: Result<SensorId, _> = name.parse();
        sensor.map(drop).map_err(|error| error.to_string())
    });
    let kinds = table(section.optional("kinds"), mistakes, |name| {
        match kinds.get(name) {
            Some(_) => Ok(()),
            None => Err(kinds.unknown(name)),
        }
    });
    let units = table(section.optional("units"), mistakes, |_| Ok(()));
    Names {
        sensors,
        kinds,
        units,
        ..Names::default()
    }
}

fn table(
    field: Option<Field<'_>>,
    mistakes: &mut Mistakes,
    check: impl Fn(&str) -> Result<(), String>,
) -> HashMap<Box<str>, Box<str>> {
    let mut table = HashMap::new();
    let Some(section) = field.and_then(|field| Section::of(&field, mistakes)) else {
        return table;
    };
    for (entry, field) in section.entries() {
        let Some(ours) = field.text(mistakes, "what it is called here") else {
            continue;
        };
        match check(ours) {
            Ok(()) => {
                table.insert(entry.key.as_str().into(), ours.into());
            }
            Err(what) => field.wrong(mistakes, what),
        }
    }
    if table.len() > NAMES_MAX {
        let what = format!("{} names are too many; at most {NAMES_MAX}", table.len());
        section.wrong(mistakes, what);
    }
    table
}

/// Whether keys are written there.
fn has_keys(field: &Field<'_>) -> bool {
    matches!(field.node.value, Value::Map(_))
}

#[cfg(test)]
mod tests;
