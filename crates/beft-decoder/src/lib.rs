//! Causal language models, computed exactly as Hugging Face `transformers` computes them, with their
//! biases within reach.
//!
//! * [`DecoderForCausalLM`]: OPT, LLaMA, Qwen2, Mistral, GPT-J or GPT-2 (`model_type` in config.json decides), with
//!   all eight bias terms in every layer, zero where the architecture has none.
//! * [`DecoderForCausalLM::generate`]: continuations of prompts, with a cache of keys and values.
//! * [`Generating`]: the same for texts that come and go, each with biases of its own.
//!
//! The models implement [`beft_nn::BiasModel`] and [`beft_nn::TaskModel`]; they know nothing of
//! training or tasks.
//!
//! ```no_run
//! use std::path::Path;
//! use beft_decoder::{DecoderConfig, DecoderForCausalLM, GenerationSettings};
//! use beft_checkpoint::ModelDir;
//! use beft_nn::Precision;
//! use burn::tensor::Device;
//!
//! # fn main() -> Result<(), beft_checkpoint::CheckpointError> {
//! let dir = ModelDir::open(Path::new("models/opt-125m"))?;
//! let config = DecoderConfig::load(&dir)?;
//! let (model, _) = DecoderForCausalLM::load(&dir, &dir.tensors()?, Precision::F32, &Device::default())?;
//! let tokenizer = dir.tokenizer(config.max_tokens)?;
//! let prompt = tokenizer.encode([("Once upon a time", None)])?.remove(0).ids;
//! let options = GenerationSettings::load(&dir, &config)?.options(20);
//! let new = model.generate(&[prompt], &options, |_, _| ());
//! println!("{}", tokenizer.decode(&new[0])?);
//! # Ok(())
//! # }
//! ```

pub mod architectures;
mod cache;
mod causal_lm;
mod config;
mod context;
mod generate;
mod generation;
mod layer;
mod model;
mod prefix;
mod rotary;
mod with_head;

pub use architectures::Architecture;
pub use beft_nn::Norm;
pub use beft_nn::{RotaryConfig, Scaling};
pub use causal_lm::DecoderForCausalLM;
pub use config::{Activation, DecoderConfig, Order, Positions};
pub use generate::{
    Finish, GenerateOptions, Generating, NewToken, Request, RequestError, RowId, Sampling,
    SamplingError, TokenLogprobs,
};
pub use generation::GenerationSettings;
pub use layer::DecoderLayer;
pub use model::DecoderModel;
pub use prefix::{KeyValuePrefix, PrefixError};
pub use with_head::DecoderWithHead;
