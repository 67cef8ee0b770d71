//! Gradients of a module's parameters.

use std::collections::BTreeMap;

use beft_nn::{ParamData, ParamPath, ParamVisitor, param_shapes, visit_params};
use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Copies all gradients of a module to the host, by path.
pub fn gradients_by_path<M: Module>(
    module: &M,
    grads: GradientsParams,
) -> BTreeMap<ParamPath, ParamData> {
    let mut values = BTreeMap::new();
    map_gradients(grads, module, |path, grad| {
        values.insert(path.clone(), grad.into_data().iter().collect());
        None
    });
    let with_values = |(path, shape)| {
        let values = values.remove(&path)?;
        Some((path, ParamData { shape, values }))
    };
    let shapes = param_shapes(module).into_iter();
    shapes.filter_map(with_values).collect()
}

/// Replaces the gradients of a module, in the module's order, by what `change` makes of each, `[values]`; one
/// for which it gives nothing is removed.
pub(crate) fn map_gradients<M: Module>(
    grads: GradientsParams,
    module: &M,
    change: impl FnMut(&ParamPath, Tensor<1>) -> Option<Tensor<1>>,
) -> GradientsParams {
    let mut changes = Changes { grads, change };
    visit_params(module, &mut changes);
    changes.grads
}

struct Changes<F> {
    grads: GradientsParams,
    change: F,
}

impl<F: FnMut(&ParamPath, Tensor<1>) -> Option<Tensor<1>>> ParamVisitor for Changes<F> {
    fn visit<const D: usize>(&mut self, path: ParamPath, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            let shape = grad.shape();
            let flat = grad.reshape([shape.num_elements()]);
            if let Some(new) = (self.change)(&path, flat) {
                self.grads.register(param.id, new.reshape::<D, _>(shape));
            }
        }
    }
}

/// `[sets, values of each]`
pub(crate) fn by_set(tensor: Tensor<1>, sets: usize) -> Tensor<2> {
    let each = tensor.dims()[0] / sets;
    tensor.reshape([sets, each])
}
