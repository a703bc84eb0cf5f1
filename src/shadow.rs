//! A second set of rules beside the live one: it is fed the same, tells nobody, and can be compared.
//!
//! Arrives: the durable inputs, like a snapshot's follower reads them; the rules in the directory
//! `shadow` of the configuration. Leaves: how what they would have decided differs from what the live
//! rules decide of the same ([`Difference`]). Promise: both are judged here, side by side, and told
//! apart by what tells `ioc backtest --against`, so the two are comparable in all of it. Nothing of it
//! reaches a console, a device or a log; the live engine waits for nothing here. Both begin with the
//! live state at the start of the process, so what is open then is open in both and no difference, and
//! follow record by record: the same records and rules give the same difference. What people order is addressed to
//! what stands for it. Bounded: it gives up, and says so, when it is left behind by too much; what is
//! compared begins anew when there is too much of it. Next: `shadow/http.rs`.

pub mod http;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use ioc_core::bundle::Bundle;
use ioc_core::decision::{Decision, Verdict};
use ioc_core::id::RuleId;
use ioc_core::judgement::{Judgement, STATE_FORMAT};
use ioc_core::record::{BundleHash, Input, Record, Seq};
use ioc_core::rules::Rules as Prepared;
use ioc_core::time::Timestamp;

use crate::backtest::{Difference, Judged, Recorded, Story, Summary, alarms};
use crate::durable::Durable;
use crate::journal::disk::Disk;
use crate::journal::reader::Reader;
use crate::journal::{BatchHeader, LogKind};
use crate::priority;
use crate::recover::{INPUTS_DIR, RecoverError, Recovered};
use crate::skipped::SkippedList;
use crate::telemetry;

/// How often a shadow that has caught up looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Of its time, it works one part in so many, until it is far behind.
const UNHURRIED_PARTS: u32 = 4;
/// So many records behind, it does not rest any more.
const UNHURRIED_RECORDS: Seq = 1_000_000;
/// So many records behind, it gives up: it must not keep the log from being tidied.
const BEHIND_RECORDS_MAX: Seq = 8_000_000;
/// So many incidents of either are compared at most; beyond, the comparison begins anew.
const INCIDENTS_MAX: usize = 20_000;
/// And so many readings that they are made of.
const EVIDENCE_MAX: usize = 1_000_000;

/// What a shadow begins with.
pub struct ShadowStart {
    /// The storage, and the data directory on it.
    pub disk: Arc<dyn Disk>,
    /// The data directory.
    pub data: PathBuf,
    /// How far the logs are durable.
    pub durable: Arc<Durable>,
    /// The live rules, if any hold yet.
    pub held: Option<Arc<Bundle>>,
    /// The rules and city of a hash, where others are put into force.
    pub bundles: StoredBundles,
    /// Its own.
    pub rules: Arc<Bundle>,
}

/// Finds bundles by their hash, as they were stored.
pub type StoredBundles = Box<dyn Fn(BundleHash) -> Result<Arc<Bundle>, String> + Send>;

/// A running shadow.
#[derive(Debug)]
pub struct Shadow {
    shared: Arc<Mutex<Compared>>,
    stop: Sender<()>,
    running: JoinHandle<()>,
}

/// Where others look at what a shadow has found.
#[derive(Debug, Clone)]
pub struct ShadowView(Arc<Mutex<Compared>>);

/// What is compared.
#[derive(Debug)]
struct Compared {
    live: Recorded,
    shadow: Story,
    /// What each came to, in numbers: the live rules, the shadow's.
    summaries: [Summary; 2],
    /// How often each detection rule of both found something to begin.
    alarms: [Counts; 2],
    /// Since which record, when that was, how far the shadow has come, and when that was.
    since: Seq,
    since_at: Option<Timestamp>,
    through: Seq,
    at: Option<Timestamp>,
    /// How often the comparison began anew because there was too much of it.
    begun_anew: u64,
    /// Why the shadow has given up.
    ended: Option<String>,
    rules: Arc<Bundle>,
}

/// How often each detection rule found something to begin.
type Counts = Vec<(RuleId, u64)>;

/// The difference, and as of where.
#[derive(Debug)]
pub struct Seen {
    /// In incidents and alarms.
    pub difference: Difference,
    /// After which record the comparison begins.
    pub since: Seq,
    /// That record's time. What was open then is not compared.
    pub since_at: Option<Timestamp>,
    /// The last record that the shadow has judged.
    pub through: Seq,
    /// That record's time.
    pub at: Option<Timestamp>,
    /// How often it began anew.
    pub begun_anew: u64,
    /// Why the shadow has given up, if it has.
    pub ended: Option<String>,
    /// The bundle of its rules.
    pub rules: Arc<Bundle>,
}

