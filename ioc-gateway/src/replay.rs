//! Dead letters read again, after a mapping was mended or a sensor registered.
//!
//! Arrives: the letters that a person chose, out of the inputs log (`replay/log.rs`). Leaves: the
//! readings that they hold by what is configured now, through the door as ones that were read again,
//! with the time at which they were observed; behind those of each letter a word in the inputs log
//! that it was replayed, so that it is not replayed twice, whatever ends the process and when.
//! Promise: a letter that still cannot be read stays as it is, and why is said; one that says no
//! value, as its mapping allows now, is done with like one that was read; of a letter that was a
//! part of a message, or the rest of one, only that is taken; what says no time gets that at which its
//! message came, in however many steps it is read;
//! whose key or user may not publish a sensor gets it in no other way either. Not here: whether a
//! reading that comes so late still matters, which the core judges. Next: `door.rs`.

mod log;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use ioc_core::reading::Reading;
use ioc_core::record::{DeadLetter, Input, Replayed, Seq};
use ioc_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::catalogue::{Catalogue, Now};
use crate::dead_letters::{DeadLetters, NotedLetter};
use crate::door::{Counts, Door, DoorClosed, Inputs, Lane, Ledger};
use crate::formats::native;
use crate::formats::{ITEMS_MAX, event_kept, is_kept_whole, kept_of, kept_place};
use crate::formats::{Item, Message, Nodes, Origin, Outcome, Part, Reason, Reject, Workspace};
use crate::formats::{
    OfEntry, behind, behind_in_event, behind_which, borrowed, cut, decode, is_of_events, of_time,
    of_will, time_in, will_in, with_letter,
};
use crate::keys::Keys;
use crate::mqtt::user_in;
use crate::options::Credentials;

#[cfg(test)]
pub(crate) use log::MemoryLog;
pub use log::{InputsLog, Unread};
use log::{Known, Page, SharedLog};

/// How many readings of one letter are told; all are taken.
const READINGS_TOLD_MAX: usize = 10;
/// How many bytes of readings are handed over at once, and those of one letter more.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Of how many letters it is told what became of each; all are replayed and counted.
const LETTERS_TOLD_MAX: usize = 1000;
/// How many letters may be on their way to the disk without anybody knowing whether they got there.
const UNDER_WAY_MAX: usize = 65_536;

/// What became of one letter, or would.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    seq: Seq,
    topic: Box<str>,
    #[serde(flatten)]
    fate: Fate,
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum Fate {
    /// It holds readings; or so many parts that are none that what is behind them comes another time.
    Replayed {
        readings: Vec<ToldReading>,
        readings_left_out: usize,
        /// Other parts of it that still are none; each is a dead letter of its own now.
        dead_letters: usize,
    },
    /// It holds no reading, as its mapping allows: nobody has to wait for it any more.
    SaysNoValue,
    /// It cannot be read now either.
    StillDead {
        reason: &'static str,
        detail: String,
    },
    /// The message is not there as a whole.
    Cut { detail: String },
    /// That was done already.
    AlreadyReplayed,
}

/// A reading of a letter.
#[derive(Debug, Serialize)]
struct ToldReading {
    id: Box<str>,
    sensor: Box<str>,
    kind: Box<str>,
    observed_at: String,
    value: f64,
    unit: Box<str>,
}

/// What became of all of them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Letters that were replayed, and readings that they held.
    replayed: usize,
    readings: usize,
    /// Letters that say no value, and may.
    no_value: usize,
    /// Letters that stay dead.
    still_dead: usize,
    /// Letters that were cut, or replayed before.
    left: usize,
    /// Of them those that were cut.
    cut: usize,
    /// Letters that have left the log: all that did, where all of it was to be read; else those that
    /// were chosen and went meanwhile.
    out_of_reach: u64,
    letters: Vec<Told>,
    /// Letters that are only counted.
    letters_left_out: usize,
}

/// Which letters are meant.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Choice {
    seqs: BTreeSet<Seq>,
    reason: Option<String>,
    topic: Option<String>,
    source: Option<String>,
    /// Those that came then or later.
    #[serde(deserialize_with = "time_of")]
    since: Option<Timestamp>,
    all: bool,
    /// Only say what would become of them.
    dry_run: bool,
}

impl Choice {
    /// Whether nothing was chosen.
    pub fn is_empty(&self) -> bool {
        let words = [&self.reason, &self.topic, &self.source];
        let is_of_none = words.iter().all(|word| word.is_none());
        !self.all && self.seqs.is_empty() && is_of_none && self.since.is_none()
    }

    /// Whether it is about all that there is.
    fn is_of_all_times(&self) -> bool {
        self.seqs.is_empty() && self.since.is_none()
    }

