//! A subject of a JetStream stream, read with a durable pull consumer that acknowledges all.
//!
//! Arrives: what we pull. Leaves: inputs through the door; one acknowledgement for all that has
//! become durable together, or, of a work queue, one for each. Promise: no more is asked for than may
//! be in flight; what was under way goes on before what is newer; what waits for our disk is not
//! delivered again; a server that says nothing, not even that it has nothing, is left.
//! The library's own batches are not used: a heartbeat can put them to sleep.

use std::time::Duration;

use async_nats::header::HeaderMap;
use async_nats::jetstream::AckKind;
use async_nats::jetstream::consumer::pull::{BatchConfig, Config};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, Info};
use async_nats::{Client, Message, StatusCode, Subject, Subscriber as Subscription};
use futures_util::{FutureExt, StreamExt};
use ioc_core::time::Timestamp;
use tokio::sync::watch;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};

use super::connect::ANSWER_WITHIN;
use super::kept::Kept;
use super::order::{Disorder, Next, Order, Place, Start, WAITING_MAX};
use super::pause::Pause;
use super::prefix::Prefix;
use super::together::{Due, Together};
use super::{Connected, Ended, LinkError, Subscriber, consumer, message, unreadable};
use crate::brokers::epoch::{Entrance, Epoch};
use crate::brokers::told;
use crate::telemetry::{self, Adapter};

/// How many bytes the messages that one request brings may have; five may be open at once.
const PULL_BYTES_MAX: usize = 4 << 20;
/// How many bytes of a message its server does not count as its payload, at most.
const HEAD_BYTES: usize = 64 << 10;
/// The longest message that a server can be set up to take, and its head.
const LONGEST_BYTES: usize = (64 << 20) + HEAD_BYTES;
/// How long the server keeps a request to pull.
const PULL_EXPIRES: Duration = Duration::from_secs(5);
/// How often the stream is asked what is next before all else is seen to.
const ASKED_AT_ONCE: usize = 16;
/// How often it says that it is there while it has nothing.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long it may be silent while a request is open.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// How many messages that have come go through the door together: they are decoded in about a
/// millisecond.
const TAKEN_AT_ONCE: u32 = 1024;

/// Serves a connection until it ends, or until told to stop and all that was read is durable and
/// acknowledged.
pub(super) async fn serve(
    subscriber: &Subscriber,
    stream: &str,
    mut connected: Connected,
    entrance: Entrance,
    mut stopping: watch::Receiver<bool>,
) -> Ended {
    let mut epoch = Epoch::new(&entrance, Adapter::Nats, subscriber.link.name());
    let read = async {
        let (mut reader, info) = begin(subscriber, stream, &mut connected).await?;
        let has_moved = tokio::select! {
            moved = unreadable::pass_over(subscriber, stream, &info, &mut connected, &mut epoch) => {
                moved?
            }
            () = told(&mut stopping) => return Ok(()),
        };
        if has_moved {
            (reader, _) = begin(subscriber, stream, &mut connected).await?;
        }
        subscriber.link.up();
        let ran = reader.run(&mut connected, &mut epoch, stopping).await;
        // Each delivery that came was before this.
        if reader.has_pulled {
            subscriber.note_held(reader.order.last_delivery(), Instant::now());
        }
        ran
    };
    match read.await {
        Ok(()) => Ended::Stopped,
        Err(error) => Ended::Broke {
            brought: epoch.settled() > 0,
            error,
        },
    }
}

/// Finds or makes the consumer; how it is read, and where it stands.
async fn begin<'a>(
    subscriber: &'a Subscriber,
    stream: &'a str,
    connected: &mut Connected,
) -> Result<(Reader<'a>, Info), LinkError> {
    let client = connected.client.clone();
    let beginning = Reader::new(subscriber, stream, &client);
    let begun = timeout(ANSWER_WITHIN, beginning).await;
    match begun.unwrap_or(Err(LinkError::Silent)) {
        // A server that forbids something does not answer, and has said why.
        Err(_) if connected.is_broken() => Err(connected.broken().await),
        begun => begun,
    }
}

