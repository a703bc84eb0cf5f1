use std::sync::Arc;

use ioc_core::decision::{CommandChange, DecisionHash, Progress, Severity, Step};

use super::*;
use crate::auth::Token;
use crate::control::Controls;
use crate::examples::*;
use crate::saved::VIEW_FORMAT;

fn view() -> View {
    let clock = Arc::new(|| at(0));
    let mut options = WindowOptions::new("epoch".into(), Token::new("t"), clock);
    options.ended_incidents_max = 2;
    options.sampled_sensors_max = 1;
    options.silent_listed_max = 2;
    options.commanded_actuators_max = 2;
    options.ended_suppressions_max = 2;
    View::new(options)
}

fn applied(decisions: Vec<Decision>) -> (View, Vec<bool>) {
    let mut view = view();
    let published = publish(DecisionHash::default(), decisions);
    let mut controls = Controls::default();
    let apply = |each: &Published| {
        let control = controls.is_control(&each.decision);
        view.apply(each, control);
        control
    };
    let control = published.iter().map(apply).collect();
    (view, control)
}

#[test]
fn only_an_update_that_makes_nothing_graver_may_be_folded() {
    let (_, control) = applied(vec![
        opened(1, "a"),
        updated(2, "a"),
        rose(3, "a"),
        rose(4, "a"),
        cleared(5, "a"),
        reopened(6, "a"),
        silent(7, "wl-1"),
        updated(8, "never-seen"),
    ]);
    assert_eq!(control, [true, false, true, false, true, true, true, true]);
}

#[test]
fn an_incident_keeps_what_became_of_it() {
    let (mut view, _) = applied(vec![opened(1, "a"), rose(2, "a"), cleared(3, "a")]);
    let picture = view.picture();
    let incident = picture.incident(id("a")).unwrap();
    assert_eq!(incident.updated_seq, 3);
    assert_eq!(incident.ended, Some((3, at(3))));
    assert_eq!(incident.state.severity, Severity::Severe);
    assert_eq!(incident.rule.as_ref().unwrap().as_str(), "river-high");
}

#[test]
fn what_a_person_reopens_when_it_is_over_is_open_until_it_is_done() {
    let over = |handling| IncidentState {
        condition: Condition::Cleared,
        handling,
        ..incident("a")
    };
    let handled = |handling| Verdict::IncidentHandled {
        step: Step::Undo,
        before: Handling::New,
        incident: over(handling),
    };
    let story = [
        (Verdict::IncidentOpened(incident("a")), true),
        (Verdict::IncidentCleared(over(Handling::New)), false),
        (handled(Handling::Closed), false),
        (Verdict::IncidentReopened(over(Handling::New)), true),
        (Verdict::IncidentUpdated(over(Handling::New)), true),
        (
            Verdict::IncidentAcknowledged(over(Handling::Acknowledged)),
            true,
        ),
        (handled(Handling::Closed), false),
        (Verdict::IncidentUpdated(over(Handling::Closed)), false),
        // By evidence it is back, and over by itself; and whoever was at work and was not ends with it.
        (Verdict::IncidentReopened(incident("a")), true),
        (Verdict::IncidentCleared(over(Handling::New)), false),
        (handled(Handling::Confirmed), true),
        (handled(Handling::New), false),
    ];
    for last in 1..=story.len() {
        let told = story[..last].iter().zip(1..);
        let told = told.map(|((verdict, _), seq)| decision(seq, verdict.clone()));
        let (mut view, _) = applied(told.collect());
        let picture = view.picture();
        let ended = picture.incident(id("a")).unwrap().ended;
        assert_eq!(ended.is_none(), story[last - 1].1, "{last}");
    }
}

#[test]
fn p5_of_what_ended_only_the_newest_stay_but_what_is_open_always() {
    let (mut view, _) = applied(vec![
        opened(1, "open"),
        cleared(2, "a"),
        cleared(3, "b"),
        reopened(4, "a"),
        cleared(5, "c"),
        merged(6, "d", "open"),
    ]);
    let picture = view.picture();
    let known = |name| picture.incident(id(name)).is_some();
    assert!(known("open") && known("a"), "open incidents all stay");
    assert!(!known("b"), "the oldest that ended goes first");
    assert!(known("c") && known("d"));
}

