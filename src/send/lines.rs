//! Recorded readings, line by line: from a file or stdin, plain or gzip.
//!
//! Arrives: JSONL bytes. Leaves: [`Line`]s, verbatim, with what sending needs to know of them: the
//! sensor, and when the recording says it came. Promise: a line that cannot be sent is a
//! [`Flaw`] with its number and the reason, and the next ones are read all the same. Not here:
//! whether a reading is good; the door says that.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use ioc_core::time::Timestamp;
use serde::Deserialize;

/// A line that is longer is a flaw.
const LINE_BYTES_MAX: u64 = 1 << 20;
const BUFFER_BYTES: usize = 256 << 10;
/// The topic that readings are published under, before the sensor's name.
pub(super) const TOPIC_PREFIX: &str = "ioc/v1/readings/";
/// The longest topic (MQTT 3.1.1 section 1.5.3).
const TOPIC_BYTES_MAX: usize = 65_535;

/// One recorded reading.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) sensor: String,
    /// When the recording says that it was received, else observed.
    pub(super) recorded_at: Option<Timestamp>,
    pub(super) payload: Bytes,
}

/// A line that cannot be sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Flaw {
    /// Counted from 1.
    pub(super) line: u64,
    pub(super) reason: String,
}

/// How many bytes of the file were read, for the progress bar.
#[derive(Debug, Clone, Default)]
pub(super) struct Position(Arc<AtomicU64>);

impl Position {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is read from.
pub(super) struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    number: u64,
    /// What ended the reading, if lines before it are still to be returned.
    ended_by: Option<io::Error>,
}

impl Lines {
    /// Opens a file, or stdin for `-`; gzip is known by its first bytes (RFC 1952 section 2.3.1).
    ///
    /// Waits for the first bytes.
    pub(super) fn open(path: &Path, position: Position) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            Self::new(io::stdin(), position)
        } else {
            Self::new(File::open(path)?, position)
        }
    }

    /// Reads from a source.
    pub(super) fn new(source: impl Read + Send + 'static, position: Position) -> io::Result<Self> {
        let mut counted = Counted { source, position };
        let mut first = Vec::new();
        counted.by_ref().take(2).read_to_end(&mut first)?;
        let is_gzip = first == [0x1f, 0x8b];
        let whole = io::Cursor::new(first).chain(counted);
        let plain: Box<dyn Read + Send> = if is_gzip {
            Box::new(MultiGzDecoder::new(whole))
        } else {
            Box::new(whole)
        };
        let reader = BufReader::with_capacity(BUFFER_BYTES, plain);
        Ok(Self {
            reader,
            number: 0,
            ended_by: None,
        })
    }

    /// The next line that is not empty; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Result<Line, Flaw>>> {
        loop {
            let mut bytes = Vec::with_capacity(256);
            let mut limited = self.reader.by_ref().take(LINE_BYTES_MAX);
            if limited.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if bytes.len() as u64 == LINE_BYTES_MAX && bytes.last() != Some(&b'\n') {
                self.skip_to_line_end()?;
                let reason = format!("is longer than {LINE_BYTES_MAX} bytes");
                return Ok(Some(Err(Flaw {
                    line: self.number,
                    reason,
                })));
            }
            let line = bytes.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let found = match examine(line) {
                Ok((sensor, recorded_at)) => {
                    let (start, length) = (line.as_ptr() as usize, line.len());
                    let start = start - bytes.as_ptr() as usize;
                    let payload = Bytes::from(bytes).slice(start..start + length);
                    Ok(Line {
                        sensor,
                        recorded_at,
                        payload,
                    })
                }
                Err(reason) => Err(Flaw {
                    line: self.number,
                    reason,
                }),
            };
            return Ok(Some(found));
        }
    }

    /// As many lines as there are already, one at least and `max` at most; none at the end.
    ///
    /// A pipe that pauses does not hold back what it has said.
    pub(super) fn next_batch(&mut self, max: usize) -> io::Result<Vec<Result<Line, Flaw>>> {
        if let Some(error) = self.ended_by.take() {
            return Err(error);
        }
        let mut batch = Vec::new();
        while batch.is_empty() || (batch.len() < max && self.reader.buffer().contains(&b'\n')) {
            match self.next() {
                Ok(Some(line)) => batch.push(line),
                Ok(None) => break,
                Err(error) if batch.is_empty() => return Err(error),
                Err(error) => {
                    self.ended_by = Some(error);
                    break;
                }
            }
        }
        Ok(batch)
    }

    fn skip_to_line_end(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let length = buffer.len();
            let line_end = buffer.iter().position(|byte| *byte == b'\n');
            self.reader
                .consume(line_end.map_or(length, |place| place + 1));
            if line_end.is_some() || length == 0 {
                return Ok(());
            }
        }
    }
}

struct Counted<R> {
    source: R,
    position: Position,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.position.0.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The members that sending needs, borrowed where they have no escapes.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    sensor: Cow<'a, str>,
    #[serde(borrow, default)]
    received_at: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    observed_at: Option<Cow<'a, str>>,
}

