//! The sensors that are broken or silent, and those that cause the most.
//!
//! Arrives: decisions, from the view. Leaves: what is wrong with each sensor, since when and by
//! which rule; and the *bad actors*, ranked by the load that they put on operators in the last
//! days. In most plants and cities ten sensors cause most of the alarms (EEMUA 191, bad actors):
//! mending them is worth more than any rule. Promise: bounded, and the same from the same
//! decisions, saved in between or not. Not here: what a fault means for incidents, which the core
//! has decided. Next: `frame.rs`.

mod load;

use std::collections::BTreeMap;
use std::sync::Arc;

use ioc_core::CodecError;
use ioc_core::codec::{Put, Take};
use ioc_core::decision::{
    Cause, Decision, DecisionSeq, SensorFault, SensorState, SiteBy, SiteState, Verdict,
};
use ioc_core::id::{RuleId, SensorId};
use ioc_core::time::Timestamp;

use self::load::Load;
pub(crate) use self::load::{Counts, DAYS};
use crate::saved::{put_decision, take_decision};

/// What is known of the sensors' health.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    /// What is wrong, by sensor and rule. As many as the core has sensors and rules for them.
    troubled: BTreeMap<SensorId, Arc<Troubled>>,
    /// The sites that are silent as a whole, with the decision that told it.
    sites: BTreeMap<(SiteBy, String), Arc<SilentSite>>,
    load: Load,
}

/// A site that is silent as a whole, and the decision that told it.
pub(crate) type SilentSite = (SiteState, DecisionSeq, Timestamp);

/// A sensor with which something is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Troubled {
    /// As the last decision about it showed it.
    pub state: SensorState,
    /// At least one, in the order in which they were told.
    pub troubles: Vec<Trouble>,
}

/// One thing that is wrong with a sensor.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    /// The fault; `None`: it says nothing.
    pub fault: Option<SensorFault>,
    pub rule: Option<RuleId>,
    pub seq: DecisionSeq,
    pub since: Timestamp,
}

impl Trouble {
    /// The word for it.
    pub(crate) const fn word(&self) -> &'static str {
        match self.fault {
            Some(fault) => fault.kind.word(),
            None => "silent",
        }
    }
}

impl Health {
    /// Takes a decision, whatever it is about.
    pub(crate) fn apply(&mut self, decision: &Decision) {
        self.load.count(decision);
        let rule = &decision.cause.rule;
        let trouble = |fault| Trouble {
            fault,
            rule: rule.clone(),
            seq: decision.seq,
            since: decision.at,
        };
        match &decision.verdict {
            Verdict::SensorSilent(sensor) => self.begin(sensor, trouble(None)),
            Verdict::SensorFaulty(sensor, fault) => self.begin(sensor, trouble(Some(*fault))),
            Verdict::SensorReturned(sensor) | Verdict::SensorSound(sensor, _) => {
                self.end(sensor, rule.as_ref());
            }
            Verdict::SiteSilent(site) => {
                let told = (site.clone(), decision.seq, decision.at);
                self.sites
                    .insert((site.by, site.id.clone()), Arc::new(told));
            }
            Verdict::SiteReturned(site) => {
                self.sites.remove(&(site.by, site.id.clone()));
            }
            Verdict::IncidentOpened(_)
            | Verdict::IncidentUpdated(_)
            | Verdict::IncidentMerged { .. }
            | Verdict::IncidentCleared(_)
            | Verdict::IncidentUnknown(_)
            | Verdict::IncidentReopened(_)
            | Verdict::IncidentLinked(_)
            | Verdict::IncidentAcknowledged(_)
            | Verdict::IncidentHandled { .. }
            | Verdict::IncidentEscalated(_)
            | Verdict::IncidentRated(_)
            | Verdict::IncidentShelved(_)
            | Verdict::IncidentSuppressed(_)
            | Verdict::Suppression(..)
            | Verdict::IncidentSplit { .. }
            | Verdict::IncidentEvidenceMoved { .. }
            | Verdict::RulesChanged(_)
            | Verdict::CommandRefused(_)
            | Verdict::Command(..) => {}
        }
    }

    fn begin(&mut self, sensor: &SensorState, trouble: Trouble) {
        let troubled = self.troubled.entry(sensor.id.clone()).or_insert_with(|| {
            Arc::new(Troubled {
                state: sensor.clone(),
                troubles: Vec::new(),
            })
        });
        let troubled = Arc::make_mut(troubled);
        troubled.state = sensor.clone();
        troubled.troubles.retain(|each| each.rule != trouble.rule);
        troubled.troubles.push(trouble);
    }

