//! Tasks described by the user.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use beft_tasks::{Label, Metric, ModelKind, Regime, Split, Task, TaskKind, TextColumns};

/// The example in the documentation.
fn documented() -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/task_file.rs");
    let source = fs::read_to_string(source).unwrap();
    let lines = source
        .lines()
        .map(|line| line.trim().trim_start_matches("///"));
    let toml = lines.skip_while(|line| line.trim() != "```toml").skip(1);
    let toml: Vec<_> = toml.take_while(|line| line.trim() != "```").collect();
    toml.join("\n")
}

fn task(toml: &str) -> Result<Task, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("task.toml");
    fs::write(&path, toml).unwrap();
    let task = Task::resolve(path.to_str().unwrap());
    task.map_err(|error| {
        let text = error.to_string();
        text.replace(&path.display().to_string(), "task.toml")
    })
}

#[test]
fn the_documented_file_is_a_task() {
    let task = task(&documented()).unwrap();
    assert_eq!(
        (task.name.as_str(), task.kind),
        ("intent", TaskKind::Classification)
    );
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let parts = TextColumns::Joined(names(&["title", "utterance"]));
    assert_eq!(task.text_columns, parts);
    assert_eq!(task.pair_columns, TextColumns::First(names(&["context"])));
    assert!(task.pair_required);
    assert_eq!(task.label_columns, ["intent"]);
    assert_eq!(task.label_names().unwrap(), ["no", "yes"]);
    assert_eq!(task.labels.as_ref().unwrap()[0].spellings, ["no", "n", "0"]);
    assert_eq!(task.metrics, [Metric::Accuracy, Metric::F1]);
    assert_eq!(task.files[&Split::Dev], "held-out.csv");
    assert_eq!(task.regime_size(Regime::Medium).unwrap(), 500);
    assert_eq!(task.epochs_for(ModelKind::Base), 16);
    assert_eq!(task.epochs_for(ModelKind::Roberta), 30);
    assert_eq!(task.defaults.train_size, Some(100));
    assert_eq!(
        task.hub_file(Split::Dev).unwrap(),
        "small/validation-00000-of-00001.parquet"
    );
    assert_eq!(task.glue_file_name(Split::Test), "intent.tsv");
}

#[test]
fn little_is_needed() {
    let task = task("name = 'mine'\ntext = 'body'\n").unwrap();
    let text = Task::named("text").unwrap();
    assert_eq!(task.text_columns.names(), ["body"]);
    assert!(task.pair_columns.is_empty() && !task.pair_required);
    assert_eq!(task.defaults, text.defaults);
    assert_eq!(task.metrics, text.metrics);
    assert_eq!((&task.labels, &task.hub), (&None, &None));

    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("train.csv"), "body,label\na,x\nb,y\n").unwrap();
    let data = task.load(dir.path(), Split::Train, None).unwrap();
    assert_eq!(data.labels, ["x", "y"]);
}

#[test]
fn a_task_of_values_reads_its_own_files() {
    let toml = "name = 'mos'\nkind = 'regression'\ntext = 'said'\nlabel = 'mean'\n\
                range = [1, 5]\ncolumns = ['mean', 'said']\n[files]\ntrain = 'a.tsv'\n";
    let task = task(toml).unwrap();
    assert_eq!(task.metrics, [Metric::Spearman, Metric::Pearson]);
    assert_eq!(task.label_names().unwrap(), [""; 0]);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.tsv"), "4.5\thello\n1\tbye\n").unwrap();
    let data = task.load(dir.path(), Split::Train, None).unwrap();
    let labels: Vec<_> = data.examples.iter().map(|e| e.label).collect();
    assert_eq!(labels, [4.5, 1.0].map(|value| Some(Label::Value(value))));
    let mut out = Vec::new();
    task.write_glue(&mut out, &[], &[Label::Value(9.0)])
        .unwrap();
    assert_eq!(out, b"index\tprediction\n0\t5.000\n");
}

#[test]
fn mistakes_are_named_with_their_line() {
    const BASE: &str = "name = 'a'\ntext = 'b'\n";
    for (toml, expected) in [
        (format!("{BASE}colour = 1\n"), ":3: unknown field `colour`"),
        (
            format!("{BASE}[defaults]\nrate = 1\n"),
            ":4: unknown field `rate`",
        ),
        (format!("{BASE}label = \n"), ":3: "),
        ("\ntext = 'b'\n".to_owned(), ": missing field `name`"),
        ("name = 'a'\n".to_owned(), ": missing field `text`"),
        (
            "name = 'a'\ntext = 5\n".to_owned(),
            ":2: expected a string or an array of strings",
        ),
        (
            "name = 'a'\ntext = []\n".to_owned(),
            ":2: a column needs a name",
        ),
        (
            "name = 'a/b'\ntext = 'b'\n".to_owned(),
            ":1: `name` must be made of letters",
        ),
        (
            "name = 'SST-2'\ntext = 'b'\n".to_owned(),
            ":1: `SST-2` is a built-in task",
        ),
        (
            format!("{BASE}kind = 'rank'\n"),
            ":3: unknown variant `rank`",
        ),
        (
            format!("{BASE}kind = 'regression'\nlabels = ['a', 'b']\n"),
            ":4: a regression task has",
        ),
        (
            format!("{BASE}range = [0, 5]\n"),
            ":3: `range` is for regression",
        ),
        (
            format!("{BASE}kind = 'regression'\nrange = [5, 0]\n"),
            ":4: `range` must be",
        ),
        (
            format!("{BASE}labels = ['a']\n"),
            ":3: `labels` must be at least two",
        ),
        (
            format!("{BASE}labels = ['a', ['b', 'a']]\n"),
            ":3: label `a` is there twice",
        ),
        (
            format!("{BASE}labels = ['a', ' b']\n"),
            ":3: `labels` must not",
        ),
        (format!("{BASE}metrics = []\n"), ":3: `metrics` must name"),
        (
            format!("{BASE}metrics = ['bleu']\n"),
            ":3: unknown variant `bleu`",
        ),
        (
            format!("{BASE}metrics = ['accuracy',\n'pearson']\n"),
            ":3: metric `pearson` does not fit",
        ),
        (
            format!("{BASE}labels = ['a', 'b', 'c']\nmetrics = ['f1']\n"),
            ":4: metric `f1`",
        ),
        (format!("{BASE}config = 'x'\n"), ":3: `config` needs `hub`"),
        (
            format!("{BASE}[regimes]\nlow = 0\n"),
            ":4: invalid value: integer `0`",
        ),
        (
            format!("{BASE}[defaults]\nlearning_rate = -1\n"),
            ":4: `learning_rate` must be",
        ),
        (
            format!("{BASE}[defaults]\nlearning_rate = nan\n"),
            ":4: `learning_rate` must be",
        ),
    ] {
        let error = task(&toml).unwrap_err();
        assert!(error.starts_with("task.toml:"), "{error}");
        assert!(error.contains(expected), "{toml}{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("task.toml");
    fs::write(&path, b"name = 'a'\ntext = '\xe9'\n").unwrap();
    let error = Task::from_toml(&path).unwrap_err().to_string();
    assert!(error.ends_with(":2: not UTF-8: save the file in the UTF-8 encoding"));
}
