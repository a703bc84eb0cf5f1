//! Welcome, snapshot, frames, filters, orders, readings.

use std::time::Duration;

use ioc_core::decision::{IncidentState, RefusalCode, Severity, Verdict};
use ioc_ws::Order;
use ioc_ws::{RefusalReason, Sample};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::*;

#[tokio::test]
async fn a_console_gets_the_picture_and_then_each_decision() {
    let mut served = Served::new().await;
    served.release([opened("a"), opened("b")]);
    let mut client = served.connect(json!({"type":"hello"})).await;
    let welcome = client.hear().await;
    assert_eq!(welcome["type"], "welcome");
    assert_eq!(welcome["epoch"], "epoch-1");
    assert_eq!(
        (&welcome["next"], &welcome["reason"]),
        (&json!("snapshot"), &json!("first"))
    );
    let snapshot = client.hear().await;
    assert_eq!(snapshot["seq"], 2);
    assert_eq!(snapshot["incidents"].as_array().unwrap().len(), 2);
    served.release([updated("a", 3)]);
    let frame = client.hear().await;
    assert_eq!((&frame["from"], &frame["to"]), (&json!(3), &json!(3)));
    assert_eq!(frame["decisions"][0]["incident"]["readings"], 3);
}

#[tokio::test]
async fn history_that_was_shown_before_serving_is_in_the_first_snapshot() {
    let mut served = Served::new().await;
    for each in 0..200 {
        served.release([opened(&format!("i{each}"))]);
    }
    let mut client = served.connect(json!({"type":"hello"})).await;
    assert_eq!(client.hear_of("snapshot").await["seq"], 200);
}

#[tokio::test]
async fn p4_a_filter_hides_decisions_but_never_numbers() {
    let mut served = Served::new().await;
    let hello = json!({"type":"hello","filter":{"zone":"z21","severity_min":"extreme"}});
    let mut client = served.connect(hello).await;
    let snapshot = client.hear_of("snapshot").await;
    let mut next = snapshot["seq"].as_u64().unwrap() + 1;
    let worse = Verdict::IncidentUpdated(IncidentState {
        severity: Severity::Extreme,
        ..incident("a")
    });
    served.release([opened("a"), updated("a", 3), worse, updated("a", 4)]);
    let mut told = Vec::new();
    while next <= 4 {
        let frame = client.hear().await;
        assert_eq!(frame["from"], next);
        next = frame["to"].as_u64().unwrap() + 1;
        told.extend(numbers(&frame));
    }
    assert_eq!(told, [3]);
}

#[tokio::test]
async fn an_order_is_answered_when_it_is_durable() {
    let mut served = Served::new().await;
    served.release([opened("a")]);
    let receiver = served.commands.receiver().clone();
    let host = std::thread::spawn(move || {
        let request = receiver.recv().unwrap();
        assert_eq!(request.actor.as_str(), "console");
        assert_eq!(request.request.as_str(), "r-1");
        request.answer.send(Ok(77)).unwrap();
        let core = RefusalReason::Core(RefusalCode::AlreadyAcknowledged);
        receiver.recv().unwrap().answer.send(Err(core)).unwrap();
    });
    let mut client = served.connect(json!({"type":"hello","token":TOKEN})).await;
    let welcome = client.hear().await;
    let you = json!({"actor":"console","commands":true,"token":"right"});
    assert_eq!(welcome["you"], you);
    let order = |request: &str| {
        json!({"type":"command","request_id":request,"action":"acknowledge",
               "incident":id("a").to_string()})
    };
    client.say(order("r-1")).await;
    let ok = client.hear_of("ok").await;
    assert_eq!((&ok["request_id"], &ok["seq"]), (&json!("r-1"), &json!(77)));
    client.say(order("r-2")).await;
    assert_eq!(
        client.hear_of("refused").await["code"],
        "already_acknowledged"
    );
    client.say(order("not a request id")).await;
    assert_eq!(client.hear_of("refused").await["code"], "bad_request");
    host.join().unwrap();
}

