//! A process that is refused memory says what it needed and what to do.

#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

mod common;

use std::process::{Command, Output};

use common::Scratch;

/// `beft` with at most so many megabytes of address space.
fn limited(scratch: &Scratch, megabytes: u64, args: &[&str]) -> Output {
    let script = format!("ulimit -v {} && exec \"$0\" \"$@\"", megabytes * 1024);
    Command::new("sh")
        .args(["-c", &script, env!("CARGO_BIN_EXE_beft")])
        .args(args)
        .current_dir(scratch.path("."))
        .env("HF_HUB_OFFLINE", "1")
        // Each thread takes address space of its own.
        .env("RAYON_NUM_THREADS", "2")
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap()
}

/// Whatever the limit is: the result, or one message and exit code 2.
#[test]
fn out_of_memory_is_a_message() {
    let scratch = Scratch::new();
    // Hundreds of long inputs in one piece: their activations take hundreds of megabytes.
    let words = "good film ".repeat(40);
    let rows = |count: usize| {
        let row = |i: usize| format!("{words}{i}\t{}\n", ["a", "b", "c"][i % 3]);
        "text\tlabel\n".to_owned() + &(0..count).map(row).collect::<String>()
    };
    scratch.write("data/train.tsv", &rows(600));
    let args = [
        "tune",
        "--model",
        "model",
        "--task",
        "text",
        "--data",
        "data",
        "--epochs",
        "1",
        "--batch-size",
        "600",
        "--terms",
        "all",
        "--without",
        "split-work",
        "--out",
        "out",
    ];
    let (mut told, mut refused) = (0, 0);
    for megabytes in (100..1000).step_by(20) {
        let output = limited(&scratch, megabytes, &args);
        if output.status.success() {
            break;
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        if text.is_empty() {
            // The program itself does not fit.
            continue;
        }
        assert_eq!(output.status.code(), Some(2), "{megabytes} MB: {text}");
        assert!(!text.contains("panicked"), "{megabytes} MB: {text}");
        let errors = text.lines().filter(|line| line.starts_with("error: "));
        let errors: Vec<&str> = errors.collect();
        assert_eq!(errors.len(), 1, "{megabytes} MB: {text}");
        if errors[0].contains("out of memory: ") {
            (told, refused) = (told + 1, megabytes);
            for remedy in ["--micro-batch", "--gradient-checkpointing", "--batch-size"] {
                assert!(errors[0].contains(remedy), "{}", errors[0]);
            }
        }
        assert!(
            !scratch.path("out").exists(),
            "{megabytes} MB left something"
        );
    }
    assert!(told >= 3, "{told}");
    // Where it was refused last, the remedy is one.
    let less = [&args[..], &["--micro-batch", "4"]].concat();
    let output = limited(&scratch, refused, &less);
    assert!(output.status.success(), "{refused} MB: {output:?}");
}

/// A pass of a comparison that is refused memory is told of by the comparison.
#[test]
fn a_pass_without_memory_is_told_of() {
    let scratch = Scratch::new();
    let words = "good film ".repeat(40);
    let row = |i: usize| format!("{words}{i}\t{}\n", ["a", "b", "c"][i % 3]);
    let rows = "text\tlabel\n".to_owned() + &(0..600).map(row).collect::<String>();
    scratch.write("data/train.tsv", &rows);
    let args = [
        "compare",
        "--model",
        "model",
        "--task",
        "text=data",
        "--mode",
        "all",
        "--epochs",
        "1",
        "--batch-size",
        "600",
        "--jobs",
        "1",
        "--out",
        "out",
    ];
    let output = limited(&scratch, 160, &args);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in ["out of memory: ", "--batch-size", "1 of 1 trainings failed"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    scratch.beft(&args).assert().success();
}
