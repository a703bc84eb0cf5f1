//! `ioc demo`: the same server on a simulated city, with a throw-away data directory.
//!
//! Everything is real but the sensors and the actuators: a simulator in this process publishes over
//! MQTT to the listener of this very process, and obeys what that sends. City time runs faster than ours on both sides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use ioc_core::record::ClockKind;

use crate::access::Access;
use crate::args::{Address, Broker, MqttAddress, Transport};
use crate::clock;
use crate::config::settings::Settings;
use crate::host::{self, Devices, Ended, Host, HostError, RunOptions};
use crate::progress::tell;
use crate::publisher::Quality;
use crate::simulate::{Bounds, CityMap, Happenings, SimulateOptions, Simulator};
use crate::telemetry;

/// What `ioc demo` takes.
#[derive(Debug, Args)]
#[command(after_help = "\
Everything is real but the sensors and the actuators: a simulated city publishes over MQTT to the
listener of this very process, on the loopback interface. Order one of its barriers, pumps or sirens in the
console: the device takes the command, and says when it is done. Stop it with Ctrl-C; nothing
stays behind.

Example:
  ioc demo --speed 60 --seed 7      another evening of the city, an hour of it every minute")]
pub struct DemoArgs {
    /// How many times faster than the wall clock the city lives
    #[arg(long, value_name = "N", default_value = "30",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    speed: u32,
    /// Which evening: the same seed gives the same happenings
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// Where to serve the console; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// How long a demonstration may take to stop.
const DRAIN: Duration = Duration::from_secs(2);

/// Runs until Ctrl-C.
pub fn run(args: &DemoArgs) -> Result<(), HostError> {
    let data = tempfile::Builder::new().prefix("ioc-demo-").tempdir();
    let data = data.map_err(HostError::Start)?;
    // As if it had been set: the same checks, so that nothing beyond loopback is served.
    let listen = ("IOC_HTTP_LISTEN".to_owned(), args.listen.to_string());
    let mut settings = Settings::load(None, std::iter::once(listen))
        .map_err(|mistakes| HostError::Usage(mistakes.to_string()))?;
    settings.data = data.path().to_owned();
    settings.clock = ClockKind::Scaled(args.speed);
    settings.mqtt.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    telemetry::start_logging("warn");

    let origin = clock::wall();
    let host = Host::start(RunOptions {
        settings,
        config: None,
        city: None,
        accept_clock: false,
        skip_records: Vec::new(),
        devices: Devices::Simulated,
    })?;
    let options = SimulateOptions {
        to: Broker::Mqtt(MqttAddress(
            Address {
                host: host.mqtt.ip().to_string(),
                port: host.mqtt.port(),
            },
            Transport::Plain,
        )),
        stream: None,
        access: Access::default(),
        map: Arc::new(CityMap::compiled_in()),
        seed: args.seed,
        happenings: Happenings::ALL,
        speed: f64::from(args.speed),
        rate: None,
        origin,
        quality: Quality::AtLeastOnce,
        connections: 2,
        inflight_max: 1000,
        bounds: Bounds {
            duration: None,
            count: None,
        },
    };
    let simulator = Simulator::new(options, Arc::new(|_| {}));
    let simulation = host.spawn(simulator.run(std::future::pending()));
    let asked = host.shutdown_signal();
    host::announce(&host);
    tell(format_args!(
        "\n  Open the console:  {}\n\n  A simulated city, {} times as fast as ours. Ctrl-C ends it.",
        host.console_url(),
        args.speed
    ));
    let ended = host.wait(asked);
    simulation.abort();
    host.stop(if ended == Ended::Asked {
        DRAIN
    } else {
        Duration::ZERO
    })
}
