use ioc_core::decision::DecisionHash;

use super::*;
use crate::examples::*;
use crate::wire::Hex;

/// A feed with batches of these many decisions, and the hash after each.
fn feed(decisions_max: usize, batches: &[u64]) -> (Feed, Vec<DecisionHash>) {
    let feed = Feed::new(decisions_max);
    let total = batches.iter().sum::<u64>();
    let decisions = (1..=total).map(|seq| updated(seq, "a")).collect();
    let published = publish(DecisionHash::default(), decisions);
    let hashes = published.iter().map(|each| each.hash).collect();
    let mut rest = published.into_iter();
    for count in batches {
        let entries = rest.by_ref().take(*count as usize).map(|each| Entry {
            decision: each.decision,
            hash: each.hash,
            json: each.json,
            control: false,
        });
        feed.push(Batch::new(entries.collect()));
    }
    (feed, hashes)
}

fn resume(epoch: &str, seq: u64, hash: DecisionHash) -> Resume {
    Resume {
        epoch: epoch.into(),
        seq,
        hash: Hex(&hash.0).to_string(),
    }
}

#[test]
fn p4_whoever_knows_the_hash_at_its_number_goes_on_there() {
    let (feed, hashes) = feed(100, &[1, 2, 3]);
    for seq in 0..=6u64 {
        let hash = seq
            .checked_sub(1)
            .map_or(DecisionHash::default(), |i| hashes[i as usize]);
        let start = feed.resume("e", &resume("e", seq, hash)).unwrap();
        assert_eq!((start.seq, start.hash), (seq, hash));
        let batches = feed.since(seq, usize::MAX).unwrap();
        let got: Vec<_> = batches.iter().flat_map(|b| b.after(seq)).collect();
        let numbers: Vec<_> = got.iter().map(|entry| entry.decision.seq).collect();
        assert_eq!(numbers, (seq + 1..=6).collect::<Vec<_>>());
    }
}

#[test]
fn p4_whoever_cannot_go_on_is_told_why() {
    let (feed, hashes) = feed(4, &[2, 2, 2]);
    let reason = |resume| feed.resume("e", &resume).unwrap_err();
    assert_eq!(
        reason(resume("f", 6, hashes[5])),
        SnapshotReason::EpochChanged
    );
    assert_eq!(reason(resume("e", 7, hashes[5])), SnapshotReason::Ahead);
    assert_eq!(
        reason(resume("e", 6, hashes[4])),
        SnapshotReason::HashDiffers
    );
    assert_eq!(reason(resume("e", 1, hashes[0])), SnapshotReason::TooOld);
    assert!(feed.resume("e", &resume("e", 2, hashes[1])).is_ok());
    let mut shortened = resume("e", 6, hashes[5]);
    shortened.hash.truncate(8);
    assert_eq!(reason(shortened), SnapshotReason::HashDiffers);
}

#[test]
fn centrifuge_go_159_an_empty_epoch_never_looks_recovered() {
    let (feed, _) = feed(4, &[]);
    let known = resume("", 0, DecisionHash::default());
    assert_eq!(
        feed.resume("", &known).unwrap_err(),
        SnapshotReason::EpochChanged
    );
}

#[test]
fn history_that_begins_late_cannot_be_resumed_before_its_first_decision() {
    let feed = Feed::new(4);
    feed.push(Batch::new(vec![entry(opened(10, "a"))]));
    let known = resume("e", 9, DecisionHash::default());
    assert_eq!(
        feed.resume("e", &known).unwrap_err(),
        SnapshotReason::TooOld
    );
    assert!(feed.since(0, usize::MAX).is_none());
}

#[test]
fn p5_the_ring_holds_no_more_than_its_bound_and_a_batch() {
    let (feed, _) = feed(4, &[3, 3, 3, 3]);
    assert!(feed.since(5, usize::MAX).is_none());
    let batches = feed.since(6, usize::MAX).unwrap();
    assert_eq!(batches.len(), 2);
    assert_eq!(feed.head().seq, 12);
}

#[test]
fn a_round_takes_no_more_bytes_than_asked_for_but_always_a_batch() {
    let (feed, _) = feed(100, &[3, 3, 3]);
    assert_eq!(feed.since(0, 1).unwrap().len(), 1);
    assert_eq!(feed.since(9, 1).unwrap().len(), 0);
    let one = feed.since(0, 1).unwrap()[0].frame().as_str().len();
    assert_eq!(feed.since(0, one + 1).unwrap().len(), 2);
}

#[test]
fn a_frame_is_the_decisions_bytes_and_each_is_a_part_of_it() {
    let (feed, hashes) = feed(100, &[2]);
    let batch = &feed.since(0, usize::MAX).unwrap()[0];
    let frame: serde_json::Value = serde_json::from_str(batch.frame()).unwrap();
    assert_eq!(frame["from"], 1);
    assert_eq!(frame["to"], 2);
    assert_eq!(frame["hash"], Hex(&hashes[1].0).to_string());
    let json: serde_json::Value = serde_json::from_slice(&batch.entries[1].json).unwrap();
    assert_eq!(frame["decisions"][1], json);
}
