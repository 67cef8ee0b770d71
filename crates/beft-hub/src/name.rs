use std::fmt;

use crate::HubError;

const MAIN: &str = "main";

/// A repository and the branch, tag or commit of it: `org/name`, `name`, `org/name@revision`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RepoName {
    pub(crate) id: String,
    pub(crate) revision: String,
}

impl RepoName {
    pub(crate) fn parse(text: &str) -> Result<Self, HubError> {
        let (id, revision) = text.split_once('@').unwrap_or((text, MAIN));
        bad_id(id).or_else(|| bad_revision(revision)).map_or_else(
            || {
                Ok(Self {
                    id: id.to_owned(),
                    revision: revision.to_owned(),
                })
            },
            |reason| {
                Err(HubError::BadName {
                    name: text.to_owned(),
                    reason,
                })
            },
        )
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)?;
        if self.revision != MAIN {
            write!(f, "@{}", self.revision)?;
        }
        Ok(())
    }
}

/// The rules of `huggingface_hub.validate_repo_id`.
fn bad_id(id: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let parts: Vec<&str> = id.split('/').collect();
    if id.is_empty() {
        Some("it is empty")
    } else if id.len() > 96 {
        Some("it is longer than 96 characters")
    } else if parts.len() > 2 {
        Some("it has more than one `/`")
    } else if parts.iter().any(|part| part.is_empty()) {
        Some("a part of it is empty")
    } else if !parts.iter().all(|part| part.chars().all(allowed)) {
        Some("only letters, digits, `-`, `_` and `.` are allowed in it")
    } else if parts
        .iter()
        .any(|part| part.starts_with(['-', '.']) || part.ends_with(['-', '.']))
    {
        Some("a part of it starts or ends with `-` or `.`")
    } else if id.contains("--") || id.contains("..") {
        Some("it contains `--` or `..`")
    } else if id.ends_with(".git") {
        Some("it ends with `.git`")
    } else {
        None
    }
}

fn bad_revision(revision: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '/');
    if !revision.chars().all(allowed) {
        Some("only letters, digits, `-`, `_`, `.`, `+` and `/` are allowed in the revision")
    } else if bad_path(revision) {
        Some("the revision is empty, or has an empty part or one that starts with `.`")
    } else {
        None
    }
}

/// Whether `path` could point outside the folder it is joined to, or to a hidden file.
fn bad_path(path: &str) -> bool {
    path.split('/')
        .any(|part| part.is_empty() || part.starts_with('.'))
}

/// A file of a repository, as `folder/file`. It becomes a path in the cache.
pub(crate) fn check_file(file: &str) -> Result<(), HubError> {
    let forbidden = |c: char| c.is_control() || matches!(c, '\\' | ':');
    let reason = if file.is_empty() {
        "it is empty"
    } else if file.contains(forbidden) {
        "it has a `\\`, a `:` or a control character"
    } else if bad_path(file) {
        "it is no plain relative path: a part of it is empty or starts with `.`"
    } else {
        return Ok(());
    };
    Err(HubError::BadFile {
        file: file.to_owned(),
        reason,
    })
}

/// Whether a commit hash or ETag that a server or a file gave can be a file name of the cache.
pub(crate) fn is_plain(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=128).contains(&text.len()) && text.chars().all(allowed)
}

/// Whether a revision is a full commit hash, which names a snapshot without asking anyone.
pub(crate) fn is_commit(revision: &str) -> bool {
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    revision.len() == 40 && revision.chars().all(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_revisions() {
        for (text, id, revision) in [
            ("bert-base-cased", "bert-base-cased", "main"),
            ("org/na_me.v2", "org/na_me.v2", "main"),
            ("org/name@v1.0", "org/name", "v1.0"),
            ("glue@refs/convert/parquet", "glue", "refs/convert/parquet"),
        ] {
            let name = RepoName::parse(text).unwrap();
            assert_eq!((name.id.as_str(), name.revision.as_str()), (id, revision));
            assert_eq!(name.to_string(), text);
        }
        let main = RepoName::parse("org/name@main").unwrap();
        assert_eq!(main.to_string(), "org/name");
    }

    #[test]
    fn names_that_are_none() {
        for text in [
            "",
            "/",
            "/etc",
            "org/",
            "/name",
            "../x",
            "org/..",
            "..",
            ".",
            "a/b/c",
            "a b",
            "a\\b",
            "C:\\models",
            "org/a--b",
            "a..b",
            "-a",
            "a.",
            "a.git",
            "é",
            "a@",
            "a@/",
            "a@../x",
            "a@b/../c",
            "a@b c",
            "a@b@c",
            "a@.hidden",
            "a@b?c",
            "a@b#c",
            "a@b%2e",
        ] {
            let error = RepoName::parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
        assert!(RepoName::parse(&"a".repeat(96)).is_ok());
        assert!(RepoName::parse(&"a".repeat(97)).is_err());
    }

    #[test]
    fn file_names() {
        for file in [
            "config.json",
            "sst2/train-00000-of-00001.parquet",
            "a b.tsv",
        ] {
            check_file(file).unwrap();
        }
        for file in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            ".git/config",
            "a\\b",
            "C:x",
            "a\nb",
        ] {
            let error = check_file(file).unwrap_err().to_string();
            assert!(error.contains(file), "{error}");
        }
    }

    #[test]
    fn hashes() {
        assert!(is_plain("d41d8cd98f00b204e9800998ecf8427e-12"));
        assert!(!is_plain("") && !is_plain("..") && !is_plain("a/b") && !is_plain("a.lock"));
        assert!(is_commit(&"0a".repeat(20)));
        assert!(!is_commit("main") && !is_commit(&"0A".repeat(20)));
    }
}
