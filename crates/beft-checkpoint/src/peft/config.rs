use serde_json::{Map, Value};

use super::targets::{Names, Targets, check_pattern, strings};
use super::{CAUSAL_LM, SEQ_CLS, adapter_keys};
use crate::KeyTable;

/// PEFT's types of adapters that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeftType {
    Beft,
    Lora,
    PrefixTuning,
}

impl PeftType {
    pub(crate) const ALL: [Self; 3] = [Self::Beft, Self::Lora, Self::PrefixTuning];

    /// Its name in PEFT's configs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Beft => "BEFT",
            Self::Lora => "LORA",
            Self::PrefixTuning => "PREFIX_TUNING",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What an `adapter_config.json` says.
#[derive(Debug)]
pub(crate) struct PeftConfig {
    pub(crate) kind: PeftType,
    pub(crate) base_model: String,
    pub(crate) revision: Option<String>,
    pub(crate) causal_lm: bool,
    pub(crate) targets: Targets,
    pub(crate) lora: LoraSettings,
    pub(crate) prefix: PrefixSettings,
    /// Keys that PEFT does not know either, and drops.
    pub(crate) unknown: Vec<String>,
}

/// LoRA's part of it.
#[derive(Debug, Default)]
pub(crate) struct LoraSettings {
    pub(crate) rank: Option<usize>,
    pub(crate) alpha: f64,
    pub(crate) ranks: Vec<(String, usize)>,
    pub(crate) alphas: Vec<(String, f64)>,
    pub(crate) root: bool,
    pub(crate) dora: bool,
    pub(crate) bias: bool,
    /// Whether biases of the model were trained too, and are saved as they are.
    pub(crate) model_biases: bool,
}

/// Prefix tuning's part of it.
#[derive(Debug, Default)]
pub(crate) struct PrefixSettings {
    pub(crate) tokens: Option<usize>,
    pub(crate) layers: Option<usize>,
    pub(crate) heads: Option<usize>,
}

/// PEFT's default `lora_alpha`.
const LORA_ALPHA: f64 = 8.0;

/// Initialisations of LoRA that leave the base model as it is when PEFT loads the adapter.
const PLAIN_INITIALIZATIONS: &[&str] = &["gaussian", "eva", "orthogonal"];

impl PeftConfig {
    /// What the keys of the file say.
    ///
    /// # Errors
    ///
    /// The first key with a value that cannot be used, and what to do.
    pub(crate) fn read(keys: &Map<String, Value>) -> Result<Self, String> {
        let fields = Keys(keys);
        let name = fields.text("peft_type")?.unwrap_or_default();
        let known = PeftType::ALL.map(PeftType::name).join(", ");
        let kind = PeftType::named(name).ok_or_else(|| {
            format!(
                "peft_type is `{name}`; {known} adapters can be used: merge another kind into its base with \
                 PEFT (`merge_and_unload().save_pretrained(DIR)`) and give that folder with --model; what cannot \
                 be merged (prompts) is for PEFT alone"
            )
        })?;
        let unknown = KeyTable::check(&adapter_keys(kind), keys).map_err(|reason| match kind {
            PeftType::PrefixTuning => format!("{reason}: compute such an adapter with PEFT"),
            PeftType::Beft | PeftType::Lora => {
                format!("{reason}: merge the adapter into its base with PEFT (`merge_and_unload`)")
            }
        })?;
        let task = fields.text("task_type")?;
        if let Some(task) = task.filter(|task| ![SEQ_CLS, CAUSAL_LM].contains(task)) {
            return Err(format!(
                "task_type is `{task}`; adapters for {SEQ_CLS} and {CAUSAL_LM} can be used"
            ));
        }
        if kind == PeftType::Lora {
            check_initialization(keys.get("init_lora_weights"))?;
            // PEFT fails at these, and takes its default where they are absent.
            let null = ["r", "lora_alpha", "bias"]
                .into_iter()
                .find(|key| keys.get(*key) == Some(&Value::Null));
            if let Some(key) = null {
                return Err(format!(
                    "`{key}` is null, which PEFT cannot use: give its value"
                ));
            }
        }
        let names = |key: &str| Names::read(key, keys.get(key));
        let list = |key: &str| keys.get(key).map_or(Ok(Vec::new()), |v| strings(key, v));
        let targets = Targets {
            include: names("target_modules")?,
            exclude: names("exclude_modules")?,
            layers: fields.layers("layers_to_transform")?,
            layer_patterns: list("layers_pattern")?,
            saved: list("modules_to_save")?,
        };
        for pattern in &targets.layer_patterns {
            check_pattern("layers_pattern", pattern)?;
        }
        let bias = fields.text("bias")?.unwrap_or("none");
        if !["none", "all", "lora_only"].contains(&bias) {
            return Err(format!(
                "`bias` is `{bias}`; none, all and lora_only are PEFT's values"
            ));
        }
        let lora = LoraSettings {
            // PEFT's default.
            rank: fields.size("r")?.or(Some(8)),
            alpha: fields.number("lora_alpha")?.unwrap_or(LORA_ALPHA),
            ranks: fields.patterns("rank_pattern", as_size)?,
            alphas: fields.patterns("alpha_pattern", Value::as_f64)?,
            root: fields.flag("use_rslora")?,
            dora: fields.flag("use_dora")?,
            bias: fields.flag("lora_bias")?,
            model_biases: bias != "none",
        };
        if lora.dora && lora.bias {
            return Err(
                "`use_dora` and `lora_bias` are both true; one of them is implemented".to_owned(),
            );
        }
        Ok(Self {
            kind,
            base_model: fields
                .text("base_model_name_or_path")?
                .unwrap_or_default()
                .to_owned(),
            revision: fields.text("revision")?.map(str::to_owned),
            causal_lm: task == Some(CAUSAL_LM),
            targets,
            lora,
            prefix: PrefixSettings {
                tokens: fields.size("num_virtual_tokens")?,
                layers: fields.size("num_layers")?,
                heads: fields.size("num_attention_heads")?,
            },
            unknown: unknown.into_iter().map(str::to_owned).collect(),
        })
    }
}

/// Some initialisations take a part out of the base's weights, again whenever PEFT loads the adapter
/// (`LoraLayer.update_layer`).
fn check_initialization(value: Option<&Value>) -> Result<(), String> {
    let plain = match value {
        None | Some(Value::Null | Value::Bool(_)) => true,
        Some(Value::String(name)) => PLAIN_INITIALIZATIONS.contains(&name.as_str()),
        Some(_) => false,
    };
    match value {
        Some(value) if !plain => Err(format!(
            "`init_lora_weights` is {value}, which changes the base model when PEFT loads the adapter: let PEFT \
             convert it to plain LoRA (`save_pretrained(DIR, path_initial_model_for_weight_conversion=INITIAL)`, \
             INITIAL being the adapter as it was before training)"
        )),
        _ => Ok(()),
    }
}

/// The keys of a config file; null counts as absent.
struct Keys<'a>(&'a Map<String, Value>);

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    fn as_type<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let wrong = |value| format!("`{key}` is {value}; it must be {expected}");
        let found = self
            .get(key)
            .map(|value| read(value).ok_or_else(|| wrong(value)));
        found.transpose()
    }

    fn text(&self, key: &str) -> Result<Option<&'a str>, String> {
        self.as_type(key, "a string", Value::as_str)
    }

    fn flag(&self, key: &str) -> Result<bool, String> {
        let flag = self.as_type(key, "true or false", Value::as_bool)?;
        Ok(flag.unwrap_or(false))
    }

    fn number(&self, key: &str) -> Result<Option<f64>, String> {
        self.as_type(key, "a number", Value::as_f64)
    }

    fn size(&self, key: &str) -> Result<Option<usize>, String> {
        self.as_type(key, "a whole number", as_size)
    }

    /// One layer number or a list of them; an empty list means all.
    fn layers(&self, key: &str) -> Result<Option<Vec<usize>>, String> {
        let layers = self.as_type(
            key,
            "a layer number or a list of them",
            |value| match value {
                Value::Array(list) => list.iter().map(as_size).collect(),
                one => Some(vec![as_size(one)?]),
            },
        )?;
        Ok(layers.filter(|layers| !layers.is_empty()))
    }

    /// The pairs of an object whose keys are regular expressions, in its order.
    fn patterns<V>(
        &self,
        key: &str,
        read: impl Fn(&Value) -> Option<V>,
    ) -> Result<Vec<(String, V)>, String> {
        let expected = "an object of names and numbers";
        let object = self.as_type(key, expected, Value::as_object)?;
        let pairs = object.into_iter().flatten().map(|(pattern, value)| {
            check_pattern(key, pattern)?;
            let read = read(value);
            let read =
                read.ok_or_else(|| format!("`{key}`: `{pattern}` is {value}, which cannot be"))?;
            Ok((pattern.clone(), read))
        });
        pairs.collect()
    }
}

