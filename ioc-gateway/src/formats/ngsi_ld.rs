//! NGSI-LD notifications (ETSI GS CIM 009, "NGSI-LD API").
//!
//! Arrives: a Notification (clause 5.3.1) as a context broker posts it, or publishes it with its
//! headers beside it (clause 7.2); or its entities alone. Leaves: a reading for each attribute of
//! an entity (clause 5.2.4) that is of a kind which the city knows, in whichever representation:
//! normalized or concise (clause 4.5.2), or simplified, which is also called key-values (clause
//! 4.5.4). What says when it was deleted says no value any more. Promise: an entity of which nothing is a reading becomes a dead letter, and takes no
//! other with it. Left out: entities as GeoJSON features (clause 4.5.16), languages, and simplified
//! attributes of several datasets (clause 4.5.4).
//! What Orion sends by NGSIv2 is read too, as far as it says the same: its attributes with their
//! `metadata`, its times `TimeInstant`, and a `geo:point`.
//! Next: `cefact.rs`, the codes of units.

use std::fmt;

use ioc_core::place::Position;
use ioc_core::reading::Attributes;
use ioc_core::time::Timestamp;

use super::draft::{Draft, Part, Scratch};
use super::extent::Extent;
use super::json::{Index, Value};
use super::mapping::{Names, number};
use super::message::{Found, Item, Outcome, finish};
use super::pointer::{write_beginning, write_key};
use super::{Reason, Reject, cefact};
use crate::catalogue::Catalogue;

/// What a notification says of a value that was deleted (clause 4.5.0).
const DELETED: &str = "urn:ngsi-ld:null";

/// The attribute, or the metadata of one, by which agents of NGSIv2 say when something was observed.
const TIME_INSTANT: &str = "TimeInstant";

/// How deep the coordinates of a geometry lie: those of a MultiPolygon (RFC 7946, section 3.1.7).
const GEOMETRY_DEPTH: usize = 3;

/// Finds the readings of a notification.
///
/// # Errors
/// Why it cannot be read as a whole, or brings too many.
pub(super) fn decode<'d>(
    message: Value<'d>,
    names: &'d Names,
    catalogue: &'d Catalogue,
    scratch: &'d mut Scratch,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    let mut decoder = Decoder {
        names,
        catalogue,
        scratch,
        take,
        notified_at: None,
        count: 0,
    };
    let (notification, prefix) = match said(message, "body")? {
        // Clause 7.2: over MQTT the headers are beside it.
        Some(body) if said(message, "metadata")?.is_some() => (body, "/body"),
        Some(_) | None => (message, ""),
    };
    let place = Place::of(prefix);
    if let Some(entities) = notification.elements() {
        return decoder.entities(entities, place);
    }
    let Some(data) = said(notification, "data")? else {
        return decoder.entity(notification, place);
    };
    decoder.notified_at = said(notification, "notifiedAt")?.and_then(time_text);
    let place = Place {
        is_notified: true,
        ..place
    };
    match data.elements() {
        Some(entities) => decoder.entities(entities, place),
        None => decoder.entity(data, place),
    }
}

/// Where in a message an attribute stands.
#[derive(Clone, Copy)]
struct Place<'p> {
    prefix: &'static str,
    is_notified: bool,
    entity: Option<usize>,
    attribute: &'p str,
    instance: Option<usize>,
}

impl Place<'_> {
    const fn of(prefix: &'static str) -> Self {
        Self {
            prefix,
            is_notified: false,
            entity: None,
            attribute: "",
            instance: None,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix)?;
        if self.is_notified {
            f.write_str("/data")?;
        }
        if let Some(number) = self.entity {
            write!(f, "/{number}")?;
        }
        if !self.attribute.is_empty() {
            match self.attribute.len() > NAME_BYTES_MAX {
                true => write_beginning(self.attribute, LONG_NAME_CHARS, f)?,
                false => write_key(self.attribute, f)?,
            }
        }
        match self.instance {
            Some(number) => write!(f, "/{number}"),
            None => Ok(()),
        }
    }
}

