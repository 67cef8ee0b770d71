//! Comparisons that several processes share: parts, leases, kills, and what is refused.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::process::Child;
use std::time::{Duration, Instant};

use common::Scratch;

const ARGS: [&str; 22] = [
    "compare",
    "--model",
    "model",
    "--task",
    "text=data",
    "--mode",
    "frozen",
    "--mode",
    "q",
    "--mode",
    "k",
    "--mode",
    "v",
    "--mode",
    "lora-v",
    "--seeds",
    "0,1,2",
    "--epochs",
    "4",
    "--lr",
    "0.01",
    "--together=2",
];

fn args<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&ARGS[..], &["--out", out], more].concat()
}

fn output(scratch: &Scratch, args: &[&str], code: i32) -> (String, String) {
    let output = scratch.beft(args).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// The tables of a comparison that one process made.
fn alone(scratch: &Scratch) -> Vec<String> {
    output(scratch, &args("alone", &[]), 0);
    scratch.tables("alone")
}

#[test]
fn parts_make_the_whole() {
    let scratch = Scratch::new();
    let expected = alone(&scratch);
    // One in a folder of its own, two in a shared one.
    let mut finished = 0;
    for (shard, out) in [("1/3", "own"), ("2/3", "out"), ("3/3", "out")] {
        let (said, told) = output(&scratch, &args(out, &["--shard", shard]), 0);
        assert!(told.contains(&format!("Part {shard}: ")), "{told}");
        assert!(told.contains("of 15 trainings, about"), "{told}");
        assert!(said.contains("of 15 trainings are finished in"), "{said}");
        assert!(!scratch.path(&format!("{out}/compare.md")).exists());
        finished += scratch.cells(out).len();
    }
    let shared = scratch.cells("out").len();
    assert_eq!(scratch.cells("own").len() + shared, 15);
    assert!(finished > shared, "{finished}");
    // Something is missing.
    let (_, told) = output(&scratch, &args("out", &["--summarise-only"]), 2);
    assert_eq!(told.matches("missing: text low ").count(), 15 - shared);
    assert!(told.contains(&format!("{} of 15 trainings are missing", 15 - shared)));
    for file in scratch.cells("own") {
        let copied = scratch.path(&format!("out/cells/{file}"));
        fs::copy(scratch.path(&format!("own/cells/{file}")), copied).unwrap();
    }
    let (_, told) = output(&scratch, &args("out", &["--summarise-only"]), 0);
    assert!(!told.contains("missing"), "{told}");
    assert_eq!(scratch.tables("out"), expected);
    // The same command without a part fills what is missing.
    let (_, told) = output(&scratch, &args("own", &[]), 0);
    assert!(told.contains("were finished before"), "{told}");
    assert_eq!(scratch.tables("own"), expected);
}

#[test]
fn eight_processes_and_kills_lose_and_double_nothing() {
    let scratch = Scratch::new();
    let expected = alone(&scratch);
    let one = || scratch.start(&args("out", &["--shard", "1/1", "--jobs", "1"]));
    let mut children: Vec<Child> = (0..8).map(|_| one()).collect();
    let end = Instant::now() + Duration::from_secs(240);
    // Each time that something is finished one is killed, and another one comes.
    for round in 1..=4 {
        while scratch.path("out/cells").is_dir()
            && scratch.cells("out").len() < 2 * round
            && Instant::now() < end
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut child = children.remove(round % children.len());
        child.kill().unwrap();
        child.wait().unwrap();
        children.push(one());
    }
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(scratch.cells("out").len(), 15);
    output(&scratch, &args("out", &["--summarise-only"]), 0);
    // Of the killed ones nothing is left.
    let left = scratch.list("out/cells");
    assert_eq!(left.len(), 15 + 1, "{left:?}");
    assert_eq!(scratch.tables("out"), expected);
}

/// A part that is finished does what a killed one left, and not what nobody began in its folder.
#[test]
fn a_finished_part_helps_those_that_were_begun() {
    let scratch = Scratch::new();
    let expected = alone(&scratch);
    let mut second = scratch.start(&args("out", &["--shard", "2/3", "--jobs", "1"]));
    scratch.wait_for_cell("out", |name| {
        name.ends_with(".state") || name.contains(".lease.")
    });
    second.kill().unwrap();
    second.wait().unwrap();
    let (said, told) = output(&scratch, &args("out", &["--shard", "1/3"]), 0);
    assert!(told.contains("helping part 2/3"), "{told}");
    assert!(!told.contains("part 3/3"), "{told}");
    let done = scratch.cells("out").len();
    assert!(
        said.contains(&format!("{done} of 15")) && done < 15,
        "{said}"
    );
    assert!(told.contains(&format!("[{done}/{done}] ")), "{told}");
    let (_, told) = output(&scratch, &args("out", &["--shard", "3/3"]), 0);
    assert!(!told.contains("helping"), "{told}");
    output(&scratch, &args("out", &["--summarise-only"]), 0);
    assert_eq!(scratch.tables("out"), expected);
}

#[test]
fn schedulers_give_the_part() {
    let scratch = Scratch::new();
    let said = |variables: &[(&str, &str)], more: &[&str], code: i32| {
        let output = scratch
            .beft(&args("out", more))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let slurm = [
        ("SLURM_ARRAY_TASK_ID", "5"),
        ("SLURM_ARRAY_TASK_MIN", "4"),
        ("SLURM_ARRAY_TASK_COUNT", "8"),
    ];
    let told = said(&slurm, &[], 0);
    assert!(
        told.starts_with("SLURM_ARRAY_TASK_ID is set: this is part 2/8 "),
        "{told}"
    );
    let kubernetes = [("JOB_COMPLETION_INDEX", "7"), ("JOB_COMPLETIONS", "8")];
    let told = said(&kubernetes, &[], 0);
    assert!(told.contains("this is part 8/8"), "{told}");
    // The option comes first, and tables are not a part's.
    let told = said(&kubernetes, &["--shard", "2/8"], 0);
    assert!(told.starts_with("Part 2/8"), "{told}");
    said(&kubernetes, &["--summarise-only"], 2);
    let told = said(&kubernetes[..1], &[], 2);
    assert!(
        told.contains("JOB_COMPLETIONS is not") && told.contains("--shard"),
        "{told}"
    );
}

#[test]
fn a_damaged_result_is_trained_anew() {
    let scratch = Scratch::new();
    let expected = alone(&scratch);
    let files = scratch.cells("alone");
    scratch.write(&format!("alone/cells/{}", files[0]), "{");
    // One that another one was copied over.
    let copied = scratch.read(&format!("alone/cells/{}", files[1]));
    scratch.write(&format!("alone/cells/{}", files[2]), &copied);
    let (_, told) = output(&scratch, &args("alone", &["--summarise-only"]), 2);
    assert_eq!(told.matches("note: a damaged result").count(), 2, "{told}");
    assert!(told.contains("2 of 15 trainings are missing"), "{told}");
    let (_, told) = output(&scratch, &args("alone", &[]), 0);
    assert!(
        told.contains("13 of 15 trainings were finished before"),
        "{told}"
    );
    assert_eq!(scratch.tables("alone"), expected);
    assert!(
        scratch
            .list("alone/cells")
            .iter()
            .any(|name| name.ends_with(".damaged"))
    );
}

/// The machine has no part in it: neither its cores nor the number of parts.
#[test]
fn parts_of_few_trainings_give_the_same_bytes() {
    let scratch = Scratch::new();
    let few = [
        "--model",
        "model",
        "--task",
        "text=data",
        "--mode",
        "v",
        "--mode",
        "full",
        "--epochs",
        "2",
    ];
    let of = |out: &'static str, more: &[&'static str]| -> Vec<&str> {
        [
            &["compare", "--together", "1", "--out", out],
            &few[..],
            more,
        ]
        .concat()
    };
    output(&scratch, &of("alone", &[]), 0);
    for part in ["1/3", "2/3", "3/3"] {
        let (_, told) = output(&scratch, &of("out", &["--shard", part]), 0);
        if part == "3/3" {
            assert!(
                told.contains("0 of 2 trainings, about 0.000 % of the work"),
                "{told}"
            );
            assert!(
                told.contains("fewer groups of trainings than parts"),
                "{told}"
            );
        }
    }
    output(&scratch, &of("out", &["--summarise-only"]), 0);
    assert_eq!(scratch.tables("out"), scratch.tables("alone"));
}

#[test]
fn parts_of_another_comparison_are_refused_by_name() {
    let scratch = Scratch::new();
    output(&scratch, &args("out", &["--shard", "1/4"]), 0);
    let before = scratch.cells("out");
    let refused = |more: &[&str], reason: &str| {
        for what in [&["--shard", "2/4"][..], &["--summarise-only"]] {
            let changed: Vec<&str> = ARGS
                .iter()
                .copied()
                .filter(|a| *a != "--together=2")
                .collect();
            let all = [&changed[..], &["--out", "out"], more, what].concat();
            let (_, told) = output(&scratch, &all, 2);
            assert!(
                told.contains("plan.json is of another comparison"),
                "{told}"
            );
            assert!(told.contains(reason) && told.contains("--out"), "{told}");
        }
    };
    refused(&["--batch-size", "5"], "batch_size is 16 there, 5 here");
    refused(&["--mode", "ln1"], "it has 15 trainings, this one 18");
    let dev = scratch.read("data/dev.tsv");
    scratch.write("data/dev.tsv", &dev.replacen("good", "bad", 1));
    refused(&[], "the examples are others");
    assert_eq!(scratch.cells("out"), before);
    // A whole comparison trains them anew, and says so.
    let (_, told) = output(&scratch, &args("out", &[]), 0);
    assert!(
        told.contains("is not used, because it is of another training: text low"),
        "{told}"
    );
    assert!(told.contains("the examples are others"), "{told}");
    let together = args("out", &["--shard", "1/4", "--together", "3"]);
    let (_, told) = output(&scratch, &together, 2);
    assert!(
        told.contains("up to 2 train together there, 3 here"),
        "{told}"
    );
    scratch.write("out/cells/plan.json", "{");
    let (_, told) = output(&scratch, &args("out", &["--shard", "1/4"]), 2);
    assert!(told.contains("plan.json is damaged"), "{told}");
}
