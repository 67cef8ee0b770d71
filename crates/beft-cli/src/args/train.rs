//! What `run`, `rank`, `tune`, `sample` and `demo` take.

use std::path::PathBuf;

use beft::{Objective, Precision};
use beft_core::{BiasTerm, TermSet};
use beft_modes::Mode;
use beft_nn::{ForwardPrecision, Savings};
use beft_score::Parts;
use beft_tasks::{HeldOut, Regime, TaskChanges};
use beft_train::Evaluate;
use clap::{Args, ValueEnum};

use super::values::{
    Columns, MetricList, Scorers, columns, learning_rate, max_length, metrics, mode, objective,
    savings, scorers, share,
};
use super::{JsonArgs, ReportArgs};

/// The model, the data and the training recipe.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Model folder in Hugging Face layout (config.json, model.safetensors, tokenizer.json), or the name of a model in the
    /// Hugging Face cache or on the hub, such as bert-base-cased.
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Size of the training subset, by its name in the protocol [default: low]
    #[arg(long, value_name = "low|medium|high", conflicts_with = "train_size")]
    pub(crate) regime: Option<Regime>,
    /// Evaluate on at most N dev examples.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Training loss of a decoder. task: cross entropy over the candidates if all examples share them, else the loss of the
    /// right text. text: always the loss of the right text.
    #[arg(long, value_name = "task|text", default_value = "task", value_parser = objective)]
    pub(crate) objective: Objective,
    /// Train a decoder with a classification head on its last token (HF's ...ForSequenceClassification), instead of asking it
    /// the prompts that the task has.
    #[arg(long)]
    pub(crate) head: bool,
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
}

/// The task and its data.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// Name of the task, or a .toml file that describes one. Encoders: cola, mnli, mrpc, qnli, qqp, rte, sst2, stsb, wnli,
    /// boolq, cb, wic, ner, squad, squad_v2, or text for your own data (columns text, label and optionally text_pair).
    /// Embeddings of encoders: sts, similarity, ranking. Decoders: sst2, rte, cb, boolq, wsc, wic, multirc, copa, record,
    /// squad, drop; with --head also the tasks of encoders.
    #[arg(long, value_name = "NAME|FILE", default_value = "text")]
    pub(crate) task: String,
    /// Folder with the train and dev files (.tsv, .csv, .jsonl, .json, .parquet, .conll), or one file, with --dev-share [default: the
    /// task's data set in the Hugging Face cache, or from the hub]
    #[arg(long, value_name = "DIR|FILE")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) changes: ChangeArgs,
}

/// What is different from the task as it stands.
#[derive(Debug, Default, Args)]
pub(crate) struct ChangeArgs {
    /// If --data is one file: the share of its examples to measure on, such as 0.2. Each label gives its share.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) dev_share: Option<f64>,
    /// Seed that chooses the examples of --dev-share.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "dev_share")]
    pub(crate) split_seed: u32,
    /// Columns with the text. Several are joined by a space [default: the task's; text or sentence for text]
    #[arg(long, value_name = "COLUMN,...", value_parser = columns)]
    pub(crate) text: Option<Columns>,
    /// Columns with the second text of a pair [default: the task's; text_pair for text]
    #[arg(long, value_name = "COLUMN,...", value_parser = columns)]
    pub(crate) pair: Option<Columns>,
    /// Column with the label; with --multi-label also several, one column of 0 and 1 for each label [default: the task's;
    /// label for text]
    #[arg(long, value_name = "COLUMN,...", value_parser = columns)]
    pub(crate) label: Option<Columns>,
    /// Any number of labels may hold for a text. One column has them as a list or with --separator between them.
    #[arg(long)]
    pub(crate) multi_label: bool,
    /// What stands between the labels of --multi-label in one column [default: a comma]
    #[arg(long, value_name = "TEXT", requires = "multi_label")]
    pub(crate) separator: Option<String>,
    /// Metrics, the main one first: accuracy, macro_f1, mcc, f1; of several labels micro_f1, macro_f1, subset_accuracy; of
    /// tags entity_f1, precision, recall, token_accuracy; of numbers pearson, spearman [default: the task's]
    #[arg(long, value_name = "NAME,...", value_parser = metrics)]
    pub(crate) metric: Option<MetricList>,
    /// Let rare classes count as much in the loss as frequent ones.
    #[arg(long)]
    pub(crate) balanced: bool,
}

impl ChangeArgs {
    /// The same for the library.
    pub(crate) fn to_changes(&self) -> TaskChanges {
        let columns =
            |given: &Option<Columns>| given.as_ref().map_or_else(Vec::new, |c| c.0.clone());
        TaskChanges {
            text: columns(&self.text),
            pair: columns(&self.pair),
            label: columns(&self.label),
            multi_label: self.multi_label,
            separator: self.separator.clone(),
            metrics: self
                .metric
                .as_ref()
                .map_or_else(Vec::new, |list| list.0.clone()),
            held_out: self.dev_share.map(|share| HeldOut {
                share,
                seed: self.split_seed,
            }),
            balanced: self.balanced,
        }
    }
}

