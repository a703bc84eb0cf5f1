//! Sparkplug B (Eclipse Sparkplug 3.0), as a host application hears it.
//!
//! Arrives: what edge nodes publish: births, data and deaths, of themselves and their devices. Leaves:
//! a reading for each metric of a kind that the city knows; of a birth and a death, one more of the
//! node or the device itself, if the city knows it as a sensor (`online`). Promise: what a metric is
//! called and measured in is as its birth certificate says; data before that, or with a number that
//! it does not have, is a dead letter, for a reading of the wrong sensor or unit is worse than none.
//! Then, and where messages are missing (section 6.4.5), the node is asked to be born again (section
//! 6.4.23), which brings all current values. While it has not answered its data is still taken: an
//! edge node that begins anew says by its death, first, that its aliases no longer hold. After a
//! death nothing is said of its sensors: that they are silent is for the rules on silence to say.
//! Left out: being a primary host (section 5.3.1), DataSets and Templates.
//! Next: `sparkplug/nodes.rs`, what nodes said when they were born; `sparkplug/gaps.rs`, those that
//! say nothing more.

mod topic;
mod metric;
mod packed;
mod nodes;
mod gaps;

use std::fmt;

use ioc_core::time::Timestamp;
use tokio::time::Instant;

pub use self::gaps::Gaps;
use self::metric::{CONTROL, Meant, Metric, Metrics, Payload, SESSION};
pub use self::nodes::Nodes;
use self::nodes::{Device, Known, Sequence, Worth};
use self::topic::{Kind, Topic};
use super::draft::{Draft, Part, Scratch};
use super::mapping::Names;
use super::message::{Found, Item, Outcome, finish};
use super::{Message, Reason, Reject, Replies, Reply};
use crate::catalogue::Catalogue;
use crate::telemetry;

/// An edge node, as a topic names it.
pub(super) struct NodeName<'t> {
    group: &'t str,
    node: &'t str,
}

/// The edge node that a topic is of; none if it is no topic of one, or none that anything follows from.
pub(super) fn node_of(topic: &str) -> Option<NodeName<'_>> {
    let Topic {
        kind, group, node, ..
    } = Topic::parts(topic)?;
    match kind {
        Kind::Birth | Kind::Data | Kind::Death => Some(NodeName { group, node }),
        Kind::Command | Kind::State => None,
    }
}

impl NodeName<'_> {
    /// The sensor that it is called as.
    pub fn sensor(&self, names: &Names) -> String {
        let path = format!("{}/{}", self.group, self.node);
        match names.sensors.get(path.as_str()) {
            Some(ours) => ours.replace('/', ":"),
            None => path.replace('/', ":"),
        }
    }
}

/// What is in a table of kinds for the nodes and devices themselves: 1 since birth, 0 since death.
const ONLINE: &str = "online";

/// Finds the readings of a message.
///
/// # Errors
/// Why it, or the rest of it, cannot be read.
pub(super) fn decode(
    message: Message<'_>,
    names: &Names,
    catalogue: &Catalogue,
    (scratch, replies): (&mut Scratch, &mut Replies),
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    let topic = Topic::parse(message.topic)?;
    let unpacked = packed::unpacked(message.payload)?;
    let payload = unpacked.as_deref().unwrap_or(message.payload);
    scratch.tally.lie_in(payload.len());
    let key = format!("{}/{}", topic.group, topic.node);
    let mut session = Session {
        topic,
        key: &key,
        payload,
        names,
        catalogue,
        scratch,
        replies,
        take,
        count: 0,
        lacks_birth: false,
        lacks_room: None,
    };
    match (topic.kind, topic.device) {
        (Kind::Command, _) => session.noted("a command, to a node or a device"),
        (Kind::State, _) => session.noted("the state of a host application"),
        (Kind::Birth, "") => session.node_birth()?,
        (Kind::Birth, _) => session.of_born_node(Session::device_birth)?,
        (Kind::Data, _) => session.of_born_node(Session::data)?,
        (Kind::Death, "") => session.node_death()?,
        (Kind::Death, _) => session.of_born_node(Session::device_death)?,
    }
    Ok(())
}

