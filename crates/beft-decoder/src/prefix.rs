use beft_checkpoint::PrefixValues;
use beft_core::Encoding;
use beft_nn::{Batch, Padding};
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::DecoderForCausalLM;
use crate::cache::LayerCache;

/// Keys and values that are in front of every input's own, in one layer: what prefix tuning
/// (arXiv 2101.00190) trains. Under RoPE the keys are as they are after rotation.
#[derive(Module, Debug)]
pub struct KeyValuePrefix {
    /// `[prefix tokens, key_value_heads * head_dim]`.
    pub keys: Param<Tensor<2>>,
    /// `[prefix tokens, key_value_heads * head_dim]`.
    pub values: Param<Tensor<2>>,
}

impl DecoderForCausalLM {
    /// Number of prefix tokens in front of every input.
    pub fn prefix_len(&self) -> usize {
        self.decoder.prefix_len()
    }

    /// The same model with so many prefix tokens in front of every input, of which it learns keys and values:
    /// at first those of random tokens, drawn by `seed` (protocol, section 4).
    pub fn with_prefix(mut self, tokens: usize, seed: u64) -> Self {
        for layer in &mut self.decoder.layers {
            layer.prefix = None;
        }
        let [vocab, _] = self.decoder.tokens.dims();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let ids: Vec<u32> = (0..tokens)
            .map(|_| rng.random_range(0..vocab as u32))
            .collect();
        self.with_prompt(&ids)
    }

    /// The same model for inputs that all begin with these tokens and are given without them: the keys and values of the
    /// tokens are computed once, and are part of the prefix.
    pub fn with_prompt(mut self, ids: &[u32]) -> Self {
        let model = self.valid();
        let device = model.decoder.tokens.val().device();
        let batch = Batch::new(
            [&Encoding::with_branches(ids, [])],
            Padding::Packed,
            &device,
        );
        let mut cache = vec![LayerCache::default(); model.decoder.layers.len()];
        let context = model.decoder.context(&batch);
        let rows = batch.continuations.last_prompt_rows(&device);
        model.decoder.last_cached(&context, &rows, &mut cache);
        for (layer, cache) in self.decoder.layers.iter_mut().zip(cache) {
            layer.prefix = cache.into_filled().map(|filled| {
                let [keys, values] = filled.map(|grid| {
                    let [_, heads, tokens, head_dim] = grid.dims();
                    let rows = grid.swap_dims(1, 2).reshape([tokens, heads * head_dim]);
                    Param::from_tensor(rows)
                });
                KeyValuePrefix { keys, values }
            });
        }
        self
    }
}

/// A prefix of a model of another shape: layers, key heads and values of each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the prefix is of {} layers with {} heads and {} values, the model has {}, {} and {}",
    .prefix.0, .prefix.1, .prefix.2, .model.0, .model.1, .model.2
)]
pub struct PrefixError {
    prefix: (usize, usize, usize),
    model: (usize, usize, usize),
}

impl DecoderForCausalLM {
    /// The same model with this prefix.
    ///
    /// # Errors
    ///
    /// When it is of a model of another shape.
    pub fn with_prefix_values(mut self, prefix: &PrefixValues) -> Result<Self, PrefixError> {
        let device = self.decoder.tokens.val().device();
        let layers = self.decoder.layers.len();
        let heads = self.decoder.layers[0].key_value_heads();
        let [_, width] = self.decoder.layers[0].key.dims();
        let found = (prefix.layers, prefix.heads, prefix.width);
        if found != (layers, heads, width) {
            return Err(PrefixError {
                prefix: found,
                model: (layers, heads, width),
            });
        }
        let row = 2 * layers * width;
        for (index, layer) in self.decoder.layers.iter_mut().enumerate() {
            let part = |which: usize| {
                let start = (2 * index + which) * width;
                let values = prefix.values.chunks(row);
                let values = values
                    .flat_map(|token| &token[start..start + width])
                    .copied();
                let data = TensorData::new(values.collect::<Vec<f32>>(), [prefix.tokens, width]);
                Param::from_tensor(Tensor::from_data(data, &device))
            };
            layer.prefix = Some(KeyValuePrefix {
                keys: part(0),
                values: part(1),
            });
        }
        Ok(self)
    }
}

impl KeyValuePrefix {
    /// Number of tokens it stands for.
    pub fn len(&self) -> usize {
        self.keys.lazy_shape()[0]
    }

    /// Whether it stands for no token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// # Shapes
    ///
    /// - keys, values: `[inputs, key_value_heads, tokens, head_dim]`
    /// - output: the same with so many more tokens
    pub(crate) fn in_front_of(&self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [inputs, heads, _, head_dim] = keys.dims();
        let front = |prefix: &Param<Tensor<2>>, own: Tensor<4>| {
            let shape = [1, self.len(), heads, head_dim];
            let prefix = prefix.val().reshape(shape).swap_dims(1, 2);
            let prefix = prefix.expand([inputs, heads, self.len(), head_dim]);
            Tensor::cat(vec![prefix, own], 2)
        };
        (front(&self.keys, keys), front(&self.values, values))
    }
}
