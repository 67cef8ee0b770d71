//! Adapters that come and go while the server runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path as Name, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::Body;
use super::info::ModelCard;
use crate::app::{App, is_name};
use crate::error::{ApiError, ErrorBody};

/// An adapter to load.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAdapter {
    /// Its name.
    name: String,
    /// The name of its folder in the folder of adapters, by default its own.
    #[serde(default)]
    folder: Option<String>,
}

/// An adapter that takes the place of another.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtherAdapter {
    /// The name of its folder in the folder of adapters, by default its own.
    #[serde(default)]
    folder: Option<String>,
    /// The generation that it is to replace.
    expected_generation: u64,
}

/// Which one is to go.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    /// The generation that it must have.
    #[serde(default)]
    expected_generation: Option<u64>,
}

/// Load an adapter under a new name.
#[utoipa::path(
    post,
    path = "/v1/adapters",
    request_body = NewAdapter,
    responses(
        (status = 201, body = ModelCard),
        (status = 403, description = "Loading is off", body = ErrorBody),
        (status = 404, description = "There is no such folder", body = ErrorBody),
        (status = 409, description = "The name is taken", body = ErrorBody),
        (status = 422, description = "The adapter cannot be used", body = ErrorBody),
    )
)]
pub(crate) async fn load(
    State(app): State<Arc<App>>,
    Body(request): Body<NewAdapter>,
) -> Result<Response, ApiError> {
    let folder = request
        .folder
        .as_deref()
        .unwrap_or(&request.name)
        .to_owned();
    let card = load_over(app, request.name, folder, 0).await?;
    Ok((StatusCode::CREATED, Json(card)).into_response())
}

/// Replace an adapter. Requests in flight are answered by the one that they began with.
#[utoipa::path(
    put,
    path = "/v1/adapters/{name}",
    params(("name" = String, Path)),
    request_body = OtherAdapter,
    responses(
        (status = 200, body = ModelCard),
        (status = 403, description = "Loading is off", body = ErrorBody),
        (status = 404, description = "There is no such folder", body = ErrorBody),
        (status = 409, description = "It has another generation", body = ErrorBody),
        (status = 422, description = "The adapter cannot be used", body = ErrorBody),
    )
)]
pub(crate) async fn replace(
    State(app): State<Arc<App>>,
    Name(name): Name<String>,
    Body(request): Body<OtherAdapter>,
) -> Result<Json<ModelCard>, ApiError> {
    let folder = request.folder.unwrap_or_else(|| name.clone());
    if request.expected_generation == 0 {
        return Err(ApiError::malformed(
            "no adapter has the generation 0: load a new one with POST /v1/adapters",
        ));
    }
    Ok(Json(
        load_over(app, name, folder, request.expected_generation).await?,
    ))
}

/// Drop an adapter. Requests in flight are answered.
#[utoipa::path(
    delete,
    path = "/v1/adapters/{name}",
    params(("name" = String, Path), Expected),
    responses(
        (status = 204),
        (status = 403, description = "Loading is off", body = ErrorBody),
        (status = 404, description = "There is no such adapter", body = ErrorBody),
        (status = 409, description = "It has another generation", body = ErrorBody),
    )
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Name(name): Name<String>,
    expected: Result<Query<Expected>, QueryRejection>,
) -> Result<StatusCode, ApiError> {
    root(&app)?;
    let Query(expected) = expected.map_err(|_| {
        ApiError::malformed("the only parameter is expected_generation, a whole number")
    })?;
    if app.base.as_deref() == Some(&name) {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            format!("`{name}` is the base model, which stays: drop an adapter"),
        ));
    }
    app.set.remove(&name, expected.expected_generation)?;
    tracing::info!(adapter = name, "dropped an adapter");
    Ok(StatusCode::NO_CONTENT)
}

fn root(app: &App) -> Result<&Path, ApiError> {
    app.root.as_deref().ok_or_else(|| {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "this server loads no adapters: start it with a folder of adapters",
        )
    })
}

fn refuse_base(app: &App, name: &str) -> Result<(), ApiError> {
    match app.base.as_deref() == Some(name) {
        true => Err(ApiError::new(
            StatusCode::CONFLICT,
            format!("`{name}` is the base model: choose another name"),
        )),
        false => Ok(()),
    }
}

async fn load_over(
    app: Arc<App>,
    name: String,
    folder: String,
    expected: u64,
) -> Result<ModelCard, ApiError> {
    let root = root(&app)?.to_owned();
    refuse_base(&app, &name)?;
    if !is_name(&name) {
        return Err(ApiError::malformed(
            "the name of an adapter has at most 64 letters, digits, dots, dashes and underscores, and begins with no dot",
        ));
    }
    let known = app.set.get(&name);
    match (expected, known) {
        (0, Ok(_)) => {
            return Err(ApiError::new(
                StatusCode::CONFLICT,
                format!(
                    "the name `{name}` is taken: replace the adapter by PUT, or choose another name"
                ),
            ));
        }
        (1.., Err(error)) => return Err(error.into()),
        (_, _) => {}
    }
    let loading = tokio::task::spawn_blocking(move || {
        let dir = folder_in(&root, &folder, app.limits.adapter_bytes)?;
        let member = app.set.load_over(&name, &dir, Some(expected))?;
        let notes = member.notes().iter();
        notes.for_each(|note| tracing::info!(adapter = name, "{note}"));
        tracing::info!(
            adapter = name,
            generation = member.generation(),
            "loaded an adapter"
        );
        Ok(ModelCard::of(&app, &member))
    });
    loading.await.map_err(|_| ApiError::internal())?
}

/// The folder of this name directly in `root`, with safetensors of a bearable size.
fn folder_in(root: &Path, name: &str, most: u64) -> Result<PathBuf, ApiError> {
    if !is_name(name) {
        return Err(ApiError::malformed(
            "\"folder\" is the name of a folder in the folder of adapters, and no path",
        ));
    }
    let absent = || {
        ApiError::new(
            StatusCode::NOT_FOUND,
            format!("there is no folder `{name}` in the folder of adapters"),
        )
    };
    // A link may not lead elsewhere.
    let dir = root.join(name).canonicalize().map_err(|_| absent())?;
    if dir.parent() != Some(root) {
        return Err(absent());
    }
    // `beft tune` puts the adapter into a folder of its own.
    let dir = match dir.join("adapter").join(CONFIG).is_file() {
        true => dir.join("adapter").canonicalize().map_err(|_| absent())?,
        false => dir,
    };
    if !dir.starts_with(root) || !dir.join(CONFIG).is_file() {
        return Err(ApiError::unfit(format!(
            "`{name}` holds no adapter: {CONFIG} is missing"
        )));
    }
    if !dir.join(WEIGHTS).is_file() {
        return Err(ApiError::unfit(format!(
            "`{name}` has no {WEIGHTS}, and other formats are not read: save it as safetensors"
        )));
    }
    let files = std::fs::read_dir(&dir).map_err(|_| absent())?.flatten();
    let bytes: u64 = files
        .filter_map(|file| std::fs::metadata(file.path()).ok())
        .map(|file| file.len())
        .sum();
    match bytes > most {
        true => Err(ApiError::too_large(format!(
            "`{name}` has {bytes} bytes, and {most} are allowed"
        ))),
        false => Ok(dir),
    }
}

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
