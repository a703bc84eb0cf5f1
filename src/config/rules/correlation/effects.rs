//! `may_cause` and `explains`: what the incidents of a correlation cause, and what of that nobody
//! needs to be called for while they last.
//!
//! `may_cause: { gas_leak: { within: 15 km, after: 2 h } }`, by kinds of incident, and
//! `explains: { low_pressure: { along: { flows_to: 150 % }, after: 1 h } }` in the same words. Where
//! the time runs from when the cause opened, `after_opening` stands in place of `after`.

use ioc_core::bundle::{Along, Effect, Lag};
use ioc_core::id::IncidentKind;
use ioc_core::time::Millis;

use super::{DISTANCE_MAX_M, along};
use crate::config::field::{Field, Section};
use crate::config::mistake::Mistakes;
use crate::config::rules::detection::SPAN_MAX;

/// The keys under which effects stand: what is caused, and what is explained as well.
const KEYS: [(&str, bool); 2] = [("may_cause", false), ("explains", true)];

/// Under which key an effect stands.
pub fn key_of(effect: &Effect) -> &'static str {
    let mut keys = KEYS.iter();
    let key = keys.find(|(_, symptom)| *symptom == effect.symptom);
    key.expect("there is a key for both").0
}

/// Reads the effects of incidents of `own` kind, sorted by kind.
pub(super) fn read(
    section: &mut Section<'_>,
    own: Option<&IncidentKind>,
    mistakes: &mut Mistakes,
) -> Option<Vec<Effect>> {
    let mut all: Option<Vec<Effect>> = Some(Vec::new());
    for (key, symptom) in KEYS {
        let Some(field) = section.optional(key) else {
            continue;
        };
        for (entry, field) in Section::of(&field, mistakes)?.entries() {
            let kind: Option<IncidentKind> = field.name(&entry.key, mistakes);
            if let Some(kind) = kind.as_ref().filter(|_| symptom) {
                check_explained(&field, kind, own, all.as_deref(), mistakes);
            }
            let effect = effect(&field, kind, symptom, mistakes);
            all = all.zip(effect).map(|(mut all, effect)| {
                all.push(effect);
                all
            });
        }
    }
    let mut effects = all?;
    effects.sort_by(|one, next| one.incident.cmp(&next.incident));
    Some(effects)
}

/// What is explained is caused, and nothing explains its like.
fn check_explained(
    field: &Field<'_>,
    kind: &IncidentKind,
    own: Option<&IncidentKind>,
    before: Option<&[Effect]>,
    mistakes: &mut Mistakes,
) {
    if own == Some(kind) {
        let what = "an incident does not explain its own kind; write it under `may_cause`";
        field.wrong(mistakes, what);
    }
    let mut before = before.into_iter().flatten();
    if before.any(|effect| effect.incident == *kind) {
        let what = "stands under `may_cause` too; what is explained is caused: remove it there";
        field.wrong(mistakes, what);
    }
}

fn effect(
    field: &Field<'_>,
    kind: Option<IncidentKind>,
    symptom: bool,
    mistakes: &mut Mistakes,
) -> Option<Effect> {
    let mut section = Section::of(field, mistakes)?;
    let along = match section.optional("along") {
        Some(field) => along::read_of_causes(&field, mistakes),
        None => Some(Along::default()),
    };
    let within = match section.has("along") {
        true => section.optional("within"),
        false => section.required(mistakes, "within", "500 m"),
    };
    let within_m = match within {
        Some(field) => field.metres(mistakes, 1..=DISTANCE_MAX_M),
        None => section.has("along").then_some(0),
    };
    let lag = lag(&mut section, mistakes);
    let before = match section.optional("before") {
        Some(field) => field.span(mistakes, Millis::ZERO..=SPAN_MAX),
        None => Some(Millis::ZERO),
    };
    let now = "the key `explains` beside `may_cause`; write there what calls nobody while its cause \
               lasts, without `symptom`";
    section.renamed(mistakes, "symptom", now);
    section.finish(mistakes);
    Some(Effect {
        incident: kind?,
        within_m: within_m? as u32,
        along: along?,
        lag: lag?,
        before: before?,
        symptom,
    })
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

/// An effect in canonical words: what was written before there were `after_opening`, `explains` and
/// `along` means what it did.
pub(super) fn meaning(effect: &Effect) -> String {
    let Effect {
        incident,
        within_m,
        along,
        lag,
        before,
        symptom,
    } = effect;
    let lag = match lag {
        Lag::AfterLast(lag) => format!("after: {lag:?}"),
        Lag::AfterOpening(lag) => format!("after_opening: {lag:?}"),
    };
    let along = match *along == Along::default() {
        true => String::new(),
        false => format!(", along {along:?}"),
    };
    let symptom = if *symptom { ", a symptom" } else { "" };
    format!(
        "Effect {{ incident: {incident:?}, within_m: {within_m}, {lag}, before: {before:?} }}{symptom}{along}"
    )
}
