//! What is sent to devices, and what a subscriber of quality 1 gets: over real sockets, in both
//! versions.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ioc_gateway::door::DoorOptions;
use ioc_gateway::mqtt::{Delivery, Outcome};
use ioc_gateway::options::{Credentials, MqttOptions, Users};
use ioc_gateway::rights::{Devices, Rights, Sensors};

use tokio::io::AsyncReadExt;

use crate::bench::{Bare, Bench, DEADLINE, bench, bench_with, options, within};
use crate::packets::{
    Version, connect_with, packet, properties, puback, suback_with, subscribe_with, text,
};

in_both_versions! {
    a_device_gets_its_command_and_its_answer_is_told,
    a_command_waits_for_its_device,
    inv_30_a_command_dies_at_its_deadline_while_its_device_is_away,
    inv_30_a_command_dies_at_its_deadline_while_its_socket_takes_nothing,
    a_connection_that_ends_leaves_what_it_did_not_confirm_unknown,
    a_stranger_may_not_hear_the_commands_of_others,
    a_subscriber_of_quality_1_has_a_window_of_messages,
    the_last_decision_of_a_zone_is_retained,
}

const GATE: &str = "ioc/v1/commands/gate-7";

/// Sends to the gate; what is told of it.
fn send(bench: &Bench, payload: &'static str, within: Option<Duration>) -> mpsc::Receiver<Outcome> {
    let (told, outcomes) = mpsc::channel();
    bench.deliveries.send(Delivery {
        topic: GATE.parse().unwrap(),
        payload: Bytes::from_static(payload.as_bytes()),
        content_type: None,
        not_after: within.map(|within| Instant::now() + within),
        is_wanted: None,
        told: Some(Box::new(move |outcome| {
            // Whoever does not look any more need not be told.
            let _ = told.send(outcome);
        })),
    });
    outcomes
}

async fn next(outcomes: mpsc::Receiver<Outcome>) -> (Outcome, mpsc::Receiver<Outcome>) {
    let next = tokio::task::spawn_blocking(move || (outcomes.recv_timeout(DEADLINE), outcomes));
    let (outcome, outcomes) = next.await.unwrap();
    (outcome.expect("it is told in time"), outcomes)
}

async fn expect(outcomes: mpsc::Receiver<Outcome>, expected: &[Outcome]) {
    let mut outcomes = outcomes;
    for expected in expected {
        let (outcome, rest) = next(outcomes).await;
        assert_eq!(outcome, *expected);
        outcomes = rest;
    }
    assert_eq!(outcomes.try_recv().ok(), None);
}

const WRITTEN: Outcome = Outcome::Written { is_confirmed: true };

/// A delivery as it comes to its device.
fn command(version: Version, packet_id: u8, own: &[u8], payload: &str) -> Vec<u8> {
    let own = properties(version, own);
    packet(
        0x32,
        &[&text(GATE), &[0, packet_id], &own, payload.as_bytes()],
    )
}

async fn gate(bench: &Bench, version: Version) -> Bare {
    let mut gate = bench.client(version, "gate").await;
    gate.send(&subscribe_with(version, 1, GATE, 1)).await;
    gate.expect(&suback_with(version, 1, 1)).await;
    gate
}

async fn a_device_gets_its_command_and_its_answer_is_told(version: Version) {
    let bench = bench().await;
    let mut gate = gate(&bench, version).await;
    let outcomes = send(&bench, "open", None);
    gate.expect(&command(version, 1, b"", "open")).await;
    gate.send(&puback(1)).await;
    expect(outcomes, &[WRITTEN, Outcome::Confirmed]).await;
    let outcomes = send(&bench, "shut", None);
    gate.expect(&command(version, 2, b"", "shut")).await;
    if version == Version::V5 {
        gate.send(b"\x40\x03\0\x02\x83").await;
        drop(gate);
        expect(outcomes, &[WRITTEN, Outcome::Refused(0x83)]).await;
    }
}

