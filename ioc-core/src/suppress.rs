//! What is kept quiet on purpose, between what is found and what correlates.
//!
//! Arrives: what people ask to be kept quiet, the windows of the configuration, findings in the one
//! order, time. Leaves: the findings that count, and between them what is kept quiet, for who asks
//! whether something has happened; one [`Verdict::Suppression`] for each transition;
//! and when something ends, what is still abnormal, as if it were raised then (INV-15).
//!
//! A detection that is kept quiet neither opens an incident nor makes one worse, and does not begin
//! a sequence either; but it contradicts that something is missing. What an incident knew before stays
//! as it was: its end passes, what makes it worse does not. A silence or a fault of a sensor that is
//! kept quiet counts, and is not told.
//! What is extreme passes (INV-16), unless its sensor is out of service: then whatever it says says
//! nothing, and an incident that rests on it is unknown rather than over, for it is blind.
//!
//! There is no race: this is part of the single writer, so the order of records decides; it is part
//! of the state, so a restart forgets nothing. Only findings are looked at, never readings. Bounds:
//! so many suppressions, so many detections held; what finds no room is not kept quiet. What is
//! released is so many in a step, spread over logical time. Not here: what a person may ask when
//! (`engine/suppress.rs`), suppression that follows from a cause (`engine/family.rs`). Next:
//! `suppress/held.rs`.

mod index;
mod held;
mod gate;
mod windows;
mod bytes;
mod explain;
mod preview;

use std::collections::{BTreeMap, BTreeSet};

use self::held::Held;
use self::index::Index;
use self::windows::Windows;
use crate::correlate::Turn;
use crate::decision::{Cause, Ending, How, SuppressionChange, SuppressionState, Target, Verdict};
use crate::detection::Finding;
use crate::id::{IncidentId, RuleId, SensorId, SuppressionId};
use crate::invariant::{Audit, Invariant};
use crate::limits::{SUPPRESSED_STEP, SUPPRESSION_TELL_INTERVAL, SUPPRESSIONS_MAX};
use crate::noted::{Notes, Noting};
use crate::record::Seq;
use crate::time::{Millis, Timestamp};

pub(crate) use self::gate::{Origin, Passed};
pub(crate) use self::preview::would_hide;

/// Everything that is kept quiet.
#[derive(Debug, Default)]
pub(crate) struct Suppressions {
    active: BTreeMap<SuppressionId, Active>,
    index: Index,
    by_incident: BTreeMap<IncidentId, SuppressionId>,
    /// When each is due next.
    timers: BTreeSet<(Timestamp, SuppressionId)>,
    windows: Windows,
    held: Held,
    /// Those that are over, while what they have kept quiet is not looked at again yet.
    over: BTreeSet<SuppressionId>,
    /// When the next of it is.
    step_due: Option<Timestamp>,
    /// What counts, for whoever asks; no part of the state.
    notes: Option<Notes>,
}

/// Something that is kept quiet at this time.
#[derive(Debug, Clone, PartialEq)]
struct Active {
    state: SuppressionState,
    /// When people are told that it ends soon; `None` if they were, or are not.
    remind_at: Option<Timestamp>,
    /// When people are told how much it has kept quiet; `None` while they know.
    tell_at: Option<Timestamp>,
    /// When it was told last.
    told_at: Timestamp,
    /// Whether its sensor, which is out of service, says nothing by itself.
    silent: bool,
}

/// What follows for others.
#[derive(Debug)]
pub(crate) enum Follow {
    /// Nobody is called for an incident until then, or somebody is again.
    Shelve(IncidentId, Option<Timestamp>),
    /// Somebody works at a sensor from here on.
    OutOfService(SuppressionId, SensorId),
    /// Nobody does any more, and it is heard.
    InService(SensorId),
    /// Findings that count from here on, and what somebody works at no more that is kept quiet still.
    Release(Vec<Finding>, Vec<Finding>),
}

impl Active {
    fn new(state: SuppressionState, remind_before: Millis) -> Self {
        let mut active = Self {
            told_at: state.from,
            state,
            remind_at: None,
            tell_at: None,
            silent: false,
        };
        active.time_the_reminder(active.told_at, remind_before);
        active
    }

    /// People are told before it ends, unless it is as short as that. A window is known before.
    fn time_the_reminder(&mut self, now: Timestamp, before: Millis) {
        let at = self.state.until - before;
        let is_wanted = before > Millis::ZERO && self.state.how != How::Maintenance && at > now;
        self.remind_at = is_wanted.then_some(at);
    }

    fn next_due(&self) -> Timestamp {
        let others = [self.remind_at, self.tell_at].into_iter().flatten();
        others.fold(self.state.until, Timestamp::min)
    }
}

impl Suppressions {
    /// Whether nothing is kept quiet, so that findings need not be looked at.
    fn is_idle(&self) -> bool {
        self.active.is_empty() && self.held.is_empty()
    }

    /// What counts is noted from here on.
    pub fn note_what_counts(&mut self) {
        self.notes.get_or_insert_default();
    }

    /// What is noted from here on follows from this record.
    pub fn note_under(&mut self, seq: Seq) {
        if let Some(notes) = &mut self.notes {
            notes.seq = seq;
        }
    }

