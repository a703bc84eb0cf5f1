//! Publishes as fast as acknowledgements come: closed loop, a bound on what is in flight in all.
//!
//! One thread for each connection, with its share of the sensors and of the bound. A connection
//! writes all that its bound allows in one write, then reads what is acknowledged: a client that
//! can have 125 messages in flight does no less.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::mqtt::{self, Heard, Received};
use crate::readings::{Readings, Said, now_ms};

/// What is published, over how many connections.
#[derive(Debug, Clone, Copy)]
pub struct FloodOptions {
    /// How many connections.
    pub connections: u32,
    /// How many messages may be in flight, of all connections together.
    pub in_flight: u32,
    /// How many sensors there are.
    pub sensors: u32,
    /// How many readings in all; `u64::MAX` for as many as there is time for.
    pub readings: u64,
    /// The number of the first reading.
    pub first: u64,
}

/// Connections that publish until they are done, or told to stop.
#[derive(Debug)]
pub struct Flood {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    acknowledged: AtomicU64,
    stop: AtomicBool,
}

impl Flood {
    /// Connects, and begins.
    pub fn start(to: SocketAddr, options: FloodOptions) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let mut threads = Vec::new();
        for number in 0..options.connections {
            let stream = mqtt::connect(to, &format!("flood-{number}"))?;
            let connection = Connection::new(stream, options, number);
            let shared = Arc::clone(&shared);
            threads.push(thread::spawn(move || connection.run(&shared)));
        }
        Ok(Self { shared, threads })
    }

    /// Lets one subscriber in, as its broker, and feeds it.
    pub fn feed(listener: &TcpListener, options: FloodOptions) -> io::Result<Self> {
        let stream = mqtt::let_in(listener)?;
        let connection = Connection::new(stream, options, 0);
        let shared = Arc::<Shared>::default();
        let feeding = Arc::clone(&shared);
        let threads = vec![thread::spawn(move || connection.run(&feeding))];
        Ok(Self { shared, threads })
    }

    /// How many messages are acknowledged by now.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many are acknowledged.
    pub fn wait_for(&self, acknowledged: u64) {
        while self.acknowledged() < acknowledged
            && !self.threads.iter().all(|each| each.is_finished())
        {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Acknowledgements a second over a span of time from now on.
    pub fn rate_over(&self, span: Duration) -> f64 {
        let (began, before) = (Instant::now(), self.acknowledged());
        thread::sleep(span);
        let taken = began.elapsed();
        (self.acknowledged() - before) as f64 / taken.as_secs_f64()
    }

    /// Stops publishing and waits for what is in flight; returns how many were acknowledged.
    pub fn stop(self) -> io::Result<u64> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish()
    }

    /// Waits until all is published and acknowledged; returns how many that were.
    pub fn finish(self) -> io::Result<u64> {
        for thread in self.threads {
            thread.join().expect("a publisher does not panic")?;
        }
        Ok(self.shared.acknowledged.load(Ordering::Relaxed))
    }
}

/// One connection, and the sensors that are its own.
struct Connection {
    stream: TcpStream,
    readings: Readings,
    options: FloodOptions,
    /// Which of the connections.
    number: u32,
    in_flight_max: u32,
    in_flight: u32,
    left: u64,
    published: u64,
}

impl Connection {
    fn new(stream: TcpStream, options: FloodOptions, number: u32) -> Self {
        let connections = u64::from(options.connections);
        let share = |all: u64| all / connections + u64::from(u64::from(number) < all % connections);
        Self {
            stream,
            readings: Readings::new('s', "pm25", "ug/m3"),
            options,
            number,
            in_flight_max: share(u64::from(options.in_flight)) as u32,
            in_flight: 0,
            left: share(options.readings),
            published: 0,
        }
    }

    fn run(mut self, shared: &Shared) -> io::Result<()> {
        let mut out = Vec::new();
        let mut received = Received::default();
        loop {
            if shared.stop.load(Ordering::Relaxed) {
                self.left = 0;
            }
            self.put_readings(&mut out);
            if !out.is_empty() {
                self.stream.write_all(&out)?;
                out.clear();
            }
            if self.in_flight == 0 {
                return Ok(());
            }
            received.read(&self.stream)?;
            let mut acknowledged = 0;
            while let Some(heard) = received.packet() {
                acknowledged += u32::from(heard == Heard::PubAck);
            }
            self.in_flight -= acknowledged;
            let acknowledged = u64::from(acknowledged);
            shared
                .acknowledged
                .fetch_add(acknowledged, Ordering::Relaxed);
        }
    }

    /// As many as may be in flight.
    fn put_readings(&mut self, out: &mut Vec<u8>) {
        let at_ms = now_ms();
        while self.in_flight < self.in_flight_max && self.left > 0 {
            let said = self.next(at_ms);
            let packet_id = (self.published % u64::from(u16::MAX)) as u16 + 1;
            self.readings.put_publish(packet_id, &said, out);
            self.in_flight += 1;
            self.published += 1;
            self.left -= 1;
        }
    }

    /// The next reading: of a sensor that only speaks on this connection, as real ones do.
    fn next(&self, at_ms: i64) -> Said {
        let connections = u64::from(self.options.connections);
        let own = (u64::from(self.options.sensors) / connections).max(1);
        let number = self.published * connections + u64::from(self.number);
        let sensor = self.published % own * connections + u64::from(self.number);
        Said {
            number: self.options.first + number,
            sensor: sensor as u32,
            // One in 251 is a spike, which no rule takes for more.
            value: match number % 251 {
                0 => 90,
                _ => 10 + (number % 60) as u8,
            },
            at_ms,
        }
    }
}