    fn takes(&self, seq: Seq, at: Timestamp, letter: &DeadLetter<'_>) -> bool {
        let is =
            |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|wanted| wanted == own);
        (self.seqs.is_empty() || self.seqs.contains(&seq))
            && self.since.is_none_or(|since| at >= since)
            && is(&self.reason, letter.reason)
            && is(&self.topic, letter.topic)
            && is(&self.source, letter.source)
    }
}

fn time_of<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    let time = text.map(|text| text.parse());
    let wrong = |_| serde::de::Error::custom("since is no time as 2026-03-14T06:45:10Z");
    time.transpose().map_err(wrong)
}

/// Why a replay did not come to its end. What was handed over before is durable, or may become so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The log cannot be read.
    Unread(String),
    /// More letters were replayed than are remembered.
    TooManyReplayed,
    /// The door is full for too long.
    Overloaded,
    /// Nothing became durable for too long.
    NotDurable,
    /// The engine is gone.
    Closed,
}

impl From<DoorClosed> for Stopped {
    fn from(DoorClosed: DoorClosed) -> Self {
        Self::Closed
    }
}

/// How long a replay waits for the engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub door: Duration,
    pub durable: Duration,
}

/// Who may publish what, as of now.
#[derive(Debug, Clone)]
pub(crate) struct Senders {
    /// Over HTTP; `None` if nobody is asked.
    pub keys: Option<Arc<Keys>>,
    /// Over MQTT.
    pub credentials: Credentials,
}

/// Reads dead letters again: one replay at a time.
#[derive(Debug, Clone)]
pub(crate) struct Replayer {
    door: Door,
    senders: Senders,
    letters: DeadLetters,
    log: SharedLog,
    patience: Patience,
    running: Arc<Running>,
    /// Held by the one replay that there is.
    under_way: Arc<Mutex<UnderWay>>,
}

/// How far the replay has come that there is, for whoever waits for it.
#[derive(Debug, Default)]
pub(crate) struct Running {
    is_running: AtomicBool,
    first: AtomicU64,
    last: AtomicU64,
    /// Records looked at: each twice.
    read: AtomicU64,
    replayed: AtomicU64,
}

/// The same as it is told.
#[derive(Debug, Serialize)]
pub(crate) struct ToldRunning {
    running: bool,
    /// Records that were looked at, and that are to be.
    read: u64,
    of: u64,
    replayed: u64,
}

impl Running {
    fn begin(&self, range: &RangeInclusive<Seq>) {
        self.first.store(*range.start(), Ordering::Relaxed);
        self.last.store(*range.end(), Ordering::Relaxed);
        self.read.store(0, Ordering::Relaxed);
        self.replayed.store(0, Ordering::Relaxed);
        self.is_running.store(true, Ordering::Relaxed);
    }

    /// So far has it come, after so many whole times.
    fn reached(&self, times: u64, seq: Seq) {
        let first = self.first.load(Ordering::Relaxed);
        let read = times * self.count() + seq.saturating_sub(first);
        self.read.store(read, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        let (first, last) = (&self.first, &self.last);
        (last.load(Ordering::Relaxed) + 1).saturating_sub(first.load(Ordering::Relaxed))
    }

    fn told(&self) -> ToldRunning {
        ToldRunning {
            running: self.is_running.load(Ordering::Relaxed),
            read: self.read.load(Ordering::Relaxed),
            of: 2 * self.count(),
            replayed: self.replayed.load(Ordering::Relaxed),
        }
    }
}

/// Letters that were handed over and are not known to be durable: a replay gave up waiting.
#[derive(Debug, Default)]
struct UnderWay {
    letters: BTreeSet<Seq>,
    readings: BTreeSet<Named>,
}

impl UnderWay {
    /// Forgets what the log says by now. Whose readings they are is not kept: they go with the last
    /// letter.
    fn forget(&mut self, known: &Known) {
        self.letters.retain(|letter| !known.is_replayed(*letter));
        if self.letters.is_empty() {
            self.readings.clear();
        }
    }
}

impl Fate {
    /// Whether the letter is not to be read again.
    const fn is_done(&self) -> bool {
        matches!(self, Self::Replayed { .. } | Self::SaysNoValue)
    }
}

/// What is known of letters that are not to be replayed, and of what they brought.
struct Before<'u> {
    known: Known,
    reread: Reread,
    under_way: &'u mut UnderWay,
}

impl Before<'_> {
    fn is_replayed(&self, letter: Seq) -> bool {
        self.known.is_replayed(letter) || self.under_way.letters.contains(&letter)
    }
}

impl Replayer {
    pub fn new(
        door: Door,
        senders: Senders,
        (letters, log): (DeadLetters, SharedLog),
        patience: Patience,
    ) -> Self {
        Self {
            door,
            senders,
            letters,
            log,
            patience,
            running: Arc::default(),
            under_way: Arc::default(),
        }
    }

