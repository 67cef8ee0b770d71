use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::held_out::{Stratum, of_split, of_split_by_context, whole_file};
use crate::reading::Reading;
use crate::records::{Input, LabelUse};
use crate::{DataError, InputFormat, Label, LabelledTask, Split, TaskKind};

/// One text, or a pair of texts, and its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The text, with the spaces that the file has.
    pub text: String,
    /// The words of the text, where the data have it in words. The text is then these with a space between them.
    pub words: Option<Vec<String>>,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// A class is an index into [`Dataset::labels`]; `None` where labels are not read, and on rows
    /// of a test file that have none.
    pub label: Option<Label>,
    /// Line of the file on which the example begins, or its row in a Parquet file, from 1.
    pub line: usize,
}

/// The examples of one file, or of one Parquet file in parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// The file; of several parts the first.
    pub path: PathBuf,
    /// The label set in index order; empty when none is known and no labels are read, and for
    /// [`TaskKind::Regression`](crate::TaskKind::Regression).
    pub labels: Vec<String>,
    /// Lines (or rows) passed over because they have no label or a wrong number of columns, where
    /// the task allows it: see [`TaskInfo::no_label`](crate::TaskInfo::no_label) and [`TaskInfo::skip_malformed`](crate::TaskInfo::skip_malformed).
    pub skipped: Vec<usize>,
    /// Notes for the user about the file: names that had to be chosen, texts that look quoted.
    pub notes: Vec<String>,
    /// The examples in file order, at least one.
    pub examples: Vec<Example>,
}

impl LabelledTask {
    /// Reads the file of `split` in the folder `data`: the first of
    /// `train.{tsv,csv,jsonl,parquet,json}`, of `{dev,val,validation}.*` or of `test.*`; with mismatched splits, of
    /// `{dev,validation}_{matched,mismatched}.*` and so on; unless [`TaskInfo::files`](crate::TaskInfo::files) names it.
    /// Parquet may be in parts as the hub has it, such as `train-00000-of-00002.parquet`. Where `data` is a file, the
    /// task says which part of it is the dev split ([`TaskInfo::held_out`](crate::TaskInfo::held_out)).
    ///
    /// `labels` is the label set to use, which for another split than the training split has to be
    /// that of the training file or of the model, named as [`LabelledTask::name_classes`] does. Without it
    /// the task's own set is used, or else the set of labels in the file itself, sorted. Labels in a
    /// file may be written in another letter case, and `1.0` stands for `1`. A test file may lack
    /// labels: the column, the field, or all but an empty one, null or -1.
    ///
    /// # Errors
    ///
    /// The first thing wrong with the folder or the file.
    pub fn load(
        &self,
        data: &Path,
        split: Split,
        labels: Option<&[String]>,
    ) -> Result<Dataset, DataError> {
        let files = self.split_files(data, split)?;
        let learned = split == Split::Train;
        let mut found = self.load_paths(&files, labels, LabelUse::of(split), learned)?;
        let others = split.others(data, &split.wanted(self), &files);
        found.notes.extend(others);
        let stratum = |example: &Example| match &example.label {
            Some(label) => Stratum::from(label),
            None => Stratum::Labels(Vec::new()),
        };
        found.examples = match self.target.kind() {
            TaskKind::QuestionAnswering => {
                of_split_by_context(self.held_out, data, split, found.examples)?
            }
            TaskKind::Classification
            | TaskKind::MultiLabel
            | TaskKind::TokenClassification
            | TaskKind::Regression
            | TaskKind::Similarity
            | TaskKind::Ranking => of_split(self.held_out, data, split, found.examples, stratum)?,
        };
        Ok(found)
    }

    /// The files that [`LabelledTask::load`] reads for a split: one, or the parts of a Parquet file.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn split_files(&self, data: &Path, split: Split) -> Result<Vec<PathBuf>, DataError> {
        match data.is_file() {
            true => whole_file(self.held_out, data, split),
            false => split.find(data, &split.wanted(self)),
        }
    }

    /// Reads one file with a label in every row. Its extension tells the format; `labels` is as for
    /// [`LabelledTask::load`].
    ///
    /// # Errors
    ///
    /// The first thing wrong with the file.
    pub fn load_file(&self, path: &Path, labels: Option<&[String]>) -> Result<Dataset, DataError> {
        self.load_paths(&[path.to_owned()], labels, LabelUse::Required, false)
    }

    fn load_paths(
        &self,
        paths: &[PathBuf],
        labels: Option<&[String]>,
        label_use: LabelUse,
        learned: bool,
    ) -> Result<Dataset, DataError> {
        let label_use = match (self.target.kind(), label_use) {
            // A third text may be there.
            (TaskKind::Ranking, LabelUse::Required) => LabelUse::IfPresent,
            (_, label_use) => label_use,
        };
        let mut reading = Reading::new(self, labels, label_use)?;
        reading.learn_answers(learned);
        for path in paths {
            let (input, format) = open_labelled(path, self.target.kind())?;
            reading.read(path, input, format)?;
        }
        let first = paths.first().map(PathBuf::as_path);
        reading.finish(first.unwrap_or(Path::new("")))
    }
}

