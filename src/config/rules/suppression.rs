//! What may be kept quiet, and the maintenance windows: text to [`SuppressionRules`].
//!
//! One section `suppression` in one of the files of rules. What it does not say is as usual;
//! without it all is, and there are no windows.

use ioc_core::bundle::{MaintenanceWindow, Schedule, SuppressionRules};
use ioc_core::decision::{Matcher, NOTE_BYTES_MAX};
use ioc_core::id::{Actor, ReadingKind, RuleId, SensorId, ZoneId};
use ioc_core::limits::{OUT_OF_SERVICE_MAX, SHELVED_MAX, WINDOWS_MAX};
use ioc_core::time::{Millis, Timestamp};

use super::meaning_hash;
use crate::config::field::{Field, Section};
use crate::config::mistake::Mistakes;
use crate::config::quantity;
use crate::config::suggest::did_you_mean;

const MINUTE: Millis = Millis::minutes(1);
const DAY: Millis = Millis::minutes(24 * 60);
/// The clocks of the world are at most so far from UTC.
const AHEAD_MAX: i64 = 14 * 60;

const DAYS: [&str; 8] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "day",
];

/// The windows that are being read, and what their names may be.
pub struct Known<'a> {
    /// The kinds that rules look at.
    pub kinds: Vec<&'a str>,
    /// The detection rules, right or wrong.
    pub rules: Vec<&'a str>,
}

/// Reads the section.
pub fn read(field: &Field<'_>, known: &Known<'_>, mistakes: &mut Mistakes) -> SuppressionRules {
    let mut rules = SuppressionRules::USUAL;
    let Some(mut section) = Section::of(field, mistakes) else {
        return rules;
    };
    let shelved = section.optional("shelved_max");
    if let Some(most) = shelved.and_then(|field| field.span(mistakes, MINUTE..=SHELVED_MAX)) {
        rules.shelved_max = most;
    }
    let out = section.optional("out_of_service_max");
    if let Some(most) = out.and_then(|field| field.span(mistakes, MINUTE..=OUT_OF_SERVICE_MAX)) {
        rules.out_of_service_max = most;
    }
    let remind = section.optional("remind_before");
    if let Some(before) = remind.and_then(|field| field.span(mistakes, Millis::ZERO..=DAY)) {
        rules.remind_before = before;
    }
    let clock = section.optional("clock");
    let ahead = clock.as_ref().map_or(Some(Millis::ZERO), |field| {
        let wanted = "how far the city's clock is ahead of UTC, such as `+08:00`";
        field.read(mistakes, wanted, ahead_of_utc)
    });
    let windows = section.optional("windows");
    section.finish(mistakes);
    if let Some(windows) = windows.and_then(|field| Section::of(&field, mistakes)) {
        for (number, (entry, field)) in windows.entries().enumerate() {
            if number == WINDOWS_MAX {
                let what = format!("more than {WINDOWS_MAX} windows");
                mistakes.add(&entry.place, &field.path, what);
                break;
            }
            let ahead = ahead.unwrap_or(Millis::ZERO);
            rules
                .windows
                .extend(window(&entry.key, &field, ahead, known, mistakes));
        }
    }
    rules
        .windows
        .sort_by(|one, other| one.name.cmp(&other.name));
    rules
}

fn window(
    name: &str,
    field: &Field<'_>,
    ahead: Millis,
    known: &Known<'_>,
    mistakes: &mut Mistakes,
) -> Option<MaintenanceWindow> {
    let name: Option<RuleId> = field.name(name, mistakes);
    let mut section = Section::of(field, mistakes)?;
    let every = section.optional("every");
    let from = section.optional("from");
    let to = section.optional("to");
    let matching = section.required(mistakes, "match", "{ zone: harbour }");
    let reason = section.required(mistakes, "reason", "the pumps are maintained");
    let owner = section.required(mistakes, "owner", "pump crew");
    let schedule = match (&every, &from, &to) {
        (Some(every), None, None) => every_week(every, ahead, mistakes),
        (None, Some(from), Some(to)) => once(from, to, mistakes),
        _ => {
            let what = "write when: `every: sunday 02:00 for 4 h`, or `from` and `to`";
            section.wrong(mistakes, what);
            None
        }
    };
    section.finish(mistakes);
    let matching = matching.and_then(|field| matcher(&field, known, mistakes));
    let reason = reason.and_then(|field| {
        let wanted = format!("why, in at most {NOTE_BYTES_MAX} bytes");
        field.read(mistakes, &wanted, |text| {
            let fits = !text.trim().is_empty() && text.len() <= NOTE_BYTES_MAX;
            fits.then(|| text.trim().into())
        })
    });
    let owner: Option<Actor> = owner.and_then(|field| field.parsed(mistakes));
    let window = MaintenanceWindow {
        name: name?,
        hash: 0,
        matching: matching?,
        schedule: schedule?,
        reason: reason?,
        owner: owner?,
    };
    Some(MaintenanceWindow {
        hash: meaning_hash(&format!("{window:?}")),
        ..window
    })
}

