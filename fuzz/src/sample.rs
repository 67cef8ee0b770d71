use std::fs;
use std::path::Path;

use crate::mutate::mutate;
use crate::{Choices, Format};

/// Files that a reader takes as they are, one of which is changed.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    files: Vec<(String, Vec<u8>)>,
    changed: Option<(String, Format)>,
}

impl Sample {
    /// The files of a folder, and those in its folders that `under` names.
    pub(crate) fn folder(dir: &Path) -> Self {
        let mut files = Vec::new();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // What tests compare with.
            let skipped = name.starts_with("expected") || name == "head-ranking.safetensors";
            if !skipped && let Ok(content) = fs::read(entry.path()) {
                files.push((name, content));
            }
        }
        files.sort();
        Self {
            files,
            changed: None,
        }
    }

    /// With a file more, or another content of one.
    #[must_use]
    pub fn with(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.retain(|(known, _)| known != name);
        self.files.push((name.to_owned(), content.into()));
        self
    }

    /// With the files of another sample in a folder.
    pub(crate) fn nested(mut self, folder: &str, other: &Self) -> Self {
        for (name, content) in &other.files {
            self = self.with(&format!("{folder}/{name}"), content.clone());
        }
        self
    }

    /// Without a file.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.files.retain(|(known, _)| known != name);
        self
    }

    /// The same with the file that is changed.
    pub(crate) fn changing(mut self, name: &str, format: Format) -> Self {
        self.changed = Some((name.to_owned(), format));
        self
    }

    /// The names of the files.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    /// The content of a file.
    pub(crate) fn content(&self, name: &str) -> &[u8] {
        let found = self.files.iter().find(|(known, _)| known == name);
        found.map_or(&[], |(_, content)| content)
    }

    /// The document in a file, if it is one.
    pub fn json(&self, name: &str) -> Option<serde_json::Value> {
        serde_json::from_slice(self.content(name)).ok()
    }

    /// The file that is changed, and its content after the changes that the choices make.
    pub(crate) fn mutated(&self, choices: &mut Choices<'_>) -> (String, Vec<u8>) {
        let (name, format) = self.changed.clone().unwrap_or_default();
        let content = mutate(self.content(&name), format, choices);
        (name, content)
    }

    /// The file that is changed.
    pub(crate) fn changed(&self) -> &str {
        self.changed.as_ref().map_or("", |(name, _)| name)
    }

    /// The bytes of all files.
    pub(crate) fn size(&self) -> usize {
        self.files.iter().map(|(_, content)| content.len()).sum()
    }

    /// Writes all files to a folder.
    pub(crate) fn write(&self, dir: &Path) -> std::io::Result<()> {
        for (name, content) in &self.files {
            let path = dir.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, content)?;
        }
        Ok(())
    }
}
