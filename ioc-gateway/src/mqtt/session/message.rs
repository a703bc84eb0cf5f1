//! What a message of a client becomes: a reading, several by a mapping, or a dead letter.

use crate::catalogue::Catalogue;
use crate::door::Inputs;
use crate::formats::{
    Message, Origin, Reason, Reject, Sender, Workspace, append_message_of, append_native, feedback,
    native,
};
use crate::options::Devices;
use crate::telemetry::{self, Adapter};

/// What one message became.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::mqtt) struct Became {
    pub readings: u32,
    /// Why nothing of it is a reading.
    pub refused: Option<Reason>,
}

/// Appends what a message becomes; nothing, if it is only noted. `devices` are those that its
/// sender may say something for about commands.
#[inline]
pub(in crate::mqtt) fn append(
    inputs: &mut Inputs,
    message: Message<'_>,
    (source, devices): (&str, &Devices),
    catalogue: &Catalogue,
    workspace: &mut Workspace,
) -> Became {
    let Some(sensor) = native::sensor_of(message.topic) else {
        return append_other(inputs, message, (source, devices), catalogue, workspace);
    };
    let origin = Origin {
        source,
        topic: message.topic,
    };
    let (payload, scratch) = (message.payload, &mut workspace.native);
    match append_native(inputs, payload, Some(sensor), origin, catalogue, scratch) {
        Ok(()) => Became {
            readings: 1,
            refused: None,
        },
        Err(reject) => {
            telemetry::dead_letter(Adapter::Mqtt, reject.reason);
            Became {
                readings: 0,
                refused: Some(reject.reason),
            }
        }
    }
}

fn append_other(
    inputs: &mut Inputs,
    message: Message<'_>,
    (source, devices): (&str, &Devices),
    catalogue: &Catalogue,
    workspace: &mut Workspace,
) -> Became {
    let mut became = Became::default();
    let mut told = |item: Result<&str, Reject>| match item {
        Ok(_) => became.readings += 1,
        Err(reject) => {
            telemetry::dead_letter(Adapter::Mqtt, reject.reason);
            became.refused = Some(reject.reason);
        }
    };
    let topic = message.topic;
    let sender = Sender {
        source,
        may: &|name: &str| may_speak(topic, devices, name),
    };
    append_message_of(inputs, message, &sender, catalogue, workspace, &mut told);
    // A message of which something was taken is not refused.
    became.refused = became.refused.filter(|_| became.readings == 0);
    became
}

/// Whether a client may say something about a command to this device; of readings everything.
fn may_speak(topic: &str, devices: &Devices, name: &str) -> Result<(), Reject> {
    if feedback::device_of(topic).is_none() || devices.have(name) {
        return Ok(());
    }
    let detail = format!("this user may not speak for {name}");
    Err(Reject::new(Reason::FeedbackNotAllowed, detail))
}
