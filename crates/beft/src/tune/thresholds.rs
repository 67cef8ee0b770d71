//! Thresholds of labels and of questions without an answer, chosen on the dev split.

use beft_core::{Metric, Prediction, Targets};
use beft_eval::{Outcomes, best_no_answer_threshold, best_threshold, predict, sigmoid};
use serde_json::json;

use super::{TuneJob, TuneOutcome};
use crate::data::{DevInputs, SpanQuestions};
use crate::evaluate::task_metrics;
use crate::tuned::EVAL_BATCH;
use crate::{Base, Error};

impl TuneOutcome {
    /// Chooses for each label the threshold with the highest F1 on the dev split, or of questions that may have no answer
    /// the one with the highest main metric.
    ///
    /// # Errors
    ///
    /// When the task has neither labels of which several may hold nor questions that may have no answer.
    pub(super) fn choose_thresholds(
        &mut self,
        base: &Base,
        job: &TuneJob<'_>,
    ) -> Result<(), Error> {
        let data = job.data;
        if let Some(DevInputs::Spans(questions)) = data.dev.first().map(|dev| &dev.inputs) {
            self.choose_no_answer_threshold(questions, job);
            return Ok(());
        }
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

    fn choose_no_answer_threshold(&mut self, questions: &SpanQuestions, job: &TuneJob<'_>) {
        let metrics = &job.data.task.metrics;
        let exact = metrics.first() == Some(&Metric::ExactMatch);
        let (windows, savings) = (&questions.windows, job.settings.savings);
        let scores = predict(&self.model, windows, EVAL_BATCH, savings, |_| ());
        let chosen = questions.choose(&scores, 0.0);
        let differences = chosen
            .iter()
            .map(|chosen| chosen.no_answer.unwrap_or_default());
        let differences: Vec<f32> = differences.collect();
        let threshold = best_no_answer_threshold(&differences, &questions.gains(&chosen, exact));
        self.no_answer_threshold = Some(threshold);
        let said = questions.compare(questions.choose(&scores, threshold));
        self.threshold_metrics = task_metrics(metrics, &Outcomes::of_answers(&said), "");
        let facts = [
            Some(&mut self.facts),
            self.adapter.as_mut().map(|a| &mut a.facts),
        ];
        for facts in facts.into_iter().flatten() {
            facts.insert("no_answer_threshold".to_owned(), json!(threshold));
        }
    }
}
