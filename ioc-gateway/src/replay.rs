//! Dead letters read again, after a mapping was mended or a sensor registered.
//!
//! Arrives: the letters that a person chose. Leaves: the readings that they hold by what is
//! configured now, through the door as ones that were read again, with the time at which they were
//! observed; then a word in the inputs log that the letter was replayed, so that it is not replayed twice, not
//! after a restart either. Promise: a letter that still cannot be read stays as it is, and why is
//! said; of a letter that was a part of a message only that part is taken; what says no time gets
//! the letter's; whose key or user may not publish a sensor gets it in no other way either. Not here:
//! whether a reading that comes so late still matters, which the core judges. Next: `door.rs`.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ioc_core::reading::Reading;
use ioc_core::record::{Input, Replayed, Seq};
use ioc_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::catalogue::{Catalogue, Now};
use crate::dead_letters::{DeadLetters, NotedLetter};
use crate::door::{Counts, Door, DoorClosed, Inputs, Lane, Ledger};
use crate::formats::native;
use crate::formats::{Item, Message, Nodes, Origin, Outcome, Part, Reason, Reject, Workspace};
use crate::formats::{append_part, borrowed, cut, decode, event_kept};
use crate::keys::Keys;
use crate::mqtt::user_in;
use crate::options::Credentials;

/// How many readings of one letter are told; all are taken.
const READINGS_TOLD_MAX: usize = 10;
/// How many bytes of readings are handed over at once, and those of one letter more.
const BATCH_BYTES_MAX: usize = 1 << 20;

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
    /// It holds readings.
    Replayed {
        readings: Vec<ToldReading>,
        readings_left_out: usize,
        /// Other parts of it that still are none; each is a dead letter of its own now.
        dead_letters: usize,
    },
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
    /// Letters that stay dead.
    still_dead: usize,
    /// Letters that were cut, or replayed before.
    left: usize,
    /// Letters that are in the log only.
    out_of_reach: u64,
    letters: Vec<Told>,
}

/// Which letters are meant.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Choice {
    seqs: BTreeSet<Seq>,
    reason: Option<String>,
    topic: Option<String>,
    all: bool,
    /// Only say what would become of them.
    dry_run: bool,
}

impl Choice {
    /// Whether nothing was chosen.
    pub fn is_empty(&self) -> bool {
        !self.all && self.seqs.is_empty() && self.reason.is_none() && self.topic.is_none()
    }

    fn takes(&self, letter: &NotedLetter) -> bool {
        let is =
            |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|wanted| wanted == own);
        (self.seqs.is_empty() || self.seqs.contains(&letter.seq))
            && is(&self.reason, &letter.reason)
            && is(&self.topic, &letter.topic)
    }
}

/// Why a replay did not come to its end. What was handed over before is durable, or may become so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
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
    patience: Patience,
    /// Held by the one replay that there is.
    reread: Arc<Mutex<Reread>>,
}

impl Replayer {
    pub fn new(door: Door, senders: Senders, letters: DeadLetters, patience: Patience) -> Self {
        Self {
            door,
            senders,
            letters,
            patience,
            reread: Arc::default(),
        }
    }

    /// Reads the letters that were chosen again, the oldest first.
    pub async fn replay(&self, choice: &Choice) -> Result<Summary, Stopped> {
        let mut reread = self.reread.lock().await;
        let mut chosen = self.letters.newest(usize::MAX);
        let out_of_reach = self.letters.total().saturating_sub(chosen.len() as u64);
        chosen.retain(|letter| choice.takes(letter));
        let mut summary = Summary {
            dry_run: choice.dry_run,
            out_of_reach,
            ..Summary::default()
        };
        let mut reader = Reader::new(&self.door.catalogue(), &self.senders);
        let mut batch = Batch::default();
        for letter in chosen.iter().rev() {
            let fate = match self.letters.is_replayed(letter.seq) {
                true => Fate::AlreadyReplayed,
                false => reader.fate(letter),
            };
            if let (Fate::Replayed { .. }, false) = (&fate, choice.dry_run) {
                reader.append(letter, &mut batch, &reread);
                batch.letters.push(letter.seq);
                if batch.inputs.bytes() >= BATCH_BYTES_MAX {
                    self.settle(&mut batch, &mut reread).await?;
                }
            }
            summary.tell(letter, fate);
        }
        self.settle(&mut batch, &mut reread).await?;
        Ok(summary)
    }

