//! Starts after accidents, with builds that judge one bundle differently or not at all.
//!
//! A build is what its bundles are: one that finds another bundle behind a hash than the record
//! names panics in that record, as a build with a fault in it would.

use std::cell::Cell;

use ioc_core::bundle::{Along, City, CorrelationRule, DetectionRule, HandlingRules, Report};
use ioc_core::bundle::{SuppressionRules, Test};
use ioc_core::decision::{Certainty, Released, Severity};
use ioc_core::place::Position;
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::Started;
use ioc_core::time::Millis;
use serde_json::Value;

use super::*;
use crate::clock::SystemTimeSource;
use crate::inspect;
use crate::journal::disk::SystemDisk;
use crate::retention::Retention;
use crate::snapshots::follower::Surroundings;
use crate::snapshots::{Due, FollowerOptions, follower};
use crate::writer::OwnedDeadLetter;

const A: BuildHash = BuildHash([0xa; 32]);
const B: BuildHash = BuildHash([0xb; 32]);
const RULES: BundleHash = BundleHash([1; 32]);
const OTHER_RULES: BundleHash = BundleHash([2; 32]);

/// Each call opens an incident, or joins one; without correlation it does not.
fn bundle(hash: BundleHash, correlates: bool) -> Arc<Bundle> {
    let test = Test::Report(Report {
        severity: Severity::Minor,
        certainty: Certainty::Possible,
        lasting: Millis::seconds(40),
        value_min: None,
        until: None,
        replaces: None,
        distinct: None,
    });
    let detection = DetectionRule {
        name: "calls".parse().unwrap(),
        hash: 1,
        kind: "call".parse().unwrap(),
        matching: Vec::new(),
        settle: Millis::ZERO,
        test,
    };
    let correlation = CorrelationRule {
        name: "crowd".parse().unwrap(),
        hash: 1,
        incident: "crowd".parse().unwrap(),
        detections: vec!["calls".parse().unwrap()],
        weights: vec![1],
        within_m: 100,
        same: Vec::new(),
        group_by: Vec::new(),
        along: Along::default(),
        front: None,
        stale_after: None,
        within: Millis::minutes(2),
        sources_min: 1,
        clear_after: Millis::seconds(15),
        reopen_within: Millis::seconds(60),
        may_cause: Vec::new(),
    };
    Arc::new(Bundle {
        hash,
        detections: vec![detection],
        correlations: correlates.then_some(correlation).into_iter().collect(),
        handling: HandlingRules::NONE,
        suppression: SuppressionRules::USUAL,
        city: City::default(),
    })
}

/// A build that judges all bundles.
fn sound(hash: BundleHash) -> Result<Arc<Bundle>, String> {
    Ok(bundle(hash, true))
}

/// A build that panics where [`OTHER_RULES`] come to hold.
fn faulty(hash: BundleHash) -> Result<Arc<Bundle>, String> {
    let found = if hash == OTHER_RULES { RULES } else { hash };
    Ok(bundle(found, true))
}

/// An outlet that only counts.
#[derive(Default)]
struct Counting(Cell<usize>);

impl Outlet for Counting {
    fn release(&mut self, decisions: Vec<Released>) {
        self.0.set(self.0.get() + decisions.len());
    }
    fn dead_letter(&mut self, _: &OwnedDeadLetter) {}
    fn resume(&mut self, _: &Snapshot) -> Result<(), CodecError> {
        Ok(())
    }
}

/// A data directory whose process comes and goes.
struct Site {
    dir: tempfile::TempDir,
    disk: Arc<dyn Disk>,
    time: SystemTimeSource,
}

