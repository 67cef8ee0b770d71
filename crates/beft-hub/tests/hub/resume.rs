//! Downloads that were cut, and bytes that are not those of the hub.

use std::fs;
use std::time::{Duration, Instant};

use crate::server::{Fault, STALL, Server, git_hash, sha256};
use crate::world::{COMMIT, CUT, DATA, assert_has, reads, world};
use beft_hub::{Hub, HubError, Progress};

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
