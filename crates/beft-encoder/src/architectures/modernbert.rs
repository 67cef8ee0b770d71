//! ModernBERT: `ModernBertConfig` in `configuration_modernbert.py`, `ModernBertForSequenceClassification` in
//! `modeling_modernbert.py`. Its checkpoints usually have no biases; its head's dense layer and norm are those of its
//! pretraining.

use beft_checkpoint::rows::{linear, linear_third, same};
use beft_checkpoint::{Fields, HeadTables, KeyTable, MODEL_KEYS, NameTable, TensorName};
use beft_core::{BiasTerm, Pooling};
use serde_json::{Map, Value};

use super::read::{only_gelu, positive, probability, size};
use super::{Architecture, DenseLayer, Protocol};
use crate::EncoderConfig;
use crate::facts::{
    Activation, Distances, Dropouts, HeadConfig, NativeBiases, Order, Positions, RotaryLayers,
    Segments,
};

/// ModernBERT.
pub const MODERNBERT: Architecture = Architecture {
    model_type: "modernbert",
    class_prefix: "ModernBert",
    heads: HeadTables {
        sequence: &NAMES,
        tokens: Some(&NAMES),
        spans: Some(&NAMES),
        backbone: Some(&NameTable {
            head: &[],
            bare: true,
            ..NAMES
        }),
    },
    bias_keys: &[
        (
            "attention_bias",
            &[BiasTerm::Q, BiasTerm::K, BiasTerm::V, BiasTerm::M1],
        ),
        ("mlp_bias", &[BiasTerm::M2, BiasTerm::M3]),
    ],
    keys: &[&MODEL_KEYS, &KEYS],
    protocol: Protocol::Other,
    dense: DenseLayer::Pretrained,
    read,
};

const FULL: &str = "full_attention";
const SLIDING: &str = "sliding_attention";

fn read(fields: &Fields<'_>) -> Result<EncoderConfig, String> {
    let hidden = size(fields, "hidden_size", Some(768))?;
    let layers = size(fields, "num_hidden_layers", Some(22))?;
    let attention = probability(fields, "attention_dropout", 0.0)?;
    let dropout = probability(fields, "classifier_dropout", 0.0)?;
    only_gelu(fields, "hidden_activation")?;
    only_gelu(fields, "classifier_activation")?;
    Ok(EncoderConfig {
        architecture: &MODERNBERT,
        vocab_size: size(fields, "vocab_size", Some(50_368))?,
        hidden_size: hidden,
        embedding_size: hidden,
        num_hidden_layers: layers,
        num_attention_heads: size(fields, "num_attention_heads", Some(12))?,
        intermediate_size: size(fields, "intermediate_size", Some(1152))?,
        max_position_embeddings: size(fields, "max_position_embeddings", Some(8192))?,
        positions: Positions::None,
        segments: Segments::None,
        distances: Distances::Rotary(RotaryLayers {
            theta: theta(fields, FULL, "global_rope_theta", 160_000.0)?,
            near_theta: theta(fields, SLIDING, "local_rope_theta", 10_000.0)?,
            window: window(fields)?,
            near: near_layers(fields, layers)?,
        }),
        order: Order::PreNormGated,
        native: NativeBiases {
            attention: fields.flag_or("attention_bias", false)?,
            feed_forward: fields.flag_or("mlp_bias", false)?,
            norms: fields.flag_or("norm_bias", false)?,
            dense: fields.flag_or("classifier_bias", false)?,
        },
        layer_norm_eps: positive(fields, "norm_eps", 1e-5)?,
        head: HeadConfig {
            pooling: match fields.text_or("classifier_pooling", "cls")? {
                "cls" => Pooling::FirstToken,
                "mean" => Pooling::Mean,
                other => {
                    return Err(format!(
                        "`classifier_pooling` is `{other}`; transformers knows cls and mean: give one of them"
                    ));
                }
            },
            activation: Activation::Gelu,
            norm: true,
            of_tokens: true,
        },
        dropouts: Dropouts {
            embeddings: probability(fields, "embedding_dropout", 0.0)?,
            distances: 0.0,
            attention,
            attention_output: attention,
            wide: probability(fields, "mlp_dropout", 0.0)?,
            output: 0.0,
            head_input: 0.0,
            head: dropout,
            tokens: dropout,
            spans: dropout,
        },
        initializer_range: positive(fields, "initializer_range", 0.02)?,
    })
}

