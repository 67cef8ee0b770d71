use anyhow::Result;
use beft::tasks::{Split, Task};
use beft::{Tuned, open_tuned, parse_device, write_json};
use serde_json::json;

use crate::args::{EvalArgs, TunedArgs};
use crate::output::{check_file, say};
use crate::progress::metrics;

pub(crate) fn eval(args: &EvalArgs) -> Result<()> {
    let out = args.out.as_ref();
    let _made = out
        .map(|out| check_file(out, &[&args.data, &args.tuned.adapter]))
        .transpose()?;
    let (tuned, task) = open(&args.tuned)?;
    let labels = Some(tuned.labels.as_slice());
    let data = if args.data.is_dir() {
        task.load(&args.data, Split::Dev, labels)?
    } else {
        task.load_file(&args.data, labels, true)?
    };
    let result = beft::evaluate(&tuned, &task, &data)?;
    if let Some(out) = out {
        let record = json!({
            "model": tuned.base.name(),
            "adapter": args.tuned.adapter.display().to_string(),
            "task": task.name,
            "data": data.path.display().to_string(),
            "examples": result.examples,
            "metrics": result.metrics,
        });
        write_json(out, &record)?;
    }
    say!(
        "{} examples of {}{}",
        result.examples,
        data.path.display(),
        metrics(&result.metrics)
    );
    Ok(())
}

/// The tuned model and the task: the one asked for, else the one it was trained on.
pub(super) fn open(args: &TunedArgs) -> Result<(Tuned, Task)> {
    let device = parse_device(&args.device)?;
    let tuned = open_tuned(
        args.model.as_deref(),
        &args.adapter,
        &device,
        args.precision,
    )?;
    let name = args
        .task
        .as_deref()
        .or(tuned.task.as_deref())
        .unwrap_or("text");
    let task = Task::named(name)?;
    Ok((tuned, task))
}
