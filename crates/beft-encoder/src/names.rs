use beft_checkpoint::NameTable;
use beft_checkpoint::rows::{linear, same};

/// The rows of the backbone, which BERT and RoBERTa share but for the prefix, and those of the head.
macro_rules! rows {
    ($prefix:literal, $($head:expr),+ $(,)?) => {
        &[
            same("encoder.embeddings.word", concat!($prefix, "embeddings.word_embeddings.weight")),
            same("encoder.embeddings.position", concat!($prefix, "embeddings.position_embeddings.weight")),
            same("encoder.embeddings.token_type", concat!($prefix, "embeddings.token_type_embeddings.weight")),
            same("encoder.embeddings.norm_gamma", concat!($prefix, "embeddings.LayerNorm.weight")),
            same("encoder.embeddings.norm_bias", concat!($prefix, "embeddings.LayerNorm.bias")),
            linear("encoder.layers.{l}.query", concat!($prefix, "encoder.layer.{l}.attention.self.query.weight")),
            same("encoder.layers.{l}.biases.q", concat!($prefix, "encoder.layer.{l}.attention.self.query.bias")),
            linear("encoder.layers.{l}.key", concat!($prefix, "encoder.layer.{l}.attention.self.key.weight")),
            same("encoder.layers.{l}.biases.k", concat!($prefix, "encoder.layer.{l}.attention.self.key.bias")),
            linear("encoder.layers.{l}.value", concat!($prefix, "encoder.layer.{l}.attention.self.value.weight")),
            same("encoder.layers.{l}.biases.v", concat!($prefix, "encoder.layer.{l}.attention.self.value.bias")),
            linear("encoder.layers.{l}.attention_output", concat!($prefix, "encoder.layer.{l}.attention.output.dense.weight")),
            same("encoder.layers.{l}.biases.m1", concat!($prefix, "encoder.layer.{l}.attention.output.dense.bias")),
            same("encoder.layers.{l}.norm1_gamma", concat!($prefix, "encoder.layer.{l}.attention.output.LayerNorm.weight")),
            same("encoder.layers.{l}.biases.ln1", concat!($prefix, "encoder.layer.{l}.attention.output.LayerNorm.bias")),
            linear("encoder.layers.{l}.intermediate", concat!($prefix, "encoder.layer.{l}.intermediate.dense.weight")),
            same("encoder.layers.{l}.biases.m2", concat!($prefix, "encoder.layer.{l}.intermediate.dense.bias")),
            linear("encoder.layers.{l}.output", concat!($prefix, "encoder.layer.{l}.output.dense.weight")),
            same("encoder.layers.{l}.biases.m3", concat!($prefix, "encoder.layer.{l}.output.dense.bias")),
            same("encoder.layers.{l}.norm2_gamma", concat!($prefix, "encoder.layer.{l}.output.LayerNorm.weight")),
            same("encoder.layers.{l}.biases.ln2", concat!($prefix, "encoder.layer.{l}.output.LayerNorm.bias")),
            $($head),+
        ]
    };
}

/// Parameter paths and HF tensor names of BERT with pooler and classification head
/// (`BertForSequenceClassification` in `modeling_bert.py`).
#[rustfmt::skip]
pub const BERT_NAMES: NameTable = NameTable {
    backbone_prefix: "bert.",
    rows: rows!["bert.",
        linear("pooler.weight", "bert.pooler.dense.weight").optional(),
        same("pooler.bias", "bert.pooler.dense.bias").optional(),
        linear("classifier.weight", "classifier.weight").optional(),
        same("classifier.bias", "classifier.bias").optional(),
    ],
    ignored: &["embeddings.position_ids", "embeddings.token_type_ids", "cls."],
    tied: &[],
};

/// Parameter paths and HF tensor names of RoBERTa with classification head
/// (`RobertaForSequenceClassification` in `modeling_roberta.py`). Its head has a dense layer of its
/// own where BERT has the pooler.
#[rustfmt::skip]
pub const ROBERTA_NAMES: NameTable = NameTable {
    backbone_prefix: "roberta.",
    rows: rows!["roberta.",
        linear("pooler.weight", "classifier.dense.weight").optional(),
        same("pooler.bias", "classifier.dense.bias").optional(),
        linear("classifier.weight", "classifier.out_proj.weight").optional(),
        same("classifier.bias", "classifier.out_proj.bias").optional(),
    ],
    ignored: &["embeddings.position_ids", "embeddings.token_type_ids", "pooler.", "lm_head."],
    tied: &[],
};

/// The names of the masked-language-modelling head (`BertForMaskedLM`), for the backbone's see
/// [`BERT_NAMES`]. The output weights are the word embeddings (tied).
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
    tied: &[],
};
