//! What a sensor says first after a silence raises nothing that has to persist: another has to follow.

use std::sync::Arc;

use expect_test::expect;
use ioc_core::bundle::{Aggregate, Bundle, Direction, States, Threshold};
use ioc_core::counters::RuleCounters;
use ioc_core::decision::Severity::{Moderate, Severe};
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::Input;
use ioc_core::time::Millis;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner, metres};
use crate::timeline::{check_reloading, check_with, run};

/// A gauge that says something each minute and is silent after five, of a rule that opens by itself.
fn gauge(set: impl FnOnce(&mut Threshold)) -> BundleBuilder {
    every(Millis::minutes(1)).threshold("high", "level", &[(Moderate, 3.0), (Severe, 4.0)], set)
}

fn gauge_of(levels: &[(ioc_core::decision::Severity, f64)]) -> BundleBuilder {
    every(Millis::minutes(1)).threshold("high", "level", levels, |_| ())
}

fn every(interval: Millis) -> BundleBuilder {
    let gauge = |sensor: &mut ioc_core::bundle::Sensor| {
        sensor.position = Some(metres(0, 0));
        sensor.interval = Some(interval);
    };
    BundleBuilder::new()
        .sensor_with("gauge", "level", gauge)
        .silence("silent", "level", 5, Millis::minutes(5))
}

fn flood(builder: BundleBuilder) -> Arc<Bundle> {
    builder
        .correlation("floods", "flood", &["high"], |_| ())
        .build()
}

/// When floods open.
fn opened(bundle: &Arc<Bundle>, timeline: &str) -> Vec<String> {
    let told = run(&[("first", bundle)], timeline);
    let opened = told.lines().filter(|line| line.contains(" opened "));
    opened
        .map(|line| line.split(':').take(2).collect::<Vec<_>>().join(":"))
        .collect()
}