async fn a_command_waits_for_its_device(version: Version) {
    let bench = bench().await;
    let first = send(&bench, "open", Some(Duration::from_secs(3600)));
    let second = send(&bench, "shut", None);
    let mut other = bench.client(version, "other").await;
    let other_device = "ioc/v1/commands/gate-8";
    other
        .send(&subscribe_with(version, 1, other_device, 1))
        .await;
    other.expect(&suback_with(version, 1, 1)).await;
    other.expect_nothing_but_a_ping_answer().await;
    let mut gate = gate(&bench, version).await;
    let packet = gate.packet().await;
    // Less than an hour is left by now.
    let expected = command(version, 1, b"\x02\0\0\x0e\x0f", "open");
    assert_eq!(packet, expected);
    gate.expect(&command(version, 2, b"", "shut")).await;
    gate.send(&[puback(2), puback(1)].concat()).await;
    for outcomes in [first, second] {
        expect(outcomes, &[Outcome::Queued, WRITTEN, Outcome::Confirmed]).await;
    }
}

async fn inv_30_a_command_dies_at_its_deadline_while_its_device_is_away(version: Version) {
    let bench = bench().await;
    let outcomes = send(&bench, "open", Some(Duration::from_millis(20)));
    expect(outcomes, &[Outcome::Queued, Outcome::Expired]).await;
    let mut gate = gate(&bench, version).await;
    gate.expect_nothing_but_a_ping_answer().await;
}

async fn inv_30_a_command_dies_at_its_deadline_while_its_socket_takes_nothing(version: Version) {
    let bench = bench().await;
    let mut gate = gate(&bench, version).await;
    gate.send(&subscribe_with(version, 2, "ioc/v1/decisions/#", 0))
        .await;
    gate.expect(&suback_with(version, 2, 0)).await;
    // Until the buffers of the sockets are full, commands go out between decisions.
    let long = vec![b' '; 64 * 1024];
    let mut written = 0;
    loop {
        for _ in 0..16 {
            bench.decide("z", &long);
        }
        let outcomes = send(&bench, "open", Some(Duration::from_millis(50)));
        match next(outcomes).await.0 {
            Outcome::Written { .. } => written += 1,
            Outcome::Expired => break,
            other => panic!("{other:?}"),
        }
    }
    gate.send(b"\xc0\0").await;
    let mut commands = 0;
    loop {
        let packet = long_packet(&mut gate).await;
        match packet[0] {
            0x30 => {}
            0x32 => commands += 1,
            _ => break,
        }
    }
    assert_eq!(commands, written, "and none after its deadline");
}

/// The next packet, however long it is: its type, and what follows the length.
async fn long_packet(client: &mut Bare) -> Vec<u8> {
    let mut packet = vec![within(client.0.read_u8()).await.unwrap()];
    let (mut length, mut place) = (0, 0);
    loop {
        let byte = within(client.0.read_u8()).await.unwrap();
        length |= usize::from(byte & 0x7f) << (7 * place);
        place += 1;
        if byte & 0x80 == 0 {
            break;
        }
    }
    packet.resize(1 + length, 0);
    within(client.0.read_exact(&mut packet[1..])).await.unwrap();
    packet
}

async fn a_connection_that_ends_leaves_what_it_did_not_confirm_unknown(version: Version) {
    let bench = bench().await;
    let mut first = gate(&bench, version).await;
    let outcomes = send(&bench, "open", None);
    first.expect(&command(version, 1, b"", "open")).await;
    drop(first);
    expect(outcomes, &[WRITTEN, Outcome::Unconfirmed]).await;
    let mut again = gate(&bench, version).await;
    again.expect_nothing_but_a_ping_answer().await;
}

async fn a_stranger_may_not_hear_the_commands_of_others(version: Version) {
    let of = |devices: &[&'static str]| Rights {
        sensors: Sensors::Every,
        devices: Devices::these(devices.iter().copied()),
    };
    let users = [
        ("north", "s3cret", of(&["gate-7", "pump-*"])),
        ("gate-8", "s3cret", of(&["gate-8"])),
    ];
    let credentials = Credentials::Users(Users::with_rights(users));
    let options = MqttOptions {
        credentials,
        ..options()
    };
    let bench = bench_with(options, DoorOptions::default()).await;
    let client = |id: &str, user| [text(id), text(user), text("s3cret")].concat();
    let mut refused = vec![];
    for (user, filter, may) in [
        ("north", GATE, true),
        ("north", "ioc/v1/commands/#", true),
        ("north", "spBv1.0/water/NCMD/pump-1/#", true),
        ("north", "ioc/v1/commands/gate-8", false),
        ("gate-8", "ioc/v1/commands/gate-8", true),
        ("gate-8", GATE, false),
        ("gate-8", "ioc/v1/decisions/#", true),
    ] {
        let own_id = format!("{user} {filter}");
        let connect = connect_with(version, 0xc2, 60, b"", &client(&own_id, user));
        let mut client = bench.client_of(&connect).await;
        client.send(&subscribe_with(version, 1, filter, 2)).await;
        let code = match (may, version) {
            (true, _) => 1,
            (false, Version::V311) => 0x80,
            (false, Version::V5) => 0x87,
        };
        client.expect(&suback_with(version, 1, code)).await;
        refused.extend((!may).then_some(client));
    }
    drop(send(&bench, "open", None));
    for mut refused in refused {
        refused.expect_nothing_but_a_ping_answer().await;
    }
}

