//! The routes.

#[allow(unused_qualifications, reason = "utoipa generates them")]
mod adapters;
mod classify;
mod completions;
mod hub;
mod info;
mod pages;
mod predict;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use beft::Member;
use serde::de::DeserializeOwned;
use tower_http::cors::CorsLayer;
use utoipa::OpenApi;

use crate::app::App;
use crate::error::ApiError;
use crate::gate::gate;

/// The time since 1970, as answers tell it.
pub(crate) fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// What all routes do, for programs.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "beft",
        description = "Many adapters over one frozen backbone. `/predict` is that of text-embeddings-inference, `/classify` \
                       that of vLLM, `/v1/models` that of OpenAI."
    ),
    paths(
        predict::predict,
        hub::by_name,
        classify::classify,
        completions::completions,
        info::models,
        info::model,
        info::info,
        info::health,
        info::ready,
        info::metrics,
        adapters::load,
        adapters::replace,
        adapters::remove,
    )
)]
struct Api;

/// The routes with what stands in front of them.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (payload, origins) = (app.limits.payload, app.origins.clone());
    let router = Router::new()
        .route("/", get(pages::page).post(hub::only))
        .route("/models/{name}", post(hub::by_name))
        .route("/predict", post(predict::predict))
        .route("/classify", post(classify::classify))
        .route("/v1/completions", post(completions::completions))
        .route("/v1/models", get(info::models))
        .route("/v1/models/{name}", get(info::model))
        .route("/v1/adapters", post(adapters::load))
        .route(
            "/v1/adapters/{name}",
            put(adapters::replace).delete(adapters::remove),
        )
        .route("/info", get(info::info))
        .route("/health", get(info::health))
        .route("/ready", get(info::ready))
        .route("/metrics", get(info::metrics))
        .route("/docs", get(pages::docs))
        .route("/openapi.json", get(openapi))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(payload))
        .layer(from_fn_with_state(app.clone(), gate))
        .with_state(app);
    match origins.as_slice() {
        [] => router,
        _ => {
            let allowed = CorsLayer::new()
                .allow_origin(origins)
                .allow_methods(tower_http::cors::Any)
                .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE]);
            router.layer(allowed)
        }
    }
}

async fn openapi() -> Response {
    match Api::openapi().to_json() {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => ApiError::internal().into_response(),
    }
}

async fn unknown() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "there is no such route: see /docs")
}

async fn wrong_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this route takes another method: see /docs",
    )
}

/// The body of a request, whatever its content type says.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let most = app.limits.payload;
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
        let _room = app.room(length.unwrap_or(most).min(most))?;
        let reading = Bytes::from_request(request, app);
        let bytes = tokio::time::timeout(app.limits.read_time, reading).await;
        let bytes = bytes.map_err(|_| {
            ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "the request did not come in time: send it faster",
            )
        })?;
        let bytes = bytes.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large(format!(
                "the request has more than {most} bytes: send less at a time"
            )),
            _ => ApiError::malformed("the request ended before it was complete"),
        })?;
        // A list would be read as the fields in their order.
        let object = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        match serde_json::from_slice(&bytes) {
            Ok(body) if object => Ok(Self(body)),
            Ok(_) => Err(ApiError::malformed(
                "the request must be a JSON object: see /docs",
            )),
            Err(error) => Err(ApiError::malformed(format!(
                "the request is not understood: {}: see /docs",
                plain(&error.to_string())
            ))),
        }
    }
}

/// What is wrong with a body, without the names of types.
fn plain(error: &str) -> String {
    let Some((before, after)) =
        error.split_once("data did not match any variant of untagged enum ")
    else {
        return error
            .replace("usize", "a whole number")
            .replace("struct ", "");
    };
    let rest = after.trim_start_matches(|c: char| c.is_alphanumeric());
    format!("{before}a field has a value of another kind than it takes{rest}")
}

/// Which adapters made a response, each with its generation.
static GENERATION: HeaderName = HeaderName::from_static("beft-adapter");

/// Adapters that a header names at most: clients take headers of a few kilobytes.
const MOST_NAMED: usize = 16;

/// Adds to a response which adapters made it.
fn made_by(mut response: Response, members: &[Arc<Member>]) -> Response {
    if members.len() > MOST_NAMED {
        return response;
    }
    let named = members
        .iter()
        .map(|m| format!("{};generation={}", m.name(), m.generation()));
    let named = named.collect::<Vec<_>>().join(", ");
    if let Ok(value) = HeaderValue::from_str(&named) {
        response.headers_mut().insert(GENERATION.clone(), value);
    }
    response
}
