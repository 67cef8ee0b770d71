//! Texts in words: which tokens a word begins with.

use std::ops::Range;

use beft_core::Encoding;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{EncodeInput, Tokenizer};

use super::TextTokenizer;
use super::parts::{cuts_into_bytes, prefixes_spaces};
use crate::CheckpointError;

/// A text in words, in tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WordEncoding {
    /// The tokens.
    pub encoding: Encoding,
    /// The number of each word's first token; `None` for a word that is cut off, or has no token.
    pub first: Vec<Option<usize>>,
    /// The characters of each word in the text; of given words in the text that they make with a space between them.
    pub spans: Vec<Range<usize>>,
    /// Whether something of it was cut off.
    pub cut: bool,
}

impl TextTokenizer {
    /// Tokenises texts that are given in words, on all cores, as HF does with `is_split_into_words`. Where texts are
    /// cut into bytes (RoBERTa, GPT-2), each word has a space in front, as `add_prefix_space=True` makes it and
    /// `run_ner.py` of transformers asks for it.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails, or gives an input no token at all.
    pub fn encode_words<'a, W: AsRef<str> + 'a>(
        &self,
        inputs: impl IntoIterator<Item = &'a [W]>,
    ) -> Result<Vec<WordEncoding>, CheckpointError> {
        let (tokenizer, space) = self.in_words();
        let inputs: Vec<&[W]> = inputs.into_iter().collect();
        let spaced = |word: &W| match word.as_ref() {
            word if space && !word.is_empty() => format!(" {word}"),
            word => word.to_owned(),
        };
        let words = inputs.iter().map(|words| {
            let words: Vec<String> = words.iter().map(spaced).collect();
            EncodeInput::from(words)
        });
        let found =
            self.library_for_each(words.collect(), |words| tokenizer.encode(words, true))?;
        let texts = found.iter().zip(&inputs).enumerate();
        let encodings = texts.map(|(index, (found, words))| {
            let mut first = vec![None; words.len()];
            for (token, word) in found.get_word_ids().iter().enumerate().rev() {
                if let Some(first) = word.and_then(|word| first.get_mut(word as usize)) {
                    *first = Some(token);
                }
            }
            let mut end = 0;
            let spans = words.iter().map(|word| {
                let start = end;
                end = start + word.as_ref().chars().count() + 1;
                start..end - 1
            });
            Ok(WordEncoding {
                spans: spans.collect(),
                first,
                encoding: self.checked(index, found)?,
                cut: !found.get_overflowing().is_empty(),
            })
        });
        encodings.collect()
    }

    /// Tokenises texts and finds their words: what the tokenizer takes for words, and where it takes several for
    /// one (LLaMA), what stands between blanks. A text that is cut has the words of its beginning.
    ///
    /// # Errors
    ///
    /// As [`encode_words`](Self::encode_words).
    pub fn encode_in_words<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<WordEncoding>, CheckpointError> {
        let (tokenizer, space) = self.in_words();
        let texts = texts.into_iter().map(|text| {
            let text = self.beginning(text)?;
            Ok(match space && !text.starts_with(' ') {
                true => (format!(" {text}"), 1),
                false => (text.to_owned(), 0),
            })
        });
        let texts: Vec<(String, usize)> = texts.collect::<Result<_, CheckpointError>>()?;
        let inputs = texts
            .iter()
            .map(|(text, _)| EncodeInput::from(text.as_str()));
        let encode = |input| tokenizer.encode_char_offsets(input, true);
        let found = self.library_for_each(inputs.collect(), encode)?;
        let texts = found.iter().zip(&texts).enumerate();
        let encodings = texts.map(|(index, (found, (text, added)))| {
            let words = words_of(found, text);
            let (first, spans): (Vec<_>, Vec<_>) = words.into_iter().unzip();
            let shifted = |span: Range<usize>| span.start - added..span.end - added;
            Ok(WordEncoding {
                first: first.into_iter().map(Some).collect(),
                spans: spans.into_iter().map(shifted).collect(),
                encoding: self.checked(index, found)?,
                cut: !found.get_overflowing().is_empty(),
            })
        });
        encodings.collect()
    }

