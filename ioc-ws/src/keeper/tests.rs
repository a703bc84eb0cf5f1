//! The keeper's bounds: what waits, what is split, what is dropped.

use std::time::Duration;

use ioc_core::decision::DecisionHash;

use super::*;
use crate::auth::Token;
use crate::examples::*;
use crate::feed::Batch;

const DEADLINE: Duration = Duration::from_secs(60);

fn options() -> WindowOptions {
    let clock = Arc::new(|| at(0));
    WindowOptions::new("epoch".into(), Token::new("t"), clock)
}

fn sample(sensor: &str) -> Sample {
    Sample {
        sensor: sensor.parse().unwrap(),
        kind: "water_level".parse().unwrap(),
        value: 1.0,
        unit: "m".into(),
        observed_at: at(1),
        position: None,
    }
}

#[test]
fn how_often_an_operator_was_called_is_counted_of_what_is_released() {
    let (kept, _keeper) = new(options());
    let story = vec![
        opened(1, "a"),
        updated(2, "a"),
        rose(3, "a"),
        cleared(4, "a"),
        reopened(5, "a"),
    ];
    kept.release(publish(DecisionHash::default(), story));
    assert_eq!(
        [6, 602, 700].map(|now| kept.calls_lately(at(now))),
        [3, 2, 0]
    );
}

#[test]
fn p5_the_host_waits_while_the_keeper_has_all_it_may() {
    let mut options = options();
    options.release_batches_max = 1;
    let (kept, mut keeper) = new(options);
    let mut published = publish(
        DecisionHash::default(),
        vec![opened(1, "a"), opened(2, "b")],
    );
    let second = published.split_off(1);
    kept.release(published);
    assert!(kept.releases.is_full());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| kept.release(second));
        let until = std::time::Instant::now() + DEADLINE;
        while keeper.feed.head().seq < 2 {
            assert!(std::time::Instant::now() < until, "a batch is lost");
            assert!(kept.releases.len() <= 1);
            keeper.step();
        }
        waiting.join().unwrap();
    });
}

#[test]
fn p5_what_readings_say_in_words_is_dropped_where_it_finds_no_room() {
    let (kept, mut keeper) = new(options());
    for number in 0..=HEARD_BATCHES_MAX {
        kept.heard(vec![Statement {
            sensor: "met".parse().unwrap(),
            reading: number.to_string().parse().unwrap(),
            headline: "Rivers rise".into(),
            web: None,
            replaces: "".into(),
        }]);
    }
    assert_eq!(kept.heard.len(), HEARD_BATCHES_MAX);
    keeper.step();
    assert!(kept.heard.is_empty());
}

#[test]
fn p5_samples_that_find_no_room_are_dropped_and_nobody_waits() {
    let mut options = options();
    options.sample_batches_max = 2;
    let (kept, mut keeper) = new(options);
    for sensor in ["wl-1", "wl-2", "wl-3"] {
        kept.sample(vec![sample(sensor)]);
    }
    keeper.step();
    keeper.step();
    let picture = keeper.view.picture();
    let sensors: Vec<_> = picture.samples.iter().map(|s| s.sensor.as_str()).collect();
    assert_eq!(sensors, ["wl-1", "wl-2"]);
}

#[test]
fn p5_decisions_are_split_into_batches_of_bounded_size() {
    let (kept, mut keeper) = new(options());
    let count = 2 * Batch::DECISIONS_MAX as u64 + 10;
    let decisions = (1..=count).map(|seq| updated(seq, "a")).collect();
    kept.release(publish(DecisionHash::default(), decisions));
    keeper.step();
    let batches = kept.feed.since(0, usize::MAX).unwrap();
    let sizes: Vec<_> = batches.iter().map(|batch| batch.after(0).len()).collect();
    assert_eq!(sizes, [Batch::DECISIONS_MAX, Batch::DECISIONS_MAX, 10]);

    let (kept, mut keeper) = new(options());
    let mut long = publish(
        DecisionHash::default(),
        (1..=3).map(|seq| updated(seq, "a")).collect(),
    );
    for published in &mut long {
        let text = format!("\"{}\"", "x".repeat(Batch::BYTES_MAX / 2));
        published.json = text.into();
    }
    kept.release(long);
    keeper.step();
    let batches = kept.feed.since(0, usize::MAX).unwrap();
    let sizes: Vec<_> = batches.iter().map(|batch| batch.after(0).len()).collect();
    assert_eq!(sizes, [2, 1], "a batch with that many bytes takes no more");
}

#[test]
fn p5_a_frame_of_readings_is_bounded_and_who_lags_misses_the_oldest() {
    let mut options = options();
    options.readings_frame_max = 2;
    let (kept, mut keeper) = new(options);
    let mut session = kept.readings();
    let sensors = 2 * (READINGS_LAG_MAX + 3);
    kept.sample((0..sensors).map(|n| sample(&format!("s-{n}"))).collect());
    keeper.step();
    while !keeper.untold.is_empty() {
        keeper.tell_readings();
    }
    let lagged = session.try_recv();
    assert!(matches!(
        lagged,
        Err(broadcast::error::TryRecvError::Lagged(3))
    ));
    let frames: Vec<_> = std::iter::from_fn(|| session.try_recv().ok()).collect();
    assert_eq!(frames.len(), READINGS_LAG_MAX);
    for frame in frames {
        let frame: serde_json::Value = serde_json::from_str(&frame).unwrap();
        assert_eq!(frame["readings"].as_array().unwrap().len(), 2);
    }
}
