//! Readings line by line (NDJSON): a body of any length in bounded memory.
//!
//! Arrives: pieces of a body, cut anywhere. Leaves: inputs through the door, a piece's at a time;
//! and what became of each line, in their order, once it is durable. Promise: telemetry that waits
//! for the door does not keep the urgent lines behind it from being judged, as far as is read:
//! no further than [`INFLIGHT_MAX`] lines that are not durable, or [`DECODED_BYTES_MAX`] that are
//! not handed over, so that the sender waits and nothing is refused for its length; a line beyond a
//! reading's bound is a dead letter, and is passed over. Blank lines are no readings, and keep a
//! silent body open.

use std::collections::VecDeque;

use tokio::time::{Instant, sleep_until};

use super::answer::{BrokenOff, Item, Refusal, Teller, Told};
use super::incoming::Incoming;
use super::pusher::Pusher;
use super::{Intake, append_item};
use crate::door::{Counts, DoorClosed, Inputs, Way};
use crate::formats::native::{READING_BYTES_MAX, Scratch};
use crate::formats::{Reason, Reject, append_beginning, bare};
use crate::telemetry::{self, Adapter};

/// How many lines of one body may be read and not durable; those of one more piece may come on top.
const INFLIGHT_MAX: usize = 8_192;
/// By how many more of them there is room at once: twice as much would be most of what they take.
const ROOM: usize = 1024;
/// How many bytes of one body may be decoded and not handed over, because the door is full.
const DECODED_BYTES_MAX: usize = 256 << 10;

/// A body that is taken line by line.
pub(super) struct Lines<'i> {
    intake: &'i Intake,
    pusher: Pusher,
    scratch: Scratch,
    partial: Partial,
    /// The number of the line that is being read.
    line: u64,
    inputs: Inputs,
    way: Way,
    /// What became of the lines that are not durable yet, each with how many inputs there were up to
    /// it.
    waiting: VecDeque<(Counts, Told)>,
    /// When the last of them became durable, or the first was handed over.
    progress_at: Instant,
}

/// The beginning of a line whose end has not come.
#[derive(Default)]
struct Partial {
    /// As much of it as a reading may have.
    kept: Vec<u8>,
    bytes: usize,
}

/// What the body did.
enum Came {
    Piece(Option<axum::body::Bytes>),
    /// More of it is durable, or has gone through the door.
    Progress,
}

impl<'i> Lines<'i> {
    pub fn new(intake: &'i Intake, pusher: Pusher) -> Self {
        Self {
            inputs: intake.inputs(&pusher),
            way: Way::new(intake.door.clone(), Adapter::Http),
            intake,
            pusher,
            scratch: Scratch::default(),
            partial: Partial::default(),
            line: 1,
            waiting: VecDeque::new(),
            progress_at: Instant::now(),
        }
    }

    /// Takes the body to its end; `teller` hears what became of each line.
    ///
    /// # Errors
    /// Why it was taken no further. What the teller has heard stands.
    pub async fn run(
        mut self,
        mut incoming: Incoming,
        teller: &mut impl Teller,
    ) -> Result<(), BrokenOff> {
        let ended = self.take_all(&mut incoming, teller).await;
        ended.map_err(|refusal| {
            let first_waiting = self.waiting.front().and_then(|(_, told)| told.line);
            let lines_durable = Some(first_waiting.unwrap_or(self.line) - 1);
            BrokenOff {
                refusal,
                lines_durable,
            }
        })
    }

    async fn take_all(
        &mut self,
        incoming: &mut Incoming,
        teller: &mut impl Teller,
    ) -> Result<(), Refusal> {
        loop {
            match self.wait(incoming).await? {
                Came::Progress => self.tell(teller).await?,
                Came::Piece(Some(piece)) => self.take(&piece),
                Came::Piece(None) => break,
            }
            self.hand_over()?;
        }
        if self.partial.bytes > 0 {
            self.end_line();
            self.hand_over()?;
        }
        while !self.waiting.is_empty() {
            self.progress().await?;
            self.tell(teller).await?;
            self.hand_over()?;
        }
        if self.line == 1 && self.way.decoded(&self.inputs) == Counts::default() {
            return Err(Refusal::Malformed("the body is empty".into()));
        }
        Ok(())
    }

