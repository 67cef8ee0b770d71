use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// `println!` that does not panic when the reader has gone away (`beft eval ... | head -0`).
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($arg)*);
    }};
}
pub(crate) use say;

/// Creates an output folder and makes sure that it and its `files` can be written.
pub(crate) fn prepare_folder(dir: &Path, files: &[&str]) -> Result<()> {
    let unwritable = || format!("cannot write to the output folder {}", dir.display());
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
    Ok(())
}

/// Makes sure that an output file can be written, without touching it, and that it is not `input`.
pub(crate) fn check_file(path: &Path, input: &Path) -> Result<()> {
    if path.is_dir() {
        bail!("cannot write {}: it is a folder", path.display());
    }
    if let (Ok(output), Ok(input)) = (path.canonicalize(), input.canonicalize())
        && output == input
    {
        bail!("{} is the input; give another --out", path.display());
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    prepare_folder(parent.unwrap_or(Path::new(".")), &[])
}

/// Prints a Markdown table to standard output with its columns lined up.
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
    for row in &rows {
        let cells: Vec<String> = (0..columns)
            .map(|c| {
                let text = row.get(c).map_or("", String::as_str);
                let width = width(c).unwrap_or(0);
                if c == 0 {
                    format!("{text:<width$}")
                } else {
                    format!("{text:>width$}")
                }
            })
            .collect();
        say!("  {}", cells.join("  ").trim_end());
    }
}
