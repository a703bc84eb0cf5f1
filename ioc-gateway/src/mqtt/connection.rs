//! One client's connection: its socket, its clocks, and the waiting between them.
//!
//! Arrives: an accepted socket. Leaves: inputs through the door; answers, decisions and
//! deliveries to the socket. Promise: while the door is full, acknowledgements, pings and decisions go on being
//! served as far as the bounds of [`MqttOptions`](crate::options::MqttOptions) allow; whatever
//! the client does, the connection ends with a reason and touches no other. What was decoded is
//! handed over even if the client is gone. What packets mean is in `session.rs`.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, Sleep, sleep_until};

use super::admission::Client;
use super::budget::Account;
use super::close::CloseReason;
use super::codec::Refusal;
use super::deadlines::{Deadlines, FAR};
use super::deliveries::{Message, Subscription};
use super::farewell::say_farewell;
use super::introduction::{introduced, refuse};
use super::registry::{Entry, Whose};
use super::session::{Session, source};
use super::transport::{Peer, Transport};
use super::wills::{Left, Will};
use super::{REFUSAL_WAIT, Shared};
use crate::door::{
    Counts, Door, DoorClosed, Encoded, Lane, Lanes, Ledger, NotHandedOver, Source, WhenFull,
};
use crate::places::Place;
use crate::telemetry::{self, Adapter};

/// How much room a read finds, at least and at most.
pub(super) const READ_BYTES_MIN: usize = 2 * 1024;
const READ_BYTES_MAX: usize = 64 * 1024;

/// How a connection is there.
#[derive(Debug)]
pub(super) enum Admission {
    /// It has a place.
    Placed(Place),
    /// All places are taken: it is here to be told so, unless it is of a client that has one.
    Beyond(OwnedSemaphorePermit),
}

impl Admission {
    /// How long it may take to introduce itself.
    fn wait_max(&self, shared: &Shared) -> Duration {
        match self {
            Self::Placed(_) => shared.options.connect_wait_max,
            Self::Beyond(_) => shared.options.connect_wait_max.min(REFUSAL_WAIT),
        }
    }

    /// Waits until its place is given to another.
    async fn given_away(&self) {
        match self {
            Self::Placed(place) => place.given_away().await,
            Self::Beyond(_) => std::future::pending().await,
        }
    }

    /// Its place, once its client has introduced itself. One that is back while its connection of before
    /// is still there, whose other end may have vanished, has the place of that (section 3.1.4).
    ///
    /// # Errors
    /// There is none; or none beyond the bound, with what lets the client be told so.
    fn place(
        self,
        client: &Client,
        shared: &Shared,
    ) -> Result<Place, Option<OwnedSemaphorePermit>> {
        match self {
            Self::Placed(place) if place.claim() => Ok(place),
            Self::Placed(_) => Err(None),
            Self::Beyond(permit) => {
                let seated = shared.registry.seated(&client.key).unwrap_or_default();
                shared.places.inherit(&seated, permit).map_err(Some)
            }
        }
    }
}

/// Why a connection ends for which there is no place.
const BEYOND: CloseReason = CloseReason::Refused(Refusal::ConnectionsMax);

/// Serves one accepted socket until it ends; returns what the client left to be published, with its place.
pub(super) async fn run(
    mut stream: impl Transport,
    peer: Peer,
    shared: Arc<Shared>,
    mut stopping: watch::Receiver<bool>,
    admission: Admission,
) -> Option<(Left, Place)> {
    let mut received = BytesMut::with_capacity(READ_BYTES_MIN);
    let mut account = shared.budget.open();
    let holding = account.holding();
    stream.count_for(&holding);
    let within = (&*shared, admission.wait_max(&shared));
    let introduced = select! {
        introduced = introduced(&mut stream, &mut received, &mut account, within) => introduced,
        () = admission.given_away() => Err(CloseReason::GaveWay),
        () = holding.closed() => Err(CloseReason::OverBudget),
        _ = stopping.wait_for(|stopping| *stopping) => Err(CloseReason::Stopping),
    };
    let stays = match introduced {
        Ok((client, connack)) => match admission.place(&client, &shared) {
            Ok(place) => Ok((client, connack, place)),
            Err(None) => Err(CloseReason::GaveWay),
            Err(Some(_permit)) => {
                Err(refuse(&mut stream, client.version, Refusal::ConnectionsMax).await)
            }
        },
        Err(reason) => Err(match admission {
            // Whatever it has said or not: it would not have been let in.
            Admission::Beyond(_) if !matches!(reason, CloseReason::Refused(_)) => BEYOND,
            Admission::Placed(_) | Admission::Beyond(_) => reason,
        }),
    };
    let (client, connack, place) = match stays {
        Ok(introduced) => introduced,
        Err(reason) => {
            telemetry::mqtt_closed("", peer, reason.word(), reason.is_trouble());
            return None;
        }
    };
    let name = client.key.client_id.clone();
    let has_will = client.will.is_some();
    telemetry::mqtt_connected(&name, peer, client.version.word(), has_will);
    let entry = shared
        .registry
        .enter(client.key.clone(), client.as_successor, place.seated());
    let who = source(&client.key);
    let whose = Whose::of(&client.key, peer);
    let quota = shared.sources.of(&client.key, &whose, Instant::now());
    let link = Link::new(received, connack, &client, (account, &quota), &shared);
    let (reason, mut account) = serve(&mut stream, link, &entry, &shared, stopping).await;
    telemetry::mqtt_disconnected();
    telemetry::mqtt_closed(&name, peer, reason.word(), reason.is_trouble());
    let will = client.will.filter(|_| reason.publishes_will())?;
    // The will, and what it is decoded to.
    account.set(2 * will.bytes());
    let left = Left {
        will,
        account,
        quota,
        source: who,
        sensors: client.rights.sensors,
        entry,
    };
    Some((left, place))
}