async fn a_subscriber_of_quality_1_has_a_window_of_messages(version: Version) {
    let (bench, window) = match version {
        Version::V311 => {
            let options = MqttOptions {
                unacknowledged_max: 4,
                ..options()
            };
            (bench_with(options, DoorOptions::default()).await, &b""[..])
        }
        // The client says it: a receive maximum of 4.
        Version::V5 => (bench().await, &b"\x21\0\x04"[..]),
    };
    let connect = connect_with(version, 2, 60, window, &text("gate"));
    let mut client = bench.client_of(&connect).await;
    for (packet_id, filter) in [(1, "ioc/v1/decisions/#"), (2, GATE)] {
        client
            .send(&subscribe_with(version, packet_id, filter, 1))
            .await;
        client.expect(&suback_with(version, packet_id, 1)).await;
    }
    for json in ["1", "2", "3", "4", "5"] {
        bench.decide("z", json.as_bytes());
    }
    let described = properties(version, b"\x01\x01\x03\0\x10application/json");
    let decision = |packet_id, json: &str| {
        let topic = text("ioc/v1/decisions/z");
        packet(
            0x32,
            &[&topic, &[0, packet_id], &described, json.as_bytes()],
        )
    };
    // The last place is left to commands.
    for n in 1..=3 {
        client.expect(&decision(n, &n.to_string())).await;
    }
    client.expect_nothing_but_a_ping_answer().await;
    let first = send(&bench, "open", None);
    let second = send(&bench, "shut", None);
    client.expect(&command(version, 4, b"", "open")).await;
    client.expect_nothing_but_a_ping_answer().await;
    client.send(&puback(2)).await;
    client.expect(&command(version, 5, b"", "shut")).await;
    client.send(&[puback(4), puback(5)].concat()).await;
    for outcomes in [first, second] {
        expect(outcomes, &[WRITTEN, Outcome::Confirmed]).await;
    }
    client.expect(&decision(6, "4")).await;
    // An acknowledgement too many harms nobody.
    client.send(&[puback(2), puback(99)].concat()).await;
    client.expect_nothing_but_a_ping_answer().await;
    client.send(&puback(1)).await;
    client.expect(&decision(7, "5")).await;
}

async fn the_last_decision_of_a_zone_is_retained(version: Version) {
    let bench = bench().await;
    for json in ["1", "2"] {
        bench.decide("z", json.as_bytes());
    }
    let mut client = bench.client(version, "c").await;
    client
        .send(&subscribe_with(version, 1, "ioc/v1/decisions/z", 0))
        .await;
    client.expect(&suback_with(version, 1, 0)).await;
    let described = properties(version, b"\x01\x01\x03\0\x10application/json");
    let decision =
        |first, json: &[u8]| packet(first, &[&text("ioc/v1/decisions/z"), &described, json]);
    client.expect(&decision(0x31, b"2")).await;
    bench.decide("z", b"3");
    client.expect(&decision(0x30, b"3")).await;
    if version == Version::V5 {
        // Retain as published, and retained only if the filter is new.
        client
            .send(&subscribe_with(version, 2, "ioc/v1/decisions/z", 0x18))
            .await;
        client.expect(&suback_with(version, 2, 0)).await;
        client.expect_nothing_but_a_ping_answer().await;
        bench.decide("z", b"4");
        client.expect(&decision(0x31, b"4")).await;
    }
}
