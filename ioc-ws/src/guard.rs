//! Who may reach the port at all: only pages that we served, under a name that is ours (P8).
//!
//! Arrives: every request of the port, whichever part serves it. Leaves: the request, or 403 with
//! the reason. A web page anywhere can make a browser send requests to a loopback port, and by DNS
//! rebinding can even read the answers; the Host header gives the second away, Origin the first
//! (RFC 9110 section 7.2, RFC 6454 section 7). Where a browser leaves Origin out, Sec-Fetch-Site
//! says that a page elsewhere asks for a change (Fetch Metadata, section 2.3), and what a plain
//! form can send is not taken at all. Not here: who may command, see `auth.rs`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use crate::error::ApiError;
use crate::telemetry;

/// The names under which this server may be asked for: loopback, and those that were configured.
#[derive(Debug, Clone)]
pub struct Guard {
    names: Arc<[String]>,
}

impl Guard {
    /// A guard that knows these names besides `localhost` and the loopback addresses. Without
    /// port: any port will do.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self {
            names: names
                .into_iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
        }
    }

    /// Lays the guard over a router with all its routes.
    pub fn over(self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self, guard))
    }

    /// Why this request may not pass.
    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Trespass> {
        let host = self.own_host(one(headers, HOST)?.ok_or(Trespass::Host)?)?;
        if let Some(authority) = uri.authority() {
            self.own_host(authority.as_str())?;
        }
        match one(headers, ORIGIN)? {
            None => {}
            Some(origin) if is_same_origin(origin, &host) => {}
            Some(_) => return Err(Trespass::Origin),
        }
        if method.is_safe() {
            return Ok(());
        }
        check_site(headers)?;
        check_form(headers)
    }

    fn own_host(&self, text: &str) -> Result<Authority, Trespass> {
        let authority: Authority = text.parse().map_err(|_| Trespass::Host)?;
        let name = authority.host().to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']');
        let loopback = address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback());
        let own = name == "localhost" || loopback || self.names.contains(&name);
        if own && !text.contains('@') {
            Ok(authority)
        } else {
            Err(Trespass::Host)
        }
    }
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trespass {
    Host,
    Origin,
    Form,
}

impl Trespass {
    const fn status(self) -> StatusCode {
        match self {
            Self::Host | Self::Origin => StatusCode::FORBIDDEN,
            Self::Form => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Host => "host_not_ours",
            Self::Origin => "origin_not_ours",
            Self::Form => "form_not_taken",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Host => {
                "the Host header names neither this machine's loopback nor a configured name \
                 (http.hosts)"
            }
            Self::Origin => "another site's page may not send requests here",
            Self::Form => {
                "a form of any page could send this content type: send application/json or \
                 application/x-ndjson"
            }
        }
    }
}

/// The header's value if it is there once; twice is an attempt to be two things.
fn one(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Trespass> {
    let trespass = if name == HOST {
        Trespass::Host
    } else {
        Trespass::Origin
    };
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(trespass);
    }
    first
        .map(|value| value.to_str().map_err(|_| trespass))
        .transpose()
}

/// Refuses a change that a browser says another site's page asks for. Those that are older than
/// this header, and clients that are no browsers, do not send it.
fn check_site(headers: &HeaderMap) -> Result<(), Trespass> {
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    match one(headers, SITE)? {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(Trespass::Origin),
    }
}

/// Refuses the content types in which a form can send any text without asking first. In the third
/// one that it can send, names and values are encoded, so that they are nobody's JSON.
fn check_form(headers: &HeaderMap) -> Result<(), Trespass> {
    let of_form = ["text/plain", "multipart/form-data"];
    let values = headers.get_all(CONTENT_TYPE).iter();
    for value in values {
        let value = value.to_str().map_err(|_| Trespass::Form)?;
        let essence = value.split([';', ',']).next().unwrap_or_default().trim();
        if of_form
            .iter()
            .any(|form| essence.eq_ignore_ascii_case(form))
        {
            return Err(Trespass::Form);
        }
    }
    Ok(())
}

/// Whether a page of this origin was served by this host. The scheme may differ from ours: a
/// proxy before us may speak TLS.
fn is_same_origin(origin: &str, host: &Authority) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else {
        return false;
    };
    let default_port = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    origin.authority().is_some_and(|theirs| {
        theirs.host().eq_ignore_ascii_case(host.host())
            && theirs.port_u16().unwrap_or(default_port) == host.port_u16().unwrap_or(default_port)
    })
}

