//! What an adapter consists of beside biases.

use beft_nn::ParamData;

use crate::Stored;
use crate::load::transpose;

/// A tensor of the task head, as PyTorch stores it (`nn.Linear` weights are `[out, in]`).
#[derive(Clone, Debug, PartialEq)]
pub struct HeadTensor {
    /// Shape.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

/// The two factors of a LoRA update as PEFT stores them: the weight `[out, in]` of a linear module
/// changes by `alpha / rank * b a`.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraFactors {
    /// `[rank, in]`.
    pub a: HeadTensor,
    /// `[out, rank]`.
    pub b: HeadTensor,
}

/// Keys and values of prefix tuning, as PEFT stores them (`past_key_values` in `peft_model.py`): for each
/// prefix token, and each layer, its keys and then its values.
#[derive(Clone, Debug, PartialEq)]
pub struct PrefixValues {
    /// Number of prefix tokens.
    pub tokens: usize,
    /// Number of layers.
    pub layers: usize,
    /// Number of key and value heads.
    pub heads: usize,
    /// Width of the keys of a layer.
    pub width: usize,
    /// `[tokens, layers, 2, width]`.
    pub values: Vec<f32>,
}

impl PrefixValues {
    /// From a tensor `[tokens, layers * 2 * width]` and what PEFT's config says of it.
    pub(crate) fn read(
        shape: &[usize],
        values: Vec<f32>,
        tokens: Option<usize>,
        (layers, heads): (Option<usize>, Option<usize>),
    ) -> Result<Self, String> {
        let (Some(tokens), Some(layers), Some(heads)) = (tokens, layers, heads) else {
            return Err(
                "num_virtual_tokens, num_layers and num_attention_heads are needed".to_owned(),
            );
        };
        match *shape {
            [rows, columns]
                if rows == tokens && layers > 0 && columns.is_multiple_of(2 * layers) =>
            {
                Ok(Self {
                    tokens,
                    layers,
                    heads,
                    width: columns / (2 * layers),
                    values,
                })
            }
            _ => Err(format!(
                "prompt_embeddings has shape {shape:?}, which is not of {tokens} tokens and {layers} layers"
            )),
        }
    }
}

impl LoraFactors {
    pub(crate) fn empty() -> Self {
        let none = || HeadTensor {
            shape: vec![0, 0],
            values: Vec::new(),
        };
        Self {
            a: none(),
            b: none(),
        }
    }

    /// The change of the weight as modules hold it, `[in, out]`; `None` where the shapes do not fit.
    pub(crate) fn change(&self, alpha: f64) -> Option<Vec<f32>> {
        let (&[rank, d_in], &[d_out, rank_b]) = (self.a.shape.as_slice(), self.b.shape.as_slice())
        else {
            return None;
        };
        let whole = self.a.values.len() == rank * d_in && self.b.values.len() == d_out * rank;
        if rank != rank_b || rank == 0 || !whole {
            return None;
        }
        let scale = (alpha / rank as f64) as f32;
        let mut change = vec![0.0; d_in * d_out];
        for r in 0..rank {
            for i in 0..d_in {
                let a = scale * self.a.values[r * d_in + i];
                for (o, cell) in change[i * d_out..(i + 1) * d_out].iter_mut().enumerate() {
                    *cell += a * self.b.values[o * rank + r];
                }
            }
        }
        Some(change)
    }
}

impl HeadTensor {
    pub(crate) fn from_param(data: &ParamData, stored: Stored) -> Self {
        match (stored, data.shape.as_slice()) {
            (Stored::Transposed, &[rows, columns]) => Self {
                shape: vec![columns, rows],
                values: transpose(&data.values, rows, columns),
            },
            _ => Self {
                shape: data.shape.clone(),
                values: data.values.clone(),
            },
        }
    }

    pub(crate) fn module_values(&self, stored: Stored) -> Vec<f32> {
        match (stored, self.shape.as_slice()) {
            (Stored::Transposed, &[rows, columns]) => transpose(&self.values, rows, columns),
            _ => self.values.clone(),
        }
    }
}
