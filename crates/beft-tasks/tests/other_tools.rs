//! Files as datasets, pandas, polars and pyarrow write them (`xtask/python/make_data_fixtures.py`): the same three
//! rows in each.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use beft_tasks::{Dataset, Label, LabelledTask, PromptSet, PromptTask, Split, Task, TaskInput};

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data");
    folder.join(name)
}

fn text() -> LabelledTask {
    LabelledTask::named("text").unwrap()
}

fn load(name: &str, known: Option<&[&str]>) -> Result<Dataset, String> {
    let known: Option<Vec<String>> =
        known.map(|names| names.iter().map(|&n| n.to_owned()).collect());
    let path = fixture(name);
    let data = text().load_file(&path, known.as_deref());
    data.map_err(|error| error.to_string().replace(&path.display().to_string(), name))
}

fn classes(data: &Dataset) -> Vec<usize> {
    let labels = data.examples.iter().map(|example| example.label.clone());
    labels
        .map(|label| label.as_ref().and_then(Label::class).unwrap())
        .collect()
}

fn names() -> Vec<String> {
    let files = fs::read_dir(fixture("")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Files that are refused, or tell something else; all others hold the three rows.
const OTHERS: [&str; 16] = [
    "datasets-hidden.parquet",
    "pandas-brotli.parquet",
    "pandas-columns.json",
    "pandas-float.csv",
    "pandas-fraction.parquet",
    "pandas-index.json",
    "pandas-null.parquet",
    "pandas-quoted.tsv",
    "pandas-split.json",
    "pandas-table.json",
    "pandas-values.json",
    "polars-nan.parquet",
    "pyarrow-date.parquet",
    "pyarrow-decimal.parquet",
    "datasets-classes-turned.parquet",
    "datasets-tags.parquet",
];

#[test]
fn the_same_rows_from_every_tool() {
    let mut read = 0;
    for name in names()
        .iter()
        .filter(|name| !OTHERS.contains(&name.as_str()))
    {
        let data = load(name, None).unwrap_or_else(|error| panic!("{error}"));
        let texts: Vec<_> = data.examples.iter().map(|e| e.text.as_str()).collect();
        assert_eq!(texts, ["say \"hi\", twice", "caf\u{e9}", "plain"], "{name}");
        let set = data.labels.join(" ");
        match name.as_str() {
            "pandas-bool.parquet" => assert_eq!(set, "false true"),
            "pandas-category.parquet"
            | "polars-categorical.parquet"
            | "pyarrow-large-string.parquet" => assert_eq!(set, "neg pos"),
            _ => assert_eq!(set, "0 1", "{name}"),
        }
        assert_eq!(classes(&data), [1, 0, 1], "{name}");
        // What was taken to separate is said.
        let noted = ["pandas-semicolon.csv", "pandas-tab.csv"].contains(&name.as_str());
        assert_eq!(
            data.notes.len(),
            usize::from(noted),
            "{name} {:?}",
            data.notes
        );
        // As inputs they have the same texts.
        let rows = Task::from(text())
            .open_inputs(&fixture(name), None)
            .unwrap();
        let inputs: Vec<TaskInput> = rows.map(|row| row.unwrap().input).collect();
        let same = inputs.iter().zip(&texts).all(|(input, text)| match input {
            TaskInput::Text(example) => example.text == *text,
            TaskInput::Prompt(_) => false,
        });
        assert!(same && inputs.len() == texts.len(), "{name}");
        read += 1;
    }
    assert_eq!(read + OTHERS.len(), names().len());
}

#[test]
fn what_cannot_be_taken_for_rows_is_refused_by_name() {
    for (name, expected) in [
        (
            "pandas-brotli.parquet",
            ": compressed with brotli, which is not read here: write it",
        ),
        (
            "pandas-columns.json",
            ": one object of objects (by columns or by an index), not rows: write",
        ),
        (
            "pandas-index.json",
            ": one object of objects (by columns or by an index), not rows: write",
        ),
        (
            "pandas-split.json",
            ": one object with the rows in its field `data`: write rows",
        ),
        (
            "pandas-table.json",
            ": one object with the rows in its field `data`: write rows",
        ),
        (
            "pandas-values.json",
            ": an array of arrays, which does not name the columns: write rows",
        ),
        (
            "pandas-fraction.parquet",
            ", row 2: field `label` is a number with a fraction: it must",
        ),
        (
            "pyarrow-date.parquet",
            ": field `label` is of another type: it must be a string, an integer",
        ),
        (
            "pyarrow-decimal.parquet",
            ": field `label` is of another type: it must be a string",
        ),
    ] {
        let error = load(name, None).unwrap_err();
        assert!(error.starts_with(&format!("{name}{expected}")), "{error}");
    }
    // Rows without a label are counted.
    for (name, line) in [
        ("pandas-null.parquet", 2),
        ("polars-nan.parquet", 2),
        ("pandas-float.csv", 3),
    ] {
        assert_eq!(load(name, None).unwrap().skipped, [line], "{name}");
    }
    let error = load("pandas-quoted.tsv", None).unwrap_err();
    assert!(
        error.contains("no column `label`: found `\"text\"`, `\"label\"`"),
        "{error}"
    );
    assert!(error.contains("QUOTE_NONE"), "{error}");
}

/// Integers of a column of classes are what their names say, not what the number would be here.
#[test]
fn the_names_that_datasets_keeps_are_those_of_its_integers() {
    for known in [&["neg", "pos"][..], &["NEG", "POS"]] {
        for name in [
            "datasets-classes.parquet",
            "datasets-classes-turned.parquet",
        ] {
            assert_eq!(
                classes(&load(name, Some(known)).unwrap()),
                [1, 0, 1],
                "{name}"
            );
        }
    }
    // Where nobody else names the classes, they are numbers, as in the CSV file of the same data.
    assert_eq!(
        load("datasets-classes.parquet", None).unwrap().labels,
        ["0", "1"]
    );
    assert_eq!(load("datasets.csv", None).unwrap().labels, ["0", "1"]);
    let numbered = load("datasets-classes.parquet", Some(&["LABEL_0", "LABEL_1"])).unwrap();
    assert_eq!(classes(&numbered), [1, 0, 1]);
    assert!(load("datasets-classes.parquet", Some(&["bad", "good"])).is_err());
}

#[test]
fn labels_that_are_kept_back_or_missing_are_none_where_none_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let known = ["0", "1"].map(str::to_owned);
    let loaded = |name: &str| {
        let data = text()
            .load(folder.path(), Split::Test, Some(&known))
            .unwrap();
        let labels: Vec<_> = data
            .examples
            .iter()
            .map(|example| example.label.clone())
            .collect();
        assert_eq!(data.path, path(name));
        fs::remove_file(path(name)).unwrap();
        labels
    };
    for (name, expected) in [
        ("datasets-hidden.parquet", [None, None, None]),
        ("pandas-null.parquet", [Some(1), None, Some(0)]),
        ("polars-nan.parquet", [Some(1), None, Some(0)]),
        ("pandas-float.csv", [Some(1), None, Some(0)]),
    ] {
        let target = format!("test.{}", name.rsplit('.').next().unwrap());
        fs::copy(fixture(name), path(&target)).unwrap();
        assert_eq!(
            loaded(&target),
            expected.map(|class| class.map(Label::Class)),
            "{name}"
        );
    }
    for (name, content) in [
        ("test.tsv", "text\tlabel\na\t-1\nb\t\nc\t1.0\n"),
        ("test.csv", "text,label\na,-1\nb,\nc,1\n"),
        (
            "test.jsonl",
            "{\"text\": \"a\", \"label\": -1}\n{\"text\": \"b\"}\n{\"text\": \"c\", \"label\": 1.0}\n",
        ),
        (
            "test.json",
            "[{\"text\": \"a\", \"label\": null}, {\"text\": \"b\"}, {\"text\": \"c\", \"label\": 1}]",
        ),
    ] {
        fs::write(path(name), content).unwrap();
        assert_eq!(loaded(name), [None, None, Some(Label::Class(1))], "{name}");
    }
    // Where labels are needed, each of these is the same error.
    for (name, content) in [
        ("dev.tsv", "text\tlabel\na\t-1\n"),
        ("dev.csv", "text,label\na,-1.0\n"),
        ("dev.jsonl", "{\"text\": \"a\", \"label\": -1}\n"),
        ("dev.json", "[{\"text\": \"a\", \"label\": null}]\n"),
    ] {
        fs::write(path(name), content).unwrap();
        let error = text()
            .load(folder.path(), Split::Dev, Some(&known))
            .unwrap_err()
            .to_string();
        let expected = format!("{name}: none of its 1 rows has a label");
        assert!(error.contains(&expected), "{error}");
        fs::remove_file(path(name)).unwrap();
    }
}

/// A decoder's prompts are made of the same rows.
#[test]
fn prompts_are_made_of_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let toml = folder.path().join("task.toml");
    let content = "name = 'a'\nlabels = ['0', '1']\n[prompt]\ntemplate = '{text}'\ncandidates = ['no', 'yes']\n";
    fs::write(&toml, content).unwrap();
    let task = PromptTask::from_toml(&toml).unwrap();
    for name in [
        "datasets-array.json",
        "datasets-classes.parquet",
        "datasets-lines.json",
        "pandas-float64.parquet",
        "pandas-lz4.parquet",
        "pandas-semicolon.csv",
        "pandas-tab.csv",
        "pandas-index.csv",
        "polars-default.parquet",
    ] {
        let set = task.load_file(&fixture(name)).unwrap();
        let said: Vec<_> = set.examples.iter().map(|e| e.demonstration()).collect();
        assert_eq!(
            said,
            ["say \"hi\", twiceyes", "caf\u{e9}no", "plainyes"],
            "{name}"
        );
    }
    let error = |name: &str| task.load_file(&fixture(name)).unwrap_err().to_string();
    assert!(error("pandas-brotli.parquet").contains("compressed with brotli"));
    assert!(error("pandas-columns.json").contains("one object of objects"));
    assert!(
        error("datasets-hidden.parquet")
            .ends_with(", row 1: the label is missing: fill in the column `label`")
    );

    // A test split needs no labels.
    let hidden = folder.path().join("test-00000-of-00001-0123abcd.parquet");
    fs::copy(fixture("datasets-hidden.parquet"), hidden).unwrap();
    let set: PromptSet = task.load(folder.path(), Split::Test).unwrap();
    assert!(set.examples.iter().all(|example| example.right.is_empty()));
    let words = "name = 'a'\nlabels = ['No', 'Yes']\n[prompt]\ntemplate = '{text}'\ncandidates = ['no', 'yes']\n";
    fs::write(&toml, words).unwrap();
    let rows = folder.path().join("rows.csv");
    fs::write(&rows, "text,label\na,YES\nb,no\nc,1.0\n").unwrap();
    let set = PromptTask::from_toml(&toml)
        .unwrap()
        .load_file(&rows)
        .unwrap();
    let right: Vec<_> = set.examples.iter().map(|e| e.right[0]).collect();
    assert_eq!(right, [1, 0, 1]);
}

#[test]
fn damaged_compressed_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "polars-default.parquet",
        "pandas-gzip.parquet",
        "pandas-lz4.parquet",
    ] {
        let whole = fs::read(fixture(name)).unwrap();
        for index in 0..whole.len() {
            let mut broken = whole.clone();
            broken[index] ^= 0x11;
            let path = dir.path().join(name);
            fs::write(&path, broken).unwrap();
            let _ = text().load_file(&path, None);
            if let Ok(rows) = Task::from(text()).open_inputs(&path, None) {
                rows.for_each(drop);
            }
        }
    }
}
