//! Several devices and processes that compute the steps of one training.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use beft_nn::{
    FloatParam, ParamPath, ParamVisitor, TaskModel, map_params, view_params, visit_params,
};
use burn::module::Param;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};

use crate::TrainError;

/// A team computes the steps of a training together. It has the devices of this process, and can have other processes.
///
/// Each member computes the gradients of its share of a step's inputs. They are added up in order: the same team
/// gives the same bytes, and all teams give the same to rounding.
#[derive(Clone, Debug, Default)]
pub struct Team {
    /// Devices beside the one that the model is on. A device may be named more than once.
    pub more_devices: Vec<Device>,
    /// The processes that compute the training together; `None` for this one alone.
    pub peers: Option<Arc<dyn Peers>>,
}

/// The processes that compute a training together, each with the same model, data and settings.
pub trait Peers: fmt::Debug + Send + Sync {
    /// The number of this process, from 0.
    fn rank(&self) -> usize;

    /// The number of processes.
    fn count(&self) -> usize;

    /// What each process gives, by rank. All call it at the same place of the training.
    ///
    /// # Errors
    ///
    /// When a process cannot be reached.
    fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>, String>;
}

/// Teams change results in their rounding alone: they are no difference between settings.
impl PartialEq for Team {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Team {
    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.peers.as_ref().map_or(0, |peers| peers.rank())
    }

    /// The number of processes.
    pub fn processes(&self) -> usize {
        self.peers.as_ref().map_or(1, |peers| peers.count())
    }

    /// Whether this process writes files and tells of the training.
    pub fn leads(&self) -> bool {
        self.rank() == 0
    }

    /// In how many shares a step is dealt, and which of them are this process's, one for each device.
    pub(crate) fn shares(&self) -> (usize, Range<usize>) {
        let devices = 1 + self.more_devices.len();
        let first = self.rank() * devices;
        (self.processes() * devices, first..first + devices)
    }

    /// What each process gives, by rank.
    ///
    /// # Errors
    ///
    /// When a process cannot be reached.
    pub fn gather(&self, mine: Vec<u8>) -> Result<Vec<Vec<u8>>, TrainError> {
        match &self.peers {
            None => Ok(vec![mine]),
            Some(peers) => peers.gather(&mine).map_err(TrainError::Peers),
        }
    }

    /// Makes sure that all processes train the same, on equally many devices.
    ///
    /// # Errors
    ///
    /// When one of them does not, or cannot be reached.
    pub(crate) fn check_same(&self, identity: &str) -> Result<(), TrainError> {
        let devices = 1 + self.more_devices.len();
        let said = self.gather(format!("{devices} {identity}").into_bytes())?;
        for (rank, other) in said.iter().enumerate() {
            let other = String::from_utf8_lossy(other).into_owned();
            let (theirs, found) = other.split_once(' ').unwrap_or_default();
            if found != identity {
                return Err(TrainError::OtherPeer {
                    rank,
                    ours: identity.to_owned(),
                    theirs: found.to_owned(),
                });
            }
            if theirs != devices.to_string() {
                return Err(TrainError::Peers(format!(
                    "process {rank} has {theirs} devices, this one {devices}: give all of them equally many"
                )));
            }
        }
        Ok(())
    }

    /// What the first process has, or has not; what the others give is not used.
    ///
    /// # Errors
    ///
    /// When a process cannot be reached.
    pub fn from_first(&self, mine: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, TrainError> {
        if self.peers.is_none() {
            return Ok(mine);
        }
        let sent = match mine.filter(|_| self.leads()) {
            Some(bytes) => [&[1], bytes.as_slice()].concat(),
            None => Vec::new(),
        };
        let first = self.gather(sent)?.into_iter().next().unwrap_or_default();
        Ok(first.split_first().map(|(_, bytes)| bytes.to_vec()))
    }

    /// The sums over processes of gradients and losses, in the order of their ranks.
    pub(crate) fn sum<M: TaskModel>(
        &self,
        model: &M,
        gradients: GradientsParams,
        losses: Vec<f64>,
    ) -> Result<(GradientsParams, Vec<f64>), TrainError> {
        if self.peers.is_none() {
            return Ok((gradients, losses));
        }
        let mine = Flat::of(model, &gradients, losses);
        let mut all = self.gather(mine.to_bytes())?.into_iter();
        let mut sum = Flat::from_bytes(&all.next().unwrap_or_default(), &mine)?;
        for other in all {
            sum.add(&Flat::from_bytes(&other, &mine)?);
        }
        Ok(sum.into_gradients(model))
    }
}

/// A model on several devices, the first of which is its own.
pub(crate) struct Replicas<M> {
    others: Vec<M>,
}

impl<M: TaskModel> Replicas<M> {
    /// Copies a model to the other devices of a team.
    pub(crate) fn of(model: &M, team: &Team) -> Self {
        let copy = |device: &Device| model.clone().fork(&device.clone().autodiff());
        Self {
            others: team.more_devices.iter().map(copy).collect(),
        }
    }

