//! One operator: hello, welcome, snapshot or the decisions since, then live.
//!
//! Arrives: an upgraded connection. Leaves: frames, as fast as the client reads them. Promise:
//! every decision after the point where the client stood reaches it once, in order; or it is told
//! what was folded, or that a new snapshot follows (P4). A slow client costs a number and at most
//! one round of shared bytes; nobody waits for it (P5). Next: `listen.rs`, its other half.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use ioc_core::decision::DecisionSeq;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, Interval, MissedTickBehavior, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::auth::Desk;
use crate::feed::{Batch, SnapshotReason};
use crate::filter::Filter;
use crate::fold::fold;
use crate::frame::{self, CloseCode, Hello, Welcome};
use crate::listen::{Listener, hear_hello};
use crate::telemetry;
use crate::view::Picture;
use crate::window::Shared;

/// How many answers may wait for the client to read; then its next command waits.
const ANSWERS_MAX: usize = 32;
/// Every so many beats the client must answer a ping.
const PING_BEATS: u32 = 10;
/// How long the client may take to answer a close.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// The longest reason that fits a close frame (RFC 6455 section 5.5).
const CLOSE_REASON_BYTES_MAX: usize = 123;

/// How a session ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client went, or the connection broke.
    Gone,
    /// We close, and say why.
    Close(CloseCode, String),
}

/// Serves one client until either side has had enough.
pub(crate) async fn run<S>(shared: &Shared, socket: WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _gauge = telemetry::session_began();
    let (mut sink, mut stream) = socket.split();
    let ending = converse(shared, &mut sink, &mut stream).await;
    if let Ending::Close(code, reason) = ending {
        telemetry::session_closed(code, &reason);
        close(&mut sink, &mut stream, code, &reason).await;
    }
}

type Sink<S> = SplitSink<WebSocketStream<S>, Message>;
type Stream<S> = SplitStream<WebSocketStream<S>>;

async fn converse<S>(shared: &Shared, sink: &mut Sink<S>, stream: &mut Stream<S>) -> Ending
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut closing = shared.closing();
    // In a fixed order, here and below: the same events give the same session.
    let hello = tokio::select! {
        biased;
        hello = hear_hello(stream, shared.options.hello_within) => hello,
        () = closing.begun() => Err(going_away()),
    };
    let hello = match hello {
        Ok(hello) => hello,
        Err(ending) => return ending,
    };
    let filter = match Filter::parse(&hello.filter) {
        Ok(filter) => filter,
        Err(sentence) => return Ending::Close(CloseCode::BadMessage, sentence),
    };
    let desk = shared.options.token.desk(hello.token.as_deref());
    let (answers, answers_out) = mpsc::channel(ANSWERS_MAX);
    let listener = Listener::new(shared, desk, answers);
    let speaker = Speaker::new(shared, sink, filter, hello.readings);
    tokio::select! {
        biased;
        ending = listener.run(stream) => ending,
        ending = speaker.run(&hello, desk, answers_out) => ending,
        () = closing.begun() => going_away(),
    }
}

fn going_away() -> Ending {
    let reason = "the server is stopping; connect again soon".into();
    Ending::Close(CloseCode::GoingAway, reason)
}

/// Says why, and gives the client a moment to hear it.
async fn close<S>(sink: &mut Sink<S>, stream: &mut Stream<S>, code: CloseCode, reason: &str)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let end = reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX);
    let message = Message::Close(Some(CloseFrame {
        code: (code as u16).into(),
        reason: reason[..end].into(),
    }));
    let goodbye = async {
        if sink.send(message).await.is_ok() {
            while let Some(Ok(_)) = stream.next().await {}
        }
    };
    // Whoever does not answer in time is dropped all the same.
    let _ = timeout(CLOSE_WITHIN, goodbye).await;
}

/// The half that writes: the only one that knows where the client stands.
struct Speaker<'a, S> {
    shared: &'a Shared,
    sink: &'a mut Sink<S>,
    filter: Filter,
    /// The frames of readings, if the client wants them.
    readings: Option<broadcast::Receiver<Utf8Bytes>>,
    /// The last decision that the client was told, or that a frame covered.
    told: DecisionSeq,
    /// Whether more arrived during the last round than a client that keeps up would leave.
    slow: bool,
}

