use std::collections::BTreeSet;
use std::fmt;

use beft_nn::{ParamPath, map_params, param_shapes};
use burn::module::Module;
use burn::tensor::{DType, Element, TensorData};
use half::{bf16, f16};

use crate::names::PARTS;
use crate::tensors::FromFloat;
use crate::{CheckpointError, NameTable, Stored, TensorFiles};

/// Why a tensor does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorProblem {
    /// The model needs the tensor, and the checkpoint lacks it.
    Missing {
        /// Name in the checkpoint.
        name: String,
        /// Shape it would have.
        expected: Vec<usize>,
    },
    /// The shapes differ.
    Shape {
        /// Name in the checkpoint.
        name: String,
        /// Shape by config.json, as stored in the file.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// The checkpoint holds a part of a layer that the model does not have.
    Beyond {
        /// Name in the checkpoint.
        name: String,
    },
}

impl fmt::Display for TensorProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, expected } => {
                write!(
                    f,
                    "tensor `{name}` is missing (expected shape {expected:?})"
                )
            }
            Self::Shape {
                name,
                expected,
                found,
            } => {
                write!(
                    f,
                    "tensor `{name}` has shape {found:?}, expected {expected:?}"
                )
            }
            Self::Beyond { name } => write!(
                f,
                "tensor `{name}` has no place: config.json says that there are fewer layers, or no such part of them"
            ),
        }
    }
}

/// What loading found out, beside the values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Optional tensors the checkpoint does not hold: their parameters keep the initial values.
    pub initialized: Vec<String>,
    /// Biases of layers that the checkpoint does not hold, zero at first. They are no missing ones.
    pub added: Vec<String>,
    /// Initialised tensors that the checkpoint has with another number of rows: a head with other classes.
    pub misshapen: Vec<TensorProblem>,
    /// Tensors of the checkpoint that the model does not use.
    pub unused: Vec<String>,
}

/// Fills `module` from `files` through the architecture's name table, as `f32`.
///
/// # Errors
///
/// [`CheckpointError::Tensors`] with every missing and misshapen tensor, or an unreadable type.
pub fn load_module<M: Module>(
    module: M,
    table: &NameTable,
    files: &TensorFiles,
) -> Result<(M, LoadReport), CheckpointError> {
    load_module_as(module, table, files, |_, _| DType::F32)
}

/// The same, each parameter in the type that `dtype` gives for its path and shape: `f32`, `bf16` or `f16`.
/// One tensor is read after another, and the file's pages are given back, so that not much more memory is
/// taken than the module's own.
///
/// # Errors
///
/// As [`load_module`].
///
/// # Panics
///
/// If `dtype` gives another type.
pub fn load_module_as<M: Module>(
    module: M,
    table: &NameTable,
    files: &TensorFiles,
    dtype: impl Fn(&ParamPath, &[usize]) -> DType,
) -> Result<(M, LoadReport), CheckpointError> {
    let mut report = LoadReport::default();
    let mut problems = Vec::new();
    let mut unreadable = None;
    let mut used = BTreeSet::new();
    let own: BTreeSet<ParamPath> = param_shapes(&module).into_iter().map(|(p, _)| p).collect();
    let module = map_params(module, |path, shape| {
        let (row, name) = table.by_path(path)?;
        let mut spellings = table.spellings(&name);
        let tied = table.tied.iter().filter(|(tied, _)| *tied == name);
        let free = tied.filter(|(_, other)| {
            let place = table.by_hf(other);
            place.is_none_or(|(_, path)| !own.contains(&path))
        });
        spellings.extend(free.map(|(_, other)| (*other).to_owned()));
        let Some(found) = spellings.into_iter().find(|n| files.contains(n)) else {
            if row.optional && ParamPath::from(row.path).term().is_some() {
                report.added.push(name);
            } else if row.optional {
                report.initialized.push(name);
            } else {
                problems.push(TensorProblem::Missing {
                    name,
                    expected: row.stored.in_file(shape),
                });
            }
            return None;
        };
        let expected = row.stored.in_file(shape);
        let in_file = files.shape(&found).unwrap_or_default();
        if in_file != expected {
            let same_inputs = in_file.get(1..) == expected.get(1..);
            let problem = TensorProblem::Shape {
                name: found.clone(),
                expected,
                found: in_file.to_vec(),
            };
            // A head for other classes is drawn anew, as a missing one.
            if row.optional && same_inputs {
                report.initialized.push(name);
                report.misshapen.push(problem);
                used.insert(found);
            } else {
                problems.push(problem);
            }
            return None;
        }
        let data = match dtype(path, shape) {
            DType::F32 => read::<f32>(files, &found, row.stored, shape),
            DType::BF16 => read::<bf16>(files, &found, row.stored, shape),
            DType::F16 => read::<f16>(files, &found, row.stored, shape),
            other => panic!("weights of type {other:?}"),
        };
        let data = data.map_err(|e| unreadable.get_or_insert(e)).ok()?;
        used.insert(found);
        Some(data)
    });
    if let Some(error) = unreadable {
        return Err(error);
    }
    report.unused = files
        .names()
        .filter(|name| !used.contains(*name) && !table.ignores(name))
        .map(str::to_owned)
        .collect();
    // A model with fewer layers than its weights is another model.
    let beyond = report.unused.iter().filter(|name| {
        let row = table.by_hf(name).map(|(row, _)| row);
        row.is_some_and(|row| row.path.contains("{l}"))
    });
    problems.extend(beyond.map(|name| TensorProblem::Beyond { name: name.clone() }));
    if !problems.is_empty() {
        return Err(CheckpointError::Tensors {
            path: files.path().to_owned(),
            problems,
        });
    }
    Ok((module, report))
}

