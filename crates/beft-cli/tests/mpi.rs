//! Trainings over the processes of an MPI job, started by Open MPI's mpirun.

#![cfg(feature = "mpi")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{Scratch, worst};

const TUNE: [&str; 14] = [
    "tune", "--model", "model", "--task", "text", "--data", "data", "--terms", "v", "--lr", "0.01",
    "--limit", "9", "--epochs",
];

fn mpirun(scratch: &Scratch, processes: &str, args: &[&str]) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--allow-run-as-root", "--oversubscribe", "-n", processes])
        .arg(env!("CARGO_BIN_EXE_beft"))
        .args(args)
        .current_dir(scratch.path("."));
    command
}

fn tune<'a>(epochs: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&TUNE[..], &[epochs], more].concat()
}

fn succeeds(output: Output) -> (String, String) {
    assert!(output.status.success(), "{output:?}");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn processes_train_what_one_does() {
    let scratch = Scratch::new();
    let one = scratch
        .beft(&tune("3", &["--out", "one"]))
        .output()
        .unwrap();
    let (said, told) = succeeds(one);
    for processes in ["2", "4"] {
        for out in ["a", "b"] {
            let args = tune("3", &["--out", out]);
            let output = mpirun(&scratch, processes, &args).output().unwrap();
            let (more_said, more_told) = succeeds(output);
            assert_eq!(more_said, said.replace("one/", &format!("{out}/")));
            // One of them tells.
            assert_eq!(more_told.matches("epoch 3").count(), 1, "{more_told}");
            assert!(told.contains(more_told.lines().rfind(|l| l.contains("epoch 3")).unwrap()));
        }
        assert_eq!(scratch.weights("a"), scratch.weights("b"));
        let worst = worst(&scratch.weights("one"), &scratch.weights("a"));
        assert!(worst < 1e-6, "{worst}");
    }
}

#[test]
fn a_killed_process_ends_all_and_others_continue() {
    let scratch = Scratch::new();
    succeeds(
        scratch
            .beft(&tune("300", &["--out", "one"]))
            .output()
            .unwrap(),
    );
    let args = tune("300", &["--out", "out"]);
    let mut job = mpirun(&scratch, "4", &args);
    let job = job
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    scratch.wait_for("out/state", 60);
    // The last process of the job.
    let found = Command::new("pgrep")
        .args(["-P", &job.id().to_string()])
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let last = found.lines().next_back().unwrap().to_owned();
    assert!(
        Command::new("kill")
            .args(["-9", &last])
            .status()
            .unwrap()
            .success()
    );
    let killed = Instant::now();
    let output = job.wait_with_output().unwrap();
    assert!(killed.elapsed() < Duration::from_secs(10));
    assert!(!output.status.success());
    let told =
        String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("process rank"), "{told}");
    assert!(
        !scratch.path("out/adapter").exists(),
        "it was killed too late"
    );
    let args = tune("300", &["--out", "out", "--resume"]);
    let (_, told) = succeeds(mpirun(&scratch, "2", &args).output().unwrap());
    assert!(told.contains("continuing after epoch"), "{told}");
    let worst = worst(&scratch.weights("one"), &scratch.weights("out"));
    assert!(worst < 1e-5, "{worst}");
}

/// One process has an old copy of the data, or other options.
#[test]
fn processes_that_train_something_else_are_refused_by_name() {
    let scratch = Scratch::new();
    let refused = |more: &[&str], part: &str| {
        let first = tune("3", &["--out", "out"]);
        let mut command = Command::new("mpirun");
        command.args(["--allow-run-as-root", "--oversubscribe", "-n", "1"]);
        command.arg(env!("CARGO_BIN_EXE_beft")).args(&first);
        command
            .args([":", "-n", "1"])
            .arg(env!("CARGO_BIN_EXE_beft"))
            .args(&first)
            .args(more);
        let output = command.current_dir(scratch.path(".")).output().unwrap();
        assert!(!output.status.success(), "{output:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.contains("trains something else") && told.contains(part),
            "{told}"
        );
        assert!(!scratch.path("out/adapter").exists());
    };
    refused(&["--seed", "5"], "seed is 5 there, 0 here");
    refused(&["--epochs", "4"], "epochs is 4 there, 3 here");
    fs::create_dir(scratch.path("older")).unwrap();
    for file in scratch.list("data") {
        let text = scratch.read(&format!("data/{file}"));
        scratch.write(&format!("older/{file}"), &text.replacen("good", "bad", 1));
    }
    refused(&["--data", "older"], "data is ");
}

#[test]
fn what_cannot_be_done_ends_all() {
    let scratch = Scratch::new();
    let args = [
        "run",
        "--model",
        "model",
        "--task",
        "text=data",
        "--data",
        "data",
    ];
    let output = mpirun(&scratch, "2", &args[..3]).output().unwrap();
    assert!(!output.status.success());
    let args = tune("3", &["--out", "out", "--train-size", "100000"]);
    let output = mpirun(&scratch, "2", &args).output().unwrap();
    assert!(!output.status.success());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("process 0 of 2 failed:"), "{told}");
    assert!(!scratch.path("out/adapter").exists());
}
