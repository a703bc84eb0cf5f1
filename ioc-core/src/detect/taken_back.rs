//! What a sensor takes back of what it reported: of whatever kind, and also before it came.
//!
//! Arrives: each reading whose attributes name earlier reports, where some rule asks for that.
//! Leaves: for each report rule of the other kinds that the sensor has sent a
//! [`Detection::Withdrawn`], for a name means a report whatever its kind; and the memory of the
//! names, by which a report that was overtaken by what takes it back says nothing when it comes.
//! Promise: what is observed after it was taken back is news, though it be called the same; and who
//! is not to be trusted takes back nothing. Bound: [`TAKEN_BACK_MAX`]. Next:
//! `correlate/replaced.rs`.

use super::{Moment, Sensor, SensorStage, finding, withdrawn};
use crate::bundle::{DetectionRule, Test};
use crate::codec::{CodecError, Put, Take};
use crate::detection::{Detection, Finding};
use crate::hash::hash_text;
use crate::limits::TAKEN_BACK_MAX;
use crate::reading::Reading;
use crate::replaced::named;
use crate::time::Timestamp;

/// The names of the reports that a sensor has taken back.
#[derive(Debug, Default)]
pub(super) struct TakenBack {
    /// Those that were named longest ago first, each once.
    names: Vec<Name>,
}

/// A name by which reports were taken back.
#[derive(Debug, Clone, Copy)]
struct Name {
    hash: u64,
    /// When that was observed which took them back, by the source's own clock; of several the last.
    observed_at: Timestamp,
}

impl TakenBack {
    /// Takes note of what a reading names, in whose text the newest come first.
    fn note(&mut self, names: &str, observed_at: Timestamp) {
        let names: Vec<_> = named(names).map(hash_text).collect();
        for hash in names.into_iter().rev() {
            let known = self.names.iter().position(|name| name.hash == hash);
            let before = known.map(|place| self.names.remove(place).observed_at);
            if self.names.len() == TAKEN_BACK_MAX {
                self.names.remove(0);
            }
            self.names.push(Name {
                hash,
                observed_at: before.map_or(observed_at, |before| before.max(observed_at)),
            });
        }
    }

    /// Whether a report that comes now was taken back before.
    fn contain(&self, reading: &Reading<'_>) -> bool {
        if self.names.is_empty() {
            return false;
        }
        let ends = reading.id.match_indices('/').map(|(end, _)| end);
        let mut names = ends.chain([reading.id.len()]);
        names.any(|end| {
            let hash = hash_text(&reading.id[..end]);
            let mut same = self.names.iter().filter(|name| name.hash == hash);
            same.any(|name| reading.observed_at <= name.observed_at)
        })
    }

    /// Puts the names, those that were named longest ago first.
    pub fn put(&self, out: &mut impl Put) {
        out.put_count(self.names.len());
        for name in &self.names {
            out.put_u64(name.hash);
            out.put_time(name.observed_at);
        }
    }

    /// The names as they were put.
    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let count = take.count(TAKEN_BACK_MAX)?;
        let names = take.each(count, |take| {
            Ok(Name {
                hash: take.u64()?,
                observed_at: take.time()?,
            })
        })?;
        Ok(Self { names })
    }
}

impl Sensor {
    /// Whether a report was taken back before it came, if this rule lets reports be taken back.
    pub fn has_taken_back(&self, rule: &DetectionRule, reading: &Reading<'_>) -> bool {
        let Test::Report(report) = &rule.test else {
            return false;
        };
        report.replaces.is_some() && self.taken_back.contain(reading)
    }
}

impl SensorStage {
    /// Takes back what a reading names: `own` is the track of its kind, whose rules have said what
    /// they make of it.
    pub(super) fn take_back(
        &mut self,
        number: usize,
        own: Option<usize>,
        reading: &Reading<'_>,
        moment: Moment,
        found: &mut Vec<Finding>,
    ) {
        let asked = self.rules.replacing().iter();
        let said = asked.filter_map(|attribute| reading.attributes.get(attribute));
        let said: Vec<_> = said.filter(|names| !names.is_empty()).collect();
        if said.is_empty() {
            return;
        }
        let sensor = &mut self.sensors[number];
        if !sensor.tracks.iter().any(|track| track.doubted) {
            for names in said {
                sensor.taken_back.note(names, reading.observed_at);
            }
        }
        let sensor = &self.sensors[number];
        let others = (0..sensor.tracks.len()).filter(|track| Some(*track) != own);
        let mut others: Vec<_> = others.map(|track| sensor.tracks[track].kind).collect();
        // The order in which they were first heard shows nowhere.
        others.sort_by_key(|kind| &self.rules.kind(*kind).kind);
        for kind in others {
            for rule in &self.rules.kind(kind).judging {
                let rule = self.rules.detection(*rule);
                if let Some(names) = withdrawn(rule, reading) {
                    let detection = Detection::Withdrawn(names);
                    found.push(finding(&self.rules, sensor, rule, moment, detection));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::Attributes;
    use crate::time::Millis;

    fn contains(taken_back: &TakenBack, id: &str, second: i64) -> bool {
        taken_back.contain(&Reading {
            id,
            sensor: "met",
            kind: "warning",
            observed_at: at(second),
            received_at: None,
            value: 3.0,
            unit: "",
            position: None,
            attributes: Attributes::default(),
        })
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::default() + Millis::seconds(second)
    }

    #[test]
    fn a_name_takes_back_what_was_observed_no_later_and_goes_on_behind_a_slash() {
        let mut taken_back = TakenBack::default();
        taken_back.note("a,1 b", at(10));
        assert!(contains(&taken_back, "a,1/0/3", 10));
        assert!(contains(&taken_back, "b", 9));
        assert!(!contains(&taken_back, "a,1/0/3", 11));
        assert!(!contains(&taken_back, "a,12/0", 9));
        assert!(!contains(&taken_back, "a", 9));
        // The last time counts, whatever comes in between.
        taken_back.note("b", at(20));
        taken_back.note("b", at(5));
        assert!(contains(&taken_back, "b/1", 20));
    }

    #[test]
    fn p5_so_many_names_are_remembered_and_those_named_longest_ago_are_forgotten() {
        let mut taken_back = TakenBack::default();
        for number in 0..=TAKEN_BACK_MAX {
            taken_back.note(&number.to_string(), at(1));
            // What is named again takes no place of its own.
            taken_back.note(&number.to_string(), at(1));
        }
        assert_eq!(taken_back.names.len(), TAKEN_BACK_MAX);
        assert!(!contains(&taken_back, "0", 1));
        assert!(contains(&taken_back, "1", 1));
        // Of a list the first are the newest.
        taken_back.note("new old", at(1));
        for number in 0..TAKEN_BACK_MAX - 1 {
            taken_back.note(&format!("other-{number}"), at(1));
        }
        assert!(contains(&taken_back, "new", 1) && !contains(&taken_back, "old", 1));
    }
}
