//! The group stage: what several sensors say together, between their findings and what correlates.
//!
//! Arrives: findings of the sensor stages, in the one order, and its own timers. Leaves: the same
//! findings, followed by those of the group rules that they bring about. Promise: part of the single
//! writer, so it sees all sensors, and decides the same whatever the shards; a rule watches a
//! bounded number of sensors; nothing waits for another reading to be told, for what does not come
//! is told by a timer. Not here: what belongs together as an incident (`correlate.rs`). Next:
//! `group/sequence.rs`.

mod sequence;

use std::collections::BTreeMap;

use self::sequence::Sequencer;
use crate::bundle::{DetectionRule, Test};
use crate::codec::{CodecError, Put, Take};
use crate::detection::{Detection, Finding};
use crate::id::{RuleId, SensorId};
use crate::invariant::{Audit, Invariant};
use crate::rules::Rules;
use crate::time::Timestamp;
use crate::timer::{Timer, Timers};

/// The rules about several sensors, with what they know.
#[derive(Debug)]
pub(crate) struct Group {
    sequences: BTreeMap<RuleId, Sequencer>,
    timers: Timers<SensorId>,
}

impl Group {
    pub fn new() -> Self {
        Self {
            sequences: BTreeMap::new(),
            timers: Timers::new(),
        }
    }

    /// Whether there is any rule, so that findings need be looked at.
    pub fn is_at_work(&self) -> bool {
        !self.sequences.is_empty()
    }

    /// The first timer that is due by `to`: when, and of which rule.
    pub fn first_due(&self, to: Timestamp) -> Option<(Timestamp, &RuleId)> {
        let timer = self.timers.first_due(to)?;
        Some((timer.due, &timer.rule))
    }

    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.next_due()
    }

    /// Takes findings of one moment. Returns them, with what follows from them, and for how many
    /// there was no room.
    pub fn take(
        &mut self,
        findings: &[Finding],
        at: Timestamp,
        rules: &Rules,
    ) -> (Vec<Finding>, u64) {
        let mut over_limit = 0;
        let mut all = Vec::with_capacity(findings.len());
        for finding in findings {
            let mut amended = finding.clone();
            self.amend(&mut amended, rules);
            let place = all.len() + 1;
            all.push(amended);
            for (name, sequencer) in &mut self.sequences {
                let before = sequencer.due(&finding.sensor);
                let moment = sequence::Moment { finding, at, rules };
                over_limit += sequencer.take(moment, &mut all);
                // A detection may end what waits about other sensors too.
                for (sensor, due) in sequencer.ended.drain(..) {
                    self.timers.cancel(due, name.clone(), sensor);
                }
                let after = sequencer.due(&finding.sensor);
                if before != after && after.is_some() {
                    self.timers.replace(None, after, name, &finding.sensor);
                }
            }
            all[place..]
                .sort_by(|one, other| (&one.rule, &one.sensor).cmp(&(&other.rule, &other.sensor)));
        }
        (all, over_limit)
    }

    /// Fires its first timer.
    ///
    /// Precondition: one is due by `to`.
    pub fn fire(&mut self, to: Timestamp, rules: &Rules) -> Option<Finding> {
        let timer = self.timers.pop_due(to).expect("one is due");
        let sequencer = self.sequences.get_mut(&timer.rule);
        let sequencer = sequencer.expect("timers are of rules that hold");
        sequencer.fire(&timer.subject, timer.due, rules)
    }

    /// Other rules: those that mean the same go on, what others had raised clears.
    pub fn reload(&mut self, new: &Rules, at: Timestamp, found: &mut Vec<Finding>) {
        let mut old = std::mem::take(&mut self.sequences);
        for rule in sequences(new) {
            let kept = old.remove(&rule.name);
            let kept = kept.filter(|sequencer| sequencer.means(rule));
            let sequencer = kept.unwrap_or_else(|| Sequencer::new(rule));
            self.sequences.insert(rule.name.clone(), sequencer);
        }
        for sequencer in old.values() {
            sequencer.end(at, found);
        }
        self.time();
    }

    /// The timers follow from what each rule waits for.
    fn time(&mut self) {
        let timers = self.sequences.iter().flat_map(|(name, sequencer)| {
            let waiting = sequencer.waiting();
            waiting.map(|(subject, due)| Timer {
                due,
                rule: name.clone(),
                subject: subject.clone(),
            })
        });
        self.timers = timers.collect();
    }

    /// Lets what is found about a sensor concern the group rules that are raised about it.
    fn amend(&self, finding: &mut Finding, rules: &Rules) {
        let sensor = &finding.sensor;
        let raised = self.sequences.iter();
        let raised = raised.filter(|(_, sequencer)| sequencer.is_raised(sensor));
        match &mut finding.detection {
            Detection::Silent(hearing)
            | Detection::Returned(hearing)
            | Detection::SilenceForgotten(hearing) => {
                hearing.raised.extend(raised.map(|(name, _)| name.clone()));
            }
            Detection::Faulty(malady) | Detection::Sound(malady) => {
                let kind = &malady.hearing.kind;
                let of_kind = |name: &RuleId| {
                    let mut rules = rules.detections().iter();
                    rules.any(|rule| rule.name == *name && rule.kind == *kind)
                };
                if malady.concerned.is_empty() {
                    return;
                }
                for (name, _) in raised.filter(|(_, sequencer)| of_kind(sequencer.about())) {
                    malady.concerned.push(name.clone());
                    malady.hearing.raised.push(name.clone());
                }
            }
            Detection::Stirred
            | Detection::Raised { .. }
            | Detection::Updated { .. }
            | Detection::Worsened(_)
            | Detection::Cleared
            | Detection::Reported { .. }
            | Detection::Observed(_) => {}
        }
    }

    pub fn audit(&self, audit: &mut Audit) {
        let mut waiting = 0;
        for (name, sequencer) in &self.sequences {
            for (sensor, due) in sequencer.waiting() {
                waiting += 1;
                let runs = self.timers.runs(due, name, sensor);
                audit.expect(runs, Invariant::TimersAgree, name);
            }
        }
        let agree = waiting == self.timers.len();
        audit.expect(agree, Invariant::TimersAgree, "the group stage");
    }

    /// Puts the whole state, rules in the order of their names.
    pub fn put(&self, out: &mut impl Put) {
        for sequencer in self.sequences.values() {
            sequencer.put(out);
        }
    }

    /// The state as it was put under the same rules.
    pub fn take_bytes(take: &mut Take<'_>, rules: &Rules) -> Result<Self, CodecError> {
        let mut group = Self::new();
        for rule in sequences(rules) {
            let sequencer = Sequencer::take_bytes(rule, take)?;
            group.sequences.insert(rule.name.clone(), sequencer);
        }
        group.time();
        Ok(group)
    }
}

fn sequences(rules: &Rules) -> impl Iterator<Item = &DetectionRule> {
    let rules = rules.detections().iter();
    rules.filter(|rule| matches!(rule.test, Test::Sequence(_)))
}
