use std::io::{BufRead, BufReader, Write, stdin};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use beft::{Answer, Base, Pace, Predictor, Streamed, parse_device};
use beft_files::PartialFile;
use beft_tasks::{InputFormat, Inputs, Label, LabelledTask, Split, Task, TaskKind};

use super::predict_set::predict_set;
use super::{STANDARD, open_predictor};
use crate::args::{Format, Keep, OutputFormat, PredictArgs, SplitName};
use crate::output::{check_file, prepare_folder, say, tell, write_file, write_now};
use crate::progress::Progress;
use crate::rows::{RowFormat, RowWriter};

pub(crate) fn predict(args: &PredictArgs) -> Result<()> {
    match format(args)? {
        OutputFormat::Glue => predict_glue(args),
        OutputFormat::Jsonl => predict_rows(args, RowFormat::Jsonl),
        OutputFormat::Csv => predict_rows(args, RowFormat::Csv),
        OutputFormat::Tsv => predict_rows(args, RowFormat::Tsv),
    }
}

/// The format that is asked for, else that of the output's name.
fn format(args: &PredictArgs) -> Result<OutputFormat> {
    if let Some(format) = args.format {
        return Ok(format);
    }
    match args.out.extension().and_then(|e| e.to_str()) {
        Some("csv") => Ok(OutputFormat::Csv),
        Some("tsv") => Ok(OutputFormat::Tsv),
        None | Some("jsonl" | "json") => Ok(OutputFormat::Jsonl),
        Some(_) => bail!(
            "cannot tell the format of {} by its name: give --format jsonl, csv or tsv, or end it in .jsonl, .csv or .tsv",
            args.out.display()
        ),
    }
}

fn predict_rows(args: &PredictArgs, format: RowFormat) -> Result<()> {
    let to_stdout = args.out.as_os_str() == STANDARD;
    let mut inputs: Vec<&Path> = vec![&args.data];
    inputs.extend(
        args.tuned
            .adapter
            .iter()
            .map(|adapter| adapter.dir.as_path()),
    );
    let _made = (!to_stdout)
        .then(|| check_file(&args.out, &inputs))
        .transpose()?;
    check_source(args)?;
    if args.tuned.adapter.len() > 1 {
        return predict_set(args, format, to_stdout);
    }
    let predictor = open_predictor(&args.tuned)?;
    let sources = sources(args, predictor.task())?;
    let mut output = Output::open(args, to_stdout)?;
    let keep = kept(args, &sources);
    let mut writer = RowWriter::new(format, keep, predictor.labels());
    let progress = Progress::new();
    let bar = progress.count("inputs");
    for source in sources {
        let found = predictor.stream(source.rows, source.pace, |chunk| -> Result<()> {
            bar.inc(chunk.len() as u64);
            let mut bytes = Vec::new();
            for (row, answer) in chunk {
                writer.write(&mut bytes, row.columns, &answer)?;
            }
            output.write(&bytes, &args.out)
        });
        let Some(streamed) = output.whole(found, writer.rows())? else {
            return Ok(());
        };
        progress.finish();
        tell_notes(&predictor.tuned().base, &streamed, &source.name);
    }
    writer.notes().iter().for_each(|note| tell!("{note}"));
    output.finish(&args.out)
}

/// Which columns of the input are written.
pub(super) fn kept(args: &PredictArgs, sources: &[Source]) -> Keep {
    args.keep.clone().unwrap_or(match sources[0].plain {
        true => Keep::None,
        false => Keep::All,
    })
}

