//! One input of the core: everything that can reach it, and its bytes in the inputs log.
//!
//! Arrives: bytes of the inputs log. Leaves: a [`Record`] that borrows from them. The record is
//! the unit of determinism: it carries its own number and logical time; what framed it on the way
//! (a batch, a shard) never shows. Next: `detect.rs`.

mod ask;
mod suppress;

pub use self::ask::{Ask, Open, Said};
pub use self::suppress::{Quieted, Resuppress, Suppress};

use crate::codec::{CodecError, Put, Take};
use crate::decision::{Answer, AnswerWord, CommandState, note};
use crate::folded::Folded;
use crate::id::{Actor, ActuatorId, CommandKey, CommandName, IncidentId, RequestId, SuppressionId};
use crate::reading::Reading;
use crate::time::Timestamp;

/// The number of a record in the inputs log: consecutive from 1, never given twice.
pub type Seq = u64;

/// The hash (BLAKE3) that names a bundle of rules and city.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleHash(pub [u8; 32]);

/// The hash (BLAKE3) of the executable that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildHash(pub [u8; 32]);

/// An input with its number and its logical time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record<'a> {
    /// Its number.
    pub seq: Seq,
    /// When it was received, in logical time; never before the record's that precedes it.
    pub at: Timestamp,
    /// What arrived.
    pub input: Input<'a>,
}

