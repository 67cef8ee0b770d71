use std::path::PathBuf;

use anyhow::{Context, Result};
use beft::checkpoint::save_model;
use beft::tasks::Task;
use beft::train::epoch_order;
use beft::{Base, DataOptions, TaskData, parse_device};
use clap::Args;
use serde_json::{Map, json};

use crate::Source;

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    source: Source,
    /// Passes over the training examples.
    #[arg(long, default_value_t = 2)]
    epochs: usize,
    /// Dev examples at most.
    #[arg(long)]
    limit: Option<usize>,
    /// Folder to write.
    #[arg(long)]
    out: PathBuf,
}

/// Writes `plan.json` (texts, labels, the order of each epoch) and `model/` (with the head that
/// our side starts from).
pub(crate) fn write(args: &PlanArgs) -> Result<()> {
    let source = &args.source;
    let device = parse_device(&source.device)?;
    let task = Task::resolve(&source.task)?;
    let base = Base::open(&source.model, task.defaults.max_length, &device)?;
    let size = Some(source.train_size);
    let data = TaskData::load(
        &task,
        &source.data,
        &base,
        &DataOptions {
            train_size: size,
            limit: args.limit,
            seed: source.seed,
            ..DataOptions::default()
        },
    )?;
    let seed = u64::from(source.seed);
    let (model, _) = base.model(data.outputs(), seed)?;
    std::fs::create_dir_all(&args.out)?;
    let facts = Map::from_iter([("plan".to_owned(), json!(true))]);
    save_model(
        &args.out.join("model"),
        base.dir(),
        model.hf_class(),
        &model,
        model.names(),
        &data.labels,
        &facts,
    )?;
    let dev = data.dev.first().context("the task has no dev split")?;
    let rows = |examples: &[beft::tasks::Example]| -> Vec<_> {
        examples
            .iter()
            .map(|e| json!([e.text, e.text_pair]))
            .collect()
    };
    let plan = json!({
        "max_length": base.max_length(),
        "train": rows(&data.train_examples),
        "train_labels": data.train.targets.to_f64(),
        "dev": rows(&dev.examples),
        "dev_labels": dev.set.targets.to_f64(),
        "orders": (1..=args.epochs)
            .map(|epoch| epoch_order(data.train.len(), seed, epoch))
            .collect::<Vec<_>>(),
    });
    std::fs::write(args.out.join("plan.json"), plan.to_string())?;
    Ok(())
}
