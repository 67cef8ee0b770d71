use burn::tensor::Tensor;

/// Keys and values of the tokens so far, of one layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct LayerCache {
    /// `[inputs, key_value_heads, tokens, head_dim]` each.
    filled: Option<[Tensor<4>; 2]>,
}

impl LayerCache {
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.is_some()
    }

    /// Adds those of new tokens behind the ones so far, and gives them all.
    pub(crate) fn extend(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let [keys, values] = match self.filled.take() {
            None => [keys, values],
            Some([old_keys, old_values]) => [
                Tensor::cat(vec![old_keys, keys], 2),
                Tensor::cat(vec![old_values, values], 2),
            ],
        };
        self.filled = Some([keys.clone(), values.clone()]);
        (keys, values)
    }

    pub(crate) fn into_filled(self) -> Option<[Tensor<4>; 2]> {
        self.filled
    }

    /// Number of columns.
    pub(crate) fn columns(&self) -> usize {
        self.filled.as_ref().map_or(0, |[keys, _]| keys.dims()[2])
    }
}
