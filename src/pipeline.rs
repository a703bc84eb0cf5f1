//! The engine's thread: takes what has arrived, numbers and times it, sends it to be made durable
//! and judges it meanwhile.
//!
//! Arrives: inputs from the door's two lanes, commands from the window. Leaves: batches and what
//! follows from them, in one queue to the writer. Promise: one writer decides; nothing waits on a
//! lock; people come first, then urgent readings, and telemetry is not starved (see the door's
//! `turns.rs`); a batch is what had arrived, without lingering; at most two batches are not yet
//! durable; what is judged has room on the disk (see `space.rs`), and what has none waits at the
//! door.
//! Next: `ioc-core/src/detect.rs`, then `writer.rs`.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, never, select_biased};
use ioc_core::decision::{About, Decision, DecisionHash, Released, Verdict};
use ioc_core::judgement::Judgement;
use ioc_core::reading::Reading;
use ioc_core::record::{ClockKind, Command, Input, Record, Records, Seq};
use ioc_core::rules::Rules;
use ioc_core::time::Timestamp;
use ioc_gateway::door::{AckToken, Arrival, Arrivals, Lane, Lanes, Place, Turns};
use ioc_ws::{CommandRequest, Commands, RefusalReason, Sample, Statement, Window};
use tokio::sync::oneshot;

use crate::clock::{Clock, TimeSource};
use crate::journal::Mark;
use crate::room::RoomSign;
use crate::space::{self, LOOK_EVERY, Purpose, Space};
use crate::telemetry;
use crate::writer::{Append, Outcome, OwnedDeadLetter, Release, Work};

/// What a batch takes in the queue to the writer: itself, and what follows from it.
const WORK_OF_A_BATCH: usize = 2;
/// The queue to the writer: two batches, each with what follows from it.
pub const WORK_MAX: usize = 2 * WORK_OF_A_BATCH;

/// How many records a batch may have, and how many bytes it may reach before it is closed. What of
/// an arrival does not fit goes into the next one.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Records.
    pub records_max: u32,
    /// Bytes.
    pub bytes_max: usize,
}

/// How many decisions there have been, and their rolling hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbering {
    /// The last number given.
    pub last: u64,
    /// The hash of all decisions up to it.
    pub hash: DecisionHash,
}

impl Numbering {
    /// Gives decisions their numbers and hashes; appends their bytes, each with its length.
    pub fn number(&mut self, decisions: Vec<Decision>, encoded: &mut Vec<u8>) -> Vec<Released> {
        let number = |mut decision: Decision| {
            self.last += 1;
            decision.seq = self.last;
            let at = encoded.len();
            encoded.extend_from_slice(&[0; 4]);
            decision.encode(encoded);
            let length = (encoded.len() - at - 4) as u32;
            encoded[at..at + 4].copy_from_slice(&length.to_le_bytes());
            self.hash = self.hash.after(&encoded[at + 4..]);
            Released {
                decision: Arc::new(decision),
                hash: self.hash,
            }
        };
        decisions.into_iter().map(number).collect()
    }
}

/// Other rules, to come to hold.
#[derive(Debug)]
pub struct ReloadOrder {
    /// The rules; their bundle is stored already.
    pub rules: Arc<Rules>,
    /// Where the answer goes: the decision by which they hold, once it is durable, or why not.
    pub answer: oneshot::Sender<Result<Seq, RefusalReason>>,
}

/// The ends of the queues that the engine holds.
#[derive(Debug)]
pub struct Queues {
    /// From the door.
    pub arrivals: Arrivals,
    /// From people.
    pub commands: Commands,
    /// Other rules.
    pub reloads: Receiver<ReloadOrder>,
    /// Closed when the process shall end.
    pub stop: Receiver<()>,
    /// To the writer.
    pub work: Sender<Work>,
    /// Memory that the writer has done with.
    pub spare: Receiver<Vec<u8>>,
    /// How much fits on the disk.
    pub space: Space,
}

/// The engine's thread.
pub struct Pipeline {
    judgement: Judgement,
    clock: Clock,
    queues: Queues,
    limits: BatchLimits,
    next: Seq,
    /// Of each lane, what was taken from the door and did not fit yet, or only in part.
    held: Lanes<Option<Held>>,
    turns: Turns,
    numbering: Numbering,
    samples: Samples,
    /// When the counters were told, by the monotonic clock.
    counted: Duration,
    /// Whether they have changed since, as far as is known.
    uncounted: bool,
    room: RoomSign,
}

