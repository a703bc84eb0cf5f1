//! Why, and why not: what became of one record, and which step stopped it.
//!
//! Arrives: a judgement as it was before a record, and the record. Leaves: an [`Explanation`], with
//! the judgement as it is after. Promise: nothing of it is in the way of judging: what happened is
//! read off the counters, which say of every reading what each rule made of it, and off the state
//! that is there anyway, by whoever replays the record. So what is told is what was judged, by the
//! same code. Bounded: so many incidents, members and neighbours are looked at, and no more.

use crate::bundle::{GroupBy, Side, Statistic};
use crate::counters::{Counters, RuleCounters};
use crate::decision::{Condition, Decision, Severity, SuppressionState};
use crate::id::{IncidentId, IncidentKind, ReadingId, RuleId, SensorId};
use crate::judgement::Judgement;
use crate::reading::Reading;
use crate::record::{Input, Record, Seq};
use crate::time::{Millis, Timestamp};

/// The most members of an incident that are told of.
pub const MEMBERS_SHOWN_MAX: usize = 20;
/// The most neighbours that are told of.
pub const NEIGHBOURS_SHOWN_MAX: usize = 5;

/// What became of a reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The record.
    pub seq: Seq,
    /// When it was received, in logical time.
    pub at: Timestamp,
    /// How far it came.
    pub fate: Fate,
    /// It claimed to be observed after it was received, and counts as observed then.
    pub from_the_future: bool,
    /// What each rule of its kind made of it, in the order of their names.
    pub rules: Vec<RuleLook>,
    /// What keeps quiet what its rules found of the sensor, as it stands after.
    pub suppressed: Vec<SuppressionLook>,
    /// What each correlation rule made of what the detection rules found, as it stands after.
    pub cases: Vec<CaseLook>,
    /// What timers decided before it, by its time.
    pub decided_before: Vec<Decision>,
    /// What was decided in its moment.
    pub decided: Vec<Decision>,
    /// What else was counted: bounds that were reached, by the names of the metrics.
    pub counted: Vec<(&'static str, u64)>,
}

/// How far a reading came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its id is remembered: a redelivery, which changes nothing.
    Duplicate,
    /// It was observed so long ago that a redelivery could not be told from it.
    BeyondMemory,
    /// No rule looks at readings of its kind.
    NoRule,
    /// There are as many sensors as can be known.
    SensorOverLimit,
    /// Its sensor sends as many kinds as can be known.
    KindOverLimit,
    /// Rules looked at it.
    Judged,
}

impl Fate {
    /// A word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::BeyondMemory => "beyond_memory",
            Self::NoRule => "no_rule",
            Self::SensorOverLimit => "sensor_over_limit",
            Self::KindOverLimit => "kind_over_limit",
            Self::Judged => "judged",
        }
    }
}

/// What one detection rule made of a reading.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleLook {
    /// The rule.
    pub rule: RuleId,
    /// What it came to; the counter of the rule that says so.
    pub outcome: &'static str,
    /// What the rule knows of the sensor afterwards; `None` if that is nothing but the reading.
    pub levels: Option<LevelsLook>,
    /// Until when the reading waits: to be put in order, or for its window to close.
    pub waits_until: Option<Timestamp>,
    /// The correlation rules that take what it finds.
    pub takers: Vec<RuleId>,
    /// The rules of faults by which the sensor is not to be trusted in what it finds.
    pub distrusted_by: Vec<RuleId>,
    /// Which state the reading says, of a rule that asks what a state becomes.
    pub state: Option<StateLook>,
    /// In how many weeks the hour of the reading was seen, and how many it takes, of a rule that asks
    /// what is usual.
    pub learnt: Option<(u32, u32)>,
    /// The rules of sequences that it is a part of.
    pub sequences: Vec<SequenceLook>,
    /// What it is a part of, of a rule that asks what the values of several sensors come to.
    pub together: Option<TogetherLook>,
}

