// Products of a weight with rows of features, in chunks of rows that the caller shares out among threads. Private to
// the ops.
#pragma once

#include "core/array.h"
#include "ops/rows/table.h"

namespace orthoread {

constexpr int64_t kCachedRows = 128;  // rows that one kernel leaves in the second-level cache for the next
constexpr int64_t kSummedRows = 512;  // rows over which one thread sums the gradient of a weight, in order

/// The length of a row of n numbers, rounded up to whole vector registers of any instruction set and kind of number.
inline int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

/// A weight W (O, D), or O of its rows, as products read it: W^T (D, padded(O)) or W (O, padded(D)), the padding 0.
template <Real T>
Array<T> transposed_factor(const T* w, int64_t O, int64_t D) {
  Array<T> factor({D, padded(O)});
  T* to = factor.edit();
  for (int64_t d = 0; d < D; ++d) {
    for (int64_t o = 0; o < O; ++o) to[d * padded(O) + o] = w[o * D + d];
  }
  return factor;
}
template <Real T>
Array<T> factor(const T* w, int64_t O, int64_t D) {
  Array<T> factor({O, padded(D)});
  T* to = factor.edit();
  for (int64_t o = 0; o < O; ++o) std::copy_n(w + o * D, D, to + o * padded(D));
  return factor;
}

/// y = x B, or y += x B: x (rows, k), B (k, n) of one of the functions above, y (rows, n).
template <Real T>
void multiply_rows(int64_t rows, int64_t n, const T* x, const Array<T>& B, bool add, T* y) {
  const int64_t k = B.dim(0);
  row_kernels<T>().multiply(rows, n, k, x, k, 1, B.data(), B.dim(1), add, y, n);
}

/// dW = dy^T x, or dW += dy^T x: dy (rows, O), x (rows, D), dW (O, D). `padding` has rows * padded(D) numbers and is
/// written if rows of x are not whole registers.
template <Real T>
void multiply_transposed(int64_t rows, int64_t O, int64_t D, const T* dy, const T* x, T* padding, bool add, T* dw) {
  if (D != padded(D)) {
    for (int64_t row = 0; row < rows; ++row) {
      T* to = padding + row * padded(D);
      std::fill(std::copy_n(x + row * D, D, to), to + padded(D), T(0));
    }
    x = padding;
  }
  row_kernels<T>().multiply(O, D, rows, dy, 1, O, x, padded(D), add, dw, D);
}

/// Zeros for sums over `rows` rows, (chunks, ...): one of `shape` for each chunk of kSummedRows, at least one. The sum
/// over the first axis, in order, is that over all rows.
template <Real T>
Array<T> row_sums(int64_t rows, Shape shape) {
  shape.insert(shape.begin(), std::max<int64_t>(1, (rows + kSummedRows - 1) / kSummedRows));
  return Array<T>(shape);
}

/// sums += each row of n numbers.
template <Real T>
void add_rows(int64_t rows, int64_t n, const T* x, T* sums) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < n; ++i) sums[i] += x[row * n + i];
  }
}

/// y (rows, n) with each row the same.
template <Real T>
void repeat_row(int64_t rows, int64_t n, const T* row, T* y) {
  for (int64_t i = 0; i < rows; ++i) std::copy_n(row, n, y + i * n);
}

}  // namespace orthoread
