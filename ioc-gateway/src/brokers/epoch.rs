//! What one connection to a broker has brought, and what of it is durable.
//!
//! Arrives: messages, in the order of the connection. Leaves: inputs through the door, and how many
//! are settled. Promise: each connection has an epoch of its own, with its own ledger: what was
//! brought by an earlier one can never be acknowledged on this one, where its number may mean
//! another message.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::DECODED_BYTES_MAX;
use crate::door::{Door, DoorClosed, Inputs, Ledger, NotHandedOver};
use crate::formats::{Message, Reject, Reply, Workspace, append_message_or_native};
use crate::telemetry::{self, Adapter};

type HandingOver = Pin<Box<dyn Future<Output = Result<(), DoorClosed>> + Send>>;

/// One connection's way through the door.
pub(super) struct Epoch {
    door: Door,
    ledger: Arc<Ledger>,
    adapter: Adapter,
    source: Box<str>,
    workspace: Workspace,
    inputs: Inputs,
    decoded: u64,
    /// How many of them were handed over, or wait for the door.
    handed_over: u64,
    settled: u64,
    /// What the door was too full for.
    waiting: Option<HandingOver>,
}

impl Epoch {
    /// An epoch that nothing has come in; `source` is what dead letters name.
    pub fn new(door: Door, adapter: Adapter, source: &str) -> Self {
        Self {
            door,
            ledger: Arc::default(),
            adapter,
            source: source.into(),
            workspace: Workspace::default(),
            inputs: Inputs::default(),
            decoded: 0,
            handed_over: 0,
            settled: 0,
            waiting: None,
        }
    }

