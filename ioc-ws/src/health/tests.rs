use ioc_core::codec::Take;
use ioc_core::decision::{Evidence, FaultKind, Verdict};
use ioc_core::time::Millis;

use super::load::BAD_ACTORS_MAX;
use super::*;
use crate::examples::*;
use crate::saved::VIEW_FORMAT;

fn of_rule(decision: Decision, rule: &str) -> Decision {
    Decision {
        cause: Cause {
            rule: Some(rule.parse().unwrap()),
            ..decision.cause
        },
        ..decision
    }
}

fn faulty(seq: u64, sensor: &str, kind: FaultKind, distrusted: bool) -> Decision {
    let fault = SensorFault { kind, distrusted };
    let verdict = Verdict::SensorFaulty(sensor_state(sensor), fault);
    of_rule(decision(seq, verdict), kind.word())
}

fn sound(seq: u64, sensor: &str, kind: FaultKind) -> Decision {
    let fault = SensorFault {
        kind,
        distrusted: false,
    };
    let verdict = Verdict::SensorSound(sensor_state(sensor), fault);
    of_rule(decision(seq, verdict), kind.word())
}

fn health_of(decisions: &[Decision]) -> Health {
    let mut health = Health::default();
    decisions.iter().for_each(|decision| health.apply(decision));
    health
}

/// Each sensor with its troubles, and whether it is not trusted.
fn told(health: &Health) -> Vec<String> {
    let troubled = HealthPicture::of(health, 100).troubled;
    let tell = |each: &Arc<Troubled>| {
        let words: Vec<_> = each.troubles.iter().map(Trouble::word).collect();
        let trust = if each.is_distrusted() {
            "distrusted"
        } else {
            "trusted"
        };
        format!("{} {} {trust}", each.state.id, words.join(" "))
    };
    troubled.iter().map(tell).collect()
}

#[test]
fn a_sensor_is_listed_with_all_that_is_wrong_until_nothing_is() {
    let mut decisions = vec![
        faulty(1, "wl-1", FaultKind::Flapping, true),
        of_rule(silent(2, "wl-1"), "silence"),
        faulty(3, "wl-2", FaultKind::Skewed, false),
    ];
    let all = ["wl-1 flapping silent distrusted", "wl-2 skewed trusted"];
    assert_eq!(told(&health_of(&decisions)), all);
    decisions.push(of_rule(returned(4, "wl-1"), "silence"));
    decisions.push(sound(5, "wl-2", FaultKind::Skewed));
    assert_eq!(told(&health_of(&decisions)), ["wl-1 flapping distrusted"]);
    decisions.push(sound(6, "wl-1", FaultKind::Flapping));
    assert!(told(&health_of(&decisions)).is_empty());
}

#[test]
fn bad_actors_are_ranked_by_what_they_interrupt_people_with() {
    let evidence = Evidence {
        reading: "r-1".parse().unwrap(),
        seq: 1,
        sensor: "wl-5".parse().unwrap(),
        rule: "river-high".parse().unwrap(),
        value: 3.5,
        distance_m: None,
        through: None,
    };
    let named = |mut decision: Decision| {
        // Twice in one decision is one interruption.
        decision.cause.evidence = vec![evidence.clone(), evidence.clone()];
        decision
    };
    let mut decisions: Vec<_> = (1..=20).map(|seq| named(opened(seq, "a"))).collect();
    decisions.push(faulty(21, "wl-9", FaultKind::Stuck, true));
    decisions.push(named(updated(22, "a")));
    let picture = HealthPicture::of(&health_of(&decisions), 100);
    let told = picture.bad_actors.iter();
    let told = told.map(|(id, one)| (id.as_str(), one.alarms, one.faults, one.updates));
    assert!(told.eq([("wl-5", 20, 0, 1), ("wl-9", 0, 1, 0)]));
    assert_eq!((picture.load.load(), picture.load.updates), (21, 1));
}

#[test]
fn a_week_later_what_was_is_forgotten() {
    let first = faulty(1, "wl-1", FaultKind::Stuck, true);
    let mut later = faulty(2, "wl-2", FaultKind::Stuck, true);
    for (days, named) in [(6, 2), (7, 1), (700, 1)] {
        later.at = first.at + Millis::minutes(days * 24 * 60);
        let health = health_of(&[first.clone(), later.clone()]);
        assert_eq!(
            HealthPicture::of(&health, 9).bad_actors.len(),
            named,
            "{days} days"
        );
    }
}

#[test]
fn p5_for_a_further_sensor_that_with_the_least_load_is_forgotten() {
    let mut decisions = vec![
        faulty(1, "worst", FaultKind::Stuck, true),
        faulty(2, "worst", FaultKind::Stuck, true),
    ];
    let many = (3..6_000).map(|seq| faulty(seq, &format!("s-{seq}"), FaultKind::Stuck, true));
    decisions.extend(many);
    let picture = HealthPicture::of(&health_of(&decisions), 7);
    assert_eq!(picture.bad_actors[0].0.as_str(), "worst");
    assert_eq!(picture.bad_actors.len(), BAD_ACTORS_MAX);
    assert_eq!(picture.load.faults, 4_097);
    assert_eq!((picture.troubled.len(), picture.troubled_total), (7, 5_998));
}

#[test]
fn of_a_sensor_that_may_be_among_those_that_are_not_listed_nobody_says_that_it_is_sound() {
    let broken = ["a", "c", "e"].map(|sensor| faulty(1, sensor, FaultKind::Stuck, true));
    let known = |listed: usize, sensor: &str| {
        let picture = HealthPicture::of(&health_of(&broken), listed);
        match picture.of_sensor(&sensor.parse().unwrap()) {
            Known::Sound => "sound".to_owned(),
            Known::Troubled(troubled) => troubled.state.id.to_string(),
            Known::Unlisted => "unlisted".to_owned(),
        }
    };
    let all = |listed| ["a", "b", "c", "d", "e", "f"].map(|sensor| known(listed, sensor));
    assert_eq!(all(3), ["a", "sound", "c", "sound", "e", "sound"]);
    let unlisted = "unlisted";
    assert_eq!(all(2), ["a", "sound", "c", unlisted, unlisted, unlisted]);
}

#[test]
fn health_that_was_saved_goes_on_as_it_was() {
    let decisions = [
        faulty(1, "wl-1", FaultKind::Flapping, true),
        of_rule(silent(2, "wl-1"), "silence"),
        opened(3, "a"),
        faulty(4, "wl-2", FaultKind::Skewed, false),
    ];
    let health = health_of(&decisions);
    let mut bytes = Vec::new();
    health.put(&mut bytes);
    let mut again = Health::take(VIEW_FORMAT, &mut Take(&bytes)).unwrap();
    let mut bytes_again = Vec::new();
    again.put(&mut bytes_again);
    assert_eq!(bytes, bytes_again);
    again.apply(&sound(5, "wl-1", FaultKind::Flapping));
    assert_eq!(told(&again), ["wl-1 silent trusted", "wl-2 skewed trusted"]);
}
