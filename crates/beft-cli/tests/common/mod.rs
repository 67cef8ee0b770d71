//! A scratch folder with a tiny model and a tiny data set, and the `beft` command in it.

// Not every test uses all of it.
#![allow(dead_code)]

pub mod decoder;
pub mod server;

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use tempfile::TempDir;

pub struct Scratch {
    dir: TempDir,
}

impl Scratch {
    /// `model/` is the parity suite's random BERT, `data/` a few labelled sentences.
    pub fn new() -> Self {
        let scratch = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        beft_fixtures::copy_model("bert-tiny", &scratch.path("model")).unwrap();
        scratch.write("data/train.tsv", &table("text\tlabel", 24));
        scratch.write("data/dev.tsv", &table("text\tlabel", 9));
        scratch
    }

    /// Takes the classification head out of `model/`.
    pub fn remove_head(&self) {
        let path = self.path("model/model.safetensors");
        let bytes = fs::read(&path).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let rest = tensors
            .iter()
            .filter(|(name, _)| !name.starts_with("classifier."));
        fs::write(&path, safetensors::serialize(rest, None).unwrap()).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Names in a folder, sorted.
    pub fn list(&self, name: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(name))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// `beft` with these arguments, in the scratch folder.
    pub fn beft(&self, args: &[&str]) -> Command {
        let mut command = Command::cargo_bin("beft").unwrap();
        command.current_dir(self.dir.path()).args(args);
        // No test asks the network, or finds what this machine's user has.
        command
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_HOME", self.path("hf"));
        command
    }

    /// `beft tune` on model and data with two short epochs, writing to `out`.
    pub fn tune(&self, more: &[&str]) -> Command {
        let mut command = self.beft(&["tune", "--model", "model", "--task", "text"]);
        command
            .args(["--data", "data", "--epochs", "2", "--out", "out"])
            .args(more);
        command
    }
}

/// Three classes by first word; the fixture's checkpoint has a head for three.
fn table(header: &str, rows: usize) -> String {
    let mut text = format!("{header}\n");
    for row in 0..rows {
        let (word, label) = [("good", "a"), ("bad", "b"), ("the", "c")][row % 3];
        text += &format!("{word} film number {row}\t{label}\n");
    }
    text
}

/// Runs `beft`, which must succeed, and returns its output and its messages.
pub fn run(scratch: &Scratch, args: &[&str]) -> (String, String) {
    let output = scratch.beft(args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {said}");
    (String::from_utf8(output.stdout).unwrap(), said)
}

/// Runs `beft`, which must refuse, and returns its messages.
pub fn refusal(scratch: &Scratch, args: &[&str]) -> String {
    let output = scratch.beft(args).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    said
}

/// Runs `beft`, which must refuse with a message that has this part.
pub fn refused(scratch: &Scratch, args: &[&str], part: &str) {
    let said = refusal(scratch, args);
    assert!(said.contains(part), "`{part}` is not in: {said}");
}

/// Runs `tune` and returns its message, having checked that it failed as every command must and
/// left no output.
pub fn message(scratch: &Scratch, more: &[&str]) -> String {
    let output = scratch.tune(more).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let out = scratch.path("out");
    assert!(!out.exists(), "left behind: {}", out.display());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    let errors: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{text}");
    text
}

pub fn assert_says(scratch: &Scratch, more: &[&str], parts: &[&str]) {
    let text = message(scratch, more);
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}