/// What holds for all attributes of an entity.
struct Entity<'d> {
    id: &'d str,
    kind: Option<&'d str>,
    position: Option<Position>,
    observed_at: Option<&'d str>,
    /// The names of its attributes that may be readings, each as often as it is there, in order.
    meant: Vec<&'d str>,
    /// What it says in texts: all that its readings may get as attributes.
    texts: Vec<(&'d str, &'d str)>,
    is_deleted: bool,
}

/// An attribute, whichever way it is represented.
#[derive(Default)]
struct Attribute<'d> {
    value: Option<Value<'d>>,
    unit: Option<&'d str>,
    observed_at: Option<Value<'d>>,
    modified_at: Option<Value<'d>>,
    dataset: Option<&'d str>,
    is_deleted: bool,
}

/// Who measured an attribute that is a reading, and what, unless the sensor is registered for it.
struct Meant<'d> {
    sensor: Part<'d>,
    kind: Option<&'d str>,
}

struct Decoder<'d, 't> {
    names: &'d Names,
    catalogue: &'d Catalogue,
    scratch: &'d mut Scratch,
    take: &'t mut (dyn FnMut(Item<'_>) + 't),
    /// When the notification was sent: of attributes that say no time of their own.
    notified_at: Option<&'d str>,
    count: usize,
}

