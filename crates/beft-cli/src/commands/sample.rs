use std::io::{ErrorKind, Write, stdout};

use anyhow::{Context, Result, bail};
use beft::tasks::{Split, Task, training_subset};

use super::{data_folder, train_size};
use crate::args::SampleArgs;

/// Prints the row numbers, from 0 and without the header, of the training subset in its order.
pub(crate) fn sample(args: &SampleArgs) -> Result<()> {
    let task = Task::resolve(&args.source.task)?;
    let folder = data_folder(&args.source, &task)?;
    let data = task.load(&folder, Split::Train, None)?;
    let available = data.examples.len();
    let size = train_size(&task, args.train_size, args.regime)?.unwrap_or(available);
    if size > available {
        bail!(
            "{size} examples do not fit {}: it has {available}",
            data.path.display()
        );
    }
    let rows: String = training_subset(args.seed, available, size)
        .into_iter()
        .map(|row| format!("{row}\n"))
        .collect();
    match stdout().lock().write_all(rows.as_bytes()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot write to standard output"),
    }
}
