//! Why, in sentences.
//!
//! ```text
//! reading b of wl-1: water_level 3.5 m, record 7 at 2026-03-14 06:45:00
//! It led to nothing yet: river-high is raised, and what lies together weighs 2 of 3.
//! ```

use std::fmt;

use ioc_core::bundle::GroupBy;
use ioc_core::decision::{Far, Network, Verdict, Way};
use ioc_core::explain::{
    CaseLook, Explanation, Fate, FrontLook, LevelLook, LevelsLook, MemberLook, NeighbourLook,
    RuleLook, SequenceLook, StateLook, SuppressionLook, TogetherLook,
};
use ioc_core::id::RuleId;
use ioc_core::time::{Millis, Timestamp};
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
    if let Some(first) = answer.named.evidence_of.first() {
        let incident = first.verdict.incident().map(|incident| incident.id);
        let named = incident.map_or_else(String::new, |id| format!(" of {id}"));
        let distrusted = distrusted(answer, None);
        let distrusted = distrusted.map_or_else(String::new, |by| {
            format!(" Its sensor is {by}, so what it finds weighs nothing.")
        });
        return format!(
            "It is evidence{named}: decision {}, {}, at {}.{distrusted}",
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
    match look.cases.first() {
        Some(case) if !is_late(&look.rules) => of_case(answer, case),
        _ => of_rules(answer),
    }
}

/// Whether it came too late for what else it could have changed.
fn is_late(rules: &[RuleLook]) -> bool {
    let mut outcomes = rules.iter().map(|look| look.outcome);
    let mut counts = outcomes.clone();
    outcomes.any(|outcome| outcome == "late")
        && !counts.any(|outcome| matches!(outcome, "raised" | "evidence" | "cleared" | "pending"))
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

fn of_case(answer: &ReadingAnswer, case: &CaseLook) -> String {
    let distrusted = distrusted(answer, Some(case));
    let distrusted = distrusted.map_or_else(String::new, |by| {
        format!("its sensor is {by}, so what it finds weighs nothing; ")
    });
    let CaseLook {
        weight: (weight, needed),
        kind,
        rule,
        ..
    } = case;
    match case.incident {
        Some(id) => format!(
            "It opened nothing: {distrusted}its sensor belongs to {id} ({kind}, {}), and it is no new \
             evidence of it.",
            case.condition.word()
        ),
        None => {
            let more = alone_by(case).unwrap_or_default();
            format!(
                "It opened nothing: {distrusted}by {rule}, what lies together weighs {weight} of \
                 {needed}.{more}"
            )
        }
    }
}

/// Why nothing lies with a candidate that could.
fn alone_by(case: &CaseLook) -> Option<&'static str> {
    if !case.is_placed {
        return Some(" It has no place, so nothing is near it.");
    }
    let near = case.neighbours.iter();
    let mut near = near
        .filter(|other| other.distance_m <= case.within_m)
        .peekable();
    near.peek()?;
    let another_front = |other: &NeighbourLook| other.front.is_some_and(|front| !front.is_one());
    let (mut of_group, mut of_front) = (false, false);
    for other in near {
        match (other.is_of_another_group, another_front(other)) {
            (true, _) => of_group = true,
            (_, true) => of_front = true,
            _ => return None,
        }
    }
    Some(match (of_group, of_front) {
        (true, false) => " What is near is about something else (`group_by`).",
        (true, true) => {
            " What is near is about something else (`group_by`), or was observed too far from it in time."
        }
        _ => " What is near was observed too far from it in time.",
    })
}

/// By what the sensor is distrusted in all that it shows, or that a case is made of.
fn distrusted(answer: &ReadingAnswer, case: Option<&CaseLook>) -> Option<String> {
    let rules = answer.explanation.rules.iter();
    let mut finding = rules.filter(|look| {
        let of_sequences = look.sequences.iter().flat_map(|own| &own.takers);
        let mut takers = look.takers.iter().chain(of_sequences);
        let raised = look.levels.as_ref().and_then(|levels| levels.raised);
        case.is_none_or(|case| takers.any(|taker| *taker == case.rule))
            && (raised.is_some() || look.outcome == "evidence")
    });
    let first = finding.next()?;
    let all = finding.all(|look| !look.distrusted_by.is_empty());
    distrusted_by(answer, first).filter(|_| all)
}

/// `distrusted by gauge-flapping since 2026-03-14 10:16:00`
fn distrusted_by(answer: &ReadingAnswer, look: &RuleLook) -> Option<String> {
    let by = look.distrusted_by.iter().map(|rule| {
        let since = answer.named.distrusted_since(rule);
        let since = since.map_or_else(String::new, |at| format!(" since {}", clock(at)));
        format!("{rule}{since}")
    });
    let by: Vec<_> = by.collect();
    (!by.is_empty()).then(|| format!("distrusted by {}", by.join(" and ")))
}

/// What a rule found abnormal, and why nothing came of that.
fn of_found(answer: &ReadingAnswer, look: &RuleLook) -> String {
    let found = format!("{} found it abnormal", look.rule);
    let all = || names(&look.takers);
    let was_counted = |name: &str| answer.explanation.counted.iter().any(|own| own.0 == name);
    if was_counted("evidence_stale")
        && let Some((taker, most, age)) = too_old_for(answer, look)
    {
        return format!(
            "{found} {} after it was observed, and {taker} takes nothing that is older than {} \
             (`stale_after`).",
            about(age),
            show_span(most)
        );
    }
    if was_counted("evidence_told") {
        return format!(
            "{found}, and what its sensor said of an incident that is over is no evidence of another."
        );
    }
    let mut sequences = look.sequences.iter().filter(|sequence| !sequence.raised);
    if let Some(missed) = sequences.find_map(missed) {
        return format!("{found}, {missed}.");
    }
    match look.takers.is_empty() {
        true => format!("{found}, and no correlation rule takes what that finds."),
        false => format!("{found}, and by {} nothing is left of that.", all()),
    }
}

/// A correlation rule that a reading was too old for, how old it may be, and how old it was.
fn too_old_for<'a>(
    answer: &ReadingAnswer,
    look: &'a RuleLook,
) -> Option<(&'a RuleId, Millis, Millis)> {
    let observed = answer.reading["observed_at"].as_str()?;
    let age = answer.explanation.at - Timestamp::parse(observed.as_bytes()).ok()?;
    let rules = &answer.bundle.as_ref()?.correlations;
    look.takers.iter().find_map(|taker| {
        let rule = rules.iter().find(|rule| rule.name == *taker)?;
        let most = rule.stale_after.filter(|most| age > *most)?;
        Some((taker, most, age))
    })
}