/// Opens a file to read it once from the beginning to the end.
pub(crate) fn open(path: &Path) -> Result<Input, DataError> {
    let file = File::open(path).map_err(|reason| unreadable(path, reason))?;
    if path.is_dir() {
        let path = path.to_owned();
        return Err(DataError::IsFolder { path });
    }
    Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
}

/// Opens a file of rows with labels. Its extension tells the format.
pub(crate) fn open_labelled(
    path: &Path,
    kind: TaskKind,
) -> Result<(Input, InputFormat), DataError> {
    // Opening comes first: a wrong path is worse news than a wrong extension.
    let input = open(path)?;
    let format = match (InputFormat::of_path(path), kind) {
        (Some(InputFormat::Lines), TaskKind::TokenClassification) => Some(InputFormat::Conll),
        // A line of plain text has no label, and words have no class.
        (Some(InputFormat::Lines | InputFormat::Conll), kind)
            if kind != TaskKind::TokenClassification =>
        {
            None
        }
        (format, _) => format,
    };
    let format = format.ok_or_else(|| DataError::UnknownExtension {
        path: path.to_owned(),
    })?;
    Ok((input, format))
}

/// Everything that there is to read.
pub(crate) fn read_whole(path: &Path, input: &mut Input) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    let read = input.read_to_end(&mut bytes);
    read.map_err(|reason| unreadable(path, reason))?;
    Ok(bytes)
}

