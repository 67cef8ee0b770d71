//! Comparisons: models x tasks x regimes x modes x seeds, one trial each, journaled.
//!
//! * [`CompareSpec`]: what to compare, from a TOML file or made by hand; [`CompareSpec::trials`].
//! * [`joint_trials`]: which trials train together over one frozen backbone.
//! * [`run_trials`]: trains some together and evaluates each; for all biases it adds every scorer's
//!   ranking.
//! * [`sweep_trials`], [`summarize_sweep`]: the same for several learning rates.
//! * [`Journal`]: a file per finished trial, found again by everything its result follows from.
//! * [`Plan`] deals the work out, to the [`Shard`]s of several machines too.
//! * [`summarize`]: means over seeds, scorers' picks, significance; as Markdown and CSV, as
//!   lm-evaluation-harness's `results_*.json`; [`add_pictures`].
//!
//! ```no_run
//! use std::path::Path;
//! use beft_compare::CompareSpec;
//!
//! # fn main() -> Result<(), beft_compare::CompareError> {
//! let spec = CompareSpec::read(Path::new("benchmarks/compare_minilm.toml"))?;
//! println!("{} seeds of each mode", spec.seeds.len());
//! # Ok(())
//! # }
//! ```

mod agreement;
mod agreement_tables;
mod error;
mod harness;
mod joint;
mod journal;
mod mode_list;
mod picks;
mod pictures;
mod plan;
mod shard;
mod spec;
mod summary;
mod sweep;
mod tables;
#[cfg(test)]
mod test;
mod trial;
mod trial_mode;

pub use agreement::{Agreement, Items, Point};
pub use error::CompareError;
pub use harness::{harness_results, sample_lines};
pub use joint::joint_trials;
pub use journal::{JointTrials, Journal, Planned};
pub use picks::ScorerPicks;
pub use pictures::{add_pictures, add_sweep_pictures, file_name};
pub use plan::Plan;
pub use shard::{Shard, ShardError};
pub use spec::{CompareSpec, Overrides, TaskSpec};
pub use summary::{Group, ModeSummary, Pair, summarize};
pub use sweep::{Sweep, summarize_sweep, sweep_report, sweep_trials};
pub use tables::{csv, report};
pub use trial::{Sample, Trial, TrialResult, run_trials};
pub use trial_mode::TrialMode;

/// Each item once, in the order of their first appearance.
fn distinct<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    items.into_iter().fold(Vec::new(), |mut found, item| {
        if !found.contains(&item) {
            found.push(item);
        }
        found
    })
}
