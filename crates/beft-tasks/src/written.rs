//! A task as a task file, to start from.

use crate::{
    Answerable, Candidates, ClassLabel, Defaults, Form, LabelForm, LabelTarget, LabelledTask,
    PromptKind, PromptTask, Split, Task, TaskInfo, TextColumns,
};

impl Task {
    /// Writes the task as a task file, under another name. [`LabelledTask::from_toml`] or
    /// [`PromptTask::from_toml`] reads it as the same task.
    pub fn to_toml(&self, name: &str) -> String {
        let mut out = Toml::default();
        out.key("name", &string(name));
        match self {
            Self::Labelled(task) => labelled(&mut out, task),
            Self::Prompted(task) => prompted(&mut out, task),
        }
        out.0
    }
}

/// Lines of TOML.
#[derive(Default)]
struct Toml(String);

impl Toml {
    fn key(&mut self, key: &str, value: &str) {
        self.0 += &format!("{key} = {value}\n");
    }

    fn table(&mut self, name: &str) {
        self.0 += &format!("\n[{name}]\n");
    }

    fn number(&mut self, key: &str, value: Option<usize>) {
        if let Some(value) = value {
            self.key(key, &value.to_string());
        }
    }

    /// What all tasks have before their tables.
    fn info(&mut self, info: &TaskInfo) {
        if let Some(no_label) = &info.no_label {
            self.key("no_label", &string(no_label));
        }
        if info.skip_malformed {
            self.key("skip_malformed", "true");
        }
        if !info.headerless.is_empty() {
            self.key("columns", &list(&info.headerless));
        }
        if let Some(held_out) = info.held_out {
            self.key("dev_share", &held_out.share.to_string());
            self.key("split_seed", &held_out.seed.to_string());
        }
        if info.balanced {
            self.key("balanced", "true");
        }
    }

    fn label(&mut self, info: &TaskInfo) {
        self.names("label", &info.label_columns);
    }

    /// One name, or several.
    fn names(&mut self, key: &str, names: &[String]) {
        match names {
            [one] => self.key(key, &string(one)),
            several => self.key(key, &list(several)),
        }
    }

    fn metrics(&mut self, info: &TaskInfo) {
        let names: Vec<String> = info.metrics.iter().map(|m| m.name().to_owned()).collect();
        self.key("metrics", &list(&names));
    }

    fn files(&mut self, info: &TaskInfo) {
        if info.files.is_empty() {
            return;
        }
        self.table("files");
        for (split, key) in [
            (Split::Train, "train"),
            (Split::Dev, "dev"),
            (Split::Test, "test"),
        ] {
            if let Some(file) = info.files.get(&split) {
                self.key(key, &string(file));
            }
        }
    }
}

fn labelled(out: &mut Toml, task: &LabelledTask) {
    let kind = match &task.target {
        LabelTarget::Classes(_) => "classification",
        LabelTarget::Labels(_) => "multi_label",
        LabelTarget::Tags(_) => "token_classification",
        LabelTarget::Value(_) => "regression",
        LabelTarget::Answer(_) => "question_answering",
        LabelTarget::Similarity(_) => "similarity",
        LabelTarget::Ranking => "ranking",
    };
    out.key("kind", &string(kind));
    if let LabelTarget::Answer(answerable) = task.target {
        columns(out, "question", &task.text_columns);
        columns(out, "context", &task.pair_columns);
        columns(
            out,
            "answers",
            &TextColumns::First(task.label_columns.clone()),
        );
        match answerable {
            Answerable::Always => out.key("answerable", "\"always\""),
            Answerable::Sometimes => out.key("answerable", "\"sometimes\""),
        }
    } else {
        match &task.target {
            LabelTarget::Tags(_) => out.names("tokens", task.text_columns.names()),
            LabelTarget::Classes(_) | LabelTarget::Labels(_) => {
                columns(out, "text", &task.text_columns);
            }
            LabelTarget::Value(_) | LabelTarget::Answer(_) => {
                columns(out, "text", &task.text_columns);
            }
            LabelTarget::Similarity(_) | LabelTarget::Ranking => {
                columns(out, "text", &task.text_columns);
            }
        }
        if !task.pair_columns.is_empty() {
            columns(out, "pair", &task.pair_columns);
            if !task.pair_required {
                out.key("pair_required", "false");
            }
        }
    }
    match &task.target {
        LabelTarget::Answer(_) => {}
        LabelTarget::Labels(set) if set.form == LabelForm::Columns => {
            out.key("label_columns", &list(&task.label_columns));
        }
        LabelTarget::Classes(_)
        | LabelTarget::Labels(_)
        | LabelTarget::Tags(_)
        | LabelTarget::Similarity(_)
        | LabelTarget::Ranking
        | LabelTarget::Value(_) => {
            out.label(task);
            if let LabelTarget::Labels(set) = &task.target
                && let LabelForm::Separated(separator) = &set.form
            {
                out.key("separator", &string(separator));
            }
            if let Some(classes) = task.classes() {
                out.key("labels", &labels(classes));
            }
        }
    }
    if let LabelTarget::Value(Some((low, high))) | LabelTarget::Similarity((low, high)) =
        task.target
    {
        out.key("range", &format!("[{low:?}, {high:?}]"));
    }
    if task.mismatched {
        out.key("mismatched", "true");
    }
    out.info(task);
    out.metrics(task);
    if let Some(hub) = &task.hub {
        out.key("hub", &string(&hub.repo));
        if let Some(config) = &hub.config {
            out.key("config", &string(config));
        }
    }
    out.files(task);
    let regimes = task.regimes;
    if regimes != Default::default() {
        out.table("regimes");
        out.number("low", regimes.low);
        out.number("medium", regimes.medium);
        out.number("high", regimes.high);
    }
    let defaults = task.defaults;
    let usual = Defaults::default();
    if defaults != usual {
        out.table("defaults");
        out.key("learning_rate", &format!("{:?}", defaults.learning_rate));
        out.number("epochs", Some(defaults.epochs));
        out.number("epochs_large", defaults.epochs_large);
        out.number("epochs_roberta", defaults.epochs_roberta);
        out.number("train_size", defaults.train_size);
        out.number("batch_size", Some(defaults.batch_size));
        out.number("max_length", defaults.max_length);
    }
}

