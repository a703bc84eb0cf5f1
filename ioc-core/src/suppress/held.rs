//! What was found and is kept quiet: the newest that is known of it, until it counts.
//!
//! Arrives: findings that something keeps quiet. Leaves: findings as if they were made now, when
//! nothing keeps them quiet any more. Promise: one entry for each detection of a sensor, and one
//! for each report; bounded; what has cleared in the meantime leaves no trace but its count.

use std::collections::{BTreeMap, BTreeSet};

use crate::decision::{Certainty, SensorFault, Severity};
use crate::detection::{Detection, Finding, Hearing, Malady, Sighting};
use crate::id::{ReadingId, RuleId, SensorId, SuppressionId, ZoneId};
use crate::invariant::{Audit, Invariant};
use crate::limits::{REPLACED_MAX, SUPPRESSED_MAX, SUPPRESSED_PER_STEP};
use crate::place::Position;
use crate::replaced::meant;
use crate::time::Timestamp;

/// What is held: a rule's verdict on a sensor, or one of its reports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Subject {
    pub sensor: SensorId,
    pub rule: RuleId,
    pub report: Option<ReadingId>,
}

/// One that is held.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// What keeps it quiet.
    pub by: SuppressionId,
    /// The zone that its sensor is registered in.
    pub zone: Option<ZoneId>,
    /// Whether its sensor is not to be trusted in this.
    pub doubted: bool,
    /// Whether it had been raised before, so that others take it for raised.
    pub known: bool,
    /// Whether its sensor fell silent since.
    pub silent: bool,
    pub what: What,
}

/// What is known of it by now.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// It is raised. Of what was raised before, maybe no reading has come since.
    Raised {
        severity: Severity,
        certainty: Certainty,
        sighting: Option<Sighting>,
    },
    /// It is over, and others take it for raised.
    Cleared,
    /// Somebody says so.
    Reported {
        severity: Severity,
        certainty: Certainty,
        until: Timestamp,
        observed_at: Timestamp,
        sighting: Sighting,
    },
    /// The sensor says nothing. It counts, and people do not know.
    Silent(Hearing),
    /// The sensor is broken. It counts, and people do not know.
    Faulty {
        fault: SensorFault,
        hearing: Hearing,
        shown: Option<Sighting>,
    },
}

/// All that is held.
#[derive(Debug, Default)]
pub(super) struct Held {
    entries: BTreeMap<Subject, Entry>,
    by: BTreeSet<(SuppressionId, Subject)>,
    /// When which report stops counting.
    lapses: BTreeSet<(Timestamp, Subject)>,
}

impl Subject {
    pub fn of(finding: &Finding) -> Self {
        let report = match &finding.detection {
            Detection::Reported { sighting, .. } => Some(sighting.reading.clone()),
            _ => None,
        };
        Self {
            sensor: finding.sensor.clone(),
            rule: finding.rule.clone(),
            report,
        }
    }
}

impl Entry {
    pub fn new(by: SuppressionId, finding: &Finding, what: What) -> Self {
        Self {
            by,
            zone: finding.zone.clone(),
            doubted: finding.doubted,
            known: false,
            silent: false,
            what,
        }
    }

    pub fn kept_by(self, by: SuppressionId) -> Self {
        Self { by, ..self }
    }

    /// How grave it is.
    pub fn severity(&self) -> Severity {
        match &self.what {
            What::Raised { severity, .. } | What::Reported { severity, .. } => *severity,
            What::Cleared | What::Silent(_) | What::Faulty { .. } => Severity::Unknown,
        }
    }

    /// It is no graver than this from here on.
    pub fn ease(&mut self, to: Severity) {
        if let What::Raised { severity, .. } = &mut self.what {
            *severity = (*severity).min(to);
        }
    }

    /// Where it is.
    pub fn place(&self) -> Option<Position> {
        match &self.what {
            What::Raised { sighting, .. } => sighting.as_ref()?.position,
            What::Reported { sighting, .. } => sighting.position,
            What::Silent(hearing) | What::Faulty { hearing, .. } => hearing.position,
            What::Cleared => None,
        }
    }

    fn lapses_at(&self) -> Option<Timestamp> {
        match self.what {
            What::Reported { until, .. } => Some(until),
            What::Raised { .. } | What::Cleared | What::Silent(_) | What::Faulty { .. } => None,
        }
    }

