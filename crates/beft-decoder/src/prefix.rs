use burn::module::{Module, Param};
use burn::tensor::Tensor;

/// Keys and values that are in front of every input's own, in one layer: what prefix tuning
/// (arXiv 2101.00190) trains. They have no position: under RoPE the keys are as they are after rotation.
#[derive(Module, Debug)]
pub struct KeyValuePrefix {
    /// `[prefix tokens, key_value_heads * head_dim]`.
    pub keys: Param<Tensor<2>>,
    /// `[prefix tokens, key_value_heads * head_dim]`.
    pub values: Param<Tensor<2>>,
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
