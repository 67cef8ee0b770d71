//! CoNLL files: a word and its tag a line, a blank line between texts.

use std::path::Path;

use serde_json::{Map, Value};

use super::lines::LineReader;
use super::raw::Record;
use crate::{DataError, Place, TagError};

/// What stands at the beginning of a document in CoNLL-2003, and is no text.
const DOCUMENT: &str = "-DOCSTART-";

/// The most columns that files with the tag in the last one have.
const MOST_COLUMNS: usize = 4;

/// Reads texts as lists of words, and as lists of tags where the file has them.
pub(super) struct Conll {
    lines: LineReader,
    /// Names of the fields with the words and the tags.
    fields: [String; 2],
    /// Number of columns of the first line.
    columns: Option<usize>,
}

impl Conll {
    pub(super) fn new(lines: LineReader, words: &str, tags: &str) -> Self {
        Self {
            lines,
            fields: [words.to_owned(), tags.to_owned()],
            columns: None,
        }
    }

    pub(super) fn read(&mut self, path: &Path) -> Result<Option<Record>, DataError> {
        let (mut words, mut tags) = (Vec::new(), Vec::new());
        let mut start = 0;
        while let Some((line, text)) = self.lines.next(path)? {
            if text.trim().is_empty() || text.starts_with(DOCUMENT) {
                match words.is_empty() {
                    true => continue,
                    false => break,
                }
            }
            let (found, word, tag) = split(text);
            let expected = *self.columns.get_or_insert(found);
            if found > MOST_COLUMNS || word.is_empty() {
                let path = path.to_owned();
                return Err(TagError::Columns { path, line, found }.into());
            }
            if found != expected {
                return Err(DataError::ColumnCount {
                    path: path.to_owned(),
                    line,
                    expected,
                    found,
                });
            }
            if words.is_empty() {
                start = line;
            }
            words.push(Value::from(word));
            tags.extend(tag.map(Value::from));
        }
        if words.is_empty() {
            return Ok(None);
        }
        let [words_field, tags_field] = &self.fields;
        let mut fields = Map::new();
        let tagged = !tags.is_empty();
        fields.insert(words_field.clone(), Value::Array(words));
        if tagged {
            fields.insert(tags_field.clone(), Value::Array(tags));
        }
        Ok(Some(Record::new(Place::Line(start), fields)))
    }
}

/// The number of columns of a line, the first of them, and the last one if it is another. Where there is a tab, tabs
/// separate, and blanks belong to the word.
fn split(line: &str) -> (usize, &str, Option<&str>) {
    let columns: Vec<&str> = match line.contains('\t') {
        true => line.split('\t').map(|c| c.trim_matches(' ')).collect(),
        false => line
            .split(' ')
            .filter(|column| !column.is_empty())
            .collect(),
    };
    let (count, first) = (columns.len(), columns.first().copied().unwrap_or_default());
    (count, first, columns.last().copied().filter(|_| count > 1))
}

#[cfg(test)]
mod tests {
    use super::super::InputFormat::Conll;
    use super::super::LabelUse;
    use super::super::testing::*;
    use crate::{Label, LabelledTask};

    fn task() -> LabelledTask {
        LabelledTask::named("ner").unwrap()
    }

    fn error(content: &str) -> String {
        let found = rows_of(&task(), LabelUse::Required, Conll, content.as_bytes());
        found.unwrap_err().to_string()
    }

    /// Lines, texts and tags.
    fn read(content: &str) -> Vec<(usize, String, String)> {
        let rows = rows_of(&task(), LabelUse::Required, Conll, content.as_bytes());
        let rows = rows.unwrap().into_iter();
        rows.map(|(line, text, _, tags)| (line, text, tags.unwrap()))
            .collect()
    }

    #[test]
    fn texts_are_lines_up_to_a_blank_one() {
        let content = "\u{feff}-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\r\nrejects VBZ B-VP O\r\n\r\n\n\
                       -DOCSTART- -X- -X- O\n\nPeter  NNP B-NP  B-PER\n";
        assert_eq!(
            read(content),
            [
                (3, "EU rejects".to_owned(), "B-ORG O".to_owned()),
                (9, "Peter".to_owned(), "B-PER".to_owned())
            ]
        );
    }

    #[test]
    fn where_there_are_tabs_blanks_belong_to_words() {
        let rows = read("New York\tB-LOC\n\u{a0}x\tO\n\t\nat\tO\n");
        assert_eq!((rows[0].0, rows[0].1.as_str()), (1, "New York \u{a0}x"));
        assert_eq!(rows[1], (4, "at".to_owned(), "O".to_owned()));
    }

    #[test]
    fn lines_that_are_no_word_with_a_tag() {
        assert_eq!(
            error("a O\n\nb x O\n"),
            "in.file:3: found 3 columns, expected 2 as in the first line: check the separators in this line"
        );
        let rest = "write the word first and its tag last, 2 to 4 columns with tabs or blanks between them, and a \
                    blank line behind each text";
        assert_eq!(
            error("1\ta\tb\tc\tO\n"),
            format!("in.file:1: found 5 columns: {rest}")
        );
        assert_eq!(
            error("a\tO\n\tO\n"),
            format!("in.file:2: found 2 columns: {rest}")
        );
        assert_eq!(
            error("a\nb\n"),
            "in.file:1: no column `ner_tags` or `tags` or `label`: found `tokens`; rename or add a column"
        );
        assert_eq!(
            error("\n \n"),
            "in.file: the file is empty: give one with rows"
        );
        assert_eq!(
            error("-DOCSTART- O\n"),
            "in.file: the file is empty: give one with rows"
        );
    }

    #[test]
    fn an_unknown_tag_is_named_by_its_own_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.conll");
        std::fs::write(&path, "a O\nb B-x\n\nc O\nd B-y\n").unwrap();
        let known = ["O", "B-x"].map(str::to_owned);
        let error = task()
            .load_file(&path, Some(&known))
            .unwrap_err()
            .to_string();
        let shown = path.display();
        assert!(
            error.starts_with(&format!("{shown}:5: label `B-y` is not one of `O`, `B-x`")),
            "{error}"
        );
        std::fs::write(&path, "a\tO\nb\t\n").unwrap();
        assert_eq!(
            task().load_file(&path, None).unwrap_err().to_string(),
            format!("{shown}:2: word 2 has no tag: give it one, `O` if it is no entity")
        );
        std::fs::write(&path, "a O\nb B-x\n\nc O\nd B-y\n").unwrap();
        let data = task().load_file(&path, None).unwrap();
        assert_eq!(data.labels, ["B-x", "B-y", "O"]);
        assert_eq!(data.examples[1].label, Some(Label::Tags(vec![2, 1])));
        let words = ["c", "d"].map(str::to_owned).to_vec();
        assert_eq!(data.examples[1].words, Some(words));
    }
}
