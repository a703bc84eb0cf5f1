//! What a log must hold, kept apart from the log: what was appended, and how much of it was said
//! to be durable.

use ioc::journal::BatchHeader;
use ioc_core::time::Timestamp;

/// A batch, as it was appended or as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The number of its first record.
    pub first: u64,
    /// How many records.
    pub count: u32,
    /// Its mark's number.
    pub mark: u64,
    /// When it was written: each at a time of its own, so that no two are the same.
    pub wall: Timestamp,
    /// Its bytes.
    pub payload: Vec<u8>,
}

impl Batch {
    /// As it was read.
    pub fn read(header: &BatchHeader, payload: &[u8]) -> Self {
        Self {
            first: header.first,
            count: header.count,
            mark: header.mark.number,
            wall: header.wall,
            payload: payload.to_owned(),
        }
    }

    /// The number after its last.
    pub fn next(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// For people.
    fn named(&self) -> String {
        let (first, count, bytes) = (self.first, self.count, self.payload.len());
        format!("{count} records from {first} in {bytes} bytes")
    }
}

/// A log as it must be.
#[derive(Debug, Default)]
pub struct Model {
    batches: Vec<Batch>,
    /// How many of them are durable.
    durable: usize,
    /// How many of the first of them are gone for good, because they were removed.
    removed: usize,
    /// What is before this record may be gone.
    unneeded_before: u64,
    passed_ms: i64,
}

impl Model {
    /// The number of the next record.
    pub fn next(&self) -> u64 {
        self.batches.last().map_or(1, Batch::next)
    }

    /// The last record that is durable.
    pub fn durable_up_to(&self) -> u64 {
        let last = self.durable.checked_sub(1).map(|last| &self.batches[last]);
        last.map_or(0, |batch| batch.next() - 1)
    }

    /// What is about to be appended; returns when.
    pub fn append(&mut self, count: u32, mark: u64, payload: &[u8]) -> Timestamp {
        self.passed_ms += 1;
        let wall = Timestamp::from_millis(self.passed_ms);
        self.batches.push(Batch {
            first: self.next(),
            count,
            mark,
            wall,
            payload: payload.to_owned(),
        });
        wall
    }

    /// The last was not appended after all: there was no space for it.
    pub fn was_not_appended(&mut self) {
        self.batches.pop();
    }

    /// All that was appended is durable.
    pub fn synced(&mut self) {
        self.durable = self.batches.len();
    }

    /// What is before this record is to be removed.
    pub fn remove_before(&mut self, number: u64) {
        self.unneeded_before = self.unneeded_before.max(number);
    }

    /// What is before this record has been removed.
    pub fn removed_before(&mut self, first: u64) -> Result<(), String> {
        // Marks just before may be in the segment that begins with it.
        let is_before = |batch: &Batch| batch.count > 0 && batch.next() <= first;
        let last = self.batches.iter().rposition(is_before);
        self.gone(last.map_or(0, |last| last + 1).max(self.removed))
    }

    /// So many batches are gone: not more than may be.
    fn gone(&mut self, removed: usize) -> Result<(), String> {
        if removed < self.removed {
            let (before, now) = (self.removed, removed);
            return Err(format!("{before} batches were gone, now {now} are"));
        }
        let kept = self.batches.get(removed);
        if removed > 0 && kept.is_none_or(|kept| kept.first > self.unneeded_before) {
            let before = self.unneeded_before;
            return Err(format!(
                "removed: {removed} batches, though only what is before {before} may be"
            ));
        }
        self.removed = removed;
        Ok(())
    }

    /// The first record that is there for certain.
    pub fn first(&self) -> u64 {
        self.unneeded_before.max(1)
    }

    /// The batches that a reader from this record on hands over.
    pub fn durable_from(&self, from: u64) -> Vec<Batch> {
        let up_to = self.durable_up_to();
        let read = |batch: &&Batch| batch.next() > from && batch.first <= up_to;
        self.batches[..self.durable]
            .iter()
            .filter(read)
            .cloned()
            .collect()
    }

    /// What was found after a start: all that was durable and not removed, and of what was appended
    /// after that an unbroken part. All of it is durable from here on. Returns how many batches more
    /// than had to be there were found.
    pub fn reopened(&mut self, found: &[Batch]) -> Result<usize, String> {
        let begins = |first: &Batch| self.batches.iter().position(|batch| batch == first);
        match found.first() {
            Some(first) => {
                let begins = begins(first).unwrap_or(0);
                self.gone(begins)?;
            }
            None if self.removed > 0 => return Err("lost: all".into()),
            None => {}
        }
        let expected = &self.batches[self.removed..];
        if let Some(wrong) = (0..found.len()).find(|at| found.get(*at) != expected.get(*at)) {
            let expected = expected.get(wrong);
            let expected = expected.map_or("nothing more".into(), Batch::named);
            let (found, number) = (found[wrong].named(), wrong + self.removed);
            return Err(format!(
                "batch {number} is {found}, but {expected} was appended"
            ));
        }
        let reached = self.removed + found.len();
        if reached < self.durable {
            let lost = self.batches[reached].named();
            let durable = self.durable;
            return Err(format!(
                "lost: {lost}, and what follows: {reached} of {durable} durable batches are there"
            ));
        }
        let more = reached - self.durable;
        self.batches.truncate(reached);
        self.durable = reached;
        Ok(more)
    }
}
