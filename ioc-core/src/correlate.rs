//! Correlation: what one correlation rule makes of detections, by place and time.
//!
//! Arrives: findings of the detection rules that the rule takes, in the one order. Leaves: cases,
//! that is candidates and incidents, which open, grow, merge and end (`correlate/lifecycle.rs`).
//!
//! A sensor that is a member of a case speaks to that case for as long as the case lives, so that
//! membership is a partition (INV-12), unless it has moved elsewhere (`correlate/moves.rs`).
//! Otherwise what it says joins the nearest open incident that is near enough and recent enough;
//! where there is none, the nearest cleared one that may still reopen; else a candidate; else it
//! begins one. All that its place shows to be one happening then becomes one: open incidents
//! merge, candidates are absorbed. A place is asked for when it says
//! something new, that is when a detection is raised or moves, and for every report. What has no
//! place correlates by its sensor alone.
//!
//! Where the rule follows a network (`correlate/along.rs`), what lies in it joins along it however
//! far it is, and nothing else in it by metres alone: the next street may hang on another feeder.
//! What lies in no network joins what is near, but makes no two of those that do one.
//!
//! What a sensor says that is not to be trusted (`detect/examine.rs`) joins what is there, and does
//! nothing else: it weighs nothing, makes nothing graver and unites nothing. A member that was
//! abnormal when it came to be distrusted says nothing more until it is trusted again: its incident
//! is over when its other sensors say so, and unknown if there are none.
//!
//! Where the rule asks for what they have in common (`correlate/same.rs`), what shares a gateway or
//! a command is near whatever lies between; without `within` nothing else is.
//!
//! Of what happens once and is noticed as it arrives (a front), a place that noticed it when it
//! cannot have arrived there is not near, however near it is.
//!
//! What a sensor said of an incident that is over is no evidence of another, though a window may
//! count it still (`correlate/told.rs`): it joins nothing by itself.
//!
//! An incident is recent enough while a sensor in it is abnormal, for that lasts until it clears,
//! or for `within` after its last evidence; a report is of its own moment. What was observed too
//! long ago is stale, if the rule says so: it opens nothing and joins nothing.

mod cases;
mod index;
mod along;
mod below;
mod same;
mod replaced;
mod merge;
mod moves;
mod lifecycle;
mod people;
mod regroup;
mod family;
mod reach;
mod nested;
mod symptom;
mod shelve;
mod told;
mod husk;
mod leaving;
mod audit;
mod bytes;
mod explain;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) use self::along::Nearness;
use self::along::{How, Kin, NetworkIndex};
use self::cases::{Brief, Cases};
pub(crate) use self::family::{Family, Joined, NEAREST, Origin, Relative};
use self::husk::Husks;
pub(crate) use self::index::CellIndex;
use self::index::PlaceIndex;
pub(crate) use self::leaving::{Gone, Leaving};
use self::moves::Parting;
pub(crate) use self::people::{Report, actor, refused, told};
pub(crate) use self::reach::Nodes;
pub(crate) use self::regroup::Part;
use self::replaced::ReportIndex;
use self::same::SameIndex;
pub(crate) use self::symptom::Explained;
use self::symptom::Symptoms;
pub(crate) use self::told::Told;
use crate::away::Away;
use crate::book::Book;
use crate::bundle::{CorrelationRule, Front};
use crate::counters::EngineCounters;
use crate::decision::{
    Cause, Condition, Decision, DecisionSeq, Ending, Evidence, Severity, Verdict,
};
use crate::detection::{Detection, Finding, Sighting};
use crate::hash::WideMap;
use crate::id::{IncidentId, NodeId, RuleId, SensorId};
use crate::incident::{Case, Cluster, Incident, Purpose, Raised, Source, Statement};
use crate::limits::{
    CANDIDATES_PER_RULE_MAX, INCIDENTS_KEPT_FOR_PEOPLE, INCIDENTS_MAX, MEMBERS_PER_INCIDENT_MAX,
};
use crate::meters::Meters;
use crate::place::Position;
use crate::rules::{BY_PERSON, Rules};
use crate::shared::Shared;
use crate::time::Timestamp;
use crate::timer::Timers;

/// What all correlation rules share: timers, the book of incidents, the decisions' numbers.
#[derive(Debug)]
pub(crate) struct Desk {
    pub timers: Timers<(IncidentId, Purpose)>,
    pub book: Book,
    pub next_seq: DecisionSeq,
    pub counters: EngineCounters,
    pub family: Family,
    /// Incidents that are not shelved any more by what happened to them, and why.
    pub unshelved: Vec<(IncidentId, Ending)>,
    /// How many incidents that are over are still taken apart, of all rules. It shows nowhere.
    pub husks: usize,
    /// What is left of rules that a reload has changed or taken away.
    pub leaving: Leaving,
    /// Which sensors of networks would say so if something were wrong.
    pub meters: Meters,
    /// When nobody was there.
    pub away: Away,
}

