//! Which readings of a sensor have been taken: so that a redelivered one changes nothing (P3).
//!
//! Arrives: each reading's id and when it was observed. Leaves: a [`Recall`]. Promise: a reading
//! that was taken once is from then on either remembered by its id, or of a time of which the
//! memory says that it has forgotten some; unless the sensor's clock was taken to be set back.
//! It is by readings that come one by one as slowly as time passes, all of them older than what is
//! known of that kind, while nothing newer comes: a backlog catches up, and what comes by a slower way
//! beside a faster one has newer readings in between.
//!
//! Remembered are the readings observed last, not those received last, so that one reading ahead
//! of a backlog makes the backlog no harder to tell. What was observed no later than something
//! forgotten, and is not remembered, cannot be told from a redelivery. Each kind of reading has its
//! own such reach, for one kind may always come hours after another. Times are the source's own:
//! were they cut off at the time of receipt, those of a clock that is ahead would say something
//! else when the reading comes again. Readings that were folded were never remembered: they count as
//! forgotten. Next: `threshold.rs`.

mod bytes;

use std::collections::BTreeSet;
use std::hint::black_box;

use crate::hash::{Map, hash_text};
use crate::limits::{
    CLOCK_JITTER, CLOCK_PACE, CLOCK_SET_BACK_APART, CLOCK_SET_BACK_LASTING,
    CLOCK_SET_BACK_READINGS_MIN, CLOCK_SET_BACK_STEADY_MIN, KINDS_PER_SENSOR_MAX,
    READINGS_REMEMBERED, READINGS_REMEMBERED_LONG,
};
use crate::time::Timestamp;

/// The readings that one sensor has sent.
#[derive(Debug)]
pub(super) struct Memory {
    last: Last,
    /// Takes the place of `last` where that is too short.
    long: Option<Box<Long>>,
    /// By the order in which the kinds were first heard. Kinds beyond the bound share the last.
    reaches: Vec<Reach>,
}

/// What a memory is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival<'a> {
    /// The hash of the reading's id.
    pub id: u64,
    pub kind: &'a str,
    /// By the source's clock, though it be ahead of ours.
    pub observed_at: Timestamp,
    /// In logical time.
    pub received_at: Timestamp,
    /// Some rule has judged what was observed later.
    pub late: bool,
}

/// What a memory says of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recall {
    /// It is new, and remembered from now on.
    New,
    /// It is new, and its sensor's clock was set back some time ago.
    NewByAClockSetBack,
    /// Its id is remembered.
    Known,
    /// It was observed too long ago to tell.
    Beyond,
}

/// What was observed before some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing ever.
    Nothing,
    /// The last of it then.
    Observed(Timestamp),
    /// Something that is not remembered, then or later.
    Forgotten,
}

/// Why a longer memory is wanted: the short one is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// All of it, and what comes, was observed in one instant: the source's clock is coarse.
    OfOneInstant,
    /// Of readings one after another.
    InTime,
}

/// How far back the memory of one kind of reading reaches.
#[derive(Debug)]
struct Reach {
    /// The hash of its name.
    kind: u64,
    /// The latest that was observed by a reading that is forgotten: all later ones are remembered.
    forgotten_to: Timestamp,
    /// Readings beyond the reach or late, if no other has come since.
    set_back: Option<Box<SetBack>>,
}

/// A run of readings that are older than others: redelivered, delayed, or by a clock that was set
/// back.
#[derive(Debug)]
struct SetBack {
    /// When the first came, in logical time.
    begun_at: Timestamp,
    /// When it was observed.
    observed_from: Timestamp,
    /// When the oldest of them would have been, had it come then.
    slowest: Timestamp,
    observed_to: Timestamp,
    /// The ids of the first and the last reading, half of each: who comes again is redelivered.
    first: u32,
    last: u32,
    /// When one was last counted, in logical time.
    counted_at: Timestamp,
    /// How many, a while apart, each observed after all before, or all of them in one instant.
    readings: u32,
}

/// A remembered reading.
#[derive(Debug, Clone, Copy)]
struct Entry {
    id: u64,
    observed_at: Timestamp,
    kind: u8,
}

