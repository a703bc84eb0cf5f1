//! Whose word counts about others: the sensors that feed something or that water comes to, and which
//! of them would say so if something were wrong.
//!
//! Arrives: that such a sensor is heard, falls silent, is not to be believed, and that this is over.
//! Leaves: whether the city can rely on its saying so when it fails. Promise: being registered is no
//! word: who was never heard, is silent or is distrusted measures nothing. It is about sensors and not
//! about what people are told: what is kept quiet on purpose counts here too. No more of them than
//! are registered in networks. Next: `correlate/along.rs`.

use std::collections::BTreeMap;

use crate::codec::{CodecError, Put, Take};
use crate::detection::{Detection, Finding};
use crate::id::{RuleId, SensorId};
use crate::rules::Rules;

/// Those that were heard, each with the rules by which it is silent or distrusted, sorted.
#[derive(Debug, Default)]
pub(crate) struct Meters(BTreeMap<SensorId, Vec<RuleId>>);

impl Meters {
    /// Whether a sensor would say so if something were wrong with what it measures.
    pub fn tells(&self, sensor: &SensorId) -> bool {
        self.0.get(sensor).is_some_and(Vec::is_empty)
    }

    /// Takes note of what was found about a sensor. Returns whether its word counts no more from
    /// here on.
    pub fn note(&mut self, finding: &Finding, rules: &Rules) -> bool {
        let amiss = match &finding.detection {
            Detection::Heard(amiss) => {
                let told = self.tells(&finding.sensor);
                if rules.networks().is_meter(finding.sensor.as_str()) {
                    self.0.insert(finding.sensor.clone(), amiss.clone());
                }
                return told && !self.tells(&finding.sensor);
            }
            Detection::Silent(_) => true,
            Detection::Faulty(malady) if malady.fault.distrusted => true,
            Detection::Returned(_) | Detection::SilenceForgotten(_) | Detection::Sound(_) => false,
            Detection::Faulty(_)
            | Detection::Stirred
            | Detection::Raised { .. }
            | Detection::Updated { .. }
            | Detection::Worsened(_)
            | Detection::Eased(_)
            | Detection::Cleared
            | Detection::Reported { .. }
            | Detection::Withdrawn(_)
            | Detection::SiteSilent(_)
            | Detection::SiteReturned(_)
            | Detection::Contributed(_)
            | Detection::Observed(_) => return false,
        };
        let Some(known) = self.0.get_mut(&finding.sensor) else {
            return false;
        };
        let told = known.is_empty();
        match (known.binary_search(&finding.rule), amiss) {
            (Err(place), true) => known.insert(place, finding.rule.clone()),
            (Ok(place), false) => {
                known.remove(place);
            }
            (Ok(_), true) | (Err(_), false) => {}
        }
        told && amiss
    }

    /// Another city holds: whose word is asked for no more is forgotten.
    pub fn hold_under(&mut self, rules: &Rules) {
        let networks = rules.networks();
        self.0
            .retain(|sensor, _| networks.is_meter(sensor.as_str()));
    }

    /// Puts all of them.
    pub fn put(&self, out: &mut impl Put) {
        out.put_count(self.0.len());
        for (sensor, amiss) in &self.0 {
            out.put_text(sensor.as_str());
            out.put_count(amiss.len());
            amiss.iter().for_each(|rule| out.put_text(rule.as_str()));
        }
    }

    /// All of them, as they were put.
    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let count = take.u32()? as usize;
        let meters = take.each(count, |take| {
            let sensor = take.parsed("sensor")?;
            let amiss = take.u32()? as usize;
            Ok((sensor, take.each(amiss, |take| take.parsed("rule"))?))
        })?;
        let in_order =
            meters.is_sorted_by(|(one, _): &(SensorId, Vec<RuleId>), (next, _)| one < next);
        let amiss = |(_, amiss): &(_, Vec<_>)| amiss.is_sorted_by(|one, next| one < next);
        if !in_order || !meters.iter().all(amiss) {
            return Err(CodecError("who is heard is not in order"));
        }
        Ok(Self(meters.into_iter().collect()))
    }
}

impl FromIterator<(SensorId, Vec<RuleId>)> for Meters {
    /// Those that sensor stages know, where it was not kept.
    fn from_iter<T: IntoIterator<Item = (SensorId, Vec<RuleId>)>>(heard: T) -> Self {
        Self(heard.into_iter().collect())
    }
}
