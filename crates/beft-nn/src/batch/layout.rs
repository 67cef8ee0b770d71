use std::ops::Range;

use beft_core::Encoding;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::group::{Group, HostRows, ints};
use crate::{DeviceTraits, Padding, Savings};

/// Which rows of a batch a tensor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// The rows of all tokens.
    All,
    /// The row of each input's first token.
    First,
}

/// Where the tokens of a batch are.
///
/// A model computes on *rows* `[rows, width]`, one per token. Attention needs the *grid*
/// `[inputs, length, width]`, which each [`Group`] of inputs has for itself; [`Group::to_grid`] and
/// [`Group::to_rows`] convert. Under [`Padding::Packed`] the rows are the real tokens only.
///
/// Inside a batch the inputs may be in another order than they were given, by length: rows,
/// [`first_tokens`](Self::first_tokens) and groups are in that one, the *batch order*, and
/// [`to_input_order`](Self::to_input_order) goes back.
#[derive(Clone, Debug)]
pub struct BatchLayout {
    ids: Tensor<1, Int>,
    type_ids: Tensor<1, Int>,
    positions: Tensor<1, Int>,
    first_rows: Tensor<1, Int>,
    /// The number of each input's first row.
    starts: Vec<i64>,
    groups: Vec<Group>,
    lengths: Vec<usize>,
    /// For each input, in batch order, its number in input order.
    order: Vec<usize>,
    /// For each input, in input order, its place in batch order, and the other way round; `None` when the
    /// two are the same.
    reordering: Option<[Tensor<1, Int>; 2]>,
}

impl BatchLayout {
    /// Puts the inputs on a device, and gives the number of each one's first row in batch order.
    ///
    /// # Panics
    ///
    /// If there is no input, or one of them is empty.
    pub(super) fn new(given: &[&Encoding], savings: Savings, device: &Device) -> (Self, Vec<i64>) {
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
        let layout = Self {
            ids: ints(host.ids, device),
            type_ids: ints(host.type_ids, device),
            positions: ints(host.positions, device),
            first_rows: ints(host.first_rows.clone(), device),
            starts: host.first_rows.clone(),
            groups,
            lengths,
            order,
            reordering,
        };
        (layout, host.first_rows)
    }

    /// The device that the batch is on.
    pub fn device(&self) -> Device {
        self.ids.device()
    }

    /// Number of tokens of each input.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// For each input its number in input order.
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

    /// Takes the row of each input's first token (`[CLS]`), `[batch, width]`.
    pub fn first_tokens(&self, rows: Tensor<2>) -> Tensor<2> {
        rows.select(0, self.first_rows.clone())
    }

    /// The number of the row of each input's last token, `[batch]`.
    pub fn last_rows(&self) -> Tensor<1, Int> {
        let lasts = self.starts.iter().zip(&self.lengths);
        let lasts = lasts.map(|(start, tokens)| start + *tokens as i64 - 1);
        ints(lasts.collect(), &self.device())
    }

    /// Takes the rows of all tokens `[rows, width]` to input order, without those of padding, `[tokens, width]`.
    pub fn tokens(&self, rows: Tensor<2>) -> Tensor<2> {
        let tokens: usize = self.lengths.iter().sum();
        if self.reordering.is_none() && tokens == self.rows() {
            return rows;
        }
        let mut places: Vec<usize> = (0..self.order.len()).collect();
        places.sort_by_key(|place| self.order[*place]);
        let of_input = |place: usize| {
            let start = self.starts[place];
            start..start + self.lengths[place] as i64
        };
        let numbers = places.into_iter().flat_map(of_input).collect();
        rows.select(0, ints(numbers, &self.device()))
    }

    /// For each row of this batch the row of another one that holds the same token, `[rows]`, where `of` has for each input
    /// of this batch its number in the other, both in input order.
    ///
    /// # Panics
    ///
    /// If rows are padded, or an input is longer than it is in the other batch.
    pub fn rows_in(&self, other: &Self, of: &[usize]) -> Tensor<1, Int> {
        let tokens = |layout: &Self| layout.lengths.iter().sum::<usize>();
        assert_eq!(
            (self.rows(), other.rows()),
            (tokens(self), tokens(other)),
            "rows without padding"
        );
        let mut places = vec![0; other.order.len()];
        for (place, input) in other.order.iter().enumerate() {
            places[*input] = place;
        }
        let rows = self.order.iter().zip(&self.lengths);
        let rows = rows.flat_map(|(input, tokens)| {
            let place = places[of[*input]];
            assert!(*tokens <= other.lengths[place], "another input");
            let start = other.starts[place];
            start..start + *tokens as i64
        });
        ints(rows.collect(), &self.device())
    }

