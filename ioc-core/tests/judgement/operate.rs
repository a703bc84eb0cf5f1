//! Commands to actuators: what people order, what devices answer, what sensors show, and what
//! follows when none of them says anything.

use std::num::NonZeroUsize;

use expect_test::{Expect, expect};
use ioc_core::bundle::Expected;
use ioc_core::decision::EffectClass::{AtMostOnce, Idempotent};
use ioc_core::decision::{CommandChange, Verdict};
use ioc_core::judgement::Judgement;
use ioc_core::limits::{COMMANDS_PENDING_MAX, COMMANDS_REMEMBERED};
use ioc_core::record::{Action, Command, Effect, EffectNews, Input, Operate};
use ioc_core::time::Millis;

use crate::support::{BundleBuilder, History, MIDNIGHT, Manner, metres};
use crate::timeline::{check_reloading, check_with};

/// A gate whose sensor shows whether it is shut, a sign that nothing shows but its device, and a
/// siren that must not be sounded twice.
fn city() -> BundleBuilder {
    let shut = |value| Some(("gate-shut", Expected::Is(value)));
    BundleBuilder::new()
        .sensor("gate-shut", "state", metres(0, 0))
        .actuator(
            "gate",
            Idempotent,
            &[("close", shut(1.0)), ("open", shut(0.0))],
        )
        .actuator("sign", Idempotent, &[("flash", None), ("off", None)])
        .actuator("siren", AtMostOnce, &[("sound", None)])
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at every call")]
fn check(timeline: &str, expected: Expect) {
    check_with(&city().build(), timeline, &expected);
}

#[test]
fn a_gate_is_closed_and_its_sensor_shows_it() {
    check(
        "10:00 order gate close
         10:00:01 answer gate accepted
         10:00:09 answer gate done detail=end-switch
         10:00:10 gate-shut 1
         10:00:20 gate-shut 1",
        expect![[r#"
            10:00 command_sent gate close until 10:01, outcome by 10:03 by ana
            10:00:01 command_accepted gate close
            10:00:09 command_done gate close "end-switch"
            10:00:10 command_confirmed gate close "end-switch": gate-shut 1
        "#]],
    );
}

#[test]
fn inv_31_what_a_device_says_of_itself_is_no_confirmation() {
    check(
        "10:00 order sign flash
         10:00:01 answer sign accepted
         10:00:02 answer sign done
         10:01 order gate close request=r-2
         10:01:01 answer gate accepted
         10:01:02 answer gate done
         10:05 tick",
        expect![[r#"
            10:00 command_sent sign flash until 10:01, outcome by 10:03 by ana
            10:00:01 command_accepted sign flash
            10:00:02 command_done sign flash
            10:01 command_sent gate close until 10:02, outcome by 10:04 by ana
            10:01:01 command_accepted gate close
            10:01:02 command_done gate close
            10:04 command_not_confirmed gate close, a person takes over
        "#]],
    );
}

#[test]
fn inv_31_a_command_that_only_a_broker_has_taken_expires_and_a_person_takes_over() {
    // The executor's own word that it is about to send moves nothing either.
    check(
        "10:00 order siren sound
         10:00:01 sent siren
         10:02 order gate close request=r-2 within=10
         10:03 tick",
        expect![[r#"
            10:00 command_sent siren sound until 10:01, outcome by 10:03 by ana
            10:01 command_expired siren sound, a person takes over
            10:02 command_sent gate close until 10:02:10, outcome by 10:04:10 by ana
            10:02:10 command_expired gate close, a person takes over
        "#]],
    );
}

#[test]
fn a_gate_that_was_shut_before_is_confirmed_only_when_the_device_has_the_command() {
    check(
        "10:00 gate-shut 1
         10:00:01 order gate close
         10:00:02 gate-shut 1 observed=10:00
         10:00:03 gate-shut 1
         10:00:04 answer gate accepted
         10:01 order gate close request=r-2
         10:01:01 gate-shut 1 observed=10:00
         10:01:02 answer gate accepted
         10:01:03 gate-shut 0
         10:01:04 gate-shut 1",
        expect![[r#"
            10:00:01 command_sent gate close until 10:01:01, outcome by 10:03:01 by ana
            10:00:04 command_accepted gate close
            10:00:04 command_confirmed gate close: gate-shut 1
            10:01 command_sent gate close until 10:02, outcome by 10:04 by ana
            10:01:02 command_accepted gate close
            10:01:04 command_confirmed gate close: gate-shut 1
        "#]],
    );
}

#[test]
fn a_device_that_never_answers_is_believed_to_its_sensor_at_the_deadline() {
    check(
        "10:00 order gate close
         10:00:30 gate-shut 1
         10:10 order gate close request=r-2
         10:10:30 gate-shut 1
         10:10:40 gate-shut 0
         10:12 tick",
        expect![[r#"
            10:00 command_sent gate close until 10:01, outcome by 10:03 by ana
            10:01 command_confirmed gate close: gate-shut 1
            10:10 command_sent gate close until 10:11, outcome by 10:13 by ana
            10:11 command_expired gate close, a person takes over
        "#]],
    );
}

#[test]
fn a_device_that_cannot_or_will_not_says_so() {
    check(
        "10:00 order gate close
         10:00:01 answer gate rejected detail=maintenance
         10:01 order gate close request=r-2
         10:01:01 answer gate accepted
         10:01:05 answer gate failed detail=motor
         10:02 order gate open request=r-3
         10:02:01 answer gate done
         10:02:05 answer gate failed detail=slipped",
        expect![[r#"
            10:00 command_sent gate close until 10:01, outcome by 10:03 by ana
            10:00:01 command_rejected gate close "maintenance", a person takes over
            10:01 command_sent gate close until 10:02, outcome by 10:04 by ana
            10:01:01 command_accepted gate close
            10:01:05 command_failed gate close "motor", a person takes over
            10:02 command_sent gate open until 10:03, outcome by 10:05 by ana
            10:02:01 command_done gate open
            10:02:05 command_failed gate open "slipped", a person takes over
        "#]],
    );
}

#[test]
fn one_command_at_a_time_unless_the_order_says_which_it_replaces() {
    check(
        "10:00 order gate close by=ana
         10:00:05 order gate open by=ben request=r-2
         10:00:06 order gate open by=ben request=r-3 replaces=yes
         10:00:07 answer gate accepted
         10:00:08 gate-shut 0
         10:00:09 order gate close by=ana request=r-4 replaces=yes",
        expect![[r#"
            10:00 command_sent gate close until 10:01, outcome by 10:03 by ana
            10:00:05 command_refused already_pending gate by ben
            10:00:06 command_superseded gate close by ben
            10:00:06 command_sent gate open until 10:01:06, outcome by 10:03:06 by ben
            10:00:07 command_accepted gate open
            10:00:08 command_confirmed gate open: gate-shut 0
            10:00:09 command_refused not_pending gate by ana
        "#]],
    );
}

#[test]
fn orders_that_cannot_be_followed_are_refused_with_the_reason() {
    check(
        "10:00 order nobody open request=r-1
         10:00 order gate flash request=r-2
         10:00 order gate open request=r-3 within=0
         10:00 order gate open request=r-4 within=100000
         10:00 order gate open request=r-4 within=100000",
        expect![[r#"
            10:00 command_refused unknown_actuator nobody by ana
            10:00 command_refused command_not_allowed gate by ana
            10:00 command_refused too_late gate by ana
            10:00 command_sent gate open until 1d 10:00, outcome by 1d 10:02 by ana
        "#]],
    );
}

#[test]
fn what_a_device_says_late_is_told_once_and_what_a_stranger_says_is_not() {
    check(
        "10:00 order gate close within=10
         10:00:05 answer gate accepted device=sign
         10:00:20 answer gate accepted
         10:00:21 answer gate accepted
         10:00:22 answer gate done
         10:00:23 answer gate failed device=sign
         10:00:24 answer gate accepted
         10:00:25 answer gate done",
        expect![[r#"
            10:00 command_sent gate close until 10:00:10, outcome by 10:02:10 by ana
            10:00:10 command_expired gate close, a person takes over
            10:00:20 command_answered_late gate close accepted after expired, a person takes over
            10:00:22 command_answered_late gate close done after expired, a person takes over
        "#]],
    );
}

#[test]
fn a_restart_leaves_unknown_what_may_be_sent_once_only_and_sends_the_rest_again() {
    check(
        "10:00 order siren sound
         10:00:01 sent siren
         10:00:02 order gate close request=r-2
         10:00:10 started after=10:00:05
         10:00:11 answer gate done
         10:00:12 answer siren done
         10:00:20 order siren sound request=r-3
         10:00:25 started after=10:00:24
         10:00:26 sent siren
         10:00:27 answer siren accepted
         10:00:30 started after=10:00:28
         10:00:31 answer siren done",
        expect![[r#"
            10:00 command_sent siren sound until 10:01, outcome by 10:03 by ana
            10:00:02 command_sent gate close until 10:01:02, outcome by 10:03:02 by ana
            10:00:10 command_outcome_unknown siren sound, a person takes over
            10:00:11 command_done gate close
            10:00:12 command_answered_late siren sound done after outcome_unknown, a person takes over
            10:00:20 command_sent siren sound until 10:01:20, outcome by 10:03:20 by ana
            10:00:27 command_accepted siren sound
            10:00:31 command_done siren sound
        "#]],
    );
}

#[test]
fn inv_30_downtime_does_not_lengthen_for_how_long_a_command_may_be_sent() {
    // But what the device has meanwhile done is waited for longer: nobody could be heard.
    check(
        "10:00 order gate close
         10:00:01 order sign flash request=r-2
         10:00:02 answer gate accepted
         10:09 started after=10:00:03
         10:09:01 answer sign accepted
         10:11:50 gate-shut 1",
        expect![[r#"
            10:00 command_sent gate close until 10:01, outcome by 10:03 by ana
            10:00:01 command_sent sign flash until 10:01:01, outcome by 10:03:01 by ana
            10:00:02 command_accepted gate close
            10:01:01 command_expired sign flash, a person takes over
            10:09:01 command_answered_late sign flash accepted after expired, a person takes over
            10:11:50 command_confirmed gate close: gate-shut 1
        "#]],
    );
}

#[test]
fn a_command_goes_on_though_its_actuator_leaves_the_city() {
    let (first, other) = (city().build(), BundleBuilder::new().build());
    check_reloading(
        &[("first", &first), ("other", &other)],
        "10:00 order sign flash
         10:00:01 reload other
         10:00:02 answer sign accepted
         10:00:03 order sign off request=r-2
         10:00:04 answer sign done",
        &expect![[r#"
            10:00 command_sent sign flash until 10:01, outcome by 10:03 by ana
            10:00:01 rules_changed
            10:00:02 command_accepted sign flash
            10:00:03 command_refused unknown_actuator sign by ana
            10:00:04 command_done sign flash
        "#]],
    );
}

#[test]
fn p3_the_same_request_twice_orders_once() {
    check(
        "10:00 order sign flash request=r-1
         10:00:01 order sign flash request=r-1
         10:00:02 answer sign done
         10:00:03 order sign flash request=r-1",
        expect![[r#"
            10:00 command_sent sign flash until 10:01, outcome by 10:03 by ana
            10:00:02 command_done sign flash
        "#]],
    );
}

/// A history of so many orders to as many actuators.
fn orders(count: usize) -> History {
    let names: Vec<_> = (0..count).map(|number| format!("sign-{number}")).collect();
    let mut builder = BundleBuilder::new();
    for name in &names {
        builder = builder.actuator(name, Idempotent, &[("flash", None)]);
    }
    let mut history = History::new(builder.build());
    for name in &names {
        let command = Command {
            request: name,
            actor: "ana",
            action: Action::Operate(Operate {
                actuator: name,
                command: "flash",
                parameters: "",
                not_after: None,
                replaces: None,
            }),
        };
        history.push(MIDNIGHT, &Input::Command(command));
    }
    history
}

#[test]
fn p5_commands_under_way_have_a_bound_and_further_orders_are_told() {
    let history = orders(COMMANDS_PENDING_MAX + 1);
    let (judgement, decisions) = history.judge(&Manner::plain());
    assert_eq!(judgement.commands_pending().count(), COMMANDS_PENDING_MAX);
    let Verdict::CommandRefused(refusal) = &decisions.last().unwrap().verdict else {
        panic!("{:?}", decisions.last());
    };
    assert_eq!(refusal.code.word(), "too_many_pending");
}

#[test]
fn p5_of_commands_that_are_over_the_last_are_remembered() {
    let mut history = orders(COMMANDS_REMEMBERED + 1);
    let (_, decisions) = history.judge(&Manner::plain());
    let keys: Vec<_> = decisions
        .iter()
        .filter_map(|each| each.verdict.command())
        .map(|each| each.key)
        .collect();
    let late = MIDNIGHT + Millis::minutes(9);
    for key in [keys.iter().min().unwrap(), keys.iter().max().unwrap()] {
        let device = decisions
            .iter()
            .filter_map(|each| each.verdict.command())
            .find(|each| each.key == *key);
        let news = EffectNews::Answered {
            device: device.unwrap().actuator.as_str(),
            word: ioc_core::decision::AnswerWord::Done,
            detail: "",
        };
        history.push(late, &Input::Effect(Effect { key: *key, news }));
    }
    // All expire at one time, in the order of their keys: the least is the oldest.
    let (judgement, decisions) = history.judge(&Manner::plain());
    let late = decisions.iter().filter(|each| {
        matches!(
            each.verdict,
            Verdict::Command(CommandChange::AnsweredLate, _)
        )
    });
    assert_eq!(late.count(), 1);
    assert_eq!(judgement.counters().engine.effects_unknown, 1);
    assert_eq!(judgement.audit(), []);
}

#[test]
fn inv_39_a_replay_comes_to_the_same_commands_and_none_of_those_that_are_over_is_left_to_send() {
    let mut history = History::new(city().build());
    let order = |history: &mut History, request, actuator, command| {
        let operate = Operate {
            actuator,
            command,
            parameters: "",
            not_after: None,
            replaces: None,
        };
        let action = Action::Operate(operate);
        let command = Command {
            request,
            actor: "ana",
            action,
        };
        history.push(MIDNIGHT, &Input::Command(command));
    };
    order(&mut history, "r-1", "sign", "flash");
    order(&mut history, "r-2", "gate", "close");
    let (live, decisions) = history.judge(&Manner::plain());
    let sign = decisions
        .iter()
        .filter_map(|each| each.verdict.command())
        .find(|each| each.actuator.as_str() == "sign");
    let news = EffectNews::Answered {
        device: "sign",
        word: ioc_core::decision::AnswerWord::Done,
        detail: "",
    };
    assert_eq!(live.commands_pending().count(), 2);
    let key = sign.unwrap().key;
    history.push(MIDNIGHT, &Input::Effect(Effect { key, news }));
    let (live, _) = history.judge(&Manner::plain());
    let (again, _) = history.judge(&Manner {
        restarts: vec![(2, 3), (4, 1)],
        ..Manner::plain()
    });
    let left = |judgement: &Judgement| {
        let pending = judgement.commands_pending();
        pending
            .map(|(command, _)| command.actuator.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (left(&live), left(&again)),
        (vec!["gate".into()], vec!["gate".into()])
    );
    let one = NonZeroUsize::MIN;
    assert_eq!(left(&Judgement::new(one)), [""; 0]);
}
