//! The subjects before one that choose some of its messages, too: those are read there.
//!
//! Arrives: what a reader of a stream has got, and how much the readers before it have made durable.
//! Leaves: whether one of these reads a message, and up to where what was left to them is durable.
//! Promise: nothing that was left to another is acknowledged before it is durable there, so that it
//! comes again whatever becomes of the other: it is taken out of the settings, is written behind this
//! one, began behind the message, is paused, or is never let in. One that does not get on is not
//! waited for any longer, and what it should have read is read here. What both read is known again by
//! its readings' ids.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::consumer::covers;
use super::floor::{Era, Floor, Heard};

/// How long a reader that begins waits for those before it, so that not both read what is there.
const AWAITED_WITHIN: Duration = Duration::from_secs(2);
/// How many times as long as one may stand still it may take to get to what was left to it.
const AWAITED_TIMES: u32 = 3;

/// The readers before one.
#[derive(Debug, Default)]
pub(super) struct Earlier(Vec<One>);

#[derive(Debug)]
struct One {
    subject: String,
    floor: Floor,
    /// It is not relied upon before it has got to this.
    without: Mutex<Option<u64>>,
}

/// A message that is left to another reader.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    to: usize,
    era: Era,
    message: u64,
}

impl Earlier {
    /// Those of a link that choose something of what this subject chooses.
    pub fn of<'f>(subject: &str, before: impl Iterator<Item = (&'f String, &'f Floor)>) -> Self {
        let overlapping = before.filter(|(each, _)| overlap(each, subject));
        let one = |(subject, floor): (&String, &Floor)| One {
            subject: subject.clone(),
            floor: floor.clone(),
            without: Mutex::default(),
        };
        Self(overlapping.map(one).collect())
    }

    /// The first of them that is being read now, and gets a message of this subject as we do: of core
    /// subjects.
    pub fn hears(&self, subject: &[u8]) -> Option<usize> {
        self.first(subject, |one| one.floor.is_open())
    }

    /// The first that has heard a message of this subject which came then, or may have.
    pub fn hears_else(&self, subject: &[u8], came: Instant) -> Option<usize> {
        self.first(subject, |one| one.floor.heard(came) != Heard::No)
    }

    fn first(&self, subject: &[u8], is_one: impl Fn(&One) -> bool) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        let subject = str::from_utf8(subject).ok()?;
        let mut all = self.0.iter();
        all.position(|one| covers(&one.subject, subject) && is_one(one))
    }

    /// Whether one of them has heard a message that came then.
    pub fn heard(&self, which: usize, came: Instant) -> Heard {
        self.0[which].floor.heard(came)
    }

    /// One of them is to ask whether its server is there.
    pub fn doubt(&self, which: usize) {
        self.0[which].floor.doubt();
    }

    /// The reader that a message of the stream can be left to, if there is one.
    pub fn reads(&self, subject: &str, message: u64) -> Option<Left> {
        let reads = |(to, one): (usize, &One)| {
            if !covers(&one.subject, subject) || !one.is_relied_upon() {
                return None;
            }
            let era = one.floor.reads(message)?;
            Some(Left { to, era, message })
        };
        self.0.iter().enumerate().find_map(reads)
    }

    /// Waits until all are read, but no longer than for a while, and not for those again that were
    /// waited for in vain.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn are_there(&self, mut moved: watch::Receiver<()>) {
        let all_there =
            async { while !self.missing().is_empty() && moved.changed().await.is_ok() {} };
        if timeout(AWAITED_WITHIN, all_there).await.is_err() {
            self.missing().into_iter().for_each(One::goes_without_now);
        }
    }

    fn missing(&self) -> Vec<&One> {
        let is_missing = |one: &&One| !one.floor.is_open() && one.is_relied_upon();
        self.0.iter().filter(is_missing).collect()
    }
}

impl One {
    fn is_relied_upon(&self) -> bool {
        let mut without = self.without();
        if without.is_some_and(|message| message <= self.floor.through()) {
            *without = None;
        }
        without.is_none()
    }

    /// It is not relied upon until it gets on.
    fn goes_without_now(&self) {
        self.goes_without(self.floor.through() + 1);
    }

    /// It is not relied upon until it has got to this message.
    fn goes_without(&self, message: u64) {
        *self.without() = Some(message.max(self.floor.through() + 1));
    }

    fn without(&self) -> MutexGuard<'_, Option<u64>> {
        self.without.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of one connection is left to others and not known to be durable.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Each with its number on this connection.
    left: VecDeque<(u64, Left)>,
    /// How far the one has got that the first was left to, and since when.
    stands: Option<(usize, u64, Instant)>,
    /// Since when the first is waited for, by its number.
    awaited: Option<(u64, Instant)>,
}

