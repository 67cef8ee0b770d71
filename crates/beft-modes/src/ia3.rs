use std::collections::BTreeMap;

use beft_checkpoint::{HeadTensor, KeyTable};
use beft_core::BiasTerm;
use beft_nn::{BiasModel, Side, with_factors};
use serde_json::{Map, Value, json};

use crate::mode::{head_paths, only_separate};
use crate::new_values::NewValues;
use crate::peft::{
    FileTensor, Keys, Layout, Names, PeftLayout, PeftType, Problem, Reader, TargetKind, WRAPPERS,
    is_suffix,
};
use crate::{
    Adapter, AdapterKind, Makes, Misfit, ModeSettings, ModelTraits, Touched, Touching,
    TrainedParams, TrainingMode,
};

/// IA3: a factor for each output of the key and value projections, and for each input of the second feed-forward
/// projection ([Liu et al. 2022](https://arxiv.org/abs/2205.05638), section 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ia3;

/// The projection that the bias of a term belongs to, and the side of it that has factors.
const SCALED: [(BiasTerm, Side); 3] = [
    (BiasTerm::K, Side::Outputs),
    (BiasTerm::V, Side::Outputs),
    (BiasTerm::M3, Side::Inputs),
];

impl TrainingMode for Ia3 {
    fn makes(&self) -> Makes {
        Makes::Adapter(collect)
    }

    fn fits(&self, model: &ModelTraits) -> Result<(), Misfit> {
        only_separate(
            model,
            "this model keeps query, key and value as one matrix, which has no IA3 vectors of its parts: train biases or norms (ln)",
        )
    }

    fn touch<M: BiasModel>(&self, model: M, _settings: &ModeSettings, _seed: u64) -> Touching<M> {
        let mut weights = Vec::new();
        for layer in 0..model.num_layers() {
            let of_layer = SCALED.iter();
            weights.extend(
                of_layer.filter_map(|(term, side)| Some((model.weight_path(layer, *term)?, *side))),
            );
        }
        let model = with_factors(model, &weights);
        let own = weights.iter().map(|(weight, _)| weight.with_factors());
        let paths = own.chain(head_paths(&model)).collect();
        Ok(Touched::whole(model, paths))
    }
}

/// Factors of the inputs or outputs of linear modules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ia3Vectors(pub BTreeMap<String, Ia3Vector>);

/// The factors of a module.
#[derive(Clone, Debug, PartialEq)]
pub struct Ia3Vector {
    /// What they multiply.
    pub side: Side,
    /// One for each input or output.
    pub values: Vec<f32>,
}

/// The adapter with the factors that were trained.
fn collect(trained: &TrainedParams<'_>) -> Adapter {
    let mut vectors = Ia3Vectors::default();
    for (path, data) in trained.values {
        let Some(weight) = path.scaled_weight() else {
            continue;
        };
        let (_, name) = trained.place(&weight);
        let module = name.strip_suffix(".weight").unwrap_or(&name).to_owned();
        let term = weight.weight_term();
        let side = SCALED.iter().find(|(scaled, _)| Some(*scaled) == term);
        if let Some((_, side)) = side {
            let vector = Ia3Vector {
                side: *side,
                values: data.values.clone(),
            };
            vectors.0.insert(module, vector);
        }
    }
    Adapter {
        kind: AdapterKind::Ia3(vectors),
        ..Adapter::default()
    }
}

const VECTOR: &str = ".ia3_l";

/// `IA3Config`.
impl PeftLayout for Ia3Vectors {
    const TYPE: PeftType = PeftType {
        name: "IA3",
        keys: KeyTable {
            applied: &["exclude_modules", "feedforward_modules", "target_modules"],
            immaterial: &[
                // PEFT sets it by the kind of module, as we do.
                "fan_in_fan_out",
                // Values before training.
                "init_ia3_weights",
            ],
            only: &[],
        },
        mergeable: true,
        targets: TargetKind::Linear,
        has_terms: false,
        unwrapped: &[],
        owns: |name| name.ends_with(VECTOR),
        read: |keys: &Keys<'_>| Ok(Box::new(Ia3Reader::new(keys)?)),
    };
}

/// What the config says, and then what the weights file holds.
#[derive(Debug)]
struct Ia3Reader {
    /// Modules whose inputs have factors; `None` where the config does not say.
    inputs: Option<Names>,
    found: Ia3Vectors,
}

const INPUTS: &str = "feedforward_modules";

