//! Message formats: bytes of a payload to readings, or to dead letters with a reason.
//!
//! Arrives: a payload, with the topic that it was published to. Leaves: among the connection's
//! inputs, the readings that it holds, and a dead letter for each part that is none; nothing only
//! of a message that its format knows to hold none. Native readings have a way of their own ([`append_native`]); what every other message
//! is, the mappings of the configuration say by its topic, or the message itself by its content type ([`append_message`]). One file for each
//! format; all of them end in `draft.rs`, so that the same is judged alike whatever it came in.
//! Bounds: [`MESSAGE_BYTES_MAX`], [`ITEMS_MAX`].

pub mod native;
mod plain;
mod draft;
mod tally;
pub mod mapping;
mod message;
pub mod feedback;
mod senml;
mod sensorthings;
mod ngsi_ld;
mod cloud_events;
mod sparkplug;
mod cap;
mod json;
mod cbor;
mod xml;
mod protobuf;
mod pointer;
mod topic;
mod reject;
mod extent;
mod reply;
pub mod units;
mod cefact;

use std::sync::LazyLock;

use ioc_core::record::DeadLetter;
use ioc_core::time::Timestamp;
use tokio::time::Instant;

pub use self::mapping::Mappings;
pub use self::message::{Item, Message, Outcome};
pub use self::pointer::{Pointer, PointerError};
pub use self::sparkplug::{Gaps, Nodes};
pub use self::tally::LOOKS_MAX;
pub use self::topic::{TopicFilter, TopicFilterError};
pub use cloud_events::attributes_of as event_of_headers;
pub(crate) use cloud_events::borrowed;
pub(crate) use mapping::OfEntry;
pub use reject::{Origin, Part, Reason, Reject};
pub(crate) use reject::{TOPIC_BYTES_MAX, behind, behind_in_event, behind_which, cut};
pub use reject::{append_beginning, append_dead_letter, append_part};
pub(crate) use reject::{event_kept, is_kept_whole, kept_place};
pub(crate) use reject::{of_time, of_will, time_in, will_in, with_letter};
pub use reply::{Replies, Reply};

use self::feedback::append_feedback;
use self::mapping::{Format, Mapping, Names};
use self::tally::Tally;
use crate::catalogue::Catalogue;
use crate::door::Inputs;
use crate::telemetry;

/// The longest message that is no native reading.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// How many readings and dead letters one message may bring at once: they are handed over together. A
/// replay takes what is behind them.
pub const ITEMS_MAX: usize = 4096;
/// How much memory a message takes at once while it is read: so much,
pub const MESSAGE_MEMORY_MAX: usize = 64 * 1024;
/// this for each of its bytes,
pub const MESSAGE_MEMORY_PER_BYTE: usize = 20;
/// and this for each reading and dead letter that it brings.
pub const ITEM_MEMORY_MAX: usize = 4 * 1024;
/// How many parts of one short message that are no readings keep the message around them. Of a
/// longer one just the first does: those behind it keep themselves, and are read again out of that.
const WHOLE_LETTERS_MAX: u32 = 16;

/// What is noted of a message that may say a value, and says none.
pub const NOTHING_SAID: &str = "it says no value";
/// What the topics begin with on which a bridge says that it is there.
const BRIDGES: &str = "$SYS/broker/connection/";
/// What is noted of such a message, if no mapping chooses it.
const OF_A_BROKER: &str = "a broker's own state";
/// What is noted of a message without a payload.
const EMPTY: &str = "empty";

/// Of how much that a message says beside readings its sender is told one by one.
const NOTED_TOLD_MAX: usize = 32;

/// Memory that decoding needs, used again for each message.
#[derive(Debug, Default)]
pub struct Workspace {
    /// For readings.
    pub native: native::Scratch,
    /// What messages want said back to where they came from; whoever can, takes them away.
    pub replies: Replies,
    /// What the last message says beside readings, and what came of it: its place and why.
    pub noted: Vec<(String, &'static str)>,
    index: json::Index,
    /// For a message within the message.
    inner: json::Index,
    bytes: Vec<u8>,
}

impl Workspace {
    /// One that goes on with what another waited for.
    pub fn with_gaps(gaps: Gaps) -> Self {
        let mut workspace = Self::default();
        workspace.replies.gaps = gaps;
        workspace
    }

