//! Pretrains the demo model from nothing, the same on every run: masked language modelling and
//! next-segment prediction, as BERT was, on the text that `beft_demo::corpus` generates.
//!
//! ```text
//! cargo run --release -p beft-demo --example pretrain -- [--steps N] [--out DIR]
//! ```
//!
//! Writes `config.json`, `model.safetensors` and `tokenizer.json` to `DIR`, by default the folder
//! `model` of this crate, whose files the library embeds.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use beft_checkpoint::Stored;
use beft_core::Encoding;
use beft_demo::corpus::Corpus;
use beft_demo::vocab::{SPECIAL, tokenizer_json, vocabulary};
use beft_encoder::{BertConfig, BertForMaskedLm, MASKED_LM_NAMES, SEQUENCE_CLASSIFICATION_NAMES};
use beft_nn::{Batch, Padding, map_params, read_params};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::grad_clipping::GradientClippingConfig;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::gelu;
use burn::tensor::module::{layer_norm, linear};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

const SEED: u64 = 2026;
const BATCH: usize = 32;
const PEAK_LEARNING_RATE: f64 = 1e-3;
const WARM_UP: f64 = 0.1;
/// Share of the tokens that the model has to guess.
const MASKED: f64 = 0.15;
// Ids of `SPECIAL`.
const CLS: u32 = 2;
const SEP: u32 = 3;
const MASK: u32 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let (steps, out) = arguments()?;
    let pieces = vocabulary();
    let config = config(pieces.len());
    let device = Device::flex().autodiff();
    // Dropout draws from the device; everything else from host generators.
    device.seed(SEED);
    let mut model = Pretraining::init(&config, &device);
    let mut optimizer = AdamWConfig::new()
        .with_weight_decay(0.01)
        .with_epsilon(1e-6)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
        .init();
    let mut source = Source::new(&pieces, SEED);
    let held_out: Vec<Sample> = {
        let mut source = Source::new(&pieces, SEED + 1);
        (0..8)
            .map(|_| source.sample(env("BATCH", 32.0) as usize, device.clone().inner()))
            .collect()
    };

    let start = Instant::now();
    for step in 0..steps {
        let sample = source.sample(env("BATCH", 32.0) as usize, device.clone());
        let (scores, pair_scores) = model.forward(&sample);
        let loss = cross_entropy(scores, &sample.targets)
            + cross_entropy(pair_scores, &sample.continues) * env("PW", 1.0);
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(learning_rate(step, steps), model, gradients);
        if (step + 1) % 100 == 0 || step + 1 == steps {
            let report = evaluate(&model.valid(), &held_out);
            println!("step {:5}  {report}  {:.0?}", step + 1, start.elapsed());
        }
    }
    write(&model.valid(), &config, &out)?;
    println!("wrote {}", out.display());
    Ok(())
}

fn arguments() -> Result<(usize, PathBuf), Box<dyn Error>> {
    let mut steps = 2000;
    let mut out = Path::new(env!("CARGO_MANIFEST_DIR")).join("model");
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--steps" => steps = value.parse()?,
            "--out" => out = value.into(),
            _ => return Err(format!("unknown option {arg}: --steps N and --out DIR").into()),
        }
    }
    Ok((steps, out))
}

fn config(vocab_size: usize) -> BertConfig {
    BertConfig {
        vocab_size,
        hidden_size: 128,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        intermediate_size: 256,
        max_position_embeddings: 64,
        ..BertConfig::base_cased()
    }
}

/// Up to the peak and down to 0, both linearly.
fn learning_rate(step: usize, steps: usize) -> f64 {
    let (step, steps) = ((step + 1) as f64, steps as f64);
    let warm_up = (steps * WARM_UP).max(1.0);
    env("LR", PEAK_LEARNING_RATE)
        * (step / warm_up).min((steps - step + 1.0) / (steps - warm_up + 1.0))
}

