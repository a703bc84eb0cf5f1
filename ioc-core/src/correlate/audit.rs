//! Whether a correlation rule's cases, and what leads to them, agree.

use std::collections::BTreeSet;

use super::{Correlator, Desk};
use crate::decision::Condition;
use crate::incident::{Case, Purpose, World};
use crate::invariant::{Audit, Invariant};

impl Correlator {
    /// Checks every invariant of its cases. Returns how many timers they wait for.
    pub fn audit(&self, desk: &Desk, audit: &mut Audit) -> usize {
        for case in self.in_order() {
            audit_condition(case, audit);
            let slot = self.slots.get(&case.incident.id);
            let explained = slot.is_some_and(|&slot| self.is_explained(slot, desk));
            audit_symptom(case, explained, desk, audit);
        }
        self.audit_leaving(desk, audit)
    }

    /// The same of cases that leave: they follow nothing any more, but hold together.
    pub(super) fn audit_leaving(&self, desk: &Desk, audit: &mut Audit) -> usize {
        let mut sensors = BTreeSet::new();
        let mut led = BTreeSet::new();
        let mut places = 0;
        let mut nodes = 0;
        let mut reached = 0;
        let mut values = 0;
        let mut reports = 0;
        let mut timers = 0;
        for case in self.in_order() {
            let incident = &case.incident;
            let slot = self.slots.get(&incident.id).copied();
            let holds = slot.is_some_and(|slot| std::ptr::eq(self.case(slot), case));
            audit.expect(holds, Invariant::IdsResolve, incident.id);
            audit.expect(case.cluster.sums_agree(), Invariant::SumsAgree, incident.id);
            audit_family(case, desk, audit);
            for (source, member) in case.cluster.members() {
                let own = member.is_led_to(source);
                led.extend(own.then_some(&source.sensor));
                let leads_here = self.by_sensor.get(&source.sensor).copied() == slot;
                // Reports without a place may share their sensor's entry.
                let once = source.report.is_some() || sensors.insert(source.sensor.clone());
                let holds = !own || (leads_here && once);
                audit.expect(holds, Invariant::MembershipIsAPartition, &source.sensor);
                places += usize::from(member.position.is_some());
                values += self.same.count(&member.shared);
                reports += self.reports.count(source);
                nodes += usize::from(self.network.node(&source.sensor).is_some());
                reached += usize::from(self.network.is_in_reach(&source.sensor));
            }
            for why in Purpose::ALL {
                let Some(due) = incident.dues[why as usize] else {
                    continue;
                };
                timers += 1;
                let runs = desk.timers.runs(due, &self.rule.name, &(incident.id, why));
                audit.expect(runs, Invariant::TimersAgree, incident.id);
            }
        }
        for (slot, source, member) in self.husks.members() {
            values += self.same.count(&member.shared);
            reports += self.reports.count(source);
            nodes += usize::from(self.network.node(&source.sensor).is_some());
            reached += usize::from(self.network.is_in_reach(&source.sensor));
            let leads_here = self.by_sensor.get(&source.sensor) == Some(&slot);
            led.extend(leads_here.then_some(&source.sensor));
        }
        let leads = self.by_sensor.len() == led.len();
        audit.expect(leads, Invariant::MembershipIsAPartition, &self.rule.name);
        let agrees = self.index.places(|slot| self.is_live(slot)) == places
            && self.network.members() == nodes
            && self.network.reach_members() == reached
            && self.network.has_taken_growth()
            && self.same.values() == values
            && self.cases.agree()
            && self.reports.len() == reports;
        audit.expect(agrees, Invariant::IndexAgrees, &self.rule.name);
        timers
    }
}

/// INV-18, and that parents know their children.
fn audit_family(case: &Case, desk: &Desk, audit: &mut Audit) {
    let incident = &case.incident;
    if incident.opened_at.is_some() {
        let (gravest, _) = case.cluster.verdict();
        let gravest = gravest.max(incident.from_children);
        let holds = incident.severity >= gravest || incident.docket.judged >= gravest;
        audit.expect(holds, Invariant::GraveAsItsMembers, incident.id);
    }
    if let Some(parent) = incident.parent {
        let known = desk.family.has(parent, incident.id) && parent != incident.id;
        audit.expect(known, Invariant::FamilyAgrees, incident.id);
    }
}

/// Whether what is told of a symptom is what its cause says, unless it waits to be judged again.
fn audit_symptom(case: &Case, explained: bool, desk: &Desk, audit: &mut Audit) {
    let incident = &case.incident;
    let parent = incident.parent;
    let waits = parent.is_some_and(|parent| desk.family.explained.waits(parent));
    // What has merged away may be forgotten before its children have followed.
    let is_named = parent.is_none_or(|parent| {
        let now = desk.book.find(parent);
        now.is_some_and(|(now, _)| now == parent)
    });
    let holds = incident.suppressed == explained || waits || !is_named;
    audit.expect(holds, Invariant::SymptomsAreExplained, incident.id);
}

fn audit_condition(case: &Case, audit: &mut Audit) {
    let incident = &case.incident;
    if incident.opened_at.is_none() {
        return;
    }
    let waits_to_clear = incident.dues[Purpose::Clear as usize].is_some();
    let holds = match (incident.condition, case.cluster.world()) {
        (Condition::Active, World::GoesOn) | (Condition::Unknown, World::Blind) => !waits_to_clear,
        (Condition::Active, World::Quiet) => waits_to_clear,
        (Condition::Cleared, World::Quiet) => incident.dues[Purpose::Retire as usize].is_some(),
        (Condition::Active, World::Blind)
        | (Condition::Unknown | Condition::Cleared, World::GoesOn)
        | (Condition::Unknown, World::Quiet)
        | (Condition::Cleared, World::Blind) => false,
    };
    audit.expect(holds, Invariant::ConditionFollowsMembers, incident.id);
}
