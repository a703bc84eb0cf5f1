//! The group stage: what several sensors say together, between their findings and what correlates.
//!
//! Arrives: findings of the sensor stages, in the one order, those that are kept quiet beside those
//! that count, and its own timers. Leaves: those that count, and those of the group rules that they
//! bring about. What is kept quiet brings nothing about, but it has happened. Promise: part of the single
//! writer, so it sees all sensors, and decides the same whatever the shards; a rule watches a
//! bounded number of sensors; nothing waits for another reading to be told, for what does not come
//! is told by a timer. Not here: what belongs together as an incident (`correlate.rs`). Next:
//! `group/watch.rs`.

mod watch;
mod sequence;
mod sites;
mod across;
mod pane;
mod spread;
mod alone;

use std::collections::BTreeMap;

use self::across::{Crowds, Taken};
use self::alone::Leaps;
use self::sequence::Sequencer;
pub(crate) use self::sites::Unheard;
use self::sites::{Change, Sites, Telling};
use self::watch::Moment;
use crate::away::Away;
use crate::bundle::{DetectionRule, Test};
use crate::codec::{CodecError, Put, Take};
use crate::counters::RuleCounters;
use crate::detection::{Detection, Finding};
use crate::explain::{SequenceLook, TogetherLook};
use crate::id::{RuleId, SensorId};
use crate::invariant::{Audit, Invariant};
use crate::limits::MEMBERS_PER_STEP;
use crate::reading::Reading;
use crate::rules::Rules;
use crate::suppress::Passed;
use crate::time::Timestamp;
use crate::timer::{Timer, Timers};

/// The rules about several sensors, with what they know.
#[derive(Debug)]
pub(crate) struct Group {
    sequences: BTreeMap<RuleId, Sequencer>,
    sites: BTreeMap<RuleId, Sites>,
    crowds: BTreeMap<RuleId, Crowds>,
    leaps: BTreeMap<RuleId, Leaps>,
    timers: Timers<SensorId>,
    /// Of the groups of rules across sensors, by their names.
    group_timers: Timers<String>,
    /// What each rule found since the start; part of no state.
    counters: BTreeMap<RuleId, RuleCounters>,
}

impl Group {
    pub fn new() -> Self {
        Self {
            sequences: BTreeMap::new(),
            sites: BTreeMap::new(),
            crowds: BTreeMap::new(),
            leaps: BTreeMap::new(),
            timers: Timers::new(),
            group_timers: Timers::new(),
            counters: BTreeMap::new(),
        }
    }

    /// What a rule about several sensors found since the start.
    pub fn counters(&self, rule: &RuleId) -> RuleCounters {
        self.counters.get(rule).copied().unwrap_or_default()
    }

    /// Whether there is any rule, so that findings need be looked at.
    pub fn is_at_work(&self) -> bool {
        !(self.sequences.is_empty()
            && self.sites.is_empty()
            && self.crowds.is_empty()
            && self.leaps.is_empty())
    }

    /// The first timer that is due by `to`: when, and of which rule.
    pub fn first_due(&self, to: Timestamp) -> Option<(Timestamp, &RuleId)> {
        let of_sensors = self.timers.first_due(to);
        let of_groups = self.group_timers.first_due(to);
        let of_sensors = of_sensors.map(|timer| (timer.due, &timer.rule));
        let of_groups = of_groups.map(|timer| (timer.due, &timer.rule));
        of_sensors.into_iter().chain(of_groups).min()
    }

    pub fn next_due(&self) -> Option<Timestamp> {
        let of_sensors = self.timers.next_due();
        of_sensors
            .into_iter()
            .chain(self.group_timers.next_due())
            .min()
    }