impl<'d> Decoder<'d, '_> {
    fn entities(
        &mut self,
        entities: impl Iterator<Item = Value<'d>>,
        place: Place<'_>,
    ) -> Result<(), Reject> {
        for (number, entity) in entities.enumerate() {
            let entity_place = Place {
                entity: Some(number),
                ..place
            };
            self.entity(entity, entity_place)?;
        }
        Ok(())
    }

    fn entity(&mut self, whole: Value<'d>, place: Place<'_>) -> Result<(), Reject> {
        let mut entity = match Entity::read(whole) {
            Ok(entity) => entity,
            Err(reject) => return self.refuse(reject, whole, place),
        };
        if entity.is_deleted {
            return self.absent(whole, place);
        }
        // Once, and not for each attribute: an entity may have tens of thousands of members.
        entity.meant = self.names_meant(&entity, whole);
        if !entity.meant.is_empty() {
            entity.texts = texts(whole);
        }
        let before = self.count;
        for (name, written) in whole.members().into_iter().flatten() {
            if entity.meant.binary_search(&name).is_err() {
                continue;
            }
            let place = Place {
                attribute: name,
                ..place
            };
            if name.len() > NAME_BYTES_MAX {
                let detail = format!("an attribute's name has more than {NAME_BYTES_MAX} bytes");
                self.refuse(Reject::new(Reason::SensorInvalid, detail), written, place)?;
                continue;
            }
            match written.elements() {
                // Clause 4.5.5: an attribute of several datasets.
                Some(instances) if is_of_instances(written) => {
                    for (number, instance) in instances.enumerate() {
                        let place = Place {
                            instance: Some(number),
                            ..place
                        };
                        self.attribute(&entity, name, instance, place)?;
                    }
                }
                Some(_) | None => self.attribute(&entity, name, written, place)?,
            }
        }
        if self.count > before {
            return Ok(());
        }
        let detail = "no attribute of the entity is of a kind that is known here; say in `kinds` \
                      which attributes are readings, and of which kind";
        self.refuse(Reject::new(Reason::NothingMapped, detail), whole, place)
    }

    fn counted(&mut self) -> Result<(), Reject> {
        self.count += 1;
        self.scratch.tally.look()
    }

    fn refuse(
        &mut self,
        reject: Reject,
        source: Value<'d>,
        place: Place<'_>,
    ) -> Result<(), Reject> {
        self.counted()?;
        self.scratch.tally.bring()?;
        (self.take)(Item {
            place: &place,
            source: source.source().as_bytes(),
            outcome: Outcome::Rejected(reject),
        });
        Ok(())
    }

    /// It says no value, and means to.
    fn absent(&mut self, source: Value<'d>, place: Place<'_>) -> Result<(), Reject> {
        self.counted()?;
        self.scratch.tally.pass();
        (self.take)(Item {
            place: &place,
            source: source.source().as_bytes(),
            outcome: Outcome::Absent,
        });
        Ok(())
    }

    fn attribute(
        &mut self,
        entity: &Entity<'d>,
        name: &'d str,
        written: Value<'d>,
        place: Place<'_>,
    ) -> Result<(), Reject> {
        self.counted()?;
        self.scratch.clear();
        let drafted = self.draft(entity, name, written);
        let found = Found {
            place: &place,
            source: written.source().as_bytes(),
        };
        finish(drafted, found, self.catalogue, self.scratch, self.take)
    }

    fn draft(
        &mut self,
        entity: &Entity<'d>,
        name: &'d str,
        written: Value<'d>,
    ) -> Result<Option<Draft<'d>>, Reject> {
        if entity.repeats(name) {
            return Err(repeated(name));
        }
        let attribute = Attribute::read(written)?;
        if attribute.is_deleted {
            return Ok(None);
        }
        let Some(value) = worth(attribute.value, self.names)? else {
            return Ok(None);
        };
        let observed_at = self.observed_at(entity, &attribute)?;
        let Meant { sensor, kind } = self.meant(entity, name, attribute.dataset);
        self.attributes(entity, name);
        let (names, texts) = (self.names, &self.scratch.texts);
        let unit = attribute.unit.map(|code| {
            let code = names.unit(Part::Payload(code), texts);
            cefact::unit(code.resolve(texts)).map_or(code, Part::Payload)
        });
        Ok(Some(Draft {
            sensor: Some(sensor),
            kind: kind.map(Part::Payload),
            unit,
            observed_at: Some(observed_at),
            value: Some(value),
            position: entity.position,
            ..Draft::default()
        }))
    }

    /// The names of an entity's attributes that may be readings, in order.
    fn names_meant(&self, entity: &Entity<'d>, whole: Value<'d>) -> Vec<&'d str> {
        let members = whole.members().into_iter().flatten();
        let names = members.map(|(name, _)| name);
        let mut meant: Vec<_> = names
            .filter(|name| !is_reserved(name) && self.may_be_meant(entity, name))
            .collect();
        meant.sort_unstable();
        meant
    }

    /// Whether an attribute of this name may be a reading.
    fn may_be_meant(&self, entity: &Entity<'_>, name: &str) -> bool {
        self.kind(name).is_some() || self.named(entity, name, None).is_some()
    }

    /// The kind of an attribute: what the table says of its name; else the kind of that very name,
    /// `water_level` for `waterLevel`.
    fn kind(&self, name: &str) -> Option<&'d str> {
        let short = short(name);
        let listed = self.names.listed_kind(name, short);
        listed.or_else(|| self.catalogue.kind_called(short))
    }

    /// The sensor that the table names for an attribute of an entity: `ENTITY/ATTRIBUTE`, and
    /// `/DATASET` if it is of one.
    fn named(&self, entity: &Entity<'_>, name: &str, dataset: Option<&str>) -> Option<&'d str> {
        let sensors = &self.names.sensors;
        if sensors.is_empty() {
            return None;
        }
        let (id, short) = (entity.id, short(name));
        let found = match dataset {
            Some(dataset) => sensors.get(format!("{id}/{short}/{dataset}").as_str()),
            None => sensors.get(format!("{id}/{short}").as_str()),
        };
        found.map(|sensor| &**sensor)
    }

    /// Who measured an attribute: the sensor of the table; the entity, if it is registered for
    /// that kind; else the entity's name with the attribute's.
    fn meant(&mut self, entity: &Entity<'d>, name: &'d str, dataset: Option<&str>) -> Meant<'d> {
        let kind = self.kind(name);
        if let Some(sensor) = self.named(entity, name, dataset) {
            let sensor = Part::Payload(sensor);
            return Meant { sensor, kind };
        }
        let (names, catalogue) = (self.names, self.catalogue);
        let texts = &mut self.scratch.texts;
        let own = names.sensor(Part::Payload(entity.id), texts);
        let registered = catalogue.sensors.get(own.resolve(texts));
        let is_it = registered.is_some_and(|registered| kind == Some(&registered.kind));
        if is_it && dataset.is_none() {
            return Meant { sensor: own, kind };
        }
        let short = short(name);
        let sensor = match dataset {
            Some(dataset) => own.and(texts, format_args!(":{short}:{dataset}")),
            None => own.and(texts, format_args!(":{short}")),
        };
        Meant { sensor, kind }
    }

    /// When an attribute was observed: as it says; as its entity says; when it was modified; when
    /// that was notified; or when it arrived.
    fn observed_at(
        &self,
        entity: &Entity<'d>,
        attribute: &Attribute<'d>,
    ) -> Result<Timestamp, Reject> {
        if let Some(written) = attribute.observed_at {
            return time("observedAt", time_text(written).unwrap_or(written.source()));
        }
        if let Some(text) = entity.observed_at {
            return time("dateObserved", text);
        }
        if let Some(text) = attribute.modified_at.and_then(time_text) {
            return time("modifiedAt", text);
        }
        match self.notified_at {
            Some(text) => time("notifiedAt", text),
            None => Ok(self.scratch.arrival(self.catalogue)),
        }
    }

    /// Notes the entity's type, and what it says in texts, as far as there is room: rules may ask
    /// for them.
    fn attributes(&mut self, entity: &Entity<'d>, but: &str) {
        let attributes = &mut self.scratch.attributes;
        if let Some(kind) = entity.kind {
            let _full = attributes.push("entity_type", kind);
        }
        for (name, text) in &entity.texts {
            if *name != but {
                let _full = attributes.push(short(name), text);
            }
        }
    }
}

