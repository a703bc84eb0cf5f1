//! `ioc map`: what a message becomes by the mappings of a configuration, and why.
//!
//! Arrives: a message with its topic. Leaves: a line for each reading in it, as native JSON, and for
//! each part that is none, with its place and the reason: just what the door would make of it.
//! Nothing is sent. Next: `ioc-gateway/src/formats.rs`.

use std::io::{self, Read, Write};

use ioc_core::time::{Millis, Timestamp};
use ioc_gateway::catalogue::Catalogue;
use ioc_gateway::door::Inputs;
use ioc_gateway::formats::feedback::{self, append_feedback};
use ioc_gateway::formats::{
    MESSAGE_BYTES_MAX, Message, NOTHING_SAID, Outcome, Reject, Workspace, decode, event_of_headers,
    native,
};

use crate::config::mistake::counted;
use crate::inspect::reading_json;

/// No sensor of a city's was read before the year 2000: its clock, or the unit of its time, is wrong.
const NO_EARLIER: Timestamp = Timestamp::from_millis(946_684_800_000);
/// Nor will one be so much later than now.
const AHEAD_MAX: Millis = Millis::minutes(365 * 24 * 60);

/// Reads a message; of one that is too long one byte more than a message may have.
///
/// # Errors
/// If `from` cannot be read.
pub fn read_message(from: impl Read) -> io::Result<Vec<u8>> {
    let mut payload = Vec::new();
    from.take(MESSAGE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut payload)?;
    Ok(payload)
}

/// A header or a property of the command line: a name, a colon and a value.
///
/// # Errors
/// If it is none.
pub fn named_value(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        Some(_) | None => Err("write a name, a colon and a value: `ce-type: level`".to_owned()),
    }
}

/// What comes beside a message.
#[derive(Debug, Default)]
pub struct Beside {
    content_type: Option<String>,
    /// The attributes of the CloudEvent whose data it is, if it is of one.
    event: Vec<(Box<str>, String)>,
}

