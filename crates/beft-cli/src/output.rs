use std::fs;
use std::io::{self, Write, stdout};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use anyhow::{Context, Result, bail};
use beft::table::{Align, Block, Cell, Document, Table};
use beft_files::{FolderLock, write_atomic};
use comfy_table::CellAlignment;

/// Prints a line to standard output, as `println!` does. A failure does not panic: [`finish`] reports
/// it.
macro_rules! say {
    ($($arg:tt)*) => {
        $crate::output::write_line(format_args!($($arg)*))
    };
}
pub(crate) use say;

/// The first failure of standard output. A reader that has gone away (`beft eval ... | head -1`) is none.
static FAILED: OnceLock<io::Error> = OnceLock::new();

fn keep(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // Only the first counts.
        let _ = FAILED.set(error);
    }
}

/// Whether this process says nothing, because another one of its job does.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Lets this process say nothing any more, or something again.
pub(crate) fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Writes a line to standard output.
pub(crate) fn write_line(text: std::fmt::Arguments<'_>) {
    if !is_quiet() {
        keep(writeln!(stdout(), "{text}"));
    }
}

/// Writes bytes to standard output so that they can be read at once; whether anyone still reads.
pub(crate) fn write_now(bytes: &[u8]) -> bool {
    let mut stdout = stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    let arrived = written.is_ok();
    keep(written);
    arrived
}

/// Fails if anything that was written to standard output so far has not arrived there.
pub(crate) fn finish() -> Result<()> {
    keep(stdout().flush());
    match FAILED.get() {
        Some(error) => bail!("cannot write to standard output: {error}"),
        None => Ok(()),
    }
}

/// Prints a line to standard error, as `eprintln!` does, but never panics: a note, or where the work is.
macro_rules! tell {
    ($($arg:tt)*) => {
        if $crate::output::says_notes() {
            $crate::output::complain!($($arg)*);
        }
    };
}
pub(crate) use tell;

/// The same for an error or a warning.
macro_rules! complain {
    ($($arg:tt)*) => {{
        use std::io::Write;
        if !$crate::output::is_quiet() {
            let _ = writeln!(std::io::stderr(), $($arg)*);
        }
    }};
}
pub(crate) use complain;

/// Whether only errors and warnings go to standard error.
static NO_NOTES: AtomicBool = AtomicBool::new(false);

/// Whether words of messages have colours.
static COLOURS: AtomicBool = AtomicBool::new(false);

/// Leaves notes and progress out.
pub(crate) fn leave_notes_out() {
    NO_NOTES.store(true, Ordering::Relaxed);
}

pub(crate) fn says_notes() -> bool {
    !NO_NOTES.load(Ordering::Relaxed)
}

pub(crate) fn set_colours(on: bool) {
    COLOURS.store(on, Ordering::Relaxed);
}

/// A word in a colour, where there are colours.
pub(crate) fn painted(word: &str, colour: &str) -> String {
    match COLOURS.load(Ordering::Relaxed) {
        true => format!("\u{1b}[{colour}m{word}\u{1b}[0m"),
        false => word.to_owned(),
    }
}

/// The command that does what this process does, for a shell; without what continues an interrupted one.
pub(crate) fn command() -> Option<String> {
    let words = std::env::args_os()
        .skip(1)
        .map(|word| word.into_string().ok());
    let words: Vec<String> = words.collect::<Option<_>>()?;
    let words = words
        .iter()
        .map(String::as_str)
        .filter(|word| *word != "--resume");
    shlex::try_join(["beft"].into_iter().chain(words)).ok()
}

/// The beginning of a long text, at most so many characters.
pub(crate) fn beginning(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['\u{2026}']).collect(),
        false => text.to_owned(),
    }
}

/// Prints a value as JSON, as it is written to files.
pub(crate) fn print_json(value: &impl serde::Serialize) {
    say!(
        "{}",
        serde_json::to_string_pretty(value).unwrap_or_default()
    );
}

/// Output folders that a command made. Those that are still empty at its end, because it failed, are
/// removed.
#[must_use = "an empty folder stays only as long as this lives"]
pub(crate) struct MadeFolders(Vec<PathBuf>);

impl MadeFolders {
    /// Those that have to be made for this one to be there.
    pub(crate) fn of(dir: &Path) -> Self {
        let absent = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
        Self(
            dir.ancestors()
                .take_while(absent)
                .map(Path::to_owned)
                .collect(),
        )
    }
}

impl Drop for MadeFolders {
    fn drop(&mut self) {
        // Removes empty folders only.
        self.0.iter().for_each(|dir| drop(fs::remove_dir(dir)));
    }
}

