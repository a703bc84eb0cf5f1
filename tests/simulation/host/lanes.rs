//! Urgent readings behind twenty times the telemetry: what is judged first, seen in the log.

use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::Input;
use ioc_core::time::Timestamp;
use ioc_gateway::door::{Inputs, Lane, URGENT_PER_TELEMETRY};

use super::city;
use super::full::Scene;

/// How many urgent readings come behind so many times the telemetry.
const URGENT: u64 = 300;
const TIMES: u64 = 20;
/// How many readings one arrival brings: more than a batch of the host takes.
const AT_ONCE: u64 = 150;

fn push(inputs: &mut Inputs, kind: &str, number: u64) {
    let reading = Reading {
        id: &format!("{kind}-{number}"),
        sensor: kind,
        kind,
        observed_at: Timestamp::from_millis(number as i64),
        received_at: None,
        value: 1.0,
        unit: "",
        position: None,
        attributes: Attributes::default(),
    };
    inputs.push_reading(&reading, &city::catalogue());
}

/// Hands over so many readings of a kind, in arrivals of so many.
fn send(scene: &mut Scene, kind: &str, count: u64, at_once: u64) {
    let numbers: Vec<_> = (0..count).collect();
    for numbers in numbers.chunks(at_once as usize) {
        let mut inputs = Inputs::default();
        numbers
            .iter()
            .for_each(|number| push(&mut inputs, kind, *number));
        let lane = city::catalogue().lane(kind);
        scene.hand_over(lane, inputs);
    }
}

/// Whether each reading of the log is urgent, in order.
fn order(scene: &Scene) -> Vec<bool> {
    let logs = scene.logs();
    let is_urgent = |input| match input {
        Input::Reading(reading) => Some(city::catalogue().lane(reading.kind) == Lane::Urgent),
        _ => None,
    };
    logs.records()
        .filter_map(|record| is_urgent(record.input))
        .collect()
}

#[test]
fn p7_what_is_urgent_is_judged_before_telemetry_that_came_first_and_starves_it_not() {
    for urgent_at_once in [1, 7, AT_ONCE] {
        let mut scene = Scene::new();
        send(&mut scene, "heat", TIMES * URGENT, AT_ONCE);
        send(&mut scene, "call", URGENT, urgent_at_once);
        while scene.settled() < (TIMES + 1) * URGENT {
            scene.steps();
        }
        let (mut urgent, mut telemetry) = (0, 0);
        for is_urgent in order(&scene) {
            match is_urgent {
                true => urgent += 1,
                false => telemetry += 1,
            }
            let per_turn = u64::from(URGENT_PER_TELEMETRY);
            if urgent < URGENT {
                assert!(
                    telemetry <= urgent / per_turn,
                    "{telemetry} before {urgent} urgent"
                );
                let owed = urgent.saturating_sub(urgent_at_once + per_turn) / per_turn;
                assert!(telemetry >= owed, "{telemetry} beside {urgent} urgent");
            }
        }
        assert_eq!((urgent, telemetry), (URGENT, TIMES * URGENT));
    }
}
