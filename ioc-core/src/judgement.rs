//! The whole judgement over a batch of records: sensor stages, merged into the engine.
//!
//! Arrives: records, in batches whose limits mean nothing. Leaves: decisions. Promise: the same
//! decisions and the same [digest](Judgement::digest) however many stages there are and however
//! the records were batched. Here the stages run one after another; a host that wants them side
//! by side drives [`SensorStage`]s and [`Engine`] itself, the same way.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::bundle::Bundle;
use crate::codec::CodecError;
use crate::counters::{Counters, RuleCounters};
use crate::decision::{CommandState, Decision};
use crate::detect::{SensorStage, Shard};
use crate::detection::{self, Finding};
use crate::engine::Engine;
use crate::explain::{CaseLook, RuleLook, SequenceLook, SuppressionLook, TogetherLook};
use crate::id::{RuleId, SensorId};
use crate::invariant::{Audit, Broken};
use crate::noted::Noting;
use crate::reading::Reading;
use crate::record::{BundleHash, Record, Seq};
use crate::rules::Rules;
use crate::state;
pub use crate::state::{STATE_FORMAT, STATE_FORMATS_READ};
use crate::time::Timestamp;

/// The judgement's whole state.
#[derive(Debug)]
pub struct Judgement {
    stages: Vec<SensorStage>,
    engine: Engine,
    judging: Seq,
}

impl Judgement {
    /// A judgement without rules, whose sensors are shared out to so many sensor stages.
    pub fn new(shards: NonZeroUsize) -> Self {
        let count = shards.get();
        let shards = (0..count).map(|number| Shard { number, count });
        Self {
            stages: shards.map(SensorStage::new).collect(),
            engine: Engine::new(),
            judging: 0,
        }
    }

    /// Makes a bundle known. It holds from the `Reload` record on that names it.
    pub fn provide(&mut self, bundle: Arc<Bundle>) {
        self.provide_rules(Arc::new(Rules::new(bundle)));
    }

    /// The same with a bundle whose indices are built: those of a large city take a while.
    pub fn provide_rules(&mut self, rules: Arc<Rules>) {
        for stage in &mut self.stages {
            stage.provide(Arc::clone(&rules));
        }
        self.engine.provide(rules);
    }

