//! Up to which message of a stream all are durable, by our own word.
//!
//! Arrives: what has become durable. Leaves: the same for the next connection, and a file of the
//! data directory for the next process. A server takes a message that its stream drops while it is
//! under way (a newer one of its subject has come, it is too old, a person removed it) for one that
//! was acknowledged; by a consumer that acknowledges all, that is all before it, too: they would
//! never come again, though the stream has them. And a server that lost its last messages, or was put
//! back to an earlier day, gives their numbers to others, which a consumer that stands behind them
//! passes over. So where a consumer stands further than our own word, or than its stream, it is made
//! anew (`consumer.rs`). Promise: our word is never further than what is durable. After `kill -9` it
//! is behind by what came within [`WRITTEN_EVERY`]: that comes again, and is known.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ioc_core::time::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use crate::telemetry;

/// How often it is written while it moves.
const WRITTEN_EVERY: Duration = Duration::from_secs(1);

/// How often a server may refuse to have a consumer made anew before it is read as it is.
const REFUSALS_MAX: u32 = 4;
/// How often it is asked in vain what it has at a place.
const ASKED_MAX: u32 = 3;

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
    /// Whom it is told that it has moved, or that its consumer is read or not.
    moves: watch::Sender<()>,
    /// That somebody doubts that its connection is alive.
    doubts: Notify,
}

/// Whether a message of a core subject has come to a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Yes,
    No,
    /// It is there as far as is known.
    Unknown,
}

/// While the numbers of a stream mean the same messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Era(u32);

/// How a consumer is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// Where it stands.
    AsItIs,
    /// The same, though it stands too far: it could not be made anew.
    InVain,
    /// Made anew, behind this message.
    Behind(u64),
    /// Made anew, from what the stream took at this time on, or from its beginning: it was put back
    /// to an earlier day, and its numbers mean other messages than those that are known.
    From(Option<Timestamp>),
    /// Made anew as if nothing had been read: somebody had it pass over what is to be read.
    Anew,
}

/// A run of the server that keeps a consumer.
#[derive(Debug)]
pub(super) struct Server {
    /// No other run has the same name, if its runs are seen.
    pub name: String,
    pub runs: Runs,
}

/// Whether a server that is started again is known to be another run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runs {
    /// It is the one that we are connected to.
    Seen,
    /// It is reached through another, which stays while it is started again.
    Unseen,
}

/// What is known of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knows {
    /// Nothing: neither of it nor of another of its name.
    Nothing,
    /// There was another of its name.
    Another,
    /// All up to this message are durable.
    Through(u64),
}

#[derive(Debug, Default)]
struct Known {
    /// Of which stream: one that is made again under its name counts anew.
    stream: String,
    through: u64,
    /// When the stream took that message, if it is known.
    taken_at: Option<Timestamp>,
    /// How far the file says.
    written: Option<u64>,
    written_at: Option<Instant>,
    /// Of which run of which server that is known to be so, and how often that was asked in vain.
    server: String,
    asked: u32,
    /// How often in a row the server did not let the consumer be made anew.
    refusals: u32,
    era: Era,
    /// Whether the consumer is being read,
    is_open: bool,
    /// since when, or was last,
    since: Option<Instant>,
    /// until when its connection was alive in any case,
    proven: Option<Instant>,
    /// and behind which message everything of its subject has been read by this process, or is going
    /// to be.
    reads_behind: Option<u64>,
}

impl Floor {
    /// What a file says, or nothing yet; nobody is told how it moves.
    #[cfg(test)]
    pub fn kept(file: Option<PathBuf>) -> Self {
        Self::telling(file, watch::Sender::default())
    }

    /// What a file says, or nothing yet.
    pub fn telling(file: Option<PathBuf>, moves: watch::Sender<()>) -> Self {
        let read = file.as_deref().map(read).transpose();
        let known = read.unwrap_or_else(|error| {
            telemetry::nats_floor_unusable(&error);
            None
        });
        Self(Arc::new(Shared {
            file,
            known: Mutex::new(known.flatten().unwrap_or_default()),
            writing: Mutex::default(),
            moves,
            doubts: Notify::new(),
        }))
    }