impl Memory {
    pub fn new() -> Self {
        Self {
            last: Last::new(),
            long: None,
            reaches: Vec::new(),
        }
    }

    /// Reads what [`Self::recall`] is going to scan, so that it waits for memory here: beside the
    /// other sensors that are spoken to next, instead of one after another.
    pub fn look_at(&self) {
        const IDS_PER_LINE: usize = 8;
        let lines = self.last.ids.iter().step_by(IDS_PER_LINE);
        black_box(lines.fold(0, |all, id| all ^ id));
        black_box(self.last.observed[usize::from(self.last.oldest)]);
    }

    /// Says whether a reading is new, and remembers it if so. `lengthens` says, when the memory is
    /// full, whether there is room for a longer one.
    pub fn recall(
        &mut self,
        arrival: &Arrival<'_>,
        lengthens: impl FnOnce(Full) -> bool,
    ) -> Recall {
        // Zero marks an empty place.
        let id = arrival.id.max(1);
        if self.remembers(id) {
            return Recall::Known;
        }
        let kind = self.kind(arrival.kind);
        let of_one_instant = self.is_of_one_instant(arrival.observed_at);
        let recall = self.reaches[usize::from(kind)].recall(arrival, of_one_instant);
        match recall {
            Recall::Known | Recall::Beyond => return recall,
            Recall::NewByAClockSetBack => self.set_clock_back(kind, arrival.observed_at),
            Recall::New => {}
        }
        if self.long.is_none() && self.last.is_full() {
            let full = if of_one_instant {
                Full::OfOneInstant
            } else {
                Full::InTime
            };
            if lengthens(full) {
                self.lengthen();
            }
        }
        let entry = Entry {
            id,
            observed_at: arrival.observed_at,
            kind,
        };
        let forgotten = match &mut self.long {
            Some(long) => long.insert(entry),
            None => self.last.insert(entry),
        };
        if let Some(entry) = forgotten {
            let reach = &mut self.reaches[usize::from(entry.kind)];
            reach.forgotten_to = reach.forgotten_to.max(entry.observed_at);
        }
        recall
    }

    /// Whether a reading was observed too long ago to tell whether it is new. Nothing is remembered
    /// of the question.
    pub fn is_beyond(&mut self, arrival: &Arrival<'_>) -> bool {
        let kind = self.kind(arrival.kind);
        let forgotten_to = self.reaches[usize::from(kind)].forgotten_to;
        arrival.observed_at <= forgotten_to && !self.remembers(arrival.id.max(1))
    }

    /// Takes note of readings of a kind that were never remembered, observed up to this time: from
    /// now on they cannot be told from a redelivery.
    pub fn forget_to(&mut self, kind: &str, observed_to: Timestamp) {
        let kind = self.kind(kind);
        let reach = &mut self.reaches[usize::from(kind)];
        reach.forgotten_to = reach.forgotten_to.max(observed_to);
    }

    /// When the last of a kind, by the hash of its name, was observed before this.
    pub fn last_before(&self, kind: u64, observed_at: Timestamp) -> Before {
        let Some(place) = self.reaches.iter().position(|reach| reach.kind == kind) else {
            return Before::Nothing;
        };
        let forgotten_to = self.reaches[place].forgotten_to;
        if forgotten_to >= observed_at {
            return Before::Forgotten;
        }
        let is_meant =
            |entry: &Entry| usize::from(entry.kind) == place && entry.observed_at < observed_at;
        let last = match &self.long {
            Some(long) => long.before(observed_at).find(is_meant),
            None => self
                .last
                .entries()
                .filter(is_meant)
                .max_by_key(|entry| entry.observed_at),
        };
        match last {
            Some(entry) => Before::Observed(entry.observed_at),
            None if forgotten_to > Timestamp::MIN => Before::Forgotten,
            None => Before::Nothing,
        }
    }

    pub fn is_long(&self) -> bool {
        self.long.is_some()
    }

    fn remembers(&self, id: u64) -> bool {
        match &self.long {
            Some(long) => long.kinds.contains_key(&id),
            None => self.last.ids.contains(&id),
        }
    }

