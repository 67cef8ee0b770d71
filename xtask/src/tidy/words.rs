//! Words that belong to some files only: backends, Hugging Face's tensor names, options of the command. And the length of
//! files, and examples in the documentation of crates.

use super::Finding;
use super::rust_source::RustSource;

/// Files may have this many lines, not counting the tests at their end.
const MAX_LINES: usize = 400;

/// Files that are longer today, each with the reason. Remove an entry when its file is split.
const LONG_FILES: &[(&str, &str)] = &[(
    "crates/beft/src/error.rs",
    "one enum of all errors of the facade",
)];

/// Crates whose programs read options and name devices; what is not here is a library.
const PROGRAMS: [&str; 4] = [
    "crates/beft-cli",
    "crates/beft-parity",
    "benchmarks",
    "xtask",
];

/// Names of backends, as in `--device` and in Cargo features.
const BACKENDS: [&str; 8] = [
    "flex",
    "ndarray",
    "tch",
    "libtorch",
    "wgpu",
    "vulkan",
    "cuda",
    "cubecl-cpu",
];

/// Where backends are named: what the user calls them, and what differs between them.
const BACKEND_FILES: [&str; 2] = ["crates/beft-device/", "crates/beft-nn/src/device.rs"];

/// Parts of the names that Hugging Face gives to tensors. Our own paths say `encoder.layers.{l}.query`.
const TENSOR_NAMES: [&str; 18] = [
    "encoder.layer.",
    ".attention.self.",
    "attention.output.",
    "LayerNorm",
    "model.layers.",
    "model.decoder.",
    "self_attn",
    "lm_head",
    "transformer.h.",
    "transformer.wte",
    "embed_tokens",
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "out_proj",
    "c_attn",
    ".word_embeddings",
];

/// A page that tells people how to use what it lies beside.
const OPTION_FILES: [&str; 1] = ["crates/beft/src/tune/card.rs"];

/// Where Hugging Face's tensor names are written: the architectures' tables, what PEFT asks for, and the old spelling of
/// norms (`LayerNorm.gamma`), which every table accepts.
const TENSOR_NAME_FILES: [&str; 4] = [
    "crates/beft-encoder/src/architectures/",
    "crates/beft-decoder/src/architectures/",
    "crates/beft-modes/src/peft/",
    "crates/beft-checkpoint/src/names.rs",
];

/// Checks every file.
pub(crate) fn check(sources: &[RustSource]) -> Vec<Finding> {
    let checked = sources.iter().filter(|source| !source.is_test());
    let rules = [length, backends, tensor_names, options, example, plain_core];
    let mut findings: Vec<_> = checked
        .flat_map(|source| rules.iter().flat_map(|rule| rule(source)))
        .collect();
    for (path, _) in LONG_FILES {
        let long = sources
            .iter()
            .any(|source| source.path == *path && source.lines > MAX_LINES);
        if !long {
            let message = "this file is not too long any more: remove it from LONG_FILES of xtask/src/tidy/words.rs";
            findings.push(Finding::new(path, 1, message));
        }
    }
    findings
}

/// The beginning of a text, for a message.
fn beginning(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let short: String = line.chars().take(60).collect();
    match short.len() < text.len() {
        true => format!("\"{short}...\""),
        false => format!("\"{short}\""),
    }
}

fn is_library(source: &RustSource) -> bool {
    !PROGRAMS.contains(&source.crate_folder()) && source.path.contains("/src/")
}

fn is_in(source: &RustSource, places: &[&str]) -> bool {
    places.iter().any(|place| source.path.starts_with(place))
}

fn length(source: &RustSource) -> Vec<Finding> {
    let allowed = LONG_FILES.iter().any(|(path, _)| *path == source.path);
    if source.lines <= MAX_LINES || allowed {
        return Vec::new();
    }
    let message = format!(
        "{} lines without tests, {MAX_LINES} are the most: move one concern into a file of its own",
        source.lines
    );
    vec![Finding::new(&source.path, MAX_LINES + 1, message)]
}

fn backends(source: &RustSource) -> Vec<Finding> {
    if !is_library(source) || is_in(source, &BACKEND_FILES) {
        return Vec::new();
    }
    let named = source.strings.iter().filter(|(_, text)| {
        let word = text.split(':').next().unwrap_or_default();
        BACKENDS.contains(&word)
    });
    let named = named.map(|(line, text)| (*line, format!("{} names a backend", beginning(text))));
    let asked = source
        .code
        .iter()
        .enumerate()
        .filter(|(_, code)| code.contains("DeviceType::"));
    let asked = asked.map(|(index, _)| (index + 1, "DeviceType tells backends apart".to_owned()));
    let remedy = "ask beft_nn::DeviceTraits or beft-device";
    let findings = named.chain(asked);
    findings
        .map(|(line, what)| Finding::new(&source.path, line, format!("{what}: {remedy}")))
        .collect()
}

