//! What users of other systems suffered from, by the project and the issue that tells it.

use expect_test::expect;
use ioc_core::bundle::{Aggregate, Side};
use ioc_core::decision::Decision;
use ioc_core::decision::Severity::{Minor, Moderate, Severe};
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::Input;
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner, metres, without_numbers};
use crate::timeline::{check_reloading, check_with};

/// Two gauges that report each minute, and rules of every sort about them.
fn gauges() -> BundleBuilder {
    let gauge = |sensor: &mut ioc_core::bundle::Sensor| {
        sensor.position = Some(metres(0, 0));
        sensor.interval = Some(Millis::minutes(1));
    };
    BundleBuilder::new()
        .sensor_with("gauge-1", "level", gauge)
        .sensor_with("gauge-2", "level", gauge)
        .silence("silent", "level", 3, Millis::minutes(3))
}

fn high(builder: BundleBuilder) -> BundleBuilder {
    builder
        .threshold("high", "level", &[(Moderate, 3.0), (Severe, 4.0)], |rule| {
            rule.clear_gap = 0.5;
        })
        .correlation("floods", "flood", &["high"], |_| ())
}

#[test]
fn siddhi_937_absence_without_later_event() {
    // Absence is reported when it is due, though no other event of any sensor comes.
    check_with(
        &gauges().build(),
        "10:00 gauge-1 1.0
         23:00 tick",
        &expect![[r#"
            10:03 sensor_silent gauge-1 last heard 10:00
        "#]],
    );
}

#[test]
fn thingsboard_7943_hysteresis() {
    check_with(
        &high(gauges()).build(),
        "10:00 gauge-1 3.1
         10:01 gauge-1 2.9
         10:02 gauge-1 3.0
         10:03 gauge-1 2.6
         10:04 gauge-1 2.5
         10:05-10:20/1 gauge-1 2.9",
        &expect![[r#"
            10:00 opened flood#1 moderate: gauge-1 3.1
            10:14 cleared flood#1 moderate
        "#]],
    );
}

#[test]
fn thingsboard_13050_a_static_value_fires_again_after_it_was_cleared() {
    // Cleared by a reload there is still the same high value: the next reading raises again.
    let floods = high(gauges());
    let other = floods
        .clone()
        .threshold("low", "level", &[(Minor, 0.1)], |rule| {
            rule.side = Side::Below;
        });
    let without = gauges().build();
    check_reloading(
        &[
            ("floods", &floods.build()),
            ("without", &without),
            ("other", &other.build()),
        ],
        "10:00 gauge-1 3.5
         10:01 reload without
         10:01 gauge-1 3.5
         10:02 reload other
         10:02 gauge-1 3.5",
        &expect![[r#"
            10:00 opened flood#1 moderate: gauge-1 3.5
            10:01 rules_changed
            10:01 cleared flood#1 moderate
            10:02 rules_changed
            10:02 opened flood#2 moderate: gauge-1 3.5
        "#]],
    );
}

#[test]
fn thingsboard_10590_a_duration_alarm_is_not_early() {
    let long = gauges()
        .threshold("long", "level", &[(Moderate, 3.0)], |rule| {
            rule.lasting = Millis::minutes(2);
        })
        .correlation("floods", "flood", &["long"], |_| ());
    check_with(
        &long.build(),
        "10:00 gauge-1 3.1
         10:01 gauge-1 2.9
         10:01:30 gauge-1 3.1
         10:03:29 gauge-1 3.1
         10:03:31 gauge-1 3.1",
        &expect![[r#"
            10:03:30 opened flood#1 moderate: gauge-1 3.1, gauge-1 3.1
            10:03:31 updated flood#1 moderate: gauge-1 3.1
        "#]],
    );
}

#[test]
fn thingsboard_13715_after_a_restart_every_device_is_not_disconnected() {
    check_with(
        &gauges().build(),
        "10:00 gauge-1 1.0
         10:00 gauge-2 1.0
         12:00 started after=10:01
         12:01 gauge-1 1.0
         12:02:59 tick
         12:03 tick",
        &expect![[r#"
            12:03 sensor_silent gauge-2 last heard 10:00
        "#]],
    );
}

#[test]
fn thingsboard_6821_inactivity_is_told_after_the_time_that_was_asked_for() {
    check_with(
        &gauges().build(),
        "10:00-10:10/1 gauge-1 1.0
         10:12:59 gauge-2 1.0
         10:13:01 gauge-2 1.0",
        &expect![[r#"
            10:13 sensor_silent gauge-1 last heard 10:10
        "#]],
    );
}

#[test]
fn keep_5115_a_threshold_does_not_count_what_is_resolved() {
    let two = gauges()
        .threshold("high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["high"], |rule| rule.sources_min = 2);
    check_with(
        &two.build(),
        "10:00 gauge-1 3.1
         10:01 gauge-1 1.0
         10:02 gauge-2 3.1
         10:03 gauge-1 3.1",
        &expect![[r#"
            10:03 opened flood#1 moderate 2 sensors: gauge-2 3.1, gauge-1 3.1
        "#]],
    );
}

#[test]
fn keep_4318_a_threshold_of_two_does_not_open_at_the_first() {
    let two = gauges()
        .threshold("high", "level", &[(Moderate, 3.0)], |_| ())
        .correlation("floods", "flood", &["high"], |rule| rule.sources_min = 2);
    check_with(&two.build(), "10:00-10:02/1 gauge-1 3.1", &expect![[""]]);
}

#[test]
fn keep_3418_nothing_opens_by_what_is_not_abnormal() {
    check_with(
        &high(gauges()).build(),
        "10:00 gauge-1 3.0
         10:01 gauge-1 2.9",
        &expect![[""]],
    );
}

#[test]
fn perseo_core_216_deleted_rules_do_not_keep_firing() {
    let floods = high(gauges()).build();
    let without = BundleBuilder::new()
        .sensor_with("gauge-1", "level", |sensor| {
            sensor.interval = Some(Millis::minutes(1));
        })
        .build();
    check_reloading(
        &[("floods", &floods), ("without", &without)],
        "10:00 gauge-1 1.0
         10:01 reload without
         10:02 gauge-1 9.0
         20:00 tick",
        &expect![[r#"
            10:01 rules_changed
        "#]],
    );
}

#[test]
fn perseo_fe_253_a_changed_silence_rule_does_not_tell_twice() {
    let slower = BundleBuilder::new()
        .sensor_with("gauge-1", "level", |sensor| {
            sensor.interval = Some(Millis::minutes(1));
        })
        .silence("silent", "level", 5, Millis::minutes(3));
    check_reloading(
        &[("before", &gauges().build()), ("slower", &slower.build())],
        "10:00 gauge-1 1.0
         10:01 reload slower
         20:00 tick",
        &expect![[r#"
            10:01 rules_changed
            10:06 sensor_silent gauge-1 last heard 10:00
        "#]],
    );
}

#[test]
fn ushahidi_1839_1696_the_same_report_twice_is_one() {
    let calls = BundleBuilder::new()
        .report("call", "call", Minor, Millis::minutes(60))
        .correlation("crowds", "crowd", &["call"], |rule| rule.sources_min = 2);
    check_with(
        &calls.build(),
        "10:00 app 1 kind=call at=0,0 id=a
         10:01 app 1 kind=call at=0,0 id=a
         10:02 app 1 kind=call at=0,0 id=b",
        &expect![[r#"
            10:02 opened crowd#1 minor 2 sensors: app 1, app 1
        "#]],
    );
}

#[test]
fn ekuiper_530_late_data_is_not_dropped_without_a_trace() {
    // Late evidence is named; what is late and neither raises nor clears is counted.
    check_with(
        &high(gauges()).build(),
        "10:05 gauge-1 3.5 observed=10:05
         10:06 gauge-1 4.5 observed=10:01
         10:07 gauge-1 1.0 observed=10:02",
        &expect![[r#"
            10:05 opened flood#1 moderate: gauge-1 3.5
            10:06 updated flood#1 moderate: gauge-1 4.5
        "#]],
    );
}

/// One gauge under two rules of one correlation rule: at once, and for long.
fn overlapping() -> BundleBuilder {
    BundleBuilder::new()
        .sensor("gauge-1", "level", metres(0, 0))
        .sensor("gauge-2", "level", metres(300, 0))
        .threshold("high", "level", &[(Moderate, 3.0)], |rule| {
            rule.readings_min = 2;
        })
        .threshold("staying-high", "level", &[(Moderate, 2.0)], |rule| {
            rule.lasting = Millis::minutes(4);
        })
        .correlation("floods", "flood", &["high", "staying-high"], |rule| {
            rule.weights = vec![2, 3];
            rule.sources_min = 2;
        })
}

#[test]
fn two_rules_about_one_sensor_do_not_name_a_reading_twice() {
    // By the second rule what waited with it comes later, and is in part older.
    check_with(
        &overlapping().build(),
        "10:00 gauge-1 2.5
         10:01-10:06/1 gauge-1 3.5",
        &expect![[r#"
            10:02 opened flood#1 moderate: gauge-1 3.5, gauge-1 3.5
            10:03 updated flood#1 moderate: gauge-1 3.5
            10:04 updated flood#1 moderate: gauge-1 2.5
            10:04:00.250 updated flood#1 moderate: gauge-1 3.5
            10:05 updated flood#1 moderate: gauge-1 3.5
            10:06 updated flood#1 moderate: gauge-1 3.5
        "#]],
    );
}

#[test]
fn two_rules_raised_by_the_same_readings_name_each_once_by_the_weightier() {
    let both = overlapping()
        .threshold("always", "level", &[(Severe, 3.0)], |rule| {
            rule.readings_min = 2;
        })
        .correlation("alarms", "alarm", &["always", "high"], |rule| {
            rule.weights = vec![1, 2];
            rule.sources_min = 2;
        })
        .correlation("ties", "tie", &["always", "high"], |rule| {
            rule.sources_min = 1;
        });
    let mut history = History::new(both.build());
    for (minute, id) in [(0, "a"), (1, "b"), (2, "c")] {
        let reading = Reading {
            id,
            sensor: "gauge-1",
            kind: "level",
            observed_at: MIDNIGHT + Millis::minutes(minute),
            received_at: None,
            value: 3.5,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        history.push(MIDNIGHT + Millis::minutes(minute), &Input::Reading(reading));
    }
    let mut told = Vec::new();
    for decision in history.run(&Manner::plain()).decisions {
        let Some(incident) = decision.verdict.incident() else {
            continue;
        };
        let evidence = decision.cause.evidence.iter();
        let named: Vec<_> = evidence
            .map(|evidence| format!("{} {}", evidence.reading, evidence.rule))
            .collect();
        let named = named.join(", ");
        told.push(format!(
            "{} of {}: {named}",
            incident.kind, incident.readings
        ));
    }
    assert_eq!(
        told,
        [
            "alarm of 2: a high, b high",
            "flood of 2: a high, b high",
            "tie of 2: a always, b always",
            "alarm of 3: c high",
            "flood of 3: c high",
            "tie of 3: c always",
        ]
    );
}

#[test]
fn a_whole_window_in_flight_is_redelivered_and_changes_nothing() {
    let mut history = History::new(high(gauges()).build());
    let reading = |number: i64| {
        let at = MIDNIGHT + Millis::seconds(number);
        (at, if number % 500 > 400 { 3.5 } else { 1.0 })
    };
    let push = |history: &mut History, number: i64, now: i64| {
        let (observed_at, value) = reading(number);
        let id = format!("r{number}");
        let reading = Reading {
            id: &id,
            sensor: "gauge-1",
            kind: "level",
            observed_at,
            received_at: None,
            value,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        history.push(MIDNIGHT + Millis::seconds(now), &Input::Reading(reading));
    };
    (0..2_500).for_each(|number| push(&mut history, number, number));
    let mut redelivered = history.clone();
    (300..2_500).for_each(|number| push(&mut redelivered, number, 2_500));
    for history in [&mut history, &mut redelivered] {
        (2_500..3_000).for_each(|number| push(history, number, number));
    }
    let (judgement, told) = redelivered.judge(&Manner::plain());
    let plain = history.run(&Manner::plain()).decisions;
    assert_eq!(without_numbers(&told), without_numbers(&plain));
    let sensors = judgement.counters().sensors;
    assert_eq!(sensors.readings_duplicate, 32);
    assert_eq!(sensors.readings_beyond_memory, 2_200 - 32);
}

#[test]
fn a_dead_letter_read_again_is_evidence_however_much_its_sensor_has_said_since() {
    let mut history = History::new(high(gauges()).build());
    let push = |history: &mut History, number: i64, value, now: i64, is_reread| {
        let id = format!("r{number}");
        let reading = Reading {
            id: &id,
            sensor: "gauge-1",
            kind: "level",
            observed_at: MIDNIGHT + Millis::minutes(number),
            received_at: None,
            value,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        let input = match is_reread {
            true => Input::Reread(reading),
            false => Input::Reading(reading),
        };
        history.push(MIDNIGHT + Millis::minutes(now), &input);
    };
    // A hundred that were dead letters, then a hundred that were heard, the last of them high.
    (100..200).for_each(|number| {
        let value = if number >= 198 { 3.5 } else { 1.0 };
        push(&mut history, number, value, number, false);
    });
    let mut plain = history.clone();
    // Each is evidence, none raises, clears or is taken for that of a clock that was set back; what
    // is remembered is a redelivery all the same. That the sensor is silent by then, it stays.
    (0..100).for_each(|number| push(&mut history, number, 1.0, 204 + number, true));
    (170..200).for_each(|number| push(&mut history, number, 1.0, 310, true));
    (0..100).for_each(|number| push(&mut plain, number, 1.0, 204 + number, false));
    let (judgement, told) = history.judge(&Manner::plain());
    let counted = judgement.counters().sensors;
    assert_eq!(counted.readings_judged, 200);
    assert_eq!(counted.readings_duplicate, 30);
    assert_eq!(
        (counted.readings_beyond_memory, counted.clocks_set_back),
        (0, 0)
    );
    let words = |told: &[Decision]| -> Vec<_> {
        let word = |decision: &Decision| decision.verdict.word().to_owned();
        told.iter().map(word).collect()
    };
    assert!(
        words(&told).contains(&"sensor_silent".to_owned()),
        "{:?}",
        words(&told)
    );
    assert!(
        !words(&told).contains(&"sensor_returned".to_owned()),
        "{:?}",
        words(&told)
    );
    // Sent by the sensor itself, they cannot be told from redeliveries.
    let (judgement, _) = plain.judge(&Manner::plain());
    let counted = judgement.counters().sensors;
    assert!(counted.readings_beyond_memory > 0, "{counted:?}");
}

#[test]
fn a_sensor_whose_clock_is_set_back_is_heard_again() {
    let mut timeline = String::from("09:00-09:59/1 gauge-1 1.0\n");
    for minute in 0..10 {
        timeline += &format!("10:0{minute} gauge-1 3.5 observed=01:0{minute}\n");
    }
    let floods = BundleBuilder::new().sensor("gauge-1", "level", metres(0, 0));
    check_with(
        &high(floods).build(),
        &timeline,
        &expect![[r#"
            10:02 opened flood#1 moderate: gauge-1 3.5
            10:03 updated flood#1 moderate: gauge-1 3.5
            10:04 updated flood#1 moderate: gauge-1 3.5
            10:05 updated flood#1 moderate: gauge-1 3.5
            10:06 updated flood#1 moderate: gauge-1 3.5
            10:07 updated flood#1 moderate: gauge-1 3.5
            10:08 updated flood#1 moderate: gauge-1 3.5
            10:09 updated flood#1 moderate: gauge-1 3.5
        "#]],
    );
}

#[test]
fn a_sensor_whose_clock_is_set_back_into_what_is_remembered_is_heard_again() {
    // By an hour, of which ten readings are remembered; and by as little as twenty minutes.
    for back in ["09", "10"] {
        let mut timeline = String::from("10:10-10:19/1 gauge-1 1.0\n");
        for minute in 20..26 {
            let observed = match back {
                "09" => format!("09:{minute}"),
                _ => format!("10:{:02}", minute - 20),
            };
            timeline += &format!("10:{minute} gauge-1 3.5 observed={observed}\n");
        }
        let floods = BundleBuilder::new().sensor("gauge-1", "level", metres(0, 0));
        check_with(
            &high(floods).build(),
            &timeline,
            &expect![[r#"
                10:22 opened flood#1 moderate: gauge-1 3.5
                10:23 updated flood#1 moderate: gauge-1 3.5
                10:24 updated flood#1 moderate: gauge-1 3.5
                10:25 updated flood#1 moderate: gauge-1 3.5
            "#]],
        );
    }
}

#[test]
fn a_clock_that_is_set_back_while_a_flood_lasts_lets_it_clear() {
    let mut timeline = String::from("10:00-10:09/1 gauge-1 3.5\n");
    for minute in 10..30 {
        timeline += &format!("10:{minute} gauge-1 1.0 observed=09:{minute}\n");
    }
    let floods = BundleBuilder::new().sensor("gauge-1", "level", metres(0, 0));
    let told = crate::timeline::run(&[("floods", &high(floods).build())], &timeline);
    // Ten minutes after the third reading that came by it.
    assert!(told.ends_with("10:22 cleared flood#1 moderate\n"), "{told}");
}

#[test]
fn a_backlog_is_no_clock_that_is_set_back_however_it_comes() {
    let floods = BundleBuilder::new().sensor("gauge-1", "level", metres(0, 0));
    let floods = high(floods).build();
    // One fresh reading, then an hour of them: at once, over five minutes, over half an hour.
    for apart_s in [0, 5, 30] {
        let mut timeline = String::from("08:50-08:59/1 gauge-1 1.0\n10:00 gauge-1 1.0\n");
        for minute in 0..60 {
            let at = 1 + minute * apart_s;
            let (at_min, at_s) = (at / 60, at % 60);
            timeline += &format!("10:{at_min:02}:{at_s:02} gauge-1 3.5 observed=09:{minute:02}\n");
        }
        assert_eq!(
            crate::timeline::run(&[("floods", &floods)], &timeline),
            "",
            "{apart_s} s apart"
        );
    }
    // As slowly as they were made, beside fresh ones by another way.
    let mut timeline = String::from("09:50-09:59/1 gauge-1 1.0\n");
    for minute in 0..60 {
        timeline += &format!("10:{minute:02} gauge-1 1.0\n");
        timeline += &format!("10:{minute:02}:30 gauge-1 3.5 observed=09:{minute:02}:30\n");
    }
    assert_eq!(crate::timeline::run(&[("floods", &floods)], &timeline), "");
    // The newest first.
    let mut timeline = String::from("08:50-08:59/1 gauge-1 1.0\n10:00 gauge-1 1.0\n");
    for minute in 0..30 {
        let observed = 59 - minute;
        timeline += &format!("10:{:02} gauge-1 3.5 observed=09:{observed}\n", minute + 1);
    }
    assert_eq!(crate::timeline::run(&[("floods", &floods)], &timeline), "");
}

#[test]
fn what_comes_again_after_a_clock_was_set_back_is_known_and_hides_nothing() {
    let floods = BundleBuilder::new().sensor("gauge-1", "level", metres(0, 0));
    let mut history = History::new(high(floods).build());
    let push = |history: &mut History, number: i64, (observed_min, at_min): (i64, i64), value| {
        let id = format!("r{number}");
        let reading = Reading {
            id: &id,
            sensor: "gauge-1",
            kind: "level",
            observed_at: MIDNIGHT + Millis::minutes(observed_min),
            received_at: None,
            value,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        history.push(MIDNIGHT + Millis::minutes(at_min), &Input::Reading(reading));
    };
    for number in 100..120 {
        push(&mut history, number, (number, number), 1.0);
    }
    for number in 120..125 {
        push(&mut history, number, (number - 60, number), 1.0);
    }
    let mut again = history.clone();
    for number in 100..125 {
        let back = if number < 120 { 0 } else { 60 };
        push(&mut again, number, (number - back, 125), 1.0);
    }
    for history in [&mut history, &mut again] {
        push(history, 125, (65, 125), 3.5);
        push(history, 126, (66, 126), 3.5);
    }
    let plain = history.run(&Manner::plain()).decisions;
    let (judgement, told) = again.judge(&Manner::plain());
    assert_eq!(without_numbers(&told), without_numbers(&plain));
    assert!(!plain.is_empty(), "it is heard");
    let sensors = judgement.counters().sensors;
    assert_eq!(
        (sensors.clocks_set_back, sensors.readings_duplicate),
        (1, 25)
    );
}

#[test]
fn a_call_that_hundreds_of_others_overtook_still_counts() {
    let calls = BundleBuilder::new()
        .report("call", "call", Minor, Millis::minutes(60))
        .correlation("crowds", "crowd", &["call"], |rule| {
            rule.sources_min = 2;
            rule.within_m = 100;
        });
    let mut timeline = String::new();
    for number in 0..900 {
        let east = number * 1_000;
        timeline += &format!("10:00:{:02} calls 1 kind=call at={east},0\n", number / 20);
    }
    timeline += "10:01 calls 1 kind=call at=0,0 observed=10:00:05\n";
    let told = crate::timeline::run(&[("calls", &calls.build())], &timeline);
    assert_eq!(
        told,
        "10:01 opened crowd#1 minor 2 sensors: calls 1, calls 1\n"
    );
}

#[test]
fn a_merger_does_not_name_a_reading_again_that_was_a_report_before() {
    // It waits ten minutes as a measurement; by then the fire it opened as a report is too old to
    // be joined, until that fire's own detector speaks.
    let fires = BundleBuilder::new()
        .sensor("heat-1", "heat", metres(0, 0))
        .threshold("heat-high", "heat", &[(Moderate, 50.0)], |_| ())
        .report("smoke-said", "smoke", Minor, Millis::minutes(1))
        .threshold("smoke-long", "smoke", &[(Moderate, 3.0)], |rule| {
            rule.lasting = Millis::minutes(10);
        })
        .correlation(
            "fires",
            "fire",
            &["heat-high", "smoke-said", "smoke-long"],
            |rule| {
                rule.weights = vec![2, 2, 1];
                rule.sources_min = 2;
                rule.within = Millis::minutes(5);
                rule.clear_after = Millis::minutes(60);
            },
        );
    check_with(
        &fires.build(),
        "10:00 drone 3.5 kind=smoke at=0,0
         10:00:10 heat-1 60
         10:01 heat-1 20
         10:11 heat-1 70
         10:12 heat-1 20",
        &expect![[r#"
            10:00 opened fire#1 minor: drone 3.5
            10:00:10 updated fire#1 moderate 2 sensors: heat-1 60
            10:11 updated fire#1 moderate 3 sensors: heat-1 70
        "#]],
    );
}

#[test]
fn thingsboard_11803_thingsboard_10979_a_timed_clear_needs_no_further_reading() {
    check_with(
        &high(gauges()).build(),
        "10:00 gauge-1 4.5
         10:01-10:09/1 gauge-1 1.0
         23:00 tick",
        &expect![[r#"
            10:00 opened flood#1 severe: gauge-1 4.5
            10:11 cleared flood#1 severe
            10:12 sensor_silent gauge-1 last heard 10:09
        "#]],
    );
}

#[test]
fn thingsboard_7227_thingsboard_14324_either_of_two_conditions_is_enough() {
    let either = gauges()
        .threshold("high", "level", &[(Moderate, 3.0)], |_| ())
        .threshold("low", "level", &[(Severe, 0.5)], |rule| {
            rule.side = Side::Below;
        })
        .correlation("odd", "odd", &["high", "low"], |_| ());
    check_with(
        &either.build(),
        "10:00 gauge-1 3.1
         10:01-10:10/1 gauge-1 1.0
         11:00 gauge-1 0.4
         11:01 gauge-1 1.0",
        &expect![[r#"
            10:00 opened odd#1 moderate: gauge-1 3.1
            10:11 cleared odd#1 moderate
            10:13 sensor_silent gauge-1 last heard 10:10
            11:00 sensor_returned gauge-1 last heard 10:10
            11:00 opened odd#2 severe: gauge-1 0.4
        "#]],
    );
}

#[test]
fn perseo_fe_411_absence_is_told_after_a_restart_without_an_event() {
    check_with(
        &gauges().build(),
        "10:00 gauge-1 1.0
         10:01 started after=10:00:30
         23:00 tick",
        &expect![[r#"
            10:04 sensor_silent gauge-1 last heard 10:00
        "#]],
    );
}

/// Calls that are counted over ten minutes, each minute anew.
fn counted() -> BundleBuilder {
    BundleBuilder::new()
        .sensor("calls", "call", metres(0, 0))
        .threshold("calls-many", "call", &[(Moderate, 3.0)], |_| ())
        .of_window(Aggregate::Count, Millis::minutes(10), Millis::minutes(1))
        .correlation("crowds", "crowd", &["calls-many"], |_| ())
}

#[test]
fn ekuiper_3847_what_a_window_holds_is_not_lost_by_a_restart() {
    check_with(
        &counted().build(),
        "10:00 calls 1
         10:01 calls 1
         10:02 calls 1
         10:03 started after=10:02:30
         10:04 calls 1
         23:00 tick",
        &expect![[r#"
            10:04:45.408 opened crowd#1 moderate: calls 1, calls 1, calls 1, calls 1
            10:20:45.408 cleared crowd#1 moderate
        "#]],
    );
}

#[test]
fn frost_server_836_sixteen_readings_a_second_out_of_order_are_put_in_order() {
    // As they come the newest is first, so that all others are late.
    let bundle = |settle| {
        gauges()
            .threshold("high", "level", &[(Moderate, 3.0)], |rule| {
                rule.readings_min = 10;
            })
            .settling(settle)
            .correlation("floods", "flood", &["high"], |_| ())
            .build()
    };
    let mut timeline = String::new();
    for place in 0..20 {
        let value = if place < 10 { 1.0 } else { 3.5 };
        let observed = f64::from(place) / 16.0;
        let sent = 2.0 + f64::from(19 - place) / 16.0;
        timeline += &format!("10:00:{sent} gauge-1 {value} observed=10:00:{observed}\n");
    }
    timeline += "10:01 tick";
    check_with(&bundle(Millis::ZERO), &timeline, &expect![[""]]);
    let high = ["gauge-1 3.5"; 10].join(", ");
    let told = crate::timeline::run(&[("settled", &bundle(Millis::seconds(5)))], &timeline);
    assert_eq!(
        told,
        format!("10:00:06.187 opened flood#1 moderate: {high}\n")
    );
}

#[test]
fn a_train_that_does_not_come_is_told_without_another_one() {
    let trains = BundleBuilder::new()
        .sensor("platform-1", "train", metres(0, 0))
        .threshold("train-missing", "train", &[(Moderate, 1.0)], |rule| {
            rule.side = Side::Below;
        })
        .of_window(Aggregate::Count, Millis::minutes(30), Millis::minutes(5))
        .correlation("trains", "no_train", &["train-missing"], |_| ());
    check_with(
        &trains.build(),
        "05:00 platform-1 1
         05:10-06:00/10 platform-1 1
         07:10 platform-1 1
         07:20-08:00/10 platform-1 1
         08:10 started after=08:01
         08:20 platform-1 1
         08:30 tick",
        &expect![[r#"
            06:34:35.644 opened no_train#1 moderate: platform-1 1
            07:24:35.644 cleared no_train#1 moderate
        "#]],
    );
}

#[test]
fn many_calls_within_ten_minutes_are_a_crowd_in_whatever_order_they_come() {
    let in_order = "10:00 calls 1 id=a
         10:00:05 calls 1 id=b
         10:00:10 calls 1 id=c
         10:00:15 calls 1 id=d
         11:00 tick";
    let otherwise = "10:00:16 calls 1 id=d observed=10:00:15
         10:00:17 calls 1 id=c observed=10:00:10
         10:00:18 calls 1 id=b observed=10:00:05
         10:00:19 calls 1 id=a observed=10:00
         11:00 tick";
    let bundle = counted().build();
    let told = |timeline| crate::timeline::run(&[("calls", &bundle)], timeline);
    assert_eq!(
        told(in_order),
        "10:00:45.408 opened crowd#1 moderate: calls 1\n\
         10:20:45.408 cleared crowd#1 moderate\n"
    );
    assert_eq!(told(in_order), told(otherwise));
}
