use burn::tensor::Tensor;
use rten_gemm::{BiasVector, GemmExecutor, GemmOptions, PackedBMatrix};
use rten_tensor::NdTensorView;

use super::product::{host_values, multiply_into, product};

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

    /// `x W`, or `x W + b`, of rows one after another.
    pub(super) fn multiply(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let options = GemmOptions {
            bias: bias.map(BiasVector::Row),
            ..GemmOptions::default()
        };
        product(&executor(), x, &self.values, options)
    }

    /// Adds `x W` to rows.
    pub(super) fn add_product(&self, out: &mut [f32], x: &[f32]) {
        let options = GemmOptions {
            beta: 1.0,
            ..GemmOptions::default()
        };
        multiply_into(&executor(), out, x, &self.values, options);
    }
}
