//! Step times on this machine's GPUs beside PyTorch's, in one run and one table.

use std::process::Command;

use beft::parse_device;
use beft_nn::Precision;
use beft_parity::{Shape, matmul_peak, step_seconds};
use clap::Args;
use serde_json::Value;

/// Measured in the same run on the same machine; part of the program, so that it can be carried.
const PYTORCH: &str = include_str!("../../../benchmarks/pytorch_step.py");

#[derive(Args)]
pub(crate) struct GpuArgs {
    /// Devices [default: cuda, vulkan and tch:cuda, as far as they are there]
    #[arg(long = "device", value_name = "DEVICE")]
    devices: Vec<String>,
    /// Time the steps alone, and leave the comparison with transformers out. It takes minutes where kernels are compiled.
    #[arg(long)]
    pub(crate) no_check: bool,
    /// Model shapes: base, large, tiny (BERT), opt-1.3b, opt-tiny.
    #[arg(long, value_delimiter = ',', default_value = "base,large,opt-1.3b")]
    shapes: Vec<String>,
    /// Timed steps, after 5 to warm up.
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Edge of the matrices that the peak is measured with.
    #[arg(long, default_value_t = 8192)]
    matmul_size: usize,
    /// Python with torch and transformers, for the comparison; none leaves it out.
    #[arg(long, default_value = "python3")]
    python: String,
    /// PyTorch's device.
    #[arg(long, default_value = "cuda")]
    torch_device: String,
}

impl GpuArgs {
    /// The devices to use.
    pub(crate) fn devices(&self) -> Vec<String> {
        if !self.devices.is_empty() {
            return self.devices.clone();
        }
        ["cuda", "vulkan", "tch:cuda"]
            .into_iter()
            .filter(|name| parse_device(name).is_ok())
            .map(str::to_owned)
            .collect()
    }
}

/// One measured step time.
struct Row {
    what: String,
    shape: String,
    precision: String,
    seconds: Result<f64, String>,
}

/// What was measured.
#[derive(Default)]
struct Measured {
    rows: Vec<Row>,
    /// Per precision, the largest matrix throughput that anything reached.
    peaks: Vec<(String, f64)>,
}

/// Times everything and prints the table.
pub(crate) fn time(args: &GpuArgs) -> Result<(), Box<dyn std::error::Error>> {
    let shapes: Vec<&Shape> = args
        .shapes
        .iter()
        .map(|name| {
            let known = Shape::ALL.iter().find(|shape| shape.name == name);
            known.ok_or_else(|| {
                format!("unknown shape `{name}`: base, large, tiny, opt-1.3b or opt-tiny")
            })
        })
        .collect::<Result<_, _>>()?;
    let mut measured = Measured::default();
    if args.python != "none" {
        pytorch(args, &mut measured);
    }
    for name in args.devices() {
        let device = parse_device(&name)?;
        for precision in [Precision::F32, Precision::Bf16] {
            if !device.supports_dtype(precision.dtype()) {
                continue;
            }
            let peak = matmul_peak(args.matmul_size, precision, &device)?;
            measured.peak(&precision.to_string(), peak);
            for shape in &shapes {
                measured.rows.push(Row {
                    what: format!("beft {name}"),
                    shape: shape.name.to_owned(),
                    precision: precision.to_string(),
                    seconds: Ok(step_seconds(shape, precision, args.steps, &device)?),
                });
            }
        }
    }
    measured.print(&shapes);
    Ok(())
}

/// Runs the PyTorch script; without torch the table goes without.
fn pytorch(args: &GpuArgs, measured: &mut Measured) {
    let output = Command::new(&args.python)
        .args(["-c", PYTORCH, "--device", &args.torch_device])
        .args(["--shapes", &args.shapes.join(",")])
        .args(["--steps", &args.steps.to_string()])
        .args(["--matmul-size", &args.matmul_size.to_string()])
        .output();
    let output = match output {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            eprintln!(
                "PyTorch left out: {}",
                text.lines().last().unwrap_or_default()
            );
            return;
        }
        Err(error) => {
            eprintln!("PyTorch left out: cannot start {}: {error}", args.python);
            return;
        }
    };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(row) = serde_json::from_str::<Value>(line) else {
            continue;
        };
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        if text("what") == "matmul" {
            measured.peak(&text("precision"), row["flops"].as_f64().unwrap_or(0.0));
            continue;
        }
        measured.rows.push(Row {
            what: format!("PyTorch {}", text("what")),
            shape: text("shape"),
            precision: text("precision"),
            seconds: row["seconds"].as_f64().ok_or_else(|| text("error")),
        });
    }
}

impl Measured {
    fn peak(&mut self, precision: &str, flops: f64) {
        match self.peaks.iter_mut().find(|(name, _)| name == precision) {
            Some((_, peak)) => *peak = peak.max(flops),
            None => self.peaks.push((precision.to_owned(), flops)),
        }
    }

    /// Seconds of PyTorch for the same shape and precision.
    fn reference(&self, row: &Row, what: &str) -> Option<f64> {
        let same = |other: &&Row| {
            other.what == what && other.shape == row.shape && other.precision == row.precision
        };
        self.rows.iter().find(same)?.seconds.clone().ok()
    }

    fn print(&self, shapes: &[&Shape]) {
        for (precision, peak) in &self.peaks {
            println!(
                "Matrix peak measured, {precision}: {:.2} TFLOP/s",
                peak / 1e12
            );
        }
        println!(
            "\n| shape | precision | what | ms a step | of eager's time | of compile's | of matrix peak |"
        );
        println!("|---|---|---|---:|---:|---:|---:|");
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by(|a, b| {
            (&a.shape, &b.precision, &a.what).cmp(&(&b.shape, &a.precision, &b.what))
        });
        for row in rows {
            let seconds = match &row.seconds {
                Ok(seconds) => *seconds,
                Err(why) => {
                    println!(
                        "| {} | {} | {} | {why} | | | |",
                        row.shape, row.precision, row.what
                    );
                    continue;
                }
            };
            let ratio = |what: &str| {
                let reference = self.reference(row, what);
                reference.map_or(String::new(), |r| format!("{:.2}", seconds / r))
            };
            let peak = self.peaks.iter().find(|(name, _)| *name == row.precision);
            let shape = shapes.iter().find(|shape| shape.name == row.shape);
            let share = peak.zip(shape).map_or(String::new(), |((_, peak), shape)| {
                format!("{:.0} %", 100.0 * shape.flops() / seconds / peak)
            });
            println!(
                "| {} | {} | {} | {:.2} | {} | {} | {share} |",
                row.shape,
                row.precision,
                row.what,
                1e3 * seconds,
                ratio("PyTorch eager"),
                ratio("PyTorch compile"),
            );
        }
    }
}
