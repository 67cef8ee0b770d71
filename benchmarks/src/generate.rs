use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use beft::{Base, parse_device};
use beft_decoder::{DecoderForCausalLM, GenerateOptions, Generating};
use beft_nn::param_shapes;
use clap::Args;
use rayon::prelude::*;
use serde_json::json;

use crate::read_json;

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Model folder.
    #[arg(long)]
    model: String,
    /// What to compute on.
    #[arg(long, default_value = "flex")]
    device: String,
    /// A JSON file: a list of token ids for each prompt.
    #[arg(long)]
    prompts: PathBuf,
    /// New tokens of each prompt.
    #[arg(long)]
    tokens: usize,
    /// How often; the fastest counts.
    #[arg(long, default_value_t = 2)]
    rounds: usize,
}

/// Prints the new tokens of each prompt and the seconds of the fastest round, without loading. `share` is that of the
/// memory's speed: the bytes of all weights that each step reads, over the time of a step.
pub(crate) fn run(args: &GenerateArgs) -> Result<()> {
    let prompts: Vec<Vec<u32>> = read_json(&args.prompts)?;
    let base = Base::open(&args.model, None, &parse_device(&args.device)?)?;
    let (model, _) = base.model(0, 0)?;
    let model = model.into_generator().context("the model is no decoder")?;
    let options = GenerateOptions {
        max_new_tokens: args.tokens,
        ..GenerateOptions::default()
    };
    let weights = step_bytes(&model);
    base.release();
    let begin = Instant::now();
    let mut generating = Generating::new(model);
    let pack = begin.elapsed().as_secs_f64();
    let mut fastest = f64::INFINITY;
    let mut texts = Vec::new();
    for _ in 0..args.rounds {
        let begin = Instant::now();
        texts = generating.texts(&prompts, &options, &mut |_, _| ())?;
        fastest = fastest.min(begin.elapsed().as_secs_f64());
    }
    let speed = memory_speed();
    let result = json!({
        "seconds": fastest,
        "pack_seconds": pack,
        "memory_bytes_per_second": speed,
        "share": weights * args.tokens as f64 / fastest / speed,
        "tokens": texts,
    });
    println!("{result}");
    Ok(())
}

/// Bytes of the weights that a step reads, whatever the number of its texts.
fn step_bytes(model: &DecoderForCausalLM) -> f64 {
    let head = match model.head {
        Some(_) => "head",
        None => "decoder.tokens",
    };
    let read = param_shapes(model).into_iter().filter(|(path, shape)| {
        shape.len() == 2 && (path.layer().is_some() || path.as_str() == head)
    });
    let values = read.map(|(_, shape)| shape.iter().product::<usize>());
    (values.sum::<usize>() * size_of::<f32>()) as f64
}

/// Bytes that all cores together read in a second from memory that no cache holds.
fn memory_speed() -> f64 {
    let values = vec![1.0_f32; 1 << 28];
    let mut fastest = f64::INFINITY;
    for _ in 0..5 {
        let begin = Instant::now();
        let sum: f32 = values
            .par_chunks(1 << 20)
            .map(|chunk| {
                // Independent sums, which the compiler keeps in vector registers.
                let mut sums = [0.0_f32; 64];
                for part in chunk.chunks_exact(sums.len()) {
                    sums.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
                }
                sums.iter().sum::<f32>()
            })
            .sum();
        std::hint::black_box(sum);
        fastest = fastest.min(begin.elapsed().as_secs_f64());
    }
    size_of_val(values.as_slice()) as f64 / fastest
}
