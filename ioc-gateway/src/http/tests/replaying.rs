//! Dead letters over HTTP.

use super::*;

fn letter<'a>(reason: &'a str, payload: &'a str) -> DeadLetter<'a> {
    DeadLetter {
        source: "mqtt a",
        topic: "ioc/v1/readings/wl-1",
        reason,
        detail: "why",
        payload: payload.as_bytes(),
        payload_bytes: payload.len() as u32,
        ..DeadLetter::default()
    }
}

fn note(letters: &DeadLetters, seq: u64, reason: &str, payload: &str) {
    let letter = letter(reason, payload);
    letters.note(seq, Timestamp::from_millis(seq as i64), &letter);
}

fn answer(router: &Router, request: Request<Body>) -> (u16, String) {
    block_on(async {
        let response = router.clone().oneshot(request).await.unwrap();
        (response.status().as_u16(), text(response).await)
    })
}

fn order(body: &str, operator: bool) -> Request<Body> {
    let mut request = Request::post("/api/v1/dead-letters/replay");
    if operator {
        request = request.header("x-operator", "yes");
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

#[test]
fn letters_are_counted_by_reason_and_topic() {
    let Bench {
        router, letters, ..
    } = bench(HttpOptions::default(), DoorOptions::default());
    for (seq, reason) in [(1, "id_invalid"), (2, "unit_unknown"), (3, "id_invalid")] {
        note(&letters, seq, reason, "{}");
    }
    letters.note_replayed(1);
    let get = Request::get("/api/v1/dead-letters/groups");
    let (_, told) = answer(&router, get.body(Body::empty()).unwrap());
    expect![[r#"{"total":3,"listed":3,"groups":[{"reason":"id_invalid","topic":"ioc/v1/readings/wl-1","count":2,"replayed":1,"cut":0,"first":"1970-01-01T00:00:00.001Z","last":"1970-01-01T00:00:00.003Z","newest":3,"detail":"why"},{"reason":"unit_unknown","topic":"ioc/v1/readings/wl-1","count":1,"replayed":0,"cut":0,"first":"1970-01-01T00:00:00.002Z","last":"1970-01-01T00:00:00.002Z","newest":2,"detail":"why"}]}"#]]
        .assert_eq(&told);
    let get = Request::get("/api/v1/dead-letters?reason=unit_unknown");
    let (_, told) = answer(&router, get.body(Body::empty()).unwrap());
    assert_eq!(told.matches("\"seq\"").count(), 1);
}

#[test]
fn p8_only_an_operator_has_letters_read_again() {
    let Bench {
        router,
        log,
        arrivals,
        ..
    } = bench(HttpOptions::default(), DoorOptions::default());
    let lost = letter("value_missing", READING);
    log.push(Timestamp::default(), &Input::DeadLetter(lost));
    let (status, told) = answer(&router, order(r#"{"all":true}"#, false));
    assert!(status == 401 && told.contains("token_needed"), "{told}");
    for (wrong, word) in [
        ("{}", "say which"),
        (r#"{"dry_run":true}"#, "say which"),
        (r#"{"sequences":[1]}"#, "unknown field"),
        ("all", "expected"),
    ] {
        let (status, told) = answer(&router, order(wrong, true));
        assert!(status == 400 && told.contains(word), "{wrong}: {told}");
    }
    let long = format!("{{\"reason\":\"{}\"}}", "x".repeat(70_000));
    assert_eq!(answer(&router, order(&long, true)).0, 400);
    assert!(arrivals.queue(Lane::Telemetry).is_empty());

    let engine = std::thread::spawn(move || {
        let mut arrived = 0;
        while let Ok(arrival) = arrivals.queue(Lane::Telemetry).recv() {
            arrivals.release(&arrival);
            arrived += arrival.inputs.count();
            arrival.ack.settle();
        }
        arrived
    });
    let (status, told) = answer(&router, order(r#"{"seqs":[1]}"#, true));
    assert_eq!(status, 200);
    expect![[r#"{"dry_run":false,"replayed":1,"readings":1,"no_value":0,"still_dead":0,"left":0,"cut":0,"out_of_reach":0,"letters":[{"seq":1,"topic":"ioc/v1/readings/wl-1","outcome":"replayed","readings":[{"id":"e1","sensor":"wl-1","kind":"water_level","observed_at":"2026-03-14T06:45:10.933Z","value":3.72,"unit":"m"}],"readings_left_out":0,"dead_letters":0}],"letters_left_out":0}"#]]
        .assert_eq(&told);
    let get = Request::get("/api/v1/dead-letters/replay");
    let (_, told) = answer(&router, get.body(Body::empty()).unwrap());
    expect![[r#"{"running":false,"read":0,"of":2,"replayed":1}"#]].assert_eq(&told);
    drop(router);
    assert_eq!(engine.join().unwrap(), 2);
}
