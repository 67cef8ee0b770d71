//! What a model's forward is given: [`Batch`], made of parts of which each has a file of its own.
//!
//! * [`BatchLayout`]: where the tokens of each input are, in [`Group`]s whose attention is computed together.
//! * [`BiasStack`]: which of several stacked biases each input has.
//! * [`DropoutMasks`]: what dropout draws its masks by.
//! * [`Continuations`]: what a causal language model is to predict.
//!
//! The files depend on the layout, and not on one another.

mod continuations;
mod dropout;
mod group;
mod layout;
mod stack;

use beft_core::Encoding;
use burn::nn::Dropout;
use burn::tensor::{Device, Tensor};

use crate::Savings;

pub use continuations::{Continuations, Scored};
pub use dropout::{DropoutMasks, DropoutSite};
pub use group::{Group, MASKED};
pub use layout::{BatchLayout, Rows};
pub use stack::BiasStack;

/// A batch of tokenised inputs on a device, and how a model computes them.
///
/// Inside a batch the inputs may be in another order than the caller gave them in: *input order* is the
/// caller's, *batch order* that of the layout ([`BatchLayout::to_input_order`]).
#[derive(Clone, Debug)]
pub struct Batch {
    /// Where the tokens of each input are.
    pub layout: BatchLayout,
    /// Which of several stacked biases each input has.
    pub stack: BiasStack,
    /// What a causal language model is to predict.
    pub continuations: Continuations,
    /// How a model computes it.
    pub savings: Savings,
    dropout: DropoutMasks,
}

impl Batch {
    /// Puts `encodings` on `device`. The `savings` (or a [`Padding`](crate::Padding) with all others) say
    /// how a model computes them.
    ///
    /// # Panics
    ///
    /// If there is no encoding, or one of them is empty.
    pub fn new<'a>(
        encodings: impl IntoIterator<Item = &'a Encoding>,
        savings: impl Into<Savings>,
        device: &Device,
    ) -> Self {
        let savings = savings.into();
        let encodings: Vec<&Encoding> = encodings.into_iter().collect();
        let (layout, first_rows) = BatchLayout::new(&encodings, savings, device);
        Self {
            stack: BiasStack::new(1, &layout),
            continuations: Continuations::of(&encodings, &layout, &first_rows),
            savings,
            dropout: DropoutMasks::default(),
            layout,
        }
    }

    /// Divides the inputs among `count` stacked biases, the same number to each. The inputs of the first
    /// stacked biases come first in input order. A model's parameters that are larger than its architecture
    /// says by this factor hold the values of one after another.
    ///
    /// # Panics
    ///
    /// If the inputs cannot be divided so.
    pub fn with_stacked_biases(mut self, count: usize) -> Self {
        self.stack = BiasStack::new(count, &self.layout);
        self
    }

    /// Gives each input, in input order, the biases with this index among `count` stacked ones. Only biases can be stacked
    /// then, not the weights of a head.
    ///
    /// # Panics
    ///
    /// If there are not as many indices as inputs, or one of them is `count` or more.
    pub fn with_biases_of_inputs(mut self, count: usize, indices: &[usize]) -> Self {
        self.stack = BiasStack::of_inputs(count, indices, &self.layout);
        self
    }

    /// Sets what dropout draws its masks by, where the device lets the host draw them: a seed for each of
    /// the stacked biases, and for each input a number among those with the same biases.
    ///
    /// # Panics
    ///
    /// If there are not as many seeds as stacked biases, or numbers as inputs.
    pub fn with_dropout_seeds(mut self, seeds: Vec<u64>, numbers: Vec<usize>) -> Self {
        assert_eq!(
            (seeds.len(), numbers.len()),
            (self.stack.count(), self.layout.batch_size()),
            "dropout seeds and numbers"
        );
        if self.savings.host_functions {
            self.dropout = DropoutMasks::new(&seeds, &numbers);
        }
        self
    }

    /// Drops values of rows `[rows, width]`.
    pub fn drop_rows(
        &self,
        dropout: &Dropout,
        site: DropoutSite,
        x: Tensor<2>,
        rows: Rows,
    ) -> Tensor<2> {
        self.dropout.drop_rows(&self.layout, dropout, site, x, rows)
    }

    /// What a pass on the host multiplies the values of rows by, `[rows, width]`; `None` where none is dropped.
    ///
    /// # Panics
    ///
    /// If values are dropped and it is the device that draws.
    pub fn rows_mask(
        &self,
        dropout: &Dropout,
        site: DropoutSite,
        width: usize,
        rows: Rows,
    ) -> Option<Vec<f32>> {
        self.dropout
            .host_rows_mask(&self.layout, dropout, site, width, rows)
    }

    /// What a pass on the host multiplies the attention weights of an input by, `[heads, queries, tokens]`, where `input` is
    /// its number in batch order; `None` where none is dropped.
    ///
    /// # Panics
    ///
    /// If values are dropped and it is the device that draws.
    pub fn attention_mask(
        &self,
        dropout: &Dropout,
        site: DropoutSite,
        input: usize,
        shape: [usize; 2],
    ) -> Option<Vec<f32>> {
        self.dropout
            .host_attention_mask(&self.layout, dropout, site, input, shape)
    }

    /// Drops values of a table that all inputs read, `[stacked * rows, width]`.
    pub fn drop_table(&self, dropout: &Dropout, site: DropoutSite, table: Tensor<2>) -> Tensor<2> {
        let stacked = self.stack.count();
        self.dropout.drop_table(stacked, dropout, site, table)
    }

    /// Drops attention weights of a group `[inputs, heads, queries, length]`, those of all queries
    /// or of the first token alone.
    pub fn drop_attention(
        &self,
        dropout: &Dropout,
        site: DropoutSite,
        weights: Tensor<4>,
        group: &Group,
    ) -> Tensor<4> {
        self.dropout
            .drop_attention(&self.layout, dropout, site, weights, group)
    }
}
