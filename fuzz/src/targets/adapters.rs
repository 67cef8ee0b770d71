//! Adapter folders, PEFT's and ours.

use std::path::Path;

use beft::{AdapterSet, InferencePrecision, OpenOptions, Predictor, inspect, merge};

use super::{words, written};
use crate::{Format, Sample};

/// The base in `base/`, the adapter in `adapter/`.
fn on(base: &str, adapter: &str, file: &str, format: Format) -> Sample {
    let mut found = Sample::default();
    for (folder, name) in [("base", base), ("adapter", adapter)] {
        found = found.nested(folder, &written(name));
    }
    found.changing(&format!("adapter/{file}"), format)
}

pub(super) fn samples() -> Vec<Sample> {
    let mut found = Vec::new();
    for adapter in [
        "beft-regular-expression",
        "lora-rank-pattern",
        "lora-bias-all",
        "lora-dora",
        "lora-all-linear",
        "lora-pooler-saved",
        "lora-embeddings",
        "layer-norms-excluded",
        "ia3",
        "ia3-regular-expression",
    ] {
        found.push(on("bert", adapter, "adapter_config.json", Format::Json));
        let weights = "adapter_model.safetensors";
        found.push(on("bert", adapter, weights, Format::Safetensors));
    }
    let pickled = on("bert", "lora-pickled", "adapter_model.bin", Format::Zip);
    found.push(pickled);
    for adapter in ["beft-classified", "lora-classified"] {
        let base = "classified-llama";
        found.push(on(base, adapter, "adapter_config.json", Format::Json));
    }
    let ours = on("bert", "beft-regular-expression", "beft.json", Format::Json);
    let facts = r#"{"base": {"name": "bert", "fingerprint": "0123456789abcdef"}, "labels": ["no", "yes"], "task": "text",
        "max_length": 16, "head": {"kind": "classifier"}, "thresholds": [0.5, 0.5], "precision": "f32"}"#;
    found.push(ours.with("adapter/beft.json", facts));
    found
}

pub(super) fn read(given: &Path, out: &Path) -> Result<(), String> {
    let (base, adapter) = (given.join("base"), given.join("adapter"));
    let name = base.display().to_string();
    let device = beft_device::parse_device("flex").map_err(words)?;
    let inspected = inspect(&adapter).map(drop).map_err(words);
    let options = OpenOptions {
        model: Some(&name),
        adapter: Some(&adapter),
        task: Some("text"),
        device: Some(&device),
        ..OpenOptions::default()
    };
    let predicted = Predictor::open(&options)
        .and_then(|predictor| predictor.predict(&["good film".into()]))
        .map_err(words);
    // What predicts can be served and merged, or is refused by name.
    let set = AdapterSet::open(&name, &device, InferencePrecision::default()).map_err(words)?;
    let served = set.load("it", &adapter).map_err(words);
    let merged = merge(&options, out).map_err(words);
    inspected?;
    predicted?;
    served?;
    merged.map(drop)
}
