//! Texts in tokens.

use beft_checkpoint::{CheckpointError, TextTokenizer};
use beft_core::{Encoding, TaskType};

use super::Base;
use crate::Error;

/// Tokenised inputs, and what became of them on the way.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The inputs.
    pub encodings: Vec<Encoding>,
    /// How they fit the model.
    pub counts: InputCounts,
}

/// How inputs fit a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputCounts {
    /// Number of inputs.
    pub all: usize,
    /// How many of them are longer than the model's, or the asked for, longest input, and were cut.
    pub cut: usize,
    /// How many of them have no text, or only white space.
    pub empty: usize,
    /// Whether there are pairs, which the tokenizer does not tell the model.
    pub joined: bool,
}

impl std::ops::AddAssign for InputCounts {
    fn add_assign(&mut self, other: Self) {
        self.all += other.all;
        self.cut += other.cut;
        self.empty += other.empty;
        self.joined |= other.joined;
    }
}

impl Base {
    /// Tokenises texts, each with an optional second text; for a language model without cutting them.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn encode<'a>(
        &self,
        inputs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Encoded, Error> {
        let inputs: Vec<_> = inputs.into_iter().collect();
        let pairs = inputs.iter().any(|(_, pair)| pair.is_some());
        let blank = |text: &str| text.trim().is_empty();
        let empty = inputs
            .iter()
            .filter(|(text, pair)| blank(text) && pair.is_none_or(blank))
            .count();
        let (mut encodings, cut) = self.tokenizer.encode_and_count(inputs)?;
        for (input, encoding) in encodings.iter_mut().enumerate() {
            self.prepare(input, encoding)?;
        }
        let joined = pairs && self.config.has_segments() && !self.tokenizer.has_segments();
        Ok(Encoded {
            counts: InputCounts {
                all: encodings.len(),
                cut,
                empty,
                joined,
            },
            encodings,
        })
    }

    /// Checks and completes the tokens of input number `input`.
    ///
    /// # Errors
    ///
    /// When the model cannot take them.
    pub(super) fn prepare(&self, input: usize, encoding: &mut Encoding) -> Result<(), Error> {
        let prepared = self.config.prepare(self.task_type, encoding);
        prepared.map_err(|source| Error::Input {
            model: self.name().to_owned(),
            input,
            source,
        })
    }

    /// What to say of inputs; `of` is their file.
    pub fn input_notes(&self, of: &str, counts: InputCounts) -> Vec<String> {
        let InputCounts {
            all,
            cut,
            empty,
            joined,
        } = counts;
        let empty = (empty > 0).then(|| format!("{of}: {empty} of {all} texts are empty"));
        let cut = (cut > 0).then(|| {
            format!(
                "{of}: {cut} of {all} inputs are longer than {} tokens and were cut",
                self.max_length
            )
        });
        let joined = joined.then(|| {
            format!(
                "{of}: the tokenizer gives no token_type_ids (model_input_names in tokenizer_config.json), so both texts \
                 of a pair are the model's first segment, as in transformers"
            )
        });
        cut.into_iter().chain(empty).chain(joined).collect()
    }
}

/// Lets a tokenizer cut texts to `max_length` tokens. What a language model is asked stands at the end, so that it is
/// cut elsewhere.
pub(super) fn cutting(
    tokenizer: TextTokenizer,
    task_type: TaskType,
    max_length: usize,
) -> Result<TextTokenizer, CheckpointError> {
    tokenizer.with_max_length(match task_type {
        TaskType::CausalLm => WHOLE,
        TaskType::SequenceClassification | TaskType::TokenClassification => max_length,
        TaskType::QuestionAnswering | TaskType::FeatureExtraction => max_length,
    })
}

/// Longer than any text.
pub(super) const WHOLE: usize = 1 << 40;
