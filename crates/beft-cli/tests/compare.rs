//! Comparisons: what they write, that they go on where they were, and that nothing is run twice.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::{COMPARE, Scratch, is_cell, refused};
use serde_json::Value;

const ARGS: [&str; 20] = [
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
    "v",
    "--mode",
    "all",
    "--mode",
    "lora-v",
    "--seeds",
    "0,1",
    "--epochs",
    "3",
    "--out",
];

fn args(out: &'static str) -> Vec<&'static str> {
    [&ARGS[..], &[out, "--lr", "0.01"]].concat()
}

#[test]
fn a_comparison_is_written_in_every_form() {
    let scratch = Scratch::new();
    let all = [&args("out")[..], &["--log-samples"]].concat();
    let output = scratch.beft(&all).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("McNemar") && text.contains("fisher"),
        "{text}"
    );

    // 5 modes x 2 seeds.
    assert_eq!(scratch.cells("out").len(), 10);
    // Beside them is the plan, and nothing that is needed while they are trained.
    assert_eq!(scratch.list("out/cells").len(), 10 + 1);
    assert_eq!(scratch.read("out/compare.csv").lines().count(), 1 + 10);
    let compare: Value = serde_json::from_str(&scratch.read("out/compare.json")).unwrap();
    let group = &compare["groups"][0];
    assert_eq!(group["modes"].as_array().unwrap().len(), 5);
    assert_eq!(group["pairs"].as_array().unwrap().len(), 10);
    assert_eq!(group["picks"].as_array().unwrap().len(), 9);
    // The mean of the cells is the table's.
    let cells: Vec<Value> = scratch
        .cells("out")
        .iter()
        .map(|file| serde_json::from_str(&scratch.read(&format!("out/cells/{file}"))).unwrap())
        .collect();
    let of_v: Vec<f64> = cells
        .iter()
        .filter(|cell| cell["cell"]["mode"] == "v")
        .map(|cell| cell["metrics"]["accuracy"].as_f64().unwrap())
        .collect();
    assert_eq!(of_v.len(), 2);
    let row = group["modes"].as_array().unwrap();
    let row = row.iter().find(|mode| mode["mode"] == "v").unwrap();
    let mean = row["mean_and_std"]["accuracy"][0].as_f64().unwrap();
    assert!((mean - (of_v[0] + of_v[1]) / 2.0).abs() < 1e-12);

    let folder = "out/lm-eval/model_text_low/v";
    let files = scratch.list(folder);
    let results = files
        .iter()
        .find(|name| name.starts_with("results_"))
        .unwrap();
    let results: Value =
        serde_json::from_str(&scratch.read(&format!("{folder}/{results}"))).unwrap();
    assert_eq!(
        results["results"]["text"]["acc,none"].as_f64().unwrap(),
        mean
    );
    assert!(results["results"]["text"]["acc_stderr,none"].is_number());
    let samples = files
        .iter()
        .find(|name| name.starts_with("samples_text_"))
        .unwrap();
    let samples = scratch.read(&format!("{folder}/{samples}"));
    assert_eq!(samples.lines().count(), 2 * 9);
    let sample: Value = serde_json::from_str(samples.lines().next().unwrap()).unwrap();
    assert_eq!(sample["target"], "a");
    for picture in [
        "curves_model_text_low.svg",
        "heatmap_model_text_low_beft.svg",
    ] {
        assert!(scratch.read(&format!("out/{picture}")).contains("</svg>"));
    }

    // A cell is what `tune` gives for the same settings.
    for mode in ["v", "frozen"] {
        let tune = [
            "--terms", mode, "--lr", "0.01", "--epochs", "3", "--seed", "1",
        ];
        scratch.tune(&tune).assert().success();
        let tuned: Value = serde_json::from_str(&scratch.read("out/results.json")).unwrap();
        let cell = cells
            .iter()
            .find(|cell| cell["cell"]["mode"] == mode && cell["cell"]["seed"] == 1)
            .unwrap();
        // To rounding: it shared a pass with others, on one thread.
        let epochs = |value: &Value| value["epochs"].as_array().unwrap().clone();
        let (cell, tuned) = (epochs(cell), epochs(&tuned["modes"][0]));
        assert_eq!(cell.len(), tuned.len());
        for (cell, tuned) in cell.iter().zip(&tuned) {
            assert_eq!(cell["metrics"], tuned["metrics"]);
            let loss = |epoch: &Value| epoch["train_loss"].as_f64().unwrap();
            assert!((loss(cell) - loss(tuned)).abs() < 1e-5);
        }
    }
}