/// What wakes a connection.
enum Event {
    HandedOver(Lane, Result<(), DoorClosed>),
    Settled(Result<Counts, DoorClosed>),
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Decision(Message),
    TakenOver,
    OverBudget,
    Stopping,
    Due,
}

/// Serves a client that was let in; returns why it ended, and its account.
async fn serve(
    stream: &mut impl Transport,
    mut link: Link,
    entry: &Entry,
    shared: &Shared,
    mut stopping: watch::Receiver<bool>,
) -> (CloseReason, Account) {
    let ledger = Arc::<Ledger>::default();
    let (mut reader, mut writer) = stream.halves();
    // What waits for the door, by lane: neither waits for the other.
    let (mut urgent, mut telemetry) = (pin!(None), pin!(None));
    let mut alarm = pin!(sleep_until(Instant::now() + FAR));
    loop {
        link.take(&shared.door);
        loop {
            let mut any = false;
            for lane in Lane::ALL {
                let mut waiting = match lane {
                    Lane::Urgent => urgent.as_mut(),
                    Lane::Telemetry => telemetry.as_mut(),
                };
                if waiting.is_some() {
                    continue;
                }
                match link.hand_over(lane, &shared.door, &ledger) {
                    HandedOver::Nothing => {}
                    HandedOver::Some => any = true,
                    HandedOver::Full(inputs, upto) => {
                        waiting.set(Some(shared.door.hand_over(lane, inputs, &ledger, upto)));
                    }
                }
            }
            if !any {
                break;
            }
            // Now there may be room for what was received behind it.
            link.take(&shared.door);
        }
        if let Some(reason) = link.ended() {
            match link.farewell() {
                Some(packet) => say_farewell(reader, writer, &packet, link.received).await,
                None => drop(writer.shutdown().await),
            }
            return (reason, link.account);
        }
        link.account.set(link.held());
        link.set_alarm(alarm.as_mut());
        let delivers = link.leaving.is_none();
        let session = &mut link.session;
        let event = select! {
            done = opened(urgent.as_mut()) => Event::HandedOver(Lane::Urgent, done),
            done = opened(telemetry.as_mut()) => Event::HandedOver(Lane::Telemetry, done),
            settled = ledger.settled_beyond(session.settled()), if session.in_flight() > 0 => {
                Event::Settled(settled)
            }
            read = reader.read_buf(&mut link.received), if link.reading => Event::Read(read),
            wrote = session.outbox.write(&mut writer, &mut session.out, delivers) => {
                Event::Wrote(wrote)
            }
            message = next(&mut session.subscription), if link.writing_decisions => {
                Event::Decision(message)
            }
            _ = entry.taken_over(), if link.leaving.is_none() => Event::TakenOver,
            () = link.account.closed() => Event::OverBudget,
            _ = stopping.wait_for(|stopping| *stopping), if !link.stopping => Event::Stopping,
            () = alarm.as_mut() => Event::Due,
        };
        match event {
            Event::HandedOver(Lane::Urgent, _) => urgent.set(None),
            Event::HandedOver(Lane::Telemetry, _) => telemetry.set(None),
            _ => {}
        }
        link.on(event, &shared.door);
    }
}

/// Waits for the door to take what waits; for ever if nothing does.
async fn opened<F>(mut waiting: Pin<&mut Option<F>>) -> Result<(), DoorClosed>
where
    F: Future<Output = Result<(), DoorClosed>>,
{
    match waiting.as_mut().as_pin_mut() {
        Some(waiting) => waiting.await,
        None => std::future::pending().await,
    }
}

/// Waits for a decision; for ever without a subscription.
async fn next(subscription: &mut Option<Subscription>) -> Message {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}

