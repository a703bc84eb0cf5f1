//! When what happens: drawn from the seed, without end.
//!
//! The first quarter of an hour has something of everything that people want to see: a crash, a
//! fire, a flood that takes its time, an outage, the first faulty sensor. From then on happenings
//! come by chance, with quiet between, a crash more often than a flood, a quake rarely.

use super::chance::Chance;
use super::happening::{Happening, HappeningKind, Happenings};
use super::map::CityMap;

/// More than this do not go on at once, faults apart; what comes then is put off.
const ACTIVE_MAX: usize = 4;
/// More faulty sensors than this there are not at once.
const FAULTY_MAX: usize = 12;
/// From one happening to the next, at least and on average beyond that.
const QUIET_S: f64 = 240.0;
const MEAN_S: f64 = 600.0;
/// From one fault to the next, on average.
const FAULT_MEAN_S: f64 = 300.0;

/// How often each kind comes, against the others.
const OFTEN: [(HappeningKind, f64); 7] = [
    (HappeningKind::Crash, 5.0),
    (HappeningKind::Fire, 2.0),
    (HappeningKind::Outage, 2.0),
    (HappeningKind::Flood, 1.5),
    (HappeningKind::Gas, 1.5),
    (HappeningKind::Crowd, 1.5),
    (HappeningKind::Quake, 0.3),
];

/// The opening: the kind, and between which seconds it begins.
const OPENING: [(HappeningKind, f64, f64); 4] = [
    (HappeningKind::Crash, 45.0, 90.0),
    (HappeningKind::Flood, 90.0, 150.0),
    (HappeningKind::Fire, 150.0, 270.0),
    (HappeningKind::Outage, 540.0, 720.0),
];

/// What goes on, and what comes next.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    seed: u64,
    allowed: Happenings,
    chance: Chance,
    fault_chance: Chance,
    /// What is decided and has not begun, soonest first.
    coming: Vec<(f64, HappeningKind)>,
    next_s: f64,
    next_fault_s: f64,
    /// What goes on, faults apart.
    active: Vec<Happening>,
    faults: Vec<Happening>,
}

impl Schedule {
    pub(super) fn new(seed: u64, allowed: Happenings) -> Self {
        let mut chance = Chance::new(seed, "happenings");
        let mut coming: Vec<_> = OPENING
            .iter()
            .map(|(kind, from_s, until_s)| (chance.between(*from_s, *until_s), *kind))
            .filter(|(_, kind)| allowed.include(*kind))
            .collect();
        coming.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut fault_chance = Chance::new(seed, "faults");
        Self {
            seed,
            allowed,
            next_s: chance.between(900.0, 1200.0),
            next_fault_s: fault_chance.between(60.0, 180.0),
            chance,
            fault_chance,
            coming,
            active: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// What goes on, in the order in which it touches a reading: the world first, then the sensor.
    pub(super) fn active(&self) -> impl Iterator<Item = &Happening> {
        self.active.iter().chain(&self.faults)
    }

    /// When the next thing begins; there is always a next one, or never any.
    pub(super) fn next_begin_s(&self) -> f64 {
        let coming_s = self.coming.first().map_or(f64::INFINITY, |(at_s, _)| *at_s);
        coming_s.min(self.next_s).min(self.next_fault_s)
    }

    /// Ends what is over at this time and begins the next thing that is due; returns it.
    pub(super) fn begin_next(&mut self, map: &CityMap) -> Option<&Happening> {
        let now_s = self.next_begin_s();
        self.active.retain(|each| each.until_s > now_s);
        self.faults.retain(|each| each.until_s > now_s);
        if now_s == self.next_fault_s {
            return self.begin_fault(now_s, map);
        }
        let kind = if self.coming.first().is_some_and(|(at_s, _)| *at_s == now_s) {
            self.coming.remove(0).1
        } else {
            self.next_s = now_s + QUIET_S + self.chance.waiting(MEAN_S);
            self.draw_kind()?
        };
        let goes_on = self.active.iter().any(|each| each.kind == kind);
        let may_repeat = matches!(kind, HappeningKind::Crash | HappeningKind::Gas);
        if self.active.len() >= ACTIVE_MAX || (goes_on && !may_repeat) {
            return None;
        }
        let happening = Happening::draw(kind, now_s, map, self.seed, &mut self.chance)?;
        self.coming.extend(
            (happening.consequences.iter()).filter(|(_, kind)| self.allowed.include(*kind)),
        );
        self.coming.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.active.push(happening);
        self.active.last()
    }

    fn begin_fault(&mut self, now_s: f64, map: &CityMap) -> Option<&Happening> {
        self.next_fault_s = now_s + 30.0 + self.fault_chance.waiting(FAULT_MEAN_S);
        let wanted = self.allowed.include(HappeningKind::Faults);
        if !wanted || self.faults.len() >= FAULTY_MAX {
            return None;
        }
        let chance = &mut self.fault_chance;
        let fault = Happening::draw(HappeningKind::Faults, now_s, map, self.seed, chance)?;
        self.faults.push(fault);
        self.faults.last()
    }

    fn draw_kind(&mut self) -> Option<HappeningKind> {
        let allowed = OFTEN.iter().filter(|(kind, _)| self.allowed.include(*kind));
        let total: f64 = allowed.clone().map(|(_, often)| often).sum();
        let mut left = self.chance.between(0.0, total);
        for (kind, often) in allowed {
            if left < *often {
                return Some(*kind);
            }
            left -= often;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(seed: u64, allowed: Happenings, hours: f64) -> Vec<(f64, HappeningKind)> {
        let map = CityMap::compiled_in();
        let mut schedule = Schedule::new(seed, allowed);
        let mut begun = Vec::new();
        loop {
            let at_s = schedule.next_begin_s();
            if at_s > hours * 3600.0 {
                return begun;
            }
            let happening = schedule.begin_next(&map);
            begun.extend(happening.map(|happening| (at_s, happening.kind)));
        }
    }

    #[test]
    fn the_first_quarter_of_an_hour_has_something_of_everything() {
        for seed in 0..20 {
            let opening = begun(seed, Happenings::ALL, 0.25);
            for (kind, from_s, until_s) in OPENING {
                let found = opening.iter().find(|(_, each)| *each == kind);
                let (at_s, _) = found.unwrap_or_else(|| panic!("seed {seed}: no {}", kind.word()));
                assert!(
                    (from_s..=until_s).contains(at_s),
                    "seed {seed}: {}",
                    kind.word()
                );
            }
        }
    }

    #[test]
    fn every_kind_comes_sooner_or_later_and_only_what_is_allowed() {
        let all = begun(1, Happenings::ALL, 24.0 * 14.0);
        for kind in HappeningKind::ALL {
            assert!(all.iter().any(|(_, each)| *each == kind), "{}", kind.word());
        }
        let quakes = begun(1, "quake".parse().unwrap(), 24.0);
        assert!(quakes.iter().all(|(_, kind)| *kind == HappeningKind::Quake));
        assert!(!quakes.is_empty());
        assert!(begun(1, Happenings::NONE, 24.0).is_empty());
    }
}
