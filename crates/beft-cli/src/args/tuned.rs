//! What `eval` and `predict` take.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};
use beft::InferencePrecision;
use clap::{Args, Subcommand, ValueEnum};

use super::JsonArgs;
use super::values::{Columns, columns, max_length};

/// The model to use: an adapter on its base, or a tuned model.
#[derive(Debug, Args)]
pub(crate) struct TunedArgs {
    /// Adapter folder, written by `beft tune` or by HF PEFT (BEFT, LoRA, IA3, LN tuning or prefix tuning). predict takes
    /// several of one base model, and gives each text to all of them, or to those that its field `adapter` names. An adapter is
    /// called like its folder (or the one above, if that is called adapter), or as NAME= says.
    #[arg(long, value_name = "[NAME=]DIR")]
    pub(crate) adapter: Vec<NamedAdapter>,
    /// Base model of the adapter, as a folder or a name. Without --adapter: the folder of a tuned model, or, for eval, an
    /// untrained decoder [default: the model that the adapter names]
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: Option<String>,
    /// Name of the task or a .toml file, as in tune [default: the task that the adapter was trained on; text if it names
    /// none]
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) task: Option<String>,
    /// Cut inputs to this many tokens [default: the length that the adapter was trained with; otherwise the limit of model
    /// and tokenizer]
    #[arg(long, value_name = "N", value_parser = max_length())]
    pub(crate) max_length: Option<u32>,
    /// Device to compute on. `beft devices` lists them.
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub(crate) device: String,
    /// Number type of the frozen weight matrices: f32, bf16, f16, or q8 (8 bits, on processors). By default that of the
    /// training, usually f32.
    #[arg(long, value_name = "TYPE", alias = "dtype")]
    pub(crate) precision: Option<InferencePrecision>,
}

impl TunedArgs {
    /// The only adapter.
    pub(crate) fn one_adapter(&self) -> Result<Option<&Path>> {
        match self.adapter.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(&one.dir)),
            _ => bail!("give --adapter once: this command uses one adapter at a time"),
        }
    }
}

/// An adapter with the name by which rows and requests choose it.
#[derive(Clone, Debug)]
pub(crate) struct NamedAdapter {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
}

impl FromStr for NamedAdapter {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let whole = Path::new(text);
        let (name, dir) = match text.split_once('=').filter(|_| !whole.exists()) {
            Some((name, dir)) => (name.to_owned(), PathBuf::from(dir)),
            None => (folder_name(whole), whole.to_owned()),
        };
        match name.is_empty() || dir.as_os_str().is_empty() {
            true => Err("give a folder, or a name and a folder: NAME=DIR".to_owned()),
            false => Ok(Self { name, dir }),
        }
    }
}

