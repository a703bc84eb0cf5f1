//! Whether somebody has paused our consumer on its server (nats-server 2.11 and later).
//!
//! Arrives: that nothing has come for a beat. Leaves: what the link says of itself: a consumer that
//! is paused delivers nothing and answers as ever, so that nobody would know why nothing comes. The
//! server is asked no more often than every [`ASKED_EVERY`], and only while nothing comes. What
//! cannot be asked is as before.

use std::time::Duration;

use async_nats::Client;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::Subscriber;

/// How often it is asked while nothing comes.
const ASKED_EVERY: Duration = Duration::from_secs(2);
/// How long the answer may take: messages that come meanwhile wait for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Pause {
    asked_at: Option<Instant>,
    /// How many messages had come by then.
    come: u64,
}

/// What the server says of a consumer; servers before 2.11 say nothing of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    paused: bool,
    /// In nanoseconds.
    pause_remaining: Option<u64>,
}

impl Pause {
    /// Looks whether it is paused, if it is time to; `come`: how many messages have come so far.
    pub async fn look(
        &mut self,
        subscriber: &Subscriber,
        (stream, consumer): (&str, &str),
        client: &Client,
        come: u64,
    ) {
        let has_come = std::mem::replace(&mut self.come, come) < come;
        if has_come {
            return subscriber.link.resumed();
        }
        let now = Instant::now();
        if self.asked_at.is_some_and(|asked| now < asked + ASKED_EVERY) {
            return;
        }
        self.asked_at = Some(now);
        let context = subscriber.jetstream(client);
        let subject = format!("CONSUMER.INFO.{stream}.{consumer}");
        let nothing = json!({});
        let asking = context.request::<_, _, Told>(subject, &nothing);
        let Ok(Ok(told)) = timeout(ANSWER_WITHIN, asking).await else {
            return;
        };
        match told.paused {
            true => {
                let left = Duration::from_nanos(told.pause_remaining.unwrap_or_default());
                subscriber.link.paused(left);
            }
            false => subscriber.link.resumed(),
        }
    }
}
