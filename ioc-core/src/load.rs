//! How much is asked of an operator: when somebody is called, counted in one way for all.
//!
//! Arrives: decisions, in order. Leaves: how often they called somebody, and how often of late.
//! An operator is *called* by an incident that opens, that comes back or is to be seen anew, that
//! becomes graver than it was told before, or that is suppressed by design no more; by none that is
//! suppressed or shelved, and when its shelf ends by itself, or by what is told of it, by one that nobody
//! has seen. Who has been
//! called for a cause is not called for what it causes while it lasts: a child that opens calls if its
//! parent is over, a person has dismissed it, or he has shelved it and the child is not minor.
//!
//! What such a parent stands for no more calls when that is so, **once for all of it**: for those of its
//! children that go on, that nobody was called for and nobody has seen, kept quiet or suppressed. It is
//! counted at the decision about the parent, for there is none about them: they are as they were. Forty
//! calls in one second would say no more than one does, and bury what comes beside them. One that is
//! found to be no child of anything calls by itself.
//!
//! What *parts* from its like because it stays dark where that is repaired calls at once, while the
//! parent lasts: people took it for a part of what is restored, and its parent may last for hours, until
//! the last block is. All that parts from one parent within [`PARTING_OVER`] is one call, unless it is
//! graver: it is one thing to know, with as many places.
//!
//! That a sensor is heard again of which nothing was known calls nobody: it is the same incident. That
//! one is passed on, because nobody has seen it, is another matter: it is the same call, to somebody
//! else. Bounded: it knows of incidents, and of calls within [`LOAD_OVER`], of at most so many each;
//! what is over is forgotten first. The console's mirror of it is `calls.js`, tested with the same
//! decisions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::decision::{
    Certainty, Condition, Decision, DecisionSeq, Handling, IncidentState, Severity, Verdict,
};
use crate::id::{IncidentId, IncidentKind};
use crate::limits::{CALLS_REMEMBERED, INCIDENTS_MAX};
use crate::time::{Millis, Timestamp};

/// For how long the busiest time of an operator is counted (EEMUA 191).
pub const LOAD_OVER: Millis = Millis::minutes(10);

/// For how long what parts from one incident is one call.
pub const PARTING_OVER: Millis = Millis::minutes(1);

/// How often an operator was called.
#[derive(Debug, Clone, Default)]
pub struct Load {
    /// How often in all.
    pub calls: u64,
    /// The most of it within [`LOAD_OVER`].
    pub busiest: usize,
    recent: VecDeque<Timestamp>,
    /// What was told last of each incident.
    told: BTreeMap<IncidentId, Told>,
    /// The same, in the order in which they may be forgotten: what goes on last.
    order: BTreeSet<(bool, DecisionSeq, IncidentId)>,
    /// What nobody knows of but by what caused it, each behind that.
    unheard: BTreeSet<(IncidentId, IncidentId)>,
    /// From which incidents something parted of late, and how grave that was of which somebody was
    /// called.
    partings: BTreeMap<IncidentId, (Timestamp, Severity)>,
}

/// What was told of an incident.
#[derive(Debug, Clone)]
struct Told {
    seq: DecisionSeq,
    kind: IncidentKind,
    /// How grave at most since it opened, or came back.
    severity: Severity,
    certainty: Certainty,
    episode: u32,
    handling: Handling,
    /// Whether it goes on.
    lasts: bool,
    shelved: bool,
    suppressed: bool,
    parent: Option<IncidentId>,
    /// Somebody was called for it, or has seen it.
    known: bool,
}

impl Told {
    fn of(incident: &IncidentState, seq: DecisionSeq) -> Self {
        Self {
            seq,
            kind: incident.kind.clone(),
            severity: incident.severity,
            certainty: incident.certainty,
            episode: incident.episode,
            handling: incident.handling,
            lasts: incident.condition != Condition::Cleared,
            shelved: incident.shelved_until.is_some(),
            suppressed: incident.suppressed,
            parent: incident.parent,
            known: false,
        }
    }

    /// Whether what it causes, as grave as this, is no news to whoever was called for it.
    fn stands_for(&self, severity: Severity) -> bool {
        let is_hidden = self.shelved && severity > Severity::Minor;
        let is_believed = self.certainty.is_believed(self.handling);
        self.lasts && is_believed && self.handling.dismissal().is_none() && !is_hidden
    }

