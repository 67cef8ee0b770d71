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
    /// A tag for each word of a text (token classification).
    Tags,
    /// The place of the right text among others, by the distance of embeddings.
    Rank,
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
    /// Tags of words with these names.
    Tags(Vec<String>),
    /// One number.
    Value,
    /// An embedding, which is compared with others.
    Embedding,
    /// Continuations that belong to the input, or a generated text.
    Text,
    /// How well each token begins the answer, and how well it ends it.
    Span,
}

impl Outputs {
    /// How many numbers a model gives for one input, or of tags and spans for one token: one per class, of a span 2,
    /// else 1.
    pub fn count(&self) -> usize {
        match self {
            Self::Classes(names) | Self::Labels(names) | Self::Tags(names) => names.len(),
            Self::Value | Self::Text | Self::Embedding => 1,
            Self::Span => 2,
        }
    }

    /// The names of the classes, labels or tags, where there are any.
    pub fn classes(&self) -> Option<&[String]> {
        match self {
            Self::Classes(names) | Self::Labels(names) | Self::Tags(names) => Some(names),
            Self::Value | Self::Text | Self::Span | Self::Embedding => None,
        }
    }

    /// The names of the classes, labels or tags; empty where there are none.
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

/// How right the tags of a text are: numbers of entities and of words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TagCounts {
    /// Predicted entities that are right, in type and extent.
    pub correct: usize,
    /// Predicted entities.
    pub found: usize,
    /// Entities that there are.
    pub right: usize,
    /// Words with the right tag.
    pub same: usize,
    /// Words.
    pub words: usize,
}

impl TagCounts {
    /// The counts in the order of the fields.
    pub const fn numbers(self) -> [usize; 5] {
        [self.correct, self.found, self.right, self.same, self.words]
    }

    /// The counts that [`numbers`](Self::numbers) gave.
    pub const fn from_numbers([correct, found, right, same, words]: [usize; 5]) -> Self {
        Self {
            correct,
            found,
            right,
            same,
            words,
        }
    }
}

impl std::ops::Add for TagCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (a, b) = (self.numbers(), other.numbers());
        Self::from_numbers(std::array::from_fn(|at| a[at] + b[at]))
    }
}

impl std::iter::Sum for TagCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, own| sum + own)
    }
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
    /// The place of the right text among all, from 1; 0 where an embedding is not finite.
    Rank(usize),
    /// The mean log probability of the input's predicted tokens.
    Tokens(f32),
    /// A tag for each word, compared with the right ones.
    Tags {
        /// The tag of each word.
        tags: Vec<usize>,
        /// How right they are.
        counts: TagCounts,
    },
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
    /// The numbers of the prediction: scores, the value, token F1 and exact match, or the counts of tags.
    pub fn scores(&self) -> Vec<f32> {
        match self {
            Self::Classes(scores) | Self::Labels(scores) => scores.clone(),
            Self::Value(value) | Self::Tokens(value) => vec![*value],
            Self::Rank(place) => vec![*place as f32],
            Self::Answer {
                token_f1, exact, ..
            } => vec![*token_f1, f32::from(*exact)],
            // Whole numbers, exact up to 16 million.
            Self::Tags { counts, .. } => counts.numbers().map(|n| n as f32).to_vec(),
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
            // Chosen from scores that were checked.
            Self::Tags { .. } => true,
            Self::Rank(place) => *place > 0,
        }
    }
}
