//! Joint training: several trainings whose steps are computed as one, over one frozen backbone.

mod state;
mod training;

use beft_core::EncodedSet;
use beft_modes::Mode;
use beft_nn::{Padding, TaskModel};

pub use self::state::is_whole_state;
use self::state::{Begun, State};
use self::training::JointTraining;
use crate::run::{EpochRecord, Event, Metrics, Trained, check, dropout_seed, epoch_order};
use crate::select::prepare_together;
use crate::step::{LowerLayers, Part, Step};
use crate::team::Replicas;
use crate::{Failure, TrainConfig, TrainError, TrainSettings, unchanged_layers};

/// Trains what `config.mode` says, and the head.
///
/// `evaluate` is called with the model after each epoch that [`Evaluate`](crate::Evaluate) says; `on_event` hears of every step. A loss
/// that is not finite ends training with [`Trained::failure`] set and the last good model.
///
/// With a [`Checkpoint`](crate::Checkpoint) the state is written after each epoch, and a training
/// that resumes gives the very values of one that was never interrupted: orders, dropout and masks
/// depend on seed and place in the run only. A model that was kept, and evaluated, before the interruption is evaluated
/// again ([`Trained::evaluated_again`]).
///
/// # Errors
///
/// Before anything is computed: a mode that does not fit, no data, a label out of range, a setting
/// out of range, a checkpoint of another training. Errors of `evaluate` are passed on.
pub fn train<M: TaskModel, E: From<TrainError>>(
    model: M,
    data: &EncodedSet,
    config: &TrainConfig,
    mut evaluate: impl FnMut(&M) -> Result<Metrics, E>,
    mut on_event: impl FnMut(Event<'_>),
) -> Result<Trained<M>, E> {
    let job = Job {
        model,
        data,
        config: config.clone(),
    };
    let trained = train_together(
        vec![job],
        |_, model| evaluate(model),
        |_, event| on_event(event),
    )?;
    let mut trained = trained.into_iter();
    Ok(trained.next().unwrap_or_else(|| unreachable!("one job")))
}

/// One of several trainings.
#[derive(Debug)]
pub struct Job<'a, M> {
    /// The model, with the head that this training begins with.
    pub model: M,
    /// The training examples.
    pub data: &'a EncodedSet,
    /// The recipe.
    pub config: TrainConfig,
}