fn as_size(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|size| usize::try_from(size).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<PeftConfig, String> {
        PeftConfig::read(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn what_cannot_be_used_is_named_with_a_remedy() {
        for (json, part) in [
            (r#"{"peft_type": "IA3"}"#, "`IA3`"),
            (r#"{"peft_type": "IA3"}"#, "merge_and_unload"),
            (r#"{"peft_type": "VERA"}"#, "BEFT, LORA, PREFIX_TUNING"),
            (
                r#"{"peft_type": "LORA", "init_lora_weights": "pissa_niter_16"}"#,
                "path_initial_model",
            ),
            (
                r#"{"peft_type": "LORA", "use_qalora": true}"#,
                "`use_qalora` is true",
            ),
            (
                r#"{"peft_type": "LORA", "trainable_token_indices": [1]}"#,
                "trainable_token_indices",
            ),
            (
                r#"{"peft_type": "LORA", "layer_replication": [[0, 1]]}"#,
                "layer_replication",
            ),
            (r#"{"peft_type": "LORA", "bias": "some"}"#, "`some`"),
            (
                r#"{"peft_type": "LORA", "lora_alpha": null}"#,
                "`lora_alpha` is null",
            ),
            (r#"{"peft_type": "LORA", "r": "8"}"#, "whole number"),
            (
                r#"{"peft_type": "LORA", "alpha_pattern": {"(": 1}}"#,
                "alpha_pattern",
            ),
            (
                r#"{"peft_type": "LORA", "rank_pattern": {"a": -1}}"#,
                "`a` is -1",
            ),
            (
                r#"{"peft_type": "LORA", "task_type": "TOKEN_CLS"}"#,
                "`TOKEN_CLS`",
            ),
            (
                r#"{"peft_type": "LORA", "target_modules": 3}"#,
                "list of names",
            ),
            (
                r#"{"peft_type": "LORA", "use_dora": true, "lora_bias": true}"#,
                "use_dora",
            ),
            (
                r#"{"peft_type": "PREFIX_TUNING", "prefix_projection": true}"#,
                "prefix_projection",
            ),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(part), "{json}: {error}");
        }
    }

    #[test]
    fn keys_that_peft_drops_are_told() {
        let config = read(r#"{"peft_type": "BEFT", "target_modules": ["v"], "r": 8}"#).unwrap();
        assert_eq!(config.unknown, ["r"]);
    }

    #[test]
    fn values_may_be_numbers_or_lists() {
        let json = r#"{"peft_type": "LORA", "layers_to_transform": 1, "layers_pattern": "layer",
            "modules_to_save": "classifier", "init_lora_weights": "gaussian", "layer_replication": null}"#;
        let config = read(json).unwrap();
        assert_eq!(config.targets.layers, Some(vec![1]));
        assert_eq!(config.targets.saved, ["classifier"]);
        let config = read(r#"{"peft_type": "LORA", "layers_to_transform": []}"#).unwrap();
        assert_eq!(config.targets.layers, None);
    }
}
