//! What the thread has cost, and a judgement that is told records one by one, with what each cost.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use ioc_core::bundle::Bundle;
use ioc_core::decision::{Decision, Verdict};
use ioc_core::id::IncidentId;
use ioc_core::judgement::Judgement;
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::{Input, Record, Seq};
use ioc_core::time::{Millis, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// Processor time of this thread so far.
pub fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What a thread's processor spends on some work.
pub fn spent<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let before = cpu();
    let made = work();
    (cpu() - before, made)
}

/// A judgement that is told records one by one, with a tick whenever a timer is due, as the host
/// does; and what each record cost.
#[derive(Debug)]
pub struct Stepped {
    /// It stands as after the last record.
    pub judgement: Judgement,
    /// Of the last record, as a host has those of a batch.
    decisions: Vec<Decision>,
    /// How many incidents have opened.
    pub opened: usize,
    /// The first of them.
    pub first: Option<IncidentId>,
    /// The one that opened last.
    pub last: Option<IncidentId>,
    /// How many sensors have fallen silent.
    pub silent: usize,
    at: Timestamp,
    seq: Seq,
    readings: usize,
    /// Of each record what it was and what it cost.
    pub costs: Vec<(&'static str, Duration)>,
}

impl Stepped {
    /// One under these rules, which it was told by its first record.
    pub fn under(bundle: &Arc<Bundle>) -> Self {
        let mut judgement = Judgement::new(NonZeroUsize::MIN);
        judgement.provide(Arc::clone(bundle));
        let mut stepped = Self {
            judgement,
            decisions: Vec::new(),
            opened: 0,
            first: None,
            last: None,
            silent: 0,
            at: Timestamp::parse(b"2026-03-14T00:00:00Z").expect("a time"),
            seq: 0,
            readings: 0,
            costs: Vec::new(),
        };
        stepped.apply("first reload", &Input::Reload(bundle.hash));
        stepped
    }

    /// The time of the last record, or to which time has passed.
    pub fn now(&self) -> Timestamp {
        self.at
    }

    /// Lets time pass, with a tick for each time at which something is due.
    pub fn until(&mut self, to: Timestamp, what: &'static str) {
        while let Some(due) = self.judgement.next_due().filter(|due| *due <= to) {
            self.at = self.at.max(due);
            self.apply(what, &Input::Tick);
        }
        self.at = self.at.max(to);
    }

    /// Time passes while nobody is there: nothing that is due is told.
    pub fn pass(&mut self, time: Millis) {
        self.at = self.at + time;
    }

    /// A reading of a sensor at this time.
    pub fn reads(&mut self, what: &'static str, sensor: &str, kind: &str, value: f64) {
        self.readings += 1;
        let id = format!("r{}", self.readings);
        let reading = Reading {
            id: &id,
            sensor,
            kind,
            observed_at: self.at,
            received_at: None,
            value,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        self.apply(what, &Input::Reading(reading));
    }

    /// Applies a record of this sort.
    pub fn apply(&mut self, what: &'static str, input: &Input<'_>) {
        self.seq += 1;
        let record = Record {
            seq: self.seq,
            at: self.at,
            input: *input,
        };
        let (cost, ()) = spent(|| self.judgement.apply(&[record], &mut self.decisions));
        self.costs.push((what, cost));
        for decision in self.decisions.drain(..) {
            let verdict = &decision.verdict;
            if let Verdict::IncidentOpened(incident) = verdict {
                self.opened += 1;
                self.first.get_or_insert(incident.id);
                self.last = Some(incident.id);
            }
            self.silent += usize::from(matches!(verdict, Verdict::SensorSilent(_)));
        }
    }
}

/// What records of one sort cost.
#[derive(Debug, Default, Clone)]
pub struct Sort {
    costs: Vec<Duration>,
}

impl Sort {
    /// How many there were.
    pub fn count(&self) -> usize {
        self.costs.len()
    }

    /// What the one cost that cost most.
    pub fn worst(&self) -> Duration {
        self.costs.iter().max().copied().unwrap_or_default()
    }

    /// Which of them cost most, from 0.
    pub fn worst_number(&self) -> usize {
        let costs = self.costs.iter().enumerate();
        costs.max_by_key(|(_, cost)| **cost).map_or(0, |(n, _)| n)
    }

    /// What all but one in a hundred cost at most.
    pub fn p99(&self) -> Duration {
        let mut costs = self.costs.clone();
        costs.sort_unstable();
        let place = costs.len().saturating_sub(1) * 99 / 100;
        costs.get(place).copied().unwrap_or_default()
    }
}

/// Runs a scene several times. The records are the same each time, so of each the least that it
/// cost is what it costs: what else the machine did is not in it.
pub fn least(
    rounds: usize,
    scene: impl Fn() -> Stepped,
) -> (BTreeMap<&'static str, Sort>, Stepped) {
    let mut last = scene();
    for _ in 1..rounds {
        let next = scene();
        assert_eq!(
            next.costs.len(),
            last.costs.len(),
            "a scene is the same each time"
        );
        let before = std::mem::take(&mut last.costs);
        last = next;
        for (cost, (_, before)) in last.costs.iter_mut().zip(before) {
            cost.1 = cost.1.min(before);
        }
    }
    let mut sorts: BTreeMap<&'static str, Sort> = BTreeMap::new();
    for (what, cost) in &last.costs {
        sorts.entry(what).or_default().costs.push(*cost);
    }
    (sorts, last)
}