/// Killed and started again it goes on; finished cells are not run again, unless what they read
/// changed.
#[test]
fn a_killed_comparison_goes_on() {
    let scratch = Scratch::new();
    // Small passes that take a while: it is killed between two of them.
    let slow = ["--together", "2", "--jobs", "1", "--epochs", "20"];
    let args = [&args("out")[..], &slow].concat();
    let mut child = scratch.start(&args);
    let finished = || -> Vec<(String, std::time::SystemTime)> {
        let Ok(entries) = fs::read_dir(scratch.path("out/cells")) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap())
            .filter(|entry| is_cell(&entry.file_name().to_string_lossy()))
            .map(|entry| {
                let time = entry.metadata().unwrap().modified().unwrap();
                (entry.file_name().into_string().unwrap(), time)
            })
            .collect();
        names.sort();
        names
    };
    let begin = Instant::now();
    while finished().len() < 2 && begin.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = finished();
    assert!((2..10).contains(&before.len()), "{}", before.len());

    scratch.beft(&args).assert().success();
    let after = finished();
    assert_eq!(after.len(), 10);
    assert!(before.iter().all(|cell| after.contains(cell)), "rerun");
    let output = scratch.beft(&args).output().unwrap();
    assert!(output.status.success());
    assert_eq!(finished(), after, "a finished comparison runs nothing");

    // Other dev examples are other cells.
    let dev = scratch.read("data/dev.tsv");
    scratch.write("data/dev.tsv", &dev.replacen("good", "bad", 1));
    scratch.beft(&args).assert().success();
    assert_eq!(finished().len(), 20);
}

#[test]
fn what_cannot_be_compared_is_said_before_anything_runs() {
    let scratch = Scratch::new();
    let says = |args: &[&str], part: &str| {
        let all = [&["compare"], args, &["--out", "out"]].concat();
        let output = scratch.beft(&all).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(part), "{text}");
    };
    let plain = ["--model", "model", "--task", "text=data"];
    says(&[&plain[..], &["--mode", "bitfit"]].concat(), "bitfit");
    says(&[&plain[..], &["--scorer", "taylor"]].concat(), "taylor");
    says(&["--model", "model", "--task", "sst9=data"], "sst9");
    says(&["--model", "nowhere", "--task", "text=data"], "nowhere");
    scratch.write(
        "c.toml",
        "models = [\"model\"]\nmodes = [\"v\"]\ntask = 3\n",
    );
    says(&["--file", "c.toml"], "c.toml");
    scratch.write(
        "c.toml",
        "models = [\"model\"]\nmodes = [\"v\"]\n[[tasks]]\ntask = \"text\"\ndata = \"data\"\n[mode.full]\nlr = 1e-5\n",
    );
    says(&["--file", "c.toml"], "not among the modes");
    assert!(!scratch.path("out/compare.md").exists());

    // And a file that is right.
    scratch.write(
        "c.toml",
        "models = [\"model\"]\nmodes = [\"v\", \"full\"]\nepochs = 1\n[[tasks]]\ntask = \"text\"\ndata = \"data\"\n[mode.full]\nlr = 1e-5\nepochs = 2\n",
    );
    scratch
        .beft(&["compare", "--file", "c.toml", "--out", "out"])
        .assert()
        .success();
    let csv = scratch.read("out/compare.csv");
    assert!(csv.contains(",full,0.00001,0,"), "{csv}");
}

