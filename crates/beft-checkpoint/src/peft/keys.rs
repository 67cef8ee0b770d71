//! What is done with each key of an `adapter_config.json`, by PEFT's type.

use super::config::PeftType;
use crate::KeyTable;

/// Keys of every type (`PeftConfigMixin` in `config.py`).
const COMMON: KeyTable = KeyTable {
    applied: &[
        "base_model_name_or_path",
        "modules_to_save",
        "peft_type",
        "revision",
        "task_type",
    ],
    immaterial: &["auto_mapping", "inference_mode", "peft_version"],
    only: &[],
};

/// `BeftConfig`. What `init_weights` draws is replaced by the file's values: every target must have them.
const BEFT: KeyTable = KeyTable {
    applied: &["target_modules"],
    immaterial: &["init_weights"],
    only: &[],
};

/// `LoraConfig`. The settings of initialisations matter only together with `init_lora_weights`, which is
/// checked by itself, and dropout not at all after training.
const LORA: KeyTable = KeyTable {
    applied: &[
        "alpha_pattern",
        "bias",
        "exclude_modules",
        "init_lora_weights",
        "layers_pattern",
        "layers_to_transform",
        "lora_alpha",
        "lora_bias",
        "r",
        "rank_pattern",
        "target_modules",
        "use_dora",
        "use_rslora",
    ],
    immaterial: &[
        "corda_config",
        "eva_config",
        // PEFT sets it by the kind of module, as we do.
        "fan_in_fan_out",
        "loftq_config",
        "lora_dropout",
        "lora_ga_config",
        "megatron_core",
        "qalora_group_size",
        "runtime_config",
    ],
    only: &[
        ("alora_invocation_tokens", "null"),
        ("arrow_config", "null"),
        ("ensure_weight_tying", "false"),
        ("kasa_config", "null"),
        ("layer_replication", "null"),
        ("megatron_config", "null"),
        ("monteclora_config", "null"),
        ("target_parameters", "null"),
        ("trainable_token_indices", "null"),
        ("use_bdlora", "null"),
        ("use_bdlora", "false"),
        ("use_qalora", "false"),
        ("velora_config", "null"),
    ],
};

/// `PrefixTuningConfig`. Without the projection its encoder has no width.
const PREFIX_TUNING: KeyTable = KeyTable {
    applied: &[
        "num_attention_heads",
        "num_layers",
        "num_virtual_tokens",
        "token_dim",
    ],
    immaterial: &["encoder_hidden_size", "init_weights"],
    only: &[
        ("num_transformer_submodules", "1"),
        ("prefix_projection", "false"),
    ],
};

/// The tables that an adapter's keys are checked against.
pub(crate) fn adapter_keys(kind: PeftType) -> [&'static KeyTable; 2] {
    let own = match kind {
        PeftType::Beft => &BEFT,
        PeftType::Lora => &LORA,
        PeftType::PrefixTuning => &PREFIX_TUNING,
    };
    [&COMMON, own]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_files::reference_keys;

    #[test]
    fn every_key_that_peft_writes_stands_in_one_table() {
        let kinds = reference_keys("adapter_config.json");
        assert_eq!(kinds.len(), PeftType::ALL.len());
        for (name, keys) in kinds {
            let kind = PeftType::named(&name).unwrap();
            for key in keys.keys() {
                let tables = adapter_keys(kind).into_iter();
                let count = tables.filter(|table| table.names(key)).count();
                assert_eq!(count, 1, "{name}: {key}");
            }
        }
    }

    #[test]
    fn peft_s_defaults_are_implemented() {
        for (name, keys) in reference_keys("adapter_config.json") {
            let kind = PeftType::named(&name).unwrap();
            let unknown = KeyTable::check(&adapter_keys(kind), &keys).unwrap();
            assert!(unknown.is_empty(), "{name}: {unknown:?}");
        }
    }
}
