// Normalisation and the linear map after it in one op. A chunk of rows is normalised and multiplied while the cache
// holds it; the normalised rows are not kept for backward, which makes them again.
#pragma once

#include "core/tensor.h"

namespace orthoread {

/// linear(layer_norm(x, norm), weight, bias).
/// Shapes: x (..., D), norm (D), weight (O, D), bias (O) -> (..., O)
/// Derivative: those of linear, then those of layer_norm.
/// Use: for the head of a model.
template <Real T>
Tensor<T> norm_linear(const Tensor<T>& x, const Tensor<T>& norm, const Tensor<T>& weight, const Tensor<T>& bias,
                      double eps = 1e-5);

/// split(linear(layer_norm(x, norm), weight), -1, sizes).
/// Shapes: x (..., D), norm (D), weight (O, D), the sizes adding up to O -> (..., size) each
/// Derivative: those of linear, for the parts' dy put together, then those of layer_norm.
/// Use: for the first map of a block, which makes several things at once.
template <Real T>
std::vector<Tensor<T>> norm_linear_split(const Tensor<T>& x, const Tensor<T>& norm, const Tensor<T>& weight,
                                         const std::vector<int64_t>& sizes, double eps = 1e-5);

/// residual + linear(gated_norm(x, norm, groups, skip, c, z), weight): how the block ends.
/// Shapes: x, c, z (..., I), norm, skip (I), weight (D, I), residual (..., D) -> (..., D)
/// Derivative: dresidual = dy; the others those of linear, then those of gated_norm.
/// Use: at the end of an mLSTM block.
template <Real T>
Tensor<T> gated_norm_linear(const Tensor<T>& x, const Tensor<T>& norm, int64_t groups, const Tensor<T>& skip,
                            const Tensor<T>& c, const Tensor<T>& z, const Tensor<T>& weight, const Tensor<T>& residual,
                            double eps = 1e-5);

}  // namespace orthoread
