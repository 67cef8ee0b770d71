//! Generating text: one text with its cache of keys and values, or many that come and go ([`Generating`]).

mod generating;
mod sampling;
mod stacked;

use std::collections::BTreeMap;

pub use generating::{Generating, NewToken, Request, RequestError, RowId};
pub use sampling::{Sampling, SamplingError, TokenLogprobs};

use crate::DecoderForCausalLM;

/// Why a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model, or a token to stop at, ended it.
    Stop,
    /// It has as many tokens as it may have.
    Length,
}

impl Finish {
    /// Its name as OpenAI's `finish_reason`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// How to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// Tokens to generate at most.
    pub max_new_tokens: usize,
    /// The model's own tokens that end a text; the one that did is not part of the result.
    pub end: Vec<u32>,
    /// Further tokens that end a text, likewise.
    pub stop: Vec<u32>,
    /// How each token is chosen.
    pub sampling: Sampling,
    /// Scores of tokens that the prompt or the new text has already are divided by this where they are positive,
    /// else multiplied; 1 for no change.
    pub repetition_penalty: f32,
    /// A text does not end before prompt and new tokens together are so many.
    pub min_length: usize,
    /// A text does not end before so many new tokens.
    pub min_new_tokens: usize,
    /// Whether to tell each token's log probability, and for how many of the most probable tokens in its place.
    pub logprobs: Option<usize>,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_new_tokens: 0,
            end: Vec::new(),
            stop: Vec::new(),
            sampling: Sampling::Greedy,
            repetition_penalty: 1.0,
            min_length: 0,
            min_new_tokens: 0,
            logprobs: None,
        }
    }
}

impl DecoderForCausalLM {
    /// A continuation of each prompt, all in one batch; to generate more than once, keep a [`Generating`]. `on_token` is
    /// told the number of the prompt and each of its tokens as it comes.
    ///
    /// # Panics
    ///
    /// If a prompt is empty, is longer than the model takes, or has a token that the model lacks.
    pub fn generate(
        &self,
        prompts: &[Vec<u32>],
        options: &GenerateOptions,
        mut on_token: impl FnMut(usize, u32),
    ) -> Vec<Vec<u32>> {
        if options.max_new_tokens == 0 {
            return vec![Vec::new(); prompts.len()];
        }
        let texts = Generating::new(self.clone()).texts(prompts, options, &mut on_token);
        texts.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Generating {
    /// A continuation of each prompt with the model's own biases, all in one batch, as
    /// [`DecoderForCausalLM::generate`] gives them.
    ///
    /// # Errors
    ///
    /// When a prompt cannot be followed; then nothing is in work.
    ///
    /// # Panics
    ///
    /// If other texts are in work.
    pub fn texts(
        &mut self,
        prompts: &[Vec<u32>],
        options: &GenerateOptions,
        on_token: &mut dyn FnMut(usize, u32),
    ) -> Result<Vec<Vec<u32>>, RequestError> {
        assert!(self.is_empty(), "other texts are in work");
        let mut numbers = BTreeMap::new();
        for (number, prompt) in prompts.iter().enumerate() {
            let row = self.join(Request {
                prompt: prompt.clone(),
                options: options.clone(),
                biases: None,
            });
            match row {
                Ok(row) => numbers.insert(row, number),
                Err(error) => {
                    numbers.into_keys().for_each(|row| self.leave(row));
                    return Err(error);
                }
            };
        }
        let mut texts = vec![Vec::new(); prompts.len()];
        while !self.is_empty() {
            for NewToken { row, token, .. } in self.step() {
                if let Some(token) = token {
                    texts[numbers[&row]].push(token);
                    on_token(numbers[&row], token);
                }
            }
        }
        Ok(texts)
    }
}
