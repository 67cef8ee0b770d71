use std::path::PathBuf;

/// One example of a prompt task. Texts are exact: spaces and ends of lines are those of the
/// template and the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptExample {
    /// The prompt.
    pub prompt: String,
    /// The candidates that may follow the prompt; empty in
    /// [`PromptKind::Generation`](super::PromptKind::Generation).
    pub candidates: Vec<String>,
    /// Indices of the right candidates, in order and at least one, several of them in ReCoRD; none
    /// in [`PromptKind::Generation`](super::PromptKind::Generation) and on rows without a label.
    pub right: Vec<usize>,
    /// The right answers of [`PromptKind::Generation`](super::PromptKind::Generation), at least one
    /// unless the row has none; the first is the one to learn.
    pub answers: Vec<String>,
    /// The prompt with every field empty, against which a prediction is calibrated.
    pub content_free: String,
    /// Line of the file, or row of a Parquet file, or number of the question in a JSON document,
    /// from 1. Examples made of one line share it.
    pub line: usize,
    /// Name of the group that the example belongs to: in MultiRC the question, as `paragraph.question`.
    pub group: Option<String>,
}

/// The examples of one file, or of one Parquet file in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptSet {
    /// The file; of several parts the first.
    pub path: PathBuf,
    /// The label names in index order; empty unless
    /// [`PromptKind::Classification`](super::PromptKind::Classification).
    pub labels: Vec<String>,
    /// Lines passed over because they have no label or a wrong number of columns, where the task
    /// allows it: see [`TaskInfo::no_label`](crate::TaskInfo::no_label) and
    /// [`TaskInfo::skip_malformed`](crate::TaskInfo::skip_malformed).
    pub skipped: Vec<usize>,
    /// Notes for the user about the file.
    pub notes: Vec<String>,
    /// The examples in file order, at least one.
    pub examples: Vec<PromptExample>,
}

impl PromptExample {
    /// Returns the prompt with its right continuation, as in training; only the prompt if no right
    /// continuation is known.
    pub fn demonstration(&self) -> String {
        self.prompt.clone() + &self.training_target()
    }

    /// Returns the continuation to learn: the first right candidate, or a space, the first answer and an end
    /// of line. It is empty if no right continuation is known.
    pub fn training_target(&self) -> String {
        let right = self
            .right
            .first()
            .and_then(|&right| self.candidates.get(right));
        match (right, self.answers.first()) {
            (Some(candidate), _) => candidate.clone(),
            (None, Some(answer)) => format!(" {answer}\n"),
            (None, None) => String::new(),
        }
    }
}
