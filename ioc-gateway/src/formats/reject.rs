//! Why a message became a dead letter: a closed set of words to count by, and a sentence to read.
//!
//! Arrives: what a decoder or an adapter could not accept. Leaves: a bounded
//! [`DeadLetter`] among the connection's other inputs, in its place, so that it becomes durable
//! and is acknowledged like them: a broker would redeliver for ever what is only refused.
//! Next: `dead_letters.rs`, where people see it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use ioc_core::record::DeadLetter;
use ioc_core::time::Timestamp;

use super::cloud_events;
use super::mapping::OfEntry;
use crate::door::Inputs;

/// A message that is not accepted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// The reason to count by.
    pub reason: Reason,
    /// The reason in a sentence: what was found, and what to write instead.
    pub detail: String,
}

impl Reject {
    /// The reason with its sentence, cut to its bound: as many of them may be kept as a message has
    /// items.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.len() > TEXT_BYTES_MAX {
            detail.truncate(detail.floor_char_boundary(TEXT_BYTES_MAX));
            detail.shrink_to_fit();
        }
        Self { reason, detail }
    }

    /// A reading of a sensor that the user who sent it may not publish.
    pub(crate) fn not_of_user(sensor: &str) -> Self {
        let sensor = cut(sensor);
        let detail = format!(
            "this user may not publish `{sensor}`; name the sensor in `sensors:` below the user in \
             mqtt.users_file"
        );
        Self::new(Reason::SensorNotOfUser, detail)
    }

    /// Of a message on a topic without a mapping, and why it is no native reading: this counts if
    /// something in it says that it is to be one.
    pub(super) fn unless_native(self, native: Self) -> Self {
        let says_no_sensor = matches!(
            native.reason,
            Reason::SensorMissing | Reason::NotAnObject | Reason::JsonMalformed
        );
        if !says_no_sensor {
            return native;
        }
        let (reason, detail) = (native.reason.word(), native.detail);
        let detail = format!(
            "{}; nor is it a native reading: {reason}: {detail}",
            self.detail
        );
        Self::new(self.reason, detail)
    }

    /// The same, with the place in the message where it was found.
    pub(crate) fn at(self, place: &dyn fmt::Display) -> Self {
        let place = place.to_string();
        let detail = match place.as_str() {
            "" => self.detail,
            place => format!("{place}: {}", self.detail),
        };
        Self { detail, ..self }
    }
}

/// Who sent a message, and to where.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The adapter and the client's name: `mqtt pump-house`, `http`.
    pub source: &'a str,
    /// The topic, or the request's path.
    pub topic: &'a str,
}

/// How much of a topic, and of a sentence that may quote the message, is kept.
const TEXT_BYTES_MAX: usize = 512;

/// The longest topic that a mapping reads. One that was cut, to keep it, is longer: to a character that
/// has four bytes three may lack.
pub(crate) const TOPIC_BYTES_MAX: usize = 508;
const _: () = assert!(
    TOPIC_BYTES_MAX + 4 == TEXT_BYTES_MAX,
    "what was cut is longer"
);

/// Appends the message as a dead letter, within its bounds.
pub fn append_dead_letter(
    inputs: &mut Inputs,
    origin: Origin<'_>,
    reject: &Reject,
    payload: &[u8],
) {
    append_beginning(inputs, origin, reject, payload, payload.len());
}

/// A message, or a part of it, that is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// What is kept: all of the message, so that it can be read again, or a part or beginning of it,
    /// cut to its bound.
    pub payload: &'a [u8],
    /// How many bytes the message had.
    pub payload_bytes: usize,
    /// Where in the message the part stands; empty if it is all of it.
    pub place: &'a str,
    /// What the message says that it is; empty if it says nothing.
    pub content_type: &'a str,
    /// The attributes of the event that it is the data of, if its transport said them beside it.
    pub event: &'a [(&'a str, &'a str)],
}

/// The place of the rest of a message that was read so far: behind so many of its items, of which
/// the last stands there.
pub(crate) fn behind(items: usize, last: &str) -> String {
    match (items, last) {
        (0, _) => String::new(),
        (_, "") => format!("{BEHIND}{items}"),
        (_, last) => format!("{BEHIND}{items}: {}", kept_place(last)),
    }
}

