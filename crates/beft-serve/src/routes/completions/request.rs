//! What a completion may ask for.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::writer::Given;

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompletionRequest {
    /// The adapter, or the base model.
    pub(super) model: String,
    pub(super) prompt: Prompts,
    /// Tokens at most.
    #[serde(default)]
    pub(super) max_tokens: Option<usize>,
    /// 0 takes the most probable token each time.
    #[serde(default)]
    pub(super) temperature: Option<f32>,
    /// The smallest set of tokens whose probability reaches this is drawn from.
    #[serde(default)]
    pub(super) top_p: Option<f32>,
    /// So many of the most probable tokens are drawn from.
    #[serde(default)]
    pub(super) top_k: Option<usize>,
    /// Texts for each prompt.
    #[serde(default)]
    pub(super) n: Option<usize>,
    /// A text ends before the first of these.
    #[serde(default)]
    pub(super) stop: Option<Stop>,
    /// The same seed gives the same texts.
    #[serde(default)]
    pub(super) seed: Option<i64>,
    /// Whether texts begin with the prompt.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) echo: bool,
    /// Log probabilities of each token, and of so many others in its place.
    #[serde(default)]
    pub(super) logprobs: Option<usize>,
    /// Whether the text comes piece by piece, as server-sent events.
    #[serde(default, deserialize_with = "or_default")]
    pub(super) stream: bool,
    #[serde(default)]
    pub(super) stream_options: Option<StreamOptions>,
    /// Only as many as `n`.
    #[serde(default)]
    best_of: Option<usize>,
    /// Only 0.
    #[serde(default)]
    presence_penalty: Option<f32>,
    /// Only 0.
    #[serde(default)]
    frequency_penalty: Option<f32>,
    /// Only empty.
    #[serde(default)]
    logit_bias: Option<serde_json::Map<String, Value>>,
    /// Only null.
    #[serde(default)]
    suffix: Option<String>,
    /// Names the caller; nothing depends on it.
    #[serde(default)]
    #[allow(dead_code, reason = "clients send it")]
    user: Option<String>,
}

/// What a stream holds beside texts.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamOptions {
    /// Whether the last event says how many tokens there were.
    #[serde(default)]
    pub(super) include_usage: bool,
}

/// A prompt or several, as text or tokens.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Prompts {
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// The tokens of one prompt.
    Tokens(Vec<u32>),
    /// The tokens of several.
    Several(Vec<Vec<u32>>),
}

/// A text to stop at, or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Stop {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// Log probabilities of others in a token's place at most.
const MOST_LOGPROBS: usize = 20;
/// Fails where a field asks for what is not done.
pub(super) fn refuse_unknown(request: &CompletionRequest) -> Result<(), ApiError> {
    let given = |value: Option<f32>| value.is_some_and(|value| value != 0.0);
    let wrong = [
        ("presence_penalty", given(request.presence_penalty)),
        ("frequency_penalty", given(request.frequency_penalty)),
        (
            "logit_bias",
            request
                .logit_bias
                .as_ref()
                .is_some_and(|map| !map.is_empty()),
        ),
        (
            "suffix",
            request
                .suffix
                .as_ref()
                .is_some_and(|suffix| !suffix.is_empty()),
        ),
        (
            "best_of",
            request
                .best_of
                .is_some_and(|best| best != request.n.unwrap_or(1)),
        ),
    ];
    if let Some((name, _)) = wrong.into_iter().find(|(_, wrong)| *wrong) {
        return Err(ApiError::malformed(format!(
            "\"{name}\" is not done by this server: leave it out"
        )));
    }
    if request.echo && request.logprobs.is_some() {
        return Err(ApiError::malformed(
            "the log probabilities of a prompt are not computed: leave out \"echo\" or \"logprobs\"",
        ));
    }
    if request.logprobs.is_some_and(|count| count > MOST_LOGPROBS) {
        return Err(ApiError::malformed(format!(
            "\"logprobs\" is {MOST_LOGPROBS} at most"
        )));
    }
    if request.stream_options.is_some() && !request.stream {
        return Err(ApiError::malformed(
            "\"stream_options\" is for streams: set \"stream\", or leave it out",
        ));
    }
    Ok(())
}

pub(super) fn prompts(given: Prompts) -> Vec<Given> {
    match given {
        Prompts::Text(text) => vec![Given::Text(text)],
        Prompts::Texts(texts) => texts.into_iter().map(Given::Text).collect(),
        Prompts::Tokens(ids) => vec![Given::Tokens(ids)],
        Prompts::Several(several) => several.into_iter().map(Given::Tokens).collect(),
    }
}

/// Clients write null for what they leave out.
fn or_default<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
