//! The memory of what is remembered, by an allocator that counts.
//!
//! Sketch: a sensor is 300 to 400 bytes with one level and one silence, a window of 60 steps twice
//! as many sums of 24 bytes, an incident some kilobytes that hardly grow with its evidence. All
//! are bounded: what a bound leaves out is told in `docs/LIMITS.md`.
//!
//! Run with `cargo bench --bench memory`.

mod held;

use clap::Parser;

/// How many bytes what is remembered takes.
///
/// Example: cargo bench --bench memory -- --each 1000
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench memory --")]
struct Options {
    /// How many there are of each thing.
    #[arg(long, default_value_t = 10_000)]
    each: usize,
    /// `cargo bench` says this to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    println!("bytes held for each of {}:", options.each);
    for (what, bytes) in held::bytes_each(options.each) {
        println!("{bytes:>8}  {what}");
    }
}
