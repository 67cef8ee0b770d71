use beft_core::Encoding;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// How much padding a batch computes. Results do not depend on it; the cost does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Linear layers see the rows of real tokens only; attention alone is padded, to the longest
    /// input of the batch.
    #[default]
    Packed,
    /// Every row of the grid is computed, padded to the longest input of the batch.
    Longest,
    /// Every row of the grid is computed, padded to this length (the published script: 128), or
    /// to the longest input if that is longer.
    To(usize),
}

/// A batch of tokenised inputs on a device.
///
/// A model computes on *rows* `[rows, width]`, one per token. Attention needs the *grid*
/// `[batch, length, width]`; [`Batch::to_grid`] and [`Batch::to_rows`] convert. Under
/// [`Padding::Packed`] the rows are the real tokens only.
#[derive(Clone, Debug)]
pub struct Batch {
    ids: Tensor<1, Int>,
    type_ids: Tensor<1, Int>,
    positions: Tensor<1, Int>,
    first_rows: Tensor<1, Int>,
    attention_bias: Option<Tensor<4>>,
    packing: Option<Packing>,
    batch_size: usize,
    length: usize,
}

/// Row numbers that take packed rows to the grid and back.
#[derive(Clone, Debug)]
struct Packing {
    /// For each grid cell its row; padding cells repeat row 0 and are masked in attention.
    row_of_cell: Tensor<1, Int>,
    /// For each row its grid cell.
    cell_of_row: Tensor<1, Int>,
}

/// Added to the attention score of a padding token. Large and finite: a row that is masked as a
/// whole gives uniform weights instead of NaN.
const MASKED: f32 = -1e9;

impl Batch {
    /// Puts `encodings` on `device`.
    ///
    /// # Panics
    ///
    /// If there is no encoding, or one of them is empty.
    pub fn new<'a>(
        encodings: impl IntoIterator<Item = &'a Encoding>,
        padding: Padding,
        device: &Device,
    ) -> Self {
        let encodings: Vec<&Encoding> = encodings.into_iter().collect();
        assert!(
            !encodings.is_empty() && encodings.iter().all(|e| !e.is_empty()),
            "a batch needs at least one input, and every input at least one token"
        );
        let longest = encodings.iter().map(|e| e.len()).max().unwrap_or(0);
        let length = match padding {
            Padding::Packed | Padding::Longest => longest,
            Padding::To(length) => length.max(longest),
        };
        let ragged = encodings.iter().any(|e| e.len() != length);
        let packed = padding == Padding::Packed && ragged;

        let mut grid = HostGrid::default();
        let mut mask = Vec::with_capacity(encodings.len() * length);
        for (index, encoding) in encodings.iter().enumerate() {
            grid.first_rows.push(grid.ids.len() as i64);
            for position in 0..length {
                let real = position < encoding.len();
                mask.push(if real { 0.0 } else { MASKED });
                if packed {
                    grid.row_of_cell
                        .push(if real { grid.ids.len() as i64 } else { 0 });
                }
                if real || !packed {
                    grid.cell_of_row.push((index * length + position) as i64);
                    // What a padding row holds is never read: attention masks it.
                    let token = |ids: &[u32]| ids.get(position).map_or(0, |id| i64::from(*id));
                    grid.ids.push(token(&encoding.ids));
                    grid.type_ids.push(token(&encoding.type_ids));
                    grid.positions.push(position as i64);
                }
            }
        }
        let batch_size = encodings.len();
        let ints = |values: Vec<i64>| {
            let len = values.len();
            Tensor::<1, Int>::from_data(TensorData::new(values, [len]), device)
        };
        Self {
            ids: ints(grid.ids),
            type_ids: ints(grid.type_ids),
            positions: ints(grid.positions),
            first_rows: ints(grid.first_rows),
            attention_bias: ragged.then(|| {
                Tensor::from_data(TensorData::new(mask, [batch_size, 1, 1, length]), device)
            }),
            packing: packed.then(|| Packing {
                row_of_cell: ints(grid.row_of_cell),
                cell_of_row: ints(grid.cell_of_row),
            }),
            batch_size,
            length,
        }
    }

    /// Token id of each row, `[rows]`.
    pub fn ids(&self) -> Tensor<1, Int> {
        self.ids.clone()
    }

    /// Segment of each row's token, `[rows]`.
    pub fn type_ids(&self) -> Tensor<1, Int> {
        self.type_ids.clone()
    }

    /// Position of each row's token in its own input, from 0, `[rows]`.
    pub fn positions(&self) -> Tensor<1, Int> {
        self.positions.clone()
    }

    /// What to add to attention scores `[batch, heads, length, length]` so that padding is not
    /// attended to, `[batch, 1, 1, length]`; `None` when there is no padding.
    pub fn attention_bias(&self) -> Option<Tensor<4>> {
        self.attention_bias.clone()
    }

    /// Number of inputs.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Length of the attention grid.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Number of rows that linear layers compute.
    pub fn rows(&self) -> usize {
        self.ids.dims()[0]
    }

    /// Spreads rows `[rows, width]` over the grid `[batch, length, width]`.
    pub fn to_grid(&self, rows: Tensor<2>) -> Tensor<3> {
        let [_, width] = rows.dims();
        let cells = match &self.packing {
            Some(packing) => rows.select(0, packing.row_of_cell.clone()),
            None => rows,
        };
        cells.reshape([self.batch_size, self.length, width])
    }

    /// Takes the rows `[rows, width]` out of the grid `[batch, length, width]`.
    pub fn to_rows(&self, grid: Tensor<3>) -> Tensor<2> {
        let [batch, length, width] = grid.dims();
        let cells = grid.reshape([batch * length, width]);
        match &self.packing {
            Some(packing) => cells.select(0, packing.cell_of_row.clone()),
            None => cells,
        }
    }

    /// The row of each input's first token (`[CLS]`), `[batch, width]`.
    pub fn first_tokens(&self, rows: Tensor<2>) -> Tensor<2> {
        rows.select(0, self.first_rows.clone())
    }
}

