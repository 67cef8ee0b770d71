//! Texts in words, with a tag for each.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::Path;

use serde_json::Value;

use crate::dataset::read_whole;
use crate::records::raw::{Record, declared_classes};
use crate::records::{Input, LabelUse, Row, Source, type_name, whole_of};
use crate::{DataError, LabelledTask, Place, TagError};

/// A text in words.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) words: Vec<String>,
    /// As many tags, where they are read and there are any.
    pub(crate) tags: Option<Vec<String>>,
    /// Whether each word has a line of its own.
    pub(crate) lines: bool,
}

impl Words {
    /// The place of a word in a text that begins at `at`.
    pub(crate) fn place(&self, at: Place, word: usize) -> Place {
        match at {
            Place::Line(line) if self.lines => Place::Line(line + word),
            at => at,
        }
    }
}

/// The row that a record is in a task of tags: a list of words with a list of tags, or a text where tags are not
/// needed. `missing` makes the error of a column that is not there.
pub(crate) fn tagged<'r>(
    source: &Source<'_>,
    record: &'r Record,
    lines: bool,
    missing: &dyn Fn(&[String]) -> DataError,
) -> Result<Row<'r>, DataError> {
    let (task, at, object) = (source.task, record.at, &record.fields);
    let columns = task.text_columns.names();
    let field = |names: &[String]| names.iter().find_map(|name| object.get_key_value(name));
    let (name, value) = field(columns).ok_or_else(|| missing(columns))?;
    let words = match value {
        Value::Array(words) => words,
        Value::String(text) if source.labels != LabelUse::Required => {
            return Ok(untagged(at, text));
        }
        Value::Null if source.labels == LabelUse::Ignored => return Ok(untagged(at, "")),
        other => return Err(source.field_type(at, name, "a list of words", type_name(other))),
    };
    let words = words.iter().map(|word| match word {
        Value::String(word) => Ok(word.clone()),
        other => Err(source.field_type(at, name, "a list of strings", type_name(other))),
    });
    let words: Vec<String> = words.collect::<Result<_, _>>()?;
    let tags = match (source.labels, field(&task.label_columns)) {
        (LabelUse::Ignored, _) | (LabelUse::IfPresent, None) => None,
        (LabelUse::Required, None) => return Err(missing(&task.label_columns)),
        (_, Some((_, Value::Null))) => None,
        (_, Some((name, Value::Array(tags)))) => {
            let tags = tags.iter().map(|tag| written(source, at, name, tag));
            let tags: Vec<String> = tags.collect::<Result<_, _>>()?;
            if tags.len() != words.len() {
                return Err(DataError::from(TagError::Count {
                    path: source.path.to_owned(),
                    at,
                    field: name.clone(),
                    words: words.len(),
                    tags: tags.len(),
                }));
            }
            // There is nothing to learn of no words.
            Some(tags).filter(|tags| !tags.is_empty())
        }
        (_, Some((name, other))) => {
            return Err(source.field_type(at, name, source.label_types(), type_name(other)));
        }
    };
    Ok(Row {
        at,
        text: Cow::Owned(words.join(" ")),
        pair: None,
        label: None,
        words: Some(Words { words, tags, lines }),
    })
}

fn untagged(at: Place, text: &str) -> Row<'_> {
    Row {
        at,
        text: Cow::Borrowed(text),
        pair: None,
        label: None,
        words: None,
    }
}

/// A tag as it would be written in a text file: numbers by the names that the file has for them.
fn written(source: &Source<'_>, at: Place, name: &str, tag: &Value) -> Result<String, DataError> {
    let number = match tag {
        Value::String(tag) => return Ok(tag.trim().to_owned()),
        Value::Number(number) => whole_of(number),
        _ => None,
    };
    let number = number.ok_or_else(|| {
        let expected = "a list of tag names or of whole numbers";
        source.field_type(at, name, expected, type_name(tag))
    })?;
    let class = number.parse::<usize>().ok();
    let class = class.and_then(|class| source.classes.get(class)).cloned();
    Ok(class.unwrap_or(number))
}

/// The names that a Parquet file has for the numbers of its tags, none where it has none; and the file, to be read
/// from the beginning.
pub(crate) fn declared_names(
    task: &LabelledTask,
    path: &Path,
    mut input: Input,
) -> Result<(Vec<String>, Input), DataError> {
    let bytes = read_whole(path, &mut input)?;
    let names = declared_classes(path, &bytes, &task.label_columns)?;
    Ok((names, Box::new(Cursor::new(bytes))))
}