/// Whether there was something to write.
#[derive(PartialEq)]
enum Round {
    Wrote,
    Idle,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Speaker<'a, S> {
    fn new(shared: &'a Shared, sink: &'a mut Sink<S>, filter: Filter, readings: bool) -> Self {
        Self {
            shared,
            sink,
            filter,
            readings: readings.then(|| shared.kept.readings()),
            told: 0,
            slow: false,
        }
    }

    async fn run(
        mut self,
        hello: &Hello,
        desk: Desk,
        answers: mpsc::Receiver<Utf8Bytes>,
    ) -> Ending {
        match self.welcome(hello, desk).await {
            Ok(()) => self.live(answers).await,
            Err(ending) => ending,
        }
    }

    async fn welcome(&mut self, hello: &Hello, desk: Desk) -> Result<(), Ending> {
        let options = &self.shared.options;
        let feed = &self.shared.kept.feed;
        // What the host handed over before this session is in the ring once the picture is there:
        // a console that knows the last decision before a restart is not "ahead".
        let picture = self.shared.kept.picture().await;
        let start = match &hello.resume {
            None => Err(SnapshotReason::First),
            Some(resume) => feed.resume(&options.epoch, resume),
        };
        // Who is shown the picture stands where the picture does, though the ring may know more by
        // now. Others stand in the ring, and the picture may know what is about to be in it.
        let head = match (&start, feed.head()) {
            (Ok(_), ring) if ring.seq > picture.head.seq => ring,
            _ => picture.head,
        };
        let welcome = Welcome {
            epoch: &options.epoch,
            head,
            now: options.now(),
            desk,
            snapshot: start.err(),
        };
        self.put(welcome.to_text()).await?;
        match start {
            Ok(start) => self.told = start.seq,
            Err(reason) => self.show(&picture, reason).await?,
        }
        self.flush().await
    }

    async fn live(mut self, mut answers: mpsc::Receiver<Utf8Bytes>) -> Ending {
        let mut head = self.shared.kept.feed.watch();
        let mut beats = beats(self.shared.options.beat_every);
        let mut beat = 0;
        loop {
            let wrote = match self.turn(&mut answers).await {
                Ok(wrote) => wrote,
                Err(ending) => return ending,
            };
            if wrote == Round::Wrote {
                continue;
            }
            // Beats first: no flood of decisions may keep a ping from a client that only listens.
            let done = tokio::select! {
                biased;
                _ = beats.tick() => {
                    beat += 1;
                    self.beat(beat).await
                }
                answer = answers.recv() => self.say(answer).await,
                _ = head.changed() => Ok(()),
                readings = next_readings(&mut self.readings) => self.say(Some(readings)).await,
            };
            if let Err(ending) = done {
                return ending;
            }
        }
    }

    /// Writes the answers that wait, then one round of decisions, in one flush.
    async fn turn(&mut self, answers: &mut mpsc::Receiver<Utf8Bytes>) -> Result<Round, Ending> {
        let mut wrote = Round::Idle;
        while let Ok(answer) = answers.try_recv() {
            self.put(answer).await?;
            wrote = Round::Wrote;
        }
        if self.round().await? == Round::Wrote {
            wrote = Round::Wrote;
        }
        if wrote == Round::Wrote {
            self.flush().await?;
        }
        Ok(wrote)
    }

    /// Writes the decisions that the client lags behind, or as many as one round takes.
    async fn round(&mut self) -> Result<Round, Ending> {
        let feed = Arc::clone(&self.shared.kept.feed);
        let newest = feed.head().seq;
        let bytes_max = match self.slow {
            true => usize::MAX,
            false => self.shared.options.round_bytes_max,
        };
        let Some(batches) = feed.since(self.told, bytes_max) else {
            self.start_again().await?;
            return Ok(Round::Wrote);
        };
        let Some(last) = batches.last() else {
            return Ok(Round::Idle);
        };
        let upto = last.head().seq;
        match self.slow {
            true => self.tell_folded(batches).await?,
            false => self.tell(&batches).await?,
        }
        self.told = self.told.max(upto);
        self.flush().await?;
        let arrived = feed.head().seq.saturating_sub(newest);
        self.slow = arrived > self.shared.options.fold_after_decisions;
        Ok(Round::Wrote)
    }

