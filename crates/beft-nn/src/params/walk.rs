use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor, TensorData};

use super::ParamPath;

/// A visitor of the float parameters of a module, in the module's order.
pub trait ParamVisitor {
    /// Visits a parameter.
    fn visit<const D: usize>(&mut self, path: ParamPath, param: &Param<Tensor<D>>);
}

/// A float parameter, whatever its number of dimensions.
pub trait FloatParam {
    /// The shape, as the module holds it. Initialises nothing.
    fn shape(&self) -> Vec<usize>;
    /// The id by which the optimizer knows the parameter.
    fn id(&self) -> ParamId;
    /// The device of the parameter. Initialises nothing.
    fn device(&self) -> Device;
    /// Whether the parameter has gradients.
    fn learns(&self) -> bool;
    /// The values without gradients, `[values]`.
    fn flat(&self) -> Tensor<1>;
}

/// The new content of a parameter.
pub enum NewParam {
    /// Values of the shape that the module expects, in their own number type, under this id.
    Loaded(TensorData, ParamId),
    /// A tensor without gradients, `[values]`, of this shape, with as many axes as before. It learns if
    /// the old one did.
    Computed(Tensor<1>, Vec<usize>),
}

impl<const D: usize> FloatParam for Param<Tensor<D>> {
    fn shape(&self) -> Vec<usize> {
        self.lazy_shape().to_vec()
    }

    fn id(&self) -> ParamId {
        self.id
    }

    fn device(&self) -> Device {
        self.lazy_device()
    }

    fn learns(&self) -> bool {
        self.is_require_grad()
    }

    fn flat(&self) -> Tensor<1> {
        let values = self.val().inner();
        let len = values.shape().num_elements();
        values.reshape([len])
    }
}

/// Visits the float parameters of a module.
pub fn visit_params<M: Module>(module: &M, visitor: &mut impl ParamVisitor) {
    let (names, at) = (Vec::new(), visitor);
    module.visit(&mut Walk { names, at });
}

/// Shows the float parameters of a module to `look`.
pub fn view_params<M: Module>(module: &M, look: impl FnMut(&ParamPath, &dyn FloatParam)) {
    visit_params(module, &mut Look(look));
}

/// The module with those float parameters changed for which `change` gives what they become. Devices and
/// gradient settings are kept.
///
/// # Panics
///
/// If it gives another shape than the module expects, or another number of axes.
pub fn map_views<M: Module>(
    module: M,
    change: impl FnMut(&ParamPath, &dyn FloatParam) -> Option<NewParam>,
) -> M {
    let (names, at) = (Vec::new(), change);
    module.map(&mut Walk { names, at })
}

struct Look<F>(F);

impl<F: FnMut(&ParamPath, &dyn FloatParam)> ParamVisitor for Look<F> {
    fn visit<const D: usize>(&mut self, path: ParamPath, param: &Param<Tensor<D>>) {
        (self.0)(&path, param);
    }
}

/// A walk through a module: where it is, and what is done there.
struct Walk<T> {
    names: Vec<String>,
    at: T,
}

impl<T> Walk<T> {
    fn path(&self) -> ParamPath {
        self.names.join(".").into()
    }
}

impl<V: ParamVisitor> ModuleVisitor for Walk<&mut V> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.names.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.names.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path();
        self.at.visit(path, param);
    }
}

impl<F: FnMut(&ParamPath, &dyn FloatParam) -> Option<NewParam>> ModuleMapper for Walk<F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.names.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.names.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = &self.path();
        match (self.at)(path, &param) {
            None => param,
            Some(NewParam::Loaded(data, id)) => {
                // The lazy shape: a parameter about to be replaced is never initialised.
                assert_eq!(
                    data.shape().to_vec(),
                    param.lazy_shape().to_vec(),
                    "shape of {path}"
                );
                let device = param.lazy_device();
                let options = (&device, data.dtype());
                param.transform_for_load(Tensor::from_data(data, options), id)
            }
            Some(NewParam::Computed(values, shape)) => {
                assert_eq!(shape.len(), D, "axes of {path}");
                param.map(|old| {
                    let new: Tensor<D> = values.reshape(burn::tensor::Shape::from(shape));
                    match (old.is_autodiff(), old.is_require_grad()) {
                        (false, _) => new,
                        (true, false) => Tensor::from_inner(new),
                        (true, true) => Tensor::from_inner(new).require_grad(),
                    }
                })
            }
        }
    }
}
