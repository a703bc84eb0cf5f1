//! The current picture: what operators see as of decision N.
//!
//! Arrives: decisions in order, and samples of readings, from the keeper alone. Leaves:
//! [`Picture`]s, immutable and shared, from which snapshots and REST answer. Promise: one writer;
//! open incidents are all there; all else is bounded by `options.rs`. Its mirror in the console is
//! `store.js`, tested with the same frames. Next: `keeper.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};

use ioc_core::decision::{CommandChange, CommandState, Condition, Decision, DecisionSeq, Handling};
use ioc_core::decision::{IncidentState, SensorState, SuppressionState, Verdict};
use ioc_core::id::{Actor, ActuatorId, IncidentId, ReadingKind, RuleId, SensorId, SuppressionId};
use ioc_core::place::Position;
use ioc_core::time::Timestamp;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::feed::{Head, Published};
use crate::frame;
use crate::health::{Health, HealthPicture};
use crate::milestones::Milestones;
use crate::options::WindowOptions;
use crate::saved::Saved;

/// An incident as it stands, with what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Incident {
    pub state: IncidentState,
    /// The rule that opened it.
    pub rule: Option<RuleId>,
    pub updated_seq: DecisionSeq,
    pub updated_at: Timestamp,
    pub acknowledged: Option<(Timestamp, Option<Actor>)>,
    /// The last thing that a person did about it.
    pub handled: Option<(Timestamp, Option<Actor>)>,
    /// The decision that ended it, and when; `None` while it is open.
    pub ended: Option<(DecisionSeq, Timestamp)>,
    pub merged_into: Option<IncidentId>,
    /// What became of it, beyond the ring. Shared with the incident before, until that is gone.
    pub milestones: Arc<Milestones>,
}

impl Incident {
    /// The incident as this decision leaves it, given what was known of it before.
    pub(crate) fn after(before: Option<&Self>, decision: &Decision) -> Option<Self> {
        let state = decision.verdict.incident()?.clone();
        let open = is_open(&state) || is_looked_into(before, decision, &state);
        let ended_before = before.and_then(|before| before.ended);
        let merged_into = match decision.verdict {
            Verdict::IncidentMerged { into, .. } => Some(into),
            _ => before.and_then(|before| before.merged_into),
        };
        let rule_before = before.and_then(|before| before.rule.clone());
        Some(Self {
            rule: rule_before.or_else(|| decision.cause.rule.clone()),
            updated_seq: decision.seq,
            updated_at: decision.at,
            acknowledged: acknowledged(before, decision, &state),
            handled: by_person(decision).or_else(|| before?.handled.clone()),
            ended: match open {
                true => None,
                false => ended_before.or(Some((decision.seq, decision.at))),
            },
            merged_into,
            milestones: before.map_or_else(Arc::default, |before| Arc::clone(&before.milestones)),
            state,
        })
    }
}

impl Incident {
    /// Another becomes part of it: what people have done about that they have done about this one.
    fn take_in(&mut self, other: &Self) {
        let seen = || other.acknowledged.clone();
        self.acknowledged = self.acknowledged.take().or_else(seen);
        let at = |handled: &Option<(Timestamp, Option<Actor>)>| handled.as_ref().map(|(at, _)| *at);
        if at(&other.handled) > at(&self.handled) {
            self.handled.clone_from(&other.handled);
        }
        Arc::make_mut(&mut self.milestones).take_in(&other.milestones);
    }
}

/// Who has seen it, as long as that holds.
fn acknowledged(
    before: Option<&Incident>,
    decision: &Decision,
    state: &IncidentState,
) -> Option<(Timestamp, Option<Actor>)> {
    if state.handling == Handling::New {
        return None;
    }
    let before = before.and_then(|before| before.acknowledged.clone());
    before.or_else(|| match decision.verdict {
        Verdict::IncidentAcknowledged(_) => by_person(decision).or(Some((decision.at, None))),
        _ => by_person(decision),
    })
}

/// When and who, if a person is the cause.
fn by_person(decision: &Decision) -> Option<(Timestamp, Option<Actor>)> {
    let (_, actor) = decision.cause.request.as_ref()?;
    Some((decision.at, Some(actor.clone())))
}

/// Whether somebody is to see to it still: it goes on and nobody has put it aside, or people are at
/// work on it.
fn is_open(state: &IncidentState) -> bool {
    let aside = matches!(
        state.handling,
        Handling::Merged | Handling::Closed | Handling::Dismissed(_)
    );
    !aside && (state.condition != Condition::Cleared || state.handling.is_work())
}

