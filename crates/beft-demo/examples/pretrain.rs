//! Pretrains the demo model from nothing, the same on every run, on the text that
//! `beft_demo::corpus` generates. Two objectives, neither of which sees a label:
//!
//! * masked language modelling, as BERT was pretrained;
//! * from one half of a document, the pooled `[CLS]` vector guesses the words of the other half.
//!   It takes the place of BERT's next-sentence prediction, which stayed at chance here in the
//!   few trials that were made.
//!
//! ```text
//! cargo run --release -p beft-demo --example pretrain -- [--steps N] [--out DIR]
//! ```
//!
//! Writes `config.json`, `model.safetensors` and `tokenizer.json` to `DIR`, by default the folder
//! `model` of this crate, whose files the library embeds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use beft_checkpoint::Stored;
use beft_core::Encoding;
use beft_demo::corpus::Corpus;
use beft_demo::vocab::{SPECIAL, function_words, tokenizer_json, vocabulary};
use beft_demo::words::{Half, Role, Sentiment, sentiment_words};
use beft_encoder::{BERT_NAMES, Dropouts, EncoderConfig, EncoderForMaskedLm, MASKED_LM_NAMES};
use beft_nn::{Batch, Savings, map_params, read_params};
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::grad_clipping::GradientClippingConfig;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::loss::cross_entropy_with_logits;
use burn::tensor::module::linear;
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

const SEED: u64 = 2026;
const BATCH: usize = 32;
const PEAK_LEARNING_RATE: f64 = 3e-3;
const WARM_UP: f64 = 0.05;
const DECAY: f64 = 0.4;
/// Of weights, before training. Above BERT's 0.02, which is meant for wider models.
const INITIAL_STD: f32 = 0.08;
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
    // A model this small, on text that never repeats, does not overfit: dropout is for fine-tuning.
    let no_dropout = EncoderConfig {
        dropouts: Dropouts::default(),
        ..config.clone()
    };
    let device = Device::flex().autodiff();
    let mut model = Pretraining::init(&no_dropout, &device);
    let mut optimizer = AdamWConfig::new()
        .with_weight_decay(0.01)
        .with_epsilon(1e-6)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
        .init();
    let mut source = Source::new(&pieces, SEED);
    let held_out: Vec<Sample> = {
        let mut source = Source::new(&pieces, SEED + 1);
        (0..8)
            .map(|_| source.sample(BATCH, device.clone().inner()))
            .collect()
    };

    let start = Instant::now();
    for step in 0..steps {
        let sample = source.sample(BATCH, device.clone());
        let (scores, word_scores) = model.forward(&sample);
        let loss = cross_entropy(scores, &sample.targets)
            + cross_entropy_with_logits(word_scores, sample.other_half.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(learning_rate(step, steps), model, gradients);
        if (step + 1) % 100 == 0 || step + 1 == steps {
            let report = evaluate(&model.valid(), &held_out, &source.sentiments);
            println!("step {:5}  {report}  {:.0?}", step + 1, start.elapsed());
        }
    }
    write(&model.valid(), &config, &out)?;
    println!("wrote {}", out.display());
    Ok(())
}

