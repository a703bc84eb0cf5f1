//! `ioc dead-letters`: what a server could not read, and reading it again.
//!
//! Arrives: the answers of a server's REST. Leaves: a table of reasons and topics, single letters,
//! or what became of those that were read again. Nothing is decided here: the server reads, with
//! its own mappings, and remembers what was replayed. Next: `ioc-gateway/src/replay.rs`.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use clap::{ArgGroup, Args, Subcommand};
use ioc_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::args::HttpAddress;
use crate::ask::{Ask, AskError, ServerArgs, TokenArgs, print};
use crate::progress::{Progress, thousands};

const EXAMPLES: &str = "\
Examples:
  ioc dead-letters                                how many of each reason and topic, since when
  ioc dead-letters --each --reason unit_unknown   each with its message
  ioc dead-letters replay --reason unit_unknown --dry-run
                                                  what each would become by the mappings now
  ioc dead-letters replay --reason unit_unknown   read them again, once

After mappings.yaml was mended: `ioc check config`, `ioc reload`, then replay.";

const REPLAY_HELP: &str = "\
Examples:
  ioc dead-letters replay --all --dry-run         what each would become; nothing is done
  ioc dead-letters replay --topic hydro/north --since 2026-03-14T06:00:00Z
  ioc dead-letters replay --source 'nats ripple'
  ioc dead-letters replay --seq 981 --seq 982 --token-file /var/lib/ioc/console.token

Each letter is read by what is configured now, and its readings are judged with the time at which
they were observed: one that comes late is evidence, and neither raises nor clears, however much
its sensor has said since. A letter that was replayed is marked so, in the log, and is not replayed
again; nor is one that says no value, where its mapping allows that now (`nothing`, `optional`); one
that still cannot be read stays as it is. A reading that is remembered is a redelivery
and changes nothing. Letters are read out of the inputs log, all that it still holds, which is read
twice for it: with --since only from then on. What became of the first 1,000 is told one by one.
Messages up to 512 KiB are kept whole; of longer ones, and of those that the listener would not take,
only the beginning is: they cannot be read again, and are told as `cut`; let their sender send them
again. Whoever goes away leaves the replay to go on; one that was killed is begun again, and goes on
where it was.

Ends with 0 unless a letter that was chosen still cannot be read, was cut, or is out of reach: the
log does not hold it any more. What was replayed before is no failure.";

/// Shows what could not be read.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct LettersArgs {
    #[command(subcommand)]
    command: Option<LettersCommand>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum LettersCommand {
    /// Read dead letters again, after a mapping was mended or a sensor registered
    #[command(after_help = REPLAY_HELP)]
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    to: ServerArgs,
    /// Each letter with its message, the newest first, instead of how many there are
    #[arg(long)]
    each: bool,
    /// Only those with this reason, such as unit_unknown
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Only those of this topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Only those from here, such as `mqtt pump-house`, or `http` without a key
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// How many at most, with --each
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    /// The server's answer as it is
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).multiple(true)
    .args(["all", "seq", "reason", "topic", "source", "since"]))]
struct ReplayArgs {
    #[command(flatten)]
    to: ServerArgs,
    /// All that the log holds
    #[arg(long, conflicts_with_all = ["seq", "reason", "topic", "source", "since"])]
    all: bool,
    /// The letter of this number; may be given more than once
    #[arg(long, value_name = "SEQ")]
    seq: Vec<u64>,
    /// Those with this reason
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// Those of this topic
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Those from here, such as `mqtt pump-house`, or `http` without a key
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Those that came then or later, by logical time, such as 2026-03-14T06:45:10Z
    #[arg(long, value_name = "TIME", value_parser = time_of)]
    since: Option<Timestamp>,
    /// Only say what would become of each
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    token: TokenArgs,
    /// The server's answer as it is
    #[arg(long)]
    json: bool,
}

/// Why there is no answer, or not the one that was wanted.
#[derive(Debug, thiserror::Error)]
pub enum LettersError {
    /// There is no answer, or not the one that was wanted.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Some stay dead.
    #[error("{still_dead} still cannot be read, {cut} were cut, {out_of_reach} are out of reach")]
    NotAll {
        /// How many cannot be read.
        still_dead: u64,
        /// Of how many the message is not there as a whole.
        cut: u64,
        /// How many the log does not hold any more.
        out_of_reach: u64,
    },
}

/// Does what was typed.
///
/// # Errors
/// See [`LettersError`].
pub async fn command(args: LettersArgs) -> Result<(), LettersError> {
    match args.command {
        None => list(&args.list).await,
        Some(LettersCommand::Replay(args)) => replay(&args).await,
    }
}

