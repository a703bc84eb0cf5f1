//! Why, in sentences.
//!
//! ```text
//! reading b of wl-1: water_level 3.5 m, record 7 at 2026-03-14 06:45:00
//! It led to nothing yet: river-high is raised, and what lies together weighs 2 of 3.
//! ```

use std::fmt;

use ioc_core::decision::{Far, Network, Verdict, Way};
use ioc_core::explain::{
    CaseLook, Explanation, Fate, LevelLook, LevelsLook, RuleLook, SuppressionLook,
};
use ioc_core::id::RuleId;
use ioc_core::time::Timestamp;
use ioc_ws::Statement;

use super::reading::ReadingAnswer;
use crate::config::mistake::counted;
use crate::config::quantity::show_span;
use crate::progress::thousands;

/// What it came to, in one sentence.
pub(super) fn verdict(answer: &ReadingAnswer) -> String {
    let look = &answer.explanation;
    match look.fate {
        Fate::Duplicate => {
            return "It was sent before: the same sensor has sent the same id, so it changes nothing."
                .to_owned();
        }
        Fate::BeyondMemory => {
            return "It was observed so long ago that a redelivery could not be told from it, so \
                    it changes nothing."
                .to_owned();
        }
        Fate::NoRule => return "No rule looks at readings of its kind.".to_owned(),
        Fate::SensorOverLimit => {
            return "There are as many sensors as can be known, and this is none of them."
                .to_owned();
        }
        Fate::KindOverLimit => {
            return "Its sensor sends as many kinds of reading as can be known.".to_owned();
        }
        Fate::Judged => {}
    }
    if let Some(first) = answer.evidence_of.first() {
        let incident = first.verdict.incident().map(|incident| incident.id);
        let named = incident.map_or_else(String::new, |id| format!(" of {id}"));
        return format!(
            "It is evidence{named}: decision {}, {}, at {}.",
            first.seq,
            first.verdict.word(),
            clock(first.at)
        );
    }
    let decided = look
        .decided
        .iter()
        .find(|decision| !matches!(decision.verdict, Verdict::IncidentUpdated(_)));
    if let Some(decision) = decided.filter(|decision| decision.verdict.incident().is_some()) {
        let incident = decision.verdict.incident().expect("filtered").id;
        return format!("It led to {} of {incident}.", decision.verdict.word());
    }
    if let Some(kept) = kept_quiet(look) {
        return kept;
    }
    if let Some(case) = look.cases.first() {
        return of_case(case);
    }
    of_rules(&look.rules)
}

/// What keeps quiet what the rules found, if they found something.
fn kept_quiet(look: &Explanation) -> Option<String> {
    let found = |rule: &RuleId| {
        let own = look.rules.iter().find(|own| own.rule == *rule);
        own.is_some_and(|own| matches!(own.outcome, "raised" | "evidence"))
    };
    let kept = look.suppressed.iter().find(|kept| found(&kept.rule))?;
    Some(format!(
        "It is kept quiet on purpose: {} found it abnormal, and {}.",
        kept.rule,
        suppressed(kept)
    ))
}

fn suppressed(kept: &SuppressionLook) -> String {
    let state = &kept.by;
    format!(
        "{} keeps that quiet ({} by {} until {}: {})",
        state.id,
        state.how.word().replace('_', " "),
        state.by,
        clock(state.until),
        state.reason
    )
}

fn of_case(case: &CaseLook) -> String {
    let CaseLook {
        weight: (weight, needed),
        kind,
        rule,
        ..
    } = case;
    match case.incident {
        Some(id) => format!(
            "It opened nothing: its sensor belongs to {id} ({kind}, {}), and it is no new evidence \
             of it.",
            case.condition.word()
        ),
        None => {
            format!("It opened nothing: by {rule}, what lies together weighs {weight} of {needed}.")
        }
    }
}

