//! Runs the parity suite on devices (`beft-parity check --device flex --device tch:cuda:0`), and on
//! a machine with a GPU the timings beside PyTorch (`beft-parity gpu`).

mod gpu;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use beft::{BACKENDS, parse_device, supported_dtypes};
use beft_fixtures::Fixtures;
use beft_nn::Precision;
use beft_parity::{ParityError, Subject, Tolerance};
use clap::{Args, Parser, Subcommand};

/// Parity of beft with Hugging Face transformers, and its speed beside PyTorch.
#[derive(Parser)]
#[command(name = "beft-parity", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Do,
}

#[derive(Subcommand)]
enum Do {
    /// Compare results with transformers, device by device.
    Check(CheckArgs),
    /// On a machine with a GPU: the same comparison on it, then step times beside PyTorch's.
    Gpu(gpu::GpuArgs),
}

#[derive(Args)]
struct CheckArgs {
    /// Devices [default: every device of this program that is on this machine]
    #[arg(long = "device", value_name = "DEVICE")]
    devices: Vec<String>,
    /// Folder with the real MiniLM and its expected tensors, compared too where it is.
    #[arg(long, value_name = "DIR", default_value = "models")]
    models: PathBuf,
    /// Print every comparison, not the failed ones alone.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Do::Check(args) => check_all(&args),
        Do::Gpu(args) => gpu_check(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Parity on the GPUs of this machine, then the timings.
fn gpu_check(args: &gpu::GpuArgs) -> Result<bool, Box<dyn std::error::Error>> {
    let devices = args.devices();
    if devices.is_empty() {
        return Err("no GPU was found that this program was built for".into());
    }
    let mut good = true;
    if !args.no_check {
        good = check_all(&CheckArgs {
            devices,
            models: PathBuf::new(),
            verbose: false,
        })?;
        println!();
    }
    gpu::time(args)?;
    Ok(good)
}

/// Whether everything was within its tolerance.
fn check_all(args: &CheckArgs) -> Result<bool, Box<dyn std::error::Error>> {
    let fixtures = Fixtures::unpack()?;
    let mut subjects = Subject::committed(&fixtures);
    subjects.extend(Subject::minilm(&args.models));
    let devices = match args.devices.as_slice() {
        [] => BACKENDS
            .iter()
            .filter_map(|backend| Some(backend.devices()?.into_iter().next()?.name))
            .collect(),
        given => given.to_vec(),
    };
    println!("| device | precision | model | comparisons | worst error | allowed | seconds | |");
    println!("|---|---|---|---|---|---|---|---|");
    let mut good = true;
    for name in &devices {
        let device = parse_device(name)?;
        for precision in [Precision::F32, Precision::Bf16] {
            if !device.supports_dtype(precision.dtype()) {
                let has = supported_dtypes(&device).join(" ");
                println!("| {name} | {precision} | | | | | | not supported: {has} |");
                continue;
            }
            for subject in &subjects {
                good &= check(name, precision, subject, args.verbose)?;
            }
        }
    }
    Ok(good)
}

/// Prints a row and what failed.
fn check(
    name: &str,
    precision: Precision,
    subject: &Subject,
    verbose: bool,
) -> Result<bool, Box<dyn std::error::Error>> {
    let device = parse_device(name)?;
    let tolerance = Tolerance::of(name, precision);
    let begin = Instant::now();
    let report = subject
        .check(&device, &tolerance)
        .map_err(|e: ParityError| format!("{name}: {e}"))?;
    let failed = report.failed().count();
    let (worst, allowed) = report.worst(&tolerance);
    println!(
        "| {name} | {precision} | {} | {} | {:.1e} | {:.0e} | {:.1} | {} |",
        report.model,
        report.checks.len(),
        worst,
        allowed,
        begin.elapsed().as_secs_f64(),
        if failed == 0 {
            "passes".to_owned()
        } else {
            format!("{failed} FAILED")
        }
    );
    for check in report.checks.iter().filter(|c| verbose || !c.passes()) {
        eprintln!(
            "  {} {name} {precision} {}: error {:.2e}, allowed {:.0e}",
            if check.passes() { "ok    " } else { "FAILED" },
            check.name,
            check.error,
            check.tolerance
        );
    }
    Ok(failed == 0)
}
