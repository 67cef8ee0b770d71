//! `/v1/completions`, as OpenAI has it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event as Sent, Sse};
use axum::response::{IntoResponse, Response};
use beft::{TextDelta, TextOptions};
use beft_decoder::{Finish, RequestError, Sampling};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use utoipa::ToSchema;

use super::{Body, made_by};
use crate::app::{App, Place};
use crate::error::{ApiError, ErrorBody};
use crate::gate::new_id;
use crate::writer::{Event, Given, Task};

/// What is asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CompletionRequest {
    /// The adapter, or the base model.
    model: String,
    prompt: Prompts,
    /// Tokens at most.
    #[serde(default)]
    max_tokens: Option<usize>,
    /// 0 takes the most probable token each time.
    #[serde(default)]
    temperature: Option<f32>,
    /// The smallest set of tokens whose probability reaches this is drawn from.
    #[serde(default)]
    top_p: Option<f32>,
    /// So many of the most probable tokens are drawn from.
    #[serde(default)]
    top_k: Option<usize>,
    /// Texts for each prompt.
    #[serde(default)]
    n: Option<usize>,
    /// A text ends before the first of these.
    #[serde(default)]
    stop: Option<Stop>,
    /// The same seed gives the same texts.
    #[serde(default)]
    seed: Option<i64>,
    /// Whether texts begin with the prompt.
    #[serde(default)]
    echo: bool,
    /// Log probabilities of each token, and of so many others in its place.
    #[serde(default)]
    logprobs: Option<usize>,
    /// Whether the text comes piece by piece, as server-sent events.
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
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
    include_usage: bool,
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

/// Texts.
#[derive(Serialize, ToSchema)]
pub(crate) struct CompletionResponse {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    choices: Vec<Choice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

/// A text, or a piece of it.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct Choice {
    /// Its number: all texts of the first prompt come first.
    index: usize,
    text: String,
    logprobs: Option<Logprobs>,
    /// `stop` or `length` at its end.
    finish_reason: Option<&'static str>,
}

/// Log probabilities of the tokens of a text.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct Logprobs {
    tokens: Vec<String>,
    token_logprobs: Vec<f32>,
    top_logprobs: Vec<serde_json::Map<String, Value>>,
    text_offset: Vec<usize>,
}

/// What it took.
#[derive(Clone, Copy, Default, Serialize, ToSchema)]
pub(crate) struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

/// Log probabilities of others in a token's place at most.
const MOST_LOGPROBS: usize = 20;
/// What OpenAI generates if nothing is said.
const USUAL_TOKENS: usize = 16;

