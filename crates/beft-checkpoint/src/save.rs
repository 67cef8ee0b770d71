use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;

use beft_core::{BiasTerm, Outputs};
use beft_files::{OwnFiles, check_replaceable, write_dir_atomic};
use beft_nn::{BiasModel, ParamPath, read_params};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value, json};

use crate::sentence::SENTENCE_FILES;
use crate::{CheckpointError, HeadTensor, ModelDir, NameTable, Stored, TOKENIZER_FILES};

/// The file with our own facts beside an adapter or a tuned model.
pub const ADAPTER_SIDECAR: &str = "beft.json";

/// The key that says what the outputs of a head stand for, and its value where several labels may hold.
pub const PROBLEM: &str = "problem_type";
/// See [`PROBLEM`].
pub const MULTI_LABEL: &str = "multi_label_classification";

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const WRITTEN: &[&str] = &[CONFIG, WEIGHTS, ADAPTER_SIDECAR];

/// The files of a model folder that may be saved over: ours, and the tokenizer's.
fn names() -> Vec<&'static str> {
    let kept = TOKENIZER_FILES.iter().chain(&SENTENCE_FILES);
    WRITTEN
        .iter()
        .chain(kept)
        .chain(&[GENERATION])
        .copied()
        .collect()
}

/// A merged or trained model has facts beside it, unlike any that others made.
fn own<'a>(names: &'a [&'a str]) -> OwnFiles<'a> {
    let mark = ADAPTER_SIDECAR;
    OwnFiles { names, mark }
}

/// A whole model that is saved in Hugging Face layout.
#[derive(Debug)]
pub struct WholeModel<'a, M> {
    /// The base, whose config and tokenizer are kept.
    pub base: &'a ModelDir,
    /// HF's class of the model.
    pub class: &'a str,
    /// The weights.
    pub module: &'a M,
    /// Their names.
    pub table: &'a NameTable,
    /// What the outputs stand for.
    pub outputs: &'a Outputs,
    /// Facts of our own, for `beft.json`.
    pub facts: &'a Map<String, Value>,
    /// Keys of config.json that have another value than the base's.
    pub config: Map<String, Value>,
    /// Terms whose biases are saved although the base lacks them.
    pub added: Vec<BiasTerm>,
    /// Names and lengths of further biases of zeros.
    pub zeros: Vec<(String, usize)>,
}

/// A file of a model folder that is kept as it is, beside the tokenizer's.
const GENERATION: &str = "generation_config.json";

