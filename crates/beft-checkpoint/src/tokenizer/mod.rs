mod added;
mod build;
mod checks;
mod class;
mod kept;
mod library;
mod long;
mod parts;
mod pieces;
mod settings;
mod windows;
mod words;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use beft_core::Encoding;
use sha2::{Digest, Sha256};
use tokenizers::models::ModelWrapper;
use tokenizers::normalizers::{self, Lowercase};
use tokenizers::{
    Model, NormalizerWrapper, PostProcessor, Tokenizer, TruncationDirection, TruncationParams,
    TruncationStrategy,
};

use self::settings::TokenizerSettings;
pub use self::words::WordEncoding;
use crate::CheckpointError;

pub use windows::{Window, Windows};

/// The files that a tokenizer is made from.
pub const TOKENIZER_FILES: [&str; 7] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
];

/// The model's tokenizer. It adds special tokens, but no padding; a batch pads.
#[derive(Clone, Debug)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    /// The same with a space in front of texts that are cut into bytes, where it does not add one itself; made when
    /// texts in words are read.
    spaced: OnceLock<Option<Tokenizer>>,
    /// Its identity, made when it is asked for.
    fingerprint: OnceLock<String>,
    path: PathBuf,
    own_max_length: Option<usize>,
    /// Number of tokens that the model has; ids must be below.
    rows: usize,
    segments: bool,
    notes: Vec<String>,
}

impl TextTokenizer {
    /// Makes the tokenizer of a model folder, as `AutoTokenizer` of transformers 5 does: from tokenizer.json, or
    /// from vocab.txt (BERT), or from vocab.json and merges.txt, with what tokenizer_config.json says. Inputs are
    /// cut to `max_length` tokens, special tokens included, from the longer text (HF's `longest_first`), at the end
    /// unless `truncation_side` or the truncation of tokenizer.json says otherwise. Its other settings of padding and truncation are not used.
    ///
    /// `model_type` is the architecture in config.json, `class` the `tokenizer_class` there.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or parsed, none of them is there, a setting is not implemented, or `max_length`
    /// leaves no room for text.
    pub fn open(
        dir: &Path,
        model_type: &str,
        class: Option<&str>,
        max_length: usize,
    ) -> Result<Self, CheckpointError> {
        let settings = TokenizerSettings::read(dir)?;
        let built = build::build(dir, model_type, class, &settings)?;
        let tokenizer = Self {
            own_max_length: settings.max_length,
            segments: built.segments,
            notes: built.notes,
            ..Self::of(built.tokenizer, dir)
        };
        let side = match settings.cut_left.unwrap_or(built.cut_left) {
            true => TruncationDirection::Left,
            false => TruncationDirection::Right,
        };
        tokenizer.cut_to(max_length, side)
    }

    /// Reads the content of a `tokenizer.json`, as it is; `path` is for messages.
    ///
    /// # Errors
    ///
    /// When it cannot be parsed, or `max_length` leaves no room for text.
    pub fn from_bytes(
        bytes: &[u8],
        path: &Path,
        max_length: usize,
    ) -> Result<Self, CheckpointError> {
        let tokenizer = Self::of(build::parse(bytes, path)?, path);
        tokenizer.cut_to(max_length, TruncationDirection::Right)
    }

    fn of(tokenizer: Tokenizer, path: &Path) -> Self {
        Self {
            tokenizer,
            spaced: OnceLock::new(),
            fingerprint: OnceLock::new(),
            path: path.to_owned(),
            own_max_length: None,
            rows: usize::MAX,
            segments: true,
            notes: Vec::new(),
        }
    }

    /// Reads texts in lower case, as sentence-transformers does for `do_lower_case` (`base/modules/transformer.py`).
    #[must_use]
    pub fn lower_cased(mut self) -> Self {
        let is_lowercase = |one: &NormalizerWrapper| matches!(one, NormalizerWrapper::Lowercase(_));
        let known: Vec<NormalizerWrapper> = match self.tokenizer.get_normalizer() {
            None => Vec::new(),
            Some(NormalizerWrapper::Sequence(several)) => several.as_ref().to_vec(),
            Some(one) => vec![one.clone()],
        };
        if !known.iter().any(is_lowercase) {
            let all = [Lowercase.into()].into_iter().chain(known);
            let all = normalizers::Sequence::new(all.collect());
            self.tokenizer.with_normalizer(Some(all));
        }
        Self {
            spaced: OnceLock::new(),
            fingerprint: OnceLock::new(),
            ..self
        }
    }

    /// Limits inputs to a number of tokens.
    ///
    /// # Errors
    ///
    /// When that leaves no room for text.
    pub fn with_max_length(self, max_length: usize) -> Result<Self, CheckpointError> {
        let side = self.tokenizer.get_truncation().map(|t| t.direction);
        self.cut_to(max_length, side.unwrap_or(TruncationDirection::Right))
    }

    fn cut_to(
        mut self,
        max_length: usize,
        direction: TruncationDirection,
    ) -> Result<Self, CheckpointError> {
        self.spaced = OnceLock::new();
        self.tokenizer.with_padding(None);
        let processor = self.tokenizer.get_post_processor();
        let added = |pair| processor.map_or(0, |processor| processor.added_tokens(pair));
        let (one, two) = (added(false), added(true));
        // The library subtracts the one from the other.
        if one > max_length || two > max_length {
            return Err(CheckpointError::Tokenizer {
                path: self.path,
                reason: format!(
                    "inputs cannot be cut to {max_length} tokens: {} special ones are added",
                    one.max(two)
                ),
            });
        }
        let cut = self.tokenizer.with_truncation(Some(TruncationParams {
            direction,
            max_length,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
        }));
        if let Err(e) = cut {
            return Err(CheckpointError::Tokenizer {
                path: self.path,
                reason: format!("inputs cannot be cut to {max_length} tokens: {e}"),
            });
        }
        Ok(self)
    }