impl Site {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            disk: Arc::new(SystemDisk),
            time: SystemTimeSource::default(),
        }
    }

    fn open(&self, build: BuildHash) -> Result<Opened<'_>, RecoverError> {
        let options = RecoverOptions {
            data: self.dir.path(),
            segment_bytes: 1 << 16,
            build,
            new_journal: JournalId([7; 16]),
            decisions_shown: 1000,
            time: &self.time,
        };
        open(&self.disk, options)
    }

    /// A start of a build, whose judgement is what its bundles are.
    fn start(
        &self,
        build: BuildHash,
        bundles: Bundles<'_>,
        skip: &[Seq],
    ) -> Result<Life, RecoverError> {
        let mut opened = self.open(build)?;
        opened.skip(skip)?;
        let shards = NonZeroUsize::new(1 + self.shards()).unwrap();
        let recovered = opened.replay(shards, bundles, &mut Counting::default())?;
        let digest = recovered.judgement.digest();
        let mut life = Life(recovered, digest);
        life.judge(&[started(build)]);
        Ok(life)
    }

    /// Each start has another number of shards: it must not matter.
    fn shards(&self) -> usize {
        fs_entries(&self.dir.path().join(INPUTS_DIR)) % 3
    }

    /// Both logs.
    fn dump(&self) -> Vec<Value> {
        let mut out = Vec::new();
        inspect::dump(self.dir.path(), &mut out).unwrap();
        let lines = std::str::from_utf8(&out).unwrap().lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The decisions as they stand in the log.
    fn published(&self) -> Vec<Value> {
        let lines = self.dump().into_iter();
        lines.filter(|line| line["type"].is_string()).collect()
    }

    /// How many records are skipped, how often the log says so, and how often that a tail was
    /// adopted.
    fn said(&self) -> [usize; 3] {
        let lines = self.dump();
        let count = |said: fn(&Value) -> bool| lines.iter().filter(|line| said(line)).count();
        [
            count(|line| line["skipped"] == true),
            count(|line| line["skip"].is_object()),
            count(|line| line["adopted"].is_object()),
        ]
    }
}

fn fs_entries(dir: &Path) -> usize {
    std::fs::read_dir(dir).map_or(0, Iterator::count)
}

/// A process without threads, and the digest of the state that it found.
struct Life(Recovered, [u8; 32]);

impl Life {
    /// As engine and writer do: durable first, then judged and released. Returns the number of the
    /// last record.
    fn judge(&mut self, inputs: &[Input<'_>]) -> Seq {
        let (first, payload) = self.append(inputs);
        let records: Vec<_> = ioc_core::record::Records::new(first, &payload)
            .map(Result::unwrap)
            .collect();
        let recovered = &mut self.0;
        recovered.last_at = records.last().map(|record| record.at);
        if let Some(Input::Reload(hash)) = inputs.first() {
            recovered.judgement.provide(bundle(*hash, true));
            recovered.bundle = Some(*hash);
        }
        let mut decisions = Vec::new();
        recovered.judgement.apply(&records, &mut decisions);
        let mut encoded = Vec::new();
        let released = recovered.numbering.number(decisions, &mut encoded);
        recovered.released = Mark {
            number: recovered.next - 1,
            hash: recovered.numbering.hash,
        };
        if !released.is_empty() {
            self.release(released.len() as u32, &encoded);
        }
        self.0.next - 1
    }

    /// Makes records durable that are not judged any more.
    fn append(&mut self, inputs: &[Input<'_>]) -> (Seq, Vec<u8>) {
        let recovered = &mut self.0;
        let mut payload = Vec::new();
        let first = recovered.next;
        for (input, seq) in inputs.iter().zip(first..) {
            Record::frame_input(at(seq), input, &mut payload);
        }
        let mark = Mark {
            number: recovered.numbering.last,
            hash: recovered.numbering.hash,
        };
        let log = &mut recovered.logs.0;
        let count = inputs.len() as u32;
        log.append(count, &payload, mark, Timestamp::default())
            .unwrap();
        log.sync().unwrap();
        recovered.next += u64::from(count);
        (first, payload)
    }

    fn release(&mut self, count: u32, encoded: &[u8]) {
        let Recovered { logs, released, .. } = &mut self.0;
        logs.1
            .append(count, encoded, *released, Timestamp::default())
            .unwrap();
        logs.1.sync().unwrap();
    }

    /// A clean end.
    fn drain(mut self) {
        self.release(0, &[]);
    }

    fn digest(&self) -> [u8; 32] {
        self.0.judgement.digest()
    }
}

/// Time passes with the records.
fn at(seq: Seq) -> Timestamp {
    Timestamp::from_millis(1_773_470_000_000 + 1000 * seq as i64)
}

fn started(build: BuildHash) -> Input<'static> {
    Input::Started(Started {
        down_from: None,
        down_to: at(1),
        build,
        clock: ioc_core::record::ClockKind::System,
    })
}

/// A call from a place of its own.
fn call(id: &str, place: i32) -> Input<'_> {
    Input::Reading(Reading {
        id,
        sensor: "call-1",
        kind: "call",
        observed_at: at(1),
        received_at: None,
        value: 1.0,
        unit: "",
        position: Position::from_micro_degrees(1_000_000 * place, 0),
        attributes: Attributes::default(),
    })
}

