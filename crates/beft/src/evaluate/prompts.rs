//! Evaluation of decoders on prompts.

use beft_modes::Asked;
use beft_nn::Savings;
use beft_tasks::{PromptExample, PromptTask, training_subset};

use crate::data::{DevInputs, Prompter, dev_sample, prompt_facts};
use crate::evaluate::Said;
use crate::tuned::check_finite;
use crate::{Error, Evaluation, Model, Tuned};

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
/// When tokenising fails, the model was trained for something else, or there are too few worked examples.
pub fn evaluate_prompts(
    tuned: &Tuned,
    task: &PromptTask,
    examples: Vec<PromptExample>,
    shots: &[PromptExample],
    options: PromptOptions,
    on_done: impl FnMut(usize) + Send,
) -> Result<Evaluation, Error> {
    let asked = options.asked;
    if asked.shots > shots.len() {
        return Err(Error::Shots {
            asked: asked.shots,
            available: shots.len(),
        });
    }
    let order = training_subset(options.seed, shots.len(), asked.shots);
    let shots: Vec<PromptExample> = order.into_iter().map(|i| shots[i].clone()).collect();
    let examples = dev_sample(task, examples, options.limit);
    let reserved = tuned
        .model
        .generator()
        .map_or(0, |model| model.prefix_len());
    check_asked(tuned, task)?;
    let prompter = Prompter::new(&tuned.base, task, &shots, reserved);
    let mut dev = prompter.dev_set(&examples, asked.calibrated)?;
    let after_shots = after_shots(&tuned.model, asked, &mut dev.inputs);
    let model = after_shots.as_ref().unwrap_or(&*tuned.model);
    let said = dev.predict(&tuned.base, model, Savings::default(), on_done)?;
    check_finite(&tuned.base, &said)?;
    let names = task.label_names();
    let said = Said {
        targets: dev.inputs.targets(),
        predictions: &said,
        names: &names,
        thresholds: &[],
    };
    let choices = |index: usize| {
        let example: &PromptExample = &examples[index];
        let texts = match example.candidates.is_empty() {
            true => &example.answers,
            false => &example.candidates,
        };
        texts.iter().map(|text| text.trim().to_owned()).collect()
    };
    Ok(Evaluation {
        notes: prompter.cut_note(&task.name).into_iter().collect(),
        details: said.details(&task.metrics, ""),
        judged: said.judge(choices),
        examples: dev.examples.clone(),
    })
}

/// The model after the worked examples that are in front of each question, which it reads once, and the questions without
/// them; `None` where there are none.
pub(crate) fn after_shots(model: &Model, asked: Asked, questions: &mut DevInputs) -> Option<Model> {
    let model = model.generator().filter(|_| asked.shots > 0)?;
    let shared = questions.take_shared_prompt();
    (!shared.is_empty()).then(|| Model::Decoder(model.clone().with_prompt(&shared)))
}

/// Fails if what is asked is not what was learned.
pub(crate) fn check_asked(tuned: &Tuned, task: &PromptTask) -> Result<(), Error> {
    let labels = task.label_names();
    let known = tuned.outputs.names();
    if !known.is_empty() && !labels.is_empty() && known != labels {
        return Err(Error::OtherLabels {
            model: known.to_vec(),
            task: labels,
        });
    }
    let asks = prompt_facts(task);
    if let Some(known) = tuned.prompt.as_ref().filter(|p| **p != asks) {
        return Err(Error::OtherPrompt {
            model: known.clone(),
            task: format!("{} ({asks:?})", task.name),
        });
    }
    Ok(())
}
