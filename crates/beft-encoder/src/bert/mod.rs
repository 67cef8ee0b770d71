//! BERT, after HF `src/transformers/models/bert/modeling_bert.py`.

mod classifier;
mod config;
mod embeddings;
mod layer;
mod masked_lm;
mod model;
mod names;

pub use classifier::BertForSequenceClassification;
pub use config::BertConfig;
pub use masked_lm::BertForMaskedLm;
pub use model::BertModel;
pub use names::{MASKED_LM_NAMES, SEQUENCE_CLASSIFICATION_NAMES};
