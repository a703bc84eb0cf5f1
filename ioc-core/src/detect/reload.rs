//! Other rules: what is kept, what is lost and what clears by that. Next: `bytes.rs`.

use std::sync::Arc;

use super::{Moment, SensorStage, finding};
use crate::counters::RuleCounters;
use crate::detection::Finding;
use crate::id::RuleId;
use crate::record::{BundleHash, Record};
use crate::rules::Rules;
use crate::timer::{Timer, Timers};

impl SensorStage {
    /// Puts other rules into force: an unchanged rule keeps its state, a changed or removed one
    /// loses it and its detections clear.
    ///
    /// All sensors are visited at once; a city of 100,000 sensors takes about a tenth of a second.
    /// The place to spread it is here: a queue of sensors, drained by a timer.
    pub(super) fn reload(
        &mut self,
        record: &Record<'_>,
        hash: BundleHash,
        found: &mut Vec<Finding>,
    ) {
        let new = self.provided.get(hash);
        let old = std::mem::replace(&mut self.rules, Arc::clone(&new));
        let moment = Moment {
            seq: record.seq,
            at: record.at,
            due: None,
        };
        self.keep_counters(&old);
        // Sorted once: cheaper than to find the place of each.
        let mut timers = Vec::with_capacity(self.timers.len());
        let first = found.len();
        for sensor in &mut self.sensors {
            let heard_at = sensor.heard_at.max(self.started_at);
            for (rule, detection) in sensor.reload(&old, &new, heard_at, moment.at) {
                let rule = old.detection(rule);
                let finding = finding(&new, sensor, rule, moment, detection);
                // What clears because its rule is gone does so whoever may be trusted.
                let doubted = false;
                found.push(Finding { doubted, ..finding });
            }
            for (due, rule) in sensor.timers(&new) {
                timers.push(Timer {
                    due,
                    rule: new.detection(rule).name.clone(),
                    subject: sensor.id.clone(),
                });
            }
        }
        self.timers = Timers::from_iter(timers);
        found[first..].sort_by(Finding::order);
    }

    fn keep_counters(&mut self, old: &Rules) {
        let before = |name: &RuleId| {
            let place = old
                .detections()
                .binary_search_by(|rule| rule.name.cmp(name));
            place.map_or_else(
                |_| RuleCounters::default(),
                |place| self.rule_counters[place],
            )
        };
        let rules = self.rules.detections().iter();
        self.rule_counters = rules.map(|rule| before(&rule.name)).collect();
    }
}
