//! Inputs as bytes of the inputs log, on their way from a decoder to the engine.
//!
//! Arrives: what a decoder made of messages. Leaves: the same, encoded once, in the order of each
//! lane. Next: `ledger.rs`.

use std::time::Duration;

use ioc_core::reading::Reading;
use ioc_core::record::{DeadLetter, Effect, Input};
use tokio::time::Instant;

use super::fold;
use super::lane::{Counts, Lane, Lanes};
use super::quota::{Quota, Source};
use crate::catalogue::Catalogue;

/// What one connection has decoded and not handed over, by lane.
#[derive(Debug, Default)]
pub struct Inputs {
    lanes: Lanes<Encoded>,
    quota: Quota,
    /// How many of urgent kinds, and answers, became telemetry and were not told of.
    demoted: u32,
}

impl Inputs {
    /// None yet, of a source with this quota.
    pub(super) fn of(quota: Quota) -> Self {
        Self {
            quota,
            ..Self::default()
        }
    }

    /// It is now so late: what the source may send has grown.
    pub fn at(&mut self, now: Instant) {
        self.quota.at(now);
    }

    /// All telemetry that came before is settled.
    pub const fn is_settled(&mut self) {
        self.quota.is_settled();
    }

    /// How many readings of urgent kinds went into the telemetry lane since this was asked last,
    /// because their source is over its quota.
    pub const fn take_demoted(&mut self) -> u32 {
        std::mem::replace(&mut self.demoted, 0)
    }

    /// Makes room for so many more bytes of telemetry, which nearly all is.
    pub fn reserve(&mut self, bytes: usize) {
        self.lanes.telemetry.bytes.reserve(bytes);
    }

    /// Appends a reading, to the lane of its kind.
    pub fn push_reading(&mut self, reading: &Reading<'_>, catalogue: &Catalogue) {
        let (lane, folding) = match catalogue.lane(reading.kind) {
            Lane::Telemetry if catalogue.reports.contain(reading.kind) => {
                (Lane::Telemetry, Folding::Never)
            }
            Lane::Telemetry => (Lane::Telemetry, Folding::May),
            Lane::Urgent if self.quota.take() => (Lane::Urgent, Folding::Never),
            Lane::Urgent => {
                self.demoted += 1;
                (Lane::Telemetry, Folding::Never)
            }
        };
        self.lanes
            .of_mut(lane)
            .push(&Input::Reading(*reading), folding);
    }

    /// Appends what a device says about a command: urgent, as far as its source has anything left.
    pub fn push_answer(&mut self, answer: &Effect<'_>) {
        let lane = match self.quota.take() {
            true => Lane::Urgent,
            false => {
                self.demoted += 1;
                Lane::Telemetry
            }
        };
        self.push(lane, &Input::Effect(*answer));
    }

    /// Appends a dead letter: telemetry, for nobody can act on it at once.
    pub fn push_dead_letter(&mut self, letter: &DeadLetter<'_>) {
        self.push(Lane::Telemetry, &Input::DeadLetter(*letter));
    }

    /// Appends an input to a lane, never to be folded.
    pub fn push(&mut self, lane: Lane, input: &Input<'_>) {
        self.lanes.of_mut(lane).push(input, Folding::Never);
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// How many were appended.
    pub const fn count(&self) -> u32 {
        self.lanes.urgent.count + self.lanes.telemetry.count
    }

    /// How many were appended, by lane.
    pub fn counts(&self) -> Counts {
        Lanes::each(|lane| u64::from(self.lanes.of(lane).count))
    }

    /// How many of them folding left out.
    pub const fn left_out(&self) -> u32 {
        self.lanes.urgent.left_out() + self.lanes.telemetry.left_out()
    }

    /// How many bytes they take.
    pub const fn bytes(&self) -> usize {
        self.lanes.urgent.bytes() + self.lanes.telemetry.bytes()
    }

    /// Those of a lane; there are none of them any more.
    pub fn take(&mut self, lane: Lane) -> Encoded {
        let mut taken = std::mem::replace(self.lanes.of_mut(lane), Encoded::NONE);
        let source = &self.quota.source;
        taken.payer = source.pays(lane).then(|| source.clone());
        taken
    }

    /// Folds the telemetry, if at least so many bytes of it were appended since it was folded last;
    /// returns how many readings were left out.
    pub fn fold(&mut self, unfolded_min: usize) -> u32 {
        let telemetry = &mut self.lanes.telemetry;
        match telemetry.bytes.len() - telemetry.folded >= unfolded_min {
            true => telemetry.fold(),
            false => 0,
        }
    }

    /// The bytes of each, the urgent ones first.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.lanes.urgent.iter().chain(self.lanes.telemetry.iter())
    }
}

/// Whether a reading may be left out for others of its sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folding {
    May,
    Never,
}

