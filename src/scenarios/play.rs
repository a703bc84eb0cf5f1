//! A scenario, played through the judgement in virtual time.
//!
//! Arrives: a scenario that was checked. Leaves: what was decided, in order. What happens at one
//! time happens in the order it is written; then time goes on until nothing is awaited any more.
//! Next: `compare.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use ioc_core::decision::{Decision, Verdict};
use ioc_core::id::{IncidentId, RuleId};
use ioc_core::judgement::Judgement;
use ioc_core::record::{Action, Ask, BuildHash, ClockKind, Command, Input, Record, Seq, Started};
use ioc_core::time::Timestamp;
use ioc_gateway::formats::native;

use super::script::{Event, Name, Scenario, What, Window};
use super::stage::Stage;

/// What came of a scenario.
#[derive(Debug)]
pub(super) struct Played {
    pub decisions: Vec<Decision>,
    pub names: Names,
    /// The detection rules that found something, those about several sensors too: of a reading that
    /// several rules take, a decision names one.
    pub busy: BTreeSet<RuleId>,
    /// When it ended.
    pub end: Timestamp,
}

/// Incidents by kind, in the order in which they opened.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, Vec<IncidentId>>);

impl Names {
    fn note(&mut self, decision: &Decision) {
        if let Verdict::IncidentOpened(incident) = &decision.verdict {
            let of_kind = self.0.entry(incident.kind.to_string()).or_default();
            of_kind.push(incident.id);
        }
    }

    /// The incident of this name; without a number the first of its kind.
    pub fn id(&self, name: &Name) -> Option<IncidentId> {
        let of_kind = self.0.get(&name.kind)?;
        of_kind.get(name.number.unwrap_or(1) - 1).copied()
    }

    /// `flood#1`
    pub fn name(&self, id: IncidentId) -> String {
        let mut kinds = self.0.iter();
        let found = kinds.find_map(|(kind, ids)| {
            let place = ids.iter().position(|own| *own == id)?;
            Some(format!("{kind}#{}", place + 1))
        });
        found.unwrap_or_else(|| id.to_string())
    }
}

/// Plays a scenario.
pub(super) fn play(stage: &Stage, scenario: &Scenario) -> Played {
    let mut steps: Vec<&Event> = scenario.steps.iter().collect();
    steps.sort_by_key(|step| step.at);
    let begin = steps.first().map_or(scenario.midnight, |step| step.at);
    let mut player = Player::new(stage, begin);
    for step in steps {
        player.step(step);
    }
    let end = end_of(scenario).max(player.now);
    player.apply(end, Input::Tick);
    let rules = player.judgement.counters().rules;
    let found = rules.into_iter().filter_map(|(rule, counters)| {
        let found = counters.raised + counters.evidence + counters.silent + counters.faulty;
        (found > 0).then_some(rule)
    });
    player.busy.extend(found);
    Played {
        busy: player.busy,
        decisions: player.decisions,
        names: player.names,
        end,
    }
}

/// When all that is expected could have been decided.
fn end_of(scenario: &Scenario) -> Timestamp {
    let steps = scenario.steps.iter().map(|step| step.at);
    let windows = scenario.expected.iter().map(|expected| expected.window);
    let bounds = windows.flat_map(|Window { from, to }| [from, to]);
    let bounds = bounds.filter(|at| *at != Timestamp::MAX);
    let until = scenario.until.into_iter();
    let last = steps.chain(bounds).chain(until).max();
    last.unwrap_or(scenario.midnight)
}

struct Player<'a> {
    stage: &'a Stage,
    judgement: Judgement,
    seq: Seq,
    now: Timestamp,
    decisions: Vec<Decision>,
    names: Names,
    busy: BTreeSet<RuleId>,
}

impl<'a> Player<'a> {
    fn new(stage: &'a Stage, begin: Timestamp) -> Self {
        let mut judgement = Judgement::new(NonZeroUsize::MIN);
        judgement.provide(Arc::clone(stage.bundle()));
        judgement.note_what_counts();
        let mut player = Self {
            stage,
            judgement,
            seq: 0,
            now: begin,
            decisions: Vec::new(),
            names: Names::default(),
            busy: BTreeSet::new(),
        };
        player.apply(begin, Input::Reload(stage.bundle().hash));
        player
    }

    fn apply(&mut self, at: Timestamp, input: Input<'_>) {
        self.seq += 1;
        self.now = self.now.max(at);
        let record = Record {
            seq: self.seq,
            at: self.now,
            input,
        };
        let before = self.decisions.len();
        self.judgement.apply(&[record], &mut self.decisions);
        for decision in &self.decisions[before..] {
            self.names.note(decision);
        }
        let noted = self.judgement.take_noted().noted;
        let begun = noted.iter().filter(|noted| noted.begins());
        self.busy.extend(begun.map(|noted| noted.rule().clone()));
    }

    fn step(&mut self, step: &Event) {
        match &step.what {
            What::Said(said) => {
                let stage = self.stage;
                let payload = stage.payload(said, step.at);
                let mut scratch = native::Scratch::default();
                let reading = native::decode(&payload, None, stage.catalogue(), &mut scratch);
                let reading = reading.expect("what is said was checked");
                self.apply(step.at, Input::Reading(reading));
            }
            What::Took {
                by,
                step: taken,
                incident,
            } => {
                // Timers may open it in this very moment.
                self.apply(step.at, Input::Tick);
                let unknown = IncidentId::derive(&[&incident.kind]);
                let id = self.names.id(incident).unwrap_or(unknown);
                let request = format!("line-{}", step.place.line);
                let command = Command {
                    request: &request,
                    actor: by,
                    action: Action::About {
                        incident: id,
                        ask: Ask::Step(*taken),
                        sources: "",
                        note: "",
                    },
                };
                self.apply(step.at, Input::Command(command));
            }
            What::Started { down_from } => {
                // It told what was due for as long as it was there.
                self.apply(*down_from, Input::Tick);
                let started = Started {
                    down_from: Some(*down_from),
                    down_to: step.at,
                    build: BuildHash([0; 32]),
                    clock: ClockKind::System,
                };
                self.apply(step.at, Input::Started(started));
            }
        }
    }
}
