//! A message that is longer than the listener takes, of a client that cannot be told so.
//!
//! In version 3.1.1 there is no way to say how long a packet may be: a client whose connection is
//! closed for one sends it again, for ever, and nothing behind it is ever heard. So the message is
//! passed over as it streams in, and its beginning becomes a dead letter. Bound: its topic and
//! payload are cut to what a dead letter keeps.

use ioc_core::record::DeadLetter;

use crate::door::Inputs;
use crate::formats::{Origin, Reason, Reject, append_beginning, cut};
use crate::mqtt::close::CloseReason;
use crate::mqtt::codec::{Malformed, PUBLISH_HEAD_BYTES_MAX, Packet, Qos, TooLong, Version};

/// A message of which only the beginning is kept.
#[derive(Debug)]
pub(super) struct Oversized {
    topic: Box<str>,
    /// The first bytes of the payload.
    beginning: Box<[u8]>,
    payload_bytes: usize,
    /// Why it is a dead letter.
    detail: String,
    /// Its packet identifier is to be acknowledged once all of it was passed over.
    pub qos: Qos,
    pub duplicate: bool,
    /// How many bytes of the packet are still to be passed over.
    left: usize,
}

impl Oversized {
    /// What its dead letter is counted by.
    pub const REASON: Reason = Reason::PayloadTooLong;

    /// Reads the beginning of a packet that is too long; `None` until enough of it is here.
    pub fn begin(
        claim: TooLong,
        bytes: &[u8],
        packet_bytes_max: usize,
    ) -> Result<Option<Self>, CloseReason> {
        let too_long = CloseReason::Malformed(Malformed::PacketTooLong);
        if !claim.is_publish() {
            return Err(too_long);
        }
        let enough = PUBLISH_HEAD_BYTES_MAX + DeadLetter::BEGINNING_BYTES_MAX;
        let Some(bytes) = bytes.get(..enough.min(packet_bytes_max)) else {
            return Ok(None);
        };
        match claim.beginning(bytes).decode(Version::V311) {
            Ok(Packet::Publish(publish)) => {
                let head_bytes = bytes.len() - publish.payload.len();
                let kept = publish.payload.len().min(DeadLetter::BEGINNING_BYTES_MAX);
                Ok(Some(Self {
                    topic: cut(publish.topic).into(),
                    beginning: publish.payload[..kept].into(),
                    payload_bytes: claim.bytes - head_bytes,
                    detail: format!(
                        "a packet of {} bytes; the listener takes at most {packet_bytes_max}",
                        claim.bytes
                    ),
                    qos: publish.qos,
                    duplicate: publish.duplicate,
                    left: claim.bytes,
                }))
            }
            // Its topic alone is longer than a packet may be.
            Ok(_) | Err(Malformed::Length) => Err(too_long),
            Err(malformed) => Err(CloseReason::Malformed(malformed)),
        }
    }

    /// Passes over these bytes, as far as they are of this packet; returns the others.
    pub fn pass_over<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let passed = self.left.min(bytes.len());
        self.left -= passed;
        &bytes[passed..]
    }

    /// Whether all of it was passed over.
    pub const fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Appends its dead letter.
    pub fn append(&self, inputs: &mut Inputs, source: &str) {
        let origin = Origin {
            source,
            topic: &self.topic,
        };
        let reject = Reject::new(Self::REASON, &*self.detail);
        append_beginning(inputs, origin, &reject, &self.beginning, self.payload_bytes);
    }
}