#[derive(Default)]
struct HostGrid {
    ids: Vec<i64>,
    type_ids: Vec<i64>,
    positions: Vec<i64>,
    first_rows: Vec<i64>,
    row_of_cell: Vec<i64>,
    cell_of_row: Vec<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding(ids: &[u32]) -> Encoding {
        Encoding {
            ids: ids.to_vec(),
            type_ids: vec![0; ids.len()],
        }
    }

    fn ints(tensor: Tensor<1, Int>) -> Vec<i64> {
        tensor.into_data().iter::<i64>().collect()
    }

    #[test]
    fn packed_rows_are_the_real_tokens_and_survive_the_grid() {
        let device = Device::flex();
        let inputs = [encoding(&[5, 6]), encoding(&[7, 8, 9]), encoding(&[1])];
        let batch = Batch::new(&inputs, Padding::Packed, &device);
        assert_eq!(
            (batch.rows(), batch.batch_size(), batch.length()),
            (6, 3, 3)
        );
        assert_eq!(ints(batch.ids()), [5, 6, 7, 8, 9, 1]);
        assert_eq!(ints(batch.positions()), [0, 1, 0, 1, 2, 0]);

        let rows = batch.ids().float().reshape([6, 1]);
        let grid = batch.to_grid(rows.clone());
        let cells: Vec<f32> = grid.to_data().iter().collect();
        assert_eq!(cells, [5., 6., 5., 7., 8., 9., 1., 5., 5.]);
        batch
            .to_rows(grid)
            .into_data()
            .assert_eq(&rows.to_data(), true);
        let first: Vec<f32> = batch.first_tokens(rows).into_data().iter().collect();
        assert_eq!(first, [5., 7., 1.]);

        let bias: Vec<f32> = batch.attention_bias().unwrap().into_data().iter().collect();
        assert_eq!(bias, [0., 0., MASKED, 0., 0., 0., 0., MASKED, MASKED]);
    }

    #[test]
    fn padded_batches_compute_the_whole_grid() {
        let device = Device::flex();
        let inputs = [encoding(&[5, 6]), encoding(&[7, 8, 9])];
        assert_eq!(Batch::new(&inputs, Padding::Longest, &device).rows(), 6);
        let batch = Batch::new(&inputs, Padding::To(8), &device);
        assert_eq!((batch.rows(), batch.length()), (16, 8));
        // Never shorter than the longest input.
        assert_eq!(Batch::new(&inputs, Padding::To(1), &device).length(), 3);
    }

    #[test]
    fn equal_lengths_need_no_mask() {
        let inputs = [encoding(&[5, 6]), encoding(&[7, 8])];
        let batch = Batch::new(&inputs, Padding::Packed, &Device::flex());
        assert!(batch.attention_bias().is_none());
        assert_eq!(batch.rows(), 4);
    }
}