/// Everything that can reach the core.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Input<'a> {
    /// A sensor's measurement.
    Reading(Reading<'a>),
    /// What stands for measurements that were left out.
    Folded(Folded<'a>),
    /// A message that no decoder could read; kept so that nobody has to guess what was lost.
    DeadLetter(DeadLetter<'a>),
    /// A person's order.
    Command(Command<'a>),
    /// From here on these rules and this city hold.
    Reload(BundleHash),
    /// A timer is due and nothing else came.
    Tick,
    /// The process began.
    Started(Started),
    /// A person's word: an earlier record was passed over.
    Skipped(Skip),
    /// A person's word: this build has judged what another left unfinished.
    Adopted(Adopted),
    /// What came of something that was to happen outside.
    Effect(Effect<'a>),
    /// A person's word: a dead letter was read again, and what it brings lies before this.
    Replayed(Replayed),
    /// A sensor's measurement out of a dead letter that was read again. That a letter is read once
    /// is seen to: it is no redelivery, however much its sensor has said since.
    Reread(Reading<'a>),
}

/// A message that could not be read, whole up to a bound.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DeadLetter<'a> {
    /// Where it came from: `mqtt`, `http`, …, then the client's name if it gave one.
    pub source: &'a str,
    /// The topic, or the request's path.
    pub topic: &'a str,
    /// The reason as a stable word, for counting: `unit_unknown`, `value_missing`, …
    pub reason: &'a str,
    /// The reason in a sentence, for a person.
    pub detail: &'a str,
    /// All of it, or its beginning if it has more than [`DeadLetter::PAYLOAD_BYTES_MAX`] bytes.
    pub payload: &'a [u8],
    /// How many bytes it had.
    pub payload_bytes: u32,
    /// Where in the message the part stands that could not be read; empty if it is all of it.
    pub place: &'a str,
    /// What the message said that it is; empty if it said nothing.
    pub content_type: &'a str,
    /// What its transport said beside it: the attributes of an event, as a JSON object; empty if
    /// it said nothing.
    pub event: &'a str,
}

impl DeadLetter<'_> {
    /// The longest message that is kept as a whole: a batch of one fits into the smallest segment of
    /// the inputs log, beside its reserve.
    pub const PAYLOAD_BYTES_MAX: usize = 512 << 10;
    /// How much is kept of a longer one.
    pub const BEGINNING_BYTES_MAX: usize = 4096;

    /// Whether all of the message is here, so that it can be read again.
    pub const fn is_whole(&self) -> bool {
        self.payload.len() >= self.payload_bytes as usize
    }
}

/// A person's order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Command<'a> {
    /// The [`RequestId`]: the same request twice acts once.
    pub request: &'a str,
    /// The [`Actor`] who gives it.
    pub actor: &'a str,
    /// What is asked.
    pub action: Action<'a>,
}

/// What a person can ask.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action<'a> {
    /// I have seen this incident and I am on it (ISA-18.2: acknowledge).
    Acknowledge(IncidentId),
    /// An actuator is to do something.
    Operate(Operate<'a>),
    /// Something is asked about an incident.
    About {
        /// Which.
        incident: IncidentId,
        /// What.
        ask: Ask,
        /// The sources that it is about, a line each: a sensor, or `sensor/reading` for one report;
        /// empty if it is about all.
        sources: &'a str,
        /// What is said to it; empty if nothing.
        note: &'a str,
    },
    /// A person knows of something that no sensor has said.
    Open(Open<'a>),
    /// Something is to be kept quiet.
    Suppress(Suppress<'a>),
    /// Something that is kept quiet is to be so for another time, or no longer.
    Resuppress {
        /// Which.
        suppression: SuppressionId,
        /// What is to become of it.
        what: Resuppress,
        /// What is said to it; empty if nothing.
        note: &'a str,
    },
}

/// What an actuator is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operate<'a> {
    /// The [`ActuatorId`].
    pub actuator: &'a str,
    /// The [`CommandName`].
    pub command: &'a str,
    /// How: a JSON object of at most [`CommandState::PARAMETERS_BYTES_MAX`] bytes; empty if
    /// nothing is said.
    pub parameters: &'a str,
    /// It is not sent after this time; `None` for the actuator's own deadline.
    pub not_after: Option<Timestamp>,
    /// The command under way whose place it takes.
    pub replaces: Option<CommandKey>,
}

/// What came of something that was to happen outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect<'a> {
    /// The command.
    pub key: CommandKey,
    /// What is known of it.
    pub news: EffectNews<'a>,
}

/// What is known of an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectNews<'a> {
    /// A command that may be sent once only is about to be. Durable before its first byte.
    Started,
    /// A device has answered.
    Answered {
        /// Which: the [`ActuatorId`] that it is allowed to speak for.
        device: &'a str,
        /// What.
        word: AnswerWord,
        /// More, for people; at most [`Answer::DETAIL_BYTES_MAX`] bytes.
        detail: &'a str,
    },
}

/// The process began: when it was last alive, and what it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Started {
    /// The logical time of the last record before; `None` for a new journal.
    pub down_from: Option<Timestamp>,
    /// The logical time now.
    pub down_to: Timestamp,
    /// The executable.
    pub build: BuildHash,
    /// What logical time follows from now on.
    pub clock: ClockKind,
}

/// A record that a person has had passed over: nothing is decided from it, only its time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skip {
    /// The record.
    pub seq: Seq,
    /// BLAKE3 of its frame: no other record is meant, should the number come to be another's.
    pub record: [u8; 32],
    /// The last record whose decisions had been released by then: they stand.
    pub released: Seq,
}

/// The unfinished work of another executable, taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// The first record of it.
    pub from: Seq,
    /// The last.
    pub to: Seq,
    /// The executable that wrote the last of it.
    pub build: BuildHash,
}

/// A dead letter that was read again, after a mapping was mended say. A letter is replayed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    /// The number of the dead letter.
    pub letter: Seq,
}

/// What logical time follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockKind {
    /// The system's clock, slewed, never falling.
    System,
    /// The system's clock, so many times faster.
    Scaled(u32),
    /// The `received_at` of recorded readings.
    Readings,
}

