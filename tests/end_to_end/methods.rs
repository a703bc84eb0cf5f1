//! What is served and asked for in another way is refused in words, on every route.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Site, request, river_city};

/// The page that has every route of the REST interface.
const PAGE: &str = include_str!("../../docs/PROTOCOL.md");
/// Those that other pages have.
const OTHERS: [&str; 14] = [
    "/",
    "/console/main.js",
    "/mqtt",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/stream",
    "/api/v1/readings",
    "/api/v1/messages/{topic}",
    "/api/v1/notifications",
    "/api/v1/notifications/{topic}",
    "/api/v1/dead-letters",
    "/api/v1/dead-letters/groups",
    "/api/v1/dead-letters/replay",
];

/// The routes in the first cell of each row: ``| `GET /api/v1/incidents` |``.
fn documented() -> BTreeSet<&'static str> {
    let first_cells = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    let routes = first_cells.filter_map(|line| {
        let (route, _) = line.split_once('`')?;
        let (method, path) = route.split_once(' ')?;
        matches!(method, "GET" | "POST").then_some(path)
    });
    routes.collect()
}

/// A path of a route: something in place of each `{name}`.
fn path_of(route: &str) -> String {
    let parts = route.split('/').map(|part| match part.starts_with('{') {
        true => "x",
        false => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_answers_a_method_that_it_does_not_take_in_words() {
    let routes = documented();
    assert!(routes.len() >= 20, "{routes:?}");
    assert!(routes.contains("/api/v1/incidents/{id}"), "{routes:?}");
    let site = Site::new(&river_city());
    let server = site.start();
    for route in routes.into_iter().chain(OTHERS) {
        let path = path_of(route);
        let refused = request(server.http, "DELETE", &path, &[], b"");
        assert_eq!(refused.status, 405, "{path}: {}", refused.body);
        let said: Value = serde_json::from_str(&refused.body).unwrap();
        assert_eq!(said["code"], "wrong_method", "{path}");
        let message = said["message"].as_str().unwrap();
        assert!(
            message.contains(&path) && message.contains("DELETE"),
            "{message}"
        );
    }
}
