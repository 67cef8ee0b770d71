use std::ops::Range;

use beft_core::Encoding;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::Padding;

/// Added to the attention score of a token that is not attended to. It is large and finite: a row that is
/// masked as a whole gives uniform weights instead of NaN.
pub const MASKED: f32 = -1e9;

/// Inputs of a batch, one behind the other, whose attention is computed together, padded to the
/// longest of them.
#[derive(Clone, Debug)]
pub struct Group {
    inputs: Range<usize>,
    rows: Range<usize>,
    length: usize,
    attention_bias: Option<Tensor<4>>,
    packing: Option<Packing>,
}

/// Row numbers that take packed rows of a group to its grid and back.
#[derive(Clone, Debug)]
struct Packing {
    /// For each grid cell its row; padding cells repeat the input's own first row, so that no input
    /// sees another's values, and are masked in attention.
    row_of_cell: Tensor<1, Int>,
    /// For each row its grid cell.
    cell_of_row: Tensor<1, Int>,
}

impl Group {
    /// Its inputs, by their number in the batch.
    pub fn inputs(&self) -> Range<usize> {
        self.inputs.clone()
    }

    /// Number of inputs.
    pub fn batch_size(&self) -> usize {
        self.inputs.len()
    }

    /// Length of the grid: of its longest input.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Number of rows of one of its inputs, which has so many tokens.
    pub(super) fn rows_of(&self, tokens: usize) -> usize {
        match self.packing {
            Some(_) => tokens,
            None => self.length,
        }
    }

    /// Takes its part of the batch's rows.
    ///
    /// # Shapes
    ///
    /// - rows: `[rows of the batch, width]`
    /// - output: `[rows of the group, width]`
    pub fn take_rows(&self, rows: Tensor<2>) -> Tensor<2> {
        part(rows, &self.rows)
    }

    /// Takes its part of a tensor with one row for each input of the batch.
    ///
    /// # Shapes
    ///
    /// - rows: `[inputs of the batch, width]`
    /// - output: `[inputs of the group, width]`
    pub fn take_inputs(&self, rows: Tensor<2>) -> Tensor<2> {
        part(rows, &self.inputs)
    }

    /// What to add to attention scores `[inputs, heads, length, length]` so that padding is not
    /// attended to, `[inputs, 1, 1, length]`; `None` when there is no padding.
    pub fn attention_bias(&self) -> Option<Tensor<4>> {
        self.attention_bias.clone()
    }

    /// Spreads the group's rows `[rows, width]` over the grid `[inputs, length, width]`.
    pub fn to_grid(&self, rows: Tensor<2>) -> Tensor<3> {
        let [_, width] = rows.dims();
        let cells = match &self.packing {
            Some(packing) => rows.select(0, packing.row_of_cell.clone()),
            None => rows,
        };
        cells.reshape([self.batch_size(), self.length, width])
    }

    /// Takes the group's rows `[rows, width]` out of the grid `[inputs, length, width]`.
    pub fn to_rows(&self, grid: Tensor<3>) -> Tensor<2> {
        let [inputs, length, width] = grid.dims();
        let cells = grid.reshape([inputs * length, width]);
        match &self.packing {
            Some(packing) => cells.select(0, packing.cell_of_row.clone()),
            None => cells,
        }
    }
}

fn part(rows: Tensor<2>, range: &Range<usize>) -> Tensor<2> {
    if range.len() == rows.dims()[0] {
        return rows;
    }
    rows.narrow(0, range.start, range.len())
}

/// What goes to the device for each row.
#[derive(Default)]
pub(super) struct HostRows {
    pub(super) ids: Vec<i64>,
    pub(super) type_ids: Vec<i64>,
    pub(super) positions: Vec<i64>,
    pub(super) first_rows: Vec<i64>,
}

impl HostRows {
    /// Adds the rows of `inputs` as a group.
    pub(super) fn add(
        &mut self,
        encodings: &[&Encoding],
        inputs: Range<usize>,
        padding: Padding,
        device: &Device,
    ) -> Group {
        let encodings = &encodings[inputs.clone()];
        let longest = encodings.iter().map(|e| e.len()).max().unwrap_or(0);
        let length = match padding {
            Padding::Packed | Padding::Longest => longest,
            Padding::To(length) => length.max(longest),
        };
        let ragged = encodings.iter().any(|e| e.len() != length);
        let packed = padding == Padding::Packed && ragged;
        let start = self.ids.len();
        let mut mask = Vec::with_capacity(encodings.len() * length);
        let (mut row_of_cell, mut cell_of_row) = (Vec::new(), Vec::new());
        for (index, encoding) in encodings.iter().enumerate() {
            let first = self.ids.len();
            self.first_rows.push(first as i64);
            let positions = positions(encoding);
            for position in 0..length {
                let real = position < encoding.len();
                mask.push(if real { 0.0 } else { MASKED });
                if packed {
                    let row = if real { self.ids.len() } else { first };
                    row_of_cell.push((row - start) as i64);
                }
                if real || !packed {
                    cell_of_row.push((index * length + position) as i64);
                    // What a padding row holds is never read: attention masks it.
                    let token = |ids: &[u32]| ids.get(position).map_or(0, |id| i64::from(*id));
                    self.ids.push(token(&encoding.ids));
                    self.type_ids.push(token(&encoding.type_ids));
                    let own = positions.get(position).copied();
                    self.positions.push(own.unwrap_or(position as i64));
                }
            }
        }
        let shape = [encodings.len(), 1, 1, length];
        Group {
            inputs,
            rows: start..self.ids.len(),
            length,
            attention_bias: ragged.then(|| Tensor::from_data(TensorData::new(mask, shape), device)),
            packing: packed.then(|| Packing {
                row_of_cell: ints(row_of_cell, device),
                cell_of_row: ints(cell_of_row, device),
            }),
        }
    }
}

/// Position of each token.
fn positions(encoding: &Encoding) -> Vec<i64> {
    if !encoding.positions.is_empty() {
        return encoding.positions.clone();
    }
    let prompt = encoding.prompt_len();
    let branches = encoding.branches.iter();
    let behind = branches.flat_map(|branch| prompt..prompt + branch.tokens);
    (0..prompt)
        .chain(behind)
        .map(|position| position as i64)
        .collect()
}

/// Puts numbers on a device.
pub(super) fn ints(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
}
