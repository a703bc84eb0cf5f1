use super::*;
use crate::bundle::{
    Changes, Flapping, Impossible, Level, Seen, Side, Skewed, Spiking, Stuck, Threshold,
};
use crate::decision::Severity;
use crate::limits::FLAPPING_STATES_MAX;
use crate::reading::Attributes;
use crate::state::STATE_FORMAT;
use crate::time::Millis;

fn minute(minute: i64) -> Timestamp {
    Timestamp::from_millis(minute * 60_000)
}

/// What each value came to, a minute apart: `F` begins, `S` ends, `f` goes on, `.` is none.
fn told(sign: FaultSign, values: &[f64]) -> String {
    let readings: Vec<_> = (0..)
        .zip(values)
        .map(|(at, value)| (at, at, *value))
        .collect();
    told_of(sign, &readings)
}

/// The same of readings, each with the minutes of observation and receipt.
fn told_of(sign: FaultSign, readings: &[(i64, i64, f64)]) -> String {
    let rule = Fault {
        sign,
        distrust: true,
        of: Vec::new(),
    };
    let mut state = State::new(&rule);
    let tell = |&(observed, received, value): &(i64, i64, f64)| {
        let reading = Reading {
            id: "r",
            sensor: "s",
            kind: "level",
            observed_at: minute(observed),
            received_at: None,
            value,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        };
        let outcome = state.judge(&rule, None, &reading, minute(received));
        let mut bytes = Vec::new();
        state.put(Millis::ZERO, &mut bytes);
        state = State::take(STATE_FORMAT, &mut Take(&bytes), Millis::ZERO, &rule).unwrap();
        match outcome {
            Outcome::Faulty => 'F',
            Outcome::Sound => 'S',
            Outcome::Held(true) => 'f',
            Outcome::Held(false) => '.',
        }
    };
    readings.iter().map(tell).collect()
}

fn level(level: f64, clear_gap: f64) -> Seen {
    Seen::Level(Threshold {
        side: Side::Above,
        levels: vec![Level {
            severity: Severity::Moderate,
            value: level,
        }],
        clear_gap,
        margin_percent: 0,
        readings_min: 1,
        readings_among: None,
        lasting: Millis::ZERO,
        clear_readings_min: 1,
    })
}

fn flapping(seen: Vec<Seen>, high: u32, low: u32) -> FaultSign {
    let by = Changes::Of(seen);
    FaultSign::Flapping(Flapping { by, high, low })
}

#[test]
fn newer_changes_weigh_more_and_old_ones_go() {
    // One change weighs 1.25 of 20 when it is new: 6.25 hundredths, and 3.75 when it is oldest.
    let mut values = vec![0.0, 5.0];
    values.extend([5.0; 22]);
    let by_one = |low| told(flapping(vec![level(3.0, 1.0)], 6, low), &values);
    assert_eq!(by_one(4), format!(".F{}S....", "f".repeat(17)));
    assert_eq!(by_one(1), format!(".F{}S..", "f".repeat(19)));
}

#[test]
fn what_is_neither_beyond_a_level_nor_back_is_no_change() {
    let waves = [2.5, 3.1, 2.9, 3.1, 2.9, 3.1, 2.9, 3.1, 2.1, 3.1, 2.9];
    assert_eq!(
        told(flapping(vec![level(3.0, 1.0)], 10, 5), &waves),
        "..........."
    );
    assert_eq!(
        told(flapping(vec![level(3.0, 0.0)], 10, 5), &waves),
        "..Fffffffff"
    );
}

#[test]
fn of_several_levels_any_makes_a_change_and_two_at_once_are_one() {
    let seen = || vec![level(1.0, 0.0), level(3.0, 0.0)];
    assert_eq!(told(flapping(seen(), 12, 1), &[0.0, 5.0, 5.0]), "...");
    assert_eq!(told(flapping(seen(), 12, 1), &[0.0, 2.0, 5.0]), "..F");
}

#[test]
fn p5_the_states_of_so_many_rules_are_seen() {
    let lows = (0..FLAPPING_STATES_MAX).map(|number| level(number as f64, 0.0));
    let high = level(50.0, 0.0);
    let seen: Vec<_> = lows.chain([high.clone()]).collect();
    assert_eq!(told(flapping(seen, 6, 1), &[40.0, 60.0]), "..");
    assert_eq!(told(flapping(vec![high], 6, 1), &[40.0, 60.0]), ".F");
}

