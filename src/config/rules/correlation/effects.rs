//! `may_cause`: what the incidents of a correlation may cause.
//!
//! `may_cause: { gas_leak: { within: 15 km, after: 2 h, symptom: yes } }`, by kinds of incident.

use ioc_core::bundle::Effect;
use ioc_core::id::IncidentKind;
use ioc_core::time::Millis;

use super::DISTANCE_MAX_M;
use crate::config::field::{Field, Section};
use crate::config::mistake::Mistakes;
use crate::config::rules::detection::SPAN_MAX;

/// Reads the effects of incidents of `own` kind, sorted by kind.
pub(super) fn read(
    field: &Field<'_>,
    own: Option<&IncidentKind>,
    mistakes: &mut Mistakes,
) -> Option<Vec<Effect>> {
    let section = Section::of(field, mistakes)?;
    let entries: Vec<_> = section.entries().collect();
    let effects = entries.iter().map(|(entry, field)| {
        let incident: Option<IncidentKind> = field.name(&entry.key, mistakes);
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
        let symptom = match section.optional("symptom") {
            Some(field) => symptom(&field, own.is_some() && own == incident.as_ref(), mistakes),
            None => Some(false),
        };
        section.finish(mistakes);
        Some(Effect {
            incident: incident?,
            within_m: within_m? as u32,
            after: after?,
            before: before?,
            symptom: symptom?,
        })
    });
    let effects: Vec<_> = effects.collect();
    let mut effects = effects.into_iter().collect::<Option<Vec<_>>>()?;
    effects.sort_by(|one, next| one.incident.cmp(&next.incident));
    Some(effects)
}

/// `symptom: yes`: of another kind, for nothing explains its like.
fn symptom(field: &Field<'_>, is_own_kind: bool, mistakes: &mut Mistakes) -> Option<bool> {
    let symptom = field.choice(mistakes, &[("yes", true), ("no", false)])?;
    if symptom && is_own_kind {
        let what = "an incident is no symptom of its own kind; remove `symptom`";
        field.wrong(mistakes, what);
        return None;
    }
    Some(symptom)
}
