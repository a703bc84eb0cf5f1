use std::io::Read;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::Workspace;
use super::super::mapping::{Format, Names};
use super::super::protobuf::{put_bytes, put_varint};
use super::super::tests::{found, registered};
use super::*;
use crate::formats::ITEMS_MAX;

/// One connection, with what all know of the nodes.
struct Host {
    catalogue: Catalogue,
    workspace: Workspace,
}

impl Host {
    fn new() -> Self {
        let names = Names {
            sensors: [
                ("plant/pump-house/p1/Level".into(), "wl-0412".into()),
                ("plant/pump-house/p1".into(), "pump-1".into()),
            ]
            .into(),
            kinds: [
                ("Flow/Running".into(), "pump".into()),
                ("online".into(), "pump".into()),
            ]
            .into(),
            units: [("C".into(), "degC".into())].into(),
            words: [("ON".into(), 1.0)].into(),
        };
        Self {
            catalogue: registered("spBv1.0/#", Format::Sparkplug, names),
            workspace: Workspace::default(),
        }
    }

    /// What is found in a message, and whether the node is asked to be born again.
    fn hear(&mut self, topic: &str, payload: &[u8]) -> String {
        let message = Message {
            topic,
            payload,
            ..Message::default()
        };
        let mut lines = found(message, &self.catalogue, &mut self.workspace);
        while let Some(reply) = self.workspace.replies.pop() {
            assert_eq!(reply.payload, metric::rebirth(1_773_470_710_933));
            lines.push(format!("asked: {}", reply.topic));
        }
        lines.join("\n")
    }

    fn check(&mut self, topic: &str, payload: &[u8], expected: &Expect) {
        expected.assert_eq(&self.hear(topic, payload));
    }
}

#[derive(Default, Clone)]
struct Written(Vec<u8>);

impl Written {
    fn varint(mut self, field: u64, number: u64) -> Self {
        put_varint(&mut self.0, field, number);
        self
    }
    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        put_bytes(&mut self.0, field, bytes);
        self
    }
    fn float(mut self, field: u64, value: f32) -> Self {
        self.0.push((field << 3 | 5) as u8);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }
    fn double(mut self, field: u64, value: f64) -> Self {
        self.0.push((field << 3 | 1) as u8);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }
    fn name(self, name: &str) -> Self {
        self.bytes(1, name.as_bytes())
    }
    fn alias(self, alias: u64) -> Self {
        self.varint(2, alias)
    }
    fn at(self, millis: u64) -> Self {
        self.varint(3, millis)
    }
    fn datatype(self, datatype: u64) -> Self {
        self.varint(4, datatype)
    }
    fn property(self, name: &str, value: Self) -> Self {
        let Self(value) = value;
        let set = Self::default().bytes(1, name.as_bytes()).bytes(2, &value);
        self.bytes(9, &set.0)
    }
}

fn metric() -> Written {
    Written::default()
}

/// A payload of 06:45:10, with this number and these metrics.
fn payload(seq: u64, metrics: &[Written]) -> Vec<u8> {
    let mut payload = metric().varint(1, 1_773_470_710_000);
    for metric in metrics {
        payload = payload.bytes(2, &metric.0);
    }
    payload.varint(3, seq).0
}

fn session(number: u64) -> Written {
    metric().name("bdSeq").datatype(8).varint(11, number)
}

fn node_birth(number: u64) -> Vec<u8> {
    payload(
        0,
        &[
            session(number),
            metric()
                .name("Node Control/Rebirth")
                .datatype(11)
                .varint(14, 0),
            metric()
                .name("Temperature")
                .alias(1)
                .datatype(9)
                .property("engUnit", metric().varint(1, 12).bytes(8, b"C"))
                .float(12, 31.5),
            metric()
                .name("Properties/Make")
                .datatype(12)
                .bytes(15, b"ACME"),
        ],
    )
}

fn device_birth(seq: u64) -> Vec<u8> {
    payload(
        seq,
        &[
            metric()
                .name("Level")
                .alias(2)
                .datatype(10)
                .property("engUnit", metric().bytes(8, b"cm"))
                .double(13, 372.0),
            metric()
                .name("Flow/Running")
                .alias(3)
                .datatype(11)
                .varint(14, 1),
        ],
    )
}

