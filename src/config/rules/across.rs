//! The key `across`: levels of what the values of several sensors come to, to [`Across`].
//!
//! Arrives: which sensors belong together, what is made of their values (`of`) or how many must
//! agree (`vote`), which values count (`counts`), `fresh`, `every`, `lateness` and `at_least`, beside the keys of a level. Leaves: a
//! rule with its levels in the unit of the kind; of a count they have none. Next: `becomes.rs`.

use ioc_core::bundle::{Across, Counted, DetectionRule, GroupBy, Side, Statistic, Test, Threshold};
use ioc_core::limits::{ACROSS_SENSORS_MAX, WINDOW_STEPS_MAX};
use ioc_core::time::Millis;

use super::detection::SPAN_MAX;
use super::threshold::{self, Gathered};
use crate::config::field::{Field, Section};
use crate::config::kinds::Kind;
use crate::config::mistake::Mistakes;
use crate::config::quantity::{integer, show_span};

/// The key that asks.
const KEY: &str = "across";

pub(super) const GROUPS: [(&str, GroupBy); 8] = [
    (GroupBy::Zone.word(), GroupBy::Zone),
    (GroupBy::ParentZone.word(), GroupBy::ParentZone),
    (GroupBy::City.word(), GroupBy::City),
    (GroupBy::Gateway.word(), GroupBy::Gateway),
    (GroupBy::River.word(), GroupBy::River),
    (GroupBy::Line.word(), GroupBy::Line),
    (GroupBy::Stop.word(), GroupBy::Stop),
    (GroupBy::Feeder.word(), GroupBy::Feeder),
];

const COUNTED: [(&str, Counted); 2] = [
    ("sensors", Counted::Sensors),
    ("readings", Counted::Readings),
];

const STATISTICS: &str =
    "one of count, sum, mean, median, min, max, and p1 to p99 for a percentile";

/// How old a value may be, if the rule does not say.
const FRESH: Millis = Millis::minutes(10);
/// How much later the next step closes, if the rule does not say.
const EVERY: Millis = Millis::minutes(1);
/// How long a step waits for what comes late, if the rule does not say.
const LATENESS: Millis = Millis::seconds(30);
/// The shortest step.
const STEP_MIN: Millis = Millis::seconds(1);
/// How many steps may wait for what comes late.
const LATE_STEPS_MAX: i64 = 10;

/// Whether levels are of several sensors.
pub fn is_asked(section: &Section<'_>) -> bool {
    section.has(KEY)
}

/// Reads the keys and the levels.
pub fn read(
    section: &mut Section<'_>,
    side: Side,
    kind: Option<&Kind>,
    mistakes: &mut Mistakes,
) -> Option<Across> {
    let by = section
        .required(mistakes, KEY, "zone")
        .and_then(|field| field.choice(mistakes, &GROUPS));
    let of = statistic(section, mistakes);
    let counts = match section.optional("counts") {
        Some(field) => counted(&field, (of, side), mistakes),
        None => Some(Counted::Sensors),
    };
    let fresh = span(section, "fresh", FRESH, STEP_MIN..=SPAN_MAX, mistakes);
    let step = span(section, "every", EVERY, STEP_MIN..=SPAN_MAX, mistakes);
    let lateness = span(
        section,
        "lateness",
        LATENESS,
        Millis::ZERO..=SPAN_MAX,
        mistakes,
    );
    let sensors_min = match section.optional("at_least") {
        Some(field) => {
            let adds = matches!(of, Some(Statistic::Count | Statistic::Sum));
            if adds && counts == Some(Counted::Readings) {
                field.wrong(
                    mistakes,
                    "asks for sensors where readings are counted or added up, and there may be none; \
                     remove it",
                );
            }
            sensors(&field, mistakes)
        }
        None => Some(least(of)),
    };
    let gathered = match of {
        Some(Statistic::Count) => Gathered::Count,
        Some(Statistic::Sum) | None => Gathered::Sum,
        Some(Statistic::Mean | Statistic::Percentile(_) | Statistic::Vote(_)) => Gathered::Value,
    };
    let threshold = threshold::of_several(section, gathered, side, kind, mistakes);
    let (fresh, step, lateness) = (fresh?, step?, lateness?);
    steps(section, (fresh, step, lateness), mistakes)?;
    if counts == Some(Counted::Readings) && fresh.0 % step.0 != 0 {
        let what = format!(
            "`fresh` of {} is not a whole number of steps of {}, which readings are counted by; \
             write {} or {}, or another `every`",
            show_span(fresh),
            show_span(step),
            show_span(Millis(fresh.0 / step.0 * step.0)),
            show_span(Millis((fresh.0 / step.0 + 1) * step.0))
        );
        section.wrong(mistakes, what);
        return None;
    }
    let threshold = threshold?;
    let adds = matches!(of, Some(Statistic::Count | Statistic::Sum));
    let adds = adds && side == Side::Above && counts == Some(Counted::Readings);
    if adds && !is_over_with_nothing(&threshold) {
        section.wrong(
            mistakes,
            "would go on when nobody says anything any more, which comes to 0; write levels above 0, \
             and `clear: below` a number that is 0 or more",
        );
        return None;
    }
    Some(Across {
        by: by?,
        of: of?,
        counts: counts?,
        fresh,
        step,
        lateness,
        sensors_min: sensors_min?,
        threshold,
    })
}

