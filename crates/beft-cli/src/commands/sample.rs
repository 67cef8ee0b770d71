use anyhow::{Result, bail};
use beft::tasks::{PromptTask, Split, Task, training_subset};

use super::{data_folder, train_size};
use crate::args::SampleArgs;
use crate::output::write_bytes;

/// Prints the row numbers, from 0 and without the header, of the training subset in its order.
pub(crate) fn sample(args: &SampleArgs) -> Result<()> {
    // The tasks of encoders, and those that decoders alone have.
    let task = Task::resolve(&args.source.task).or_else(|unknown| {
        match PromptTask::resolve(&args.source.task) {
            Ok(prompt) => Ok(prompt.into_task()),
            Err(_) => Err(unknown),
        }
    })?;
    let folder = data_folder(&args.source, &task)?;
    let (path, available) = match &task.prompt {
        Some(prompt) => {
            let data = prompt.load(&folder, Split::Train)?;
            (data.path, data.examples.len())
        }
        None => {
            let data = task.load(&folder, Split::Train, None)?;
            (data.path, data.examples.len())
        }
    };
    let size = train_size(&task, args.train_size, args.regime)?.unwrap_or(available);
    // As in training: a decoder's 1,000 are all where there are fewer.
    let size = match task.prompt.is_some() && args.train_size.is_none() {
        true => size.min(available),
        false => size,
    };
    if size > available {
        bail!(
            "{size} examples do not fit {}: it has {available}",
            path.display()
        );
    }
    let rows: String = training_subset(args.seed, available, size)
        .into_iter()
        .map(|row| format!("{row}\n"))
        .collect();
    write_bytes(rows.as_bytes());
    Ok(())
}
