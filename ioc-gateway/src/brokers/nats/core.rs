//! A core subject: no acknowledgements, so nothing comes again.
//!
//! Arrives: messages, on a connection of our own (`line.rs`). Leaves: inputs through the door. Promise:
//! a message that cannot be read is a dead letter and stops nothing; what had come before a break goes
//! through the door, or is counted; what a subject before this one chooses, too, is read by that one, and
//! here where that has not heard it (`doubt.rs`). Bound: what is read waits for the door in
//! [`WAITING_BYTES_MAX`]; what comes beyond is dropped and counted.

use std::collections::VecDeque;
use std::future::ready;
use std::time::Duration;

use futures_util::FutureExt;
use ioc_core::time::Millis;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::connect::PING_EVERY;
use super::doubt::{Decided, Doubted};
use super::floor::Floor;
use super::line::{Line, Said};
use super::wire::{Owned, Raw};
use super::{Connected, Ended, LinkError, Subscriber, message};
use crate::brokers::epoch::{Entrance, Epoch};
use crate::brokers::told;
use crate::door::DoorClosed;
use crate::telemetry::{self, Adapter};

/// How many bytes of one subject may wait for the door.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// So many are taken before all else is seen to.
const TURN: usize = 4096;
/// How long the server may be silent though it is asked whether it is there.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How often it may refuse something before what it says behind that is not read.
const REFUSALS_PASSED: u32 = 3;
/// How long what came before a break may take to go through the door.
const DRAINED_WITHIN: Duration = Duration::from_secs(1);
/// How long it then waits for the word of subjects before this one.
const DECIDED_WITHIN: Duration = Duration::from_millis(500);
/// How often the server is asked whether it is there, at most, where others want to know; not before it
/// has answered.
const PROVEN_EVERY: Duration = Duration::from_millis(50);

/// Serves a connection until it ends, or until told to stop and all that was read is durable.
pub(super) async fn serve(
    subscriber: &Subscriber,
    mut connected: Connected,
    entrance: Entrance,
    stopping: watch::Receiver<bool>,
) -> Ended {
    let mut epoch = Epoch::new(&entrance, Adapter::Nats, subscriber.link.name());
    match read(subscriber, &mut connected, &mut epoch, stopping).await {
        Ok(()) => Ended::Stopped,
        Err(error) => Ended::Broke {
            brought: epoch.settled() > 0,
            error,
        },
    }
}

async fn open(subscriber: &Subscriber, connected: &mut Connected) -> Result<Line, LinkError> {
    let address = connected.address.clone();
    let opened = tokio::select! {
        opened = Line::open(&subscriber.options, &address) => opened,
        error = connected.broken() => Err(error),
    };
    let mut line = opened?;
    line.subscribe(&subscriber.subject, subscriber.options.queue.as_deref());
    // The server has the subscription when it has answered what was said after it.
    line.ping();
    Ok(line)
}

async fn read(
    subscriber: &Subscriber,
    connected: &mut Connected,
    epoch: &mut Epoch,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), LinkError> {
    let mut line = tokio::select! {
        line = open(subscriber, connected) => line?,
        () = told(&mut stopping) => return Ok(()),
    };
    let mut waiting = Waiting::new(subscriber);
    let read = waiting.read(&mut line, connected, epoch, stopping).await;
    let Err(error) = read else { return Ok(()) };
    // Others do not leave to us any more what comes now.
    subscriber.floor.closed();
    let until = Instant::now() + DRAINED_WITHIN;
    waiting.take_rest(&mut line, epoch, until);
    telemetry::nats_messages_dropped(waiting.drain(epoch, until).await?);
    Err(error)
}

/// Messages that were read and that the door has no room for yet.
struct Waiting<'a> {
    subscriber: &'a Subscriber,
    inflight_max: u64,
    messages: VecDeque<One>,
    bytes: usize,
    /// Those that another subject should have heard.
    doubted: Doubted,
    /// Whether the server has heard what was said to it last.
    is_heard: bool,
    /// When it may be asked next whether it is there.
    may_ask: Instant,
    /// When what the subject chooses was given up: what the server says of later proves nothing.
    left: Option<Instant>,
    /// Room for the topic of a message.
    topic: String,
}

/// A message that waits for the door.
struct One {
    message: Owned,
    /// When it came, if it has waited for the word of another subject.
    came: Option<Instant>,
}

impl<'a> Waiting<'a> {
    fn new(subscriber: &'a Subscriber) -> Self {
        Self {
            subscriber,
            inflight_max: subscriber.options.inflight_max.into(),
            messages: VecDeque::new(),
            bytes: 0,
            doubted: Doubted::default(),
            is_heard: false,
            may_ask: Instant::now(),
            left: None,
            topic: String::new(),
        }
    }