/// Tags of the inputs, for ever: a number is never used for another input.
mod tag {
    pub const READING: u8 = 1;
    pub const DEAD_LETTER: u8 = 2;
    pub const COMMAND: u8 = 3;
    pub const RELOAD: u8 = 4;
    pub const TICK: u8 = 5;
    pub const FOLDED: u8 = 6;
    pub const EFFECT: u8 = 7;
    pub const STARTED: u8 = 8;
    pub const SKIPPED: u8 = 9;
    pub const ADOPTED: u8 = 10;
    pub const REPLAYED: u8 = 11;
    pub const REREAD: u8 = 12;
    pub const LONG_DEAD_LETTER: u8 = 13;
}

impl<'a> Input<'a> {
    /// The measurement, if it is one.
    pub const fn reading(&self) -> Option<&Reading<'a>> {
        match self {
            Self::Reading(reading) | Self::Reread(reading) => Some(reading),
            Self::Folded(_)
            | Self::DeadLetter(_)
            | Self::Command(_)
            | Self::Reload(_)
            | Self::Tick
            | Self::Started(_)
            | Self::Skipped(_)
            | Self::Adopted(_)
            | Self::Effect(_)
            | Self::Replayed(_) => None,
        }
    }

    /// Appends the input's bytes: its tag, then its body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Reading(reading) => {
                out.put_u8(tag::READING);
                reading.encode(out);
            }
            Self::Folded(folded) => {
                out.put_u8(tag::FOLDED);
                folded.encode(out);
            }
            Self::DeadLetter(letter) => {
                out.put_u8(match letter.is_long() {
                    false => tag::DEAD_LETTER,
                    true => tag::LONG_DEAD_LETTER,
                });
                letter.encode(out);
            }
            Self::Command(command) => {
                out.put_u8(tag::COMMAND);
                command.encode(out);
            }
            Self::Reload(hash) => {
                out.put_u8(tag::RELOAD);
                out.put(&hash.0);
            }
            Self::Tick => out.put_u8(tag::TICK),
            Self::Started(started) => {
                out.put_u8(tag::STARTED);
                started.encode(out);
            }
            Self::Skipped(skip) => {
                out.put_u8(tag::SKIPPED);
                skip.encode(out);
            }
            Self::Adopted(adopted) => {
                out.put_u8(tag::ADOPTED);
                adopted.encode(out);
            }
            Self::Effect(effect) => {
                out.put_u8(tag::EFFECT);
                effect.encode(out);
            }
            Self::Replayed(replayed) => {
                out.put_u8(tag::REPLAYED);
                out.put_u64(replayed.letter);
            }
            Self::Reread(reading) => {
                out.put_u8(tag::REREAD);
                reading.encode(out);
            }
        }
    }

    /// The input in these bytes.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let mut take = Take(bytes);
        let input = match take.u8()? {
            tag::READING => return Reading::decode(take.0).map(Self::Reading),
            tag::REREAD => return Reading::decode(take.0).map(Self::Reread),
            tag::FOLDED => Self::Folded(Folded::decode(&mut take)?),
            tag::DEAD_LETTER => Self::DeadLetter(DeadLetter::decode(&mut take, Take::sized)?),
            tag::LONG_DEAD_LETTER => {
                Self::DeadLetter(DeadLetter::decode(&mut take, DeadLetter::decode_long)?)
            }
            tag::COMMAND => Self::Command(Command::decode(&mut take)?),
            tag::RELOAD => Self::Reload(BundleHash(take.array()?)),
            tag::TICK => Self::Tick,
            tag::STARTED => Self::Started(Started::decode(&mut take)?),
            tag::SKIPPED => Self::Skipped(Skip::decode(&mut take)?),
            tag::ADOPTED => Self::Adopted(Adopted::decode(&mut take)?),
            tag::EFFECT => Self::Effect(Effect::decode(&mut take)?),
            tag::REPLAYED => Self::Replayed(Replayed {
                letter: take.u64()?,
            }),
            _ => return Err(CodecError("unknown input")),
        };
        take.end()?;
        Ok(input)
    }
}

