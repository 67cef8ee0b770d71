//! Pages for people.

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

/// Nothing is loaded from elsewhere, and no other page may show it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// A text, and what every adapter says of it.
pub(crate) async fn page() -> Response {
    html(include_str!("page.html"))
}

/// The description of all routes.
pub(crate) async fn docs() -> Response {
    html(include_str!("docs.html"))
}

fn html(text: &'static str) -> Response {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(text)).into_response()
}
