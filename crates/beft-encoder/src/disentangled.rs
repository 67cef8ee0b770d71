//! DeBERTa's attention to distances (`DisentangledSelfAttention` in `modeling_deberta_v2.py`): a table has a row for
//! each distance of two tokens, whose keys meet the queries of tokens, and whose queries meet the keys of tokens.

use beft_nn::{Batch, Group, Rows};
use burn::tensor::{Device, Int, Tensor};

use crate::distances::ints;
use crate::facts::Disentangled;

impl Disentangled {
    /// Number of rows of the table for tokens behind, and for those before.
    pub(crate) fn span(&self) -> usize {
        self.buckets.unwrap_or(self.farthest)
    }

    /// By what scores are divided: the square root of the width of a head, as many times as there are parts of a score.
    pub(crate) fn scale(&self, head_dim: usize) -> f64 {
        let parts = 1 + usize::from(self.keys) + usize::from(self.queries);
        1.0 / ((head_dim * parts) as f64).sqrt()
    }

    /// The row of the table for a query that stands so far behind a key.
    fn row(&self, distance: i64) -> i64 {
        let span = self.span() as i64;
        let bucket = self.buckets.map_or(distance, |buckets| {
            log_bucket(distance, buckets as i64, self.farthest)
        });
        (bucket + span).clamp(0, 2 * span - 1)
    }
}

/// The bucket of a distance: one for each small one, and ever wider ones behind those (`make_log_bucket_position`).
fn log_bucket(distance: i64, buckets: i64, farthest: usize) -> i64 {
    let middle = buckets / 2;
    if distance.abs() <= middle {
        return distance;
    }
    let ratio = |x: f32| (x / middle as f32).ln();
    let share = ratio(distance.abs() as f32) / ratio((farthest - 1) as f32);
    let steps = (share * (middle - 1) as f32).ceil() as i64;
    distance.signum() * (steps + middle)
}

/// The rows of the table that a batch needs, for each of the stacked biases.
#[derive(Debug)]
pub(crate) struct DistanceTable {
    /// The table after its norm, `[stacked * rows, hidden]`.
    pub(crate) table: Tensor<2>,
    /// Rows of the distances `-(longest - 1)` to `longest - 1`, `[stacked * (2 longest - 1)]`.
    ascending: Tensor<1, Int>,
    /// The same the other way round.
    descending: Tensor<1, Int>,
    /// The number of the stacked bias of each of them, where there are several.
    pub(crate) stack_index: Option<Tensor<1, Int>>,
    longest: usize,
    stacked: usize,
}

impl DistanceTable {
    /// Finds the rows that a batch needs in a table `[stacked * rows, hidden]`.
    pub(crate) fn new(config: &Disentangled, table: Tensor<2>, batch: &Batch) -> Self {
        let lengths = batch.layout.groups().iter().map(Group::length);
        let longest = lengths.max().unwrap_or(1);
        let stacked = batch.stack.count();
        let far = longest as i64 - 1;
        let each = 2 * config.span() as i64;
        let rows: Vec<i64> = (-far..=far).map(|distance| config.row(distance)).collect();
        let device = table.device();
        let all = |rows: Vec<i64>| {
            let of = |set: i64| rows.iter().map(move |row| set * each + row);
            ints((0..stacked as i64).flat_map(of).collect(), &device)
        };
        let reversed = rows.iter().rev().copied().collect();
        Self {
            stack_index: stack_rows(stacked, rows.len(), &device),
            ascending: all(rows),
            descending: all(reversed),
            table,
            longest,
            stacked,
        }
    }

    /// Rows of a table in the order in which queries meet their keys.
    pub(crate) fn for_keys(&self, table: &Tensor<2>) -> Tensor<2> {
        table.clone().select(0, self.descending.clone())
    }

    /// Rows of a table in the order in which keys meet their queries.
    pub(crate) fn for_queries(&self, table: &Tensor<2>) -> Tensor<2> {
        table.clone().select(0, self.ascending.clone())
    }

    /// Their heads, `[stacked, heads, 2 longest - 1, head_dim]`.
    pub(crate) fn heads(&self, rows: Tensor<2>, heads: usize) -> Tensor<4> {
        let [all, width] = rows.dims();
        let shape = [self.stacked, all / self.stacked, heads, width / heads];
        rows.reshape(shape).swap_dims(1, 2)
    }