fn arguments() -> Result<(usize, PathBuf), Box<dyn Error>> {
    let mut steps = 2500;
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

fn config(vocab_size: usize) -> EncoderConfig {
    EncoderConfig {
        vocab_size,
        num_hidden_layers: 3,
        num_attention_heads: 4,
        intermediate_size: 256,
        max_position_embeddings: 64,
        ..EncoderConfig::base_cased().with_width(128)
    }
}

/// Up to the peak, level, and down to 0.
fn learning_rate(step: usize, steps: usize) -> f64 {
    let (step, steps) = ((step + 1) as f64, steps as f64);
    let warm_up = (steps * WARM_UP).max(1.0);
    PEAK_LEARNING_RATE
        * (step / warm_up)
            .min(1.0)
            .min((steps - step + 1.0) / (steps * DECAY))
}

/// BERT with both heads of its pretraining.
#[derive(Module, Debug)]
struct Pretraining {
    lm: EncoderForMaskedLm,
    pooler_weight: Param<Tensor<2>>,
    pooler_bias: Param<Tensor<1>>,
    /// From the pooled vector to words. Not saved: nothing after pretraining needs it.
    words_weight: Param<Tensor<2>>,
    words_bias: Param<Tensor<1>>,
}

impl Pretraining {
    fn init(config: &EncoderConfig, device: &Device) -> Self {
        let hidden = config.hidden_size;
        let zeros = |len| Initializer::Zeros.init([len], device);
        let matrix = |shape: [usize; 2]| Initializer::Zeros.init(shape, device);
        let model = Self {
            lm: EncoderForMaskedLm::init(config, device),
            pooler_weight: matrix([hidden, hidden]),
            pooler_bias: zeros(hidden),
            words_weight: matrix([hidden, config.vocab_size]),
            words_bias: zeros(config.vocab_size),
        };
        // Weights come from the host, so that they do not depend on the device's generator.
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        map_params(model, |_, shape| {
            let normal = Normal::new(0.0, INITIAL_STD)
                .ok()
                .filter(|_| shape.len() == 2)?;
            let values: Vec<f32> = normal
                .sample_iter(&mut rng)
                .take(shape.iter().product())
                .collect();
            Some(TensorData::new(values, shape.to_vec()))
        })
    }

    /// Scores of word pieces: at the masked rows, and for the other half of each document.
    fn forward(&self, sample: &Sample) -> (Tensor<2>, Tensor<2>) {
        let (lm, batch) = (&self.lm, &sample.batch);
        let hidden = lm.encoder.forward(batch);
        let first = batch.layout.first_tokens(hidden.clone());
        let pooled = linear(
            first,
            self.pooler_weight.val(),
            Some(self.pooler_bias.val()),
        )
        .tanh();
        let words = linear(pooled, self.words_weight.val(), Some(self.words_bias.val()));

        (lm.scores(hidden.select(0, sample.rows.clone())), words)
    }
}

/// A batch, with what is to be predicted.
struct Sample {
    batch: Batch,
    rows: Tensor<1, Int>,
    targets: Tensor<1, Int>,
    /// For each input the shares of the words in the other half of its document, `[batch, vocab]`.
    other_half: Tensor<2>,
}

/// Makes batches of half documents.
struct Source<'a> {
    corpus: Corpus,
    rng: ChaCha8Rng,
    ids: HashMap<&'a str, u32>,
    function_words: HashSet<u32>,
    sentiments: HashMap<u32, Sentiment>,
}

