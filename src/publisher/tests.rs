use ioc_gateway::brokers::TlsOptions;
use tokio::net::TcpListener;

use super::*;

fn publisher(quality: Quality, inflight_max: u16) -> Publisher {
    let options = PublisherOptions {
        address: "127.0.0.1:1883".parse().unwrap(),
        client_id: "test".into(),
        access: Access::default(),
        quality,
        inflight_max,
        patience: None,
    };
    Publisher::new(options, Arc::default(), Arc::new(|_| {}))
}

fn messages(count: usize) -> Option<Vec<Message>> {
    let message = |_| Message {
        topic: "t".into(),
        payload: "p".into(),
        due: None,
    };
    Some((0..count).map(message).collect())
}

fn packet_ids(out: &mut BytesMut) -> Vec<(u16, bool)> {
    let mut found = Vec::new();
    while let Ok(Packet::Publish(publish)) = Packet::read(out, PACKET_BYTES_MAX) {
        found.push((publish.pkid, publish.dup));
    }
    found
}

#[test]
fn no_more_is_in_flight_than_allowed() {
    let mut publisher = publisher(Quality::AtLeastOnce, 3);
    publisher.take_batch(messages(5));
    publisher.fill_out();
    assert_eq!(
        packet_ids(&mut publisher.out),
        [(1, false), (2, false), (3, false)]
    );
    publisher.take_ack(1, Instant::now()).unwrap();
    publisher.fill_out();
    assert_eq!(packet_ids(&mut publisher.out), [(4, false)]);
    assert_eq!(publisher.tally.acknowledged(), 1);
}

#[test]
fn what_was_not_acknowledged_is_published_again_in_order() {
    let mut publisher = publisher(Quality::AtLeastOnce, 10);
    publisher.take_batch(messages(4));
    publisher.fill_out();
    publisher.take_ack(1, Instant::now()).unwrap();
    publisher.out.clear();
    publisher.publish_again();
    assert_eq!(
        packet_ids(&mut publisher.out),
        [(2, true), (3, true), (4, true)]
    );
    assert_eq!((publisher.tally.sent(), publisher.tally.resent()), (4, 3));
}

#[test]
fn acknowledgements_may_come_in_any_order_and_twice() {
    let mut publisher = publisher(Quality::AtLeastOnce, 10);
    publisher.next_packet_id = u16::MAX - 1;
    publisher.take_batch(messages(4));
    publisher.fill_out();
    for packet_id in [1, u16::MAX, 1, u16::MAX - 1, 2] {
        publisher.take_ack(packet_id, Instant::now()).unwrap();
    }
    assert!(publisher.inflight.is_empty());
    assert_eq!(publisher.tally.acknowledged(), 4);
    assert!(publisher.take_ack(3, Instant::now()).is_err());
}

#[test]
fn without_acknowledgement_what_a_broken_connection_held_is_counted_as_lost() {
    let mut publisher = publisher(Quality::AtMostOnce, 1);
    publisher.take_batch(messages(2));
    publisher.fill_out();
    assert_eq!(packet_ids(&mut publisher.out), [(0, false), (0, false)]);
    publisher.link_broke();
    publisher.take_batch(messages(3));
    publisher.fill_out();
    publisher.out.clear();
    publisher.count_written();
    assert_eq!((publisher.tally.sent(), publisher.tally.lost()), (3, 2));
}

/// The broker's end of one connection, after CONNECT and CONNACK.
struct Broker {
    stream: TcpStream,
    inbox: BytesMut,
}

