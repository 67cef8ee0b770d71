//! `/v1/completions`, as OpenAI has it.

mod request;
mod texts;

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use beft::TextOptions;
use beft_decoder::Sampling;
use tokio::sync::mpsc::unbounded_channel;

use super::{Body, made_by, since_1970};
use crate::app::App;
use crate::error::{ApiError, OpenAiError};
use crate::gate::new_id;
use crate::writer::Task;
use request::{CompletionRequest, Stop, prompts, refuse_unknown};
use texts::{CompletionResponse, Texts, Usage, streamed};

/// What OpenAI generates if nothing is said.
const USUAL_TOKENS: usize = 16;

/// Continue prompts.
#[utoipa::path(
    post,
    path = "/v1/completions",
    request_body = CompletionRequest,
    responses(
        (status = 200, description = "The texts; of a stream, events with their pieces, and [DONE]", body = CompletionResponse),
        (status = 400, description = "The request is not understood", body = OpenAiError),
        (status = 404, description = "There is no such adapter", body = OpenAiError),
        (status = 413, description = "The prompt is too long", body = OpenAiError),
        (status = 422, description = "The model writes no texts", body = OpenAiError),
        (status = 429, description = "The queue is full", body = OpenAiError),
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
    let usual = USUAL_TOKENS.min(app.limits.max_tokens);
    let tokens = request.max_tokens.unwrap_or(usual);
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
    let mut texts = Texts {
        id: format!("cmpl-{}", new_id()),
        created: since_1970().as_secs(),
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

/// A seed that nobody asked for.
fn any_seed() -> u64 {
    since_1970().as_nanos() as u64
}