impl<'a> Record<'a> {
    /// Appends a record's frame around an encoded input: length, logical time, input.
    /// Its number is its place in the log.
    pub fn frame(at: Timestamp, input: &[u8], out: &mut Vec<u8>) {
        out.put_u32(input.len() as u32);
        out.put_time(at);
        out.put(input);
    }

    /// The same for an input that is not encoded yet.
    pub fn frame_input(at: Timestamp, input: &Input<'_>, out: &mut Vec<u8>) {
        let begin = out.len();
        out.put_u32(0);
        out.put_time(at);
        let body = out.len();
        input.encode(out);
        let length = (out.len() - body) as u32;
        out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// Takes one record off the front of framed bytes; returns it and what follows.
    pub fn unframe(seq: Seq, bytes: &'a [u8]) -> Result<(Self, &'a [u8]), CodecError> {
        let (frame, rest) = Frame::take(seq, bytes)?;
        Ok((frame.record()?, rest))
    }
}

/// A record whose input is not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its number.
    pub seq: Seq,
    /// Its logical time.
    pub at: Timestamp,
    /// All its bytes, as [`Record::frame`] appends them.
    pub bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// What stands before the input: its length and the logical time.
    const HEAD_BYTES: usize = 12;

    /// Takes one off the front of framed bytes; returns it and what follows.
    pub fn take(seq: Seq, bytes: &'a [u8]) -> Result<(Self, &'a [u8]), CodecError> {
        let mut take = Take(bytes);
        let length = take.u32()?;
        let at = take.time()?;
        take.bytes(length as usize)?;
        let (bytes, rest) = bytes.split_at(bytes.len() - take.0.len());
        Ok((Self { seq, at, bytes }, rest))
    }

    /// The input's bytes.
    pub fn input(&self) -> &'a [u8] {
        &self.bytes[Self::HEAD_BYTES..]
    }

    /// The record.
    ///
    /// # Errors
    /// If its input is none that this build knows.
    pub fn record(&self) -> Result<Record<'a>, CodecError> {
        let input = Input::decode(self.input())?;
        let Self { seq, at, .. } = *self;
        Ok(Record { seq, at, input })
    }

    /// The record as a skipped one is judged: its time passes, and nothing else happens.
    pub const fn skipped(&self) -> Record<'a> {
        Record {
            seq: self.seq,
            at: self.at,
            input: Input::Tick,
        }
    }
}

/// The frames in framed bytes, one after another; ends with the first that is not whole.
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    next: Seq,
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    /// The frames in these bytes, the first of which has this number.
    pub const fn new(first: Seq, framed: &'a [u8]) -> Self {
        Self {
            next: first,
            rest: framed,
        }
    }
}

impl<'a> Iterator for Frames<'a> {
    /// A frame, or the number of the one that is not whole and why.
    type Item = Result<Frame<'a>, (Seq, CodecError)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let seq = self.next;
        let taken = Frame::take(seq, self.rest);
        self.next += 1;
        self.rest = taken.as_ref().map_or(&[], |(_, after)| after);
        Some(taken.map(|(frame, _)| frame).map_err(|error| (seq, error)))
    }
}

/// The records in framed bytes, one after another; ends with the first that cannot be read.
#[derive(Debug, Clone)]
pub struct Records<'a>(Frames<'a>);

impl<'a> Records<'a> {
    /// The records in these bytes, the first of which has this number.
    pub const fn new(first: Seq, framed: &'a [u8]) -> Self {
        Self(Frames::new(first, framed))
    }
}

impl<'a> Iterator for Records<'a> {
    /// A record, or the number of the one that cannot be read and why.
    type Item = Result<Record<'a>, (Seq, CodecError)>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.0.next()?.and_then(|frame| {
            let read = frame.record();
            read.map_err(|error| (frame.seq, error))
        });
        if read.is_err() {
            self.0.rest = &[];
        }
        Some(read)
    }
}