impl Shadow {
    /// Starts one from the live state, before the live engine goes on from it.
    ///
    /// # Errors
    /// The machine refuses a thread.
    pub fn start(start: ShadowStart, recovered: &Recovered) -> std::io::Result<Self> {
        let mut state = Vec::new();
        recovered.judgement.save(&mut state);
        let point = recovered.point();
        let shared = Arc::new(Mutex::new(Compared {
            live: Recorded::default(),
            shadow: Story::default(),
            summaries: Default::default(),
            alarms: Default::default(),
            since: point.through,
            since_at: None,
            through: point.through,
            at: recovered.last_at,
            begun_anew: 0,
            ended: None,
            rules: Arc::clone(&start.rules),
        }));
        lock(&shared).begin_anew();
        let (stop, stopped) = bounded(0);
        let (dir, from) = (start.data.join(INPUTS_DIR), point.through + 1);
        let mut follower = Follower {
            inputs: Reader::new(start.disk, dir, LogKind::Inputs, from),
            live: Side::default(),
            shadow: Side::default(),
            bundles: start.bundles,
            skipped: Arc::clone(&recovered.skipped),
            durable: start.durable,
            shared: Arc::clone(&shared),
        };
        let (held, rules) = (start.held, start.rules);
        let running = thread::Builder::new()
            .name("shadow".to_owned())
            .spawn(move || {
                priority::be_patient();
                if let Err(error) = follower.begin(&state, held, rules, (point.through, point.at)) {
                    return follower.give_up(error);
                }
                drop(state);
                follower.run(&stopped);
            })?;
        Ok(Self {
            shared,
            stop,
            running,
        })
    }

    /// Where others look.
    pub fn view(&self) -> ShadowView {
        ShadowView(Arc::clone(&self.shared))
    }

    /// Ends it.
    pub fn stop(self) {
        drop(self.stop);
        // What went wrong has been told.
        let _ = self.running.join();
    }
}

impl ShadowView {
    /// How the shadow differs by now. Costs a copy of all that is compared.
    pub fn look(&self) -> Seen {
        let compared = lock(&self.0);
        let judged = |story: &Story, side: usize| Judged {
            summary: compared.summaries[side].clone(),
            story: story.clone(),
            alarms: compared.alarms[side].clone(),
        };
        let live = judged(&compared.live.story, LIVE);
        let shadow = judged(&compared.shadow, SHADOW);
        let (since, since_at) = (compared.since, compared.since_at);
        let (through, at) = (compared.through, compared.at);
        let (begun_anew, ended) = (compared.begun_anew, compared.ended.clone());
        let rules = Arc::clone(&compared.rules);
        drop(compared);
        let names = ["live", "shadow"].map(str::to_owned);
        Seen {
            difference: Difference::between([live, shadow], names, Duration::ZERO),
            since,
            since_at,
            through,
            at,
            begun_anew,
            ended,
            rules,
        }
    }
}

fn lock(compared: &Mutex<Compared>) -> MutexGuard<'_, Compared> {
    compared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The place of what is the live rules', and of what is the shadow's.
const LIVE: usize = 0;
const SHADOW: usize = 1;

/// The thread's own.
struct Follower {
    inputs: Reader,
    live: Side,
    shadow: Side,
    bundles: StoredBundles,
    skipped: Arc<SkippedList>,
    durable: Arc<Durable>,
    shared: Arc<Mutex<Compared>>,
}

/// A judgement under one set of rules.
struct Side {
    judgement: Judgement,
    /// Which hold; `None` before there are any.
    rules: Option<Arc<Bundle>>,
    /// What its detection rules had begun before what is compared.
    before: Counts,
}

impl Default for Side {
    fn default() -> Self {
        Self {
            judgement: Judgement::new(NonZeroUsize::MIN),
            rules: None,
            before: Counts::new(),
        }
    }
}

impl Side {
    fn load(state: &[u8], rules: Option<Arc<Bundle>>) -> Result<Self, String> {
        let held = rules.clone();
        let judgement = Judgement::load(STATE_FORMAT, NonZeroUsize::MIN, state, held);
        Ok(Self {
            judgement: judgement.map_err(|error| error.to_string())?,
            rules,
            before: Counts::new(),
        })
    }

    fn counts(&self) -> Counts {
        let counters = self.judgement.counters().rules;
        let rules = self.rules.as_deref();
        rules.map_or_else(Counts::new, |rules| alarms(rules, &counters))
    }

