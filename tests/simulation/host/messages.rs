//! The server's messages, as far as a console looks at them (`docs/PROTOCOL.md`).
//!
//! Written apart from the server's own types, so that a change of the wire is noticed here.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What the server can say.
pub enum Kind {
    Welcome,
    Snapshot,
    Frame,
    Folded,
    Reset,
    Ok,
    Refused,
    Beat,
}

/// The answer to a hello.
#[derive(Debug, Deserialize)]
pub struct Welcome {
    pub epoch: String,
    pub seq: u64,
    pub hash: String,
    pub reason: Option<String>,
}

/// The whole picture.
#[derive(Debug, Deserialize)]
pub struct Snapshot {
    pub seq: u64,
    pub hash: String,
    pub incidents: Vec<Value>,
    pub sensors_silent: Vec<SilentSensor>,
}

/// A sensor that says nothing.
#[derive(Debug, Deserialize)]
pub struct SilentSensor {
    pub id: String,
}

/// Decisions, each as it was written.
#[derive(Debug, Deserialize)]
pub struct Frame<'a> {
    pub from: u64,
    pub to: u64,
    pub hash: String,
    #[serde(borrow)]
    pub decisions: Vec<&'a RawValue>,
}

/// What the next frame leaves out.
#[derive(Debug, Deserialize)]
pub struct Folded {
    pub from: u64,
    pub updates_dropped: u64,
}

/// The answer to a command that is done.
#[derive(Debug, Deserialize)]
pub struct Done {
    pub request_id: String,
    pub seq: u64,
}

/// The answer to one that is not.
#[derive(Debug, Deserialize)]
pub struct Refused {
    pub request_id: String,
    pub code: String,
}

/// The kind of a message: its first member.
pub fn kind_of(text: &str) -> Kind {
    let word = text
        .strip_prefix(r#"{"type":""#)
        .and_then(|rest| rest.split('"').next());
    match word {
        Some("welcome") => Kind::Welcome,
        Some("snapshot") => Kind::Snapshot,
        Some("frame") => Kind::Frame,
        Some("folded") => Kind::Folded,
        Some("reset") => Kind::Reset,
        Some("ok") => Kind::Ok,
        Some("refused") => Kind::Refused,
        Some("beat") => Kind::Beat,
        _ => panic!("a console does not know this message: {text}"),
    }
}

/// The message, of a kind that was looked at before.
pub fn read<'a, T: Deserialize<'a>>(text: &'a str) -> T {
    serde_json::from_str(text).expect("the server's messages are as docs/PROTOCOL.md says")
}