    /// The part of the heads of all distances that a group's inputs need, which is in the middle.
    fn part(&self, heads: &Tensor<4>, group: &Group, batch: &Batch) -> Tensor<4> {
        let length = group.length();
        let part = heads
            .clone()
            .narrow(2, self.longest - length, 2 * length - 1);
        match batch.stack.index(Rows::First) {
            Some(index) => {
                let inputs = group.inputs();
                part.select(0, index.clone().narrow(0, inputs.start, inputs.len()))
            }
            None => part,
        }
    }

    /// What the keys of distances add to the attention scores of queries `[inputs, heads, queries, head_dim]` at `rows`.
    ///
    /// # Shapes
    ///
    /// - output: `[inputs, heads, queries, length]`
    pub(crate) fn key_scores(
        &self,
        keys: &Tensor<4>,
        q: Tensor<4>,
        (group, batch, rows): (&Group, &Batch, Rows),
    ) -> Tensor<4> {
        let keys = self.part(keys, group, batch);
        let length = group.length();
        match rows {
            Rows::All => shifted(q.matmul(keys.swap_dims(2, 3))),
            // The first token stands before all others.
            Rows::First => q.matmul(keys.narrow(2, length - 1, length).swap_dims(2, 3)),
        }
    }

    /// What the queries of distances add for keys `[inputs, heads, length, head_dim]`, for queries at `rows`.
    ///
    /// # Shapes
    ///
    /// - output: `[inputs, heads, queries, length]`
    pub(crate) fn query_scores(
        &self,
        queries: &Tensor<4>,
        k: Tensor<4>,
        (group, batch, rows): (&Group, &Batch, Rows),
    ) -> Tensor<4> {
        let queries = self.part(queries, group, batch);
        let scores = match rows {
            Rows::All => shifted(k.matmul(queries.swap_dims(2, 3))),
            Rows::First => {
                let nearest_first = queries.narrow(2, 0, group.length()).flip([2]);
                (k * nearest_first).sum_dim(3)
            }
        };
        scores.swap_dims(2, 3)
    }
}

/// The number of its stacked bias for each of `each` rows that all of them have; `None` where there is one.
pub(crate) fn stack_rows(stacked: usize, each: usize, device: &Device) -> Option<Tensor<1, Int>> {
    let numbers = (0..stacked as i64).flat_map(|set| std::iter::repeat_n(set, each));
    (stacked > 1).then(|| ints(numbers.collect(), device))
}

/// Takes the cell `[i, j - i + length - 1]` to `[i, j]`.
///
/// # Shapes
///
/// - x: `[inputs, heads, length, 2 length - 1]`
/// - output: `[inputs, heads, length, length]`
fn shifted(x: Tensor<4>) -> Tensor<4> {
    let [inputs, heads, length, columns] = x.dims();
    if length == 1 {
        return x;
    }
    // Rows one cell shorter, from the first row's cell on: each begins one cell further left.
    x.reshape([inputs, heads, length * columns])
        .narrow(2, length - 1, length * (columns - 1))
        .reshape([inputs, heads, length, columns - 1])
        .narrow(3, 0, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `make_log_bucket_position` gives them.
    #[test]
    fn buckets_are_those_of_transformers() {
        for (buckets, farthest, last, sum) in [(256, 512, 700, 138_189), (8, 40, 60, 397)] {
            let all = (0..last).map(|distance| log_bucket(distance, buckets, farthest));
            assert_eq!(all.sum::<i64>(), sum, "{buckets} {farthest}");
        }
        let starts = (128..700).filter(|d| log_bucket(*d, 256, 512) != log_bucket(d - 1, 256, 512));
        let starts: Vec<i64> = starts.take(8).collect();
        assert_eq!(starts, [128, 129, 130, 131, 133, 134, 136, 137]);
        assert_eq!(log_bucket(-511, 256, 512), -255);
    }

    #[test]
    fn cells_go_where_their_distance_says() {
        let cells: Vec<f32> = (0..15).map(|cell| cell as f32).collect();
        let x = Tensor::<1>::from_floats(cells.as_slice(), &Device::flex()).reshape([1, 1, 3, 5]);
        let moved: Vec<f32> = shifted(x).into_data().iter().collect();
        assert_eq!(moved, [2., 3., 4., 6., 7., 8., 10., 11., 12.]);
    }
}