/// Continue prompts.
#[utoipa::path(
    post,
    path = "/v1/completions",
    request_body = CompletionRequest,
    responses(
        (status = 200, description = "The texts; of a stream, events with their pieces, and [DONE]", body = CompletionResponse),
        (status = 400, body = ErrorBody),
        (status = 404, description = "There is no such adapter", body = ErrorBody),
        (status = 413, description = "The prompt is too long", body = ErrorBody),
        (status = 422, description = "The model writes no texts", body = ErrorBody),
        (status = 429, description = "The queue is full", body = ErrorBody),
    )
)]
pub(crate) async fn completions(
    State(app): State<Arc<App>>,
    Body(request): Body<CompletionRequest>,
) -> Result<Response, ApiError> {
    let place = app.place()?;
    let member = app.set.get(&request.model)?;
    let writer = app
        .writer
        .as_ref()
        .filter(|_| member.tuned().model.generator().is_some());
    let Some(writer) = writer else {
        return Err(ApiError::unfit(format!(
            "`{}` writes no texts: ask it by /classify or /predict",
            request.model
        )));
    };
    refuse_unknown(&request)?;
    let n = request.n.unwrap_or(1);
    let prompts = prompts(request.prompt);
    let most = app.limits.batch_size;
    if n == 0 || prompts.is_empty() {
        return Err(ApiError::malformed(
            "nothing is asked for: give a prompt, and an n of at least 1",
        ));
    }
    if prompts.len().saturating_mul(n) > most {
        return Err(ApiError::too_large(format!(
            "{} prompts with n {n} are more than {most} texts: send several requests",
            prompts.len()
        )));
    }
    let tokens = request.max_tokens.unwrap_or(USUAL_TOKENS);
    if tokens == 0 || tokens > app.limits.max_tokens {
        return Err(ApiError::malformed(format!(
            "max_tokens is {tokens}, and may be 1 to {}",
            app.limits.max_tokens
        )));
    }
    let seed = request.seed.map_or_else(any_seed, |seed| seed as u64);
    let temperature = request.temperature.unwrap_or(1.0);
    let sampling = Sampling::new(
        temperature,
        request.top_k,
        request.top_p.unwrap_or(1.0),
        seed,
    );
    let sampling = sampling.map_err(|error| ApiError::malformed(error.to_string()))?;
    let stop = match request.stop {
        None => Vec::new(),
        Some(Stop::One(text)) => vec![text],
        Some(Stop::Several(texts)) => texts,
    };
    if stop.iter().any(String::is_empty) {
        return Err(ApiError::malformed(
            "an empty text cannot be stopped at: leave it out of \"stop\"",
        ));
    }
    let (events, inbox) = unbounded_channel();
    let tasks = prompts.iter().enumerate().flat_map(|(prompt, given)| {
        let (member, events, sampling, stop) = (&member, &events, &sampling, &stop);
        (0..n).map(move |copy| Task {
            member: member.clone(),
            given: given.clone(),
            options: TextOptions {
                max_new_tokens: tokens,
                sampling: sampling.clone().of_continuation(copy),
                stop: stop.clone(),
                logprobs: request.logprobs,
                biases: None,
            },
            number: prompt * n + copy,
            events: events.clone(),
        })
    });
    writer.write(tasks.collect());
    drop(events);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut texts = Texts {
        id: format!("cmpl-{}", new_id()),
        created: since.unwrap_or_default().as_secs(),
        model: request.model,
        echo: request.echo,
        n,
        left: prompts.len() * n,
        usage: Usage::default(),
        inbox,
        _place: place,
    };
    if !request.stream {
        let response = texts.whole(prompts.len() * n).await?;
        return Ok(made_by(axum::Json(response).into_response(), &[member]));
    }
    // What is wrong with a prompt is said by the status, so the first event is waited for.
    let first = texts.next().await?;
    let usage = request.stream_options.unwrap_or_default().include_usage;
    Ok(made_by(streamed(texts, first, usage), &[member]))
}

/// Fails where a field asks for what is not done.
fn refuse_unknown(request: &CompletionRequest) -> Result<(), ApiError> {
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

fn prompts(given: Prompts) -> Vec<Given> {
    match given {
        Prompts::Text(text) => vec![Given::Text(text)],
        Prompts::Texts(texts) => texts.into_iter().map(Given::Text).collect(),
        Prompts::Tokens(ids) => vec![Given::Tokens(ids)],
        Prompts::Several(several) => several.into_iter().map(Given::Tokens).collect(),
    }
}

/// A seed that nobody asked for.
fn any_seed() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    now.as_nanos() as u64
}

/// The texts of one request on their way.
struct Texts {
    id: String,
    created: u64,
    model: String,
    echo: bool,
    n: usize,
    /// Texts that have not ended.
    left: usize,
    usage: Usage,
    inbox: UnboundedReceiver<(usize, Event)>,
    /// Held until all is sent.
    _place: Place,
}

impl Texts {
    /// The next piece of a text; `None` when all have ended.
    async fn next(&mut self) -> Result<Option<Choice>, ApiError> {
        while self.left > 0 {
            let Some((index, event)) = self.inbox.recv().await else {
                return Err(ApiError::internal());
            };
            match event {
                Event::Begun { text, tokens } => {
                    // A prompt counts once, however many texts follow it.
                    if index.is_multiple_of(self.n) {
                        self.usage.prompt_tokens += tokens;
                    }
                    if self.echo {
                        return Ok(Some(Choice {
                            index,
                            text,
                            ..Choice::default()
                        }));
                    }
                }
                Event::Delta(delta) => {
                    self.usage.completion_tokens += usize::from(delta.token.is_some());
                    self.left -= usize::from(delta.finish.is_some());
                    let choice = choice(index, delta);
                    let empty = choice.text.is_empty() && choice.logprobs.is_none();
                    if !empty || choice.finish_reason.is_some() {
                        return Ok(Some(choice));
                    }
                }
                Event::Failed(error) => {
                    let long = matches!(error, beft::Error::Request(RequestError::TooLong { .. }));
                    return Err(match long {
                        true => ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
                        false => error.into(),
                    });
                }
            }
        }
        Ok(None)
    }

