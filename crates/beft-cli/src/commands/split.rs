//! Which examples of one file were trained on, and which measured on.

use std::path::Path;

use anyhow::Result;
use beft::TaskData;
use beft_tasks::Split;

use crate::output::write_file;

/// The file that says it.
pub(super) const SPLIT: &str = "split.tsv";

/// Writes the split of each line that was used, where the data are one file. `out` is the output folder.
pub(super) fn write_split(data: &TaskData, out: &Path) -> Result<()> {
    if data.split_file.is_none() {
        return Ok(());
    }
    let train = data.train_examples.iter().map(|e| (e.line, Split::Train));
    let dev = data.dev.iter().flat_map(|dev| &dev.examples);
    let mut lines: Vec<(usize, Split)> = train.chain(dev.map(|e| (e.line, Split::Dev))).collect();
    lines.sort_by_key(|(line, _)| *line);
    let rows = lines
        .iter()
        .map(|(line, split)| format!("{line}\t{split}\n"));
    let text = format!("line\tsplit\n{}", rows.collect::<String>());
    write_file(&out.join(SPLIT), text.as_bytes())
}
