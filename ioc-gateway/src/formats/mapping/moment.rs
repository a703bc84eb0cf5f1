//! When something was observed, as messages say it.
//!
//! Arrives: what a mapping says of the time, and an item. Leaves: a [`Timestamp`], or the reason why
//! there is none. Left out: time zones by name, of which the same time means another in some years.

use std::fmt;
use std::str::FromStr;

use ioc_core::time::Timestamp;

use super::super::draft::Scratch;
use super::super::{Reason, Reject, cut, epoch};
use super::Text;
use super::expression::{Asked, Filled};
use super::shape::{nothing, numeral};
use crate::catalogue::Catalogue;

/// No time is longer.
const TIME_BYTES_MAX: usize = 64;

/// How the time of observation is found.
#[derive(Debug, Clone, PartialEq)]
pub enum Moment {
    /// The message says none: it is when the message arrived.
    Arrival,
    /// A time as in RFC 3339, or written like this; one without an offset from UTC has this one.
    Written {
        /// Where it stands, or what it is put together of.
        from: Text,
        /// `+08:00`, if times come without.
        offset: Option<Box<str>>,
        /// How it is written, if otherwise.
        pattern: Option<Pattern>,
    },
    /// A number since 1970.
    Counted {
        /// Where it stands.
        from: Text,
        /// Of what.
        epoch: Epoch,
    },
}

/// What is counted since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epoch {
    /// Seconds, perhaps with a fraction.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

/// How a time is written: `%d.%m.%Y %H:%M`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// As it was written.
    text: Box<str>,
    pieces: Vec<Piece>,
}

/// A part of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// This character.
    Literal(char),
    /// One blank, or several.
    Blank,
    Year,
    /// Of this century.
    ShortYear,
    Month,
    /// In English, or its first three letters.
    MonthName,
    Day,
    Hour,
    /// From 1 to 12.
    HalfDayHour,
    HalfDay,
    Minute,
    Second,
    /// Digits behind the seconds.
    Fraction,
    /// From UTC.
    Offset,
}

/// What each letter behind a `%` stands for.
const LETTERS: [(char, Piece); 13] = [
    ('Y', Piece::Year),
    ('y', Piece::ShortYear),
    ('m', Piece::Month),
    ('b', Piece::MonthName),
    ('d', Piece::Day),
    ('H', Piece::Hour),
    ('I', Piece::HalfDayHour),
    ('p', Piece::HalfDay),
    ('M', Piece::Minute),
    ('S', Piece::Second),
    ('f', Piece::Fraction),
    ('z', Piece::Offset),
    ('%', Piece::Literal('%')),
];

