//! Causal language models, computed exactly as Hugging Face `transformers` computes them, with their
//! biases within reach.
//!
//! * [`DecoderForCausalLM`]: OPT, LLaMA, Qwen2, Mistral, GPT-J or GPT-2 (`model_type` in config.json decides), with
//!   all eight bias terms in every layer, zero where the architecture has none.
//! * [`DecoderForCausalLM::generate`]: greedy generation with a cache of keys and values.
//!
//! The models implement [`beft_nn::BiasModel`] and [`beft_nn::SequenceClassifier`]; they know nothing of
//! training or tasks.

pub mod architectures;
mod cache;
mod causal_lm;
mod config;
mod context;
mod fields;
mod generate;
mod generation;
mod layer;
mod model;
mod prefix;
mod rotary;

pub use architectures::Architecture;
pub use beft_nn::Norm;
pub use causal_lm::DecoderForCausalLM;
pub use config::{Activation, DecoderConfig, Order, Positions};
pub use generate::GenerateOptions;
pub use generation::GenerationSettings;
pub use layer::DecoderLayer;
pub use model::DecoderModel;
pub use prefix::{KeyValuePrefix, PrefixError};
pub use rotary::{RotaryConfig, Scaling};
