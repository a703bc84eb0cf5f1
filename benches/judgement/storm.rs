//! What much at once costs: no record may hold the engine for long, whatever happens in a city.
//!
//! Each scene is a city of 100,000 registered sensors that are heard, each with its timer of
//! silence, and 8,000 of which have something to say within one second.

use std::sync::Arc;

use ioc_bench::city::{Builder, effect, metres, on_grid};
use ioc_bench::stepped::Stepped;
use ioc_core::bundle::{Bundle, Counted};
use ioc_core::limits::{ACROSS_SENSORS_MAX, NAMED_BYTES_MAX};
use ioc_core::record::{Action, Ask, BuildHash, ClockKind, Command, Input, Started};
use ioc_core::time::Millis;

/// A scene, by its name.
pub type Scene = (&'static str, fn(usize) -> Stepped);

pub const SCENES: [Scene; 18] = [
    ("8,000 alarms join one incident, which clears", one_incident),
    (
        "8,000 incidents, then their cause, which clears",
        parent_and_children,
    ),
    (
        "8,000 candidates under feeders become one",
        candidates_become_one,
    ),
    (
        "8,000 incidents under feeders become one",
        incidents_become_one,
    ),
    ("a feeder is well again, 8,000 stay dark", stays_dark),
    ("all fall silent at one instant", all_silent),
    ("other rules", other_rules),
    ("other rules twice within a second", other_rules_twice),
    ("8,000 incidents below a feeder that fails", below_a_feeder),
    (
        "two incidents of 4,000 members become one",
        two_large_become_one,
    ),
    ("a rule with 8,000 incidents goes", a_rule_goes),
    ("back after an hour", back_after_an_hour),
    ("back after a storm", back_after_a_storm),
    (
        "a person merges two incidents of 4,000 members",
        two_large_merged_by_a_person,
    ),
    (
        "a person splits as many of 8,000 members as one order names",
        half_is_split_off,
    ),
    (
        "a person says that 8,000 silent ones are over",
        silent_ones_are_over,
    ),
    (
        "an hour of 4,096 sensors, of each what it said last",
        latest_of_many,
    ),
    (
        "an hour of 4,096 sensors, all that they say",
        readings_of_many,
    ),
];

const ALARMS: usize = 8_000;

fn meter(number: usize) -> String {
    format!("meter-{number:06}")
}

fn plain(sensors: usize) -> Builder {
    Builder::new()
        .sensors(sensors, "voltage", meter, |number| on_grid(number, 100))
        .above_three("alarm", "voltage", 1)
        .silent("no-voltage", "voltage")
}

/// All are heard within a minute.
fn heard(stepped: &mut Stepped, sensors: usize) {
    let begin = stepped.now();
    for number in 0..sensors {
        let at = begin + Millis((number * 60_000 / sensors) as i64);
        stepped.until(at, "tick");
        stepped.reads("first reading", &meter(number), "voltage", 1.0);
    }
}

/// So many say this within a second, in an order that has nothing to do with where they stand.
fn say(stepped: &mut Stepped, what: &'static str, sensors: usize, value: f64) {
    let begin = stepped.now();
    for number in 0..ALARMS {
        let at = begin + Millis((number * 1_000 / ALARMS) as i64);
        stepped.until(at, "tick");
        let meter = meter(number * 7_919 % ALARMS % sensors);
        stepped.reads(what, &meter, "voltage", value);
    }
}

fn later(stepped: &mut Stepped, minutes: i64, what: &'static str) {
    stepped.until(stepped.now() + Millis::minutes(minutes), what);
}

fn one_incident(sensors: usize) -> Stepped {
    let city = plain(sensors).incidents("outages", "outage", "alarm", |rule| {
        rule.clear_after = Millis::minutes(1);
        rule.reopen_within = Millis::minutes(1);
    });
    let mut stepped = Stepped::under(&city.build(1));
    heard(&mut stepped, sensors);
    later(&mut stepped, 1, "tick");
    say(&mut stepped, "alarm", sensors, 5.0);
    later(&mut stepped, 1, "tick");
    say(&mut stepped, "normal again", sensors, 1.0);
    later(&mut stepped, 3, "tick while it clears");
    stepped
}

fn parent_and_children(sensors: usize) -> Stepped {
    let city = plain(sensors)
        .sensors(1, "shaking", |_| "quake-1".into(), |_| metres(5_000, 1_000))
        .above_three("shakes", "shaking", 1)
        .incidents("trapped", "lift", "alarm", |rule| {
            rule.within_m = 10;
            rule.clear_after = Millis::minutes(1);
            rule.reopen_within = Millis::minutes(1);
        })
        .incidents("quakes", "quake", "shakes", |rule| {
            rule.may_cause = vec![effect("lift", 50_000)];
            rule.clear_after = Millis::minutes(1);
            rule.reopen_within = Millis::minutes(1);
        });
    let mut stepped = Stepped::under(&city.build(1));
    heard(&mut stepped, sensors);
    later(&mut stepped, 1, "tick");
    stepped.reads("first reading", "quake-1", "shaking", 1.0);
    say(&mut stepped, "alarm", sensors, 5.0);
    stepped.reads("the cause opens", "quake-1", "shaking", 5.0);
    later(&mut stepped, 1, "tick while children are taken");
    stepped.reads("the cause is over", "quake-1", "shaking", 1.0);
    later(&mut stepped, 3, "tick while the cause clears");
    say(&mut stepped, "normal again", sensors, 1.0);
    later(&mut stepped, 5, "tick while children clear");
    assert_eq!(stepped.opened, ALARMS.min(sensors) + 1);
    stepped
}

/// Each meter under a transformer of its own, all of these under one line that says so when it
/// fails.
fn fed(sensors: usize, sources_min: u32) -> Builder {
    let mut city = plain(sensors)
        .sensors(1, "line", |_| "line-1".into(), |_| metres(0, 0))
        .above_three("line-dead", "line", 1)
        .fed_by("line-1", "");
    for number in 0..ALARMS.min(sensors) {
        let transformer = format!("transformer-{number:06}");
        city = city
            .fed_by(&meter(number), &transformer)
            .fed_by(&transformer, "line-1");
    }
    city.incidents("outages", "outage", "alarm", |rule| {
        rule.detections
            .push("line-dead".parse().expect("a rule's name"));
        rule.weights.push(sources_min);
        rule.within_m = 10;
        rule.sources_min = sources_min;
        rule.along.fed_by = true;
        rule.along.nested_after = Some(Millis::minutes(1));
        rule.clear_after = Millis::minutes(1);
        rule.reopen_within = Millis::minutes(1);
    })
}

fn candidates_become_one(sensors: usize) -> Stepped {
    become_one(sensors, 2)
}

fn incidents_become_one(sensors: usize) -> Stepped {
    become_one(sensors, 1)
}

fn become_one(sensors: usize, sources_min: u32) -> Stepped {
    let mut stepped = Stepped::under(&fed(sensors, sources_min).build(1));
    heard(&mut stepped, sensors);
    stepped.reads("first reading", "line-1", "line", 1.0);
    later(&mut stepped, 1, "tick");
    say(&mut stepped, "alarm", sensors, 5.0);
    stepped.reads("what unites them", "line-1", "line", 5.0);
    later(&mut stepped, 1, "tick while they become one");
    stepped.reads("normal again", "line-1", "line", 1.0);
    say(&mut stepped, "normal again", sensors, 1.0);
    later(&mut stepped, 3, "tick while it clears");
    stepped
}

fn stays_dark(sensors: usize) -> Stepped {
    let mut stepped = Stepped::under(&fed(sensors, 1).build(1));
    heard(&mut stepped, sensors);
    stepped.reads("first reading", "line-1", "line", 1.0);
    later(&mut stepped, 1, "tick");
    stepped.reads("alarm", "line-1", "line", 5.0);
    say(&mut stepped, "alarm", sensors, 5.0);
    later(&mut stepped, 1, "tick");
    stepped.reads("the feeder is well", "line-1", "line", 1.0);
    later(&mut stepped, 3, "tick while they part");
    say(&mut stepped, "normal again", sensors, 1.0);
    later(&mut stepped, 4, "tick while they clear");
    stepped
}

fn all_silent(sensors: usize) -> Stepped {
    let city = plain(sensors).incidents("outages", "outage", "alarm", |_| ());
    let mut stepped = Stepped::under(&city.build(1));
    // All at one instant, twice: timers ask again for what was heard since.
    for minute in [0, 19] {
        stepped.until(stepped.now() + Millis::minutes(minute), "tick");
        for number in 0..sensors {
            stepped.reads("reading", &meter(number), "voltage", 1.0);
        }
    }
    later(&mut stepped, 10, "tick that asks who was heard");
    later(&mut stepped, 20, "tick by which all are silent");
    assert_eq!(stepped.silent, sensors);
    stepped
}

/// The same city, in which another rule finds alarms under each hash.
fn rules(sensors: usize, hash: u64) -> Arc<Bundle> {
    let city = Builder::new()
        .sensors(sensors, "voltage", meter, |number| on_grid(number, 100))
        .above_three("alarm", "voltage", hash)
        .silent("no-voltage", "voltage")
        .incidents("outages", "outage", "alarm", |_| ());
    city.build(hash as u8)
}

fn reload(stepped: &mut Stepped, what: &'static str, bundle: &Arc<Bundle>) {
    stepped.judgement.provide(Arc::clone(bundle));
    stepped.apply(what, &Input::Reload(bundle.hash));
}

fn other_rules_twice(sensors: usize) -> Stepped {
    let mut stepped = Stepped::under(&rules(sensors, 1));
    heard(&mut stepped, sensors);
    later(&mut stepped, 1, "tick");
    say(&mut stepped, "alarm", sensors, 5.0);
    reload(&mut stepped, "reload", &rules(sensors, 2));
    let soon = stepped.now() + Millis(200);
    stepped.until(soon, "tick after the reload");
    reload(&mut stepped, "the next reload", &rules(sensors, 3));
    later(&mut stepped, 1, "tick after both");
    stepped
}

fn below_a_feeder(sensors: usize) -> Stepped {
    let mut city = plain(sensors)
        .sensors(1, "line", |_| "line-1".into(), |_| metres(0, 0))
        .above_three("line-dead", "line", 1)
        .fed_by("line-1", "");
    for number in 0..ALARMS.min(sensors) {
        city = city.fed_by(&meter(number), "line-1");
    }
    let city = city
        .incidents("trapped", "lift", "alarm", |rule| {
            rule.within_m = 10;
            rule.clear_after = Millis::minutes(1);
            rule.reopen_within = Millis::minutes(1);
        })
        .incidents("outages", "outage", "line-dead", |rule| {
            let mut lifts = effect("lift", 0);
            lifts.along.fed_by = true;
            lifts.symptom = true;
            rule.may_cause = vec![lifts];
            rule.clear_after = Millis::minutes(1);
            rule.reopen_within = Millis::minutes(1);
        });
    let mut stepped = Stepped::under(&city.build(1));
    heard(&mut stepped, sensors);
    stepped.reads("first reading", "line-1", "line", 1.0);
    later(&mut stepped, 1, "tick");
    say(&mut stepped, "alarm", sensors, 5.0);
    stepped.reads("the feeder fails", "line-1", "line", 5.0);
    later(&mut stepped, 1, "tick while children are taken");
    stepped.reads("the feeder is well", "line-1", "line", 1.0);
    later(&mut stepped, 3, "tick while the cause clears");
    say(&mut stepped, "normal again", sensors, 1.0);
    later(&mut stepped, 5, "tick while children clear");
    assert_eq!(stepped.opened, ALARMS.min(sensors) + 1);
    stepped
}

/// Meters north and south of a gap, and two between by which both sides are one.
fn two_large_become_one(sensors: usize) -> Stepped {
    const COLUMNS: usize = 320;
    const SOUTH: usize = 12 * COLUMNS;
    let place = |number: usize| {
        let gap = if number < SOUTH { 0 } else { 300 };
        metres(number % COLUMNS * 100, number / COLUMNS * 100 + gap)
    };
    let city = Builder::new()
        .sensors(sensors, "voltage", meter, place)
        .sensors(
            2,
            "gap",
            |number| format!("gap-{number}"),
            |number| metres(0, 1_240 + 130 * number),
        )
        .above_three("alarm", "voltage", 1)
        .above_three("alarm-between", "gap", 1)
        .silent("no-voltage", "voltage")
        .incidents("outages", "outage", "alarm", |rule| {
            rule.detections
                .push("alarm-between".parse().expect("a rule's name"));
            rule.weights.push(1);
            rule.within_m = 150;
        });
    let mut stepped = Stepped::under(&city.build(1));
    heard(&mut stepped, sensors);
    later(&mut stepped, 1, "tick");
    say(&mut stepped, "alarm", sensors, 5.0);
    later(&mut stepped, 1, "tick");
    stepped.reads("near one of them", "gap-0", "gap", 5.0);
    stepped.reads("near both", "gap-1", "gap", 5.0);
    later(&mut stepped, 1, "tick when they are one");
    stepped
}

fn a_rule_goes(sensors: usize) -> Stepped {
    let city = |hash: u64| {
        let city = plain(sensors).incidents("trapped", "lift", "alarm", |rule| {
            rule.within_m = 10;
            rule.hash = hash;
        });
        city.build(hash as u8)
    };
    let mut stepped = Stepped::under(&city(1));
    heard(&mut stepped, sensors);
    later(&mut stepped, 1, "tick");
    say(&mut stepped, "alarm", sensors, 5.0);
    later(&mut stepped, 1, "tick");
    reload(&mut stepped, "reload", &city(2));
    later(&mut stepped, 1, "tick after the reload");
    stepped
}

fn back_after_an_hour(sensors: usize) -> Stepped {
    let city = plain(sensors).incidents("outages", "outage", "alarm", |_| ());
    let mut stepped = Stepped::under(&city.build(1));
    heard(&mut stepped, sensors);
    away_for_an_hour(&mut stepped);
    stepped
}

fn away_for_an_hour(stepped: &mut Stepped) {
    let down_from = stepped.now();
    stepped.pass(Millis::minutes(60));
    let started = Started {
        down_from: Some(down_from),
        down_to: stepped.now(),
        build: BuildHash([1; 32]),
        clock: ClockKind::System,
    };
    stepped.apply("started", &Input::Started(started));
    later(stepped, 1, "tick after the start");
}

/// Thousands of incidents would have cleared, and been over, while nobody was there.
fn back_after_a_storm(sensors: usize) -> Stepped {
    let city = plain(sensors).incidents("trapped", "lift", "alarm", |rule| {
        rule.within_m = 10;
        rule.clear_after = Millis::minutes(1);
        rule.reopen_within = Millis::minutes(1);
    });
    let mut stepped = Stepped::under(&city.build(1));
    heard(&mut stepped, sensors);
    later(&mut stepped, 1, "tick");
    say(&mut stepped, "alarm", sensors, 5.0);
    say(&mut stepped, "normal again", sensors, 1.0);
    away_for_an_hour(&mut stepped);
    later(&mut stepped, 2, "tick after the start");
    stepped
}

/// Meters west and east of a gap, of each side one incident by then.
fn two_large_merged_by_a_person(sensors: usize) -> Stepped {
    const COLUMNS: usize = 320;
    let place = |number: usize| {
        let gap = if number.is_multiple_of(2) { 0 } else { 100_000 };
        metres(number / 2 % COLUMNS * 100 + gap, number / 2 / COLUMNS * 100)
    };
    let city = Builder::new()
        .sensors(sensors, "voltage", meter, place)
        .above_three("alarm", "voltage", 1)
        .silent("no-voltage", "voltage")
        .incidents("outages", "outage", "alarm", |rule| rule.within_m = 40_000);
    let mut stepped = Stepped::under(&city.build(1));
    heard(&mut stepped, sensors);
    later(&mut stepped, 1, "tick");
    say(&mut stepped, "alarm", sensors, 5.0);
    later(&mut stepped, 1, "tick");
    let both = (stepped.first, stepped.last);
    let (Some(incident), Some(other)) = both else {
        unreachable!("both have opened");
    };
    let command = Command {
        request: "merge",
        actor: "bench",
        action: Action::About {
            incident,
            ask: Ask::Merge(other),
            note: "",
            sources: "",
        },
    };
    stepped.apply("the merger is asked for", &Input::Command(command));
    later(&mut stepped, 1, "tick while they become one");
    stepped
}

/// All of one incident that a person names a part of: each second meter, as many as one request may name.
fn half_is_split_off(sensors: usize) -> Stepped {
    let city = plain(sensors).incidents("outages", "outage", "alarm", |_| ());
    let mut stepped = Stepped::under(&city.build(1));
    heard(&mut stepped, sensors);
    later(&mut stepped, 1, "tick");
    say(&mut stepped, "alarm", sensors, 5.0);
    later(&mut stepped, 1, "tick");
    let names = (0..ALARMS.min(sensors)).step_by(2).map(meter);
    let named: String = names.map(|meter| meter + "\n").collect();
    let named = &named[..named.len().min(NAMED_BYTES_MAX)];
    let (named, _) = named.rsplit_once('\n').expect("some are named");
    asks(&mut stepped, "the split is asked for", Ask::Split, named);
    later(&mut stepped, 1, "tick while a part goes over");
    stepped
}

/// All of one incident fall silent, and who is there says that it is over.
fn silent_ones_are_over(sensors: usize) -> Stepped {
    let city = plain(sensors).incidents("outages", "outage", "alarm", |_| ());
    let mut stepped = Stepped::under(&city.build(1));
    heard(&mut stepped, sensors);
    later(&mut stepped, 1, "tick");
    say(&mut stepped, "alarm", sensors, 5.0);
    later(&mut stepped, 60, "tick while all fall silent");
    asks(&mut stepped, "it is said to be over", Ask::AllClear, "");
    later(&mut stepped, 1, "tick after it");
    stepped
}

/// A person asks something about the incident that has opened.
fn asks(stepped: &mut Stepped, what: &'static str, ask: Ask, sources: &str) {
    let incident = stepped.first.expect("one has opened");
    let command = Command {
        request: "asked",
        actor: "bench",
        action: Action::About {
            incident,
            ask,
            note: "",
            sources,
        },
    };
    stepped.apply(what, &Input::Command(command));
}

fn other_rules(sensors: usize) -> Stepped {
    let mut stepped = Stepped::under(&rules(sensors, 1));
    heard(&mut stepped, sensors);
    later(&mut stepped, 1, "tick");
    say(&mut stepped, "alarm", sensors, 5.0);
    reload(&mut stepped, "reload", &rules(sensors, 2));
    later(&mut stepped, 1, "tick after the reload");
    say(&mut stepped, "alarm", sensors, 5.0);
    reload(&mut stepped, "reload", &rules(sensors, 1));
    say(&mut stepped, "alarm just after a reload", sensors, 5.0);
    later(&mut stepped, 1, "tick after the reload");
    stepped
}

fn latest_of_many(sensors: usize) -> Stepped {
    many_at_once(sensors, Counted::Sensors)
}

fn readings_of_many(sensors: usize) -> Stepped {
    many_at_once(sensors, Counted::Readings)
}

/// As many sensors as a group may have say something each minute, for longer than its window: no two of
/// the 512 values of a minute are alike, nor are those of two minutes. Then all are beyond the level.
fn many_at_once(sensors: usize, counts: Counted) -> Stepped {
    let gauge = |number: usize| format!("gauge-{number:04}");
    let city = plain(sensors)
        .sensors(ACROSS_SENSORS_MAX, "rain", gauge, |number| {
            on_grid(number, 100)
        })
        .percentile_of_all("heavy-rain", "rain", counts)
        .incidents("floods", "flood", "heavy-rain", |_| ());
    let mut stepped = Stepped::under(&city.build(1));
    heard(&mut stepped, sensors);
    for minute in 0..72 {
        let begin = stepped.now();
        let least = if minute < 63 { 1.0 } else { 4.0 };
        for number in 0..ACROSS_SENSORS_MAX {
            let at = begin + Millis((number * 60_000 / ACROSS_SENSORS_MAX) as i64);
            stepped.until(at, "tick by which a minute is over");
            // Later ones a little greater: who was among the worst is so by what he said last.
            let value = least + (number % 512) as f64 / 512.0 + f64::from(minute) / 65_536.0;
            stepped.reads("reading", &gauge(number), "rain", value);
        }
    }
    later(&mut stepped, 2, "tick by which a minute is over");
    assert!(stepped.opened > 0);
    stepped
}
