//! The way from an adapter to the engine: two lanes, each bounded by bytes, and back again as a
//! watermark for each.
//!
//! Arrives: inputs that an adapter decoded, as bytes of the inputs log, many at a time. Leaves:
//! [`Arrival`]s, in the order in which each connection sent those of a lane. Promise: nothing is
//! acknowledged before the host says that it is durable, and nothing more is held than
//! [`DoorOptions`] allows: when a lane's bound is reached, an adapter waits with what is for that
//! lane, and goes on with the other. Telemetry that waits may be folded (`door/fold.rs`); a source
//! that floods the urgent lane is demoted (`door/quota.rs`). Next: `door/lane.rs`, then `pipeline.rs` of the host.

mod lane;
mod inputs;
mod fold;
mod quota;
mod ledger;
mod turns;
mod way;

use std::hash::Hash;
use std::sync::Arc;

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender};
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::time::{Instant, sleep};

pub use self::inputs::{Encoded, Inputs, Place};
pub use self::lane::{Counts, KindNames, Lane, Lanes};
pub use self::ledger::{AckToken, Ledger};
pub(crate) use self::quota::Sources;
pub use self::quota::{Rates, Source};
pub use self::turns::{Turns, URGENT_PER_TELEMETRY};
pub(crate) use self::way::Way;
use crate::catalogue::Catalogue;

/// The bounds of the door.
#[derive(Debug, Clone, Copy)]
pub struct DoorOptions {
    /// How many bytes of inputs may wait for the engine in each lane, of all adapters together.
    pub waiting_bytes_max: Lanes<u32>,
    /// What happens to telemetry when its lane is full.
    pub when_full: WhenFull,
    /// How many readings a source may send a second, ten seconds' worth at once. Further ones of
    /// urgent kinds are telemetry; further telemetry waits as if its lane was full.
    pub rates: Rates,
}

/// What happens to telemetry when its lane is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// It waits, and what lies behind it on its connection with it.
    Wait,
    /// What waits is folded (see `door/fold.rs`), so that what lies behind it can be read.
    #[default]
    Conflate,
}

impl Default for DoorOptions {
    fn default() -> Self {
        Self {
            waiting_bytes_max: Lanes {
                urgent: 16 << 20,
                telemetry: 16 << 20,
            },
            when_full: WhenFull::Conflate,
            rates: Lanes {
                urgent: Some(1000),
                telemetry: None,
            },
        }
    }
}

/// What one connection handed over at once, of one lane.
#[derive(Debug)]
pub struct Arrival {
    /// The lane.
    pub lane: Lane,
    /// The inputs, in order.
    pub inputs: Encoded,
    /// How to say that they are durable.
    pub ack: AckToken,
}

/// The adapters' end: cheap to clone, one for all.
#[derive(Debug, Clone)]
pub struct Door {
    lanes: Lanes<LaneIn>,
    when_full: WhenFull,
    rates: Rates,
    catalogue: Arc<ArcSwap<Catalogue>>,
}

/// The adapters' end of a lane.
#[derive(Debug, Clone)]
struct LaneIn {
    arrivals: Sender<Arrival>,
    credit: Arc<Semaphore>,
    waiting_bytes_max: u32,
}

/// The engine is gone: the process is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stopped")]
pub struct DoorClosed;

/// Why [`Door::try_hand_over`] did not.
#[derive(Debug)]
pub enum NotHandedOver {
    /// The lane's bound is reached, or their source is over its rate; here they are again.
    Full(Encoded),
    /// The engine is gone.
    Closed,
}

impl Door {
    /// Makes the door and the engine's end of it.
    pub fn new(options: DoorOptions, catalogue: Arc<ArcSwap<Catalogue>>) -> (Self, Arrivals) {
        let bounds = options.waiting_bytes_max;
        let Lanes { urgent, telemetry } = Lanes::each(|lane| LaneOut::new(*bounds.of(lane)));
        let lanes = Lanes {
            urgent: urgent.0,
            telemetry: telemetry.0,
        };
        let arrivals = Lanes {
            urgent: urgent.1,
            telemetry: telemetry.1,
        };
        let door = Self {
            lanes,
            when_full: options.when_full,
            rates: options.rates,
            catalogue,
        };
        (door, Arrivals(arrivals))
    }