/// When nodes are to be looked at again though nothing comes, if any are.
pub(super) fn due(replies: &Replies) -> Option<Instant> {
    replies.gaps.due()
}

/// Asks the nodes to be born again whose missing messages have not come in time.
pub(super) fn look_again(catalogue: &Catalogue, replies: &mut Replies, now: Instant) {
    while let Some(gap) = replies.gaps.pop(now) {
        if catalogue.sparkplug.gives_up(&gap.node, gap.since) {
            telemetry::sparkplug_gap();
            ask(&gap.node, catalogue, replies);
        }
    }
}

/// Asks a node to be born again, unless it was asked a moment ago.
fn ask(key: &str, catalogue: &Catalogue, replies: &mut Replies) {
    let now = catalogue.now.now();
    if !catalogue.sparkplug.ask(key, now) {
        return;
    }
    telemetry::sparkplug_rebirth_asked();
    let millis = u64::try_from(now.as_millis()).unwrap_or_default();
    let (group, node) = key.split_once('/').expect("a group, and a node of it");
    replies.push(Reply {
        topic: topic::command(group, node),
        payload: metric::rebirth(millis).into(),
    });
}

/// The place of a metric: its number in the payload.
struct Place(usize);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/metrics/{}", self.0)
    }
}

/// The reading of one message.
struct Session<'m, 't> {
    topic: Topic<'m>,
    /// The node, as it is kept.
    key: &'m str,
    payload: &'m [u8],
    names: &'m Names,
    catalogue: &'m Catalogue,
    scratch: &'m mut Scratch,
    replies: &'m mut Replies,
    take: &'m mut (dyn FnMut(Item<'_>) + 't),
    /// How many items were taken.
    count: usize,
    /// Whether something is named by a number, or is of a datatype, that no birth certificate says.
    lacks_birth: bool,
    /// What a device says of its metrics, for which there is no room beside the others.
    lacks_room: Option<(usize, Worth)>,
}

