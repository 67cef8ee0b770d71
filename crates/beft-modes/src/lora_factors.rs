use beft_checkpoint::HeadTensor;

/// A LoRA update as PEFT stores it: the weight `[out, in]` of a linear module, or `[rows, width]` of an embedding,
/// changes by `scale * b a` (of an embedding by its transpose).
#[derive(Clone, Debug, PartialEq)]
pub struct LoraFactors {
    /// `[rank, in]`.
    pub a: HeadTensor,
    /// `[out, rank]`.
    pub b: HeadTensor,
    /// The update is scaled by this number divided by the rank, or by the root of the rank.
    pub alpha: f64,
    /// Whether the scale uses the root of the rank (`use_rslora`).
    pub root: bool,
    /// DoRA's magnitude of each output, `[out]`: the norm of its weights after the update.
    pub magnitude: Option<Vec<f32>>,
    /// Bias of the second factor, `[out]` (`lora_bias`); it is scaled like the product.
    pub bias: Option<Vec<f32>>,
}

impl LoraFactors {
    pub(crate) fn empty() -> Self {
        let none = || HeadTensor {
            shape: vec![0, 0],
            values: Vec::new(),
        };
        Self {
            a: none(),
            b: none(),
            alpha: 0.0,
            root: false,
            magnitude: None,
            bias: None,
        }
    }

    /// The scale of the product of the factors.
    pub fn scale(&self) -> f32 {
        let rank = self.a.shape.first().copied().unwrap_or(0) as f64;
        let by = if self.root { rank.sqrt() } else { rank };
        (self.alpha / by) as f32
    }

    /// `[in, out]`, where the shapes fit each other.
    pub(crate) fn dims(&self) -> Option<[usize; 2]> {
        let (&[rank, d_in], &[d_out, rank_b]) = (self.a.shape.as_slice(), self.b.shape.as_slice())
        else {
            return None;
        };
        let fits = |values: &Option<Vec<f32>>| values.as_ref().is_none_or(|v| v.len() == d_out);
        let whole = self.a.values.len() == rank * d_in && self.b.values.len() == d_out * rank;
        let all = rank == rank_b && rank > 0 && whole && fits(&self.magnitude) && fits(&self.bias);
        all.then_some([d_in, d_out])
    }

    /// Adds the update to the weight of its module, `[in, out]` as modules here hold it; `None` where the shapes
    /// do not fit.
    pub(crate) fn add_to(&self, weight: &mut [f32]) -> Option<()> {
        let [d_in, d_out] = self.dims()?;
        if weight.len() != d_in * d_out {
            return None;
        }
        let rank = self.a.shape[0];
        let scale = self.scale();
        for r in 0..rank {
            for i in 0..d_in {
                let a = scale * self.a.values[r * d_in + i];
                for (o, cell) in weight[i * d_out..(i + 1) * d_out].iter_mut().enumerate() {
                    *cell += a * self.b.values[o * rank + r];
                }
            }
        }
        if let Some(magnitude) = &self.magnitude {
            // DoRA (`DoraLinearLayer` in `dora.py`): each output's weights get the trained norm.
            let mut norms = vec![0.0_f64; d_out];
            for row in weight.chunks(d_out) {
                let squares = norms.iter_mut().zip(row);
                squares.for_each(|(norm, w)| *norm += f64::from(*w).powi(2));
            }
            for row in weight.chunks_mut(d_out) {
                for ((w, norm), magnitude) in row.iter_mut().zip(&norms).zip(magnitude) {
                    *w *= magnitude / norm.sqrt() as f32;
                }
            }
        }
        Some(())
    }
}
