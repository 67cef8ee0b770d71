//! Encoder models, computed exactly as Hugging Face `transformers` computes them, with their
//! biases within reach.
//!
//! * [`BertForSequenceClassification`]: BERT with pooler and classification head.
//! * [`BertForMaskedLm`]: the same backbone with the masked-language-modelling head.
//!
//! The models implement [`beft_nn::BiasModel`] and [`beft_nn::SequenceClassifier`]; they know
//! nothing of training or tasks.

mod bert;

pub use beft_checkpoint as checkpoint;
pub use beft_core as core;
pub use beft_nn as nn;
pub use bert::{
    BertConfig, BertForMaskedLm, BertForSequenceClassification, BertModel, MASKED_LM_NAMES,
    SEQUENCE_CLASSIFICATION_NAMES,
};

/// The `model_type`s of config.json that this crate implements.
pub const SUPPORTED: &[&str] = &["bert"];
