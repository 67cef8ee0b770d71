//! `beft predict` under several adapters.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Result, bail};
use beft::{AdapterSet, Answer, Error, InputCounts, Member, stream_rows};
use beft_tasks::{InputRow, TaskInput};
use serde_json::Value;

use super::open_set;
use super::predict::{Output, kept, sources, tell_notes};
use crate::args::PredictArgs;
use crate::output::tell;
use crate::progress::Progress;
use crate::rows::{RowFormat, RowWriter};

/// The field of a row that names its adapters, and of a prediction that names the one that made it.
const FIELD: &str = "adapter";

/// Gives each text to every adapter, or to those that it names.
pub(super) fn predict_set(args: &PredictArgs, format: RowFormat, to_stdout: bool) -> Result<()> {
    if format != RowFormat::Jsonl {
        bail!(
            "the columns of a table are those of one adapter: use --format jsonl, or give one --adapter"
        );
    }
    if args.tuned.task.is_some() || args.tuned.max_length.is_some() {
        bail!(
            "each adapter has its own task and length: leave out --task and --max-length, or give one --adapter"
        );
    }
    let set = load_set(args)?;
    let members = set.members();
    let first = members[0].predictor()?;
    let sources = sources(args, first.task())?;
    for member in &members {
        if member.predictor()?.task().is_prompted() != first.task().is_prompted() {
            bail!(
                "`{}` and `{}` differ in whether they ask prompts: predict with one of them at a time",
                members[0].name(),
                member.name()
            );
        }
        if !sources[0].plain && !member.predictor()?.task().reads_like(first.task()) {
            bail!(
                "the adapters `{}` and `{}` were trained on other columns: predict with one of them at a time",
                members[0].name(),
                member.name()
            );
        }
    }
    let mut output = Output::open(args, to_stdout)?;
    let mut writer = RowWriter::new(format, kept(args, &sources), Vec::new());
    let progress = Progress::new();
    let bar = progress.count("inputs");
    for source in sources {
        let answer = |rows: &[InputRow]| answer(&set, &members, rows);
        let found = stream_rows(source.rows, source.pace, answer, |chunk| -> Result<()> {
            bar.inc(chunk.len() as u64);
            let mut bytes = Vec::new();
            for (mut row, answers) in chunk {
                row.columns.remove(FIELD);
                for (member, answer) in answers {
                    let labels = member.predictor()?.labels();
                    writer.write_of(
                        &mut bytes,
                        row.columns.clone(),
                        &answer,
                        (member.name(), labels),
                    )?;
                }
                writer.next_row();
            }
            output.write(&bytes, &args.out)
        });
        let Some(streamed) = output.whole(found, writer.rows())? else {
            return Ok(());
        };
        progress.finish();
        tell_notes(&first.tuned().base, &streamed, &source.name);
    }
    writer.notes().iter().for_each(|note| tell!("{note}"));
    output.finish(&args.out)
}

/// Loads the adapters.
fn load_set(args: &PredictArgs) -> Result<AdapterSet> {
    let adapters = &args.tuned.adapter;
    let mut names = BTreeSet::new();
    for adapter in adapters {
        if !names.insert(&adapter.name) {
            bail!(
                "two adapters are called `{}`: give them names, as in --adapter a={} --adapter b=DIR",
                adapter.name,
                adapter.dir.display()
            );
        }
    }
    let tuned = &args.tuned;
    let precision = tuned.precision.unwrap_or_default();
    let set = open_set(tuned.model.as_deref(), adapters, &tuned.device, precision)?;
    for adapter in adapters {
        let member = set.load(&adapter.name, &adapter.dir)?;
        // The base's own were told before.
        let told = set.notes();
        let own = member.notes().iter().filter(|note| !told.contains(note));
        own.for_each(|note| tell!("{note}"));
    }
    Ok(set)
}

/// What each row's adapters say of it.
type Said = Vec<(Arc<Member>, Answer)>;

/// Answers rows in one batch.
fn answer(
    set: &AdapterSet,
    members: &[Arc<Member>],
    rows: &[InputRow],
) -> Result<(Vec<Said>, InputCounts), Error> {
    let mut of_rows: Vec<Vec<Arc<Member>>> = Vec::with_capacity(rows.len());
    for row in rows {
        let named = |name: &Value| set.get(name.as_str().unwrap_or(&name.to_string()));
        of_rows.push(match row.columns.get(FIELD) {
            None | Some(Value::Null) => members.to_vec(),
            Some(Value::String(name)) if name.is_empty() => members.to_vec(),
            Some(Value::Array(names)) => {
                let own = names.iter().map(named).collect::<Result<Vec<_>, _>>()?;
                let twice = own.iter().enumerate();
                let twice = twice.map(|(i, one)| own[..i].iter().any(|m| m.name() == one.name()));
                if own.is_empty() || twice.into_iter().any(|twice| twice) {
                    let given = Value::Array(names.clone()).to_string();
                    return Err(Error::RowAdapters { given });
                }
                own
            }
            Some(name) => vec![named(name)?],
        });
    }
    let asked = rows.iter().zip(&of_rows).flat_map(|(row, members)| {
        let input = &row.input;
        members.iter().map(move |member| (member.name(), input))
    });
    let asked: Vec<(&str, &TaskInput)> = asked.collect();
    let found = set.predict(&asked)?;
    let mut answers = found.answers.into_iter();
    let said = of_rows.into_iter().map(|members| {
        let own = members.into_iter().zip(answers.by_ref());
        own.collect()
    });
    let said = said.collect();
    // Of what adapters read: one may cut a row that another takes whole.
    Ok((said, found.counts))
}