    /// What is registered now.
    pub fn catalogue(&self) -> arc_swap::Guard<Arc<Catalogue>> {
        self.catalogue.load()
    }

    /// Somebody new who sends.
    pub fn source(&self) -> Source {
        Source::new(self.rates)
    }

    /// Those who come and go, and send.
    pub(crate) fn sources<K, W>(&self) -> Sources<K, W>
    where
        K: Eq + Hash + Clone,
        W: Eq + Hash + Clone,
    {
        Sources::new(self.rates)
    }

    /// What happens to telemetry when its lane is full.
    pub const fn when_full(&self) -> WhenFull {
        self.when_full
    }

    /// Hands inputs of a lane over to the engine, waiting while it is full.
    ///
    /// `upto` is how many inputs of that lane the connection has handed over with these, since it
    /// began.
    ///
    /// # Cancel safety
    /// Not cancel safe: if cancelled, the inputs are lost and were not acknowledged.
    pub async fn hand_over(
        &self,
        lane: Lane,
        mut inputs: Encoded,
        ledger: &Arc<Ledger>,
        upto: u64,
    ) -> Result<(), DoorClosed> {
        while let Err(wait) = inputs.pay(Instant::now()) {
            sleep(wait).await;
        }
        let to = self.lanes.of(lane);
        let bytes = credit_of(&inputs, to.waiting_bytes_max);
        let permit = to.credit.acquire_many(bytes).await;
        permit.map_err(|_| DoorClosed)?.forget();
        self.send(lane, inputs, ledger, upto)
    }

    /// Hands inputs of a lane over to the engine, or gives them back if it is full: the way without
    /// a future, for the usual case. Who waits in [`Door::hand_over`] comes first.
    pub fn try_hand_over(
        &self,
        lane: Lane,
        mut inputs: Encoded,
        ledger: &Arc<Ledger>,
        upto: u64,
    ) -> Result<(), NotHandedOver> {
        if inputs.pay(Instant::now()).is_err() {
            return Err(NotHandedOver::Full(inputs));
        }
        let to = self.lanes.of(lane);
        let bytes = credit_of(&inputs, to.waiting_bytes_max);
        match to.credit.try_acquire_many(bytes) {
            Ok(permit) => permit.forget(),
            Err(TryAcquireError::NoPermits) => return Err(NotHandedOver::Full(inputs)),
            Err(TryAcquireError::Closed) => return Err(NotHandedOver::Closed),
        }
        self.send(lane, inputs, ledger, upto)
            .map_err(|DoorClosed| NotHandedOver::Closed)
    }

    /// Hands over what there is in both lanes, what is urgent first; counts it to what was handed
    /// over before. Waits while a lane is full.
    ///
    /// # Cancel safety
    /// Not cancel safe: if cancelled, what was not handed over is lost.
    pub async fn hand_over_all(
        &self,
        inputs: &mut Inputs,
        ledger: &Arc<Ledger>,
        handed_over: &mut Counts,
    ) -> Result<(), DoorClosed> {
        for lane in Lane::ALL {
            let inputs = inputs.take(lane);
            if !inputs.is_empty() {
                let upto = handed_over.of_mut(lane);
                *upto += u64::from(inputs.count());
                self.hand_over(lane, inputs, ledger, *upto).await?;
            }
        }
        Ok(())
    }

    fn send(
        &self,
        lane: Lane,
        inputs: Encoded,
        ledger: &Arc<Ledger>,
        upto: u64,
    ) -> Result<(), DoorClosed> {
        let ack = AckToken::new(Arc::clone(ledger), lane, upto);
        let arrival = Arrival { lane, inputs, ack };
        let sent = self.lanes.of(lane).arrivals.send(arrival);
        sent.map_err(|_| DoorClosed)
    }
}

/// What an arrival takes of the bound: its bytes, or all of it if it is larger.
fn credit_of(inputs: &Encoded, waiting_bytes_max: u32) -> u32 {
    u32::try_from(inputs.bytes())
        .unwrap_or(u32::MAX)
        .min(waiting_bytes_max)
}

