//! Comparisons: models x tasks x regimes x modes x seeds, one cell each, journaled.
//!
//! * [`CompareSpec`]: what to compare, from a TOML file or made by hand; [`CompareSpec::cells`].
//! * [`passes`]: which trainings run together over one frozen backbone.
//! * [`run_cells`]: one pass, with the evaluation of each training and, for all biases, every scorer's
//!   ranking.
//! * [`sweep_cells`], [`summarize_sweep`]: the same for several learning rates.
//! * [`Journal`]: a file per finished cell, found again by everything its result follows from.
//! * [`summarize`]: means over seeds, scorers' picks, significance; as Markdown and CSV, as
//!   lm-evaluation-harness's `results_*.json`, as learning curves and heatmaps.

mod cell;
mod curves;
mod harness;
mod journal;
mod passes;
mod picks;
mod spec;
mod summary;
mod sweep;
mod tables;
#[cfg(test)]
mod test;

pub use cell::{Cell, CellResult, Sample, run_cells};
pub use curves::curves_svg;
pub use harness::{harness_results, sample_lines};
pub use journal::{Journal, Pass};
pub use passes::passes;
pub use picks::ScorerPicks;
pub use spec::{CompareSpec, Overrides, TaskSpec};
pub use summary::{Group, ModeSummary, Pair, summarize};
pub use sweep::{Sweep, summarize_sweep, sweep_cells, sweep_markdown};
pub use tables::{csv, markdown};
