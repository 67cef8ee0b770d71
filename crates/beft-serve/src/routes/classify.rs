//! `/classify`, as vLLM has it, by one adapter or several.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use beft::{Answer, Member};
use beft_core::Outputs;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Body, made_by, since_1970};
use crate::app::App;
use crate::error::{ApiError, ErrorBody};
use crate::gate::new_id;
use crate::inputs::{Item, ask};

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassifyRequest {
    model: ModelNames,
    input: Inputs,
    /// Whether `probs` are the numbers of the head, and not probabilities.
    #[serde(default)]
    raw_scores: bool,
    /// Whether longer texts are cut; otherwise they are refused.
    #[serde(default)]
    truncate: bool,
    /// Names the caller; nothing depends on it.
    #[serde(default)]
    #[allow(dead_code, reason = "clients send it")]
    user: Option<String>,
}

/// An adapter or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ModelNames {
    /// One.
    One(String),
    /// Each of them answers each input; the layers that none of them changes are computed once.
    Several(Vec<String>),
}

/// A text or several. In a list, a list of two texts is a pair, and an object has the columns of the task.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Inputs {
    /// One text.
    One(String),
    /// Several inputs.
    Several(Vec<Item>),
    /// The columns of one input.
    Columns(serde_json::Map<String, Value>),
}

/// What one adapter says of one input.
#[derive(Serialize, ToSchema)]
pub(crate) struct Classified {
    /// The number of the input.
    index: usize,
    /// The adapter.
    model: String,
    /// Which of the adapters that had this name in turn.
    generation: u64,
    /// The surest label; of several labels a list.
    label: Value,
    /// The probability of each label, in the order of `labels`.
    probs: Vec<f32>,
    /// The number of labels.
    num_classes: usize,
    /// The names of the labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    /// The entities of a text, of an adapter that finds such.
    #[serde(skip_serializing_if = "Option::is_none")]
    entities: Option<Value>,
    /// The answer to a question, of an adapter that finds such.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<Value>,
}

/// What all adapters say.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClassifyResponse {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    /// The inputs in their order, each by all adapters.
    data: Vec<Classified>,
    usage: Usage,
}

/// What it took.
#[derive(Serialize, ToSchema)]
pub(crate) struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

/// Answer for one text or several by one adapter or several.
#[utoipa::path(
    post,
    path = "/classify",
    request_body = ClassifyRequest,
    responses(
        (status = 200, body = ClassifyResponse),
        (status = 400, description = "The request is not understood", body = ErrorBody),
        (status = 404, description = "There is no such adapter", body = ErrorBody),
        (status = 413, description = "The batch or an input is too long", body = ErrorBody),
        (status = 422, description = "An adapter takes other inputs", body = ErrorBody),
        (status = 429, description = "The queue is full", body = ErrorBody),
    )
)]
pub(crate) async fn classify(
    State(app): State<Arc<App>>,
    Body(request): Body<ClassifyRequest>,
) -> Result<Response, ApiError> {
    let _place = app.place()?;
    let names = match request.model {
        ModelNames::One(name) => vec![name],
        ModelNames::Several(names) => names,
    };
    let mut members: Vec<Arc<Member>> = Vec::with_capacity(names.len());
    for name in &names {
        let member = app.set.get(name)?;
        let outputs = &member.tuned().outputs;
        if request.raw_scores && matches!(outputs, Outputs::Tags(_) | Outputs::Span) {
            return Err(ApiError::unfit(format!(
                "adapter `{name}` has no raw scores: leave out \"raw_scores\""
            )));
        }
        if members.iter().any(|known| known.name() == member.name()) {
            return Err(ApiError::malformed(format!(
                "\"model\" names `{name}` twice"
            )));
        }
        members.push(member);
    }
    if members.is_empty() {
        return Err(ApiError::malformed("\"model\" names no adapter"));
    }
    let items = match request.input {
        Inputs::One(text) => vec![Item::Text(text)],
        Inputs::Several(items) => items,
        Inputs::Columns(columns) => vec![Item::Columns(columns)],
    };
    let count = items.len();
    let said = ask(&app, members.clone(), items, request.truncate).await?;
    let mut data = Vec::with_capacity(count * members.len());
    for index in 0..count {
        for (member, answers) in &said.answers {
            let labels = member.predictor()?.labels();
            let answer = &answers[index];
            data.push(classified(
                index,
                member,
                answer,
                labels,
                request.raw_scores,
            ));
        }
    }
    let response = ClassifyResponse {
        id: format!("classify-{}", new_id()),
        object: "list",
        created: since_1970().as_secs(),
        model: names.join(","),
        data,
        usage: Usage {
            prompt_tokens: said.tokens,
            completion_tokens: 0,
            total_tokens: said.tokens,
        },
    };
    Ok(made_by(axum::Json(response).into_response(), &members))
}

fn classified(
    index: usize,
    member: &Member,
    answer: &Answer,
    labels: Vec<String>,
    raw: bool,
) -> Classified {
    let (label, probs) = match answer {
        Answer::Class {
            label,
            probabilities,
            logits,
            ..
        } => (
            json!(label),
            if raw { logits } else { probabilities }.clone(),
        ),
        Answer::Labels {
            labels,
            probabilities,
            logits,
        } => (
            json!(labels),
            if raw { logits } else { probabilities }.clone(),
        ),
        Answer::Value(value) => (Value::Null, vec![*value]),
        Answer::Text(text) => (json!(text), Vec::new()),
        Answer::Tags { .. } => (Value::Null, Vec::new()),
        Answer::Span { probability, .. } => (Value::Null, vec![*probability]),
    };
    Classified {
        index,
        model: member.name().to_owned(),
        generation: member.generation(),
        label,
        num_classes: probs.len(),
        probs,
        labels,
        entities: match answer {
            Answer::Tags { entities, .. } => Some(json!(entities)),
            _ => None,
        },
        answer: match answer {
            Answer::Span {
                text, characters, ..
            } => {
                let (start, end) = characters.unwrap_or_default();
                Some(json!({"text": text, "start": start, "end": end}))
            }
            _ => None,
        },
    }
}
