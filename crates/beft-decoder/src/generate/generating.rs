use std::sync::Arc;

use beft_core::Encoding;
use beft_nn::{Batch, BiasSet, MASKED, Packing, ParamPath, RotaryTable, Rows, Savings};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::sampling::{Chooser, TokenLogprobs};
use super::stacked::{Biases, StackedModel};
use super::{Finish, GenerateOptions};
use crate::DecoderForCausalLM;
use crate::cache::LayerCache;
use crate::context::ForwardContext;

/// Attention weights that prompts of one pass may have for each head, unless one prompt alone has more.
const PROMPT_WEIGHTS: usize = 1 << 20;

/// A text to generate.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it follows.
    pub prompt: Vec<u32>,
    /// How to generate it.
    pub options: GenerateOptions,
    /// What it has in place of the model's own biases. Texts with the same set share its values.
    pub biases: Option<Arc<BiasSet>>,
}

/// A text that cannot be generated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is nothing to go on from.
    #[error("the prompt has no token")]
    Empty,
    /// Nothing is to be generated.
    #[error("the largest number of new tokens is 0; it must be at least 1")]
    NoTokens,
    /// The prompt takes all positions.
    #[error(
        "the prompt has {tokens} tokens (a prefix counted), and the model takes {longest} in all"
    )]
    TooLong {
        /// Tokens of prefix and prompt.
        tokens: usize,
        /// Positions that the model has.
        longest: usize,
    },
    /// A token that the model lacks.
    #[error("the prompt has the token {id}, and the model has {vocab} tokens")]
    UnknownToken {
        /// The token.
        id: u32,
        /// Number of tokens.
        vocab: usize,
    },
    /// A set of biases with something else, or of another length.
    #[error("`{0}` is no bias of this model, or has another length there")]
    NoSuchBias(ParamPath),
}

/// The number of a text, which no other text of the same [`Generating`] has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId(u64);

/// What a text got in a step.
#[derive(Clone, Debug, PartialEq)]
pub struct NewToken {
    /// The text.
    pub row: RowId,
    /// The token; `None` where the one that came ends the text, of which it is no part.
    pub token: Option<u32>,
    /// Its log probability, where the options ask for it.
    pub logprobs: Option<TokenLogprobs>,
    /// Why the text ends with this, if it does.
    pub finish: Option<Finish>,
}

/// A text in work.
#[derive(Debug)]
struct Row {
    id: RowId,
    prompt: Vec<u32>,
    biases: Biases,
    chooser: Chooser,
    /// The newest token, which the cache lacks.
    newest: u32,
    /// Number of its columns in the cache, those of a prefix among them.
    cached: usize,
    finished: bool,
}

/// Texts that are generated together, a token of each in a [`step`](Self::step). They join and leave between steps, and
/// each has its own options and biases. What a text becomes does not depend on the others.
///
/// Keys and values of all texts are in one grid for each layer, whose columns end together. A text that ends makes room
/// at once, so that a step costs as much as the texts that are in work.
#[derive(Debug)]
pub struct Generating {
    model: StackedModel,
    device: Device,
    prefix: usize,
    /// Joined since the last step.
    waiting: Vec<Row>,
    rows: Vec<Row>,
    caches: Vec<LayerCache>,
    /// Rotations of so many positions.
    rotations: Option<(usize, RotaryTable)>,
    joined: u64,
}

impl Generating {
    /// Begins with no text. On a processor the weights are brought into another order, which takes their memory once more
    /// where a copy of the model is kept.
    pub fn new(model: DecoderForCausalLM) -> Self {
        let model = model.valid().packed(Packing::F32);
        Self {
            device: model.decoder.tokens.val().device(),
            prefix: model.prefix_len(),
            caches: Vec::new(),
            model: StackedModel::new(model),
            waiting: Vec::new(),
            rows: Vec::new(),
            rotations: None,
            joined: 0,
        }
    }

