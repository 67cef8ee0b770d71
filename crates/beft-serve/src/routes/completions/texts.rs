//! The texts of a completion on their way to the client, whole or piece by piece.

use std::convert::Infallible;

use axum::http::StatusCode;
use axum::response::sse::{Event as Sent, Sse};
use axum::response::{IntoResponse, Response};
use beft::TextDelta;
use beft_decoder::{Finish, RequestError};
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use utoipa::ToSchema;

use crate::app::Place;
use crate::error::{ApiError, OpenAiError};
use crate::writer::Event;

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

/// The texts of one request on their way.
pub(super) struct Texts {
    pub(super) id: String,
    pub(super) created: u64,
    pub(super) model: String,
    pub(super) echo: bool,
    pub(super) n: usize,
    /// Texts that have not ended.
    pub(super) left: usize,
    pub(super) usage: Usage,
    pub(super) inbox: UnboundedReceiver<(usize, Event)>,
    /// Held until all is sent.
    pub(super) _place: Place,
}

impl Texts {
    /// The next piece of a text; `None` when all have ended.
    pub(super) async fn next(&mut self) -> Result<Option<Choice>, ApiError> {
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
    pub(super) async fn whole(&mut self, count: usize) -> Result<CompletionResponse, ApiError> {
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
        finish_reason: delta.finish.map(Finish::reason),
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
pub(super) fn streamed(texts: Texts, first: Option<Choice>, usage: bool) -> Response {
    let begin = (texts, Next::Piece(first));
    let events = stream::unfold(begin, move |(mut texts, mut next)| async move {
        if let Next::Wait = next {
            next = match texts.next().await {
                Ok(piece) => Next::Piece(piece),
                Err(error) => {
                    // The status is long sent: the client sees an error, and no end of the text.
                    let error = event(&OpenAiError::from(&error));
                    return Some((error, (texts, Next::Over)));
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
