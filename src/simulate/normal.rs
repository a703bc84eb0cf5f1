//! What each kind of sensor measures when nothing happens.
//!
//! Every value is a function of the sensor, the time and the number of the reading: a level of its
//! own, a course over the day, a slow wandering, and measurement noise. All parts are bounded, so
//! that a city where nothing happens stays below every warning.

use super::chance::{grain, mix, salt, unit, wander};
use super::map::Sensor;

/// What a sensor's kind measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Physics {
    Rainfall,
    WaterLevel,
    StreetWater,
    TrafficSpeed,
    TrafficSignal,
    Pump,
    Feeder,
    Pm25,
    Gas,
    Smoke,
    Temperature,
    CrowdDensity,
    Seismic,
    /// A kind that the simulation does not know: it hovers around a value and nothing happens.
    Other,
}

/// The figures of a kind, in its unit.
struct Figures {
    kind: &'static str,
    unit: &'static str,
    interval_s: f64,
    normal: f64,
    warning: f64,
    danger: f64,
    /// How far sensors of the kind differ from one another, at most.
    own: f64,
    /// The course over the day, at most, highest in the afternoon.
    daily: f64,
    /// The slow wandering, at most.
    wander: f64,
    /// Measurement noise, at most.
    noise: f64,
    lowest: f64,
}

const fn figures(physics: Physics) -> Figures {
    #[rustfmt::skip]
    let (kind, unit, interval_s, [normal, warning, danger], [own, daily, wander, noise]) =
        match physics {
            Physics::Rainfall => ("rainfall", "mm/h", 60.0, [0.4, 30.0, 60.0], [0.2, 0.3, 0.5, 0.2]),
            Physics::WaterLevel => ("water_level", "m", 60.0, [1.2, 3.0, 3.8], [0.2, 0.03, 0.12, 0.02]),
            Physics::StreetWater => ("street_water", "cm", 60.0, [0.0, 10.0, 30.0], [0.2, 0.0, 0.4, 0.3]),
            Physics::TrafficSpeed => ("traffic_speed", "km/h", 60.0, [45.0, 15.0, 6.0], [7.0, -6.0, 5.0, 4.0]),
            Physics::TrafficSignal => ("traffic_signal", "state", 60.0, [1.0, 0.0, 0.0], [0.0; 4]),
            Physics::Pump => ("pump", "state", 60.0, [1.0, 0.0, 0.0], [0.0; 4]),
            Physics::Feeder => ("feeder", "kV", 30.0, [11.0, 9.0, 2.0], [0.1, -0.15, 0.15, 0.08]),
            Physics::Pm25 => ("pm25", "ug/m3", 120.0, [22.0, 75.0, 150.0], [6.0, 4.0, 8.0, 3.0]),
            Physics::Gas => ("gas", "%LEL", 30.0, [1.0, 10.0, 25.0], [0.5, 0.0, 0.5, 0.4]),
            Physics::Smoke => ("smoke", "%/m", 60.0, [0.2, 3.0, 8.0], [0.1, 0.0, 0.1, 0.08]),
            Physics::Temperature => ("temperature", "degC", 60.0, [29.0, 50.0, 70.0], [1.5, 4.0, 1.5, 0.4]),
            Physics::CrowdDensity => ("crowd_density", "p/m2", 30.0, [1.0, 4.0, 5.5], [0.3, 0.4, 0.4, 0.2]),
            Physics::Seismic => ("seismic", "g", 60.0, [0.001, 0.04, 0.10], [0.0002, 0.0, 0.0004, 0.0005]),
            Physics::Other => ("", "", 60.0, [1.0, f64::INFINITY, f64::INFINITY], [0.2, 0.0, 0.2, 0.1]),
        };
    Figures {
        kind,
        unit,
        interval_s,
        normal,
        warning,
        danger,
        own,
        daily,
        wander,
        noise,
        lowest: 0.0,
    }
}

impl Physics {
    const KNOWN: [Self; 13] = [
        Self::Rainfall,
        Self::WaterLevel,
        Self::StreetWater,
        Self::TrafficSpeed,
        Self::TrafficSignal,
        Self::Pump,
        Self::Feeder,
        Self::Pm25,
        Self::Gas,
        Self::Smoke,
        Self::Temperature,
        Self::CrowdDensity,
        Self::Seismic,
    ];

    pub(super) fn of_kind(kind: &str) -> Self {
        let known = Self::KNOWN
            .into_iter()
            .find(|each| figures(*each).kind == kind);
        known.unwrap_or(Self::Other)
    }

    pub(super) const fn unit(self) -> &'static str {
        figures(self).unit
    }

    pub(super) const fn interval_s(self) -> f64 {
        figures(self).interval_s
    }

    pub(super) const fn warning(self) -> f64 {
        figures(self).warning
    }

    pub(super) const fn danger(self) -> f64 {
        figures(self).danger
    }

    /// The danger level as a multiple of the warning, where only that is registered.
    pub(super) fn danger_per_warning(self) -> f64 {
        let ratio = self.danger() / self.warning();
        if ratio.is_finite() { ratio } else { 1.0 }
    }

    /// Whether less is worse.
    pub(super) const fn is_worse_below(self) -> bool {
        matches!(
            self,
            Self::TrafficSpeed | Self::TrafficSignal | Self::Pump | Self::Feeder
        )
    }
}

impl Sensor {
    /// Whether a value is beyond its warning.
    #[cfg(test)]
    pub(super) fn is_abnormal(&self, value: f64) -> bool {
        if self.physics.is_worse_below() {
            value <= self.warning
        } else {
            value >= self.warning
        }
    }

    /// A value well beyond its danger, such as a fault invents.
    pub(super) fn absurd(&self) -> f64 {
        match self.physics {
            Physics::Other => 1000.0,
            physics if physics.is_worse_below() => self.danger * 0.5,
            _ => self.danger * 1.4,
        }
    }

    /// The level that the sensor keeps to. Its own thresholds scale it: a gauge that warns at
    /// 6 m does not stand in half a metre of water.
    pub(super) fn usual(&self, seed: u64) -> f64 {
        let figures = figures(self.physics);
        let differs = unit(mix(&[seed, salt(&self.id), 1])) * 2.0 - 1.0;
        figures.normal * self.scale() + figures.own * differs * self.scale()
    }

    fn scale(&self) -> f64 {
        let figures = figures(self.physics);
        let registered = self.warning / figures.warning;
        if registered.is_finite() && registered > 0.0 {
            registered
        } else {
            1.0
        }
    }

    /// What it measures when nothing happens, so many seconds after the simulation began, in its
    /// n-th reading.
    pub(super) fn normal(&self, seed: u64, at_s: f64, n: u64) -> f64 {
        const DAY_S: f64 = 86_400.0;
        /// The simulation begins at noon; the day is at its height three hours later.
        const AFTERNOON_S: f64 = 3.0 * 3600.0;

        let figures = figures(self.physics);
        if matches!(self.physics, Physics::TrafficSignal | Physics::Pump) {
            return figures.normal;
        }
        let key = mix(&[seed, salt(&self.id)]);
        let daily = ((at_s - AFTERNOON_S) / DAY_S * std::f64::consts::TAU).cos();
        let departs = figures.daily * daily
            + figures.wander * wander(key, at_s, 1200.0)
            + figures.noise * grain(key, n);
        (self.usual(seed) + departs * self.scale()).max(figures.lowest)
    }
}
