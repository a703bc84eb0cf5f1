//! What a message of a client becomes: a reading, several by a mapping, or a dead letter.

use crate::catalogue::Catalogue;
use crate::door::Inputs;
use crate::formats::{
    Message, Origin, Reason, Reject, Workspace, append_message, append_native, native,
};
use crate::telemetry::{self, Adapter};

/// What one message became.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::mqtt) struct Became {
    pub readings: u32,
    /// Why nothing of it is a reading.
    pub refused: Option<Reason>,
}

/// Appends what a message becomes; nothing, if it is only noted.
#[inline]
pub(in crate::mqtt) fn append(
    inputs: &mut Inputs,
    message: Message<'_>,
    source: &str,
    catalogue: &Catalogue,
    workspace: &mut Workspace,
) -> Became {
    let Some(sensor) = native::sensor_of(message.topic) else {
        return append_other(inputs, message, source, catalogue, workspace);
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
    source: &str,
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
    append_message(inputs, message, source, catalogue, workspace, &mut told);
    // A message of which something was taken is not refused.
    became.refused = became.refused.filter(|_| became.readings == 0);
    became
}
