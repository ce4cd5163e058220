// Linear maps of feature vectors: the last axis of x.
#pragma once

#include "core/tensor.h"

namespace orthoread {

/// y = x W^T: x (..., D), weight W (O, D) -> (..., O).
template <Real T>
Tensor<T> linear(const Tensor<T>& x, const Tensor<T>& weight);
/// y = x W^T + bias, bias (O).
template <Real T>
Tensor<T> linear(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias);

/// A linear map within each of n blocks of b features: y[n, o] = sum_d x[n, d] W[n, o, d].
/// x (..., n b), weight W (n, b, b) -> (..., n b).
template <Real T>
Tensor<T> blockwise_linear(const Tensor<T>& x, const Tensor<T>& weight);

/// Several maps of one x in one pass over it: blockwise_linear(x, weight) for each weight (n, b, b) of `blockwise`,
/// then linear(x, dense) for dense (O, n b). x (..., n b) -> each (..., n b), and the last one (..., O).
template <Real T>
std::vector<Tensor<T>> linear_maps(const Tensor<T>& x, const std::vector<Tensor<T>>& blockwise, const Tensor<T>& dense);

}  // namespace orthoread