async fn list(args: &ListArgs) -> Result<(), LettersError> {
    let words = [
        ("reason", &args.reason),
        ("topic", &args.topic),
        ("source", &args.source),
    ];
    let is_single = args.each || words.iter().any(|(_, word)| word.is_some());
    let path = match is_single {
        false => "/api/v1/dead-letters/groups".to_owned(),
        true => {
            let mut path = format!("/api/v1/dead-letters?limit={}", args.limit);
            for (name, value) in words {
                if let Some(value) = value {
                    let _ = write!(path, "&{name}={}", escaped(value));
                }
            }
            path
        }
    };
    let answer = Ask::get(&path).granted_by(&args.to.server).await?;
    let text = match (args.json, is_single) {
        (true, _) => format!("{answer}\n"),
        (false, true) => letters_text(&answer),
        (false, false) => groups_text(&answer),
    };
    Ok(print(&text)?)
}

async fn replay(args: &ReplayArgs) -> Result<(), LettersError> {
    let token = args.token.read()?;
    let mut choice = json!({ "dry_run": args.dry_run, "all": args.all, "seqs": args.seq });
    let since = args.since.map(|since| since.to_string());
    for (name, value) in [
        ("reason", &args.reason),
        ("topic", &args.topic),
        ("source", &args.source),
        ("since", &since),
    ] {
        if let Some(value) = value {
            choice[name] = value.clone().into();
        }
    }
    let body = Bytes::from(choice.to_string());
    let asked = Ask::post(REPLAY, &token, body).patiently_of(&args.to.server);
    let (status, answer) = tokio::select! {
        answer = asked => answer?,
        error = watch(&args.to.server) => return Err(error.into()),
    };
    let answer = AskError::unless_granted(status, answer)?;
    match args.json {
        true => print(&format!("{answer}\n"))?,
        false => print(&replay_text(&answer))?,
    }
    unless_dead(&answer)
}

/// Whether nothing that was chosen stays dead. What was replayed before does not.
fn unless_dead(answer: &Value) -> Result<(), LettersError> {
    let count = |name: &str| answer[name].as_u64().unwrap_or_default();
    match (count("still_dead"), count("cut"), count("out_of_reach")) {
        (0, 0, 0) => Ok(()),
        (still_dead, cut, out_of_reach) => Err(LettersError::NotAll {
            still_dead,
            cut,
            out_of_reach,
        }),
    }
}

const REPLAY: &str = "/api/v1/dead-letters/replay";
/// How often it is asked how far a replay has come.
const ASKED_EVERY: Duration = Duration::from_millis(250);

/// Shows how far the replay has come, until the server does not answer any more.
async fn watch(server: &HttpAddress) -> AskError {
    let progress = Progress::items("reading the log, twice", 0);
    loop {
        sleep(ASKED_EVERY).await;
        let told = match Ask::get(REPLAY).granted_by(server).await {
            Ok(told) => told,
            Err(AskError::Refused { .. }) => continue,
            Err(error) => return error,
        };
        let count = |name: &str| told[name].as_u64().unwrap_or_default();
        progress.is_of(count("of"));
        progress.reached(count("read"));
        progress.says(format_args!("{} replayed", thousands(count("replayed"))));
    }
}

fn time_of(text: &str) -> Result<Timestamp, String> {
    let wrong = |_| "write a time as 2026-03-14T06:45:10Z".to_owned();
    text.parse().map_err(wrong)
}

