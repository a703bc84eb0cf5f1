//! The question `above_usual` or `below_usual`: how far a value is from what is usual for the hour
//! of the week, to [`Usual`].
//!
//! Arrives: one of these keys with `clear`, `for` and `clear_for` as for levels, `learns` and
//! `spreads`. Leaves: departures in the unit of the kind. Next: `window.rs`.

use ioc_core::bundle::{Direction, Side, Usual};
use ioc_core::limits::USUAL_WEEKS_MAX;

use super::threshold::{self, Scale};
use crate::config::field::{Field, Section};
use crate::config::kinds::Kind;
use crate::config::mistake::Mistakes;
use crate::config::quantity::integer;

/// In how many weeks an hour must have been seen, if the rule does not say.
const WEEKS: u32 = 4;
/// Within how many deviations a departure is none, if the rule does not say.
const SPREADS: u32 = 3;
const SPREADS_MAX: u64 = 100;

/// Reads the keys of a departure.
pub fn read(
    section: &mut Section<'_>,
    direction: Direction,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Usual> {
    let weeks_min = section
        .optional("learns")
        .map_or(Some(WEEKS), |field| weeks(&field, mistakes));
    let spreads = section.optional("spreads").map_or(Some(SPREADS), |field| {
        let spreads = field.integer(mistakes, 0..=SPREADS_MAX)?;
        Some(spreads as u32)
    });
    let key = word(direction);
    let Some(kind) = kind else {
        // Its departures cannot be read; its other keys can.
        section.optional(key);
        section.optional("clear");
        threshold::hold(section, mistakes);
        return None;
    };
    let scale = Scale {
        side: Side::Above,
        show: &|departure| kind.show(departure),
        parse: &|text| departure(text, kind),
        normal: None,
        example: 10.0,
    };
    let threshold = threshold::of_scale(section, key, &scale, mistakes)?;
    Some(Usual {
        direction,
        weeks_min: weeks_min?,
        spreads: spreads?,
        threshold,
    })
}

/// `4 weeks`.
fn weeks(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<u32> {
    let wanted = format!("a number of weeks from 1 to {USUAL_WEEKS_MAX}, such as `4 weeks`");
    field.read(mistakes, &wanted, |text| {
        let count = text
            .strip_suffix("weeks")
            .or_else(|| text.strip_suffix("week"))?;
        let count = integer(count.trim())?;
        (1..=USUAL_WEEKS_MAX as u64)
            .contains(&count)
            .then_some(count as u32)
    })
}

/// `10 km/h`, in the unit of the kind.
fn departure(text: &str, kind: &Kind) -> Result<f64, String> {
    let departure = kind.difference(text)?;
    if departure <= 0.0 {
        return Err(format!(
            "`{text}` is no departure; write more than 0, such as `{}`",
            kind.show(10.0)
        ));
    }
    Ok(departure)
}

const fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Rises => "above_usual",
        Direction::Falls => "below_usual",
    }
}

/// A departure in canonical words.
pub fn meaning(usual: &Usual) -> String {
    let Usual {
        direction,
        weeks_min,
        spreads,
        threshold,
    } = usual;
    let threshold = threshold::meaning(threshold);
    let word = word(*direction);
    format!(" {word} after {weeks_min} weeks by {spreads} spreads{threshold}")
}
