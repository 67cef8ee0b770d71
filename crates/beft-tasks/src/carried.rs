//! A task as a value that is kept beside what was trained on it.

use std::collections::BTreeMap;

use beft_core::Metric;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::target::SIMILARITY;
use crate::task_checks::{is_file_name, is_rate};
use crate::{
    Answerable, Candidates, ClassLabel, Defaults, Form, HeldOut, Hub, LabelForm, LabelTarget,
    LabelledTask, MultiLabel, PromptKind, PromptTask, Regimes, Split, Task, TaskError, TaskInfo,
    TaskKind, Template, TextColumns,
};

/// How a task is written. Adapters and journals of all versions hold this, so its keys and their order
/// stay as they are.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    title: String,
    kind: TaskKind,
    text_columns: TextColumns,
    pair_columns: TextColumns,
    pair_required: bool,
    label_columns: Vec<String>,
    labels: Option<Vec<ClassLabel>>,
    no_label: Option<String>,
    range: Option<(f64, f64)>,
    headerless: Vec<String>,
    skip_malformed: bool,
    mismatched: bool,
    files: BTreeMap<Split, String>,
    hub: Option<Hub>,
    metrics: Vec<Metric>,
    defaults: Defaults,
    regimes: Regimes,
    prompt: Option<WrittenPrompt>,
    /// How several labels are written, which is not in definitions of before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label_form: Option<LabelForm>,
    /// Whether every question has an answer, of a task of questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answerable: Option<Answerable>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_out: Option<HeldOut>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    balanced: bool,
}

/// What a task of prompts has beside, some of it a second time.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPrompt {
    name: String,
    title: String,
    kind: PromptKind,
    template: Template,
    candidates: Candidates,
    label_columns: Vec<String>,
    labels: Option<Vec<ClassLabel>>,
    no_label: Option<String>,
    headerless: Vec<String>,
    skip_malformed: bool,
    form: Form,
    files: BTreeMap<Split, String>,
    metrics: Vec<Metric>,
    defaults: WrittenDefaults,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDefaults {
    learning_rate: f64,
    epochs: usize,
    batch_size: usize,
    train_size: usize,
    dev_size: usize,
    max_length: usize,
    max_new_tokens: usize,
}

impl Task {
    /// Whether it is a built-in task as it stands in the tables.
    pub fn is_built_in(&self) -> bool {
        match self {
            Self::Labelled(task) => LabelledTask::named(&task.name).is_ok_and(|t| t == *task),
            Self::Prompted(task) => PromptTask::named(&task.name).is_ok_and(|t| t == *task),
        }
    }

    /// Returns the whole task as a JSON value. [`Task::from_definition`] makes an equal task of it.
    pub fn definition(&self) -> Value {
        let written = match self.clone() {
            Self::Labelled(task) => Written::labelled(task),
            Self::Prompted(task) => Written::prompted(task),
        };
        // There is nothing in it that JSON cannot hold.
        serde_json::to_value(written).unwrap_or_default()
    }

    /// Makes a task of the value that [`Task::definition`] gave.
    ///
    /// # Errors
    ///
    /// [`TaskError::Definition`] when a key is missing, unknown, or has a value that makes no sense.
    pub fn from_definition(definition: &Value) -> Result<Self, TaskError> {
        let wrong = |message: String| TaskError::Definition { message };
        let written: Written =
            serde_json::from_value(definition.clone()).map_err(|e| wrong(e.to_string()))?;
        match written.sound() {
            Ok(()) => Ok(written.task()),
            Err(key) => Err(wrong(format!("`{key}` makes no sense"))),
        }
    }
}

impl Written {
    fn labelled(task: LabelledTask) -> Self {
        let kind = task.target.kind();
        let (mut range, mut label_form, mut answerable) = (None, None, None);
        let labels = match task.target {
            LabelTarget::Classes(labels) | LabelTarget::Tags(labels) => labels,
            LabelTarget::Labels(set) => {
                label_form = Some(set.form);
                set.labels
            }
            LabelTarget::Value(of_values) => {
                range = of_values;
                None
            }
            LabelTarget::Answer(of_questions) => {
                answerable = Some(of_questions);
                None
            }
            LabelTarget::Similarity(of_values) => {
                range = Some(of_values);
                None
            }
            LabelTarget::Ranking => None,
        };
        Self {
            kind,
            labels,
            range,
            label_form,
            answerable,
            text_columns: task.text_columns,
            pair_columns: task.pair_columns,
            pair_required: task.pair_required,
            mismatched: task.mismatched,
            ..Self::of(task.info)
        }
    }