/// A text that does not say how times are written, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A letter that stands for nothing.
    #[error(
        "`%{0}` stands for nothing; write %Y or %y for the year, %m or %b for the month, %d for the \
         day, %H, or %I with %p, for the hour, %M for the minute, %S for the second, %f for its \
         fraction, and %z for the offset from UTC"
    )]
    Letter(char),
    /// A `%` at the end.
    #[error("ends in a `%`; write `%%` for the character itself")]
    Ends,
    /// A part that a time needs, or one twice.
    #[error("has {0}; write for example `%d.%m.%Y %H:%M`")]
    Parts(&'static str),
    /// Longer than a time may be.
    #[error("has more than {TIME_BYTES_MAX} bytes; no time is so long")]
    Long,
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.len() > TIME_BYTES_MAX {
            return Err(PatternError::Long);
        }
        let (mut pieces, mut rest) = (Vec::new(), text.trim().chars());
        while let Some(character) = rest.next() {
            let piece = match character {
                '%' => {
                    let letter = rest.next().ok_or(PatternError::Ends)?;
                    let mut letters = LETTERS.iter();
                    let known = letters.find(|(own, _)| *own == letter);
                    known.ok_or(PatternError::Letter(letter))?.1
                }
                blank if blank.is_whitespace() => Piece::Blank,
                other => Piece::Literal(other),
            };
            pieces.push(piece);
        }
        let pattern = Self {
            text: text.into(),
            pieces,
        };
        pattern.check()?;
        Ok(pattern)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pattern {
    /// Whether times so written say their offset from UTC.
    pub fn says_offset(&self) -> bool {
        self.pieces.contains(&Piece::Offset)
    }

    /// Makes sure that it says each part of a time once.
    fn check(&self) -> Result<(), PatternError> {
        let count = |wanted: &[Piece]| {
            let is_wanted = |piece: &&Piece| wanted.contains(piece);
            self.pieces.iter().filter(is_wanted).count()
        };
        let once: [(&[Piece], &str); 4] = [
            (
                &[Piece::Year, Piece::ShortYear],
                "not one `%Y` (or `%y`) for the year",
            ),
            (
                &[Piece::Month, Piece::MonthName],
                "not one `%m` (or `%b`) for the month",
            ),
            (&[Piece::Day], "not one `%d` for the day"),
            (
                &[Piece::Hour, Piece::HalfDayHour],
                "not one `%H` (or `%I` with `%p`) for the hour",
            ),
        ];
        for (pieces, what) in once {
            if count(pieces) != 1 {
                return Err(PatternError::Parts(what));
            }
        }
        let rest = [Piece::Minute, Piece::Second, Piece::Fraction, Piece::Offset];
        if rest.iter().any(|piece| count(&[*piece]) > 1) {
            return Err(PatternError::Parts(
                "a minute, a second, a fraction or an offset twice",
            ));
        }
        if count(&[Piece::HalfDay]) != count(&[Piece::HalfDayHour]) {
            return Err(PatternError::Parts(
                "one of `%I` and `%p` without the other",
            ));
        }
        Ok(())
    }

    /// The time that a text says so; one without an offset has this one.
    fn read(&self, text: &str, offset: Option<&str>) -> Option<Timestamp> {
        let (mut rest, mut parts) = (text.trim(), Parts::default());
        for (number, piece) in self.pieces.iter().enumerate() {
            // Without anything between them only their width tells numbers apart.
            let before = number.checked_sub(1).map(|before| self.pieces[before]);
            let behind = self.pieces.get(number + 1).copied();
            let is_full = [before, behind].iter().flatten().any(|it| it.is_number());
            rest = parts.take(*piece, is_full, rest)?;
        }
        let whole = parts.whole(offset).filter(|_| rest.is_empty())?;
        Timestamp::parse(whole.as_bytes()).ok()
    }
}

/// What a text says of a time so far.
#[derive(Default)]
struct Parts<'t> {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    is_afternoon: Option<bool>,
    minute: u32,
    second: u32,
    fraction: &'t str,
    offset: Option<String>,
}

impl Piece {
    /// Whether it is written in digits.
    const fn is_number(self) -> bool {
        match self {
            Self::Year
            | Self::ShortYear
            | Self::Month
            | Self::Day
            | Self::Hour
            | Self::HalfDayHour
            | Self::Minute
            | Self::Second
            | Self::Fraction => true,
            Self::Literal(_) | Self::Blank | Self::MonthName | Self::HalfDay | Self::Offset => {
                false
            }
        }
    }
}

impl<'t> Parts<'t> {
    /// Takes a piece off the front; what is behind it. `is_full`: with all of its digits.
    fn take(&mut self, piece: Piece, is_full: bool, text: &'t str) -> Option<&'t str> {
        let part = match piece {
            Piece::Literal(wanted) => return text.strip_prefix(wanted),
            Piece::Blank => {
                let rest = text.trim_start();
                return (rest.len() < text.len()).then_some(rest);
            }
            Piece::MonthName => {
                let (name, rest) = letters(text);
                self.month = month(name)?;
                return Some(rest);
            }
            Piece::HalfDay => {
                let (word, rest) = letters(text);
                self.is_afternoon = Some(match word {
                    word if word.eq_ignore_ascii_case("am") => false,
                    word if word.eq_ignore_ascii_case("pm") => true,
                    _ => return None,
                });
                return Some(rest);
            }
            Piece::Fraction => {
                let (digits, rest) = digits(text, 9)?;
                self.fraction = digits;
                return Some(rest);
            }
            Piece::Offset => {
                let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "+-:".contains(c)));
                let (said, rest) = text.split_at(end.unwrap_or(text.len()));
                self.offset = Some(zone(said)?);
                return Some(rest);
            }
            Piece::Year => &mut self.year,
            Piece::ShortYear => &mut self.year,
            Piece::Month => &mut self.month,
            Piece::Day => &mut self.day,
            Piece::Hour | Piece::HalfDayHour => &mut self.hour,
            Piece::Minute => &mut self.minute,
            Piece::Second => &mut self.second,
        };
        let most = if piece == Piece::Year { 4 } else { 2 };
        let (digits, rest) = digits(text, most)?;
        let is_short = digits.len() < most;
        let is_whole = !is_short || !(is_full || matches!(piece, Piece::Year | Piece::ShortYear));
        *part = digits.parse().ok().filter(|_| is_whole)?;
        if piece == Piece::ShortYear {
            *part += 2000;
        }
        if piece == Piece::HalfDayHour && !(1..=12).contains(part) {
            return None;
        }
        Some(rest)
    }

    /// All of it, as in RFC 3339.
    fn whole(&self, offset: Option<&str>) -> Option<String> {
        let Self {
            year,
            month,
            day,
            minute,
            second,
            ..
        } = self;
        let hour = match self.is_afternoon {
            None => self.hour,
            Some(is_afternoon) => self.hour % 12 + if is_afternoon { 12 } else { 0 },
        };
        let fraction = match self.fraction {
            "" => String::new(),
            digits => format!(".{digits}"),
        };
        let offset = self.offset.as_deref().or(offset)?;
        Some(format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{offset}"
        ))
    }
}

