use std::ops::Range;

use beft_core::Encoding;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::continuations::Continuations;
use crate::{DeviceTraits, Rows, Savings};

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
/// `[inputs, length, width]`, which each [`Group`] of inputs has for itself; [`Group::to_grid`] and
/// [`Group::to_rows`] convert. Under [`Padding::Packed`] the rows are the real tokens only.
///
/// Inside a batch the inputs may be in another order than they were given, by length: rows,
/// [`first_tokens`](Self::first_tokens) and groups are in that one, and
/// [`as_given`](Self::as_given) goes back.
#[derive(Clone, Debug)]
pub struct Batch {
    ids: Tensor<1, Int>,
    type_ids: Tensor<1, Int>,
    positions: Tensor<1, Int>,
    first_rows: Tensor<1, Int>,
    groups: Vec<Group>,
    lengths: Vec<usize>,
    /// For each input its number as given.
    order: Vec<usize>,
    /// For each input as given its place here, and for each place the input's number as given;
    /// `None` when the order is the same.
    reordering: Option<[Tensor<1, Int>; 2]>,
    savings: Savings,
    dropout_seeds: Vec<u64>,
    /// For each input as given, the number that its dropout is drawn by.
    dropout_numbers: Vec<usize>,
    sets: usize,
    /// For each row, and for each input, its set; `None` when there is one set.
    set_numbers: Option<[Tensor<1, Int>; 2]>,
    /// Where the continuations of each input are.
    pub(crate) continuations: Continuations,
}

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

/// Added to the attention score of a padding token. Large and finite: a row that is masked as a
/// whole gives uniform weights instead of NaN.
pub(crate) const MASKED: f32 = -1e9;

