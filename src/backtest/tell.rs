//! A difference, for people and as JSON.
//!
//! Next: `scenarios.rs`.

use std::fmt;

use ioc_core::id::IncidentId;
use ioc_core::time::{Millis, Timestamp};
use serde_json::{Value, json};

use super::difference::{Alarms, Alone, Changed, Difference, Side, Whole};
use super::story::Told;
use crate::config::mistake::counted;
use crate::config::quantity::show_span;
use crate::progress::thousands;

/// The most incidents of a sort that people are told.
const SHOWN_MAX: usize = 50;

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.numbers(f)?;
        let [before, after] = &self.names;
        section(
            f,
            &format!("opened by {after} alone"),
            &self.opened,
            alone_line,
        )?;
        section(
            f,
            &format!("gone: opened by {before} alone"),
            &self.gone,
            alone_line,
        )?;
        section(
            f,
            "opened earlier",
            &self.changed_where(|it| it.later().0 < 0),
            |f, it| {
                let earlier = show(Millis(-it.later().0));
                writeln!(
                    f,
                    "  {}  {earlier} earlier, not {}",
                    line(&it.after),
                    clock(it.before.opened_at)
                )
            },
        )?;
        section(
            f,
            "opened later",
            &self.changed_where(|it| it.later().0 > 0),
            |f, it| {
                let later = show(it.later());
                writeln!(
                    f,
                    "  {}  {later} later, not {}",
                    line(&it.after),
                    clock(it.before.opened_at)
                )
            },
        )?;
        for (title, graver) in [("more severe", true), ("less severe", false)] {
            let moved = |it: &Changed| match graver {
                true => it.after.worst > it.before.worst,
                false => it.after.worst < it.before.worst,
            };
            section(f, title, &self.changed_where(moved), |f, it| {
                writeln!(f, "  {}  not {}", line(&it.after), it.before.worst.word())
            })?;
        }
        section(
            f,
            "caused otherwise",
            &self.changed_where(|it| it.caused_otherwise),
            |f, it| {
                let cause = |parent: Option<IncidentId>| {
                    parent.map_or("nothing".to_owned(), |parent| parent.to_string())
                };
                let [after, before] = [it.after.parent, it.before.parent].map(cause);
                writeln!(
                    f,
                    "  {}  caused by {after}, not by {before}",
                    line(&it.after)
                )
            },
        )?;
        section(
            f,
            "calls on an operator",
            &self.changed_where(|it| it.before.calls != it.after.calls),
            |f, it| {
                let calls = counted(it.after.calls as usize, "call");
                writeln!(f, "  {}  {calls}, not {}", line(&it.after), it.before.calls)
            },
        )?;
        let otherwise = |it: &Changed| {
            it.later().0 == 0
                && it.before.worst == it.after.worst
                && !otherwise_different(it).is_empty()
        };
        section(
            f,
            "otherwise different",
            &self.changed_where(otherwise),
            |f, it| writeln!(f, "  {}  {}", line(&it.after), otherwise_different(it)),
        )?;
        section(
            f,
            "alarms",
            &self.alarms.iter().collect::<Vec<_>>(),
            |f, alarms| {
                let [before, after] = alarms.counts.map(shown_count);
                writeln!(f, "  {:<32} {before:>10} → {after}", alarms.rule)
            },
        )
    }
}

impl Difference {
    fn changed_where(&self, wanted: impl Fn(&Changed) -> bool) -> Vec<&Changed> {
        self.changed
            .iter()
            .filter(|changed| wanted(changed))
            .collect()
    }

    /// The two side by side.
    fn numbers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.names.iter().map(|name| name.chars().count()).max();
        let width = width.unwrap_or(0).max(12);
        let [before, after] = &self.names;
        writeln!(f, "{:<34} {before:>width$} {after:>width$}", "")?;
        type Number = fn(&Side) -> u64;
        let rows: [(&str, Number); 6] = [
            ("readings", |side| side.summary.readings),
            ("dead letters", |side| side.summary.dead_letters),
            ("alarms (detections begun)", |side| side.alarms),
            ("incidents", |side| side.incidents as u64),
            ("calls on an operator", |side| side.calls),
            ("the most of them in 10 minutes", |side| side.busiest as u64),
        ];
        for (name, number) in rows {
            let [before, after] = self.sides.each_ref().map(|side| thousands(number(side)));
            writeln!(f, "{name:<34} {before:>width$} {after:>width$}")?;
        }
        let [before, after] = self.sides.each_ref().map(commands);
        if let [Some(before), Some(after)] = [before, after] {
            writeln!(
                f,
                "{:<34} {before:>width$} {after:>width$}",
                "orders readdressed / unmatched"
            )?;
        }
        if self.sides.iter().any(|side| side.evidence_beyond > 0) {
            let most = super::story::EVIDENCE_MAX as u64;
            writeln!(
                f,
                "only the first {} pieces of evidence are compared",
                thousands(most)
            )?;
        }
        let (same, changed) = (self.same, self.changed.len());
        let (gone, opened) = (self.gone.len(), self.opened.len());
        writeln!(
            f,
            "\n{same} the same, {changed} different, {opened} new, {gone} gone; in {:.2} s",
            self.took.as_secs_f64()
        )
    }

    /// The same as JSON.
    pub fn to_json(&self) -> Value {
        let named = |side: usize| {
            let Side {
                summary,
                alarms,
                incidents,
                calls,
                busiest,
                evidence_beyond,
            } = &self.sides[side];
            json!({
                "name": self.names[side], "readings": summary.readings,
                "dead_letters": summary.dead_letters, "decisions": summary.decisions,
                "alarms": alarms, "incidents": incidents, "operator_calls": calls,
                "operator_calls_in_10_min_max": busiest,
                "evidence_not_compared": evidence_beyond,
                "commands_remapped": summary.commands_remapped,
                "commands_unmatched": summary.commands_unmatched,
            })
        };
        let changed = self.changed.iter().map(|it| {
            json!({
                "before": whole_json(&it.before), "after": whole_json(&it.after),
                "evidence_shared": it.shared, "later_ms": it.later().0,
            })
        });
        let alarms = self.alarms.iter().map(|Alarms { rule, counts }| {
            json!({ "rule": rule.as_str(), "before": counts[0], "after": counts[1] })
        });
        json!({
            "before": named(0), "after": named(1), "same": self.same,
            "opened": self.opened.iter().map(alone_json).collect::<Vec<_>>(),
            "gone": self.gone.iter().map(alone_json).collect::<Vec<_>>(),
            "changed": changed.collect::<Vec<_>>(), "alarms": alarms.collect::<Vec<_>>(),
        })
    }
}