/// The digits at the front, so many at most; `None` if there are none.
fn digits(text: &str, most: usize) -> Option<(&str, &str)> {
    let digits = text.bytes().take(most).take_while(u8::is_ascii_digit);
    match digits.count() {
        0 => None,
        count => Some(text.split_at(count)),
    }
}

/// The letters at the front.
fn letters(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_alphabetic());
    text.split_at(end.unwrap_or(text.len()))
}

/// The number of a month, by its name or the first three letters of it.
fn month(name: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let is_it =
        |month: &&str| name.eq_ignore_ascii_case(month) || name.eq_ignore_ascii_case(&month[..3]);
    let at = MONTHS.iter().position(is_it)?;
    u32::try_from(at + 1).ok()
}

impl Moment {
    /// What an item says.
    pub(super) fn of(
        &self,
        asked: Asked<'_>,
        scratch: &mut Scratch,
        catalogue: &Catalogue,
    ) -> Result<Timestamp, Reject> {
        let from = match self {
            Self::Arrival => return Ok(scratch.arrival(catalogue)),
            Self::Written { from, .. } | Self::Counted { from, .. } => from,
        };
        match from.fill(asked, &mut scratch.texts)? {
            Filled::Part(part) => {
                let text = part.resolve(&scratch.texts);
                let time = self.read(text);
                time.ok_or_else(|| self.invalid(text, from))
            }
            Filled::Nothing(source) => {
                let enveloped = scratch.envelope.as_ref().and_then(|envelope| envelope.time);
                let missing = || nothing("observed_at", Reason::ObservedAtMissing, source);
                enveloped.ok_or_else(missing)
            }
            Filled::NoText(_, word) => Err(self.invalid(word, from)),
        }
    }

    /// Why what was found is no time.
    fn invalid(&self, found: &str, from: &Text) -> Reject {
        let found = cut(found);
        let wanted = match self {
            Self::Counted { epoch, .. } => epoch.word().to_owned(),
            Self::Written {
                pattern: Some(pattern),
                ..
            } => format!("a time written as `{pattern}`"),
            Self::Arrival | Self::Written { .. } => {
                "a time such as 2026-03-14T06:45:10.933Z".to_owned()
            }
        };
        let places: Vec<_> = from.sources().map(|source| format!("`{source}`")).collect();
        let places = places.join(" and ");
        let detail = format!("observed_at: {found:?} at {places} is not {wanted}");
        Reject::new(Reason::ObservedAtInvalid, detail)
    }

    /// The time that a text says.
    fn read(&self, text: &str) -> Option<Timestamp> {
        if text.len() > TIME_BYTES_MAX {
            return None;
        }
        let offset = match self {
            Self::Arrival => return None,
            Self::Counted { epoch, .. } => return epoch.time(numeral(text)?),
            Self::Written {
                pattern: Some(pattern),
                offset,
                ..
            } => return pattern.read(text, offset.as_deref()),
            Self::Written { offset, .. } => offset,
        };
        let as_is = Timestamp::parse(text.as_bytes()).ok();
        as_is.or_else(|| {
            let whole = completed(text, offset.as_deref())?;
            Timestamp::parse(whole.as_bytes()).ok()
        })
    }
}