impl Broker {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        let mut broker = Self {
            stream,
            inbox: BytesMut::new(),
        };
        assert!(matches!(broker.hear().await, Some(Packet::Connect(_))));
        broker
            .say(&Packet::ConnAck(ConnAck::new(
                ConnectReturnCode::Success,
                false,
            )))
            .await;
        broker
    }

    async fn hear(&mut self) -> Option<Packet> {
        loop {
            match Packet::read(&mut self.inbox, PACKET_BYTES_MAX) {
                Ok(packet) => return Some(packet),
                Err(mqttbytes::Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("{error}"),
            }
            if self.stream.read_buf(&mut self.inbox).await.unwrap() == 0 {
                return None;
            }
        }
    }

    async fn say(&mut self, packet: &Packet) {
        let mut out = BytesMut::new();
        packet.write(&mut out, PACKET_BYTES_MAX).unwrap();
        self.stream.write_all(&out).await.unwrap();
    }

    /// Hears so many messages, and acknowledges the first of them.
    async fn hear_messages(&mut self, count: usize, acknowledged: usize) -> Vec<String> {
        let mut heard = Vec::new();
        for place in 0..count {
            let Some(Packet::Publish(publish)) = self.hear().await else {
                panic!("expected a PUBLISH");
            };
            heard.push(String::from_utf8(publish.payload.to_vec()).unwrap());
            if place < acknowledged {
                self.say(&Packet::PubAck(rumqttc::PubAck::new(publish.pkid)))
                    .await;
            }
        }
        heard
    }
}

async fn listening(quality: Quality) -> (TcpListener, Publisher) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut publisher = publisher(quality, 100);
    publisher.options.address = listener.local_addr().unwrap().to_string().parse().unwrap();
    publisher.persistence.patience = Some(Duration::from_secs(30));
    (listener, publisher)
}

fn numbered(count: usize) -> mpsc::Receiver<Vec<Message>> {
    let (sender, receiver) = mpsc::channel(1);
    let message = |n: usize| Message {
        topic: "t".into(),
        payload: n.to_string().into(),
        due: None,
    };
    sender.try_send((0..count).map(message).collect()).unwrap();
    receiver
}

#[tokio::test]
async fn a_broker_that_goes_away_costs_no_message() {
    let (listener, publisher) = listening(Quality::AtLeastOnce).await;
    let tally = Arc::clone(&publisher.tally);
    let broker = async {
        let mut broker = Broker::accept(&listener).await;
        assert_eq!(broker.hear_messages(5, 2).await, ["0", "1", "2", "3", "4"]);
        drop(broker);
        let mut broker = Broker::accept(&listener).await;
        assert_eq!(broker.hear_messages(3, 3).await, ["2", "3", "4"]);
        assert_eq!(broker.hear().await, Some(Packet::Disconnect));
    };
    let (ended, ()) = tokio::join!(publisher.run(numbered(5)), broker);
    assert!(ended.is_ok());
    assert_eq!(
        (tally.sent(), tally.acknowledged(), tally.resent()),
        (5, 5, 3)
    );
}

#[tokio::test]
async fn a_wrong_password_is_told_at_once() {
    let (listener, publisher) = listening(Quality::AtLeastOnce).await;
    let broker = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut broker = Broker {
            stream,
            inbox: BytesMut::new(),
        };
        broker.hear().await;
        let refusal = ConnAck::new(ConnectReturnCode::BadUserNamePassword, false);
        broker.say(&Packet::ConnAck(refusal)).await;
    };
    let (ended, ()) = tokio::join!(publisher.run(numbered(1)), broker);
    let error = ended.unwrap_err();
    assert!(error.source.to_string().contains("password is wrong"));
}

#[tokio::test]
async fn patience_ends_where_nothing_is_acknowledged() {
    let (listener, mut publisher) = listening(Quality::AtLeastOnce).await;
    publisher.persistence.patience = Some(Duration::from_millis(1));
    let broker = async {
        let mut broker = Broker::accept(&listener).await;
        broker.hear_messages(2, 0).await;
        broker.hear().await
    };
    let (ended, _) = tokio::join!(publisher.run(numbered(2)), broker);
    let error = ended.unwrap_err();
    assert_eq!(error.waiting, 2);
    assert!(matches!(error.source, LinkError::Stalled));
}

