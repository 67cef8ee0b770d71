use std::io::{BufReader, Write, stdin};
use std::path::Path;

use anyhow::{Context, Result, bail};
use beft::{OpenOptions, Tuned, open_tuned, parse_device};
use beft_core::TaskType;
use beft_files::PartialFile;
use beft_tasks::{InputFormat, Inputs, LabelledTask, Task, TaskInput, TextColumns};
use serde_json::json;

use super::{STANDARD, fetch_base};
use crate::args::{EmbedArgs, VectorFormat};
use crate::output::{check_file, tell, write_now};
use crate::progress::Progress;

/// Texts that are computed together.
const CHUNK: usize = 1024;

pub(crate) fn embed(args: &EmbedArgs) -> Result<()> {
    let format = format(args)?;
    let to_stdout = args.out.as_os_str() == STANDARD;
    let device = parse_device(&args.device)?;
    let mut inputs: Vec<&Path> = vec![&args.data];
    inputs.extend(args.adapter.as_deref());
    let _made = (!to_stdout)
        .then(|| check_file(&args.out, &inputs))
        .transpose()?;
    let rows = rows(args)?;
    fetch_base(args.model.as_deref(), args.adapter.as_deref())?;
    let tuned = open_tuned(&OpenOptions {
        model: args.model.as_deref(),
        adapter: args.adapter.as_deref(),
        task_type: Some(TaskType::FeatureExtraction),
        device: Some(&device),
        precision: args.precision,
        max_length: args.max_length.map(|n| n as usize),
        ..OpenOptions::default()
    })?
    .only_used();
    tuned.notes.iter().for_each(|note| tell!("{note}"));
    let file = (!to_stdout).then(|| PartialFile::create(&args.out));
    let file = file.transpose().with_context(|| cannot(&args.out))?;
    let mut vectors = Vectors {
        format,
        file,
        rows: 0,
        width: 0,
        values: Vec::new(),
    };
    vectors.of(&tuned, rows, args)?;
    vectors.finish(args)
}

/// The format that is asked for, else that of the output's name.
fn format(args: &EmbedArgs) -> Result<VectorFormat> {
    let by_name = match args.out.extension().and_then(|e| e.to_str()) {
        Some("npy") => Some(VectorFormat::Npy),
        None | Some("jsonl" | "json") => Some(VectorFormat::Jsonl),
        Some(_) => None,
    };
    match args.format.or(by_name) {
        Some(format) => Ok(format),
        None => bail!(
            "cannot tell the format of {} by its name: give --format jsonl or npy, or end it in .jsonl or .npy",
            args.out.display()
        ),
    }
}

/// The texts: one column of a file, or lines.
fn rows(args: &EmbedArgs) -> Result<Inputs> {
    let format = args.input_format.map(InputFormat::from);
    let standard = args.data.as_os_str() == STANDARD;
    let usual = || match standard {
        true => Some(InputFormat::Lines),
        false => InputFormat::of_path(&args.data),
    };
    if args.text.is_some() && matches!(format.or_else(usual), Some(InputFormat::Lines)) {
        bail!(
            "--text names columns, and lines of text have none: leave it out, or give --input-format"
        );
    }
    let mut task = LabelledTask::named("text")?;
    if let Some(columns) = &args.text {
        task.text_columns = TextColumns::of(columns.0.clone());
    }
    task.pair_columns = TextColumns::First(Vec::new());
    let task = Task::from(task);
    if standard {
        let reader = BufReader::with_capacity(1 << 16, stdin());
        let format = format.unwrap_or(InputFormat::Lines);
        return Ok(task.inputs(Path::new("standard input"), reader, format)?);
    }
    if args.data.is_dir() {
        bail!("{} is a folder: give one file", args.data.display());
    }
    Ok(task.open_inputs(&args.data, format)?)
}

fn cannot(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

/// Embeddings on their way to a file.
struct Vectors {
    format: VectorFormat,
    file: Option<PartialFile>,
    rows: usize,
    width: usize,
    /// What a .npy file holds, whose header says how many there are.
    values: Vec<f32>,
}

impl Vectors {
    fn of(&mut self, tuned: &Tuned, rows: Inputs, args: &EmbedArgs) -> Result<()> {
        let progress = Progress::new();
        let bar = progress.count("texts");
        let mut counts = beft::InputCounts::default();
        let mut texts: Vec<String> = Vec::new();
        let mut rows = rows.peekable();
        while let Some(row) = rows.next() {
            if let TaskInput::Text(example) = row?.input {
                texts.push(example.text);
            }
            if texts.len() < CHUNK && rows.peek().is_some() {
                continue;
            }
            let chunk: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (found, fit) = tuned.embeddings(&chunk)?;
            counts += fit;
            bar.inc(chunk.len() as u64);
            if !self.write(&chunk, &found, args)? {
                return Ok(());
            }
            texts.clear();
        }
        progress.finish();
        let name = match args.data.as_os_str() == STANDARD {
            true => "standard input".to_owned(),
            false => args.data.display().to_string(),
        };
        if self.rows == 0 {
            bail!("{name}: there are no texts: give at least one");
        }
        let notes = tuned.base.input_notes(&name, counts);
        notes.iter().for_each(|note| tell!("{note}"));
        Ok(())
    }

    /// Whether anybody still reads what is written.
    fn write(&mut self, texts: &[&str], found: &[Vec<f32>], args: &EmbedArgs) -> Result<bool> {
        self.width = found.first().map_or(self.width, Vec::len);
        let mut lines = Vec::new();
        for (text, embedding) in texts.iter().zip(found) {
            match self.format {
                VectorFormat::Npy => self.values.extend(embedding),
                VectorFormat::Jsonl => {
                    let line = json!({"index": self.rows, "text": text, "embedding": embedding});
                    writeln!(lines, "{line}")?;
                }
            }
            self.rows += 1;
        }
        self.put(&lines, args)
    }

    fn put(&mut self, bytes: &[u8], args: &EmbedArgs) -> Result<bool> {
        match &mut self.file {
            Some(file) => {
                file.write_all(bytes).with_context(|| cannot(&args.out))?;
                Ok(true)
            }
            None => Ok(write_now(bytes)),
        }
    }

    fn finish(mut self, args: &EmbedArgs) -> Result<()> {
        if let VectorFormat::Npy = self.format {
            let values = std::mem::take(&mut self.values);
            let mut bytes = npy_header(self.rows, self.width);
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            self.put(&bytes, args)?;
        }
        match self.file {
            Some(file) => file.finish().with_context(|| cannot(&args.out)),
            None => Ok(()),
        }
    }
}

/// The header of numpy's format, version 1.0, for `[rows, width]` numbers of type f32.
fn npy_header(rows: usize, width: usize) -> Vec<u8> {
    let mut text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    // Magic, version and length take 10 bytes, and all of it a multiple of 64.
    let padding = (64 - (10 + text.len() + 1) % 64) % 64;
    text.push_str(&" ".repeat(padding));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.into_bytes());
    bytes
}
