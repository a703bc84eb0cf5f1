//! Push by API key: who may publish what.

use std::future::Future;
use std::task::{Context, Waker};

use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};

use super::*;
use crate::keys::{Key, NewKey};

fn key(name: &str, sensors: &[&str]) -> NewKey {
    let sensors: Vec<_> = sensors.iter().map(|&sensor| sensor.to_owned()).collect();
    NewKey::new(name, &sensors, [9; 16]).unwrap()
}

fn bench_of(key: &NewKey) -> Bench {
    let keys = Keys::new([Key::of_line(&key.line).unwrap()]);
    bench_with(HttpOptions::default(), DoorOptions::default(), Some(keys))
}

fn of(sensor: &str) -> String {
    READING.replace("wl-1", sensor).replace('\n', "")
}

#[test]
fn p8_a_key_publishes_its_own_sensors_and_no_others() {
    let key = key("pump", &["wl-1", "hydro-*"]);
    let body = format!("[{},{},{}]", of("wl-1"), of("hydro-7"), of("wl-2"));
    let mut request = post("application/json", body);
    let bearer = format!("Bearer {}", key.key).parse().unwrap();
    request.headers_mut().insert(AUTHORIZATION, bearer);
    check_of(
        bench_of(&key),
        request,
        &expect![[r#"
            207 Multi-Status
            {"accepted":2,"dead_lettered":1,"items":[{"status":"accepted","id":"e1"},{"status":"accepted","id":"e1"},{"status":"dead_lettered","reason":"sensor_not_of_key","detail":"this key may not publish `wl-2`; name the sensor in the key's line of http.keys_file"}]}
            reading e1
            reading e1
            dead letter sensor_not_of_key"#]],
    );
}

#[test]
fn p8_a_key_for_all_sensors_answers_for_no_device() {
    let feedback = r#"{"key":"cmd-0000000000000000","state":"done"}"#;
    let check = |sensors: &[&str], expected: &Expect| {
        let key = key("noise", sensors);
        let request = Request::post("/api/v1/messages/ioc/v1/feedback/siren-1");
        let request = request.header("X-API-Key", &key.key);
        check_of(
            bench_of(&key),
            request.body(Body::from(feedback)).unwrap(),
            expected,
        );
    };
    let refused = expect![[r#"
        422 Unprocessable Entity
        {"accepted":0,"dead_lettered":1,"items":[{"status":"dead_lettered","reason":"feedback_not_allowed","detail":"this key may not speak for `siren-1`; name the device in the key's line of http.keys_file, as `devices=siren-1`"}]}
        dead letter feedback_not_allowed"#]];
    check(&["*"], &refused);
    check(&["siren-*", "devices=gate-7"], &refused);
    // Who may speak for it is asked what it speaks of.
    check(
        &["*", "devices=siren-*"],
        &expect![[r#"
        422 Unprocessable Entity
        {"accepted":0,"dead_lettered":1,"items":[{"status":"dead_lettered","reason":"feedback_invalid","detail":"`key`: a command's key must be cmd- and twenty base 32 digits"}]}
        dead letter feedback_invalid"#]],
    );
}

#[test]
fn p8_a_mapping_gives_nobody_another_sensor() {
    let key = key("pump", &["g-1"]);
    let gauges =
        r#"{"at":1773470710,"gauges":[{"name":"g-1","level":1},{"name":"g-2","level":2}]}"#;
    let request = Request::post("/api/v1/messages/hydro/north").header("X-API-Key", &key.key);
    check_of(
        bench_of(&key),
        request.body(Body::from(gauges)).unwrap(),
        &expect![[r#"
            207 Multi-Status
            {"accepted":1,"dead_lettered":1,"items":[{"status":"accepted","id":"g-1-1773470710"},{"status":"dead_lettered","reason":"sensor_not_of_key","detail":"/gauges/1: this key may not publish `g-2`; name the sensor in the key's line of http.keys_file"}]}
            reading g-1-1773470710
            dead letter sensor_not_of_key"#]],
    );
}

#[test]
fn p8_nobody_is_born_and_dies_as_the_node_of_another() {
    let certificate = b"\x12\x09\x0a\x05bdSeq\x58\x01";
    let check = |kind: &str, sensors: &[&str], expected: &Expect| {
        let key = key("plant", sensors);
        let keys = Keys::new([Key::of_line(&key.line).unwrap()]);
        let plants = formats::tests::catalogue("spBv1.0/#", formats::mapping::Format::Sparkplug);
        let bounds = (HttpOptions::default(), DoorOptions::default());
        let request = Request::post(format!("/api/v1/messages/spBv1.0/plant/{kind}/pump-house"))
            .header("X-API-Key", &key.key);
        let request = request.body(Body::from(&certificate[..])).unwrap();
        check_of(bench_by(plants, bounds, Some(keys)), request, expected);
    };
    let birth = expect![[r#"
        200 OK
        {"accepted":0,"dead_lettered":0,"noted":1,"items":[{"status":"noted","why":"a birth certificate"}]}
    "#]];
    let death = expect![[r#"
        200 OK
        {"accepted":0,"dead_lettered":0,"noted":1,"items":[{"status":"noted","why":"the death of a session that is not known, or over"}]}
    "#]];
    let refused = expect![[r#"
        422 Unprocessable Entity
        {"accepted":0,"dead_lettered":1,"items":[{"status":"dead_lettered","reason":"sensor_not_of_key","detail":"this key may not publish `plant:pump-house`; name the sensor in the key's line of http.keys_file"}]}
        dead letter sensor_not_of_key"#]];
    for (kind, noted) in [("NBIRTH", birth), ("NDEATH", death)] {
        check(kind, &["plant:pump-house"], &noted);
        check(kind, &["plant:pump-house:*", "plant:pump"], &refused);
    }
}

#[test]
fn p8_without_a_key_nothing_is_read() {
    let key = key("pump", &["*"]);
    let Bench {
        router, arrivals, ..
    } = bench_of(&key);
    let wrong = format!("{}0", key.key);
    let never = || Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    block_on(async {
        for (path, content_type) in [
            (READINGS, "application/json"),
            (READINGS, "application/x-ndjson"),
            ("/api/v1/messages/hydro/north", "application/json"),
        ] {
            for (name, shown, code) in [
                ("x-none", "", "key_needed"),
                ("authorization", "Basic aW9jOmlvYw==", "key_needed"),
                ("authorization", &format!("Bearer {wrong}"), "key_unknown"),
                ("x-api-key", &wrong, "key_unknown"),
            ] {
                let request = Request::post(path)
                    .header(CONTENT_TYPE, content_type)
                    .header("accept", content_type)
                    .header(name, shown);
                let response = router.clone().oneshot(request.body(never()).unwrap());
                let response = response.await.unwrap();
                assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
                assert!(response.headers().contains_key(WWW_AUTHENTICATE));
                let text = text(response).await;
                assert!(text.contains(code), "{path} {shown}: {text}");
            }
        }
    });
    assert!(arrivals.queue(Lane::Telemetry).is_empty());
}

#[test]
fn p5_one_key_takes_no_more_places_than_its_own() {
    let [slow, other] = [key("slow", &["*"]), key("other", &["*"])];
    let keys = [&slow, &other].map(|key| Key::of_line(&key.line).unwrap());
    let options = HttpOptions {
        key_requests_max: 1,
        key_streams_max: 1,
        ..HttpOptions::default()
    };
    let bench = bench_with(options, DoorOptions::default(), Some(Keys::new(keys)));
    let never = || Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    block_on(async {
        for content_type in ["application/json", "application/x-ndjson"] {
            let request = |key: &NewKey, body| {
                let request = Request::post(READINGS)
                    .header(CONTENT_TYPE, content_type)
                    .header("x-api-key", &key.key);
                let router = bench.router.clone();
                router.oneshot(request.body(body).unwrap())
            };
            let mut waits = Box::pin(request(&slow, never()));
            let context = &mut Context::from_waker(Waker::noop());
            assert!(waits.as_mut().poll(context).is_pending());
            let refused = request(&slow, Body::empty()).await.unwrap();
            assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
            let others = request(&other, Body::empty()).await.unwrap();
            assert_ne!(others.status(), StatusCode::SERVICE_UNAVAILABLE);
            drop(waits);
            let again = request(&slow, Body::empty()).await.unwrap();
            assert_ne!(again.status(), StatusCode::SERVICE_UNAVAILABLE);
        }
    });
}
