use beft_nn::{Batch, Group};
use burn::tensor::{Device, Int, Tensor};

use beft_nn::Rotary;

/// What the forward pass of every layer needs to know of a batch, made once for it.
#[derive(Debug)]
pub(crate) struct ForwardContext<'a> {
    pub(crate) batch: &'a Batch,
    /// For each group what to add to its attention scores.
    pub(crate) masks: Vec<Tensor<4>>,
    /// Position of each row, `[rows]`.
    pub(crate) positions: Tensor<1, Int>,
    pub(crate) rotary: Option<Rotary>,
}

impl<'a> ForwardContext<'a> {
    /// Makes the context of whole inputs, which attend to `prefix` tokens in front of them, and have their
    /// positions behind those (as `past_key_values` does in HF).
    pub(crate) fn of_inputs(batch: &'a Batch, prefix: usize, device: &Device) -> Self {
        let masks = batch
            .continuations
            .causal_masks(batch.layout.groups(), device);
        let masks = masks.into_iter().map(|mask| {
            let [inputs, one, length, _] = mask.dims();
            match prefix {
                0 => mask,
                _ => {
                    let seen = Tensor::zeros([inputs, one, length, prefix], device);
                    Tensor::cat(vec![seen, mask], 3)
                }
            }
        });
        Self {
            batch,
            masks: masks.collect(),
            positions: match prefix {
                0 => batch.layout.positions(),
                _ => batch.layout.positions() + prefix as i64,
            },
            rotary: None,
        }
    }

    /// More than any position behind `prefix` tokens.
    pub(crate) fn longest(&self, prefix: usize) -> usize {
        let lengths = self.batch.layout.groups().iter().map(Group::length);
        prefix + lengths.max().unwrap_or(1)
    }
}
