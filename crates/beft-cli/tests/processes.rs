//! Several processes, and processes that are killed.

#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{Scratch, wait_until};

const LONG: [&str; 10] = [
    "--model",
    "model",
    "--epochs",
    "5000",
    "--lr",
    "0.01",
    "--batch-size",
    "4",
    "--out",
    "out",
];

/// Starts a command that takes long.
fn start(scratch: &Scratch, args: &[&str]) -> Child {
    scratch
        .process(args)
        .args(LONG)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

const TUNE: [&str; 5] = ["tune", "--task", "text", "--data", "data"];
const COMPARE: [&str; 7] = [
    "compare",
    "--task",
    "text=data",
    "--mode",
    "q",
    "--mode",
    "v",
];

/// Whoever writes to a folder first has it until its process ends, however that ends.
#[test]
fn one_process_at_a_time_writes_to_a_folder() {
    let scratch = Scratch::new();
    let lock = scratch.path("out/.beft.lock");
    for first in [&TUNE[..], &COMPARE] {
        let mut child = start(&scratch, first);
        wait_until("no lock", || {
            std::fs::read_to_string(&lock).is_ok_and(|pid| pid == child.id().to_string())
        });
        for second in [
            &TUNE[..],
            &["run", "--task", "text", "--data", "data"],
            &["rank", "--task", "text", "--data", "data"],
            &COMPARE,
        ] {
            let begin = Instant::now();
            let args = [second, &LONG].concat();
            let output = scratch.beft(&args).output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{output:?}");
            let text = String::from_utf8(output.stderr).unwrap();
            let process = format!("out is in use by process {}", child.id());
            assert!(text.contains(&process), "{text}");
            assert!(begin.elapsed() < Duration::from_secs(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // What the killed one left is in nobody's way, and goes.
    assert!(lock.exists());
    scratch.tune(&[]).assert().success();
    assert!(!lock.exists());
    // Evaluations beside each other write different files, and lock nothing.
    let eval = [
        "eval",
        "--adapter",
        "out/adapter",
        "--data",
        "data",
        "--out",
        "out/eval.json",
    ];
    scratch.beft(&eval).assert().success();
    assert!(!lock.exists());
}

/// Processes whose parent is this one.
#[cfg(target_os = "linux")]
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let pids = processes.filter_map(|p| p.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        // `pid (name) state parent`
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit(") ").next().unwrap_or_default();
        rest.split(' ').nth(1) == Some(parent.to_string().as_str())
    })
    .collect()
}

/// Whether a process is there and is no zombie.
#[cfg(target_os = "linux")]
fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[cfg(target_os = "linux")]
#[test]
fn passes_end_with_the_comparison_that_started_them() {
    let scratch = Scratch::new();
    let args = [&COMPARE[..], &["--jobs", "2", "--together", "1"]].concat();
    let mut parent = start(&scratch, &args);
    let mut passes = Vec::new();
    wait_until("no passes", || {
        passes = children(parent.id());
        let states = std::fs::read_dir(scratch.path("out/cells")).map(|files| {
            let names = files.filter_map(|f| f.ok()?.file_name().into_string().ok());
            names.filter(|name| name.ends_with(".state")).count()
        });
        passes.len() == 2 && states.unwrap_or(0) == 2
    });
    assert!(passes.iter().all(|pid| is_alive(*pid)));
    parent.kill().unwrap();
    parent.wait().unwrap();
    let begin = Instant::now();
    while passes.iter().any(|pid| is_alive(*pid)) {
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{passes:?} live on"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}
