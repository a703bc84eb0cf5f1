//! The places of a listener, and who gives way when all are taken.
//!
//! Arrives: whoever connects. Leaves: a [`Place`] for each, as long as there is one. Promise: who says
//! nothing keeps nobody out: when all places are taken, the connection that has been idle for longest
//! gives its place to the next that comes. Idle is who has not introduced himself, or asks for
//! nothing; who is busy keeps his place, but for whoever comes back while he is still here
//! ([`Places::inherit`]). Bound: as many places as the listener has; a connection that gave its place away
//! ends as soon as it is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::{Notify, OwnedSemaphorePermit};

/// All places of one listener.
#[derive(Debug)]
pub struct Places(Mutex<Inside>);

#[derive(Debug)]
struct Inside {
    free: usize,
    /// Numbers those who become idle, in that order.
    next: u64,
    idle: BTreeMap<u64, Arc<Seat>>,
}

/// What a place is at the moment. Changed only while the places are locked.
#[derive(Debug, Clone, Copy)]
enum Standing {
    /// Under this number.
    Idle(u64),
    Busy,
    GivenAway,
}

#[derive(Debug)]
struct Seat {
    standing: Mutex<Standing>,
    given_away: Notify,
    /// What is given back when whoever had the place is gone.
    kept: Mutex<Option<OwnedSemaphorePermit>>,
}

/// Which place somebody has, for whoever comes back as him. It keeps nothing.
#[derive(Debug, Clone, Default)]
pub struct Seated(Weak<Seat>);

/// One connection's place, given back when dropped unless it was given away before.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    seat: Arc<Seat>,
}

impl Places {
    /// So many.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inside {
            free: count,
            next: 0,
            idle: BTreeMap::new(),
        })))
    }

    /// A place for somebody new, who is idle: a free one, else that of whoever has been idle for
    /// longest; none if all are busy.
    pub fn take(self: &Arc<Self>) -> Option<Place> {
        let mut inside = self.lock();
        match inside.free.checked_sub(1) {
            Some(left) => inside.free = left,
            None => {
                let (_, longest) = inside.idle.pop_first()?;
                longest.stands(Standing::GivenAway);
                longest.given_away.notify_one();
            }
        }
        let seat = Seat::new();
        inside.rests(&seat);
        drop(inside);
        Some(Place {
            places: Arc::clone(self),
            seat,
        })
    }

    /// The place of somebody who has come back while he is still here, and who ends now: it is his successor's,
    /// who is busy. Until he is gone he keeps `kept`.
    ///
    /// # Errors
    /// He has it no more; `kept` is given back.
    pub fn inherit(
        self: &Arc<Self>,
        seated: &Seated,
        kept: OwnedSemaphorePermit,
    ) -> Result<Place, OwnedSemaphorePermit> {
        let mut inside = self.lock();
        let Some(older) = seated.0.upgrade() else {
            return Err(kept);
        };
        match older.standing() {
            Standing::GivenAway => return Err(kept),
            Standing::Busy => {}
            Standing::Idle(number) => {
                inside.idle.remove(&number);
            }
        }
        older.stands(Standing::GivenAway);
        *older.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        Ok(Place {
            places: Arc::clone(self),
            seat: Seat::new(),
        })
    }

    /// How many are free.
    pub fn free(&self) -> usize {
        self.lock().free
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn rests(&mut self, seat: &Arc<Seat>) {
        let number = self.next;
        self.next += 1;
        self.idle.insert(number, Arc::clone(seat));
        seat.stands(Standing::Idle(number));
    }
}

impl Seat {
    /// Of somebody who is busy.
    fn new() -> Arc<Self> {
        Arc::new(Self {
            standing: Mutex::new(Standing::Busy),
            given_away: Notify::new(),
            kept: Mutex::default(),
        })
    }

    fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stands(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }
}

impl Place {
    /// For whoever comes back as him who has it.
    pub fn seated(&self) -> Seated {
        Seated(Arc::downgrade(&self.seat))
    }

