//! One sensor: which readings it sent, when it was heard, and what each rule knows of it.
//!
//! Laid out for the reading that finds nothing: what it touches lies together, what only an
//! abnormal one needs is behind a pointer. Next: `memory.rs`.

use std::hint::black_box;

use super::memory::Memory;
use super::rule_state::{RuleState, Said, signal};
use super::taken_back::TakenBack;
use super::{bucket, concerns, examine, fault, silence};
use crate::bundle::DetectionRule;
use crate::codec::{CodecError, Put, Take};
use crate::decision::SensorFault;
use crate::detection::{Detection, Hearing, Malady};
use crate::hash::hash_text;
use crate::id::{RuleId, SensorId};
use crate::limits::KINDS_PER_SENSOR_MAX;
use crate::reading::Reading;
use crate::rules::Rules;
use crate::state::STATE_FORMAT;
use crate::time::{Millis, Timestamp};

/// What a stage knows of one sensor.
#[derive(Debug)]
pub(super) struct Sensor {
    pub id: SensorId,
    /// Its number among the registered sensors, if it is one.
    pub registered: Option<u32>,
    /// The bucket that its name is in.
    pub bucket: u16,
    /// How many reloads there were when it took the rules over that it is under.
    pub generation: u64,
    /// The time of its last reading.
    pub heard_at: Timestamp,
    pub memory: Memory,
    /// Which of its reports it has taken back.
    pub taken_back: TakenBack,
    /// One for each kind of reading that it sends and some rule judges.
    pub tracks: Vec<Track>,
    /// The silence rules that hold for it, each by its number.
    pub silences: Vec<(u32, silence::State)>,
}

/// What the rules know of one sensor's readings of one kind.
#[derive(Debug)]
pub(super) struct Track {
    /// The kind's number.
    pub kind: u32,
    /// One for each judging rule of the kind, in the same order.
    pub states: Vec<RuleState>,
    /// One for each fault rule of the kind, in the same order.
    pub faults: Vec<fault::State>,
    /// Whether the sensor is not to be trusted in something that readings of this kind say. Follows
    /// from the faults.
    pub doubted: bool,
}

impl Sensor {
    /// A sensor that is heard for the first time.
    pub fn new(id: SensorId, (rules, generation): (&Rules, u64), now: Timestamp) -> Self {
        let registered = rules.sensor_number(id.as_str());
        let silences = registered
            .into_iter()
            .flat_map(|number| rules.silences(number));
        Self {
            bucket: bucket(hash_text(id.as_str())) as u16,
            id,
            registered,
            generation,
            heard_at: now,
            memory: Memory::new(),
            taken_back: TakenBack::default(),
            tracks: Vec::new(),
            silences: silences
                .map(|(rule, allowance)| (rule, silence::State::new(allowance, now)))
                .collect(),
        }
    }

    /// Reads what a reading that finds nothing touches, and waits for memory here.
    pub fn look_at(&self) {
        black_box(self.heard_at);
        self.memory.look_at();
        if let [track, ..] = &self.tracks[..] {
            black_box(track.kind);
            black_box(track.states.first().is_some_and(RuleState::is_raised));
            let faults = track.faults.iter().map(fault::State::is_raised);
            black_box(faults.fold(false, |all, raised| all | raised));
        }
    }

    /// The same of what is touched when it is asked whether it is silent.
    pub fn look_at_silences(&self) {
        black_box(self.heard_at);
        black_box(self.silences.first().map(|(rule, _)| *rule));
        black_box(self.id.as_str().as_bytes().first());
    }

    /// Lets what it observes by a clock that was set back be judged: nothing from this reading on is
    /// late.
    pub fn set_clock_back(&mut self, rules: &Rules, track: usize, said: Said) {
        let track = &mut self.tracks[track];
        let states = track.states.iter_mut();
        let late = states.filter(|state| state.is_late(said.observed_at));
        late.for_each(RuleState::set_clock_back);
        let faults = rules.kind(track.kind).faults.iter();
        for (&rule, state) in faults.zip(&mut track.faults) {
            state.set_clock_back(examine::fault_of(rules.detection(rule)), said);
        }
    }

    /// Whether it is not to be trusted in what this rule finds.
    pub fn is_doubted(&self, rules: &Rules, rule: &DetectionRule) -> bool {
        let doubted = self.tracks.iter().filter(|track| track.doubted);
        let mut own = doubted.filter(|track| rules.kind(track.kind).kind == rule.kind);
        own.any(|track| track.doubts(rules, &rule.name, None))
    }

