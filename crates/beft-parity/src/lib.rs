//! Parity with Hugging Face `transformers`: the same weights and inputs must give the same logits,
//! loss, bias gradients and parameters after three optimizer steps.
//!
//! The expected tensors are made by `xtask/python/make_fixtures.py` (small random-weight models)
//! and `xtask/python/check_minilm.py` (the real MiniLM); [`check_encoder`] compares any device's
//! results with them.

mod checks;
mod expected;

pub use checks::{Check, ParityError, check_encoder, norm_error, relative_error};
pub use expected::{Expected, fixture};
