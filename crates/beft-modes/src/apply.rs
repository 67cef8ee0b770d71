use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use beft_checkpoint::{CheckpointError, NameTable};
use beft_core::TermSet;
use beft_nn::{BiasModel, ParamPath, map_params, param_shapes};
use burn::tensor::TensorData;
use serde_json::Value;

use crate::Adapter;
use crate::adapter::{linear_modules, norms};
use crate::new_values::NewValues;
use crate::peft::{TargetKind, is_part};

impl Adapter {
    /// Applies the adapter to the base model `module`. `path` is for messages.
    ///
    /// # Errors
    ///
    /// When a tensor has no place in the model, or another length, or something is missing that the
    /// adapter's own config, term set or head calls for.
    pub fn apply<M: BiasModel>(
        &self,
        module: M,
        table: &NameTable,
        path: &Path,
    ) -> Result<M, CheckpointError> {
        let fail = |reason| CheckpointError::Adapter {
            path: path.to_owned(),
            reason,
        };
        self.check_targets(&module, table).map_err(fail)?;
        let mut new = NewValues::of(self, &module, table).map_err(fail)?;
        if let Some(problem) = self.missing_part(&module, table, &new.values) {
            return Err(fail(problem));
        }
        Ok(map_params(module, |param, shape| {
            let values = new.values.remove(param)?;
            Some(TensorData::new(values, shape.to_vec()))
        }))
    }

    /// Fails where the modules that the config targets, and those with values, do not agree.
    fn check_targets<M: BiasModel>(&self, module: &M, table: &NameTable) -> Result<(), String> {
        let include = &self.targets;
        let kind = self.kind.peft_type().targets;
        let targets = match kind {
            TargetKind::None | TargetKind::Linear => linear_modules(module, table),
            TargetKind::Norms => norms(module, table),
        };
        let targets: BTreeSet<String> = targets.into_iter().collect();
        let tuned = self.kind.layout().modules();
        let linear = kind != TargetKind::Norms;
        let untargeted = tuned.iter().find(|n| !self.targets.contains(n, linear));
        if let Some(name) = untargeted {
            return Err(format!(
                "target_modules {include} of adapter_config.json leaves out `{name}`, which the weights file has values for: name \
                 it there, or save the adapter anew with PEFT"
            ));
        }
        for (path, _) in param_shapes(module) {
            let Some((_, name)) = table.by_path(&path) else {
                continue;
            };
            let owner = name.rsplit_once('.').map_or("", |(owner, _)| owner);
            let saved = self
                .targets
                .saved
                .iter()
                .find(|saved| is_part(owner, saved));
            if let Some(saved) = saved.filter(|_| !self.head.contains_key(&name)) {
                return Err(format!(
                    "modules_to_save names `{saved}`, but tensor `{name}` is missing in the weights file"
                ));
            }
        }
        let missing = targets
            .iter()
            .find(|name| self.targets.contains(name, linear) && !tuned.contains(name));
        match missing {
            Some(name) if kind != TargetKind::None => Err(format!(
                "the values for `{name}`, which target_modules {include} of adapter_config.json names, are missing in the weights \
                 file: save the adapter anew with PEFT"
            )),
            _ => Ok(()),
        }
    }

    /// What should be among the parameters `new` of this adapter, and is not; or should not be.
    fn missing_part<M: BiasModel, T>(
        &self,
        module: &M,
        table: &NameTable,
        new: &BTreeMap<ParamPath, T>,
    ) -> Option<String> {
        let hf = |path: &ParamPath| {
            let name = table.by_path(path).map(|(_, name)| name);
            name.unwrap_or_else(|| path.to_string())
        };
        let mut head = module.bias_layout().head.iter();
        let some = head.clone().any(|path| new.contains_key(*path));
        // An adapter of PEFT need not have what the config does not name: DeBERTa's pooler is the base's then.
        let missing = head.find_map(|path| {
            let name = hf(&ParamPath::from(*path));
            (some && !new.contains_key(*path) && self.is_saved(&name)).then_some(name)
        });
        if let Some(name) = missing {
            return Some(format!("tensor `{name}` of the head is missing"));
        }
        let terms = self.facts.get("terms")?.as_str()?;
        if !self.kind.peft_type().has_terms {
            return None;
        }
        let paths = match terms.parse::<TermSet>().map(|t| module.trainable_paths(&t)) {
            Ok(Ok(paths)) => paths,
            Ok(Err(error)) | Err(error) => return Some(format!("its terms `{terms}`: {error}")),
        };
        if let Some(path) = paths.iter().find(|path| !new.contains_key(*path)) {
            return Some(format!(
                "it was trained for the terms `{terms}`, but tensor `{}` is missing",
                hf(path)
            ));
        }
        let stray = new.keys().find(|path| !paths.contains(path))?;
        Some(format!(
            "tensor `{}` is not part of its terms `{terms}`",
            hf(stray)
        ))
    }

    /// The parameters that its term set trains, where it has one.
    pub(crate) fn trained_paths<M: BiasModel>(&self, module: &M) -> Option<Vec<ParamPath>> {
        let terms = self.facts.get("terms").and_then(Value::as_str)?;
        module.trainable_paths(&terms.parse::<TermSet>().ok()?).ok()
    }
}
