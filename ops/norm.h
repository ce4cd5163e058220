// Normalisation of feature vectors: the last axis of x.
#pragma once

#include "core/tensor.h"

namespace orthoread {

/// Within each of `groups` equal groups of features: y = (x - mean) / sqrt(variance + eps) * weight, the variance being
/// the mean of (x - mean)^2.
/// Shapes: x (..., D), weight (D), groups divides D -> (..., D)
/// Derivative: with n the normalised x and g = dy weight: dx = (g - mean(g) - n mean(g n)) / sqrt(variance + eps),
/// dweight = dy n summed over the rows.
/// Use: to give each head's output one size. The recall model has it inside gated_norm_linear.
template <Real T>
Tensor<T> group_norm(const Tensor<T>& x, const Tensor<T>& weight, int64_t groups, double eps = 1e-5);

/// group_norm with all features in one group.
/// Shapes: x (..., D), weight (D) -> (..., D)
/// Derivative: as of group_norm.
/// Use: before a block or a head, in a model of your own, and as a part of the twin of norm_linear, which does it
/// together with the map that follows.
template <Real T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& weight, double eps = 1e-5);

/// What an mLSTM block does after its memory, in one pass: (group_norm(x) + skip c) silu(z).
/// Shapes: x, c, z (..., D), weight, skip (D) -> (..., D)
/// Derivative: with u the sum in parentheses and g = dy silu(z): x and weight as of group_norm with g for dy,
/// dskip = g c summed over the rows, dc = g skip, dz = dy u silu'(z).
/// Use: at the end of a block of your own, and as a part of the twin of gated_norm_linear, which the recall model has.
template <Real T>
Tensor<T> gated_norm(const Tensor<T>& x, const Tensor<T>& weight, int64_t groups, const Tensor<T>& skip,
                     const Tensor<T>& c, const Tensor<T>& z, double eps = 1e-5);

}  // namespace orthoread
