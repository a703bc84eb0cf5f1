//! The console's files, compiled in: no build step, nothing from the internet.
//!
//! Arrives: a path. Leaves: the file with its hash as `ETag`, or 304 if the browser has it. The
//! page may load nothing but what we serve, and be framed by nobody.

use axum::body::Body;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use axum::http::header::{HeaderValue, IF_NONE_MATCH, X_FRAME_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::error::ApiError;
use crate::wire::Hex;

/// What the page may do.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; object-src 'none'";

#[derive(RustEmbed)]
#[folder = "console/"]
struct Files;

/// The page itself.
pub(crate) async fn page(headers: HeaderMap) -> Response {
    serve("index.html", &headers)
}

/// What the page loads.
pub(crate) async fn file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    serve(&path, &headers)
}

fn serve(path: &str, headers: &HeaderMap) -> Response {
    let (Some(file), Some(content_type)) = (Files::get(path), content_type(path)) else {
        let message = "the console has no such file";
        return ApiError::not_found("no_such_file", message).into_response();
    };
    let etag = format!("\"{}\"", Hex(&file.metadata.sha256_hash()));
    let mut response = answer(file, &etag, headers);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(ETAG, etag.parse().expect("digits are a header value"));
    response
}

fn answer(file: EmbeddedFile, etag: &str, headers: &HeaderMap) -> Response {
    if is_known(headers, etag) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    Body::from(file.data.into_owned()).into_response()
}

/// Whether the browser has the version with this tag (RFC 9110 section 13.1.2).
pub(crate) fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    known.is_some_and(|known| known.split(',').any(|each| each.trim() == etag))
}

fn content_type(path: &str) -> Option<&'static str> {
    match path.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}