    /// Takes away what it waits for.
    pub fn take_gaps(&mut self) -> Gaps {
        std::mem::take(&mut self.replies.gaps)
    }

    /// When [`Self::look_again`] is to be called though no message comes, if it is.
    pub fn due(&self) -> Option<Instant> {
        sparkplug::due(&self.replies)
    }

    /// Looks at who has said nothing more since something was missing; what is to be said to them
    /// lies in the replies.
    pub fn look_again(&mut self, catalogue: &Catalogue, now: Instant) {
        sparkplug::look_again(catalogue, &mut self.replies, now);
    }
}

/// Appends the reading in a native payload, or the payload as a dead letter; never neither.
pub fn append_native(
    inputs: &mut Inputs,
    payload: &[u8],
    topic_sensor: Option<&str>,
    origin: Origin<'_>,
    catalogue: &Catalogue,
    scratch: &mut native::Scratch,
) -> Result<(), Reject> {
    match native::decode(payload, topic_sensor, catalogue, scratch) {
        Ok(reading) => {
            inputs.push_reading(&reading, catalogue);
            Ok(())
        }
        Err(reject) => {
            append_native_refused(inputs, origin, &reject, payload, scratch);
            Err(reject)
        }
    }
}

/// Appends a native reading that is none, or that nobody may publish who did, as a dead letter.
pub(crate) fn append_native_refused(
    inputs: &mut Inputs,
    origin: Origin<'_>,
    reject: &Reject,
    payload: &[u8],
    scratch: &native::Scratch,
) {
    let part = Part {
        payload,
        payload_bytes: payload.len(),
        place: &of_will(scratch.is_of_will(), ""),
        content_type: "",
        event: &[],
    };
    append_part(inputs, origin, reject, part);
}

/// Says whether somebody may publish readings of a sensor, or speak for a device.
pub type May<'a> = dyn Fn(&str) -> Result<(), Reject> + 'a;

/// Who sent a message, and what may be taken of it.
pub struct Sender<'a> {
    /// The adapter and the client's name, as of [`Origin`].
    pub source: &'a str,
    /// Whether it may publish readings of this sensor, or speak for this device; everything, if
    /// there is nothing to ask.
    pub may: Option<&'a May<'a>>,
}

impl<'a> Sender<'a> {
    /// One that may publish everything.
    pub fn anyone(source: &'a str) -> Self {
        Self { source, may: None }
    }

    fn check(&self, name: &str) -> Result<(), Reject> {
        self.may.map_or(Ok(()), |may| may(name))
    }

