//! What a scenario expects: `expect flood opened by 10:02 severe, 2 sensors`.
//!
//! Arrives: the words after `expect`. Leaves: an [`Expected`]. Verbs are the words of decisions
//! without what they are about: `opened`, `cleared`; `is` stands for any that shows an incident so.
//! Next: `stage.rs`.

use ioc_core::decision::{Certainty, FaultKind, Severity};
use ioc_core::time::{Millis, Timestamp};

use super::clock;
use super::parse::{from_to, name};
use super::script::{Expected, Name, Trait, Wanted, Window};
use super::words::{Parsed, Word, Words};
use crate::config::mistake::Place;
use crate::config::suggest::did_you_mean;

/// What may be decided about an incident: a decision's word without `incident_`; or `is`.
pub(super) const INCIDENT_VERBS: [&str; 24] = [
    "is",
    "opened",
    "updated",
    "merged",
    "cleared",
    "unknown",
    "reopened",
    "linked",
    "acknowledged",
    "confirmed",
    "responding",
    "contained",
    "resolved",
    "closed",
    "dismissed",
    "undone",
    "escalated",
    "rated",
    "split",
    "evidence_moved",
    "shelved",
    "unshelved",
    "suppressed",
    "unsuppressed",
];
/// What may be decided about a sensor: a decision's word without `sensor_`.
pub(super) const SENSOR_VERBS: [&str; 4] = ["silent", "returned", "faulty", "sound"];

/// What may be decided about a whole site: a decision's word without `site_`.
pub(super) const SITE_VERBS: [&str; 2] = ["silent", "returned"];

/// What an expectation stands after.
pub(super) struct Context {
    pub midnight: Timestamp,
    /// When the statement above it begins.
    pub since: Option<Timestamp>,
}

/// Reads what is expected.
pub(super) fn parse(words: &mut Words, context: &Context) -> Parsed<Expected> {
    let subject = words.need("what is expected")?;
    let mut expected = Expected {
        place: Place::whole(""),
        text: String::new(),
        what: Wanted::Nothing,
        window: Window::ANY,
        never: false,
    };
    match subject.text.as_str() {
        "nothing" => {
            expected.never = true;
            window(words, context, &mut expected.window)?;
            return Ok(expected);
        }
        "sensor" => expected.what = sensor(words)?,
        "site" => expected.what = site(words)?,
        "no" => {
            expected.never = true;
            let subject = words.need("a kind of incident, `sensor` or `site`,")?;
            expected.what = match subject.text.as_str() {
                "sensor" => sensor(words)?,
                "site" => site(words)?,
                _ => incident(&subject, words, "opened")?,
            };
        }
        _ => expected.what = incident(&subject, words, "")?,
    }
    while !words.is_empty() {
        if !window(words, context, &mut expected.window)? {
            a_trait(words, &mut expected.what)?;
        }
    }
    Ok(expected)
}

/// A line as it was written, without what is for people only.
pub(super) fn as_written(line: &str) -> String {
    let mut words = Words::of(line).expect("it was understood");
    words.take();
    words.rest()
}

fn sensor(words: &mut Words) -> Parsed<Wanted> {
    let sensor = words.need("a sensor")?.text;
    let verb = words.need("what is said of it, such as `silent`,")?;
    known(&verb, &SENSOR_VERBS)?;
    let verb = verb.text;
    let is_fault = |word: &str| FaultKind::from_word(word).is_some();
    let fault = match words.peek().is_some_and(is_fault) {
        true => words.take().map(|word| word.text),
        false => None,
    };
    Ok(Wanted::Sensor {
        sensor,
        verb,
        fault,
    })
}

fn site(words: &mut Words) -> Parsed<Wanted> {
    let site = words.need("a zone, a gateway or a feeder")?.text;
    let verb = words.need("what is said of it, such as `silent`,")?;
    known(&verb, &SITE_VERBS)?;
    let explained_by = match words.peek() {
        Some("explained") => {
            words.take();
            words.expect("by")?;
            Some(Some(words.need("the name of a detection")?.text))
        }
        Some("unexplained") => {
            words.take();
            Some(None)
        }
        _ => None,
    };
    Ok(Wanted::Site {
        site,
        verb: verb.text,
        explained_by,
    })
}

