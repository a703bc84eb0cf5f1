//! The one writer of the picture: it stands between the host and all the sessions.
//!
//! Arrives: released decisions and samples, on bounded queues; questions for the picture, as one
//! counter however many ask. Leaves: frames of readings, pictures. Batches go into the feed on the
//! way, by the host's own thread: a frame waits for no picture. Promise: the keeper waits for
//! nobody but its own queues, so nothing that a client does delays the host; who has seen a
//! decision in a frame finds it in the next picture that he asks for. Ends when the last [`Window`](crate::Window) is gone. Next: `session.rs`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, never, select};
use ioc_core::CodecError;
use ioc_core::id::SensorId;
use ioc_core::load::Load;
use ioc_core::record::Seq;
use ioc_core::time::Timestamp;
use tokio::sync::{broadcast, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::control::Controls;
use crate::feed::{Entry, Feed, Published};
use crate::frame;
use crate::latest::{Last, Latest, Recollection};
use crate::options::WindowOptions;
use crate::saved::Saved;
use crate::statements::{Statement, Statements};
use crate::telemetry;
use crate::view::{Picture, Sample, View};

/// What sensors say is taken at most so often: at ten thousand batches a second, a thread that woke
/// for each would take a core's time from those that somebody waits for.
const PATIENCE: Duration = Duration::from_millis(10);

/// How many batches of what readings say in words may wait; then they are dropped and counted.
const HEARD_BATCHES_MAX: usize = 16;
/// How many sensors' values of before the start are taken at once.
const RECALLED_AT_ONCE: usize = 1_000;

/// How many frames of readings a session may lag before it misses some.
const READINGS_LAG_MAX: usize = 4;

/// Keeps the picture and the ring of a [`Window`](crate::Window): on a thread of its own, or
/// stepped by whoever has it instead.
#[derive(Debug)]
pub struct Keeper {
    queues: Queues,
    options: WindowOptions,
    view: View,
    feed: Arc<Feed>,
    latest: Latest,
    statements: Statements,
    controls: Arc<Mutex<Controls>>,
    /// Sensors whose newest value has not been told.
    untold: BTreeMap<SensorId, Arc<Sample>>,
    tell_at: Option<Instant>,
    /// When it is taken again what sensors say. Until then it wakes nobody.
    take_at: Option<Instant>,
    readings: broadcast::Sender<Utf8Bytes>,
    asked: Arc<AtomicU64>,
    answers: watch::Sender<Answer>,
}

/// The picture that answers all questions up to a number.
#[derive(Debug, Clone, Default)]
struct Answer {
    upto: u64,
    picture: Arc<Picture>,
}

/// The others' end.
#[derive(Debug)]
pub(crate) struct Kept {
    pub feed: Arc<Feed>,
    pub latest: Latest,
    pub statements: Statements,
    /// Held by whoever releases, and by nobody else after the start.
    controls: Arc<Mutex<Controls>>,
    /// Written by whoever releases; read now and then.
    load: Mutex<Load>,
    releases: Sender<Vec<Told>>,
    samples: Sender<Vec<Sample>>,
    journaled: Sender<Journaled>,
    heard: Sender<Vec<Statement>>,
    readings: broadcast::Sender<Utf8Bytes>,
    asked: Arc<AtomicU64>,
    ask: Sender<()>,
    answers: watch::Receiver<Answer>,
    errands: Sender<Errand>,
}

/// What the host asks for about a start and about snapshots.
#[derive(Debug)]
enum Errand {
    Save(Sender<Saved>),
    Restore(Box<Saved>, Sender<()>),
    Recall(Vec<(SensorId, Last)>),
}

/// Framed records, the first of which has this number, and how many of them count for nothing.
pub(crate) type Journaled = (Seq, Arc<Vec<u8>>, usize);

/// A decision that is in the feed, or will be at once.
#[derive(Debug)]
struct Told {
    published: Published,
    control: bool,
}

#[derive(Debug)]
struct Queues {
    releases: Receiver<Vec<Told>>,
    samples: Receiver<Vec<Sample>>,
    journaled: Receiver<Journaled>,
    heard: Receiver<Vec<Statement>>,
    asks: Receiver<()>,
    errands: Receiver<Errand>,
}

/// A keeper, and the others' end of it.
pub(crate) fn new(options: WindowOptions) -> (Kept, Keeper) {
    let (releases, releases_out) = crossbeam_channel::bounded(options.release_batches_max);
    let (samples, samples_out) = crossbeam_channel::bounded(options.sample_batches_max);
    let (journaled, journaled_out) = crossbeam_channel::bounded(options.sample_batches_max);
    let (heard, heard_out) = crossbeam_channel::bounded(HEARD_BATCHES_MAX);
    let (ask, asks_out) = crossbeam_channel::bounded(1);
    let (errands, errands_out) = crossbeam_channel::bounded(1);
    let queues = Queues {
        releases: releases_out,
        samples: samples_out,
        journaled: journaled_out,
        heard: heard_out,
        asks: asks_out,
        errands: errands_out,
    };
    let keeper = Keeper {
        queues,
        view: View::new(options.clone()),
        feed: Arc::new(Feed::new(options.ring_decisions_max)),
        latest: Latest::default(),
        statements: Statements::default(),
        controls: Arc::default(),
        untold: BTreeMap::new(),
        tell_at: None,
        take_at: None,
        readings: broadcast::Sender::new(READINGS_LAG_MAX),
        asked: Arc::default(),
        answers: watch::Sender::new(Answer::default()),
        options,
    };
    let kept = Kept {
        feed: Arc::clone(&keeper.feed),
        latest: keeper.latest.clone(),
        statements: keeper.statements.clone(),
        controls: Arc::clone(&keeper.controls),
        load: Mutex::default(),
        releases,
        samples,
        journaled,
        heard,
        readings: keeper.readings.clone(),
        asked: Arc::clone(&keeper.asked),
        ask,
        answers: keeper.answers.subscribe(),
        errands,
    };
    (kept, keeper)
}

/// Starts a keeper on a thread, which ends with the others' end.
pub(crate) fn start(options: WindowOptions) -> Kept {
    let (kept, keeper) = new(options);
    std::thread::Builder::new()
        .name("ioc-window".into())
        .spawn(move || keeper.run())
        .expect("the system can start a thread");
    kept
}

impl Kept {
    /// Hands over released decisions; waits while the queue is full. The keeper has them before
    /// the sessions do.
    pub(crate) fn release(&self, published: Vec<Published>) {
        if published.is_empty() {
            return;
        }
        let told = self.told(published);
        let entries: Vec<_> = told.iter().map(Told::entry).collect();
        if self.releases.send(told).is_err() {
            telemetry::keeper_is_gone();
        }
        self.feed.push_all(entries);
    }

    fn told(&self, published: Vec<Published>) -> Vec<Told> {
        let mut controls = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        for published in &published {
            load.take(&published.decision);
        }
        drop(load);
        let tell = |published: Published| Told {
            control: controls.is_control(&published.decision),
            published,
        };
        published.into_iter().map(tell).collect()
    }

    /// How often an operator was called in the ten minutes until now.
    pub(crate) fn calls_lately(&self, now: Timestamp) -> usize {
        let load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        load.lately(now)
    }

    /// Hands over samples, or drops and counts them while the queue is full.
    pub(crate) fn sample(&self, samples: Vec<Sample>) {
        if let Err(TrySendError::Full(samples)) = self.samples.try_send(samples) {
            telemetry::samples_dropped(samples.len());
        }
    }

    /// Hands over what is journaled, or drops and counts it while the queue is full.
    pub(crate) fn journaled(&self, journaled: Journaled) {
        if let Err(TrySendError::Full(_)) = self.journaled.try_send(journaled) {
            telemetry::latest_dropped("queue_full", 1);
        }
    }

    /// Hands over what readings said in words, or drops and counts it while the queue is full.
    /// Whoever releases what follows from these readings does it after this.
    pub(crate) fn heard(&self, statements: Vec<Statement>) {
        if let Err(TrySendError::Full(statements)) = self.heard.try_send(statements) {
            telemetry::statements_dropped(statements.len());
        }
    }

    /// Hands over what readings said in words before the start: what the ring tells to be evidence
    /// finds its place.
    pub(crate) fn recall(&self, statements: Vec<Statement>) {
        self.statements.recall(statements);
        let (_, batches) = self.feed.newest(usize::MAX);
        let entries = batches.iter().flat_map(|batch| batch.after(0));
        self.statements
            .follow(entries.map(|entry| &*entry.decision));
    }

    /// Hands over what sensors said last before the start, a part at a time.
    pub(crate) fn recall_values(&self, recollection: Recollection) {
        let mut said = recollection.said();
        loop {
            let part: Vec<_> = said.by_ref().take(RECALLED_AT_ONCE).collect();
            if part.is_empty() || self.errands.send(Errand::Recall(part)).is_err() {
                return;
            }
        }
    }

    /// The frames of readings from now on.
    pub(crate) fn readings(&self) -> broadcast::Receiver<Utf8Bytes> {
        self.readings.subscribe()
    }

    /// The picture with everything that was released before this call.
    pub(crate) async fn picture(&self) -> Arc<Picture> {
        let mut answers = self.answers.clone();
        let question = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        // A full queue holds a question that is not yet looked at: the answer will cover this one.
        let _ = self.ask.try_send(());
        let answer = answers.wait_for(|answer| answer.upto >= question).await;
        answer
            .expect("the keeper lives as long as we do")
            .picture
            .clone()
    }
}

impl Kept {
    /// How many have asked for the picture.
    #[cfg(test)]
    pub(crate) fn questions(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    /// The view with everything that was released before this call.
    pub(crate) fn save(&self) -> Saved {
        let (sender, saved) = crossbeam_channel::bounded(1);
        self.run_errand(Errand::Save(sender), &saved)
    }

    /// Goes on from what was saved. Before anything is released.
    pub(crate) fn restore(&self, saved: Saved) {
        let (sender, restored) = crossbeam_channel::bounded(1);
        self.run_errand(Errand::Restore(Box::new(saved), sender), &restored);
    }

    fn run_errand<T>(&self, errand: Errand, answer: &Receiver<T>) -> T {
        const ALIVE: &str = "the keeper lives as long as we do";
        self.errands.send(errand).expect(ALIVE);
        answer.recv().expect(ALIVE)
    }
}

impl Told {
    fn entry(&self) -> Entry {
        Entry {
            control: self.control,
            decision: Arc::clone(&self.published.decision),
            hash: self.published.hash,
            json: self.published.json.clone(),
        }
    }
}

impl Keeper {
    fn run(mut self) {
        loop {
            let tell = self.tell_at.map_or_else(never, crossbeam_channel::at);
            let take = self.take_at.map_or_else(never, crossbeam_channel::at);
            let (queues, patient) = (&self.queues, self.take_at.is_some());
            let (no_samples, no_journaled) = (never(), never());
            let (samples, journaled) = match patient {
                true => (&no_samples, &no_journaled),
                false => (&queues.samples, &queues.journaled),
            };
            select! {
                recv(queues.releases) -> published => match published {
                    Ok(published) => self.release(published),
                    Err(_) => return,
                },
                recv(samples) -> samples => match samples {
                    Ok(samples) => {
                        self.sample(samples);
                        self.take_readings();
                    }
                    Err(_) => return,
                },
                recv(journaled) -> journaled => match journaled {
                    Ok(journaled) => {
                        self.note(&journaled);
                        self.take_readings();
                    }
                    Err(_) => return,
                },
                recv(queues.heard) -> heard => match heard {
                    Ok(heard) => self.statements.hear(heard),
                    Err(_) => return,
                },
                recv(take) -> _ => self.take_at = None,
                recv(queues.asks) -> ask => match ask {
                    Ok(()) => self.answer(),
                    Err(_) => return,
                },
                recv(queues.errands) -> errand => match errand {
                    Ok(errand) => self.run_errand(errand),
                    Err(_) => return,
                },
                recv(tell) -> _ => self.tell_readings(),
            }
        }
    }

    /// Does all that waits, and waits for nothing. What nobody asks for is not told: frames of
    /// readings need the thread.
    pub fn step(&mut self) {
        self.take_what_waits();
        if self.queues.asks.try_recv().is_ok() {
            self.answer();
        }
    }

    fn release(&mut self, told: Vec<Told>) {
        self.hear_what_waits();
        let decisions = told.iter().map(|told| &*told.published.decision);
        self.statements.follow(decisions);
        for Told { published, control } in told {
            // What a restored view knows is for the ring alone.
            if !self.view.knows(published.decision.seq) {
                self.view.apply(&published, control);
            }
            telemetry::decision_published(published.decision.verdict.word());
        }
    }

    fn sample(&mut self, samples: Vec<Sample>) {
        let mut dropped = 0;
        for sample in samples {
            let sample = Arc::new(sample);
            if self.view.sample(Arc::clone(&sample)) {
                self.untold.insert(sample.sensor.clone(), sample);
            } else {
                dropped += 1;
            }
        }
        if dropped > 0 {
            telemetry::samples_dropped(dropped);
        }
        self.plan_telling();
    }

    /// Knows what sensors said before the start, but of those that have spoken since.
    fn recall(&mut self, said: Vec<(SensorId, Last)>) {
        let beyond = self.latest.recall(&said, self.options.latest_sensors_max);
        telemetry::latest_dropped("sensors_full", beyond);
        let unheard = said
            .into_iter()
            .filter(|(sensor, _)| !self.view.has_sample(sensor));
        let samples = unheard.map(|(sensor, last)| last.sample(sensor)).collect();
        self.sample(samples);
    }

    /// Takes all that sensors have said, and looks again later.
    fn take_readings(&mut self) {
        self.take_at = Some(Instant::now() + PATIENCE);
        let waiting = self.queues.journaled.try_iter();
        let waiting = waiting.take(self.options.sample_batches_max);
        for journaled in waiting.collect::<Vec<_>>() {
            self.note(&journaled);
        }
        let waiting = self.queues.samples.try_iter();
        let waiting = waiting.take(self.options.sample_batches_max);
        for samples in waiting.collect::<Vec<_>>() {
            self.sample(samples);
        }
    }

    /// Notes what sensors said last.
    fn note(&self, (first, framed, left_out): &Journaled) {
        let noted = (*first, framed.as_slice(), *left_out);
        let beyond = self.latest.take(noted, self.options.latest_sensors_max);
        telemetry::latest_dropped("sensors_full", beyond);
    }

    /// What was said before a decision is known when that comes.
    fn hear_what_waits(&self) {
        let waiting = self.queues.heard.try_iter().take(HEARD_BATCHES_MAX);
        waiting.for_each(|heard| self.statements.hear(heard));
    }

    fn plan_telling(&mut self) {
        if !self.untold.is_empty() && self.tell_at.is_none() {
            self.tell_at = Some(Instant::now() + self.options.readings_every);
        }
    }

    fn tell_readings(&mut self) {
        self.tell_at = None;
        let mut told = Vec::new();
        while let Some((_, sample)) = self.untold.pop_first() {
            told.push(sample);
            if told.len() == self.options.readings_frame_max {
                break;
            }
        }
        // Without sessions there is nobody to tell, which is no fault.
        let _ = self
            .readings
            .send(frame::readings(self.options.now(), &told));
        self.plan_telling();
    }

    /// What [`Window::save`](crate::Window::save) gives, of a keeper without a thread.
    pub fn save(&mut self) -> Vec<u8> {
        self.take_what_waits();
        self.view.save().encode()
    }

    /// Does what [`Window::restore`](crate::Window::restore) does, to a keeper without a thread.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub fn restore(&mut self, format: u16, saved: &[u8]) -> Result<(), CodecError> {
        self.resume(Saved::decode(format, saved)?);
        Ok(())
    }

    fn resume(&mut self, saved: Saved) {
        self.feed.restore(saved.head);
        let mut controls = self.controls.lock().unwrap_or_else(PoisonError::into_inner);
        controls.restore(&saved);
        drop(controls);
        self.view.restore(saved);
    }

    fn run_errand(&mut self, errand: Errand) {
        match errand {
            Errand::Save(saved) => {
                self.take_what_waits();
                // Whoever asked may have gone.
                let _ = saved.send(self.view.save());
            }
            Errand::Recall(said) => self.recall(said),
            Errand::Restore(saved, restored) => {
                self.resume(*saved);
                let _ = restored.send(());
            }
        }
    }

    fn take_what_waits(&mut self) {
        self.hear_what_waits();
        let waiting = self.queues.releases.try_iter();
        let waiting = waiting.take(self.options.release_batches_max);
        for told in waiting.collect::<Vec<_>>() {
            self.release(told);
        }
        self.take_readings();
    }

    fn answer(&mut self) {
        let upto = self.asked.load(Ordering::SeqCst);
        self.take_what_waits();
        let picture = self.view.picture();
        self.answers.send_replace(Answer { upto, picture });
    }
}

#[cfg(test)]
mod tests;
