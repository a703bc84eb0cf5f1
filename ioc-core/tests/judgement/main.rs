//! The judgement from outside: timelines that a control-room engineer can read, the promises and
//! invariants as properties, and what users of other systems suffered from.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod support;
mod workload;
mod timeline;
mod scenario;
mod networks;
mod family;
mod distinct;
mod symptoms;
mod reach;
mod ways;
mod faults;
mod sequences;
mod sites;
mod same;
mod spread;
mod leaving;
mod away;
mod silence;
mod movers;
mod across;
mod alone;
mod regressions;
mod peers;
mod properties;
mod redelivery;
mod replaced;
mod operate;
mod handling;
mod life;
mod suppress;
mod known;
mod noted;
mod limits;
mod bytes;
mod calls;
mod state;
mod builds;
mod why;
