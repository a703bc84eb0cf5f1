//! Makes durable that a command which may be sent once only is about to be.
//!
//! Arrives: such commands, from the book. Leaves: a record of each through the door; then it may be
//! sent. After a crash a record says that it may have been, and nobody sends it again.

use std::future::Future;
use std::sync::Arc;

use ioc_core::id::CommandKey;
use ioc_core::record::{Effect, EffectNews, Input};

use super::CommandBook;
use crate::catalogue::Now;
use crate::door::{Counts, Door, DoorClosed, Inputs, Lane, Ledger};

/// Does so until `shutdown` is ready, or the engine is gone.
pub async fn run(book: CommandBook, door: Door, now: Now, shutdown: impl Future<Output = ()>) {
    let starting = async {
        let mut changes = book.watch();
        let ledger = Arc::<Ledger>::default();
        let mut handed_over = 0;
        loop {
            changes.borrow_and_update();
            for key in book.to_start(now.now()) {
                handed_over += 1;
                if record(&door, &ledger, key, handed_over).await.is_err() {
                    return;
                }
                book.is_durable(key);
            }
            // The book lives as long as we hold it.
            let _ = changes.changed().await;
        }
    };
    tokio::select! {
        () = starting => {}
        () = shutdown => {}
    }
}

async fn record(
    door: &Door,
    ledger: &Arc<Ledger>,
    key: CommandKey,
    upto: u64,
) -> Result<(), DoorClosed> {
    let mut inputs = Inputs::default();
    let news = EffectNews::Started;
    inputs.push(Lane::Urgent, &Input::Effect(Effect { key, news }));
    let urgent = inputs.take(Lane::Urgent);
    door.hand_over(Lane::Urgent, urgent, ledger, upto).await?;
    let counts = Counts {
        urgent: upto,
        telemetry: 0,
    };
    ledger.settled_up_to(counts).await
}

#[cfg(test)]
mod tests {
    use ioc_core::decision::{CommandState, EffectClass};
    use ioc_core::time::Timestamp;

    use super::super::tests::command;
    use super::*;
    use crate::door::DoorOptions;

    #[tokio::test]
    async fn no_command_that_may_be_sent_once_is_before_its_record_is_durable() {
        let (door, arrivals) = Door::new(DoorOptions::default(), Arc::default());
        let book = CommandBook::default();
        let now = Now::new(|| Timestamp::from_millis(1_000));
        let siren = CommandState {
            effect: EffectClass::AtMostOnce,
            ..command("siren")
        };
        book.follow(&siren);
        let mut changes = book.watch();
        let running = run(book.clone(), door, now.clone(), std::future::pending());
        let running = tokio::spawn(running);
        let queue = arrivals.queue(Lane::Urgent).clone();
        let arrival = tokio::task::spawn_blocking(move || queue.recv().unwrap())
            .await
            .unwrap();
        let input = Input::decode(arrival.inputs.iter().next().unwrap()).unwrap();
        let news = EffectNews::Started;
        assert_eq!(
            input,
            Input::Effect(Effect {
                key: siren.key,
                news
            })
        );
        assert!(book.to_send(now.now()).is_empty());
        changes.borrow_and_update();
        arrival.ack.settle();
        changes.changed().await.unwrap();
        assert_eq!(book.to_send(now.now()).len(), 1);
        running.abort();
    }
}
