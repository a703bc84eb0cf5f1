//! What the door tells about itself: one function for each thing worth telling.
//!
//! Each counts, and logs where a person may want to follow; what happens for each reading is only
//! counted. Handles are looked up once: a metrics recorder must be installed before the first
//! adapter is made, or what is counted here is lost.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use metrics::{Counter, Gauge, counter, gauge};

use crate::formats::Reason;
use crate::mqtt::Peer;
use crate::sparing::Sparing;

/// Where inputs come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Adapter {
    Mqtt,
    Http,
    MqttBroker,
    Nats,
}

impl Adapter {
    const ALL: [Self; 4] = [Self::Mqtt, Self::Http, Self::MqttBroker, Self::Nats];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Http => "http",
            Self::MqttBroker => "mqtt_broker",
            Self::Nats => "nats",
        }
    }
}

/// So many readings were decoded; they are not durable yet.
pub(crate) fn readings_decoded(adapter: Adapter, count: u32) {
    static COUNTERS: LazyLock<[Counter; Adapter::ALL.len()]> = LazyLock::new(|| {
        let of =
            |adapter: Adapter| counter!("ioc_readings_decoded_total", "adapter" => adapter.word());
        Adapter::ALL.map(of)
    });
    COUNTERS[adapter as usize].increment(u64::from(count));
}

/// A message became a dead letter.
pub(crate) fn dead_letter(adapter: Adapter, reason: Reason) {
    static COUNTERS: LazyLock<[Vec<Counter>; Adapter::ALL.len()]> = LazyLock::new(|| {
        Adapter::ALL.map(|adapter| {
            let counter = |reason: &Reason| {
                let (adapter, reason) = (adapter.word(), reason.word());
                counter!("ioc_dead_letters_total", "adapter" => adapter, "reason" => reason)
            };
            Reason::ALL.iter().map(counter).collect()
        })
    });
    COUNTERS[adapter as usize][reason as usize].increment(1);
}

/// A message, or a part of one, is rightly no reading: a test, an acknowledgement, what has expired.
pub(crate) fn noted(why: &'static str) {
    counter!("ioc_noted_total", "why" => why).increment(1);
    tracing::debug!(why, "no reading in a message, or in a part of it");
}

/// So many readings of urgent kinds went with the telemetry: their source is over its quota.
pub(crate) fn urgent_demoted(adapter: Adapter, source: &str, count: u32) {
    if count > 0 {
        let counter = counter!("ioc_urgent_demoted_total", "adapter" => adapter.word());
        counter.increment(u64::from(count));
        tracing::debug!(source, count, "a source is over its urgent quota");
    }
}

/// So many readings were left out for others of their sensors, because the door was full.
pub(crate) fn readings_folded(adapter: Adapter, count: u32) {
    if count > 0 {
        let counter = counter!("ioc_readings_folded_total", "adapter" => adapter.word());
        counter.increment(u64::from(count));
    }
}

/// An edge node of Sparkplug, or a device, was born.
pub(crate) fn sparkplug_birth() {
    counter!("ioc_sparkplug_births_total").increment(1);
}

/// An edge node was forgotten, for there was no room for another.
pub(crate) fn sparkplug_forgotten() {
    counter!("ioc_sparkplug_nodes_forgotten_total").increment(1);
}

/// One of them died.
pub(crate) fn sparkplug_death() {
    counter!("ioc_sparkplug_deaths_total").increment(1);
}

/// Messages of an edge node are missing.
pub(crate) fn sparkplug_gap() {
    counter!("ioc_sparkplug_gaps_total").increment(1);
}

/// An edge node was asked to be born again.
pub(crate) fn sparkplug_rebirth_asked() {
    counter!("ioc_sparkplug_rebirths_asked_total").increment(1);
}

/// A request showed no key, or one that nobody has.
pub(crate) fn http_key_refused() {
    counter!("ioc_http_keys_refused_total").increment(1);
    tracing::debug!("http key refused");
}

/// So many replies to messages were dropped: there were too many, or their connection ended.
pub(crate) fn replies_dropped(count: usize) {
    if count > 0 {
        counter!("ioc_replies_dropped_total").increment(count as u64);
    }
}

/// The door is full: an adapter waits, and its sources with it.
pub(crate) fn door_full(adapter: Adapter) {
    counter!("ioc_door_full_total", "adapter" => adapter.word()).increment(1);
}

static MQTT_CONNECTIONS: LazyLock<Gauge> = LazyLock::new(|| gauge!("ioc_mqtt_connections"));

/// The MQTT listener takes connections.
pub(crate) fn mqtt_listening(listen: SocketAddr) {
    tracing::info!(%listen, "mqtt listening");
}

