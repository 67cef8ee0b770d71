use beft_nn::{ParamPath, TaskModel};
use burn::optim::{GradientsParams, ModuleOptimizer};

use super::state::{RunState, State};
use crate::run::{EpochRecord, Trained, best_epoch, stops_early};
use crate::select::{PreparedTogether, Sets};
use crate::{Failure, GradMasks, Keep, TrainConfig, TrainError, clip_global_norm};

/// Several trainings under way, in the parameters of one model.
pub(super) struct JointTraining<M> {
    pub(super) model: M,
    /// The model before the last update, the last that has given finite losses.
    good: M,
    masks: GradMasks,
    pub(super) sets: Sets,
    optimizer: ModuleOptimizer,
    /// The highest learning rate.
    rate: f64,
    pub(super) runs: Vec<Run<M>>,
}

/// One training among several.
pub(super) struct Run<M> {
    paths: Vec<ParamPath>,
    pub(super) trainable: usize,
    /// Learning rate, as a share of the highest.
    share: f32,
    /// Whether it still learns.
    pub(super) active: bool,
    pub(super) state: RunState,
    best: Option<(usize, M)>,
}

impl<M: TaskModel> JointTraining<M> {
    pub(super) fn new(prepared: PreparedTogether<M>, configs: &[&TrainConfig]) -> Self {
        let rate = configs
            .iter()
            .map(|c| c.settings.learning_rate)
            .fold(0.0, f64::max);
        let runs = prepared.each.into_iter().zip(configs);
        Self {
            good: prepared.model.clone(),
            model: prepared.model,
            masks: prepared.masks,
            sets: prepared.sets,
            optimizer: configs[0].optimizer(),
            rate,
            runs: runs
                .map(|((paths, trainable), config)| Run {
                    paths,
                    trainable,
                    share: (config.settings.learning_rate / rate) as f32,
                    active: true,
                    state: RunState::default(),
                    best: None,
                })
                .collect(),
        }
    }

    /// Takes one optimizer step, at this share of the learning rates.
    pub(super) fn update(&mut self, gradients: GradientsParams, share: f64, max_grad_norm: f32) {
        let gradients = self.masks.apply(gradients, &self.model);
        let count = self.sets.count;
        let gradients = clip_global_norm(gradients, &self.model, max_grad_norm, count);
        self.good = self.model.clone();
        let rate = self.rate * share;
        let model = self.optimizer.step(rate, self.good.clone(), gradients);
        self.model = self.sets.blend(model, &self.good, &self.shares());
    }

    /// The share of an update that each training takes.
    fn shares(&self) -> Vec<f32> {
        let share = |run: &Run<M>| if run.active { run.share } else { 0.0 };
        self.runs.iter().map(share).collect()
    }

    /// Whether no training is left.
    pub(super) fn over(&self) -> bool {
        !self.runs.iter().any(|run| run.active)
    }

    /// Stops those that are not finite any more, with the values that they had when they last were.
    pub(super) fn fail(&mut self, finite: &[bool], failure: Failure) {
        let mut keep = vec![1.0; self.runs.len()];
        for (index, run) in self.runs.iter_mut().enumerate() {
            if run.active && !finite[index] {
                (run.active, run.state.failure) = (false, Some(failure));
                keep[index] = 0.0;
            }
        }
        self.model = self.sets.blend(self.model.clone(), &self.good, &keep);
    }

    pub(super) fn save(&self, config: &TrainConfig) -> Result<(), TrainError> {
        let Some(checkpoint) = &config.settings.checkpoint else {
            return Ok(());
        };
        let best = self.runs.iter().any(|run| run.best.is_some()).then(|| {
            let of = |(index, run): (usize, &Run<M>)| match &run.best {
                Some((_, model)) => model.clone(),
                None => self.sets.one(&self.model, index),
            };
            self.sets
                .stack(self.runs.iter().enumerate().map(of).collect())
        });
        let runs = self.runs.iter().map(|run| run.state.clone()).collect();
        State::of(
            &self.model,
            best.as_ref(),
            &self.optimizer,
            &self.sets,
            runs,
        )
        .map_err(|reason| checkpoint.failed(reason))?
        .save(checkpoint, &config.identity)
    }

    pub(super) fn restore(
        &mut self,
        state: &State,
        configs: &[&TrainConfig],
    ) -> Result<(), TrainError> {
        let Some(checkpoint) = &configs[0].settings.checkpoint else {
            return Ok(());
        };
        let fail = |reason| checkpoint.failed(reason);
        if state.runs.len() != self.runs.len() {
            return Err(fail("it is of another number of trainings".to_owned()));
        }
        let optimizer = configs[0].optimizer();
        (self.model, self.optimizer) = state.restore(self.model.clone(), optimizer, checkpoint)?;
        self.good = self.model.clone();
        let best = match state.best.is_empty() {
            true => None,
            false => {
                let best = state.with_values(self.model.clone(), &state.best);
                Some(best.map_err(fail)?)
            }
        };
        for (index, (run, state)) in self.runs.iter_mut().zip(&state.runs).enumerate() {
            run.state = state.clone();
            run.active = state.failure.is_none() && !stops_early(&state.epochs, configs[index]);
            if let Some(best) = best.as_ref().filter(|_| !state.epochs.is_empty()) {
                let epoch = best_epoch(&state.epochs, &configs[index].metric);
                run.best = Some((epoch, self.sets.one(best, index)));
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Vec<Trained<M>> {
        let (sets, model) = (self.sets, self.model);
        let trained = self.runs.into_iter().enumerate().map(|(index, run)| {
            let (kept, model) = match (run.state.failure, run.best) {
                (None, Some((epoch, best))) => (epoch, best),
                _ => (run.state.epochs.len(), sets.one(&model, index)),
            };
            Trained {
                model,
                paths: run.paths,
                trainable: run.trainable,
                epochs: run.state.epochs,
                kept,
                failure: run.state.failure,
            }
        });
        trained.collect()
    }
}

impl<M: TaskModel> Run<M> {
    /// An epoch is done, with this model.
    pub(super) fn add(&mut self, record: EpochRecord, model: M, config: &TrainConfig) {
        let epoch = record.epoch;
        self.state.epochs.push(record);
        let best = match config.settings.keep {
            Keep::Last => false,
            Keep::Best => best_epoch(&self.state.epochs, &config.metric) == epoch,
        };
        if best {
            self.best = Some((epoch, model));
        }
        self.active = !stops_early(&self.state.epochs, config);
    }
}
