//! A subject of a JetStream stream, read with a durable pull consumer that acknowledges all.
//!
//! Arrives: what we pull, on a connection of our own (`line.rs`); where the consumer stands, over the
//! library's. Leaves: inputs through the door; one acknowledgement for all that has become durable
//! together, or, of a work queue, one for each. Promise: no more is asked for than may be in flight;
//! what was under way goes on before what is newer; what waits for our disk is not delivered again; a
//! message that cannot be read is a dead letter and stops nothing; a server that says nothing, not
//! even that it has nothing, is left.

use std::future::ready;
use std::mem;
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::consumer::AckPolicy;
use async_nats::jetstream::consumer::pull::BatchConfig;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout};

use super::connect::{ANSWER_WITHIN, PING_EVERY};
use super::delivery::{Replies, Reply};
use super::earlier::Elsewhere;
use super::kept::Kept;
use super::line::{Line, Said};
use super::message::Incoming;
use super::order::{Disorder, Next, Order, Place, Start, WAITING_MAX};
use super::pause::Pause;
use super::prefix::Prefix;
use super::together::{Due, Together};
use super::wire::{Headers, Owned, Raw};
use super::{Connected, Ended, LinkError, Subscriber, consumer, message};
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

/// That a message is durable here,
const ACK: &[u8] = b"+ACK";
/// and that it is being made so.
const PROGRESS: &[u8] = b"+WPI";

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
        let mut reader = begin(subscriber, stream, &mut connected).await?;
        let address = connected.address.clone();
        let mut line = tokio::select! {
            opened = Line::open(&subscriber.options, &address) => opened?,
            error = connected.broken() => return Err(error),
            () = told(&mut stopping) => return Ok(()),
        };
        line.subscribe(&reader.inbox, None);
        if reader.ack_policy == AckPolicy::All {
            subscriber.floor.opened(reader.begins_behind);
        }
        tokio::select! {
            () = subscriber.earlier.are_there(subscriber.floor.moved()) => {}
            error = connected.broken() => return Err(error),
            () = told(&mut stopping) => return Ok(()),
        }
        subscriber.link.up();
        let run = reader.run(&mut connected, &mut line, &mut epoch, stopping);
        let ran = run.await;
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

/// Finds or makes the consumer; how it is read.
async fn begin<'a>(
    subscriber: &'a Subscriber,
    stream: &'a str,
    connected: &mut Connected,
) -> Result<Reader<'a>, LinkError> {
    let client = connected.client.clone();
    let beginning = Reader::new(subscriber, stream, &client);
    let begun = timeout(ANSWER_WITHIN, beginning).await;
    match begun.unwrap_or(Err(LinkError::Silent)) {
        // A server that forbids something does not answer, and has said why.
        Err(_) if connected.is_broken() => Err(connected.broken().await),
        begun => begun,
    }
}

/// A message that waits for others.
#[derive(Debug)]
struct Waiting {
    message: Owned,
    reply: Reply,
}

struct Reader<'a> {
    subscriber: &'a Subscriber,
    stream: &'a str,
    /// What the consumer is called,
    consumer: String,
    /// how it is asked for messages, and where they come.
    asks: String,
    inbox: String,
    /// Whether the stream may be asked for messages.
    may_look: bool,
    /// What has come and not gone through the door, each with how it is answered.
    order: Order<Waiting>,
    /// What has, and is not acknowledged.
    prefix: Prefix<Reply>,
    /// Behind which message the consumer delivers all, at the latest.
    begins_behind: u64,
    /// What is left to readers of other subjects.
    elsewhere: Elsewhere,
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
    /// Room for the topic of a message, and for how one is answered.
    topic: String,
    answered: String,
    /// How many bytes one request may bring.
    bytes_max: usize,
    /// How many messages the last one may.
    credit: u64,
    /// How many messages one request may bring, as far as the server has said.
    batch_max: u64,
    /// Whether it was told that the stream has what it does not take,
    has_strangers: bool,
    /// and that it has what cannot be read.
    has_unreadable: bool,
    /// How much has come of the next message.
    under_way: usize,
}

