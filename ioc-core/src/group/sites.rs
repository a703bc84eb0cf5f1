//! A whole site falls silent: told once, and not by each of its sensors.
//!
//! Arrives: silences of sensors, their returns, and what may explain them. Leaves: the same, but
//! untold while nobody knows whether the whole site is behind them; one finding about the site when
//! enough of its sensors are silent at one time, with what explains it, if anything does; and what
//! was held back about single sensors, when the time to wait is over or the site speaks again: one in
//! each millisecond, however many there are. Incidents hear of each silence at once: what is held
//! back is what people are told. A loss of power is told from a failure of telecoms by what was
//! found about the silent sensors, or about what feeds them, since they were last heard; what is kept
//! quiet on purpose was found too. Where a site is
//! what one feeder feeds, it is known too which streets are silent as a whole, for whoever asks when the
//! feeder is well again. Next: `correlate.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};

use super::watch::{Moment, Watch};
use crate::bundle::{DetectionRule, SiteSilence, Test};
use crate::codec::{CodecError, Put, Take};
use crate::decision::{SiteBy, SiteState};
use crate::detection::{Detection, Finding, Hearing};
use crate::id::{RuleId, SensorId, ZoneId};
use crate::place::Position;
use crate::rules::Rules;
use crate::time::{Millis, Timestamp};

/// One rule at work.
#[derive(Debug)]
pub(super) struct Sites {
    name: RuleId,
    hash: u64,
    rule: SiteSilence,
    /// What may explain a silence.
    explaining: BTreeMap<RuleId, Watch>,
    /// Those with a silent sensor: no more than there are sensors.
    sites: BTreeMap<String, Site>,
    /// Who spoke last, and when: what further silence rules find of that is told no more than it.
    spoke: Option<(SensorId, Timestamp)>,
    /// What has become of timers since this was last looked at.
    pub timers: Vec<Change>,
    /// The silent sensors that something explains, of all sites of feeders. Follows from them.
    unheard: BTreeSet<SensorId>,
    /// How many of them each street has: what is fed by one node. Follows from them.
    streets: BTreeMap<u32, u32>,
}

/// A sensor that fell silent with what feeds it, of a street that is silent as a whole.
#[derive(Debug)]
pub(crate) struct Unheard {
    pub sensor: SensorId,
    /// The rule that says what a site is.
    pub rule: RuleId,
    pub position: Option<Position>,
    pub last_heard_at: Timestamp,
}

/// What has become of a sensor's timer.
#[derive(Debug)]
pub(super) enum Change {
    Armed(SensorId, Timestamp),
    Ended(SensorId, Timestamp),
}

/// How people are told of a silence or a return that concerns a rule about sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    /// The sensor is of none of its sites: as ever.
    Apart,
    /// Not by itself.
    Quiet,
    /// By itself: it is over what they were told of.
    Aloud,
}

/// How long after one sensor the next is told, when their site speaks again and they do not.
const NEXT_AFTER: Millis = Millis(1);

#[derive(Debug, Default)]
struct Site {
    /// Whether people were told that it is silent as a whole.
    out: bool,
    /// What they were told explains it.
    explained_by: Option<RuleId>,
    silent: BTreeMap<SensorId, Silent>,
    /// How many of the silent ones each rule explains. Follows from them.
    explained: BTreeMap<RuleId, u32>,
}

/// A silent sensor, and how it is told when its time comes.
#[derive(Debug)]
struct Silent {
    state: State,
    /// The silence rule that found it first, and tells.
    rule: RuleId,
    zone: Option<ZoneId>,
    explained_by: Option<RuleId>,
    hearing: Hearing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is told then, unless its site is out.
    Waiting(Timestamp),
    /// Its site speaks again, and it is the next to be told by itself.
    Next(Timestamp),
    /// It was told.
    Told,
    /// Its site was told, or holds it for another rule to tell.
    Absorbed,
}

impl State {
    const fn due(self) -> Option<Timestamp> {
        match self {
            Self::Waiting(due) | Self::Next(due) => Some(due),
            Self::Told | Self::Absorbed => None,
        }
    }
}

