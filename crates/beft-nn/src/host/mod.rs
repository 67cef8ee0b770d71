//! Parts of a layer on a processor, forward and backward, on rows of numbers that follow one another.
//!
//! Where biases alone learn, the backward pass of a layer is short: products with the frozen weights' transposes and sums
//! over rows. Here both passes are computed from packed weights ([`Weight::product`](crate::Weight::product)),
//! without padding and without a graph of operations. A model puts the parts together
//! ([`TaskModel::record`](crate::TaskModel::record)).

mod attention;
mod biases;
mod norm;
mod rows;

pub use crate::weight::host_values;
pub use attention::{Attention, AttentionGradients, AttentionRecord};
pub use biases::RowBiases;
pub use norm::{NormRecord, layer_norm};
pub use rows::{HostRows, add, gelu, gelu_with_slopes, multiply};
