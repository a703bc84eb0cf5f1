//! Do single readings lie far from those around them? Against the sensor's own last readings.
//!
//! A spike is known by the reading after it: far above both its neighbours, or far below both, and
//! these two near each other. So a wave, a step and the peak of a real thing are none. Next:
//! `silence.rs`.

use super::Sign;
use crate::bundle::Spiking;
use crate::codec::{CodecError, Put, Take};

/// The last two readings, and which of those before were spikes.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The newest first.
    last: [Option<f64>; 2],
    /// The newest in the lowest bit.
    spikes: u64,
}

impl Memory {
    pub fn judge(&mut self, rule: &Spiking, value: f64) -> Sign {
        let spike = match self.last {
            [Some(middle), Some(first)] => is_spike(rule.height, [first, middle, value]),
            [_, _] => false,
        };
        self.last = [Some(value), self.last[0]];
        self.spikes = (self.spikes << 1 | u64::from(spike)) & u64::MAX >> (64 - rule.among);
        let spikes = self.spikes.count_ones();
        if spikes >= rule.spikes_min {
            Sign::Fault
        } else if spikes * 2 < rule.spikes_min {
            Sign::Sound
        } else {
            Sign::Neither
        }
    }

    pub fn put(&self, out: &mut impl Put) {
        for value in self.last {
            out.put_option(value, Put::put_f64);
        }
        out.put_u64(self.spikes);
    }

    pub fn take(take: &mut Take<'_>) -> Result<Self, CodecError> {
        let mut last = [None; 2];
        for value in &mut last {
            *value = take.option(Take::f64)?;
        }
        let spikes = take.u64()?;
        Ok(Self { last, spikes })
    }
}

/// Whether the middle one lies so far above both others, or below, and these agree.
fn is_spike(height: f64, [first, middle, last]: [f64; 3]) -> bool {
    let (up, down) = (middle - first, middle - last);
    let one_way = (up > 0.0) == (down > 0.0);
    one_way && up.abs() > height && down.abs() > height && (first - last).abs() * 2.0 < height
}
