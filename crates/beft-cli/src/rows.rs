//! Rows of predictions, as JSON Lines, CSV or TSV.

use std::borrow::Cow;

use anyhow::{Result, bail};
use beft::Answer;
use serde_json::{Map, Value, json};

use crate::answer_columns::{certainty, numbers, place, prediction, tags};
use crate::args::Keep;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowFormat {
    Jsonl,
    Csv,
    Tsv,
}

/// What stands in front of the name of an input's column that is called like one of the output's.
const RENAMED: &str = "input_";

/// Writes rows one after another.
pub(crate) struct RowWriter {
    format: RowFormat,
    keep: Keep,
    /// The classes, where all rows have the same.
    labels: Vec<String>,
    /// The adapter that answers, where it is one of several.
    adapter: Option<String>,
    /// Columns of the input in CSV and TSV: those of the first row.
    columns: Option<Vec<String>>,
    rows: usize,
    /// Columns of the input with another name in the output.
    renamed: Vec<(String, String)>,
    /// Cells in which something was replaced by spaces.
    replaced: usize,
}

impl RowWriter {
    pub(crate) fn new(format: RowFormat, keep: Keep, labels: Vec<String>) -> Self {
        Self {
            format,
            keep,
            labels,
            adapter: None,
            columns: None,
            rows: 0,
            renamed: Vec::new(),
            replaced: 0,
        }
    }

    /// How many rows were written.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// What the user should hear about the rows.
    pub(crate) fn notes(&self) -> Vec<String> {
        let renamed = self.renamed.iter().map(|(name, renamed)| {
            format!("the column `{name}` of the input is called `{renamed}` in the output")
        });
        let replaced = (self.replaced > 0).then(|| {
            format!(
                "{} cells have tabs or line breaks, which are spaces in the output; --format csv keeps them",
                self.replaced
            )
        });
        renamed.chain(replaced).collect()
    }

    /// Writes the answer to a row with these columns.
    ///
    /// # Errors
    ///
    /// When a column to keep is not there.
    pub(crate) fn write(
        &mut self,
        out: &mut Vec<u8>,
        columns: Map<String, Value>,
        answer: &Answer,
    ) -> Result<()> {
        let kept = self.kept(columns)?;
        match self.format {
            RowFormat::Jsonl => self.write_json(out, kept, answer)?,
            RowFormat::Csv | RowFormat::Tsv => self.write_delimited(out, kept, answer)?,
        }
        self.rows += 1;
        Ok(())
    }

    /// Writes the answer of one of several adapters, which has this name and these labels. All answers to a row have its
    /// number, until [`next_row`](Self::next_row).
    ///
    /// # Errors
    ///
    /// When a column to keep is not there.
    pub(crate) fn write_of(
        &mut self,
        out: &mut Vec<u8>,
        columns: Map<String, Value>,
        answer: &Answer,
        (adapter, labels): (&str, Vec<String>),
    ) -> Result<()> {
        let kept = self.kept(columns)?;
        self.labels = labels;
        self.adapter = Some(adapter.to_owned());
        self.write_json(out, kept, answer)
    }

    /// Counts a row whose answers were written.
    pub(crate) fn next_row(&mut self) {
        self.rows += 1;
    }

    fn kept(&mut self, mut columns: Map<String, Value>) -> Result<Vec<(String, Value)>> {
        match &self.keep {
            Keep::None => Ok(Vec::new()),
            Keep::All => Ok(columns.into_iter().collect()),
            Keep::Named(names) => {
                let mut wanted = names.clone();
                wanted.sort();
                wanted.dedup();
                if wanted.len() < names.len() {
                    bail!("--keep names a column twice");
                }
                let kept = names.iter().map(|name| match columns.remove(name) {
                    Some(value) => Ok((name.clone(), value)),
                    None if self.rows > 0 && self.format == RowFormat::Jsonl => {
                        Ok((name.clone(), Value::Null))
                    }
                    None => {
                        let found: Vec<String> = columns.keys().map(|c| format!("`{c}`")).collect();
                        bail!(
                            "the input has no column `{name}` to keep: name one of {}",
                            found.join(", ")
                        )
                    }
                });
                kept.collect()
            }
        }
    }

    /// The name of a column of the input in the output.
    fn name(&mut self, name: &str, all: &[String], answer: &Answer) -> String {
        let own = match answer {
            Answer::Class { .. } => {
                &["label", "choice", "probability", "probabilities", "logits"][..]
            }
            Answer::Labels { .. } => &["labels", "probabilities", "logits"][..],
            Answer::Span { .. } => &["answer", "score", "start", "end"][..],
            Answer::Tags { .. } => &["entities", "tags"][..],
            Answer::Value(_) | Answer::Text(_) => &[prediction(answer).0],
        };
        let each = name.strip_prefix("probability_");
        let each = each.is_some_and(|label| self.labels.iter().any(|known| known == label));
        let each = each && self.format != RowFormat::Jsonl;
        // Beside an answer this is who gave it.
        let reserved = name == "index" || name == "adapter";
        if !reserved && !own.contains(&name) && !each {
            return name.to_owned();
        }
        let mut renamed = format!("{RENAMED}{name}");
        while all.contains(&renamed) {
            renamed.insert_str(0, RENAMED);
        }
        let pair = (name.to_owned(), renamed.clone());
        if !self.renamed.contains(&pair) {
            self.renamed.push(pair);
        }
        renamed
    }

