//! Texts of which only the beginning counts.

use tokenizers::TruncationDirection;

use super::TextTokenizer;
use crate::CheckpointError;

/// Bytes that are tried first, for each token that is kept, and beside that.
const BYTES_PER_TOKEN: usize = 16;
const BYTES: usize = 8192;

impl TextTokenizer {
    /// The beginning of a text that is much longer than what is kept of it: a tokenizer takes a hundred bytes of
    /// memory for each byte of text. It gives more than twice the tokens that are kept, so that where it ends makes no
    /// difference to them. Shorter texts are returned whole.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub(super) fn beginning<'t>(&self, text: &'t str) -> Result<&'t str, CheckpointError> {
        let Some(cut) = self.tokenizer.get_truncation() else {
            return Ok(text);
        };
        let right = cut.direction == TruncationDirection::Right;
        let mut most = cut.max_length.saturating_mul(BYTES_PER_TOKEN);
        most = most.saturating_add(BYTES);
        while right && text.len() / 2 > most {
            let begun = &text[..text.floor_char_boundary(most)];
            let encoding = self.library(|| self.tokenizer.encode(begun, true))?;
            // Each is as long as what is kept, the last one as long as what is left.
            if encoding.get_overflowing().len() >= 2 {
                return Ok(begun);
            }
            most = most.saturating_mul(4);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const WORDS: &str =
        r#"{"type": "WordLevel", "vocab": {"<unk>": 0, "ab": 1, "c": 2}, "unk_token": "<unk>"}"#;
    const PIECES: &str = r###"{"type": "WordPiece", "vocab": {"<unk>": 0, "ab": 1, "c": 2, "##c": 3, "##ab": 4}, "unk_token": "<unk>",
        "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}"###;
    const UNIGRAM: &str = r#"{"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["ab", -1.0], ["c", -2.0], ["abc", -2.5], [" ", -3.0]]}"#;
    const MERGES: &str = r#"{"type": "BPE", "vocab": {"<unk>": 0, "a": 1, "b": 2, "c": 3, "ab": 4, "abc": 5, "cab": 6, " ": 7},
        "merges": ["a b", "ab c", "c ab"], "unk_token": "<unk>"}"#;

    #[test]
    fn the_beginning_has_the_tokens_of_the_whole() {
        for (model, splits) in [
            (WORDS, true),
            (PIECES, true),
            (UNIGRAM, true),
            (UNIGRAM, false),
            (MERGES, true),
            (MERGES, false),
        ] {
            let splits = match splits {
                true => r#"{"type": "Whitespace"}"#,
                false => "null",
            };
            let json = format!(
                r#"{{"version": "1.0", "truncation": null, "padding": null, "normalizer": null,
                    "pre_tokenizer": {splits}, "decoder": null, "model": {model}}}"#
            );
            let path = Path::new("tokenizer.json");
            let tokenizer = TextTokenizer::from_bytes(json.as_bytes(), path, 64).unwrap();
            for word in ["ab ", "abcab c", "c\u{e9} ", "abcabc", " "] {
                for tail in ["", "c", " ab"] {
                    let text = word.repeat(60_000 / word.len()) + tail;
                    let whole = tokenizer.tokenizer.encode(text.as_str(), true).unwrap();
                    if whole.is_empty() {
                        continue;
                    }
                    let found = tokenizer.encode([(text.as_str(), None)]).unwrap();
                    assert_eq!(found[0].ids, whole.get_ids(), "{word:?} {tail:?} {model}");
                }
            }
            let long = "ab ".repeat(60_000);
            assert!(tokenizer.beginning(&long).unwrap().len() < 20_000);
        }
    }
}