    /// Makes the readings of a batch durable, and behind them the word that their letters were
    /// replayed. From the moment they are handed over nobody else replays them, for a reading of a
    /// letter is judged as often as it comes; only a crash just between the two has them read again.
    async fn settle(&self, batch: &mut Batch, reread: &mut Reread) -> Result<(), Stopped> {
        let Batch {
            mut inputs,
            letters,
            readings,
        } = std::mem::take(batch);
        if letters.is_empty() {
            return Ok(());
        }
        for &letter in &letters {
            inputs.push(Lane::Telemetry, &Input::Replayed(Replayed { letter }));
        }
        let (ledger, mut upto) = (Arc::<Ledger>::default(), Counts::default());
        let door = &self.door;
        let handed_over = door.hand_over_all(&mut inputs, &ledger, &mut upto);
        let handed_over = timeout(self.patience.door, handed_over).await;
        handed_over.map_err(|_| Stopped::Overloaded)??;
        for letter in letters {
            self.letters.note_replayed(letter);
        }
        readings.into_iter().for_each(|own| reread.note(own));
        let durable = ledger.settled_up_to(upto);
        let durable = timeout(self.patience.durable, durable).await;
        Ok(durable.map_err(|_| Stopped::NotDurable)??)
    }
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
    /// brought already is a redelivery, and known for one as any other is.
    fn push(&mut self, reading: &Reading<'_>, reread: &Reread) {
        let own = named(reading);
        let is_first = !reread.known.contains(&own) && self.readings.insert(own);
        let input = match is_first {
            true => Input::Reread(*reading),
            false => Input::Reading(*reading),
        };
        self.inputs.push(Lane::Telemetry, &input);
    }
}

/// A reading, by the hash of its sensor and id.
type Named = u64;

fn named(reading: &Reading<'_>) -> Named {
    let mut hasher = DefaultHasher::new();
    (reading.sensor, reading.id).hash(&mut hasher);
    hasher.finish()
}

/// Which readings were read again since the start: one message may be several letters.
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
            Fate::StillDead { .. } => self.still_dead += 1,
            Fate::Cut { .. } | Fate::AlreadyReplayed => self.left += 1,
        }
        self.letters.push(Told {
            seq: letter.seq,
            topic: letter.topic.clone(),
            fate,
        });
    }
}

/// Reads letters as messages by what is configured now, at the time when each was received.
struct Reader<'s> {
    catalogue: Catalogue,
    senders: &'s Senders,
    workspace: Workspace,
    received_at: Arc<AtomicI64>,
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
        }
    }

    /// What a letter holds now.
    fn fate(&mut self, letter: &NotedLetter) -> Fate {
        if letter.is_cut() {
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
        let ended = self.read(letter, &mut |found| match found {
            Ok(reading) if readings.len() < READINGS_TOLD_MAX => {
                readings.push(ToldReading::of(reading));
            }
            Ok(_) => left_out += 1,
            Err(reject) => {
                dead_letters += 1;
                first_reject.get_or_insert(reject);
            }
        });
        if readings.is_empty() {
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
    fn append(&mut self, letter: &NotedLetter, batch: &mut Batch, reread: &Reread) {
        let origin = Origin {
            source: &letter.source,
            topic: &letter.topic,
        };
        let kept = event_kept(&letter.event);
        let event = borrowed(&kept);
        let part = |place| Part {
            payload: &letter.payload,
            payload_bytes: letter.payload.len(),
            place,
            content_type: &letter.content_type,
            event: &event,
        };
        let mut rejects = Vec::new();
        let ended = self.read_placed(letter, &mut |place, found| match found {
            Ok(reading) => batch.push(reading, reread),
            Err(reject) => rejects.push((place.to_owned(), reject)),
        });
        rejects.extend(ended.err().map(|reject| (String::new(), reject)));
        for (place, reject) in &rejects {
            append_part(&mut batch.inputs, origin, reject, part(place));
        }
    }

    fn read(
        &mut self,
        letter: &NotedLetter,
        take: &mut dyn FnMut(Result<&Reading<'_>, Reject>),
    ) -> Result<(), Reject> {
        self.read_placed(letter, &mut |_, found| take(found))
    }

    /// Finds what a letter holds: of one that was a part of a message, just that part.
    fn read_placed(
        &mut self,
        letter: &NotedLetter,
        take: &mut dyn FnMut(&str, Result<&Reading<'_>, Reject>),
    ) -> Result<(), Reject> {
        self.received_at
            .store(letter.at.as_millis(), Ordering::Relaxed);
        let senders = self.senders;
        let mut is_found = false;
        let mut item = |item: Item<'_>| {
            let place = item.place.to_string();
            if !letter.place.is_empty() && *letter.place != *cut(&place) {
                return;
            }
            is_found = true;
            match item.outcome {
                Outcome::Reading(reading) => match senders.may(&letter.source, reading.sensor) {
                    Ok(()) => take(&place, Ok(&reading)),
                    Err(reject) => take(&place, Err(reject)),
                },
                Outcome::Rejected(reject) => take(&place, Err(reject.at(item.place))),
                Outcome::Absent | Outcome::Noted(_) => {}
            }
        };
        let content_type = Some(&*letter.content_type).filter(|it| !it.is_empty());
        let kept = event_kept(&letter.event);
        let message = Message {
            topic: &letter.topic,
            payload: &letter.payload,
            content_type,
            event: &borrowed(&kept),
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
        match read {
            Ok(()) if !is_found && !letter.place.is_empty() => {
                let detail = format!(
                    "its mapping looks for nothing at {} any more, where it was refused",
                    letter.place
                );
                Err(Reject::new(Reason::NothingMapped, detail))
            }
            // What lies elsewhere in the message was told at the time.
            Err(_) if is_found && !letter.place.is_empty() => Ok(()),
            read => read,
        }
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