/// How long an entity's id may be: each of its readings is called by it.
const ID_BYTES_MAX: usize = 1024;
/// How long the name of an attribute may be that is a reading: each of its instances is called by it.
const NAME_BYTES_MAX: usize = 1024;
/// So much of a longer one is told.
const LONG_NAME_CHARS: usize = 32;
/// No time is longer, nor an interval.
const TIME_BYTES_MAX: usize = 128;

impl<'d> Entity<'d> {
    fn read(whole: Value<'d>) -> Result<Self, Reject> {
        let Some(members) = whole.members() else {
            let detail = format!("an entity is an object, and this is {}", whole.word());
            return Err(Reject::new(Reason::NotAnObject, detail));
        };
        let (mut id, mut kind, mut location, mut observed_at) = (None, None, None, None);
        let (mut is_deleted, mut instant) = (false, None);
        for (name, value) in members {
            match name {
                "id" | "@id" => once(&mut id, name, value)?,
                "type" | "@type" => once(&mut kind, name, value)?,
                "location" => once(&mut location, name, value)?,
                "dateObserved" | "observedAt" => observed_at = time_text(value).or(observed_at),
                TIME_INSTANT => instant = time_text(value).filter(|text| !text.trim().is_empty()),
                "deletedAt" => is_deleted |= says_when(value),
                _ => {}
            }
        }
        let Some(id) = id.and_then(Value::text) else {
            let detail = "an entity has an id, which is a text";
            return Err(Reject::new(Reason::SensorMissing, detail));
        };
        if id.len() > ID_BYTES_MAX {
            let detail = format!("an entity's id has more than {ID_BYTES_MAX} bytes");
            return Err(Reject::new(Reason::SensorInvalid, detail));
        }
        let kind = kind.and_then(|kind| match kind.elements() {
            Some(mut kinds) => kinds.next().and_then(Value::text),
            None => kind.text(),
        });
        Ok(Self {
            id,
            kind,
            position: location.map_or(Ok(None), position)?,
            observed_at: observed_at.or(instant),
            meant: Vec::new(),
            texts: Vec::new(),
            is_deleted,
        })
    }

    /// Whether an attribute is there twice: nobody can tell which one is meant.
    fn repeats(&self, name: &str) -> bool {
        let first = self.meant.partition_point(|meant| *meant < name);
        self.meant.get(first + 1) == Some(&name)
    }
}

