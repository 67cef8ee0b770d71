//! For how long each target was tried, on all machines together.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use toml::{Table, Value};

const HEAD: &str =
    "# For how long `cargo xtask fuzz` tried each target with new inputs, and with how many.\n";

/// The record in `fuzz/tried.toml`.
pub(super) struct Tried {
    path: PathBuf,
    targets: Table,
}

/// What was done for a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// Seconds of one core, without those in which known inputs are read again.
    pub(super) seconds: u64,
    /// New inputs that were tried.
    pub(super) inputs: u64,
}

impl Tried {
    /// The record, which is empty without the file.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = root.join("fuzz/tried.toml");
        let text = match path.exists() {
            true => fs::read_to_string(&path).with_context(|| path.display().to_string())?,
            false => String::new(),
        };
        let targets = text.parse().with_context(|| path.display().to_string())?;
        Ok(Self { path, targets })
    }

    pub(super) fn of(&self, name: &str) -> Turn {
        let number = |key: &str| {
            let found = self.targets.get(name).and_then(|target| target.get(key));
            found
                .and_then(Value::as_integer)
                .unwrap_or(0)
                .cast_unsigned()
        };
        Turn {
            seconds: number("seconds"),
            inputs: number("inputs"),
        }
    }

    /// Adds a turn, and writes the record.
    pub(super) fn add(&mut self, name: &str, turn: Turn) -> Result<Turn> {
        let before = self.of(name);
        let now = Turn {
            seconds: before.seconds + turn.seconds,
            inputs: before.inputs + turn.inputs,
        };
        let integer = |number: u64| Value::Integer(number.cast_signed());
        let entry = [("seconds", now.seconds), ("inputs", now.inputs)];
        let entry = entry.map(|(key, number)| (key.to_owned(), integer(number)));
        let entry = Value::Table(entry.into_iter().collect());
        self.targets.insert(name.to_owned(), entry);
        let mut text = HEAD.to_owned();
        for name in self.targets.keys() {
            let Turn { seconds, inputs } = self.of(name);
            text += &format!("{name} = {{ seconds = {seconds}, inputs = {inputs} }}\n");
        }
        fs::write(&self.path, text).with_context(|| self.path.display().to_string())?;
        Ok(now)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn turns_add_up_in_the_file() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("fuzz")).unwrap();
        let turn = |seconds, inputs| Turn { seconds, inputs };
        let mut tried = Tried::read(root.path()).unwrap();
        assert_eq!(tried.of("tsv"), turn(0, 0));
        tried.add("tsv", turn(60, 1000)).unwrap();
        tried.add("csv", turn(30, 7)).unwrap();
        let mut tried = Tried::read(root.path()).unwrap();
        assert_eq!(tried.add("tsv", turn(60, 500)).unwrap(), turn(120, 1500));
        let text = fs::read_to_string(root.path().join("fuzz/tried.toml")).unwrap();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "csv = { seconds = 30, inputs = 7 }",
                "tsv = { seconds = 120, inputs = 1500 }"
            ]
        );
    }
}
