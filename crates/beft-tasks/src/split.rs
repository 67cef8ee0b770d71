use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{DataError, LabelledTask, TaskKind};

/// One of the parts of a data set.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Examples to learn from.
    Train,
    /// Examples to measure on after each epoch; MNLI's matched ones.
    Dev,
    /// MNLI's second dev split, of other genres than the training examples.
    DevMismatched,
    /// Examples kept for the end; may have no labels. MNLI's matched ones.
    Test,
    /// MNLI's second test split.
    TestMismatched,
}

/// `.json` comes last: where there is a file of rows as well, it is the one that was prepared.
pub(crate) const EXTENSIONS: &[&str] = &["tsv", "csv", "jsonl", "parquet", "json"];

/// Of tasks with a tag for each word.
const TAGGED: &[&str] = &["conll", "bio", "iob", "iob2", "jsonl", "parquet", "json"];

/// Under which names a split is looked for.
pub(crate) struct Wanted<'a> {
    /// The only name of a split, where the task gives one.
    pub(crate) files: &'a BTreeMap<Split, String>,
    pub(crate) mismatched: bool,
    pub(crate) extensions: &'static [&'static str],
    /// A further name, looked for last.
    pub(crate) official: Option<&'a str>,
}

impl Wanted<'_> {
    /// The files of this stem, in the order they are looked for.
    fn names(&self, stem: &str) -> impl Iterator<Item = String> {
        self.extensions
            .iter()
            .map(move |extension| format!("{stem}.{extension}"))
    }
}