impl<'a> DeadLetter<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        for text in [self.source, self.topic, self.reason, self.detail] {
            out.put_text(text);
        }
        let payload = self.kept();
        match self.is_long() {
            false => out.put_bytes(payload),
            true => {
                out.put_u32(payload.len() as u32);
                out.put(payload);
            }
        }
        out.put_u32(self.payload_bytes);
        // What most letters do not have takes no room in them.
        let beside = [self.place, self.content_type, self.event];
        if let Some(last) = beside.iter().rposition(|text| !text.is_empty()) {
            let texts = &beside[..=last.max(1)];
            texts.iter().for_each(|text| out.put_text(text));
        }
    }

    fn kept(&self) -> &'a [u8] {
        &self.payload[..self.payload.len().min(Self::PAYLOAD_BYTES_MAX)]
    }

    /// Whether its message has more bytes than a record of the first kind can tell.
    fn is_long(&self) -> bool {
        self.kept().len() > usize::from(u16::MAX)
    }

    fn decode_long(take: &mut Take<'a>) -> Result<&'a [u8], CodecError> {
        let length = take.u32()? as usize;
        // Bytes are those that are written, and no others.
        if !(usize::from(u16::MAX) + 1..=Self::PAYLOAD_BYTES_MAX).contains(&length) {
            return Err(CodecError("a long dead letter that is not long"));
        }
        take.bytes(length)
    }

    fn decode(
        take: &mut Take<'a>,
        payload: impl FnOnce(&mut Take<'a>) -> Result<&'a [u8], CodecError>,
    ) -> Result<Self, CodecError> {
        let letter = Self {
            source: take.text()?,
            topic: take.text()?,
            reason: take.text()?,
            detail: take.text()?,
            payload: payload(take)?,
            payload_bytes: take.u32()?,
            place: "",
            content_type: "",
            event: "",
        };
        if take.0.is_empty() {
            return Ok(letter);
        }
        let (place, content_type) = (take.text()?, take.text()?);
        let event = match take.0.is_empty() {
            true => None,
            false => Some(take.text()?),
        };
        // Bytes are those that are written, and no others.
        if event.unwrap_or(content_type).is_empty() && (event.is_some() || place.is_empty()) {
            return Err(CodecError("a dead letter with empty parts"));
        }
        Ok(Self {
            place,
            content_type,
            event: event.unwrap_or_default(),
            ..letter
        })
    }
}

impl<'a> Command<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_text(self.request);
        out.put_text(self.actor);
        match self.action {
            Action::Acknowledge(incident) => {
                out.put_u8(1);
                out.put_u64(incident.to_bits());
            }
            Action::Operate(operate) => {
                out.put_u8(2);
                operate.encode(out);
            }
            Action::About {
                incident,
                ask,
                sources,
                note,
            } => {
                out.put_u8(3);
                out.put_u64(incident.to_bits());
                ask.encode(out);
                out.put_text(sources);
                out.put_text(note);
            }
            Action::Open(open) => {
                out.put_u8(4);
                open.encode(out);
            }
            Action::Suppress(suppress) => {
                out.put_u8(5);
                suppress.encode(out);
            }
            Action::Resuppress {
                suppression,
                what,
                note,
            } => {
                out.put_u8(6);
                out.put_u64(suppression.to_bits());
                what.encode(out);
                out.put_text(note);
            }
        }
    }

    fn decode(take: &mut Take<'a>) -> Result<Self, CodecError> {
        let (request, actor) = (take.text()?, take.text()?);
        if !RequestId::is_valid(request) || !Actor::is_valid(actor) {
            return Err(CodecError("request id or actor"));
        }
        let action = match take.u8()? {
            1 => Action::Acknowledge(incident_id(take)?),
            2 => Action::Operate(Operate::decode(take)?),
            3 => Action::About {
                incident: incident_id(take)?,
                ask: Ask::decode(take)?,
                sources: ask::sources(take)?,
                note: note(take)?,
            },
            4 => Action::Open(Open::decode(take)?),
            5 => Action::Suppress(Suppress::decode(take)?),
            6 => Action::Resuppress {
                suppression: suppress::suppression_id(take)?,
                what: Resuppress::decode(take)?,
                note: note(take)?,
            },
            _ => return Err(CodecError("unknown action")),
        };
        Ok(Self {
            request,
            actor,
            action,
        })
    }
}