impl Beside {
    /// What these headers and user properties say, as the door takes them.
    pub fn of(headers: &[(String, String)], properties: &[(String, String)]) -> Self {
        let of_name = |name: &str| {
            let mut headers = headers.iter();
            let found = headers.find(|(own, _)| own.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        let written = headers.iter();
        let mut event = event_of_headers(written.map(|(name, value)| (&**name, value.as_bytes())));
        if event.is_empty() && properties.iter().any(|(name, _)| name == "specversion") {
            let own = properties.iter();
            event = own
                .map(|(name, value)| ((&**name).into(), value.clone()))
                .collect();
        }
        Self {
            content_type: of_name("content-type"),
            event,
        }
    }

    /// The content type.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The attributes of the event.
    pub fn event(&self) -> Vec<(&str, &str)> {
        let attributes = self.event.iter();
        attributes
            .map(|(name, value)| (&**name, &**value))
            .collect()
    }
}

/// Tells `out` what becomes of a message. Returns whether it brings readings and nothing else.
///
/// # Errors
/// If `out` cannot be written to.
pub fn run(catalogue: &Catalogue, message: Message<'_>, out: &mut dyn Write) -> io::Result<bool> {
    if let Some(device) = feedback::device_of(message.topic) {
        return run_feedback(catalogue, message, device, out);
    }
    let mapping = catalogue.mappings.of(message.topic);
    match mapping.filter(|_| native::sensor_of(message.topic).is_none()) {
        Some(mapping) => writeln!(out, "mapping {} ({})", mapping.name, mapping.topic)?,
        None => writeln!(out, "no mapping")?,
    }
    if let Some(meant) = meant(catalogue, message.topic) {
        let topic = message.topic;
        writeln!(
            out,
            "noted: levels of a topic are separated by `/`, here also those of a NATS subject: \
             write `{meant}` for `{topic}`"
        )?;
    }
    let now = catalogue.now.now();
    let (mut readings, mut dead_letters, mut noted, mut absent) = (0, 0, 0, 0);
    let mut written = Ok(());
    let mut workspace = Workspace::default();
    let decoded = decode(message, catalogue, &mut workspace, &mut |item| {
        let place = match item.place.to_string() {
            place if place.is_empty() => place,
            place => format!(" {place}"),
        };
        let line = match &item.outcome {
            Outcome::Reading(reading) => {
                readings += 1;
                let line = writeln!(out, "reading{place}: {}", reading_json(reading));
                match doubt(reading.observed_at, now) {
                    Some(doubt) => line.and_then(|()| writeln!(out, "noted{place}: {doubt}")),
                    None => line,
                }
            }
            Outcome::Rejected(reject) => {
                dead_letters += 1;
                writeln!(out, "dead letter{place}: {}", why(reject))
            }
            Outcome::Noted(what) => {
                noted += 1;
                writeln!(out, "noted{place}: {what}")
            }
            Outcome::Absent => {
                absent += 1;
                writeln!(out, "absent{place}: the message says no value")
            }
        };
        if written.is_ok() {
            written = line;
        }
    });
    written?;
    match decoded {
        Err(reject) => {
            dead_letters += 1;
            writeln!(out, "dead letter: {}", why(&reject))?;
        }
        Ok(_) if readings + dead_letters + noted == 0 && absent > 0 => {
            writeln!(out, "noted: {NOTHING_SAID}")?;
        }
        Ok(_) if readings + dead_letters + noted == 0 => {
            dead_letters += 1;
            writeln!(
                out,
                "dead letter: nothing_mapped: there is no reading in it"
            )?;
        }
        Ok(_) => {}
    }
    while let Some(reply) = workspace.replies.pop() {
        writeln!(
            out,
            "reply on {}: {} bytes",
            reply.topic,
            reply.payload.len()
        )?;
    }
    let (taken, dead) = (
        counted(readings, "reading"),
        counted(dead_letters, "dead letter"),
    );
    writeln!(out, "{taken}, {dead}")?;
    Ok(dead_letters == 0)
}

/// The same of what a device says about a command, which is never a reading.
fn run_feedback(
    catalogue: &Catalogue,
    message: Message<'_>,
    device: &str,
    out: &mut dyn Write,
) -> io::Result<bool> {
    writeln!(
        out,
        "feedback about commands, of device {device}: no mapping is asked"
    )?;
    let answer = append_feedback(&mut Inputs::default(), message.payload, device, catalogue);
    match &answer {
        Ok(()) => writeln!(out, "an answer to a command that the device was sent")?,
        Err(reject) => writeln!(out, "dead letter: {}", why(reject))?,
    }
    let dead = counted(usize::from(answer.is_err()), "dead letter");
    writeln!(out, "{}, {dead}", counted(0, "reading"))?;
    Ok(answer.is_ok())
}

/// The topic as which a subject of NATS is known here, if this is one.
fn meant(catalogue: &Catalogue, topic: &str) -> Option<String> {
    if topic.contains('/') || !topic.contains('.') || catalogue.mappings.of(topic).is_some() {
        return None;
    }
    let meant = topic.replace('.', "/");
    let is_known = catalogue.mappings.of(&meant).is_some() || native::sensor_of(&meant).is_some();
    is_known.then_some(meant)
}

/// What is odd about a time.
fn doubt(observed_at: Timestamp, now: Timestamp) -> Option<String> {
    let off = if observed_at < NO_EARLIER {
        "before the year 2000"
    } else if observed_at > now + AHEAD_MAX {
        "more than a year ahead; a time ahead is judged as now"
    } else {
        return None;
    };
    Some(format!(
        "observed_at {observed_at} is {off}: is the time in seconds, milliseconds or another unit \
         than the mapping says?"
    ))
}

fn why(reject: &Reject) -> String {
    format!("{}: {}", reject.reason.word(), reject.detail)
}

#[cfg(test)]
mod tests;
