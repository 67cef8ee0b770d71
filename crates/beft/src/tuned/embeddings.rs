//! Embeddings of texts.

use beft_tasks::Example;

use super::{Tuned, check_finite_rows};
use crate::Error;
use crate::base::{Encoded, InputCounts};
use crate::data::{cosine, normalize};

impl Tuned {
    /// Embeddings of texts, in their order: what sentence-transformers' `encode` gives.
    ///
    /// # Errors
    ///
    /// When the model gives no embeddings, tokenising fails, or its numbers are not finite.
    pub fn embeddings(&self, texts: &[&str]) -> Result<(Vec<Vec<f32>>, InputCounts), Error> {
        if !matches!(self.outputs, beft_core::Outputs::Embedding) {
            return Err(Error::NoEmbeddings {
                model: self.base.name().to_owned(),
                does: self.base.task_type(),
            });
        }
        let encoded = self.base.encode(texts.iter().map(|text| (*text, None)))?;
        let found = self.embeddings_of(self.compute(&encoded.encodings))?;
        Ok((found, encoded.counts))
    }

    /// Embeddings, from the numbers that the model gave.
    fn embeddings_of(&self, mut found: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>, Error> {
        check_finite_rows(&self.base, &found)?;
        if self.base.embedding().normalized {
            found.iter_mut().for_each(|embedding| normalize(embedding));
        }
        Ok(found)
    }

    /// Both texts of each example, in tokens.
    pub(super) fn encode_pairs(&self, examples: &[&Example]) -> Result<Encoded, Error> {
        let pairs = examples.iter().map(|example| {
            let pair = example.text_pair.as_deref();
            pair.map(|pair| [example.text.as_str(), pair])
        });
        let pairs = pairs.collect::<Option<Vec<_>>>();
        let texts = pairs.ok_or(Error::Pairs { trained: true })?.concat();
        self.base.encode(texts.iter().map(|text| (*text, None)))
    }

    /// The cosine of the embeddings of both texts of each example, from the numbers that the model gave.
    pub(super) fn cosines_of(&self, found: Vec<Vec<f32>>) -> Result<Vec<f32>, Error> {
        let found = self.embeddings_of(found)?;
        let cosines = found.chunks_exact(2).map(|pair| cosine(&pair[0], &pair[1]));
        Ok(cosines.collect())
    }
}