    /// How far the replay has come that there is.
    pub fn running(&self) -> ToldRunning {
        self.running.told()
    }

    /// Reads the letters that were chosen again, the oldest first.
    pub async fn replay(&self, choice: &Choice) -> Result<Summary, Stopped> {
        let mut under_way = self.under_way.lock().await;
        let replayed = self.replay_alone(choice, &mut under_way).await;
        self.running.is_running.store(false, Ordering::Relaxed);
        replayed
    }

    async fn replay_alone(
        &self,
        choice: &Choice,
        under_way: &mut UnderWay,
    ) -> Result<Summary, Stopped> {
        let total = self.letters.total();
        let (range, known, reread) = self.look_back(choice).await?;
        under_way.forget(&known);
        if under_way.letters.len() >= UNDER_WAY_MAX {
            return Err(Stopped::NotDurable);
        }
        let mut summary = Summary {
            dry_run: choice.dry_run,
            ..Summary::default()
        };
        let seen_before = known.seen;
        let mut before = Before {
            known,
            reread,
            under_way,
        };
        let (send, mut pages) = mpsc::channel::<Page>(1);
        let reading = {
            let (log, running) = (Arc::clone(&self.log), Arc::clone(&self.running));
            let choice = choice.clone();
            spawn_blocking(move || {
                log::letters(&*log, range, &choice, &running, &mut |page| match send
                    .blocking_send(page)
                {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                })
            })
        };
        let mut reader = Reader::new(&self.door.catalogue(), &self.senders);
        let mut batch = Batch::default();
        while let Some(page) = pages.recv().await {
            for letters in page.chunk_by(is_of_one_message) {
                reader.read_parts(letters, &before);
                for letter in letters {
                    let fate = match before.is_replayed(letter.seq) {
                        true => Fate::AlreadyReplayed,
                        false => reader.fate(letter),
                    };
                    if fate.is_done() && !choice.dry_run {
                        reader.append(letter, &mut batch, &before);
                        if batch.inputs.bytes() >= BATCH_BYTES_MAX {
                            self.settle(&mut batch, &mut before).await?;
                        }
                    }
                    summary.tell(letter, fate);
                }
            }
            let replayed = summary.replayed as u64;
            self.running.replayed.store(replayed, Ordering::Relaxed);
        }
        let seen = ended(reading.await)?;
        summary.out_of_reach = match choice.is_of_all_times() {
            true => total.saturating_sub(seen.letters),
            false => seen_before.chosen.saturating_sub(seen.chosen),
        };
        self.settle(&mut batch, &mut before).await?;
        Ok(summary)
    }

    /// Which records a choice is about, and what they say of earlier replays.
    async fn look_back(
        &self,
        choice: &Choice,
    ) -> Result<(RangeInclusive<Seq>, Known, Reread), Stopped> {
        let (log, running) = (Arc::clone(&self.log), Arc::clone(&self.running));
        let choice = choice.clone();
        let looking = spawn_blocking(move || {
            let range = log::range(&*log, &choice)?;
            running.begin(&range);
            let mut reread = Reread::default();
            let known = Known::read(&*log, range.clone(), &choice, &mut reread, &running)?;
            Ok((range, known, reread))
        });
        ended(looking.await)
    }

    /// Makes the readings of a batch durable, with the word behind those of each letter that it was
    /// replayed. From the moment they are handed over nobody else replays them, for a reading of a
    /// letter is judged as often as it comes.
    async fn settle(&self, batch: &mut Batch, before: &mut Before<'_>) -> Result<(), Stopped> {
        let Batch {
            mut inputs,
            letters,
            readings,
        } = std::mem::take(batch);
        if letters.is_empty() {
            return Ok(());
        }
        let (ledger, mut upto) = (Arc::<Ledger>::default(), Counts::default());
        let door = &self.door;
        let handed_over = door.hand_over_all(&mut inputs, &ledger, &mut upto);
        let handed_over = timeout(self.patience.door, handed_over).await;
        handed_over.map_err(|_| Stopped::Overloaded)??;
        for &letter in &letters {
            self.letters.note_replayed(letter);
        }
        readings.iter().for_each(|own| before.reread.note(*own));
        let durable = ledger.settled_up_to(upto);
        let durable = timeout(self.patience.durable, durable).await;
        if durable.is_err() {
            before.under_way.letters.extend(letters);
            before.under_way.readings.extend(readings);
        }
        Ok(durable.map_err(|_| Stopped::NotDurable)??)
    }
}

/// What a thread found that reads.
fn ended<T>(ended: Result<Result<T, Stopped>, tokio::task::JoinError>) -> Result<T, Stopped> {
    ended.map_err(|error| Stopped::Unread(error.to_string()))?
}

