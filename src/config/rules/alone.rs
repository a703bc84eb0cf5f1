//! The question `spiking: alone`: a sensor that leaps while its neighbours do not, to [`Alone`].
//!
//! Arrives: how far in how long (`spike`), who its neighbours are (`neighbours`), how fast what is
//! real comes to them (`front_speed`), and how many of them must be heard (`at_least`). Next: `sequence.rs`.

use ioc_core::bundle::{Alone, Changes, GroupBy, Near};
use ioc_core::limits::NEIGHBOURS_MAX;

use super::across::GROUPS;
use super::correlation::{DISTANCE_MAX_M, SPEED_MAX};
use super::fault::jumps;
use crate::config::field::{Field, Section};
use crate::config::kinds::Kind;
use crate::config::mistake::Mistakes;
use crate::config::quantity::{integer, metres};
use crate::config::yaml::Value;

/// How many neighbours must be heard, if the rule does not say.
const NEIGHBOURS: u32 = 2;

/// Whether a rule about spikes asks for the neighbours.
pub fn is_asked(section: &mut Section<'_>) -> bool {
    let field = section.optional("spiking");
    field.is_some_and(|field| matches!(&field.node.value, Value::Text(text) if text == "alone"))
}

/// Reads the keys.
pub fn read(
    section: &mut Section<'_>,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Alone> {
    let spike = section
        .required(mistakes, "spike", "1 m within 5 min")
        .and_then(|field| jumps(&field, kind, mistakes));
    let near = section
        .required(mistakes, "neighbours", "3 km")
        .and_then(|field| near(&field, mistakes));
    let neighbours_min = match section.optional("at_least") {
        Some(field) => sensors(&field, mistakes),
        None => Some(NEIGHBOURS),
    };
    let speed_m_per_s = match section.optional("front_speed") {
        Some(field) => speed(&field, mistakes).map(Some),
        None => Some(None),
    };
    let Changes::Jumps { by, within } = spike? else {
        unreachable!("a jump is read");
    };
    Some(Alone {
        height: by,
        within,
        near: near?,
        speed_m_per_s: speed_m_per_s?,
        neighbours_min: neighbours_min?,
    })
}

/// `3 km`, or a word such as `river`.
fn near(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Near> {
    let words = GROUPS.map(|(word, _)| word).join(", ");
    let wanted = format!("a distance from 1 m to 1000 km, such as `3 km`, or one of {words}");
    field.read(mistakes, &wanted, |text| {
        let by_group = |by: &(&str, GroupBy)| (by.0 == text).then_some(Near::Group(by.1));
        let group = GROUPS.iter().find_map(by_group);
        group.or_else(|| {
            let metres = metres(text).filter(|metres| (1..=DISTANCE_MAX_M).contains(metres))?;
            Some(Near::Metres(metres as u32))
        })
    })
}

/// `2 sensors`.
fn sensors(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<u32> {
    let wanted = format!("a number of sensors from 1 to {NEIGHBOURS_MAX}, such as `2 sensors`");
    field.read(mistakes, &wanted, |text| {
        let count = integer(text.strip_suffix("sensors")?.trim())?;
        (1..=NEIGHBOURS_MAX as u64)
            .contains(&count)
            .then_some(count as u32)
    })
}

/// `1 m/s`.
fn speed(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<u32> {
    let wanted = "a speed from 1 m/s to 100 km/s, such as `1 m/s`";
    field.read(mistakes, wanted, |text| {
        let speed = metres(text.strip_suffix("/s")?)?;
        (1..=SPEED_MAX).contains(&speed).then_some(speed as u32)
    })
}
