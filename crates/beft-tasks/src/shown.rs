//! Names from files, as messages show them.

/// The longest list and the longest name that a message shows in full.
const MOST_NAMES: usize = 20;
const MOST_CHARS: usize = 60;

/// `name` in backticks, with invisible characters made visible and the end of a long one cut off.
pub(crate) fn quoted(name: &str) -> String {
    let shown: String = name.chars().take(MOST_CHARS).collect();
    let dots = if shown.len() < name.len() { "..." } else { "" };
    let visible: String = shown
        .chars()
        .map(|c| {
            if c.is_control() {
                c.escape_debug().to_string()
            } else {
                c.to_string()
            }
        })
        .collect();
    format!("`{visible}{dots}`")
}

pub(crate) fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<_> = names.iter().take(MOST_NAMES).map(|n| quoted(n)).collect();
    let mut list = shown.join(", ");
    if names.len() > MOST_NAMES {
        list.push_str(&format!(" and {} more", names.len() - MOST_NAMES));
    }
    list
}

pub(crate) fn either(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|n| quoted(n)).collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_odd_names_stay_readable() {
        assert_eq!(quoted("caf\u{e9} \"x\""), "`caf\u{e9} \"x\"`");
        assert_eq!(quoted("a\n\tb"), "`a\\n\\tb`");
        assert_eq!(quoted(&"y".repeat(61)), format!("`{}...`", "y".repeat(60)));
        let names: Vec<String> = (0..22).map(|n| n.to_string()).collect();
        assert!(listed(&names).ends_with("`19` and 2 more"));
        assert_eq!(listed(&[]), "none");
    }
}