    /// The cause behind which it is unheard of.
    fn unheard_behind(&self) -> Option<IncidentId> {
        let heard = self.known || self.shelved || self.suppressed || self.handling != Handling::New;
        self.parent.filter(|_| self.lasts && !heard)
    }

    /// Whether an incident that is back is to be seen again.
    fn is_seen_anew(&self, now: &IncidentState) -> bool {
        let new = |handling| handling == Handling::New;
        now.episode > self.episode || new(now.handling) && !new(self.handling)
    }

    /// Whether an incident that nobody has seen is not shelved any more.
    fn is_shown(&self, now: &IncidentState) -> bool {
        let lasts = now.condition != Condition::Cleared;
        self.shelved && lasts && now.handling == Handling::New
    }

    fn place(&self, id: IncidentId) -> (bool, DecisionSeq, IncidentId) {
        (self.lasts, self.seq, id)
    }
}

impl Load {
    /// Takes note of a decision. Whether somebody is called by it.
    pub fn take(&mut self, decision: &Decision) -> bool {
        let Some(incident) = decision.verdict.incident() else {
            return false;
        };
        if let Verdict::IncidentMerged { into, .. } = decision.verdict {
            self.merge(incident.id, into);
            return false;
        }
        let by_itself = self.is_news(decision, incident);
        let by_person = decision.cause.request.is_some();
        let is_known = by_itself || by_person || self.parts_from(decision, incident).is_some();
        self.note(incident, decision.seq, is_known);
        let calls = self.calls_for_effects(incident.id) || by_itself;
        if calls {
            self.call(decision.at);
        }
        while self.told.len() > INCIDENTS_MAX {
            let (.., first) = *self.order.first().expect("as many as are told");
            self.forget(first);
        }
        calls
    }

    /// How often somebody was called within [`LOAD_OVER`] until now.
    pub fn lately(&self, now: Timestamp) -> usize {
        let from = now - LOAD_OVER;
        let earlier = self.recent.partition_point(|at| *at <= from);
        self.recent.len() - earlier
    }

    /// Whether somebody is called for the incident that a decision is about.
    fn is_news(&mut self, decision: &Decision, incident: &IncidentState) -> bool {
        if incident.suppressed || incident.shelved_until.is_some() {
            return false;
        }
        let before = self.told.get(&incident.id);
        match &decision.verdict {
            Verdict::IncidentSuppressed(_) => incident.handling.dismissal().is_none(),
            // What is a symptom no more is told so at once, and calls by that.
            _ if before.is_some_and(|before| before.suppressed) => false,
            Verdict::IncidentOpened(_) => match self.parts_from(decision, incident) {
                Some(parent) => self.is_first_to_part(parent, incident.severity, decision.at),
                None => self.stands_alone(incident),
            },
            Verdict::IncidentReopened(_) => before
                .is_none_or(|before| before.is_seen_anew(incident) || before.is_shown(incident)),
            Verdict::IncidentUpdated(_) => before.is_some_and(|before| {
                incident.severity > before.severity || before.is_shown(incident)
            }),
            Verdict::IncidentLinked(_) => {
                let unheard = before.and_then(Told::unheard_behind);
                unheard.is_some() && self.stands_alone(incident)
            }
            Verdict::IncidentShelved(_) => {
                let by_itself = decision.cause.request.is_none();
                by_itself && before.is_some_and(|before| before.is_shown(incident))
            }
            Verdict::IncidentMerged { .. }
            | Verdict::IncidentCleared(_)
            | Verdict::IncidentUnknown(_)
            | Verdict::IncidentAcknowledged(_)
            | Verdict::IncidentHandled { .. }
            | Verdict::IncidentEscalated(_)
            | Verdict::IncidentSplit { .. }
            | Verdict::IncidentEvidenceMoved { .. }
            | Verdict::IncidentRated(_)
            | Verdict::SensorSilent(_)
            | Verdict::SensorReturned(_)
            | Verdict::SensorFaulty(..)
            | Verdict::SensorSound(..)
            | Verdict::SiteSilent(_)
            | Verdict::SiteReturned(_)
            | Verdict::RulesChanged(_)
            | Verdict::CommandRefused(_)
            | Verdict::Command(..)
            | Verdict::Suppression(..) => false,
        }
    }

