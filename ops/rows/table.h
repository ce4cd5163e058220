// Kernels that pass over rows of features: all that a model does between its embedding and its loss, but for the
// memory. Private to the ops; each op's own file says what it computes.
#pragma once

#include "ops/simd/kernels.h"
#include "ops/simd/matrix_product.h"

#include <cstdint>

namespace orthoread {

/// y[j] = sum_d x[j's block][d] w[d][j] for blocks of `block` columns, or y[j] += that. x, y (rows, width),
/// w (block, width).
template <Real T>
struct BlockwiseProduct {
  int64_t rows, width, block;
  const T *x, *w;
  T* y;
  Store store;
};

/// dw[d][j] += sum over rows of x[j's block][d] dy[j].
template <Real T>
struct BlockwiseSum {
  int64_t rows, width, block;
  const T *x, *dy;
  T* dw;
};

/// y = silu(u), u[s] = bias + sum_j w[j] x[s - (taps - 1) + j], for one sequence. x (tokens, channels), w (taps,
/// channels).
template <Real T>
struct ConvInput {
  int64_t tokens, channels, taps;
  const T *x, *w, *bias;
};
/// dw and dbias are added to; du is scratch of x's size.
template <Real T>
struct ConvGradients {
  T *dx, *dw, *dbias, *du;
};

/// `rows` rows of `features` numbers in `groups` equal groups, to be normalised, and what the gate of gated_norm
/// (ops/norm.h) reads.
template <Real T>
struct NormInput {
  int64_t rows, features, groups;
  const T *x, *weight;
  const T *skip = nullptr, *c = nullptr, *z = nullptr;
};
/// dweight and dskip are added to.
template <Real T>
struct NormGradients {
  T *dx, *dweight;
  T *dskip = nullptr, *dc = nullptr, *dz = nullptr;
};

template <Real T>
struct RowKernels {
  void (*multiply)(const MatrixProduct<T>&);
  void (*blockwise)(const BlockwiseProduct<T>&);
  void (*blockwise_dw)(const BlockwiseSum<T>&);

  void (*conv_silu)(const ConvInput<T>&, T* y);
  void (*conv_silu_backward)(const ConvInput<T>&, const T* dy, const ConvGradients<T>&);

  /// y = norm(x) weight, and gated_norm's (norm(x) weight + skip c) silu(z). statistics: mean and
  /// 1 / sqrt(variance + eps) of each group.
  void (*norm)(const NormInput<T>&, T eps, T* y, T* statistics);
  void (*gated_norm)(const NormInput<T>&, T eps, T* y, T* statistics);
  /// The gradients and, unless y is null, y once more.
  void (*norm_backward)(const NormInput<T>&, const T* statistics, const T* dy, const NormGradients<T>&, T* y);
  void (*gated_norm_backward)(const NormInput<T>&, const T* statistics, const T* dy, const NormGradients<T>&, T* y);

  /// For each row of n > 0 numbers: the largest, and log(sum(exp(x - largest))).
  void (*softmax_norms)(int64_t rows, int64_t n, const T* x, T* norms);
  /// y = x - log(sum(exp(x))) for each row, from its norms.
  void (*log_softmax)(int64_t rows, int64_t n, const T* x, const T* norms, T* y);
  /// y = factor exp(x) / sum(exp(x)) for one row, from its norms.
  void (*scaled_softmax)(int64_t n, T factor, const T* x, const T* norms, T* y);
};

/// Those of the instruction set in use.
template <Real T>
const RowKernels<T>& row_kernels() {
  return kernels<RowKernels, T>();
}

}  // namespace orthoread
