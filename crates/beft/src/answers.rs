//! What decoders say of prompts: candidates' scores, calibrated where that is asked for, and generated answers.

use beft_decoder::{DecoderForCausalLM, GenerateOptions};
use beft_eval::{exact_match, predict, token_f1};
use beft_modes::Asked;
use beft_nn::Savings;
use beft_tasks::{Metric, PromptExample, Task, training_subset};
use beft_train::Metrics;

use crate::data::{DevSet, dev_sample};
use crate::evaluate::{check_finite, task_metrics};
use crate::prompts::{Prompter, prompt_facts};
use crate::tune::EVAL_BATCH;
use crate::{Base, Error, Evaluation, Model, Questions, Tuned};

impl DevSet {
    /// What a model says of each example.
    ///
    /// # Errors
    ///
    /// When generated tokens are no text.
    pub(crate) fn scores(
        &self,
        base: &Base,
        model: &Model,
        savings: Savings,
        on_done: impl FnMut(usize) + Send,
    ) -> Result<Vec<Vec<f32>>, Error> {
        match &self.questions {
            Some(questions) => answered(base, model, questions, on_done),
            None => {
                let encodings = &self.set.encodings;
                let found = predict(model, encodings, EVAL_BATCH, savings, on_done);
                Ok(self.adjusted(found, model))
            }
        }
    }

    /// Scores of candidates calibrated, and where several are right, as if the first of them were what the
    /// best of them is.
    pub(crate) fn adjusted(&self, mut scores: Vec<Vec<f32>>, model: &Model) -> Vec<Vec<f32>> {
        if let Some(calibration) = &self.calibration {
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

/// Of each question token F1 and exact match of the text that a model answers with: greedy, until a line
/// ends.
pub(crate) fn answered(
    base: &Base,
    model: &Model,
    questions: &Questions,
    mut on_done: impl FnMut(usize),
) -> Result<Vec<Vec<f32>>, Error> {
    let Some(model) = model.decoder() else {
        return Err(Error::Usage("an encoder generates no text".to_owned()));
    };
    let texts = generate_texts(base, model, questions, &mut on_done)?;
    let scores = texts.iter().zip(&questions.answers).map(|(text, golds)| {
        let exact = f32::from(exact_match(text, golds));
        vec![token_f1(text, golds) as f32, exact]
    });
    Ok(scores.collect())
}

/// Prompts that are generated from at a time.
const GENERATED: usize = 16;

fn generate_texts(
    base: &Base,
    model: &DecoderForCausalLM,
    questions: &Questions,
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
    for chosen in order.chunks(GENERATED) {
        let prompts: Vec<Vec<u32>> = chosen
            .iter()
            .map(|index| questions.prompts[*index].clone())
            .collect();
        let found = model.generate(&prompts, &options, |_, _| ());
        for (index, ids) in chosen.iter().zip(found) {
            let text = tokenizer.decode(&ids)?;
            texts[*index] = text.split('\n').next().unwrap_or("").trim().to_owned();
        }
        on_done(chosen.len());
    }
    Ok(texts)
}

/// The task's metrics of what a model said of a dev split.
pub(crate) fn dev_metrics(task: &Task, dev: &DevSet, scores: &[Vec<f32>], suffix: &str) -> Metrics {
    if dev.questions.is_none() {
        return task_metrics(task, &dev.set.targets, scores, suffix);
    }
    let metrics = task.metrics.iter();
    metrics
        .filter_map(|m| Some((format!("{m}{suffix}"), answer_metric(*m, scores)?)))
        .collect()
}

/// The mean of a metric over answered questions, each with its token F1 and exact match.
pub(crate) fn answer_metric<S: AsRef<[f32]>>(metric: Metric, scores: &[S]) -> Option<f64> {
    let column = match metric {
        Metric::TokenF1 => 0,
        Metric::ExactMatch => 1,
        _ => return None,
    };
    let values = scores.iter().map(|s| f64::from(s.as_ref()[column]));
    Some(values.sum::<f64>() / scores.len().max(1) as f64)
}

/// How a decoder is evaluated.
#[derive(Clone, Copy, Debug, Default)]
pub struct PromptOptions {
    /// How it is asked.
    pub asked: Asked,
    /// Examples at most.
    pub limit: Option<usize>,
    /// Chooses the worked examples in front of each question.
    pub seed: u32,
}

/// Evaluates a decoder on examples of a prompt task; `shots` are what worked examples are drawn from. `on_done`
/// hears how many examples each batch finished.
///
/// # Errors
///
/// When tokenising fails; when the task is not one of prompts.
pub fn evaluate_prompts(
    tuned: &Tuned,
    task: &Task,
    examples: Vec<PromptExample>,
    shots: &[PromptExample],
    options: PromptOptions,
    on_done: impl FnMut(usize) + Send,
) -> Result<Evaluation, Error> {
    let Some(prompt) = &task.prompt else {
        return Err(Error::Usage(format!("task {} has no prompt", task.name)));
    };
    let asked = options.asked;
    if asked.shots > shots.len() {
        return Err(Error::Usage(format!(
            "{} worked examples are asked for, there are {}",
            asked.shots,
            shots.len()
        )));
    }
    let order = training_subset(options.seed, shots.len(), asked.shots);
    let shots: Vec<PromptExample> = order.into_iter().map(|i| shots[i].clone()).collect();
    let examples = dev_sample(prompt, examples, options.limit);
    let reserved = tuned.model.decoder().map_or(0, |model| model.prefix_len());
    // What is asked must be what was learned.
    let labels = prompt.label_names();
    if !tuned.labels.is_empty() && !labels.is_empty() && tuned.labels != labels {
        return Err(Error::Usage(format!(
            "the adapter was trained with the labels {:?}, the task has {labels:?}",
            tuned.labels
        )));
    }
    if let Some(known) = tuned
        .prompt
        .as_ref()
        .filter(|p| **p != prompt_facts(prompt))
    {
        return Err(Error::Usage(format!(
            "the adapter was trained with another prompt ({known:?}) than that of task {} ({:?})",
            task.name,
            prompt_facts(prompt)
        )));
    }
    let prompter = Prompter::new(&tuned.base, prompt, &shots, reserved);
    let dev = prompter.dev_set(&examples, asked.calibrated)?;
    let scores = dev.scores(&tuned.base, &tuned.model, Savings::default(), on_done)?;
    check_finite(&tuned.base, &scores)?;
    Ok(Evaluation {
        notes: prompter.cut_note(&task.name).into_iter().collect(),
        metrics: dev_metrics(task, &dev, &scores, ""),
        examples: examples.len(),
    })
}