/// BERT with both heads of its pretraining.
#[derive(Module, Debug)]
struct Pretraining {
    lm: BertForMaskedLm,
    pooler_weight: Param<Tensor<2>>,
    pooler_bias: Param<Tensor<1>>,
    pair_weight: Param<Tensor<2>>,
    pair_bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl Pretraining {
    fn init(config: &BertConfig, device: &Device) -> Self {
        let hidden = config.hidden_size;
        let zeros = |len| Initializer::Zeros.init([len], device);
        let matrix = |shape: [usize; 2]| Initializer::Zeros.init(shape, device);
        let model = Self {
            lm: BertForMaskedLm::init(config, device),
            pooler_weight: matrix([hidden, hidden]),
            pooler_bias: zeros(hidden),
            pair_weight: matrix([hidden, 2]),
            pair_bias: zeros(2),
            epsilon: config.layer_norm_eps,
        };
        // Weights come from the host, so that they do not depend on the device's generator.
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let std = config.initializer_range as f32;
        map_params(model, |_, shape| {
            let normal = Normal::new(0.0, std).ok().filter(|_| shape.len() == 2)?;
            let values: Vec<f32> = normal
                .sample_iter(&mut rng)
                .take(shape.iter().product())
                .collect();
            Some(TensorData::new(values, shape.to_vec()))
        })
    }

    /// Scores of word pieces at the masked rows, and of "the second segment continues the first".
    fn forward(&self, sample: &Sample) -> (Tensor<2>, Tensor<2>) {
        let (lm, batch) = (&self.lm, &sample.batch);
        let hidden = lm.bert.forward(batch);
        let first = batch.first_tokens(hidden.clone());
        let pooled = linear(
            first,
            self.pooler_weight.val(),
            Some(self.pooler_bias.val()),
        )
        .tanh();
        let pair = linear(pooled, self.pair_weight.val(), Some(self.pair_bias.val()));

        let masked = hidden.select(0, sample.rows.clone());
        let masked = gelu(linear(
            masked,
            lm.transform.val(),
            Some(lm.transform_bias.val()),
        ));
        let bias = Some(lm.norm_bias.val());
        let masked = layer_norm(masked, lm.norm_gamma.val(), bias, self.epsilon);
        let scores = masked.matmul(lm.bert.embeddings.word.val().transpose());
        (scores + lm.output_bias.val().unsqueeze(), pair)
    }
}

/// A batch, with what is to be predicted.
struct Sample {
    batch: Batch,
    rows: Tensor<1, Int>,
    targets: Tensor<1, Int>,
    /// 1 where the second segment continues the first.
    continues: Tensor<1, Int>,
}

/// Makes batches of pairs of half documents.
struct Source<'a> {
    corpus: Corpus,
    rng: ChaCha8Rng,
    ids: HashMap<&'a str, u32>,
}

impl<'a> Source<'a> {
    fn new(pieces: &'a [String], seed: u64) -> Self {
        let ids = (0..)
            .zip(pieces)
            .map(|(id, piece)| (piece.as_str(), id))
            .collect();
        let rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(1 << 32));
        Self {
            corpus: Corpus::new(seed),
            rng,
            ids,
        }
    }

    fn sample(&mut self, size: usize, device: Device) -> Sample {
        let mut encodings = Vec::with_capacity(size);
        let (mut rows, mut targets, mut continues) = (Vec::new(), Vec::new(), Vec::new());
        let mut row = 0;
        for _ in 0..size {
            let (mut encoding, continued) = self.pair();
            continues.push(i64::from(continued));
            for id in &mut encoding.ids {
                if ![CLS, SEP].contains(id) && self.rng.random_bool(env("MASKED", MASKED)) {
                    rows.push(row);
                    targets.push(i64::from(*id));
                    *id = match self.rng.random_range(0..10) {
                        0 => self
                            .rng
                            .random_range(SPECIAL.len() as u32..self.ids.len() as u32),
                        1 => *id,
                        _ => MASK,
                    };
                }
                row += 1;
            }
            encodings.push(encoding);
        }
        let ints = |values: Vec<i64>| {
            let len = values.len();
            Tensor::from_data(TensorData::new(values, [len]), &device)
        };
        Sample {
            // Packed: rows are the real tokens, counted through.
            batch: Batch::new(&encodings, Padding::Packed, &device),
            rows: ints(rows),
            targets: ints(targets),
            continues: ints(continues),
        }
    }

    /// A document's first half with its second (half of the time), or with the second half of a
    /// document on the same subject that thinks otherwise, or of any document.
    fn pair(&mut self) -> (Encoding, bool) {
        let document = self.corpus.document();
        let continued = self.rng.random_bool(0.5);
        let second = if continued {
            document.second
        } else if let (Some(sentiment), true) =
            (document.sentiment, self.rng.random_bool(env("HARD", 0.8)))
        {
            self.corpus
                .document_of(document.domain, Some(sentiment.opposite()))
                .second
        } else {
            self.corpus.document().second
        };
        let mut ids = vec![CLS];
        let mut type_ids = vec![0];
        for (segment, text) in (0..).zip([&document.first, &second]) {
            ids.extend(text.split(' ').filter_map(|word| self.ids.get(word)));
            ids.push(SEP);
            type_ids.resize(ids.len(), segment);
        }
        (Encoding { ids, type_ids }, continued)
    }
}

