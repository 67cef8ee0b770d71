use beft_core::{Branch, Encoding};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::group::{Group, MASKED, ints};
use super::layout::BatchLayout;

/// The prompts and continuations of a batch's inputs, as a causal language model computes them.
#[derive(Clone, Debug)]
pub struct Continuations {
    /// In batch order.
    inputs: Vec<Input>,
}

#[derive(Clone, Debug)]
struct Input {
    prompt: usize,
    branches: Vec<Branch>,
    /// Its first row.
    first: usize,
    /// Tokens to be predicted, one continuation's after another's.
    scored: Vec<u32>,
}

/// The tokens that a causal language model is asked to predict.
#[derive(Clone, Debug)]
pub struct Scored {
    /// For each token the row whose hidden state predicts it, `[tokens]`.
    pub rows: Tensor<1, Int>,
    /// The tokens, `[tokens]`.
    pub ids: Tensor<1, Int>,
    /// For each input and each of its continuations the numbers of its tokens, `[inputs * most, longest]`.
    numbers: Tensor<1, Int>,
    /// What each of them counts, `[inputs * most, longest]`: the shares of a mean.
    shares: Tensor<2>,
    /// Added where an input has fewer continuations than another, `[inputs, most]`.
    absent: Tensor<2>,
}

impl Scored {
    /// For each input, in batch order, the mean log probability of each continuation's tokens;
    /// far below any other where there is no such continuation.
    ///
    /// # Shapes
    ///
    /// - log_probabilities: `[tokens]`
    /// - output: `[inputs, most continuations]`
    pub fn means(&self, log_probabilities: Tensor<1>) -> Tensor<2> {
        let shape = self.shares.dims();
        let each = log_probabilities.select(0, self.numbers.clone());
        let means = (each.reshape(shape) * self.shares.clone()).sum_dim(1);
        means.reshape(self.absent.dims()) + self.absent.clone()
    }
}

impl Continuations {
    /// Finds those of inputs, given in input order, whose rows begin at `first_rows` in batch order.
    pub(super) fn of(encodings: &[&Encoding], layout: &BatchLayout, first_rows: &[i64]) -> Self {
        let of = |(input, first): (&usize, &i64)| {
            let encoding = encodings[*input];
            let mut end = encoding.prompt_len();
            let mut scored = Vec::new();
            for branch in &encoding.branches {
                end += branch.tokens;
                scored.extend_from_slice(&encoding.ids[end - branch.scored..end]);
            }
            Input {
                prompt: encoding.prompt_len(),
                branches: encoding.branches.clone(),
                first: *first as usize,
                scored,
            }
        };
        Self {
            inputs: layout.order().iter().zip(first_rows).map(of).collect(),
        }
    }

    /// The tokens to be predicted: the last tokens of each continuation ([`Branch::scored`]). `None` when
    /// there is nothing.
    ///
    /// # Panics
    ///
    /// If a continuation follows an empty prompt.
    pub fn scored(&self, device: &Device) -> Option<Scored> {
        let inputs = &self.inputs;
        let most = inputs.iter().map(|input| input.branches.len()).max()?;
        let branches = inputs.iter().flat_map(|input| &input.branches);
        let longest = branches.map(|branch| branch.scored).max()?;
        if longest == 0 {
            return None;
        }
        let (mut rows, mut ids) = (Vec::new(), Vec::new());
        let mut numbers = vec![0; inputs.len() * most * longest];
        let mut shares = vec![0.0_f32; numbers.len()];
        let mut absent = vec![MASKED; inputs.len() * most];
        for (at, input) in inputs.iter().enumerate() {
            assert!(input.prompt > 0, "a continuation of nothing");
            let mut end = input.prompt;
            ids.extend(input.scored.iter().map(|id| i64::from(*id)));
            for (place, branch) in input.branches.iter().enumerate() {
                let start = end;
                end += branch.tokens;
                let cell = at * most + place;
                absent[cell] = 0.0;
                for (number, token) in (end - branch.scored..end).enumerate() {
                    // A continuation's first token is predicted by the prompt's last.
                    let before = match token == start {
                        true => input.prompt,
                        false => token,
                    };
                    numbers[cell * longest + number] = rows.len() as i64;
                    shares[cell * longest + number] = 1.0 / branch.scored as f32;
                    rows.push((input.first + before - 1) as i64);
                }
            }
        }
        let floats = |values: Vec<f32>, shape: [usize; 2]| {
            Tensor::from_data(TensorData::new(values, shape), device)
        };
        Some(Scored {
            rows: ints(rows, device),
            ids: ints(ids, device),
            numbers: ints(numbers, device),
            shares: floats(shares, [inputs.len() * most, longest]),
            absent: floats(absent, [inputs.len(), most]),
        })
    }

    /// The last row of each input's prompt, by whose hidden state a decoder goes on, `[inputs]`.
    pub fn last_prompt_rows(&self, device: &Device) -> Tensor<1, Int> {
        let inputs = self.inputs.iter();
        let rows = inputs.map(|input| (input.first + input.prompt - 1) as i64);
        ints(rows.collect(), device)
    }