impl Elsewhere {
    /// The message of this number on the connection is left to another.
    pub fn leave(&mut self, upto: u64, left: Left) {
        self.left.push_back((upto, left));
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Whether the one that the first was left to is being read, and may get to it.
    pub fn awaits(&self, earlier: &Earlier) -> bool {
        let first = self.left.front();
        first.is_some_and(|(_, left)| earlier.0[left.to].floor.is_open())
    }

    /// Up to which number all may be acknowledged, of which so many are durable as far as they were
    /// read here.
    pub fn settled(&mut self, settled: u64, earlier: &Earlier) -> u64 {
        let is_durable = |(_, left): &mut (u64, Left)| {
            let floor = &earlier.0[left.to].floor;
            floor.is_durable(left.era, left.message)
        };
        while self.left.pop_front_if(is_durable).is_some() {}
        match self.left.front() {
            Some((upto, _)) => settled.min(upto - 1),
            None => settled,
        }
    }

    /// The subject that has not got on for so long although something was left to it, has not got to that
    /// in [`AWAITED_TIMES`] as long, or counts its messages anew; it is not relied upon any more.
    pub fn stalled(&mut self, earlier: &Earlier, now: Instant, within: Duration) -> Option<String> {
        let Some(&(upto, left)) = self.left.front() else {
            (self.stands, self.awaited) = (None, None);
            return None;
        };
        let one = &earlier.0[left.to];
        let through = one.floor.through();
        let stands = self
            .stands
            .filter(|(to, at, _)| (*to, *at) == (left.to, through));
        let (_, _, stood) = *self
            .stands
            .insert(stands.unwrap_or((left.to, through, now)));
        let awaited = self.awaited.filter(|(first, _)| *first == upto);
        let (_, since) = *self.awaited.insert(awaited.unwrap_or((upto, now)));
        if !one.floor.is_of(left.era) || now.duration_since(stood) >= within {
            one.goes_without_now();
        } else if now.duration_since(since) >= within * AWAITED_TIMES {
            // It reads what lies long before; all that is behind this message would wait for it.
            one.goes_without(left.message);
        } else {
            return None;
        }
        Some(one.subject.clone())
    }
}

/// Whether there can be a subject that both patterns stand for.
fn overlap(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('.'), other.split('.'));
    loop {
        match (one.next(), other.next()) {
            (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
            (None, Some(_)) | (Some(_), None) => return false,
            (Some("*"), Some(_)) | (Some(_), Some("*")) => {}
            (Some(ours), Some(theirs)) if ours == theirs => {}
            (Some(_), Some(_)) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ioc_core::time::Timestamp;

    const NOON: Timestamp = Timestamp::from_millis(1_773_489_600_000);
    const ALARM: &str = "city.alarms.1";

    /// That of `city.alarms.>`, which began behind message 40, for a reader of `city.>`.
    fn alarms() -> (Floor, Earlier) {
        let floor = Floor::kept(None);
        floor.begins("1", 90, 40);
        let subject = "city.alarms.>".to_owned();
        let earlier = Earlier::of("city.>", [(&subject, &floor)].into_iter());
        (floor, earlier)
    }

    #[test]
    fn p1_nothing_is_left_to_one_that_is_not_read_or_began_behind_it() {
        let (floor, earlier) = alarms();
        assert!(earlier.reads(ALARM, 50).is_none(), "it is not up");
        floor.opened(0);
        assert!(earlier.reads(ALARM, 50).is_some());
        assert!(earlier.reads(ALARM, 40).is_none(), "it never gets that");
        assert!(earlier.reads("city.water.1", 50).is_none());
        floor.closed();
        assert!(earlier.reads(ALARM, 50).is_none(), "it broke");
        floor.reached(60, NOON);
        floor.opened(0);
        assert!(earlier.reads(ALARM, 50).is_some(), "it has read that");
        let (floor, earlier) = alarms();
        floor.opened(60);
        assert!(
            earlier.reads(ALARM, 60).is_none(),
            "its consumer began there"
        );
        assert!(earlier.reads(ALARM, 61).is_some());
        floor.closed();
        floor.opened(70);
        assert!(earlier.reads(ALARM, 61).is_some(), "it has had that");
    }

    #[test]
    fn p1_what_is_left_to_another_is_acknowledged_when_it_is_durable_there() {
        let (floor, earlier) = alarms();
        floor.opened(0);
        let mut elsewhere = Elsewhere::default();
        elsewhere.leave(3, earlier.reads(ALARM, 50).unwrap());
        elsewhere.leave(5, earlier.reads(ALARM, 60).unwrap());
        assert_eq!(elsewhere.settled(2, &earlier), 2);
        assert_eq!(elsewhere.settled(9, &earlier), 2);
        floor.reached(55, NOON);
        assert_eq!(elsewhere.settled(9, &earlier), 4);
        floor.reached(60, NOON);
        assert!(elsewhere.awaits(&earlier));
        assert_eq!(elsewhere.settled(9, &earlier), 9);
        assert!(elsewhere.is_empty() && !elsewhere.awaits(&earlier));
    }

    #[test]
    fn who_stops_waits_for_another_while_that_is_read_and_no_longer() {
        let (floor, earlier) = alarms();
        floor.opened(0);
        let mut elsewhere = Elsewhere::default();
        elsewhere.leave(1, earlier.reads(ALARM, 50).unwrap());
        assert!(elsewhere.awaits(&earlier));
        floor.closed();
        assert!(!elsewhere.awaits(&earlier));
        assert_eq!(elsewhere.settled(1, &earlier), 0, "it comes again");
    }

    #[test]
    fn p1_numbers_of_a_stream_that_was_put_back_say_nothing_of_what_was_left_before() {
        let (floor, earlier) = alarms();
        floor.opened(0);
        let mut elsewhere = Elsewhere::default();
        elsewhere.leave(1, earlier.reads(ALARM, 80).unwrap());
        let begin = floor.begins("1", 30, 40);
        floor.stands(&begin, 20);
        floor.opened(0);
        floor.reached(90, NOON);
        assert_eq!(elsewhere.settled(1, &earlier), 0);
    }

    #[test]
    fn p1_one_that_does_not_get_on_is_not_relied_upon_until_it_does() {
        let (floor, earlier) = alarms();
        floor.opened(0);
        let (mut elsewhere, began) = (Elsewhere::default(), Instant::now());
        elsewhere.leave(1, earlier.reads(ALARM, 50).unwrap());
        elsewhere.leave(2, earlier.reads(ALARM, 60).unwrap());
        let within = Duration::from_secs(10);
        let mut stalled = |after| {
            let now = began + Duration::from_secs(after);
            elsewhere.settled(2, &earlier);
            elsewhere.stalled(&earlier, now, within)
        };
        assert_eq!(stalled(0), None);
        assert_eq!(stalled(9), None);
        floor.reached(50, NOON);
        assert_eq!(stalled(11), None, "it has got on");
        assert_eq!(stalled(20), None);
        assert_eq!(stalled(21).as_deref(), Some("city.alarms.>"));
        assert!(earlier.reads(ALARM, 70).is_none());
        floor.reached(60, NOON);
        assert!(earlier.reads(ALARM, 70).is_some());
    }

    #[test]
    fn one_that_reads_what_lies_long_before_holds_nothing_up_for_long() {
        let (floor, earlier) = alarms();
        floor.opened(0);
        let (mut elsewhere, began) = (Elsewhere::default(), Instant::now());
        elsewhere.leave(1, earlier.reads(ALARM, 5_000).unwrap());
        let mut stalled = |after| {
            floor.reached(40 + after, NOON);
            let now = began + Duration::from_secs(after);
            elsewhere.stalled(&earlier, now, Duration::from_secs(10))
        };
        assert!((0..30).all(|after| stalled(after).is_none()), "it gets on");
        assert_eq!(stalled(30).as_deref(), Some("city.alarms.>"));
        assert!(earlier.reads(ALARM, 6_000).is_none());
        floor.reached(4_999, NOON);
        assert!(earlier.reads(ALARM, 6_000).is_none());
        floor.reached(5_000, NOON);
        assert!(earlier.reads(ALARM, 6_000).is_some());
    }

    #[test]
    fn one_that_counts_anew_is_not_waited_for() {
        let (floor, earlier) = alarms();
        floor.opened(0);
        let (mut elsewhere, began) = (Elsewhere::default(), Instant::now());
        elsewhere.leave(1, earlier.reads(ALARM, 80).unwrap());
        let within = Duration::from_secs(10);
        assert_eq!(elsewhere.stalled(&earlier, began, within), None);
        let begin = floor.begins("1", 30, 40);
        floor.stands(&begin, 20);
        floor.opened(0);
        let stalled = elsewhere.stalled(&earlier, began, within);
        assert_eq!(stalled.as_deref(), Some("city.alarms.>"));
    }

    #[tokio::test(start_paused = true)]
    async fn those_before_are_awaited_for_a_while_and_once() {
        let (floor, earlier) = alarms();
        let (_moves, moved) = watch::channel(());
        let began = Instant::now();
        earlier.are_there(moved.clone()).await;
        assert_eq!(began.elapsed(), AWAITED_WITHIN);
        earlier.are_there(moved.clone()).await;
        assert_eq!(began.elapsed(), AWAITED_WITHIN, "not again");
        floor.opened(0);
        assert!(earlier.reads(ALARM, 70).is_none(), "it has brought nothing");
        floor.reached(60, NOON);
        assert!(earlier.reads(ALARM, 70).is_some());
    }

    #[test]
    fn patterns_overlap_if_a_subject_can_be_of_both() {
        for (one, other) in [
            ("city.>", "city.alarms.>"),
            ("city.*.level", "city.gauges.*"),
            ("city.gauges", "*.gauges"),
            (">", "a"),
        ] {
            assert!(overlap(one, other) && overlap(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("city.>", "city"),
            ("city.water.>", "city.alarms.>"),
            ("city.*", "city.gauges.1"),
        ] {
            assert!(
                !overlap(one, other) && !overlap(other, one),
                "{one} {other}"
            );
        }
    }
}