    /// Applies records in order: before each, every timer that is due. Appends what is decided.
    ///
    /// # Panics
    /// If a `Reload` names a bundle that was not provided: a mistake of the host.
    pub fn apply(&mut self, records: &[Record<'_>], decisions: &mut Vec<Decision>) {
        let (engine, judging) = (&mut self.engine, &mut self.judging);
        match &mut self.stages[..] {
            [stage] => apply_one_by_one(stage, engine, records, decisions, judging),
            stages => apply_stage_by_stage(stages, engine, records, decisions, judging),
        }
    }

    /// The record that is being judged, or was judged last; 0 before the first. Whoever catches a
    /// panic of [`Self::apply`] can name it. It is no part of the state.
    pub const fn judging(&self) -> Seq {
        self.judging
    }

    /// When the next timer is due: a `Tick` at that time is wanted if nothing else comes.
    pub fn next_due(&self) -> Option<Timestamp> {
        let stages = self.stages.iter().filter_map(SensorStage::next_due);
        stages.chain(self.engine.next_due()).min()
    }

    /// The commands to actuators that are under way, in the order of their keys; and of each whether
    /// it may be sent once only and has been begun to be.
    pub fn commands_pending(&self) -> impl Iterator<Item = (&CommandState, bool)> {
        self.engine.commands_pending()
    }

    /// The last commands that are over, whose devices may still answer; oldest first.
    pub fn commands_over(&self) -> impl Iterator<Item = &CommandState> {
        self.engine.commands_over()
    }

    /// A look at each rule of a reading's kind.
    pub(crate) fn looks_of(&self, reading: &Reading<'_>) -> Vec<RuleLook> {
        let stages = self.stages.iter();
        stages.flat_map(|stage| stage.looks_of(reading)).collect()
    }

    /// The rules of faults by which a sensor is not to be trusted in what any of these rules found.
    pub(crate) fn distrusted_by(&self, sensor: &SensorId, found: &[RuleId]) -> Vec<RuleId> {
        let stages = self.stages.iter();
        let by = stages.flat_map(|stage| stage.distrusted_by(sensor, found));
        by.collect()
    }

    /// A look at what a correlation rule made of a reading's sensor.
    pub(crate) fn case_of(&self, rule: &RuleId, reading: &Reading<'_>) -> Option<CaseLook> {
        self.engine.case_of(rule, reading)
    }

    /// How what a rule finds of a reading's sensor is a part of sequences.
    pub(crate) fn sequences_of(&self, rule: &RuleId, reading: &Reading<'_>) -> Vec<SequenceLook> {
        self.engine.sequences_of(rule, reading)
    }

    /// How what a reading says counts in a rule across sensors.
    pub(crate) fn together_of(&self, rule: &RuleId, reading: &Reading<'_>) -> Option<TogetherLook> {
        self.engine.together_of(rule, reading)
    }

    /// What keeps the detections of a reading's sensor quiet.
    pub(crate) fn kept_quiet(&self, reading: &Reading<'_>) -> Vec<SuppressionLook> {
        self.engine.kept_quiet(reading)
    }

    /// The hash of the whole state: equal for equal histories, however sharded and batched.
    pub fn digest(&self) -> [u8; 32] {
        state::digest(&self.stages, &self.engine)
    }

    /// Appends the whole state, in [`STATE_FORMAT`]: everything that a later decision can depend
    /// on, and the counters. Equal states are equal bytes, however sharded and batched.
    pub fn save(&self, out: &mut Vec<u8>) {
        state::save(&self.stages, &self.engine, &self.counters(), out);
    }

    /// The bundle that held when a state was saved, which [`Self::load`] asks for; `None` if none
    /// did yet.
    ///
    /// # Errors
    /// If the format is not among [`STATE_FORMATS_READ`], or the first bytes are damaged.
    pub fn saved_under(format: u16, bytes: &[u8]) -> Result<Option<BundleHash>, CodecError> {
        state::bundle_of(format, bytes)
    }

    /// The judgement as it was saved, with its sensors shared out to so many stages. `bundle` is
    /// the one that held; others that later records name must be provided again.
    ///
    /// # Errors
    /// If the format is not among [`STATE_FORMATS_READ`], the bundle is another or means something
    /// else than it did, or the bytes are not what was saved. Damage that leaves a state which
    /// could have been is not noticed here: whoever keeps the bytes keeps a hash of them.
    pub fn load(
        format: u16,
        shards: NonZeroUsize,
        bytes: &[u8],
        bundle: Option<Arc<Bundle>>,
    ) -> Result<Self, CodecError> {
        let (stages, engine) = state::load(format, shards, bytes, bundle)?;
        Ok(Self {
            stages,
            engine,
            judging: 0,
        })
    }

    /// The invariants that do not hold: none, or this crate is mistaken.
    pub fn audit(&self) -> Vec<Broken> {
        let mut audit = Audit::default();
        self.stages.iter().for_each(|stage| stage.audit(&mut audit));
        self.engine.audit(&mut audit);
        self.engine.audit_parents(&mut audit);
        audit.0
    }

    /// From here on notes which findings count, for [`Self::take_noted`]. It is no part of the state,
    /// and no decision depends on it.
    pub fn note_what_counts(&mut self) {
        self.engine.note_what_counts();
    }

    /// What was noted since this was asked last.
    pub fn take_noted(&mut self) -> Noting {
        self.engine.take_noted()
    }

    /// What became of every reading so far.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters {
            engine: self.engine.counters(),
            candidates: self.engine.candidates() as u64,
            incidents_live: self.engine.incidents_live() as u64,
            ..Counters::default()
        };
        for stage in &self.stages {
            counters.sensors += stage.counters();
            counters.sensors_known += stage.sensors_known() as u64;
            add_rules(&mut counters.rules, stage);
        }
        for (rule, counters) in &mut counters.rules {
            *counters += self.engine.counters_of(rule);
        }
        counters
    }
}

/// One stage: each record's findings go straight to the engine.
fn apply_one_by_one(
    stage: &mut SensorStage,
    engine: &mut Engine,
    records: &[Record<'_>],
    decisions: &mut Vec<Decision>,
    judging: &mut Seq,
) {
    let mut findings = Vec::new();
    for next in records.chunks(SensorStage::LOOK_AHEAD) {
        stage.look_ahead(next);
        for record in next {
            *judging = record.seq;
            stage.apply(record, &mut findings);
            engine.apply(record, &findings, decisions);
            findings.clear();
        }
    }
}

/// Several stages: each over the whole batch, then merged for the engine.
fn apply_stage_by_stage(
    stages: &mut [SensorStage],
    engine: &mut Engine,
    records: &[Record<'_>],
    decisions: &mut Vec<Decision>,
    judging: &mut Seq,
) {
    let found = |stage: &mut SensorStage| {
        let mut findings = Vec::new();
        for next in records.chunks(SensorStage::LOOK_AHEAD) {
            stage.look_ahead(next);
            for record in next {
                *judging = record.seq;
                stage.apply(record, &mut findings);
            }
        }
        VecDeque::from(findings)
    };
    let mut found: Vec<_> = stages.iter_mut().map(found).collect();
    let merged = detection::merge(&mut found);
    let mut rest = &merged[..];
    for record in records {
        let own = rest.partition_point(|finding: &Finding| finding.seq == record.seq);
        let (own, after) = rest.split_at(own);
        rest = after;
        *judging = record.seq;
        engine.apply(record, own, decisions);
    }
}

/// Adds what a stage counted per rule; every stage has the same rules in the same order.
fn add_rules(sums: &mut Vec<(RuleId, RuleCounters)>, stage: &SensorStage) {
    for (place, (rule, counters)) in stage.rule_counters().enumerate() {
        match sums.get_mut(place) {
            Some((_, sum)) => *sum += *counters,
            None => sums.push((rule.clone(), *counters)),
        }
    }
}
