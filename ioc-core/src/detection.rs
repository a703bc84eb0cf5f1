//! What a sensor stage finds: detections raised, updated and cleared, reports, silence.
//!
//! Arrives: verdicts of the detectors under `detect/`. Leaves: [`Finding`]s with the key by which
//! the findings of several stages are merged into the order that one stage alone would have given.
//! Promise: a stage's findings depend on its sensors' records alone. Next: `detect.rs`.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::codec::{CodecError, Put, Take};
use crate::decision::{Certainty, SensorFault, Severity, SiteState};
use crate::id::{ReadingId, ReadingKind, RuleId, SensorId, ZoneId};
use crate::limits::KINDS_PER_SENSOR_MAX;
use crate::place::Position;
use crate::record::Seq;
use crate::shared::Shared;
use crate::time::Timestamp;

/// One thing that a sensor stage found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The record that was being applied: the one found in, or the one before which a timer fired.
    pub seq: Seq,
    /// When the timer was due that found it; `None` if the record itself did.
    pub due: Option<Timestamp>,
    /// The detection rule.
    pub rule: RuleId,
    /// The sensor.
    pub sensor: SensorId,
    /// When its source observed what was found, no later than it was received.
    pub observed_at: Timestamp,
    /// The zone that the sensor is registered in, if it is in one.
    pub zone: Option<ZoneId>,
    /// Whether the sensor is not to be trusted in what the rule finds: that weighs nothing.
    pub doubted: bool,
    /// Nobody is told of it by itself: it is a part of what is told otherwise, or will be.
    pub quiet: bool,
    /// What was found.
    pub detection: Detection,
}

/// A rule's verdict on one sensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Detection {
    /// Abnormal, but not yet for as long and as often as the rule asks; or so until this reading.
    /// No evidence, yet the sensor has not stayed normal.
    Stirred,
    /// Abnormal, for as long and as often as the rule asks.
    Raised {
        /// How grave.
        severity: Severity,
        /// How sure.
        certainty: Certainty,
        /// The readings that raised it, in the order they were judged; at least one.
        sightings: Vec<Sighting>,
    },
    /// Still abnormal: one more reading, and perhaps graver.
    Updated {
        /// How grave by now.
        severity: Severity,
        /// How sure.
        certainty: Certainty,
        /// The reading.
        sighting: Sighting,
    },
    /// Still abnormal, and graver by time alone.
    Worsened(Severity),
    /// Still abnormal, and no graver than this by now.
    Eased(Severity),
    /// Normal again, or its rule is gone.
    Cleared,
    /// Somebody says so: evidence by itself, until it decays.
    Reported {
        /// How grave.
        severity: Severity,
        /// How sure.
        certainty: Certainty,
        /// When it stops counting.
        until: Timestamp,
        /// What was said.
        sighting: Sighting,
        /// The reports of the same source that it takes the place of, as it names them.
        replaces: Option<Arc<str>>,
    },
    /// These reports of the source count no more, and nothing takes their place.
    Withdrawn(Arc<str>),
    /// The sensor has said nothing for as long as its rule allows.
    Silent(Hearing),
    /// It speaks again.
    Returned(Hearing),
    /// The rule by which it was silent is gone; nothing is known about the sensor itself.
    SilenceForgotten(Hearing),
    /// The sensor is broken in a way that its rule asks for.
    Faulty(Malady),
    /// It is no more.
    Sound(Malady),
    /// A site is silent as a whole.
    SiteSilent(SiteState),
    /// It speaks again.
    SiteReturned(SiteState),
    /// What a sensor said, for a rule about several of them.
    Contributed(Sighting),
    /// A sensor that shows outcomes of commands has said something new.
    Observed(Observed),
    /// A sensor by whose word others are judged is heard for the first time, or has taken other rules
    /// over: with the rules by which it is silent or distrusted.
    Heard(Vec<RuleId>),
}

/// What is known of a sensor that is broken, or was.
#[derive(Debug, Clone, PartialEq)]
pub struct Malady {
    /// In which way.
    pub fault: SensorFault,
    /// The sensor, with the rules for readings of this kind that are raised about it.
    pub hearing: Hearing,
    /// The rules for readings of this kind in which it is trusted no longer, or again.
    pub concerned: Vec<RuleId>,
    /// The reading that shows it; `None` where its rule is gone.
    pub shown: Option<Sighting>,
}

/// A reading that may show the outcome of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Its id, unique within the sensor.
    pub reading: ReadingId,
    /// What it said, in the sensor's unit.
    pub value: f64,
    /// When the source says so.
    pub observed_at: Timestamp,
}

