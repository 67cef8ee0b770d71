use beft_core::EncodedSet;
use beft_nn::{ParamPath, SequenceClassifier};
use burn::optim::{GradientsParams, ModuleOptimizer};

use crate::loss::Part;
use crate::prefix::Prefix;
use crate::run::{
    EpochRecord, Event, Metrics, Trained, best_epoch, check, dropout_seed, epoch_order, stops_early,
};
use crate::select::{PreparedTogether, prepare_together};
use crate::sets::Sets;
use crate::state::{RunState, State};
use crate::step::Step;
use crate::{Failure, GradMasks, TrainConfig, TrainError, clip_global_norm, unchanged_layers};

/// One of several trainings.
#[derive(Debug)]
pub struct Job<'a, M> {
    /// The model, with the head that this training begins with.
    pub model: M,
    /// What it learns from.
    pub data: &'a EncodedSet,
    /// How.
    pub config: TrainConfig,
}

/// Trains several bias sets over one frozen backbone, in one forward and one backward pass per step:
/// their inputs are one batch, in which each row gets its own set's biases
/// ([`Batch::with_sets`](beft_nn::Batch::with_sets)). Each has its own order of examples, head, learning
/// rate, clipping and optimizer state, and (on a device in host memory) its own dropout: it gives what
/// [`train`](crate::train) gives, to rounding. One that diverges, or stops early, leaves the others as
/// they are.
///
/// The models differ in what their modes train alone. `evaluate` and `on_event` are told the number of the
/// job that it is about. The [`Checkpoint`](crate::Checkpoint) of the first job holds them all; its
/// identity must name them all.
///
/// # Errors
///
/// As [`train`](crate::train). Jobs that cannot run together: of other modes than biases, or with other
/// numbers of examples, epochs or examples per step.
pub fn train_together<M: SequenceClassifier, E: From<TrainError>>(
    jobs: Vec<Job<'_, M>>,
    mut evaluate: impl FnMut(usize, &M) -> Result<Metrics, E>,
    mut on_event: impl FnMut(usize, Event<'_>),
) -> Result<Vec<Trained<M>>, E> {
    let (models, jobs): (Vec<M>, Vec<_>) = jobs
        .into_iter()
        .map(|job| (job.model, (job.data, job.config)))
        .unzip();
    let Some((_, shared)) = jobs.first() else {
        return Ok(Vec::new());
    };
    for (model, (data, config)) in models.iter().zip(&jobs) {
        check(model, data, config)?;
        let same = |other: &TrainConfig| {
            let sizes = (other.batch_size, other.micro_batch, other.epochs);
            (sizes, other.savings, other.schedule, other.checkpointing)
        };
        if same(config) != same(shared) || data.len() != jobs[0].0.len() {
            let text = "trainings that run together need equally many examples, epochs and examples per step";
            return Err(TrainError::Config(text).into());
        }
    }
    let parameters = models[0].num_params();
    let mut layers = models[0].num_layers();
    for (model, (_, config)) in models.iter().zip(&jobs) {
        let unchanged = unchanged_layers(model, &config.mode, config.savings);
        layers = layers.min(unchanged.map_err(TrainError::from)?);
    }
    let configs: Vec<&TrainConfig> = jobs.iter().map(|(_, config)| config).collect();
    let mut pass = Pass::new(prepare_together(models, &configs)?, &configs);
    if let Some(checkpoint) = shared.checkpoint.as_ref().filter(|c| c.resume)
        && let Some(state) = State::load(checkpoint)?
    {
        pass.restore(&state, &configs)?;
    }
    let data: Vec<&EncodedSet> = jobs.iter().map(|(data, _)| *data).collect();
    let examples = data[0].len();
    let steps = examples.div_ceil(shared.batch_size);
    let done = pass.runs.iter().map(|run| run.state.epochs.len()).max();
    let done = done.unwrap_or(0);
    for (index, run) in pass.runs.iter().enumerate() {
        on_event(
            index,
            Event::Started {
                trainable: run.trainable,
                parameters,
                steps,
                epochs: shared.epochs,
                done,
            },
        );
    }
    // Below, all are the same.
    let lowest = pass.sets.one(&pass.model, 0);
    let prefix = Prefix::of(&lowest, &data, layers, shared, |bytes, in_file| {
        let event = Event::Keeping {
            layers,
            bytes,
            in_file,
        };
        on_event(0, event);
    })?;
    for epoch in done + 1..=shared.epochs {
        if pass.over() {
            break;
        }
        let orders: Vec<Vec<usize>> = configs
            .iter()
            .map(|config| epoch_order(examples, config.seed, epoch))
            .collect();
        let (mut totals, mut all) = (vec![0.0; jobs.len()], vec![0.0; jobs.len()]);
        for step in 1..=steps {
            let first = (step - 1) * shared.batch_size;
            let chosen = first..examples.min(first + shared.batch_size);
            let parts = data.iter().zip(&orders).map(|(data, order)| Part {
                data,
                chosen: &order[chosen.clone()],
            });
            let seeds = configs.iter().map(|c| dropout_seed(c.seed, epoch, step));
            let of_step = Step {
                parts: parts.collect(),
                seeds: seeds.collect(),
                savings: shared.savings,
                micro_batch: shared.micro_batch,
                checkpointing: shared.checkpointing,
                prefix: prefix.as_ref(),
            };
            let (gradients, losses) = of_step.gradients(&pass.model)?;
            let weights: Vec<f64> = of_step.parts.iter().map(|p| p.weight() as f64).collect();
            let finite: Vec<bool> = losses.iter().map(|loss| loss.is_finite()).collect();
            pass.fail(&finite, Failure { epoch, step });
            if pass.over() {
                break;
            }
            let done = (epoch - 1) * steps + step - 1;
            let share = shared.schedule.share(done, shared.epochs * steps);
            pass.update(gradients, share, shared.max_grad_norm);
            for (index, loss) in losses.into_iter().enumerate() {
                if pass.runs[index].active {
                    totals[index] += loss * weights[index];
                    all[index] += weights[index];
                    on_event(index, Event::Step { epoch, step, loss });
                }
            }
        }
        if pass.over() {
            break;
        }
        let finite = pass.sets.finite(&pass.model);
        pass.fail(&finite, Failure { epoch, step: steps });
        for (index, config) in configs.iter().enumerate() {
            if !pass.runs[index].active {
                continue;
            }
            let model = pass.sets.one(&pass.model, index);
            let record = EpochRecord {
                epoch,
                train_loss: totals[index] / all[index],
                metrics: evaluate(index, &model)?,
            };
            pass.runs[index].add(record, model, config);
        }
        pass.save(shared)?;
        for (index, run) in pass.runs.iter().enumerate() {
            if let Some(record) = run.state.epochs.last().filter(|r| r.epoch == epoch) {
                on_event(index, Event::Epoch(record));
            }
        }
    }
    Ok(pass.finish())
}

/// Trainings under way.
struct Pass<M> {
    model: M,
    /// Before the last update: the last model that has given finite losses.
    good: M,
    masks: GradMasks,
    sets: Sets,
    optimizer: ModuleOptimizer,
    /// The highest learning rate.
    rate: f64,
    runs: Vec<Run<M>>,
}

struct Run<M> {
    paths: Vec<ParamPath>,
    trainable: usize,
    /// Learning rate, as a share of the highest.
    share: f32,
    /// Whether it still learns.
    active: bool,
    state: RunState,
    best: Option<(usize, M)>,
}

impl<M: SequenceClassifier> Pass<M> {
    fn new(prepared: PreparedTogether<M>, configs: &[&TrainConfig]) -> Self {
        let rate = configs.iter().map(|c| c.learning_rate).fold(0.0, f64::max);
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
                    share: (config.learning_rate / rate) as f32,
                    active: true,
                    state: RunState::default(),
                    best: None,
                })
                .collect(),
        }
    }

    /// Takes one optimizer step, at this share of the learning rates.
    fn update(&mut self, gradients: GradientsParams, share: f64, max_grad_norm: f32) {
        let gradients = self.masks.apply(gradients, &self.model);
        let count = self.sets.count;
        let gradients = clip_global_norm(gradients, &self.model, max_grad_norm, count);
        self.good = self.model.clone();
        let rate = self.rate * share;
        let model = self.optimizer.step(rate, self.good.clone(), gradients);
        self.model = self.sets.blend(model, &self.good, &self.shares());
    }

    /// What of an update each training takes.
    fn shares(&self) -> Vec<f32> {
        let share = |run: &Run<M>| if run.active { run.share } else { 0.0 };
        self.runs.iter().map(share).collect()
    }

    /// Whether no training is left.
    fn over(&self) -> bool {
        !self.runs.iter().any(|run| run.active)
    }

    /// Stops those that are not finite any more, with the values that they had when they last were.
    fn fail(&mut self, finite: &[bool], failure: Failure) {
        let mut keep = vec![1.0; self.runs.len()];
        for (index, run) in self.runs.iter_mut().enumerate() {
            if run.active && !finite[index] {
                (run.active, run.state.failure) = (false, Some(failure));
                keep[index] = 0.0;
            }
        }
        self.model = self.sets.blend(self.model.clone(), &self.good, &keep);
    }

    fn save(&self, config: &TrainConfig) -> Result<(), TrainError> {
        let Some(checkpoint) = &config.checkpoint else {
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
        .map_err(|reason| TrainError::Checkpoint {
            path: checkpoint.path.clone(),
            reason,
        })?
        .save(checkpoint)
    }

    fn restore(&mut self, state: &State, configs: &[&TrainConfig]) -> Result<(), TrainError> {
        let Some(checkpoint) = &configs[0].checkpoint else {
            return Ok(());
        };
        let fail = |reason: String| TrainError::Checkpoint {
            path: checkpoint.path.clone(),
            reason,
        };
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
                let epoch = best_epoch(&state.epochs, &configs[index].selection.metric);
                run.best = Some((epoch, self.sets.one(best, index)));
            }
        }
        Ok(())
    }

    fn finish(self) -> Vec<Trained<M>> {
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

impl<M: SequenceClassifier> Run<M> {
    /// An epoch is done, with this model.
    fn add(&mut self, record: EpochRecord, model: M, config: &TrainConfig) {
        let epoch = record.epoch;
        self.state.epochs.push(record);
        let selection = &config.selection;
        if selection.keep_best && best_epoch(&self.state.epochs, &selection.metric) == epoch {
            self.best = Some((epoch, model));
        }
        self.active = !stops_early(&self.state.epochs, config);
    }
}
