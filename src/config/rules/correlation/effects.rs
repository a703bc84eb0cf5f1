//! `may_cause`: what the incidents of a correlation may cause.
//!
//! `may_cause: { gas_leak: { within: 15 km, after: 2 h } }`, by kinds of incident.

use ioc_core::bundle::Effect;
use ioc_core::time::Millis;

use super::DISTANCE_MAX_M;
use crate::config::field::{Field, Section};
use crate::config::mistake::Mistakes;
use crate::config::rules::detection::SPAN_MAX;

/// Reads the effects, sorted by kind.
pub(super) fn read(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Vec<Effect>> {
    let section = Section::of(field, mistakes)?;
    let entries: Vec<_> = section.entries().collect();
    let effects = entries.iter().map(|(entry, field)| {
        let incident = field.name(&entry.key, mistakes);
        let mut section = Section::of(field, mistakes)?;
        let within_m = section
            .required(mistakes, "within", "500 m")
            .and_then(|field| field.metres(mistakes, 1..=DISTANCE_MAX_M));
        let after = section
            .required(mistakes, "after", "30 min")
            .and_then(|field| field.span(mistakes, Millis::ZERO..=SPAN_MAX));
        let before = match section.optional("before") {
            Some(field) => field.span(mistakes, Millis::ZERO..=SPAN_MAX),
            None => Some(Millis::ZERO),
        };
        section.finish(mistakes);
        Some(Effect {
            incident: incident?,
            within_m: within_m? as u32,
            after: after?,
            before: before?,
        })
    });
    let effects: Vec<_> = effects.collect();
    let mut effects = effects.into_iter().collect::<Option<Vec<_>>>()?;
    effects.sort_by(|one, next| one.incident.cmp(&next.incident));
    Some(effects)
}
