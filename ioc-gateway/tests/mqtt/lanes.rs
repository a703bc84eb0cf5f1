//! P7: urgent readings behind twenty times the telemetry, on one connection. What is said of order
//! is said by what has arrived, never by a clock.

use std::sync::Arc;

use arc_swap::ArcSwap;
use ioc_core::record::Input;
use ioc_gateway::catalogue::Catalogue;
use ioc_gateway::door::{Arrival, DoorOptions, Lane, Lanes};
use ioc_gateway::options::MqttOptions;

use crate::bench::{Bare, Bench, bench_of, options, settle, within};
use crate::packets::{Version, packet, properties, text};

/// How many urgent readings, and how many times as much telemetry.
const URGENT: u16 = 100;
const TIMES: u16 = 20;
const ALL: u16 = URGENT * (TIMES + 1);

/// The messages of one client: behind twenty readings of a gauge one of an alarm.
fn stream(version: Version) -> Vec<u8> {
    let message = |packet_id: u16| {
        let is_urgent = packet_id.is_multiple_of(TIMES + 1);
        let (sensor, kind) = if is_urgent {
            ("alarm", "alarm")
        } else {
            ("gauge", "level")
        };
        let topic = text(&format!("ioc/v1/readings/{sensor}"));
        let (second, millisecond) = (packet_id / 1000, packet_id % 1000);
        let payload = format!(
            r#"{{"id":"{packet_id}","kind":"{kind}","value":{packet_id},"observed_at":"2026-03-14T06:45:0{second}.{millisecond:03}Z"}}"#
        );
        let packet_id = packet_id.to_be_bytes();
        let parts = [
            &topic[..],
            &packet_id,
            &properties(version, b""),
            payload.as_bytes(),
        ];
        packet(0x32, &parts)
    };
    (1..=ALL).flat_map(message).collect()
}

async fn bench(telemetry_bytes_max: u32) -> Bench {
    bench_with(telemetry_bytes_max, options()).await
}

async fn bench_with(telemetry_bytes_max: u32, options: MqttOptions) -> Bench {
    let door = DoorOptions {
        waiting_bytes_max: Lanes {
            urgent: 1 << 20,
            telemetry: telemetry_bytes_max,
        },
        ..DoorOptions::default()
    };
    let catalogue = Catalogue {
        urgent: ["alarm"].into_iter().collect(),
        ..Catalogue::default()
    };
    bench_of(options, door, Arc::new(ArcSwap::from_pointee(catalogue))).await
}

/// Takes what arrives in a lane until it stands for so many inputs.
async fn arrivals(bench: &Bench, lane: Lane, count: u16) -> Vec<Arrival> {
    let (mut arrivals, mut seen) = (Vec::new(), 0);
    while seen < u32::from(count) {
        let arrival = bench.arrival_in(lane).await;
        seen += arrival.inputs.count();
        arrivals.push(arrival);
    }
    assert_eq!(seen, u32::from(count));
    arrivals
}

/// Reads acknowledgements until the last one; they are of all messages, in order.
async fn expect_all_acknowledged(client: &mut Bare) {
    for expected in 1..=ALL {
        let packet = client.packet().await;
        let packet_id = u16::from_be_bytes([packet[2], packet[3]]);
        assert_eq!((packet[0], packet_id), (0x40, expected));
    }
}

async fn urgent_readings_overtake(version: Version) {
    let bench = bench(16 << 20).await;
    let mut client = bench.client(version, "c").await;
    client.send(&stream(version)).await;
    let urgent = arrivals(&bench, Lane::Urgent, URGENT).await;
    let telemetry = arrivals(&bench, Lane::Telemetry, URGENT * TIMES).await;
    settle(urgent);
    client.expect_nothing_but_a_ping_answer().await;
    settle(telemetry);
    expect_all_acknowledged(&mut client).await;
}

