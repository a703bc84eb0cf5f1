//! How much one source may send: a source that floods a lane does not take it from all others.
//!
//! Arrives: what a source sends, and when. Leaves: whether a reading of an urgent kind is urgent,
//! and whether telemetry may be handed over. Beyond its urgent quota a source is demoted: what it
//! sends is telemetry until all of that is settled, so that the readings of a sensor keep their
//! order. Beyond its telemetry quota its telemetry waits, and is folded as if the lane was full. A
//! source may have several ways in at once, as the requests of one sender; they share what it has
//! left. Who comes and goes is the same source as long as it owes anything ([`Sources`]): coming again
//! makes nobody younger, and neither does coming as another, for all that somebody comes as have
//! together what [`SOURCES_OF_ONE`] have. Next: `ledger.rs`.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::inputs::Inputs;
use super::lane::{Lane, Lanes};

/// A source may send what is allowed in so much time at once.
const BURST: Duration = Duration::from_secs(10);

/// How much a source may send in a second, by lane; `None`: as much as it likes.
pub type Rates = Lanes<Option<u32>>;

/// As how many sources somebody may send urgently at once: what those have that somebody comes as,
/// be they ever so many.
const SOURCES_OF_ONE: u32 = 10;

/// How many sources that come and go are told apart, and how many of those that come as them.
const SOURCES_MAX: usize = 16_384;
/// How often it is looked which of them owe nothing, at most: there are many.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Somebody who sends: a client, a link to a broker, or all that use one key.
#[derive(Debug, Clone)]
pub struct Source {
    left: Arc<Lanes<Bucket>>,
    /// What is left of what is urgent for all that the same one comes as.
    of_all: Option<Arc<Lanes<Bucket>>>,
}

/// What is left of an allowance.
#[derive(Debug)]
struct Bucket {
    /// When it is whole again, in nanoseconds since [`BEGAN`].
    whole_at: AtomicU64,
    /// How long it takes to make up for one, in nanoseconds; 0: nothing is counted.
    each: u64,
}

/// Some moment before all others.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

const BURST_NANOS: u64 = BURST.as_nanos() as u64;

fn nanos(now: Instant) -> u64 {
    now.saturating_duration_since(*BEGAN).as_nanos() as u64
}

impl Bucket {
    fn new(per_s: Option<u32>) -> Self {
        Self {
            whole_at: AtomicU64::new(0),
            each: per_s.map_or(0, |per_s| 1_000_000_000 / u64::from(per_s.max(1))),
        }
    }

    /// Takes one, if there is one.
    fn take_one(&self, now: u64) -> bool {
        self.change(|whole_at| {
            let whole_at = whole_at.max(now) + self.each;
            (whole_at - now <= BURST_NANOS).then_some(whole_at)
        })
        .is_ok()
    }

    /// Takes so many, if there is any; what is not there is owed. An error says how long to wait.
    fn take_many(&self, count: u32, now: u64) -> Result<(), Duration> {
        let taken = self.change(|whole_at| {
            let whole_at = whole_at.max(now);
            (whole_at - now <= BURST_NANOS).then(|| whole_at + u64::from(count) * self.each)
        });
        match taken {
            Ok(_) => Ok(()),
            Err(whole_at) => Err(Duration::from_nanos(whole_at - now - BURST_NANOS)),
        }
    }

    /// Whether nothing is owed: it is as if nothing had ever been taken.
    fn is_whole(&self, now: u64) -> bool {
        self.whole_at.load(Ordering::Relaxed) <= now
    }

    fn change(&self, change: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64> {
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        self.whole_at.fetch_update(set, get, change)
    }
}

impl Source {
    /// A source that may send so much.
    pub(super) fn new(rates: Rates) -> Self {
        LazyLock::force(&BEGAN);
        Self {
            left: Arc::new(Lanes::each(|lane| Bucket::new(*rates.of(lane)))),
            of_all: None,
        }
    }

    /// Whether anything is counted of it.
    fn is_counted(&self) -> bool {
        self.left.urgent.each > 0 || self.left.telemetry.each > 0
    }

    /// Whether it must be known again: somebody is it now, or it owes something.
    fn is_kept(&self, now: u64) -> bool {
        let is_whole = self.left.urgent.is_whole(now) && self.left.telemetry.is_whole(now);
        Arc::strong_count(&self.left) > 1 || !is_whole
    }