/// What is handed over together.
#[derive(Default)]
struct Batch {
    inputs: Inputs,
    letters: Vec<Seq>,
    /// Which readings are among the inputs.
    readings: BTreeSet<Named>,
}

impl Batch {
    /// Appends a reading of a letter. What comes so late is not urgent any more; what another letter
    /// brought already is a redelivery, and known for one as any other is. What was brought when a
    /// crash cut the letter short is there.
    fn push(&mut self, reading: &Reading<'_>, before: &Before<'_>) {
        let own = named(reading);
        if before.known.left.contains(&own) {
            return;
        }
        let is_known =
            before.reread.known.contains(&own) || before.under_way.readings.contains(&own);
        let is_first = !is_known && self.readings.insert(own);
        let input = match is_first {
            true => Input::Reread(*reading),
            false => Input::Reading(*reading),
        };
        self.inputs.push(Lane::Telemetry, &input);
    }

    /// Appends what a letter leaves, unless it is there since a crash cut the letter short.
    fn leave(&mut self, left: &DeadLetter<'_>, before: &Before<'_>) {
        let is_there = named_left(left).is_some_and(|own| before.known.left.contains(&own));
        if !is_there {
            self.inputs.push_dead_letter(left);
        }
    }
}

/// A reading, by the hash of its sensor and id.
type Named = u64;

fn named(reading: &Reading<'_>) -> Named {
    let mut hasher = DefaultHasher::new();
    (reading.sensor, reading.id).hash(&mut hasher);
    hasher.finish()
}

/// A letter that a replay left, likewise; `None` if it is of a message that came in just then.
fn named_left(letter: &DeadLetter<'_>) -> Option<Named> {
    time_in(letter.place).0?;
    let mut hasher = DefaultHasher::new();
    let DeadLetter {
        source,
        topic,
        place,
        payload,
        ..
    } = letter;
    ("left", source, topic, place, payload).hash(&mut hasher);
    Some(hasher.finish())
}

/// When the message of a letter came, whether it was a will, and where in it the letter's part stands.
fn came(letter: &NotedLetter) -> (Timestamp, bool, &str) {
    let (came_at, place) = time_in(&letter.place);
    let (is_will, place) = will_in(place);
    (came_at.unwrap_or(letter.at), is_will, place)
}

/// Which readings were read again, as far as the log was read: one message may be several letters.
#[derive(Debug, Default)]
struct Reread {
    known: BTreeSet<Named>,
    oldest_first: VecDeque<Named>,
}

impl Reread {
    /// How many are remembered.
    const COUNT_MAX: usize = 65_536;

    fn note(&mut self, own: Named) {
        if !self.known.insert(own) {
            return;
        }
        if self.oldest_first.len() == Self::COUNT_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.oldest_first.push_back(own);
    }
}

impl Summary {
    fn tell(&mut self, letter: &NotedLetter, fate: Fate) {
        match &fate {
            Fate::Replayed {
                readings,
                readings_left_out,
                ..
            } => {
                self.replayed += 1;
                self.readings += readings.len() + readings_left_out;
            }
            Fate::SaysNoValue => self.no_value += 1,
            Fate::StillDead { .. } => self.still_dead += 1,
            Fate::Cut { .. } => {
                self.left += 1;
                self.cut += 1;
            }
            Fate::AlreadyReplayed => self.left += 1,
        }
        if self.letters.len() == LETTERS_TOLD_MAX {
            self.letters_left_out += 1;
            return;
        }
        self.letters.push(Told {
            seq: letter.seq,
            topic: letter.topic.clone(),
            fate,
        });
    }
}

/// What a letter holds.
enum Found<'f> {
    Reading(&'f Reading<'f>),
    Rejected(Reject),
    /// No value, as its mapping allows.
    Absent,
}

/// What was found at a place, kept for the letter that is about it.
#[derive(Debug)]
struct KeptFound {
    place: String,
    outcome: KeptOutcome,
}

#[derive(Debug)]
enum KeptOutcome {
    /// A reading, as it is recorded.
    Reading(Box<[u8]>),
    Rejected(Reject),
    Absent,
}

impl KeptFound {
    fn of(place: &str, found: &Found<'_>) -> Self {
        let outcome = match found {
            Found::Reading(reading) => {
                let mut bytes = Vec::new();
                Input::Reread(**reading).encode(&mut bytes);
                KeptOutcome::Reading(bytes.into())
            }
            Found::Rejected(reject) => KeptOutcome::Rejected(reject.clone()),
            Found::Absent => KeptOutcome::Absent,
        };
        Self {
            place: place.to_owned(),
            outcome,
        }
    }

