//! Files that the unit tests write.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Map, Value};

/// Writes `f32` tensors given as (name, shape, values).
pub(crate) fn write_tensors(path: &Path, tensors: &[(&str, &[usize], &[f32])]) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, v)| v.iter().flat_map(|x| x.to_le_bytes()).collect())
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
        (
            *name,
            TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap(),
        )
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// The keys of a config file by kind, as `xtask/python/config_fields.py` lists them.
pub(crate) fn reference_keys(file: &str) -> BTreeMap<String, Map<String, Value>> {
    let mut all: BTreeMap<String, Value> =
        serde_json::from_str(include_str!("../tests/reference/keys.json")).unwrap();
    serde_json::from_value(all.remove(file).unwrap()).unwrap()
}
