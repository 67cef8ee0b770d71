use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::RepoType;
use hf_hub::api::RepoInfo;

use crate::cache::CachedRepo;
use crate::client::{Client, Patience};
use crate::download::Download;
use crate::name::{RepoName, check_file};
use crate::{HubError, model_files, settings};

/// How long to wait for what a model can do without.
const FEW_FILES: Duration = Duration::from_secs(3);

/// How far a file is, told again and again while it is downloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file in its repository.
    pub file: &'a str,
    /// Bytes that are on disk, those of an earlier attempt included.
    pub done: u64,
    /// Bytes of the whole file, if the hub says so.
    pub total: Option<u64>,
}

/// A hub and the cache in front of it.
#[derive(Clone)]
pub struct Hub {
    endpoint: String,
    cache: PathBuf,
    token: Option<String>,
    offline: bool,
    patience: Patience,
}

impl Hub {
    /// The hub, cache, token and offline switch of the environment, as Python's `huggingface_hub`
    /// reads them: `HF_ENDPOINT`, `HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN` or the token file, and
    /// `HF_HUB_OFFLINE` (`1`, `true`, `yes` or `on`).
    pub fn from_env() -> Self {
        settings::read(|name| std::env::var_os(name))
    }

    /// A hub at an address, with a cache folder, no token, and 5 attempts for whatever fails.
    pub fn new(endpoint: impl Into<String>, cache: impl Into<PathBuf>) -> Self {
        let mut endpoint = endpoint.into();
        endpoint.truncate(endpoint.trim_end_matches('/').len());
        Self {
            endpoint,
            cache: cache.into(),
            token: None,
            offline: false,
            patience: Patience {
                attempts: 5,
                pause: Duration::from_millis(500),
                timeout: Duration::from_secs(30),
            },
        }
    }

    /// With a token, which is sent to the hub and to no other host. An empty one is none.
    #[must_use]
    pub fn with_token(mut self, token: Option<String>) -> Self {
        self.token = token
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty());
        self
    }

    /// Without any request when `offline`.
    #[must_use]
    pub const fn with_offline(mut self, offline: bool) -> Self {
        self.offline = offline;
        self
    }

    /// Tries `attempts` times (at least once), with a pause that doubles each time.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32, first_pause: Duration) -> Self {
        self.patience.attempts = attempts.max(1);
        self.patience.pause = first_pause;
        self
    }

    /// Waits so long for a connection, an answer, or the next bytes.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.patience.timeout = timeout;
        self
    }

    /// The address of the hub.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The cache folder.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    #[cfg(test)]
    pub(crate) const fn is_offline(&self) -> bool {
        self.offline
    }

    #[cfg(test)]
    pub(crate) fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Returns the snapshot folder of a model. It has `config.json`, the tokenizer's files, and the weights:
    /// `model.safetensors` or else `pytorch_model.bin`, whole or as an index and its shards. It also has
    /// `generation_config.json` and the files of sentence-transformers, if the model has them.
    ///
    /// `name` is `org/name` or `name`, with `@` and a branch, tag or commit where it is not to be
    /// `main`. What the cache holds complete is returned without a request. Where another
    /// program filled the cache, the hub is asked once for the files that it left out; without an answer the cache is used as it is.
    ///
    /// # Errors
    ///
    /// When the name is none, the hub has no such model or refuses it, the connection fails
    /// repeatedly, a file arrives damaged, the disk refuses, or, offline, the cache lacks files.
    pub fn model(
        &self,
        name: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, HubError> {
        let repo = self.repo(name, RepoType::Model)?;
        if let Some(folder) = repo.snapshot(self, model_files::missing)? {
            // Weights that are there are worth more than an answer.
            let _ = self.complete(&repo, &folder, progress);
            return Ok(folder);
        }
        let client = self.client()?;
        let info = client.info(repo.kind, &repo.name)?;
        let download = repo.download(&client, &info.sha);
        for file in model_files::ALWAYS {
            download.fetch(file, progress)?;
        }
        let found = |file: &str| info.siblings.iter().any(|s| s.rfilename == file);
        repo.optional(&download, &info, progress)?;
        let vocabulary = model_files::vocabulary(found);
        if vocabulary.is_empty() && !found("tokenizer.json") {
            let file = { model_files::SENTENCEPIECE.iter() }.find(|file| found(file));
            return Err(HubError::NoTokenizer {
                name: repo.name.id.clone(),
                sentencepiece: file.map(|&file| file.to_owned()),
            });
        }
        for file in vocabulary {
            download.fetch(file, progress)?;
        }
        let weights = model_files::weights(found).ok_or_else(|| HubError::NoWeights {
            name: repo.name.to_string(),
            found: info.siblings.iter().map(|s| s.rfilename.clone()).collect(),
        })?;
        download.fetch(weights, progress)?;
        let folder = repo.cached.snapshot(&info.sha);
        if model_files::is_index(weights) {
            for shard in model_files::shards(&folder.join(weights))? {
                download.fetch(&shard, progress)?;
            }
        }
        repo.cached.set_commit(&info.sha)?;
        Ok(folder)
    }

    /// Adds the files that a model can do without to a snapshot, if nobody knows yet which of them the model has.
    fn complete(
        &self,
        repo: &Wanted,
        folder: &Path,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), HubError> {
        let commit = folder.file_name().and_then(|name| name.to_str());
        let commit = commit.unwrap_or_default();
        let known =
            |file: &&str| folder.join(file).is_file() || repo.cached.is_absent(commit, file);
        if self.offline || model_files::OPTIONAL.iter().all(known) {
            return Ok(());
        }
        let patience = Patience {
            attempts: 1,
            timeout: self.patience.timeout.min(FEW_FILES),
            ..self.patience
        };
        let client = Client::new(&self.endpoint, self.token.as_deref(), patience)?;
        let name = RepoName {
            id: repo.name.id.clone(),
            revision: commit.to_owned(),
        };
        let info = client.info(repo.kind, &name)?;
        repo.optional(&repo.download(&client, commit), &info, progress)
    }

    /// The snapshot folder of a data set, with the `files` asked for, such as
    /// `sst2/train-00000-of-00001.parquet`, and those of the `optional` ones that the data set has.
    ///
    /// `name` is as for [`Hub::model`]. What the cache holds complete is returned without a
    /// request; that an optional file does not exist is remembered too.
    ///
    /// # Errors
    ///
    /// As for [`Hub::model`], and when a file is not there or its name is not a relative path.
    pub fn dataset(
        &self,
        name: &str,
        files: &[&str],
        optional: &[&str],
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, HubError> {
        files
            .iter()
            .chain(optional)
            .try_for_each(|f| check_file(f))?;
        let repo = self.repo(name, RepoType::Dataset)?;
        let missing = |folder: &Path| {
            let commit = folder.file_name().and_then(|name| name.to_str());
            let lacks = |file: &str| !folder.join(file).is_file();
            // Offline nobody can say whether an optional file exists.
            let unknown = |file: &str| {
                let absent = commit.is_some_and(|commit| repo.cached.is_absent(commit, file));
                !self.offline && !absent && lacks(file)
            };
            let files = files.iter().filter(|file| lacks(file));
            let optional = optional.iter().filter(|file| unknown(file));
            files.chain(optional).map(|&file| file.to_owned()).collect()
        };
        if let Some(folder) = repo.snapshot(self, missing)? {
            return Ok(folder);
        }
        let client = self.client()?;
        let info = client.info(repo.kind, &repo.name)?;
        let download = repo.download(&client, &info.sha);
        for file in files {
            download.fetch(file, progress)?;
        }
        for file in optional {
            match download.fetch(file, progress) {
                Err(HubError::NoFile { .. }) => repo.cached.set_absent(&info.sha, file)?,
                other => other?,
            }
        }
        let folder = repo.cached.snapshot(&info.sha);
        // All files may be optional and absent.
        fs::create_dir_all(&folder).map_err(HubError::io("create", &folder))?;
        repo.cached.set_commit(&info.sha)?;
        Ok(folder)
    }

    fn client(&self) -> Result<Client, HubError> {
        Client::new(&self.endpoint, self.token.as_deref(), self.patience)
    }

    fn repo(&self, name: &str, kind: RepoType) -> Result<Wanted, HubError> {
        let name = RepoName::parse(name)?;
        Ok(Wanted {
            cached: CachedRepo::new(&self.cache, kind, &name),
            name,
            kind,
        })
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "..."))
            .field("offline", &self.offline)
            .field("patience", &self.patience)
            .finish()
    }
}