    async fn tell(&mut self, batches: &[Arc<Batch>]) -> Result<(), Ending> {
        if !self.filter.is_open() {
            let text = self.joined(batches);
            return self.put(text).await;
        }
        for batch in batches {
            let text = if batch.first() == self.told + 1 {
                batch.frame().clone()
            } else {
                frame::frame(self.told + 1, batch.head(), batch.after(self.told).iter())
            };
            self.told = batch.head().seq;
            self.put(text).await?;
        }
        Ok(())
    }

    /// What the filter shows of the batches, in one frame that covers all their numbers.
    fn joined(&self, batches: &[Arc<Batch>]) -> Utf8Bytes {
        let entries = batches.iter().flat_map(|batch| batch.after(self.told));
        let shown = entries.filter(|entry| self.filter.shows(&entry.decision));
        let to = batches[batches.len() - 1].head();
        frame::frame(self.told + 1, to, shown)
    }

    /// Folds the batches before anything is awaited, so that a slow client keeps none alive.
    async fn tell_folded(&mut self, batches: Vec<Arc<Batch>>) -> Result<(), Ending> {
        let entries = batches.iter().flat_map(|batch| batch.after(self.told));
        let folded = fold(entries.filter(|entry| self.filter.shows(&entry.decision)));
        let bytes: usize = folded.kept.iter().map(|entry| entry.json.len()).sum();
        if bytes > self.shared.options.round_bytes_max {
            drop(batches);
            return self.start_again().await;
        }
        let (from, to) = (self.told + 1, batches[batches.len() - 1].head());
        let text = frame::frame(from, to, folded.kept.iter().copied());
        let updates_dropped = folded.updates_dropped;
        drop(batches);
        if updates_dropped > 0 {
            telemetry::updates_folded(updates_dropped);
            self.put(frame::folded(from, to.seq, updates_dropped))
                .await?;
        }
        self.put(text).await
    }

    /// The client is too slow even for what cannot be left out: it gets the picture instead.
    async fn start_again(&mut self) -> Result<(), Ending> {
        self.put(frame::reset(SnapshotReason::Behind)).await?;
        let picture = self.shared.kept.picture().await;
        self.show(&picture, SnapshotReason::Behind).await
    }

    async fn show(&mut self, picture: &Picture, reason: SnapshotReason) -> Result<(), Ending> {
        telemetry::snapshot_sent(reason.word());
        let text = match self.filter.is_open() {
            true => picture.snapshot(),
            false => frame::snapshot(picture, &self.filter),
        };
        self.told = picture.head.seq;
        self.put(text).await
    }

    async fn beat(&mut self, beat: u32) -> Result<(), Ending> {
        let now = self.shared.options.now();
        let calls = self.shared.kept.calls_lately(now);
        self.put(frame::beat(now, self.told, calls)).await?;
        if beat.is_multiple_of(PING_BEATS) {
            self.put_message(Message::Ping(Default::default())).await?;
        }
        self.flush().await
    }

    async fn say(&mut self, text: Option<Utf8Bytes>) -> Result<(), Ending> {
        // The listener holds the other end for as long as we run.
        let text = text.ok_or(Ending::Gone)?;
        self.put(text).await?;
        self.flush().await
    }

    async fn put(&mut self, text: Utf8Bytes) -> Result<(), Ending> {
        self.put_message(Message::Text(text)).await
    }

    async fn put_message(&mut self, message: Message) -> Result<(), Ending> {
        let stall_max = self.shared.options.write_stall_max;
        written(stall_max, self.sink.feed(message)).await
    }

    async fn flush(&mut self) -> Result<(), Ending> {
        let stall_max = self.shared.options.write_stall_max;
        written(stall_max, self.sink.flush()).await
    }
}

async fn written(
    stall_max: Duration,
    writing: impl Future<Output = Result<(), Error>>,
) -> Result<(), Ending> {
    let Ok(written) = timeout(stall_max, writing).await else {
        let reason = "nothing could be written for too long".into();
        return Err(Ending::Close(CloseCode::Stalled, reason));
    };
    written.map_err(|_| Ending::Gone)
}

fn beats(every: Duration) -> Interval {
    let mut beats = tokio::time::interval_at(Instant::now() + every, every);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// The next frame of readings; never, if the client wants none.
async fn next_readings(readings: &mut Option<broadcast::Receiver<Utf8Bytes>>) -> Utf8Bytes {
    if let Some(receiver) = readings {
        loop {
            match receiver.recv().await {
                Ok(text) => return text,
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    telemetry::readings_skipped(missed);
                }
                Err(broadcast::error::RecvError::Closed) => break,
            }
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests;
