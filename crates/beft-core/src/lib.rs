//! Shared vocabulary of bias-efficient fine-tuning (BEFT, ACL 2026).
//!
//! * [`BiasTerm`]: one of the eight bias vectors of a transformer layer.
//! * [`BiasSite`]: a term in a given layer.
//! * [`BiasPart`]: a site, or the part of it that one attention head has.
//! * [`OuterTerm`]: a bias outside the layers.
//! * [`TermSet`]: which terms to train, as a user writes it (`v`, `q,k,v`, `all`, `v@6-11`).
//! * [`BiasSnapshot`]: the values of bias vectors at one moment, as plain `f32`.
//! * [`GradientMoments`]: the gradient of a bias over mini-batches.
//! * [`Encoding`]: one tokenised input, what tokenizers hand to models.
//! * [`Stop`]: a wish that long work stops.
//! * [`Metric`], [`Targets`], [`Prediction`]: what is measured, what is right, what a model says.
//!
//! This crate knows nothing of tensors, models or files, so that everything else can depend on it.
//!
//! ```
//! use beft_core::{BiasTerm, TermSet};
//!
//! let terms: TermSet = "v@6-11".parse().unwrap();
//! let sites = terms.sites(12).unwrap();
//! assert_eq!(sites.len(), 6);
//! assert!(sites.iter().all(|site| site.term == BiasTerm::V && site.layer >= 6));
//! ```

mod encoding;
mod guard;
mod head;
mod metric;
mod moments;
mod outer_term;
mod output;
mod snapshot;
mod stop;
mod term;
mod term_set;

pub use encoding::{Branch, EncodedSet, Encoding, Targets, Truth};
pub use guard::{guarded, is_guarded};
pub use head::{Head, Pooling, TaskType};
pub use metric::{Metric, UnknownMetric};
pub use moments::GradientMoments;
pub use outer_term::OuterTerm;
pub use output::{Answerable, OutputKind, Outputs, Prediction, TagCounts};
pub use snapshot::{BiasPair, BiasSnapshot, SnapshotError};
pub use stop::Stop;
pub use term::{BiasPart, BiasSite, BiasTerm, HeadCounts, UnknownTerm};
pub use term_set::{TermSet, TermSetError};
