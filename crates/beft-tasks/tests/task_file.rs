//! Tasks described by the user.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use beft_tasks::{
    Answerable, Label, LabelTarget, LabelledTask, Metric, PromptTask, ProtocolColumn, Regime,
    Split, Task, TaskInput, TaskKind, TextColumns,
};

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

fn task(toml: &str) -> Result<LabelledTask, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("task.toml");
    fs::write(&path, toml).unwrap();
    let task = LabelledTask::resolve(path.to_str().unwrap());
    task.map_err(|error| {
        let text = error.to_string();
        text.replace(&path.display().to_string(), "task.toml")
    })
}

#[test]
fn the_documented_file_is_a_task() {
    let task = task(&documented()).unwrap();
    assert_eq!(
        (task.name.as_str(), task.target.kind()),
        ("intent", TaskKind::Classification)
    );
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let parts = TextColumns::Joined(names(&["title", "utterance"]));
    assert_eq!(task.text_columns, parts);
    assert_eq!(task.pair_columns, TextColumns::First(names(&["context"])));
    assert!(task.pair_required);
    assert_eq!(task.label_columns, ["intent"]);
    assert_eq!(task.label_names().unwrap(), ["no", "yes"]);
    assert_eq!(task.classes().unwrap()[0].spellings, ["no", "n", "0"]);
    assert_eq!(task.metrics, [Metric::Accuracy, Metric::F1]);
    assert_eq!(task.files[&Split::Dev], "held-out.csv");
    assert_eq!(task.regime_size(Regime::Medium).unwrap(), 500);
    assert_eq!(task.epochs_for(ProtocolColumn::Base), 16);
    assert_eq!(task.epochs_for(ProtocolColumn::Roberta), 30);
    assert_eq!(task.defaults.train_size, Some(100));
    assert_eq!(
        Task::from(task.clone()).hub_file(Split::Dev).unwrap(),
        "small/validation-00000-of-00001.parquet"
    );
    assert_eq!(task.glue_file_name(Split::Test), "intent.tsv");
}

#[test]
fn questions_have_keys_of_their_own() {
    let short = task("name = 'a'\nkind = 'question_answering'\n").unwrap();
    assert_eq!(short.target, LabelTarget::Answer(Answerable::Always));
    assert_eq!(short.text_columns.names(), ["question"]);
    assert_eq!(
        (short.pair_columns.names(), short.pair_required),
        (&["context".to_owned()][..], true)
    );
    assert_eq!(short.label_columns, ["answers"]);
    assert_eq!(short.metrics, [Metric::TokenF1, Metric::ExactMatch]);
    let all = task(
        "name = 'a'\nkind = 'question_answering'\nquestion = 'q'\ncontext = ['title', 'body']\nanswers = 'a'\nanswerable = 'sometimes'\n",
    );
    let all = all.unwrap();
    assert_eq!(all.target, LabelTarget::Answer(Answerable::Sometimes));
    assert_eq!(all.pair_columns.names(), ["title", "body"]);
    // They are kept with an adapter.
    let all = Task::from(all);
    assert_eq!(Task::from_definition(&all.definition()).unwrap(), all);
    for (toml, expected) in [
        (
            "kind = 'question_answering'\ntext = 'q'",
            "a task of questions has no `text`: write `question`",
        ),
        (
            "kind = 'question_answering'\nlabel = 'q'",
            "a task of questions has no `label`: write `answers`",
        ),
        (
            "kind = 'question_answering'\nlabels = ['a', 'b']",
            "a task of questions has no `labels`",
        ),
        (
            "text = 'a'\nquestion = 'q'",
            "`question` is for tasks of `kind = \"question_answering\"`: remove it",
        ),
        (
            "text = 'a'\nanswerable = 'always'",
            "`answerable` is for tasks of `kind = \"question_answering\"`",
        ),
        (
            "kind = 'question_answering'\nmetrics = ['accuracy']",
            "metric `accuracy` does not fit the kind of task",
        ),
    ] {
        let error = task(&format!("name = 'a'\n{toml}\n")).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

/// The keys that serde expects in the table in which `toml` has the key `colour`.
fn keys(toml: &str) -> Vec<String> {
    let error = task(toml).unwrap_err();
    let (_, expected) = error
        .split_once("unknown field `colour`, expected one of ")
        .unwrap();
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_key_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tasks.md");
    let docs = fs::read_to_string(path).unwrap();
    let sections: Vec<&str> = docs.split("\n## ").collect();
    for (table, heading) in [
        ("", "Keys at the top"),
        ("[files]\n", "[files]"),
        ("[regimes]\n", "[regimes]"),
        ("[defaults]\n", "[defaults]"),
        ("[prompt]\ntemplate = '{a}'\n", "[prompt]"),
    ] {
        let keys = keys(&format!("name = 'a'\ntext = 'b'\n{table}colour = 1\n"));
        assert!(keys.len() > 2, "{keys:?}");
        let section = sections.iter().find(|section| section.starts_with(heading));
        let section = section.unwrap_or_else(|| panic!("no section {heading}"));
        for key in &keys {
            assert!(
                section.contains(&format!("\n| `{key}` |")),
                "{heading}: {key}"
            );
        }
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        assert_eq!(
            rows.count(),
            keys.len(),
            "{heading} documents a key that is none"
        );
    }
    // Its examples are files that are read.
    let mut examples = docs.split("```toml\n").skip(1);
    let all = examples.all(|example| {
        let toml = example.split("```").next().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("task.toml");
        fs::write(&path, toml).unwrap();
        LabelledTask::from_toml(&path).is_ok() || PromptTask::from_toml(&path).is_ok()
    });
    assert!(all);
}

#[test]
fn a_text_may_be_joined_or_have_alternatives() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.csv");
    let read = |toml: &str, content: &str| {
        fs::write(&path, content).unwrap();
        let task = task(&format!("name = 'a'\n{toml}\n")).unwrap();
        let rows = Task::from(task).open_inputs(&path, None);
        let rows = rows.and_then(|rows| {
            let texts = rows.map(|row| match row?.input {
                TaskInput::Text(e) => Ok((e.text, e.text_pair.unwrap_or_default())),
                TaskInput::Prompt(_) => unreachable!(),
            });
            texts.collect::<Result<Vec<_>, _>>()
        });
        rows.map_err(|error| {
            error
                .to_string()
                .replace(&path.display().to_string(), "a.csv")
        })
    };
    let pair = |text: &str, pair: &str| (text.to_owned(), pair.to_owned());
    assert_eq!(
        read("text = ['title', 'body']", "body,title\nb,a\nc,\n").unwrap(),
        [pair("a b", ""), pair("c", "")]
    );
    assert_eq!(
        read(
            "text = 'x'\npair = ['title', 'body']",
            "x,body,title\nt,b,a\n"
        )
        .unwrap(),
        [pair("t", "a b")]
    );
    assert_eq!(
        read("text = ['title', 'body']", "title,text\na,b\n").unwrap_err(),
        "a.csv:1: no column `body`: found `title`, `text`; rename or add a column"
    );
    let either = "text_alternatives = ['title', 'body']\npair_alternatives = ['q', 'r']";
    assert_eq!(read(either, "body,r\nb,1\n").unwrap(), [pair("b", "1")]);
    assert_eq!(
        read(either, "body,title,q,r\nb,a,0,1\n").unwrap(),
        [pair("a", "0")]
    );
    assert_eq!(
        read(either, "text,q\nb,0\n").unwrap_err(),
        "a.csv:1: no column `title` or `body`: found `text`, `q`; rename or add a column"
    );
}

#[test]
fn a_metric_that_does_not_fit_the_labels_of_the_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let task = task("name = 'a'\ntext = 'text'\nmetrics = ['accuracy', 'f1']\n").unwrap();
    let path = dir.path().join("train.csv");
    fs::write(&path, "text,label\na,x\nb,y\nc,z\n").unwrap();
    let error = task
        .load(dir.path(), Split::Train, None)
        .unwrap_err()
        .to_string();
    let expected = "train.csv: there are 3 labels (`x`, `y`, `z`), and the metric `f1` is of two: \
                    write `macro_f1` in the `metrics` of the task";
    assert!(error.ends_with(expected), "{error}");
    let known = ["x", "y", "z"].map(str::to_owned);
    assert!(task.load_file(&path, Some(&known)).is_err());
    // Nothing is measured where labels are not read.
    let rows = Task::from(task.clone()).open_inputs(&path, None).unwrap();
    assert!(rows.into_iter().all(|row| row.is_ok()));
    fs::write(&path, "text,label\na,x\nb,y\n").unwrap();
    assert!(task.load(dir.path(), Split::Train, None).is_ok());
}

