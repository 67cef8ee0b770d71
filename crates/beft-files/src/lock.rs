use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::atomic::remove_left;

/// A folder that one process at a time writes to.
///
/// The lock is the operating system's, on a file in the folder: it ends with the process, however that
/// ends. The lock's file is removed when the lock is given back; one that a killed process left is taken over, and its
/// temporary files are removed.
#[derive(Debug)]
#[must_use = "the folder is free again when this is dropped"]
pub struct FolderLock {
    path: PathBuf,
    /// `None` on a file system that has no locks.
    file: Option<File>,
}

/// A folder that cannot be locked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process writes to it.
    #[error(
        "the folder {} is in use by {}: wait until that is finished, or give another folder",
        .dir.display(),
        match .pid { Some(pid) => format!("process {pid}"), None => "another process".to_owned() }
    )]
    Taken {
        /// The folder.
        dir: PathBuf,
        /// The other process, where it has said its number already.
        pid: Option<u32>,
    },
    /// The lock's file cannot be written.
    #[error("cannot lock the folder {}: {source}", .dir.display())]
    Io {
        /// The folder.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FolderLock {
    /// Name of the file in the folder, while it is locked.
    pub const FILE: &str = ".beft.lock";

    /// Locks an existing folder, or fails at once.
    ///
    /// # Errors
    ///
    /// When another process (or another lock of this one) holds it, or the file cannot be written.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join(Self::FILE);
        let fail = |source| LockError::Io {
            dir: dir.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        match lock(&options, &path).map_err(fail)? {
            Locked::Ours(mut file) => {
                file.set_len(0).map_err(fail)?;
                write!(file, "{}", std::process::id()).map_err(fail)?;
                remove_left(dir);
                Ok(Self {
                    path,
                    file: Some(file),
                })
            }
            Locked::Theirs(mut file) => Err(LockError::Taken {
                dir: dir.to_owned(),
                pid: read_pid(&mut file),
            }),
            Locked::Unsupported(_) => Ok(Self { path, file: None }),
        }
    }
}

/// A file after an attempt to lock it.
pub(crate) enum Locked {
    /// This process has the lock.
    Ours(File),
    /// Another process has it.
    Theirs(File),
    /// The file system has no locks.
    Unsupported(File),
}

/// Opens a file, and locks it if no other process has it.
pub(crate) fn lock(options: &OpenOptions, path: &Path) -> io::Result<Locked> {
    loop {
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Locked::Theirs(file)),
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {
                return Ok(Locked::Unsupported(file));
            }
            Err(TryLockError::Error(e)) => return Err(e),
        }
        // Its holder may have removed or renamed the file after it was opened here: then the lock is on a file that nobody
        // else will find.
        if is_at(&file, path) {
            return Ok(Locked::Ours(file));
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // The file goes before the lock does (see `is_at`). What cannot be removed harms nothing.
        if cfg!(unix) && self.file.is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Whether the open file is still the one at `path`.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |m: std::fs::Metadata| (m.dev(), m.ino());
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(there)) => of(open) == of(there),
        _ => false,
    }
}

/// Elsewhere the file is never removed.
#[cfg(not(unix))]
pub(crate) fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn one_at_a_time_and_nothing_stays() {
        let dir = std::env::temp_dir().join(format!("beft-lock-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let lock = FolderLock::acquire(&dir).unwrap();
        let text = FolderLock::acquire(&dir).unwrap_err().to_string();
        let process = format!("process {}", std::process::id());
        assert!(
            text.contains(&process) && text.contains("another folder"),
            "{text}"
        );
        drop(lock);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        // What a killed process left is taken over.
        fs::write(dir.join(FolderLock::FILE), "4000000000").unwrap();
        drop(FolderLock::acquire(&dir).unwrap());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
        fs::remove_dir_all(&dir).unwrap();
        assert!(matches!(
            FolderLock::acquire(&dir),
            Err(LockError::Io { .. })
        ));
    }

    /// The file comes and goes, and the lock is still held by one alone.
    #[test]
    fn a_file_that_is_removed_meanwhile_locks_nothing() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let dir = std::env::temp_dir().join(format!("beft-lock-race-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (inside, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        if let Ok(_lock) = FolderLock::acquire(&dir) {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                            taken.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!(taken.load(Ordering::SeqCst) > 0);
        fs::remove_dir_all(&dir).unwrap();
    }
}