async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let mut response = match guard.check(request.method(), request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(trespass) => {
            let header = |name| request.headers().get(name).and_then(|v| v.to_str().ok());
            let (host, origin) = (header(HOST), header(ORIGIN));
            telemetry::request_turned_away(
                trespass.code(),
                host.unwrap_or_default(),
                origin.unwrap_or_default(),
            );
            ApiError::new(trespass.status(), trespass.code(), trespass.message()).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &[&'static str], origin: &[&'static str]) -> Result<(), Trespass> {
        let mut headers = HeaderMap::new();
        for value in host {
            headers.append(HOST, HeaderValue::from_static(value));
        }
        for value in origin {
            headers.append(ORIGIN, HeaderValue::from_static(value));
        }
        let guard = Guard::new(["Ops.Example.Org".into()]);
        guard.check(&Method::GET, &Uri::from_static("/"), &headers)
    }

    #[test]
    fn p8_knows_its_own_names_with_any_port() {
        for host in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "localhost:1",
            "LOCALHOST",
            "[::1]:8080",
            "ops.example.org",
            "ops.example.org:8443",
        ] {
            assert_eq!(check(&[host], &[]), Ok(()), "{host}");
        }
    }

    #[test]
    fn p8_a_name_that_was_rebound_to_loopback_is_refused() {
        for host in [
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil@127.0.0.1",
            "127.0.0.1@evil.example",
            "192.168.0.7:8080",
            "0.0.0.0:8080",
            "",
        ] {
            assert_eq!(check(&[host], &[]), Err(Trespass::Host), "{host}");
        }
        assert_eq!(check(&[], &[]), Err(Trespass::Host));
        assert_eq!(
            check(&["127.0.0.1", "evil.example"], &[]),
            Err(Trespass::Host)
        );
    }

    #[test]
    fn p8_a_page_of_another_origin_is_refused() {
        let host = &["127.0.0.1:8080"];
        assert_eq!(check(host, &["http://127.0.0.1:8080"]), Ok(()));
        for origin in [
            "https://evil.example",
            "http://127.0.0.1:9090",
            "http://127.0.0.1",
            "http://localhost:8080",
            "file://127.0.0.1:8080",
            "null",
            "",
        ] {
            assert_eq!(check(host, &[origin]), Err(Trespass::Origin), "{origin}");
        }
        let behind_proxy = check(&["ops.example.org"], &["https://ops.example.org"]);
        assert_eq!(behind_proxy, Ok(()));
    }

    #[test]
    fn p8_a_form_that_hides_its_origin_changes_nothing() {
        let check = |method: Method, headers: &[(&'static str, &'static str)]| {
            let mut all = HeaderMap::new();
            all.insert(HOST, HeaderValue::from_static("127.0.0.1:8080"));
            for (name, value) in headers {
                all.append(*name, HeaderValue::from_static(value));
            }
            Guard::new([]).check(&method, &Uri::from_static("/"), &all)
        };
        for site in ["cross-site", "same-site", "", "new-word"] {
            let said = [("sec-fetch-site", site)];
            assert_eq!(check(Method::POST, &said), Err(Trespass::Origin), "{site}");
            assert_eq!(check(Method::GET, &said), Ok(()), "a link is followed");
        }
        for site in ["same-origin", "none"] {
            assert_eq!(check(Method::POST, &[("sec-fetch-site", site)]), Ok(()));
        }
        for form in [
            "text/plain",
            "Text/Plain; charset=UTF-8",
            "multipart/form-data; boundary=x",
            "text/plain, application/json",
        ] {
            let said = [("content-type", form)];
            assert_eq!(check(Method::POST, &said), Err(Trespass::Form), "{form}");
            let twice = [("content-type", "application/json"), said[0]];
            assert_eq!(check(Method::POST, &twice), Err(Trespass::Form), "{form}");
        }
        for ours in ["application/json", "application/x-ndjson"] {
            assert_eq!(check(Method::POST, &[("content-type", ours)]), Ok(()));
        }
        assert_eq!(check(Method::POST, &[]), Ok(()), "curl");
    }
}