#[test]
fn a_jump_counts_only_if_it_took_less_than_its_time() {
    let jumps = || {
        FaultSign::Flapping(Flapping {
            by: Changes::Jumps {
                by: 1.0,
                within: Millis::minutes(5),
            },
            high: 6,
            low: 5,
        })
    };
    assert_eq!(
        told_of(jumps(), &[(0, 0, 0.0), (6, 6, 2.0), (11, 11, 0.5)]),
        "..F"
    );
    // Late readings are no neighbours.
    assert_eq!(
        told_of(jumps(), &[(9, 9, 0.0), (8, 10, 9.0), (11, 11, 0.0)]),
        "..."
    );
}

#[test]
fn stuck_is_for_long_enough_and_by_enough_readings() {
    let stuck = |minutes, except| {
        FaultSign::Stuck(Stuck {
            lasting: Millis::minutes(minutes),
            except,
            except_below: Some(0.5),
            except_above: Some(9.0),
            clear_readings_min: 2,
        })
    };
    assert_eq!(told(stuck(5, vec![]), &[1.0; 7]), ".....Ff");
    assert_eq!(told(stuck(1, vec![]), &[1.0; 7]), "..Fffff");
    assert_eq!(told(stuck(1, vec![1.0]), &[1.0; 7]), ".......");
    assert_eq!(told(stuck(1, vec![]), &[0.4; 7]), ".......");
    assert_eq!(told(stuck(1, vec![]), &[0.5; 7]), "..Fffff");
    assert_eq!(told(stuck(1, vec![]), &[9.0; 7]), "..Fffff");
    assert_eq!(told(stuck(1, vec![]), &[9.1; 7]), ".......");
    let moves = [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 3.0, 4.0, 4.0];
    assert_eq!(told(stuck(1, vec![]), &moves), "..FffffS.");
}

#[test]
fn impossible_values_begin_and_possible_ones_in_a_row_end() {
    let impossible = |readings_min| {
        FaultSign::Impossible(Impossible {
            below: Some(0.0),
            above: Some(9.0),
            readings_min,
            clear_readings_min: 2,
        })
    };
    let values = [0.0, -0.1, 9.0, 9.1, 9.2, 5.0, 5.0, 5.0];
    assert_eq!(told(impossible(1), &values), ".FffffS.");
    assert_eq!(told(impossible(2), &values), "....FfS.");
}

#[test]
fn a_backlog_is_no_clock_that_is_behind() {
    let skewed = |readings_min| {
        FaultSign::Skewed(Skewed {
            ahead: Some(Millis::minutes(5)),
            behind: Some(Millis::minutes(60)),
            readings_min,
            clear_readings_min: 1,
        })
    };
    let backlog = [(0, 90, 0.0), (1, 90, 0.0), (89, 90, 0.0), (90, 91, 0.0)];
    assert_eq!(told_of(skewed(3), &backlog), "....");
    let behind = [(0, 90, 0.0), (1, 91, 0.0), (2, 92, 0.0), (92, 93, 0.0)];
    assert_eq!(told_of(skewed(3), &behind), "..FS");
    let ahead = [(6, 1, 0.0), (8, 2, 0.0), (9, 3, 0.0), (4, 4, 0.0)];
    assert_eq!(told_of(skewed(2), &ahead), "..FS");
}

#[test]
fn a_spike_is_far_from_both_its_neighbours_which_agree() {
    let spiking = |spikes_min| {
        FaultSign::Spiking(Spiking {
            height: 1.0,
            spikes_min,
            among: 4,
        })
    };
    assert_eq!(
        told(spiking(1), &[0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0]),
        "..FfffS"
    );
    assert_eq!(told(spiking(1), &[0.0, -2.0, 0.4, 0.0]), "..Ff");
    // A step, a peak of two, one that is too low, and one between levels.
    for values in [
        [0.0, 2.0, 2.0, 2.0],
        [0.0, 2.0, 2.0, 0.0],
        [0.0, 0.9, 0.0, 0.0],
        [0.0, 2.0, 0.6, 0.6],
    ] {
        assert_eq!(told(spiking(1), &values), "....", "{values:?}");
    }
    assert_eq!(told(spiking(2), &[0.0, 2.0, 0.0, 2.0, 0.0]), "...Ff");
}
