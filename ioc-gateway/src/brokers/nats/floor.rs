//! Up to which message of a stream all are durable, by our own word.
//!
//! Arrives: what has become durable. Leaves: the same for the next connection, and a file of the
//! data directory for the next process. A server takes a message that its stream drops while it is
//! under way (a newer one of its subject has come, it is too old, a person removed it) for one that
//! was acknowledged; by a consumer that acknowledges all, that is all before it, too: they would
//! never come again, though the stream has them. So where a consumer stands further than our own
//! word, it is made anew behind that (`consumer.rs`). Promise: it is never further than what is
//! durable. After `kill -9` it is behind by what came within [`WRITTEN_EVERY`]: that comes again,
//! and is known.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::telemetry;

/// How often it is written while it moves.
const WRITTEN_EVERY: Duration = Duration::from_secs(1);

/// The floor of one consumer: cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Floor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Where it is kept, if anywhere.
    file: Option<PathBuf>,
    known: Mutex<Known>,
    /// Held while it is written: what is written last is the newest.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// Of which stream: one that is made again under its name counts anew.
    stream: String,
    through: u64,
    /// How far the file says.
    written: u64,
    written_at: Option<Instant>,
    /// The server did not let the consumer be made anew.
    is_refused: bool,
}

impl Floor {
    /// What a file says, or nothing yet.
    pub fn kept(file: Option<PathBuf>) -> Self {
        let read = file.as_deref().map(read).transpose();
        let (stream, through) = match read {
            Ok(read) => read.flatten().unwrap_or_default(),
            Err(error) => {
                telemetry::nats_floor_unusable(&error);
                Default::default()
            }
        };
        Self(Arc::new(Shared {
            file,
            known: Mutex::new(Known {
                stream,
                through,
                written: through,
                ..Known::default()
            }),
            writing: Mutex::default(),
        }))
    }

    /// A connection begins on this stream, which has taken messages up to `last`, and whose consumer
    /// stands at `acknowledged`. Where it is to be made anew, if it stands too far.
    pub fn begins(&self, stream: &str, last: u64, acknowledged: u64) -> Option<u64> {
        let mut known = self.known();
        if known.stream != stream {
            // Nothing is known of it: what others have acknowledged for us counts.
            *known = Known {
                stream: stream.to_owned(),
                through: acknowledged,
                ..Known::default()
            };
        }
        // A stream that was put back to an earlier day numbers what is new as it did then.
        known.through = known.through.min(last.max(acknowledged));
        let is_beyond = known.through < acknowledged;
        match is_beyond && !known.is_refused {
            true => Some(known.through),
            false => {
                known.is_refused = false;
                known.through = known.through.max(acknowledged);
                None
            }
        }
    }

    /// The consumer has been made anew where it was to be, and stands here: what lies between, the
    /// stream has not.
    pub fn stands(&self, acknowledged: u64) {
        let mut known = self.known();
        known.through = known.through.max(acknowledged);
    }

    /// The consumer could not be made anew: it is used as it is the next time.
    pub fn refused(&self) {
        self.known().is_refused = true;
    }

    /// All up to this message are durable. Written if it is time to.
    pub fn reached(&self, message: u64) {
        let mut known = self.known();
        known.through = known.through.max(message);
        let now = Instant::now();
        let is_due = known
            .written_at
            .is_none_or(|at| now.duration_since(at) >= WRITTEN_EVERY);
        if is_due && self.0.file.is_some() {
            known.written_at = Some(now);
            let floor = self.clone();
            tokio::task::spawn_blocking(move || floor.write());
        }
    }

    /// Writes it, if it has moved since.
    pub fn write(&self) {
        let Some(file) = &self.0.file else { return };
        let _writing = self.0.writing.lock();
        let (line, through) = {
            let known = self.known();
            if known.written == known.through {
                return;
            }
            (
                format!("{} {}\n", known.stream, known.through),
                known.through,
            )
        };
        match replace(file, &line) {
            Ok(()) => self.known().written = through,
            Err(error) => telemetry::nats_floor_unusable(&error),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The stream and the message that a file names, if it is there.
fn read(file: &Path) -> io::Result<Option<(String, u64)>> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let parts = text.trim().split_once(' ');
    let parts =
        parts.and_then(|(stream, through)| Some((stream.to_owned(), through.parse().ok()?)));
    let malformed = || io::Error::other(format!("{} is no place of a stream", file.display()));
    parts.map(Some).ok_or_else(malformed)
}

/// Writes a file as a whole: half a number would be another.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let dir = file.parent().expect("it lies in a directory");
    fs::create_dir_all(dir)?;
    let new = file.with_extension("new");
    let mut written = fs::File::create(&new)?;
    written.write_all(text.as_bytes())?;
    // A name must not stand before what it names.
    written.sync_data()?;
    fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p1_a_consumer_that_stands_further_than_what_is_durable_is_made_anew() {
        let floor = Floor::kept(None);
        assert_eq!(floor.begins("1", 90, 40), None, "nothing is known yet");
        floor.reached(50);
        assert_eq!(
            floor.begins("1", 90, 45),
            None,
            "the server has not heard it all"
        );
        assert_eq!(floor.begins("1", 90, 60), Some(50));
        assert_eq!(floor.begins("1", 90, 60), Some(50), "it was not, yet");
        floor.stands(53);
        assert_eq!(floor.begins("1", 90, 53), None);
    }

    #[test]
    fn where_it_cannot_be_made_anew_it_is_used_as_it_is() {
        let floor = Floor::kept(None);
        floor.begins("1", 90, 40);
        assert_eq!(floor.begins("1", 90, 60), Some(40));
        floor.refused();
        assert_eq!(floor.begins("1", 90, 60), None);
        assert_eq!(
            floor.begins("1", 90, 70),
            Some(60),
            "and the next time is tried"
        );
    }

    #[test]
    fn of_a_stream_that_begins_anew_nothing_is_known() {
        let floor = Floor::kept(None);
        floor.begins("1", 90, 40);
        floor.reached(80);
        assert_eq!(floor.begins("2", 10, 5), None, "it was made again");
        floor.reached(9);
        assert_eq!(
            floor.begins("2", 7, 6),
            None,
            "it was put back to an earlier day"
        );
        assert_eq!(floor.begins("2", 20, 8), Some(7));
    }

    #[test]
    fn p1_a_process_goes_on_from_what_was_written_last() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("streams/city-ioc-1");
        let floor = Floor::kept(Some(file.clone()));
        floor.begins("1", 90, 40);
        floor.0.known().through = 50;
        floor.write();
        let floor = Floor::kept(Some(file.clone()));
        assert_eq!(floor.begins("1", 90, 60), Some(50));
        // What cannot be read says nothing.
        fs::write(&file, "").unwrap();
        assert_eq!(Floor::kept(Some(file)).begins("1", 90, 60), None);
    }
}
