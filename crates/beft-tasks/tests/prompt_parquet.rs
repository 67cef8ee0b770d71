//! Prompts of Parquet files as the hub ships them, with lists and nested columns, written here.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use beft_tasks::{Label, LabelledTask, PromptTask, Split};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// A column with its definition and repetition levels.
enum Column<'a> {
    Text(&'a [&'a str], &'a [i16], &'a [i16]),
    Int(&'a [i64], &'a [i16]),
}

fn write(path: &Path, schema: &str, columns: &[Column<'_>]) {
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let file = File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for column in columns {
        let mut writer = group.next_column().unwrap().unwrap();
        match column {
            Column::Text(texts, defined, repeated) => {
                let texts: Vec<_> = texts.iter().map(|&text| ByteArray::from(text)).collect();
                let typed = writer.typed::<ByteArrayType>();
                typed.write_batch(&texts, Some(defined), Some(repeated))
            }
            Column::Int(values, defined) => {
                let typed = writer.typed::<Int64Type>();
                typed.write_batch(values, Some(defined), None)
            }
        }
        .unwrap();
        writer.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn squad_keeps_its_answers_in_a_list() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("validation-00000-of-00001.parquet");
    write(
        &path,
        "message schema {
            OPTIONAL BYTE_ARRAY title (UTF8);
            OPTIONAL BYTE_ARRAY context (UTF8);
            OPTIONAL BYTE_ARRAY question (UTF8);
            OPTIONAL GROUP answers {
                OPTIONAL GROUP text (LIST) {
                    REPEATED GROUP list { OPTIONAL BYTE_ARRAY element (UTF8); }
                }
            }
        }",
        &[
            Column::Text(&["A_b", "C"], &[1, 1], &[0, 0]),
            Column::Text(&["It is.", "Caf\u{e9}."], &[1, 1], &[0, 0]),
            Column::Text(&["What?", "Where?"], &[1, 1], &[0, 0]),
            Column::Text(&["It", "is", "caf\u{e9}"], &[4, 4, 4], &[0, 1, 0]),
        ],
    );
    let task = PromptTask::named("squad").unwrap();
    let set = task.load(dir.path(), Split::Dev).unwrap();
    let prompt = "Title: A b\nContext: It is.\nQuestion: What?\nAnswer:";
    assert_eq!(set.examples[0].prompt, prompt);
    assert_eq!(set.examples[0].answers, ["It", "is"]);
    assert_eq!(set.examples[1].answers, ["caf\u{e9}"]);
    assert_eq!(set.examples[1].line, 2);

    // An encoder finds them in the context, where they stand in it letter by letter.
    let task = LabelledTask::named("squad").unwrap();
    let set = task.load(dir.path(), Split::Dev, None).unwrap();
    let answers = |index: usize| set.examples[index].label.as_ref().and_then(Label::answers);
    let found = answers(0)
        .unwrap()
        .iter()
        .map(|a| (a.text.as_str(), a.start));
    assert_eq!(
        found.collect::<Vec<_>>(),
        [("It", Some(0)), ("is", Some(3))]
    );
    assert_eq!(answers(1).unwrap()[0].start, None);
    assert!(
        set.notes[0].contains("1 answers are not in their context"),
        "{:?}",
        set.notes
    );
    assert_eq!(set.examples[1].text_pair.as_deref(), Some("Caf\u{e9}."));
}

#[test]
fn choices_with_labels_as_integers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("train.parquet");
    let schema = "message schema {
        OPTIONAL BYTE_ARRAY premise (UTF8);
        OPTIONAL BYTE_ARRAY choice1 (UTF8);
        OPTIONAL BYTE_ARRAY choice2 (UTF8);
        OPTIONAL BYTE_ARRAY question (UTF8);
        OPTIONAL INT64 label;
    }";
    let text = |text| Column::Text(text, &[1, 1], &[0, 0]);
    let mut columns = [
        text(&["It rained.", "It shone."]),
        text(&["I ran.", "He ran."]),
        text(&["I sat.", "He sat."]),
        text(&["cause", "effect"]),
        Column::Int(&[1, 0], &[1, 1]),
    ];
    write(&path, schema, &columns);
    let task = PromptTask::named("copa").unwrap();
    let set = task.load_file(&path).unwrap();
    let said: Vec<_> = set.examples.iter().map(|e| e.demonstration()).collect();
    assert_eq!(said, ["It rained because I sat.", "It shone so he ran."]);

    columns[4] = Column::Int(&[1], &[1, 0]);
    write(&path, schema, &columns);
    let message = |path: &Path| {
        let error = task.load_file(path).unwrap_err().to_string();
        error.replace(&path.display().to_string(), "a.parquet")
    };
    assert_eq!(
        message(&path),
        "a.parquet, row 2: the label is missing: fill in the column `label`"
    );
    fs::write(&path, "PAR1 but not really").unwrap();
    let error = message(&path);
    assert!(
        error.starts_with("a.parquet: cannot be read as Parquet ("),
        "{error}"
    );
}
