//! Every bound of the core, by name, with what happens when it is reached.
//!
//! Nothing in the core grows without one of these. None of them depends on the number of shards or
//! on batching, so that reaching one is as repeatable as everything else. Next: `counters.rs`.

use crate::time::Millis;

/// How many ids of a sensor's last readings are remembered. An older redelivery is judged again.
pub const RECENT_READINGS: usize = 32;

/// Sensors are shared out to shards by buckets, so that a bucket's bound means the same however
/// many shards there are.
pub const SENSOR_BUCKETS: usize = 1024;

/// How many sensors one bucket holds, and so 1,048,576 in all. Readings of further sensors are not
/// judged, and counted.
pub const SENSORS_PER_BUCKET_MAX: u16 = 1024;

/// How many kinds of readings one sensor may send. Readings of further kinds are not judged, and
/// counted.
pub const KINDS_PER_SENSOR_MAX: usize = 16;

/// How many readings are kept as evidence while a detection waits to be raised. Of more, the first
/// and the newest are kept.
pub const PENDING_READINGS_MAX: usize = 64;

/// How many readings one decision names as evidence. More follow in further decisions.
pub const EVIDENCE_PER_DECISION_MAX: usize = 256;

/// How much evidence a candidate keeps until it opens. Of more, the first and the newest are kept;
/// the rest is counted.
pub const CANDIDATE_EVIDENCE_MAX: usize = 256;

/// How many sources one incident tells apart. What further ones say counts as evidence, but does
/// not keep the incident from clearing. A merger may go beyond it.
pub const MEMBERS_PER_INCIDENT_MAX: usize = 10_000;

/// How many candidates one correlation rule follows. For a new one the oldest is forgotten, and
/// counted.
pub const CANDIDATES_PER_RULE_MAX: usize = 10_000;

/// How many incidents are remembered, open, over and merged together. For a new one that which has
/// been over longest is forgotten; while all are open, candidates wait.
pub const INCIDENTS_MAX: usize = 50_000;

/// How many accepted requests of people are remembered, so that a repeated one does not act again.
pub const REQUESTS_REMEMBERED: usize = 4_096;

/// How many bundles may be provided before a record names one. Of more, the newest are kept.
pub const BUNDLES_WAITING_MAX: usize = 8;

/// How much time passes between two tellings of an incident's growth, at least.
pub const TELL_INTERVAL: Millis = Millis(250);