/// Whether it is over, and a person has reopened it since, and nobody has done more than see it.
fn is_looked_into(before: Option<&Incident>, decision: &Decision, state: &IncidentState) -> bool {
    let is_seen = |state: &IncidentState| {
        let seen = matches!(state.handling, Handling::New | Handling::Acknowledged);
        state.condition == Condition::Cleared && seen
    };
    // What evidence reopens is not over.
    let reopens = matches!(decision.verdict, Verdict::IncidentReopened(_));
    let was = before.is_some_and(|before| before.ended.is_none() && is_seen(&before.state));
    is_seen(state) && (reopens || was)
}

/// Adds a decision to what is kept of an incident's history.
fn tell(incident: &mut Arc<Incident>, published: &Published, control: bool) {
    let milestones = &mut Arc::make_mut(incident).milestones;
    Arc::make_mut(milestones).tell(published.decision.seq, &published.json, control);
}

/// A live reading, for consoles: the host thins them, sensor by sensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Who said it.
    pub sensor: SensorId,
    /// What it measures.
    pub kind: ReadingKind,
    /// The value, in `unit`.
    pub value: f64,
    /// The unit; empty if none is known.
    pub unit: Arc<str>,
    /// When the source says it measured.
    pub observed_at: Timestamp,
    /// Where, if the reading said so.
    pub position: Option<Position>,
}

/// A sensor that says nothing.
#[derive(Debug)]
pub(crate) struct Silent {
    pub state: SensorState,
    pub seq: DecisionSeq,
    pub at: Timestamp,
}

/// The last command to an actuator, as it stands.
#[derive(Debug)]
pub(crate) struct Commanded {
    pub state: CommandState,
    /// The decision that told it.
    pub seq: DecisionSeq,
    pub at: Timestamp,
}

/// Something that is kept quiet on purpose, or was, as it stands.
#[derive(Debug)]
pub(crate) struct Suppressed {
    pub state: SuppressionState,
    /// The decision that told it.
    pub seq: DecisionSeq,
    pub at: Timestamp,
}

/// The picture while it is being kept.
#[derive(Debug)]
pub(crate) struct View {
    options: WindowOptions,
    head: Head,
    incidents: BTreeMap<IncidentId, Arc<Incident>>,
    /// What ended, oldest first: at most `ended_incidents_max`. One that reopened since counts.
    ended: VecDeque<(IncidentId, DecisionSeq)>,
    silent: BTreeMap<SensorId, Arc<Silent>>,
    commands: BTreeMap<ActuatorId, Arc<Commanded>>,
    suppressions: BTreeMap<SuppressionId, Arc<Suppressed>>,
    /// What is kept quiet no more, oldest first: at most `ended_suppressions_max`.
    unsuppressed: VecDeque<SuppressionId>,
    health: Health,
    samples: BTreeMap<SensorId, Arc<Sample>>,
    latest: Option<Arc<Picture>>,
}

impl View {
    pub(crate) fn new(options: WindowOptions) -> Self {
        Self {
            options,
            head: Head::default(),
            incidents: BTreeMap::new(),
            ended: VecDeque::new(),
            silent: BTreeMap::new(),
            commands: BTreeMap::new(),
            suppressions: BTreeMap::new(),
            unsuppressed: VecDeque::new(),
            health: Health::default(),
            samples: BTreeMap::new(),
            latest: None,
        }
    }

    /// The view apart from samples, for a snapshot.
    pub(crate) fn save(&self) -> Saved {
        Saved {
            head: self.head,
            incidents: self.incidents.values().cloned().collect(),
            silent: self.silent.values().cloned().collect(),
            commands: self.commands.values().cloned().collect(),
            health: self.health.clone(),
            suppressions: self.suppressions.values().cloned().collect(),
        }
    }

    /// Goes on from what was saved.
    pub(crate) fn restore(&mut self, saved: Saved) {
        self.latest = None;
        self.head = saved.head;
        let ended = |incident: &Arc<Incident>| {
            let (seq, _) = incident.ended?;
            Some((incident.state.id, seq))
        };
        self.ended = saved.incidents.iter().filter_map(ended).collect();
        self.ended.make_contiguous().sort_by_key(|(_, seq)| *seq);
        let incidents = saved.incidents.into_iter();
        self.incidents = incidents
            .map(|incident| (incident.state.id, incident))
            .collect();
        let silent = saved.silent.into_iter();
        self.silent = silent
            .map(|silent| (silent.state.id.clone(), silent))
            .collect();
        let commands = saved.commands.into_iter();
        self.commands = commands
            .map(|command| (command.state.actuator.clone(), command))
            .collect();
        self.health = saved.health;
        let ended = saved.suppressions.iter();
        let ended = ended.filter(|each| each.state.ended.is_some());
        let mut ended: Vec<_> = ended.map(|each| (each.seq, each.state.id)).collect();
        ended.sort_unstable();
        self.unsuppressed = ended.into_iter().map(|(_, id)| id).collect();
        let suppressions = saved.suppressions.into_iter();
        self.suppressions = suppressions.map(|each| (each.state.id, each)).collect();
        self.forget_ended();
        self.forget_unsuppressed();
    }