/// A message as the server delivered it.
#[derive(Debug)]
struct Delivery {
    message: Message,
    /// How it is answered.
    reply: Subject,
    /// When the stream took it.
    taken_at: Timestamp,
}

struct Reader<'a> {
    subscriber: &'a Subscriber,
    stream: &'a str,
    consumer: Consumer<Config>,
    inbox: Subject,
    messages: Subscription,
    /// Whether the stream may be asked for messages.
    may_look: bool,
    /// What has come and not gone through the door, each with how it is answered.
    order: Order<Delivery>,
    /// What has, and is not acknowledged.
    prefix: Prefix<(Subject, Timestamp)>,
    ack_wait: Duration,
    ack_policy: AckPolicy,
    /// Up to which message all have been here for a beat.
    held: u64,
    /// From when on messages are pulled: when those that were under way before can come again, which
    /// the server then delivers first. Newer ones before them have to wait for them.
    pull_from: Instant,
    /// Whether anything was asked for.
    has_pulled: bool,
    /// How many messages the server may still send for open requests.
    requested: u64,
    heard: Instant,
    pause: Pause,
    together: Together,
    replies: Replies,
    /// Room for the topic of a message.
    topic: String,
    /// How many bytes one request may bring.
    bytes_max: usize,
    /// How many messages the last one may.
    credit: u64,
    /// How many messages one request may bring, as far as the server has said.
    batch_max: u64,
    /// Whether it was told that the stream has what it does not take.
    has_strangers: bool,
}

impl<'a> Reader<'a> {
    async fn new(
        subscriber: &'a Subscriber,
        stream: &'a str,
        client: &Client,
    ) -> Result<(Self, Info), LinkError> {
        let (consumer, info) = consumer::find_or_make(client, stream, subscriber).await?;
        let ack_wait = info.config.ack_wait;
        let now = Instant::now();
        let server = consumer::server_of(client, info.cluster.as_ref());
        let held = subscriber.held_by(server, info.delivered.consumer_sequence, now);
        let pull_from = match info.num_ack_pending {
            0 => now,
            _ => held + ack_wait + ack_wait / 4,
        };
        let start = Start {
            delivery: info.delivered.consumer_sequence,
            message: info.delivered.stream_sequence,
            pending: info.num_ack_pending,
            acknowledged: info.ack_floor.stream_sequence,
        };
        let may_look = subscriber.progress().may_look();
        let inbox = Subject::from(client.new_inbox());
        let messages = client.subscribe(inbox.clone()).await;
        let reader = Self {
            subscriber,
            stream,
            consumer,
            inbox,
            messages: messages.map_err(LinkError::refused("subscribe"))?,
            may_look,
            order: Order::new(start, WAITING_MAX, may_look),
            prefix: Prefix::new(),
            ack_wait,
            ack_policy: info.config.ack_policy,
            held: 0,
            pull_from,
            has_pulled: false,
            requested: 0,
            heard: Instant::now(),
            pause: Pause::default(),
            together: Together::default(),
            replies: Replies::default(),
            topic: String::new(),
            // A message that is longer would never come; one has its subject and reply beside.
            bytes_max: longest(client).max(PULL_BYTES_MAX),
            credit: 0,
            batch_max: u64::MAX,
            has_strangers: false,
        };
        Ok((reader, info))
    }

