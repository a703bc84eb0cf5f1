//! Letters that were noted, read again by another catalogue.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ioc_core::record::DeadLetter;

use super::log::{PAGE_BYTES_MAX, PAGE_LETTERS_MAX, Seen};
use super::*;
use crate::door::{Arrivals, DoorOptions};
use crate::formats::append_message;
use crate::formats::mapping::{Format, Level, Moment, Names, ReadingShape, Shape, Whence};
use crate::formats::tests::{catalogue, gauges, registered};
use crate::keys::{Key, NewKey};
use crate::options::Users;
use crate::rights::{Devices, Rights, Sensors};

struct Bench {
    replayer: Replayer,
    arrivals: Arrivals,
    log: Arc<MemoryLog>,
    /// When the next replay is.
    now: Cell<Timestamp>,
}

/// When the letters came.
const CAME_AT: Timestamp = Timestamp::from_millis(1_773_470_710_000);

fn bench(letters: &[DeadLetter<'_>], keys: Option<Keys>) -> Bench {
    let senders = Senders {
        keys: keys.map(Arc::new),
        credentials: Credentials::Anonymous,
    };
    bench_of(letters, senders)
}

fn bench_of(letters: &[DeadLetter<'_>], senders: Senders) -> Bench {
    bench_by(letters, senders, gauges())
}

fn bench_by(letters: &[DeadLetter<'_>], senders: Senders, format: Format) -> Bench {
    bench_knowing(letters, senders, catalogue("hydro/+", format))
}

fn bench_knowing(letters: &[DeadLetter<'_>], senders: Senders, mut catalogue: Catalogue) -> Bench {
    catalogue.kind_units = [("water_level".into(), "m".into())].into();
    let shared = Arc::new(ArcSwap::from_pointee(catalogue));
    let (door, arrivals) = Door::new(DoorOptions::default(), shared);
    let (noted, log) = (DeadLetters::default(), Arc::<MemoryLog>::default());
    for letter in letters {
        let seq = log.push(CAME_AT, &Input::DeadLetter(*letter));
        noted.note(seq, CAME_AT, letter);
    }
    let wait = Duration::from_secs(60);
    let patience = Patience {
        door: wait,
        durable: wait,
    };
    Bench {
        replayer: Replayer::new(door, senders, (noted, Arc::clone(&log) as _), patience),
        arrivals,
        log,
        now: Cell::new(CAME_AT),
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
        let (summary, inputs) = self.summary(choice);
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

    fn summary(&self, choice: &Choice) -> (Summary, Vec<String>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut inputs = Vec::new();
        let mut take = || {
            while let Ok(arrival) = self.arrivals.queue(Lane::Telemetry).try_recv() {
                self.arrivals.release(&arrival);
                for input in arrival.inputs.iter() {
                    self.log.append(self.now.get(), input);
                }
                inputs.extend(arrival.inputs.iter().map(said));
                arrival.ack.settle();
            }
        };
        let summary = runtime.block_on(async {
            let replay = self.replayer.replay(choice);
            tokio::pin!(replay);
            loop {
                tokio::select! {
                    biased;
                    summary = &mut replay => return summary.unwrap(),
                    () = tokio::task::yield_now() => {}
                }
                take();
            }
        });
        // It may have come to its end without waiting for anything.
        take();
        (summary, inputs)
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
        "dead letter value_missing at @1773470710000 /gauges/2",
        "replayed 1",
        "e1 of wl-1 at 2026-03-14T06:00:00.000Z",
        "replayed 2",
        "e1 of wl-1 again",
        "replayed 3",
    ];
    assert_eq!(inputs, expected);
    let (told, inputs) = bench.replay(&all());
    assert_eq!(
        told,
        "1 already_replayed \"\"\n2 already_replayed \"\"\n3 already_replayed \"\"\n4 still_dead \"sensor_missing\"\n7 still_dead \"value_missing\""
    );
    assert!(inputs.is_empty());
}

#[test]
fn what_is_left_of_a_topic_that_was_too_long_is_read_as_no_other() {
    let Format::Json(mut shape) = gauges() else {
        unreachable!("gauges are JSON");
    };
    shape.readings[0].sensor = "topic 2".parse().unwrap();
    let of = |bytes: usize| format!("hydro/n/{}", "x".repeat(bytes - "hydro/n/".len()));
    let topics = [508, 509, 512].map(of);
    let letters = topics.each_ref().map(|topic| letter(topic, GAUGES));
    let senders = Senders {
        keys: None,
        credentials: Credentials::Anonymous,
    };
    let bench = bench_knowing(&letters, senders, catalogue("hydro/#", Format::Json(shape)));
    let (told, _) = bench.replay(&all());
    let long = "still_dead \"topic_too_long\"";
    assert_eq!(told, format!("1 replayed 1\n2 {long}\n3 {long}"));
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
fn of_a_part_in_which_its_mapping_looks_for_a_list_now_all_of_that_is_taken() {
    let Format::Json(mut shape) = gauges() else {
        unreachable!("gauges are JSON");
    };
    let places = ["/stations", "/gauges"].map(|place| place.parse().unwrap());
    shape.each = places.map(Level::Elements).into();
    let stations = br#"{"at":1773470710,"stations":[{"gauges":[{"name":"g-1","level":1}]},
        {"gauges":[{"name":"g-2","level":2},{"name":"g-3"}]},{"gauges":[{"name":"g-4","level":4}]}]}"#;
    let part = |place| DeadLetter {
        place,
        ..letter("hydro/north", stations)
    };
    let letters = [
        part("/stations/1"),
        part("/stations/3"),
        part("/stations/2, readings[1]"),
    ];
    let nobody = Senders {
        keys: None,
        credentials: Credentials::Anonymous,
    };
    let (told, inputs) = bench_by(&letters, nobody, Format::Json(shape)).replay(&all());
    assert_eq!(
        told,
        "1 replayed 1\n2 still_dead \"nothing_mapped\"\n3 still_dead \"nothing_mapped\""
    );
    assert_eq!(
        inputs,
        [
            "g-2-1773470710 of g-2 at 2026-03-14T06:45:10.000Z",
            "dead letter value_missing at @1773470710000 /stations/1/gauges/1",
            "replayed 1"
        ]
    );
}

#[test]
fn a_place_lies_in_another_by_whole_steps_and_of_its_entry() {
    for (place, around, expected) in [
        ("/a/1/b/0", "/a/1", true),
        ("/a/1/b/0, readings[1]", "/a/1", true),
        ("/a/1/b/0, readings[1]", "/a/1, readings[1]", true),
        ("/a/1/b/0, readings[0]", "/a/1, readings[1]", false),
        ("/a/1/b/0", "/a/1, readings[1]", false),
        ("/a/10/b/0", "/a/1", false),
        ("/a/1", "/a/1", false),
        ("/a/1, readings[1]", "/a/1", true),
        ("/0, readings[1]", "readings[1]", true),
        ("/0, readings[0]", "readings[1]", false),
        ("/a", "/a/1", false),
    ] {
        assert_eq!(is_within(place, around), expected, "{place} in {around}");
    }
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
        (
            r#"{"topic":"hydro/south"}"#,
            "2 already_replayed \"\"\n5 still_dead \"value_missing\"",
        ),
    ] {
        assert_eq!(bench.replay(&of(choice)).0, expected, "{choice}");
    }
}

#[test]
fn letters_are_chosen_by_source_and_time_too() {
    let of = |source| DeadLetter {
        source,
        ..letter("hydro/north", GAUGES)
    };
    let bench = bench(&[of("mqtt a"), of("mqtt b")], None);
    let choice = |choice: &str| serde_json::from_str::<Choice>(choice).unwrap();
    let wrong = serde_json::from_str::<Choice>(r#"{"since":"yesterday"}"#);
    assert!(wrong.unwrap_err().to_string().contains("2026-03-14"));
    for (chosen, expected) in [
        (r#"{"since":"2026-03-14T06:45:11Z"}"#, ""),
        (r#"{"source":"mqtt c"}"#, ""),
        (r#"{"source":"mqtt b"}"#, "2 replayed 1"),
        (
            r#"{"since":"2026-03-14T06:45:10Z","source":"mqtt a"}"#,
            "1 replayed 1",
        ),
    ] {
        assert!(!choice(chosen).is_empty());
        assert_eq!(bench.replay(&choice(chosen)).0, expected, "{chosen}");
    }
}

#[test]
fn p3_a_replay_that_was_cut_anywhere_is_brought_to_its_end_and_nothing_is_judged_twice() {
    let other =
        br#"{"at":1773470710,"gauges":[{"name":"g-4","level":1},{"name":"g-5","level":2}]}"#;
    let letters = [letter("hydro/north", GAUGES), letter("hydro/north", other)];
    let whole = bench(&letters, None).replay(&all()).1.len();
    for cut in 0..=whole {
        let bench = bench(&letters, None);
        let (_, first) = bench.replay(&all());
        bench.log.cut(letters.len() + cut);
        let (_, second) = bench.replay(&all());
        let judged = first[..cut].iter().chain(&second);
        let mut readings: Vec<_> = judged
            .clone()
            .filter(|input| input.contains(" at 2026"))
            .collect();
        readings.sort();
        assert_eq!(readings.len(), 4, "{cut}: {readings:?}");
        readings.dedup();
        assert_eq!(readings.len(), 4, "{cut}: {readings:?}");
        let marks: Vec<_> = judged
            .filter(|input| input.starts_with("replayed"))
            .collect();
        assert_eq!(marks, ["replayed 1", "replayed 2"], "{cut}");
    }
}

#[test]
fn a_part_that_keeps_just_itself_is_read_out_of_the_message_that_the_first_keeps() {
    let blanks = " ".repeat(DeadLetter::BEGINNING_BYTES_MAX);
    let message = [GAUGES, blanks.as_bytes()].concat();
    let part = |place, payload| DeadLetter {
        place,
        payload,
        payload_bytes: message.len() as u32,
        ..letter("hydro/north", b"")
    };
    let itself = part("/gauges/1", br#"{"name":"g-2","level":2}"#);
    let elsewhere = DeadLetter {
        topic: "hydro/south",
        ..itself
    };
    let bench = bench(&[part("/gauges/0", &message), elsewhere, itself], None);
    let one = Choice {
        seqs: [3].into(),
        ..Choice::default()
    };
    let (told, inputs) = bench.replay(&one);
    assert_eq!(told, "3 replayed 0");
    assert_eq!(
        inputs[0],
        "g-2-1773470710 of g-2 at 2026-03-14T06:45:10.000Z"
    );
    assert_eq!(
        bench.replay(&all()).0,
        "1 replayed 0\n2 cut \"\"\n3 already_replayed \"\""
    );
}

#[test]
fn p5_of_many_letters_the_first_are_told_and_all_are_replayed() {
    let messages: Vec<_> = (0..LETTERS_TOLD_MAX + 5)
        .map(|n| format!(r#"{{"at":1773470710,"gauges":[{{"name":"g-{n}","level":1}}]}}"#))
        .collect();
    let letters: Vec<_> = messages
        .iter()
        .map(|message| letter("hydro/north", message.as_bytes()))
        .collect();
    let bench = bench(&letters, None);
    let (told, inputs) = bench.replay(&all());
    assert_eq!(told.lines().count(), LETTERS_TOLD_MAX);
    assert_eq!(inputs.len(), 2 * letters.len());
    let running = serde_json::to_value(bench.replayer.running()).unwrap();
    assert_eq!(running["replayed"], letters.len());
    assert_eq!(running["running"], false);
}

#[test]
fn p3_letters_that_are_not_durable_in_time_are_not_replayed_again() {
    let message =
        br#"{"at":1773470710,"gauges":[{"name":"g-1","level":1},{"name":"g-2","level":2}]}"#;
    let mut bench = bench(&[letter("hydro/north", message)], None);
    bench.replayer.patience.durable = Duration::ZERO;
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let replayed = runtime.block_on(bench.replayer.replay(&all()));
    assert_eq!(replayed.unwrap_err(), Stopped::NotDurable);
    let under_way = |bench: &Bench| {
        let under_way = runtime.block_on(bench.replayer.under_way.lock());
        (under_way.letters.len(), under_way.readings.len())
    };
    assert_eq!(under_way(&bench), (1, 2));
    // They are on their way to the disk, and the log does not say so yet.
    bench.replayer.patience.durable = Duration::from_secs(60);
    let (told, inputs) = bench.replay(&all());
    assert_eq!(told, "1 already_replayed \"\"");
    assert_eq!(
        inputs.last().map(String::as_str),
        Some("replayed 1"),
        "of the first time"
    );
    assert_eq!(inputs.len(), 3);
    // Now it does.
    assert_eq!(bench.replay(&all()).0, "1 already_replayed \"\"");
    assert_eq!(under_way(&bench), (0, 0));

    let many = (2..).take(UNDER_WAY_MAX).collect();
    runtime.block_on(bench.replayer.under_way.lock()).letters = many;
    let refused = runtime.block_on(bench.replayer.replay(&all()));
    assert_eq!(refused.unwrap_err(), Stopped::NotDurable);
}

#[test]
fn p5_more_replayed_letters_than_are_kept_in_mind_are_refused() {
    let log = MemoryLog::default();
    for letter in 0..5 {
        log.push(CAME_AT, &Input::Replayed(Replayed { letter }));
    }
    let read = |max| {
        let (mut reread, running) = (Reread::default(), Running::default());
        Known::read_within(&log, 1..=5, &all(), (&mut reread, &running), max)
            .map(|known| known.is_replayed(4))
    };
    assert_eq!(read(5), Ok(true));
    assert_eq!(read(4), Err(Stopped::TooManyReplayed));
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

/// The letters of the log by the page, and how many there were.
fn pages(log: &MemoryLog, last: Seq) -> (Vec<Vec<NotedLetter>>, Seen) {
    let mut pages = Vec::new();
    let seen = log::letters(log, 1..=last, &all(), &Running::default(), &mut |page| {
        pages.push(page);
        ControlFlow::Continue(())
    });
    (pages, seen.unwrap())
}

#[test]
fn p5_a_page_of_letters_ends_however_little_their_messages_say() {
    let long = "x".repeat(200);
    let cases: [(&[u8], &str); 3] = [(b"", ""), (b"{}", ""), (b"", &long)];
    for (payload, detail) in cases {
        let log = MemoryLog::default();
        let short = DeadLetter {
            detail,
            ..letter("hydro/north", payload)
        };
        let count = 2 * PAGE_LETTERS_MAX + 7;
        for _ in 0..count {
            log.push(CAME_AT, &Input::DeadLetter(short));
        }
        let (pages, seen) = pages(&log, count as Seq);
        assert_eq!((seen.letters, seen.chosen), (count as u64, count as u64));
        let seqs = pages.iter().flatten().map(|letter| letter.seq);
        assert!(seqs.eq(1..=count as Seq), "each once, in order");
        let texts = ["mqtt a", "hydro/north", "value_missing", detail];
        let texts = texts.map(str::len).iter().sum::<usize>();
        let bytes = size_of::<NotedLetter>() + texts + payload.len();
        let page = PAGE_LETTERS_MAX.min(PAGE_BYTES_MAX.div_ceil(bytes));
        assert_eq!(page < PAGE_LETTERS_MAX, !detail.is_empty());
        let lengths: Vec<_> = pages.iter().map(Vec::len).collect();
        let (last, whole) = lengths.split_last().unwrap();
        assert!(*last <= page && !whole.is_empty(), "{lengths:?}");
        assert!(whole.iter().all(|length| *length == page), "{lengths:?}");
    }
}

#[test]
fn what_retention_takes_while_it_is_read_is_passed_over_and_counted() {
    let messages = [1, 2, 3, 4]
        .map(|n| format!(r#"{{"at":1773470710,"gauges":[{{"name":"g-{n}","level":1}}]}}"#));
    let letters = messages.each_ref();
    let letters = letters.map(|message| letter("hydro/north", message.as_bytes()));
    let since = Choice {
        since: Some(CAME_AT),
        ..Choice::default()
    };
    let nobodys = Choice {
        reason: Some("unit_unknown".to_owned()),
        since: Some(CAME_AT),
        ..Choice::default()
    };
    // Behind the end of the first time; in its middle, before and behind what goes.
    for (behind, first) in [(4, 3), (1, 3), (3, 3)] {
        for (choice, replayed, out_of_reach) in [(&all(), 2, 2), (&since, 2, 2), (&nobodys, 0, 0)] {
            let bench = bench(&letters, None);
            bench.log.removes(behind, first);
            let (summary, inputs) = bench.summary(choice);
            assert_eq!(summary.replayed, replayed, "{behind} {choice:?}");
            assert_eq!(inputs.len(), 2 * replayed, "{inputs:?}");
            let is_of_all = choice.all || behind != 1;
            let expected = if is_of_all {
                out_of_reach
            } else {
                out_of_reach.min(1)
            };
            assert_eq!(summary.out_of_reach, expected, "{behind} {choice:?}");
        }
    }
}

fn anyone() -> Senders {
    Senders {
        keys: None,
        credentials: Credentials::Anonymous,
    }
}

#[test]
fn what_stands_now_in_what_was_refused_is_of_that_part() {
    // When it was refused its mapping looked for one reading in each item.
    let Format::Json(mut shape) = gauges() else {
        panic!("gauges are read as JSON")
    };
    let mut flow = shape.readings[0].clone();
    flow.value.from = Whence::Source("/flow".parse().unwrap());
    flow.id = Some("{/name}-flow".parse().unwrap());
    shape.readings.push(flow);
    let gauges = br#"{"at":1773470710,"gauges":[{"name":"g-0","level":3,"flow":4},
        {"name":"g-1","level":1,"flow":5}]}"#;
    let part = DeadLetter {
        place: "/gauges/1",
        ..letter("hydro/north", gauges)
    };
    let bench = bench_by(&[part], anyone(), Format::Json(shape));
    let (told, inputs) = bench.replay(&all());
    assert_eq!(told, "1 replayed 0");
    assert_eq!(
        inputs,
        [
            "g-1-1773470710 of g-1 at 2026-03-14T06:45:10.000Z",
            "g-1-flow of g-1 at 2026-03-14T06:45:10.000Z",
            "replayed 1"
        ]
    );
}

#[test]
fn of_a_notification_what_its_mapping_knows_now_is_that_part() {
    // An entity of which nothing was known: now its level is.
    let names = Names {
        kinds: [("level".into(), "water_level".into())].into(),
        ..Names::default()
    };
    let knowing = registered("hydro/+", Format::NgsiLd, names);
    let notification = br#"{"id":"urn:n","type":"Notification","data":[
        {"id":"urn:a","type":"Gauge","level":{"type":"Property","value":1,
            "observedAt":"2026-03-14T06:45:00Z"}},
        {"id":"urn:b","type":"Gauge","level":{"type":"Property","value":2,
            "observedAt":"2026-03-14T06:45:00Z"}}]}"#;
    let part = DeadLetter {
        place: "/data/1",
        ..letter("hydro/north", notification)
    };
    let bench = bench_knowing(&[part], anyone(), knowing);
    let (told, inputs) = bench.replay(&all());
    assert_eq!(told, "1 replayed 0");
    assert_eq!(inputs.len(), 2, "{inputs:?}");
    assert!(inputs[0].contains(" of urn:b:level at "), "{inputs:?}");
}

#[test]
fn p3_of_the_rest_of_a_message_what_was_taken_before_is_taken_no_second_time() {
    let pack = br#"[{"n":"wl-0412","u":"m","v":1,"t":1773470710},
        {"n":"wl-0412","u":"m","v":2,"t":1773470711},{"bt":"x"}]"#;
    let rest = |place| DeadLetter {
        place,
        ..letter("hydro/north", pack)
    };
    let knowing = registered("hydro/+", Format::Senml, Names::default());
    let letters = [rest("behind item 2"), rest("behind item 1")];
    let bench = bench_knowing(&letters, anyone(), knowing);
    let (told, inputs) = bench.replay(&all());
    let told: Vec<_> = told.lines().collect();
    assert!(told[0].starts_with("1 still_dead"), "{told:?}");
    assert_eq!(told[1], "2 replayed 1");
    assert_eq!(inputs.len(), 3, "{inputs:?}");
    assert!(
        inputs[0].ends_with(" of wl-0412 at 2026-03-14T06:45:11.000Z"),
        "{inputs:?}"
    );
    assert!(
        inputs[1].ends_with(" at @1773470710000 behind item 2: /1"),
        "{inputs:?}"
    );
    assert_eq!(inputs[2], "replayed 2");
    // The letter of what follows brings nothing either.
    let (told, inputs) = bench.replay(&all());
    assert!(!told.contains(" replayed "), "{told}");
    assert_eq!(inputs, Vec::<String>::new());
}

#[test]
fn a_letter_that_may_say_no_value_now_is_done_with() {
    let Format::Json(mut shape) = gauges() else {
        panic!("gauges are read as JSON")
    };
    shape.readings[0].optional = true;
    let part = |place| DeadLetter {
        place,
        ..letter("hydro/north", GAUGES)
    };
    let wrong = br#"{"at":1773470710,"gauges":[{"name":"g-1"},{"name":"g-2","level":"high"}]}"#;
    let senders = Senders {
        keys: None,
        credentials: Credentials::Anonymous,
    };
    let letters = [
        part("/gauges/2"),
        letter("hydro/north", GAUGES),
        letter("hydro/north", wrong),
    ];
    let bench = bench_by(&letters, senders, Format::Json(shape));
    let dry = Choice {
        dry_run: true,
        ..all()
    };
    let fates = "1 says_no_value \"\"\n2 replayed 0\n3 still_dead \"value_not_a_number\"";
    let (told, inputs) = bench.replay(&dry);
    assert_eq!((&*told, inputs.len()), (fates, 0));
    let (summary, inputs) = bench.summary(&all());
    let counts = (summary.no_value, summary.replayed, summary.still_dead);
    assert_eq!((counts, summary.left), ((1, 1, 1), 0));
    let expected = [
        "replayed 1",
        "g-1-1773470710 of g-1 at 2026-03-14T06:45:10.000Z",
        "g-2-1773470710 of g-2 at 2026-03-14T06:45:10.000Z",
        "replayed 2",
    ];
    assert_eq!(inputs, expected);
    assert!(bench.replayer.letters.is_replayed(1), "it leaves the list");
    let (summary, _) = bench.summary(&all());
    assert_eq!((summary.no_value, summary.left, summary.cut), (0, 2, 0));
}

/// What a message becomes by a mapping: its letters as they lie in the log.
fn become_of(format: Format, payload: &[u8], content_type: Option<&str>) -> Inputs {
    become_by(&catalogue("hydro/+", format), payload, content_type)
}

fn become_by(catalogue: &Catalogue, payload: &[u8], content_type: Option<&str>) -> Inputs {
    let message = Message {
        topic: "hydro/north",
        payload,
        content_type,
        ..Message::default()
    };
    let (mut inputs, workspace) = (Inputs::default(), &mut Workspace::default());
    let told = &mut |_: Result<&str, Reject>| {};
    append_message(&mut inputs, message, "mqtt a", catalogue, workspace, told);
    inputs
}

fn letters_in(inputs: &Inputs) -> Vec<DeadLetter<'_>> {
    let letters = inputs.iter().map(|bytes| Input::decode(bytes).unwrap());
    let letters = letters.filter_map(|input| match input {
        Input::DeadLetter(letter) => Some(letter),
        _ => None,
    });
    letters.collect()
}

/// Gauges that say a level and a flow, each an entry of `readings`.
fn level_and_flow(change: impl FnOnce(&mut Vec<ReadingShape>)) -> Format {
    let Format::Json(mut shape) = gauges() else {
        panic!("gauges are read as JSON")
    };
    let mut flow = shape.readings[0].clone();
    flow.kind = Some("flow".parse().unwrap());
    flow.value.from = Whence::Source("/flow".parse().unwrap());
    flow.id = Some("{/name}-flow".parse().unwrap());
    shape.readings.push(flow);
    change(&mut shape.readings);
    Format::Json(shape)
}

const LOW: &[u8] = br#"{"at":1773470710,"gauges":[{"name":"g-1","level":1,"flow":"LOW"}]}"#;

#[test]
fn a_letter_of_an_entry_is_read_by_what_the_entry_was_and_not_by_its_number() {
    let inputs = become_of(level_and_flow(|_| ()), LOW, None);
    let letters = letters_in(&inputs);
    assert_eq!(letters.len(), 1);
    assert!(letters[0].place.starts_with("/gauges/0, readings[1]#"));
    let words = |flow: &mut ReadingShape| flow.value.words = vec![("LOW".into(), 0.1)];
    let read = ["g-1-flow of g-1 at 2026-03-14T06:45:10.000Z", "replayed 1"];
    type Change = Box<dyn Fn(&mut Vec<ReadingShape>)>;
    let mended: [(&str, Change); 6] = [
        ("its words", Box::new(move |all| words(&mut all[1]))),
        (
            "in another order",
            Box::new(move |all| {
                words(&mut all[1]);
                all.swap(0, 1);
            }),
        ),
        (
            "one before it",
            Box::new(move |all| {
                words(&mut all[1]);
                let mut other = all[0].clone();
                other.kind = Some("temperature".parse().unwrap());
                other.value.from = Whence::Source("/t".parse().unwrap());
                all.insert(0, other);
            }),
        ),
        (
            "another kind, in another order",
            Box::new(move |all| {
                words(&mut all[1]);
                all[1].kind = Some("discharge".parse().unwrap());
                all.swap(0, 1);
            }),
        ),
        (
            "where its value stands, in another order",
            Box::new(move |all| {
                words(&mut all[1]);
                all[1].value.from = Whence::Source("message /gauges/0/flow".parse().unwrap());
                all.swap(0, 1);
            }),
        ),
        (
            "alone",
            Box::new(move |all| {
                words(&mut all[1]);
                all.remove(0);
            }),
        ),
    ];
    for (what, change) in mended {
        let format = level_and_flow(|all| change(all));
        let bench = bench_by(&letters, anyone(), format);
        let (told, inputs) = bench.replay(&all());
        assert_eq!(told, "1 replayed 0", "{what}");
        assert_eq!(inputs, read, "{what}");
    }
}

#[test]
fn a_letter_whose_entry_cannot_be_told_from_others_stays_dead_and_says_so() {
    let inputs = become_of(level_and_flow(|_| ()), LOW, None);
    let letters = letters_in(&inputs);
    type Change = fn(&mut Vec<ReadingShape>);
    let changes: [(&str, Change); 3] = [
        ("it is gone", |all| {
            let mut other = all[0].clone();
            other.value.from = Whence::Source("/raw".parse().unwrap());
            other.kind = Some("temperature".parse().unwrap());
            all[1] = other;
        }),
        ("another has its kind, one its place", |all| {
            let mut other = all[0].clone();
            other.kind = all[1].kind.clone();
            all[1].kind = Some("temperature".parse().unwrap());
            all.push(other);
        }),
        ("two are what it was", |all| {
            all[1].value.words = vec![("LOW".into(), 0.1)];
            let mut other = all[1].clone();
            other.value.multiply = 2.0;
            all.push(other);
        }),
    ];
    for (what, change) in changes {
        let bench = bench_by(&letters, anyone(), level_and_flow(change));
        let (summary, inputs) = bench.summary(&all());
        assert_eq!(inputs, Vec::<String>::new(), "{what}");
        let Fate::StillDead { reason, detail } = &summary.letters[0].fate else {
            panic!("{what}: {:?}", summary.letters[0].fate);
        };
        assert_eq!(*reason, "nothing_mapped", "{what}");
        assert!(detail.contains("/gauges/0, readings[1]"), "{detail}");
        assert!(!detail.contains('#'), "{detail}");
    }
}

#[test]
fn a_letter_of_an_older_build_tells_its_entry_by_number_and_by_where_its_value_was() {
    let of = |place, detail| DeadLetter {
        place,
        detail,
        ..letter("hydro/north", LOW)
    };
    let letters = [
        of(
            "/gauges/0, readings[0]",
            "/gauges/0: sensor: it was another",
        ),
        of(
            "/gauges/0, readings[1]",
            "/gauges/0, readings[1]: value: \"LOW\" at `/flow` is no number; say in `words`",
        ),
    ];
    let words = |all: &mut Vec<ReadingShape>| all[1].value.words = vec![("LOW".into(), 0.1)];
    let (told, inputs) = bench_by(&letters, anyone(), level_and_flow(words)).replay(&all());
    assert_eq!(told, "1 replayed 0\n2 replayed 0");
    assert_eq!(inputs.len(), 4, "{inputs:?}");
    assert!(inputs[2].starts_with("g-1-flow of g-1 at "), "{inputs:?}");
    let swapped = level_and_flow(|all| {
        words(all);
        all.swap(0, 1);
    });
    let (told, inputs) = bench_by(&letters[1..], anyone(), swapped).replay(&all());
    assert_eq!(told, "1 still_dead \"nothing_mapped\"");
    assert_eq!(inputs, Vec::<String>::new());
}

#[test]
fn places_that_begin_alike_are_told_apart() {
    let long = "x".repeat(DeadLetter::BEGINNING_BYTES_MAX);
    let payload = format!(
        r#"{{"at":1773470710,"gauges":{{"{long}1":{{"name":"g-1","level":1}},"{long}2":{{"name":"g-2"}},
            "{long}3":{{"name":"g-3"}}}}}}"#
    );
    let inputs = become_of(gauges(), payload.as_bytes(), None);
    let letters = letters_in(&inputs);
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.place.len() <= 512));
    // Now the value may be left out, and is one for one of both.
    let constant = |all: &mut Shape| all.readings[0].value.from = Whence::Constant(7.0);
    let Format::Json(mut shape) = gauges() else {
        panic!("gauges are read as JSON")
    };
    constant(&mut shape);
    let (told, inputs) = bench_by(&letters, anyone(), Format::Json(shape)).replay(&all());
    assert_eq!(told, "1 replayed 0\n2 replayed 0");
    let expected = [
        "g-2-1773470710 of g-2 at 2026-03-14T06:45:10.000Z",
        "replayed 1",
        "g-3-1773470710 of g-3 at 2026-03-14T06:45:10.000Z",
        "replayed 2",
    ];
    assert_eq!(inputs, expected);
}

#[test]
fn of_an_entity_the_attribute_with_a_long_name_is_that_part_and_the_others_are_not() {
    let names = || Names {
        kinds: [("level".into(), "water_level".into())].into(),
        ..Names::default()
    };
    let long = format!("https://{}/level", "x".repeat(1100));
    let entity = format!(
        r#"{{"id":"urn:a","type":"Gauge","{long}":{{"type":"Property","value":1}},
            "level":{{"type":"Property","value":2,"observedAt":"2026-03-14T06:45:00Z"}}}}"#
    );
    let knowing = || registered("hydro/+", Format::NgsiLd, names());
    let inputs = become_by(&knowing(), entity.as_bytes(), None);
    let letters = letters_in(&inputs);
    assert_eq!(letters.len(), 1);
    // The long one is no reading any more.
    let now = Names {
        sensors: [("urn:a/level".into(), "wl-0412".into())].into(),
        ..Names::default()
    };
    let bench = bench_knowing(
        &letters,
        anyone(),
        registered("hydro/+", Format::NgsiLd, now),
    );
    let (_, inputs) = bench.replay(&all());
    assert_eq!(inputs, Vec::<String>::new());
    let bench = bench_knowing(&letters, anyone(), knowing());
    let (told, inputs) = bench.replay(&all());
    assert_eq!(told, "1 still_dead \"sensor_invalid\"");
    assert_eq!(inputs, Vec::<String>::new());
}

