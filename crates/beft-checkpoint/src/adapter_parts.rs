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
    ///
    /// # Errors
    ///
    /// When something is missing there, or the tensor does not fit it.
    pub fn read(
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

impl HeadTensor {
    /// A parameter as a checkpoint has it, or the part of a tensor there that it is.
    pub fn from_param(data: &ParamData, stored: Stored) -> Self {
        match (stored.is_linear(), data.shape.as_slice()) {
            (true, &[rows, columns]) => Self {
                shape: vec![columns, rows],
                values: transpose(&data.values, rows, columns),
            },
            _ => Self {
                shape: data.shape.clone(),
                values: data.values.clone(),
            },
        }
    }

    /// Puts the next part of a tensor behind those before: along the last axis of GPT-2's tensors, else along the first.
    pub(crate) fn append(&mut self, part: Self, stored: Stored) {
        match (stored, self.shape.as_mut_slice(), part.shape.as_slice()) {
            (Stored::Third(_), [rows, columns], [_, more]) => {
                let lines = self.values.chunks(*columns).zip(part.values.chunks(*more));
                self.values = lines.flat_map(|(own, more)| [own, more].concat()).collect();
                debug_assert_eq!(self.values.len(), *rows * (*columns + *more));
                *columns += more;
            }
            (_, shape, more) => {
                shape[0] += more[0];
                self.values.extend(part.values);
            }
        }
    }

    /// Its values as modules have them.
    pub fn module_values(&self, stored: Stored) -> Vec<f32> {
        match (stored, self.shape.as_slice()) {
            (Stored::Transposed, &[rows, columns]) => transpose(&self.values, rows, columns),
            _ => self.values.clone(),
        }
    }
}