/// The engine's end.
#[derive(Debug)]
pub struct Arrivals(Lanes<LaneOut>);

/// The engine's end of a lane.
#[derive(Debug)]
struct LaneOut {
    receiver: Receiver<Arrival>,
    credit: Arc<Semaphore>,
    waiting_bytes_max: u32,
}

impl LaneOut {
    fn new(waiting_bytes_max: u32) -> (LaneIn, Self) {
        // Unbounded as a channel: the credit bounds what is in it.
        let (arrivals, receiver) = crossbeam_channel::unbounded();
        let credit = Arc::new(Semaphore::new(waiting_bytes_max as usize));
        let lane = LaneIn {
            arrivals,
            credit: Arc::clone(&credit),
            waiting_bytes_max,
        };
        let out = Self {
            receiver,
            credit,
            waiting_bytes_max,
        };
        (lane, out)
    }
}

impl Arrivals {
    /// A lane's queue, to wait on it together with others. What is taken from it must be
    /// [released](Self::release).
    pub const fn queue(&self, lane: Lane) -> &Receiver<Arrival> {
        &self.0.of(lane).receiver
    }

    /// Says that an arrival no longer waits, so that as much more may.
    pub fn release(&self, arrival: &Arrival) {
        let lane = self.0.of(arrival.lane);
        let bytes = credit_of(&arrival.inputs, lane.waiting_bytes_max);
        lane.credit.add_permits(bytes as usize);
    }
}

