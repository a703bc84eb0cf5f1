//! Topics and subjects that are allowed, and look as if they were meant for the other protocol.
//!
//! MQTT separates levels by `/`, with `+` and `#` as wildcards; NATS by `.`, with `*` and `>`. Each
//! of these is an ordinary character to the other, so that such a filter chooses nothing and is no
//! mistake.

use super::field::Field;
use super::mistake::Mistakes;
use super::yaml::Value;

/// Doubts a filter of MQTT that looks like one of NATS.
pub fn doubt_topic(field: &Field<'_>, mistakes: &mut Mistakes) {
    let Value::Text(text) = &field.node.value else {
        return;
    };
    let has_its_wildcard = text.split(['/', '.']).any(|part| matches!(part, "*" | ">"));
    let what = if has_its_wildcard {
        "`*` and `>` are wildcards of NATS; those of a topic are `+` and `#`"
    } else if text.contains('.') && !text.contains('/') {
        "`.` separates the tokens of a NATS subject; levels of a topic are separated by `/`"
    } else {
        return;
    };
    field.doubtful(mistakes, format!("`{text}`: {what}"));
}

/// Doubts a subject of NATS that looks like a filter of MQTT.
pub fn doubt_subject(field: &Field<'_>, mistakes: &mut Mistakes) {
    let Value::Text(text) = &field.node.value else {
        return;
    };
    let has_its_wildcard = text.split(['/', '.']).any(|part| matches!(part, "+" | "#"));
    let what = if has_its_wildcard {
        "`+` and `#` are wildcards of MQTT; those of a subject are `*` and `>`"
    } else if text.contains('/') {
        "`/` separates the levels of an MQTT topic; tokens of a subject are separated by `.`"
    } else {
        return;
    };
    field.doubtful(mistakes, format!("`{text}`: {what}"));
}
