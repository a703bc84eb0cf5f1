//! A correlation rule's cases as bytes, in the order of their ids.
//!
//! Slots, the index of places, what leads to a case and the timers follow from the cases and are
//! made anew. Next: `incident.rs`.

use super::{Correlator, Leaving, Told, weight_of};
use crate::codec::{CodecError, Put, Take};
use crate::id::{IncidentId, RuleId};
use crate::incident::{Case, Cluster, Incident, Purpose};
use crate::rules::Rules;
use crate::timer::Timer;

impl Correlator {
    /// Puts the whole state.
    pub fn put(&self, leaving: &Leaving, out: &mut impl Put) {
        out.put_text(self.rule.name.as_str());
        out.put_u64(self.rule.hash);
        self.put_cases(out);
        self.all_told(leaving).put(out);
    }

    /// Puts the cases.
    pub(super) fn put_cases(&self, out: &mut impl Put) {
        out.put_count(self.slots.len());
        for case in self.in_order() {
            case.incident.put(out);
            case.cluster.put(out);
        }
    }

    /// The cases as they were put under one of these rules. Adds the timers that they wait for.
    pub fn load(
        format: u16,
        take: &mut Take<'_>,
        rules: &Rules,
        timers: &mut Vec<Timer<(IncidentId, Purpose)>>,
    ) -> Result<Self, CodecError> {
        let (name, hash) = (take.text()?, take.u64()?);
        let mut all = rules.correlations().iter();
        let rule = all.find(|rule| rule.name.as_str() == name);
        let rule = rule.filter(|rule| rule.hash == hash);
        let rule = rule.ok_or(CodecError("a correlation rule that does not hold"))?;
        let mut correlator = Self::new(rule.clone(), rules);
        correlator.take_cases(format, take, timers)?;
        correlator.told = Told::take(format, take)?;
        Ok(correlator)
    }

    /// The cases as they were put. Adds the timers that they wait for.
    pub(super) fn take_cases(
        &mut self,
        format: u16,
        take: &mut Take<'_>,
        timers: &mut Vec<Timer<(IncidentId, Purpose)>>,
    ) -> Result<(), CodecError> {
        let mut last = None;
        for _ in 0..take.u32()? {
            let incident = Incident::take(format, take)?;
            let weight_of = |detection: &RuleId| weight_of(&self.rule, detection);
            let cluster = Cluster::take(format, incident.id, take, weight_of)?;
            if last >= Some(incident.id) {
                return Err(CodecError("cases are not in order"));
            }
            last = Some(incident.id);
            timers.extend(self.timers_of(&incident));
            self.restore(Case { incident, cluster })?;
        }
        // It was followed when it came.
        self.network.take_grown();
        self.cases.freshen();
        Ok(())
    }

    fn timers_of(&self, incident: &Incident) -> impl Iterator<Item = Timer<(IncidentId, Purpose)>> {
        let rule = self.rule.name.clone();
        let id = incident.id;
        let dues = Purpose::ALL.into_iter().zip(incident.dues);
        dues.filter_map(move |(why, due)| {
            Some(Timer {
                due: due?,
                rule: rule.clone(),
                subject: (id, why),
            })
        })
    }

    /// Puts a case back, with all that leads to it.
    fn restore(&mut self, case: Case) -> Result<(), CodecError> {
        if case.incident.opened_at.is_none() {
            let candidate = (case.incident.begun_at, case.incident.id);
            self.candidates.insert(candidate);
        }
        let slot = self.put_case(case);
        let case = self.cases.get(slot).expect("just put");
        for (source, member) in case.cluster.members() {
            if let Some(place) = member.position {
                self.index.insert(slot, place);
            }
            self.network.insert(slot, &source.sensor);
            self.same.insert(slot, &member.shared);
            self.reports.insert(slot, source);
            if member.is_led_to(source) {
                let before = self.by_sensor.insert(source.sensor.clone(), slot);
                if before.is_some_and(|before| before != slot) {
                    return Err(CodecError("a sensor is a member of two cases"));
                }
            }
        }
        Ok(())
    }
}
