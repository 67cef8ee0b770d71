use std::collections::BTreeMap;
use std::fmt;

use beft_core::BiasTerm;

use crate::Scores;

/// A remark about the score of one bias.
///
/// The public implementation of BEFT stops in all of these cases. Here the score is kept if the formula has a
/// value, and the note says what is unusual.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Note {
    /// The bias was all zeros before: the angle is undefined, the BEFT formula gives 1 whatever the
    /// change (the rule for a model that had no biases).
    ZeroBefore,
    /// The bias is all zeros after: the angle is undefined, the BEFT formula gives 1.
    ZeroAfter,
    /// The bias was and is all zeros: the BEFT formula is 0/0, there is no score.
    BothZero,
    /// The bias turned by more than 90 degrees: its BEFT score is over 1.
    Obtuse {
        /// The angle between the bias before and after, in degrees (90 to 180).
        degrees: f64,
    },
    /// The bias was or is all zeros: there is no angle.
    NoAngle,
    /// The computed score is NaN or infinite: there is no score.
    NotFinite,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroBefore => f.write_str("all zeros before, angle undefined"),
            Self::ZeroAfter => f.write_str("all zeros after, angle undefined"),
            Self::BothZero => f.write_str("all zeros before and after, score undefined"),
            Self::NoAngle => f.write_str("all zeros before or after, angle undefined"),
            // One decimal would print "90.0° is over 90°".
            Self::Obtuse { degrees } if *degrees < 90.05 => f.write_str("angle is just over 90°"),
            Self::Obtuse { degrees } => write!(f, "angle {degrees:.1}° is over 90°"),
            Self::NotFinite => f.write_str("not a finite number, score undefined"),
        }
    }
}

impl Scores {
    /// Returns the notes in words, one for each kind of note, with its sites.
    pub fn notes_in_words(&self) -> Vec<String> {
        let mut kinds: BTreeMap<String, BTreeMap<BiasTerm, Vec<(usize, String)>>> = BTreeMap::new();
        for (site, note) in self.notes() {
            let (kind, detail) = match note {
                Note::Obtuse { degrees } => ("angle over 90°".into(), format!(" ({degrees:.1}°)")),
                other => (other.to_string(), String::new()),
            };
            let sites = kinds.entry(kind).or_default().entry(site.term).or_default();
            sites.push((site.layer, detail));
        }
        let words = |(kind, terms): (String, BTreeMap<BiasTerm, Vec<(usize, String)>>)| {
            let sites = terms.iter().flat_map(|(term, l)| ranges(*term, l));
            format!("{kind}: {}", sites.collect::<Vec<_>>().join(", "))
        };
        kinds.into_iter().map(words).collect()
    }
}

/// The sites of a term, neighbouring layers without detail as a range: `q@0-11`.
fn ranges(term: BiasTerm, layers: &[(usize, String)]) -> Vec<String> {
    layers
        .chunk_by(|a, b| a.0 + 1 == b.0 && a.1.is_empty() && b.1.is_empty())
        .map(|run| match run {
            [first, .., last] => format!("{term}@{}-{}", first.0, last.0),
            [(layer, detail)] => format!("{term}@{layer}{detail}"),
            [] => String::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_read_as_text() {
        let text = |note: Note| note.to_string();
        assert_eq!(
            text(Note::Obtuse { degrees: 93.14 }),
            "angle 93.1° is over 90°"
        );
        assert_eq!(
            text(Note::Obtuse { degrees: 90.01 }),
            "angle is just over 90°"
        );
        assert_eq!(text(Note::ZeroBefore), "all zeros before, angle undefined");
        assert_eq!(text(Note::ZeroAfter), "all zeros after, angle undefined");
        assert!(text(Note::BothZero).ends_with("score undefined"));
        assert!(text(Note::NotFinite).ends_with("score undefined"));
    }
}
