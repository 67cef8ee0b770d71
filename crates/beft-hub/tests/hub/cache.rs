//! The cache, with and without a network.

use std::fs;
use std::thread;

use crate::server::{Fault, git_hash, sha256};
use crate::world::{COMMIT, assert_has, world};
use beft_hub::{Hub, HubError};

#[test]
fn offline_asks_nobody() {
    let w = world();
    let offline = w.hub().with_offline(true);
    let error = offline.model("org/name", &mut |_| {}).unwrap_err();
    let cache = w.cache.path().display().to_string();
    assert_has(
        &error.to_string(),
        &[
            "`org/name`",
            &cache,
            "config.json",
            "model.safetensors",
            "HF_HUB_OFFLINE",
        ],
    );
    assert!(w.server.take_log().is_empty());

    let snapshot = w.model().unwrap();
    w.server.take_log();
    fs::remove_file(snapshot.join("tokenizer.json")).unwrap();
    let error = offline
        .model("org/name", &mut |_| {})
        .unwrap_err()
        .to_string();
    assert_has(&error, &["(missing: tokenizer.json)"]);
    let error = offline.dataset("org/data", &["a.csv"], &["b.csv"], &mut |_| {});
    assert_has(
        &error.unwrap_err().to_string(),
        &["`org/data`", "(missing: a.csv)"],
    );
    assert!(w.server.take_log().is_empty());
}

#[test]
#[cfg(unix)]
fn a_cache_that_python_wrote() {
    let cache = tempfile::tempdir().unwrap();
    let repo = cache.path().join("models--google-bert--bert-base-cased");
    let snapshot = repo.join("snapshots").join(COMMIT);
    for folder in ["blobs", "refs", "snapshots", ".no_exist"] {
        fs::create_dir_all(repo.join(folder)).unwrap();
    }
    fs::create_dir(&snapshot).unwrap();
    fs::write(repo.join("refs/main"), COMMIT).unwrap();
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let etag = git_hash(file.as_bytes());
        fs::write(repo.join("blobs").join(&etag), file).unwrap();
        let target = format!("../../blobs/{etag}");
        std::os::unix::fs::symlink(target, snapshot.join(file)).unwrap();
    }
    for offline in [false, true] {
        let hub = Hub::new("http://127.0.0.1:9", cache.path()).with_offline(offline);
        for name in [
            "google-bert/bert-base-cased".to_owned(),
            format!("google-bert/bert-base-cased@{COMMIT}"),
        ] {
            assert_eq!(hub.model(&name, &mut |_| {}).unwrap(), snapshot);
        }
    }
}

#[test]
fn two_at_once_download_once() {
    let w = world();
    w.server.always("GET", &sha256(&w.weights), Fault::Slow);
    thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| w.model().unwrap()));
        for one in both {
            w.assert_weights(&one.join().unwrap());
        }
    });
    assert_eq!(w.weight_reads(), [None]);
}

#[test]
fn the_disk_refuses() {
    let w = world();
    fs::write(w.cache.path().join("models--org--name"), "in the way").unwrap();
    let error = w.model().unwrap_err();
    assert!(matches!(error, HubError::Io { .. }), "{error}");
    assert_has(&error.to_string(), &["cannot create", "models--org--name"]);
}