#[test]
fn the_last_word_before_a_silence_and_the_first_after_it_are_two_spikes() {
    let two = flood(gauge(|rule| rule.readings_min = 2));
    check_with(
        &two,
        "09:00-09:59/1 gauge 1.0
         10:00 gauge 4.5
         12:00 gauge 4.5
         12:01 gauge 1.0
         12:02-12:03/1 gauge 4.5",
        &expect![[r#"
            10:05 sensor_silent gauge last heard 10:00
            12:00 sensor_returned gauge last heard 10:00
            12:03 opened flood#1 severe: gauge 4.5, gauge 4.5
        "#]],
    );
    let among = flood(gauge(|rule| {
        rule.readings_min = 3;
        rule.readings_among = Some(5);
    }));
    let spikes = "09:00-10:00/1 gauge 1.0
         10:01-10:02/1 gauge 3.5
         12:00 gauge 3.5
         12:01-12:10/1 gauge 1.0";
    assert_eq!(opened(&among, spikes), [""; 0]);
    let lasting = flood(gauge(|rule| rule.lasting = Millis::minutes(10)));
    let spikes = "09:00-09:59/1 gauge 1.0
         10:00 gauge 3.5
         10:12 gauge 3.5
         10:13-10:50/1 gauge 1.0";
    assert_eq!(opened(&lasting, spikes), [""; 0]);
    // Whoever is asked for one word is believed.
    let once = flood(gauge(|_| ()));
    assert_eq!(
        opened(&once, "09:00 gauge 1.0\n12:00 gauge 3.5"),
        ["12:00 opened flood#1 moderate"]
    );
}

#[test]
fn the_next_reading_raises_what_has_gone_on() {
    let timeline = "09:00-10:00/1 gauge 1.0
         10:01-10:02/1 gauge 3.5
         10:12-10:40/1 gauge 3.5";
    let three = flood(gauge(|rule| rule.readings_min = 3));
    assert_eq!(opened(&three, timeline), ["10:13 opened flood#1 moderate"]);
    let among = flood(gauge(|rule| {
        rule.readings_min = 3;
        rule.readings_among = Some(5);
    }));
    assert_eq!(opened(&among, timeline), ["10:13 opened flood#1 moderate"]);
    // Silent when the time is over, and back before it is.
    let lasting = |minutes| flood(gauge(|rule| rule.lasting = Millis::minutes(minutes)));
    assert_eq!(
        opened(&lasting(9), timeline),
        ["10:13 opened flood#1 moderate"]
    );
    assert_eq!(
        opened(&lasting(30), timeline),
        ["10:31 opened flood#1 moderate"]
    );
    let settled = flood(gauge(|rule| rule.readings_min = 3).settling(Millis::minutes(1)));
    assert_eq!(
        opened(&settled, timeline),
        ["10:14 opened flood#1 moderate"]
    );
}

#[test]
fn a_state_is_asked_for_another_reading_too() {
    let rule = gauge(|rule| rule.readings_min = 3);
    let states = [States::Values(vec![3.0]), States::Values(vec![4.0])];
    let bundle = flood(rule.of_states(None, &states, Some(States::Values(vec![1.0]))));
    let opens = opened(
        &bundle,
        "09:00-10:00/1 gauge 1.0
         10:01-10:02/1 gauge 3.0
         12:00-12:02/1 gauge 3.0",
    );
    assert_eq!(opens, ["12:01 opened flood#1 moderate"]);
}

#[test]
fn a_rise_is_asked_for_another_reading_too() {
    let rule = gauge(|rule| rule.readings_min = 6);
    let bundle = flood(rule.of_change(Direction::Rises, Millis::minutes(15)));
    let before = "09:30-10:00/1 gauge 1.0
         10:01 gauge 2.0
         10:02 gauge 3.0
         10:03 gauge 4.0
         10:04 gauge 5.0
         10:05 gauge 6.0
         10:06 gauge 7.0
         10:07 gauge 8.0
         10:08 gauge 9.0";
    let silent = format!("{before}\n10:15 gauge 16.0");
    assert_eq!(opened(&bundle, &silent), [""; 0]);
    let goes_on = format!("{silent}\n10:16 gauge 17.0");
    assert_eq!(opened(&bundle, &goes_on), ["10:16 opened flood#1 moderate"]);
}

#[test]
fn what_is_not_usual_is_asked_for_another_reading_too() {
    let rule = every(Millis::minutes(60)).threshold("high", "level", &[(Moderate, 3.0)], |rule| {
        rule.readings_min = 3;
    });
    let bundle = flood(rule.of_usual(Direction::Rises, 2, 3));
    let hours =
        (0..16 * 24 + 10).map(|hour| format!("{}d {:02}:00 gauge 1.0", hour / 24, hour % 24));
    let before = hours.collect::<Vec<_>>().join("\n");
    let silent = format!(
        "{before}
         16d 10:00 gauge 9.0
         16d 11:00 gauge 9.0
         16d 20:00 gauge 9.0"
    );
    assert_eq!(opened(&bundle, &silent), [""; 0]);
    let goes_on = format!("{silent}\n16d 21:00 gauge 9.0");
    assert_eq!(
        opened(&bundle, &goes_on),
        ["16d 21:00 opened flood#1 moderate"]
    );
}

#[test]
fn what_is_raised_stays_and_is_no_graver_by_the_first_reading() {
    let bundle = flood(gauge(|rule| {
        rule.readings_min = 2;
        rule.clear_readings_min = 2;
    }));
    check_with(
        &bundle,
        "09:00-10:00/1 gauge 1.0
         10:01-10:02/1 gauge 3.5
         10:03 gauge 4.5
         10:30-10:31/1 gauge 4.5",
        &expect![[r#"
            10:02 opened flood#1 moderate: gauge 3.5, gauge 3.5
            10:03 updated flood#1 moderate: gauge 4.5
            10:08 sensor_silent gauge last heard 10:03
            10:08 unknown flood#1 moderate
            10:30 sensor_returned gauge last heard 10:03
            10:30 reopened flood#1 moderate: gauge 4.5
            10:31 updated flood#1 severe: gauge 4.5
        "#]],
    );
}

#[test]
fn a_reload_that_changes_a_rule_lets_who_is_silent_stay_so() {
    let levels = |severe| {
        let levels = [(Moderate, 3.0), (Severe, severe)];
        let gauge = every(Millis::minutes(1)).threshold("high", "level", &levels, |_| ());
        flood(gauge.sensor("other", "level", metres(100, 0)))
    };
    let (now, keener) = (levels(4.0), levels(3.9));
    let silent = "10:00 gauge 9.0
         10:00 other 3.5
         10:20 reload keener
         10:25 other 1.0";
    check_reloading(
        &[("now", &now), ("keener", &keener)],
        &format!("{silent}\n11:30-11:45/1 gauge 1.0"),
        &expect![[r#"
            10:00 opened flood#1 severe: gauge 9
            10:00:00.250 updated flood#1 severe 2 sensors: other 3.5 100 m
            10:05 sensor_silent gauge last heard 10:00
            10:20 rules_changed
            10:20 unknown flood#1 severe 2 sensors
            11:30 sensor_returned gauge last heard 10:00
            11:30 reopened flood#1 severe 2 sensors
            11:40 cleared flood#1 severe 2 sensors
        "#]],
    );
    check_reloading(
        &[("now", &now), ("keener", &keener)],
        &format!("{silent}\n11:30-11:31/1 gauge 3.95"),
        &expect![[r#"
            10:00 opened flood#1 severe: gauge 9
            10:00:00.250 updated flood#1 severe 2 sensors: other 3.5 100 m
            10:05 sensor_silent gauge last heard 10:00
            10:20 rules_changed
            10:20 unknown flood#1 severe 2 sensors
            11:30 sensor_returned gauge last heard 10:00
            11:30 reopened flood#1 severe 2 sensors: gauge 3.95
            11:31 updated flood#1 severe 2 sensors: gauge 3.95
        "#]],
    );
    // A rule that is gone says nothing of anybody any more, and who is heard tells by himself.
    let without = every(Millis::minutes(1))
        .threshold("higher", "level", &[(Severe, 4.0)], |_| ())
        .correlation("floods", "flood", &["higher"], |_| ())
        .build();
    let told = run(
        &[("now", &now), ("without", &without)],
        "10:00 gauge 9.0\n10:20 reload without",
    );
    assert!(told.contains("10:20 cleared flood#1"), "{told}");
}

#[test]
fn so_does_what_a_rule_of_any_sort_had_raised_of_it() {
    let levels = |severe| [(Severe, severe)];
    // Whether nothing is decided of it from the reload on until it is heard.
    let stays = |sort: &dyn Fn(f64) -> BundleBuilder, timeline: &str| {
        let (now, other) = (flood(sort(3.0)), flood(sort(2.9)));
        let told = run(&[("now", &now), ("other", &other)], timeline);
        let (_, later) = told.split_once(" rules_changed\n").unwrap();
        let mut of_it = later.lines().filter(|line| line.contains(" flood#1 "));
        assert!(of_it.next_back().unwrap().contains(" cleared "), "{told}");
        later
            .split_once('\n')
            .unwrap()
            .0
            .contains(" sensor_returned gauge ")
    };
    let gauge = |severe| gauge_of(&levels(severe));
    let in_states = |severe| {
        let readings_min = if severe < 3.0 { 2 } else { 1 };
        let rule = |rule: &mut Threshold| rule.readings_min = readings_min;
        let every = every(Millis::minutes(1));
        let rule = every.threshold("high", "level", &levels(3.0), rule);
        let states = [States::Values(vec![3.0])];
        rule.of_states(None, &states, Some(States::Values(vec![1.0])))
    };
    assert!(stays(
        &in_states,
        "09:59 gauge 1.0
         10:00 gauge 3.0
         10:20 reload other
         12:00 gauge 3.0
         12:02-12:20/1 gauge 1.0",
    ));
    assert!(stays(
        &|severe| gauge(severe).of_change(Direction::Rises, Millis::minutes(15)),
        "09:30-10:00/1 gauge 1.0
         10:01 gauge 2.0
         10:02 gauge 3.0
         10:03 gauge 4.0
         10:04 gauge 5.0
         10:05 gauge 6.0
         10:06 gauge 7.0
         10:07 gauge 8.0
         10:20 reload other
         12:00-12:30/1 gauge 8.0",
    ));
    let (length, step) = (Millis::minutes(10), Millis::minutes(5));
    let rain = "09:00-10:00/1 gauge 0.1
         10:01-10:20/1 gauge 4.0
         10:40 reload other
         12:00-12:50/1 gauge 0.1";
    assert!(stays(
        &|severe| gauge(severe).of_window(Aggregate::Greatest, length, step),
        rain,
    ));
    // Nothing fell where nobody says that anything did: a sum tells, as ever.
    assert!(!stays(
        &|severe| gauge(severe).of_window(Aggregate::Sum, length, step),
        rain,
    ));
    let hours =
        (0..16 * 24 + 10).map(|hour| format!("{}d {:02}:00 gauge 1.0\n", hour / 24, hour % 24));
    let hours = hours.collect::<String>();
    // What is usual is learnt anew: it says something, and nothing is known against that.
    assert!(stays(
        &|severe| {
            let every = every(Millis::minutes(60));
            let rule = every.threshold("high", "level", &levels(severe), |_| ());
            rule.of_usual(Direction::Rises, 2, 3)
        },
        &format!(
            "{hours}16d 10:00 gauge 9.0
             16d 20:00 reload other
             17d 03:00-04:00/60 gauge 9.0"
        ),
    ));
}

#[test]
fn a_sensor_that_is_wont_to_pause_so_long_raises_all_the_same() {
    let bundle = flood(gauge(|rule| rule.readings_min = 3));
    // Its interval is said wrong: each of its readings ends a silence.
    let seldom = "08:00-09:50/10 gauge 1.0
         10:00-10:40/10 gauge 3.5";
    assert_eq!(opened(&bundle, seldom), ["10:20 opened flood#1 moderate"]);
    let every_two_hours = "00:00-10:00/120 gauge 1.0
         12:00-20:00/120 gauge 3.5";
    assert_eq!(
        opened(&bundle, every_two_hours),
        ["16:00 opened flood#1 moderate"]
    );
    let first = "10:00-10:50/10 gauge 3.5";
    assert_eq!(opened(&bundle, first), ["10:20 opened flood#1 moderate"]);
    // Two at a time: the first of the third pair is the third reading.
    let bursts = "08:00-09:50/10 gauge 1.0
         08:01-09:51/10 gauge 1.0
         10:00-10:20/10 gauge 3.5
         10:01-10:21/10 gauge 3.5";
    assert_eq!(opened(&bundle, bursts), ["10:11 opened flood#1 moderate"]);
    // What speaks when something changes pauses for longer each time.
    let changes = "10:00 gauge 1.0
         10:06 gauge 3.5
         10:20 gauge 3.5
         10:50 gauge 3.5";
    assert_eq!(opened(&bundle, changes), ["10:50 opened flood#1 moderate"]);
}

#[test]
fn a_gateway_that_is_up_and_down_in_a_storm_hides_nothing() {
    // Up for eight minutes and down for seven.
    let up = |minute: i64| minute.rem_euclid(15) <= 8;
    let line = |kind: &str| {
        let minutes = (600..720).filter(|minute| up(*minute));
        let of =
            move |minute: i64| format!("{:02}:{:02} gauge 3.5{kind}\n", minute / 60, minute % 60);
        minutes.map(of).collect::<String>()
    };
    let timeline = format!("09:00-09:59/1 gauge 1.0\n{}", line(""));
    let asks = |rule: &mut Threshold| {
        (rule.readings_min, rule.lasting) = (6, Millis::minutes(15));
    };
    assert_eq!(
        opened(&flood(gauge(asks)), &timeline),
        ["10:16 opened flood#1 moderate"]
    );
    let with_battery = format!("{timeline}{}", line(" kind=battery"));
    assert_eq!(
        opened(&flood(gauge(asks)), &with_battery),
        ["10:16 opened flood#1 moderate"]
    );
}

#[test]
fn a_device_that_says_many_things_at_once_raises_what_it_says_again_and_again() {
    for kinds in [1, 8, 15, 16] {
        for each in 1..=3 {
            let wakes = |settle| {
                let rule = gauge(|rule| rule.readings_min = 4).settling(settle);
                let timeline: String = (0..6)
                    .flat_map(|wake| {
                        let value = if wake < 2 { 1.0 } else { 3.5 };
                        let second = move |number: usize| {
                            format!("{:02}:00:{}", 8 + 2 * wake, number as f64 / 4.0)
                        };
                        (0..kinds * each).map(move |number| {
                            let at = second(number);
                            match number % kinds {
                                0 => format!("{at} gauge {value}\n"),
                                kind => format!("{at} gauge {value} kind=other_{kind}\n"),
                            }
                        })
                    })
                    .collect();
                opened(&flood(rule), &(timeline + "20:00 tick"))
            };
            let wake = 12 + 2 * (4_usize.div_ceil(each) - 1);
            for settle in [Millis::ZERO, Millis::minutes(2)] {
                let told = wakes(settle);
                assert_eq!(told.len(), 1, "{kinds} kinds, {each} each");
                assert!(told[0].starts_with(&format!("{wake}:0")), "{told:?}");
            }
        }
    }
}

#[test]
fn a_batch_is_as_many_readings_as_it_holds() {
    // Observed each minute, received each quarter of an hour.
    let batches = |from: i64, to: i64| {
        let of = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
        let line = |minute: i64| {
            let received = (minute + 14) / 15 * 15;
            let value = if minute > 10 * 60 { 3.5 } else { 1.0 };
            format!("{} gauge {value} observed={}\n", of(received), of(minute))
        };
        (from..=to).map(line).collect::<String>()
    };
    let day = batches(8 * 60, 12 * 60);
    let opens = |timeline: &str, settle| {
        let rule = gauge(|rule| rule.lasting = Millis::minutes(40));
        opened(&flood(rule.settling(Millis::minutes(settle))), timeline)
    };
    for settle in [0, 1] {
        assert_eq!(opens(&day, settle), ["11:00 opened flood#1 moderate"]);
    }
    assert_eq!(opens(&day, 20), ["11:01 opened flood#1 moderate"]);
    // Of the batch after two that are lost the second reading tells.
    let cut_off = batches(8 * 60, 10 * 60 + 15) + &batches(10 * 60 + 46, 12 * 60);
    assert_eq!(opens(&cut_off, 0), ["11:00 opened flood#1 moderate"]);
}

#[test]
fn what_always_comes_late_raises_all_the_same() {
    // By a clock that is behind, or a slow way.
    let late: String = (0..40)
        .map(|minute| {
            format!(
                "10:{:02} gauge 3.5 observed=10:{:02}\n",
                minute + 11,
                minute + 1
            )
        })
        .filter(|line| line < &String::from("10:60"))
        .collect();
    for settle in [0, 1] {
        let rule = gauge(|rule| rule.lasting = Millis::minutes(10));
        let bundle = flood(rule.settling(Millis::minutes(settle)));
        assert_eq!(opened(&bundle, &late), ["10:21 opened flood#1 moderate"]);
    }
}

#[test]
fn what_a_gateway_kept_is_no_silence_and_what_it_lost_is() {
    let bundle = flood(gauge(|rule| rule.readings_min = 3));
    let opens = opened(
        &bundle,
        "09:00-10:00/1 gauge 1.0
         10:01 gauge 3.5
         11:00 gauge 3.5 observed=10:02
         11:01 gauge 3.5
         11:02 gauge 1.0
         11:03 tick",
    );
    assert_eq!(opens, [""; 0]);
    // All of it was kept.
    let opens = opened(
        &bundle,
        "09:00-10:00/1 gauge 1.0
         10:01 gauge 3.5
         10:20 gauge 3.5 observed=10:02
         10:20 gauge 3.5 observed=10:03",
    );
    assert_eq!(opens, ["10:20 opened flood#1 moderate"]);
}

/// What a rule that waits for a quarter of an hour made of readings so many minutes apart, that come so many
/// minutes later.
fn judged(stream: &[(i64, bool, i64)], delayed: bool, set: fn(&mut Threshold)) -> RuleCounters {
    let bundle = flood(gauge(set).settling(Millis::minutes(15)));
    let mut observed_at = MIDNIGHT;
    let mut received: Vec<_> = (0..)
        .zip(stream)
        .map(|(number, &(after, beyond, delay))| {
            observed_at = observed_at + Millis::minutes(after);
            let delay = if delayed { delay } else { 0 };
            let at = observed_at + Millis::minutes(delay);
            (at, number, observed_at, if beyond { 3.5 } else { 1.0 })
        })
        .collect();
    received.sort_by_key(|(at, number, ..)| (*at, *number));
    let mut history = History::new(bundle);
    for (at, number, observed_at, value) in received {
        let reading = Reading {
            id: &format!("r{number}"),
            sensor: "gauge",
            kind: "level",
            observed_at,
            received_at: None,
            value,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        history.push(at, &Input::Reading(reading));
    }
    history.push(observed_at + Millis::minutes(60), &Input::Tick);
    let (judgement, _) = history.judge(&Manner::plain());
    let mut rules = judgement.counters().rules.into_iter();
    let high = rules.find(|(name, _)| name.as_str() == "high");
    high.expect("the rule").1
}

/// Readings that now and then are some hours apart, and of which some are beyond.
fn pausing() -> impl Strategy<Value = Vec<(i64, bool, i64)>> {
    let apart = prop_oneof![12 => 1_i64..5, 1 => 5_i64..10, 1 => 10_i64..200];
    prop::collection::vec((apart, prop::bool::weighted(0.5), 0_i64..15), 1..80)
}

proptest! {
    #[test]
    fn inv_19_in_whatever_order_readings_come_the_same_are_in_a_row(
        stream in pausing(),
    ) {
        let rows: [fn(&mut Threshold); 2] = [
            |rule| (rule.readings_min, rule.clear_readings_min) = (3, 2),
            |rule| (rule.readings_min, rule.readings_among) = (3, Some(5)),
        ];
        for set in rows {
            prop_assert_eq!(judged(&stream, false, set), judged(&stream, true, set));
        }
    }
}

#[test]
fn the_streams_of_that_hold_rows_that_a_silence_holds_up() {
    let mut runner = TestRunner::deterministic();
    let set: fn(&mut Threshold) = |rule| rule.readings_min = 3;
    let differ = (0..50).filter(|_| {
        let stream = pausing().new_tree(&mut runner).unwrap().current();
        // Had there been no pause as long as a silence.
        let short = |&(after, beyond, delay): &(i64, bool, i64)| (after.min(4), beyond, delay);
        let short: Vec<_> = stream.iter().map(short).collect();
        judged(&stream, false, set) != judged(&short, false, set)
    });
    let differ = differ.count();
    assert!(differ > 10, "{differ}");
}

#[test]
fn downtime_is_no_silence() {
    let bundle = flood(gauge(|rule| rule.readings_min = 3));
    let opens = opened(
        &bundle,
        "09:00-10:00/1 gauge 1.0
         10:01 gauge 3.5
         10:02 gauge 3.5
         11:00 started after=10:02
         11:01 gauge 3.5",
    );
    assert_eq!(opens, ["11:01 opened flood#1 moderate"]);
}
