//! What the benches share: load, baselines, child processes, percentiles.
//!
//! A figure is only worth what its generator is: this one encodes packets by hand into one buffer
//! per connection, so that it costs far less than the servers that it measures, and what it does
//! cost is printed beside each figure. Baselines run in the same process run, in turns with what
//! they are compared with. Read in this order; then `benches/ingest.rs`.

pub mod options;
pub mod histogram;
pub mod report;
pub mod readings;
pub mod mqtt;
pub mod flood;
pub mod pace;
pub mod process;
pub mod servers;
pub mod console;
pub mod city;
pub mod stepped;
