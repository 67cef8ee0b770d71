//! Thresholds of labels, chosen on the dev split.

use beft_core::{Prediction, Targets};
use beft_eval::{Outcomes, best_threshold, sigmoid};
use serde_json::json;

use super::{TuneJob, TuneOutcome};
use crate::evaluate::task_metrics;
use crate::{Base, Error};

impl TuneOutcome {
    /// Chooses for each label the threshold with the highest F1 on the dev split.
    ///
    /// # Errors
    ///
    /// When the task has no labels of which several may hold.
    pub(super) fn choose_thresholds(
        &mut self,
        base: &Base,
        job: &TuneJob<'_>,
    ) -> Result<(), Error> {
        let data = job.data;
        let (Some(dev), Some(Targets::Labels(sets))) = (
            data.dev.first(),
            data.dev.first().and_then(|dev| dev.inputs.targets()),
        ) else {
            return Err(Error::Thresholds {
                task: data.task.name.clone(),
            });
        };
        let said = match self.dev_predictions.as_ref().and_then(|all| all.first()) {
            Some(said) => said.clone(),
            None => dev.predict(base, &self.model, job.settings.savings, |_| ())?,
        };
        let scores: Vec<Vec<f32>> = said.iter().map(Prediction::scores).collect();
        let labels = 0..data.outputs.count();
        let chosen = labels.map(|label| {
            let holds: Vec<bool> = sets.iter().map(|set| set.contains(&label)).collect();
            let probabilities: Vec<f32> = scores.iter().map(|s| sigmoid(s[label])).collect();
            best_threshold(&holds, &probabilities)
        });
        self.thresholds = chosen.collect();
        let targets = Targets::Labels(sets.clone());
        let outcomes = Outcomes::with_thresholds(&targets, &said, &self.thresholds);
        self.threshold_metrics = task_metrics(&data.task.metrics, &outcomes, "");
        let facts = [
            Some(&mut self.facts),
            self.adapter.as_mut().map(|a| &mut a.facts),
        ];
        for facts in facts.into_iter().flatten() {
            facts.insert("thresholds".to_owned(), json!(self.thresholds));
        }
        Ok(())
    }
}
