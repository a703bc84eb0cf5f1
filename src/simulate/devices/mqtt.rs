//! Simulated devices over MQTT: on `ioc/v1/commands/<device>` and `ioc/v1/feedback/<device>`, with TLS or
//! without.
//!
//! What they say and a broken connection has not carried is asked for again by the server that ordered
//! it.

use std::convert::Infallible;

use bytes::BytesMut;
use rumqttc::mqttbytes::{self, QoS};
use rumqttc::{Packet, PingReq, PubAck, Publish, Subscribe};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, interval_at, sleep, timeout};

use super::{AGAIN_AFTER, Devices, Voice};
use crate::args::MqttAddress;
use crate::publisher::{
    CONNECT_WITHIN, LinkError, OUT_BYTES_MAX, PING_EVERY, after, client_id, introduced, write_on,
};

/// How many answers may wait for the connection.
const WAITING_MAX: usize = 64;
/// The longest packet that is read: a command is short.
const PACKET_BYTES_MAX: usize = 64 << 10;

/// What commands are published under, and what is said about them.
const COMMANDS: &str = "ioc/v1/commands/";
const FEEDBACK: &str = "ioc/v1/feedback/";

/// Serves until it is aborted.
pub(super) async fn serve(devices: &Devices, address: &MqttAddress) {
    let (say, mut said) = mpsc::channel(WAITING_MAX);
    let (voice, mut under_way) = (OverMqtt(say), JoinSet::new());
    loop {
        let name = client_id("devices", 0);
        let connecting = introduced(address, &devices.access, &name);
        if let Ok(Ok(stream)) = timeout(CONNECT_WITHIN, connecting).await {
            let mut line = Line::new(devices, stream, PING_EVERY);
            // Why it broke is told by those who publish there.
            let _broke = line.listen(&voice, &mut said, &mut under_way).await;
        }
        sleep(AGAIN_AFTER).await;
    }
}

/// What a device says: its name, and that.
type Said = (String, String);

/// A connection that was let in.
struct Line<'a, S> {
    devices: &'a Devices,
    stream: S,
    inbox: BytesMut,
    out: BytesMut,
    packet_id: u16,
    ping_every: Duration,
    is_asked: bool,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Line<'a, S> {
    fn new(devices: &'a Devices, stream: S, ping_every: Duration) -> Self {
        Self {
            devices,
            stream,
            inbox: BytesMut::new(),
            out: BytesMut::new(),
            packet_id: 1,
            ping_every,
            is_asked: false,
        }
    }

    /// Hears what comes for each device, and says what they say, until the connection breaks.
    ///
    /// # Errors
    /// Why it broke.
    async fn listen(
        &mut self,
        voice: &OverMqtt,
        said: &mut mpsc::Receiver<Said>,
        under_way: &mut JoinSet<()>,
    ) -> Result<Infallible, LinkError> {
        let devices = self.devices;
        for name in devices.names.iter() {
            let mut subscribe = Subscribe::new(format!("{COMMANDS}{name}"), QoS::AtLeastOnce);
            subscribe.pkid = self.packet_id;
            self.packet_id = after(self.packet_id);
            subscribe.write(&mut self.out)?;
        }
        let mut ping = interval_at(Instant::now() + self.ping_every, self.ping_every);
        let mut is_flushed = true;
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        loop {
            tokio::select! {
                // These are cancel safe: nothing is read, written or taken when another wins.
                read = reader.read_buf(&mut self.inbox) => {
                    if read? == 0 {
                        return Err(LinkError::Closed);
                    }
                    while let Some(packet) = next(&mut self.inbox)? {
                        match packet {
                            Packet::Publish(publish) => {
                                if publish.qos == QoS::AtLeastOnce {
                                    PubAck::new(publish.pkid).write(&mut self.out)?;
                                }
                                if let Some(device) = publish.topic.strip_prefix(COMMANDS) {
                                    let voice = voice.clone();
                                    devices.hear(device, &publish.payload, voice, under_way);
                                }
                            }
                            Packet::PingResp => self.is_asked = false,
                            Packet::SubAck(_) | Packet::PubAck(_) => {}
                            other => return Err(LinkError::Protocol(format!("{other:?}"))),
                        }
                    }
                }
                written = write_on(&mut writer, &mut self.out, &mut is_flushed),
                    if !self.out.is_empty() || !is_flushed => written?,
                Some((device, what)) = said.recv(), if self.out.len() < OUT_BYTES_MAX => {
                    let topic = format!("{FEEDBACK}{device}");
                    let mut publish = Publish::new(topic, QoS::AtLeastOnce, what);
                    publish.pkid = self.packet_id;
                    self.packet_id = after(self.packet_id);
                    publish.write(&mut self.out)?;
                }
                _ = ping.tick() => {
                    if self.is_asked {
                        return Err(LinkError::PingTimeout);
                    }
                    PingReq.write(&mut self.out)?;
                    self.is_asked = true;
                }
            }
        }
    }
}

