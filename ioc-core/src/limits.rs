//! Every bound of the core, by name, with what happens when it is reached.
//!
//! Nothing in the core grows without one of these. None of them depends on the number of shards or
//! on batching, so that reaching one is as repeatable as everything else. Next: `counters.rs`.

use crate::time::Millis;

/// How many of a sensor's readings are remembered by their ids: those observed last. A reading
/// observed no later than one that is forgotten, and not remembered itself, cannot be told from a
/// redelivery: it is neither judged nor evidence, and counted.
pub const READINGS_REMEMBERED: usize = 32;

/// The same for a sensor whose readings are reports, so that a call that hundreds of others
/// overtook still counts; and for one that sends more in one instant of its clock than it could
/// otherwise tell apart. Where even these are of one instant with all that is forgotten, and
/// nothing later has come, further ones are taken as new: a clock that stands must be heard.
pub const READINGS_REMEMBERED_LONG: usize = 1024;

/// How many sensors of one bucket may have the long memory, and so 16,384 in all. Further ones
/// have the short one.
pub const LONG_MEMORIES_PER_BUCKET_MAX: u16 = 16;

/// A clock that is set back for good would make its sensor unheard. It is believed, and what comes
/// by it is late no more, by the last of so many readings in a row that are beyond memory or late, …
pub const CLOCK_SET_BACK_READINGS_MIN: u32 = 5;

/// … each so much later than the one before, by logical time; others between them do not matter.
/// What a client redelivers comes at once, and ends with readings that are remembered or new.
pub const CLOCK_SET_BACK_APART: Millis = Millis::seconds(30);

/// … or by so many that are all as old as the first to [`CLOCK_PACE`], as those of a clock that goes at the
/// pace of ours are, …
pub const CLOCK_SET_BACK_STEADY_MIN: u32 = 3;

/// … and come over so long a time. No reading that is delayed by less makes such a row.
pub const CLOCK_SET_BACK_LASTING: Millis = Millis::minutes(2);

/// By how much readings in such a row may be out of order. One that falls back further begins a
/// new row: it is redelivered once more.
pub const CLOCK_JITTER: Millis = Millis::seconds(30);

/// By how much they may be less old than one before, for a clock may show minutes only. One that has
/// caught up by more begins a new row: it is of a backlog.
pub const CLOCK_PACE: Millis = Millis::minutes(1);

/// After a start every sensor has this and one of its intervals to say something, though its deadline
/// be over, or its whole deadline if that is less: in it clients connect again, and brokers deliver
/// what they kept.
pub const SILENCE_GRACE: Millis = Millis::minutes(5);

/// How many readings of one source an incident remembers as evidence, so that none is evidence
/// twice when another rule names it later. An older one is taken to be evidence if it is newer
/// than the first. As many as a detection may wait with.
pub const EVIDENCE_REMEMBERED: usize = PENDING_READINGS_MAX;

/// The same for all sources of an incident beyond [`MEMBERS_PER_INCIDENT_MAX`] together.
pub const EVIDENCE_OF_OTHERS_REMEMBERED: usize = 1024;

/// Sensors are shared out to shards by buckets, so that a bucket's bound means the same however
/// many shards there are.
pub const SENSOR_BUCKETS: usize = 1024;

/// How many sensors one bucket holds, and so 1,048,576 in all. Readings of further sensors are not
/// judged, and counted, unless they are registered.
pub const SENSORS_PER_BUCKET_MAX: u16 = 1024;

/// How many sensors one bucket holds with those that are registered, which find a place though
/// others have filled it: a city of over eight million sensors would reach it.
pub const SENSORS_PER_BUCKET_REGISTERED_MAX: u16 = 8192;

/// How many kinds of readings one sensor may send. Readings of further kinds are not judged, and
/// counted.
pub const KINDS_PER_SENSOR_MAX: usize = 16;

/// How many readings are kept as evidence while a detection waits to be raised. Of more, the first
/// and the newest are kept.
pub const PENDING_READINGS_MAX: usize = 64;

