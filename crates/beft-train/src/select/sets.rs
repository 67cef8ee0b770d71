//! Several trainings in the parameters of one model: each trained parameter holds the values of all
//! of them, one after another along its first axis.

use std::collections::{BTreeMap, BTreeSet};

use beft_nn::{NewParam, ParamData, ParamPath, map_views, read_params, view_params};
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use crate::gradients::by_set;

/// Which parameters are shared out among how many trainings.
#[derive(Clone, Debug)]
pub(crate) struct Sets {
    /// Number of trainings.
    pub(crate) count: usize,
    /// Paths of the parameters that at least one of them trains.
    pub(crate) paths: BTreeSet<ParamPath>,
}

impl Sets {
    /// A model whose parameters hold those of all `models`. They differ in nothing else.
    ///
    /// # Panics
    ///
    /// If there is no model.
    pub(crate) fn stack<M: Module>(&self, models: Vec<M>) -> M {
        let values: Vec<_> = models.iter().map(|m| self.read(m)).collect();
        let mut models = models.into_iter();
        let first = models.next().unwrap_or_else(|| panic!("no model"));
        if self.count == 1 {
            return first;
        }
        let mut values: Vec<_> = values.into_iter().map(BTreeMap::into_iter).collect();
        let mut stacked = BTreeMap::new();
        while let Some((path, mut data)) = values[0].next() {
            for (_, more) in values[1..].iter_mut().filter_map(Iterator::next) {
                data.values.extend(more.values);
            }
            data.shape[0] *= self.count;
            stacked.insert(path, data);
        }
        map_views(first, |path, param| {
            let ParamData { shape, values } = stacked.remove(path)?;
            let len = values.len();
            let values = TensorData::new(values, [len]);
            let values = Tensor::from_data(values, &param.device().inner());
            Some(NewParam::Computed(values, shape))
        })
    }

    /// The values of the trained parameters.
    pub(crate) fn read<M: Module>(&self, model: &M) -> BTreeMap<ParamPath, ParamData> {
        read_params(model, |path| self.paths.contains(path))
    }

    /// The model of one training, on the device of the stacked one.
    pub(crate) fn one<M: Module>(&self, model: &M, set: usize) -> M {
        if self.count == 1 {
            return model.clone();
        }
        map_views(model.clone(), |path, param| {
            let mut shape = param.shape();
            self.paths.contains(path).then(|| {
                let all = by_set(param.flat(), self.count);
                shape[0] /= self.count;
                NewParam::Computed(all.slice(set..set + 1).flatten(0, 1), shape)
            })
        })
    }

    /// Which trainings have finite values only.
    pub(crate) fn finite<M: Module>(&self, model: &M) -> Vec<bool> {
        let mut finite = vec![true; self.count];
        for data in self.read(model).values() {
            let each = data.values.len() / self.count;
            for (finite, values) in finite.iter_mut().zip(data.values.chunks(each)) {
                *finite &= values.iter().all(|x| x.is_finite());
            }
        }
        finite
    }

    /// For each training `other + share (model - other)`; with share 0 exactly the values of
    /// `other`, whatever those of `model` are.
    pub(crate) fn blend<M: Module>(&self, model: M, other: &M, shares: &[f32]) -> M {
        if shares.iter().all(|share| *share == 1.0) {
            return model;
        }
        let mut others = BTreeMap::new();
        view_params(other, |path, param| {
            if self.paths.contains(path) {
                others.insert(path.clone(), by_set(param.flat(), self.count));
            }
        });
        map_views(model, |path, param| {
            let other = others.remove(path)?;
            let own = by_set(param.flat(), self.count);
            let shares = TensorData::new(shares.to_vec(), [self.count, 1]);
            let shares = Tensor::<2>::from_data(shares, &own.device());
            let keeps_other = shares.clone().equal_elem(0.0).expand(own.dims());
            let part = other.clone() + (own - other.clone()) * shares;
            let part = part.mask_where(keeps_other, other);
            Some(NewParam::Computed(part.flatten(0, 1), param.shape()))
        })
    }
}
