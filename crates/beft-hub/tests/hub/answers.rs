//! What servers answer, and who is asked at all.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::server::{Fault, Server, sha256};
use crate::world::{CUT, MODEL, World, assert_has, reads, world};
use beft_hub::{Hub, HubError};

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