/// The first tag that has no prefix of a scheme.
pub(crate) fn without_prefix(names: &[String]) -> Option<&String> {
    let schemed = |name: &str| {
        let prefixed = ["B-", "I-", "E-", "S-"].iter();
        name == "O" || { prefixed }.any(|prefix| name.starts_with(prefix))
    };
    names.iter().find(|name| !schemed(name))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::InputFormat::Jsonl;
    use crate::records::testing::*;
    use crate::{HeldOut, Label, Split, Task, TaskInput};

    fn task() -> LabelledTask {
        LabelledTask::named("ner").unwrap()
    }

    fn error(content: &str) -> String {
        let found = rows_of(&task(), LabelUse::Required, Jsonl, content.as_bytes());
        found.unwrap_err().to_string()
    }

    #[test]
    fn lists_that_do_not_fit() {
        assert_eq!(
            error("{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [\"O\"]}"),
            "in.file:1: 2 words and 1 tags in field `ner_tags`: give every word one tag"
        );
        assert_eq!(
            error("{\"tokens\": \"a b\", \"ner_tags\": [\"O\"]}"),
            "in.file:1: field `tokens` is a string: it must be a list of words"
        );
        assert_eq!(
            error("{\"tokens\": [\"a\", 1], \"ner_tags\": [\"O\", \"O\"]}"),
            "in.file:1: field `tokens` is a number: it must be a list of strings"
        );
        assert_eq!(
            error("{\"tokens\": [\"a\"], \"ner_tags\": \"O\"}"),
            "in.file:1: field `ner_tags` is a string: it must be a list of tags, one for each word"
        );
        assert_eq!(
            error("{\"tokens\": [\"a\"], \"ner_tags\": [0.5]}"),
            "in.file:1: field `ner_tags` is a number: it must be a list of tag names or of whole numbers"
        );
        assert_eq!(
            error("{\"tokens\": [\"a\"]}"),
            "in.file:1: no column `ner_tags` or `tags` or `label`: found `tokens`; rename or add a column"
        );
    }

    #[test]
    fn numbers_need_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        fs::write(
            &path,
            "{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [0, 2]}\n",
        )
        .unwrap();
        let shown = path.display();
        assert_eq!(
            task().load_file(&path, None).unwrap_err().to_string(),
            format!(
                "{shown}:1: the tag `0` is a number: name the tags in their order in a task file (`labels`)"
            )
        );
        let toml = dir.path().join("task.toml");
        let file =
            "name = \"own\"\nkind = \"token_classification\"\nlabels = [\"O\", \"B-X\", \"I-X\"]\n";
        fs::write(&toml, file).unwrap();
        let own = LabelledTask::from_toml(&toml).unwrap();
        let data = own.load_file(&path, None).unwrap();
        assert_eq!(data.labels, ["O", "B-X", "I-X"]);
        assert_eq!(data.examples[0].label, Some(Label::Tags(vec![0, 2])));
        assert_eq!(data.examples[0].text, "a b");
        let message = |more: &str| {
            fs::write(&toml, format!("{file}{more}\n")).unwrap();
            LabelledTask::from_toml(&toml).unwrap_err().to_string()
        };
        for key in ["text = 'a'", "pair_alternatives = ['a', 'b']"] {
            let error = message(key);
            assert!(error.contains(":4: a task of `kind"), "{error}");
        }
        assert!(message("metrics = ['accuracy']").contains("does not fit"));
        // It travels with an adapter, and as a file.
        let own = Task::from(own);
        assert_eq!(Task::from_definition(&own.definition()).unwrap(), own);
    }

    #[test]
    fn tags_without_a_scheme_are_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.iob2");
        fs::write(&path, "run VERB\nhome NOUN\n").unwrap();
        let notes = task().load_file(&path, None).unwrap().notes;
        assert!(
            notes[0].contains("the tag `NOUN` does not begin with B-"),
            "{notes:?}"
        );
    }

    #[test]
    fn one_file_is_split_and_a_folder_has_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut task = task();
        let path = dir.path().join("train.conll");
        let text = |n: usize| format!("w{n} {}\nx O\n\n", ["O", "B-a", "B-b"][n % 3]);
        fs::write(&path, (0..30).map(text).collect::<String>()).unwrap();
        let error = task.load(dir.path(), Split::Dev, None).unwrap_err();
        assert!(
            error.to_string().contains("`dev.conll`, `dev.bio`"),
            "{error}"
        );
        assert_eq!(
            task.load(dir.path(), Split::Train, None)
                .unwrap()
                .examples
                .len(),
            30
        );
        task.held_out = Some(HeldOut {
            share: 0.2,
            seed: 0,
        });
        let dev = task.load(&path, Split::Dev, None).unwrap();
        let with = |tag: usize| {
            let has = |tags: &[usize]| tags.contains(&tag);
            let examples = dev.examples.iter();
            { examples }
                .filter(|e| has(e.label.as_ref().unwrap().tags().unwrap()))
                .count()
        };
        // Of each kind of text its share.
        assert_eq!((dev.examples.len(), with(0), with(1)), (6, 2, 2));
        // A name that a task file gives may end in .txt.
        task.held_out = None;
        task.files.insert(Split::Train, "all.txt".to_owned());
        fs::rename(&path, dir.path().join("all.txt")).unwrap();
        assert_eq!(
            task.load(dir.path(), Split::Train, None)
                .unwrap()
                .examples
                .len(),
            30
        );
    }

    #[test]
    fn inputs_are_words_or_a_text() {
        let read = |format, content: &str| {
            let input = Cursor::new(content.to_owned().into_bytes());
            let rows = Task::from(task()).inputs(Path::new("in.file"), input, format);
            let rows = rows.unwrap().map(|row| match row.unwrap().input {
                TaskInput::Text(example) => (example.text, example.words.map_or(0, |w| w.len())),
                TaskInput::Prompt(_) => unreachable!(),
            });
            rows.collect::<Vec<_>>()
        };
        let (words, text) = ([("a b".to_owned(), 2)], [("a b".to_owned(), 0)]);
        assert_eq!(
            read(crate::InputFormat::Conll, "a O\nb O\n\nc O\n").len(),
            2
        );
        assert_eq!(read(crate::InputFormat::Conll, "a\nb\n"), words);
        assert_eq!(read(Jsonl, "{\"tokens\": [\"a\", \"b\"]}\n"), words);
        assert_eq!(read(Jsonl, "{\"text\": \"a b\"}\n"), text);
        assert_eq!(read(crate::InputFormat::Lines, "a b\n"), text);
        assert_eq!(read(crate::InputFormat::Csv, "id,text\n1,a b\n"), text);
    }
}
