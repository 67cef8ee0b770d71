use std::path::PathBuf;

use anyhow::{Context, Result};
use beft::{Base, DataOptions, TaskData, find_task, parse_device};
use beft_checkpoint::{WholeModel, save_model};
use beft_core::{Encoding, Targets};
use beft_tasks::Task;
use beft_train::epoch_order;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::Source;

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    source: Source,
    /// Passes over the training examples.
    #[arg(long, default_value_t = 2)]
    epochs: usize,
    /// Folder to write.
    #[arg(long)]
    out: PathBuf,
}

/// Writes `plan.json` (texts, labels, the order of each epoch) and `model/` (with the head that
/// our side starts from); of a decoder the tokens of prompts and candidates instead of texts, and no model.
pub(crate) fn write(args: &PlanArgs) -> Result<()> {
    let source = &args.source;
    let device = parse_device(&source.device)?;
    let task = find_task(&source.model, &source.task, None)?;
    let base = Base::open(&source.model, task.defaults.max_length, &device)?;
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
    let seed = u64::from(source.seed);
    let orders = (1..=args.epochs)
        .map(|epoch| epoch_order(data.train.len(), seed, epoch))
        .collect::<Vec<_>>();
    if let Task::Prompted(_) = task {
        std::fs::create_dir_all(&args.out)?;
        let scored = data
            .dev
            .iter()
            .filter_map(|dev| Some((dev, dev.inputs.targets()?)));
        let dev = scored.flat_map(|(dev, targets)| prompts(dev.inputs.encodings(), targets));
        let plan = json!({
            "learning_rate": task.defaults.learning_rate,
            "batch_size": task.defaults.batch_size,
            "orders": orders,
            "train": prompts(&data.train.encodings, &data.train.targets),
            "dev": dev.collect::<Vec<_>>(),
        });
        std::fs::write(args.out.join("plan.json"), plan.to_string())?;
        return Ok(());
    }
    let (model, _) = base.model(data.outputs.count(), seed)?;
    std::fs::create_dir_all(&args.out)?;
    let facts = Map::from_iter([("plan".to_owned(), json!(true))]);
    save_model(
        &args.out.join("model"),
        &WholeModel {
            base: base.dir(),
            class: &model.hf_class(),
            module: &model,
            table: model.names(),
            outputs: &data.outputs,
            facts: &facts,
            config: Map::new(),
            added: Vec::new(),
            zeros: Vec::new(),
        },
    )?;
    let dev = data.dev.first().context("the task has no dev split")?;
    let rows = |examples: &[beft_tasks::Example]| -> Vec<_> {
        examples
            .iter()
            .map(|e| json!([e.text, e.text_pair]))
            .collect()
    };
    let plan = json!({
        "max_length": base.max_length(),
        "train": rows(&data.train_examples),
        "train_labels": data.train.targets.truths(),
        "dev": rows(&dev.examples),
        "dev_labels": dev.inputs.targets().map(Targets::truths),
        "orders": orders,
    });
    std::fs::write(args.out.join("plan.json"), plan.to_string())?;
    Ok(())
}

/// Token ids of each prompt and of what follows it, how many of those count, and which is right.
fn prompts(encodings: &[Encoding], targets: &Targets) -> Vec<Value> {
    let examples = encodings.iter().zip(targets.truths());
    examples
        .map(|(encoding, right)| {
            let (prompt, mut rest) = encoding.ids.split_at(encoding.prompt_len());
            let branches = encoding.branches.iter().map(|branch| {
                let (own, others) = rest.split_at(branch.tokens);
                rest = others;
                json!({"ids": own, "scored": branch.scored})
            });
            json!({"prompt": prompt, "branches": branches.collect::<Vec<_>>(), "right": right})
        })
        .collect()
}
