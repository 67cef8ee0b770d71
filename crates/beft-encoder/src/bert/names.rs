use beft_checkpoint::{NameTable, Stored, TensorName};

const fn same(path: &'static str, hf: &'static str) -> TensorName {
    TensorName {
        path,
        hf,
        stored: Stored::Same,
        optional: false,
    }
}

const fn linear(path: &'static str, hf: &'static str) -> TensorName {
    TensorName {
        path,
        hf,
        stored: Stored::Transposed,
        optional: false,
    }
}

/// A part that checkpoints saved without this head do not hold.
const fn optional(name: TensorName) -> TensorName {
    TensorName {
        optional: true,
        ..name
    }
}

/// Parameter paths and HF tensor names of BERT with pooler and classification head
/// (`BertForSequenceClassification` in `modeling_bert.py`).
#[rustfmt::skip]
pub const SEQUENCE_CLASSIFICATION_NAMES: NameTable = NameTable {
    backbone_prefix: "bert.",
    rows: &[
        same("bert.embeddings.word", "bert.embeddings.word_embeddings.weight"),
        same("bert.embeddings.position", "bert.embeddings.position_embeddings.weight"),
        same("bert.embeddings.token_type", "bert.embeddings.token_type_embeddings.weight"),
        same("bert.embeddings.norm_gamma", "bert.embeddings.LayerNorm.weight"),
        same("bert.embeddings.norm_bias", "bert.embeddings.LayerNorm.bias"),
        linear("bert.layers.{l}.query", "bert.encoder.layer.{l}.attention.self.query.weight"),
        same("bert.layers.{l}.biases.q", "bert.encoder.layer.{l}.attention.self.query.bias"),
        linear("bert.layers.{l}.key", "bert.encoder.layer.{l}.attention.self.key.weight"),
        same("bert.layers.{l}.biases.k", "bert.encoder.layer.{l}.attention.self.key.bias"),
        linear("bert.layers.{l}.value", "bert.encoder.layer.{l}.attention.self.value.weight"),
        same("bert.layers.{l}.biases.v", "bert.encoder.layer.{l}.attention.self.value.bias"),
        linear("bert.layers.{l}.attention_output", "bert.encoder.layer.{l}.attention.output.dense.weight"),
        same("bert.layers.{l}.biases.m1", "bert.encoder.layer.{l}.attention.output.dense.bias"),
        same("bert.layers.{l}.norm1_gamma", "bert.encoder.layer.{l}.attention.output.LayerNorm.weight"),
        same("bert.layers.{l}.biases.ln1", "bert.encoder.layer.{l}.attention.output.LayerNorm.bias"),
        linear("bert.layers.{l}.intermediate", "bert.encoder.layer.{l}.intermediate.dense.weight"),
        same("bert.layers.{l}.biases.m2", "bert.encoder.layer.{l}.intermediate.dense.bias"),
        linear("bert.layers.{l}.output", "bert.encoder.layer.{l}.output.dense.weight"),
        same("bert.layers.{l}.biases.m3", "bert.encoder.layer.{l}.output.dense.bias"),
        same("bert.layers.{l}.norm2_gamma", "bert.encoder.layer.{l}.output.LayerNorm.weight"),
        same("bert.layers.{l}.biases.ln2", "bert.encoder.layer.{l}.output.LayerNorm.bias"),
        optional(linear("pooler.weight", "bert.pooler.dense.weight")),
        optional(same("pooler.bias", "bert.pooler.dense.bias")),
        optional(linear("classifier.weight", "classifier.weight")),
        optional(same("classifier.bias", "classifier.bias")),
    ],
    ignored: &["embeddings.position_ids", "embeddings.token_type_ids", "cls."],
};

/// The names of the masked-language-modelling head (`BertForMaskedLM`), for the backbone's see
/// [`SEQUENCE_CLASSIFICATION_NAMES`]. The output weights are the word embeddings (tied).
#[rustfmt::skip]
pub const MASKED_LM_NAMES: NameTable = NameTable {
    backbone_prefix: "bert.",
    rows: &[
        linear("transform", "cls.predictions.transform.dense.weight"),
        same("transform_bias", "cls.predictions.transform.dense.bias"),
        same("norm_gamma", "cls.predictions.transform.LayerNorm.weight"),
        same("norm_bias", "cls.predictions.transform.LayerNorm.bias"),
        same("output_bias", "cls.predictions.bias"),
    ],
    ignored: &["bert.", "classifier."],
};