    /// Whether it may say anything about the edge node that this topic is of: who is born again as
    /// another's node changes what all later messages of that mean.
    fn check_node(&self, topic: &str, catalogue: &Catalogue) -> Result<(), Reject> {
        let (Some(may), Some(node)) = (self.may, sparkplug::node_of(topic)) else {
            return Ok(());
        };
        match catalogue.mappings.of(topic) {
            Some(mapping) if mapping.format == Format::Sparkplug => {
                may(&node.sensor(&mapping.names))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Appends the readings in a message, or what a device says about a command; and what is neither as
/// dead letters; nothing only if its format knows that there is no reading in it, as in a certificate
/// that a node is gone. `told` hears of each in its order: the id of the reading, or why there is
/// none. What the sender is to be told lies in the workspace's replies.
pub fn append_message(
    inputs: &mut Inputs,
    message: Message<'_>,
    source: &str,
    catalogue: &Catalogue,
    workspace: &mut Workspace,
    told: &mut dyn FnMut(Result<&str, Reject>),
) {
    let sender = Sender::anyone(source);
    append_message_of(inputs, message, &sender, catalogue, workspace, told);
}

/// The same for a sender that may not publish every sensor.
pub fn append_message_of(
    inputs: &mut Inputs,
    message: Message<'_>,
    sender: &Sender<'_>,
    catalogue: &Catalogue,
    workspace: &mut Workspace,
    told: &mut dyn FnMut(Result<&str, Reject>),
) {
    let appended = append_items(inputs, message, sender, catalogue, workspace, told);
    match appended {
        Ok(()) => {}
        // A bridge says when it comes and goes.
        Err((whole, _))
            if whole.reason == Reason::TopicUnknown && message.topic.starts_with(BRIDGES) =>
        {
            telemetry::noted(OF_A_BROKER);
            workspace.noted.push((String::new(), OF_A_BROKER));
        }
        Err((reject, items)) => {
            let place = rest_behind(items, message, catalogue, workspace);
            let place = of_will(workspace.native.is_of_will(), &place);
            append_refused(inputs, message, sender.source, (reject, &place), told);
        }
    }
}

/// The same for brokers elsewhere, whose topics were chosen for what lies in them: a message that
/// nothing says the shape of is a native reading, which then names its sensor itself.
pub fn append_message_or_native(
    inputs: &mut Inputs,
    message: Message<'_>,
    source: &str,
    catalogue: &Catalogue,
    workspace: &mut Workspace,
    told: &mut dyn FnMut(Result<&str, Reject>),
) {
    let sender = Sender::anyone(source);
    let appended = append_items(inputs, message, &sender, catalogue, workspace, told);
    let refused = match appended {
        Ok(()) => return,
        Err((whole, 0)) if whole.reason == Reason::TopicUnknown => {
            match native::decode(message.payload, None, catalogue, &mut workspace.native) {
                Ok(reading) => {
                    inputs.push_reading(&reading, catalogue);
                    return told(Ok(reading.id));
                }
                Err(reject) => (whole.unless_native(reject), 0),
            }
        }
        Err(refused) => refused,
    };
    let (reject, items) = refused;
    let place = rest_behind(items, message, catalogue, workspace);
    append_refused(inputs, message, source, (reject, &place), told);
}

/// The place of what stands behind so many items of a message. The message is read once more, for
/// nobody writes down where each item stands as long as all goes well.
fn rest_behind(
    items: usize,
    message: Message<'_>,
    catalogue: &Catalogue,
    workspace: &mut Workspace,
) -> String {
    let mapping = catalogue.mappings.of(message.topic);
    // What its nodes have said must not be said twice.
    let is_of_nodes = mapping.is_some_and(|mapping| mapping.format == Format::Sparkplug);
    if items == 0 || is_of_nodes {
        return behind(items, "");
    }
    let (mut seen, mut last) = (0, String::new());
    let mut look = |item: Item<'_>| {
        seen += 1;
        if seen == items {
            last = format!("{:#}", item.place);
        }
    };
    // It need not end as it did: of an alert what has expired meanwhile is passed over.
    let _read = decode(message, catalogue, workspace, &mut look);
    behind(items, &last)
}

/// Appends a message that cannot be read, or its rest, with the place of that.
fn append_refused(
    inputs: &mut Inputs,
    message: Message<'_>,
    source: &str,
    (reject, place): (Reject, &str),
    told: &mut dyn FnMut(Result<&str, Reject>),
) {
    let part = Part {
        place,
        ..message.whole()
    };
    append_part(inputs, message.origin(source), &reject, part);
    told(Err(reject));
}

/// Appends what is found in a message; an error, if there is nothing in it, or it cannot be read to
/// its end, with how many items were found before.
fn append_items(
    inputs: &mut Inputs,
    message: Message<'_>,
    sender: &Sender<'_>,
    catalogue: &Catalogue,
    workspace: &mut Workspace,
    told: &mut dyn FnMut(Result<&str, Reject>),
) -> Result<(), (Reject, usize)> {
    let origin = message.origin(sender.source);
    let whole = |reject| (reject, 0);
    if let Some(device) = feedback::device_of(message.topic) {
        let may = sender.check(device).map_err(feedback::not_allowed);
        may.map_err(whole)?;
        let said = append_feedback(inputs, message.payload, device, catalogue);
        return said.map(|()| told(Ok(""))).map_err(whole);
    }
    let may = sender.check_node(message.topic, catalogue);
    may.map_err(whole)?;
    let before = inputs.count();
    let is_will = workspace.native.is_of_will();
    let mut noted = std::mem::take(&mut workspace.noted);
    noted.clear();
    let (mut is_noted, mut is_absent) = (false, false);
    let (mut rejected, mut items) = (0, 0);
    let mut take = |item: Item<'_>| {
        items += 1;
        let reject = match item.outcome {
            Outcome::Reading(reading) => match sender.check(reading.sensor) {
                Ok(()) => {
                    inputs.push_reading(&reading, catalogue);
                    return told(Ok(reading.id));
                }
                Err(reject) => reject,
            },
            Outcome::Rejected(reject) => reject,
            Outcome::Absent => {
                is_absent = true;
                return;
            }
            Outcome::Noted(what) => {
                telemetry::noted(what);
                is_noted = true;
                if noted.len() < NOTED_TOLD_MAX {
                    noted.push((item.place.to_string(), what));
                }
                return;
            }
        };
        let place = format!("{:#}", item.place);
        let reject = reject.at(item.place);
        let part = Part {
            payload: kept_of(message.payload, item.source, rejected),
            place: &of_will(is_will, &place),
            ..message.whole()
        };
        append_part(inputs, origin, &reject, part);
        rejected += 1;
        told(Err(reject));
    };
    let decoded = decode(message, catalogue, workspace, &mut take);
    workspace.noted = noted;
    let mapping = decoded.map_err(|reject| (reject, items))?;
    if is_noted || inputs.count() > before {
        return Ok(());
    }
    if is_absent {
        // As its mapping allows: a switch that tells its state says no temperature.
        telemetry::noted(NOTHING_SAID);
        workspace.noted.push((String::new(), NOTHING_SAID));
        return Ok(());
    }
    let detail = match mapping {
        Some(mapping) => format!("mapping {} finds no reading in it", mapping.name),
        None => "there is no reading in it".to_owned(),
    };
    Err(whole(Reject::new(Reason::NothingMapped, detail)))
}

/// What the letter of a part keeps, if so many of its message were refused before it: the message
/// around it, or just itself.
pub(crate) fn kept_of<'m>(message: &'m [u8], part: &'m [u8], refused_before: u32) -> &'m [u8] {
    let beginning = DeadLetter::BEGINNING_BYTES_MAX;
    let keeps_whole = match message.len() {
        ..=DeadLetter::BEGINNING_BYTES_MAX => refused_before < WHOLE_LETTERS_MAX,
        _ => refused_before == 0,
    };
    // What lies in something that was unpacked may be as long as the message, and is a part all the same.
    let most = match std::ptr::eq(part, message) {
        true => beginning,
        false => beginning.min(message.len().saturating_sub(1)),
    };
    match keeps_whole {
        true => message,
        false => &part[..part.len().min(most)],
    }
}

/// Why a message that was published over MQTT is to be passed over, if it is: one without a payload
/// removes what was retained on its topic (3.1.1: section 3.3.1.3), and subscribers cannot tell such a
/// one from another. Sparkplug alone has messages that say something by no bytes.
pub(crate) fn is_nothing(message: Message<'_>, catalogue: &Catalogue) -> Option<&'static str> {
    if !message.payload.is_empty() || !message.event.is_empty() {
        return None;
    }
    let mapping = catalogue.mappings.of(message.topic);
    let may_be_empty = mapping.is_some_and(|mapping| mapping.format == Format::Sparkplug);
    (!may_be_empty).then_some(EMPTY)
}

/// Whether there are readings in a message and each says itself when it was observed: not, if one
/// has its time from being read now.
pub fn says_its_times(
    message: Message<'_>,
    catalogue: &Catalogue,
    workspace: &mut Workspace,
) -> bool {
    let began = catalogue.now.now();
    let (mut has_readings, mut has_times) = (false, true);
    let mut look = |item: Item<'_>| {
        if let Outcome::Reading(reading) = item.outcome {
            has_readings = true;
            let said = reading.observed_at;
            has_times &= said < began || said > catalogue.now.now();
        }
    };
    match decode(message, catalogue, workspace, &mut look) {
        Ok(_) => has_readings && has_times,
        // A native reading has a time, or is none.
        Err(whole) if whole.reason == Reason::TopicUnknown => {
            native::decode(message.payload, None, catalogue, &mut workspace.native).is_ok()
        }
        Err(_) => false,
    }
}

/// Finds the readings in a message. `take` gets each item in its order. Returns the mapping that
/// it was read by; none if it is a native reading, or says itself what it is.
///
/// # Errors
/// Why the message, or the rest of it, cannot be read.
pub fn decode<'c>(
    message: Message<'_>,
    catalogue: &'c Catalogue,
    workspace: &mut Workspace,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<Option<&'c Mapping>, Reject> {
    let topic_sensor = native::sensor_of(message.topic);
    let is_event = message.event.is_empty() && is_structured_event(message.content_type);
    if let (Some(sensor), false) = (topic_sensor, is_event) {
        let scratch = &mut workspace.native;
        scratch.envelope = envelope(message, &mut scratch.enveloped)?;
        let decoded = native::decode(message.payload, Some(sensor), catalogue, scratch);
        let decoded = decoded.map(|reading| {
            take(Item {
                place: &"",
                source: message.payload,
                outcome: Outcome::Reading(reading),
            });
        });
        workspace.native.envelope = None;
        return decoded.map(|()| None);
    }
    // What native topics hold no mapping says.
    let mapping = match topic_sensor {
        Some(_) => None,
        None => catalogue.mappings.of(message.topic),
    };
    if let Some(mapping) = mapping
        && !is_kept_whole(message.topic)
    {
        let detail = format!(
            "mapping {} reads topics of at most {TOPIC_BYTES_MAX} bytes; of a longer one not all is kept",
            mapping.name
        );
        return Err(Reject::new(Reason::TopicTooLong, detail));
    }
    let (format, names) = match (mapping, standard(message.content_type)) {
        (Some(mapping), _) => (&mapping.format, &mapping.names),
        (None, Some(format)) => (format, &*NO_NAMES),
        (None, None) if !message.event.is_empty() => (&Format::CloudEvents(None), &*NO_NAMES),
        (None, None) => {
            let detail = "readings are published to ioc/v1/readings/<sensor>; other topics need \
                          a mapping in mappings.yaml";
            return Err(Reject::new(Reason::TopicUnknown, detail));
        }
    };
    if message.payload.len() > MESSAGE_BYTES_MAX {
        let detail = format!(
            "{} bytes; a message has at most {MESSAGE_BYTES_MAX}",
            message.payload.len()
        );
        return Err(Reject::new(Reason::PayloadTooLong, detail));
    }
    let Workspace {
        native,
        index,
        inner,
        bytes,
        replies,
        noted: _,
    } = workspace;
    native.envelope = envelope(message, &mut native.enveloped)?;
    native.taken_at = message.taken_at;
    native.tally = Tally::behind(message.behind);
    native.tally.lie_in(message.payload.len());
    native.arrived.take();
    let mut room = Room {
        native,
        inner,
        bytes,
        replies,
    };
    let read = read(format, message, names, catalogue, (index, &mut room), take);
    room.native.envelope = None;
    read.map(|()| mapping)
}

/// What the transport says around a message, if it is the data of an event.
fn envelope(message: Message<'_>, name: &mut String) -> Result<Option<draft::Envelope>, Reject> {
    match message.event {
        [] => Ok(None),
        _ => cloud_events::open(message, name).map(Some),
    }
}

/// Memory that one message needs, beside the index of its own JSON.
struct Room<'w> {
    native: &'w mut native::Scratch,
    /// For a message in the message.
    inner: &'w mut json::Index,
    bytes: &'w mut Vec<u8>,
    replies: &'w mut Replies,
}