/// A text as a part of a query (RFC 3986 section 2.1).
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(byte.into());
            }
            _ => {
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

/// What a member holds, for people; control characters of strangers' topics are escaped.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let mut shown = String::new();
    for c in text.chars() {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

fn items<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().map_or(&[], Vec::as_slice)
}

/// A line for each group, in columns.
fn groups_text(answer: &Value) -> String {
    let groups = items(answer, "groups");
    if groups.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let header = [
        "count", "replayed", "cut", "first", "last", "reason", "topic",
    ];
    let mut rows = vec![header.map(str::to_owned)];
    for group in groups {
        rows.push(header.map(|name| shown(&group[name])));
    }
    let mut text = table(&rows);
    let (listed, total) = (shown(&answer["listed"]), shown(&answer["total"]));
    let _ = writeln!(text, "\nthe newest {listed} of {total}; the newest of all:");
    let _ = writeln!(text, "  {}", shown(&groups[0]["detail"]));
    text
}

fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate();
        let line = cells.map(|(column, cell)| format!("{cell:<width$}", width = width(column)));
        let line = line.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A paragraph for each letter.
fn letters_text(answer: &Value) -> String {
    let mut text = String::new();
    for letter in items(answer, "dead_letters") {
        let get = |name: &str| shown(&letter[name]);
        let replayed = if letter["replayed"] == true {
            ", replayed"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "{} {} {} on {} by {}{replayed}\n  {}\n  {}",
            get("seq"),
            get("at"),
            get("reason"),
            get("topic"),
            get("source"),
            get("detail"),
            get("payload"),
        );
    }
    if text.is_empty() {
        return "no such dead letters\n".to_owned();
    }
    text
}

/// What became of each letter, and then of all.
fn replay_text(answer: &Value) -> String {
    let mut text = String::new();
    let would_be = answer["dry_run"] == true;
    for letter in items(answer, "letters") {
        let get = |name: &str| shown(&letter[name]);
        let outcome = match letter["outcome"].as_str() {
            Some("replayed") if would_be => "would be replayed".to_owned(),
            Some("says_no_value") => "says no value, as its mapping allows".to_owned(),
            _ => get("outcome"),
        };
        let _ = write!(text, "{} {}: {outcome}", get("seq"), get("topic"));
        match letter["outcome"].as_str() {
            Some("still_dead") => {
                let _ = writeln!(text, ", {}: {}", get("reason"), get("detail"));
            }
            Some("cut") => {
                let _ = writeln!(text, ": {}", get("detail"));
            }
            _ => text.push('\n'),
        }
        for reading in items(letter, "readings") {
            let get = |name: &str| shown(&reading[name]);
            let _ = writeln!(
                text,
                "  {} {} {} {} at {} ({})",
                get("sensor"),
                get("kind"),
                get("value"),
                get("unit"),
                get("observed_at"),
                get("id"),
            );
        }
        match letter["readings_left_out"].as_u64() {
            None | Some(0) => {}
            Some(more) => {
                let _ = writeln!(text, "  and {more} more");
            }
        }
    }
    let get = |name: &str| shown(&answer[name]);
    let would = if would_be { " would be" } else { "" };
    let _ = writeln!(
        text,
        "{}{would} replayed ({} readings), {} say no value, {} still dead, {} left as they are ({} cut)",
        get("replayed"),
        get("readings"),
        get("no_value"),
        get("still_dead"),
        get("left"),
        get("cut"),
    );
    let count = |name: &str| answer[name].as_u64().unwrap_or_default();
    if count("letters_left_out") > 0 {
        let left_out = get("letters_left_out");
        let _ = writeln!(
            text,
            "{left_out} of them are counted and not told one by one"
        );
    }
    if count("out_of_reach") > 0 {
        let _ = writeln!(
            text,
            "{} other letters came so long ago that the log does not hold them any more",
            get("out_of_reach"),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn groups_are_a_table_and_a_strangers_topic_moves_no_cursor() {
        let answer = json!({"total": 7, "listed": 3, "groups": [
            {"reason": "unit_unknown", "topic": "a\u{1b}[2J", "count": 2, "replayed": 1, "cut": 0,
             "first": "2026-03-14T06:45:10.000Z", "last": "2026-03-14T06:46:10.000Z",
             "newest": 9, "detail": "\"furlong\" is no unit"}]});
        expect![[r#"
            count  replayed  cut  first                     last                      reason        topic
            2      1         0    2026-03-14T06:45:10.000Z  2026-03-14T06:46:10.000Z  unit_unknown  a\u{1b}[2J

            the newest 3 of 7; the newest of all:
              "furlong" is no unit
        "#]]
        .assert_eq(&groups_text(&answer));
        assert_eq!(groups_text(&json!({})), "no dead letters\n");
    }

    #[test]
    fn what_becomes_of_each_letter_is_told() {
        let answer = json!({"dry_run": true, "replayed": 1, "readings": 11, "no_value": 1,
            "still_dead": 1, "left": 1, "cut": 0, "out_of_reach": 500, "letters_left_out": 2, "letters": [
            {"seq": 1, "topic": "t", "outcome": "replayed", "readings_left_out": 10, "readings": [
                {"id": "e1", "sensor": "wl-1", "kind": "water_level", "value": 1.5, "unit": "m",
                 "observed_at": "2026-03-14T06:45:10.000Z"}]},
            {"seq": 2, "topic": "t", "outcome": "still_dead", "reason": "unit_unknown", "detail": "why"},
            {"seq": 3, "topic": "t", "outcome": "already_replayed"},
            {"seq": 4, "topic": "t", "outcome": "says_no_value"}]});
        expect![[r#"
            1 t: would be replayed
              wl-1 water_level 1.5 m at 2026-03-14T06:45:10.000Z (e1)
              and 10 more
            2 t: still_dead, unit_unknown: why
            3 t: already_replayed
            4 t: says no value, as its mapping allows
            1 would be replayed (11 readings), 1 say no value, 1 still dead, 1 left as they are (0 cut)
            2 of them are counted and not told one by one
            500 other letters came so long ago that the log does not hold them any more
        "#]]
        .assert_eq(&replay_text(&answer));
    }

    #[test]
    fn what_was_replayed_before_or_says_no_value_is_no_failure() {
        let done = json!({"replayed": 1, "no_value": 2, "still_dead": 0, "left": 3, "cut": 0,
            "out_of_reach": 0});
        assert!(unless_dead(&done).is_ok());
        for name in ["still_dead", "cut", "out_of_reach"] {
            let mut answer = done.clone();
            answer[name] = 1.into();
            assert!(unless_dead(&answer).is_err(), "{name}");
        }
    }

    #[test]
    fn a_topic_goes_into_a_query_as_it_is() {
        assert_eq!(escaped("hydro/a b&c=ü"), "hydro%2Fa%20b%26c%3D%C3%BC");
    }
}
