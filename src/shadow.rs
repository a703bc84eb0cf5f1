//! A second set of rules beside the live one: it is fed the same, tells nobody, and can be compared.
//!
//! Arrives: the durable inputs and the durable decisions, like a snapshot's follower reads them; the
//! rules in the directory `shadow` of the configuration. Leaves: how what they would have decided
//! differs from what was decided ([`Difference`]). Promise: nothing of it reaches a console, a device
//! or a log; the live engine waits for nothing here. It begins with the live state at the start of
//! the process, so what both have open then is open in both, and follows record by record: the
//! same records and rules give the same difference. What people order is addressed to what stands
//! for it. Bounded: it gives up, and says so, when it is left behind by too much; what is compared
//! begins anew when there is too much of it. Next: `shadow/http.rs`.

pub mod http;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use ioc_core::bundle::Bundle;
use ioc_core::decision::{Decision, DecisionHash, Verdict};
use ioc_core::judgement::{Judgement, STATE_FORMAT};
use ioc_core::record::{Input, Record, Seq};
use ioc_core::rules::Rules as Prepared;
use ioc_core::time::Timestamp;

use crate::backtest::{Difference, Judged, Recorded, Story, Summary};
use crate::durable::Durable;
use crate::journal::disk::Disk;
use crate::journal::reader::Reader;
use crate::journal::{BatchHeader, LogKind};
use crate::priority;
use crate::recover::{DECISIONS_DIR, INPUTS_DIR, RecoverError, Recovered, decode_decisions};
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
    /// Its own.
    pub rules: Arc<Bundle>,
}

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
    orders: Summary,
    /// Since which record, and how far the shadow has come, and when that was.
    since: Seq,
    through: Seq,
    at: Option<Timestamp>,
    /// How often the comparison began anew because there was too much of it.
    begun_anew: u64,
    /// Why the shadow has given up.
    ended: Option<String>,
    rules: Arc<Bundle>,
}

/// The difference, and as of where.
#[derive(Debug)]
pub struct Seen {
    /// In incidents; detections of the live engine are not counted here.
    pub difference: Difference,
    /// After which record the comparison begins.
    pub since: Seq,
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
            orders: Summary::default(),
            since: point.through,
            through: point.through,
            at: recovered.last_at,
            begun_anew: 0,
            ended: None,
            rules: Arc::clone(&start.rules),
        }));
        let (stop, stopped) = bounded(0);
        let reader = |dir: &str, kind, from| {
            Reader::new(Arc::clone(&start.disk), start.data.join(dir), kind, from)
        };
        let mut follower = Follower {
            inputs: reader(INPUTS_DIR, LogKind::Inputs, point.through + 1),
            decisions: reader(DECISIONS_DIR, LogKind::Decisions, point.numbering.last + 1),
            judgement: Judgement::new(NonZeroUsize::MIN),
            skipped: Arc::clone(&recovered.skipped),
            durable: start.durable,
            waiting: None,
            decided: point.numbering.last,
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
        let compared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let judged = |story: &Story, summary: Summary| Judged {
            summary,
            story: story.clone(),
            rules: Vec::new(),
        };
        let live = judged(&compared.live.story, Summary::default());
        let shadow = judged(&compared.shadow, compared.orders.clone());
        let (since, through, at) = (compared.since, compared.through, compared.at);
        let (begun_anew, ended) = (compared.begun_anew, compared.ended.clone());
        let rules = Arc::clone(&compared.rules);
        drop(compared);
        let names = ["live", "shadow"].map(str::to_owned);
        Seen {
            difference: Difference::between([live, shadow], names, Duration::ZERO),
            since,
            through,
            at,
            begun_anew,
            ended,
            rules,
        }
    }
}

/// The thread's own.
struct Follower {
    inputs: Reader,
    decisions: Reader,
    judgement: Judgement,
    skipped: Arc<SkippedList>,
    durable: Arc<Durable>,
    /// A batch that is not judged before all that was decided before it is known.
    waiting: Option<(BatchHeader, Vec<u8>)>,
    /// The last live decision that was read.
    decided: u64,
    shared: Arc<Mutex<Compared>>,
}

