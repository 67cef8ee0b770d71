//! Texts in words.

use beft_checkpoint::WordEncoding;
use beft_tasks::Example;

use super::{Base, InputCounts};
use crate::Error;

impl Base {
    /// Tokenises texts and says which tokens their words begin with: the words that an example has, or else those that
    /// the tokenizer finds in its text.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub(crate) fn encode_words(
        &self,
        examples: &[&Example],
    ) -> Result<(Vec<WordEncoding>, InputCounts), Error> {
        let given = examples.iter().filter_map(|e| e.words.as_deref());
        let plain = examples.iter().filter(|e| e.words.is_none());
        let mut given = self.tokenizer.encode_words(given)?.into_iter();
        let plain = plain.map(|e| e.text.as_str());
        let mut plain = self.tokenizer.encode_in_words(plain)?.into_iter();
        let mut encodings = Vec::with_capacity(examples.len());
        for (input, example) in examples.iter().enumerate() {
            let next = match example.words {
                Some(_) => given.next(),
                None => plain.next(),
            };
            let mut words = next.unwrap_or_default();
            self.prepare(input, &mut words.encoding)?;
            encodings.push(words);
        }
        let counts = InputCounts {
            all: encodings.len(),
            cut: encodings.iter().filter(|words| words.cut).count(),
            empty: examples.iter().filter(|e| e.text.trim().is_empty()).count(),
            joined: false,
        };
        Ok((encodings, counts))
    }
}