    pub fn is_silent(&self) -> bool {
        self.silences.iter().any(|(_, state)| state.is_silent())
    }

    /// The rules by which it is silent or distrusted, sorted.
    pub fn amiss(&self, rules: &Rules) -> Vec<RuleId> {
        let silences = self.silences.iter();
        let silent = silences.filter(|(_, state)| state.is_silent());
        let faulty = self.tracks.iter().flat_map(|track| {
            let faults = rules.kind(track.kind).faults.iter().zip(&track.faults);
            faults.filter(|(_, state)| state.is_raised())
        });
        let distrusts = |rule: &u32| examine::fault_of(rules.detection(*rule)).distrust;
        let faulty = faulty.map(|(rule, _)| *rule).filter(distrusts);
        let amiss = silent.map(|(rule, _)| *rule).chain(faulty);
        let mut amiss: Vec<_> = amiss
            .map(|rule| rules.detection(rule).name.clone())
            .collect();
        amiss.sort_unstable();
        amiss
    }

    /// What is known of it if it is silent, or was.
    ///
    /// Precondition: it is registered; others are never silent.
    pub fn hearing(&self, rules: &Rules, last_heard_at: Timestamp) -> Hearing {
        let number = self.registered.expect("only registered sensors are silent");
        let registered = rules.sensor(number);
        let kinds = self.tracks.iter();
        Hearing {
            kind: registered.kind.clone(),
            position: registered.position,
            last_heard_at,
            raised: self.raised(rules),
            heard_by: kinds
                .map(|track| rules.kind(track.kind).kind.clone())
                .collect(),
            untold: false,
        }
    }

    /// The rules whose detections are raised about it.
    fn raised(&self, rules: &Rules) -> Vec<RuleId> {
        let tracks = self.tracks.iter();
        tracks.flat_map(|track| track.raised(rules)).collect()
    }

    /// What a rule knows of it whose timer runs for this sensor.
    pub fn rule_state(&mut self, rules: &Rules, rule: u32) -> &mut RuleState {
        let kind = &rules.detection(rule).kind;
        let mut tracks = self.tracks.iter_mut();
        let track = tracks.find(|track| rules.kind(track.kind).kind == *kind);
        let track = track.expect("a timer's rule has judged the sensor");
        let judging = &rules.kind(track.kind).judging;
        let place = judging.iter().position(|&number| number == rule);
        &mut track.states[place.expect("a kind's rules are in its index")]
    }

    /// The silence timers that run, each with its rule.
    pub fn silence_timers(&self) -> impl Iterator<Item = (Timestamp, u32)> {
        let silences = self.silences.iter();
        silences.filter_map(|(rule, state)| Some((state.timer_due()?, *rule)))
    }

    /// The same, each at the time that it is given for the one at which it is wanted.
    pub fn silences_due(
        &mut self,
        mut place: impl FnMut(Timestamp) -> Timestamp,
    ) -> Vec<(Timestamp, u32)> {
        let silences = self.silences.iter_mut();
        let running = silences.filter_map(|(rule, state)| {
            let due = place(state.timer_due()?);
            state.ask_at(due);
            Some((due, *rule))
        });
        running.collect()
    }

    /// All timers that run, each with its rule.
    pub fn timers(&self, rules: &Rules) -> Vec<(Timestamp, u32)> {
        self.silence_timers()
            .chain(self.state_timers(rules))
            .collect()
    }

    /// All but those of silence.
    pub fn state_timers(&self, rules: &Rules) -> Vec<(Timestamp, u32)> {
        let states = self.tracks.iter().flat_map(|track| track.with_rules(rules));
        let waiting =
            states.filter_map(|(rule, state)| Some((state.due(rules.detection(rule))?, rule)));
        let faults = self.tracks.iter();
        let faults = faults.flat_map(|track| track.faults_due(rules));
        waiting.chain(faults).collect()
    }

    /// Another one like it, under the same rules.
    pub fn copy(&self, rules: &Rules) -> Self {
        let mut bytes = Vec::new();
        self.put(rules, &mut bytes);
        Self::take(STATE_FORMAT, &mut Take(&bytes), rules).expect("bytes of what there is")
    }

