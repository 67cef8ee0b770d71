//! Changes of a task that need no task file.

use beft_core::OutputKind;

use crate::target::class_labels;
use crate::task_file::default_metrics;
use crate::{
    HeldOut, LabelForm, LabelTarget, LabelledTask, Metric, MultiLabel, Task, TaskError, TaskKind,
    TextColumns,
};

/// What is different from a task as it stands in the tables or in a file. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskChanges {
    /// Columns whose texts are joined; none for those of the task.
    pub text: Vec<String>,
    /// The same for the second text of a pair.
    pub pair: Vec<String>,
    /// The column with the label, or of several labels one column each; none for those of the task.
    pub label: Vec<String>,
    /// Whether any number of labels may hold.
    pub multi_label: bool,
    /// What stands between several labels in one column; a comma by default.
    pub separator: Option<String>,
    /// The metrics; none for those of the task.
    pub metrics: Vec<Metric>,
    /// How one file is split.
    pub held_out: Option<HeldOut>,
    /// Whether rare classes count as much in the loss as frequent ones.
    pub balanced: bool,
}

impl Task {
    /// The task with these changes.
    ///
    /// # Errors
    ///
    /// [`TaskError::Change`] when a change is not for such a task.
    pub fn with(self, changes: &TaskChanges) -> Result<Self, TaskError> {
        let refuse = |task: &str, message: String| TaskError::Change {
            task: task.to_owned(),
            message,
        };
        if !changes.multi_label && (changes.label.len() > 1 || changes.separator.is_some()) {
            let what = match changes.separator {
                Some(_) => "a separator is",
                None => "several columns with labels are",
            };
            let message =
                format!("{what} for tasks in which several labels may hold: say that they may");
            return Err(refuse(&self.name, message));
        }
        if changes.label.len() > 1 && changes.separator.is_some() {
            let message =
                "a separator is for labels in one column: leave it out, or name one column";
            return Err(refuse(&self.name, message.to_owned()));
        }
        let mut task = match self {
            Self::Labelled(task) if task.target.kind() == TaskKind::TokenClassification => {
                if changes.multi_label || changes.text.len() > 1 || !changes.pair.is_empty() {
                    let message = "it reads a list of words in one column, with one tag for each";
                    return Err(refuse(&task.name, message.to_owned()));
                }
                Self::Labelled(task.with(changes))
            }
            Self::Labelled(task) => {
                let kind = task.target.kind();
                if changes.multi_label && kind.compares_texts() {
                    return Err(refuse(&task.name, "it has no labels".to_owned()));
                }
                Self::Labelled(task.with(changes))
            }
            Self::Prompted(task) => {
                let texts = [&changes.text, &changes.pair].iter().any(|c| !c.is_empty());
                if texts || changes.multi_label {
                    let message =
                        "its prompts say what is read; write a task file with a [prompt] table";
                    return Err(refuse(&task.name, message.to_owned()));
                }
                let mut task = task;
                if !changes.label.is_empty() {
                    task.label_columns.clone_from(&changes.label);
                }
                Self::Prompted(task)
            }
        };
        if !changes.metrics.is_empty() {
            task.metrics.clone_from(&changes.metrics);
        }
        let output = task.output();
        if let Some(metric) = task.metrics.iter().find(|metric| !metric.measures(output)) {
            let all = Metric::ALL
                .into_iter()
                .filter(|metric| metric.measures(output));
            let all: Vec<&str> = all.map(Metric::name).collect();
            let message = format!(
                "the metric `{metric}` does not measure what it asks for: choose from {}",
                all.join(", ")
            );
            return Err(refuse(&task.name, message));
        }
        match output {
            OutputKind::Classes | OutputKind::Labels | OutputKind::Tags => {}
            OutputKind::Value | OutputKind::Rank | OutputKind::Tokens | OutputKind::Answer
                if changes.balanced =>
            {
                let message = "it has no classes to balance: leave that out";
                return Err(refuse(&task.name, message.to_owned()));
            }
            OutputKind::Value | OutputKind::Rank => {}
            OutputKind::Tokens | OutputKind::Answer => {}
        }
        if changes.held_out.is_some() {
            task.held_out = changes.held_out;
        }
        task.balanced |= changes.balanced;
        Ok(task)
    }
}

impl LabelledTask {
    fn with(mut self, changes: &TaskChanges) -> Self {
        if !changes.text.is_empty() {
            self.text_columns = TextColumns::of(changes.text.clone());
            // Those of the task belong to its own text; but a question has a context, and what is compared two texts.
            if !self.target.kind().compares_texts() {
                self.pair_columns = TextColumns::First(Vec::new());
                self.pair_required = false;
            }
        }
        if !changes.pair.is_empty() {
            self.pair_columns = TextColumns::of(changes.pair.clone());
            self.pair_required = true;
        }
        if !changes.label.is_empty() {
            self.label_columns.clone_from(&changes.label);
        }
        if changes.multi_label {
            let each = self.label_columns.len() > 1 && !changes.label.is_empty();
            self.target = LabelTarget::Labels(match each {
                true => MultiLabel {
                    labels: Some(class_labels(
                        self.label_columns
                            .iter()
                            .map(|name| vec![name.clone()])
                            .collect(),
                    )),
                    form: LabelForm::Columns,
                },
                false => MultiLabel {
                    labels: self.classes().map(<[_]>::to_vec),
                    form: LabelForm::Separated(
                        changes.separator.clone().unwrap_or_else(|| ",".to_owned()),
                    ),
                },
            });
            self.metrics = default_metrics(self.target.kind());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn text() -> Task {
        LabelledTask::named("text").unwrap().into()
    }

    #[test]
    fn columns_and_labels_are_changed() {
        let changes = TaskChanges {
            text: names(&["subject", "body"]),
            label: names(&["queue"]),
            held_out: Some(HeldOut {
                share: 0.2,
                seed: 1,
            }),
            balanced: true,
            metrics: vec![Metric::MacroF1],
            ..TaskChanges::default()
        };
        let task = text().with(&changes).unwrap();
        assert!(task.balanced && !task.is_built_in());
        assert_eq!(
            (&task.label_columns, &task.metrics),
            (&names(&["queue"]), &vec![Metric::MacroF1])
        );
        // It travels with an adapter.
        assert_eq!(Task::from_definition(&task.definition()).unwrap(), task);
        assert_eq!(text().with(&TaskChanges::default()).unwrap(), text());
    }

    #[test]
    fn several_labels_are_in_one_column_or_in_one_each() {
        let several = |label: &[&str]| TaskChanges {
            label: names(label),
            multi_label: true,
            ..TaskChanges::default()
        };
        let one = text().with(&several(&["tags"])).unwrap();
        assert_eq!(one.metrics[0], Metric::MicroF1);
        let Task::Labelled(each) = text().with(&several(&["joy", "anger"])).unwrap() else {
            unreachable!();
        };
        assert_eq!(each.label_names(), Some(names(&["joy", "anger"])));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let changes = TaskChanges {
            metrics: vec![Metric::Pearson],
            ..TaskChanges::default()
        };
        let error = text().with(&changes).unwrap_err().to_string();
        assert!(
            error.contains("the metric `pearson` does not measure"),
            "{error}"
        );
        let prompted = Task::Prompted(crate::PromptTask::named("sst2").unwrap());
        let changes = TaskChanges {
            text: names(&["body"]),
            ..TaskChanges::default()
        };
        assert!(prompted.with(&changes).is_err());
    }
}
