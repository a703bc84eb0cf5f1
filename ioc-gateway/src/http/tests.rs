//! Requests through the router, with an engine that settles when told.

use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::Request;
use axum::http::header::RETRY_AFTER;
use expect_test::{Expect, expect};
use futures_util::stream;
use http_body_util::BodyExt;
use ioc_core::record::{DeadLetter, Input};
use ioc_core::time::Timestamp;
use tower::ServiceExt;

use super::*;
use crate::door::{Arrivals, DoorOptions, Lanes};
use crate::replay::MemoryLog;

const READING: &str = r#"{"id":"e1","sensor":"wl-1","kind":"water_level","value":3.72,
    "observed_at":"2026-03-14T06:45:10.933Z"}"#;

struct Bench {
    router: Router,
    arrivals: Arrivals,
    letters: DeadLetters,
    log: Arc<MemoryLog>,
    stop: watch::Sender<bool>,
}

fn bench(options: HttpOptions, door: DoorOptions) -> Bench {
    bench_with(options, door, None)
}

fn bench_with(options: HttpOptions, door: DoorOptions, keys: Option<Keys>) -> Bench {
    let catalogue = formats::tests::catalogue("hydro/+", formats::tests::gauges());
    bench_by(catalogue, (options, door), keys)
}

fn bench_by(
    mut catalogue: Catalogue,
    (options, door): (HttpOptions, DoorOptions),
    keys: Option<Keys>,
) -> Bench {
    catalogue.kind_units = [("water_level".into(), "m".into())].into();
    catalogue.urgent = ["call"].into_iter().collect();
    let (door, arrivals) = Door::new(door, Arc::new(ArcSwap::from_pointee(catalogue)));
    let (letters, log) = (DeadLetters::default(), Arc::<MemoryLog>::default());
    let (stop, stopping) = watch::channel(false);
    let parts = Parts {
        door,
        dead_letters: letters.clone(),
        log: Arc::clone(&log) as _,
        keys: keys.map(Arc::new),
        credentials: Credentials::Anonymous,
        operators: Operators::new(|headers| headers.contains_key("x-operator")),
        stopping,
        options,
    };
    Bench {
        router: router(parts),
        arrivals,
        letters,
        log,
        stop,
    }
}

mod streaming;
mod pushing;
mod replaying;

/// Says of everything that arrives that it is durable; returns when the door is closed.
fn settle_all(arrivals: &Arrivals) -> Vec<String> {
    let mut inputs = Vec::new();
    while let Ok(arrival) = arrivals.queue(Lane::Telemetry).recv() {
        arrivals.release(&arrival);
        inputs.extend(
            arrival
                .inputs
                .iter()
                .map(|bytes| match Input::decode(bytes) {
                    Ok(Input::Reading(reading)) => format!("reading {}", reading.id),
                    Ok(Input::DeadLetter(letter)) => format!("dead letter {}", letter.reason),
                    other => panic!("{other:?}"),
                }),
        );
        arrival.ack.settle();
    }
    inputs
}

