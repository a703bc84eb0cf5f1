//! Version 5: the same against the standard and the other implementation, with properties.

use mqtt_protocol_core::mqtt::packet::v5_0 as oracle;
use mqtt_protocol_core::mqtt::packet::{
    AuthenticationData, AuthenticationMethod, ContentType, CorrelationData, MaximumPacketSize,
    MessageExpiryInterval, PayloadFormat, PayloadFormatIndicator, Property, ReasonString,
    ReceiveMaximum, RequestProblemInformation, RequestResponseInformation, ResponseTopic,
    RetainHandling, SessionExpiryInterval, SubEntry, SubOpts, SubscriptionIdentifier, TopicAlias,
    TopicAliasMaximum, UserProperty, WillDelayInterval,
};
use mqtt_protocol_core::mqtt::result_code::{
    DisconnectReasonCode, PubackReasonCode, PubcompReasonCode, PubrecReasonCode,
};

use super::*;

fn decode(bytes: &[u8]) -> Result<Packet<'_>, Malformed> {
    decode_as(Version::V5, bytes)
}

pub(super) fn limits() -> Limits<'static> {
    Limits {
        receive_max: 100,
        packet_bytes_max: 0x1_0000,
        topic_alias_max: 64,
        assigned_client_id: None,
        keep_alive_s: None,
        ends_session: false,
    }
}

#[test]
fn what_the_standard_forbids_is_malformed() {
    for (bytes, expected) in [
        (&b"\x00\x00"[..], Malformed::PacketType),
        (b"\xf1\x00", Malformed::Flags),
        (b"\x30\x00", Malformed::Length),
        (b"\x30\x02\0\0", Malformed::Length),
        (b"\x30\x03\0\0\0", Malformed::TopicMissing),
        (b"\x30\x06\0\x03a/+\0", Malformed::Topic),
        (b"\x36\x06\0\x01a\0\x01\0", Malformed::Qos),
        (b"\x38\x04\0\x01a\0", Malformed::Qos),
        (b"\x32\x06\0\x01a\0\0\0", Malformed::PacketId),
        // A property length that is too long, longer than the packet, not the shortest.
        (b"\x30\x07\0\x01a\x80\x80\x80\x80", Malformed::Integer),
        (b"\x30\x04\0\x01a\x05", Malformed::Length),
        (b"\x30\x05\0\x01a\x80\0", Malformed::Integer),
        // A property that is unknown, of CONNECT, only a server's, there twice, cut.
        (b"\x30\x06\0\x01a\x02\x7f\0", Malformed::Property),
        (b"\x30\x06\0\x01a\x02\xff\0", Malformed::Property),
        (b"\x30\x07\0\x01a\x03\x21\0\x01", Malformed::Property),
        (b"\x30\x06\0\x01a\x02\x0b\x01", Malformed::SubscriptionId),
        (
            b"\x30\x08\0\x01a\x04\x01\0\x01\0",
            Malformed::PropertyRepeated,
        ),
        (b"\x30\x06\0\x01a\x02\x23\0", Malformed::Length),
        // Values: payload format 2, a response topic with wildcards or without a character.
        (b"\x30\x06\0\x01a\x02\x01\x02", Malformed::PropertyValue),
        (b"\x30\x08\0\x01a\x04\x08\0\x01#", Malformed::Topic),
        (b"\x30\x07\0\x01a\x03\x08\0\0", Malformed::Topic),
        (b"\x40\x02\0\0", Malformed::PacketId),
        (b"\x40\x05\0\x01\0\0x", Malformed::Length),
        (b"\x62\x06\0\x01\0\x02\x01\0", Malformed::Property),
        (b"\x82\x03\0\x01\0", Malformed::NoFilter),
        (b"\x82\x07\0\x01\0\0\x01a\x03", Malformed::Qos),
        (
            b"\x82\x07\0\x01\0\0\x01a\x40",
            Malformed::SubscriptionOptions,
        ),
        (
            b"\x82\x07\0\x01\0\0\x01a\x30",
            Malformed::SubscriptionForbidden,
        ),
        (
            b"\x82\x10\0\x01\0\0\x0a$share/g/a\x04",
            Malformed::SubscriptionForbidden,
        ),
        (
            b"\x82\x09\0\x01\x02\x0b\0\0\x01a\0",
            Malformed::PropertyValue,
        ),
        (b"\xa2\x03\0\x01\0", Malformed::NoFilter),
        (b"\xa2\x08\0\x01\x02\x0b\x01\0\x01a", Malformed::Property),
        (b"\xe0\x02\0\x05", Malformed::Length),
        (b"\xe0\x05\0\x03\x1c\0\0", Malformed::Property),
        (b"\xc0\x01\0", Malformed::Length),
        // CONNECT: no property length, receive maximum 0, packet size 0, problem 2, data alone.
        (b"\x10\x0a\0\x04MQTT\x05\x02\0\0", Malformed::Length),
        (
            b"\x10\x10\0\x04MQTT\x05\x02\0\0\x03\x21\0\0\0\0",
            Malformed::PropertyValue,
        ),
        (
            b"\x10\x12\0\x04MQTT\x05\x02\0\0\x05\x27\0\0\0\0\0\0",
            Malformed::PropertyValue,
        ),
        (
            b"\x10\x0f\0\x04MQTT\x05\x02\0\0\x02\x17\x02\0\0",
            Malformed::PropertyValue,
        ),
        (
            b"\x10\x10\0\x04MQTT\x05\x02\0\0\x03\x16\0\0\0\0",
            Malformed::PropertyValue,
        ),
        (
            b"\x10\x0d\0\x04MQTT\x05\x03\0\0\0\0\0",
            Malformed::ConnectFlags,
        ),
    ] {
        assert_eq!(decode(bytes), Err(expected), "{}", bytes.escape_ascii());
        assert!(matches!(expected.code(), 0x80..));
    }
}