/// Whether what rises above such levels is over when it has come to nothing.
fn is_over_with_nothing(threshold: &Threshold) -> bool {
    let least = threshold.levels.iter().map(|level| level.value);
    let least = least.fold(f64::INFINITY, f64::min);
    least > 0.0 && least >= threshold.clear_gap
}

/// What is made of the values: `of: p90`, or `vote: 3 sensors`.
fn statistic(section: &mut Section<'_>, mistakes: &mut Mistakes) -> Option<Statistic> {
    let (of, vote) = (section.optional("of"), section.optional("vote"));
    match (of, vote) {
        (Some(of), None) => of.read(mistakes, STATISTICS, named),
        (None, Some(vote)) => sensors(&vote, mistakes).map(Statistic::Vote),
        (Some(_), Some(vote)) => {
            vote.wrong(
                mistakes,
                "asks two things, `of` and `vote`; make it two rules",
            );
            None
        }
        (None, None) => {
            let what = "says not what is made of the values; write `of: mean`, `of: p90`, or how \
                        many must agree: `vote: 3 sensors`";
            section.wrong(mistakes, what);
            None
        }
    }
}

/// `counts: readings`, where that says something.
fn counted(
    field: &Field<'_>,
    (of, side): (Option<Statistic>, Side),
    mistakes: &mut Mistakes,
) -> Option<Counted> {
    let counts = field.choice(mistakes, &COUNTED)?;
    if counts == Counted::Sensors {
        return Some(counts);
    }
    match (of, side) {
        (Some(Statistic::Vote(_)), _) => field.wrong(
            mistakes,
            "is no vote: it is sensors that agree; remove it, or write `of: count` and how many \
             readings",
        ),
        (Some(Statistic::Count | Statistic::Sum), Side::Below) => field.wrong(
            mistakes,
            "would take for little what nobody has said yet; ask each sensor, by `count_over` or \
             `sum_over`, or whether it is `silent`",
        ),
        _ => {}
    }
    Some(counts)
}

fn named(text: &str) -> Option<Statistic> {
    Some(match text {
        "count" => Statistic::Count,
        "sum" => Statistic::Sum,
        "mean" => Statistic::Mean,
        "median" => Statistic::Percentile(50),
        "min" => Statistic::Percentile(0),
        "max" => Statistic::Percentile(100),
        percentile => {
            let percent = integer(percentile.strip_prefix('p')?)?;
            Statistic::Percentile((1..=99).contains(&percent).then_some(percent as u8)?)
        }
    })
}

