//! One sender's way through the door: what it has handed over, what waits because its lane is full,
//! and what of it is durable.
//!
//! Arrives: decoded inputs. Leaves: the same, lane by lane, so that what is urgent never waits for
//! telemetry that does; under [`WhenFull::Conflate`], folded while it waits. Not here: how much may
//! wait, which is for the sender's adapter to bound by not reading on. Next: `../brokers/epoch.rs`,
//! `../http/lines.rs`.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Counts, Door, DoorClosed, Inputs, Lane, Lanes, Ledger, NotHandedOver, WhenFull};
use crate::telemetry::{self, Adapter};

/// Inputs that wait for room in their lane.
struct Waiting {
    handing_over: Pin<Box<dyn Future<Output = Result<(), DoorClosed>> + Send>>,
    since: Instant,
    /// How many they are.
    count: u64,
}

/// The way of one connection, or of one body.
pub(crate) struct Way {
    door: Door,
    adapter: Adapter,
    ledger: Arc<Ledger>,
    /// How many inputs were handed over or wait for it, and how many of them are durable.
    handed_over: Counts,
    durable: Counts,
    waiting: Lanes<Option<Waiting>>,
}

impl Way {
    /// A way that nothing has come by.
    pub fn new(door: Door, adapter: Adapter) -> Self {
        Self {
            door,
            adapter,
            ledger: Arc::default(),
            handed_over: Counts::default(),
            durable: Counts::default(),
            waiting: Lanes::default(),
        }
    }

    /// The door.
    pub const fn door(&self) -> &Door {
        &self.door
    }

    /// How many inputs have come, with these that were not handed over.
    pub fn decoded(&self, inputs: &Inputs) -> Counts {
        self.handed_over + inputs.counts()
    }

    /// How many are durable, as far as was told.
    pub const fn durable(&self) -> Counts {
        self.durable
    }

    /// How many the door has taken.
    pub fn inside(&self) -> Counts {
        let mut inside = self.handed_over;
        for lane in Lane::ALL {
            let waiting = self.waiting.of(lane).as_ref();
            *inside.of_mut(lane) -= waiting.map_or(0, |waiting| waiting.count);
        }
        inside
    }

    /// Whether all that was handed over is durable.
    pub fn is_settled(&self) -> bool {
        self.durable == self.handed_over
    }

    /// Since when something waits for room in its lane.
    pub fn waits_since(&self) -> Option<Instant> {
        let Lanes { urgent, telemetry } = &self.waiting;
        let waiting = urgent.iter().chain(telemetry);
        waiting.map(|waiting| waiting.since).min()
    }

    /// Hands inputs over, but those of a lane that something waits for already: they are folded, if
    /// that is the rule and at least so many bytes of them have come since.
    pub fn hand_over(
        &mut self,
        inputs: &mut Inputs,
        unfolded_min: usize,
    ) -> Result<(), DoorClosed> {
        if self.waiting.telemetry.is_some() && self.door.when_full() == WhenFull::Conflate {
            telemetry::readings_folded(self.adapter, inputs.fold(unfolded_min));
        }
        for lane in Lane::ALL {
            if self.waiting.of(lane).is_none() {
                self.hand_over_lane(lane, inputs)?;
            }
        }
        Ok(())
    }

    fn hand_over_lane(&mut self, lane: Lane, inputs: &mut Inputs) -> Result<(), DoorClosed> {
        let inputs = inputs.take(lane);
        if inputs.is_empty() {
            return Ok(());
        }
        let handed_over = self.handed_over.of_mut(lane);
        *handed_over += u64::from(inputs.count());
        let (upto, count) = (*handed_over, u64::from(inputs.count()));
        match self.door.try_hand_over(lane, inputs, &self.ledger, upto) {
            Ok(()) => Ok(()),
            Err(NotHandedOver::Closed) => Err(DoorClosed),
            Err(NotHandedOver::Full(mut inputs)) => {
                telemetry::door_full(self.adapter);
                if self.door.when_full() == WhenFull::Conflate && lane == Lane::Telemetry {
                    telemetry::readings_folded(self.adapter, inputs.fold());
                }
                let (door, ledger) = (self.door.clone(), Arc::clone(&self.ledger));
                let handing = async move { door.hand_over(lane, inputs, &ledger, upto).await };
                *self.waiting.of_mut(lane) = Some(Waiting {
                    handing_over: Box::pin(handing),
                    since: Instant::now(),
                    count,
                });
                Ok(())
            }
        }
    }

    /// Waits until the door has taken what waits for it, or until more is durable. Precondition:
    /// not all is, or it is for ever.
    ///
    /// # Cancel safety
    /// Cancelling loses nothing.
    pub async fn progress(&mut self) -> Result<(), DoorClosed> {
        let Lanes { urgent, telemetry } = &mut self.waiting;
        tokio::select! {
            durable = self.ledger.settled_beyond(self.durable) => self.durable = durable?,
            done = opened(urgent) => {
                *urgent = None;
                done?;
            }
            done = opened(telemetry) => {
                *telemetry = None;
                done?;
            }
        }
        Ok(())
    }
}

/// Waits for the door to take what waits; for ever if nothing does.
async fn opened(waiting: &mut Option<Waiting>) -> Result<(), DoorClosed> {
    match waiting {
        Some(waiting) => waiting.handing_over.as_mut().await,
        None => pending().await,
    }
}
