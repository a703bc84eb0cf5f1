//! Figures for people: medians of rounds, and ratios beside what they should be.

use std::fmt::Write as _;
use std::time::Duration;

/// The middle of several rounds' figures; the upper one of two.
///
/// # Panics
/// If there are none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The rounds' figures, least to greatest, so that noise shows: `36k, 41k, 50k`.
pub fn spread(mut figures: Vec<f64>, show: impl Fn(f64) -> String) -> String {
    figures.sort_by(f64::total_cmp);
    let shown: Vec<_> = figures.into_iter().map(show).collect();
    shown.join(", ")
}

/// A rate: `708k`, `1.30M`.
pub fn rate(per_second: f64) -> String {
    match per_second {
        1e6.. => format!("{:.2}M", per_second / 1e6),
        1e4.. => format!("{:.0}k", per_second / 1e3),
        _ => format!("{per_second:.0}"),
    }
}

/// A length of time in microseconds or milliseconds.
pub fn time(duration: Duration) -> String {
    micros(duration.as_secs_f64() * 1e6)
}

/// The same of a number of microseconds.
pub fn micros(micros: f64) -> String {
    match micros {
        1e6.. => format!("{:.2} s", micros / 1e6),
        1e4.. => format!("{:.1} ms", micros / 1e3),
        1e3.. => format!("{:.2} ms", micros / 1e3),
        _ => format!("{micros:.0} µs"),
    }
}

/// A number of bytes: `80 MiB`.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// What a ratio should be.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// So much or more.
    AtLeast(f64),
    /// So much or less.
    AtMost(f64),
}

impl Target {
    /// The ratio, what it should be, and whether it is.
    pub fn judge(self, ratio: f64) -> String {
        let mut text = format!("{ratio:.2}");
        let (words, target, reached) = match self {
            Self::AtLeast(least) => ("at least", least, ratio >= least),
            Self::AtMost(most) => ("at most", most, ratio <= most),
        };
        let verdict = if reached { "reached" } else { "MISSED" };
        write!(text, " (target: {words} {target}; {verdict})").expect("a string grows");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_whatever_the_order() {
        assert_eq!(median(vec![9.0, 1.0, 4.0]), 4.0);
        assert_eq!(median(vec![2.0]), 2.0);
    }

    #[test]
    fn a_target_says_whether_it_is_reached() {
        assert!(
            Target::AtLeast(10.0)
                .judge(19.3)
                .contains("19.30 (target: at least 10; reached")
        );
        assert!(Target::AtMost(2.5).judge(2.6).contains("MISSED"));
    }
}