#[tokio::test]
async fn without_acknowledgements_it_ends_when_all_is_written() {
    let (listener, publisher) = listening(Quality::AtMostOnce).await;
    let tally = Arc::clone(&publisher.tally);
    let broker = async {
        let mut broker = Broker::accept(&listener).await;
        assert_eq!(broker.hear_messages(3, 0).await, ["0", "1", "2"]);
        assert_eq!(broker.hear().await, Some(Packet::Disconnect));
    };
    let (ended, ()) = tokio::join!(publisher.run(numbered(3)), broker);
    assert!(ended.is_ok());
    assert_eq!((tally.sent(), tally.lost()), (3, 0));
}

#[tokio::test]
async fn what_does_not_speak_mqtt_is_named_and_not_asked_again() {
    let (listener, publisher) = listening(Quality::AtLeastOnce).await;
    let web_server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        stream
    };
    let address = publisher.options.address.0.clone();
    let (ended, _) = tokio::join!(publisher.run(numbered(1)), web_server);
    assert_eq!(
        ended.unwrap_err().source.to_string(),
        format!("{address} does not speak MQTT; it speaks HTTP")
    );
}

#[tokio::test]
async fn a_connection_that_breaks_within_the_handshake_of_tls_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let ca_file = dir.path().join("ca.pem");
    std::fs::write(&ca_file, params.self_signed(&key).unwrap().pem()).unwrap();
    let (listener, mut publisher) = listening(Quality::AtLeastOnce).await;
    publisher.options.access.tls = Some(TlsOptions {
        ca_file: Some(ca_file),
        ..TlsOptions::default()
    });
    let broken = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = Arc::clone(&broken);
    let on_link = move |event: &LinkEvent<'_>| noted.lock().unwrap().push(event.to_string());
    let address = publisher.options.address.0.clone();
    let patience = Some(Duration::from_secs(30));
    publisher.persistence = Persistence::new(address, patience, Arc::new(on_link));
    let proxy = async {
        // It is there, and its broker is not.
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_ne!(stream.read_u8().await.unwrap(), 0);
        drop(stream);
        drop(listener.accept().await.unwrap());
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        stream
    };
    let (ended, _) = tokio::join!(publisher.run(numbered(1)), proxy);
    let source = ended.unwrap_err().source;
    assert!(matches!(source, LinkError::Tls(_)), "{source}");
    let broken = broken.lock().unwrap();
    assert_eq!(broken.len(), 2, "{broken:?}");
    let told = |event: &String| event.contains("within the handshake of TLS");
    assert!(broken.iter().all(told), "{broken:?}");
}

#[test]
fn whether_the_server_was_started_is_asked_once_after_the_first_retry() {
    let mut absence = Absence::default();
    let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    let reset = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let attempts = [&refused, &reset, &refused, &refused, &refused];
    let asked = attempts.map(|error| absence.hint(error).is_some());
    assert_eq!(asked, [false, false, true, false, false]);
}

#[test]
fn p5_no_more_is_encoded_than_the_bound_and_a_message() {
    let mut publisher = publisher(Quality::AtMostOnce, u16::MAX);
    let mut messages = messages(100).unwrap();
    for message in &mut messages {
        message.payload = vec![b'x'; 4096].into();
    }
    publisher.take_batch(Some(messages));
    publisher.fill_out();
    let out = publisher.out.len();
    assert!(
        (OUT_BYTES_MAX..OUT_BYTES_MAX + 5000).contains(&out),
        "{out}"
    );
    assert!(!publisher.ready.is_empty());
}

#[test]
fn p5_a_packet_beyond_the_bound_ends_the_connection() {
    let mut publisher = publisher(Quality::AtLeastOnce, 1);
    // A PUBACK that says that it is longer than any.
    let mut inbox = BytesMut::from(&b"\x40\xff\xff\x7f"[..]);
    assert!(publisher.take_packets(&mut inbox).is_err());
}
