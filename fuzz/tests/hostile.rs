//! A few hundred hostile files for every reader: what the fuzzer found before, and changes that a fixed seed draws.

#![allow(clippy::unwrap_used)]

mod allocations;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use beft_fuzz::{Case, RECIPE, Sample, Target};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Inputs that are tried of each reader, beside those in the corpus.
const CASES: usize = 300;

/// For how many seconds each reader is tried with further inputs, others in each run.
const LONGER: &str = "BEFT_HOSTILE_SECONDS";

/// No reader takes longer.
const LONGEST: Duration = Duration::from_secs(5);

/// One allocation may be as large as all files of the input together, times this.
const FACTOR: usize = 4;

/// Whatever the input: tables of a tokenizer, threads' buffers, a page of an empty vector.
const ALWAYS: usize = 8 << 20;

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| fs::read(path).unwrap())
        .collect()
}

/// Tries a reader with everything, and says how many files it took.
fn try_all(name: &str) {
    let target = beft_fuzz::target(name);
    let samples = (target.samples)();
    // Once without a watch: what is built once is not the input's.
    let first = Case::unchanged(&samples[0]).read(target);
    assert_eq!(first, Ok(()), "{name} refuses a file that is in order");
    let mut problems = Vec::new();
    let mut takes = |input: &Vec<u8>| match problem(target, &samples, input) {
        Ok(taken) => taken,
        Err(reason) => {
            problems.push(format!("{}: {reason}", hex(input)));
            false
        }
    };
    let mut fixed = ChaCha8Rng::seed_from_u64(7);
    let drawn = (0..CASES).map(|_| recipe(&mut fixed));
    for input in &corpus(target) {
        takes(input);
    }
    let taken = drawn.filter(&mut takes).count();
    if let Ok(seconds) = std::env::var(LONGER) {
        let seconds = Duration::from_secs(seconds.parse().unwrap());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mut other = ChaCha8Rng::seed_from_u64(now.as_nanos() as u64);
        let began = Instant::now();
        let further = std::iter::repeat_with(|| recipe(&mut other));
        let further = further.take_while(|_| began.elapsed() < seconds);
        let further = further.map(|input| takes(&input));
        let tried = further.count();
        println!("{name}: {tried} further inputs");
    }
    assert!(
        problems.is_empty(),
        "{name}: {} problems\n{}",
        problems.len(),
        problems.join("\n")
    );
    // Changes that a reader does not mind, or minds all of, try nothing.
    assert!(
        (1..CASES).contains(&taken),
        "{name} took {taken} of {CASES} files"
    );
}

/// An input that says how to change a file that is in order.
fn recipe(draw: &mut ChaCha8Rng) -> Vec<u8> {
    let mut input = vec![0; 24];
    draw.fill_bytes(&mut input);
    input[0] = RECIPE;
    input
}

/// Whether the reader took the file, or what went wrong.
fn problem(target: &Target, samples: &[Sample], input: &[u8]) -> Result<bool, String> {
    let case = Case::new(samples, input);
    let largest = allocations::watch();
    let began = Instant::now();
    let read = catch_unwind(AssertUnwindSafe(|| case.read(target)));
    let (largest, time) = (largest.end(), began.elapsed());
    let Ok(read) = read else {
        return Err("a panic".to_owned());
    };
    if time > LONGEST {
        return Err(format!("{time:?}"));
    }
    if largest > FACTOR * case.size() + ALWAYS {
        return Err(format!(
            "an allocation of {largest} bytes for {} bytes of files",
            case.size()
        ));
    }
    Ok(read.is_ok())
}

fn hex(input: &[u8]) -> String {
    let shown = &input[..input.len().min(64)];
    shown.iter().map(|byte| format!("{byte:02x}")).collect()
}

macro_rules! readers {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            try_all(stringify!($name));
        })*

        #[test]
        fn every_reader_is_tried() {
            let names: Vec<&str> = beft_fuzz::TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
            for name in names {
                let program = format!("fuzz_targets/{name}.rs");
                let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(program);
                let text = fs::read_to_string(&path).unwrap();
                assert!(text.contains(&format!("fuzz(\"{name}\"")), "{}", path.display());
            }
        }
    };
}

readers! {
    safetensors shards pickle config tokenizer embedding adapter tsv csv jsonl json parquet conll task plan cell state request
}