/// The farthest distance that a layer with a window sees: half of `local_attention`, unless `sliding_window` says it.
fn window(fields: &Fields<'_>) -> Result<usize, String> {
    let half = fields.size_or("local_attention", 128)? / 2;
    fields.size_or("sliding_window", half)
}

/// For each layer whether it sees near tokens alone.
fn near_layers(fields: &Fields<'_>, layers: usize) -> Result<Vec<bool>, String> {
    let every = size(fields, "global_attn_every_n_layers", Some(3))?;
    let Some(kinds) = fields.get("layer_types") else {
        return Ok((0..layers).map(|layer| layer % every != 0).collect());
    };
    let wrong = || {
        format!("`layer_types` is {kinds}; it must be a list of {layers} times {FULL} or {SLIDING}")
    };
    let near = |kind: &Value| match kind.as_str() {
        Some(FULL) => Ok(false),
        Some(SLIDING) => Ok(true),
        _ => Err(wrong()),
    };
    let kinds = kinds.as_array().filter(|kinds| kinds.len() == layers);
    kinds.ok_or_else(wrong)?.iter().map(near).collect()
}

/// The base of the frequencies of one kind of layers: `rope_parameters` of transformers 5, or an older key.
fn theta(fields: &Fields<'_>, kind: &str, older: &str, default: f64) -> Result<f64, String> {
    let object = |name: &str, value: Option<&Value>| match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(value) => Err(format!("`{name}` is {value}; it must be an object")),
    };
    let all = object("rope_parameters", fields.get("rope_parameters"))?;
    if let Some(other) = all
        .keys()
        .find(|key| ![FULL, SLIDING].contains(&key.as_str()))
    {
        return Err(format!(
            "`rope_parameters` has `{other}`; it must have {FULL} and {SLIDING}, an object each"
        ));
    }
    let own = object(kind, all.get(kind))?;
    let own = Fields(&own);
    for key in own.0.keys() {
        let kind = own.text_or("rope_type", own.text_or("type", "default")?)?;
        if !["rope_theta", "rope_type", "type"].contains(&key.as_str()) || kind != "default" {
            return Err(format!(
                "`rope_parameters` has `{key}`, a scaling of rotations; `rope_type` default with a `rope_theta` is \
                 implemented: compute such a model with transformers"
            ));
        }
    }
    let theta = own.number_or("rope_theta", fields.number_or(older, default)?)?;
    match theta > 1.0 && theta.is_finite() {
        true => Ok(theta),
        false => Err(format!("`rope_theta` is {theta}; it must be above 1")),
    }
}

/// The decoder's and sparse prediction's keys are another head's; of the last ones nothing reads any more.
const KEYS: KeyTable = KeyTable {
    applied: &[
        "attention_bias",
        "attention_dropout",
        "classifier_activation",
        "classifier_bias",
        "classifier_dropout",
        "classifier_pooling",
        "embedding_dropout",
        "global_attn_every_n_layers",
        "global_rope_theta",
        "hidden_activation",
        "hidden_size",
        "initializer_range",
        "intermediate_size",
        "layer_types",
        "local_attention",
        "local_rope_theta",
        "max_position_embeddings",
        "mlp_bias",
        "mlp_dropout",
        "norm_bias",
        "norm_eps",
        "num_attention_heads",
        "num_hidden_layers",
        "rope_parameters",
        "sliding_window",
    ],
    immaterial: &[
        "cls_token_id",
        "decoder_bias",
        "deterministic_flash_attn",
        "initializer_cutoff_factor",
        "reference_compile",
        "repad_logits_with_grad",
        "sep_token_id",
        "sparse_pred_ignore_index",
        "sparse_prediction",
        "layer_norm_eps",
        "position_embedding_type",
    ],
    only: &[("head_dim", "null"), ("rope_scaling", "null")],
};

/// A bias that the checkpoint may not have: it is zero then.
const fn added(path: &'static str, hf: &'static str) -> TensorName {
    same(path, hf).optional()
}

/// A part of a bias that the checkpoint may not have.
const fn added_third(path: &'static str, hf: &'static str, part: usize) -> TensorName {
    linear_third(path, hf, part).optional()
}

