//! The columns that an answer has in a row.

use beft::Answer;
use serde_json::{Value, json};

/// What the model says, without its probabilities, and the name of its column.
pub(crate) fn prediction(answer: &Answer) -> (&'static str, Value) {
    match answer {
        Answer::Class { label, .. } => ("label", json!(label)),
        Answer::Labels { labels, .. } => ("labels", json!(labels)),
        Answer::Tags { entities, .. } => ("entities", json!(entities)),
        Answer::Value(value) => ("value", json!(value)),
        Answer::Text(text) => ("generated_text", json!(text)),
        Answer::Span { text, .. } => ("answer", json!(text)),
    }
}

/// The name of the column with the probability of an answer.
pub(crate) fn certainty(answer: &Answer) -> &'static str {
    match answer {
        // As the pipelines of transformers call it.
        Answer::Span { .. } => "score",
        Answer::Class { .. } | Answer::Labels { .. } | Answer::Tags { .. } => "probability",
        Answer::Value(_) | Answer::Text(_) => "probability",
    }
}

/// Where a part of a context is; nothing for other answers.
pub(crate) fn place(answer: &Answer) -> Vec<(&'static str, Value)> {
    match answer {
        Answer::Span { characters, .. } => vec![
            ("start", json!(characters.map(|(start, _)| start))),
            ("end", json!(characters.map(|(_, end)| end))),
        ],
        Answer::Class { .. } | Answer::Labels { .. } | Answer::Tags { .. } => Vec::new(),
        Answer::Value(_) | Answer::Text(_) => Vec::new(),
    }
}

/// The tags of words that were given.
pub(crate) fn tags(answer: &Answer) -> Option<&[String]> {
    match answer {
        Answer::Tags { tags, .. } => tags.as_deref(),
        Answer::Class { .. } | Answer::Labels { .. } | Answer::Span { .. } => None,
        Answer::Value(_) | Answer::Text(_) => None,
    }
}

/// The probabilities and logits of classes or labels.
pub(crate) fn numbers(answer: &Answer) -> Option<(&[f32], &[f32])> {
    match answer {
        Answer::Class {
            probabilities,
            logits,
            ..
        }
        | Answer::Labels {
            probabilities,
            logits,
            ..
        } => Some((probabilities, logits)),
        Answer::Value(_) | Answer::Text(_) | Answer::Span { .. } | Answer::Tags { .. } => None,
    }
}
