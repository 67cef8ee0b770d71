//! What the command says, and how: results for programs, silence, the log, colours, completions and manual pages.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{DATA, Scratch, run};
use serde_json::Value;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn results_are_printed_as_json() {
    let scratch = Scratch::new();
    let of = |command: &'static str, out: &'static str| -> Vec<&str> {
        [
            &[command],
            &DATA[..],
            &["--epochs", "1", "--json", "--out", out],
        ]
        .concat()
    };
    for (command, file) in [
        ("tune", "results.json"),
        ("run", "results.json"),
        ("rank", "ranking.json"),
    ] {
        let (said, _) = run(&scratch, &of(command, command));
        assert_eq!(
            parsed(&said),
            parsed(&scratch.read(&format!("{command}/{file}")))
        );
    }
    let trials = [
        "--model",
        "model",
        "--task",
        "text=data",
        "--mode",
        "v",
        "--epochs",
        "1",
        "--json",
        "--out",
    ];
    let (said, _) = run(
        &scratch,
        &[&["compare"], &trials[..], &["compared"]].concat(),
    );
    assert_eq!(
        parsed(&said),
        parsed(&scratch.read("compared/compare.json"))
    );
    let swept = [&["sweep", "--lr", "0.01,0.02"], &trials[..], &["swept"]].concat();
    let (said, _) = run(&scratch, &swept);
    assert_eq!(parsed(&said), parsed(&scratch.read("swept/sweep.json")));
    let (said, _) = run(&scratch, &["plan", "--model", "model", "--json"]);
    let plan = parsed(&said);
    assert!(plan["total"].as_u64() > plan["weights"].as_u64(), "{plan}");
    let (said, _) = run(&scratch, &["devices", "--json"]);
    assert_eq!(parsed(&said)[0]["device"], "flex");
}

#[test]
fn options_that_do_nothing_are_errors() {
    let scratch = Scratch::new();
    for (mode, option) in [
        ("v", ["--lora-rank", "4"]),
        ("full", ["--lora-alpha", "4"]),
        ("lora-v", ["--random-entries", "4"]),
        ("random-lines", ["--lora-rank", "8"]),
    ] {
        let more = [&["--terms", mode][..], &option].concat();
        let said = common::message(&scratch, &more);
        let expected = format!("{} is for the mode ", option[0]);
        assert!(
            said.contains(&expected) && said.contains(&format!("nothing for {mode}")),
            "{said}"
        );
    }
}

#[test]
fn quiet_and_verbose() {
    let scratch = Scratch::new();
    let args = [&["tune"], &DATA[..], &["--epochs", "1", "--out", "out"]].concat();
    let (_, said) = run(&scratch, &[&args[..], &["--quiet"]].concat());
    assert_eq!(said, "");
    let (_, said) = run(&scratch, &[&args[..], &["-v"]].concat());
    assert!(said.contains("DEBUG beft::base: opened"), "{said}");
    let output = scratch
        .beft(&args)
        .env("RUST_LOG", "beft::base=debug")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("reading the weights") && !said.contains('\u{1b}'),
        "{said}"
    );
    let output = scratch
        .beft(&args)
        .env("RUST_LOG", "beft=loud")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("RUST_LOG is `beft=loud`"));
    // An error is told all the same, in a colour where that is wanted.
    let wrong = ["inspect", "nowhere", "--quiet", "--color", "always"];
    let said = common::refusal(&scratch, &wrong);
    assert!(said.starts_with("\u{1b}[1;31merror:\u{1b}[0m "), "{said}");
    // So are help and mistakes.
    let coloured = |args: &[&str]| {
        let output = scratch.beft(args).output().unwrap();
        let all = [output.stdout, output.stderr].concat();
        String::from_utf8(all).unwrap().contains('\u{1b}')
    };
    for (args, wanted) in [
        (&["--color", "always", "--help"][..], true),
        (&["tune", "--help", "--color=always"], true),
        (&["tune", "--terns", "v", "--color", "always"], true),
        (&["tune", "--terns", "v"], false),
        (&["--color", "always", "--color", "never", "--help"], false),
    ] {
        assert_eq!(coloured(args), wanted, "{args:?}");
    }
}

#[test]
fn what_a_package_installs() {
    let scratch = Scratch::new();
    let (said, _) = run(&scratch, &["--version"]);
    assert!(
        said.contains(env!("CARGO_PKG_VERSION")) && said.contains("backends: flex"),
        "{said}"
    );
    for (shell, part) in [
        ("bash", "complete -F _beft"),
        ("zsh", "#compdef beft"),
        ("fish", "complete -c beft"),
    ] {
        let (said, _) = run(&scratch, &["completions", shell]);
        assert!(said.contains(part) && said.contains("lora-rank"), "{said}");
    }
    run(&scratch, &["man", "--out", "man"]);
    let pages = scratch.list("man");
    assert!(
        pages.contains(&"beft.1".to_owned()) && pages.contains(&"beft-tune.1".to_owned()),
        "{pages:?}"
    );
    assert!(!pages.contains(&"beft-compare-pass.1".to_owned()));
    let page = scratch.read("man/beft-tune.1");
    assert!(
        page.contains(".TH beft-tune 1") && page.contains("lora\\-rank"),
        "{page}"
    );
}

/// An adapter is of a base with the same weights, the same config.json and the same tokenizer, and computes in the precision
/// in which it was trained.
#[test]
fn an_adapter_knows_its_base() {
    let scratch = Scratch::new();
    let args = [
        &["tune"],
        &DATA[..],
        &["--epochs", "1", "--precision", "bf16", "--out", "out"],
    ]
    .concat();
    run(&scratch, &args);
    let eval = |more: &[&'static str]| -> Vec<&str> {
        [
            &[
                "eval",
                "--adapter",
                "out/adapter",
                "--data",
                "data",
                "--json",
            ],
            more,
        ]
        .concat()
    };
    let (as_trained, _) = run(&scratch, &eval(&[]));
    let (bf16, _) = run(&scratch, &eval(&["--precision", "bf16"]));
    let (f32, _) = run(&scratch, &eval(&["--precision", "f32"]));
    assert_eq!(as_trained, bf16);
    assert_ne!(as_trained, f32);

    // What another program adds or writes otherwise changes nothing.
    let config = scratch.read("model/config.json");
    let mut keys: Value = serde_json::from_str(&config).unwrap();
    keys["transformers_version"] = "99".into();
    keys["id2label"] = serde_json::json!({"0": "x", "1": "y", "2": "z"});
    scratch.write("model/config.json", &keys.to_string());
    run(&scratch, &eval(&[]));
    keys["layer_norm_eps"] = 1e-5.into();
    scratch.write("model/config.json", &keys.to_string());
    let said = common::refusal(&scratch, &eval(&[]));
    assert!(
        said.contains("`layer_norm_eps` was 1e-12") && said.contains("has 0.00001"),
        "{said}"
    );
    assert!(said.contains("give that model with --model"), "{said}");
    scratch.write("model/config.json", &config);
    let tokenizer = scratch.read("model/tokenizer.json");
    let changed = tokenizer.replacen("\"lowercase\": true", "\"lowercase\": false", 1);
    assert_ne!(changed, tokenizer);
    fs::write(scratch.path("model/tokenizer.json"), changed).unwrap();
    let (_, said) = run(&scratch, &eval(&[]));
    assert!(said.contains("is not the one of training"), "{said}");
}