    /// Whether a decision is in the view already.
    pub(crate) const fn knows(&self, seq: DecisionSeq) -> bool {
        seq <= self.head.seq
    }

    /// Applies one decision. `control` says that nobody may miss it.
    pub(crate) fn apply(&mut self, published: &Published, control: bool) {
        let decision = &*published.decision;
        self.head = Head {
            seq: decision.seq,
            hash: published.hash,
            at: decision.at,
        };
        self.latest = None;
        self.health.apply(decision);
        match &decision.verdict {
            Verdict::SensorSilent(sensor) => {
                let silent = Silent {
                    state: sensor.clone(),
                    seq: decision.seq,
                    at: decision.at,
                };
                self.silent.insert(sensor.id.clone(), Arc::new(silent));
            }
            Verdict::SensorReturned(sensor) => {
                self.silent.remove(&sensor.id);
            }
            Verdict::SensorFaulty(..)
            | Verdict::SensorSound(..)
            | Verdict::SiteSilent(_)
            | Verdict::SiteReturned(_)
            | Verdict::RulesChanged(_)
            | Verdict::CommandRefused(_) => {}
            Verdict::Command(change, state) => self.apply_command(*change, state, decision),
            Verdict::Suppression(_, state) => self.apply_suppression(state, decision),
            Verdict::IncidentMerged { incident, into } => {
                let other = self.incidents.get(&incident.id).cloned();
                self.apply_incident(published, control);
                if let Some(survivor) = self.incidents.get_mut(into) {
                    if let Some(other) = other {
                        Arc::make_mut(survivor).take_in(&other);
                    }
                    tell(survivor, published, control);
                }
            }
            Verdict::IncidentSplit { from, .. } | Verdict::IncidentEvidenceMoved { from, .. } => {
                self.apply_incident(published, control);
                if let Some(left) = self.incidents.get_mut(from) {
                    tell(left, published, control);
                }
            }
            Verdict::IncidentOpened(_)
            | Verdict::IncidentUpdated(_)
            | Verdict::IncidentCleared(_)
            | Verdict::IncidentUnknown(_)
            | Verdict::IncidentReopened(_)
            | Verdict::IncidentLinked(_)
            | Verdict::IncidentHandled { .. }
            | Verdict::IncidentEscalated(_)
            | Verdict::IncidentRated(_)
            | Verdict::IncidentShelved(_)
            | Verdict::IncidentSuppressed(_)
            | Verdict::IncidentAcknowledged(_) => self.apply_incident(published, control),
        }
    }

    /// Applies a decision about an incident.
    fn apply_incident(&mut self, published: &Published, control: bool) {
        let Some(id) = published.decision.verdict.incident().map(|state| state.id) else {
            return;
        };
        let before = self.incidents.remove(&id);
        let ended_before = before.as_ref().is_some_and(|before| before.ended.is_some());
        let Some(after) = Incident::after(before.as_deref(), &published.decision) else {
            return;
        };
        // Were the incident before still held here, its milestones would be copied to be added to.
        drop(before);
        let ended = after.ended;
        let mut after = Arc::new(after);
        tell(&mut after, published, control);
        self.incidents.insert(id, after);
        if let (false, Some((seq, _))) = (ended_before, ended) {
            self.ended.push_back((id, seq));
            self.forget_ended();
        }
    }

    /// Applies a decision about a command: what is told of one before the last does not hide it.
    fn apply_command(&mut self, change: CommandChange, state: &CommandState, decision: &Decision) {
        let last = self.commands.get(&state.actuator);
        let is_of_another = last.is_some_and(|last| last.state.key != state.key);
        if is_of_another && change != CommandChange::Sent {
            return;
        }
        if last.is_none() {
            self.make_room_for_a_command();
        }
        let command = Commanded {
            state: state.clone(),
            seq: decision.seq,
            at: decision.at,
        };
        let actuator = state.actuator.clone();
        self.commands.insert(actuator, Arc::new(command));
    }

