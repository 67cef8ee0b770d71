use std::path::Path;

use beft_core::{Metric, OutputKind, Truth};
use beft_modes::Mode;
use beft_tasks::Task;
use serde_json::{Map, Value, json};

use crate::{CompareError, Group, ModeSummary};
use beft::{Error, dev_sample, metric_suffix, plain};

/// The result of one mode in the schema of lm-evaluation-harness's `results_<time>.json`: `results`,
/// `configs`, `versions`, `n-shot`, `higher_is_better`, `n-samples`, `config`. `date` is in seconds
/// since 1970.
pub fn harness_results(group: &Group, mode: &ModeSummary, date: f64) -> Value {
    let mut results = Map::new();
    let mut better = Map::new();
    results.insert("alias".to_owned(), json!(group.task));
    for metric in &group.metrics {
        let name = metric.replace("accuracy", "acc");
        if let Some((mean, deviation)) = mode.last.get(metric) {
            results.insert(format!("{name},none"), json!(mean));
            results.insert(
                format!("{name}_stderr,none"),
                json!(mode.stderr.get(metric)),
            );
            results.insert(format!("{name}_std_over_seeds,none"), json!(deviation));
            better.insert(name, json!(true));
        }
    }
    let asked = mode.mode.parse().ok().and_then(|mode: Mode| mode.asked());
    let shots = asked.unwrap_or_default().shots;
    let chosen = |name: &str| group.metrics.iter().any(|metric| metric == name);
    // lm-evaluation-harness's names.
    let output_type = if chosen(Metric::TokenF1.name()) {
        "generate_until"
    } else if chosen(Metric::LogLikelihood.name()) {
        "loglikelihood_rolling"
    } else {
        "multiple_choice"
    };
    let trial = group.results.iter().find(|r| r.trial.mode == mode.mode);
    let trial = trial.map(|r| &r.trial);
    let task = &group.task;
    json!({
        "results": { task: results },
        "group_subtasks": { task: [] },
        "configs": { task: {
            "task": task,
            "output_type": output_type,
            "num_fewshot": shots,
            "metadata": {
                "mode": mode.mode,
                "regime": group.regime,
                "trained_values": mode.trainable,
                "train_size": group.sizes.0,
                "epochs": trial.map(|c| c.epochs),
                "learning_rate": trial.map(|c| c.learning_rate),
                "batch_size": trial.map(|c| c.batch_size),
                "seeds": group.seeds,
            },
        } },
        "versions": { task: 1.0 },
        "n-shot": { task: shots },
        "higher_is_better": { task: better },
        "n-samples": { task: { "original": group.sizes.1, "effective": group.sizes.1 } },
        "config": {
            "model": "beft",
            "model_args": format!("pretrained={},mode={}", group.model, mode.mode),
            "batch_size": trial.map(|c| c.batch_size),
            "device": trial.map(|c| c.device.clone()),
            "limit": trial.and_then(|c| c.limit),
            "bootstrap_iters": 1000,
            "random_seed": group.seeds.first(),
        },
        "git_hash": null,
        "date": date,
        "beft_version": env!("CARGO_PKG_VERSION"),
    })
}

/// The samples of one mode in the schema of `samples_<task>_<time>.jsonl`, one line per dev example
/// and seed.
///
/// # Errors
///
/// When the data cannot be read again.
pub fn sample_lines(group: &Group, mode: &ModeSummary) -> Result<String, CompareError> {
    let mut out = String::new();
    let results = group.results.iter().filter(|r| r.trial.mode == mode.mode);
    for result in results {
        let task = result.trial.find_task()?;
        let labels = (!result.labels.is_empty()).then_some(result.labels.as_slice());
        for split in task.dev_splits() {
            let suffix = metric_suffix(*split);
            let folder = Path::new(&result.trial.data);
            let examples = match &task {
                Task::Prompted(task) => {
                    let found = task.load(folder, *split).map_err(Error::from)?.examples;
                    let chosen = dev_sample(task, found, result.trial.limit);
                    chosen.iter().map(plain).collect()
                }
                Task::Labelled(task) => {
                    task.load(folder, *split, labels)
                        .map_err(Error::from)?
                        .examples
                }
            };
            let samples = result.samples.get(suffix).map(Vec::as_slice);
            let rows = examples.iter().zip(samples.unwrap_or_default());
            for (index, (example, sample)) in rows.enumerate() {
                let label = |index: usize| result.labels.get(index);
                let name = |truth: &Truth| match truth {
                    Truth::Number(value) => match label(*value as usize) {
                        Some(label) => json!(label),
                        None => json!(value),
                    },
                    Truth::Labels(labels) => {
                        json!(labels.iter().map(|l| label(*l)).collect::<Vec<_>>())
                    }
                };
                let predicted = sample.prediction(task.output());
                let correct = match task.output() {
                    // A likelihood is neither right nor wrong.
                    OutputKind::Tokens => json!(null),
                    OutputKind::Tags => json!(sample.scores.get(3) == sample.scores.get(4)),
                    OutputKind::Classes
                    | OutputKind::Labels
                    | OutputKind::Value
                    | OutputKind::Rank
                    | OutputKind::Answer => json!(predicted == sample.target),
                };
                let said = match task.output() {
                    // Counts of entities, not of one label.
                    OutputKind::Tags => json!(sample.scores),
                    _ => name(&predicted),
                };
                let line = json!({
                    "doc_id": index,
                    "doc": {"text": example.text, "text_pair": example.text_pair, "line": example.line},
                    "target": name(&sample.target),
                    "arguments": [[example.text, example.text_pair]],
                    "resps": [[sample.scores]],
                    "filtered_resps": [said],
                    "split": split.name(),
                    "seed": result.trial.seed,
                    "correct": correct,
                });
                out.push_str(&line.to_string());
                out.push('\n');
            }
        }
    }
    Ok(out)
}
