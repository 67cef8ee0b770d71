//! The float parameters of a module: their paths, and the only two walks over them.

mod host;
mod path;
mod stacked;
mod walk;

pub use host::{ParamData, count_values, map_params, param_shapes, read_params};
pub use path::{LoraFactor, ParamPath};
pub use stacked::{BiasSet, stack_biases};
pub use walk::{FloatParam, NewParam, ParamVisitor, map_views, view_params, visit_params};
