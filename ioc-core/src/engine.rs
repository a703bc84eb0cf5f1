//! The engine: the single writer that turns findings into incidents, and people's orders into
//! handling.
//!
//! Arrives: every record, with what the sensor stages found in it and before it. Leaves: numbered
//! [`Decision`]s. Promise: timers of the engine and findings of the stages' timers fire in one
//! order of (due, rule, subject), all of them before the record by whose time they are due; what a
//! record itself says comes after. Not here: how detections are found (`detect.rs`) and what
//! belongs together (`correlate.rs`). Next: `correlate.rs`.

mod family;
mod late;
mod leaving;
mod people;
mod requests;
mod suppress;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::late::{LIKE_A_STEP, LIKE_LEAVING, Late};
use self::people::Moment;
use self::requests::Requests;
use crate::away::Away;
use crate::book::{Book, Entry};
use crate::codec::{CodecError, Put, Take};
use crate::correlate::{Correlator, Desk, Explained, Leaving, Turn};
use crate::counters::{EngineCounters, RuleCounters};
use crate::decision::{Answer, Cause, CommandState, Confirmation, Decision, Evidence};
use crate::decision::{SensorState, Severity, Step, Verdict};
use crate::detection::{Detection, Finding, Hearing, Malady};
use crate::explain::{CaseLook, SequenceLook, SuppressionLook, TogetherLook};
use crate::group::Group;
use crate::id::{IncidentId, RuleId, SensorId};
use crate::incident::Purpose;
use crate::invariant::{Audit, Invariant};
use crate::limits::{INCIDENTS_KEPT_FOR_PEOPLE, INCIDENTS_MAX, LATE_PER_STEP};
use crate::meters::Meters;
use crate::noted::Noting;
use crate::operate::{Operations, Shown};
use crate::reading::Reading;
use crate::record::{Action, Ask, BundleHash, Command, Effect, EffectNews, Input, Record, Seq};
use crate::record::{Open, Started};
use crate::rules::{Provided, Rules};
use crate::suppress::{Origin, Passed, Suppressions};
use crate::time::{Millis, Timestamp};
use crate::timer::{Timer, Timers};

