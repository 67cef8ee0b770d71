use std::fmt;
use std::path::{Path, PathBuf};

use crate::DataError;

/// One of the three files of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// Examples to learn from.
    Train,
    /// Examples to measure on after each epoch.
    Dev,
    /// Examples kept for the end; may have no labels.
    Test,
}

impl Split {
    /// The name used in reports: `train`, `dev`, `test`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }

    /// File names of this split in the order they are looked for.
    fn file_names(self) -> impl Iterator<Item = String> {
        let stems: &[&str] = match self {
            Self::Train => &["train"],
            Self::Dev => &["dev", "val", "validation"],
            Self::Test => &["test"],
        };
        stems
            .iter()
            .flat_map(|stem| ["tsv", "csv", "jsonl"].map(|ext| format!("{stem}.{ext}")))
    }

    /// The file of this split in `folder`: the first that exists.
    pub(crate) fn find_in(self, folder: &Path) -> Result<PathBuf, DataError> {
        let found = self
            .file_names()
            .map(|name| folder.join(name))
            .find(|path| path.exists());
        if let Some(path) = found {
            return Ok(path);
        }
        let path = folder.to_owned();
        Err(if folder.is_dir() {
            DataError::NoSplitFile {
                path,
                split: self,
                looked_for: self.file_names().collect(),
            }
        } else if folder.exists() {
            DataError::NotAFolder { path }
        } else {
            DataError::NotFound { path }
        })
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn finds_the_first_name_that_exists() {
        let dir = tempfile::tempdir().unwrap();
        for (name, split) in [
            ("validation.jsonl", Split::Dev),
            ("val.csv", Split::Dev),
            ("dev.jsonl", Split::Dev),
            ("dev.tsv", Split::Dev),
            ("train.csv", Split::Train),
            ("test.tsv", Split::Test),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, "").unwrap();
            assert_eq!(split.find_in(dir.path()).unwrap(), path);
        }
    }

    #[test]
    fn says_what_was_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let shown = dir.path().display();
        assert_eq!(
            Split::Train.find_in(dir.path()).unwrap_err().to_string(),
            format!(
                "{shown}: no train file in this folder: looked for \
                 `train.tsv`, `train.csv`, `train.jsonl`"
            )
        );
        let dev = Split::Dev.find_in(dir.path()).unwrap_err().to_string();
        assert!(dev.contains("`dev.tsv`, `dev.csv`, `dev.jsonl`, `val.tsv`"));
        assert!(dev.ends_with("`validation.jsonl`"));
    }

    #[test]
    fn a_file_or_nothing_is_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.tsv");
        let error = Split::Train.find_in(&path).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{}: no such file or folder: check the spelling and the current folder",
                path.display()
            )
        );
        fs::write(&path, "").unwrap();
        let error = Split::Train.find_in(&path).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{}: is a file: give the folder that holds the train and dev files",
                path.display()
            )
        );
    }
}
