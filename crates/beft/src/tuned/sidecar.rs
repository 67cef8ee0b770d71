//! What beft.json says beside an adapter or a whole model.

use std::path::Path;
use std::sync::Arc;

use beft_checkpoint::{MULTI_LABEL, ModelDir, PROBLEM};
use beft_core::{Outputs, TaskType};
use beft_modes::Adapter;
use beft_nn::Precision;
use serde_json::{Map, Value};

use super::open::{model_sidecar, sidecar_name};
use crate::{Base, Error, InferencePrecision, Model, Tuned};

/// Three special tokens and one of each text of a pair.
const SHORTEST_MAX_LENGTH: u64 = 5;

/// What beft.json beside an adapter or a tuned model says.
pub(crate) struct Sidecar {
    /// Class names; an empty list for a regression and for texts.
    labels: Option<Vec<String>>,
    /// Whether several labels may hold; not said by what HF wrote.
    several: bool,
    thresholds: Vec<f32>,
    no_answer_threshold: f32,
    max_length: Option<usize>,
    task: Option<String>,
    task_definition: Option<Value>,
    split_file: Option<String>,
    text_pairs: Option<bool>,
    terms: Option<String>,
    prompt: Option<String>,
    precision: Option<InferencePrecision>,
    facts: Map<String, Value>,
}

impl Sidecar {
    /// What is beside an adapter.
    pub(crate) fn of_adapter(adapter: &Adapter, dir: &Path) -> Result<Self, Error> {
        Self::read(&adapter.facts, &sidecar_name(dir))
    }

    /// What is beside a whole model.
    pub(super) fn of_model(dir: &ModelDir) -> Result<Self, Error> {
        Self::read(&dir.facts()?, &model_sidecar(dir))
    }

    /// The longest input in tokens.
    pub(crate) fn max_length(&self) -> Option<usize> {
        self.max_length
    }

    /// The definition of the task that it was trained on, where that is no built-in one.
    pub(super) fn task_definition(&self) -> Option<&Value> {
        self.task_definition.as_ref()
    }

    /// What the frozen weights were kept in, where that is not the usual.
    pub(super) fn precision(&self) -> Option<InferencePrecision> {
        self.precision
    }

    /// Number of labels, if it names them.
    pub(super) fn num_labels(&self) -> Option<usize> {
        self.labels.as_ref().map(Vec::len)
    }

    /// `whose` begins messages.
    fn read(facts: &Map<String, Value>, whose: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::Sidecar {
            whose: whose.to_owned(),
            reason,
        };
        let text = |name: &str| facts.get(name).and_then(Value::as_str).map(str::to_owned);
        let max_length = facts.get("max_length").map(|value| {
            value
                .as_u64()
                .filter(|n| *n >= SHORTEST_MAX_LENGTH)
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| {
                    wrong(format!(
                        "max_length is {value}; it must be a whole number, {SHORTEST_MAX_LENGTH} or more"
                    ))
                })
        });
        let labels: Option<Vec<String>> = match facts.get("labels") {
            None | Some(Value::Null) => None,
            Some(value) => Some(
                serde_json::from_value(value.clone())
                    .map_err(|_| wrong(format!("labels is {value}; it must be a list of names")))?,
            ),
        };
        if labels.iter().flatten().any(|label| label.trim().is_empty()) {
            return Err(wrong("it names an empty label".to_owned()));
        }
        let twice = labels.iter().flat_map(|labels| {
            let numbered = labels.iter().enumerate();
            numbered.filter(|(i, label)| labels[..*i].contains(label))
        });
        if let Some((_, twice)) = twice.into_iter().next() {
            return Err(wrong(format!("it names the label `{twice}` twice")));
        }
        let thresholds: Vec<f32> = match facts.get("thresholds") {
            None => Vec::new(),
            Some(value) => serde_json::from_value(value.clone()).map_err(|_| {
                wrong(format!(
                    "thresholds is {value}; it must be a list of numbers"
                ))
            })?,
        };
        if thresholds
            .iter()
            .any(|threshold| !(0.0..=1.0).contains(threshold))
        {
            return Err(wrong(
                "thresholds has a number that is no probability".to_owned(),
            ));
        }
        if labels
            .as_ref()
            .is_some_and(|labels| !thresholds.is_empty() && labels.len() != thresholds.len())
        {
            return Err(wrong("it has not as many thresholds as labels".to_owned()));
        }
        let no_answer_threshold = match facts.get("no_answer_threshold") {
            None => 0.0,
            Some(value) => value.as_f64().ok_or_else(|| {
                wrong(format!(
                    "no_answer_threshold is {value}; it must be a number"
                ))
            })? as f32,
        };
        let precision = text("precision").map(|name| {
            let precision: Result<Precision, _> = name.parse();
            let precision = precision.map(InferencePrecision::Float);
            precision.map_err(|reason| wrong(format!("precision: {reason}")))
        });
        Ok(Self {
            labels,
            several: facts.get(PROBLEM).and_then(Value::as_str) == Some(MULTI_LABEL),
            thresholds,
            no_answer_threshold,
            max_length: max_length.transpose()?,
            task: text("task"),
            task_definition: facts.get("task_definition").cloned(),
            split_file: text("split_file"),
            text_pairs: facts.get("text_pairs").and_then(Value::as_bool),
            terms: text("terms"),
            prompt: text("prompt"),
            precision: precision.transpose()?,
            facts: facts.clone(),
        })
    }

    /// The tuned model. Where nothing was recorded, classes are named as config.json names as many, and one
    /// output is a regression's or a text's.
    pub(super) fn tuned(
        self,
        base: Arc<Base>,
        model: Model,
        outputs: usize,
        whose: &str,
        notes: Vec<String>,
    ) -> Result<Tuned, Error> {
        let labels = match self.labels {
            // Each token has two scores, which are no classes.
            _ if base.task_type() == TaskType::QuestionAnswering => Vec::new(),
            Some(labels) => labels,
            None if outputs == 1 => Vec::new(),
            None => {
                let named = base.dir().labels()?;
                match named.len() == outputs {
                    true => named,
                    false => (0..outputs).map(|class| format!("LABEL_{class}")).collect(),
                }
            }
        };
        // A language model is asked its candidates.
        let classified = match base.task_type() {
            TaskType::SequenceClassification | TaskType::TokenClassification => true,
            TaskType::QuestionAnswering | TaskType::FeatureExtraction | TaskType::CausalLm => false,
        };
        if classified && labels.len().max(1) != outputs {
            return Err(Error::Sidecar {
                whose: whose.to_owned(),
                reason: format!(
                    "it names {} labels, the head has {outputs} classes",
                    labels.len()
                ),
            });
        }
        let notes = base.notes().iter().cloned().chain(notes).collect();
        // HF writes it into the base's config.json.
        let config: Map<String, Value> = base.dir().config()?;
        let several = self.several || config.get(PROBLEM) == Some(&MULTI_LABEL.into());
        let outputs = match (base.outputs(labels), several) {
            (Outputs::Classes(labels), true) => Outputs::Labels(labels),
            (outputs, _) => outputs,
        };
        Ok(Tuned {
            outputs,
            thresholds: self.thresholds,
            no_answer_threshold: self.no_answer_threshold,
            base,
            model: Arc::new(model),
            task: self.task,
            task_definition: self.task_definition,
            split_file: self.split_file,
            text_pairs: self.text_pairs,
            terms: self.terms,
            prompt: self.prompt,
            trained_in: self.precision,
            facts: self.facts,
            notes,
        })
    }
}