impl<'m> Session<'m, '_> {
    fn noted(&mut self, what: &'static str) {
        self.count += 1;
        self.scratch.tally.pass();
        (self.take)(Item {
            place: &"",
            source: self.payload,
            outcome: Outcome::Noted(what),
        });
    }

    /// Section 6.4.19.
    fn node_birth(&mut self) -> Result<(), Reject> {
        let payload = Payload::read(self.payload)?;
        let own = self.learn()?;
        let session = metric::session_of(self.payload)?;
        let (nodes, key) = (&self.catalogue.sparkplug, self.key);
        nodes.born(key, session, payload.seq, own)?;
        telemetry::sparkplug_birth();
        self.online("", 1.0, payload.timestamp)?;
        let read = |node: &mut nodes::Node| match node.device("") {
            Some(own) => {
                self.note_ambiguous(own);
                self.metrics(Some(own), payload)
            }
            None => Ok(()),
        };
        nodes.with(key, read).unwrap_or(Ok(()))?;
        self.nothing_else("a birth certificate");
        Ok(())
    }

    /// Section 6.4.20.
    fn device_birth(&mut self, node: &mut nodes::Node, payload: Payload) -> Result<(), Reject> {
        let own = self.learn()?;
        let device = self.topic.device;
        let claim = own.claim();
        let born = self.catalogue.sparkplug.device_born(node, device, own);
        self.lacks_room = born.is_err().then_some(claim);
        born?;
        telemetry::sparkplug_birth();
        self.online(device, 1.0, payload.timestamp)?;
        let own = node.device(device);
        own.into_iter().for_each(|own| self.note_ambiguous(own));
        self.metrics(own, payload)?;
        self.nothing_else("a birth certificate");
        Ok(())
    }

    /// Sections 6.4.21 and 6.4.22.
    fn data(&mut self, node: &mut nodes::Node, payload: Payload) -> Result<(), Reject> {
        self.metrics(node.device(self.topic.device), payload)?;
        self.nothing_else("no metric of it is of a kind that is known here");
        Ok(())
    }

    /// Section 6.4.25. Its time is that of the connection, not of its end.
    fn node_death(&mut self) -> Result<(), Reject> {
        let session = metric::session_of(self.payload)?;
        match self.catalogue.sparkplug.died(self.key, session) {
            None => self.noted("the death of a session that is not known, or over"),
            Some(devices) => {
                telemetry::sparkplug_death();
                self.online("", 0.0, None)?;
                for device in devices {
                    self.online(&device, 0.0, None)?;
                }
                self.nothing_else("a death certificate");
            }
        }
        Ok(())
    }

    /// Section 6.4.26.
    fn device_death(&mut self, node: &mut nodes::Node, payload: Payload) -> Result<(), Reject> {
        let device = self.topic.device;
        if self.catalogue.sparkplug.device_died(node, device) {
            telemetry::sparkplug_death();
            self.online(device, 0.0, payload.timestamp)?;
        }
        self.nothing_else("a death certificate");
        Ok(())
    }

    fn nothing_else(&mut self, what: &'static str) {
        if self.count == 0 {
            self.noted(what);
        }
    }

    /// Reads a message of a node that was born; asks it to be born (again), if it was not or if a
    /// message before this one is missing.
    fn of_born_node(
        &mut self,
        read: fn(&mut Self, &mut nodes::Node, Payload) -> Result<(), Reject>,
    ) -> Result<(), Reject> {
        let payload = Payload::read(self.payload)?;
        let (nodes, key) = (&self.catalogue.sparkplug, self.key);
        let now = self.catalogue.now.now();
        let mut done = nodes.with(key, |node| {
            match node.follow(payload.seq, now) {
                Sequence::Whole => {}
                Sequence::Lacks(since) => self.replies.gaps.begins(key, since),
                Sequence::Gap => {
                    telemetry::sparkplug_gap();
                    self.lacks_birth = true;
                }
            }
            read(self, node, payload)
        });
        // Others can be forgotten while this node is not held.
        if let Some((bytes, worth)) = self.lacks_room.take()
            && nodes.make_room(key, bytes, worth)
        {
            done = nodes.with(key, |node| read(self, node, payload));
        }
        let done = done.unwrap_or_else(|| Err(not_born("edge node")));
        let is_missing = |reject: &Reject| reject.reason == Reason::BirthMissing;
        if self.lacks_birth || done.as_ref().is_err_and(is_missing) {
            ask(key, self.catalogue, self.replies);
        }
        done
    }

    /// What a birth certificate says of its metrics.
    fn learn(&self) -> Result<Device, Reject> {
        let origin = self.path(self.topic.device);
        let (mut device, mut metrics) = (Device::new(&origin), Metrics::of(self.payload));
        while let Some((metric, _)) = metrics.next()? {
            if !metric.name.is_empty() && !is_control(&metric) {
                device.learn(&origin, &metric);
            }
        }
        let (names, catalogue) = (self.names, self.catalogue);
        device.weigh(|known| match Asked::of(known, names, catalogue) {
            None => Worth::Nothing,
            Some(asked) if catalogue.sensors.contains_key(asked.sensor) => Worth::Registered,
            Some(_) => Worth::Readings,
        });
        Ok(device)
    }

    fn path(&self, device: &str) -> String {
        match device {
            "" => self.key.to_owned(),
            device => format!("{}/{device}", self.key),
        }
    }

    /// Finds the readings among the metrics of a device that was born.
    fn metrics(&mut self, device: Option<&Device>, payload: Payload) -> Result<(), Reject> {
        let device = device.ok_or_else(|| not_born("device"))?;
        let (mut metrics, mut number) = (Metrics::of(self.payload), 0);
        while let Some((metric, source)) = metrics.next()? {
            let place = Place(number);
            number += 1;
            if !is_control(&metric) {
                let (names, catalogue) = (self.names, self.catalogue);
                let is_reading = |known: &Known| Asked::of(known, names, catalogue).is_some();
                let mut sharing = device.sharing(&metric).map(is_reading).peekable();
                if sharing.peek().is_none() {
                    self.metric(device.known(&metric), &metric, payload, (&place, source))?;
                } else if sharing.any(|is_reading| is_reading) {
                    self.ambiguous(&metric, (&place, source))?;
                }
            }
        }
        Ok(())
    }

    fn metric(
        &mut self,
        known: Option<&Known>,
        metric: &Metric<'_>,
        payload: Payload,
        (place, source): (&Place, &[u8]),
    ) -> Result<(), Reject> {
        let (names, catalogue) = (self.names, self.catalogue);
        let asked = known.and_then(|known| Some((known, Asked::of(known, names, catalogue)?)));
        if known.is_some() && asked.is_none() {
            return Ok(());
        }
        self.count += 1;
        self.scratch.tally.look()?;
        self.scratch.clear();
        let drafted = match asked {
            Some(_) if !metric.is_good() => {
                self.scratch.tally.pass();
                (self.take)(Item {
                    place,
                    source,
                    outcome: Outcome::Noted("its quality is not good"),
                });
                return Ok(());
            }
            Some((known, asked)) => {
                let times = [metric.timestamp, payload.timestamp];
                draft(known, metric, times, asked, names, self.scratch, catalogue)
            }
            None => Err(unknown(metric)),
        };
        if let Err(reject) = &drafted {
            self.lacks_birth |= reject.reason == Reason::BirthMissing;
        }
        finish(
            drafted,
            Found { place, source },
            catalogue,
            self.scratch,
            self.take,
        )
    }

    /// Says at its birth what will be missing.
    fn note_ambiguous(&mut self, device: &Device) {
        if device.is_ambiguous() {
            self.noted("several of its metrics have one alias");
        }
    }

    /// A metric that its alias does not tell from another. To be born again changes nothing of that,
    /// so it is not asked for.
    fn ambiguous(
        &mut self,
        metric: &Metric<'_>,
        (place, source): (&Place, &[u8]),
    ) -> Result<(), Reject> {
        self.count += 1;
        self.scratch.tally.look()?;
        self.scratch.tally.bring()?;
        let alias = metric.alias.unwrap_or_default();
        let detail = format!(
            "alias {alias} is that of several metrics in the birth certificate; each needs its own"
        );
        (self.take)(Item {
            place,
            source,
            outcome: Outcome::Rejected(Reject::new(Reason::ShapeUnexpected, detail)),
        });
        Ok(())
    }

    /// Whether a node or a device is there, if the city knows it as a sensor.
    fn online(&mut self, device: &str, value: f64, timestamp: Option<u64>) -> Result<(), Reject> {
        let (names, catalogue) = (self.names, self.catalogue);
        let path = self.path(device);
        let sensor = match names.sensors.get(path.as_str()) {
            Some(sensor) => sensor.to_string(),
            None => path.replace('/', ":"),
        };
        let kind = names.kinds.get(ONLINE).map(|kind| Part::Payload(kind));
        if kind.is_none() && !catalogue.sensors.contains_key(sensor.as_str()) {
            return Ok(());
        }
        self.count += 1;
        self.scratch.tally.look()?;
        self.scratch.clear();
        let drafted = observed_at([timestamp, None], self.scratch, catalogue).map(|observed_at| {
            Some(Draft {
                sensor: Some(Part::Payload(&sensor)),
                kind,
                observed_at: Some(observed_at),
                value: Some(value),
                ..Draft::default()
            })
        });
        let found = Found {
            place: &"",
            source: self.payload,
        };
        finish(drafted, found, catalogue, self.scratch, self.take)
    }
}

