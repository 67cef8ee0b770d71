//! What is asked, and the client that asks.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::StatusCode;

use super::Ask;

/// Connections that are kept: more than a server takes requests at a time.
const KEPT: usize = 1024;

/// All requests, by their number.
pub(super) struct Asked {
    texts: Vec<String>,
    models: Vec<String>,
    ask: Ask,
}

impl Asked {
    pub(super) fn read(path: &Path, models: &[String], ask: Ask) -> Result<Self> {
        let text = std::fs::read_to_string(path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        let texts: Vec<String> = text.lines().map(str::to_owned).collect();
        if texts.is_empty() {
            bail!("{} is empty", path.display());
        }
        Ok(Self {
            texts,
            models: models.to_vec(),
            ask,
        })
    }

    /// The body of a request.
    pub(super) fn body(&self, number: usize) -> String {
        let count = self.models.len();
        let (text, model): (usize, Value) = match self.ask {
            Ask::Spread => (number, json!(self.models[number % count])),
            Ask::Each => (number / count, json!(self.models[number % count])),
            Ask::Together => (number, json!(self.models)),
        };
        json!({"model": model, "input": self.texts[text % self.texts.len()]}).to_string()
    }
}

/// How a request ended.
pub(super) enum Said {
    /// With an answer, this text.
    Answer(String),
    /// With 429: the server has too many.
    Refused,
    /// In another way.
    Failed(String),
}

/// Sends requests over connections that stay open.
pub(super) struct Client {
    agent: Agent,
    url: String,
}

impl Client {
    pub(super) fn new(url: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_idle_connections(KEPT)
            .max_idle_connections_per_host(KEPT)
            .timeout_global(Some(Duration::from_secs(120)))
            // Nothing but the server that is measured.
            .proxy(None)
            .build();
        Self {
            agent: config.into(),
            url: format!("{url}/classify"),
        }
    }

    pub(super) fn send(&self, body: &str) -> Said {
        let sent = self.agent.post(&self.url);
        let answer = sent.content_type("application/json").send(body);
        let read = answer.and_then(|mut answer| {
            let text = answer.body_mut().read_to_string()?;
            Ok((answer.status(), text))
        });
        match read {
            Ok((StatusCode::OK, text)) => Said::Answer(text),
            Ok((StatusCode::TOO_MANY_REQUESTS, _)) => Said::Refused,
            Ok((status, text)) => Said::Failed(format!("{status}: {text}")),
            Err(error) => Said::Failed(error.to_string()),
        }
    }
}

/// The probabilities in the answer of a server, ours or one in Python.
pub(super) fn probabilities(answer: &str) -> Result<Vec<f64>> {
    let answer: Value = serde_json::from_str(answer)?;
    let ours = answer.pointer("/data/0/probs");
    let found = ours
        .or_else(|| answer.get("probs"))
        .and_then(Value::as_array);
    let found = found.context("an answer without probabilities")?;
    Ok(found.iter().filter_map(Value::as_f64).collect())
}
