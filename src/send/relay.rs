//! From lines to connections: reads ahead on a thread of its own, waits until a line is due, and
//! gives it to the connection of its sensor.
//!
//! Promise: a sensor's lines go to one connection, in their order. A full connection makes the
//! others wait: at most [`AHEAD_BATCHES_MAX`] batches are read ahead.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::{thread, vec};

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::lines::{Flaw, Line, Lines, TOPIC_PREFIX};
use super::pace::{Pace, Pacer};
use crate::publisher::Message;

/// Lines that are handed on together, at most.
const BATCH_LINES_MAX: usize = 256;
/// Batches that are read before they are wanted.
const AHEAD_BATCHES_MAX: usize = 16;

type Batch = Vec<Result<Line, Flaw>>;

/// Why reading ended before the end of the file, if it did.
#[derive(Debug, Clone, Default)]
pub(super) struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    /// The failure, once.
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: io::Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// Reads on a thread, for files and pipes block; the thread ends with the file, or when nobody
/// wants more. Not joined: a pipe may never say anything again.
pub(super) fn read_ahead(mut lines: Lines) -> (mpsc::Receiver<Batch>, Failure) {
    let (sender, receiver) = mpsc::channel(AHEAD_BATCHES_MAX);
    let failure = Failure::default();
    let told = failure.clone();
    thread::spawn(move || {
        loop {
            match lines.next_batch(BATCH_LINES_MAX) {
                Ok(batch) if batch.is_empty() => return,
                Ok(batch) => {
                    if sender.blocking_send(batch).is_err() {
                        return;
                    }
                }
                Err(error) => return told.set(error),
            }
        }
    });
    (receiver, failure)
}

/// What was relayed so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Relayed(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    lines: AtomicU64,
    flawed: AtomicU64,
    bytes: AtomicU64,
}

impl Relayed {
    pub(super) fn lines(&self) -> u64 {
        self.0.lines.load(Ordering::Relaxed)
    }

    pub(super) fn flawed(&self) -> u64 {
        self.0.flawed.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }
}

/// Shares lines out to connections when they are due.
pub(super) struct Relay {
    batches: mpsc::Receiver<Batch>,
    /// What is left of the batch that was taken last.
    batch: vec::IntoIter<Result<Line, Flaw>>,
    connections: Vec<mpsc::Sender<Vec<Message>>>,
    waiting: Vec<Vec<Message>>,
    pacer: Pacer,
    relayed: Relayed,
}

impl Relay {
    pub(super) fn new(pace: Pace, batches: mpsc::Receiver<Batch>) -> Self {
        Self {
            batches,
            batch: Vec::new().into_iter(),
            connections: Vec::new(),
            waiting: Vec::new(),
            pacer: Pacer::new(pace),
            relayed: Relayed::default(),
        }
    }

    /// Adds a connection; all of them before anything is relayed.
    pub(super) fn connect(&mut self, connection: mpsc::Sender<Vec<Message>>) {
        self.connections.push(connection);
        self.waiting.push(Vec::new());
    }

    pub(super) fn counts(&self) -> Relayed {
        self.relayed.clone()
    }

    /// Relays everything, and then lets the connections end. Stops early when one has failed.
    pub(super) async fn run(&mut self, mut tell: impl FnMut(&Flaw)) {
        loop {
            while let Some(line) = self.next(&mut tell) {
                if self.relay(line).await.is_err() {
                    return;
                }
            }
            if self.hand_over().await.is_err() {
                return;
            }
            if !self.next_batch().await {
                return self.let_end();
            }
        }
    }

    /// Lets the connections end: they get nothing more.
    pub(super) fn let_end(&mut self) {
        self.connections.clear();
        self.waiting.clear();
    }

    /// Counts what there is still, and nobody gets.
    ///
    /// # Cancel safety
    /// Cancelled, it has counted a part.
    pub(super) async fn count_the_rest(&mut self, mut tell: impl FnMut(&Flaw)) {
        loop {
            while self.next(&mut tell).is_some() {}
            if !self.next_batch().await {
                return;
            }
        }
    }

    /// Waits for the next batch; whether there is one.
    async fn next_batch(&mut self) -> bool {
        let batch = self.batches.recv().await;
        let there_is = batch.is_some();
        self.batch = batch.unwrap_or_default().into_iter();
        there_is
    }

    /// The next line of the batch that can be sent; it counts, and so do the flawed ones before it.
    fn next(&mut self, tell: &mut impl FnMut(&Flaw)) -> Option<Line> {
        for line in self.batch.by_ref() {
            match line {
                Ok(line) => {
                    self.relayed.0.lines.fetch_add(1, Ordering::Relaxed);
                    let bytes = line.payload.len() as u64;
                    self.relayed.0.bytes.fetch_add(bytes, Ordering::Relaxed);
                    return Some(line);
                }
                Err(flaw) => {
                    self.relayed.0.flawed.fetch_add(1, Ordering::Relaxed);
                    tell(&flaw);
                }
            }
        }
        None
    }

    async fn relay(&mut self, line: Line) -> Result<(), ConnectionGone> {
        let now = Instant::now();
        let due = self.pacer.due(line.recorded_at, now);
        if let Some(due) = due.filter(|due| *due > now) {
            self.hand_over().await?;
            sleep_until(due).await;
        }
        let connection = connection_of(&line.sensor, self.connections.len());
        self.waiting[connection].push(Message {
            topic: format!("{TOPIC_PREFIX}{}", line.sensor),
            payload: line.payload,
            due,
        });
        Ok(())
    }

