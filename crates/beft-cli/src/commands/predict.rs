use std::fs::File;
use std::io::{BufReader, Write, stdin, stdout};
use std::path::Path;

use anyhow::{Context, Result, bail};
use beft::core::write_atomic;
use beft::eval::argmax;
use beft::tasks::{Example, InputFormat, Task};
use serde_json::json;

use super::eval::open;
use crate::args::{Format, PredictArgs};
use crate::output::check_file;
use crate::progress::Progress;

/// The name of standard input and output.
const STANDARD: &str = "-";

pub(crate) fn predict(args: &PredictArgs) -> Result<()> {
    let to_stdout = args.out.as_os_str() == STANDARD;
    let _made = (!to_stdout)
        .then(|| check_file(&args.out, &[&args.data, &args.tuned.adapter]))
        .transpose()?;
    let (tuned, task) = open(&args.tuned)?;
    let examples = read(args, &task)?;
    let progress = Progress::new();
    let bar = progress.inputs(examples.len());
    let scores = tuned.predict(&examples, |done| bar.inc(done as u64))?;
    progress.finish();

    let mut rows = Vec::new();
    for (index, logits) in scores.iter().enumerate() {
        let label = &tuned.labels[argmax(logits)];
        writeln!(
            rows,
            "{}",
            json!({"index": index, "label": label, "logits": logits})
        )?;
    }
    if to_stdout {
        // A reader that has seen enough (`| head`) is no error.
        match stdout().lock().write_all(&rows) {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => result.context("cannot write to standard output"),
        }
    } else {
        write_atomic(&args.out, &rows)
            .with_context(|| format!("cannot write {}", args.out.display()))
    }
}

fn read(args: &PredictArgs, task: &Task) -> Result<Vec<Example>> {
    let format = args.format.map(InputFormat::from);
    if args.data.as_os_str() == STANDARD {
        let name = Path::new("standard input");
        let format = format.unwrap_or(InputFormat::Lines);
        return Ok(task.read_inputs(stdin().lock(), name, format)?);
    }
    if args.data.is_dir() {
        bail!("{} is a folder: give one file", args.data.display());
    }
    let Some(format) = format.or_else(|| InputFormat::of_path(&args.data)) else {
        bail!(
            "cannot tell the format of {} by its name: give --format lines, tsv, csv or jsonl",
            args.data.display()
        );
    };
    let file =
        File::open(&args.data).with_context(|| format!("cannot read {}", args.data.display()))?;
    Ok(task.read_inputs(BufReader::new(file), &args.data, format)?)
}

impl From<Format> for InputFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Lines => Self::Lines,
            Format::Tsv => Self::Tsv,
            Format::Csv => Self::Csv,
            Format::Jsonl => Self::Jsonl,
        }
    }
}
