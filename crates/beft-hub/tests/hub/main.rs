//! The hub client against a local server, and against caches written by hand.

#![allow(clippy::unwrap_used)]

mod server;

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use beft_hub::{Hub, HubError, Progress};
use server::{Fault, Request, STALL, Server, git_hash, sha256};
use tempfile::TempDir;

const COMMIT: &str = "1111111111111111111111111111111111111111";
const LATER: &str = "2222222222222222222222222222222222222222";
const MODEL: &str = "models/org/name";
const DATA: &str = "datasets/org/data";
const CUT: usize = 300_000;

struct World {
    server: Server,
    cache: TempDir,
    weights: Vec<u8>,
}

/// A hub with one model, and an empty cache.
fn world() -> World {
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
    fn hub(&self) -> Hub {
        Hub::new(&self.server.url, self.cache.path())
            .with_attempts(3, Duration::from_millis(1))
            .with_timeout(Duration::from_secs(5))
    }

    fn model(&self) -> Result<PathBuf, HubError> {
        self.hub().model("org/name", &mut |_| {})
    }

    fn failure(&self) -> String {
        self.model().unwrap_err().to_string()
    }

    fn folder(&self) -> PathBuf {
        self.cache.path().join("models--org--name")
    }

    fn blob(&self) -> PathBuf {
        self.folder().join("blobs").join(sha256(&self.weights))
    }

    fn partial(&self) -> PathBuf {
        PathBuf::from(format!("{}.incomplete", self.blob().display()))
    }

    fn assert_weights(&self, snapshot: &Path) {
        let found = fs::read(snapshot.join("model.safetensors")).unwrap();
        assert!(found == self.weights, "other bytes than on the hub");
        assert!(!self.partial().exists());
    }

    /// Where each request for the bytes of the weights started.
    fn weight_reads(&self) -> Vec<Option<usize>> {
        reads(&self.server.take_log(), "/storage/")
    }
}

fn reads(log: &[Request], part: &str) -> Vec<Option<usize>> {
    log.iter()
        .filter(|r| r.method == "GET" && r.path.contains(part))
        .map(|r| r.from)
        .collect()
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

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
    assert_has(&error, &["`a` has no file `tokenizer.json`", "check"]);
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
fn a_cut_connection_is_resumed() {
    let w = world();
    w.server.fault("GET", &sha256(&w.weights), Fault::Cut(CUT));
    w.server.fault("GET", &sha256(&w.weights), Fault::Cut(1000));
    let mut last = 0;
    let mut monotonic = |p: Progress<'_>| {
        if p.file == "model.safetensors" {
            assert!(p.done >= last);
            last = p.done;
        }
    };
    let snapshot = w.hub().model("org/name", &mut monotonic).unwrap();
    w.assert_weights(&snapshot);
    assert_eq!(w.weight_reads(), [None, Some(CUT), Some(CUT + 1000)]);
}

#[test]
fn a_later_run_resumes_what_an_earlier_one_left() {
    let w = world();
    w.server.fault("GET", &sha256(&w.weights), Fault::Cut(CUT));
    let once = w.hub().with_attempts(1, Duration::ZERO);
    let error = once.model("org/name", &mut |_| {}).unwrap_err();
    assert!(matches!(error, HubError::Connection { attempts: 1, .. }));
    assert_has(&error.to_string(), &["/storage/", "try again"]);
    assert!(!error.to_string().contains("signature"), "{error}");
    assert_eq!(fs::metadata(w.partial()).unwrap().len(), CUT as u64);
    assert!(!w.blob().exists());
    let snapshot = w.folder().join("snapshots").join(COMMIT);
    assert!(
        snapshot
            .join("model.safetensors")
            .symlink_metadata()
            .is_err()
    );
    assert!(!w.folder().join("refs/main").exists());
    let offline = w.hub().with_offline(true);
    assert!(offline.model("org/name", &mut |_| {}).is_err());

    w.server.take_log();
    w.assert_weights(&w.model().unwrap());
    assert_eq!(w.weight_reads(), [Some(CUT)]);
}

