//! Checks of what stands in a task file, one function per kind of value.

use beft_core::Metric;
use toml::Spanned;

use crate::target::class_labels;
use crate::task_file::{Names, Wrong};
use crate::{
    ClassLabel, HeldOut, LabelForm, LabelTarget, LabelledTask, MultiLabel, TaskKind, TextColumns,
};

pub(crate) fn wrong<T, V>(value: &Spanned<V>, message: impl Into<String>) -> Result<T, Wrong> {
    Err((value.span(), message.into()))
}

/// Whether names of files can be made of a task's name: letters, digits, `-` and `_`.
pub(crate) fn is_file_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    !name.is_empty() && name.chars().all(plain)
}

/// Whether a learning rate can be used.
pub(crate) fn is_rate(rate: f64) -> bool {
    rate.is_finite() && rate > 0.0
}

pub(crate) fn checked_rate(rate: Option<Spanned<f64>>, usual: f64) -> Result<f64, Wrong> {
    match rate {
        None => Ok(usual),
        Some(rate) if is_rate(*rate.get_ref()) => Ok(rate.into_inner()),
        Some(rate) => wrong(&rate, "`learning_rate` must be more than 0"),
    }
}

pub(crate) fn label_columns(
    label: Option<Spanned<Names>>,
    usual: &str,
) -> Result<Vec<String>, Wrong> {
    label.map_or_else(|| Ok(vec![usual.to_owned()]), checked_columns)
}

/// The columns with the words of a task of tags, of which the first that a file has is read.
pub(crate) fn tokens(
    columns: Option<Spanned<Names>>,
    tagged: bool,
) -> Result<Option<TextColumns>, Wrong> {
    match columns {
        Some(columns) if !tagged => wrong(
            &columns,
            "`tokens` is for tasks of `kind = \"token_classification\"`: remove it",
        ),
        Some(columns) => checked_columns(columns).map(|names| Some(TextColumns::First(names))),
        None => {
            Ok(tagged.then(|| TextColumns::First(["tokens", "text"].map(str::to_owned).to_vec())))
        }
    }
}

/// A name that is good for file names and is not taken.
pub(crate) fn checked_name(name: Spanned<String>) -> Result<String, Wrong> {
    let text = name.get_ref();
    if !is_file_name(text) {
        return wrong(&name, "`name` must be made of letters, digits, `-` and `_`");
    }
    if LabelledTask::named(text).is_ok() {
        return wrong(
            &name,
            format!("`{text}` is a built-in task: choose another name"),
        );
    }
    Ok(name.into_inner())
}

/// What a key with one column or with several to join says, or the key beside it with alternatives.
pub(crate) fn text_columns(
    parts: Option<Spanned<Names>>,
    alternatives: Option<Spanned<Vec<String>>>,
    key: &str,
) -> Result<Option<TextColumns>, Wrong> {
    match (parts, alternatives) {
        (None, None) => Ok(None),
        (Some(parts), None) => checked_columns(parts).map(|names| Some(TextColumns::of(names))),
        (None, Some(names)) => {
            let span = names.span();
            let names = Spanned::new(span, Names::Several(names.into_inner()));
            checked_columns(names).map(|names| Some(TextColumns::First(names)))
        }
        (Some(_), Some(alternatives)) => {
            let message =
                format!("`{key}` and `{key}_alternatives` exclude each other: remove one");
            wrong(&alternatives, message)
        }
    }
}

pub(crate) fn checked_columns(columns: Spanned<Names>) -> Result<Vec<String>, Wrong> {
    let span = columns.span();
    let names = columns.into_inner().into_vec();
    // Names in headers are read without outer spaces.
    if names.is_empty() || names.iter().any(|n| n.is_empty() || n.trim() != n) {
        let message = "a column needs a name that does not begin or end with a space";
        return Err((span, message.to_owned()));
    }
    Ok(names)
}

pub(crate) fn checked_labels(labels: Spanned<Vec<Names>>) -> Result<Vec<Vec<String>>, Wrong> {
    let sets: Vec<_> = labels
        .get_ref()
        .iter()
        .cloned()
        .map(Names::into_vec)
        .collect();
    if sets.len() < 2 || sets.iter().any(Vec::is_empty) {
        return wrong(&labels, "`labels` must be at least two, each with a name");
    }
    let all: Vec<_> = sets.iter().flatten().collect();
    for (index, spelling) in all.iter().enumerate() {
        if spelling.trim() != spelling.as_str() || spelling.is_empty() {
            return wrong(
                &labels,
                "`labels` must not be empty, or begin or end with a space",
            );
        }
        if all[..index].contains(spelling) {
            return wrong(&labels, format!("label `{spelling}` is there twice"));
        }
    }
    Ok(sets)
}

