//! A hub with one model, and an empty cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::server::{Request, Server, sha256};
use beft_hub::{Hub, HubError};
use tempfile::TempDir;

pub(crate) const COMMIT: &str = "1111111111111111111111111111111111111111";
pub(crate) const LATER: &str = "2222222222222222222222222222222222222222";
pub(crate) const MODEL: &str = "models/org/name";
pub(crate) const DATA: &str = "datasets/org/data";
pub(crate) const CUT: usize = 300_000;

pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) cache: TempDir,
    pub(crate) weights: Vec<u8>,
}

/// A hub with one model, and an empty cache.
pub(crate) fn world() -> World {
    let server = Server::start();
    let weights: Vec<u8> = (0..700_001u32)
        .map(|i| (i.wrapping_mul(i) >> 7) as u8)
        .collect();
    server.repo(MODEL, COMMIT);
    server.file(MODEL, "config.json", b"{\"model_type\": \"bert\"}");
    server.file(MODEL, "tokenizer.json", b"{}");
    server.large_file(MODEL, "model.safetensors", &weights);
    World {
        server,
        cache: tempfile::tempdir().unwrap(),
        weights,
    }
}

impl World {
    pub(crate) fn hub(&self) -> Hub {
        Hub::new(&self.server.url, self.cache.path())
            .with_attempts(3, Duration::from_millis(1))
            .with_timeout(Duration::from_secs(5))
    }

    pub(crate) fn model(&self) -> Result<PathBuf, HubError> {
        self.hub().model("org/name", &mut |_| {})
    }

    pub(crate) fn failure(&self) -> String {
        self.model().unwrap_err().to_string()
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.cache.path().join("models--org--name")
    }

    pub(crate) fn blob(&self) -> PathBuf {
        self.folder().join("blobs").join(sha256(&self.weights))
    }

    pub(crate) fn partial(&self) -> PathBuf {
        PathBuf::from(format!("{}.incomplete", self.blob().display()))
    }

    pub(crate) fn assert_weights(&self, snapshot: &Path) {
        let found = fs::read(snapshot.join("model.safetensors")).unwrap();
        assert!(found == self.weights, "other bytes than on the hub");
        assert!(!self.partial().exists());
    }

    /// Where each request for the bytes of the weights started.
    pub(crate) fn weight_reads(&self) -> Vec<Option<usize>> {
        reads(&self.server.take_log(), "/storage/")
    }
}

pub(crate) fn reads(log: &[Request], part: &str) -> Vec<Option<usize>> {
    log.iter()
        .filter(|r| r.method == "GET" && r.path.contains(part))
        .map(|r| r.from)
        .collect()
}

pub(crate) fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}
