//! What a training gave, and how it is saved.

use std::path::{Path, PathBuf};

use beft_checkpoint::{WholeModel, check_model_target, save_model};
use beft_core::{BiasSnapshot, Outputs};
use beft_modes::{Adapter, Makes, Mode};
use beft_train::{EpochRecord, Failure, Metrics};
use serde_json::{Map, Value};

use crate::evaluate::{DevPredictions, Said};
use crate::{Base, Details, Error, Model, TaskData, TrainingRecord, metric_suffix};

/// What tuning one mode gave.
#[derive(Debug)]
pub struct TuneOutcome {
    /// The mode.
    pub mode: Mode,
    /// The tuned model. Its layers may be packed: it can be used then, and its weights cannot be read.
    pub model: Model,
    /// The trained biases or LoRA factors and head, ready to be saved; `None` where the whole
    /// model has to be.
    pub adapter: Option<Adapter>,
    /// Number of values that learned.
    pub trainable: usize,
    /// Number of values of the model.
    pub parameters: usize,
    /// One record per epoch.
    pub epochs: Vec<EpochRecord>,
    /// The epoch that was kept, from 1.
    pub kept: usize,
    /// Layer biases before training.
    pub before: BiasSnapshot,
    /// Layer biases after training.
    pub after: BiasSnapshot,
    /// Set when training diverged: model and adapter are the last good ones.
    pub failure: Option<Failure>,
    /// What the model said of each dev example, where it was evaluated here.
    pub dev_predictions: Option<DevPredictions>,
    /// Where they were chosen on the dev split, the probability from which each label holds.
    pub thresholds: Vec<f32>,
    /// Where it was chosen on the dev split, by how much the score of no answer may be higher than the best answer's for
    /// the answer to be given.
    pub no_answer_threshold: Option<f32>,
    /// The metrics on the dev split at these thresholds, in which they were chosen: better than on other examples.
    pub threshold_metrics: Metrics,
    /// Everything that it follows from.
    pub record: TrainingRecord,
    pub(super) facts: Map<String, Value>,
    pub(super) outputs: Outputs,
}

/// Folder that an adapter is saved to, and a whole model.
const ADAPTER: &str = "adapter";
const MODEL: &str = "tuned-model";
/// Name of the folder with what was last good in a run that failed.
const LAST_GOOD: &str = "last-good";

impl TuneOutcome {
    /// Metrics of the epoch that was kept.
    pub fn metrics(&self) -> Metrics {
        let kept = self.kept.checked_sub(1).and_then(|i| self.epochs.get(i));
        kept.map(|e| e.metrics.clone()).unwrap_or_default()
    }

    /// What the user must hear about a training that came to its end: a loss far above that of
    /// guessing one of the classes says that it went wrong.
    pub fn warning(&self, outputs: &Outputs) -> Option<String> {
        let loss = self.epochs.last()?.train_loss;
        let choices = match outputs {
            Outputs::Classes(names) | Outputs::Tags(names) => names.len().max(2),
            // Each label holds or does not.
            Outputs::Labels(_) => 2,
            Outputs::Value | Outputs::Text | Outputs::Embedding => return None,
            // Inputs have at most some hundred tokens.
            Outputs::Span => 500,
        };
        let guessing = (choices as f64).ln();
        (loss > 10.0 * guessing).then(|| {
            format!(
                "the training loss ended at {loss:.1e}, guessing has {guessing:.2}: lower the learning rate"
            )
        })
    }

    /// What stands behind the metrics, for each dev split that was evaluated.
    pub fn details(&self, data: &TaskData) -> Vec<Details> {
        let said = self.dev_predictions.iter().flatten();
        let splits = data.dev.iter().zip(said);
        let details = splits.map(|(dev, predictions)| {
            let said = Said {
                targets: dev.inputs.targets(),
                predictions,
                names: data.outputs.names(),
                thresholds: &self.thresholds,
            };
            said.details(&data.task.metrics, metric_suffix(dev.split))
        });
        details.collect()
    }

    /// What Python must do beside loading the adapter with PEFT; `None` where PEFT applies all of it.
    pub fn beyond_peft(&self) -> Option<String> {
        self.adapter.as_ref()?.beyond_peft()
    }

    /// Saves what was tuned into the folder `out`, as `adapter`, or as `tuned-model` where all of
    /// the model changed, and returns that folder. After a divergence what was last good goes to
    /// `last-good` instead, an earlier result stays as it was, and the error says so. Nothing is
    /// saved when nothing good was learned.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, or training diverged.
    pub fn save(&self, base: &Base, out: &Path) -> Result<PathBuf, Error> {
        let Some(failure) = self.failure else {
            let dir = saved_folder(&self.mode, out);
            self.write(base, &dir)?;
            // What an earlier run that failed left there is not this run's.
            Adapter::remove(&out.join(LAST_GOOD));
            return Ok(dir);
        };
        // The last good values are those before the last step with a finite loss.
        if failure.epoch == 1 && failure.step <= 2 {
            return Err(Error::NothingGood(failure));
        }
        let dir = out.join(LAST_GOOD);
        self.write(base, &dir)?;
        Err(Error::Diverged { failure, dir })
    }

    fn write(&self, base: &Base, dir: &Path) -> Result<(), Error> {
        match &self.adapter {
            Some(adapter) => adapter.save(dir)?,
            None => save_model(
                dir,
                &WholeModel {
                    base: base.dir(),
                    class: &self.model.hf_class(),
                    module: &self.model,
                    table: self.model.names(),
                    outputs: &self.outputs,
                    facts: &self.facts,
                    config: Map::new(),
                    added: Vec::new(),
                    zeros: Vec::new(),
                },
            )?,
        }
        Ok(())
    }
}

/// The folder in `out` that [`TuneOutcome::save`] writes.
pub fn saved_folder(mode: &Mode, out: &Path) -> PathBuf {
    out.join(match mode.makes() {
        Makes::Adapter(_) => ADAPTER,
        Makes::Model | Makes::Nothing => MODEL,
    })
}

/// The folder in `out` with what a training of another kind saved, if there is one.
pub fn left_folder(mode: &Mode, out: &Path) -> Option<PathBuf> {
    let saved = saved_folder(mode, out);
    let all = [ADAPTER, MODEL].map(|name| out.join(name));
    all.into_iter().find(|dir| *dir != saved && dir.is_dir())
}

/// Fails if the folders that [`TuneOutcome::save`] writes in `out` are something else's.
///
/// # Errors
///
/// When one of them exists and holds anything that is not ours.
pub fn check_output(out: &Path) -> Result<(), Error> {
    Adapter::check_target(&out.join(ADAPTER))?;
    Ok(check_model_target(&out.join(MODEL))?)
}
