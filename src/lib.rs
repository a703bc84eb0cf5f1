//! The host: owns threads, sockets' lifetimes, disk and time; decides nothing.
//!
//! The modules in reading order: first what a reading passes on its way, then what happens at the
//! start and beside it, then the other commands.

pub mod cli;
pub mod host;
pub mod servers;
pub mod status;
pub mod http;
pub mod descriptors;
pub mod priority;
pub mod engine;
pub mod pipeline;
pub mod room;
pub mod space;
pub mod writer;
pub mod outlets;
pub mod decisions_out;
pub mod journal;
pub mod durable;
pub mod inputs_log;
pub mod recover;
pub mod rejudge;
pub mod skipped;
pub mod snapshots;
pub mod retention;
pub mod recall;
pub mod clock;
pub mod rules;
pub mod reload;
pub mod shadow;
pub mod config;
pub mod identity;
pub mod telemetry;

pub mod demo;
pub mod backtest;
pub mod scenarios;
pub mod inspect;
pub mod why;
pub mod labels;
pub mod map;
pub mod key;
pub mod ask;
pub mod reach;
pub mod letters;
pub mod quiet;
pub mod streams;
pub mod simulate;
pub mod send;
pub mod watch;

pub mod publisher;
pub mod args;
pub mod access;
pub mod progress;