    fn prompted(task: PromptTask) -> Self {
        let (info, usual) = (task.info, task.candidates.kind());
        let defaults = info.defaults;
        let prompt = WrittenPrompt {
            name: info.name.clone(),
            title: info.title.clone(),
            kind: usual,
            template: task.template,
            candidates: task.candidates,
            label_columns: info.label_columns.clone(),
            labels: task.labels.clone(),
            no_label: info.no_label.clone(),
            headerless: info.headerless.clone(),
            skip_malformed: info.skip_malformed,
            form: task.form,
            files: info.files.clone(),
            metrics: info.metrics.clone(),
            defaults: WrittenDefaults {
                learning_rate: defaults.learning_rate,
                epochs: defaults.epochs,
                batch_size: defaults.batch_size,
                train_size: defaults.train_size.unwrap_or_default(),
                dev_size: task.dev_size,
                max_length: defaults.max_length.unwrap_or_default(),
                max_new_tokens: task.max_new_tokens,
            },
        };
        Self {
            labels: task.labels.filter(|_| usual == PromptKind::Classification),
            headerless: Vec::new(),
            prompt: Some(prompt),
            ..Self::of(info)
        }
    }

    fn of(info: TaskInfo) -> Self {
        let none = || TextColumns::First(Vec::new());
        Self {
            name: info.name,
            title: info.title,
            kind: TaskKind::Classification,
            text_columns: none(),
            pair_columns: none(),
            pair_required: false,
            label_columns: info.label_columns,
            labels: None,
            no_label: info.no_label,
            range: None,
            headerless: info.headerless,
            skip_malformed: info.skip_malformed,
            mismatched: false,
            files: info.files,
            hub: info.hub,
            metrics: info.metrics,
            defaults: info.defaults,
            regimes: info.regimes,
            prompt: None,
            label_form: None,
            answerable: None,
            held_out: info.held_out,
            balanced: info.balanced,
        }
    }

    fn task(self) -> Task {
        let headerless = match &self.prompt {
            Some(prompt) => prompt.headerless.clone(),
            None => self.headerless,
        };
        let info = TaskInfo {
            name: self.name,
            title: self.title,
            label_columns: self.label_columns,
            no_label: self.no_label,
            headerless,
            skip_malformed: self.skip_malformed,
            files: self.files,
            hub: self.hub,
            metrics: self.metrics,
            defaults: self.defaults,
            regimes: self.regimes,
            held_out: self.held_out,
            balanced: self.balanced,
        };
        match self.prompt {
            Some(prompt) => Task::Prompted(PromptTask {
                info,
                template: prompt.template,
                candidates: prompt.candidates,
                labels: prompt.labels,
                form: prompt.form,
                dev_size: prompt.defaults.dev_size,
                max_new_tokens: prompt.defaults.max_new_tokens,
            }),
            None => Task::Labelled(LabelledTask {
                info,
                text_columns: self.text_columns,
                pair_columns: self.pair_columns,
                pair_required: self.pair_required,
                mismatched: self.mismatched,
                target: match self.kind {
                    TaskKind::Classification => LabelTarget::Classes(self.labels),
                    TaskKind::MultiLabel => LabelTarget::Labels(MultiLabel {
                        labels: self.labels,
                        form: self.label_form.unwrap_or(LabelForm::Columns),
                    }),
                    TaskKind::TokenClassification => LabelTarget::Tags(self.labels),
                    TaskKind::Regression => LabelTarget::Value(self.range),
                    TaskKind::QuestionAnswering => {
                        LabelTarget::Answer(self.answerable.unwrap_or_default())
                    }
                    TaskKind::Similarity => {
                        LabelTarget::Similarity(self.range.unwrap_or(SIMILARITY))
                    }
                    TaskKind::Ranking => LabelTarget::Ranking,
                },
            }),
        }
    }