    /// Whether no cause stands for an incident. Of one that nothing is known of it was told before
    /// anything was counted.
    fn stands_alone(&self, incident: &IncidentState) -> bool {
        let parent = incident.parent.map(|parent| self.told.get(&parent));
        match parent {
            None => true,
            Some(None) => false,
            Some(Some(parent)) => !parent.stands_for(incident.severity),
        }
    }

    /// The incident that one parts from by opening: its cause and like, which all of its evidence was
    /// told of, so that it opens without any.
    fn parts_from(&self, decision: &Decision, incident: &IncidentState) -> Option<IncidentId> {
        let is_opened = matches!(decision.verdict, Verdict::IncidentOpened(_));
        let parent = incident.parent.filter(|_| is_opened)?;
        let told = self.told.get(&parent);
        let is_like = told.is_none_or(|told| told.kind == incident.kind);
        (is_like && decision.cause.evidence.is_empty()).then_some(parent)
    }

    /// Whether nothing as grave has parted from an incident of late.
    fn is_first_to_part(&mut self, from: IncidentId, severity: Severity, at: Timestamp) -> bool {
        let since = at - PARTING_OVER;
        self.partings.retain(|_, (at, _)| *at > since);
        let before = self.partings.get(&from);
        let is_first = before.is_none_or(|(_, before)| severity > *before);
        if is_first {
            self.partings.insert(from, (at, severity));
            while self.partings.len() > INCIDENTS_MAX {
                self.partings.pop_first();
            }
        }
        is_first
    }

    /// An incident is as a decision says.
    fn note(&mut self, incident: &IncidentState, seq: DecisionSeq, is_known: bool) {
        let before = self.forget(incident.id);
        let mut told = Told::of(incident, seq);
        if let Some(before) = before {
            // What is over was as grave as it was no more.
            if before.lasts && told.lasts {
                told.severity = told.severity.max(before.severity);
            }
            told.known = before.known;
        }
        told.known |= is_known || told.shelved || told.handling != Handling::New;
        self.remember(incident.id, told);
    }

    /// An incident has become part of another, and what it has caused is caused by that.
    fn merge(&mut self, id: IncidentId, into: IncidentId) {
        for child in self.unheard_of(id) {
            if let Some(mut told) = self.forget(child) {
                told.parent = Some(into);
                self.remember(child, told);
            }
        }
        let merged = self.forget(id);
        if let Some(merged) = merged
            && let Some(mut survivor) = self.forget(into)
        {
            survivor.known |= merged.known;
            // What shows it by becoming a part of it was told.
            survivor.shelved &= merged.shelved;
            self.remember(into, survivor);
        }
    }

    /// Whether somebody is called for what an incident stands for no more: from here on he knows.
    fn calls_for_effects(&mut self, cause: IncidentId) -> bool {
        let told = &self.told[&cause];
        if told.stands_for(Severity::Extreme) {
            return false;
        }
        let told = told.clone();
        let mut calls = false;
        for child in self.unheard_of(cause) {
            if told.stands_for(self.told[&child].severity) {
                continue;
            }
            if let Some(mut child_told) = self.forget(child) {
                child_told.known = true;
                self.remember(child, child_told);
                calls = true;
            }
        }
        calls
    }

    fn unheard_of(&self, cause: IncidentId) -> Vec<IncidentId> {
        let from = self.unheard.range((cause, IncidentId::MIN)..);
        let own = from.take_while(|(own, _)| *own == cause);
        own.map(|(_, child)| *child).collect()
    }

    fn remember(&mut self, id: IncidentId, told: Told) {
        self.order.insert(told.place(id));
        if let Some(cause) = told.unheard_behind() {
            self.unheard.insert((cause, id));
        }
        self.told.insert(id, told);
    }

    fn forget(&mut self, id: IncidentId) -> Option<Told> {
        let told = self.told.remove(&id)?;
        self.order.remove(&told.place(id));
        if let Some(cause) = told.unheard_behind() {
            self.unheard.remove(&(cause, id));
        }
        Some(told)
    }