    async fn hand_over(&mut self) -> Result<(), ConnectionGone> {
        for (connection, waiting) in self.connections.iter().zip(&mut self.waiting) {
            if !waiting.is_empty() {
                let batch = mem::take(waiting);
                connection.send(batch).await.map_err(|_| ConnectionGone)?;
            }
        }
        Ok(())
    }
}

/// A connection has failed; its own error says why.
#[derive(Debug)]
struct ConnectionGone;

fn connection_of(sensor: &str, connections: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    sensor.hash(&mut hasher);
    (hasher.finish() % connections as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sensor: &str, ms: i64) -> Result<Line, Flaw> {
        Ok(Line {
            sensor: sensor.into(),
            recorded_at: Some(ioc_core::time::Timestamp::from_millis(ms)),
            payload: format!("{sensor} {ms}").into(),
        })
    }

    #[tokio::test]
    async fn a_sensors_lines_stay_on_one_connection_in_order_and_wait_until_they_are_due() {
        let (sender, batches) = mpsc::channel(4);
        let flaw = Err(Flaw {
            line: 3,
            reason: "is odd".into(),
        });
        let mut batch = vec![line("a", 0), line("b", 0), flaw];
        batch.extend([line("a", 10_000), line("b", 20_000), line("a", 20_000)]);
        sender.send(batch).await.unwrap();
        drop(sender);
        let (connections, mut sources): (Vec<_>, Vec<_>) =
            (0..3).map(|_| mpsc::channel(16)).unzip();
        let mut relay = Relay::new(Pace::Recorded(1000.0), batches);
        connections
            .into_iter()
            .for_each(|connection| relay.connect(connection));
        let (relayed, began) = (relay.counts(), Instant::now());
        let mut flaws = 0;
        relay.run(|_| flaws += 1).await;
        assert!(began.elapsed().as_millis() >= 20);
        assert_eq!((flaws, relayed.lines(), relayed.flawed()), (1, 5, 1));
        let mut payloads: Vec<Vec<String>> = Vec::new();
        for source in &mut sources {
            let mut own = Vec::new();
            while let Some(batch) = source.recv().await {
                own.extend(
                    batch
                        .iter()
                        .map(|m| String::from_utf8_lossy(&m.payload).into_owned()),
                );
            }
            payloads.push(own);
        }
        for (sensor, times) in [("a", [0, 10_000, 20_000].as_slice()), ("b", &[0, 20_000])] {
            let expected: Vec<String> = times.iter().map(|ms| format!("{sensor} {ms}")).collect();
            let own = payloads
                .iter()
                .find(|own| own.contains(&expected[0]))
                .unwrap();
            let own: Vec<_> = own.iter().filter(|text| text.starts_with(sensor)).collect();
            assert_eq!(own, expected.iter().collect::<Vec<_>>());
        }
    }

    /// Lines without end.
    struct Endless(usize);

    impl io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            const LINE: &[u8] = b"{\"sensor\":\"a\"}\n";
            for byte in &mut *buffer {
                *byte = LINE[self.0 % LINE.len()];
                self.0 += 1;
            }
            Ok(buffer.len())
        }
    }

    #[tokio::test]
    async fn p5_no_more_is_read_ahead_than_the_bound() {
        let position = super::super::lines::Position::default();
        let lines = Lines::new(Endless(0), position.clone()).unwrap();
        let (mut batches, _failure) = read_ahead(lines);
        let until = Instant::now() + std::time::Duration::from_secs(60);
        assert_eq!(batches.max_capacity(), AHEAD_BATCHES_MAX);
        while batches.len() < AHEAD_BATCHES_MAX {
            assert!(Instant::now() < until, "nothing is read ahead");
            tokio::task::yield_now().await;
        }
        let lines = (AHEAD_BATCHES_MAX + 2) * BATCH_LINES_MAX;
        let buffered = 256 << 10;
        assert!(position.get() <= (lines * 16 + 2 * buffered) as u64);
        assert_eq!(batches.recv().await.unwrap().len(), BATCH_LINES_MAX);
    }

    #[tokio::test]
    async fn a_failed_connection_ends_the_relay() {
        let (sender, batches) = mpsc::channel(4);
        sender.send(vec![line("a", 0)]).await.unwrap();
        let (connection, source) = mpsc::channel(1);
        drop(source);
        let mut relay = Relay::new(Pace::Fast, batches);
        relay.connect(connection);
        relay.run(|_| {}).await;
        // What nobody gets is counted all the same.
        assert_eq!(relay.counts().lines(), 1);
        sender
            .send((1..=3).map(|ms| line("a", ms)).collect())
            .await
            .unwrap();
        drop(sender);
        relay.count_the_rest(|_| {}).await;
        assert_eq!(relay.counts().lines(), 4);
    }

    #[tokio::test]
    async fn p5_a_full_connection_makes_the_relay_wait() {
        let (sender, batches) = mpsc::channel(8);
        for ms in 0..5 {
            sender.try_send(vec![line("a", ms)]).unwrap();
        }
        drop(sender);
        let (connection, mut source) = mpsc::channel(1);
        let mut relay = Relay::new(Pace::Fast, batches);
        relay.connect(connection);
        let relayed = relay.counts();
        let running = tokio::spawn(async move { relay.run(|_| {}).await });
        for taken in 1..=5 {
            while source.is_empty() {
                tokio::task::yield_now().await;
            }
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            assert!(relayed.lines() <= taken + 1, "one waits, one is held");
            assert_eq!(source.recv().await.unwrap().len(), 1);
        }
        running.await.unwrap();
    }
}
