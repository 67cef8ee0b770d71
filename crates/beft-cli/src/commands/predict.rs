use std::fs::File;
use std::io::{BufReader, Write, stdin};
use std::path::Path;

use anyhow::{Context, Result, bail};
use beft::{Tuned, parse_device};
use beft_core::{Outputs, Prediction};
use beft_eval::argmax;
use beft_tasks::{DataError, Dataset, Example, InputFormat, Label, LabelledTask, Split, Task};
use serde_json::json;

use super::eval::open;
use crate::args::{Format, OutputFormat, PredictArgs, SplitName};
use crate::output::{check_file, prepare_folder, say, tell, write_bytes, write_file};
use crate::progress::Progress;

/// The name of standard input and output.
const STANDARD: &str = "-";

pub(crate) fn predict(args: &PredictArgs) -> Result<()> {
    if args.format == OutputFormat::Glue {
        return predict_glue(args);
    }
    let to_stdout = args.out.as_os_str() == STANDARD;
    let mut inputs: Vec<&Path> = vec![&args.data];
    inputs.extend(args.tuned.adapter.as_deref());
    let _made = (!to_stdout)
        .then(|| check_file(&args.out, &inputs))
        .transpose()?;
    let (tuned, task) = open(&args.tuned)?;
    let task = labelled(&tuned, task)?;
    let examples = match args.split {
        Some(split) => {
            let splits = splits(&task, split);
            let mut all = Vec::new();
            for split in splits {
                all.extend(inputs_of(args, &tuned, &task, split)?);
            }
            all
        }
        None => none_if_empty(read(args, &task)?)?,
    };
    let mut rows = Vec::new();
    for (index, said) in predictions(&tuned, &examples)?.iter().enumerate() {
        let logits = said.scores();
        let row = match (said, &tuned.outputs) {
            (Prediction::Classes(scores), Outputs::Classes(names)) => {
                json!({"index": index, "label": names[argmax(scores)], "logits": logits})
            }
            _ => json!({"index": index, "value": logits[0], "logits": logits}),
        };
        writeln!(rows, "{row}")?;
    }
    if to_stdout {
        write_bytes(&rows);
        Ok(())
    } else {
        write_file(&args.out, &rows)
    }
}

/// The files that the GLUE server takes, one per split, into the folder `--out`.
fn predict_glue(args: &PredictArgs) -> Result<()> {
    let Some(split) = args.split else {
        bail!("--format glue needs --split test and --data with the task's folder");
    };
    if args.out.as_os_str() == STANDARD {
        bail!("--format glue needs --out with a folder: the files' names are the server's");
    }
    // Before anything is loaded.
    parse_device(&args.tuned.device)?;
    let (tuned, task) = open(&args.tuned)?;
    let task = labelled(&tuned, task)?;
    let mut named = Vec::new();
    for split in splits(&task, split) {
        let name = task.glue_file_name(split);
        named.push((name, inputs_of(args, &tuned, &task, split)?));
    }
    let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let _made = prepare_folder(&args.out, &names)?;
    for (name, examples) in &named {
        let predictions: Vec<Label> = predictions(&tuned, examples)?
            .iter()
            .map(|said| match said {
                Prediction::Classes(scores) => Label::Class(argmax(scores)),
                said => Label::Value(f64::from(said.scores()[0])),
            })
            .collect();
        let mut file = Vec::new();
        task.write_glue(&mut file, tuned.outputs.names(), &predictions)?;
        let path = args.out.join(name);
        write_file(&path, &file)?;
        say!("{} predictions: {}", predictions.len(), path.display());
    }
    Ok(())
}

/// The task, which must be one of labelled texts.
fn labelled(tuned: &Tuned, task: Task) -> Result<LabelledTask> {
    match task {
        Task::Labelled(task) => Ok(task),
        Task::Prompted(_) => bail!(
            "{} is a decoder: `beft eval` measures it on a task, `beft generate` generates text from prompts",
            tuned.base.name()
        ),
    }
}

/// The examples, after what there is to say of them. An input without texts gives no predictions, which is no
/// error.
fn none_if_empty(data: Result<Dataset, DataError>) -> Result<Vec<Example>> {
    match data {
        Err(DataError::Empty { .. } | DataError::NoRows { .. }) => Ok(Vec::new()),
        data => {
            let data = data?;
            data.notes.iter().for_each(|note| tell!("{note}"));
            Ok(data.examples)
        }
    }
}

fn predictions(tuned: &Tuned, examples: &[Example]) -> Result<Vec<Prediction>> {
    if examples.is_empty() {
        return Ok(Vec::new());
    }
    let progress = Progress::new();
    let bar = progress.inputs(examples.len());
    let predicted = tuned.predict(examples, |done| bar.inc(done as u64))?;
    progress.finish();
    predicted.notes.iter().for_each(|note| tell!("{note}"));
    Ok(predicted.predictions)
}

/// The texts of a split; its labels, if there are any, are not read.
fn inputs_of(
    args: &PredictArgs,
    tuned: &Tuned,
    task: &LabelledTask,
    split: Split,
) -> Result<Vec<Example>> {
    none_if_empty(task.load_inputs(&args.data, split, tuned.outputs.classes()))
}

/// MNLI has two dev and two test splits.
fn splits(task: &LabelledTask, split: SplitName) -> Vec<Split> {
    match split {
        SplitName::Train => vec![Split::Train],
        SplitName::Dev => task.dev_splits().to_vec(),
        SplitName::Test => task.test_splits().to_vec(),
    }
}

/// The texts; the inner error is of their content.
fn read(args: &PredictArgs, task: &LabelledTask) -> Result<Result<Dataset, DataError>> {
    let format = args.input_format.map(InputFormat::from);
    if args.data.as_os_str() == STANDARD {
        let name = Path::new("standard input");
        let format = format.unwrap_or(InputFormat::Lines);
        return Ok(task.read_inputs(stdin().lock(), name, format));
    }
    if args.data.is_dir() {
        bail!(
            "{} is a folder: give one file, or --split",
            args.data.display()
        );
    }
    if !args.data.exists() {
        bail!(
            "{}: no such file: check the spelling and the current folder",
            args.data.display()
        );
    }
    let Some(format) = format.or_else(|| InputFormat::of_path(&args.data)) else {
        bail!(
            "cannot tell the format of {} by its name: give --input-format lines, tsv, csv, jsonl or json",
            args.data.display()
        );
    };
    let file =
        File::open(&args.data).with_context(|| format!("cannot read {}", args.data.display()))?;
    Ok(task.read_inputs(BufReader::new(file), &args.data, format))
}

impl From<Format> for InputFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Lines => Self::Lines,
            Format::Tsv => Self::Tsv,
            Format::Csv => Self::Csv,
            Format::Jsonl => Self::Jsonl,
            Format::Json => Self::Json,
        }
    }
}
