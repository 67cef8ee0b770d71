use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// Which columns of a file hold a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextColumns {
    /// Accepted names of one column. The first that a file has is read.
    First(Vec<String>),
    /// Columns whose texts are joined by one space, in this order; empty texts are left out.
    Joined(Vec<String>),
}

impl TextColumns {
    /// A column of this one name, or several whose texts are joined.
    pub fn of(names: Vec<String>) -> Self {
        match names.len() {
            1 => Self::First(names),
            _ => Self::Joined(names),
        }
    }

    /// All names of columns, in the order given.
    pub fn names(&self) -> &[String] {
        match self {
            Self::First(names) | Self::Joined(names) => names,
        }
    }

    /// Whether there is no column, such as the column of the second text in a task of single texts.
    pub fn is_empty(&self) -> bool {
        self.names().is_empty()
    }

    /// Where the text is, with what `find` gives for each column to read; the names that are
    /// missing when the text is not there.
    pub(crate) fn find<T>(&self, find: impl Fn(&String) -> Option<T>) -> Result<Vec<T>, &[String]> {
        match self {
            Self::First(names) => match names.iter().find_map(find) {
                Some(found) => Ok(vec![found]),
                None => Err(names),
            },
            Self::Joined(names) => names
                .iter()
                .map(|name| find(name).ok_or(std::slice::from_ref(name)))
                .collect(),
        }
    }
}

/// The text that the texts of columns make.
pub(crate) fn joined<'t>(texts: impl IntoIterator<Item = Cow<'t, str>>) -> Cow<'t, str> {
    let mut texts = texts.into_iter();
    let first = texts.next().unwrap_or_default();
    texts.fold(first, |joined, text| match (&*joined, &*text) {
        (_, "") => joined,
        ("", _) => text,
        _ => Cow::Owned(format!("{joined} {text}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_joined_by_one_space() {
        let join = |texts: &[&'static str]| joined(texts.iter().map(|&text| Cow::Borrowed(text)));
        assert_eq!(join(&["a", "b", "c"]), "a b c");
        assert_eq!(join(&["", "b", "", "c"]), "b c");
        assert_eq!(join(&[" a "]), " a ");
        assert_eq!(join(&["", ""]), "");
    }

    #[test]
    fn of_alternatives_the_first_is_read_and_of_parts_all() {
        let names = || vec!["a".to_owned(), "b".to_owned()];
        let has_b = |name: &String| (name == "b").then_some(7);
        assert_eq!(TextColumns::First(names()).find(has_b), Ok(vec![7]));
        let parts = TextColumns::Joined(names());
        assert_eq!(parts.find(has_b), Err(&["a".to_owned()][..]));
        assert_eq!(parts.find(|name| Some(name.len())), Ok(vec![1, 1]));
    }
}
