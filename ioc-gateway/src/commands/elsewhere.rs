//! Commands to the devices behind a broker elsewhere, whatever it speaks: which are due on this way,
//! and when the connection is made again.
//!
//! Arrives: the commands under way, from the book. Leaves: those that are due, to a [`Way`]. Promise:
//! what may be sent once only is noted as sent before its first byte. Next: `commands/nats.rs`,
//! `commands/mqtt.rs`.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use ioc_core::decision::CommandState;
use tokio::time::{Instant, sleep, sleep_until};

use super::CommandBook;
use super::attempts::{AGAIN_AFTER, Attempt, Attempts};
use crate::brokers::links::Link;
use crate::catalogue::Now;
use crate::telemetry;

/// The pause after a broker could not be reached.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Why a connection is of no use.
#[derive(Debug)]
pub struct Broken {
    /// What it is counted by.
    pub word: &'static str,
    /// What people are told.
    pub why: String,
}

/// How commands get to one broker.
pub trait Way: Sync {
    /// What it is called in metrics.
    const WORD: &'static str;
    /// One connection.
    type Connection: Send;

    /// The link that is shown.
    fn link(&self) -> &Link;

    /// Connects.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, Broken>> + Send;

    /// Publishes all of these; for each, when it is to be published again. Until it says so they
    /// are as if nobody had taken them.
    fn publish(
        &self,
        connection: &mut Self::Connection,
        due: &[Arc<CommandState>],
        now: &Now,
    ) -> impl Future<Output = Result<Vec<Attempt>, Broken>> + Send;

    /// Keeps a connection until it is of no use any more. Cancelling loses nothing.
    fn broken(connection: &mut Self::Connection) -> impl Future<Output = Broken> + Send;
}

/// An attempt that nobody is known to have taken.
pub(super) fn again() -> Attempt {
    Attempt::Again(Instant::now() + AGAIN_AFTER)
}

/// Delivers until `shutdown` is ready.
pub async fn deliver<W: Way>(
    way: &W,
    book: &CommandBook,
    now: &Now,
    shutdown: impl Future<Output = ()>,
) {
    let delivering = async {
        let attempts = Attempts::default();
        loop {
            let broken = match way.connect().await {
                Ok(connection) => {
                    way.link().up();
                    serve(way, connection, book, now, &attempts).await
                }
                Err(broken) => broken,
            };
            telemetry::broker_broke(way.link().name(), broken.word);
            way.link().down(&broken.why);
            sleep(RETRY_EVERY).await;
        }
    };
    tokio::select! {
        () = delivering => {}
        () = shutdown => {}
    }
    way.link().ended();
}

/// Publishes what is due for as long as the connection is of use.
async fn serve<W: Way>(
    way: &W,
    mut connection: W::Connection,
    book: &CommandBook,
    now: &Now,
    attempts: &Attempts,
) -> Broken {
    let mut changes = book.watch();
    loop {
        changes.borrow_and_update();
        let (due, next) = attempts.due(book.to_send(now.now()), Instant::now());
        if !due.is_empty() {
            // Before the first byte: what may be sent once only is not sent again, come what may.
            due.iter()
                .for_each(|command| attempts.note(command, again()));
            telemetry::commands_sent(W::WORD, due.len());
            match way.publish(&mut connection, &due, now).await {
                Ok(made) => due
                    .iter()
                    .zip(made)
                    .for_each(|(command, attempt)| attempts.note(command, attempt)),
                Err(broken) => return broken,
            }
            continue;
        }
        let again = async {
            match next {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            _ = changes.changed() => {}
            () = again => {}
            broken = W::broken(&mut connection) => return broken,
        }
    }
}