impl<'a> Reader<'a> {
    /// Finds or makes the consumer.
    async fn new(
        subscriber: &'a Subscriber,
        stream: &'a str,
        client: &Client,
    ) -> Result<Self, LinkError> {
        let (_, info) = consumer::find_or_make(client, stream, subscriber).await?;
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
        let begins_behind = begins_behind(&start);
        let may_look = subscriber.looks().may_look();
        let api = match &subscriber.options.domain {
            Some(domain) => format!("$JS.{domain}.API"),
            None => "$JS.API".to_owned(),
        };
        Ok(Self {
            subscriber,
            stream,
            asks: format!("{api}.CONSUMER.MSG.NEXT.{stream}.{}", info.name),
            consumer: info.name,
            inbox: client.new_inbox(),
            may_look,
            order: Order::new(start, WAITING_MAX, may_look),
            prefix: Prefix::new(),
            begins_behind,
            elsewhere: Elsewhere::default(),
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
            answered: String::new(),
            // A message that is longer would never come; one has its subject and reply beside.
            bytes_max: longest(client).max(PULL_BYTES_MAX),
            credit: 0,
            batch_max: u64::MAX,
            has_strangers: false,
            has_unreadable: false,
            under_way: 0,
        })
    }

    async fn run(
        &mut self,
        connected: &mut Connected,
        line: &mut Line,
        epoch: &mut Epoch,
        mut stopping: watch::Receiver<bool>,
    ) -> Result<(), LinkError> {
        let (mut hold, mut asks) = (beats(self.ack_wait / 3), beats(PING_EVERY));
        self.together.acknowledged(epoch.settled());
        let mut moved = self.subscriber.floor.moved();
        let mut is_stopping = false;
        loop {
            let had_room = !is_stopping && epoch.has_room(u64::MAX);
            let has_more = !had_room || self.take_all(line, epoch)?;
            self.ask(connected, epoch).await?;
            epoch.hand_over()?;
            connected.reply(epoch);
            let due = self.acknowledge(line, epoch);
            let is_settled = epoch.in_flight() == 0 && !self.awaits_others();
            if is_stopping && is_settled {
                let _ = timeout(ANSWER_WITHIN, line.leave()).await;
                return Ok(());
            }
            let has_room = !is_stopping && epoch.has_room(u64::MAX);
            let may_pull = Instant::now() >= self.pull_from;
            if has_room && may_pull {
                let settled = self.settled(epoch);
                self.pull(line, epoch.decoded() - settled)?;
            } else {
                self.heard = Instant::now();
            }
            let takes_more = has_room && has_more;
            let awaits = has_room && may_pull && self.requested > 0;
            line.say()?;
            tokio::select! {
                // What there is no room for is read all the same: a server leaves who does not read.
                more = line.more(!is_stopping && !takes_more) => more?,
                () = ready(()), if takes_more => {}
                progress = epoch.progress() => progress?,
                Ok(()) = moved.changed(), if !self.elsewhere.is_empty() => {}
                () = sleep_until(self.pull_from), if !may_pull => {}
                () = sleep_until(due.unwrap_or(self.heard)), if due.is_some() => {}
                _ = hold.tick() => {
                    self.subscriber.floor.save();
                    self.wait_for_owed(connected, epoch).await?;
                    self.wait_for_others()?;
                    // A server that does not take what was said is not told it again.
                    if line.is_taken() {
                        self.hold(line, epoch.decoded());
                    }
                    let names = (self.stream, &*self.consumer);
                    let come = self.order.last_delivery();
                    self.pause.look(self.subscriber, names, &connected.client, come).await;
                }
                () = sleep_until(self.heard + SILENCE_MAX), if awaits => {
                    return Err(LinkError::Silent);
                }
                _ = asks.tick(), if !is_stopping => {
                    if line.is_deaf(ANSWER_WITHIN)? {
                        return Err(LinkError::Silent);
                    }
                    line.ask();
                }
                error = connected.broken() => return Err(error),
                () = told(&mut stopping), if !is_stopping => is_stopping = true,
            }
        }
    }

    /// Asks for as much as may be in flight, but not for every single message.
    fn pull(&mut self, line: &mut Line, in_flight: u64) -> Result<(), LinkError> {
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
        let request = serde_json::to_vec(&request).map_err(LinkError::refused("pull"))?;
        line.publish(&self.asks, &self.inbox, &request);
        if self.requested == 0 {
            self.heard = Instant::now();
        }
        self.requested += credit;
        self.credit = credit;
        self.has_pulled = true;
        Ok(())
    }

    /// Takes what has come, so that it goes through the door together; whether there may be more.
    fn take_all(&mut self, line: &mut Line, epoch: &mut Epoch) -> Result<bool, LinkError> {
        for taken in 0..TAKEN_AT_ONCE {
            if !epoch.has_room(u64::MAX) || self.order.is_full() {
                break;
            }
            let Some(said) = line.next()? else {
                // Who sends a long message is there.
                let before = mem::replace(&mut self.under_way, line.under_way());
                if self.under_way > before {
                    self.heard = Instant::now();
                }
                return Ok(false);
            };
            if taken == 0 {
                self.heard = Instant::now();
            }
            if let Said::Message(raw) = said {
                self.take(raw, epoch)?;
            }
        }
        Ok(true)
    }

