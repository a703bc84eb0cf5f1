//! P4: whoever was away misses no decision, or is told to take a new picture.

use serde_json::{Value, json};

use crate::support::*;

/// A console that keeps what it was told.
#[derive(Default)]
struct Console {
    known: Option<(String, u64, String)>,
    told: Vec<u64>,
    snapshots: Vec<u64>,
}

impl Console {
    fn hello(&self) -> Value {
        match &self.known {
            None => json!({"type":"hello"}),
            Some((epoch, seq, hash)) => json!({
                "type":"hello", "resume":{"epoch":epoch,"seq":seq,"hash":hash}
            }),
        }
    }

    /// Takes a message in, and checks that it follows.
    fn hear(&mut self, message: &Value, epoch: &str) {
        let hash = || message["hash"].as_str().unwrap().to_owned();
        match message["type"].as_str().unwrap() {
            "snapshot" => {
                let seq = message["seq"].as_u64().unwrap();
                self.snapshots.push(seq);
                self.known = Some((epoch.to_owned(), seq, hash()));
            }
            "frame" => {
                let (from, to) = (&message["from"], message["to"].as_u64().unwrap());
                assert_eq!(from, &json!(self.seq() + 1), "frames follow without a gap");
                let told = numbers(message);
                assert_eq!(told, (self.seq() + 1..=to).collect::<Vec<_>>());
                self.told.extend(told);
                self.known = Some((epoch.to_owned(), to, hash()));
            }
            _ => {}
        }
    }

    fn seq(&self) -> u64 {
        self.known.as_ref().map_or(0, |(_, seq, _)| *seq)
    }
}

/// A number below `bound`, from a seed (a linear congruence after Knuth).
fn pick(seed: &mut u64, bound: u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % bound
}

/// Disconnects again and again while decisions go on; returns what the console was told.
async fn come_and_go(mut seed: u64, ring_decisions_max: usize, away_max: u64) -> Console {
    let mut options = options("epoch-1");
    options.ring_decisions_max = ring_decisions_max;
    options.fold_after_decisions = u64::MAX;
    let mut served = Served::with(options).await;
    let mut console = Console::default();
    for _ in 0..25 {
        let away = pick(&mut seed, away_max);
        served.release((0..away).map(|each| updated("a", each)));
        let mut client = served.connect(console.hello()).await;
        let welcome = client.hear().await;
        let resumes = welcome["next"] == "decisions";
        let reason = welcome["reason"].as_str().unwrap_or("none").to_owned();
        assert!(
            resumes || reason == "first" || reason == "too_old",
            "{reason} with seed {seed}"
        );
        let newest = welcome["seq"].as_u64().unwrap();
        for _ in 0..1 + pick(&mut seed, 4) {
            if resumes && console.seq() >= newest {
                let more = 1 + pick(&mut seed, 30);
                served.release((0..more).map(|each| updated("b", each)));
            }
            console.hear(&client.hear().await, "epoch-1");
            if !resumes || console.seq() >= newest {
                break;
            }
        }
    }
    let mut client = served.connect(console.hello()).await;
    client.hear().await;
    while console.seq() < served.history.seq {
        console.hear(&client.hear().await, "epoch-1");
    }
    console
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_console_that_comes_and_goes_is_told_each_decision_once() {
    for seed in 1..=8 {
        let console = come_and_go(seed, 100_000, 120).await;
        assert_eq!(console.snapshots.len(), 1, "seed {seed}");
        let first = console.snapshots[0] + 1;
        let last = console.seq();
        assert_eq!(
            console.told,
            (first..=last).collect::<Vec<_>>(),
            "seed {seed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_console_away_for_longer_than_the_ring_is_told_to_take_the_picture() {
    for seed in 1..=8 {
        let console = come_and_go(seed, 40, 900).await;
        assert!(console.snapshots.len() > 1, "seed {seed}");
        assert!(
            console.told.is_sorted_by(|a, b| a < b),
            "none comes twice with seed {seed}"
        );
    }
}

#[tokio::test]
async fn p4_another_journal_or_another_history_is_noticed() {
    let mut served = Served::new().await;
    served.release([opened("a"), opened("b")]);
    let hello = |epoch: &str, seq: u64, hash: &str| json!({"type":"hello","resume":{"epoch":epoch,"seq":seq,"hash":hash}});
    let mut client = served.connect(json!({"type":"hello"})).await;
    let hash = client.hear_of("snapshot").await["hash"]
        .as_str()
        .unwrap()
        .to_owned();
    for (epoch, seq, hash, reason) in [
        ("epoch-0", 2, hash.as_str(), "epoch_changed"),
        ("epoch-1", 1, hash.as_str(), "hash_differs"),
        ("epoch-1", 2, "", "hash_differs"),
        ("epoch-1", 3, hash.as_str(), "ahead"),
    ] {
        let mut client = served.connect(hello(epoch, seq, hash)).await;
        let welcome = client.hear().await;
        assert_eq!(
            (&welcome["next"], &welcome["reason"]),
            (&json!("snapshot"), &json!(reason))
        );
        assert_eq!(client.hear().await["type"], "snapshot");
    }
}

#[tokio::test]
async fn centrifuge_go_159_an_empty_epoch_does_not_look_recovered() {
    let mut served = Served::with(options("")).await;
    served.release([opened("a")]);
    let mut console = Console::default();
    let mut client = served.connect(console.hello()).await;
    client.hear().await;
    console.hear(&client.hear().await, "");
    let mut client = served.connect(console.hello()).await;
    assert_eq!(client.hear().await["reason"], "epoch_changed");
}

#[tokio::test]
async fn thingsboard_15363_a_console_that_reconnects_hears_what_comes_next() {
    let mut served = Served::new().await;
    let mut console = Console::default();
    for round in 1..=5 {
        let mut client = served.connect(console.hello()).await;
        let welcome = client.hear().await;
        if welcome["next"] == "snapshot" {
            console.hear(&client.hear().await, "epoch-1");
        }
        served.release([updated("a", round)]);
        console.hear(&client.hear().await, "epoch-1");
        assert_eq!(console.seq(), round);
    }
}