/// What the values of several sensors come to so far, of which a reading is one.
#[derive(Debug, Clone, PartialEq)]
pub struct TogetherLook {
    /// Which sensors belong together.
    pub by: GroupBy,
    /// The zone, line or whatever it is that they have in common; none if the sensor is in none.
    pub group: Option<String>,
    /// What is made of their values.
    pub of: Statistic,
    /// How many sensors have said something that is fresh, and how many it takes.
    pub sensors: (u32, u32),
    /// How that stands to the levels.
    pub levels: LevelsLook,
    /// When it is asked next, if it is.
    pub asked_at: Option<Timestamp>,
    /// Whether it is raised about the reading's sensor.
    pub raised: bool,
}

/// Which state a reading says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateLook {
    /// The state.
    pub says: String,
    /// How grave it is; none if the rule does not ask for it.
    pub severity: Option<Severity>,
    /// The states that it must come from; none: it may come from any.
    pub from: Vec<String>,
    /// Whether it did.
    pub came: bool,
}

/// How what a sensor's detection is to a rule of sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceLook {
    /// The rule.
    pub rule: RuleId,
    /// The correlation rules that take what it finds.
    pub takers: Vec<RuleId>,
    /// Whether it is raised about the sensor.
    pub raised: bool,
    /// Since when the sensor shows its detection, or did.
    pub since: Timestamp,
    /// Whether what the sensor shows is the second detection, and not the first.
    pub is_then: bool,
    /// The other detection.
    pub other: RuleId,
    /// Whether it is abnormal that the second is missing.
    pub absent: bool,
    /// How soon after the first the second must come.
    pub within: Millis,
    /// How near it, in metres.
    pub within_m: u32,
    /// Until when the second is waited for, where it must not be missing.
    pub waits_until: Option<Timestamp>,
    /// Of the sensors that show the other detection, or did, the one that it misses by least.
    pub nearest: Option<OtherLook>,
}

/// A sensor that shows the other detection of a sequence, or did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherLook {
    /// Which.
    pub sensor: SensorId,
    /// Since when it did.
    pub since: Timestamp,
    /// How far away it is, in metres, if both have a place.
    pub distance_m: Option<u32>,
    /// Whether it is near, by metres or by what feeds it.
    pub is_near: bool,
    /// Whether a third detection near it keeps the rule quiet.
    pub is_kept_quiet: bool,
}

/// How a sensor stands to the levels of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelsLook {
    /// What the levels are asked of: the value, or how much it changes; `None` if that is not known.
    pub value: Option<f64>,
    /// Which side of a level is abnormal.
    pub side: Side,
    /// Each level, least severe first, in the sensor's own terms.
    pub levels: Vec<LevelLook>,
    /// From where on it is normal again.
    pub clear: f64,
    /// What is raised.
    pub raised: Option<Severity>,
    /// How many readings in a row have been normal since it was raised, and how many it takes.
    pub normal_in_a_row: (u32, u32),
    /// How many readings in a row, of as many, were back from the level that is raised, and how
    /// grave it is when they are enough.
    pub easing: Option<(u32, Severity)>,
}

/// How a sensor stands to one level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelLook {
    /// How grave it is.
    pub severity: Severity,
    /// Where it lies.
    pub level: f64,
    /// How many readings were beyond it, and how many it takes.
    pub readings: (u32, u32),
    /// Among so many, if not in a row.
    pub among: Option<u32>,
    /// Since when they are, while any are.
    pub since: Option<Timestamp>,
    /// For how long it must be so.
    pub lasting: Millis,
}

impl LevelsLook {
    /// How far the value is beyond a level; negative: so much is missing.
    pub fn beyond(&self, level: f64) -> Option<f64> {
        let value = self.value?;
        Some(match self.side {
            Side::Above => value - level,
            Side::Below => level - value,
        })
    }
}

