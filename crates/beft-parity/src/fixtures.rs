//! The committed fixtures, part of the program so that it runs anywhere.

use std::io;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use tempfile::TempDir;

static FIXTURES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fixtures");

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