    /// Takes findings of one moment. Returns them, with what follows from them, and for how many
    /// there was no room.
    pub fn take(
        &mut self,
        passed: &Passed<'_>,
        at: Timestamp,
        rules: &Rules,
    ) -> (Vec<Finding>, u64) {
        let mut over_limit = 0;
        let mut all = Vec::with_capacity(passed.found.len());
        let mut quiet = passed.quiet.iter().peekable();
        for (place, finding) in passed.found.iter().enumerate() {
            while let Some((_, finding)) = quiet.next_if(|(before, _)| *before <= place) {
                over_limit += self.overhear(Moment { finding, at, rules }, &mut all);
            }
            if let Detection::Contributed(_) = finding.detection {
                over_limit += self.contribute(Moment { finding, at, rules }, &mut all);
                continue;
            }
            let mut amended = finding.clone();
            self.amend(&mut amended, rules);
            let mut of_sites = Vec::new();
            over_limit += self.ask_sites(&mut amended, at, rules, &mut of_sites);
            self.count(&of_sites);
            all.push(amended);
            all.append(&mut of_sites);
            let place = all.len();
            let is_of = |(sensor, rule): &(SensorId, RuleId)| {
                *sensor == finding.sensor && *rule == finding.rule
            };
            let unheard = passed.unheard.iter().any(is_of);
            let is_said = matches!(
                finding.detection,
                Detection::Raised { .. } | Detection::Updated { .. }
            );
            let unheard = unheard && is_said;
            for (name, sequencer) in &mut self.sequences {
                let moment = Moment { finding, at, rules };
                over_limit += match unheard {
                    true => sequencer.take_unheard(moment, &mut all),
                    false => sequencer.take(moment, &mut all),
                };
                change_timers(&mut self.timers, name, &mut sequencer.timers);
            }
            sort(&mut all[place..]);
            self.count(&all[place..]);
        }
        for (_, finding) in quiet {
            over_limit += self.overhear(Moment { finding, at, rules }, &mut all);
        }
        (all, over_limit)
    }

    /// Takes what is kept quiet, and adds what is over by it. Returns for how many there was no room.
    fn overhear(&mut self, moment: Moment<'_>, found: &mut Vec<Finding>) -> u64 {
        let mut over_limit = 0;
        for sites in self.sites.values_mut() {
            over_limit += sites.note(moment);
        }
        let place = found.len();
        for (name, sequencer) in &mut self.sequences {
            over_limit += sequencer.overhear(moment, found);
            change_timers(&mut self.timers, name, &mut sequencer.timers);
        }
        sort(&mut found[place..]);
        self.count(&found[place..]);
        over_limit
    }

    /// Counts what its rules have found.
    fn count(&mut self, found: &[Finding]) {
        for finding in found {
            match self.counters.get_mut(&finding.rule) {
                Some(counters) => counters.note(&finding.detection),
                None => {
                    let mut counters = RuleCounters::default();
                    counters.note(&finding.detection);
                    self.counters.insert(finding.rule.clone(), counters);
                }
            }
        }
    }

    /// Somebody works at a sensor from here on: what it said before is no word about what comes.
    pub fn lose_sight_of(&mut self, sensor: &SensorId, at: Timestamp) {
        for (name, sequencer) in &mut self.sequences {
            sequencer.lose_sight_of(sensor, at);
            change_timers(&mut self.timers, name, &mut sequencer.timers);
        }
    }

    /// How what a rule finds of a sensor is a part of sequences, for whoever asks why.
    pub fn sequences_of(
        &self,
        rule: &RuleId,
        sensor: &SensorId,
        rules: &Rules,
    ) -> Vec<SequenceLook> {
        let sequences = self.sequences.values();
        sequences
            .filter_map(|sequence| sequence.look(rule, sensor, rules))
            .collect()
    }

    /// How what a sensor says counts in a rule across sensors, for whoever asks why.
    pub fn together_of(
        &self,
        rule: &RuleId,
        reading: &Reading<'_>,
        rules: &Rules,
    ) -> Option<TogetherLook> {
        self.crowds.get(rule)?.look(reading, rules)
    }

    /// The first sensors that fell silent with what feeds them and whose street is silent as a whole,
    /// from this one on by name, as many as one step looks at; and from where the next goes on.
    pub fn unheard_from(
        &self,
        from: Option<&SensorId>,
        rules: &Rules,
    ) -> (Vec<Unheard>, Option<SensorId>) {
        let sites = self.sites.values();
        let found = sites.map(|sites| sites.unheard_from(from, MEMBERS_PER_STEP, rules));
        let (mut unheard, mut next) = (Vec::new(), None::<SensorId>);
        for (of_rule, rest) in found {
            unheard.extend(of_rule);
            next = next.into_iter().chain(rest).min();
        }
        unheard.sort_by(|one: &Unheard, other| one.sensor.cmp(&other.sensor));
        unheard.dedup_by(|other, one| one.sensor == other.sensor);
        (unheard, next)
    }

