use burn::tensor::Tensor;
use rten_gemm::{
    GemmExecutor, GemmInT, GemmInputA, GemmInputB, GemmOptions, GemmOutT, PackedBMatrix,
};
use rten_tensor::NdTensorView;

/// The values of an f32 tensor, row by row.
pub fn host_values<const D: usize>(values: Tensor<D>) -> Vec<f32> {
    let values = values.into_data().try_into_vec::<f32>();
    values.unwrap_or_else(|error| panic!("values of another type: {error:?}"))
}

/// The product of rows of values and a matrix that this executor packed.
pub(super) fn product<L: GemmInT, R: GemmInT, O: GemmOutT>(
    executor: &GemmExecutor<L, R, O>,
    x: &[L],
    matrix: &PackedBMatrix<R>,
    options: GemmOptions<'_, L, R, O>,
) -> Vec<O> {
    let rows = x.len() / matrix.rows();
    let mut out = vec![O::default(); rows * matrix.cols()];
    multiply_into(executor, &mut out, x, matrix, options);
    out
}

/// The same into rows that there are.
pub(super) fn multiply_into<L: GemmInT, R: GemmInT, O: GemmOutT>(
    executor: &GemmExecutor<L, R, O>,
    out: &mut [O],
    x: &[L],
    matrix: &PackedBMatrix<R>,
    options: GemmOptions<'_, L, R, O>,
) {
    let rows = x.len() / matrix.rows();
    let done = executor.gemm(
        out,
        GemmInputA::Unpacked(NdTensorView::from_data([rows, matrix.rows()], x)),
        GemmInputB::Packed(matrix),
        options,
    );
    // The shapes are those of a product.
    done.unwrap_or_else(|error| panic!("a product of {rows} rows: {error}"));
}
