//! Models and data sets by name: from the local Hugging Face cache, or else from the hub.
//!
//! * [`Hub::model`]: the snapshot folder of a model: its config, tokenizer and weights.
//! * [`Hub::dataset`]: the snapshot folder of a data set with the files asked for.
//!
//! The cache has the layout of Python's `huggingface_hub` and takes the same locks, so both can
//! share one. What the cache holds is used without a request. A download is resumed after a cut,
//! checked against the checksum that the hub gives, and gets its name only when it is whole.
//!
//! Names, addresses and the cache layout come from the `hf-hub` crate. Its transfers are not used:
//! they check no content, append to a partial file even when the server starts again from the
//! first byte, and send the token to the host that a weight file is redirected to.
//!
//! ```no_run
//! use beft_hub::{Hub, Progress};
//!
//! # fn main() -> Result<(), beft_hub::HubError> {
//! let hub = Hub::from_env();
//! let folder = hub.model("bert-base-cased", &mut |p: Progress<'_>| {
//!     eprintln!("{}: {} of {:?} bytes", p.file, p.done, p.total);
//! })?;
//! println!("{}", folder.display());
//! # Ok(())
//! # }
//! ```

mod cache;
mod client;
mod digest;
mod download;
mod error;
mod hub;
mod model_files;
mod name;
mod settings;
mod url;

pub use error::HubError;
pub use hub::{Hub, Progress};
