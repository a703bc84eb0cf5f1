//! Commands to devices: which are to be sent, on which ways, and what they look like there.
//!
//! Arrives: the commands under way, from the host. Leaves: a message to each device that is to do
//! something, over our listener and over the brokers elsewhere that are configured for it. Promise: a
//! command is sent only while the core says that it is [`Progress::Sent`](
//! ioc_core::decision::Progress::Sent) and before its `not_after` (INV-30); an idempotent one is
//! sent again, with the same key, until its device answers; one that may be sent once is preceded
//! by a durable record that says so, and is never sent again. What a broker or a client
//! acknowledges is counted and moves nothing (INV-31): what was done, devices say
//! (`formats/feedback.rs`). There is no cursor: what is to be sent is what the core's state says
//! after a crash too. Next: `commands/book.rs`.

mod attempts;
mod book;
mod listener;
mod elsewhere;
mod nats;
mod mqtt;
mod start;

use bytes::Bytes;
use ioc_core::decision::CommandState;
use serde::Serialize;
use serde_json::value::RawValue;

pub use self::attempts::Attempt;
pub use self::book::CommandBook;
pub use self::elsewhere::{Broken, Way, deliver as over};
pub use self::listener::deliver as over_listener;
pub use self::mqtt::deliver as over_mqtt;
pub use self::nats::deliver as over_nats;
pub use self::start::run as start;

/// The message that a device gets.
pub(crate) fn message(command: &CommandState) -> Bytes {
    #[derive(Serialize)]
    struct Message<'a> {
        key: String,
        device: &'a str,
        command: &'a str,
        parameters: &'a RawValue,
        not_after: String,
        issued_at: String,
    }
    // Whoever took the order has seen to it that they are an object.
    let parameters = serde_json::from_str(&command.parameters);
    let message = Message {
        key: command.key.to_string(),
        device: command.actuator.as_str(),
        command: command.command.as_str(),
        parameters: parameters.unwrap_or(nothing()),
        not_after: command.not_after.to_string(),
        issued_at: command.ordered_at.to_string(),
    };
    Bytes::from(serde_json::to_vec(&message).expect("texts always have a JSON"))
}

fn nothing() -> &'static RawValue {
    serde_json::from_str("{}").expect("an object is JSON")
}

#[cfg(test)]
pub(crate) mod tests {
    use ioc_core::decision::{EffectClass, Progress};
    use ioc_core::id::CommandKey;
    use ioc_core::time::Timestamp;

    use super::*;

    /// A command that is to be sent for a minute after 1970 began.
    pub fn command(actuator: &str) -> CommandState {
        CommandState {
            key: CommandKey::derive(&[actuator]),
            actuator: actuator.parse().unwrap(),
            zone: "_".parse().unwrap(),
            command: "close".parse().unwrap(),
            parameters: r#"{"speed":3}"#.into(),
            effect: EffectClass::Idempotent,
            progress: Progress::Sent,
            ordered_by: "ana".parse().unwrap(),
            ordered_at: Timestamp::from_millis(0),
            not_after: Timestamp::from_millis(60_000),
            outcome_by: Timestamp::from_millis(120_000),
            confirmed_by: None,
            answer: None,
            confirmation: None,
        }
    }

    #[test]
    fn a_device_gets_the_key_the_command_and_until_when_it_holds() {
        let mut gate = command("gate-7");
        let said = |gate: &CommandState| String::from_utf8(message(gate).to_vec()).unwrap();
        let expected = format!(
            r#"{{"key":"{}","device":"gate-7","command":"close","parameters":{{"speed":3}},"not_after":"1970-01-01T00:01:00.000Z","issued_at":"1970-01-01T00:00:00.000Z"}}"#,
            gate.key
        );
        assert_eq!(said(&gate), expected);
        gate.parameters = "".into();
        assert!(said(&gate).contains(r#""parameters":{}"#));
    }
}