/// Why a rule of sequences found nothing by what a sensor shows.
fn missed(look: &SequenceLook) -> Option<String> {
    let SequenceLook { rule, other, .. } = look;
    let within = show_span(look.within);
    if !look.is_then {
        return match (look.absent, look.waits_until) {
            (true, Some(until)) => Some(format!(
                "and {rule} waits until {} for {other}",
                clock(until)
            )),
            (true, None) => {
                let shown = look.nearest.as_ref().filter(|other| other.is_near)?;
                Some(format!(
                    "and {rule} asks for {other} to be missing, which {} shows",
                    shown.sensor
                ))
            }
            (false, _) => Some(format!(
                "and that alone opens nothing: {rule} asks for {other} after it, within {within}"
            )),
        };
    }
    if look.absent {
        return Some(format!("and it is what {rule} waits for after {other}"));
    }
    let Some(first) = &look.nearest else {
        return Some(format!(
            "and {rule} waits for {other} first, which nothing near shows"
        ));
    };
    let asks = format!("and {rule} asks for {other} within {within} before it");
    let sensor = &first.sensor;
    let far = first.distance_m.map(u64::from);
    if !first.is_near {
        let far = far.map_or_else(
            || format!("{sensor} or what is asked about has no place"),
            |far| {
                let beyond = thousands(far.saturating_sub(u64::from(look.within_m)));
                format!("{sensor} is {} m away, {beyond} m too far", thousands(far))
            },
        );
        return Some(format!("{asks}: {far}"));
    }
    let away = far.map_or_else(String::new, |far| format!(", {} m away,", thousands(far)));
    let earlier = look.since - first.since;
    if earlier < Millis::ZERO {
        let later = about(Millis(-earlier.0));
        return Some(format!("{asks}: {sensor}{away} began {later} after"));
    }
    if earlier > look.within {
        let (before, beyond) = (about(earlier), about(Millis(earlier.0 - look.within.0)));
        return Some(format!(
            "{asks}: {sensor}{away} began {before} before, {beyond} too early"
        ));
    }
    first
        .is_kept_quiet
        .then(|| format!("{asks}: what is near {sensor} keeps it quiet (`unless`)"))
}

