//! Ways in which a template changes a field.

/// One change; [`Template`](super::Template) tells what each does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Modifier {
    Trim,
    Lower,
    Capital,
    MidSentence,
    NoDot,
    NoMark,
    Spaces,
    Highlights,
}

const NAMES: [(&str, Modifier); 8] = [
    ("trim", Modifier::Trim),
    ("lower", Modifier::Lower),
    ("capital", Modifier::Capital),
    ("midsentence", Modifier::MidSentence),
    ("nodot", Modifier::NoDot),
    ("nomark", Modifier::NoMark),
    ("spaces", Modifier::Spaces),
    ("highlights", Modifier::Highlights),
];

impl Modifier {
    pub(super) fn named(name: &str) -> Option<Self> {
        let mut all = NAMES.iter();
        all.find(|(known, _)| *known == name)
            .map(|(_, modifier)| *modifier)
    }

    pub(super) fn names() -> String {
        NAMES.map(|(name, _)| name).join(", ")
    }

    pub(super) fn apply(self, text: String) -> String {
        match self {
            Self::Trim => text.trim().to_owned(),
            Self::Lower => text.to_lowercase(),
            Self::Capital => {
                let mut chars = text.chars();
                let first = chars.next();
                let upper = first.into_iter().flat_map(char::to_uppercase);
                upper.chain(chars).collect()
            }
            Self::MidSentence => {
                let (first, rest) = text.split_at(text.find(' ').unwrap_or(text.len()));
                match first {
                    "I" => text,
                    first => first.to_lowercase() + rest,
                }
            }
            // One dot, behind which there may be spaces: an ellipsis keeps two.
            Self::NoDot => {
                let text = text.trim_end();
                text.strip_suffix('.').unwrap_or(text).to_owned()
            }
            // All marks: the template writes the one that there should be.
            Self::NoMark => text
                .trim_end_matches(|c: char| c == '?' || c.is_whitespace())
                .to_owned(),
            Self::Spaces => text.replace('_', " "),
            Self::Highlights => text.replace("@highlight\n", "- "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes() {
        for (name, text, expected) in [
            ("trim", " a b\n", "a b"),
            ("lower", "HE \u{130}", "he i\u{307}"),
            ("capital", "is it", "Is it"),
            ("capital", "\u{e9}t\u{e9}", "\u{c9}t\u{e9}"),
            ("capital", "", ""),
            ("midsentence", "The Cat sat.", "the Cat sat."),
            ("midsentence", "I Ran.", "I Ran."),
            ("midsentence", "I'm", "i'm"),
            ("nodot", "It is. ", "It is"),
            ("nodot", "It is", "It is"),
            ("nodot", "", ""),
            ("nomark", "who?? ", "who"),
            ("spaces", "New_York_City", "New York City"),
            (
                "highlights",
                "a\n@highlight\nb\n@highlight\nc",
                "a\n- b\n- c",
            ),
        ] {
            let modifier = Modifier::named(name).unwrap();
            assert_eq!(modifier.apply(text.to_owned()), expected, "{name} {text}");
        }
    }
}
