use burn::tensor::{Int, Tensor};

/// Keys and values of the tokens so far, of one layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct LayerCache {
    /// `[inputs, key_value_heads, columns, head_dim]` each. The last column of every input is its last token's.
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

    fn map(&mut self, change: impl Fn(Tensor<4>) -> Tensor<4>) {
        let filled = self.filled.take();
        self.filled = filled.map(|grids| grids.map(change));
    }

    /// Moves each input's columns, of which the first `lengths` are in use, to the end of the grid.
    pub(crate) fn move_to_end(&mut self, lengths: &[usize]) {
        self.map(|grid| {
            let columns = grid.dims()[2];
            if lengths.iter().all(|length| *length == columns) {
                return grid;
            }
            let rows = lengths.iter().enumerate().map(|(row, length)| {
                let own = grid.clone().narrow(0, row, 1).narrow(2, 0, *length);
                with_columns(own, columns)
            });
            Tensor::cat(rows.collect(), 0)
        });
    }

    /// Adds the inputs of another cache behind its own.
    pub(crate) fn join(&mut self, other: Self) {
        self.filled = match (self.filled.take(), other.filled) {
            (Some([keys, values]), Some([new_keys, new_values])) => {
                let columns = keys.dims()[2].max(new_keys.dims()[2]);
                let both = |old: Tensor<4>, new: Tensor<4>| {
                    let grids = [old, new].map(|grid| with_columns(grid, columns));
                    Tensor::cat(grids.to_vec(), 0)
                };
                Some([both(keys, new_keys), both(values, new_values)])
            }
            (own, new) => own.or(new),
        };
    }

    /// Keeps these inputs, and of them the last `columns`.
    pub(crate) fn keep(&mut self, inputs: &Tensor<1, Int>, columns: usize) {
        self.map(|grid| {
            let all = grid.dims()[2];
            let recent = grid.narrow(2, all - columns, columns);
            recent.select(0, inputs.clone())
        });
    }
}

/// A grid with so many columns, its own at the end.
fn with_columns(grid: Tensor<4>, columns: usize) -> Tensor<4> {
    let [inputs, heads, own, head_dim] = grid.dims();
    if own == columns {
        return grid;
    }
    // What is there is masked, but must be finite.
    let shape = [inputs, heads, columns - own, head_dim];
    let empty = Tensor::zeros(shape, (&grid.device(), grid.dtype()));
    Tensor::cat(vec![empty, grid], 2)
}
