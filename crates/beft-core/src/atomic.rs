use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Writes `bytes` to `path` through a temporary file beside it and a rename, so that a reader (or
/// a later run) sees the old file or the whole new one, never half of it.
///
/// Missing parent directories are created.
///
/// # Errors
///
/// Any I/O error of creating, writing or renaming; the temporary file is removed then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(parent) = parent {
        fs::create_dir_all(parent)?;
    }
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "path has no file name"))?;
    let mut temp_name = std::ffi::OsString::from(".");
    temp_name.push(name);
    temp_name.push(format!(".{}.tmp", std::process::id()));
    let temp = path.with_file_name(temp_name);

    let write = || -> io::Result<()> {
        let mut file = fs::File::create(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temp, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&temp);
    })
}

/// Writes a folder of files (name, content) as a whole: the files go to a temporary folder beside
/// `dir`, which then takes its place. An existing `dir` is replaced, and left as it was when
/// anything fails.
///
/// # Errors
///
/// Any I/O error of creating, writing or renaming; the temporary folder is removed then.
pub fn write_dir_atomic(dir: &Path, files: &[(&str, Vec<u8>)]) -> io::Result<()> {
    let name = dir
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "path has no folder name"))?;
    if dir.exists() && !dir.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::NotADirectory,
            "a file of that name exists",
        ));
    }
    let sibling = |suffix: &str| {
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.{suffix}", std::process::id()));
        dir.with_file_name(hidden)
    };
    let (temp, old) = (sibling("tmp"), sibling("old"));
    let write = || -> io::Result<()> {
        fs::create_dir_all(&temp)?;
        for (file, content) in files {
            write_atomic(&temp.join(file), content)?;
        }
        if dir.is_dir() {
            fs::rename(dir, &old)?;
        }
        fs::rename(&temp, dir)
    };
    let result = write();
    if result.is_err() {
        let _ = fs::remove_dir_all(&temp);
        if !dir.exists() && old.is_dir() {
            let _ = fs::rename(&old, dir);
        }
    }
    let _ = fs::remove_dir_all(&old);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_directory_in_the_way_is_an_error_and_leaves_no_temporary() {
        let dir = std::env::temp_dir().join(format!("beft-atomic-dir-{}", std::process::id()));
        let path = dir.join("taken");
        fs::create_dir_all(path.join("inner")).unwrap();
        assert!(write_atomic(&path, b"x").is_err());
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(dir).unwrap();
    }
}
