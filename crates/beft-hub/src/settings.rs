use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Hub;

const ENDPOINT: &str = "https://huggingface.co";

/// The variables of `huggingface_hub`, read with the same precedence.
pub(crate) fn read(var: impl Fn(&str) -> Option<OsString>) -> Hub {
    let set = |name: &str| var(name).filter(|value| !value.is_empty());
    let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
    let user = set("HOME")
        .or_else(|| set("USERPROFILE"))
        .map(PathBuf::from);
    let path = |name: &str| set(name).map(|value| expand(value.into(), user.as_deref()));

    let home = path("HF_HOME").unwrap_or_else(|| {
        path("XDG_CACHE_HOME")
            .unwrap_or_else(|| user.clone().unwrap_or_default().join(".cache"))
            .join("huggingface")
    });
    let cache = path("HF_HUB_CACHE")
        .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
        .unwrap_or_else(|| home.join("hub"));
    let token = text("HF_TOKEN").or_else(|| {
        let file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        fs::read_to_string(file).ok()
    });
    let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
    Hub::new(endpoint, cache)
        .with_token(token)
        .with_offline(text("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)))
}

fn is_true(value: &str) -> bool {
    ["1", "true", "yes", "on"]
        .iter()
        .any(|yes| value.eq_ignore_ascii_case(yes))
}

/// `~/folder`, which a shell does not expand inside quotes, as Python's `expanduser` does.
fn expand(path: PathBuf, user: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), user) {
        (Ok(rest), Some(user)) => user.join(rest),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(vars: &[(&str, &str)]) -> Hub {
        read(|name| {
            let found = vars.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn the_cache_folder() {
        for (vars, cache) in [
            (&[("HOME", "/u")][..], "/u/.cache/huggingface/hub"),
            (
                &[("HOME", "/u"), ("XDG_CACHE_HOME", "/x")],
                "/x/huggingface/hub",
            ),
            (
                &[("HOME", "/u"), ("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")],
                "/h/hub",
            ),
            (&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")], "/c"),
            (
                &[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")],
                "/old",
            ),
            (&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "")], "/h/hub"),
            (&[("HOME", "/u"), ("HF_HOME", "~/h")], "/u/h/hub"),
        ] {
            assert_eq!(with(vars).cache(), Path::new(cache), "{vars:?}");
        }
    }

    #[test]
    fn offline_and_endpoint() {
        for value in ["1", "true", "YES", "On"] {
            assert!(with(&[("HF_HUB_OFFLINE", value)]).is_offline());
        }
        for value in ["", "0", "false", "no"] {
            assert!(!with(&[("HF_HUB_OFFLINE", value)]).is_offline());
        }
        assert_eq!(with(&[]).endpoint(), ENDPOINT);
        let own = with(&[("HF_ENDPOINT", "http://127.0.0.1:1/hub/")]);
        assert_eq!(own.endpoint(), "http://127.0.0.1:1/hub");
    }

    #[test]
    fn the_token() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        assert_eq!(with(&[("HF_HOME", home)]).token(), None);
        fs::write(dir.path().join("token"), "from-file\n").unwrap();
        assert_eq!(with(&[("HF_HOME", home)]).token(), Some("from-file"));
        let elsewhere = dir.path().join("elsewhere");
        fs::write(&elsewhere, "other").unwrap();
        let file = ("HF_TOKEN_PATH", elsewhere.to_str().unwrap());
        assert_eq!(with(&[("HF_HOME", home), file]).token(), Some("other"));
        let both = with(&[("HF_HOME", home), ("HF_TOKEN", " from-env ")]);
        assert_eq!(both.token(), Some("from-env"));
        assert!(!format!("{both:?}").contains("from-env"));
    }
}