impl Drop for LaneOut {
    fn drop(&mut self) {
        self.credit.close();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use ioc_core::record::Input;

    use super::*;

    use Lane::{Telemetry, Urgent};

    fn ticks(count: usize) -> Encoded {
        let mut inputs = Inputs::default();
        for _ in 0..count {
            inputs.push(Telemetry, &Input::Tick);
        }
        inputs.take(Telemetry)
    }

    fn door_of(waiting_bytes_max: u32) -> (Door, Arrivals) {
        let options = DoorOptions {
            waiting_bytes_max: Lanes::each(|_| waiting_bytes_max),
            ..DoorOptions::default()
        };
        Door::new(options, Arc::default())
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    const fn counts(urgent: u64, telemetry: u64) -> Counts {
        Lanes { urgent, telemetry }
    }

    #[test]
    fn a_full_door_takes_more_only_when_something_left_it() {
        let (door, arrivals) = door_of(10);
        let ledger = Arc::default();
        door.try_hand_over(Telemetry, ticks(2), &ledger, 2).unwrap();
        let full = door.try_hand_over(Telemetry, ticks(1), &ledger, 3);
        assert!(matches!(full, Err(NotHandedOver::Full(inputs)) if inputs.count() == 1));
        let mut waiting = pin!(door.hand_over(Telemetry, ticks(1), &ledger, 3));
        assert!(poll(waiting.as_mut()).is_pending());
        arrivals.release(&arrivals.queue(Telemetry).recv().unwrap());
        assert_eq!(poll(waiting.as_mut()), Poll::Ready(Ok(())));
        assert_eq!(arrivals.queue(Telemetry).len(), 1);
    }

    #[test]
    fn frost_server_133_1820_a_hundred_that_wait_and_many_more_are_all_taken() {
        const COUNT: u64 = 10_000;
        let (door, arrivals) = door_of(1 << 20);
        let ledger = Arc::<Ledger>::default();
        for number in 1..=COUNT {
            let handed_over = door.try_hand_over(Telemetry, ticks(1), &ledger, number);
            assert!(handed_over.is_ok(), "{number}");
        }
        let mut taken = 0;
        while let Ok(arrival) = arrivals.queue(Telemetry).try_recv() {
            taken += u64::from(arrival.inputs.count());
            arrivals.release(&arrival);
            arrival.ack.settle();
        }
        assert_eq!((taken, ledger.settled()), (COUNT, counts(0, COUNT)));
    }

    #[test]
    fn p7_a_lane_that_is_full_does_not_keep_the_other_from_passing() {
        let (door, arrivals) = door_of(10);
        let ledger = Arc::<Ledger>::default();
        door.try_hand_over(Telemetry, ticks(2), &ledger, 2).unwrap();
        let mut waiting = pin!(door.hand_over(Telemetry, ticks(2), &ledger, 4));
        assert!(poll(waiting.as_mut()).is_pending());
        door.try_hand_over(Urgent, ticks(2), &ledger, 2).unwrap();
        arrivals.queue(Urgent).recv().unwrap().ack.settle();
        assert_eq!(ledger.settled(), counts(2, 0));
    }

    #[test]
    fn p5_telemetry_of_a_source_over_its_rate_waits_and_that_of_others_does_not() {
        let options = DoorOptions {
            rates: Lanes {
                urgent: None,
                telemetry: Some(100),
            },
            ..DoorOptions::default()
        };
        let (door, _arrivals) = Door::new(options, Arc::default());
        let ledger = Arc::default();
        let (flood, other) = (door.source(), door.source());
        let hand_over = |source: &Source, lane, count: u64| {
            let mut inputs = source.inputs();
            (0..count).for_each(|_| inputs.push(lane, &Input::Tick));
            door.try_hand_over(lane, inputs.take(lane), &ledger, count)
        };
        // Half a minute's worth, all at once.
        hand_over(&flood, Telemetry, 3000).unwrap();
        let full = hand_over(&flood, Telemetry, 1);
        assert!(matches!(full, Err(NotHandedOver::Full(inputs)) if inputs.count() == 1));
        hand_over(&flood, Urgent, 1).unwrap();
        hand_over(&other, Telemetry, 1).unwrap();
    }

    #[test]
    fn what_is_larger_than_the_bound_passes_alone() {
        let (door, arrivals) = door_of(8);
        let ledger = Arc::default();
        let many = door.try_hand_over(Telemetry, ticks(100), &ledger, 100);
        many.unwrap();
        arrivals.release(&arrivals.queue(Telemetry).recv().unwrap());
        let one = door.try_hand_over(Telemetry, ticks(1), &ledger, 101);
        one.unwrap();
    }

    #[test]
    fn who_waits_is_told_when_the_engine_is_gone() {
        let (door, arrivals) = door_of(10);
        let ledger = Arc::<Ledger>::default();
        door.try_hand_over(Telemetry, ticks(2), &ledger, 2).unwrap();
        let mut credit = pin!(door.hand_over(Telemetry, ticks(2), &ledger, 4));
        let mut durable = pin!(ledger.settled_beyond(counts(0, 0)));
        assert!(poll(credit.as_mut()).is_pending());
        assert!(poll(durable.as_mut()).is_pending());
        drop(arrivals);
        assert_eq!(poll(credit), Poll::Ready(Err(DoorClosed)));
        assert_eq!(poll(durable), Poll::Ready(Err(DoorClosed)));
        for lane in Lane::ALL {
            let closed = door.try_hand_over(lane, ticks(1), &ledger, 5);
            assert!(matches!(closed, Err(NotHandedOver::Closed)));
        }
    }

    #[test]
    fn settling_before_or_while_somebody_waits_wakes_him() {
        let (door, arrivals) = door_of(100);
        let ledger = Arc::<Ledger>::default();
        for upto in 1..=3 {
            for lane in Lane::ALL {
                door.try_hand_over(lane, ticks(1), &ledger, upto).unwrap();
            }
        }
        let settle_next = |lane| arrivals.queue(lane).recv().unwrap().ack.settle();
        let beyond = |urgent, telemetry| ledger.settled_beyond(counts(urgent, telemetry));
        settle_next(Telemetry);
        assert_eq!(poll(pin!(beyond(0, 0))), Poll::Ready(Ok(counts(0, 1))));
        let mut durable = pin!(beyond(0, 1));
        assert!(poll(durable.as_mut()).is_pending());
        settle_next(Urgent);
        assert_eq!(poll(durable), Poll::Ready(Ok(counts(1, 1))));
        settle_next(Telemetry);
        drop(arrivals.queue(Telemetry).recv().unwrap().ack);
        assert_eq!(poll(pin!(beyond(1, 1))), Poll::Ready(Ok(counts(1, 2))));
        assert_eq!(poll(pin!(beyond(1, 2))), Poll::Ready(Err(DoorClosed)));
    }
}
