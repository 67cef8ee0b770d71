use beft_checkpoint::{HeadTensor, KeyTable, PrefixValues};
use beft_nn::{BiasModel, ParamData, ParamPath, param_shapes};
use serde_json::{Map, Value, json};

use crate::mode::only_causal_lm;
use crate::new_values::NewValues;
use crate::peft::{FileTensor, Keys, Layout, PeftLayout, PeftType, Problem, Reader, TargetKind};
use crate::{
    Adapter, AdapterKind, Makes, Misfit, ModeSettings, ModelTraits, Touched, Touching,
    TrainedParams, TrainingMode,
};

/// Prefix tuning: learned keys and values before every input of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix;

/// Number of prefix tokens (protocol, section 4).
const TOKENS: usize = 5;

impl TrainingMode for Prefix {
    fn makes(&self) -> Makes {
        Makes::Adapter(collect)
    }

    fn fits(&self, model: &ModelTraits) -> Result<(), Misfit> {
        only_causal_lm(model)
    }

    fn touch<M: BiasModel>(&self, model: M, _settings: &ModeSettings, _seed: u64) -> Touching<M> {
        let paths = param_shapes(&model).into_iter().map(|(path, _)| path);
        let paths: Vec<ParamPath> = paths.filter(ParamPath::is_prefix).collect();
        if paths.is_empty() {
            return Err(Misfit::Refused(
                "prefix tuning needs a decoder with a prefix in front of its inputs",
            ));
        }
        Ok(Touched::whole(model, paths))
    }

    fn prefix_tokens(&self) -> usize {
        TOKENS
    }
}

/// The adapter with the keys and values that were trained, which are in no checkpoint.
fn collect(trained: &TrainedParams<'_>) -> Adapter {
    let mut parts: Vec<&(&ParamPath, &ParamData)> = trained.values.iter().collect();
    // Of each layer the keys, and then the values.
    parts.sort_by_key(|(path, _)| (path.layer(), *path));
    let (tokens, width) = match parts.first().map(|(_, data)| data.shape.as_slice()) {
        Some(&[tokens, width]) => (tokens, width),
        _ => (0, 0),
    };
    let of_token = |token: usize| {
        let row = token * width..(token + 1) * width;
        parts
            .iter()
            .flat_map(move |(_, data)| data.values[row.clone()].iter().copied())
    };
    Adapter {
        kind: AdapterKind::Prefix(PrefixValues {
            tokens,
            layers: parts.len() / 2,
            heads: trained.key_value_heads,
            width,
            values: (0..tokens).flat_map(of_token).collect(),
        }),
        ..Adapter::default()
    }
}

/// PEFT's name for the keys and values.
const PROMPT: &str = "prompt_embeddings";

/// `PrefixTuningConfig`. Without the projection its encoder has no width.
impl PeftLayout for PrefixValues {
    const TYPE: PeftType = PeftType {
        name: "PREFIX_TUNING",
        keys: KeyTable {
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
        },
        mergeable: false,
        targets: TargetKind::None,
        has_terms: false,
        unwrapped: &[PROMPT],
        owns: |name| name == PROMPT,
        read: |keys: &Keys<'_>| {
            Ok(Box::new(PrefixReader {
                tokens: keys.size("num_virtual_tokens")?,
                layers: keys.size("num_layers")?,
                heads: keys.size("num_attention_heads")?,
                found: None,
            }))
        },
    };
}

/// What the config says, and then what the weights file holds.
#[derive(Debug)]
struct PrefixReader {
    tokens: Option<usize>,
    layers: Option<usize>,
    heads: Option<usize>,
    found: Option<PrefixValues>,
}

impl Reader for PrefixReader {
    fn take(&mut self, name: &str, tensor: HeadTensor) -> Result<Option<HeadTensor>, Problem> {
        if name != PROMPT {
            return Ok(Some(tensor));
        }
        let sizes = (self.layers, self.heads);
        let found = PrefixValues::read(&tensor.shape, tensor.values, self.tokens, sizes);
        self.found = Some(found.map_err(Problem::Config)?);
        Ok(None)
    }

    fn finish(self: Box<Self>) -> Result<Option<AdapterKind>, String> {
        Ok(self.found.map(AdapterKind::Prefix))
    }
}

impl Layout for PrefixValues {
    fn write(&self, config: &mut Map<String, Value>) {
        for (key, value) in [
            ("num_virtual_tokens", json!(self.tokens)),
            ("token_dim", json!(self.width)),
            ("num_layers", json!(self.layers)),
            ("num_attention_heads", json!(self.heads)),
            ("num_transformer_submodules", json!(1)),
            ("encoder_hidden_size", json!(self.width)),
            ("prefix_projection", json!(false)),
        ] {
            config.insert(key.to_owned(), value);
        }
    }

    fn tensors(&self) -> Vec<FileTensor<'_>> {
        let shape = vec![self.tokens, 2 * self.layers * self.width];
        vec![(PROMPT.to_owned(), shape, &self.values)]
    }

    fn prefix(&self) -> Option<&PrefixValues> {
        Some(self)
    }

    /// Nothing that the model has is changed.
    fn put(&self, _new: &mut NewValues<'_>) -> Result<(), String> {
        Ok(())
    }
}
