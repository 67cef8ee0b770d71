//! Going on with trainings: only with the same settings, and not with finished ones.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::time::SystemTime;

use common::{Scratch, refusal};

const TUNE: [&str; 13] = [
    "tune", "--model", "model", "--task", "text", "--data", "data", "--epochs", "200", "--lr",
    "0.01", "--out", "out",
];

/// Starts a command and kills it when its state is there.
fn interrupt(scratch: &Scratch, args: &[&str], state: &str) {
    let mut child = scratch.start(args);
    scratch.wait_for(state, 120);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        scratch.path(state).exists() && !scratch.path("out/results.json").exists(),
        "not interrupted"
    );
}

/// Every option that changes the result, one at a time.
#[test]
fn other_settings_are_refused_by_name() {
    let scratch = Scratch::new();
    for (mode, options) in [
        (
            "lora-v",
            &[
                (
                    ["--lora-alpha", "32"],
                    "lora_alpha is 32, the interrupted training has 16: give --lora-alpha 16, or leave out --resume",
                ),
                (
                    ["--lora-rank", "4"],
                    "lora_rank is 4, the interrupted training has 8: give --lora-rank 8,",
                ),
                (
                    ["--dropout", "off"],
                    "dropout is off, the interrupted training has on: give --dropout config,",
                ),
                (
                    ["--micro-batch", "4"],
                    "micro_batch is 4, the interrupted training has not given: give no --micro-batch,",
                ),
                (
                    ["--without", "packing"],
                    "without is packing, the interrupted training has not given: give no --without,",
                ),
                (
                    ["--seed", "1"],
                    "seed is 1, the interrupted training has 0: give --seed 0,",
                ),
                (
                    ["--train-size", "9"],
                    "train_size is 9, the interrupted training has 24: give --train-size 24,",
                ),
                (
                    ["--limit", "5"],
                    "dev_size is 5, the interrupted training has 9: give --limit 9,",
                ),
                (
                    ["--evaluate", "last"],
                    "evaluate is last, the interrupted training has not given: give no --evaluate,",
                ),
                (
                    ["--keep", "best"],
                    "keep is best, the interrupted training has last: give --keep last,",
                ),
                (
                    ["--epochs", "201"],
                    "epochs is 201, the interrupted training has 200: give --epochs 200,",
                ),
                (
                    ["--terms", "v"],
                    "terms is v, the interrupted training has lora-v: give --terms lora-v,",
                ),
            ][..],
        ),
        (
            "random",
            &[(
                ["--random-entries", "50"],
                "random_entries is 50, the interrupted training has not given: give no --random-entries,",
            )][..],
        ),
    ] {
        let _ = fs::remove_dir_all(scratch.path("out"));
        let args = [&TUNE[..], &["--terms", mode]].concat();
        interrupt(&scratch, &args, "out/state");
        let state = fs::read(scratch.path("out/state")).unwrap();
        for (option, said) in options {
            let text = refusal(&scratch, &[&args[..], &["--resume"], option].concat());
            assert!(
                text.contains("out/state: ") && text.contains(said),
                "{text}"
            );
            assert_eq!(text.matches(" is ").count(), 1, "{text}");
        }
        // Several at once are all named.
        let two = ["--resume", "--lr", "0.02", "--batch-size", "8"];
        let text = refusal(&scratch, &[&args[..], &two].concat());
        let said = "give --batch-size 16 and --lr 0.01, or leave out";
        assert!(text.contains(said), "{text}");
        assert_eq!(fs::read(scratch.path("out/state")).unwrap(), state);
    }
    // Other files under the same names.
    let args = [&TUNE[..], &["--terms", "random", "--resume"]].concat();
    let dev = scratch.read("data/dev.tsv");
    scratch.write("data/dev.tsv", &dev.replacen("good", "bad", 1));
    let text = refusal(&scratch, &args);
    assert!(text.contains("the examples are not those"), "{text}");
    scratch.write("data/dev.tsv", &dev);
    let config = scratch.read("model/config.json");
    scratch.write("model/config.json", &config.replace("0.1", "0.2"));
    let text = refusal(&scratch, &args);
    assert!(text.contains("the model's files are not those"), "{text}");
    scratch.write("model/config.json", &config);
    // That something is computed anew changes nothing.
    let unused = [&args[..], &["--gradient-checkpointing"]].concat();
    scratch.beft(&unused).assert().success();
}

/// Names and times of all files below a folder.
fn files(scratch: &Scratch, folder: &str) -> Vec<(String, SystemTime)> {
    let time = |path: String| {
        let time = fs::metadata(scratch.path(&path)).unwrap().modified();
        (path, time.unwrap())
    };
    scratch.files(folder).into_iter().map(time).collect()
}

#[test]
fn a_finished_training_is_not_trained_again() {
    let scratch = Scratch::new();
    let tune = [
        "tune", "--model", "model", "--task", "text", "--data", "data", "--epochs", "3", "--keep",
        "best",
    ];
    let run = [
        "run",
        "--model",
        "model",
        "--task",
        "text",
        "--data",
        "data",
        "--epochs",
        "2",
        "--scorer",
        "magnitude,beft,fisher",
    ];
    for (args, out, other, said) in [
        (
            &tune[..],
            "tuned",
            ["--lr", "0.5"],
            "learning_rate is 0.5, the finished training has ",
        ),
        (
            &run[..],
            "ran",
            ["--terms", "q,v"],
            "terms is q,v, the finished training has q,k,v: give --terms q,k,v,",
        ),
        (
            &run[..],
            "ran",
            ["--scorer", "beft"],
            "scorer is beft, the finished training has beft,magnitude,fisher: give --scorer beft,magnitude,fisher,",
        ),
    ] {
        let args = [args, &["--out", out]].concat();
        let output = scratch.beft(&args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let before = files(&scratch, out);

        let again = [&args[..], &["--resume"]].concat();
        let resumed = scratch.beft(&again).output().unwrap();
        assert!(resumed.status.success(), "{resumed:?}");
        let text = String::from_utf8(resumed.stderr).unwrap();
        assert!(
            text.contains("is finished") && !text.contains("epoch"),
            "{text}"
        );
        assert_eq!(
            String::from_utf8(resumed.stdout).unwrap(),
            String::from_utf8(output.stdout).unwrap()
        );
        let text = refusal(&scratch, &[&again[..], &other].concat());
        assert!(
            text.contains(&format!("{out}/results.json: ")) && text.contains(said),
            "{text}"
        );
        assert_eq!(files(&scratch, out), before);
        // Where the result is gone there is something to do.
        fs::remove_dir_all(scratch.path(out).join("adapter")).unwrap();
        scratch.beft(&again).assert().success();
        assert!(scratch.path(out).join("adapter").is_dir());
        fs::remove_dir_all(scratch.path(out)).unwrap();
    }
}

/// What decides an adapter's values stands beside them.
#[test]
fn an_adapter_says_how_it_was_trained() {
    let scratch = Scratch::new();
    let args = [
        "--terms",
        "lora-v",
        "--lora-alpha",
        "32",
        "--lora-rank",
        "2",
        "--micro-batch",
        "4",
    ];
    scratch.tune(&args).assert().success();
    let facts: serde_json::Value =
        serde_json::from_str(&scratch.read("out/adapter/beft.json")).unwrap();
    assert_eq!(facts["lora_alpha"], 32.0, "{facts}");
    assert_eq!(facts["lora_rank"], 2);
    assert_eq!(facts["micro_batch"], 4);
    assert!(facts.get("dropout").is_none() && facts.get("device").is_none());
}