    /// The tokenizer of texts in words, and whether a word needs a space in front, to have the tokens that it has
    /// within a text.
    fn in_words(&self) -> (&Tokenizer, bool) {
        let spaced = self
            .spaced
            .get_or_init(|| match self.tokenizer.get_pre_tokenizer() {
                Some(PreTokenizerWrapper::ByteLevel(bytes)) if !bytes.add_prefix_space => {
                    let mut tokenizer = self.tokenizer.clone();
                    let bytes = bytes.add_prefix_space(true);
                    tokenizer.with_pre_tokenizer(Some(bytes));
                    Some(tokenizer)
                }
                _ => None,
            });
        match spaced {
            Some(tokenizer) => (tokenizer, false),
            // Bytes as one part among others (Qwen2) would give every part of a word a space.
            None => (
                &self.tokenizer,
                cuts_into_bytes(&self.tokenizer) && !prefixes_spaces(&self.tokenizer),
            ),
        }
    }

    /// The tokens of input number `index`, which are at least one and all known.
    pub(super) fn checked(
        &self,
        index: usize,
        found: &tokenizers::Encoding,
    ) -> Result<Encoding, CheckpointError> {
        if found.is_empty() {
            return Err(self.failure(format!(
                "input {index} gives no token: the tokenizer adds no special tokens and the text is empty"
            )));
        }
        self.check_ids(index, found.get_ids())?;
        Ok(Encoding {
            ids: found.get_ids().to_vec(),
            type_ids: match self.segments {
                true => found.get_type_ids().to_vec(),
                false => vec![0; found.len()],
            },
            ..Encoding::default()
        })
    }
}

/// The first token and the characters of each word.
fn words_of(found: &tokenizers::Encoding, text: &str) -> Vec<(usize, Range<usize>)> {
    let characters: Vec<char> = text.chars().collect();
    let mut words: Vec<(usize, Range<usize>)> = Vec::new();
    let mut last = None;
    // A token that is a blank begins the word behind it.
    let mut blank = None;
    let tokens = found.get_word_ids().iter().zip(found.get_offsets());
    for (token, (word, (start, end))) in tokens.enumerate() {
        let Some(word) = word else { continue };
        let (mut start, mut end) = (*start, (*end).min(characters.len()));
        while start < end && characters[start].is_whitespace() {
            start += 1;
        }
        while start < end && characters[end - 1].is_whitespace() {
            end -= 1;
        }
        if start >= end {
            blank = blank.or(Some(token));
            continue;
        }
        match words.last_mut() {
            Some((_, span)) if last == Some(word) && start <= span.end => {
                span.end = span.end.max(end);
                blank = None;
            }
            _ => words.push((blank.take().unwrap_or(token), start..end)),
        }
        last = Some(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn words_that_are_cut_have_no_token() {
        let json = r###"{"version": "1.0", "truncation": null, "padding": null, "normalizer": null, "decoder": null,
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "model": {"type": "WordPiece", "vocab": {"<unk>": 0, "ab": 1, "##c": 2, ",": 3}, "unk_token": "<unk>",
            "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}}"###;
        let path = Path::new("tokenizer.json");
        let tokenizer = TextTokenizer::from_bytes(json.as_bytes(), path, 4).unwrap();
        let found = tokenizer
            .encode_words([&["abc", "", "ab,ab", "ab"][..]])
            .unwrap()
            .remove(0);
        assert_eq!(found.encoding.ids, [1, 2, 1, 3]);
        assert_eq!(found.first, [Some(0), None, Some(2), None]);
        assert_eq!(found.spans, [0..3, 4..4, 5..10, 11..13]);
        assert!(found.cut);
        let found = tokenizer
            .encode_in_words(["  \u{e9}, abc ab"])
            .unwrap()
            .remove(0);
        assert_eq!(found.encoding.ids, [0, 3, 1, 2]);
        assert_eq!(found.first, [Some(0), Some(1), Some(2)]);
        assert_eq!(found.spans, [2..3, 3..4, 5..8]);
        assert!(found.cut);
    }
}
