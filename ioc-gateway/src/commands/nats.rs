//! Commands to devices behind a NATS server, on `ioc.v1.commands.<device>`.
//!
//! One publish serves both: a stream of that subject takes it, tells the same key from a new one by
//! its id and acknowledges it; devices that listen to the core subject get it all the same. It is
//! published again until the device answers, more seldom where a stream has taken it: that may be
//! one that only records.

use std::future::{Future, IntoFuture};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::{self, message::PublishMessage};
use futures_util::future::join_all;
use ioc_core::decision::CommandState;
use tokio::time::{Instant, timeout};

use super::attempts::{Attempt, TAKEN_AGAIN_AFTER};
use super::elsewhere::{self, Broken, Way, again};
use super::{CommandBook, message};
use crate::brokers::links::{Link, Links};
use crate::brokers::nats::{Connected, LinkError, NatsOptions, token_of};
use crate::catalogue::Now;
use crate::telemetry;

/// How long a stream may take to acknowledge; after it there is none, as far as we know.
const STREAM_WITHIN: Duration = Duration::from_secs(2);
/// How long the server may take to have what was published.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// The way over one server.
struct OverNats {
    options: NatsOptions,
    link: Link,
}

/// Delivers over a server until `shutdown` is ready.
pub async fn deliver(
    options: NatsOptions,
    links: &Links,
    book: CommandBook,
    now: Now,
    shutdown: impl Future<Output = ()>,
) {
    let link = links.add(&format!("nats {} commands", options.name));
    let way = OverNats { options, link };
    elsewhere::deliver(&way, &book, &now, shutdown).await;
}

impl From<LinkError> for Broken {
    fn from(error: LinkError) -> Self {
        Self {
            word: error.word(),
            why: error.to_string(),
        }
    }
}

impl Way for OverNats {
    const WORD: &'static str = "nats";
    type Connection = Connected;

    fn link(&self) -> &Link {
        &self.link
    }

    async fn connect(&self) -> Result<Connected, Broken> {
        Ok(Connected::new(&self.options).await?)
    }

    async fn publish(
        &self,
        connected: &mut Connected,
        due: &[Arc<CommandState>],
        _now: &Now,
    ) -> Result<Vec<Attempt>, Broken> {
        let context = jetstream::new(connected.client.clone());
        let mut asked = Vec::with_capacity(due.len());
        for command in due {
            let subject = format!("ioc.v1.commands.{}", token_of(command.actuator.as_str()));
            let key = command.key.to_string();
            let published = PublishMessage::build()
                .message_id(&key)
                .payload(message(command));
            let sent = context.send_publish(subject, published).await;
            asked.push(sent.map_err(LinkError::refused("publish"))?);
        }
        let flushed = timeout(FLUSH_WITHIN, connected.client.flush()).await;
        let flushed = flushed.map_err(|_| LinkError::Silent)?;
        flushed.map_err(LinkError::refused("publish"))?;
        let answers = asked
            .into_iter()
            .map(|each| timeout(STREAM_WITHIN, each.into_future()));
        let answers = join_all(answers).await;
        let attempts = answers.into_iter().map(|answer| {
            let is_taken = matches!(answer, Ok(Ok(_)));
            let outcome = if is_taken { "taken" } else { "published" };
            telemetry::command_outcome(Self::WORD, outcome);
            of_outcome(is_taken)
        });
        Ok(attempts.collect())
    }

    async fn broken(connected: &mut Connected) -> Broken {
        connected.broken().await.into()
    }
}

/// When to publish again, by whether a stream has taken it.
fn of_outcome(is_taken: bool) -> Attempt {
    match is_taken {
        true => Attempt::Again(Instant::now() + TAKEN_AGAIN_AFTER),
        false => again(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stream_has_taken_is_published_again_too_only_later() {
        let now = Instant::now();
        let [Attempt::Again(taken), Attempt::Again(lost)] = [true, false].map(of_outcome) else {
            panic!("both are published again");
        };
        assert!(taken >= now + TAKEN_AGAIN_AFTER && lost < taken);
    }
}
