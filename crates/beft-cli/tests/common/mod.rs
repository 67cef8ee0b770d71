//! A scratch folder with a tiny model and a tiny data set, and the `beft` command in it.

// Not every test uses all of it.
#![allow(dead_code)]

pub mod browser;
pub mod decoder;
pub mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Output, Stdio};
use std::time::{Duration, Instant};

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

    /// The same as a process that can be started and killed.
    pub fn process(&self, args: &[&str]) -> Process {
        let mut process = Process::new(env!("CARGO_BIN_EXE_beft"));
        process.current_dir(self.dir.path()).args(args);
        process
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_HOME", self.path("hf"));
        process
    }

    /// A line of a shell in the scratch folder, in which `beft` is the program.
    pub fn shell(&self, line: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_beft")).parent().unwrap();
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
        let mut shell = Process::new("sh");
        shell.args(["-c", line]).current_dir(self.dir.path());
        shell
            .env("PATH", path)
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_HOME", self.path("hf"));
        shell.output().unwrap()
    }

    /// The same, started, without anybody who reads what it says.
    pub fn start(&self, args: &[&str]) -> Child {
        let mut process = self.process(args);
        let process = process.stdout(Stdio::null()).stderr(Stdio::null());
        process.spawn().unwrap()
    }

    /// Waits until a file is there, or so many seconds.
    pub fn wait_for(&self, name: &str, seconds: u64) {
        let end = Instant::now() + Duration::from_secs(seconds);
        while !self.path(name).exists() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What a comparison says, without the time at which it was written.
    pub fn tables(&self, out: &str) -> Vec<String> {
        let files = ["compare.md", "compare.csv", "compare.json"];
        files.map(|file| self.read(&format!("{out}/{file}"))).into()
    }

    /// The paths of all files below a folder.
    pub fn files(&self, folder: &str) -> Vec<String> {
        let mut found = Vec::new();
        for name in self.list(folder) {
            let path = format!("{folder}/{name}");
            match self.path(&path).is_dir() {
                true => found.extend(self.files(&path)),
                false => found.push(path),
            }
        }
        found
    }

    /// Waits until there is a file in the folder of a comparison's trainings whose name is such.
    pub fn wait_for_cell(&self, out: &str, is_such: impl Fn(&String) -> bool) {
        let folder = format!("{out}/cells");
        wait_until("no such file", || {
            self.path(&folder).is_dir() && self.list(&folder).iter().any(&is_such)
        });
    }

    /// Files of finished trainings in the output folder of a comparison or sweep, sorted.
    pub fn cells(&self, out: &str) -> Vec<String> {
        let mut files = self.list(&format!("{out}/cells"));
        files.retain(|name| is_cell(name));
        files
    }

    /// The bytes of the adapter's tensors in an output folder.
    pub fn weights(&self, out: &str) -> Vec<u8> {
        fs::read(self.path(&format!("{out}/adapter/adapter_model.safetensors"))).unwrap()
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

/// The model and the data of a [`Scratch`], as options.
pub const DATA: [&str; 6] = ["--model", "model", "--task", "text", "--data", "data"];

/// A comparison of the model on the data of a [`Scratch`].
pub const COMPARE: [&str; 5] = ["compare", "--model", "model", "--task", "text=data"];

/// Waits up to two minutes until something is so.
pub fn wait_until(what: &str, mut is_there: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_there() {
        assert!(begin.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(5));
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

/// Whether a file in the folder of a comparison's trainings is of a finished one.
pub fn is_cell(name: &str) -> bool {
    name.ends_with(".json") && name != "plan.json"
}

/// The largest difference of two adapters' values. Their headers are the same.
pub fn worst(a: &[u8], b: &[u8]) -> f32 {
    assert_eq!(a.len(), b.len());
    let header = 8 + u64::from_le_bytes(a[..8].try_into().unwrap()) as usize;
    assert_eq!(a[..header], b[..header]);
    let values = |bytes: &[u8]| -> Vec<f32> {
        let chunks = bytes[header..].as_chunks::<4>().0.iter();
        chunks.map(|bytes| f32::from_le_bytes(*bytes)).collect()
    };
    let pairs = values(a).into_iter().zip(values(b));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
