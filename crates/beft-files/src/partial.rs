use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::lock::{Locked, lock};

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
    /// Begins a file, which no other process can begin until this one has finished it or ended. Missing parent directories
    /// are created, a symbolic link is followed.
    ///
    /// # Errors
    ///
    /// Any I/O error of creating; of the kind `ResourceBusy` while another process writes it.
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
        Ok(Self {
            file: locked(&partial)?,
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

/// An empty file that no other process writes to: what an earlier one left is emptied.
fn locked(partial: &Path) -> io::Result<File> {
    if let Some(parent) = partial.parent() {
        fs::create_dir_all(parent)?;
    }
    // Not through a link, which may lead anywhere.
    if partial.is_symlink() {
        fs::remove_file(partial)?;
    }
    match lock(File::options().append(true).create(true), partial)? {
        Locked::Ours(file) | Locked::Unsupported(file) => {
            file.set_len(0)?;
            Ok(file)
        }
        Locked::Theirs(file) => Err(taken(&file, partial)),
    }
}

fn taken(file: &File, partial: &Path) -> io::Error {
    let process = holder(file).map_or("another process".to_owned(), |pid| format!("process {pid}"));
    let what = format!(
        "{process} writes it, in {}: wait until that is finished, or give another file",
        partial.display()
    );
    io::Error::new(io::ErrorKind::ResourceBusy, what)
}

/// The process that holds the lock of a file, where the system tells (`/proc/locks`).
#[cfg(unix)]
fn holder(file: &File) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(":{}", file.metadata().ok()?.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let mut lines = locks
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|line| line.get(5).is_some_and(|file| file.ends_with(&inode)))?;
    line.get(4)?.parse().ok()
}

#[cfg(not(unix))]
fn holder(_file: &File) -> Option<u32> {
    None
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/rows.csv");
        let mut first = PartialFile::create(&path).unwrap();
        first.write_all(b"one").unwrap();
        let error = PartialFile::create(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        let (text, own) = (error.to_string(), std::process::id().to_string());
        assert!(
            text.contains("rows.csv.partial") && text.contains("another file"),
            "{text}"
        );
        assert!(!cfg!(target_os = "linux") || text.contains(&own), "{text}");
        first.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        // What a killed process left is emptied.
        fs::write(dir.path().join("new/rows.csv.partial"), "left").unwrap();
        PartialFile::create(&path).unwrap().finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(fs::read_dir(dir.path().join("new")).unwrap().count(), 1);
    }
}
