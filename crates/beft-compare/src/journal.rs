use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use beft_files::write_atomic;
use beft_tasks::{Split, Task};
use beft_train::is_whole_state;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{CompareError, Trial, TrialMode, TrialResult};
use beft::{Base, DataOptions, Error, Inputs, TrainingRecord, model_digest, write_json};

/// The folder of finished trials. A trial's file is named by a hash of its [`TrainingRecord`] and its
/// scorers: it is found again, and only if nothing that decides its result has changed.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    /// What was read already, by model, task, data folder and whether a decoder has a head.
    known: HashMap<(String, String, PathBuf, bool), Source>,
}

/// A model, a task and its data.
#[derive(Debug)]
struct Source {
    base: Base,
    task: Task,
    /// Digest of the model.
    model: String,
    /// Digest of the data files.
    data: String,
    /// The file with the training examples.
    train_file: PathBuf,
    /// Numbers of examples of the splits that were counted.
    counts: BTreeMap<Split, usize>,
}

impl Source {
    /// Reads what a trial names. The digest of its model is computed where it is not known: all weights are read for it.
    fn read(trial: &Trial, model: Option<String>) -> Result<Self, CompareError> {
        let task = trial.find_task()?;
        // The device decides nothing here: only config and tokenizer are read.
        let base = Base::open(&trial.model, task.defaults.max_length, &Device::default())?
            .for_task(&task)?;
        let mut hash = Sha256::new();
        let mut train_file = None;
        let splits = std::iter::once(Split::Train).chain(task.dev_splits().iter().copied());
        for split in splits {
            for file in task.split_files(&trial.data, split).map_err(Error::from)? {
                update(&mut hash, &file)?;
                // Those of training come first.
                train_file.get_or_insert(file);
            }
        }
        Ok(Self {
            model: model.map_or_else(|| model_digest(&base), Ok)?,
            data: hex(hash),
            train_file: train_file.unwrap_or_else(|| trial.data.clone()),
            counts: BTreeMap::new(),
            base,
            task,
        })
    }

    /// The number of examples of a split, whose files are read once.
    fn count(&mut self, data: &Path, split: Split) -> Result<usize, CompareError> {
        if let Some(count) = self.counts.get(&split) {
            return Ok(*count);
        }
        let found = match &self.task {
            Task::Labelled(task) => task.load(data, split, None).map(|d| d.examples.len()),
            Task::Prompted(task) => task.load(data, split).map(|d| d.examples.len()),
        };
        let count = found.map_err(Error::from)?;
        self.counts.insert(split, count);
        Ok(count)
    }
}

/// A trial with its place in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The name of its files.
    #[serde(default)]
    pub key: String,
    /// What is trained.
    #[serde(rename = "cell")]
    pub trial: Trial,
    /// What its result follows from.
    pub record: TrainingRecord,
}

/// What the file of a finished trial holds.
#[derive(Serialize, Deserialize)]
struct Finished<'a> {
    record: Cow<'a, TrainingRecord>,
    /// Of the result: a file that was changed or damaged is no result.
    digest: String,
    #[serde(flatten)]
    result: Cow<'a, TrialResult>,
}

/// Trials that train together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JointTrials {
    /// Each of them.
    pub trials: Vec<Planned>,
}

impl JointTrials {
    /// The name of its files: it changes with the trials in it.
    fn key(&self) -> String {
        match self.trials.as_slice() {
            [planned] => planned.key.clone(),
            trials => {
                let mut hash = Sha256::new();
                for planned in trials {
                    hash.update(&planned.key);
                }
                hex(hash)
            }
        }
    }
}

impl Journal {
    /// The journal in the folder `dir`, made when it does not exist.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made.
    pub fn open(dir: &Path) -> Result<Self, CompareError> {
        fs::create_dir_all(dir).map_err(|source| Error::Write {
            path: dir.to_owned(),
            source,
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            known: HashMap::new(),
        })
    }

    /// A trial's place in the journal.
    ///
    /// # Errors
    ///
    /// When its model or data cannot be read.
    pub fn plan(&mut self, trial: Trial) -> Result<Planned, CompareError> {
        let source = self.source(&trial)?;
        let mode: TrialMode = trial.mode.parse()?;
        let device = trial.device.trim().to_ascii_lowercase();
        let inputs = Inputs {
            base: &source.base,
            model: source.model.clone(),
            task: &source.task,
            data: source.data.clone(),
            sizes: (trial.train_size, trial.limit),
            objective: trial.objective,
            device: device.split(':').next().unwrap_or_default().to_owned(),
            precision: trial.precision.clone(),
        };
        let of = mode.settings();
        let settings = trial.settings(&source.task, &of, &source.base);
        let record = TrainingRecord {
            terms: mode.to_string(),
            ..TrainingRecord::new(inputs, &of, &settings)
        };
        // Beside the training, what is computed from it. Paths and names are left out: a moved folder
        // with the same content is the same.
        // There is nothing in them that JSON cannot hold.
        let text = serde_json::to_string(&(&record, &trial.scorers)).unwrap_or_default();
        let mut hash = Sha256::new();
        hash.update(text);
        Ok(Planned {
            key: hex(hash),
            trial,
            record,
        })
    }

