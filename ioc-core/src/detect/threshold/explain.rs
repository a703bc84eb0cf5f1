//! How a sensor stands to the levels of a rule, for whoever asks why.

use super::{Run, State, levels};
use crate::bundle::{Level, Sensor, Side, Threshold};
use crate::explain::{LevelLook, LevelsLook};

impl State {
    /// A look at the levels. `value`: what they are asked of, if it is known.
    pub fn look(
        &self,
        rule: &Threshold,
        sensor: Option<&Sensor>,
        value: Option<f64>,
    ) -> LevelsLook {
        let abnormal = self.abnormal.as_deref();
        let run = |place: usize| abnormal.map(|abnormal| abnormal.runs[place]);
        let levels = levels(rule, sensor).enumerate();
        LevelsLook {
            value,
            side: rule.side,
            levels: levels
                .filter(|(_, level)| level.value.is_finite())
                .map(|(place, level)| look_at(rule, level, run(place)))
                .collect(),
            clear: match rule.side {
                Side::Above => self.least - rule.clear_gap,
                Side::Below => self.least + rule.clear_gap,
            },
            raised: abnormal.and_then(|abnormal| abnormal.raised),
            normal_in_a_row: (
                abnormal.map_or(0, |abnormal| abnormal.normal_in_a_row),
                rule.clear_readings_min,
            ),
            easing: abnormal.and_then(|abnormal| {
                let easing = abnormal.easing?;
                Some((easing.readings, easing.to))
            }),
        }
    }
}

fn look_at(rule: &Threshold, level: Level, run: Option<Run>) -> LevelLook {
    let run = run.filter(|run| run.count > 0);
    LevelLook {
        severity: level.severity,
        level: level.value,
        readings: (run.map_or(0, |run| run.count), rule.readings_min),
        among: rule.readings_among,
        since: run.map(|run| run.since),
        lasting: rule.lasting,
    }
}
