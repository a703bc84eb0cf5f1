//! The promises and invariants, over random days of a small and busy city.
//!
//! Each test is named for what it proves: `p…` a promise of the design, `inv_…` an invariant of
//! the domain.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use ioc_core::bundle::{Bundle, HandlingRules, Test};
use ioc_core::decision::{
    CommandChange, Condition, Decision, Handling, How, IncidentState, Progress, Severity, Step,
    SuppressionChange, Tier, Verdict,
};
use ioc_core::id::{CommandKey, IncidentId, ReadingId, RuleId, SensorId, SuppressionId};
use ioc_core::judgement::Judgement;
use ioc_core::limits::{CLOCK_SET_BACK_LASTING, SHELVED_MAX};
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::{Action, Ask, Command, Input, Quieted, Suppress};
use ioc_core::rules::BY_PERSON;
use ioc_core::time::{Millis, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::{History, MIDNIGHT, Manner, without_numbers};
use crate::workload::{Event, SENSORS, Variant, What, bundle, day, handling, history};

/// Any number of shards and any batches.
fn manner() -> impl Strategy<Value = Manner> {
    let batches = prop::collection::vec(1..60usize, 1..5);
    (1..=8usize, batches).prop_map(|(shards, batches)| Manner {
        shards,
        batches,
        restarts: Vec::new(),
    })
}

/// The same with restarts anywhere, each into any number of shards.
fn restarting() -> impl Strategy<Value = Manner> {
    let restarts = prop::collection::vec((0..200usize, 1..=8usize), 1..5);
    (manner(), restarts).prop_map(|(manner, restarts)| Manner { restarts, ..manner })
}

/// The same history with ticks in between, except while the process was down.
fn with_ticks(history: &History, ticks: &[(Index, i64)]) -> History {
    let mut ticked = history.clone();
    for (index, part) in ticks {
        let place = index.index(ticked.inputs.len() - 1) + 1;
        let (before, after) = (ticked.inputs[place - 1].0, &ticked.inputs[place]);
        let started = matches!(Input::decode(&after.1), Ok(Input::Started(_)));
        if !started {
            let at = before + Millis((after.0 - before).0 * part / 100);
            let mut tick = Vec::new();
            Input::Tick.encode(&mut tick);
            ticked.inputs.insert(place, (at, tick));
        }
    }
    ticked
}

/// All levels are shelved.
fn shelve_all(history: &mut History, at: Timestamp, minutes: i64) {
    let suppress = Suppress {
        how: How::Shelved,
        target: Quieted::Detections {
            sensor: "",
            zone: "",
            kind: "level",
            rule: "",
        },
        until: at + Millis::minutes(minutes),
        reason: "works",
    };
    let action = Action::Suppress(suppress);
    history.push(
        at,
        &Input::Command(Command {
            request: "q",
            actor: "ana",
            action,
        }),
    );
}

/// Whether it says of some reports who makes them.
fn tells_who_reports(bundle: &Bundle) -> bool {
    let mut detections = bundle.detections.iter();
    detections.any(|rule| matches!(&rule.test, Test::Report(report) if report.distinct.is_some()))
}

fn decisions(history: &History) -> Vec<Decision> {
    history.run(&Manner::plain()).decisions
}

#[test]
fn the_random_days_hold_every_kind_of_decision() {
    const WORDS: usize = 47;
    let mut runner = TestRunner::deterministic();
    let mut words = BTreeMap::new();
    for _ in 0..3_000 {
        if words.len() == WORDS {
            return;
        }
        let day = day().new_tree(&mut runner).unwrap().current();
        for decision in decisions(&history(&day)) {
            *words.entry(decision.verdict.word()).or_insert(0) += 1;
        }
    }

    // Evidence that a person moves is the rarest of them, for that needs two incidents and the name
    // of a member: the timelines about handling do more of that.
    assert_eq!(words.len(), WORDS, "{words:?}");
}

/// Whether a decision follows from what the world did and what people did before it. `taken_in`: how
/// what has become part of it was handled.
fn follows(
    decision: &Decision,
    before: Option<(Condition, Handling)>,
    taken_in: &BTreeSet<Handling>,
) -> bool {
    let incident = decision.verdict.incident().unwrap();
    let now = (incident.condition, incident.handling);
    let by_person = decision.cause.request.is_some();
    let Some((condition, handling)) = before else {
        return match decision.verdict {
            Verdict::IncidentOpened(_) => now == (Condition::Active, Handling::New),
            Verdict::IncidentSplit { .. } => by_person && now.0 != Condition::Cleared,
            _ => false,
        };
    };
    // What a person could not know takes it back to new, and nothing else does.
    let overruled = handling.dismissal().is_some() && now.1 == Handling::New;
    let is_survivor = !taken_in.is_empty();
    let carried = (now.1.is_work() || now.1 == Handling::Acknowledged) && taken_in.contains(&now.1);
    // One of the two was contained, and the other graver and unseen.
    let contained = handling == Handling::Contained || taken_in.contains(&Handling::Contained);
    let carried = carried || is_survivor && contained && now.1 == Handling::Responding;
    let unseen = is_survivor && now.1 == Handling::New || carried;
    match &decision.verdict {
        Verdict::IncidentOpened(_) | Verdict::IncidentSplit { .. } => false,
        Verdict::IncidentEvidenceMoved { .. } => {
            by_person && now.0 == condition && (now.1 == handling || overruled)
        }
        Verdict::IncidentAcknowledged(_) => {
            by_person && handling == Handling::New && now == (condition, Handling::Acknowledged)
        }
        Verdict::IncidentHandled { step, before, .. } => {
            let after = handling.after(*step, condition);
            let steps = *step == Step::Undo || after == Ok(now.1);
            by_person && now.0 == condition && *before == handling && steps
        }
        Verdict::IncidentReopened(_) if condition == Condition::Cleared && now.0 != condition => {
            now.0 == Condition::Active && (now.1 == handling.after_return() || overruled)
        }
        Verdict::IncidentReopened(_) if by_person && now.0 == condition => {
            handling.after(Step::Reopen, condition) == Ok(now.1) || overruled || unseen
        }
        Verdict::IncidentReopened(_) => now.1 == handling || overruled || unseen,
        Verdict::IncidentMerged { .. } => now.1 == Handling::Merged,
        Verdict::IncidentEscalated(_) => {
            !by_person && now == (condition, Handling::New) && condition != Condition::Cleared
        }
        Verdict::IncidentRated(_) => now.0 == condition && (now.1 == handling || unseen),
        // By a person, or by time.
        Verdict::IncidentShelved(_) => now.0 == condition && (now.1 == handling || unseen),
        // What explained it is over: it is to be seen by itself.
        Verdict::IncidentSuppressed(incident) => {
            let appears = !incident.suppressed && now.1 == handling.after_return();
            now.0 == condition && (now.1 == handling || appears || unseen)
        }
        Verdict::IncidentUpdated(_) | Verdict::IncidentLinked(_) => {
            now.0 == condition && (now.1 == handling || unseen)
        }
        Verdict::IncidentCleared(_) => now.0 == Condition::Cleared && now.1 == handling,
        Verdict::IncidentUnknown(_) => {
            now.0 == Condition::Unknown && (now.1 == handling || overruled || unseen)
        }
        Verdict::SensorSilent(_)
        | Verdict::SensorReturned(_)
        | Verdict::SensorFaulty(..)
        | Verdict::SensorSound(..)
        | Verdict::SiteSilent(_)
        | Verdict::SiteReturned(_)
        | Verdict::RulesChanged(_)
        | Verdict::CommandRefused(_)
        | Verdict::Suppression(..)
        | Verdict::Command(..) => unreachable!("it is about an incident"),
    }
}

/// When an incident that nobody has seen is passed on next, as the decisions so far say.
#[derive(Debug, Default, Clone, Copy)]
struct Wait {
    due: Option<Timestamp>,
    tier: Option<Tier>,
    /// From when on it is counted.
    since: Option<Timestamp>,
    /// Nothing, if it is over: what it may come back with is as grave.
    severity: Option<Severity>,
    /// People are called, or all have been.
    is_awaited: bool,
}

impl Wait {
    fn after(self, decision: &Decision, rules: &HandlingRules) -> Self {
        let incident = decision.verdict.incident().unwrap();
        let waits = incident.handling == Handling::New
            && incident.condition != Condition::Cleared
            && incident.shelved_until.is_none()
            && !incident.suppressed;
        let within = rules
            .acknowledge_within(incident.severity)
            .filter(|_| waits && incident.escalated != Some(Tier::PhoneTree));
        // To the first after that time, to the second after twice that.
        let next = incident.escalated.map_or(1, |tier| tier.number() + 1);
        let kept = self.due.filter(|_| incident.escalated == self.tier);
        // Whoever is to see it anew has all the time to do so.
        let since = self.since.filter(|_| incident.escalated >= self.tier);
        let timed = within.map(|within| {
            let whole = Millis(within.0 * next);
            let anew = decision.at + within;
            let due = match (since.map(|since| since + whole), kept) {
                (None, None) => anew,
                (None, Some(kept)) => kept.min(anew),
                (Some(by_pace), None) => by_pace.max(decision.at),
                // Graver, it is passed on sooner; less grave, as if it had been so.
                (Some(by_pace), Some(kept)) if by_pace < kept => kept.min(anew),
                (Some(by_pace), Some(_)) => by_pace,
            };
            (due, due - whole)
        });
        Self {
            due: timed.map(|(due, _)| due),
            tier: incident.escalated,
            since: timed.map(|(_, since)| since),
            severity: Some(incident.severity).filter(|_| incident.condition != Condition::Cleared),
            is_awaited: waits,
        }
    }

    /// When another that waits has become part of it: as that does, where it does not wait itself,
    /// or the other is as grave and further.
    fn after_merging(self, other: Self) -> Self {
        let place = |wait: &Self| (wait.tier, wait.due.map(Reverse));
        let further =
            !self.is_awaited || other.severity >= self.severity && place(&other) > place(&self);
        match other.is_awaited && further {
            true if other.severity >= self.severity => other,
            // Who was called for what is less grave has not been for this.
            true => Self {
                tier: None,
                since: None,
                severity: self.severity,
                ..other
            },
            false => self,
        }
    }
}

proptest! {
    #[test]
    fn p2_any_shard_count_and_any_batching_give_the_same_decisions(
        day in day(), manner in manner(),
    ) {
        let history = history(&day);
        let plain = history.run(&Manner::plain());
        let other = history.run(&manner);
        prop_assert_eq!(&plain.decisions, &other.decisions);
        prop_assert_eq!(plain.digest, other.digest);
    }

    #[test]
    fn p2_a_restart_from_a_saved_state_anywhere_changes_nothing(
        day in day(), manner in restarting(),
    ) {
        let history = history(&day);
        let plain = history.run(&Manner::plain());
        let other = history.run(&manner);
        prop_assert_eq!(&plain.decisions, &other.decisions);
        prop_assert_eq!(plain.digest, other.digest);
    }

    #[test]
    fn p2_ticks_show_in_no_decision(
        day in day(), ticks in prop::collection::vec((any::<Index>(), 0..=100i64), 0..40),
        manner in restarting(),
    ) {
        let history = history(&day);
        let ticked = with_ticks(&history, &ticks).run(&manner);
        let plain = decisions(&history);
        prop_assert_eq!(without_numbers(&plain), without_numbers(&ticked.decisions));
    }

    #[test]
    fn p2_a_timer_fires_at_its_due_time_whenever_the_next_record_comes(day in day()) {
        // A host that asks for a tick at every due time decides what one that never does decides.
        let history = history(&day);
        let plain = decisions(&history);
        let mut woken = History { bundles: history.bundles.clone(), inputs: Vec::new() };
        let (mut judgement, _) = woken.judge(&Manner::plain());
        let mut out = Vec::new();
        for record in history.records() {
            let restart = matches!(record.input, Input::Started(_));
            while let Some(due) = judgement.next_due().filter(|due| !restart && *due < record.at) {
                woken.push(due, &Input::Tick);
                judgement.apply(&woken.records()[woken.inputs.len() - 1..], &mut out);
            }
            woken.push(record.at, &record.input);
            judgement.apply(&woken.records()[woken.inputs.len() - 1..], &mut out);
        }
        prop_assert_eq!(without_numbers(&plain), without_numbers(&out));
    }

    #[test]
    fn p3_a_redelivered_reading_changes_nothing(day in day()) {
        // What is late behind folded readings is never remembered: see the next one.
        let is_folded = |event: &Event| matches!(event.what, What::Folded { .. });
        let mut day = day;
        day.events.retain(|event| !is_folded(event));
        let history = history(&day);
        let mut silent = history.clone();
        let mut seen = BTreeSet::new();
        for (_, bytes) in &mut silent.inputs {
            let is_reading = matches!(Input::decode(bytes), Ok(Input::Reading(_)));
            if is_reading && !seen.insert(bytes.clone()) {
                bytes.clear();
                Input::Tick.encode(bytes);
            }
        }
        prop_assert_eq!(history.run(&Manner::plain()), silent.run(&Manner::plain()));
    }

    #[test]
    fn p3_what_was_left_out_of_folded_telemetry_is_not_news_when_it_comes_again(day in day()) {
        let mut forgotten = day.clone();
        for event in &mut forgotten.events {
            if let What::Folded { again, .. } = &mut event.what {
                *again = false;
            }
        }
        prop_assert_eq!(decisions(&history(&day)), decisions(&history(&forgotten)));
    }

    #[test]
    fn decisions_are_numbered_without_a_gap_and_time_never_falls(day in day()) {
        let decisions = decisions(&history(&day));
        for (decision, seq) in decisions.iter().zip(1..) {
            prop_assert_eq!(decision.seq, seq);
        }
        prop_assert!(decisions.is_sorted_by_key(|decision| decision.at));
    }

    #[test]
    fn p6_every_reading_is_counted_where_it_stopped(day in day(), manner in restarting()) {
        let history = history(&day);
        let (judgement, _) = history.judge(&manner);
        let counters = judgement.counters();
        let readings = history.records();
        let readings = readings.iter().map(|record| match record.input {
            Input::Reading(_) | Input::Reread(_) => 1,
            Input::Folded(folded) => u64::from(folded.left_out),
            _ => 0,
        });
        let sensors = counters.sensors;
        let stopped = sensors.readings_judged + sensors.readings_duplicate
            + sensors.readings_of_no_rule + sensors.readings_of_sensors_over_limit
            + sensors.readings_of_kinds_over_limit + sensors.readings_beyond_memory
            + sensors.readings_folded;
        prop_assert_eq!(stopped, readings.sum::<u64>());
        prop_assert_eq!(&counters, &history.judge(&Manner::plain()).0.counters());
    }

    #[test]
    fn p6_every_reading_that_counts_is_named_once(day in day()) {
        let mut named: BTreeMap<IncidentId, u64> = BTreeMap::new();
        for decision in decisions(&history(&day)) {
            let Some(incident) = decision.verdict.incident() else { continue };
            *named.entry(incident.id).or_default() += decision.cause.evidence.len() as u64;
            match &decision.verdict {
                Verdict::IncidentSplit { from, .. } => {
                    *named.get_mut(from).unwrap() -= incident.readings;
                    *named.entry(incident.id).or_default() += incident.readings;
                }
                // What it has more than before is what it takes from the other.
                Verdict::IncidentEvidenceMoved { from, .. } => {
                    let more = incident.readings - named[&incident.id];
                    *named.get_mut(from).unwrap() -= more;
                    *named.get_mut(&incident.id).unwrap() += more;
                }
                // What is waiting to be told is not a person's doing.
                Verdict::IncidentAcknowledged(_)
                | Verdict::IncidentHandled { .. }
                | Verdict::IncidentShelved(_)
                | Verdict::IncidentSuppressed(_)
                | Verdict::IncidentRated(_) => {}
                Verdict::IncidentReopened(_) if decision.cause.request.is_some() => {}
                Verdict::IncidentMerged { into, .. } => {
                    prop_assert_eq!(named[&incident.id], incident.readings);
                    *named.entry(*into).or_default() += incident.readings;
                }
                _ => prop_assert_eq!(named[&incident.id], incident.readings),
            }
        }
    }

    #[test]
    fn inv_10_inv_11_only_people_handle_and_only_the_world_changes_a_condition(day in day()) {
        let mut known: BTreeMap<IncidentId, (Condition, Handling)> = BTreeMap::new();
        let mut taken_in: BTreeMap<IncidentId, BTreeSet<Handling>> = BTreeMap::new();
        for decision in decisions(&history(&day)) {
            let Some(incident) = decision.verdict.incident() else { continue };
            let now = (incident.condition, incident.handling);
            let before = known.insert(incident.id, now);
            if let Verdict::IncidentMerged { into, .. } = decision.verdict {
                let others = taken_in.remove(&incident.id).unwrap_or_default();
                let own = before.map(|(_, handling)| handling);
                taken_in.entry(into).or_default().extend(others.into_iter().chain(own));
            }
            let others = taken_in.get(&incident.id).cloned().unwrap_or_default();
            prop_assert!(follows(&decision, before, &others), "{before:?} {decision:?}");
            let over = matches!(now.1, Handling::Resolved | Handling::Closed);
            prop_assert!(!over || now.0 == Condition::Cleared, "{decision:?}");
        }
    }
}

proptest! {
    #[test]
    fn inv_17_what_nobody_has_seen_is_passed_on_in_time_and_once_to_each(
        day in day(), manner in restarting(), explaining in any::<bool>(),
    ) {
        let mut day = day;
        day.first = if explaining { Variant::Explaining } else { Variant::Handling };
        day.events.retain(|event| !matches!(event.what, What::Reload(_)));
        let mut rules = HandlingRules::NONE;
        handling(day.first, &mut rules);
        let mut waits: BTreeMap<IncidentId, Wait> = BTreeMap::new();
        // What has become one in this moment.
        let mut merging: BTreeMap<IncidentId, Wait> = BTreeMap::new();
        let mut merged_at = MIDNIGHT;
        let mut noticed = BTreeMap::new();
        for decision in history(&day).run(&manner).decisions {
            let Some(incident) = decision.verdict.incident() else { continue };
            let before = waits.get(&incident.id).copied().unwrap_or_default();
            if decision.at > merged_at {
                merging.clear();
                merged_at = decision.at;
            }
            if let Verdict::IncidentEscalated(_) = decision.verdict {
                // What came due while nobody was there is told after the start, and says when it was due.
                prop_assert_eq!(decision.cause.due, before.due);
                prop_assert_eq!(incident.escalated, Tier::after(before.tier));
            }
            let late: BTreeMap<_, _> = waits.iter()
                .filter(|(_, wait)| wait.due.is_some_and(|due| due < decision.at))
                .map(|(id, _)| (*id, noticed.get(id).copied().unwrap_or(decision.at)))
                .collect();
            let is_soon = |at: &Timestamp| decision.at <= *at + Millis::seconds(1);
            prop_assert!(late.values().all(is_soon), "{late:?} at {:?}", decision.at);
            noticed = late;
            if let Verdict::IncidentMerged { into, .. } = decision.verdict {
                let other = merging.remove(&incident.id).unwrap_or(before);
                let survivor = merging.get(&into).or(waits.get(&into)).copied();
                merging.insert(into, survivor.unwrap_or_default().after_merging(other));
                waits.insert(incident.id, Wait::default());
                continue;
            }
            let after = match merging.get(&incident.id) {
                // It is back in this moment, and is told of something else first.
                Some(_) if incident.condition == Condition::Cleared => before,
                Some(merged) => merged.after(&decision, &rules),
                None => before.after(&decision, &rules),
            };
            if incident.condition != Condition::Cleared {
                merging.remove(&incident.id);
            }
            waits.insert(incident.id, after);
        }
    }
}

proptest! {
    #[test]
    fn inv_18_what_a_person_reports_makes_an_incident_as_grave_whatever_it_was_rated(day in day()) {
        let history = history(&day);
        let records = history.records();
        let mut known: BTreeMap<IncidentId, Severity> = BTreeMap::new();
        for decision in decisions(&history) {
            let Some(incident) = decision.verdict.incident() else { continue };
            let before = known.insert(incident.id, incident.severity);
            let rated = matches!(decision.verdict, Verdict::IncidentRated(_));
            for evidence in decision.cause.evidence.iter().filter(|_| !rated) {
                let record = &records[evidence.seq as usize - 1];
                let said = match &record.input {
                    Input::Command(Command { action: Action::Open(open), .. }) => open.said,
                    Input::Command(Command {
                        action: Action::About { ask: Ask::Report(said), .. }, ..
                    }) => *said,
                    _ => continue,
                };
                // What makes it graver is told at once, and the rest soon: by then a person may have
                // said that it is less.
                let is_told = incident.severity >= said.severity;
                let was_told = before >= Some(said.severity) || record.at < decision.at;
                prop_assert!(is_told || was_told, "{decision:?}");
            }
        }
    }
}

/// What is known of an incident's sources by what was told of it: of each when it was heard first. A report
/// is a source of its own.
type Sources = BTreeMap<(SensorId, Option<ReadingId>), Timestamp>;

/// Which sources would open an incident by themselves, as far as decisions tell.
struct Openers {
    rules: Arc<Bundle>,
    records: Vec<Timestamp>,
    distrusted: BTreeSet<SensorId>,
    /// Of each incident.
    known: BTreeMap<IncidentId, Sources>,
}

impl Openers {
    fn new(rules: &Arc<Bundle>, history: &History) -> Self {
        Self {
            rules: Arc::clone(rules),
            records: history.records().iter().map(|record| record.at).collect(),
            distrusted: BTreeSet::new(),
            known: BTreeMap::new(),
        }
    }

    /// Whether a rule that found something is enough for an incident, and whether it is about reports.
    fn is_enough(&self, correlation: &RuleId, detection: &RuleId) -> (bool, bool) {
        let mut correlations = self.rules.correlations.iter();
        let Some(rule) = correlations.find(|rule| rule.name == *correlation) else {
            return (false, false);
        };
        let mut weights = rule.detections.iter().zip(&rule.weights);
        let weight = weights.find(|(own, _)| *own == detection);
        let mut detections = self.rules.detections.iter();
        let own = detections.find(|rule| rule.name == *detection);
        let by_report = own.is_some_and(|rule| matches!(rule.test, Test::Report(_)));
        let enough = match weight {
            Some((_, weight)) => *weight >= rule.sources_min,
            None => detection.as_str() == BY_PERSON,
        };
        (enough, by_report)
    }

    /// Takes note of what a decision tells. Returns the source that is told of and would open an
    /// incident by itself, and that nobody knew of by this time.
    fn take(&mut self, decision: &Decision, by: Option<Timestamp>) -> Option<SensorId> {
        let id = decision.verdict.incident()?.id;
        match decision.verdict {
            Verdict::IncidentMerged { into, .. } => {
                let own = self.known.get(&id).cloned().unwrap_or_default();
                self.known.entry(into).or_default().extend(own);
            }
            // A person knows what he has moved, and what it is moved from.
            Verdict::IncidentSplit { from, .. } | Verdict::IncidentEvidenceMoved { from, .. } => {
                let own = self.known.get(&from).cloned().unwrap_or_default();
                let own = own.into_keys().map(|source| (source, MIDNIGHT));
                self.known.entry(id).or_default().extend(own);
            }
            _ => {}
        }
        let mut found = None;
        for evidence in &decision.cause.evidence {
            let rule = decision.cause.rule.as_ref()?;
            let (enough, by_report) = self.is_enough(rule, &evidence.rule);
            let source = (
                evidence.sensor.clone(),
                by_report.then(|| evidence.reading.clone()),
            );
            let at = self.records[evidence.seq as usize - 1];
            let known = self.known.entry(id).or_default();
            let first = *known
                .entry(source)
                .and_modify(|own| *own = at.min(*own))
                .or_insert(at);
            let is_new = by.is_some_and(|by| first > by);
            if enough && is_new && !self.distrusted.contains(&evidence.sensor) {
                found = Some(evidence.sensor.clone());
            }
        }
        found
    }

    /// Takes note of whom nobody believes.
    fn take_faults(&mut self, decision: &Decision) {
        // Who is believed again may have been heard before he was.
        if let Verdict::SensorFaulty(sensor, fault) = &decision.verdict
            && fault.distrusted
        {
            self.distrusted.insert(sensor.id.clone());
        }
    }
}

proptest! {
    #[test]
    fn inv_20_a_dismissal_never_hides_what_further_sources_say(day in day()) {
        let mut day = day;
        day.first = Variant::Handling;
        day.events.retain(|event| !matches!(event.what, What::Reload(_)));
        let mut dismissed: BTreeMap<IncidentId, u32> = BTreeMap::new();
        let mut dismissed_at: BTreeMap<IncidentId, Timestamp> = BTreeMap::new();
        let history = history(&day);
        let mut openers = Openers::new(&bundle(day.first), &history);
        for decision in decisions(&history) {
            openers.take_faults(&decision);
            let Some(incident) = decision.verdict.incident() else { continue };
            let is_dismissed = incident.handling.dismissal().is_some();
            if let (Verdict::IncidentHandled { .. }, true) = (&decision.verdict, is_dismissed) {
                dismissed_at.insert(incident.id, decision.at);
            }
            let at = dismissed_at.get(&incident.id).copied().filter(|_| is_dismissed);
            let hidden = openers.take(&decision, at);
            prop_assert!(hidden.is_none(), "{hidden:?} would open one by itself: {decision:?}");
            match decision.verdict {
                // Of two that were dismissed somebody has seen both when the second was.
                Verdict::IncidentMerged { into, .. } => {
                    let at = dismissed_at.remove(&incident.id).unwrap_or(MIDNIGHT);
                    dismissed_at.entry(into).and_modify(|own| *own = at.max(*own));
                }
                Verdict::IncidentSplit { from, .. } => {
                    let at = dismissed_at.get(&from).copied();
                    dismissed_at.extend(at.map(|at| (incident.id, at)));
                }
                _ => {}
            }
            if incident.handling.dismissal().is_none() {
                let other = dismissed.remove(&incident.id);
                if let (Verdict::IncidentMerged { into, .. }, Some(other)) =
                    (&decision.verdict, other)
                {
                    // Of two that were dismissed somebody has seen what each rested on.
                    dismissed.entry(*into).and_modify(|on| *on += other);
                }
                continue;
            }
            let by_step = matches!(decision.verdict, Verdict::IncidentHandled { .. });
            let on = dismissed.entry(incident.id).or_insert(incident.sensors);
            if by_step {
                *on = incident.sensors;
            }
            prop_assert!(incident.sensors < *on + 2, "{decision:?} hides what came after {on}");
        }
    }

    #[test]
    fn inv_11_inv_12_every_invariant_of_the_state_holds_after_every_record(
        day in day(), shards in 1..4usize, restarts in prop::collection::btree_set(0..200usize, 0..4),
    ) {
        let history = history(&day);
        let mut judgement = Judgement::new(NonZeroUsize::new(shards).unwrap());
        history.bundles.iter().for_each(|bundle| judgement.provide(Arc::clone(bundle)));
        for (number, record) in history.records().into_iter().enumerate() {
            if restarts.contains(&number) {
                judgement = history.restarted(&judgement, shards);
            }
            judgement.apply(&[record], &mut Vec::new());
            prop_assert_eq!(judgement.audit(), []);
        }
    }

    #[test]
    fn inv_16_what_is_kept_quiet_has_a_person_a_reason_and_an_end_and_nothing_extreme_is_shelved(
        day in day(), manner in restarting(),
    ) {
        let mut until: BTreeMap<SuppressionId, Timestamp> = BTreeMap::new();
        let mut known: BTreeMap<IncidentId, IncidentState> = BTreeMap::new();
        // What somebody wanted quiet too and has become a part of it in this moment.
        let mut taken_in: BTreeSet<(IncidentId, Timestamp)> = BTreeSet::new();
        for decision in history(&day).run(&manner).decisions {
            if let Some(incident) = decision.verdict.incident() {
                if let Verdict::IncidentMerged { into, .. } = decision.verdict {
                    taken_in.insert((into, decision.at));
                }
                let before = known.insert(incident.id, incident.clone());
                let was_shelved = before.filter(|before| before.shelved_until.is_some());
                let is_hidden = was_shelved.as_ref().filter(|_| incident.shelved_until.is_some());
                // By a person who rates it, or by what it has caused, which is told by itself.
                let by_person = decision.cause.request.is_some();
                let mut children = known.values().filter(|own| own.parent == Some(incident.id));
                let by_others = by_person
                    || children.any(|own| own.severity >= incident.severity)
                    || taken_in.contains(&(incident.id, decision.at));
                let is_graver = is_hidden.is_some_and(|was| incident.severity > was.severity);
                prop_assert!(!is_graver || by_others, "{decision:?}");
            }
            let shelved = decision.verdict.incident().filter(|own| own.shelved_until.is_some());
            let is_extreme = shelved.is_some_and(|own| own.severity == Severity::Extreme);
            prop_assert!(!is_extreme, "{decision:?}");
            let Verdict::Suppression(change, state) = &decision.verdict else { continue };
            prop_assert!(!state.reason.is_empty() && !state.by.as_str().is_empty());
            let begins = matches!(change, SuppressionChange::Started | SuppressionChange::Extended);
            let lasts = state.until - decision.at;
            if begins && state.how == How::Shelved {
                prop_assert!(lasts > Millis::ZERO && lasts <= SHELVED_MAX, "{decision:?}");
            }
            match change {
                SuppressionChange::Started => {
                    prop_assert_eq!(until.insert(state.id, state.until), None);
                }
                SuppressionChange::Ended => {
                    let until = until.remove(&state.id);
                    prop_assert!(until.is_some_and(|until| decision.at <= until));
                }
                SuppressionChange::Extended => {
                    prop_assert!(until.insert(state.id, state.until).is_some());
                }
                SuppressionChange::Updated | SuppressionChange::EndingSoon => {
                    prop_assert_eq!(until.get(&state.id), Some(&state.until));
                }
            }
            // Nothing goes on beyond its end.
            prop_assert!(until.values().all(|until| *until >= decision.at));
        }
    }

    /// What is shelved all the time it is abnormal is never told; of the rest nothing is lost: what
    /// is told without any shelving, of sensors that are abnormal at its end, is told with it.
    #[test]
    fn inv_15_what_is_shelved_for_a_while_opens_what_is_still_abnormal_then(
        values in prop::collection::vec((0..5usize, 0.0..4.9f64, 0..120i64), 1..40),
        minutes in 1..90i64, manner in restarting(),
    ) {
        let gauges = Variant::Usual;
        let mut with = History::new(bundle(gauges));
        shelve_all(&mut with, MIDNIGHT, minutes);
        let mut without = History::new(bundle(gauges));
        let mut now = MIDNIGHT;
        let ends = MIDNIGHT + Millis::minutes(minutes);
        let mut last = BTreeMap::new();
        for (number, (sensor, value, after)) in values.into_iter().enumerate() {
            let next = now + Millis::seconds(after);
            if next >= ends { break }
            now = next;
            let reading = Reading {
                id: &format!("r{number}"), sensor: SENSORS[sensor].0, kind: "level",
                observed_at: now, received_at: None, value, unit: "", position: None,
                attributes: Attributes::default(),
            };
            with.push(now, &Input::Reading(reading));
            without.push(now, &Input::Reading(reading));
            last.insert(sensor, value);
        }
        let before = with.run(&manner).decisions;
        let hidden = before.iter().filter(|decision| decision.verdict.incident().is_some());
        prop_assert_eq!(hidden.count(), 0);
        // What a silent sensor said is not known to hold still, so all of them are heard of late.
        let late = now.max(ends - Millis::seconds(1));
        for (sensor, value) in &last {
            let reading = Reading {
                id: "late", sensor: SENSORS[*sensor].0, kind: "level", observed_at: late,
                received_at: None, value: *value, unit: "", position: None,
                attributes: Attributes::default(),
            };
            with.push(late, &Input::Reading(reading));
            without.push(late, &Input::Reading(reading));
        }
        with.push(ends, &Input::Tick);
        without.push(ends, &Input::Tick);
        let raised = |decisions: &[Decision]| {
            let mut open: BTreeSet<SensorId> = BTreeSet::new();
            for decision in decisions {
                let own = decision.cause.evidence.iter();
                let high = own.filter(|own| own.rule.as_str() == "level-high");
                open.extend(high.map(|own| own.sensor.clone()));
            }
            open
        };
        let told = raised(&with.run(&manner).decisions);
        let all = raised(&without.run(&manner).decisions);
        prop_assert!(told.is_subset(&all), "{told:?} {all:?}");
        for (sensor, value) in last {
            let id: SensorId = SENSORS[sensor].0.parse().unwrap();
            // Far beyond every level but the extreme one.
            if value > 4.6 && sensor != 3 {
                prop_assert!(told.contains(&id) || !all.contains(&id), "{id}");
            }
        }
    }

    /// Over several levels, by people's links and dismissals, mergers, restarts and reloads.
    #[test]
    fn inv_15_what_is_suppressed_by_design_has_a_cause_that_lasts_and_appears_when_it_is_over(
        day in day(), manner in restarting(),
    ) {
        let mut day = day;
        day.first = Variant::Explaining;
        let mut known: BTreeMap<IncidentId, IncidentState> = BTreeMap::new();
        let mut into = BTreeMap::new();
        let mut over: BTreeMap<IncidentId, Timestamp> = BTreeMap::new();
        let mut appearing = None;
        for decision in history(&day).run(&manner).decisions {
            for hidden in known.values().filter(|incident| incident.suppressed) {
                let mut cause = hidden.parent.unwrap();
                while let Some(survivor) = into.get(&cause) {
                    cause = *survivor;
                }
                // So long the steps take.
                let late = over.get(&cause).filter(|since| decision.at - **since > Millis(20));
                prop_assert!(late.is_none(), "{hidden:?} {:?}", known[&cause]);
            }
            let Some(incident) = decision.verdict.incident() else { continue };
            let goes_on = incident.condition != Condition::Cleared
                && incident.handling != Handling::Merged;
            let may_be_hidden = goes_on && incident.severity < Severity::Extreme;
            prop_assert!(may_be_hidden || !incident.suppressed, "{decision:?}");
            let told = matches!(decision.verdict, Verdict::IncidentSuppressed(_));
            let escalated = matches!(decision.verdict, Verdict::IncidentEscalated(_));
            prop_assert!(!escalated || !incident.suppressed, "{decision:?}");
            if let Some((id, at)) = appearing.take_if(|(id, _)| *id == incident.id) {
                prop_assert!(told && decision.at == at, "{id} appears, and nobody is told");
            }
            let before = known.insert(incident.id, incident.clone());
            if before.is_some_and(|before| before.suppressed && !incident.suppressed) {
                let seen = incident.handling == Handling::Acknowledged;
                prop_assert!(!told || !seen, "somebody has seen it: {decision:?}");
                appearing = (!told && may_be_hidden).then_some((incident.id, decision.at));
            }
            if let Verdict::IncidentMerged { into: survivor, .. } = decision.verdict {
                into.insert(incident.id, survivor);
                // What was over and is evidence again reopens in the same moment.
                over.entry(survivor).and_modify(|since| *since = decision.at);
            }
            if goes_on && incident.handling.dismissal().is_none() {
                over.remove(&incident.id);
            } else {
                over.entry(incident.id).or_insert(decision.at);
            }
        }
        prop_assert_eq!(appearing, None);
    }

    #[test]
    fn inv_12_membership_is_a_partition(day in day(), manner in restarting()) {
        let (mut told, mut rules) = (BTreeSet::new(), BTreeMap::new());
        for decision in history(&day).run(&manner).decisions {
            let incident = decision.verdict.incident().map(|incident| incident.id);
            // What a reload ends names no rule: it is that of its incident.
            let rule = match decision.cause.rule {
                Some(rule) => {
                    rules.extend(incident.map(|id| (id, rule.clone())));
                    Some(rule)
                }
                None => incident.and_then(|id| rules.get(&id).cloned()),
            };
            for evidence in decision.cause.evidence {
                let once = (
                    rule.clone(),
                    evidence.rule,
                    evidence.sensor,
                    evidence.reading,
                );
                prop_assert!(told.insert(once.clone()), "twice: {once:?}");
            }
        }
    }

    #[test]
    fn a_reading_is_evidence_once(day in day()) {
        let mut told: BTreeMap<IncidentId, BTreeSet<(SensorId, ReadingId)>> = BTreeMap::new();
        for decision in decisions(&history(&day)) {
            let Some(incident) = decision.verdict.incident() else { continue };
            let own = told.entry(incident.id).or_default();
            for evidence in &decision.cause.evidence {
                let reading = (evidence.sensor.clone(), evidence.reading.clone());
                prop_assert!(own.insert(reading.clone()), "twice: {reading:?} in {decision:?}");
            }
            if let Verdict::IncidentMerged { into, .. } = decision.verdict {
                // What both told before is told by each; neither tells the other's again.
                let ended = std::mem::take(own);
                told.entry(into).or_default().extend(ended);
            }
        }
    }

    #[test]
    fn inv_12_a_merged_id_resolves_to_one_survivor(day in day(), manner in restarting()) {
        let mut into = BTreeMap::new();
        for decision in history(&day).run(&manner).decisions {
            let Some(incident) = decision.verdict.incident() else { continue };
            prop_assert!(!into.contains_key(&incident.id), "told after it merged");
            if let Verdict::IncidentMerged { into: survivor, .. } = decision.verdict {
                prop_assert!(!into.contains_key(&survivor));
                into.insert(incident.id, survivor);
            }
        }
    }

    #[test]
    fn inv_13_what_a_person_merges_and_splits_again_is_as_it_was(
        day in day(), two in any::<(Index, Index)>(),
    ) {
        let mut history = history(&day);
        // Without the hours at the end in which everything is over, but with all that waits told.
        history.inputs.pop();
        let now = history.inputs.last().unwrap().0 + Millis::seconds(1);
        history.push(now, &Input::Tick);
        let mut open: BTreeMap<IncidentId, (RuleId, IncidentState)> = BTreeMap::new();
        for decision in decisions(&history) {
            let Some(incident) = decision.verdict.incident() else { continue };
            let is_open = incident.condition != Condition::Cleared
                && incident.handling != Handling::Merged;
            open.remove(&incident.id);
            if let Some(rule) = decision.cause.rule.clone().filter(|_| is_open) {
                open.insert(incident.id, (rule, incident.clone()));
            }
        }
        let pairs: Vec<_> = open.values().flat_map(|one| {
            let others = open.values().filter(move |other| other.0 == one.0 && other.1.id > one.1.id);
            others.map(move |other| (&one.1, &other.1))
        }).collect();
        if pairs.is_empty() {
            return Ok(());
        }
        let (one, other) = pairs[two.0.index(pairs.len())];
        let asks = [(one.id, Ask::Merge(other.id), "merge"), (other.id, Ask::Split, "split")];
        let from = decisions(&history).len();
        let mut told = Vec::new();
        for (incident, ask, request) in asks {
            // Whichever of the two merged away is split off again.
            let merged = told.iter().find_map(|decision: &Decision| match &decision.verdict {
                Verdict::IncidentMerged { incident, .. } => Some(incident.id),
                _ => None,
            });
            let action = Action::About {
                incident: merged.unwrap_or(incident),
                ask,
                sources: "",
                note: "",
            };
            history.push(now, &Input::Command(Command { request, actor: "ana", action }));
            told = decisions(&history).split_off(from);
        }
        let merged = told.iter().find_map(|decision| match &decision.verdict {
            Verdict::IncidentMerged { incident, into } => Some((incident.id, *into)),
            _ => None,
        });
        // They may have been one in another rule's eyes, or apart by a person's word.
        let Some((gone, into)) = merged else { return Ok(()) };
        let split = told.iter().find_map(|decision| match &decision.verdict {
            Verdict::IncidentSplit { incident, from, .. } => Some((incident, *from)),
            _ => None,
        });
        let refused = told.iter().any(|one| matches!(one.verdict, Verdict::CommandRefused(_)));
        let Some((part, from)) = split else {
            prop_assert!(refused, "{told:?}");
            return Ok(());
        };
        prop_assert_eq!(from, into);
        // As they were told when they became one: what had parted from one of them by itself may not
        // have been told of it yet.
        let by_merge = |decision: &&Decision| {
            let request = decision.cause.request.as_ref();
            request.is_some_and(|(request, _)| request.as_str() == "merge")
        };
        let sensors = |id| told.iter().filter(by_merge).find_map(move |decision| {
            decision.verdict.incident().filter(|incident| incident.id == id)
        });
        let (ended, both) = (sensors(gone).unwrap().sensors, sensors(into).unwrap().sensors);
        prop_assert_eq!(part.sensors, ended);
        let whole = told.iter().rev().find_map(|decision| {
            decision.verdict.incident().filter(|incident| incident.id == into)
        });
        let (whole, apart) = (whole.unwrap().sensors, both - ended);
        // Whoever reported to both was one while they were one, and is one of each again.
        let may_be_of_both = history.bundles.iter().any(|bundle| tells_who_reports(bundle));
        prop_assert!(
            whole == apart || may_be_of_both && (apart..=both).contains(&whole),
            "each is of one of them: {whole} of {both}, {ended} gone"
        );
    }

    #[test]
    fn inv_30_nothing_is_left_to_send_after_its_time_and_no_key_is_given_twice(
        day in day(), shards in 1..4usize,
    ) {
        let history = history(&day);
        let mut judgement = Judgement::new(NonZeroUsize::new(shards).unwrap());
        history.bundles.iter().for_each(|bundle| judgement.provide(Arc::clone(bundle)));
        let mut decisions = Vec::new();
        for record in history.records() {
            judgement.apply(&[record], &mut decisions);
            for (command, _) in judgement.commands_pending() {
                let may_be_sent = command.progress == Progress::Sent;
                prop_assert!(!may_be_sent || command.not_after > record.at, "{command:?}");
                prop_assert!(command.outcome_by > record.at, "{command:?}");
            }
        }
        let mut keys = BTreeSet::new();
        for decision in &decisions {
            if let Verdict::Command(CommandChange::Sent, command) = &decision.verdict {
                prop_assert!(keys.insert(command.key), "twice: {}", command.key);
                prop_assert!(command.not_after > decision.at);
            }
        }
        prop_assert_eq!(judgement.commands_pending().count(), 0, "each has an outcome");
    }

    #[test]
    fn inv_31_each_step_of_a_command_follows_from_the_one_before_and_from_what_shows_it(
        day in day(), manner in restarting(),
    ) {
        use CommandChange::{Accepted, AnsweredLate, Confirmed, Done, Expired, NotConfirmed};
        let mut before: BTreeMap<CommandKey, Progress> = BTreeMap::new();
        for decision in history(&day).run(&manner).decisions {
            let Verdict::Command(change, command) = decision.verdict else { continue };
            let last = before.insert(command.key, command.progress);
            let word = command.answer.as_ref().map(|answer| answer.word.word());
            match change {
                CommandChange::Sent => prop_assert_eq!(last, None),
                Accepted => prop_assert_eq!((last, word), (Some(Progress::Sent), Some("accepted"))),
                Done => {
                    let could = matches!(last, Some(Progress::Sent | Progress::Accepted));
                    prop_assert!(could && word == Some("done"));
                }
                Confirmed => {
                    prop_assert!(command.confirmed_by.is_some() && command.confirmation.is_some());
                    // Without its device's word, no sooner than when it may not be sent any more.
                    prop_assert!(word.is_some() || decision.at == command.not_after);
                }
                Expired => prop_assert_eq!(last, Some(Progress::Sent)),
                NotConfirmed => {
                    prop_assert!(matches!(last, Some(Progress::Accepted | Progress::Done)));
                    prop_assert_eq!(decision.at, command.outcome_by);
                }
                AnsweredLate => prop_assert!(command.is_over() && last == Some(command.progress)),
                CommandChange::Rejected => prop_assert_eq!(word, Some("rejected")),
                CommandChange::Failed => prop_assert_eq!(word, Some("failed")),
                CommandChange::OutcomeUnknown => prop_assert_eq!(last, Some(Progress::Sent)),
                CommandChange::Superseded => prop_assert!(decision.cause.request.is_some()),
            }
        }
    }

    #[test]
    fn nothing_is_over_before_its_time_and_everything_ends(day in day()) {
        // Five quiet hours at the end: whatever is not unknown has cleared.
        let (judgement, decisions) = history(&day).judge(&Manner::plain());
        let mut last = BTreeMap::new();
        for decision in &decisions {
            if let Some(incident) = decision.verdict.incident() {
                last.insert(incident.id, incident.clone());
            }
        }
        let live = last.values().filter(|incident| incident.handling != Handling::Merged);
        let open = live.filter(|incident| incident.condition != Condition::Cleared).count();
        prop_assert_eq!(judgement.counters().incidents_live as usize, open);
    }
}

/// A stream of one city's sensors: how long after the one before, which sensor, its value, and by
/// how much its message is delayed, in part of the time that rules wait.
fn stream() -> impl Strategy<Value = Vec<(i64, usize, f64, f64)>> {
    let value = prop_oneof![0.0..6.0f64, Just(3.0), Just(0.5), Just(1.0)];
    prop::collection::vec((0..40_000i64, 0..9usize, value, 0.0..1.0f64), 1..150)
}

/// The stream under rules that wait for a minute, as it is received with these delays.
fn disordered(
    stream: &[(i64, usize, f64, f64)],
    delay: impl Fn(f64) -> i64,
    again: &[Index],
) -> History {
    let mut history = History::new(settling());
    let mut now = MIDNIGHT;
    let mut received: Vec<(Timestamp, usize, Vec<u8>)> = Vec::new();
    for (number, &(after_ms, sensor, value, part)) in stream.iter().enumerate() {
        now = now + Millis(after_ms);
        let (sensor, kind) = SENSORS[sensor];
        let id = format!("r{number}");
        let reading = Reading {
            id: &id,
            sensor,
            kind,
            observed_at: now,
            received_at: None,
            value,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        let mut bytes = Vec::new();
        Input::Reading(reading).encode(&mut bytes);
        received.push((now + Millis(delay(part)), number, bytes));
    }
    for index in again {
        // Once more, and soon enough to be told from a new one.
        let (at, number, bytes) = received[index.index(received.len())].clone();
        received.push((at + Millis::seconds(2), number, bytes));
    }
    received.sort_by_key(|(at, number, _)| (*at, *number));
    history
        .inputs
        .extend(received.into_iter().map(|(at, _, bytes)| (at, bytes)));
    history.push(now + Millis::minutes(300), &Input::Tick);
    history
}

/// The city of the random days, under rules that put readings in order or count them in windows, of
/// one sensor or of several.
fn settling() -> Arc<Bundle> {
    let mut bundle = Bundle::clone(&bundle(Variant::Gathering));
    bundle.detections.retain_mut(|rule| {
        rule.settle = Millis::minutes(1);
        match &mut rule.test {
            Test::Window(window) => window.lateness = Millis::minutes(1),
            Test::Across(across) => across.lateness = Millis::minutes(1),
            Test::Silence(_)
            | Test::Fault(_)
            | Test::SiteSilence(_)
            | Test::Alone(_)
            | Test::Sequence(_)
            | Test::Report(_) => {
                return false;
            }
            Test::Threshold(_) | Test::Rate(_) | Test::Usual(_) | Test::Becomes(_) => {}
        }
        true
    });
    let known: BTreeSet<_> = bundle
        .detections
        .iter()
        .map(|rule| rule.name.clone())
        .collect();
    for rule in &mut bundle.correlations {
        let taken = rule.detections.iter().zip(&rule.weights);
        let taken = taken.filter(|(name, _)| known.contains(*name));
        (rule.detections, rule.weights) =
            taken.map(|(name, weight)| (name.clone(), *weight)).unzip();
    }
    bundle.hash.0[0] ^= 1;
    Arc::new(bundle)
}

/// Decisions without when their readings were received, which disorder changes.
fn without_receipt(decisions: &[Decision]) -> Vec<Decision> {
    let mut decisions = without_numbers(decisions);
    for decision in &mut decisions {
        // Of windows the readings that raise together are named as they came.
        decision.cause.evidence.sort_by(|a, b| {
            (&a.sensor, &a.reading, &a.rule).cmp(&(&b.sensor, &b.reading, &b.rule))
        });
        for evidence in &mut decision.cause.evidence {
            evidence.distance_m = None;
        }
    }
    decisions
}

proptest! {
    #[test]
    fn inv_19_disorder_and_redelivery_within_the_time_that_rules_wait_change_nothing(
        stream in stream(), again in prop::collection::vec(any::<Index>(), 0..20),
        manner in restarting(),
    ) {
        let in_order = disordered(&stream, |_| 0, &[]);
        let plain = decisions(&in_order);
        // A reading that comes at the very end of the time is judged after the timers of then.
        let delay = |part: f64| (part * 59_999.0) as i64;
        let other = disordered(&stream, delay, &again).run(&manner).decisions;
        prop_assert_eq!(without_receipt(&plain), without_receipt(&other));
    }

    #[test]
    fn inv_19_what_is_delayed_by_less_than_a_clock_takes_to_be_known_sets_none_back(
        stream in stream(), again in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        // What comes again does so two seconds later.
        let most = CLOCK_SET_BACK_LASTING.0 - 2_001;
        let delay = |part: f64| (part * most as f64) as i64;
        let (judgement, _) = disordered(&stream, delay, &again).judge(&Manner::plain());
        prop_assert_eq!(judgement.counters().sensors.clocks_set_back, 0);
    }
}

#[test]
fn the_disordered_streams_hold_incidents() {
    let mut runner = TestRunner::deterministic();
    let opened = (0..50).filter(|_| {
        let stream = stream().new_tree(&mut runner).unwrap().current();
        let decisions = decisions(&disordered(&stream, |_| 0, &[]));
        let mut verdicts = decisions.iter().map(|decision| &decision.verdict);
        verdicts.any(|verdict| matches!(verdict, Verdict::IncidentOpened(_)))
    });
    assert!(opened.count() > 25);
}
