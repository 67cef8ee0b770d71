use serde::{Deserialize, Serialize};

/// One tokenised input, without padding and with special tokens.
///
/// For a decoder it can be a prompt with several continuations, one after another in `ids`. Each continuation
/// follows the prompt as if the others were not there, so the prompt is computed once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids, in order.
    pub ids: Vec<u32>,
    /// Segment of each token (0 for the first text, 1 for the second); as long as `ids`, or empty for
    /// a model that knows no segments.
    pub type_ids: Vec<u32>,
    /// Position of each token; empty if the positions are 0, 1, 2 and so on. RoBERTa gives a padding token
    /// inside a text the place before the first.
    pub positions: Vec<i64>,
    /// Continuations. Their tokens are the last ones of `ids`. An encoder has none.
    pub branches: Vec<Branch>,
}

/// One of an [`Encoding`]'s continuations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Number of tokens.
    pub tokens: usize,
    /// Number of tokens at the end that the model predicts. They give the score of a candidate.
    pub scored: usize,
}

impl Encoding {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token at all.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Joins a prompt and its continuations. Each continuation has its tokens and the number of them that the
    /// model predicts.
    pub fn with_branches<'a>(
        prompt: &[u32],
        branches: impl IntoIterator<Item = (&'a [u32], usize)>,
    ) -> Self {
        let mut encoding = Self {
            ids: prompt.to_vec(),
            ..Self::default()
        };
        for (ids, scored) in branches {
            encoding.ids.extend_from_slice(ids);
            encoding.branches.push(Branch {
                tokens: ids.len(),
                scored: scored.min(ids.len()),
            });
        }
        encoding
    }

    /// Number of tokens in front of the continuations.
    pub fn prompt_len(&self) -> usize {
        let branches: usize = self.branches.iter().map(|branch| branch.tokens).sum();
        self.ids.len() - branches
    }
}

/// The right output for each input.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Class indices.
    Classes(Vec<usize>),
    /// The indices of the labels that hold, in order; there may be none.
    Labels(Vec<Vec<usize>>),
    /// Values of a regression task.
    Values(Vec<f32>),
    /// Language modelling: the number of predicted tokens of each input's only continuation.
    Tokens(Vec<usize>),
    /// The first and the last token of the answer in each input; the first token of all, twice, where the input has
    /// no answer.
    Spans(Vec<(usize, usize)>),
    /// How alike the two texts of each example are, from 0 to 1. Each example has two inputs, one behind the other.
    Similarities(Vec<f32>),
    /// So many examples whose first text belongs to the second more than to those of the others. Each example has two
    /// inputs, or a third one that the first does not belong to.
    Ranked(usize),
    /// The tag of each token; `None` for a token that counts nothing in the loss (HF's -100).
    Tags(Vec<Vec<Option<usize>>>),
}

impl Targets {
    /// Number of inputs.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Labels(sets) => sets.len(),
            Self::Values(values) | Self::Similarities(values) => values.len(),
            Self::Ranked(examples) => *examples,
            Self::Tokens(counts) => counts.len(),
            Self::Spans(spans) => spans.len(),
            Self::Tags(tags) => tags.len(),
        }
    }

    /// Whether there is no input.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is right for each input, by itself.
    pub fn truths(&self) -> Vec<Truth> {
        let numbers =
            |numbers: &[usize]| numbers.iter().map(|n| Truth::Number(*n as f64)).collect();
        match self {
            Self::Classes(classes) => numbers(classes),
            Self::Labels(sets) => sets.iter().cloned().map(Truth::Labels).collect(),
            // The first place is right for each.
            Self::Ranked(examples) => vec![Truth::Number(1.0); *examples],
            Self::Values(values) | Self::Similarities(values) => {
                let values = values.iter().map(|value| f64::from(*value));
                values.map(Truth::Number).collect()
            }
            Self::Tokens(counts) => numbers(counts),
            Self::Spans(spans) => {
                let spans = spans.iter().map(|(start, end)| vec![*start, *end]);
                spans.map(Truth::Labels).collect()
            }
            Self::Tags(inputs) => {
                let tagged = |tags: &Vec<Option<usize>>| tags.iter().flatten().copied().collect();
                inputs.iter().map(tagged).map(Truth::Labels).collect()
            }
        }
    }

    /// Keeps the first `len` targets.
    pub fn truncate(&mut self, len: usize) {
        match self {
            Self::Classes(classes) => classes.truncate(len),
            Self::Labels(sets) => sets.truncate(len),
            Self::Values(values) | Self::Similarities(values) => values.truncate(len),
            Self::Ranked(examples) => *examples = len.min(*examples),
            Self::Tokens(counts) => counts.truncate(len),
            Self::Spans(spans) => spans.truncate(len),
            Self::Tags(tags) => tags.truncate(len),
        }
    }
}

/// What is right for one input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Truth {
    /// A class index, a value or a number of tokens.
    Number(f64),
    /// The indices of the labels that hold, of the tags of the tokens that have one, or of the first and the last token
    /// of an answer.
    Labels(Vec<usize>),
}

/// Tokenised inputs with their targets.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedSet {
    /// The inputs: one for each example, or [`views`](Self::views).
    pub encodings: Vec<Encoding>,
    /// The target of each example.
    pub targets: Targets,
    /// What an example (or of tags a token) counts in the loss, by its class; of several labels what a label that holds counts beside one
    /// that does not. Empty for all alike.
    pub class_weights: Vec<f32>,
}

impl EncodedSet {
    /// Inputs with their targets, which all count alike in the loss.
    pub fn new(encodings: Vec<Encoding>, targets: Targets) -> Self {
        Self {
            encodings,
            targets,
            class_weights: Vec::new(),
        }
    }

    /// Number of examples.
    pub fn len(&self) -> usize {
        self.encodings.len() / self.views()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.encodings.is_empty()
    }

    /// Number of inputs of an example: of texts that are compared with one another.
    pub fn views(&self) -> usize {
        match &self.targets {
            Targets::Similarities(_) => 2,
            Targets::Ranked(examples) => (self.encodings.len() / (*examples).max(1)).max(1),
            Targets::Classes(_) | Targets::Labels(_) | Targets::Values(_) => 1,
            Targets::Tokens(_) | Targets::Tags(_) | Targets::Spans(_) => 1,
        }
    }

    /// The inputs of an example.
    pub fn inputs(&self, example: usize) -> &[Encoding] {
        let views = self.views();
        &self.encodings[example * views..(example + 1) * views]
    }
}