fn tensor_names(source: &RustSource) -> Vec<Finding> {
    if !is_library(source) || is_in(source, &TENSOR_NAME_FILES) {
        return Vec::new();
    }
    let named = source
        .strings
        .iter()
        .filter(|(_, text)| TENSOR_NAMES.iter().any(|name| text.contains(name)));
    let message = |text: &str| {
        format!(
            "{} is a tensor name of Hugging Face: write it in the architecture's table, and use the path here",
            beginning(text)
        )
    };
    named
        .map(|(line, text)| Finding::new(&source.path, *line, message(text)))
        .collect()
}

fn options(source: &RustSource) -> Vec<Finding> {
    if !is_library(source) || is_in(source, &OPTION_FILES) {
        return Vec::new();
    }
    let named = source.strings.iter().filter(|(_, text)| names_option(text));
    let message = |text: &str| {
        format!(
            "{} names an option or a subcommand: say what is wrong, and let crates/beft-cli/src/hints.rs name \
             the option",
            beginning(text)
        )
    };
    named
        .map(|(line, text)| Finding::new(&source.path, *line, message(text)))
        .collect()
}

/// Whether a text holds `--option`, or a command such as `beft eval` between backticks.
fn names_option(text: &str) -> bool {
    let option = text.match_indices("--").any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + 2..].chars().next();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '-')
            && after.is_some_and(|c| c.is_ascii_lowercase())
    });
    option || text.contains("`beft ")
}

fn example(source: &RustSource) -> Vec<Finding> {
    let is_crate = source.path.starts_with("crates/") && source.path.ends_with("/src/lib.rs");
    if !is_crate || source.path.matches('/').count() != 3 || source.has_example {
        return Vec::new();
    }
    let message =
        "the documentation of the crate has no example: add a short one between ``` lines";
    vec![Finding::new(&source.path, 1, message)]
}

/// beft-core has no tensors and no files, so that every crate can depend on it.
fn plain_core(source: &RustSource) -> Vec<Finding> {
    if !source.path.starts_with("crates/beft-core/src/") {
        return Vec::new();
    }
    let lines = source.code.iter().enumerate();
    let found = lines.filter(|(_, code)| {
        ["std::fs", "std::io"]
            .iter()
            .any(|name| code.contains(name))
    });
    let message = "beft-core neither reads nor writes files: do so in the crate that needs it";
    found
        .map(|(index, _)| Finding::new(&source.path, index + 1, message))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let findings = check(&[RustSource::new(path, text)]);
        let of_file = findings.into_iter().filter(|finding| finding.file == path);
        of_file.map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn backends_are_named_in_their_places() {
        let text = "let a = 1;\nlet device = \"cuda:0\";\n// \"flex\"\nDeviceType::Cuda\n#[cfg(feature = \"tch\")]";
        let lines = found("crates/beft-train/src/a.rs", text);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("crates/beft-train/src/a.rs:2: \"cuda:0\" names a backend"));
        for path in [
            "crates/beft-device/src/a.rs",
            "crates/beft-nn/src/device.rs",
            "crates/beft-train/tests/a.rs",
        ] {
            assert!(found(path, text).is_empty());
        }
    }

    #[test]
    fn tensor_names_stand_in_tables() {
        let text = "let a = \"model.layers.{l}.mlp\"; let b = \"decoder.layers.{l}.query\";";
        assert_eq!(found("crates/beft-decoder/src/layer.rs", text).len(), 1);
        assert!(found("crates/beft-decoder/src/architectures/x.rs", text).is_empty());
    }

    #[test]
    fn options_are_named_by_the_command() {
        for (text, options) in [
            ("give --model", 1),
            ("--lr", 1),
            ("see `beft eval`", 1),
            ("models--org--name", 0),
            ("a -- b", 0),
        ] {
            let text = format!("let a = {text:?};");
            assert_eq!(
                found("crates/beft-modes/src/a.rs", &text).len(),
                options,
                "{text}"
            );
            assert!(found("crates/beft-cli/src/a.rs", &text).is_empty());
        }
    }

    #[test]
    fn files_have_a_length_and_crates_an_example() {
        let long = "let a = 1;\n".repeat(MAX_LINES + 1);
        assert!(found("crates/beft-nn/src/a.rs", &long)[0].contains("401 lines"));
        assert!(found("crates/beft-nn/tests/a.rs", &long).is_empty());
        assert!(found("crates/beft-nn/src/lib.rs", "//! Text.")[0].contains("no example"));
        assert!(found("crates/beft-nn/src/lib.rs", "//! ```\n//! ```").is_empty());
        assert!(
            found("crates/beft-core/src/a.rs", "use std::fs;")[0]
                .contains("neither reads nor writes")
        );
    }
}