impl Desk {
    /// A desk that nothing lies on.
    pub fn new() -> Self {
        Self {
            timers: Timers::new(),
            book: Book::new(INCIDENTS_MAX, INCIDENTS_KEPT_FOR_PEOPLE),
            next_seq: 1,
            counters: EngineCounters::default(),
            family: Family::default(),
            unshelved: Vec::new(),
            husks: 0,
            leaving: Leaving::default(),
            meters: Meters::default(),
            away: Away::default(),
        }
    }
}

/// One moment of the engine: what time it is, and where decisions go.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub at: Timestamp,
    /// When the timer was due, if a timer made the moment.
    pub due: Option<Timestamp>,
    pub rules: &'a Rules,
    pub desk: &'a mut Desk,
    pub decisions: &'a mut Vec<Decision>,
}

impl Turn<'_> {
    /// Decides, with the next number.
    pub fn decide(&mut self, verdict: Verdict, cause: Cause) {
        self.decisions.push(Decision {
            seq: self.desk.next_seq,
            at: self.at,
            verdict,
            cause,
        });
        self.desk.next_seq += 1;
    }

    /// The cause of what nobody asks for: the timer, if one makes the moment.
    pub fn cause(&self) -> Cause {
        Cause {
            due: self.due,
            ..Cause::default()
        }
    }
}

/// One correlation rule at work.
#[derive(Debug)]
pub(crate) struct Correlator {
    rule: CorrelationRule,
    /// The cases. A slot shows nowhere; it lets the larger part of a merger stay where it is.
    cases: Cases,
    free: Vec<u32>,
    slots: BTreeMap<IncidentId, u32>,
    /// The case that a sensor is a member of, other than by reports with a place of their own.
    by_sensor: WideMap<SensorId, u32>,
    index: PlaceIndex,
    network: NetworkIndex,
    same: SameIndex,
    reports: ReportIndex,
    /// The candidates, oldest first.
    candidates: BTreeSet<(Timestamp, IncidentId)>,
    /// What changed in this moment, in the order it did.
    touched: VecDeque<IncidentId>,
    /// What a gauge of a candidate has said until this moment, while other detections of it last:
    /// empty between two moments.
    passed: Vec<(SensorId, Raised)>,
    /// What people have split by what was done in this moment: empty between two moments.
    divided: Vec<[IncidentId; 2]>,
    /// What the sensors of incidents that are over have said of those.
    told: Told,
    /// What is left of them.
    husks: Husks,
    /// What incidents of this rule explain while they go on.
    symptoms: Symptoms,
}

impl Correlator {
    pub fn new(rule: CorrelationRule, rules: &Rules) -> Self {
        Self {
            index: PlaceIndex::new(rule.within_m, rules.reach_m(&rule)),
            network: NetworkIndex::new(&rule, rules),
            same: SameIndex::new(&rule),
            symptoms: symptom::symptoms_of(&rule),
            reports: ReportIndex::new(&rule, rules),
            rule,
            cases: Cases::default(),
            free: Vec::new(),
            slots: BTreeMap::new(),
            by_sensor: WideMap::default(),
            candidates: BTreeSet::new(),
            touched: VecDeque::new(),
            passed: Vec::new(),
            divided: Vec::new(),
            told: Told::default(),
            husks: Husks::default(),
        }
    }

    /// One that goes on from what the sensors of another's incidents have said that are over.
    pub fn after(rule: CorrelationRule, rules: &Rules, told: Option<Told>) -> Self {
        Self {
            told: told.unwrap_or_default(),
            ..Self::new(rule, rules)
        }
    }

    pub fn rule(&self) -> &CorrelationRule {
        &self.rule
    }

    /// The rule that [relates](CorrelationRule::relates_as) evidence as this one does holds in its place.
    /// What is waited for already is waited for as before.
    pub fn hold(&mut self, rule: CorrelationRule) {
        self.rule = rule;
    }

    /// Another city and other rules beside this one hold: what lies in networks, and what causes
    /// what, is found by them from here on.
    pub fn hold_under(&mut self, rules: &Rules, desk: &mut Desk) {
        while !self.husks.is_empty() {
            self.take_apart(desk);
        }
        self.index_reports(rules);
        let network = NetworkIndex::new(&self.rule, rules);
        let reach_m = rules.reach_m(&self.rule);
        if self.network.is_like(&network) && self.index.reaches(reach_m) {
            return;
        }
        self.network = network;
        self.index = PlaceIndex::new(self.rule.within_m, reach_m);
        for (slot, case) in self.cases.with_slots() {
            for (source, member) in case.cluster.members() {
                self.network.insert(slot, &source.sensor);
                if let Some(place) = member.position {
                    self.index.insert(slot, place);
                }
            }
        }
        // What incidents have caused is looked for when they grow, and not by other rules.
        self.network.take_grown();
    }

