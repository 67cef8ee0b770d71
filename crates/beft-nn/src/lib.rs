//! What every architecture of `beft` shares.
//!
//! * [`gelu`]: with an exact gradient on every backend.
//! * [`Precision`]: what frozen weights are kept in.
//! * [`Batch`]: token ids on a device, with or without padding rows; it also draws dropout's masks. Its
//!   inputs can belong to several bias sets over one backbone.
//! * [`Scored`]: what of a batch's continuations a causal language model is to predict.
//! * [`Savings`]: what a pass leaves out.
//! * [`LayerBiases`]: the eight bias vectors of a layer, and the one place where they are added.
//! * [`ParamPath`]: where a parameter is in its module; [`view_params`] and [`map_views`] walk over all of them.
//! * [`BiasModel`] and [`SequenceClassifier`]: what training, evaluation and scoring need to know
//!   of a model.
//!
//! No backend is named here: a [`burn::tensor::Device`] chosen by the program decides.

mod activation;
mod batch;
mod biases;
mod continuations;
mod dropout;
mod host;
mod model;
mod params;
mod precision;
mod savings;
mod workers;

pub use activation::gelu;
pub use batch::{Batch, Group, Padding};
pub use biases::{LayerBiases, bias_of_rows, biased_norm, biased_rms_norm, multiply};
pub use continuations::Scored;
pub use dropout::{Place, Rows};
pub use host::rows_per_pass;
pub use model::{BiasLayout, BiasModel, SequenceClassifier, snapshot};
pub use params::{
    FloatParam, LoraFactor, NewParam, ParamData, ParamPath, ParamVisitor, count_values, map_params,
    map_views, param_shapes, read_params, view_params, visit_params,
};
pub use precision::{Precision, PrecisionError};
pub use savings::Savings;
pub use workers::{work_on, workers};