/// The step at which the rule that came furthest stopped.
fn of_rules(rules: &[RuleLook]) -> String {
    let find = |outcome: &str| rules.iter().find(|look| look.outcome == outcome);
    for outcome in ["raised", "evidence"] {
        if let Some(look) = find(outcome) {
            return format!(
                "{} found it abnormal, and no correlation rule takes what that finds.",
                look.rule
            );
        }
    }
    if let Some(look) = find("pending") {
        return format!(
            "It is abnormal, and {} asks for more: {}.",
            look.rule,
            missing(look)
        );
    }
    if let Some(look) = find("late") {
        return format!(
            "{} took it as late: one that was observed after it was judged already, so it neither \
             raises nor clears.",
            look.rule
        );
    }
    if let Some(look) = find("gathered") {
        let until = look.waits_until.map(clock).unwrap_or_default();
        return format!("{} took it in, to be judged at {until}.", look.rule);
    }
    if let Some(look) = find("cleared") {
        return format!("It is normal, and ends what {} had raised.", look.rule);
    }
    if let Some(look) = find("held") {
        return format!(
            "Nothing changes by it: by {} it is neither abnormal nor normal for long enough.",
            look.rule
        );
    }
    let normal = rules.iter().filter(|look| look.outcome == "normal");
    let nearest = normal.max_by(|a, b| beyond_least(a).total_cmp(&beyond_least(b)));
    if let Some(look) = nearest {
        let short = look.levels.as_ref().and_then(short_of);
        let short = short.map_or_else(String::new, |short| format!(": {short}"));
        return format!("It is normal by {}{short}.", look.rule);
    }
    if find("unknown").is_some() {
        return "There are too few readings to tell.".to_owned();
    }
    if let Some(look) = find("taken_back") {
        return format!(
            "Its source had taken it back before it came, so {} takes nothing from it.",
            look.rule
        );
    }
    if find("unmatched").is_some() {
        return "No rule of its kind asks for readings with these attributes or so low a value."
            .to_owned();
    }
    "Nothing came of it.".to_owned()
}

/// How far beyond the level that it is nearest to; the least number if that is not known.
fn beyond_least(look: &RuleLook) -> f64 {
    let levels = look.levels.as_ref();
    let beyond = levels.into_iter().flat_map(|levels| {
        levels
            .levels
            .iter()
            .filter_map(|level| levels.beyond(level.level))
    });
    beyond.fold(f64::MIN, f64::max)
}

/// What a level asks for that is not there yet.
fn missing(look: &RuleLook) -> String {
    let levels = look.levels.as_ref();
    let level = levels.and_then(|levels| levels.levels.iter().find(|level| level.since.is_some()));
    level.map_or("more of it".to_owned(), run)
}

/// `1 of 2 readings in a row, and that it lasts 4 min (since 10:01:00)`
fn run(level: &LevelLook) -> String {
    let (have, need) = level.readings;
    let most = match level.among {
        None => "in a row".to_owned(),
        Some(among) => format!("among the last {among}"),
    };
    let mut text = match have > need {
        false => format!("{have} of {} {most}", counted(need as usize, "reading")),
        true => format!("{have} readings {most}, {need} needed"),
    };
    if level.lasting.0 > 0 {
        text += &format!(", and that it lasts {}", show_span(level.lasting));
        if let Some(since) = level.since {
            text += &format!(" (since {})", clock(since));
        }
    }
    text
}

/// How much is missing to the least level.
fn short_of(levels: &LevelsLook) -> Option<String> {
    let value = levels.value?;
    let by = |level: &&LevelLook| levels.beyond(level.level);
    let nearest = levels.levels.iter().max_by(|a, b| {
        let (a, b) = (by(a).unwrap_or(f64::MIN), by(b).unwrap_or(f64::MIN));
        a.total_cmp(&b)
    })?;
    let beyond = by(&nearest)?;
    (beyond <= 0.0).then(|| {
        let (severity, level) = (nearest.severity.word(), nearest.level);
        let short = number(-beyond);
        format!(
            "{} is {short} short of {severity}, {}",
            number(value),
            number(level)
        )
    })
}