    /// Takes over other rules. Returns what is found by that, each with its rule's old number.
    pub fn reload(&mut self, old: &Rules, new: &Rules, now: Timestamp) -> Vec<(u32, Detection)> {
        // Who is dismantled or watched no more would stay as he was for ever.
        let was_silent = self.is_silent();
        let mut found = self.reload_silences(old, new, now);
        let unheard = was_silent && !self.silences.is_empty();
        let tracks = std::mem::take(&mut self.tracks);
        for track in tracks {
            let rules = &old.kind(track.kind).judging;
            let mut states: Vec<_> = rules.iter().copied().zip(track.states).collect();
            let rules = &old.kind(track.kind).faults;
            let mut faults: Vec<_> = rules.iter().copied().zip(track.faults).collect();
            let kind = new.kind_number(old.kind(track.kind).kind.as_str());
            let kind = kind.filter(|&kind| !new.kind(kind).judges_nothing());
            let kept = kind.map(|kind| {
                let mut kept = Track::new(kind, new, &self.id, self.registered);
                kept.keep(new, self.registered, old, &mut states);
                if unheard {
                    kept.keep_raised(new, old, &mut states, now);
                }
                kept.keep_faults(new, old, &mut faults);
                kept
            });
            let faults = faults.iter().filter(|(_, state)| state.is_raised());
            let sound = faults.map(|(rule, _)| {
                let malady = self.no_more(old.detection(*rule), kept.as_ref(), new);
                (*rule, Detection::Sound(malady))
            });
            found.extend(sound);
            self.tracks.extend(kept);
            let gone = states.iter().filter(|(_, state)| state.is_raised());
            found.extend(gone.map(|(rule, _)| (*rule, Detection::Cleared)));
        }
        found
    }

    fn reload_silences(
        &mut self,
        old: &Rules,
        new: &Rules,
        now: Timestamp,
    ) -> Vec<(u32, Detection)> {
        let was_silent = self.is_silent();
        let hearing = was_silent.then(|| self.hearing(old, self.heard_at));
        self.registered = new.sensor_number(self.id.as_str());
        let mut before = std::mem::take(&mut self.silences);
        let silences = self
            .registered
            .into_iter()
            .flat_map(|own| new.silences(own));
        for (rule, allowance) in silences {
            let kept = before
                .iter()
                .position(|(number, _)| same(old, *number, new, rule));
            let state = match kept {
                Some(place) => {
                    let (_, mut state) = before.remove(place);
                    state.refit(allowance, self.heard_at, now);
                    state
                }
                None => silence::State::new(allowance, now),
            };
            self.silences.push((rule, state));
        }
        let gone = before.iter().filter(|(_, state)| state.is_silent());
        let gone = gone.filter_map(|(rule, _)| Some((*rule, hearing.clone()?)));
        gone.map(|(rule, hearing)| (rule, Detection::SilenceForgotten(hearing)))
            .collect()
    }

    /// A fault whose rule is gone: nothing is known about the sensor itself. What is still raised
    /// by it counts, unless another rule distrusts it.
    fn no_more(&self, rule: &DetectionRule, track: Option<&Track>, rules: &Rules) -> Malady {
        let registered = self.registered.map(|number| rules.sensor(number));
        let trusted = |rule: &RuleId| track.is_some_and(|track| !track.doubts(rules, rule, None));
        let raised = track.into_iter().flat_map(|track| track.raised(rules));
        let concerned = track.into_iter().flat_map(|track| track.judging(rules));
        Malady {
            fault: SensorFault {
                kind: fault::kind(examine::fault_of(rule)),
                distrusted: track.is_some_and(|track| track.doubted),
            },
            hearing: Hearing {
                kind: rule.kind.clone(),
                position: registered.and_then(|own| own.position),
                last_heard_at: self.heard_at,
                raised: raised.filter(trusted).collect(),
                heard_by: Vec::new(),
                untold: false,
            },
            concerned: concerned.filter(trusted).collect(),
            shown: None,
        }
    }

    /// Puts the whole state, kinds and rules in the order of their names. Which rules there are
    /// is the bundle's.
    pub fn put(&self, rules: &Rules, out: &mut impl Put) {
        out.put_text(self.id.as_str());
        out.put_time(self.heard_at);
        self.memory.put(out);
        self.taken_back.put(out);
        let mut tracks: Vec<_> = self.tracks.iter().collect();
        tracks.sort_by_key(|track| &rules.kind(track.kind).kind);
        out.put_u8(tracks.len() as u8);
        for track in tracks {
            track.put(rules, out);
        }
        out.put_count(self.silences.len());
        for (_, state) in &self.silences {
            state.put(out);
        }
    }