/// A reading that is evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// Its id, unique within the sensor.
    pub reading: ReadingId,
    /// The record that brought it.
    pub seq: Seq,
    /// When it was received, in logical time.
    pub at: Timestamp,
    /// What it said, in the sensor's unit.
    pub value: f64,
    /// How grave this value alone is.
    pub severity: Severity,
    /// How far it is beyond the least level, in the unit.
    pub excess: f64,
    /// Where: the reading's own place, else the sensor's.
    pub position: Option<Position>,
    /// What it has in common with others, if a rule asks.
    pub shared: Shared,
}

impl Sighting {
    /// The same for a rule that tells groups apart by these names.
    pub(crate) fn grouped_by(&self, names: &[String]) -> Self {
        Self {
            shared: self.shared.grouped_by(names),
            ..self.clone()
        }
    }
}

/// What is known of a sensor that is, or was, silent.
#[derive(Debug, Clone, PartialEq)]
pub struct Hearing {
    /// What it measures.
    pub kind: ReadingKind,
    /// Where it stands.
    pub position: Option<Position>,
    /// When it was last heard before it fell silent.
    pub last_heard_at: Timestamp,
    /// The detection rules that are raised about it.
    pub raised: Vec<RuleId>,
    /// Which kinds of reading it is heard by, so far as its silence says something of the city.
    pub heard_by: Vec<ReadingKind>,
    /// Whether it is kept quiet on purpose (`suppress.rs`): it counts, and nobody is told.
    pub untold: bool,
}

impl Detection {
    /// Whether it is about a sensor, and kept quiet on purpose.
    pub(crate) fn is_untold(&self) -> bool {
        match self {
            Self::Silent(hearing) | Self::Returned(hearing) | Self::SilenceForgotten(hearing) => {
                hearing.untold
            }
            Self::Faulty(malady) | Self::Sound(malady) => malady.hearing.untold,
            Self::Stirred
            | Self::Raised { .. }
            | Self::Updated { .. }
            | Self::Worsened(_)
            | Self::Eased(_)
            | Self::Cleared
            | Self::Reported { .. }
            | Self::Withdrawn(_)
            | Self::SiteSilent(_)
            | Self::SiteReturned(_)
            | Self::Contributed(_)
            | Self::Observed(_)
            | Self::Heard(_) => false,
        }
    }

    /// The earlier reports of its source that it says are no more, as it names them.
    pub(crate) fn withdraws(&self) -> Option<&Arc<str>> {
        match self {
            Self::Reported { replaces, .. } => replaces.as_ref(),
            Self::Withdrawn(names) => Some(names),
            Self::Stirred
            | Self::Raised { .. }
            | Self::Updated { .. }
            | Self::Worsened(_)
            | Self::Eased(_)
            | Self::Cleared
            | Self::Silent(_)
            | Self::Returned(_)
            | Self::SilenceForgotten(_)
            | Self::Faulty(_)
            | Self::Sound(_)
            | Self::SiteSilent(_)
            | Self::SiteReturned(_)
            | Self::Contributed(_)
            | Self::Observed(_)
            | Self::Heard(_) => None,
        }
    }
}

impl Detection {
    /// Puts what is found when a sensor takes other rules over.
    pub(crate) fn put_of_reload(&self, out: &mut impl Put) {
        match self {
            Self::Cleared => out.put_u8(0),
            Self::Sound(malady) => {
                out.put_u8(1);
                malady.put(out);
            }
            Self::SilenceForgotten(hearing) => {
                out.put_u8(2);
                hearing.put(out);
            }
            Self::Stirred
            | Self::Raised { .. }
            | Self::Updated { .. }
            | Self::Worsened(_)
            | Self::Eased(_)
            | Self::Reported { .. }
            | Self::Withdrawn(_)
            | Self::Silent(_)
            | Self::Returned(_)
            | Self::SiteSilent(_)
            | Self::SiteReturned(_)
            | Self::Contributed(_)
            | Self::Faulty(_)
            | Self::Observed(_)
            | Self::Heard(_) => unreachable!("no reload finds it"),
        }
    }

    /// It as it was put.
    pub(crate) fn take_of_reload(take: &mut Take<'_>) -> Result<Self, CodecError> {
        match take.u8()? {
            0 => Ok(Self::Cleared),
            1 => Malady::take(take).map(Self::Sound),
            2 => Hearing::take(take).map(Self::SilenceForgotten),
            _ => Err(CodecError("no reload finds it")),
        }
    }
}

impl Malady {
    fn put(&self, out: &mut impl Put) {
        out.put_u8(self.fault.kind as u8);
        out.put_flag(self.fault.distrusted);
        self.hearing.put(out);
        put_rules(&self.concerned, out);
        out.put_option(self.shown.as_ref(), |out, shown| shown.put(out));
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            fault: SensorFault::decode(take)?,
            hearing: Hearing::take(take)?,
            concerned: take_rules(take)?,
            shown: take.option(Sighting::take)?,
        })
    }
}