/// What an entity says in texts: the first of them, for a reading has no more attributes, and one
/// of these may be the reading itself.
fn texts<'d>(whole: Value<'d>) -> Vec<(&'d str, &'d str)> {
    let members = whole.members().into_iter().flatten();
    let texts = members.filter_map(|(name, written)| {
        let text = match written.text() {
            Some(text) => text,
            None => {
                let (_, value) = written.members()?.find(|(name, _)| *name == "value")?;
                value.text()?
            }
        };
        let is_short = name.len() + text.len() <= Attributes::BYTES_MAX;
        (is_short && !is_reserved(name)).then_some((name, text))
    });
    texts.take(Attributes::COUNT_MAX + 1).collect()
}

impl<'d> Attribute<'d> {
    fn read(written: Value<'d>) -> Result<Self, Reject> {
        let Some(members) = written.members() else {
            // Clause 4.5.4: the value is all there is.
            return Ok(Self {
                value: Some(written),
                ..Self::default()
            });
        };
        let (mut attribute, mut described) = (Self::default(), None);
        for (name, value) in members {
            match name {
                "deletedAt" => attribute.is_deleted |= says_when(value),
                "value" | "@value" => once(&mut attribute.value, name, value)?,
                "unitCode" => attribute.unit = value.text(),
                "observedAt" => once(&mut attribute.observed_at, name, value)?,
                "modifiedAt" => attribute.modified_at = Some(value),
                "metadata" => described = Some(value),
                "datasetId" => attribute.dataset = value.text().filter(|id| *id != "@none"),
                _ => {}
            }
        }
        for (name, value) in described.and_then(Value::members).into_iter().flatten() {
            attribute.describe(name, value);
        }
        if attribute.value.is_none() && !attribute.is_deleted {
            let detail = "value: is left out; a Relationship or an object is no measurement";
            return Err(Reject::new(Reason::ValueMissing, detail));
        }
        Ok(attribute)
    }
}

impl<'d> Attribute<'d> {
    /// Takes in a metadata of NGSIv2, each an object with its `value`.
    fn describe(&mut self, name: &str, value: Value<'d>) {
        match name {
            // What it says itself is more.
            TIME_INSTANT | "timestamp" => {
                let is_said = time_text(value).is_some_and(|text| !text.trim().is_empty());
                self.observed_at = self.observed_at.or(is_said.then_some(value));
            }
            "dateModified" => self.modified_at = self.modified_at.or(Some(value)),
            "unitCode" => self.unit = self.unit.or_else(|| time_text(value)),
            _ => {}
        }
    }
}

/// Keeps a member that may be there once.
fn once<'d>(kept: &mut Option<Value<'d>>, name: &str, value: Value<'d>) -> Result<(), Reject> {
    match kept.replace(value) {
        None => Ok(()),
        Some(_) => Err(repeated(name)),
    }
}

fn repeated(name: &str) -> Reject {
    let detail = format!("{:?} is there twice; write it once", super::cut(name));
    Reject::new(Reason::MemberRepeated, detail)
}

/// The member, unless it is null; of what is no object, none.
fn said<'d>(object: Value<'d>, name: &str) -> Result<Option<Value<'d>>, Reject> {
    Ok(object.member(name)?.filter(|value| !value.is_null()))
}

/// Members of an entity that are no attributes, or are read as what they are (clause 5.2.4).
fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "id" | "@id"
            | "type"
            | "@type"
            | "@context"
            | "scope"
            | "location"
            | "observationSpace"
            | "operationSpace"
            | "createdAt"
            | "modifiedAt"
            | "deletedAt"
            | "expiresAt"
            | "dateObserved"
            | "observedAt"
            | TIME_INSTANT
    )
}

/// Whether a list is an attribute's instances, and no list that is its value.
fn is_of_instances(list: Value<'_>) -> bool {
    let mut elements = list.elements().into_iter().flatten().peekable();
    elements.peek().is_some() && elements.all(Value::is_object)
}

/// The name without the vocabulary that it is expanded by.
fn short(name: &str) -> &str {
    if !name.contains(':') {
        return name;
    }
    name.rsplit(['/', '#', ':']).next().unwrap_or(name)
}