    fn call(&mut self, at: Timestamp) {
        self.calls += 1;
        self.recent.push_back(at);
        while self
            .recent
            .front()
            .is_some_and(|first| at - *first >= LOAD_OVER)
        {
            self.recent.pop_front();
        }
        if self.recent.len() > CALLS_REMEMBERED {
            self.recent.pop_front();
        }
        self.busiest = self.busiest.max(self.recent.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::{Cause, Dismissal, Evidence};

    fn incident(severity: Severity) -> IncidentState {
        IncidentState {
            id: IncidentId::derive(&["a"]),
            kind: "flood".parse().unwrap(),
            severity,
            certainty: Certainty::Observed,
            condition: Condition::Active,
            handling: Handling::New,
            position: None,
            radius_m: 0,
            zone: "_".parse().unwrap(),
            opened_at: Timestamp::from_millis(0),
            episode: 1,
            sensors: 1,
            readings: 1,
            parent: None,
            escalated: None,
            shelved_until: None,
            suppressed: false,
        }
    }

    /// What opens, opens with a reading of its own.
    fn decision(verdict: Verdict) -> Decision {
        let mut cause = Cause::default();
        if let Verdict::IncidentOpened(_) = verdict {
            cause.evidence.push(Evidence {
                reading: "r-1".parse().unwrap(),
                seq: 1,
                sensor: "s-1".parse().unwrap(),
                rule: "rule".parse().unwrap(),
                value: 1.0,
                distance_m: None,
                through: None,
            });
        }
        Decision {
            seq: 1,
            at: Timestamp::from_millis(0),
            verdict,
            cause,
        }
    }

    #[test]
    fn an_operator_is_called_by_what_opens_comes_back_or_gets_graver_and_by_no_symptom() {
        let mut load = Load::default();
        let mut calls = |verdict| load.take(&decision(verdict));
        let severe = || incident(Severity::Severe);
        let extreme = || incident(Severity::Extreme);
        let symptom = |suppressed| IncidentState {
            suppressed,
            ..extreme()
        };
        let child = IncidentState {
            parent: Some(IncidentId::derive(&["b"])),
            ..severe()
        };
        let shelved = IncidentState {
            shelved_until: Some(Timestamp::MAX),
            ..extreme()
        };
        assert!(!calls(Verdict::IncidentOpened(child)));
        assert!(calls(Verdict::IncidentOpened(severe())));
        assert!(!calls(Verdict::IncidentUpdated(severe())));
        assert!(!calls(Verdict::IncidentUpdated(shelved)));
        let cleared = IncidentState {
            condition: Condition::Cleared,
            ..severe()
        };
        let again = IncidentState {
            episode: 2,
            ..severe()
        };
        assert!(!calls(Verdict::IncidentCleared(cleared)));
        assert!(calls(Verdict::IncidentReopened(again)));
        assert!(calls(Verdict::IncidentUpdated(extreme())));
        assert!(!calls(Verdict::IncidentRated(severe())));
        assert!(!calls(Verdict::IncidentUpdated(extreme())), "it was told");
        assert!(!calls(Verdict::IncidentEscalated(extreme())));
        assert!(!calls(Verdict::IncidentSuppressed(symptom(true))));
        assert!(calls(Verdict::IncidentSuppressed(symptom(false))));
        assert_eq!(load.calls, 4);
    }

    #[test]
    fn who_was_called_for_a_cause_is_called_for_its_effect_when_that_stands_alone() {
        let mut load = Load::default();
        let mut calls = |verdict| load.take(&decision(verdict));
        let cause = || incident(Severity::Severe);
        let child_of = |parent: &str| IncidentState {
            id: IncidentId::derive(&["child"]),
            parent: Some(IncidentId::derive(&[parent])),
            ..incident(Severity::Severe)
        };
        assert!(calls(Verdict::IncidentOpened(cause())));
        assert!(!calls(Verdict::IncidentOpened(child_of("a"))));
        assert!(!calls(Verdict::IncidentOpened(child_of("told before"))));
        let dismissed = IncidentState {
            handling: Handling::Dismissed(Dismissal::FalseAlarm),
            ..cause()
        };
        assert!(!calls(Verdict::IncidentRated(dismissed)));
        assert!(calls(Verdict::IncidentOpened(child_of("a"))));
        let cleared = IncidentState {
            condition: Condition::Cleared,
            ..cause()
        };
        assert!(!calls(Verdict::IncidentCleared(cleared)));
        assert!(calls(Verdict::IncidentOpened(child_of("a"))));
    }

    fn of(id: &str, set: impl FnOnce(&mut IncidentState)) -> IncidentState {
        let mut state = incident(Severity::Moderate);
        state.id = IncidentId::derive(&[id]);
        set(&mut state);
        state
    }

    fn child_of(parent: &str, id: &str) -> IncidentState {
        of(id, |state| {
            state.parent = Some(IncidentId::derive(&[parent]));
            state.kind = "jam".parse().unwrap();
        })
    }

    fn opened(incident: IncidentState) -> Decision {
        decision(Verdict::IncidentOpened(incident))
    }

    fn cleared(id: &str) -> Decision {
        let cleared = of(id, |state| state.condition = Condition::Cleared);
        decision(Verdict::IncidentCleared(cleared))
    }

    #[test]
    fn what_is_shelved_no_more_by_what_is_told_of_it_calls_if_nobody_has_seen_it() {
        let shelved = |id: &str, handling| {
            of(id, |state| {
                state.handling = handling;
                state.shelved_until = Some(Timestamp::MAX);
            })
        };
        let shown = |id: &str, handling| of(id, |state| state.handling = handling);
        let mut load = Load::default();
        let mut calls = |verdict| load.take(&decision(verdict));
        for handling in [Handling::New, Handling::Acknowledged] {
            let id = handling.word();
            calls(Verdict::IncidentOpened(shown(id, Handling::New)));
            assert!(!calls(Verdict::IncidentShelved(shelved(id, handling))));
            assert!(!calls(Verdict::IncidentUpdated(shelved(id, handling))));
            let called = calls(Verdict::IncidentUpdated(shown(id, handling)));
            assert_eq!(called, handling == Handling::New);
            assert!(!calls(Verdict::IncidentUpdated(shown(id, handling))));
        }
        // What was told has become a part of it.
        calls(Verdict::IncidentOpened(shown("c", Handling::New)));
        calls(Verdict::IncidentShelved(shelved("c", Handling::New)));
        calls(Verdict::IncidentOpened(shown("d", Handling::New)));
        assert!(!calls(Verdict::IncidentMerged {
            incident: shown("d", Handling::Merged),
            into: IncidentId::derive(&["c"]),
        }));
        assert!(!calls(Verdict::IncidentUpdated(shown("c", Handling::New))));
    }

    #[test]
    fn inv_15_what_goes_on_when_its_cause_is_over_calls_once_for_all_of_it() {
        let mut load = Load::default();
        assert!(load.take(&opened(of("a", |_| ()))));
        for child in ["b", "c", "d"] {
            assert!(!load.take(&opened(child_of("a", child))));
        }
        assert!(load.take(&cleared("a")), "nobody was called for them");
        assert!(!load.take(&cleared("a")), "once");
        assert_eq!(load.calls, 2);
    }

    #[test]
    fn what_somebody_knows_of_calls_nobody_when_its_cause_is_over() {
        let mut load = Load::default();
        load.take(&opened(of("a", |_| ())));
        // Seen, kept quiet, a symptom, over, graver and told so, and one that was seen and is new again.
        let seen = || IncidentState {
            handling: Handling::Acknowledged,
            ..child_of("a", "seen")
        };
        let shelved = IncidentState {
            shelved_until: Some(Timestamp::MAX),
            ..child_of("a", "shelved")
        };
        let symptom = IncidentState {
            suppressed: true,
            ..child_of("a", "symptom")
        };
        let over = IncidentState {
            condition: Condition::Cleared,
            ..child_of("a", "over")
        };
        let graver = IncidentState {
            severity: Severity::Extreme,
            ..child_of("a", "graver")
        };
        for name in ["seen", "shelved", "over", "graver", "undone"] {
            assert!(!load.take(&opened(child_of("a", name))));
        }
        assert!(!load.take(&opened(symptom.clone())));
        assert!(!load.take(&decision(Verdict::IncidentAcknowledged(seen()))));
        assert!(!load.take(&decision(Verdict::IncidentShelved(shelved))));
        assert!(!load.take(&decision(Verdict::IncidentCleared(over))));
        assert!(load.take(&decision(Verdict::IncidentUpdated(graver))));
        let undone = |handling| IncidentState {
            handling,
            ..child_of("a", "undone")
        };
        for handling in [Handling::Acknowledged, Handling::New] {
            let undone = undone(handling);
            assert!(!load.take(&decision(Verdict::IncidentAcknowledged(undone))));
        }
        assert!(!load.take(&cleared("a")));
        let appears = IncidentState {
            suppressed: false,
            ..symptom
        };
        assert!(load.take(&decision(Verdict::IncidentSuppressed(appears))));
        assert_eq!(load.calls, 3);
    }

    #[test]
    fn what_follows_from_an_effect_calls_when_that_is_over() {
        let mut load = Load::default();
        load.take(&opened(of("a", |_| ())));
        load.take(&opened(child_of("a", "b")));
        load.take(&opened(child_of("b", "c")));
        assert!(load.take(&cleared("a")), "of b, which stands for c");
        assert!(load.take(&cleared("b")), "of c");
        assert!(!load.take(&cleared("c")));
        assert_eq!(load.calls, 3);
    }

    #[test]
    fn the_effects_of_what_merges_wait_for_what_it_has_become() {
        let mut load = Load::default();
        load.take(&opened(of("a", |_| ())));
        load.take(&opened(of("b", |_| ())));
        load.take(&opened(child_of("b", "c")));
        let merged = |id: &str, into: &str| {
            let incident = of(id, |state| state.handling = Handling::Merged);
            let into = IncidentId::derive(&[into]);
            decision(Verdict::IncidentMerged { incident, into })
        };
        assert!(!load.take(&merged("b", "a")));
        assert!(load.take(&cleared("a")));
        // What becomes one with something that somebody was called for is known.
        load.take(&opened(of("d", |_| ())));
        load.take(&opened(child_of("d", "e")));
        load.take(&opened(of("f", |_| ())));
        assert!(!load.take(&merged("f", "e")));
        assert!(!load.take(&cleared("d")));
    }

    #[test]
    fn what_is_no_effect_any_more_calls_when_nobody_was_called_for_it() {
        let mut load = Load::default();
        load.take(&opened(of("a", |_| ())));
        load.take(&opened(child_of("a", "b")));
        let linked = |parent: Option<&str>| {
            let parent = parent.map(|parent| IncidentId::derive(&[parent]));
            let linked = of("b", |state| state.parent = parent);
            decision(Verdict::IncidentLinked(linked))
        };
        load.take(&opened(of("c", |_| ())));
        assert!(!load.take(&linked(Some("c"))));
        assert!(load.take(&linked(None)));
        assert!(!load.take(&linked(Some("a"))));
        assert!(!load.take(&linked(None)));
        assert!(!load.take(&cleared("a")));
    }

    #[test]
    fn what_parts_from_its_like_calls_once_in_a_while_and_at_once_if_it_is_graver() {
        let mut load = Load::default();
        load.take(&opened(of("a", |_| ())));
        let mut parts = |parent: &str, id: &str, severity, second: i64| {
            let mut state = child_of(parent, id);
            state.kind = "flood".parse().unwrap();
            state.severity = severity;
            let mut parted = opened(state);
            parted.cause.evidence.clear();
            parted.at = Timestamp::from_millis(second * 1_000);
            load.take(&parted)
        };
        assert!(parts("a", "b", Severity::Moderate, 0));
        assert!(!parts("a", "c", Severity::Moderate, 1));
        assert!(parts("a", "d", Severity::Severe, 2));
        assert!(!parts("a", "e", Severity::Moderate, 3));
        assert!(parts("told before", "f", Severity::Moderate, 3));
        assert!(!parts("told before", "g", Severity::Moderate, 4));
        assert!(parts("a", "h", Severity::Moderate, 62));
        assert!(!load.take(&cleared("a")), "they are known");
    }

    #[test]
    fn what_is_a_symptom_no_more_because_it_is_graver_calls_once() {
        let mut load = Load::default();
        load.take(&opened(of("a", |_| ())));
        let symptom = IncidentState {
            suppressed: true,
            ..child_of("a", "b")
        };
        let graver = || IncidentState {
            severity: Severity::Extreme,
            ..child_of("a", "b")
        };
        load.take(&opened(symptom));
        load.take(&decision(Verdict::IncidentUpdated(graver())));
        load.take(&decision(Verdict::IncidentSuppressed(graver())));
        assert_eq!(load.calls, 2);
    }

    #[test]
    fn inv_16_what_a_person_wants_quiet_stands_for_nothing_that_he_has_not_heard_of() {
        let mut load = Load::default();
        let shelved = |until| {
            let shelved = of("a", |state| state.shelved_until = until);
            decision(Verdict::IncidentShelved(shelved))
        };
        let minor = |id| IncidentState {
            severity: Severity::Minor,
            ..child_of("a", id)
        };
        load.take(&opened(of("a", |_| ())));
        load.take(&opened(minor("b")));
        assert!(!load.take(&shelved(Some(Timestamp::MAX))));
        assert!(!load.take(&opened(minor("c"))));
        assert!(load.take(&opened(child_of("a", "d"))));
        assert!(load.take(&shelved(None)), "nobody has seen it");
        load.take(&opened(child_of("a", "e")));
        assert!(load.take(&shelved(Some(Timestamp::MAX))), "of e");
        let mut by_person = shelved(None);
        by_person.cause.request = Some(("r-1".parse().unwrap(), "ana".parse().unwrap()));
        assert!(!load.take(&by_person), "he knows");
        assert!(load.take(&cleared("a")), "of b and c");
    }

    #[test]
    fn p5_what_is_over_is_forgotten_before_what_goes_on() {
        // The gravest of ids is of no more worth than the least.
        let mut load = Load::default();
        for number in 0..100 {
            load.take(&opened(of(&format!("open-{number}"), |_| ())));
        }
        for number in 0..INCIDENTS_MAX {
            let over = of(&format!("over-{number}"), |state| {
                state.condition = Condition::Cleared;
            });
            let mut over = decision(Verdict::IncidentCleared(over));
            over.seq = number as u64;
            load.take(&over);
        }
        assert_eq!(load.told.len(), INCIDENTS_MAX);
        let graver = |number: i32| {
            let graver = of(&format!("open-{number}"), |state| {
                state.severity = Severity::Extreme;
            });
            decision(Verdict::IncidentUpdated(graver))
        };
        let called = (0..100).filter(|number| load.take(&graver(*number)));
        assert_eq!(called.count(), 100);
    }

    #[test]
    fn that_a_sensor_is_heard_again_calls_nobody() {
        let mut load = Load::default();
        let mut calls = |verdict| load.take(&decision(verdict));
        let handled = |handling| IncidentState {
            handling,
            ..incident(Severity::Severe)
        };
        let unknown = IncidentState {
            condition: Condition::Unknown,
            ..handled(Handling::Acknowledged)
        };
        assert!(calls(Verdict::IncidentOpened(handled(Handling::New))));
        assert!(!calls(Verdict::IncidentUnknown(unknown)));
        let back = || handled(Handling::Acknowledged);
        assert!(!calls(Verdict::IncidentReopened(back())));
        let overruled = handled(Handling::New);
        assert!(
            calls(Verdict::IncidentReopened(overruled)),
            "it is to be seen anew"
        );
    }

    #[test]
    fn the_busiest_ten_minutes_of_an_operator_are_counted() {
        let mut load = Load::default();
        let minute = |minute: i64| Timestamp::from_millis(minute * 60_000);
        for at in [0, 1, 9, 10, 30] {
            load.call(minute(at));
        }
        assert_eq!((load.calls, load.busiest), (5, 3));
        assert_eq!([30, 39, 40].map(|at| load.lately(minute(at))), [1, 1, 0]);
    }

    #[test]
    fn p5_no_more_calls_are_remembered_than_the_bound() {
        let mut load = Load::default();
        for _ in 0..=CALLS_REMEMBERED {
            load.call(Timestamp::from_millis(0));
        }
        assert_eq!(load.calls, CALLS_REMEMBERED as u64 + 1);
        assert_eq!(load.busiest, CALLS_REMEMBERED);
    }
}
