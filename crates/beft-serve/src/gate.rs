//! What every request passes: its number, the key, the log and the figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{counter, histogram};

use crate::app::App;
use crate::error::{ApiError, OpenAiError};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The routes that need no key: what asks whether the server lives and is ready seldom can bring one.
const OPEN: [&str; 2] = ["/health", "/ready"];

/// A number that no other request of this process has.
pub(crate) fn new_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let started = std::process::id();
    format!("{started:x}-{:08x}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The caller's own number of a request, if it can stand in a log.
fn given_id(request: &Request) -> Option<String> {
    let id = request.headers().get(&REQUEST_ID)?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    ((1..=64).contains(&id.len()) && id.chars().all(plain)).then(|| id.to_owned())
}

/// Why a request may not pass.
fn refusal(app: &App, path: &str, headers: &HeaderMap) -> Option<ApiError> {
    if !OPEN.contains(&path) && !app.key.admits(headers) {
        return Some(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "the key is missing or wrong: send it as \"Authorization: Bearer KEY\"",
        ));
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if app.local && host.is_some_and(|host| !is_local(host) && !allows_host(app, host)) {
        // A page elsewhere may have a name of its own lead here (DNS rebinding).
        return Some(ApiError::new(
            StatusCode::FORBIDDEN,
            "this server is for localhost: ask it there, or start it with a key or with that origin allowed",
        ));
    }
    // A browser sends what any page asks it to, and says which page that was.
    let origin = headers.get(header::ORIGIN)?;
    let own = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let from = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    let known = from.is_some_and(|(_, from)| Some(from) == own) || app.origins.contains(origin);
    (!known).then(|| {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "web pages of this origin may not send requests: start the server so that it allows the origin",
        )
    })
}

/// Whether clients of OpenAI ask for this path.
fn is_openai(path: &str) -> bool {
    ["/v1/completions", "/v1/models"].iter().any(|known| {
        let rest = path.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Whether a host, with or without a port, is this machine.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let address = name.parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether the pages of a host may send requests.
fn allows_host(app: &App, host: &str) -> bool {
    let known = app.origins.iter().filter_map(|origin| origin.to_str().ok());
    let mut hosts = known.filter_map(|origin| Some(origin.split_once("://")?.1));
    hosts.any(|known| known == host)
}

/// Lets a request pass if it brings the key, counts it, and writes it into the log.
pub(crate) async fn gate(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = given_id(&request).unwrap_or_else(new_id);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>();
    // Of unknown paths there are any number, and each would be a figure of its own.
    let route = route.map_or("unknown", MatchedPath::as_str).to_owned();
    let mut response = match refusal(&app, &path, request.headers()) {
        None => next.run(request).await,
        Some(error) => error.into_response(),
    };
    if is_openai(&path)
        && let Some(error) = response.extensions().get::<ApiError>()
    {
        let body = axum::Json(OpenAiError::from(error)).into_response();
        // The length of the other body does not fit this one.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = body.into_body();
    }
    let status = response.status();
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID.clone(), value);
    }
    let seconds = started.elapsed().as_secs_f64();
    if method == axum::http::Method::POST {
        counter!("te_request_count", "route" => route.clone()).increment(1);
        match status.is_success() {
            true => {
                counter!("te_request_success", "route" => route.clone()).increment(1);
                histogram!("te_request_duration", "route" => route).record(seconds);
            }
            false => {
                let err = status.as_str().to_owned();
                counter!("te_request_failure", "route" => route, "err" => err).increment(1);
            }
        }
    }
    let millis = (seconds * 1e5).round() / 100.0;
    let status = status.as_u16();
    match status {
        500.. => tracing::error!(request = id, %method, path, status, millis),
        400..500 => tracing::warn!(request = id, %method, path, status, millis),
        _ => tracing::info!(request = id, %method, path, status, millis),
    }
    response
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn hosts_of_this_machine() {
        for host in [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:1",
            "127.3.2.1",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "example.org",
            "localhost.example.org:80",
            "10.0.0.1",
            "[::2]:80",
            "",
            "127.0.0.1.nip.io",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
