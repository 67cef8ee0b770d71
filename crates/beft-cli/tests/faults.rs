//! What signals, kills, full disks and folders that cannot be written do to long work: nothing is lost or half written, and
//! the same command gives the same bytes.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{DATA, Scratch};
use rand::{RngExt, SeedableRng, rngs::StdRng};

fn tune<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let of = ["--terms", "v", "--epochs", "60", "--lr", "0.01", "--out"];
    [&["tune"], &DATA[..], &of, &[out], more].concat()
}

fn compare(out: &str) -> Vec<&str> {
    let of = [
        "--task",
        "text=data",
        "--mode",
        "frozen",
        "--mode",
        "v",
        "--mode",
        "lora-v",
        "--seeds",
        "0,1",
        "--epochs",
        "20",
        "--lr",
        "0.01",
        "--together=1",
    ];
    [&["compare", "--model", "model"], &of[..], &["--out", out]].concat()
}

/// Starts a command whose messages are kept.
fn start(scratch: &Scratch, args: &[&str]) -> Child {
    let mut process = scratch.process(args);
    process
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(sent.success());
}

/// The end of a command that was told to stop, which takes up to two seconds.
fn stopped(child: Child) -> Output {
    let began = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("stopping after the step under way"), "{said}");
    output
}

/// The processes of the system whose command line has all of these.
fn processes(words: &[&str]) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| words.iter().all(|word| line.contains(word)))
        .count()
}

#[test]
fn a_signal_stops_a_training_after_its_step_and_it_continues_to_the_same_bytes() {
    let scratch = Scratch::new();
    common::run(&scratch, &tune("whole", &[]));
    let mut draw = StdRng::seed_from_u64(3);
    let mut within = 0;
    for round in 0..6 {
        let out = format!("out{round}");
        let child = start(&scratch, &tune(&out, &[]));
        scratch.wait_for(&format!("{out}/state"), 60);
        std::thread::sleep(Duration::from_millis(draw.random_range(0..40)));
        signal(&child, ["-INT", "-TERM", "-HUP"][round % 3]);
        let output = stopped(child);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains(&format!("its state is in {out}/state")),
            "{said}"
        );
        assert!(
            said.contains("run the same command with --resume to continue"),
            "{said}"
        );
        assert!(!scratch.path(&format!("{out}/results.json")).exists());
        // Within an epoch, not only after one.
        let state = fs::read(scratch.path(&format!("{out}/state"))).unwrap();
        within += usize::from(String::from_utf8_lossy(&state).contains("begun"));
        let (_, said) = common::run(&scratch, &tune(&out, &["--resume"]));
        assert!(said.contains("continuing after epoch"), "{said}");
        assert_eq!(scratch.weights(&out), scratch.weights("whole"));
        let results = |out: &str| scratch.read(&format!("{out}/results.json"));
        assert_eq!(results(&out), results("whole"));
    }
    assert!(within > 0);
}

#[test]
fn a_signal_stops_a_comparison_with_all_its_processes() {
    let scratch = Scratch::new();
    common::run(&scratch, &compare("whole"));
    let child = start(&scratch, &compare("out"));
    scratch.wait_for_cell("out", |name| name.ends_with(".state"));
    signal(&child, "-INT");
    let output = stopped(child);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("run the same command again to continue"),
        "{said}"
    );
    let cells = scratch.path("out/cells").display().to_string();
    assert_eq!(processes(&["compare-pass", &cells]), 0);
    let left = scratch.list("out/cells");
    assert!(
        !left.iter().any(|name| name.contains(".lease.")),
        "{left:?}"
    );
    common::run(&scratch, &compare("out"));
    assert_eq!(scratch.tables("out"), scratch.tables("whole"));
    // What was whole was used.
    let cells = scratch.list("out/cells");
    assert!(
        !cells.iter().any(|name| name.ends_with(".damaged")),
        "{cells:?}"
    );
}

