//! What a message of a client becomes: a reading, several by a mapping, or a dead letter.

use crate::catalogue::Catalogue;
use crate::door::Inputs;
use crate::formats::{
    Message, Origin, Reason, Reject, Sender, Workspace, append_message_of, append_native,
    append_native_refused, feedback, is_nothing, is_structured_event, native,
};
use crate::rights::Rights;
use crate::telemetry::{self, Adapter};

/// What one message became.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::mqtt) struct Became {
    pub readings: u32,
    /// Why nothing of it is a reading.
    pub refused: Option<Reason>,
}

/// Appends what a message becomes of what its sender may say; nothing, if it is only noted
/// or empty.
#[inline]
pub(in crate::mqtt) fn append(
    inputs: &mut Inputs,
    message: Message<'_>,
    (source, rights): (&str, &Rights),
    catalogue: &Catalogue,
    workspace: &mut Workspace,
) -> Became {
    if let Some(what) = is_nothing(message, catalogue) {
        telemetry::noted(what);
        return Became::default();
    }
    let is_plain = message.event.is_empty() && !is_structured_event(message.content_type);
    let sensor = native::sensor_of(message.topic).filter(|_| is_plain);
    let Some(sensor) = sensor else {
        return append_other(inputs, message, (source, rights), catalogue, workspace);
    };
    let origin = Origin {
        source,
        topic: message.topic,
    };
    let (payload, scratch) = (message.payload, &mut workspace.native);
    let appended = match may_publish(rights, sensor) {
        // The decoder sees to it that the reading names no other sensor than its topic.
        Ok(()) => append_native(inputs, payload, Some(sensor), origin, catalogue, scratch),
        Err(reject) => {
            append_native_refused(inputs, origin, &reject, payload, scratch);
            Err(reject)
        }
    };
    match appended {
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
    (source, rights): (&str, &Rights),
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
        may: Some(&|name: &str| may_speak(topic, rights, name)),
    };
    append_message_of(inputs, message, &sender, catalogue, workspace, &mut told);
    // A message of which something was taken is not refused.
    became.refused = became.refused.filter(|_| became.readings == 0);
    became
}

/// Whether a client may publish readings of this sensor.
#[inline]
fn may_publish(rights: &Rights, sensor: &str) -> Result<(), Reject> {
    match rights.sensors.have(sensor) {
        true => Ok(()),
        false => Err(Reject::not_of_user(sensor)),
    }
}

/// Whether a client may publish readings of this sensor, or say something about a command to this
/// device: by its topic it is one or the other.
fn may_speak(topic: &str, rights: &Rights, name: &str) -> Result<(), Reject> {
    if feedback::device_of(topic).is_none() {
        return may_publish(rights, name);
    }
    if rights.devices.have(name) {
        return Ok(());
    }
    let detail = format!("this user may not speak for {name}");
    Err(Reject::new(Reason::FeedbackNotAllowed, detail))
}