/// How many sensors must be heard, if the rule does not say.
fn least(of: Option<Statistic>) -> u32 {
    match of {
        Some(Statistic::Vote(sensors)) => sensors,
        Some(Statistic::Mean | Statistic::Percentile(1..=99)) => 3,
        Some(Statistic::Count | Statistic::Sum | Statistic::Percentile(_)) | None => 1,
    }
}

/// What is doubtful about a percentile that is the value of one sensor, the greatest above a level or
/// the least below it, of as few sensors as the rule asks for.
pub fn is_of_one(rule: &DetectionRule) -> Option<String> {
    let Test::Across(across) = &rule.test else {
        return None;
    };
    let Statistic::Percentile(percent @ 1..=99) = across.of else {
        return None;
    };
    // By the nearest rank, counted from the end at which the level is.
    let percent = u32::from(percent);
    let (word, from) = match across.threshold.side {
        Side::Above => ("greatest", 100_u32.div_ceil(100 - percent)),
        Side::Below => ("least", 100 / percent + 1),
    };
    if across.counts == Counted::Readings || across.sensors_min >= from {
        return None;
    }
    Some(format!(
        "`p{percent}` of fewer than {from} sensors is the {word} of them, so that one sensor is enough; \
         write `at_least: {from} sensors`, or `{}`",
        match across.threshold.side {
            Side::Above => "of: max",
            Side::Below => "of: min",
        }
    ))
}

/// `3 sensors`.
fn sensors(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<u32> {
    let wanted = format!("a number of sensors from 1 to {ACROSS_SENSORS_MAX}, such as `3 sensors`");
    field.read(mistakes, &wanted, |text| {
        let count = integer(text.strip_suffix("sensors")?.trim())?;
        (1..=ACROSS_SENSORS_MAX as u64)
            .contains(&count)
            .then_some(count as u32)
    })
}

fn span(
    section: &mut Section<'_>,
    key: &'static str,
    unless_said: Millis,
    range: std::ops::RangeInclusive<Millis>,
    mistakes: &mut Mistakes,
) -> Option<Millis> {
    match section.optional(key) {
        Some(field) => field.span(mistakes, range),
        None => Some(unless_said),
    }
}

/// What waits is bounded by how many steps it is.
fn steps(
    section: &Section<'_>,
    (fresh, step, lateness): (Millis, Millis, Millis),
    mistakes: &mut Mistakes,
) -> Option<()> {
    let (from, to) = (step, Millis(step.0.saturating_mul(WINDOW_STEPS_MAX as i64)));
    let late = Millis(step.0.saturating_mul(LATE_STEPS_MAX));
    if !(from..=to).contains(&fresh) {
        let what = format!(
            "`fresh` of {} is not 1 to {WINDOW_STEPS_MAX} steps of {}; write {} to {}, or another \
             `every`",
            show_span(fresh),
            show_span(step),
            show_span(from),
            show_span(to)
        );
        section.wrong(mistakes, what);
        return None;
    }
    if lateness > late {
        let what = format!(
            "`lateness` of {} is more than {LATE_STEPS_MAX} steps of {}; write up to {}, or another \
             `every`",
            show_span(lateness),
            show_span(step),
            show_span(late)
        );
        section.wrong(mistakes, what);
        return None;
    }
    Some(())
}

/// A rule across sensors in canonical words.
pub fn meaning(across: &Across) -> String {
    let Across {
        by,
        of,
        counts,
        fresh,
        step,
        lateness,
        sensors_min,
        threshold,
    } = across;
    let threshold = threshold::meaning(threshold);
    // As it was written before readings could be counted.
    let counts = match counts {
        Counted::Sensors => "",
        Counted::Readings => " of every reading",
    };
    format!(
        " {of:?}{counts} across {by:?} of {sensors_min} sensors, fresh for {} ms every {} ms, late by {} \
         ms{threshold}",
        fresh.0, step.0, lateness.0
    )
}
