//! Options that every bench has.

use std::io;
use std::path::PathBuf;

use tempfile::TempDir;

/// Where a bench keeps its files, and what cargo tells it.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// Where the scratch directory is made: its file system is the one that is measured. Without
    /// it, cargo's target directory.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// `cargo bench` says this to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Common {
    /// A new directory, removed when dropped. `target` is where it is made by default.
    pub fn scratch(&self, target: &str) -> io::Result<TempDir> {
        let parent = self.dir.clone().unwrap_or_else(|| target.into());
        std::fs::create_dir_all(&parent)?;
        tempfile::Builder::new()
            .prefix("ioc-bench-")
            .tempdir_in(parent)
    }
}
