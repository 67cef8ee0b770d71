//! What to do about errors in data.

use crate::classes::default_number;

/// What to do where a label is not among `labels`.
pub(crate) fn label_remedy(labels: &[String]) -> &'static str {
    if !labels.is_empty() && labels.iter().all(|label| default_number(label).is_some()) {
        "the model does not name its classes, so give a task file whose `labels` are \
         their names in the order of its outputs"
    } else {
        "correct it, use the labels of the training file, or name all labels in a task file (`labels`)"
    }
}

/// What to do where a column is not among `found`.
pub(crate) fn column_remedy(found: &[String]) -> &'static str {
    let quoted = |name: &String| name.len() > 1 && name.starts_with('"') && name.ends_with('"');
    if found.iter().any(quoted) {
        "the names stand in double quotes, which belong to them in TSV, so name the file .csv, or \
         write it without (pandas: `quoting=csv.QUOTE_NONE`)"
    } else {
        "rename or add a column"
    }
}