struct Wanted {
    name: RepoName,
    kind: RepoType,
    cached: CachedRepo,
}

impl Wanted {
    /// The cached snapshot if it is complete, an error if it is not and must be.
    fn snapshot(
        &self,
        hub: &Hub,
        missing: impl Fn(&Path) -> Vec<String>,
    ) -> Result<Option<PathBuf>, HubError> {
        // Without a commit there is no folder, and everything is missing in it.
        let commit = self.cached.commit().unwrap_or_else(|| "unknown".to_owned());
        let folder = self.cached.snapshot(&commit);
        let mut missing = missing(&folder);
        if missing.is_empty() {
            if folder.is_dir() {
                return Ok(Some(folder));
            }
            missing.push("the snapshot".to_owned());
        }
        if hub.offline {
            return Err(HubError::Offline {
                name: self.name.to_string(),
                cache: hub.cache.clone(),
                missing,
            });
        }
        Ok(None)
    }

    /// Has those files in the snapshot that a model can do without, or a note that it has none of this name.
    fn optional(
        &self,
        download: &Download<'_>,
        info: &RepoInfo,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), HubError> {
        let all = info.siblings.iter().map(|s| s.rfilename.as_str());
        if all.clone().any(|file| file == model_files::MODULES) {
            // The list of them is the last: where it is, the others are.
            let mut modules = all.clone().filter(|file| model_files::is_of_module(file));
            modules.try_for_each(|file| download.fetch(file, progress))?;
        }
        for file in model_files::OPTIONAL {
            match all.clone().any(|found| found == file) {
                true => download.fetch(file, progress)?,
                false => self.cached.set_absent(download.commit, file)?,
            }
        }
        Ok(())
    }

    const fn download<'a>(&'a self, client: &'a Client, commit: &'a str) -> Download<'a> {
        Download {
            client,
            cached: &self.cached,
            kind: self.kind,
            name: &self.name,
            commit,
        }
    }
}