impl<'a> Source<'a> {
    fn new(pieces: &'a [String], seed: u64) -> Self {
        let ids: HashMap<&str, u32> = (0..)
            .zip(pieces)
            .map(|(id, piece)| (piece.as_str(), id))
            .collect();
        let function_words = function_words().iter().map(|word| ids[word]).collect();
        let sentiments = Sentiment::BOTH
            .into_iter()
            .flat_map(|s| Role::ALL.map(|r| (s, r)))
            .flat_map(|(s, r)| sentiment_words(s, r, Half::Both).map(move |word| (word, s)))
            .map(|(word, s)| (ids[word], s))
            .collect();
        let rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(1 << 32));
        Self {
            corpus: Corpus::new(seed),
            rng,
            ids,
            function_words,
            sentiments,
        }
    }

    fn sample(&mut self, size: usize, device: Device) -> Sample {
        let mut encodings = Vec::with_capacity(size);
        let (mut rows, mut targets) = (Vec::new(), Vec::new());
        let mut other_half = vec![0.0; size * self.ids.len()];
        let mut row = 0;
        for bag in other_half.chunks_mut(self.ids.len()) {
            let document = self.corpus.document();
            let mut other = self.words(&document.second);
            other.retain(|id| !self.function_words.contains(id));
            for id in &other {
                bag[*id as usize] += 1.0 / other.len() as f32;
            }
            let mut ids = vec![CLS];
            ids.extend(self.words(&document.first));
            ids.push(SEP);
            for id in &mut ids {
                if ![CLS, SEP].contains(id) && self.rng.random_bool(MASKED) {
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
            encodings.push(Encoding {
                type_ids: vec![0; ids.len()],
                ids,
                ..Encoding::default()
            });
        }
        let ints = |values: Vec<i64>| {
            let len = values.len();
            Tensor::from_data(TensorData::new(values, [len]), &device)
        };
        let in_order = Savings {
            length_groups: false,
            ..Savings::default()
        };
        Sample {
            // Rows are the real tokens, counted through.
            batch: Batch::new(&encodings, in_order, &device),
            rows: ints(rows),
            targets: ints(targets),
            other_half: Tensor::from_data(
                TensorData::new(other_half, [size, self.ids.len()]),
                &device,
            ),
        }
    }

    fn words(&self, text: &str) -> Vec<u32> {
        text.split(' ')
            .filter_map(|word| self.ids.get(word).copied())
            .collect()
    }
}

fn cross_entropy(scores: Tensor<2>, targets: &Tensor<1, Int>) -> Tensor<1> {
    CrossEntropyLossConfig::new()
        .init(&scores.device())
        .forward(scores, targets.clone())
}

/// Losses and accuracies on held-out documents, as text.
fn evaluate(
    model: &Pretraining,
    samples: &[Sample],
    sentiments: &HashMap<u32, Sentiment>,
) -> String {
    let (mut loss, mut words) = (0.0, 0.0);
    let (mut hits, mut all, mut right, mut loaded) = (0, 0, 0, 0);
    for sample in samples {
        let (scores, word_scores) = model.forward(sample);
        loss += cross_entropy(scores.clone(), &sample.targets).into_scalar::<f64>();
        words +=
            cross_entropy_with_logits(word_scores, sample.other_half.clone()).into_scalar::<f64>();
        let guesses = scores.argmax(1).into_data();
        let targets = sample.targets.to_data();
        for (guess, target) in guesses.iter::<u32>().zip(targets.iter::<u32>()) {
            all += 1;
            hits += usize::from(guess == target);
            if let Some(sentiment) = sentiments.get(&target) {
                loaded += 1;
                right += usize::from(sentiments.get(&guess) == Some(sentiment));
            }
        }
    }
    let mean = |sum: f64| sum / samples.len() as f64;
    let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
    format!(
        "masked words: loss {:.3}, right {:.3}, of the right sentiment {:.3}; other half: loss {:.3}",
        mean(loss),
        share(hits, all),
        share(right, loaded),
        mean(words),
    )
}

/// Writes the three files under HF's names.
fn write(model: &Pretraining, config: &EncoderConfig, out: &Path) -> Result<(), Box<dyn Error>> {
    let mut tensors = BTreeMap::new();
    for (path, data) in read_params(model, |path| !path.as_str().starts_with("words_")) {
        let (name, stored) =
            hf_name(path.as_str()).ok_or_else(|| format!("no HF name for {path}"))?;
        let (values, shape) = match stored {
            Stored::Same => (data.values, data.shape),
            Stored::Transposed => {
                let [rows, columns] = [data.shape[0], data.shape[1]];
                let at = |i: usize| data.values[i % rows * columns + i / rows];
                ((0..rows * columns).map(at).collect(), vec![columns, rows])
            }
            Stored::Third(_) | Stored::LinearThird(_) => {
                return Err(format!("{name} is part of a tensor").into());
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

    let config = json!({
        "vocab_size": config.vocab_size, "hidden_size": config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers, "num_attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size, "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropouts.output,
        "attention_probs_dropout_prob": config.dropouts.attention,
        "max_position_embeddings": config.max_position_embeddings, "type_vocab_size": 2,
        "layer_norm_eps": config.layer_norm_eps, "initializer_range": config.initializer_range,
        "position_embedding_type": "absolute",
        "model_type": "bert", "architectures": ["BertForMaskedLM"], "pad_token_id": 0,
    });
    let tokenizer = format!("{:#}\n", tokenizer_json());
    beft_files::write_dir_atomic(
        out,
        &[
            ("config.json", format!("{config:#}\n").into_bytes()),
            ("model.safetensors", weights),
            ("tokenizer.json", tokenizer.into_bytes()),
        ],
        &beft_files::OwnFiles {
            names: &["config.json", "model.safetensors", "tokenizer.json"],
            mark: "config.json",
        },
    )?;
    Ok(())
}

fn hf_name(path: &str) -> Option<(String, Stored)> {
    match path {
        "pooler_weight" => return Some(("bert.pooler.dense.weight".into(), Stored::Transposed)),
        "pooler_bias" => return Some(("bert.pooler.dense.bias".into(), Stored::Same)),
        _ => {}
    }
    let path = path.strip_prefix("lm.")?;
    let (row, name) = BERT_NAMES
        .by_path(path)
        .or_else(|| MASKED_LM_NAMES.by_path(path))?;
    Some((name, row.stored))
}