const BEHIND: &str = "behind item ";

/// Behind how many items the rest stands that has such a [place](behind), and where the last of them
/// stood, if that is said.
pub(crate) fn behind_which(place: &str) -> Option<(usize, Option<&str>)> {
    let which = place.strip_prefix(BEHIND)?;
    let (items, last) = match which.split_once(": ") {
        Some((items, last)) => (items, Some(last)),
        None => (which, None),
    };
    Some((items.parse().ok()?, last))
}

/// The event of a batch whose rest it is, as `/3` of `/3 behind item 2`, and behind how many of its items.
pub(crate) fn behind_in_event(place: &str) -> Option<(&str, usize)> {
    let (event, which) = place.split_at(place.find(' ')?);
    let number = event.strip_prefix('/')?;
    let is_event = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let (items, _) = behind_which(which.trim_start()).filter(|(_, last)| last.is_none())?;
    is_event.then_some((event, items))
}

/// The place of what a replay leaves of a message: when that came stands before it, for the letter of it
/// comes later.
pub(crate) fn of_time(came_at: Timestamp, place: &str) -> String {
    format!("{CAME_AT}{} {place}", came_at.as_millis())
}

const CAME_AT: char = '@';

/// When its message came, if a replay left what has such a [place](of_time), and the place without that.
pub(crate) fn time_in(place: &str) -> (Option<Timestamp>, &str) {
    let parts = place.strip_prefix(CAME_AT);
    let parts = parts.and_then(|parts| parts.split_once(' '));
    let parsed = parts.and_then(|(millis, own)| Some((millis.parse().ok()?, own)));
    match parsed {
        Some((millis, own)) => (Some(Timestamp::from_millis(millis)), own),
        None => (None, place),
    }
}

/// The place of a part of a will, if it is one: nobody wrote into it when it is published.
pub(crate) fn of_will(is_will: bool, place: &str) -> Cow<'_, str> {
    match is_will {
        true => Cow::Owned(format!("{WILL}{place}")),
        false => Cow::Borrowed(place),
    }
}

const WILL: &str = "will ";

/// Whether a place, without its [time](time_in), is of a [will](of_will), and the place without that.
pub(crate) fn will_in(place: &str) -> (bool, &str) {
    match place.strip_prefix(WILL) {
        Some(own) => (true, own),
        None => (false, place),
    }
}

/// How much of a place is kept, beside of which entry it is.
const SPOT_BYTES_MAX: usize = 400;

/// A place as letters keep it: of a long one the beginning, and what tells it from others that begin so.
pub(crate) fn kept_place(place: &str) -> Cow<'_, str> {
    let (_, own) = will_in(time_in(place).1);
    let OfEntry { spot, entry, .. } = OfEntry::of(own);
    if spot.len() <= SPOT_BYTES_MAX || behind_which(own).is_some() {
        return Cow::Borrowed(place);
    }
    let before = &place[..place.len() - own.len()];
    let begin = &spot[..spot.floor_char_boundary(SPOT_BYTES_MAX)];
    let rest = &blake3::hash(spot.as_bytes()).to_hex()[..16];
    Cow::Owned(format!("{before}{begin}#{rest}{entry}"))
}

/// The same for a message of `payload_bytes` of which only the beginning was kept.
pub fn append_beginning(
    inputs: &mut Inputs,
    origin: Origin<'_>,
    reject: &Reject,
    beginning: &[u8],
    payload_bytes: usize,
) {
    let part = Part {
        payload: beginning,
        payload_bytes,
        place: "",
        content_type: "",
        event: &[],
    };
    append_part(inputs, origin, reject, part);
}

/// The same for a part of a message, or for a message that says what it is.
pub fn append_part(inputs: &mut Inputs, origin: Origin<'_>, reject: &Reject, part: Part<'_>) {
    with_letter(origin, reject, part, |letter| {
        inputs.push_dead_letter(letter);
    });
}

