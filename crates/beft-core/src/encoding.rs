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

/// Tokenised inputs with their class labels, index by index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedSet {
    /// The inputs.
    pub encodings: Vec<Encoding>,
    /// The class of each input; as long as `encodings`.
    pub labels: Vec<usize>,
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
