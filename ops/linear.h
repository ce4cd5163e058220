// Linear maps of feature vectors: the last axis of x.
#pragma once

#include "core/tensor.h"

namespace orthoread {

/// y = x W^T, or y = x W^T + bias.
/// Shapes: x (..., D), weight W (O, D), bias (O) -> (..., O)
/// Derivative: dx = dy W, dW = dy^T x, dbias = dy summed over the rows.
/// Use: for a dense layer of your own, and in the twins of norm_linear, gated_norm_linear and linear_maps, which the
/// recall model has. The weight is (out, in), as in PyTorch.
template <Real T>
Tensor<T> linear(const Tensor<T>& x, const Tensor<T>& weight);
template <Real T>
Tensor<T> linear(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias);

/// A linear map within each of n blocks of b features: y[n, o] = sum_d x[n, d] W[n, o, d].
/// Shapes: x (..., n b), weight W (n, b, b) -> (..., n b)
/// Derivative: dx = dy W and dW = dy^T x, block by block.
/// Use: for a cheap mixture of neighbouring features, as for the mLSTM's queries, keys and values.
template <Real T>
Tensor<T> blockwise_linear(const Tensor<T>& x, const Tensor<T>& weight);

/// Several maps of one x in one pass over it: blockwise_linear for each weight of `blockwise`, then linear for `dense`.
/// Shapes: x (..., n b), each weight (n, b, b), dense (O, n b) -> each (..., n b), and the last one (..., O)
/// Derivative: dx = the sum over the maps; each weight's as of blockwise_linear and linear.
/// Use: where several projections read the same features.
template <Real T>
std::vector<Tensor<T>> linear_maps(const Tensor<T>& x, const std::vector<Tensor<T>>& blockwise, const Tensor<T>& dense);

}  // namespace orthoread
