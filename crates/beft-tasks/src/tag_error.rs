use std::path::PathBuf;

use crate::Place;
use crate::shown::quoted;

/// What is wrong with the tags of words.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// A line of a CoNLL file that has not a word and a tag.
    #[error(
        "{}:{line}: found {found} columns: write the word first and its tag last, 2 to 4 columns with tabs or blanks \
         between them, and a blank line behind each text",
        .path.display()
    )]
    Columns {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// How many columns it has.
        found: usize,
    },
    /// A text with more or fewer tags than words.
    #[error(
        "{}{at}: {words} words and {tags} tags in field `{field}`: give every word one tag",
        .path.display()
    )]
    Count {
        /// The file.
        path: PathBuf,
        /// The line or row.
        at: Place,
        /// The field with the tags.
        field: String,
        /// Number of words.
        words: usize,
        /// Number of tags.
        tags: usize,
    },
    /// Tags that are numbers which have no names.
    #[error(
        "{}{at}: the tag {} is a number: name the tags in their order in a task file (`labels`)",
        .path.display(), quoted(.tag)
    )]
    Numbered {
        /// The file.
        path: PathBuf,
        /// The line or row.
        at: Place,
        /// The tag.
        tag: String,
    },
    /// A word without a tag.
    #[error("{}{at}: word {word} has no tag: give it one, `O` if it is no entity", .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The line or row.
        at: Place,
        /// Its number, from 1.
        word: usize,
    },
}
