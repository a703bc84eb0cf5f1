//! Commands to devices behind an MQTT broker elsewhere, on `ioc/v1/commands/<device>`.
//!
//! An idempotent command is published at quality 1, again and again until its device answers: soon
//! if nobody listens as far as the broker says (5.0 only), and rarely once the broker has it, which
//! may keep it for a device that is away; one of version 5 is told until when. One that may be sent
//! once only is published at quality 0: at quality 1 the broker may deliver it twice.

use std::future::Future;
use std::sync::Arc;

use ioc_core::decision::{CommandState, EffectClass};
use tokio::time::Instant;

use super::attempts::{Attempt, TAKEN_AGAIN_AFTER};
use super::elsewhere::{self, Broken, Way, again};
use super::{CommandBook, message};
use crate::brokers::links::{Link, Links};
use crate::brokers::mqtt::{LinkError, MqttBrokerOptions, Outgoing, Published, Publishing};
use crate::catalogue::Now;
use crate::telemetry;

/// The way over one broker.
struct OverMqtt {
    options: MqttBrokerOptions,
    link: Link,
}

/// Delivers over a broker until `shutdown` is ready.
pub async fn deliver(
    options: MqttBrokerOptions,
    links: &Links,
    book: CommandBook,
    now: Now,
    shutdown: impl Future<Output = ()>,
) {
    let link = links.add(&format!("mqtt {} commands", options.name));
    let way = OverMqtt { options, link };
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

impl Way for OverMqtt {
    const WORD: &'static str = "mqtt_broker";
    type Connection = Publishing;

    fn link(&self) -> &Link {
        &self.link
    }

    async fn connect(&self) -> Result<Publishing, Broken> {
        let client_id = self.options.sending_id();
        Ok(Publishing::new(&self.options, &client_id).await?)
    }

    async fn publish(
        &self,
        publishing: &mut Publishing,
        due: &[Arc<CommandState>],
        now: &Now,
    ) -> Result<Vec<Attempt>, Broken> {
        let messages: Vec<_> = due.iter().map(|command| outgoing(command, now)).collect();
        let published = publishing.publish(&messages).await?;
        let attempts = published.into_iter().map(|outcome| {
            let (word, attempt) = match outcome {
                Published::Taken => ("taken", Attempt::Again(Instant::now() + TAKEN_AGAIN_AFTER)),
                Published::NobodyListens => ("nobody_listens", again()),
                Published::Refused => ("refused", again()),
            };
            telemetry::command_outcome(Self::WORD, word);
            attempt
        });
        Ok(attempts.collect())
    }

    async fn broken(publishing: &mut Publishing) -> Broken {
        publishing.broken().await.into()
    }
}

fn outgoing(command: &CommandState, now: &Now) -> Outgoing {
    let left_s = (command.not_after - now.now()).0 / 1000;
    Outgoing {
        topic: format!("ioc/v1/commands/{}", command.actuator),
        payload: message(command),
        at_least_once: command.effect == EffectClass::Idempotent,
        // Rounded down, so that none is delivered late; brokers take 0 as for ever.
        expires_s: u32::try_from(left_s).unwrap_or(u32::MAX).max(1),
    }
}
