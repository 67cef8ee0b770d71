//! Pages of docs/: all are in the table of contents, and links point to files that exist.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{Finding, files, read};

const CONTENTS: &str = "docs/SUMMARY.md";

/// Checks README.md and docs/.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let pages = files(root, "docs", "md")?;
    let contents = read(root, CONTENTS)?;
    let listed: Vec<_> = links(&contents).into_iter().map(|(_, link)| link).collect();
    for page in pages.iter().filter(|page| *page != CONTENTS) {
        let name = page.trim_start_matches("docs/");
        if !listed.iter().any(|link| link == name) {
            let message = format!("the table of contents lacks this page: add it to {CONTENTS}");
            findings.push(Finding::new(page, 1, message));
        }
    }
    for page in pages.iter().map(String::as_str).chain(["README.md"]) {
        let folder = Path::new(page)
            .parent()
            .map_or_else(PathBuf::new, Path::to_owned);
        for (line, link) in links(&read(root, page)?) {
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !root.join(&folder).join(target).exists() {
                let message =
                    format!("the link to {target} points to no file: correct or remove it");
                findings.push(Finding::new(page, line, message));
            }
        }
    }
    Ok(findings)
}

/// Targets of links to files, each with its line. Blocks of code have no links.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split(')').next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                found.push((index + 1, target.to_owned()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read() {
        let text =
            "[a](a.md) and [b](../b.md#part)\n```\n[c](c.md)\n```\n[d](https://d.org) ![e](e.svg)";
        let found = [(1, "a.md"), (1, "../b.md#part"), (5, "e.svg")];
        assert_eq!(
            links(text),
            found.map(|(line, link)| (line, link.to_owned()))
        );
    }
}