/// Started, rules, and a call that has opened an incident; then rules that nobody has judged yet
/// and a call after them. Returns the number of the record in which [`faulty`] panics.
fn crash(site: &Site) -> Seq {
    let mut life = site.start(A, &sound, &[]).unwrap();
    life.judge(&[Input::Reload(RULES)]);
    life.judge(&[call("one", 1)]);
    let (first, _) = life.append(&[call("two", 2), Input::Reload(OTHER_RULES), call("three", 3)]);
    first + 1
}

/// How a start failed.
fn failed(started: Result<Life, RecoverError>) -> RecoverError {
    started.err().expect("the start fails")
}

#[test]
fn a_record_that_stops_a_build_is_named_and_on_a_persons_word_passed_over() {
    let site = Site::new();
    let culprit = crash(&site);
    for _ in 0..2 {
        let error = failed(site.start(A, &faulty, &[]));
        assert!(
            matches!(&error, RecoverError::Unjudged { seq, .. } if *seq == culprit),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains(&format!("--skip-record {culprit}"))
        );
    }
    let life = site.start(A, &faulty, &[culprit]).unwrap();
    assert_eq!(life.0.bundle, Some(RULES), "the rules before it still hold");
    let opened = site.published();
    let opened = opened
        .iter()
        .filter(|decision| decision["type"] == "incident_opened");
    assert_eq!(
        opened.count(),
        3,
        "what came before and after it was judged"
    );
}

#[test]
fn p2_a_skipped_record_is_skipped_at_every_start_by_every_build_and_said_once() {
    let site = Site::new();
    let culprit = crash(&site);
    let mut life = site.start(A, &faulty, &[culprit]).unwrap();
    life.judge(&[call("four", 4)]);
    let digest = life.digest();
    drop(life);
    let published = site.published();

    // The same word again changes nothing.
    let life = site.start(A, &faulty, &[culprit]).unwrap();
    assert_eq!(life.1, digest);
    let digest = life.digest();
    drop(life);
    // One that could judge it does not either, be it the same build or another.
    let life = site.start(A, &sound, &[]).unwrap();
    assert_eq!(life.1, digest);
    let digest = life.digest();
    drop(life);
    adopt(&*site.disk, site.dir.path(), B).unwrap();
    let life = site.start(B, &sound, &[]).unwrap();
    assert_eq!(life.1, digest);
    let digest = life.digest();
    life.drain();
    assert_eq!(site.start(A, &faulty, &[]).unwrap().1, digest);
    assert_eq!(site.published(), published);

    assert_eq!(site.said(), [1, 1, 1]);
}

#[test]
fn two_records_are_skipped_one_after_another() {
    let site = Site::new();
    let first = crash(&site);
    // The engine was stopped by the same rules once more.
    let mut opened = site.open(A).unwrap();
    opened.skip(&[first]).unwrap();
    let recovered = opened.replay(NonZeroUsize::MIN, &sound, &mut Counting::default());
    let (second, _) = Life(recovered.unwrap(), [0; 32]).append(&[Input::Reload(OTHER_RULES)]);
    let error = failed(site.start(A, &faulty, &[]));
    assert!(
        matches!(error, RecoverError::Unjudged { seq, .. } if seq == second),
        "{error}"
    );
    let life = site.start(A, &faulty, &[second]).unwrap();
    let skipped: Vec<_> = life
        .0
        .skipped
        .iter()
        .map(|skipped| skipped.skip.seq)
        .collect();
    assert_eq!(skipped, [first, second]);
}

