//! `may_cause`: what the incidents of a correlation may cause.
//!
//! `may_cause: { gas_leak: { within: 15 km, after: 2 h, symptom: yes } }`, by kinds of incident;
//! `after_opening` in place of `after`, where the time runs from when the cause opened.

use ioc_core::bundle::{Effect, Lag};
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
        let lag = lag(&mut section, mistakes);
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
            lag: lag?,
            before: before?,
            symptom: symptom?,
        })
    });
    let effects: Vec<_> = effects.collect();
    let mut effects = effects.into_iter().collect::<Option<Vec<_>>>()?;
    effects.sort_by(|one, next| one.incident.cmp(&next.incident));
    Some(effects)
}

/// How long an effect may take: from the last evidence of its cause, or from its opening.
fn lag(section: &mut Section<'_>, mistakes: &mut Mistakes) -> Option<Lag> {
    let last = section.optional("after");
    let opening = section.optional("after_opening");
    let mut span = |field: Field<'_>| field.span(mistakes, Millis::ZERO..=SPAN_MAX);
    match (last, opening) {
        (Some(last), None) => span(last).map(Lag::AfterLast),
        (None, Some(opening)) => span(opening).map(Lag::AfterOpening),
        (Some(last), Some(_)) => {
            let what = "counts from the last evidence of the cause, and `after_opening` from its \
                        opening; remove one of the two";
            last.wrong(mistakes, what);
            None
        }
        (None, None) => {
            section.required(mistakes, "after", "30 min");
            None
        }
    }
}

/// An effect in canonical words: what was written before there were `after_opening` and `symptom`
/// means what it did.
pub(super) fn meaning(effect: &Effect) -> String {
    let Effect {
        incident,
        within_m,
        lag,
        before,
        symptom,
    } = effect;
    let lag = match lag {
        Lag::AfterLast(lag) => format!("after: {lag:?}"),
        Lag::AfterOpening(lag) => format!("after_opening: {lag:?}"),
    };
    let symptom = if *symptom { ", a symptom" } else { "" };
    format!(
        "Effect {{ incident: {incident:?}, within_m: {within_m}, {lag}, before: {before:?} }}{symptom}"
    )
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
