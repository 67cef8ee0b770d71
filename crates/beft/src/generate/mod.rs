//! From prompts to texts that come token by token.

mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;

use beft_decoder::{
    DecoderForCausalLM, Finish, Generating, GenerationSettings, NewToken, Request, RequestError,
    RowId, Sampling, TokenLogprobs,
};
use beft_nn::BiasSet;

pub use stream::TextStream;

use crate::{Base, Error};

/// What a text follows.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Its tokens, at least one.
    pub ids: Vec<u32>,
    /// What the model reads, as text: without special tokens.
    pub text: String,
    /// Whether it is a text of which the tokenizer knows no part.
    pub unknown: bool,
}

/// How a text goes on from its prompt, apart from what the model folder says.
#[derive(Clone, Debug)]
pub struct TextOptions {
    /// Tokens to generate at most. A text also ends where the model takes no more.
    pub max_new_tokens: usize,
    /// How each token is chosen.
    pub sampling: Sampling,
    /// The text ends before the first of these.
    pub stop: Vec<String>,
    /// Whether to tell each token's log probability, and for how many of the most probable tokens in its place.
    pub logprobs: Option<usize>,
    /// What it has in place of the model's own biases.
    pub biases: Option<Arc<BiasSet>>,
}

/// What a text got in a step.
#[derive(Clone, Debug, PartialEq)]
pub struct TextDelta {
    /// The text.
    pub row: RowId,
    /// What it goes on with; often empty, as tokens may be parts of characters, or of a text to stop at.
    pub text: String,
    /// The token; `None` where the one that came ends the text, of which it is no part.
    pub token: Option<TextToken>,
    /// Why the text ends with this, if it does.
    pub finish: Option<Finish>,
}

/// A token of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct TextToken {
    /// Its number.
    pub id: u32,
    /// Its log probability, where the options ask for it.
    pub logprobs: Option<TextLogprobs>,
}

/// The log probability of a token and of others in its place, with their texts.
#[derive(Clone, Debug, PartialEq)]
pub struct TextLogprobs {
    /// The token's text. Bytes that are no whole character are U+FFFD.
    pub text: String,
    /// Where it begins in the new text, in characters.
    pub offset: usize,
    /// Natural logarithm.
    pub logprob: f32,
    /// The most probable tokens, with the best first.
    pub top: Vec<(String, f32)>,
}

/// Texts that a model writes together, each from a prompt, as [`Generating`] says.
///
/// ```no_run
/// use beft::{Base, TextGenerator, TextOptions, parse_device};
/// use beft_decoder::Sampling;
///
/// # fn main() -> Result<(), beft::Error> {
/// let base = Base::open("models/opt-125m", None, &parse_device("flex")?)?;
/// let (model, _) = base.model(0, 0)?;
/// let model = model.into_generator().expect("a decoder");
/// let mut generator = TextGenerator::new(&base, model)?;
/// let prompt = generator.prompt("Once upon a time")?;
/// let options = TextOptions {
///     max_new_tokens: 50,
///     sampling: Sampling::new(0.8, None, 0.95, 0)?,
///     stop: vec!["\n".to_owned()],
///     logprobs: None,
///     biases: None,
/// };
/// generator.join(&prompt, &options)?;
/// while !generator.is_empty() {
///     for delta in generator.step()? {
///         print!("{}", delta.text);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TextGenerator<'a> {
    base: &'a Base,
    settings: GenerationSettings,
    prefix: usize,
    generating: Generating,
    streams: BTreeMap<RowId, TextStream>,
}

impl<'a> TextGenerator<'a> {
    /// Begins with no text. The `model` is the base's, or one that was tuned from it.
    ///
    /// # Errors
    ///
    /// When the model folder says something about generating that is not implemented.
    pub fn new(base: &'a Base, model: DecoderForCausalLM) -> Result<Self, Error> {
        Ok(Self {
            base,
            settings: base.generation()?,
            prefix: model.prefix_len(),
            generating: Generating::new(model),
            streams: BTreeMap::new(),
        })
    }

    /// What the user should hear about the model folder, where tokens are chosen so.
    pub fn notes(&self, sampling: &Sampling) -> impl Iterator<Item = &str> {
        let greedy = match sampling {
            Sampling::Greedy => self.settings.greedy_note.as_deref(),
            Sampling::Random { .. } => None,
        };
        let notes = self.settings.notes.iter().map(String::as_str);
        notes.chain(greedy)
    }

