//! Models that make embeddings.

use beft_checkpoint::EmbeddingConfig;

use super::Base;
use crate::Error;

impl Base {
    /// How it makes embeddings, where it has no head.
    pub fn embedding(&self) -> EmbeddingConfig {
        self.embedding
    }

    /// The same model with what sentence-transformers says about embeddings and their inputs.
    pub(super) fn with_embedding(mut self) -> Result<Self, Error> {
        let (embedding, said) = self.dir.embedding_config()?;
        self.embedding = embedding;
        // The limit of sentence-transformers stands in place of the tokenizer's.
        if let Some(longest) = self.asked.or(embedding.max_tokens) {
            self.max_length = longest.min(self.config.longest_input());
        }
        if embedding.lower_case {
            self.tokenizer = self.tokenizer.lower_cased();
        }
        if !said {
            self.notes.push(format!(
                "{}: there is no modules.json of sentence-transformers: an embedding is the mean over the tokens",
                self.dir.path().display()
            ));
        }
        Ok(self)
    }
}