    /// Where what comes by one of its ways is collected.
    pub fn inputs(&self) -> Inputs {
        Inputs::of(Quota {
            source: self.clone(),
            now: 0,
            is_demoted: false,
        })
    }

    /// Whether what it sends in a lane is counted before it is handed over.
    pub(super) fn pays(&self, lane: Lane) -> bool {
        lane == Lane::Telemetry && self.left.telemetry.each > 0
    }

    /// Counts so much telemetry, or says how long it has to wait.
    pub(super) fn pay(&self, records: u32, now: Instant) -> Result<(), Duration> {
        self.left.telemetry.take_many(records, nanos(now))
    }
}

/// Sources that come and go, by who they are and by whose they are: at most [`SOURCES_MAX`] of
/// each; those beyond are one together, until others owe nothing any more.
#[derive(Debug)]
pub(crate) struct Sources<K, W> {
    known: Mutex<KnownSources<K>>,
    whose: Mutex<KnownSources<W>>,
}

#[derive(Debug)]
struct KnownSources<K> {
    rates: Rates,
    others: Source,
    by_key: HashMap<K, Source>,
    looked_at: Option<Instant>,
}

impl<K: Eq + Hash + Clone, W: Eq + Hash + Clone> Sources<K, W> {
    /// None yet, each of which may send so much.
    pub(super) fn new(rates: Rates) -> Self {
        let of_all = Rates {
            urgent: rates.urgent.map(|rate| rate.saturating_mul(SOURCES_OF_ONE)),
            telemetry: None,
        };
        Self {
            known: Mutex::new(KnownSources::new(rates)),
            whose: Mutex::new(KnownSources::new(of_all)),
        }
    }

    /// The source that this is, which is that one's.
    pub fn of(&self, key: &K, whose: &W, now: Instant) -> Source {
        let all = self
            .whose
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .of(whose, now);
        let own = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .of(key, now);
        Source {
            of_all: Some(all.left),
            ..own
        }
    }
}

impl<K: Eq + Hash + Clone> KnownSources<K> {
    fn new(rates: Rates) -> Self {
        Self {
            rates,
            others: Source::new(rates),
            by_key: HashMap::new(),
            looked_at: None,
        }
    }

    fn of(&mut self, key: &K, now: Instant) -> Source {
        if !self.others.is_counted() {
            return self.others.clone();
        }
        if let Some(source) = self.by_key.get(key) {
            return source.clone();
        }
        if self.by_key.len() >= SOURCES_MAX {
            self.forget(now);
        }
        if self.by_key.len() >= SOURCES_MAX {
            return self.others.clone();
        }
        let source = Source::new(self.rates);
        self.by_key.insert(key.clone(), source.clone());
        source
    }

    /// Forgets those who owe nothing, unless that was done a moment ago.
    fn forget(&mut self, now: Instant) {
        let looked = self.looked_at.map(|at| now.saturating_duration_since(at));
        if looked.is_none_or(|ago| ago >= LOOK_EVERY) {
            self.looked_at = Some(now);
            let now = nanos(now);
            self.by_key.retain(|_, source| source.is_kept(now));
        }
    }
}

/// What a source has left, seen from one of its ways.
#[derive(Debug)]
pub(super) struct Quota {
    pub source: Source,
    now: u64,
    is_demoted: bool,
}

impl Default for Quota {
    /// That of a source that may send as much as it likes.
    fn default() -> Self {
        Self {
            source: Source::new(Rates::default()),
            now: 0,
            is_demoted: false,
        }
    }
}

impl Quota {
    /// It is now so late.
    pub fn at(&mut self, now: Instant) {
        self.now = nanos(now);
    }

    /// Whether one more is urgent.
    pub fn take(&mut self) -> bool {
        let Source { left, of_all } = &self.source;
        let mut buckets = [Some(left), of_all.as_ref()].into_iter().flatten();
        self.is_demoted = self.is_demoted
            || buckets.any(|left| left.urgent.each > 0 && !left.urgent.take_one(self.now));
        !self.is_demoted
    }

