//! Commands to the devices that are connected to our listener, or will be in time.
//!
//! A command waits in the listener for its device, until its deadline; before it is written the book
//! is asked again, so that one that was superseded meanwhile is not delivered any more. That a client
//! has acknowledged it says that it came, maybe to somebody else who listens, or to a device that
//! lost its power before it acted: it is delivered again until the device answers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ioc_core::decision::CommandState;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::attempts::{AGAIN_AFTER, Attempt, Attempts, LOST_AFTER};
use super::{CommandBook, message};
use crate::catalogue::Now;
use crate::mqtt::{Deliveries, Delivery, Outcome};
use crate::telemetry;

/// What this way is called in metrics.
const WAY: &str = "mqtt";

/// After how long a command is delivered again that a client has acknowledged: a device that is well
/// has answered by then.
const CONFIRMED_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// Delivers until `shutdown` is ready.
pub async fn deliver(
    book: CommandBook,
    deliveries: Deliveries,
    now: Now,
    shutdown: impl Future<Output = ()>,
) {
    let delivering = async {
        let mut changes = book.watch();
        let (attempts, told) = (Attempts::default(), Arc::<Notify>::default());
        loop {
            changes.borrow_and_update();
            let (due, next) = attempts.due(book.to_send(now.now()), Instant::now());
            for command in due {
                send(&command, &book, &deliveries, &now, (&attempts, &told));
            }
            let again = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = changes.changed() => {}
                () = told.notified() => {}
                () = again => {}
            }
        }
    };
    tokio::select! {
        () = delivering => {}
        () = shutdown => {}
    }
}

fn send(
    command: &Arc<CommandState>,
    book: &CommandBook,
    deliveries: &Deliveries,
    now: &Now,
    (attempts, told): (&Attempts, &Arc<Notify>),
) {
    let topic = format!("ioc/v1/commands/{}", command.actuator);
    let topic = topic
        .parse()
        .expect("an actuator's name is a level of a topic");
    let left = (command.not_after - now.now()).0;
    let left = Duration::from_millis(left.try_into().unwrap_or_default());
    attempts.note(command, Attempt::Made);
    telemetry::commands_sent(WAY, 1);
    let tell = {
        let (command, attempts, told) = (Arc::clone(command), attempts.clone(), Arc::clone(told));
        move |outcome| {
            telemetry::command_outcome(WAY, Outcome::word(outcome));
            if let Some(after) = again_after(outcome) {
                attempts.note(&command, Attempt::Again(Instant::now() + after));
                told.notify_one();
            }
        }
    };
    let is_wanted = {
        let (book, key) = (book.clone(), command.key);
        move || book.is_to_send(key)
    };
    deliveries.send(Delivery {
        topic,
        payload: message(command),
        content_type: Some("application/json"),
        not_after: Some((Instant::now() + left).into_std()),
        is_wanted: Some(Box::new(is_wanted)),
        told: Some(Box::new(tell)),
    });
}

/// When to send again; `None` while it is on its way.
const fn again_after(outcome: Outcome) -> Option<Duration> {
    match outcome {
        Outcome::Queued => None,
        // Who never confirms it while he stays connected keeps it from nobody.
        Outcome::Written { is_confirmed: true } | Outcome::Confirmed => Some(CONFIRMED_AGAIN_AFTER),
        // It is not to be sent any more, or its time is just up.
        Outcome::Withdrawn | Outcome::Expired => Some(AGAIN_AFTER),
        Outcome::Unconfirmed => Some(LOST_AFTER),
        Outcome::Lost(_)
        | Outcome::Refused(_)
        | Outcome::Written {
            is_confirmed: false,
        } => Some(AGAIN_AFTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::Lost;

    #[test]
    fn whatever_became_of_a_command_it_is_sent_again_until_its_device_answers() {
        // Of what waits something else is told in time.
        assert_eq!(again_after(Outcome::Queued), None);
        for last in [
            // A client that stays connected may never confirm.
            Outcome::Written { is_confirmed: true },
            Outcome::Confirmed,
            Outcome::Written {
                is_confirmed: false,
            },
            Outcome::Refused(0x97),
            Outcome::Unconfirmed,
            Outcome::Expired,
            Outcome::Withdrawn,
            Outcome::Lost(Lost::QueueFull),
        ] {
            assert!(again_after(last).is_some(), "{last:?}");
        }
    }
}
