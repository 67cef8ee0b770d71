//! What the server says of itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use beft::Member;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{ApiError, OpenAiError};
use crate::writer::Writer;

/// All adapters.
#[derive(Serialize, ToSchema)]
pub(crate) struct Models {
    object: &'static str,
    data: Vec<ModelCard>,
}

/// An adapter, or the base model by itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelCard {
    /// Its name.
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    /// The base model.
    root: String,
    /// The base model's name here, of an adapter.
    parent: Option<String>,
    /// Which of the adapters that had this name in turn.
    generation: u64,
    /// The task that it does, if that is known.
    task: Option<String>,
    /// The names of its labels.
    labels: Vec<String>,
    /// Longest input in tokens.
    max_model_len: usize,
}

impl ModelCard {
    pub(super) fn of(app: &App, member: &Member) -> Self {
        let predictor = member.predictor().ok();
        Self {
            id: member.name().to_owned(),
            object: "model",
            created: app.started,
            owned_by: "beft",
            root: app.set.model().to_owned(),
            parent: member.dir().and(app.base.clone()),
            generation: member.generation(),
            task: predictor.map(|predictor| predictor.task().name.clone()),
            labels: predictor.map(|p| p.labels()).unwrap_or_default(),
            max_model_len: member.tuned().base.max_length(),
        }
    }
}

/// List the adapters.
#[utoipa::path(get, path = "/v1/models", responses((status = 200, body = Models)))]
pub(crate) async fn models(State(app): State<Arc<App>>) -> Json<Models> {
    let members = app.set.members();
    Json(Models {
        object: "list",
        data: members
            .iter()
            .map(|member| ModelCard::of(&app, member))
            .collect(),
    })
}

/// Describe one adapter.
#[utoipa::path(
    get,
    path = "/v1/models/{name}",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = ModelCard),
        (status = 404, description = "There is no such adapter", body = OpenAiError),
    )
)]
pub(crate) async fn model(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<Json<ModelCard>, ApiError> {
    let member = app.set.get(&name)?;
    Ok(Json(ModelCard::of(&app, &member)))
}

/// The server's model and limits.
#[derive(Serialize, ToSchema)]
pub(crate) struct Info {
    model_id: String,
    version: &'static str,
    max_input_length: usize,
    max_concurrent_requests: usize,
    max_batch_tokens: usize,
    max_client_batch_size: usize,
    payload_limit: usize,
    /// Number of adapters.
    adapters: usize,
    /// Whether requests may load adapters.
    loads_adapters: bool,
}

/// Describe the server.
#[utoipa::path(get, path = "/info", responses((status = 200, body = Info)))]
pub(crate) async fn info(State(app): State<Arc<App>>) -> Json<Info> {
    Json(Info {
        model_id: app.set.model().to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        max_input_length: app.set.max_length(),
        max_concurrent_requests: app.limits.concurrent_requests,
        max_batch_tokens: app.max_batch_tokens,
        max_client_batch_size: app.limits.batch_size,
        payload_limit: app.limits.payload,
        adapters: app
            .set
            .members()
            .iter()
            .filter(|m| m.dir().is_some())
            .count(),
        loads_adapters: app.root.is_some(),
    })
}

/// Say whether the server lives.
#[utoipa::path(get, path = "/health", responses((status = 200, description = "It computes"), (status = 503, description = "Restart it")))]
pub(crate) async fn health(State(app): State<Arc<App>>) -> Response {
    let writes = app.writer.as_ref().is_none_or(Writer::works);
    match app.engine.works() && writes {
        true => StatusCode::OK.into_response(),
        false => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "nothing computes: restart the server",
        )
        .into_response(),
    }
}

/// Say whether the server takes requests.
#[utoipa::path(get, path = "/ready", responses((status = 200, description = "It does"), (status = 503, description = "It stops, or must be restarted")))]
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.stopping() {
        true => ApiError::stopping().into_response(),
        false => health(State(app)).await,
    }
}

/// Give the server's figures to Prometheus.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "Lines of text", body = String)))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    metrics::gauge!("beft_adapters").set(app.set.members().len() as f64);
    metrics::gauge!("beft_requests_in_flight").set(app.in_flight() as f64);
    app.metrics.run_upkeep();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], app.metrics.render()).into_response()
}