    /// Whether it has an incident of this id that people were told of.
    pub fn has_opened(&self, id: IncidentId) -> bool {
        let slot = self.slots.get(&id);
        slot.is_some_and(|&slot| self.case(slot).incident.opened_at.is_some())
    }

    pub fn candidates(&self) -> usize {
        self.candidates.len()
    }

    /// How many incidents are live: open, or cleared and able to reopen.
    pub fn incidents(&self) -> usize {
        self.slots.len() - self.candidates.len()
    }

    /// How much a source with a finding of this detection rule counts; nothing if the rule does
    /// not take it, as it takes no silence.
    fn weight_of(&self, detection: &RuleId) -> u32 {
        weight_of(&self.rule, detection)
    }

    /// Whether a sensor is a member of one of its cases.
    pub fn has_member(&self, sensor: &SensorId) -> bool {
        self.slot_of(sensor).is_some()
    }

    /// Takes what a sensor stage found. [`Self::settle`] decides what follows.
    pub fn take(&mut self, finding: &Finding, turn: &mut Turn<'_>) {
        let weight = self.weight_of(&finding.rule);
        let statement = |severity, certainty, until, sighting| Statement {
            rule: &finding.rule,
            weight,
            severity,
            certainty,
            until,
            doubted: finding.doubted,
            renews: false,
            judged: false,
            sighting,
        };
        match &finding.detection {
            Detection::Raised {
                severity,
                certainty,
                sightings,
            } => {
                for sighting in sightings {
                    let statement = statement(*severity, *certainty, None, sighting);
                    self.hear(finding, &statement, turn);
                }
            }
            Detection::Updated {
                severity,
                certainty,
                sighting,
            } => self.hear(
                finding,
                &statement(*severity, *certainty, None, sighting),
                turn,
            ),
            Detection::Reported {
                severity,
                certainty,
                until,
                sighting,
                replaces,
            } => {
                if let Some(names) = replaces {
                    self.withdraw(finding, names);
                }
                let statement = statement(*severity, *certainty, Some(*until), sighting);
                self.hear(finding, &statement, turn);
            }
            Detection::Withdrawn(names) => self.withdraw(finding, names),
            Detection::Stirred if finding.doubted => {}
            Detection::Stirred => self.begin_quiet_anew(&finding.sensor, turn),
            Detection::Worsened(severity) => {
                let unshelved = &mut turn.desk.unshelved;
                self.change(finding, |case, source| {
                    let was = case.incident.own_severity();
                    case.worsen(source, &finding.rule, *severity, finding.doubted);
                    case.incident.show_if_graver(was, unshelved);
                });
            }
            Detection::Eased(severity) => self.change(finding, |case, source| {
                case.cluster
                    .ease(source, &finding.rule, *severity, finding.doubted);
            }),
            Detection::Cleared => {
                let at = turn.at;
                let passes = self.passes_until(finding, turn);
                let mut cleared = None;
                let mut passed = std::mem::take(&mut self.passed);
                self.change(finding, |case, source| {
                    // Of a candidate nobody was told: there is nothing to hold on to.
                    let holds = finding.doubted && case.incident.opened_at.is_some();
                    cleared = case.cluster.settle(source, &finding.rule, holds, at);
                    let Some(until) = passes else { return };
                    passed.retain(|(sensor, _)| *sensor == finding.sensor);
                    passed.extend(cleared.take().map(|said| (finding.sensor.clone(), said)));
                    if !case.cluster.stands(source) {
                        let said = passed.drain(..).map(|(_, said)| said);
                        case.cluster.counts_until(source, said, until);
                    }
                });
                self.passed = passed;
                self.time_the_parting(&finding.sensor, turn);
            }
            Detection::Faulty(malady) => self.change(finding, |case, source| {
                case.cluster.distrust(source, &malady.concerned);
            }),
            Detection::Sound(malady) => {
                let (at, opens_at) = (turn.at, self.rule.sources_min);
                let unshelved = &mut turn.desk.unshelved;
                self.change(finding, |case, source| {
                    let was = case.incident.own_severity();
                    let weighed = case.cluster.weighed(source);
                    case.trust(source, &malady.concerned, &malady.hearing.raised, at);
                    case.incident.show_if_graver(was, unshelved);
                    case.heed(source, false, weighed, opens_at);
                });
                self.time_the_parting_anew(&finding.sensor, turn);
            }
            Detection::Silent(hearing) => {
                let sure_after = self.rule.clear_after;
                self.change(finding, |case, source| {
                    case.fall_silent(source, hearing.last_heard_at, sure_after);
                });
            }
            Detection::Returned(_) | Detection::SilenceForgotten(_) => {
                let at = turn.at;
                let missed = self.missed_by(&finding.sensor);
                self.change(finding, |case, source| {
                    case.cluster.speak(source, at);
                    if let Some(rule) = &missed {
                        case.cluster.settle(source, rule, false, at);
                    }
                });
                self.time_the_parting_anew(&finding.sensor, turn);
            }
            Detection::SiteSilent(_)
            | Detection::SiteReturned(_)
            | Detection::Contributed(_)
            | Detection::Observed(_)
            | Detection::Heard(_) => {
                unreachable!(
                    "they are about sites, groups, commands and meters: no rule takes them"
                )
            }
        }
    }