    /// Takes a message, or what the server has to say about a request (ADR-13).
    fn take(&mut self, raw: Raw<'_>, epoch: &mut Epoch) -> Result<(), LinkError> {
        // What has a place in the stream is a message, whatever its publisher wrote at the top of
        // its headers.
        if let Some(reply) = self.replies.read(raw.reply) {
            return self.take_delivery(raw, reply, epoch);
        }
        let headers = Headers::read(raw.headers).unwrap_or_default();
        match headers.status {
            None | Some(200) => {
                let why = "a message without a place in the stream";
                Err(LinkError::refused("read")(why))
            }
            // It is there.
            Some(100) => Ok(()),
            // A request has expired, or was full.
            Some(404 | 408) => {
                self.requested -= unserved(&headers).min(self.requested);
                Ok(())
            }
            Some(409) if is_full(&headers) => {
                let unserved = unserved(&headers);
                self.requested -= unserved.min(self.requested);
                if unserved == self.credit && self.requested == 0 {
                    // It brought nothing: the next message is longer than the server takes now.
                    self.bytes_max = (self.bytes_max * 2).min(LONGEST_BYTES);
                }
                Ok(())
            }
            Some(_) if let Some(most) = batch_max(&headers) => {
                // That request is not served.
                self.requested = self.requested.saturating_sub(self.credit);
                self.batch_max = most;
                Ok(())
            }
            Some(status) => {
                let why = match headers.description {
                    "" => "no reason given",
                    why => why,
                };
                Err(LinkError::refused("pull")(format!("{status} {why}")))
            }
        }
    }

    fn take_delivery(
        &mut self,
        raw: Raw<'_>,
        reply: Reply,
        epoch: &mut Epoch,
    ) -> Result<(), LinkError> {
        let place = Place {
            delivery: reply.delivery,
            message: reply.message,
            bytes: raw.bytes(),
        };
        if reply.is_again() {
            telemetry::broker_redelivered(1);
        }
        self.requested = self.requested.saturating_sub(1);
        if self.order.is_newer(place.message) && self.order.awaits() {
            // It was too early: what is owed was delivered later than was known.
            self.pull_from = Instant::now() + self.ack_wait + self.ack_wait / 4;
        }
        let kept = || Waiting {
            message: Owned::new(raw),
            reply: reply.clone(),
        };
        if self.order.take(place, kept)? {
            self.pass(raw, reply, false, epoch);
        }
        self.pass_all(epoch)
    }

    /// Lets what may go on go through the door.
    fn pass_all(&mut self, epoch: &mut Epoch) -> Result<(), LinkError> {
        while let Some(Next {
            message: waiting,
            is_early,
            ..
        }) = self.order.next()?
        {
            let Waiting { message, reply } = waiting;
            self.pass(message.raw(), reply, is_early, epoch);
        }
        if !self.order.awaits() {
            self.prefix.all_have_come(epoch.decoded());
        }
        Ok(())
    }

    fn pass(&mut self, raw: Raw<'_>, reply: Reply, is_early: bool, epoch: &mut Epoch) {
        let (number, taken_at) = (reply.message, reply.taken_at());
        let is_read = message::read(raw, |message| {
            if !self.pass_over(message, number, epoch) {
                message.taken(Some(taken_at), &mut self.topic, |message| {
                    epoch.take(message);
                });
            }
        });
        if !is_read {
            self.pass_unreadable(raw, number, epoch);
        }
        self.prefix.passed(epoch.decoded(), number, reply, is_early);
    }

    /// Makes a dead letter of a message that cannot be read, if it is for this reader.
    fn pass_unreadable(&mut self, raw: Raw<'_>, number: u64, epoch: &mut Epoch) {
        let subject = str::from_utf8(raw.subject).ok();
        let message = subject.map(|subject| Incoming {
            subject,
            headers: &[],
            payload: raw.payload,
        });
        if message.is_some_and(|message| self.pass_over(message, number, epoch)) {
            return;
        }
        let what = format_args!("message {number} of the stream");
        message::put_aside(raw, what, &mut self.topic, epoch);
        let is_first = !mem::replace(&mut self.has_unreadable, true);
        telemetry::nats_unreadable(self.subscriber.link.name(), number, is_first);
    }