    /// The tokens of a prompt. An empty one is the token that begins a text.
    ///
    /// # Errors
    ///
    /// When tokenising fails, or the prompt is empty and the model has no such token.
    pub fn prompt(&self, text: &str) -> Result<Prompt, Error> {
        let tokenizer = self.base.tokenizer();
        let mut ids = tokenizer.encode_ids([text])?.remove(0);
        let unknown = !text.is_empty() && tokenizer.knows_none(&ids);
        if ids.is_empty() {
            let start = self.settings.start;
            ids.push(start.ok_or_else(|| Error::NoStart {
                model: self.base.name().to_owned(),
            })?);
        }
        Ok(Prompt {
            unknown,
            ..self.prompt_of_tokens(ids)?
        })
    }

    /// A prompt that is given in tokens.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn prompt_of_tokens(&self, ids: Vec<u32>) -> Result<Prompt, Error> {
        Ok(Prompt {
            text: self.base.tokenizer().decode(&ids)?,
            ids,
            unknown: false,
        })
    }

    /// Adds a text. The next step gives its first token.
    ///
    /// # Errors
    ///
    /// When the prompt leaves no room, and as [`Generating::join`]. Texts in work go on.
    pub fn join(&mut self, prompt: &Prompt, options: &TextOptions) -> Result<RowId, Error> {
        let longest = self.base.config().longest_input();
        let tokens = self.prefix + prompt.ids.len();
        let room = longest.saturating_sub(tokens);
        if room == 0 {
            return Err(RequestError::TooLong { tokens, longest }.into());
        }
        let mut own = self.settings.options(room.min(options.max_new_tokens));
        own.sampling = options.sampling.clone();
        own.logprobs = options.logprobs;
        let row = self.generating.join(Request {
            prompt: prompt.ids.clone(),
            options: own,
            biases: options.biases.clone(),
        })?;
        let stream = TextStream::new(&prompt.ids, options.stop.iter().cloned());
        self.streams.insert(row, stream);
        Ok(row)
    }

    /// Takes a text out that nobody waits for any more; nothing happens where it has ended.
    pub fn leave(&mut self, row: RowId) {
        self.streams.remove(&row);
        self.generating.leave(row);
    }

    /// Number of texts in work.
    pub fn len(&self) -> usize {
        self.generating.len()
    }

    /// Whether no text is in work.
    pub fn is_empty(&self) -> bool {
        self.generating.is_empty()
    }

    /// Computes the next token of each text, in the order in which they joined.
    ///
    /// # Errors
    ///
    /// When the tokenizer fails.
    pub fn step(&mut self) -> Result<Vec<TextDelta>, Error> {
        let tokens = self.generating.step();
        tokens
            .into_iter()
            .filter_map(|token| self.written(token).transpose())
            .collect()
    }

    /// The text of a token; `None` for one of a text that has left.
    fn written(&mut self, new: NewToken) -> Result<Option<TextDelta>, Error> {
        let tokenizer = self.base.tokenizer();
        let Some(stream) = self.streams.get_mut(&new.row) else {
            return Ok(None);
        };
        let mut delta = TextDelta {
            row: new.row,
            text: String::new(),
            token: None,
            finish: new.finish,
        };
        if let Some(id) = new.token {
            let with_texts = |found: TokenLogprobs| {
                let top = found.top.into_iter();
                let top = top.map(|(id, logprob)| Ok((stream.text_of(tokenizer, id)?, logprob)));
                Ok::<_, Error>(TextLogprobs {
                    text: stream.text_of(tokenizer, id)?,
                    offset: stream.characters(),
                    logprob: found.logprob,
                    top: top.collect::<Result<_, Error>>()?,
                })
            };
            let logprobs = new.logprobs.map(with_texts).transpose()?;
            delta.token = Some(TextToken { id, logprobs });
            delta.text = stream.push(tokenizer, id)?;
        }
        if stream.has_stopped() {
            delta.finish = Some(Finish::Stop);
        } else if delta.finish.is_some() {
            delta.text.push_str(&stream.finish(tokenizer)?);
        }
        if delta.finish.is_some() {
            self.leave(new.row);
        }
        Ok(Some(delta))
    }
}
