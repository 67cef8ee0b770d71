//! Texts of requests as inputs of adapters.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use beft::{Answer, Member, Prepared};
use beft_tasks::{InputFormat, Task, TaskInput};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;

/// One input of a model.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Item {
    /// A text.
    Text(String),
    /// A text, or two that are a pair.
    Texts(Vec<String>),
    /// The columns that the adapter's task reads.
    Columns(Map<String, Value>),
}

impl Item {
    /// What an adapter's model is given.
    fn input(&self, member: &Member) -> Result<TaskInput, ApiError> {
        let task = member.predictor()?.task();
        match (self, task) {
            (Self::Text(text), Task::Labelled(_)) => Ok(text.as_str().into()),
            (Self::Text(text), Task::Prompted(prompt)) => {
                let column = prompt.template.only_column().ok_or_else(|| {
                    ApiError::unfit(format!(
                        "adapter `{}` asks `{}`: give an object with these fields in place of a text",
                        member.name(),
                        prompt.template.source()
                    ))
                })?;
                let columns = Map::from_iter([(column.to_owned(), text.as_str().into())]);
                from_columns(task, columns)
            }
            (Self::Texts(texts), Task::Labelled(_)) => match texts.as_slice() {
                [text] => Ok(text.as_str().into()),
                [text, pair] => Ok((text.as_str(), pair.as_str()).into()),
                _ => Err(ApiError::malformed(
                    "an input in a list is one text, or two that are a pair",
                )),
            },
            (Self::Texts(_), Task::Prompted(_)) => Err(ApiError::unfit(format!(
                "adapter `{}` takes no pairs: give an object with the fields of its prompt",
                member.name()
            ))),
            (Self::Columns(columns), _) => from_columns(task, columns.clone()),
        }
    }
}

/// A row of a file with these columns.
fn from_columns(task: &Task, columns: Map<String, Value>) -> Result<TaskInput, ApiError> {
    let unfit = |error: beft_tasks::DataError| ApiError::unfit(error.to_string());
    let line = Value::Object(columns).to_string();
    let rows = task.inputs(Path::new("input"), Cursor::new(line), InputFormat::Jsonl);
    let mut rows = rows.map_err(unfit)?;
    let row = rows
        .next()
        .ok_or_else(|| ApiError::unfit("an input has no columns"))?;
    let row = row.map_err(unfit)?;
    match rows.next() {
        None => Ok(row.input),
        Some(_) => Err(ApiError::unfit(
            "an input makes several questions: give them one by one",
        )),
    }
}

/// What adapters say of items.
pub(crate) struct Said {
    /// For each adapter its answers, one for each item.
    pub(crate) answers: Vec<(Arc<Member>, Vec<Answer>)>,
    /// Tokens of all items, as the first adapter reads them.
    pub(crate) tokens: usize,
}

/// Asks each of `members` about each of `items`.
pub(crate) async fn ask(
    app: &Arc<App>,
    members: Vec<Arc<Member>>,
    items: Vec<Item>,
    truncate: bool,
) -> Result<Said, ApiError> {
    let most = app.limits.batch_size;
    if items.is_empty() {
        return Err(ApiError::malformed("there is no input: give at least one"));
    }
    if items.len() > most {
        return Err(ApiError::too_large(format!(
            "{} inputs are more than {most}: send them in several requests",
            items.len()
        )));
    }
    // Tokenising takes a processor's time, and memory in proportion to the text.
    let processor = app.processor().await;
    let prepared = tokio::task::spawn_blocking(move || prepare(&members, &items, truncate));
    let prepared = prepared.await.map_err(|_| ApiError::internal())??;
    drop(processor);
    let tokens = prepared.first().map_or(0, |(_, prepared)| {
        let encodings = prepared.encodings().iter();
        encodings.map(|encoding| encoding.len()).sum()
    });
    // Inputs of one text under several adapters follow one another, so that a batch has them together.
    let mut order: BTreeMap<usize, Vec<(usize, usize)>> = BTreeMap::new();
    for (number, (_, prepared)) in prepared.iter().enumerate() {
        for place in 0..prepared.encodings().len() {
            order.entry(place).or_default().push((number, place));
        }
    }
    let order: Vec<(usize, usize)> = order.into_values().flatten().collect();
    let inputs = order.iter().map(|(number, place)| {
        let (member, prepared) = &prepared[*number];
        (member.clone(), prepared.encodings()[*place].clone())
    });
    let numbers = app.engine.compute(inputs.collect()).await;
    let numbers = numbers.map_err(|_| ApiError::internal())?;
    let mut own: Vec<Vec<Vec<f32>>> = { prepared.iter() }
        .map(|(_, prepared)| vec![Vec::new(); prepared.encodings().len()])
        .collect();
    for ((number, place), numbers) in order.into_iter().zip(numbers) {
        own[number][place] = numbers;
    }
    let answers = prepared
        .into_iter()
        .zip(own)
        .map(|((member, prepared), own)| {
            let found = member.predictor()?.finish(prepared, own)?;
            Ok::<_, ApiError>((member, found.answers))
        });
    Ok(Said {
        answers: answers.collect::<Result<_, _>>()?,
        tokens,
    })
}

fn prepare(
    members: &[Arc<Member>],
    items: &[Item],
    truncate: bool,
) -> Result<Vec<(Arc<Member>, Prepared)>, ApiError> {
    // What the columns of an object are depends on the task.
    let texts = items.iter().all(|item| !matches!(item, Item::Columns(_)));
    let mut all: Vec<(Arc<Member>, Prepared)> = Vec::with_capacity(members.len());
    for member in members {
        let predictor = member.predictor()?;
        let mut same = None;
        for (other, prepared) in &all {
            if texts && predictor.prepares_as(other.predictor()?) {
                same = Some(prepared.clone());
                break;
            }
        }
        let prepared = match same {
            Some(prepared) => prepared,
            None => prepare_one(member, items, truncate)?,
        };
        all.push((member.clone(), prepared));
    }
    Ok(all)
}

fn prepare_one(member: &Member, items: &[Item], truncate: bool) -> Result<Prepared, ApiError> {
    let inputs = items.iter().map(|item| item.input(member));
    let inputs: Vec<TaskInput> = inputs.collect::<Result<_, _>>()?;
    let inputs: Vec<&TaskInput> = inputs.iter().collect();
    let prepared = member.predictor()?.prepare(&inputs);
    let prepared = prepared.map_err(|error| unprepared(member, error))?;
    if prepared.counts().empty > 0 {
        return Err(ApiError::malformed("an input has no text: leave it out"));
    }
    let cut = prepared.counts().cut;
    if cut > 0 && !truncate {
        return Err(ApiError::too_large(format!(
            "{cut} of {} inputs are longer than the {} tokens of adapter `{}`: shorten them, or set \"truncate\": true",
            items.len(),
            member.tuned().base.max_length(),
            member.name()
        )));
    }
    Ok(prepared)
}

/// Why an adapter takes no such inputs; the command's remedy for files would help nobody here.
fn unprepared(member: &Member, error: beft::Error) -> ApiError {
    let name = member.name();
    match error {
        beft::Error::Pairs { trained: true } => ApiError::unfit(format!(
            "adapter `{name}` takes pairs of texts: give the second text too"
        )),
        beft::Error::Pairs { trained: false } => ApiError::unfit(format!(
            "adapter `{name}` takes one text, and this is a pair: leave out the second text, or send two texts as [[\"a\"], [\"b\"]]"
        )),
        error => error.into(),
    }
}
