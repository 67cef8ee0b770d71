//! Checkpoints in Hugging Face layout.
//!
//! * [`ModelDir`]: a folder with `config.json`, `model.safetensors` (or its sharded index, or `pytorch_model.bin`) and
//!   `tokenizer.json`.
//! * [`TensorFiles`]: the tensors of such a folder, by name.
//! * [`NameTable`]: one declarative table per architecture maps parameter paths to tensor names;
//!   [`load_module`] fills a module through it and reports what is missing, extra or misshapen.
//! * [`TextTokenizer`]: texts and pairs to [`beft_core::Encoding`]s.
//! * [`save_model`]: writes a whole model. What adapters hold is the matter of `beft-modes`.
//!
//! ```no_run
//! use std::path::Path;
//! use beft_checkpoint::ModelDir;
//!
//! # fn main() -> Result<(), beft_checkpoint::CheckpointError> {
//! let dir = ModelDir::open(Path::new("models/minilm"))?;
//! let tokenizer = dir.tokenizer(128)?;
//! let inputs = tokenizer.encode([("a warm , funny film", None)])?;
//! println!("{} of {} tokens", dir.model_type()?, inputs[0].len());
//! # Ok(())
//! # }
//! ```

mod adapter_parts;
mod draw;
mod error;
mod fields;
mod keys;
mod load;
mod model_dir;
mod names;
mod save;
mod sentence;
mod shard;
mod tensors;
#[cfg(test)]
mod test_files;
mod tokenizer;

pub use adapter_parts::{HeadTensor, PrefixValues};
pub use draw::draw_missing;
pub use error::CheckpointError;
pub use fields::{Fields, check_sizes};
pub use keys::{KeyTable, MODEL_KEYS, mean_the_same};
pub use load::{LoadReport, TensorProblem, load_module, load_module_as, third};
pub use model_dir::ModelDir;
pub use names::{HeadTables, NameTable, Stored, TensorName, rows};
pub use save::{
    ADAPTER_SIDECAR, MULTI_LABEL, PROBLEM, WholeModel, check_model_target, save_model, tensor_file,
};
pub use sentence::EmbeddingConfig;
pub use tensors::TensorFiles;
pub use tokenizer::{TOKENIZER_FILES, TextTokenizer, Window, Windows, WordEncoding};
