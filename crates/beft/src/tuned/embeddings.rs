//! Embeddings of texts.

use beft_eval::predict;
use beft_nn::Savings;
use beft_tasks::Example;

use super::{EVAL_BATCH, Tuned, check_finite_rows};
use crate::Error;
use crate::base::InputCounts;
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
        let (inputs, savings) = (&encoded.encodings, Savings::default());
        let mut found = predict(&self.model, inputs, EVAL_BATCH, savings, |_| ());
        check_finite_rows(&self.base, &found)?;
        if self.base.embedding().normalized {
            found.iter_mut().for_each(|embedding| normalize(embedding));
        }
        Ok((found, encoded.counts))
    }

    /// The cosine of the embeddings of both texts of each example.
    pub(super) fn cosines(&self, examples: &[&Example]) -> Result<(Vec<f32>, InputCounts), Error> {
        let pairs = examples.iter().map(|example| {
            let pair = example.text_pair.as_deref();
            pair.map(|pair| [example.text.as_str(), pair])
        });
        let pairs = pairs.collect::<Option<Vec<_>>>();
        let texts = pairs.ok_or(Error::Pairs { trained: true })?.concat();
        let (found, counts) = self.embeddings(&texts)?;
        let cosines = found.chunks_exact(2).map(|pair| cosine(&pair[0], &pair[1]));
        Ok((cosines.collect(), counts))
    }
}