/// Everything but the sensors: incidents, their timers, what people asked.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<Rules>,
    provided: Provided,
    group: Group,
    correlators: BTreeMap<RuleId, Correlator>,
    desk: Desk,
    operations: Operations,
    suppressions: Suppressions,
    requests: Requests,
    /// Timers of incidents that come late.
    late: Option<Late>,
    /// What no rule's name comes before.
    first_rule: RuleId,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine without rules.
    pub fn new() -> Self {
        Self {
            rules: Arc::new(Rules::none()),
            provided: Provided::default(),
            group: Group::new(),
            correlators: BTreeMap::new(),
            desk: Desk::new(),
            operations: Operations::default(),
            suppressions: Suppressions::default(),
            requests: Requests::default(),
            late: None,
            first_rule: "-".parse().expect("the least of all names of rules"),
        }
    }

    /// Makes rules known. They hold from the `Reload` record on that names them.
    pub fn provide(&mut self, rules: Arc<Rules>) {
        self.provided.push(rules);
    }

    /// Applies one record. `findings` are those of its number, merged from all stages.
    pub fn apply(&mut self, record: &Record<'_>, findings: &[Finding], out: &mut Vec<Decision>) {
        self.suppressions.note_under(record.seq);
        let fired = findings.partition_point(|finding| finding.due.is_some());
        let (fired, found) = findings.split_at(fired);
        if let Input::Started(started) = record.input {
            // Before any deadline: downtime is not silence.
            self.operations.wait_longer(gap(&started));
            if let Some(from) = started.down_from {
                self.desk.away.note(from, started.down_to);
            }
        }
        match record.input {
            Input::Started(_) => {
                self.begin_anew();
                self.advance(record.at, fired, Some(LATE_PER_STEP), out);
            }
            _ => self.advance(record.at, fired, None, out),
        }
        if self.suppressions.may_wake(record.at) {
            self.wake_windows(record.at, out);
        }
        if self.desk.husks > 0 || self.desk.leaving.forgets() {
            self.take_apart();
        }
        match record.input {
            Input::Reading(_) | Input::Reread(_) => {
                self.findings(record.at, found, out);
                self.confirm(record, found, out);
            }
            Input::DeadLetter(_) => self.desk.counters.dead_letters += 1,
            Input::Command(command) => {
                let (at, seq) = (record.at, record.seq);
                self.command(Moment { at, seq }, &command, out);
            }
            Input::Reload(hash) => self.reload(record.at, hash, found, out),
            Input::Effect(effect) => self.effect(record.at, record.seq, &effect, out),
            Input::Started(_) => {
                let (operations, mut turn) = self.operate(record.at, out);
                operations.restarted(&mut turn);
            }
            // Their time alone is what matters, and it has passed.
            Input::Tick
            | Input::Folded(_)
            | Input::Skipped(_)
            | Input::Adopted(_)
            | Input::Replayed(_) => {}
        }
    }

    /// The rules that hold.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// When the next timer is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        let commands = self.operations.next_due();
        self.desk
            .timers
            .next_due()
            .into_iter()
            .chain(self.group.next_due())
            .chain(commands)
            .chain(self.suppressions.next_due())
            .chain(self.desk.family.explained.next_due())
            .chain(self.desk.leaving.next_due())
            .chain(self.late.map(|late| late.next))
            .min()
    }

    /// The commands under way, each with whether it has been begun to be sent.
    pub(crate) fn commands_pending(&self) -> impl Iterator<Item = (&CommandState, bool)> {
        self.operations.pending()
    }

    /// The last commands that are over, oldest first.
    pub(crate) fn commands_over(&self) -> impl Iterator<Item = &CommandState> {
        self.operations.over()
    }

    /// What became of the detections.
    pub fn counters(&self) -> EngineCounters {
        self.desk.counters
    }

    /// What a rule about several sensors found since the start.
    pub fn counters_of(&self, rule: &RuleId) -> RuleCounters {
        self.group.counters(rule)
    }

    /// What counts is noted from here on, for [`Self::take_noted`].
    pub(crate) fn note_what_counts(&mut self) {
        self.suppressions.note_what_counts();
    }

    /// What was noted since this was asked last.
    pub(crate) fn take_noted(&mut self) -> Noting {
        self.suppressions.take_noted()
    }

    /// How many candidates wait for more evidence.
    pub fn candidates(&self) -> usize {
        self.correlators.values().map(Correlator::candidates).sum()
    }

    /// How many incidents are live: open, or cleared and able to reopen.
    pub fn incidents_live(&self) -> usize {
        let incidents = self.correlators.values().map(Correlator::incidents);
        incidents.sum::<usize>() + self.desk.leaving.incidents()
    }

    /// Takes a part of what is over out of memory.
    fn take_apart(&mut self) {
        for correlator in self.correlators.values_mut() {
            correlator.take_apart(&mut self.desk);
        }
        self.take_gone_apart();
    }

    /// Fires the timers that are due by `to`, the stages' and its own, in the one order; of what is
    /// due at one time, what is late first, then what leaves, what is kept quiet, symptoms, and deadlines
    /// of commands last. `room`: how much of it there is before what is left comes late.
    fn advance(
        &mut self,
        to: Timestamp,
        mut fired: &[Finding],
        mut room: Option<usize>,
        out: &mut Vec<Decision>,
    ) {
        loop {
            if room == Some(0) {
                room = None;
                self.be_late(to);
            }
            let mut takes = |much: usize| room = room.map(|room| room.saturating_sub(much));
            let own = self.desk.timers.first_due(to);
            let own = own.map(|timer| (timer.due, &timer.rule));
            let group = self.group.first_due(to);
            let found = fired.first();
            let found = found.and_then(|finding| Some((finding.due?, &finding.rule)));
            let first = [own, group, found].into_iter().flatten().min();
            let (is_own, is_group) = (first == own, first == group);
            let first = first.map(|(due, _)| due);
            let deadline = self.operations.next_due().filter(|due| *due <= to);
            let quiet = self.suppressions.next_due().filter(|due| *due <= to);
            let others = first.into_iter().chain(deadline).min();
            let symptoms = self.desk.family.explained.next_due();
            let symptoms = symptoms.filter(|due| *due <= to);
            let others = others.into_iter().chain(symptoms).min();
            let leaving = self.desk.leaving.next_due().filter(|due| *due <= to);
            let all = others.into_iter().chain(quiet).min();
            let late = self.late.map(|late| late.next).filter(|due| *due <= to);
            let all_but_late = all.into_iter().chain(leaving).min();
            if let Some(due) = late.filter(|due| all_but_late.is_none_or(|other| *due <= other)) {
                self.fire_late(due, out);
                continue;
            }
            if let Some(due) = leaving.filter(|due| all.is_none_or(|other| *due <= other)) {
                takes(LIKE_LEAVING);
                self.leave_more(due, out);
                continue;
            }
            if let Some(due) = quiet.filter(|due| others.is_none_or(|other| *due <= other)) {
                self.fire_suppression(due, out);
                continue;
            }
            if let Some(due) = symptoms.filter(|due| Some(*due) == others) {
                takes(LIKE_A_STEP);
                let (correlators, mut turn) = self.people(due, out);
                turn.due = Some(due);
                family::judge_symptoms(correlators, &mut turn);
                continue;
            }
            if let Some(due) = deadline.filter(|due| first.is_none_or(|first| *due < first)) {
                let (operations, mut turn) = self.operate(due, out);
                turn.due = Some(due);
                operations.fire(&mut turn);
                continue;
            }
            match fired.split_first() {
                _ if first.is_none() => return,
                _ if is_group => self.fire_group(to, out),
                _ if is_own => {
                    let timer = self.desk.timers.pop_due(to).expect("one is due");
                    takes(late::weight(timer.subject.1));
                    let at = timer.due;
                    self.fire(&timer, at, out);
                }
                Some((finding, rest)) => {
                    let due = finding.due.expect("it was found by a timer");
                    fired = rest;
                    self.finding_of_timer(due, finding, out);
                }
                None => unreachable!("one of the three is first"),
            }
        }
    }

    /// Fires one of the engine's timers.
    fn fire(
        &mut self,
        timer: &Timer<(IncidentId, Purpose)>,
        at: Timestamp,
        out: &mut Vec<Decision>,
    ) {
        let (id, purpose) = timer.subject;
        if self.desk.leaving.comes_due(&timer.rule, id, purpose) {
            return;
        }
        let mut turn = Turn {
            at,
            due: Some(timer.due),
            rules: &self.rules,
            desk: &mut self.desk,
            decisions: out,
        };
        if purpose == Purpose::Adopt {
            return family::adopt_more(&mut self.correlators, &timer.rule, id, &mut turn);
        }
        let correlator = self.correlators.get_mut(&timer.rule);
        let correlator = correlator.expect("timers are of rules that hold");
        if correlator.waits_on(id, purpose, &mut turn) {
            return;
        }
        match purpose {
            Purpose::Part => {
                let from = correlator.parts_from(id);
                let unheard = self.group.unheard_from(from, &self.rules);
                correlator.part(id, unheard, &mut turn);
            }
            _ => correlator.fire(id, purpose, &mut turn),
        }
        family::divide(&mut self.correlators, &timer.rule, &mut turn);
        family::settle(&mut self.correlators, &timer.rule, &mut turn);
        self.end_of_incidents(at, Some(timer.due), out);
    }

    /// Fires the group stage's next timer.
    fn fire_group(&mut self, to: Timestamp, out: &mut Vec<Decision>) {
        let rules = Arc::clone(&self.rules);
        let (due, found) = self.group.fire(to, &self.desk.away, &rules);
        if !found.is_empty() {
            let passed = self.pass(due, Some(due), (&found, Origin::GroupTimers), out);
            self.correlate(due, Some(due), &passed.found, out);
        }
    }

    fn finding_of_timer(&mut self, due: Timestamp, finding: &Finding, out: &mut Vec<Decision>) {
        let found = std::slice::from_ref(finding);
        let unheard = self.note_meters(found);
        let passed = self.pass(due, Some(due), (found, Origin::Sensors), out);
        self.group_and_correlate(due, Some(due), &passed, out);
        self.judge_below(unheard, due, Some(due), out);
    }

    /// What the stages found in a record: one moment, decided when all of it is taken in.
    fn findings(&mut self, at: Timestamp, found: &[Finding], out: &mut Vec<Decision>) {
        if !found.is_empty() {
            let unheard = self.note_meters(found);
            let passed = self.pass(at, None, (found, Origin::Sensors), out);
            self.group_and_correlate(at, None, &passed, out);
            self.judge_below(unheard, at, None, out);
        }
    }

    /// Takes note of which meters are heard. Returns those whose word counts no more.
    fn note_meters(&mut self, found: &[Finding]) -> Vec<SensorId> {
        let (meters, rules) = (&mut self.desk.meters, &self.rules);
        let unheard = found.iter().filter(|finding| meters.note(finding, rules));
        unheard.map(|finding| finding.sensor.clone()).collect()
    }

    /// What waits below meters whose word counts no more is judged again.
    fn judge_below(
        &mut self,
        meters: Vec<SensorId>,
        at: Timestamp,
        due: Option<Timestamp>,
        out: &mut Vec<Decision>,
    ) {
        for meter in meters {
            let (correlators, mut turn) = self.people(at, out);
            turn.due = due;
            family::judge_below(correlators, &meter, &mut turn);
            self.end_of_incidents(at, due, out);
        }
    }

    /// What counts of what the stages found, and what follows from that of several sensors.
    fn group_and_correlate(
        &mut self,
        at: Timestamp,
        due: Option<Timestamp>,
        passed: &Passed<'_>,
        out: &mut Vec<Decision>,
    ) {
        if !self.group.is_at_work() {
            return self.correlate(at, due, &passed.found, out);
        }
        let rules = Arc::clone(&self.rules);
        let (found, over_limit) = self.group.take(passed, at, &rules);
        self.desk.counters.sequences_over_limit += over_limit;
        let passed = self.pass(at, due, (&found, Origin::Group), out);
        self.correlate(at, due, &passed.found, out);
    }

    fn correlate(
        &mut self,
        at: Timestamp,
        due: Option<Timestamp>,
        found: &[Finding],
        out: &mut Vec<Decision>,
    ) {
        let rules = Arc::clone(&self.rules);
        let mut turn = Turn {
            at,
            due,
            rules: &rules,
            desk: &mut self.desk,
            decisions: out,
        };
        take(&mut self.correlators, found, &mut turn);
        self.end_of_incidents(at, due, out);
    }

    /// What the sensors that show outcomes of commands said in a record.
    fn confirm(&mut self, record: &Record<'_>, found: &[Finding], out: &mut Vec<Decision>) {
        for finding in found {
            let Detection::Observed(observed) = &finding.detection else {
                continue;
            };
            let confirmation = Confirmation {
                reading: observed.reading.clone(),
                value: observed.value,
                seq: record.seq,
            };
            let shown = Shown {
                sensor: &finding.sensor,
                observed_at: observed.observed_at,
                confirmation: &confirmation,
            };
            let (operations, mut turn) = self.operate(record.at, out);
            operations.shown(shown, &mut turn);
        }
    }

    /// What came of something that was to happen outside.
    fn effect(&mut self, at: Timestamp, seq: Seq, effect: &Effect<'_>, out: &mut Vec<Decision>) {
        let (operations, mut turn) = self.operate(at, out);
        match effect.news {
            EffectNews::Started => operations.started(effect.key, &mut turn),
            EffectNews::Answered {
                device,
                word,
                detail,
            } => {
                let detail = detail.into();
                let answer = Answer { word, detail, seq };
                operations.answered(effect.key, device, answer, &mut turn);
            }
        }
    }

    /// A person's order: done once, refused with a reason, or known to be done.
    fn command(&mut self, now: Moment, command: &Command<'_>, out: &mut Vec<Decision>) {
        if self.requests.knows(command.request) {
            self.desk.counters.requests_repeated += 1;
            return;
        }
        let request = command
            .request
            .parse()
            .expect("a command's request is valid");
        let actor = command.actor.parse().expect("a command's actor is valid");
        let note = match command.action {
            Action::About { note, .. }
            | Action::Open(Open { note, .. })
            | Action::Resuppress { note, .. } => note,
            // Why something is kept quiet stands in what is decided about it.
            Action::Acknowledge(_) | Action::Operate(_) | Action::Suppress(_) => "",
        };
        let cause = Cause {
            request: Some((request, actor)),
            note: note.into(),
            ..Cause::default()
        };
        let followed = match command.action {
            Action::Acknowledge(id) => {
                let step = Ask::Step(Step::Acknowledge);
                self.ask(now, id, (step, ""), &cause, out)
            }
            Action::Operate(order) => {
                let (operations, mut turn) = self.operate(now.at, out);
                operations.order(&order, &cause, &mut turn)
            }
            Action::About {
                incident,
                ask,
                sources,
                ..
            } => self.ask(now, incident, (ask, sources), &cause, out),
            Action::Open(open) => self.open(now, &open, &cause, out),
            Action::Suppress(asked) => self.keep_quiet(now, &asked, &cause, out),
            Action::Resuppress {
                suppression, what, ..
            } => self.keep_quiet_otherwise(now, (suppression, what), &cause, out),
        };
        self.end_of_incidents(now.at, None, out);
        match followed {
            Ok(()) => self.requests.accept(command.request),
            Err(refusal) => {
                let mut turn = self.turn(now.at, out);
                turn.decide(Verdict::CommandRefused(refusal), cause);
            }
        }
    }

    /// Puts other rules into force. What the stages found by that is still taken by the old
    /// correlation rules; then those that changed or went leave, and new ones begin.
    fn reload(
        &mut self,
        at: Timestamp,
        hash: BundleHash,
        found: &[Finding],
        out: &mut Vec<Decision>,
    ) {
        let new = self.provided.get(hash);
        let since = self.desk.next_seq;
        let mut turn = self.turn(at, out);
        turn.decide(Verdict::RulesChanged(hash), Cause::default());
        self.findings(at, found, out);
        let mut ended = Vec::new();
        let old = Arc::clone(&self.rules);
        let correlators = &self.correlators;
        let is_silent = |sensor: &SensorId| {
            let mut all = correlators.values();
            all.any(|correlator| correlator.is_silent(sensor))
        };
        self.group.reload((&old, &new), is_silent, at, &mut ended);
        let passed = self.pass(at, None, (&ended, Origin::Group), out);
        self.correlate(at, None, &passed.found, out);
        self.make_room_to_leave(at, out);
        let old = std::mem::take(&mut self.correlators);
        let (mut told, mut leaving) = (BTreeMap::new(), Vec::new());
        for (name, correlator) in old {
            let mut correlator = correlator;
            let mut rules = new.correlations().iter();
            let after = rules.find(|rule| rule.name == name);
            match after.filter(|rule| rule.relates_as(correlator.rule())) {
                Some(rule) => {
                    correlator.hold(rule.clone());
                    correlator.hold_under(&new, &mut self.desk);
                    self.correlators.insert(name, correlator);
                }
                None => {
                    told.insert(name, correlator.take_told());
                    leaving.push(correlator);
                }
            }
        }
        for rule in new.correlations() {
            let name = rule.name.clone();
            let said = told.remove(&name);
            let begin = || Correlator::after(rule.clone(), &new, said);
            self.correlators.entry(name).or_insert_with(begin);
        }
        self.desk.leaving.forget(told.into_values());
        for mut gone in leaving {
            if !self.correlators.contains_key(&gone.rule().name) {
                gone.forget_told();
            }
            self.begin_leaving(since, gone);
        }
        self.leave_more(at, out);
        let old = std::mem::replace(&mut self.rules, Arc::clone(&new));
        self.provided.put_aside(Some(old));
        // Who took over with this record is a meter by the city that holds now.
        self.desk.meters.hold_under(&self.rules);
        self.note_meters(found);
        self.reload_windows(&new, at, out);
    }

    fn turn<'a>(&'a mut self, at: Timestamp, decisions: &'a mut Vec<Decision>) -> Turn<'a> {
        Turn {
            at,
            due: None,
            rules: &self.rules,
            desk: &mut self.desk,
            decisions,
        }
    }

    /// The rules at work, and a moment for what people ask.
    fn people<'a>(
        &'a mut self,
        at: Timestamp,
        decisions: &'a mut Vec<Decision>,
    ) -> (&'a mut BTreeMap<RuleId, Correlator>, Turn<'a>) {
        let turn = Turn {
            at,
            due: None,
            rules: &self.rules,
            desk: &mut self.desk,
            decisions,
        };
        (&mut self.correlators, turn)
    }

    /// The commands, and a moment for them.
    fn operate<'a>(
        &'a mut self,
        at: Timestamp,
        decisions: &'a mut Vec<Decision>,
    ) -> (&'a mut Operations, Turn<'a>) {
        let turn = Turn {
            at,
            due: None,
            rules: &self.rules,
            desk: &mut self.desk,
            decisions,
        };
        (&mut self.operations, turn)
    }

    /// A look at what a correlation rule made of a reading's sensor, for whoever asks why.
    pub(crate) fn case_of(&self, rule: &RuleId, reading: &Reading<'_>) -> Option<CaseLook> {
        self.correlators.get(rule)?.look(reading)
    }

    /// How what a rule finds of a reading's sensor is a part of sequences, for whoever asks why.
    pub(crate) fn sequences_of(&self, rule: &RuleId, reading: &Reading<'_>) -> Vec<SequenceLook> {
        let sensor = reading.sensor.parse();
        sensor.map_or_else(
            |_| Vec::new(),
            |sensor| self.group.sequences_of(rule, &sensor, &self.rules),
        )
    }

    /// How what a reading says counts in a rule across sensors, for whoever asks why.
    pub(crate) fn together_of(&self, rule: &RuleId, reading: &Reading<'_>) -> Option<TogetherLook> {
        self.group.together_of(rule, reading, &self.rules)
    }

    /// What keeps the detections of a reading's sensor quiet, for whoever asks why.
    pub(crate) fn kept_quiet(&self, reading: &Reading<'_>) -> Vec<SuppressionLook> {
        let (Ok(sensor), Ok(id)) = (reading.sensor.parse(), reading.id.parse()) else {
            return Vec::new();
        };
        self.suppressions.looks(&sensor, &id)
    }

    /// Checks every invariant of the incidents and commands.
    pub(crate) fn audit(&self, audit: &mut Audit) {
        let correlators = self.correlators.values();
        let awaited: usize = correlators.map(|rule| rule.audit(&self.desk, audit)).sum();
        let awaited = awaited + self.desk.leaving.audit(&self.desk, audit);
        let agree = awaited == self.desk.timers.len();
        audit.expect(agree, Invariant::TimersAgree, "the engine");
        let is_live = |rule: &RuleId, id| {
            let correlator = self.correlators.get(rule);
            correlator.is_some_and(|correlator| correlator.has_opened(id))
                || self.desk.leaving.has(rule, id)
        };
        self.desk.book.audit(is_live, audit);
        self.operations.audit(audit);
        self.suppressions.audit(audit);
        self.group.audit(audit);
        let children = self.correlators.values().flat_map(Correlator::with_parents);
        let children = children.chain(self.desk.leaving.with_parents());
        let agree = self.desk.family.len() == children.count();
        audit.expect(agree, Invariant::FamilyAgrees, "the engine");
        let explaining = self.correlators.values().flat_map(Correlator::explaining);
        let explaining = explaining.chain(self.desk.leaving.explaining());
        self.desk.family.explained.audit(explaining, audit);
    }

    /// INV-18 between incidents. What was saved before a person's word was no word about children may
    /// break it, until it is told again.
    pub(crate) fn audit_parents(&self, audit: &mut Audit) {
        for correlator in self.correlators.values() {
            for (parent, child) in correlator.with_parents() {
                let least = correlator.weight_on_parent(child);
                let holds = self.severity_of(parent).is_none_or(|own| own >= least);
                audit.expect(holds, Invariant::GraveAsItsMembers, parent);
            }
        }
    }

    /// How grave a live incident is whose rule holds.
    fn severity_of(&self, id: IncidentId) -> Option<Severity> {
        match self.desk.book.find(id)? {
            (id, Entry::Live(rule)) if !self.desk.leaving.has(rule, id) => {
                let correlator = self.correlators.get(rule)?;
                correlator.has_opened(id).then(|| correlator.severity(id))
            }
            _ => None,
        }
    }

    /// Puts the whole state, everything in the order of names and ids.
    pub(crate) fn put(&self, out: &mut impl Put) {
        out.put_u64(self.desk.next_seq);
        out.put_count(self.correlators.len());
        for correlator in self.correlators.values() {
            correlator.put(&self.desk.leaving, out);
        }
        self.desk.book.put(out);
        self.requests.put(out);
        self.operations.put(out);
        self.group.put(out);
        self.suppressions.put(out);
        self.desk.family.explained.put(out);
        self.desk.leaving.put(out);
        out.put_option(self.late, |out, late| late.put(out));
        self.desk.meters.put(out);
        self.desk.away.put(out);
    }

    /// The engine as it was put under the same rules; before format 2 there were no commands
    /// and no group stage, before format 3 nothing was kept quiet, before format 4 there were no
    /// symptoms; what they are is judged anew if it was saved before format 5; before format 6 nothing
    /// left in steps; before format 7 it was not kept who is heard,
    /// and when nobody was there.
    pub(crate) fn take(
        format: u16,
        take: &mut Take<'_>,
        rules: &Arc<Rules>,
    ) -> Result<Self, CodecError> {
        let mut engine = Self::new();
        engine.provide(Arc::clone(rules));
        engine.rules = Arc::clone(rules);
        engine.desk.next_seq = take.u64()?;
        let count = take.u32()? as usize;
        let mut timers = Vec::new();
        for _ in 0..count {
            let correlator = Correlator::load(format, take, rules, &mut timers)?;
            let name = correlator.rule().name.clone();
            engine.correlators.insert(name, correlator);
        }
        if engine.correlators.len() != count || count != rules.correlations().len() {
            return Err(CodecError("other correlation rules than hold"));
        }
        let places = (INCIDENTS_MAX, INCIDENTS_KEPT_FOR_PEOPLE);
        engine.desk.book = Book::take(format, take, places)?;
        engine.requests = Requests::take(take)?;
        if format >= 2 {
            engine.operations = Operations::take(take)?;
            engine.group = Group::take_bytes(format, take, rules)?;
        }
        if format >= 3 {
            engine.suppressions = Suppressions::take(take, rules)?;
        }
        if format >= 4 {
            engine.desk.family.explained = Explained::take(take)?;
        }
        if format >= 6 {
            engine.desk.leaving = Leaving::take(format, take, rules, &mut timers)?;
        }
        engine.desk.timers = Timers::from_iter(timers);
        if format >= 6 {
            let late = take.option(Late::take)?;
            engine.let_wait(late);
        }
        if format >= 7 {
            engine.desk.meters = Meters::take(take)?;
            engine.desk.away = Away::take(take)?;
        }
        engine.gather_family();
        engine.explain_anew(format);
        Ok(engine)
    }

    /// Judges symptoms again that were saved before it was known how grave a cause is by itself, or by a
    /// build that believed more: no earlier than what was decided last, for all timers due by then have
    /// fired.
    fn explain_anew(&mut self, format: u16) {
        let causes = if format < 5 {
            self.desk.family.explaining()
        } else {
            let correlators = self.correlators.values();
            let hidden = correlators.flat_map(|of_rule| of_rule.hidden_by_nothing(&self.desk));
            hidden.collect()
        };
        if causes.is_empty() {
            return;
        }
        let told = self
            .correlators
            .values()
            .filter_map(Correlator::last_told_at);
        let next = self.desk.timers.next_due().or(told.max());
        if let Some(next) = next {
            self.desk.family.explain_anew(&causes, next);
        }
    }

    /// Parents and children follow from what each incident says of its own parent, and what
    /// explains others from how it stands.
    fn gather_family(&mut self) {
        let (family, leaving) = (&mut self.desk.family, &self.desk.leaving);
        let explaining = self.correlators.values().flat_map(Correlator::explaining);
        for (cause, reasons) in explaining.chain(leaving.explaining()) {
            family.explained.goes_on(cause, reasons);
        }
        let children = self.correlators.values().flat_map(Correlator::with_parents);
        let children = children.chain(leaving.with_parents());
        let parents: BTreeSet<_> = children
            .map(|(parent, child)| {
                family.add(parent, child);
                parent
            })
            .collect();
        for parent in parents {
            let now = self.desk.book.find(parent);
            if now.is_some_and(|(now, _)| now != parent) {
                family.set_gone(parent);
            }
        }
    }

    /// Goes on with the meters that are heard, where that was not kept.
    pub(crate) fn hear_meters(&mut self, meters: Meters) {
        self.desk.meters = meters;
    }

    /// Goes on counting from what was counted.
    pub(crate) fn count_from(&mut self, counters: EngineCounters) {
        self.desk.counters = counters;
    }
}

