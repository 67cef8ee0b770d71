use std::fmt;

/// A bias outside the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OuterTerm {
    /// Of the norm behind the embeddings, and of what else the embeddings have (ELECTRA's projection, DeBERTa's norm of
    /// distances).
    Embeddings,
    /// Of the norm behind the last layer.
    FinalNorm,
    /// Of the pooler: a dense layer that was pretrained, and its norm.
    Pooler,
    /// Of a decoder's output head.
    OutputHead,
}

impl OuterTerm {
    /// All of them, from the inputs to the outputs.
    pub const ALL: [Self; 4] = [
        Self::Embeddings,
        Self::FinalNorm,
        Self::Pooler,
        Self::OutputHead,
    ];

    /// The name on the command line, in reports and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embeddings => "embeddings",
            Self::FinalNorm => "final_norm",
            Self::Pooler => "pooler",
            Self::OutputHead => "output_head",
        }
    }

    /// The one of this name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|term| term.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for OuterTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