/// Writes a whole model in Hugging Face layout: the base's config and tokenizer, all weights but added biases, and facts
/// of our own in `beft.json`. The folder appears when it is complete; an earlier one of that kind is replaced.
///
/// # Errors
///
/// When the base cannot be read or the folder cannot be written.
pub fn save_model<M: BiasModel>(
    dir: &Path,
    whole: &WholeModel<'_, M>,
) -> Result<(), CheckpointError> {
    let (base, module, table) = (whole.base, whole.module, whole.table);
    let mut config: Map<String, Value> = base.config()?;
    config.insert("architectures".to_owned(), json!([whole.class]));
    // The weights are f32.
    config.remove("torch_dtype");
    config.insert("dtype".to_owned(), json!("float32"));
    name_outputs(&mut config, whole.outputs);
    config.extend(whole.config.clone());

    // Parts of one tensor follow one another.
    let mut parts: BTreeMap<(String, usize), (Stored, HeadTensor)> = BTreeMap::new();
    let added = |path: &ParamPath| path.term().is_some_and(|term| whole.added.contains(&term));
    let saved = |path: &ParamPath| !module.is_added(path) || added(path);
    for (path, data) in read_params(module, saved) {
        if let Some((row, name)) = table.by_path(&path) {
            let part = row.stored.part().unwrap_or(0);
            let tensor = HeadTensor::from_param(&data, row.stored);
            parts.insert((name, part), (row.stored, tensor));
        }
    }
    let mut tensors: BTreeMap<String, HeadTensor> = BTreeMap::new();
    for ((name, _), (stored, part)) in parts {
        match tensors.get_mut(&name) {
            None => {
                tensors.insert(name, part);
            }
            Some(whole) => whole.append(part, stored),
        }
    }
    for (name, length) in &whole.zeros {
        let zeros = HeadTensor {
            shape: vec![*length],
            values: vec![0.0; *length],
        };
        tensors.entry(name.clone()).or_insert(zeros);
    }
    let tensors = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor.shape.as_slice(), &tensor.values[..]));
    let weights = tensor_file(tensors).map_err(CheckpointError::io("write", dir))?;

    let pretty = |value: &Map<String, Value>| -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
        text.push(b'\n');
        text
    };
    let mut files = vec![
        (CONFIG, pretty(&config)),
        (WEIGHTS, weights),
        (ADAPTER_SIDECAR, pretty(whole.facts)),
    ];
    files.extend(base.sentence_files()?);
    for name in TOKENIZER_FILES.into_iter().chain([GENERATION]) {
        let path = base.path().join(name);
        if path.is_file() {
            let file = fs::read(&path).map_err(CheckpointError::io("read", &path))?;
            files.push((name, file));
        }
    }
    write_dir_atomic(dir, &files, &own(&names())).map_err(CheckpointError::io("write", dir))
}

/// Writes what the outputs stand for into a config.
fn name_outputs(config: &mut Map<String, Value>, outputs: &Outputs) {
    let problem = match outputs {
        // The config says nothing of them.
        Outputs::Text | Outputs::Span | Outputs::Embedding => return,
        Outputs::Labels(_) => Some(MULTI_LABEL),
        Outputs::Value => Some("regression"),
        // transformers asks it of texts only.
        Outputs::Tags(_) => {
            config.remove(PROBLEM);
            None
        }
        // What transformers takes it for where nothing is said.
        Outputs::Classes(_) => config.get(PROBLEM).map(|_| "single_label_classification"),
    };
    // The names are as many as the classes now.
    for stale in ["num_labels", "_num_labels"] {
        config.remove(stale);
    }
    let names = outputs.names().iter().enumerate();
    let ids: Map<String, Value> = names.clone().map(|(i, l)| (l.clone(), json!(i))).collect();
    let names: Map<String, Value> = names.map(|(i, l)| (i.to_string(), json!(l))).collect();
    let (names, ids) = match names.is_empty() {
        true => (json!({"0": "LABEL_0"}), json!({"LABEL_0": 0})),
        false => (Value::Object(names), Value::Object(ids)),
    };
    config.insert("id2label".to_owned(), names);
    config.insert("label2id".to_owned(), ids);
    if let Some(problem) = problem {
        config.insert(PROBLEM.to_owned(), json!(problem));
    }
}

/// The bytes of a safetensors file with these `f32` tensors: name, shape, values.
///
/// # Errors
///
/// When a shape does not fit its values.
pub fn tensor_file<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a [usize], &'a [f32])>,
) -> io::Result<Vec<u8>> {
    let bytes = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect();
    let tensors: Vec<(&str, &[usize], Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, shape, values)| (name, shape, bytes(values)))
        .collect();
    let mut views = Vec::with_capacity(tensors.len());
    for (name, shape, bytes) in &tensors {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes);
        views.push((*name, view.map_err(io::Error::other)?));
    }
    // HF refuses files without the format.
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(format)).map_err(io::Error::other)
}

/// Fails if `dir` exists and is not a folder that [`save_model`] may replace.
///
/// # Errors
///
/// When it is a file, or holds anything else.
pub fn check_model_target(dir: &Path) -> Result<(), CheckpointError> {
    check_replaceable(dir, &own(&names())).map_err(CheckpointError::io("write", dir))
}
