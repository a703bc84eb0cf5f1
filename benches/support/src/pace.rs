//! Publishes at a fixed rate, whatever the server does: open loop.
//!
//! Each reading has an intended send time. Latency is counted from there, so that a generator or a
//! server that falls behind makes figures worse, never better (no coordinated omission). One
//! thread writes to all connections in turn and takes what is acknowledged when it is awake
//! anyway; how late it sent is told in [`Paced::lateness`].

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::histogram::Histogram;
use crate::mqtt::{self, Heard, Received};
use crate::readings::{Readings, Said, now_ms};

/// What is published, and how fast.
#[derive(Debug, Clone, Copy)]
pub struct PaceOptions {
    /// How many connections, in turns.
    pub connections: u32,
    /// How many readings a second.
    pub rate: u32,
    /// How many readings in all.
    pub readings: u64,
    /// How many sensors speak in turns.
    pub sensors: u32,
    /// Of so many readings one is an alarm, by a sensor that says nothing else; 0 for none.
    pub alarm_every: u32,
    /// The kind of reading that alarms are of.
    pub alarm_kind: &'static str,
}

impl PaceOptions {
    /// Whether a reading is an alarm.
    pub const fn is_alarm(&self, number: u64) -> bool {
        self.alarm_every > 0 && number % self.alarm_every as u64 == self.alarm_every as u64 / 2
    }
}

/// When readings are to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    begin: Instant,
    rate: u32,
}

impl Schedule {
    /// A schedule that begins soon: when everybody is ready.
    pub fn soon(rate: u32) -> Self {
        Self {
            begin: Instant::now() + Duration::from_millis(50),
            rate,
        }
    }

    /// The intended send time of a reading.
    pub fn of(&self, number: u64) -> Instant {
        let nanos = u128::from(number) * 1_000_000_000 / u128::from(self.rate);
        self.begin + Duration::from_nanos(nanos as u64)
    }

    /// How many readings should have been sent by now.
    fn due(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.begin);
        (elapsed.as_nanos() * u128::from(self.rate) / 1_000_000_000) as u64
            + u64::from(now >= self.begin)
    }
}

/// What a paced run came to.
#[derive(Debug, Default)]
pub struct Paced {
    /// How much later than intended readings were sent.
    pub lateness: Histogram,
    /// How many were sent.
    pub sent: u64,
    /// How many were acknowledged.
    pub acknowledged: u64,
}

/// A paced run under way.
#[derive(Debug)]
pub struct Pacing {
    thread: JoinHandle<io::Result<Paced>>,
    stop: Arc<AtomicBool>,
}

impl Pacing {
    /// Connects, and begins as scheduled.
    pub fn start(to: SocketAddr, options: PaceOptions, schedule: Schedule) -> io::Result<Self> {
        let connect = |number| {
            let stream = mqtt::connect(to, &format!("pace-{number}"))?;
            stream.set_nonblocking(true)?;
            Ok(Link {
                stream,
                out: Vec::new(),
                received: Received::default(),
            })
        };
        let stop = Arc::<AtomicBool>::default();
        let pace = Pace {
            links: (0..options.connections)
                .map(connect)
                .collect::<io::Result<_>>()?,
            normal: Readings::new('s', PROBE_KIND, PROBE_UNIT),
            alarms: Readings::new('a', options.alarm_kind, PROBE_UNIT),
            options,
            schedule,
            paced: Paced::default(),
            stop: Arc::clone(&stop),
        };
        let thread = thread::spawn(move || pace.run());
        Ok(Self { thread, stop })
    }

    /// Waits until all is sent, and acknowledged or given up.
    pub fn finish(self) -> io::Result<Paced> {
        self.thread.join().expect("a publisher does not panic")
    }

    /// Sends no more. What the server did to the connections meanwhile is not asked.
    pub fn abandon(self) {
        self.stop.store(true, Ordering::Relaxed);
        let _whatever = self.thread.join();
    }
}