/// Whether rare classes count as much as frequent ones, of a task that has classes or has none.
pub(crate) fn balanced(key: Option<Spanned<bool>>, classes: bool) -> Result<bool, Wrong> {
    match key {
        None => Ok(false),
        Some(key) if classes => Ok(key.into_inner()),
        Some(key) => wrong(&key, "`balanced` is for tasks with classes: remove it"),
    }
}

/// Whether each file has a second text.
pub(crate) fn pair_required(key: Option<Spanned<bool>>, pairs: bool) -> Result<bool, Wrong> {
    match key {
        None => Ok(pairs),
        Some(key) if pairs => Ok(key.into_inner()),
        Some(key) => wrong(
            &key,
            "`pair_required` needs `pair`, the column of the second text",
        ),
    }
}

/// Fails if there is no metric, or one of them twice.
pub(crate) fn each_once(metrics: &Spanned<Vec<Metric>>) -> Result<(), Wrong> {
    let all = metrics.get_ref();
    if all.is_empty() {
        return wrong(metrics, "`metrics` must name at least one metric");
    }
    for (index, metric) in all.iter().enumerate() {
        if all[..index].contains(metric) {
            return wrong(metrics, format!("metric `{metric}` is there twice"));
        }
    }
    Ok(())
}

pub(crate) fn checked_metrics(
    metrics: Spanned<Vec<Metric>>,
    kind: TaskKind,
    classes: Option<usize>,
) -> Result<Vec<Metric>, Wrong> {
    each_once(&metrics)?;
    if let Some(metric) = metrics.get_ref().iter().find(|m| !kind.suits(**m, classes)) {
        let message = match kind.suits(*metric, Some(2)) {
            true => format!("metric `{metric}` is of two labels: write `macro_f1`"),
            false => format!("metric `{metric}` does not fit the kind of task"),
        };
        return wrong(&metrics, message);
    }
    Ok(metrics.into_inner())
}

pub(crate) fn only_multi_label<T>(value: &Option<Spanned<T>>, key: &str) -> Result<(), Wrong> {
    match value {
        None => Ok(()),
        Some(value) => wrong(
            value,
            format!("`{key}` is for tasks of `kind = \"multi_label\"`: remove it"),
        ),
    }
}

/// Fails if there is one of these keys, for which tasks of words have no use.
pub(crate) fn no_texts<T>(keys: [&Option<Spanned<T>>; 2]) -> Result<(), Wrong> {
    let message =
        "a task of `kind = \"token_classification\"` reads words: name their column in `tokens`";
    match keys.into_iter().flatten().next() {
        Some(key) => wrong(key, message),
        None => Ok(()),
    }
}

/// The columns with several labels, and what the labels are.
pub(crate) fn multi_label(
    label: Option<Spanned<Names>>,
    columns: Option<Spanned<Vec<String>>>,
    separator: Option<Spanned<String>>,
    labels: Option<Vec<ClassLabel>>,
) -> Result<(Vec<String>, LabelTarget), Wrong> {
    if let Some(columns) = columns {
        if let Some(label) = label {
            return wrong(
                &label,
                "`label` and `label_columns` exclude each other: remove one",
            );
        }
        let span = columns.span();
        let names = Spanned::new(span.clone(), Names::Several(columns.into_inner()));
        let names = checked_columns(names)?;
        let own = names.iter().cloned().map(Names::One).collect();
        let own = class_labels(checked_labels(Spanned::new(span.clone(), own))?);
        if labels.is_some() {
            let message = "`labels` are those of `label_columns`: remove them";
            return Err((span, message.to_owned()));
        }
        let set = MultiLabel {
            labels: Some(own),
            form: LabelForm::Columns,
        };
        return Ok((names, LabelTarget::Labels(set)));
    }
    let separator = match separator {
        None => ",".to_owned(),
        Some(text) if text.get_ref().is_empty() => {
            return wrong(&text, "`separator` must be a text");
        }
        Some(text) => text.into_inner(),
    };
    let set = MultiLabel {
        labels,
        form: LabelForm::Separated(separator),
    };
    Ok((label_columns(label, "label")?, LabelTarget::Labels(set)))
}

/// How one file is split.
pub(crate) fn held_out(
    share: Option<Spanned<f64>>,
    seed: Option<Spanned<u32>>,
) -> Result<Option<HeldOut>, Wrong> {
    match (share, seed) {
        (None, None) => Ok(None),
        (None, Some(seed)) => wrong(&seed, "`split_seed` needs `dev_share`"),
        (Some(share), seed) => {
            let value = *share.get_ref();
            if !(value > 0.0 && value < 1.0) {
                return wrong(&share, "`dev_share` must be above 0 and below 1");
            }
            let seed = seed.map_or(0, Spanned::into_inner);
            Ok(Some(HeldOut { share: value, seed }))
        }
    }
}
