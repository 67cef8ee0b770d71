use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::write_atomic;

/// A file that is written bit by bit: until it is finished it has `.partial` behind its name and holds what
/// was written so far, and an older file stays as it was.
///
/// ```
/// use std::io::Write;
///
/// # fn main() -> std::io::Result<()> {
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("rows.csv");
/// let mut file = beft_files::PartialFile::create(&path)?;
/// file.write_all(b"a,b\n")?;
/// assert!(dir.path().join("rows.csv.partial").exists() && !path.exists());
/// file.finish()?;
/// assert_eq!(std::fs::read(&path)?, b"a,b\n");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PartialFile {
    file: File,
    path: PathBuf,
    /// Where it is until it is finished; `None` for a device or a pipe, which nothing can take the place of.
    partial: Option<PathBuf>,
}

impl PartialFile {
    /// Begins a file. Missing parent directories are created, a symbolic link is followed.
    ///
    /// # Errors
    ///
    /// Any I/O error of creating.
    pub fn create(path: &Path) -> io::Result<Self> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if path.exists() && !path.is_file() && !path.is_dir() {
            let file = fs::OpenOptions::new().write(true).open(&path)?;
            return Ok(Self {
                file,
                path,
                partial: None,
            });
        }
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        write_atomic(&partial, b"")?;
        Ok(Self {
            file: fs::OpenOptions::new().append(true).open(&partial)?,
            path,
            partial: Some(partial),
        })
    }

    /// The file as it is until it is finished.
    pub fn partial_path(&self) -> &Path {
        self.partial.as_deref().unwrap_or(&self.path)
    }

    /// Gives the file its name.
    ///
    /// # Errors
    ///
    /// Any I/O error of writing and renaming.
    pub fn finish(mut self) -> io::Result<()> {
        let Some(partial) = self.partial.take() else {
            return Ok(());
        };
        self.file.sync_all()?;
        fs::rename(partial, &self.path)
    }
}

impl Drop for PartialFile {
    /// What was begun and holds nothing is of no use.
    fn drop(&mut self) {
        let empty = || self.file.metadata().is_ok_and(|file| file.len() == 0);
        if let Some(partial) = self.partial.take()
            && empty()
        {
            let _ = fs::remove_file(partial);
        }
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