    /// The sensor as it was put under the same rules.
    pub fn take(format: u16, take: &mut Take<'_>, rules: &Rules) -> Result<Self, CodecError> {
        let id: SensorId = take.parsed("sensor")?;
        let registered = rules.sensor_number(id.as_str());
        let heard_at = take.time()?;
        let memory = Memory::take(format, take)?;
        let taken_back = match format {
            1..=4 => TakenBack::default(),
            _ => TakenBack::take(take)?,
        };
        let tracks = usize::from(take.u8()?);
        if tracks > KINDS_PER_SENSOR_MAX {
            return Err(CodecError("more kinds than a sensor can have"));
        }
        let track = |take: &mut Take<'_>| Track::take(format, take, rules, &id, registered);
        let tracks = take.each(tracks, track)?;
        let kind = |track: &Track| &rules.kind(track.kind).kind;
        if !tracks.is_sorted_by(|one, next| kind(one) < kind(next)) {
            return Err(CodecError("kinds are not in order"));
        }
        Ok(Self {
            bucket: bucket(hash_text(id.as_str())) as u16,
            id,
            registered,
            generation: 0,
            heard_at,
            memory,
            taken_back,
            tracks,
            silences: take_silences(take, rules, registered)?,
        })
    }
}

/// The silence rules that hold for a sensor, with their states as they were put.
fn take_silences(
    take: &mut Take<'_>,
    rules: &Rules,
    registered: Option<u32>,
) -> Result<Vec<(u32, silence::State)>, CodecError> {
    let count = take.u32()? as usize;
    let holding = registered
        .into_iter()
        .flat_map(|number| rules.silences(number));
    let state = |(rule, allowance)| Ok((rule, silence::State::take(take, allowance)?));
    let silences: Vec<_> = holding.map(state).collect::<Result<_, CodecError>>()?;
    if silences.len() != count {
        return Err(CodecError("other silence rules than hold for a sensor"));
    }
    Ok(silences)
}

/// Whether an old rule goes on as a new one.
fn same(old: &Rules, old_rule: u32, new: &Rules, new_rule: u32) -> bool {
    let (old, new) = (old.detection(old_rule), new.detection(new_rule));
    // How long readings wait for a fault rule, other rules say.
    old.name == new.name && old.hash == new.hash && old.settle == new.settle
}

impl Track {
    pub fn new(kind: u32, rules: &Rules, id: &SensorId, registered: Option<u32>) -> Self {
        let registered = registered.map(|number| rules.sensor(number));
        let state = |rule: &u32| RuleState::new(rules.detection(*rule), id.as_str(), registered);
        let fault = |rule: &u32| fault::State::new(examine::fault_of(rules.detection(*rule)));
        Self {
            kind,
            states: rules.kind(kind).judging.iter().map(state).collect(),
            faults: rules.kind(kind).faults.iter().map(fault).collect(),
            doubted: false,
        }
    }

    fn put(&self, rules: &Rules, out: &mut impl Put) {
        out.put_text(rules.kind(self.kind).kind.as_str());
        for (rule, state) in self.with_rules(rules) {
            state.put(rules.detection(rule), out);
        }
        for (&rule, state) in rules.kind(self.kind).faults.iter().zip(&self.faults) {
            let rule = rules.detection(rule);
            state.put(fault::settle(rule, examine::fault_of(rule)), out);
        }
    }

    /// The track as it was put; before format 6 nothing waited for fault rules.
    fn take(
        format: u16,
        take: &mut Take<'_>,
        rules: &Rules,
        id: &SensorId,
        registered: Option<u32>,
    ) -> Result<Self, CodecError> {
        let kind = rules.kind_number(take.text()?);
        let kind = kind.filter(|&kind| !rules.kind(kind).judges_nothing());
        let kind = kind.ok_or(CodecError("a kind that no rule judges"))?;
        let mut track = Self::new(kind, rules, id, registered);
        let registered = registered.map(|number| rules.sensor(number));
        for (&rule, state) in rules.kind(kind).judging.iter().zip(&mut track.states) {
            *state = RuleState::take(take, rules.detection(rule), id.as_str(), registered)?;
        }
        for (&rule, state) in rules.kind(kind).faults.iter().zip(&mut track.faults) {
            let rule = rules.detection(rule);
            let fault = examine::fault_of(rule);
            let settle = match format {
                1..=5 => Millis::ZERO,
                _ => fault::settle(rule, fault),
            };
            *state = fault::State::take(format, take, settle, fault)?;
        }
        track.weigh_trust(rules);
        Ok(track)
    }

