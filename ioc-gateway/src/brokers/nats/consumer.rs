//! Our durable consumer of a stream: found, or made.
//!
//! Arrives: a stream's name and the subject that is read. Leaves: a consumer that acknowledges all, or
//! each message of a work queue by itself, and where it stands: never further than what is durable by
//! our own word (`floor.rs`). Promise: no other subject has the same consumer; one that somebody made
//! otherwise is refused, with what to do. It has a filter only where the stream has other subjects:
//! with one by a wildcard, a server of 2.9 now and then delivered a tenth or less of what it else
//! does (docs/PERFORMANCE.md).

use std::time::Duration;

use async_nats::Client;
use async_nats::connection::State;
use async_nats::jetstream::consumer;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, Info};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::stream::{
    ClusterInfo, Config as StreamConfig, ConsumerError, ConsumerErrorKind, Info as StreamInfo,
    RetentionPolicy, Stream,
};
use async_nats::jetstream::{Context, ErrorCode};
use ioc_core::time::Timestamp;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::floor::{Begin, Knows, Runs, Server};
use super::kept::Kept;
use super::{LinkError, Since, Subscriber};
use crate::telemetry::{self, AnewFrom};

/// How many deliveries may be unacknowledged; the server delivers no more then. Where a server or a
/// stream allows fewer, a quarter as many are asked for, again and again.
const ACK_PENDING_MAX: i64 = 65_536;
/// The fewest that are asked for.
const ACK_PENDING_LEAST: i64 = 16;
/// How long the stream is asked what it has at a place.
const LOOKED_FOR: Duration = Duration::from_secs(1);
/// How long a second consumer stays if we are killed before we remove it.
const HELD_FOR: Duration = Duration::from_secs(24 * 3600);

/// Finds or makes the consumer, and asks where it stands.
pub(super) async fn find_or_make(
    client: &Client,
    stream: &str,
    subscriber: &Subscriber,
) -> Result<(Consumer<Config>, Info), LinkError> {
    let context = subscriber.jetstream(client);
    let found = context.get_stream(stream).await;
    let found = found.map_err(LinkError::refused("find the stream"))?;
    let subject = &subscriber.subject;
    let filter = match is_whole(&found.cached_info().config, subject) {
        true => String::new(),
        false => subject.clone(),
    };
    let name = name_of(&subscriber.options.durable, subject);
    let ack_policy = ack_policy(&found);
    let config = Config {
        durable_name: Some(name.clone()),
        ack_policy,
        ack_wait: subscriber.options.ack_wait,
        filter_subject: filter.clone(),
        max_ack_pending: ACK_PENDING_MAX,
        ..Config::default()
    };
    let config = Config {
        deliver_policy: start_of(&found, &name, subscriber).await?,
        ..config
    };
    let consumer = as_allowed(&found, &name, &config).await;
    let consumer: Consumer<Config> = consumer.map_err(|error| not_made(&error))?;
    let info = consumer.get_info().await;
    let info = info.map_err(LinkError::refused("ask for the consumer"))?;
    if info.config.ack_policy != ack_policy {
        let why = format!("{name} does not acknowledge as this stream wants it; remove it");
        return Err(LinkError::refused("use the consumer")(why));
    }
    if info.config.max_deliver > 0 {
        let why = format!(
            "{name} delivers a message {} times at most, and loses it then; remove it",
            info.config.max_deliver
        );
        return Err(LinkError::refused("use the consumer")(why));
    }
    let is_queue = is_queue(&found);
    let begin = match is_queue {
        // What is not acknowledged is there, and nothing else.
        true => Begin::AsItIs,
        false => begin_of(client, &found, &info, subscriber).await,
    };
    // The stream may have got other subjects since. A filter that is changed makes a server of 2.9
    // pass over what it has not delivered, so the consumer is made anew where it stood.
    let is_filtered = [&filter, subject].contains(&&info.config.filter_subject);
    let filters = filters_of(&context, stream, &name).await;
    let why = edited(&info.config, &found, &filters, subject);
    // What it has passed over, or has not shown as it is, lies before where it stands. When that began
    // nobody tells.
    let begin = match why {
        Some(Edit { hides: true, .. }) if !is_queue => Begin::Anew,
        _ => begin,
    };
    if let Some(Edit { what, .. }) = why {
        let from = match begin {
            Begin::Anew => AnewFrom::Beginning,
            _ => AnewFrom::WhereItStood,
        };
        telemetry::nats_edited(subscriber.link.name(), &name, what, from);
    }
    let is_ours = is_filtered && why.is_none();
    let policy = match begin {
        Begin::AsItIs | Begin::InVain if is_ours => return Ok((consumer, info)),
        Begin::AsItIs | Begin::InVain if is_queue => DeliverPolicy::All,
        Begin::AsItIs | Begin::InVain => behind(info.ack_floor.stream_sequence),
        Begin::Behind(message) => behind(message),
        Begin::From(None) => DeliverPolicy::All,
        Begin::From(Some(at)) => from(found.cached_info(), at),
        Begin::Anew => anew(found.cached_info(), subscriber.options.from, &info),
    };
    let config = Config {
        ack_wait: info.config.ack_wait,
        max_ack_pending: info.config.max_ack_pending,
        deliver_policy: policy,
        ..config
    };
    let made = make_anew(&found, config).await;
    match &made {
        Ok((_, info)) => subscriber
            .floor
            .stands(&begin, info.ack_floor.stream_sequence),
        // A connection that is cut refuses nothing.
        Err(_) if client.connection_state() == State::Connected => subscriber.floor.refused(),
        Err(_) => {}
    }
    made
}