#[test]
fn a_sensor_is_silent_until_it_returns() {
    let (mut view, _) = applied(vec![
        silent(1, "wl-1"),
        silent(2, "wl-2"),
        returned(3, "wl-1"),
    ]);
    let picture = view.picture();
    let silent: Vec<_> = picture
        .silent
        .iter()
        .map(|each| each.state.id.as_str())
        .collect();
    assert_eq!(silent, ["wl-2"]);
}

#[test]
fn p5_samples_of_more_sensors_than_the_bound_are_not_kept() {
    let sample = |sensor: &str, value| {
        Arc::new(Sample {
            sensor: sensor.parse().unwrap(),
            kind: "water_level".parse().unwrap(),
            value,
            unit: "m".into(),
            observed_at: at(1),
            position: None,
        })
    };
    let mut view = view();
    assert!(view.sample(sample("wl-1", 1.0)));
    assert!(!view.sample(sample("wl-2", 2.0)));
    assert!(view.sample(sample("wl-1", 3.0)));
    assert_eq!(view.picture().samples[0].value, 3.0);
}

#[test]
fn p5_of_many_silent_sensors_the_first_are_listed_and_all_counted() {
    let silences = (1..=5).map(|seq| silent(seq, &format!("wl-{seq}")));
    let (mut view, _) = applied(silences.collect());
    let picture = view.picture();
    assert_eq!((picture.silent.len(), picture.silent_total), (2, 5));
}

#[test]
fn a_picture_is_made_again_only_if_something_changed() {
    let (mut view, _) = applied(vec![opened(1, "a")]);
    let first = view.picture();
    assert!(Arc::ptr_eq(&first, &view.picture()));
    view.apply(&publish(first.head.hash, vec![updated(2, "a")])[0], false);
    assert!(!Arc::ptr_eq(&first, &view.picture()));
}

/// All kinds of decisions, and what ended last.
fn eventful() -> Vec<Decision> {
    vec![
        opened(1, "open"),
        rose(2, "open"),
        silent(3, "wl-1"),
        silent(4, "wl-2"),
        returned(5, "wl-2"),
        cleared(6, "a"),
        cleared(7, "b"),
        reopened(8, "b"),
        merged(9, "c", "open"),
        updated(10, "open"),
        cleared(11, "b"),
        returned(12, "wl-1"),
        cleared(13, "d"),
        reopened(14, "a"),
        decision(15, command_of(CommandChange::Sent, "gate-7", "r-1")),
        decision(16, command_of(CommandChange::Accepted, "gate-7", "r-1")),
        decision(17, command_of(CommandChange::Sent, "gate-8", "r-2")),
    ]
}

fn progress(view: &mut View, actuator: &str) -> Option<Progress> {
    let picture = view.picture();
    let command = picture.command_to(&actuator.parse().unwrap());
    command.map(|command| command.state.progress)
}

#[test]
fn the_last_command_to_an_actuator_is_shown_and_late_words_of_older_ones_do_not_hide_it() {
    let (mut view, controls) = applied(vec![
        decision(1, command_of(CommandChange::Sent, "gate-7", "r-1")),
        decision(2, command_of(CommandChange::Expired, "gate-7", "r-1")),
        decision(3, command_of(CommandChange::Sent, "gate-7", "r-2")),
        decision(4, command_of(CommandChange::AnsweredLate, "gate-7", "r-1")),
    ]);
    assert_eq!(progress(&mut view, "gate-7"), Some(Progress::Sent));
    assert_eq!(progress(&mut view, "gate-8"), None);
    assert_eq!(controls, [true; 4], "nobody may miss one");
}

#[test]
fn p5_of_many_commands_those_that_are_over_go_first() {
    let (mut view, _) = applied(vec![
        decision(1, command_of(CommandChange::Sent, "gate-1", "r-1")),
        decision(2, command_of(CommandChange::Confirmed, "gate-2", "r-2")),
        decision(3, command_of(CommandChange::Sent, "gate-3", "r-3")),
    ]);
    let shown = ["gate-1", "gate-2", "gate-3"].map(|id| progress(&mut view, id).is_some());
    assert_eq!(shown, [true, false, true]);
}

