// Table look-up.
#pragma once

#include "core/tensor.h"

namespace orthoread {

/// y = weight[token], tokens from 0 to V - 1.
/// Shapes: weight (V, D), tokens (...) -> (..., D)
/// Derivative: dweight[token] = the sum of dy over the positions that hold the token; none for tokens.
/// Use: as the first op of a language model.
template <Real T>
Tensor<T> embedding(const Tensor<T>& weight, const Array<int64_t>& tokens);

}  // namespace orthoread