    fn tell(&self, take: &mut dyn FnMut(&str, Found<'_>)) {
        match &self.outcome {
            KeptOutcome::Reading(bytes) => {
                let Ok(Input::Reread(reading)) = Input::decode(bytes) else {
                    unreachable!("it was written so");
                };
                take(&self.place, Found::Reading(&reading));
            }
            KeptOutcome::Rejected(reject) => take(&self.place, Found::Rejected(reject.clone())),
            KeptOutcome::Absent => take(&self.place, Found::Absent),
        }
    }
}

/// Whether two letters that stand one behind the other are of the same message.
fn is_of_one_message(one: &NotedLetter, other: &NotedLetter) -> bool {
    let (came_at, is_will, _) = came(one);
    let (other_came_at, is_other_will, _) = came(other);
    one.is_whole
        && other.is_whole
        && (came_at, is_will) == (other_came_at, is_other_will)
        && one.source == other.source
        && one.topic == other.topic
        && one.content_type == other.content_type
        && one.event == other.event
        && one.payload == other.payload
}

/// Reads letters as messages by what is configured now, at the time when each was received.
struct Reader<'s> {
    catalogue: Catalogue,
    senders: &'s Senders,
    workspace: Workspace,
    received_at: Arc<AtomicI64>,
    /// How many items there are in what was read last, and where the last of them stands.
    seen: usize,
    last: String,
    /// How many items of what is read were taken before.
    behind: usize,
    /// What was found of the letters of one message, by their places, where that is known: each of them
    /// would read all of the message.
    parts: HashMap<String, Vec<KeptFound>>,
}

/// Which items of its message a letter is about.
enum About<'p> {
    All,
    /// What stands there, or in it where nothing is looked for at that very place now.
    Part {
        place: &'p str,
        /// The same by the entries of `readings` that there are now.
        now: String,
        /// Whether it may be an event.
        is_of_events: bool,
    },
    /// What stands there; or, of this event of a batch, those that come behind so many.
    EventBehind {
        place: &'p str,
        event: &'p str,
        items: usize,
    },
    /// Those that come behind so many, of which the last stands there, if that was kept.
    Behind {
        items: usize,
        last: Option<String>,
    },
}

impl<'p> About<'p> {
    /// What a letter is about by the mapping of now.
    ///
    /// # Errors
    /// If nobody can tell: another entry of `readings` must not be taken for the one that was refused.
    fn of(letter: &'p NotedLetter, catalogue: &Catalogue) -> Result<Self, Reject> {
        let (_, _, place) = came(letter);
        let is_of_events = is_of_events(&letter.topic, &letter.content_type, catalogue);
        let shape = catalogue.mappings.shape_of(&letter.topic);
        let unknown = |detail: String| Err(Reject::new(Reason::NothingMapped, detail));
        if place.is_empty() {
            return Ok(Self::All);
        }
        if let (true, Some((event, items))) = (is_of_events, behind_in_event(place)) {
            return Ok(Self::EventBehind {
                place,
                event,
                items,
            });
        }
        let Some((items, last)) = behind_which(place) else {
            let own = OfEntry::of(place);
            let now = match shape {
                Some(shape) => own.now(shape, &letter.detail),
                None => Some(own.plain()),
            };
            return match now {
                Some(now) if now.is_empty() => Ok(Self::All),
                Some(now) => Ok(Self::Part {
                    place,
                    now,
                    is_of_events,
                }),
                None => unknown(format!(
                    "it was refused at {}, and which entry of `readings` that was cannot be told \
                     among those that its mapping has now: write one of them with the value, the \
                     sensor or the kind that it had",
                    own.plain()
                )),
            };
        };
        let last = last.map(OfEntry::of);
        if let (Some(last), Some(shape)) = (last, shape)
            && !last.is_in_order(shape)
        {
            return unknown(format!(
                "it was read up to its item {items}, {}, and its mapping has other entries of \
                 `readings` now, or in another order: which items come behind that cannot be told; \
                 have the message sent again in parts",
                last.plain()
            ));
        }
        Ok(Self::Behind {
            items,
            last: last.map(|last| last.plain()),
        })
    }
}

impl About<'_> {
    /// The place that it is about, if nothing else can be meant by it.
    fn alone(&self) -> Option<&str> {
        match self {
            Self::Part {
                place,
                now,
                is_of_events: false,
            } if is_kept_whole(place) => Some(now),
            Self::Part { .. } | Self::All | Self::EventBehind { .. } | Self::Behind { .. } => None,
        }
    }
}

/// A place of an item as the places of letters are compared with it.
fn place_compared(place: &str) -> String {
    OfEntry::of(&kept_place(place)).plain()
}