    /// Is told when it moves, and others of the same link.
    pub fn moved(&self) -> watch::Receiver<()> {
        self.0.moves.subscribe()
    }

    /// The consumer is read from now on, behind this message at the latest.
    pub fn opened(&self, behind: u64) {
        {
            let mut known = self.known();
            let behind = behind.max(known.through);
            known.reads_behind.get_or_insert(behind);
            if !mem::replace(&mut known.is_open, true) {
                known.since = Some(Instant::now());
            }
        }
        self.0.moves.send_replace(());
    }

    /// It is not read any more.
    pub fn closed(&self) {
        self.known().is_open = false;
        self.0.moves.send_replace(());
    }

    /// Of a core subject: its server was asked then whether it is there, and has answered.
    pub fn proven(&self, at: Instant) {
        self.known().proven = Some(at);
        self.0.moves.send_replace(());
    }

    /// Of a core subject: whether a message has come there that came to another reader at this time.
    pub fn heard(&self, at: Instant) -> Heard {
        let known = self.known();
        let was_there = known.since.is_some_and(|since| since <= at);
        match known.proven {
            _ if !was_there => Heard::No,
            Some(proven) if proven >= at => Heard::Yes,
            Some(_) | None if known.is_open => Heard::Unknown,
            Some(_) | None => Heard::No,
        }
    }

    /// Of a core subject: its server is to be asked whether it is there.
    pub fn doubt(&self) {
        self.0.doubts.notify_one();
    }

