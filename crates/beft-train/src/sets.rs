//! Several trainings in the parameters of one model: each trained parameter holds the values of all
//! of them, one after another along its first axis.

use std::collections::{BTreeMap, BTreeSet};

use beft_nn::{ParamData, read_params};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

/// Which parameters are shared out among how many trainings.
#[derive(Clone, Debug)]
pub(crate) struct Sets {
    /// Number of trainings.
    pub(crate) count: usize,
    /// Paths of the parameters that at least one of them trains.
    pub(crate) paths: BTreeSet<String>,
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
        first.map(&mut Replace {
            path: Vec::new(),
            values: stacked,
        })
    }

    /// The values of the trained parameters.
    pub(crate) fn read<M: Module>(&self, model: &M) -> BTreeMap<String, ParamData> {
        read_params(model, |path| self.paths.contains(path))
    }

    /// The model of one training, on the device of the stacked one.
    pub(crate) fn one<M: Module>(&self, model: &M, set: usize) -> M {
        if self.count == 1 {
            return model.clone();
        }
        model.clone().map(&mut Take {
            path: Vec::new(),
            sets: self,
            set,
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
        let mut flat = Flat {
            path: Vec::new(),
            sets: self,
            found: BTreeMap::new(),
        };
        other.visit(&mut flat);
        model.map(&mut Blend {
            path: Vec::new(),
            sets: self,
            other: flat.found,
            shares,
        })
    }
}

struct Replace {
    path: Vec<String>,
    values: BTreeMap<String, ParamData>,
}

impl ModuleMapper for Replace {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(data) = self.values.remove(&self.path.join(".")) else {
            return param;
        };
        let device = param.lazy_device();
        let tensor = Tensor::from_data(TensorData::new(data.values, data.shape), &device);
        Param::initialized(param.id, tensor)
    }
}

struct Take<'a> {
    path: Vec<String>,
    sets: &'a Sets,
    set: usize,
}

impl ModuleMapper for Take<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.sets.paths.contains(&self.path.join(".")) {
            return param;
        }
        param.map(|all| {
            let each = all.dims()[0] / self.sets.count;
            let one = all.inner().narrow(0, self.set * each, each);
            Tensor::from_inner(one)
        })
    }
}

struct Flat<'a> {
    path: Vec<String>,
    sets: &'a Sets,
    /// `[sets, values of each]`, without gradients.
    found: BTreeMap<String, Tensor<2>>,
}

impl ModuleVisitor for Flat<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        if self.sets.paths.contains(&path) {
            self.found
                .insert(path, by_set(param.val().inner(), self.sets.count));
        }
    }
}

struct Blend<'a> {
    path: Vec<String>,
    sets: &'a Sets,
    other: BTreeMap<String, Tensor<2>>,
    shares: &'a [f32],
}

impl ModuleMapper for Blend<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(other) = self.other.remove(&self.path.join(".")) else {
            return param;
        };
        let count = self.sets.count;
        param.map(|tensor| {
            let (shape, learns) = (tensor.dims(), tensor.is_require_grad());
            let own = by_set(tensor.inner(), count);
            let shares = TensorData::new(self.shares.to_vec(), [count, 1]);
            let shares = Tensor::<2>::from_data(shares, &own.device());
            let keeps_other = shares.clone().equal_elem(0.0).expand(own.dims());
            let part = other.clone() + (own - other.clone()) * shares;
            let part = part.mask_where(keeps_other, other);
            let tensor = Tensor::from_inner(part.reshape(shape));
            if learns {
                tensor.require_grad()
            } else {
                tensor
            }
        })
    }
}

/// `[sets, values of each]`
pub(crate) fn by_set<const D: usize>(tensor: Tensor<D>, sets: usize) -> Tensor<2> {
    let each = tensor.shape().num_elements() / sets;
    tensor.reshape([sets, each])
}
