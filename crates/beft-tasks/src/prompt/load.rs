use std::path::{Path, PathBuf};

use super::choose::BadField;
use super::{Candidates, PromptExample, PromptSet, PromptTask, document_records};
use crate::dataset::open_labelled;
use crate::held_out::{Stratum, of_split, whole_file};
use crate::records::raw::Record;
use crate::records::stream::{Names, Records};
use crate::records::{Input, LabelUse};
use crate::split::{EXTENSIONS, Wanted};
use crate::{DataError, InputFormat, Split, TaskKind};

impl PromptTask {
    /// Reads the file of `split` in the folder `data`, which is found as
    /// [`LabelledTask::load`](crate::LabelledTask::load) finds it; a JSON document (`train.json`), or one under
    /// the name that it has in SQuAD's or DROP's release (`dev-v1.1.json`), is found too. A test
    /// file may lack labels and answers.
    ///
    /// # Errors
    ///
    /// The first thing wrong with the folder or the file.
    pub fn load(&self, data: &Path, split: Split) -> Result<PromptSet, DataError> {
        let files = self.split_files(data, split)?;
        let mut found = self.load_paths(&files, LabelUse::of(split))?;
        let others = split.others(data, &self.wanted(split), &files);
        found.notes.extend(others);
        let stratum = |example: &PromptExample| Stratum::Labels(example.right.clone());
        found.examples = of_split(self.held_out, data, split, found.examples, stratum)?;
        Ok(found)
    }

    /// The files that [`PromptTask::load`] reads for a split: one, or the parts of a Parquet file.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn split_files(&self, data: &Path, split: Split) -> Result<Vec<PathBuf>, DataError> {
        if data.is_file() {
            return whole_file(self.held_out, data, split);
        }
        split.find(data, &self.wanted(split))
    }

    fn wanted(&self, split: Split) -> Wanted<'_> {
        Wanted {
            files: &self.files,
            mismatched: false,
            extensions: EXTENSIONS,
            official: self.form.official(split),
        }
    }

    /// Reads one file. Its extension tells the format: `.tsv`, `.csv`, `.jsonl`, `.parquet` or `.json`. Every
    /// row must have a label or an answer.
    ///
    /// # Errors
    ///
    /// The first thing wrong with the file.
    pub fn load_file(&self, path: &Path) -> Result<PromptSet, DataError> {
        self.load_paths(&[path.to_owned()], LabelUse::Required)
    }

    fn load_paths(&self, paths: &[PathBuf], label_use: LabelUse) -> Result<PromptSet, DataError> {
        let first = paths.first().map(PathBuf::as_path);
        let path = first.unwrap_or(Path::new("")).to_owned();
        let mut set = PromptSet {
            path: path.clone(),
            labels: self.label_names(),
            skipped: Vec::new(),
            notes: Vec::new(),
            examples: Vec::new(),
        };
        let required = label_use == LabelUse::Required;
        for path in paths {
            let (input, format) = open_labelled(path, TaskKind::Classification)?;
            let mut records = self.records(path, input, format)?;
            for record in records.by_ref() {
                match record {
                    Ok(record) => {
                        for record in self.form.expand(path, record)? {
                            let example = self.example(path, &record, label_use)?;
                            // Only a label that says so may be missing here.
                            if required && example.right.is_empty() && example.answers.is_empty() {
                                set.skipped.push(example.line);
                            } else {
                                set.examples.push(example);
                            }
                        }
                    }
                    Err(DataError::ColumnCount { line, .. }) if self.skip_malformed && required => {
                        set.skipped.push(line);
                    }
                    Err(error) => return Err(error),
                }
            }
            records.check_any()?;
            set.notes.extend(records.notes());
        }
        match (set.examples.len(), set.skipped.len()) {
            (0, 0) => Err(DataError::Empty { path }),
            (0, rows) => Err(DataError::AllSkipped { path, rows }),
            _ => Ok(set),
        }
    }

    /// The records of a file, which the form may turn into several examples each.
    pub(crate) fn records(
        &self,
        path: &Path,
        input: Input,
        format: InputFormat,
    ) -> Result<Records, DataError> {
        let names = Names {
            line: self.template.only_column().unwrap_or("text"),
            tags: self.label_columns.first().map_or("label", String::as_str),
            headerless: &self.headerless,
            known: &[],
            kept: None,
        };
        document_records(path, input, format, names, self.form)
    }

    /// The examples of one record, without its label, each beside its columns.
    pub(crate) fn unlabelled(
        &self,
        path: &Path,
        record: Record,
    ) -> Result<Vec<(PromptExample, Record)>, DataError> {
        let records = self.form.expand(path, record)?.into_iter();
        let examples = records.map(|record| {
            let example = self.example(path, &record, LabelUse::Ignored)?;
            Ok((example, record))
        });
        examples.collect()
    }

    fn example(
        &self,
        path: &Path,
        record: &Record,
        label_use: LabelUse,
    ) -> Result<PromptExample, DataError> {
        let required = label_use == LabelUse::Required;
        let (candidates, answers) = match &self.candidates {
            Candidates::Classes(texts) => (texts.clone(), Vec::new()),
            Candidates::Choices(templates) => {
                let texts = templates.iter().map(|text| text.render(path, record));
                (texts.collect::<Result<_, _>>()?, Vec::new())
            }
            Candidates::Each(template) => {
                let texts = template.render_each(path, record)?;
                if texts.is_empty() {
                    let message = "it has no entry, so that there is nothing to choose from";
                    return Err(bad(path, record, template.source(), message));
                }
                (texts, Vec::new())
            }
            Candidates::Answer(_) if label_use == LabelUse::Ignored => Default::default(),
            Candidates::Answer(template) => {
                let answers = match template.render_each(path, record) {
                    Err(DataError::MissingColumn { .. }) if !required => Vec::new(),
                    answers => answers?,
                };
                if answers.is_empty() && required {
                    let message = "it has no entry: write at least one answer";
                    return Err(bad(path, record, template.source(), message));
                }
                (Vec::new(), answers)
            }
        };
        let right = match &self.candidates {
            Candidates::Answer(_) => Vec::new(),
            _ if label_use == LabelUse::Ignored => Vec::new(),
            _ => self.right(path, record, candidates.len(), required)?,
        };
        Ok(PromptExample {
            prompt: self.template.render(path, record)?,
            candidates,
            right,
            answers,
            content_free: self.template.emptied_for(path, record)?,
            line: record.at.number(),
            group: record.group.clone(),
        })
    }
}

fn bad(path: &Path, record: &Record, template: &str, message: &str) -> DataError {
    let at = record.at;
    let field = template.trim().trim_matches(['{', '}']);
    BadField { path, at }.because(field, message.to_owned())
}