    /// Waits until somebody doubts that its connection is alive.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn doubted(&self) {
        self.0.doubts.notified().await;
    }

    /// Whether it is being read.
    pub fn is_open(&self) -> bool {
        self.known().is_open
    }

    /// Up to which message all are durable.
    pub fn through(&self) -> u64 {
        self.known().through
    }

    /// Whether a message of its subject is read there, or has been by this process, as far as that is
    /// known now; while the numbers mean the same.
    pub fn reads(&self, message: u64) -> Option<Era> {
        let known = self.known();
        let reads = known.is_open && known.reads_behind.is_some_and(|behind| message > behind);
        reads.then_some(known.era)
    }

    /// Whether its numbers mean what they did then.
    pub fn is_of(&self, era: Era) -> bool {
        self.known().era == era
    }

    /// Whether such a message is durable.
    pub fn is_durable(&self, era: Era, message: u64) -> bool {
        let known = self.known();
        known.era == era && message <= known.through
    }

    /// What is known of this stream.
    pub fn knows(&self, stream: &str) -> Knows {
        let known = self.known();
        match known.stream.as_str() {
            "" => Knows::Nothing,
            same if same == stream => Knows::Through(known.through),
            _ => Knows::Another,
        }
    }

    /// A connection begins: how its consumer is to be read. It stands at `acknowledged`, in a stream
    /// that has taken messages up to `last`.
    pub fn begins(&self, stream: &str, last: u64, acknowledged: u64) -> Begin {
        let mut known = self.known();
        if known.stream != stream {
            // Nothing is known of it: what others have acknowledged for us counts.
            *known = Known {
                stream: stream.to_owned(),
                through: acknowledged,
                era: known.era.next(),
                ..Known::default()
            };
        }
        let begin = if last < known.through.max(acknowledged) {
            Begin::From(known.taken_at)
        } else if known.through < acknowledged {
            Begin::Behind(known.through)
        } else {
            Begin::AsItIs
        };
        if begin != Begin::AsItIs && known.refusals >= REFUSALS_MAX {
            (known.through, known.taken_at, known.refusals) = (acknowledged, None, 0);
            known.counts_anew();
            return Begin::InVain;
        }
        begin
    }

    /// The last message that is durable, and when the stream took it, if that is to be compared with
    /// what the stream has there: once for each run of a server, which may have put the stream back to
    /// an earlier day, and since taken others under the same numbers; for each connection, where its
    /// runs are not seen.
    pub fn doubts(&self, server: &Server) -> Option<(u64, Timestamp)> {
        let known = self.known();
        let is_due = known.server != server.name && known.asked < ASKED_MAX;
        is_due.then_some((known.through, known.taken_at?))
    }

    /// That was asked in this run of a server, and answered or not.
    pub fn asked(&self, server: &Server, is_answered: bool) {
        let mut known = self.known();
        known.asked += 1;
        if is_answered && server.runs == Runs::Unseen {
            known.asked = 0;
        } else if is_answered || known.asked >= ASKED_MAX {
            (known.server, known.asked) = (server.name.clone(), 0);
        }
    }

    /// The consumer has been made anew so, and stands here: what lies between, the stream has not.
    pub fn stands(&self, begin: &Begin, acknowledged: u64) {
        let mut known = self.known();
        let through = match begin {
            Begin::AsItIs | Begin::InVain | Begin::Behind(_) => known.through.max(acknowledged),
            Begin::From(_) | Begin::Anew => acknowledged,
        };
        if through != known.through {
            (known.through, known.taken_at) = (through, None);
        }
        if matches!(begin, Begin::From(_) | Begin::Anew) {
            known.counts_anew();
        }
        known.refusals = 0;
    }

    /// The server did not let the consumer be made anew. The next connection tries it again, a few
    /// times.
    pub fn refused(&self) {
        self.known().refusals += 1;
    }

    /// All up to this message, which the stream took then, are durable. Whether it is time to save
    /// that.
    pub fn reached(&self, message: u64, taken_at: Timestamp) -> bool {
        let mut known = self.known();
        if message > known.through {
            (known.through, known.taken_at) = (message, Some(taken_at));
            self.0.moves.send_replace(());
        }
        let now = Instant::now();
        let is_due = known
            .written_at
            .is_none_or(|at| now.duration_since(at) >= WRITTEN_EVERY);
        if is_due {
            known.written_at = Some(now);
        }
        is_due
    }

    /// Has it written, if it has moved since: beside us, unless that is waited for.
    pub fn save(&self) -> JoinHandle<()> {
        let floor = self.clone();
        spawn_blocking(move || floor.write())
    }

    /// Writes it, if it has moved since.
    fn write(&self) {
        let Some(file) = &self.0.file else { return };
        let _writing = self.0.writing.lock();
        let (line, through) = {
            let known = self.known();
            // Of a work queue nothing is noted: what is durable is gone from there.
            if known.stream.is_empty() || known.written == Some(known.through) {
                return;
            }
            (known.line(), known.through)
        };
        match replace(file, &line) {
            Ok(()) => self.known().written = Some(through),
            Err(error) => telemetry::nats_floor_unusable(&error),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Era {
    const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl Known {
    /// What is known is not what this process has read.
    fn counts_anew(&mut self) {
        (self.era, self.reads_behind) = (self.era.next(), None);
    }

    /// As a line of a file: the stream, the message, and when it was taken.
    fn line(&self) -> String {
        let taken_at = self.taken_at.map(Timestamp::as_millis);
        let taken_at = taken_at.map_or("-".to_owned(), |at| at.to_string());
        format!("{} {} {taken_at}\n", self.stream, self.through)
    }

    /// What a line says.
    fn of(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (stream, through, taken_at) = (words.next()?, words.next()?, words.next()?);
        let through = through.parse().ok()?;
        let taken_at: Option<i64> = match taken_at {
            "-" => None,
            millis => Some(millis.parse().ok()?),
        };
        Some(Self {
            stream: stream.to_owned(),
            through,
            taken_at: taken_at.map(Timestamp::from_millis),
            written: Some(through),
            ..Self::default()
        })
    }
}

/// What a file says, if it is there.
fn read(file: &Path) -> io::Result<Option<Known>> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let malformed = || io::Error::other(format!("{} is no place of a stream", file.display()));
    Known::of(&text).map(Some).ok_or_else(malformed)
}

/// Where consumers stood that nobody reads any more: for those that read the same subjects under
/// other names. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Strays(Arc<[Stray]>);

#[derive(Debug)]
struct Stray {
    /// How its file is called.
    name: String,
    known: Known,
}

impl Strays {
    /// Those of these files of a directory.
    pub(super) fn read(dir: &Path, names: &[String]) -> Self {
        let stray = |name: &String| {
            let known = read(&dir.join(name)).ok()??;
            let name = name.clone();
            Some(Stray { name, known })
        };
        Self(names.iter().filter_map(stray).collect())
    }

    /// How much of this stream was durable when somebody of before has read what is read by a consumer
    /// whose name ends so, if anybody has.
    pub(super) fn through(&self, stream: &str, ending: &str) -> Option<u64> {
        let mut strays = self.0.iter().collect::<Vec<_>>();
        strays.retain(|stray| stray.known.stream == stream && stray.name.ends_with(ending));
        strays.iter().map(|stray| stray.known.through).max()
    }
}

/// The files of a directory that are of no consumer any more, of those that are.
pub(super) fn strays(dir: &Path, files: &BTreeSet<PathBuf>) -> Vec<String> {
    // Where there is no directory nothing was read.
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let is_floor = |path: &PathBuf| matches!(read(path), Ok(Some(_)));
    let strays = paths.filter(|path| !files.contains(path) && is_floor(path));
    let names = strays.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let mut names: Vec<_> = names.filter(|name| !name.ends_with(".new")).collect();
    names.sort();
    names
}

/// Writes a file as a whole: half a number would be another.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let dir = file.parent().expect("it lies in a directory");
    fs::create_dir_all(dir)?;
    let name = file.file_name().expect("it has a name").to_string_lossy();
    let new = file.with_file_name(format!("{name}.new"));
    let mut written = fs::File::create(&new)?;
    written.write_all(text.as_bytes())?;
    // A name must not stand before what it names.
    written.sync_data()?;
    fs::rename(new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_773_489_600_000);

    fn server(name: &str) -> Server {
        Server {
            name: name.to_owned(),
            runs: Runs::Seen,
        }
    }

    #[test]
    fn p1_a_consumer_that_stands_further_than_what_is_durable_is_made_anew() {
        let floor = Floor::kept(None);
        assert_eq!(floor.begins("1", 90, 40), Begin::AsItIs, "nothing is known");
        floor.reached(50, NOON);
        assert_eq!(floor.begins("1", 90, 45), Begin::AsItIs, "it heard no more");
        assert_eq!(floor.begins("1", 90, 60), Begin::Behind(50));
        assert_eq!(floor.begins("1", 90, 60), Begin::Behind(50), "it was not");
        floor.stands(&Begin::Behind(50), 53);
        assert_eq!(floor.begins("1", 90, 53), Begin::AsItIs);
    }

    #[test]
    fn where_it_cannot_be_made_anew_it_is_used_as_it_is() {
        let floor = Floor::kept(None);
        floor.begins("1", 90, 40);
        for _ in 0..REFUSALS_MAX {
            assert_eq!(floor.begins("1", 90, 60), Begin::Behind(40));
            floor.refused();
        }
        assert_eq!(floor.begins("1", 90, 60), Begin::InVain);
        assert_eq!(floor.begins("1", 90, 70), Begin::Behind(60), "and is tried");
    }

    #[test]
    fn of_a_stream_that_begins_anew_nothing_is_known() {
        let floor = Floor::kept(None);
        floor.begins("1", 90, 40);
        floor.reached(80, NOON);
        assert_eq!(floor.begins("2", 10, 5), Begin::AsItIs);
        assert_eq!(floor.begins("2", 10, 7), Begin::Behind(5));
    }

    #[test]
    fn p1_a_stream_that_was_put_back_is_read_from_when_it_was_known_last() {
        let floor = Floor::kept(None);
        floor.begins("1", 90, 40);
        assert_eq!(floor.begins("1", 30, 40), Begin::From(None));
        floor.reached(80, NOON);
        let begin = floor.begins("1", 70, 60);
        assert_eq!(
            begin,
            Begin::From(Some(NOON)),
            "of 71 to 80 it knows others"
        );
        floor.stands(&begin, 64);
        assert_eq!(floor.begins("1", 70, 64), Begin::AsItIs);
        floor.reached(66, NOON);
        let [a, b, c] = ["a", "b", "c"].map(server);
        assert_eq!(floor.doubts(&a), Some((66, NOON)));
        floor.asked(&a, false);
        assert_eq!(floor.doubts(&a), Some((66, NOON)), "nobody answered");
        floor.asked(&a, true);
        assert_eq!(floor.doubts(&a), None, "it is the same");
        assert_eq!(floor.doubts(&b), Some((66, NOON)));
        (0..ASKED_MAX).for_each(|_| floor.asked(&b, false));
        assert_eq!(floor.doubts(&b), None, "it may not be asked");
        // What is known now is another message.
        floor.stands(&Begin::Behind(66), 69);
        assert_eq!(floor.doubts(&c), None);
    }

    #[test]
    fn p1_a_server_behind_another_may_have_been_put_back_between_any_two_connections() {
        let floor = Floor::kept(None);
        floor.begins("1", 90, 40);
        floor.reached(80, NOON);
        let hub = Server {
            runs: Runs::Unseen,
            ..server("leaf")
        };
        for _ in 0..2 {
            assert_eq!(floor.doubts(&hub), Some((80, NOON)));
            floor.asked(&hub, true);
        }
        (0..ASKED_MAX).for_each(|_| floor.asked(&hub, false));
        assert_eq!(floor.doubts(&hub), None, "it may not be asked");
    }

    #[test]
    fn p1_of_what_a_consumer_has_hidden_nothing_is_durable() {
        let floor = Floor::kept(None);
        floor.begins("1", 90, 40);
        floor.opened(0);
        let era = floor.reads(60).unwrap();
        floor.reached(80, NOON);
        floor.stands(&Begin::Anew, 0);
        assert_eq!(floor.through(), 0);
        assert!(!floor.is_durable(era, 60) && !floor.is_of(era));
        assert_eq!(floor.begins("1", 90, 0), Begin::AsItIs);
    }

    #[test]
    fn it_is_known_whether_a_stream_was_read_before() {
        let floor = Floor::kept(None);
        assert_eq!(floor.knows("1"), Knows::Nothing);
        floor.begins("1", 90, 40);
        assert_eq!(floor.knows("1"), Knows::Through(40));
        assert_eq!(floor.knows("2"), Knows::Another);
    }

    #[test]
    fn files_of_consumers_that_are_not_configured_any_more_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let streams = dir.path().join("streams");
        let files = BTreeSet::from([streams.join("city-ioc-1")]);
        assert!(strays(&streams, &files).is_empty());
        for name in ["city-ioc-1", "city-ioc-2", "hills-ioc-1"] {
            let floor = Floor::kept(Some(streams.join(name)));
            floor.begins("1", 90, 40);
            floor.write();
        }
        fs::write(streams.join("city-ioc-3.new"), "1 4").unwrap();
        let names = strays(&streams, &files);
        assert_eq!(names, ["city-ioc-2", "hills-ioc-1"]);
        let strays = Strays::read(&streams, &names);
        assert_eq!(strays.through("1", "-1"), Some(40));
        assert_eq!(strays.through("1", "-3"), None, "it is of nobody");
        assert_eq!(strays.through("2", "-1"), None, "of another stream");
        fs::write(streams.join("city-ioc-2"), "1 60 -").unwrap();
        fs::write(streams.join("older-ioc-2"), "1 50 -").unwrap();
        let names = ["city-ioc-2", "older-ioc-2"].map(str::to_owned);
        let through = Strays::read(&streams, &names).through("1", "-2");
        assert_eq!(through, Some(60), "the last of them");
    }

    #[test]
    fn p1_a_process_goes_on_from_what_was_written_last() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("streams/city-ioc-1");
        let floor = Floor::kept(Some(file.clone()));
        floor.begins("1", 90, 0);
        floor.write();
        let fresh = Floor::kept(Some(file.clone()));
        assert_eq!(
            fresh.begins("1", 90, 60),
            Begin::Behind(0),
            "none was durable"
        );
        let other = Floor::kept(Some(dir.path().join("streams/city-ioc.2")));
        other.begins("1", 90, 30);
        other.write();
        {
            let mut known = floor.known();
            (known.through, known.taken_at) = (50, Some(NOON));
        }
        floor.write();
        let floor = Floor::kept(Some(file.clone()));
        assert_eq!(floor.begins("1", 90, 60), Begin::Behind(50));
        assert_eq!(floor.doubts(&server("a")), Some((50, NOON)));
        // What cannot be read says nothing.
        fs::write(&file, "").unwrap();
        assert_eq!(Floor::kept(Some(file)).begins("1", 90, 60), Begin::AsItIs);
    }
}
