//! Why an incident is as it is: every decision about it, by which rule, from which readings, how
//! far from each other, and by which timers; and how its evidence weighed when it opened.
//!
//! Next: `reload.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ioc_core::bundle::{Bundle, CorrelationRule};
use ioc_core::decision::{Decision, Verdict};
use ioc_core::id::IncidentId;
use ioc_core::record::{Frames, Input, Seq};
use ioc_ws::Statement;
use serde_json::{Value, json};

use super::lineage::{Event, Lineage};
use super::reading::{self, ReadingAnswer, decision_json, decisions};
use super::sentences::{clock, in_words, near, number, way_in_words};
use super::{About, Bundles, WhyError, find};
use crate::config::mistake::counted;
use crate::config::quantity::show_span;
use crate::journal::disk::SystemDisk;

/// The most decisions that are told of an incident; of more the first and the last.
const DECISIONS_MAX: usize = 1000;
/// The most readings that people are told of a decision.
const EVIDENCE_SHOWN_MAX: usize = 10;

/// Why an incident is as it is.
#[derive(Debug)]
pub struct IncidentAnswer {
    id: IncidentId,
    /// What was decided about it, and about those that its evidence was told of before, in order.
    decisions: Vec<Arc<Decision>>,
    left_out: usize,
    /// The reading that tipped the scale when it opened, judged again; why not, if that cannot be.
    opening: Result<ReadingAnswer, String>,
    rule: Option<CorrelationRule>,
    /// What its evidence says in words, by its records.
    statements: BTreeMap<Seq, Statement>,
}

/// Finds all that was decided about an incident, and judges its opening again.
pub(super) fn answer(
    data: &Path,
    id: IncidentId,
    bundles: Bundles<'_>,
) -> Result<IncidentAnswer, WhyError> {
    let mut events = Vec::new();
    decisions(data, |decision| events.extend(Event::of(decision)))?;
    let lineage = Lineage::of(id, &events);
    let mut story = Story::default();
    decisions(data, |decision| {
        if let Some(decision) = lineage.tells(decision) {
            story.take(decision);
        }
    })?;
    let Story { told, left_out } = story;
    let opens = |decision: &&Arc<Decision>| matches!(decision.verdict, Verdict::IncidentOpened(_));
    let is_own = |decision: &&Arc<Decision>| {
        let incident = decision.verdict.incident();
        incident.is_some_and(|incident| incident.id == id)
    };
    // What was split off another opened with that.
    let mut opened = told.iter().filter(opens);
    let opened = opened.clone().find(is_own).or_else(|| opened.next());
    if told.is_empty() {
        let first = find::inputs(data, None).map_or(1, |inputs| inputs.end.first);
        return Err(find::unknown(&About::Incident(id), first));
    }
    let last = opened.and_then(|decision| decision.cause.evidence.iter().map(|own| own.seq).max());
    let opening = match last {
        None => Err("its opening is no longer in the decisions log".to_owned()),
        Some(seq) => reading::answer(data, seq, bundles).map_err(|error| error.to_string()),
    };
    let name = opened.and_then(|decision| decision.cause.rule.clone());
    let rule = opening.as_ref().ok().and_then(|opening| {
        let bundle: &Arc<Bundle> = opening.bundle.as_ref()?;
        let mut rules = bundle.correlations.iter();
        rules
            .find(|rule| Some(&rule.name) == name.as_ref())
            .cloned()
    });
    let statements = statements(data, &told)?;
    Ok(IncidentAnswer {
        id,
        decisions: told,
        left_out,
        opening,
        rule,
        statements,
    })
}

/// What the evidence that is shown says in words, as far as its records are kept.
fn statements(data: &Path, told: &[Arc<Decision>]) -> Result<BTreeMap<Seq, Statement>, WhyError> {
    let shown = told.iter().flat_map(|decision| {
        let evidence = decision.cause.evidence.iter();
        evidence.take(EVIDENCE_SHOWN_MAX).map(|own| own.seq)
    });
    let shown: BTreeSet<_> = shown.collect();
    let mut statements = BTreeMap::new();
    let (Some(&first), Some(&last)) = (shown.first(), shown.last()) else {
        return Ok(statements);
    };
    // What came before may be no longer kept.
    let Ok(mut contents) = find::inputs(data, Some(first)) else {
        return Ok(statements);
    };
    contents.segments.retain(|segment| segment.first <= last);
    contents.for_each(&SystemDisk, first, |header, payload| {
        if shown.range(header.first..header.next()).next().is_none() {
            return Ok(());
        }
        let frames = Frames::new(header.first, payload).flatten();
        for frame in frames.filter(|frame| shown.contains(&frame.seq)) {
            if let Ok(input) = Input::decode(frame.input())
                && let Some(statement) = input
                    .reading()
                    .and_then(Statement::of)
                    .filter(Statement::is_in_words)
            {
                statements.insert(frame.seq, statement);
            }
        }
        Ok::<_, WhyError>(())
    })?;
    Ok(statements)
}

/// Decisions in order, of which the middle goes if there are too many.
#[derive(Debug)]
struct Story<T> {
    told: Vec<T>,
    left_out: usize,
}

impl<T> Default for Story<T> {
    fn default() -> Self {
        Self {
            told: Vec::new(),
            left_out: 0,
        }
    }
}

impl<T> Story<T> {
    fn take(&mut self, decision: T) {
        if self.told.len() == DECISIONS_MAX {
            self.told.remove(DECISIONS_MAX / 2);
            self.left_out += 1;
        }
        self.told.push(decision);
    }
}

