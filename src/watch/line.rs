//! What a decision looks like in a terminal: one line, the same columns for all.
//!
//! ```text
//! 06:46:02  opened        severe    inc-7k2q9xw3tf  flood     riverside  3 sensors  river-high: wl-0412 3.72
//! ```
//!
//! Arrives: JSON of the stream. Leaves: text. Promise: nothing that the server says moves the
//! cursor or changes colours: control characters are left out.

use std::fmt::Write;

use serde_json::Value;

/// How decisions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// As the server wrote them.
    Json,
    /// For people.
    Lines {
        /// With ANSI colours.
        colour: bool,
    },
}

/// The readings named as cause, at most.
const CAUSES_MAX: usize = 3;

const DIM: &str = "2";
const BOLD: &str = "1";
const GREEN: &str = "32";

/// The ANSI style (ECMA-48 section 8.3.117) of a severity.
fn severity_style(severity: &str) -> &'static str {
    match severity {
        "extreme" => "1;97;41",
        "severe" => "1;31",
        "moderate" => "33",
        "minor" => "36",
        _ => DIM,
    }
}

/// A decision in one line.
pub(super) fn decision_line(decision: &Value, colour: bool) -> String {
    let mut line = Line::new(colour);
    line.cell(&time_of(&decision["at"]), 8, Some(DIM));
    let kind = text(&decision["type"]);
    let short = kind
        .strip_prefix("incident_")
        .unwrap_or(&kind)
        .replace('_', " ");
    if decision["incident"].is_object() {
        line.cell(&short, 14, verb_style(&short));
        line.incident(&decision["incident"]);
        line.cause(decision);
    } else if decision["sensor"].is_object() {
        let sensor = &decision["sensor"];
        line.cell(&short, 14, Some(DIM));
        line.words(&[&sensor["id"], &sensor["kind"], &sensor["zone"]]);
    } else if decision["command"].is_object() {
        let command = &decision["command"];
        let short = short.strip_prefix("command ").unwrap_or(&short);
        let is_grave = command["person_needed"] == true;
        line.cell(short, 14, is_grave.then_some(severity_style("severe")));
        line.words(&[
            &command["command"],
            &command["actuator"],
            &command["zone"],
            &command["answer"]["detail"],
            &command["confirmed_by"],
            &command["confirmation"]["value"],
        ]);
    } else {
        line.cell(&short, 14, Some(BOLD));
        line.words(&[
            &decision["code"],
            &decision["incident_id"],
            &decision["actuator_id"],
            &decision["bundle"],
        ]);
    }
    line.finish()
}

/// An incident that was open when we came.
pub(super) fn incident_line(incident: &Value, colour: bool) -> String {
    let mut line = Line::new(colour);
    line.cell(&time_of(&incident["opened_at"]), 8, Some(DIM));
    line.cell("open since", 14, Some(DIM));
    line.incident(incident);
    line.finish()
}

fn verb_style(verb: &str) -> Option<&'static str> {
    match verb {
        "opened" | "reopened" => Some(BOLD),
        "cleared" => Some(GREEN),
        "updated" => Some(DIM),
        _ => None,
    }
}

/// `06:46:02` of an RFC 3339 time.
fn time_of(at: &Value) -> String {
    text(at).chars().skip(11).take(8).collect()
}

/// A member's text without control characters; numbers as they are, nothing for the rest.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().filter(|c| !c.is_control()).collect(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

struct Line {
    text: String,
    colour: bool,
}

impl Line {
    const fn new(colour: bool) -> Self {
        Self {
            text: String::new(),
            colour,
        }
    }

    /// A column of this width and two spaces; wider text moves the rest.
    fn cell(&mut self, text: &str, width: usize, style: Option<&str>) {
        let padding = width.saturating_sub(text.chars().count()) + 2;
        match style.filter(|_| self.colour) {
            Some(style) => write!(self.text, "\x1b[{style}m{text}\x1b[0m{:padding$}", ""),
            None => write!(self.text, "{text}{:padding$}", ""),
        }
        .expect("a string grows");
    }

    fn words(&mut self, values: &[&Value]) {
        for value in values {
            let text = text(value);
            if !text.is_empty() {
                self.cell(&text, 0, None);
            }
        }
    }

