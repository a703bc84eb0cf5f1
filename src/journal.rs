//! Two logs on disk: what came in, and what was decided.
//!
//! The *inputs log* is the truth: every record in the order that it was judged. The *decisions
//! log* is what was released: once another build runs, it is not derived again. Both are
//! [`Log`]s of batches in segments, and only through [`disk::Disk`] do they touch storage.
//!
//! Promise: what [`Log::sync`] returned for survives any crash; a torn end is cut, damage before
//! it is reported with its place and never skipped. Not here: threads and releasing (see
//! `writer.rs`), judging again (see `recover.rs`).

pub mod disk;
pub mod batch;
pub mod scan;
mod ahead;
mod tail;
pub mod log;
pub mod retain;
pub mod reader;

pub use ahead::Ahead;
pub use batch::{BatchHeader, JournalId, LogKind, Mark};
pub use log::{Log, LogOptions, Room};
pub use reader::Reader;
pub use retain::remove_before;
pub use scan::{Contents, Damage, Known, Since};

/// Why a journal could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused.
    #[error("cannot {attempt} {path}")]
    Disk {
        /// What was attempted.
        attempt: &'static str,
        /// On what.
        path: std::path::PathBuf,
        /// Why it was refused.
        source: std::io::Error,
    },
    /// There is no space for it; nothing has changed, and it can be tried again.
    #[error("the disk is full: free {bytes} bytes for {path}")]
    Full {
        /// What was to be made.
        path: std::path::PathBuf,
        /// How many bytes it must have at least.
        bytes: u64,
    },
    /// Something that must be there is damaged or missing.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// A reader was away for too long: what it must read next is no longer kept.
    #[error("records from {number} on are no longer kept in {path}: the log begins with {first}")]
    Removed {
        /// The log's directory.
        path: std::path::PathBuf,
        /// What the reader must read next.
        number: u64,
        /// The first record that is still there.
        first: u64,
    },
}

impl JournalError {
    /// For `map_err`: what was attempted on what.
    pub fn disk(
        attempt: &'static str,
        path: impl Into<std::path::PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            attempt,
            path,
            source,
        }
    }
}

#[cfg(test)]
mod tests;
