use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use crate::lock::is_at;

/// Writes `bytes` to `path` through a temporary file beside it and a rename, so that a reader (or
/// a later run) sees the old file or the whole new one, never half of it.
///
/// Missing parent directories are created. A symbolic link is followed; a device or pipe, which
/// cannot be replaced, is written to directly.
///
/// # Errors
///
/// Any I/O error of creating, writing or renaming; the temporary file is removed then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let parent = parent_of(&path);
    fs::create_dir_all(parent)?;
    if path.exists() && !path.is_file() && !path.is_dir() {
        return fs::OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(bytes);
    }
    let mut file = locked_file(parent)?;
    file.write_all(bytes).map_err(plain)?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}

/// Writes a new file, whole or not at all; false when there is one of that name already, which stays as it is.
///
/// # Errors
///
/// Any I/O error of creating or writing.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    create_new(path, bytes).map(|file| file.is_some())
}

/// As [`write_new`]; the file stays locked, where files can be locked, as long as what is returned is open.
pub(crate) fn create_new(path: &Path, bytes: &[u8]) -> io::Result<Option<File>> {
    let mut file = locked_file(parent_of(path))?;
    file.write_all(bytes).map_err(plain)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(e) => Err(e.error),
    }
}

/// An error without the temporary file's name, which says nothing to a user.
fn plain(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.source());
    let inner = inner.and_then(|inner| inner.downcast_ref::<io::Error>());
    match inner.and_then(io::Error::raw_os_error) {
        Some(code) => io::Error::from_raw_os_error(code),
        None => error,
    }
}

/// How the names of temporary files and folders begin.
const PREFIX: &str = ".beft-";

/// Removes the temporary files and folders in a folder that processes left which were killed: nobody holds a lock on them.
/// Where there are no locks, they stay.
pub(crate) fn remove_left(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let temporary = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes());
        let path = entry.path();
        if !temporary {
            continue;
        }
        // It is ours until it is gone: who has made it this moment cannot lock it, or finds it gone, and makes another.
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if file.try_lock().is_ok() && is_at(&file, &path) {
            // What cannot be removed harms nothing.
            let _ = match path.is_dir() {
                true => fs::remove_dir_all(path),
                false => fs::remove_file(path),
            };
        }
    }
}

/// Permissions of new files and folders, from which the process's umask takes some away.
const FILE_MODE: u32 = 0o666;
const DIR_MODE: u32 = 0o777;

fn parent_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// What makes temporary files and folders, hidden ones that others may read too.
fn temporary(mode: u32) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// The files of folders that a program of ours writes.
#[derive(Clone, Copy, Debug)]
pub struct OwnFiles<'a> {
    /// All that such a folder may hold, as `name` or `folder/name`.
    pub names: &'a [&'a str],
    /// The one of them that each holds, and that no other program writes.
    pub mark: &'a str,
}

/// Fails if `dir` exists and is no folder, or holds anything that is not its own, or lacks the mark: then it is not ours to
/// replace.
///
/// # Errors
///
/// `AlreadyExists` with the name that is in the way, or the I/O error of looking.
pub fn check_replaceable(dir: &Path, own: &OwnFiles<'_>) -> io::Result<()> {
    let taken = |what: String| Err(io::Error::new(io::ErrorKind::AlreadyExists, what));
    if !dir.exists() {
        let above = dir.ancestors().find(|above| above.exists());
        return match above.filter(|above| !above.is_dir()) {
            Some(file) => taken(format!("{} is a file; give another output", file.display())),
            None => Ok(()),
        };
    }
    if !dir.is_dir() {
        return taken("a file of that name is in the way; give another output".to_owned());
    }
    let names = names_in(dir)?;
    if let Some(name) = names
        .iter()
        .find(|name| !own.names.contains(&name.as_str()))
    {
        return taken(format!(
            "the folder holds `{name}`, which is not part of it; give another output"
        ));
    }
    match names.first() {
        Some(name) if !names.iter().any(|name| name == own.mark) => taken(format!(
            "the folder holds `{name}` but no `{}`, so another program wrote it; give another output",
            own.mark
        )),
        _ => Ok(()),
    }
}

/// The files in a folder and in its folders, as `name` and `folder/name`.
fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().display().to_string();
        match entry.file_type()?.is_dir() {
            false => names.push(name),
            true => {
                let inner = fs::read_dir(entry.path())?;
                let inner: Vec<_> = inner.collect::<Result<_, _>>()?;
                let inner = inner.iter().map(|inner| inner.file_name());
                let before = names.len();
                names.extend(inner.map(|inner| format!("{name}/{}", inner.display())));
                if names.len() == before {
                    names.push(name);
                }
            }
        }
    }
    Ok(names)
}

/// A temporary file, with a lock that others see, where files can be locked.
fn locked_file(parent: &Path) -> io::Result<tempfile::NamedTempFile> {
    loop {
        let file = temporary(FILE_MODE).tempfile_in(parent).map_err(plain)?;
        if lock_new(file.as_file(), file.path()) {
            return Ok(file);
        }
    }
}