/// The sensor and the recorded time of a line, or why it cannot be sent.
fn examine(line: &[u8]) -> Result<(String, Option<Timestamp>), String> {
    let (sensor, recorded_at) = match serde_json::from_slice::<Head<'_>>(line) {
        Ok(head) => {
            let time = head.received_at.or(head.observed_at);
            let time = time.and_then(|text| Timestamp::parse(text.as_bytes()).ok());
            (head.sensor.into_owned(), time)
        }
        Err(_) => (examine_odd(line)?, None),
    };
    let is_topic = !sensor.is_empty()
        && !sensor.contains(['+', '#', '\0'])
        && TOPIC_PREFIX.len() + sensor.len() <= TOPIC_BYTES_MAX;
    if is_topic {
        Ok((sensor, recorded_at))
    } else {
        Err(format!(
            "its sensor's name {sensor:?} cannot be part of an MQTT topic"
        ))
    }
}

/// The sensor of a line whose other members are not what they should be: the door shall see it.
fn examine_odd(line: &[u8]) -> Result<String, String> {
    let value: serde_json::Value =
        serde_json::from_slice(line).map_err(|error| format!("is not JSON: {error}"))?;
    match &value["sensor"] {
        serde_json::Value::String(sensor) => Ok(sensor.clone()),
        _ => Err("has no text as its \"sensor\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read_all(bytes: &[u8]) -> Vec<Result<Line, Flaw>> {
        let source = io::Cursor::new(bytes.to_vec());
        let mut lines = Lines::new(source, Position::default()).unwrap();
        let mut all = Vec::new();
        loop {
            match lines.next_batch(3).unwrap() {
                batch if batch.is_empty() => return all,
                batch => all.extend(batch),
            }
        }
    }

    const TWO: &[u8] = b"{\"sensor\":\"a\",\"received_at\":\"2026-03-14T06:00:01Z\",\
        \"observed_at\":\"2026-03-14T06:00:00Z\"}\r\n\n {\"sensor\":\"b\",\"value\":1} \n";

    #[test]
    fn lines_are_kept_as_they_are_and_their_arrival_is_their_time() {
        let lines = read_all(TWO);
        let first = lines[0].as_ref().unwrap();
        assert_eq!(first.sensor, "a");
        assert_eq!(
            first.recorded_at,
            Some(Timestamp::parse(b"2026-03-14T06:00:01Z").unwrap())
        );
        assert!(first.payload.starts_with(b"{\"sensor\"") && first.payload.ends_with(b"Z\"}"));
        let second = lines[1].as_ref().unwrap();
        assert_eq!(&second.payload[..], b"{\"sensor\":\"b\",\"value\":1}");
        assert_eq!((second.recorded_at, lines.len()), (None, 2));
    }

    #[test]
    fn gzip_is_known_by_its_first_bytes_and_may_have_several_members() {
        let mut packed = Vec::new();
        for _ in 0..2 {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
            encoder.write_all(TWO).unwrap();
            packed.extend(encoder.finish().unwrap());
        }
        let lines = read_all(&packed);
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0], read_all(TWO)[0]);
    }

    #[test]
    fn a_line_that_cannot_be_sent_is_told_with_its_number_and_the_others_go() {
        let text = b"{\"sensor\":\"a\"}\nnonsense\n{\"value\":1}\n{\"sensor\":7}\n\
            {\"sensor\":\"a/#\"}\n{\"sensor\":\"b\",\"observed_at\":5}";
        let lines = read_all(text);
        let flaws: Vec<(u64, bool)> = lines
            .iter()
            .filter_map(|line| line.as_ref().err())
            .map(|f| (f.line, true))
            .collect();
        assert_eq!(flaws, [(2, true), (3, true), (4, true), (5, true)]);
        assert_eq!(lines[5].as_ref().unwrap().sensor, "b");
        assert!(lines[1].as_ref().unwrap_err().reason.contains("not JSON"));
        assert!(lines[4].as_ref().unwrap_err().reason.contains("topic"));
    }

    #[test]
    fn what_a_broken_file_still_holds_is_read() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        encoder.write_all(TWO).unwrap();
        encoder.flush().unwrap();
        let cut = encoder.get_ref().clone();
        let source = io::Cursor::new(cut);
        let mut lines = Lines::new(source, Position::default()).unwrap();
        assert_eq!(lines.next_batch(10).unwrap().len(), 2);
        assert!(lines.next_batch(10).is_err());
    }

    #[test]
    fn a_line_without_end_is_a_flaw_and_not_all_of_the_memory() {
        let mut text = vec![b'x'; 3 * LINE_BYTES_MAX as usize];
        text.extend(b"\n{\"sensor\":\"a\"}\n");
        let lines = read_all(&text);
        assert!(lines[0].as_ref().unwrap_err().reason.contains("longer"));
        assert_eq!(lines[1].as_ref().unwrap().sensor, "a");
    }
}