    /// Fires its first timer, and says when it was due.
    ///
    /// Precondition: one is due by `to`.
    pub fn fire(&mut self, to: Timestamp, away: &Away, rules: &Rules) -> (Timestamp, Vec<Finding>) {
        let (_, rule) = self.first_due(to).expect("one is due");
        if self.crowds.contains_key(rule) {
            let timer = self.group_timers.pop_due(to).expect("it is of a group");
            let crowds = self.crowds.get_mut(&timer.rule);
            let crowds = crowds.expect("timers are of rules that hold");
            let found = crowds.fire(&timer.subject, timer.due);
            let next = crowds.due(&timer.subject);
            self.group_timers
                .replace(None, next, &timer.rule, &timer.subject);
            self.count(&found);
            return (timer.due, found);
        }
        let timer = self.timers.pop_due(to).expect("it is of a sensor");
        let found = if self.sites.contains_key(&timer.rule) {
            self.fire_site(&timer, rules)
        } else if let Some(leaps) = self.leaps.get_mut(&timer.rule) {
            leaps.fire(&timer.subject, timer.due, rules)
        } else {
            let sequencer = self.sequences.get_mut(&timer.rule);
            let sequencer = sequencer.expect("timers are of rules that hold");
            let found = sequencer.fire(&timer.subject, timer.due, away, rules);
            change_timers(&mut self.timers, &timer.rule, &mut sequencer.timers);
            found
        };
        let found: Vec<_> = found.into_iter().collect();
        self.count(&found);
        (timer.due, found)
    }

    /// Takes in what a sensor contributes to its group. Returns 1 if there was no room for it.
    fn contribute(&mut self, moment: Moment<'_>, found: &mut Vec<Finding>) -> u64 {
        let rule = &moment.finding.rule;
        if let Some(leaps) = self.leaps.get_mut(rule) {
            let place = found.len();
            leaps.take(moment, found);
            change_timers(&mut self.timers, rule, &mut leaps.timers);
            self.count(&found[place..]);
            return 0;
        }
        let Some(crowds) = self.crowds.get_mut(rule) else {
            return 0;
        };
        let Some(group) = crowds.group_of(moment.finding, moment.rules) else {
            return 0;
        };
        let before = crowds.due(&group);
        let taken = crowds.take(&group, moment);
        let after = crowds.due(&group);
        if before != after {
            self.group_timers.replace(before, after, rule, &group);
        }
        match taken {
            Taken::OverLimit => 1,
            Taken::Apart | Taken::In | Taken::Late => 0,
        }
    }

    /// Other rules: those that mean the same go on, what others had raised clears; but for what a
    /// sequence that changes had raised of a sensor that is silent: it has not said that it is over.
    pub fn reload(
        &mut self,
        (old_rules, new): (&Rules, &Rules),
        is_silent: impl Fn(&SensorId) -> bool,
        at: Timestamp,
        found: &mut Vec<Finding>,
    ) {
        let mut old = std::mem::take(&mut self.sequences);
        for rule in sequences(new) {
            let is_kept = old.get(&rule.name).is_some_and(|old| old.means(rule));
            let kept = is_kept.then(|| old.remove(&rule.name)).flatten();
            let sequencer = kept.unwrap_or_else(|| {
                let mut begun = Sequencer::new(rule);
                if let Some(before) = old.get_mut(&rule.name) {
                    let is_kept = |sensor: &_| is_silent(sensor) && new.may_be_silent(sensor);
                    begun.keep_raised(before, is_kept);
                }
                begun
            });
            self.sequences.insert(rule.name.clone(), sequencer);
        }
        for sequencer in old.values() {
            sequencer.end(at, found);
        }
        let mut old = std::mem::take(&mut self.sites);
        for rule in site_rules(new) {
            let is_kept = old.get(&rule.name).is_some_and(|old| old.means(rule));
            let kept = is_kept.then(|| old.remove(&rule.name)).flatten();
            let mut sites = kept.unwrap_or_else(|| Sites::new(rule));
            sites.rehome(new, at, found);
            self.sites.insert(rule.name.clone(), sites);
        }
        old.values()
            .for_each(|sites| sites.end((old_rules, new), at, found));
        let mut old = std::mem::take(&mut self.crowds);
        for rule in crowd_rules(new) {
            let is_kept = old.get(&rule.name).is_some_and(|old| old.means(rule));
            let kept = is_kept.then(|| old.remove(&rule.name)).flatten();
            let mut crowds = kept.unwrap_or_else(|| Crowds::new(rule));
            crowds.regroup(new, at, found);
            self.crowds.insert(rule.name.clone(), crowds);
        }
        old.values().for_each(|crowds| crowds.end(at, found));
        let mut old = std::mem::take(&mut self.leaps);
        for rule in leap_rules(new) {
            let is_kept = old.get(&rule.name).is_some_and(|old| old.means(rule));
            let kept = is_kept.then(|| old.remove(&rule.name)).flatten();
            let mut leaps = kept.unwrap_or_else(|| Leaps::new(rule));
            leaps.regroup(new);
            self.leaps.insert(rule.name.clone(), leaps);
        }
        old.values().for_each(|leaps| leaps.end(at, found));
        self.counters.retain(|name, _| {
            let mut rules = new.detections().iter();
            rules.any(|rule| rule.name == *name)
        });
        self.time();
    }

