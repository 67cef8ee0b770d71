use std::path::{Path, PathBuf};

use beft_checkpoint::ModelDir;
use beft_hub::{Hub, Progress};
use beft_tasks::{Split, Task};

use crate::Error;

/// Finds a model: a folder of that path, else a complete snapshot in the Hugging Face cache, else a
/// download into it (`HF_HOME`, `HF_HUB_CACHE`, `HF_HUB_OFFLINE`, `HF_ENDPOINT` and `HF_TOKEN` are
/// honoured). `progress` hears of what is downloaded.
///
/// # Errors
///
/// When there is no such model, or it cannot be had or read.
pub fn find_model(name: &str, progress: &mut dyn FnMut(Progress<'_>)) -> Result<ModelDir, Error> {
    let path = Path::new(name);
    if path.is_dir() {
        return Ok(ModelDir::open(path)?);
    }
    let snapshot = Hub::from_env().model(name, progress);
    let snapshot = snapshot.map_err(|source| Error::NoModel {
        name: name.to_owned(),
        source,
    })?;
    Ok(ModelDir::open(&snapshot)?.named(name))
}

/// Finds a task's data in the Hugging Face cache, or downloads them into it: the folder with the
/// Parquet files of its train and dev splits, and of its test split where there is one.
///
/// # Errors
///
/// When the task names no data set on the hub, or it cannot be had.
pub fn find_data(task: &Task, progress: &mut dyn FnMut(Progress<'_>)) -> Result<PathBuf, Error> {
    let Some(hub) = &task.hub else {
        return Err(Error::NoHubData {
            task: task.name.clone(),
        });
    };
    let files = |splits: &[Split]| -> Vec<String> {
        splits.iter().filter_map(|s| task.hub_file(*s)).collect()
    };
    let needed: Vec<Split> = std::iter::once(Split::Train)
        .chain(task.dev_splits().iter().copied())
        .collect();
    let (needed, optional) = (files(&needed), files(task.test_splits()));
    let needed_refs: Vec<&str> = needed.iter().map(String::as_str).collect();
    let optional_refs: Vec<&str> = optional.iter().map(String::as_str).collect();
    let snapshot = Hub::from_env().dataset(&hub.repo, &needed_refs, &optional_refs, progress)?;
    Ok(snapshot.join(hub.config.as_deref().unwrap_or("data")))
}