/// Whether a place lies in another, and is of the same entry of `readings` if that is of one.
fn is_within(place: &str, around: &str) -> bool {
    let parts = |place| match str::rfind(place, "readings[") {
        Some(entry) => {
            let (spot, entry) = str::split_at(place, entry);
            (spot.strip_suffix(", ").unwrap_or(spot), entry)
        }
        None => (place, ""),
    };
    let ((spot, entry), (around, of)) = (parts(place), parts(around));
    match spot.strip_prefix(around) {
        Some("") => of.is_empty() && !entry.is_empty(),
        Some(inner) => inner.starts_with('/') && (of.is_empty() || of == entry),
        None => false,
    }
}

impl<'s> Reader<'s> {
    fn new(catalogue: &Catalogue, senders: &'s Senders) -> Self {
        let received_at = Arc::<AtomicI64>::default();
        let moment = Arc::clone(&received_at);
        let mut catalogue = catalogue.clone();
        // What was said long ago must not look like the news of a node that goes on speaking.
        catalogue.sparkplug = Nodes::default();
        catalogue.now = Now::new(move || Timestamp::from_millis(moment.load(Ordering::Relaxed)));
        Self {
            catalogue,
            senders,
            workspace: Workspace::default(),
            received_at,
            seen: 0,
            last: String::new(),
            behind: 0,
            parts: HashMap::new(),
        }
    }

