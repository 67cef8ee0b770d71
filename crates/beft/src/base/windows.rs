//! Questions about contexts, in tokens.

use beft_checkpoint::Window;

use super::{Base, InputCounts};
use crate::Error;

/// Tokens that two windows of a context have in common (`doc_stride` of `run_qa.py`).
pub(crate) const OVERLAP: usize = 128;

/// Questions in windows.
#[derive(Clone, Debug)]
pub(crate) struct EncodedWindows {
    /// By question.
    pub(crate) of: Vec<Vec<Window>>,
    /// How the questions fit the model.
    pub(crate) counts: InputCounts,
    /// Questions so long that their windows overlap by less than usual.
    pub(crate) narrowed: usize,
}

impl Base {
    /// Tokenises questions with their contexts, which become several inputs where they are too long for one.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails, or a question leaves no room for its context.
    pub(crate) fn encode_windows<'a>(
        &self,
        questions: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<EncodedWindows, Error> {
        let questions: Vec<(&str, &str)> = questions.into_iter().collect();
        let empty = questions
            .iter()
            .filter(|(q, _)| q.trim().is_empty())
            .count();
        let tokenizer = &self.tokenizer;
        let mut found = tokenizer.encode_windows(questions, self.max_length, OVERLAP)?;
        for (input, windows) in found.of.iter_mut().enumerate() {
            for window in windows {
                self.prepare(input, &mut window.encoding)?;
            }
        }
        Ok(EncodedWindows {
            counts: InputCounts {
                all: found.of.len(),
                cut: 0,
                empty,
                joined: self.config.has_segments() && !tokenizer.has_segments(),
            },
            of: found.of,
            narrowed: found.narrowed,
        })
    }
}