/// By how many of a sensor's recent readings a rule tells how fast its value changes: so many
/// parts of the rule's time, whatever comes more often.
pub const RATE_READINGS_MAX: usize = 16;

/// By how many at least. With fewer nothing is told, for one wrong reading would not be outvoted.
pub const RATE_READINGS_MIN: usize = 4;

/// How many times the rule's time those few may lie back. Older ones are forgotten.
pub const RATE_STRETCH_MAX: i64 = 4;

/// Of how many weeks is remembered what an hour was like, for each sensor and rule that asks what
/// is usual: about 7 kB. Of more, the last.
pub const USUAL_WEEKS_MAX: usize = 8;

/// By how many readings at most an hour is learnt, evenly taken of those that come.
pub const USUAL_READINGS_MAX: usize = 32;

/// Of how many readings the changes of state are counted that show that a sensor flaps.
pub const FLAPPING_READINGS: u32 = 21;

/// The states that how many level rules of a kind see are looked at for that. Those that further
/// ones see, by name, are not.
pub const FLAPPING_STATES_MAX: usize = 8;

/// Of how many readings spikes are counted at most.
pub const SPIKING_READINGS_MAX: u32 = 64;

/// How many readings must say the same, besides for how long, to show that a sensor is stuck.
pub const STUCK_READINGS_MIN: u32 = 3;

/// How many sensors a rule of a sequence watches for each of its detections. Those whose detection
/// is over for longer than the rule's time go first; of others the further ones are not watched,
/// and counted.
pub const SEQUENCE_SENSORS_MAX: usize = 4_096;

/// How many sensors of one group a rule across sensors takes in: about 400 bytes each, and as much
/// again for each step that waits for what comes late. Further ones are not of it, and counted.
pub const ACROSS_SENSORS_MAX: usize = 4_096;

/// Of how many sensors of a group, the worst, such a rule tells at most.
pub const ACROSS_TOLD_MAX: usize = 16;

/// How many different values of one step such a rule tells apart, where it asks for a percentile of
/// every reading: about 20 bytes each. Of more it tells those apart that differ by enough.
pub const ACROSS_VALUES_MAX: usize = 512;

/// How many neighbours of a sensor that leaps are asked whether they have moved: the nearest.
pub const NEIGHBOURS_MAX: usize = 16;

/// How much one piece of evidence has in common with others, in names, if rules ask for more: the
/// first of them by name.
pub const SHARED_MAX: usize = 8;

/// How long a report counts at most that says itself until when.
pub const REPORT_COUNTS_MAX: Millis = Millis::minutes(7 * 24 * 60);

/// How many earlier reports one reading takes the place of at most, in each correlation rule and in
/// what is kept quiet. Further ones count until their time is over.
pub const REPLACED_MAX: usize = 1_024;

/// By how many names a reading says which; further ones are not read.
pub const REPLACED_NAMES_MAX: usize = 64;

/// How many names a sensor's memory holds by which it took reports back: 16 bytes each. Those named
/// longest ago go first; a report that comes later than what took it back by so much counts.
pub const TAKEN_BACK_MAX: usize = 128;

/// How many steps a window has at most: as many sums are kept for each sensor, and as many again
/// while it waits for what comes late.
pub const WINDOW_STEPS_MAX: usize = 60;

/// How many readings of a sensor wait for one rule to be put in order. Of more, the first is judged
/// before its time.
pub const SETTLING_READINGS_MAX: usize = 64;

/// How many readings one decision names as evidence. More follow in further decisions.
pub const EVIDENCE_PER_DECISION_MAX: usize = 256;

/// How much evidence a candidate keeps until it opens. Of more, the first and the newest are kept;
/// the rest is counted.
pub const CANDIDATE_EVIDENCE_MAX: usize = 256;

/// How many sources one incident tells apart. What further ones say counts as evidence, but does
/// not keep the incident from clearing. A merger may go beyond it.
pub const MEMBERS_PER_INCIDENT_MAX: usize = 10_000;

