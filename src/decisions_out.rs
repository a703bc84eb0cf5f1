//! Decisions to a NATS server elsewhere: a reader of the decisions log with a cursor.
//!
//! Arrives: the decisions log, as far as it is durable. Leaves: each decision on
//! `ioc.v1.decisions.<zone>`, in order, with the id `<journal>:<seq>`; the file `cursors/nats-NAME`,
//! which retention waits for. Promise: nothing is left out while the server is away, and nothing is
//! taken twice by a stream that remembers ids for as long as a break lasts. What retention has taken
//! all the same is told and passed over.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ioc_core::decision::DecisionHash;
use ioc_gateway::brokers::nats::outgoing::{Outgoing, OutgoingMessage};
use ioc_gateway::brokers::nats::token_of;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::durable::Durable;
use crate::journal::disk::Disk;
use crate::journal::reader::Reader;
use crate::journal::{JournalError, JournalId, LogKind};
use crate::outlets::zone_of;
use crate::recover::{DECISIONS_DIR, RecoverError, decode_decisions};
use crate::retention::CURSORS_DIR;
use crate::telemetry;

/// How often a reader that has caught up looks for more.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The pause after something went wrong.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// How many decisions are under way at once, at most: the library waits for ever with more than
/// 5,000 of them, and a slow line must carry them in the time that an answer has.
const PIECE_MESSAGES_MAX: usize = 256;
/// How many bytes, unless one is longer.
const PIECE_BYTES_MAX: usize = 256 << 10;

/// The log that is read.
#[derive(Clone)]
pub struct DecisionsLog {
    /// The storage.
    pub disk: Arc<dyn Disk>,
    /// The data directory.
    pub data: PathBuf,
    /// The journal, for the ids.
    pub journal: JournalId,
    /// How far it is durable.
    pub durable: Arc<Durable>,
}

/// Why decisions wait.
#[derive(Debug, thiserror::Error)]
enum Wait {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Decision(#[from] RecoverError),
    #[error("the cursor cannot be read or written")]
    Cursor(#[from] io::Error),
}

/// Sends decisions until `stopped`.
pub async fn run(
    log: DecisionsLog,
    name: String,
    mut outgoing: Outgoing,
    mut stopped: watch::Receiver<bool>,
) {
    let mut sender = Sender {
        cursor: log.data.join(CURSORS_DIR).join(format!("nats-{name}")),
        log,
        reader: None,
        taken: 0,
    };
    let sending = async {
        loop {
            let pause = sender.step(&mut outgoing).await;
            sleep(pause).await;
        }
    };
    tokio::select! {
        () = sending => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

struct Sender {
    log: DecisionsLog,
    cursor: PathBuf,
    reader: Option<Reader>,
    /// The number of the last decision that was taken since we run: the cursor's, unless it could not
    /// be written.
    taken: u64,
}

/// How many of these are sent before it is waited for that they are taken.
fn piece_of(messages: &[OutgoingMessage]) -> usize {
    let mut bytes = 0;
    let fits = messages.iter().take(PIECE_MESSAGES_MAX).take_while(|each| {
        bytes += each.payload.len();
        bytes <= PIECE_BYTES_MAX
    });
    fits.count().max(1)
}

impl Sender {
    /// Sends the next batch, if there is one; how long to wait then.
    async fn step(&mut self, outgoing: &mut Outgoing) -> Duration {
        // What goes wrong there shows in the link.
        if outgoing.connect().await.is_err() {
            return RETRY_EVERY;
        }
        let next = tokio::task::block_in_place(|| self.next());
        let (messages, last) = match next {
            Ok(Some(next)) => next,
            Ok(None) => return LOOK_EVERY,
            Err(error) => {
                self.reader = None;
                telemetry::decisions_wait(&error);
                return RETRY_EVERY;
            }
        };
        let mut left = &messages[..];
        while !left.is_empty() {
            let (piece, rest) = left.split_at(piece_of(left));
            left = rest;
            let sent = outgoing.send(piece).await;
            telemetry::decisions_sent(sent.settled - sent.too_long);
            let unsettled = piece.len() - sent.settled;
            self.taken = last - (left.len() + unsettled) as u64;
            if let Err(error) = tokio::task::block_in_place(|| note(&self.cursor, self.taken)) {
                // It goes on from what is known here, and notes that with the next.
                telemetry::decisions_wait(&error);
            }
            if unsettled > 0 {
                // From what was taken on again, with the same ids.
                self.reader = None;
                return RETRY_EVERY;
            }
        }
        Duration::ZERO
    }

    /// The decisions of the next batch, and the number of its last.
    fn next(&mut self) -> Result<Option<(Vec<OutgoingMessage>, u64)>, Wait> {
        let log = &self.log;
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let taken = taken(&self.cursor)?.max(self.taken);
                none.insert(reader_from(log, taken + 1))
            }
        };
        let from = reader.position();
        let next = match reader.next(log.durable.decisions()) {
            Err(JournalError::Removed { first, .. }) => {
                telemetry::decisions_gone(from, first);
                *reader = reader_from(log, first);
                return Ok(None);
            }
            next => next?,
        };
        let Some((header, payload)) = next else {
            return Ok(None);
        };
        let skip = from.saturating_sub(header.first);
        let decisions = decode_decisions(&header, payload, skip, &mut DecisionHash::default())?;
        let message = |released: &ioc_core::decision::Released| OutgoingMessage {
            subject: format!("ioc.v1.decisions.{}", token_of(zone_of(&released.decision))),
            id: format!("{}:{}", log.journal, released.decision.seq),
            payload: ioc_ws::decision_json(&released.decision),
        };
        Ok(Some((
            decisions.iter().map(message).collect(),
            header.next() - 1,
        )))
    }
}

fn reader_from(log: &DecisionsLog, from: u64) -> Reader {
    let dir = log.data.join(DECISIONS_DIR);
    Reader::new(Arc::clone(&log.disk), dir, LogKind::Decisions, from)
}

/// The number of the last decision that was taken; 0 before the first.
fn taken(cursor: &Path) -> io::Result<u64> {
    match fs::read_to_string(cursor) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            note(cursor, 0)?;
            Ok(0)
        }
        text => text?.trim().parse().map_err(io::Error::other),
    }
}