    /// Until when what a gauge has said counts in its candidate though it is normal again: until the
    /// water that it was about has come to the next gauge, where the rule follows water. A wave that
    /// nobody was told of has passed the one when the other tells of it.
    fn passes_until(&self, finding: &Finding, turn: &Turn<'_>) -> Option<Timestamp> {
        let slot = self.slot_of(&finding.sensor).filter(|_| !finding.doubted)?;
        let case = self.case(slot);
        if case.incident.opened_at.is_some() {
            return None;
        }
        let (_, last) = case.cluster.heard(&finding.sensor)?;
        let until = last
            + self
                .network
                .on_its_way(&finding.sensor, &turn.desk.meters)?;
        (until > turn.at).then_some(until)
    }

    /// Changes what is known of a sensor that is a member, without new evidence.
    fn change(&mut self, finding: &Finding, change: impl FnOnce(&mut Case, &Source)) {
        let Some(slot) = self.slot_of(&finding.sensor) else {
            return;
        };
        let source = Source {
            sensor: finding.sensor.clone(),
            report: None,
        };
        let case = self.case_mut(slot);
        let was_doubted = case.cluster.is_all_doubted();
        change(case, &source);
        let opened = case.incident.opened_at.is_some();
        // What it causes is news by that, or is none any more.
        let is_doubted = case.cluster.is_all_doubted();
        case.incident.urgent |= opened && is_doubted != was_doubted;
        self.touch(slot);
        if !opened {
            self.dismiss_if_normal(slot, &source);
        }
    }

    /// A candidate forgets who no longer says that something is wrong: sources must agree at one
    /// time to open an incident.
    fn dismiss_if_normal(&mut self, slot: u32, source: &Source) {
        if !self.case(slot).cluster.stands(source) {
            self.dismiss(slot, source);
        }
    }

    /// A candidate forgets a source.
    fn dismiss(&mut self, slot: u32, source: &Source) {
        let case = self.case_mut(slot);
        let Some(member) = case.cluster.remove(source) else {
            return;
        };
        let Case { incident, cluster } = case;
        incident
            .untold
            .retain(|evidence| cluster.keeps(evidence, source, &member));
        let (severity, certainty) = case.cluster.verdict();
        incident.says(severity, certainty);
        let leads = member.is_led_to(source) && !case.cluster.is_led_to_by(&source.sensor);
        if let Some(place) = member.position {
            self.index.remove(slot, place);
        }
        self.network.remove(slot, &source.sensor);
        self.same.remove(slot, &member.shared);
        self.reports.remove(slot, source);
        if leads {
            self.by_sensor.remove(&source.sensor);
        }
    }

    /// Takes one piece of evidence.
    fn hear(&mut self, finding: &Finding, statement: &Statement<'_>, turn: &mut Turn<'_>) {
        // Other rules may tell groups apart by other names of what they take of the same detection.
        let own;
        let groups = &self.rule.group_by;
        let statement = if statement.sighting.shared.is_grouped_by_others(groups) {
            own = statement.sighting.grouped_by(groups);
            &Statement {
                sighting: &own,
                ..*statement
            }
        } else {
            statement
        };
        match self.parting(finding, statement, turn) {
            None => self.hear_of(finding, statement, None, turn),
            Some(Parting::Leaves(slot)) => self.hear_of(finding, statement, Some(slot), turn),
            Some(Parting::Stays) => {
                let sighting = &Sighting {
                    position: None,
                    ..statement.sighting.clone()
                };
                let statement = &Statement {
                    sighting,
                    ..*statement
                };
                self.hear_of(finding, statement, None, turn);
            }
        }
    }

