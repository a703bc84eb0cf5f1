//! The way from an adapter to the engine: bounded by bytes, and back again as a watermark.
//!
//! Arrives: inputs that an adapter decoded, as bytes of the inputs log, many at a time. Leaves:
//! [`Arrival`]s, in the order that each connection sent them. Promise: nothing is acknowledged
//! before the host says that it is durable, and nothing more is held than [`DoorOptions`] allows:
//! when the bound is reached, an adapter waits. Next: `pipeline.rs` of the host.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use crossbeam_channel::{Receiver, Sender};
use ioc_core::record::Input;
use tokio::sync::{Notify, Semaphore, TryAcquireError};

use crate::catalogue::Catalogue;

/// The bounds of the door.
#[derive(Debug, Clone, Copy)]
pub struct DoorOptions {
    /// How many bytes of inputs may wait for the engine, of all adapters together.
    pub waiting_bytes_max: u32,
}

impl Default for DoorOptions {
    fn default() -> Self {
        Self {
            waiting_bytes_max: 64 << 20,
        }
    }
}

/// Encoded inputs, one after another, each with its length.
#[derive(Debug, Default)]
pub struct Inputs {
    bytes: Vec<u8>,
    count: u32,
}

impl Inputs {
    /// Makes room for so many more bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Appends one.
    pub fn push(&mut self, input: &Input<'_>) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        input.encode(&mut self.bytes);
        let length = (self.bytes.len() - at - 4) as u32;
        self.bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
    }

    /// How many there are.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// How many bytes they take.
    pub const fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of each, for [`Input::decode`].
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<4>()?;
            let (input, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            rest = after;
            Some(input)
        })
    }
}

/// What one connection handed over at once.
#[derive(Debug)]
pub struct Arrival {
    /// The inputs, in order.
    pub inputs: Inputs,
    /// How to say that they are durable.
    pub ack: AckToken,
}

/// The promise to settle what a connection handed over, once it is durable.
///
/// Dropped without settling, it tells the connection that this will never be.
#[derive(Debug)]
pub struct AckToken {
    ledger: Arc<Ledger>,
    upto: u64,
    settled: bool,
}

impl AckToken {
    /// Says that everything up to here is durable. In the order of handing over.
    pub fn settle(mut self) {
        self.settled = true;
        self.ledger.settled.fetch_max(self.upto, Ordering::Release);
        self.ledger.wake.notify_one();
    }
}

impl Drop for AckToken {
    fn drop(&mut self) {
        if !self.settled {
            self.ledger.abandoned.store(true, Ordering::Release);
            self.ledger.wake.notify_one();
        }
    }
}

/// What one connection handed over and what of it is durable: two counters, no future per
/// message. The connection that owns it waits; the host settles.
#[derive(Debug, Default)]
pub struct Ledger {
    settled: AtomicU64,
    abandoned: AtomicBool,
    wake: Notify,
}

