use std::fs;

use beft_checkpoint::{CheckpointError, KeyTable, ModelDir};
use serde_json::{Map, Value};

use crate::{DecoderConfig, GenerateOptions};
use beft_checkpoint::Fields;

const FILE: &str = "generation_config.json";

/// Keys of `GenerationConfig` (`configuration_utils.py` in HF's `generation`). How tokens are
/// chosen and how many there are is given by who generates, so that what the file says of that does not matter.
const KEYS: KeyTable = KeyTable {
    applied: &[
        "bos_token_id",
        "eos_token_id",
        "min_length",
        "min_new_tokens",
        "repetition_penalty",
    ],
    immaterial: &[
        "_from_model_config",
        "assistant_confidence_threshold",
        "assistant_early_exit",
        "assistant_ensemble_weight",
        "assistant_lookbehind",
        "cache_config",
        "cache_implementation",
        "chat_format",
        "compile_config",
        "continuous_batching_config",
        "decoder_start_token_id",
        "disable_compile",
        "diversity_penalty",
        "do_sample",
        "early_stopping",
        "encoder_no_repeat_ngram_size",
        "epsilon_cutoff",
        "eta_cutoff",
        "is_assistant",
        "length_penalty",
        "low_memory",
        "max_cache_len",
        "max_length",
        "max_matching_ngram_size",
        "max_new_tokens",
        "min_p",
        "num_assistant_tokens",
        "num_assistant_tokens_schedule",
        "output_attentions",
        "output_hidden_states",
        "output_logits",
        "output_scores",
        "pad_token_id",
        "prefill_chunk_size",
        "prompt_lookup_num_tokens",
        "remove_invalid_values",
        "renormalize_logits",
        "return_dict_in_generate",
        "speculation_type",
        "target_lookbehind",
        "temperature",
        "top_h",
        "top_k",
        "top_p",
        "transformers_version",
        "typical_p",
        "use_cache",
        "use_mtp",
    ],
    only: &[
        ("bad_words_ids", "null"),
        ("begin_suppress_tokens", "null"),
        ("constraints", "null"),
        ("dola_layers", "null"),
        ("encoder_repetition_penalty", "1.0"),
        ("exponential_decay_length_penalty", "null"),
        ("force_words_ids", "null"),
        ("forced_bos_token_id", "null"),
        ("forced_eos_token_id", "null"),
        ("guidance_scale", "1.0"),
        ("max_time", "null"),
        ("no_repeat_ngram_size", "0"),
        ("num_beam_groups", "1"),
        ("num_beams", "1"),
        ("num_return_sequences", "1"),
        ("penalty_alpha", "0"),
        ("sequence_bias", "null"),
        ("stop_strings", "null"),
        ("suppress_tokens", "null"),
        ("token_healing", "false"),
        ("watermarking_config", "null"),
    ],
};

/// What a model folder says about generating text: in generation_config.json, or where there is none in
/// config.json, as transformers does (`GenerationConfig.from_model_config`).
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationSettings {
    /// Token ids that end a text.
    pub end: Vec<u32>,
    /// Token that begins a text.
    pub start: Option<u32>,
    /// Scores of tokens that were there already are divided by this where they are positive, else multiplied.
    pub repetition_penalty: f32,
    /// Least length of prompt and new tokens together.
    pub min_length: usize,
    /// Least number of new tokens.
    pub min_new_tokens: usize,
    /// What the user should hear.
    pub notes: Vec<String>,
    /// What the user should hear too where the most probable tokens are taken.
    pub greedy_note: Option<String>,
}

