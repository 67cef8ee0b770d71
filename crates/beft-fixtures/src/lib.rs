//! Small random models, with what `transformers` and `peft` computed of them: their folders for tests, and
//! their content for a program that runs anywhere. `cargo xtask fixtures` makes them.
//!
//! ```
//! assert!(beft_fixtures::model("bert-tiny").join("config.json").is_file());
//! ```

use std::path::{Path, PathBuf};
use std::{fs, io};

use include_dir::{Dir, include_dir};
use tempfile::TempDir;

static FIXTURES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/models");

/// Fixtures of encoders, one of each way in which they are computed.
pub const ENCODERS: [&str; 9] = [
    "bert-tiny",
    "roberta-tiny",
    "distilbert-tiny",
    "electra-tiny",
    "mpnet-tiny",
    "modernbert-tiny",
    "modernbert-mean-tiny",
    "deberta-v3-tiny",
    "deberta-v2-tiny",
];

/// The folder of a fixture in this repository.
pub fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("models")
        .join(name)
}

/// Copies a fixture's config, weights and tokenizer into the folder `to`, which is made.
///
/// # Errors
///
/// When a file cannot be read or written.
pub fn copy_model(name: &str, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(model(name).join(file), to.join(file))?;
    }
    Ok(())
}

/// The fixtures, unpacked to a temporary folder that lives as long as this.
#[derive(Debug)]
pub struct Fixtures(TempDir);

impl Fixtures {
    /// Unpacks them.
    ///
    /// # Errors
    ///
    /// When the temporary folder cannot be written.
    pub fn unpack() -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        FIXTURES.extract(dir.path())?;
        Ok(Self(dir))
    }

    /// The folder of a fixture.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Folders that hold a model with its expected tensors, in order: every architecture's.
    pub fn models(&self) -> Vec<PathBuf> {
        let mut names: Vec<&Path> = FIXTURES
            .dirs()
            .filter(|dir| dir.get_file(dir.path().join("config.json")).is_some())
            .map(Dir::path)
            .collect();
        names.sort();
        names
            .into_iter()
            .map(|name| self.0.path().join(name))
            .collect()
    }
}
