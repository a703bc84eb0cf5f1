//! What keeping something quiet would have hidden, told before and as it comes.

use serde_json::{Value, json};

use crate::reload::Place;
use crate::support::{Server, level, wait_for};

fn preview(server: &Server, body: &Value) -> Value {
    let answer = server.post("/api/v1/suppressions/preview", &[], &body.to_string());
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

fn numbers(told: &Value) -> [u64; 3] {
    ["detections", "let_through", "never_opened"].map(|name| told[name].as_u64().unwrap())
}

#[test]
fn a_preview_tells_what_is_extreme_from_what_is_not_and_knows_who_is_out_of_service() {
    let place = Place::new();
    let server = place.site.start();
    server.post_readings(&[level("a", "wl-1", "2026-03-14T06:40:00Z", 7.5)]);
    wait_for("an incident", || server.incidents().first().cloned());
    let shelved = json!({ "match": { "sensor": "wl-1" } });
    let told = preview(&server, &shelved);
    assert_eq!(numbers(&told), [1, 0, 1], "{told}");
    assert_eq!(
        (&told["complete"], &told["incidents"][0]["opens"]),
        (&true.into(), &"no".into())
    );

    server.post_readings(&[level("b", "wl-1", "2026-03-14T06:41:00Z", 9.5)]);
    wait_for("it to become extreme", || {
        (server.incidents()[0]["severity"] == "extreme").then_some(())
    });
    let told = preview(&server, &shelved);
    assert_eq!(numbers(&told), [1, 1, 0], "{told}");
    let told = preview(
        &server,
        &json!({ "how": "out_of_service", "match": { "sensor": "wl-1" } }),
    );
    assert_eq!(numbers(&told), [1, 0, 1], "{told}");
    // Nothing was kept quiet by asking.
    assert_eq!(server.get_json("/api/v1/suppressions")["total"], 0);
}
