//! The stage's part in faults of sensors: each reading is examined before any rule judges it.
//!
//! Arrives: a reading of a sensor. Leaves: findings about the sensor, and whether it is to be
//! trusted in readings of this kind from here on: while a fault lasts whose rule distrusts, what is
//! found by its readings is marked as doubted, by all rules or by those that the fault is about.
//! Detections go on as if nothing were, so that what the sensor still says counts again in the
//! moment in which it is trusted again. Where rules of the kind put readings in order, a reading is
//! examined when its turn comes, not when it comes. Next: `due.rs`.

use super::fault::Settling;
use super::sensor::{Sensor, Track};
use super::{Moment, SensorStage, concerns, fault, finding};
use crate::bundle::{DetectionRule, Fault, Test};
use crate::counters::RuleCounters;
use crate::decision::{SensorFault, Severity};
use crate::detection::{Detection, Finding, Hearing, Malady, Sighting};
use crate::id::{ReadingId, RuleId};
use crate::reading::Reading;
use crate::rules::Rules;
use crate::shared::Shared;
use crate::time::Timestamp;

impl SensorStage {
    /// Looks for faults of the sensor in a reading.
    pub(super) fn examine(
        &mut self,
        number: usize,
        track: usize,
        reading: &Reading<'_>,
        moment: Moment,
        found: &mut Vec<Finding>,
    ) {
        let sensor = &mut self.sensors[number];
        let registered = sensor.registered.map(|number| self.rules.sensor(number));
        let position = reading.position.or(registered.and_then(|own| own.position));
        let faults = &self.rules.kind(sensor.tracks[track].kind).faults;
        for (place, &rule_number) in faults.iter().enumerate() {
            let rule = self.rules.detection(rule_number);
            let counters = &mut self.rule_counters[rule_number as usize];
            if !concerns(rule, reading, moment.at) {
                counters.unmatched += 1;
                continue;
            }
            let own = &mut sensor.tracks[track];
            let state = &mut own.faults[place];
            let (fault, settle) = (fault_of(rule), fault::settle(rule, fault_of(rule)));
            if reading.observed_at.min(moment.at) + settle > moment.at {
                let before = state.due(settle);
                let now = (moment.at, moment.seq, position);
                let settled = state.wait(fault, registered, reading, now);
                let after = state.due(settle);
                counters.gathered += u64::from(settled.is_none());
                let of = (rule_number, number as u32);
                self.timers.replace(before, after, of);
                if let Some((id, waited, outcome)) = settled {
                    let shown = shown(id, moment, &waited);
                    found.extend(sensor.examined(
                        (&self.rules, counters),
                        (track, place),
                        (outcome, || shown),
                        moment,
                    ));
                }
                continue;
            }
            let outcome = state.judge(fault, registered, reading, moment.at);
            let shown = || Sighting {
                reading: reading.id.parse().expect("a reading's id is valid"),
                seq: moment.seq,
                at: moment.at,
                value: reading.value,
                severity: Severity::Unknown,
                excess: 0.0,
                position,
                shared: Shared::default(),
            };
            found.extend(sensor.examined(
                (&self.rules, counters),
                (track, place),
                (outcome, shown),
                moment,
            ));
        }
    }

    /// A reading has waited for long enough. Returns when the next has.
    pub(super) fn fire_fault(
        &mut self,
        number: usize,
        rule_number: u32,
        moment: Moment,
        found: &mut Vec<Finding>,
    ) -> Option<Timestamp> {
        let rule = self.rules.detection(rule_number);
        let sensor = &mut self.sensors[number];
        let registered = sensor.registered.map(|number| self.rules.sensor(number));
        let of_kind = |track: &Track| self.rules.kind(track.kind).kind == rule.kind;
        let track = sensor.tracks.iter().position(of_kind);
        let track = track.expect("a timer's rule has examined the sensor");
        let faults = &self.rules.kind(sensor.tracks[track].kind).faults;
        let place = faults.iter().position(|own| *own == rule_number);
        let place = place.expect("a kind's rules are in its index");
        let fault = fault_of(rule);
        let (id, waited, outcome) = sensor.tracks[track].faults[place].release(fault, registered);
        let shown = || shown(id, moment, &waited);
        let counters = &mut self.rule_counters[rule_number as usize];
        found.extend(sensor.examined(
            (&self.rules, counters),
            (track, place),
            (outcome, shown),
            moment,
        ));
        sensor.tracks[track].faults[place].due(fault::settle(rule, fault))
    }
}

/// A reading that has waited, as it is told.
fn shown(reading: ReadingId, moment: Moment, waited: &Settling) -> Sighting {
    Sighting {
        reading,
        seq: waited.seq,
        at: moment.at,
        value: waited.value,
        severity: Severity::Unknown,
        excess: 0.0,
        position: waited.position,
        shared: Shared::default(),
    }
}

