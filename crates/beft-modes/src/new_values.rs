use std::collections::{BTreeMap, BTreeSet};

use beft_checkpoint::{HeadTensor, NameTable, Stored, TensorName, third};
use beft_nn::{BiasModel, ParamData, ParamPath, Side, param_shapes, read_params};

use crate::Adapter;

/// The new values of a model's parameters, by path, and what finds their places.
pub(crate) struct NewValues<'a> {
    table: &'a NameTable,
    /// The model's own values of all that the adapter has something for.
    present: BTreeMap<ParamPath, ParamData>,
    pub(crate) values: BTreeMap<ParamPath, Vec<f32>>,
    /// What its term set trains, where it has one.
    trained: Option<Vec<ParamPath>>,
}

impl<'a> NewValues<'a> {
    pub(crate) fn of<M: BiasModel>(
        adapter: &Adapter,
        module: &M,
        table: &'a NameTable,
    ) -> Result<Self, String> {
        let kind = adapter.kind.layout();
        let whole = adapter.head.keys().chain(adapter.extra.keys()).cloned();
        let shapes: BTreeSet<ParamPath> =
            param_shapes(module).into_iter().map(|(p, _)| p).collect();
        let mut paths = BTreeSet::new();
        for name in kind.biases() {
            // PEFT adds a bias to any linear layer, and the models here to those that they train.
            let found = table.all_by_hf(&name);
            let own = |(_, path): &(_, ParamPath)| shapes.contains(path);
            if table.by_hf(&name.replace(".bias", ".weight")).is_some() && !found.iter().any(own) {
                return Err(format!(
                    "it has a bias `{name}`, and a layer of this model has no place for one there: choose other \
                     target_modules, or compute with PEFT"
                ));
            }
            paths.extend(places(table, &name)?.into_iter().map(|(_, path)| path));
        }
        for name in kind.present_biases() {
            let found = table.all_by_hf(&name).into_iter().map(|(_, path)| path);
            paths.extend(found.filter(|path| shapes.contains(path)));
        }
        for name in whole.chain(kind.weights()) {
            paths.extend(places(table, &name)?.into_iter().map(|(_, path)| path));
        }
        // The output head of a tied model is the token embeddings, which PEFT changes apart from it.
        let output = ParamPath::output_head();
        let tied = table.by_path(&output).is_some() && !shapes.contains(&output);
        for path in &paths {
            let name = table
                .by_path(path)
                .map_or_else(|| path.to_string(), |(_, name)| name);
            if tied && (path.is_tokens() || *path == output) {
                return Err(format!(
                    "`{name}` is one of the token embeddings and the output head of this model, which are the same \
                     (tie_word_embeddings), and PEFT changes one of them: merge the adapter into its base with PEFT"
                ));
            }
            if !shapes.contains(path) {
                return Err(format!(
                    "the model has no parameter `{name}`; is this model the base it was trained on?"
                ));
            }
        }
        let mut new = Self {
            table,
            present: read_params(module, |path| paths.contains(path)),
            values: BTreeMap::new(),
            trained: adapter.trained_paths(module),
        };
        for (name, values) in &adapter.extra {
            new.set(name, &[values.len()], values)?;
        }
        for (name, HeadTensor { shape, values }) in &adapter.head {
            new.set(name, shape, values)?;
        }
        kind.put(&mut new)?;
        Ok(new)
    }

    /// The present values of a parameter.
    fn current(&self, path: &ParamPath) -> &[f32] {
        let base = || self.present.get(path).map_or(&[][..], |p| &p.values);
        self.values.get(path).map_or_else(base, Vec::as_slice)
    }

    /// Sets parameters to what a tensor of the adapter holds, which lies as in a checkpoint.
    pub(crate) fn set(
        &mut self,
        name: &str,
        shape: &[usize],
        values: &[f32],
    ) -> Result<(), String> {
        let places = places(self.table, name)?;
        let count = places.len();
        for (row, path) in places {
            let expected = row.stored.in_file(&self.present[&path].shape);
            if shape != expected {
                return Err(self.misfit(name, shape, &expected));
            }
            let tensor = HeadTensor {
                shape: shape.to_vec(),
                values: values.to_vec(),
            };
            let values = match row.stored {
                Stored::Third(part) => third(values, self.width(&path), part),
                Stored::LinearThird(part) if shape.len() == 1 => {
                    third(values, self.width(&path), part)
                }
                Stored::LinearThird(part) => {
                    let width = self.width(&path);
                    let size = values.len() / shape[0].max(1) * width;
                    HeadTensor {
                        shape: vec![width, size / width.max(1)],
                        values: values[part * size..(part + 1) * size].to_vec(),
                    }
                    .module_values(Stored::Transposed)
                }
                stored @ (Stored::Same | Stored::Transposed) => tensor.module_values(stored),
            };
            if count == 1 || self.may_train(&path) {
                self.values.insert(path, values);
            }
        }
        Ok(())
    }

    /// Whether a part of a fused tensor is the adapter's: only what was trained is.
    fn may_train(&self, path: &ParamPath) -> bool {
        self.trained.as_ref().is_none_or(|t| t.contains(path))
    }