const NODE: &str = "spBv1.0/plant/NBIRTH/pump-house";
const NODE_DATA: &str = "spBv1.0/plant/NDATA/pump-house";
const NODE_DEATH: &str = "spBv1.0/plant/NDEATH/pump-house";
const DEVICE: &str = "spBv1.0/plant/DBIRTH/pump-house/p1";
const DATA: &str = "spBv1.0/plant/DDATA/pump-house/p1";
const DEVICE_DEATH: &str = "spBv1.0/plant/DDEATH/pump-house/p1";

fn born() -> Host {
    let mut host = Host::new();
    host.hear(NODE, &node_birth(7));
    host.hear(DEVICE, &device_birth(1));
    host
}

#[test]
fn births_bring_values_and_what_later_numbers_mean() {
    let mut host = Host::new();
    host.check(
        NODE,
        &node_birth(7),
        &expect![[r#"
            > auto plant:pump-house pump 1state 2026-03-14T06:45:10.000Z
            /metrics/2> auto plant:pump-house:Temperature temperature 31.5degC 2026-03-14T06:45:10.000Z"#]],
    );
    host.check(
        DEVICE,
        &device_birth(1),
        &expect![[r#"
            > auto pump-1 pump 1state 2026-03-14T06:45:10.000Z
            /metrics/0> auto wl-0412 water_level 3.72m 2026-03-14T06:45:10.000Z
            /metrics/1> auto plant:pump-house:p1:Flow:Running pump 1state 2026-03-14T06:45:10.000Z"#]],
    );
    let data = [
        metric().alias(2).at(1_773_470_709_000).double(13, 401.0),
        metric().alias(3).varint(14, 0).varint(5, 1),
    ];
    host.check(
        DATA,
        &payload(2, &data),
        &expect![[r#"
            /metrics/0> auto wl-0412 water_level 4.01m 2026-03-14T06:45:09.000Z
            /metrics/1> auto plant:pump-house:p1:Flow:Running pump 0state 2026-03-14T06:45:10.000Z historical=true"#]],
    );
    let by_name = [metric().name("Temperature").datatype(9).float(12, 3.72)];
    host.check(
        NODE_DATA,
        &payload(3, &by_name),
        &expect!["/metrics/0> auto plant:pump-house:Temperature temperature 3.72degC 2026-03-14T06:45:10.000Z"],
    );
}

#[test]
fn an_alias_of_several_metrics_is_nobodys() {
    let mut host = Host::new();
    let named = |name: &str, value: f32| metric().name(name).alias(1).datatype(9).float(12, value);
    let birth = [
        session(7),
        named("old/Temperature", 1.0),
        named("new/Temperature", 2.0),
        metric()
            .name("Properties/A")
            .alias(2)
            .datatype(9)
            .float(12, 1.0),
        metric()
            .name("Properties/B")
            .alias(2)
            .datatype(9)
            .float(12, 1.0),
    ];
    host.check(NODE, &payload(0, &birth), &expect![[r#"
            > auto plant:pump-house pump 1state 2026-03-14T06:45:10.000Z
            > noted: several of its metrics have one alias
            /metrics/1> auto plant:pump-house:old:Temperature temperature 1degC 2026-03-14T06:45:10.000Z
            /metrics/2> auto plant:pump-house:new:Temperature temperature 2degC 2026-03-14T06:45:10.000Z"#]]);
    // The metric that was born last is not taken for the other, and nothing is gained by asking.
    let data = [
        metric().alias(1).float(12, 77.0),
        metric().alias(2).float(12, 77.0),
        metric().name("new/Temperature").datatype(9).float(12, 3.0),
    ];
    host.check(NODE_DATA, &payload(1, &data), &expect![[r#"
            /metrics/0> shape_unexpected: alias 1 is that of several metrics in the birth certificate; each needs its own
            /metrics/2> auto plant:pump-house:new:Temperature temperature 3degC 2026-03-14T06:45:10.000Z"#]]);
    // Born again with aliases of their own, each is told from the other.
    let mended = [
        session(8),
        named("old/Temperature", 1.0),
        metric()
            .name("new/Temperature")
            .alias(2)
            .datatype(9)
            .float(12, 2.0),
    ];
    host.hear(NODE, &payload(0, &mended));
    host.check(NODE_DATA, &payload(1, &data[..1]), &expect!["/metrics/0> auto plant:pump-house:old:Temperature temperature 77degC 2026-03-14T06:45:10.000Z"]);
}

#[test]
fn data_before_a_birth_is_refused_and_the_node_is_asked_once() {
    let mut host = Host::new();
    let data = payload(9, &[metric().alias(2).double(13, 401.0)]);
    host.check(
        DATA,
        &data,
        &expect![[r#"
            birth_missing: the edge node's birth certificate was not seen; it is asked for
            asked: spBv1.0/plant/NCMD/pump-house"#]],
    );
    host.check(
        DATA,
        &data,
        &expect!["birth_missing: the edge node's birth certificate was not seen; it is asked for"],
    );
    // The node answers; its device was not born yet.
    host.hear(NODE, &node_birth(7));
    host.check(
        DATA,
        &payload(1, &[metric().alias(2).double(13, 401.0)]),
        &expect![[r#"
            birth_missing: the device's birth certificate was not seen; it is asked for
            asked: spBv1.0/plant/NCMD/pump-house"#]],
    );
}

#[test]
fn a_missing_message_and_an_unknown_alias_are_a_reason_to_ask() {
    let mut host = born();
    host.check(
        DATA,
        &payload(70, &[metric().alias(2).double(13, 401.0)]),
        &expect![[r#"
            /metrics/0> auto wl-0412 water_level 4.01m 2026-03-14T06:45:10.000Z
            asked: spBv1.0/plant/NCMD/pump-house"#]],
    );
    let mut host = born();
    host.check(
        DATA,
        &payload(
            2,
            &[
                metric().alias(77).double(13, 401.0),
                metric().alias(2).double(13, 1.0),
            ],
        ),
        &expect![[r#"
            /metrics/0> birth_missing: alias 77 is not in the birth certificate
            /metrics/1> auto wl-0412 water_level 0.01m 2026-03-14T06:45:10.000Z
            asked: spBv1.0/plant/NCMD/pump-house"#]],
    );
    let mut host = born();
    host.check(
        DATA,
        &payload(2, &[metric().alias(2).varint(14, 1)]),
        &expect![[r#"
            /metrics/0> birth_missing: value: is not of the datatype that the birth certificate says
            asked: spBv1.0/plant/NCMD/pump-house"#]],
    );
}

#[test]
fn numbers_go_around_and_what_comes_again_is_no_gap() {
    let mut host = born();
    for seq in (2..=255).chain(0..=5) {
        for _ in 0..2 {
            let told = host.hear(DATA, &payload(seq, &[metric().alias(2).double(13, 1.0)]));
            assert!(!told.contains("asked"), "{seq}: {told}");
        }
    }
}

#[test]
fn a_death_ends_the_session_that_it_is_of() {
    let mut host = born();
    let death = |number| metric().bytes(2, &session(number).0).0;
    host.check(
        NODE_DEATH,
        &death(6),
        &expect!["> noted: the death of a session that is not known, or over"],
    );
    let data = payload(2, &[metric().alias(2).double(13, 1.0)]);
    assert!(host.hear(DATA, &data).contains("wl-0412"));
    host.check(
        NODE_DEATH,
        &death(7),
        &expect![[r#"
            > auto plant:pump-house pump 0state 2026-03-14T06:45:10.933Z
            > auto pump-1 pump 0state 2026-03-14T06:45:10.933Z"#]],
    );
    assert!(host.hear(DATA, &data).starts_with("birth_missing: "));
    host.check(
        NODE_DEATH,
        &death(7),
        &expect!["> noted: the death of a session that is not known, or over"],
    );
}

#[test]
fn a_device_dies_by_itself() {
    let mut host = born();
    host.check(
        DEVICE_DEATH,
        &payload(2, &[]),
        &expect!["> auto pump-1 pump 0state 2026-03-14T06:45:10.000Z"],
    );
    let data = payload(3, &[metric().alias(2).double(13, 1.0)]);
    assert!(
        host.hear(DATA, &data)
            .starts_with("birth_missing: the device's")
    );
    let of_node = payload(4, &[metric().alias(1).float(12, 1.0)]);
    assert!(host.hear(NODE_DATA, &of_node).contains("Temperature"));
}

#[test]
fn what_is_known_is_shared_by_all_connections() {
    let host = born();
    let mut other = Host {
        catalogue: host.catalogue,
        workspace: Workspace::default(),
    };
    let data = payload(2, &[metric().alias(2).double(13, 401.0)]);
    assert!(other.hear(DATA, &data).contains("4.01m"));
}

#[test]
fn each_datatype_is_a_number_or_a_reason() {
    let mut host = Host::new();
    let whole = |datatype, field, number| metric().datatype(datatype).varint(field, number);
    let long = |datatype, number: i64| whole(datatype, 11, number.cast_unsigned());
    for (written, expected) in [
        (whole(1, 10, 0xff), "-1degC"),
        (whole(1, 10, 0xffff_ffff), "-1degC"),
        (whole(2, 10, 0x8000), "-32768degC"),
        (whole(3, 10, 0xffff_fffe), "-2degC"),
        (long(4, -5), "-5degC"),
        (whole(5, 10, 255), "255degC"),
        (whole(6, 10, 65_535), "65535degC"),
        (whole(7, 10, 0xffff_ffff), "4294967295degC"),
        (whole(7, 11, 0xffff_ffff), "4294967295degC"),
        (whole(8, 11, u64::MAX), "18446744073709552000degC"),
        (metric().datatype(9).float(12, -0.5), "-0.5degC"),
        (metric().datatype(10).double(13, 1e-3), "0.001degC"),
        (whole(11, 14, 1), "1degC"),
        (metric().datatype(12).bytes(15, b"ON"), "1degC"),
        (metric().datatype(12).bytes(15, b"2.5"), "2.5degC"),
        (
            metric().datatype(12).bytes(15, b"off"),
            "value_not_a_number: ",
        ),
        (metric().datatype(9).float(12, f32::NAN), "value_overflow: "),
        (
            metric().datatype(10).double(13, f64::INFINITY),
            "value_overflow: ",
        ),
        (
            metric().datatype(16).bytes(17, b""),
            "value_not_a_number: value: is a DataSet",
        ),
        (
            metric().datatype(19).bytes(18, b""),
            "value_not_a_number: value: is a Template",
        ),
        (
            metric().datatype(17).bytes(16, b"x"),
            "value_not_a_number: value: is bytes",
        ),
        (whole(13, 11, 7), "value_not_a_number: value: is a time"),
        (metric().datatype(9).varint(7, 1), "absent"),
        (metric().datatype(9), "absent"),
        (
            metric()
                .datatype(9)
                .property("Quality", metric().varint(1, 3).varint(3, 0))
                .float(12, 1.0),
            "noted: its quality is not good",
        ),
        (
            metric()
                .datatype(9)
                .property("Quality", metric().varint(1, 3).varint(3, 192))
                .float(12, 1.0),
            "1degC",
        ),
        (
            metric().datatype(9).at(u64::MAX).float(12, 1.0),
            "observed_at_invalid: ",
        ),
    ] {
        let birth = payload(0, &[written.clone().name("Temperature")]);
        let told = host.hear("spBv1.0/g/NBIRTH/n", &birth);
        let told = told.rsplit("/metrics/0> ").next().unwrap();
        assert!(
            told.contains(expected),
            "{written:?}: {told}",
            written = written.0
        );
    }
}

#[test]
fn what_is_not_for_a_host_is_passed_over() {
    let mut host = born();
    for (topic, expected) in [
        (
            "spBv1.0/plant/NCMD/pump-house",
            "> noted: a command, to a node or a device",
        ),
        (
            "spBv1.0/plant/DCMD/pump-house/p1",
            "> noted: a command, to a node or a device",
        ),
        (
            "spBv1.0/STATE/scada",
            "> noted: the state of a host application",
        ),
    ] {
        assert_eq!(host.hear(topic, b"{\"online\":true}"), expected);
    }
    let unasked = [metric()
        .name("Properties/Make")
        .datatype(12)
        .bytes(15, b"ACME")];
    assert_eq!(
        host.hear(NODE_DATA, &payload(2, &unasked)),
        "> noted: no metric of it is of a kind that is known here"
    );
}

#[test]
fn what_is_malformed_is_told() {
    let mut host = born();
    let long = format!("spBv1.0/g/NBIRTH/{}", "n".repeat(512));
    assert!(host.hear(&long, &[]).starts_with("topic_too_long: "));
    assert!(host.hear(DATA, &[0xff]).starts_with("protobuf_malformed: "));
    assert!(
        host.hear("spBv1.0/plant/DDATA/n", &[])
            .starts_with("shape_unexpected: ")
    );
    let broken = payload(2, &[Written(vec![0x0a, 0x05, b'x'])]);
    assert!(host.hear(DATA, &broken).starts_with("protobuf_malformed: "));
}

/// A payload in which another is packed, as Eclipse Tahu writes it.
fn packed(inner: &[u8], algorithm: Option<&str>, seq: Option<u64>) -> Vec<u8> {
    let level = flate2::Compression::best();
    let mut body = Vec::new();
    match algorithm {
        Some("GZIP") => flate2::read::GzEncoder::new(inner, level).read_to_end(&mut body),
        _ => flate2::read::ZlibEncoder::new(inner, level).read_to_end(&mut body),
    }
    .unwrap();
    let mut outer = metric();
    if let Some(name) = algorithm {
        let said = metric()
            .name("algorithm")
            .datatype(12)
            .bytes(15, name.as_bytes());
        outer = outer.bytes(2, &said.0);
    }
    if let Some(seq) = seq {
        outer = outer.varint(3, seq);
    }
    outer.bytes(4, b"SPBV1.0_COMPRESSED").bytes(5, &body).0
}

#[test]
fn a_payload_that_is_packed_in_another_is_read() {
    let data = [metric().alias(2).at(1_773_470_709_000).double(13, 401.0)];
    let plain = [node_birth(7), device_birth(1), payload(2, &data)];
    let topics = [NODE, DEVICE, DATA];
    let told = |pack: &dyn Fn(&[u8]) -> Vec<u8>| {
        let mut host = Host::new();
        let told = topics.iter().zip(&plain);
        let told = told.map(|(topic, payload)| host.hear(topic, &pack(payload)));
        told.collect::<Vec<_>>()
    };
    let expected = told(&<[u8]>::to_vec);
    assert!(
        expected[2].contains("wl-0412 water_level 4.01m"),
        "{expected:?}"
    );
    for algorithm in [Some("GZIP"), Some("DEFLATE"), None] {
        assert_eq!(told(&|inner| packed(inner, algorithm, None)), expected);
    }
    // Its number may be said outside alone.
    let mut host = Host::new();
    let unnumbered = metric().varint(1, 1_773_470_710_000).0;
    host.hear(NODE, &packed(&node_birth(7), None, None));
    host.hear(DEVICE, &packed(&device_birth(1), None, None));
    host.hear(DATA, &packed(&unnumbered, None, Some(2)));
    let next = host.hear(DATA, &payload(3, &data));
    assert!(!next.contains("asked"), "none is missing: {next}");
}

#[test]
fn what_is_packed_and_cannot_be_unpacked_is_told() {
    let mut host = born();
    let inner = payload(2, &[]);
    let mut broken = packed(&inner, None, None);
    let length = broken.len();
    broken[length - 3] ^= 0xff;
    let told = host.hear(DATA, &broken);
    assert!(
        told.starts_with("protobuf_malformed: its packed body"),
        "{told}"
    );
    let told = host.hear(DATA, &packed(&inner, Some("LZ4"), None));
    assert!(told.contains("GZIP and DEFLATE are understood"), "{told}");
}

#[test]
fn p5_a_packed_payload_is_unpacked_no_further_than_its_bound() {
    let mut host = born();
    let blank = |bytes: usize| metric().bytes(9, &vec![0; bytes]).0;
    for bytes in [64 << 20, 1 << 20, 70 << 10] {
        let bomb = packed(&blank(bytes), Some("GZIP"), None);
        assert!(bomb.len() < bytes / 100, "{bytes}");
        let told = host.hear(DATA, &bomb);
        assert!(
            told.starts_with("payload_too_long: it unpacks to more"),
            "{told}"
        );
    }
    let told = host.hear(DATA, &packed(&blank(60 << 10), None, Some(2)));
    assert!(!told.starts_with("payload_too_long"), "{told}");
}

#[test]
fn p5_a_message_brings_no_more_readings_than_its_bound() {
    let mut host = born();
    let metrics = vec![metric().alias(2).double(13, 1.0); ITEMS_MAX + 1];
    let told = host.hear(DATA, &payload(2, &metrics));
    assert_eq!(told.lines().count(), ITEMS_MAX + 1);
    assert!(told.contains("\nitems_too_many: "));
}

proptest! {
    #[test]
    fn any_payload_is_readings_or_reasons(
        messages in prop::collection::vec((0_usize..6, any::<Vec<u8>>(), 0_usize..60, any::<u8>()), 1..6),
    ) {
        let mut host = Host::new();
        for (topic, bytes, at, byte) in messages {
            let topic = [NODE, DEVICE, DATA, NODE_DATA, NODE_DEATH, DEVICE_DEATH][topic];
            let mut damaged = if at % 2 == 0 { node_birth(7) } else { device_birth(1) };
            let length = damaged.len();
            damaged[at % length] = byte;
            host.hear(topic, &damaged);
            host.hear(topic, &bytes);
        }
    }
}
