use std::collections::{BTreeMap, BTreeSet};

use beft_checkpoint::{HeadTensor, KeyTable, Stored};
use beft_core::BiasTerm;
use beft_nn::{BiasModel, LoraFactor, ParamPath, param_shapes};
use burn::module::{Lora as LoraUpdate, ParamGroup};
use serde_json::{Map, Value, json};

use crate::lora_reader::LoraReader;
use crate::mode::{head_paths, only_separate};
use crate::new_values::NewValues;
use crate::peft::{FileTensor, Keys, Layout, PeftLayout, PeftType, TargetKind, WRAPPERS};
use crate::{
    Adapter, AdapterKind, LoraFactors, Makes, Misfit, ModeError, ModeSettings, ModelTraits,
    Touched, Touching, TrainedParams, TrainingMode, Written,
};

/// LoRA on projections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lora {
    /// Those of these terms, of q, k and v; not empty.
    terms: BTreeSet<BiasTerm>,
    /// The rank, where the mode says it (`lora-v-r1`); else the settings do.
    rank: Option<usize>,
}

const LORA: &str = "lora-";
const RANK_OF: &str = "-r";

impl Written for Lora {
    fn read(text: &str, plain: &str) -> Option<Result<Self, ModeError>> {
        let written = plain.strip_prefix(LORA)?;
        let (letters, rank) = match written.split_once(RANK_OF) {
            None => (written, None),
            Some((letters, rank)) => (letters, Some(rank.parse::<u32>().ok())),
        };
        let letters: Vec<char> = letters.chars().filter(|c| *c != ',').collect();
        let term = |letter: char| {
            let term = letter.to_string().parse().ok();
            term.filter(|term| BiasTerm::QKV.contains(term))
        };
        let terms: Option<BTreeSet<BiasTerm>> = letters.iter().copied().map(term).collect();
        // Each once.
        let terms = terms.filter(|terms| !terms.is_empty() && terms.len() == letters.len());
        let mode = match (terms, rank) {
            (Some(terms), None) => Some(Self { terms, rank: None }),
            (Some(terms), Some(Some(rank @ 1..))) => Some(Self {
                terms,
                rank: Some(rank as usize),
            }),
            (None, _) | (_, Some(None | Some(0))) => None,
        };
        Some(mode.ok_or_else(|| ModeError::Lora(text.to_owned())))
    }

    fn written(&self) -> String {
        let letters: String = self.terms.iter().map(BiasTerm::to_string).collect();
        let rank = self.rank.map(|rank| format!("{RANK_OF}{rank}"));
        format!("{LORA}{letters}{}", rank.unwrap_or_default())
    }
}

impl TrainingMode for Lora {
    fn makes(&self) -> Makes {
        Makes::Adapter(collect)
    }

    fn fits(&self, model: &ModelTraits) -> Result<(), Misfit> {
        only_separate(
            model,
            "this model keeps query, key and value as one matrix, which has no LoRA of its parts: train biases or norms (ln)",
        )
    }

    fn touch<M: BiasModel>(&self, model: M, settings: &ModeSettings, seed: u64) -> Touching<M> {
        let settings = self.recorded(settings);
        if settings.rank() == 0 || !settings.alpha().is_finite() || settings.alpha() == 0.0 {
            return Err(Misfit::Refused(
                "LoRA needs a rank of at least 1, and an alpha that is a number other than 0",
            ));
        }
        let layers = 0..model.num_layers();
        let of_term = |term: &BiasTerm| -> Vec<ParamPath> {
            let weights = layers.clone();
            weights
                .filter_map(|l| model.weight_path(l, *term))
                .collect()
        };
        let weights: Vec<ParamPath> = self.terms.iter().flat_map(of_term).collect();
        let mut update = LoraUpdate::new(settings.rank(), settings.alpha())
            .set_param_group(ParamGroup::from_paths(weights.clone()));
        // PEFT draws A from U(-1/sqrt(d_in), 1/sqrt(d_in)): the same standard deviation.
        let d_in = param_shapes(&model)
            .into_iter()
            .find_map(|(path, shape)| (path == *weights.first()?).then(|| shape[0]));
        update.init_std = d_in.map(|d_in| 1.0 / (3.0 * d_in as f64).sqrt());
        let device = model.devices().first().cloned().unwrap_or_default();
        device.inner().seed(seed);
        let model = model.apply_lora(update);
        let factors = weights
            .iter()
            .flat_map(|weight| LoraFactor::ALL.map(|factor| weight.with_factor(factor)));
        let paths = factors.chain(head_paths(&model)).collect();
        Ok(Touched::whole(model, paths))
    }