/// An incident or candidate that a reading's sensor, or the report itself, belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseLook {
    /// The correlation rule.
    pub rule: RuleId,
    /// What it makes.
    pub kind: IncidentKind,
    /// The incident; a candidate has none that anybody was told of.
    pub incident: Option<IncidentId>,
    /// What the world does.
    pub condition: Condition,
    /// What its sources weigh together at this time, and what it takes to open.
    pub weight: (u64, u32),
    /// How near evidence must be, in metres.
    pub within_m: u32,
    /// Whether the reading's source is somewhere: by its place, or in a network or a group that the
    /// rule follows.
    pub is_placed: bool,
    /// The first of its members, by name.
    pub members: Vec<MemberLook>,
    /// How many members there are.
    pub members_count: usize,
    /// What else is abnormal under the same rule and belongs to others, the nearest first.
    pub neighbours: Vec<NeighbourLook>,
}

/// A detection of a sensor that is kept quiet on purpose.
#[derive(Debug, Clone, PartialEq)]
pub struct SuppressionLook {
    /// The detection rule.
    pub rule: RuleId,
    /// What is kept quiet: `raised`, `reported`, `cleared`, `silent`, `faulty`.
    pub what: &'static str,
    /// By what, whom and why, until when.
    pub by: SuppressionState,
}

/// A member of an incident or candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberLook {
    /// Who.
    pub sensor: SensorId,
    /// The reading, if it is a report that counts by itself.
    pub report: Option<ReadingId>,
    /// What it weighs at this time.
    pub weight: u32,
    /// How it stands: `normal`, `context`, `abnormal`, `silent`, `reported`, `repeated` if whoever
    /// reports has done so before, `distrusted` (what it says decides nothing), `gone` (normal again,
    /// and silent before that had lasted).
    pub stands: &'static str,
    /// The detections about it that are raised.
    pub rules: Vec<RuleId>,
    /// The rules of faults by which its sensor is not to be trusted in any of these.
    pub distrusted_by: Vec<RuleId>,
}

/// A member of another incident or candidate of the same rule.
#[derive(Debug, Clone, PartialEq)]
pub struct NeighbourLook {
    /// Who.
    pub sensor: SensorId,
    /// How far away, in metres.
    pub distance_m: u32,
    /// The incident that it belongs to; none if that is a candidate.
    pub incident: Option<IncidentId>,
    /// When that had its last evidence.
    pub last_evidence_at: Timestamp,
    /// When that was observed, if the rule asks for what happens once to be noticed at one time.
    pub front: Option<FrontLook>,
    /// Whether that is about something else, by what the rule tells apart.
    pub is_of_another_group: bool,
}

/// When what another incident is about was observed, beside a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontLook {
    /// When it was observed first and last.
    pub observed: (Timestamp, Timestamp),
    /// How far from that the reading was observed; zero within.
    pub apart: Millis,
    /// How far it may be: what the rule allows, with the time that it travels as slowly as it may.
    pub allowed: Millis,
    /// How fast it travels at least, in metres a second, if it does.
    pub speed_m_per_s: Option<u32>,
}

impl FrontLook {
    /// Whether both may be of one thing that happened once.
    pub fn is_one(&self) -> bool {
        self.apart <= self.allowed
    }
}

impl Judgement {
    /// Applies one record like [`Self::apply`], and says what became of it if it is a reading. The
    /// decisions are those of the record's time; only their numbers are as they would be.
    pub fn explain(&mut self, record: &Record<'_>) -> Explanation {
        let mut decided_before = Vec::new();
        if record.input.reading().is_some() {
            // What is due by its time comes before it in any case.
            let time = Record {
                input: Input::Tick,
                ..*record
            };
            self.apply(&[time], &mut decided_before);
        }
        let before = self.counters();
        let mut decided = Vec::new();
        self.apply(&[*record], &mut decided);
        let after = self.counters();
        let mut explanation = Explanation {
            seq: record.seq,
            at: record.at,
            fate: fate(&before, &after),
            from_the_future: moved(&before, &after).any(|(name, _)| name == FUTURE),
            rules: Vec::new(),
            suppressed: Vec::new(),
            cases: Vec::new(),
            decided_before,
            decided,
            counted: counted(&before, &after),
        };
        if let Some(reading) = record.input.reading() {
            explanation.rules = self.look_at_rules(reading, &before, &after);
            explanation.suppressed = self.kept_quiet(reading);
            let of_kind = &explanation.rules;
            let looked = |rule: &RuleId| of_kind.iter().any(|look| look.rule == *rule);
            explanation.suppressed.retain(|look| looked(&look.rule));
            explanation.cases = self.look_at_cases(reading, &explanation.rules);
        }
        explanation
    }