impl Sites {
    pub fn new(rule: &DetectionRule) -> Self {
        let Test::SiteSilence(own) = &rule.test else {
            unreachable!("only rules of sites are made into sites");
        };
        let explaining = own.explained_by.iter();
        Self {
            name: rule.name.clone(),
            hash: rule.hash,
            explaining: explaining
                .map(|rule| (rule.clone(), Watch::default()))
                .collect(),
            rule: own.clone(),
            sites: BTreeMap::new(),
            spoke: None,
            timers: Vec::new(),
            unheard: BTreeSet::new(),
            streets: BTreeMap::new(),
        }
    }

    /// The first of the sensors that fell silent with what feeds them, from this one on, whose site is out
    /// or whose street is as silent as the rule asks of a site; so many are looked at. Returns from where
    /// to go on, too.
    pub fn unheard_from(
        &self,
        from: Option<&SensorId>,
        most: usize,
        rules: &Rules,
    ) -> (Vec<Unheard>, Option<SensorId>) {
        let from = from.map_or(Unbounded, Included);
        let mut rest = self.unheard.range::<SensorId, _>((from, Unbounded));
        let looked_at = rest.by_ref().take(most);
        let unheard = looked_at.filter_map(|sensor| {
            let site = self.sites.get(rules.site_of(sensor, self.rule.by)?)?;
            let street = rules.street_of(sensor)?;
            let hearing = &site.silent.get(sensor)?.hearing;
            let whole = site.out || self.is_unheard(street, rules);
            whole.then(|| Unheard {
                sensor: sensor.clone(),
                rule: self.name.clone(),
                position: hearing.position,
                last_heard_at: hearing.last_heard_at,
            })
        });
        let unheard = unheard.collect();
        (unheard, rest.next().cloned())
    }

    /// Whether as many of a street are silent as the rule asks of a site.
    fn is_unheard(&self, street: u32, rules: &Rules) -> bool {
        let silent = self.streets.get(&street).copied().unwrap_or(0);
        let sensors = u64::from(rules.sensors_of_street(street));
        let share = u64::from(silent) * 100 >= sensors * u64::from(self.rule.percent);
        share && silent >= self.rule.sensors_min
    }

    /// A sensor is one of those that fell silent with what feeds them, or no more.
    fn count_unheard(&mut self, sensor: &SensorId, is_unheard: bool, rules: &Rules) {
        if self.rule.by != SiteBy::Feeder {
            return;
        }
        let changed = match is_unheard {
            true => self.unheard.insert(sensor.clone()),
            false => self.unheard.remove(sensor),
        };
        let Some(street) = rules.street_of(sensor).filter(|_| changed) else {
            return;
        };
        let count = self.streets.entry(street).or_default();
        match is_unheard {
            true => *count += 1,
            false => *count -= 1,
        }
        if *count == 0 {
            self.streets.remove(&street);
        }
    }

    /// Counts all of them anew: in another city others are of a street.
    fn count_all_unheard(&mut self, rules: &Rules) {
        self.unheard.clear();
        self.streets.clear();
        let silent = self.sites.values().flat_map(|site| &site.silent);
        let explained = silent.filter(|(_, silent)| silent.explained_by.is_some());
        let explained: Vec<_> = explained.map(|(sensor, _)| sensor.clone()).collect();
        for sensor in &explained {
            self.count_unheard(sensor, true, rules);
        }
    }

    /// Whether it is a rule of this meaning.
    pub fn means(&self, rule: &DetectionRule) -> bool {
        self.hash == rule.hash
    }

    /// The sensors that wait to be told, each with when.
    pub fn waiting(&self) -> impl Iterator<Item = (&SensorId, Timestamp)> {
        let silent = self.sites.values().flat_map(|site| &site.silent);
        silent.filter_map(|(sensor, silent)| Some((sensor, silent.state.due()?)))
    }

    /// Whether it has heard that a sensor is silent.
    pub fn knows_silent(&self, sensor: &SensorId, rules: &Rules) -> bool {
        let site = rules.site_of(sensor, self.rule.by);
        let site = site.and_then(|site| self.sites.get(site));
        site.is_some_and(|site| site.silent.contains_key(sensor))
    }

