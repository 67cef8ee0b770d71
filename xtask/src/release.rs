//! What is checked and written before crates are published.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::Value;

use crate::{cargo, execute};

/// The name of bills of materials, without `.json`.
const BILL: &str = "beft.cdx";

/// What a check before publishing leaves out.
#[derive(Args)]
pub(crate) struct Release {
    /// Package the crates without building them from their packages, which takes as long as the workspace.
    #[arg(long)]
    no_verify: bool,
    /// Leave out the advisories on dependencies, which come from the network.
    #[arg(long)]
    offline: bool,
    /// The commit or tag of the last version, whose public interfaces the new ones are compared with (cargo-semver-checks).
    #[arg(long, value_name = "COMMIT")]
    since: Option<String>,
}

/// Checks the dependencies, writes the bill of materials of the command to `target/sbom`, packages all crates that are
/// published, and compares their interfaces with an older version's.
pub(crate) fn check(root: &Path, release: &Release) -> Result<()> {
    let tool = |name: &str, args: &[&str]| {
        let ran = execute(cargo(root).arg(name).args(args));
        ran.with_context(|| format!("`cargo {name}` (`cargo install cargo-{name}` installs it)"))
    };
    let checks: &[&str] = match release.offline {
        true => &["check", "licenses", "bans", "sources"],
        false => &["check"],
    };
    tool("deny", checks)?;
    let members = members(root)?;
    tool(
        "cyclonedx",
        &["--format", "json", "--override-filename", BILL],
    )?;
    keep_bill(root, &members)?;
    let mut package = cargo(root);
    package.args(["package", "--workspace"]);
    let private: Vec<&str> = members.iter().filter_map(Member::private).collect();
    package.args(private.iter().flat_map(|name| ["--exclude", name]));
    if release.no_verify {
        package.arg("--no-verify");
    }
    execute(&mut package)?;
    if let Some(since) = &release.since {
        let mut compare = vec!["--baseline-rev", since, "--workspace"];
        compare.extend(private.iter().flat_map(|name| ["--exclude", *name]));
        tool("semver-checks", &compare)?;
    }
    Ok(())
}

/// A crate of the workspace.
struct Member {
    name: String,
    folder: PathBuf,
    published: bool,
}

impl Member {
    /// Its name, if it is not published.
    fn private(&self) -> Option<&str> {
        (!self.published).then_some(self.name.as_str())
    }
}

fn members(root: &Path) -> Result<Vec<Member>> {
    let mut metadata = cargo(root);
    let output = metadata
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()?;
    let found: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = found["packages"].as_array().into_iter().flatten();
    let members = packages.filter_map(|package| {
        let manifest = Path::new(package["manifest_path"].as_str()?);
        Some(Member {
            name: package["name"].as_str()?.to_owned(),
            folder: manifest.parent()?.to_owned(),
            published: package["publish"]
                .as_array()
                .is_none_or(|to| !to.is_empty()),
        })
    });
    Ok(members.collect())
}

/// Moves the bill of materials of the command to `target/sbom`, and removes those of the other crates, which cargo-cyclonedx
/// writes too.
fn keep_bill(root: &Path, members: &[Member]) -> Result<()> {
    let file = format!("{BILL}.json");
    let kept = root.join("target/sbom").join(&file);
    fs::create_dir_all(root.join("target/sbom"))?;
    for member in members {
        let written = member.folder.join(&file);
        let done = match member.name.as_str() {
            "beft-cli" => fs::rename(&written, &kept),
            _ => fs::remove_file(&written),
        };
        done.with_context(|| written.display().to_string())?;
    }
    println!("Bill of materials: {}", kept.display());
    Ok(())
}
