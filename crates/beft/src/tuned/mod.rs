//! Tuned models: opening them, and what they say of texts.

mod embeddings;
mod inspect;
mod merge;
mod open;
mod precision;
mod predictor;
mod prepared;
mod same_base;
mod sidecar;
mod stream;
mod tagged;

use std::sync::Arc;

use beft_core::{Encoding, OutputKind, Outputs, Prediction};
use beft_eval::predict;
use beft_nn::Savings;
use beft_tasks::{Example, Task};
use serde_json::{Map, Value};

pub use inspect::{InspectedTensor, Inspection, inspect};
pub use merge::merge;
pub use open::{OpenOptions, open_tuned};
pub(crate) use open::{head_kind, of_adapter, on_base, on_own_head};
pub use precision::InferencePrecision;
pub(crate) use predictor::task_of;
pub use predictor::{Answer, Answers, Predictor};
pub use prepared::Prepared;
pub(crate) use same_base::facts as base_facts;
pub(crate) use sidecar::Sidecar;
pub use stream::{Pace, Streamed, stream_rows};
pub use tagged::FoundEntity;

use crate::base::{Encoded, InputCounts};
use crate::data::{ChosenSpan, SpanQuestions};
use crate::{Base, Error, Model};

/// A base model with an adapter on it, or a tuned model.
#[derive(Debug)]
pub struct Tuned {
    /// The base.
    pub base: Arc<Base>,
    /// The tuned model.
    pub model: Arc<Model>,
    /// What its outputs stand for. Classes are named as config.json names as many where the adapter does not say
    /// (PEFT's own adapters).
    pub outputs: Outputs,
    /// Where several labels may hold, the probability from which each does; 0.5 for labels without one.
    pub thresholds: Vec<f32>,
    /// Of questions that may have no answer, by how much the score of that may be higher than the best answer's for the
    /// answer to be given.
    pub no_answer_threshold: f32,
    /// The task it was trained on, if the adapter says.
    pub task: Option<String>,
    /// That task as [`Task::definition`] gives it, where it is no built-in one.
    pub task_definition: Option<Value>,
    /// Digest of the file that was split for its training ([`file_digest`](crate::file_digest)), if there was one.
    pub split_file: Option<String>,
    /// Whether it was trained on pairs of texts, if the adapter says.
    pub text_pairs: Option<bool>,
    /// The mode it was trained in, if the adapter says.
    pub terms: Option<String>,
    /// What beft.json says.
    pub facts: Map<String, Value>,
    /// What a decoder was asked in training, if the adapter says.
    pub prompt: Option<String>,
    /// What the frozen weights were kept in while it was trained, where that is not the usual.
    pub trained_in: Option<InferencePrecision>,
    /// What the user should hear about the files.
    pub notes: Vec<String>,
}

impl Tuned {
    /// The same, to be used only, in less time: nothing can read or change the weights of an encoder's layers any more.
    #[must_use]
    pub fn only_used(self) -> Self {
        self.packed_by(|model| model.packed_for_use(InferencePrecision::default()))
    }

    /// The same with its model packed. Nothing else needs the values as they were, so that they are not held twice.
    fn packed_by(self, pack: impl FnOnce(Model) -> Model) -> Self {
        let Self { base, model, .. } = self;
        base.release();
        let model = Arc::new(pack(Arc::unwrap_or_clone(model)));
        Self {
            base,
            model,
            ..self
        }
    }

    /// The task that the adapter carries, where it was trained on one of the user's own.
    ///
    /// # Errors
    ///
    /// When its definition makes no sense, or is not for this kind of model.
    pub fn carried_task(&self) -> Result<Option<Task>, Error> {
        let Some(definition) = &self.task_definition else {
            return Ok(None);
        };
        let task = Task::from_definition(definition)?;
        self.base.check_task(&task)?;
        Ok(Some(task))
    }

