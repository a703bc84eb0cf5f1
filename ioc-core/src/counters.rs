//! What became of every reading, counted by step and by rule: why nothing happened.
//!
//! Plain numbers that the host turns into metrics. No decision and no digest depends on them; they
//! are saved beside the state, each by its name, so that a restart goes on counting and another
//! version may know others. A replay from the beginning counts from nothing. Next: `rules.rs`.

use std::ops::AddAssign;

use crate::codec::{CodecError, Put, Take};
use crate::detection::Detection;
use crate::id::RuleId;

macro_rules! counters {
    ($(#[$doc:meta])* $type:ident { $($(#[$field_doc:meta])* $field:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $type {
            $($(#[$field_doc])* pub $field: u64,)+
        }

        impl $type {
            /// Each counter's name and value.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($field), self.$field)),+].into_iter()
            }

            pub(crate) fn put(&self, out: &mut impl Put) {
                out.put_count(self.each().count());
                for (name, value) in self.each() {
                    out.put_text(name);
                    out.put_u64(value);
                }
            }

            /// The counters as they were put. One that is not counted any more is left out, a new
            /// one begins at nothing.
            pub(crate) fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
                let mut counters = Self::default();
                for _ in 0..take.u32()? {
                    let (name, value) = (take.text()?, take.u64()?);
                    match name {
                        $(stringify!($field) => counters.$field = value,)+
                        _ => {}
                    }
                }
                Ok(counters)
            }
        }

        impl AddAssign for $type {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)+
            }
        }
    };
}

counters! {
    /// What the sensor stages counted. Each reading is one of: folded, duplicate, beyond memory, of
    /// no rule, of a sensor or kind over the limit, or judged.
    SensorCounters {
        /// Readings that at least one rule looked at.
        readings_judged,
        /// Readings that were left out where much arrived at once; a record accounts for them.
        readings_folded,
        /// Readings whose id is remembered.
        readings_duplicate,
        /// Readings observed so long ago that a redelivery could not be told from them.
        readings_beyond_memory,
        /// Readings of a kind that no rule looks at.
        readings_of_no_rule,
        /// Readings of sensors beyond the bound.
        readings_of_sensors_over_limit,
        /// Readings of kinds beyond the bound of their sensor.
        readings_of_kinds_over_limit,
        /// Readings that claimed to be observed after they were received.
        readings_from_the_future,
        /// Times that a sensor's clock was taken to be set back.
        clocks_set_back,
    }
}

counters! {
    /// What one detection rule made of the readings it looked at; of one about several sensors also
    /// what it found of them.
    RuleCounters {
        /// Readings without the attributes that it asks for.
        unmatched,
        /// Readings that were taken into a window, or wait to be put in order. What is counted
        /// beside them are windows, or the same readings when their turn comes.
        gathered,
        /// Readings before there were enough to tell, or windows of which nothing is known.
        unknown,
        /// Readings that were normal.
        normal,
        /// Readings on the way back to normal, but not there yet.
        held,
        /// Abnormal readings, before they were enough to raise.
        pending,
        /// Readings observed before one already judged: they neither raise nor clear.
        late,
        /// Readings that became evidence.
        evidence,
        /// Reports that had been taken back before they came.
        taken_back,
        /// Detections raised.
        raised,
        /// Detections cleared.
        cleared,
        /// Sensors fallen silent, or sites.
        silent,
        /// Sensors found to be broken.
        faulty,
        /// Sensors found to be sound again.
        sound,
    }
}

impl RuleCounters {
    /// Counts what a rule about several sensors has found.
    pub(crate) fn note(&mut self, detection: &Detection) {
        match detection {
            Detection::Raised { .. } | Detection::Reported { .. } => self.raised += 1,
            Detection::Updated { .. } => self.evidence += 1,
            Detection::Cleared => self.cleared += 1,
            Detection::SiteSilent(_) => self.silent += 1,
            Detection::Faulty(_) => self.faulty += 1,
            Detection::Sound(_) => self.sound += 1,
            _ => {}
        }
    }
}

counters! {
    /// What the engine counted.
    EngineCounters {
        /// Detections and reports that no correlation rule takes.
        detections_of_no_rule,
        /// Findings of sensors that a rule of a sequence has no room to watch.
        sequences_over_limit,
        /// Candidates begun.
        candidates_begun,
        /// Candidates whose evidence went away before it was enough.
        candidates_ended,
        /// Candidates forgotten because there were too many.
        candidates_over_limit,
        /// Readings of candidates that were forgotten because they had too many.
        evidence_over_limit,
        /// Readings observed so long ago that a correlation rule takes them for stale.
        evidence_stale,
        /// Readings that were evidence of an incident that is over, and came again by what a rule
        /// counts or waits with.
        evidence_told,
        /// Readings of sources beyond the bound of their incident.
        members_over_limit,
        /// Times that a candidate could not open because too many incidents are open.
        incidents_over_limit,
        /// Incidents that parted from others, for what they are about stayed dark.
        incidents_nested,
        /// Incidents forgotten for newer ones.
        incidents_forgotten,
        /// Requests that had been accepted before.
        requests_repeated,
        /// Dead letters that passed by.
        dead_letters,
        /// Commands to actuators that were ordered.
        commands_sent,
        /// Answers of devices, and other results, that belong to no command that is known.
        effects_unknown,
        /// Answers of devices that said nothing new.
        effects_repeated,
        /// Detections, reports, silences and faults that were kept quiet on purpose.
        detections_suppressed,
        /// Extreme ones that were told all the same.
        detections_let_through,
        /// Those that there was no room to keep quiet, and that were told.
        suppressed_over_limit,
        /// Times that an incident came to be a symptom of one that lasts, so that nobody is called.
        incidents_suppressed,
    }
}

/// A snapshot of all counters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// By the sensor stages, all shards together.
    pub sensors: SensorCounters,
    /// By each detection rule that holds, in the order of their names.
    pub rules: Vec<(RuleId, RuleCounters)>,
    /// By the engine.
    pub engine: EngineCounters,
    /// Sensors known.
    pub sensors_known: u64,
    /// Candidates that wait for more evidence.
    pub candidates: u64,
    /// Incidents that are not over.
    pub incidents_live: u64,
}