impl Ia3Reader {
    fn new(keys: &Keys<'_>) -> Result<Self, String> {
        let inputs = keys.get(INPUTS);
        Ok(Self {
            inputs: inputs
                .map(|names| Names::read(INPUTS, Some(names)))
                .transpose()?,
            found: Ia3Vectors::default(),
        })
    }

    /// The side that the config says, by PEFT's rule (`_check_target_module_feedforward` in `ia3/model.py`).
    fn side(&self, module: &str) -> Option<Side> {
        let of_inputs = match self.inputs.as_ref()? {
            Names::Suffixes(names) => names.iter().any(|name| module.ends_with(name)),
            // No module matches PEFT's word for all linear modules.
            Names::AllLinear => false,
            pattern @ Names::Pattern(_) => pattern.matches(module, true),
        };
        Some(match of_inputs {
            true => Side::Inputs,
            false => Side::Outputs,
        })
    }
}

impl Reader for Ia3Reader {
    fn take(&mut self, name: &str, tensor: HeadTensor) -> Result<Option<HeadTensor>, Problem> {
        let Some(module) = name.strip_suffix(VECTOR) else {
            return Ok(Some(tensor));
        };
        let named = self.side(module);
        let side = match tensor.shape[..] {
            [1, 1] => named.unwrap_or(Side::Outputs),
            [_, 1] => Side::Outputs,
            [1, _] => Side::Inputs,
            _ => {
                return Err(Problem::Tensor(format!(
                    "tensor `{WRAPPERS}{name}` has shape {:?}; a vector of IA3 has shape [outputs, 1] or [1, inputs]",
                    tensor.shape
                )));
            }
        };
        if let Some(named) = named.filter(|named| *named != side) {
            let (says, of) = match named {
                Side::Inputs => ("names", "outputs"),
                Side::Outputs => ("does not name", "inputs"),
            };
            return Err(Problem::Config(format!(
                "`{INPUTS}` {says} `{module}`, but its vector has shape {:?}, which is one of the {of}",
                tensor.shape
            )));
        }
        let values = tensor.values;
        let vector = Ia3Vector { side, values };
        self.found.0.insert(module.to_owned(), vector);
        Ok(None)
    }

    fn finish(self: Box<Self>) -> Result<Option<AdapterKind>, String> {
        let found = self.found;
        Ok((!found.0.is_empty()).then_some(AdapterKind::Ia3(found)))
    }
}

impl Layout for Ia3Vectors {
    fn write(&self, config: &mut Map<String, Value>) {
        // PEFT wants them among the targets.
        let targets = config.get("target_modules").and_then(Value::as_array);
        let of_inputs = |target: &&Value| {
            let target = target.as_str().unwrap_or_default();
            let mut modules = self.modules_of(Side::Inputs);
            modules.any(|module| is_suffix(module, target))
        };
        let inputs: Vec<&Value> = targets.into_iter().flatten().filter(of_inputs).collect();
        let inputs = json!(inputs);
        for (key, value) in [
            (INPUTS, inputs),
            ("fan_in_fan_out", json!(false)),
            ("init_ia3_weights", json!(true)),
        ] {
            config.insert(key.to_owned(), value);
        }
    }

    fn tensors(&self) -> Vec<FileTensor<'_>> {
        let tensors = self.0.iter().map(|(module, vector)| {
            let count = vector.values.len();
            let shape = match vector.side {
                Side::Inputs => vec![1, count],
                Side::Outputs => vec![count, 1],
            };
            let name = format!("{WRAPPERS}{module}{VECTOR}");
            (name, shape, vector.values.as_slice())
        });
        tensors.collect()
    }

    fn modules(&self) -> Vec<&String> {
        self.0.keys().collect()
    }

    fn target_groups(&self) -> Vec<Vec<&String>> {
        let groups = [Side::Inputs, Side::Outputs];
        groups.map(|side| self.modules_of(side).collect()).to_vec()
    }

    fn present_biases(&self) -> Vec<String> {
        let modules = self.modules_of(Side::Outputs);
        modules.map(|module| format!("{module}.bias")).collect()
    }

    fn weights(&self) -> Vec<String> {
        self.0.keys().map(|name| format!("{name}.weight")).collect()
    }

    fn put(&self, new: &mut NewValues<'_>) -> Result<(), String> {
        for (module, vector) in &self.0 {
            new.scale(module, vector.side, &vector.values)?;
        }
        Ok(())
    }
}

impl Ia3Vectors {
    fn modules_of(&self, side: Side) -> impl Iterator<Item = &String> {
        let found = self.0.iter().filter(move |(_, vector)| vector.side == side);
        found.map(|(module, _)| module)
    }
}
