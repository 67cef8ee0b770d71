//! Which modes suit which model and task.

use beft_core::{OutputKind, TaskType};
use beft_modes::{Misfit, Mode};
use beft_tasks::Task;

use crate::{Base, Error};

/// Fails where a model cannot be trained so on a task.
///
/// # Errors
///
/// What is in the way.
pub fn check_mode(base: &Base, task: &Task, mode: &Mode) -> Result<(), Error> {
    let generates = match task.output() {
        OutputKind::Tokens | OutputKind::Answer => base.task_type() == TaskType::CausalLm,
        OutputKind::Classes | OutputKind::Labels | OutputKind::Tags => false,
        OutputKind::Value | OutputKind::Rank => false,
    };
    let kind = base.mode_traits(generates);
    mode.fits(&kind).map_err(|misfit| match misfit {
        Misfit::Refused(reason) => Error::Mode {
            mode: mode.clone(),
            model: base.name().to_owned(),
            reason,
        },
        Misfit::Terms(source) => Error::TermsOf {
            model: base.name().to_owned(),
            source,
        },
    })
}