    async fn run(
        &mut self,
        connected: &mut Connected,
        epoch: &mut Epoch,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), LinkError> {
        let mut hold = beats(self.ack_wait / 3);
        self.together.acknowledged(epoch.settled());
        let mut is_stopping = false;
        loop {
            self.ask(connected, epoch).await?;
            epoch.hand_over()?;
            connected.reply(epoch);
            let durable = (epoch.settled(), epoch.in_flight());
            let due = self.acknowledge(connected, durable).await?;
            if is_stopping && epoch.in_flight() == 0 {
                let _ = connected.client.flush().await;
                return Ok(());
            }
            let has_room = !is_stopping && epoch.has_room(u64::MAX);
            let may_pull = Instant::now() >= self.pull_from;
            if has_room && may_pull {
                self.pull(epoch.in_flight()).await?;
            } else {
                self.heard = Instant::now();
            }
            tokio::select! {
                message = self.messages.next(), if has_room => {
                    match message {
                        Some(message) => self.take_all(message, epoch)?,
                        None => return Err(LinkError::Broke("the inbox ended".to_owned())),
                    }
                }
                progress = epoch.progress() => progress?,
                () = sleep_until(self.pull_from), if !may_pull => {}
                () = sleep_until(due.unwrap_or(self.heard)), if due.is_some() => {}
                _ = hold.tick() => {
                    self.subscriber.floor.save();
                    self.wait_for_owed(connected, epoch).await?;
                    self.hold(connected, epoch.decoded()).await?;
                    let names = (self.stream, &*self.consumer.cached_info().name);
                    let come = self.order.last_delivery();
                    self.pause.look(self.subscriber, names, &connected.client, come).await;
                }
                () = sleep_until(self.heard + SILENCE_MAX), if self.requested > 0 => {
                    return Err(LinkError::Silent);
                }
                error = connected.broken() => return Err(error),
                () = told(&mut stopping), if !is_stopping => is_stopping = true,
            }
        }
    }

    /// Asks for as much as may be in flight, but not for every single message.
    async fn pull(&mut self, in_flight: u64) -> Result<(), LinkError> {
        let inflight_max = u64::from(self.subscriber.options.inflight_max);
        let inflight_max = inflight_max.min(self.batch_max);
        let credit = inflight_max.saturating_sub(in_flight + self.requested);
        let owed = self.order.owed() as u64;
        // Nothing newer is to come beside what is owed.
        let credit = match owed {
            0 => credit,
            _ => credit.min(owed.saturating_sub(self.requested)),
        };
        if credit == 0 || (credit < inflight_max.div_ceil(4) && self.requested > 0) {
            return Ok(());
        }
        let request = BatchConfig {
            batch: credit as usize,
            expires: Some(PULL_EXPIRES),
            max_bytes: self.bytes_max,
            idle_heartbeat: HEARTBEAT,
            ..BatchConfig::default()
        };
        let inbox = self.inbox.clone();
        let asked = self.consumer.request_batch(request, inbox).await;
        asked.map_err(LinkError::refused("pull"))?;
        if self.requested == 0 {
            self.heard = Instant::now();
        }
        self.requested += credit;
        self.credit = credit;
        self.has_pulled = true;
        Ok(())
    }

    /// Takes a message and those that have come with it, so that they go through the door together.
    fn take_all(&mut self, first: Message, epoch: &mut Epoch) -> Result<(), LinkError> {
        self.heard = Instant::now();
        let mut next = Some(first);
        for left in (0..TAKEN_AT_ONCE).rev() {
            let Some(message) = next.take() else { break };
            self.take(message, epoch)?;
            if left > 0 && epoch.has_room(u64::MAX) && !self.order.is_full() {
                // The runtime would have us stop at some hundred, whatever we do with them.
                next = unconstrained(self.messages.next()).now_or_never().flatten();
            }
        }
        Ok(())
    }