impl GenerationSettings {
    /// Reads the settings of a model folder.
    ///
    /// # Errors
    ///
    /// When the file is damaged, or asks for something that is not implemented.
    pub fn load(dir: &ModelDir, config: &DecoderConfig) -> Result<Self, CheckpointError> {
        let path = dir.path().join(FILE);
        let (path, keys, own_file): (_, Map<String, Value>, _) = match path.is_file() {
            false => {
                let mut keys: Map<String, Value> = dir.config()?;
                // The model's own keys are the model's matter.
                keys.retain(|key, _| KEYS.names(key));
                (dir.config_path(), keys, false)
            }
            true => {
                let bytes = fs::read(&path).map_err(|source| CheckpointError::Io {
                    action: "read",
                    path: path.clone(),
                    source,
                })?;
                let keys =
                    serde_json::from_slice(&bytes).map_err(|source| CheckpointError::Json {
                        path: path.clone(),
                        source,
                    })?;
                (path, keys, true)
            }
        };
        let fail = |reason: String| CheckpointError::Config {
            path: path.clone(),
            reason,
        };
        let unknown = KeyTable::check(&[&KEYS], &keys).map_err(|reason| {
            fail(format!(
                "{reason}: take the key out of the file to generate greedily without it"
            ))
        })?;
        let samples = keys.get("do_sample") == Some(&Value::Bool(true));
        let greedy_note = samples.then(|| {
            format!(
                "{}: do_sample is true; the most probable token is taken here, as with do_sample=False",
                path.display()
            )
        });
        let notes = unknown
            .into_iter()
            .map(|key| {
                format!(
                    "{}: the key `{key}` is not known here and is not used",
                    path.display()
                )
            })
            .collect();
        let fields = Fields(&keys);
        let penalty = fields.number_or("repetition_penalty", 1.0).map_err(fail)?;
        if !(penalty.is_finite() && penalty > 0.0) {
            return Err(fail(format!(
                "`repetition_penalty` is {penalty}; it must be above 0"
            )));
        }
        let start = fields.ids("bos_token_id").map_err(fail)?.first().copied();
        let end = match own_file {
            true => fields.ids("eos_token_id").map_err(fail)?,
            false => config.eos.clone(),
        };
        Ok(Self {
            start: start.or(config.start()),
            end,
            repetition_penalty: penalty as f32,
            min_length: fields.size_or("min_length", 0).map_err(fail)?,
            min_new_tokens: fields.size_or("min_new_tokens", 0).map_err(fail)?,
            notes,
            greedy_note,
        })
    }

    /// Options to generate so many new tokens, or fewer where a text ends.
    pub fn options(&self, max_new_tokens: usize) -> GenerateOptions {
        GenerateOptions {
            max_new_tokens,
            end: self.end.clone(),
            repetition_penalty: self.repetition_penalty,
            min_length: self.min_length,
            min_new_tokens: self.min_new_tokens,
            ..GenerateOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLAMA: &str = r#"{"model_type": "llama", "vocab_size": 10, "hidden_size": 8, "intermediate_size": 16,
        "num_hidden_layers": 2, "num_attention_heads": 4, "eos_token_id": 2, "bos_token_id": 1"#;

    fn load(config: &str, generation: Option<&str>) -> Result<GenerationSettings, CheckpointError> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.json"), format!("{LLAMA}{config}}}")).unwrap();
        if let Some(generation) = generation {
            fs::write(dir.path().join(FILE), generation).unwrap();
        }
        let dir = ModelDir::open(dir.path()).unwrap();
        GenerationSettings::load(&dir, &DecoderConfig::load(&dir).unwrap())
    }

    #[test]
    fn every_key_of_transformers_stands_in_the_table() {
        let reference = include_str!("../tests/reference/keys.json");
        let reference: Map<String, Value> = serde_json::from_str(reference).unwrap();
        let keys = reference[FILE].as_object().unwrap();
        for key in keys.keys() {
            assert!(KEYS.names(key), "{key}");
        }
        assert!(KeyTable::check(&[&KEYS], keys).unwrap().is_empty());
    }

    #[test]
    fn the_file_wins_over_config_json_even_where_it_says_nothing() {
        assert_eq!(load("", None).unwrap().end, [2]);
        assert_eq!(
            load("", Some(r#"{"eos_token_id": [2, 7]}"#)).unwrap().end,
            [2, 7]
        );
        let silent = load("", Some(r#"{"temperature": 0.7}"#)).unwrap();
        assert!(silent.end.is_empty());
        assert_eq!(silent.start, Some(1));
        let settings = load(r#", "repetition_penalty": 1.5, "min_length": 4"#, None).unwrap();
        assert_eq!((settings.repetition_penalty, settings.min_length), (1.5, 4));
    }

    #[test]
    fn what_changes_the_text_is_applied_or_refused() {
        for (file, part) in [
            (r#"{"num_beams": 4}"#, "`num_beams` is 4"),
            (r#"{"suppress_tokens": [1]}"#, "suppress_tokens"),
            (r#"{"repetition_penalty": 0}"#, "repetition_penalty"),
            (r#"{"eos_token_id": "2"}"#, "token id"),
        ] {
            let error = load("", Some(file)).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(FILE), "{error}");
        }
        assert_eq!(load("", Some(r#"{"new_key": 1}"#)).unwrap().notes.len(), 1);
        let settings = load("", Some(r#"{"do_sample": true}"#)).unwrap();
        assert!(settings.greedy_note.unwrap().contains("do_sample"));
        assert!(settings.notes.is_empty());
        let error = load(r#", "num_beams": 4"#, None).unwrap_err().to_string();
        assert!(error.contains("config.json"), "{error}");
    }
}