    /// The same, of a sensor that may leave its case by that.
    fn hear_of(
        &mut self,
        finding: &Finding,
        statement: &Statement<'_>,
        leaves: Option<u32>,
        turn: &mut Turn<'_>,
    ) {
        let sighting = statement.sighting;
        let source = Source {
            sensor: finding.sensor.clone(),
            report: statement.until.map(|_| sighting.reading.clone()),
        };
        let has_place = sighting.position.is_some();
        let is_grouped = sighting.shared.is_grouped();
        let by_sensor = source.report.is_none() || !(has_place || is_grouped);
        let own = match by_sensor {
            true => self.slot_of(&source.sensor),
            false if has_place => None,
            false => self.placeless_of_group(&source.sensor, &sighting.shared),
        };
        let own = own.filter(|_| leaves.is_none());
        let told = source.report.is_none() && self.has_told(&source.sensor, sighting.seq, turn);
        if own.is_none() && told {
            turn.desk.counters.evidence_told += 1;
            return;
        }
        let age = turn.at - finding.observed_at;
        let is_told = own.is_some_and(|slot| self.case(slot).incident.opened_at.is_some());
        let is_stale = !is_told && self.rule.stale_after.is_some_and(|most| age > most);
        // What takes the place of something that counts may come late: that is withdrawn by it.
        if is_stale && self.replaced_by(finding, sighting.position).is_none() {
            turn.desk.counters.evidence_stale += 1;
            return;
        }
        if let Some(slot) = leaves {
            self.leave_case(slot, &source, turn.at);
        }
        let stands = own.is_some_and(|slot| self.case(slot).cluster.stands(&source));
        let is_dark_anew = source.report.is_none() && !stands;
        let mut near = if self.says_a_place(own, &source, sighting) {
            self.near_in_time(own, &source, (finding, sighting), turn)
        } else {
            Vec::new()
        };
        let evidence = Evidence {
            reading: sighting.reading.clone(),
            seq: sighting.seq,
            sensor: finding.sensor.clone(),
            rule: finding.rule.clone(),
            value: sighting.value,
            distance_m: self.distance_m(own, &source, sighting.position, &near),
            through: None,
        };
        let joined = own.or_else(|| self.nearest(&near));
        let slot = match joined.or_else(|| self.replaced_by(finding, sighting.position)) {
            Some(slot) => slot,
            None => self.begin(finding, statement, turn),
        };
        let evidence = Evidence {
            through: self.through(slot, &near),
            ..evidence
        };
        if statement.doubted || statement.weight == 0 {
            // It may join, and makes no two cases one.
            near.clear();
        }
        let front = self.rule.front.as_ref();
        let is_asked = front.is_some_and(|front| front.asks(&finding.rule));
        if !is_asked {
            near.retain(|kin| self.are_one_front(slot, kin.slot));
        }
        let slot = self.unite(slot, &near, turn);
        if is_asked && self.case(slot).cluster.member(&source).is_none() {
            self.case_mut(slot).incident.observe(finding.observed_at);
        }
        let statement = Statement {
            renews: self.renews(finding, slot),
            ..*statement
        };
        self.add(slot, source, by_sensor, &statement, evidence, turn);
        if finding.rule == *turn.rules.by_person() {
            let incident = &mut self.case_mut(slot).incident;
            incident.show_what_is_opened(&mut turn.desk.unshelved);
        }
        self.touch(slot);
        if is_dark_anew {
            self.time_if_dark_below(slot, &finding.sensor, turn);
        }
    }

    /// The case of a group to which a report without a place belongs: one that has such a report of the
    /// same sensor.
    fn placeless_of_group(&self, sensor: &SensorId, shared: &Shared) -> Option<u32> {
        let of_group = self.same.of_group(shared);
        let own = of_group.filter(|&slot| {
            self.case(slot).cluster.has_placeless(sensor) && self.same.may_be_of(slot, shared)
        });
        let kin = own.map(|slot| Kin {
            slot,
            how: How::Metres(0),
        });
        self.nearest(&kin.collect::<Vec<_>>())
    }

    /// Whether a source's place tells something that its case does not know yet.
    fn says_a_place(&self, own: Option<u32>, source: &Source, sighting: &Sighting) -> bool {
        let has_place = sighting.position.is_some() || self.network.node(&source.sensor).is_some();
        if !has_place && !self.same.asks(&sighting.shared) {
            return false;
        }
        let Some(own) = own else { return true };
        let cluster = &self.case(own).cluster;
        let known = cluster.member(source);
        known.is_none_or(|member| {
            let moved = member
                .place_in(sighting)
                .is_some_and(|place| member.position != Some(place));
            let shares = member.shared_in(sighting);
            let shares = shares.is_some_and(|shared| !self.same.is_same(shared, &member.shared));
            moved || shares || !cluster.stands(source)
        })
    }

    /// The cases near a source that may be joined by what was observed then.
    fn near_in_time(
        &self,
        own: Option<u32>,
        source: &Source,
        (finding, sighting): (&Finding, &Sighting),
        turn: &Turn<'_>,
    ) -> Vec<Kin> {
        let mut near = self.near(own, source, (sighting.position, &sighting.shared), turn);
        let front = self.rule.front.as_ref();
        if let Some(front) = front.filter(|front| front.asks(&finding.rule)) {
            near.retain(|kin| self.is_of_front(front, kin, finding.observed_at));
        }
        near.retain(|kin| self.same.may_be_of(kin.slot, &sighting.shared));
        near
    }