    /// Finds it anew: what is raised, as if it were raised now.
    pub fn release(self, subject: &Subject, now: Timestamp, found: &mut Vec<Finding>) {
        let Self {
            zone,
            doubted,
            known,
            silent,
            what,
            ..
        } = self;
        let mut unheard = None;
        let mut observed_at = now;
        let detection = match what {
            What::Raised {
                severity,
                certainty,
                sighting,
            } => {
                unheard = silent.then(|| sighting.clone()).flatten();
                raised(known, (severity, certainty), sighting)
            }
            What::Cleared => Detection::Cleared,
            What::Reported { until, .. } if until <= now => return,
            What::Reported {
                severity,
                certainty,
                until,
                observed_at: observed,
                sighting,
            } => {
                observed_at = observed;
                Detection::Reported {
                    severity,
                    certainty,
                    until,
                    sighting,
                    replaces: None,
                }
            }
            What::Silent(hearing) => Detection::Silent(hearing),
            What::Faulty {
                fault,
                hearing,
                shown,
            } => Detection::Faulty(Malady {
                fault,
                hearing,
                concerned: Vec::new(),
                shown,
            }),
        };
        let finding = |rule: RuleId, detection| Finding {
            seq: 0,
            due: None,
            rule,
            sensor: subject.sensor.clone(),
            observed_at,
            zone: zone.clone(),
            doubted,
            quiet: false,
            detection,
        };
        let rule = subject.rule.clone();
        found.push(finding(rule.clone(), detection));
        if let Some(sighting) = unheard {
            // It is abnormal for all that is known, and says nothing any more. Nobody is told.
            let hearing = Hearing {
                kind: "any".parse().expect("a word is a kind"),
                position: sighting.position,
                last_heard_at: sighting.at,
                raised: vec![rule.clone()],
                heard_by: Vec::new(),
                untold: true,
            };
            found.push(finding(rule, Detection::Silent(hearing)));
        }
    }
}

/// A detection as others are to hear of it: graver by time alone, once more, or for the first time.
pub(super) fn raised(
    known: bool,
    (severity, certainty): (Severity, Certainty),
    sighting: Option<Sighting>,
) -> Detection {
    match sighting {
        None => Detection::Worsened(severity),
        Some(sighting) if known => Detection::Updated {
            severity,
            certainty,
            sighting,
        },
        Some(sighting) => Detection::Raised {
            severity,
            certainty,
            sightings: vec![sighting],
        },
    }
}

/// What has counted all the time, and concerns nothing but people.
pub(super) fn to_be_told(hearing: Hearing) -> Hearing {
    Hearing {
        raised: Vec::new(),
        heard_by: Vec::new(),
        untold: false,
        ..hearing
    }
}

fn least_rule() -> RuleId {
    "-".parse().expect("it is the least of all names")
}

impl Held {
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn get(&self, subject: &Subject) -> Option<&Entry> {
        self.entries.get(subject)
    }

    /// Whether there is room for it, after what no longer counts is forgotten.
    pub fn has_room_for(&mut self, subject: &Subject, now: Timestamp) -> bool {
        while self.entries.len() >= SUPPRESSED_MAX
            && let Some((_, lapsed)) = self.lapses.first().filter(|(until, _)| *until <= now)
        {
            let lapsed = lapsed.clone();
            self.remove(&lapsed);
        }
        self.entries.len() < SUPPRESSED_MAX || self.entries.contains_key(subject)
    }

    pub fn insert(&mut self, subject: Subject, entry: Entry) {
        self.remove(&subject);
        self.by.insert((entry.by, subject.clone()));
        if let Some(until) = entry.lapses_at() {
            self.lapses.insert((until, subject.clone()));
        }
        self.entries.insert(subject, entry);
    }

    pub fn remove(&mut self, subject: &Subject) -> Option<Entry> {
        let (subject, entry) = self.entries.remove_entry(subject)?;
        if let Some(until) = entry.lapses_at() {
            self.lapses.remove(&(until, subject.clone()));
        }
        self.by.remove(&(entry.by, subject));
        Some(entry)
    }

    /// Forgets reports of a sensor by a rule that are no more, as it names them.
    pub fn withdraw(&mut self, sensor: &SensorId, rule: &RuleId, names: &str) {
        let mut gone = Vec::new();
        for (least, is_of) in meant(names) {
            let least = Subject {
                sensor: sensor.clone(),
                rule: rule.clone(),
                report: Some(least),
            };
            let from = self.entries.range(least..).map(|(subject, _)| subject);
            let of_name = from.take_while(|subject| {
                let report = subject.report.as_ref();
                subject.sensor == *sensor
                    && subject.rule == *rule
                    && report.is_some_and(|report| is_of.means(report))
            });
            gone.extend(of_name.take(REPLACED_MAX - gone.len()).cloned());
        }
        for subject in gone {
            self.remove(&subject);
        }
    }

    /// Whether anything is held by this.
    pub fn has_of(&self, by: SuppressionId) -> bool {
        self.of(by).next().is_some()
    }