/// Makes the letter of a part.
pub(crate) fn with_letter(
    origin: Origin<'_>,
    reject: &Reject,
    part: Part<'_>,
    take: impl FnOnce(&DeadLetter<'_>),
) {
    let is_whole = part.payload.len() == part.payload_bytes;
    let kept = match part.payload.len() {
        all if is_whole && all <= DeadLetter::PAYLOAD_BYTES_MAX => all,
        more => more.min(DeadLetter::BEGINNING_BYTES_MAX),
    };
    let event = kept_event(part.event);
    take(&DeadLetter {
        source: cut(origin.source),
        topic: cut(origin.topic),
        reason: reject.reason.word(),
        detail: cut(&reject.detail),
        payload: &part.payload[..kept],
        payload_bytes: u32::try_from(part.payload_bytes).unwrap_or(u32::MAX),
        place: cut(&kept_place(part.place)),
        content_type: cut(part.content_type),
        event: &event,
    });
}

/// The attributes of an event as they are kept, as a JSON object: those that change how its data is
/// read, the longest values cut.
fn kept_event(attributes: &[(&str, &str)]) -> String {
    if attributes.is_empty() {
        return String::new();
    }
    let kept = attributes
        .iter()
        .filter(|(name, _)| cloud_events::is_read(name))
        .map(|&(name, value)| (name.to_owned(), cut(value).into()));
    serde_json::Value::Object(kept.collect()).to_string()
}

/// The attributes of an event that a letter kept; none if it kept none.
pub(crate) fn event_kept(text: &str) -> Vec<(Box<str>, String)> {
    let kept: BTreeMap<Box<str>, String> = serde_json::from_str(text).unwrap_or_default();
    kept.into_iter().collect()
}

/// The text, or as many whole characters of it as are kept.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES_MAX)]
}