impl Hearing {
    fn put(&self, out: &mut impl Put) {
        out.put_text(self.kind.as_str());
        out.put_option(self.position, Put::put_position);
        out.put_time(self.last_heard_at);
        put_rules(&self.raised, out);
        let heard_by = !self.heard_by.is_empty();
        let has = |flag, is| if is { flag } else { 0 };
        out.put_u8(has(IS_UNTOLD, self.untold) | has(HAS_HEARD_BY, heard_by));
        if heard_by {
            out.put_count(self.heard_by.len());
            let kinds = self.heard_by.iter();
            kinds.for_each(|kind| out.put_text(kind.as_str()));
        }
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut hearing = Self {
            kind: take.parsed("kind of reading")?,
            position: take.option(Take::position)?,
            last_heard_at: take.time()?,
            raised: take_rules(take)?,
            heard_by: Vec::new(),
            untold: false,
        };
        let flags = take.u8()?;
        if flags & !(IS_UNTOLD | HAS_HEARD_BY) != 0 {
            return Err(CodecError("a sensor is heard in an unknown way"));
        }
        hearing.untold = flags & IS_UNTOLD != 0;
        if flags & HAS_HEARD_BY != 0 {
            let count = take.count(KINDS_PER_SENSOR_MAX)?;
            hearing.heard_by = take.each(count, |take| take.parsed("kind of reading"))?;
        }
        Ok(hearing)
    }
}

/// What is known of who is heard. The first alone is how it was kept before there was the second.
const IS_UNTOLD: u8 = 1;
const HAS_HEARD_BY: u8 = 2;

fn put_rules(rules: &[RuleId], out: &mut impl Put) {
    out.put_count(rules.len());
    rules.iter().for_each(|rule| out.put_text(rule.as_str()));
}

fn take_rules(take: &mut Take<'_>) -> Result<Vec<RuleId>, CodecError> {
    let count = take.u32()? as usize;
    take.each(count, |take| take.parsed("rule"))
}

/// What a sighting may have. The first alone is how a place was kept before there was the second.
const HAS_POSITION: u8 = 1;
const HAS_SHARED: u8 = 2;

impl Sighting {
    pub(crate) fn put(&self, out: &mut impl Put) {
        out.put_text(self.reading.as_str());
        out.put_u64(self.seq);
        out.put_time(self.at);
        out.put_f64(self.value);
        out.put_u8(self.severity as u8);
        out.put_f64(self.excess);
        let has = |is, flag| if is { flag } else { 0 };
        let shares = has(!self.shared.is_empty(), HAS_SHARED);
        out.put_u8(has(self.position.is_some(), HAS_POSITION) | shares);
        if let Some(position) = self.position {
            out.put_position(position);
        }
        if shares > 0 {
            self.shared.put(out);
        }
    }

    pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut sighting = Self {
            reading: take.parsed("reading id")?,
            seq: take.u64()?,
            at: take.time()?,
            value: take.f64()?,
            severity: Severity::take(take)?,
            excess: take.f64()?,
            position: None,
            shared: Shared::default(),
        };
        let flags = take.u8()?;
        if flags & !(HAS_POSITION | HAS_SHARED) != 0 {
            return Err(CodecError("a sighting has an unknown part"));
        }
        if flags & HAS_POSITION != 0 {
            sighting.position = Some(take.position()?);
        }
        if flags & HAS_SHARED != 0 {
            sighting.shared = Shared::take(take)?;
        }
        Ok(sighting)
    }
}

impl Finding {
    /// The order in which one stage alone would have found this and the other: by record, its
    /// timers first, those by due time; then by rule and sensor.
    pub fn order(&self, other: &Self) -> Ordering {
        let by_record = self.seq.cmp(&other.seq);
        let by_timer = match (self.due, other.due) {
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        by_record
            .then(by_timer)
            .then_with(|| self.rule.cmp(&other.rule))
            .then_with(|| self.sensor.cmp(&other.sensor))
    }
}

/// Merges what the stages found in the same records into the one order.
///
/// Heads are compared, never sorted: what one stage found stays in the order that it found it in.
pub fn merge(stages: &mut [VecDeque<Finding>]) -> Vec<Finding> {
    let mut merged = Vec::with_capacity(stages.iter().map(VecDeque::len).sum());
    loop {
        let heads = stages.iter().enumerate();
        let heads = heads.filter_map(|(stage, found)| Some((stage, found.front()?)));
        let Some((next, _)) = heads.min_by(|(_, a), (_, b)| a.order(b)) else {
            return merged;
        };
        merged.extend(stages[next].pop_front());
    }
}