impl IncidentAnswer {
    pub(super) fn to_json(&self) -> Value {
        let decisions = self
            .decisions
            .iter()
            .map(|decision| decision_json(decision));
        let rule = self.rule.as_ref().map(|rule| {
            let weights = rule.detections.iter().zip(&rule.weights);
            let weights = weights.map(|(name, weight)| (name.to_string(), json!(weight)));
            json!({
                "name": rule.name.as_str(), "weights": weights.collect::<serde_json::Map<_, _>>(),
                "opens_at": rule.sources_min, "within_m": rule.within_m,
                "within_time_ms": rule.within.0, "clear_after_ms": rule.clear_after.0,
                "reopen_within_ms": rule.reopen_within.0,
            })
        });
        let statements = self.statements.iter().map(|(seq, statement)| {
            json!({
                "seq": seq, "sensor": statement.sensor.as_str(),
                "reading": statement.reading.as_str(), "headline": &*statement.headline,
                "web": statement.web.as_deref(),
            })
        });
        let mut json = json!({
            "about": "incident", "id": self.id.to_string(), "rule": rule,
            "decisions": decisions.collect::<Vec<_>>(),
            "decisions_left_out": self.left_out,
            "statements": statements.collect::<Vec<_>>(),
        });
        match &self.opening {
            Ok(opening) => json["opening"] = opening.to_json(),
            Err(why) => json["opening_unknown"] = json!(why),
        }
        json
    }
}

impl fmt::Display for IncidentAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.id)?;
        if let Some(rule) = &self.rule {
            let weights = rule.detections.iter().zip(&rule.weights);
            let weights: Vec<_> = weights
                .map(|(name, weight)| format!("{name} {weight}"))
                .collect();
            let near = near(rule.within_m).map_or_else(
                || "near by their cause alone, within".to_owned(),
                |near| format!("{near} and"),
            );
            writeln!(
                f,
                "by {}, which opens at {} from {}, {near} {}, and clears after {}",
                rule.name,
                rule.sources_min,
                weights.join(", "),
                show_span(rule.within),
                show_span(rule.clear_after),
            )?;
        }
        for decision in &self.decisions {
            decision_lines(f, decision, self)?;
        }
        if self.left_out > 0 {
            writeln!(
                f,
                "({} decisions in the middle are left out)",
                self.left_out
            )?;
        }
        match &self.opening {
            Ok(opening) => write!(
                f,
                "\nWhen it opened, the last of its evidence was\n{opening}"
            ),
            Err(why) => writeln!(f, "\nHow its evidence weighed is not known: {why}."),
        }
    }
}

fn decision_lines(
    f: &mut fmt::Formatter<'_>,
    decision: &Decision,
    of: &IncidentAnswer,
) -> fmt::Result {
    let Some(incident) = decision.verdict.incident() else {
        return Ok(());
    };
    let word = decision.verdict.word();
    let verb = word.strip_prefix("incident_").unwrap_or(word);
    write!(
        f,
        "\n{}  {verb} {}",
        clock(decision.at),
        incident.severity.word()
    )?;
    if incident.id != of.id {
        write!(f, ", {}", incident.id)?;
    }
    if let Verdict::IncidentMerged { into, .. } = &decision.verdict {
        write!(f, ", into {into}")?;
    }
    if let Some((_, from, moved)) = decision.verdict.moved() {
        let sources: Vec<_> = moved.words().collect();
        write!(f, ", {} of {from}", sources.join(" and "))?;
        match (moved.count as usize).saturating_sub(sources.len()) {
            0 => {}
            more => write!(f, " and {more} more")?,
        }
    }
    if let Some(parent) = incident.parent {
        write!(f, ", caused by {parent}")?;
    }
    if let Some(way) = &decision.cause.way {
        write!(f, " {}", way_in_words(way))?;
    }
    if incident.suppressed {
        write!(f, ", suppressed by design while that lasts")?;
    }
    if decision.cause.due.is_some() {
        write!(f, ", by a timer")?;
    }
    if let Some((_, actor)) = &decision.cause.request {
        write!(f, ", by {actor}")?;
    }
    writeln!(f, "  (decision {})", decision.seq)?;
    let evidence = &decision.cause.evidence;
    for own in evidence.iter().take(EVIDENCE_SHOWN_MAX) {
        write!(
            f,
            "    {} {} by {}, reading {}, record {}",
            own.sensor,
            number(own.value),
            own.rule,
            own.reading,
            own.seq
        )?;
        if let Some(metres) = own.distance_m {
            write!(f, ", {metres} m from what was there")?;
        }
        if let Some(node) = &own.through {
            write!(f, ", by {node}")?;
        }
        writeln!(f)?;
        if let Some(statement) = of.statements.get(&own.seq) {
            writeln!(f, "      {}", in_words(statement))?;
        }
    }
    match evidence.len().saturating_sub(EVIDENCE_SHOWN_MAX) {
        0 => Ok(()),
        more => writeln!(f, "    and {}", counted(more, "more reading")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_of_a_long_incident_the_middle_is_left_out() {
        let mut story = Story::default();
        (0..DECISIONS_MAX + 3).for_each(|number| story.take(number));
        assert_eq!((story.told.len(), story.left_out), (DECISIONS_MAX, 3));
        assert_eq!(story.told.first(), Some(&0));
        assert_eq!(story.told.last(), Some(&(DECISIONS_MAX + 2)));
    }
}