/// Takes findings of one moment, then decides what follows from all of them.
fn take(correlators: &mut BTreeMap<RuleId, Correlator>, findings: &[Finding], turn: &mut Turn<'_>) {
    let mut concerned: Vec<&RuleId> = Vec::new();
    for finding in findings {
        tell_of_sensor(finding, turn);
        for detection in concerning(finding) {
            for taker in turn.rules.takers(detection) {
                let correlator = correlators.get_mut(taker);
                correlator
                    .expect("all rules that hold are at work")
                    .take(finding, turn);
                concerned.push(taker);
            }
        }
        for taker in watching(finding, turn.rules) {
            let correlator = correlators.get_mut(taker);
            let correlator = correlator.expect("all rules that hold are at work");
            if correlator.has_member(&finding.sensor) {
                correlator.take(finding, turn);
                concerned.push(taker);
            }
        }
        for taker in turn.rules.nesting() {
            let correlator = correlators.get_mut(taker);
            let correlator = correlator.expect("all rules that hold are at work");
            match &finding.detection {
                Detection::Silent(_) if turn.rules.knows_streets() => {
                    correlator.time_the_street(&finding.sensor, turn);
                }
                Detection::Returned(_) | Detection::SilenceForgotten(_)
                    if correlator.misses(&finding.sensor) =>
                {
                    correlator.take(finding, turn);
                    concerned.push(taker);
                }
                _ => {}
            }
        }
    }
    concerned.sort_unstable();
    concerned.dedup();
    for taker in concerned {
        family::settle(correlators, taker, turn);
    }
}

