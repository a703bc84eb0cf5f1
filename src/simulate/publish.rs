//! Lets the simulated city speak in time, over real MQTT or NATS.
//!
//! Arrives: a [`City`]'s readings, as the clock allows. Leaves: messages shared out to as many
//! publishers as there are connections, each sensor always to the same one. Open loop: a slow
//! broker does not slow the city down, and each reading's latency is counted from the step in
//! which it was to leave, however late that step came. When the connections take no more, the city waits for
//! [`BEHIND_MAX`] and then skips, and counts, what can no longer be told in time.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ioc_core::time::{Millis, Timestamp};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout, timeout_at};

use super::devices::Devices;
use super::map::CityMap;
use super::model::{City, CityOptions, natural_rate};
use super::{Happenings, SimulateError};
use crate::access::Access;
use crate::args::{Broker, MqttAddress, NatsAddress};
use crate::progress::{span, thousands};
use crate::publisher::{Message, NatsPublisher, NatsPublisherOptions, OnLink, Percentiles};
use crate::publisher::{PublishError, Publisher, PublisherOptions, Quality, Tally, client_id};

/// How often the city speaks.
const STEP: Duration = Duration::from_millis(10);
/// The most time that is told in one step, after a pause.
const STEP_MAX: Duration = Duration::from_millis(250);
/// How far the city may fall behind the clock before it skips.
const BEHIND_MAX: Duration = Duration::from_secs(10);
/// The city's time is told so much too early, so that nothing comes from the server's future.
const TOLD_EARLIER: Millis = Millis(200);
/// Batches that may wait for a connection, at most one from each step.
const WAITING_BATCHES_MAX: usize = 16;
/// How long the last readings may take to be acknowledged.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// When to stop; `None`: when told to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    /// After so long, by the wall clock.
    pub duration: Option<Duration>,
    /// After so many readings, told or skipped.
    pub count: Option<u64>,
}

/// What to simulate, how fast, and where to.
#[derive(Debug, Clone)]
pub struct SimulateOptions {
    /// The broker.
    pub to: Broker,
    /// The stream of a NATS server that keeps the readings: made if it is missing.
    pub stream: Option<String>,
    /// How we get in.
    pub access: Access,
    /// The city.
    pub map: Arc<CityMap>,
    /// What everything is drawn from.
    pub seed: u64,
    /// What may happen.
    pub happenings: Happenings,
    /// How many times faster than the wall clock the city's time runs; above 0.
    pub speed: f64,
    /// Readings a second by the wall clock, in place of the sensors' own intervals; above 0.
    pub rate: Option<f64>,
    /// The city's time when [`Simulator::run`] is called.
    pub origin: Timestamp,
    /// Whether readings are acknowledged.
    pub quality: Quality,
    /// How many connections share the sensors; 1 at least.
    pub connections: usize,
    /// The most readings of one connection that are not acknowledged yet.
    pub inflight_max: u16,
    /// When to stop.
    pub bounds: Bounds,
}

/// The simulation, ready to run.
#[derive(Debug)]
pub struct Simulator {
    options: SimulateOptions,
    city: City,
    tally: Arc<Tally>,
    connections: Vec<mpsc::Sender<Vec<Message>>>,
    sources: Vec<mpsc::Receiver<Vec<Message>>>,
    on_link: Listener,
    /// Readings that the city has had, skipped ones too.
    had: u64,
    skipped: u64,
    drain_within: Duration,
}

struct Listener(OnLink);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

/// What a simulation came to.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Readings that the city had.
    pub had: u64,
    /// Readings handed to a socket.
    pub sent: u64,
    /// Readings that the broker says it has.
    pub acknowledged: u64,
    /// Readings that were sent again after a connection broke.
    pub resent: u64,
    /// Readings that went down with a connection (QoS 0).
    pub lost: u64,
    /// Readings that could not be told in time.
    pub skipped: u64,
    /// What was asked of the broker.
    pub quality: Quality,
    /// How long it ran.
    pub took: Duration,
    /// How long acknowledgements took, from when each reading was to leave; `None` if there were
    /// none.
    pub latency: Option<Percentiles>,
}

impl Simulator {
    /// A simulation; nothing is connected before [`Self::run`].
    pub fn new(options: SimulateOptions, on_link: OnLink) -> Self {
        let natural = natural_rate(&options.map) * options.speed;
        let city_options = CityOptions {
            seed: options.seed,
            happenings: options.happenings,
            chattiness: options.rate.map_or(1.0, |rate| rate / natural),
        };
        let (connections, sources) = (0..options.connections.max(1))
            .map(|_| mpsc::channel(WAITING_BATCHES_MAX))
            .unzip();
        Self {
            city: City::new(Arc::clone(&options.map), city_options),
            options,
            tally: Arc::default(),
            connections,
            sources,
            on_link: Listener(on_link),
            had: 0,
            skipped: 0,
            drain_within: DRAIN_WITHIN,
        }
    }

