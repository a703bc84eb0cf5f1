//! P8: other sites' pages reach nothing, by name or by origin.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use ioc_ws::Guard;
use tokio_tungstenite::tungstenite::Error;
use tower::ServiceExt;

use crate::support::*;

async fn status(served: &Served, path: &str, headers: &[(&str, &str)]) -> StatusCode {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let router = Guard::new(["ops.example.org".into()]).over(served.window.router());
    let request = request.body(Body::empty()).unwrap();
    router.oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn p8_dns_rebinding_reaches_nothing() {
    let served = Served::new().await;
    for path in [
        "/",
        "/console/main.js",
        "/api/v1/incidents",
        "/api/v1/stream",
        "/nothing",
    ] {
        let foreign = status(&served, path, &[("host", "evil.example:8080")]).await;
        assert_eq!(foreign, StatusCode::FORBIDDEN, "{path}");
        let nameless = status(&served, path, &[]).await;
        assert_eq!(nameless, StatusCode::FORBIDDEN, "{path}");
    }
    for host in ["127.0.0.1:8080", "localhost", "[::1]:80", "ops.example.org"] {
        assert_eq!(
            status(&served, "/", &[("host", host)]).await,
            StatusCode::OK,
            "{host}"
        );
    }
}

#[tokio::test]
async fn p8_a_foreign_page_cannot_ask_and_cannot_post() {
    let served = Served::new().await;
    let with = |origin| [("host", "127.0.0.1:8080"), ("origin", origin)];
    for origin in ["https://evil.example", "null", "http://localhost:8080"] {
        let foreign = status(&served, "/api/v1/incidents", &with(origin)).await;
        assert_eq!(foreign, StatusCode::FORBIDDEN, "{origin}");
    }
    let own = status(&served, "/api/v1/incidents", &with("http://127.0.0.1:8080")).await;
    assert_eq!(own, StatusCode::OK);
}

#[tokio::test]
async fn p8_a_foreign_page_cannot_open_a_websocket() {
    let served = Served::new().await;
    let from = |origin: &str| {
        let mut request = served.request();
        request
            .headers_mut()
            .insert("origin", origin.parse().unwrap());
        request
    };
    match Client::open(from("https://evil.example")).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), StatusCode::FORBIDDEN),
        _ => panic!("a foreign page was let in"),
    }
    let own = format!("http://{}", served.address);
    assert!(Client::open(from(&own)).await.is_ok());
}

#[tokio::test]
async fn p8_the_page_may_load_nothing_from_elsewhere() {
    let served = Served::new().await;
    let request = Request::get("/")
        .header("host", "localhost")
        .body(Body::empty())
        .unwrap();
    let router = Guard::new([]).over(served.window.router());
    let response = router.oneshot(request).await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert!(header("content-security-policy").starts_with("default-src 'self'"));
    assert_eq!(header("x-frame-options"), "DENY");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "no-referrer");
}
