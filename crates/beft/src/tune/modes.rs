//! Which modes suit which model and task.

use beft_core::{Mode, OutputKind, TermSetError};
use beft_tasks::Task;

use crate::{Base, Error};

/// Fails where a model cannot be trained so on a task.
///
/// # Errors
///
/// What is in the way.
pub fn check_mode(base: &Base, task: &Task, mode: &Mode) -> Result<(), Error> {
    let scored = task.output() == OutputKind::Classes;
    let refused = match (base.config().plannable(), mode) {
        (None, Mode::Asked(_) | Mode::Prefix) => {
            "it is a mode of decoders, and the model is an encoder"
        }
        (Some(_), Mode::Biases(terms)) if terms.is_frozen() => {
            "a decoder has no head that would learn by itself"
        }
        (Some(_), Mode::Full | Mode::Random | Mode::RandomLines) => {
            "decoders are tuned by biases, LoRA or a prefix"
        }
        (Some(config), Mode::Lora(_)) if config.architecture.fuses_projections() => {
            "GPT-2 keeps query, key and value as one matrix, which has no LoRA of its parts"
        }
        (Some(_), Mode::Asked(asked)) if asked.calibrated && !scored => {
            "answers that are generated cannot be calibrated"
        }
        (_, Mode::Biases(terms)) => {
            let sites = terms.sites(base.config().num_layers())?;
            let absent = sites
                .iter()
                .find(|site| !base.config().terms().contains(&site.term));
            match absent {
                Some(site) if !terms.is_all() => {
                    return Err(TermSetError::NoSuchTerm(site.term).into());
                }
                _ => return Ok(()),
            }
        }
        _ => return Ok(()),
    };
    Err(Error::Mode {
        mode: mode.clone(),
        reason: refused,
    })
}
