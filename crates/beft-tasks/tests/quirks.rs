//! The odd sides of GLUE's and SuperGLUE's own files, in small files of the same form.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use beft_tasks::{Dataset, Label, LabelledTask, Split, Task};
use tempfile::TempDir;

fn data(name: &str, content: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(name), content).unwrap();
    dir
}

fn load(task: &str, split: Split, folder: &Path) -> Dataset {
    LabelledTask::named(task)
        .unwrap()
        .load(folder, split, None)
        .unwrap()
}

fn labels(data: &Dataset) -> Vec<Option<Label>> {
    data.examples.iter().map(|e| e.label.clone()).collect()
}

fn classes(classes: &[usize]) -> Vec<Option<Label>> {
    classes
        .iter()
        .map(|&class| Some(Label::Class(class)))
        .collect()
}

#[test]
fn cola_has_a_header_only_in_its_test_file() {
    let dir = data("train.tsv", "gj04\t1\t\tWe \"won.\nbc\t0\t*\tWon we.\n");
    let train = load("cola", Split::Train, dir.path());
    assert_eq!(labels(&train), classes(&[1, 0]));
    assert_eq!(
        (train.examples[0].text.as_str(), train.examples[0].line),
        ("We \"won.", 1)
    );
    let dir = data("test.tsv", "index\tsentence\n0\tWon.\n");
    let test = load("cola", Split::Test, dir.path());
    assert_eq!(
        (test.examples[0].text.as_str(), labels(&test)),
        ("Won.", vec![None])
    );
}

#[test]
fn qqp_has_malformed_lines() {
    let content = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n\
                   0\t1\t2\tWho?\t\"Who else?\t1\n1\t3\t4\tcut\n2\t5\t6\tWhy?\tHow?\t0\n\
                   3\t7\t8\ta\tb\tc\t1\n";
    let dir = data("train.tsv", content);
    let train = load("qqp", Split::Train, dir.path());
    assert_eq!(labels(&train), classes(&[1, 0]));
    assert_eq!(train.skipped, [3, 5]);
    assert_eq!(train.examples[0].text_pair.as_deref(), Some("\"Who else?"));

    // Where predictions stand beside the inputs, none may be lost.
    let task = LabelledTask::named("qqp").unwrap();
    let path = dir.path().join("train.tsv");
    let rows = Task::from(task.clone()).open_inputs(&path, None).unwrap();
    let error = rows.collect::<Result<Vec<_>, _>>().unwrap_err().to_string();
    assert!(error.contains(":3: found 4 columns, expected 6"), "{error}");
    // And other tasks have none.
    let dir = data("dev.tsv", "sentence\tlabel\na\t1\nb\n");
    let error = LabelledTask::named("sst2")
        .unwrap()
        .load(dir.path(), Split::Dev, None);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains(":3: found 1 columns")
    );
    let dir = data(
        "dev.tsv",
        "id\tquestion1\tquestion2\tis_duplicate\n1\ta b 1\n",
    );
    let error = task.load(dir.path(), Split::Dev, None).unwrap_err();
    assert!(error.to_string().contains("none of its 1 rows has a label"));
}

#[test]
fn mnli_has_two_dev_and_two_test_files() {
    let dir = tempfile::tempdir().unwrap();
    let header = "index\tsentence1_parse\tsentence1\tsentence2\tlabel1\tgold_label";
    for (name, text) in [("dev_matched.tsv", "m"), ("dev_mismatched.tsv", "mm")] {
        let content =
            format!("{header}\n0\tx\t{text}\tb\tneutral\tcontradiction\n1\tx\tc\td\tneutral\t-\n");
        fs::write(dir.path().join(name), content).unwrap();
    }
    let task = LabelledTask::named("mnli").unwrap();
    assert_eq!(task.dev_splits(), [Split::Dev, Split::DevMismatched]);
    assert_eq!(task.test_splits(), [Split::Test, Split::TestMismatched]);
    assert_eq!(
        LabelledTask::named("rte").unwrap().dev_splits(),
        [Split::Dev]
    );
    for (split, text) in task.dev_splits().iter().zip(["m", "mm"]) {
        let dev = load("mnli", *split, dir.path());
        assert_eq!(
            (labels(&dev), dev.skipped.as_slice()),
            (classes(&[2]), [3].as_slice())
        );
        assert_eq!(dev.examples[0].text, text);
    }
    let content = "index\tsentence1\tsentence2\n0\ta\tb\n";
    fs::write(dir.path().join("test_mismatched.tsv"), content).unwrap();
    let test = load("mnli", Split::TestMismatched, dir.path());
    assert_eq!(labels(&test), [None]);
    let error = task
        .load(dir.path(), Split::Test, None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no test file in this folder: looked for `test_matched.tsv`"));
}

#[test]
fn columns_of_the_other_tasks() {
    for (task, header, row, label) in [
        (
            "mrpc",
            "\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
            "1\t7\t8\ta\tb",
            1,
        ),
        (
            "qnli",
            "index\tquestion\tsentence\tlabel",
            "0\ta\tb\tnot_entailment",
            1,
        ),
        (
            "rte",
            "index\tsentence1\tsentence2\tlabel",
            "0\ta\tb\tentailment",
            0,
        ),
        (
            "wnli",
            "index\tsentence1\tsentence2\tlabel",
            "0\ta\tb\t1",
            1,
        ),
    ] {
        let dir = data("dev.tsv", &format!("{header}\r\n{row}\r\n"));
        let dev = load(task, Split::Dev, dir.path());
        let example = &dev.examples[0];
        assert_eq!(labels(&dev), classes(&[label]), "{task}");
        assert_eq!(
            (example.text.as_str(), example.text_pair.as_deref()),
            ("a", Some("b"))
        );
    }
    for (task, object, label) in [
        (
            "cb",
            r#"{"premise": "a", "hypothesis": "b", "label": "neutral", "idx": 0}"#,
            2,
        ),
        (
            "rte",
            r#"{"premise": "a", "hypothesis": "b", "label": "not_entailment"}"#,
            1,
        ),
        (
            "wic",
            r#"{"word": "w", "sentence1": "a", "sentence2": "b", "label": true}"#,
            1,
        ),
        (
            "boolq",
            r#"{"question": "a", "passage": "b", "label": false}"#,
            0,
        ),
    ] {
        let dir = data("val.jsonl", object);
        let dev = load(task, Split::Dev, dir.path());
        let example = &dev.examples[0];
        assert_eq!(labels(&dev), classes(&[label]), "{task}");
        assert_eq!(
            (example.text.as_str(), example.text_pair.as_deref()),
            ("a", Some("b"))
        );
    }
}

#[test]
fn similarities_are_numbers() {
    let header = "index\tgenre\tsentence1\tsentence2\tscore";
    let dir = data(
        "train.tsv",
        &format!("{header}\n0\tx\ta\tb\t3.750\n1\tx\tc\td\t5\n"),
    );
    let train = load("stsb", Split::Train, dir.path());
    assert!(train.labels.is_empty());
    assert_eq!(
        labels(&train),
        [3.75, 5.0].map(|value| Some(Label::Value(value)))
    );
    let path = dir.path().join("train.tsv");
    fs::write(&path, format!("{header}\n0\tx\ta\tb\tlots\n")).unwrap();
    let error = LabelledTask::named("stsb")
        .unwrap()
        .load(dir.path(), Split::Train, None);
    assert_eq!(
        error.unwrap_err().to_string(),
        format!(
            "{}:2: label `lots` is no finite number: correct it",
            path.display()
        )
    );
}
