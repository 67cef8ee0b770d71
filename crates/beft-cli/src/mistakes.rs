//! A file with the examples that a model got wrong.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use beft::Evaluation;
use serde_json::{Map, Value, json};

use crate::output::{say, write_file};
use crate::rows::{RowFormat, write_table};

/// Collects the examples that were wrong, and writes them.
pub(crate) struct Mistakes {
    path: PathBuf,
    format: RowFormat,
    rows: Vec<(f32, Map<String, Value>)>,
}

impl Mistakes {
    /// Mistakes to be written to a file, whose extension tells the format.
    ///
    /// # Errors
    ///
    /// When the extension is none of .jsonl, .csv and .tsv.
    pub(crate) fn new(path: &Path) -> Result<Self> {
        let format = match path.extension().and_then(|e| e.to_str()) {
            Some("jsonl") => RowFormat::Jsonl,
            Some("csv") => RowFormat::Csv,
            Some("tsv") => RowFormat::Tsv,
            _ => bail!(
                "cannot tell the format of {} by its name: end it in .jsonl, .csv or .tsv",
                path.display()
            ),
        };
        Ok(Self {
            path: path.to_owned(),
            format,
            rows: Vec::new(),
        })
    }

    /// Adds those of one file.
    pub(crate) fn add(&mut self, file: &str, result: &Evaluation) {
        for (example, judged) in result.examples.iter().zip(&result.judged) {
            if judged.right != Some(false) {
                continue;
            }
            let words = |words: &[String]| match words {
                [word] => json!(word),
                words => json!(words),
            };
            let mut row = Map::new();
            row.insert("file".to_owned(), json!(file));
            row.insert("line".to_owned(), json!(example.line));
            row.insert("text".to_owned(), json!(example.text));
            if let Some(pair) = &example.text_pair {
                row.insert("text_pair".to_owned(), json!(pair));
            }
            row.insert("label".to_owned(), words(&judged.truth));
            row.insert("prediction".to_owned(), words(&judged.said));
            row.insert("probability".to_owned(), json!(judged.probability));
            self.rows.push((judged.probability.unwrap_or(0.0), row));
        }
    }

    /// Writes them, those first of which the model was most certain.
    pub(crate) fn write(mut self) -> Result<()> {
        self.rows.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let rows: Vec<Map<String, Value>> = self.rows.into_iter().map(|(_, row)| row).collect();
        write_file(&self.path, &write_table(self.format, &rows)?)?;
        say!("{} mistakes: {}", rows.len(), self.path.display());
        Ok(())
    }
}
