use burn::tensor::{Int, Tensor};

/// Columns that are added at least when there is no room for another.
const LEAST_ROOM: usize = 64;

/// Keys and values of the tokens so far, of one layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct LayerCache {
    filled: Option<Grids>,
}

#[derive(Clone, Debug)]
struct Grids {
    /// `[inputs, key_value_heads, columns, head_dim]` each.
    both: [Tensor<4>; 2],
    /// So many columns are in use, the last of every input for its last token. The others are room for more: a new token
    /// is written there, where copying all of them for each token would cost as much as the products.
    used: usize,
}

impl Grids {
    fn new(both: [Tensor<4>; 2]) -> Self {
        let used = both[0].dims()[2];
        Self { both, used }
    }

    fn map(self, change: impl Fn(Tensor<4>) -> Tensor<4>) -> Self {
        Self::new(self.in_use().map(change))
    }

    /// The columns in use.
    fn in_use(self) -> [Tensor<4>; 2] {
        self.both.map(|grid| grid.narrow(2, 0, self.used))
    }

    fn extend(self, new: [Tensor<4>; 2]) -> Self {
        let used = self.used + new[0].dims()[2];
        let write = |(grid, new): (Tensor<4>, Tensor<4>)| {
            let [inputs, heads, columns, head_dim] = grid.dims();
            let grid = match columns < used {
                true => {
                    let room = used - columns + LEAST_ROOM.max(used / 2);
                    let room = [inputs, heads, room, head_dim];
                    let room = Tensor::zeros(room, (&grid.device(), grid.dtype()));
                    Tensor::cat(vec![grid, room], 2)
                }
                false => grid,
            };
            grid.slice_assign([0..inputs, 0..heads, self.used..used, 0..head_dim], new)
        };
        let [keys, values] = self.both;
        let [new_keys, new_values] = new;
        Self {
            both: [write((keys, new_keys)), write((values, new_values))],
            used,
        }
    }
}

impl LayerCache {
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.is_some()
    }

    /// Adds those of new tokens behind the ones so far, and gives them all.
    pub(crate) fn extend(&mut self, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let grids = match self.filled.take() {
            None => Grids::new([keys, values]),
            Some(grids) => grids.extend([keys, values]),
        };
        self.filled = Some(grids.clone());
        let [keys, values] = grids.in_use();
        (keys, values)
    }

    pub(crate) fn into_filled(self) -> Option<[Tensor<4>; 2]> {
        self.filled.map(Grids::in_use)
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
            (Some(own), Some(new)) => {
                let columns = own.used.max(new.used);
                let [keys, values] = own.in_use();
                let [new_keys, new_values] = new.in_use();
                let both = |old: Tensor<4>, new: Tensor<4>| {
                    let grids = [old, new].map(|grid| with_columns(grid, columns));
                    Tensor::cat(grids.to_vec(), 0)
                };
                Some(Grids::new([both(keys, new_keys), both(values, new_values)]))
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
