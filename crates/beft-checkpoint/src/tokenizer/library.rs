//! Calls of the tokenizers library, which panics where parts of a file do not fit together.

use beft_core::guarded;
use tokenizers::parallelism::MaybeParallelIterator;

use super::TextTokenizer;
use crate::CheckpointError;

impl TextTokenizer {
    /// What a call of the library gives.
    pub(super) fn library<T>(
        &self,
        call: impl FnOnce() -> tokenizers::Result<T>,
    ) -> Result<T, CheckpointError> {
        match guarded(call) {
            Some(found) => found.map_err(|e| self.failure(e.to_string())),
            None => Err(self.failure(
                "parts of the tokenizer do not fit together, such as a special token that `post_processor` uses and does not \
                 list: take its files from where the model was published"
                    .to_owned(),
            )),
        }
    }

    /// What it gives for each input, on all cores.
    pub(super) fn library_for_each<I: Send, T: Send>(
        &self,
        inputs: Vec<I>,
        call: impl Fn(I) -> tokenizers::Result<T> + Send + Sync,
    ) -> Result<Vec<T>, CheckpointError> {
        let found = inputs
            .into_maybe_par_iter()
            .map(|input| self.library(|| call(input)));
        found.collect()
    }

    /// An error of its files.
    pub(super) fn failure(&self, reason: String) -> CheckpointError {
        CheckpointError::Tokenizer {
            path: self.path.clone(),
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn parts_that_do_not_fit_together_are_refused() {
        let json = r#"{"version": "1.0", "post_processor": {"type": "TemplateProcessing", "pair": [],
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "special_tokens": {}},
            "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "ab": 1}, "unk_token": "<unk>"}}"#;
        let path = Path::new("tokenizer.json");
        let tokenizer = TextTokenizer::from_bytes(json.as_bytes(), path, 64).unwrap();
        let words: &[&str] = &["ab"];
        for error in [
            tokenizer.encode([("ab", None)]).map(drop).unwrap_err(),
            tokenizer.encode_ids(["ab", "c"]).map(drop).unwrap_err(),
            tokenizer.encode_words([words]).map(drop).unwrap_err(),
            tokenizer.encode_in_words(["ab"]).map(drop).unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(
                error.contains("tokenizer.json") && error.contains("`post_processor`"),
                "{error}"
            );
        }
    }
}