impl Batch {
    /// Puts `encodings` on `device`. The `savings` (or a [`Padding`] with all others) say how a
    /// model computes them.
    ///
    /// # Panics
    ///
    /// If there is no encoding, or one of them is empty.
    pub fn new<'a>(
        encodings: impl IntoIterator<Item = &'a Encoding>,
        savings: impl Into<Savings>,
        device: &Device,
    ) -> Self {
        let savings = savings.into();
        let given: Vec<&Encoding> = encodings.into_iter().collect();
        assert!(
            !given.is_empty() && given.iter().all(|e| !e.is_empty()),
            "a batch needs at least one input, and every input at least one token"
        );
        // More and smaller operations: on another device than this they cost more than they save.
        let sorted = savings.length_groups
            && savings.padding == Padding::Packed
            && DeviceTraits::of(device).host_memory;
        let mut order: Vec<usize> = (0..given.len()).collect();
        if sorted {
            order.sort_by_key(|index| given[*index].len());
        }
        let encodings: Vec<&Encoding> = order.iter().map(|index| given[*index]).collect();
        let lengths: Vec<usize> = encodings.iter().map(|e| e.len()).collect();
        let parts = length_groups(&lengths, sorted);

        let mut host = HostRows::default();
        let groups = parts
            .into_iter()
            .map(|inputs| host.add(&encodings, inputs, savings.padding, device))
            .collect();
        let reordering = (!order.is_sorted()).then(|| {
            let mut places = vec![0; order.len()];
            for (place, index) in order.iter().enumerate() {
                places[*index] = place as i64;
            }
            let given = order.iter().map(|index| *index as i64).collect();
            [places, given].map(|numbers| ints(numbers, device))
        });
        let continuations = Continuations::of(&encodings, &host.first_rows);
        Self {
            ids: ints(host.ids, device),
            type_ids: ints(host.type_ids, device),
            positions: ints(host.positions, device),
            first_rows: ints(host.first_rows, device),
            groups,
            lengths,
            order,
            reordering,
            savings,
            dropout_seeds: Vec::new(),
            dropout_numbers: Vec::new(),
            sets: 1,
            set_numbers: None,
            continuations,
        }
    }

    /// The inputs as given belong to as many bias sets, one set's after the other's, the same
    /// number to each. A model's parameters that are larger than its architecture says by this
    /// factor hold one value after another for each set.
    ///
    /// # Panics
    ///
    /// If the inputs cannot be divided so.
    pub fn with_sets(mut self, sets: usize) -> Self {
        let inputs = self.batch_size();
        assert!(
            sets > 0 && inputs.is_multiple_of(sets),
            "{inputs} inputs for {sets} bias sets"
        );
        let device = self.ids.device();
        let each = (inputs / sets) as i64;
        let set = |input: &usize| *input as i64 / each;
        let mut all = Vec::with_capacity(self.rows());
        for group in &self.groups {
            for input in group.inputs() {
                let rows = group.rows_of(self.lengths[input]);
                all.extend(std::iter::repeat_n(set(&self.order[input]), rows));
            }
        }
        let first = self.order.iter().map(set).collect();
        self.set_numbers = (sets > 1).then(|| [all, first].map(|n| ints(n, &device)));
        self.sets = sets;
        self
    }

    /// What dropout draws its masks by, where the device lets the host draw them: a seed for each bias
    /// set, and for each input a number within its set.
    ///
    /// # Panics
    ///
    /// If there are not as many seeds as sets, or numbers as inputs.
    pub fn with_dropout_seeds(mut self, seeds: Vec<u64>, numbers: Vec<usize>) -> Self {
        assert_eq!(
            (seeds.len(), numbers.len()),
            (self.sets, self.batch_size()),
            "dropout seeds and numbers"
        );
        (self.dropout_seeds, self.dropout_numbers) = (seeds, numbers);
        self
    }

    /// The seed of the set that an input, numbered as given, belongs to, and its number within the
    /// set; `None` without seeds.
    pub(crate) fn dropout_seed(&self, input: usize) -> Option<(u64, usize)> {
        let each = self.batch_size() / self.sets;
        let seed = self.dropout_seeds.get(input / each)?;
        Some((*seed, *self.dropout_numbers.get(input)?))
    }

    /// Number of bias sets.
    pub fn sets(&self) -> usize {
        self.sets
    }

    /// The bias set of each of `rows`; `None` when there is one set.
    pub fn set_of(&self, rows: Rows) -> Option<&Tensor<1, Int>> {
        let [all, first] = self.set_numbers.as_ref()?;
        Some(match rows {
            Rows::All => all,
            Rows::First => first,
        })
    }

    /// How a model computes it.
    pub fn savings(&self) -> Savings {
        self.savings
    }

    /// Tokens of each input.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// The number, as given, of each input.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// The inputs in groups, whose rows follow one another.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Token id of each row, `[rows]`.
    pub fn ids(&self) -> Tensor<1, Int> {
        self.ids.clone()
    }

    /// Segment of each row's token, `[rows]`.
    pub fn type_ids(&self) -> Tensor<1, Int> {
        self.type_ids.clone()
    }

    /// Position of each row's token in its own input, from 0, `[rows]`. Every continuation goes on from
    /// where the prompt ends.
    pub fn positions(&self) -> Tensor<1, Int> {
        self.positions.clone()
    }

    /// Number of inputs.
    pub fn batch_size(&self) -> usize {
        self.lengths.len()
    }

    /// Number of rows that linear layers compute.
    pub fn rows(&self) -> usize {
        self.ids.dims()[0]
    }

    /// The row of each input's first token (`[CLS]`), `[batch, width]`.
    pub fn first_tokens(&self, rows: Tensor<2>) -> Tensor<2> {
        rows.select(0, self.first_rows.clone())
    }

    /// One row of each input `[batch, width]`, in the order in which the inputs were given.
    pub fn as_given(&self, rows: Tensor<2>) -> Tensor<2> {
        match &self.reordering {
            Some([places, _]) => rows.select(0, places.clone()),
            None => rows,
        }
    }

    /// One row of each input `[batch, width]`, in the batch's order, from the order in which the
    /// inputs were given.
    pub fn from_given(&self, rows: Tensor<2>) -> Tensor<2> {
        match &self.reordering {
            Some([_, given]) => rows.select(0, given.clone()),
            None => rows,
        }
    }

    /// What of the rows of all tokens `[rows, width]` is at `rows`.
    pub fn at(&self, rows: Rows, x: Tensor<2>) -> Tensor<2> {
        match rows {
            Rows::All => x,
            Rows::First => self.first_tokens(x),
        }
    }
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

    /// Rows of one of its inputs, of so many tokens.
    pub(crate) fn rows_of(&self, tokens: usize) -> usize {
        match self.packing {
            Some(_) => tokens,
            None => self.length,
        }
    }

    /// Its part of the batch's rows.
    ///
    /// # Shapes
    ///
    /// - rows: `[rows of the batch, width]`
    /// - output: `[rows of the group, width]`
    pub fn take_rows(&self, rows: Tensor<2>) -> Tensor<2> {
        part(rows, &self.rows)
    }

    /// Its part of a tensor with one row for each input of the batch.
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

pub(crate) fn ints(values: Vec<i64>, device: &Device) -> Tensor<1, Int> {
    let len = values.len();
    Tensor::from_data(TensorData::new(values, [len]), device)
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

/// With `split`, parts of ascending lengths that differ little: an attention weight is computed for
/// each cell of the square of the longest. Else one part.
fn length_groups(lengths: &[usize], split: bool) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (index, length) in lengths.iter().enumerate() {
        match groups.last_mut() {
            Some(group) if !split || *length <= lengths[group.start] * 8 / 5 + 2 => {
                group.end = index + 1;
            }
            _ => groups.push(index..index + 1),
        }
    }
    groups
}