/// What a step of the engine or of the writer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// There was something to do, and it is done.
    Worked,
    /// There was nothing to do, or no room for what would follow.
    Idle,
    /// The other side is gone and all that it sent is done: there is no further step.
    Ended,
}

/// What was taken from the door, and how much of it is in a batch already.
struct Held {
    arrival: Arrival,
    next: Place,
    left: u32,
}

/// What woke the engine.
enum Wake {
    Arrival(Held),
    Command(CommandRequest),
    Reload(ReloadOrder),
    TimerDue,
    Stop,
}

/// A batch as it is gathered.
struct Batch {
    first: Seq,
    count: u32,
    payload: Vec<u8>,
    acks: Vec<AckToken>,
    commands: Vec<CommandRequest>,
    reloads: Vec<ReloadOrder>,
}

impl Pipeline {
    /// An engine that goes on after the record before `next`.
    pub fn new(
        judgement: Judgement,
        clock: Clock,
        queues: Queues,
        limits: BatchLimits,
        (next, numbering): (Seq, Numbering),
        samples: Samples,
    ) -> Self {
        let counted = clock.time().monotonic();
        Self {
            judgement,
            clock,
            queues,
            limits,
            next,
            held: Lanes::default(),
            turns: Turns::default(),
            numbering,
            samples,
            counted,
            uncounted: false,
            room: RoomSign::default(),
        }
    }

    /// Whether there is room for what readings bring.
    pub fn room(&self) -> RoomSign {
        self.room.clone()
    }

    /// Runs until told to stop, or until the writer is gone.
    pub fn run(mut self) {
        loop {
            let Some(wake) = self.next() else { break };
            if self.work(wake).is_err() {
                break;
            }
        }
        telemetry::judged(&self.judgement.counters());
    }

    /// Judges what has arrived, as [`run`](Self::run) would, but waits for nothing: neither for
    /// arrivals nor for the writer.
    pub fn step(&mut self) -> Result<Stepped, WriterGone> {
        let work = &self.queues.work;
        let room = work.capacity().map(|most| most.saturating_sub(work.len()));
        if room.is_some_and(|room| room < WORK_OF_A_BATCH) {
            return Ok(Stepped::Idle);
        }
        match self.try_next().or_else(|| self.timer_due()) {
            Some(wake) => self.work(wake).map(|()| Stepped::Worked),
            None => Ok(Stepped::Idle),
        }
    }

    /// How long until a timer is due, if nothing else comes; `None` for ever, or until there is
    /// room for it.
    pub fn timer_due_in(&mut self) -> Option<Duration> {
        let due = self.judgement.next_due()?;
        match self.has_room(Purpose::Tick, TICK_BYTES) {
            true => self.clock.wait_until(due),
            false => None,
        }
    }

    /// Whether a batch of so many bytes of records fits.
    fn has_room(&self, purpose: Purpose, payload_bytes: usize) -> bool {
        space::batch_bytes(payload_bytes) <= self.queues.space.room(purpose)
    }

    /// Whether there is room for what comes next from the door, whichever lane it is of.
    fn may_read(&self) -> bool {
        let first = |lane| self.held.of(lane).as_ref().and_then(Held::next_bytes);
        let first = Lane::ALL.into_iter().filter_map(first).max();
        self.has_room(Purpose::Reading, first.unwrap_or(0))
    }

    /// The lanes in which something has arrived and is in no batch yet.
    fn waits(&self) -> Lanes<bool> {
        Lanes::each(|lane| {
            self.held.of(lane).is_some() || !self.queues.arrivals.queue(lane).is_empty()
        })
    }

    /// The judgement, to look at.
    pub const fn judgement(&self) -> &Judgement {
        &self.judgement
    }