    /// Whether a sensor that is silent waits to be told, or its site was.
    pub fn covers(&self, sensor: &SensorId, rules: &Rules) -> bool {
        let site = rules.site_of(sensor, self.rule.by);
        let site = site.and_then(|site| self.sites.get(site));
        site.is_some_and(|site| {
            let silent = site.silent.get(sensor);
            silent.is_some_and(|silent| match silent.state {
                State::Waiting(_) | State::Next(_) => true,
                State::Absorbed => site.out,
                State::Told => false,
            })
        })
    }

    /// Takes note of what may explain a silence. Returns 1 if there was no room for it.
    pub fn note(&mut self, moment: Moment<'_>) -> u64 {
        let Some(watch) = self.explaining.get_mut(&moment.finding.rule) else {
            return 0;
        };
        let keep_from = moment.at - self.rule.hold;
        watch.note(moment, keep_from, |_, until| until)
    }

    /// Takes a silence or a return: says whether people are told of it now, and adds what they are
    /// told instead.
    pub fn take(&mut self, moment: Moment<'_>, found: &mut Vec<Finding>) -> Telling {
        let finding = moment.finding;
        let Some(site) = moment.rules.site_of(&finding.sensor, self.rule.by) else {
            return Telling::Apart;
        };
        match &finding.detection {
            Detection::Silent(hearing) => self.fall_silent(site, hearing, moment, found),
            Detection::Returned(_) | Detection::SilenceForgotten(_) => {
                self.speak(site, moment, found)
            }
            _ => Telling::Apart,
        }
    }

    fn fall_silent(
        &mut self,
        name: &str,
        hearing: &Hearing,
        moment: Moment<'_>,
        found: &mut Vec<Finding>,
    ) -> Telling {
        let sensor = &moment.finding.sensor;
        let explained_by = self.explanation(name, sensor, hearing, moment.rules);
        let site = self.sites.entry(name.to_owned()).or_default();
        if let Some(silent) = site.silent.get_mut(sensor) {
            // Its turn came while it was kept quiet, which is over.
            if silent.rule == moment.finding.rule && silent.state == State::Told {
                silent.state = State::Absorbed;
                if !site.out {
                    let due = moment.at + self.rule.hold;
                    self.timers.extend(site.wait(sensor, due));
                }
            }
            return Telling::Quiet;
        }
        let state = if site.out {
            State::Absorbed
        } else {
            State::Waiting(moment.at + self.rule.hold)
        };
        if let Some(due) = state.due() {
            self.timers.push(Change::Armed(sensor.clone(), due));
        }
        let explained = explained_by.is_some();
        let silent = Silent {
            state,
            rule: moment.finding.rule.clone(),
            zone: moment.finding.zone.clone(),
            explained_by,
            hearing: Hearing {
                raised: Vec::new(),
                heard_by: Vec::new(),
                ..hearing.clone()
            },
        };
        site.insert(sensor.clone(), silent);
        let sensors = moment.rules.sensors_of_site(name, self.rule.by);
        let count = site.silent.len() as u32;
        let share = u64::from(count) * 100 >= u64::from(sensors) * u64::from(self.rule.percent);
        if !site.out && share && count >= self.rule.sensors_min {
            site.out = true;
            site.explained_by = site.explanation();
            let state = self.state(name, moment.finding.zone.as_ref(), moment.rules);
            found.push(self.finding(moment.finding, Detection::SiteSilent(state)));
        }
        if explained {
            self.count_unheard(sensor, true, moment.rules);
        }
        Telling::Quiet
    }

    /// What explains that a sensor is silent: something found about it, or about what feeds it or
    /// its gateway, since it was last heard.
    fn explanation(
        &self,
        site: &str,
        sensor: &SensorId,
        hearing: &Hearing,
        rules: &Rules,
    ) -> Option<RuleId> {
        let networks = rules.networks();
        let nodes = [sensor.as_str(), site];
        let nodes = nodes.into_iter().filter_map(|id| networks.number(id));
        let feeders = nodes.flat_map(|node| networks.feeders(node));
        let feeders = feeders.filter_map(|node| networks.sensor(node));
        let about: Vec<_> = std::iter::once(sensor).chain(feeders).collect();
        let since = |ended: Option<Timestamp>| ended.is_none_or(|end| end >= hearing.last_heard_at);
        let mut explaining = self.explaining.iter();
        let found = explaining.find(|(_, watch)| {
            let mut seen = about.iter().filter_map(|sensor| watch.0.get(*sensor));
            seen.any(|seen| since(seen.ended))
        });
        found.map(|(rule, _)| rule.clone())
    }