    /// What was sent and acknowledged so far.
    pub fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Lets the city go its way until a bound is reached or `shutdown` resolves, and then waits a
    /// moment for the last acknowledgements. Fails only if the broker refuses us for good.
    pub async fn run(
        mut self,
        shutdown: impl Future<Output = ()>,
    ) -> Result<Summary, SimulateError> {
        let began = Instant::now();
        let mut publishers = self.connect();
        // They are gone when this is over, however it ends.
        let mut devices = JoinSet::new();
        if let Some(own) = self.devices(began) {
            devices.spawn(own.run());
        }
        let ended = tokio::select! {
            () = self.speak(began) => Ok(()),
            () = shutdown => Ok(()),
            ended = first_failure(&mut publishers) => ended,
        };
        let took = began.elapsed();
        self.connections.clear();
        ended?;
        let drained = timeout(self.drain_within, first_failure(&mut publishers)).await;
        drained.unwrap_or(Ok(()))?;
        Ok(self.summary(took))
    }

    fn connect(&mut self) -> JoinSet<Result<(), PublishError>> {
        let mut publishers = JoinSet::new();
        for (index, source) in std::mem::take(&mut self.sources).into_iter().enumerate() {
            let (tally, on_link) = (Arc::clone(&self.tally), Arc::clone(&self.on_link.0));
            match &self.options.to {
                Broker::Mqtt(address) => {
                    let options = self.mqtt_options(address, index);
                    let publisher = Publisher::new(options, tally, on_link);
                    publishers.spawn(publisher.run(source));
                }
                Broker::Nats(address) => {
                    let options = self.nats_options(address, index);
                    let publisher = NatsPublisher::new(options, tally, on_link);
                    publishers.spawn(publisher.run(source));
                }
            }
        }
        publishers
    }

    /// The actuators of the city, where they can be reached, on this machine only: elsewhere a real
    /// one may be meant, of which nobody but itself may say that it has obeyed.
    fn devices(&self, began: Instant) -> Option<Devices> {
        let options = &self.options;
        let is_here = options.to.address().is_loopback();
        let may_obey = is_here && !options.map.actuators.is_empty();
        may_obey.then(|| Devices {
            at: options.to.clone(),
            access: options.access.clone(),
            names: Arc::clone(&options.map.actuators),
            origin: options.origin,
            speed: options.speed,
            began,
        })
    }

    fn mqtt_options(&self, address: &MqttAddress, index: usize) -> PublisherOptions {
        PublisherOptions {
            address: address.clone(),
            client_id: client_id("simulate", index),
            access: self.options.access.clone(),
            quality: self.options.quality,
            inflight_max: self.options.inflight_max,
            patience: None,
        }
    }

    fn nats_options(&self, address: &NatsAddress, index: usize) -> NatsPublisherOptions {
        NatsPublisherOptions {
            address: address.clone(),
            name: client_id("simulate", index),
            access: self.options.access.clone(),
            quality: self.options.quality,
            stream: self.options.stream.clone(),
            inflight_max: self.options.inflight_max,
            patience: None,
        }
    }

    /// Tells what is due, step by step, until a bound is reached.
    async fn speak(&mut self, began: Instant) {
        let mut step = interval(STEP);
        step.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut told_until = Duration::ZERO;
        while !self.is_over(told_until) {
            let now = step.tick().await;
            let elapsed = now.saturating_duration_since(began);
            if elapsed > told_until + BEHIND_MAX {
                told_until = elapsed - STEP_MAX;
                self.skip_until(told_until);
            }
            let until = elapsed.min(told_until + STEP_MAX);
            let mut batches = vec![Vec::new(); self.connections.len()];
            // Step by step, so that each reading has the time of its own, though all come late.
            while told_until < until {
                told_until = until.min(told_until + STEP);
                self.add_due(told_until, began + told_until, &mut batches);
            }
            let now = Instant::now();
            let patience_ends = now + BEHIND_MAX;
            let run_ends = self.options.bounds.duration.map(|all| began + all);
            let give_up_at = run_ends.map_or(patience_ends, |end| end.min(patience_ends));
            if self.hand_over(batches, give_up_at).await.is_err() {
                return;
            }
            if run_ends.is_some_and(|end| Instant::now() >= end) {
                return;
            }
        }
    }