    fn recorded(&self, settings: &ModeSettings) -> ModeSettings {
        // The protocol's alpha is twice its rank.
        let own = self.rank.map(|rank| 2.0 * rank as f64);
        let alpha = settings.lora_alpha.or(own);
        ModeSettings {
            lora_rank: Some(self.rank.unwrap_or(settings.rank())),
            lora_alpha: Some(alpha.unwrap_or(settings.alpha())),
            ..ModeSettings::default()
        }
    }
}

/// LoRA's updates by module name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoraUpdates(pub BTreeMap<String, LoraFactors>);

/// The adapter with the factors that were trained.
fn collect(trained: &TrainedParams<'_>) -> Adapter {
    let mut updates = LoraUpdates::default();
    for (path, data) in trained.values {
        let Some((weight, factor)) = path.lora_factor() else {
            continue;
        };
        let name = trained.table.by_path(weight).map(|(_, name)| name);
        let module = name.and_then(|n| Some(n.strip_suffix(".weight")?.to_owned()));
        let factors = updates.0.entry(module.unwrap_or_default());
        let factors = factors.or_insert_with(|| LoraFactors {
            alpha: trained.settings.alpha(),
            ..LoraFactors::empty()
        });
        let tensor = HeadTensor::from_param(data, Stored::Transposed);
        match factor {
            LoraFactor::A => factors.a = tensor,
            LoraFactor::B => factors.b = tensor,
        }
    }
    Adapter {
        kind: AdapterKind::Lora(updates),
        ..Adapter::default()
    }
}

pub(crate) const FACTOR_A: &str = ".lora_A.weight";
pub(crate) const FACTOR_B: &str = ".lora_B.weight";
pub(crate) const EMBEDDING_A: &str = ".lora_embedding_A";
pub(crate) const EMBEDDING_B: &str = ".lora_embedding_B";
pub(crate) const BIAS: &str = ".lora_B.bias";
pub(crate) const MAGNITUDE: &str = ".lora_magnitude_vector";

/// `LoraConfig`. The settings of initialisations matter only together with `init_lora_weights`, which is
/// checked by itself, and dropout not at all after training.
impl PeftLayout for LoraUpdates {
    const TYPE: PeftType = PeftType {
        name: "LORA",
        keys: KeyTable {
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
        },
        mergeable: true,
        targets: TargetKind::Linear,
        has_terms: false,
        unwrapped: &[],
        owns: |name| {
            let ends = [FACTOR_A, FACTOR_B, EMBEDDING_A, EMBEDDING_B];
            ends.iter().any(|end| name.ends_with(end))
        },
        read: |keys: &Keys<'_>| Ok(Box::new(LoraReader::new(keys)?)),
    };
}

impl Layout for LoraUpdates {
    fn write(&self, config: &mut Map<String, Value>) {
        let Some(factors) = self.0.values().next() else {
            return;
        };
        for (key, value) in [
            ("r", json!(factors.a.shape[0])),
            ("lora_alpha", json!(factors.alpha)),
            ("lora_dropout", json!(0.0)),
            ("bias", json!("none")),
        ] {
            config.insert(key.to_owned(), value);
        }
    }

    fn tensors(&self) -> Vec<FileTensor<'_>> {
        let mut tensors = Vec::new();
        for (module, factors) in &self.0 {
            for (suffix, tensor) in [(FACTOR_A, &factors.a), (FACTOR_B, &factors.b)] {
                let name = format!("{WRAPPERS}{module}{suffix}");
                tensors.push((name, tensor.shape.clone(), tensor.values.as_slice()));
            }
        }
        tensors
    }

    fn modules(&self) -> Vec<&String> {
        self.0.keys().collect()
    }

    fn biases(&self) -> Vec<String> {
        let biased = self.0.iter().filter(|(_, factors)| factors.bias.is_some());
        biased.map(|(name, _)| format!("{name}.bias")).collect()
    }

    fn weights(&self) -> Vec<String> {
        self.0.keys().map(|name| format!("{name}.weight")).collect()
    }

    fn put(&self, new: &mut NewValues<'_>) -> Result<(), String> {
        for (name, factors) in &self.0 {
            let unfit =
                || format!("the LoRA factors of `{name}` do not fit each other or the model");
            let full = format!("{name}.weight");
            let mut whole = new.whole(&full)?;
            factors.add_to(&mut whole).ok_or_else(unfit)?;
            new.put_back(&full, &whole)?;
            if let Some(bias) = &factors.bias {
                let scale = factors.scale();
                let delta: Vec<f32> = bias.iter().map(|b| scale * b).collect();
                new.add(&format!("{name}.bias"), &delta)?;
            }
        }
        Ok(())
    }
}