    /// The first key whose value contradicts what the rest of the program relies on.
    fn sound(&self) -> Result<(), &'static str> {
        let classes = self.labels.as_ref().map(Vec::len);
        let defaults = &self.defaults;
        let others = [
            defaults.epochs_large,
            defaults.epochs_roberta,
            defaults.train_size,
        ];
        let ordered = |(low, high): (f64, f64)| low.is_finite() && high.is_finite() && low < high;
        let metric = |metric: &Metric| match &self.prompt {
            None => self.kind.suits(*metric, classes),
            Some(prompt) => prompt.kind.suits(*metric, classes),
        };
        check(is_file_name(&self.name), "name")?;
        // From which names of files are made.
        check(is_file_name(&self.title), "title")?;
        check(
            self.prompt.is_some() || !self.text_columns.is_empty(),
            "text_columns",
        )?;
        check(!self.label_columns.is_empty(), "label_columns")?;
        check(self.labels.iter().all(|labels| distinct(labels)), "labels")?;
        check(
            self.labels.is_none()
                || matches!(self.kind, TaskKind::Classification | TaskKind::MultiLabel)
                || self.kind == TaskKind::TokenClassification,
            "labels",
        )?;
        let separated = |form: &LabelForm| match form {
            LabelForm::Separated(separator) => !separator.is_empty(),
            LabelForm::Columns => true,
        };
        check(
            self.label_form.is_some() == (self.kind == TaskKind::MultiLabel)
                && self.label_form.iter().all(separated),
            "label_form",
        )?;
        check(
            self.answerable.is_some() == (self.kind == TaskKind::QuestionAnswering),
            "answerable",
        )?;
        check(
            !self.kind.compares_texts() || !self.pair_columns.is_empty(),
            "pair_columns",
        )?;
        let part = |held_out: HeldOut| held_out.share > 0.0 && held_out.share < 1.0;
        check(self.held_out.is_none_or(part), "held_out")?;
        check(self.range.is_none_or(ordered), "range")?;
        check(
            !self.metrics.is_empty() && self.metrics.iter().all(metric),
            "metrics",
        )?;
        let sizes = [defaults.epochs, defaults.batch_size];
        let others = others.into_iter().chain([defaults.max_length]);
        let sizes = sizes.into_iter().chain(others.flatten());
        check(
            is_rate(defaults.learning_rate) && positive(sizes),
            "defaults",
        )?;
        self.prompt.as_ref().map_or(Ok(()), |prompt| prompt.sound())
    }
}

impl WrittenPrompt {
    fn sound(&self) -> Result<(), &'static str> {
        let texts = match &self.candidates {
            Candidates::Classes(texts) => Some(texts.len()),
            Candidates::Choices(texts) => Some(texts.len()),
            Candidates::Each(_) | Candidates::Answer(_) => None,
        };
        let labels = self.labels.as_ref();
        let as_many = match (texts, labels) {
            (Some(texts), Some(labels)) => texts == labels.len(),
            (Some(texts), None) => !matches!(self.candidates, Candidates::Classes(_)) && texts > 1,
            (None, _) => true,
        };
        check(self.kind == self.candidates.kind(), "prompt.kind")?;
        check(as_many, "prompt.candidates")?;
        check(
            labels.is_none_or(|labels| distinct(labels)),
            "prompt.labels",
        )?;
        check(!self.label_columns.is_empty(), "prompt.label_columns")?;
        let suits = |metric: &Metric| self.kind.suits(*metric, texts);
        check(
            !self.metrics.is_empty() && self.metrics.iter().all(suits),
            "prompt.metrics",
        )?;
        let defaults = &self.defaults;
        let sizes = [
            defaults.epochs,
            defaults.batch_size,
            defaults.train_size,
            defaults.dev_size,
            defaults.max_length,
            defaults.max_new_tokens,
        ];
        check(
            is_rate(defaults.learning_rate) && positive(sizes.into_iter()),
            "prompt.defaults",
        )
    }
}