    /// Adds a text. The next step computes its prompt and gives its first token. It ends by itself where the model has
    /// no more positions.
    ///
    /// # Errors
    ///
    /// When the model cannot generate it. Texts in work go on.
    pub fn join(&mut self, request: Request) -> Result<RowId, RequestError> {
        let Request {
            prompt,
            mut options,
            biases,
        } = request;
        let decoder = &self.model.model().decoder;
        let [vocab, _] = decoder.tokens.dims();
        if prompt.is_empty() {
            return Err(RequestError::Empty);
        }
        if options.max_new_tokens == 0 {
            return Err(RequestError::NoTokens);
        }
        if let Some(id) = prompt.iter().find(|id| **id as usize >= vocab) {
            return Err(RequestError::UnknownToken { id: *id, vocab });
        }
        if let Some(longest) = decoder.learned_positions() {
            let tokens = self.prefix + prompt.len();
            // The last token is never computed with, and needs no position.
            let room = (longest + 1).saturating_sub(tokens);
            if room == 0 {
                return Err(RequestError::TooLong { tokens, longest });
            }
            options.max_new_tokens = options.max_new_tokens.min(room);
        }
        let foreign = biases.as_deref().and_then(|set| self.model.foreign(set));
        if let Some(path) = foreign {
            return Err(RequestError::NoSuchBias(path.clone()));
        }
        let id = RowId(self.joined);
        self.joined += 1;
        self.waiting.push(Row {
            id,
            biases,
            newest: 0,
            cached: self.prefix + prompt.len(),
            chooser: Chooser::new(&prompt, options),
            prompt,
            finished: false,
        });
        Ok(id)
    }

    /// Takes a text out that nobody waits for any more; nothing happens where it has ended.
    pub fn leave(&mut self, id: RowId) {
        self.waiting.retain(|row| row.id != id);
        for row in self.rows.iter_mut().filter(|row| row.id == id) {
            row.finished = true;
        }
        self.drop_finished();
    }

    /// Number of texts in work.
    pub fn len(&self) -> usize {
        self.waiting.len() + self.rows.len()
    }

    /// Whether no text is in work.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Computes the next token of each text, in the order in which they joined.
    pub fn step(&mut self) -> Vec<NewToken> {
        let rows = self.rows.iter().chain(&self.waiting);
        self.model.hold(rows.map(|row| &row.biases));
        let mut tokens = Vec::with_capacity(self.len());
        if !self.rows.is_empty() {
            let scores = self.next_scores();
            tokens.extend(choose(&mut self.rows, scores));
        }
        while !self.waiting.is_empty() {
            let count = prompts_of_a_pass(&self.waiting);
            let mut rows: Vec<Row> = self.waiting.drain(..count).collect();
            let scores = self.begin(&rows);
            tokens.extend(choose(&mut rows, scores));
            self.rows.append(&mut rows);
        }
        self.drop_finished();
        tokens
    }

    /// A batch of rows, whose ids are `ids`.
    fn batch(&self, rows: &[Row], encodings: &[Encoding]) -> Batch {
        // One grid for all: the columns of the cache.
        let savings = Savings {
            length_groups: false,
            ..Savings::default()
        };
        let places: Vec<usize> = rows
            .iter()
            .map(|row| self.model.place(&row.biases))
            .collect();
        Batch::new(encodings, savings, &self.device)
            .with_biases_of_inputs(self.model.count(), &places)
    }

    /// Computes the prompts of new rows, whose keys and values it puts into the cache behind those of the others, and gives
    /// the scores of their first tokens, `[rows, vocab]`.
    fn begin(&mut self, rows: &[Row]) -> Tensor<2> {
        let prompts = rows.iter();
        let encodings: Vec<Encoding> = prompts
            .map(|row| Encoding::with_branches(&row.prompt, []))
            .collect();
        let batch = self.batch(rows, &encodings);
        let model = self.model.model();
        let mut caches = vec![LayerCache::default(); model.decoder.layers.len()];
        let last = batch.continuations.last_prompt_rows(&self.device);
        let context = model.decoder.context(&batch);
        let hidden = model.decoder.last_cached(&context, &last, &mut caches);
        let scores = model.logits(hidden, batch.stack.index(Rows::First));
        let lengths: Vec<usize> = rows.iter().map(|row| row.cached).collect();
        caches
            .iter_mut()
            .for_each(|cache| cache.move_to_end(&lengths));
        match self.caches.is_empty() {
            true => self.caches = caches,
            false => {
                let both = self.caches.iter_mut().zip(caches);
                both.for_each(|(cache, new)| cache.join(new));
            }
        }
        scores
    }

