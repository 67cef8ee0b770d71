//! An HTTP server for many adapters over one frozen backbone.
//!
//! * [`serve`]: the server, until it is told to stop. [`ServeOptions`] says what it serves.
//! * `POST /predict` is that of text-embeddings-inference, `POST /classify` that of vLLM, `POST /v1/completions` that of
//!   OpenAI; `GET /docs` describes all routes.
//! * Requests wait in one queue. A batch takes as many of them as fit, of any adapters, and starts as soon as the device
//!   is idle.
//!
//! ```
//! use beft_serve::ServeOptions;
//!
//! let options = ServeOptions { max_batch_tokens: 4096, ..ServeOptions::default() };
//! assert!(options.bind.ip().is_loopback());
//! ```

mod app;
mod engine;
mod error;
mod gate;
mod inputs;
mod key;
mod listen;
mod options;
mod routes;
mod threads;
mod writer;

pub use error::ServeError;
pub use listen::serve;
pub use options::{Limits, NamedFolder, ServeOptions};