/// Of how many sensors a correlation rule remembers up to which record what they said was evidence
/// of incidents that are over, so that it is no evidence of another. Those that spoke longest ago
/// are forgotten: what a window still counts of them may be told again.
pub const TOLD_SENSORS_MAX: usize = 16_384;

/// How many candidates one correlation rule follows. For a new one the oldest is forgotten, and
/// counted.
pub const CANDIDATES_PER_RULE_MAX: usize = 10_000;

/// How many incidents are remembered, open, over and merged together. For a new one that which has
/// been over longest is forgotten; while all are open, candidates wait.
pub const INCIDENTS_MAX: usize = 50_000;

/// How many of these places rules leave to people: what a person opens or splits finds room though
/// readings have taken all others. Beyond these too it is refused as `too_many_incidents`.
pub const INCIDENTS_KEPT_FOR_PEOPLE: usize = 500;

/// How many accepted requests of people are remembered, so that a repeated one does not act again.
pub const REQUESTS_REMEMBERED: usize = 4_096;

/// How many commands to actuators may be under way; one for each actuator. A further order is
/// refused as `too_many_pending`.
pub const COMMANDS_PENDING_MAX: usize = 4_096;

/// How many commands that are over are remembered, so that what their devices say late is told. Of
/// older ones it is counted.
pub const COMMANDS_REMEMBERED: usize = 1_024;

/// The longest time for which a command may be sent. An order that says more gets as much.
pub const NOT_AFTER_MAX: Millis = Millis::minutes(1440);

/// How many bundles may be provided before a record names one. Of more, the newest are kept.
pub const BUNDLES_WAITING_MAX: usize = 8;

/// How many levels of what feeds what, and how many places downstream, are followed from one place.
/// What lies further is not near along the network.
pub const NETWORK_DEPTH_MAX: usize = 16;

/// How long a chain of causes may be. What would make it longer has no parent.
pub const CAUSES_DEPTH_MAX: usize = 16;

/// How many members of an incident are looked at, in the order of their names, for causes and effects
/// along networks when it opens, and of those that join later in one moment. What has more comes along
/// no network: somebody is told of it.
pub const REACH_MEMBERS_MAX: usize = 256;

/// How many of those that came from its cause are compared for the way that is told, the shortest; of
/// the cause as many nodes upstream, or on one river, as are looked at.
pub const WAYS_COMPARED_MAX: usize = 8;

/// Of how many incidents that one may have caused before it was known itself is found at once whether
/// it did: the nearest. Further ones are looked for when these are taken.
pub const EFFECTS_LOOKED_AT: usize = 256;

/// How many children of an incident are compared when a rule finds that one is none of its own, to
/// tell how grave it is without that. One that has more stays as grave as it is.
pub const CHILDREN_COMPARED_MAX: usize = 1_024;

/// How many children one step gives a parent: those that were there before it, and those of what
/// it merged with; and how many symptoms are judged again when what explained them is over. Further
/// ones follow, a step each …
pub const CHILDREN_PER_STEP: usize = 32;

/// … so much later, by logical time.
pub const CHILDREN_STEP: Millis = Millis(1);

/// How many times at which no process was there are remembered, for what was waited for then. Of more
/// the first two count as one, with the time between.
pub const DOWNTIMES_MAX: usize = 16;

/// How many cases one step makes one, where evidence shows more to be the same happening. The others
/// follow, a step each [`CHILDREN_STEP`].
pub const MERGED_PER_STEP: usize = 32;

/// How many members of the smaller of two such cases one step moves, where both have more. What is left
/// of it merges. As many go over in one step when a person splits an incident, or moves evidence of it.
pub const MEMBERS_MOVED_PER_STEP: usize = 128;

/// How many mergers with such others, and how many parts of it that go over to others, that people have
/// asked for, are under way of one incident. With a further one it is done at once.
pub const MERGERS_ASKED_MAX: usize = 16;

/// How many incidents an incident is kept apart from by a person's word. For a new one the oldest is
/// forgotten.
pub const APART_MAX: usize = 64;