    /// Takes a message: the readings in it, and dead letters with the reasons. What nothing says the
    /// shape of is a native reading.
    pub fn take(&mut self, message: Message<'_>) {
        let adapter = self.adapter;
        let mut readings = 0;
        let mut told = |item: Result<&str, Reject>| match item {
            Ok(_) => readings += 1,
            Err(reject) => telemetry::dead_letter(adapter, reject.reason),
        };
        append_message_or_native(
            &mut self.inputs,
            message,
            &self.source,
            &self.door.catalogue(),
            &mut self.workspace,
            &mut told,
        );
        telemetry::readings_decoded(adapter, readings);
        self.decoded += 1;
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

    /// How many are durable, as far as was told.
    pub const fn settled(&self) -> u64 {
        self.settled
    }

    /// How many are taken and not durable.
    pub const fn in_flight(&self) -> u64 {
        self.decoded - self.settled
    }

    /// Whether more may be read while so many are in flight at most.
    pub fn has_room(&self, inflight_max: u64) -> bool {
        self.in_flight() < inflight_max && self.inputs.bytes() < DECODED_BYTES_MAX
    }

    /// Hands over what was taken, unless something waits for the door already.
    pub fn hand_over(&mut self) -> Result<(), DoorClosed> {
        if self.waiting.is_some() {
            return Ok(());
        }
        if self.inputs.is_empty() {
            // What was taken since holds nothing that must become durable.
            if self.settled == self.handed_over {
                self.handed_over = self.decoded;
                self.settled = self.decoded;
            }
            return Ok(());
        }
        let (inputs, upto) = (std::mem::take(&mut self.inputs), self.decoded);
        self.handed_over = upto;
        match self.door.try_hand_over(inputs, &self.ledger, upto) {
            Ok(()) => Ok(()),
            Err(NotHandedOver::Closed) => Err(DoorClosed),
            Err(NotHandedOver::Full(inputs)) => {
                telemetry::door_full(self.adapter);
                let (door, ledger) = (self.door.clone(), Arc::clone(&self.ledger));
                let handing = async move { door.hand_over(inputs, &ledger, upto).await };
                self.waiting = Some(Box::pin(handing));
                Ok(())
            }
        }
    }

    /// Waits until the door has taken what waits for it, or until more is durable; for ever if
    /// nothing is in flight.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn progress(&mut self) -> Result<(), DoorClosed> {
        if self.in_flight() == 0 {
            return std::future::pending().await;
        }
        let waiting = &mut self.waiting;
        let handed_over = async {
            match waiting {
                Some(waiting) => waiting.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            settled = self.ledger.settled_beyond(self.settled) => self.settled = settled?,
            done = handed_over => {
                self.waiting = None;
                done?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::{Arrivals, DoorOptions};
    use crate::formats;
    use arc_swap::ArcSwap;
    use expect_test::expect;
    use ioc_core::record::Input;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

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
        let (door, arrivals) = Door::new(DoorOptions { waiting_bytes_max }, Arc::default());
        (Epoch::new(door, Adapter::MqttBroker, "mqtt city"), arrivals)
    }

    fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_one_connection_brought_is_never_settled_on_the_next() {
        let (mut old, arrivals) = epoch(1 << 20);
        old.take(message(READING));
        old.hand_over().unwrap();
        let mut new = Epoch::new(old.door.clone(), Adapter::MqttBroker, "mqtt city");
        drop(old);
        new.take(message(READING));
        arrivals.queue().recv().unwrap().ack.settle();
        assert!(poll(new.progress()).is_pending());
        new.hand_over().unwrap();
        arrivals.queue().recv().unwrap().ack.settle();
        assert_eq!(poll(new.progress()), Poll::Ready(Ok(())));
        assert_eq!((new.settled(), new.in_flight()), (1, 0));
    }

    #[test]
    fn what_holds_nothing_is_settled_with_what_came_before_it() {
        let format = formats::mapping::Format::Sparkplug;
        let catalogue = formats::tests::catalogue("spBv1.0/#", format);
        let options = DoorOptions {
            waiting_bytes_max: 1 << 20,
        };
        let (door, arrivals) = Door::new(options, Arc::new(ArcSwap::from_pointee(catalogue)));
        let mut epoch = Epoch::new(door, Adapter::MqttBroker, "mqtt city");
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
        arrivals.queue().recv().unwrap().ack.settle();
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
        while epoch.has_room(u64::MAX) {
            epoch.take(message(READING));
        }
        assert!(epoch.inputs.bytes() < DECODED_BYTES_MAX + 1024);
        assert!(!epoch.has_room(1), "as many are in flight as may be");
        let first = arrivals.queue().recv().unwrap();
        arrivals.release(&first);
        assert_eq!(poll(epoch.progress()), Poll::Ready(Ok(())), "handed over");
        assert!(epoch.waiting.is_none());
    }

    #[test]
    fn messages_are_what_mappings_and_content_types_say_and_native_readings_else() {
        let catalogue = formats::tests::catalogue("city/gauges/#", formats::tests::gauges());
        let catalogue = Arc::new(ArcSwap::from_pointee(catalogue));
        let (door, arrivals) = Door::new(DoorOptions::default(), catalogue);
        let mut epoch = Epoch::new(door, Adapter::Nats, "nats city");
        let gauges = br#"{"at":1773470710,"gauges":[{"name":"g1","level":1},{"name":"g2"}]}"#;
        let senml = br#"[{"bn":"wl-7","n":"","u":"m","v":2,"bt":1773470710}]"#;
        for (topic, payload, content_type) in [
            ("city/gauges/7", &gauges[..], None),
            ("senml", senml, Some("application/senml+json")),
            ("city/water", READING, Some("application/json")),
            ("city/water", b"no reading", None),
        ] {
            epoch.take(Message {
                topic,
                payload,
                content_type,
                ..Message::default()
            });
        }
        epoch.hand_over().unwrap();
        let arrival = arrivals.queue().recv().unwrap();
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
                "json_malformed on city/water",
            ]
        "#]]
        .assert_debug_eq(&told);
        arrival.ack.settle();
        assert_eq!(poll(epoch.progress()), Poll::Ready(Ok(())));
        assert_eq!(epoch.settled(), 4, "a message is one, whatever it brought");
    }
}
