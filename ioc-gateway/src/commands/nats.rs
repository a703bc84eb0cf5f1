//! Commands to devices behind a NATS server, on `ioc.v1.commands.<device>`.
//!
//! One publish serves both: a stream of that subject takes it, tells the same key from a new one by
//! its id and acknowledges it; devices that listen to the core subject get it all the same. Where no
//! stream has acknowledged it, it is published again until the device answers.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, message::PublishMessage};
use futures_util::future::join_all;
use ioc_core::decision::CommandState;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::attempts::{AGAIN_AFTER, Attempt, Attempts};
use super::{CommandBook, message};
use crate::brokers::links::{Link, Links};
use crate::brokers::nats::{Connected, LinkError, NatsOptions, token_of};
use crate::catalogue::Now;
use crate::telemetry;

/// The pause after the server could not be reached.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How long a stream may take to acknowledge; after it there is none, as far as we know.
const STREAM_WITHIN: Duration = Duration::from_secs(2);
/// How long the server may take to have what was published.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// What this way is called in metrics.
const WAY: &str = "nats";

/// The way over one server, connected when it has something to say.
pub struct NatsCommands {
    options: NatsOptions,
    link: Link,
    connected: Option<Connected>,
    attempts: Attempts,
}

impl NatsCommands {
    /// A way that is not connected yet.
    pub fn new(options: NatsOptions, links: &Links) -> Self {
        let link = links.add(&format!("nats {} commands", options.name));
        Self {
            options,
            link,
            connected: None,
            attempts: Attempts::default(),
        }
    }
}

/// Delivers until `shutdown` is ready.
pub async fn deliver(
    mut way: NatsCommands,
    book: CommandBook,
    now: Now,
    shutdown: impl Future<Output = ()>,
) {
    let delivering = async {
        let mut changes = book.watch();
        loop {
            if let Err(error) = way.connect().await {
                way.broke(&error);
                sleep(RETRY_EVERY).await;
                continue;
            }
            changes.borrow_and_update();
            let (due, next) = way.attempts.due(book.to_send(now.now()), Instant::now());
            if !due.is_empty() {
                if let Err(error) = way.publish(due).await {
                    way.broke(&error);
                }
                continue;
            }
            let again = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let connected = way.connected.as_mut().expect("connected just now");
            tokio::select! {
                _ = changes.changed() => {}
                () = again => {}
                error = connected.broken() => way.broke(&error),
            }
        }
    };
    tokio::select! {
        () = delivering => {}
        () = shutdown => {}
    }
    way.link.ended();
}

impl NatsCommands {
    async fn connect(&mut self) -> Result<(), LinkError> {
        if self.connected.is_none() {
            self.connected = Some(Connected::new(&self.options).await?);
            self.link.up();
        }
        Ok(())
    }

    fn broke(&mut self, error: &LinkError) {
        self.connected = None;
        telemetry::broker_broke(self.link.name(), error.word());
        self.link.down(&error.to_string());
    }

    /// Publishes all of these, and notes which of them a stream has taken.
    async fn publish(&self, due: Vec<Arc<CommandState>>) -> Result<(), LinkError> {
        let connected = self.connected.as_ref().expect("connected just now");
        let context = jetstream::new(connected.client.clone());
        let mut asked = Vec::with_capacity(due.len());
        for command in &due {
            // Before the first byte: what may be sent once only is not sent again, come what may.
            self.attempts.note(command, again());
            let subject = format!("ioc.v1.commands.{}", token_of(command.actuator.as_str()));
            let key = command.key.to_string();
            let published = PublishMessage::build()
                .message_id(&key)
                .payload(message(command));
            let sent = context.send_publish(subject, published).await;
            asked.push(sent.map_err(LinkError::refused("publish"))?);
            telemetry::command_sent(WAY);
        }
        let flushed = timeout(FLUSH_WITHIN, connected.client.flush()).await;
        let flushed = flushed.map_err(|_| LinkError::Silent)?;
        flushed.map_err(LinkError::refused("publish"))?;
        let answers = asked
            .into_iter()
            .map(|each| timeout(STREAM_WITHIN, each.into_future()));
        for (command, answer) in due.iter().zip(join_all(answers).await) {
            let is_taken = matches!(answer, Ok(Ok(_)));
            telemetry::command_outcome(WAY, if is_taken { "taken" } else { "published" });
            let attempt = if is_taken { Attempt::Made } else { again() };
            self.attempts.note(command, attempt);
        }
        Ok(())
    }
}

fn again() -> Attempt {
    Attempt::Again(Instant::now() + AGAIN_AFTER)
}
