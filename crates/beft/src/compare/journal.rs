use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use beft_core::write_atomic;
use beft_tasks::Split;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::compare::{Cell, CellResult};
use crate::{Base, Error, find_task, write_json};

/// The folder of finished cells. A cell's file is named by a hash of its settings and of what the
/// files it reads hold: it is found again, and only if nothing that decides its result has changed.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    /// Contents already hashed, by model or data folder.
    known: HashMap<String, String>,
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
        let model = match self.known.get(&cell.model) {
            Some(known) => known.clone(),
            None => {
                let base = Base::open(&cell.model, None, &Device::default())?;
                let mut hash = Sha256::new();
                hash.update(base.fingerprint());
                for file in ["config.json", "tokenizer.json"] {
                    update(&mut hash, &base.dir().path().join(file))?;
                }
                let found = hex(hash);
                self.known.insert(cell.model.clone(), found.clone());
                found
            }
        };
        let data_key = format!("{}\n{}", cell.task, cell.data.display());
        let data = match self.known.get(&data_key) {
            Some(known) => known.clone(),
            None => {
                let task = find_task(&cell.model, &cell.task)?;
                let mut hash = Sha256::new();
                if cell.task.ends_with(".toml") {
                    update(&mut hash, Path::new(&cell.task))?;
                }
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
                let found = hex(hash);
                self.known.insert(data_key, found.clone());
                found
            }
        };
        // Paths are left out: a moved folder with the same content is the same.
        let mut cell = cell.clone();
        (cell.model, cell.data) = (model, PathBuf::from(data));
        let settings = serde_json::to_string(&cell).map_err(|e| Error::Usage(e.to_string()))?;
        let mut hash = Sha256::new();
        hash.update(env!("CARGO_PKG_VERSION"));
        hash.update(settings);
        Ok(hex(hash))
    }

    /// The result of a finished cell; `None` when it is not finished (or its file is damaged).
    pub fn find(&self, key: &str) -> Option<CellResult> {
        let text = fs::read(self.result_path(key)).ok()?;
        serde_json::from_slice(&text).ok()
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
