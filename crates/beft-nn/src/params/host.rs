use std::collections::{BTreeMap, HashSet};

use burn::module::Module;
use burn::tensor::TensorData;

use super::{NewParam, ParamPath, map_views, view_params};

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
    wanted: impl Fn(&ParamPath) -> bool,
) -> BTreeMap<ParamPath, ParamData> {
    let mut found = BTreeMap::new();
    view_params(module, |path, param| {
        if wanted(path) {
            let data = ParamData {
                shape: param.shape(),
                values: param.flat().into_data().iter().collect(),
            };
            found.insert(path.clone(), data);
        }
    });
    found
}

/// Paths and shapes of all float parameters, in module order. Initialises and copies nothing.
pub fn param_shapes<M: Module>(module: &M) -> Vec<(ParamPath, Vec<usize>)> {
    let mut shapes = Vec::new();
    view_params(module, |path, param| {
        shapes.push((path.clone(), param.shape()));
    });
    shapes
}

/// Number of values of the float parameters with these paths.
pub fn count_values<M: Module>(module: &M, paths: &[ParamPath]) -> usize {
    let paths: HashSet<&ParamPath> = paths.iter().collect();
    let shapes = param_shapes(module).into_iter();
    let wanted = shapes.filter(|(path, _)| paths.contains(path));
    wanted
        .map(|(_, shape)| shape.iter().product::<usize>())
        .sum()
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
    mut new_value: impl FnMut(&ParamPath, &[usize]) -> Option<TensorData>,
) -> M {
    map_views(module, |path, param| {
        let data = new_value(path, &param.shape())?;
        Some(NewParam::Loaded(data, param.id()))
    })
}