    /// Reads until the connection breaks, or until told to stop and all that was read is durable.
    async fn read(
        &mut self,
        line: &mut Line,
        connected: &mut Connected,
        epoch: &mut Epoch,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), LinkError> {
        let mut asks = interval(PING_EVERY);
        asks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let subscriber = self.subscriber;
        let mut moved = subscriber.floor.moved();
        let mut is_stopping = false;
        loop {
            let has_more = self.take_all(line, epoch)?;
            moved.borrow_and_update();
            self.decide(epoch);
            // With those that have come with it, so that they go through the door together.
            self.go_on(epoch)?;
            connected.reply(epoch);
            let goes_on = has_more || (self.may_take(epoch) && !self.messages.is_empty());
            let has_left = is_stopping && self.is_heard;
            let has_none = self.messages.is_empty() && self.doubted.is_empty();
            if has_left && !goes_on && epoch.in_flight() == 0 && has_none {
                return Ok(());
            }
            let may_ask = self.may_ask;
            line.say()?;
            tokio::select! {
                // Read whether or not there is room: a server drops who does not read.
                more = line.more(!has_left && !has_more) => more?,
                () = ready(()), if goes_on => {}
                progress = epoch.progress() => progress?,
                Ok(()) = moved.changed(), if !self.doubted.is_empty() => {}
                // Of a server that is far away the answer would never be the last one that is due.
                () = is_doubted(&subscriber.floor, may_ask), if !is_stopping && !line.awaits_answer() => {
                    line.ask();
                    self.may_ask = Instant::now() + PROVEN_EVERY;
                }
                _ = asks.tick(), if !has_left => {
                    if line.is_deaf(SILENCE_MAX)? {
                        return Err(LinkError::Silent);
                    }
                    line.ask();
                }
                error = connected.broken(), if !is_stopping => return Err(error),
                () = told(&mut stopping), if !is_stopping => {
                    is_stopping = true;
                    // Others of a queue group get the rest; what was sent to us before comes.
                    self.is_heard = false;
                    self.left = Some(Instant::now());
                    line.unsubscribe();
                }
            }
        }
    }

    /// Keeps what had come before a break, which comes no second time.
    fn take_rest(&mut self, line: &mut Line, epoch: &mut Epoch, until: Instant) {
        let mut refusals = 0;
        while Instant::now() < until {
            match line.next() {
                // What waits stays within its bound.
                Ok(Some(Said::Message(raw))) if self.doubts(raw) => self.decide(epoch),
                Ok(Some(Said::Message(raw))) => {
                    self.decide(epoch);
                    self.push(raw, None);
                }
                Ok(Some(Said::Pong)) => {}
                Ok(None) => match line.more(true).now_or_never() {
                    Some(Ok(())) => {}
                    Some(Err(_)) | None => return,
                },
                // The server says why, and perhaps more behind that.
                Err(_) if refusals < REFUSALS_PASSED => refusals += 1,
                Err(_) => return,
            }
        }
    }

