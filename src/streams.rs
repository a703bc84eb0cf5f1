//! `ioc streams`: makes the JetStream streams that ioc reads from and writes to.
//!
//! Arrives: a NATS server. Leaves: the streams, if they were missing; one that is there is left as
//! it is. Not here: streams for subjects of one's own, which their owner makes.

use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{ContextBuilder, CreateStreamErrorKind};
use async_nats::jetstream::stream::{Config, StorageType};
use clap::Args;

use crate::access::{AccessArgs, AccessError};
use crate::args::{self, NatsAddress};
use crate::progress::tell;

/// How long the server may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

const EXAMPLES: &str = "\
Examples:
  ioc streams                                   READINGS and DECISIONS on this machine's server
  ioc streams --to nats://nats.city.example --user ops --password-file nats.password
  ioc streams --readings SENSORS --keep 30d

READINGS keeps what is published to ioc.v1.readings.>, for a week unless said, so that nothing is
lost while ioc is away; DECISIONS keeps what ioc decides (ioc.v1.decisions.>, with `decisions: yes`
in brokers.nats), without end. Both are on the server's disk. A stream that is there is left as it
is; if it cannot serve, that is an error. With the `nats` command: nats stream add READINGS --subjects 'ioc.v1.readings.>' --defaults";

/// Makes the JetStream streams that ioc reads from and writes to, if they are missing.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct StreamsArgs {
    /// The NATS server: nats://HOST or nats://HOST:PORT, with TLS tls://
    #[arg(long, value_name = "ADDRESS", default_value = "nats://127.0.0.1:4222")]
    pub to: NatsAddress,
    /// The stream of readings
    #[arg(long, value_name = "NAME", default_value = "READINGS")]
    pub readings: String,
    /// The stream of decisions
    #[arg(long, value_name = "NAME", default_value = "DECISIONS")]
    pub decisions: String,
    /// How long readings are kept: 30m, 48h, 7d
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = args::duration)]
    pub keep: Duration,
    /// How we get in.
    #[command(flatten)]
    pub access: AccessArgs,
}

/// Why there are no streams.
#[derive(Debug, thiserror::Error)]
pub enum StreamsError {
    /// Nobody gets in like that.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// Nobody is there, or will not have us.
    #[error("cannot connect to {address}: {why}; is nats-server running there?")]
    Connect {
        /// Where.
        address: args::Address,
        /// Why not.
        why: String,
    },
    /// The server will not make it.
    #[error("cannot make the stream {name}: {why}{hint}")]
    Stream {
        /// Which.
        name: String,
        /// Why not.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// It is there, and is of no use.
    #[error(
        "the stream {name} is there, but {why}; change it, or name another with --readings or \
         --decisions"
    )]
    Unfit {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
}

/// Why a stream cannot serve, if it cannot.
fn unfit(config: &Config, subjects: &str, is_read: bool) -> Option<String> {
    let takes = &config.subjects;
    let covers = |each: &String| {
        each == subjects
            || each
                .strip_suffix('>')
                .is_some_and(|front| subjects.starts_with(front))
    };
    // What others feed takes nothing by itself, and is read all the same.
    let is_fed = is_read && (config.mirror.is_some() || config.sources.is_some());
    if !is_fed && !takes.iter().any(covers) {
        return Some(format!("takes {}, not {subjects}", takes.join(", ")));
    }
    config
        .no_ack
        .then(|| "acknowledges nothing (`no_ack`), so that nobody knows what it has".to_owned())
}

/// Makes them, and tells of each.
///
/// # Errors
/// See [`StreamsError`].
pub async fn command(args: StreamsArgs) -> Result<(), StreamsError> {
    let connect = ConnectOptions::new()
        .name("ioc-streams")
        .connection_timeout(ANSWER_WITHIN);
    let access = args.access.load(args.to.1)?;
    let address = &args.to.0;
    let client = access.connect(connect, &args.to).await;
    let client = client.map_err(|error| StreamsError::Connect {
        address: address.clone(),
        why: error.to_string(),
    })?;
    let context = ContextBuilder::new().timeout(ANSWER_WITHIN).build(client);
    for (name, subjects, max_age, is_read) in [
        (args.readings, "ioc.v1.readings.>", args.keep, true),
        (args.decisions, "ioc.v1.decisions.>", Duration::ZERO, false),
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
            hint: hint(&error.kind()),
        })?;
        let info = stream.cached_info();
        if let Some(why) = unfit(&info.config, subjects, is_read) {
            return Err(StreamsError::Unfit { name, why });
        }
        let in_memory = match info.config.storage {
            StorageType::Memory => ", in the server's memory only: they are gone when it ends",
            StorageType::File => "",
        };
        tell(format_args!(
            "stream {name} keeps {}: {} messages{in_memory}",
            info.config.subjects.join(", "),
            info.state.messages
        ));
    }
    Ok(())
}

/// What to do where a stream could not be made.
fn hint(error: &CreateStreamErrorKind) -> &'static str {
    match error {
        CreateStreamErrorKind::JetStream(error)
            if error.error_code() == ErrorCode::STREAM_SUBJECT_OVERLAP =>
        {
            "; another stream takes these subjects: name that one with --readings or --decisions"
        }
        CreateStreamErrorKind::JetStreamUnavailable => "; start the server with JetStream (-js)",
        _ => "; does the server run with JetStream (-js)?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_nats::jetstream::stream::RetentionPolicy;

    const READINGS: &str = "ioc.v1.readings.>";

    fn taking(subject: &str) -> Config {
        Config {
            subjects: vec!["city.>".to_owned(), subject.to_owned()],
            ..Config::default()
        }
    }

    #[test]
    fn a_stream_that_takes_our_subjects_serves() {
        for subject in [READINGS, "ioc.v1.>", "ioc.>", ">"] {
            assert_eq!(unfit(&taking(subject), READINGS, true), None, "{subject}");
        }
        let queue = Config {
            retention: RetentionPolicy::WorkQueue,
            ..taking(READINGS)
        };
        assert_eq!(unfit(&queue, READINGS, true), None);
        let mirror = Config {
            mirror: Some(async_nats::jetstream::stream::Source::default()),
            ..Config::default()
        };
        assert_eq!(unfit(&mirror, READINGS, true), None);
        let why = unfit(&mirror, "ioc.v1.decisions.>", false).unwrap();
        assert!(why.contains("not ioc.v1.decisions.>"), "{why}");
    }

    #[test]
    fn a_stream_that_cannot_serve_is_told_why() {
        let dumb = Config {
            no_ack: true,
            ..taking(READINGS)
        };
        for (config, word) in [
            (taking("ioc.v1.readings.*"), "not ioc.v1.readings.>"),
            (dumb, "no_ack"),
        ] {
            let why = unfit(&config, READINGS, true).unwrap();
            assert!(why.contains(word), "{why}");
        }
    }
}