/// The detection rules whose takers a finding concerns: its own, or for silence those raised about
/// the sensor.
fn concerning(finding: &Finding) -> &[RuleId] {
    match &finding.detection {
        Detection::Silent(hearing)
        | Detection::Returned(hearing)
        | Detection::SilenceForgotten(hearing) => &hearing.raised,
        Detection::Faulty(malady) | Detection::Sound(malady) => &malady.concerned,
        Detection::SiteSilent(_)
        | Detection::SiteReturned(_)
        | Detection::Contributed(_)
        | Detection::Observed(_)
        | Detection::Heard(_) => &[],
        Detection::Stirred
        | Detection::Raised { .. }
        | Detection::Updated { .. }
        | Detection::Worsened(_)
        | Detection::Eased(_)
        | Detection::Cleared
        | Detection::Reported { .. }
        | Detection::Withdrawn(_) => std::slice::from_ref(&finding.rule),
    }
}

/// The correlation rules for which it means something whether a sensor is heard, though nothing is
/// raised about it: who said that all is well may be missed.
fn watching<'a>(finding: &'a Finding, rules: &'a Rules) -> impl Iterator<Item = &'a RuleId> {
    let heard_by = match &finding.detection {
        Detection::Silent(hearing)
        | Detection::Returned(hearing)
        | Detection::SilenceForgotten(hearing) => hearing.heard_by.as_slice(),
        Detection::SiteSilent(_)
        | Detection::SiteReturned(_)
        | Detection::Contributed(_)
        | Detection::Observed(_)
        | Detection::Heard(_)
        | Detection::Faulty(_)
        | Detection::Sound(_)
        | Detection::Stirred
        | Detection::Raised { .. }
        | Detection::Updated { .. }
        | Detection::Worsened(_)
        | Detection::Eased(_)
        | Detection::Cleared
        | Detection::Reported { .. }
        | Detection::Withdrawn(_) => &[],
    };
    let takers = heard_by.iter().flat_map(|kind| rules.takers_of_kind(kind));
    takers.filter(|taker| {
        let mut concerned = concerning(finding).iter();
        !concerned.any(|detection| rules.takers(detection).contains(taker))
    })
}

