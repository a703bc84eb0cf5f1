//! Instants and durations, in milliseconds, and their RFC 3339 text.
//!
//! Arrives: text from the wire, or milliseconds from the host's clock. Leaves: [`Timestamp`] and
//! [`Millis`], which order and subtract exactly. Not here: any way to ask what time it is.
//! Next: `place.rs`.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

/// A span of time in milliseconds. Never negative where it is a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub i64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many seconds.
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds * 1000)
    }

    /// So many minutes.
    pub const fn minutes(minutes: i64) -> Self {
        Self::seconds(minutes * 60)
    }
}

/// An instant: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// Between the years 0000 and 9999, so that it always has an RFC 3339 text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A text that is not an RFC 3339 instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeError;

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an RFC 3339 time such as 2026-03-14T06:45:10.933Z")
    }
}

impl std::error::Error for TimeError {}

const DAY_MS: i64 = 86_400_000;

impl Timestamp {
    /// The earliest instant: 0000-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_167_219_200_000);
    /// The latest instant: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The instant so many milliseconds after 1970, brought between [`Self::MIN`] and
    /// [`Self::MAX`].
    pub const fn from_millis(millis: i64) -> Self {
        if millis < Self::MIN.0 {
            Self::MIN
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Parses RFC 3339 (section 5.6), with any offset; digits beyond milliseconds are cut off and
    /// a leap second counts as the next second.
    pub fn parse(text: &[u8]) -> Result<Self, TimeError> {
        let date_time = text.first_chunk::<19>().ok_or(TimeError)?;
        let separators = [date_time[4], date_time[7], date_time[13], date_time[16]];
        if separators != *b"--::" || !matches!(date_time[10], b'T' | b't' | b' ') {
            return Err(TimeError);
        }
        let year = number(&date_time[0..4])?;
        let month = number(&date_time[5..7])?;
        let day = number(&date_time[8..10])?;
        let hour = number(&date_time[11..13])?;
        let minute = number(&date_time[14..16])?;
        let second = number(&date_time[17..19])?;
        if !(1..=12).contains(&month)
            || !(1..=days_in_month(year, month)).contains(&day)
            || hour > 23
            || minute > 59
            || second > 60
        {
            return Err(TimeError);
        }
        let (millis, rest) = fraction(&text[19..])?;
        let offset_ms = offset(rest)?;
        let seconds = (hour * 60 + minute) * 60 + second;
        let utc = days_from_civil(year, month, day) * DAY_MS + seconds * 1000 + millis - offset_ms;
        if (Self::MIN.0..=Self::MAX.0).contains(&utc) {
            Ok(Self(utc))
        } else {
            Err(TimeError)
        }
    }
}

/// The optional fraction of a second, in milliseconds, and what follows it.
fn fraction(text: &[u8]) -> Result<(i64, &[u8]), TimeError> {
    let Some(digits) = text.strip_prefix(b".") else {
        return Ok((0, text));
    };
    let length = digits
        .iter()
        .take_while(|digit| digit.is_ascii_digit())
        .count();
    if length == 0 {
        return Err(TimeError);
    }
    let mut millis = 0;
    let significant = digits[..length].iter().map(|digit| i64::from(digit - b'0'));
    for digit in significant.chain([0, 0]).take(3) {
        millis = millis * 10 + digit;
    }
    Ok((millis, &digits[length..]))
}

/// The offset from UTC, in milliseconds.
fn offset(text: &[u8]) -> Result<i64, TimeError> {
    match text {
        b"Z" | b"z" => Ok(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return Err(TimeError);
            }
            let ms = (hours * 60 + minutes) * 60_000;
            Ok(if *sign == b'-' { -ms } else { ms })
        }
        _ => Err(TimeError),
    }
}

fn number(digits: &[u8]) -> Result<i64, TimeError> {
    let mut value = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(TimeError);
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    Ok(value)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar, counted in 400-year eras
/// of years that begin in March (H. Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds: `2026-03-14T06:45:10.933Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(DAY_MS));
        let ms = self.0.rem_euclid(DAY_MS);
        let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
        let (second, millis) = (ms / 1000 % 60, ms % 1000);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        Self::parse(text.as_bytes())
    }
}

impl Add<Millis> for Timestamp {
    type Output = Self;
    /// The instant later by so much, at most [`Timestamp::MAX`].
    fn add(self, span: Millis) -> Self {
        Self::from_millis(self.0.saturating_add(span.0))
    }
}

impl Sub<Millis> for Timestamp {
    type Output = Self;
    /// The instant earlier by so much, at least [`Timestamp::MIN`].
    fn sub(self, span: Millis) -> Self {
        Self::from_millis(self.0.saturating_sub(span.0))
    }
}

impl Sub for Timestamp {
    type Output = Millis;
    fn sub(self, earlier: Self) -> Millis {
        Millis(self.0 - earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rfc_3339() {
        let millis = |text: &str| text.parse::<Timestamp>().map(Timestamp::as_millis);
        assert_eq!(millis("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(millis("2026-03-14T06:45:10.933Z"), Ok(1_773_470_710_933));
        assert_eq!(
            millis("2026-03-14T14:45:10.9339+08:00"),
            Ok(1_773_470_710_933)
        );
        assert_eq!(
            millis("2026-03-14t01:15:10.933-05:30"),
            Ok(1_773_470_710_933)
        );
        assert_eq!(
            millis("2016-12-31T23:59:60Z"),
            millis("2017-01-01T00:00:00Z")
        );
        assert_eq!(millis("2024-02-29T00:00:00.5Z"), Ok(1_709_164_800_500));
    }

    #[test]
    fn refuses_what_is_no_instant() {
        for text in [
            "",
            "yesterday",
            "2026-03-14",
            "2026-03-14T06:45:10",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-03-14T24:00:00Z",
            "2026-03-14T06:45:10.Z",
            "2026-03-14T06:45:10+0800",
            "0000-01-01T00:00:00+01:00",
            "2026-03-14T06:45:10ZZ",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimeError), "{text}");
        }
    }

    #[test]
    fn the_ends_of_time_have_a_text() {
        assert_eq!(Timestamp::MIN.to_string(), "0000-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::MAX + Millis(1), Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Millis(1), Timestamp::MIN);
    }

    proptest::proptest! {
        #[test]
        fn text_reads_back(ms in Timestamp::MIN.0..=Timestamp::MAX.0) {
            let at = Timestamp::from_millis(ms);
            proptest::prop_assert_eq!(at.to_string().parse(), Ok(at));
        }
    }
}