/// Writes the cursor as a whole: half a number would be another.
fn note(cursor: &Path, last: u64) -> io::Result<()> {
    let dir = cursor
        .parent()
        .expect("it lies in the directory of cursors");
    fs::create_dir_all(dir)?;
    // Beside the directory, where nobody takes it for a cursor.
    let name = cursor.file_name().expect("it has a name").to_string_lossy();
    let new = dir.with_file_name(format!("cursor-{name}.new"));
    let mut file = fs::File::create(&new)?;
    file.write_all(format!("{last}\n").as_bytes())?;
    // A name must not stand before what it names: an empty cursor would stop retention.
    file.sync_data()?;
    fs::rename(new, cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p5_many_decisions_of_one_moment_are_sent_in_pieces() {
        let message = |bytes: usize| OutgoingMessage {
            subject: String::new(),
            id: String::new(),
            payload: vec![0; bytes].into(),
        };
        assert_eq!(piece_of(&vec![message(1); 6500]), PIECE_MESSAGES_MAX);
        assert_eq!(piece_of(&vec![message(PIECE_BYTES_MAX / 3); 9]), 3);
        assert_eq!(piece_of(&[message(PIECE_BYTES_MAX + 1), message(1)]), 1);
        assert_eq!(piece_of(&[message(1)]), 1);
    }

    #[test]
    fn a_cursor_begins_at_nothing_and_is_a_whole_number_always() {
        let data = tempfile::tempdir().unwrap();
        let cursor = data.path().join(CURSORS_DIR).join("nats-city");
        assert_eq!(taken(&cursor).unwrap(), 0);
        note(&cursor, 41).unwrap();
        assert_eq!(taken(&cursor).unwrap(), 41);
        let slowest = crate::retention::slowest_cursor(data.path());
        assert_eq!(slowest.unwrap(), Some(42));
        fs::write(&cursor, "x").unwrap();
        assert!(taken(&cursor).is_err());
    }
}