/// Work that cannot be continued ends at once, and leaves nothing.
#[test]
fn a_signal_ends_what_cannot_be_continued() {
    let scratch = Scratch::new();
    let of = ["--epochs", "5000", "--out", "out"];
    let child = start(&scratch, &[&["rank"], &DATA[..], &of].concat());
    scratch.wait_for("out", 60);
    std::thread::sleep(Duration::from_millis(200));
    signal(&child, "-INT");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(!scratch.path("out").exists());
}

/// Files that are longer than so many blocks of 512 bytes cannot be written, as on a disk that is full after them.
fn with_limit(scratch: &Scratch, blocks: u32, args: &[&str]) -> Output {
    scratch.shell(&format!(
        "trap '' XFSZ; ulimit -f {blocks}; exec beft {}",
        args.join(" ")
    ))
}

#[test]
fn a_full_disk_is_told_of_and_nothing_is_half_written() {
    let scratch = Scratch::new();
    let short = ["--epochs", "2", "--lr", "0.01"];
    let tune = |out| {
        [
            &["tune", "--terms", "v"],
            &DATA[..],
            &short,
            &["--out", out],
        ]
        .concat()
    };
    let run = |out| [&["run"], &DATA[..], &short, &["--out", out]].concat();
    let compare = |out| {
        let of = [
            "--task",
            "text=data",
            "--mode",
            "v",
            "--mode",
            "all",
            "--out",
            out,
        ];
        [&["compare", "--model", "model"], &short[..], &of].concat()
    };
    let predictions = |out: &'static str| -> Vec<&str> {
        let of = [
            "--adapter",
            "whole-tune/adapter",
            "--data",
            "in.txt",
            "--out",
            out,
        ];
        [&["predict", "--model", "model"], &of[..]].concat()
    };
    scratch.write("in.txt", &"a good film\n".repeat(200));
    let mut told = 0;
    for (name, whole, args, resume) in [
        ("tune", tune("whole-tune"), tune("tune"), true),
        ("run", run("whole-run"), run("run"), true),
        (
            "compare",
            compare("whole-compare"),
            compare("compare"),
            false,
        ),
        (
            "predict",
            predictions("whole.tsv"),
            predictions("predict.tsv"),
            false,
        ),
    ] {
        common::run(&scratch, &whole);
        for blocks in [0, 1, 3, 8, 24, 64, 160] {
            let output = with_limit(&scratch, blocks, &args);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            if output.status.success() {
                continue;
            }
            told += 1;
            assert!(
                matches!(output.status.code(), Some(1 | 2)),
                "{name} {blocks}: {said}"
            );
            assert!(
                said.contains("File too large") && !said.contains("panicked"),
                "{name} {blocks}: {said}"
            );
            let left = scratch.path(name);
            let hidden = |path: &std::path::Path| -> Vec<String> {
                let entries = fs::read_dir(path).into_iter().flatten().flatten();
                let names = entries.map(|entry| entry.file_name().display().to_string());
                names.filter(|name| name.starts_with(".beft-")).collect()
            };
            assert_eq!(hidden(&left), [""; 0], "{name} {blocks}");
            let again = [&args[..], if resume { &["--resume"] } else { &[] }].concat();
            common::run(&scratch, &again);
            if resume {
                let mine = scratch.weights(name);
                assert_eq!(
                    mine,
                    scratch.weights(&format!("whole-{name}")),
                    "{name} {blocks}"
                );
                fs::remove_dir_all(&left).unwrap();
            } else if left.is_dir() {
                assert_eq!(
                    scratch.tables(name),
                    scratch.tables("whole-compare"),
                    "{blocks}"
                );
                fs::remove_dir_all(&left).unwrap();
            } else {
                assert_eq!(scratch.read("predict.tsv"), scratch.read("whole.tsv"));
                fs::remove_file(scratch.path("predict.tsv")).unwrap();
            }
        }
    }
    assert!(told > 12, "{told}");
}