    /// What it has begun since what is compared began.
    fn begun(&self) -> Counts {
        let before = |rule: &RuleId| {
            let mut before = self.before.iter();
            before.find(|(name, _)| name == rule)
        };
        let mut counts = self.counts();
        for (rule, count) in &mut counts {
            *count = count.saturating_sub(before(rule).map_or(0, |(_, before)| *before));
        }
        counts
    }

    fn judge(&mut self, records: &[Record<'_>]) -> Result<Vec<Decision>, String> {
        let mut decisions: Vec<Decision> = Vec::new();
        let judgement = &mut self.judgement;
        let judged = catch_unwind(AssertUnwindSafe(|| {
            judgement.apply(records, &mut decisions);
        }));
        match judged {
            Ok(()) => Ok(decisions),
            Err(_) => {
                let seq = self.judgement.judging();
                Err(format!("record {seq} cannot be judged by its rules"))
            }
        }
    }
}

impl Follower {
    /// Takes over the live state twice, and by one of the two its own rules.
    fn begin(
        &mut self,
        state: &[u8],
        held: Option<Arc<Bundle>>,
        rules: Arc<Bundle>,
        (seq, at): (Seq, Timestamp),
    ) -> Result<(), String> {
        self.live = Side::load(state, held.clone())?;
        self.shadow = Side::load(state, held)?;
        let prepared = Arc::new(Prepared::new(Arc::clone(&rules)));
        let reload = Record {
            seq,
            at,
            input: Input::Reload(prepared.hash()),
        };
        self.shadow.judgement.provide_rules(prepared);
        self.shadow.rules = Some(rules);
        self.judge_in_shadow(&[reload])?;
        self.count_from_here();
        Ok(())
    }