#[rustfmt::skip]
const NAMES: NameTable = NameTable {
    backbone_prefix: "model.",
    rows: &[
        same("encoder.embeddings.word", "model.embeddings.tok_embeddings.weight"),
        same("encoder.embeddings.norm_gamma", "model.embeddings.norm.weight"),
        same("encoder.embeddings.norm_bias", "model.embeddings.norm.bias"),
        linear_third("encoder.layers.{l}.query", "model.layers.{l}.attn.Wqkv.weight", 0),
        linear_third("encoder.layers.{l}.key", "model.layers.{l}.attn.Wqkv.weight", 1),
        linear_third("encoder.layers.{l}.value", "model.layers.{l}.attn.Wqkv.weight", 2),
        added_third("encoder.layers.{l}.biases.q", "model.layers.{l}.attn.Wqkv.bias", 0),
        added_third("encoder.layers.{l}.biases.k", "model.layers.{l}.attn.Wqkv.bias", 1),
        added_third("encoder.layers.{l}.biases.v", "model.layers.{l}.attn.Wqkv.bias", 2),
        linear("encoder.layers.{l}.attention_output", "model.layers.{l}.attn.Wo.weight"),
        added("encoder.layers.{l}.biases.m1", "model.layers.{l}.attn.Wo.bias"),
        same("encoder.layers.{l}.norm1_gamma", "model.layers.{l}.attn_norm.weight"),
        added("encoder.layers.{l}.biases.ln1", "model.layers.{l}.attn_norm.bias"),
        linear("encoder.layers.{l}.intermediate", "model.layers.{l}.mlp.Wi.weight"),
        added("encoder.layers.{l}.biases.m2", "model.layers.{l}.mlp.Wi.bias"),
        linear("encoder.layers.{l}.output", "model.layers.{l}.mlp.Wo.weight"),
        added("encoder.layers.{l}.biases.m3", "model.layers.{l}.mlp.Wo.bias"),
        same("encoder.layers.{l}.norm2_gamma", "model.layers.{l}.mlp_norm.weight"),
        added("encoder.layers.{l}.biases.ln2", "model.layers.{l}.mlp_norm.bias"),
        same("encoder.final_gamma", "model.final_norm.weight"),
        same("encoder.final_bias", "model.final_norm.bias"),
    ],
    head: &[
        linear("pooler.weight", "head.dense.weight").optional(),
        same("pooler.bias", "head.dense.bias").optional(),
        same("pooler_gamma", "head.norm.weight").optional(),
        same("pooler_norm_bias", "head.norm.bias").optional(),
        linear("classifier.weight", "classifier.weight").optional(),
        same("classifier.bias", "classifier.bias").optional(),
    ],
    bare: false,
    ignored: &["decoder.", "*_inv_freq", "head.", "classifier.", "qa_outputs."],
    tied: &[],
};

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<EncoderConfig, String> {
        EncoderConfig::read(&MODERNBERT, value.as_object().unwrap())
    }

    fn rotary(value: Value) -> RotaryLayers {
        match read(value).unwrap().distances {
            Distances::Rotary(rotary) => rotary,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn older_files_say_the_same_as_newer_ones() {
        let usual = rotary(json!({}));
        let near: Vec<usize> = (0..22).filter(|layer| usual.near[*layer]).collect();
        assert_eq!(near[..5], [1, 2, 4, 5, 7]);
        assert_eq!(
            (usual.theta, usual.near_theta, usual.window),
            (160_000.0, 10_000.0, 64)
        );
        let older = json!({"num_hidden_layers": 2, "global_attn_every_n_layers": 2, "local_attention": 10,
            "global_rope_theta": 80_000, "local_rope_theta": 500.0});
        let newer = json!({"num_hidden_layers": 2, "layer_types": [FULL, SLIDING], "sliding_window": 5,
            "rope_parameters": {FULL: {"rope_type": "default", "rope_theta": 80_000.0},
                SLIDING: {"rope_theta": 500}}});
        assert_eq!(rotary(older), rotary(newer));
    }

    #[test]
    fn what_is_not_implemented_is_named() {
        for (value, part) in [
            (json!({"layer_types": [FULL]}), "layer_types"),
            (
                json!({"num_hidden_layers": 1, "layer_types": ["chunked"]}),
                "chunked",
            ),
            (
                json!({"rope_parameters": {"rope_theta": 3.0}}),
                "rope_theta",
            ),
            (
                json!({"rope_parameters": {FULL: {"rope_type": "linear", "factor": 2.0}}}),
                "rope_parameters",
            ),
            (json!({"hidden_activation": "silu"}), "hidden_activation"),
            (
                json!({"classifier_activation": "relu"}),
                "classifier_activation",
            ),
            (json!({"classifier_pooling": "max"}), "classifier_pooling"),
            (
                json!({"global_attn_every_n_layers": 0}),
                "global_attn_every_n_layers",
            ),
            (json!({"global_rope_theta": -1.0}), "rope_theta"),
        ] {
            let error = read(value).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
