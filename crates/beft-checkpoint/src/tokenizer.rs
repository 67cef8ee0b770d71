use std::path::{Path, PathBuf};

use beft_core::Encoding;
use tokenizers::{
    PostProcessor, Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy,
};

use crate::CheckpointError;

/// The model's own tokenizer, adding its special tokens; never padding, which is the batch's
/// matter.
#[derive(Clone, Debug)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    path: PathBuf,
}

impl TextTokenizer {
    /// Reads a `tokenizer.json`. Inputs are cut to `max_length` tokens, special tokens included,
    /// from the end of the longer text (HF's `longest_first`). Padding and truncation settings
    /// inside the file are not used.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or parsed, or `max_length` leaves no room for text.
    pub fn open(path: &Path, max_length: usize) -> Result<Self, CheckpointError> {
        let bytes = std::fs::read(path).map_err(CheckpointError::io("read", path))?;
        Self::from_bytes(&bytes, path, max_length)
    }

    /// As [`open`](Self::open), from the content of a `tokenizer.json`; `path` is for messages.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_bytes(
        bytes: &[u8],
        path: &Path,
        max_length: usize,
    ) -> Result<Self, CheckpointError> {
        let fail = |reason: String| CheckpointError::Tokenizer {
            path: path.to_owned(),
            reason,
        };
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|e| fail(e.to_string()))?;
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(Some(TruncationParams {
                direction: TruncationDirection::Right,
                max_length,
                strategy: TruncationStrategy::LongestFirst,
                stride: 0,
            }))
            .map_err(|e| fail(format!("inputs cannot be cut to {max_length} tokens: {e}")))?;
        Ok(Self {
            tokenizer,
            path: path.to_owned(),
        })
    }

    /// The least vocabulary size a model needs: the largest token id, plus 1.
    pub fn vocab_size(&self) -> usize {
        let vocabulary = self.tokenizer.get_vocab(true);
        vocabulary
            .into_values()
            .max()
            .map_or(0, |id| id as usize + 1)
    }

    /// How many special tokens it adds to a single text.
    pub fn special_tokens(&self) -> usize {
        let processor = self.tokenizer.get_post_processor();
        processor.map_or(0, |p| p.added_tokens(false))
    }

    /// The id of a token, if it is in the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// The token ids of texts, of which there may be none, on all cores.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn encode_ids<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Vec<u32>>, CheckpointError> {
        let texts: Vec<&str> = texts.into_iter().collect();
        let encodings = self.tokenizer.encode_batch(texts, true);
        let encodings = encodings.map_err(|e| CheckpointError::Tokenizer {
            path: self.path.clone(),
            reason: e.to_string(),
        })?;
        Ok(encodings.iter().map(|e| e.get_ids().to_vec()).collect())
    }

    /// The text of token ids, special tokens left out.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, CheckpointError> {
        self.tokenizer
            .decode(ids, true)
            .map_err(|e| CheckpointError::Tokenizer {
                path: self.path.clone(),
                reason: e.to_string(),
            })
    }

    /// Tokenises texts, each with an optional second text, on all cores.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails, or gives an input no token at all.
    pub fn encode<'a>(
        &self,
        inputs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<Vec<Encoding>, CheckpointError> {
        let inputs: Vec<tokenizers::EncodeInput<'_>> = inputs
            .into_iter()
            .map(|(text, pair)| match pair {
                None => text.into(),
                Some(pair) => (text, pair).into(),
            })
            .collect();
        let fail = |reason| CheckpointError::Tokenizer {
            path: self.path.clone(),
            reason,
        };
        let encodings = self
            .tokenizer
            .encode_batch(inputs, true)
            .map_err(|e| fail(e.to_string()))?;
        encodings
            .into_iter()
            .enumerate()
            .map(|(index, encoding)| {
                if encoding.is_empty() {
                    return Err(fail(format!(
                        "input {index} gives no token: the tokenizer adds no special tokens and the text is empty"
                    )));
                }
                Ok(Encoding {
                    ids: encoding.get_ids().to_vec(),
                    type_ids: encoding.get_type_ids().to_vec(),
                    branches: Vec::new(),
                })
            })
            .collect()
    }
}