    /// Reads the message of these letters once for all that are about one part of it.
    fn read_parts(&mut self, letters: &[NotedLetter], before: &Before<'_>) {
        self.parts.clear();
        let [first, _, ..] = letters else { return };
        let mut places = HashSet::new();
        for letter in letters {
            if !before.is_replayed(letter.seq)
                && let Ok(about) = About::of(letter, &self.catalogue)
                && let Some(place) = about.alone()
            {
                places.insert(place.to_owned());
            }
        }
        if places.len() < 2 {
            return;
        }
        // However many come before them.
        self.behind = usize::MAX;
        let mut parts = HashMap::<_, Vec<_>>::new();
        let is_meant = |place: &str, _: usize| places.contains(&place_compared(place));
        let mut take = |place: &str, found: Found<'_>| {
            let kept = KeptFound::of(place, &found);
            parts.entry(place_compared(place)).or_default().push(kept);
        };
        // What cannot be read is told to each.
        let _read = self.read_where(first, &is_meant, &mut take);
        self.parts = parts;
    }

    /// What a letter holds now.
    fn fate(&mut self, letter: &NotedLetter) -> Fate {
        if !letter.is_whole {
            let detail = format!(
                "{} of the message's {} bytes were kept: it cannot be read again; let its sender \
                 send it again",
                letter.payload.len(),
                letter.payload_bytes
            );
            return Fate::Cut { detail };
        }
        let (mut readings, mut left_out, mut first_reject, mut dead_letters) =
            (Vec::new(), 0, None, 0);
        let mut is_absent = false;
        let ended = self.read(letter, &mut |_, found| match found {
            Found::Reading(reading) if readings.len() < READINGS_TOLD_MAX => {
                readings.push(ToldReading::of(reading));
            }
            Found::Reading(_) => left_out += 1,
            Found::Rejected(reject) => {
                dead_letters += 1;
                first_reject.get_or_insert(reject);
            }
            Found::Absent => is_absent = true,
        });
        if readings.is_empty() && is_absent && ended.is_ok() && first_reject.is_none() {
            return Fate::SaysNoValue;
        }
        let is_step = dead_letters == ITEMS_MAX
            && matches!(&ended, Err(more) if more.reason == Reason::ItemsTooMany);
        if readings.is_empty() && !is_step {
            let nothing = || Reject::new(Reason::NothingMapped, "there is no reading in it");
            let reject = ended.err().or(first_reject).unwrap_or_else(nothing);
            return Fate::StillDead {
                reason: reject.reason.word(),
                detail: reject.detail,
            };
        }
        Fate::Replayed {
            readings,
            readings_left_out: left_out,
            dead_letters: dead_letters + usize::from(ended.is_err()),
        }
    }

    /// Appends what a letter holds.
    fn append(&mut self, letter: &NotedLetter, batch: &mut Batch, before: &Before<'_>) {
        let origin = Origin {
            source: &letter.source,
            topic: &letter.topic,
        };
        let kept = event_kept(&letter.event);
        let event = borrowed(&kept);
        let (came_at, is_will, _) = came(letter);
        let part = |refused_before| Part {
            payload: kept_of(&letter.payload, &letter.payload, refused_before),
            payload_bytes: letter.payload.len(),
            place: "",
            content_type: &letter.content_type,
            event: &event,
        };
        let mut rejects = Vec::new();
        let ended = self.read(letter, &mut |place, found| match found {
            Found::Reading(reading) => batch.push(reading, before),
            Found::Rejected(reject) => rejects.push((place.to_owned(), reject)),
            Found::Absent => {}
        });
        rejects.extend(
            ended
                .err()
                .map(|reject| (behind(self.seen, &self.last), reject)),
        );
        for (refused_before, (place, reject)) in (0..).zip(&rejects) {
            let place = of_time(came_at, &of_will(is_will, place));
            let part = Part {
                place: &place,
                ..part(refused_before)
            };
            with_letter(origin, reject, part, |left| batch.leave(left, before));
        }
        let replayed = Replayed { letter: letter.seq };
        batch
            .inputs
            .push(Lane::Telemetry, &Input::Replayed(replayed));
        batch.letters.push(letter.seq);
    }

    /// Finds what a letter holds, and where: of one that was a part of a message, just that part; or what
    /// lies in it, if its mapping looks for something there now, and for nothing in its place.
    fn read(
        &mut self,
        letter: &NotedLetter,
        take: &mut dyn FnMut(&str, Found<'_>),
    ) -> Result<(), Reject> {
        let about = About::of(letter, &self.catalogue)?;
        if let Some(found) = about.alone().and_then(|place| self.parts.get(place)) {
            found.iter().for_each(|found| found.tell(take));
            return Ok(());
        }
        let is_elsewhere = Cell::new(false);
        self.behind = match about {
            About::All => 0,
            About::Behind { items, .. } => items,
            // However many come before it.
            About::Part { .. } | About::EventBehind { .. } => usize::MAX,
        };
        let is_it = |place: &str, number| match &about {
            About::All => true,
            About::Behind { items, last } => {
                if let (true, Some(last)) = (number == *items, last) {
                    is_elsewhere.set(*last != place_compared(place));
                }
                number > *items && !is_elsewhere.get()
            }
            About::EventBehind { place: own, .. } => **own == *place,
            About::Part {
                place: own,
                now,
                is_of_events,
            } => {
                // Older builds cut places to this.
                *now == place_compared(place)
                    || **own == *cut(&OfEntry::of(place).plain())
                    // Of an event that fails midway it is not known whether what comes before was taken,
                    // for older builds wrote no more of it.
                    || (*is_of_events
                        && behind_in_event(place).is_some_and(|(event, _)| event == *own))
            }
        };
        let (mut is_found, mut read) = self.read_where(letter, &is_it, take);
        if let (false, About::Part { now, .. }) = (is_found, &about) {
            let is_in_it = |place: &str| is_within(&OfEntry::of(place).plain(), now);
            (is_found, read) = self.read_within(letter, &is_in_it, 0, take);
        }
        if let (false, About::EventBehind { event, items, .. }) = (is_found, &about) {
            let is_rest = |place: &str| {
                let rest = place.strip_prefix(event);
                rest.is_some_and(|rest| rest.starts_with(' '))
            };
            let is_of_it = |place: &str| is_within(place, event) || is_rest(place);
            (is_found, read) = self.read_within(letter, &is_of_it, *items, take);
        }
        match (read, about) {
            (_, About::Behind { items, .. }) if is_elsewhere.get() => {
                let detail = format!(
                    "its mapping finds other items in it now than the {items} that were taken: \
                     which come behind them cannot be told; have the message sent again in parts"
                );
                Err(Reject::new(Reason::NothingMapped, detail))
            }
            (Ok(()), About::Part { now, .. }) if !is_found => {
                let detail = format!(
                    "its mapping looks for nothing at {now} any more, where it was refused"
                );
                Err(Reject::new(Reason::NothingMapped, detail))
            }
            (Ok(()), About::EventBehind { event, items, .. }) if !is_found => {
                let detail = format!("nothing comes behind item {items} of {event} now");
                Err(Reject::new(Reason::NothingMapped, detail))
            }
            (Ok(()), About::Behind { items, .. }) if !is_found => {
                let detail = format!("nothing comes behind its item {items} now");
                Err(Reject::new(Reason::NothingMapped, detail))
            }
            // What lies elsewhere in the message was told at the time.
            (Err(_), About::Part { .. } | About::EventBehind { .. }) if is_found => Ok(()),
            (read, _) => read,
        }
    }

    /// Finds what lies in a part of its message, behind so many items of it, if that is no more than a
    /// message may bring at once: of a part nobody could tell how far it was taken.
    fn read_within(
        &mut self,
        letter: &NotedLetter,
        is_in_it: &dyn Fn(&str) -> bool,
        behind: usize,
        take: &mut dyn FnMut(&str, Found<'_>),
    ) -> (bool, Result<(), Reject>) {
        let seen = Cell::new(0);
        let is_behind = |place: &str, _: usize| {
            let is_in_it = is_in_it(place);
            seen.set(seen.get() + usize::from(is_in_it));
            is_in_it && seen.get() > behind
        };
        let count = |place: &str, number: usize| {
            is_behind(place, number);
            false
        };
        // What cannot be read is told below.
        let (_, _counted) = self.read_where(letter, &count, take);
        let found = seen.replace(0).saturating_sub(behind);
        if found > ITEMS_MAX {
            let detail = format!(
                "its mapping finds {found} readings in this part now, and a message brings at most \
                 {ITEMS_MAX} at once; have it sent again in parts"
            );
            return (false, Err(Reject::new(Reason::ItemsTooMany, detail)));
        }
        self.read_where(letter, &is_behind, take)
    }

    /// Finds what its message holds at the places that are meant; whether there is anything.
    fn read_where(
        &mut self,
        letter: &NotedLetter,
        is_meant: &dyn Fn(&str, usize) -> bool,
        take: &mut dyn FnMut(&str, Found<'_>),
    ) -> (bool, Result<(), Reject>) {
        let (came_at, is_will, _) = came(letter);
        self.received_at
            .store(came_at.as_millis(), Ordering::Relaxed);
        match is_will {
            true => self.workspace.native.observed_now(&self.catalogue),
            false => self.workspace.native.observed_when_said(),
        }
        let senders = self.senders;
        let (mut is_found, mut seen, mut last) = (false, 0, String::new());
        let mut item = |item: Item<'_>| {
            let place = format!("{:#}", item.place);
            seen += 1;
            last.clone_from(&place);
            if !is_meant(&place, seen) {
                return;
            }
            is_found = true;
            match item.outcome {
                Outcome::Reading(reading) => match senders.may(&letter.source, reading.sensor) {
                    Ok(()) => take(&place, Found::Reading(&reading)),
                    Err(reject) => take(&place, Found::Rejected(reject)),
                },
                Outcome::Rejected(reject) => take(&place, Found::Rejected(reject.at(item.place))),
                Outcome::Absent => take(&place, Found::Absent),
                // What a format notes may hang on what its nodes said before, which is not known here.
                Outcome::Noted(_) => {}
            }
        };
        let content_type = Some(&*letter.content_type).filter(|it| !it.is_empty());
        let kept = event_kept(&letter.event);
        let message = Message {
            topic: &letter.topic,
            payload: &letter.payload,
            content_type,
            event: &borrowed(&kept),
            behind: self.behind,
            ..Message::default()
        };
        let read = decode(message, &self.catalogue, &mut self.workspace, &mut item).map(|_| ());
        let read = match read {
            Err(unknown) if unknown.reason == Reason::TopicUnknown => {
                let scratch = &mut self.workspace.native;
                native_of(letter, &self.catalogue, scratch)
                    .unwrap_or(Err(unknown))
                    .map(|reading| {
                        item(Item {
                            place: &"",
                            source: &letter.payload,
                            outcome: Outcome::Reading(reading),
                        });
                    })
            }
            read => read,
        };
        (self.seen, self.last) = (seen, last);
        (is_found, read)
    }
}

/// A letter whose topic no mapping chooses, if it had been read as a native reading; `None` if its
/// topic was the trouble, and still is.
fn native_of<'l>(
    letter: &'l NotedLetter,
    catalogue: &'l Catalogue,
    scratch: &'l mut native::Scratch,
) -> Option<Result<Reading<'l>, Reject>> {
    let is_native = &*letter.reason != Reason::TopicUnknown.word();
    is_native.then(|| native::decode(&letter.payload, None, catalogue, scratch))
}

