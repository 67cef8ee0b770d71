use serde::{Deserialize, Serialize};

/// The kind of output that a model gives and a task asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// A score for each of several classes or candidates.
    Classes,
    /// A score for each of several labels, any number of which may hold.
    Labels,
    /// A number (regression).
    Value,
    /// The likelihood of the input's own continuation (language modelling).
    Tokens,
    /// A text that answers a question: a generated one, or a part of what was read.
    Answer,
}

/// The meaning of a model's outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// Classes or candidates with these names.
    Classes(Vec<String>),
    /// Labels with these names, any number of which may hold.
    Labels(Vec<String>),
    /// One number.
    Value,
    /// Continuations that belong to the input, or a generated text.
    Text,
    /// How well each token begins the answer, and how well it ends it.
    Span,
}

impl Outputs {
    /// How many numbers a model gives for one input: one per class, of a span 2 for each token, else 1.
    pub fn count(&self) -> usize {
        match self {
            Self::Classes(names) | Self::Labels(names) => names.len(),
            Self::Value | Self::Text => 1,
            Self::Span => 2,
        }
    }

    /// The names of the classes or labels, where there are any.
    pub fn classes(&self) -> Option<&[String]> {
        match self {
            Self::Classes(names) | Self::Labels(names) => Some(names),
            Self::Value | Self::Text | Self::Span => None,
        }
    }

    /// The names of the classes or labels; empty where there are none.
    pub fn names(&self) -> &[String] {
        self.classes().unwrap_or_default()
    }
}

/// Whether every question has an answer in its context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answerable {
    /// It has, as in SQuAD 1.1.
    #[default]
    Always,
    /// It may have none, as in SQuAD 2.0.
    Sometimes,
}

/// A model's output for one input.
#[derive(Clone, Debug, PartialEq)]
pub enum Prediction {
    /// A score for each class or candidate, before softmax.
    Classes(Vec<f32>),
    /// A score for each label, before the sigmoid.
    Labels(Vec<f32>),
    /// A number.
    Value(f32),
    /// The mean log probability of the input's predicted tokens.
    Tokens(f32),
    /// A generated text, or a part of what was read, compared with the right answers.
    Answer {
        /// The text.
        text: String,
        /// F1 of its words.
        token_f1: f32,
        /// Whether it equals a right answer.
        exact: bool,
    },
}

impl Prediction {
    /// The numbers of the prediction: scores, the value, or token F1 and exact match.
    pub fn scores(&self) -> Vec<f32> {
        match self {
            Self::Classes(scores) | Self::Labels(scores) => scores.clone(),
            Self::Value(value) | Self::Tokens(value) => vec![*value],
            Self::Answer {
                token_f1, exact, ..
            } => vec![*token_f1, f32::from(*exact)],
        }
    }

    /// Whether all its numbers are finite.
    pub fn is_finite(&self) -> bool {
        match self {
            Self::Classes(scores) | Self::Labels(scores) => {
                scores.iter().all(|score| score.is_finite())
            }
            Self::Value(value) | Self::Tokens(value) => value.is_finite(),
            Self::Answer { token_f1, .. } => token_f1.is_finite(),
        }
    }
}