    /// Class scores of inputs, labelled or not.
    ///
    /// # Errors
    ///
    /// When tokenising fails, or it was trained on pairs of texts and these are single
    /// texts, or the other way round.
    pub(crate) fn scores(
        &self,
        examples: &[&Example],
    ) -> Result<(Vec<Prediction>, InputCounts), Error> {
        let encoded = self.encode(examples)?;
        let scores = self.compute(&encoded.encodings);
        Ok((self.predictions(scores)?, encoded.counts))
    }

    /// Tokenises inputs whose classes are asked for.
    ///
    /// # Errors
    ///
    /// As [`scores`](Self::scores).
    fn encode(&self, examples: &[&Example]) -> Result<Encoded, Error> {
        if !self.base.has_head() {
            return Err(Error::TakesPrompts {
                model: self.base.name().to_owned(),
            });
        }
        let pairs = examples.iter().any(|e| e.text_pair.is_some());
        if let Some(trained) = self.text_pairs.filter(|trained| *trained != pairs)
            && !examples.is_empty()
        {
            return Err(Error::Pairs { trained });
        }
        let texts = examples.iter();
        self.base
            .encode(texts.map(|e| (e.text.as_str(), e.text_pair.as_deref())))
    }

    /// The numbers of its head for inputs.
    fn compute(&self, inputs: &[Encoding]) -> Vec<Vec<f32>> {
        predict(&*self.model, inputs, EVAL_BATCH, Savings::default(), |_| ())
    }

    /// What the numbers of its head say of inputs.
    fn predictions(&self, scores: Vec<Vec<f32>>) -> Result<Vec<Prediction>, Error> {
        let kind = match self.outputs {
            Outputs::Classes(_) => OutputKind::Classes,
            Outputs::Labels(_) => OutputKind::Labels,
            Outputs::Value | Outputs::Text => OutputKind::Value,
            Outputs::Span => OutputKind::Answer,
            // They are compared, see `cosines`.
            Outputs::Embedding => OutputKind::Rank,
            // One row for each token, see `tagged`.
            Outputs::Tags(_) => OutputKind::Tags,
        };
        let predictions = predictions(kind, scores);
        check_finite(&self.base, &predictions)?;
        Ok(predictions)
    }

    /// What it says of questions.
    pub(crate) fn spans(&self, questions: &SpanQuestions) -> Vec<ChosenSpan> {
        let scores = self.compute(&questions.windows);
        questions.choose(&scores, self.no_answer_threshold)
    }
}

/// Inputs per batch where no gradients are needed.
pub(crate) const EVAL_BATCH: usize = 64;

/// What scores say, where each input has them for its classes or has one number.
pub(crate) fn predictions(kind: OutputKind, scores: Vec<Vec<f32>>) -> Vec<Prediction> {
    let first = |scores: Vec<f32>| scores.first().copied().unwrap_or(f32::NAN);
    let of = |scores| match kind {
        OutputKind::Classes => Prediction::Classes(scores),
        OutputKind::Labels => Prediction::Labels(scores),
        OutputKind::Value => Prediction::Value(first(scores)),
        OutputKind::Tokens | OutputKind::Tags | OutputKind::Answer | OutputKind::Rank => {
            Prediction::Tokens(first(scores))
        }
    };
    scores.into_iter().map(of).collect()
}

/// Fails where a model says nothing: its weights are damaged.
pub(crate) fn check_finite(base: &Base, predictions: &[Prediction]) -> Result<(), Error> {
    refuse_unless(base, predictions.iter().all(Prediction::is_finite))
}

/// The same of what it gives each input.
fn check_finite_rows(base: &Base, rows: &[Vec<f32>]) -> Result<(), Error> {
    refuse_unless(base, rows.iter().flatten().all(|value| value.is_finite()))
}

fn refuse_unless(base: &Base, finite: bool) -> Result<(), Error> {
    match finite {
        true => Ok(()),
        false => Err(Error::NotFinite {
            model: base.name().to_owned(),
        }),
    }
}