    /// Waits until it is given to another.
    pub async fn given_away(&self) {
        self.seat.given_away.notified().await;
    }

    /// Whoever has it is busy from now on; whether he has it still.
    pub fn claim(&self) -> bool {
        let mut inside = self.places.lock();
        match self.seat.standing() {
            Standing::GivenAway => return false,
            Standing::Busy => {}
            Standing::Idle(number) => {
                inside.idle.remove(&number);
                self.seat.stands(Standing::Busy);
            }
        }
        true
    }

    /// Whoever has it is idle from now on, until he claims it again.
    pub fn rest(&self) {
        let mut inside = self.places.lock();
        match self.seat.standing() {
            Standing::Busy => inside.rests(&self.seat),
            Standing::Idle(_) | Standing::GivenAway => {}
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.places.lock();
        match self.seat.standing() {
            Standing::GivenAway => return,
            Standing::Busy => {}
            Standing::Idle(number) => {
                inside.idle.remove(&number);
            }
        }
        // The seat goes a moment later, and nobody may come back to it until then.
        self.seat.stands(Standing::GivenAway);
        inside.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use tokio::sync::Semaphore;

    use super::*;

    fn is_given_away(place: &Place) -> bool {
        let context = &mut Context::from_waker(Waker::noop());
        pin!(place.given_away()).poll(context).is_ready()
    }

    #[test]
    fn p5_who_is_idle_for_longest_gives_way_and_who_is_busy_stays() {
        let places = Places::new(3);
        let [first, second, third] = [(); 3].map(|()| places.take().unwrap());
        assert!(first.claim() && places.free() == 0);
        let fourth = places.take().unwrap();
        assert!(is_given_away(&second), "the first is busy");
        assert!(!is_given_away(&first) && !is_given_away(&third));
        // What was given away is not given back once more, nor claimed, nor idle again.
        second.rest();
        assert!(!second.claim());
        drop(second);
        assert_eq!(places.free(), 0);
        assert!(third.claim() && fourth.claim());
        assert!(places.take().is_none(), "all are busy");
        drop(third);
        assert_eq!(places.free(), 1);
        let fifth = places.take().unwrap();
        first.rest();
        let sixth = places.take().unwrap();
        assert!(is_given_away(&fifth), "it has been idle for longer");
        drop((fifth, sixth, first, fourth));
        assert_eq!(places.free(), 3);
    }

    #[test]
    fn p5_who_comes_back_has_the_place_that_he_had_and_no_other() {
        let (places, permits) = (Places::new(1), Arc::new(Semaphore::new(2)));
        let permit = || Arc::clone(&permits).try_acquire_owned().unwrap();
        let first = places.take().unwrap();
        assert!(first.claim());
        let second = places.inherit(&first.seated(), permit()).unwrap();
        assert!(second.claim() && !first.claim());
        assert!(places.inherit(&first.seated(), permit()).is_err(), "once");
        assert_eq!((places.free(), permits.available_permits()), (0, 1));
        let seated = first.seated();
        drop(first);
        assert_eq!((places.free(), permits.available_permits()), (0, 2));
        assert!(places.inherit(&seated, permit()).is_err(), "he is gone");
        drop(second);
        assert_eq!(places.free(), 1);
    }

    #[test]
    fn p5_a_place_that_was_given_back_is_nobodys_to_come_back_to() {
        let (places, permits) = (Places::new(1), Arc::new(Semaphore::new(1)));
        let first = places.take().unwrap();
        assert!(first.claim());
        // It goes a moment after the place was given back.
        let seat = Arc::clone(&first.seat);
        let seated = first.seated();
        drop(first);
        let permit = Arc::clone(&permits).try_acquire_owned().unwrap();
        assert!(places.inherit(&seated, permit).is_err());
        assert_eq!(places.free(), 1);
        drop(seat);
    }
}