/// Who measured a metric that is a reading, and what, unless the sensor is registered for it.
#[derive(Clone, Copy)]
struct Asked<'a> {
    sensor: &'a str,
    kind: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// Nothing if it is no reading: of the many metrics of a node few are measurements.
    fn of(known: &'a Known, names: &'a Names, catalogue: &'a Catalogue) -> Option<Self> {
        let named = names.sensors.get(&known.path);
        let sensor: &str = named.unwrap_or(&known.sensor);
        let short = known.name.rsplit('/').next().unwrap_or(&known.name);
        let kind = names.listed_kind(&known.name, short);
        if kind.is_some() || named.is_some() || catalogue.sensors.contains_key(sensor) {
            return Some(Self { sensor, kind });
        }
        let kind = catalogue.kind_called(short)?;
        Some(Self {
            sensor,
            kind: Some(kind),
        })
    }
}

/// What a metric says; nothing if it has no value.
fn draft<'d>(
    known: &'d Known,
    metric: &Metric<'d>,
    times: [Option<u64>; 2],
    asked: Asked<'d>,
    names: &'d Names,
    scratch: &mut Scratch,
    catalogue: &Catalogue,
) -> Result<Option<Draft<'d>>, Reject> {
    if metric.is_null {
        return Ok(None);
    }
    let said = match (known.datatype, metric.datatype) {
        (0, datatype) | (datatype, 0) => metric.meant(datatype),
        (datatype, own) if datatype == own => metric.meant(datatype),
        (_, _) => Some(Meant::OtherType),
    };
    let Some(said) = said else { return Ok(None) };
    let value = worth(said, names)?;
    if metric.is_historical {
        let fits = scratch.attributes.push("historical", "true");
        fits.expect("one attribute is not too many");
    }
    let unit = match metric.unit {
        "" => &known.unit,
        unit => unit,
    };
    Ok(Some(Draft {
        sensor: Some(Part::Payload(asked.sensor)),
        kind: asked.kind.map(Part::Payload),
        unit: Some(names.unit(Part::Payload(unit), &scratch.texts)),
        observed_at: Some(observed_at(times, scratch, catalogue)?),
        value: Some(value),
        ..Draft::default()
    }))
}