    /// Takes a message, or what the server has to say about a request (ADR-13).
    fn take(&mut self, mut message: Message, epoch: &mut Epoch) -> Result<(), LinkError> {
        // What has a place in the stream is a message, whatever its publisher wrote at the top of
        // its headers.
        let reply = message.reply.take();
        let numbers = reply
            .as_deref()
            .and_then(|reply| self.replies.numbers(reply));
        if let (Some(reply), Some(numbers)) = (reply, numbers) {
            let place = Place {
                delivery: numbers.delivery,
                message: numbers.message,
                bytes: message.length,
            };
            if numbers.is_again {
                telemetry::broker_redelivered(1);
            }
            let delivery = Delivery {
                message,
                reply,
                taken_at: numbers.taken_at,
            };
            return self.take_delivery(delivery, place, epoch);
        }
        match message.status {
            None | Some(StatusCode::OK) => {
                let why = "a message without a place in the stream";
                Err(LinkError::refused("read")(why))
            }
            Some(StatusCode::IDLE_HEARTBEAT) => Ok(()),
            // A request has expired, or was full.
            Some(StatusCode::TIMEOUT | StatusCode::NOT_FOUND) => {
                self.requested -= unserved(message.headers.as_ref()).min(self.requested);
                Ok(())
            }
            Some(StatusCode::REQUEST_TERMINATED) if is_full(&message) => {
                let unserved = unserved(message.headers.as_ref());
                self.requested -= unserved.min(self.requested);
                if unserved == self.credit && self.requested == 0 {
                    // It brought nothing: the next message is longer than the server takes now.
                    self.bytes_max = (self.bytes_max * 2).min(LONGEST_BYTES);
                }
                Ok(())
            }
            Some(_) if let Some(most) = batch_max(&message) => {
                // That request is not served.
                self.requested = self.requested.saturating_sub(self.credit);
                self.batch_max = most;
                Ok(())
            }
            Some(status) => {
                let why = message.description.as_deref().unwrap_or("no reason given");
                let why = format!("{status} {why}");
                Err(LinkError::refused("pull")(why))
            }
        }
    }

    fn take_delivery(
        &mut self,
        delivery: Delivery,
        place: Place,
        epoch: &mut Epoch,
    ) -> Result<(), LinkError> {
        self.requested = self.requested.saturating_sub(1);
        if self.order.is_newer(place.message) && self.order.awaits() {
            // It was too early: what is owed was delivered later than was known.
            self.pull_from = Instant::now() + self.ack_wait + self.ack_wait / 4;
        }
        if let Some(next) = self.order.take(place, delivery)? {
            self.pass(next, epoch);
        }
        self.pass_all(epoch)
    }

    /// Lets what may go on go through the door.
    fn pass_all(&mut self, epoch: &mut Epoch) -> Result<(), LinkError> {
        while let Some(next) = self.order.next()? {
            self.pass(next, epoch);
        }
        if !self.order.awaits() {
            self.prefix.all_have_come(epoch.decoded());
        }
        Ok(())
    }

    fn pass(&mut self, next: Next<Delivery>, epoch: &mut Epoch) {
        let Delivery {
            message,
            reply,
            taken_at,
        } = next.message;
        match self.subscriber.unwanted(&message) {
            Some(why) => {
                epoch.pass_over(why);
                self.tell_of(why, &message);
            }
            None => {
                let topic = &mut self.topic;
                message::taken(&message, Some(taken_at), topic, |message| {
                    epoch.take(message);
                });
            }
        }
        let answer = (reply, taken_at);
        self.prefix
            .passed(epoch.decoded(), next.number, answer, next.is_early);
    }

    /// Of a stream that takes nothing but what is read all comes, so that what is of no such subject was
    /// given another by the stream itself (ADR-36).
    fn tell_of(&mut self, why: &str, message: &Message) {
        if why == super::NOT_SUBSCRIBED && !self.has_strangers {
            self.has_strangers = true;
            let subject = message.subject.as_str();
            telemetry::nats_other_subject(self.subscriber.link.name(), subject);
        }
    }

    /// Acknowledges all that is durable, with one answer where that is allowed; by when, if more of
    /// it is to come together first.
    async fn acknowledge(
        &mut self,
        connected: &Connected,
        (settled, in_flight): (u64, u64),
    ) -> Result<Option<Instant>, LinkError> {
        if self.ack_policy == AckPolicy::Explicit {
            while let Some((_, (reply, _))) = self.prefix.settle(settled) {
                answer(connected, reply, AckKind::Ack).await?;
            }
            return Ok(None);
        }
        match self.together.due(settled, in_flight, Instant::now()) {
            Due::Nothing => return Ok(None),
            Due::By(then) => return Ok(Some(then)),
            Due::Now => {}
        }
        let Some((message, (reply, taken_at))) = self.prefix.settle_all(settled) else {
            return Ok(None);
        };
        self.together.acknowledged(settled);
        if self.subscriber.floor.reached(message, taken_at) {
            self.subscriber.floor.save();
        }
        answer(connected, reply, AckKind::Ack).await?;
        Ok(None)
    }