impl Ledger {
    /// How many inputs of this connection are durable, counted from its first.
    pub fn settled(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    /// Waits until more than `seen` are durable; returns how many are. An error if the engine
    /// dropped some of them: what comes after those is never durable for this connection.
    ///
    /// No wake-up is lost between looking and waiting: [`Notify`] keeps one permit.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing: ask again. Only one task may wait on a ledger.
    pub async fn settled_beyond(&self, seen: u64) -> Result<u64, DoorClosed> {
        loop {
            let settled = self.settled();
            if settled > seen {
                return Ok(settled);
            }
            if self.abandoned.load(Ordering::Acquire) {
                return Err(DoorClosed);
            }
            self.wake.notified().await;
        }
    }
}

/// The adapters' end: cheap to clone, one for all.
#[derive(Debug, Clone)]
pub struct Door {
    arrivals: Sender<Arrival>,
    credit: Arc<Semaphore>,
    waiting_bytes_max: u32,
    catalogue: Arc<ArcSwap<Catalogue>>,
}

/// The engine is gone: the process is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the engine has stopped")]
pub struct DoorClosed;

/// Why [`Door::try_hand_over`] did not.
#[derive(Debug)]
pub enum NotHandedOver {
    /// The bound is reached; here they are again.
    Full(Inputs),
    /// The engine is gone.
    Closed,
}

impl Door {
    /// Makes the door and the engine's end of it.
    pub fn new(options: DoorOptions, catalogue: Arc<ArcSwap<Catalogue>>) -> (Self, Arrivals) {
        // Unbounded as a channel: the credit bounds what is in it.
        let (sender, receiver) = crossbeam_channel::unbounded();
        let credit = Arc::new(Semaphore::new(options.waiting_bytes_max as usize));
        let door = Self {
            arrivals: sender,
            credit: Arc::clone(&credit),
            waiting_bytes_max: options.waiting_bytes_max,
            catalogue,
        };
        (
            door,
            Arrivals {
                receiver,
                credit,
                waiting_bytes_max: options.waiting_bytes_max,
            },
        )
    }

    /// What is registered now.
    pub fn catalogue(&self) -> arc_swap::Guard<Arc<Catalogue>> {
        self.catalogue.load()
    }

    /// Hands inputs over to the engine, waiting while the door is full.
    ///
    /// `upto` is how many inputs the connection has handed over with these, since it began.
    ///
    /// # Cancel safety
    /// Not cancel safe: if cancelled, the inputs are lost and were not acknowledged.
    pub async fn hand_over(
        &self,
        inputs: Inputs,
        ledger: &Arc<Ledger>,
        upto: u64,
    ) -> Result<(), DoorClosed> {
        let bytes = credit_of(&inputs, self.waiting_bytes_max);
        let permit = self
            .credit
            .acquire_many(bytes)
            .await
            .map_err(|_| DoorClosed)?;
        permit.forget();
        self.send(inputs, ledger, upto)
    }

    /// Hands inputs over to the engine, or gives them back if the door is full: the way without
    /// a future, for the usual case. Who waits in [`Door::hand_over`] comes first.
    pub fn try_hand_over(
        &self,
        inputs: Inputs,
        ledger: &Arc<Ledger>,
        upto: u64,
    ) -> Result<(), NotHandedOver> {
        let bytes = credit_of(&inputs, self.waiting_bytes_max);
        match self.credit.try_acquire_many(bytes) {
            Ok(permit) => permit.forget(),
            Err(TryAcquireError::NoPermits) => return Err(NotHandedOver::Full(inputs)),
            Err(TryAcquireError::Closed) => return Err(NotHandedOver::Closed),
        }
        self.send(inputs, ledger, upto)
            .map_err(|DoorClosed| NotHandedOver::Closed)
    }

    fn send(&self, inputs: Inputs, ledger: &Arc<Ledger>, upto: u64) -> Result<(), DoorClosed> {
        let ack = AckToken {
            ledger: Arc::clone(ledger),
            upto,
            settled: false,
        };
        self.arrivals
            .send(Arrival { inputs, ack })
            .map_err(|_| DoorClosed)
    }
}

/// What an arrival takes of the bound: its bytes, or all of it if it is larger.
fn credit_of(inputs: &Inputs, waiting_bytes_max: u32) -> u32 {
    u32::try_from(inputs.bytes())
        .unwrap_or(u32::MAX)
        .min(waiting_bytes_max)
}

/// The engine's end.
#[derive(Debug)]
pub struct Arrivals {
    receiver: Receiver<Arrival>,
    credit: Arc<Semaphore>,
    waiting_bytes_max: u32,
}

impl Arrivals {
    /// The queue, to wait on it together with others. What is taken from it must be
    /// [released](Self::release).
    pub const fn queue(&self) -> &Receiver<Arrival> {
        &self.receiver
    }

