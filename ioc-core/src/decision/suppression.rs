//! What is kept quiet on purpose, as people see it: what, by whom, why, until when, and how much.
//!
//! Three reasons that are never mixed (ISA-18.2): shelved by a person, in a maintenance window of
//! the configuration, out of service. Each has a person, a reason and an end (INV-16). Next:
//! `suppress.rs`, where what may follow what is.

use crate::codec::{CodecError, Put, Take};
use crate::decision::note;
use crate::id::{
    Actor, IncidentId, ReadingKind, RequestId, RuleId, SensorId, SuppressionId, ZoneId,
};
use crate::limits::SUPPRESSED_SENSORS_NAMED;
use crate::record::incident_id;
use crate::time::Timestamp;

/// Something that is kept quiet, as it is from a decision on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionState {
    /// Its id.
    pub id: SuppressionId,
    /// For which of the three reasons.
    pub how: How,
    /// What.
    pub target: Target,
    /// Who asked for it; of a window, who answers for it.
    pub by: Actor,
    /// Why, in a sentence, at most [`NOTE_BYTES_MAX`](super::NOTE_BYTES_MAX) bytes; never empty.
    pub reason: Box<str>,
    /// The window of the configuration, if it is one.
    pub window: Option<RuleId>,
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How many detections it has kept quiet so far, reports, silences and faults included.
    pub detections: u64,
    /// How many it has let through, for what is extreme is never hidden (INV-16).
    pub let_through: u64,
    /// Of which sensors those were, in the order of their names, with how many each: the first so
    /// many that came. What further ones said is in `detections` alone.
    pub sensors: Vec<(SensorId, u32)>,
    /// Why it is over, if it is.
    pub ended: Option<Ending>,
}

/// For which reason something is kept quiet (ISA-18.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum How {
    /// A person wants it quiet for a while. What is extreme is told all the same.
    Shelved,
    /// Works that the configuration knows of. What is extreme is told all the same.
    Maintenance,
    /// Somebody works at this sensor: whatever it says says nothing.
    OutOfService,
}

/// What is kept quiet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// What a sensor stage or a group rule finds, if all that is said fits.
    Detections(Matcher),
    /// An incident, which evolves and is counted, and that nobody is called for.
    Incident(IncidentId),
}

/// Which detections: all that is said must fit, and something is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Matcher {
    /// Of this sensor.
    pub sensor: Option<SensorId>,
    /// Of a sensor in this zone, or in one that is part of it.
    pub zone: Option<ZoneId>,
    /// About readings of this kind.
    pub kind: Option<ReadingKind>,
    /// By this detection rule.
    pub rule: Option<RuleId>,
}

/// What happened to something that is kept quiet: one for each transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SuppressionChange {
    /// It is quiet from here on.
    Started,
    /// It has kept more quiet, or let through what is extreme. Told at most once a minute.
    Updated,
    /// It ends soon.
    EndingSoon,
    /// It ends at another time.
    Extended,
    /// It is over: what is still abnormal counts from here on.
    Ended,
}

/// Why something is no longer kept quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Ending {
    /// Its time was over.
    Expired,
    /// A person ended it.
    Ended,
    /// Its window is another, or gone, in the configuration that holds now.
    RulesChanged,
    /// The incident became extreme.
    Extreme,
    /// The incident is over, or became one with another.
    IncidentOver,
    /// Evidence has made the incident graver than it was.
    Graver,
    /// A person has told of something near by, which became a part of the incident.
    Reported,
}

words! {
    How { Shelved = "shelved", Maintenance = "maintenance", OutOfService = "out_of_service" }
    SuppressionChange {
        Started = "suppression_started", Updated = "suppression_updated",
        EndingSoon = "suppression_ending_soon", Extended = "suppression_extended",
        Ended = "suppression_ended",
    }
    Ending {
        Expired = "expired", Ended = "ended", RulesChanged = "rules_changed",
        Extreme = "extreme", IncidentOver = "incident_over", Graver = "graver",
        Reported = "reported",
    }
}

