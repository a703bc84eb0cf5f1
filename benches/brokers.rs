//! How fast readings come from brokers elsewhere, beside a client that only takes and acknowledges.
//!
//! Sketch: a bare client decodes a packet and answers it; `ioc` decodes the reading too, judges it
//! and has it on disk before it answers, on other threads than the one that reads the socket. With
//! enough in flight to cover a sync of some 100 µs, the connection's thread bounds both: for MQTT a
//! micro-second a message in `rumqttc`, which writes each acknowledgement by itself; for JetStream
//! what the server sends, some 500,000 a second, for all that acknowledges all.
//!
//! Run with `cargo bench --bench brokers`. Both are measured in each round, in turns, on the same
//! messages; from the time that a tenth of them is acknowledged until all are.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, stream};
use clap::Parser;
use futures_util::{StreamExt, TryStreamExt};
use ioc_bench::flood::{Flood, FloodOptions};
use ioc_bench::options::Common;
use ioc_bench::readings::{Readings, Said, now_ms};
use ioc_bench::report::{self, Target};
use ioc_bench::servers::{Ioc, Nats};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Packet, QoS};

/// Readings from an MQTT broker and from a JetStream stream: `ioc`, which stores and judges each
/// reading before it acknowledges, beside rumqttc with manual acknowledgements and async-nats with
/// a consumer that acknowledges all. The MQTT broker is one that only feeds; nats-server is real.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench brokers --")]
struct Options {
    /// How many messages each client takes in each round.
    #[arg(long, default_value_t = 400_000)]
    messages: u64,
    /// How many may be in flight over MQTT.
    #[arg(long, default_value_t = 1000)]
    in_flight: u32,
    /// How many sensors there are.
    #[arg(long, default_value_t = 10_000)]
    sensors: u32,
    /// How many rounds; the median is told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only `mqtt`, or only `nats`.
    #[arg(long)]
    only: Option<String>,
    #[command(flatten)]
    common: Common,
}

impl Options {
    fn wants(&self, which: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == which)
    }
}

const WITHIN: Duration = Duration::from_secs(300);
const SUBJECT: &str = "ioc.v1.readings.>";

fn main() -> io::Result<()> {
    let options = Options::parse();
    if options.wants("mqtt") {
        let measure = |each: fn(&Options) -> io::Result<f64>| move |options: &_| each(options);
        compare("rumqttc", &options, measure(bare_mqtt), measure(ioc_mqtt))?;
    }
    if options.wants("nats") {
        match Nats::find() {
            Some(binary) => compare_nats(&options, &binary)?,
            None => println!("nats-server is not installed: nothing to read from"),
        }
    }
    Ok(())
}

/// Measures both in turns, and tells the ratio.
fn compare(
    name: &str,
    options: &Options,
    bare: impl Fn(&Options) -> io::Result<f64>,
    ours: impl Fn(&Options) -> io::Result<f64>,
) -> io::Result<()> {
    let (mut of_bare, mut of_ours) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        of_bare.push(bare(options)?);
        of_ours.push(ours(options)?);
        let [bare, ours] = [&of_bare, &of_ours].map(|all| report::rate(all[round - 1]));
        println!("round {round}  {name} {bare}/s  ioc {ours}/s");
    }
    let ratio = report::median(of_ours.clone()) / report::median(of_bare.clone());
    println!("{name:<10} {}", report::spread(of_bare, report::rate));
    println!("ioc        {}", report::spread(of_ours, report::rate));
    let verdict = Target::AtLeast(0.8).judge(ratio);
    println!("ratio of the medians: {verdict}\n");
    Ok(())
}

/// A broker that lets one client in and feeds it.
fn feeder(options: &Options) -> io::Result<(SocketAddr, thread::JoinHandle<io::Result<f64>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let messages = options.messages;
    let flood = FloodOptions {
        connections: 1,
        in_flight: options.in_flight,
        sensors: options.sensors,
        readings: messages,
        first: 0,
    };
    let feeding = thread::spawn(move || {
        let flood = Flood::feed(&listener, flood)?;
        flood.wait_for(messages / 10);
        let (began, before) = (Instant::now(), flood.acknowledged());
        let all = flood.finish()?;
        Ok((all - before) as f64 / began.elapsed().as_secs_f64())
    });
    Ok((address, feeding))
}

