// Kernels that pass over rows of features, compiled once for each instruction set: what stands between the matrix
// products and the memory of a model. Private to the ops; each op's own file says what it computes.
#pragma once

#include "ops/simd/kernels.h"

#include <cstdint>

namespace orthoread {

/// Sizes of a normalisation: `rows` rows of `features` numbers in `groups` equal groups.
struct NormShape {
  int64_t rows, features, groups;
};

/// What the gate after a normalisation reads, and where its gradients go: see gated_norm in ops/norm.h. All null for a
/// normalisation alone. dskip is added to.
template <Real T>
struct NormGate {
  const T *skip = nullptr, *c = nullptr, *z = nullptr;
};
template <Real T>
struct NormGateGradients {
  T *dskip = nullptr, *dc = nullptr, *dz = nullptr;
};

/// Sizes of a causal convolution of one sequence.
struct ConvShape {
  int64_t tokens, channels, taps;
};

template <Real T>
struct RowKernels {
  /// c = a b, or c += a b with `add`: a (m, k), its number (i, l) at a[i a_row + l a_column]; b (k, n); c (m, n). Rows
  /// of b and c lie b_row and c_row apart, and those of b have padded(n) numbers: see ops/row_products.h.
  void (*multiply)(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, int64_t a_column, const T* b,
                   int64_t b_row, bool add, T* c, int64_t c_row);

  /// y[j] = sum_d x[j's block][d] w[d][j] for blocks of b columns, or y[j] += with `add`; w is (b, width).
  void (*blockwise)(int64_t rows, int64_t width, int64_t b, const T* x, const T* w, bool add, T* y);
  /// dw[d][j] += sum over rows of x[j's block][d] dy[j].
  void (*blockwise_dw)(int64_t rows, int64_t width, int64_t b, const T* x, const T* dy, T* dw);

  /// y = silu(u), u[s] = bias + sum_j w[j] x[s - (taps - 1) + j]; w is (taps, channels).
  void (*conv_silu)(ConvShape shape, const T* x, const T* w, const T* bias, T* y);
  /// dx, and dw and dbias added to; du is scratch of x's size.
  void (*conv_silu_backward)(ConvShape shape, const T* x, const T* w, const T* bias, const T* dy, T* du, T* dx, T* dw,
                             T* dbias);

  /// y = norm(x) weight, or (norm(x) weight + skip c) silu(z); moments: mean and 1 / sqrt(variance + eps) of each
  /// group.
  void (*norm)(NormShape shape, T eps, const T* x, const T* weight, const NormGate<T>& gate, T* y, T* moments);
  /// dx, and dweight added to; unless y is null, also y once more.
  void (*norm_backward)(NormShape shape, const T* x, const T* weight, const NormGate<T>& gate, const T* moments,
                        const T* dy, T* dx, T* dweight, const NormGateGradients<T>& gradients, T* y);

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
