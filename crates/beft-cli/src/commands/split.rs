//! Which examples of one file were trained on, and which measured on.

use std::path::Path;

use anyhow::Result;
use beft_tasks::{Split, Task};

use crate::output::write_file;

/// The file that says it.
pub(super) const SPLIT: &str = "split.tsv";

/// Writes the split of each line, where the data are one file. `out` is the output folder.
pub(super) fn write_split(task: &Task, data: &Path, out: &Path) -> Result<()> {
    if task.held_out.is_none() || !data.is_file() {
        return Ok(());
    }
    let mut lines: Vec<(usize, Split)> = Vec::new();
    for split in [Split::Train, Split::Dev] {
        let of_split: Vec<usize> = match task {
            Task::Labelled(task) => {
                let examples = task.load(data, split, None)?.examples;
                examples.iter().map(|example| example.line).collect()
            }
            Task::Prompted(task) => {
                let examples = task.load(data, split)?.examples;
                examples.iter().map(|example| example.line).collect()
            }
        };
        lines.extend(of_split.into_iter().map(|line| (line, split)));
    }
    lines.sort_by_key(|(line, _)| *line);
    let rows = lines
        .iter()
        .map(|(line, split)| format!("{line}\t{split}\n"));
    let text = format!("line\tsplit\n{}", rows.collect::<String>());
    write_file(&out.join(SPLIT), text.as_bytes())
}