/// Decides what is about the sensor rather than about the city.
fn tell_of_sensor(finding: &Finding, turn: &mut Turn<'_>) {
    if finding.detection.is_untold() {
        return;
    }
    let verdict = match &finding.detection {
        _ if finding.quiet => return,
        Detection::SiteSilent(site) => Verdict::SiteSilent(site.clone()),
        Detection::SiteReturned(site) => Verdict::SiteReturned(site.clone()),
        Detection::Silent(hearing) => Verdict::SensorSilent(sensor_state(finding, hearing, turn)),
        Detection::Returned(hearing) => {
            Verdict::SensorReturned(sensor_state(finding, hearing, turn))
        }
        Detection::Faulty(malady) | Detection::Sound(malady) => {
            return tell_of_fault(finding, malady, turn);
        }
        Detection::Raised { .. } | Detection::Reported { .. } => {
            if turn.rules.takers(&finding.rule).is_empty() {
                turn.desk.counters.detections_of_no_rule += 1;
            }
            return;
        }
        Detection::Stirred
        | Detection::Updated { .. }
        | Detection::Worsened(_)
        | Detection::Eased(_)
        | Detection::Cleared
        | Detection::Withdrawn(_)
        | Detection::Contributed(_)
        | Detection::Observed(_)
        | Detection::Heard(_)
        | Detection::SilenceForgotten(_) => return,
    };
    let cause = Cause {
        rule: Some(finding.rule.clone()),
        due: turn.due,
        ..Cause::default()
    };
    turn.decide(verdict, cause);
}