/// A client was let in.
pub(crate) fn mqtt_connected(client: &str, peer: Peer, version: &'static str, has_will: bool) {
    MQTT_CONNECTIONS.increment(1.0);
    counter!("ioc_mqtt_connects_total", "version" => version).increment(1);
    if has_will {
        counter!("ioc_mqtt_wills_total").increment(1);
    }
    tracing::debug!(client, %peer, version, has_will, "mqtt client connected");
}

/// What became of a will.
pub(crate) fn mqtt_will(outcome: &'static str) {
    counter!("ioc_mqtt_wills_ended_total", "outcome" => outcome).increment(1);
}

/// A client that was let in is gone.
pub(crate) fn mqtt_disconnected() {
    MQTT_CONNECTIONS.decrement(1.0);
}

/// A connection ended, let in or not.
pub(crate) fn mqtt_closed(client: &str, peer: Peer, reason: &'static str, is_trouble: bool) {
    counter!("ioc_mqtt_connections_closed_total", "reason" => reason).increment(1);
    static TROUBLE: Sparing = Sparing::new();
    if is_trouble {
        if let Some(left_out) = TROUBLE.line() {
            tracing::warn!(client, %peer, reason, left_out, "mqtt connection closed");
        }
    } else {
        tracing::debug!(client, %peer, reason, "mqtt connection closed");
    }
}

/// So many messages came again, marked as redelivered.
pub(crate) fn mqtt_redelivered(count: u32) {
    static COUNTER: LazyLock<Counter> = LazyLock::new(|| counter!("ioc_mqtt_redeliveries_total"));
    COUNTER.increment(u64::from(count));
}

/// Decoded inputs of a closed connection never reached the engine: those of quality 0 are lost.
pub(crate) fn mqtt_inputs_abandoned(client: &str, count: u32) {
    counter!("ioc_mqtt_inputs_abandoned_total").increment(u64::from(count));
    static ABANDONED: Sparing = Sparing::new();
    if let Some(left_out) = ABANDONED.line() {
        tracing::warn!(client, count, left_out, "mqtt inputs abandoned");
    }
}

/// A client used the identifier of a message of quality 2 for another one before it was released:
/// the other one is taken for the same, and lost.
pub(crate) fn mqtt_packet_id_reused(source: &str, packet_id: u16) {
    counter!("ioc_mqtt_packet_ids_reused_total").increment(1);
    static REUSED: Sparing = Sparing::new();
    if let Some(left_out) = REUSED.line() {
        tracing::warn!(source, packet_id, left_out, "mqtt packet identifier reused");
    }
}

/// A client subscribed to decisions.
pub(crate) fn mqtt_subscribed() {
    counter!("ioc_mqtt_subscriptions_total").increment(1);
}

/// Something became of a delivery to a device.
pub(crate) fn mqtt_delivery(outcome: &'static str) {
    counter!("ioc_mqtt_deliveries_total", "outcome" => outcome).increment(1);
}

/// A subscriber's queue was full.
pub(crate) fn mqtt_decision_missed() {
    static COUNTER: LazyLock<Counter> =
        LazyLock::new(|| counter!("ioc_mqtt_decisions_missed_total"));
    COUNTER.increment(1);
}

/// A decision is longer than the packets that a subscriber takes.
pub(crate) fn mqtt_decision_withheld() {
    static COUNTER: LazyLock<Counter> =
        LazyLock::new(|| counter!("ioc_mqtt_decisions_withheld_total"));
    COUNTER.increment(1);
}

/// A decision is longer than a packet can be.
pub(crate) fn mqtt_decision_too_long(decision_bytes: usize) {
    counter!("ioc_mqtt_decisions_too_long_total").increment(1);
    tracing::error!(decision_bytes, "decision too long for mqtt");
}

/// The system would not give us a connection that waits.
pub(crate) fn mqtt_accept_failed(error: &std::io::Error) {
    counter!("ioc_mqtt_accept_failures_total").increment(1);
    tracing::warn!(%error, "mqtt accept failed");
}

/// The task of a connection panicked: a mistake of ours, which ended that connection only.
pub(crate) fn mqtt_connection_panicked(error: &tokio::task::JoinError) {
    counter!("ioc_mqtt_connection_panics_total").increment(1);
    tracing::error!(%error, "mqtt connection panicked");
}

/// A request of the HTTP intake was answered.
pub(crate) fn http_answered(status: u16) {
    counter!("ioc_http_intake_requests_total", "status" => status.to_string()).increment(1);
}

/// A command was sent on a way: `mqtt`, `nats`.
pub(crate) fn commands_sent(way: &'static str, count: usize) {
    counter!("ioc_commands_sent_total", "way" => way).increment(count as u64);
}

/// What a way says became of a command: not what its device did.
pub(crate) fn command_outcome(way: &'static str, outcome: &'static str) {
    let labels = [("way", way), ("outcome", outcome)];
    counter!("ioc_command_outcomes_total", &labels).increment(1);
}

