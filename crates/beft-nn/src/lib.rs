//! Parts that all models of `beft` share.
//!
//! * [`gelu`]: with an exact gradient on every backend.
//! * [`RotaryConfig`]: how queries and keys are rotated by their position.
//! * [`Weight`]: a weight matrix of a layer; [`Precision`]: what frozen ones are kept in.
//! * [`Batch`]: tokenised inputs on a device, with or without padding rows. They can be computed with
//!   several stacked biases over one backbone; dropout's masks are drawn by its seeds; the continuations of
//!   prompts are part of it.
//! * [`Savings`]: what a pass leaves out.
//! * [`host`]: parts of a layer on a processor, forward and backward, where biases alone learn.
//! * [`LayerBiases`]: the eight bias vectors of a layer, and the one place where they are added.
//! * [`ParamPath`]: where a parameter is in its module; [`view_params`] and [`map_views`] walk over all of them.
//! * [`BiasModel`] and [`TaskModel`]: what training, evaluation and scoring need to know
//!   of a model.
//!
//! No backend is named here: a [`burn::tensor::Device`] chosen by the program decides.
//!
//! ```
//! use beft_nn::ParamPath;
//!
//! let path = ParamPath::from("encoder.layers.3.biases.v");
//! assert_eq!(path.layer(), Some(3));
//! assert_eq!(path.term(), Some(beft_core::BiasTerm::V));
//! ```

mod activation;
mod batch;
mod biases;
mod dense;
mod device;
pub mod host;
mod host_gelu;
mod model;
mod norm;
mod params;
mod precision;
mod recorded;
mod rotary;
mod savings;
mod weight;
mod workers;

pub use activation::gelu;
pub use batch::{
    Batch, BatchLayout, BiasStack, Continuations, DropoutMasks, DropoutSite, Group, MASKED, Rows,
    Scored,
};
pub use biases::{LayerBiases, bias_of_rows, multiply};
pub use dense::{Dense, outer_norm, zeros_if};
pub use device::DeviceTraits;
pub use model::{BiasLayout, BiasModel, OuterBias, TaskModel, snapshot};
pub use norm::Norm;
pub use params::{
    BiasSet, FloatParam, LoraFactor, NewParam, ParamData, ParamPath, ParamVisitor, count_values,
    map_params, map_views, param_shapes, read_params, stack_biases, view_params, visit_params,
};
pub use precision::{ForwardPrecision, Precision, PrecisionError};
pub use recorded::{BiasGradients, Recorded};
pub use rotary::{Rotary, RotaryConfig, RotaryTable, Scaling};
pub use savings::{Padding, Savings};
pub use weight::{Packing, Side, Weight, pack_weights, with_factors};
pub use workers::{Worker, work_on};