#[test]
fn a_password_may_be_alone() {
    let bytes = b"\x10\x13\0\x04MQTT\x05\x42\0\0\0\0\x01c\0\x03abc";
    let Ok(Packet::Connect(connect)) = decode(bytes) else {
        panic!("it is allowed in version 5");
    };
    assert_eq!((connect.user, connect.password), (None, Some(&b"abc"[..])));
}

#[test]
fn what_may_be_left_out_is_left_out() {
    for bytes in [
        &b"\x40\x02\0\x01"[..],
        b"\x40\x03\0\x01\x10",
        b"\x40\x04\0\x01\x10\0",
    ] {
        let answer = Answer {
            kind: AnswerKind::Acknowledged,
            packet_id: 1,
            code: bytes.get(4).copied().unwrap_or_default(),
        };
        assert_eq!(decode(bytes), Ok(Packet::Answer(answer)));
    }
    for (bytes, code) in [
        (&b"\xe0\0"[..], 0),
        (b"\xe0\x01\x04", 4),
        (b"\xe0\x02\x81\0", 0x81),
    ] {
        assert_eq!(decode(bytes), Ok(Packet::Disconnect { code }));
    }
}

fn user() -> impl Strategy<Value = Property> {
    ("[a-zü]{0,9}", "[a-zü]{0,9}")
        .prop_map(|(key, value)| Property::UserProperty(UserProperty::new(key, value).unwrap()))
}

/// What a message may have, once each; the alias is added by itself.
fn publish_properties() -> impl Strategy<Value = Vec<Property>> {
    let each = (
        any::<bool>(),
        any::<u32>(),
        "[a-z]{1,9}/[a-z]{0,9}",
        proptest::collection::vec(any::<u8>(), 0..20),
        "[a-z/]{0,20}",
    );
    let each = each.prop_map(|(is_text, expiry, response, correlation, content)| {
        let format = match is_text {
            true => PayloadFormat::String,
            false => PayloadFormat::Binary,
        };
        vec![
            Property::PayloadFormatIndicator(PayloadFormatIndicator::new(format).unwrap()),
            Property::MessageExpiryInterval(MessageExpiryInterval::new(expiry).unwrap()),
            Property::ResponseTopic(ResponseTopic::new(response).unwrap()),
            Property::CorrelationData(CorrelationData::new(correlation).unwrap()),
            Property::ContentType(ContentType::new(content).unwrap()),
        ]
    });
    some_of(each)
}

