//! Questions with contexts that are longer than a model takes at a time.

use std::collections::BTreeMap;

use beft_core::Encoding;
use tokenizers::{PostProcessor, TruncationDirection, TruncationParams, TruncationStrategy};

use super::TextTokenizer;
use crate::CheckpointError;

/// A question with a part of its context, as a model is given it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The tokens of both.
    pub encoding: Encoding,
    /// For each token the characters of the whole context that it stands for, the first and the one behind the last;
    /// `None` for the tokens of the question and for special tokens.
    pub offsets: Vec<Option<(usize, usize)>>,
}

/// The windows of questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    /// By question, in the order of the context; at least one for each.
    pub of: Vec<Vec<Window>>,
    /// Questions so long that their windows overlap by less than was asked for.
    pub narrowed: usize,
}

impl TextTokenizer {
    /// Tokenises questions with their contexts. Where both together have more than `max_length` tokens, special tokens
    /// included, the context is cut into windows that have `overlap` tokens in common, each behind the whole question
    /// (transformers' `truncation="only_second"` with `return_overflowing_tokens`). White space before a question is
    /// left out, as in `run_qa.py`.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails, or a question leaves no room for its context.
    pub fn encode_windows<'a>(
        &self,
        questions: impl IntoIterator<Item = (&'a str, &'a str)>,
        max_length: usize,
        overlap: usize,
    ) -> Result<Windows, CheckpointError> {
        let questions = questions.into_iter();
        let questions: Vec<(&str, &str)> = questions.map(|(q, c)| (q.trim_start(), c)).collect();
        let fail = |reason| CheckpointError::Tokenizer {
            path: self.path.clone(),
            reason,
        };
        // The library ends the process where windows are not longer than what they have in common.
        let mut by_overlap: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, room) in self.rooms(&questions, max_length)?.into_iter().enumerate() {
            let overlap = if overlap < room { overlap } else { room / 2 };
            by_overlap.entry(overlap).or_default().push(index);
        }
        let direction = self.tokenizer.get_truncation().map(|t| t.direction);
        let mut windows = Windows {
            of: vec![Vec::new(); questions.len()],
            narrowed: 0,
        };
        for (common, chosen) in by_overlap {
            let mut tokenizer = self.tokenizer.clone();
            let cut = tokenizer.with_truncation(Some(TruncationParams {
                direction: direction.unwrap_or(TruncationDirection::Right),
                max_length,
                strategy: TruncationStrategy::OnlySecond,
                stride: common,
            }));
            cut.map_err(|e| fail(e.to_string()))?;
            let inputs = chosen.iter().map(|index| questions[*index].into());
            let inputs: Vec<tokenizers::EncodeInput<'_>> = inputs.collect();
            let found = tokenizer.encode_batch_char_offsets(inputs, true);
            for (index, mut first) in chosen.iter().zip(found.map_err(|e| fail(e.to_string()))?) {
                let others = first.take_overflowing();
                if common < overlap && !others.is_empty() {
                    windows.narrowed += 1;
                }
                for encoding in std::iter::once(first).chain(others) {
                    self.check_ids(*index, encoding.get_ids())?;
                    windows.of[*index].push(self.window(&encoding));
                }
            }
        }
        Ok(windows)
    }

    /// The number of tokens that each question leaves for its context, at least 1.
    fn rooms(
        &self,
        questions: &[(&str, &str)],
        max_length: usize,
    ) -> Result<Vec<usize>, CheckpointError> {
        let fail = |reason| CheckpointError::Tokenizer {
            path: self.path.clone(),
            reason,
        };
        let processor = self.tokenizer.get_post_processor();
        let special = processor.map_or(0, |p| p.added_tokens(true));
        let mut tokenizer = self.tokenizer.clone();
        let whole = tokenizer.with_truncation(None);
        whole.map_err(|e| fail(e.to_string()))?;
        let texts: Vec<&str> = questions.iter().map(|(question, _)| *question).collect();
        let lengths = tokenizer.encode_batch_fast(texts, false);
        let lengths = lengths.map_err(|e| fail(e.to_string()))?;
        let rooms = lengths.iter().enumerate().map(|(index, question)| {
            let taken = question.len() + special;
            match max_length.checked_sub(taken) {
                None | Some(0) => Err(CheckpointError::LongQuestion {
                    question: index,
                    tokens: taken,
                    most: max_length,
                }),
                Some(room) => Ok(room),
            }
        });
        rooms.collect()
    }

    fn window(&self, encoding: &tokenizers::Encoding) -> Window {
        let context = encoding.get_sequence_ids();
        let offsets = encoding.get_offsets().iter().zip(context);
        Window {
            offsets: offsets
                .map(|(characters, text)| (text == Some(1)).then_some(*characters))
                .collect(),
            encoding: Encoding {
                ids: encoding.get_ids().to_vec(),
                type_ids: match self.segments {
                    true => encoding.get_type_ids().to_vec(),
                    false => vec![0; encoding.len()],
                },
                ..Encoding::default()
            },
        }
    }
}

impl Window {
    /// The first and the last token of the part of the context from character `start` to before character `end`; the
    /// first token of all, twice, where the window has not all of it (`prepare_train_features` of `run_qa.py`).
    ///
    /// There, of an answer that begins with the window's last token of the context, the start is the token behind it,
    /// because that has the offset (0, 0); here it is the right one.
    pub fn span_of(&self, start: usize, end: usize) -> (usize, usize) {
        let context = self.offsets.iter().enumerate();
        let context = context.filter_map(|(token, o)| o.map(|(from, to)| (token, from, to)));
        let context: Vec<(usize, usize, usize)> = context.collect();
        let begins = context.first().is_some_and(|(_, from, _)| *from <= start);
        let ends = context.last().is_some_and(|(_, _, to)| *to >= end);
        let first = context.iter().rev().find(|(_, from, _)| *from <= start);
        let last = context.iter().find(|(_, _, to)| *to >= end);
        match (first, last) {
            (Some(first), Some(last)) if begins && ends => (first.0, last.0),
            _ => (0, 0),
        }
    }
}
