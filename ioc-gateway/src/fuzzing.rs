//! What must hold whatever bytes come, by name: driven by the tests below and by `fuzz/`.
//!
//! Arrives: any bytes. Leaves: nothing, or a panic that says which promise was broken. Each
//! [`Target`] has a binary in `fuzz/fuzz_targets/` and examples in `fuzz/seeds/`, which the tests
//! hold them to, so that neither lags behind. Next: `fuzzing/messages.rs`, `mqtt/fuzzing.rs`,
//! `http/fuzzing.rs`.

#[cfg(test)]
pub(crate) mod damage;
mod messages;

use ioc_core::record::{Input, Record};

use crate::formats::mapping::Format;
use crate::{brokers, http, mqtt};

/// Something that takes bytes of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// An alert of the Common Alerting Protocol.
    Cap,
    /// A CloudEvent, in structured mode and as the data of one in binary mode.
    CloudEvents,
    /// What a device says about a command.
    Feedback,
    /// The body of a request, packed or not.
    HttpBody,
    /// JSON of a shape, with lists in lists and tables.
    JsonShape,
    /// Packets of a broker elsewhere.
    MqttBroker,
    /// Packets of a client of our listener.
    MqttListener,
    /// A native reading.
    NativeReading,
    /// What a NATS server says, with the messages of a stream.
    NatsServer,
    /// A notification of NGSI-LD.
    NgsiLd,
    /// An input of the inputs log.
    Record,
    /// SenML, in JSON and CBOR.
    Senml,
    /// An observation of SensorThings.
    SensorThings,
    /// Messages of an edge node of Sparkplug, one after another.
    Sparkplug,
}

impl Target {
    /// All of them, in the order of their names.
    pub const ALL: &'static [Self] = &[
        Self::Cap,
        Self::CloudEvents,
        Self::Feedback,
        Self::HttpBody,
        Self::JsonShape,
        Self::MqttBroker,
        Self::MqttListener,
        Self::NativeReading,
        Self::NatsServer,
        Self::NgsiLd,
        Self::Record,
        Self::Senml,
        Self::SensorThings,
        Self::Sparkplug,
    ];

    /// What its binary and its examples are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::CloudEvents => "cloud_events",
            Self::Feedback => "feedback",
            Self::HttpBody => "http_body",
            Self::JsonShape => "json_shape",
            Self::MqttBroker => "mqtt_broker",
            Self::MqttListener => "mqtt_listener",
            Self::NativeReading => "native_reading",
            Self::NatsServer => "nats_server",
            Self::NgsiLd => "ngsi_ld",
            Self::Record => "record",
            Self::Senml => "senml",
            Self::SensorThings => "sensor_things",
            Self::Sparkplug => "sparkplug",
        }
    }

    /// The one that tries this format.
    pub const fn of(format: &Format) -> Self {
        match format {
            Format::Json(_) => Self::JsonShape,
            Format::Senml => Self::Senml,
            Format::SensorThings => Self::SensorThings,
            Format::NgsiLd => Self::NgsiLd,
            Format::CloudEvents(_) => Self::CloudEvents,
            Format::Sparkplug => Self::Sparkplug,
            Format::Cap => Self::Cap,
        }
    }

    /// Tries these bytes; returns how much of them was taken: readings, packets, items.
    ///
    /// # Panics
    /// If a promise is broken.
    pub fn run(self, bytes: &[u8]) -> usize {
        match self {
            Self::Cap => messages::of_format("cap", Format::Cap, bytes),
            Self::CloudEvents => messages::cloud_events(bytes),
            Self::Feedback => messages::feedback(bytes),
            Self::HttpBody => http::fuzzing::body(bytes),
            Self::JsonShape => messages::json_shapes(bytes),
            Self::MqttBroker => brokers::mqtt::packets_of_any(bytes),
            Self::MqttListener => mqtt_listener(bytes),
            Self::NativeReading => messages::native(bytes),
            Self::NatsServer => brokers::nats::words_of_any(bytes),
            Self::NgsiLd => messages::of_format("ngsi", Format::NgsiLd, bytes),
            Self::Record => record(bytes),
            Self::Senml => messages::of_format("senml", Format::Senml, bytes),
            Self::SensorThings => {
                let topic = "v1.1/Datastreams(5)/Observations";
                messages::of_format(topic, Format::SensorThings, bytes)
            }
            Self::Sparkplug => messages::sparkplug(bytes),
        }
    }
}

/// How many bytes at the front say where the rest of a client's bytes is cut.
const PIECES: usize = 4;

/// Any bytes, as the first packet of a connection and as what follows it.
fn mqtt_listener(bytes: &[u8]) -> usize {
    let introduced = mqtt::fuzzing::introduction(bytes);
    match bytes.split_first_chunk::<PIECES>() {
        Some((pieces, stream)) => introduced + mqtt::fuzzing::session(stream, pieces),
        None => introduced,
    }
}

/// What is taken of the log is written back as bytes that read the same.
fn record(bytes: &[u8]) -> usize {
    let _framed = Record::unframe(1, bytes);
    let Ok(input) = Input::decode(bytes) else {
        return 0;
    };
    let mut again = Vec::new();
    input.encode(&mut again);
    assert_eq!(Input::decode(&again), Ok(input));
    1
}

#[cfg(test)]
mod tests;
