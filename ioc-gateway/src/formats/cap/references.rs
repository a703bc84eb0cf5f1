//! Which earlier alerts an alert takes the place of (OASIS CAP-v1.2, section 3.2.1, `references`).
//!
//! Arrives: the extended message identifiers of an `Update` or a `Cancel`: `sender,identifier,sent`,
//! with blanks between them. Leaves: the names by which the reports of those are called. Promise:
//! nobody takes back what another has sent, and a list of any length comes to a bounded text: the
//! newest alerts, for an update has taken the place of those before it already.

use std::borrow::Cow;
use std::fmt::Write as _;

use ioc_core::id::ReadingId;
use ioc_core::time::Timestamp;

use super::alert::Alert;

/// How long the names together may be: as many of the newest as have room.
const REPLACED_BYTES_MAX: usize = 1024;
/// How long the name of an alert may be, so that its reports' numbers have room behind it.
const NAME_ROOM: usize = ReadingId::BYTES_MAX - 12;

/// What the reports are called by of the alert of this identifier that has the sender and the
/// status of another: its sender and identifier, behind its status unless that is `Actual`, so that
/// no exercise takes back what is meant; of what would be too long, or could not be told from
/// another with what stands behind it, the hash.
pub(super) fn name<'a>(alert: &Alert<'_>, identifier: &str) -> Cow<'a, str> {
    let (sender, status) = (&alert.sender, &alert.status);
    let name = match &**status {
        "Actual" => format!("{sender},{identifier}"),
        _ => format!("{status}:{sender},{identifier}"),
    };
    let is_plain = |byte: u8| byte > b' ' && byte != b'/' && byte != 0x7f;
    if name.len() <= NAME_ROOM && name.bytes().all(is_plain) {
        return name.into();
    }
    format!("cap-{}", blake3::hash(name.as_bytes()).to_hex()).into()
}

/// The names of the alerts that this one takes the place of, with blanks between them.
pub(super) fn replaced(alert: &Alert<'_>) -> String {
    let mut names = String::new();
    if !matches!(&*alert.msg_type, "Update" | "Cancel") {
        return names;
    }
    let references = alert.references.split_ascii_whitespace();
    let own = references.filter_map(|reference| {
        let mut parts = reference.split(',');
        let (sender, identifier) = (parts.next()?, parts.next()?);
        let sent = Timestamp::parse(parts.next()?.as_bytes()).unwrap_or(Timestamp::MIN);
        let is_other = sender == alert.sender && identifier != alert.identifier;
        is_other.then_some((sent, identifier))
    });
    let mut own: Vec<_> = own.collect();
    own.sort_by_key(|(sent, _)| std::cmp::Reverse(*sent));
    for (_, identifier) in own {
        let name = name(alert, identifier);
        if names.len() + 1 + name.len() > REPLACED_BYTES_MAX {
            break;
        }
        let between = if names.is_empty() { "" } else { " " };
        write!(names, "{between}{name}").expect("a string takes all");
    }
    names
}
