// Kernels over rows of features, for everything between embedding and loss except the memory. Private to the ops; the
// file of each op says what it computes.
#pragma once

#include "ops/simd/kernels.h"
#include "ops/simd/matrix_product.h"

#include <cstdint>

namespace orthoread {

/// y[j] = sum_d x[n b + d] w[d][j], n = j / b, or y[j] += that, with b = block. x, y (rows, width), w (block, width).
template <Real T>
struct BlockwiseProduct {
  int64_t rows, width, block;
  const T *x, *w;
  T* y;
  Store store;
};

/// dw[d][j] += sum over rows of x[n b + d] dy[j], with n and b as above.
template <Real T>
struct BlockwiseSum {
  int64_t rows, width, block;
  const T *x, *dy;
  T* dw;
};

/// y = silu(u), u[s] = bias + sum_j w[j] x[s - (taps - 1) + j], for one sequence.
/// x (tokens, channels), w (taps, channels).
template <Real T>
struct ConvInput {
  int64_t tokens, channels, taps;
  const T *x, *w, *bias;
};
/// dw and dbias are added to; du is a scratch buffer of x's size.
template <Real T>
struct ConvGradients {
  T *dx, *dw, *dbias, *du;
};

/// `rows` rows of `features` numbers, normalised in `groups` equal groups; skip, c and z only for gated_norm
/// (ops/norm.h).
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

/// `rows` rows of n > 0 numbers, with a softmax over each.
template <Real T>
struct SoftmaxInput {
  int64_t rows, n;
  const T* x;
};

template <Real T>
struct RowKernels {
  void (*multiply)(const MatrixProduct<T>&);
  void (*blockwise)(const BlockwiseProduct<T>&);
  void (*blockwise_dw)(const BlockwiseSum<T>&);

  void (*conv_silu)(const ConvInput<T>&, T* y);
  void (*conv_silu_backward)(const ConvInput<T>&, const T* dy, const ConvGradients<T>&);

  /// y = norm(x) weight; for gated_norm y = (norm(x) weight + skip c) silu(z). statistics: of each group the mean and
  /// 1 / sqrt(variance + eps).
  void (*norm)(const NormInput<T>&, T eps, T* y, T* statistics);
  void (*gated_norm)(const NormInput<T>&, T eps, T* y, T* statistics);
  /// The gradients, and y again unless it is null.
  void (*norm_backward)(const NormInput<T>&, const T* statistics, const T* dy, const NormGradients<T>&, T* y);
  void (*gated_norm_backward)(const NormInput<T>&, const T* statistics, const T* dy, const NormGradients<T>&, T* y);

  /// normalizers: of each row the largest number, and log(sum(exp(x - largest))).
  void (*softmax_normalizers)(const SoftmaxInput<T>&, T* normalizers);
  /// y = x - log(sum(exp(x))) for each row.
  void (*log_softmax)(const SoftmaxInput<T>&, const T* normalizers, T* y);
  /// y = factor exp(x) / sum(exp(x)) for each row.
  void (*scaled_softmax)(const SoftmaxInput<T>&, const T* normalizers, T factor, T* y);
};

/// The kernels of the instruction set in use.
template <Real T>
const RowKernels<T>& row_kernels() {
  return kernels<RowKernels, T>();
}

}  // namespace orthoread