/// What goes to the device for each row.
#[derive(Default)]
struct HostRows {
    ids: Vec<i64>,
    type_ids: Vec<i64>,
    positions: Vec<i64>,
    first_rows: Vec<i64>,
}

impl HostRows {
    /// Adds the rows of `inputs` as a group.
    fn add(
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

#[cfg(test)]
mod tests {
    use super::*;

    fn encoding(ids: &[u32]) -> Encoding {
        Encoding {
            ids: ids.to_vec(),
            type_ids: vec![0; ids.len()],
            ..Encoding::default()
        }
    }

    fn values(tensor: Tensor<1, Int>) -> Vec<i64> {
        tensor.into_data().iter::<i64>().collect()
    }

    fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter().collect()
    }

    #[test]
    fn packed_rows_are_the_real_tokens_and_survive_the_grid() {
        let device = Device::flex();
        let inputs = [encoding(&[5, 6]), encoding(&[7, 8, 9]), encoding(&[1])];
        let savings = Savings::default().without("length-groups").unwrap();
        let batch = Batch::new(&inputs, savings, &device);
        let [group] = batch.groups() else {
            panic!("one group")
        };
        assert_eq!(
            (batch.rows(), batch.batch_size(), group.length()),
            (6, 3, 3)
        );
        assert_eq!(values(batch.ids()), [5, 6, 7, 8, 9, 1]);
        assert_eq!(values(batch.positions()), [0, 1, 0, 1, 2, 0]);

        let rows = batch.ids().float().reshape([6, 1]);
        let grid = group.to_grid(rows.clone());
        assert_eq!(floats(grid.clone()), [5., 6., 5., 7., 8., 9., 1., 1., 1.]);
        group
            .to_rows(grid)
            .into_data()
            .assert_eq(&rows.to_data(), true);
        assert_eq!(floats(batch.first_tokens(rows)), [5., 7., 1.]);

        let bias = floats(group.attention_bias().unwrap());
        assert_eq!(bias, [0., 0., MASKED, 0., 0., 0., 0., MASKED, MASKED]);
    }

    #[test]
    fn inputs_of_like_length_are_grouped_and_come_back_as_given() {
        let device = Device::flex();
        let inputs: Vec<Encoding> = [30_u32, 2, 31, 3, 9]
            .iter()
            .map(|length| encoding(&(0..*length).map(|i| 100 * length + i).collect::<Vec<_>>()))
            .collect();
        let batch = Batch::new(&inputs, Padding::Packed, &device);
        assert_eq!(batch.order(), [1, 3, 4, 0, 2]);
        assert_eq!(batch.lengths(), [2, 3, 9, 30, 31]);
        let groups: Vec<_> = batch
            .groups()
            .iter()
            .map(|g| (g.inputs(), g.length()))
            .collect();
        assert_eq!(groups, [(0..2, 3), (2..3, 9), (3..5, 31)]);

        let rows = batch.ids().float().reshape([75, 1]);
        let first = batch.first_tokens(rows.clone());
        assert_eq!(floats(first.clone()), [200., 300., 900., 3000., 3100.]);
        assert_eq!(
            floats(batch.as_given(first.clone())),
            [3000., 200., 3100., 300., 900.]
        );
        let there_and_back = batch.from_given(batch.as_given(first.clone()));
        assert_eq!(floats(there_and_back), floats(first.clone()));
        let mut start = 0;
        for group in batch.groups() {
            let part = group.take_rows(rows.clone());
            let count = part.dims()[0];
            let again = group.to_rows(group.to_grid(part.clone()));
            assert_eq!(floats(again), floats(part.clone()));
            assert_eq!(floats(part), floats(rows.clone().narrow(0, start, count)));
            start += count;
            let inputs = group.inputs();
            let some = group.take_inputs(first.clone());
            assert_eq!(floats(some), floats(first.clone())[inputs]);
        }
        assert_eq!(start, 75);
    }

    #[test]
    fn padded_batches_compute_the_whole_grid() {
        let device = Device::flex();
        let inputs = [encoding(&[5, 6]), encoding(&[7, 8, 9])];
        let length = |batch: &Batch| batch.groups()[0].length();
        assert_eq!(Batch::new(&inputs, Padding::Longest, &device).rows(), 6);
        let batch = Batch::new(&inputs, Padding::To(8), &device);
        assert_eq!((batch.rows(), length(&batch)), (16, 8));
        // Never shorter than the longest input.
        assert_eq!(length(&Batch::new(&inputs, Padding::To(1), &device)), 3);
    }

    #[test]
    fn equal_lengths_need_no_mask() {
        let inputs = [encoding(&[5, 6]), encoding(&[7, 8])];
        let batch = Batch::new(&inputs, Padding::Packed, &Device::flex());
        assert!(batch.groups()[0].attention_bias().is_none());
        assert_eq!(batch.rows(), 4);
    }
}