/// Whether a link to a broker elsewhere works.
pub(crate) fn broker_link(link: &str, is_up: bool) {
    gauge!("ioc_broker_up", "link" => link.to_owned()).set(f64::from(u8::from(is_up)));
}

/// A link to a broker elsewhere works.
pub(crate) fn broker_up(link: &str) {
    broker_link(link, true);
    counter!("ioc_broker_connects_total", "link" => link.to_owned()).increment(1);
    tracing::info!(link, "broker link up");
}

/// Somebody has told a server to deliver nothing over a link for so long.
pub(crate) fn broker_paused(link: &str, left: Duration) {
    let left_s = left.as_secs();
    tracing::warn!(link, left_s, "broker link paused on its server");
}

/// It delivers again.
pub(crate) fn broker_resumed(link: &str) {
    tracing::info!(link, "broker link resumed");
}

/// A link to a broker elsewhere broke, or could not be made; said once for each reason.
pub(crate) fn broker_down(link: &str, why: &str, is_news: bool) {
    broker_link(link, false);
    if is_news {
        tracing::warn!(link, why, "broker link down");
    } else {
        tracing::debug!(link, why, "broker link still down");
    }
}

/// A connection to a broker elsewhere ended, or was not made.
pub(crate) fn broker_broke(link: &str, reason: &'static str) {
    let labels = [("link", link.to_owned()), ("reason", reason.to_owned())];
    counter!("ioc_broker_breaks_total", &labels).increment(1);
}

/// A link works, but not as it should.
pub(crate) fn broker_up_but(link: &str, but: &str) {
    tracing::warn!(link, but, "broker link up, but");
}

/// A broker let us in, with the session that it kept for us or without.
pub(crate) fn broker_session(link: &str, is_kept: bool) {
    if is_kept {
        tracing::debug!(link, "broker kept our session");
    } else {
        counter!("ioc_broker_sessions_new_total", "link" => link.to_owned()).increment(1);
        tracing::info!(
            link,
            "the broker has no session of ours: what was published before now does not come"
        );
    }
}

/// A broker keeps messages for a session that is not configured any more; this link reads it out, if
/// there is one to that broker.
pub(crate) fn broker_session_left(broker: &str, client_id: &str, link: Option<&str>) {
    match link {
        Some(link) => tracing::warn!(
            broker,
            client_id,
            link,
            "a session of ours is not configured any more: what the broker has kept for it is read, and it \
             is ended"
        ),
        None => tracing::error!(
            broker,
            client_id,
            "a session of ours is not configured any more, and what its broker keeps for it is not read: its broker \
             is not configured either, or this data directory is a copy of the one that knew it; write it under \
             `brokers.mqtt` again with this `client_id`, or have the broker forget the session"
        ),
    }
}

/// A session that was read out was taken from us: it is left alone from now on.
pub(crate) fn broker_session_given_up(link: &str, error: &str) {
    tracing::error!(
        link,
        error,
        "a session of ours that is not configured any more could not be read to its end, and is left alone: \
         another process may have it"
    );
}

/// A broker goes on delivering by filters that are not asked for any more.
pub(crate) fn broker_unsubscription_refused(link: &str, why: &str) {
    tracing::warn!(
        link,
        why,
        "the broker does not give up filters that are not configured any more: what comes by them is \
         acknowledged and not read, and they are unsubscribed from again at the next start"
    );
}

/// More sessions are left than are remembered.
pub(crate) fn broker_session_forgotten(broker: &str, client_id: &str) {
    tracing::error!(
        broker,
        client_id,
        "a session of ours that is not configured any more is not remembered any longer: have its broker \
         forget it"
    );
}

/// A session that was not configured any more is read out and ended.
pub(crate) fn broker_session_over(link: &str) {
    tracing::info!(link, "the session is read out and ended");
}

/// Which sessions brokers keep for us cannot be read or written.
pub(crate) fn broker_sessions_unusable(error: &std::io::Error) {
    tracing::warn!(
        %error,
        "which sessions brokers keep for us cannot be read or written; one that is taken out of the settings \
         is not read out"
    );
}

/// So many messages of brokers elsewhere came again, marked as redelivered.
pub(crate) fn broker_redelivered(count: u64) {
    static COUNTER: LazyLock<Counter> = LazyLock::new(|| counter!("ioc_broker_redeliveries_total"));
    COUNTER.increment(count);
}

/// A message of a broker elsewhere was acknowledged and not read: `not_subscribed`, `read_elsewhere`,
/// `retained`, `key_deleted`.
pub(crate) fn broker_passed_over(link: &str, why: &'static str) {
    let labels = [("link", link.to_owned()), ("why", why.to_owned())];
    counter!("ioc_broker_passed_over_total", &labels).increment(1);
}