impl<'a> Operate<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        for text in [self.actuator, self.command, self.parameters] {
            out.put_text(text);
        }
        out.put_option(self.not_after, Vec::put_time);
        out.put_option(self.replaces, Vec::put_key);
    }

    fn decode(take: &mut Take<'a>) -> Result<Self, CodecError> {
        let operate = Self {
            actuator: take.text()?,
            command: take.text()?,
            parameters: take.text()?,
            not_after: take.option(Take::time)?,
            replaces: take.option(Take::key)?,
        };
        let is_valid = ActuatorId::is_valid(operate.actuator)
            && CommandName::is_valid(operate.command)
            && operate.parameters.len() <= CommandState::PARAMETERS_BYTES_MAX;
        is_valid
            .then_some(operate)
            .ok_or(CodecError("an order to an actuator"))
    }
}

impl<'a> Effect<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_key(self.key);
        match self.news {
            EffectNews::Started => out.put_u8(1),
            EffectNews::Answered {
                device,
                word,
                detail,
            } => {
                out.put_u8(2);
                out.put_text(device);
                out.put_u8(word as u8);
                out.put_text(detail);
            }
        }
    }

    fn decode(take: &mut Take<'a>) -> Result<Self, CodecError> {
        let key = take.key()?;
        let news = match take.u8()? {
            1 => EffectNews::Started,
            2 => {
                let device = take.text()?;
                let word = AnswerWord::take(take)?;
                let detail = take.text()?;
                let is_valid =
                    ActuatorId::is_valid(device) && detail.len() <= Answer::DETAIL_BYTES_MAX;
                if !is_valid {
                    return Err(CodecError("a device's answer"));
                }
                EffectNews::Answered {
                    device,
                    word,
                    detail,
                }
            }
            _ => return Err(CodecError("unknown news of an effect")),
        };
        Ok(Self { key, news })
    }
}

pub(crate) fn incident_id(take: &mut Take<'_>) -> Result<IncidentId, CodecError> {
    IncidentId::from_bits(take.u64()?).ok_or(CodecError("incident id"))
}

impl Started {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_option(self.down_from, Vec::put_time);
        out.put_time(self.down_to);
        out.put(&self.build.0);
        let (kind, speed) = match self.clock {
            ClockKind::System => (0, 1),
            ClockKind::Scaled(speed) => (1, speed),
            ClockKind::Readings => (2, 1),
        };
        out.put_u8(kind);
        out.put_u32(speed);
    }

    fn decode(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            down_from: take.option(Take::time)?,
            down_to: take.time()?,
            build: BuildHash(take.array()?),
            clock: match (take.u8()?, take.u32()?) {
                (0, _) => ClockKind::System,
                (1, speed) => ClockKind::Scaled(speed),
                (2, _) => ClockKind::Readings,
                _ => return Err(CodecError("unknown clock")),
            },
        })
    }
}

impl Skip {
    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.seq);
        out.put(&self.record);
        out.put_u64(self.released);
    }

    /// Takes what was encoded off the front.
    pub fn decode(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            seq: take.u64()?,
            record: take.array()?,
            released: take.u64()?,
        })
    }
}

impl Adopted {
    fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.from);
        out.put_u64(self.to);
        out.put(&self.build.0);
    }

    fn decode(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            from: take.u64()?,
            to: take.u64()?,
            build: BuildHash(take.array()?),
        })
    }
}