impl SuppressionId {
    /// The id of what this request asks for. A request's id may come again when it is long
    /// forgotten: the time tells them apart.
    pub fn of_request(request: &RequestId, at: Timestamp) -> Self {
        let at = at.as_millis().to_string();
        Self::derive(&["suppression", request.as_str(), &at])
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Self::from_bits(take.u64()?).ok_or(CodecError("suppression id"))
    }
}

impl Matcher {
    /// Whether it says nothing, and so would fit everything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it says the sensor and nothing else, as what is out of service does.
    pub fn is_one_sensor(&self) -> bool {
        self.sensor.is_some() && self.zone.is_none() && self.kind.is_none() && self.rule.is_none()
    }

    pub(crate) fn put(&self, out: &mut impl Put) {
        out.put_option(self.sensor.as_ref(), |out, id| out.put_text(id.as_str()));
        out.put_option(self.zone.as_ref(), |out, id| out.put_text(id.as_str()));
        out.put_option(self.kind.as_ref(), |out, id| out.put_text(id.as_str()));
        out.put_option(self.rule.as_ref(), |out, id| out.put_text(id.as_str()));
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let matcher = Self {
            sensor: take.option(|take| take.parsed("sensor"))?,
            zone: take.option(|take| take.parsed("zone"))?,
            kind: take.option(|take| take.parsed("kind"))?,
            rule: take.option(|take| take.parsed("rule"))?,
        };
        match matcher.is_empty() {
            true => Err(CodecError("a matcher that says nothing")),
            false => Ok(matcher),
        }
    }
}

impl Target {
    pub(crate) fn put(&self, out: &mut impl Put) {
        match self {
            Self::Detections(matcher) => {
                out.put_u8(0);
                matcher.put(out);
            }
            Self::Incident(id) => {
                out.put_u8(1);
                out.put_u64(id.to_bits());
            }
        }
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        match take.u8()? {
            0 => Matcher::take(take).map(Self::Detections),
            1 => incident_id(take).map(Self::Incident),
            _ => Err(CodecError("an unknown target")),
        }
    }
}

impl SuppressionState {
    pub(crate) fn put(&self, out: &mut impl Put) {
        out.put_u64(self.id.to_bits());
        out.put_u8(self.how as u8);
        self.target.put(out);
        out.put_text(self.by.as_str());
        out.put_text(&self.reason);
        out.put_option(self.window.as_ref(), |out, name| {
            out.put_text(name.as_str());
        });
        out.put_time(self.from);
        out.put_time(self.until);
        out.put_u64(self.detections);
        out.put_u64(self.let_through);
        out.put_count(self.sensors.len());
        for (sensor, count) in &self.sensors {
            out.put_text(sensor.as_str());
            out.put_u32(*count);
        }
        out.put_option(self.ended, |out, ending| out.put_u8(ending as u8));
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let state = Self {
            id: SuppressionId::take(take)?,
            how: How::take(take)?,
            target: Target::take(take)?,
            by: take.parsed("actor")?,
            reason: note(take)?.into(),
            window: take.option(|take| take.parsed("window"))?,
            from: take.time()?,
            until: take.time()?,
            detections: take.u64()?,
            let_through: take.u64()?,
            sensors: {
                let count = take.count(SUPPRESSED_SENSORS_NAMED)?;
                take.each(count, |take| Ok((take.parsed("sensor")?, take.u32()?)))?
            },
            ended: take.option(Ending::take)?,
        };
        match state.reason.is_empty() {
            true => Err(CodecError("a suppression without a reason")),
            false => Ok(state),
        }
    }

    /// Counts one more that is kept quiet.
    pub(crate) fn count(&mut self, sensor: &SensorId) {
        self.detections += 1;
        match self.sensors.binary_search_by(|(own, _)| own.cmp(sensor)) {
            Ok(place) => self.sensors[place].1 = self.sensors[place].1.saturating_add(1),
            Err(place) if self.sensors.len() < SUPPRESSED_SENSORS_NAMED => {
                self.sensors.insert(place, (sensor.clone(), 1));
            }
            Err(_) => {}
        }
    }
}
