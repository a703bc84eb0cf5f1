//! Whole sites that fall silent: one message, and not one of each sensor.

use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::{Expect, expect};
use ioc_core::bundle::{Bundle, Schedule, Side, Zone};
use ioc_core::decision::Severity::Moderate;
use ioc_core::decision::{SiteBy, Verdict};
use ioc_core::record::BundleHash;
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, MIDNIGHT, Manner, metres};
use crate::timeline::{check_reloading, check_with, history};

/// Four gauges behind one gateway and one behind another, silent after three minutes.
fn city() -> BundleBuilder {
    let mut builder = BundleBuilder::new();
    for (number, gateway) in [
        (1, "gw-1"),
        (2, "gw-1"),
        (3, "gw-1"),
        (4, "gw-1"),
        (5, "gw-2"),
    ] {
        builder = builder.sensor_with(&format!("river-{number}"), "water_level", |sensor| {
            sensor.position = Some(metres(number * 300, 0));
            sensor.interval = Some(Millis::minutes(1));
            sensor.gateway = Some(gateway.parse().unwrap());
        });
    }
    builder
        .threshold("river-high", "water_level", &[(Moderate, 3.0)], |_| ())
        .silence("river-silent", "water_level", 3, Millis::minutes(3))
        .correlation("floods", "flood", &["river-high"], |_| ())
}

