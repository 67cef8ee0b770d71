//! A task as a value that is kept beside what was trained on it.

use serde_json::Value;

use crate::{Candidates, ClassLabel, Metric, PromptTask, Task, TaskError, TaskKind};

impl Task {
    /// Whether it is a built-in task, in the form for encoders or that for decoders, as it stands
    /// in the tables.
    pub fn is_built_in(&self) -> bool {
        match &self.prompt {
            None => Self::named(&self.name).is_ok_and(|task| task == *self),
            Some(_) => PromptTask::named(&self.name).is_ok_and(|task| task.into_task() == *self),
        }
    }

    /// The whole task as a JSON value, from which [`Task::from_definition`] makes an equal one.
    pub fn definition(&self) -> Value {
        // There is nothing in it that JSON cannot hold.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The task that [`Task::definition`] gave.
    ///
    /// # Errors
    ///
    /// [`TaskError::Definition`] when a key is missing, unknown, or has a value that makes no sense.
    pub fn from_definition(definition: &Value) -> Result<Self, TaskError> {
        let wrong = |message: String| TaskError::Definition { message };
        let task: Self =
            serde_json::from_value(definition.clone()).map_err(|e| wrong(e.to_string()))?;
        match task.sound() {
            Ok(()) => Ok(task),
            Err(key) => Err(wrong(format!("`{key}` makes no sense"))),
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
            None => metric.suits(self.kind, classes),
            Some(prompt) => metric.suits_prompt(prompt.kind, classes),
        };
        check(plain(&self.name), "name")?;
        // From which names of files are made.
        check(plain(&self.title), "title")?;
        check(
            self.prompt.is_some() || !self.text_columns.is_empty(),
            "text_columns",
        )?;
        check(!self.label_columns.is_empty(), "label_columns")?;
        check(self.labels.iter().all(|labels| distinct(labels)), "labels")?;
        check(
            self.labels.is_none() || self.kind == TaskKind::Classification,
            "labels",
        )?;
        check(self.range.is_none_or(ordered), "range")?;
        check(
            !self.metrics.is_empty() && self.metrics.iter().all(metric),
            "metrics",
        )?;
        let sizes = [defaults.epochs, defaults.batch_size];
        let others = others.into_iter().chain([defaults.max_length]);
        let sizes = sizes.into_iter().chain(others.flatten());
        check(rate(defaults.learning_rate) && positive(sizes), "defaults")?;
        self.prompt.as_ref().map_or(Ok(()), |prompt| prompt.sound())
    }
}

impl PromptTask {
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
        let suits = |metric: &Metric| metric.suits_prompt(self.kind, texts);
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
            rate(defaults.learning_rate) && positive(sizes.into_iter()),
            "prompt.defaults",
        )
    }
}

fn check(sound: bool, key: &'static str) -> Result<(), &'static str> {
    sound.then_some(()).ok_or(key)
}

fn plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !name.is_empty() && name.chars().all(plain)
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

fn rate(rate: f64) -> bool {
    rate.is_finite() && rate > 0.0
}

fn positive(mut sizes: impl Iterator<Item = usize>) -> bool {
    sizes.all(|size| size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = Task> {
        let encoders = Task::names().map(|name| Task::named(name).unwrap());
        let decoders = PromptTask::names().map(|name| PromptTask::named(name).unwrap().into_task());
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
        let rte = Task::named("rte").unwrap().definition();
        let copa = PromptTask::named("copa").unwrap().into_task().definition();
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
            assert!(
                error.ends_with(": give the file of the task with --task"),
                "{error}"
            );
        }
        let mut other = rte.clone();
        other["colour"] = Value::from(1);
        let error = Task::from_definition(&other).unwrap_err().to_string();
        assert!(error.starts_with("unknown field `colour`"), "{error}");
        assert!(Task::from_definition(&Value::from("rte")).is_err());
    }
}