    /// Adds to a bias.
    pub(crate) fn add(&mut self, name: &str, delta: &[f32]) -> Result<(), String> {
        self.change_bias(name, delta, 0.0, |value, delta| *value += delta)
    }

    /// Changes a bias by a number for each value; a fused one is that of several parameters. `neutral` changes nothing.
    fn change_bias(
        &mut self,
        name: &str,
        by: &[f32],
        neutral: f32,
        change: impl Fn(&mut f32, f32),
    ) -> Result<(), String> {
        let places = places(self.table, name)?;
        let total: usize = places
            .iter()
            .map(|(_, path)| self.current(path).len())
            .sum();
        if total != by.len() {
            return Err(self.misfit(name, &[by.len()], &[total]));
        }
        let mut rest = by;
        let fused = places.len() > 1;
        for (_, path) in places {
            let mut values = self.current(&path).to_vec();
            let (own, others) = rest.split_at(values.len());
            let pairs = values.iter_mut().zip(own);
            pairs.for_each(|(value, by)| change(value, *by));
            rest = others;
            if !fused || self.may_train(&path) || own.iter().any(|by| *by != neutral) {
                self.values.insert(path, values);
            }
        }
        Ok(())
    }

    /// A matrix as modules hold it, `[in, out]`; of a fused one all parts side by side.
    pub(crate) fn whole(&self, name: &str) -> Result<Vec<f32>, String> {
        let places = places(self.table, name)?;
        let parts: Vec<(&[f32], usize)> = places
            .iter()
            .map(|(_, path)| (self.current(path), self.width(path)))
            .collect();
        let rows = parts
            .first()
            .map_or(0, |(values, width)| values.len() / width.max(&1));
        let row = |row: usize| {
            parts
                .iter()
                .flat_map(move |(values, width)| &values[row * width..(row + 1) * width])
        };
        Ok((0..rows).flat_map(row).copied().collect())
    }

    /// The other way.
    pub(crate) fn put_back(&mut self, name: &str, whole: &[f32]) -> Result<(), String> {
        let places = places(self.table, name)?;
        let widths: Vec<usize> = places.iter().map(|(_, path)| self.width(path)).collect();
        let total: usize = widths.iter().sum();
        let mut start = 0;
        for ((_, path), width) in places.into_iter().zip(widths) {
            let part = whole
                .chunks(total.max(1))
                .flat_map(|row| &row[start..start + width]);
            self.values.insert(path, part.copied().collect());
            start += width;
        }
        Ok(())
    }

    /// Multiplies the inputs or outputs of a linear module by factors: its weight, and with the outputs the bias that
    /// it may have.
    pub(crate) fn scale(
        &mut self,
        module: &str,
        side: Side,
        factors: &[f32],
    ) -> Result<(), String> {
        let name = format!("{module}.weight");
        let mut whole = self.whole(&name)?;
        let widths = places(self.table, &name)?;
        let outputs: usize = widths.iter().map(|(_, path)| self.width(path)).sum();
        let inputs = whole.len() / outputs.max(1);
        let expected = match side {
            Side::Inputs => inputs,
            Side::Outputs => outputs,
        };
        if factors.len() != expected {
            return Err(format!(
                "`{module}` has {} factors, and {expected} {} in this model; is this model the base it was trained on?",
                factors.len(),
                match side {
                    Side::Inputs => "inputs",
                    Side::Outputs => "outputs",
                }
            ));
        }
        for (row, values) in whole.chunks_mut(outputs.max(1)).enumerate() {
            match side {
                Side::Inputs => values.iter_mut().for_each(|value| *value *= factors[row]),
                Side::Outputs => {
                    let pairs = values.iter_mut().zip(factors);
                    pairs.for_each(|(value, factor)| *value *= factor);
                }
            }
        }
        self.put_back(&name, &whole)?;
        let bias = format!("{module}.bias");
        let biases = self.table.all_by_hf(&bias);
        let has_bias = biases
            .iter()
            .any(|(_, path)| self.present.contains_key(path));
        match side == Side::Outputs && has_bias {
            true => self.change_bias(&bias, factors, 1.0, |value, factor| *value *= factor),
            false => Ok(()),
        }
    }

    fn width(&self, path: &ParamPath) -> usize {
        self.present
            .get(path)
            .and_then(|p| p.shape.last().copied())
            .unwrap_or(0)
    }

    fn misfit(&self, name: &str, found: &[usize], expected: &[usize]) -> String {
        let rows = found.first() != expected.first() && found.get(1) == expected.get(1);
        let resized = if rows && found.len() == 2 {
            " (a vocabulary or a number of classes that was changed?)"
        } else {
            ""
        };
        format!(
            "`{name}` has shape {found:?}, the model's has {expected:?}{resized}; is this model the base it was trained on?"
        )
    }
}

/// Where a checkpoint's tensor goes: more than one place for a fused one.
fn places<'a>(
    table: &'a NameTable,
    name: &str,
) -> Result<Vec<(&'a TensorName, ParamPath)>, String> {
    let found = table.all_by_hf(name);
    match found.is_empty() {
        false => Ok(found),
        true => Err(format!(
            "tensor `{name}` has no place in this model; is this model the base it was trained on?"
        )),
    }
}