    /// Whether some rule that this reading concerns has judged what was observed later.
    pub fn is_late(&self, rules: &Rules, reading: &Reading<'_>, now: Timestamp) -> bool {
        let observed_at = reading.observed_at.min(now);
        let states = self.with_rules(rules);
        let late = states.filter(|(_, state)| state.is_late(observed_at));
        let late = late.map(|(rule, _)| rules.detection(rule));
        let faults = rules.kind(self.kind).faults.iter().zip(&self.faults);
        let late_faults = faults.filter(|(_, state)| state.is_late(observed_at));
        let mut late = late.chain(late_faults.map(|(&rule, _)| rules.detection(rule)));
        late.any(|rule| concerns(rule, reading, now) && signal(&rule.test, reading).is_some())
    }

    /// Whether some rule takes its readings as reports.
    pub fn is_of_reports(&self) -> bool {
        let mut states = self.states.iter();
        states.any(|state| matches!(state, RuleState::Report))
    }

    /// The rules whose detections are raised by it.
    pub fn raised<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = RuleId> {
        let states = self.with_rules(rules);
        let raised = states.filter(|(_, state)| state.is_raised());
        raised.map(|(rule, _)| rules.detection(rule).name.clone())
    }

    /// The rules that look at its readings.
    pub fn judging<'a>(&self, rules: &'a Rules) -> impl Iterator<Item = RuleId> + use<'a> {
        let judging = rules.kind(self.kind).judging.iter();
        judging.map(|&rule| rules.detection(rule).name.clone())
    }

    fn with_rules<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = (u32, &'a RuleState)> {
        let numbers = rules.kind(self.kind).judging.iter().copied();
        numbers.zip(&self.states)
    }

    /// When readings that wait for the rules about faults are examined, each with the rule.
    fn faults_due<'a>(&'a self, rules: &'a Rules) -> impl Iterator<Item = (Timestamp, u32)> {
        let faults = rules.kind(self.kind).faults.iter().zip(&self.faults);
        faults.filter_map(|(&number, state)| {
            let rule = rules.detection(number);
            let due = state.due(fault::settle(rule, examine::fault_of(rule)))?;
            Some((due, number))
        })
    }

    /// Takes the states of unchanged rules out of `states`.
    fn keep(
        &mut self,
        new: &Rules,
        registered: Option<u32>,
        old: &Rules,
        states: &mut Vec<(u32, RuleState)>,
    ) {
        let registered = registered.map(|number| new.sensor(number));
        for (&rule, place) in new.kind(self.kind).judging.iter().zip(&mut self.states) {
            let kept = states
                .iter()
                .position(|(number, _)| same(old, *number, new, rule));
            let Some(kept) = kept else { continue };
            *place = states.remove(kept).1;
            place.refit(&new.detection(rule).test, registered);
        }
    }

    /// Takes what rules that changed had raised out of `states`, of a sensor that nobody hears: it has
    /// not said that it is over.
    fn keep_raised(
        &mut self,
        new: &Rules,
        old: &Rules,
        states: &mut Vec<(u32, RuleState)>,
        now: Timestamp,
    ) {
        let judging = new.kind(self.kind).judging.iter();
        for (rule, place) in judging
            .map(|rule| new.detection(*rule))
            .zip(&mut self.states)
        {
            states.retain(|(number, state)| {
                let severity = state.raised();
                let severity = severity.filter(|_| old.detection(*number).name == rule.name);
                !severity.is_some_and(|severity| place.stay_raised(&rule.test, severity, now))
            });
        }
    }

    /// Takes the faults of unchanged rules out of `faults`.
    fn keep_faults(&mut self, new: &Rules, old: &Rules, faults: &mut Vec<(u32, fault::State)>) {
        for (&rule, place) in new.kind(self.kind).faults.iter().zip(&mut self.faults) {
            let kept = faults
                .iter()
                .position(|(number, _)| same(old, *number, new, rule));
            if let Some(kept) = kept {
                *place = faults.remove(kept).1;
            }
        }
        self.weigh_trust(new);
    }
}