/// Whether a text that was kept is all that there was: what was cut is longer.
pub(crate) const fn is_kept_whole(text: &str) -> bool {
    text.len() <= TOPIC_BYTES_MAX
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)+) => {
        /// Why a message is not accepted. The words are stable: dashboards count by them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $variant,)+ }

        impl Reason {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that it is counted and listed by.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

reasons! {
    /// The message is longer than a reading may be.
    PayloadTooLong = "payload_too_long",
    /// The message is not UTF-8.
    NotUtf8 = "not_utf8",
    /// The message is not JSON (RFC 8259): broken off, followed by something, or worse.
    JsonMalformed = "json_malformed",
    /// The message is not CBOR (RFC 8949): broken off, followed by something, or worse.
    CborMalformed = "cbor_malformed",
    /// The message is not of Protocol Buffers: broken off, or worse.
    ProtobufMalformed = "protobuf_malformed",
    /// The message is not XML 1.0: broken off, or worse; or it defines entities of its own.
    XmlMalformed = "xml_malformed",
    /// The message is JSON but not an object.
    NotAnObject = "not_an_object",
    /// A member is there twice; nobody can tell which one is meant.
    MemberRepeated = "member_repeated",
    /// Lists or objects within each other beyond the bound.
    NestingTooDeep = "nesting_too_deep",
    /// Neither the message nor the topic names the sensor.
    SensorMissing = "sensor_missing",
    /// The sensor's name is not one.
    SensorInvalid = "sensor_invalid",
    /// The message names another sensor than the topic.
    SensorNotOfTopic = "sensor_not_of_topic",
    /// The key that it came with may not publish the sensor.
    SensorNotOfKey = "sensor_not_of_key",
    /// The user who sent it may not publish the sensor.
    SensorNotOfUser = "sensor_not_of_user",
    /// The sensor is not registered, and only registered ones are accepted.
    SensorUnregistered = "sensor_unregistered",
    /// No kind, and the sensor is not registered.
    KindMissing = "kind_missing",
    /// The kind is not one.
    KindInvalid = "kind_invalid",
    /// The sensor is registered with another kind.
    KindMismatch = "kind_mismatch",
    /// The id is not one.
    IdInvalid = "id_invalid",
    /// No time of observation.
    ObservedAtMissing = "observed_at_missing",
    /// The time of observation is not an RFC 3339 time.
    ObservedAtInvalid = "observed_at_invalid",
    /// The time of reception is not an RFC 3339 time.
    ReceivedAtInvalid = "received_at_invalid",
    /// No value.
    ValueMissing = "value_missing",
    /// The value is null, NaN, a text, a list, …
    ValueNotANumber = "value_not_a_number",
    /// The value is greater than a double can be, as sent or after conversion.
    ValueOverflow = "value_overflow",
    /// The unit is no text, or too long to be one.
    UnitInvalid = "unit_invalid",
    /// The unit is not the registered one, and one of both is not in the table of units.
    UnitUnknown = "unit_unknown",
    /// The unit measures something else than the registered one.
    UnitMismatch = "unit_mismatch",
    /// The position is not two or three numbers, or not on the globe.
    PositionInvalid = "position_invalid",
    /// The attributes are not an object.
    AttributesInvalid = "attributes_invalid",
    /// The attributes are more, or longer, than a reading may have.
    AttributesTooMany = "attributes_too_many",
    /// The topic is not one that readings are published to.
    TopicUnknown = "topic_unknown",
    /// The topic is longer than a mapping may read, or was: it is not kept whole.
    TopicTooLong = "topic_too_long",
    /// The message does not have the shape that its mapping describes.
    ShapeUnexpected = "shape_unexpected",
    /// The message has its shape, and there is no reading in it.
    NothingMapped = "nothing_mapped",
    /// What the message is about was not born yet, as far as is known here, or said otherwise then.
    BirthMissing = "birth_missing",
    /// More was born than is kept.
    BirthsTooMany = "births_too_many",
    /// The message brings more readings than one may.
    ItemsTooMany = "items_too_many",
    /// What a device says about a command has no key, or no state that there is.
    FeedbackInvalid = "feedback_invalid",
    /// What a device says is about no command that it was sent.
    FeedbackUnknown = "feedback_unknown",
    /// Whoever says it may not speak for that device.
    FeedbackNotAllowed = "feedback_not_allowed",
    /// The headers, or the subject, that a message of NATS came with cannot be read.
    HeadersMalformed = "headers_malformed",
}

#[cfg(test)]
mod tests {
    use ioc_core::record::Input;

    use super::*;

    #[test]
    fn every_reason_is_in_the_page_that_integrators_read() {
        let page = include_str!("../../../docs/READINGS.md");
        for reason in Reason::ALL {
            let word = format!("`{}`", reason.word());
            assert!(
                page.contains(&word),
                "{word} is missing from docs/READINGS.md"
            );
        }
    }

    #[test]
    fn a_dead_letter_is_cut_to_its_bounds_between_characters() {
        let mut inputs = Inputs::default();
        let long = "é".repeat(40_000);
        let origin = Origin {
            source: "mqtt a",
            topic: &long,
        };
        let reject = Reject::new(Reason::TopicUnknown, long.clone());
        let whole = DeadLetter::PAYLOAD_BYTES_MAX;
        let beginning = DeadLetter::BEGINNING_BYTES_MAX;
        let message = vec![7; whole + 1];
        append_dead_letter(&mut inputs, origin, &reject, &message[1..]);
        append_dead_letter(&mut inputs, origin, &reject, &message);
        append_beginning(&mut inputs, origin, &reject, &message[..70_000], 80_000);
        let kept = [(whole, whole), (beginning, whole + 1), (beginning, 80_000)];
        for (bytes, (kept, of)) in inputs.iter().zip(kept) {
            let Input::DeadLetter(letter) = Input::decode(bytes).unwrap() else {
                panic!("a dead letter was appended");
            };
            assert_eq!(letter.topic.len(), TEXT_BYTES_MAX);
            assert_eq!(letter.detail, letter.topic);
            assert_eq!(letter.reason, "topic_unknown");
            assert_eq!(letter.payload.len(), kept);
            assert_eq!(letter.payload_bytes as usize, of);
        }
    }

    #[test]
    fn each_reason_has_its_own_word_and_stands_at_its_number() {
        for (number, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, number);
            let same = Reason::ALL.iter().filter(|r| r.word() == reason.word());
            assert_eq!(same.count(), 1, "{reason:?}");
        }
    }
}