/// A consumer was read that is not configured any more; a link reads the same subject, if there is one.
pub(crate) fn nats_stray(file: &str, heir: Option<&str>) {
    match heir {
        Some(link) => tracing::error!(
            file,
            link,
            "a subject of a NATS stream was read by a consumer that is not configured any more, and this link reads \
             the same subject: where it is the same stream, it reads that anew with `from: first`, and goes on where \
             the other stopped else; when it is up, remove the consumer that this file of `streams/` names behind \
             the link of before (`nats consumer rm STREAM CONSUMER`), for a stream that keeps by interest keeps its \
             messages for it, and this file"
        ),
        None => tracing::error!(
            file,
            "a subject of a NATS stream was read that is not configured any more: a stream that keeps by \
             interest keeps its messages for the consumer that this file of `streams/` names behind the link; \
             write the subject again, or remove the consumer (`nats consumer rm STREAM CONSUMER`) and this file"
        ),
    }
}

/// From where a consumer is read that is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnewFrom {
    /// From where it stood.
    WhereItStood,
    /// As if it was read for the first time.
    Beginning,
}

/// Somebody has changed a consumer of ours in a way that loses messages.
pub(crate) fn nats_edited(link: &str, consumer: &str, why: &str, from: AnewFrom) {
    match from {
        AnewFrom::WhereItStood => tracing::warn!(
            link,
            consumer,
            why,
            "somebody has changed our consumer: it is made anew where it stood"
        ),
        AnewFrom::Beginning => tracing::warn!(
            link,
            consumer,
            why,
            "somebody has changed our consumer, and what it did not deliver lies before where it stands: the \
             stream is read anew as `from` says, and what is known comes again"
        ),
    }
}

/// A stream has a message of a subject that is not read, though it takes no other.
pub(crate) fn nats_other_subject(link: &str, subject: &str) {
    tracing::warn!(
        link,
        subject,
        "the stream has messages of another subject than is read, though it takes no other: they are \
         passed over; if it changes subjects (`subject_transform`), write those that it has under \
         `subjects`"
    );
}

/// A core subject brought more than was taken: messages of it are lost.
pub(crate) fn nats_messages_dropped(count: usize) {
    static COUNTER: LazyLock<Counter> =
        LazyLock::new(|| counter!("ioc_nats_messages_dropped_total"));
    COUNTER.increment(count as u64);
}

/// A message of a stream could not be read, and was put aside. The log says so of the first of a
/// connection: whoever may publish can write many.
pub(crate) fn nats_unreadable(link: &str, message: u64, is_first: bool) {
    counter!("ioc_nats_unreadable_total", "link" => link.to_owned()).increment(1);
    if is_first {
        tracing::warn!(
            link,
            message,
            "a message of the stream has headers that cannot be read; it is a dead letter, and so \
             are others of this connection"
        );
    }
}

/// A decision is longer than the server takes, and was passed over.
pub(crate) fn decision_too_long(link: &str, id: &str, why: &dyn std::error::Error) {
    counter!("ioc_decisions_unsent_total").increment(1);
    tracing::error!(
        link,
        id,
        %why,
        "a decision is longer than the server or its stream takes (`max_payload`, `max_msg_size`), \
         and was not sent"
    );
}

/// A consumer stands further than what is durable, and is made anew.
pub(crate) fn nats_begins_behind(link: &str, acknowledged: u64, durable: u64) {
    tracing::info!(
        link,
        acknowledged,
        durable,
        "the stream's consumer stands further than what is known here to be durable: it is made \
         anew, and what lies between comes again"
    );
}

/// A stream ends before what its consumer has acknowledged, or has others there.
pub(crate) fn nats_put_back(link: &str, acknowledged: u64, last: u64) {
    tracing::warn!(
        link,
        acknowledged,
        last,
        "the stream was put back to an earlier day, or its server lost its last messages: it is \
         read from when it was known last, and what is known comes again"
    );
}

/// A consumer stands further than what is durable, and cannot be made anew.
pub(crate) fn nats_not_made_anew(link: &str, acknowledged: u64) {
    tracing::error!(
        link,
        acknowledged,
        "the stream's consumer stands further than what is known here to be durable, and the server \
         does not let it be made anew ($JS.API.CONSUMER.*): what lies between is not read"
    );
}

/// What says how much of a stream is durable cannot be read or written.
pub(crate) fn nats_floor_unusable(error: &std::io::Error) {
    tracing::warn!(
        %error,
        "how much of a stream is durable cannot be read or written; its consumer is believed"
    );
}

/// Messages that a consumer had delivered before do not come again: the stream has dropped them.
pub(crate) fn nats_pending_gone(link: &str) {
    counter!("ioc_nats_pending_gone_total", "link" => link.to_owned()).increment(1);
    tracing::warn!(link, "the stream no longer has messages that it owed us");
}