#[test]
fn a_sweep_finds_the_best_learning_rate() {
    let scratch = Scratch::new();
    let sweep = [
        "sweep",
        "--model",
        "model",
        "--task",
        "text=data",
        "--mode",
        "q",
        "--mode",
        "v",
        "--mode",
        "full",
        "--lr",
        "1e-9,0.01",
        "--seeds",
        "0,1",
        "--epochs",
        "30",
        "--out",
        "out",
    ];
    scratch.beft(&sweep).assert().success();
    // 3 modes x 2 rates x 2 seeds.
    assert_eq!(scratch.cells("out").len(), 12);
    let table = scratch.read("out/sweep.csv");
    assert_eq!(table.lines().count(), 1 + 12);
    let record: Value = serde_json::from_str(&scratch.read("out/sweep.json")).unwrap();
    let modes = record["sweeps"][0]["modes"].as_array().unwrap();
    assert_eq!(modes.len(), 3);
    for mode in modes {
        let name = mode["mode"].as_str().unwrap();
        // The best is the best by the mean of the rows of the table.
        let mean = |rate: &str| {
            let rows = table
                .lines()
                .map(|line| line.split(',').collect::<Vec<_>>());
            let mine = rows.filter(|row| row[3] == name && row[4] == rate);
            let values: Vec<f64> = mine.map(|row| row[8].parse().unwrap()).collect();
            assert_eq!(values.len(), 2, "{name} {rate}");
            values.iter().sum::<f64>() / 2.0
        };
        let (low, high) = (mean("0.000000001"), mean("0.01"));
        let best = if high > low { 0.01 } else { 1e-9 };
        assert_eq!(mode["best_lr"].as_f64().unwrap(), best, "{name}");
        let report = scratch.read("out/sweep.md");
        assert!(report.contains(&format!("`{name}`")));
        // Of two rates the better one is at the edge, unless both are as good.
        let advice = format!("`{name}` is best with {best:e}, at the edge");
        assert_eq!(report.contains(&advice), high != low, "{report}");
    }
    let page = scratch.read("out/sweep.html");
    assert!(page.contains("by learning rate") && page.contains("<svg"));
    assert!(
        scratch
            .read("out/rates_model_text_low.svg")
            .contains("1e-9")
    );
    // The rates make a difference, or nothing above says anything.
    assert!(
        modes.iter().any(|mode| mode["best_lr"] == 0.01),
        "{modes:?}"
    );

    // It can be widened: what is there is not trained again.
    let wider = [&sweep[..], &["--lr", "0.02"]].concat();
    let output = scratch.beft(&wider).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("12 of 18 trainings were finished before"),
        "{said}"
    );
    // All biases are trained too, and not scored.
    let all = [
        "--mode", "all", "--lr", "0.01", "--epochs", "1", "--out", "all",
    ];
    let all = [&COMPARE[1..], &all].concat();
    scratch
        .beft(&[&["sweep"], &all[..]].concat())
        .assert()
        .success();
    assert!(scratch.read("all/sweep.csv").contains(",all,"));
    for (more, part) in [
        (&["--lr", "0"][..], "--lr"),
        (&["--lr", "0.02,2e-2"], "learning rates name 0.02 twice"),
    ] {
        refused(&scratch, &[&sweep[..], more].concat(), part);
    }
}

/// The same comparison again writes nothing that is there, and a smaller one leaves no pictures of what it has not.
#[test]
fn nothing_stale_is_left() {
    let scratch = Scratch::new();
    let of = |scorers: &'static str| -> Vec<&str> {
        let mut args = vec![
            "compare",
            "--model",
            "model",
            "--task",
            "text=data",
            "--mode",
            "v",
            "--mode",
        ];
        args.extend([
            "all", "--epochs", "2", "--lr", "0.01", "--out", "out", "--scorer", scorers,
        ]);
        args
    };
    scratch.beft(&of("beft,random")).assert().success();
    let results = |mode: &str| scratch.list(&format!("out/lm-eval/model_text_low/{mode}"));
    let before = (results("v"), results("all"), scratch.list("out"));
    // Of a mode that is no longer compared, and a file of the user's.
    scratch.write("out/lm-eval/model_text_low/q/results_1.json", "{}");
    scratch.write("out/lm-eval/model_text_low/k/results_1.json", "{}");
    scratch.write("out/lm-eval/model_text_low/k/mine.txt", "");
    let svg = scratch.read("out/heatmap_model_text_low_random.svg");
    assert!(!svg.contains("recommended"), "{svg}");
    assert!(
        scratch
            .read("out/heatmap_model_text_low_beft.svg")
            .contains("recommended")
    );
    std::thread::sleep(Duration::from_millis(1100));
    scratch.beft(&of("beft,random")).assert().success();
    assert_eq!((results("v"), results("all"), scratch.list("out")), before);
    assert_eq!(
        scratch.list("out/lm-eval/model_text_low"),
        ["all", "k", "v"]
    );
    assert_eq!(results("k"), ["mine.txt"]);
    scratch.beft(&of("beft")).assert().success();
    assert!(
        !scratch
            .list("out")
            .contains(&"heatmap_model_text_low_random.svg".to_owned())
    );
    let left = scratch.list("out/cells");
    assert!(
        !left
            .iter()
            .any(|name| name.ends_with(".pass") || name.ends_with(".log")),
        "{left:?}"
    );
}