    /// A trial's model, and its numbers of training examples and of dev examples. Fails where the training subset is larger
    /// than the file.
    pub(crate) fn sizes(&mut self, trial: &Trial) -> Result<(&Base, usize, usize), CompareError> {
        let source = self.source(trial)?;
        let available = source.count(&trial.data, Split::Train)?;
        let options = DataOptions {
            train_size: trial.train_size,
            ..DataOptions::default()
        };
        let usual = source.task.defaults.train_size;
        let (train, _) = options.size(usual, available, &source.train_file)?;
        let mut dev = 0;
        for split in source.task.dev_splits() {
            let found = source.count(&trial.data, *split)?;
            dev += trial.limit.map_or(found, |limit| limit.min(found));
        }
        Ok((&source.base, train, dev))
    }

    /// Makes sure that the data of all trials that are not finished are there, and enough for their training subsets.
    ///
    /// # Errors
    ///
    /// When they are not.
    pub fn check_data(&mut self, trials: &[Planned]) -> Result<(), CompareError> {
        for planned in trials {
            if !self.is_done(&planned.key) {
                self.sizes(&planned.trial)?;
            }
        }
        Ok(())
    }

    /// What is left to do of trials that train together: those that are not finished; or all, if some of them were
    /// interrupted together with the others, whose state they share. `None` when all are finished.
    pub fn open_part(&self, pass: &JointTrials) -> Option<JointTrials> {
        let open = pass.trials.iter().filter(|t| !self.is_done(&t.key));
        let open: Vec<Planned> = open.cloned().collect();
        match open.is_empty() {
            true => None,
            false if self.state_path(pass).is_file() => Some(pass.clone()),
            false => Some(JointTrials { trials: open }),
        }
    }

    /// Removes what killed processes left, when everything that the journal is of is finished: nobody needs more than the
    /// results.
    pub fn clean(&self) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let kept =
                { path.extension() }.is_some_and(|found| found == "json" || found == "damaged");
            if !kept && path.is_file() {
                // What cannot be removed harms nothing.
                let _ = fs::remove_file(path);
            }
        }
    }

    /// The journal's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The files of the journal with an extension, by their names.
    pub(crate) fn files(&self, extension: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let mut found: Vec<PathBuf> = paths
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .collect();
        found.sort();
        found
    }

    /// What the files of a trial hold; they are read once.
    fn source(&mut self, trial: &Trial) -> Result<&mut Source, CompareError> {
        let key = (
            trial.model.clone(),
            trial.task.clone(),
            trial.data.clone(),
            trial.head,
        );
        let of_model = self.known.iter().find(|(key, _)| key.0 == trial.model);
        let model = of_model.map(|(_, source)| source.model.clone());
        match self.known.entry(key) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(Source::read(trial, model)?)),
        }
    }

    /// Sets the results aside that are no results of these trials: damaged files, and those that another trial's result
    /// was copied over; and damaged training states. Returns what they are called now.
    ///
    /// # Errors
    ///
    /// When a file cannot be renamed.
    pub fn set_damaged_aside(&self, trials: &[Planned]) -> Result<Vec<PathBuf>, CompareError> {
        let results = trials.iter().filter_map(|planned| {
            let other = self.is_done(&planned.key) && self.find(planned).is_none();
            other.then(|| (self.result_path(&planned.key), "damaged"))
        });
        let files = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let states = files.map(|entry| entry.path()).filter(|path| {
            let is_state = path.extension().is_some_and(|found| found == "state");
            is_state && fs::read(path).is_ok_and(|file| !is_whole_state(&file))
        });
        let mut aside = Vec::new();
        for (path, extension) in results.chain(states.map(|path| (path, "state.damaged"))) {
            let new = path.with_extension(extension);
            match fs::rename(&path, &new) {
                Ok(()) => aside.push(new),
                // Another process of the comparison was faster.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::Write { path, source }.into()),
            }
        }
        Ok(aside)
    }

    /// The result of a finished trial, under the names that it has now; `None` when it is not finished, or
    /// its file is damaged or of another trial.
    pub fn find(&self, planned: &Planned) -> Option<TrialResult> {
        let text = fs::read(self.result_path(&planned.key)).ok()?;
        let found: Finished<'_> = serde_json::from_slice(&text).ok()?;
        let whole = digest(&found.result) == found.digest;
        (whole && *found.record == planned.record).then(|| TrialResult {
            trial: planned.trial.clone(),
            ..found.result.into_owned()
        })
    }

    /// Whether a trial is finished.
    pub fn is_done(&self, key: &str) -> bool {
        self.result_path(key).is_file()
    }

    /// Writes a trial's result, whole or not at all.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(&self, planned: &Planned, result: &TrialResult) -> Result<(), CompareError> {
        let finished = Finished {
            record: Cow::Borrowed(&planned.record),
            digest: digest(result),
            result: Cow::Borrowed(result),
        };
        Ok(write_json(&self.result_path(&planned.key), &finished)?)
    }

    /// Removes the state of trials that have finished.
    pub fn forget(&self, joint: &JointTrials) {
        // What cannot be removed harms nothing.
        let _ = fs::remove_file(self.state_path(joint));
    }

    /// The file that trials survive an interruption in.
    pub fn state_path(&self, joint: &JointTrials) -> PathBuf {
        self.dir.join(format!("{}.state", joint.key()))
    }

    /// Writes trials to a file, for the process that trains them.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_joint(&self, joint: &JointTrials) -> Result<PathBuf, CompareError> {
        let path = self.dir.join(format!("{}.pass", joint.key()));
        let text = serde_json::to_vec(joint).unwrap_or_default();
        write_atomic(&path, &text).map_err(|source| Error::Write {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }

    fn result_path(&self, key: &str) -> PathBuf {
        self.dir.join(format!("{key}.json"))
    }
}

