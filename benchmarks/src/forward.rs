use std::time::Instant;

use anyhow::{Result, bail};
use beft::{Base, Model, parse_device};
use beft_core::Encoding;
use beft_nn::{Batch, Packing, Padding, TaskModel};
use burn::tensor::{Device, Distribution, Tensor};
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
pub(crate) struct ForwardArgs {
    /// Model folder.
    #[arg(long)]
    model: String,
    /// What to compute on.
    #[arg(long, default_value = "flex")]
    device: String,
    /// Inputs of a batch; 20 of 32 tokens are as many rows as evaluation takes at a time.
    #[arg(long, default_value_t = 20)]
    batch_size: usize,
    /// Tokens of an input.
    #[arg(long, default_value_t = 32)]
    length: usize,
    /// Passes; the fastest counts.
    #[arg(long, default_value_t = 10)]
    repeats: usize,
}

/// Prints the operations a second of the frozen forward pass and of a large matrix product, and
/// their ratio.
pub(crate) fn run(args: &ForwardArgs) -> Result<()> {
    let device = parse_device(&args.device)?;
    let base = Base::open(&args.model, Some(args.length), &device)?;
    let (Model::Encoder(model), _) = base.model(2, 0)? else {
        bail!("{} is no encoder", args.model);
    };
    // As it is for predictions.
    let model = model.packed(Packing::F32);
    let words = base.config().vocab_size() as u32;
    let encoding = Encoding {
        ids: (0..args.length as u32).map(|i| i % words).collect(),
        type_ids: vec![0; args.length],
        ..Encoding::default()
    };
    let encodings = vec![encoding; args.batch_size];
    let batch = Batch::new(&encodings, Padding::Packed, &device);
    let seconds = fastest(args.repeats, &device, || {
        model.forward(&batch).into_data();
    })?;
    let layer = &model.encoder.layers[0];
    let [hidden, wide] = layer.intermediate.dims();
    let flops = operations(
        base.config().num_layers(),
        hidden,
        wide,
        args.batch_size,
        args.length,
    );

    let size = 1024;
    let random = || Tensor::<2>::random([size, size], Distribution::Default, &device);
    let (a, b) = (random(), random());
    let product = fastest(20, &device, || {
        a.clone().matmul(b.clone()).into_data();
    })?;
    let peak = 2.0 * (size as f64).powi(3) / product;
    let result = json!({
        "forward_seconds": seconds,
        "forward_flops": flops / seconds,
        "matmul_flops": peak,
        "share": flops / seconds / peak,
    });
    println!("{result}");
    Ok(())
}

/// Multiplications and additions of the matrix products of a forward pass; the last layer's part
/// behind the keys and values is computed for the first tokens alone.
fn operations(layers: usize, hidden: usize, wide: usize, batch: usize, length: usize) -> f64 {
    let [layers, hidden, wide, batch, length] =
        [layers, hidden, wide, batch, length].map(|n| n as f64);
    let rows = batch * length;
    let keys_values = 2.0 * rows * hidden * hidden;
    let rest =
        |rows: f64| rows * (2.0 * hidden * hidden + 2.0 * hidden * wide + 2.0 * length * hidden);
    2.0 * (layers * keys_values + (layers - 1.0) * rest(rows) + rest(batch))
}

fn fastest(repeats: usize, device: &Device, mut work: impl FnMut()) -> Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..repeats + 2 {
        let begin = Instant::now();
        work();
        device
            .sync()
            .map_err(|e| anyhow::anyhow!("the device failed: {e:?}"))?;
        best = best.min(begin.elapsed().as_secs_f64());
    }
    Ok(best)
}
