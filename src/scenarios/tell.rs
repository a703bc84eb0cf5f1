//! What came of a scenario, for people.
//!
//! ```text
//! FAILED  config/scenarios/flood.txt:3  Two gauges that agree are one flood
//!     10:01:10  flood#1 opened moderate, 2 sensors: wl-0007 3.6, wl-0008 3.6 1000 m
//!   - 10:01     line 7: expect flood opened by 10:01   (at 10:01:10, 10 s too late)
//! ```

use std::fmt::Write as _;
use std::io::{self, Write};

use ioc_core::decision::{Decision, IncidentState, Verdict};

use super::clock;
use super::compare::{Line, Mark, Told, fault_of};
use super::play::Names;
use super::script::Scenario;

/// The most readings that are named of a decision.
const EVIDENCE_SHOWN_MAX: usize = 4;
/// So many updates in a row are shown, and the others counted.
const UPDATES_SHOWN_MAX: usize = 3;
/// The most lines that are told of a scenario around what is wrong.
const LINES_SHOWN_MAX: usize = 200;

/// Tells what came of a scenario: a line, and all that was decided if it failed or is asked for.
pub(super) fn scenario(
    scenario: &Scenario,
    told: &Told,
    show: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let word = if told.holds() { "ok    " } else { "FAILED" };
    let place = &scenario.place;
    writeln!(
        out,
        "{word}  {}:{}  {}",
        place.file, place.line, scenario.title
    )?;
    if told.holds() && !show {
        return Ok(());
    }
    let lines = folded(&told.lines);
    for (line, more) in lines.iter().take(LINES_SHOWN_MAX) {
        let mark = match line.mark {
            Mark::Decided => ' ',
            Mark::Missing => '-',
            Mark::Unwanted => '+',
        };
        let at = clock::show(line.at, scenario.midnight);
        let more = match more {
            0 => String::new(),
            more => format!("   and {more} more updates"),
        };
        writeln!(out, "  {mark} {at:<9} {}{more}", line.text)?;
    }
    match lines.len().saturating_sub(LINES_SHOWN_MAX) {
        0 if lines.is_empty() => writeln!(out, "    nothing was decided"),
        0 => Ok(()),
        more => writeln!(out, "    and {more} more"),
    }
}

/// The lines, each with how many updates that follow on it are left out: the first few are shown.
fn folded(lines: &[Line]) -> Vec<(&Line, usize)> {
    let mut folded: Vec<(&Line, usize)> = Vec::new();
    let mut in_a_row = 0;
    for line in lines {
        in_a_row = if line.is_update { in_a_row + 1 } else { 0 };
        match folded.last_mut() {
            Some((_, more)) if in_a_row > UPDATES_SHOWN_MAX => *more += 1,
            _ => folded.push((line, 0)),
        }
    }
    folded
}

/// A decision in one line.
pub(super) fn decision(decision: &Decision, names: &Names) -> String {
    let verdict = &decision.verdict;
    let word = verdict.word();
    let mut text = String::new();
    if let Some(incident) = verdict.incident() {
        let verb = word.strip_prefix("incident_").unwrap_or(word);
        text += &format!("{} {verb}", names.name(incident.id));
        if let Verdict::IncidentMerged { into, .. } = verdict {
            text += &format!(" into {}", names.name(*into));
        }
        text += &incident_traits(incident, names);
    } else if let Some(sensor) = verdict.sensor() {
        let verb = word.strip_prefix("sensor_").unwrap_or(word);
        text += &format!("sensor {} {verb}", sensor.id);
        if let Some(fault) = fault_of(verdict) {
            text += &format!(" {fault}");
        }
    } else if let Some(site) = verdict.site() {
        let verb = word.strip_prefix("site_").unwrap_or(word);
        let (silent, all) = (site.silent, site.sensors);
        text += &format!("site {} {verb}, {silent} of {all} sensors", site.id);
        if let Some(rule) = &site.explained_by {
            text += &format!(", explained by {rule}");
        }
    } else if let Some(command) = verdict.command() {
        text += &format!("{word} {} {}", command.actuator, command.command);
    } else if let Verdict::CommandRefused(refusal) = verdict {
        text += &format!("{word} {}", refusal.code.word());
    } else {
        text += word;
    }
    if let Some((_, actor)) = &decision.cause.request {
        text += &format!(" by {actor}");
    }
    text + &evidence(decision)
}

fn incident_traits(incident: &IncidentState, names: &Names) -> String {
    let mut text = format!(" {}", incident.severity.word());
    if incident.episode > 1 {
        write!(text, ", episode {}", incident.episode).expect("text takes all");
    }
    if incident.sensors > 1 {
        write!(text, ", {} sensors", incident.sensors).expect("text takes all");
    }
    if let Some(parent) = incident.parent {
        write!(text, ", caused by {}", names.name(parent)).expect("text takes all");
    }
    if incident.suppressed {
        text.push_str(", suppressed by design");
    }
    text
}

fn evidence(decision: &Decision) -> String {
    let mut text = String::new();
    let evidence = &decision.cause.evidence;
    for (own, nth) in evidence.iter().take(EVIDENCE_SHOWN_MAX).zip(0..) {
        text += if nth == 0 { ": " } else { ", " };
        text += &format!("{} {}", own.sensor, own.value);
        if let Some(metres) = own.distance_m.filter(|metres| *metres > 0) {
            text += &format!(" {metres} m");
        }
        if let Some(node) = &own.through {
            text += &format!(" by {node}");
        }
    }
    match evidence.len().saturating_sub(EVIDENCE_SHOWN_MAX) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