/// Whether what several sensors come to is beyond a level, or was.
fn is_beyond_together(look: &RuleLook) -> bool {
    look.together
        .as_ref()
        .is_some_and(|TogetherLook { levels, .. }| {
            let beyond = |level: &LevelLook| levels.beyond(level.level) > Some(0.0);
            levels.raised.is_some() || levels.levels.iter().any(beyond)
        })
}

/// What a rule across sensors makes of what it took in.
fn together(look: &RuleLook) -> Option<String> {
    let own = look
        .together
        .as_ref()
        .filter(|_| look.outcome == "gathered")?;
    let rule = &look.rule;
    let Some(group) = shown_group(own) else {
        return Some(format!(
            "{rule} asks for what those of one {} say together, and its sensor is of none.",
            own.by.word()
        ));
    };
    let (heard, needed) = own.sensors;
    let asked = own.asked_at.map_or_else(String::new, |at| {
        format!(" It is asked next at {}.", clock(at))
    });
    let Some(value) = own.levels.value else {
        return Some(format!(
            "{rule} took it in: of {group}, {} been heard of late, and it asks for {needed}.{asked}",
            match heard {
                1 => "1 sensor has".to_owned(),
                _ => format!("{heard} sensors have"),
            }
        ));
    };
    let comes_to = format!(
        "{rule} took it in: the {} of {group} is {} so far, by {}",
        own.of,
        number(value),
        counted(heard as usize, "sensor")
    );
    let run = own.levels.levels.iter().find(|level| level.since.is_some());
    Some(match (short_of(&own.levels), own.levels.raised, run) {
        (_, Some(raised), _) => format!("{comes_to}; it is raised, {}.{asked}", raised.word()),
        (_, None, Some(level)) => format!(
            "{comes_to}, and it asks for more: {}.{asked}",
            run_of_steps(level)
        ),
        (Some(short), ..) => format!("{comes_to}: {short}.{asked}"),
        (None, None, None) => format!("{comes_to}.{asked}"),
    })
}

/// How many steps a level has been reached in, of how many.
fn run_of_steps(level: &LevelLook) -> String {
    run(level).replace("reading", "step")
}

/// `zone z-12`, `the city`
fn shown_group(look: &TogetherLook) -> Option<String> {
    let group = look.group.as_ref()?;
    Some(match look.by {
        GroupBy::City => "the city".to_owned(),
        by => format!("{} {group}", by.word()),
    })
}

fn names(rules: &[RuleId]) -> String {
    let names: Vec<_> = rules.iter().map(|rule| rule.as_str()).collect();
    names.join(", ")
}

