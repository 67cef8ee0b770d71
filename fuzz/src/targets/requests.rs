//! Requests to a server: whatever comes, it answers the next one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::Duration;

use beft::{AdapterSet, InferencePrecision};
use beft_serve::{Limits, NamedFolder, ServeOptions, serve};

use super::{interop, words};
use crate::{Format, Sample};

const REQUEST: &str = "request";

fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

pub(super) fn samples() -> Vec<Sample> {
    let bodies = [
        (
            "/predict",
            r#"{"inputs": ["good film", "bad"], "raw_scores": true, "truncate": true}"#,
        ),
        (
            "/classify",
            r#"{"model": "it", "input": ["good film"], "user": "x"}"#,
        ),
        (
            "/v1/completions",
            r#"{"model": "it", "prompt": "good", "max_tokens": 2, "temperature": 0.5, "stop": ["x"], "n": 1}"#,
        ),
        ("/v1/adapters", r#"{"name": "new", "path": "../x"}"#),
        (
            "/models/it",
            r#"{"inputs": "good film", "parameters": {"top_k": 1}}"#,
        ),
    ];
    let mut found: Vec<Sample> = bodies
        .iter()
        .map(|(path, body)| {
            let sample = Sample::default().with(REQUEST, request("POST", path, body));
            sample.changing(REQUEST, Format::Text)
        })
        .collect();
    // Of these the body alone is changed, and its length is right.
    found.extend(bodies.iter().map(|(path, body)| {
        let sample = Sample::default().with("path", *path).with(REQUEST, *body);
        sample.changing(REQUEST, Format::Json)
    }));
    for (method, path) in [
        ("GET", "/v1/models/it"),
        ("DELETE", "/v1/adapters/it"),
        ("OPTIONS", "/predict"),
    ] {
        let sample = Sample::default().with(REQUEST, request(method, path, ""));
        found.push(sample.changing(REQUEST, Format::Text));
    }
    found
}

/// A server of this process, started once.
fn server() -> SocketAddr {
    static STARTED: OnceLock<SocketAddr> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let (ready, address) = channel();
        std::thread::spawn(move || {
            let device = beft_device::parse_device("flex").expect("flex");
            let base = interop("bert").display().to_string();
            let set = AdapterSet::open(&base, &device, InferencePrecision::default());
            let options = ServeOptions {
                bind: SocketAddr::from(([127, 0, 0, 1], 0)),
                adapters: vec![NamedFolder {
                    name: "it".to_owned(),
                    dir: interop("beft-regular-expression"),
                }],
                limits: Limits {
                    read_time: Duration::from_millis(100),
                    ..Limits::default()
                },
                ..ServeOptions::default()
            };
            let said = serve(set.expect("a model"), &options, |address| {
                ready.send(address).expect("a listener");
            });
            said.expect("a server");
        });
        address.recv().expect("an address")
    })
}

pub(super) fn send(given: &Path, _: &Path) -> Result<(), String> {
    let content = std::fs::read(given.join(REQUEST)).map_err(words)?;
    let bytes = match std::fs::read_to_string(given.join("path")) {
        Ok(path) => {
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                content.len()
            );
            [head.as_bytes(), &content].concat()
        }
        Err(_) => content,
    };
    let answer = exchange(&bytes).map_err(words)?;
    // On a machine that is busy, a request may come too slowly once.
    let health = || exchange(request("GET", "/health", "").as_bytes());
    let mut next = health().map_err(words)?;
    if next.is_empty() {
        next = health().map_err(words)?;
    }
    assert!(
        next.starts_with("HTTP/1.1 200"),
        "the server does not answer: {next}"
    );
    let status = answer
        .split_whitespace()
        .nth(1)
        .unwrap_or("none")
        .to_owned();
    // A status of 5xx says that the server failed, and not the request.
    assert!(!status.starts_with('5') || status == "503", "{answer}");
    match status.starts_with('2') {
        true => Ok(()),
        false => Err(format!("status {status}")),
    }
}

fn exchange(request: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(server())?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    // The server may answer and close before everything is sent.
    let _ = stream.write_all(request);
    let mut answer = vec![0; 1 << 12];
    // The head is enough; a request that is not whole gets no answer.
    match stream.read(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("no answer"),
        read => {
            answer.truncate(read.unwrap_or(0));
            Ok(String::from_utf8_lossy(&answer).into_owned())
        }
    }
}