#[test]
fn p3_of_an_event_that_failed_midway_what_was_taken_is_taken_no_second_time() {
    let event = |unit: &str, base: &str| {
        format!(
            r#"[{{"specversion":"1.0","id":"1","source":"s","type":"t",
            "datacontenttype":"application/senml+json","data":[{{"n":"wl-0412","u":"m","v":1,
            "t":1773470710}},{{"n":"wl-0412","u":"{unit}","v":2,"t":1773470711}},{base}]}}]"#
        )
    };
    let broken = event("m", r#"{"bt":"x"}"#);
    let format = || Format::CloudEvents(None);
    let knowing = || registered("hydro/+", format(), Names::default());
    let inputs = become_by(&knowing(), broken.as_bytes(), None);
    let letters = letters_in(&inputs);
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(inputs.count(), 3);
    let (told, inputs) = bench_knowing(&letters, anyone(), knowing()).replay(&all());
    assert!(told.starts_with("1 still_dead"), "{told}");
    assert_eq!(inputs, Vec::<String>::new());
    // As older builds wrote it, and as this one does of an event of which nothing could be read.
    let of_the_event = DeadLetter {
        place: "/0",
        ..letters[0]
    };
    let (told, inputs) = bench_knowing(&[of_the_event], anyone(), knowing()).replay(&all());
    assert!(told.starts_with("1 still_dead"), "{told}");
    assert_eq!(inputs, Vec::<String>::new());
    // Had what follows been understood, it is what comes.
    let whole = event("m", r#"{"n":"wl-0412","u":"m","v":3,"t":1773470712}"#);
    let mended = DeadLetter {
        payload: whole.as_bytes(),
        payload_bytes: whole.len() as u32,
        ..letters[0]
    };
    let (told, inputs) = bench_knowing(&[mended], anyone(), knowing()).replay(&all());
    assert_eq!(told, "1 replayed 0");
    assert_eq!(inputs.len(), 2, "{inputs:?}");
    let at = "of wl-0412 at 2026-03-14T06:45:12.000Z";
    assert!(inputs[0].ends_with(at), "{inputs:?}");
}

#[test]
fn the_rest_of_a_message_is_not_told_by_a_number_when_other_items_are_found_in_it() {
    let item = r#"{"name":"g","level":1,"flow":2}"#;
    let items = vec![item; 2048].join(",");
    let last = r#"{"name":"g-9","level":1,"flow":2}"#;
    let payload = format!(r#"{{"at":1773470710,"gauges":[{items},{last}]}}"#);
    let inputs = become_of(level_and_flow(|_| ()), payload.as_bytes(), None);
    let letters = letters_in(&inputs);
    assert_eq!(letters.len(), 1);
    let place = letters[0].place;
    assert!(
        place.starts_with("behind item 4096: /gauges/2047, readings[1]#"),
        "{place}"
    );
    // As it was, what comes behind it is taken.
    let (told, inputs) = bench_by(&letters, anyone(), level_and_flow(|_| ())).replay(&all());
    assert_eq!(told, "1 replayed 0");
    let expected = [
        "g-9-1773470710 of g-9 at 2026-03-14T06:45:10.000Z",
        "g-9-flow of g-9 at 2026-03-14T06:45:10.000Z",
        "replayed 1",
    ];
    assert_eq!(inputs, expected);
    let other = level_and_flow(|all| all.swap(0, 1));
    let (told, inputs) = bench_by(&letters, anyone(), other).replay(&all());
    assert_eq!(told, "1 still_dead \"nothing_mapped\"");
    assert_eq!(inputs, Vec::<String>::new());
}

#[test]
fn a_message_of_very_many_readings_is_taken_in_steps() {
    let count = 3 * ITEMS_MAX + 5;
    let items: Vec<_> = (0..count)
        .map(|n| format!(r#"{{"name":"g{n}","level":1}}"#))
        .collect();
    let payload = format!(r#"{{"at":1773470710,"gauges":[{}]}}"#, items.join(","));
    assert!(payload.len() < DeadLetter::PAYLOAD_BYTES_MAX);
    let inputs = become_of(gauges(), payload.as_bytes(), None);
    let letters = letters_in(&inputs);
    assert_eq!((letters.len(), inputs.count()), (1, ITEMS_MAX as u32 + 1));
    let bench = bench(&letters, None);
    let mut taken = Vec::new();
    for step in 1..=3 {
        let (summary, inputs) = bench.summary(&all());
        assert_eq!(summary.replayed, 1, "{step}");
        taken.extend(inputs.into_iter().filter(|input| input.starts_with('g')));
    }
    let expected =
        (ITEMS_MAX..count).map(|n| format!("g{n}-1773470710 of g{n} at 2026-03-14T06:45:10.000Z"));
    assert!(taken.into_iter().eq(expected), "each once, in order");
    assert_eq!(bench.summary(&all()).0.replayed, 0);
}

/// Gauges of which each was observed when it arrived.
fn observed_on_arrival(change: impl FnOnce(&mut Shape)) -> Format {
    let Format::Json(mut shape) = gauges() else {
        panic!("gauges are read as JSON")
    };
    shape.readings[0].observed_at = Moment::Arrival;
    shape.readings[0].id = Some("{/name}".parse().unwrap());
    change(&mut shape);
    Format::Json(shape)
}

#[test]
fn p3_what_a_replay_leaves_came_when_its_message_did() {
    let count = 3 * ITEMS_MAX + 5;
    let item = |n: usize| match n {
        n if n == ITEMS_MAX + 5 => r#"{"name":"none"}"#.to_owned(),
        n => format!(r#"{{"name":"g{n}","level":1}}"#),
    };
    let items: Vec<_> = (0..count).map(item).collect();
    let payload = format!(r#"{{"gauges":[{}]}}"#, items.join(","));
    let inputs = become_of(observed_on_arrival(|_| ()), payload.as_bytes(), None);
    let bench = bench_by(&letters_in(&inputs), anyone(), observed_on_arrival(|_| ()));
    let rests = Choice {
        reason: Some("items_too_many".to_owned()),
        ..Choice::default()
    };
    let mut left = Vec::new();
    for step in 1..=3 {
        bench
            .now
            .set(Timestamp::from_millis(CAME_AT.as_millis() + step * 60_000));
        let (summary, inputs) = bench.summary(&rests);
        assert_eq!(summary.replayed, 1, "{step}");
        let mut readings = inputs.iter().filter(|input| input.starts_with('g'));
        let came_at = |input: &String| input.ends_with(" at 2026-03-14T06:45:10.000Z");
        assert!(readings.all(came_at), "{step}");
        left.extend(inputs.into_iter().filter(|it| it.starts_with("dead")));
    }
    let expected = [
        "dead letter value_missing at @1773470710000 /gauges/4101",
        "dead letter items_too_many at @1773470710000 behind item 8192: /gauges/8191",
        "dead letter items_too_many at @1773470710000 behind item 12288: /gauges/12287",
    ];
    assert_eq!(left, expected);
    // The part that was left is of that time too, and leaves nothing of its own time.
    let part = DeadLetter {
        place: "@1773470700000 /gauges/4101",
        ..letter("hydro/north", payload.as_bytes())
    };
    let mended =
        || observed_on_arrival(|shape| shape.readings[0].value.from = Whence::Constant(7.0));
    let (told, inputs) = bench_by(&[part], anyone(), mended()).replay(&all());
    assert_eq!(told, "1 replayed 0");
    assert_eq!(
        inputs,
        ["none of none at 2026-03-14T06:45:00.000Z", "replayed 1"]
    );
}

#[test]
fn a_step_of_a_long_message_without_a_reading_is_a_step() {
    let count = 3 * ITEMS_MAX;
    let item = |n: usize| match n {
        n if (ITEMS_MAX..2 * ITEMS_MAX).contains(&n) => format!(r#"{{"name":"g{n}"}}"#),
        n => format!(r#"{{"name":"g{n}","level":1}}"#),
    };
    let items: Vec<_> = (0..count).map(item).collect();
    let payload = format!(r#"{{"at":1773470710,"gauges":[{}]}}"#, items.join(","));
    let inputs = become_of(gauges(), payload.as_bytes(), None);
    let bench = bench(&letters_in(&inputs), None);
    let rests = Choice {
        reason: Some("items_too_many".to_owned()),
        ..Choice::default()
    };
    let (told, inputs) = bench.replay(&rests);
    assert_eq!(told, format!("1 replayed {}", ITEMS_MAX + 1));
    assert_eq!(inputs.len(), ITEMS_MAX + 2);
    let (_, inputs) = bench.replay(&rests);
    let readings = inputs.iter().filter(|input| input.starts_with('g'));
    assert_eq!(readings.count(), ITEMS_MAX);
    assert_eq!(inputs.len(), ITEMS_MAX + 1);
}

#[test]
fn p3_of_a_step_that_was_cut_the_rest_is_left_once() {
    let items: Vec<_> = (0..=2 * ITEMS_MAX)
        .map(|n| format!(r#"{{"name":"g{n}","level":1}}"#))
        .collect();
    let payload = format!(r#"{{"at":1773470710,"gauges":[{}]}}"#, items.join(","));
    let inputs = become_of(gauges(), payload.as_bytes(), None);
    let letters = letters_in(&inputs);
    let of_the_rest = |inputs: &[String]| {
        let dead = inputs.iter().filter(|input| input.starts_with("dead"));
        dead.count()
    };
    for cut in [ITEMS_MAX, ITEMS_MAX + 1, ITEMS_MAX + 2] {
        let bench = bench(&letters, None);
        let (_, first) = bench.replay(&all());
        assert_eq!(first.len(), ITEMS_MAX + 2);
        bench.log.cut(letters.len() + cut);
        let (_, second) = bench.replay(&Choice {
            seqs: [1].into(),
            ..Choice::default()
        });
        let judged = [&first[..cut], &second].concat();
        assert_eq!(of_the_rest(&judged), 1, "{cut}");
        // The rest of it comes once.
        let (_, third) = bench.replay(&all());
        let expected = [
            "g8192-1773470710 of g8192 at 2026-03-14T06:45:10.000Z".to_owned(),
            format!(
                "replayed {}",
                if cut == ITEMS_MAX {
                    cut + 3
                } else {
                    ITEMS_MAX + 2
                }
            ),
        ];
        assert_eq!(third, expected, "{cut}");
    }
}

#[test]
fn p5_a_message_is_read_once_for_all_letters_that_are_parts_of_it() {
    let item = |n: usize| match n % 3 {
        2 => format!(r#"{{"name":"g{n}","level":1}}"#),
        _ => format!(r#"{{"name":"g{n}"}}"#),
    };
    let items: Vec<_> = (0..600).map(item).collect();
    let payload = format!(r#"{{"at":1773470710,"gauges":[{}]}}"#, items.join(","));
    let inputs = become_of(gauges(), payload.as_bytes(), None);
    let letters = letters_in(&inputs);
    assert_eq!(letters.len(), 400);
    let bench = bench(&letters, None);
    let (pages, _) = pages(&bench.log, 400);
    let [page] = &pages[..] else {
        panic!("{} pages: the letters share their message", pages.len());
    };
    let Format::Json(mut shape) = gauges() else {
        panic!("gauges are read as JSON")
    };
    // Of some of them it is known now what they say, and of some it is not.
    shape.readings[0].value.from = Whence::Source("/name".parse().unwrap());
    shape.readings[0].value.words = vec![("g0".into(), 7.0), ("g1".into(), 8.0)];
    let (senders, catalogue) = (anyone(), catalogue("hydro/+", Format::Json(shape)));
    let (mut once, mut each) = (
        Reader::new(&catalogue, &senders),
        Reader::new(&catalogue, &senders),
    );
    let before = Before {
        known: Known::default(),
        reread: Reread::default(),
        under_way: &mut UnderWay::default(),
    };
    assert!(page.chunk_by(is_of_one_message).eq([&page[..]]));
    once.read_parts(page, &before);
    assert_eq!(once.parts.len(), 400);
    let fate =
        |reader: &mut Reader<'_>, letter: &NotedLetter| serde_json::to_string(&reader.fate(letter));
    let mut replayed = 0;
    for letter in page {
        let of_all = fate(&mut once, letter).unwrap();
        assert_eq!(of_all, fate(&mut each, letter).unwrap());
        replayed += usize::from(of_all.contains("replayed"));
    }
    assert_eq!(replayed, 2);
    // Those of another message are not told by these places.
    let other = [NotedLetter {
        topic: "hydro/south".into(),
        ..page[0].clone()
    }];
    assert!(!is_of_one_message(&page[1], &other[0]));
    once.read_parts(&other, &before);
    assert!(once.parts.is_empty());
}

#[test]
fn an_event_that_fails_when_a_message_brings_no_more_is_of_the_rest() {
    let records: Vec<_> = (1..ITEMS_MAX)
        .map(|n| format!(r#"{{"v":1,"t":{n}}}"#))
        .collect();
    let base = r#"{"bn":"wl-0412","bu":"m","bt":1773470710,"v":1}"#;
    let batch = format!(
        r#"[{{"specversion":"1.0","id":"1","source":"s","type":"t","datacontenttype":"application/senml+json",
        "data":[{base},{}]}},{{"specversion":"1.0","source":"s","type":"t","data":{{}}}},
        {{"specversion":"1.0","id":"3","source":"s","type":"t","datacontenttype":"application/senml+json",
        "data":[{{"n":"wl-0412","u":"m","v":2,"t":1773480710}}]}}]"#,
        records.join(",")
    );
    let knowing = || registered("hydro/+", Format::CloudEvents(None), Names::default());
    let inputs = become_by(&knowing(), batch.as_bytes(), None);
    let letters = letters_in(&inputs);
    let told: Vec<_> = letters.iter().map(|it| (it.reason, it.place)).collect();
    assert_eq!(told, [("items_too_many", "behind item 4096: /0/data/4095")]);
    let (told, inputs) = bench_knowing(&letters, anyone(), knowing()).replay(&all());
    assert_eq!(told, "1 replayed 1");
    assert!(inputs[0].contains(" of wl-0412 at 2026"), "{inputs:?}");
    assert!(inputs[1].ends_with(" /1"), "{inputs:?}");
    assert_eq!(inputs.len(), 3);
}

#[test]
fn a_will_that_says_no_time_was_observed_when_it_came_also_when_it_is_read_again() {
    let payload = br#"{"id":"gone","sensor":"wl-1","kind":"water_level","value":0}"#;
    let of = |topic, place| DeadLetter {
        place,
        ..letter(topic, payload)
    };
    let events = br#"[{"specversion":"1.0","id":"1","source":"s","type":"t","data":[
        {"id":"a","sensor":"wl-1","kind":"water_level","value":0},
        {"id":"b","sensor":"wl-1","kind":"water_level","value":0}]}]"#;
    let batch = DeadLetter {
        place: "will /0/data/1",
        payload: events,
        payload_bytes: events.len() as u32,
        content_type: "application/cloudevents-batch+json",
        ..letter("hydro/batch/all", b"")
    };
    let topic = "ioc/v1/readings/wl-1";
    let letters = [
        of(topic, "will "),
        of(topic, "@1773470700000 will "),
        batch,
        of(topic, ""),
        of("elsewhere", "will "),
    ];
    let (told, inputs) = bench(&letters, None).replay(&all());
    let expected = [
        "1 replayed 0",
        "2 replayed 0",
        "3 replayed 0",
        "4 still_dead \"observed_at_missing\"",
        "5 replayed 0",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
    assert_eq!(inputs[0], "gone of wl-1 at 2026-03-14T06:45:10.000Z");
    assert_eq!(inputs[1], "replayed 1");
    assert_eq!(inputs[2], "gone of wl-1 again");
    assert_eq!(inputs[4], "b of wl-1 at 2026-03-14T06:45:10.000Z");
}

#[test]
fn a_key_that_looks_like_the_rest_of_an_event_is_a_key() {
    let payload = br#"{"3":{"gauges":[{"name":"a","level":1},{"name":"b","level":1},
        {"name":"c","level":1}]},"3 behind item 2":{"gauges":[{"name":"d","level":1}]}}"#;
    let format = observed_on_arrival(|shape| {
        let place = |place: &str| Level::Elements(place.parse().unwrap());
        shape.each = vec![place(""), place("/gauges")];
    });
    let part = DeadLetter {
        place: "/3 behind item 2",
        ..letter("hydro/north", payload)
    };
    let (told, inputs) = bench_by(&[part], anyone(), format).replay(&all());
    assert_eq!(told, "1 replayed 0");
    assert_eq!(inputs, ["d of d at 2026-03-14T06:45:10.000Z", "replayed 1"]);
}

#[test]
fn a_part_that_stands_far_behind_in_its_message_is_within_reach() {
    let item = |n: usize| match n {
        n if n == ITEMS_MAX + 5 => r#"{"name":"last"}"#.to_owned(),
        n => format!(r#"{{"name":"g{n}","level":1}}"#),
    };
    let items: Vec<_> = (0..ITEMS_MAX + 10).map(item).collect();
    let payload = format!(r#"{{"at":1773470710,"gauges":[{}]}}"#, items.join(","));
    let place = format!("/gauges/{}", ITEMS_MAX + 5);
    let part = DeadLetter {
        place: &place,
        ..letter("hydro/north", payload.as_bytes())
    };
    let (told, _) = bench(&[part], None).replay(&all());
    assert_eq!(told, "1 still_dead \"value_missing\"");
    let Format::Json(mut shape) = gauges() else {
        panic!("gauges are read as JSON")
    };
    shape.readings[0].value.from = Whence::Constant(7.0);
    let (told, inputs) = bench_by(&[part], anyone(), Format::Json(shape)).replay(&all());
    assert_eq!(told, "1 replayed 0");
    assert!(
        inputs[0].ends_with("of last at 2026-03-14T06:45:10.000Z"),
        "{inputs:?}"
    );
    // A part in which very much is found now is no step of anything.
    let Format::Json(mut shape) = gauges() else {
        panic!("gauges are read as JSON")
    };
    shape.each = ["/all", "/gauges"]
        .map(|at| Level::Elements(at.parse().unwrap()))
        .into();
    let whole = format!(r#"{{"at":1773470710,"all":[{payload}]}}"#);
    let part = DeadLetter {
        place: "/all/0",
        ..letter("hydro/north", whole.as_bytes())
    };
    let (told, inputs) = bench_by(&[part], anyone(), Format::Json(shape)).replay(&all());
    assert_eq!(told, "1 still_dead \"items_too_many\"");
    assert_eq!(inputs, Vec::<String>::new());
}
