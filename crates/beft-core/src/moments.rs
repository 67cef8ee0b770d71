/// The gradient of a bias over mini-batches: of each value its mean and its mean square.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradientMoments {
    /// Mean of each value.
    pub mean: Vec<f32>,
    /// Mean square of each value, as long as `mean`.
    pub square: Vec<f32>,
    /// Number of mini-batches.
    pub batches: usize,
}

impl GradientMoments {
    /// Those of a part of the values.
    ///
    /// # Panics
    ///
    /// When the part is not within the values.
    pub fn part(&self, values: std::ops::Range<usize>) -> Self {
        Self {
            mean: self.mean[values.clone()].to_vec(),
            square: self.square[values].to_vec(),
            batches: self.batches,
        }
    }

    /// Mean and mean square of each value.
    pub fn values(&self) -> impl Iterator<Item = (f64, f64)> {
        let squares = self.square.iter().map(|square| f64::from(*square));
        self.mean.iter().map(|mean| f64::from(*mean)).zip(squares)
    }
}
