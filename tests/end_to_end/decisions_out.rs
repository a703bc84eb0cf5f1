//! P4 towards a stream elsewhere that takes some decisions and refuses others: each is taken once,
//! in order, however often it is tried, and what can never be taken is told and passed over.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, DiscardPolicy};

use crate::brokers::City;
use crate::nats::{Nats, check_taken_once, decided, taken};
use crate::support::wait_for;

const LINK: &str = "nats city decisions";
const KEYS: &str = "decisions: yes, stream: READINGS, ack_wait_s: 1, inflight_max: 100";

/// A stream for decisions that forgets ids much sooner than it is tried again.
fn forgetful() -> Config {
    Config {
        name: "DECISIONS".to_owned(),
        subjects: vec!["ioc.v1.decisions.>".to_owned()],
        duplicate_window: Duration::from_millis(100),
        ..Config::default()
    }
}

/// A server with that stream, and a city that has decided something.
fn decided_by_a_city(decisions: Config) -> (Nats, City) {
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    server.make(decisions);
    let mut city = City::new("nats", server.address, KEYS);
    decide(&server, &mut city);
    assert!(decided(&city).len() > 10, "the city has decided more");
    (server, city)
}

/// Lets a city decide something.
fn decide(server: &Nats, city: &mut City) {
    for _ in 0..8 {
        server.publish(city);
    }
    city.wait_until_judged();
}

/// Waits until the stream has refused so many times more.
fn wait_for_refusals(city: &City, count: f64) {
    let refusals = format!("ioc_broker_breaks_total{{link=\"{LINK}\",reason=\"refused\"}} ");
    let refused = || city.server().metric(&refusals).unwrap_or(0.0);
    let before = refused();
    wait_for("further refusals", || {
        (refused() >= before + count).then_some(())
    });
}

#[test]
fn p4_a_full_stream_has_each_decision_once_and_in_order_when_there_is_room() {
    let full = Config {
        max_messages: 7,
        discard: DiscardPolicy::New,
        ..forgetful()
    };
    let (server, city) = decided_by_a_city(full);
    city.wait_for_link(LINK, "down");
    let why = city.ready();
    assert!(why.contains("maximum messages exceeded"), "{why}");
    wait_for_refusals(&city, 3.0);
    assert_eq!(taken(&server), [1, 2, 3, 4, 5, 6, 7]);
    server.change(&forgetful());
    city.wait_for_link(LINK, "up");
    check_taken_once(&server, &city);
}

#[test]
fn p4_subjects_that_are_full_hold_up_the_others_so_that_order_holds() {
    let full = Config {
        max_messages_per_subject: 3,
        discard: DiscardPolicy::New,
        discard_new_per_subject: true,
        ..forgetful()
    };
    let (server, city) = decided_by_a_city(full);
    city.wait_for_link(LINK, "down");
    wait_for_refusals(&city, 3.0);
    let some = taken(&server);
    assert_eq!(some, (1..=some.len() as u64).collect::<Vec<_>>());
    server.change(&forgetful());
    city.wait_for_link(LINK, "up");
    check_taken_once(&server, &city);
}

#[test]
fn p4_a_decision_longer_than_a_stream_takes_is_told_and_passed_over() {
    let (server, city) = decided_by_a_city(Config {
        max_message_size: 900,
        ..forgetful()
    });
    let unsent = || city.server().metric("ioc_decisions_unsent_total ");
    let unsent = || unsent().unwrap_or(0.0) as usize;
    let all = wait_for("all to be taken or passed over", || {
        let all = decided(&city);
        (taken(&server).len() + unsent() >= all.len()).then_some(all)
    });
    city.wait_for_link(LINK, "up");
    assert!(unsent() > 0, "one is longer");
    let taken = taken(&server);
    assert_eq!(taken.len(), all.len() - unsent());
    assert!(taken.is_sorted_by(|one, next| one < next), "{taken:?}");
}

#[test]
fn p4_a_stream_that_others_write_to_as_well_has_each_decision_once_and_in_order() {
    let shared = Config {
        subjects: vec!["ioc.v1.decisions.>".to_owned(), "city.>".to_owned()],
        ..forgetful()
    };
    let server = Nats::start();
    server.make_stream("READINGS", "ioc.v1.readings.>");
    server.make(shared);
    let mut city = City::new("nats", server.address, KEYS);
    let client = server.runtime.block_on(server.client());
    let writes = server.runtime.spawn(async move {
        let context = jetstream::new(client);
        let mut pace = tokio::time::interval(Duration::from_millis(1));
        loop {
            pace.tick().await;
            let written = context.publish("city.log", "x".into()).await.unwrap();
            written.await.unwrap();
        }
    });
    decide(&server, &mut city);
    check_taken_once(&server, &city);
    writes.abort();
}