/// The same for a folder.
fn locked_folder(parent: &Path) -> io::Result<(tempfile::TempDir, Option<File>)> {
    loop {
        let folder = temporary(DIR_MODE).tempdir_in(parent).map_err(plain)?;
        // Not every system opens folders.
        match File::open(folder.path()) {
            Ok(lock) if !lock_new(&lock, folder.path()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            lock => return Ok((folder, lock.ok())),
        }
    }
}

/// Locks what was just made, where there are locks; false when somebody took it for left (see [`remove_left`]).
fn lock_new(file: &File, path: &Path) -> bool {
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) && is_at(file, path)
}

/// Writes a folder of files (name, content) as a whole: the files go to a temporary folder beside
/// `dir`, which then takes its place. An existing `dir` is replaced if it holds nothing but files
/// named in `owned`, and left as it was when anything fails. What processes left beside it that were killed is removed.
///
/// # Errors
///
/// As [`check_replaceable`], and any I/O error of creating, writing or renaming; the temporary
/// folder is removed then.
pub fn write_dir_atomic(
    dir: &Path,
    files: &[(&str, Vec<u8>)],
    own: &OwnFiles<'_>,
) -> io::Result<()> {
    check_replaceable(dir, own)?;
    let parent = parent_of(dir);
    fs::create_dir_all(parent)?;
    remove_left(parent);
    let (new, _new_lock) = locked_folder(parent)?;
    for (file, content) in files {
        write_atomic(&new.path().join(file), content)?;
    }
    // The old folder is inside another one that goes away by itself.
    let (old, _old_lock) = locked_folder(parent)?;
    let moved = old.path().join("old");
    if dir.is_dir() {
        fs::rename(dir, &moved)?;
    }
    if let Err(error) = fs::rename(new.path(), dir) {
        if moved.is_dir() {
            let _ = fs::rename(&moved, dir);
        }
        return Err(error);
    }
    let _ = new.keep();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: OwnFiles<'_> = OwnFiles {
        names: &["a", "b"],
        mark: "a",
    };

    #[test]
    fn replaces_whole_file_and_leaves_no_temporary() {
        let dir = std::env::temp_dir().join(format!("beft-atomic-{}", std::process::id()));
        let path = dir.join("deep/er/file.txt");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let names: Vec<_> = fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["file.txt"]);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_being_written_is_never_taken_for_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        fs::write(path.join(".beft-left"), "of a killed process").unwrap();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                scope.spawn(move || {
                    for number in 0..50 {
                        let name = format!("{writer}-{number}");
                        write_atomic(&path.join(&name), b"x").unwrap();
                        let files = [("a", b"1".to_vec())];
                        write_dir_atomic(&path.join(format!("folder-{name}")), &files, &OWN)
                            .unwrap();
                    }
                });
            }
            for _ in 0..500 {
                remove_left(path);
            }
        });
        assert_eq!(fs::read_dir(path).unwrap().count(), 400);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_stay() {
        let dir = std::env::temp_dir().join(format!("beft-atomic-link-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("target"), "old").unwrap();
        std::os::unix::fs::symlink(dir.join("target"), dir.join("link")).unwrap();
        write_atomic(&dir.join("link"), b"new").unwrap();
        assert!(dir.join("link").is_symlink());
        assert_eq!(fs::read(dir.join("target")).unwrap(), b"new");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_folder_with_something_else_in_it_is_not_replaced() {
        let dir = std::env::temp_dir().join(format!("beft-atomic-own-{}", std::process::id()));
        let path = dir.join("adapter");
        let files = [("a", b"1".to_vec())];
        write_dir_atomic(&path, &files, &OWN).unwrap();
        fs::write(path.join("b"), "older file of ours").unwrap();
        write_dir_atomic(&path, &files, &OWN).unwrap();
        assert!(!path.join("b").exists());
        fs::write(path.join("mine"), "x").unwrap();
        let error = write_dir_atomic(&path, &files, &OWN).unwrap_err();
        assert!(error.to_string().contains("`mine`"), "{error}");
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);

        let below = path.join("mine/adapter");
        let error = write_dir_atomic(&below, &files, &OWN).unwrap_err();
        assert!(error.to_string().contains("mine is a file"), "{error}");

        // Names that others give their files, too.
        fs::remove_file(path.join("mine")).unwrap();
        fs::rename(path.join("a"), path.join("b")).unwrap();
        let error = write_dir_atomic(&path, &files, &OWN).unwrap_err();
        assert!(error.to_string().contains("`b` but no `a`"), "{error}");
        assert!(path.join("b").exists() && !path.join("a").exists());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_directory_in_the_way_is_an_error_and_leaves_no_temporary() {
        let dir = std::env::temp_dir().join(format!("beft-atomic-dir-{}", std::process::id()));
        let path = dir.join("taken");
        fs::create_dir_all(path.join("inner")).unwrap();
        assert!(write_atomic(&path, b"x").is_err());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(dir).unwrap();
    }
}
