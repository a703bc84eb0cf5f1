//! Progress bars and notes on stderr, silent where stderr is no terminal.
//!
//! Arrives: how far a command has come. Leaves: one line that is drawn over itself a few times a
//! second, and notes that stand above it. Promise: nothing is ever written to stdout, and a log
//! file gets the notes only, without control characters.

use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The line that shows how far a command has come.
#[derive(Debug, Clone)]
pub struct Progress(ProgressBar);

const BYTES: &str = "{prefix} {wide_bar} {bytes}/{total_bytes} {percent}% · {msg} · {eta} left";
const ITEMS: &str = "{prefix} {wide_bar} {human_pos}/{human_len} {percent}% · {msg} · {eta} left";
const SPINNER: &str = "{spinner} {prefix} {elapsed} · {msg}";

impl Progress {
    /// Of so many bytes, for example of the file that is read.
    pub fn bytes(what: &str, total: u64) -> Self {
        Self::bar(ProgressBar::new(total), BYTES, what)
    }

    /// Of so many things.
    pub fn items(what: &str, total: u64) -> Self {
        Self::bar(ProgressBar::new(total), ITEMS, what)
    }

    /// Of nobody knows how much.
    pub fn spinner(what: &str) -> Self {
        let progress = Self::bar(ProgressBar::no_length(), SPINNER, what);
        progress.0.enable_steady_tick(Duration::from_millis(250));
        progress
    }

    fn bar(bar: ProgressBar, template: &str, what: &str) -> Self {
        // Draws nothing when stderr is no terminal, and a few times a second at most.
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        bar.set_style(style.progress_chars("━╸ "));
        bar.set_prefix(what.to_owned());
        Self(bar)
    }

    /// So far (bytes or items) has it come.
    pub fn reached(&self, position: u64) {
        self.0.set_position(position);
    }

    /// There are so many in all, as is known now.
    pub fn is_of(&self, total: u64) {
        self.0.set_length(total);
    }

    /// What else there is to say on the line, such as a rate.
    pub fn says(&self, message: impl Display) {
        self.0.set_message(message.to_string());
    }

    /// Writes a note above the line, or plainly to stderr where there is no line.
    pub fn note(&self, note: impl Display) {
        self.0.suspend(|| tell(note));
    }

    /// Takes the line away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// Writes a note to stderr, unless nobody reads it any more: work goes on without a listener.
pub fn tell(note: impl Display) {
    drop(writeln!(io::stderr().lock(), "{note}"));
}

/// A count with thousands apart: `1,234,567`.
pub fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in the unit that people would choose: `850 µs`, `4.2 ms`, `3.1 s`, `12 min 30 s`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..1e-3 => format!("{} µs", duration.as_micros()),
        1e-3..1.0 => format!("{:.1} ms", seconds * 1e3),
        1.0..60.0 => format!("{seconds:.1} s"),
        _ => format!("{} min {:02} s", seconds as u64 / 60, seconds as u64 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(span(Duration::from_micros(850)), "850 µs");
        assert_eq!(span(Duration::from_micros(4240)), "4.2 ms");
        assert_eq!(span(Duration::from_millis(3100)), "3.1 s");
        assert_eq!(span(Duration::from_secs(750)), "12 min 30 s");
    }
}