    fn look_at_rules(
        &self,
        reading: &Reading<'_>,
        before: &Counters,
        after: &Counters,
    ) -> Vec<RuleLook> {
        let mut looks = self.looks_of(reading);
        for look in &mut looks {
            let of = |counters: &Counters| {
                let own = counters.rules.iter().find(|(rule, _)| *rule == look.rule);
                own.map(|(_, counters)| *counters).unwrap_or_default()
            };
            look.outcome = outcome(&of(before), &of(after));
            look.sequences = self.sequences_of(&look.rule, reading);
            look.together = self.together_of(&look.rule, reading);
        }
        looks.retain(|look| !look.outcome.is_empty());
        looks
    }

    fn look_at_cases(&self, reading: &Reading<'_>, rules: &[RuleLook]) -> Vec<CaseLook> {
        let takers = rules.iter().flat_map(|rule| {
            let sequences = rule.sequences.iter().flat_map(|sequence| &sequence.takers);
            rule.takers.iter().chain(sequences)
        });
        let mut takers: Vec<&RuleId> = takers.collect();
        takers.sort_unstable();
        takers.dedup();
        let cases = takers.into_iter();
        let cases = cases.filter_map(|taker| self.case_of(taker, reading));
        let mut cases: Vec<_> = cases.collect();
        for member in cases.iter_mut().flat_map(|case| &mut case.members) {
            member.distrusted_by = self.distrusted_by(&member.sensor, &member.rules);
        }
        cases
    }
}

const FUTURE: &str = "readings_from_the_future";

fn fate(before: &Counters, after: &Counters) -> Fate {
    let fates = moved(before, after).filter_map(|(name, _)| {
        Some(match name {
            "readings_duplicate" => Fate::Duplicate,
            "readings_beyond_memory" => Fate::BeyondMemory,
            "readings_of_no_rule" => Fate::NoRule,
            "readings_of_sensors_over_limit" => Fate::SensorOverLimit,
            "readings_of_kinds_over_limit" => Fate::KindOverLimit,
            _ => return None,
        })
    });
    fates.last().unwrap_or(Fate::Judged)
}

/// The counters of the sensor stages and the engine that have moved, and by how much.
fn moved<'c>(
    before: &'c Counters,
    after: &'c Counters,
) -> impl Iterator<Item = (&'static str, u64)> + 'c {
    let sensors = before.sensors.each().zip(after.sensors.each());
    let engine = before.engine.each().zip(after.engine.each());
    let both = sensors.chain(engine);
    let moved = both.map(|((name, before), (_, after))| (name, after - before));
    moved.filter(|(_, by)| *by > 0)
}

/// What was counted besides how far a reading came.
fn counted(before: &Counters, after: &Counters) -> Vec<(&'static str, u64)> {
    let told_otherwise = |name: &str| name.starts_with("readings_");
    let moved = moved(before, after);
    moved.filter(|(name, _)| !told_otherwise(name)).collect()
}

/// The counter by which a rule says what it made of a reading; empty if it did not look at it.
fn outcome(before: &RuleCounters, after: &RuleCounters) -> &'static str {
    let counters = before.each().zip(after.each());
    let moved = counters.filter(|((_, before), (_, after))| after > before);
    let moved: Vec<_> = moved.map(|((name, _), _)| name).collect();
    // What raises is evidence too.
    let raised = moved.iter().find(|name| **name == "raised");
    raised.or(moved.first()).copied().unwrap_or("")
}
