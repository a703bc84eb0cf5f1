//! A core subject: no acknowledgements, so nothing comes again.

use async_nats::Subscriber as Subscription;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;

use super::{Connected, Ended, LinkError, Subscriber, message};
use crate::brokers::epoch::Epoch;
use crate::brokers::told;
use crate::door::Door;
use crate::telemetry::Adapter;

/// Serves a connection until it ends, or until told to stop and all that was read is durable.
pub(super) async fn serve(
    subscriber: &Subscriber,
    mut connected: Connected,
    door: Door,
    stopping: watch::Receiver<bool>,
) -> Ended {
    let mut epoch = Epoch::new(door, Adapter::Nats, subscriber.link.name());
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
    let mut topic = String::new();
    let mut is_stopping = false;
    loop {
        epoch.hand_over()?;
        connected.reply(epoch);
        if is_stopping && epoch.in_flight() == 0 {
            return Ok(());
        }
        let reads = !is_stopping && epoch.has_room(inflight_max);
        tokio::select! {
            next = messages.next(), if reads => match next {
                Some(first) => {
                    // With those that have come with it, so that they go through the door together.
                    let mut next = Some(first);
                    while let Some(message) = next {
                        message::taken(&message, &mut topic, |message| epoch.take(message));
                        next = match epoch.has_room(inflight_max) {
                            true => messages.next().now_or_never().flatten(),
                            false => None,
                        };
                    }
                }
                None => return Err(LinkError::Broke("the subscription ended".to_owned())),
            },
            progress = epoch.progress() => progress?,
            error = connected.broken() => return Err(error),
            () = told(&mut stopping), if !is_stopping => is_stopping = true,
        }
    }
}