impl Split {
    /// The name used in reports: `train`, `dev`, `dev_mismatched`, `test`, `test_mismatched`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::DevMismatched => "dev_mismatched",
            Self::Test => "test",
            Self::TestMismatched => "test_mismatched",
        }
    }

    /// Whether this is a second, mismatched split.
    pub const fn is_mismatched(self) -> bool {
        matches!(self, Self::DevMismatched | Self::TestMismatched)
    }

    /// The name of this split on the hub, of a data set with or without mismatched splits.
    pub(crate) const fn hub_stem(self, mismatched: bool) -> &'static str {
        match (self, mismatched) {
            (Self::Train, _) => "train",
            (Self::Dev, false) => "validation",
            (Self::Dev, true) => "validation_matched",
            (Self::DevMismatched, _) => "validation_mismatched",
            (Self::Test, false) => "test",
            (Self::Test, true) => "test_matched",
            (Self::TestMismatched, _) => "test_mismatched",
        }
    }

    /// File names without extension, in the order they are looked for.
    const fn stems(self, mismatched: bool) -> &'static [&'static str] {
        match (self, mismatched) {
            (Self::Train, _) => &["train"],
            (Self::Dev, false) => &["dev", "val", "validation"],
            (Self::Dev, true) => &["dev_matched", "validation_matched", "dev"],
            (Self::DevMismatched, _) => &["dev_mismatched", "validation_mismatched"],
            (Self::Test, false) => &["test"],
            (Self::Test, true) => &["test_matched", "test"],
            (Self::TestMismatched, _) => &["test_mismatched"],
        }
    }

    /// Under which names a task's file of this split is looked for.
    pub(crate) fn wanted(self, task: &LabelledTask) -> Wanted<'_> {
        Wanted {
            files: &task.files,
            mismatched: task.mismatched,
            extensions: match task.target.kind() {
                TaskKind::TokenClassification => TAGGED,
                TaskKind::Classification | TaskKind::MultiLabel => EXTENSIONS,
                TaskKind::Regression | TaskKind::QuestionAnswering => EXTENSIONS,
                TaskKind::Similarity | TaskKind::Ranking => EXTENSIONS,
            },
            official: task.official(self),
        }
    }

    /// A note about files in `folder` that have another name of this split than the one that is read, if there are any.
    pub(crate) fn others(
        self,
        folder: &Path,
        wanted: &Wanted<'_>,
        read: &[PathBuf],
    ) -> Option<String> {
        let read = read.first().filter(|_| !wanted.files.contains_key(&self))?;
        let stems = self.stems(wanted.mismatched).iter();
        let names = stems.flat_map(|stem| wanted.names(stem));
        let others = names.filter(|name| !read.ends_with(name) && folder.join(name).is_file());
        let others: Vec<String> = others.collect();
        (!others.is_empty()).then(|| {
            format!(
                "{} is read for the {} split, and {} beside it is not: remove what is not meant",
                read.display(),
                self.name(),
                others.join(", ")
            )
        })
    }

    /// The file of this split in `folder`, or its shards in order: the first that exists.
    pub(crate) fn find(
        self,
        folder: &Path,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<PathBuf>, DataError> {
        let mut looked_for = Vec::new();
        if let Some(name) = wanted.files.get(&self) {
            let path = folder.join(name);
            if path.exists() {
                return Ok(vec![path]);
            }
            looked_for.push(name.clone());
        } else {
            let stems = self.stems(wanted.mismatched);
            // Most often there is nothing sharded, and no need to list the folder.
            let mut sharded = None;
            for stem in stems {
                for name in wanted.names(stem) {
                    let path = folder.join(&name);
                    if path.exists() {
                        return Ok(vec![path]);
                    }
                    looked_for.push(name);
                }
                let sharded = sharded.get_or_insert_with(|| shards_in(folder));
                if let Some(found) = sharded.get(*stem) {
                    return shards(folder, stem, found);
                }
                looked_for.push(shard_name(stem, 0, 1));
            }
            if let Some(name) = wanted.official {
                let path = folder.join(name);
                if path.exists() {
                    return Ok(vec![path]);
                }
                looked_for.push(name.to_owned());
            }
        }
        let path = folder.to_owned();
        Err(if folder.is_dir() {
            DataError::NoSplitFile {
                path,
                split: self,
                looked_for,
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

/// How the hub names the parts of a Parquet file.
fn shard_name(stem: &str, index: usize, count: usize) -> String {
    format!("{stem}-{index:05}-of-{count:05}.parquet")
}

/// One part of a Parquet file.
struct Shard {
    index: usize,
    count: usize,
    path: PathBuf,
}

/// The shards in a folder by their stems; nothing of a folder that cannot be listed.
fn shards_in(folder: &Path) -> BTreeMap<String, Vec<Shard>> {
    let mut found: BTreeMap<String, Vec<Shard>> = BTreeMap::new();
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        if let Some((stem, index, count)) = name.to_str().and_then(parsed_shard) {
            let path = entry.path();
            let shard = Shard { index, count, path };
            found.entry(stem.to_owned()).or_default().push(shard);
        }
    }
    found
}

/// The stem, index and count in the name of a shard. Older data sets have a hash of the content
/// behind the count.
fn parsed_shard(name: &str) -> Option<(&str, usize, usize)> {
    let (rest, end) = name.strip_suffix(".parquet")?.rsplit_once("-of-")?;
    let (stem, index) = rest.rsplit_once('-')?;
    let (count, hash) = end.split_once('-').unwrap_or((end, "0"));
    let number = |text: &str| text.parse().ok().filter(|n| format!("{n:05}") == text);
    let hashed = !hash.is_empty() && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let (index, count): (usize, usize) = (number(index)?, number(count)?);
    (hashed && index < count).then_some((stem, index, count))
}

/// All shards of a stem, each of which must be there, once.
fn shards(folder: &Path, stem: &str, found: &[Shard]) -> Result<Vec<PathBuf>, DataError> {
    let count = found.first().map_or(0, |shard| shard.count);
    let mut parts: BTreeMap<usize, &Shard> = BTreeMap::new();
    for shard in found {
        let other = parts.insert(shard.index, shard);
        let first = found.first().filter(|first| first.count != shard.count);
        if let Some(other) = other.or(first) {
            return Err(DataError::AmbiguousShards {
                path: shard.path.clone(),
                other: other.path.clone(),
            });
        }
    }
    let paths = (0..count).map(|index| match parts.get(&index) {
        Some(shard) => Ok(shard.path.clone()),
        None => Err(DataError::MissingShard {
            path: folder.join(shard_name(stem, index, count)),
            count,
        }),
    });
    paths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn found(split: Split, folder: &Path, task: &str) -> Result<Vec<PathBuf>, DataError> {
        split.find(folder, &split.wanted(&LabelledTask::named(task).unwrap()))
    }

    #[test]
    fn finds_the_first_name_that_exists() {
        let dir = tempfile::tempdir().unwrap();
        for (name, split) in [
            ("validation-00000-of-00001.parquet", Split::Dev),
            ("validation.jsonl", Split::Dev),
            ("val.csv", Split::Dev),
            ("dev.parquet", Split::Dev),
            ("dev.jsonl", Split::Dev),
            ("dev.tsv", Split::Dev),
            ("train.csv", Split::Train),
            ("test.tsv", Split::Test),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, "").unwrap();
            assert_eq!(found(split, dir.path(), "sst2").unwrap(), [path]);
        }
    }

    #[test]
    fn matched_and_mismatched_files() {
        let dir = tempfile::tempdir().unwrap();
        for (split, names) in [
            (
                Split::Dev,
                [
                    "validation_matched-00000-of-00001.parquet",
                    "dev_matched.tsv",
                ],
            ),
            (
                Split::DevMismatched,
                ["validation_mismatched.csv", "dev_mismatched.tsv"],
            ),
            (Split::Test, ["test.jsonl", "test_matched.tsv"]),
            (
                Split::TestMismatched,
                ["test_mismatched.jsonl", "test_mismatched.tsv"],
            ),
        ] {
            for name in names {
                let path = dir.path().join(name);
                fs::write(&path, "").unwrap();
                assert_eq!(found(split, dir.path(), "mnli").unwrap(), [path]);
            }
        }
        assert!(found(Split::Dev, dir.path(), "sst2").is_err());
    }

    #[test]
    fn shards_are_taken_in_order_and_none_may_be_missing() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(dir.path().join(name), "").unwrap();
        for index in [2, 0, 1] {
            write(&format!("train-0000{index}-of-00003.parquet"));
        }
        write("train-1-of-2.parquet");
        write("trains-00000-of-00009.parquet");
        let paths = found(Split::Train, dir.path(), "text").unwrap();
        let names: Vec<_> = paths.iter().map(|path| path.file_name().unwrap()).collect();
        let expected = [0, 1, 2].map(|index| format!("train-0000{index}-of-00003.parquet"));
        assert_eq!(names, expected.each_ref().map(AsRef::<OsStr>::as_ref));

        fs::remove_file(&paths[1]).unwrap();
        assert_eq!(
            found(Split::Train, dir.path(), "text")
                .unwrap_err()
                .to_string(),
            format!(
                "{}: no such file, but there are others of its 3 parts: fetch all of them",
                paths[1].display()
            )
        );
    }

    #[test]
    fn shards_may_have_a_hash_in_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(dir.path().join(name), "").unwrap();
        write("train-00001-of-00002-0123456789abcdef.parquet");
        write("train-00000-of-00002-fedcba9876543210.parquet");
        write("train-00000-of-00002-notahash.parquet");
        let found = || found(Split::Train, dir.path(), "text");
        let names: Vec<_> = found().unwrap();
        assert_eq!(
            names[0],
            dir.path()
                .join("train-00000-of-00002-fedcba9876543210.parquet")
        );
        assert_eq!(
            names[1],
            dir.path()
                .join("train-00001-of-00002-0123456789abcdef.parquet")
        );

        // Two versions of one data set beside each other: neither is taken.
        for other in [
            "train-00000-of-00002.parquet",
            "train-00000-of-00001-abc.parquet",
        ] {
            write(other);
            let error = found().unwrap_err().to_string();
            assert!(error.contains("says to be the same part as"), "{error}");
            fs::remove_file(dir.path().join(other)).unwrap();
        }
        fs::remove_file(&names[0]).unwrap();
        let error = found().unwrap_err().to_string();
        assert!(
            error.contains("train-00000-of-00002.parquet: no such file"),
            "{error}"
        );
    }

    #[test]
    fn a_task_may_name_its_files() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("train.tsv"), "").unwrap();
        let mut task = LabelledTask::named("text").unwrap();
        task.files.insert(Split::Train, "my.csv".to_owned());
        let error = Split::Train
            .find(dir.path(), &Split::Train.wanted(&task))
            .unwrap_err();
        assert!(error.to_string().ends_with("looked for `my.csv`"));
        let path = dir.path().join("my.csv");
        fs::write(&path, "").unwrap();
        assert_eq!(
            Split::Train
                .find(dir.path(), &Split::Train.wanted(&task))
                .unwrap(),
            [path]
        );
    }

    #[test]
    fn files_that_are_not_read_are_noted() {
        let dir = tempfile::tempdir().unwrap();
        let task = LabelledTask::named("text").unwrap();
        let note = || {
            let wanted = Split::Dev.wanted(&task);
            let read = Split::Dev.find(dir.path(), &wanted).unwrap();
            Split::Dev.others(dir.path(), &wanted, &read)
        };
        fs::write(dir.path().join("dev.csv"), "").unwrap();
        assert_eq!(note(), None);
        for name in ["dev.jsonl", "validation.tsv"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let said = note().unwrap();
        assert!(
            said.contains(
                "dev.csv is read for the dev split, and dev.jsonl, validation.tsv beside it is not"
            ),
            "{said}"
        );
    }

    #[test]
    fn says_what_was_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let shown = dir.path().display();
        assert_eq!(
            found(Split::Train, dir.path(), "text")
                .unwrap_err()
                .to_string(),
            format!(
                "{shown}: no train file in this folder: looked for \
                 `train.tsv`, `train.csv`, `train.jsonl`, `train.parquet`, `train.json`, \
                 `train-00000-of-00001.parquet`"
            )
        );
        let dev = found(Split::Dev, dir.path(), "text")
            .unwrap_err()
            .to_string();
        assert!(dev.contains("`dev.tsv`, `dev.csv`, `dev.jsonl`, `dev.parquet`, `dev.json`"));
        assert!(dev.ends_with("`validation-00000-of-00001.parquet`"));
    }

    #[test]
    fn a_file_or_nothing_is_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.tsv");
        let error = found(Split::Train, &path, "text").unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{}: no such file or folder: check the spelling and the current folder",
                path.display()
            )
        );
        fs::write(&path, "").unwrap();
        let error = found(Split::Train, &path, "text").unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{}: is a file: give the folder that holds the train and dev files, or the share of this file to \
                 measure on",
                path.display()
            )
        );
    }
}
