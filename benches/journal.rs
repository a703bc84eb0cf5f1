//! How fast the inputs log takes batches, beside writing the same bytes to a plain file.
//!
//! Sketch: a sync of 4 KiB takes some 100 µs and of 256 KiB some 150 µs here, so 40 MB/s up to
//! 1.7 GB/s. On top of the plain write come BLAKE3 (a few GB/s for large batches), the header's
//! 196 bytes, and making segments ahead: every byte is written twice, once as a zero, by another
//! thread. The plain file is as long as it will be before it is measured.
//!
//! Run with `cargo bench --bench journal`. Both are measured in each round, in turns.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use ioc::journal::disk::SystemDisk;
use ioc::journal::{JournalId, Known, Log, LogKind, LogOptions, Mark};
use ioc_bench::options::Common;
use ioc_bench::report::{self, Target};
use ioc_core::record::BuildHash;
use ioc_core::time::Timestamp;

/// The inputs log alone, a sync after each batch, beside the same bytes written to a preallocated
/// file with as many syncs.
///
/// Example: cargo bench --bench journal -- --sizes 4096,262144 --mebibytes 512
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench journal --")]
struct Options {
    /// The sizes of batches, in bytes.
    #[arg(long, value_delimiter = ',', default_values_t = [4096, 16_384, 65_536, 262_144])]
    sizes: Vec<usize>,
    /// How much is written in each round, at most.
    #[arg(long, default_value_t = 1024)]
    mebibytes: usize,
    /// How many batches are written in each round, at most.
    #[arg(long, default_value_t = 8192)]
    batches: usize,
    /// How many bytes a segment of the log has; the default of `journal.segment_bytes`.
    #[arg(long, default_value_t = 64 << 20)]
    segment_bytes: u64,
    /// How many rounds; the medians are told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[command(flatten)]
    common: Common,
}

/// Records of about this size are what a reading takes.
const RECORD_BYTES: usize = 150;

fn main() -> io::Result<()> {
    let options = Options::parse();
    println!(
        "{:>10} {:>12} {:>12}  ratio",
        "batch", "plain MB/s", "log MB/s"
    );
    for &size in &options.sizes {
        let batches = ((options.mebibytes << 20) / size).clamp(1, options.batches);
        let payload = payload(size);
        let (mut plain, mut logged) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            plain.push(rate(
                size,
                batches,
                |dir| write_plain(dir, &payload, batches),
                &options,
            )?);
            logged.push(rate(
                size,
                batches,
                |dir| write_log(dir, &payload, batches, &options),
                &options,
            )?);
        }
        let (plain, logged) = (report::median(plain), report::median(logged));
        let ratio = Target::AtLeast(0.5).judge(logged / plain);
        println!(
            "{:>10} {plain:>12.0} {logged:>12.0}  {ratio}",
            report::bytes(size as u64)
        );
    }
    Ok(())
}

/// Bytes that no file system could shorten.
fn payload(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..size).map(byte).collect()
}

/// Megabytes a second; `write` returns when it began, what it prepared not counted.
fn rate(
    size: usize,
    batches: usize,
    write: impl FnOnce(&Path) -> io::Result<Instant>,
    options: &Options,
) -> io::Result<f64> {
    let scratch = options.common.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let began = write(scratch.path())?;
    Ok((size * batches) as f64 / began.elapsed().as_secs_f64() / 1e6)
}

fn write_plain(dir: &Path, payload: &[u8], batches: usize) -> io::Result<Instant> {
    let path = dir.join("preallocated");
    let mut file = File::create(&path)?;
    let zeros = vec![0; payload.len()];
    for _ in 0..batches {
        file.write_all(&zeros)?;
    }
    file.sync_all()?;
    drop(file);
    let mut file = fs::OpenOptions::new().write(true).open(&path)?;
    let began = Instant::now();
    for _ in 0..batches {
        file.write_all(payload)?;
        file.sync_data()?;
    }
    Ok(began)
}

fn write_log(dir: &Path, payload: &[u8], batches: usize, options: &Options) -> io::Result<Instant> {
    let options = LogOptions {
        dir: dir.to_owned(),
        kind: LogKind::Inputs,
        segment_bytes: options.segment_bytes,
        build: BuildHash([0; 32]),
    };
    let opened = Log::open(
        Arc::new(SystemDisk),
        options,
        JournalId([0; 16]),
        Known::default(),
    );
    let (mut log, _) = opened.map_err(io::Error::other)?;
    let count = (payload.len() / RECORD_BYTES).max(1) as u32;
    let began = Instant::now();
    for _ in 0..batches {
        let appended = log.append(count, payload, Mark::default(), Timestamp::default());
        appended.map_err(io::Error::other)?;
        log.sync().map_err(io::Error::other)?;
    }
    Ok(began)
}