#[test]
fn a_list_that_was_lost_is_missed_and_made_again() {
    let site = Site::new();
    let culprit = crash(&site);
    let digest = site.start(A, &faulty, &[culprit]).unwrap().digest();
    std::fs::remove_file(site.dir.path().join(crate::skipped::SKIPPED_FILE)).unwrap();
    let error = failed(site.start(A, &sound, &[]));
    assert!(
        matches!(error, RecoverError::Skipped(SkippedError::Forgotten { seq }) if seq == culprit),
        "{error}"
    );
    let life = site.start(A, &sound, &[culprit]).unwrap();
    assert_eq!(life.1, digest);
    assert_eq!(site.said(), [1, 1, 0], "the log says so already");
}

#[test]
fn p4_a_build_that_cannot_judge_what_another_released_skips_it_and_no_number_changes() {
    let site = Site::new();
    let mut life = site.start(A, &sound, &[]).unwrap();
    life.judge(&[Input::Reload(RULES)]);
    life.judge(&[call("one", 1)]);
    let culprit = life.judge(&[Input::Reload(OTHER_RULES)]);
    life.judge(&[call("two", 2)]);
    life.drain();
    let published = site.published();

    let error = failed(site.start(B, &faulty, &[]));
    assert!(
        matches!(error, RecoverError::Unjudged { seq, .. } if seq == culprit),
        "{error}"
    );
    let mut life = site.start(B, &faulty, &[culprit]).unwrap();
    assert_eq!(site.published(), published);
    life.judge(&[call("three", 3)]);
    let digest = life.digest();
    drop(life);
    let life = site.start(B, &faulty, &[]).unwrap();
    assert_eq!(life.1, digest);
    assert_eq!(site.published()[..published.len()], published);
    let digest = life.digest();
    life.drain();
    // Back again: A takes over what B left, without the record too.
    assert_eq!(site.start(A, &sound, &[]).unwrap().1, digest);
    assert_eq!(site.published()[..published.len()], published);
}

#[test]
fn p4_rules_that_were_lost_after_they_had_been_judged_are_skipped_and_no_number_changes() {
    let lost = |hash: BundleHash| match hash {
        OTHER_RULES => Err("gone".to_owned()),
        hash => sound(hash),
    };
    // Killed at once, or after more had been judged of which nothing followed.
    for more in [&[][..], &[Input::Tick]] {
        let site = Site::new();
        let mut life = site.start(A, &sound, &[]).unwrap();
        life.judge(&[Input::Reload(RULES)]);
        life.judge(&[call("one", 1)]);
        let culprit = life.judge(&[Input::Reload(OTHER_RULES)]);
        more.iter().for_each(|input| {
            life.judge(&[*input]);
            life.judge(&[*input]);
        });
        drop(life);
        let published = site.published();
        let error = failed(site.start(A, &lost, &[]));
        assert!(
            error
                .to_string()
                .contains("the rules that it names cannot be loaded: gone")
        );
        let mut life = site.start(A, &lost, &[culprit]).unwrap();
        assert_eq!(
            (life.0.bundle, site.published()),
            (Some(RULES), published.clone())
        );
        life.judge(&[call("two", 2)]);
        let digest = life.digest();
        drop(life);
        assert_eq!(site.start(A, &lost, &[]).unwrap().1, digest);
        assert_eq!(site.published()[..published.len()], published);
    }
}

