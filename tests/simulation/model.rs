//! What a log must hold, kept apart from the log: what was appended, and how much of it was said
//! to be durable.

use ioc::journal::BatchHeader;

/// A batch, as it was appended or as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The number of its first record.
    pub first: u64,
    /// How many records.
    pub count: u32,
    /// Its mark's number.
    pub mark: u64,
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

    /// What is about to be appended.
    pub fn append(&mut self, count: u32, mark: u64, payload: &[u8]) {
        self.batches.push(Batch {
            first: self.next(),
            count,
            mark,
            payload: payload.to_owned(),
        });
    }

    /// The last was not appended after all: there was no space for it.
    pub fn was_not_appended(&mut self) {
        self.batches.pop();
    }

    /// All that was appended is durable.
    pub fn synced(&mut self) {
        self.durable = self.batches.len();
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

    /// What was found after a start: all that was durable, and of what was appended after that an
    /// unbroken part. All of it is durable from here on. Returns how many batches more than had to
    /// be there were found.
    pub fn reopened(&mut self, found: &[Batch]) -> Result<usize, String> {
        if let Some(wrong) = (0..found.len()).find(|at| found.get(*at) != self.batches.get(*at)) {
            let expected = self.batches.get(wrong);
            let expected = expected.map_or("nothing more".into(), Batch::named);
            let found = found[wrong].named();
            return Err(format!(
                "batch {wrong} is {found}, but {expected} was appended"
            ));
        }
        if found.len() < self.durable {
            let lost = self.batches[found.len()].named();
            let (have, durable) = (found.len(), self.durable);
            return Err(format!(
                "lost: {lost}, and what follows: {have} of {durable} durable batches are there"
            ));
        }
        let more = found.len() - self.durable;
        self.batches.truncate(found.len());
        self.durable = found.len();
        Ok(more)
    }
}
