use std::io::stdin;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use beft::{
    Base, Error, OpenOptions, Prompt, TextDelta, TextGenerator, TextLogprobs, TextOptions,
    open_tuned, parse_device,
};
use beft_decoder::{Finish, Sampling};
use serde_json::{Map, Value, json};

use super::fetch_base;
use crate::args::{GenerateArgs, TextFormat};
use crate::output::{finish, say, tell, write_now};

pub(crate) fn generate(args: &GenerateArgs) -> Result<()> {
    let options = text_options(args)?;
    let device = parse_device(&args.device)?;
    let (model, adapter) = (args.model.as_deref(), args.adapter.as_deref());
    fetch_base(model, adapter)?;
    let opened = open_tuned(&OpenOptions {
        model,
        adapter,
        device: Some(&device),
        precision: args.precision,
        ..OpenOptions::default()
    });
    // An encoder without a head: what it lacks is not the head.
    if let (Err(Error::NoHead { .. }), Some(model)) = (&opened, model) {
        Base::open(model, None, &device)?.generation()?;
    }
    let tuned = opened?;
    tuned.notes.iter().for_each(|note| tell!("{note}"));
    // An encoder's folder says that it generates nothing.
    tuned.base.generation()?;
    let Some(model) = Arc::unwrap_or_clone(tuned.model).into_generator() else {
        let name =
            adapter.map_or_else(|| tuned.base.name().to_owned(), |a| a.display().to_string());
        bail!("{name}: it has a head for a task, and writes no text: use it with `beft predict`");
    };
    // What is written with is in another order, and needs no second copy.
    tuned.base.release();
    let mut generator = TextGenerator::new(&tuned.base, model)?;
    // That tokens are drawn is no news to who asks for it.
    generator
        .notes(&options.sampling)
        .for_each(|note| tell!("{note}"));
    if let Some(prompt) = &args.prompt {
        complete(args, &mut generator, &options, prompt)?;
        return Ok(());
    }
    for (number, line) in stdin().lines().enumerate() {
        let at = || format!("standard input, line {}", number + 1);
        let line = line.with_context(at)?;
        let read_on = complete(args, &mut generator, &options, &line).with_context(at)?;
        finish()?;
        if !read_on {
            break;
        }
    }
    Ok(())
}

fn text_options(args: &GenerateArgs) -> Result<TextOptions> {
    let sampling = Sampling::new(args.temperature, args.top_k, args.top_p, args.seed)?;
    match (&sampling, args.format) {
        (Sampling::Greedy, _) if args.n > 1 => {
            bail!(
                "{} continuations would all be the most probable one: give --temperature, for example 0.8",
                args.n
            )
        }
        (_, TextFormat::Text) if args.logprobs.is_some() => {
            bail!("--logprobs needs --format jsonl")
        }
        _ => Ok(TextOptions {
            max_new_tokens: args.max_new_tokens as usize,
            sampling,
            stop: args.stop.clone(),
            logprobs: args.logprobs,
            biases: None,
        }),
    }
}

/// A continuation, as far as it came.
#[derive(Default)]
struct Continuation {
    text: String,
    tokens: Vec<u32>,
    logprobs: Vec<TextLogprobs>,
    finish: Option<Finish>,
}

impl Continuation {
    fn add(&mut self, delta: TextDelta) {
        self.text.push_str(&delta.text);
        self.finish = delta.finish;
        if let Some(token) = delta.token {
            self.tokens.push(token.id);
            self.logprobs.extend(token.logprobs);
        }
    }
}

/// Generates texts from a prompt and prints them; whether anyone still reads.
fn complete(
    args: &GenerateArgs,
    generator: &mut TextGenerator<'_>,
    options: &TextOptions,
    text: &str,
) -> Result<bool> {
    let prompt = generator.prompt(text)?;
    if prompt.unknown {
        tell!(
            "note: the model's tokenizer knows no part of the prompt {text:?}: the model reads unknown tokens only"
        );
    }
    let mut rows = Vec::new();
    for number in 0..args.n as usize {
        let sampling = options.sampling.clone().of_continuation(number);
        rows.push(generator.join(
            &prompt,
            &TextOptions {
                sampling,
                ..options.clone()
            },
        )?);
    }
    let mut continuations = Vec::new();
    continuations.resize_with(rows.len(), Continuation::default);
    let mut screen = Screen::default();
    let mut read = true;
    while read && !generator.is_empty() {
        read = match args.format {
            TextFormat::Text => screen.show(&prompt, &continuations),
            TextFormat::Jsonl => true,
        };
        for delta in generator.step()? {
            if let Some(number) = rows.iter().position(|row| *row == delta.row) {
                continuations[number].add(delta);
            }
        }
    }
    match args.format {
        TextFormat::Text => Ok(read && screen.show(&prompt, &continuations)),
        TextFormat::Jsonl => {
            for (index, continuation) in continuations.iter().enumerate() {
                say!(
                    "{}",
                    Value::from(row(text, index, continuation, args.logprobs))
                );
            }
            Ok(true)
        }
    }
}

/// What is printed of the texts of a prompt, of which one at a time grows.
#[derive(Default)]
struct Screen {
    /// The number of the text that grows.
    number: usize,
    /// How much of it is there, once its prompt is.
    shown: Option<usize>,
}

impl Screen {
    /// Prints what came since; whether anyone still reads.
    fn show(&mut self, prompt: &Prompt, continuations: &[Continuation]) -> bool {
        let mut new = String::new();
        while let Some(continuation) = continuations.get(self.number) {
            if self.shown.is_none() {
                new.push_str(&prompt.text);
            }
            let text = &continuation.text;
            new.push_str(&text[self.shown.unwrap_or(0)..]);
            self.shown = Some(text.len());
            if continuation.finish.is_none() {
                break;
            }
            new.push('\n');
            (self.number, self.shown) = (self.number + 1, None);
        }
        new.is_empty() || write_now(new.as_bytes())
    }
}

/// A text as a row of JSON. Its log probabilities are laid out as in OpenAI's completions.
fn row(
    prompt: &str,
    index: usize,
    continuation: &Continuation,
    logprobs: Option<usize>,
) -> Map<String, Value> {
    let reason = continuation.finish.map(Finish::reason);
    let mut row = Map::new();
    row.insert("prompt".to_owned(), prompt.into());
    row.insert("index".to_owned(), index.into());
    row.insert("text".to_owned(), continuation.text.as_str().into());
    row.insert("finish_reason".to_owned(), reason.into());
    row.insert("tokens".to_owned(), continuation.tokens.clone().into());
    if logprobs.is_some() {
        let of = |value: fn(&TextLogprobs) -> Value| -> Vec<Value> {
            continuation.logprobs.iter().map(value).collect()
        };
        let top = |token: &TextLogprobs| {
            let top = token.top.iter();
            top.map(|(text, logprob)| (text.clone(), (*logprob).into()))
                .collect::<Map<_, _>>()
                .into()
        };
        let logprobs = json!({
            "tokens": of(|token| token.text.as_str().into()),
            "token_logprobs": of(|token| token.logprob.into()),
            "top_logprobs": of(top),
            "text_offset": of(|token| token.offset.into()),
        });
        row.insert("logprobs".to_owned(), logprobs);
    }
    row
}
