//! Whose turn it is: both lanes are drained while both wait, eight urgent inputs to one of
//! telemetry.
//!
//! Arrives: which lanes have something, and how much was taken. Leaves: the lane to take from next,
//! and how much of it. So urgent inputs are judged first however much telemetry came before them,
//! and a flood of them does not keep telemetry from being judged for ever. Counted are inputs,
//! for one arrival may bring one of them or thousands.

use super::lane::{Lane, Lanes};

/// How many urgent inputs are taken for one of telemetry.
pub const URGENT_PER_TELEMETRY: u32 = 8;

/// The turns of the two lanes.
#[derive(Debug, Default)]
pub struct Turns {
    /// How many urgent inputs were taken while telemetry waited and had no turn for them.
    taken: u32,
}

impl Turns {
    /// The lane to take from; `None` if nothing waits.
    pub const fn next(&self, waits: Lanes<bool>) -> Option<Lane> {
        match (waits.urgent, waits.telemetry) {
            (false, false) => None,
            (false, true) => Some(Lane::Telemetry),
            (true, false) => Some(Lane::Urgent),
            (true, true) if self.taken < URGENT_PER_TELEMETRY => Some(Lane::Urgent),
            (true, true) => Some(Lane::Telemetry),
        }
    }

    /// How many inputs may be taken from a lane in its turn.
    pub const fn most(&self, lane: Lane, waits: Lanes<bool>) -> u32 {
        match lane {
            Lane::Telemetry if waits.urgent => self.taken / URGENT_PER_TELEMETRY,
            Lane::Telemetry | Lane::Urgent => u32::MAX,
        }
    }

    /// So many were taken from a lane, while these waited.
    pub const fn took(&mut self, lane: Lane, count: u32, waits: Lanes<bool>) {
        self.taken = match lane {
            Lane::Urgent if waits.telemetry => self.taken.saturating_add(count),
            Lane::Telemetry if waits.urgent => {
                let turns = count.saturating_mul(URGENT_PER_TELEMETRY);
                self.taken.saturating_sub(turns)
            }
            // Nobody was kept waiting.
            Lane::Urgent | Lane::Telemetry => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Lanes<bool> = Lanes {
        urgent: true,
        telemetry: true,
    };

    /// Takes from both, which never run out, in arrivals of so many inputs; returns how many were
    /// taken by lane, and the most urgent ones in a row.
    fn drain(urgent: u32, telemetry: u32, rounds: u32) -> (Lanes<u32>, u32) {
        let (mut turns, mut taken) = (Turns::default(), Lanes::<u32>::default());
        let (mut row, mut longest) = (0, 0);
        for _ in 0..rounds {
            let lane = turns.next(BOTH).expect("both wait");
            let arrived = *Lanes { urgent, telemetry }.of(lane);
            let count = arrived.min(turns.most(lane, BOTH));
            assert!(count > 0, "a turn is for something");
            turns.took(lane, count, BOTH);
            *taken.of_mut(lane) += count;
            row = if lane == Lane::Urgent { row + count } else { 0 };
            longest = longest.max(row);
        }
        (taken, longest)
    }

    #[test]
    fn p7_eight_urgent_inputs_come_to_one_of_telemetry_however_they_arrive() {
        for (urgent, telemetry) in [(1, 1), (1, 300), (300, 1), (8, 50_000), (1000, 1000)] {
            let (taken, longest) = drain(urgent, telemetry, 10_000);
            let ratio = f64::from(taken.urgent) / f64::from(taken.telemetry);
            assert!(
                (7.5..8.5).contains(&ratio),
                "{urgent}, {telemetry}: {ratio}"
            );
            assert!(
                longest < 8 + urgent.max(8),
                "{urgent}, {telemetry}: {longest}"
            );
        }
    }

    #[test]
    fn who_waits_alone_is_taken_whole_and_owes_nothing_for_it() {
        let mut turns = Turns::default();
        let alone = |lane| Lanes::each(|each| each == lane);
        for lane in Lane::ALL {
            assert_eq!(turns.next(alone(lane)), Some(lane));
            assert_eq!(turns.most(lane, alone(lane)), u32::MAX);
            turns.took(lane, 50_000, alone(lane));
            assert_eq!(turns.next(BOTH), Some(Lane::Urgent));
        }
        assert_eq!(turns.next(Lanes::default()), None);
    }
}