    /// All telemetry of this way is settled: its order can no longer be upset.
    pub const fn is_settled(&mut self) {
        self.is_demoted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A source of ten a second in each lane.
    fn source() -> Source {
        Source::new(Lanes::each(|_| Some(10)))
    }

    fn quota(source: &Source, now: Instant) -> Quota {
        Quota {
            source: source.clone(),
            now: nanos(now),
            is_demoted: false,
        }
    }

    /// How many are urgent of far too many.
    fn urgent(quota: &mut Quota) -> usize {
        quota.is_settled();
        (0..1000).filter(|_| quota.take()).count()
    }

    #[test]
    fn p7_a_source_over_its_quota_is_demoted_until_what_it_sent_is_settled() {
        let (source, began) = (source(), Instant::now());
        let mut quota = quota(&source, began);
        assert_eq!(urgent(&mut quota), 100, "ten seconds' worth");
        quota.at(began + Duration::from_secs(3600));
        assert!(!quota.take(), "what it sent is not settled");
        assert_eq!(
            urgent(&mut quota),
            100,
            "no more, however long it was silent"
        );
        quota.at(began + Duration::from_millis(3_600_550));
        assert_eq!(urgent(&mut quota), 5);
    }

    #[test]
    fn the_ways_of_one_source_share_its_quota_and_those_of_another_do_not() {
        let (one, now) = (source(), Instant::now());
        assert_eq!(urgent(&mut quota(&one, now)), 100);
        assert_eq!(urgent(&mut quota(&one, now)), 0);
        assert_eq!(urgent(&mut quota(&source(), now)), 100);
        assert_eq!(urgent(&mut Quota::default()), 1000, "without a quota");
    }

    #[test]
    fn p7_who_comes_again_has_no_more_left_than_before() {
        let (sources, now) = (Sources::new(Lanes::each(|_| Some(10))), Instant::now());
        let left = |key: &'static str, now| urgent(&mut quota(&sources.of(&key, &0, now), now));
        assert_eq!(left("a", now), 100);
        assert_eq!(left("a", now), 0);
        assert_eq!(left("b", now), 100);
        assert_eq!(left("a", now + Duration::from_secs(1)), 10);
    }

    #[test]
    fn p7_who_comes_as_ever_others_has_no_more_than_ten_have() {
        let (sources, now) = (Sources::new(Lanes::each(|_| Some(10))), Instant::now());
        let left = |key: usize, whose: &str, now| {
            urgent(&mut quota(&sources.of(&key, &whose.to_owned(), now), now))
        };
        let all = (0..1000).map(|key| left(key, "ana", now)).sum::<usize>();
        assert_eq!(all, 1000, "ten seconds' worth of ten");
        assert_eq!(left(2000, "ben", now), 100, "another has what is his");
        let later = now + Duration::from_secs(1);
        assert_eq!(left(3000, "ana", later), 100);
        assert_eq!(left(3001, "ana", later), 0);
    }

    #[test]
    fn p5_sources_beyond_the_bound_are_one_until_others_owe_nothing() {
        let (sources, now) = (Sources::new(Lanes::each(|_| Some(10))), Instant::now());
        let left = |key: usize, now| urgent(&mut quota(&sources.of(&key, &key, now), now));
        for key in 0..SOURCES_MAX {
            assert_eq!(left(key, now), 100);
        }
        assert_eq!(left(SOURCES_MAX, now), 100);
        assert_eq!(left(SOURCES_MAX + 1, now), 0, "the others have spent it");
        // Ten seconds on, nobody owes anything; who is there meanwhile is kept.
        let later = now + Duration::from_secs(11);
        let there = sources.of(&0, &0, later);
        assert_eq!(left(SOURCES_MAX + 2, later), 100);
        let known = sources.known.lock().unwrap();
        assert_eq!(known.by_key.len(), 2);
        drop((known, there));
    }

    #[test]
    fn p5_a_source_over_its_rate_waits_until_it_has_made_up_for_what_it_sent() {
        let (source, now) = (source(), Instant::now());
        assert_eq!(source.pay(60, now), Ok(()));
        assert_eq!(source.pay(60, now), Ok(()), "what is not there is owed");
        let wait = source.pay(1, now).unwrap_err();
        assert_eq!(wait, Duration::from_secs(2));
        assert_eq!(source.pay(1, now + wait), Ok(()));
        assert!(source.pays(Lane::Telemetry) && !source.pays(Lane::Urgent));
        assert!(!Source::new(Rates::default()).pays(Lane::Telemetry));
    }
}
