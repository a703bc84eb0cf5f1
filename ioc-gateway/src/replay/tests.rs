//! Letters that were noted, read again by another catalogue.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ioc_core::record::DeadLetter;

use super::*;
use crate::door::{Arrivals, DoorOptions};
use crate::formats::tests::{catalogue, gauges};
use crate::keys::{Key, NewKey};
use crate::options::Users;
use crate::rights::{Devices, Rights, Sensors};

struct Bench {
    replayer: Replayer,
    arrivals: Arrivals,
}

fn bench(letters: &[DeadLetter<'_>], keys: Option<Keys>) -> Bench {
    let senders = Senders {
        keys: keys.map(Arc::new),
        credentials: Credentials::Anonymous,
    };
    bench_of(letters, senders)
}

fn bench_of(letters: &[DeadLetter<'_>], senders: Senders) -> Bench {
    let mut catalogue = catalogue("hydro/+", gauges());
    catalogue.kind_units = [("water_level".into(), "m".into())].into();
    let shared = Arc::new(ArcSwap::from_pointee(catalogue));
    let (door, arrivals) = Door::new(DoorOptions::default(), shared);
    let noted = DeadLetters::default();
    for (seq, letter) in (1..).zip(letters) {
        noted.note(seq, Timestamp::from_millis(1_773_470_710_000), letter);
    }
    let wait = Duration::from_secs(60);
    let patience = Patience {
        door: wait,
        durable: wait,
    };
    Bench {
        replayer: Replayer::new(door, senders, noted, patience),
        arrivals,
    }
}

fn letter<'a>(topic: &'a str, payload: &'a [u8]) -> DeadLetter<'a> {
    DeadLetter {
        source: "mqtt a",
        topic,
        reason: "value_missing",
        detail: "as it was",
        payload,
        payload_bytes: payload.len() as u32,
        ..DeadLetter::default()
    }
}

const GAUGES: &[u8] =
    br#"{"at":1773470710,"gauges":[{"name":"g-1","level":1},{"name":"g-2","level":2},{"name":"g-3"}]}"#;

impl Bench {
    /// What a replay says of each letter, and what the engine got.
    fn replay(&self, choice: &Choice) -> (String, Vec<String>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut inputs = Vec::new();
        let summary = runtime.block_on(async {
            let replay = self.replayer.replay(choice);
            tokio::pin!(replay);
            loop {
                tokio::select! {
                    biased;
                    summary = &mut replay => return summary.unwrap(),
                    () = tokio::task::yield_now() => {}
                }
                while let Ok(arrival) = self.arrivals.queue(Lane::Telemetry).try_recv() {
                    self.arrivals.release(&arrival);
                    inputs.extend(arrival.inputs.iter().map(said));
                    arrival.ack.settle();
                }
            }
        });
        let told = |told: &Told| {
            let fate = serde_json::to_value(&told.fate).unwrap();
            let why = fate.get("reason").or(fate.get("dead_letters"));
            format!(
                "{} {} {}",
                told.seq,
                fate["outcome"].as_str().unwrap(),
                why.unwrap_or(&"".into())
            )
        };
        let told: Vec<_> = summary.letters.iter().map(told).collect();
        (told.join("\n"), inputs)
    }
}

fn said(bytes: &[u8]) -> String {
    match Input::decode(bytes).unwrap() {
        Input::Reread(reading) => format!(
            "{} of {} at {}",
            reading.id, reading.sensor, reading.observed_at
        ),
        Input::Reading(reading) => format!("{} of {} again", reading.id, reading.sensor),
        Input::DeadLetter(letter) => format!("dead letter {} at {}", letter.reason, letter.place),
        Input::Replayed(replayed) => format!("replayed {}", replayed.letter),
        other => panic!("{other:?}"),
    }
}

fn all() -> Choice {
    Choice {
        all: true,
        ..Choice::default()
    }
}

#[test]
fn p3_what_can_be_read_now_is_a_reading_of_its_own_time_once() {
    let native = br#"{"id":"e1","sensor":"wl-1","kind":"water_level","value":1,"observed_at":"2026-03-14T06:00:00Z"}"#;
    let bench = bench(
        &[
            letter("hydro/north", GAUGES),
            letter("ioc/v1/readings/wl-1", native),
            letter("/api/v1/readings", native),
            letter("/api/v1/readings", b"{}"),
        ],
        None,
    );
    let (told, inputs) = bench.replay(&all());
    assert_eq!(
        told,
        "1 replayed 1\n2 replayed 0\n3 replayed 0\n4 still_dead \"sensor_missing\""
    );
    let expected = [
        "g-1-1773470710 of g-1 at 2026-03-14T06:45:10.000Z",
        "g-2-1773470710 of g-2 at 2026-03-14T06:45:10.000Z",
        "dead letter value_missing at /gauges/2",
        "e1 of wl-1 at 2026-03-14T06:00:00.000Z",
        "e1 of wl-1 again",
        "replayed 1",
        "replayed 2",
        "replayed 3",
    ];
    assert_eq!(inputs, expected);
    let (told, inputs) = bench.replay(&all());
    assert_eq!(
        told,
        "1 already_replayed \"\"\n2 already_replayed \"\"\n3 already_replayed \"\"\n4 still_dead \"sensor_missing\""
    );
    assert!(inputs.is_empty());
}

#[test]
fn of_a_part_of_a_message_only_that_part_is_taken() {
    let part = |place| DeadLetter {
        place,
        ..letter("hydro/north", GAUGES)
    };
    let bench = bench(
        &[part("/gauges/1"), part("/gauges/2"), part("/gauges/7")],
        None,
    );
    let (told, inputs) = bench.replay(&all());
    assert_eq!(
        told,
        "1 replayed 0\n2 still_dead \"value_missing\"\n3 still_dead \"nothing_mapped\""
    );
    assert_eq!(
        inputs,
        [
            "g-2-1773470710 of g-2 at 2026-03-14T06:45:10.000Z",
            "replayed 1"
        ]
    );
}

#[test]
fn what_a_message_said_that_it_is_is_still_known_and_now_is_when_it_came() {
    let pack = letter(
        "/api/v1/readings",
        br#"[{"n":"wl-1.water_level","v":1,"t":-10}]"#,
    );
    let senml = DeadLetter {
        content_type: "application/senml+json",
        ..pack
    };
    let (told, inputs) = bench(&[senml], None).replay(&all());
    assert_eq!(told, "1 replayed 0");
    assert!(
        inputs[0].ends_with("of wl-1.water_level at 2026-03-14T06:45:00.000Z"),
        "{inputs:?}"
    );
}

#[test]
fn the_data_of_an_event_is_read_again_as_of_the_event() {
    let kept = r#"{"id":"7","source":"/pumps","specversion":"1.0","time":"2026-03-14T06:40:00Z","type":"level"}"#;
    let data = br#"{"sensor":"g-1","kind":"water_level","value":1,"unit":"m"}"#;
    let event = DeadLetter {
        event: kept,
        ..letter("pumps", data)
    };
    let (told, inputs) = bench(&[event], None).replay(&all());
    assert_eq!(told, "1 replayed 0");
    let expected = "/pumps 7 of g-1 at 2026-03-14T06:40:00.000Z";
    let of_the_event = "id and time are the event's";
    assert_eq!(inputs, [expected, "replayed 1"], "{of_the_event}");
}

#[test]
fn a_dry_run_does_nothing_and_a_choice_chooses() {
    let other = DeadLetter {
        reason: "unit_unknown",
        ..letter("hydro/south", GAUGES)
    };
    let bench = bench(&[letter("hydro/north", GAUGES), other], None);
    let dry = Choice {
        dry_run: true,
        ..all()
    };
    let (told, inputs) = bench.replay(&dry);
    assert_eq!(told, "1 replayed 1\n2 replayed 1");
    assert!(inputs.is_empty());
    let of = |choice: &str| serde_json::from_str::<Choice>(choice).unwrap();
    assert!(of("{}").is_empty() && of(r#"{"dry_run":true}"#).is_empty());
    for (choice, expected) in [
        (r#"{"seqs":[2],"topic":"hydro/north"}"#, ""),
        (r#"{"reason":"unit_unknown"}"#, "2 replayed 1"),
        (r#"{"seqs":[1,7]}"#, "1 replayed 1"),
        (r#"{"topic":"hydro/south"}"#, "2 already_replayed \"\""),
    ] {
        assert_eq!(bench.replay(&of(choice)).0, expected, "{choice}");
    }
}

#[test]
fn what_was_cut_cannot_be_read_again() {
    let cut = DeadLetter {
        payload_bytes: 5000,
        ..letter("hydro/north", GAUGES)
    };
    let (told, inputs) = bench(&[cut], None).replay(&all());
    assert_eq!(told, "1 cut \"\"");
    assert!(inputs.is_empty());
}

#[test]
fn p8_a_replay_gives_no_key_another_sensor() {
    let key = NewKey::new("pump", &["g-1".to_owned()], [1; 16]).unwrap();
    let keys = Keys::new([Key::of_line(&key.line).unwrap()]);
    let of = |source| DeadLetter {
        source,
        ..letter("hydro/north", GAUGES)
    };
    let bench = bench(
        &[of("http pump"), of("http gone"), of("mqtt pump")],
        Some(keys),
    );
    let (told, inputs) = bench.replay(&all());
    assert_eq!(
        told,
        "1 replayed 2\n2 still_dead \"sensor_not_of_key\"\n3 replayed 1"
    );
    let of_2 = inputs.iter().filter(|input| input.starts_with("g-2"));
    assert_eq!(of_2.count(), 1, "{inputs:?}");
}

#[test]
fn p8_a_replay_gives_no_user_another_sensor() {
    let rights = Rights {
        sensors: Sensors::of_words(["g-1"]).unwrap(),
        devices: Devices::Every,
    };
    let senders = Senders {
        keys: None,
        credentials: Credentials::Users(Users::with_rights([("north", "s3cret", rights)])),
    };
    let of = |source| DeadLetter {
        source,
        ..letter("hydro/north", GAUGES)
    };
    let letters = [
        of("mqtt pump as north"),
        of("mqtt x as north as gone"),
        of("mqtt city"),
    ];
    let (told, inputs) = bench_of(&letters, senders).replay(&all());
    assert_eq!(
        told,
        "1 replayed 2\n2 still_dead \"sensor_not_of_user\"\n3 replayed 1"
    );
    let of_2 = inputs.iter().filter(|input| input.starts_with("g-2"));
    assert_eq!(of_2.count(), 1, "{inputs:?}");
}

#[test]
fn p5_of_one_letter_the_first_readings_are_told_and_all_are_taken() {
    let gauges: Vec<_> = (0..50)
        .map(|n| format!(r#"{{"name":"g-{n}","level":1}}"#))
        .collect();
    let payload = format!(r#"{{"at":1773470710,"gauges":[{}]}}"#, gauges.join(","));
    let bench = bench(&[letter("hydro/north", payload.as_bytes())], None);
    let summary = {
        let mut reader = Reader::new(&bench.replayer.door.catalogue(), &bench.replayer.senders);
        reader.fate(&bench.replayer.letters.newest(1)[0])
    };
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(
        json["readings"].as_array().unwrap().len(),
        READINGS_TOLD_MAX
    );
    assert_eq!(json["readings_left_out"], 40);
    assert_eq!(bench.replay(&all()).1.len(), 51);
}

#[test]
fn p5_of_what_was_read_again_the_newest_is_remembered() {
    let mut reread = Reread::default();
    let count = Reread::COUNT_MAX as u64;
    for own in (0..=count).chain(count - 1..=count) {
        reread.note(own);
    }
    assert_eq!(reread.known.len(), Reread::COUNT_MAX);
    assert_eq!(reread.oldest_first.len(), Reread::COUNT_MAX);
    assert!(!reread.known.contains(&0) && reread.known.contains(&count));
}