/// What somebody has changed about a consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edit {
    what: &'static str,
    /// Whether something was acknowledged by it that it had not shown, or not as it is.
    hides: bool,
}

/// What somebody has changed about the consumer with which messages would be lost, if anything: then
/// it is made anew. Nobody waits for a person here: one that is not read meanwhile is removed. The
/// library does not know of several `filters`.
fn edited(
    config: &consumer::Config,
    stream: &Stream,
    filters: &[String],
    subject: &str,
) -> Option<Edit> {
    let drops = stream.cached_info().config.retention == RetentionPolicy::Interest;
    let own = &config.filter_subject;
    let has_own = !own.is_empty() && !covers(own, subject);
    let has_several = !filters.is_empty();
    let hides = has_own || (has_several && !filters.iter().any(|each| covers(each, subject)));
    let what = if has_own || has_several {
        "it delivered some subjects only"
    } else if config.headers_only {
        "it delivered headers only"
    } else if drops && !config.inactive_threshold.is_zero() {
        "its server would have removed it for not being read, with what its stream keeps for it"
    } else {
        return None;
    };
    let hides = hides || config.headers_only;
    Some(Edit { what, hides })
}

/// From where a stream is read of which somebody has hidden something: as if it was read for the first
/// time. What is known comes again.
fn anew(stream: &StreamInfo, since: Since, edited: &Info) -> DeliverPolicy {
    use DeliverPolicy::{All, ByStartSequence, ByStartTime, Last, LastPerSubject, New};
    match (since, edited.config.deliver_policy) {
        (Since::First, _) => All,
        (Since::Time(at), _) => from(stream, at),
        // What came before the consumer was not to be read, or was durable.
        (Since::New, New | Last | LastPerSubject) => ByStartTime {
            start_time: edited.created,
        },
        (Since::New, began @ (All | ByStartSequence { .. } | ByStartTime { .. })) => began,
    }
}

/// The filters of a consumer that has several, as servers from 2.10 on have it. One that does not answer
/// has none.
async fn filters_of(context: &Context, stream: &str, name: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Answer {
        config: Filters,
    }
    #[derive(Deserialize)]
    struct Filters {
        #[serde(default)]
        filter_subjects: Vec<String>,
    }
    let (subject, nothing) = (format!("CONSUMER.INFO.{stream}.{name}"), json!({}));
    let answer: Result<Answer, _> = context.request(subject, &nothing).await;
    answer.map_or_else(|_| Vec::new(), |answer| answer.config.filter_subjects)
}