/// `sunday 02:00 for 4 h`, `day 23:30 for 90 min`.
fn every_week(field: &Field<'_>, ahead: Millis, mistakes: &mut Mistakes) -> Option<Schedule> {
    let wanted = "a day, a time and for how long, such as `sunday 02:00 for 4 h` or \
                  `day 23:30 for 90 min`";
    let (day, minute, lasting) = field.read(mistakes, wanted, |text| {
        let (when, lasting) = text.split_once(" for ")?;
        let (day, time) = when.trim().split_once(' ')?;
        let day = DAYS.iter().position(|own| *own == day.trim())?;
        Some((
            day,
            minute_of(time.trim())?,
            quantity::span(lasting.trim())?,
        ))
    })?;
    let day = u8::try_from(day).ok().filter(|day| *day < 7);
    let most = if day.is_some() {
        Millis(7 * DAY.0)
    } else {
        DAY
    };
    if lasting < MINUTE || lasting >= most {
        let most = if day.is_some() { "a week" } else { "a day" };
        field.wrong(
            mistakes,
            format!("it lasts from a minute to less than {most}, when it begins again"),
        );
        return None;
    }
    Some(Schedule::Every {
        day,
        minute,
        lasting,
        ahead,
    })
}

fn once(from: &Field<'_>, to: &Field<'_>, mistakes: &mut Mistakes) -> Option<Schedule> {
    let wanted = "a time with its distance from UTC, such as `2026-03-14T22:00:00+08:00`";
    let instant = |text: &str| Timestamp::parse(text.as_bytes()).ok();
    let begins = from.read(mistakes, wanted, instant);
    let ends = to.read(mistakes, wanted, instant);
    let (begins, ends) = (begins?, ends?);
    if begins >= ends {
        to.wrong(
            mistakes,
            "it ends before it begins; exchange `from` and `to`",
        );
        return None;
    }
    Some(Schedule::Once {
        from: begins,
        until: ends,
    })
}

/// What is kept quiet: all keys that are written must fit. Whether the zone and the sensor are of
/// the city is checked with the city.
fn matcher(field: &Field<'_>, known: &Known<'_>, mistakes: &mut Mistakes) -> Option<Matcher> {
    let mut section = Section::of(field, mistakes)?;
    let sensor = section.optional("sensor");
    let zone = section.optional("zone");
    let kind = section.optional("kind");
    let rule = section.optional("rule");
    let is_empty = [&sensor, &zone, &kind, &rule]
        .iter()
        .all(|key| key.is_none());
    if is_empty {
        section.wrong(
            mistakes,
            "needs at least one of sensor, zone, kind and rule",
        );
    }
    section.finish(mistakes);
    let sensor: Option<Option<SensorId>> = said(sensor, mistakes);
    let zone: Option<Option<ZoneId>> = said(zone, mistakes);
    let kind: Option<Option<ReadingKind>> = match kind {
        Some(field) => named(&field, "kind", &known.kinds, mistakes),
        None => Some(None),
    };
    let rule: Option<Option<RuleId>> = match rule {
        Some(field) => named(&field, "detection rule", &known.rules, mistakes),
        None => Some(None),
    };
    let matcher = Matcher {
        sensor: sensor?,
        zone: zone?,
        kind: kind?,
        rule: rule?,
    };
    (!is_empty).then_some(matcher)
}

/// What is written, if anything is; nothing if it is wrong.
fn said<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: Option<Field<'_>>,
    mistakes: &mut Mistakes,
) -> Option<Option<T>> {
    match field {
        Some(field) => field.parsed(mistakes).map(Some),
        None => Some(None),
    }
}

/// One of these names.
fn named<T: std::str::FromStr<Err: std::fmt::Display>>(
    field: &Field<'_>,
    what: &str,
    known: &[&str],
    mistakes: &mut Mistakes,
) -> Option<Option<T>> {
    let text = field.text(mistakes, "a name")?;
    if !known.contains(&text) {
        let hint = did_you_mean(text, known.iter().copied());
        field.wrong(mistakes, format!("no rule knows the {what} `{text}`{hint}"));
        return None;
    }
    field.parsed(mistakes).map(Some)
}

/// The minute of the day of `02:00`.
fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

/// The time from UTC of `+08:00`, `-03:30` or `UTC`.
fn ahead_of_utc(text: &str) -> Option<Millis> {
    if text == "UTC" {
        return Some(Millis::ZERO);
    }
    let (sign, time) = match text.split_at_checked(1)? {
        ("+", time) => (1, time),
        ("-", time) => (-1, time),
        _ => return None,
    };
    let minutes = i64::from(minute_of(time)?);
    (minutes <= AHEAD_MAX).then(|| Millis::minutes(sign * minutes))
}
