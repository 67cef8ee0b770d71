//! What is downloaded, and where it is put.

use std::fs;
use std::path::Path;

use crate::server::{Fault, Server, git_hash, sha256};
use crate::world::{COMMIT, DATA, LATER, MODEL, assert_has, reads, world};
use beft_hub::{Hub, HubError, Progress};

#[test]
fn downloads_into_the_layout_of_python() {
    let w = world();
    let mut seen: Vec<(String, u64, Option<u64>)> = Vec::new();
    let mut progress = |p: Progress<'_>| seen.push((p.file.to_owned(), p.done, p.total));
    let snapshot = w.hub().model("org/name", &mut progress).unwrap();

    assert_eq!(snapshot, w.folder().join("snapshots").join(COMMIT));
    w.assert_weights(&snapshot);
    assert_eq!(fs::read(snapshot.join("tokenizer.json")).unwrap(), b"{}");
    assert_eq!(
        fs::read_to_string(w.folder().join("refs/main")).unwrap(),
        COMMIT
    );
    let mut blobs: Vec<String> = fs::read_dir(w.folder().join("blobs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    blobs.sort();
    let mut expected = [
        git_hash(b"{\"model_type\": \"bert\"}"),
        git_hash(b"{}"),
        sha256(&w.weights),
    ];
    expected.sort();
    assert_eq!(blobs, expected);
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(snapshot.join("model.safetensors")).unwrap(),
        Path::new("../../blobs").join(sha256(&w.weights))
    );

    let size = w.weights.len() as u64;
    let of_weights: Vec<_> = seen.iter().filter(|s| s.0 == "model.safetensors").collect();
    assert!(of_weights.is_sorted_by_key(|s| s.1));
    assert!(of_weights.iter().all(|s| s.2 == Some(size)));
    assert_eq!(of_weights[0].1, 0);
    assert_eq!(of_weights.last().unwrap().1, size);
    assert!(seen.iter().any(|s| s.0 == "config.json"));
}

#[test]
fn what_is_cached_needs_no_request() {
    let w = world();
    let first = w.model().unwrap();
    assert_eq!(w.weight_reads(), [None]);
    let mut calls = 0;
    let second = w.hub().model("org/name", &mut |_| calls += 1).unwrap();
    assert_eq!((first, calls), (second, 0));
    w.hub()
        .model(&format!("org/name@{COMMIT}"), &mut |_| {})
        .unwrap();
    w.hub()
        .with_offline(true)
        .model("org/name", &mut |_| {})
        .unwrap();
    assert!(w.server.take_log().is_empty());
}

#[test]
fn only_what_is_missing_is_downloaded() {
    let w = world();
    let snapshot = w.model().unwrap();
    w.server.take_log();
    fs::remove_file(snapshot.join("tokenizer.json")).unwrap();
    fs::remove_file(w.folder().join("blobs").join(git_hash(b"{}"))).unwrap();
    // A link to nothing is as good as no link.
    fs::remove_file(w.blob()).unwrap();
    w.model().unwrap();
    w.assert_weights(&snapshot);
    let log = w.server.take_log();
    assert_eq!(reads(&log, "tokenizer.json"), [None]);
    assert_eq!(reads(&log, "/storage/"), [None]);
    assert!(!log.iter().any(|r| r.path.ends_with("config.json")));
}

#[test]
fn old_names_and_other_revisions() {
    let w = world();
    w.server.rename("bert-base-cased", "org/name");
    let snapshot = w.hub().model("bert-base-cased", &mut |_| {}).unwrap();
    assert!(snapshot.starts_with(w.cache.path().join("models--bert-base-cased")));
    w.assert_weights(&snapshot);

    let snapshot = w.hub().model("org/name@v1/x", &mut |_| {}).unwrap();
    w.assert_weights(&snapshot);
    assert_eq!(
        fs::read_to_string(w.folder().join("refs/v1/x")).unwrap(),
        COMMIT
    );
    assert!(!w.folder().join("refs/main").exists());
}

#[test]
fn weights_in_shards_or_of_pytorch() {
    for (single, index, shards) in [
        (
            "model.safetensors",
            "model.safetensors.index.json",
            [
                "model-00001-of-00002.safetensors",
                "model-00002-of-00002.safetensors",
            ],
        ),
        (
            "pytorch_model.bin",
            "pytorch_model.bin.index.json",
            [
                "pytorch_model-00001-of-00002.bin",
                "pytorch_model-00002-of-00002.bin",
            ],
        ),
    ] {
        let server = Server::start();
        for id in ["models/one", "models/many"] {
            server.repo(id, COMMIT);
            server.file(id, "config.json", b"{}");
            server.file(id, "tokenizer.json", b"{ }");
            server.file(id, "README.md", b"not needed");
        }
        server.large_file("models/one", single, b"weights");
        let [a, b] = shards;
        let map = format!("{{\"weight_map\": {{\"x\": \"{a}\", \"y\": \"{b}\", \"z\": \"{a}\"}}}}");
        server.file("models/many", index, map.as_bytes());
        server.large_file("models/many", a, b"first");
        server.large_file("models/many", b, b"second");

        let cache = tempfile::tempdir().unwrap();
        let hub = Hub::new(&server.url, cache.path());
        let one = hub.model("one", &mut |_| {}).unwrap();
        assert_eq!(fs::read(one.join(single)).unwrap(), b"weights");
        let many = hub.model("many", &mut |_| {}).unwrap();
        assert_eq!(fs::read(many.join(a)).unwrap(), b"first");
        assert_eq!(fs::read(many.join(b)).unwrap(), b"second");
        assert!(!many.join("README.md").exists());

        server.take_log();
        hub.model("many", &mut |_| {}).unwrap();
        assert!(server.take_log().is_empty());
        fs::remove_file(many.join(b)).unwrap();
        let error = hub.clone().with_offline(true).model("many", &mut |_| {});
        assert_has(&error.unwrap_err().to_string(), &["`many`", b]);
    }
}

#[test]
fn a_model_without_weights_or_tokenizer() {
    let server = Server::start();
    server.repo("models/a", COMMIT);
    server.file("models/a", "config.json", b"{}");
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(&server.url, cache.path());
    let error = hub.model("a", &mut |_| {}).unwrap_err().to_string();
    assert_has(&error, &["`a` has no tokenizer.json", "another model"]);
    // As DeBERTa-v3 is published.
    server.file("models/a", "spm.model", b"x");
    let error = hub.model("a", &mut |_| {}).unwrap_err().to_string();
    assert_has(&error, &["spm.model", "from_pretrained('a')", "`model`"]);
    server.file("models/a", "tokenizer.json", b"{}");
    server.file("models/a", "tf_model.h5", b"");
    let error = hub.model("a", &mut |_| {}).unwrap_err();
    assert!(matches!(error, HubError::NoWeights { .. }));
    assert_has(
        &error.to_string(),
        &["`a`", "model.safetensors", "tf_model.h5"],
    );
    assert!(!cache.path().join("models--a/refs").exists());
}

#[test]
fn a_model_with_a_vocabulary_and_settings() {
    let server = Server::start();
    server.repo("models/a", COMMIT);
    let files = [
        "config.json",
        "vocab.txt",
        "tokenizer_config.json",
        "generation_config.json",
        "model.safetensors",
    ];
    for file in files {
        server.file("models/a", file, b"{}");
    }
    // Not needed beside vocab.txt.
    server.file("models/a", "flax_model.msgpack", b"x");
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(&server.url, cache.path());
    let snapshot = hub.model("a", &mut |_| {}).unwrap();
    assert!(files.iter().all(|file| snapshot.join(file).is_file()));
    assert!(!snapshot.join("flax_model.msgpack").exists());
    server.take_log();
    assert_eq!(hub.model("a", &mut |_| {}).unwrap(), snapshot);
    assert!(server.take_log().is_empty());
}

#[test]
fn what_another_program_left_out_is_downloaded() {
    let w = world();
    let snapshot = w.model().unwrap();
    let absent = w.folder().join(".no_exist").join(COMMIT);
    assert!(absent.join("modules.json").is_file());
    fs::remove_dir_all(&absent).unwrap();
    let files = [
        "tokenizer_config.json",
        "modules.json",
        "1_Pooling/config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
    ];
    for file in files {
        w.server.file(MODEL, file, file.as_bytes());
    }
    w.server.file(MODEL, "onnx/config.json", b"x");
    w.server.take_log();
    let offline = w.hub().with_offline(true);
    assert_eq!(offline.model("org/name", &mut |_| {}).unwrap(), snapshot);
    assert!(w.server.take_log().is_empty());
    assert!(!snapshot.join("modules.json").exists());

    // One try: the model can be used without them.
    w.server
        .always("HEAD", "modules.json", Fault::Status(503, ""));
    assert_eq!(w.model().unwrap(), snapshot);
    assert!(!snapshot.join("modules.json").exists());
    w.server.no_faults();
    w.server.take_log();
    assert_eq!(w.model().unwrap(), snapshot);
    for file in files {
        assert_eq!(fs::read_to_string(snapshot.join(file)).unwrap(), file);
    }
    assert!(!snapshot.join("onnx").exists());
    assert!(w.weight_reads().is_empty());
    w.server.take_log();
    w.model().unwrap();
    assert!(w.server.take_log().is_empty());

    let fresh = tempfile::tempdir().unwrap();
    let hub = Hub::new(&w.server.url, fresh.path());
    let snapshot = hub.model("org/name", &mut |_| {}).unwrap();
    assert!(files.iter().all(|file| snapshot.join(file).is_file()));
}

#[test]
fn shard_names_stay_in_the_snapshot() {
    let server = Server::start();
    server.repo("models/a", COMMIT);
    let index = b"{\"weight_map\": {\"x\": \"../../../escaped.bin\"}}";
    for (file, content) in [
        ("config.json", &b"{}"[..]),
        ("tokenizer.json", b"{}"),
        ("model.safetensors.index.json", index),
        ("../../../escaped.bin", b"x"),
    ] {
        server.file("models/a", file, content);
    }
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(&server.url, cache.path());
    let error = hub.model("a", &mut |_| {}).unwrap_err().to_string();
    assert_has(&error, &["index.json", "`../../../escaped.bin`"]);
    assert!(!cache.path().join("escaped.bin").exists());
    assert!(reads(&server.take_log(), "escaped").is_empty());
}

#[test]
fn files_of_a_data_set() {
    let w = world();
    let train = "sst2/train-00000-of-00001.parquet";
    w.server.repo(DATA, COMMIT);
    w.server.large_file(DATA, train, b"rows");
    w.server.file(DATA, "sst2/a b.tsv", b"text");
    let ask = |hub: &Hub| {
        hub.dataset(
            "org/data",
            &[train, "sst2/a b.tsv"],
            &["sst2/test.parquet"],
            &mut |_| {},
        )
    };
    let snapshot = ask(&w.hub()).unwrap();
    let folder = w.cache.path().join("datasets--org--data");
    assert_eq!(snapshot, folder.join("snapshots").join(COMMIT));
    assert_eq!(fs::read(snapshot.join(train)).unwrap(), b"rows");
    assert_eq!(fs::read(snapshot.join("sst2/a b.tsv")).unwrap(), b"text");
    assert!(!snapshot.join("sst2/test.parquet").exists());
    let marker = folder
        .join(".no_exist")
        .join(COMMIT)
        .join("sst2/test.parquet");
    assert!(marker.is_file());

    w.server.take_log();
    assert_eq!(ask(&w.hub()).unwrap(), snapshot);
    assert_eq!(ask(&w.hub().with_offline(true)).unwrap(), snapshot);
    assert!(w.server.take_log().is_empty());

    let error = w
        .hub()
        .dataset("org/data", &["sst2/test.parquet"], &[], &mut |_| {});
    let error = error.unwrap_err();
    assert!(matches!(error, HubError::NoFile { .. }));
    assert_has(&error.to_string(), &["`org/data`", "`sst2/test.parquet`"]);
}

#[test]
fn a_data_set_with_none_of_the_optional_files() {
    let w = world();
    w.server.repo(DATA, COMMIT);
    let ask = || {
        w.hub()
            .dataset("org/data", &[], &["a.csv", "b.csv"], &mut |_| {})
    };
    let snapshot = ask().unwrap();
    assert_eq!(fs::read_dir(&snapshot).unwrap().count(), 0);
    w.server.take_log();
    assert_eq!(ask().unwrap(), snapshot);
    assert!(w.server.take_log().is_empty());
    let offline = Hub::new(&w.server.url, w.cache.path().join("empty")).with_offline(true);
    let error = offline.dataset("org/data", &[], &["a.csv"], &mut |_| {});
    assert_has(
        &error.unwrap_err().to_string(),
        &["(missing: the snapshot)"],
    );
}

#[test]
fn a_newer_commit_reuses_what_did_not_change() {
    let w = world();
    w.server.repo(DATA, COMMIT);
    w.server.large_file(DATA, "train.csv", b"same");
    let ask = |files: &[&str]| w.hub().dataset("org/data", files, &[], &mut |_| {});
    let old = ask(&["train.csv"]).unwrap();
    w.server.repo(DATA, LATER);
    w.server.file(DATA, "test.csv", b"new");
    w.server.take_log();

    // A failed update leaves the older snapshot in use.
    w.server.always("GET", "test.csv", Fault::Cut(0));
    ask(&["train.csv", "test.csv"]).unwrap_err();
    assert_eq!(ask(&["train.csv"]).unwrap(), old);
    w.server.no_faults();

    let new = ask(&["train.csv", "test.csv"]).unwrap();
    assert!(new.ends_with(LATER));
    assert_eq!(fs::read(new.join("train.csv")).unwrap(), b"same");
    assert_eq!(fs::read(new.join("test.csv")).unwrap(), b"new");
    assert!(w.weight_reads().is_empty(), "train.csv was there");
}