/// A time as RFC 3339 has it, of one that ISO 8601 or a device writes otherwise: without seconds, with a
/// comma before its fraction, with `+0800`, `+08` or a name of UTC, perhaps behind a blank; and with
/// this offset if it has none.
fn completed(text: &str, offset: Option<&str>) -> Option<String> {
    let text = text.trim();
    let (minutes, rest) = text.is_ascii().then(|| text.split_at_checked(16))??;
    let (seconds, rest) = match rest.starts_with(':') {
        true => rest.split_at_checked(3)?,
        false => (":00", rest),
    };
    let digits = rest.strip_prefix(['.', ',']).unwrap_or_default();
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, zone) = match count {
        0 => (String::new(), rest),
        count => (format!(".{}", &digits[..count]), &digits[count..]),
    };
    let zone = match zone.trim() {
        "" => offset?.to_owned(),
        said => self::zone(said)?,
    };
    Some(format!("{minutes}{seconds}{fraction}{zone}"))
}

/// An offset from UTC as RFC 3339 has it, of one that is written otherwise.
fn zone(text: &str) -> Option<String> {
    Some(match text.as_bytes() {
        [] => return None,
        b"UTC" | b"GMT" | b"utc" | b"gmt" | b"z" => "Z".to_owned(),
        [b'+' | b'-', _, _] => format!("{text}:00"),
        [b'+' | b'-', _, _, m1, _] if m1.is_ascii_digit() => {
            format!("{}:{}", &text[..3], &text[3..])
        }
        _ => text.to_owned(),
    })
}

