use std::collections::BTreeSet;

use beft_core::Encoding;
use beft_nn::{Batch, MASKED, Savings};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::DecoderForCausalLM;
use crate::cache::LayerCache;
use crate::context::ForwardContext;

/// How to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// Tokens to generate at most.
    pub max_new_tokens: usize,
    /// The model's own tokens that end a text; the one that did is not part of the result.
    pub end: Vec<u32>,
    /// Further tokens that end a text, likewise.
    pub stop: Vec<u32>,
    /// Scores of tokens that the prompt or the new text has already are divided by this where they are positive,
    /// else multiplied; 1 for no change.
    pub repetition_penalty: f32,
    /// A text does not end before prompt and new tokens together are so many.
    pub min_length: usize,
    /// A text does not end before so many new tokens.
    pub min_new_tokens: usize,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_new_tokens: 0,
            end: Vec::new(),
            stop: Vec::new(),
            repetition_penalty: 1.0,
            min_length: 0,
            min_new_tokens: 0,
        }
    }
}

impl GenerateOptions {
    /// The tokens that must not follow a prompt of so many tokens and so many new ones.
    fn forbidden(&self, prompt: usize, made: usize) -> &[u32] {
        match made < self.min_new_tokens || prompt + made < self.min_length {
            true => &self.end,
            false => &[],
        }
    }

    /// The next token of each prompt, behind what was generated so far: the most probable one.
    fn next(
        &self,
        logits: Tensor<2>,
        prompts: &[Vec<u32>],
        texts: &[Vec<u32>],
        made: usize,
    ) -> Vec<u32> {
        let shortest = prompts.iter().map(Vec::len).min().unwrap_or(0);
        if self.repetition_penalty == 1.0 && self.forbidden(shortest, made).is_empty() {
            return best(logits);
        }
        // Scores of single tokens change: on the host.
        let [_, width] = logits.dims();
        let mut all: Vec<f32> = logits.into_data().iter().collect();
        let rows = all.chunks_mut(width.max(1)).zip(prompts).zip(texts);
        rows.map(|((scores, prompt), text)| {
            let seen: BTreeSet<u32> = prompt.iter().chain(text).copied().collect();
            for id in seen {
                if let Some(score) = scores.get_mut(id as usize) {
                    *score = match *score < 0.0 {
                        true => *score * self.repetition_penalty,
                        false => *score / self.repetition_penalty,
                    };
                }
            }
            for id in self.forbidden(prompt.len(), made) {
                if let Some(score) = scores.get_mut(*id as usize) {
                    *score = f32::NEG_INFINITY;
                }
            }
            let first_best = |best: usize, index: usize| match scores[index] > scores[best] {
                true => index,
                false => best,
            };
            (0..scores.len()).fold(0, first_best) as u32
        })
        .collect()
    }
}

impl DecoderForCausalLM {
    /// The most probable continuation of each prompt, token by token (greedy), by one pass over the prompts
    /// and one for each token of all; keys and values are kept. `on_token` is told the number of the prompt
    /// and each of its tokens as it comes.
    ///
    /// # Panics
    ///
    /// If a prompt is empty.
    pub fn generate(
        &self,
        prompts: &[Vec<u32>],
        options: &GenerateOptions,
        mut on_token: impl FnMut(usize, u32),
    ) -> Vec<Vec<u32>> {
        let mut texts = vec![Vec::new(); prompts.len()];
        if prompts.is_empty() || options.max_new_tokens == 0 {
            return texts;
        }
        let model = self.valid();
        let device = model.decoder.tokens.val().device();
        // One grid for all: the columns of the cache.
        let savings = Savings {
            length_groups: false,
            ..Savings::default()
        };
        let encodings: Vec<Encoding> = prompts
            .iter()
            .map(|ids| Encoding::with_branches(ids, []))
            .collect();
        let batch = Batch::new(&encodings, savings, &device);
        let mut cache = vec![LayerCache::default(); model.decoder.layers.len()];
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let prefix = model.decoder.prefix_len();
        let table = model
            .decoder
            .rotary()
            .map(|rotary| rotary.table(prefix + longest + options.max_new_tokens, &device));
        let context = model.decoder.context(&batch);
        let rows = batch.continuations.last_prompt_rows(&device);
        let hidden = model.decoder.last_cached(&context, &rows, &mut cache);
        let mut next = options.next(model.logits(hidden, None), prompts, &texts, 0);

        let each = Tensor::<1, Int>::arange(0..prompts.len() as i64, &device);
        let mut running = vec![true; prompts.len()];
        for made in 0.. {
            for (index, token) in next.iter().enumerate() {
                let ends = options.end.contains(token) || options.stop.contains(token);
                running[index] &= !ends;
                if running[index] {
                    texts[index].push(*token);
                    on_token(index, *token);
                }
            }
            if made + 1 == options.max_new_tokens || !running.contains(&true) {
                break;
            }
            let encodings: Vec<Encoding> = next
                .iter()
                .map(|id| Encoding::with_branches(&[*id], []))
                .collect();
            let batch = Batch::new(&encodings, savings, &device);
            let positions = prompts.iter().map(|ids| (prefix + ids.len() + made) as i64);
            let positions = TensorData::new(positions.collect::<Vec<_>>(), [prompts.len()]);
            let positions = Tensor::from_data(positions, &device);
            let context = ForwardContext {
                batch: &batch,
                masks: vec![column_mask(prompts, prefix, longest, made + 1, &device)],
                rotary: table.as_ref().map(|table| table.at(&positions)),
                positions,
            };
            debug_assert_eq!(cache[0].columns(), prefix + longest + made);
            let hidden = model.decoder.last_cached(&context, &each, &mut cache);
            next = options.next(model.logits(hidden, None), prompts, &texts, made + 1);
        }
        texts
    }
}

/// The most probable token of each row; of equals the first.
fn best(logits: Tensor<2>) -> Vec<u32> {
    let best = logits.argmax(1).into_data();
    best.iter::<i64>().map(|id| id as u32).collect()
}

/// What to add to the scores of one new token of each prompt: it attends to a prefix, to its own prompt,
/// behind which shorter ones are padded, and to what was generated.
fn column_mask(
    prompts: &[Vec<u32>],
    prefix: usize,
    longest: usize,
    generated: usize,
    device: &Device,
) -> Tensor<4> {
    let columns = prefix + longest + generated;
    let mut mask = vec![0.0_f32; prompts.len() * columns];
    for (prompt, row) in prompts.iter().zip(mask.chunks_mut(columns)) {
        row[prefix + prompt.len()..prefix + longest].fill(MASKED);
    }
    let shape = [prompts.len(), 1, 1, columns];
    Tensor::from_data(TensorData::new(mask, shape), device)
}