/// The step at which the rule that came furthest stopped.
fn of_rules(answer: &ReadingAnswer) -> String {
    let rules = &answer.explanation.rules;
    let find = |outcome: &str| rules.iter().find(|look| look.outcome == outcome);
    for outcome in ["raised", "evidence"] {
        if let Some(look) = find(outcome) {
            return of_found(answer, look);
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
    let mut beyond = rules.iter().filter(|look| is_beyond_together(look));
    if let Some(text) = beyond.find_map(together) {
        return text;
    }
    let window = find("gathered").filter(|look| look.together.is_none());
    if let Some(look) = window {
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
        let short = match &look.state {
            Some(state) => Some(as_state(state)),
            None => look.levels.as_ref().and_then(short_of),
        };
        let short = short.map_or_else(String::new, |short| format!(": {short}"));
        return format!("It is normal by {}{short}.", look.rule);
    }
    if let Some(text) = rules.iter().find_map(together) {
        return text;
    }
    if let Some(look) = find("unknown") {
        if let Some((known, need)) = look.learnt {
            return format!(
                "{} has learnt this hour of the week in {}, and needs {need}.",
                look.rule,
                counted(known as usize, "week")
            );
        }
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
    let severity = nearest.severity.word();
    if beyond == 0.0 {
        return Some(format!(
            "{} is at {severity}, and must be beyond it",
            number(value)
        ));
    }
    (beyond < 0.0).then(|| {
        let level = nearest.level;
        let short = number(-beyond);
        format!(
            "{} is {short} short of {severity}, {}",
            number(value),
            number(level)
        )
    })
}

/// ``it is `tripped`, moderate, and was not seen in `running` before``
fn as_state(state: &StateLook) -> String {
    match state.severity {
        None => format!("`{}` is none of the states that it asks for", state.says),
        Some(severity) if state.came => format!("it is `{}`, {}", state.says, severity.word()),
        Some(severity) => format!(
            "it is `{}`, {}, and was not seen in {} before",
            state.says,
            severity.word(),
            states(&state.from)
        ),
    }
}

/// ``` `running` or `starting` ```
fn states(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(" or ")
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
            rule_lines(f, self, rule)?;
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
        for decision in &self.named.evidence_of {
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

fn rule_lines(f: &mut fmt::Formatter<'_>, answer: &ReadingAnswer, look: &RuleLook) -> fmt::Result {
    writeln!(f, "\n  detection {}: {}", look.rule, look.outcome)?;
    if let Some(by) = distrusted_by(answer, look) {
        writeln!(f, "    {by}: what it finds weighs nothing")?;
    }
    if let Some(until) = look.waits_until {
        writeln!(f, "    waits until {}", clock(until))?;
    }
    if let Some(together) = &look.together {
        together_lines(f, together)?;
        return takers_line(f, look);
    }
    let Some(levels) = &look.levels else {
        return takers_line(f, look);
    };
    if let Some(state) = &look.state {
        state_lines(f, state, levels)?;
        return takers_line(f, look);
    }
    match levels.value {
        Some(value) => writeln!(f, "    asked of {}", number(value))?,
        None => writeln!(f, "    there is not enough to tell yet")?,
    }
    levels_lines(f, levels, "reading")?;
    takers_line(f, look)
}

/// What the values of several sensors come to so far.
fn together_lines(f: &mut fmt::Formatter<'_>, look: &TogetherLook) -> fmt::Result {
    let Some(group) = shown_group(look) else {
        return writeln!(f, "    its sensor is of no {}", look.by.word());
    };
    let (heard, needed) = look.sensors;
    let heard = counted(heard as usize, "sensor");
    match look.levels.value {
        Some(value) => {
            let value = number(value);
            writeln!(f, "    {} of {group}: {value} so far, of {heard}", look.of)?;
        }
        None => writeln!(f, "    {} of {group}: of {heard}, {needed} needed", look.of)?,
    }
    levels_lines(f, &look.levels, "step")?;
    if let Some(at) = look.asked_at {
        writeln!(f, "    asked next at {}", clock(at))?;
    }
    Ok(())
}

/// How a value stands to each level, and to what is raised.
fn levels_lines(f: &mut fmt::Formatter<'_>, levels: &LevelsLook, each: &str) -> fmt::Result {
    for level in &levels.levels {
        let word = level.severity.word();
        let at = number(level.level);
        match levels.beyond(level.level) {
            Some(beyond) if beyond > 0.0 => {
                let beyond = number(beyond);
                let run = run(level).replace("reading", each);
                writeln!(f, "    {word} at {at}: {beyond} beyond it; {run}")?;
            }
            Some(0.0) => writeln!(f, "    {word} at {at}: at it, and must be beyond it")?,
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
            counted(need as usize, &format!("normal {each}"))
        )?;
        if let Some((have, to)) = levels.easing {
            let need = counted(need as usize, each);
            writeln!(f, "    {} after {have} of {need} back from that", to.word())?;
        }
    }
    Ok(())
}

/// How a sensor stands to the states of a rule.
fn state_lines(f: &mut fmt::Formatter<'_>, state: &StateLook, levels: &LevelsLook) -> fmt::Result {
    match state.severity {
        Some(severity) => writeln!(f, "    says `{}`, {}", state.says, severity.word())?,
        None => writeln!(f, "    says `{}`, none of its states", state.says)?,
    }
    if !state.came {
        writeln!(f, "    not seen in {} before", states(&state.from))?;
    }
    for level in levels.levels.iter().filter(|level| level.since.is_some()) {
        writeln!(f, "    {}: {}", level.severity.word(), run(level))?;
    }
    if let Some(raised) = levels.raised {
        let (have, need) = levels.normal_in_a_row;
        let need = counted(need as usize, "normal reading");
        writeln!(
            f,
            "    raised, {}; clears after {have} of {need}",
            raised.word()
        )?;
    }
    Ok(())
}

fn takers_line(f: &mut fmt::Formatter<'_>, look: &RuleLook) -> fmt::Result {
    if look.takers.is_empty() && look.sequences.is_empty() {
        return writeln!(f, "    no correlation rule takes what it finds");
    }
    if !look.takers.is_empty() {
        writeln!(f, "    taken by {}", names(&look.takers))?;
    }
    for sequence in &look.sequences {
        let rule = &sequence.rule;
        match sequence.takers.as_slice() {
            [] => writeln!(f, "    taken by {rule}")?,
            takers => {
                writeln!(
                    f,
                    "    taken by {rule}, of which {} takes what it finds",
                    names(takers)
                )?;
            }
        }
    }
    Ok(())
}

/// ` by gauge-flapping` of a member that is distrusted; `, distrusted in part by gauge-flapping` of one
/// whose other detections count.
fn member_distrusted(member: &MemberLook) -> String {
    match member.distrusted_by.as_slice() {
        [] => String::new(),
        by if member.stands == "distrusted" => format!(" by {}", names(by)),
        by => format!(", distrusted in part by {}", names(by)),
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
            "    {} weighs {}, {}{}: {}",
            member.sensor,
            member.weight,
            member.stands,
            member_distrusted(member),
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
            "    {} of {of} is {metres} m away ({near}), heard {}{}{}",
            other.sensor,
            clock(other.last_evidence_at),
            other.front.map(of_another_front).unwrap_or_default(),
            match other.is_of_another_group {
                true => "; about something else (`group_by`)",
                false => "",
            }
        )?;
    }
    Ok(())
}

/// `; observed 2026-03-14 10:04:00, 4 min apart, and may be 1 min 1.4 s`: why what is near is of
/// something else that happened once; empty if it is not.
fn of_another_front(front: FrontLook) -> String {
    if front.is_one() {
        return String::new();
    }
    let asked = match front.speed_m_per_s {
        Some(_) => "`observed_within`, `front_speed`",
        None => "`observed_within`",
    };
    format!(
        "; observed {}, {} apart, and may be {} ({asked})",
        clock(front.observed.1),
        about(front.apart),
        about(front.allowed)
    )
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
    match (value * 1e6).round() / 1e6 {
        0.0 if value == 0.0 => "0".to_owned(),
        0.0 => format!("{value:e}"),
        rounded => rounded.to_string(),
    }
}

/// `61.4 s`, `92 min`, `92 min 13 s`: a span to what matters of it.
fn about(span: Millis) -> String {
    const SECOND: i64 = 1000;
    const MINUTE: i64 = 60 * SECOND;
    const HOUR: i64 = 60 * MINUTE;
    let Millis(ms) = span;
    let whole = |unit: i64| show_span(Millis(ms / unit * unit));
    if ms < 2 * MINUTE {
        return format!("{} s", (ms as f64 / 100.0).round() / 10.0);
    }
    if ms >= 2 * HOUR {
        return whole(if ms < 48 * HOUR { MINUTE } else { HOUR });
    }
    match ms % MINUTE / SECOND {
        0 => whole(MINUTE),
        seconds => format!("{} min {seconds} s", ms / MINUTE),
    }
}

/// `2026-03-14 06:46:02`
pub(super) fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    let end = if at.as_millis() % 1000 == 0 { 19 } else { 23 };
    format!("{} {}", &text[..10], &text[11..end])
}

#[cfg(test)]
mod tests {
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
