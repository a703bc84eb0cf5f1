//! What one connection to a broker has brought, and what of it is durable.
//!
//! Arrives: messages, in the order of the connection. Leaves: inputs through the door, and how many
//! are settled. Promise: each connection has an epoch of its own, with its own ledger: what was
//! brought by an earlier one can never be acknowledged on this one, where its number may mean
//! another message.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ioc_core::time::Timestamp;
use tokio::time::{Instant, sleep_until};

use super::DECODED_BYTES_MAX;
use crate::door::{Counts, Door, DoorClosed, Inputs, Source, Way};
use crate::formats::{Gaps, Message, Origin, Reject, Reply, Workspace};
use crate::formats::{append_beginning, append_message_or_native, is_nothing, says_its_times};
use crate::telemetry::{self, Adapter};

/// Where what a link brings comes in: the door, and how much of it the link may still take, which
/// does not begin anew with each of its connections; nor does what its connections wait for.
#[derive(Debug, Clone)]
pub(super) struct Entrance {
    door: Door,
    source: Source,
    gaps: LastGaps,
}

/// Edge nodes that the last connection was to ask for what is missing.
#[derive(Debug, Clone, Default)]
struct LastGaps(Arc<Mutex<Gaps>>);

impl LastGaps {
    fn lock(&self) -> MutexGuard<'_, Gaps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entrance {
    /// That of a link which has brought nothing.
    pub fn new(door: Door) -> Self {
        Self {
            source: door.source(),
            door,
            gaps: LastGaps::default(),
        }
    }
}

/// One connection's way through the door.
pub(super) struct Epoch {
    way: Way,
    adapter: Adapter,
    source: Box<str>,
    workspace: Workspace,
    gaps: LastGaps,
    inputs: Inputs,
    /// Of each message that is not settled, how many inputs there were up to it.
    ends: VecDeque<Counts>,
    /// Whether nothing has come since something was handed over, and how many bytes that was.
    is_new: bool,
    handed_over_bytes: usize,
    /// How many readings have come and were not counted.
    uncounted: u32,
    decoded: u64,
    settled: u64,
}

impl Epoch {
    /// An epoch that nothing has come in; `source` is what dead letters name.
    pub fn new(entrance: &Entrance, adapter: Adapter, source: &str) -> Self {
        Self {
            inputs: entrance.source.inputs(),
            way: Way::new(entrance.door.clone(), adapter),
            adapter,
            source: source.into(),
            workspace: Workspace::with_gaps(mem::take(&mut *entrance.gaps.lock())),
            gaps: entrance.gaps.clone(),
            ends: VecDeque::new(),
            is_new: true,
            handed_over_bytes: 0,
            uncounted: 0,
            decoded: 0,
            settled: 0,
        }
    }

    /// Takes a message: the readings in it, and dead letters with the reasons. What nothing says the
    /// shape of is a native reading.
    pub fn take(&mut self, message: Message<'_>) {
        if mem::replace(&mut self.is_new, false) {
            // What comes together comes at one time, and is about as much as before.
            self.inputs.at(Instant::now());
            self.inputs.reserve(self.handed_over_bytes);
        }
        let adapter = self.adapter;
        let readings = &mut self.uncounted;
        let mut told = |item: Result<&str, Reject>| match item {
            Ok(_) => *readings += 1,
            Err(reject) => telemetry::dead_letter(adapter, reject.reason),
        };
        append_message_or_native(
            &mut self.inputs,
            message,
            &self.source,
            &self.way.door().catalogue(),
            &mut self.workspace,
            &mut told,
        );
        let demoted = self.inputs.take_demoted();
        telemetry::urgent_demoted(adapter, &self.source, demoted);
        self.took();
    }

    /// The time, as what says none of its own is observed.
    pub fn now(&self) -> Timestamp {
        self.way.door().catalogue().now.now()
    }

    /// Whether a message that came before, and comes again, is one that the judgement knows by what
    /// it says: with readings that have times of their own.
    pub fn is_known_again(&mut self, message: Message<'_>) -> bool {
        let catalogue = self.way.door().catalogue();
        says_its_times(message, &catalogue, &mut self.workspace)
    }