/// A tensor as the module with this shape holds it.
fn read<T: FromFloat + Element>(
    files: &TensorFiles,
    name: &str,
    as_stored: Stored,
    shape: &[usize],
) -> Result<TensorData, CheckpointError> {
    let values: Vec<T> = files.read_as(name)?;
    let values = match (as_stored, shape) {
        (Stored::Transposed, [columns, rows]) => transpose(&values, *rows, *columns),
        (Stored::LinearThird(part), [columns, rows]) => {
            let size = rows * columns;
            transpose(&values[part * size..(part + 1) * size], *rows, *columns)
        }
        (Stored::LinearThird(part), [width]) => third(&values, *width, part),
        (Stored::Third(part), [.., width]) => third(&values, *width, part),
        _ => values,
    };
    Ok(TensorData::new(values, shape.to_vec()))
}

/// One of the equal parts of a tensor along its last axis, which are this wide.
pub fn third<T: Copy>(values: &[T], width: usize, part: usize) -> Vec<T> {
    values
        .chunks_exact((PARTS * width).max(1))
        .flat_map(|row| &row[part * width..(part + 1) * width])
        .copied()
        .collect()
}

/// `[rows, columns]` to `[columns, rows]`, in blocks that stay in cache.
pub(crate) fn transpose<T: Copy + Default>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    const BLOCK: usize = 32;
    let mut out = vec![T::default(); values.len()];
    for row0 in (0..rows).step_by(BLOCK) {
        for column0 in (0..columns).step_by(BLOCK) {
            for row in row0..rows.min(row0 + BLOCK) {
                for column in column0..columns.min(column0 + BLOCK) {
                    out[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TensorName;
    use crate::test_files::write_tensors;
    use burn::module::Param;
    use burn::nn::Initializer;
    use burn::tensor::{Device, Tensor};

    #[derive(Module, Debug)]
    struct Tiny {
        weight: Param<Tensor<2>>,
        head: Param<Tensor<1>>,
    }

    const TABLE: NameTable = NameTable {
        backbone_prefix: "base.",
        rows: &[
            TensorName {
                path: "weight",
                hf: "base.dense.weight",
                stored: Stored::Transposed,
                optional: false,
            },
            TensorName {
                path: "head",
                hf: "head",
                stored: Stored::Same,
                optional: true,
            },
        ],
        head: &[],
        bare: false,
        ignored: &["position_ids"],
        tied: &[],
    };

    fn tiny() -> Tiny {
        let device = Device::flex();
        Tiny {
            weight: Initializer::Zeros.init([2, 3], &device),
            head: Initializer::Ones.init([2], &device),
        }
    }

    fn load(tensors: &[(&str, &[usize], &[f32])]) -> Result<(Tiny, LoadReport), CheckpointError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.safetensors");
        write_tensors(&path, tensors);
        load_module(tiny(), &TABLE, &TensorFiles::open(&path).unwrap())
    }

    #[test]
    fn transposes_and_reports_what_is_left() {
        let (module, report) = load(&[
            ("dense.weight", &[3, 2], &[1., 2., 3., 4., 5., 6.]),
            ("base.position_ids", &[1], &[0.]),
            ("stranger", &[1], &[0.]),
        ])
        .unwrap();
        let values: Vec<f32> = module.weight.val().into_data().iter().collect();
        assert_eq!(values, [1., 3., 5., 2., 4., 6.]);
        let head: Vec<f32> = module.head.val().into_data().iter().collect();
        assert_eq!(head, [1., 1.]);
        assert_eq!(report.initialized, ["head"]);
        assert_eq!(report.unused, ["stranger"]);
    }

    #[test]
    fn a_head_of_other_classes_is_drawn_anew_and_told() {
        let dense: &[f32] = &[1., 2., 3., 4., 5., 6.];
        let (module, report) = load(&[
            ("dense.weight", &[3, 2], dense),
            ("head", &[3], &[5., 5., 5.]),
        ])
        .unwrap();
        let head: Vec<f32> = module.head.val().into_data().iter().collect();
        assert_eq!(head, [1., 1.]);
        assert_eq!(report.initialized, ["head"]);
        let told = report.misshapen[0].to_string();
        assert_eq!(told, "tensor `head` has shape [3], expected [2]");
        let message = load(&[
            ("dense.weight", &[3, 2], dense),
            ("head", &[2, 1], &[5., 5.]),
        ]);
        let message = message.unwrap_err().to_string();
        assert!(
            message.contains("`head` has shape [2, 1], expected [2]"),
            "{message}"
        );
    }

    #[test]
    fn missing_and_misshapen_tensors_are_named_together() {
        let message = load(&[("head", &[3], &[0., 0., 0.])])
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("`base.dense.weight` is missing (expected shape [3, 2])"),
            "{message}"
        );
        let message = load(&[("base.dense.weight", &[2, 3], &[0.; 6])])
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("has shape [2, 3], expected [3, 2]"),
            "{message}"
        );
    }
}
