//! Pictures of results as SVG: heatmaps of importance scores, bars with intervals, learning curves, confusion
//! matrices, reliability diagrams.
//!
//! ```
//! use beft_core::{BiasSite, BiasTerm};
//! use beft_score::Scores;
//!
//! let values = BiasSite::all(2).map(|site| (site, if site.term == BiasTerm::V { 0.3 } else { 0.1 }));
//! let svg = beft_plot::heatmap_svg(&Scores::from_values("beft", values), "Two layers");
//! assert!(svg.starts_with("<svg"));
//! ```

mod axis;
mod bars;
mod confusion;
mod curves;
mod heatmap;
mod paint;
mod reliability;
mod scatter;

pub use bars::{Bar, bars_svg};
pub use confusion::confusion_svg;
pub use curves::{Curve, CurveAxis, CurvePoint, curves_svg};
pub use heatmap::{heads_heatmap_svg, heatmap_svg};
pub use reliability::{ReliabilityStep, reliability_svg};
pub use scatter::{ScatterPanel, ScatterPoint, scatter_svg};
