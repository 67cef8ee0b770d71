use std::collections::BTreeMap;

use beft_checkpoint::{HeadTensor, KeyTable};
use beft_nn::{BiasModel, param_shapes};
use serde_json::{Map, Value};

use crate::mode::head_paths;
use crate::new_values::NewValues;
use crate::peft::{
    FileTensor, Keys, Layout, PeftLayout, PeftType, Problem, Reader, TargetKind, WRAPPERS,
};
use crate::{
    Adapter, AdapterKind, Makes, Misfit, ModeSettings, ModelTraits, Touched, Touching,
    TrainedParams, TrainingMode,
};

/// LN tuning: the weights and biases of all norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ln;

impl TrainingMode for Ln {
    fn makes(&self) -> Makes {
        Makes::Adapter(collect)
    }

    fn fits(&self, _model: &ModelTraits) -> Result<(), Misfit> {
        Ok(())
    }

    fn touch<M: BiasModel>(&self, model: M, _settings: &ModeSettings, _seed: u64) -> Touching<M> {
        let head = head_paths(&model);
        let paths = param_shapes(&model).into_iter().map(|(path, _)| path);
        let norms = paths.filter(|path| path.is_norm() && !model.is_added(path));
        let norms = norms.filter(|path| !head.contains(path));
        let paths = norms.chain(head.clone()).collect();
        Ok(Touched::whole(model, paths))
    }
}

/// Parameters of norms after training, by their names in checkpoints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NormValues {
    values: BTreeMap<String, HeadTensor>,
    /// The norms.
    modules: Vec<String>,
}

impl FromIterator<(String, HeadTensor)> for NormValues {
    fn from_iter<I: IntoIterator<Item = (String, HeadTensor)>>(values: I) -> Self {
        let values: BTreeMap<String, HeadTensor> = values.into_iter().collect();
        let modules = values.keys().filter_map(|name| name.rsplit_once('.'));
        let mut modules: Vec<String> = modules.map(|(module, _)| module.to_owned()).collect();
        modules.dedup();
        Self { values, modules }
    }
}

/// The adapter with the norms that were trained.
fn collect(trained: &TrainedParams<'_>) -> Adapter {
    let values = trained.values.iter().map(|(path, data)| {
        let (row, name) = trained.place(path);
        (name, HeadTensor::from_param(data, row.stored))
    });
    Adapter {
        kind: AdapterKind::Norms(values.collect()),
        ..Adapter::default()
    }
}

/// What PEFT puts between a norm's name and its parameters (`LNTuningLayer` in `ln_tuning/layer.py`).
const LAYERS: &str = ".ln_tuning_layers.";

/// `LNTuningConfig`.
impl PeftLayout for NormValues {
    const TYPE: PeftType = PeftType {
        name: "LN_TUNING",
        keys: KeyTable {
            applied: &["exclude_modules", "target_modules"],
            immaterial: &[],
            only: &[],
        },
        mergeable: true,
        targets: TargetKind::Norms,
        has_terms: false,
        unwrapped: &[],
        owns: |name| name.contains(LAYERS),
        read: |_: &Keys<'_>| Ok(Box::new(NormValues::default())),
    };
}

impl Reader for NormValues {
    fn take(&mut self, name: &str, tensor: HeadTensor) -> Result<Option<HeadTensor>, Problem> {
        if !name.contains(LAYERS) {
            return Ok(Some(tensor));
        }
        self.values.insert(name.replace(LAYERS, "."), tensor);
        Ok(None)
    }

    fn finish(self: Box<Self>) -> Result<Option<AdapterKind>, String> {
        let values: Self = self.values.into_iter().collect();
        Ok((!values.values.is_empty()).then_some(AdapterKind::Norms(values)))
    }
}

impl Layout for NormValues {
    fn write(&self, _config: &mut Map<String, Value>) {}

    fn tensors(&self) -> Vec<FileTensor<'_>> {
        let tensors = self.values.iter().filter_map(|(name, tensor)| {
            let (module, parameter) = name.rsplit_once('.')?;
            let name = format!("{WRAPPERS}{module}{LAYERS}{parameter}");
            Some((name, tensor.shape.clone(), tensor.values.as_slice()))
        });
        tensors.collect()
    }

    fn modules(&self) -> Vec<&String> {
        self.modules.iter().collect()
    }

    fn weights(&self) -> Vec<String> {
        self.values.keys().cloned().collect()
    }

    fn put(&self, new: &mut NewValues<'_>) -> Result<(), String> {
        let mut all = self.values.iter();
        all.try_for_each(|(name, tensor)| new.set(name, &tensor.shape, &tensor.values))
    }
}
