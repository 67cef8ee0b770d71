//! Encoder models, computed exactly as Hugging Face `transformers` computes them, with their
//! biases within reach.
//!
//! * [`EncoderForSequenceClassification`]: BERT, RoBERTa or an alias of it (`model_type` in
//!   config.json decides) with classification head.
//! * [`EncoderForMaskedLm`]: BERT with the masked-language-modelling head.
//!
//! The models implement [`beft_nn::BiasModel`] and [`beft_nn::SequenceClassifier`]; they know
//! nothing of training or tasks.

pub mod architectures;
mod backbone;
mod classifier;
mod config;
mod embeddings;
mod layer;
mod masked_lm;

pub use architectures::{Architecture, BERT_NAMES, Family, MASKED_LM_NAMES, ROBERTA_NAMES};
pub use backbone::EncoderModel;
pub use classifier::EncoderForSequenceClassification;
pub use config::{EncoderConfig, InputError};
pub use masked_lm::EncoderForMaskedLm;