    /// Applies a decision about what is kept quiet.
    fn apply_suppression(&mut self, state: &SuppressionState, decision: &Decision) {
        let suppressed = Suppressed {
            state: state.clone(),
            seq: decision.seq,
            at: decision.at,
        };
        self.suppressions.insert(state.id, Arc::new(suppressed));
        if state.ended.is_some() {
            self.unsuppressed.push_back(state.id);
            self.forget_unsuppressed();
        }
    }

    fn forget_unsuppressed(&mut self) {
        while self.unsuppressed.len() > self.options.ended_suppressions_max
            && let Some(id) = self.unsuppressed.pop_front()
        {
            self.suppressions.remove(&id);
        }
    }

    /// Forgets the command that has been over longest if there are too many.
    fn make_room_for_a_command(&mut self) {
        if self.commands.len() < self.options.commanded_actuators_max {
            return;
        }
        let over = self.commands.values().filter(|each| each.state.is_over());
        let oldest = over.min_by_key(|each| each.seq);
        if let Some(actuator) = oldest.map(|oldest| oldest.state.actuator.clone()) {
            self.commands.remove(&actuator);
        }
    }

    fn forget_ended(&mut self) {
        while self.ended.len() > self.options.ended_incidents_max {
            let Some((id, seq)) = self.ended.pop_front() else {
                return;
            };
            let ended = self.incidents.get(&id).and_then(|incident| incident.ended);
            if ended.is_some_and(|(ended_seq, _)| ended_seq == seq) {
                self.incidents.remove(&id);
            }
        }
    }

    /// Takes a sensor's newest value; `false` if there is no room for another sensor.
    pub(crate) fn has_sample(&self, sensor: &SensorId) -> bool {
        self.samples.contains_key(sensor)
    }

    pub(crate) fn sample(&mut self, sample: Arc<Sample>) -> bool {
        let known = self.samples.contains_key(&sample.sensor);
        if !known && self.samples.len() >= self.options.sampled_sensors_max {
            return false;
        }
        self.latest = None;
        self.samples.insert(sample.sensor.clone(), sample);
        true
    }

    /// The picture as it is now: made again only if something has changed.
    pub(crate) fn picture(&mut self) -> Arc<Picture> {
        if let Some(latest) = &self.latest {
            return Arc::clone(latest);
        }
        let listed = self.silent.values().take(self.options.silent_listed_max);
        let picture = Arc::new(Picture {
            head: self.head,
            incidents: self.incidents.values().cloned().collect(),
            silent: listed.cloned().collect(),
            silent_total: self.silent.len(),
            commands: self.commands.values().cloned().collect(),
            suppressions: self.suppressions.values().cloned().collect(),
            health: HealthPicture::of(&self.health, self.options.silent_listed_max),
            samples: self.samples.values().cloned().collect(),
            snapshot: OnceLock::new(),
        });
        self.latest = Some(Arc::clone(&picture));
        picture
    }
}

/// What operators see, as of one decision. Immutable: many read it while the view goes on.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    pub head: Head,
    /// Sorted by id; merged ones too, so that their ids resolve.
    pub incidents: Vec<Arc<Incident>>,
    /// Sorted by id; the first of them, if there are very many.
    pub silent: Vec<Arc<Silent>>,
    pub silent_total: usize,
    /// Sorted by actuator.
    pub commands: Vec<Arc<Commanded>>,
    /// Sorted by id; what is over too.
    pub suppressions: Vec<Arc<Suppressed>>,
    pub health: HealthPicture,
    /// Sorted by sensor.
    pub samples: Vec<Arc<Sample>>,
    snapshot: OnceLock<Utf8Bytes>,
}

impl Picture {
    /// The incident with this id, merged or not.
    pub(crate) fn incident(&self, id: IncidentId) -> Option<&Arc<Incident>> {
        let place = self
            .incidents
            .binary_search_by_key(&id, |incident| incident.state.id);
        place.ok().map(|place| &self.incidents[place])
    }

    /// The last command to this actuator, if one is held.
    pub(crate) fn command_to(&self, actuator: &ActuatorId) -> Option<&Commanded> {
        let place = self
            .commands
            .binary_search_by(|command| command.state.actuator.cmp(actuator));
        place.ok().map(|place| &*self.commands[place])
    }

    /// The snapshot for whoever sees everything, made once.
    pub(crate) fn snapshot(&self) -> Utf8Bytes {
        let made = || frame::snapshot(self, &crate::filter::Filter::default());
        self.snapshot.get_or_init(made).clone()
    }
}

#[cfg(test)]
mod tests;
