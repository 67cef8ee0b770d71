//! What models say of dev splits.

use std::collections::BTreeMap;

use beft_core::{Metric, Prediction, Stop};
use beft_decoder::{DecoderForCausalLM, GenerateOptions, Generating, Request, RowId};
use beft_eval::{Part, RepeatedPrediction, exact_match, predict, token_f1};
use beft_nn::Savings;
use beft_train::{Metrics, Team, TrainError, TrainSettings};

use crate::data::{Calibration, Choices, DevInputs, DevSet, Questions, compare};
use crate::evaluate::details::outcomes;
use crate::evaluate::{metric_suffix, task_metrics};
use crate::tuned::{EVAL_BATCH, predictions};
use crate::{Base, Error, Model};

/// Metrics of models on the dev splits, evaluated again and again while their lowest layers
/// stay the same and are the same in all of them. A metric that is undefined there is left out.
pub(crate) struct DevMetrics<'a> {
    metrics: &'a [Metric],
    splits: Vec<(&'a DevSet, RepeatedPrediction<'a>)>,
    unchanged_layers: usize,
    team: &'a Team,
    stop: &'a Stop,
}

/// By split, what a model said of each dev example.
pub(crate) type DevPredictions = Vec<Vec<Prediction>>;

impl<'a> DevMetrics<'a> {
    pub(crate) fn new(
        metrics: &'a [Metric],
        dev: &'a [DevSet],
        settings: &'a TrainSettings,
        unchanged_layers: usize,
    ) -> Self {
        let (savings, team) = (settings.savings, &settings.team);
        let part = Part {
            number: team.rank(),
            of: team.processes(),
        };
        let splits = dev.iter().map(|dev| {
            let encodings = dev.inputs.encodings();
            let prediction =
                RepeatedPrediction::new(encodings, EVAL_BATCH, savings, unchanged_layers);
            (dev, prediction.of_part(part))
        });
        Self {
            team,
            stop: &settings.stop,
            metrics,
            splits: splits.collect(),
            unchanged_layers,
        }
    }

    /// Whether it is also that of models of the same backbone that leave so many layers as they are, on
    /// these splits.
    pub(crate) fn serves(
        &self,
        metrics: &[Metric],
        dev: &[DevSet],
        unchanged_layers: usize,
    ) -> bool {
        let mut pairs = self.splits.iter().zip(dev);
        self.unchanged_layers == unchanged_layers
            && self.metrics == metrics
            && self.splits.len() == dev.len()
            && pairs.all(|((mine, _), other)| {
                mine.split == other.split && mine.inputs.same_scores(&other.inputs)
            })
    }

    /// The metrics, and what they are computed from.
    ///
    /// # Errors
    ///
    /// When generated tokens are no text, or the training is to stop.
    pub(crate) fn of(
        &mut self,
        base: &Base,
        model: &Model,
    ) -> Result<(Metrics, DevPredictions), Error> {
        let mut metrics = Metrics::new();
        let mut all = Vec::new();
        for (dev, prediction) in &mut self.splits {
            let found = match &dev.inputs {
                DevInputs::Questions(questions) => {
                    answered(base, model, questions, self.stop, |_| ())?
                }
                scored => {
                    let mine = prediction.predict(model, self.stop).ok_or_else(stopped)?;
                    scored.predictions(from_all(self.team, mine)?, model)
                }
            };
            metrics.extend(dev.metrics(self.metrics, &found, metric_suffix(dev.split)));
            all.push(found);
        }
        Ok((metrics, all))
    }
}

/// What an evaluation ends with that was to stop. The training says where its state is.
fn stopped() -> Error {
    TrainError::Stopped { state: None }.into()
}

/// The numbers of all inputs, of which each process of a team has computed some.
fn from_all(team: &Team, mine: Vec<Vec<f32>>) -> Result<Vec<Vec<f32>>, Error> {
    if team.processes() == 1 {
        return Ok(mine);
    }
    let count = mine.len();
    // There is nothing in it that JSON cannot hold, but for numbers that are not finite: those are bits.
    let bits = |row: &Vec<f32>| {
        row.iter()
            .map(|value| value.to_bits())
            .collect::<Vec<u32>>()
    };
    let text = serde_json::to_vec(&mine.iter().map(bits).collect::<Vec<_>>()).unwrap_or_default();
    let mut all = vec![Vec::new(); count];
    for text in team.gather(text)? {
        let rows: Vec<Vec<u32>> = serde_json::from_slice(&text).unwrap_or_default();
        for (row, found) in all
            .iter_mut()
            .zip(rows)
            .filter(|(_, found)| !found.is_empty())
        {
            *row = found.into_iter().map(f32::from_bits).collect();
        }
    }
    Ok(all)
}

impl DevSet {
    /// What a model says of each example.
    ///
    /// # Errors
    ///
    /// When generated tokens are no text.
    pub fn predict(
        &self,
        base: &Base,
        model: &Model,
        savings: Savings,
        on_done: impl FnMut(usize) + Send,
    ) -> Result<Vec<Prediction>, Error> {
        match &self.inputs {
            DevInputs::Questions(questions) => {
                answered(base, model, questions, &Stop::default(), on_done)
            }
            scored => {
                let found = predict(model, scored.encodings(), EVAL_BATCH, savings, on_done);
                Ok(scored.predictions(found, model))
            }
        }
    }

