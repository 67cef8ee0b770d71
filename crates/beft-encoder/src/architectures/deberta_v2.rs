//! DeBERTa v2 and v3: `DebertaV2Config` in `configuration_deberta_v2.py`, `DebertaV2ForSequenceClassification` in
//! `modeling_deberta_v2.py`.

use beft_checkpoint::rows::{linear, same};
use beft_checkpoint::{Fields, HeadTables, KeyTable, MODEL_KEYS, NameTable};
use serde_json::Value;

use super::read::{Defaults, SHARED_KEYS, bert_like, probability};
use super::{Architecture, DenseLayer, Protocol};
use crate::EncoderConfig;
use crate::facts::{
    Activation, Disentangled, Distances, Dropouts, HeadConfig, Positions, Segments,
};

/// DeBERTa v2 and v3.
pub const DEBERTA_V2: Architecture = Architecture {
    model_type: "deberta-v2",
    class_prefix: "DebertaV2",
    heads: heads!(NAMES),
    bias_keys: &[],
    keys: &[&MODEL_KEYS, &SHARED_KEYS, &KEYS],
    protocol: Protocol::Other,
    dense: DenseLayer::Head,
    read,
};

const DEFAULTS: Defaults = Defaults {
    vocab_size: Some(128_100),
    hidden_size: Some(1536),
    num_hidden_layers: Some(24),
    num_attention_heads: Some(24),
    intermediate_size: Some(6144),
    layer_norm_eps: 1e-7,
};

fn read(fields: &Fields<'_>) -> Result<EncoderConfig, String> {
    let config = bert_like(fields, &DEFAULTS)?;
    let hidden = config.hidden_size;
    for (name, only) in [
        ("embedding_size", hidden),
        ("pooler_hidden_size", hidden),
        ("attention_head_size", hidden / config.num_attention_heads),
        ("conv_kernel_size", 0),
    ] {
        let found = fields.size_or(name, only)?;
        if found != only {
            return Err(format!(
                "`{name}` is {found}; {only} is implemented: compute such a model with transformers"
            ));
        }
    }
    let distances = distances(fields, config.max_position_embeddings)?;
    let dropout = config.dropouts.output;
    Ok(EncoderConfig {
        positions: match fields.flag_or("position_biased_input", true)? {
            true => Positions::FromZero,
            false => Positions::None,
        },
        segments: match fields.size_or("type_vocab_size", 0)? {
            0 => Segments::None,
            segments => Segments::Told(segments),
        },
        head: HeadConfig {
            activation: match fields.text_or("pooler_hidden_act", "gelu")? {
                "gelu" => Activation::Gelu,
                "tanh" => Activation::Tanh,
                "relu" => Activation::Relu,
                other => {
                    return Err(format!(
                        "`pooler_hidden_act` is `{other}`; gelu, tanh and relu are implemented: compute such a model \
                         with transformers"
                    ));
                }
            },
            ..config.head
        },
        dropouts: Dropouts {
            distances: dropout,
            head_input: probability(fields, "pooler_dropout", 0.0)?,
            head: probability(fields, "cls_dropout", dropout)?,
            ..config.dropouts
        },
        distances,
        ..config
    })
}

