// Convolution along the tokens.
#pragma once

#include "core/tensor.h"

namespace orthoread {

/// Causal depthwise convolution: y[b, s, c] = bias[c] + sum_j weight[c, 0, j] x[b, s - (K - 1) + j, c], x before the
/// first token being 0. PyTorch's Conv1d with groups = C, padding K - 1 on the left, and the same weight layout.
/// Shapes: x (B, S, C), weight (C, 1, K), bias (C) -> (B, S, C)
/// Derivative: dx[b, s] = sum_j weight[j] dy[b, s + (K - 1) - j], dbias = dy summed over b and s,
/// dweight[j] = sum over b, s of dy[b, s] x[b, s - (K - 1) + j].
/// Use: to let a token see the few before it, and none after it: in a model of your own, and as the twin of
/// causal_conv_silu, which the recall model has.
template <Real T>
Tensor<T> causal_conv(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias);

/// silu(causal_conv(x, weight, bias)) in one pass.
/// Shapes: x (B, S, C), weight (C, 1, K), bias (C) -> (B, S, C)
/// Derivative: as of causal_conv, with dy silu'(u) for dy, u being the convolution.
/// Use: where the non-linearity follows, as in the mLSTM block.
template <Real T>
Tensor<T> causal_conv_silu(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias);

}  // namespace orthoread
