//! One source of an incident: what it said, how it stands, and where it is.
//!
//! Kept are the first, the worst and the last sighting, and which readings are evidence; all the
//! evidence lies in the decisions. Next: `places.rs`.

use super::Source;
use super::taken::Taken;
use crate::codec::{CodecError, Put, Take};
use crate::decision::{Certainty, Severity};
use crate::detection::Sighting;
use crate::id::RuleId;
use crate::limits::EVIDENCE_REMEMBERED;
use crate::place::Position;
use crate::record::Seq;
use crate::time::Timestamp;

/// One source.
#[derive(Debug)]
pub(crate) struct Member {
    /// The detections about it that are raised.
    pub(super) raised: Vec<Raised>,
    /// Its sensor is silent.
    pub(super) silent: bool,
    /// When it stops counting, if it is a report that counts.
    pub(super) until: Option<Timestamp>,
    /// Where it was last.
    pub position: Option<Position>,
    first: Sighting,
    worst: Sighting,
    last: Sighting,
    /// The readings that it gave.
    pub(super) taken: Taken,
    /// How many of them count as its own: a report and a threshold may take the same one.
    pub(super) count: u64,
}

/// A detection about a source.
#[derive(Debug)]
pub(super) struct Raised {
    pub(super) rule: RuleId,
    /// Given by the correlation rule, so it is not part of the state.
    weight: u32,
    pub(super) severity: Severity,
    pub(super) certainty: Certainty,
}

/// How a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Normal,
    /// Abnormal, but of no weight: it belongs to the picture and decides nothing.
    Context,
    Abnormal,
    Silent,
    Reported,
}

/// What a source says: a sighting with what it amounts to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement<'a> {
    pub rule: &'a RuleId,
    /// How much the source counts by it.
    pub weight: u32,
    pub severity: Severity,
    pub certainty: Certainty,
    /// When it stops counting, if it is a report.
    pub until: Option<Timestamp>,
    pub sighting: &'a Sighting,
}

impl Member {
    pub(super) fn new(sighting: &Sighting) -> Self {
        Self {
            raised: Vec::new(),
            silent: false,
            until: None,
            position: None,
            first: sighting.clone(),
            worst: sighting.clone(),
            last: sighting.clone(),
            taken: Taken::default(),
            count: 0,
        }
    }

    /// Whether its sensor's name leads to it: all but reports with a place of their own.
    pub fn is_led_to(&self, source: &Source) -> bool {
        source.report.is_none() || self.position.is_none()
    }

    /// Whether it gave this reading.
    pub fn gave(&self, seq: Seq) -> bool {
        self.taken.has(seq)
    }

    /// The gravest and the surest that is said about it.
    pub fn verdict(&self) -> (Severity, Certainty) {
        let raised = self.raised.iter();
        let none = (Severity::Unknown, Certainty::Unknown);
        raised.fold(none, |(severity, certainty), raised| {
            (
                severity.max(raised.severity),
                certainty.max(raised.certainty),
            )
        })
    }

    /// When it was first and last heard.
    pub(super) fn heard(&self) -> (Timestamp, Timestamp) {
        (self.first.at, self.last.at)
    }

    /// Where a sighting shows it to be: nowhere new, if it is not news.
    pub fn place_in(&self, sighting: &Sighting) -> Option<Position> {
        sighting.position.filter(|_| !self.gave(sighting.seq))
    }

    pub(super) fn standing(&self) -> Standing {
        self.stand().0
    }

    /// How it stands, and how much it weighs: as much as its weightiest detection.
    pub(super) fn stand(&self) -> (Standing, u32) {
        let weight = self.raised.iter().map(|raised| raised.weight).max();
        let standing = match (weight, self.until, self.silent) {
            (None, _, _) => Standing::Normal,
            (Some(0), _, _) => Standing::Context,
            (Some(_), Some(_), _) => Standing::Reported,
            (Some(_), None, true) => Standing::Silent,
            (Some(_), None, false) => Standing::Abnormal,
        };
        (standing, weight.unwrap_or(0))
    }

    pub(super) fn note(&mut self, statement: &Statement<'_>, known: bool) {
        self.taken
            .insert(statement.sighting.seq, EVIDENCE_REMEMBERED);
        // Whoever speaks is not silent.
        self.silent = false;
        self.until = self.until.max(statement.until);
        let said = Raised {
            rule: statement.rule.clone(),
            weight: statement.weight,
            severity: statement.severity,
            certainty: statement.certainty,
        };
        match self
            .raised
            .iter_mut()
            .find(|raised| raised.rule == said.rule)
        {
            Some(raised) => *raised = said,
            None => self.raised.push(said),
        }
        if !known {
            return;
        }
        if graver(statement.sighting, &self.worst) {
            self.worst = statement.sighting.clone();
        }
        let order = |sighting: &Sighting| (sighting.at, sighting.seq);
        if order(statement.sighting) >= order(&self.last) {
            self.last = statement.sighting.clone();
        }
    }

    pub(super) fn put(&self, out: &mut impl Put) {
        let mut raised: Vec<_> = self.raised.iter().collect();
        raised.sort_by_key(|raised| &raised.rule);
        out.put_count(raised.len());
        raised.iter().for_each(|raised| raised.put(out));
        out.put_flag(self.silent);
        out.put_option(self.until, Put::put_time);
        out.put_option(self.position, Put::put_position);
        for sighting in [&self.first, &self.worst, &self.last] {
            sighting.put(out);
        }
        self.taken.put(out);
        out.put_u64(self.count);
    }

    /// The member as it was put.
    pub(super) fn take(
        take: &mut Take<'_>,
        weight_of: impl Fn(&RuleId) -> u32,
    ) -> Result<Self, CodecError> {
        let count = take.u32()? as usize;
        let raised = take.each(count, |take| Raised::take(take, &weight_of))?;
        if !raised.is_sorted_by(|one, next| one.rule < next.rule) {
            return Err(CodecError("detections are not in order"));
        }
        Ok(Self {
            raised,
            silent: take.flag()?,
            until: take.option(Take::time)?,
            position: take.option(Take::position)?,
            first: Sighting::take(take)?,
            worst: Sighting::take(take)?,
            last: Sighting::take(take)?,
            taken: Taken::take(take, EVIDENCE_REMEMBERED)?,
            count: take.u64()?,
        })
    }
}

impl Raised {
    fn put(&self, out: &mut impl Put) {
        out.put_text(self.rule.as_str());
        out.put_u8(self.severity as u8);
        out.put_u8(self.certainty as u8);
    }

    fn take(take: &mut Take<'_>, weight_of: impl Fn(&RuleId) -> u32) -> Result<Self, CodecError> {
        let rule = take.parsed("rule")?;
        Ok(Self {
            weight: weight_of(&rule),
            rule,
            severity: Severity::take(take)?,
            certainty: Certainty::take(take)?,
        })
    }
}

/// Whether one sighting is worse than another: by severity, then by how far it is beyond.
fn graver(one: &Sighting, other: &Sighting) -> bool {
    let by_severity = one.severity.cmp(&other.severity);
    by_severity
        .then(one.excess.total_cmp(&other.excess))
        .is_gt()
}