/// What a value is worth; nothing if it is null or deleted.
fn worth(value: Option<Value<'_>>, names: &Names) -> Result<Option<f64>, Reject> {
    let value = match value {
        // A value with a type of its own (JSON-LD 1.1, section 4.2.1).
        Some(value) if value.is_object() => said(value, "@value")?.unwrap_or(value),
        Some(value) => value,
        None => return Ok(None),
    };
    if value.is_null() || value.text() == Some(DELETED) {
        return Ok(None);
    }
    names.value("value", value).map(Some)
}

/// Whether a member that says when something was done says that it was.
fn says_when(value: Value<'_>) -> bool {
    time_text(value).is_some_and(|text| text != DELETED)
}

/// The text of a time: itself, or what a Property or a typed value says.
fn time_text(written: Value<'_>) -> Option<&str> {
    let mut value = written;
    for _ in 0..3 {
        if let Some(text) = value.text() {
            return Some(text);
        }
        let mut members = value.members()?;
        let is_value = |name: &str| name == "value" || name == "@value";
        value = members.find(|(name, _)| is_value(name))?.1;
    }
    None
}

/// The time; of an interval its end.
fn time(role: &str, text: &str) -> Result<Timestamp, Reject> {
    let end = match text.len() {
        0..=TIME_BYTES_MAX => text.rsplit('/').next().unwrap_or(text),
        // All attributes of an entity may share it.
        _ => "",
    };
    Timestamp::parse(end.as_bytes()).map_err(|error| {
        let detail = format!("{role}: {:?} is {error}", super::cut(text));
        Reject::new(Reason::ObservedAtInvalid, detail)
    })
}

/// Where an entity is: the middle of the geometry (clause 4.7.1), which a GeoProperty has as its
/// value.
fn position(location: Value<'_>) -> Result<Option<Position>, Reject> {
    let mut first = location.elements().into_iter().flatten();
    let location = first.next().unwrap_or(location);
    let geometry = said(location, "value")?.unwrap_or(location);
    if geometry.is_null() || geometry.text() == Some(DELETED) {
        return Ok(None);
    }
    if let Some(text) = geometry
        .text()
        .filter(|text| text.trim_start().starts_with('{'))
    {
        // GeoJSON that was put into a text.
        let mut index = Index::default();
        let geometry = index.read(text).map_err(|_| no_geometry())?;
        return middle_of(geometry).map(Some);
    }
    if let Some(point) = geometry.text() {
        // A `geo:point` of NGSIv2: latitude, then longitude.
        let degrees = point
            .split_once(',')
            .and_then(|(lat, lon)| Some((number(lon.trim())?, number(lat.trim())?)));
        let position = degrees.and_then(|(lon, lat)| Position::from_degrees(lon, lat));
        return position.map(Some).ok_or_else(|| {
            let detail = "location: is no `latitude, longitude` in degrees, on the globe";
            Reject::new(Reason::PositionInvalid, detail)
        });
    }
    middle_of(geometry).map(Some)
}

/// The middle of a geometry.
fn middle_of(geometry: Value<'_>) -> Result<Position, Reject> {
    let mut extent = Extent::default();
    let coordinates = said(geometry, "coordinates")?;
    let read = coordinates.and_then(|list| corners(list, GEOMETRY_DEPTH, &mut extent));
    read.and_then(|()| extent.middle()).ok_or_else(no_geometry)
}

fn no_geometry() -> Reject {
    let detail = "location: is no geometry with longitude and latitude in degrees, on the globe";
    Reject::new(Reason::PositionInvalid, detail)
}

fn corners(list: Value<'_>, depth: usize, extent: &mut Extent) -> Option<()> {
    let mut elements = list.elements()?;
    let first = elements.next()?;
    if let Some(lon) = first.as_word().and_then(number) {
        let lat = elements.next()?.as_word().and_then(number)?;
        extent.add(Position::from_degrees(lon, lat)?);
        return Some(());
    }
    let deeper = depth.checked_sub(1)?;
    corners(first, deeper, extent)?;
    elements.try_for_each(|element| corners(element, deeper, extent))
}

#[cfg(test)]
mod tests;