/// How many bytes the names of sources have that a person may name at once.
pub const NAMED_BYTES_MAX: usize = 32_768;
/// How many members of an incident, and how many silent sensors, such a step looks at, where what stays
/// dark or silent parts from it.
pub const MEMBERS_PER_STEP: usize = 256;

/// How long after one round in which something parts from an incident the next is, at least. What is to
/// part meanwhile shares that one.
pub const PARTINGS_APART: Millis = Millis::minutes(1);

/// How many members of what is over one record takes out of memory.
pub const MEMBERS_LET_GO_PER_RECORD: usize = 64;

/// After a reload sensors take the new rules over in steps, one of each so many'th bucket, …
pub const RELOAD_BUCKETS_APART: usize = 8;

/// … each so much later, by logical time. 100,000 sensors take a second.
pub const RELOAD_STEP: Millis = Millis(1);

/// For how many reloads one after the other sensors wait at once. With a further one all take the
/// rules over that they wait for.
pub const RELOADS_WAITED_FOR_MAX: usize = 8;

/// How many timers of incidents that came due while no process was there fire with the record of a
/// start, and in each step after it; one that moves many members or children counts as sixteen. Further
/// ones follow, a step each …
pub const LATE_PER_STEP: usize = 128;

/// … so much later, by logical time.
pub const LATE_STEP: Millis = Millis(1);

/// After a start sensors whose silence was due while nobody was there are asked in steps, one of each
/// so many'th bucket, …
pub const ASKED_BUCKETS_APART: usize = 8;

/// … each so much later, by logical time. 100,000 sensors take a second.
pub const ASKED_STEP: Millis = Millis(1);

/// How many incidents and candidates of a correlation rule that a reload changes or takes away leave
/// in one step; each sixteen members that are let go with one count like another. The first step is
/// the reload's own; further ones follow, a step each …
pub const LEAVING_PER_STEP: usize = 64;

/// … so much later, by logical time. 8,000 incidents of one sensor take an eighth of a second.
pub const LEAVING_STEP: Millis = Millis(1);

/// How much time passes between two tellings of an incident's growth, at least.
pub const TELL_INTERVAL: Millis = Millis(250);

/// How many things may be kept quiet at once by people. A further one is refused as
/// `too_many_suppressions`.
pub const SUPPRESSIONS_MAX: usize = 1_000;

/// How many maintenance windows a configuration may have. A further one is a mistake in it.
pub const WINDOWS_MAX: usize = 1_000;

/// The longest time for which anything may be shelved (INV-16). An order that says more gets as
/// much.
pub const SHELVED_MAX: Millis = Millis::minutes(8 * 60);

/// The longest time for which a configuration may let a sensor be out of service.
pub const OUT_OF_SERVICE_MAX: Millis = Millis::minutes(90 * 24 * 60);

/// How many detections are kept quiet at once, to be looked at again when that ends. What finds no
/// room is not kept quiet, and counted.
pub const SUPPRESSED_MAX: usize = 100_000;

/// How many findings that counted are noted of late, for whoever asks what a suppression would have
/// hidden of them; the oldest goes first. About as much memory as the decisions that consoles
/// resume from.
pub const NOTED_MAX: usize = 65_536;

/// How many calls on an operator are remembered, to tell how many there were of late. Of more than
/// that the oldest is forgotten, and so not counted as of late.
pub const CALLS_REMEMBERED: usize = 100_000;

/// How many sensors are named of those that something has kept quiet. Further ones are counted.
pub const SUPPRESSED_SENSORS_NAMED: usize = 20;

/// How many detections are looked at again in one step when what kept them quiet ends. Further ones
/// follow, a step each …
pub const SUPPRESSED_PER_STEP: usize = 32;

/// … so much later, by logical time.
pub const SUPPRESSED_STEP: Millis = Millis(1);

/// How much time passes between two tellings of how much something has kept quiet, at least.
pub const SUPPRESSION_TELL_INTERVAL: Millis = Millis::minutes(1);

/// How many levels of zones are looked through for one that something is kept quiet in. What lies
/// deeper is not kept quiet by the outermost.
pub const ZONES_DEPTH_MAX: usize = 16;