/// Decides that a sensor is broken, or no more, and names the reading that shows it.
fn tell_of_fault(finding: &Finding, malady: &Malady, turn: &mut Turn<'_>) {
    let sensor = sensor_state(finding, &malady.hearing, turn);
    let verdict = match finding.detection {
        Detection::Faulty(_) => Verdict::SensorFaulty(sensor, malady.fault),
        _ => Verdict::SensorSound(sensor, malady.fault),
    };
    let evidence = malady.shown.as_ref().map(|shown| Evidence {
        reading: shown.reading.clone(),
        seq: shown.seq,
        sensor: finding.sensor.clone(),
        rule: finding.rule.clone(),
        value: shown.value,
        distance_m: None,
        through: None,
    });
    let cause = Cause {
        rule: Some(finding.rule.clone()),
        evidence: evidence.into_iter().collect(),
        ..Cause::default()
    };
    turn.decide(verdict, cause);
}

/// For how long the process was not there.
fn gap(started: &Started) -> Millis {
    let gap = started.down_from.map(|from| started.down_to - from);
    gap.unwrap_or_default().max(Millis::ZERO)
}

fn sensor_state(finding: &Finding, hearing: &Hearing, turn: &Turn<'_>) -> SensorState {
    let zone = finding.zone.clone();
    SensorState {
        id: finding.sensor.clone(),
        kind: hearing.kind.clone(),
        position: hearing.position,
        zone: zone.unwrap_or_else(|| turn.rules.zone_at(hearing.position)),
        last_heard_at: hearing.last_heard_at,
    }
}
