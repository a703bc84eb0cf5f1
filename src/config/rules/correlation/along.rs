//! `along`: the networks that a correlation follows.
//!
//! One name where it needs no number (`along: fed_by`), else a mapping
//! (`along: { flows_to: 150 %, river: 15 km, line: 1 stop }`).

use ioc_core::bundle::Along;
use ioc_core::time::Millis;

use super::super::detection::SPAN_MAX;
use crate::config::field::{Field, Section};
use crate::config::mistake::Mistakes;
use crate::config::yaml::Value;

const RIVER_MAX_M: i64 = 1_000_000;
const PERCENT: std::ops::RangeInclusive<u64> = 1..=1000;
/// Of the way from a cause: at least all of it.
const PERCENT_OF_CAUSES: std::ops::RangeInclusive<u64> = 100..=1000;
const STOPS: std::ops::RangeInclusive<u64> = 1..=20;
const NETWORKS: &str = "`fed_by`, or a mapping: `{ fed_by: yes, flows_to: 150 %, river: 15 km, \
                        line: 1 stop }`";

/// Reads the networks along which evidence belongs together.
pub(super) fn read(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Along> {
    networks(field, PERCENT, mistakes)
}

/// Reads those along which causes are looked for.
pub(super) fn read_of_causes(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Along> {
    let along = networks(field, PERCENT_OF_CAUSES, mistakes)?;
    if along.nested_after.is_some() {
        let what = "`nested_after` is about parts of one incident; write it in the correlation's own \
                    `along`";
        field.wrong(mistakes, what);
        return None;
    }
    Some(along)
}

fn networks(
    field: &Field<'_>,
    percent: std::ops::RangeInclusive<u64>,
    mistakes: &mut Mistakes,
) -> Option<Along> {
    if !matches!(field.node.value, Value::Map(_)) {
        let name = field.text(mistakes, NETWORKS)?;
        if name != "fed_by" {
            field.wrong(mistakes, format!("`{name}` is not {NETWORKS}"));
            return None;
        }
        return Some(Along {
            fed_by: true,
            ..Along::default()
        });
    }
    let mut section = Section::of(field, mistakes)?;
    let fed_by = match section.optional("fed_by") {
        Some(field) => field.choice(mistakes, &[("yes", true), ("no", false)]),
        None => Some(false),
    };
    let flows_to = number(&mut section, "flows_to", "%", "150 %", percent, mistakes);
    let line = number(&mut section, "line", "stop", "1 stop", STOPS, mistakes);
    let river = match section.optional("river") {
        Some(field) => field.metres(mistakes, 1..=RIVER_MAX_M).map(Some),
        None => Some(None),
    };
    let nested_after = match section.optional("nested_after") {
        Some(field) if fed_by == Some(false) => {
            let what = "is about what hangs on a feeder; write `fed_by: yes` beside it";
            field.wrong(mistakes, what);
            None
        }
        Some(field) => field.span(mistakes, Millis::ZERO..=SPAN_MAX).map(Some),
        None => Some(None),
    };
    section.finish(mistakes);
    let along = Along {
        fed_by: fed_by?,
        flows_to_percent: flows_to?,
        river_m: river?.map(|metres| metres as u32),
        line_stops: line?,
        nested_after: nested_after?,
    };
    if along == Along::default() {
        field.wrong(mistakes, format!("names no network; write {NETWORKS}"));
        return None;
    }
    Some(along)
}

/// A whole number with its unit: `150 %`, `1 stop`, `2 stops`. `Some(None)` if it is not written.
fn number(
    section: &mut Section<'_>,
    key: &'static str,
    unit: &str,
    example: &str,
    range: std::ops::RangeInclusive<u64>,
    mistakes: &mut Mistakes,
) -> Option<Option<u32>> {
    let Some(field) = section.optional(key) else {
        return Some(None);
    };
    let (from, to) = (*range.start(), *range.end());
    let wanted = format!("{from} to {to} {unit}, such as `{example}`");
    let text = field.text(mistakes, &wanted)?;
    let number = text.strip_suffix('s').unwrap_or(text).strip_suffix(unit);
    let number = number.and_then(|number| number.trim().parse().ok());
    match number.filter(|number| range.contains(number)) {
        Some(number) => Some(Some(number as u32)),
        None => {
            field.wrong(mistakes, format!("`{text}` is not {wanted}"));
            None
        }
    }
}
