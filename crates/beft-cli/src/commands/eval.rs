use std::path::{self, Path};

use anyhow::{Result, bail};
use beft::table::Document;
use beft::{
    About, Details, Evaluation, PromptOptions, Tuned, evaluate_prompts, file_digest, left_out_note,
    metric_suffix, pictures, rows_of, save_report, write_json,
};
use beft_modes::Asked;
use beft_tasks::{Dataset, LabelledTask, PromptTask, Split, Task, TaskInfo};
use beft_train::Metrics;
use serde_json::{Map, Value, json};

use super::open_predictor;
use crate::args::EvalArgs;
use crate::mistakes::{Mistakes, MistakesFile};
use crate::output::{check_file, command, prepare_folder, print_document, print_json, say, tell};
use crate::progress::{Progress, metrics};

/// What the files of `--report` are called.
const REPORT: &str = "report";
/// Examples that were wrong in a report.
const REPORTED: usize = 20;

pub(crate) fn eval(args: &EvalArgs) -> Result<()> {
    if args.held_out && args.data.is_dir() {
        bail!(
            "--held-out is for the file that was split for training, and {} is a folder: leave it out",
            args.data.display()
        );
    }
    if let (Some(out), Some(errors)) = (&args.out, &args.errors)
        && path::absolute(out)? == path::absolute(errors)?
    {
        bail!(
            "--out and --errors are both {}: give one of them another name",
            out.display()
        );
    }
    let mut inputs: Vec<&Path> = vec![&args.data];
    inputs.extend(args.tuned.one_adapter()?);
    let mut made = Vec::new();
    for file in [&args.out, &args.errors].into_iter().flatten() {
        made.push(check_file(file, &inputs)?);
    }
    if let Some(dir) = &args.report {
        made.push(prepare_folder(dir, &["report.html", "report.md"])?);
    }
    let errors = args.errors.as_deref().map(MistakesFile::new).transpose()?;
    let predictor = open_predictor(&args.tuned)?;
    let (tuned, task) = (predictor.tuned(), predictor.task());
    let parts = match task {
        Task::Labelled(labelled) => eval_texts(args, tuned, labelled)?,
        Task::Prompted(prompted) => vec![eval_prompts(args, tuned, prompted)?],
    };
    for part in &parts {
        part.result.notes.iter().for_each(|note| tell!("{note}"));
    }
    let mistakes = Mistakes::of(parts.iter().map(|part| (part.file.as_str(), &part.result)));
    if let Some(errors) = &errors {
        mistakes.write(errors, args.json.json)?;
    }
    let mut record = record(args, tuned, task, &parts);
    if errors.is_some() {
        record["errors"] = mistakes.to_json();
    }
    if let Some(out) = &args.out {
        write_json(out, &record)?;
    }
    if let Some(dir) = &args.report {
        let (document, about) = report(args, tuned, task, &parts, &mistakes, &record);
        save_report(dir, REPORT, &document, &about)?;
    }
    if args.json.json {
        print_json(&record);
        return Ok(());
    }
    for part in &parts {
        let details = &part.result.details;
        say!(
            "{} examples of {}{}\n",
            details.examples,
            part.file,
            metrics(&details.metrics)
        );
        let mut document = Document::default();
        details.describe(&mut document);
        print_document(&document);
    }
    Ok(())
}

/// One file that was evaluated, such as one of MNLI's two dev splits.
struct Part {
    file: String,
    /// What the metrics' names end in.
    suffix: &'static str,
    result: Evaluation,
}

