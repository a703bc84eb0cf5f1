//! What is told of scenarios that hold, fail, or cannot be understood.

use expect_test::{Expect, expect};

use super::*;

const RULES: &str = "\
detections:
  high: { kind: water_level, above: { moderate: 3 m, severe: 4 m }, clear: below 2.9 m, for: 2 readings }
  quiet: { kind: water_level, silent: 5 intervals }
  call: { kind: emergency_call, where: { category: [flood] }, report: minor, certainty: possible, counts_for: 30 min }
correlations:
  floods: { incident: flood, from: [high, call], sources: 2, within: 2 km, within_time: 1 h, clear_after: 10 min }
";

const CITY: &str = r#"{"type":"FeatureCollection","features":[
{"type":"Feature","id":"g-1","properties":{"type":"sensor","kind":"water_level","unit":"m","interval_s":60},"geometry":{"type":"Point","coordinates":[101.7,3.1]}},
{"type":"Feature","id":"g-2","properties":{"type":"sensor","kind":"water_level","unit":"m","interval_s":60},"geometry":{"type":"Point","coordinates":[101.705,3.1]}}
]}"#;

struct Site(tempfile::TempDir);

impl Site {
    fn new(scenarios: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("rules/flood.yaml", RULES);
        write("city.geojson", CITY);
        write("scenarios/a.txt", scenarios);
        Self(dir)
    }

    fn options(&self) -> TestOptions {
        TestOptions {
            dir: self.0.path().to_owned(),
            city: None,
            only: None,
            show: false,
            unregistered: Unregistered::Accept,
        }
    }

    /// What is printed, or the mistakes; without what differs from run to run.
    fn run(&self, set: impl FnOnce(&mut TestOptions)) -> String {
        let mut options = self.options();
        set(&mut options);
        let mut out = Vec::new();
        let text = match run(&options, &mut out) {
            Ok(_) => String::from_utf8(out).unwrap(),
            Err(error) => error.to_string(),
        };
        let dir = self.0.path().display().to_string();
        let lines = text.lines().map(|line| line.replace(&dir, "DIR"));
        let lines = lines.map(|line| match line.split_once(", in ") {
            Some((line, took)) if took.ends_with('s') => line.to_owned(),
            _ => line,
        });
        lines.map(|line| line + "\n").collect()
    }
}

fn check(scenarios: &str, expected: &Expect) {
    expected.assert_eq(&Site::new(scenarios).run(|_| ()));
}