fn fed(feeding: thread::JoinHandle<io::Result<f64>>) -> io::Result<f64> {
    feeding.join().expect("a feeder does not panic")
}

fn bare_mqtt(options: &Options) -> io::Result<f64> {
    let (address, feeding) = feeder(options)?;
    let mut client = MqttOptions::new("bare", address.ip().to_string(), address.port());
    client.set_manual_acks(true).set_clean_session(false);
    let (client, mut events) = AsyncClient::new(client, 2 * options.in_flight as usize);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    let runtime = runtime()?;
    runtime.block_on(async {
        let subscribed = client
            .subscribe("ioc/v1/readings/#", QoS::AtLeastOnce)
            .await;
        subscribed.map_err(io::Error::other)?;
        take_all(&client, &mut events, options.messages).await
    })?;
    // The last acknowledgements leave with the next polls.
    let rest = runtime.spawn(async move { while events.poll().await.is_ok() {} });
    let rate = fed(feeding);
    rest.abort();
    rate
}

async fn take_all(client: &AsyncClient, events: &mut EventLoop, messages: u64) -> io::Result<()> {
    let mut taken = 0;
    while taken < messages {
        if let Event::Incoming(Packet::Publish(publish)) =
            events.poll().await.map_err(io::Error::other)?
        {
            client.try_ack(&publish).map_err(io::Error::other)?;
            taken += 1;
        }
    }
    Ok(())
}

fn ioc_mqtt(options: &Options) -> io::Result<f64> {
    let (address, feeding) = feeder(options)?;
    let keys = format!("version: 3.1.1, inflight_max: {}", options.in_flight);
    let _ioc = start(options, "mqtt", address, &keys)?;
    fed(feeding)
}

/// A server that reads from a broker, in a scratch directory that lives as long.
fn start(
    options: &Options,
    section: &str,
    broker: SocketAddr,
    keys: &str,
) -> io::Result<(Ioc, tempfile::TempDir)> {
    let scratch = options.common.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let config = scratch.path().join("config");
    std::fs::create_dir(&config)?;
    let broker = format!("{{ address: '{broker}', name: bench, {keys} }}");
    let settings = format!("brokers: {{ {section}: [{broker}] }}\n");
    std::fs::write(config.join("ioc.yaml"), settings)?;
    let data = scratch.path().join("data");
    let server = Ioc::start(env!("CARGO_BIN_EXE_ioc"), &data, Some(&config))?;
    Ok((server, scratch))
}

fn compare_nats(options: &Options, binary: &Path) -> io::Result<()> {
    let scratch = options.common.scratch(env!("CARGO_TARGET_TMPDIR"))?;
    let server = Nats::start(binary, scratch.path())?;
    let runtime = runtime()?;
    let context = runtime.block_on(async {
        let client = async_nats::connect(format!("nats://{}", server.address)).await;
        client.map(jetstream::new).map_err(io::Error::other)
    })?;
    runtime.block_on(fill(&context, options))?;
    let bare = |options: &Options| {
        runtime.block_on(async {
            let taking = tokio::spawn(take_stream(context.clone(), options.messages));
            let (rate, consumer) = rate_of_consumer(&context, options.messages).await?;
            taking.await.map_err(io::Error::other)??;
            forget(&context, &consumer).await?;
            Ok(rate)
        })
    };
    let ours = |options: &Options| {
        let ioc = start(options, "nats", server.address, "stream: READINGS")?;
        let taken = runtime.block_on(rate_of_consumer(&context, options.messages));
        // First, or it would make the consumer again.
        drop(ioc);
        let (rate, consumer) = taken?;
        runtime.block_on(forget(&context, &consumer))?;
        Ok(rate)
    };
    println!("{}, a stream in files", Nats::version(binary));
    compare("async-nats", options, bare, ours)
}

