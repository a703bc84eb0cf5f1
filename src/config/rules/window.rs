//! The keys `count_over`, `sum_over`, `mean_over`, `min_over` and `max_over`: levels of what the
//! readings of some time come to, to [`Window`].
//!
//! Arrives: one of them with the length of a window, `every`, `lateness` and `at_least`, beside the keys of a
//! level. Leaves: a window with its levels, in the unit of the kind; of a count they have none.
//! Next: `becomes.rs`.

use ioc_core::bundle::{Aggregate, Side, Window};
use ioc_core::limits::WINDOW_STEPS_MAX;
use ioc_core::time::Millis;

use super::detection::SPAN_MAX;
use super::threshold::{self, Gathered};
use crate::config::field::{Field, Section};
use crate::config::kinds::Kind;
use crate::config::mistake::Mistakes;
use crate::config::quantity::show_span;

const KEYS: [(&str, Aggregate); 5] = [
    ("count_over", Aggregate::Count),
    ("sum_over", Aggregate::Sum),
    ("mean_over", Aggregate::Mean),
    ("min_over", Aggregate::Least),
    ("max_over", Aggregate::Greatest),
];

/// How long a window waits for what comes late, if the rule does not say.
const LATENESS: Millis = Millis::seconds(30);
/// The shortest step.
const STEP_MIN: Millis = Millis::seconds(1);

/// Whether levels are of a window: some of its keys is written.
pub fn is_asked(section: &Section<'_>) -> bool {
    KEYS.iter().any(|(key, _)| section.has(key))
}

/// Reads the keys of a window and its levels.
pub fn read(
    section: &mut Section<'_>,
    side: Side,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Window> {
    let (of, length) = length(section, mistakes);
    let every = section.optional("every");
    let step = step(every.as_ref(), length, mistakes);
    let lateness = section
        .optional("lateness")
        .map_or(Some(LATENESS), |field| {
            field.span(mistakes, Millis::ZERO..=length.unwrap_or(SPAN_MAX))
        });
    let at_least = section.optional("at_least");
    let at_least = at_least.map_or(Some(1), |field| at_least_of(&field, of, mistakes));
    let gathered = match of {
        Aggregate::Count => Gathered::Count,
        Aggregate::Sum => Gathered::Sum,
        Aggregate::Mean | Aggregate::Least | Aggregate::Greatest => Gathered::Value,
    };
    let threshold = threshold::of_several(section, gathered, side, kind, mistakes);
    let length = length?;
    Some(Window {
        of,
        length,
        step: step?,
        // No later than the window is long: what waits is bounded by it.
        lateness: lateness?.min(length),
        at_least: at_least?,
        threshold: threshold?,
    })
}

/// What is made of the readings, and of how long a time.
fn length(section: &mut Section<'_>, mistakes: &mut Mistakes) -> (Aggregate, Option<Millis>) {
    let asked = KEYS.map(|(key, of)| (key, of, section.optional(key)));
    let mut asked = asked
        .into_iter()
        .filter_map(|(key, of, field)| Some((key, of, field?)));
    let Some((first, of, field)) = asked.next() else {
        return (Aggregate::Count, None);
    };
    if let Some((second, _, field)) = asked.next() {
        let what = format!("asks two things, `{first}` and `{second}`; make it two rules");
        field.wrong(mistakes, what);
    }
    (of, field.span(mistakes, STEP_MIN..=SPAN_MAX))
}

/// Of how many readings on a mean, the least or the greatest is known.
fn at_least_of(field: &Field<'_>, of: Aggregate, mistakes: &mut Mistakes) -> Option<u32> {
    if matches!(of, Aggregate::Count | Aggregate::Sum) {
        let what = "a count and a sum are known of any number of readings; leave it out";
        field.wrong(mistakes, what);
        return None;
    }
    threshold::readings(field, mistakes)
}

/// How much later the next window begins: as written, or so that windows follow each other.
fn step(
    every: Option<&Field<'_>>,
    length: Option<Millis>,
    mistakes: &mut Mistakes,
) -> Option<Millis> {
    let Some(field) = every else { return length };
    let step = field.span(mistakes, STEP_MIN..=length.unwrap_or(SPAN_MAX))?;
    let length = length?;
    let steps = length.0 / step.0;
    if length.0 % step.0 != 0 || steps > WINDOW_STEPS_MAX as i64 {
        let what = format!(
            "{} is not 1 to {WINDOW_STEPS_MAX} steps of {}; write a part of it, such as `{}`",
            show_span(length),
            show_span(step),
            show_span(example_of_step(length))
        );
        field.wrong(mistakes, what);
        return None;
    }
    Some(step)
}

/// A tenth of a window, or the whole of one that has no tenth.
fn example_of_step(length: Millis) -> Millis {
    if length.0 % 10 == 0 && length.0 / 10 >= STEP_MIN.0 {
        Millis(length.0 / 10)
    } else {
        length
    }
}

/// A window in canonical words.
pub fn meaning(window: &Window) -> String {
    let Window {
        of,
        length,
        step,
        lateness,
        at_least,
        threshold,
    } = window;
    let threshold = threshold::meaning(threshold);
    let known = match at_least {
        1 => String::new(),
        _ => format!(", known of {at_least}"),
    };
    format!(
        " {of:?} over {} ms every {} ms, late by {} ms{known}{threshold}",
        length.0, step.0, lateness.0
    )
}
