//! Where the items of a mapping are: `each`, a place, or several of which each lies in an item of the
//! one before, or tables.
//!
//! Arrives: the value of `each`. Leaves: the [`Level`]s, the outermost first.

use ioc_gateway::formats::Pointer;
use ioc_gateway::formats::mapping::{Columns, Level};

use super::has_keys;
use crate::config::field::{Field, Section};
use crate::config::mistake::Mistakes;
use crate::config::suggest::did_you_mean;
use crate::config::yaml::Value;

/// The most lists that may lie within each other.
pub(super) const LEVELS_MAX: usize = 8;
/// The most columns that may be listed with a place of their own.
pub(super) const COLUMNS_MAX: usize = 256;

/// Reads `each`.
pub fn read(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Vec<Level>> {
    let items = field.items();
    if items.is_empty() {
        field.wrong(
            mistakes,
            "is empty; write a place such as `/devices`, or remove it",
        );
        return None;
    }
    if items.len() > LEVELS_MAX {
        let what = format!("{} are too many; at most {LEVELS_MAX}", items.len());
        field.wrong(mistakes, what);
        return None;
    }
    let levels: Vec<_> = items.iter().map(|item| level(item, mistakes)).collect();
    let levels = levels.into_iter().collect::<Option<Vec<_>>>()?;
    for ((outer, inner), field) in levels.iter().zip(&levels[1..]).zip(&items[1..]) {
        inner.each_place(&mut |place| check_place(field, "item", outer, place, mistakes));
    }
    Some(levels)
}

/// `/devices`, or the keys of a table.
fn level(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Level> {
    if !has_keys(field) {
        return place(field, mistakes).map(Level::Elements);
    }
    let mut section = Section::of(field, mistakes)?;
    let (columns, rows) = (section.optional("columns"), section.optional("rows"));
    let names = section.optional("names");
    let level = match (columns, rows) {
        (Some(columns), None) => {
            if let Some(names) = &names {
                names.wrong(
                    mistakes,
                    "are those of `rows`; columns have names or numbers of their own, or places: \
                     `columns: { time: /data/0, level: /data/1 }`",
                );
            }
            self::columns(&columns, mistakes).map(Level::Columns)
        }
        (None, Some(rows)) => {
            let at = place(&rows, mistakes);
            let names = match names {
                Some(names) => place(&names, mistakes),
                None => {
                    rows.wrong(
                        mistakes,
                        "`names` is missing; write where the names of the columns are, for example \
                         `names: /fields`; without names, `each` is the place of the rows, and a \
                         column is its number: `/0`",
                    );
                    None
                }
            };
            at.zip(names).map(|(at, names)| Level::Rows { at, names })
        }
        _ => {
            section.wrong(
                mistakes,
                "write one of `columns: PLACE`, for lists side by side, and `rows: PLACE` with \
                 `names: PLACE`, for lists whose columns are named once",
            );
            None
        }
    };
    section.finish(mistakes);
    level
}

/// `/hourly`, or each with its own place.
fn columns(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Columns> {
    if !has_keys(field) {
        return place(field, mistakes).map(Columns::Within);
    }
    let section = Section::of(field, mistakes)?;
    let entries: Vec<_> = section.entries().collect();
    if entries.is_empty() || entries.len() > COLUMNS_MAX {
        let what = format!("{} columns; write 1 to {COLUMNS_MAX}", entries.len());
        field.wrong(mistakes, what);
        return None;
    }
    let listed = entries.into_iter().map(|(entry, field)| {
        let place = place(&field, mistakes)?;
        Some((entry.key.as_str().into(), place))
    });
    // All are read before one is missed.
    let listed: Vec<_> = listed.collect();
    listed
        .into_iter()
        .collect::<Option<_>>()
        .map(Columns::Listed)
}

/// A place; `item` is what it is looked for in.
fn place(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<Pointer> {
    let text = match &field.node.value {
        Value::List(_) => {
            field.wrong(
                mistakes,
                "a list is no place; write one list of places, the outermost first, as in \
                 `[/devices, /readings]`",
            );
            return None;
        }
        _ => field.text(mistakes, "a place")?,
    };
    if text == "item" {
        return Some(Pointer::default());
    }
    if text.split('/').any(|step| step == "*") {
        let steps: Vec<_> = text
            .split("/*")
            .map(|place| match place {
                "" => "item",
                place => place,
            })
            .collect();
        let last = steps.len() - usize::from(steps.ends_with(&["item"]));
        let written = steps[..last.max(1)].join(", ");
        let what = format!(
            "there is no `*` in a place: of lists in lists write the places, the outermost first, \
             each as it lies in an item of the one before: `[{written}]`"
        );
        field.wrong(mistakes, what);
        return None;
    }
    field.parsed(mistakes)
}

/// Makes sure that a place can be in an item of this level, which is called so.
pub fn check_place(
    field: &Field<'_>,
    called: &str,
    level: &Level,
    place: &Pointer,
    mistakes: &mut Mistakes,
) {
    let what = match (level, place.first()) {
        (Level::Elements(_), _) => return,
        (Level::Columns(_) | Level::Rows { .. }, None) => {
            format!("`{called}` is a row of a table; write which column, as in `/temperature`")
        }
        (Level::Columns(Columns::Listed(listed)), Some(column)) => {
            let mut names = listed.iter().map(|(name, _)| &**name);
            if names.any(|name| name == column) {
                return;
            }
            let names = listed.iter().map(|(name, _)| &**name);
            let hint = did_you_mean(column, names);
            format!("`{place}`: `{column}` is none of the columns of `each`{hint}")
        }
        (Level::Columns(Columns::Within(_)) | Level::Rows { .. }, Some(_)) => return,
    };
    field.wrong(mistakes, what);
}