async fn urgent_readings_pass_a_full_lane_and_what_is_folded_adds_up(version: Version) {
    let bench = bench(1).await;
    let mut client = bench.client(version, "c").await;
    client.send(&stream(version)).await;
    // Not one of telemetry has left the door, and each urgent one is there.
    settle(arrivals(&bench, Lane::Urgent, URGENT).await);
    let (mut readings, mut left_out, mut greatest) = (0, 0, 0.0);
    let mut seen = 0;
    while seen < u32::from(URGENT * TIMES) {
        let arrival = bench.arrival_in(Lane::Telemetry).await;
        seen += arrival.inputs.count();
        for bytes in arrival.inputs.iter() {
            match Input::decode(bytes).unwrap() {
                Input::Reading(reading) => {
                    readings += 1;
                    assert!(reading.value > greatest, "in the order that they were sent");
                    greatest = reading.value;
                }
                Input::Folded(folded) => {
                    left_out += folded.left_out;
                    assert_eq!(folded.sensor, "gauge");
                    assert_eq!(folded.last, greatest);
                }
                other => panic!("{other:?}"),
            }
        }
        arrival.ack.settle();
    }
    assert_eq!(seen, u32::from(URGENT * TIMES));
    assert_eq!(readings + left_out, seen, "{left_out} left out");
    assert!(left_out > seen / 2, "{left_out} left out of {seen}");
    assert_eq!(greatest, f64::from(ALL - 1), "the last one stays");
    expect_all_acknowledged(&mut client).await;
}

#[tokio::test]
async fn p7_urgent_readings_overtake_telemetry_of_their_own_connection() {
    for version in [Version::V311, Version::V5] {
        within(urgent_readings_overtake(version)).await;
    }
}

#[tokio::test]
async fn p7_urgent_readings_pass_a_full_lane_and_folded_telemetry_adds_up() {
    for version in [Version::V311, Version::V5] {
        within(urgent_readings_pass_a_full_lane_and_what_is_folded_adds_up(
            version,
        ))
        .await;
    }
}

/// A message of version 3.1.1, observed at so many milliseconds.
fn reading(packet_id: u16, sensor: &str, kind: &str, at_ms: u32) -> Vec<u8> {
    let (second, millisecond) = (at_ms / 1000, at_ms % 1000);
    let payload = format!(
        r#"{{"id":"e{packet_id}","kind":"{kind}","value":{packet_id},"observed_at":"2026-03-14T06:45:{second:02}.{millisecond:03}Z"}}"#
    );
    let topic = text(&format!("ioc/v1/readings/{sensor}"));
    let parts = [&topic[..], &packet_id.to_be_bytes(), payload.as_bytes()];
    packet(0x32, &parts)
}

/// Sends rounds of readings of so many gauges, and an alarm behind each round; all that is allowed
/// to be in flight are a few.
async fn alarms_behind(gauges: u32, rounds: u32, inflight_max: usize) {
    let options = MqttOptions {
        inflight_max,
        ..options()
    };
    let bench = bench_with(1, options).await;
    let mut client = bench.client(Version::V311, "c").await;
    let mut packet_id = 0;
    let mut next = || {
        packet_id += 1;
        packet_id
    };
    for round in 0..rounds {
        let telemetry =
            (0..gauges).flat_map(|gauge| reading(next(), &format!("g{gauge}"), "level", round));
        let mut stream: Vec<u8> = telemetry.collect();
        stream.extend(reading(next(), "alarm", "alarm", round));
        client.send(&stream).await;
        // No telemetry has left the door since the first.
        let alarm = bench.arrival_in(Lane::Urgent).await;
        assert_eq!(alarm.inputs.count(), 1, "round {round}");
        alarm.ack.settle();
    }
    let (mut left, mut records) = (gauges * rounds, 0);
    while left > 0 {
        let arrival = bench.arrival().await;
        (left, records) = (
            left - arrival.inputs.count(),
            records + arrival.inputs.records(),
        );
        arrival.ack.settle();
    }
    assert!(records < gauges * rounds / 2, "{records} records");
    for expected in 1..=packet_id {
        let packet = client.packet().await;
        assert_eq!(packet, [&[0x40, 2][..], &expected.to_be_bytes()].concat());
    }
}

#[tokio::test]
async fn p7_what_was_folded_keeps_no_urgent_reading_behind_it_however_much_it_was() {
    within(alarms_behind(20, 100, 200)).await;
}

#[tokio::test]
async fn p7_the_telemetry_of_hundreds_of_sensors_behind_one_connection_is_folded_too() {
    within(alarms_behind(600, 20, 4096)).await;
}
