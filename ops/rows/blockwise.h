// A block-diagonal linear map, W (n, b, b), as a stage of an op. Private to the ops. For each block n
//   y[o] = sum_d W[o, d] x[d],   dx[d] = sum_o W[o, d] dy[o],   dW[o, d] = sum over rows of dy[o] x[d].
#pragma once

#include "ops/rows/chunks.h"
#include "ops/rows/table.h"

namespace orthoread {

/// y = M x or y += M x in each row, M being block-diagonal: x, y (rows, n b), by_input (b, n b) with entry (d, n b + o)
/// of M[n, o, d].
template <Real T>
void blockwise_product(const Array<T>& by_input, Store store, int64_t rows, const T* x, T* y) {
  row_kernels<T>().blockwise({.rows = rows,
                              .width = by_input.dim(1),
                              .block = by_input.dim(0),
                              .x = x,
                              .w = by_input.data(),
                              .y = y,
                              .store = store});
}

template <Real T>
class BlockwiseForward {
 public:
  /// Copies W.
  explicit BlockwiseForward(const Array<T>& W) : by_input_({W.dim(1), W.dim(0) * W.dim(1)}) {
    const int64_t b = by_input_.dim(0), width = by_input_.dim(1);
    T* to = by_input_.edit();
    for (int64_t column = 0; column < width; ++column) {
      for (int64_t d = 0; d < b; ++d) to[d * width + column] = W.data()[column * b + d];
    }
  }

  /// y = W x or y += W x in each row: x, y (rows, n b).
  void operator()(Store store, int64_t rows, const T* x, T* y) const {
    blockwise_product(by_input_, store, rows, x, y);
  }

 private:
  Array<T> by_input_;  // entry (d, n b + o) is W[n, o, d]
};

template <Real T>
class BlockwiseBackward {
 public:
  /// Copies W. `rows` is the number of rows in all chunks.
  BlockwiseBackward(const Array<T>& W, int64_t rows, bool wants_dW)
      : width_(W.dim(0) * W.dim(1)), by_output_({W.dim(1), width_}) {
    const int64_t b = W.dim(1);
    T* to = by_output_.edit();
    for (int64_t row = 0; row < width_; ++row) {  // row n b + o of W goes to row o, from column n b on
      const int64_t o = row % b, first = row - o;
      std::copy_n(W.data() + row * b, b, to + o * width_ + first);
    }
    if (wants_dW) dW_ = PartSums<T>(rows, {b, W.dim(0), b});
  }

  /// dx = W^T dy or dx += W^T dy in each row: dy, dx (rows, n b).
  void dx(Store store, int64_t rows, const T* dy, T* dx) const { blockwise_product(by_output_, store, rows, dy, dx); }

  /// If dW is wanted, adds `rows` rows to it; `row` is the index of the first.
  void add_dW(int64_t row, int64_t rows, const T* dy, const T* x) const {
    if (!dW_.wanted()) return;
    row_kernels<T>().blockwise_dw(
        {.rows = rows, .width = width_, .block = by_output_.dim(0), .x = x, .dy = dy, .dw = dW_.of(row)});
  }
  /// dW as (d, n, o) is the sum over the first axis.
  const Array<T>& dW_sums() const { return dW_.sums(); }

 private:
  int64_t width_;
  Array<T> by_output_;  // entry (o, n b + d) is W[n, o, d]
  PartSums<T> dW_;
};

}  // namespace orthoread
