//! The console's files: they are served, need nothing from elsewhere, and its store is tested.

use std::path::Path;
use std::process::Command;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::support::*;

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_store_comes_to_the_servers_picture_and_what_is_shown_is_said_as_the_server_says_it() {
    let mut node = Command::new("node");
    node.arg("--test");
    for file in std::fs::read_dir(folder("tests/console")).unwrap() {
        node.arg(file.unwrap().path());
    }
    let output = node.output().unwrap_or_else(|error| {
        panic!("the console's tests need Node.js 20 (apt-get install nodejs): {error}")
    });
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
}

#[tokio::test]
async fn every_file_that_the_page_names_is_served() {
    let served = Served::new().await;
    let get = async |path: String| {
        let request = Request::get(path).body(Body::empty()).unwrap();
        served.window.router().oneshot(request).await.unwrap()
    };
    let mut paths = vec!["/".to_owned()];
    for file in std::fs::read_dir(folder("console")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        paths.push(format!("/console/{name}"));
    }
    for path in paths {
        let response = get(path.clone()).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-cache");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        for named in named_files(&text) {
            assert_eq!(
                get(named.clone()).await.status(),
                StatusCode::OK,
                "{named} in {path}"
            );
        }
    }
    let missing = get("/console/../Cargo.toml".into()).await;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
}

/// The files that a page or a module loads.
fn named_files(text: &str) -> Vec<String> {
    let absolute = text.split('"').filter(|part| part.starts_with("/console/"));
    let modules = text.split("from \"./").skip(1);
    let modules = modules.filter_map(|rest| rest.split('"').next());
    let modules = modules.map(|name| format!("/console/{name}"));
    absolute.map(str::to_owned).chain(modules).collect()
}

#[test]
fn no_file_of_the_console_names_another_host_or_writes_markup() {
    for file in std::fs::read_dir(folder("console")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for forbidden in [
            "http://",
            "https://",
            "innerHTML",
            "insertAdjacentHTML",
            "eval(",
        ] {
            assert!(
                !text.contains(forbidden),
                "{forbidden} in {}",
                path.display()
            );
        }
    }
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let served = Served::new().await;
    let request = |etag: Option<header::HeaderValue>| {
        let mut request = Request::get("/console/theme.css");
        if let Some(etag) = etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        served
            .window
            .router()
            .oneshot(request.body(Body::empty()).unwrap())
    };
    let first = request(None).await.unwrap();
    let etag = first.headers()[header::ETAG].clone();
    let again = request(Some(etag)).await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}