    /// What was noted since this was asked last.
    pub fn take_noted(&mut self) -> Noting {
        self.notes.as_mut().map(Notes::take).unwrap_or_default()
    }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        let timer = self.timers.first().map(|(due, _)| *due);
        let opening = self.windows.next_opening();
        [timer, opening, self.step_due].into_iter().flatten().min()
    }

    /// Whether people may have one more.
    pub fn has_room(&self) -> bool {
        let by_people = self.active.values();
        let by_people = by_people.filter(|active| active.state.window.is_none());
        by_people.count() < SUPPRESSIONS_MAX
    }

    /// Whether a sensor is out of service.
    pub fn is_out_of_service(&self, sensor: &SensorId) -> bool {
        let of_sensor = self.index.of_sensor(sensor);
        let mut found = of_sensor.filter_map(|id| self.active.get(&id));
        found.any(|active| active.state.how == How::OutOfService)
    }

    /// What is kept quiet by this id.
    pub fn get(&self, id: SuppressionId) -> Option<&SuppressionState> {
        self.active.get(&id).map(|active| &active.state)
    }

    /// Something is quiet from here on.
    pub fn start(
        &mut self,
        state: SuppressionState,
        cause: Cause,
        turn: &mut Turn<'_>,
    ) -> Vec<Follow> {
        let id = state.id;
        let follow = match &state.target {
            Target::Incident(incident) => {
                self.by_incident.insert(*incident, id);
                Some(Follow::Shelve(*incident, Some(state.until)))
            }
            Target::Detections(matcher) => {
                self.index.insert(id, matcher);
                let sensor = matcher.sensor.clone();
                let sensor = sensor.filter(|_| state.how == How::OutOfService);
                sensor.map(|sensor| Follow::OutOfService(id, sensor))
            }
        };
        let before = turn.rules.suppression().remind_before;
        let active = Active::new(state, before);
        self.timers.insert((active.next_due(), id));
        let told = Box::new(active.state.clone());
        self.active.insert(id, active);
        turn.decide(
            Verdict::Suppression(SuppressionChange::Started, told),
            cause,
        );
        follow.into_iter().collect()
    }

    /// Whether the sensor that is out of service by this said nothing before either.
    pub fn was_silent(&mut self, id: SuppressionId, silent: bool) {
        if let Some(active) = self.active.get_mut(&id) {
            active.silent = silent;
        }
    }

    /// It ends at another time.
    ///
    /// Precondition: it is there, and that time is to come.
    pub fn extend(
        &mut self,
        id: SuppressionId,
        until: Timestamp,
        cause: Cause,
        turn: &mut Turn<'_>,
    ) -> Vec<Follow> {
        let before = turn.rules.suppression().remind_before;
        let now = turn.at;
        self.change(id, |active| {
            active.state.until = until;
            active.time_the_reminder(now, before);
        });
        self.tell(id, SuppressionChange::Extended, cause, turn);
        match self.active[&id].state.target {
            Target::Incident(incident) => vec![Follow::Shelve(incident, Some(until))],
            Target::Detections(_) => Vec::new(),
        }
    }

    /// It is over.
    ///
    /// Precondition: it is there.
    pub fn end(
        &mut self,
        id: SuppressionId,
        ending: Ending,
        cause: Cause,
        turn: &mut Turn<'_>,
    ) -> Vec<Follow> {
        let mut active = self.active.remove(&id).expect("it is there");
        self.timers.remove(&(active.next_due(), id));
        active.state.ended = Some(ending);
        let follow = match &active.state.target {
            Target::Incident(incident) => {
                self.by_incident.remove(incident);
                Some(Follow::Shelve(*incident, None))
            }
            Target::Detections(matcher) => {
                self.index.remove(id, matcher);
                let out_of_service = active.state.how == How::OutOfService;
                let sensor = matcher.sensor.clone().filter(|_| out_of_service);
                if let Some(sensor) = &sensor {
                    self.held.forget_unheard(sensor, id);
                }
                sensor.filter(|_| !active.silent).map(Follow::InService)
            }
        };
        if self.held.has_of(id) {
            self.over.insert(id);
            self.step_due = Some(turn.at);
        }
        let told = Box::new(active.state);
        turn.decide(Verdict::Suppression(SuppressionChange::Ended, told), cause);
        follow.into_iter().collect()
    }

    /// Incidents that are not shelved any more, each with why.
    pub fn end_of_incidents(&mut self, unshelved: Vec<(IncidentId, Ending)>, turn: &mut Turn<'_>) {
        for (incident, ending) in unshelved {
            if let Some(&id) = self.by_incident.get(&incident) {
                self.end(id, ending, turn.cause(), turn);
            }
        }
    }

    /// Fires what is due next, by `due`.
    ///
    /// Precondition: something is due then.
    pub fn fire(&mut self, due: Timestamp, turn: &mut Turn<'_>) -> Vec<Follow> {
        let timer = self.timers.first().filter(|(first, _)| *first == due);
        if let Some(&(_, id)) = timer {
            return self.fire_timer(id, due, turn);
        }
        if self.windows.next_opening() == Some(due) {
            return self.open_window(turn);
        }
        self.step_due = None;
        let (released, quiet) = self.release(turn);
        if let Some(notes) = &mut self.notes {
            released.iter().for_each(|found| notes.note(turn.at, found));
        }
        vec![Follow::Release(released, quiet)]
    }

    fn fire_timer(
        &mut self,
        id: SuppressionId,
        due: Timestamp,
        turn: &mut Turn<'_>,
    ) -> Vec<Follow> {
        let active = &self.active[&id];
        let cause = turn.cause();
        if active.state.until == due {
            return self.end(id, Ending::Expired, cause, turn);
        }
        if active.remind_at == Some(due) {
            self.change(id, |active| active.remind_at = None);
            self.tell(id, SuppressionChange::EndingSoon, cause, turn);
        } else {
            self.tell(id, SuppressionChange::Updated, cause, turn);
        }
        Vec::new()
    }

    /// Looks again at a part of what was kept quiet by what is over. Returns what counts from here on;
    /// and what still is kept quiet by something else, if nobody works at its sensor and that is heard.
    fn release(&mut self, turn: &mut Turn<'_>) -> (Vec<Finding>, Vec<Finding>) {
        let (mut released, mut quiet) = (Vec::new(), Vec::new());
        for subject in self.held.first_of(&self.over) {
            let entry = self.held.remove(&subject).expect("it is held");
            match self.keeper_of(&subject, &entry, turn) {
                Some(keeper) => {
                    self.count(keeper, &subject.sensor, turn);
                    let in_hands = self.active[&keeper].state.how == How::OutOfService;
                    // Who is silent says nothing about this time.
                    if !in_hands && !entry.silent {
                        entry.clone().release(&subject, turn.at, &mut quiet);
                    }
                    self.held.insert(subject, entry.kept_by(keeper));
                }
                None => entry.release(&subject, turn.at, &mut released),
            }
        }
        let held = &self.held;
        self.over.retain(|id| held.has_of(*id));
        if !self.over.is_empty() {
            self.step_due = Some(turn.at + SUPPRESSED_STEP);
        }
        (released, quiet)
    }

    /// Counts one more that this keeps quiet. People are told soon.
    fn count(&mut self, id: SuppressionId, sensor: &SensorId, turn: &mut Turn<'_>) {
        turn.desk.counters.detections_suppressed += 1;
        self.change(id, |active| active.state.count(sensor));
        self.tell_soon(id, turn);
    }

    fn tell_soon(&mut self, id: SuppressionId, turn: &mut Turn<'_>) {
        let active = &self.active[&id];
        let due = active.told_at + SUPPRESSION_TELL_INTERVAL;
        if due <= turn.at {
            self.tell(id, SuppressionChange::Updated, turn.cause(), turn);
        } else if active.tell_at.is_none() {
            self.change(id, |active| active.tell_at = Some(due));
        }
    }

    fn tell(
        &mut self,
        id: SuppressionId,
        change: SuppressionChange,
        cause: Cause,
        turn: &mut Turn<'_>,
    ) {
        let now = turn.at;
        self.change(id, |active| (active.tell_at, active.told_at) = (None, now));
        let told = Box::new(self.active[&id].state.clone());
        turn.decide(Verdict::Suppression(change, told), cause);
    }

    /// Changes what is due when.
    fn change(&mut self, id: SuppressionId, change: impl FnOnce(&mut Active)) {
        let active = self.active.get_mut(&id).expect("it is there");
        let before = active.next_due();
        change(active);
        let after = active.next_due();
        if before != after {
            self.timers.remove(&(before, id));
            self.timers.insert((after, id));
        }
    }

    /// Checks that everything that follows from the rest is as it follows.
    pub fn audit(&self, audit: &mut Audit) {
        let active = self.active.iter();
        let timers = active.clone().map(|(id, each)| (each.next_due(), *id));
        let agree = self.timers == timers.collect();
        audit.expect(agree, Invariant::TimersAgree, "what is kept quiet");
        self.windows.audit(audit);
        let mut index = Index::default();
        let mut by_incident = BTreeMap::new();
        for (id, each) in active {
            let state = &each.state;
            match &state.target {
                Target::Detections(matcher) => index.insert(*id, matcher),
                Target::Incident(incident) => {
                    by_incident.insert(*incident, *id);
                }
            }
            let ends = state.until > state.from && state.ended.is_none();
            audit.expect(ends, Invariant::QuietHasAnEnd, id);
        }
        let agree = self.index == index && self.by_incident == by_incident;
        audit.expect(agree, Invariant::IndexAgrees, "what is kept quiet");
        let is_known = |id| self.active.contains_key(&id) || self.over.contains(&id);
        self.held.audit(is_known, audit);
        let waits = self.over.is_empty() != self.step_due.is_some();
        audit.expect(waits, Invariant::TimersAgree, "what was kept quiet");
    }
}

/// The rule that a window's suppression names as its cause.
fn of_window(window: &RuleId) -> Cause {
    Cause {
        rule: Some(window.clone()),
        ..Cause::default()
    }
}
