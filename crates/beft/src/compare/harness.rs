use std::path::Path;

use beft_modes::Mode;
use beft_tasks::Metric;
use serde_json::{Map, Value, json};

use crate::compare::{Group, ModeSummary};
use crate::data::{dev_sample, plain};
use crate::{Error, find_task, metric_suffix};

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
    let cell = group.results.iter().find(|r| r.cell.mode == mode.mode);
    let cell = cell.map(|r| &r.cell);
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
                "epochs": cell.map(|c| c.epochs),
                "learning_rate": cell.map(|c| c.learning_rate),
                "batch_size": cell.map(|c| c.batch_size),
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
            "batch_size": cell.map(|c| c.batch_size),
            "device": cell.map(|c| c.device.clone()),
            "limit": cell.and_then(|c| c.limit),
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
pub fn sample_lines(group: &Group, mode: &ModeSummary) -> Result<String, Error> {
    let mut out = String::new();
    let results = group.results.iter().filter(|r| r.cell.mode == mode.mode);
    for result in results {
        let task = find_task(&result.cell.model, &result.cell.task)?;
        let labels = (!result.labels.is_empty()).then_some(result.labels.as_slice());
        for split in task.dev_splits() {
            let suffix = metric_suffix(*split);
            let folder = Path::new(&result.cell.data);
            let examples = match &task.prompt {
                Some(prompt) => {
                    let found = prompt.load(folder, *split)?.examples;
                    let chosen = dev_sample(prompt, found, result.cell.limit);
                    chosen.iter().map(plain).collect()
                }
                None => task.load(folder, *split, labels)?.examples,
            };
            let samples = result.samples.get(suffix).map(Vec::as_slice);
            let rows = examples.iter().zip(samples.unwrap_or_default());
            for (index, (example, sample)) in rows.enumerate() {
                let name = |value: f64| match result.labels.get(value as usize) {
                    Some(label) => json!(label),
                    None => json!(value),
                };
                let predicted = sample.prediction(result.labels.is_empty());
                // A likelihood is neither right nor wrong.
                let correct = match task.metrics.contains(&Metric::LogLikelihood) {
                    true => json!(null),
                    false => json!(predicted == sample.target),
                };
                let line = json!({
                    "doc_id": index,
                    "doc": {"text": example.text, "text_pair": example.text_pair, "line": example.line},
                    "target": name(sample.target),
                    "arguments": [[example.text, example.text_pair]],
                    "resps": [[sample.scores]],
                    "filtered_resps": [name(predicted)],
                    "split": split.name(),
                    "seed": result.cell.seed,
                    "correct": correct,
                });
                out.push_str(&line.to_string());
                out.push('\n');
            }
        }
    }
    Ok(out)
}