/// What attention knows of distances; `positions` is the farthest one where the file does not say.
fn distances(fields: &Fields<'_>, positions: usize) -> Result<Distances, String> {
    let parts = parts(fields)?;
    let has = |part: &str| parts.iter().any(|known| known == part);
    let relative = fields.flag_or("relative_attention", false)?;
    if !relative {
        // transformers would still divide scores by the number of parts.
        return match has("c2p") || has("p2c") {
            false => Ok(Distances::None),
            true => Err(
                "`relative_attention` is false, but `pos_att_type` names parts of it: give an empty list"
                    .to_owned(),
            ),
        };
    }
    let whole = |name: &str| match fields.number_or(name, -1.0)? {
        x if x < 1.0 => Ok(None),
        x if x.fract() == 0.0 && x <= f64::from(u32::MAX) => Ok(Some(x as usize)),
        x => Err(format!("`{name}` is {x}; it must be a whole number")),
    };
    let farthest = whole("max_relative_positions")?.unwrap_or(positions);
    let buckets = whole("position_buckets")?;
    if buckets.is_some_and(|buckets| buckets < 4 || farthest <= buckets / 2 + 1) {
        return Err(format!(
            "`position_buckets` is {}, which does not fit distances up to {farthest} (max_relative_positions)",
            buckets.unwrap_or_default()
        ));
    }
    let norms = fields.text_or("norm_rel_ebd", "none")?.to_lowercase();
    let mut norms = norms.split('|').map(str::trim);
    if let Some(other) = norms
        .clone()
        .find(|norm| !["none", "layer_norm"].contains(norm))
    {
        return Err(format!(
            "`norm_rel_ebd` has `{other}`; none and layer_norm are implemented: compute such a model with transformers"
        ));
    }
    Ok(Distances::Disentangled(Disentangled {
        buckets,
        farthest,
        keys: has("c2p"),
        queries: has("p2c"),
        shared: fields.flag_or("share_att_key", false)?,
        norm: norms.any(|norm| norm == "layer_norm"),
    }))
}

/// The parts of attention scores that know distances (`pos_att_type`): a list, or a string with `|` between them.
fn parts(fields: &Fields<'_>) -> Result<Vec<String>, String> {
    let wrong = |value| format!("`pos_att_type` is {value}; it must be a list of c2p and p2c");
    match fields.get("pos_att_type") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => {
            let parts = text.split('|').map(|part| part.trim().to_lowercase());
            Ok(parts.collect())
        }
        Some(value @ Value::Array(list)) => list
            .iter()
            .map(|part| part.as_str().map(str::to_owned).ok_or_else(|| wrong(value)))
            .collect(),
        Some(value) => Err(wrong(value)),
    }
}

/// `legacy` is another head's, and of the convolution's other keys nothing reads without one.
const KEYS: KeyTable = KeyTable {
    applied: &[
        "attention_head_size",
        "cls_dropout",
        "conv_kernel_size",
        "embedding_size",
        "max_relative_positions",
        "norm_rel_ebd",
        "pooler_dropout",
        "pooler_hidden_act",
        "pooler_hidden_size",
        "pos_att_type",
        "position_biased_input",
        "position_buckets",
        "relative_attention",
        "share_att_key",
        "type_vocab_size",
    ],
    immaterial: &["conv_act", "conv_groups", "legacy"],
    only: &[],
};