impl Senders {
    /// Whether whoever sent a letter may publish this sensor by what is configured now. What names no
    /// user came while nobody was asked, or from a broker elsewhere.
    fn may(&self, source: &str, sensor: &str) -> Result<(), Reject> {
        if let (Some(keys), true) = (&self.keys, source.starts_with("http ")) {
            return match keys.of_source(source) {
                Some(key) => key.check(sensor),
                None => {
                    let detail = "the key that it came with is no longer in http.keys_file";
                    Err(Reject::new(Reason::SensorNotOfKey, detail))
                }
            };
        }
        let (Credentials::Users(users), Some(user)) = (&self.credentials, user_in(source)) else {
            return Ok(());
        };
        match users.rights(user) {
            Some(rights) if rights.sensors.have(sensor) => Ok(()),
            Some(_) => Err(Reject::not_of_user(sensor)),
            None => {
                let detail = "the user who sent it is no longer in mqtt.users_file";
                Err(Reject::new(Reason::SensorNotOfUser, detail))
            }
        }
    }
}

impl ToldReading {
    fn of(reading: &Reading<'_>) -> Self {
        Self {
            id: reading.id.into(),
            sensor: reading.sensor.into(),
            kind: reading.kind.into(),
            observed_at: reading.observed_at.to_string(),
            value: reading.value,
            unit: reading.unit.into(),
        }
    }
}

#[cfg(test)]
mod tests;