    /// Asks the rules about sites how people are told of a silence, and what else. Returns for how
    /// many sensors there was no room.
    fn ask_sites(
        &mut self,
        finding: &mut Finding,
        at: Timestamp,
        rules: &Rules,
        found: &mut Vec<Finding>,
    ) -> u64 {
        let is_over = !matches!(finding.detection, Detection::Silent(_));
        if finding.detection.is_untold() && !(is_over && self.knows_silent(&finding.sensor, rules))
        {
            // It is kept quiet on purpose, and no part of what is told of its site.
            return 0;
        }
        let (mut over_limit, mut aloud, mut quiet) = (0, false, false);
        for (name, sites) in &mut self.sites {
            let finding = &*finding;
            let moment = Moment { finding, at, rules };
            over_limit += sites.note(moment);
            match sites.take(moment, found) {
                Telling::Apart => {}
                Telling::Quiet => quiet = true,
                Telling::Aloud => aloud = true,
            }
            change_timers(&mut self.timers, name, &mut sites.timers);
        }
        finding.quiet = quiet && !aloud;
        over_limit
    }

    /// Whether a rule about sites has heard that a sensor is silent.
    fn knows_silent(&self, sensor: &SensorId, rules: &Rules) -> bool {
        let mut sites = self.sites.values();
        sites.any(|sites| sites.knows_silent(sensor, rules))
    }

    /// A silent sensor's time is over by a rule about sites.
    fn fire_site(&mut self, timer: &Timer<SensorId>, rules: &Rules) -> Option<Finding> {
        let mut others = self.sites.iter().filter(|(name, _)| **name != timer.rule);
        let covered = others.any(|(_, sites)| sites.covers(&timer.subject, rules));
        let sites = self.sites.get_mut(&timer.rule)?;
        let finding = sites.fire(&timer.subject, timer.due, covered, rules);
        change_timers(&mut self.timers, &timer.rule, &mut sites.timers);
        finding
    }

    /// The timers follow from what each rule waits for.
    fn time(&mut self) {
        self.timers = self.waiting().collect();
        self.group_timers = self.groups_waiting().collect();
    }

    fn waiting(&self) -> impl Iterator<Item = Timer<SensorId>> {
        let of_sequences = self.sequences.iter().flat_map(|(name, sequencer)| {
            let waiting = sequencer.waiting();
            waiting.map(move |(sensor, due)| (name, sensor, due))
        });
        let of_sites = self.sites.iter().flat_map(|(name, sites)| {
            let waiting = sites.waiting();
            waiting.map(move |(sensor, due)| (name, sensor, due))
        });
        let of_leaps = self.leaps.iter().flat_map(|(name, leaps)| {
            let waiting = leaps.waiting();
            waiting.map(move |(sensor, due)| (name, sensor, due))
        });
        of_sequences
            .chain(of_sites)
            .chain(of_leaps)
            .map(|(name, sensor, due)| Timer {
                due,
                rule: name.clone(),
                subject: sensor.clone(),
            })
    }

    fn groups_waiting(&self) -> impl Iterator<Item = Timer<String>> {
        self.crowds.iter().flat_map(|(name, crowds)| {
            let waiting = crowds.waiting();
            waiting.map(move |(group, due)| Timer {
                due,
                rule: name.clone(),
                subject: group.clone(),
            })
        })
    }

    /// Lets what is found about a sensor concern the group rules that are raised about it.
    fn amend(&self, finding: &mut Finding, rules: &Rules) {
        let sensor = &finding.sensor;
        let raised = self.sequences.iter();
        let raised = raised.filter(|(_, sequencer)| sequencer.is_raised(sensor));
        let across = self.crowds.iter();
        let across = across.filter(|(_, crowds)| crowds.is_raised(sensor));
        match &mut finding.detection {
            Detection::Silent(hearing)
            | Detection::Returned(hearing)
            | Detection::SilenceForgotten(hearing) => {
                hearing.raised.extend(raised.map(|(name, _)| name.clone()));
                hearing.raised.extend(across.map(|(name, _)| name.clone()));
            }
            Detection::Faulty(malady) | Detection::Sound(malady) => {
                let kind = &malady.hearing.kind;
                let of_kind = |name: &RuleId| {
                    let mut rules = rules.detections().iter();
                    rules.any(|rule| rule.name == *name && rule.kind == *kind)
                };
                if malady.concerned.is_empty() {
                    return;
                }
                for (name, _) in raised.filter(|(_, sequencer)| of_kind(sequencer.about())) {
                    malady.concerned.push(name.clone());
                    malady.hearing.raised.push(name.clone());
                }
                let across = across.filter(|(_, crowds)| crowds.kind() == kind);
                let across: Vec<_> = across.map(|(name, _)| name.clone()).collect();
                malady.concerned.extend(across.iter().cloned());
                malady.hearing.raised.extend(across);
            }
            Detection::Stirred
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
            | Detection::Observed(_)
            | Detection::Heard(_) => {}
        }
    }