    /// The copies, with the values that the model has learned. What is frozen is not copied again.
    pub(crate) fn follow(&mut self, model: &M) -> &[M] {
        if self.others.is_empty() {
            return &[];
        }
        let mut learned = BTreeMap::new();
        view_params(model, |path, param| {
            if param.learns() {
                let values: Vec<f32> = param.flat().into_data().iter().collect();
                learned.insert(path.clone(), TensorData::new(values, param.shape()));
            }
        });
        for copy in &mut self.others {
            *copy = map_params(copy.clone(), |path, _| learned.get(path).cloned());
        }
        &self.others
    }
}

/// Adds up gradients and losses in order.
pub(crate) fn add_up<M: TaskModel>(
    model: &M,
    found: impl IntoIterator<Item = (GradientsParams, Vec<f64>)>,
) -> (GradientsParams, Vec<f64>) {
    let mut sum = GradientsAccumulator::new();
    let mut losses: Vec<f64> = Vec::new();
    for (gradients, more) in found {
        sum.accumulate(model, gradients);
        losses.resize(losses.len().max(more.len()), 0.0);
        losses
            .iter_mut()
            .zip(more)
            .for_each(|(sum, loss)| *sum += loss);
    }
    (sum.grads(), losses)
}

/// Gradients and losses as numbers in one row, in the order of the model's parameters.
struct Flat {
    losses: Vec<f64>,
    /// Whether a parameter has a gradient.
    present: Vec<bool>,
    /// Of all parameters that learn, zero where there is none.
    values: Vec<f32>,
}

impl Flat {
    fn of<M: TaskModel>(model: &M, gradients: &GradientsParams, losses: Vec<f64>) -> Self {
        let flat = Self {
            losses,
            present: Vec::new(),
            values: Vec::new(),
        };
        let mut flatten = Flatten { gradients, flat };
        visit_params(model, &mut flatten);
        flatten.flat
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.losses.iter().flat_map(|loss| loss.to_le_bytes()));
        bytes.extend(self.present.iter().map(|present| u8::from(*present)));
        bytes.extend(self.values.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }

    /// What another process gave; `like` has the sizes.
    fn from_bytes(bytes: &[u8], like: &Self) -> Result<Self, TrainError> {
        let sizes = (
            8 * like.losses.len(),
            like.present.len(),
            4 * like.values.len(),
        );
        if bytes.len() != sizes.0 + sizes.1 + sizes.2 {
            let text = "the processes do not train the same: give all of them the same model, data and options";
            return Err(TrainError::Peers(text.to_owned()));
        }
        let (losses, rest) = bytes.split_at(sizes.0);
        let (present, values) = rest.split_at(sizes.1);
        let losses = losses.as_chunks::<8>().0.iter();
        let values = values.as_chunks::<4>().0.iter();
        Ok(Self {
            losses: losses.map(|b| f64::from_le_bytes(*b)).collect(),
            present: present.iter().map(|b| *b != 0).collect(),
            values: values.map(|b| f32::from_le_bytes(*b)).collect(),
        })
    }

    fn add(&mut self, other: &Self) {
        let losses = self.losses.iter_mut().zip(&other.losses);
        losses.for_each(|(sum, loss)| *sum += loss);
        let present = self.present.iter_mut().zip(&other.present);
        present.for_each(|(any, present)| *any |= present);
        let values = self.values.iter_mut().zip(&other.values);
        values.for_each(|(sum, value)| *sum += value);
    }

    fn into_gradients<M: TaskModel>(self, model: &M) -> (GradientsParams, Vec<f64>) {
        let losses = self.losses.clone();
        let mut restore = Restore {
            flat: self,
            parameters: 0,
            values: 0,
            gradients: GradientsParams::new(),
        };
        visit_params(model, &mut restore);
        (restore.gradients, losses)
    }
}

/// Writes gradients into a row.
struct Flatten<'a> {
    gradients: &'a GradientsParams,
    flat: Flat,
}

impl ParamVisitor for Flatten<'_> {
    fn visit<const D: usize>(&mut self, _path: ParamPath, param: &Param<Tensor<D>>) {
        if !param.learns() {
            return;
        }
        let found = self.gradients.get::<D>(param.id);
        self.flat.present.push(found.is_some());
        let values = &mut self.flat.values;
        match found {
            Some(found) => values.extend(found.into_data().iter::<f32>()),
            None => values.resize(values.len() + param.lazy_shape().num_elements(), 0.0),
        }
    }
}

/// Reads gradients from a row.
struct Restore {
    flat: Flat,
    /// How many parameters, and values, were read.
    parameters: usize,
    values: usize,
    gradients: GradientsParams,
}

impl ParamVisitor for Restore {
    fn visit<const D: usize>(&mut self, _path: ParamPath, param: &Param<Tensor<D>>) {
        if !param.learns() {
            return;
        }
        let shape = param.lazy_shape();
        let values = self.values..self.values + shape.num_elements();
        self.values = values.end;
        self.parameters += 1;
        if self.flat.present[self.parameters - 1] {
            let data = TensorData::new(self.flat.values[values].to_vec(), shape);
            let gradient = Tensor::<D>::from_data(data, &param.device().inner());
            self.gradients.register(param.id, gradient);
        }
    }
}