    fn speak(&mut self, name: &str, moment: Moment<'_>, found: &mut Vec<Finding>) -> Telling {
        let Moment { finding, at, rules } = moment;
        let spoke = Some((finding.sensor.clone(), at));
        let site = self.sites.get_mut(name);
        let Some(site) = site.filter(|site| site.silent.contains_key(&finding.sensor)) else {
            return match self.spoke == spoke {
                true => Telling::Quiet,
                false => Telling::Apart,
            };
        };
        if site.silent[&finding.sensor].rule != finding.rule {
            return Telling::Quiet;
        }
        self.spoke = spoke;
        let silent = site.remove(&finding.sensor);
        let state = silent.expect("it is one of its sensors").state;
        if let Some(due) = state.due() {
            self.timers.push(Change::Ended(finding.sensor.clone(), due));
        }
        if let State::Next(due) = state {
            self.timers.extend(site.go_on(&finding.sensor, due));
        }
        self.count_unheard(&finding.sensor, false, rules);
        if let Some(state) = self.come_back(name, finding.zone.as_ref(), at, rules) {
            found.push(self.finding(finding, Detection::SiteReturned(state)));
        }
        if self.sites[name].silent.is_empty() {
            self.sites.remove(name);
        }
        // Whose silence nobody was told of, nobody is told that it is over.
        match state {
            State::Told => Telling::Aloud,
            State::Waiting(_) | State::Next(_) | State::Absorbed => Telling::Quiet,
        }
    }

    /// Says what is told if a site speaks again, because few of its sensors are silent by now: those
    /// are told by themselves, one after another.
    fn come_back(
        &mut self,
        name: &str,
        zone: Option<&ZoneId>,
        at: Timestamp,
        rules: &Rules,
    ) -> Option<SiteState> {
        let site = self.sites.get_mut(name)?;
        let sensors = rules.sensors_of_site(name, self.rule.by);
        let count = site.silent.len() as u64;
        let few = count * 200 < u64::from(sensors) * u64::from(self.rule.percent);
        if !site.out || !few && count > 0 {
            return None;
        }
        let state = self.state(name, zone, rules);
        let site = self.sites.get_mut(name).expect("it was there");
        site.out = false;
        site.explained_by = None;
        let first = site
            .silent
            .iter()
            .find(|(_, silent)| silent.state == State::Absorbed);
        let first = first.map(|(sensor, _)| sensor.clone());
        let called = first.and_then(|sensor| site.call(&sensor, at + NEXT_AFTER));
        self.timers.extend(called);
        Some(state)
    }

    /// A sensor has waited for its site long enough: it is told by itself, unless it is `covered` by
    /// another rule.
    pub fn fire(
        &mut self,
        sensor: &SensorId,
        due: Timestamp,
        covered: bool,
        rules: &Rules,
    ) -> Option<Finding> {
        let site = rules.site_of(sensor, self.rule.by)?;
        let site = self.sites.get_mut(site)?;
        let out = site.out;
        let silent = site.silent.get_mut(sensor)?;
        let before = silent.state;
        silent.state = if out || covered {
            State::Absorbed
        } else {
            State::Told
        };
        let told = silent.told(sensor, due);
        let is_told = silent.state == State::Told;
        if let (State::Next(_), false) = (before, out) {
            self.timers.extend(site.go_on(sensor, due));
        }
        is_told.then_some(Finding {
            due: Some(due),
            ..told
        })
    }

    /// Another city holds: who belongs to another site by now, or to none, is told by itself, and a
    /// site that is no longer as silent as the rule asks speaks again. Timers are made anew after it.
    pub fn rehome(&mut self, rules: &Rules, at: Timestamp, found: &mut Vec<Finding>) {
        for name in self.sites.keys().cloned().collect::<Vec<_>>() {
            let site = self.sites.get_mut(&name).expect("it is one of them");
            let sensors: Vec<_> = site.silent.keys().cloned().collect();
            for sensor in &sensors {
                if rules.site_of(sensor, self.rule.by) == Some(name.as_str()) {
                    continue;
                }
                let silent = site.remove(sensor).expect("it is one of its sensors");
                // Whom no rule watches any more nobody says to be silent.
                if silent.state != State::Told && rules.may_be_silent(sensor) {
                    found.push(silent.told(sensor, at));
                }
                if let State::Next(due) = silent.state {
                    site.go_on(sensor, due);
                }
            }
            let about = sensors.first().expect("a site has a silent sensor");
            let about = self.about(about, None, at);
            if let Some(state) = self.come_back(&name, None, at, rules) {
                found.push(self.finding(&about, Detection::SiteReturned(state)));
            }
            if self.sites[&name].silent.is_empty() {
                self.sites.remove(&name);
            }
        }
        self.timers.clear();
        self.count_all_unheard(rules);
    }

