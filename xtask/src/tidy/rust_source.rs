//! A Rust file, cut into what the rules look at: code, string literals, and where its tests begin.

/// A Rust file of the workspace.
#[derive(Debug)]
pub(crate) struct RustSource {
    /// Path from the top of the repository.
    pub(crate) path: String,
    /// String literals outside comments and tests, each with its line.
    pub(crate) strings: Vec<(usize, String)>,
    /// Lines without comments and string literals, up to the tests.
    pub(crate) code: Vec<String>,
    /// Lines of the file without the tests at its end.
    pub(crate) lines: usize,
    /// Whether the documentation at the top of the file holds an example.
    pub(crate) has_example: bool,
}

impl RustSource {
    /// Reads the text of a file.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let has_example = text
            .lines()
            .any(|line| line.trim_start().starts_with("//! ```"));
        let lines = tests_begin(text);
        let end = text.split_inclusive('\n').take(lines).map(str::len).sum();
        let (code, strings) = scan(&text[..end]);
        Self {
            path: path.to_owned(),
            strings,
            code,
            lines,
            has_example,
        }
    }

    /// The folder of the crate that the file belongs to, such as `crates/beft-core`.
    pub(crate) fn crate_folder(&self) -> &str {
        let parts = if self.path.starts_with("crates/") {
            2
        } else {
            1
        };
        let end = self.path.match_indices('/').nth(parts - 1);
        end.map_or(&self.path, |(end, _)| &self.path[..end])
    }

    /// Whether the whole file serves tests.
    pub(crate) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.contains("/tests/") || matches!(name, "test.rs" | "tests.rs" | "test_files.rs")
    }
}

/// Number of lines in front of `#[cfg(test)] mod tests {`.
fn tests_begin(text: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].ends_with("mod tests {"))
        .unwrap_or(lines.len())
}

/// Code without comments, line by line, and string literals.
fn scan(text: &str) -> (Vec<String>, Vec<(usize, String)>) {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut code, mut strings) = (vec![String::new()], Vec::new());
    let mut i = 0;
    while i < chars.len() {
        let rest = &chars[i..];
        let skipped = if rest.starts_with(&['/', '/']) {
            rest.iter().take_while(|&&c| c != '\n').count()
        } else if rest.starts_with(&['/', '*']) {
            let end = rest.windows(2).position(|pair| pair == ['*', '/']);
            end.map_or(rest.len(), |end| end + 2)
        } else if let Some((content, length)) = string_literal(rest) {
            strings.push((code.len(), content));
            length
        } else if at(i) == '\'' && at(i + 1) == '\\' {
            // A character with an escape; it may be a quote.
            3 + rest.iter().skip(3).take_while(|&&c| c != '\'').count()
        } else if at(i) == '\'' && at(i + 2) == '\'' {
            3
        } else {
            0
        };
        let new_lines = rest.iter().take(skipped).filter(|&&c| c == '\n').count();
        code.extend(std::iter::repeat_n(String::new(), new_lines));
        i += skipped;
        if skipped == 0 {
            match at(i) {
                '\n' => code.push(String::new()),
                c => code.last_mut().expect("it has a first line").push(c),
            }
            i += 1;
        }
    }
    (code, strings)
}

/// The content of a string literal that begins here, and the literal's length.
fn string_literal(rest: &[char]) -> Option<(String, usize)> {
    if rest.first() == Some(&'"') {
        let mut end = 1;
        while end < rest.len() && rest[end] != '"' {
            end += if rest[end] == '\\' { 2 } else { 1 };
        }
        let end = end.min(rest.len());
        return Some((rest[1..end].iter().collect(), (end + 1).min(rest.len())));
    }
    if rest.first() != Some(&'r') {
        return None;
    }
    let hashes = rest[1..].iter().take_while(|&&c| c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return None;
    }
    let start = 2 + hashes;
    let mut end = start;
    while end < rest.len() {
        let closes = rest[end] == '"' && rest[end + 1..].iter().take(hashes).all(|&c| c == '#');
        if closes {
            break;
        }
        end += 1;
    }
    let length = (end + 1 + hashes).min(rest.len());
    Some((rest[start..end.min(rest.len())].iter().collect(), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_into_code_strings_and_tests() {
        let text = "//! ```\nlet a = \"one \\\" two\"; // \"three\"\nlet c = ('\"', '\\'');\nlet b = r#\"fo\"ur\n\"#;\n\
                    /* \"five\" */ let d: &'a str;\n#[cfg(test)]\nmod tests {\n\"six\"\n}\n";
        let source = RustSource::new("crates/beft-nn/src/a/b.rs", text);
        let strings = [(2, "one \\\" two".to_owned()), (4, "fo\"ur\n".to_owned())];
        assert_eq!(source.strings, strings);
        assert_eq!(source.code[1], "let a = ; ");
        assert_eq!(source.code[5], " let d: &'a str;");
        assert_eq!(source.lines, 6);
        assert!(source.has_example);
        assert_eq!(source.crate_folder(), "crates/beft-nn");
        assert_eq!(
            RustSource::new("xtask/src/a.rs", "").crate_folder(),
            "xtask"
        );
    }
}