/// Evaluates a model with a head on labelled texts.
fn eval_texts(args: &EvalArgs, tuned: &Tuned, labelled: &LabelledTask) -> Result<Vec<Part>> {
    for (given, flag) in [(args.shots > 0, "--shots"), (args.calibrate, "--calibrate")] {
        if given {
            bail!(
                "{flag} is for models that are asked prompts, and {} has a head: leave it out",
                tuned.base.name()
            );
        }
    }
    let labels = tuned.outputs.classes();
    // MNLI has two dev splits, everything else one.
    let mut data: Vec<(&'static str, Dataset)> = Vec::new();
    if args.data.is_dir() {
        for split in labelled.dev_splits() {
            data.push((
                metric_suffix(*split),
                labelled.load(&args.data, *split, labels)?,
            ));
        }
    } else if is_held_out(args, tuned, labelled)? {
        data.push(("", labelled.load(&args.data, Split::Dev, labels)?));
    } else {
        data.push(("", labelled.load_file(&args.data, labels)?));
    }
    if let Some(limit) = args.limit {
        let most = limit as usize;
        data.iter_mut().for_each(|(_, d)| d.examples.truncate(most));
    }
    let parts = data.into_iter().map(|(suffix, data)| {
        if let Some(note) = left_out_note(&data.path, &data.skipped) {
            tell!("{note}");
        }
        Ok(Part {
            file: data.path.display().to_string(),
            suffix,
            result: beft::evaluate(tuned, labelled, &data, suffix)?,
        })
    });
    parts.collect()
}

/// Whether only the examples that were held out of training are measured on. `--data` is a file.
fn is_held_out(args: &EvalArgs, tuned: &Tuned, task: &TaskInfo) -> Result<bool> {
    if args.held_out && task.held_out.is_some() {
        let same = tuned.split_file == Some(file_digest(&args.data)?);
        if !same {
            bail!(
                "{} is not the file that was split for training, or was changed since: give that file, or leave out \
                 --held-out",
                args.data.display()
            );
        }
        if !tuned.thresholds.is_empty() || tuned.no_answer_threshold != 0.0 {
            tell!(
                "note: the thresholds were chosen on these examples, which makes them look better than others"
            );
        }
    }
    match (args.held_out, task.held_out) {
        (true, None) => {
            bail!("--held-out needs a model that was trained on a part of one file (--dev-share)")
        }
        (false, Some(_)) => {
            tell!(
                "note: the model was trained on a part of one file; if this is the file, --held-out measures on the rest"
            );
            Ok(false)
        }
        (held_out, _) => Ok(held_out),
    }
}

/// Evaluates a decoder on prompts: zero-shot, with worked examples, or with an adapter.
fn eval_prompts(args: &EvalArgs, tuned: &Tuned, prompt: &PromptTask) -> Result<Part> {
    let folder = args.data.is_dir();
    let found = match folder || is_held_out(args, tuned, prompt)? {
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
    if let Some(note) = left_out_note(&found.path, &found.skipped) {
        tell!("{note}");
    }
    let progress = Progress::new();
    let most = found.examples.len().min(prompt.dev_size);
    let bar = progress.inputs(options.limit.map_or(most, |limit| limit.min(most)));
    let done = |done| bar.inc(done as u64);
    let result = evaluate_prompts(tuned, prompt, found.examples, &shots, options, done)?;
    progress.finish();
    Ok(Part {
        file: found.path.display().to_string(),
        suffix: "",
        result,
    })
}

/// The result as JSON.
fn record(args: &EvalArgs, tuned: &Tuned, task: &Task, parts: &[Part]) -> Value {
    let adapter = args.tuned.adapter.first().map(|adapter| &adapter.dir);
    let details: Vec<&Details> = parts.iter().map(|part| &part.result.details).collect();
    let all = details.iter().flat_map(|details| details.metrics.clone());
    let files: Vec<&str> = parts.iter().map(|part| part.file.as_str()).collect();
    json!({
        "model": tuned.base.name(),
        "adapter": adapter.map(|path| path.display().to_string()),
        "task": task.name,
        "data": files.join(", "),
        "shots": args.shots,
        "calibrated": args.calibrate,
        "examples": details.iter().map(|details| details.examples).sum::<usize>(),
        "metrics": all.collect::<Metrics>(),
        "details": details,
    })
}

/// What `--report` writes.
fn report(
    args: &EvalArgs,
    tuned: &Tuned,
    task: &Task,
    parts: &[Part],
    mistakes: &Mistakes,
    record: &Value,
) -> (Document, About) {
    let mut document = Document::default();
    document.heading(1, format!("{} on {}", tuned.base.name(), task.name));
    if let Some(terms) = &tuned.terms {
        document.paragraph(format!("Trained: `{terms}`."));
    }
    for part in parts {
        let details = &part.result.details;
        document.heading(2, format!("{} examples of {}", details.examples, part.file));
        details.describe(&mut document);
        document.pictures(pictures(details, &task.name, part.suffix));
    }
    if let Some(table) = mistakes.table(REPORTED) {
        document.heading(2, "What was wrong");
        document.paragraph(format!(
            "The first {} examples; of classes those of which the model was most certain, of numbers those that are \
             farthest off.",
            table.rows.len()
        ));
        document.table(table);
    }
    let results = ["metrics", "details", "errors"];
    let fields = record.as_object().into_iter().flatten();
    let decided: Map<String, Value> = fields
        .filter(|(key, _)| !results.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let about = About {
        configuration: rows_of(&decided),
        command: command(),
        latex: args.latex,
        ..About::default()
    };
    (document, about)
}
