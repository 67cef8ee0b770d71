use std::path::Path;

use anyhow::{Result, bail};
use beft::{Evaluation, PromptOptions, Tuned, evaluate_prompts, metric_suffix, write_json};
use beft_modes::Asked;
use beft_tasks::{Dataset, LabelledTask, PromptTask, Split, Task};
use beft_train::Metrics;
use serde_json::json;

use super::open_predictor;
use crate::args::EvalArgs;
use crate::output::{check_file, say, tell};
use crate::progress::{Progress, metrics};

pub(crate) fn eval(args: &EvalArgs) -> Result<()> {
    let out = args.out.as_ref();
    let mut inputs: Vec<&Path> = vec![&args.data];
    inputs.extend(args.tuned.adapter.as_deref());
    let _made = out.map(|out| check_file(out, &inputs)).transpose()?;
    let predictor = open_predictor(&args.tuned)?;
    let (tuned, task) = (predictor.tuned(), predictor.task());
    match task {
        Task::Labelled(labelled) => eval_texts(args, tuned, labelled, task),
        Task::Prompted(prompted) => eval_prompts(args, tuned, prompted, task),
    }
}

/// Evaluates an encoder on labelled texts.
fn eval_texts(args: &EvalArgs, tuned: &Tuned, labelled: &LabelledTask, task: &Task) -> Result<()> {
    for (given, flag) in [(args.shots > 0, "--shots"), (args.calibrate, "--calibrate")] {
        if given {
            bail!(
                "{flag} is for decoders, and {} is an encoder",
                tuned.base.name()
            );
        }
    }
    let labels = tuned.outputs.classes();
    // MNLI has two dev splits, everything else one.
    let mut data: Vec<(&str, Dataset)> = Vec::new();
    if args.data.is_dir() {
        for split in labelled.dev_splits() {
            data.push((
                metric_suffix(*split),
                labelled.load(&args.data, *split, labels)?,
            ));
        }
    } else {
        data.push(("", labelled.load_file(&args.data, labels)?));
    }
    if let Some(limit) = args.limit {
        let most = limit as usize;
        data.iter_mut().for_each(|(_, d)| d.examples.truncate(most));
    }
    let mut all = Metrics::new();
    let mut notes = Vec::new();
    let mut examples = 0;
    for (suffix, data) in &data {
        tell_skipped(&data.path, &data.skipped);
        let result = beft::evaluate(tuned, labelled, data)?;
        notes.extend(result.notes);
        let named = result.metrics.into_iter();
        all.extend(named.map(|(name, value)| (format!("{name}{suffix}"), value)));
        examples += result.examples;
    }
    let files: Vec<String> = data
        .iter()
        .map(|(_, d)| d.path.display().to_string())
        .collect();
    report(
        args,
        tuned,
        task,
        &files.join(", "),
        &Evaluation {
            metrics: all,
            examples,
            notes,
        },
    )
}

/// Tells how many lines of a file were left out.
fn tell_skipped(file: &Path, lines: &[usize]) {
    if let Some(first) = lines.first() {
        tell!(
            "{}: {} lines left out, the first is line {first}",
            file.display(),
            lines.len()
        );
    }
}

/// Prints the result, and writes it if it is asked for.
fn report(
    args: &EvalArgs,
    tuned: &Tuned,
    task: &Task,
    files: &str,
    result: &Evaluation,
) -> Result<()> {
    result.notes.iter().for_each(|note| tell!("{note}"));
    if let Some(out) = &args.out {
        let adapter = args.tuned.adapter.as_ref();
        let record = json!({
            "model": tuned.base.name(),
            "adapter": adapter.map(|path| path.display().to_string()),
            "task": task.name,
            "data": files,
            "shots": args.shots,
            "calibrated": args.calibrate,
            "examples": result.examples,
            "metrics": result.metrics,
        });
        write_json(out, &record)?;
    }
    say!(
        "{} examples of {files}{}",
        result.examples,
        metrics(&result.metrics)
    );
    Ok(())
}

/// Evaluates a decoder on prompts: zero-shot, with worked examples, or with an adapter.
fn eval_prompts(args: &EvalArgs, tuned: &Tuned, prompt: &PromptTask, task: &Task) -> Result<()> {
    let folder = args.data.is_dir();
    let found = match folder {
        true => prompt.load(&args.data, Split::Dev)?,
        false => prompt.load_file(&args.data)?,
    };
    let shots = match (args.shots, folder) {
        (0, _) => Vec::new(),
        (_, true) => prompt.load(&args.data, Split::Train)?.examples,
        (_, false) => bail!("--shots needs --data with a folder, which has a train file"),
    };
    let options = PromptOptions {
        asked: Asked {
            shots: args.shots as usize,
            calibrated: args.calibrate,
        },
        limit: args.limit.map(|n| n as usize),
        seed: args.seed,
    };
    found.notes.iter().for_each(|note| tell!("{note}"));
    tell_skipped(&found.path, &found.skipped);
    let progress = Progress::new();
    let most = found.examples.len().min(prompt.dev_size);
    let bar = progress.inputs(options.limit.map_or(most, |limit| limit.min(most)));
    let file = found.path.display().to_string();
    let done = |done| bar.inc(done as u64);
    let result = evaluate_prompts(tuned, prompt, found.examples, &shots, options, done)?;
    progress.finish();
    report(args, tuned, task, &file, &result)
}
