use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use beft_files::write_atomic;
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use crate::HubError;
use crate::name::{RepoName, is_commit, is_plain};

const LOCK_POLL: Duration = Duration::from_millis(100);

/// The folder of one repository in the cache: `models--org--name/{refs,blobs,snapshots}`.
pub(crate) struct CachedRepo {
    folder: PathBuf,
    locks: PathBuf,
    layout: CacheRepo,
    revision: String,
}

impl CachedRepo {
    pub(crate) fn new(cache: &Path, kind: RepoType, name: &RepoName) -> Self {
        let repo = Repo::with_revision(name.id.clone(), kind, name.revision.clone());
        let folder_name = repo.folder_name();
        Self {
            folder: cache.join(&folder_name),
            locks: cache.join(".locks").join(folder_name),
            layout: Cache::new(cache.to_owned()).repo(repo),
            revision: name.revision.clone(),
        }
    }

    /// The commit of the revision as far as the cache knows.
    pub(crate) fn commit(&self) -> Option<String> {
        if is_commit(&self.revision) {
            return Some(self.revision.clone());
        }
        let text = fs::read_to_string(self.ref_path()).ok()?;
        let commit = text.trim();
        is_plain(commit).then(|| commit.to_owned())
    }

    /// Notes which commit the revision is. Written last, so that a download that fails leaves the
    /// older, complete snapshot in use.
    pub(crate) fn set_commit(&self, commit: &str) -> Result<(), HubError> {
        if self.commit().as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.ref_path();
        write_atomic(&path, commit.as_bytes()).map_err(HubError::io("write", &path))
    }

    fn ref_path(&self) -> PathBuf {
        self.folder.join("refs").join(&self.revision)
    }

    pub(crate) fn snapshot(&self, commit: &str) -> PathBuf {
        self.layout.pointer_path(commit)
    }

    pub(crate) fn blob(&self, etag: &str) -> PathBuf {
        self.layout.blob_path(etag)
    }

    /// Whether the hub said earlier that this commit has no such file.
    pub(crate) fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.absent_path(commit, file).is_file()
    }

    pub(crate) fn set_absent(&self, commit: &str, file: &str) -> Result<(), HubError> {
        let path = self.absent_path(commit, file);
        create_parent(&path)?;
        fs::write(&path, "").map_err(HubError::io("write", &path))
    }

    fn absent_path(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(file)
    }

    /// Takes the lock of a blob, which is released when the file is dropped. `waiting` is called
    /// now and then while another process has it.
    pub(crate) fn lock(&self, etag: &str, mut waiting: impl FnMut()) -> Result<File, HubError> {
        let path = self.locks.join(format!("{etag}.lock"));
        create_parent(&path)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(HubError::io("create", &path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => {
                    waiting();
                    thread::sleep(LOCK_POLL);
                }
                // Some network file systems have no locks. The checksum still guards the result.
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {
                    return Ok(file);
                }
                Err(TryLockError::Error(e)) => return Err(HubError::io("lock", &path)(e)),
            }
        }
    }

    /// Puts a finished blob into a snapshot.
    pub(crate) fn link(&self, etag: &str, commit: &str, file: &str) -> Result<(), HubError> {
        let pointer = self.snapshot(commit).join(file);
        create_parent(&pointer)?;
        // Relative, so that a cache can be moved or mounted elsewhere.
        let up = "../".repeat(file.matches('/').count() + 2);
        let target = format!("{up}blobs/{etag}");
        if pointer.symlink_metadata().is_ok() {
            fs::remove_file(&pointer).map_err(HubError::io("write", &pointer))?;
        }
        match symlink(&target, &pointer) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && pointer.is_file() => Ok(()),
            // Where there are no symbolic links the file itself is in the snapshot, as with Python.
            Err(_) => {
                fs::rename(self.blob(etag), &pointer).map_err(HubError::io("write", &pointer))
            }
        }
    }
}

pub(crate) fn create_parent(path: &Path) -> Result<(), HubError> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(HubError::io("create", parent)),
        None => Ok(()),
    }
}

#[cfg(unix)]
fn symlink(target: &str, pointer: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, pointer)
}

#[cfg(windows)]
fn symlink(target: &str, pointer: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target.replace('/', "\\"), pointer)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &str, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo(cache: &Path, name: &str) -> CachedRepo {
        CachedRepo::new(cache, RepoType::Model, &RepoName::parse(name).unwrap())
    }

    #[test]
    fn refs_name_commits() {
        let cache = tempfile::tempdir().unwrap();
        let main = repo(cache.path(), "org/name");
        assert_eq!(main.commit(), None);
        main.set_commit("abc").unwrap();
        main.set_commit("def").unwrap();
        let path = cache.path().join("models--org--name/refs/main");
        assert_eq!(fs::read_to_string(&path).unwrap(), "def");
        assert_eq!(main.commit().as_deref(), Some("def"));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);

        let pull = repo(cache.path(), "org/name@refs/pr/1");
        pull.set_commit("123").unwrap();
        let path = cache.path().join("models--org--name/refs/refs/pr/1");
        assert_eq!(fs::read_to_string(path).unwrap(), "123");

        let commit = "0a".repeat(20);
        let named = repo(cache.path(), &format!("org/name@{commit}"));
        assert_eq!(named.commit(), Some(commit));
    }

    #[test]
    fn a_ref_cannot_leave_the_cache() {
        let cache = tempfile::tempdir().unwrap();
        let path = cache.path().join("models--a/refs/main");
        create_parent(&path).unwrap();
        for text in ["../../secret", "/etc", ""] {
            fs::write(&path, text).unwrap();
            assert_eq!(repo(cache.path(), "a").commit(), None, "{text}");
        }
    }

    #[test]
    fn links_replace_what_is_broken() {
        let cache = tempfile::tempdir().unwrap();
        let repo = repo(cache.path(), "a");
        let blob = repo.blob("e1");
        create_parent(&blob).unwrap();
        for (file, content) in [("config.json", "one"), ("deep/er/x", "two")] {
            repo.link("gone", "c", file).unwrap();
            let pointer = repo.snapshot("c").join(file);
            assert!(!pointer.is_file());
            fs::write(&blob, content).unwrap();
            repo.link("e1", "c", file).unwrap();
            assert!(blob.is_file(), "linked, not moved");
            assert_eq!(fs::read_to_string(&pointer).unwrap(), content);
            fs::remove_file(&blob).unwrap();
        }
    }

    #[test]
    fn a_lock_is_held_until_dropped() {
        let cache = tempfile::tempdir().unwrap();
        let repo = repo(cache.path(), "a");
        let mut held = Some(repo.lock("e", || panic!("nobody has it")).unwrap());
        let mut waited = 0;
        let second = repo.lock("e", || {
            waited += 1;
            held = None;
        });
        second.unwrap();
        assert_eq!(waited, 1);
        assert!(cache.path().join(".locks/models--a/e.lock").is_file());
    }
}