/// Makes room for so many bytes; gives back what is far more than that once it is empty, for
/// there are thousands of connections.
fn fit(buffer: &mut BytesMut, bytes: usize) {
    if buffer.is_empty() && buffer.capacity() > READ_BYTES_MIN + 4 * bytes {
        *buffer = BytesMut::with_capacity(bytes);
    } else {
        buffer.reserve(bytes);
    }
}

/// What came of handing over.
enum HandedOver {
    Nothing,
    Some,
    /// The lane is full: these wait, and make so many of the connection.
    Full(Encoded, u64),
}

/// A connection that ends, and what it still waits for.
#[derive(Debug, Clone, Copy)]
struct Leaving {
    reason: CloseReason,
    /// Whether acknowledgements are still awaited and written.
    settles: bool,
    /// Whether the client will be told why, after what is being written to it.
    is_told: bool,
}

/// A connection but for its futures.
struct Link {
    session: Session,
    received: BytesMut,
    deadlines: Deadlines,
    client: Box<str>,
    read_bytes: usize,
    /// How many inputs wait for the door.
    waiting: Lanes<u32>,
    /// How many bytes they have.
    waiting_bytes: Lanes<usize>,
    /// How many bytes its will has.
    will_bytes: usize,
    account: Account,
    /// Whether the socket is read now.
    reading: bool,
    /// Whether decisions are written now.
    writing_decisions: bool,
    /// Whether this process is stopping.
    stopping: bool,
    leaving: Option<Leaving>,
}

impl Link {
    fn new(
        received: BytesMut,
        connack: BytesMut,
        client: &Client,
        (account, quota): (Account, &Source),
        shared: &Shared,
    ) -> Self {
        let options = Arc::clone(&shared.options);
        let deadlines = Deadlines::new(client.silence_max, &options);
        let mut session = Session::new(client, options, shared.deliveries.clone(), quota.inputs());
        session.out = connack;
        session.holding = Some(account.holding());
        Self {
            session,
            received,
            deadlines,
            client: client.key.client_id.clone(),
            read_bytes: READ_BYTES_MIN,
            waiting: Lanes::default(),
            waiting_bytes: Lanes::default(),
            will_bytes: client.will.as_ref().map_or(0, Will::bytes),
            account,
            reading: true,
            writing_decisions: false,
            stopping: false,
            leaving: None,
        }
    }

    /// Takes the packets that were received and have room; decides whether to read on.
    fn take(&mut self, door: &Door) {
        let folds = self.waiting.telemetry > 0 && door.when_full() == WhenFull::Conflate;
        self.session.folds = folds;
        self.take_received(door);
        while folds && self.session.fold() {
            self.take_received(door);
        }
        let reads = self.leaving.is_none() && self.session.has_room();
        if reads && !self.reading {
            // Its silence was ours: it is not held against the client.
            self.deadlines.heard();
        }
        self.reading = reads;
        self.writing_decisions = self.leaving.is_none() && self.session.has_room_for_decisions();
    }

    fn take_received(&mut self, door: &Door) {
        if self.leaving.is_none() && !self.received.is_empty() {
            let before = self.received.len();
            let (_, result) = self.session.take(&mut self.received, &door.catalogue());
            // Packets; or bytes of one that is passed over, which may take long to come.
            if self.received.len() < before {
                self.deadlines.heard();
            }
            fit(&mut self.received, self.read_bytes);
            if let Err(reason) = result {
                self.leave(reason);
            }
        }
    }

    /// Hands over what was taken of a lane, or gives it back if that is full.
    fn hand_over(&mut self, lane: Lane, door: &Door, ledger: &Arc<Ledger>) -> HandedOver {
        let Some((inputs, upto)) = self.session.take_inputs(lane) else {
            return HandedOver::Nothing;
        };
        match door.try_hand_over(lane, inputs, ledger, upto) {
            Ok(()) => HandedOver::Some,
            Err(NotHandedOver::Full(inputs)) => {
                telemetry::door_full(Adapter::Mqtt);
                self.deadlines.waits_for_door();
                *self.waiting.of_mut(lane) = inputs.count();
                *self.waiting_bytes.of_mut(lane) = inputs.bytes();
                HandedOver::Full(inputs, upto)
            }
            Err(NotHandedOver::Closed) => {
                self.end(CloseReason::EngineStopped);
                HandedOver::Nothing
            }
        }
    }

    /// How many bytes it holds itself; what waits in its queue is counted by who puts it there.
    fn held(&self) -> usize {
        let decoded =
            self.session.decoded_bytes() + self.waiting_bytes.urgent + self.waiting_bytes.telemetry;
        let owed = self.session.out.len() + self.session.owed_bytes();
        self.received.len() + decoded + owed + self.will_bytes
    }

