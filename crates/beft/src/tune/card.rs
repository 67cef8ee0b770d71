//! The model card of an adapter.

use beft_core::{Outputs, TaskType};
use beft_tasks::{Task, TextColumns};

use super::{TuneJob, TuneOutcome};
use crate::Base;

/// What people should know of an adapter, as the hub shows it. Nothing in it differs between two equal runs.
pub(super) fn card(base: &Base, job: &TuneJob<'_>, outcome: &TuneOutcome) -> String {
    let (data, settings) = (job.data, &job.settings);
    let (name, _) = base.dir().repository();
    let task = &data.task;
    let mut out = format!(
        "---\nbase_model: {name}\nlibrary_name: peft\ntags:\n- beft\n- bias-efficient-fine-tuning\n---\n\n# `{}` of {name} for {}\n\n",
        job.mode, task.title
    );
    out += &format!(
        "An adapter with {} values ({:.3} % of the model), trained by [beft](https://arxiv.org/abs/2509.15974). It needs the base \
         model {name}.\n\n",
        outcome.trainable,
        100.0 * outcome.trainable as f64 / outcome.parameters.max(1) as f64
    );
    out += "## What it does\n\n";
    out += &match &data.outputs {
        Outputs::Classes(names) => format!(
            "It chooses one of {} classes: {}.\n",
            names.len(),
            listed(names)
        ),
        Outputs::Labels(names) => format!(
            "It says which of {} labels hold: {}.\n",
            names.len(),
            listed(names)
        ),
        Outputs::Tags(names) => format!(
            "It gives each word one of {} tags: {}.\n",
            names.len(),
            listed(names)
        ),
        Outputs::Value => "It gives a number.\n".to_owned(),
        Outputs::Text => "It writes a text.\n".to_owned(),
        Outputs::Embedding => "It makes embeddings, which are alike where texts are.\n".to_owned(),
        Outputs::Span => "It answers a question with a part of its context.\n".to_owned(),
    };
    if !outcome.thresholds.is_empty() {
        let thresholds = data.outputs.names().iter().zip(&outcome.thresholds);
        let thresholds = thresholds.map(|(name, t)| format!("`{name}` {t:.3}"));
        out += &format!(
            "A label holds from this probability: {}.\n",
            thresholds.collect::<Vec<_>>().join(", ")
        );
    }
    out += &match task {
        Task::Labelled(task) => {
            let pair = match task.pair_columns.is_empty() || !data.text_pairs {
                true => String::new(),
                false => format!(" and, as the second text, {}", columns(&task.pair_columns)),
            };
            let what = match &data.outputs {
                Outputs::Tags(_) => "The words are",
                _ => "The text is",
            };
            format!(
                "{what} in the column {}{pair}.\n",
                columns(&task.text_columns)
            )
        }
        Task::Prompted(task) => format!("The prompt is `{}`.\n", task.template.source()),
    };
    out += &format!(
        "Inputs are cut to {} tokens.\n\n## How to use it\n\n",
        base.max_length()
    );
    let command = match data.outputs {
        Outputs::Embedding => "embed",
        _ => "predict",
    };
    out += &format!("```sh\nbeft {command} --adapter DIR --data texts.csv\n```\n\n");
    if base.has_head() {
        let class = format!("AutoModel{}", base.task_type().class_suffix());
        let labels = match base.task_type() {
            TaskType::QuestionAnswering => String::new(),
            _ => format!(", num_labels={}", data.outputs.count()),
        };
        out += &format!(
            "```python\nfrom peft import PeftModel\nfrom transformers import {class}\n\nbase = \
             {class}.from_pretrained(\"{name}\"{labels})\nmodel = PeftModel.from_pretrained(base, \
             \"DIR\")\n```\n\n"
        );
    }
    if let Some(note) = outcome.beyond_peft() {
        out += &format!(
            "{note}:\n\n```python\nimport sys\n\nsys.path.append(\"DIR\")\nfrom apply_extra_biases import \
             apply_extra_biases\n\napply_extra_biases(model)\n```\n\n"
        );
    }
    out += &format!(
        "## How it was trained\n\n{} examples, {} epochs of batches of {}, learning rate {:e}, seed {}{}.\n\n",
        data.train_examples.len(),
        outcome.epochs.len(),
        settings.batch_size,
        settings.learning_rate,
        settings.seed,
        if task.balanced {
            ", all classes counting alike"
        } else {
            ""
        }
    );
    if !settings.forward.is_f32() {
        out += &format!(
            "The frozen matrices were multiplied in {0} in the forward pass; the metrics are those of {0} products. `beft \
             eval` computes them in f32.\n\n",
            settings.forward
        );
    }
    out += &format!("| on {} dev examples | |\n|---|---:|\n", data.dev_len());
    for (metric, value) in outcome.metrics() {
        out += &format!("| {metric} | {value:.4} |\n");
    }
    for (metric, value) in &outcome.threshold_metrics {
        out += &format!("| {metric} at thresholds chosen on these examples | {value:.4} |\n");
    }
    out
}

fn listed(names: &[String]) -> String {
    let names = names.iter().map(|name| format!("`{name}`"));
    names.collect::<Vec<_>>().join(", ")
}

fn columns(columns: &TextColumns) -> String {
    let names = columns.names().iter().map(|name| format!("`{name}`"));
    let between = match columns {
        TextColumns::First(_) => " or ",
        TextColumns::Joined(_) => " and ",
    };
    names.collect::<Vec<_>>().join(between)
}
