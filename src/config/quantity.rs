//! Numbers with units as people write them: `3.0 m`, `5 min`, `64 MiB`, `1500 m`.
//!
//! Arrives: the text of a scalar. Leaves: the number in the program's own unit, or nothing, for
//! the reader of the key knows best what to write instead. Next: `field.rs`.

use ioc_core::time::Millis;

/// Splits `3.0 m` into a finite number and its unit, which may be empty.
pub fn number(text: &str) -> Option<(f64, &str)> {
    let is_digit = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-');
    let end = text.find(|c| !is_digit(c)).unwrap_or(text.len());
    let value: f64 = text[..end].parse().ok()?;
    value.is_finite().then_some((value, text[end..].trim()))
}

/// A whole number without a unit; `_` may group digits.
pub fn integer(text: &str) -> Option<u64> {
    text.replace('_', "").parse().ok()
}

/// A span of time: `250 ms`, `5 s`, `30 min`, `2 h`, `7 d`.
pub fn span(text: &str) -> Option<Millis> {
    let (value, unit) = number(text)?;
    let ms = match unit {
        "ms" => 1.0,
        "s" | "seconds" | "second" => 1e3,
        "min" | "minutes" | "minute" => 60e3,
        "h" | "hours" | "hour" => 3_600e3,
        "d" | "days" | "day" => 86_400e3,
        _ => return None,
    };
    whole(value * ms).map(Millis)
}

/// A distance in metres: `500 m`, `1.5 km`.
pub fn metres(text: &str) -> Option<i64> {
    let (value, unit) = number(text)?;
    match unit {
        "m" => whole(value),
        "km" => whole(value * 1e3),
        _ => None,
    }
}

/// A number of bytes: `262144`, `256 KiB`, `64 MiB`, `1 GiB`.
pub fn bytes(text: &str) -> Option<u64> {
    if let Some(bytes) = integer(text) {
        return Some(bytes);
    }
    let (value, unit) = number(text)?;
    let factor = match unit {
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    whole(value * factor).and_then(|bytes| bytes.try_into().ok())
}

/// The nearest whole number, if it is small enough to be exact.
fn whole(value: f64) -> Option<i64> {
    let rounded = value.round();
    (rounded.abs() < 1e15).then_some(rounded as i64)
}

/// A span of time as people write it.
pub fn show_span(span: Millis) -> String {
    const UNITS: [(i64, &str); 4] = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "min"),
        (1000, "s"),
    ];
    let Millis(ms) = span;
    match UNITS.iter().find(|(size, _)| ms != 0 && ms % size == 0) {
        Some((size, unit)) => format!("{} {unit}", ms / size),
        None if ms == 0 => "0 s".to_owned(),
        None => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_people_write_them() {
        assert_eq!(number("3.0 m"), Some((3.0, "m")));
        assert_eq!(number("-0.5"), Some((-0.5, "")));
        assert_eq!(number("10 %LEL"), Some((10.0, "%LEL")));
        assert_eq!(number("m"), None);
        assert_eq!(number("nan"), None);
        assert_eq!(number("1-2 m"), None);
        assert_eq!(span("1.5 h"), Some(Millis::minutes(90)));
        assert_eq!(span("30"), None);
        assert_eq!(metres("1.5 km"), Some(1500));
        assert_eq!(metres("9999999999999999 km"), None);
        assert_eq!(bytes("256 KiB"), Some(262_144));
        assert_eq!(bytes("1_000"), Some(1000));
        assert_eq!(bytes("1 MB"), None);
    }

    #[test]
    fn spans_are_shown_as_they_are_written() {
        for text in ["0 s", "250 ms", "90 s", "90 min", "1 h", "7 d"] {
            assert_eq!(span(text).map(show_span).as_deref(), Some(text));
        }
    }
}