    /// Why a message of an MQTT broker says nothing, if it does not.
    pub fn is_nothing(&self, message: Message<'_>) -> Option<&'static str> {
        is_nothing(message, &self.way.door().catalogue())
    }

    /// Takes a message of which no more than this was kept, as a dead letter.
    pub fn take_beginning(&mut self, topic: &str, reject: &Reject, kept: &[u8], bytes: usize) {
        let origin = Origin {
            source: &self.source,
            topic,
        };
        append_beginning(&mut self.inputs, origin, reject, kept, bytes);
        telemetry::dead_letter(self.adapter, reject.reason);
        self.took();
    }

    /// Passes over a message that is of no use here, for a reason to count by: nothing of it has to
    /// become durable.
    pub fn pass_over(&mut self, why: &'static str) {
        telemetry::broker_passed_over(&self.source, why);
        self.took();
    }

    fn took(&mut self) {
        self.decoded += 1;
        self.ends.push_back(self.way.decoded(&self.inputs));
    }

    /// What the messages that were taken want said back, in its order. It is for this connection: what it does not
    /// carry away is dropped with it.
    pub fn next_reply(&mut self) -> Option<Reply> {
        self.workspace.replies.pop()
    }

    /// How many messages were taken: the number of the last one.
    pub const fn decoded(&self) -> u64 {
        self.decoded
    }

    /// How many are durable with all before them, as far as was told.
    pub const fn settled(&self) -> u64 {
        self.settled
    }

    /// How many are taken and not durable.
    pub const fn in_flight(&self) -> u64 {
        self.decoded - self.settled
    }

    /// How many wait outside the door with something in them: what is lost with this epoch.
    pub fn outside(&self) -> usize {
        let inside = self.way.inside();
        let are_outside = |end: &&Counts| !inside.cover(**end);
        self.ends.iter().rev().take_while(are_outside).count()
    }

    /// Whether more may be read while so many are in flight at most.
    pub fn has_room(&self, inflight_max: u64) -> bool {
        self.in_flight() < inflight_max && self.inputs.bytes() < DECODED_BYTES_MAX
    }

    /// Hands over what was taken, unless something of its lane waits for the door already.
    pub fn hand_over(&mut self) -> Result<(), DoorClosed> {
        // What was taken may hold nothing that must become durable.
        self.settle();
        if !mem::replace(&mut self.is_new, true) {
            telemetry::readings_decoded(self.adapter, mem::take(&mut self.uncounted));
            self.handed_over_bytes = self.inputs.bytes();
        }
        self.way.hand_over(&mut self.inputs, DECODED_BYTES_MAX / 4)
    }

    /// Waits until the door has taken what waits for it, or until more is durable; or until
    /// somebody who has said nothing more is to be asked for what is missing.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn progress(&mut self) -> Result<(), DoorClosed> {
        let is_in_flight = self.in_flight() > 0;
        let due = self.workspace.due();
        tokio::select! {
            progress = self.way.progress(), if is_in_flight => {
                progress?;
                self.settle();
            }
            () = until(due) => {
                let catalogue = self.way.door().catalogue();
                self.workspace.look_again(&catalogue, Instant::now());
            }
        }
        Ok(())
    }

    fn settle(&mut self) {
        let durable = self.way.durable();
        let decoded: Counts = self.way.decoded(&self.inputs);
        if durable.telemetry == decoded.telemetry {
            self.inputs.is_settled();
        }
        while self.ends.pop_front_if(|end| durable.cover(*end)).is_some() {
            self.settled += 1;
        }
    }
}

impl Drop for Epoch {
    /// Who is to be asked is asked over the next connection.
    fn drop(&mut self) {
        *self.gaps.lock() = self.workspace.take_gaps();
    }
}