    /// Hands each connection its batch. What it has not taken by then is skipped: a broker that
    /// is away must not keep the run from ending.
    async fn hand_over(
        &mut self,
        batches: Vec<Vec<Message>>,
        give_up_at: Instant,
    ) -> Result<(), PublisherGone> {
        for (connection, batch) in self.connections.iter().zip(batches) {
            let count = batch.len() as u64;
            if count == 0 {
                continue;
            }
            match timeout_at(give_up_at, connection.send(batch)).await {
                Ok(taken) => taken.map_err(|_| PublisherGone)?,
                Err(_) => self.skipped += count,
            }
        }
        Ok(())
    }

    fn skip_until(&mut self, elapsed: Duration) {
        let left = self.count_left().try_into().unwrap_or(usize::MAX);
        let until_us = self.city_us(elapsed);
        let skipped = self.city.readings_until(until_us).take(left).count() as u64;
        self.had += skipped;
        self.skipped += skipped;
    }

    fn count_left(&self) -> u64 {
        let count = self.options.bounds.count;
        count.map_or(u64::MAX, |count| count.saturating_sub(self.had))
    }

    fn is_over(&self, told_until: Duration) -> bool {
        let Bounds { duration, count } = self.options.bounds;
        duration.is_some_and(|duration| told_until >= duration)
            || count.is_some_and(|count| self.had >= count)
    }

    fn city_us(&self, elapsed: Duration) -> i64 {
        (elapsed.as_secs_f64() * self.options.speed * 1e6) as i64
    }

    /// Adds the readings that are due by then, as messages, by connection.
    fn add_due(&mut self, elapsed: Duration, due: Instant, batches: &mut [Vec<Message>]) {
        let left = self.count_left().try_into().unwrap_or(usize::MAX);
        let SimulateOptions { map, origin, .. } = &self.options;
        let origin = *origin - TOLD_EARLIER;
        let until_us = self.city_us(elapsed);
        for reading in self.city.readings_until(until_us).take(left) {
            self.had += 1;
            let connection = reading.source() % batches.len();
            batches[connection].push(Message {
                topic: format!("ioc/v1/readings/{}", reading.sensor(map)),
                payload: Bytes::from(reading.to_json(map, origin)),
                due: Some(due),
            });
        }
    }

    fn summary(&self, took: Duration) -> Summary {
        Summary {
            had: self.had,
            sent: self.tally.sent(),
            acknowledged: self.tally.acknowledged(),
            resent: self.tally.resent(),
            lost: self.tally.lost(),
            skipped: self.skipped,
            quality: self.options.quality,
            took,
            latency: self.tally.latency().percentiles(),
        }
    }
}

/// A publisher has failed, which ends the run; its own error says why.
#[derive(Debug)]
struct PublisherGone;

/// Waits until all publishers have ended, or one has failed.
async fn first_failure(
    publishers: &mut JoinSet<Result<(), PublishError>>,
) -> Result<(), SimulateError> {
    while let Some(ended) = publishers.join_next().await {
        ended.expect("a publisher does not panic")?;
    }
    Ok(())
}

impl Summary {
    /// For machines.
    pub fn json(&self) -> Value {
        let seconds = self.took.as_secs_f64();
        json!({
            "had": self.had, "sent": self.sent, "acknowledged": self.acknowledged,
            "not_acknowledged": self.not_acknowledged(), "resent": self.resent, "lost": self.lost,
            "skipped": self.skipped, "took_s": seconds,
            "rate": self.sent as f64 / seconds.max(0.001),
            "latency_us": self.latency.map(|latency| latency.json()),
        })
    }

    /// Readings that the city had and that nobody says to have; with QoS 0 those not even written.
    pub const fn not_acknowledged(&self) -> u64 {
        self.had.saturating_sub(match self.quality {
            Quality::AtLeastOnce => self.acknowledged,
            Quality::AtMostOnce => self.sent,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.sent as f64 / self.took.as_secs_f64().max(0.001);
        let (sent, acknowledged) = (thousands(self.sent), thousands(self.acknowledged));
        write!(f, "{sent} readings sent in {}", span(self.took))?;
        write!(f, " ({}/s)", thousands(rate as u64))?;
        match self.quality {
            Quality::AtLeastOnce => write!(f, ", {acknowledged} acknowledged")?,
            Quality::AtMostOnce => write!(f, ", not acknowledged (QoS 0)")?,
        }
        for (count, what) in [
            (self.resent, "sent again after a connection broke"),
            (self.lost, "lost with a connection"),
            (self.skipped, "skipped: the broker could not keep up"),
        ] {
            if count > 0 {
                write!(f, ", {} {what}", thousands(count))?;
            }
        }
        match &self.latency {
            Some(latency) => write!(f, "\n{latency}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
