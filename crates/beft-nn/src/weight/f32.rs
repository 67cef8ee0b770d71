use burn::tensor::{Tensor, TensorData};
use rten_gemm::{BiasVector, GemmExecutor, GemmOptions, PackedBMatrix};
use rten_tensor::NdTensorView;

use super::product::{host_values, product};

/// The values of a frozen matrix in the order in which products on a processor read them.
pub struct F32Matrix {
    values: PackedBMatrix<f32>,
}

/// The executor for this processor. It asks the processor what it has, which costs nothing beside a product.
fn executor() -> GemmExecutor<f32, f32, f32> {
    GemmExecutor::new()
}

impl F32Matrix {
    /// Packs `[d_in, d_out]` values.
    pub(super) fn new(values: Tensor<2>) -> Self {
        let shape = values.dims();
        let data = host_values(values);
        Self {
            values: executor().prepack_b(NdTensorView::from_data(shape, data.as_slice())),
        }
    }

    /// Packs `[d_out, d_in]` values, transposed.
    pub(super) fn transposed(values: Tensor<2>) -> Self {
        let shape = values.dims();
        let data = host_values(values);
        let values = NdTensorView::from_data(shape, data.as_slice());
        Self {
            values: executor().prepack_b(values.transposed()),
        }
    }

    /// `[d_in, d_out]`.
    pub(super) fn dims(&self) -> [usize; 2] {
        [self.values.rows(), self.values.cols()]
    }

    /// `x W`, or `x W + b`.
    pub(super) fn multiply(&self, x: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
        let device = x.device();
        let shape = [x.dims()[0], self.values.cols()];
        let x = host_values(x);
        let bias = bias.map(host_values);
        let options = GemmOptions {
            bias: bias.as_deref().map(BiasVector::Row),
            ..GemmOptions::default()
        };
        let out = product(&executor(), &x, &self.values, options);
        Tensor::from_data(TensorData::new(out, shape), &device)
    }
}