    /// Passes over a message that is not for this reader; whether it is none.
    fn pass_over(&mut self, message: Incoming<'_>, number: u64, epoch: &mut Epoch) -> bool {
        if let Some(why) = self.subscriber.unwanted(message) {
            epoch.pass_over(why);
            self.tell_of(why, message.subject);
            return true;
        }
        let Some(left) = self.subscriber.earlier.reads(message.subject, number) else {
            return false;
        };
        epoch.pass_over(super::READ_ELSEWHERE);
        self.elsewhere.leave(epoch.decoded(), left);
        true
    }

    /// How many messages of this connection are durable, here or where they were left to others.
    fn settled(&mut self, epoch: &Epoch) -> u64 {
        let earlier = &self.subscriber.earlier;
        self.elsewhere.settled(epoch.settled(), earlier)
    }

    /// Whether something was left to readers that are still at it. Who stops has read all by then, or it
    /// comes again.
    fn awaits_others(&self) -> bool {
        self.elsewhere.awaits(&self.subscriber.earlier)
    }

    /// Begins anew where a reader that something was left to does not get on.
    fn wait_for_others(&mut self) -> Result<(), LinkError> {
        let (now, within) = (Instant::now(), self.ack_wait * 2);
        let earlier = &self.subscriber.earlier;
        match self.elsewhere.stalled(earlier, now, within) {
            Some(subject) => Err(LinkError::Elsewhere(subject)),
            None => Ok(()),
        }
    }

    /// Of a stream that takes nothing but what is read all comes, so that what is of no such subject was
    /// given another by the stream itself (ADR-36).
    fn tell_of(&mut self, why: &str, subject: &str) {
        if why == super::NOT_SUBSCRIBED && !self.has_strangers {
            self.has_strangers = true;
            telemetry::nats_other_subject(self.subscriber.link.name(), subject);
        }
    }

    /// Acknowledges all that is durable, with one answer where that is allowed; by when, if more of
    /// it is to come together first.
    fn acknowledge(&mut self, line: &mut Line, epoch: &Epoch) -> Option<Instant> {
        let settled = self.settled(epoch);
        let answered = &mut self.answered;
        if self.ack_policy == AckPolicy::Explicit {
            while let Some((_, reply)) = self.prefix.settle(settled) {
                line.publish(reply.put(answered), "", ACK);
            }
            return None;
        }
        let due = self
            .together
            .due(settled, epoch.in_flight(), Instant::now());
        match due {
            Due::Nothing => return None,
            Due::By(then) => return Some(then),
            Due::Now => {}
        }
        let (message, reply) = self.prefix.settle_all(settled)?;
        self.together.acknowledged(settled);
        if self.subscriber.floor.reached(message, reply.taken_at()) {
            self.subscriber.floor.save();
        }
        line.publish(reply.put(answered), "", ACK);
        None
    }

    /// Asks the server to wait for what has waited for us since the last beat, and for what waits for
    /// older ones.
    fn hold(&mut self, line: &mut Line, decoded: u64) {
        let waiting = self.order.all_waiting().map(|waiting| &waiting.reply);
        let passed = self.prefix.replies(self.held);
        for reply in passed.chain(waiting) {
            line.publish(reply.put(&mut self.answered), "", PROGRESS);
        }
        self.held = decoded;
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
                self.subscriber.looks().could_not_look();
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

/// Behind which message a consumer delivers all, at the latest. Where nothing was acknowledged, servers
/// say that as zero wherever it began.
const fn begins_behind(start: &Start) -> u64 {
    match start.pending == 0 || start.acknowledged == 0 {
        true => start.message,
        false => start.acknowledged,
    }
}

/// How long a message can be that is published now.
fn longest(client: &Client) -> usize {
    let payload = client.server_info().max_payload;
    payload.saturating_add(HEAD_BYTES).min(LONGEST_BYTES)
}

fn beats(every: Duration) -> Interval {
    let mut beats = interval(every.max(Duration::from_millis(100)));
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

/// How many messages a request may bring at most, if this says that one asked for more.
fn batch_max(headers: &Headers<'_>) -> Option<u64> {
    let most = headers
        .description
        .strip_prefix("Exceeded MaxRequestBatch of ")?;
    most.trim().parse().ok().filter(|most| *most > 0)
}

/// Whether a request has ended because it brought as many messages, or bytes, as it may (ADR-13).
fn is_full(headers: &Headers<'_>) -> bool {
    let why = headers.description;
    ["Message Size Exceeds MaxBytes", "Batch Completed"]
        .iter()
        .any(|full| why.eq_ignore_ascii_case(full))
}

/// How many messages a request that has ended did not bring; all, if the server does not say.
fn unserved(headers: &Headers<'_>) -> u64 {
    let said = headers.get("Nats-Pending-Messages");
    said.and_then(|count| count.parse().ok())
        .unwrap_or(u64::MAX)
}
