//! What became of a reading, with all that was known in its moment and what came of it later.
//!
//! Next: `sentences.rs`.

use std::path::Path;
use std::sync::Arc;

use ioc_core::bundle::Bundle;
use ioc_core::decision::{Decision, DecisionHash, Verdict};
use ioc_core::explain::{
    CaseLook, Explanation, FrontLook, LevelsLook, RuleLook, SequenceLook, StateLook,
    SuppressionLook, TogetherLook,
};
use ioc_core::id::RuleId;
use ioc_core::record::Seq;
use ioc_core::time::Timestamp;
use ioc_ws::Statement;
use serde_json::{Value, json};

use super::replay::{self, Replayed};
use super::{Bundles, WhyError, sentences};
use crate::journal::disk::SystemDisk;
use crate::journal::{Known, LogKind, scan};
use crate::recover::{DECISIONS_DIR, RecoverError, decode_decisions};

/// The most decisions that are told to have the reading as evidence.
const DECISIONS_MAX: usize = 20;

/// What became of a reading.
#[derive(Debug)]
pub struct ReadingAnswer {
    pub(super) seq: Seq,
    pub(super) reading: Value,
    pub(super) statement: Option<Statement>,
    pub(super) explanation: Explanation,
    pub(super) named: Named,
    pub(super) bundle: Option<Arc<Bundle>>,
    /// The record after which judging began again, and how many it took.
    pub(super) replayed: (Seq, u64),
    /// Whether all that came before is known.
    pub(super) is_exact: bool,
}

/// The decisions that say more of a reading.
#[derive(Debug)]
pub(super) struct Named {
    seq: Seq,
    sensor: String,
    at: Timestamp,
    /// The rules of faults by which its sensor was distrusted.
    distrusted_by: Vec<RuleId>,
    /// Those that name it as evidence, its own moment's and later ones.
    pub evidence_of: Vec<Arc<Decision>>,
    /// Those by which its sensor was distrusted, the last of each rule.
    pub faults: Vec<Arc<Decision>>,
}