fn cannot(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// Nobody reads the output any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output")]
struct Unread;

/// Where rows go.
pub(super) enum Output {
    Standard,
    File(PartialFile),
}

impl Output {
    pub(super) fn open(args: &PredictArgs, to_stdout: bool) -> Result<Self> {
        Ok(match to_stdout {
            true => Self::Standard,
            false => Self::File(PartialFile::create(&args.out).with_context(|| cannot(&args.out))?),
        })
    }

    /// Writes rows so that they can be read at once.
    pub(super) fn write(&mut self, bytes: &[u8], path: &Path) -> Result<()> {
        match self {
            Self::Standard => match write_now(bytes) {
                true => Ok(()),
                false => Err(Unread.into()),
            },
            Self::File(file) => file.write_all(bytes).with_context(|| cannot(path)),
        }
    }

    /// What was read of a source; `None` where nobody reads the output any more. An error says what becomes of the rows
    /// before it.
    pub(super) fn whole(&self, found: Result<Streamed>, rows: usize) -> Result<Option<Streamed>> {
        match (found, self) {
            (Ok(streamed), _) => Ok(Some(streamed)),
            (Err(error), _) if error.is::<Unread>() => Ok(None),
            (Err(error), Self::File(file)) if rows > 0 => {
                let path = file.partial_path().display();
                bail!("{error:#} ({rows} predictions were made before; they are in {path})")
            }
            (Err(error), _) => Err(error),
        }
    }

    pub(super) fn finish(self, path: &Path) -> Result<()> {
        match self {
            Self::Standard => Ok(()),
            Self::File(file) => file.finish().with_context(|| cannot(path)),
        }
    }
}

/// Rows to predict.
pub(super) struct Source {
    pub(super) rows: Inputs,
    pub(super) pace: Pace,
    /// What messages call it.
    pub(super) name: String,
    /// Whether a row is a line of plain text.
    pub(super) plain: bool,
}

/// Fails if there is nothing to read, before anything is loaded.
fn check_source(args: &PredictArgs) -> Result<()> {
    parse_device(&args.tuned.device)?;
    let standard = args.data.as_os_str() == STANDARD;
    if args.split.is_some() {
        if args.data.is_file() {
            bail!(
                "--split needs --data with a folder, and {} is a file: leave it out",
                args.data.display()
            );
        }
        if args.input_format.is_some() {
            bail!(
                "--split takes the files of a folder as their names say: leave --input-format out"
            );
        }
        if standard {
            bail!("--split needs --data with a folder: give one, or leave it out");
        }
        return Ok(());
    }
    if standard {
        return Ok(());
    }
    if args.data.is_dir() {
        bail!(
            "{} is a folder: give one file, or --split",
            args.data.display()
        );
    }
    if !args.data.exists() {
        bail!(
            "{}: no such file: check the spelling and the current folder",
            args.data.display()
        );
    }
    if args.input_format.is_none() && InputFormat::of_path(&args.data).is_none() {
        bail!(
            "cannot tell the format of {} by its name: give --input-format lines, tsv, csv, jsonl, json or conll",
            args.data.display()
        );
    }
    Ok(())
}

pub(super) fn sources(args: &PredictArgs, task: &Task) -> Result<Vec<Source>> {
    let format = args.input_format.map(InputFormat::from);
    if let Some(split) = args.split {
        let mut files = Vec::new();
        for split in splits(task, split) {
            files.extend(task.split_files(&args.data, split)?);
        }
        return files.iter().map(|file| of_file(task, file, None)).collect();
    }
    if args.data.as_os_str() == STANDARD {
        let name = "standard input";
        let format = format.unwrap_or(InputFormat::Lines);
        let mut reader = BufReader::with_capacity(1 << 16, stdin());
        if args.input_format.is_none() {
            note_of_format(reader.fill_buf().unwrap_or_default(), task);
        }
        return Ok(vec![Source {
            rows: task.inputs(Path::new(name), reader, format)?,
            pace: Pace::Arrival,
            name: name.to_owned(),
            plain: format == InputFormat::Lines,
        }]);
    }
    Ok(vec![of_file(task, &args.data, format)?])
}

/// Tells if what arrives as plain lines looks like something else. An error is that of the first reading.
fn note_of_format(begin: &[u8], task: &Task) {
    let first = String::from_utf8_lossy(begin);
    let first = first.lines().next().unwrap_or_default().trim();
    let columns = match task {
        Task::Labelled(task) => task.text_columns.names(),
        Task::Prompted(_) => &[],
    };
    let cells = |by: char| {
        first
            .split(by)
            .any(|cell| columns.iter().any(|name| cell.trim() == name))
    };
    let looks = match first.starts_with('{') && first.ends_with('}') {
        true => Some("jsonl"),
        false => [(',', "csv"), (';', "csv"), ('\t', "tsv")]
            .into_iter()
            .find(|(by, _)| first.contains(*by) && cells(*by))
            .map(|(_, format)| format),
    };
    if let Some(format) = looks {
        tell!(
            "note: each line of standard input is taken as a text, and the first looks like {format}: --input-format \
             {format} reads it so"
        );
    }
}

fn of_file(task: &Task, file: &Path, format: Option<InputFormat>) -> Result<Source> {
    let known = format.or_else(|| InputFormat::of_path(file));
    Ok(Source {
        rows: task.open_inputs(file, format)?,
        pace: Pace::Chunks,
        name: file.display().to_string(),
        plain: known == Some(InputFormat::Lines),
    })
}

/// Tells what is to be said of the rows of a source.
pub(super) fn tell_notes(base: &Base, streamed: &Streamed, name: &str) {
    if streamed.counts.all == 0 {
        tell!("{name}: there are no rows");
    }
    let fit = base.input_notes(name, streamed.counts);
    let notes = streamed.notes.iter().chain(&fit);
    notes.for_each(|note| tell!("{note}"));
}

/// The files that the GLUE server takes, one per split, into the folder `--out`.
fn predict_glue(args: &PredictArgs) -> Result<()> {
    let Some(split) = args.split else {
        bail!("--format glue needs --split test and --data with the task's folder");
    };
    if args.out.as_os_str() == STANDARD {
        bail!("--format glue needs --out with a folder: the files' names are the server's");
    }
    // Before anything is loaded.
    parse_device(&args.tuned.device)?;
    let predictor = open_predictor(&args.tuned)?;
    let task = labelled(&predictor)?;
    let mut named: Vec<(String, Vec<PathBuf>)> = Vec::new();
    for split in splits(predictor.task(), split) {
        named.push((
            task.glue_file_name(split),
            task.split_files(&args.data, split)?,
        ));
    }
    let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let _made = prepare_folder(&args.out, &names)?;
    for (name, files) in &named {
        let mut labels: Vec<Label> = Vec::new();
        for file in files {
            let source = of_file(predictor.task(), file, None)?;
            let streamed = predictor.stream(source.rows, source.pace, |chunk| -> Result<()> {
                labels.extend(chunk.iter().filter_map(|(_, answer)| label(answer)));
                Ok(())
            })?;
            tell_notes(&predictor.tuned().base, &streamed, &source.name);
        }
        let mut file = Vec::new();
        task.write_glue(&mut file, &predictor.labels(), &labels)?;
        let path = args.out.join(name);
        write_file(&path, &file)?;
        say!("{} predictions: {}", labels.len(), path.display());
    }
    Ok(())
}

/// An answer as the server takes it.
fn label(answer: &Answer) -> Option<Label> {
    match answer {
        Answer::Class { class, .. } => Some(Label::Class(*class)),
        Answer::Value(value) => Some(Label::Value(f64::from(*value))),
        Answer::Labels { .. } | Answer::Text(_) | Answer::Span { .. } | Answer::Tags { .. } => None,
    }
}

/// The task, which must be one of labelled texts.
fn labelled(predictor: &Predictor) -> Result<&LabelledTask> {
    match predictor.task() {
        Task::Labelled(task) => match task.target.kind() {
            TaskKind::Classification | TaskKind::Regression | TaskKind::Similarity => Ok(task),
            TaskKind::MultiLabel
            | TaskKind::TokenClassification
            | TaskKind::QuestionAnswering
            | TaskKind::Ranking => bail!(
                "--format glue has one label or number for each text, which {} has not: leave it out",
                task.name
            ),
        },
        Task::Prompted(task) => bail!(
            "--format glue is for encoders: {} is a task of prompts; leave it out",
            task.name
        ),
    }
}

/// MNLI has two dev and two test splits.
fn splits(task: &Task, split: SplitName) -> Vec<Split> {
    match split {
        SplitName::Train => vec![Split::Train],
        SplitName::Dev => task.dev_splits().to_vec(),
        SplitName::Test => task.test_splits().to_vec(),
    }
}

impl From<Format> for InputFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Lines => Self::Lines,
            Format::Tsv => Self::Tsv,
            Format::Csv => Self::Csv,
            Format::Jsonl => Self::Jsonl,
            Format::Json => Self::Json,
            Format::Conll => Self::Conll,
        }
    }
}
