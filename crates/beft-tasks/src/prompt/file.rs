//! Prompt tasks that the user describes in a TOML file.

use std::num::NonZeroUsize;
use std::path::Path;

use beft_core::Metric;
use serde::Deserialize;
use toml::Spanned;

use super::{Candidates, Form, PromptKind, PromptTask, Template, table};
use crate::target::class_labels;
use crate::task_checks::{
    balanced, checked_labels, checked_name, checked_rate, each_once, held_out, label_columns, wrong,
};
use crate::task_file::{Names, TaskFile, Wrong, read};
use crate::{Defaults, TaskError, TaskInfo, TaskKind};

/// The `[prompt]` table; [`PromptTask::from_toml`] tells what the keys mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromptTable {
    template: Spanned<String>,
    candidates: Option<Spanned<Names>>,
    answer: Option<Spanned<String>>,
    #[serde(default)]
    form: Form,
    metrics: Option<Spanned<Vec<Metric>>>,
    learning_rate: Option<Spanned<f64>>,
    epochs: Option<NonZeroUsize>,
    batch_size: Option<NonZeroUsize>,
    train_size: Option<NonZeroUsize>,
    dev_size: Option<NonZeroUsize>,
    max_length: Option<NonZeroUsize>,
    max_new_tokens: Option<NonZeroUsize>,
}

impl PromptTask {
    /// The prompt task that a TOML file describes: the file of
    /// [`LabelledTask::from_toml`](crate::LabelledTask::from_toml), in which `text` is not needed here, with one
    /// more table. Of the other keys `name`, `label`, `labels`, `no_label`, `columns`,
    /// `skip_malformed`, `metrics` and `[files]` are read.
    ///
    /// ```toml
    /// name = "reviews"
    /// label = "stars"
    /// labels = ["bad", "good"]
    ///
    /// [prompt]
    /// template = "{body} It was"          # see `Template`
    /// candidates = [" terrible", " great"] # one for each label
    /// # candidates = ["{a}", "{b}"]        # or the choices of the example; the label is an index
    /// #                                    # from 0, or one of `labels`
    /// # candidates = " {endings}"          # or one for each entry of a list
    /// # answer = "{answer}"                # or an answer to generate, or a list of right ones; with an
    /// #                                    # empty template it is a text to model
    /// # form = "squad"                     # how the files are: flat (the usual), multirc, record,
    /// #                                    # squad or drop
    /// # metrics = ["accuracy"]             # or macro_f1, f1, mcc; of generation token_f1,
    /// #                                    # exact_match, or log_likelihood alone
    /// learning_rate = 1e-3
    /// epochs = 5
    /// batch_size = 8
    /// train_size = 1000
    /// dev_size = 1000
    /// max_length = 2048
    /// max_new_tokens = 50
    /// ```
    ///
    /// # Errors
    ///
    /// [`TaskError`] when the file cannot be read, has an unknown key or a value that makes no
    /// sense; its text names the file and the line.
    pub fn from_toml(path: &Path) -> Result<Self, TaskError> {
        read(path, task)
    }
}