/// What an adapter in this folder is called: `beft tune` calls the folder itself `adapter`.
fn folder_name(dir: &Path) -> String {
    // `.` and `..` have no name of their own.
    let whole = match dir.file_name() {
        Some(_) => None,
        None => dir.canonicalize().ok(),
    };
    let dir = whole.as_deref().unwrap_or(dir);
    let name = |dir: &Path| Some(dir.file_name()?.to_string_lossy().into_owned());
    let own = name(dir).unwrap_or_default();
    match own == "adapter" {
        true => dir.parent().and_then(name).unwrap_or(own),
        false => own,
    }
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    #[command(flatten)]
    pub(crate) tuned: TunedArgs,
    /// Labelled data: a file (.tsv, .csv, .jsonl, .json, .parquet), or a folder with a dev split.
    #[arg(long, value_name = "FILE|DIR")]
    pub(crate) data: PathBuf,
    /// If --data is the file that was split for training (--dev-share): only the examples that were held out.
    #[arg(long)]
    pub(crate) held_out: bool,
    /// Largest number of examples to evaluate [default: all; for a decoder's task the protocol's 1,000, drawn by seed 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Decoders only: number of solved examples to put before each question (in-context learning). They come from the train
    /// file of the folder --data.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) shots: u32,
    /// Decoders only: correct the score of each candidate by its score after a prompt without content (SFC).
    #[arg(long)]
    pub(crate) calibrate: bool,
    /// Seed that draws the solved examples.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "shots")]
    pub(crate) seed: u32,
    /// Also write the result to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
    /// Write the examples that were wrong to this file (.jsonl, .csv or .tsv): text, label, prediction, probability. Those
    /// come first of which the model was most certain.
    #[arg(long, value_name = "FILE")]
    pub(crate) errors: Option<PathBuf>,
    /// Write report.html and report.md to this folder, with pictures of the confusion matrix and the calibration.
    #[arg(long, value_name = "DIR")]
    pub(crate) report: Option<PathBuf>,
    /// Also write the report's tables for LaTeX (.tex, with booktabs).
    #[arg(long, requires = "report")]
    pub(crate) latex: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    #[command(flatten)]
    pub(crate) tuned: TunedArgs,
    /// Texts: a file, - for standard input, or a folder (with --split).
    #[arg(long, value_name = "FILE|DIR|-", default_value = "-")]
    pub(crate) data: PathBuf,
    /// Split to read, if --data is a folder.
    #[arg(long, value_name = "SPLIT")]
    pub(crate) split: Option<SplitName>,
    /// Format of the texts [default: lines for standard input; otherwise by the file's extension]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) input_format: Option<Format>,
    /// Columns of the input to write beside the predictions: all, none, or their names [default: all; none for plain lines]
    #[arg(long, value_name = "all|none|COLUMN,...")]
    pub(crate) keep: Option<Keep>,
    /// Format of the predictions: jsonl, csv, tsv or glue. glue needs --split, and --out is then a folder [default: by the
    /// extension of --out; otherwise jsonl]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<OutputFormat>,
    /// Where to write the predictions: a file, - for standard output, or a folder (for glue). A file is called
    /// FILE.partial until it is complete.
    #[arg(long, value_name = "FILE|DIR|-", default_value = "-")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// Model folder in Hugging Face layout, or a name in the Hugging Face cache or on the hub. It may be one of
    /// sentence-transformers [default: the model that the adapter names]
    #[arg(long, value_name = "DIR|NAME", required_unless_present = "adapter")]
    pub(crate) model: Option<String>,
    /// Adapter folder of a task of similarities or of ranking.
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// Texts: a file, or - for standard input.
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    pub(crate) data: PathBuf,
    /// Columns with the text. Several are joined by a space [default: text or sentence]
    #[arg(long, value_name = "COLUMN,...", value_parser = columns)]
    pub(crate) text: Option<Columns>,
    /// Format of the texts [default: lines for standard input; otherwise by the file's extension]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) input_format: Option<Format>,
    /// Format of the embeddings [default: by the extension of --out; otherwise jsonl]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<VectorFormat>,
    /// Where to write the embeddings: a file, or - for standard output. A file is called FILE.partial until it is complete.
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    pub(crate) out: PathBuf,
    /// Cut texts to this many tokens [default: max_seq_length of sentence-transformers, or the length of training]
    #[arg(long, value_name = "N", value_parser = max_length())]
    pub(crate) max_length: Option<u32>,
    /// Device to compute on. `beft devices` lists them.
    #[arg(long, value_name = "DEVICE", default_value = "flex")]
    pub(crate) device: String,
    /// Number type of the frozen weight matrices: f32, bf16, f16, or q8 (8 bits, on processors). By default that of the
    /// training, usually f32.
    #[arg(long, value_name = "TYPE", alias = "dtype")]
    pub(crate) precision: Option<InferencePrecision>,
}

/// How embeddings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VectorFormat {
    /// One JSON object per line: index, text, embedding.
    Jsonl,
    /// A numpy file: an array [texts, width] of f32. It is held in memory until the end.
    Npy,
}

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Adapter folder, written by `beft tune` or by HF PEFT (BEFT or LoRA).
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: PathBuf,
    /// Base model of the adapter, as a folder or a name [default: the model that the adapter names]
    #[arg(long, value_name = "DIR|NAME")]
    pub(crate) model: Option<String>,
    /// Folder to write the model to: config.json, model.safetensors (f32) and the tokenizer.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Adapter folder, written by `beft tune` or by HF PEFT, or the folder of a whole model.
    #[arg(value_name = "DIR")]
    pub(crate) adapter: PathBuf,
    #[command(flatten)]
    pub(crate) json: JsonArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TasksArgs {
    #[command(subcommand)]
    pub(crate) action: Option<TasksAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TasksAction {
    /// Print a task as a task file.
    Show {
        /// Name of a built-in task.
        #[arg(value_name = "NAME")]
        task: String,
        /// The task as a decoder is asked.
        #[arg(long)]
        decoder: bool,
    },
}

/// Which columns of the input stand beside the predictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    All,
    None,
    Named(Vec<String>),
}

impl FromStr for Keep {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "all" => Self::All,
            "none" => Self::None,
            names => Self::Named(
                names
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .collect(),
            ),
        })
    }
}

/// What `predict` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// One JSON object per line: index, the columns of the input, label, probability, probabilities, logits; or value, or
    /// generated_text.
    Jsonl,
    /// Comma-separated with a header line: index, the columns of the input, label, probability, and a probability for
    /// each class; or value, or generated_text.
    Csv,
    /// The same, tab-separated. Tabs and line breaks within a column become spaces.
    Tsv,
    /// Files for the GLUE server, with its file names and the columns index and prediction.
    Glue,
}

/// A split of a task's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitName {
    Train,
    Dev,
    Test,
}

/// How texts are stored.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// One text per line.
    Lines,
    /// Tab-separated, with a header line. Quotes are part of the text.
    Tsv,
    /// Comma-separated, with a header line and quotes.
    Csv,
    /// One JSON object per line.
    Jsonl,
    /// One JSON array of objects, or one object per line.
    Json,
    /// A word per line, perhaps with its tag in the last column, and a blank line between texts.
    Conll,
}
