//! The question `site_silent`: a whole zone, or what comes through one gateway, that says nothing, to
//! [`SiteSilence`].
//!
//! Arrives: what a site is, how many of its sensors, how long they wait, and what explains it. Next:
//! `correlation.rs`.

use std::collections::BTreeSet;

use ioc_core::bundle::{DetectionRule, SiteSilence, Test};
use ioc_core::decision::SiteBy;
use ioc_core::id::RuleId;
use ioc_core::time::Millis;

use super::correlation::Known;
use super::meaning_hash;
use super::sequence::detection_of;
use crate::config::field::{Field, Section};
use crate::config::mistake::Mistakes;
use crate::config::quantity::integer;

/// The key that asks.
const KEY: &str = "site_silent";
const SENSORS: u32 = 5;
const SENSORS_RANGE_MAX: u64 = 100_000;
const HOLD: Millis = Millis::minutes(2);
const HOLD_RANGE_MAX: Millis = Millis::minutes(60);

/// Whether a rule asks about sites.
pub fn is_asked(field: &Field<'_>) -> bool {
    Section::of(field, &mut Mistakes::default()).is_some_and(|section| section.has(KEY))
}

/// Reads one rule. `sequences`: the rules about other detections, which explain nothing.
pub fn read(
    name: &str,
    field: &Field<'_>,
    known: &Known<'_>,
    sequences: &BTreeSet<&str>,
    mistakes: &mut Mistakes,
) -> Option<DetectionRule> {
    let rule_name = field.name(name, mistakes);
    let mut section = Section::of(field, mistakes)?;
    let by = section.optional(KEY).and_then(|field| {
        let words = [
            ("zone", SiteBy::Zone),
            ("gateway", SiteBy::Gateway),
            ("feeder", SiteBy::Feeder),
        ];
        field.choice(mistakes, &words)
    });
    let percent = section
        .required(mistakes, "share", "50 %")
        .and_then(|field| {
            let wanted = "hundredths from 1 % to 100 %, such as `50 %`";
            field.read(mistakes, wanted, |text| {
                let percent = integer(text.strip_suffix('%')?.trim())?;
                (1..=100).contains(&percent).then_some(percent as u32)
            })
        });
    let sensors_min = section
        .optional("at_least")
        .map_or(Some(SENSORS), |field| sensors(&field, mistakes));
    let hold = section.optional("hold").map_or(Some(HOLD), |field| {
        field.span(mistakes, Millis::seconds(1)..=HOLD_RANGE_MAX)
    });
    let explained_by = section
        .optional("explained_by")
        .map(|field| explanations(&field, known, sequences, mistakes));
    section.finish(mistakes);
    let test = Test::SiteSilence(SiteSilence {
        by: by?,
        percent: percent?,
        sensors_min: sensors_min?,
        hold: hold?,
        explained_by: explained_by.unwrap_or_default(),
    });
    Some(DetectionRule {
        name: rule_name?,
        hash: meaning_hash(&format!("{test:?}")),
        kind: "any".parse().expect("a word is a kind's name"),
        matching: Vec::new(),
        settle: Millis::ZERO,
        test,
    })
}

/// `feeder-dead`, or several in a list, sorted.
fn explanations(
    field: &Field<'_>,
    known: &Known<'_>,
    sequences: &BTreeSet<&str>,
    mistakes: &mut Mistakes,
) -> Vec<RuleId> {
    let items = field.items();
    if items.is_empty() {
        field.wrong(
            mistakes,
            "names no detection; name at least one, such as `feeder-dead`",
        );
    }
    let mut rules = BTreeSet::new();
    for item in items {
        let named = detection_of(&item, known, sequences, mistakes);
        if named.is_some_and(|rule| !rules.insert(rule)) {
            item.wrong(mistakes, "is named twice; remove one");
        }
    }
    rules.into_iter().collect()
}

/// `5 sensors`.
fn sensors(field: &Field<'_>, mistakes: &mut Mistakes) -> Option<u32> {
    let wanted = format!("a number of sensors from 2 to {SENSORS_RANGE_MAX}, such as `5 sensors`");
    field.read(mistakes, &wanted, |text| {
        let count = integer(text.strip_suffix("sensors")?.trim())?;
        (2..=SENSORS_RANGE_MAX)
            .contains(&count)
            .then_some(count as u32)
    })
}