fn prompted(out: &mut Toml, task: &PromptTask) {
    match task.kind() {
        PromptKind::Classification | PromptKind::MultipleChoice => out.label(task),
        // The prompt says where its answers stand.
        PromptKind::Generation => {}
    }
    if let Some(classes) = &task.labels {
        out.key("labels", &labels(classes));
    }
    out.info(task);
    out.files(task);
    out.table("prompt");
    out.key("template", &string(task.template.source()));
    match &task.candidates {
        Candidates::Classes(texts) => out.key("candidates", &list(texts)),
        Candidates::Choices(templates) => {
            let texts: Vec<String> = templates.iter().map(|t| t.source().to_owned()).collect();
            out.key("candidates", &list(&texts));
        }
        Candidates::Each(template) => out.key("candidates", &string(template.source())),
        Candidates::Answer(template) => out.key("answer", &string(template.source())),
    }
    let form = match task.form {
        Form::Flat => None,
        Form::MultiRc => Some("multirc"),
        Form::Record => Some("record"),
        Form::Squad => Some("squad"),
        Form::Drop => Some("drop"),
    };
    if let Some(form) = form {
        out.key("form", &string(form));
    }
    out.metrics(task);
    let defaults = task.defaults;
    out.key("learning_rate", &format!("{:?}", defaults.learning_rate));
    out.number("epochs", Some(defaults.epochs));
    out.number("batch_size", Some(defaults.batch_size));
    out.number("train_size", defaults.train_size);
    out.number("dev_size", Some(task.dev_size));
    out.number("max_length", defaults.max_length);
    out.number("max_new_tokens", Some(task.max_new_tokens));
}

fn columns(out: &mut Toml, key: &str, columns: &TextColumns) {
    match columns {
        TextColumns::First(names) => match names.as_slice() {
            [one] => out.key(key, &string(one)),
            several => out.key(&format!("{key}_alternatives"), &list(several)),
        },
        TextColumns::Joined(names) => out.key(key, &list(names)),
    }
}

/// The classes, each by its name or with all its spellings, without the index that reading adds.
fn labels(classes: &[ClassLabel]) -> String {
    let indexed = classes.iter().enumerate().all(|(index, class)| {
        class.spellings.len() > 1 && class.spellings.last() == Some(&index.to_string())
    });
    let classes = classes.iter().map(|class| {
        let spellings = &class.spellings[..class.spellings.len() - usize::from(indexed)];
        match spellings {
            [one] => string(one),
            several => list(several),
        }
    });
    format!("[{}]", classes.collect::<Vec<_>>().join(", "))
}

/// A string of TOML; JSON's escapes are among those of TOML.
fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list(texts: &[String]) -> String {
    let texts = texts.iter().map(|text| string(text));
    format!("[{}]", texts.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_built_in_task_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("task.toml");
        for name in LabelledTask::names() {
            let task = LabelledTask::named(name).unwrap();
            let toml = Task::from(task.clone()).to_toml("mine");
            fs::write(&path, &toml).unwrap();
            let mut read = LabelledTask::from_toml(&path).unwrap_or_else(|e| panic!("{e}\n{toml}"));
            read.name.clone_from(&task.name);
            read.title.clone_from(&task.title);
            assert_eq!(read, task, "{toml}");
        }
        for name in PromptTask::names() {
            let task = PromptTask::named(name).unwrap();
            let toml = Task::from(task.clone()).to_toml("mine");
            fs::write(&path, &toml).unwrap();
            let mut read = PromptTask::from_toml(&path).unwrap_or_else(|e| panic!("{e}\n{toml}"));
            read.name.clone_from(&task.name);
            read.title.clone_from(&task.title);
            read.hub.clone_from(&task.hub);
            assert_eq!(read, task, "{toml}");
        }
    }
}