    fn of(&self, by: SuppressionId) -> impl Iterator<Item = &Subject> {
        let least = Subject {
            sensor: "-".parse().expect("it is the least of all names"),
            rule: least_rule(),
            report: None,
        };
        let from = self.by.range((by, least)..);
        from.take_while(move |(own, _)| *own == by)
            .map(|(_, subject)| subject)
    }

    /// The first of what is held by these, as many as a step takes.
    pub fn first_of(&self, over: &BTreeSet<SuppressionId>) -> Vec<Subject> {
        let held = over.iter().flat_map(|by| self.of(*by));
        held.take(SUPPRESSED_PER_STEP).cloned().collect()
    }

    /// What is held of a sensor, in the order of the rules.
    pub fn of_sensor(&self, sensor: &SensorId) -> impl Iterator<Item = (&Subject, &Entry)> {
        let from = Subject {
            sensor: sensor.clone(),
            rule: least_rule(),
            report: None,
        };
        let entries = self.entries.range(from.clone()..);
        entries.take_while(move |(subject, _)| subject.sensor == from.sensor)
    }

    /// Changes what is raised about a sensor.
    pub fn change_raised(&mut self, sensor: &SensorId, change: impl Fn(&RuleId, &mut Entry)) {
        let from = Subject {
            sensor: sensor.clone(),
            rule: least_rule(),
            report: None,
        };
        let entries = self.entries.range_mut(from..);
        for (subject, entry) in entries.take_while(|(subject, _)| subject.sensor == *sensor) {
            if let What::Raised { .. } = entry.what {
                change(&subject.rule, entry);
            }
        }
    }

    /// Forgets what a sensor said that nobody else knows of, while this kept it quiet, and before it
    /// fell silent.
    pub fn forget_unheard(&mut self, sensor: &SensorId, by: SuppressionId) {
        let unheard = self.of_sensor(sensor).filter(|(_, entry)| {
            let is_raised = matches!(entry.what, What::Raised { .. });
            entry.by == by && is_raised && entry.silent && !entry.known
        });
        let unheard: Vec<_> = unheard.map(|(subject, _)| subject.clone()).collect();
        for subject in unheard {
            self.remove(&subject);
        }
    }

    /// All of it, in order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&Subject, &Entry)> {
        self.entries.iter()
    }

    pub fn audit(&self, is_known: impl Fn(SuppressionId) -> bool, audit: &mut Audit) {
        let by = self.entries.iter();
        let by = by.map(|(subject, entry)| (entry.by, subject.clone()));
        let lapses = self.entries.iter();
        let lapses = lapses.filter_map(|(subject, entry)| {
            let until = entry.lapses_at()?;
            Some((until, subject.clone()))
        });
        let agree = self.by == by.collect() && self.lapses == lapses.collect();
        audit.expect(agree, Invariant::IndexAgrees, "what is held");
        for (subject, entry) in &self.entries {
            let holds = is_known(entry.by);
            audit.expect(holds, Invariant::QuietIsReleased, &subject.sensor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(number: usize, until: i64) -> (Subject, Entry) {
        let reading: ReadingId = format!("r-{number}").parse().unwrap();
        let at = Timestamp::from_millis(0);
        let sighting = Sighting {
            reading: reading.clone(),
            seq: 1,
            at,
            value: 1.0,
            severity: Severity::Minor,
            excess: 0.0,
            position: None,
            shared: Default::default(),
        };
        let subject = Subject {
            sensor: "calls".parse().unwrap(),
            rule: "call".parse().unwrap(),
            report: Some(reading),
        };
        let entry = Entry {
            by: SuppressionId::derive(&["a"]),
            zone: None,
            doubted: false,
            known: false,
            silent: false,
            what: What::Reported {
                severity: Severity::Minor,
                certainty: Certainty::Likely,
                until: Timestamp::from_millis(until),
                observed_at: at,
                sighting,
            },
        };
        (subject, entry)
    }

    #[test]
    fn p5_what_finds_no_room_to_be_kept_quiet_is_told() {
        let mut held = Held::default();
        for number in 0..SUPPRESSED_MAX {
            let (subject, entry) = report(number, if number < 2 { 10 } else { 1_000 });
            assert!(held.has_room_for(&subject, Timestamp::from_millis(0)));
            held.insert(subject, entry);
        }
        let (further, entry) = report(SUPPRESSED_MAX, 1_000);
        assert!(!held.has_room_for(&further, Timestamp::from_millis(9)));
        let (known, _) = report(7, 1_000);
        assert!(held.has_room_for(&known, Timestamp::from_millis(9)));
        // What no longer counts makes room for what does.
        assert!(held.has_room_for(&further, Timestamp::from_millis(10)));
        held.insert(further, entry);
        assert!(held.entries().len() <= SUPPRESSED_MAX);
        let mut audit = Audit::default();
        held.audit(|_| true, &mut audit);
        assert_eq!(audit.0, []);
    }
}