    /// Number of tokens of `inputs`, which are numbered in input order.
    pub fn tokens_of(&self, inputs: Range<usize>) -> usize {
        let lengths = self.order.iter().zip(&self.lengths);
        let own = lengths.filter(|(input, _)| inputs.contains(input));
        own.map(|(_, tokens)| tokens).sum()
    }

    /// Takes the mean over each input's tokens of the rows of all tokens `[rows, width]`, `[batch, width]`.
    pub fn means(&self, rows: Tensor<2>) -> Tensor<2> {
        let of_group = |group: &Group| {
            let grid = group.to_grid(group.take_rows(rows.clone()));
            let [inputs, length, width] = grid.dims();
            let shares = self.lengths[group.inputs()].iter().flat_map(|tokens| {
                let share = |place| {
                    if place < *tokens {
                        1.0 / *tokens as f32
                    } else {
                        0.0
                    }
                };
                (0..length).map(share)
            });
            let shares = TensorData::new(shares.collect::<Vec<f32>>(), [inputs, 1, length]);
            let shares = Tensor::<3>::from_data(shares, &grid.device());
            shares.matmul(grid).reshape([inputs, width])
        };
        Tensor::cat(self.groups.iter().map(of_group).collect(), 0)
    }

    /// Takes one row of each input `[batch, width]` from batch order to input order.
    pub fn to_input_order(&self, rows: Tensor<2>) -> Tensor<2> {
        match &self.reordering {
            Some([places, _]) => rows.select(0, places.clone()),
            None => rows,
        }
    }

    /// Takes one row of each input `[batch, width]` from input order to batch order.
    pub fn to_batch_order(&self, rows: Tensor<2>) -> Tensor<2> {
        match &self.reordering {
            Some([_, given]) => rows.select(0, given.clone()),
            None => rows,
        }
    }

    /// Takes those of the rows of all tokens `[rows, width]` that `rows` says.
    pub fn at(&self, rows: Rows, x: Tensor<2>) -> Tensor<2> {
        match rows {
            Rows::All => x,
            Rows::First => self.first_tokens(x),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MASKED;

    fn layout(inputs: &[Encoding], savings: impl Into<Savings>) -> BatchLayout {
        let inputs: Vec<&Encoding> = inputs.iter().collect();
        BatchLayout::new(&inputs, savings.into(), &Device::flex()).0
    }

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
        let inputs = [encoding(&[5, 6]), encoding(&[7, 8, 9]), encoding(&[1])];
        let savings = Savings::default().without("length-groups").unwrap();
        let batch = layout(&inputs, savings);
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
    fn inputs_of_like_length_are_grouped_and_come_back_to_input_order() {
        let inputs: Vec<Encoding> = [30_u32, 2, 31, 3, 9]
            .iter()
            .map(|length| encoding(&(0..*length).map(|i| 100 * length + i).collect::<Vec<_>>()))
            .collect();
        let batch = layout(&inputs, Padding::Packed);
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
            floats(batch.to_input_order(first.clone())),
            [3000., 200., 3100., 300., 900.]
        );
        let there_and_back = batch.to_batch_order(batch.to_input_order(first.clone()));
        assert_eq!(floats(there_and_back), floats(first.clone()));
        // The tokens of the first input, then those of the second.
        let tokens: Vec<f32> = [30_u16, 2, 31, 3, 9]
            .iter()
            .flat_map(|length| (0..*length).map(|i| f32::from(100 * *length + i)))
            .collect();
        assert_eq!(floats(batch.tokens(rows.clone())), tokens);
        assert_eq!((batch.tokens_of(0..2), batch.tokens_of(3..5)), (32, 12));
        let lasts = rows.clone().select(0, batch.last_rows());
        assert_eq!(floats(lasts), [201., 302., 908., 3029., 3130.]);
        let padded = layout(&inputs, Padding::To(40));
        let rows_of = padded.ids().float().reshape([200, 1]);
        assert_eq!(floats(padded.tokens(rows_of.clone())), tokens);
        let lasts = rows_of.select(0, padded.last_rows());
        assert_eq!(floats(lasts), [3029., 201., 3130., 302., 908.]);
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
        let inputs = [encoding(&[5, 6]), encoding(&[7, 8, 9])];
        let length = |batch: &BatchLayout| batch.groups()[0].length();
        assert_eq!(layout(&inputs, Padding::Longest).rows(), 6);
        let batch = layout(&inputs, Padding::To(8));
        assert_eq!((batch.rows(), length(&batch)), (16, 8));
        // Never shorter than the longest input.
        assert_eq!(length(&layout(&inputs, Padding::To(1))), 3);
    }

    #[test]
    fn equal_lengths_need_no_mask() {
        let inputs = [encoding(&[5, 6]), encoding(&[7, 8])];
        let batch = layout(&inputs, Padding::Packed);
        assert!(batch.groups()[0].attention_bias().is_none());
        assert_eq!(batch.rows(), 4);
    }
}