/// A titled list of at most [`SHOWN_MAX`], or nothing if it is empty.
fn section<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    all: &[T],
    each: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title} ({})", all.len())?;
    for one in all.iter().take(SHOWN_MAX) {
        each(f, one)?;
    }
    match all.len().saturating_sub(SHOWN_MAX) {
        0 => Ok(()),
        more => writeln!(f, "  and {more} more; --json has them all"),
    }
}

fn alone_line(f: &mut fmt::Formatter<'_>, alone: &Alone) -> fmt::Result {
    match &alone.part_of {
        None => writeln!(f, "  {}", line(&alone.told)),
        Some(whole) => writeln!(f, "  {}  split off {}", line(&alone.told), whole.id),
    }
}

fn line(told: &Told) -> String {
    let zone = match told.zone.as_str() {
        "_" => "",
        zone => zone,
    };
    format!(
        "{}  {:<14} {} {:<9} {:<14} {}",
        clock(told.opened_at),
        told.id.to_string(),
        format_args!("{:<16}", told.kind.as_str()),
        told.worst.word(),
        zone,
        counted(told.sensors as usize, "sensor"),
    )
}

fn otherwise_different(changed: &Changed) -> String {
    let Changed { before, after, .. } = changed;
    let mut notes = Vec::new();
    if before.kind != after.kind {
        notes.push(format!("was a {}", before.kind));
    }
    if before.cleared_at != after.cleared_at {
        let ended = |at: Option<Timestamp>, word: &str| {
            at.map_or("open at the end".to_owned(), |at| {
                format!("{word}{}", clock(at))
            })
        };
        let both = before.cleared_at.is_some() && after.cleared_at.is_some();
        let after = ended(after.cleared_at, "cleared ");
        let before = ended(before.cleared_at, if both { "" } else { "cleared " });
        notes.push(format!("{after}, not {before}"));
    }
    if before.sensors != after.sensors {
        notes.push(format!(
            "not {}",
            counted(before.sensors as usize, "sensor")
        ));
    }
    let opened = [before, after].map(Whole::parts_opened);
    match &opened {
        [before, after] if before == after => {}
        [before, after] if before.len() != after.len() => notes.push(format!(
            "{} merged into it, not {}",
            counted(after.len(), "incident"),
            before.len()
        )),
        [before, after] => {
            let mut pairs = before.iter().zip(after);
            let other = pairs.find(|(before, after)| before != after);
            notes.extend(other.map(|(before, after)| {
                format!(
                    "one that merged opened {}, not {}",
                    clock(*after),
                    clock(*before)
                )
            }));
        }
    }
    notes.join("; ")
}

fn commands(side: &Side) -> Option<String> {
    let summary = &side.summary;
    let (moved, lost) = (summary.commands_remapped, summary.commands_unmatched);
    (moved + lost > 0).then(|| format!("{moved} / {lost}"))
}

fn shown_count(count: Option<u64>) -> String {
    count.map_or("no such rule".to_owned(), thousands)
}

/// `2026-03-14 06:46:02`
fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} {}", &text[..10], &text[11..19])
}

/// A span to the second, if it is that long.
fn show(span: Millis) -> String {
    match span.0 {
        60_000.. => show_span(Millis(span.0 / 60_000 * 60_000)),
        1000.. => show_span(Millis(span.0 / 1000 * 1000)),
        _ => show_span(span),
    }
}

fn alone_json(alone: &Alone) -> Value {
    let mut value = told_json(&alone.told);
    if let Some(whole) = &alone.part_of {
        value["split_off"] = json!(whole.id.to_string());
    }
    value
}

fn whole_json(whole: &Whole) -> Value {
    let parts = whole.parts.iter();
    let parts = parts
        .map(|(id, opened_at)| json!({ "id": id.to_string(), "opened_at": opened_at.to_string() }));
    let mut value = told_json(&whole.told);
    value["caused_by"] = json!(whole.parent.map(|parent| parent.to_string()));
    value["calls"] = json!(whole.calls);
    value["merged"] = json!(parts.collect::<Vec<_>>());
    value
}

fn told_json(told: &Told) -> Value {
    json!({
        "id": told.id.to_string(), "kind": told.kind.as_str(), "zone": told.zone.as_str(),
        "rule": told.rule.as_ref().map(|rule| rule.as_str()),
        "severity": told.worst.word(), "opened_at": told.opened_at.to_string(),
        "cleared_at": told.cleared_at.map(|at| at.to_string()),
        "sensors": told.sensors, "readings": told.readings,
        "caused_by": told.parent.map(|parent| parent.to_string()), "calls": told.calls,
    })
}