/// Trains several stacked biases over one frozen backbone, in one forward and one backward pass per step:
/// their inputs are one batch, in which each row gets its own of the stacked
/// biases ([`Batch::with_stacked_biases`](beft_nn::Batch::with_stacked_biases)). Each has its own order of examples, head, learning
/// rate, clipping and optimizer state, and (on a device in host memory) its own dropout: it gives what
/// [`train`] gives, to rounding. One that diverges, or stops early, leaves the others as
/// they are.
///
/// The models differ in what their modes train alone. `evaluate` and `on_event` are told the number of the
/// job that it is about. The [`Checkpoint`](crate::Checkpoint) of the first job holds them all; its
/// identity must name them all.
///
/// # Errors
///
/// As [`train`]. Jobs that cannot run together: of other modes than biases, or with other
/// numbers of examples, epochs or examples per step.
pub fn train_together<M: TaskModel, E: From<TrainError>>(
    jobs: Vec<Job<'_, M>>,
    mut evaluate: impl FnMut(usize, &M) -> Result<Metrics, E>,
    mut on_event: impl FnMut(usize, Event<'_>),
) -> Result<Vec<Trained<M>>, E> {
    let (mut models, jobs): (Vec<M>, Vec<_>) = jobs
        .into_iter()
        .map(|job| (job.model, (job.data, job.config)))
        .unzip();
    let Some((_, shared)) = jobs.first() else {
        return Ok(Vec::new());
    };
    for (model, (data, config)) in models.iter().zip(&jobs) {
        check(model, data, config)?;
        let same = |other: &TrainConfig| {
            let sizes = (
                other.settings.batch_size,
                other.settings.micro_batch,
                other.settings.epochs,
            );
            (
                sizes,
                other.settings.savings,
                other.settings.forward,
                other.schedule,
                other.settings.checkpointing,
            )
        };
        if same(config) != same(shared) || data.len() != jobs[0].0.len() {
            let text = "trainings that run together need equally many examples, epochs and examples per step";
            return Err(TrainError::Config(text).into());
        }
    }
    let parameters = models[0].num_values();
    let mut layers = models[0].num_layers();
    for (model, (_, config)) in models.iter().zip(&jobs) {
        let unchanged = unchanged_layers(model, &config.mode, config.settings.savings);
        layers = layers.min(unchanged.map_err(TrainError::from)?);
    }
    let configs: Vec<&TrainConfig> = jobs.iter().map(|(_, config)| config).collect();
    // Of several, the first one's backbone is that of all.
    let forward = shared.settings.forward;
    let mut settings = configs
        .iter()
        .map(|config| (&config.mode, &config.settings));
    let misfit = settings.find_map(|(mode, settings)| packs_layers(mode, settings).err());
    let misfit = misfit.or((!models[0].packs_for_biases()).then_some(NOT_PACKED));
    if let Some(reason) = misfit.filter(|_| !forward.is_f32()) {
        return Err(TrainError::Forward { forward, reason }.into());
    }
    let packs = misfit.is_none();
    let plain = packs.then(|| {
        let packed = models[0].clone().packed_for_biases(forward);
        std::mem::replace(&mut models[0], packed)
    });
    let (team, stop) = (&shared.settings.team, &shared.settings.stop);
    team.check_same(&shared.identity)?;
    let mut training = JointTraining::new(prepare_together(models, &configs)?, &configs);
    if let Some(checkpoint) = shared.settings.checkpoint.as_ref().filter(|c| c.resume)
        && let Some(state) = State::load(checkpoint, &shared.identity, team)?
    {
        training.restore(&state, &configs)?;
    }
    let data: Vec<&EncodedSet> = jobs.iter().map(|(data, _)| *data).collect();
    let examples = data[0].len();
    let steps = examples.div_ceil(shared.settings.batch_size);
    let done = training.runs.iter().map(|run| run.state.epochs.len()).max();
    let done = done.unwrap_or(0);
    let steps_done = training.begun.as_ref().map_or(0, |begun| begun.steps);
    for (index, run) in training.runs.iter().enumerate() {
        on_event(
            index,
            Event::Started {
                trainable: run.trainable,
                parameters,
                steps,
                epochs: shared.settings.epochs,
                done,
                steps_done,
            },
        );
    }
    // Below, all are the same.
    let lowest = training.sets.one(&training.model, 0);
    let lower = LowerLayers::of(&lowest, &data, layers, shared, |bytes, in_file| {
        let event = Event::Keeping {
            layers,
            bytes,
            in_file,
        };
        on_event(0, event);
    })?;
    let mut replicas = Replicas::of(&training.model, team);
    for epoch in done + 1..=shared.settings.epochs {
        if training.over() {
            break;
        }
        let orders: Vec<Vec<usize>> = configs
            .iter()
            .map(|config| epoch_order(examples, u64::from(config.settings.seed), epoch))
            .collect();
        let mut begun = training.begun.take().unwrap_or_else(|| Begun {
            steps: 0,
            losses: vec![(0.0, 0.0); jobs.len()],
        });
        for step in begun.steps + 1..=steps {
            if stop.is_asked() {
                return Err(training.stop(shared, begun).into());
            }
            let first = (step - 1) * shared.settings.batch_size;
            let chosen = first..examples.min(first + shared.settings.batch_size);
            let parts = data.iter().zip(&orders).map(|(data, order)| Part {
                data,
                chosen: &order[chosen.clone()],
            });
            let seeds = configs
                .iter()
                .map(|c| dropout_seed(u64::from(c.settings.seed), epoch, step));
            let of_step = Step {
                parts: parts.collect(),
                seeds: seeds.collect(),
                savings: shared.settings.savings,
                micro_batch: shared.settings.micro_batch,
                checkpointing: shared.settings.checkpointing,
                lower: lower.as_ref(),
            };
            let copies = replicas.follow(&training.model);
            let (gradients, losses) = of_step.gradients(&training.model, copies, team)?;
            let weights: Vec<f64> = of_step.parts.iter().map(|p| p.weight() as f64).collect();
            let finite: Vec<bool> = losses.iter().map(|loss| loss.is_finite()).collect();
            training.fail(&finite, Failure { epoch, step });
            if training.over() {
                break;
            }
            let done = (epoch - 1) * steps + step - 1;
            let share = shared.schedule.share(done, shared.settings.epochs * steps);
            training.update(gradients, share, shared.max_grad_norm);
            for (index, loss) in losses.into_iter().enumerate() {
                if training.runs[index].active {
                    begun.losses[index].0 += loss * weights[index];
                    begun.losses[index].1 += weights[index];
                    on_event(index, Event::Step { epoch, step, loss });
                }
            }
            begun.steps = step;
        }
        if training.over() {
            break;
        }
        let finite = training.sets.finite(&training.model);
        training.fail(&finite, Failure { epoch, step: steps });
        let mut records = Vec::new();
        for (index, config) in configs.iter().enumerate() {
            if !training.runs[index].active {
                continue;
            }
            let model = training.sets.one(&training.model, index);
            let evaluate_on = config.settings.evaluate;
            let metrics = match evaluate_on.after(epoch, shared.settings.epochs) {
                true => evaluate(index, &model),
                false => Ok(Metrics::new()),
            };
            if metrics.is_err() && stop.is_asked() {
                // An evaluation that was stopped is done anew.
                return Err(training.stop(shared, begun).into());
            }
            let metrics = metrics?;
            let (loss, weight) = begun.losses[index];
            let train_loss = loss / weight;
            let record = EpochRecord {
                epoch,
                train_loss,
                metrics,
            };
            records.push((index, record, model));
        }
        for (index, record, model) in records {
            training.runs[index].add(record, model, configs[index]);
        }
        if team.leads() {
            training.save(shared)?;
        }
        for (index, run) in training.runs.iter().enumerate() {
            if let Some(record) = run.state.epochs.last().filter(|r| r.epoch == epoch) {
                on_event(index, Event::Epoch(record));
            }
        }
    }
    // Whoever evaluates may want more of the kept model than the metrics that the state has.
    let mut again = vec![false; jobs.len()];
    for (index, again) in again.iter_mut().enumerate() {
        let (epoch, model) = training.kept(index);
        let state = &training.runs[index].state;
        let record = state.epochs.iter().find(|record| record.epoch == epoch);
        let evaluated = record.is_some_and(|record| !record.metrics.is_empty());
        *again = epoch <= done && evaluated && state.failure.is_none();
        if *again && let Err(error) = evaluate(index, &model) {
            return Err(match stop.is_asked() {
                true => training.stopped(shared).into(),
                false => error,
            });
        }
    }
    let mut trained = training.finish(&again);
    if let Some(plain) = plain {
        for trained in &mut trained {
            trained.model = trained.model.clone().with_weights_of(&plain);
        }
    }
    Ok(trained)
}

/// Why a model's layers are not computed from packed weights, where the training allows it.
pub const NOT_PACKED: &str =
    "that is for the layers of BERT, RoBERTa, DistilBERT and ELECTRA in f32 on a processor";

/// Makes sure that a training computes layers from packed weights, where the model [can
/// be](TaskModel::packs_for_biases): nothing but their biases learns.
///
/// # Errors
///
/// When it does not: why.
pub fn packs_layers(mode: &Mode, settings: &TrainSettings) -> Result<(), &'static str> {
    let savings = settings.savings;
    let computed = savings.host_functions && savings.packed_layers;
    if mode.terms().is_none() {
        Err("it trains more than biases")
    } else if settings.checkpointing {
        Err("gradient checkpointing computes layers anew")
    } else if !computed || savings.padding != Padding::Packed {
        Err("one of the savings packing, host-functions and packed-layers is off")
    } else {
        Ok(())
    }
}