/// The recipe of a training.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecipeArgs {
    /// Number of training examples. The seed draws them as numpy's permutation does [default: the task's low-data size; all
    /// examples for text]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) train_size: Option<u32>,
    /// Number of passes over the training examples [default: the task's, 16 to 60; 5 for decoders]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) epochs: Option<u32>,
    /// Learning rate. It is constant for encoders and falls to 0 for decoders [default: the task's, 1e-4 to 1e-2; 1e-5 for
    /// full fine-tuning]
    #[arg(long, value_name = "RATE", value_parser = learning_rate, allow_negative_numbers = true)]
    pub(crate) lr: Option<f64>,
    /// Number of examples per step [default: the task's, 16; 8 for decoders]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) batch_size: Option<u32>,
    /// Number of examples to compute at a time, to save memory. The gradients of a step are summed [default: all of a step]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) micro_batch: Option<u32>,
    /// Save memory: keep only the input of each layer, and compute the layer again in the backward pass. Takes more time.
    #[arg(long)]
    pub(crate) gradient_checkpointing: bool,
    /// Cut inputs to this many tokens [default: the task's, 128 for GLUE; otherwise the limit of model and tokenizer]
    #[arg(long, value_name = "N", value_parser = max_length())]
    pub(crate) max_length: Option<u32>,
    /// Refuse to train if the checkpoint's head has another number of classes than the task. Without this option the head is
    /// replaced by a new one.
    #[arg(long)]
    pub(crate) keep_head: bool,
    /// Seed of the training subset, the new head, the order of examples and dropout.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u32,
    /// Device to compute on. `beft devices` lists them. Several of one kind, separated by commas, share the inputs of each
    /// step.
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub(crate) device: String,
    /// Number type of the frozen weight matrices: f32, bf16 or f16.
    #[arg(long, value_name = "TYPE", default_value_t = Precision::F32, alias = "dtype")]
    pub(crate) precision: Precision,
    /// Number type of the products with the frozen weight matrices in the forward pass and the evaluations of a training of
    /// biases: f32, or q8 (8 bits), which takes less time and rounds. For BERT, RoBERTa, DistilBERT and ELECTRA in f32 on a
    /// processor, without gradient checkpointing.
    #[arg(long, value_name = "TYPE", default_value_t)]
    pub(crate) forward: ForwardPrecision,
    /// Dropout in training: config uses the rates of the model's config; off uses none, and then computes the layers below
    /// the lowest trained one only once.
    #[arg(long, value_name = "NAME", default_value = "config")]
    pub(crate) dropout: DropoutChoice,
    /// Switch off these savings, to measure them: packing, length-groups, first-token, zero-gradients, reuse,
    /// host-functions, packed-layers, split-work. The result stays the same, except that without host-functions dropout
    /// draws other values.
    #[arg(long, value_name = "NAME,...", default_value = "", value_parser = savings, hide_default_value = true)]
    pub(crate) without: Savings,
}

/// Whether a training uses dropout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DropoutChoice {
    Config,
    Off,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    /// Terms to pick from and to compare, of q, k, v, m1, ln1, m2, m3, ln2.
    #[arg(
        long,
        value_name = "TERM,...",
        value_delimiter = ',',
        default_value = "q,k,v"
    )]
    pub(crate) terms: Vec<BiasTerm>,
    #[command(flatten)]
    pub(crate) scorers: ScorerArgs,
    #[command(flatten)]
    pub(crate) spending: SpendingArgs,
    /// Continue an interrupted run from its last finished epoch.
    #[arg(long)]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    /// Output folder. It gets report.html, report.md, results.json, pictures and adapter/.
    #[arg(long, value_name = "DIR", default_value = "beft-run")]
    pub(crate) out: PathBuf,
}

/// How many values to train, and what is chosen for them.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct SpendingArgs {
    /// Spend N trained values, those of the head not counted, on the biases with the highest score for each value, by the
    /// scorer that makes the recommendation. rank says which of --terms; run trains them, of all eight terms, instead of the best of
    /// q, k and v.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) budget: Option<u32>,
    /// What a budget is spent on: terms (each in every layer), sites (single layers), or heads (single heads of q, k and v,
    /// and single layers of the other terms) [default: terms]
    #[arg(long, value_name = "terms|sites|heads", requires = "budget")]
    pub(crate) parts: Option<Parts>,
}

impl SpendingArgs {
    /// Number of values and what they are spent on, if there is a budget.
    pub(crate) fn spending(self) -> Option<(usize, Parts)> {
        let values = self.budget? as usize;
        Some((values, self.parts.unwrap_or_default()))
    }
}