#[test]
fn a_task_comes_back_from_its_definition() {
    for toml in [
        documented(),
        "name = 'a'\ntext = 'b'\n".to_owned(),
        "name = 'a'\nkind = 'regression'\ntext_alternatives = ['b', 'c']\nrange = [0, 0.3]\n"
            .to_owned(),
    ] {
        let task = Task::from(task(&toml).unwrap());
        assert!(!task.is_built_in());
        assert_eq!(Task::from_definition(&task.definition()).unwrap(), task);
    }
}

#[test]
fn little_is_needed() {
    let task = task("name = 'mine'\ntext = 'body'\n").unwrap();
    let text = LabelledTask::named("text").unwrap();
    assert_eq!(task.text_columns.names(), ["body"]);
    assert!(task.pair_columns.is_empty() && !task.pair_required);
    assert_eq!(task.defaults, text.defaults);
    assert_eq!(task.metrics, text.metrics);
    assert_eq!((task.classes(), &task.hub), (None, &None));

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
    let labels: Vec<_> = data.examples.iter().map(|e| e.label.clone()).collect();
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
            ":4: a task without classes has",
        ),
        (
            format!("{BASE}range = [0, 5]\n"),
            ":3: `range` is for tasks of numbers",
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
            format!("{BASE}kind = 'regression'\nbalanced = true\n"),
            ":4: `balanced` is for tasks with classes: remove it",
        ),
        (
            format!("{BASE}pair_required = false\n"),
            ":3: `pair_required` needs `pair`",
        ),
        (
            "name = 'a'\nkind = 'question_answering'\npair_required = false\n".to_owned(),
            ":3: a task of questions has no `pair_required`: write `context`",
        ),
        (
            format!("{BASE}metrics = ['f1', 'accuracy', 'f1']\n"),
            ":3: metric `f1` is there twice",
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
            ":4: metric `f1` is of two labels: write `macro_f1`",
        ),
        (
            format!("{BASE}text_alternatives = ['c']\n"),
            ":3: `text` and `text_alternatives` exclude each other",
        ),
        (
            format!("{BASE}pair_alternatives = []\n"),
            ":3: a column needs a name",
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
    let error = LabelledTask::from_toml(&path).unwrap_err().to_string();
    assert!(error.ends_with(
        ":2: not UTF-8, or with zero bytes: save the file in the UTF-8 encoding, without zero bytes"
    ));
}