    /// Says that an arrival no longer waits, so that as much more may.
    pub fn release(&self, arrival: &Arrival) {
        self.credit
            .add_permits(credit_of(&arrival.inputs, self.waiting_bytes_max) as usize);
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.credit.close();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn ticks(count: usize) -> Inputs {
        let mut inputs = Inputs::default();
        for _ in 0..count {
            inputs.push(&Input::Tick);
        }
        inputs
    }

    fn door_of(waiting_bytes_max: u32) -> (Door, Arrivals) {
        let options = DoorOptions { waiting_bytes_max };
        Door::new(options, Arc::default())
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn inputs_come_out_as_they_went_in() {
        let inputs = ticks(3);
        assert_eq!(inputs.count(), 3);
        let decoded: Vec<_> = inputs.iter().map(Input::decode).collect();
        assert_eq!(decoded, [Ok(Input::Tick); 3]);
    }

    #[test]
    fn a_full_door_takes_more_only_when_something_left_it() {
        let (door, arrivals) = door_of(10);
        let ledger = Arc::default();
        door.try_hand_over(ticks(2), &ledger, 2).unwrap();
        let full = door.try_hand_over(ticks(1), &ledger, 3);
        assert!(matches!(full, Err(NotHandedOver::Full(inputs)) if inputs.count() == 1));
        let mut waiting = pin!(door.hand_over(ticks(1), &ledger, 3));
        assert!(poll(waiting.as_mut()).is_pending());
        arrivals.release(&arrivals.queue().recv().unwrap());
        assert_eq!(poll(waiting.as_mut()), Poll::Ready(Ok(())));
        assert_eq!(arrivals.queue().len(), 1);
    }

    #[test]
    fn what_is_larger_than_the_bound_passes_alone() {
        let (door, arrivals) = door_of(8);
        let ledger = Arc::default();
        door.try_hand_over(ticks(100), &ledger, 100).unwrap();
        arrivals.release(&arrivals.queue().recv().unwrap());
        door.try_hand_over(ticks(1), &ledger, 101).unwrap();
    }

    #[test]
    fn who_waits_is_told_when_the_engine_is_gone() {
        let (door, arrivals) = door_of(10);
        let ledger = Arc::<Ledger>::default();
        door.try_hand_over(ticks(2), &ledger, 2).unwrap();
        let mut credit = pin!(door.hand_over(ticks(2), &ledger, 4));
        let mut durable = pin!(ledger.settled_beyond(0));
        assert!(poll(credit.as_mut()).is_pending());
        assert!(poll(durable.as_mut()).is_pending());
        drop(arrivals);
        assert_eq!(poll(credit), Poll::Ready(Err(DoorClosed)));
        assert_eq!(poll(durable), Poll::Ready(Err(DoorClosed)));
        let closed = door.try_hand_over(ticks(1), &ledger, 5);
        assert!(matches!(closed, Err(NotHandedOver::Closed)));
    }

    #[test]
    fn settling_before_or_while_somebody_waits_wakes_him() {
        let (door, arrivals) = door_of(100);
        let ledger = Arc::<Ledger>::default();
        for upto in 1..=3 {
            door.try_hand_over(ticks(1), &ledger, upto).unwrap();
        }
        let settle_next = || arrivals.queue().recv().unwrap().ack.settle();
        settle_next();
        assert_eq!(poll(pin!(ledger.settled_beyond(0))), Poll::Ready(Ok(1)));
        let mut durable = pin!(ledger.settled_beyond(1));
        assert!(poll(durable.as_mut()).is_pending());
        settle_next();
        assert_eq!(poll(durable), Poll::Ready(Ok(2)));
        drop(arrivals.queue().recv().unwrap().ack);
        assert_eq!(poll(pin!(ledger.settled_beyond(1))), Poll::Ready(Ok(2)));
        assert_eq!(
            poll(pin!(ledger.settled_beyond(2))),
            Poll::Ready(Err(DoorClosed))
        );
    }
}
