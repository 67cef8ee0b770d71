//! What a published crate needs, the oldest compiler, and where `unsafe` may be.

use std::path::Path;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::{Finding, files, read};

/// What the registry shows of a crate.
const KEYS: [&str; 6] = [
    "description",
    "version",
    "license",
    "keywords",
    "categories",
    "rust-version",
];

/// The files that may allow `unsafe`, with the reason.
const UNSAFE: [(&str, &str); 3] = [
    (
        "crates/beft-checkpoint/src/shard.rs",
        "weights are read through memory maps",
    ),
    (
        "crates/beft-cli/src/memory.rs",
        "an allocator says what to do when memory runs out",
    ),
    (
        "fuzz/tests/allocations/mod.rs",
        "an allocator counts what a reader takes",
    ),
];

const TOOLCHAIN: &str = "rust-toolchain.toml";

/// Checks the packages, the toolchain and all sources.
pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let table = |path: &str| -> Result<Table> {
        read(root, path)?.parse().with_context(|| path.to_owned())
    };
    let mut findings = Vec::new();
    let mut manifests = files(root, "crates", "toml")?;
    manifests.retain(|path| path.ends_with("/Cargo.toml"));
    for path in manifests {
        findings.extend(check_package(&path, &table(&path)?));
    }
    let workspace = table("Cargo.toml")?;
    let oldest = workspace["workspace"]["package"]["rust-version"].as_str();
    let toolchain = table(TOOLCHAIN)?;
    findings.extend(check_toolchain(
        oldest,
        toolchain["toolchain"]["channel"].as_str(),
    ));
    for folder in ["crates", "xtask", "benchmarks", "fuzz"] {
        for path in files(root, folder, "rs")? {
            findings.extend(check_unsafe(&path, &read(root, &path)?));
        }
    }
    Ok(findings)
}

fn check_package(path: &str, manifest: &Table) -> Option<Finding> {
    let package = manifest.get("package")?;
    if package.get("publish").and_then(Value::as_bool) == Some(false) {
        return None;
    }
    let missing: Vec<&str> = KEYS
        .into_iter()
        .filter(|key| package.get(key).is_none())
        .collect();
    let message = format!("a published crate has {} too", missing.join(", "));
    (!missing.is_empty()).then(|| Finding::new(path, 1, message))
}

/// The checks run with the oldest compiler that the crates promise, so that the promise is tested.
fn check_toolchain(oldest: Option<&str>, channel: Option<&str>) -> Option<Finding> {
    let (oldest, channel) = (oldest.unwrap_or_default(), channel.unwrap_or_default());
    let same = channel == oldest
        || channel
            .strip_prefix(oldest)
            .is_some_and(|rest| rest.starts_with('.'));
    let message = format!(
        "the channel is {channel}, and rust-version in Cargo.toml {oldest}: make them the same"
    );
    (!same).then(|| Finding::new(TOOLCHAIN, 2, message))
}

fn check_unsafe(path: &str, text: &str) -> Vec<Finding> {
    if UNSAFE.iter().any(|(known, _)| *known == path) {
        return Vec::new();
    }
    // In two parts, so that this file does not find itself.
    let allows = ["allow(", "unsafe_code"].concat();
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains(&allows));
    let message = "`unsafe` is forbidden here: use a library, or list the file in UNSAFE of xtask/src/tidy/publishing.rs with the reason";
    lines
        .map(|(index, _)| Finding::new(path, index + 1, message))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_found() {
        let manifest = |text: &str| text.parse().unwrap();
        let whole = "[package]\ndescription = \"\"\nversion.workspace = true\nlicense = \"MIT\"\nkeywords = []\ncategories = []\nrust-version = \"1\"\n";
        assert_eq!(check_package("p", &manifest(whole)), None);
        let found =
            check_package("p", &manifest("[package]\nname = \"x\"\nversion = \"1\"\n")).unwrap();
        assert!(
            found.to_string().contains("description, license, keywords"),
            "{found}"
        );
        assert_eq!(
            check_package("p", &manifest("[package]\npublish = false\n")),
            None
        );

        assert_eq!(check_toolchain(Some("1.95"), Some("1.95.0")), None);
        assert!(check_toolchain(Some("1.9"), Some("1.95.0")).is_some());
        assert!(check_toolchain(Some("1.95"), Some("stable")).is_some());

        let text = ["fn f() {}\n#[allow(", "unsafe_code)]\n"].concat();
        assert_eq!(check_unsafe("crates/beft/src/lib.rs", &text)[0].line, 2);
        assert!(check_unsafe(UNSAFE[0].0, &text).is_empty());
    }
}
