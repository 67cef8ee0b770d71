use std::fs::File;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use beft::{Base, parse_device};
use beft_decoder::GenerateOptions;
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Model folder.
    #[arg(long)]
    model: String,
    /// What to compute on.
    #[arg(long, default_value = "flex")]
    device: String,
    /// A JSON file: a list of token ids for each prompt.
    #[arg(long)]
    prompts: PathBuf,
    /// New tokens of each prompt.
    #[arg(long)]
    tokens: usize,
    /// How often; the fastest counts.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
}

/// Prints the new tokens of each prompt, and the seconds of the fastest round, without loading.
pub(crate) fn run(args: &GenerateArgs) -> Result<()> {
    let path = args.prompts.display();
    let file = File::open(&args.prompts).with_context(|| path.to_string())?;
    let prompts: Vec<Vec<u32>> = serde_json::from_reader(file).with_context(|| path.to_string())?;
    let base = Base::open(&args.model, None, &parse_device(&args.device)?)?;
    let (model, _) = base.model(0, 0)?;
    let model = model.generator().context("the model is no decoder")?;
    let options = GenerateOptions {
        max_new_tokens: args.tokens,
        ..GenerateOptions::default()
    };
    let mut fastest = f64::INFINITY;
    let mut texts = Vec::new();
    for _ in 0..args.rounds {
        let begin = Instant::now();
        texts = model.generate(&prompts, &options, |_, _| {});
        fastest = fastest.min(begin.elapsed().as_secs_f64());
    }
    println!("{}", json!({ "seconds": fastest, "tokens": texts }));
    Ok(())
}
