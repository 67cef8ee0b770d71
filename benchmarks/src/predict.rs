use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use beft::{InferencePrecision, OpenOptions, Predictor, parse_device};
use beft_eval::predict;
use beft_nn::Savings;
use beft_tasks::TaskInput;
use clap::Args;
use serde_json::json;

use crate::read_json;

/// Inputs that are computed at a time, as `beft predict` does.
const BATCH: usize = 64;

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Folder of a model with a head.
    #[arg(long)]
    model: String,
    /// What to compute on.
    #[arg(long, default_value = "flex")]
    device: String,
    /// What the frozen matrices are kept in.
    #[arg(long, default_value_t)]
    precision: InferencePrecision,
    /// A JSON file: a list of texts.
    #[arg(long)]
    texts: PathBuf,
    /// How often; the fastest counts.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

/// Prints the logits of texts and the seconds of the fastest round, tokenising counted and loading not.
pub(crate) fn run(args: &PredictArgs) -> Result<()> {
    let texts: Vec<String> = read_json(&args.texts)?;
    let inputs: Vec<TaskInput> = texts.iter().map(|text| text.as_str().into()).collect();
    let inputs: Vec<&TaskInput> = inputs.iter().collect();
    let device = parse_device(&args.device)?;
    let predictor = Predictor::open(&OpenOptions {
        model: Some(&args.model),
        task: Some("text"),
        device: Some(&device),
        precision: Some(args.precision),
        max_length: Some(128),
        ..OpenOptions::default()
    })?;
    let model = &*predictor.tuned().model;
    let mut fastest = f64::INFINITY;
    let mut logits = Vec::new();
    for _ in 0..args.rounds {
        let begin = Instant::now();
        let prepared = predictor.prepare(&inputs)?;
        logits = predict(
            model,
            prepared.encodings(),
            BATCH,
            Savings::default(),
            |_| (),
        );
        fastest = fastest.min(begin.elapsed().as_secs_f64());
    }
    println!("{}", json!({ "seconds": fastest, "logits": logits }));
    Ok(())
}
