//! Times and spans of a scenario: `10:00`, `10:00:30`, `day 2 09:30`, `5 min`.
//!
//! Arrives: words. Leaves: instants of the scenario's days, which are UTC. Next: `script.rs`.

use ioc_core::time::{Millis, Timestamp};

use super::words::{Parsed, Words};
use crate::config::quantity;

/// The most days that a scenario may have.
const DAYS_MAX: i64 = 366;

/// A time as it was written: `10:00` is a whole minute, `10:00:00` a second of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub at: Timestamp,
    pub lasts: Millis,
}

impl Moment {
    /// The last instant of it.
    pub fn end(self) -> Timestamp {
        self.at + Millis(self.lasts.0 - 1)
    }
}

/// Takes a time: `10:00`, `10:00:30.250`, `day 2 10:00`.
pub(super) fn moment(words: &mut Words, midnight: Timestamp) -> Parsed<Moment> {
    let mut day = 1;
    if words.take_if("day") {
        let number = words.need("the number of the day")?;
        match number.text.parse() {
            Ok(number) if (1..=DAYS_MAX).contains(&number) => day = number,
            _ => {
                let what = format!("`{}` is no day from 1 to {DAYS_MAX}", number.text);
                return number.wrong(what);
            }
        }
    }
    let word = words.need("a time such as 10:00")?;
    let Some((ms, lasts)) = of_day(word.text.trim_end_matches(',')) else {
        let what = format!("`{}` is no time; write 10:00 or 10:00:30", word.text);
        return word.wrong(what);
    };
    Ok(Moment {
        at: midnight + Millis((day - 1) * 86_400_000 + ms),
        lasts: Millis(lasts),
    })
}

/// Milliseconds since midnight, and how exactly that was said.
fn of_day(text: &str) -> Option<(i64, i64)> {
    let mut parts = text.split(':');
    let whole = |part: Option<&str>, most| {
        let part = part.filter(|part| part.len() == 2)?;
        part.parse::<i64>().ok().filter(|value| *value <= most)
    };
    let hour = whole(parts.next(), 23)?;
    let minute = whole(parts.next(), 59)?;
    let minutes = (hour * 60 + minute) * 60_000;
    let Some(seconds) = parts.next() else {
        return Some((minutes, 60_000));
    };
    let (seconds, millis) = seconds.split_once('.').unwrap_or((seconds, ""));
    let seconds = whole(Some(seconds), 59)? * 1000;
    if parts.next().is_some() || !millis.bytes().all(|b| b.is_ascii_digit()) || millis.len() > 3 {
        return None;
    }
    if millis.is_empty() {
        return Some((minutes + seconds, 1000));
    }
    let millis: i64 = format!("{millis:0<3}").parse().ok()?;
    Some((minutes + seconds + millis, 1))
}

/// Takes a span: `5 min`, `30 s`, `1h`.
pub(super) fn span(words: &mut Words) -> Parsed<Millis> {
    let first = words.need("a span such as 5 min")?;
    let mut text = first.text.clone();
    if quantity::number(&text).is_some_and(|(_, unit)| unit.is_empty())
        && let Some(unit) = words.take()
    {
        text = format!("{text} {}", unit.text);
    }
    match quantity::span(&text) {
        Some(span) if span.0 > 0 => Ok(span),
        _ => first.wrong(format!(
            "`{text}` is no span of time; write 30 s, 5 min or 1 h"
        )),
    }
}

/// A time as it is told: with its day from the second on, and no more exactly than it is.
pub(super) fn show(at: Timestamp, midnight: Timestamp) -> String {
    let ms = (at - midnight).0;
    let (day, ms) = (ms.div_euclid(86_400_000) + 1, ms.rem_euclid(86_400_000));
    let mut text = match day {
        1 => String::new(),
        day => format!("day {day} "),
    };
    text += &format!("{:02}:{:02}", ms / 3_600_000, ms / 60_000 % 60);
    if ms % 60_000 != 0 {
        text += &format!(":{:02}", ms / 1000 % 60);
    }
    if ms % 1000 != 0 {
        text += &format!(".{:03}", ms % 1000);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_they_are_written() {
        assert_eq!(of_day("10:00"), Some((36_000_000, 60_000)));
        assert_eq!(of_day("00:00:30"), Some((30_000, 1000)));
        assert_eq!(of_day("00:00:01.5"), Some((1500, 1)));
        for wrong in [
            "10",
            "10:60",
            "24:00",
            "1:00",
            "10:00:00:00",
            "10:00:0x",
            "",
        ] {
            assert_eq!(of_day(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_told_can_be_written() {
        let midnight = Timestamp::parse(b"2026-03-14T00:00:00Z").unwrap();
        for text in ["10:00", "10:00:30", "10:00:00.250", "day 3 23:59"] {
            let mut words = Words::of(text).unwrap();
            assert_eq!(
                show(moment(&mut words, midnight).unwrap().at, midnight),
                text
            );
        }
    }
}