/// Some of these, and properties of the user's, in any order.
fn some_of(each: impl Strategy<Value = Vec<Property>>) -> impl Strategy<Value = Vec<Property>> {
    let users = proptest::collection::vec(user(), 0..3);
    (each, users).prop_flat_map(|(mut each, users)| {
        each.extend(users);
        let count = each.len();
        proptest::sample::subsequence(each, 0..=count).prop_shuffle()
    })
}

fn connect_properties() -> impl Strategy<Value = Vec<Property>> {
    let each = (
        any::<u32>(),
        1_u16..,
        1_u32..,
        any::<u16>(),
        0_u8..2,
        0_u8..2,
    );
    let each = each.prop_map(|(expiry, receive, packet, aliases, response, problem)| {
        vec![
            Property::SessionExpiryInterval(SessionExpiryInterval::new(expiry).unwrap()),
            Property::ReceiveMaximum(ReceiveMaximum::new(receive).unwrap()),
            Property::MaximumPacketSize(MaximumPacketSize::new(packet).unwrap()),
            Property::TopicAliasMaximum(TopicAliasMaximum::new(aliases).unwrap()),
            Property::RequestResponseInformation(
                RequestResponseInformation::new(response).unwrap(),
            ),
            Property::RequestProblemInformation(RequestProblemInformation::new(problem).unwrap()),
        ]
    });
    some_of(each)
}

fn expected_properties(properties: &[Property]) -> ConnectProperties<'_> {
    let mut expected = ConnectProperties::default();
    for property in properties {
        match property {
            Property::SessionExpiryInterval(seconds) => expected.session_expiry_s = seconds.val(),
            Property::ReceiveMaximum(max) => expected.receive_max = max.val(),
            Property::MaximumPacketSize(bytes) => expected.packet_bytes_max = bytes.val(),
            Property::RequestProblemInformation(wants) => {
                expected.wants_problems = wants.val() == 1;
            }
            Property::AuthenticationMethod(method) => expected.auth_method = Some(method.val()),
            _ => {}
        }
    }
    expected
}

fn publish_by_oracle(
    publish: &AnyPublish,
    alias: Option<u16>,
    has_topic: bool,
    mut properties: Vec<Property>,
) -> Vec<u8> {
    if let Some(alias) = alias {
        properties.push(Property::TopicAlias(TopicAlias::new(alias).unwrap()));
    }
    let topic = if has_topic { &publish.topic[..] } else { "" };
    let mut builder = oracle::Publish::builder()
        .topic_name(topic)
        .unwrap()
        .qos(publish.qos)
        .dup(publish.duplicate)
        .retain(publish.retain)
        .payload(publish.payload.clone())
        .props(properties);
    if publish.qos != OracleQos::AtMostOnce {
        builder = builder.packet_id(publish.packet_id);
    }
    builder.build().unwrap().to_continuous_buffer()
}

fn connect_by_oracle(connect: &AnyConnect, properties: Vec<Property>) -> Vec<u8> {
    let mut builder = oracle::Connect::builder()
        .client_id(connect.client_id.as_str())
        .unwrap()
        .clean_start(connect.clean_session)
        .keep_alive(connect.keep_alive_s)
        .props(properties);
    if let Some((topic, message, qos, retain)) = &connect.will {
        let delay = WillDelayInterval::new(u32::from(connect.keep_alive_s)).unwrap();
        let (topic, message) = (topic.as_str(), message.clone());
        builder = builder.will_message(topic, message, *qos, *retain).unwrap();
        let content = ContentType::new("text/plain").unwrap();
        builder = builder.will_props(vec![
            Property::WillDelayInterval(delay),
            Property::ContentType(content),
        ]);
    }
    if let Some(user) = &connect.user {
        builder = builder.user_name(user.as_str()).unwrap();
    }
    if let Some(password) = &connect.password {
        builder = builder.password(password.clone()).unwrap();
    }
    builder.build().unwrap().to_continuous_buffer()
}