fn with_sites() -> BundleBuilder {
    city().site_silence("gateway-silent", SiteBy::Gateway, |rule| {
        rule.percent = 75;
        rule.hold = Millis::minutes(2);
    })
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at every call")]
fn check(timeline: &str, expected: Expect) {
    check_with(&with_sites().build(), timeline, &expected);
}

#[test]
fn thingsboard_13715_a_gateway_that_dies_is_one_message_and_so_is_its_return() {
    check(
        "10:00-10:05/1 river-1 1
         10:00-10:05/1 river-2 1
         10:00-10:05/1 river-3 1
         10:00-10:05/1 river-4 1
         10:00-10:30/1 river-5 1
         10:20-10:30/1 river-1 1
         10:20-10:30/1 river-2 1
         10:20-10:30/1 river-3 1
         10:20-10:30/1 river-4 1",
        expect![[r#"
            10:08 site_silent gateway gw-1: 3 of 4
            10:20 site_returned gateway gw-1: 1 of 4
        "#]],
    );
}

#[test]
fn one_sensor_alone_is_told_by_itself_when_its_site_has_had_its_time() {
    check(
        "10:00-10:05/1 river-1 1
         10:00-10:30/1 river-2 1
         10:00-10:30/1 river-3 1
         10:00-10:30/1 river-4 1
         10:20-10:30/1 river-1 1",
        expect![[r#"
            10:10 sensor_silent river-1 last heard 10:05
            10:20 sensor_returned river-1 last heard 10:05
        "#]],
    );
}

#[test]
fn who_is_silent_still_when_the_others_return_is_told_by_itself() {
    check(
        "10:00-10:05/1 river-1 1
         10:00-10:05/1 river-2 1
         10:00-10:05/1 river-3 1
         10:00-10:05/1 river-4 1
         10:20-10:30/1 river-1 1
         10:20-10:30/1 river-2 1
         10:20-10:30/1 river-3 1",
        expect![[r#"
            10:08 site_silent gateway gw-1: 3 of 4
            10:20 site_returned gateway gw-1: 1 of 4
            10:20:00.001 sensor_silent river-4 last heard 10:05
        "#]],
    );
}

#[test]
fn an_incident_is_unknown_at_once_though_people_hear_of_the_site_alone() {
    check(
        "10:00-10:05/1 river-1 4
         10:00-10:04/1 river-2 1
         10:00-10:05/1 river-3 1
         10:00-10:05/1 river-4 1
         10:12 tick",
        expect![[r#"
            10:00 opened flood#1 moderate: river-1 4
            10:01 updated flood#1 moderate: river-1 4
            10:02 updated flood#1 moderate: river-1 4
            10:03 updated flood#1 moderate: river-1 4
            10:04 updated flood#1 moderate: river-1 4
            10:05 updated flood#1 moderate: river-1 4
            10:08 unknown flood#1 moderate
            10:08 site_silent gateway gw-1: 3 of 4
        "#]],
    );
}

#[test]
fn a_rule_of_sites_that_goes_tells_what_it_held_back() {
    check_reloading(
        &[
            ("with", &with_sites().build()),
            ("without", &city().build()),
        ],
        "10:00-10:05/1 river-1 1
         10:00-10:05/1 river-2 1
         10:00-10:05/1 river-3 1
         10:00-10:30/1 river-4 1
         10:15 reload without
         10:20 river-1 1",
        &expect![[r#"
            10:08 site_silent gateway gw-1: 3 of 4
            10:15 rules_changed
            10:15 site_returned gateway gw-1: 3 of 4
            10:15 sensor_silent river-1 last heard 10:05
            10:15 sensor_silent river-2 last heard 10:05
            10:15 sensor_silent river-3 last heard 10:05
            10:20 sensor_returned river-1 last heard 10:05
            10:23 sensor_silent river-1 last heard 10:20
        "#]],
    );
}

/// The same, where the gateway hangs on a feeder that says its voltage, and meters that say that
/// their power is gone.
fn powered() -> BundleBuilder {
    let mut builder = city()
        .threshold("feeder-dead", "feeder", &[(Moderate, 2.0)], |rule| {
            rule.side = Side::Below;
        })
        .sensor("fd-1", "feeder", metres(0, 0))
        .sensor("fd-2", "feeder", metres(9_000, 0))
        .report("last-gasp", "gasp", Moderate, Millis::minutes(10))
        .site_silence("gateway-silent", SiteBy::Gateway, |rule| {
            rule.percent = 75;
            rule.explained_by = ["feeder-dead", "last-gasp"]
                .map(|rule| rule.parse().unwrap())
                .into();
        });
    builder = builder.fed_by("gw-1", "fd-1").node("fd-1", |_| ());
    builder
}

/// All behind the first gateway fall silent, between what else happens.
fn dying(between: &str) -> String {
    let gauges = (1..=4).map(|gauge| format!("10:00-10:05/1 river-{gauge} 1\n"));
    let own = "10:00-10:30/1 river-5 1\n";
    gauges.collect::<String>() + own + between
}

#[test]
fn s4_silence_without_power_is_explained_by_the_feeder_and_telecoms_are_not() {
    check_with(
        &powered().build(),
        &dying("10:00-10:05/1 fd-1 11\n10:06-10:30/1 fd-1 0\n10:06-10:30/1 fd-2 11"),
        &expect![[r#"
            10:08 site_silent gateway gw-1: 3 of 4, explained by feeder-dead
        "#]],
    );
    check_with(
        &powered().build(),
        &dying("10:00-10:30/1 fd-1 11\n10:00-10:30/1 fd-2 0"),
        &expect![[r#"
            10:08 site_silent gateway gw-1: 3 of 4
        "#]],
    );
}

#[test]
fn inv_15_a_silence_is_explained_by_what_is_quiet() {
    let works = "10:00 shelve sensor=fd-1 for=120\n10:00-10:05/1 fd-1 11\n10:06-10:30/1 fd-1 0";
    check_with(
        &powered().build(),
        &dying(works),
        &expect![[r#"
            10:00 suppression_started quiet#1 fd-1 shelved until 12:00 for works of ana by ana
            10:06 suppression_updated quiet#1 fd-1 shelved until 12:00, 1 kept: fd-1 1
            10:08 site_silent gateway gw-1: 3 of 4, explained by feeder-dead
        "#]],
    );
    let gasps = "10:00 shelve rule=last-gasp for=120
                 10:05:30 river-1 0 kind=gasp\n10:05:31 river-3 0 kind=gasp
                 10:05:32 river-4 0 kind=gasp";
    check_with(
        &powered().build(),
        &dying(gasps),
        &expect![[r#"
            10:00 suppression_started quiet#1 last-gasp shelved until 12:00 for works of ana by ana
            10:05:30 suppression_updated quiet#1 last-gasp shelved until 12:00, 1 kept: river-1 1
            10:06:30 suppression_updated quiet#1 last-gasp shelved until 12:00, 3 kept: river-1 1, river-3 1, river-4 1
            10:08:31 site_silent gateway gw-1: 3 of 4, explained by last-gasp
        "#]],
    );
}

#[test]
fn a_silence_is_not_explained_by_what_was_quiet_and_over_nor_by_what_is_out_of_service() {
    let works = "09:00 shelve sensor=fd-1 for=120\n09:01 fd-1 0\n10:00-10:30/1 fd-1 11";
    check_with(
        &powered().build(),
        &dying(works),
        &expect![[r#"
            09:00 suppression_started quiet#1 fd-1 shelved until 11:00 for works of ana by ana
            09:01 suppression_updated quiet#1 fd-1 shelved until 11:00, 1 kept: fd-1 1
            10:08 site_silent gateway gw-1: 3 of 4
        "#]],
    );
    let test = "10:00 out_of_service fd-1 for=120\n10:00-10:05/1 fd-1 11\n10:06-10:30/1 fd-1 0";
    check_with(
        &powered().build(),
        &dying(test),
        &expect![[r#"
            10:00 suppression_started quiet#1 fd-1 out_of_service until 12:00 for works of ana by ana
            10:06 suppression_updated quiet#1 fd-1 out_of_service until 12:00, 1 kept: fd-1 1
            10:08 site_silent gateway gw-1: 3 of 4
        "#]],
    );
}

#[test]
fn s4_last_gasps_explain_when_most_have_sent_one() {
    let gasps = "10:05:30 river-1 0 kind=gasp\n10:05:31 river-3 0 kind=gasp
                 10:05:32 river-4 0 kind=gasp\n";
    check_with(
        &powered().build(),
        &dying(gasps),
        &expect![[r#"
            10:08:31 site_silent gateway gw-1: 3 of 4, explained by last-gasp
        "#]],
    );
    check_with(
        &powered().build(),
        &dying("10:05:30 river-1 0 kind=gasp\n"),
        &expect![[r#"
            10:08 site_silent gateway gw-1: 3 of 4
        "#]],
    );
}

#[test]
fn who_is_silent_by_two_rules_is_told_by_the_first_that_finds_it() {
    let two = with_sites().silence("a-slower-rule", "water_level", 4, Millis::minutes(4));
    check_with(
        &two.build(),
        "10:00-10:05/1 river-1 1
         10:00-10:30/1 river-2 1
         10:00-10:30/1 river-3 1
         10:00-10:30/1 river-4 1
         10:20-10:30/1 river-1 1",
        &expect![[r#"
            10:10 sensor_silent river-1 last heard 10:05
            10:20 sensor_returned river-1 last heard 10:05
        "#]],
    );
}

#[test]
fn another_city_without_the_gateway_gives_the_site_back() {
    let mut moved = Bundle::clone(&with_sites().build());
    for sensor in &mut moved.city.sensors {
        sensor.gateway = None;
    }
    moved.hash = BundleHash([7; 32]);
    check_reloading(
        &[
            ("with", &with_sites().build()),
            ("without", &Arc::new(moved)),
        ],
        "10:00-10:05/1 river-1 1
         10:00-10:05/1 river-2 1
         10:00-10:05/1 river-3 1
         10:00-10:30/1 river-4 1
         10:15 reload without
         10:20 river-1 1",
        &expect![[r#"
            10:08 site_silent gateway gw-1: 3 of 4
            10:15 rules_changed
            10:15 sensor_silent river-1 last heard 10:05
            10:15 sensor_silent river-2 last heard 10:05
            10:15 sensor_silent river-3 last heard 10:05
            10:15 site_returned gateway gw-1: 0 of 0
            10:20 sensor_returned river-1 last heard 10:05
            10:23 sensor_silent river-1 last heard 10:20
        "#]],
    );
}

#[test]
fn p5_a_great_site_that_speaks_again_tells_of_each_that_does_not_in_a_moment_of_its_own() {
    let mut builder = BundleBuilder::new();
    let mut timeline = String::new();
    for number in 0..60 {
        let id = format!("meter-{number:02}");
        builder = builder.sensor_with(&id, "meter", |sensor| {
            sensor.interval = Some(Millis::minutes(1));
            sensor.gateway = Some("gw-1".parse().unwrap());
        });
        writeln!(timeline, "10:00-10:02/1 {id} 1").unwrap();
        if number >= 20 {
            writeln!(timeline, "10:20-10:22/1 {id} 1").unwrap();
        }
    }
    let bundle = builder
        .silence("meter-silent", "meter", 3, Millis::minutes(3))
        .site_silence("gateway-silent", SiteBy::Gateway, |rule| rule.percent = 90)
        .build();
    let history = history(&[("first", &bundle)], &timeline);
    let outcome = history.run(&Manner::plain());
    let told = outcome.decisions.iter();
    let told = told.filter(|decision| matches!(decision.verdict, Verdict::SensorSilent(_)));
    let times: Vec<_> = told.map(|decision| decision.at).collect();
    let ten_twenty = MIDNIGHT + Millis::minutes(10 * 60 + 20);
    assert_eq!(times.len(), 20);
    assert!(times.iter().all(|at| *at > ten_twenty), "{times:?}");
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
}

/// Four gauges of a basin that fall silent at 10:08, with a rule about the zone and works there.
fn basin(from: u16, minutes: i64) -> Arc<Bundle> {
    let mut builder = BundleBuilder::new().zone(Zone {
        id: "basin".parse().unwrap(),
        name: "Basin".to_owned(),
        parent: None,
        areas: Vec::new(),
    });
    for number in 1..=4 {
        builder = builder.sensor_with(&format!("river-{number}"), "water_level", |sensor| {
            sensor.interval = Some(Millis::minutes(1));
            sensor.zone = Some("basin".parse().unwrap());
        });
    }
    let works = Schedule::Every {
        day: None,
        minute: from,
        lasting: Millis::minutes(minutes),
        ahead: Millis::ZERO,
    };
    builder
        .threshold("river-high", "water_level", &[(Moderate, 3.0)], |_| ())
        .silence("river-silent", "water_level", 3, Millis::minutes(3))
        .site_silence("basin-silent", SiteBy::Zone, |rule| {
            rule.percent = 75;
            rule.hold = Millis::minutes(2);
        })
        .window("works", works, |own| {
            own.zone = Some("basin".parse().unwrap());
        })
        .build()
}

const BASIN_DARK: &str = "10:00-10:05/1 river-1 1
                          10:00-10:05/1 river-2 1
                          10:00-10:05/1 river-3 1
                          10:00-10:05/1 river-4 1
                          ";

#[test]
fn inv_15_a_site_that_falls_silent_in_a_window_is_told_when_that_is_over() {
    let check = |timeline: &str, expected: &Expect| {
        check_with(
            &basin(600, 120),
            &(BASIN_DARK.to_owned() + timeline),
            expected,
        );
    };
    check(
        "13:00 tick",
        &expect![[r#"
        10:00 suppression_started quiet#1 basin maintenance until 12:00 for works of the pump crew
        10:08 suppression_updated quiet#1 basin maintenance until 12:00, 1 kept: river-1 1
        10:09 suppression_updated quiet#1 basin maintenance until 12:00, 4 kept: river-1 1, river-2 1, river-3 1, river-4 1
        12:00 suppression_ended quiet#1 basin: expired, 4 kept: river-1 1, river-2 1, river-3 1, river-4 1
        12:00 site_silent zone basin: 3 of 4
    "#]],
    );
    let back = "11:50-12:10/1 river-1 1\n11:50-12:10/1 river-2 1\n11:50-12:10/1 river-3 1";
    check(
        back,
        &expect![[r#"
        10:00 suppression_started quiet#1 basin maintenance until 12:00 for works of the pump crew
        10:08 suppression_updated quiet#1 basin maintenance until 12:00, 1 kept: river-1 1
        10:09 suppression_updated quiet#1 basin maintenance until 12:00, 4 kept: river-1 1, river-2 1, river-3 1, river-4 1
        12:00 suppression_ended quiet#1 basin: expired, 4 kept: river-1 1, river-2 1, river-3 1, river-4 1
        12:02 sensor_silent river-4 last heard 10:05
    "#]],
    );
}

#[test]
fn inv_15_what_was_silent_before_a_window_is_not_told_in_it() {
    let timeline = "10:00-10:03/1 river-1 1
                    10:00-10:05/1 river-2 1
                    10:00-10:05/1 river-3 1
                    10:00-12:30/1 river-4 1
                    12:40 tick";
    check_with(
        &basin(607, 113),
        timeline,
        &expect![[r#"
            10:07 suppression_started quiet#1 basin maintenance until 12:00 for works of the pump crew
            10:08 suppression_updated quiet#1 basin maintenance until 12:00, 1 kept: river-1 1
            10:09 suppression_updated quiet#1 basin maintenance until 12:00, 3 kept: river-1 1, river-2 1, river-3 1
            12:00 suppression_ended quiet#1 basin: expired, 3 kept: river-1 1, river-2 1, river-3 1
            12:00 site_silent zone basin: 3 of 4
        "#]],
    );
    // One alone, which is over before the window is.
    let timeline = "10:00-10:03/1 river-1 1
                    11:00-12:30/1 river-1 1
                    10:00-12:30/1 river-2 1
                    10:00-12:30/1 river-3 1
                    10:00-12:30/1 river-4 1";
    check_with(
        &basin(607, 113),
        timeline,
        &expect![[r#"
            10:07 suppression_started quiet#1 basin maintenance until 12:00 for works of the pump crew
            10:08 suppression_updated quiet#1 basin maintenance until 12:00, 1 kept: river-1 1
            12:00 suppression_ended quiet#1 basin: expired, 1 kept: river-1 1
        "#]],
    );
    // And one that goes on.
    let timeline = "10:00-10:03/1 river-1 1
                    10:00-12:30/1 river-2 1
                    10:00-12:30/1 river-3 1
                    10:00-12:30/1 river-4 1";
    check_with(
        &basin(607, 113),
        timeline,
        &expect![[r#"
            10:07 suppression_started quiet#1 basin maintenance until 12:00 for works of the pump crew
            10:08 suppression_updated quiet#1 basin maintenance until 12:00, 1 kept: river-1 1
            12:00 suppression_ended quiet#1 basin: expired, 1 kept: river-1 1
            12:02 sensor_silent river-1 last heard 10:03
        "#]],
    );
}

#[test]
fn inv_15_who_is_silent_still_when_a_site_returns_in_a_window_is_told_when_that_is_over() {
    let back = "11:00-12:10/1 river-1 1\n11:00-12:10/1 river-2 1\n11:00-12:10/1 river-3 1";
    check_with(
        &basin(630, 90),
        &(BASIN_DARK.to_owned() + back),
        &expect![[r#"
            10:08 site_silent zone basin: 3 of 4
            10:30 suppression_started quiet#1 basin maintenance until 12:00 for works of the pump crew
            11:00 site_returned zone basin: 1 of 4
            11:00:00.001 suppression_updated quiet#1 basin maintenance until 12:00, 1 kept: river-4 1
            12:00 suppression_ended quiet#1 basin: expired, 1 kept: river-4 1
            12:02 sensor_silent river-4 last heard 10:05
        "#]],
    );
}

#[test]
fn who_is_heard_again_while_out_of_service_is_silent_no_more_for_his_site() {
    // Its turn to be told comes while somebody works at it. Later two of the others fall silent, and not three.
    let timeline = "10:00-10:05/1 river-1 1
                    10:20-12:30/1 river-1 1
                    10:00-11:00/1 river-2 1
                    10:00-11:00/1 river-3 1
                    10:00-12:30/1 river-4 1
                    10:09 out_of_service river-1 for=30";
    check_with(
        &basin(1300, 1),
        timeline,
        &expect![[r#"
        10:09 suppression_started quiet#1 river-1 out_of_service until 10:39 for works of ana by ana
        10:10 suppression_updated quiet#1 river-1 out_of_service until 10:39, 1 kept: river-1 1
        10:29 suppression_ending_soon quiet#1 river-1 out_of_service until 10:39, 1 kept: river-1 1
        10:39 suppression_ended quiet#1 river-1: expired, 1 kept: river-1 1
        11:05 sensor_silent river-2 last heard 11:00
        11:05 sensor_silent river-3 last heard 11:00
    "#]],
    );
}
