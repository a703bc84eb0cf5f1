//! A core subject: no acknowledgements, so nothing comes again.
//!
//! Bound: what is read waits for the door in [`WAITING_BYTES_MAX`]; what comes beyond is dropped and
//! counted.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::{Message, Subscriber as Subscription};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Connected, Ended, LinkError, Subscriber, message};
use crate::brokers::epoch::{Entrance, Epoch};
use crate::brokers::told;
use crate::door::DoorClosed;
use crate::telemetry::{self, Adapter};

/// How many bytes of one subject may wait for the door.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// With so many waiting, those that wait are taken before more are read.
const TURN: usize = 4096;
/// How long what came before a break may take to go through the door.
const DRAINED_WITHIN: Duration = Duration::from_secs(1);

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

async fn subscribe(
    subscriber: &Subscriber,
    connected: &Connected,
) -> Result<Subscription, LinkError> {
    let (client, subject) = (&connected.client, subscriber.subject.clone());
    let subscription = match &subscriber.options.queue {
        Some(queue) => client.queue_subscribe(subject, queue.clone()).await,
        None => client.subscribe(subject).await,
    };
    let subscription = subscription.map_err(LinkError::refused("subscribe"))?;
    // The server has the subscription when it has answered what was said after it.
    let flushed = client.flush().await;
    flushed.map_err(LinkError::refused("subscribe"))?;
    Ok(subscription)
}

async fn read(
    subscriber: &Subscriber,
    connected: &mut Connected,
    epoch: &mut Epoch,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), LinkError> {
    let mut messages = subscribe(subscriber, connected).await?;
    subscriber.link.up();
    let inflight_max = subscriber.options.inflight_max.into();
    let mut waiting = Waiting::default();
    let mut is_stopping = false;
    loop {
        // With those that have come with it, so that they go through the door together.
        waiting.go_on(epoch, inflight_max)?;
        connected.reply(epoch);
        if epoch.has_room(inflight_max) && !waiting.messages.is_empty() {
            continue;
        }
        if is_stopping && epoch.in_flight() == 0 && waiting.messages.is_empty() {
            return Ok(());
        }
        tokio::select! {
            // Read whether or not there is room: the library's own bound is a count, however long
            // the messages are.
            next = messages.next(), if !is_stopping => match next {
                Some(first) => {
                    let mut next = Some(first);
                    while let Some(message) = next {
                        waiting.push(message);
                        next = match waiting.messages.len() < TURN {
                            true => messages.next().now_or_never().flatten(),
                            false => None,
                        };
                    }
                }
                None => return Err(LinkError::Broke("the subscription ended".to_owned())),
            },
            progress = epoch.progress() => progress?,
            error = connected.broken() => {
                // What has come before is here, and comes no second time.
                while let Some(Some(message)) = messages.next().now_or_never() {
                    waiting.push(message);
                }
                let until = Instant::now() + DRAINED_WITHIN;
                let lost = drain(&mut waiting, epoch, inflight_max, until).await?;
                telemetry::nats_messages_dropped(lost);
                return Err(error);
            }
            () = told(&mut stopping), if !is_stopping => is_stopping = true,
        }
    }
}

/// Hands over what came before a break, for as long as the next connection can wait. How many are
/// left, and lost.
async fn drain(
    waiting: &mut Waiting,
    epoch: &mut Epoch,
    inflight_max: u64,
    until: Instant,
) -> Result<usize, DoorClosed> {
    loop {
        waiting.go_on(epoch, inflight_max)?;
        let left = waiting.messages.len() + epoch.outside();
        if left == 0 {
            return Ok(0);
        }
        tokio::select! {
            progress = epoch.progress() => progress?,
            () = sleep_until(until) => return Ok(left),
        }
    }
}

/// Messages that were read and that the door has no room for yet.
#[derive(Default)]
struct Waiting {
    messages: VecDeque<Message>,
    bytes: usize,
    /// Room for the topic of a message.
    topic: String,
}

impl Waiting {
    /// Appends one, or drops it if those before it are too long already.
    fn push(&mut self, message: Message) {
        let bytes = bytes_of(&message);
        if self.bytes + bytes > WAITING_BYTES_MAX {
            return telemetry::nats_messages_dropped(1);
        }
        self.bytes += bytes;
        self.messages.push_back(message);
    }

    /// Takes those that there is room for.
    fn go_on(&mut self, epoch: &mut Epoch, inflight_max: u64) -> Result<(), DoorClosed> {
        while epoch.has_room(inflight_max)
            && let Some(message) = self.pop()
        {
            message::of_library(&message, |message| match message.is_deletion() {
                true => epoch.pass_over(message::DELETED),
                false => message.taken(None, &mut self.topic, |message| epoch.take(message)),
            });
        }
        epoch.hand_over()
    }

    fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= bytes_of(&message);
        Some(message)
    }
}

/// How much of the bound a message takes.
const fn bytes_of(message: &Message) -> usize {
    size_of::<Message>() + message.length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brokers::epoch::Entrance;
    use crate::door::{Door, DoorOptions, Lane, Lanes, WhenFull};
    use std::sync::Arc;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_waits_when_a_link_breaks_goes_through_the_door_or_is_counted() {
        let options = DoorOptions {
            waiting_bytes_max: Lanes::each(|_| 1),
            when_full: WhenFull::Wait,
            ..DoorOptions::default()
        };
        let (door, arrivals) = Door::new(options, Arc::default());
        let mut epoch = Epoch::new(&Entrance::new(door), Adapter::Nats, "nats city");
        let message = || Message {
            subject: "a".into(),
            reply: None,
            payload: "no reading".into(),
            headers: None,
            status: None,
            description: None,
            length: 10,
        };
        let mut waiting = Waiting::default();
        (0..100).for_each(|_| waiting.push(message()));
        // Ten are taken; the door has room for the first hand over only.
        let lost = drain(&mut waiting, &mut epoch, 10, Instant::now()).await;
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
        let lost = drain(&mut waiting, &mut epoch, 10, until).await;
        assert_eq!(lost.unwrap(), 0);
        settling.await.unwrap();
    }

    #[test]
    fn p5_what_a_core_subject_brings_waits_within_a_bound_of_bytes() {
        let message = || Message {
            subject: "a".into(),
            reply: None,
            payload: "x".into(),
            headers: None,
            status: None,
            description: None,
            length: 1 << 20,
        };
        let mut waiting = Waiting::default();
        (0..100).for_each(|_| waiting.push(message()));
        assert_eq!(waiting.messages.len(), 15, "of 1 MiB and its own size");
        assert!(waiting.pop().is_some());
        waiting.push(message());
        assert_eq!(waiting.messages.len(), 15);
        while waiting.pop().is_some() {}
        assert_eq!(waiting.bytes, 0);
    }
}