    fn incident(&mut self, incident: &Value) {
        let severity = text(&incident["severity"]);
        self.cell(&severity, 8, Some(severity_style(&severity)));
        self.cell(&text(&incident["id"]), 14, None);
        self.cell(&text(&incident["kind"]), 9, Some(BOLD));
        self.cell(&text(&incident["zone"]), 14, None);
        let sensors = match incident["sensors"].as_u64() {
            Some(1) => "1 sensor".to_owned(),
            Some(count) => format!("{count} sensors"),
            None => String::new(),
        };
        self.cell(&sensors, 10, None);
    }

    /// Who or what brought it about: an other incident, a person, a rule and its readings.
    fn cause(&mut self, decision: &Value) {
        let cause = &decision["cause"];
        if let Some(into) = decision["into"].as_str() {
            self.cell(&format!("into {}", text(&into.into())), 0, None);
        }
        if cause["actor"].is_string() {
            self.cell(&format!("by {}", text(&cause["actor"])), 0, None);
        }
        let rule = text(&cause["rule"]);
        let evidence = cause["evidence"].as_array().map_or(&[][..], Vec::as_slice);
        let mut readings: Vec<String> = (evidence.iter().take(CAUSES_MAX))
            .map(|each| format!("{} {}", text(&each["sensor"]), text(&each["value"])))
            .collect();
        if evidence.len() > CAUSES_MAX {
            readings.push(format!("and {} more", evidence.len() - CAUSES_MAX));
        }
        match (rule.is_empty(), readings.is_empty()) {
            (false, false) => self.cell(&format!("{rule}: {}", readings.join(", ")), 0, Some(DIM)),
            (false, true) => self.cell(&rule, 0, Some(DIM)),
            (true, false) => self.cell(&readings.join(", "), 0, Some(DIM)),
            (true, true) => {}
        }
    }

    fn finish(mut self) -> String {
        self.text.truncate(self.text.trim_end().len());
        self.text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn opened() -> Value {
        json!({
            "seq": 7, "at": "2026-03-14T06:46:02.120Z", "type": "incident_opened",
            "incident": {"id": "inc-7k2q9xw3tf", "kind": "flood", "severity": "severe",
                "zone": "riverside", "sensors": 4},
            "cause": {"rule": "river-high", "evidence": [
                {"sensor": "wl-0001", "value": 3.72}, {"sensor": "wl-0002", "value": 3.5},
                {"sensor": "wl-0003", "value": 3.4}, {"sensor": "wl-0004", "value": 3.4}]},
        })
    }

    #[test]
    fn a_decision_is_one_line() {
        assert_eq!(
            decision_line(&opened(), false),
            "06:46:02  opened          severe    inc-7k2q9xw3tf  flood      riverside       \
             4 sensors   river-high: wl-0001 3.72, wl-0002 3.5, wl-0003 3.4, and 1 more"
        );
        let silent = json!({
            "at": "2026-03-14T06:46:02.120Z", "type": "sensor_silent",
            "sensor": {"id": "wl-0001", "kind": "water_level", "zone": "riverside"},
        });
        let expected = "06:46:02  sensor silent   wl-0001  water_level  riverside";
        assert_eq!(decision_line(&silent, false), expected);
        let failed = json!({
            "at": "2026-03-14T06:46:02.120Z", "type": "command_failed",
            "command": {"actuator": "gate-7", "zone": "z21", "command": "close",
                "person_needed": true, "answer": {"state": "failed", "detail": "motor"}},
        });
        let expected = "06:46:02  failed          close  gate-7  z21  motor";
        assert_eq!(decision_line(&failed, false), expected);
    }

    #[test]
    fn colours_are_asked_for_and_never_come_from_the_server() {
        assert!(decision_line(&opened(), true).contains("\x1b[1;31msevere\x1b[0m"));
        let mut sly = opened();
        sly["incident"]["zone"] = json!("\x1b[2Jriverside\n");
        let line = decision_line(&sly, false);
        assert!(line.contains("[2Jriverside") && !line.contains(['\x1b', '\n']));
    }
}