fn check(sound: bool, key: &'static str) -> Result<(), &'static str> {
    sound.then_some(()).ok_or(key)
}

/// Two labels or more, which have their names among their spellings and share none.
fn distinct(labels: &[ClassLabel]) -> bool {
    let mut all: Vec<&String> = labels.iter().flat_map(|label| &label.spellings).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    let named = |label: &ClassLabel| label.spellings.contains(&label.name);
    labels.len() > 1 && all.len() == count && labels.iter().all(named)
}

fn positive(mut sizes: impl Iterator<Item = usize>) -> bool {
    sizes.all(|size| size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = Task> {
        let encoders = LabelledTask::names().map(|name| LabelledTask::named(name).unwrap().into());
        let decoders = PromptTask::names().map(|name| PromptTask::named(name).unwrap().into());
        encoders.chain(decoders)
    }

    #[test]
    fn every_built_in_task_comes_back_as_it_was() {
        for task in all() {
            assert!(task.is_built_in(), "{}", task.name);
            let text = task.definition().to_string();
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(Task::from_definition(&read).unwrap(), task);
            let mut other = task;
            other.defaults.learning_rate *= 3.0;
            assert!(!other.is_built_in());
            assert_eq!(Task::from_definition(&other.definition()).unwrap(), other);
        }
    }

    #[test]
    fn a_definition_that_makes_no_sense_is_refused() {
        let rte = Task::from(LabelledTask::named("rte").unwrap()).definition();
        let copa = Task::from(PromptTask::named("copa").unwrap()).definition();
        for (of, pointer, value, expected) in [
            (&rte, "/name", Value::from("a/b"), "`name` makes no sense"),
            (
                &rte,
                "/title",
                Value::from("../a"),
                "`title` makes no sense",
            ),
            (
                &rte,
                "/metrics",
                Value::Array(Vec::new()),
                "`metrics` makes no sense",
            ),
            (
                &rte,
                "/metrics",
                serde_json::json!(["pearson"]),
                "`metrics` makes no sense",
            ),
            (
                &rte,
                "/metrics",
                serde_json::json!(["bleu"]),
                "unknown variant `bleu`",
            ),
            (
                &rte,
                "/kind",
                Value::from("regression"),
                "`labels` makes no sense",
            ),
            (
                &rte,
                "/label_columns",
                Value::Array(Vec::new()),
                "`label_columns` makes no sense",
            ),
            (
                &rte,
                "/text_columns/first",
                Value::Array(Vec::new()),
                "`text_columns` makes no sense",
            ),
            (
                &rte,
                "/labels/0/name",
                Value::from("other"),
                "`labels` makes no sense",
            ),
            (
                &rte,
                "/labels/0/spellings/1",
                Value::from("1"),
                "`labels` makes no sense",
            ),
            (
                &rte,
                "/defaults/epochs",
                Value::from(0),
                "`defaults` makes no sense",
            ),
            (
                &rte,
                "/defaults/learning_rate",
                Value::from(-1),
                "`defaults` makes no sense",
            ),
            (
                &rte,
                "/range",
                serde_json::json!([5, 0]),
                "`range` makes no sense",
            ),
            (
                &copa,
                "/prompt/kind",
                Value::from("generation"),
                "`metrics` makes no sense",
            ),
            (
                &copa,
                "/prompt/template",
                Value::from("{a"),
                "`{` opens behind `` and never closes",
            ),
            (
                &copa,
                "/prompt/defaults/max_new_tokens",
                Value::from(0),
                "`prompt.defaults`",
            ),
        ] {
            let mut definition = of.clone();
            *definition.pointer_mut(pointer).unwrap() = value;
            let error = Task::from_definition(&definition).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{pointer}: {error}");
        }
        let mut other = rte.clone();
        other["colour"] = Value::from(1);
        let error = Task::from_definition(&other).unwrap_err().to_string();
        assert!(error.starts_with("unknown field `colour`"), "{error}");
        assert!(Task::from_definition(&Value::from("rte")).is_err());
    }
}
