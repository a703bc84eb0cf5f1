//! `ioc streams`: makes the JetStream streams that ioc reads from and writes to.
//!
//! Arrives: a NATS server. Leaves: the streams, if they were missing; one that is there is left as
//! it is. Not here: streams for subjects of one's own, which their owner makes.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::Config;
use clap::Args;

use crate::args::{self, Credentials, NatsAddress, PasswordFileError};
use crate::progress::tell;

/// How long the server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  ioc streams                                   READINGS and DECISIONS on this machine's server
  ioc streams --to nats://nats.city.example --user ops --password-file nats.password
  ioc streams --readings SENSORS --keep 48h

READINGS keeps what is published to ioc.v1.readings.>, for a week unless said, so that nothing is
lost while ioc is away; DECISIONS keeps what ioc decides (ioc.v1.decisions.>, with `decisions: yes`
in brokers.nats), without end. Both are on the server's disk. A stream that is there is left as it
is. With the `nats` command: nats stream add READINGS --subjects 'ioc.v1.readings.>' --defaults";

/// Makes the JetStream streams that ioc reads from and writes to, if they are missing.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct StreamsArgs {
    /// The NATS server: nats://HOST or nats://HOST:PORT
    #[arg(long, value_name = "ADDRESS", default_value = "nats://127.0.0.1:4222")]
    pub to: NatsAddress,
    /// The stream of readings
    #[arg(long, value_name = "NAME", default_value = "READINGS")]
    pub readings: String,
    /// The stream of decisions
    #[arg(long, value_name = "NAME", default_value = "DECISIONS")]
    pub decisions: String,
    /// How long readings are kept: 30m, 48h
    #[arg(long, value_name = "DURATION", default_value = "168h", value_parser = args::duration)]
    pub keep: Duration,
    /// The user name
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// A file whose first line is the user's password
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
}

/// Why there are no streams.
#[derive(Debug, thiserror::Error)]
pub enum StreamsError {
    /// The password file cannot be read.
    #[error(transparent)]
    Password(#[from] PasswordFileError),
    /// Nobody is there, or will not have us.
    #[error("cannot connect to {address}: {why}; is nats-server running there?")]
    Connect {
        /// Where.
        address: args::Address,
        /// Why not.
        why: String,
    },
    /// The server will not make it.
    #[error("cannot make the stream {name}: {why}; does the server run with JetStream (-js)?")]
    Stream {
        /// Which.
        name: String,
        /// Why not.
        why: String,
    },
}

/// Makes them, and tells of each.
///
/// # Errors
/// See [`StreamsError`].
pub async fn command(args: StreamsArgs) -> Result<(), StreamsError> {
    let mut connect = ConnectOptions::new()
        .name("ioc-streams")
        .connection_timeout(ANSWER_WITHIN);
    if let Some(user) = &args.user {
        let Credentials { user, password } =
            Credentials::load(user, args.password_file.as_deref())?;
        connect = connect.user_and_password(user, password);
    }
    let address = &args.to.0;
    let client = connect.connect(format!("nats://{address}")).await;
    let client = client.map_err(|error| StreamsError::Connect {
        address: address.clone(),
        why: error.to_string(),
    })?;
    let context = ContextBuilder::new().timeout(ANSWER_WITHIN).build(client);
    for (name, subjects, max_age) in [
        (args.readings, "ioc.v1.readings.>", args.keep),
        (args.decisions, "ioc.v1.decisions.>", Duration::ZERO),
    ] {
        let config = Config {
            name: name.clone(),
            subjects: vec![subjects.to_owned()],
            max_age,
            ..Config::default()
        };
        let stream = context.get_or_create_stream(config).await;
        let stream = stream.map_err(|error| StreamsError::Stream {
            name: name.clone(),
            why: error.to_string(),
        })?;
        let info = stream.cached_info();
        tell(format_args!(
            "stream {name} keeps {}: {} messages",
            info.config.subjects.join(", "),
            info.state.messages
        ));
    }
    Ok(())
}
