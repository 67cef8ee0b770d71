//! Checkpoints in Hugging Face layout.
//!
//! * [`ModelDir`]: a folder with `config.json`, `model.safetensors` (or its sharded index, or `pytorch_model.bin`) and
//!   `tokenizer.json`.
//! * [`TensorFiles`]: the tensors of such a folder, by name.
//! * [`NameTable`]: one declarative table per architecture maps parameter paths to tensor names;
//!   [`load_module`] fills a module through it and reports what is missing, extra or misshapen.
//! * [`TextTokenizer`]: texts and pairs to [`beft_core::Encoding`]s.
//! * [`Adapter`]: trained biases on disk, in the layout of HF PEFT's BEFT or LoRA tuner;
//!   [`save_model`] writes a whole model.

mod adapter;
mod adapter_parts;
mod apply;
mod error;
mod keys;
mod load;
mod model_dir;
mod names;
mod peft;
mod save;
mod shard;
mod tensors;
#[cfg(test)]
mod test_files;
mod tokenizer;

pub use adapter::Adapter;
pub use adapter_parts::{HeadTensor, LoraFactors, PrefixValues};
pub use error::CheckpointError;
pub use keys::{KeyTable, MODEL_KEYS};
pub use load::{LoadReport, TensorProblem, load_module, load_module_as};
pub use model_dir::ModelDir;
pub use names::{NameTable, Stored, TensorName, rows};
pub use peft::{ADAPTER_CONFIG, ADAPTER_SIDECAR, ADAPTER_WEIGHTS, EXTRA_BIASES, Names, Targets};
pub use save::{check_model_target, save_model};
pub use tensors::TensorFiles;
pub use tokenizer::{TOKENIZER_FILES, TextTokenizer};