fn update(hash: &mut Sha256, path: &Path) -> Result<(), CompareError> {
    let copied = File::open(path).and_then(|mut file| io::copy(&mut file, hash));
    copied.map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(())
}

/// A digest of a result, which is the same when it was written and read.
fn digest(result: &TrialResult) -> String {
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(result).unwrap_or_default());
    hex(hash)
}

fn hex(hash: Sha256) -> String {
    format!("{:.20x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::{result, trial};

    /// A trial is found again by what it is, not by where it is and what it is called.
    #[test]
    fn a_moved_cell_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for place in ["one", "two"] {
            beft_demo::write_model(&at(place).join("model")).unwrap();
            beft_demo::write_data(&at(place).join("data")).unwrap();
        }
        let placed = |place: &str, mode: &str| Trial {
            model: at(place).join("model").display().to_string(),
            task: "text".to_owned(),
            data: at(place).join("data"),
            ..trial(mode, 0)
        };
        let mut journal = Journal::open(&at("trials")).unwrap();
        let (one, two) = (placed("one", "v"), placed("two", "v"));
        let planned = journal.plan(one.clone()).unwrap();
        let key_of =
            |journal: &mut Journal, trial: &Trial| journal.plan(trial.clone()).unwrap().key;
        let renamed = Trial {
            regime: "all".to_owned(),
            device: "Flex:0".to_owned(),
            ..two.clone()
        };
        for same in [&two, &renamed] {
            assert_eq!(key_of(&mut journal, same), planned.key);
        }
        journal.finish(&planned, &result("v", 0, 0.5)).unwrap();
        let renamed = journal.plan(renamed).unwrap();
        assert_eq!(journal.find(&renamed).unwrap().trial, renamed.trial);

        let others = [
            placed("one", "q"),
            Trial {
                seed: 1,
                ..one.clone()
            },
            Trial {
                epochs: 4,
                ..one.clone()
            },
            Trial {
                batch_size: 8,
                ..one.clone()
            },
            Trial {
                learning_rate: 0.5,
                ..one.clone()
            },
            Trial {
                limit: Some(1),
                ..one.clone()
            },
            Trial {
                train_size: Some(1),
                ..one.clone()
            },
            Trial {
                precision: "bf16".to_owned(),
                ..one.clone()
            },
            Trial {
                device: "ndarray".to_owned(),
                ..one.clone()
            },
            Trial {
                scorers: vec!["beft".to_owned()],
                ..one.clone()
            },
            Trial {
                objective: beft::Objective::Text,
                ..one.clone()
            },
        ];
        let mut keys: Vec<String> = others.iter().map(|c| key_of(&mut journal, c)).collect();
        keys.push(planned.key.clone());
        // The tokenizer's settings are part of the model.
        fs::write(at("two/model/tokenizer_config.json"), "{}").unwrap();
        let mut again = Journal::open(&at("trials")).unwrap();
        keys.push(again.plan(two).unwrap().key);
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