/// An output folder that no other process writes to meanwhile.
#[must_use = "the folder is free again when this is dropped"]
pub(crate) struct OutputFolder {
    // Dropped in this order: a folder is empty once its lock is gone.
    _lock: FolderLock,
    _made: MadeFolders,
}

/// What [`abandon`] removes: a lock's file, then the folders that were made.
static LEFT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

impl OutputFolder {
    fn new(dir: &Path, made: MadeFolders) -> Result<Self> {
        let lock = FolderLock::acquire(dir)?;
        let mut left = LEFT.lock().unwrap_or_else(|e| e.into_inner());
        left.push(dir.join(FolderLock::FILE));
        left.extend(made.0.iter().cloned());
        Ok(Self {
            _lock: lock,
            _made: made,
        })
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        LEFT.lock().unwrap_or_else(|e| e.into_inner()).clear();
    }
}

/// Removes what must not stay when the process ends at once. Needs no memory.
pub(crate) fn abandon() {
    if let Ok(left) = LEFT.try_lock() {
        for path in left.iter() {
            // One of the two fits; a folder with anything in it stays.
            let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
        }
    }
}

/// Prepares an output folder as [`prepare_folder`] does, and keeps other processes out of it.
pub(crate) fn lock_folder(dir: &Path, files: &[&str]) -> Result<OutputFolder> {
    let made = prepare_folder(dir, files)?;
    OutputFolder::new(dir, made)
}

/// Creates an output folder and makes sure that it and its `files` can be written.
pub(crate) fn prepare_folder(dir: &Path, files: &[&str]) -> Result<MadeFolders> {
    let unwritable = || {
        format!(
            "cannot write to the output folder {} (give another folder)",
            dir.display()
        )
    };
    if let Some(file) = dir.ancestors().find(|path| path.is_file()) {
        bail!("{}: {} is a file", unwritable(), file.display());
    }
    let made = MadeFolders::of(dir);
    fs::create_dir_all(dir).with_context(unwritable)?;
    let probe = dir.join(format!(".probe.{}", std::process::id()));
    fs::write(&probe, b"").with_context(unwritable)?;
    fs::remove_file(&probe).with_context(unwritable)?;
    if let Some(file) = files
        .iter()
        .map(|file| dir.join(file))
        .find(|path| path.is_dir())
    {
        bail!("cannot write {}: it is a folder", file.display());
    }
    Ok(made)
}

/// Makes sure that an output file can be written, without touching it. It must be none of the `inputs`,
/// in no folder among them, and in no model folder.
pub(crate) fn check_file(path: &Path, inputs: &[&Path]) -> Result<MadeFolders> {
    if path.is_dir() {
        bail!("cannot write {}: it is a folder", path.display());
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    if parent.join("config.json").is_file() && parent.join("tokenizer.json").is_file() {
        bail!(
            "{} is a model folder: write to a file elsewhere",
            parent.display()
        );
    }
    if let Ok(output) = path.canonicalize() {
        let taken = inputs
            .iter()
            .filter_map(|input| input.canonicalize().ok())
            .any(|input| output == input || (input.is_dir() && output.parent() == Some(&input)));
        if taken {
            bail!("{} is an input: write to another file", path.display());
        }
    }
    prepare_folder(parent, &[])
}

/// Writes a file whole or not at all.
pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Prints a table to standard output, in aligned columns.
pub(crate) fn print_table(table: &Table) {
    let mut out = comfy_table::Table::new();
    out.load_preset(comfy_table::presets::NOTHING);
    if table.columns.iter().any(|(name, _)| !name.is_empty()) {
        out.set_header(table.columns.iter().map(|(name, _)| name));
    }
    for row in &table.rows {
        out.add_row(row.iter().map(Cell::to_plain));
    }
    for (column, (_, align)) in out.column_iter_mut().zip(&table.columns) {
        column.set_padding((2, 0));
        column.set_cell_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right | Align::Numbers => CellAlignment::Right,
        });
    }
    say!("{}", out.trim_fmt());
}

/// Prints a document to standard output.
pub(crate) fn print_document(document: &Document) {
    for block in &document.blocks {
        match block {
            Block::Heading(_, text) | Block::Paragraph(text) => say!("{text}"),
            Block::Table(table) => print_table(table),
            // A terminal shows none.
            Block::Picture(_) => continue,
            Block::List(items) => items.iter().for_each(|item| say!("- {item}")),
        }
        say!("");
    }
}