    fn run(mut self, stop: &Receiver<()>) {
        loop {
            let began = Instant::now();
            let pause = match self.step() {
                Err(error) => return self.give_up(error),
                Ok(false) => LOOK_EVERY,
                Ok(true) if self.behind() > UNHURRIED_RECORDS => Duration::ZERO,
                Ok(true) => began.elapsed() * (UNHURRIED_PARTS - 1),
            };
            if stop.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn behind(&self) -> Seq {
        let durable = self.durable.inputs();
        (durable + 1).saturating_sub(self.inputs.position())
    }

    fn give_up(&self, why: String) {
        telemetry::shadow_ended(&why);
        self.shared().ended = Some(why);
    }

    fn shared(&self) -> MutexGuard<'_, Compared> {
        lock(&self.shared)
    }

    /// Judges a batch. Whether there may be more.
    fn step(&mut self) -> Result<bool, String> {
        if self.behind() > BEHIND_RECORDS_MAX {
            return Err(format!(
                "it is more than {BEHIND_RECORDS_MAX} records behind"
            ));
        }
        let durable = self.durable.inputs();
        let next = self.inputs.next(durable);
        let next = next.map_err(|error| error.to_string())?;
        let Some((header, payload)) = next.map(|(header, payload)| (header, payload.to_vec()))
        else {
            return Ok(false);
        };
        self.batch(&header, &payload)?;
        Ok(true)
    }

    fn batch(&mut self, header: &BatchHeader, payload: &[u8]) -> Result<(), String> {
        let skipped = Arc::clone(&self.skipped);
        let records = skipped.records(header.first, payload);
        let records: Result<Vec<_>, _> = records.collect();
        let records = records.map_err(|error| RecoverError::from(error).to_string())?;
        let mut rest = records.as_slice();
        while let Some((first, after)) = rest.split_first() {
            if let Input::Command(command) = &first.input {
                // What was decided before it says which incidents there are.
                let readdressed = {
                    let compared = &mut *self.shared();
                    let Compared {
                        live,
                        shadow,
                        summaries: [_, orders],
                        ..
                    } = compared;
                    live.readdress(first.seq, command, shadow, orders)
                };
                let input = readdressed.map_or(Input::Tick, Input::Command);
                self.judge_live(&[*first])?;
                self.judge_in_shadow(&[Record { input, ..*first }])?;
                rest = after;
                continue;
            }
            let is_plain = |record: &Record<'_>| !matches!(record.input, Input::Command(_));
            let plain = rest.iter().take_while(|record| is_plain(record)).count();
            let (plain, after) = rest.split_at(plain);
            self.judge_live(plain)?;
            let own: Vec<_> = plain.iter().map(without_reload).collect();
            self.judge_in_shadow(&own)?;
            rest = after;
        }
        let alarms = [self.live.begun(), self.shadow.begun()];
        let mut compared = self.shared();
        compared.alarms = alarms;
        compared.through = header.next() - 1;
        compared.at = records.last().map(|record| record.at).or(compared.at);
        let is_anew = compared.begin_anew_if_full();
        drop(compared);
        if is_anew {
            self.count_from_here();
        }
        Ok(())
    }

    fn count_from_here(&mut self) {
        for side in [&mut self.live, &mut self.shadow] {
            side.before = side.counts();
        }
    }

    fn judge_live(&mut self, records: &[Record<'_>]) -> Result<(), String> {
        for record in records {
            if let Input::Reload(hash) = record.input {
                let rules = (self.bundles)(hash)?;
                self.live.judgement.provide(Arc::clone(&rules));
                self.live.rules = Some(rules);
            }
        }
        let decisions = self.live.judge(records)?;
        let mut compared = self.shared();
        compared.summaries[LIVE].note(records, &decisions);
        decisions.iter().for_each(|it| compared.live.take(it));
        Ok(())
    }

    fn judge_in_shadow(&mut self, records: &[Record<'_>]) -> Result<(), String> {
        let decisions = self.shadow.judge(records)?;
        let mut compared = self.shared();
        compared.summaries[SHADOW].note(records, &decisions);
        decisions.iter().for_each(|it| compared.shadow.take(it));
        Ok(())
    }
}

impl Summary {
    fn note(&mut self, records: &[Record<'_>], decisions: &[Decision]) {
        let opened = |it: &&Decision| matches!(it.verdict, Verdict::IncidentOpened(_));
        let is_reading = |it: &&Record<'_>| it.input.reading().is_some();
        let is_letter = |it: &&Record<'_>| matches!(it.input, Input::DeadLetter(_));
        self.opened += decisions.iter().filter(opened).count() as u64;
        self.decisions += decisions.len() as u64;
        self.readings += records.iter().filter(is_reading).count() as u64;
        self.dead_letters += records.iter().filter(is_letter).count() as u64;
    }
}

/// The live rules' changes are not the shadow's; time passes all the same.
fn without_reload<'a>(record: &Record<'a>) -> Record<'a> {
    match record.input {
        Input::Reload(_) => Record {
            input: Input::Tick,
            ..*record
        },
        _ => *record,
    }
}

impl Compared {
    /// Compares what comes from here on. What is open by now began before.
    fn begin_anew(&mut self) {
        self.live = Recorded::default();
        self.shadow = Story::default();
        self.summaries = Default::default();
        self.alarms = Default::default();
        (self.since, self.since_at) = (self.through, self.at);
        (self.live.story.since, self.shadow.since) = (self.at, self.at);
    }

    /// Whether it does.
    fn begin_anew_if_full(&mut self) -> bool {
        let stories = [&self.live.story, &self.shadow];
        let is_full = |story: &&Story| {
            story.incidents.len() > INCIDENTS_MAX || story.evidence.len() > EVIDENCE_MAX
        };
        let is_full = stories.iter().any(is_full);
        if is_full {
            self.begin_anew();
            self.begun_anew += 1;
        }
        is_full
    }
}

#[cfg(test)]
mod tests {
    use ioc_core::place::Position;
    use ioc_core::reading::{Attributes, Reading};

    use super::*;
    use crate::journal::disk::SystemDisk;

    fn compared() -> Compared {
        Compared {
            live: Recorded::default(),
            shadow: Story::default(),
            summaries: Default::default(),
            alarms: Default::default(),
            since: 0,
            since_at: None,
            through: 7,
            at: None,
            begun_anew: 0,
            ended: None,
            rules: Arc::new(Bundle {
                hash: ioc_core::record::BundleHash([0; 32]),
                detections: Vec::new(),
                correlations: Vec::new(),
                handling: ioc_core::bundle::HandlingRules::NONE,
                suppression: ioc_core::bundle::SuppressionRules::USUAL,
                city: ioc_core::bundle::City::default(),
            }),
        }
    }

    #[test]
    fn p5_a_comparison_that_has_grown_too_much_begins_anew() {
        let mut compared = compared();
        compared.shadow.evidence = vec![(0, 0); EVIDENCE_MAX];
        assert!(!compared.begin_anew_if_full());
        assert_eq!((compared.begun_anew, compared.since), (0, 0));
        compared.shadow.evidence.push((0, 0));
        assert!(compared.begin_anew_if_full());
        assert_eq!((compared.begun_anew, compared.since), (1, 7));
        assert!(compared.shadow.evidence.is_empty());
    }

    /// Rules by which a gauge above this level is a flood, of what lies so near.
    fn rules(level: &str, within: &str) -> Arc<Bundle> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rules")).unwrap();
        let text = format!(
            "detections:\n  high: {{ kind: water_level, above: {{ moderate: {level} }}, clear: below \
             1.5 m }}\ncorrelations:\n  floods: {{ incident: flood, from: [high], sources: 1, \
             within: {within}, within_time: 1 h }}\n"
        );
        std::fs::write(dir.path().join("rules/a.yaml"), text).unwrap();
        let source = crate::config::source::Source::read(Some(dir.path()), None);
        source.unwrap().compile().unwrap().bundle
    }

    fn minute(minute: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + minute * 60_000)
    }