impl fmt::Display for ReadingAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |name: &str| self.reading[name].as_str().unwrap_or_default();
        let look = &self.explanation;
        writeln!(
            f,
            "reading {} of {}: {} {} {}, record {} at {}",
            text("id"),
            text("sensor"),
            text("kind"),
            self.reading["value"],
            text("unit"),
            self.seq,
            clock(look.at),
        )?;
        if let Some(statement) = &self.statement {
            writeln!(f, "  {}", in_words(statement))?;
        }
        writeln!(f, "{}", verdict(self))?;
        if look.from_the_future {
            let at = clock(look.at);
            writeln!(
                f,
                "It claims to be observed after it came, and counts as observed at {at}."
            )?;
        }
        for rule in &look.rules {
            rule_lines(f, rule)?;
        }
        for kept in &look.suppressed {
            writeln!(
                f,
                "  kept quiet: {}, {}; {}",
                kept.rule,
                kept.what,
                suppressed(kept)
            )?;
        }
        for case in &look.cases {
            case_lines(f, case)?;
        }
        for (name, by) in &look.counted {
            writeln!(f, "counted: {name} {by}")?;
        }
        for decision in &self.evidence_of {
            let incident = decision
                .verdict
                .incident()
                .map(|incident| incident.id.to_string());
            writeln!(
                f,
                "evidence of decision {}: {} {} at {}",
                decision.seq,
                decision.verdict.word(),
                incident.unwrap_or_default(),
                clock(decision.at)
            )?;
        }
        let (from, records) = self.replayed;
        writeln!(
            f,
            "({} judged again after record {from})",
            counted(records as usize, "record")
        )?;
        if !self.is_exact {
            writeln!(
                f,
                "What came before record {} is no longer kept: where rules ask of earlier readings \
                 or incidents, this may differ from what was judged then.",
                from + 1
            )?;
        }
        Ok(())
    }
}

fn rule_lines(f: &mut fmt::Formatter<'_>, look: &RuleLook) -> fmt::Result {
    writeln!(f, "\n  detection {}: {}", look.rule, look.outcome)?;
    if let Some(until) = look.waits_until {
        writeln!(f, "    waits until {}", clock(until))?;
    }
    let Some(levels) = &look.levels else {
        return takers_line(f, look);
    };
    match levels.value {
        Some(value) => writeln!(f, "    asked of {}", number(value))?,
        None => writeln!(f, "    there is not enough to tell yet")?,
    }
    for level in &levels.levels {
        let word = level.severity.word();
        let at = number(level.level);
        match levels.beyond(level.level) {
            Some(beyond) if beyond > 0.0 => {
                let beyond = number(beyond);
                writeln!(f, "    {word} at {at}: {beyond} beyond it; {}", run(level))?;
            }
            Some(short) => writeln!(f, "    {word} at {at}: {} short of it", number(-short))?,
            None => writeln!(f, "    {word} at {at}")?,
        }
    }
    if let Some(raised) = levels.raised {
        let (have, need) = levels.normal_in_a_row;
        writeln!(
            f,
            "    raised, {}; clears at {} after {have} of {}",
            raised.word(),
            number(levels.clear),
            counted(need as usize, "normal reading")
        )?;
        if let Some((have, to)) = levels.easing {
            let need = counted(need as usize, "reading");
            writeln!(f, "    {} after {have} of {need} back from that", to.word())?;
        }
    }
    takers_line(f, look)
}

fn takers_line(f: &mut fmt::Formatter<'_>, look: &RuleLook) -> fmt::Result {
    let takers: Vec<_> = look.takers.iter().map(|rule| rule.as_str()).collect();
    match takers.as_slice() {
        [] => writeln!(f, "    no correlation rule takes what it finds"),
        takers => writeln!(f, "    taken by {}", takers.join(", ")),
    }
}

fn case_lines(f: &mut fmt::Formatter<'_>, case: &CaseLook) -> fmt::Result {
    let (weight, needed) = case.weight;
    let is = match case.incident {
        Some(id) => format!("{id}, {}", case.condition.word()),
        None => "a candidate".to_owned(),
    };
    writeln!(
        f,
        "\n  correlation {}: {is}; weighs {weight}, opens at {needed}",
        case.rule
    )?;
    for member in &case.members {
        let rules: Vec<_> = member.rules.iter().map(|rule| rule.as_str()).collect();
        writeln!(
            f,
            "    {} weighs {}, {}: {}",
            member.sensor,
            member.weight,
            member.stands,
            rules.join(", ")
        )?;
    }
    if case.members_count > case.members.len() {
        let more = case.members_count - case.members.len();
        writeln!(f, "    and {more} more")?;
    }
    for other in &case.neighbours {
        let of = other
            .incident
            .map_or("a candidate".to_owned(), |id| id.to_string());
        let metres = thousands(u64::from(other.distance_m));
        let near = near(case.within_m).unwrap_or_else(|| "near by its cause alone".to_owned());
        writeln!(
            f,
            "    {} of {of} is {metres} m away ({near}), heard {}",
            other.sensor,
            clock(other.last_evidence_at)
        )?;
    }
    Ok(())
}