/// How the consumer is to be read.
async fn begin_of(client: &Client, stream: &Stream, info: &Info, subscriber: &Subscriber) -> Begin {
    let of = stream.cached_info();
    let (last, acknowledged) = (of.state.last_sequence, info.ack_floor.stream_sequence);
    let mut begin = subscriber.floor.begins(&created(of), last, acknowledged);
    let server = Server {
        name: server_of(client, info.cluster.as_ref()),
        runs: runs_of(client, info.cluster.as_ref(), subscriber),
    };
    if begin == Begin::AsItIs
        && let Some((message, taken_at)) = subscriber.floor.doubts(&server)
    {
        let kept = Kept::new(client, &of.config.name, subscriber);
        // Where nobody may look it is believed.
        let looked = timeout(LOOKED_FOR, kept.next(message)).await;
        let looked = looked.ok().and_then(Result::ok);
        subscriber.floor.asked(&server, looked.is_some());
        let there = looked.flatten();
        let is_other = there.is_some_and(|stored| {
            stored.sequence == message && stored.taken_at.is_some_and(|at| at != taken_at)
        });
        if is_other {
            begin = Begin::From(Some(taken_at));
        }
    }
    let link = subscriber.link.name();
    match begin {
        Begin::AsItIs => {}
        Begin::InVain => telemetry::nats_not_made_anew(link, acknowledged),
        Begin::Behind(durable) => telemetry::nats_begins_behind(link, acknowledged, durable),
        Begin::From(_) => telemetry::nats_put_back(link, acknowledged, last),
        // It is not known yet that somebody has changed it.
        Begin::Anew => {}
    }
    // Before anything is delivered: who is killed then has to know that nothing was durable.
    let _ = subscriber.floor.save().await;
    begin
}

/// Whether the server that keeps the consumer is the one that we are connected to.
fn runs_of(client: &Client, cluster: Option<&ClusterInfo>, subscriber: &Subscriber) -> Runs {
    let ours = client.server_info();
    let domain = subscriber.options.domain.as_ref();
    let leader = cluster.and_then(|cluster| cluster.leader.as_ref());
    let is_ours = leader.is_none_or(|leader| *leader == ours.server_name)
        && domain.is_none_or(|domain| ours.domain.as_ref() == Some(domain));
    match is_ours {
        true => Runs::Seen,
        false => Runs::Unseen,
    }
}

/// Which run of which server keeps the consumer.
pub(super) fn server_of(client: &Client, cluster: Option<&ClusterInfo>) -> String {
    let leader = cluster.and_then(|cluster| cluster.leader.as_deref());
    format!(
        "{} {}",
        client.server_info().server_id,
        leader.unwrap_or_default()
    )
}

const fn behind(message: u64) -> DeliverPolicy {
    DeliverPolicy::ByStartSequence {
        start_sequence: message + 1,
    }
}

/// From what a stream took at this time on.
fn from(stream: &StreamInfo, at: Timestamp) -> DeliverPolicy {
    // It took nothing before it was made.
    let made = stream.created.unix_timestamp_nanos();
    let after = i128::from(at.as_millis()) * 1_000_000 - made;
    let after = Duration::from_nanos(u64::try_from(after.max(0)).unwrap_or(u64::MAX));
    DeliverPolicy::ByStartTime {
        start_time: stream.created + after,
    }
}

/// Whether a stream takes nothing but what this pattern stands for. One that takes over what others
/// have taken may have any subject.
fn is_whole(stream: &StreamConfig, subject: &str) -> bool {
    let subjects = &stream.subjects;
    let is_own = stream.mirror.is_none() && stream.sources.as_ref().is_none_or(Vec::is_empty);
    is_own && !subjects.is_empty() && subjects.iter().all(|each| covers(subject, each))
}