    /// Measures what a model said; the metrics' names end in `suffix`.
    pub(crate) fn metrics(&self, metrics: &[Metric], said: &[Prediction], suffix: &str) -> Metrics {
        let outcomes = outcomes(self.inputs.targets(), said, &[]);
        task_metrics(metrics, &outcomes, suffix)
    }
}

impl DevInputs {
    /// What scores say; those of candidates are adjusted first.
    fn predictions(&self, scores: Vec<Vec<f32>>, model: &Model) -> Vec<Prediction> {
        let scores = match self {
            Self::Tagged(tagged) => return tagged.predictions(&scores),
            Self::Choices(choices, calibration) => {
                choices.adjusted(scores, calibration.as_ref(), model)
            }
            Self::Compared(set) => return compare(set, &scores),
            Self::Spans(questions) => return questions.compare(questions.choose(&scores, 0.0)),
            Self::Labelled(_) | Self::Texts(_) | Self::Questions(_) => scores,
        };
        predictions(self.output(), scores)
    }
}

impl Choices {
    /// Scores of candidates calibrated, and where several are right, as if the first of them were what the
    /// best of them is.
    fn adjusted(
        &self,
        mut scores: Vec<Vec<f32>>,
        calibration: Option<&Calibration>,
        model: &Model,
    ) -> Vec<Vec<f32>> {
        if let Some(calibration) = calibration {
            let free = &calibration.encodings;
            let free = predict(model, free, EVAL_BATCH, Savings::default(), |_| ());
            let examples = scores.iter_mut().zip(&self.set.encodings);
            for ((scores, encoding), number) in examples.zip(&calibration.of) {
                let (free, of) = (&free[*number], &calibration.encodings[*number]);
                let lengths = encoding.branches.iter().zip(&of.branches);
                for ((score, free), (own, other)) in scores.iter_mut().zip(free).zip(lengths) {
                    // Sums of log probabilities, of which the means are given.
                    *score = *score * own.scored as f32 - free * other.scored as f32;
                }
            }
        }
        for (scores, right) in scores.iter_mut().zip(&self.right) {
            if let [first, others @ ..] = right.as_slice() {
                for other in others {
                    scores[*first] = scores[*first].max(scores[*other]);
                    scores[*other] = f32::MIN;
                }
            }
        }
        scores
    }
}

/// The text that a model answers each question with: greedy, until a line ends.
fn answered(
    base: &Base,
    model: &Model,
    questions: &Questions,
    stop: &Stop,
    mut on_done: impl FnMut(usize),
) -> Result<Vec<Prediction>, Error> {
    let model = model.generator().ok_or_else(|| Error::NoGeneration {
        model: base.name().to_owned(),
    })?;
    let texts = generate_texts(base, model, questions, stop, &mut on_done)?;
    let answers = texts.into_iter().zip(&questions.answers);
    Ok(answers
        .map(|(text, golds)| Prediction::Answer {
            token_f1: token_f1(&text, golds) as f32,
            exact: exact_match(&text, golds),
            text,
        })
        .collect())
}

/// Prompts that are generated from at a time.
const GENERATED: usize = 16;

/// Of those, so many begin together.
const JOINING: usize = 4;

fn generate_texts(
    base: &Base,
    model: &DecoderForCausalLM,
    questions: &Questions,
    stop: &Stop,
    on_done: &mut impl FnMut(usize),
) -> Result<Vec<String>, Error> {
    let tokenizer = base.tokenizer();
    let settings = base.generation()?;
    // Where the end of a line is one token.
    let line = tokenizer.encode_ids(["\n"])?.remove(0);
    let end = line.last().copied();
    let end = end.filter(|id| tokenizer.decode(&[*id]).is_ok_and(|text| text == "\n"));
    let options = GenerateOptions {
        stop: end.into_iter().collect(),
        ..settings.options(questions.max_new_tokens)
    };
    let mut order: Vec<usize> = (0..questions.prompts.len()).collect();
    order.sort_by_key(|index| questions.prompts[*index].len());
    let mut texts = vec![String::new(); order.len()];
    let mut waiting = order.into_iter().peekable();
    let mut generating = Generating::new(model.clone());
    let mut rows: BTreeMap<RowId, (usize, Vec<u32>)> = BTreeMap::new();
    while !rows.is_empty() || waiting.peek().is_some() {
        if stop.is_asked() {
            return Err(stopped());
        }
        // Several join at a time: each time the cache of all is copied.
        if rows.len() <= GENERATED - JOINING {
            for index in waiting.by_ref().take(GENERATED - rows.len()) {
                let row = generating.join(Request {
                    prompt: questions.prompts[index].clone(),
                    options: options.clone(),
                    biases: None,
                })?;
                rows.insert(row, (index, Vec::new()));
            }
        }
        for new in generating.step() {
            if let Some((_, ids)) = rows.get_mut(&new.row) {
                ids.extend(new.token);
            }
            let ended = new.finish.and_then(|_| rows.remove(&new.row));
            if let Some((index, ids)) = ended {
                let text = tokenizer.decode(&ids)?;
                texts[index] = text.split('\n').next().unwrap_or("").trim().to_owned();
                on_done(1);
            }
        }
    }
    Ok(texts)
}