    fn usage(&self) -> Usage {
        Usage {
            total_tokens: self.usage.prompt_tokens + self.usage.completion_tokens,
            ..self.usage
        }
    }

    fn response(&self, choices: Vec<Choice>, usage: Option<Usage>) -> CompletionResponse {
        CompletionResponse {
            id: self.id.clone(),
            object: "text_completion",
            created: self.created,
            model: self.model.clone(),
            choices,
            usage,
        }
    }

    /// All texts to their ends.
    async fn whole(&mut self, count: usize) -> Result<CompletionResponse, ApiError> {
        let mut choices: Vec<Choice> = (0..count)
            .map(|index| Choice {
                index,
                ..Choice::default()
            })
            .collect();
        while let Some(piece) = self.next().await? {
            let whole = &mut choices[piece.index];
            whole.text.push_str(&piece.text);
            whole.finish_reason = piece.finish_reason.or(whole.finish_reason);
            if let Some(more) = piece.logprobs {
                let all = whole.logprobs.get_or_insert_default();
                all.tokens.extend(more.tokens);
                all.token_logprobs.extend(more.token_logprobs);
                all.top_logprobs.extend(more.top_logprobs);
                all.text_offset.extend(more.text_offset);
            }
        }
        Ok(self.response(choices, Some(self.usage())))
    }
}

fn choice(index: usize, delta: TextDelta) -> Choice {
    let logprobs = delta.token.and_then(|token| token.logprobs).map(|found| {
        let top = found
            .top
            .into_iter()
            .map(|(text, logprob)| (text, json!(logprob)));
        Logprobs {
            tokens: vec![found.text],
            token_logprobs: vec![found.logprob],
            top_logprobs: vec![top.collect()],
            text_offset: vec![found.offset],
        }
    });
    Choice {
        index,
        text: delta.text,
        logprobs,
        finish_reason: delta.finish.map(|finish| match finish {
            Finish::Stop => "stop",
            Finish::Length => "length",
        }),
    }
}

/// What a stream sends next.
enum Next {
    Piece(Option<Choice>),
    Wait,
    Done,
    Over,
}

/// The texts as server-sent events.
fn streamed(texts: Texts, first: Option<Choice>, usage: bool) -> Response {
    let begin = (texts, Next::Piece(first));
    let events = stream::unfold(begin, move |(mut texts, mut next)| async move {
        if let Next::Wait = next {
            next = match texts.next().await {
                Ok(piece) => Next::Piece(piece),
                Err(_) => {
                    // The status is long sent: the client sees an error, and no end of the text.
                    let error = json!({"error": "the computation failed", "error_type": "Backend"});
                    return Some((event(&error), (texts, Next::Over)));
                }
            };
        }
        match next {
            Next::Piece(Some(choice)) => {
                let chunk = texts.response(vec![choice], None);
                Some((event(&chunk), (texts, Next::Wait)))
            }
            Next::Piece(None) if usage => {
                let chunk = texts.response(Vec::new(), Some(texts.usage()));
                Some((event(&chunk), (texts, Next::Done)))
            }
            Next::Piece(None) | Next::Done => {
                let end = Ok(Sent::default().data("[DONE]"));
                Some((end, (texts, Next::Over)))
            }
            Next::Wait | Next::Over => None,
        }
    });
    Sse::new(events).into_response()
}

fn event(body: &impl Serialize) -> Result<Sent, Infallible> {
    let text = serde_json::to_string(body).unwrap_or_default();
    Ok(Sent::default().data(text))
}