    /// Waits for more of the body, if more may be read, or for what was.
    async fn wait(&mut self, incoming: &mut Incoming) -> Result<Came, Refusal> {
        let in_flight = self.waiting.len();
        let reads = in_flight < INFLIGHT_MAX && self.inputs.bytes() < DECODED_BYTES_MAX;
        let mut stopping = self.intake.stopping.clone();
        tokio::select! {
            biased;
            progress = self.progress(), if in_flight > 0 => progress.map(|()| Came::Progress),
            _ = stopping.wait_for(|stopping| *stopping) => Err(Refusal::Stopping),
            piece = incoming.next(), if reads => piece.map(Came::Piece),
        }
    }

    /// Waits until more is durable, or has gone through the door; for each no longer than it may take.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    async fn progress(&mut self) -> Result<(), Refusal> {
        let options = &self.intake.options;
        let (until, refusal) = match self.way.waits_since() {
            Some(since) => (since + options.stream_wait_max, Refusal::Overloaded),
            None => (
                self.progress_at + options.durable_wait_max,
                Refusal::NotDurable,
            ),
        };
        tokio::select! {
            biased;
            progress = self.way.progress() => {
                self.progress_at = Instant::now();
                progress.map_err(|DoorClosed| Refusal::Stopping)
            }
            () = sleep_until(until) => Err(refusal),
        }
    }

    /// Tells what became of the lines that are durable with all before them.
    async fn tell(&mut self, teller: &mut impl Teller) -> Result<(), Refusal> {
        let durable = self.way.durable();
        if durable.telemetry == self.way.decoded(&self.inputs).telemetry {
            self.inputs.is_settled();
        }
        let count = self
            .waiting
            .partition_point(|(upto, _)| durable.cover(*upto));
        if count == 0 {
            return Ok(());
        }
        let told = self.waiting.drain(..count).map(|(_, told)| told);
        teller.tell(told).await
    }

    /// Takes the lines that end in this piece.
    fn take(&mut self, piece: &[u8]) {
        self.inputs.at(Instant::now());
        let mut parts = piece.split(|byte| *byte == b'\n');
        let last = parts.next_back().unwrap_or_default();
        for part in parts {
            if self.partial.bytes == 0 && part.len() <= READING_BYTES_MAX {
                self.take_line(part, part.len());
                self.line += 1;
            } else {
                self.partial.push(part);
                self.end_line();
            }
        }
        self.partial.push(last);
    }

    /// The line that was begun has ended.
    fn end_line(&mut self) {
        let partial = std::mem::take(&mut self.partial);
        self.take_line(&partial.kept, partial.bytes);
        self.line += 1;
    }

    /// Takes a line of so many bytes, of which these are kept.
    fn take_line(&mut self, kept: &[u8], bytes: usize) {
        let item = if bytes > READING_BYTES_MAX {
            self.take_long(kept, bytes)
        } else {
            let text = bare(kept).trim_ascii();
            if text.is_empty() {
                return;
            }
            let catalogue = self.intake.door.catalogue();
            let (inputs, scratch) = (&mut self.inputs, &mut self.scratch);
            append_item(inputs, text, &self.pusher, &catalogue, scratch)
        };
        // Also that of a last line that nothing ends.
        telemetry::readings_decoded(Adapter::Http, item.is_accepted().into());
        let line = Some(self.line);
        let upto = self.way.decoded(&self.inputs);
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.reserve_exact(ROOM);
        }
        self.waiting.push_back((upto, Told { line, item }));
    }

    fn take_long(&mut self, kept: &[u8], bytes: usize) -> Item {
        let detail = format!("a line of {bytes} bytes; a reading has at most {READING_BYTES_MAX}");
        let reject = Reject::new(Reason::PayloadTooLong, detail);
        let origin = self.pusher.origin();
        append_beginning(&mut self.inputs, origin, &reject, kept, bytes);
        telemetry::dead_letter(Adapter::Http, reject.reason);
        Item::dead_lettered(reject)
    }

    /// Hands over what was taken, unless something of its lane waits for the door already.
    fn hand_over(&mut self) -> Result<(), Refusal> {
        if self.way.is_settled() {
            self.progress_at = Instant::now();
        }
        let handed_over = self.way.hand_over(&mut self.inputs, DECODED_BYTES_MAX / 4);
        handed_over.map_err(|DoorClosed| Refusal::Stopping)?;
        let demoted = self.inputs.take_demoted();
        telemetry::urgent_demoted(Adapter::Http, Adapter::Http.word(), demoted);
        Ok(())
    }
}

impl Partial {
    fn push(&mut self, part: &[u8]) {
        let room = READING_BYTES_MAX.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&part[..part.len().min(room)]);
        self.bytes += part.len();
    }
}
