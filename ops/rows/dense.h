// A linear map of rows of features by a weight W (O, D), as a stage of an op. Private to the ops.
//   y = x W^T,   dx = dy W,   dW = dy^T x.
#pragma once

#include "ops/rows/chunks.h"
#include "ops/rows/table.h"

namespace orthoread {

/// W, or some rows of it: (outputs, features).
template <Real T>
struct DenseWeight {
  const T* W;
  int64_t outputs, features;
};

template <Real T>
class DenseForward {
 public:
  /// Copies W.
  explicit DenseForward(const DenseWeight<T>& of)
      : outputs_(of.outputs), W_transposed_({of.features, padded(of.outputs)}) {
    T* to = W_transposed_.edit();
    for (int64_t d = 0; d < of.features; ++d) {
      for (int64_t o = 0; o < of.outputs; ++o) to[d * padded(of.outputs) + o] = of.W[o * of.features + d];
    }
  }

  /// y = x W^T or y += x W^T: x (rows, D), y (rows, O).
  void operator()(Store store, int64_t rows, const T* x, T* y) const {
    const int64_t features = W_transposed_.dim(0);
    row_kernels<T>().multiply({.m = rows,
                               .n = outputs_,
                               .k = features,
                               .a = x,
                               .a_row = features,
                               .a_column = 1,
                               .b = W_transposed_.data(),
                               .b_row = padded(outputs_),
                               .c = y,
                               .c_row = outputs_,
                               .store = store});
  }

 private:
  int64_t outputs_;
  Array<T> W_transposed_;  // (D, padded(O)), padded with 0
};

template <Real T>
class DenseBackward {
 public:
  /// Copies W. `rows` is the number of rows in all chunks.
  DenseBackward(const DenseWeight<T>& of, int64_t rows, bool wants_dW = true)
      : features_(of.features), W_padded_({of.outputs, padded(of.features)}) {
    T* to = W_padded_.edit();
    for (int64_t o = 0; o < of.outputs; ++o) {
      std::copy_n(of.W + o * of.features, of.features, to + o * padded(of.features));
    }
    if (wants_dW) dW_ = PartSums<T>(rows, {of.outputs, of.features});
  }

  /// dx = dy W or dx += dy W: dy (rows, O), dx (rows, D).
  void dx(Store store, int64_t rows, const T* dy, T* dx) const {
    const int64_t outputs = W_padded_.dim(0);
    row_kernels<T>().multiply({.m = rows,
                               .n = features_,
                               .k = outputs,
                               .a = dy,
                               .a_row = outputs,
                               .a_column = 1,
                               .b = W_padded_.data(),
                               .b_row = padded(features_),
                               .c = dx,
                               .c_row = features_,
                               .store = store});
  }

  /// If dW is wanted, adds dy^T x to it; `row` is the index of the first of these rows.
  void add_dW(int64_t row, int64_t rows, const T* dy, const T* x) const {
    if (!dW_.wanted()) return;
    Array<T> padded_x;
    if (features_ != padded(features_)) {  // the kernel reads whole registers
      padded_x = Array<T>::uninitialized({rows, padded(features_)});
      T* to = padded_x.edit();
      for (int64_t i = 0; i < rows; ++i, to += padded(features_)) {
        std::fill(std::copy_n(x + i * features_, features_, to), to + padded(features_), T(0));
      }
      x = padded_x.data();
    }
    const int64_t outputs = W_padded_.dim(0);
    row_kernels<T>().multiply({.m = outputs,
                               .n = features_,
                               .k = rows,
                               .a = dy,
                               .a_row = 1,
                               .a_column = outputs,
                               .b = x,
                               .b_row = padded(features_),
                               .c = dW_.of(row),
                               .c_row = features_,
                               .store = Store::add});
  }
  /// dW is the sum over the first axis.
  const Array<T>& dW_sums() const { return dW_.sums(); }

 private:
  int64_t features_;
  Array<T> W_padded_;  // (O, padded(D)), padded with 0
  PartSums<T> dW_;
};

}  // namespace orthoread