/// `unless_said`: the verb that is meant if none is written; empty if one must be.
fn incident(subject: &Word, words: &mut Words, unless_said: &str) -> Parsed<Wanted> {
    let name = name(subject)?;
    let says_a_verb = words
        .peek()
        .is_some_and(|word| INCIDENT_VERBS.contains(&word));
    let verb = match (says_a_verb, unless_said) {
        (false, "") => {
            let verb = words.need("what is to be decided, such as `opened`,")?;
            known(&verb, &INCIDENT_VERBS)?;
            verb.text
        }
        (false, verb) => verb.to_owned(),
        (true, _) => words.take().expect("peeked").text,
    };
    Ok(Wanted::Incident {
        name,
        verb,
        traits: Vec::new(),
    })
}

fn known(verb: &Word, verbs: &[&str]) -> Parsed<()> {
    if verbs.contains(&verb.text.as_str()) {
        return Ok(());
    }
    let hint = did_you_mean(&verb.text, verbs.iter().copied());
    verb.wrong(format!(
        "`{}` is never decided{hint}; write one of {}",
        verb.text,
        verbs.join(", ")
    ))
}

/// Takes when it is expected, if that is what comes next.
fn window(words: &mut Words, context: &Context, window: &mut Window) -> Parsed<bool> {
    let Some(word) = words.peek().map(str::to_owned) else {
        return Ok(false);
    };
    match word.as_str() {
        "at" => {
            words.take();
            *window = Window::at(clock::moment(words, context.midnight)?);
        }
        "by" | "until" => {
            words.take();
            window.to = clock::moment(words, context.midnight)?.at;
        }
        "after" => {
            words.take();
            window.from = clock::moment(words, context.midnight)?.end() + Millis(1);
        }
        "from" | "between" => {
            words.take();
            let (from, to) = from_to(words, context.midnight)?;
            *window = Window {
                from: from.at,
                to: to.at,
            };
        }
        "within" => {
            let within = words.take().expect("peeked");
            let Some(since) = context.since else {
                return within
                    .wrong("`within` counts from the line above, and nothing happens there");
            };
            let span = clock::span(words)?;
            *window = Window {
                from: since,
                to: since + span,
            };
        }
        _ => return Ok(false),
    }
    Ok(true)
}

const TRAITS: &str = "after the verb come a time (`at`, `by`, `within`, `between … and …`), a \
                      severity, a certainty, `2 sensors`, `in ZONE`, `rule NAME`, `episode 2`, \
                      `caused by KIND`, `into KIND`";

/// Takes what else is to be true of the incident.
fn a_trait(words: &mut Words, wanted: &mut Wanted) -> Parsed<()> {
    let word = words.need("more")?;
    let Wanted::Incident { traits, .. } = wanted else {
        return word.wrong(format!(
            "`{}` is not understood of a sensor or a site",
            word.text
        ));
    };
    let text = word.text.trim_end_matches(',');
    let found = match text {
        "and" | "" => return Ok(()),
        "in" => Trait::Zone(words.need("a zone")?.text),
        "rule" => Trait::Rule(words.need("the name of a rule")?.text),
        "episode" => Trait::Episode(count(&words.need("a number")?)?),
        "into" => Trait::Into(incident_named(words)?),
        "caused" => {
            words.expect("by")?;
            match words.peek().map(|word| word.trim_end_matches(',')) {
                Some("nothing") => {
                    words.take();
                    Trait::Uncaused
                }
                _ => Trait::CausedBy(incident_named(words)?),
            }
        }
        text if text.starts_with(|c: char| c.is_ascii_digit()) => {
            let count = count(&word)?;
            let noun = words.need("`sensors`")?;
            match noun.text.trim_end_matches(',') {
                "sensor" | "sensors" | "sources" | "source" => Trait::Sensors(count),
                _ => return noun.wrong(format!("expected `sensors`; {TRAITS}")),
            }
        }
        text if Severity::from_word(text).is_some_and(|it| it != Severity::Unknown) => {
            Trait::Severity(text.to_owned())
        }
        text if Certainty::from_word(text).is_some_and(|it| it != Certainty::Unknown) => {
            Trait::Certainty(text.to_owned())
        }
        text => return word.wrong(format!("`{text}` is not understood here; {TRAITS}")),
    };
    traits.push(found);
    Ok(())
}

fn incident_named(words: &mut Words) -> Parsed<Name> {
    let word = words.need("an incident, such as flood,")?;
    let plain = Word {
        text: word.text.trim_end_matches(',').to_owned(),
        column: word.column,
    };
    name(&plain)
}

fn count(word: &Word) -> Parsed<u32> {
    match word.text.trim_end_matches(',').parse() {
        Ok(count) => Ok(count),
        Err(_) => word.wrong(format!("`{}` is no number", word.text)),
    }
}