    fn end(&mut self, sensor: &SensorState, rule: Option<&RuleId>) {
        let Some(troubled) = self.troubled.get_mut(&sensor.id) else {
            return;
        };
        let troubled = Arc::make_mut(troubled);
        troubled.state = sensor.clone();
        troubled.troubles.retain(|each| each.rule.as_ref() != rule);
        if troubled.troubles.is_empty() {
            self.troubled.remove(&sensor.id);
        }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.put_count(self.troubled.len());
        for troubled in self.troubled.values() {
            out.put_count(troubled.troubles.len());
            for trouble in &troubled.troubles {
                put_decision(out, &trouble.told(&troubled.state));
            }
        }
        out.put_count(self.sites.len());
        for site in self.sites.values() {
            put_decision(out, &told_of_site(site));
        }
        self.load.put(out);
    }

    /// The health as it was put; before format 3 there were no sites.
    pub(crate) fn take(format: u16, take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut troubled = BTreeMap::new();
        for _ in 0..take.u32()? {
            let sensor = Troubled::take(take)?;
            troubled.insert(sensor.state.id.clone(), Arc::new(sensor));
        }
        let mut sites = BTreeMap::new();
        let silent = if format < 3 { 0 } else { take.u32()? };
        for _ in 0..silent {
            let told = take_decision(take)?;
            let Verdict::SiteSilent(site) = told.verdict else {
                return Err(CodecError("no site that is silent"));
            };
            let key = (site.by, site.id.clone());
            sites.insert(key, Arc::new((site, told.seq, told.at)));
        }
        let load = Load::take(take)?;
        Ok(Self {
            troubled,
            sites,
            load,
        })
    }
}

/// The decision that told of a silent site.
fn told_of_site((site, seq, at): &SilentSite) -> Decision {
    Decision {
        seq: *seq,
        at: *at,
        verdict: Verdict::SiteSilent(site.clone()),
        cause: Cause::default(),
    }
}

/// The health of the sensors as of one decision.
#[derive(Debug, Default)]
pub(crate) struct HealthPicture {
    /// With which something is wrong, sorted by id; the first of them, if there are very many.
    pub troubled: Vec<Arc<Troubled>>,
    pub troubled_total: usize,
    /// The sites that are silent as a whole: zones, then gateways, then feeders, each by id.
    pub sites: Vec<Arc<SilentSite>>,
    /// Those that cause the most, worst first.
    pub bad_actors: Vec<(SensorId, Counts)>,
    /// What all sensors caused together.
    pub load: Counts,
}

/// What a picture knows of the health of one sensor.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Known<'a> {
    /// Nothing is wrong with it.
    Sound,
    /// Something is.
    Troubled(&'a Troubled),
    /// There are so many with which something is that they are not all listed, and this one may be
    /// among the others.
    Unlisted,
}

impl HealthPicture {
    /// What is wrong with a sensor, if something is.
    pub(crate) fn of_sensor(&self, sensor: &SensorId) -> Known<'_> {
        let place = self
            .troubled
            .binary_search_by(|own| own.state.id.cmp(sensor));
        match place {
            Ok(place) => Known::Troubled(&self.troubled[place]),
            // Those that are listed are the first by their ids.
            Err(place) if place == self.troubled.len() && self.troubled_total > place => {
                Known::Unlisted
            }
            Err(_) => Known::Sound,
        }
    }

    /// The picture, with at most so many sensors listed.
    pub(crate) fn of(health: &Health, listed_max: usize) -> Self {
        let listed = health.troubled.values().take(listed_max);
        let worst = health.load.worst();
        Self {
            troubled: listed.cloned().collect(),
            troubled_total: health.troubled.len(),
            sites: health.sites.values().take(listed_max).cloned().collect(),
            bad_actors: worst.map(|(id, counts)| (id.clone(), counts)).collect(),
            load: health.load.total(),
        }
    }
}

impl Troubled {
    /// Whether what it says weighs nothing.
    pub(crate) fn is_distrusted(&self) -> bool {
        let faults = self.troubles.iter().filter_map(|trouble| trouble.fault);
        faults.into_iter().any(|fault| fault.distrusted)
    }

    fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut sensor = None;
        let mut troubles = Vec::new();
        for _ in 0..take.u32()? {
            let told = take_decision(take)?;
            let (state, fault) = match told.verdict {
                Verdict::SensorSilent(state) => (state, None),
                Verdict::SensorFaulty(state, fault) => (state, Some(fault)),
                _ => return Err(CodecError("no sensor with which something is wrong")),
            };
            sensor = Some(state);
            troubles.push(Trouble {
                fault,
                rule: told.cause.rule,
                seq: told.seq,
                since: told.at,
            });
        }
        let state = sensor.ok_or(CodecError("a sensor with which nothing is wrong"))?;
        Ok(Self { state, troubles })
    }
}

impl Trouble {
    /// The decision that told it.
    fn told(&self, sensor: &SensorState) -> Decision {
        let sensor = sensor.clone();
        Decision {
            seq: self.seq,
            at: self.since,
            verdict: match self.fault {
                None => Verdict::SensorSilent(sensor),
                Some(fault) => Verdict::SensorFaulty(sensor, fault),
            },
            cause: Cause {
                rule: self.rule.clone(),
                ..Cause::default()
            },
        }
    }
}

#[cfg(test)]
mod tests;