    /// The place of a kind's reach, which is begun if it is new.
    fn kind(&mut self, kind: &str) -> u8 {
        let kind = hash_text(kind);
        let known = self.reaches.iter().position(|reach| reach.kind == kind);
        let place = known.unwrap_or_else(|| {
            if self.reaches.len() < KINDS_PER_SENSOR_MAX {
                // Nearly all sensors send one kind.
                self.reaches.reserve_exact(1);
                self.reaches.push(Reach::new(kind));
            }
            self.reaches.len() - 1
        });
        place as u8
    }

    /// Whether all that is remembered was observed at this instant.
    fn is_of_one_instant(&self, instant: Timestamp) -> bool {
        let (first, last) = match &self.long {
            Some(long) => {
                let times = (long.order.first(), long.order.last());
                (times.0.map(|first| first.0), times.1.map(|last| last.0))
            }
            None => self.last.ends(),
        };
        first == Some(instant) && last == Some(instant)
    }

    fn lengthen(&mut self) {
        let mut long = Long::default();
        for entry in std::mem::replace(&mut self.last, Last::new()).entries() {
            long.insert(entry);
        }
        self.long = Some(Box::new(long));
    }

    /// What is remembered of a kind was before this, whatever the clock said then. So it is known when
    /// it comes again, and is forgotten before what comes from now on.
    fn set_clock_back(&mut self, kind: u8, to: Timestamp) {
        let before = |entry: Entry| match entry.kind == kind {
            true => Entry {
                observed_at: entry.observed_at.min(to),
                ..entry
            },
            false => entry,
        };
        if let Some(long) = &mut self.long {
            let entries: Vec<_> = long.entries().map(before).collect();
            **long = Long::default();
            for entry in entries {
                long.insert(entry);
            }
            return;
        }
        for entry in std::mem::replace(&mut self.last, Last::new()).entries() {
            self.last.insert(before(entry));
        }
    }
}

impl Reach {
    fn new(kind: u64) -> Self {
        Self {
            kind,
            forgotten_to: Timestamp::MIN,
            set_back: None,
        }
    }

    /// What to make of a reading whose id is not remembered. `of_one_instant`: all that is
    /// remembered was observed when it was, by a clock that stands or is coarse.
    fn recall(&mut self, arrival: &Arrival<'_>, of_one_instant: bool) -> Recall {
        let is_new = arrival.observed_at > self.forgotten_to || of_one_instant;
        if is_new && !arrival.late {
            self.set_back = None;
            return Recall::New;
        }
        let Some(observed_to) = self.clock_set_back(arrival) else {
            return if is_new { Recall::New } else { Recall::Beyond };
        };
        if !is_new {
            self.forgotten_to = observed_to;
        }
        self.set_back = None;
        Recall::NewByAClockSetBack
    }

    /// Follows a run of readings that are older than others. If its clock must have been set back,
    /// returns up to when that has been observed in the run.
    fn clock_set_back(&mut self, arrival: &Arrival<'_>) -> Option<Timestamp> {
        let Some(run) = self.set_back.as_deref_mut() else {
            self.set_back = Some(Box::new(SetBack::begun(arrival)));
            return None;
        };
        let id = half(arrival.id);
        if id == run.last {
            return None;
        }
        if id == run.first || !run.goes_on(arrival) {
            *run = SetBack::begun(arrival);
            return None;
        }
        let passed = arrival.received_at - run.begun_at;
        run.slowest = run.slowest.min(arrival.observed_at - passed);
        let observed_to = run.observed_to;
        // What is redelivered again and again gets no further.
        let gets_on = arrival.observed_at > observed_to || run.stands(arrival);
        run.observed_to = observed_to.max(arrival.observed_at);
        run.last = id;
        if gets_on && arrival.received_at - run.counted_at >= CLOCK_SET_BACK_APART {
            run.counted_at = arrival.received_at;
            run.readings += 1;
        }
        run.is_believed(arrival).then_some(observed_to)
    }
}

impl SetBack {
    fn begun(arrival: &Arrival<'_>) -> Self {
        Self {
            begun_at: arrival.received_at,
            observed_from: arrival.observed_at,
            slowest: arrival.observed_at,
            observed_to: arrival.observed_at,
            first: half(arrival.id),
            last: half(arrival.id),
            counted_at: arrival.received_at,
            readings: 1,
        }
    }

