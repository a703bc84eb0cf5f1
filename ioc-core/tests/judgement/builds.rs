//! P2 over builds: the same days, drawn from numbers, judged by whatever build runs this test.
//!
//! What they must come to is committed. `make test` runs this test optimised too, so that a
//! decision that hung on how the compiler arranged it would show.

use std::fmt::Write;

use expect_test::expect_file;
use ioc_core::decision::{AnswerWord, Certainty, DecisionHash, Severity, Step};
use ioc_core::id::IncidentId;
use ioc_core::record::{Ask, Said as Word};

use crate::support::{History, Manner, metres};
use crate::workload::{
    Day, Event, KINDS, ORDERS, PEOPLE, Quieting, SENSORS, Said, Variant, What, history,
};

const DAYS: u64 = 32;

/// Days as they are drawn: the first ones, and later ones under rules that ask more.
#[derive(Clone, Copy, PartialEq)]
enum Sort {
    First,
    Asking,
    Doubting,
    Handling,
    Quieting,
    Grouping,
    Replacing,
    Discerning,
    Explaining,
    Reaching,
    Overtaking,
    Naming,
    Gathering,
}

/// Numbers that follow from a seed alone (Steele, Lea and Flood: SplitMix64).
struct Dice {
    state: u64,
    sort: Sort,
}

impl Dice {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn event(&mut self) -> Event {
        let after_ms = match self.below(25) {
            0..4 => 0,
            4..14 => self.below(1_000),
            14..24 => self.below(60_000),
            _ => self.below(900_000),
        };
        Event {
            after_ms: after_ms as i64,
            what: self.what(),
        }
    }

    fn what(&mut self) -> What {
        let asks = matches!(
            self.sort,
            Sort::Handling | Sort::Explaining | Sort::Reaching
        );
        if asks && self.one_in(4) {
            return self.asked();
        }
        let keeps_quiet = matches!(self.sort, Sort::Quieting | Sort::Replacing | Sort::Reaching);
        if keeps_quiet && self.one_in(6) {
            return self.quiet();
        }
        match self.below(84) {
            0..5 => What::Redelivery(self.below(20) as usize),
            5..9 => What::Acknowledge {
                reading: self.next() as usize,
                kind: self.below(3) as usize,
                request: self.below(4) as u8,
            },
            9 => What::Reload(self.variant()),
            10 => What::Restart,
            11 => What::DeadLetter,
            12..17 => What::Order {
                what: self.below(ORDERS.len() as u64) as usize,
                within_ms: self.one_in(2).then(|| self.below(200_000) as i64 - 1_000),
                replaces: self.one_in(2),
                request: self.below(32) as u8,
            },
            17..22 => What::Answer {
                back: self.below(4) as usize,
                word: AnswerWord::ALL[self.below(4) as usize],
                is_its_own: !self.one_in(10),
            },
            22..24 => What::Send(self.below(3) as usize),
            _ => What::Reading(self.said()),
        }
    }

    fn asked(&mut self) -> What {
        let position = self.one_in(2).then(|| {
            let (east, north) = (self.below(3_000), self.below(900));
            metres(east as i32, north as i32)
        });
        let said = Word {
            severity: Severity::ALL[self.below(5) as usize],
            certainty: Certainty::ALL[self.below(5) as usize],
            position,
        };
        let request = self.below(256) as u8;
        let kind = self.below(KINDS.len() as u64) as usize;
        if self.one_in(10) {
            return What::Open {
                kind,
                said,
                request,
            };
        }
        let ask = match self.below(14) {
            0 => Ask::Rate(said.severity),
            1 => Ask::AllClear,
            2 => Ask::Report(said),
            3 => Ask::Merge(IncidentId::derive(&[])),
            4 => Ask::Split,
            5 => Ask::Move(IncidentId::derive(&[])),
            6 => Ask::Link(self.one_in(2).then(|| IncidentId::derive(&[]))),
            _ => Ask::Step(Step::ALL[self.below(Step::ALL.len() as u64) as usize]),
        };
        What::Ask {
            reading: self.below(8) as usize,
            kind,
            ask,
            other: self.below(16) as usize,
            by: self.below(PEOPLE.len() as u64) as usize,
            request,
        }
    }

