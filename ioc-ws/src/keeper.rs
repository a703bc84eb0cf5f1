//! The one writer of the picture and the ring: it stands between the host and all the sessions.
//!
//! Arrives: released decisions and samples, on bounded queues; questions for the picture, as one
//! counter however many ask. Leaves: batches in the feed, frames of readings, pictures. Promise: it
//! waits for nobody but its own queues, so nothing that a client does delays the host. Ends when
//! the last [`Window`](crate::Window) is gone. Next: `session.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, never, select};
use ioc_core::CodecError;
use ioc_core::id::SensorId;
use tokio::sync::{broadcast, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::feed::{Batch, Entry, Feed, Published};
use crate::frame;
use crate::options::WindowOptions;
use crate::saved::Saved;
use crate::telemetry;
use crate::view::{Picture, Sample, View};

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
    /// Sensors whose newest value has not been told.
    untold: BTreeMap<SensorId, Arc<Sample>>,
    tell_at: Option<Instant>,
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
    releases: Sender<Vec<Published>>,
    samples: Sender<Vec<Sample>>,
    readings: broadcast::Sender<Utf8Bytes>,
    asked: Arc<AtomicU64>,
    ask: Sender<()>,
    answers: watch::Receiver<Answer>,
    errands: Sender<Errand>,
}

/// What the host asks for about snapshots; it waits for the answer.
#[derive(Debug)]
enum Errand {
    Save(Sender<Saved>),
    Restore(Saved, Sender<()>),
}

#[derive(Debug)]
struct Queues {
    releases: Receiver<Vec<Published>>,
    samples: Receiver<Vec<Sample>>,
    asks: Receiver<()>,
    errands: Receiver<Errand>,
}

/// A keeper, and the others' end of it.
pub(crate) fn new(options: WindowOptions) -> (Kept, Keeper) {
    let (releases, releases_out) = crossbeam_channel::bounded(options.release_batches_max);
    let (samples, samples_out) = crossbeam_channel::bounded(options.sample_batches_max);
    let (ask, asks_out) = crossbeam_channel::bounded(1);
    let (errands, errands_out) = crossbeam_channel::bounded(1);
    let queues = Queues {
        releases: releases_out,
        samples: samples_out,
        asks: asks_out,
        errands: errands_out,
    };
    let keeper = Keeper {
        queues,
        view: View::new(options.clone()),
        feed: Arc::new(Feed::new(options.ring_decisions_max)),
        untold: BTreeMap::new(),
        tell_at: None,
        readings: broadcast::Sender::new(READINGS_LAG_MAX),
        asked: Arc::default(),
        answers: watch::Sender::new(Answer::default()),
        options,
    };
    let kept = Kept {
        feed: Arc::clone(&keeper.feed),
        releases,
        samples,
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
    /// Hands over released decisions; waits while the queue is full.
    pub(crate) fn release(&self, published: Vec<Published>) {
        if !published.is_empty() && self.releases.send(published).is_err() {
            telemetry::keeper_is_gone();
        }
    }

    /// Hands over samples, or drops and counts them while the queue is full.
    pub(crate) fn sample(&self, samples: Vec<Sample>) {
        if let Err(TrySendError::Full(samples)) = self.samples.try_send(samples) {
            telemetry::samples_dropped(samples.len());
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
    /// The view with everything that was released before this call.
    pub(crate) fn save(&self) -> Saved {
        let (sender, saved) = crossbeam_channel::bounded(1);
        self.run_errand(Errand::Save(sender), &saved)
    }

    /// Goes on from what was saved. Before anything is released.
    pub(crate) fn restore(&self, saved: Saved) {
        let (sender, restored) = crossbeam_channel::bounded(1);
        self.run_errand(Errand::Restore(saved, sender), &restored);
    }

    fn run_errand<T>(&self, errand: Errand, answer: &Receiver<T>) -> T {
        const ALIVE: &str = "the keeper lives as long as we do";
        self.errands.send(errand).expect(ALIVE);
        answer.recv().expect(ALIVE)
    }
}

impl Keeper {
    fn run(mut self) {
        loop {
            let tell = self.tell_at.map_or_else(never, crossbeam_channel::at);
            let queues = &self.queues;
            select! {
                recv(queues.releases) -> published => match published {
                    Ok(published) => self.release(published),
                    Err(_) => return,
                },
                recv(queues.samples) -> samples => match samples {
                    Ok(samples) => self.sample(samples),
                    Err(_) => return,
                },
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

    /// Takes what waits, joined into as few batches as their bounds allow.
    fn release(&mut self, first: Vec<Published>) {
        let waiting = self.queues.releases.try_iter();
        let waiting: Vec<_> = waiting.take(self.options.release_batches_max).collect();
        let mut entries = Vec::new();
        let mut bytes = 0;
        for published in std::iter::once(first).chain(waiting).flatten() {
            bytes += published.json.len();
            entries.push(self.entry(published));
            if entries.len() >= Batch::DECISIONS_MAX || bytes >= Batch::BYTES_MAX {
                self.feed.push(Batch::new(std::mem::take(&mut entries)));
                bytes = 0;
            }
        }
        if !entries.is_empty() {
            self.feed.push(Batch::new(entries));
        }
    }

    fn entry(&mut self, published: Published) -> Entry {
        // What a restored view knows is for the ring alone; what it changed is not told any more.
        let known = self.view.knows(published.decision.seq);
        let control = known || self.view.apply(&published);
        telemetry::decision_published(published.decision.verdict.word());
        Entry {
            control,
            decision: published.decision,
            hash: published.hash,
            json: published.json,
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
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), CodecError> {
        self.resume(Saved::decode(saved)?);
        Ok(())
    }

    fn resume(&mut self, saved: Saved) {
        self.feed.restore(saved.head);
        self.view.restore(saved);
    }

    fn run_errand(&mut self, errand: Errand) {
        match errand {
            Errand::Save(saved) => {
                self.take_what_waits();
                // Whoever asked may have gone.
                let _ = saved.send(self.view.save());
            }
            Errand::Restore(saved, restored) => {
                self.resume(saved);
                let _ = restored.send(());
            }
        }
    }

    fn take_what_waits(&mut self) {
        if let Ok(first) = self.queues.releases.try_recv() {
            self.release(first);
        }
        let waiting = self.queues.samples.try_iter();
        let waiting = waiting.take(self.options.sample_batches_max);
        for samples in waiting.collect::<Vec<_>>() {
            self.sample(samples);
        }
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
