//! What a device says about a command that it was sent: `{"key":…,"state":…,"detail":…}`.
//!
//! Arrives: a payload, and the device that its topic names. Leaves: the answer as an effect's result
//! among the connection's inputs, in its place; or why it is none. Promise: an answer counts only for a command that was sent to that
//! device. Not here: what follows from it (the core). Next: `../commands.rs`.

use std::borrow::Cow;

use ioc_core::decision::{Answer, AnswerWord};
use ioc_core::id::{ActuatorId, CommandKey};
use ioc_core::record::{Effect, EffectNews};
use serde::Deserialize;
use serde_json::error::Category;

use super::{Reason, Reject, bare};
use crate::catalogue::Catalogue;
use crate::door::Inputs;

/// The longest feedback.
pub const FEEDBACK_BYTES_MAX: usize = 4096;

/// The device whose feedback is published to this topic; `None` for others.
pub fn device_of(topic: &str) -> Option<&str> {
    let device = topic.strip_prefix("ioc/v1/feedback/")?;
    (!device.is_empty() && !device.contains('/')).then_some(device)
}

/// Appends what a device says.
///
/// # Errors
/// Why it is no answer to a command.
pub fn append_feedback(
    inputs: &mut Inputs,
    payload: &[u8],
    device: &str,
    catalogue: &Catalogue,
) -> Result<(), Reject> {
    let said = decode(payload, device, catalogue)?;
    let effect = Effect {
        key: said.key,
        news: EffectNews::Answered {
            device,
            word: said.word,
            detail: &said.detail,
        },
    };
    inputs.push_answer(&effect);
    Ok(())
}

/// Why whoever sent it may not speak for that device.
pub(super) fn not_allowed(why: Reject) -> Reject {
    Reject::new(Reason::FeedbackNotAllowed, why.detail)
}

/// An answer that belongs to a command.
struct Said<'a> {
    key: CommandKey,
    word: AnswerWord,
    detail: Cow<'a, str>,
}

/// The members of a feedback; others are let through.
#[derive(Deserialize)]
#[serde(expecting = "an object with `key` and `state`")]
struct Members<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    state: Cow<'a, str>,
    #[serde(borrow, default)]
    detail: Option<Cow<'a, str>>,
}

fn decode<'a>(payload: &'a [u8], device: &str, catalogue: &Catalogue) -> Result<Said<'a>, Reject> {
    if payload.len() > FEEDBACK_BYTES_MAX {
        let detail = format!(
            "{} bytes; a feedback has at most {FEEDBACK_BYTES_MAX}",
            payload.len()
        );
        return Err(Reject::new(Reason::PayloadTooLong, detail));
    }
    let invalid = |detail: String| Reject::new(Reason::FeedbackInvalid, detail);
    let members: Members<'_> = serde_json::from_slice(bare(payload)).map_err(|error| {
        let reason = match error.classify() {
            Category::Data => Reason::FeedbackInvalid,
            Category::Syntax | Category::Eof | Category::Io => Reason::JsonMalformed,
        };
        Reject::new(reason, error.to_string())
    })?;
    let key: CommandKey = members
        .key
        .parse()
        .map_err(|error| invalid(format!("`key`: {error}")))?;
    let word = AnswerWord::from_word(&members.state).ok_or_else(|| {
        invalid(format!(
            "`state` is accepted, rejected, done or failed; not `{}`",
            members.state
        ))
    })?;
    if !ActuatorId::is_valid(device) || !catalogue.commands.is_of(key, device) {
        let detail = format!("no command {key} was sent to {device}, or it is long over");
        return Err(Reject::new(Reason::FeedbackUnknown, detail));
    }
    Ok(Said {
        key,
        word,
        detail: cut(members.detail.unwrap_or_default()),
    })
}