    /// The cases near a source that may be joined now, cleared ones included.
    fn near(
        &self,
        own: Option<u32>,
        source: &Source,
        (place, shared): Spot<'_>,
        turn: &Turn<'_>,
    ) -> Vec<Kin> {
        let mut near = self.near_in_space(own, source, place, turn);
        if self.same.asks(shared) {
            near.extend(self.same.near(shared));
            near.retain(|kin| self.may_be_joined(kin.slot, turn.at));
            near.sort_unstable();
            near.dedup_by_key(|kin| kin.slot);
        }
        near
    }

    /// The same by metres and along networks alone.
    fn near_in_space(
        &self,
        own: Option<u32>,
        source: &Source,
        place: Option<Position>,
        turn: &Turn<'_>,
    ) -> Vec<Kin> {
        let place = place.filter(|_| self.rule.within_m > 0);
        let near = place.map_or_else(Vec::new, |place| {
            let mut near = self.index.near(place);
            near.retain(|near| self.is_near_what_weighs(near.slot, place));
            near
        });
        let near = near.into_iter().map(|near| Kin {
            slot: near.slot,
            how: How::Metres(near.distance_m),
        });
        let mut near: Vec<_> = near
            .filter(|kin| self.may_be_joined(kin.slot, turn.at))
            .collect();
        match self.network.node(&source.sensor) {
            Some(node) => self.near_along(node, near, turn),
            None => {
                let network = &self.network;
                let (anchored, mut others) = near
                    .drain(..)
                    .partition::<Vec<_>, _>(|kin| network.is_anchored(kin.slot));
                let bound = own.is_some_and(|own| network.is_anchored(own));
                let joined = self.nearest(&anchored).filter(|_| !bound);
                others.extend(anchored.into_iter().filter(|kin| Some(kin.slot) == joined));
                others
            }
        }
    }

    /// The cases near a node of a network: along it, and by metres those that lie in none or hang
    /// on the same feeder.
    fn near_along(&self, node: u32, mut by_metres: Vec<Kin>, turn: &Turn<'_>) -> Vec<Kin> {
        let (network, now) = (&self.network, turn.at);
        by_metres
            .retain(|kin| !network.is_anchored(kin.slot) || network.has_sibling(kin.slot, node));
        let heard = |slot, sensor: &SensorId| self.cases.get(slot)?.cluster.heard(sensor);
        let is_live = |slot| self.is_live(slot);
        let mut near = network.near(node, &turn.desk.meters, is_live);
        near.retain(|kin| self.may_be_joined(kin.slot, now));
        // How long ago it may have been is said by the water's own time.
        network.near_by_water(node, now, heard, &mut near);
        near.append(&mut by_metres);
        near.sort_unstable();
        near.dedup_by_key(|kin| kin.slot);
        near
    }

    /// Whether what a case is about can have been noticed so far from it at this time.
    fn is_of_front(&self, front: &Front, kin: &Kin, observed_at: Timestamp) -> bool {
        let Some((first, last)) = self.case(kin.slot).incident.observed else {
            return true;
        };
        let apart = front.allowed(match kin.how {
            How::Metres(metres) => Some(metres),
            How::Same(..) | How::Along(..) => None,
        });
        observed_at <= last + apart && first <= observed_at + apart
    }

    /// Whether two cases may be about one thing that happens once, as far as those have observed it who
    /// know the time: whose time is not asked makes no two of them one.
    fn are_one_front(&self, one: u32, other: u32) -> bool {
        let front = self.rule.front.as_ref();
        let Some(front) = front.filter(|_| one != other) else {
            return true;
        };
        let observed = |slot| self.case(slot).incident.observed;
        let both = observed(one).zip(observed(other));
        both.is_none_or(|(one, other)| {
            one.0 <= other.1 + front.tolerance && other.0 <= one.1 + front.tolerance
        })
    }

    fn may_be_joined(&self, slot: u32, now: Timestamp) -> bool {
        self.cases.brief(slot).is_some_and(|case| {
            case.condition == Condition::Cleared
                || case.is_heard_to_be_abnormal
                || now - case.last_evidence_at <= self.rule.within
        })
    }

    /// Whether an incident that has members that weigh nothing at this time is near by others as well.
    fn is_near_what_weighs(&self, slot: u32, place: Position) -> bool {
        let brief = self.cases.brief(slot);
        let has_context = brief.is_some_and(|case| case.has_context && case.opened_at.is_some());
        !has_context || self.case(slot).cluster.is_near(place, self.rule.within_m)
    }

    /// Of the cases near a place the one to join: an open incident before one that would reopen,
    /// that before a candidate; then the nearest, the earliest, the one with the least id.
    fn nearest(&self, near: &[Kin]) -> Option<u32> {
        let rank = |near: &Kin| {
            let case = self.brief(near.slot);
            let rank = match (case.opened_at, case.condition) {
                (Some(_), Condition::Active | Condition::Unknown) => 0,
                (Some(_), Condition::Cleared) => 1,
                (None, _) => 2,
            };
            (rank, case.opened_at.unwrap_or(case.begun_at), case.id)
        };
        let ranked = near.iter().map(|near| (rank(near), &near.how, near.slot));
        let nearer = |((rank, since, id), how, slot)| (rank, how, since, id, slot);
        ranked.map(nearer).min().map(|(.., slot)| slot)
    }

