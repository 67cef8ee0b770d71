//! An adapter and its base as one model.

use std::path::Path;

use beft_checkpoint::{WholeModel, check_model_target, save_model};
use beft_core::{BiasSite, BiasTerm};
use beft_nn::{BiasModel, read_params};
use serde_json::{Map, Value};

use super::{InferencePrecision, OpenOptions, open_tuned};
use crate::{Error, Model};

/// Writes an adapter and its base into the folder `out` as one model, which `AutoModel…from_pretrained` loads with the
/// same results. Weights are f32. Biases that the base lacks are switched on in config.json where a key does that.
///
/// # Errors
///
/// When either cannot be read, there is no adapter, or what it holds has no place in such a model; when the folder
/// cannot be written.
pub fn merge(options: &OpenOptions<'_>, out: &Path) -> Result<Vec<String>, Error> {
    let Some(adapter) = options.adapter else {
        return Err(Error::NothingToMerge);
    };
    check_model_target(out)?;
    // The merged model is for any precision.
    let tuned = open_tuned(&OpenOptions {
        precision: Some(InferencePrecision::default()),
        ..*options
    })?;
    let base = tuned.base.dir().path();
    if out.exists() && out.canonicalize().ok() == base.canonicalize().ok() {
        return Err(Error::IntoBase(base.to_owned()));
    }
    let model = &*tuned.model;
    let unmergeable = |what: String| Error::Unmergeable {
        adapter: adapter.to_owned(),
        what,
    };
    if model
        .generator()
        .is_some_and(|model| model.prefix_len() > 0)
    {
        return Err(unmergeable("keys and values before the input".to_owned()));
    }
    let keys = keys_of_added(model).map_err(unmergeable)?;
    let added: Vec<BiasTerm> = keys.iter().flat_map(|(_, terms)| *terms).copied().collect();
    let switched = |(key, _): &(&str, _)| ((*key).to_owned(), Value::Bool(true));
    let whole = WholeModel {
        base: tuned.base.dir(),
        class: &model.hf_class(),
        module: model,
        table: model.names(),
        outputs: &tuned.outputs,
        facts: &tuned.facts,
        config: keys.iter().map(switched).collect::<Map<_, _>>(),
        zeros: gates(model, &added),
        added,
    };
    save_model(out, &whole)?;
    Ok(tuned.notes)
}

/// A key of config.json with the terms that it gives biases.
type BiasKey = (&'static str, &'static [BiasTerm]);

/// The keys of config.json that give a model the biases which its base lacks, and which are not zero.
fn keys_of_added(model: &Model) -> Result<Vec<BiasKey>, String> {
    let added = read_params(model, |path| model.is_added(path));
    let mut keys: Vec<BiasKey> = Vec::new();
    for site in BiasSite::all(model.num_layers()) {
        let path = model.site_path(site);
        let moved = added.get(&path);
        if !moved.is_some_and(|data| data.values.iter().any(|value| *value != 0.0)) {
            continue;
        }
        let known = model.bias_keys().iter();
        let key = known.copied().find(|(_, terms)| terms.contains(&site.term));
        let name = || model.names().by_path(&path).map(|(_, name)| name);
        let key = key.ok_or_else(|| {
            format!(
                "the bias `{}`, which such a model cannot have",
                name().unwrap_or_else(|| path.to_string())
            )
        })?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// The biases of gates, which come with those of the feed-forward block, by their names in a checkpoint.
fn gates(model: &Model, added: &[BiasTerm]) -> Vec<(String, usize)> {
    let decoder = match model {
        Model::Decoder(model) => &model.decoder,
        Model::DecoderWithHead(model) => &model.decoder,
        Model::Encoder(_) => return Vec::new(),
    };
    if !added.contains(&BiasTerm::M2) {
        return Vec::new();
    }
    let missing = decoder.missing_gate_biases().into_iter();
    let named = missing.filter_map(|(path, wide)| Some((model.names().by_path(&path)?.1, wide)));
    named.collect()
}