    /// Applies inputs of the host itself: that it started, that rules changed.
    pub fn begin(&mut self, inputs: &[Input<'_>]) -> Result<(), WriterGone> {
        let mut batch = self.batch();
        for input in inputs {
            batch.push_input(self.clock.now(), input);
        }
        self.process(batch)
    }

    /// Waits for something. `None`: stop, and nothing is left that there is room for.
    fn next(&mut self) -> Option<Wake> {
        match self.try_next() {
            Some(wake) => Some(wake),
            None => match self.wait() {
                Wake::Stop => self.try_next(),
                wake => Some(wake),
            },
        }
    }

    fn work(&mut self, wake: Wake) -> Result<(), WriterGone> {
        let batch = self.gather(wake);
        self.process(batch)?;
        self.count();
        Ok(())
    }

    /// Takes what woke the engine and all else that has arrived, within limits.
    fn gather(&mut self, mut wake: Wake) -> Batch {
        let mut batch = self.batch();
        loop {
            let fits = self.add(wake, &mut batch);
            if !fits || batch.is_full(self.limits) {
                return batch;
            }
            match self.try_next() {
                Some(next) => wake = next,
                None => return batch,
            }
        }
    }

    /// What has arrived already and fits; people first.
    fn try_next(&mut self) -> Option<Wake> {
        if let Ok(command) = self.queues.commands.receiver().try_recv() {
            return Some(Wake::Command(command));
        }
        if let Ok(reload) = self.queues.reloads.try_recv() {
            return Some(Wake::Reload(reload));
        }
        let lane = self.turns.next(self.waits())?;
        if !self.may_read() {
            return None;
        }
        if let Some(held) = self.held.of_mut(lane).take() {
            return Some(Wake::Arrival(held));
        }
        match self.queues.arrivals.queue(lane).try_recv() {
            Ok(arrival) => Some(self.arrived(arrival)),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    /// The door may let in more in place of this.
    fn arrived(&self, arrival: Arrival) -> Wake {
        self.queues.arrivals.release(&arrival);
        Wake::Arrival(Held {
            left: arrival.inputs.records(),
            next: Place::default(),
            arrival,
        })
    }

    fn timer_due(&mut self) -> Option<Wake> {
        (self.timer_due_in() == Some(Duration::ZERO)).then_some(Wake::TimerDue)
    }

    fn wait(&mut self) -> Wake {
        let may_read = self.may_read();
        let look = (!may_read).then_some(LOOK_EVERY);
        let uncounted = self.uncounted.then_some(COUNTED_EVERY);
        let wait = self.timer_due_in().into_iter().chain(look).chain(uncounted);
        let wait = wait.min();
        let timer = wait.map_or_else(never, crossbeam_channel::after);
        let nothing = never();
        let queues = &self.queues;
        let [urgent, telemetry] = Lane::ALL.map(|lane| match may_read {
            true => queues.arrivals.queue(lane),
            false => &nothing,
        });
        select_biased! {
            recv(queues.commands.receiver()) -> command => match command {
                Ok(command) => Wake::Command(command),
                Err(_) => Wake::Stop,
            },
            recv(queues.reloads) -> reload => match reload {
                Ok(reload) => Wake::Reload(reload),
                Err(_) => Wake::Stop,
            },
            recv(urgent) -> arrival => match arrival {
                Ok(arrival) => self.arrived(arrival),
                Err(_) => Wake::Stop,
            },
            recv(telemetry) -> arrival => match arrival {
                Ok(arrival) => self.arrived(arrival),
                Err(_) => Wake::Stop,
            },
            recv(queues.stop) -> _ => Wake::Stop,
            recv(timer) -> _ => Wake::TimerDue,
        }
    }

    fn batch(&self) -> Batch {
        let payload = self.queues.spare.try_recv().unwrap_or_default();
        Batch {
            first: self.next,
            count: 0,
            payload,
            acks: Vec::new(),
            commands: Vec::new(),
            reloads: Vec::new(),
        }
    }

    /// Adds what woke the engine; whether there was room for all that may be of it.
    fn add(&mut self, wake: Wake, batch: &mut Batch) -> bool {
        let now = self.clock.now();
        match wake {
            Wake::Arrival(held) => return self.add_arrival(held, now, batch),
            Wake::Command(request) => self.add_command(request, now, batch),
            Wake::Reload(order) => self.add_reload(order, now, batch),
            // Logical time may pass a little slower than the time that was waited.
            Wake::TimerDue if self.judgement.next_due().is_some_and(|due| due <= now) => {
                if self.has_room(Purpose::Tick, batch.payload.len() + TICK_BYTES) {
                    batch.push_input(now, &Input::Tick);
                }
            }
            Wake::TimerDue => {}
            Wake::Stop => {}
        }
        true
    }

    /// As much of what arrived as its lane may take in its turn and as fits into the batch; what is
    /// left is held. Whether the disk had room for it.
    fn add_arrival(&mut self, mut held: Held, now: Timestamp, batch: &mut Batch) -> bool {
        let (lane, waits) = (held.arrival.lane, self.waits());
        let most = held.left.min(self.turns.most(lane, waits));
        let room = self.queues.space.room(Purpose::Reading);
        let (mut taken, mut fits) = (0, true);
        while taken < most && !batch.is_full(self.limits) {
            let mut next = held.next;
            let input = held.arrival.inputs.next(&mut next);
            let input = input.expect("there are as many as are left");
            let bytes = batch.payload.len() + FRAME_BYTES + input.len();
            fits = space::batch_bytes(bytes) <= room;
            if !fits {
                break;
            }
            let at = self.received_at(input, now);
            batch.push(at, input);
            held.next = next;
            taken += 1;
        }
        self.turns.took(lane, taken, waits);
        held.left -= taken;
        match held.left {
            0 => batch.acks.push(held.arrival.ack),
            _ => *self.held.of_mut(lane) = Some(held),
        }
        fits
    }

    /// A person's order, or the answer that there is no room for it.
    fn add_command(&self, request: CommandRequest, now: Timestamp, batch: &mut Batch) {
        let before = batch.payload.len();
        let command = Command {
            request: request.request.as_str(),
            actor: request.actor.as_str(),
            action: request.order.action(),
        };
        batch.push_input(now, &Input::Command(command));
        if self.has_room(Purpose::Order, batch.payload.len()) {
            batch.commands.push(request);
            return;
        }
        batch.payload.truncate(before);
        batch.count -= 1;
        // Whoever asked may have gone.
        let _ = request.answer.send(Err(RefusalReason::StorageFull));
    }

    /// Other rules, or the answer that there is no room for them.
    fn add_reload(&mut self, order: ReloadOrder, now: Timestamp, batch: &mut Batch) {
        if !self.has_room(Purpose::Order, batch.payload.len() + RELOAD_BYTES) {
            // Whoever asked may have gone.
            let _ = order.answer.send(Err(RefusalReason::StorageFull));
            return;
        }
        batch.push_input(now, &Input::Reload(order.rules.hash()));
        self.judgement.provide_rules(Arc::clone(&order.rules));
        batch.reloads.push(order);
    }

    /// The logical time of an input: now, unless time comes with recorded readings.
    fn received_at(&mut self, input: &[u8], now: Timestamp) -> Timestamp {
        if self.clock.kind() != ClockKind::Readings {
            return now;
        }
        match Input::decode(input) {
            Ok(Input::Reading(reading)) => self.clock.receive(&reading),
            _ => self.clock.now(),
        }
    }

    /// Sends the batch to be made durable, judges it meanwhile, sends what follows.
    fn process(&mut self, batch: Batch) -> Result<(), WriterGone> {
        let Batch {
            first,
            count,
            payload,
            acks,
            commands,
            reloads,
        } = batch;
        if count == 0 {
            return Ok(());
        }
        self.queues.space.sent(payload.len());
        let payload = Arc::new(payload);
        let mark = Mark {
            number: self.numbering.last,
            hash: self.numbering.hash,
        };
        let append = Append {
            count,
            payload: Arc::clone(&payload),
            mark,
        };
        self.queues
            .work
            .send(Work::Append(append))
            .map_err(|_| WriterGone)?;
        self.next = first + Seq::from(count);

        let framed = Records::new(first, &payload);
        let mut records = Vec::with_capacity(count as usize);
        records.extend(framed.map(|record| record.expect("framed by this process")));
        let mut decisions = Vec::new();
        self.judgement.apply(&records, &mut decisions);
        let dead_letters = records.iter().filter_map(OwnedDeadLetter::of).collect();
        let time = &**self.clock.time();
        self.samples.take(&records, time);
        self.samples.hear(&records);
        self.samples.note(first, &payload, count as usize, time);
        drop(records);
        drop(payload);

        let mut encoded = Vec::new();
        let decisions = self.numbering.number(decisions, &mut encoded);
        let last = self.numbering.last;
        let answers = commands.into_iter().map(|request| {
            let outcome = outcome_of(&request, &decisions, last);
            (request.answer, outcome)
        });
        let reloads = reloads.into_iter().map(|order| {
            let outcome = outcome_of_reload(&order, &decisions, last);
            (order.answer, outcome)
        });
        let answers = answers.chain(reloads).collect();
        let through = self.next - 1;
        let release = Release {
            through,
            decisions,
            encoded,
            acks,
            answers,
            dead_letters,
        };
        self.queues
            .work
            .send(Work::Release(release))
            .map_err(|_| WriterGone)
    }

    /// Tells the counters of the judgement to whoever scrapes, once a second; the last of a burst
    /// when nothing more comes.
    fn count(&mut self) {
        let now = self.clock.time().monotonic();
        self.uncounted = now.saturating_sub(self.counted) < COUNTED_EVERY;
        if !self.uncounted {
            self.counted = now;
            let counters = self.judgement.counters();
            telemetry::judged(&counters);
            self.room.see(&counters, now);
        }
    }
}

/// The writer has ended: nothing that is judged can be made durable any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the journal's writer has stopped")]
pub struct WriterGone;

/// How often the counters are told.
const COUNTED_EVERY: Duration = Duration::from_secs(1);
/// What a record takes beside its input: its length and its time.
const FRAME_BYTES: usize = 12;
/// What a reload takes: its tag, and the hash of the bundle.
const RELOAD_BYTES: usize = FRAME_BYTES + 33;
/// What a tick takes.
const TICK_BYTES: usize = FRAME_BYTES + 1;

impl Held {
    /// What the next of its inputs takes in a batch.
    fn next_bytes(&self) -> Option<usize> {
        let next = self.arrival.inputs.next(&mut self.next.clone());
        next.map(|input| FRAME_BYTES + input.len())
    }
}

impl Batch {
    const fn is_full(&self, limits: BatchLimits) -> bool {
        self.count >= limits.records_max || self.payload.len() >= limits.bytes_max
    }

    fn push(&mut self, at: Timestamp, input: &[u8]) {
        Record::frame(at, input, &mut self.payload);
        self.count += 1;
    }

    fn push_input(&mut self, at: Timestamp, input: &Input<'_>) {
        Record::frame_input(at, input, &mut self.payload);
        self.count += 1;
    }
}

/// What came of a command: refused by a decision, or done as of one.
fn outcome_of(request: &CommandRequest, decisions: &[Released], last: u64) -> Outcome {
    let of_request = |released: &&Released| {
        let cause = &released.decision.cause.request;
        cause.as_ref().is_some_and(|(id, _)| *id == request.request)
    };
    match decisions
        .iter()
        .rfind(of_request)
        .map(|released| &*released.decision)
    {
        Some(Decision {
            verdict: Verdict::CommandRefused(refusal),
            ..
        }) => Err(match refusal.about {
            About::Standing {
                handling,
                condition,
                ..
            } => RefusalReason::Standing(refusal.code, handling, condition),
            About::Incident(_) | About::Kind(_) | About::Actuator(_) | About::Suppression(_) => {
                RefusalReason::Core(refusal.code)
            }
        }),
        Some(decision) => Ok(decision.seq),
        // The same request again: it was followed at some decision before.
        None => Ok(last),
    }
}

/// The decision by which rules came to hold.
fn outcome_of_reload(order: &ReloadOrder, decisions: &[Released], last: u64) -> Outcome {
    let holds = Verdict::RulesChanged(order.rules.hash());
    let mut decisions = decisions.iter().map(|released| &*released.decision);
    Ok(decisions
        .find(|decision| decision.verdict == holds)
        .map_or(last, |decision| decision.seq))
}

/// Shows a few of the readings that pass to those who watch: at most so many in each span.
#[derive(Debug)]
pub struct Samples {
    window: Window,
    left: usize,
    /// Of how many records the last values may be noted in this span still.
    left_to_note: usize,
    /// When the span began, by the monotonic clock.
    began: Duration,
}

const SAMPLES_MAX: usize = 512;
/// Of so many records in each span it is noted what sensors said last: no more than that thread
/// is for. What more comes is not noted, and counted; of one batch the newest records are.
const NOTED_MAX: usize = 16_384;
/// How many readings of a batch are heard for what they say in words.
const STATEMENTS_MAX: usize = 1_024;
const SAMPLES_EVERY: Duration = Duration::from_millis(250);

impl Samples {
    /// Samples for this window.
    pub fn new(window: Window) -> Self {
        Self {
            window,
            left: SAMPLES_MAX,
            left_to_note: NOTED_MAX,
            began: Duration::ZERO,
        }
    }

    fn take(&mut self, records: &[Record<'_>], time: &dyn TimeSource) {
        self.begin_span(time);
        if self.left == 0 {
            return;
        }
        let readings = records.iter().filter_map(|record| match record.input {
            Input::Reading(reading) => Some(sample(&reading)),
            _ => None,
        });
        let samples: Vec<_> = readings.take(self.left).collect();
        self.left -= samples.len();
        if !samples.is_empty() {
            self.window.sample(samples);
        }
    }

    /// Has it noted what these readings say in words: what follows from them is released after.
    fn hear(&self, records: &[Record<'_>]) {
        let statements = statements(records);
        if !statements.is_empty() {
            self.window.heard(statements);
        }
    }

    /// Has it noted what sensors said last in this batch, or in the newest of it.
    fn note(&mut self, first: Seq, framed: &Arc<Vec<u8>>, records: usize, time: &dyn TimeSource) {
        self.begin_span(time);
        let noted = records.min(self.left_to_note);
        let left_out = records - noted;
        if left_out > 0 {
            telemetry::values_not_noted(left_out);
        }
        if noted > 0 {
            self.left_to_note -= noted;
            let framed = Arc::clone(framed);
            self.window.journaled(first, framed, left_out);
        }
    }

    fn begin_span(&mut self, time: &dyn TimeSource) {
        let now = time.monotonic();
        if now.saturating_sub(self.began) >= SAMPLES_EVERY {
            self.began = now;
            self.left = SAMPLES_MAX;
            self.left_to_note = NOTED_MAX;
        }
    }
}

fn statements(records: &[Record<'_>]) -> Vec<Statement> {
    let said = records.iter().filter_map(|record| match &record.input {
        Input::Reading(reading) | Input::Reread(reading) => Statement::of(reading),
        _ => None,
    });
    said.take(STATEMENTS_MAX).collect()
}

fn sample(reading: &Reading<'_>) -> Sample {
    const VALID: &str = "a reading's names are valid";
    Sample {
        sensor: reading.sensor.parse().expect(VALID),
        kind: reading.kind.parse().expect(VALID),
        value: reading.value,
        unit: reading.unit.into(),
        observed_at: reading.observed_at,
        position: reading.position,
    }
}

#[cfg(test)]
mod tests {
    use ioc_core::reading::AttributesBuffer;
    use ioc_ws::{Token, WindowOptions};

    use super::*;

    /// A clock that stands.
    #[derive(Debug)]
    struct At(Duration);

    impl TimeSource for At {
        fn wall_us(&self) -> i64 {
            0
        }

        fn monotonic(&self) -> Duration {
            self.0
        }
    }

    #[test]
    fn p5_so_many_readings_of_a_batch_are_heard_for_what_they_say() {
        let mut attributes = AttributesBuffer::default();
        attributes.push("headline", "Rivers rise").unwrap();
        let record = Record {
            seq: 1,
            at: Timestamp::default(),
            input: Input::Reading(Reading {
                id: "1",
                sensor: "met",
                kind: "external_alert",
                observed_at: Timestamp::default(),
                received_at: None,
                value: 3.0,
                unit: "",
                position: None,
                attributes: attributes.as_attributes(),
            }),
        };
        assert_eq!(statements(&[record; 2]).len(), 2);
        let batch = vec![record; STATEMENTS_MAX + 1];
        assert_eq!(statements(&batch).len(), STATEMENTS_MAX);
    }

    #[test]
    fn p5_of_so_many_records_in_a_span_the_last_values_are_noted() {
        let clock = Arc::new(Timestamp::default);
        let token = Token::new("x".to_owned());
        let options = WindowOptions::new("epoch".to_owned(), token, clock);
        let (window, _commands, _keeper) = Window::unattended(options);
        let mut samples = Samples::new(window);
        let framed = Arc::new(Vec::new());
        let now = At(Duration::from_secs(1));
        samples.note(1, &framed, NOTED_MAX - 1, &now);
        assert_eq!(samples.left_to_note, 1);
        samples.note(2, &framed, 2, &now);
        assert_eq!(samples.left_to_note, 0, "it was noted in part");
        samples.note(3, &framed, 2, &At(now.0 + SAMPLES_EVERY));
        assert_eq!(samples.left_to_note, NOTED_MAX - 2);
        // However long a batch is, its newest records are noted.
        samples.note(4, &framed, NOTED_MAX * 2, &At(now.0 + SAMPLES_EVERY * 2));
        assert_eq!(samples.left_to_note, 0);
    }
}