impl Sensor {
    /// What a fault rule at a place of a track made of a reading, counted; and what is found by it.
    fn examined(
        &mut self,
        (rules, counters): (&Rules, &mut RuleCounters),
        (track, place): (usize, usize),
        (outcome, shown): (fault::Outcome, impl FnOnce() -> Sighting),
        moment: Moment,
    ) -> Option<Finding> {
        let begins = match outcome {
            fault::Outcome::Held(false) => {
                counters.normal += 1;
                return None;
            }
            fault::Outcome::Held(true) => {
                counters.held += 1;
                return None;
            }
            fault::Outcome::Faulty => true,
            fault::Outcome::Sound => false,
        };
        counters.faulty += u64::from(begins);
        counters.sound += u64::from(!begins);
        let track = &mut self.tracks[track];
        let rule = rules.detection(rules.kind(track.kind).faults[place]);
        let detection = fault_changed(rules, track, place, begins, shown());
        Some(finding(rules, self, rule, moment, detection))
    }
}

/// What is found when the fault at this place begins or ends, and which rules that concerns: those
/// by which nothing else makes the sensor doubtful.
fn fault_changed(
    rules: &Rules,
    track: &mut Track,
    place: usize,
    begins: bool,
    shown: Sighting,
) -> Detection {
    track.weigh_trust(rules);
    let rule = rules.detection(rules.kind(track.kind).faults[place]);
    let distrusts = fault_of(rule).distrust;
    let news =
        |name: &RuleId| fault_of(rule).doubts(name) && !track.doubts(rules, name, Some(place));
    let malady = Malady {
        fault: SensorFault {
            kind: fault::kind(fault_of(rule)),
            distrusted: if begins { distrusts } else { track.doubted },
        },
        hearing: Hearing {
            kind: rule.kind.clone(),
            position: shown.position,
            last_heard_at: shown.at,
            raised: track.raised(rules).collect(),
            heard_by: Vec::new(),
            untold: false,
        },
        concerned: track.judging(rules).filter(news).collect(),
        shown: Some(shown),
    };
    if begins {
        Detection::Faulty(malady)
    } else {
        Detection::Sound(malady)
    }
}

/// The fault that a rule of faults asks for.
pub(super) fn fault_of(rule: &DetectionRule) -> &Fault {
    match &rule.test {
        Test::Fault(fault) => fault,
        Test::Threshold(_)
        | Test::Rate(_)
        | Test::Usual(_)
        | Test::Becomes(_)
        | Test::Window(_)
        | Test::Silence(_)
        | Test::SiteSilence(_)
        | Test::Across(_)
        | Test::Alone(_)
        | Test::Sequence(_)
        | Test::Report(_) => unreachable!("only fault rules are among the faults of a kind"),
    }
}

impl Fault {
    /// Whether the sensor is not to be trusted in what this rule finds for as long as it lasts.
    fn doubts(&self, rule: &RuleId) -> bool {
        self.distrust && (self.of.is_empty() || self.of.contains(rule))
    }
}

impl Track {
    /// Says anew whether the sensor is to be trusted in all that it says.
    pub fn weigh_trust(&mut self, rules: &Rules) {
        let doubted = self.lasting(rules).any(|(_, fault)| fault.distrust);
        self.doubted = doubted;
    }

    /// Whether the sensor is not to be trusted in what this rule finds, by faults other than the
    /// one at a place.
    pub fn doubts(&self, rules: &Rules, rule: &RuleId, but: Option<usize>) -> bool {
        let mut others = self.lasting(rules).filter(|(place, _)| Some(*place) != but);
        others.any(|(_, fault)| fault.doubts(rule))
    }

    /// The rules of faults by which the sensor is not to be trusted in what this rule finds.
    pub fn distrusted_by(&self, rules: &Rules, rule: &RuleId) -> Vec<RuleId> {
        let faults = &rules.kind(self.kind).faults;
        let lasting = self.lasting(rules).filter(|(_, fault)| fault.doubts(rule));
        let name = |place: usize| rules.detection(faults[place]).name.clone();
        lasting.map(|(place, _)| name(place)).collect()
    }

    /// The faults that last, each with its place.
    fn lasting<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = (usize, &'a Fault)> {
        let numbers = rules.kind(self.kind).faults.iter();
        let faults = numbers.zip(&self.faults).enumerate();
        let lasting = faults.filter(|(_, (_, state))| state.is_raised());
        lasting.map(|(place, (&number, _))| (place, fault_of(rules.detection(number))))
    }
}