/// Encoded inputs of one lane, one after another, each with its length.
#[derive(Debug, Default)]
pub struct Encoded {
    bytes: Vec<u8>,
    records: u32,
    /// How many were appended: so many they stand for, however they were folded.
    count: u32,
    /// How many bytes there were when they were folded last.
    folded: usize,
    /// The source that they are to be counted for before they are handed over.
    payer: Option<Source>,
}

/// A bit of an input's length: it is not to be folded.
const STAYS: u32 = 1 << 31;

impl Encoded {
    const NONE: Self = Self {
        bytes: Vec::new(),
        records: 0,
        count: 0,
        folded: 0,
        payer: None,
    };

    /// None yet, for as many as these.
    pub(super) fn standing_for(others: &Self) -> Self {
        Self {
            bytes: Vec::with_capacity(others.bytes.len()),
            count: others.count,
            payer: others.payer.clone(),
            ..Self::NONE
        }
    }

    fn push(&mut self, input: &Input<'_>, folding: Folding) {
        let at = self.bytes.len();
        self.append(input);
        self.count += 1;
        if folding == Folding::Never {
            // The highest bit of the length.
            self.bytes[at + 3] |= (STAYS >> 24) as u8;
        }
    }

    /// Appends a record that stands for nothing more.
    pub(super) fn append(&mut self, input: &Input<'_>) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        input.encode(&mut self.bytes);
        let length = (self.bytes.len() - at - 4) as u32;
        self.bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        self.records += 1;
    }

    /// Appends one of others, from its place to that of the next.
    pub(super) fn copy(&mut self, others: &Self, from: Place, to: Place) {
        self.bytes.extend_from_slice(&others.bytes[from.0..to.0]);
        self.records += 1;
    }

    /// Counts them for their source, once; or says how long it has to wait.
    pub(super) fn pay(&mut self, now: Instant) -> Result<(), Duration> {
        if let Some(payer) = &self.payer {
            payer.pay(self.records, now)?;
            self.payer = None;
        }
        Ok(())
    }

    /// Folds what may be; returns how many readings were left out.
    pub fn fold(&mut self) -> u32 {
        let (left, left_out) = fold::fold(self);
        *self = left;
        self.folded = self.bytes.len();
        left_out
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many records they are.
    pub const fn records(&self) -> u32 {
        self.records
    }

    /// How many inputs they stand for.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// How many of them are in no record of their own.
    pub const fn left_out(&self) -> u32 {
        self.count.saturating_sub(self.records)
    }

    /// How many bytes they take.
    pub const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of each, for [`Input::decode`].
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut place = Place::default();
        std::iter::from_fn(move || self.next(&mut place))
    }

    /// The bytes of the input at a place, which becomes that of the next; `None` behind the last.
    pub fn next(&self, place: &mut Place) -> Option<&[u8]> {
        self.entry(place).map(|(input, _)| input)
    }

    /// The same, and whether it must stay.
    pub(super) fn entry(&self, place: &mut Place) -> Option<(&[u8], bool)> {
        let (length, after) = self.bytes[place.0..].split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length);
        let input = after.get(..(length & !STAYS) as usize)?;
        place.0 += 4 + input.len();
        Some((input, length & STAYS != 0))
    }
}

/// Where an input stands among others; at first, where the first one does.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place(usize);

#[cfg(test)]
mod tests {
    use ioc_core::decision::AnswerWord;
    use ioc_core::record::EffectNews;

    use super::*;

    #[test]
    fn p7_answers_of_devices_count_too() {
        let source = Source::new(Lanes::each(|_| Some(10)));
        let mut inputs = source.inputs();
        let news = EffectNews::Answered {
            device: "gate-7",
            word: AnswerWord::Done,
            detail: "",
        };
        let key = crate::commands::tests::command("gate-7").key;
        for _ in 0..150 {
            inputs.push_answer(&Effect { key, news });
        }
        let counts = inputs.counts();
        assert_eq!((counts.urgent, counts.telemetry), (100, 50));
        assert_eq!(inputs.take_demoted(), 50);
        // None is left out, however full the door is.
        assert_eq!(inputs.fold(0), 0);
    }

    #[test]
    fn inputs_come_out_as_they_went_in_by_lane() {
        let mut inputs = Inputs::default();
        inputs.push(Lane::Telemetry, &Input::Tick);
        let reload = Input::Reload(ioc_core::record::BundleHash([7; 32]));
        inputs.push(Lane::Urgent, &reload);
        inputs.push(Lane::Telemetry, &Input::Tick);
        assert_eq!((inputs.count(), inputs.counts().urgent), (3, 1));
        let decoded: Vec<_> = inputs.iter().map(Input::decode).collect();
        assert_eq!(decoded, [Ok(reload), Ok(Input::Tick), Ok(Input::Tick)]);
        let telemetry = inputs.take(Lane::Telemetry);
        assert_eq!((telemetry.count(), inputs.count()), (2, 1));
        let mut place = Place::default();
        let places = std::iter::from_fn(|| telemetry.next(&mut place).map(<[u8]>::len));
        assert_eq!(places.collect::<Vec<_>>(), [1, 1]);
    }
}
