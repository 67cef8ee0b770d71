use std::time::Instant;

use anyhow::{Context, Result, bail};
use beft::{Base, DataOptions, TaskData, find_task, parse_device, protocol, tune};
use beft_modes::Mode;
use beft_nn::{ForwardPrecision, Savings};
use beft_train::{Event, TrainSettings};
use clap::Args;
use serde_json::json;

use crate::Source;

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    source: Source,
    /// What to train beside the head.
    #[arg(long, default_value = "v")]
    terms: Mode,
    #[arg(long, default_value_t = 2)]
    epochs: usize,
    #[arg(long, default_value_t = 4e-4)]
    lr: f64,
    #[arg(long, default_value_t = 16)]
    batch_size: usize,
    /// Switch dropout off, to compare losses.
    #[arg(long)]
    no_dropout: bool,
    /// What the frozen matrices are multiplied in, forward.
    #[arg(long, default_value_t)]
    forward: ForwardPrecision,
    /// Savings to do without.
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
}

/// Trains, evaluating after each epoch, and prints what it took. The time is that of tokenising,
/// training and evaluating; loading the weights is told apart.
pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    let source = &args.source;
    let device = parse_device(&source.device)?;
    let task = find_task(&source.model, &source.task, None)?;
    let begin = Instant::now();
    let base = Base::open(&source.model, task.defaults.max_length, &device)?;
    let opened = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    let size = Some(source.train_size);
    let data = TaskData::load(
        &task,
        &source.data,
        &base,
        &DataOptions {
            train_size: size,
            limit: source.limit,
            seed: source.seed,
            ..DataOptions::default()
        },
    )?;
    let read = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    base.model(data.outputs.count(), u64::from(source.seed))?;
    let load = opened + begin.elapsed().as_secs_f64();
    let mut savings = Savings::default();
    for name in &args.without {
        savings = savings
            .without(name)
            .with_context(|| format!("unknown saving `{name}`"))?;
    }
    let settings = TrainSettings {
        learning_rate: args.lr,
        epochs: args.epochs,
        batch_size: args.batch_size,
        savings,
        forward: args.forward,
        dropout: !args.no_dropout,
        ..protocol(&task, &args.terms, &base, source.seed)
    };
    let begin = Instant::now();
    let (mut losses, mut evaluating, mut last) = (Vec::new(), 0.0, Instant::now());
    let outcome = tune(&base, &data, &args.terms, &settings, |event| {
        match event {
            Event::Step { loss, .. } => losses.push(loss),
            Event::Epoch(_) => evaluating += last.elapsed().as_secs_f64(),
            Event::Started { .. } | Event::Keeping { .. } => {}
        }
        last = Instant::now();
    })?;
    if let Some(failure) = outcome.failure {
        bail!("training diverged: {failure}");
    }
    let tuning = begin.elapsed().as_secs_f64();
    let result = json!({
        "losses": losses,
        "metrics": outcome.metrics(),
        "load_seconds": load,
        "read_seconds": read,
        "train_seconds": tuning - evaluating,
        "eval_seconds": evaluating,
        "seconds": read + tuning,
        "peak_bytes": peak_bytes(),
        "tokens": data.train.encodings.iter().map(|e| e.len()).sum::<usize>() * args.epochs,
    });
    println!("{result}");
    Ok(())
}

/// The largest resident size of this process so far (Linux; elsewhere 0).
pub(crate) fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
