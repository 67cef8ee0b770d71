/// One tokenised input: no padding, special tokens included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids, in order.
    pub ids: Vec<u32>,
    /// Segment of each token (0 for the first text, 1 for the second); as long as `ids`.
    pub type_ids: Vec<u32>,
}

impl Encoding {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token at all.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// What a model is to say of each input.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Class indices.
    Classes(Vec<usize>),
    /// Values of a regression task.
    Values(Vec<f32>),
}

impl Targets {
    /// Number of inputs.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Values(values) => values.len(),
        }
    }

    /// Whether there is no input.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Class indices or values, as numbers.
    pub fn to_f64(&self) -> Vec<f64> {
        match self {
            Self::Classes(classes) => classes.iter().map(|class| *class as f64).collect(),
            Self::Values(values) => values.iter().map(|value| f64::from(*value)).collect(),
        }
    }

    /// The first `len` of them.
    pub fn truncate(&mut self, len: usize) {
        match self {
            Self::Classes(classes) => classes.truncate(len),
            Self::Values(values) => values.truncate(len),
        }
    }
}

/// Tokenised inputs with what is to be said of them, index by index.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedSet {
    /// The inputs.
    pub encodings: Vec<Encoding>,
    /// The target of each input; as long as `encodings`.
    pub targets: Targets,
}

impl EncodedSet {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.encodings.len()
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.encodings.is_empty()
    }
}
