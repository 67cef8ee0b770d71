use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use beft_core::write_atomic;
use beft_modes::Mode;
use beft_tasks::{Split, Task};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::compare::{Cell, CellResult};
use crate::record::{Inputs, model_digest};
use crate::{Base, Error, TrainingRecord, find_task, write_json};

/// The folder of finished cells. A cell's file is named by a hash of its [`TrainingRecord`] and its
/// scorers: it is found again, and only if nothing that decides its result has changed.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    /// What was read already, by model, task and data folder.
    known: HashMap<(String, String, PathBuf), Source>,
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
}

/// Cells that are trained together, with their names in the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pass {
    /// Name and settings of each.
    pub cells: Vec<(String, Cell)>,
}

impl Pass {
    /// The name of its files: it changes with the cells in it.
    fn key(&self) -> String {
        match self.cells.as_slice() {
            [(key, _)] => key.clone(),
            cells => {
                let mut hash = Sha256::new();
                for (key, _) in cells {
                    hash.update(key);
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
    pub fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(|source| Error::Write {
            path: dir.to_owned(),
            source,
        })?;
        Ok(Self {
            dir: dir.to_owned(),
            known: HashMap::new(),
        })
    }

    /// The name of a cell's files.
    ///
    /// # Errors
    ///
    /// When its model or data cannot be read.
    pub fn key(&mut self, cell: &Cell) -> Result<String, Error> {
        let usage = |e: &dyn std::fmt::Display| Error::Usage(e.to_string());
        let source = self.source(cell)?;
        let mode: Mode = cell.mode.parse().map_err(|e| usage(&e))?;
        let device = cell.device.trim().to_ascii_lowercase();
        let inputs = Inputs {
            base: &source.base,
            model: source.model.clone(),
            task: &source.task,
            data: source.data.clone(),
            sizes: (cell.train_size, cell.limit),
            objective: cell.objective,
            device: device.split(':').next().unwrap_or_default().to_owned(),
            precision: cell.precision.clone(),
        };
        let options = cell.options(&source.task, &mode, &source.base);
        let record = TrainingRecord::new(inputs, &mode, &options);
        // Beside the training, what is computed from it. Paths and names are left out: a moved folder
        // with the same content is the same.
        let text = serde_json::to_string(&(record, &cell.scorers)).map_err(|e| usage(&e))?;
        let mut hash = Sha256::new();
        hash.update(text);
        Ok(hex(hash))
    }

    /// What the files of a cell hold; they are read once.
    fn source(&mut self, cell: &Cell) -> Result<&Source, Error> {
        let key = (cell.model.clone(), cell.task.clone(), cell.data.clone());
        if !self.known.contains_key(&key) {
            let task = find_task(&cell.model, &cell.task)?;
            // The device decides nothing here: only config and tokenizer are read.
            let base = Base::open(&cell.model, task.defaults.max_length, &Device::default())?;
            let mut hash = Sha256::new();
            let splits = std::iter::once(Split::Train).chain(task.dev_splits().iter().copied());
            for split in splits {
                let files = match &task.prompt {
                    Some(prompt) => prompt.split_files(&cell.data, split)?,
                    None => task.split_files(&cell.data, split)?,
                };
                for file in files {
                    update(&mut hash, &file)?;
                }
            }
            let source = Source {
                model: model_digest(&base)?,
                data: hex(hash),
                base,
                task,
            };
            self.known.insert(key.clone(), source);
        }
        Ok(&self.known[&key])
    }

    /// The result of a finished cell, under the names that it has now; `None` when it is not finished (or
    /// its file is damaged).
    pub fn find(&self, key: &str, cell: &Cell) -> Option<CellResult> {
        let text = fs::read(self.result_path(key)).ok()?;
        let found: CellResult = serde_json::from_slice(&text).ok()?;
        Some(CellResult {
            cell: cell.clone(),
            ..found
        })
    }

    /// Whether a cell is finished.
    pub fn is_done(&self, key: &str) -> bool {
        self.result_path(key).is_file()
    }

    /// Writes a cell's result, whole or not at all.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(&self, key: &str, result: &CellResult) -> Result<(), Error> {
        write_json(&self.result_path(key), result)
    }

    /// Forgets the state of a pass.
    pub fn forget(&self, pass: &Pass) {
        // What cannot be removed harms nothing.
        let _ = fs::remove_file(self.state_path(pass));
    }

    /// Where a pass survives an interruption.
    pub fn state_path(&self, pass: &Pass) -> PathBuf {
        self.dir.join(format!("{}.state", pass.key()))
    }

    /// Where the cells of a pass that is under way are kept, for its process.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_pass(&self, pass: &Pass) -> Result<PathBuf, Error> {
        let path = self.dir.join(format!("{}.pass", pass.key()));
        let text = serde_json::to_vec(pass).map_err(|e| Error::Usage(e.to_string()))?;
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

fn update(hash: &mut Sha256, path: &Path) -> Result<(), Error> {
    let fail = |e: std::io::Error| Error::Usage(format!("cannot read {}: {e}", path.display()));
    let mut file = File::open(path).map_err(fail)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(fail)?;
        if count == 0 {
            return Ok(());
        }
        hash.update(&buffer[..count]);
    }
}

fn hex(hash: Sha256) -> String {
    let digest = hash.finalize();
    digest.iter().take(10).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::test::{cell, result};

    /// A cell is found again by what it is, not by where it is and what it is called.
    #[test]
    fn a_moved_cell_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for place in ["one", "two"] {
            beft_demo::write_model(&at(place).join("model")).unwrap();
            beft_demo::write_data(&at(place).join("data")).unwrap();
        }
        let placed = |place: &str, mode: &str| Cell {
            model: at(place).join("model").display().to_string(),
            task: "text".to_owned(),
            data: at(place).join("data"),
            ..cell(mode, 0)
        };
        let mut journal = Journal::open(&at("cells")).unwrap();
        let (one, two) = (placed("one", "v"), placed("two", "v"));
        let key = journal.key(&one).unwrap();
        let renamed = Cell {
            regime: "all".to_owned(),
            device: "Flex:0".to_owned(),
            ..two.clone()
        };
        for same in [&two, &renamed] {
            assert_eq!(journal.key(same).unwrap(), key);
        }
        journal.finish(&key, &result("v", 0, 0.5)).unwrap();
        assert_eq!(journal.find(&key, &renamed).unwrap().cell, renamed);

        let others = [
            placed("one", "q"),
            Cell {
                seed: 1,
                ..one.clone()
            },
            Cell {
                epochs: 4,
                ..one.clone()
            },
            Cell {
                batch_size: 8,
                ..one.clone()
            },
            Cell {
                learning_rate: 0.5,
                ..one.clone()
            },
            Cell {
                limit: Some(1),
                ..one.clone()
            },
            Cell {
                train_size: Some(1),
                ..one.clone()
            },
            Cell {
                precision: "bf16".to_owned(),
                ..one.clone()
            },
            Cell {
                device: "ndarray".to_owned(),
                ..one.clone()
            },
            Cell {
                scorers: vec!["beft".to_owned()],
                ..one.clone()
            },
            Cell {
                objective: crate::Objective::Text,
                ..one.clone()
            },
        ];
        let mut keys: Vec<String> = others.iter().map(|c| journal.key(c).unwrap()).collect();
        keys.push(key);
        // The tokenizer's settings are part of the model.
        fs::write(at("two/model/tokenizer_config.json"), "{}").unwrap();
        keys.push(Journal::open(&at("cells")).unwrap().key(&two).unwrap());
        let all = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all);
    }
}