    /// Sets the number of tokens that the model has. An input with another token is then an error.
    pub fn with_rows(self, rows: usize) -> Self {
        Self { rows, ..self }
    }

    /// Fails for a token that the model does not have.
    fn check_ids(&self, index: usize, ids: &[u32]) -> Result<(), CheckpointError> {
        let beyond = ids.iter().find(|id| **id as usize >= self.rows);
        match beyond {
            None => Ok(()),
            Some(id) => Err(CheckpointError::Tokenizer {
                path: self.path.clone(),
                reason: format!(
                    "input {index} has the token `{}` with id {id}, but the model has {} tokens (vocab_size in \
                     config.json): leave it out of the text, or use the model's own tokenizer",
                    self.tokenizer.id_to_token(*id).unwrap_or_default(),
                    self.rows
                ),
            }),
        }
    }

    /// The longest input that tokenizer_config.json allows, in tokens (`model_max_length`).
    pub fn own_max_length(&self) -> Option<usize> {
        self.own_max_length
    }

    /// Whether the tokenizer tells the texts of a pair apart (`token_type_ids`).
    pub fn has_segments(&self) -> bool {
        self.segments
    }

    /// Notes for the user about the tokenizer's files.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A short identity of what it makes of texts, apart from where it cuts them.
    pub fn fingerprint(&self) -> &str {
        // Each adapter of a base asks, and a large vocabulary takes a third of a second to write.
        self.fingerprint.get_or_init(|| {
            let mut plain = self.tokenizer.clone();
            // Only settings of its own are refused.
            let _ = plain.with_truncation(None);
            let text = plain.to_string(false).unwrap_or_default();
            format!("{:.32x}", Sha256::digest(text))
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

    /// Number of special tokens that the tokenizer adds to a single text.
    pub fn special_tokens(&self) -> usize {
        let processor = self.tokenizer.get_post_processor();
        processor.map_or(0, |p| p.added_tokens(false))
    }

    /// The id of a token, if it is in the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Whether a text has only unknown tokens, apart from special tokens that the tokenizer adds.
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

    /// Returns the token ids of texts, computed on all cores. There may be no text.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn encode_ids<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Vec<u32>>, CheckpointError> {
        let texts: Vec<&str> = texts.into_iter().collect();
        let encode = |text| self.tokenizer.encode(text, true);
        let encodings = self.library_for_each(texts, encode)?;
        for (index, encoding) in encodings.iter().enumerate() {
            self.check_ids(index, encoding.get_ids())?;
        }
        Ok(encodings.iter().map(|e| e.get_ids().to_vec()).collect())
    }

    /// Returns the text of token ids, without special tokens.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, CheckpointError> {
        self.library(|| self.tokenizer.decode(ids, true))
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
        Ok(self.encode_and_count(inputs)?.0)
    }

    /// The same, and how many of the inputs were cut.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_and_count<'a>(
        &self,
        inputs: impl IntoIterator<Item = (&'a str, Option<&'a str>)>,
    ) -> Result<(Vec<Encoding>, usize), CheckpointError> {
        let inputs = inputs.into_iter().map(|(text, pair)| match pair {
            None => Ok(self.beginning(text)?.into()),
            Some(pair) => Ok((text, pair).into()),
        });
        let inputs: Vec<tokenizers::EncodeInput<'_>> =
            inputs.collect::<Result<_, CheckpointError>>()?;
        let encode = |input| self.tokenizer.encode(input, true);
        let found = self.library_for_each(inputs, encode)?;
        let mut encodings = Vec::with_capacity(found.len());
        let mut cut = 0;
        for (index, encoding) in found.iter().enumerate() {
            cut += usize::from(!encoding.get_overflowing().is_empty());
            encodings.push(self.checked(index, encoding)?);
        }
        Ok((encodings, cut))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tokenizer(model: &str, rest: &str) -> TextTokenizer {
        let json = format!(
            r#"{{"version": "1.0", "truncation": null, "padding": null, "normalizer": null,
                "pre_tokenizer": {{"type": "Whitespace"}}, "decoder": null, {rest} "model": {model}}}"#
        );
        TextTokenizer::from_bytes(json.as_bytes(), Path::new("tokenizer.json"), 64).unwrap()
    }

    /// The library's search for one of 100,000 bytes takes minutes to make.
    #[test]
    fn added_tokens_without_end_are_refused() {
        let token = |length: usize| {
            let json = json!({"added_tokens": [{"id": 0, "content": "x".repeat(length)}]});
            let path = Path::new("tokenizer.json");
            TextTokenizer::from_bytes(json.to_string().as_bytes(), path, 64).map(drop)
        };
        let error = token(100_000).unwrap_err().to_string();
        assert!(
            error.contains("tokenizer.json") && error.contains("`xxxxxxxxxxxxxxxxxxxx...`"),
            "{error}"
        );
        assert!(!token(1000).unwrap_err().to_string().contains("`xxx"));
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