/// Publishes all messages to a new stream.
async fn fill(context: &jetstream::Context, options: &Options) -> io::Result<()> {
    let config = stream::Config {
        name: "READINGS".to_owned(),
        subjects: vec![SUBJECT.to_owned()],
        ..stream::Config::default()
    };
    let made = context.create_stream(config).await;
    made.map_err(io::Error::other)?;
    let mut readings = Readings::new('s', "pm25", "ug/m3");
    let mut taken = std::collections::VecDeque::new();
    for number in 0..options.messages {
        let said = Said {
            number,
            sensor: (number % u64::from(options.sensors)) as u32,
            value: 10 + (number % 60) as u8,
            at_ms: now_ms(),
        };
        let mut payload = Vec::new();
        readings.put_json(&said, &mut payload);
        let subject = format!("ioc.v1.readings.s-{:06}", said.sensor);
        let sent = context.publish(subject, payload.into()).await;
        taken.push_back(sent.map_err(io::Error::other)?);
        if taken.len() == 2000 {
            let oldest = taken.pop_front().expect("2000 of them");
            oldest.await.map_err(io::Error::other)?;
        }
    }
    for each in taken {
        each.await.map_err(io::Error::other)?;
    }
    Ok(())
}

/// Takes a whole stream with a consumer that acknowledges all, one answer for so many messages.
async fn take_stream(context: jetstream::Context, messages: u64) -> io::Result<()> {
    const AT_ONCE: u64 = 2000;
    let stream = context.get_stream("READINGS").await;
    let config = pull::Config {
        durable_name: Some("bare".to_owned()),
        ack_policy: AckPolicy::All,
        filter_subject: SUBJECT.to_owned(),
        max_ack_pending: 65_536,
        ..pull::Config::default()
    };
    let stream = stream.map_err(io::Error::other)?;
    let consumer = stream.create_consumer(config).await;
    let consumer = consumer.map_err(io::Error::other)?;
    let pulled = consumer
        .stream()
        .max_messages_per_batch(4 * AT_ONCE as usize)
        .messages();
    let mut pulled = pulled.await.map_err(io::Error::other)?;
    let mut taken = 0;
    while let Some(message) = pulled.next().await {
        let message = message.map_err(io::Error::other)?;
        taken += 1;
        if taken % AT_ONCE == 0 || taken == messages {
            message.ack().await.map_err(io::Error::other)?;
        }
        if taken == messages {
            break;
        }
    }
    context.client().flush().await.map_err(io::Error::other)
}

/// Watches the only consumer of the stream until all is acknowledged; the rate, and its name.
async fn rate_of_consumer(
    context: &jetstream::Context,
    messages: u64,
) -> io::Result<(f64, String)> {
    let until = Instant::now() + WITHIN;
    let mut began: Option<(Instant, u64)> = None;
    let stream = context.get_stream("READINGS").await;
    let stream = stream.map_err(io::Error::other)?;
    while Instant::now() < until {
        // Asked every few milliseconds, a server of 2.9 delivered little in more of the rounds.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let consumers: Vec<_> = stream
            .consumers()
            .try_collect()
            .await
            .map_err(io::Error::other)?;
        let Some(consumer) = consumers.first() else {
            continue;
        };
        let acknowledged = consumer.ack_floor.stream_sequence;
        match began {
            None if acknowledged >= messages / 10 => began = Some((Instant::now(), acknowledged)),
            Some((at, before)) if acknowledged == messages => {
                let rate = (messages - before) as f64 / at.elapsed().as_secs_f64();
                return Ok((rate, consumer.name.clone()));
            }
            None | Some(_) => {}
        }
    }
    Err(io::Error::other("the stream was not taken in time"))
}

async fn forget(context: &jetstream::Context, consumer: &str) -> io::Result<()> {
    let stream = context.get_stream("READINGS").await;
    let removed = stream
        .map_err(io::Error::other)?
        .delete_consumer(consumer)
        .await;
    removed.map(|_| ()).map_err(io::Error::other)
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}