#[test]
fn scenarios_that_hold_are_a_line_each_and_rules_that_none_tries_are_told() {
    check(
        "scenario Two gauges that agree are one flood
           from 10:00 to 10:02 every 1 min  g-1, g-2  4.0 m to 4.4 m
           expect flood opened within 2 min moderate, 2 sensors and observed
           expect flood is severe by 10:05
         scenario A gauge alone is none   # whatever it says
           from 10:00 to 10:30 every 1 min  g-1 9 m
           expect nothing
           expect no flood",
        &expect![[r#"
            ok      DIR/scenarios/a.txt:1  Two gauges that agree are one flood
            ok      DIR/scenarios/a.txt:5  A gauge alone is none
            2 scenarios held
            no scenario tries: call, quiet
        "#]],
    );
}

#[test]
fn what_fails_is_told_beside_what_was_decided() {
    check(
        "scenario Too late, too grave, in vain and out of the blue
           from 10:00 to 10:05 every 1 min  g-1, g-2  4.5 m
           at 10:03  ana acknowledges flood
           expect flood opened at 10:00
           expect flood opened minor, 7 sensors
           expect flood merged
           expect flood#2 opened by 10:04
           expect no flood acknowledged until 10:30
           expect sensor g-1 silent by 10:30
         scenario Nobody expects it
           from 10:00 to 10:01 every 1 min  g-1, g-2  4.5 m
           expect sensor g-1 silent by 10:06",
        &expect![[r#"
            FAILED  DIR/scenarios/a.txt:1  Too late, too grave, in vain and out of the blue
              - 10:00     line 4: expect flood opened at 10:00   (at 10:01, 1 min too late)
                10:01     flood#1 opened severe, 2 sensors: g-1 4.5, g-1 4.5, g-2 4.5 555 m, g-2 4.5
                10:02     flood#1 updated severe, 2 sensors: g-1 4.5
                10:02:00.250 flood#1 updated severe, 2 sensors: g-2 4.5
                10:03     flood#1 updated severe, 2 sensors: g-1 4.5
              + 10:03     flood#1 acknowledged severe, 2 sensors by ana   (line 8: expect no flood acknowledged until 10:30)
                10:03:00.250 flood#1 updated severe, 2 sensors: g-2 4.5
                10:04     flood#1 updated severe, 2 sensors: g-1 4.5
              - 10:04     line 7: expect flood#2 opened by 10:04   (no flood#2 opened)
                10:04:00.250 flood#1 updated severe, 2 sensors: g-2 4.5
                10:05     flood#1 updated severe, 2 sensors: g-1 4.5
                10:05:00.250 flood#1 updated severe, 2 sensors: g-2 4.5
                10:10     sensor g-1 silent
                10:10     sensor g-2 silent
                10:10     flood#1 unknown severe, 2 sensors
              - 10:30     line 5: expect flood opened minor, 7 sensors   (at 10:01; severe, not minor; 2 sensors, not 7)
              - 10:30     line 6: expect flood merged   (flood opened, acknowledged, unknown, and no more)
            FAILED  DIR/scenarios/a.txt:10  Nobody expects it
              + 10:01     flood#1 opened severe, 2 sensors: g-1 4.5, g-1 4.5, g-2 4.5 555 m, g-2 4.5   (no line expects it)
                10:04     flood#1 escalated severe, 2 sensors
                10:06     sensor g-1 silent
                10:06     sensor g-2 silent
                10:06     flood#1 unknown severe, 2 sensors
            2 of 2 scenarios failed
            no scenario tries: call
        "#]],
    );
}

#[test]
fn what_comes_nearest_to_what_was_expected_is_told() {
    check(
        "scenario Graver later, acknowledged and never over
           from 10:00 to 10:02 every 1 min  g-1, g-2  3.5 m
           from 10:03 to 10:04 every 1 min  g-1, g-2  4.5 m
           at 10:04  ana acknowledges flood
           expect flood opened at 10:01
           expect flood is severe by 10:03
           expect flood is extreme by 10:03
           expect flood cleared by 11:00
           ignore flood",
        &expect![[r#"
            FAILED  DIR/scenarios/a.txt:1  Graver later, acknowledged and never over
                10:01     flood#1 opened moderate, 2 sensors: g-1 3.5, g-1 3.5, g-2 3.5 555 m, g-2 3.5
                10:02     flood#1 updated moderate, 2 sensors: g-1 3.5
                10:02:00.250 flood#1 updated moderate, 2 sensors: g-2 3.5
                10:03     flood#1 updated moderate, 2 sensors: g-1 4.5
              - 10:03     line 6: expect flood is severe by 10:03   (at 10:04, 1 min too late)
              - 10:03     line 7: expect flood is extreme by 10:03   (at 10:03; moderate, not extreme)
                10:03:00.250 flood#1 updated moderate, 2 sensors: g-2 4.5
                10:04     flood#1 updated severe, 2 sensors: g-1 4.5
                10:04     flood#1 acknowledged severe, 2 sensors by ana
                10:04:00.250 flood#1 updated severe, 2 sensors: g-2 4.5
                10:09     sensor g-1 silent
                10:09     sensor g-2 silent
                10:09     flood#1 unknown severe, 2 sensors
              - 11:00     line 8: expect flood cleared by 11:00   (flood opened, acknowledged, unknown, and no more)
            1 of 1 scenario failed
            no scenario tries: call
        "#]],
    );
}

#[test]
fn all_mistakes_are_told_with_their_places_and_what_to_write_instead() {
    check(
        "at 10:00 g-1 3 m
scenaro x
scenario
scenario One
  at 10:0 g-1 3 m
  at 10:00 g-3 3 m
  at 10:00 g-1 3 furlong
  at 10:00 g-1 3 m to 4 m
  at 10:00 g-1 3 m att 101.7,3.1
  at 10:00 c emergency_call 1 at 3 m left of g-1
  at 10:00 c emergency_call 1 at g-9
  from 10:00 to 09:00 every 1 min g-1 3 m
  expect floods opened
  expect flood opend
  expect flood opened by 10:00 sever
  expect flood opened within 5
  expect flood opened rule hihg
  expect flood opened in z1
  expect sensor g-1 loud
  expect
scenario Two
",
        &expect![[r#"
            DIR/scenarios/a.txt:1:1: begin a scenario first: `scenario` and its title
            DIR/scenarios/a.txt:2:1: `scenaro` begins no statement; did you mean `scenario`?; write `at TIME SENSOR VALUE`, `from TIME to TIME every SPAN …`, `until TIME`, `expect …`, `ignore KIND`, or `scenario` and a title
            DIR/scenarios/a.txt:3:1: a scenario has a title: what is to come of it, in a sentence
            DIR/scenarios/a.txt:5:6: `10:0` is no time; write 10:00 or 10:00:30
            DIR/scenarios/a.txt:6:1 g-3: is not registered; did you mean `g-1`?; of a sensor that is not, say the kind: `g-3 water_level 3.5 m`
            DIR/scenarios/a.txt:7:1 g-1: would be a dead letter: unit_unknown: "furlong" cannot be converted to the registered "m"
            DIR/scenarios/a.txt:8:20: a value changes over a period: `from 10:00 to 10:30 every 1 min …`
            DIR/scenarios/a.txt:9:20: `att` is not understood here; a reading is `SENSOR [KIND] VALUE [UNIT]`, then perhaps `at PLACE`, `observed TIME`, `id ID` and `name=value`
            DIR/scenarios/a.txt:10:38: `left` is no direction; write north, east, south or west
            DIR/scenarios/a.txt:11:1 c: g-9 is no sensor that is registered with a place; did you mean `g-1`?
            DIR/scenarios/a.txt:12:17: a period does not end before it begins
            DIR/scenarios/a.txt:13:3 floods: no rule makes incidents of this kind; did you mean `flood`?
            DIR/scenarios/a.txt:14:16: `opend` is never decided; did you mean `opened`?; write one of is, opened, updated, merged, cleared, unknown, reopened, linked, acknowledged, confirmed, responding, contained, resolved, closed, dismissed, undone, escalated, rated, split, evidence_moved, shelved, unshelved, suppressed, unsuppressed
            DIR/scenarios/a.txt:15:32: `sever` is not understood here; after the verb come a time (`at`, `by`, `within`, `between … and …`), a severity, a certainty, `2 sensors`, `in ZONE`, `rule NAME`, `episode 2`, `caused by KIND`, `into KIND`
            DIR/scenarios/a.txt:16:30: `5` is no span of time; write 30 s, 5 min or 1 h
            DIR/scenarios/a.txt:17:3 hihg: is no rule; did you mean `high`?
            DIR/scenarios/a.txt:18:3 z1: is no zone of this city
            DIR/scenarios/a.txt:19:21: `loud` is never decided; write one of silent, returned, faulty, sound
            DIR/scenarios/a.txt:20:9: what is expected is missing here
            DIR/scenarios/a.txt:21:1 scenario: expects nothing; if nothing is to come of it, write `expect nothing`
            DIR/scenarios/a.txt:21:1 scenario: nothing happens in it; write for example `at 10:00 wl-0007 3.5 m`
        "#]],
    );
}

#[test]
fn a_file_may_have_a_city_of_its_own_and_only_some_scenarios_may_be_asked_for() {
    let site = Site::new(
        "city small.geojson
         scenario A gauge of another city, in feet
           at 10:00, 10:01 other 14 ft
           at 10:01 c emergency_call 1 category=flood at 500 m north of other
           expect flood opened at 10:01 severe
         scenario Another
           at 10:00 other 1 ft
           expect nothing",
    );
    let small = CITY.replace("g-1", "other");
    fs::write(site.0.path().join("scenarios/small.geojson"), small).unwrap();
    expect![[r#"
        ok      DIR/scenarios/a.txt:2  A gauge of another city, in feet
            10:01     flood#1 opened severe, 2 sensors: other 4.2672, other 4.2672, c 1 500 m
        1 scenario held
    "#]]
    .assert_eq(&site.run(|options| {
        options.only = Some("in feet".to_owned());
        options.show = true;
    }));
}

#[test]
fn downtime_is_no_silence_and_a_second_day_is_a_later_one() {
    check(
        "scenario The server is down, and the gauge speaks on
           at 10:00  g-1 1 m
           from 10:01 to 12:00 server is down
           at 12:01  g-1 1 m
           expect no sensor g-1 silent
           expect nothing
         scenario The gauge is silent overnight
           at 23:59        g-1 1 m
           at day 2 00:10  g-1 1 m id again observed 23:58
           expect sensor g-1 silent at day 2 00:04
           expect sensor g-1 returned at day 2 00:10",
        &expect![[r#"
            ok      DIR/scenarios/a.txt:1  The server is down, and the gauge speaks on
            ok      DIR/scenarios/a.txt:7  The gauge is silent overnight
            2 scenarios held
            no scenario tries: call, floods, high
        "#]],
    );
}

#[test]
fn p5_scenarios_are_bounded_in_number_and_in_what_happens() {
    let parse = |text: &str| {
        let mut mistakes = Mistakes::default();
        let script = parse::parse("a.txt", text, &mut mistakes);
        let steps = script.scenarios.iter().map(|scenario| scenario.steps.len());
        (
            script.scenarios.len(),
            steps.sum::<usize>(),
            mistakes.to_string(),
        )
    };
    let one = "scenario One\nat 10:00 g-1 1 m\nexpect nothing\n";
    let (scenarios, _, told) = parse(&one.repeat(parse::SCENARIOS_MAX + 1));
    assert_eq!(scenarios, parse::SCENARIOS_MAX);
    assert!(told.contains("more than 1000 scenarios"), "{told}");

    // Four days of a second each are less than the bound, and twice as many are more.
    let days = "from 00:00 to day 2 23:59:59 every 1 s g-1 1 m\n";
    let (_, steps, told) = parse(&format!("scenario Long\n{days}{days}expect nothing\n"));
    assert_eq!(
        (steps, told.contains("more than 200000 readings")),
        (172_800, true),
        "{told}"
    );
    let (_, steps, told) = parse("scenario Long\nfrom 00:00 to day 9 00:00 every 1 s g-1 1 m\n");
    assert_eq!(
        (steps, told.contains("times are too many")),
        (0, true),
        "{told}"
    );
    let (_, _, told) = parse("scenario Late\nat day 400 00:00 g-1 1 m\n");
    assert!(told.contains("no day from 1 to 366"), "{told}");
}

#[test]
fn p5_of_more_files_of_scenarios_than_the_bound_none_is_read() {
    let site = Site::new("scenario One\nat 10:00 g-1 1 m\nexpect nothing\n");
    for number in 0..FILES_MAX {
        fs::write(site.0.path().join(format!("scenarios/{number}.txt")), "").unwrap();
    }
    assert_eq!(site.run(|_| ()), "DIR/scenarios: more than 1000 files\n");
}

#[test]
fn p5_of_a_long_story_the_beginning_is_shown() {
    let mut story = "scenario Long\nignore flood\nexpect no sensor g-1 silent\n".to_owned();
    for number in 0..250 {
        let lon = 100.0 + f64::from(number) / 20.0;
        for _ in 0..2 {
            story +=
                &format!("at 10:00 c-{number} emergency_call 1 category=flood at {lon:.2},3.0\n");
        }
    }
    let told = Site::new(&story).run(|options| options.show = true);
    assert!(told.contains("    and 50 more"), "{told}");
}

#[test]
fn people_take_steps_with_incidents() {
    check(
        "scenario What was a mistake is undone, and a false alarm dismissed
           from 10:00 to 10:01 every 1 min  g-1, g-2  4.5 m
           at 10:02  ana acknowledges flood
           at 10:03  ana confirms flood
           at 10:04  ana undoes flood
           at 10:05  ana dismisses flood as false_alarm
           expect flood opened at 10:01
           expect flood confirmed at 10:03
           expect flood undone at 10:04
           expect flood dismissed at 10:05",
        &expect![[r#"
            ok      DIR/scenarios/a.txt:1  What was a mistake is undone, and a false alarm dismissed
            1 scenario held
            no scenario tries: call, quiet
        "#]],
    );
    check(
        "scenario Nobody knows why
           at 10:00  g-1  2.0 m
           at 10:01  ana dismisses flood as fals_alarm
           at 10:02  ana acknowleges flood
           expect nothing",
        &expect![[r#"
            DIR/scenarios/a.txt:3:45: `fals_alarm` is no reason; did you mean `false_alarm`?; write one of false_alarm, test, planned, not_ours
            DIR/scenarios/a.txt:4:26: `acknowleges` is nothing that people do; did you mean `acknowledges`?
        "#]],
    );
}

#[test]
fn every_reading_of_a_time_counts_where_a_rule_says_so() {
    let site = Site::new(
        "scenario A dozen calls of one centre within ten minutes are a rush
           from 10:00 to 10:11 every 1 min  centre emergency_call 1 category=any at 100 m north of g-1
           from 10:04:30 to 10:06:30 every 1 min  centre emergency_call 1 category=any at 100 m north of g-1
           expect call_rush opened by 10:12 moderate rule calls-of-all
         scenario As many of half an hour are none
           from 10:00 to 10:33 every 3 min  centre emergency_call 1 category=any at 100 m north of g-1
           expect no call_rush
         scenario A tenth of all that was measured was beyond the level
           from 10:00 to 10:29 every 1 min  g-1  1 m
           from 10:00 to 10:25 every 1 min  g-2  1 m
           from 10:26 to 10:29 every 15 s  g-2  3.5 m
           expect high_water opened by 10:31 rule water-of-all
         scenario One gust of it was not
           from 10:00 to 10:29 every 1 min  g-1  1 m
           from 10:00 to 10:27 every 1 min  g-2  1 m
           from 10:28 to 10:29 every 1 min  g-2  9 m
           expect no high_water",
    );
    let rules = "\
detections:
  calls-of-all: { kind: emergency_call, across: city, of: count, counts: readings, fresh: 10 min,
                  above: { moderate: 11 }, clear: below 6 }
  water-of-all: { kind: water_level, across: city, of: p90, counts: readings, fresh: 30 min,
                  at_least: 2 sensors, above: { moderate: 3 m }, clear: below 2.5 m }
correlations:
  rushes: { incident: call_rush, from: [calls-of-all], sources: 1, within: 2 km, within_time: 1 h }
  waters: { incident: high_water, from: [water-of-all], sources: 1, within: 2 km, within_time: 1 h }
";
    fs::write(site.0.path().join("rules/of_all.yaml"), rules).unwrap();
    expect![[r#"
        ok      DIR/scenarios/a.txt:1  A dozen calls of one centre within ten minutes are a rush
        ok      DIR/scenarios/a.txt:5  As many of half an hour are none
        ok      DIR/scenarios/a.txt:8  A tenth of all that was measured was beyond the level
        ok      DIR/scenarios/a.txt:13  One gust of it was not
        4 scenarios held
        no scenario tries: call, floods, quiet
    "#]]
    .assert_eq(&site.run(|_| ()));
}
