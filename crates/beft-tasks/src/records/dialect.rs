//! How a delimited file was written, where its looks tell.

use std::path::Path;

/// The delimiter of a CSV file, and what to say of it. A comma, unless the first line has none and
/// has semicolons (as programs write in countries with a decimal comma) or tabs. `is_column` tells
/// whether a name is that of a column to read.
pub(super) fn delimiter(
    path: &Path,
    content: &str,
    mut is_column: impl FnMut(&str) -> bool,
) -> (u8, Option<String>) {
    let mut lines = content.lines().map(str::trim_end);
    let header = lines.find(|line| !line.is_empty()).unwrap_or_default();
    let mut has = |name: &str, delimiter| header.contains(delimiter) && !is_column(name);
    let (byte, name) = if header.contains(',') {
        return (b',', None);
    } else if has(header, ';') {
        (b';', "semicolons")
    } else if has(header, '\t') {
        (b'\t', "tabs")
    } else {
        return (b',', None);
    };
    let path = path.display();
    let note =
        format!("{path}: its first line has {name} and no comma: they are taken to separate");
    (byte, Some(note))
}

/// Counts texts of a TSV file that a program has put in quotes, which mean nothing there.
#[derive(Default)]
pub(super) struct Quotes {
    rows: usize,
    quoted: usize,
    /// Of these the ones with a quote within, doubled as CSV wants it.
    doubled: usize,
}

impl Quotes {
    /// Hears of the texts of a row.
    pub(super) fn see<'t>(&mut self, mut texts: impl Iterator<Item = &'t str>) {
        self.rows += 1;
        if let Some(inner) = texts.find_map(within_quotes) {
            self.quoted += 1;
            self.doubled += usize::from(inner.contains('"'));
        }
    }

    /// What to say when most rows, or some in a way that is no chance, are quoted.
    pub(super) fn note(&self, path: &Path) -> Option<String> {
        let doubtful = self.quoted * 2 > self.rows || self.doubled * 100 > self.rows;
        doubtful.then(|| {
            format!(
                "{}: {} of {} rows have a text in double quotes, which belong to the text in TSV; if \
                 a program put them there, name the file .csv, or write it without (pandas: \
                 `quoting=csv.QUOTE_NONE`)",
                path.display(),
                self.quoted,
                self.rows
            )
        })
    }
}

/// What stands within the quotes around a field, if it is quoted as CSV wants it.
fn within_quotes(field: &str) -> Option<&str> {
    let inner = field.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.replace("\"\"", "").contains('"')).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_tells_the_delimiter() {
        for (content, expected) in [
            ("text,label\n", b','),
            ("\n text;label\na,b;1\n", b';'),
            ("\"text\"\t\"label\"\n", b'\t'),
            ("\ttext\n0\ta\n", b'\t'),
            ("text\n", b','),
            ("a;b\n", b','),
        ] {
            let (found, note) = delimiter(Path::new("a.csv"), content, |name| name == "a;b");
            assert_eq!(
                (found, note.is_some()),
                (expected, expected != b','),
                "{content}"
            );
        }
    }

    #[test]
    fn quotes_that_are_no_chance_are_noticed() {
        let noticed = |texts: &[&str]| {
            let mut quotes = Quotes::default();
            texts
                .iter()
                .for_each(|text| quotes.see([*text].into_iter()));
            quotes.note(Path::new("a.tsv")).is_some()
        };
        assert!(noticed(&["\"a\"", "\"b\"", "c"]));
        assert!(noticed(&["a", "b", "\"say \"\"hi\"\"\""]));
        assert!(!noticed(&["\"a\"", "b", "c"]));
        assert!(!noticed(&["\"Hello,\" he said, \"you.\"", "\"a", "\""]));
        assert!(!noticed(&[]));
    }
}