    /// Asks the server to wait for what has waited for us since the last beat, and for what waits for
    /// older ones.
    async fn hold(&mut self, connected: &Connected, decoded: u64) -> Result<(), LinkError> {
        let waiting = self.order.all_waiting().map(|delivery| &delivery.reply);
        let passed = self.prefix.replies(self.held).map(|(reply, _)| reply);
        for reply in passed.chain(waiting) {
            answer(connected, reply.clone(), AckKind::Progress).await?;
        }
        self.held = decoded;
        Ok(())
    }

    /// Asks the stream what is next, where messages wait for that.
    async fn ask(&mut self, connected: &mut Connected, epoch: &mut Epoch) -> Result<(), LinkError> {
        for _ in 0..ASKED_AT_ONCE {
            let Some(from) = self.order.asks() else {
                return Ok(());
            };
            let next = self.kept_from(from, connected).await?;
            self.told(next);
            self.heard = Instant::now();
            self.pass_all(epoch)?;
        }
        Ok(())
    }

    /// Sees to messages of before that should have come again by now: what the stream still has may
    /// have been acknowledged meanwhile, by a word of the connection before that the server heard
    /// late, which it tells when it is asked anew; what it has dropped never comes.
    async fn wait_for_owed(
        &mut self,
        connected: &mut Connected,
        epoch: &mut Epoch,
    ) -> Result<(), LinkError> {
        for _ in 0..ASKED_AT_ONCE {
            let Some(from) = self.order.overdue(self.ack_wait * 4) else {
                return Ok(());
            };
            // Where nobody may look, it is given up.
            let next = match self.may_look {
                true => self.kept_from(from, connected).await?,
                false => None,
            };
            self.told(next);
            // The next may be here, and those between are not there any more.
            self.pass_all(epoch)?;
            if self.order.lacks_next() {
                return Err(LinkError::Owed);
            }
        }
        Ok(())
    }

    fn told(&mut self, next: Option<u64>) {
        if self.order.told(next) {
            telemetry::nats_pending_gone(self.subscriber.link.name());
        }
    }

    /// The first message that the stream keeps from this one on, if it has any. A server may forbid
    /// to look, and end the connection for it; one that is deaf now may hear the next: so the first
    /// time ends the connection, and the next does not look.
    async fn kept_from(
        &self,
        from: u64,
        connected: &mut Connected,
    ) -> Result<Option<u64>, LinkError> {
        let kept = Kept::new(&connected.client, self.stream, self.subscriber);
        let looked = tokio::select! {
            looked = kept.next(from) => looked,
            error = connected.broken() => Err(error),
        };
        match looked {
            Ok(next) => Ok(next.map(|stored| stored.sequence)),
            Err(error) => {
                self.subscriber.progress().could_not_look();
                Err(error)
            }
        }
    }
}

impl From<Disorder> for LinkError {
    fn from(disorder: Disorder) -> Self {
        match disorder {
            Disorder::Gap => Self::Gap,
            Disorder::Early => Self::Early,
        }
    }
}

/// How long a message can be that is published now.
fn longest(client: &Client) -> usize {
    let payload = client.server_info().max_payload;
    payload.saturating_add(HEAD_BYTES).min(LONGEST_BYTES)
}

async fn answer(connected: &Connected, reply: Subject, kind: AckKind) -> Result<(), LinkError> {
    let sent = connected.client.publish(reply, kind.into()).await;
    sent.map_err(LinkError::refused("acknowledge"))
}

