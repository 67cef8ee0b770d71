/// How much padding a batch computes. Only the cost depends on it, not the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Linear layers see the rows of real tokens only; attention alone is padded, to the longest
    /// input of the batch.
    #[default]
    Packed,
    /// Every row of the grid is computed, padded to the longest input of the batch.
    Longest,
    /// Every row of the grid is computed, padded to this length (the published script: 128), or
    /// to the longest input if that is longer.
    To(usize),
}

/// Computations that a pass through a model leaves out or does more cheaply. No result depends on them, so
/// each can be switched off and measured alone (`beft tune --without NAME,...`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savings {
    /// How much padding is computed.
    pub padding: Padding,
    /// Attention is padded within groups of inputs of similar length, not to the longest input of the batch.
    pub length_groups: bool,
    /// The last layer computes its query, its output projection and its feed-forward part for the
    /// first token of each input alone, which is all that an encoder's head reads; a decoder's computes the
    /// output projection and the feed-forward part for the rows that predict a scored token.
    pub first_token: bool,
    /// Nothing is recorded for a bias whose gradient is exactly zero: the key's, where keys are not rotated by
    /// position. It adds the same number to all attention scores of a query, and softmax does not see that.
    pub zero_gradients: bool,
    /// Layers that training does not change are evaluated once, not after every epoch.
    pub reuse: bool,
    /// On a backend whose element-wise functions are plain loops on one core, GELU and dropout's
    /// masks are computed here, on all cores.
    pub host_functions: bool,
    /// On such a backend an encoder's layers whose biases alone learn are computed here, forward and backward, from
    /// weights that are packed once ([`host`](crate::host)).
    pub packed_layers: bool,
    /// On such a backend the inputs of a step, and the batches of an evaluation, are divided among the
    /// cores, each of which computes its part by itself.
    pub split_work: bool,
}

impl Savings {
    /// The names that [`without`](Self::without) knows.
    pub const NAMES: [&'static str; 8] = [
        "packing",
        "length-groups",
        "first-token",
        "zero-gradients",
        "reuse",
        "host-functions",
        "packed-layers",
        "split-work",
    ];

    /// No savings: everything is computed, padded to `padding`.
    pub fn none(padding: Padding) -> Self {
        Self {
            padding,
            length_groups: false,
            first_token: false,
            zero_gradients: false,
            reuse: false,
            host_functions: false,
            packed_layers: false,
            split_work: false,
        }
    }

    /// Switches off the saving `name`. Returns `None` if the name is not in [`NAMES`](Self::NAMES).
    pub fn without(mut self, name: &str) -> Option<Self> {
        match name {
            "packing" => self.padding = Padding::Longest,
            "length-groups" => self.length_groups = false,
            "first-token" => self.first_token = false,
            "zero-gradients" => self.zero_gradients = false,
            "reuse" => self.reuse = false,
            "host-functions" => self.host_functions = false,
            "packed-layers" => self.packed_layers = false,
            "split-work" => self.split_work = false,
            _ => return None,
        }
        Some(self)
    }
}

impl Default for Savings {
    fn default() -> Self {
        Padding::default().into()
    }
}

/// All savings, and this much padding.
impl From<Padding> for Savings {
    fn from(padding: Padding) -> Self {
        Self {
            padding,
            length_groups: true,
            first_token: true,
            zero_gradients: true,
            reuse: true,
            host_functions: true,
            packed_layers: true,
            split_work: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_saving_has_a_name() {
        let mut savings = Savings::default();
        for name in Savings::NAMES {
            let less = savings.without(name).unwrap();
            assert_ne!(less, savings, "{name}");
            savings = less;
        }
        assert_eq!(savings, Savings::none(Padding::Longest));
        assert_eq!(savings.without("magic"), None);
    }
}