#[test]
fn a_stalled_connection_is_resumed() {
    let w = world();
    w.server
        .fault("GET", &sha256(&w.weights), Fault::Stall(CUT));
    let hub = w.hub().with_timeout(Duration::from_millis(300));
    let started = Instant::now();
    w.assert_weights(&hub.model("org/name", &mut |_| {}).unwrap());
    assert!(started.elapsed() < STALL, "waited until the server closed");
    assert_eq!(w.weight_reads(), [None, Some(CUT)]);
}

#[test]
fn cuts_with_progress_between_them_do_not_add_up() {
    let server = Server::start();
    let content = vec![7; 5 << 20];
    server.repo(DATA, COMMIT);
    server.large_file(DATA, "train.csv", &content);
    server.always("GET", &sha256(&content), Fault::Cut((1 << 20) + 1));
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(&server.url, cache.path()).with_attempts(2, Duration::ZERO);
    let snapshot = hub.dataset("org/data", &["train.csv"], &[], &mut |_| {});
    assert!(fs::read(snapshot.unwrap().join("train.csv")).unwrap() == content);
    assert_eq!(reads(&server.take_log(), "/storage/").len(), 5);
}

#[test]
fn the_same_bytes_again_are_no_progress() {
    let w = world();
    let content = vec![7; 5 << 20];
    w.server.repo(DATA, COMMIT);
    w.server.large_file(DATA, "train.csv", &content);
    for _ in 0..5 {
        let half = Fault::Cut(content.len() / 2);
        w.server.fault("GET", &sha256(&content), half);
        w.server
            .fault("GET", &sha256(&content), Fault::Status(416, ""));
    }
    let error = w
        .hub()
        .dataset("org/data", &["train.csv"], &[], &mut |_| {});
    assert_has(&error.unwrap_err().to_string(), &["after 3 attempts"]);
}

#[test]
fn a_server_that_cannot_resume_starts_again() {
    for fault in [Fault::WholeFile, Fault::OtherPart, Fault::Status(416, "")] {
        let w = world();
        w.server.fault("GET", &sha256(&w.weights), Fault::Cut(CUT));
        w.server.fault("GET", &sha256(&w.weights), fault.clone());
        w.assert_weights(&w.model().unwrap());
        let expected = if matches!(fault, Fault::WholeFile) {
            vec![None, Some(CUT)]
        } else {
            vec![None, Some(CUT), None]
        };
        assert_eq!(w.weight_reads(), expected, "{fault:?}");
    }
}

#[test]
fn a_server_that_always_cuts_is_left_at_last() {
    let w = world();
    w.server.always("GET", &sha256(&w.weights), Fault::Cut(0));
    assert_has(&w.failure(), &["after 3 attempts", "/storage/"]);
    assert_eq!(w.weight_reads(), [None, None, None]);
}

#[test]
fn a_complete_partial_file_needs_no_bytes() {
    let w = world();
    fs::create_dir_all(w.folder().join("blobs")).unwrap();
    fs::write(w.partial(), &w.weights).unwrap();
    w.assert_weights(&w.model().unwrap());
    assert!(w.weight_reads().is_empty());
}

#[test]
fn damaged_bytes_are_refused_and_deleted() {
    let w = world();
    let mut damaged = w.weights.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    w.server.fault("GET", &sha256(&w.weights), Fault::Damage);
    let error = w.failure();
    assert_has(
        &error,
        &[
            "`model.safetensors` of `org/name`",
            &format!("expected {}", sha256(&w.weights)),
            &format!("found {}", sha256(&damaged)),
            "try again",
        ],
    );
    assert!(!w.partial().exists() && !w.blob().exists());
    w.assert_weights(&w.model().unwrap());
}

#[test]
fn damaged_small_files_are_refused() {
    let w = world();
    w.server.fault("GET", "config.json", Fault::Damage);
    let expected = git_hash(b"{\"model_type\": \"bert\"}");
    assert_has(&w.failure(), &["`config.json`", &expected]);
    w.model().unwrap();
}

#[test]
fn a_partial_file_of_something_else_is_refused() {
    let w = world();
    fs::create_dir_all(w.folder().join("blobs")).unwrap();
    fs::write(w.partial(), vec![0; CUT]).unwrap();
    assert_has(&w.failure(), &["`model.safetensors`", &sha256(&w.weights)]);
    assert_eq!(w.weight_reads(), [Some(CUT)]);
    fs::write(w.partial(), vec![0; w.weights.len() + 1]).unwrap();
    w.assert_weights(&w.model().unwrap());
    assert_eq!(w.weight_reads(), [None], "too long to be a part");
}

