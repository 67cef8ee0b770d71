use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

/// A parameter's values on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamData {
    /// Shape, as the module holds it.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

/// Reads the float parameters whose path `wanted` accepts, by path.
///
/// Others are not copied off the device.
pub fn read_params<M: Module>(
    module: &M,
    wanted: impl Fn(&str) -> bool,
) -> BTreeMap<String, ParamData> {
    let mut reader = Reader {
        path: Vec::new(),
        wanted,
        found: BTreeMap::new(),
    };
    module.visit(&mut reader);
    reader.found
}

/// Paths and shapes of all float parameters, in module order. Initialises and copies nothing.
pub fn param_shapes<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Shapes::default();
    module.visit(&mut shapes);
    shapes.found
}

#[derive(Default)]
struct Shapes {
    path: Vec<String>,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found
            .push((self.path.join("."), param.lazy_shape().to_vec()));
    }
}

struct Reader<F> {
    path: Vec<String>,
    wanted: F,
    found: BTreeMap<String, ParamData>,
}

impl<F: Fn(&str) -> bool> ModuleVisitor for Reader<F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        if (self.wanted)(&path) {
            let data = param.val().into_data();
            let shape = data.shape().to_vec();
            self.found.insert(
                path,
                ParamData {
                    shape,
                    values: data.iter::<f32>().collect(),
                },
            );
        }
    }
}

/// Replaces the float parameters for which `new_value` returns data; it is given the path and the
/// shape the module expects, before anything is computed. Devices, ids and gradient settings of
/// the parameters are kept.
///
/// # Panics
///
/// If the returned data's shape is not the expected one.
pub fn map_params<M: Module>(
    module: M,
    new_value: impl FnMut(&str, &[usize]) -> Option<TensorData>,
) -> M {
    module.map(&mut Mapper {
        path: Vec::new(),
        new_value,
    })
}

struct Mapper<F> {
    path: Vec<String>,
    new_value: F,
}

impl<F: FnMut(&str, &[usize]) -> Option<TensorData>> ModuleMapper for Mapper<F> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // The lazy shape: a parameter about to be replaced is never initialised.
        let shape = param.lazy_shape().to_vec();
        match (self.new_value)(&self.path.join("."), &shape) {
            Some(data) => {
                assert_eq!(
                    data.shape().to_vec(),
                    shape,
                    "shape of {}",
                    self.path.join(".")
                );
                let (id, device) = (param.id, param.lazy_device());
                let options = (&device, data.dtype());
                param.transform_for_load(Tensor::from_data(data, options), id)
            }
            None => param,
        }
    }
}
