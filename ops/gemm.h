// Matrix products on OpenBLAS: the only op file that knows it.
#pragma once

#include "core/tensor.h"

#include <string>

namespace orthoread {

/// A row-major matrix inside a larger one: `stride` numbers from a row's start to the next row's.
template <Real T>
struct MatrixView {
  const T* data;           // its first number
  int64_t stride;          // from a row's start to the next one's
  bool transpose = false;  // op(a) is a^T
};

/// c = alpha op(a) op(b) + beta c on the calling thread; op(a) is (m, k), op(b) is (k, n), c is (m, n). With beta = 0,
/// c is not read. A Dual product is three real ones: (A + A' e)(B + B' e) = A B + (A B' + A' B) e.
template <Real T>
void gemm(int64_t m, int64_t n, int64_t k, T alpha, MatrixView<T> a, MatrixView<T> b, T beta, T* c, int64_t c_stride);

/// The matrix product op(a) op(b) over the last two axes, where op transposes if its flag is set; axes before them
/// broadcast as in NumPy.
/// Shapes: a (..., m, k), b (..., k, n) -> (..., m, n)
/// Derivative: da = dy b^T, db = a^T dy, each summed over the axes along which its operand was repeated.
/// Use: for products of matrices; for a weight on the last axis of x, linear is faster.
template <Real T>
Array<T> matmul(const Array<T>& a, const Array<T>& b, bool transpose_a = false, bool transpose_b = false);
template <Real T>
Tensor<T> matmul(const Tensor<T>& a, const Tensor<T>& b, bool transpose_a = false, bool transpose_b = false);

/// The processor core that OpenBLAS chose its kernels for.
std::string blas_core();
/// Its version and this core, for reports.
std::string blas_description();

}  // namespace orthoread
