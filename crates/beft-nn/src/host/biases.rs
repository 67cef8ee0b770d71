use burn::module::Param;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::rows::ROWS;

/// A bias, or a stack of biases of which each row has one, in host memory.
#[derive(Debug)]
pub struct RowBiases<'a> {
    values: Vec<f32>,
    width: usize,
    /// For each row the index of its bias; none where all rows have the same.
    index: Option<&'a [usize]>,
}

impl<'a> RowBiases<'a> {
    /// The bias of `width` values that `param` holds, or the stack of them, of which `index` gives each row's.
    pub fn new(param: &Param<Tensor<1>>, width: usize, index: Option<&'a [usize]>) -> Self {
        let values = crate::weight::host_values(param.val());
        let index = index.filter(|_| values.len() != width);
        Self {
            values,
            width,
            index,
        }
    }

    /// The bias that all rows have.
    pub fn shared(&self) -> Option<&[f32]> {
        self.index.is_none().then_some(self.values.as_slice())
    }

    /// The bias of a row.
    pub fn of_row(&self, row: usize) -> &[f32] {
        match self.index {
            Some(index) => &self.values[index[row] * self.width..][..self.width],
            None => &self.values,
        }
    }

    /// Adds each row's bias where rows have different ones; a bias that all share is the business of what made the rows.
    pub fn add_own(&self, rows: &mut [f32]) {
        if self.index.is_none() {
            return;
        }
        let rows = rows.par_chunks_mut(self.width).with_min_len(ROWS);
        rows.enumerate().for_each(|(row, values)| {
            let bias = self.of_row(row).iter();
            values.iter_mut().zip(bias).for_each(|(x, b)| *x += b);
        });
    }

    /// The gradient of the values: the sums of the gradients of the rows that have them.
    pub fn gradient(&self, rows: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0_f32; self.values.len()];
        for (row, values) in rows.chunks(self.width).enumerate() {
            let first = self.index.map_or(0, |index| index[row] * self.width);
            let own = sums[first..first + self.width].iter_mut();
            own.zip(values).for_each(|(sum, x)| *sum += x);
        }
        sums
    }
}