    fn write_json(
        &mut self,
        out: &mut Vec<u8>,
        kept: Vec<(String, Value)>,
        answer: &Answer,
    ) -> Result<()> {
        let mut row = Map::new();
        row.insert("index".to_owned(), json!(self.rows));
        if let Some(adapter) = &self.adapter {
            row.insert("adapter".to_owned(), json!(adapter));
        }
        let all: Vec<String> = kept.iter().map(|(name, _)| name.clone()).collect();
        for (name, value) in kept {
            row.insert(self.name(&name, &all, answer), value);
        }
        let (name, value) = prediction(answer);
        row.insert(name.to_owned(), value);
        if let Some(tags) = tags(answer) {
            row.insert("tags".to_owned(), json!(tags));
        }
        if let Some((probabilities, logits)) = numbers(answer) {
            if let Some(probability) = answer.probability() {
                row.insert("probability".to_owned(), json!(probability));
            }
            let probabilities = match self.labels.is_empty() {
                true => json!(probabilities),
                false => {
                    let named = self.labels.iter().cloned();
                    let values = probabilities.iter().map(|p| json!(p));
                    Value::Object(named.zip(values).collect())
                }
            };
            if let (Answer::Class { class, .. }, true) = (answer, self.labels.is_empty()) {
                row.insert("choice".to_owned(), json!(class));
            }
            row.insert("probabilities".to_owned(), probabilities);
            row.insert("logits".to_owned(), json!(logits));
        }
        let places = place(answer);
        if let (Some(probability), false) = (answer.probability(), places.is_empty()) {
            row.insert(certainty(answer).to_owned(), json!(probability));
        }
        for (name, value) in places {
            row.insert(name.to_owned(), value);
        }
        serde_json::to_writer(&mut *out, &row)?;
        out.push(b'\n');
        Ok(())
    }

    fn write_delimited(
        &mut self,
        out: &mut Vec<u8>,
        kept: Vec<(String, Value)>,
        answer: &Answer,
    ) -> Result<()> {
        if self.columns.is_none() {
            self.write_header(out, &kept, answer)?;
        }
        let known = self.columns.as_deref().unwrap_or_default();
        if let Some((name, _)) = kept.iter().find(|(name, _)| !known.contains(name)) {
            bail!(
                "row {} has the column `{name}`, which the first row lacks: name the columns with --keep, or use \
                 --format jsonl",
                self.rows + 1
            );
        }
        let mut cells: Vec<String> = vec![self.rows.to_string()];
        for column in known {
            let value = kept.iter().find(|(name, _)| name == column);
            cells.push(value.map_or_else(String::new, |(_, value)| cell(value)));
        }
        cells.push(cell(&prediction(answer).1));
        if let Answer::Tags { .. } = answer {
            cells.push(tags(answer).map_or_else(String::new, |tags| tags.join(" ")));
        }
        if let (Answer::Class { class, .. }, true) = (answer, self.labels.is_empty()) {
            cells.push(class.to_string());
        }
        cells.extend(answer.probability().map(number));
        cells.extend(place(answer).iter().map(|(_, value)| cell(value)));
        if let Some((probabilities, _)) = numbers(answer).filter(|_| !self.labels.is_empty()) {
            cells.extend(probabilities.iter().map(|p| number(*p)));
        }
        self.write_record(out, cells)
    }

    fn write_header(
        &mut self,
        out: &mut Vec<u8>,
        kept: &[(String, Value)],
        answer: &Answer,
    ) -> Result<()> {
        let columns: Vec<String> = kept.iter().map(|(name, _)| name.clone()).collect();
        let mut header = vec!["index".to_owned()];
        for column in &columns {
            header.push(self.name(column, &columns, answer));
        }
        header.push(prediction(answer).0.to_owned());
        if let Answer::Tags { .. } = answer {
            header.push("tags".to_owned());
        }
        if let (Answer::Class { .. }, true) = (answer, self.labels.is_empty()) {
            header.push("choice".to_owned());
        }
        if answer.probability().is_some() {
            header.push(certainty(answer).to_owned());
        }
        header.extend(place(answer).iter().map(|(name, _)| (*name).to_owned()));
        if numbers(answer).is_some() {
            let each = self.labels.iter();
            header.extend(each.map(|label| format!("probability_{label}")));
        }
        self.columns = Some(columns);
        self.write_record(out, header)
    }

    fn write_record(&mut self, out: &mut Vec<u8>, cells: Vec<String>) -> Result<()> {
        self.replaced += write_cells(self.format, out, cells)?;
        Ok(())
    }
}

