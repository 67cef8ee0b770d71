//! Parquet files as the hub ships them, written here.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use beft_tasks::{Dataset, Example, Label, LabelledTask, Split, Task, TaskInput};
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

enum Column<'a> {
    Text(&'a [Option<&'a str>]),
    Int(&'a [i64]),
    Float(&'a [f32]),
    Double(&'a [f64]),
    Bool(&'a [bool]),
    Bytes(&'a [u8]),
}

/// Writes columns in row groups of one file, each group with the same rows.
fn write(path: &Path, columns: &[(&str, Column<'_>)], groups: usize) {
    let fields = columns.iter().map(|(name, column)| match column {
        Column::Text(_) => format!("OPTIONAL BYTE_ARRAY {name} (UTF8);"),
        Column::Int(_) => format!("OPTIONAL INT64 {name};"),
        Column::Float(_) => format!("OPTIONAL FLOAT {name};"),
        Column::Double(_) => format!("REQUIRED DOUBLE {name};"),
        Column::Bool(_) => format!("OPTIONAL BOOLEAN {name};"),
        Column::Bytes(_) => format!("REQUIRED BYTE_ARRAY {name};"),
    });
    let schema = format!("message schema {{ {} }}", fields.collect::<String>());
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let snappy = WriterProperties::builder().set_compression(Compression::SNAPPY);
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(snappy.build())).unwrap();
    for _ in 0..groups {
        let mut group = writer.next_row_group().unwrap();
        for (_, column) in columns {
            let mut writer = group.next_column().unwrap().unwrap();
            let all = |rows: usize| vec![1; rows];
            match column {
                Column::Text(texts) => {
                    let levels: Vec<i16> = texts.iter().map(|t| t.is_some().into()).collect();
                    let texts: Vec<_> = texts
                        .iter()
                        .flatten()
                        .map(|&t| ByteArray::from(t))
                        .collect();
                    writer
                        .typed::<ByteArrayType>()
                        .write_batch(&texts, Some(&levels), None)
                }
                Column::Int(values) => {
                    writer
                        .typed::<Int64Type>()
                        .write_batch(values, Some(&all(values.len())), None)
                }
                Column::Float(values) => {
                    writer
                        .typed::<FloatType>()
                        .write_batch(values, Some(&all(values.len())), None)
                }
                Column::Double(values) => {
                    writer.typed::<DoubleType>().write_batch(values, None, None)
                }
                Column::Bool(values) => {
                    writer
                        .typed::<BoolType>()
                        .write_batch(values, Some(&all(values.len())), None)
                }
                Column::Bytes(bytes) => writer.typed::<ByteArrayType>().write_batch(
                    &[ByteArray::from(bytes.to_vec())],
                    None,
                    None,
                ),
            }
            .unwrap();
            writer.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
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

fn message(task: &str, path: &Path) -> String {
    let task = LabelledTask::named(task).unwrap();
    let error = task.load_file(path, None).unwrap_err().to_string();
    error.replace(&path.display().to_string(), "a.parquet")
}

const A: Column<'_> = Column::Text(&[Some("a "), Some("b\n\"caf\u{e9}")]);
const B: Column<'_> = Column::Text(&[Some("c"), Some("")]);

#[test]
fn shards_and_row_groups_are_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let task = LabelledTask::named("rte").unwrap();
    for (index, label) in [(0, [1, 0]), (1, [0, 0])] {
        let name = format!("train-0000{index}-of-00002.parquet");
        let columns = [
            ("idx", Column::Int(&[0, 1])),
            ("sentence2", B),
            ("label", Column::Int(&label)),
            ("sentence1", A),
        ];
        write(&dir.path().join(name), &columns, 2 - index);
    }
    let data = task.load(dir.path(), Split::Train, None).unwrap();
    assert_eq!(data.path, dir.path().join("train-00000-of-00002.parquet"));
    assert_eq!(data.labels, ["entailment", "not_entailment"]);
    assert_eq!(labels(&data), classes(&[1, 0, 1, 0, 0, 0]));
    let lines: Vec<_> = data.examples.iter().map(|e| e.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 1, 2]);
    assert_eq!(data.examples[3].text, "b\n\"caf\u{e9}");
    assert_eq!(data.examples[2].text_pair.as_deref(), Some("c"));

    let rows = Task::from(task).open_inputs(&data.path, None).unwrap();
    let inputs: Vec<TaskInput> = rows.map(|row| row.unwrap().input).collect();
    let unlabelled = |example: &Example| {
        TaskInput::Text(Example {
            label: None,
            ..example.clone()
        })
    };
    assert!(
        inputs
            .into_iter()
            .eq(data.examples[..4].iter().map(unlabelled))
    );
}

#[test]
fn a_test_file_has_no_labels() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test-00000-of-00001.parquet");
    for (task, label) in [
        ("wic", Column::Int(&[-1, -1])),
        ("mnli", Column::Int(&[-1, -1])),
        ("stsb", Column::Float(&[-1.0, -1.0])),
        ("wic", Column::Text(&[None, None])),
    ] {
        let name = if task == "mnli" {
            "premise"
        } else {
            "sentence1"
        };
        let pair = if task == "mnli" {
            "hypothesis"
        } else {
            "sentence2"
        };
        write(&path, &[(name, A), (pair, B), ("label", label)], 1);
        let data = LabelledTask::named(task)
            .unwrap()
            .load(dir.path(), Split::Test, None)
            .unwrap();
        assert_eq!(labels(&data), [None, None]);
        let rest = if task == "mnli" {
            ": none of its 2 rows has a label and the right number of columns: \
             check the separators and the label column"
        } else if task == "stsb" {
            ", row 1: the label is missing: fill in the column `score` or `label`"
        } else {
            ", row 1: the label is missing: fill in the column `label`"
        };
        assert_eq!(message(task, &path), format!("a.parquet{rest}"));
    }
    write(&path, &[("sentence1", A), ("sentence2", B)], 1);
    let data = LabelledTask::named("wic")
        .unwrap()
        .load(dir.path(), Split::Test, None)
        .unwrap();
    assert_eq!(labels(&data), [None, None]);
}

#[test]
fn labels_of_every_type() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let read = |task: &str, label: Column<'_>| {
        write(
            &path,
            &[("sentence1", A), ("sentence2", B), ("label", label)],
            1,
        );
        labels(
            &LabelledTask::named(task)
                .unwrap()
                .load_file(&path, None)
                .unwrap(),
        )
    };
    assert_eq!(read("wic", Column::Bool(&[true, false])), classes(&[1, 0]));
    let words = Column::Text(&[Some("not_entailment"), Some("entailment")]);
    assert_eq!(read("rte", words), classes(&[1, 0]));
    let values = [3.8, 0.0].map(|value| Some(Label::Value(value)));
    assert_eq!(read("stsb", Column::Float(&[3.8, 0.0])), values);
    assert_eq!(read("stsb", Column::Double(&[3.8, 0.0])), values);
    let values = [5.0, 0.0].map(|value| Some(Label::Value(value)));
    assert_eq!(read("stsb", Column::Int(&[5, 0])), values);

    // The user's own data, in which -1 is a label like others.
    write(&path, &[("text", A), ("label", Column::Int(&[1, -1]))], 1);
    let data = LabelledTask::named("text")
        .unwrap()
        .load_file(&path, None)
        .unwrap();
    assert_eq!(data.labels, ["-1", "1"]);
    assert_eq!(labels(&data), classes(&[1, 0]));
}

#[test]
fn mistakes_are_named_with_their_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    let good = || Column::Int(&[0, 1]);
    for (columns, expected) in [
        (
            [("sentence", A), ("label", Column::Int(&[0, 7]))],
            ", row 2: label `7` is not one of `0`, `1`: \
             correct it, use the labels of the training file, or name all labels in a task file (`labels`)",
        ),
        (
            [("body", A), ("label", good())],
            ": no column `sentence`: found `body`, `label`; rename or add a column",
        ),
        (
            [("sentence", A), ("class", good())],
            ": no column `label`: found `sentence`, `class`; rename or add a column",
        ),
        (
            [("sentence", good()), ("label", good())],
            ": field `sentence` is an integer: it must be a string",
        ),
        (
            [("sentence", A), ("label", Column::Double(&[0.0, 0.5]))],
            ", row 2: field `label` is a number with a fraction: \
             it must be a string, an integer or a boolean",
        ),
        (
            [
                ("sentence", Column::Text(&[Some("a"), None])),
                ("label", good()),
            ],
            ", row 2: field `sentence` is null: it must be a string",
        ),
        (
            [
                ("sentence", Column::Bytes(b"\xff")),
                ("label", Column::Int(&[1])),
            ],
            ", row 1: not UTF-8, or with zero bytes: save the file in the UTF-8 encoding, without zero bytes",
        ),
    ] {
        write(&path, &columns, 1);
        assert_eq!(message("sst2", &path), format!("a.parquet{expected}"));
    }
    write(&path, &[("sentence", A), ("label", good())], 0);
    assert_eq!(
        message("sst2", &path),
        "a.parquet: the file is empty: give one with rows"
    );
}

#[test]
fn files_that_are_no_parquet() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.parquet");
    write(
        &path,
        &[("sentence", A), ("label", Column::Int(&[0, 1]))],
        1,
    );
    let whole = fs::read(&path).unwrap();
    let task = LabelledTask::named("sst2").unwrap();
    for length in [0, 1, 7, 8, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = message("sst2", &path);
        assert!(
            error.starts_with("a.parquet: cannot be read as Parquet ("),
            "{error}"
        );
    }
    // Whatever is broken gives an error or other values, and never a panic.
    for index in 0..whole.len() {
        for bit in [1, 0x10, 0x80] {
            let mut broken = whole.clone();
            broken[index] ^= bit;
            fs::write(&path, &broken).unwrap();
            let _ = task.load_file(&path, None);
            if let Ok(rows) = Task::from(task.clone()).open_inputs(&path, None) {
                rows.for_each(drop);
            }
        }
    }
}