#[tokio::test]
async fn an_order_to_an_actuator_is_given_with_its_deadline_in_logical_time() {
    let served = Served::new().await;
    let receiver = served.commands.receiver().clone();
    let host = std::thread::spawn(move || {
        let request = receiver.recv().unwrap();
        let Order::Operate(order) = &request.order else {
            panic!("{:?}", request.order)
        };
        assert_eq!(
            (order.actuator.as_str(), order.command.as_str()),
            ("gate-7", "close")
        );
        assert_eq!(&*order.parameters, r#"{"speed":3}"#);
        assert!(order.not_after.is_some() && order.replaces.is_none());
        request.answer.send(Ok(78)).unwrap();
        let busy = RefusalReason::Core(RefusalCode::AlreadyPending);
        receiver.recv().unwrap().answer.send(Err(busy)).unwrap();
    });
    let mut client = served.connect(json!({"type":"hello","token":TOKEN})).await;
    let order = |request: &str, more: serde_json::Value| {
        let mut order = json!({"type":"command","request_id":request,"action":"operate",
                               "actuator":"gate-7","command":"close"});
        let members = more.as_object().unwrap().clone();
        order.as_object_mut().unwrap().extend(members);
        order
    };
    let more = json!({"parameters":{"speed":3},"not_after_s":30});
    client.say(order("r-1", more)).await;
    assert_eq!(client.hear_of("ok").await["seq"], 78);
    client.say(order("r-2", json!({}))).await;
    assert_eq!(client.hear_of("refused").await["code"], "already_pending");
    client.say(order("r-3", json!({"not_after_s":-1}))).await;
    let refused = client.hear_of("refused").await;
    assert_eq!(refused["code"], "bad_request");
    assert!(refused["message"].as_str().unwrap().contains("not_after_s"));
    host.join().unwrap();
}

#[tokio::test]
async fn p8_without_the_token_one_reads_and_commands_nothing() {
    let served = Served::new().await;
    let order = json!({"type":"command","request_id":"r","action":"acknowledge",
                       "incident":id("a").to_string()});
    for (hello, token) in [
        (json!({"type":"hello"}), "none"),
        (json!({"type":"hello","token":"guess"}), "wrong"),
    ] {
        let mut client = served.connect(hello).await;
        assert_eq!(client.hear().await["you"]["token"], token);
        client.say(order.clone()).await;
        assert_eq!(client.hear_of("refused").await["code"], "token_needed");
    }
    assert!(served.commands.receiver().is_empty());
}

#[tokio::test]
async fn p5_orders_beyond_the_queue_are_refused_as_busy() {
    let mut options = options("epoch-1");
    options.commands_max = 1;
    let served = Served::with(options).await;
    let mut client = served.connect(json!({"type":"hello","token":TOKEN})).await;
    for request in ["r-1", "r-2"] {
        let incident = id("a").to_string();
        client
            .say(
                json!({"type":"command","request_id":request,"action":"acknowledge",
                        "incident":incident}),
            )
            .await;
    }
    let refused = client.hear_of("refused").await;
    assert_eq!(
        (&refused["request_id"], &refused["code"]),
        (&json!("r-2"), &json!("busy"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_orders_of_one_session_beyond_its_bound_are_refused_as_busy() {
    let mut options = options("epoch-1");
    options.session_commands_max = 2;
    let served = Served::with(options).await;
    let order = |request: &str| {
        json!({"type":"command","request_id":request,"action":"acknowledge",
               "incident":id("a").to_string()})
    };
    let mut client = served.connect(json!({"type":"hello","token":TOKEN})).await;
    for request in ["r-1", "r-2", "r-3"] {
        client.say(order(request)).await;
    }
    let refused = client.hear_of("refused").await;
    assert_eq!(
        (&refused["request_id"], &refused["code"]),
        (&json!("r-3"), &json!("busy"))
    );
    let mut other = served.connect(json!({"type":"hello","token":TOKEN})).await;
    other.say(order("r-4")).await;
    let queue = served.commands.receiver();
    for expected in ["r-1", "r-2", "r-4"] {
        let given = queue.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(
            given.request.as_str(),
            expected,
            "others are not in its way"
        );
    }
}

#[tokio::test]
async fn p5_an_order_is_not_waited_for_without_end() {
    let mut options = options("epoch-1");
    options.answer_within = Duration::from_millis(20);
    let served = Served::with(options).await;
    let mut client = served.connect(json!({"type":"hello","token":TOKEN})).await;
    let order = json!({"type":"command","request_id":"r-1","action":"acknowledge",
                       "incident":id("a").to_string()});
    client.say(order).await;
    assert_eq!(client.hear_of("refused").await["code"], "no_answer");
}

#[tokio::test]
async fn frost_server_2323_the_newest_value_is_there_on_subscribing() {
    let mut options = options("epoch-1");
    options.readings_every = Duration::from_millis(1);
    let served = Served::with(options).await;
    let sample = |value| Sample {
        sensor: "wl-0412".parse().unwrap(),
        kind: "water_level".parse().unwrap(),
        value,
        unit: "m".into(),
        observed_at: at(1),
        position: None,
    };
    served.window.sample(vec![sample(3.5), sample(3.7)]);
    let mut client = served.connect(json!({"type":"hello"})).await;
    let snapshot = client.hear_of("snapshot").await;
    assert_eq!(snapshot["readings"][0]["value"], 3.7);
    served.window.sample(vec![sample(3.9)]);
    loop {
        let readings = client.hear_of("readings").await;
        if readings["readings"][0]["value"] == 3.9 {
            break;
        }
    }
}

#[tokio::test]
async fn p5_one_session_too_many_is_refused_with_503() {
    let mut options = options("epoch-1");
    options.sessions_max = 1;
    let served = Served::with(options).await;
    let mut first = served.connect(json!({"type":"hello"})).await;
    first.hear().await;
    match Client::open(served.request()).await {
        Err(Error::Http(response)) => {
            assert_eq!(response.status(), 503);
            assert!(response.headers().contains_key("retry-after"));
            let body = String::from_utf8(response.into_body().unwrap()).unwrap();
            assert!(body.contains("sessions_full"), "{body}");
        }
        _ => panic!("a second session"),
    }
}

#[tokio::test]
async fn p5_messages_beyond_the_bound_or_in_bytes_close_the_session() {
    let served = Served::new().await;
    let mut client = served.connect(json!({"type":"hello"})).await;
    client.send(Message::text("x".repeat(65 << 10))).await;
    assert_eq!(client.closed().await, 1009);
    let mut client = served.connect(json!({"type":"hello"})).await;
    client.send(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(client.closed().await, 1003);
}

#[tokio::test]
async fn the_server_beats_with_logical_time_and_what_it_has_told() {
    let mut options = options("epoch-1");
    options.beat_every = Duration::from_millis(5);
    let mut served = Served::with(options).await;
    served.release([opened("a")]);
    let mut client = served.connect(json!({"type":"hello"})).await;
    let beat = client.hear_of("beat").await;
    assert_eq!(beat["seq"], 1);
    assert_eq!(beat["now"], at(0).to_string());
}

#[tokio::test]
async fn another_subprotocol_is_refused_with_the_one_that_is_spoken() {
    let served = Served::new().await;
    let mut request = served.request();
    let protocol = "ioc.v9".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    match Client::open(request).await {
        Err(Error::Http(response)) => {
            let body = String::from_utf8(response.into_body().unwrap()).unwrap();
            assert!(body.contains("ioc.v1"), "{body}");
        }
        _ => panic!("ioc.v9 is not spoken"),
    }
}

/// What a compressor keeps for each of sixty thousand consoles is memory that nobody bounds.
#[tokio::test]
async fn nats_server_5553_compression_is_offered_in_vain() {
    let served = Served::new().await;
    let mut request = served.request();
    let offered = "permessage-deflate; client_max_window_bits"
        .parse()
        .unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-extensions", offered);
    let (_socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
    assert_eq!(response.headers().get("sec-websocket-extensions"), None);
}

#[tokio::test]
async fn a_window_that_closes_takes_no_new_sessions() {
    let served = Served::new().await;
    let client = served.connect(json!({"type":"hello"})).await;
    served.window.close();
    assert_eq!(client.closed().await, 1001);
    assert!(Client::open(served.request()).await.is_err());
}
