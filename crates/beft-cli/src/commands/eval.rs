use std::path::Path;

use anyhow::{Result, bail};
use beft::checkpoint::Adapter;
use beft::tasks::{Dataset, Task};
use beft::train::Metrics;
use beft::{Tuned, metric_suffix, open_tuned, parse_device, write_json};
use serde_json::json;

use super::fetch_model;
use crate::args::{EvalArgs, TunedArgs};
use crate::output::{check_file, say, tell};
use crate::progress::metrics;

pub(crate) fn eval(args: &EvalArgs) -> Result<()> {
    let out = args.out.as_ref();
    let mut inputs: Vec<&Path> = vec![&args.data];
    inputs.extend(args.tuned.adapter.as_deref());
    let _made = out.map(|out| check_file(out, &inputs)).transpose()?;
    let (tuned, task) = open(&args.tuned)?;
    let labels = (!tuned.labels.is_empty()).then_some(tuned.labels.as_slice());
    // MNLI has two dev splits, everything else one.
    let mut data: Vec<(&str, Dataset)> = Vec::new();
    if args.data.is_dir() {
        for split in task.dev_splits() {
            data.push((
                metric_suffix(*split),
                task.load(&args.data, *split, labels)?,
            ));
        }
    } else {
        data.push(("", task.load_file(&args.data, labels, true)?));
    }
    let mut all = Metrics::new();
    let mut examples = 0;
    for (suffix, data) in &data {
        if let Some(first) = data.skipped.first() {
            let count = data.skipped.len();
            tell!(
                "{}: {count} lines left out, the first is line {first}",
                data.path.display()
            );
        }
        let result = beft::evaluate(&tuned, &task, data)?;
        let named = result.metrics.into_iter();
        all.extend(named.map(|(name, value)| (format!("{name}{suffix}"), value)));
        examples += result.examples;
    }
    let files: Vec<String> = data
        .iter()
        .map(|(_, d)| d.path.display().to_string())
        .collect();
    let files = files.join(", ");
    if let Some(out) = out {
        let adapter = args.tuned.adapter.as_ref();
        let record = json!({
            "model": tuned.base.name(),
            "adapter": adapter.map(|path| path.display().to_string()),
            "task": task.name,
            "data": files,
            "examples": examples,
            "metrics": all,
        });
        write_json(out, &record)?;
    }
    say!("{examples} examples of {files}{}", metrics(&all));
    Ok(())
}

/// The tuned model and the task: the one asked for, else the one it was trained on.
pub(super) fn open(args: &TunedArgs) -> Result<(Tuned, Task)> {
    if args.adapter.is_none() && args.model.is_none() {
        bail!("give --adapter, or --model with the folder of a tuned model");
    }
    let device = parse_device(&args.device)?;
    if let Some(model) = &args.model {
        fetch_model(model)?;
    } else if let Some(adapter) = &args.adapter {
        // That it is neither here nor to be had is reported below, with what to do.
        let _ = fetch_model(&Adapter::load(adapter)?.base_model);
    }
    let tuned = open_tuned(
        args.model.as_deref(),
        args.adapter.as_deref(),
        &device,
        args.precision,
    )?;
    let name = args
        .task
        .as_deref()
        .or(tuned.task.as_deref())
        .unwrap_or("text");
    let task = Task::resolve(name)?;
    Ok((tuned, task))
}
