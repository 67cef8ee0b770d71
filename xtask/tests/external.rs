//! Single crates from other programs: a crate outside this workspace compiles and runs with them.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The top of this repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Where this test was built.
fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let debug = program.parent().unwrap().parent().unwrap();
    debug.parent().unwrap().to_owned()
}

/// Makes a crate with these dependencies (lines of Cargo.toml) and this `main.rs` in a temporary
/// folder, gives it to a cargo command and returns what that printed.
fn cargo(command: &str, name: &str, dependencies: &str, main: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let crates = root().join("crates");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{}",
        dependencies.replace("CRATES", &crates.display().to_string())
    );
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("Cargo.toml"), manifest).unwrap();
    fs::write(dir.path().join("src/main.rs"), main).unwrap();
    // The versions that this workspace is tested with.
    fs::copy(root().join("Cargo.lock"), dir.path().join("Cargo.lock")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args([command, "--quiet"])
        // The profile of this workspace: most of what is compiled is what the lints and the documentation need, too.
        .arg("--config")
        .arg(root().join("Cargo.toml"))
        .current_dir(dir.path())
        .env("CARGO_TARGET_DIR", target())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn scores_alone_need_no_tensor_library() {
    let printed = cargo(
        "run",
        "uses-scores",
        "beft-core = { path = \"CRATES/beft-core\" }\nbeft-score = { path = \"CRATES/beft-score\" }",
        r#"
use beft_core::{BiasSite, BiasSnapshot, BiasTerm};
use beft_score::{Beft, Scorer};

fn main() {
    let site = BiasSite::new(0, BiasTerm::V);
    let before = BiasSnapshot::from_iter([(site, vec![1.0, 0.0])]);
    let after = BiasSnapshot::from_iter([(site, vec![1.0, 3.0])]);
    let scores = Beft.score(&before, &after).expect("equal shapes");
    println!("{:.3}", scores.value(site).expect("scored"));
}
"#,
    );
    assert_eq!(printed.trim(), "0.900");
    // And none was compiled.
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", "beft-score", "--edges", "normal"])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(
        tree.contains("beft-core") && !tree.contains("burn"),
        "{tree}"
    );
}

/// Compiled only as far as types go: a program would build all of burn a second time.
#[test]
fn models_are_used_on_a_backend_of_the_users_choice() {
    cargo(
        "check",
        "uses-models",
        "beft-checkpoint = { path = \"CRATES/beft-checkpoint\" }\nbeft-core = { path = \"CRATES/beft-core\" }\nbeft-nn = { path = \"CRATES/beft-nn\" }\nbeft-decoder = { path = \"CRATES/beft-decoder\" }\nbeft-encoder = { path = \"CRATES/beft-encoder\" }\nbeft-train = { path = \"CRATES/beft-train\" }\nburn = { version = \"0.22.1\", default-features = false, features = [\"std\", \"flex\"] }",
        r#"
use beft_nn::Precision;
use beft_decoder::{DecoderForCausalLM, GenerateOptions};
use beft_checkpoint::ModelDir;
use beft_encoder::EncoderWithHead;
use beft_core::{EncodedSet, Encoding, Targets, TermSet};
use beft_train::{Metrics, TrainConfig, TrainError, train};
use burn::tensor::Device;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    let dir = ModelDir::open("encoder".as_ref())?;
    let (model, _) = EncoderWithHead::load(&dir, &dir.tensors()?, beft_core::Head::Sequence(3), 0, &device)?;
    let inputs = (0..8).map(|i| Encoding { ids: vec![2, 5 + i, 3], type_ids: vec![0; 3], ..Encoding::default() });
    let data = EncodedSet::new(inputs.collect(), Targets::Classes(vec![1; 8]));
    let config = TrainConfig::new("v".parse::<TermSet>()?, 1e-2, 20, 0);
    let evaluate = |_: &_| Ok::<Metrics, TrainError>(Metrics::new());
    let trained = train(model, &data, &config, evaluate, |_| ())?;
    let loss = |epoch: usize| trained.epochs[epoch].train_loss;
    println!("{} {}", trained.trainable, loss(19) < 0.8 * loss(0));

    let dir = ModelDir::open("decoder".as_ref())?;
    let (model, _) = DecoderForCausalLM::load(&dir, &dir.tensors()?, Precision::F32, &device)?;
    let options = GenerateOptions { max_new_tokens: 5, ..GenerateOptions::default() };
    println!("{}", model.generate(&[vec![2, 7, 9]], &options, |_, _| ())[0].len());
    Ok(())
}
"#,
    );
}