/// How often each command is killed: by hand, `BEFT_KILLS=50`.
fn kills() -> usize {
    let asked = std::env::var("BEFT_KILLS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(4)
}

/// Kills a command again and again, each time at another moment of the time that it takes. When it ends by itself, it is
/// begun anew.
fn kill_often(scratch: &Scratch, first: &[&str], again: &[&str], out: &str, takes: Duration) {
    let mut draw = StdRng::seed_from_u64(takes.as_nanos() as u64);
    let (mut args, mut killed) = (first, 0);
    while killed < kills() {
        let mut child = scratch.start(args);
        std::thread::sleep(takes.mul_f64(draw.random_range(0.01..1.0)));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            fs::remove_dir_all(scratch.path(out)).unwrap();
            args = first;
        } else {
            killed += 1;
            args = again;
        }
    }
    common::run(scratch, again);
}

#[test]
fn kills_at_any_moment_change_no_byte() {
    let scratch = Scratch::new();
    common::run(&scratch, &tune("adapted", &[]));
    let run = |out: &'static str, more: &[&'static str]| -> Vec<&str> {
        let of = [
            "--epochs", "12", "--lr", "0.01", "--scorer", "beft", "--out", out,
        ];
        [&["run"], &DATA[..], &of, more].concat()
    };
    let sweep = |out: &'static str| -> Vec<&str> {
        let of = [
            "--model",
            "model",
            "--task",
            "text=data",
            "--mode",
            "v",
            "--lr",
            "0.01,0.02",
        ];
        [&["sweep"], &of[..], &["--epochs", "20", "--out", out]].concat()
    };
    let merge = |out: &'static str| -> Vec<&str> {
        vec![
            "merge",
            "--model",
            "model",
            "--adapter",
            "adapted/adapter",
            "--out",
            out,
        ]
    };
    for (whole, first, again) in [
        (
            tune("t", &[]),
            tune("tk", &["--resume"]),
            tune("tk", &["--resume"]),
        ),
        (
            run("r", &[]),
            run("rk", &["--resume"]),
            run("rk", &["--resume"]),
        ),
        (compare("c"), compare("ck"), compare("ck")),
        (sweep("s"), sweep("sk"), sweep("sk")),
        (merge("m"), merge("mk"), merge("mk")),
    ] {
        let began = Instant::now();
        common::run(&scratch, &whole);
        let takes = began.elapsed();
        let place = whole.iter().position(|arg| *arg == "--out").unwrap();
        let whole_out = whole[place + 1];
        let killed_out = format!("{whole_out}k");
        kill_often(&scratch, &first, &again, &killed_out, takes);
        // Leases' and processes' files of those that were killed may stay beside the results.
        let skipped = [".beft.lock", "lm-eval", ".damaged"];
        let of = |out: &str| -> Vec<(String, Vec<u8>)> {
            let files = scratch.files(out).into_iter();
            let kept = files.filter(|file| !skipped.iter().any(|skipped| file.contains(skipped)));
            let named = kept.map(|file| {
                let bytes = fs::read(scratch.path(&file)).unwrap();
                (file[out.len()..].to_owned(), bytes)
            });
            named.collect()
        };
        let (expected, found) = (of(whole_out), of(&killed_out));
        let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
            files.iter().map(|(name, _)| name.clone()).collect()
        };
        assert_eq!(names(&found), names(&expected));
        for ((name, mine), (_, theirs)) in expected.iter().zip(&found) {
            // A page has the command, and many words that have letters of the folder's name.
            let text = String::from_utf8_lossy(theirs);
            let text = match name.ends_with(".html") {
                true => text.replace(
                    &format!("--out {killed_out}"),
                    &format!("--out {whole_out}"),
                ),
                false => text.replace(&killed_out, whole_out),
            };
            assert!(
                mine == theirs || *mine == text.as_bytes(),
                "{name} of {whole_out} differs"
            );
        }
    }
}