/// `says "Rivers rise" (https://met.example/7)`: as it was written, but for what would be more than
/// text on a terminal.
pub(super) fn in_words(statement: &Statement) -> String {
    let headline = statement.headline.escape_debug();
    match &statement.web {
        None => format!("says \"{headline}\""),
        Some(web) if statement.headline.is_empty() => format!("says more at {web}"),
        Some(web) => format!("says \"{headline}\" ({web})"),
    }
}

/// `along fed_by, from feeder-1 to pump-1, 2 steps`: the way from a cause.
pub(super) fn way_in_words(way: &Way) -> String {
    let far = match way.far {
        Far::Steps(0) => "at one place".to_owned(),
        Far::Steps(steps) => counted(steps as usize, "step"),
        Far::Metres(metres) => format!("{} m", thousands(u64::from(metres))),
    };
    let lag = match way.along {
        Network::FlowsTo => format!(", {} of water", show_span(way.lag)),
        Network::FedBy | Network::River | Network::Line => String::new(),
    };
    let (along, from, to) = (way.along.word(), &way.from, &way.to);
    format!("along {along}, from {from} to {to}, {far}{lag}")
}

/// How near evidence must be by metres; nothing where a rule asks for a common cause alone.
pub(super) fn near(within_m: u32) -> Option<String> {
    (within_m > 0).then(|| format!("within {} m", thousands(u64::from(within_m))))
}

/// A number as people would write it.
pub(super) fn number(value: f64) -> String {
    format!("{}", (value * 1e6).round() / 1e6)
}

/// `2026-03-14 06:46:02`
pub(super) fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    let end = if at.as_millis() % 1000 == 0 { 19 } else { 23 };
    format!("{} {}", &text[..10], &text[11..end])
}

#[cfg(test)]
mod tests {
    use ioc_core::time::Millis;

    use super::*;

    #[test]
    fn a_way_says_how_far_it_is_and_how_long_the_water_takes() {
        let told = |along, far, lag| {
            let (from, to) = ("a".parse().unwrap(), "b".parse().unwrap());
            way_in_words(&Way {
                along,
                from,
                to,
                far,
                lag,
            })
        };
        let dry = |along, far| told(along, far, Millis::ZERO);
        assert_eq!(
            told(Network::FlowsTo, Far::Steps(2), Millis::minutes(25)),
            "along flows_to, from a to b, 2 steps, 25 min of water"
        );
        assert_eq!(
            dry(Network::FedBy, Far::Steps(1)),
            "along fed_by, from a to b, 1 step"
        );
        assert_eq!(
            dry(Network::Line, Far::Steps(0)),
            "along line, from a to b, at one place"
        );
        assert_eq!(
            dry(Network::River, Far::Metres(4_200)),
            "along river, from a to b, 4,200 m"
        );
    }

    #[test]
    fn a_rule_without_metres_speaks_of_none() {
        assert_eq!(near(1_500).as_deref(), Some("within 1,500 m"));
        assert_eq!(near(0), None);
    }

    #[test]
    fn what_is_said_in_words_is_no_more_than_text() {
        let said = |headline: &str, web: Option<&str>| {
            in_words(&Statement {
                sensor: "met".parse().unwrap(),
                reading: "1".parse().unwrap(),
                headline: headline.into(),
                web: web.map(Into::into),
                replaces: "".into(),
            })
        };
        let web = Some("https://met.example/7");
        assert_eq!(
            said("Banjir kilat", web),
            "says \"Banjir kilat\" (https://met.example/7)"
        );
        assert_eq!(said("", web), "says more at https://met.example/7");
        assert_eq!(said("\u{1b}[2J\n", None), "says \"\\u{1b}[2J\\n\"");
    }
}
