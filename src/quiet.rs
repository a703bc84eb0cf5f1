//! `ioc quiet`: what a server keeps quiet on purpose, and orders to keep more so, or less.
//!
//! Arrives: a server's address and token; what is to be kept quiet. Leaves: a table; what it would
//! have hidden in the last day (`--preview`); an order, answered once it is durable.

use std::fmt::Write as _;

use bytes::Bytes;
use clap::Args;
use hyper::Method;
use ioc_core::time::Millis;
use serde_json::{Map, Value, json};

use crate::ask::{Ask, AskError, ServerArgs, TokenArgs, print};
use crate::config::mistake::counted;
use crate::config::quantity;

const PATH: &str = "/api/v1/suppressions";
/// How many are asked for.
const LISTED: usize = 1000;

const HELP: &str = "\
Examples:
  ioc quiet                                            what is kept quiet, by whom, why, until when
  ioc quiet --zone harbour --kind water_level --preview        what that would have hidden today
  ioc quiet --sensor wl-0412 --for 2h --reason \"the weir is cleaned\"
  ioc quiet --out-of-service gas-07 --for 3d --reason calibration
  ioc quiet --incident inc-7k2q9xw3tf --for 1h --reason \"the fire brigade knows\"
  ioc quiet --extend sup-7k2q9xw3tf --for 1h
  ioc quiet --end sup-7k2q9xw3tf

What is kept quiet opens no incident and makes none worse; it is counted, and what is still abnormal
when it ends counts from then on. What is extreme is told all the same, unless its sensor is out of
service. Maintenance windows that come again are written in the rules (docs/RULES.md).";

/// What is kept quiet on purpose.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct QuietArgs {
    /// Shelve what is found of this sensor
    #[arg(long, value_name = "SENSOR")]
    sensor: Option<String>,
    /// … in this zone, with those that are part of it
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// … in readings of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// … by this detection rule
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Somebody works at this sensor: whatever it says says nothing
    #[arg(long, value_name = "SENSOR", conflicts_with_all = ["sensor", "zone", "kind", "rule", "incident"])]
    out_of_service: Option<String>,
    /// Nobody is called for this incident
    #[arg(long, value_name = "INCIDENT", conflicts_with_all = ["sensor", "zone", "kind", "rule"])]
    incident: Option<String>,
    /// For how long: 30min, 2h, 3d
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    lasting: Option<Millis>,
    /// Why, for those who see it next
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Only say what it would have hidden in the last day
    #[arg(long)]
    preview: bool,
    /// Let this one end so long from now, by --for
    #[arg(long, value_name = "SUPPRESSION", requires = "lasting", conflicts_with_all = ["end", "preview"])]
    extend: Option<String>,
    /// End this one now
    #[arg(long, value_name = "SUPPRESSION", conflicts_with = "preview")]
    end: Option<String>,
    #[command(flatten)]
    to: ServerArgs,
    #[command(flatten)]
    token: TokenArgs,
    /// The server's answer as it is
    #[arg(long)]
    json: bool,
}

fn span(text: &str) -> Result<Millis, String> {
    let span = quantity::span(text).filter(|span| *span > Millis::ZERO);
    span.ok_or_else(|| "a time such as 30min, 2h or 3d".to_owned())
}