/// Where a consumer is to begin, if it has to be made: where one begins that stands for it, because
/// the connection ended before it was made anew; else as is configured, if nothing was read yet.
async fn start_of(
    stream: &Stream,
    name: &str,
    subscriber: &Subscriber,
) -> Result<DeliverPolicy, LinkError> {
    const ATTEMPT: &str = "ask for the consumer";
    let known = async |name: &str| match stream.consumer_info(name).await {
        Ok(info) => Ok(Some(info.config.deliver_policy)),
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => Ok(None),
        Err(error) => Err(LinkError::refused(ATTEMPT)(error)),
    };
    if known(name).await?.is_some() {
        return Ok(DeliverPolicy::All);
    }
    if let Some(begins) = known(&held_name(name)).await? {
        return Ok(begins);
    }
    let info = stream.cached_info();
    if is_queue(stream) {
        let why = "a stream of `workqueue` is read from the first message on that it has";
        return match subscriber.options.from {
            Since::First => Ok(DeliverPolicy::All),
            Since::New | Since::Time(_) => Err(LinkError::refused("begin as `from` says")(why)),
        };
    }
    let stream = created(info);
    let knows = match subscriber.floor.knows(&stream) {
        // It was perhaps read under another name.
        Knows::Nothing => {
            let ending = ending_of(&subscriber.subject);
            let through = subscriber.strays.through(&stream, &ending);
            through.map_or(Knows::Nothing, Knows::Through)
        }
        knows => knows,
    };
    Ok(match (subscriber.options.from, knows) {
        // What is known comes again.
        (Since::First, _) => DeliverPolicy::All,
        (Since::New, Knows::Nothing) => DeliverPolicy::New,
        // Nothing of this one was before our time.
        (Since::New, Knows::Another) => DeliverPolicy::All,
        (Since::Time(at), Knows::Nothing | Knows::Another) => from(info, at),
        (Since::New | Since::Time(_), Knows::Through(message)) => behind(message),
    })
}

/// Whether a stream keeps each message until it is acknowledged, and no longer.
fn is_queue(stream: &Stream) -> bool {
    stream.cached_info().config.retention == RetentionPolicy::WorkQueue
}

/// How messages of a stream are acknowledged: one for all before it, where that is allowed.
fn ack_policy(stream: &Stream) -> AckPolicy {
    match is_queue(stream) {
        true => AckPolicy::Explicit,
        false => AckPolicy::All,
    }
}

/// Which of the streams of its name a stream is: one that is made again is another.
fn created(stream: &StreamInfo) -> String {
    stream.created.unix_timestamp_nanos().to_string()
}

/// Makes a consumer anew, to begin as is configured.
async fn make_anew(stream: &Stream, config: Config) -> Result<(Consumer<Config>, Info), LinkError> {
    let name = config.durable_name.clone().unwrap_or_default();
    let held = match stream.cached_info().config.retention {
        RetentionPolicy::Limits | RetentionPolicy::Interest => {
            Some(hold(stream, &name, &config).await?)
        }
        // It keeps what is not acknowledged without a consumer, too.
        RetentionPolicy::WorkQueue => None,
    };
    let deleted = stream.delete_consumer(&name).await;
    deleted.map_err(LinkError::refused("remove the consumer"))?;
    let consumer = stream.create_consumer(config).await;
    let consumer = consumer.map_err(LinkError::refused("make the consumer anew"))?;
    let info = consumer.get_info().await;
    let info = info.map_err(LinkError::refused("ask for the consumer"))?;
    if let Some(held) = held {
        // One that stays goes by itself.
        let _ = stream.delete_consumer(&held).await;
    }
    Ok((consumer, info))
}

/// Makes a second consumer that begins where this one does: where it is to begin outlives us, and a
/// stream that keeps its messages by interest drops what no consumer wants. Its name.
async fn hold(stream: &Stream, name: &str, config: &Config) -> Result<String, LinkError> {
    let held = held_name(name);
    // One of before holds what is not needed any more, and is perhaps not there.
    let _ = stream.delete_consumer(&held).await;
    let holding = Config {
        durable_name: None,
        name: Some(held.clone()),
        inactive_threshold: HELD_FOR,
        ..config.clone()
    };
    let made = stream.create_consumer(holding).await;
    made.map_err(LinkError::refused("make a second consumer"))?;
    Ok(held)
}