/// The next packet, if it is whole.
fn next(inbox: &mut BytesMut) -> Result<Option<Packet>, LinkError> {
    match Packet::read(inbox, PACKET_BYTES_MAX) {
        Ok(packet) => Ok(Some(packet)),
        Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[derive(Clone)]
struct OverMqtt(mpsc::Sender<Said>);

impl Voice for OverMqtt {
    async fn say(&self, device: &str, what: String) -> bool {
        self.0.send((device.to_owned(), what)).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ioc_core::time::Timestamp;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::access::Access;
    use crate::args::Broker;

    const WITHIN: Duration = Duration::from_secs(60);

    fn devices() -> Devices {
        Devices {
            at: Broker::Mqtt("mqtts://127.0.0.1".parse().unwrap()),
            access: Access::default(),
            names: Arc::from(["gate-7".to_owned()]),
            origin: Timestamp::from_millis(1_773_470_710_000),
            speed: 1000.0,
            began: Instant::now(),
        }
    }

    async fn heard(broker: &mut DuplexStream, inbox: &mut BytesMut) -> Packet {
        loop {
            if let Some(packet) = next(inbox).unwrap() {
                return packet;
            }
            let read = timeout(WITHIN, broker.read_buf(inbox)).await.unwrap();
            assert_ne!(read.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn a_device_acknowledges_an_order_and_says_what_it_does() {
        let (ours, mut broker) = duplex(64 << 10);
        let devices = devices();
        let (say, mut said) = mpsc::channel(WAITING_MAX);
        let (voice, mut under_way) = (OverMqtt(say), JoinSet::new());
        let mut line = Line::new(&devices, ours, WITHIN);
        let talk = async {
            let mut inbox = BytesMut::new();
            let Packet::Subscribe(subscribe) = heard(&mut broker, &mut inbox).await else {
                panic!("it subscribes first");
            };
            assert_eq!(subscribe.filters[0].path, "ioc/v1/commands/gate-7");
            let order = r#"{"key":"c-1","command":"close","not_after":"2126-03-14T07:04:22Z"}"#;
            let mut publish =
                Publish::new("ioc/v1/commands/gate-7", QoS::AtLeastOnce, order.as_bytes());
            publish.pkid = 9;
            let mut out = BytesMut::new();
            publish.write(&mut out).unwrap();
            broker.write_all_buf(&mut out).await.unwrap();
            let mut said = Vec::new();
            while said.len() < 3 {
                said.push(match heard(&mut broker, &mut inbox).await {
                    Packet::PubAck(ack) => format!("acknowledged {}", ack.pkid),
                    Packet::Publish(publish) => {
                        assert_eq!(publish.topic, "ioc/v1/feedback/gate-7");
                        String::from_utf8_lossy(&publish.payload).into_owned()
                    }
                    other => panic!("{other:?}"),
                });
            }
            said
        };
        let said = tokio::select! {
            said = talk => said,
            broke = line.listen(&voice, &mut said, &mut under_way) => panic!("{broke:?}"),
        };
        assert_eq!(said[0], "acknowledged 9");
        assert!(
            said[1].contains("accepted") && said[2].contains("done"),
            "{said:?}"
        );
    }

    #[test]
    fn p5_a_command_beyond_the_bound_is_not_waited_for() {
        let mut longest = BytesMut::from(&[0x30, 0xff, 0xff, 0x03][..]);
        assert!(next(&mut longest).unwrap().is_none(), "it may come");
        let mut longer = BytesMut::from(&[0x30, 0x81, 0x80, 0x04][..]);
        assert!(next(&mut longer).is_err());
    }

    #[tokio::test]
    async fn a_broker_that_does_not_answer_is_left() {
        let (ours, _broker) = duplex(64 << 10);
        let devices = devices();
        let (say, mut said) = mpsc::channel(WAITING_MAX);
        let mut line = Line::new(&devices, ours, Duration::from_millis(20));
        let (voice, mut under_way) = (OverMqtt(say), JoinSet::new());
        let listening = line.listen(&voice, &mut said, &mut under_way);
        let left = timeout(WITHIN, listening).await.unwrap();
        assert!(matches!(left, Err(LinkError::PingTimeout)), "{left:?}");
    }
}