fn cross_entropy(scores: Tensor<2>, targets: &Tensor<1, Int>) -> Tensor<1> {
    CrossEntropyLossConfig::new()
        .init(&scores.device())
        .forward(scores, targets.clone())
}

/// Losses and accuracies on held-out documents, as text.
fn evaluate(model: &Pretraining, samples: &[Sample]) -> String {
    let mut sums = [0.0; 4];
    for sample in samples {
        let (scores, pair) = model.forward(sample);
        for (i, (scores, targets)) in [(scores, &sample.targets), (pair, &sample.continues)]
            .into_iter()
            .enumerate()
        {
            let hits = scores
                .clone()
                .argmax(1)
                .squeeze_dim::<1>(1)
                .equal(targets.clone());
            sums[2 * i] += cross_entropy(scores, targets).into_scalar::<f64>();
            sums[2 * i + 1] += hits.float().mean().into_scalar::<f64>();
        }
    }
    let [mlm, mlm_accuracy, pair, pair_accuracy] = sums.map(|sum| sum / samples.len() as f64);
    format!("mlm loss {mlm:.3} acc {mlm_accuracy:.3}  pair loss {pair:.3} acc {pair_accuracy:.3}")
}

/// Writes the three files under HF's names.
fn write(model: &Pretraining, config: &BertConfig, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut tensors = BTreeMap::new();
    for (path, data) in read_params(model, |_| true) {
        let (name, stored) = hf_name(&path).ok_or_else(|| format!("no HF name for {path}"))?;
        let (values, shape) = match stored {
            Stored::Same => (data.values, data.shape),
            Stored::Transposed => {
                let [rows, columns] = [data.shape[0], data.shape[1]];
                let at = |i: usize| data.values[i % rows * columns + i / rows];
                ((0..rows * columns).map(at).collect(), vec![columns, rows])
            }
        };
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        tensors.insert(name, (bytes, shape));
    }
    let views: Vec<(&String, TensorView<'_>)> = tensors
        .iter()
        .map(|(name, (bytes, shape))| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name, view))
        })
        .collect::<Result<_, _>>()?;
    // HF refuses files without the format.
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let weights = safetensors::serialize(views, Some(format))?;

    let mut config = serde_json::to_value(config)?;
    config["model_type"] = json!("bert");
    config["architectures"] = json!(["BertForPreTraining"]);
    config["pad_token_id"] = json!(0);
    beft_core::write_dir_atomic(
        out,
        &[
            ("config.json", format!("{config:#}\n").into_bytes()),
            ("model.safetensors", weights),
            (
                "tokenizer.json",
                format!("{:#}\n", tokenizer_json()).into_bytes(),
            ),
        ],
    )?;
    Ok(())
}

fn hf_name(path: &str) -> Option<(String, Stored)> {
    let own = match path {
        "pooler_weight" => Some(("bert.pooler.dense.weight", Stored::Transposed)),
        "pooler_bias" => Some(("bert.pooler.dense.bias", Stored::Same)),
        "pair_weight" => Some(("cls.seq_relationship.weight", Stored::Transposed)),
        "pair_bias" => Some(("cls.seq_relationship.bias", Stored::Same)),
        _ => None,
    };
    if let Some((name, stored)) = own {
        return Some((name.to_owned(), stored));
    }
    let path = path.strip_prefix("lm.")?;
    let (row, name) = SEQUENCE_CLASSIFICATION_NAMES
        .by_path(path)
        .or_else(|| MASKED_LM_NAMES.by_path(path))?;
    Some((name, row.stored))
}

fn env(name: &str, default: f64) -> f64 {
    std::env::var(name)
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(default)
}
