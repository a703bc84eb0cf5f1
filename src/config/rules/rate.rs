//! The question `rises` or `falls`: how much a value changes over a time, to [`Rate`].
//!
//! Arrives: the keys `rises` or `falls`, with `clear`, `for` and `clear_for` as for levels. Leaves:
//! changes in the unit of the kind, all over one time. Next: `window.rs`.

use ioc_core::bundle::{Direction, Rate, Side};
use ioc_core::time::Millis;

use super::detection::SPAN_MAX;
use super::threshold::{self, Scale};
use crate::config::field::{Field, Section};
use crate::config::kinds::Kind;
use crate::config::mistake::Mistakes;
use crate::config::quantity::{self, show_span};
use crate::config::yaml::Value;

/// Between a change and its time.
const PER: &str = " per ";

/// Reads the keys of a rate.
pub fn read(
    section: &mut Section<'_>,
    direction: Direction,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Rate> {
    let key = word(direction);
    let over = section.optional(key).and_then(|field| first_time(&field));
    let over = over.unwrap_or(Millis::minutes(15));
    let Some(kind) = kind else {
        // Its changes cannot be read; its other keys can.
        section.optional("clear");
        threshold::hold(section, mistakes);
        return None;
    };
    let scale = Scale {
        side: Side::Above,
        show: &|change| format!("{}{PER}{}", kind.show(change), show_span(over)),
        parse: &|text| change(text, kind, over),
        normal: None,
        example: 0.5,
    };
    let threshold = threshold::of_scale(section, key, &scale, mistakes)?;
    Some(Rate {
        direction,
        over,
        threshold,
    })
}

/// The time of the first change that is written, which all others must share.
fn first_time(field: &Field<'_>) -> Option<Millis> {
    let Value::Map(entries) = &field.node.value else {
        return None;
    };
    let texts = entries.iter().filter_map(|entry| match &entry.value.value {
        Value::Text(text) => Some(text),
        _ => None,
    });
    texts
        .filter_map(|text| text.split_once(PER))
        .find_map(|(_, time)| time_of(time))
}

fn time_of(text: &str) -> Option<Millis> {
    let allowed = Millis::seconds(1)..=SPAN_MAX;
    quantity::span(text.trim()).filter(|span| allowed.contains(span))
}

/// `0.5 m per 15 min`, in the unit of the kind.
fn change(text: &str, kind: &Kind, over: Millis) -> Result<f64, String> {
    let example = format!("{}{PER}15 min", kind.show(0.5));
    let Some((change, time)) = text.split_once(PER) else {
        return Err(format!(
            "`{text}` is not a change over a time, such as `{example}`"
        ));
    };
    let Some(time) = time_of(time) else {
        return Err(format!(
            "`{text}`: the time is not one from 1 s to 7 d, such as `{example}`"
        ));
    };
    if time != over {
        let over = show_span(over);
        return Err(format!(
            "`{text}` is over another time than `per {over}` before; write all over one time"
        ));
    }
    let change = kind.difference(change.trim())?;
    if change <= 0.0 {
        return Err(format!(
            "`{text}` is no change; write more than 0, such as `{example}`"
        ));
    }
    Ok(change)
}

const fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Rises => "rises",
        Direction::Falls => "falls",
    }
}

/// A rate in canonical words.
pub fn meaning(rate: &Rate) -> String {
    let threshold = threshold::meaning(&rate.threshold);
    format!(
        " {} over {} ms{threshold}",
        word(rate.direction),
        rate.over.0
    )
}