#[rustfmt::skip]
const NAMES: NameTable = NameTable {
    backbone_prefix: "deberta.",
    rows: &[
        same("encoder.embeddings.word", "deberta.embeddings.word_embeddings.weight"),
        same("encoder.embeddings.position", "deberta.embeddings.position_embeddings.weight"),
        same("encoder.embeddings.token_type", "deberta.embeddings.token_type_embeddings.weight"),
        same("encoder.embeddings.norm_gamma", "deberta.embeddings.LayerNorm.weight"),
        same("encoder.embeddings.norm_bias", "deberta.embeddings.LayerNorm.bias"),
        same("encoder.embeddings.distances", "deberta.encoder.rel_embeddings.weight"),
        same("encoder.embeddings.distances_gamma", "deberta.encoder.LayerNorm.weight"),
        same("encoder.embeddings.distances_bias", "deberta.encoder.LayerNorm.bias"),
        linear("encoder.layers.{l}.query", "deberta.encoder.layer.{l}.attention.self.query_proj.weight"),
        same("encoder.layers.{l}.biases.q", "deberta.encoder.layer.{l}.attention.self.query_proj.bias"),
        linear("encoder.layers.{l}.key", "deberta.encoder.layer.{l}.attention.self.key_proj.weight"),
        same("encoder.layers.{l}.biases.k", "deberta.encoder.layer.{l}.attention.self.key_proj.bias"),
        linear("encoder.layers.{l}.value", "deberta.encoder.layer.{l}.attention.self.value_proj.weight"),
        same("encoder.layers.{l}.biases.v", "deberta.encoder.layer.{l}.attention.self.value_proj.bias"),
        linear("encoder.layers.{l}.distance_key", "deberta.encoder.layer.{l}.attention.self.pos_key_proj.weight"),
        same("encoder.layers.{l}.distance_key_bias", "deberta.encoder.layer.{l}.attention.self.pos_key_proj.bias"),
        linear("encoder.layers.{l}.distance_query", "deberta.encoder.layer.{l}.attention.self.pos_query_proj.weight"),
        same("encoder.layers.{l}.distance_query_bias", "deberta.encoder.layer.{l}.attention.self.pos_query_proj.bias"),
        linear("encoder.layers.{l}.attention_output", "deberta.encoder.layer.{l}.attention.output.dense.weight"),
        same("encoder.layers.{l}.biases.m1", "deberta.encoder.layer.{l}.attention.output.dense.bias"),
        same("encoder.layers.{l}.norm1_gamma", "deberta.encoder.layer.{l}.attention.output.LayerNorm.weight"),
        same("encoder.layers.{l}.biases.ln1", "deberta.encoder.layer.{l}.attention.output.LayerNorm.bias"),
        linear("encoder.layers.{l}.intermediate", "deberta.encoder.layer.{l}.intermediate.dense.weight"),
        same("encoder.layers.{l}.biases.m2", "deberta.encoder.layer.{l}.intermediate.dense.bias"),
        linear("encoder.layers.{l}.output", "deberta.encoder.layer.{l}.output.dense.weight"),
        same("encoder.layers.{l}.biases.m3", "deberta.encoder.layer.{l}.output.dense.bias"),
        same("encoder.layers.{l}.norm2_gamma", "deberta.encoder.layer.{l}.output.LayerNorm.weight"),
        same("encoder.layers.{l}.biases.ln2", "deberta.encoder.layer.{l}.output.LayerNorm.bias"),
    ],
    head: &[
        linear("pooler.weight", "pooler.dense.weight").optional(),
        same("pooler.bias", "pooler.dense.bias").optional(),
        linear("classifier.weight", "classifier.weight").optional(),
        same("classifier.bias", "classifier.bias").optional(),
    ],
    bare: false,
    ignored: &["embeddings.position_ids", "embeddings.position_embeddings.", "cls.", "lm_predictions.", "mask_predictions.", "pooler.", "classifier.", "qa_outputs."],
    tied: &[],
};

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<EncoderConfig, String> {
        EncoderConfig::read(&DEBERTA_V2, value.as_object().unwrap())
    }

    #[test]
    fn a_file_of_v3_is_read() {
        let v3 = json!({"relative_attention": true, "position_buckets": 256, "norm_rel_ebd": "layer_norm",
            "share_att_key": true, "pos_att_type": "p2c|c2p", "max_relative_positions": -1,
            "position_biased_input": false, "type_vocab_size": 0, "hidden_size": 768, "num_attention_heads": 12});
        let config = read(v3).unwrap();
        let expected = Disentangled {
            buckets: Some(256),
            farthest: 512,
            keys: true,
            queries: true,
            shared: true,
            norm: true,
        };
        assert_eq!(config.distances, Distances::Disentangled(expected));
        assert_eq!(
            (config.positions, config.segments),
            (Positions::None, Segments::None)
        );
        assert!(!config.ignores_key_bias());
    }

    #[test]
    fn what_is_not_implemented_is_named() {
        for (value, part) in [
            (json!({"conv_kernel_size": 3}), "conv_kernel_size"),
            (json!({"embedding_size": 128}), "embedding_size"),
            (json!({"pooler_hidden_size": 3}), "pooler_hidden_size"),
            (json!({"attention_head_size": 3}), "attention_head_size"),
            (json!({"pooler_hidden_act": "mish"}), "pooler_hidden_act"),
            (json!({"pos_att_type": ["c2p"]}), "relative_attention"),
            (
                json!({"relative_attention": true, "pos_att_type": 3}),
                "pos_att_type",
            ),
            (
                json!({"relative_attention": true, "norm_rel_ebd": "batch"}),
                "norm_rel_ebd",
            ),
            (
                json!({"relative_attention": true, "position_buckets": 2000}),
                "position_buckets",
            ),
            (
                json!({"relative_attention": true, "position_buckets": 2.5}),
                "position_buckets",
            ),
        ] {
            let error = read(value).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
