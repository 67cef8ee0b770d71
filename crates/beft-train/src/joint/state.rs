//! The state of a training between two epochs, in one file.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;

use beft_core::guarded;
use beft_files::write_atomic;
use beft_nn::{BiasModel, NewParam, ParamData, ParamPath, map_views, view_params};
use burn::module::ParamId;
use burn::optim::ModuleOptimizer;
use burn::tensor::{Bytes, TensorData};
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::select::Sets;
use crate::{Checkpoint, EpochRecord, Failure, Team, TrainError};

/// Whether a file is a whole training state, of whatever training.
pub fn is_whole_state(file: &[u8]) -> bool {
    // This compares the length with what the header says, too.
    let metadata = SafeTensors::read_metadata(file);
    metadata.is_ok_and(|(_, metadata)| header_of(&metadata).is_some())
}

fn header_of(metadata: &Metadata) -> Option<Header> {
    let header = metadata.metadata().as_ref()?.get(HEADER)?;
    serde_json::from_str(header).ok()
}

/// What a training has come to after some epochs.
#[derive(Debug)]
pub(crate) struct State {
    /// How far each training in it has come.
    pub(crate) runs: Vec<RunState>,
    /// How far the epoch after those has come.
    pub(crate) begun: Option<Begun>,
    /// Trained parameters by path.
    pub(crate) values: BTreeMap<ParamPath, ParamData>,
    /// The best epoch's, where that is kept.
    pub(crate) best: BTreeMap<ParamPath, ParamData>,
    /// The ids that the optimizer knows the parameters by.
    pub(crate) ids: BTreeMap<String, u64>,
    /// The optimizer's own record.
    pub(crate) optimizer: Vec<u8>,
}

/// How far a training has come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RunState {
    /// Every epoch so far.
    pub(crate) epochs: Vec<EpochRecord>,
    /// Why it had to stop.
    pub(crate) failure: Option<Failure>,
}

/// An epoch that was stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// Steps that were taken.
    pub(crate) steps: usize,
    /// The sum of each training's losses, weighted, and that of the weights.
    pub(crate) losses: Vec<(f64, f64)>,
}

/// What the file says beside tensors, as JSON in its metadata.
#[derive(Serialize, Deserialize)]
struct Header {
    identity: String,
    runs: Vec<RunState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    begun: Option<Begun>,
    ids: BTreeMap<String, u64>,
}

const HEADER: &str = "beft";
const OPTIMIZER: &str = "optimizer";
const VALUE: &str = "value.";
const BEST: &str = "best.";

impl Checkpoint {
    /// The error that says why the file is of no use.
    pub(crate) fn failed(&self, reason: String) -> TrainError {
        TrainError::Checkpoint {
            path: self.path.clone(),
            reason,
        }
    }
}

impl State {
    /// The state of `model` and `optimizer`, in which the trainings `sets` have come to `runs`.
    pub(crate) fn of<M: BiasModel>(
        model: &M,
        best: Option<&M>,
        optimizer: &ModuleOptimizer,
        sets: &Sets,
        runs: Vec<RunState>,
        begun: Option<Begun>,
    ) -> Result<Self, String> {
        let mut ids = BTreeMap::new();
        view_params(model, |path, param| {
            if sets.paths.contains(path) {
                ids.insert(path.to_string(), param.id().val());
            }
        });
        Ok(Self {
            runs,
            begun,
            values: sets.read(model),
            best: best.map(|best| sets.read(best)).unwrap_or_default(),
            ids,
            optimizer: optimizer.into_bytes().map_err(|e| e.to_string())?.to_vec(),
        })
    }

    /// Writes the file whole or not at all.
    pub(crate) fn save(self, checkpoint: &Checkpoint, identity: &str) -> Result<(), TrainError> {
        let fail = |reason| checkpoint.failed(reason);
        let header = Header {
            identity: identity.to_owned(),
            runs: self.runs,
            begun: self.begun,
            ids: self.ids,
        };
        let header = serde_json::to_string(&header).map_err(|e| fail(e.to_string()))?;
        let mut bytes: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (prefix, group) in [(VALUE, &self.values), (BEST, &self.best)] {
            for (path, data) in group {
                let raw = data.values.iter().flat_map(|x| x.to_le_bytes()).collect();
                bytes.push((format!("{prefix}{path}"), data.shape.clone(), raw));
            }
        }
        let mut views = Vec::with_capacity(bytes.len() + 1);
        for (name, shape, raw) in &bytes {
            let view = TensorView::new(Dtype::F32, shape.clone(), raw);
            views.push((name.as_str(), view.map_err(|e| fail(e.to_string()))?));
        }
        let optimizer = TensorView::new(Dtype::U8, vec![self.optimizer.len()], &self.optimizer);
        views.push((OPTIMIZER, optimizer.map_err(|e| fail(e.to_string()))?));
        let metadata = HashMap::from([(HEADER.to_owned(), header)]);
        let file =
            safetensors::serialize(views, Some(metadata)).map_err(|e| fail(e.to_string()))?;
        write_atomic(&checkpoint.path, &file).map_err(|e| fail(format!("cannot write it: {e}")))
    }