fn post(content_type: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(READINGS).header(CONTENT_TYPE, content_type);
    request.body(body.into()).unwrap()
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Sends a body and compares the status, the answer, and what the engine got.
#[track_caller]
fn check(content_type: &str, body: &str, expected: &Expect) {
    check_request(post(content_type, body.to_owned()), expected);
}

#[track_caller]
fn check_request(request: Request<Body>, expected: &Expect) {
    check_of(
        bench(HttpOptions::default(), DoorOptions::default()),
        request,
        expected,
    );
}

#[track_caller]
fn check_of(bench: Bench, request: Request<Body>, expected: &Expect) {
    let Bench {
        router,
        arrivals,
        stop: _running,
        ..
    } = bench;
    let engine = std::thread::spawn(move || settle_all(&arrivals));
    let answered = block_on(async {
        let response = router.oneshot(request).await.unwrap();
        format!("{}\n{}", response.status(), text(response).await)
    });
    let inputs = engine.join().unwrap().join("\n");
    expected.assert_eq(&format!("{answered}\n{inputs}"));
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

#[test]
fn one_reading_is_accepted_once_it_is_durable() {
    check(
        "application/json",
        READING,
        &expect![[r#"
            200 OK
            {"accepted":1,"dead_lettered":0,"items":[{"status":"accepted","id":"e1"}]}
            reading e1"#]],
    );
}

#[test]
fn each_item_of_a_list_is_answered_in_its_place() {
    check(
        "application/json",
        &format!(r#"[{READING},{{"id":"e2"}},{READING},7]"#),
        &expect![[r#"
            207 Multi-Status
            {"accepted":2,"dead_lettered":2,"items":[{"status":"accepted","id":"e1"},{"status":"dead_lettered","reason":"sensor_missing","detail":"sensor is left out"},{"status":"accepted","id":"e1"},{"status":"dead_lettered","reason":"not_an_object","detail":"invalid type: integer `7`, expected a reading as one JSON object at line 1 column 1"}]}
            reading e1
            dead letter sensor_missing
            reading e1
            dead letter not_an_object"#]],
    );
}

#[test]
fn a_message_is_read_by_the_mapping_of_its_topic() {
    let message = |topic: &str, body: &'static str| {
        let request = Request::post(format!("/api/v1/messages/{topic}"));
        request.body(Body::from(body)).unwrap()
    };
    let gauges = r#"{"at":1773470710,"gauges":[{"name":"g-1","level":3.72},{"name":"g-2"}]}"#;
    check_request(
        message("hydro/north", gauges),
        &expect![[r#"
        207 Multi-Status
        {"accepted":1,"dead_lettered":1,"items":[{"status":"accepted","id":"g-1-1773470710"},{"status":"dead_lettered","reason":"value_missing","detail":"/gauges/1: value: nothing at `/level`"}]}
        reading g-1-1773470710
        dead letter value_missing"#]],
    );
    check_request(
        message("hydro", gauges),
        &expect![[r#"
        422 Unprocessable Entity
        {"accepted":0,"dead_lettered":1,"items":[{"status":"dead_lettered","reason":"topic_unknown","detail":"readings are published to ioc/v1/readings/<sensor>; other topics need a mapping in mappings.yaml"}]}
        dead letter topic_unknown"#]],
    );
    check_request(
        message("ioc/v1/readings/wl-1", READING),
        &expect![[r#"
        200 OK
        {"accepted":1,"dead_lettered":0,"items":[{"status":"accepted","id":"e1"}]}
        reading e1"#]],
    );
}

#[test]
fn a_body_is_read_as_what_its_content_type_says() {
    let pack = r#"[{"bn":"wl-","bt":1773470710,"n":"1.water_level","v":3.72}]"#;
    check(
        "application/senml+json; charset=utf-8",
        pack,
        &expect![[r#"
        200 OK
        {"accepted":1,"dead_lettered":0,"items":[{"status":"accepted","id":"auto-cd686e9202ca8add"}]}
        reading auto-cd686e9202ca8add"#]],
    );
}

#[test]
fn lines_are_answered_like_a_list() {
    let line = READING.replace('\n', "");
    check(
        "application/x-ndjson",
        &format!("{line}\n\nhello\n{line}"),
        &expect![[r#"
            207 Multi-Status
            {"accepted":2,"dead_lettered":1,"items":[{"line":1,"status":"accepted","id":"e1"},{"line":3,"status":"dead_lettered","reason":"json_malformed","detail":"expected value at line 1 column 1"},{"line":4,"status":"accepted","id":"e1"}]}
            reading e1
            dead letter json_malformed
            reading e1"#]],
    );
}

#[test]
fn nothing_accepted_is_an_error_of_the_client() {
    check(
        "application/json",
        "{}",
        &expect![[r#"
            422 Unprocessable Entity
            {"accepted":0,"dead_lettered":1,"items":[{"status":"dead_lettered","reason":"sensor_missing","detail":"sensor is left out"}]}
            dead letter sensor_missing"#]],
    );
}

#[test]
fn a_body_that_cannot_be_taken_apart_is_refused_with_what_to_write() {
    check(
        "application/json",
        &format!("[{READING},"),
        &expect![[r#"
            400 Bad Request
            {"code":"body_malformed","message":"EOF while parsing a value at line 2 column 46; write one reading as a JSON object, an array of them, or one on each line"}
        "#]],
    );
}

#[test]
fn nothing_is_answered_before_it_is_durable() {
    let Bench {
        router, arrivals, ..
    } = bench(HttpOptions::default(), DoorOptions::default());
    block_on(async {
        let answer = tokio::spawn(router.oneshot(post("application/json", READING)));
        while arrivals.queue(Lane::Telemetry).is_empty() {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!answer.is_finished());
        arrivals.queue(Lane::Telemetry).recv().unwrap().ack.settle();
        assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    });
}

/// A hundred readings of one gauge, and a call for help behind them.
fn storm() -> Request<Body> {
    let line = |number: i32| {
        let (sensor, kind) = match number {
            100 => ("calls", "call"),
            _ => ("wl-1", "water_level"),
        };
        format!(
            r#"{{"id":"{number}","sensor":"{sensor}","kind":"{kind}","value":{number},"observed_at":"2026-03-14T06:45:10.{number:03}Z"}}"#
        )
    };
    let lines: Vec<_> = (0..=100).map(line).collect();
    post("application/json", format!("[{}]", lines.join(",")))
}

#[test]
fn p7_what_is_urgent_in_a_request_passes_a_full_lane_and_what_is_folded_adds_up() {
    let door = DoorOptions {
        waiting_bytes_max: Lanes {
            urgent: 1 << 20,
            telemetry: 1,
        },
        ..DoorOptions::default()
    };
    let Bench {
        router, arrivals, ..
    } = bench(HttpOptions::default(), door);
    let telemetry = arrivals.queue(Lane::Telemetry);
    let urgent = arrivals.queue(Lane::Urgent);
    block_on(async {
        let first = tokio::spawn(router.clone().oneshot(post("application/json", READING)));
        while telemetry.is_empty() {
            tokio::task::yield_now().await;
        }
        let second = tokio::spawn(router.oneshot(storm()));
        while urgent.is_empty() {
            tokio::task::yield_now().await;
        }
        // What was sent before the call for help finds the lane full.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let (mut readings, mut left_out) = (0, 0);
        for queue in [urgent, telemetry, telemetry] {
            while queue.is_empty() {
                tokio::task::yield_now().await;
            }
            let arrival = queue.recv().unwrap();
            arrivals.release(&arrival);
            for bytes in arrival.inputs.iter() {
                match Input::decode(bytes).unwrap() {
                    Input::Reading(_) => readings += 1,
                    Input::Folded(folded) => left_out += folded.left_out,
                    other => panic!("{other:?}"),
                }
            }
            arrival.ack.settle();
        }
        assert_eq!(
            (readings, left_out),
            (1 + 2 + 1, 98),
            "the first, the least and the greatest"
        );
        assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
        let answer = text(second.await.unwrap().unwrap()).await;
        assert!(answer.contains(r#""accepted":101"#), "{answer}");
    });
}

async fn refused(router: &Router, request: Request<Body>) -> (StatusCode, bool, String) {
    let response = router.clone().oneshot(request).await.unwrap();
    let retries = response.headers().contains_key(RETRY_AFTER);
    let status = response.status();
    let body: serde_json::Value = serde_json::from_str(&text(response).await).unwrap();
    (status, retries, body["code"].as_str().unwrap().to_owned())
}

#[test]
fn every_bound_has_its_answer() {
    let options = HttpOptions {
        request_bytes_max: 400,
        readings_max: 2,
        requests_max: 1,
        streams_max: 1,
        key_requests_max: 1,
        key_streams_max: 1,
        request_wait_max: Duration::from_millis(20),
        overload_wait_max: Duration::from_millis(20),
        stream_wait_max: Duration::from_millis(20),
        durable_wait_max: Duration::from_millis(20),
    };
    let door = DoorOptions {
        waiting_bytes_max: Lanes::each(|_| 1),
        ..DoorOptions::default()
    };
    let Bench {
        router,
        arrivals,
        stop: _running,
        ..
    } = bench(options, door);
    let json = |body: &str| post("application/json", body.to_owned());
    let never = || Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    block_on(async {
        let answers = [
            refused(&router, json(&" ".repeat(401))).await,
            refused(&router, json("[1,2,3]")).await,
            refused(&router, post("application/json", never())).await,
            // This one is in the queue and never settled; so the next finds the door full.
            refused(&router, json(READING)).await,
            refused(&router, json(READING)).await,
        ];
        let unavailable = StatusCode::SERVICE_UNAVAILABLE;
        assert_eq!(
            answers,
            [
                (StatusCode::PAYLOAD_TOO_LARGE, false, "body_too_long".into()),
                (
                    StatusCode::PAYLOAD_TOO_LARGE,
                    false,
                    "too_many_readings".into()
                ),
                (StatusCode::REQUEST_TIMEOUT, false, "body_too_slow".into()),
                (unavailable, true, "not_durable".into()),
                (unavailable, true, "overloaded".into()),
            ]
        );
        let slow = tokio::spawn(router.clone().oneshot(post("application/json", never())));
        tokio::task::yield_now().await;
        let turned_away = refused(&router, json(READING)).await;
        assert_eq!(turned_away, (unavailable, true, "too_many_requests".into()));
        drop(slow.await);
        drop(arrivals);
        let stopping = refused(&router, json(READING)).await;
        assert_eq!(stopping, (unavailable, true, "stopping".into()));
    });
}

#[test]
fn dead_letters_are_listed_newest_first() {
    let Bench {
        router, letters, ..
    } = bench(HttpOptions::default(), DoorOptions::default());
    for seq in 1..=3 {
        let letter = DeadLetter {
            source: "mqtt pump-house",
            topic: "ioc/v1/readings/wl-1",
            reason: "not_utf8",
            detail: "invalid utf-8 sequence",
            payload: b"{\"sensor\":\"\xff\"}",
            payload_bytes: 15,
            ..DeadLetter::default()
        };
        letters.note(seq, Timestamp::from_millis(seq as i64), &letter);
    }
    let get = |path: &str| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        block_on(async { text(router.clone().oneshot(request).await.unwrap()).await })
    };
    expect![[r#"
        {"total":3,"dead_letters":[{"seq":3,"at":"1970-01-01T00:00:00.003Z","source":"mqtt pump-house","topic":"ioc/v1/readings/wl-1","reason":"not_utf8","detail":"invalid utf-8 sequence","payload":"{\"sensor\":\"�\"}","payload_bytes":15}]}"#]]
    .assert_eq(&get("/api/v1/dead-letters?limit=1"));
    expect![[r#"{"code":"limit_invalid","message":"limit must be a whole number"}"#]]
        .assert_eq(&get("/api/v1/dead-letters?limit=all"));
    let all = get("/api/v1/dead-letters");
    assert_eq!(all.matches("\"seq\"").count(), 3);
}

const ENTITY: &str = r#"{"id":"urn:ngsi-ld:Gauge:5","type":"Gauge",
    "waterLevel":{"value":372,"unitCode":"CMT","observedAt":"2026-03-14T06:45:10.933Z"}}"#;

#[test]
fn what_a_context_broker_notifies_of_is_answered_as_received() {
    let notify = |path: &str, body: &str| {
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        request.body(Body::from(body.to_owned())).unwrap()
    };
    check_request(
        notify(NOTIFICATIONS, ENTITY),
        &expect![[r#"
            204 No Content

            reading auto-6f0fa7b8c05bbafd"#]],
    );
    // What cannot be read is durable as a dead letter; sent again it would be no better.
    check_request(
        notify("/api/v1/notifications/gauges/all", r#"{"id":"urn:a"}"#),
        &expect![[r#"
            204 No Content

            dead letter nothing_mapped"#]],
    );
}

#[test]
fn a_cloud_event_is_taken_with_its_attributes_as_headers() {
    let request = Request::post(READINGS)
        .header(CONTENT_TYPE, "application/json")
        .header("ce-specversion", "1.0")
        .header("ce-id", "A1")
        .header("ce-source", "/pumps")
        .header("ce-type", "reading")
        .header("ce-time", "2026-03-14T06:45:10Z");
    let body = r#"{"sensor":"p-1","kind":"pump","value":1}"#;
    check_request(
        request.body(Body::from(body)).unwrap(),
        &expect![[r#"
            200 OK
            {"accepted":1,"dead_lettered":0,"items":[{"status":"accepted","id":"/pumps A1"}]}
            reading /pumps A1"#]],
    );
    check(
        "application/cloudevents+json",
        &format!(
            r#"{{"specversion":"1.0","id":"A1","source":"/pumps","type":"reading","data":{READING}}}"#
        ),
        &expect![[r#"
            200 OK
            {"accepted":1,"dead_lettered":0,"items":[{"status":"accepted","id":"e1"}]}
            reading e1"#]],
    );
}