impl Named {
    pub fn of(seq: Seq, sensor: &str, explanation: &Explanation) -> Self {
        let rules = explanation.rules.iter();
        let mut distrusted_by: Vec<_> = rules
            .flat_map(|look| look.distrusted_by.iter().cloned())
            .collect();
        distrusted_by.sort_unstable();
        distrusted_by.dedup();
        Self {
            seq,
            sensor: sensor.to_owned(),
            at: explanation.at,
            distrusted_by,
            evidence_of: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub fn take(&mut self, decision: &Arc<Decision>) {
        let cause = &decision.cause;
        let is_evidence = cause.evidence.iter().any(|own| own.seq == self.seq);
        if is_evidence && self.evidence_of.len() < DECISIONS_MAX {
            self.evidence_of.push(Arc::clone(decision));
        }
        let Verdict::SensorFaulty(sensor, _) = &decision.verdict else {
            return;
        };
        let mut by = self.distrusted_by.iter();
        let is_by = by.any(|rule| Some(rule) == cause.rule.as_ref());
        if is_by && sensor.id.as_str() == self.sensor && decision.at <= self.at {
            self.faults.retain(|other| other.cause.rule != cause.rule);
            self.faults.push(Arc::clone(decision));
        }
    }

    /// Since when its sensor was distrusted by a rule, if the decision is still there.
    pub fn distrusted_since(&self, rule: &RuleId) -> Option<Timestamp> {
        let mut faults = self.faults.iter();
        let fault = faults.find(|fault| fault.cause.rule.as_ref() == Some(rule));
        fault.map(|fault| fault.at)
    }
}

/// Judges a record again and looks where it is named.
pub(super) fn answer(
    data: &Path,
    seq: Seq,
    bundles: Bundles<'_>,
) -> Result<ReadingAnswer, WhyError> {
    let Replayed {
        explanation,
        reading,
        statement,
        bundle,
        from,
        is_exact,
        judged,
    } = replay::replay(data, seq, bundles)?;
    let sensor = reading["sensor"].as_str().unwrap_or_default();
    let mut named = Named::of(seq, sensor, &explanation);
    decisions(data, |decision| named.take(decision))?;
    Ok(ReadingAnswer {
        seq,
        reading,
        statement,
        explanation,
        named,
        bundle,
        replayed: (from, judged),
        is_exact,
    })
}

/// Hands over every decision that was released.
pub(super) fn decisions(data: &Path, mut each: impl FnMut(&Arc<Decision>)) -> Result<(), WhyError> {
    let dir = data.join(DECISIONS_DIR);
    let known = Known::default();
    let (contents, _) = scan::scan_to_damage(&SystemDisk, &dir, LogKind::Decisions, known)?;
    contents.for_each(&SystemDisk, 0, |header, payload| {
        // Nothing is proved here, so it may begin with anything.
        let mut hash = DecisionHash::default();
        let decisions = decode_decisions(header, payload, 0, &mut hash)?;
        decisions
            .iter()
            .for_each(|released| each(&released.decision));
        Ok::<_, RecoverError>(())
    })?;
    Ok(())
}

impl ReadingAnswer {
    pub(super) fn to_json(&self) -> Value {
        let explanation = &self.explanation;
        let decided = |decisions: &[Decision]| {
            let decisions = decisions.iter().map(decision_json);
            decisions.collect::<Vec<_>>()
        };
        let evidence_of = self
            .named
            .evidence_of
            .iter()
            .map(|decision| decision_json(decision));
        let counted = explanation.counted.iter();
        let counted = counted.map(|(name, by)| ((*name).to_owned(), json!(by)));
        json!({
            "about": "reading", "seq": self.seq, "at": explanation.at.to_string(),
            "reading": self.reading,
            "verdict": sentences::verdict(self),
            "fate": explanation.fate.word(),
            "from_the_future": explanation.from_the_future,
            "rules": explanation.rules.iter().map(|look| self.rule_json(look)).collect::<Vec<_>>(),
            "suppressed": explanation.suppressed.iter().map(suppressed_json).collect::<Vec<_>>(),
            "correlations": explanation.cases.iter().map(case_json).collect::<Vec<_>>(),
            "decided_by_timers_before": decided(&explanation.decided_before),
            "decided": decided(&explanation.decided),
            "evidence_of": evidence_of.collect::<Vec<_>>(),
            "counted": counted.collect::<serde_json::Map<_, _>>(),
            "replayed": {
                "after_record": self.replayed.0, "records": self.replayed.1,
                "exact": self.is_exact,
            },
        })
    }
}

impl ReadingAnswer {
    fn rule_json(&self, look: &RuleLook) -> Value {
        let takers = look.takers.iter().map(|rule| rule.as_str());
        let distrusted_by = look.distrusted_by.iter().map(|rule| {
            let since = self.named.distrusted_since(rule);
            json!({ "rule": rule.as_str(), "since": since.map(|at| at.to_string()) })
        });
        // Of states the levels are only the rule's own numbers for them.
        let levels = look.levels.as_ref().filter(|_| look.state.is_none());
        json!({
            "rule": look.rule.as_str(), "outcome": look.outcome,
            "levels": levels.map(levels_json),
            "state": look.state.as_ref().map(state_json),
            "weeks_learnt": look.learnt.map(|(known, _)| known),
            "weeks_needed": look.learnt.map(|(_, need)| need),
            "waits_until": look.waits_until.map(|at| at.to_string()),
            "distrusted_by": distrusted_by.collect::<Vec<_>>(),
            "taken_by": takers.collect::<Vec<_>>(),
            "sequences": look.sequences.iter().map(sequence_json).collect::<Vec<_>>(),
            "together": look.together.as_ref().map(together_json),
        })
    }
}

fn together_json(look: &TogetherLook) -> Value {
    json!({
        "by": look.by.word(), "group": look.group, "of": look.of.to_string(),
        "sensors": look.sensors.0, "sensors_needed": look.sensors.1,
        "levels": levels_json(&look.levels),
        "asked_at": look.asked_at.map(|at| at.to_string()), "raised": look.raised,
    })
}

fn state_json(state: &StateLook) -> Value {
    json!({
        "says": state.says, "severity": state.severity.map(|severity| severity.word()),
        "from": state.from, "came": state.came,
    })
}

fn sequence_json(look: &SequenceLook) -> Value {
    let takers = look.takers.iter().map(|rule| rule.as_str());
    let nearest = look.nearest.as_ref().map(|other| {
        json!({
            "sensor": other.sensor.as_str(), "since": other.since.to_string(),
            "distance_m": other.distance_m, "near": other.is_near,
            "kept_quiet": other.is_kept_quiet,
        })
    });
    json!({
        "rule": look.rule.as_str(), "taken_by": takers.collect::<Vec<_>>(),
        "raised": look.raised, "since": look.since.to_string(),
        "part": if look.is_then { "then" } else { "first" },
        "other": look.other.as_str(), "absent": look.absent,
        "within_time_ms": look.within.0, "within_m": look.within_m,
        "waits_until": look.waits_until.map(|at| at.to_string()), "nearest": nearest,
    })
}

fn suppressed_json(look: &SuppressionLook) -> Value {
    let state = &look.by;
    json!({
        "rule": look.rule.as_str(), "what": look.what, "suppression": state.id.to_string(),
        "how": state.how.word(), "by": state.by.as_str(), "reason": state.reason,
        "until": state.until.to_string(),
    })
}

fn levels_json(look: &LevelsLook) -> Value {
    let levels = look.levels.iter().map(|level| {
        json!({
            "severity": level.severity.word(), "level": level.level,
            "beyond": look.beyond(level.level),
            "readings": level.readings.0, "readings_needed": level.readings.1,
            "among": level.among, "since": level.since.map(|at| at.to_string()),
            "lasting_ms": level.lasting.0,
        })
    });
    json!({
        "value": look.value, "clear": look.clear,
        "raised": look.raised.map(|severity| severity.word()),
        "normal_in_a_row": look.normal_in_a_row.0,
        "normal_needed": look.normal_in_a_row.1,
        "eases_to": look.easing.map(|(_, to)| to.word()),
        "eased_in_a_row": look.easing.map(|(readings, _)| readings),
        "levels": levels.collect::<Vec<_>>(),
    })
}

fn case_json(case: &CaseLook) -> Value {
    let members = case.members.iter().map(|member| {
        let rules = member.rules.iter().map(|rule| rule.as_str());
        let distrusted_by = member.distrusted_by.iter().map(|rule| rule.as_str());
        json!({
            "sensor": member.sensor.as_str(),
            "reading": member.report.as_ref().map(|id| id.as_str()),
            "weight": member.weight, "stands": member.stands,
            "rules": rules.collect::<Vec<_>>(),
            "distrusted_by": distrusted_by.collect::<Vec<_>>(),
        })
    });
    let neighbours = case.neighbours.iter().map(|other| {
        json!({
            "sensor": other.sensor.as_str(), "distance_m": other.distance_m,
            "incident": other.incident.map(|id| id.to_string()),
            "last_evidence_at": other.last_evidence_at.to_string(),
            "of_another_group": other.is_of_another_group,
            "front": other.front.as_ref().map(front_json),
        })
    });
    json!({
        "rule": case.rule.as_str(), "kind": case.kind.as_str(),
        "incident": case.incident.map(|id| id.to_string()),
        "condition": case.condition.word(),
        "weight": case.weight.0, "weight_needed": case.weight.1, "within_m": case.within_m,
        "placed": case.is_placed,
        "members": members.collect::<Vec<_>>(), "members_total": case.members_count,
        "neighbours": neighbours.collect::<Vec<_>>(),
    })
}

fn front_json(front: &FrontLook) -> Value {
    let (first, last) = front.observed;
    json!({
        "observed_first": first.to_string(), "observed_last": last.to_string(),
        "apart_ms": front.apart.0, "allowed_ms": front.allowed.0, "is_one": front.is_one(),
    })
}

/// A decision as the stream tells it.
pub(super) fn decision_json(decision: &Decision) -> Value {
    let json = ioc_ws::decision_json(decision);
    serde_json::from_slice(&json).expect("a decision's JSON is one")
}
