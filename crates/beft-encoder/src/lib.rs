//! Encoder models, computed exactly as Hugging Face `transformers` computes them, with their
//! biases within reach.
//!
//! * [`EncoderWithHead`]: BERT, RoBERTa or an alias of it (`model_type` in
//!   config.json decides) with classification head.
//! * [`EncoderForMaskedLm`]: BERT with the masked-language-modelling head.
//!
//! The models implement [`beft_nn::BiasModel`] and [`beft_nn::TaskModel`]; they know
//! nothing of training or tasks.
//!
//! ```no_run
//! use std::path::Path;
//! use beft_encoder::EncoderWithHead;
//! use beft_checkpoint::ModelDir;
//! use beft_core::Head;
//! use burn::tensor::Device;
//!
//! # fn main() -> Result<(), beft_checkpoint::CheckpointError> {
//! let dir = ModelDir::open(Path::new("models/minilm"))?;
//! let (head, seed) = (Head::Sequence(2), 0);
//! let (model, report) =
//!     EncoderWithHead::load(&dir, &dir.tensors()?, head, seed, &Device::default())?;
//! println!("{}, new: {:?}", model.architecture().model_type, report.initialized);
//! # Ok(())
//! # }
//! ```

pub mod architectures;
mod backbone;
mod config;
mod context;
mod disentangled;
mod distances;
mod embeddings;
mod facts;
mod host;
mod layer;
mod masked_lm;
mod with_head;

pub use architectures::{
    Architecture, BERT_NAMES, DenseLayer, MASKED_LM_NAMES, Protocol, ROBERTA_NAMES,
};
pub use backbone::EncoderModel;
pub use config::{EncoderConfig, InputError};
pub use context::ForwardContext;
pub use facts::{
    Activation, Disentangled, Distances, Dropouts, HeadConfig, NativeBiases, Order, Positions,
    RotaryLayers, Segments,
};
pub use masked_lm::EncoderForMaskedLm;
pub use with_head::EncoderWithHead;