    fn quiet(&mut self) -> What {
        let sensor = self.below(SENSORS.len() as u64) as usize;
        let minutes = self.below(60) as i64;
        let request = self.below(64) as u8;
        let what = match self.below(9) {
            0..2 => Quieting::Sensor(sensor),
            2 => Quieting::Kind(sensor),
            3 => Quieting::Zone,
            4 => Quieting::Rule(sensor % 5),
            5 => Quieting::OutOfService(sensor),
            6 => Quieting::Incident {
                reading: self.below(8) as usize,
                kind: self.below(2) as usize,
            },
            _ => {
                return What::QuietOtherwise {
                    back: self.below(4) as usize,
                    minutes: self.one_in(2).then_some(minutes),
                    request,
                };
            }
        };
        What::Quiet {
            what,
            minutes,
            request,
        }
    }

    fn variant(&mut self) -> Variant {
        let variants = match self.sort {
            Sort::First => &Variant::FIRST[..],
            Sort::Asking => &Variant::ASKING[..],
            Sort::Doubting => &Variant::DOUBTING[..],
            Sort::Handling => &Variant::HANDLING[..],
            Sort::Quieting => &Variant::QUIETING[..],
            Sort::Explaining => &Variant::EXPLAINING[..],
            Sort::Reaching => &Variant::REACHING[..],
            Sort::Grouping => &Variant::GROUPING[..],
            Sort::Replacing | Sort::Overtaking => &Variant::REPLACING[..],
            Sort::Discerning => &Variant::DISCERNING[..],
            Sort::Naming => &Variant::NAMING[..],
            Sort::Gathering => &Variant::GATHERING[..],
        };
        variants[self.below(variants.len() as u64) as usize]
    }

    fn said(&mut self) -> Said {
        let sensor = self.below(SENSORS.len() as u64) as usize;
        let placed = sensor >= 9 && self.one_in(2);
        let late = self.one_in(6).then(|| self.below(290_000) as i64 - 90_000);
        let said = Said {
            sensor,
            value: self.below(6_000) as f64 / 1_000.0,
            observed_before_ms: late.unwrap_or(0),
            place: placed.then(|| (self.below(3_000) as i32, self.below(900) as i32)),
            about: self.one_in(2).then_some("water"),
            replaces: None,
            until_ms: None,
        };
        match self.sort {
            Sort::Replacing => Said {
                replaces: self.one_in(3).then(|| self.below(3) as usize),
                until_ms: self.one_in(8).then(|| self.below(400_000) as i64),
                ..said
            },
            Sort::Overtaking => Said {
                replaces: self.one_in(3).then(|| self.below(5) as usize),
                ..said
            },
            Sort::First | Sort::Handling | Sort::Quieting | Sort::Explaining | Sort::Reaching => {
                said
            }
            Sort::Asking
            | Sort::Doubting
            | Sort::Grouping
            | Sort::Discerning
            | Sort::Naming
            | Sort::Gathering => Said {
                value: if self.one_in(3) {
                    said.value.trunc()
                } else {
                    said.value
                },
                about: said.about.or(self.one_in(2).then_some("fire")),
                ..said
            },
        }
    }
}

fn day(seed: u64, sort: Sort) -> History {
    let mut dice = Dice { state: seed, sort };
    let events = 100 + dice.below(500);
    let events = (0..events).map(|_| dice.event()).collect();
    let first = match sort {
        Sort::First => Variant::Usual,
        Sort::Asking => Variant::Asking,
        Sort::Doubting => Variant::Doubting,
        Sort::Handling => Variant::Handling,
        Sort::Quieting => Variant::Quieting,
        Sort::Explaining => Variant::Explaining,
        Sort::Reaching => Variant::Reaching,
        Sort::Grouping => Variant::Grouping,
        Sort::Replacing | Sort::Overtaking => Variant::Replacing,
        Sort::Discerning => Variant::Discerning,
        Sort::Naming => Variant::Naming,
        Sort::Gathering => Variant::Gathering,
    };
    history(&Day { first, events })
}