fn task(file: TaskFile) -> Result<PromptTask, Wrong> {
    let name = checked_name(file.name.clone())?;
    if PromptTask::named(&name).is_ok() {
        let message = format!("`{name}` is a built-in prompt task: choose another name");
        return wrong(&file.name, message);
    }
    let Some(prompt) = file.prompt else {
        let message = "there is no [prompt] table: add one, with a `template` and its `candidates`";
        return Err((0..0, message.to_owned()));
    };
    match file.kind {
        TaskKind::Classification => {}
        TaskKind::Regression => {
            return wrong(&prompt, "a regression task has no prompt: remove the table");
        }
        TaskKind::Similarity | TaskKind::Ranking => {
            let message = "a task of embeddings has no prompt: remove the table";
            return wrong(&prompt, message);
        }
        TaskKind::QuestionAnswering => {
            let message =
                "a task of questions has no `kind` where answers are generated: remove `kind`";
            return wrong(&prompt, message);
        }
        TaskKind::TokenClassification => {
            let message = "a task with a tag for each word has no prompt: remove the table";
            return wrong(&prompt, message);
        }
        TaskKind::MultiLabel => {
            let message = "a task with several labels for a text has no prompt: remove the table";
            return wrong(&prompt, message);
        }
    }
    let span = prompt.span();
    let prompt = prompt.into_inner();
    let template = parsed(&prompt.template)?;
    // Text that follows nothing is language modelling.
    let plain_text = prompt.template.get_ref().is_empty() && prompt.answer.is_some();
    if !template.has_fields() && !plain_text {
        let message = "`template` names no column: write one as {column}";
        return wrong(&prompt.template, message);
    }
    let labels = match file.labels {
        None => None,
        Some(labels) => Some((labels.span(), class_labels(checked_labels(labels)?))),
    };
    let candidates = match (prompt.candidates, prompt.answer) {
        (Some(candidates), None) => candidates_of(&candidates)?,
        (None, Some(answer)) => Candidates::Answer(with_fields(&answer, "`answer`")?),
        (Some(_), Some(answer)) => {
            return wrong(
                &answer,
                "`answer` and `candidates` exclude each other: remove one",
            );
        }
        (None, None) => {
            let message = "what may follow is missing: give `candidates`, or `answer` to generate";
            return Err((span, message.to_owned()));
        }
    };
    let texts = match &candidates {
        Candidates::Classes(texts) => Some(texts.len()),
        Candidates::Choices(templates) => Some(templates.len()),
        Candidates::Each(_) | Candidates::Answer(_) => None,
    };
    match (&labels, texts) {
        (None, Some(_)) if candidates.kind() == PromptKind::Classification => {
            let message = "candidates without columns need `labels`, one for each, above [prompt]";
            return Err((span, message.to_owned()));
        }
        (Some((span, labels)), Some(count)) if labels.len() != count => {
            let message = format!("there are {} labels, but {count} candidates", labels.len());
            return Err((span.clone(), message));
        }
        _ => {}
    }
    let kind = candidates.kind();
    // A file for both kinds of model has metrics for classes; a generated answer needs its own.
    let metrics = match (prompt.metrics, kind) {
        (Some(metrics), _) => checked_metrics(metrics, kind, texts)?,
        (None, PromptKind::Generation) => vec![Metric::TokenF1, Metric::ExactMatch],
        (None, PromptKind::MultipleChoice) => vec![Metric::Accuracy],
        (None, PromptKind::Classification) => match file.metrics {
            Some(metrics) => checked_metrics(metrics, kind, texts)?,
            None => vec![Metric::Accuracy],
        },
    };
    if kind == PromptKind::Generation && file.text.is_none() {
        for (key, span) in [
            ("label", file.label.as_ref().map(Spanned::span)),
            ("labels", labels.as_ref().map(|(span, _)| span.clone())),
            ("no_label", file.no_label.as_ref().map(Spanned::span)),
        ] {
            if let Some(span) = span {
                let message = format!("`{key}` is not read where answers are generated: remove it");
                return Err((span, message));
            }
        }
    }
    let labels = labels.map(|(_, labels)| labels);
    // In a file for both kinds of model it is of the classes that an encoder learns.
    let balanced = match kind == PromptKind::Classification || file.text.is_none() {
        true => balanced(file.balanced, kind == PromptKind::Classification)?,
        false => false,
    };
    let usual = table::DEFAULTS;
    let or = |size: Option<NonZeroUsize>, usual| size.map_or(usual, NonZeroUsize::get);
    let defaults = Defaults {
        learning_rate: checked_rate(prompt.learning_rate, usual.learning_rate)?,
        epochs: or(prompt.epochs, usual.epochs),
        batch_size: or(prompt.batch_size, usual.batch_size),
        train_size: prompt
            .train_size
            .map_or(usual.train_size, |n| Some(n.get())),
        max_length: prompt
            .max_length
            .map_or(usual.max_length, |n| Some(n.get())),
        ..usual
    };
    Ok(PromptTask {
        info: TaskInfo {
            title: name.clone(),
            hub: table::hub(&name),
            name,
            label_columns: label_columns(file.label, "label")?,
            no_label: file.no_label.map(Spanned::into_inner),
            headerless: file.columns.unwrap_or_default(),
            skip_malformed: file.skip_malformed,
            files: file.files.into_map(),
            metrics,
            regimes: table::only_low(&defaults),
            held_out: held_out(file.dev_share, file.split_seed)?,
            balanced,
            defaults,
        },
        template,
        candidates,
        labels,
        form: prompt.form,
        dev_size: or(prompt.dev_size, table::DEV_SIZE),
        max_new_tokens: or(prompt.max_new_tokens, table::MAX_NEW_TOKENS),
    })
}

/// One text, which is for each entry of a list; or several, which are the choices of an example
/// when a column is named in them, and otherwise those of all examples.
fn candidates_of(candidates: &Spanned<Names>) -> Result<Candidates, Wrong> {
    let several = match candidates.get_ref() {
        Names::One(text) => {
            let text = Spanned::new(candidates.span(), text.clone());
            return with_fields(&text, "a single candidate").map(Candidates::Each);
        }
        Names::Several(several) => several,
    };
    if several.len() < 2 {
        return wrong(candidates, "`candidates` must be at least two");
    }
    let templates = several.iter().map(|text| Template::parse(text));
    let templates = templates.collect::<Result<Vec<_>, _>>();
    let templates = templates.or_else(|error| wrong(candidates, error.to_string()))?;
    // Without fields they are the same as when they are empty, with braces unescaped.
    let texts: Option<Vec<String>> = templates
        .iter()
        .map(|template| template.emptied().filter(|_| !template.has_fields()))
        .collect();
    let Some(texts) = texts else {
        return Ok(Candidates::Choices(templates));
    };
    for (index, text) in texts.iter().enumerate() {
        if text.trim().is_empty() {
            return wrong(candidates, "a candidate is empty: write a word");
        }
        if texts[..index].contains(text) {
            return wrong(candidates, format!("candidate `{text}` is there twice"));
        }
    }
    Ok(Candidates::Classes(texts))
}

fn parsed(text: &Spanned<String>) -> Result<Template, Wrong> {
    Template::parse(text.get_ref()).or_else(|error| wrong(text, error.to_string()))
}

fn with_fields(text: &Spanned<String>, what: &str) -> Result<Template, Wrong> {
    let template = parsed(text)?;
    if !template.has_fields() {
        return wrong(
            text,
            format!("{what} names no column: write one as {{column}}"),
        );
    }
    Ok(template)
}

fn checked_metrics(
    metrics: Spanned<Vec<Metric>>,
    kind: PromptKind,
    classes: Option<usize>,
) -> Result<Vec<Metric>, Wrong> {
    each_once(&metrics)?;
    if metrics.get_ref().len() > 1 && metrics.get_ref().contains(&Metric::LogLikelihood) {
        let message = "`log_likelihood` is measured without generating: it stands alone";
        return wrong(&metrics, message);
    }
    let mut all = metrics.get_ref().iter();
    if let Some(metric) = all.find(|metric| !kind.suits(**metric, classes)) {
        let message = format!("metric `{metric}` does not fit what may follow the prompt");
        return wrong(&metrics, message);
    }
    Ok(metrics.into_inner())
}