/// Finds or makes a consumer that may have as many deliveries unacknowledged as the server and the
/// stream allow.
async fn as_allowed(
    stream: &Stream,
    name: &str,
    config: &Config,
) -> Result<Consumer<Config>, ConsumerError> {
    let mut config = config.clone();
    loop {
        let made = stream.get_or_create_consumer(name, config.clone()).await;
        let is_too_many = made.as_ref().is_err_and(|error| {
            matches!(error.kind(), ConsumerErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::CONSUMER_MAX_PENDING_ACK_EXCESS)
        });
        if !is_too_many || config.max_ack_pending <= ACK_PENDING_LEAST {
            return made;
        }
        config.max_ack_pending /= 4;
    }
}

/// Why a consumer could not be made. A work queue has one for each subject: it may be ours, of a link
/// that was called otherwise.
fn not_made(error: &ConsumerError) -> LinkError {
    use ErrorCode as Code;
    let is_taken = matches!(error.kind(), ConsumerErrorKind::JetStream(error) if matches!(
        error.error_code(),
        Code::CONSUMER_WQ_MULTIPLE_UNFILTERED | Code::CONSUMER_WQ_CONSUMER_NOT_UNIQUE
    ));
    let why = match is_taken {
        true => format!(
            "{error}: another consumer of the work queue reads this; if it is ours, of a link that was called \
             otherwise, write its `durable`, or remove it (`nats consumer rm`): the queue keeps what it has not \
             acknowledged"
        ),
        false => error.to_string(),
    };
    LinkError::refused("make the consumer")(why)
}

/// The name of the consumer that stands for this one while it is made anew.
fn held_name(name: &str) -> String {
    format!("{name}-held")
}

/// The consumer's name: no other subject has the same.
pub(super) fn name_of(durable: &str, subject: &str) -> String {
    format!("{durable}{}", ending_of(subject))
}

/// How the names of all consumers of a subject end.
pub(super) fn ending_of(subject: &str) -> String {
    let hash = blake3::hash(subject.as_bytes()).to_hex();
    format!("-{}", &hash[..8])
}

/// Whether every subject that a pattern stands for is one of the other's.
pub fn covers(wide: &str, narrow: &str) -> bool {
    // Of nearly each message: our own subjects end so, and what begins alike is covered.
    if let Some(beginning) = wide.strip_suffix('>')
        && beginning.ends_with('.')
        && narrow.starts_with(beginning)
    {
        return true;
    }
    let (mut wide, mut narrow) = (wide.split('.'), narrow.split('.'));
    loop {
        match (wide.next(), narrow.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some(_), Some(">")) | (Some(_), None) | (None, Some(_)) => return false,
            (Some("*"), Some(_)) => {}
            (Some(ours), Some(theirs)) if ours == theirs => {}
            (Some(_), Some(_)) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_subject_has_a_consumer_of_its_own() {
        let name = name_of("ioc-city", "ioc.v1.readings.>");
        assert_ne!(name, name_of("ioc-city", "alarms.>"));
        assert!(name.starts_with("ioc-city-") && !name.contains(['.', '>', '*']));
    }

    #[test]
    fn a_pattern_covers_what_is_not_wider_than_it() {
        for (wide, narrow) in [
            ("city.>", "city.>"),
            ("city.>", "city.gauges.*"),
            ("city.*", "city.gauges"),
            (">", "city.>"),
            ("city.*.level", "city.*.level"),
            ("city.*.level.>", "city.*.level.now"),
            ("city.*.level.>", "city.1.level.now"),
        ] {
            assert!(covers(wide, narrow), "{wide} covers {narrow}");
        }
        for (wide, narrow) in [
            ("city.*", "city.>"),
            ("city.>", "city"),
            ("city.gauges", "city.*"),
            ("city.gauges", "city.gauges.1"),
            ("city.*.level", "city.1"),
            ("city.>", ">"),
            ("city.*.level.>", "city.1.flow.now"),
        ] {
            assert!(!covers(wide, narrow), "{wide} does not cover {narrow}");
        }
    }
}
