//! Training modes, and the adapters that they make.
//!
//! * [`Mode`]: biases, or one of what they are compared with (`full`, `random`, `lora-v`, `prefix`, `zero-shot`).
//!   Each mode is one file, which implements [`TrainingMode`]; `table.rs` lists them all.
//! * [`Makes`]: whether a mode makes an adapter, a whole model, or nothing.
//! * [`ModeSettings`]: the settings that belong to modes.
//! * [`Adapter`]: what was trained, on disk, in the layout of HF PEFT's BEFT, LoRA, IA3, LN and prefix tuners. A mode that
//!   makes adapters says in its file how its tensors and config keys are written and read ([`AdapterKind`]).
//!
//! A new mode is a new file, its line here, and its line in `table.rs`.
//!
//! ```
//! use beft_modes::Mode;
//!
//! let biases: Mode = "v@6-11".parse().unwrap();
//! assert!(biases.terms().is_some());
//! let lora: Mode = "lora-v,q".parse().unwrap();
//! assert_eq!(lora.to_string(), "lora-qv");
//! ```

mod adapter;
mod apply;
mod lora_factors;
mod lora_reader;
mod mode;
mod new_values;
mod peft;
mod settings;
mod table;

mod asked;
mod biases;
mod full;
mod ia3;
mod ln;
mod lora;
mod prefix;
mod random;
mod random_lines;

pub use adapter::{Adapter, AdapterTensor, TrainedParams};
pub use asked::Asked;
pub use biases::{BiasDeltas, NO_HEAD, moving_paths, trainable_values};
pub use full::Full;
pub use ia3::{Ia3, Ia3Vector, Ia3Vectors};
pub use ln::{Ln, NormValues};
pub use lora::{Lora, LoraUpdates};
pub use lora_factors::LoraFactors;
pub use mode::{
    Entries, Makes, Misfit, ModeError, ModelTraits, Touched, Touching, TrainingMode, Written,
};
pub use peft::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, EXTRA_BIASES, Names, Targets};
pub use prefix::Prefix;
pub use random::Random;
pub use random_lines::RandomLines;
pub use settings::ModeSettings;
pub use table::{AdapterKind, Mode};
