//! Hostile files for every reader of `beft`.
//!
//! A [`Target`] is a reader: what it is given, and the public calls that read it. `cargo fuzz run NAME` tries inputs without
//! end (`docs/CONTRIBUTING.md`); the test of this crate tries a few hundred of each.
//!
//! An input is the content of the target's first file, or a recipe, which begins with [`RECIPE`]: the choices by which a
//! file that is in order is changed ([`Choices`]). So a fuzzer gets past the first check of a format.

mod choices;
mod mutate;
mod sample;
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use beft_core::is_guarded;

pub use choices::Choices;
pub use sample::Sample;
pub use targets::TARGETS;

/// The first byte of an input that is a recipe.
pub const RECIPE: u8 = 0xff;

/// Bytes of the stack that a thread has if nobody says otherwise.
const STACK: usize = 2 << 20;

/// What a file is changed as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A JSON document.
    Json,
    /// A JSON document in each line.
    JsonLines,
    /// A table or settings.
    Text,
    /// Tensors with a header that is JSON.
    Safetensors,
    /// A ZIP archive whose entries are not compressed.
    Zip,
    /// Anything else.
    #[default]
    Binary,
}

/// A reader.
#[derive(Debug)]
pub struct Target {
    /// Its name, for `cargo fuzz run`.
    pub name: &'static str,
    /// Files that it takes. An input that is no recipe is the changed file of the first.
    pub samples: fn() -> Vec<Sample>,
    /// Reads what is in the first folder, and may write to the second. A refusal is an error, in words.
    pub read: fn(&Path, &Path) -> Result<(), String>,
}

/// A file to try a reader with.
#[derive(Debug)]
pub struct Case {
    sample: Sample,
}

impl Case {
    /// What an input stands for, among the samples of a target.
    pub fn new(samples: &[Sample], input: &[u8]) -> Self {
        let (sample, name, content) = match input {
            [RECIPE, recipe @ ..] => {
                let mut choices = Choices::new(recipe);
                let sample = choices.of(samples).clone();
                let (name, content) = sample.mutated(&mut choices);
                (sample, name, content)
            }
            raw => (
                samples[0].clone(),
                samples[0].changed().to_owned(),
                raw.to_vec(),
            ),
        };
        Self {
            sample: sample.with(&name, content),
        }
    }

    /// The files as they are.
    pub fn unchanged(sample: &Sample) -> Self {
        Self {
            sample: sample.clone(),
        }
    }

    /// The bytes of all files that the reader is given.
    pub fn size(&self) -> usize {
        self.sample.size()
    }

    /// Lets the reader read it. What it refuses is fine.
    ///
    /// # Panics
    ///
    /// When the reader panics, or writes where it may not, or refuses without words.
    pub fn read(&self, target: &Target) -> Result<(), String> {
        let dir = scratch();
        let (given, out) = (dir.path().join("in"), dir.path().join("out"));
        fs::create_dir(&given).expect("a folder");
        self.sample.write(&given).expect("files");
        let result = catch_unwind(AssertUnwindSafe(|| (target.read)(&given, &out)));
        let result = result.unwrap_or_else(|_| panic!("{} panicked", target.name));
        let mut names: Vec<_> = { fs::read_dir(dir.path()).into_iter().flatten().flatten() }
            .map(|entry| entry.file_name())
            .collect();
        names.retain(|name| name != "in" && name != "out");
        assert!(names.is_empty(), "{} wrote {names:?}", target.name);
        if let Err(message) = &result {
            assert!(!message.trim().is_empty(), "{}: no words", target.name);
        }
        result
    }
}

/// A folder in memory, where the system has such.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = match memory.is_dir() {
        true => tempfile::tempdir_in(memory),
        false => tempfile::tempdir(),
    };
    made.expect("a temporary folder")
}

/// The target of this name.
///
/// # Panics
///
/// When there is none.
pub fn target(name: &str) -> &'static Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("no target `{name}`"))
}

/// Tries an input, for `cargo fuzz`: what goes wrong ends the process.
pub fn fuzz(name: &str, input: &[u8]) {
    use std::sync::OnceLock;
    static KNOWN: OnceLock<(&'static Target, Vec<Sample>)> = OnceLock::new();
    let (target, samples) = KNOWN.get_or_init(|| {
        // In place of libFuzzer's, which ends the process for a panic that the reader catches.
        let usual = std::panic::take_hook();
        drop(usual);
        std::panic::set_hook(Box::new(|info| {
            if !is_guarded() {
                eprintln!("{info}");
            }
        }));
        let target = target(name);
        (target, (target.samples)())
    });
    // With the stack of a thread: most readers may run in one, and a program's first thread has four times as much.
    let tried = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let reading = thread.spawn_scoped(scope, || Case::new(samples, input).read(target));
        reading.expect("a thread").join()
    });
    if tried.is_err() {
        std::process::abort();
    }
}