/// What the days of a sort come to, a line each.
fn days(sort: Sort) -> String {
    let mut lines = String::new();
    for seed in 1..=DAYS {
        let mut day = day(seed, sort);
        let decisions = day.run(&Manner::plain()).decisions;
        // The hours at the end leave little of the state.
        day.inputs.pop();
        let state = day.run(&Manner::plain()).digest;
        let mut hash = DecisionHash::default();
        for mut decision in decisions.iter().cloned() {
            // The ways from causes are told since later, and have days of their own.
            decision.cause.way = None;
            let mut bytes = Vec::new();
            decision.encode(&mut bytes);
            hash = hash.after(&bytes);
        }
        let count = decisions.len();
        let [decided, state] = [hash.0, state].map(blake3::Hash::from);
        writeln!(
            lines,
            "day {seed}: {count} decisions {decided}, state {state}"
        )
        .unwrap();
    }
    lines
}

#[test]
fn p2_another_build_decides_the_same() {
    expect_file!["../golden/days.txt"].assert_eq(&days(Sort::First));
}

#[test]
fn p2_another_build_decides_the_same_under_rules_that_ask_more() {
    expect_file!["../golden/days-asking.txt"].assert_eq(&days(Sort::Asking));
}

#[test]
fn p2_another_build_decides_the_same_under_rules_that_doubt_sensors() {
    expect_file!["../golden/days-doubting.txt"].assert_eq(&days(Sort::Doubting));
}

#[test]
fn p2_another_build_decides_the_same_where_people_handle_incidents() {
    expect_file!["../golden/days-handling.txt"].assert_eq(&days(Sort::Handling));
}

#[test]
fn p2_another_build_decides_the_same_where_things_are_kept_quiet() {
    expect_file!["../golden/days-quieting.txt"].assert_eq(&days(Sort::Quieting));
}

#[test]
fn p2_another_build_decides_the_same_under_rules_about_several_sensors() {
    expect_file!["../golden/days-grouping.txt"].assert_eq(&days(Sort::Grouping));
}

#[test]
fn p2_another_build_decides_the_same_where_callers_take_back_what_they_said() {
    expect_file!["../golden/days-replacing.txt"].assert_eq(&days(Sort::Replacing));
}

#[test]
fn p2_another_build_decides_the_same_where_what_takes_back_comes_first() {
    expect_file!["../golden/days-overtaking.txt"].assert_eq(&days(Sort::Overtaking));
}

#[test]
fn p2_another_build_decides_the_same_where_a_sensor_is_doubted_in_some_of_what_it_says() {
    expect_file!["../golden/days-discerning.txt"].assert_eq(&days(Sort::Discerning));
}

#[test]
fn p2_another_build_decides_the_same_where_causes_explain_symptoms() {
    expect_file!["../golden/days-explaining.txt"].assert_eq(&days(Sort::Explaining));
}

#[test]
fn p2_another_build_decides_the_same_where_causes_reach_along_networks() {
    expect_file!["../golden/days-reaching.txt"].assert_eq(&days(Sort::Reaching));
}

#[test]
fn p2_another_build_decides_the_same_where_it_is_known_who_reports() {
    expect_file!["../golden/days-naming.txt"].assert_eq(&days(Sort::Naming));
}

#[test]
fn p2_another_build_decides_the_same_where_every_reading_of_several_sensors_counts() {
    expect_file!["../golden/days-gathering.txt"].assert_eq(&days(Sort::Gathering));
}

#[test]
fn p2_another_build_tells_the_same_ways_from_causes() {
    let mut lines = String::new();
    for seed in 1..=DAYS {
        let decisions = day(seed, Sort::Reaching).run(&Manner::plain()).decisions;
        let mut hash = DecisionHash::default();
        let mut told = 0;
        for decision in decisions.iter().filter(|own| own.cause.way.is_some()) {
            let mut bytes = Vec::new();
            decision.encode(&mut bytes);
            hash = hash.after(&bytes);
            told += 1;
        }
        let ways = blake3::Hash::from(hash.0);
        writeln!(lines, "day {seed}: {told} ways {ways}").unwrap();
    }
    expect_file!["../golden/days-leading.txt"].assert_eq(&lines);
}