/// Waits until then; for ever if that is never.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::door::{Arrivals, DoorOptions, Lane, Lanes, WhenFull};
    use crate::formats;
    use arc_swap::ArcSwap;
    use expect_test::expect;
    use ioc_core::record::Input;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    const READING: &[u8] =
        br#"{"id":"a","sensor":"s","kind":"k","observed_at":"2026-03-14T06:45:10Z","value":1}"#;

    fn message(payload: &[u8]) -> Message<'_> {
        Message {
            topic: "t",
            payload,
            ..Message::default()
        }
    }

    fn epoch(waiting_bytes_max: u32) -> (Epoch, Arrivals) {
        let options = DoorOptions {
            waiting_bytes_max: Lanes::each(|_| waiting_bytes_max),
            when_full: WhenFull::Wait,
            ..DoorOptions::default()
        };
        let (door, arrivals) = Door::new(options, Arc::default());
        (epoch_of(door), arrivals)
    }

    fn epoch_of(door: Door) -> Epoch {
        Epoch::new(&Entrance::new(door), Adapter::MqttBroker, "mqtt city")
    }

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_one_connection_brought_is_never_settled_on_the_next() {
        let (mut old, arrivals) = epoch(1 << 20);
        old.take(message(READING));
        old.hand_over().unwrap();
        let mut new = epoch_of(old.way.door().clone());
        drop(old);
        new.take(message(READING));
        arrivals.queue(Lane::Telemetry).recv().unwrap().ack.settle();
        assert!(poll(new.progress()).is_pending());
        new.hand_over().unwrap();
        arrivals.queue(Lane::Telemetry).recv().unwrap().ack.settle();
        assert_eq!(poll(new.progress()), Poll::Ready(Ok(())));
        assert_eq!((new.settled(), new.in_flight()), (1, 0));
    }

    #[test]
    fn what_holds_nothing_is_settled_with_what_came_before_it() {
        let format = formats::mapping::Format::Sparkplug;
        let catalogue = formats::tests::catalogue("spBv1.0/#", format);
        let options = DoorOptions {
            waiting_bytes_max: Lanes::each(|_| 1 << 20),
            ..DoorOptions::default()
        };
        let (door, arrivals) = Door::new(options, Arc::new(ArcSwap::from_pointee(catalogue)));
        let mut epoch = epoch_of(door);
        let command = Message {
            topic: "spBv1.0/g/NCMD/n",
            ..Message::default()
        };
        epoch.take(command);
        epoch.hand_over().unwrap();
        assert_eq!((epoch.settled(), epoch.in_flight()), (1, 0));
        epoch.take(message(READING));
        epoch.hand_over().unwrap();
        epoch.take(command);
        epoch.hand_over().unwrap();
        assert_eq!((epoch.settled(), epoch.in_flight()), (1, 2));
        arrivals.queue(Lane::Telemetry).recv().unwrap().ack.settle();
        assert_eq!(poll(epoch.progress()), Poll::Ready(Ok(())));
        epoch.hand_over().unwrap();
        assert_eq!((epoch.settled(), epoch.in_flight()), (3, 0));
    }

    #[test]
    fn p5_a_full_door_is_waited_for_and_more_is_not_read() {
        let (mut epoch, arrivals) = epoch(1);
        epoch.take(message(READING));
        epoch.hand_over().unwrap();
        epoch.take(message(b"no reading"));
        epoch.hand_over().unwrap();
        assert!(poll(epoch.progress()).is_pending());
        assert_eq!(epoch.outside(), 1, "it waits");
        while epoch.has_room(u64::MAX) {
            epoch.take(message(READING));
        }
        assert!(epoch.inputs.bytes() < DECODED_BYTES_MAX + 1024);
        assert!(!epoch.has_room(1), "as many are in flight as may be");
        let first = arrivals.queue(Lane::Telemetry).recv().unwrap();
        arrivals.release(&first);
        assert_eq!(poll(epoch.progress()), Poll::Ready(Ok(())), "handed over");
        assert!(epoch.way.waits_since().is_none());
        assert_eq!(epoch.outside() as u64, epoch.in_flight() - 2);
    }

    #[test]
    fn p7_what_is_urgent_goes_ahead_and_is_settled_in_the_order_of_the_messages() {
        let catalogue = Catalogue {
            urgent: ["alarm"].into_iter().collect(),
            ..Catalogue::default()
        };
        let options = DoorOptions {
            waiting_bytes_max: Lanes {
                urgent: 1 << 20,
                telemetry: 1,
            },
            when_full: WhenFull::Wait,
            ..DoorOptions::default()
        };
        let (door, arrivals) = Door::new(options, Arc::new(ArcSwap::from_pointee(catalogue)));
        let mut epoch = epoch_of(door);
        let urgent = String::from_utf8_lossy(READING).replace(r#""k""#, r#""alarm""#);
        let settle = |lane| {
            let arrival = arrivals.queue(lane).try_recv().unwrap();
            arrivals.release(&arrival);
            arrival.ack.settle();
        };
        for payload in [READING, READING, urgent.as_bytes(), READING] {
            epoch.take(message(payload));
            epoch.hand_over().unwrap();
        }
        // Past the telemetry that waits for a full lane.
        settle(Lane::Urgent);
        assert_eq!(poll(epoch.progress()), Poll::Ready(Ok(())));
        assert_eq!((epoch.settled(), epoch.in_flight()), (0, 4));
        settle(Lane::Telemetry);
        while epoch.settled() == 0 {
            assert_eq!(poll(epoch.progress()), Poll::Ready(Ok(())));
        }
        assert_eq!(epoch.settled(), 1);
        while arrivals.queue(Lane::Telemetry).is_empty() {
            assert_eq!(poll(epoch.progress()), Poll::Ready(Ok(())));
        }
        settle(Lane::Telemetry);
        while epoch.settled() == 1 {
            assert_eq!(poll(epoch.progress()), Poll::Ready(Ok(())));
        }
        assert_eq!(epoch.settled(), 3, "with the urgent one between");
    }

    #[test]
    fn p7_a_link_that_is_made_again_has_no_more_of_its_quota_left() {
        let catalogue = Catalogue {
            urgent: ["k"].into_iter().collect(),
            ..Catalogue::default()
        };
        let options = DoorOptions {
            rates: Lanes {
                urgent: Some(1),
                telemetry: None,
            },
            ..DoorOptions::default()
        };
        let (door, arrivals) = Door::new(options, Arc::new(ArcSwap::from_pointee(catalogue)));
        let entrance = Entrance::new(door);
        let brings = |count| {
            let mut epoch = Epoch::new(&entrance, Adapter::MqttBroker, "mqtt city");
            (0..count).for_each(|_| epoch.take(message(READING)));
            epoch.hand_over().unwrap();
            let urgent = arrivals.queue(Lane::Urgent).try_iter();
            urgent.map(|arrival| arrival.inputs.records()).sum::<u32>()
        };
        assert_eq!(brings(8), 8);
        assert!(brings(8) < 8, "ten seconds' worth of both connections");
    }

    /// An edge node is born, and says the next but one of its messages.
    fn lacks_one(epoch: &mut Epoch) {
        for (topic, payload) in [
            ("spBv1.0/g/NBIRTH/n", &[0x18, 0][..]),
            ("spBv1.0/g/NDATA/n", &[0x18, 2][..]),
        ] {
            epoch.take(Message {
                topic,
                payload,
                ..Message::default()
            });
        }
        assert_eq!(epoch.next_reply(), None, "it may come late");
    }

    fn sparkplug_door() -> (Door, Arrivals) {
        let format = formats::mapping::Format::Sparkplug;
        let catalogue = formats::tests::catalogue("spBv1.0/#", format);
        let catalogue = Arc::new(ArcSwap::from_pointee(catalogue));
        Door::new(DoorOptions::default(), catalogue)
    }

    fn asked(epoch: &mut Epoch) -> Option<String> {
        epoch.next_reply().map(|reply| reply.topic)
    }

    #[tokio::test]
    async fn an_edge_node_that_says_nothing_more_is_asked_for_what_is_missing_in_time() {
        let (door, _arrivals) = sparkplug_door();
        let mut epoch = epoch_of(door);
        lacks_one(&mut epoch);
        let began = Instant::now();
        while asked(&mut epoch).is_none() {
            epoch.hand_over().unwrap();
            epoch.progress().await.unwrap();
        }
        assert!(began.elapsed() >= Duration::from_secs(2));
    }

    #[tokio::test]
    async fn an_edge_node_is_asked_over_the_next_connection_if_its_own_has_ended() {
        let (door, _arrivals) = sparkplug_door();
        let entrance = Entrance::new(door);
        let connect = || Epoch::new(&entrance, Adapter::MqttBroker, "mqtt city");
        lacks_one(&mut connect());
        let mut next = connect();
        next.progress().await.unwrap();
        assert_eq!(asked(&mut next).as_deref(), Some("spBv1.0/g/NCMD/n"));
    }

    #[tokio::test]
    async fn an_edge_node_is_not_asked_for_what_has_come_late() {
        let (door, _arrivals) = sparkplug_door();
        let mut epoch = epoch_of(door);
        lacks_one(&mut epoch);
        epoch.take(Message {
            topic: "spBv1.0/g/NDATA/n",
            payload: &[0x18, 1],
            ..Message::default()
        });
        epoch.progress().await.unwrap();
        assert_eq!((asked(&mut epoch), epoch.workspace.due()), (None, None));
    }

    #[test]
    fn an_event_in_binary_mode_gives_its_data_what_they_leave_out() {
        let (mut epoch, arrivals) = epoch(1 << 20);
        let event = [
            ("specversion", "1.0"),
            ("id", "A-1"),
            ("source", "/pumps"),
            ("type", "t"),
            ("time", "2026-03-14T06:45:10Z"),
        ];
        let payload = br#"{"sensor":"p-1","kind":"pump","value":1}"#;
        for topic in ["city/pumps", "ioc/v1/readings/p-1"] {
            epoch.take(Message {
                topic,
                payload,
                event: &event,
                ..Message::default()
            });
        }
        // Nothing of it is left for the next message.
        epoch.take(Message {
            topic: "ioc/v1/readings/p-1",
            payload,
            ..Message::default()
        });
        epoch.hand_over().unwrap();
        let arrival = arrivals.queue(Lane::Telemetry).recv().unwrap();
        let told = arrival
            .inputs
            .iter()
            .map(|input| match Input::decode(input) {
                Ok(Input::Reading(reading)) => format!("{} {}", reading.id, reading.observed_at),
                Ok(Input::DeadLetter(letter)) => letter.reason.to_owned(),
                other => panic!("{other:?}"),
            });
        let told: Vec<_> = told.collect();
        let reading = "/pumps A-1 2026-03-14T06:45:10.000Z";
        assert_eq!(told, [reading, reading, "observed_at_missing"]);
    }

    #[test]
    fn messages_are_what_mappings_and_content_types_say_and_native_readings_else() {
        let catalogue = formats::tests::catalogue("city/gauges/#", formats::tests::gauges());
        let catalogue = Arc::new(ArcSwap::from_pointee(catalogue));
        let (door, arrivals) = Door::new(DoorOptions::default(), catalogue);
        let mut epoch = Epoch::new(&Entrance::new(door), Adapter::Nats, "nats city");
        let gauges = br#"{"at":1773470710,"gauges":[{"name":"g1","level":1},{"name":"g2"}]}"#;
        let senml = br#"[{"bn":"wl-7","n":"","u":"m","v":2,"bt":1773470710}]"#;
        for (topic, payload, content_type) in [
            ("city/gauges/7", &gauges[..], None),
            ("senml", senml, Some("application/senml+json")),
            ("city/water", READING, Some("application/json")),
            ("city/water", b"no reading", None),
            ("city/water", br#"{"name":"g1","level":1.5}"#, None),
        ] {
            epoch.take(Message {
                topic,
                payload,
                content_type,
                ..Message::default()
            });
        }
        epoch.hand_over().unwrap();
        let arrival = arrivals.queue(Lane::Telemetry).recv().unwrap();
        let inputs = arrival.inputs.iter().map(Input::decode);
        let told: Vec<_> = inputs
            .map(|input| match input.unwrap() {
                Input::Reading(reading) => format!("reading of {}", reading.sensor),
                Input::DeadLetter(letter) => format!("{} on {}", letter.reason, letter.topic),
                other => panic!("{other:?}"),
            })
            .collect();
        expect![[r#"
            [
                "reading of g1",
                "value_missing on city/gauges/7",
                "kind_missing on senml",
                "reading of s",
                "topic_unknown on city/water",
                "topic_unknown on city/water",
            ]
        "#]]
        .assert_debug_eq(&told);
        arrival.ack.settle();
        assert_eq!(poll(epoch.progress()), Poll::Ready(Ok(())));
        assert_eq!(epoch.settled(), 5, "a message is one, whatever it brought");
    }
}