impl Room<'_> {
    /// Reads a message that lies in the message, in memory of its own. There is no third.
    fn again<T>(&mut self, read: impl FnOnce(&mut json::Index, &mut Room<'_>) -> T) -> T {
        let (mut none, mut nothing) = (json::Index::default(), Vec::new());
        let mut room = Room {
            native: self.native,
            inner: &mut none,
            bytes: &mut nothing,
            replies: self.replies,
        };
        read(self.inner, &mut room)
    }
}

/// Reads a message of a format.
fn read(
    format: &Format,
    message: Message<'_>,
    names: &Names,
    catalogue: &Catalogue,
    (index, room): (&mut json::Index, &mut Room<'_>),
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    match format {
        Format::Senml => {
            let room = (index, &mut *room.native);
            senml::decode(message.payload, names, catalogue, room, take)
        }
        Format::CloudEvents(shape) => {
            let by = cloud_events::By {
                shape: shape.as_ref(),
                names,
                catalogue,
                sensor: native::sensor_of(message.topic),
            };
            match message.event {
                [] => cloud_events::decode(message, by, index, room, take),
                _ => cloud_events::decode_data(message, by, index, room, take),
            }
        }
        Format::Sparkplug => {
            let room = (&mut *room.native, &mut *room.replies);
            sparkplug::decode(message, names, catalogue, room, take)
        }
        Format::Cap => cap::decode(message.payload, names, catalogue, room.native, take),
        Format::Json(shape) if shape.is_text => {
            let text = serde_json::to_string(utf8(message.payload)?.trim());
            let text = text.expect("a text can be written");
            let found = (message.topic, index.read(&text)?);
            read_value(format, found, names, catalogue, room.native, take)
        }
        Format::Json(_) | Format::SensorThings | Format::NgsiLd => {
            let value = index.read(utf8(message.payload)?)?;
            let found = (message.topic, value);
            read_value(format, found, names, catalogue, room.native, take)
        }
    }
}

/// Reads a message of a format that is JSON, or can be.
fn read_value(
    format: &Format,
    (topic, value): (&str, json::Value<'_>),
    names: &Names,
    catalogue: &Catalogue,
    native: &mut native::Scratch,
    take: &mut dyn FnMut(Item<'_>),
) -> Result<(), Reject> {
    match format {
        Format::Json(shape) => {
            mapping::decode(shape, names, (topic, value), catalogue, native, take)
        }
        Format::SensorThings => {
            sensorthings::decode((topic, value), names, catalogue, native, take)
        }
        Format::NgsiLd => ngsi_ld::decode(value, names, catalogue, native, take),
        Format::Senml => senml::decode_json(value, names, catalogue, native, take),
        Format::CloudEvents(_) | Format::Sparkplug | Format::Cap => {
            let detail = format!("{} is not what this format is written in", value.word());
            Err(Reject::new(Reason::ShapeUnexpected, detail))
        }
    }
}

/// For messages that say themselves what they are, and for which no mapping says more.
static NO_NAMES: LazyLock<Names> = LazyLock::new(Names::default);

/// The format that a content type names.
pub(crate) fn standard(content_type: Option<&str>) -> Option<&'static Format> {
    let essence = essence(content_type);
    let is_one_of = |names: &[&str]| names.iter().any(|name| essence.eq_ignore_ascii_case(name));
    match essence {
        "" | "application/json" => None,
        _ if is_one_of(&["application/senml+json", "application/senml+cbor"]) => {
            Some(&Format::Senml)
        }
        _ if is_one_of(&["application/cap+xml"]) => Some(&Format::Cap),
        _ if is_one_of(&["application/ld+json"]) => Some(&Format::NgsiLd),
        _ if is_one_of(&[
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
        ]) =>
        {
            Some(&Format::CloudEvents(None))
        }
        _ => None,
    }
}

/// Whether a content type says that the message is an event, or several, in structured mode: also on
/// the topics of native readings.
pub(crate) fn is_structured_event(content_type: Option<&str>) -> bool {
    content_type.is_some() && matches!(standard(content_type), Some(Format::CloudEvents(_)))
}

/// Whether what has this topic and this content type is read as an event, or as several.
pub(crate) fn is_of_events(topic: &str, content_type: &str, catalogue: &Catalogue) -> bool {
    let mapping = match native::sensor_of(topic) {
        Some(_) => None,
        None => catalogue.mappings.of(topic),
    };
    let format = mapping.map(|mapping| &mapping.format);
    let format = format.or_else(|| standard(Some(content_type)));
    matches!(format, Some(Format::CloudEvents(_)))
}

/// A content type without its parameters.
fn essence(content_type: Option<&str>) -> &str {
    let whole = content_type.unwrap_or_default();
    whole.split(';').next().unwrap_or_default().trim()
}

/// The text of a message.
fn utf8(payload: &[u8]) -> Result<&str, Reject> {
    std::str::from_utf8(bare(payload))
        .map_err(|error| Reject::new(Reason::NotUtf8, error.to_string()))
}

/// A text without the mark that some put before it (BOM), which says nothing (RFC 8259, section 8.1),
/// and what some put behind it, as C ends its texts.
#[inline]
pub(crate) fn bare(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let end = text.iter().rposition(|byte| *byte != 0);
    &text[..end.map_or(0, |last| last + 1)]
}

/// The time so many milliseconds after 1970 began, if it is one.
fn epoch(millis: f64) -> Option<Timestamp> {
    let (min, max) = (Timestamp::MIN.as_millis(), Timestamp::MAX.as_millis());
    let is_one = millis >= min as f64 && millis <= max as f64;
    is_one.then(|| Timestamp::from_millis(millis.round() as i64))
}

#[cfg(test)]
pub(crate) mod tests;