/// The detail, or as many whole characters of it as are kept.
fn cut(detail: Cow<'_, str>) -> Cow<'_, str> {
    let end = detail.floor_char_boundary(Answer::DETAIL_BYTES_MAX);
    match detail {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use ioc_core::record::Input;

    use super::super::{Message, Workspace, append_message};
    use super::*;
    use crate::commands::tests::command;

    /// What comes of a message of a device, where gate-7 was sent one command.
    fn read(payload: &str, device: &str) -> (Result<(), Reject>, Inputs) {
        let catalogue = Catalogue::default();
        catalogue.commands.follow(&command("gate-7"));
        let mut inputs = Inputs::default();
        let message = Message {
            topic: &format!("ioc/v1/feedback/{device}"),
            payload: payload.as_bytes(),
            ..Message::default()
        };
        let mut result = Ok(());
        let mut told = |item: Result<&str, Reject>| result = item.map(drop);
        let workspace = &mut Workspace::default();
        append_message(
            &mut inputs,
            message,
            "mqtt x",
            &catalogue,
            workspace,
            &mut told,
        );
        assert_eq!(inputs.count(), 1, "never neither");
        (result, inputs)
    }

    fn said(key: CommandKey, rest: &str) -> String {
        format!(r#"{{"key":"{key}",{rest}}}"#)
    }

    #[test]
    fn a_device_answers_the_command_that_it_was_sent() {
        let key = command("gate-7").key;
        let long = "é".repeat(Answer::DETAIL_BYTES_MAX);
        let rejected = format!(r#""state":"rejected","detail":"{long}""#);
        for (rest, word, detail) in [
            (r#""state":"accepted""#, AnswerWord::Accepted, ""),
            (
                r#""state":"done","detail":null,"more":1"#,
                AnswerWord::Done,
                "",
            ),
            (
                r#""state":"failed","detail":"mo\u0074or""#,
                AnswerWord::Failed,
                "motor",
            ),
            (
                &rejected,
                AnswerWord::Rejected,
                &long[..Answer::DETAIL_BYTES_MAX],
            ),
        ] {
            let (result, inputs) = read(&said(key, rest), "gate-7");
            assert_eq!(result, Ok(()), "{rest}");
            let news = EffectNews::Answered {
                device: "gate-7",
                word,
                detail,
            };
            let input = Input::decode(inputs.iter().next().unwrap()).unwrap();
            assert_eq!(input, Input::Effect(Effect { key, news }));
        }
    }

    #[test]
    fn a_mark_before_an_answer_and_what_ends_a_text_in_c_are_no_part_of_it() {
        let said = said(command("gate-7").key, r#""state":"done""#);
        let (result, _) = read(&format!("\u{feff}{said}\0"), "gate-7");
        assert_eq!(result, Ok(()));
    }

    #[test]
    fn what_is_no_answer_of_that_device_is_a_dead_letter_with_the_reason() {
        let key = command("gate-7").key;
        let other = CommandKey::derive(&["other"]);
        let done = r#""state":"done""#;
        for (payload, device, reason) in [
            ("{", "gate-7", Reason::JsonMalformed),
            ("7", "gate-7", Reason::FeedbackInvalid),
            (r#"{"state":"done"}"#, "gate-7", Reason::FeedbackInvalid),
            (
                r#"{"key":"7","state":"done"}"#,
                "gate-7",
                Reason::FeedbackInvalid,
            ),
            (
                &said(key, r#""state":"fine""#),
                "gate-7",
                Reason::FeedbackInvalid,
            ),
            (
                &said(key, r#""state":1"#),
                "gate-7",
                Reason::FeedbackInvalid,
            ),
            (&said(other, done), "gate-7", Reason::FeedbackUnknown),
            (&said(key, done), "gate-8", Reason::FeedbackUnknown),
            (
                &"x".repeat(FEEDBACK_BYTES_MAX + 1),
                "gate-7",
                Reason::PayloadTooLong,
            ),
        ] {
            let (result, inputs) = read(payload, device);
            assert_eq!(result.unwrap_err().reason, reason, "{payload}");
            let input = Input::decode(inputs.iter().next().unwrap()).unwrap();
            assert!(matches!(input, Input::DeadLetter(letter) if letter.reason == reason.word()));
        }
    }

    #[test]
    fn the_device_is_the_one_that_the_topic_names() {
        assert_eq!(device_of("ioc/v1/feedback/gate:7"), Some("gate:7"));
        for other in [
            "ioc/v1/feedback/",
            "ioc/v1/feedback/a/b",
            "ioc/v1/readings/gate-7",
        ] {
            assert_eq!(device_of(other), None, "{other}");
        }
    }
}
