//! The commands that the pages show.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;

use super::Cli;

/// README.md and the pages of docs/.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = fs::read_dir(root.join("docs")).unwrap().flatten();
    let docs = docs.map(|entry| entry.path());
    let is_page = |path: &PathBuf| path.extension().is_some_and(|found| found == "md");
    let mut found: Vec<PathBuf> = docs.filter(is_page).collect();
    found.push(root.join("README.md"));
    found.sort();
    found
}

/// The words of a line of a shell, up to what follows the command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None, ' ') if !word.is_empty() => words.push(std::mem::take(&mut word)),
            (None, ' ') => {}
            _ => word.push(c),
        }
    }
    let ends =
        |word: &String| ["#", "|", "||", "&&", "&", ">", "2>", "<", ";"].contains(&word.as_str());
    let end = words.iter().position(ends);
    words.truncate(end.unwrap_or(words.len()));
    words
}

#[test]
fn every_command_of_the_pages_is_understood() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let blocks = text.split("```sh\n").skip(1);
        let blocks = blocks.map(|block| block.split("```").next().unwrap_or_default());
        for line in blocks.flat_map(|block| {
            block
                .replace("\\\n", " ")
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        }) {
            let all = words(&line);
            let program = |word: &String| word == "beft" || word.ends_with("/beft");
            let start = match all.iter().position(program) {
                Some(start) => start,
                None if line.contains("-p beft-cli -- ") => {
                    all.iter().position(|word| word == "--").unwrap_or(0)
                }
                None => continue,
            };
            // A part of a command, or the installation of the program.
            let whole = all.get(start + 1).is_some() && !all.iter().any(|word| word == "...");
            if !whole {
                continue;
            }
            tried += 1;
            let args = std::iter::once("beft".to_owned()).chain(all[start + 1..].iter().cloned());
            if let Err(error) = Cli::try_parse_from(args)
                && error.use_stderr()
            {
                wrong.push(format!("{}: {line}\n{error}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 40, "{tried}");
}