    /// Computes the newest token of each running row, and gives the scores of the next, `[rows, vocab]`.
    fn next_scores(&mut self) -> Tensor<2> {
        let rows = self.rows.iter();
        let encodings: Vec<Encoding> = rows
            .map(|row| Encoding::with_branches(&[row.newest], []))
            .collect();
        let batch = self.batch(&self.rows, &encodings);
        let columns = 1 + self.rows.iter().map(|row| row.cached).max().unwrap_or(0);
        let rotations = self.rotations_of(columns);
        let positions = self.rows.iter().map(|row| row.cached as i64);
        let positions = TensorData::new(positions.collect::<Vec<_>>(), [self.rows.len()]);
        let positions = Tensor::from_data(positions, &self.device);
        let context = ForwardContext {
            batch: &batch,
            masks: vec![column_mask(&self.rows, columns, &self.device)],
            rotary: rotations.map(|table| table.at(&positions)),
            positions,
        };
        let model = self.model.model();
        let each = Tensor::<1, Int>::arange(0..self.rows.len() as i64, &self.device);
        let hidden = model.decoder.last_cached(&context, &each, &mut self.caches);
        let scores = model.logits(hidden, batch.stack.index(Rows::First));
        self.rows.iter_mut().for_each(|row| row.cached += 1);
        scores
    }

    /// Rotations of at least so many positions.
    fn rotations_of(&mut self, positions: usize) -> Option<RotaryTable> {
        let rotary = self.model.model().decoder.rotary()?;
        if self
            .rotations
            .as_ref()
            .is_none_or(|(count, _)| *count < positions)
        {
            let count = positions.next_power_of_two();
            self.rotations = Some((count, rotary.table(count, &self.device)));
        }
        let (_, table) = self.rotations.as_ref()?;
        Some(table.clone())
    }

    /// Takes finished rows out of the cache.
    fn drop_finished(&mut self) {
        if !self.rows.iter().any(|row| row.finished) {
            return;
        }
        let rows = self.rows.iter().enumerate();
        let kept = rows.filter(|(_, row)| !row.finished);
        let kept: Vec<i64> = kept.map(|(place, _)| place as i64).collect();
        self.rows.retain(|row| !row.finished);
        if kept.is_empty() {
            self.caches.clear();
            return;
        }
        let columns = self.rows.iter().map(|row| row.cached).max().unwrap_or(0);
        let kept = TensorData::new(kept, [self.rows.len()]);
        let kept = Tensor::<1, Int>::from_data(kept, &self.device);
        self.caches
            .iter_mut()
            .for_each(|cache| cache.keep(&kept, columns));
    }
}

/// How many of the rows are computed in one pass over their prompts.
fn prompts_of_a_pass(rows: &[Row]) -> usize {
    let mut longest = 0;
    let fits = |(place, row): &(usize, &Row)| {
        longest = longest.max(row.cached);
        (place + 1) * longest * longest <= PROMPT_WEIGHTS
    };
    rows.iter().enumerate().take_while(fits).count().max(1)
}

/// The next token of each row, by the scores of all tokens.
///
/// # Shapes
///
/// - scores: `[rows, vocab]`
fn choose(rows: &mut [Row], scores: Tensor<2>) -> Vec<NewToken> {
    let chosen: Vec<(u32, Option<TokenLogprobs>)> =
        match rows.iter().all(|row| row.chooser.takes_highest()) {
            true => {
                let highest = scores.argmax(1).into_data();
                highest.iter::<i64>().map(|id| (id as u32, None)).collect()
            }
            false => {
                let [_, vocab] = scores.dims();
                let scores: Vec<f32> = scores.into_data().iter().collect();
                let of_rows = rows.iter_mut().zip(scores.chunks(vocab));
                of_rows
                    .map(|(row, scores)| row.chooser.choose(scores))
                    .collect()
            }
        };
    let take = |(row, (token, logprobs)): (&mut Row, (u32, Option<TokenLogprobs>))| {
        let options = &row.chooser.options;
        let ends = options.end.contains(&token) || options.stop.contains(&token);
        let finish = match ends {
            true => Some(Finish::Stop),
            false => (!row.chooser.add(token)).then_some(Finish::Length),
        };
        row.newest = token;
        row.finished = finish.is_some();
        NewToken {
            row: row.id,
            token: (!ends).then_some(token),
            logprobs: logprobs.filter(|_| !ends),
            finish,
        }
    };
    rows.iter_mut().zip(chosen).map(take).collect()
}

/// What to add to the scores of one new token of each row: it attends to the row's own columns, which are the last of
/// the grid.
fn column_mask(rows: &[Row], columns: usize, device: &Device) -> Tensor<4> {
    let mut mask = vec![0.0_f32; rows.len() * columns];
    for (row, mask) in rows.iter().zip(mask.chunks_mut(columns)) {
        mask[..columns - 1 - row.cached].fill(MASKED);
    }
    let shape = [rows.len(), 1, 1, columns];
    Tensor::from_data(TensorData::new(mask, shape), device)
}
