// Reductions: from many numbers along some axes to one. Sums are added in an order that no number of threads changes.
//
// mean, max and cumsum are for models of your own: the recall model needs none of them.
#pragma once

#include "core/tensor.h"

namespace orthoread {

/// The sum over the given axes (negative ones count from the end), or of all numbers; keep_axes leaves the axes in the
/// shape with size 1.
/// Shapes: x (...) -> x's shape without the axes, or {} for all
/// Derivative: dx = dy, repeated along the axes.
/// Use: for a loss from many terms. As the loss of a test it hides mistakes: take a random cotangent instead.
template <Real T>
Array<T> sum(const Array<T>& x, const std::vector<int>& axes, bool keep_axes = false);
template <Real T>
Tensor<T> sum(const Tensor<T>& x, const std::vector<int>& axes, bool keep_axes = false);
template <Real T>
Tensor<T> sum(const Tensor<T>& x);

/// The mean over the given axes, or of all numbers.
/// Shapes: as of sum
/// Derivative: dx = dy / n, repeated, n being how many numbers each mean is of.
/// Use: for a loss whose size does not depend on the batch.
template <Real T>
Tensor<T> mean(const Tensor<T>& x, const std::vector<int>& axes, bool keep_axes = false);
template <Real T>
Tensor<T> mean(const Tensor<T>& x);

/// The largest number over the given axes, or of all. An error on empty axes.
/// Shapes: as of sum
/// Derivative: dy goes to the largest number; equal ones share it evenly, as in PyTorch's amax.
/// Use: for pooling, or to shift exponentials into range.
template <Real T>
Tensor<T> max(const Tensor<T>& x, const std::vector<int>& axes, bool keep_axes = false);
template <Real T>
Tensor<T> max(const Tensor<T>& x);

/// The running sum along one axis: y_i = x_0 + … + x_i.
/// Shapes: x -> the same
/// Derivative: dx_i = dy_i + dy_{i+1} + …, the running sum from the other end.
/// Use: for products of gates, as sums of their logarithms.
template <Real T>
Tensor<T> cumsum(const Tensor<T>& x, int axis);

/// The Frobenius norm over the last two axes, which stay with size 1: the root of the sum of squares.
/// Shapes: x (..., m, n) -> (..., 1, 1)
/// Derivative: dx = dy x / y; where x is zero it is zero, as in PyTorch.
/// Use: to bring the singular values of a matrix below 1, as newton_schulz does first.
template <Real T>
Tensor<T> frobenius_norm(const Tensor<T>& x);

}  // namespace orthoread