#[test]
fn other_sizes_are_refused() {
    let w = world();
    let size = w.weights.len();
    w.server
        .fault("GET", &sha256(&w.weights), Fault::Resize(size + 5));
    assert_has(
        &w.failure(),
        &["`model.safetensors`", "expected 700001 bytes"],
    );
    assert!(!w.partial().exists());
    // Too few bytes may be a cut that a proxy hid.
    w.server
        .fault("GET", &sha256(&w.weights), Fault::Resize(CUT));
    w.server.take_log();
    w.assert_weights(&w.model().unwrap());
    assert_eq!(w.weight_reads(), [None, Some(CUT)]);
}

#[test]
fn a_blob_of_another_size_is_downloaded_again() {
    let w = world();
    fs::create_dir_all(w.folder().join("blobs")).unwrap();
    fs::write(w.blob(), b"short").unwrap();
    w.assert_weights(&w.model().unwrap());
}

#[test]
fn etags_of_other_kinds() {
    let w = world();
    w.server
        .always("HEAD", "config.json", Fault::Etag("W/\"abc-1\""));
    w.server.fault("GET", "config.json", Fault::Resize(5));
    w.server.fault("GET", "config.json", Fault::Resize(40));
    assert_has(&w.failure(), &["`config.json`", "expected 22 bytes"]);
    w.model().unwrap();
    assert!(w.folder().join("blobs/abc-1").is_file());

    let w = world();
    for etag in ["\"../../../../escaped\"", "\"\"", "\"a.lock\""] {
        w.server.fault("HEAD", "config.json", Fault::Etag(etag));
        assert_has(&w.failure(), &["config.json", "ETag"]);
    }
    assert!(!w.cache.path().join("escaped").exists());
}

#[test]
fn refusals_say_what_to_do() {
    let w = world();
    w.server.require_token("secret");
    let error = w.failure();
    assert_has(
        &error,
        &["`org/name`", "401", "private or gated", "set HF_TOKEN"],
    );
    let wrong = w.hub().with_token(Some("wrong".to_owned()));
    let error = wrong
        .model("org/name", &mut |_| {})
        .unwrap_err()
        .to_string();
    assert_has(&error, &["401", "the token in HF_TOKEN"]);
    assert!(!error.contains("wrong"), "{error}");

    let w = world();
    let gated = Fault::Status(403, "X-Error-Code: GatedRepo\r\n");
    w.server.fault("HEAD", "config.json", gated);
    let error = w.model().unwrap_err();
    assert!(matches!(error, HubError::Denied { status: 403, .. }));
    assert_has(&error.to_string(), &["`org/name`", "403", "gated"]);
}

#[test]
fn what_is_not_there() {
    let w = world();
    let ask = |name: &str| w.hub().model(name, &mut |_| {}).unwrap_err();
    for name in ["org/nome", "org/name@nope"] {
        let error = ask(name);
        assert!(matches!(error, HubError::NoRepository { .. }));
        assert_has(&error.to_string(), &[name, &w.server.url, "check the name"]);
    }
    assert_eq!(w.server.take_log().len(), 2, "a 404 is not tried again");
    assert_eq!(fs::read_dir(w.cache.path()).unwrap().count(), 0);
}

#[test]
fn names_that_are_none_are_not_asked_for() {
    let w = world();
    for name in ["", "../x", "/etc", "org/name/more", "org/../x", "a@../b"] {
        let error = w.hub().model(name, &mut |_| {}).unwrap_err();
        assert!(matches!(error, HubError::BadName { .. }), "{error}");
    }
    for file in ["../x", "/etc/passwd", "", "a\\b"] {
        let error = w.hub().dataset("org/data", &[file], &[], &mut |_| {});
        assert!(matches!(error, Err(HubError::BadFile { .. })));
        let error = w.hub().dataset("org/data", &[], &[file], &mut |_| {});
        assert!(matches!(error, Err(HubError::BadFile { .. })));
    }
    assert!(w.server.take_log().is_empty());
}

