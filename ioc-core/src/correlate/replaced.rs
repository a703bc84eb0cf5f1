//! Which reports a source takes back: by a new one that takes their place, or for good.
//!
//! Arrives: members that are reports, where a rule can take them back, and the names by which a
//! source calls them. Leaves: what counts no more, as if its time were over; and the case that a
//! report joins because it goes on with one of it, if nothing else is near: a storm that moves on
//! stays the same storm. Promise: the cost depends on how many reports are named, never on how many
//! there are. Derived from the members: part of no digest.

use std::collections::BTreeSet;

use super::Correlator;
use crate::bundle::{CorrelationRule, Test};
use crate::detection::Finding;
use crate::id::{ReadingId, RuleId, SensorId};
use crate::incident::Source;
use crate::limits::REPLACED_MAX;
use crate::place::Position;
use crate::replaced::meant;
use crate::rules::Rules;

/// The reports among the members of one correlation rule's cases; of no rule that takes none back.
#[derive(Debug)]
pub(crate) struct ReportIndex {
    reports: Option<BTreeSet<(SensorId, ReadingId, u32)>>,
}

impl ReportIndex {
    /// An empty index for a rule.
    pub fn new(rule: &CorrelationRule, rules: &Rules) -> Self {
        let mut detections = rule.detections.iter();
        let takes_back = detections.any(|detection| may_be_taken_back(detection, rules));
        Self {
            reports: takes_back.then(BTreeSet::new),
        }
    }

    fn is_kept(&self) -> bool {
        self.reports.is_some()
    }

    /// Puts a member of a case in.
    pub fn insert(&mut self, slot: u32, source: &Source) {
        if let (Some(reports), Some(report)) = (&mut self.reports, &source.report) {
            reports.insert((source.sensor.clone(), report.clone(), slot));
        }
    }

    /// Takes a member of a case out.
    pub fn remove(&mut self, slot: u32, source: &Source) {
        if let (Some(reports), Some(report)) = (&mut self.reports, &source.report) {
            reports.remove(&(source.sensor.clone(), report.clone(), slot));
        }
    }

    /// How many entries this member has.
    pub fn count(&self, source: &Source) -> usize {
        usize::from(self.is_kept() && source.report.is_some())
    }

    pub fn len(&self) -> usize {
        self.reports.as_ref().map_or(0, BTreeSet::len)
    }

    /// The reports of a sensor that are meant by these names, each with its case, up to the bound.
    fn named(&self, sensor: &SensorId, names: &str) -> Vec<(u32, Source)> {
        let mut found = Vec::new();
        let Some(reports) = &self.reports else {
            return found;
        };
        for (least, is_of) in meant(names) {
            let from = reports.range((sensor.clone(), least, 0)..);
            let of_name = from.take_while(|(own, id, _)| own == sensor && is_of.means(id));
            let of_name = of_name.map(|(sensor, id, slot)| {
                let source = Source {
                    sensor: sensor.clone(),
                    report: Some(id.clone()),
                };
                (*slot, source)
            });
            found.extend(of_name.take(REPLACED_MAX - found.len()));
        }
        found
    }
}

/// Whether a source can take back what this rule took as a report, or what followed from it.
fn may_be_taken_back(detection: &RuleId, rules: &Rules) -> bool {
    let test = |rule: &RuleId| rules.detection_named(rule).map(|rule| &rule.test);
    let is_report = |test: Option<&Test>| match test {
        Some(Test::Report(report)) => report.replaces.is_some(),
        _ => false,
    };
    match test(detection) {
        Some(Test::Sequence(sequence)) => {
            is_report(test(&sequence.first)) || is_report(test(&sequence.then))
        }
        own => is_report(own),
    }
}

impl Correlator {
    /// Other rules hold: whether reports can be taken back may be another than before.
    pub(super) fn index_reports(&mut self, rules: &Rules) {
        let index = ReportIndex::new(&self.rule, rules);
        if index.is_kept() == self.reports.is_kept() {
            return;
        }
        self.reports = index;
        for (slot, case) in self.cases.with_slots() {
            let members = case.cluster.members();
            members.for_each(|(source, _)| self.reports.insert(slot, source));
        }
    }

    /// What a source takes back counts no more, unless the source is not to be trusted.
    pub(super) fn withdraw(&mut self, finding: &Finding, names: &str) {
        if finding.doubted {
            return;
        }
        for (slot, source) in self.reports.named(&finding.sensor, names) {
            if !self.is_live(slot) {
                continue;
            }
            let case = self.case_mut(slot);
            if !case.cluster.withdraw(&source, &finding.rule) {
                continue;
            }
            let opened = case.incident.opened_at.is_some();
            self.touch(slot);
            if !opened {
                self.dismiss_if_normal(slot, &source);
            }
        }
    }

    /// Whether a report takes the place of one that is in a case already: its source is known there.
    pub(super) fn renews(&self, finding: &Finding, slot: u32) -> bool {
        let Some(names) = finding.detection.withdraws() else {
            return false;
        };
        let reports = self.reports.named(&finding.sensor, names);
        reports.iter().any(|(own, _)| *own == slot)
    }

    /// The case of a report that this one takes the place of: of several the one whose report is
    /// nearest, then that of the least id.
    pub(super) fn replaced_by(&self, finding: &Finding, place: Option<Position>) -> Option<u32> {
        let names = finding.detection.withdraws()?;
        let reports = self.reports.named(&finding.sensor, names);
        let live = reports.iter().filter(|(slot, _)| self.is_live(*slot));
        let ranked = live.filter_map(|(slot, source)| {
            let case = self.case(*slot);
            let before = case.cluster.member(source)?.position;
            let metres = before
                .zip(place)
                .map(|(before, now)| before.distance_m(now));
            Some((metres.unwrap_or(u32::MAX), case.incident.id, *slot))
        });
        ranked.min().map(|(.., slot)| slot)
    }
}
