//! Trainings on a device of another process, over burn-remote.

#![cfg(feature = "remote")]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Stdio};

use common::{Scratch, worst};

const TUNE: [&str; 13] = [
    "tune",
    "--model",
    "model",
    "--task",
    "text",
    "--data",
    "data",
    "--terms",
    "v",
    "--dropout",
    "off",
    "--lr",
    "0.001",
];

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that lends flex at an address, with the token in `token`.
fn server(scratch: &Scratch, address: &str) -> Server {
    let mut child = scratch
        .process(&["device-server", "--token-file", "token", "--bind", address])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    assert!(line.starts_with("Lending flex at"), "{line}");
    Server(child)
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_borrowed_device_trains_what_this_one_does() {
    let scratch = Scratch::new();
    scratch.write("token", "0123456789abcdef\n");
    scratch.write("other", "fedcba9876543210\n");
    scratch.write("short", "abc\n");
    let address = free_address();
    let device = format!("remote:{address}");
    let tune = |epochs: &str, out: &str, more: &[&str], token: &str| {
        let args = [&TUNE[..], &["--epochs", epochs, "--out", out], more].concat();
        let mut command = scratch.beft(&args);
        command.env("BEFT_DEVICE_TOKEN_FILE", token);
        command.output().unwrap()
    };
    let local = tune("20", "local", &[], "token");
    assert!(local.status.success(), "{local:?}");

    let on = ["--device", device.as_str()];
    let running = server(&scratch, &address);
    for (token, part) in [
        ("other", "rejected"),
        ("short", "16 characters"),
        ("none", "cannot be read"),
    ] {
        let refused = tune("1", "refused", &on, token);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains(part), "{said}");
    }
    // The server is killed in the middle: a message, and the state is kept.
    let args = [&TUNE[..], &["--epochs", "20", "--out", "remote"], &on].concat();
    let client = scratch
        .process(&args)
        .env("BEFT_DEVICE_TOKEN_FILE", "token")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    scratch.wait_for("remote/state", 120);
    drop(running);
    let output = client.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("does not answer any more") && said.contains("--resume"),
        "{said}"
    );
    assert!(!scratch.path("remote/adapter").exists());

    let _running = server(&scratch, &address);
    let resumed = tune("20", "remote", &[&on[..], &["--resume"]].concat(), "token");
    assert!(resumed.status.success(), "{resumed:?}");
    let worst = worst(&scratch.weights("local"), &scratch.weights("remote"));
    assert!(worst < 2e-6, "{worst}");
}
