//! Comparisons: models x tasks x regimes x modes x seeds, one cell each, journaled.
//!
//! * [`CompareSpec`]: what to compare, from a TOML file or made by hand; [`CompareSpec::cells`].
//! * [`run_cell`]: one training with its evaluation and, for all biases, every scorer's ranking.
//! * [`Journal`]: a file per finished cell, found again by everything its result follows from.
//! * [`summarize`]: means over seeds, scorers' picks, significance; as Markdown and CSV, as
//!   lm-evaluation-harness's `results_*.json`, as learning curves and heatmaps.

mod cell;
mod curves;
mod harness;
mod journal;
mod spec;
mod summary;
mod tables;

pub use cell::{Cell, CellResult, Sample, run_cell};
pub use curves::curves_svg;
pub use harness::{harness_results, sample_lines};
pub use journal::Journal;
pub use spec::{CompareSpec, Overrides, TaskSpec};
pub use summary::{Group, ModeSummary, Pair, ScorerPicks, summarize};
pub use tables::{csv, markdown};
