//! `/predict`, as text-embeddings-inference has it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use beft::{Answer, Member};
use beft_core::Outputs;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Body, made_by};
use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::inputs::{Item, ask};

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PredictRequest {
    pub(super) inputs: PredictInputs,
    /// The adapter; not needed where there is one.
    #[serde(default)]
    pub(super) adapter: Option<String>,
    /// Whether longer texts are cut; otherwise they are refused.
    #[serde(default)]
    pub(super) truncate: bool,
    /// Whether scores are the numbers of the head, and not probabilities.
    #[serde(default)]
    raw_scores: bool,
    /// What other clients say.
    #[serde(default)]
    parameters: Option<Parameters>,
}

/// What the clients of the Hugging Face hub send.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// `none` for the numbers of the head.
    #[serde(default)]
    function_to_apply: Option<Function>,
    /// As many labels.
    #[serde(default)]
    top_k: Option<usize>,
    /// Only `simple`, which is how entities always are put together.
    #[serde(default)]
    #[allow(dead_code, reason = "there is one way")]
    aggregation_strategy: Option<Aggregation>,
}

/// How the tags of words become entities.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Aggregation {
    /// Words of one entity are one.
    Simple,
}

/// What makes scores of the numbers of the head.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Function {
    /// What the adapter was trained with: softmax for one label.
    Softmax,
    /// What the adapter was trained with: the sigmoid for several labels.
    Sigmoid,
    /// Nothing.
    None,
}

/// A text, two that are a pair, or a batch of either.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum PredictInputs {
    /// One input: a text, a pair, or the columns of its task.
    One(Item),
    /// A batch.
    Batch(Vec<Item>),
}

/// A label, and how sure the adapter is of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct LabelScore {
    label: String,
    score: f32,
}

/// Answer for one text or a batch by one adapter.
#[utoipa::path(
    post,
    path = "/predict",
    request_body = PredictRequest,
    responses(
        (status = 200, description = "The labels of each input, the surest first; a list of such lists for a batch", body = Vec<LabelScore>),
        (status = 400, description = "The request is not understood", body = ErrorBody),
        (status = 404, description = "There is no such adapter", body = ErrorBody),
        (status = 413, description = "The batch or an input is too long", body = ErrorBody),
        (status = 422, description = "The adapter takes other inputs", body = ErrorBody),
        (status = 429, description = "The queue is full", body = ErrorBody),
    )
)]
pub(crate) async fn predict(
    State(app): State<Arc<App>>,
    Body(request): Body<PredictRequest>,
) -> Result<Response, ApiError> {
    let _place = app.place()?;
    let member = the_adapter(&app, request.adapter.as_deref())?;
    check_scores(&request, &member)?;
    let (raw, most) = (raw_scores(&request), most_labels(&request));
    let (items, one) = match request.inputs {
        PredictInputs::One(item) => (vec![item], true),
        PredictInputs::Batch(items) => (items, false),
    };
    let said = ask(&app, vec![member.clone()], items, request.truncate).await?;
    let labels = member.predictor()?.labels();
    let answers = said.answers.iter().flat_map(|(_, answers)| answers);
    let mut answers: Vec<Value> = answers
        .map(|answer| scores(answer, &labels, raw, most))
        .collect();
    let body = match (one, answers.len()) {
        (true, 1) => answers.remove(0),
        _ => Value::Array(answers),
    };
    let response = axum::Json(body).into_response();
    Ok(made_by(response, &[member]))
}

/// Whether the numbers of the head are asked for.
pub(super) fn raw_scores(request: &PredictRequest) -> bool {
    let parameters = request.parameters.as_ref();
    let function = parameters.and_then(|parameters| parameters.function_to_apply);
    request.raw_scores || function == Some(Function::None)
}

/// Fails where scores are asked for that the adapter does not give.
pub(super) fn check_scores(request: &PredictRequest, member: &Member) -> Result<(), ApiError> {
    let parameters = request.parameters.as_ref();
    let function = parameters.and_then(|parameters| parameters.function_to_apply);
    let (raw, own) = match &member.tuned().outputs {
        Outputs::Classes(_) => (true, Some(Function::Softmax)),
        Outputs::Labels(_) => (true, Some(Function::Sigmoid)),
        Outputs::Value | Outputs::Text => (true, None),
        Outputs::Tags(_) | Outputs::Span | Outputs::Embedding => (false, None),
    };
    let wrong = match function {
        None => None,
        Some(Function::None) => (!raw).then_some("function_to_apply"),
        Some(function) => (own != Some(function)).then_some("function_to_apply"),
    };
    let limited = parameters.is_some_and(|parameters| parameters.top_k.is_some());
    let wrong = wrong
        .or((request.raw_scores && !raw).then_some("raw_scores"))
        .or((limited && own.is_none()).then_some("top_k"));
    match wrong {
        None if parameters.and_then(|p| p.top_k) == Some(0) => {
            Err(ApiError::malformed("\"top_k\" is at least 1"))
        }
        None => Ok(()),
        Some(field) => Err(ApiError::unfit(format!(
            "adapter `{}` gives no such scores: leave out \"{field}\"",
            member.name()
        ))),
    }
}

/// How many labels are asked for.
pub(super) fn most_labels(request: &PredictRequest) -> usize {
    let parameters = request.parameters.as_ref();
    let most = parameters.and_then(|parameters| parameters.top_k);
    most.unwrap_or(usize::MAX)
}

/// The adapter of this name, or the only one.
pub(super) fn the_adapter(app: &App, name: Option<&str>) -> Result<Arc<Member>, ApiError> {
    if let Some(name) = name {
        return Ok(app.set.get(name)?);
    }
    let members = app.set.members();
    let adapters: Vec<&Arc<Member>> = members.iter().filter(|m| m.dir().is_some()).collect();
    match (adapters.as_slice(), members.as_slice()) {
        ([only], _) => Ok((*only).clone()),
        ([], [base]) => Ok(base.clone()),
        (_, []) => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "no adapter is loaded: load one by POST /v1/adapters",
        )),
        _ => Err(ApiError::malformed(
            "there are several adapters: name one as \"adapter\"",
        )),
    }
}

/// An answer as labels with scores, the surest first.
pub(super) fn scores(answer: &Answer, labels: &[String], raw: bool, most: usize) -> Value {
    let (numbers, label) = match answer {
        Answer::Class {
            probabilities,
            logits,
            label,
            ..
        } => (if raw { logits } else { probabilities }, label.as_str()),
        Answer::Labels {
            probabilities,
            logits,
            ..
        } => (if raw { logits } else { probabilities }, ""),
        Answer::Value(value) => return json!([{"label": "LABEL_0", "score": value}]),
        Answer::Text(text) => return json!([{"generated_text": text}]),
        Answer::Tags { entities, .. } => {
            let entities = entities.iter().map(|entity| {
                json!({
                    "entity_group": entity.kind, "score": entity.score, "word": entity.text,
                    "start": entity.start, "end": entity.end,
                })
            });
            return entities.collect();
        }
        Answer::Span {
            text,
            characters,
            probability,
        } => {
            let (start, end) = characters.unwrap_or_default();
            return json!([{"answer": text, "score": probability, "start": start, "end": end}]);
        }
    };
    let mut scores: Vec<LabelScore> = { numbers.iter().enumerate() }
        .map(|(class, score)| LabelScore {
            // Candidates of a prompt of its own have no names but the chosen one's.
            label: labels.get(class).map_or(label, String::as_str).to_owned(),
            score: *score,
        })
        .collect();
    scores.sort_by(|a, b| b.score.total_cmp(&a.score));
    scores.truncate(most);
    json!(scores)
}