    /// The rule is gone: its sites are no longer told of, and what it held back is.
    pub fn end(&self, (old, new): (&Rules, &Rules), at: Timestamp, found: &mut Vec<Finding>) {
        for (name, site) in &self.sites {
            let (first, silent) = site.silent.first_key_value().expect("one is silent");
            if site.out {
                let about = self.about(first, silent.zone.clone(), at);
                let state = self.state(name, about.zone.as_ref(), old);
                found.push(self.finding(&about, Detection::SiteReturned(state)));
            }
            let untold = site.silent.iter();
            let untold = untold.filter(|(sensor, silent)| {
                silent.state != State::Told && new.may_be_silent(sensor)
            });
            found.extend(untold.map(|(sensor, silent)| silent.told(sensor, at)));
        }
    }

    /// A site as it is told. Precondition: one of its sensors is, or has just been, silent.
    fn state(&self, name: &str, zone: Option<&ZoneId>, rules: &Rules) -> SiteState {
        let site = &self.sites[name];
        let zone = match self.rule.by {
            SiteBy::Zone => name.parse().ok(),
            SiteBy::Gateway | SiteBy::Feeder => zone.cloned(),
        };
        SiteState {
            id: name.to_owned(),
            by: self.rule.by,
            zone: zone.unwrap_or_else(|| rules.zone_at(None)),
            silent: site.silent.len() as u32,
            sensors: rules.sensors_of_site(name, self.rule.by),
            explained_by: site.explained_by.clone(),
        }
    }

    fn about(&self, sensor: &SensorId, zone: Option<ZoneId>, at: Timestamp) -> Finding {
        Finding {
            seq: 0,
            due: None,
            rule: self.name.clone(),
            sensor: sensor.clone(),
            observed_at: at,
            zone,
            doubted: false,
            quiet: false,
            detection: Detection::Stirred,
        }
    }

    fn finding(&self, about: &Finding, detection: Detection) -> Finding {
        Finding {
            rule: self.name.clone(),
            quiet: false,
            detection,
            ..about.clone()
        }
    }

    /// Puts the whole state.
    pub fn put(&self, out: &mut impl Put) {
        self.explaining.values().for_each(|watch| watch.put(out));
        out.put_count(self.sites.len());
        for (name, site) in &self.sites {
            out.put_text(name);
            out.put_flag(site.out);
            put_rule(site.explained_by.as_ref(), out);
            out.put_count(site.silent.len());
            for (sensor, silent) in &site.silent {
                out.put_text(sensor.as_str());
                silent.put(out);
            }
        }
    }

    /// The state as it was put, of a rule that means the same, in the same city.
    pub fn take_bytes(
        rule: &DetectionRule,
        take: &mut Take<'_>,
        rules: &Rules,
    ) -> Result<Self, CodecError> {
        let mut sites = Self::new(rule);
        for watch in sites.explaining.values_mut() {
            *watch = Watch::take_bytes(take)?;
        }
        for _ in 0..take.u32()? {
            let name = take.text()?.to_owned();
            let mut site = Site {
                out: take.flag()?,
                explained_by: take.option(|take| take.parsed("rule"))?,
                ..Site::default()
            };
            for _ in 0..take.u32()? {
                let sensor: SensorId = take.parsed("sensor")?;
                if rules.site_of(&sensor, sites.rule.by) != Some(name.as_str()) {
                    return Err(CodecError("a silent sensor of another site"));
                }
                site.insert(sensor, Silent::take_bytes(take)?);
            }
            if site.silent.is_empty() {
                return Err(CodecError("a site of which no sensor is silent"));
            }
            sites.sites.insert(name, site);
        }
        sites.count_all_unheard(rules);
        Ok(sites)
    }
}