    /// For each group what to add to attention scores `[inputs, heads, length, length]`, so that a token
    /// attends to itself, to what is before it in its own continuation, and to the prompt:
    /// `[inputs or 1, 1, length, length]`. The mask of a causal language model; padding stands behind
    /// everything, where nothing attends to it.
    pub fn causal_masks(&self, groups: &[Group], device: &Device) -> Vec<Tensor<4>> {
        let mask = |group: &Group| {
            let length = group.length();
            let inputs = &self.inputs[group.inputs()];
            let alike = inputs.iter().all(|input| input.branches.len() < 2);
            let inputs = if alike { &inputs[..1] } else { inputs };
            let mut mask = vec![MASKED; inputs.len() * length * length];
            for (input, mask) in inputs.iter().zip(mask.chunks_mut(length * length)) {
                // Where the continuation of each token begins.
                let mut starts = vec![0; input.prompt];
                if !alike {
                    let mut start = input.prompt;
                    for branch in &input.branches {
                        starts.extend(std::iter::repeat_n(start, branch.tokens));
                        start += branch.tokens;
                    }
                }
                for (query, row) in mask.chunks_mut(length).enumerate() {
                    let start = starts.get(query).copied().unwrap_or(0);
                    let prompt = input.prompt.min(start);
                    row[..prompt].fill(0.0);
                    row[start..=query].fill(0.0);
                }
            }
            let shape = [inputs.len(), 1, length, length];
            Tensor::from_data(TensorData::new(mask, shape), device)
        };
        groups.iter().map(mask).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Padding, Savings};

    fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter().collect()
    }

    fn numbers(tensor: Tensor<1, Int>) -> Vec<i64> {
        tensor.into_data().iter::<i64>().collect()
    }

    fn masks(batch: &Batch) -> Vec<Tensor<4>> {
        let layout = &batch.layout;
        batch
            .continuations
            .causal_masks(layout.groups(), &layout.device())
    }

    /// Two continuations, of which the second has a token that is given, and one without.
    fn inputs() -> [Encoding; 2] {
        let first = [(&[8, 9][..], 2), (&[6, 7, 5][..], 2)];
        [
            Encoding::with_branches(&[1, 2], first),
            Encoding::with_branches(&[3, 4, 5], [(&[6][..], 1)]),
        ]
    }

    #[test]
    fn continuations_do_not_see_each_other() {
        let device = Device::flex();
        let batch = Batch::new(&inputs(), Padding::Longest, &device);
        assert_eq!(
            numbers(batch.layout.positions())[..7],
            [0, 1, 2, 3, 2, 3, 4].map(i64::from)
        );
        let [mask] = masks(&batch).try_into().unwrap();
        assert_eq!(mask.dims(), [2, 1, 7, 7]);
        let seen: Vec<String> = floats(mask)
            .chunks(7)
            .map(|row| {
                row.iter()
                    .map(|x| if *x == 0.0 { '1' } else { '0' })
                    .collect()
            })
            .collect();
        let expected = [
            "1000000", "1100000", "1110000", "1111000", "1100100", "1100110", "1100111",
        ];
        assert_eq!(seen[..7], expected);
        assert_eq!(seen[7..11], ["1000000", "1100000", "1110000", "1111000"]);
    }

    #[test]
    fn tokens_are_predicted_by_what_is_before_them() {
        let device = Device::flex();
        for padding in [Padding::Packed, Padding::Longest] {
            let savings = Savings::from(padding).without("length-groups").unwrap();
            let batch = Batch::new(&inputs(), savings, &device);
            let scored = batch.continuations.scored(&device).unwrap();
            assert_eq!(numbers(scored.ids.clone()), [8, 9, 7, 5, 6]);
            assert_eq!(numbers(scored.rows.clone()), [1, 2, 4, 5, 9]);
            let means = scored.means(Tensor::from_floats([1.0, 2.0, 4.0, 5.0, 7.0], &device));
            assert_eq!(floats(means), [1.5, 4.5, 7.0, MASKED]);
            assert_eq!(
                numbers(batch.continuations.last_prompt_rows(&device)),
                [1, 9]
            );
        }
    }

    #[test]
    fn one_continuation_needs_one_mask_for_all() {
        let device = Device::flex();
        let inputs = [
            Encoding::with_branches(&[1, 2], [(&[3][..], 1)]),
            Encoding::with_branches(&[1], []),
        ];
        let batch = Batch::new(&inputs, Padding::Longest, &device);
        let [mask] = masks(&batch).try_into().unwrap();
        let lower = [0.0, MASKED, MASKED, 0.0, 0.0, MASKED, 0.0, 0.0, 0.0];
        assert_eq!((mask.dims(), floats(mask)), ([1, 1, 3, 3], lower.to_vec()));
        let plain = Encoding::with_branches(&[1], []);
        assert!(
            Batch::new([&plain], Padding::Packed, &device)
                .continuations
                .scored(&device)
                .is_none()
        );
    }
}
