use beft_nn::{ParamPath, TaskModel};
use burn::optim::{GradientsParams, ModuleOptimizer};

use super::state::{Begun, RunState, State};
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
    /// How far the next epoch has come, where a training was stopped in it.
    pub(super) begun: Option<Begun>,
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
            begun: None,
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

    /// Writes the state of a training that stops within an epoch; the error that says so.
    pub(super) fn stop(&mut self, config: &TrainConfig, begun: Begun) -> TrainError {
        self.begun = Some(begun);
        if let Err(error) = self.save(config) {
            return error;
        }
        self.stopped(config)
    }

    /// The error that says that a training was stopped, whose state is written.
    pub(super) fn stopped(&self, config: &TrainConfig) -> TrainError {
        let checkpoint = config.settings.checkpoint.as_ref();
        TrainError::Stopped {
            state: checkpoint.map(|checkpoint| checkpoint.path.clone()),
        }
    }

    /// The epoch of the model that a training gives, and that model.
    pub(super) fn kept(&self, index: usize) -> (usize, M) {
        let run = &self.runs[index];
        match (run.state.failure, &run.best) {
            (None, Some((epoch, best))) => (*epoch, best.clone()),
            _ => {
                let model = self.sets.one(&self.model, index);
                (run.state.epochs.len(), model)
            }
        }
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
            self.begun.clone(),
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
        let count = self.runs.len();
        if (state.begun.as_ref()).is_some_and(|begun| begun.losses.len() != count) {
            return Err(fail("it is damaged; delete it to begin anew".to_owned()));
        }
        let optimizer = configs[0].optimizer();
        (self.model, self.optimizer) = state.restore(self.model.clone(), optimizer, checkpoint)?;
        self.good = self.model.clone();
        self.begun.clone_from(&state.begun);
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

    /// What the trainings give; `again` says which were evaluated once more.
    pub(super) fn finish(self, again: &[bool]) -> Vec<Trained<M>> {
        let kept: Vec<(usize, M)> = (0..self.runs.len()).map(|index| self.kept(index)).collect();
        let trained =
            self.runs
                .into_iter()
                .zip(kept)
                .zip(again)
                .map(|((run, (kept, model)), again)| Trained {
                    model,
                    paths: run.paths,
                    trainable: run.trainable,
                    epochs: run.state.epochs,
                    kept,
                    evaluated_again: *again,
                    failure: run.state.failure,
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