    fn on(&mut self, event: Event, door: &Door) {
        match event {
            Event::HandedOver(lane, Ok(())) => {
                *self.waiting.of_mut(lane) = 0;
                *self.waiting_bytes.of_mut(lane) = 0;
                if self.waiting == Lanes::default() {
                    self.deadlines.door_opened();
                }
            }
            Event::Settled(Ok(settled)) => self.session.settle(settled),
            Event::HandedOver(_, Err(DoorClosed)) | Event::Settled(Err(DoorClosed)) => {
                self.end(CloseReason::EngineStopped);
            }
            Event::Read(Ok(0)) => self.leave(CloseReason::SocketClosed),
            Event::Read(Ok(count)) => self.fit_reads(count),
            Event::Wrote(Ok(1..)) => {
                self.deadlines.wrote(self.session.out.is_empty());
                fit(&mut self.session.out, 0);
            }
            Event::Read(Err(_)) | Event::Wrote(_) => self.leave(CloseReason::SocketFailed),
            Event::Decision(message) => self.session.put_decision(&message),
            Event::TakenOver => self.leave(CloseReason::TakenOver),
            // What it holds is given up at once: to be waited for is what it is closed for.
            Event::OverBudget => self.end(CloseReason::OverBudget),
            Event::Stopping => {
                self.stopping = true;
                self.leave(CloseReason::Stopping);
            }
            Event::Due => self.on_due(door),
        }
    }

    /// Reads more at once while reads fill what they are given, and less when they no longer do.
    fn fit_reads(&mut self, count: usize) {
        if count >= self.read_bytes {
            self.read_bytes = (self.read_bytes * 2).min(READ_BYTES_MAX);
        } else if count < self.read_bytes / 4 {
            self.read_bytes = (self.read_bytes / 2).max(READ_BYTES_MIN);
        }
    }

    fn on_due(&mut self, door: &Door) {
        self.session.look_again(door);
        let Some((at, reason)) = self.deadlines.earliest() else {
            return;
        };
        if at > Instant::now() {
            return;
        }
        match reason {
            CloseReason::KeepAliveExpired => self.leave(reason),
            reason => self.end(reason),
        }
    }

    /// Begins to leave: what was decoded is still handed over and, if it is we who stop or the client
    /// has taken its leave, acknowledged.
    fn leave(&mut self, reason: CloseReason) {
        let settles = reason.is_in_peace();
        let is_told = self.session.farewell(reason).is_some();
        if !settles && !is_told {
            self.session.out.clear();
            self.deadlines.wrote(true);
        }
        let leaving = self.leaving.get_or_insert(Leaving {
            reason,
            settles,
            is_told,
        });
        leaving.settles &= settles;
        leaving.is_told &= is_told;
        self.deadlines.leaves(reason == CloseReason::Stopping);
    }

    /// Leaves without waiting for anything.
    fn end(&mut self, reason: CloseReason) {
        let reason = self.leaving.map_or(reason, |leaving| leaving.reason);
        let was_told = self.leaving.is_none_or(|leaving| leaving.is_told);
        self.leaving = Some(Leaving {
            reason,
            settles: false,
            // Not in the middle of another packet.
            is_told: was_told && self.session.out.is_empty(),
        });
        self.session.out.clear();
        self.deadlines.ended();
    }

    /// The last packet, if the client is told why the connection ends.
    fn farewell(&self) -> Option<BytesMut> {
        let leaving = self.leaving.filter(|leaving| leaving.is_told)?;
        self.session.farewell(leaving.reason)
    }

    /// The reason, once nothing is waited for any more.
    fn ended(&self) -> Option<CloseReason> {
        let leaving = self.leaving?;
        if self.deadlines.is_over() {
            let lost = self.not_handed_over();
            if lost > 0 {
                telemetry::mqtt_inputs_abandoned(&self.client, lost);
            }
            return Some(leaving.reason);
        }
        let handed_over = self.not_handed_over() == 0;
        let settled = !leaving.settles || self.session.in_flight() == 0;
        (handed_over && settled && self.session.out.is_empty()).then_some(leaving.reason)
    }

    /// How many inputs were decoded and are not at the door.
    const fn not_handed_over(&self) -> u32 {
        self.waiting.urgent + self.waiting.telemetry + self.session.not_handed_over()
    }

    /// Sees to it that the alarm rings no later than the earliest deadline.
    fn set_alarm(&mut self, mut alarm: Pin<&mut Sleep>) {
        self.deadlines.listens(self.reading);
        if !self.session.out.is_empty() {
            self.deadlines.writes();
        }
        let deadline = self.deadlines.earliest().map(|(at, _)| at);
        let earliest = deadline.into_iter().chain(self.session.due()).min();
        if earliest.is_some_and(|at| at < alarm.deadline()) || alarm.is_elapsed() {
            let at = earliest.unwrap_or_else(|| Instant::now() + FAR);
            alarm.as_mut().reset(at);
        }
    }
}