#[test]
fn a_view_that_was_saved_before_there_were_commands_is_read() {
    let (first, _) = applied(eventful()[..14].to_vec());
    let mut bytes = first.save().encode();
    let mut health = Vec::new();
    first.save().health.put(&mut health);
    // Nothing was kept quiet, which the second format did not say.
    bytes.truncate(bytes.len() - 4);
    // Nor did it say which sites are silent, behind who is broken.
    assert_eq!(
        health[..8],
        [0; 8],
        "nobody is broken, and no site is silent"
    );
    let health_at = bytes.len() - health.len();
    bytes.drain(health_at..health_at + 4);
    assert!(Saved::decode(2, &bytes).is_ok());
    bytes.truncate(health_at);
    let later = 4 + first.save().incidents.len();
    let later = bytes.split_off(bytes.len() - later);
    assert!(
        later.iter().all(|byte| *byte == 0),
        "no commands, and nobody did anything"
    );
    let saved = Saved::decode(1, &bytes).unwrap();
    assert!(saved.commands.is_empty() && !saved.incidents.is_empty());
    assert!(Saved::decode(VIEW_FORMAT, &bytes).is_err());
    assert!(Saved::decode(VIEW_FORMAT + 1, &bytes).is_err());
}

#[test]
fn p4_a_view_that_was_saved_anywhere_goes_on_as_if_it_never_was() {
    let (mut live, _) = applied(eventful());
    let expected = live.picture().snapshot();
    for saved_at in 0..=eventful().len() {
        let (first, _) = applied(eventful()[..saved_at].to_vec());
        let bytes = first.save().encode();
        let mut restored = view();
        let saved = Saved::decode(VIEW_FORMAT, &bytes).unwrap();
        let mut controls = Controls::default();
        controls.restore(&saved);
        restored.restore(saved);
        let all = publish(DecisionHash::default(), eventful());
        for published in &all {
            let control = controls.is_control(&published.decision);
            if !restored.knows(published.decision.seq) {
                restored.apply(published, control);
            }
        }
        assert_eq!(
            restored.picture().snapshot(),
            expected,
            "saved at {saved_at}"
        );
        for name in ["open", "a", "b", "c", "d"] {
            let told = |view: &mut View| {
                let picture = view.picture();
                let milestones = &picture.incident(id(name))?.milestones;
                let all: Vec<_> = milestones.before(u64::MAX).cloned().collect();
                Some((milestones.told(), all))
            };
            assert_eq!(told(&mut restored), told(&mut live), "{name}");
        }
    }
}

#[test]
fn a_saved_view_that_is_cut_or_changed_is_an_error_or_another_view() {
    let (view, _) = applied(eventful());
    let bytes = view.save().encode();
    for length in 0..bytes.len() {
        assert!(
            Saved::decode(VIEW_FORMAT, &bytes[..length]).is_err(),
            "cut to {length}"
        );
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x55;
        // The snapshot's own hash tells: here it must only not panic.
        let _ = Saved::decode(VIEW_FORMAT, &changed);
    }
}

#[test]
fn p5_of_what_was_kept_quiet_the_oldest_goes_first() {
    use ioc_core::decision::SuppressionChange::{Ended, Started};
    let mut picture = view();
    let story = (1..=3).flat_map(|number| {
        let request = format!("q-{number}");
        [Started, Ended].map(|change| suppression_of(change, &request))
    });
    let story = story.chain([suppression_of(Started, "q-4")]);
    let story = (1..).zip(story);
    let story = story.map(|(seq, verdict)| decision(seq, verdict));
    for published in publish(DecisionHash::default(), story.collect()) {
        picture.apply(&published, true);
    }
    let kept = picture.picture();
    let kept = kept.suppressions.iter();
    let mut seqs: Vec<_> = kept
        .map(|each| (each.seq, each.state.ended.is_some()))
        .collect();
    seqs.sort_unstable();
    assert_eq!(seqs, [(4, true), (6, true), (7, false)]);
    // The same after a restart.
    let bytes = picture.save().encode();
    let mut restored = view();
    restored.restore(Saved::decode(VIEW_FORMAT, &bytes).unwrap());
    assert_eq!(restored.picture().snapshot(), picture.picture().snapshot());
}