    /// Whether this may be the next by the same clock: neither redelivered once more, from an earlier
    /// one on, nor of a backlog, which catches up.
    fn goes_on(&self, arrival: &Arrival<'_>) -> bool {
        let falls_back = self.observed_to - arrival.observed_at > CLOCK_JITTER
            || arrival.observed_at < self.observed_from;
        let passed = arrival.received_at - self.begun_at;
        let catches_up = arrival.observed_at - (self.slowest + passed) > CLOCK_PACE;
        !falls_back && !catches_up
    }

    /// Whether a clock must have been set back, by all up to this reading.
    fn is_believed(&self, last: &Arrival<'_>) -> bool {
        let passed = last.received_at - self.begun_at;
        let steady = self.observed_from + passed - last.observed_at <= CLOCK_PACE;
        let lasts = passed >= CLOCK_SET_BACK_LASTING;
        let enough = steady && lasts && self.readings >= CLOCK_SET_BACK_STEADY_MIN;
        let goes = steady || self.stands(last);
        enough || (goes && self.readings >= CLOCK_SET_BACK_READINGS_MIN)
    }

    /// Whether all up to this reading were observed in one instant: the clock stands, or is coarse.
    fn stands(&self, last: &Arrival<'_>) -> bool {
        self.observed_from == self.observed_to && last.observed_at == self.observed_to
    }
}

/// As much of an id as tells two of a run apart.
fn half(id: u64) -> u32 {
    id as u32
}

/// A short memory: one scan, and in order one write.
#[derive(Debug)]
struct Last {
    ids: [u64; READINGS_REMEMBERED],
    /// Never falling, from `oldest` on and around.
    observed: [Timestamp; READINGS_REMEMBERED],
    kinds: [u8; READINGS_REMEMBERED],
    oldest: u8,
    count: u8,
}

impl Last {
    fn new() -> Self {
        Self {
            ids: [0; READINGS_REMEMBERED],
            observed: [Timestamp::MIN; READINGS_REMEMBERED],
            kinds: [0; READINGS_REMEMBERED],
            oldest: 0,
            count: 0,
        }
    }

    fn is_full(&self) -> bool {
        usize::from(self.count) == READINGS_REMEMBERED
    }

    /// Remembers a reading; returns the one that is forgotten for it, which may be itself.
    fn insert(&mut self, entry: Entry) -> Option<Entry> {
        let mut forgotten = None;
        if self.is_full() {
            let oldest = self.entry(0);
            if entry.observed_at < oldest.observed_at {
                return Some(entry);
            }
            forgotten = Some(oldest);
            self.oldest = (self.oldest + 1) % READINGS_REMEMBERED as u8;
            self.count -= 1;
        }
        let mut at = usize::from(self.count);
        while at > 0 && self.entry(at - 1).observed_at > entry.observed_at {
            self.set(at, self.entry(at - 1));
            at -= 1;
        }
        self.set(at, entry);
        self.count += 1;
        forgotten
    }

    /// When the first and the last of them were observed.
    fn ends(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let observed = |at: u8| self.observed[self.place(usize::from(at))];
        let last = self.count.checked_sub(1);
        (last.map(|_| observed(0)), last.map(observed))
    }

    fn place(&self, at: usize) -> usize {
        (usize::from(self.oldest) + at) % READINGS_REMEMBERED
    }

    fn entry(&self, at: usize) -> Entry {
        let place = self.place(at);
        Entry {
            id: self.ids[place],
            observed_at: self.observed[place],
            kind: self.kinds[place],
        }
    }

    fn set(&mut self, at: usize, entry: Entry) {
        let place = self.place(at);
        self.ids[place] = entry.id;
        self.observed[place] = entry.observed_at;
        self.kinds[place] = entry.kind;
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        (0..usize::from(self.count)).map(|at| self.entry(at))
    }
}

/// A long memory: one look-up, and in order one insertion at the end of a tree.
#[derive(Debug, Default)]
struct Long {
    order: BTreeSet<(Timestamp, u64)>,
    kinds: Map<u64, u8>,
}