impl Site {
    fn insert(&mut self, sensor: SensorId, silent: Silent) {
        if let Some(rule) = &silent.explained_by {
            *self.explained.entry(rule.clone()).or_default() += 1;
        }
        self.silent.insert(sensor, silent);
    }

    fn remove(&mut self, sensor: &SensorId) -> Option<Silent> {
        let silent = self.silent.remove(sensor)?;
        if let Some(rule) = &silent.explained_by
            && let Some(count) = self.explained.get_mut(rule)
        {
            *count -= 1;
            if *count == 0 {
                self.explained.remove(rule);
            }
        }
        Some(silent)
    }

    /// The rule that explains most, if at least half of the silent sensors are explained.
    fn explanation(&self) -> Option<RuleId> {
        let all: u32 = self.explained.values().sum();
        let most = self.explained.iter().rev().max_by_key(|(_, count)| **count);
        let enough = 2 * all as usize >= self.silent.len();
        most.filter(|_| enough).map(|(rule, _)| rule.clone())
    }

    /// One of its sensors waits to be told.
    fn wait(&mut self, sensor: &SensorId, due: Timestamp) -> Option<Change> {
        let silent = self.silent.get_mut(sensor)?;
        silent.state = State::Waiting(due);
        Some(Change::Armed(sensor.clone(), due))
    }

    /// One of its sensors is the next to be told by itself.
    fn call(&mut self, sensor: &SensorId, due: Timestamp) -> Option<Change> {
        let silent = self.silent.get_mut(sensor)?;
        silent.state = State::Next(due);
        Some(Change::Armed(sensor.clone(), due))
    }

    /// After one sensor the next is told, if the site still speaks.
    fn go_on(&mut self, after: &SensorId, due: Timestamp) -> Option<Change> {
        if self.out {
            return None;
        }
        let from = (Excluded(after), Unbounded);
        let mut rest = self.silent.range::<SensorId, _>(from);
        let next = rest.find(|(_, silent)| silent.state == State::Absorbed);
        let next = next.map(|(sensor, _)| sensor.clone())?;
        self.call(&next, due + NEXT_AFTER)
    }
}

impl Silent {
    /// The finding by which people are told. Incidents have heard of it before, so it concerns no
    /// rule.
    fn told(&self, sensor: &SensorId, at: Timestamp) -> Finding {
        Finding {
            seq: 0,
            due: None,
            rule: self.rule.clone(),
            sensor: sensor.clone(),
            observed_at: at,
            zone: self.zone.clone(),
            doubted: false,
            quiet: false,
            detection: Detection::Silent(self.hearing.clone()),
        }
    }

    fn put(&self, out: &mut impl Put) {
        out.put_u8(match self.state {
            State::Waiting(_) => 0,
            State::Told => 1,
            State::Absorbed => 2,
            State::Next(_) => 3,
        });
        out.put_option(self.state.due(), Put::put_time);
        out.put_text(self.rule.as_str());
        put_rule(self.explained_by.as_ref(), out);
        out.put_option(self.zone.as_ref(), |out, zone| out.put_text(zone.as_str()));
        out.put_text(self.hearing.kind.as_str());
        out.put_option(self.hearing.position, Put::put_position);
        out.put_time(self.hearing.last_heard_at);
    }

    fn take_bytes(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let state = match (take.u8()?, take.option(Take::time)?) {
            (0, Some(due)) => State::Waiting(due),
            (1, None) => State::Told,
            (2, None) => State::Absorbed,
            (3, Some(due)) => State::Next(due),
            _ => return Err(CodecError("a silent sensor is told in an unknown way")),
        };
        Ok(Self {
            state,
            rule: take.parsed("rule")?,
            explained_by: take.option(|take| take.parsed("rule"))?,
            zone: take.option(|take| take.parsed("zone"))?,
            hearing: Hearing {
                kind: take.parsed("kind")?,
                position: take.option(Take::position)?,
                last_heard_at: take.time()?,
                raised: Vec::new(),
                heard_by: Vec::new(),
                untold: false,
            },
        })
    }
}

fn put_rule(rule: Option<&RuleId>, out: &mut impl Put) {
    out.put_option(rule, |out, rule| out.put_text(rule.as_str()));
}