fn options() -> impl Strategy<Value = SubOpts> {
    let handling = prop_oneof![
        Just(RetainHandling::SendRetained),
        Just(RetainHandling::SendRetainedIfNotExists),
        Just(RetainHandling::DoNotSendRetained),
    ];
    (qos(), any::<bool>(), any::<bool>(), handling).prop_map(|(qos, local, published, handling)| {
        SubOpts::new()
            .set_qos(qos)
            .set_nl(local)
            .set_rap(published)
            .set_rh(handling)
    })
}

fn subscribe_by_oracle(
    packet_id: u16,
    filters: &[(String, SubOpts)],
    properties: Vec<Property>,
) -> Vec<u8> {
    let entry =
        |(filter, options): &(String, SubOpts)| SubEntry::new(filter.as_str(), *options).unwrap();
    let builder = oracle::Subscribe::builder().packet_id(packet_id);
    let builder = builder.entries(filters.iter().map(entry).collect::<Vec<_>>());
    let packet = builder.props(properties).build().unwrap();
    packet.to_continuous_buffer()
}

/// Whether the oracle takes the packet, which ours took, for the same.
fn agrees(first: u8, body: &[u8], ours: &Packet<'_>) -> bool {
    match ours {
        Packet::Publish(own) => match oracle::Publish::parse(first & 0x0f, body.into()) {
            Ok((theirs, _)) => {
                own.topic == theirs.topic_name() && own.payload == theirs.payload().as_slice()
            }
            // It does not read on behind an alias of 0, which ours leaves to the session.
            Err(_) => own.topic_alias == Some(0),
        },
        Packet::Connect(own) if own.version == Version::V311 => super::agrees(first, body, ours),
        Packet::Connect(own) => match oracle::Connect::parse(body) {
            Ok((theirs, _)) => {
                own.client_id == theirs.client_id()
                    && own.user == theirs.user_name()
                    && own.password == theirs.password()
                    && own.will.map(|will| will.topic) == theirs.will_topic()
                    && own.properties == expected_properties(theirs.props())
            }
            // It refuses a password without a user.
            Err(_) => own.user.is_none() && own.password.is_some(),
        },
        Packet::Subscribe(own) => match oracle::Subscribe::parse(body) {
            Ok((theirs, _)) => {
                let entries = theirs.entries().iter().map(SubEntry::topic_filter);
                own.filters().map(|wanted| wanted.filter).eq(entries)
            }
            Err(_) => false,
        },
        Packet::Unsubscribe(own) => match oracle::Unsubscribe::parse(body) {
            Ok((theirs, _)) => own
                .filters()
                .map(|wanted| wanted.filter)
                .eq(theirs.entries().iter().map(|e| e.as_str())),
            Err(_) => false,
        },
        Packet::ConnectOtherVersion { .. } => oracle::Connect::parse(body).is_err(),
        Packet::Answer(_) | Packet::PingReq | Packet::Disconnect { .. } | Packet::Auth => true,
    }
}

