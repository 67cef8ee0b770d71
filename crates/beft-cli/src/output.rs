use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// `println!` that does not panic when the reader has gone away (`beft eval ... | head -0`).
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($arg)*);
    }};
}
pub(crate) use say;

/// `eprintln!`, likewise.
macro_rules! tell {
    ($($arg:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($arg)*);
    }};
}
pub(crate) use tell;

/// Output folders that a command made: those still empty at its end, because it failed, go away.
#[must_use = "an empty folder stays only as long as this lives"]
pub(crate) struct MadeFolders(Vec<PathBuf>);

impl Drop for MadeFolders {
    fn drop(&mut self) {
        for dir in &self.0 {
            // Removes empty folders only.
            let _ = fs::remove_dir(dir);
        }
    }
}

/// Creates an output folder and makes sure that it and its `files` can be written.
pub(crate) fn prepare_folder(dir: &Path, files: &[&str]) -> Result<MadeFolders> {
    let unwritable = || format!("cannot write to the output folder {}", dir.display());
    if let Some(file) = dir.ancestors().find(|path| path.is_file()) {
        bail!("{}: {} is a file", unwritable(), file.display());
    }
    let absent = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
    let made = dir.ancestors().take_while(absent).map(Path::to_owned);
    let made = MadeFolders(made.collect());
    fs::create_dir_all(dir).with_context(unwritable)?;
    let probe = dir.join(format!(".probe.{}", std::process::id()));
    fs::write(&probe, b"").with_context(unwritable)?;
    fs::remove_file(&probe).with_context(unwritable)?;
    if let Some(file) = files
        .iter()
        .map(|file| dir.join(file))
        .find(|path| path.is_dir())
    {
        bail!("cannot write {}: it is a folder", file.display());
    }
    Ok(made)
}

/// Makes sure that an output file can be written, without touching it, and that it is neither one
/// of the `inputs`, nor in a folder among them, nor in a model folder.
pub(crate) fn check_file(path: &Path, inputs: &[&Path]) -> Result<MadeFolders> {
    if path.is_dir() {
        bail!("cannot write {}: it is a folder", path.display());
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    if parent.join("config.json").is_file() && parent.join("tokenizer.json").is_file() {
        bail!("{} is a model folder; give another --out", parent.display());
    }
    if let Ok(output) = path.canonicalize() {
        let taken = inputs
            .iter()
            .filter_map(|input| input.canonicalize().ok())
            .any(|input| output == input || (input.is_dir() && output.parent() == Some(&input)));
        if taken {
            bail!("{} is an input; give another --out", path.display());
        }
    }
    prepare_folder(parent, &[])
}

/// Prints a Markdown table to standard output with its columns lined up, numbers to the right.
pub(crate) fn print_table(table: &str) {
    let rows: Vec<Vec<String>> = table
        .lines()
        .filter(|line| !line.starts_with("|-"))
        .map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(|c| c.trim().replace(['`', '*'], ""))
                .collect()
        })
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| {
        rows.iter()
            .filter_map(|r| r.get(c))
            .map(|t| t.chars().count())
            .max()
    };
    let number = |text: &String| text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let numeric = |c: usize| rows.iter().skip(1).filter_map(|r| r.get(c)).any(number);
    for row in &rows {
        let cells: Vec<String> = (0..columns)
            .map(|c| {
                let text = row.get(c).map_or("", String::as_str);
                let width = width(c).unwrap_or(0);
                if numeric(c) {
                    format!("{text:>width$}")
                } else {
                    format!("{text:<width$}")
                }
            })
            .collect();
        say!("  {}", cells.join("  ").trim_end());
    }
}

/// Prints Markdown to standard output with the columns of its tables lined up.
pub(crate) fn print_markdown(text: &str) {
    let mut table = String::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('|') {
            table.push_str(line);
            table.push('\n');
            continue;
        }
        if !table.is_empty() {
            print_table(&std::mem::take(&mut table));
        }
        say!("{}", line.trim_start_matches("## "));
    }
}