impl Long {
    /// Remembers a reading; returns the one that is forgotten for it, which may be itself.
    fn insert(&mut self, entry: Entry) -> Option<Entry> {
        self.order.insert((entry.observed_at, entry.id));
        self.kinds.insert(entry.id, entry.kind);
        if self.order.len() <= READINGS_REMEMBERED_LONG {
            return None;
        }
        let (observed_at, id) = self.order.pop_first()?;
        let kind = self.kinds.remove(&id)?;
        Some(Entry {
            id,
            observed_at,
            kind,
        })
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        self.order.iter().map(|&place| self.entry(place))
    }

    /// What was observed before this, the latest first.
    fn before(&self, observed_at: Timestamp) -> impl Iterator<Item = Entry> {
        let before = self.order.range(..(observed_at, 0)).rev();
        before.map(|&place| self.entry(place))
    }

    fn entry(&self, (observed_at, id): (Timestamp, u64)) -> Entry {
        let kind = self.kinds[&id];
        Entry {
            id,
            observed_at,
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Millis;

    /// A memory whose readings are numbered, all of one kind.
    struct Told(Memory, bool);

    impl Told {
        /// Whether reading `id`, observed and received then, is what it is taken for.
        fn recall(&mut self, id: u64, observed_s: i64, received_s: i64) -> Recall {
            self.hear(id, observed_s, received_s, false)
        }

        /// The same of one that rules take as late.
        fn late(&mut self, id: u64, observed_s: i64, received_s: i64) -> Recall {
            self.hear(id, observed_s, received_s, true)
        }

        fn hear(&mut self, id: u64, observed_s: i64, received_s: i64, late: bool) -> Recall {
            let time = |seconds| Timestamp::default() + Millis::seconds(seconds);
            let arrival = Arrival {
                id: id + 1,
                kind: "level",
                observed_at: time(observed_s),
                received_at: time(received_s),
                late,
            };
            self.0.recall(&arrival, |_| self.1)
        }
    }

    fn told(count: u64, lengthens: bool) -> Told {
        let mut told = Told(Memory::new(), lengthens);
        for id in 0..count {
            let second = id as i64;
            assert_eq!(told.recall(id, second, second), Recall::New);
        }
        told
    }

    #[test]
    fn what_is_forgotten_cannot_be_told_from_a_redelivery() {
        let mut told = told(100, false);
        for id in 0..68 {
            assert_eq!(told.recall(id, id as i64, 100), Recall::Beyond);
        }
        for id in 68..100 {
            assert_eq!(told.recall(id, id as i64, 100), Recall::Known);
        }
        // Late, but within the memory.
        assert_eq!(told.recall(200, 69, 100), Recall::New);
        assert_eq!(told.recall(201, 67, 100), Recall::Beyond);
    }

    #[test]
    fn a_fresh_reading_before_a_backlog_costs_none_of_it() {
        let mut told = told(10, false);
        assert_eq!(told.recall(1_000, 1_000, 1_000), Recall::New);
        for id in 10..500 {
            assert_eq!(told.recall(id, id as i64, 1_000), Recall::New);
        }
        assert_eq!(told.recall(1_000, 1_000, 1_001), Recall::Known);
        assert_eq!(told.recall(300, 300, 1_001), Recall::Beyond);
    }

    #[test]
    fn a_long_memory_tells_hundreds_back() {
        let mut told = told(3_000, true);
        assert_eq!(told.recall(2_500, 2_500, 3_000), Recall::Known);
        assert_eq!(told.recall(5_000, 2_000, 3_000), Recall::New);
        assert_eq!(told.recall(0, 0, 3_000), Recall::Beyond);
    }

    #[test]
    fn what_a_kind_said_before_is_known_until_it_is_forgotten() {
        for lengthens in [false, true] {
            let mut memory = Memory::new();
            let time = |minute| Timestamp::default() + Millis::minutes(minute);
            let mut say = |kind, minute: i64| {
                let arrival = Arrival {
                    id: 100 + minute as u64,
                    kind,
                    observed_at: time(minute),
                    received_at: time(minute),
                    late: false,
                };
                assert_eq!(memory.recall(&arrival, |_| lengthens), Recall::New);
            };
            say("level", 1);
            (2..40).for_each(|minute| say("battery", minute));
            say("level", 50);
            say("level", 60);
            let before =
                |memory: &Memory, minute| memory.last_before(hash_text("level"), time(minute));
            assert_eq!(before(&memory, 60), Before::Observed(time(50)));
            let first = match lengthens {
                true => Before::Observed(time(1)),
                false => Before::Forgotten,
            };
            assert_eq!(before(&memory, 50), first);
            assert_eq!(
                memory.last_before(hash_text("gas"), time(60)),
                Before::Nothing
            );
            // What was left out was said all the same.
            memory.forget_to("level", time(55));
            assert_eq!(before(&memory, 50), Before::Forgotten);
        }
    }

    #[test]
    fn a_kind_that_always_comes_later_is_heard() {
        let mut memory = Memory::new();
        let mut recall = |id: u64, kind, observed_s| {
            let arrival = Arrival {
                id: id + 1,
                kind,
                observed_at: Timestamp::default() + Millis::seconds(observed_s),
                received_at: Timestamp::default(),
                late: false,
            };
            memory.recall(&arrival, |_| false)
        };
        for step in 0..200 {
            let now = 100_000 + 60 * step as i64;
            assert_eq!(recall(2 * step, "level", now), Recall::New);
            assert_eq!(recall(2 * step + 1, "mean", now - 86_400), Recall::New);
        }
        assert_eq!(recall(1, "mean", 100_000 - 86_400), Recall::Beyond);
    }

    #[test]
    fn a_clock_that_stands_is_heard_and_one_instant_fills_a_long_memory_first() {
        let mut told = Told(Memory::new(), true);
        for id in 0..READINGS_REMEMBERED_LONG as u64 {
            assert_eq!(told.recall(id, 7, 7), Recall::New);
        }
        assert_eq!(told.recall(0, 7, 7), Recall::Known);
        // Longer than that it is heard rather than known again.
        assert_eq!(told.recall(9_000, 7, 7), Recall::New);
    }

    #[test]
    fn a_clock_that_is_set_back_is_believed_after_a_while() {
        let mut told = told(100, false);
        let year = -365 * 86_400;
        let mut recalls = (0..200).map(|second| {
            let id = 1_000 + second as u64;
            (second, told.recall(id, year + second, 100 + second))
        });
        let believed = recalls.find(|(_, recall)| *recall != Recall::Beyond);
        let waits = i64::from(CLOCK_SET_BACK_READINGS_MIN) - 1;
        let lasting = waits * CLOCK_SET_BACK_APART.0 / 1_000;
        assert_eq!(believed, Some((lasting, Recall::NewByAClockSetBack)));
        assert!(recalls.all(|(_, recall)| recall == Recall::New));
        // What came while it was not believed is not judged afterwards.
        assert_eq!(told.recall(1_050, year + 50, 400), Recall::Beyond);
    }

    #[test]
    fn a_clock_that_is_set_back_and_stands_is_believed_and_one_stale_reading_is_not() {
        let mut told = told(100, false);
        for round in 0..100 {
            assert_eq!(told.recall(1, 1, 100 + 60 * round), Recall::Beyond);
        }
        let mut recalls = (0..100).map(|round| told.recall(1_000 + round, 0, 9_000));
        assert!(recalls.all(|recall| recall == Recall::Beyond));
        let mut recalls = (0..200).map(|round| told.recall(2_000 + round, 0, 9_001 + round as i64));
        let believed = recalls.position(|recall| recall == Recall::NewByAClockSetBack);
        // Those at 9,000 s were one of the five.
        assert_eq!(believed, Some(119));
        assert!(recalls.all(|recall| recall == Recall::New));
    }

    #[test]
    fn a_clock_that_is_set_back_into_what_is_remembered_is_believed_by_few_readings() {
        let mut told = told(10, false);
        assert_eq!(told.late(20, 1, 3_600), Recall::New);
        assert_eq!(told.late(21, 61, 3_660), Recall::New);
        // Once more the same, and one that tells nothing new.
        assert_eq!(told.late(21, 61, 3_700), Recall::Known);
        assert_eq!(told.late(22, 120, 3_719), Recall::New);
        assert_eq!(told.late(23, 121, 3_720), Recall::NewByAClockSetBack);
        assert_eq!(told.recall(24, 181, 3_780), Recall::New);
        for id in [0, 9, 20, 23, 24] {
            assert_eq!(told.recall(id, 0, 4_000), Recall::Known, "{id}");
        }
    }

    #[test]
    fn a_clock_that_shows_minutes_only_is_believed_when_it_is_set_back() {
        for interval in [7, 20, 29, 45, 59, 61] {
            let mut told = told(10, false);
            let mut recalls = (0..100).map(|number| {
                let now = 10_000 + interval * number;
                (
                    now,
                    told.late(100 + number as u64, (now - 9_997) / 60 * 60, now),
                )
            });
            let believed = recalls.find(|(_, recall)| *recall == Recall::NewByAClockSetBack);
            assert!(
                believed.is_some_and(|(now, _)| now <= 10_240),
                "{interval} s"
            );
        }
    }

    #[test]
    fn what_is_remembered_when_a_clock_is_set_back_goes_before_what_comes_then() {
        let mut told = told(READINGS_REMEMBERED as u64, false);
        let first = 10_000;
        for minute in 0..3 {
            told.late(
                100 + minute,
                1 + 60 * minute as i64,
                first + 60 * minute as i64,
            );
        }
        for minute in 3..40 {
            let since = 60 * minute as i64;
            let recall = told.recall(100 + minute, 1 + since, first + since);
            assert_eq!(recall, Recall::New);
        }
        for minute in 8..40 {
            assert_eq!(told.recall(100 + minute, 0, 20_000), Recall::Known);
        }
        assert_eq!(told.recall(107, 421, 20_000), Recall::Beyond);
    }

    #[test]
    fn what_is_late_is_no_clock_set_back_while_newer_comes_or_it_catches_up() {
        let mut told = told(10, false);
        let mut id = 100;
        let mut next = || {
            id += 1;
            id
        };
        for minute in 60..120 {
            let now = 60 * minute;
            assert_eq!(told.recall(next(), now, now), Recall::New);
            let recall = told.late(next(), now - 3_570, now + 30);
            assert_ne!(recall, Recall::NewByAClockSetBack);
        }
        // A minute of it in each half a minute; then each older than the one before.
        for minute in 0..60 {
            let recall = told.late(next(), 3_600 + 60 * minute, 8_000 + 30 * minute);
            assert_ne!(recall, Recall::NewByAClockSetBack);
        }
        for minute in 0..60 {
            let recall = told.late(next(), 7_000 - 60 * minute, 11_000 + 60 * minute);
            assert_ne!(recall, Recall::NewByAClockSetBack);
        }
    }

    #[test]
    fn p3_a_queue_that_is_sent_again_and_again_is_no_clock_set_back() {
        // Thirty seconds of five readings each, of which the last 32 are remembered.
        let mut told = told(1, false);
        for id in 1..150 {
            assert_eq!(told.recall(id, 100 + id as i64 / 5, 130), Recall::New);
        }
        for round in 1..90 {
            // In each round a little more of it gets through than in the one before.
            for id in 1..20 + round {
                let recall = told.recall(id, 100 + id as i64 / 5, 130 + 31 * round as i64);
                assert_eq!(recall, Recall::Beyond, "{round}");
            }
        }
    }

    #[test]
    fn p3_what_was_observed_in_one_instant_and_is_sent_again_is_no_clock_set_back() {
        for firsts in [[10, 11, 12], [10, 11, 11], [12, 11, 10]] {
            let mut told = told(100, false);
            for round in 0..100 {
                let now = 200 + 31 * round;
                let again = |id| (id, Recall::Beyond);
                for (id, expected) in firsts.map(again) {
                    assert_eq!(told.recall(1_000 + id, 50, now), expected);
                }
            }
        }
    }

    #[test]
    fn a_redelivery_again_and_again_is_no_clock_set_back() {
        let mut told = told(1_000, false);
        for round in 0..100 {
            for id in 0..900 {
                let recall = told.recall(id, id as i64, 1_000 + 60 * round);
                assert_eq!(recall, Recall::Beyond);
            }
        }
    }
}