#[test]
fn a_busy_server_is_asked_again() {
    let w = world();
    w.server
        .fault("GET", "/revision/main", Fault::Status(503, ""));
    w.server.fault("GET", "/revision/main", Fault::Cut(10));
    w.server
        .fault("HEAD", "config.json", Fault::Status(500, ""));
    let soon = Fault::Status(429, "Retry-After: 1\r\n");
    w.server.fault("HEAD", "tokenizer.json", soon);
    let started = Instant::now();
    w.assert_weights(&w.model().unwrap());
    assert!(started.elapsed() >= Duration::from_secs(1), "Retry-After");

    let w = world();
    w.server
        .always("GET", "/revision/main", Fault::Status(503, ""));
    assert_has(&w.failure(), &[&w.server.url, "after 3 attempts", "503"]);
    assert_eq!(w.server.take_log().len(), 3);
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(&url, cache.path()).with_attempts(2, Duration::from_millis(1));
    let error = hub.model("org/name", &mut |_| {}).unwrap_err();
    assert!(matches!(error, HubError::Connection { attempts: 2, .. }));
    assert_has(&error.to_string(), &[&url, "refused", "check the network"]);
}

#[test]
fn https_is_spoken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let first_byte = thread::spawn(move || {
        let mut byte = [0];
        listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
        byte[0]
    });
    let cache = tempfile::tempdir().unwrap();
    let hub = Hub::new(&url, cache.path()).with_attempts(1, Duration::ZERO);
    let error = hub.model("org/name", &mut |_| {}).unwrap_err();
    assert_has(&error.to_string(), &[&url]);
    const HANDSHAKE: u8 = 22;
    assert_eq!(first_byte.join().unwrap(), HANDSHAKE);
}

#[test]
fn endpoints_that_are_none() {
    let cache = tempfile::tempdir().unwrap();
    for endpoint in ["", "huggingface.co", "ftp://hub.example", "http:// hub"] {
        let error = Hub::new(endpoint, cache.path()).model("a", &mut |_| {});
        assert_has(&error.unwrap_err().to_string(), &["HF_ENDPOINT", endpoint]);
    }
}

#[test]
fn answers_that_are_none() {
    let w = world();
    w.server
        .fault("GET", "/revision/main", Fault::Status(200, ""));
    assert_has(&w.failure(), &["/revision/main", "no repository"]);
    w.server
        .fault("GET", "/revision/main", Fault::Status(302, ""));
    assert_has(&w.failure(), &["redirect that leads nowhere"]);
    w.server.repo(MODEL, "../../../escaped");
    assert_has(&w.failure(), &["`../../../escaped` is no commit hash"]);
    w.server.rename("org/name", "org/name");
    assert_has(&w.failure(), &["more than 10 redirects"]);
}

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
fn the_token_stays_with_the_hub() {
    let w = world();
    let storage = Server::start();
    storage.store(&w.weights);
    w.server.store_at(&storage);
    w.server.require_token("secret");
    storage.fault("GET", &sha256(&w.weights), Fault::Cut(CUT));
    let hub = w.hub().with_token(Some("secret".to_owned()));
    w.assert_weights(&hub.model("org/name", &mut |_| {}).unwrap());

    let own = w.server.take_log();
    assert!(own.len() >= 6);
    assert!(
        own.iter()
            .all(|r| r.authorization.as_deref() == Some("Bearer secret"))
    );
    let other = storage.take_log();
    assert_eq!(reads(&other, "/storage/"), [None, Some(CUT)]);
    assert!(other.iter().all(|r| r.authorization.is_none()));
    assert!(
        other.iter().all(|r| r.method == "GET"),
        "the hub said enough"
    );
    let after_cut = own
        .iter()
        .filter(|r| r.method == "GET" && r.path.ends_with(".safetensors"));
    assert_eq!(after_cut.count(), 2, "a resumed file gets a fresh address");
}

#[test]
fn an_expired_address_is_renewed() {
    let w = world();
    let storage = Server::start();
    storage.store(&w.weights);
    w.server.store_at(&storage);
    storage.fault("GET", &sha256(&w.weights), Fault::Status(403, ""));
    w.assert_weights(&w.model().unwrap());
    storage.always("GET", &sha256(&w.weights), Fault::Status(403, ""));
    let fresh = World {
        cache: tempfile::tempdir().unwrap(),
        ..w
    };
    let error = fresh.failure();
    assert_has(&error, &[&storage.url, "after 3 attempts", "403"]);
    assert!(!error.contains("HF_TOKEN"), "{error}");
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
