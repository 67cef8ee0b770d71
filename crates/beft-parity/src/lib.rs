//! Parity with Hugging Face `transformers`: the same weights and inputs must give the same logits,
//! loss, bias gradients, parameters after three optimizer steps, and scores, on every backend.
//!
//! The expected tensors are made by `xtask/python/make_fixtures.py` (small random-weight models,
//! embedded here) and `xtask/python/check_minilm.py` (the real MiniLM). A model joins the suite by
//! its folder in `crates/beft-fixtures/models`. The program of the same name runs the suite on the devices it is
//! given; `cargo xtask parity` builds and starts it.
//!
//! ```
//! let difference = beft_parity::relative_error(&[1.0, 2.0], &[1.0, 2.0]);
//! assert_eq!(difference, 0.0);
//! ```

mod checks;
mod decoder;
mod expected;
mod found;
mod heads;
mod measure;
mod suite;
mod timing;
mod tolerance;

pub use checks::{ParityError, check_encoder};
pub use decoder::{check_decoder, decoder_examples};
pub use expected::Expected;
pub use heads::check_heads;
pub use measure::{Check, norm_error, relative_error};
pub use suite::{ModelReport, Subject};
pub use timing::{Shape, matmul_peak, step_seconds};
pub use tolerance::Tolerance;
