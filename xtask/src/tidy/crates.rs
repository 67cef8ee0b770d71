//! Which crate may depend on which, and who takes burn with which features.

use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{Finding, files, read};

/// The libraries of the workspace, each with those of ours that it may depend on. A crate stands below all that it depends
/// on, so arrows go one way. Dev-dependencies are free.
const ARROWS: &[(&str, &[&str])] = &[
    // The shared vocabulary.
    ("beft-core", &[]),
    // Without a vocabulary: files, the hub, devices.
    ("beft-files", &[]),
    ("beft-fixtures", &[]),
    ("beft-hub", &["beft-files"]),
    ("beft-device", &[]),
    // Without tensors.
    ("beft-score", &["beft-core"]),
    ("beft-plot", &["beft-core", "beft-score"]),
    ("beft-tasks", &["beft-core"]),
    ("beft-demo", &["beft-files"]),
    // With tensors, but without a model.
    ("beft-nn", &["beft-core"]),
    ("beft-eval", &["beft-core", "beft-nn"]),
    ("beft-checkpoint", &["beft-core", "beft-files", "beft-nn"]),
    // Models know nothing of training.
    ("beft-encoder", &["beft-core", "beft-nn", "beft-checkpoint"]),
    ("beft-decoder", &["beft-core", "beft-nn", "beft-checkpoint"]),
    // Training knows no model: it works on the traits of beft-nn.
    (
        "beft-modes",
        &["beft-core", "beft-files", "beft-nn", "beft-checkpoint"],
    ),
    (
        "beft-train",
        &["beft-core", "beft-files", "beft-nn", "beft-modes"],
    ),
    ("beft-mpi", &["beft-train"]),
    // What puts the crates together.
    ("beft", ALL_PARTS),
    (
        "beft-serve",
        &["beft", "beft-core", "beft-decoder", "beft-tasks"],
    ),
    (
        "beft-compare",
        &[
            "beft",
            "beft-core",
            "beft-device",
            "beft-eval",
            "beft-files",
            "beft-modes",
            "beft-nn",
            "beft-plot",
            "beft-score",
            "beft-tasks",
            "beft-train",
        ],
    ),
];

/// What the facade puts together.
const ALL_PARTS: &[&str] = &[
    "beft-checkpoint",
    "beft-core",
    "beft-decoder",
    "beft-device",
    "beft-encoder",
    "beft-eval",
    "beft-files",
    "beft-hub",
    "beft-modes",
    "beft-nn",
    "beft-plot",
    "beft-score",
    "beft-tasks",
    "beft-train",
];

/// The programs: they may depend on every library.
const PROGRAMS: [&str; 3] = ["beft-parity", "beft-cli", "beft-benchmarks"];

/// The program that may depend on none: what starts every check has to build fast.
const XTASK: &str = "xtask";

/// The crates of ours that a crate of ours may depend on; `None` for a crate that is not ours.
fn allowed(name: &str) -> Option<Vec<&'static str>> {
    if name == XTASK {
        return Some(Vec::new());
    }
    if PROGRAMS.contains(&name) {
        return Some(ARROWS.iter().map(|(library, _)| *library).collect());
    }
    let (_, allowed) = ARROWS.iter().find(|(library, _)| *library == name)?;
    Some(allowed.to_vec())
}

/// Crates that must not depend on burn: whoever uses them needs no tensor library.
const NO_BURN: [&str; 9] = [
    "beft-core",
    "beft-files",
    "beft-hub",
    "beft-score",
    "beft-plot",
    "beft-tasks",
    "beft-demo",
    "beft-cli",
    XTASK,
];

/// The one crate whose features name backends of burn.
const DEVICES: &str = "beft-device";

/// Features of burn that bring no backend.
const FEATURES_OF_BURN: [&str; 3] = ["std", "autodiff", "optim"];

/// Checks every Cargo.toml.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut paths = files(root, "crates", "toml")?;
    paths.retain(|path| path.ends_with("/Cargo.toml"));
    paths.extend(["benchmarks/Cargo.toml", "xtask/Cargo.toml"].map(str::to_owned));
    for path in paths {
        let text = read(root, &path)?;
        let manifest: Table = text.parse().with_context(|| path.clone())?;
        findings.extend(check_manifest(&path, &text, &manifest));
    }
    Ok(findings)
}

fn check_manifest(path: &str, text: &str, manifest: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut report = |key: &str, message: String| {
        let line = text.lines().position(|line| line.starts_with(key));
        findings.push(Finding::new(path, line.map_or(1, |line| line + 1), message));
    };
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name"));
    let name = name.and_then(Value::as_str).unwrap_or_default();
    let Some(may_use) = allowed(name) else {
        let message = "this crate is missing in ARROWS of xtask/src/tidy/crates.rs: enter it with what it may depend on";
        report("name", message.to_owned());
        return findings;
    };
    let empty = Table::new();
    let table = |key: &str| {
        manifest
            .get(key)
            .and_then(Value::as_table)
            .unwrap_or(&empty)
    };
    for (dependency, value) in table("dependencies") {
        if allowed(dependency).is_some() && !may_use.contains(&dependency.as_str()) {
            let message = format!(
                "{name} must not depend on {dependency}: move what it needs into a crate that it may depend on, or change \
                 ARROWS of xtask/src/tidy/crates.rs"
            );
            report(dependency, message);
        }
        if dependency != "burn" {
            continue;
        }
        if NO_BURN.contains(&name) {
            report(
                dependency,
                format!("{name} must not depend on burn: take plain numbers"),
            );
        }
        let features = value.get("features").and_then(Value::as_array);
        for feature in features.into_iter().flatten().filter_map(Value::as_str) {
            if !FEATURES_OF_BURN.contains(&feature) {
                let message = format!(
                    "a library takes burn without a backend: move `{feature}` to dev-dependencies"
                );
                report(dependency, message);
            }
        }
    }
    for (feature, parts) in table("features") {
        let parts = parts
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str);
        for part in parts.filter(|part| part.starts_with("burn/") && name != DEVICES) {
            report(
                feature,
                format!("`{part}` is for {DEVICES}: write `{DEVICES}/{feature}`"),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let manifest = text.parse().unwrap();
        let findings = check_manifest("Cargo.toml", text, &manifest);
        findings.iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_crate_stands_below_what_it_depends_on() {
        for (index, (name, allowed)) in ARROWS.iter().enumerate() {
            for dependency in *allowed {
                let above = ARROWS[..index].iter().any(|(krate, _)| krate == dependency);
                assert!(above, "{name} -> {dependency}");
            }
        }
    }

    #[test]
    fn forbidden_arrows_and_backends_are_found() {
        let text = "[package]\nname = \"beft-score\"\n[dependencies]\nbeft-nn.workspace = true\nburn.workspace = true\n";
        let found = messages(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("Cargo.toml:4: beft-score must not depend on beft-nn"));
        assert!(found[1].starts_with("Cargo.toml:5: beft-score must not depend on burn"));

        let text = "[package]\nname = \"beft-nn\"\n[features]\ntch = [\"burn/tch\"]\n[dependencies]\n\
                    burn = { workspace = true, features = [\"flex\"] }\n[dev-dependencies]\nbeft-train.workspace = true\n";
        let found = messages(text);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("move `flex` to dev-dependencies"));
        assert!(found[1].contains("write `beft-device/tch`"));

        assert!(messages("[package]\nname = \"beft-new\"\n")[0].contains("missing in ARROWS"));
    }
}