    /// The node of a network, or what it has in common, by which evidence belongs to a case, if it does
    /// so by one.
    fn through(&self, slot: u32, near: &[Kin]) -> Option<NodeId> {
        let kin = near.iter().find(|kin| kin.slot == slot)?;
        match &kin.how {
            How::Same(_, value) => Some(value.clone()),
            How::Along(_, node) => Some(self.network.name(*node).clone()),
            How::Metres(_) => None,
        }
    }

    /// Metres to the nearest evidence that was there already.
    fn distance_m(
        &self,
        own: Option<u32>,
        source: &Source,
        place: Option<Position>,
        near: &[Kin],
    ) -> Option<u32> {
        let place = place?;
        let member = own.and_then(|own| self.case(own).cluster.member(source));
        let moved = member.and_then(|member| member.position);
        let moved = moved.map(|before| before.distance_m(place));
        let metres = near.iter().filter_map(|near| match near.how {
            How::Same(..) | How::Along(..) => None,
            How::Metres(metres) => Some(metres),
        });
        metres.chain(moved).min()
    }

    /// Begins a candidate. For the first beyond the bound the oldest is forgotten.
    fn begin(&mut self, finding: &Finding, said: &Statement<'_>, turn: &mut Turn<'_>) -> u32 {
        if self.candidates.len() == CANDIDATES_PER_RULE_MAX
            && let Some(&(_, oldest)) = self.candidates.first()
        {
            turn.desk.counters.candidates_over_limit += 1;
            self.end_candidate(self.slots[&oldest], turn);
        }
        turn.desk.counters.candidates_begun += 1;
        let id = self.derive_id(finding, said, turn);
        let zone = finding.zone.clone();
        let zone = zone.unwrap_or_else(|| turn.rules.zone_at(said.sighting.position));
        let incident = Incident::begin(id, self.rule.incident.clone(), zone, turn.at);
        self.candidates.insert((turn.at, id));
        self.put_case(Case {
            incident,
            cluster: Cluster::of(id),
        })
    }

    /// The id by what the incident began with.
    fn derive_id(&self, finding: &Finding, said: &Statement<'_>, turn: &Turn<'_>) -> IncidentId {
        let kind = self.rule.incident.as_str();
        let reading = said.sighting.reading.as_str();
        let id = IncidentId::derive(&[kind, finding.sensor.as_str(), reading]);
        self.unused_id(id, turn, |id| self.slots.contains_key(&id))
    }

    /// The id itself, if nothing has it; else one that follows from it and this rule's name.
    /// Two rules that make incidents of one kind may begin with the same reading.
    fn unused_id(
        &self,
        wanted: IncidentId,
        turn: &Turn<'_>,
        is_used: impl Fn(IncidentId) -> bool,
    ) -> IncidentId {
        let mut id = wanted;
        let leaves = |id| turn.desk.leaving.has(&self.rule.name, id);
        while turn.desk.book.knows(id) || is_used(id) || leaves(id) {
            id = IncidentId::derive(&[&id.to_string(), self.rule.name.as_str()]);
        }
        id
    }