impl Follower {
    /// Takes over the live state, then its own rules.
    fn begin(
        &mut self,
        state: &[u8],
        held: Option<Arc<Bundle>>,
        rules: Arc<Bundle>,
        (seq, at): (Seq, Timestamp),
    ) -> Result<(), String> {
        let loaded = Judgement::load(STATE_FORMAT, NonZeroUsize::MIN, state, held);
        self.judgement = loaded.map_err(|error| error.to_string())?;
        let prepared = Arc::new(Prepared::new(rules));
        let reload = Record {
            seq,
            at,
            input: Input::Reload(prepared.hash()),
        };
        self.judgement.provide_rules(prepared);
        self.judge(&[reload])
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

    fn shared(&self) -> std::sync::MutexGuard<'_, Compared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what was decided, then judges a batch. Whether there may be more.
    fn step(&mut self) -> Result<bool, String> {
        if self.behind() > BEHIND_RECORDS_MAX {
            return Err(format!(
                "it is more than {BEHIND_RECORDS_MAX} records behind"
            ));
        }
        self.read_decisions()?;
        if self.waiting.is_none() {
            let durable = self.durable.inputs();
            let next = self
                .inputs
                .next(durable)
                .map_err(|error| error.to_string())?;
            self.waiting = next.map(|(header, payload)| (header, payload.to_vec()));
        }
        let is_known = |(header, _): &(BatchHeader, Vec<u8>)| header.mark.number <= self.decided;
        if !self.waiting.as_ref().is_some_and(is_known) {
            return Ok(false);
        }
        let (header, payload) = self.waiting.take().expect("it waits");
        self.batch(&header, &payload)?;
        Ok(true)
    }

    fn read_decisions(&mut self) -> Result<(), String> {
        loop {
            let durable = self.durable.decisions();
            let next = self
                .decisions
                .next(durable)
                .map_err(|error| error.to_string())?;
            let Some((header, payload)) = next else {
                return Ok(());
            };
            let mut hash = DecisionHash::default();
            let decisions = decode_decisions(&header, payload, 0, &mut hash);
            let decisions = decisions.map_err(|error: RecoverError| error.to_string())?;
            self.decided = header.next() - 1;
            let mut compared = self.shared();
            for released in &decisions {
                compared.live.take(&released.decision);
            }
        }
    }

    fn batch(&mut self, header: &BatchHeader, payload: &[u8]) -> Result<(), String> {
        let skipped = Arc::clone(&self.skipped);
        let records = skipped.records(header.first, payload);
        let records: Result<Vec<_>, _> = records.collect();
        let records = records.map_err(|error| RecoverError::from(error).to_string())?;
        let mut rest = records.as_slice();
        while let Some((first, after)) = rest.split_first() {
            if let Input::Command(command) = &first.input {
                let readdressed = {
                    let compared = &mut *self.shared();
                    let Compared {
                        live,
                        shadow,
                        orders,
                        ..
                    } = compared;
                    live.readdress(first.seq, command, shadow, orders)
                };
                let input = readdressed.map_or(Input::Tick, Input::Command);
                self.judge(&[Record { input, ..*first }])?;
                rest = after;
                continue;
            }
            let is_plain = |record: &Record<'_>| !matches!(record.input, Input::Command(_));
            let plain = rest.iter().take_while(|record| is_plain(record)).count();
            let (plain, after) = rest.split_at(plain);
            let own: Vec<_> = plain.iter().map(without_reload).collect();
            self.judge(&own)?;
            rest = after;
        }
        let mut compared = self.shared();
        compared.through = header.next() - 1;
        compared.at = records.last().map(|record| record.at).or(compared.at);
        compared.begin_anew_if_full();
        Ok(())
    }

    fn judge(&mut self, records: &[Record<'_>]) -> Result<(), String> {
        let mut decisions: Vec<Decision> = Vec::new();
        let judgement = &mut self.judgement;
        let judged = catch_unwind(AssertUnwindSafe(|| {
            judgement.apply(records, &mut decisions);
        }));
        if judged.is_err() {
            let seq = self.judgement.judging();
            return Err(format!("record {seq} cannot be judged by its rules"));
        }
        let mut compared = self.shared();
        for decision in &decisions {
            let opened = matches!(decision.verdict, Verdict::IncidentOpened(_));
            compared.orders.opened += u64::from(opened);
            compared.orders.decisions += 1;
            compared.shadow.take(decision);
        }
        let readings = records.iter();
        let readings = readings.filter(|record| matches!(record.input, Input::Reading(_)));
        compared.orders.readings += readings.count() as u64;
        Ok(())
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
    fn begin_anew_if_full(&mut self) {
        let stories = [&self.live.story, &self.shadow];
        let is_full = |story: &&Story| {
            story.incidents.len() > INCIDENTS_MAX || story.evidence.len() > EVIDENCE_MAX
        };
        if stories.iter().any(is_full) {
            self.live = Recorded::default();
            self.shadow = Story::default();
            self.orders = Summary::default();
            self.since = self.through;
            self.begun_anew += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::disk::SystemDisk;

    fn compared() -> Compared {
        Compared {
            live: Recorded::default(),
            shadow: Story::default(),
            orders: Summary::default(),
            since: 0,
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
        compared.begin_anew_if_full();
        assert_eq!((compared.begun_anew, compared.since), (0, 0));
        compared.shadow.evidence.push((0, 0));
        compared.begin_anew_if_full();
        assert_eq!((compared.begun_anew, compared.since), (1, 7));
        assert!(compared.shadow.evidence.is_empty());
    }

    #[test]
    fn p5_a_shadow_that_is_left_behind_gives_up() {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let reader = |kind| Reader::new(Arc::clone(&disk), dir.path().to_owned(), kind, 1);
        let durable = Arc::new(Durable::new(BEHIND_RECORDS_MAX + 1, 0));
        let shared = Arc::new(Mutex::new(compared()));
        let follower = Follower {
            inputs: reader(LogKind::Inputs),
            decisions: reader(LogKind::Decisions),
            judgement: Judgement::new(NonZeroUsize::MIN),
            skipped: Arc::default(),
            durable,
            waiting: None,
            decided: 0,
            shared: Arc::clone(&shared),
        };
        let (_stop, stopped) = bounded(0);
        follower.run(&stopped);
        let seen = ShadowView(shared).look();
        assert!(seen.ended.unwrap().contains("8000000 records behind"));
    }
}