fn worth(said: Meant<'_>, names: &Names) -> Result<f64, Reject> {
    let value = match said {
        Meant::Number(value) => value,
        Meant::Text(text) => names.worth(text)?,
        Meant::OtherType => {
            let detail = "value: is not of the datatype that the birth certificate says";
            return Err(Reject::new(Reason::BirthMissing, detail));
        }
        Meant::Other(what) => {
            let detail = format!("value: is {what}; a number belongs there");
            return Err(Reject::new(Reason::ValueNotANumber, detail));
        }
    };
    if value.is_finite() {
        return Ok(value);
    }
    let detail = "value: is not a number, or more than one can be";
    Err(Reject::new(Reason::ValueOverflow, detail))
}

/// The first of these times; else that of arrival.
fn observed_at(
    millis: [Option<u64>; 2],
    scratch: &Scratch,
    catalogue: &Catalogue,
) -> Result<Timestamp, Reject> {
    let [own, common] = millis;
    let Some(millis) = own.or(common) else {
        return Ok(scratch.arrival(catalogue));
    };
    super::epoch(millis as f64).ok_or_else(|| {
        let detail = format!("timestamp: {millis} ms after 1970 are no time");
        Reject::new(Reason::ObservedAtInvalid, detail)
    })
}

/// Metrics that are there to run the node by, and measure nothing.
fn is_control(metric: &Metric<'_>) -> bool {
    metric.name == SESSION || metric.name.starts_with(CONTROL)
}

fn not_born(what: &str) -> Reject {
    let detail = format!("the {what}'s birth certificate was not seen; it is asked for");
    Reject::new(Reason::BirthMissing, detail)
}

fn unknown(metric: &Metric<'_>) -> Reject {
    let detail = match (metric.name, metric.alias) {
        ("", Some(alias)) => format!("alias {alias} is not in the birth certificate"),
        ("", None) => "a metric has neither a name nor an alias".to_owned(),
        (name, _) => format!("{:?} is not in the birth certificate", super::cut(name)),
    };
    Reject::new(Reason::BirthMissing, detail)
}

#[cfg(test)]
mod tests;