/// Writes a line of CSV, or else of TSV; returns in how many cells something was replaced by spaces.
fn write_cells(format: RowFormat, out: &mut Vec<u8>, mut cells: Vec<String>) -> Result<usize> {
    if format == RowFormat::Csv {
        csv::Writer::from_writer(out).write_record(&cells)?;
        return Ok(0);
    }
    let mut replaced = 0;
    // Nothing is quoted in TSV, as GLUE has it.
    for cell in &mut cells {
        if let Cow::Owned(plain) = without_breaks(cell) {
            *cell = plain;
            replaced += 1;
        }
    }
    out.extend_from_slice(cells.join("\t").as_bytes());
    out.push(b'\n');
    Ok(replaced)
}

/// Rows that all have these columns.
pub(crate) fn write_table(
    format: RowFormat,
    columns: &[&str],
    rows: &[Map<String, Value>],
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    if format != RowFormat::Jsonl {
        let names = columns.iter().map(|name| (*name).to_owned());
        write_cells(format, &mut out, names.collect())?;
    }
    for row in rows {
        match format {
            RowFormat::Jsonl => {
                serde_json::to_writer(&mut out, row)?;
                out.push(b'\n');
            }
            RowFormat::Csv | RowFormat::Tsv => {
                let cells = columns
                    .iter()
                    .map(|name| row.get(*name).map_or_else(String::new, cell));
                write_cells(format, &mut out, cells.collect())?;
            }
        }
    }
    Ok(out)
}

fn without_breaks(text: &str) -> Cow<'_, str> {
    match text.contains(['\t', '\n', '\r']) {
        true => Cow::Owned(text.replace("\r\n", " ").replace(['\t', '\n', '\r'], " ")),
        false => Cow::Borrowed(text),
    }
}

/// A value as a cell: text as it stands, nothing for null, anything nested as JSON.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A probability with as many digits as a float has.
fn number(value: f32) -> String {
    json!(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(probabilities: [f32; 2]) -> Answer {
        Answer::Class {
            class: 1,
            label: "good".to_owned(),
            probabilities: probabilities.to_vec(),
            logits: vec![0.0, 1.0],
        }
    }

    fn written(format: RowFormat, keep: Keep, rows: &[Value]) -> Result<(String, Vec<String>)> {
        let labels = vec!["bad".to_owned(), "good".to_owned()];
        let mut writer = RowWriter::new(format, keep, labels);
        let mut out = Vec::new();
        for row in rows {
            let columns = row.as_object().cloned().unwrap_or_default();
            writer.write(&mut out, columns, &class([0.25, 0.75]))?;
        }
        Ok((String::from_utf8(out)?, writer.notes()))
    }

    #[test]
    fn columns_of_the_input_stand_beside_the_prediction() {
        let rows = [json!({"id": "a\t1", "index": "9", "text": "x, \"y\""})];
        let (jsonl, notes) = written(RowFormat::Jsonl, Keep::All, &rows).unwrap();
        assert_eq!(
            jsonl,
            "{\"index\":0,\"id\":\"a\\t1\",\"input_index\":\"9\",\"text\":\"x, \\\"y\\\"\",\"label\":\"good\",\
             \"probability\":0.75,\"probabilities\":{\"bad\":0.25,\"good\":0.75},\"logits\":[0.0,1.0]}\n"
        );
        assert_eq!(notes.len(), 1);
        let (csv, _) = written(RowFormat::Csv, Keep::All, &rows).unwrap();
        assert_eq!(
            csv,
            "index,id,input_index,text,label,probability,probability_bad,probability_good\n\
             0,a\t1,9,\"x, \"\"y\"\"\",good,0.75,0.25,0.75\n"
        );
        let keep = Keep::Named(vec!["text".to_owned(), "id".to_owned()]);
        let (tsv, notes) = written(RowFormat::Tsv, keep, &rows).unwrap();
        assert_eq!(
            tsv,
            "index\ttext\tid\tlabel\tprobability\tprobability_bad\tprobability_good\n\
             0\tx, \"y\"\ta 1\tgood\t0.75\t0.25\t0.75\n"
        );
        assert!(notes[0].starts_with("1 cells have tabs"), "{notes:?}");
    }

    #[test]
    fn columns_that_are_not_there() {
        let rows = [json!({"id": 1}), json!({"id": 2, "more": [1]})];
        let keep = Keep::Named(vec!["number".to_owned()]);
        let error = written(RowFormat::Jsonl, keep, &rows).unwrap_err();
        let expected = "the input has no column `number` to keep: name one of `id`";
        assert_eq!(error.to_string(), expected);
        let error = written(RowFormat::Csv, Keep::All, &rows).unwrap_err();
        assert!(
            error.to_string().starts_with("row 2 has the column `more`"),
            "{error}"
        );
        let (jsonl, _) = written(RowFormat::Jsonl, Keep::All, &rows).unwrap();
        assert!(jsonl.contains("\"more\":[1]"));
    }
}
