use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use hf_hub::RepoType;
use ureq::Body;
use ureq::http::Response;

use crate::cache::{CachedRepo, create_parent};
use crate::client::{Client, Failed, FileHead};
use crate::digest::Digest;
use crate::name::{RepoName, check_file};
use crate::{HubError, Progress};

const CHUNK: usize = 256 << 10;
/// After so many bytes a cut connection is a new misfortune and not the old one again.
const PROGRESS_BYTES: u64 = 1 << 20;

/// One commit of a repository, and the folder of the cache that its files go to.
pub(crate) struct Download<'a> {
    pub(crate) client: &'a Client,
    pub(crate) cached: &'a CachedRepo,
    pub(crate) kind: RepoType,
    pub(crate) name: &'a RepoName,
    pub(crate) commit: &'a str,
}

impl Download<'_> {
    /// Has `file` in the snapshot when it returns.
    pub(crate) fn fetch(
        &self,
        file: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), HubError> {
        check_file(file)?;
        if self.cached.snapshot(self.commit).join(file).is_file() {
            return Ok(());
        }
        let url = self.client.url(self.kind, self.name, self.commit, file);
        let head = self.client.head(self.name, file, &url)?;
        let blob = self.cached.blob(&head.etag);
        let partial = PathBuf::from(format!("{}.incomplete", blob.display()));
        let _lock = self.cached.lock(&head.etag, || {
            progress(Progress {
                file,
                done: fs::metadata(&partial).map_or(0, |m| m.len()),
                total: head.size,
            });
        })?;
        if !is_whole(&blob, head.size) {
            create_parent(&blob)?;
            self.read(file, &url, &head, &partial, progress)?;
            fs::rename(&partial, &blob).map_err(HubError::io("write", &blob))?;
        }
        self.cached.link(&head.etag, self.commit, file)
    }

    fn read(
        &self,
        file: &str,
        url: &str,
        head: &FileHead,
        path: &Path,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), HubError> {
        let mut partial = Partial::open(path, head)?;
        let mut report = |done| {
            progress(Progress {
                file,
                done,
                total: head.size,
            });
        };
        report(partial.done);
        let mut retries = self.client.retries();
        let mut furthest = partial.done;
        while !partial.is_whole() {
            let outcome = self
                .client
                .get(self.name, Some(file), url, partial.done)
                .and_then(|(url, response)| partial.append(&url, response, &mut report));
            match outcome {
                Ok(()) => break,
                Err(failure) => {
                    if partial.done >= furthest.saturating_add(PROGRESS_BYTES) {
                        retries.reset();
                    }
                    furthest = furthest.max(partial.done);
                    retries.after(failure)?;
                }
            }
        }
        partial.verify(self.name, file, head)
    }
}

fn is_whole(blob: &Path, size: Option<u64>) -> bool {
    fs::metadata(blob).is_ok_and(|m| m.is_file() && size.is_none_or(|size| m.len() == size))
}

/// A file on its way, and the checksum of what is there.
struct Partial<'a> {
    path: &'a Path,
    file: File,
    done: u64,
    size: Option<u64>,
    etag: &'a str,
    digest: Digest,
}

impl<'a> Partial<'a> {
    /// Takes up what an earlier attempt left.
    fn open(path: &'a Path, head: &'a FileHead) -> Result<Self, HubError> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(HubError::io("create", path))?;
        let mut partial = Self {
            path,
            file,
            done: 0,
            size: head.size,
            etag: &head.etag,
            digest: Digest::of_etag(&head.etag, head.size),
        };
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = partial
                .file
                .read(&mut buffer)
                .map_err(HubError::io("read", path))?;
            if read == 0 {
                break;
            }
            partial.digest.update(&buffer[..read]);
            partial.done += read as u64;
        }
        if partial.is_too_long() {
            partial.restart()?;
        }
        Ok(partial)
    }

    fn restart(&mut self) -> Result<(), HubError> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(HubError::io("write", self.path))?;
        self.done = 0;
        self.digest = Digest::of_etag(self.etag, self.size);
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.size == Some(self.done)
    }

    fn is_too_long(&self) -> bool {
        self.size.is_some_and(|size| self.done > size)
    }

    fn append(
        &mut self,
        url: &str,
        mut response: Response<Body>,
        report: &mut impl FnMut(u64),
    ) -> Result<(), Failed> {
        match response.status().as_u16() {
            206 if range_start(&response) == Some(self.done) => {}
            200 => self.restart()?,
            status => {
                self.restart()?;
                let reason = format!("HTTP {status}, which is not the part asked for");
                return Err(Failed::passing(url, reason));
            }
        }
        let end = response
            .body()
            .content_length()
            .and_then(|length| self.done.checked_add(length));
        let mut reader = response.body_mut().as_reader();
        let mut buffer = vec![0; CHUNK];
        while !self.is_too_long() {
            let read = reader
                .read(&mut buffer)
                .map_err(|e| Failed::passing(url, e.to_string()))?;
            if read == 0 {
                break;
            }
            self.file
                .write_all(&buffer[..read])
                .map_err(HubError::io("write", self.path))?;
            self.digest.update(&buffer[..read]);
            self.done += read as u64;
            report(self.done);
        }
        match self.size.or(end) {
            Some(size) if self.done < size => Err(Failed::passing(
                url,
                format!("the connection closed after {} of {size} bytes", self.done),
            )),
            _ => Ok(()),
        }
    }

    fn verify(self, name: &RepoName, file: &str, head: &FileHead) -> Result<(), HubError> {
        let mismatch = match head.size {
            Some(size) if size != self.done => {
                Some((format!("{size} bytes"), format!("{} bytes", self.done)))
            }
            _ => self
                .digest
                .finish()
                .filter(|found| *found != head.etag)
                .map(|found| (head.etag.clone(), found)),
        };
        let Some((expected, found)) = mismatch else {
            return self
                .file
                .sync_all()
                .map_err(HubError::io("write", self.path));
        };
        drop(self.file);
        fs::remove_file(self.path).map_err(HubError::io("delete", self.path))?;
        Err(HubError::Checksum {
            name: name.to_string(),
            file: file.to_owned(),
            expected,
            found,
        })
    }
}

/// The first byte of `Content-Range: bytes 100-199/200`.
fn range_start(response: &Response<Body>) -> Option<u64> {
    let range = response.headers().get("content-range")?.to_str().ok()?;
    let (start, _) = range.strip_prefix("bytes ")?.split_once('-')?;
    start.parse().ok()
}