/// Why nothing is told, or done.
#[derive(Debug, thiserror::Error)]
pub enum QuietError {
    /// What was typed is not whole.
    #[error("{0}")]
    Usage(&'static str),
    /// There is no answer, or the server said no.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// What is asked of the server.
struct Asked {
    method: Method,
    path: String,
    body: Value,
    told: fn(&Value) -> String,
}

/// Does what was typed.
///
/// # Errors
/// See [`QuietError`].
pub async fn command(args: QuietArgs) -> Result<(), QuietError> {
    let Asked {
        method,
        path,
        body,
        told,
    } = args.asked()?;
    let is_order = method == Method::POST && !path.ends_with("/preview");
    let token = is_order.then(|| args.token.read()).transpose()?;
    let body = match body {
        Value::Null => Bytes::new(),
        body => Bytes::from(body.to_string()),
    };
    let asked = Ask {
        method,
        path: &path,
        token: token.as_deref(),
        body,
    };
    let answer = asked.granted_by(&args.to.server).await?;
    let text = match args.json {
        true => format!("{answer}\n"),
        false => told(&answer),
    };
    Ok(print(&text)?)
}

impl QuietArgs {
    fn asked(&self) -> Result<Asked, QuietError> {
        let for_s = self.lasting.map(|Millis(ms)| ms as f64 / 1e3);
        let done: fn(&Value) -> String = |answer| {
            let request = answer["request_id"].as_str().unwrap_or_default();
            format!(
                "{}done, as of decision {}; request {request}\n",
                warned(answer),
                answer["seq"]
            )
        };
        let about = |id: &str, action: &str, body| Asked {
            method: Method::POST,
            path: format!("{PATH}/{id}/{action}"),
            body,
            told: done,
        };
        if let Some(id) = &self.end {
            return Ok(about(id, "end", json!({ "note": self.reason })));
        }
        if let Some(id) = &self.extend {
            let body = json!({ "for_s": for_s, "note": self.reason });
            return Ok(about(id, "extend", body));
        }
        let Some(mut body) = self.target() else {
            if self.preview || for_s.is_some() || self.reason.is_some() {
                return Err(QuietError::Usage(
                    "say what: --sensor, --zone, --kind, --rule, --out-of-service or --incident",
                ));
            }
            return Ok(Asked {
                method: Method::GET,
                path: format!("{PATH}?limit={LISTED}"),
                body: Value::Null,
                told: table,
            });
        };
        if self.preview {
            return Ok(Asked {
                method: Method::POST,
                path: format!("{PATH}/preview"),
                body: Value::Object(body),
                told: previewed,
            });
        }
        let (Some(for_s), Some(reason)) = (for_s, &self.reason) else {
            let what = "say --for how long and --reason why; or --preview what it would hide";
            return Err(QuietError::Usage(what));
        };
        body.insert("for_s".to_owned(), for_s.into());
        body.insert("reason".to_owned(), reason.as_str().into());
        Ok(Asked {
            method: Method::POST,
            path: PATH.to_owned(),
            body: Value::Object(body),
            told: done,
        })
    }

    /// What is meant, as the server takes it; nothing if nothing is said.
    fn target(&self) -> Option<Map<String, Value>> {
        let mut body = Map::new();
        if let Some(incident) = &self.incident {
            body.insert("incident".to_owned(), incident.as_str().into());
            return Some(body);
        }
        if let Some(sensor) = &self.out_of_service {
            body.insert("how".to_owned(), "out_of_service".into());
            body.insert("match".to_owned(), json!({ "sensor": sensor }));
            return Some(body);
        }
        let keys = [
            ("sensor", &self.sensor),
            ("zone", &self.zone),
            ("kind", &self.kind),
            ("rule", &self.rule),
        ];
        let said = keys.into_iter().filter_map(|(key, value)| {
            let value = value.as_deref()?;
            Some((key.to_owned(), value.into()))
        });
        let matching: Map<_, Value> = said.collect();
        if matching.is_empty() {
            return None;
        }
        body.insert("match".to_owned(), matching.into());
        Some(body)
    }
}

/// What is kept quiet, an entry of two lines each.
fn table(answer: &Value) -> String {
    let mut text = String::new();
    for each in answer["suppressions"].as_array().into_iter().flatten() {
        let word = |key: &str| each[key].as_str().unwrap_or_default();
        let state = match each["ended"].as_str() {
            Some(ended) => format!("over ({})", ended.replace('_', " ")),
            None => format!("until {}", word("until")),
        };
        let (id, how) = (word("id"), word("how").replace('_', " "));
        let (by, reason) = (word("by"), word("reason"));
        let what = meant(each);
        writeln!(text, "{id}  {how:<14}  {state}  {what}").expect("text takes all");
        let counted = format!("{} kept quiet", each["detections"]);
        let through = match each["let_through"].as_u64() {
            None | Some(0) => String::new(),
            Some(through) => format!(", {through} extreme told"),
        };
        writeln!(text, "    {by}: {reason} ({counted}{through})").expect("text takes all");
    }
    if text.is_empty() {
        text.push_str("nothing is kept quiet\n");
    }
    text
}

fn meant(each: &Value) -> String {
    if let Some(incident) = each["incident_id"].as_str() {
        return incident.to_owned();
    }
    let said = each["match"].as_object().into_iter().flatten();
    let said = said.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    said.collect::<Vec<_>>().join(" ")
}

/// What was probably not meant, before all else; a sensor may yet come that nobody knows.
fn warned(answer: &Value) -> String {
    match answer["warning"].as_str() {
        Some(warning) => format!("WARNING: {warning}\n"),
        None => String::new(),
    }
}

/// What it would have hidden.
fn previewed(answer: &Value) -> String {
    let from = answer["from"].as_str().unwrap_or_default();
    let horizon = match answer["complete"].as_bool() {
        Some(true) => format!("since {from}"),
        _ => format!("since {from}, for no more is held"),
    };
    let count = |key: &str| answer[key].as_u64().unwrap_or_default() as usize;
    let mut text = format!(
        "{}{horizon} it would have hidden {} of {} in {}, of which {} would not have opened and {} \
         perhaps not, and {} silences and faults of sensors\n",
        warned(answer),
        counted(count("detections"), "detection"),
        counted(count("sensors_total"), "sensor"),
        counted(count("incidents_total"), "incident"),
        count("never_opened"),
        count("perhaps_opened"),
        count("of_sensors"),
    );
    match count("let_through") {
        0 => {}
        told => {
            let line = format!("  {told} that got extreme would have been told");
            writeln!(text, "{line}").expect("text takes all");
        }
    }
    match count("passed_on") {
        0 => {}
        times => {
            let times = counted(times, "time");
            let line = format!("  it was passed on {times}, which would have waited");
            writeln!(text, "{line}").expect("text takes all");
        }
    }
    for each in answer["incidents"].as_array().into_iter().flatten() {
        let word = |key: &str| each[key].as_str().unwrap_or_default();
        let whole = match word("opens") {
            "no" => "not opened",
            "perhaps" => "opened only if what is left is enough",
            _ => "opened all the same",
        };
        writeln!(
            text,
            "  {} {} {:<9} {:<12} {} of {} readings, {whole}",
            word("opened_at"),
            word("id"),
            word("severity"),
            word("kind"),
            each["hidden"],
            each["evidence"],
        )
        .expect("text takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        args: QuietArgs,
    }

    fn asked(words: &str) -> Result<(String, Value), String> {
        let words = std::iter::once("quiet").chain(words.split_whitespace());
        let typed = Typed::try_parse_from(words).map_err(|error| error.to_string())?;
        let asked = typed.args.asked().map_err(|error| error.to_string())?;
        Ok((format!("{} {}", asked.method, asked.path), asked.body))
    }

    #[test]
    fn what_is_typed_is_what_is_asked() {
        let (path, body) = asked("--zone z21 --kind smoke --for 2h --reason works").unwrap();
        assert_eq!(path, "POST /api/v1/suppressions");
        let told = json!({
            "match": { "zone": "z21", "kind": "smoke" }, "for_s": 7200.0, "reason": "works",
        });
        assert_eq!(body, told);
        let (path, body) = asked("--out-of-service g-1 --preview").unwrap();
        assert_eq!(path, "POST /api/v1/suppressions/preview");
        assert_eq!(body["match"]["sensor"], "g-1");
        let (path, body) = asked("--extend sup-0 --for 30min").unwrap();
        assert_eq!(path, "POST /api/v1/suppressions/sup-0/extend");
        assert_eq!(body["for_s"], 1800.0);
        assert_eq!(asked("").unwrap().0, "GET /api/v1/suppressions?limit=1000");
    }

    #[test]
    fn what_is_not_whole_is_told() {
        for (words, said) in [
            ("--sensor a", "say --for how long"),
            ("--for 2h", "say what"),
            ("--preview", "say what"),
            ("--sensor a --for ever --reason r", "such as 30min"),
            ("--sensor a --incident inc-0", "cannot be used with"),
            ("--extend sup-0", "--for"),
        ] {
            let error = asked(words).unwrap_err();
            assert!(error.contains(said), "{words}: {error}");
        }
    }

    #[test]
    fn a_name_that_nothing_has_is_told_first() {
        let warning = "no sensor of the city is called `wl-9999`";
        let answer = json!({ "request_id": "r", "seq": 7, "warning": warning });
        let asked = |words: &str| {
            let words = std::iter::once("quiet").chain(words.split_whitespace());
            let asked = Typed::try_parse_from(words).unwrap().args.asked();
            asked.unwrap_or_else(|error| panic!("{error}")).told
        };
        let told = asked("--sensor wl-9999 --for 2h --reason works")(&answer);
        let first = format!("WARNING: {warning}\n");
        assert!(told.starts_with(&first) && told.contains("done"), "{told}");
        let told = asked("--sensor wl-9999 --preview")(&json!({
            "from": "2026-03-14T10:00:00.000Z", "complete": true, "detections": 1,
            "sensors_total": 1, "incidents_total": 2, "never_opened": 1, "warning": warning,
        }));
        assert!(told.starts_with(&first), "{told}");
        assert!(
            told.contains("1 detection of 1 sensor in 2 incidents"),
            "{told}"
        );
    }

    #[test]
    fn a_list_is_read_by_people() {
        assert_eq!(
            table(&json!({ "suppressions": [] })),
            "nothing is kept quiet\n"
        );
        let each = json!({
            "id": "sup-0", "how": "out_of_service", "match": { "sensor": "g-1" }, "by": "ana",
            "reason": "test gas", "until": "2026-03-14T10:00:00.000Z", "detections": 2,
            "let_through": 0,
        });
        let text = table(&json!({ "suppressions": [each] }));
        assert!(text.contains("sup-0  out of service  until 2026-03-14T10:00:00.000Z  sensor=g-1"));
        assert!(text.contains("ana: test gas (2 kept quiet)"), "{text}");
    }
}
