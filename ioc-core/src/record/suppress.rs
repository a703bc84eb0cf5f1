//! What a person asks to be kept quiet, and its bytes.
//!
//! Promise: what reads back has a reason, says what it is about, and is out of service only if it
//! is one sensor. How long it may be is the core's to decide (`suppress.rs`).

use crate::codec::{CodecError, Put, Take};
use crate::decision::{How, note};
use crate::id::{IncidentId, ReadingKind, RuleId, SensorId, SuppressionId, ZoneId};
use crate::record::incident_id;
use crate::time::Timestamp;

/// Something is to be kept quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suppress<'a> {
    /// Shelved, or out of service.
    pub how: How,
    /// What.
    pub target: Quieted<'a>,
    /// Until when.
    pub until: Timestamp,
    /// Why; never empty.
    pub reason: &'a str,
}

/// What is to be kept quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quieted<'a> {
    /// Detections that all of this fits; what is empty says nothing, and not all of it is.
    Detections {
        /// The [`SensorId`].
        sensor: &'a str,
        /// The [`ZoneId`].
        zone: &'a str,
        /// The [`ReadingKind`].
        kind: &'a str,
        /// The [`RuleId`].
        rule: &'a str,
    },
    /// An incident.
    Incident(IncidentId),
}

/// What is to become of something that is kept quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resuppress {
    /// It ends at this time.
    Until(Timestamp),
    /// It ends now.
    End,
}

impl<'a> Suppress<'a> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u8(self.how as u8);
        match self.target {
            Quieted::Detections {
                sensor,
                zone,
                kind,
                rule,
            } => {
                out.put_u8(0);
                for text in [sensor, zone, kind, rule] {
                    out.put_text(text);
                }
            }
            Quieted::Incident(id) => {
                out.put_u8(1);
                out.put_u64(id.to_bits());
            }
        }
        out.put_time(self.until);
        out.put_text(self.reason);
    }

    pub(super) fn decode(take: &mut Take<'a>) -> Result<Self, CodecError> {
        let how = How::take(take)?;
        let target = match take.u8()? {
            0 => Quieted::Detections {
                sensor: take.text()?,
                zone: take.text()?,
                kind: take.text()?,
                rule: take.text()?,
            },
            1 => Quieted::Incident(incident_id(take)?),
            _ => return Err(CodecError("an unknown target")),
        };
        let suppress = Self {
            how,
            target,
            until: take.time()?,
            reason: note(take)?,
        };
        match suppress.is_valid() {
            true => Ok(suppress),
            false => Err(CodecError("an order to keep something quiet")),
        }
    }

    fn is_valid(&self) -> bool {
        let target = match (self.how, self.target) {
            // Windows are of the configuration.
            (How::Maintenance, _) | (How::OutOfService, Quieted::Incident(_)) => false,
            (How::Shelved, Quieted::Incident(_)) => true,
            (
                how,
                Quieted::Detections {
                    sensor,
                    zone,
                    kind,
                    rule,
                },
            ) => {
                let valid = [
                    (sensor, SensorId::is_valid as fn(&str) -> bool),
                    (zone, ZoneId::is_valid),
                    (kind, ReadingKind::is_valid),
                    (rule, RuleId::is_valid),
                ];
                let said = valid.iter().filter(|(text, _)| !text.is_empty());
                let all_are_valid = said.clone().all(|(text, is_valid)| is_valid(text));
                let one_sensor = said.clone().count() == 1 && !sensor.is_empty();
                all_are_valid && said.count() > 0 && (how == How::Shelved || one_sensor)
            }
        };
        target && !self.reason.is_empty()
    }
}

impl Resuppress {
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        out.put_option(
            match self {
                Self::Until(until) => Some(until),
                Self::End => None,
            },
            Put::put_time,
        );
    }

    pub(super) fn decode(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(take.option(Take::time)?.map_or(Self::End, Self::Until))
    }
}

pub(super) fn suppression_id(take: &mut Take<'_>) -> Result<SuppressionId, CodecError> {
    SuppressionId::take(take)
}