/// How biases are scored.
#[derive(Debug, Args)]
pub(crate) struct ScorerArgs {
    /// Scores to compute: all, or some of beft, magnitude, angle, l2, fisher, gradnorm, snr, slope, random. The first four train all
    /// biases first. beft makes the pick if it is in the list and tells q, k and v apart; otherwise fisher, gradnorm or
    /// the first of the others does. fisher is added for models that have no biases of their own.
    #[arg(long, value_name = "NAME,...", default_value = "beft,magnitude", value_parser = scorers)]
    pub(crate) scorer: Scorers,
}

#[derive(Debug, Args)]
pub(crate) struct RankArgs {
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    /// Biases to train and rank, such as all, q,k,v or v@0-5 (v in the layers 0 to 5).
    #[arg(long, value_name = "TERMS", default_value = "all")]
    pub(crate) terms: TermSet,
    #[command(flatten)]
    pub(crate) scorers: ScorerArgs,
    /// Rank before any training, by the score that told best in our comparisons (docs/results.md): slope.
    #[arg(long, conflicts_with = "scorer")]
    pub(crate) before: bool,
    /// Also score the part of q, k and v that each attention head has.
    #[arg(long)]
    pub(crate) heads: bool,
    #[command(flatten)]
    pub(crate) spending: SpendingArgs,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    /// Output folder. It gets ranking.json and heatmaps.
    #[arg(long, value_name = "DIR", default_value = "beft-rank")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct TuneArgs {
    #[command(flatten)]
    pub(crate) train: TrainArgs,
    /// What to train beside the head. Biases: v, or q,k,v, or v@6-11 (v in the layers 6 to 11), or v@3.h5 (the part of v that
    /// head 5 of layer 3 has), or pooler, embeddings, final_norm, output_head (outside the layers), or all. Head alone: frozen.
    /// Baselines: full, random, random-lines, ln (weights and biases of the norms), ia3 (factors of keys, values and inner
    /// values of the feed-forward blocks), lora-q, lora-v, lora-qv, lora-v-r1 (of rank 1) and so on; prefix for decoders.
    #[arg(long, value_name = "MODE", default_value = "v", visible_alias = "mode", value_parser = mode)]
    pub(crate) terms: Mode,
    /// Rank of LoRA's update [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) lora_rank: Option<u32>,
    /// Scale of LoRA's update: the update is multiplied by this number and divided by the rank [default: 16; twice the rank
    /// for modes that say it, such as lora-v-r1]
    #[arg(long, value_name = "X")]
    pub(crate) lora_alpha: Option<f64>,
    /// Number of matrix entries that the mode random trains [default: the paper's number for base and large models;
    /// otherwise the number of biases]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) random_entries: Option<u32>,
    /// When training is over, choose on the dev split the probability from which each of several labels holds, for the highest
    /// F1, or how much higher than an answer's the score of no answer may be, for the most right ones [default: 0.5, and 0]
    #[arg(long)]
    pub(crate) tune_thresholds: bool,
    /// Epoch to keep: the last one, or the best one by the task's main metric on the dev split.
    #[arg(long, value_name = "EPOCH", default_value = "last")]
    pub(crate) keep: KeepChoice,
    /// Epochs to evaluate on the dev split: each, each Nth and the last one, or the last one alone.
    #[arg(long, value_name = "each|N|last", default_value_t)]
    pub(crate) evaluate: Evaluate,
    /// Stop after this many epochs in a row without a better one. Epochs that are not evaluated count.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) patience: Option<u32>,
    /// Continue an interrupted training from its last finished epoch.
    #[arg(long)]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    /// Output folder. It gets results.json and adapter/ in the layout of HF PEFT, or tuned-model/ for the modes full,
    /// random and random-lines.
    #[arg(long, value_name = "DIR", default_value = "beft-tune")]
    pub(crate) out: PathBuf,
}

/// Which epoch's model is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeepChoice {
    Last,
    Best,
}

/// The rows of a training subset.
#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Number of training examples.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) train_size: Option<u32>,
    /// Size of the training subset, by its name in the protocol [default: low]
    #[arg(long, value_name = "low|medium|high", conflicts_with = "train_size")]
    pub(crate) regime: Option<Regime>,
    /// Seed of numpy's permutation.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u32,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    #[command(flatten)]
    pub(crate) recipe: RecipeArgs,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    /// Output folder. It gets model/, data/, report.html, report.md, results.json, pictures and adapter/.
    #[arg(long, value_name = "DIR", default_value = "beft-demo")]
    pub(crate) out: PathBuf,
    /// Only write made-up support tickets to this file, for the tutorial (docs/tutorial.md).
    #[arg(long, value_name = "FILE.csv", exclusive = true)]
    pub(crate) tickets: Option<PathBuf>,
}
