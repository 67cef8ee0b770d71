use std::path::{Path, PathBuf};

use beft_core::Encoding;
use tokenizers::models::ModelWrapper;
use tokenizers::{
    Model, PostProcessor, Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy,
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

    /// Whether these ids of a text are the tokenizer's unknown token alone, apart from special tokens that
    /// it adds.
    pub fn knows_none(&self, ids: &[u32]) -> bool {
        let Some(unknown) = self.unknown_id() else {
            return false;
        };
        let added = self.tokenizer.get_added_tokens_decoder();
        let special = |id: &&u32| added.get(id).is_some_and(|token| token.special);
        let mut text = ids.iter().filter(|id| **id == unknown || !special(id));
        ids.contains(&unknown) && text.all(|id| *id == unknown)
    }

    /// The id that stands for what is not in the vocabulary.
    fn unknown_id(&self) -> Option<u32> {
        let token = match self.tokenizer.get_model() {
            ModelWrapper::BPE(model) => model.unk_token.clone()?,
            ModelWrapper::WordPiece(model) => model.unk_token.clone(),
            ModelWrapper::WordLevel(model) => model.unk_token.clone(),
            // It does not say it, but it knows no noncharacter; with a fall back to bytes there are several.
            ModelWrapper::Unigram(model) => {
                let tokens = model.tokenize("\u{10FFFF}").ok()?;
                return match tokens.as_slice() {
                    [token] => Some(token.id),
                    _ => None,
                };
            }
        };
        self.token_id(&token)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer(model: &str, rest: &str) -> TextTokenizer {
        let json = format!(
            r#"{{"version": "1.0", "truncation": null, "padding": null, "normalizer": null,
                "pre_tokenizer": {{"type": "Whitespace"}}, "decoder": null, {rest} "model": {model}}}"#
        );
        TextTokenizer::from_bytes(json.as_bytes(), Path::new("tokenizer.json"), 64).unwrap()
    }

    #[test]
    fn texts_of_unknown_tokens_alone_are_found() {
        let words = r#"{"type": "WordLevel", "vocab": {"<s>": 0, "<unk>": 1, "ab": 2}, "unk_token": "<unk>"}"#;
        let pieces = r#"{"type": "Unigram", "unk_id": 1, "vocab": [["<s>", 0.0], ["<unk>", 0.0], ["ab", -1.0]]}"#;
        let merges = r#"{"type": "BPE", "vocab": {"<s>": 0, "<unk>": 1, "a": 2, "b": 3, "ab": 4}, "merges": ["a b"], "unk_token": "<unk>"}"#;
        // It begins texts with a special token, and its unknown token is one too.
        let special = r#""added_tokens": [
            {"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 1, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
            "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},"#;
        for model in [words, pieces, merges] {
            let tokenizer = tokenizer(model, special);
            for (text, none) in [
                ("xyz zyx", true),
                ("xyz ab", false),
                ("ab", false),
                ("", false),
            ] {
                let ids = tokenizer.encode_ids([text]).unwrap().remove(0);
                assert_eq!(ids.first(), Some(&0));
                assert_eq!(tokenizer.knows_none(&ids), none, "{text}: {ids:?} {model}");
            }
        }
        // What has no unknown token knows everything.
        let bytes = r#"{"type": "BPE", "vocab": {"a": 0}, "merges": []}"#;
        assert!(!tokenizer(bytes, "").knows_none(&[0]));
    }
}