    pub fn audit(&self, audit: &mut Audit) {
        let mut waiting = 0;
        for timer in self.waiting() {
            waiting += 1;
            let runs = self.timers.runs(timer.due, &timer.rule, &timer.subject);
            audit.expect(runs, Invariant::TimersAgree, &timer.rule);
        }
        let mut groups = 0;
        for timer in self.groups_waiting() {
            groups += 1;
            let (rule, group) = (&timer.rule, &timer.subject);
            let runs = self.group_timers.runs(timer.due, rule, group);
            audit.expect(runs, Invariant::TimersAgree, rule);
        }
        let agree = waiting == self.timers.len() && groups == self.group_timers.len();
        audit.expect(agree, Invariant::TimersAgree, "the group stage");
    }

    /// Puts the whole state, rules in the order of their names.
    pub fn put(&self, out: &mut impl Put) {
        for sequencer in self.sequences.values() {
            sequencer.put(out);
        }
        self.sites.values().for_each(|sites| sites.put(out));
        self.crowds.values().for_each(|crowds| crowds.put(out));
        self.leaps.values().for_each(|leaps| leaps.put(out));
    }

    /// The state as it was put under the same rules; before format 3 there were sequences alone,
    /// before format 4 no leaps.
    pub fn take_bytes(format: u16, take: &mut Take<'_>, rules: &Rules) -> Result<Self, CodecError> {
        let mut group = Self::new();
        for rule in sequences(rules) {
            let sequencer = Sequencer::take_bytes(rule, take)?;
            group.sequences.insert(rule.name.clone(), sequencer);
        }
        for rule in site_rules(rules) {
            let sites = match format {
                1 | 2 => Sites::new(rule),
                _ => Sites::take_bytes(rule, take, rules)?,
            };
            group.sites.insert(rule.name.clone(), sites);
        }
        for rule in crowd_rules(rules) {
            let crowds = match format {
                1 | 2 => Crowds::new(rule),
                _ => Crowds::take_bytes(rule, take)?,
            };
            group.crowds.insert(rule.name.clone(), crowds);
        }
        for rule in leap_rules(rules) {
            let leaps = match format {
                1..=3 => Leaps::new(rule),
                _ => Leaps::take_bytes(rule, take, rules)?,
            };
            group.leaps.insert(rule.name.clone(), leaps);
        }
        group.time();
        Ok(group)
    }
}

/// What follows from one finding, in the order of the rules.
fn sort(found: &mut [Finding]) {
    found.sort_by(|one, other| (&one.rule, &one.sensor).cmp(&(&other.rule, &other.sensor)));
}

/// What has become of timers by a rule.
fn change_timers(timers: &mut Timers<SensorId>, rule: &RuleId, changes: &mut Vec<Change>) {
    for change in changes.drain(..) {
        match change {
            Change::Armed(sensor, due) => timers.arm(due, rule.clone(), sensor),
            Change::Ended(sensor, due) => timers.cancel(due, rule.clone(), sensor),
        }
    }
}

fn sequences(rules: &Rules) -> impl Iterator<Item = &DetectionRule> {
    let rules = rules.detections().iter();
    rules.filter(|rule| matches!(rule.test, Test::Sequence(_)))
}

fn leap_rules(rules: &Rules) -> impl Iterator<Item = &DetectionRule> {
    let rules = rules.detections().iter();
    rules.filter(|rule| matches!(rule.test, Test::Alone(_)))
}

fn crowd_rules(rules: &Rules) -> impl Iterator<Item = &DetectionRule> {
    let rules = rules.detections().iter();
    rules.filter(|rule| matches!(rule.test, Test::Across(_)))
}

fn site_rules(rules: &Rules) -> impl Iterator<Item = &DetectionRule> {
    let rules = rules.detections().iter();
    rules.filter(|rule| matches!(rule.test, Test::SiteSilence(_)))
}
