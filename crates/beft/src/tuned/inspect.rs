//! What a folder holds, without its base.

use std::path::Path;

use beft_checkpoint::ModelDir;
use beft_modes::{ADAPTER_CONFIG, Adapter};
use serde::Serialize;
use serde_json::{Map, Value};

use super::Sidecar;
use crate::Error;
use crate::table::{Align, Document, Table};

/// What an adapter folder, or that of a whole model, holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The name of PEFT's type of adapter, or of HF's class of a whole model.
    pub peft_type: String,
    /// The base model that it names; empty for a whole model.
    pub base_model: String,
    /// What `beft.json` says: task, labels, settings; nothing of an adapter that PEFT wrote.
    pub facts: Map<String, Value>,
    /// Number of values.
    pub values: usize,
    /// Size of the folder's files in bytes.
    pub bytes: u64,
    /// The tensors.
    pub tensors: Vec<InspectedTensor>,
}

/// A tensor of an adapter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InspectedTensor {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The Euclidean norm: of a bias that of its change.
    pub norm: f64,
    /// Whether it is part of the head.
    pub head: bool,
}

/// Reads what an adapter folder holds, without its base, or what the folder of a whole model holds.
///
/// # Errors
///
/// When it is neither, or cannot be read.
pub fn inspect(dir: &Path) -> Result<Inspection, Error> {
    if !dir.join(ADAPTER_CONFIG).is_file() && dir.join("config.json").is_file() {
        return whole(dir);
    }
    let adapter = Adapter::load(dir)?;
    Sidecar::of_adapter(&adapter, dir)?;
    let tensors = adapter.tensors().into_iter().map(|tensor| InspectedTensor {
        name: tensor.name,
        shape: tensor.shape,
        norm: tensor.norm,
        head: tensor.head,
    });
    let tensors: Vec<InspectedTensor> = tensors.collect();
    Ok(Inspection {
        peft_type: adapter.peft_type().to_owned(),
        base_model: adapter.base_model.clone(),
        values: tensors
            .iter()
            .map(|t| t.shape.iter().product::<usize>())
            .sum(),
        bytes: bytes_of(dir),
        facts: adapter.facts,
        tensors,
    })
}

/// What the folder of a whole model holds.
fn whole(dir: &Path) -> Result<Inspection, Error> {
    let model = ModelDir::open(dir)?;
    let config: Map<String, Value> = model.config()?;
    let files = model.tensors()?;
    let mut tensors = Vec::new();
    for name in files.names() {
        let values = files.read(name)?;
        let squares: f64 = values.iter().map(|value| f64::from(*value).powi(2)).sum();
        tensors.push(InspectedTensor {
            name: name.to_owned(),
            shape: files.shape(name).unwrap_or_default().to_vec(),
            norm: squares.sqrt(),
            head: false,
        });
    }
    let classes = config.get("architectures").and_then(Value::as_array);
    let class = classes.and_then(|classes| classes.first()?.as_str());
    Ok(Inspection {
        peft_type: class.unwrap_or("model").to_owned(),
        base_model: String::new(),
        values: { tensors.iter() }
            .map(|t| t.shape.iter().product::<usize>())
            .sum(),
        bytes: bytes_of(dir),
        facts: model.facts()?,
        tensors,
    })
}

fn bytes_of(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = files.filter_map(|file| file.metadata().ok());
    sizes.map(|file| file.len()).sum()
}

impl Inspection {
    /// The same for people.
    pub fn document(&self) -> Document {
        let mut out = Document::default();
        let mut table = Table::new([("", Align::Left), ("", Align::Left)]);
        let mut line = |name: &str, value: String| table.rows.push(vec![name.into(), value.into()]);
        line("type", self.peft_type.clone());
        if !self.base_model.is_empty() {
            line("base model", self.base_model.clone());
        }
        for (name, value) in &self.facts {
            if let Some(text) = plain(value) {
                line(name, text);
            }
        }
        if let Some(Value::Object(task)) = self.facts.get("task_definition") {
            for key in [
                "kind",
                "text_columns",
                "pair_columns",
                "label_columns",
                "metrics",
            ] {
                if let Some(text) = task.get(key).and_then(columns) {
                    line(&format!("task: {key}"), text);
                }
            }
        }
        line("values", self.values.to_string());
        line("bytes", self.bytes.to_string());
        out.table(table);
        let columns = [
            ("tensor", Align::Left),
            ("shape", Align::Right),
            ("norm", Align::Right),
        ];
        let mut table = Table::new(columns);
        for tensor in &self.tensors {
            let shape: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
            let name = match tensor.head {
                true => format!("{} (head)", tensor.name),
                false => tensor.name.clone(),
            };
            let norm = format!("{:.4}", tensor.norm);
            table
                .rows
                .push(vec![name.into(), shape.join(" x ").into(), norm.into()]);
        }
        out.table(table);
        out
    }
}

/// A fact on one line; nothing for what is nested.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Null | Value::Object(_) => None,
        Value::Array(values) => {
            let values: Option<Vec<String>> = values.iter().map(plain).collect();
            Some(values?.join(", "))
        }
        other => Some(other.to_string()),
    }
}

/// Names of columns, whichever way they are read; nothing for none.
fn columns(value: &Value) -> Option<String> {
    let names = match value {
        Value::Object(ways) => ways.values().next()?,
        names => names,
    };
    plain(names).filter(|text| !text.is_empty())
}