    /// What a gauge says in a minute, which is the number of the record.
    fn said(number: i64, sensor: &'static str, value: f64) -> Record<'static> {
        const IDS: [&str; 10] = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9"];
        let reading = Reading {
            id: IDS[number as usize],
            sensor,
            kind: "water_level",
            observed_at: minute(number),
            received_at: None,
            value,
            unit: "m",
            position: Position::from_degrees(101.6, 3.1),
            attributes: Attributes::default(),
        };
        Record {
            seq: number as Seq,
            at: minute(number),
            input: Input::Reading(reading),
        }
    }

    /// What is told of a shadow with other rules that begins after record 3, where a flood is open; with
    /// `since` it knows so.
    fn after_a_start(since: bool) -> Seen {
        let live = rules("2 m", "2 km");
        let mut judgement = Judgement::new(NonZeroUsize::MIN);
        judgement.provide(Arc::clone(&live));
        let reload = Record {
            seq: 1,
            at: minute(1),
            input: Input::Reload(live.hash),
        };
        let before = [reload, said(2, "wl-1", 5.0), said(3, "wl-1", 5.0)];
        judgement.apply(&before, &mut Vec::new());
        let mut state = Vec::new();
        judgement.save(&mut state);

        let mut compared = compared();
        (compared.through, compared.at) = (3, Some(minute(3)));
        if since {
            compared.begin_anew();
        }
        let shared = Arc::new(Mutex::new(compared));
        let mut follower = follower(&shared, Arc::new(Durable::new(0, 0)));
        let other = rules("4 m", "1 km");
        follower
            .begin(&state, Some(live), other, (3, minute(3)))
            .unwrap();
        // The flood goes on, and another one of one alone begins 30 km from it.
        let mut other = said(6, "wl-2", 3.0);
        if let Input::Reading(reading) = &mut other.input {
            reading.position = Position::from_degrees(101.6, 3.4);
        }
        for record in [said(4, "wl-1", 5.0), said(5, "wl-1", 5.0), other] {
            follower.judge_live(&[record]).unwrap();
            follower.judge_in_shadow(&[record]).unwrap();
        }
        ShadowView(shared).look()
    }

    #[test]
    fn what_was_open_before_a_start_is_no_difference_and_what_came_since_is() {
        let counts = |seen: &Seen| {
            let told = seen.difference.to_json();
            let lists = ["opened", "gone", "changed"];
            lists.map(|list| told[list].as_array().unwrap().len())
        };
        let seen = after_a_start(true);
        assert_eq!((seen.since, seen.since_at), (3, Some(minute(3))));
        assert_eq!(counts(&seen), [0, 1, 0], "{}", seen.difference);
        // The one that goes on in the live rules, which the other rules have begun again.
        assert_eq!(seen.difference.open_before, 1);
        // Who knows nothing of it tells what is none.
        assert_ne!(counts(&after_a_start(false)), [0, 1, 0]);
    }

    fn follower(shared: &Arc<Mutex<Compared>>, durable: Arc<Durable>) -> Follower {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        Follower {
            inputs: Reader::new(disk, dir.path().to_owned(), LogKind::Inputs, 1),
            live: Side::default(),
            shadow: Side::default(),
            bundles: Box::new(|_| Err("there are none".to_owned())),
            skipped: Arc::default(),
            durable,
            shared: Arc::clone(shared),
        }
    }

    #[test]
    fn p5_a_shadow_that_is_left_behind_gives_up() {
        let durable = Arc::new(Durable::new(BEHIND_RECORDS_MAX + 1, 0));
        let shared = Arc::new(Mutex::new(compared()));
        let follower = follower(&shared, durable);
        let (_stop, stopped) = bounded(0);
        follower.run(&stopped);
        let seen = ShadowView(shared).look();
        assert!(seen.ended.unwrap().contains("8000000 records behind"));
    }
}