    /// Takes what has come; whether there may be more.
    fn take_all(&mut self, line: &mut Line, epoch: &mut Epoch) -> Result<bool, LinkError> {
        for _ in 0..TURN {
            match line.next()? {
                Some(Said::Message(raw)) => self.receive(raw, epoch),
                Some(Said::Pong) => {
                    self.is_heard = true;
                    if !self.subscriber.link.is_up() {
                        self.subscriber.link.up();
                    }
                    self.subscriber.floor.opened(0);
                    let asked = line.asked_last();
                    let proven = self.left.map_or(asked, |left| left.min(asked));
                    self.subscriber.floor.proven(proven);
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn may_take(&self, epoch: &Epoch) -> bool {
        epoch.has_room(self.inflight_max)
    }

    /// Takes one, or keeps it: behind those before it of which it is known by now that they are ours.
    fn receive(&mut self, raw: Raw<'_>, epoch: &mut Epoch) {
        if self.doubts(raw) {
            return;
        }
        self.decide(epoch);
        match self.may_take(epoch) && self.messages.is_empty() {
            true => self.take(raw, None, epoch),
            false => self.push(raw, None),
        }
    }

    /// Keeps one, or drops it if those before it are too long already.
    fn push(&mut self, raw: Raw<'_>, came: Option<Instant>) {
        let bytes = bytes_of(raw);
        if self.bytes + bytes > WAITING_BYTES_MAX {
            return telemetry::nats_messages_dropped(1);
        }
        self.bytes += bytes;
        let message = Owned::new(raw);
        self.messages.push_back(One { message, came });
    }

    /// Keeps one that a subject before should have heard, too; whether there is such a subject. To all
    /// subscriptions of a queue group a message is delivered once, whatever their subjects.
    fn doubts(&mut self, raw: Raw<'_>) -> bool {
        if self.subscriber.options.queue.is_some() {
            return false;
        }
        let Some(to) = self.subscriber.earlier.hears(raw.subject) else {
            return false;
        };
        self.doubted.keep(raw, to, Instant::now());
        true
    }

    /// Passes over what others have heard by now, and takes what they have not.
    fn decide(&mut self, epoch: &mut Epoch) {
        while let Some(decided) = self.doubted.decide(&self.subscriber.earlier) {
            match decided {
                Decided::Heard => epoch.pass_over(super::READ_ELSEWHERE),
                Decided::Ours(message, came) => self.push(message.raw(), Some(came)),
            }
        }
    }

    /// Takes those that there is room for.
    fn go_on(&mut self, epoch: &mut Epoch) -> Result<(), DoorClosed> {
        while self.may_take(epoch)
            && let Some(One { message, came }) = self.pop()
        {
            self.take(message.raw(), came, epoch);
        }
        epoch.hand_over()
    }

    /// Takes one that came then, if not now: what says no time of its own was observed then.
    fn take(&mut self, raw: Raw<'_>, came: Option<Instant>, epoch: &mut Epoch) {
        let topic = &mut self.topic;
        let taken_at = came.map(|came| {
            let waited = i64::try_from(came.elapsed().as_millis()).unwrap_or(i64::MAX);
            epoch.now() - Millis(waited)
        });
        let is_read = message::read(raw, |message| match message.is_deletion() {
            true => epoch.pass_over(message::DELETED),
            false => message.taken(taken_at, topic, |message| epoch.take(message)),
        });
        if !is_read {
            let what = format_args!("a message of {}", self.subscriber.subject);
            message::put_aside(raw, what, topic, epoch);
        }
    }

    fn pop(&mut self) -> Option<One> {
        let one = self.messages.pop_front()?;
        self.bytes -= bytes_of(one.message.raw());
        Some(one)
    }

    /// Hands over what came before a break, until the next connection cannot wait any longer. How many
    /// are left, and lost.
    async fn drain(&mut self, epoch: &mut Epoch, until: Instant) -> Result<usize, DoorClosed> {
        let mut moved = self.subscriber.floor.moved();
        let decided_by = until - DECIDED_WITHIN;
        loop {
            moved.borrow_and_update();
            self.decide(epoch);
            if Instant::now() >= decided_by {
                // Who has not answered by now has perhaps not heard it.
                while let Some((message, came)) = self.doubted.pop() {
                    self.push(message.raw(), Some(came));
                }
            }
            self.go_on(epoch)?;
            let left = self.messages.len() + self.doubted.len() + epoch.outside();
            if left == 0 {
                return Ok(0);
            }
            tokio::select! {
                progress = epoch.progress() => progress?,
                Ok(()) = moved.changed() => {}
                () = sleep_until(decided_by), if !self.doubted.is_empty() => {}
                () = sleep_until(until) => return Ok(left),
            }
        }
    }
}

/// Waits until somebody doubts that the connection is alive, and the server may be asked again.
///
/// # Cancel safety
/// Cancelling loses nothing.
async fn is_doubted(floor: &Floor, may_ask: Instant) {
    sleep_until(may_ask).await;
    floor.doubted().await;
}

/// How much of the bound a message takes. How it is answered is not kept.
const fn bytes_of(raw: Raw<'_>) -> usize {
    size_of::<One>() + raw.bytes() - raw.reply.len()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use std::sync::Mutex;

    use ioc_core::record::Input;
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;
    use tokio::time::timeout;

    use super::super::earlier::Earlier;
    use super::super::floor::Heard;
    use super::super::{NatsOptions, Strays};
    use crate::brokers::epoch::Entrance;
    use crate::brokers::links::Links;
    use crate::door::{Door, DoorOptions, Lane, Lanes, WhenFull};

    const WITHIN: Duration = Duration::from_secs(60);

    /// What a connection of the server does.
    enum Does {
        Says(Vec<u8>),
        /// It hears nothing more, and answers nothing.
        Falls,
        Closes,
    }

    /// Who may be told what to do: by what was subscribed to.
    type Connections = Arc<Mutex<Vec<(String, mpsc::UnboundedSender<Does>)>>>;

    /// A connection of a server of core subjects, which is so far away.
    async fn serve_one(socket: TcpStream, subscribed: Connections, answers_after: Duration) {
        let (reader, mut writer) = socket.into_split();
        let mut lines = BufReader::new(reader).lines();
        let (tell, mut told) = mpsc::unbounded_channel();
        let info = r#"{"server_id":"a","server_name":"a","version":"2.10.0","proto":1,"headers":true,"max_payload":1048576}"#;
        let info = format!("INFO {info}\r\n");
        writer.write_all(info.as_bytes()).await.unwrap();
        let mut has_fallen = false;
        loop {
            tokio::select! {
                // What it is told was told before anything came of it.
                biased;
                Some(does) = told.recv() => match does {
                    Does::Says(bytes) => {
                        // Whom it speaks to may be gone.
                        let _ = writer.write_all(&bytes).await;
                    }
                    Does::Falls => has_fallen = true,
                    Does::Closes => return,
                },
                line = lines.next_line(), if !has_fallen => match line {
                    Ok(Some(line)) if line == "PING" => {
                        let (tell, pong) = (tell.clone(), Does::Says(b"PONG\r\n".to_vec()));
                        let answers_at = Instant::now() + answers_after;
                        tokio::spawn(async move {
                            sleep_until(answers_at).await;
                            let _ = tell.send(pong);
                        });
                    }
                    Ok(Some(line)) => {
                        if let Some(subject) = line.strip_prefix("SUB ") {
                            let subject = subject.split(' ').next().unwrap().to_owned();
                            subscribed.lock().unwrap().push((subject, tell.clone()));
                        }
                    }
                    Ok(None) | Err(_) => return,
                },
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn p1_what_a_subject_before_should_have_heard_is_read_where_its_connection_was_dead() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let subscribed = Connections::default();
        let all = Arc::clone(&subscribed);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve_one(socket, Arc::clone(&all), Duration::ZERO));
            }
        });
        let options = NatsOptions {
            name: "city".to_owned(),
            addresses: vec![("127.0.0.1".to_owned(), port)],
            subjects: vec!["city.gauges.*".to_owned(), "city.>".to_owned()],
            ..NatsOptions::default()
        };
        let (door, arrivals) = Door::new(DoorOptions::default(), Arc::default());
        let (stop, mut stopping) = watch::channel(false);
        let links = Links::default();
        let shown = links.clone();
        let running = tokio::spawn(async move {
            let shutdown = async move {
                let _ = stopping.wait_for(|stopping| *stopping).await;
            };
            super::super::run(options, Strays::default(), door, &shown, shutdown).await;
        });
        let deadline = Instant::now() + WITHIN;
        while links.states().len() < 2
            || links
                .states()
                .iter()
                .any(|(_, state)| state.to_string() != "up")
        {
            assert!(Instant::now() < deadline, "{:?}", links.states());
            tokio::task::yield_now().await;
        }
        let does = |subject: &str, does: Does| {
            let all = subscribed.lock().unwrap();
            let (_, tell) = all.iter().rfind(|(own, _)| own == subject).unwrap();
            tell.send(does).ok().unwrap();
        };
        let says = |subscription: &str, subject: &str, id: &str| {
            let payload = format!(
                r#"{{"id":"{id}","sensor":"s","kind":"k","observed_at":"2026-03-14T06:45:10Z","value":1}}"#
            );
            let head = format!("MSG {subject} 1 {}\r\n", payload.len());
            let message = [head.as_bytes(), payload.as_bytes(), b"\r\n"].concat();
            does(subscription, Does::Says(message));
        };
        let queue = arrivals.queue(Lane::Telemetry).clone();
        let next = async || {
            let queue = queue.clone();
            let next = tokio::task::spawn_blocking(move || queue.recv_timeout(WITHIN));
            let arrival = next.await.unwrap().expect("it is read");
            arrivals.release(&arrival);
            arrival.ack.settle();
            let inputs = arrival
                .inputs
                .iter()
                .map(|input| match Input::decode(input) {
                    Ok(Input::Reading(reading)) => reading.id.to_owned(),
                    other => panic!("{other:?}"),
                });
            inputs.collect::<Vec<_>>()
        };
        says("city.gauges.*", "city.gauges.1", "a");
        assert_eq!(next().await, ["a"]);
        does("city.gauges.*", Does::Falls);
        says("city.>", "city.gauges.1", "b");
        says("city.>", "city.other.1", "c");
        assert_eq!(next().await, ["c"], "the other may have been heard");
        does("city.gauges.*", Does::Closes);
        assert_eq!(next().await, ["b"]);
        stop.send_replace(true);
        timeout(WITHIN, running).await.unwrap().unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn p1_a_subject_of_a_server_that_is_far_away_is_proven_while_messages_come() {
        let far = Duration::from_millis(80);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let subscribed = Connections::default();
        let all = Arc::clone(&subscribed);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve_one(socket, Arc::clone(&all), far));
            }
        });
        let options = NatsOptions {
            addresses: vec![("127.0.0.1".to_owned(), port)],
            ..NatsOptions::default()
        };
        let (door, _arrivals) = Door::new(DoorOptions::default(), Arc::default());
        let subscriber = Subscriber {
            options: Arc::new(options),
            ..super::super::tests::subscriber()
        };
        let floor = subscriber.floor.clone();
        let (stop, stopping) = watch::channel(false);
        let running = tokio::spawn(super::super::keep(subscriber, door, stopping));
        let deadline = Instant::now() + WITHIN;
        while !floor.is_open() {
            assert!(Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
        // Another subject gets one every 10 ms, and doubts that this one has.
        let mut came = interval(Duration::from_millis(10));
        for _ in 0..3 {
            let first = came.tick().await;
            while floor.heard(first) != Heard::Yes {
                assert!(Instant::now() < deadline, "it is asked without an end");
                floor.doubt();
                came.tick().await;
            }
        }
        stop.send_replace(true);
        timeout(WITHIN, running).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn what_waited_for_the_word_of_another_keeps_its_place_and_its_time() {
        let (door, _arrivals) = Door::new(DoorOptions::default(), Arc::default());
        let mut epoch = Epoch::new(&Entrance::new(door), Adapter::Nats, "nats city");
        let (floor, before) = (Floor::kept(None), "a".to_owned());
        let subscriber = Subscriber {
            earlier: Earlier::of("a", [(&before, &floor)].into_iter()),
            ..super::super::tests::subscriber()
        };
        floor.opened(0);
        let mut waiting = Waiting::new(&subscriber);
        assert!(waiting.doubts(raw(b"first")));
        let came = Instant::now();
        floor.closed();
        waiting.receive(raw(b"second"), &mut epoch);
        let waits = |at: usize| {
            (
                waiting.messages[at].message.raw().payload,
                waiting.messages[at].came,
            )
        };
        assert_eq!(waits(0).0, b"first");
        assert!(
            waits(0).1.is_some_and(|at| at <= came),
            "it is of when it came"
        );
        assert_eq!(waits(1), (&b"second"[..], None));
    }

    fn raw(payload: &[u8]) -> Raw<'_> {
        Raw {
            subject: b"a",
            reply: b"answered nowhere",
            headers: b"",
            payload,
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_waits_when_a_link_breaks_goes_through_the_door_or_is_counted() {
        let options = DoorOptions {
            waiting_bytes_max: Lanes::each(|_| 1),
            when_full: WhenFull::Wait,
            ..DoorOptions::default()
        };
        let (door, arrivals) = Door::new(options, Arc::default());
        let mut epoch = Epoch::new(&Entrance::new(door), Adapter::Nats, "nats city");
        let subscriber = super::super::tests::subscriber();
        let mut waiting = Waiting::new(&subscriber);
        waiting.inflight_max = 10;
        (0..100).for_each(|_| waiting.push(raw(b"no reading"), None));
        // Ten are taken; the door has room for the first hand over only.
        let lost = waiting.drain(&mut epoch, Instant::now()).await;
        assert_eq!(lost.unwrap(), 90);
        let settling = tokio::task::spawn_blocking(move || {
            let mut settled = 0;
            while settled < 100 {
                let queue = arrivals.queue(Lane::Telemetry);
                let arrival = queue.recv_timeout(Duration::from_secs(60)).unwrap();
                arrivals.release(&arrival);
                settled += arrival.inputs.records();
                arrival.ack.settle();
            }
        });
        let until = Instant::now() + Duration::from_secs(60);
        assert_eq!(waiting.drain(&mut epoch, until).await.unwrap(), 0);
        settling.await.unwrap();
    }

    #[test]
    fn p5_what_a_core_subject_brings_waits_within_a_bound_of_bytes() {
        let subscriber = super::super::tests::subscriber();
        let mut waiting = Waiting::new(&subscriber);
        let long = vec![b'x'; 1 << 20];
        (0..100).for_each(|_| waiting.push(raw(&long), None));
        assert_eq!(waiting.messages.len(), 15, "of 1 MiB and its own size");
        assert!(waiting.pop().is_some());
        waiting.push(raw(&long), None);
        assert_eq!(waiting.messages.len(), 15);
        while waiting.pop().is_some() {}
        assert_eq!(waiting.bytes, 0);
    }
}