fn beats(every: Duration) -> Interval {
    let mut beats = interval(every.max(Duration::from_millis(100)));
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// How many messages a request may bring at most, if this says that one asked for more.
fn batch_max(message: &Message) -> Option<u64> {
    let said = message.description.as_deref()?;
    let most = said.strip_prefix("Exceeded MaxRequestBatch of ")?;
    most.trim().parse().ok().filter(|most| *most > 0)
}

/// Whether a request has ended because it brought as many messages, or bytes, as it may (ADR-13).
fn is_full(message: &Message) -> bool {
    let why = message.description.as_deref().unwrap_or_default();
    ["Message Size Exceeds MaxBytes", "Batch Completed"]
        .iter()
        .any(|full| why.eq_ignore_ascii_case(full))
}

/// How many messages a request that has ended did not bring; all, if the server does not say.
fn unserved(headers: Option<&HeaderMap>) -> u64 {
    let said = headers.and_then(|headers| headers.get("Nats-Pending-Messages"));
    said.and_then(|count| count.as_str().parse().ok())
        .unwrap_or(u64::MAX)
}

/// What the reply subject of a delivery says.
#[derive(Debug, PartialEq, Eq)]
struct Numbers {
    /// The message's number in the stream.
    message: u64,
    /// The delivery's among the consumer's.
    delivery: u64,
    /// Whether the message was delivered before.
    is_again: bool,
    /// When the stream took it.
    taken_at: Timestamp,
}

/// The reply subjects of a consumer's deliveries (ADR-15), which begin alike.
///
/// `$JS.ACK.<stream>.<consumer>.<deliveries>.<message>.<delivery>.<time>.<pending>`, with the domain
/// and the account before the stream on servers that say them.
#[derive(Debug, Default)]
struct Replies {
    /// How the last one began, up to the consumer and its dot.
    beginning: Box<str>,
}

impl Replies {
    /// The numbers of a delivery; none if it is no delivery.
    fn numbers(&mut self, reply: &str) -> Option<Numbers> {
        let numbers = match reply.strip_prefix(&*self.beginning) {
            Some(numbers) if !self.beginning.is_empty() => numbers,
            Some(_) | None => {
                let beginning = beginning_of(reply)?;
                self.beginning = reply[..beginning].into();
                &reply[beginning..]
            }
        };
        let mut numbers = numbers.bytes();
        let deliveries = number(&mut numbers)?;
        let message = number(&mut numbers)?;
        let delivery = number(&mut numbers)?;
        let nanos = number(&mut numbers)?;
        Some(Numbers {
            message,
            delivery,
            is_again: deliveries > 1,
            taken_at: Timestamp::from_millis(i64::try_from(nanos / 1_000_000).ok()?),
        })
    }
}

/// How long the part of a reply subject is that comes before the numbers.
fn beginning_of(reply: &str) -> Option<usize> {
    const ACK: &str = "$JS.ACK.";
    let named = match reply.strip_prefix(ACK)?.split('.').count() {
        7 => 2,
        9.. => 4,
        _ => return None,
    };
    let mut dots = reply.match_indices('.').skip(1 + named);
    dots.next().map(|(at, _)| at + 1)
}

/// The number up to the next dot.
fn number(digits: &mut std::str::Bytes<'_>) -> Option<u64> {
    let mut number = None;
    for byte in digits {
        match byte {
            b'.' => break,
            b'0'..=b'9' => {
                let more = number.unwrap_or(0_u64).checked_mul(10)?;
                number = Some(more.checked_add(u64::from(byte - b'0'))?);
            }
            _ => return None,
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_says_where_its_message_stands() {
        let short = "$JS.ACK.READINGS.ioc-1.2.100.207.1790230470084404000.42";
        let first = Numbers {
            message: 100,
            delivery: 207,
            is_again: true,
            taken_at: Timestamp::from_millis(1_790_230_470_084),
        };
        let mut replies = Replies::default();
        let mut numbers = |reply| replies.numbers(reply);
        assert_eq!(numbers(short), Some(first));
        let long = "$JS.ACK.hub.ACC.READINGS.ioc-1.1.100.207.1790230470084404000.42.rnd";
        let mut is_again = |reply| numbers(reply).map(|numbers| numbers.is_again);
        assert_eq!(is_again(long), Some(false));
        for other in [
            "_INBOX.a",
            "$JS.ACK.s.c.1.2.3",
            "$JS.ACK.s.c.1.x.3.4.5",
            "$JS.ACK.s.c.1.2.3.x.5",
        ] {
            assert_eq!(numbers(other), None, "{other}");
        }
    }
}