pub(crate) fn unreadable(path: &Path, reason: io::Error) -> DataError {
    let path = path.to_owned();
    if path.is_dir() {
        DataError::IsFolder { path }
    } else if reason.kind() == io::ErrorKind::NotFound {
        DataError::NotFound { path }
    } else {
        DataError::Unreadable { path, reason }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Cursor;

    use super::*;
    use crate::{Inputs, Task, TaskInput};

    fn text_task() -> LabelledTask {
        LabelledTask::named("text").unwrap()
    }

    fn inputs(input: impl io::BufRead + Send + 'static, format: InputFormat) -> Inputs {
        let task = Task::from(text_task());
        task.inputs(Path::new("in.file"), input, format).unwrap()
    }

    #[test]
    fn rows_that_contradict_each_other() {
        let read = |format, content: &str| {
            let input = Cursor::new(content.to_owned());
            let rows = inputs(input, format).collect::<Result<Vec<_>, _>>();
            rows.unwrap_err().to_string()
        };
        let mixed = "{\"text\": \"a\", \"text_pair\": \"b\"}\n{\"text\": \"c\"}\n";
        assert_eq!(
            read(InputFormat::Jsonl, mixed),
            "in.file:2: no second text, unlike the rows before: give every row a pair, or none"
        );
        assert_eq!(
            read(InputFormat::Tsv, "text\ttext\na\tb\n"),
            "in.file:1: column `text` is there twice: rename one"
        );
    }

    #[test]
    fn the_three_formats_give_the_same_examples() {
        let dir = tempfile::tempdir().unwrap();
        let texts = ["plain ", "say \"hi\", twice", "caf\u{e9} \u{1f600}", ""];
        let labels = ["2", "10", "2", "1"];
        let (mut tsv, mut csv, mut jsonl) = (String::new(), Vec::new(), String::new());
        tsv.push_str("text\tlabel\n");
        {
            let mut writer = csv::Writer::from_writer(&mut csv);
            writer.write_record(["text", "label"]).unwrap();
            for (text, label) in texts.iter().zip(labels) {
                tsv.push_str(&format!("{text}\t{label}\n"));
                writer.write_record([text, label]).unwrap();
                let number: u32 = label.parse().unwrap();
                let object = serde_json::json!({"text": text, "label": number});
                jsonl.push_str(&format!("{object}\n"));
            }
        }
        let task = text_task();
        for (name, bytes, first_line) in [
            ("a.tsv", tsv.as_bytes(), 2),
            ("a.csv", &csv, 2),
            ("a.jsonl", jsonl.as_bytes(), 1),
        ] {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            let data = task.load_file(&path, None).unwrap();
            assert_eq!(data.labels, ["1", "2", "10"]);
            assert_eq!(data.path, path);
            let expected = [1, 2, 1, 0].into_iter().zip(texts).zip(first_line..);
            assert!(
                data.examples.iter().eq(&expected
                    .map(|((label, text), line)| Example {
                        text: text.to_owned(),
                        words: None,
                        text_pair: None,
                        label: Some(Label::Class(label)),
                        line,
                    })
                    .collect::<Vec<_>>())
            );

            let format = InputFormat::of_path(&path).unwrap();
            let read = inputs(Cursor::new(bytes.to_vec()), format);
            let read = read.map(|row| match row.unwrap().input {
                TaskInput::Text(example) => example,
                TaskInput::Prompt(_) => unreachable!(),
            });
            let unlabelled = data.examples.into_iter().map(|example| Example {
                label: None,
                ..example
            });
            assert!(read.eq(unlabelled));
        }
    }

    #[test]
    fn splits_share_the_labels_of_the_training_file() {
        let dir = tempfile::tempdir().unwrap();
        let task = text_task();
        fs::write(dir.path().join("train.csv"), "text,label\na,no\nb,yes\n").unwrap();
        fs::write(dir.path().join("val.tsv"), "text\tlabel\nc\tyes\n").unwrap();
        fs::write(dir.path().join("test.tsv"), "index\ttext\n0\td\n").unwrap();
        let train = task.load(dir.path(), Split::Train, None).unwrap();
        let labels = Some(train.labels.as_slice());
        let dev = task.load(dir.path(), Split::Dev, labels).unwrap();
        assert_eq!(dev.labels, ["no", "yes"]);
        assert_eq!(dev.examples[0].label, Some(Label::Class(1)));
        let test = task.load(dir.path(), Split::Test, labels).unwrap();
        assert_eq!(
            (test.examples[0].label.clone(), test.labels.len()),
            (None, 2)
        );

        let path = dir.path().join("val.tsv");
        fs::write(&path, "text\tlabel\nc\tyes\nd\tmaybe\n").unwrap();
        assert_eq!(
            task.load(dir.path(), Split::Dev, labels)
                .unwrap_err()
                .to_string(),
            format!(
                "{}:3: label `maybe` is not one of `no`, `yes`: \
                 correct it, use the labels of the training file, or name all labels in a task file (`labels`)",
                path.display()
            )
        );
    }

    #[test]
    fn the_labels_of_the_task_hold_without_others() {
        let dir = tempfile::tempdir().unwrap();
        let task = LabelledTask::named("sst2").unwrap();
        let path = dir.path().join("dev.tsv");
        fs::write(&path, "sentence\tlabel\nfine \t1\n").unwrap();
        let data = task.load_file(&path, None).unwrap();
        assert_eq!(data.labels, ["0", "1"]);
        assert_eq!(data.examples[0].label, Some(Label::Class(1)));
        assert_eq!(data.examples[0].text, "fine ");
        fs::write(&path, "sentence\tlabel\nfine \t-1\n").unwrap();
        let error = task.load_file(&path, None).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(":2: the label is missing: fill in the column `label`")
        );
    }

    #[test]
    fn files_that_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let task = text_task();
        let message = |path: &Path| task.load_file(path, None).unwrap_err().to_string();

        let path = dir.path().join("none.tsv");
        let rest = "no such file or folder: check the spelling and the current folder";
        assert_eq!(message(&path), format!("{}: {rest}", path.display()));

        let rest = "is a folder: give one file";
        let shown = dir.path().display();
        assert_eq!(message(dir.path()), format!("{shown}: {rest}"));

        let path = dir.path().join("data.xlsx");
        fs::write(&path, "").unwrap();
        let rest = "the file name does not tell the format: \
                    rename the file to end in .tsv, .csv, .jsonl, .json or .parquet";
        assert_eq!(message(&path), format!("{}: {rest}", path.display()));

        let path = dir.path().join("data.txt");
        fs::write(&path, "one\n").unwrap();
        assert_eq!(message(&path), format!("{}: {rest}", path.display()));
        let mut rows = Task::from(task).open_inputs(&path, None).unwrap();
        assert_eq!(rows.next().unwrap().unwrap().columns["text"], "one");
    }

    #[test]
    fn a_broken_reader_gives_its_reason() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("cable pulled"))
            }
        }
        let mut rows = inputs(BufReader::new(Broken), InputFormat::Lines);
        assert_eq!(
            rows.next().unwrap().unwrap_err().to_string(),
            "in.file: cannot be read (cable pulled): check its permissions and the disk"
        );
    }
}