impl Epoch {
    /// The time of so many of them.
    fn time(self, count: f64) -> Option<Timestamp> {
        epoch(match self {
            Self::Seconds => count * 1e3,
            Self::Millis => count,
            Self::Micros => count / 1e3,
            Self::Nanos => count / 1e6,
        })
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Seconds => "seconds since 1970",
            Self::Millis => "milliseconds since 1970",
            Self::Micros => "microseconds since 1970",
            Self::Nanos => "nanoseconds since 1970",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_devices_write_otherwise_are_completed() {
        let read = |text: &str, offset: Option<&str>| {
            let whole = completed(text, offset)?;
            let time = Timestamp::parse(whole.as_bytes()).ok()?;
            Some(time.to_string())
        };
        let whole = Some("2026-03-14T06:45:10.000Z".to_owned());
        for text in [
            "2026-03-14T14:45:10+0800",
            "2026-03-14T14:45:10+08",
            "2026-03-14 14:45:10 +08:00",
            "2026-03-14 06:45:10 UTC",
            "2026-03-14T06:45:10GMT",
            " 2026-03-14T06:45:10Z ",
        ] {
            assert_eq!(read(text, None), whole, "{text}");
        }
        let minute = Some("2026-03-14T06:45:00.000Z".to_owned());
        assert_eq!(read("2026-03-14T06:45Z", None), minute);
        assert_eq!(read("2026-03-14 14:45", Some("+08:00")), minute);
        let exact = Some("2026-03-14T06:45:10.933Z".to_owned());
        assert_eq!(read("2026-03-14T06:45:10,933Z", None), exact);
        assert_eq!(read("2026-03-14 06:45:10.933 UTC", None), exact);
        for text in [
            "2026-03-14T06:45:10",
            "2026-03-14",
            "14.03.2026 06:45:10",
            "2026-03-14T06:45:10 MST",
            "2026-03-14T06:45:1Z",
            "2026-03-14T06:45:10+8",
            "2026-03-14T06:45:10+080",
            "20260314T064510Z",
            "2026-03-14T06:45:10é",
            "",
        ] {
            assert_eq!(read(text, None), None, "{text}");
        }
    }

    #[test]
    fn times_are_read_as_their_pattern_says() {
        let read = |pattern: &str, text: &str, offset: Option<&str>| {
            let pattern: Pattern = pattern.parse().unwrap();
            pattern.read(text, offset).map(|time| time.to_string())
        };
        let whole = Some("2026-03-14T06:45:10.000Z".to_owned());
        let minute = Some("2026-03-14T06:45:00.000Z".to_owned());
        let exact = Some("2026-03-14T06:45:10.933Z".to_owned());
        for (pattern, text, offset, expected) in [
            ("%Y%m%dT%H%M%S%z", "20260314T064510Z", None, &whole),
            ("%Y%m%dT%H%M%S%z", "20260314T144510+0800", None, &whole),
            ("%Y%m%d%H%M%S", "20260314064510", Some("Z"), &whole),
            ("%Y%m%d %H%M", "20260314 645", Some("Z"), &None),
            ("%Y%m%d %H%M%S", "20260314 64510", Some("Z"), &None),
            ("%Y%m%d %H:%M:%S", "20260314 6:45:10", Some("Z"), &whole),
            (
                "%d.%m.%Y %H:%M",
                "14.03.2026 14:45",
                Some("+08:00"),
                &minute,
            ),
            ("%d.%m.%Y %H:%M", " 14.3.2026   6:45 ", Some("Z"), &minute),
            (
                "%d/%m/%y %I:%M %p",
                "14/03/26 02:45 pm",
                Some("+08:00"),
                &minute,
            ),
            (
                "%b %d, %Y %I:%M:%S%p",
                "Mar 14, 2026 6:45:10AM",
                Some("Z"),
                &whole,
            ),
            (
                "%d %b %Y %H:%M:%S %z",
                "14 March 2026 06:45:10 GMT",
                None,
                &whole,
            ),
            (
                "%d-%m-%Y %H:%M:%S.%f %z",
                "14-03-2026 14:45:10.933 +08",
                None,
                &exact,
            ),
            (
                "%d-%m-%Y %H:%M:%S,%f",
                "14-03-2026 06:45:10,9330001",
                Some("Z"),
                &exact,
            ),
            (
                "%Y-%m-%d %H.%M %%",
                "2026-03-14 06.45 %",
                Some("Z"),
                &minute,
            ),
        ] {
            assert_eq!(
                read(pattern, text, offset),
                *expected,
                "{pattern} of {text}"
            );
        }
        for (pattern, text) in [
            ("%d.%m.%Y %H:%M", "14.03.2026 06:45:10"),
            ("%d.%m.%Y %H:%M", "14.03.26 06:45"),
            ("%d.%m.%Y %H:%M", "14.13.2026 06:45"),
            ("%d.%m.%Y %H:%M", "14.03.2026T06:45"),
            ("%d.%m.%Y %H:%M", "14.03.2026"),
            ("%d.%m.%Y %H:%M", ""),
            ("%d.%m.%Y %H:%M", "é4.03.2026 06:45"),
            ("%d/%m/%y %I:%M %p", "14/03/26 13:45 pm"),
            ("%d/%m/%y %I:%M %p", "14/03/26 01:45 xm"),
            ("%d %b %Y %H", "14 M 2026 06"),
            ("%Y%m%dT%H%M%S%z", "20260314T064510"),
            ("%Y%m%dT%H%M%S%z", "20260314T064510 MST"),
        ] {
            assert_eq!(read(pattern, text, Some("Z")), None, "{pattern} of {text}");
        }
        assert_eq!(read("%d.%m.%Y %H:%M", "14.03.2026 06:45", None), None);
    }

    #[test]
    fn a_pattern_says_each_part_once() {
        for (text, expected) in [
            ("%d.%m.%Y %k", "`%k` stands for nothing"),
            ("%d.%m.%Y %H%", "ends in a `%`"),
            ("%d.%m %H:%M", "for the year"),
            ("%d.%Y %H:%M", "for the month"),
            ("%d.%m.%b.%Y %H:%M", "for the month"),
            ("%m.%Y %H:%M", "for the day"),
            ("%d.%m.%Y", "for the hour"),
            ("%d.%m.%Y %I:%M", "without the other"),
            ("%d.%m.%Y %H:%M:%M", "twice"),
            ("DD.MM.YYYY HH:mm", "for the year"),
        ] {
            let error = text.parse::<Pattern>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let long = format!("%d.%m.%Y %H:%M{}", "x".repeat(TIME_BYTES_MAX));
        assert_eq!(long.parse::<Pattern>(), Err(PatternError::Long));
    }
}
