use burn::tensor::{Int, Tensor};

use super::{BatchLayout, Rows, ints};

/// Which of several stacked biases each input of a batch has. A parameter that is larger than the
/// architecture says by their number holds the values of one after another.
#[derive(Clone, Debug)]
pub struct BiasStack {
    count: usize,
    /// For each row, and for each input, the index in the stack; `None` where there is one.
    indices: Option<[Tensor<1, Int>; 2]>,
}

impl Default for BiasStack {
    fn default() -> Self {
        Self {
            count: 1,
            indices: None,
        }
    }
}

impl BiasStack {
    /// Shares the inputs of a batch out among `count` stacked biases, in input order.
    pub(super) fn new(count: usize, layout: &BatchLayout) -> Self {
        let inputs = layout.batch_size();
        assert!(
            count > 0 && inputs.is_multiple_of(count),
            "{inputs} inputs for {count} stacked biases"
        );
        if count == 1 {
            return Self::default();
        }
        let of_input = |input: &usize| (*input / (inputs / count)) as i64;
        let mut of_rows = Vec::with_capacity(layout.rows());
        for group in layout.groups() {
            for input in group.inputs() {
                let rows = group.rows_of(layout.lengths()[input]);
                let index = of_input(&layout.order()[input]);
                of_rows.extend(std::iter::repeat_n(index, rows));
            }
        }
        let of_inputs = layout.order().iter().map(of_input).collect();
        let device = layout.device();
        Self {
            count,
            indices: Some([of_rows, of_inputs].map(|indices| ints(indices, &device))),
        }
    }

    /// Number of stacked biases.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The index in the stack of the biases of each of `rows`; `None` where there is one.
    pub fn index(&self, rows: Rows) -> Option<&Tensor<1, Int>> {
        let [all, first] = self.indices.as_ref()?;
        Some(match rows {
            Rows::All => all,
            Rows::First => first,
        })
    }
}
