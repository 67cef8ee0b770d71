//! Which modes suit which model and task.

use beft_decoder::Architecture;
use beft_modes::{Misfit, Mode, ModelKind};
use beft_tasks::{PromptKind, Task};

use crate::{Base, Error};

/// Fails where a model cannot be trained so on a task.
///
/// # Errors
///
/// What is in the way.
pub fn check_mode(base: &Base, task: &Task, mode: &Mode) -> Result<(), Error> {
    let decoder = base.decoder_config();
    let prompt = task.prompt.as_ref();
    let kind = ModelKind {
        decoder: decoder.is_some(),
        fused: decoder.is_some_and(|config| config.architecture == Architecture::Gpt2),
        generates: prompt.is_some_and(|p| p.kind == PromptKind::Generation),
        layers: base.num_layers(),
        terms: base.terms(),
    };
    mode.fits(&kind).map_err(|misfit| match misfit {
        Misfit::Refused(reason) => Error::Usage(format!("mode {mode}: {reason}")),
        Misfit::Terms(error) => error.into(),
    })
}