/// The kind of reading that paced readings are of.
pub const PROBE_KIND: &str = "pm25";
/// And their unit. Normal ones are below 70, which the shipped rules call normal too; an alarm is
/// just above 90.
pub const PROBE_UNIT: &str = "ug/m3";

/// How long the last acknowledgements are waited for.
const DRAIN_WAIT: Duration = Duration::from_secs(10);

struct Link {
    stream: TcpStream,
    out: Vec<u8>,
    received: Received,
}

struct Pace {
    links: Vec<Link>,
    normal: Readings,
    alarms: Readings,
    options: PaceOptions,
    schedule: Schedule,
    paced: Paced,
    stop: Arc<AtomicBool>,
}

impl Pace {
    fn run(mut self) -> io::Result<Paced> {
        // The default slack of 50 µs would be half of the time between two readings.
        let least = NonZeroU64::new(1);
        rustix::thread::set_current_timer_slack(least).map_err(io::Error::from)?;
        while self.paced.sent < self.options.readings && !self.stop.load(Ordering::Relaxed) {
            let next = self.schedule.of(self.paced.sent);
            thread::sleep(next.saturating_duration_since(Instant::now()));
            self.send_due()?;
            self.take_acknowledged()?;
        }
        let until = Instant::now() + DRAIN_WAIT;
        while self.paced.acknowledged < self.paced.sent && Instant::now() < until {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            thread::sleep(Duration::from_millis(1));
            self.links.iter_mut().try_for_each(Link::flush)?;
            self.take_acknowledged()?;
        }
        Ok(self.paced)
    }

    fn send_due(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let due = self.schedule.due(now).min(self.options.readings);
        let at_ms = now_ms();
        let connections = self.links.len() as u64;
        for number in self.paced.sent..due {
            let out = &mut self.links[(number % connections) as usize].out;
            let said = said(number, &self.options, at_ms);
            let readings = match self.options.is_alarm(number) {
                true => &mut self.alarms,
                false => &mut self.normal,
            };
            let packet_id = (number / connections % u64::from(u16::MAX)) as u16 + 1;
            readings.put_publish(packet_id, &said, out);
            self.paced
                .lateness
                .record(now.saturating_duration_since(self.schedule.of(number)));
        }
        self.paced.sent = due;
        self.links.iter_mut().try_for_each(Link::flush)
    }

    fn take_acknowledged(&mut self) -> io::Result<()> {
        for link in &mut self.links {
            match link.received.read(&link.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            while let Some(heard) = link.received.packet() {
                self.paced.acknowledged += u64::from(heard == Heard::PubAck);
            }
        }
        Ok(())
    }
}

impl Link {
    /// Writes what fits.
    fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.out) {
            Ok(written) => {
                self.out.drain(..written);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// What a reading says: each alarm is of another sensor, a kilometre from the one before.
fn said(number: u64, options: &PaceOptions, at_ms: i64) -> Said {
    let (sensor, value) = match options.is_alarm(number) {
        true => (number / u64::from(options.alarm_every), 90),
        false => (
            number % u64::from(options.sensors),
            10 + (number % 60) as u8,
        ),
    };
    Said {
        number,
        sensor: (sensor % 1_000_000) as u32,
        value,
        at_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_what_the_schedule_says() {
        let schedule = Schedule::soon(10_000);
        assert_eq!(schedule.due(schedule.of(0) - Duration::from_micros(1)), 0);
        for number in [0, 1, 7, 12_345] {
            assert_eq!(schedule.due(schedule.of(number)), number + 1);
        }
    }

    #[test]
    fn one_in_so_many_is_an_alarm_of_a_sensor_of_its_own() {
        let options = PaceOptions {
            connections: 1,
            rate: 1,
            readings: 1000,
            sensors: 10,
            alarm_every: 100,
            alarm_kind: PROBE_KIND,
        };
        let alarms: Vec<_> = (0..1000)
            .filter(|&number| options.is_alarm(number))
            .collect();
        assert_eq!(alarms.len(), 10);
        let sensors = alarms
            .iter()
            .map(|&number| said(number, &options, 0).sensor);
        assert_eq!(sensors.collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
    }
}
