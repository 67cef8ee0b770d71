use anyhow::{Result, bail};
use beft_tasks::{LabelledTask, PromptTask, Split, Task, training_subset};

use super::{check_share, data_folder, train_size};
use crate::args::SampleArgs;
use crate::output::write_now;

/// Prints the row numbers, from 0 and without the header, of the training subset in its order.
pub(crate) fn sample(args: &SampleArgs) -> Result<()> {
    // The tasks of labelled texts, and those that are prompts alone.
    let task: Task = match LabelledTask::resolve(&args.source.task) {
        Ok(task) => task.into(),
        Err(unknown) => PromptTask::resolve(&args.source.task)
            .map_err(|_| unknown)?
            .into(),
    };
    if args.source.changes.balanced || args.source.changes.metric.is_some() {
        bail!("--balanced and --metric do not change which rows are drawn: leave them out");
    }
    let task = task.with(&args.source.changes.to_changes())?;
    let folder = data_folder(&args.source, &task)?;
    check_share(&args.source, &folder)?;
    let (path, available) = match &task {
        Task::Prompted(task) => {
            let data = task.load(&folder, Split::Train)?;
            (data.path, data.examples.len())
        }
        Task::Labelled(task) => {
            let data = task.load(&folder, Split::Train, None)?;
            (data.path, data.examples.len())
        }
    };
    let size = train_size(&task, args.train_size, args.regime)?.unwrap_or(available);
    // As in training: a decoder's 1,000 are all where there are fewer.
    let size = match (&task, args.train_size) {
        (Task::Prompted(_), None) => size.min(available),
        (Task::Prompted(_), Some(_)) | (Task::Labelled(_), _) => size,
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
    write_now(rows.as_bytes());
    Ok(())
}
