//! `/` and `/models/{name}`, as the clients of the Hugging Face hub call them.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use beft::Answer;
use serde_json::{Map, Value, json};

use super::predict::{
    PredictInputs, PredictRequest, check_scores, most_labels, raw_scores, scores, the_adapter,
};
use super::{Body, made_by};
use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::inputs::{Item, ask};

/// Answer by the only adapter.
pub(crate) async fn only(
    State(app): State<Arc<App>>,
    Body(request): Body<PredictRequest>,
) -> Result<Response, ApiError> {
    answer(&app, request).await
}

/// Answer by one adapter in the form that the hub's clients read for its task.
#[utoipa::path(
    post,
    path = "/models/{name}",
    params(("name" = String, Path)),
    request_body = PredictRequest,
    responses(
        (status = 200, description = "Labels of texts in a list for each text, entities, an answer, or similarities"),
        (status = 400, description = "The request is not understood", body = ErrorBody),
        (status = 404, description = "There is no such adapter", body = ErrorBody),
        (status = 413, description = "The batch or an input is too long", body = ErrorBody),
        (status = 422, description = "The adapter takes other inputs", body = ErrorBody),
        (status = 429, description = "The queue is full", body = ErrorBody),
    )
)]
pub(crate) async fn by_name(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Body(mut request): Body<PredictRequest>,
) -> Result<Response, ApiError> {
    if request.adapter.as_ref().is_some_and(|other| *other != name) {
        return Err(ApiError::malformed(format!(
            "the path names `{name}` and \"adapter\" another: leave out \"adapter\""
        )));
    }
    request.adapter = Some(name);
    answer(&app, request).await
}

async fn answer(app: &Arc<App>, request: PredictRequest) -> Result<Response, ApiError> {
    let _place = app.place()?;
    let member = the_adapter(app, request.adapter.as_deref())?;
    check_scores(&request, &member)?;
    let (raw, most) = (raw_scores(&request), most_labels(&request));
    let (items, one, compared) = match request.inputs {
        PredictInputs::One(Item::Columns(columns)) => match compared(&columns) {
            Some(pairs) => (pairs, false, true),
            None => (vec![Item::Columns(columns)], true, false),
        },
        PredictInputs::One(item) => (vec![item], true, false),
        PredictInputs::Batch(items) => (items, false, false),
    };
    let said = ask(app, vec![member.clone()], items, request.truncate).await?;
    let labels = member.predictor()?.labels();
    let answers = said.answers.iter().flat_map(|(_, answers)| answers);
    let mut body: Vec<Value> = Vec::new();
    for answer in answers {
        body.push(match answer {
            Answer::Value(value) if compared => json!(value),
            _ if compared => {
                return Err(ApiError::unfit(format!(
                    "adapter `{}` compares no texts: send it one text, or a pair",
                    member.name()
                )));
            }
            // An answer to a question is no list.
            Answer::Span { .. } => scores(answer, &labels, raw, most)[0].take(),
            // A list for each text; of entities the only list is sent as it is.
            Answer::Tags { .. } if one => {
                let found = scores(answer, &labels, raw, most);
                return Ok(made_by(axum::Json(found).into_response(), &[member]));
            }
            _ => scores(answer, &labels, raw, most),
        });
    }
    let answered = match body.as_mut_slice() {
        [only] if one && only.is_object() => only.take(),
        _ => Value::Array(body),
    };
    Ok(made_by(axum::Json(answered).into_response(), &[member]))
}

/// The pairs of a text and each of those that it is compared with.
fn compared(columns: &Map<String, Value>) -> Option<Vec<Item>> {
    let source = columns.get("source_sentence")?.as_str()?;
    let others = columns.get("sentences")?.as_array()?;
    let pair = |other: &Value| Some(Item::Texts(vec![source.to_owned(), other.as_str()?.into()]));
    others.iter().map(pair).collect()
}
