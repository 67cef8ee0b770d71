use std::io;
use std::path::{Path, PathBuf};

/// A model or data set that could not be had. The text names what was asked and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Neither a repository name nor anything that could be one.
    #[error(
        "`{name}` is neither an existing folder nor the name of a repository: {reason}; give the path of a folder, or a name such as `bert-base-cased`, `org/name` or `org/name@revision`"
    )]
    BadName {
        /// As the user wrote it.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A file name that must not be used in the cache.
    #[error("`{file}` cannot be the name of a file of a repository: {reason}")]
    BadFile {
        /// As asked for, or as read from an index.
        file: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// `HF_ENDPOINT` is no address.
    #[error(
        "`{endpoint}` is not the address of a hub; set HF_ENDPOINT to something like https://huggingface.co, or unset it"
    )]
    BadEndpoint {
        /// As set.
        endpoint: String,
    },
    /// Offline, and the cache does not have everything.
    #[error("`{name}` is not complete in the cache {} (missing: {}) and HF_HUB_OFFLINE is set; unset it to download, or set HF_HUB_CACHE to a cache that has it", .cache.display(), .missing.join(", "))]
    Offline {
        /// The repository.
        name: String,
        /// The cache that was searched.
        cache: PathBuf,
        /// The files that are not there.
        missing: Vec<String>,
    },
    /// 401 or 403.
    #[error("the hub refuses `{name}` (HTTP {status}): it is private or gated, or there is no such repository; check the name, {}", token_hint(*.token))]
    Denied {
        /// The repository.
        name: String,
        /// 401 or 403.
        status: u16,
        /// Whether a token was sent.
        token: bool,
    },
    /// 404 for the repository or its revision.
    #[error("the hub {endpoint} has no repository `{name}`, or not that revision; check the name")]
    NoRepository {
        /// The repository.
        name: String,
        /// The hub.
        endpoint: String,
    },
    /// 404 for a file.
    #[error("`{name}` has no file `{file}` on the hub; check both names")]
    NoFile {
        /// The repository.
        name: String,
        /// The file.
        file: String,
    },
    /// A model repository without a tokenizer that can be read.
    #[error("`{name}` has no tokenizer.json, no vocab.txt, and no vocab.json with merges.txt on the hub; {}", tokenizer_hint(.name, .sentencepiece.as_deref()))]
    NoTokenizer {
        /// The repository.
        name: String,
        /// Its model of sentencepiece, which is not read here.
        sentencepiece: Option<String>,
    },
    /// A model repository without weights that can be read.
    #[error("`{name}` has no weights in a known format on the hub: model.safetensors, pytorch_model.bin, or the index.json of one of them; it has: {}", .found.join(", "))]
    NoWeights {
        /// The repository.
        name: String,
        /// The files it has.
        found: Vec<String>,
    },
    /// Refused, cut or failing, and not better after some attempts.
    #[error(
        "{url} cannot be read after {attempts} attempts: {reason}; check the network and try again: what is downloaded already is kept"
    )]
    Connection {
        /// The address without its query.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong last.
        reason: String,
    },
    /// An answer that trying again does not change.
    #[error("{url}: {reason}; if HF_ENDPOINT is set, check that it is a hub")]
    Answer {
        /// The address without its query.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The bytes are not those the hub announced. They are deleted.
    #[error(
        "`{file}` of `{name}` arrived damaged: expected {expected}, found {found}; it is deleted, try again"
    )]
    Checksum {
        /// The repository.
        name: String,
        /// The file.
        file: String,
        /// The checksum or size from the hub.
        expected: String,
        /// That of the bytes.
        found: String,
    },
    /// An index of weight shards that cannot be used.
    #[error("{}: {reason}; this index of weights cannot be used: delete it to have it downloaded again, or choose another model", .path.display())]
    BadIndex {
        /// The index.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk refuses.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// `read`, `write`, `create`, `lock`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl HubError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

fn tokenizer_hint(name: &str, sentencepiece: Option<&str>) -> String {
    match sentencepiece {
        Some(file) => format!(
            "its {file} alone is not read here: convert it once with python -c \"from transformers import AutoTokenizer as T; \
             T.from_pretrained('{name}').save_pretrained('model')\", copy the other files of the model beside it, and give the \
             folder `model`"
        ),
        None => "choose another model".to_owned(),
    }
}

const fn token_hint(sent: bool) -> &'static str {
    if sent {
        "accept its terms on its page if it has any, and see that the token in HF_TOKEN or the token file may read it"
    } else {
        "and set HF_TOKEN to a token that may read it"
    }
}