    /// Adds what a source says to a case. Its reading is evidence once, however many rules take it.
    fn add(
        &mut self,
        slot: u32,
        source: Source,
        by_sensor: bool,
        statement: &Statement<'_>,
        evidence: Evidence,
        turn: &mut Turn<'_>,
    ) {
        let (reading, seq) = (&evidence.reading, evidence.seq);
        let told = source.report.is_none() && self.has_told(&source.sensor, seq, turn);
        if source.report.is_none() {
            self.take_back(slot, &source);
        }
        let case = self.cases.get_mut(slot).expect("a slot in use");
        let counts = !told && !case.cluster.has_taken(&source, reading, seq);
        let statement = &Statement {
            judged: case.is_judged(),
            ..*statement
        };
        let before = case.known_for(&source);
        // That a person tells of it is never beyond the bound.
        let by_person = statement.rule.as_str() == BY_PERSON;
        let has_room = before.is_some()
            || case.cluster.len() < MEMBERS_PER_INCIDENT_MAX
            || by_person && !case.cluster.is_told_by_person();
        let is_known = case.cluster.knows(&source, statement);
        let is_further = before.is_none() && has_room && !is_known;
        let weighed = case.cluster.weighed(&source);
        let who = statement.sighting.shared.who();
        let by_all_reports = case.cluster.weight_of_voice(who);
        if !statement.doubted && statement.weight > 0 {
            // Of who is known, if not by name, or finds no room, nothing is news.
            let before = before.or((!is_further).then_some(Severity::Extreme));
            let was = case.incident.own_severity();
            case.rise_by(before, statement.severity, statement.certainty);
            let unshelved = &mut turn.desk.unshelved;
            case.incident.show_if_graver(was, unshelved);
        }
        if counts {
            // What is doubted keeps no incident open to more; of a candidate it is all there is.
            let keeps = !statement.doubted || case.incident.opened_at.is_none();
            case.cluster.count_reading(turn.at, keeps);
            if case.incident.note(evidence) {
                turn.desk.counters.evidence_over_limit += 1;
            }
        } else if let Some(named) = case.incident.names_rule(&source.sensor, seq) {
            // The weightiest, and of these the first by name.
            let rank = |rule: &RuleId| Reverse(weight_of(&self.rule, rule));
            if (rank(statement.rule), statement.rule) < (rank(named), named) {
                *named = statement.rule.clone();
            }
        }
        // What a person tells of is no symptom.
        case.incident.urgent |= case.incident.suppressed && by_person;
        let known = case.cluster.member(&source);
        if !has_room {
            turn.desk.counters.members_over_limit += u64::from(counts);
            case.cluster.take_of_other(seq);
            return;
        }
        let is_new = known.is_none();
        let shared_before = known.map(|member| member.shared.clone());
        let before = known.and_then(|member| member.position);
        let place = known.map_or(statement.sighting.position, |member| {
            member.place_in(statement.sighting)
        });
        case.cluster.hear(&source, statement, counts);
        let opens_at = self.rule.sources_min;
        match is_known {
            true => case.heed_again(&source, by_all_reports, opens_at),
            false => case.heed(&source, is_further, weighed, opens_at),
        }
        if is_new {
            case.cluster.joined(&source, case.incident.id);
            self.network.insert(slot, &source.sensor);
            self.reports.insert(slot, &source);
        }
        if place.is_some() && place != before {
            if let Some(before) = before {
                self.index.remove(slot, before);
            }
            if let Some(place) = place {
                self.index.insert(slot, place);
            }
        }
        self.share(slot, &source, &shared_before.unwrap_or_default());
        if by_sensor {
            self.by_sensor.insert(source.sensor, slot);
        }
    }

    /// What a member has in common may be another than before.
    fn share(&mut self, slot: u32, source: &Source, before: &Shared) {
        let member = self.case(slot).cluster.member(source);
        let now = member.map(|member| member.shared.clone());
        if now.as_ref() != Some(before) {
            self.same.remove(slot, before);
            self.same.insert(slot, &now.unwrap_or_default());
        }
    }

    fn case(&self, slot: u32) -> &Case {
        self.cases.get(slot).expect("a slot in use")
    }

    /// What is asked of a case by whoever looks for what is near.
    fn brief(&self, slot: u32) -> Brief {
        self.cases.brief(slot).expect("a slot in use")
    }

    fn case_mut(&mut self, slot: u32) -> &mut Case {
        self.cases.get_mut(slot).expect("a slot in use")
    }

    fn take_case(&mut self, slot: u32) -> Case {
        self.cases.take(slot).expect("a slot in use")
    }

    fn put_case(&mut self, case: Case) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| self.cases.push());
        self.slots.insert(case.incident.id, slot);
        self.cases.put(slot, case);
        slot
    }

    /// Takes a case out. What leads to its members goes little by little, if they are many.
    fn drop_case(&mut self, slot: u32, turn: &mut Turn<'_>) {
        let mut case = self.take_case(slot);
        self.cancel_timers(&mut case.incident, turn);
        self.candidates
            .remove(&(case.incident.begun_at, case.incident.id));
        self.slots.remove(&case.incident.id);
        self.let_go(slot, case, turn.desk);
    }

    fn touch(&mut self, slot: u32) {
        let id = self.case(slot).incident.id;
        if self.touched.back() != Some(&id) {
            self.touched.push_back(id);
        }
    }

    /// The cases in the order of their ids.
    fn in_order(&self) -> Vec<&Case> {
        self.slots.values().map(|&slot| self.case(slot)).collect()
    }
}

/// Where something is, and what it has in common with others.
type Spot<'a> = (Option<Position>, &'a Shared);

/// How much a source with a finding of this detection rule counts; nothing if it is not taken.
/// What a person reports is enough by itself, and who is silent with his street counts once.
fn weight_of(rule: &CorrelationRule, detection: &RuleId) -> u32 {
    if detection.as_str() == BY_PERSON {
        return rule.sources_min;
    }
    let mut weights = rule.detections.iter().zip(&rule.weights);
    let weight = weights.find(|(own, _)| *own == detection);
    // What else there is was found by a rule about sites: a street that stays silent.
    let of_street = u32::from(rule.along.nested_after.is_some());
    weight.map_or(of_street, |(_, weight)| *weight)
}