    /// The file that the first process of a team has; `None` when there is none.
    pub(crate) fn load(
        checkpoint: &Checkpoint,
        identity: &str,
        team: &Team,
    ) -> Result<Option<Self>, TrainError> {
        let file = match team.leads().then(|| fs::read(&checkpoint.path)) {
            Some(Ok(file)) => Some(file),
            None => None,
            Some(Err(e)) if e.kind() == io::ErrorKind::NotFound => None,
            Some(Err(e)) => return Err(checkpoint.failed(format!("cannot read it: {e}"))),
        };
        let file = team.from_first(file)?;
        file.map(|file| Self::parse(&file, checkpoint, identity))
            .transpose()
    }

    fn parse(file: &[u8], checkpoint: &Checkpoint, identity: &str) -> Result<Self, TrainError> {
        let fail = |reason| checkpoint.failed(reason);
        let damaged = |what: String| {
            fail(format!(
                "it is not a whole training state ({what}); delete it to begin anew"
            ))
        };
        let (_, metadata) = SafeTensors::read_metadata(file).map_err(|e| damaged(e.to_string()))?;
        let header =
            header_of(&metadata).ok_or_else(|| damaged("no record of epochs".to_owned()))?;
        if header.identity != identity {
            return Err(TrainError::OtherTraining {
                path: checkpoint.path.clone(),
                ours: identity.to_owned(),
                theirs: header.identity,
            });
        }
        let tensors = SafeTensors::deserialize(file).map_err(|e| damaged(e.to_string()))?;
        let mut state = Self {
            runs: header.runs,
            begun: header.begun,
            values: BTreeMap::new(),
            best: BTreeMap::new(),
            ids: header.ids,
            optimizer: Vec::new(),
        };
        for (name, view) in tensors.iter() {
            if name == OPTIMIZER {
                state.optimizer = view.data().to_vec();
                continue;
            }
            let chunks = view.data().as_chunks::<4>().0;
            let data = ParamData {
                shape: view.shape().to_vec(),
                values: chunks.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            };
            if let Some(path) = name.strip_prefix(VALUE) {
                state.values.insert(path.into(), data);
            } else if let Some(path) = name.strip_prefix(BEST) {
                state.best.insert(path.into(), data);
            }
        }
        if state.runs.is_empty()
            || !state
                .values
                .keys()
                .map(ParamPath::as_str)
                .eq(state.ids.keys())
        {
            return Err(damaged("parameters are missing".to_owned()));
        }
        Ok(state)
    }

    /// The model as it was, and the optimizer.
    pub(crate) fn restore<M: BiasModel>(
        &self,
        model: M,
        optimizer: ModuleOptimizer,
        checkpoint: &Checkpoint,
    ) -> Result<(M, ModuleOptimizer), TrainError> {
        let fail = |reason| checkpoint.failed(reason);
        let model = self.with_values(model, &self.values).map_err(fail)?;
        let bytes = Bytes::from_bytes_vec(self.optimizer.clone());
        // burn panics where the state is not of an optimizer.
        let restored = guarded(|| optimizer.from_bytes(bytes));
        let damaged = "the optimizer's state is damaged; delete it to begin anew";
        let restored = restored.ok_or_else(|| fail(damaged.to_owned()))?;
        let optimizer = restored.map_err(|e| fail(format!("{damaged} ({e})")))?;
        Ok((model, optimizer))
    }

    /// `model` with these values, under the ids that the optimizer knows.
    pub(crate) fn with_values<M: BiasModel>(
        &self,
        model: M,
        values: &BTreeMap<ParamPath, ParamData>,
    ) -> Result<M, String> {
        let (mut left, mut misfit) = (values.len(), None);
        let model = map_views(model, |path, param| {
            let (data, id) = (values.get(path)?, self.ids.get(path.as_str())?);
            if param.shape() != data.shape {
                misfit = Some(path.clone());
                return None;
            }
            left -= 1;
            let data = TensorData::new(data.values.clone(), data.shape.clone());
            Some(NewParam::Loaded(data, ParamId::from(*id)))
        });
        match misfit {
            Some(path) => Err(format!(
                "parameter `{path}` has another shape in this model"
            )),
            None if left > 0 => Err("it is of another model".to_owned()),
            None => Ok(model),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_whole_or_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint {
            path: dir.path().join("state"),
            resume: true,
        };
        let state = State {
            runs: vec![RunState::default()],
            begun: None,
            values: BTreeMap::new(),
            best: BTreeMap::new(),
            ids: BTreeMap::new(),
            optimizer: vec![1, 2, 3],
        };
        state.save(&checkpoint, "this training").unwrap();
        let file = fs::read(&checkpoint.path).unwrap();
        assert!(is_whole_state(&file));
        for length in [0, 7, 8, 50, file.len() - 1] {
            assert!(!is_whole_state(&file[..length]), "{length}");
        }
        assert!(!is_whole_state(&[&file[..], b"x"].concat()));
        let other = safetensors::serialize(Vec::<(String, TensorView<'_>)>::new(), None).unwrap();
        assert!(!is_whole_state(&other));
    }
}
