use burn::tensor::{Int, Tensor};

use super::group::ints;
use super::layout::{BatchLayout, Rows};

/// Which of several stacked biases each input of a batch has. A parameter that is larger than the
/// architecture says by their number holds the values of one after another.
#[derive(Clone, Debug)]
pub struct BiasStack {
    count: usize,
    /// For each row, and for each input, the index in the stack; `None` where there is one.
    indices: Option<[Tensor<1, Int>; 2]>,
}

impl BiasStack {
    /// Shares the inputs of a batch out among `count` stacked biases, in input order.
    pub(super) fn new(count: usize, layout: &BatchLayout) -> Self {
        let inputs = layout.batch_size();
        assert!(
            count > 0 && inputs.is_multiple_of(count),
            "{inputs} inputs for {count} stacked biases"
        );
        let of_inputs: Vec<usize> = (0..inputs).map(|input| input / (inputs / count)).collect();
        Self::of_inputs(count, &of_inputs, layout)
    }

    /// Gives each input of a batch, in input order, the biases with this index among `count` of them.
    pub(super) fn of_inputs(count: usize, of_inputs: &[usize], layout: &BatchLayout) -> Self {
        assert!(
            of_inputs.len() == layout.batch_size() && of_inputs.iter().all(|index| *index < count),
            "each input needs one of {count} stacked biases"
        );
        let of_input = |input: &usize| of_inputs[*input] as i64;
        let indices = || {
            let of_rows = layout.groups().iter().flat_map(|group| {
                group.inputs().flat_map(|input| {
                    let rows = group.rows_of(layout.lengths()[input]);
                    std::iter::repeat_n(of_input(&layout.order()[input]), rows)
                })
            });
            let of_inputs = layout.order().iter().map(of_input);
            let device = layout.device();
            [of_rows.collect(), of_inputs.collect()].map(|indices| ints(indices, &device))
        };
        Self {
            count,
            indices: (count > 1).then(indices),
        }
    }

    /// Number of stacked biases.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The indices of the rows and of the inputs in host memory; `None` where there is one bias.
    pub(crate) fn on_host(&self) -> Option<[Vec<usize>; 2]> {
        let host = |indices: &Tensor<1, Int>| {
            let numbers = indices.to_data();
            numbers.iter::<i64>().map(|index| index as usize).collect()
        };
        self.indices
            .as_ref()
            .map(|indices| indices.each_ref().map(host))
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