#[test]
fn what_is_not_to_be_skipped_is_refused() {
    let site = Site::new();
    let mut life = site.start(A, &sound, &[]).unwrap();
    life.judge(&[Input::Reload(RULES)]);
    let quiet = life.judge(&[Input::Tick]);
    let last = life.judge(&[call("one", 1)]);
    drop(life);
    let refused = |seq| match failed(site.start(A, &sound, &[seq])) {
        RecoverError::Skipped(refused) => refused,
        other => panic!("{other}"),
    };
    assert!(matches!(refused(last + 1), SkippedError::Missing { .. }));
    for judged in [quiet, last] {
        assert!(
            matches!(refused(judged), SkippedError::Judged { .. }),
            "{judged}"
        );
    }
    // Nothing of it is stored.
    let path = site.dir.path().join(crate::skipped::SKIPPED_FILE);
    assert!(!path.exists());
}

#[test]
fn a_record_that_a_snapshot_stands_for_is_not_skipped() {
    let site = Site::new();
    let culprit = crash(&site);
    let through = snapshot(&site, site.start(A, &sound, &[]).unwrap());
    let error = failed(site.start(A, &sound, &[culprit]));
    let refused = format!("a snapshot as of record {through} stands for it");
    assert!(error.to_string().contains(&refused), "{error}");
}

/// Ends a process cleanly, with a snapshot. Returns the record that it is as of.
fn snapshot(site: &Site, life: Life) -> Seq {
    let through = life.0.next - 1;
    let around = Surroundings {
        disk: Arc::clone(&site.disk),
        data: site.dir.path().to_owned(),
        journal: life.0.logs.0.journal(),
        build: A,
        time: Arc::new(SystemTimeSource::default()),
        durable: Arc::new(Durable::new(through, life.0.numbering.last)),
        bundles: Box::new(sound),
        view: Box::new(|| crate::snapshots::Section {
            format: ioc_ws::VIEW_FORMAT,
            bytes: Vec::new(),
        }),
        counted: ioc_ws::Counted::default(),
    };
    let options = FollowerOptions {
        due: Due {
            every: Duration::MAX,
            records: u64::MAX,
        },
        retention: Retention::EVERYTHING,
        decisions_shown: 1000,
    };
    let follower = follower::beside(around, options, &life.0, &Default::default());
    let released = life.0.released;
    life.drain();
    follower().unwrap().finish(released).unwrap();
    through
}

#[test]
fn a_snapshot_of_another_journal_is_passed_over() {
    let site = Site::new();
    let mut life = site.start(A, &sound, &[]).unwrap();
    life.judge(&[Input::Reload(RULES)]);
    let digest = life.digest();
    snapshot(&site, life);
    let newest = |snapshot: Snapshot| Ok(snapshot);
    let mut held = snapshots::newest(&*site.disk, site.dir.path(), newest)
        .unwrap()
        .unwrap();
    held.journal = JournalId([9; 16]);
    held.point.through += 1;
    let before = Some(held.point.through - 1);
    snapshots::write(&*site.disk, site.dir.path(), &held, before).unwrap();
    let life = site.start(A, &sound, &[]).unwrap();
    assert_eq!(life.0.snapshot.map(|point| point.through), before);
    assert_eq!(life.1, digest);
}

#[test]
fn p2_a_decisions_log_that_lost_what_another_build_released_is_noticed_by_the_marks() {
    let site = Site::new();
    let mut life = site.start(A, &sound, &[]).unwrap();
    life.judge(&[Input::Reload(RULES)]);
    life.judge(&[call("one", 1)]);
    life.drain();
    // B makes less of the same rules, and nothing of a tick: its marks alone say what A released.
    let dull = |hash| Ok(bundle(hash, false));
    let mut life = site.start(B, &dull, &[]).unwrap();
    life.judge(&[Input::Tick]);
    drop(life);
    std::fs::remove_dir_all(site.dir.path().join(DECISIONS_DIR)).unwrap();
    let error = failed(site.start(B, &dull, &[]));
    assert!(matches!(error, RecoverError::Diverged { .. }), "{error}");
}

#[test]
fn what_was_drained_is_nobodys_tail_even_if_nothing_was_decided() {
    let site = Site::new();
    let mut life = site.start(A, &sound, &[]).unwrap();
    life.judge(&[Input::Tick]);
    life.drain();
    assert!(site.start(B, &sound, &[]).is_ok());
}
