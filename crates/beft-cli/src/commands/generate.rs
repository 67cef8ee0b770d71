use std::io::stdin;

use anyhow::{Context, Result, bail};
use beft::{OpenOptions, Tuned, open_tuned, parse_device};
use beft_decoder::{DecoderForCausalLM, GenerationSettings};

use super::fetch_base;
use crate::args::GenerateArgs;
use crate::output::{finish, say, tell};

pub(crate) fn generate(args: &GenerateArgs) -> Result<()> {
    let device = parse_device(&args.device)?;
    let (model, adapter) = (args.model.as_deref(), args.adapter.as_deref());
    fetch_base(model, adapter)?;
    let tuned = open_tuned(&OpenOptions {
        model,
        adapter,
        device: Some(&device),
        precision: args.precision,
        ..OpenOptions::default()
    })?;
    tuned.notes.iter().for_each(|note| tell!("{note}"));
    let settings = tuned.base.generation()?;
    let Some(model) = tuned.model.generator() else {
        let name =
            adapter.map_or_else(|| tuned.base.name().to_owned(), |a| a.display().to_string());
        bail!("{name}: it has a head for a task, and writes no text: use it with `beft predict`");
    };
    settings.notes.iter().for_each(|note| tell!("{note}"));
    if let Some(prompt) = &args.prompt {
        return complete(args, &tuned, model, &settings, prompt);
    }
    for line in stdin().lines() {
        let line = line.context("cannot read standard input")?;
        complete(args, &tuned, model, &settings, &line)?;
        finish()?;
    }
    Ok(())
}

/// Generates text from a prompt and prints both.
fn complete(
    args: &GenerateArgs,
    tuned: &Tuned,
    model: &DecoderForCausalLM,
    settings: &GenerationSettings,
    prompt: &str,
) -> Result<()> {
    let longest = tuned.base.config().longest_input();
    let tokenizer = tuned.base.tokenizer();
    let mut ids = tokenizer.encode_ids([prompt])?.remove(0);
    if !prompt.is_empty() && tokenizer.knows_none(&ids) {
        tell!(
            "note: the model's tokenizer knows no part of the prompt {prompt:?}: the model reads unknown tokens only"
        );
    }
    if ids.is_empty() {
        ids.push(
            settings
                .start
                .context("give a prompt: the model has no token to begin a text with")?,
        );
    }
    let taken = model.prefix_len() + ids.len();
    let room = longest.saturating_sub(taken);
    if room == 0 {
        bail!(
            "the prompt has {taken} tokens (a prefix counted), and the model takes {longest} in all"
        );
    }
    let options = settings.options(room.min(args.max_new_tokens as usize));
    let new = model.generate(std::slice::from_ref(&ids), &options, |_, _| ());
    say!("{}", tokenizer.decode(&[ids, new.concat()].concat())?);
    Ok(())
}
