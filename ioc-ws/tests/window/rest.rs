//! REST: the same picture, asked for.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use ioc_core::bundle::{
    Actuator, ActuatorCommand, Bundle, City, HandlingRules, Scale, Sensor, SuppressionRules, Zone,
};
use ioc_core::decision::{
    EffectClass, FaultKind, IncidentState, Named, RefusalCode, SensorFault, Severity, Verdict,
};
use ioc_core::place::{Polygon, Position};
use ioc_core::reading::{Attributes, Reading};
use ioc_core::record::{BundleHash, Input, Record};
use ioc_core::time::Millis;
use ioc_ws::{Order, RefusalReason, Statement};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::*;

async fn send(served: &Served, request: Request<Body>) -> (StatusCode, Value) {
    let response = served.window.router().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

async fn get(served: &Served, path: &str) -> (StatusCode, Value) {
    send(served, Request::get(path).body(Body::empty()).unwrap()).await
}

fn fire(name: &str, severity: Severity) -> Verdict {
    Verdict::IncidentOpened(IncidentState {
        kind: "fire".parse().unwrap(),
        zone: "z00".parse().unwrap(),
        severity,
        ..incident(name)
    })
}

#[tokio::test]
async fn lists_open_incidents_first_and_then_the_worst() {
    let mut served = Served::new().await;
    served.release([
        opened("over"),
        fire("small", Severity::Minor),
        opened("flood"),
        fire("big", Severity::Extreme),
        opened("part"),
        merged("part", "flood"),
        cleared("over"),
    ]);
    let (status, list) = get(&served, "/api/v1/incidents").await;
    assert_eq!(status, StatusCode::OK);
    let ids = |list: &Value| -> Vec<String> {
        let incidents = list["incidents"].as_array().unwrap();
        incidents
            .iter()
            .map(|each| each["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let named = |names: &[&str]| {
        names
            .iter()
            .map(|name| id(name).to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&list), named(&["big", "flood", "small", "over"]));
    assert_eq!((&list["seq"], &list["total"]), (&json!(7), &json!(4)));
    assert_eq!(list["counts"]["extreme"], 1);
    for (query, expected) in [
        ("?kind=fire", &["big", "small"][..]),
        ("?zone=z21&condition=active", &["flood"]),
        ("?condition=cleared,unknown", &["over"]),
        ("?severity_min=severe&limit=1", &["big"]),
        ("?kind=quake", &[]),
    ] {
        let (_, list) = get(&served, &format!("/api/v1/incidents{query}")).await;
        assert_eq!(ids(&list), named(expected), "{query}");
    }
}

#[tokio::test]
async fn a_question_that_is_not_understood_is_answered_with_what_would_be() {
    let served = Served::new().await;
    for (path, word) in [
        (
            "/api/v1/incidents?condition=open",
            "active, cleared or unknown",
        ),
        ("/api/v1/incidents?limit=0", "1 to 1000"),
        ("/api/v1/incidents?severity=severe", "severity_min"),
        ("/api/v1/incidents?severity_min=bad", "extreme"),
        ("/api/v1/incidents/7", "inc-"),
        ("/api/v1/decisions?limit=many", "1 to 1000"),
    ] {
        let (status, error) = get(&served, path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(error["code"], "bad_request");
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
    }
}

#[tokio::test]
async fn an_incident_comes_with_its_decisions() {
    let mut served = Served::new().await;
    served.release([opened("a"), opened("b"), updated("a", 3), merged("b", "a")]);
    let path = format!("/api/v1/incidents/{}", id("a"));
    let (status, answer) = get(&served, &path).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(answer["incident"]["id"], id("a").to_string());
    let timeline = answer["timeline"].as_array().unwrap();
    let numbers: Vec<_> = timeline
        .iter()
        .map(|each| each["seq"].as_u64().unwrap())
        .collect();
    // What was told of what has become part of it is told with it.
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert!(answer.get("merged_from").is_none());
}

#[tokio::test]
async fn what_was_split_off_an_incident_is_told_with_it() {
    let mut served = Served::new().await;
    let split = Verdict::IncidentSplit {
        incident: incident("c"),
        from: id("a"),
        moved: Named {
            first: vec![("sm-5".parse().unwrap(), None)],
            count: 1,
        },
    };
    served.release([opened("a"), opened("b"), split]);
    for (name, numbers) in [("a", &[1, 3][..]), ("c", &[3])] {
        let (_, answer) = get(&served, &format!("/api/v1/incidents/{}", id(name))).await;
        assert_eq!(answer["incident"]["id"], id(name).to_string());
        let timeline = answer["timeline"].as_array().unwrap().iter();
        let told: Vec<_> = timeline.map(|each| each["seq"].as_u64().unwrap()).collect();
        assert_eq!(told, numbers);
        assert_eq!(answer["timeline_left_out"], 0);
    }
}

#[tokio::test]
async fn how_an_incident_opened_is_told_when_the_ring_has_moved_on() {
    let mut options = options("epoch-1");
    options.ring_decisions_max = 3;
    let mut served = Served::with(options).await;
    let grown = |readings| updated("a", readings);
    served.release([opened("b"), opened("a"), updated("a", 3), merged("b", "a")]);
    // More than the keeper joins into one batch, so that the ring lets the first go.
    served.release((4..604).map(grown));
    let (_, answer) = get(&served, &format!("/api/v1/incidents/{}", id("a"))).await;
    let timeline = answer["timeline"].as_array().unwrap();
    let numbers: Vec<_> = timeline
        .iter()
        .map(|each| each["seq"].as_u64().unwrap())
        .collect();
    let told = 1 + 1 + 1 + 1 + 600;
    let first = "both openings and the merger";
    assert_eq!(numbers[..3], [1, 2, 4], "{first}");
    assert_eq!(answer["timeline_left_out"], told - numbers.len());
    assert_eq!(*numbers.last().unwrap(), 604);
}

#[tokio::test]
async fn what_nobody_serves_and_wrong_methods_are_answered_in_words() {
    let served = Served::new().await;
    let (status, error) = get(&served, "/api/v1/nothing").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(error["code"], "no_such_path");
    let post = Request::post("/api/v1/decisions").body(Body::empty());
    let response = served.window.router().oneshot(post.unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let error: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(error["code"], "wrong_method");
}

#[tokio::test]
async fn every_route_of_the_window_answers_a_wrong_method_in_words() {
    let served = Served::new().await;
    let source = include_str!("../../src/server.rs");
    // A route that is too long for a line has its path on the next one.
    let routes = source.split(".route(").skip(1).filter_map(|route| {
        let (path, _) = route.trim_start().strip_prefix('"')?.split_once('"')?;
        Some(path)
    });
    let routes: Vec<_> = routes.collect();
    assert_eq!(routes.len(), source.matches(".route(").count());
    for route in routes {
        let parts = route.split('/');
        let parts = parts.map(|part| if part.starts_with('{') { "x" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        let request = Request::delete(&path).body(Body::empty()).unwrap();
        let (status, error) = send(&served, request).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(error["code"], "wrong_method", "{path}");
    }
}

#[tokio::test]
async fn the_id_of_a_merged_incident_leads_to_its_survivor_and_says_so() {
    let mut options = options("epoch-1");
    options.ended_incidents_max = 1;
    let mut served = Served::with(options).await;
    served.release([
        opened("c"),
        opened("b"),
        opened("a"),
        merged("a", "b"),
        merged("b", "c"),
    ]);
    for name in ["a", "b"] {
        let (status, answer) = get(&served, &format!("/api/v1/incidents/{}", id(name))).await;
        assert_eq!(status, StatusCode::OK, "{name}");
        assert_eq!(answer["merged_from"], id(name).to_string());
        assert_eq!(answer["incident"]["id"], id("c").to_string());
    }
    let (status, error) = get(&served, &format!("/api/v1/incidents/{}", id("never"))).await;
    assert_eq!(
        (status, &error["code"]),
        (StatusCode::NOT_FOUND, &json!("unknown_incident"))
    );
}

#[tokio::test]
async fn actuators_are_listed_with_what_they_can_do_and_ordered_with_the_token() {
    let served = Served::new().await;
    let command = |name: &str| ActuatorCommand {
        name: name.parse().unwrap(),
        confirmed_by: None,
    };
    let gate = |id: &str| Actuator {
        id: id.parse().unwrap(),
        position: None,
        zone: None,
        effect: EffectClass::Idempotent,
        deadline: Millis::minutes(1),
        outcome_within: Millis::seconds(90),
        commands: vec![command("close"), command("open")],
    };
    served
        .window
        .set_actuators(vec![gate("gate-7"), gate("gate-8")].into());
    let (status, all) = get(&served, "/api/v1/actuators?limit=1").await;
    assert_eq!((status, &all["total"]), (StatusCode::OK, &json!(2)));
    assert_eq!(all["actuators"].as_array().unwrap().len(), 1);
    let (_, one) = get(&served, "/api/v1/actuators/gate-8").await;
    assert_eq!(
        one["actuator"]["commands"][0],
        json!({"command":"close","confirmed_by":null})
    );
    assert_eq!(one["actuator"]["last"], Value::Null);
    let (status, unknown) = get(&served, "/api/v1/actuators/gate-9").await;
    assert_eq!(
        (status, &unknown["code"]),
        (StatusCode::NOT_FOUND, &json!("unknown_actuator"))
    );

    let order = |token: Option<&str>, body: &str| {
        let mut request = Request::post("/api/v1/actuators/gate-7/commands");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request.body(Body::from(body.to_owned())).unwrap()
    };
    let close = r#"{"command":"close"}"#;
    assert_eq!(
        send(&served, order(None, close)).await.0,
        StatusCode::UNAUTHORIZED
    );
    let (status, refused) = send(&served, order(Some(TOKEN), "close")).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::BAD_REQUEST, &json!("bad_request"))
    );
    let receiver = served.commands.receiver().clone();
    let host = std::thread::spawn(move || {
        let order = receiver.recv().unwrap();
        order.answer.send(Ok(21)).unwrap();
        let unknown = RefusalReason::Core(RefusalCode::CommandNotAllowed);
        receiver.recv().unwrap().answer.send(Err(unknown)).unwrap();
    });
    let (status, ok) = send(&served, order(Some(TOKEN), close)).await;
    assert_eq!((status, &ok["seq"]), (StatusCode::OK, &json!(21)));
    let (status, refused) = send(&served, order(Some(TOKEN), r#"{"command":"fly"}"#)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(refused["code"], "command_not_allowed");
    host.join().unwrap();
}

#[tokio::test]
async fn an_actuator_is_in_its_own_zone_else_in_the_one_that_it_lies_in() {
    let served = Served::new().await;
    let place = |lon, lat| Position::from_degrees(lon, lat).unwrap();
    let corners = [(101.0, 3.0), (102.0, 3.0), (102.0, 4.0), (101.0, 3.0)];
    let ring = corners.map(|(lon, lat)| place(lon, lat)).to_vec();
    let mut bundle = gauges();
    bundle.city.zones[0].areas = vec![Polygon::new(ring).unwrap()];
    let pump = |id: &str, zone: Option<&str>, position| Actuator {
        id: id.parse().unwrap(),
        position,
        zone: zone.map(|zone| zone.parse().unwrap()),
        effect: EffectClass::Idempotent,
        deadline: Millis::minutes(1),
        outcome_within: Millis::seconds(90),
        commands: Vec::new(),
    };
    let within = Some(place(101.9, 3.1));
    let pumps = vec![
        pump("p1", Some("quay"), within),
        pump("p2", None, within),
        pump("p3", None, Some(place(101.1, 3.9))),
        pump("p4", None, None),
    ];
    served.window.set_actuators(pumps.into());
    let zones = async || {
        let (_, all) = get(&served, "/api/v1/actuators").await;
        let all = all["actuators"].as_array().unwrap().iter();
        all.map(|each| each["zone"].clone()).collect::<Vec<_>>()
    };
    // What is not known yet, nobody lies in.
    assert_eq!(zones().await[1..], [(); 3].map(|()| Value::Null));
    served.window.set_bundle(Arc::new(bundle));
    let zones = zones().await;
    assert_eq!(
        zones,
        [json!("quay"), json!("north"), json!(null), json!(null)]
    );
    let (_, one) = get(&served, "/api/v1/actuators/p2").await;
    assert_eq!(one["actuator"]["zone"], "north");
}

#[tokio::test]
async fn what_evidence_says_in_words_is_told_with_its_incident() {
    let mut served = Served::new().await;
    let statement = |reading: &str, headline: &str, web: Option<&str>| Statement {
        sensor: "wl-0412".parse().unwrap(),
        reading: reading.parse().unwrap(),
        headline: headline.into(),
        web: web.map(Into::into),
        replaces: "".into(),
    };
    // The evidence of the decisions that follow is called r1, r2 and so on.
    served.window.heard(vec![
        statement("r1", "Rivers rise", Some("https://met.example/7")),
        statement("r9", "Nothing that anybody decided from", None),
    ]);
    served.release([opened("a"), opened("b")]);
    served
        .window
        .heard(vec![statement("r3", "They still do", None)]);
    served.release([updated("a", 3), merged("b", "a")]);
    let (_, answer) = get(&served, &format!("/api/v1/incidents/{}", id("b"))).await;
    let expected = json!([
        {"sensor":"wl-0412","reading":"r3","headline":"They still do","web":null,"withdrawn":false},
        {"sensor":"wl-0412","reading":"r1","headline":"Rivers rise","web":"https://met.example/7",
         "withdrawn":false},
    ]);
    assert_eq!(answer["statements"], expected, "{answer}");
}

#[tokio::test]
async fn what_was_said_before_the_start_is_told_with_what_is_shown_again() {
    let mut served = Served::new().await;
    served.release([opened("a")]);
    let path = format!("/api/v1/incidents/{}", id("a"));
    assert_eq!(get(&served, &path).await.1["statements"], json!([]));
    served.window.recall(vec![Statement {
        sensor: "wl-0412".parse().unwrap(),
        reading: "r1".parse().unwrap(),
        headline: "Rivers rise".into(),
        web: None,
        replaces: "".into(),
    }]);
    let (_, answer) = get(&served, &path).await;
    assert_eq!(answer["statements"][0]["headline"], "Rivers rise");
}

#[tokio::test]
async fn thingsboard_7553_what_is_changed_through_rest_is_pushed() {
    let mut served = Served::new().await;
    served.release([opened("a")]);
    let mut console = served.connect(json!({"type":"hello"})).await;
    console.hear_of("snapshot").await;
    let (window, receiver) = (served.window.clone(), served.commands.receiver().clone());
    let mut history = std::mem::take(&mut served.history);
    let host = std::thread::spawn(move || {
        let order = receiver.recv().unwrap();
        assert_eq!(order.request.as_str(), "mine-1");
        assert_eq!(order.order, Order::Acknowledge(id("a")));
        window.release(history.publish([Verdict::IncidentAcknowledged(incident("a"))]));
        order.answer.send(Ok(20)).unwrap();
    });
    let acknowledge = Request::post(format!("/api/v1/incidents/{}/acknowledge", id("a")))
        .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
        .header("idempotency-key", "mine-1");
    let answer = send(&served, acknowledge.body(Body::empty()).unwrap()).await;
    assert_eq!(
        answer,
        (StatusCode::OK, json!({"request_id":"mine-1","seq":20}))
    );
    host.join().unwrap();
    let frame = console.hear_of("frame").await;
    assert_eq!(frame["decisions"][0]["type"], "incident_acknowledged");
}

#[tokio::test]
async fn p8_acknowledging_needs_the_token() {
    let served = Served::new().await;
    let path = format!("/api/v1/incidents/{}/acknowledge", id("a"));
    for authorization in [None, Some("Bearer guess"), Some(TOKEN)] {
        let mut request = Request::post(&path);
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let (status, error) = send(&served, request.body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(error["code"], "token_needed");
    }
    assert!(served.commands.receiver().is_empty());
}

#[tokio::test]
async fn an_order_to_a_host_that_is_gone_is_refused_rather_than_forgotten() {
    let Served {
        window, commands, ..
    } = Served::new().await;
    drop(commands);
    let request = Request::post(format!("/api/v1/incidents/{}/acknowledge", id("a")))
        .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"));
    let request = request.body(Body::empty()).unwrap();
    let response = window.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "5");
}

#[tokio::test]
async fn the_newest_decisions_are_listed_oldest_first() {
    let mut served = Served::new().await;
    for each in 0..7 {
        served.release([updated("a", each), updated("b", each)]);
    }
    let (_, answer) = get(&served, "/api/v1/decisions?limit=3").await;
    assert_eq!(numbers(&answer), [12, 13, 14]);
    assert_eq!(answer["seq"], 14);
}

#[tokio::test]
async fn sensors_health_says_who_is_broken_and_who_causes_the_most() {
    let mut served = Served::new().await;
    let fault = |kind, distrusted| SensorFault { kind, distrusted };
    let flaps = fault(FaultKind::Flapping, true);
    served.release([
        Verdict::SensorFaulty(sensor_state("wl-1"), fault(FaultKind::Skewed, false)),
        Verdict::SensorFaulty(sensor_state("wl-2"), flaps),
        Verdict::SensorFaulty(sensor_state("wl-3"), flaps),
        Verdict::SensorSound(sensor_state("wl-3"), fault(FaultKind::Flapping, false)),
        Verdict::SensorFaulty(sensor_state("wl-3"), flaps),
    ]);
    let (status, health) = get(&served, "/api/v1/sensors/health?limit=2").await;
    assert_eq!((status, &health["total"]), (StatusCode::OK, &json!(3)));
    let sensors = health["sensors"].as_array().unwrap();
    let listed: Vec<_> = sensors.iter().map(|each| &each["id"]).collect();
    assert_eq!(listed, ["wl-2", "wl-3"], "those that are not trusted first");
    assert_eq!(sensors[0]["distrusted"], true);
    assert_eq!(sensors[0]["faults"][0]["fault"], "flapping");
    assert_eq!(sensors[0]["faults"][0]["seq"], 2);
    let worst = &health["bad_actors"];
    assert_eq!((&worst["days"], &worst["faults"]), (&json!(7), &json!(4)));
    assert_eq!(
        worst["sensors"][0],
        json!({"sensor":"wl-3","alarms":0,"faults":2,"updates":0,"share":0.5})
    );
    let (status, _) = get(&served, "/api/v1/sensors/health?zone=a").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_city_is_sent_once() {
    let served = Served::new().await;
    let (status, error) = get(&served, "/api/v1/city").await;
    assert_eq!(
        (status, &error["code"]),
        (StatusCode::NOT_FOUND, &json!("no_city"))
    );
    served
        .window
        .set_city(r#"{"type":"FeatureCollection","features":[]}"#.into());
    let request = || Request::get("/api/v1/city");
    let first = request().body(Body::empty()).unwrap();
    let first = served.window.router().oneshot(first).await.unwrap();
    assert_eq!(
        first.headers()[header::CONTENT_TYPE],
        "application/geo+json"
    );
    let etag = first.headers()[header::ETAG].clone();
    let again = request()
        .header(header::IF_NONE_MATCH, etag)
        .body(Body::empty())
        .unwrap();
    let again = served.window.router().oneshot(again).await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}

/// Hands a reading over as the host does when it is journaled.
fn say(served: &Served, sensor: &str, value: f64, observed: u64) {
    let id = observed.to_string();
    let reading = Reading {
        id: &id,
        sensor,
        kind: "water_level",
        observed_at: at(observed),
        received_at: None,
        value,
        unit: "m",
        position: None,
        attributes: Attributes::default(),
    };
    let mut framed = Vec::new();
    Record::frame_input(at(observed), &Input::Reading(reading), &mut framed);
    served.window.journaled(observed, Arc::new(framed), 0);
}

/// A city of three gauges, two of them in a zone, and a part of that zone.
fn gauges() -> Bundle {
    let zone = |id: &str, parent: Option<&str>| Zone {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        parent: parent.map(|parent| parent.parse().unwrap()),
        areas: Vec::new(),
    };
    let gauge = |id: &str, zone: Option<&str>| Sensor {
        id: id.parse().unwrap(),
        kind: "water_level".parse().unwrap(),
        unit: "m".to_owned(),
        scale: Scale::OfKind,
        zone: zone.map(|zone| zone.parse().unwrap()),
        position: None,
        interval: None,
        warning: Some(3.0),
        danger: None,
        gateway: None,
    };
    Bundle {
        city: City {
            zones: vec![zone("north", None), zone("quay", Some("north"))],
            sensors: vec![
                gauge("wl-1", Some("north")),
                gauge("wl-2", Some("quay")),
                gauge("wl-3", None),
            ],
            ..City::default()
        },
        hash: BundleHash([0; 32]),
        detections: Vec::new(),
        correlations: Vec::new(),
        handling: HandlingRules::NONE,
        suppression: SuppressionRules::USUAL,
    }
}

#[tokio::test]
async fn frost_server_2323_the_last_value_of_a_sensor_is_told_to_whoever_asks() {
    let served = Served::new().await;
    served.window.set_bundle(Arc::new(gauges()));
    say(&served, "wl-2", 3.5, 1);
    say(&served, "wl-2", 3.7, 2);
    say(&served, "stray", 1.0, 3);
    let (status, answer) = get(&served, "/api/v1/sensors/wl-2").await;
    assert_eq!(status, StatusCode::OK);
    let sensor = &answer["sensor"];
    assert_eq!(sensor["value"], 3.7, "{answer}");
    assert_eq!(sensor["observed_at"], at(2).to_string());
    assert_eq!(
        (&sensor["zone"], &sensor["warning"]),
        (&json!("quay"), &json!(3.0))
    );
    assert_eq!(answer["evidence_of"], json!([]));
    let (_, answer) = get(&served, "/api/v1/sensors/wl-1").await;
    assert_eq!(answer["sensor"]["value"], Value::Null);
    let (_, answer) = get(&served, "/api/v1/sensors/stray").await;
    assert_eq!(answer["sensor"]["registered"], false);
    for unknown in ["nobody", "a%20b"] {
        let (status, answer) = get(&served, &format!("/api/v1/sensors/{unknown}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{answer}");
    }
}

#[tokio::test]
async fn sensors_are_told_page_by_page_and_by_zone_kind_and_name() {
    let served = Served::new().await;
    served.window.set_bundle(Arc::new(gauges()));
    say(&served, "stray", 1.0, 1);
    say(&served, "wl-2", 3.0, 2);
    for (query, expected, next) in [
        ("", &["stray", "wl-1", "wl-2", "wl-3"][..], Value::Null),
        ("?limit=2", &["stray", "wl-1"], json!("wl-1")),
        ("?limit=2&after=wl-1", &["wl-2", "wl-3"], Value::Null),
        ("?zone=north", &["wl-1", "wl-2"], Value::Null),
        ("?zone=quay", &["wl-2"], Value::Null),
        ("?zone=_", &["stray", "wl-3"], Value::Null),
        ("?q=L-3", &["wl-3"], Value::Null),
        ("?kind=rainfall", &[], Value::Null),
    ] {
        let (status, answer) = get(&served, &format!("/api/v1/sensors{query}")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let sensors = answer["sensors"].as_array().unwrap();
        let ids: Vec<_> = sensors
            .iter()
            .map(|each| each["id"].as_str().unwrap())
            .collect();
        assert_eq!((&ids[..], &answer["next"]), (expected, &next), "{query}");
    }
    for (query, word) in [
        ("?after=a b", "after"),
        ("?name=x", "zone, kind, q"),
        ("?limit=0", "1 to"),
    ] {
        let path = format!("/api/v1/sensors{}", query.replace(' ', "%20"));
        let (status, error) = get(&served, &path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
    }
}
