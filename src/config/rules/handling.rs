//! What is asked of people: text to [`HandlingRules`].
//!
//! One section `handling` in one of the files of rules. What it does not say is as
//! [`usual`]; without it all is.

use ioc_core::bundle::HandlingRules;
use ioc_core::decision::Severity;
use ioc_core::time::Millis;

use super::correlation::SOURCES_MAX;
use super::detection::SPAN_MAX;
use crate::config::field::{Field, Section};
use crate::config::mistake::Mistakes;

const SECOND: Millis = Millis::seconds(1);

/// What holds where nothing is written.
pub fn usual() -> HandlingRules {
    let mut usual = HandlingRules {
        lowers: true,
        ..HandlingRules::NONE
    };
    let within = [
        (Severity::Extreme, Millis::seconds(60)),
        (Severity::Severe, Millis::minutes(3)),
        (Severity::Moderate, Millis::minutes(10)),
        (Severity::Minor, Millis::minutes(30)),
    ];
    for (severity, within) in within {
        usual.acknowledge_within[severity as usize] = Some(within);
    }
    usual
}

/// Reads the section.
pub fn read(field: &Field<'_>, mistakes: &mut Mistakes) -> HandlingRules {
    let mut rules = usual();
    let Some(mut section) = Section::of(field, mistakes) else {
        return rules;
    };
    if let Some(field) = section.optional("acknowledge_within") {
        acknowledge_within(&field, &mut rules, mistakes);
    }
    let overruled = section.optional("dismissal_overruled_by");
    if let Some(sources) = overruled.and_then(|field| field.integer(mistakes, 1..=SOURCES_MAX)) {
        rules.overruled_by = sources as u32;
    }
    let lasting = section.optional("reports_count_for");
    if let Some(lasting) = lasting.and_then(|field| field.span(mistakes, SECOND..=SPAN_MAX)) {
        rules.report_lasting = lasting;
    }
    let words = [("yes", true), ("no", false)];
    let lowers = section.optional("severity_falls");
    if let Some(lowers) = lowers.and_then(|field| field.choice(mistakes, &words)) {
        rules.lowers = lowers;
    }
    section.finish(mistakes);
    rules
}

/// By severity; `never` for one that nobody is told about.
fn acknowledge_within(field: &Field<'_>, rules: &mut HandlingRules, mistakes: &mut Mistakes) {
    let Some(mut section) = Section::of(field, mistakes) else {
        return;
    };
    for severity in Severity::ALL.iter().rev() {
        let Some(field) = section.optional(severity.word()) else {
            continue;
        };
        let never = field.text(&mut Mistakes::default(), "") == Some("never");
        let within = match never {
            true => Some(None),
            false => field.span(mistakes, SECOND..=SPAN_MAX).map(Some),
        };
        if let Some(within) = within {
            rules.acknowledge_within[*severity as usize] = within;
        }
    }
    section.finish(mistakes);
}
