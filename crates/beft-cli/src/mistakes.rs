//! The examples that a model got wrong.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use beft::table::{Align, Cell, Table};
use beft::{Evaluation, Judged};
use serde_json::{Map, Value, json};

use crate::output::{beginning, say, write_file};
use crate::rows::{RowFormat, write_table};

/// Characters of a text in a table; the file of `--errors` has all of it.
const LONGEST: usize = 200;

/// Collects the examples that were wrong: those first of which the model was most certain, or of values those that are
/// farthest off.
#[derive(Default)]
pub(crate) struct Mistakes {
    rows: Vec<(f64, Map<String, Value>)>,
    pairs: bool,
}

/// A file for mistakes.
pub(crate) struct MistakesFile {
    path: PathBuf,
    format: RowFormat,
}

impl MistakesFile {
    /// A file whose extension tells the format.
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
        })
    }
}

impl Mistakes {
    /// Those of some files.
    pub(crate) fn of<'a>(files: impl Iterator<Item = (&'a str, &'a Evaluation)>) -> Self {
        let mut mistakes = Self::default();
        for (file, result) in files {
            mistakes.add(file, result);
        }
        mistakes.rows.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        mistakes
    }

    fn add(&mut self, file: &str, result: &Evaluation) {
        for (example, judged) in result.examples.iter().zip(&result.judged) {
            let Some(weight) = weight(judged) else {
                continue;
            };
            let words = |words: &[String]| match words {
                [word] => json!(word),
                words => json!(words),
            };
            let mut row = Map::new();
            row.insert("file".to_owned(), json!(file));
            row.insert("line".to_owned(), json!(example.line));
            row.insert("text".to_owned(), json!(example.text));
            if let Some(pair) = &example.text_pair {
                self.pairs = true;
                row.insert("text_pair".to_owned(), json!(pair));
            }
            row.insert("label".to_owned(), words(&judged.truth));
            row.insert("prediction".to_owned(), words(&judged.said));
            row.insert("probability".to_owned(), json!(judged.probability));
            self.rows.push((weight, row));
        }
    }

    fn rows(&self) -> Vec<Map<String, Value>> {
        self.rows.iter().map(|(_, row)| row.clone()).collect()
    }

    /// All of them as JSON.
    pub(crate) fn to_json(&self) -> Value {
        json!(self.rows())
    }

    /// Writes them to a file.
    pub(crate) fn write(&self, file: &MistakesFile, quiet: bool) -> Result<()> {
        let pair = self.pairs.then_some("text_pair");
        let columns: Vec<&str> = ["file", "line", "text"]
            .into_iter()
            .chain(pair)
            .chain(["label", "prediction", "probability"])
            .collect();
        write_file(
            &file.path,
            &write_table(file.format, &columns, &self.rows())?,
        )?;
        if !quiet {
            say!(
                "{} examples that were wrong: {}",
                self.rows.len(),
                file.path.display()
            );
        }
        Ok(())
    }

    /// The first of them as a table; `None` where there are none.
    pub(crate) fn table(&self, most: usize) -> Option<Table> {
        let columns = ["text", "label", "prediction", "probability"];
        let mut table = Table::new(columns.map(|name| (name, Align::Left)));
        for (_, row) in self.rows.iter().take(most) {
            let cell = |name: &str| match &row[name] {
                Value::String(text) => Cell::from(beginning(text, LONGEST)),
                Value::Number(number) => match number.as_f64() {
                    Some(number) if number.fract() != 0.0 => Cell::from(format!("{number:.3}")),
                    _ => Cell::from(number),
                },
                Value::Null => Cell::default(),
                other => Cell::from(other),
            };
            table.rows.push(columns.map(cell).to_vec());
        }
        (!table.rows.is_empty()).then_some(table)
    }
}

/// What an example is sorted by; nothing for one that is right.
fn weight(judged: &Judged) -> Option<f64> {
    match judged.right {
        Some(true) => None,
        Some(false) => Some(f64::from(judged.probability.unwrap_or(0.0))),
        // Values are neither; how far they are off.
        None => {
            let number = |words: &[String]| words.first()?.parse::<f64>().ok();
            Some((number(&judged.truth)? - number(&judged.said)?).abs())
        }
    }
}