proptest! {
    #[test]
    fn their_publish_is_ours(
        publish in any_publish(),
        alias in proptest::option::of(1_u16..),
        has_topic: bool,
        properties in publish_properties(),
    ) {
        let has_topic = has_topic || alias.is_none();
        let content_type = properties.iter().find_map(|property| match property {
            Property::ContentType(content) => Some(content.val().to_owned()),
            _ => None,
        });
        let bytes = publish_by_oracle(&publish, alias, has_topic, properties);
        let expected = Publish {
            topic: if has_topic { &publish.topic } else { "" },
            topic_alias: alias,
            content_type: content_type.as_deref(),
            event_properties: b"",
            ..publish.expected()
        };
        prop_assert_eq!(decode(&bytes), Ok(Packet::Publish(expected)));
    }

    #[test]
    fn our_publish_is_theirs(
        topic in topic(),
        payload: Vec<u8>,
        packet_id in proptest::option::of(1_u16..),
        expires_in_s: Option<u32>,
        is_text: bool,
        content_type in proptest::option::of("[a-z/]{0,200}"),
    ) {
        let mut own = BytesMut::new();
        let placed = put_message(&mut own, Version::V5, &Outgoing {
            topic: &topic,
            payload: &payload,
            content_type: content_type.as_deref(),
            is_text,
            expires_in_s,
            packet_id,
        });
        let Ok(Split::Frame(frame, _)) = split(&own, PACKET_BYTES_MAX) else {
            return Err(TestCaseError::fail("ours is no packet"));
        };
        let (theirs, _) = oracle::Publish::parse(own[0] & 0x0f, frame.body.into()).unwrap();
        prop_assert_eq!(&theirs.to_continuous_buffer()[..], &own[..]);
        prop_assert_eq!(theirs.topic_name(), topic);
        prop_assert_eq!(theirs.packet_id(), packet_id);
        prop_assert_eq!(theirs.payload().as_slice(), &payload[..]);
        let mut expected = Vec::new();
        if is_text {
            let format = PayloadFormatIndicator::new(PayloadFormat::String).unwrap();
            expected.push(Property::PayloadFormatIndicator(format));
        }
        expected.extend(expires_in_s.map(|seconds| {
            Property::MessageExpiryInterval(MessageExpiryInterval::new(seconds).unwrap())
        }));
        expected.extend(content_type.map(|text| {
            Property::ContentType(ContentType::new(text).unwrap())
        }));
        prop_assert_eq!(theirs.props(), &expected);
        if let Some(packet_id) = packet_id {
            let placed = &own[placed.unwrap()..];
            prop_assert!(placed.starts_with(&packet_id.to_be_bytes()));
        }
    }

    #[test]
    fn their_connect_is_ours(
        connect in any_connect(),
        mut properties in connect_properties(),
        method in proptest::option::of("[A-Z]{1,9}"),
    ) {
        if let Some(method) = method {
            let method = AuthenticationMethod::new(method).unwrap();
            let data = AuthenticationData::new(b"x".to_vec()).unwrap();
            properties.push(Property::AuthenticationMethod(method));
            properties.push(Property::AuthenticationData(data));
        }
        let bytes = connect_by_oracle(&connect, properties.clone());
        let expected = Connect {
            version: Version::V5,
            properties: expected_properties(&properties),
            will: connect.expected().will.map(|will| Will {
                delay_s: u32::from(connect.keep_alive_s),
                content_type: Some("text/plain"),
                event_properties: b"",
                ..will
            }),
            ..connect.expected()
        };
        prop_assert_eq!(decode(&bytes), Ok(Packet::Connect(expected)));
    }

    #[test]
    fn their_subscriptions_are_ours(
        packet_id in 1_u16..,
        filters in proptest::collection::vec((filter(), options()), 1..8),
        subscription in proptest::option::of(1_u32..=268_435_455),
        users in proptest::collection::vec(user(), 0..3),
    ) {
        let names: Vec<_> = filters.iter().map(|(filter, _)| filter.as_str()).collect();
        let mut properties = users.clone();
        properties.extend(subscription.map(|id| {
            Property::SubscriptionIdentifier(SubscriptionIdentifier::new(id).unwrap())
        }));
        match decode(&subscribe_by_oracle(packet_id, &filters, properties)) {
            Ok(Packet::Subscribe(own)) => {
                prop_assert_eq!(own.packet_id, packet_id);
                prop_assert_eq!(own.has_subscription_id, subscription.is_some());
                prop_assert_eq!(own.filters().map(|wanted| wanted.filter).collect::<Vec<_>>(), names.clone());
                for (own, (_, theirs)) in own.filters().zip(&filters) {
                    prop_assert_eq!(own.qos, theirs.qos() as u8);
                    prop_assert_eq!(own.retain_as_published, theirs.rap());
                    let handling = match theirs.rh() {
                        RetainHandling::SendRetained => crate::mqtt::codec::RetainHandling::Always,
                        RetainHandling::SendRetainedIfNotExists => {
                            crate::mqtt::codec::RetainHandling::IfNew
                        }
                        RetainHandling::DoNotSendRetained => {
                            crate::mqtt::codec::RetainHandling::Never
                        }
                    };
                    prop_assert_eq!(own.retain_handling, handling);
                }
            }
            other => prop_assert!(false, "{:?}", other),
        }
        let builder = oracle::Unsubscribe::builder().packet_id(packet_id).props(users);
        let packet = builder.entries(names.clone()).unwrap().build().unwrap();
        match decode(&packet.to_continuous_buffer()) {
            Ok(Packet::Unsubscribe(own)) => {
                prop_assert_eq!(own.packet_id, packet_id);
                prop_assert_eq!(own.filters().map(|wanted| wanted.filter).collect::<Vec<_>>(), names);
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn their_farewell_is_ours(reason in "[a-z ]{0,30}", users in proptest::collection::vec(user(), 0..3)) {
        let mut properties = users;
        properties.push(Property::ReasonString(ReasonString::new(reason).unwrap()));
        let packet = oracle::Disconnect::builder()
            .reason_code(DisconnectReasonCode::DisconnectWithWillMessage)
            .props(properties)
            .build()
            .unwrap();
        let bytes = packet.to_continuous_buffer();
        prop_assert_eq!(decode(&bytes), Ok(Packet::Disconnect { code: 4 }));
    }

    #[test]
    fn our_welcome_is_theirs(
        receive_max in 1_u16..,
        packet_bytes_max in 1_u32..,
        topic_alias_max: u16,
        assigned in proptest::option::of("[a-z0-9-]{1,200}"),
        keep_alive_s: Option<u16>,
        ends_session: bool,
    ) {
        let limits = Limits {
            receive_max,
            packet_bytes_max,
            topic_alias_max,
            assigned_client_id: assigned.as_deref(),
            keep_alive_s,
            ends_session,
        };
        let mut out = BytesMut::new();
        put_connack(&mut out, Version::V5, &limits);
        let Ok(Split::Frame(frame, length)) = split(&out, PACKET_BYTES_MAX) else {
            return Err(TestCaseError::fail("ours is no packet"));
        };
        prop_assert_eq!(length, out.len());
        let (theirs, _) = oracle::Connack::parse(frame.body).unwrap();
        prop_assert!(!theirs.session_present());
        let mut said = Vec::new();
        for property in theirs.props() {
            said.push(match property {
                Property::ReceiveMaximum(max) => max.val() == receive_max,
                Property::MaximumPacketSize(max) => max.val() == packet_bytes_max,
                Property::TopicAliasMaximum(max) => max.val() == topic_alias_max,
                Property::WildcardSubscriptionAvailable(is) => is.val() == 1,
                Property::SubscriptionIdentifierAvailable(is) => is.val() == 0,
                Property::SharedSubscriptionAvailable(is) => is.val() == 0,
                Property::AssignedClientIdentifier(id) => Some(id.val()) == assigned.as_deref(),
                Property::ServerKeepAlive(seconds) => Some(seconds.val()) == keep_alive_s,
                Property::SessionExpiryInterval(seconds) => ends_session && seconds.val() == 0,
                _ => false,
            });
        }
        let optional = [assigned.is_some(), keep_alive_s.is_some(), ends_session];
        let count = 6 + optional.iter().filter(|is_there| **is_there).count();
        prop_assert_eq!(said, vec![true; count]);
    }

    #[test]
    fn our_answers_are_theirs(packet_id in 1_u16.., count in 1_usize..200, wants: bool) {
        let mut out = BytesMut::new();
        put_answer(&mut out, AnswerKind::Acknowledged, packet_id);
        let (theirs, _) = oracle::Puback::parse(&out[2..]).unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);

        out.clear();
        put_answer(&mut out, AnswerKind::Received, packet_id);
        let (theirs, _) = oracle::Pubrec::parse(&out[2..]).unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);

        out.clear();
        let word = wants.then_some("unit_unknown");
        put_answer_refused(&mut out, AnswerKind::Received, packet_id, 0x99, word);
        let (theirs, _) = oracle::Pubrec::parse(&out[2..]).unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);
        prop_assert_eq!(theirs.reason_code(), Some(PubrecReasonCode::PayloadFormatInvalid));

        out.clear();
        put_answer(&mut out, AnswerKind::Completed, packet_id);
        let (theirs, _) = oracle::Pubcomp::parse(&out[2..]).unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);

        out.clear();
        put_completed_unknown(&mut out, packet_id);
        let (theirs, _) = oracle::Pubcomp::parse(&out[2..]).unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);
        prop_assert_eq!(theirs.reason_code(), Some(PubcompReasonCode::PacketIdentifierNotFound));

        out.clear();
        put_answer_refused(&mut out, AnswerKind::Acknowledged, packet_id, 0x99, wants.then_some("unit_unknown"));
        let (theirs, _) = oracle::Puback::parse(&out[2..]).unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);
        prop_assert_eq!(theirs.reason_code(), Some(PubackReasonCode::PayloadFormatInvalid));
        prop_assert_eq!(theirs.packet_id(), packet_id);

        out.clear();
        put_disconnect(&mut out, 0x93, wants.then_some("receive_max_exceeded"));
        let (theirs, _) = oracle::Disconnect::parse(&out[2..]).unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);
        prop_assert_eq!(theirs.reason_code(), Some(DisconnectReasonCode::ReceiveMaximumExceeded));

        let granted = [
            Granted::AtMostOnce,
            Granted::AtLeastOnce,
            Granted::NotAuthorized,
            Granted::FilterUnknown,
            Granted::FiltersMax,
            Granted::Shared,
            Granted::SubscriptionId,
        ];
        out.clear();
        let granted: Vec<_> = granted.into_iter().cycle().take(count).collect();
        put_suback(&mut out, Version::V5, packet_id, granted.into_iter());
        let body = out.len() - (3 + count);
        let (theirs, _) = oracle::Suback::parse(&out[body..]).unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);
        prop_assert_eq!(theirs.reason_codes().len(), count);

        out.clear();
        let removed = [Removed::Yes, Removed::WasNotThere];
        let removed: Vec<_> = removed.into_iter().cycle().take(count).collect();
        put_unsuback(&mut out, Version::V5, packet_id, removed.into_iter());
        let (theirs, _) = oracle::Unsuback::parse(&out[body..]).unwrap();
        prop_assert_eq!(&out[..], &theirs.to_continuous_buffer()[..]);
    }

    #[test]
    fn any_bytes_are_split_and_decoded_without_a_panic(bytes: Vec<u8>) {
        if let Ok(Split::Frame(frame, length)) = split(&bytes, PACKET_BYTES_MAX) {
            prop_assert!(length <= bytes.len());
            if let Ok(packet) = frame.decode(Version::V5) {
                prop_assert!(agrees(frame.first, frame.body, &packet), "{:?}", packet);
            }
        }
    }

    #[test]
    fn what_ours_takes_of_damaged_packets_theirs_takes_for_the_same(
        publish in any_publish(),
        alias in proptest::option::of(1_u16..),
        message in publish_properties(),
        connect in any_connect(),
        properties in connect_properties(),
        filters in proptest::collection::vec((filter(), options()), 1..4),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for mut bytes in [
            publish_by_oracle(&publish, alias, true, message),
            connect_by_oracle(&connect, properties),
            subscribe_by_oracle(7, &filters, Vec::new()),
        ] {
            for (place, byte) in &damages {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            let Ok(Split::Frame(frame, _)) = split(&bytes, PACKET_BYTES_MAX) else {
                continue;
            };
            if let Ok(packet) = frame.decode(Version::V5) {
                prop_assert!(agrees(frame.first, frame.body, &packet), "{:?}", packet);
            }
        }
    }
}

/// Codes are stable: integrators look them up.
#[test]
fn refusals_have_the_codes_of_section_3_2_2_2() {
    for (refusal, code) in [
        (Refusal::Version, 0x84),
        (Refusal::ClientId, 0x85),
        (Refusal::Credentials, 0x86),
        (Refusal::NotAuthorized, 0x87),
        (Refusal::ConnectionsMax, 0x89),
        (Refusal::AuthMethod, 0x8c),
        (Refusal::AnswerTooLong, 0x95),
        (Refusal::WillTooLong, 0x97),
        (Refusal::Malformed(Malformed::ConnectFlags), 0x81),
    ] {
        let mut out = BytesMut::new();
        put_refusal(&mut out, Version::V5, refusal);
        assert_eq!(out[..], [0x20, 3, 0, code, 0]);
        assert!(oracle::Connack::parse(&out[2..]).is_ok());
    }
}
