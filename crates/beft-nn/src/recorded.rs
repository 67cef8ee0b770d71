use burn::module::ParamId;
use burn::tensor::Tensor;

/// What the layers of a model made of a batch on the host, and how gradients go back through them
/// ([`TaskModel::record`](crate::TaskModel::record)).
pub struct Recorded<'a> {
    /// What the head reads, without gradients: what [`TaskModel::states`](crate::TaskModel::states) gives.
    pub states: Tensor<2>,
    backward: Box<dyn FnOnce(Tensor<2>) -> BiasGradients + 'a>,
}

impl std::fmt::Debug for Recorded<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "states {:?}", self.states.dims())
    }
}

impl<'a> Recorded<'a> {
    /// States, and what makes gradients of theirs.
    pub fn new(states: Tensor<2>, backward: impl FnOnce(Tensor<2>) -> BiasGradients + 'a) -> Self {
        let backward = Box::new(backward);
        Self { states, backward }
    }

    /// Gradients of the layers' biases from that of the states, which is without gradients itself.
    pub fn backward(self, gradient: Tensor<2>) -> BiasGradients {
        (self.backward)(gradient)
    }
}

/// Gradients of biases, and of what went into the lowest layer.
#[derive(Debug, Default)]
pub struct BiasGradients {
    /// Of biases, by their parameter's id.
    pub biases: Vec<(ParamId, Vec<f32>)>,
    /// Of the rows that went into the lowest layer, `[rows, width]`; none where it was not asked for.
    pub rows: Option<Tensor<2>>,
}
