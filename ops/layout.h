// Ops that move numbers and compute nothing.
#pragma once

#include "core/tensor.h"

namespace orthoread {

/// The same numbers in the same order under another shape; one size may be -1: it follows from the others.
/// Shapes: x -> shape, of as many numbers
/// Derivative: dx = dy under x's shape.
/// Use: to split an axis into heads, or to add an axis of size 1. It never exchanges axes: that is permute.
template <Real T>
Tensor<T> reshape(const Tensor<T>& x, Shape shape);

/// Axis i of the result is axis order[i] of x.
/// Shapes: x (n_0, n_1, …) -> (n_order[0], n_order[1], …)
/// Derivative: dx = dy, permuted back.
/// Use: to exchange axes, such as batch and time, or rows and columns. For a transposed factor matmul has a flag, which
/// is cheaper.
template <Real T>
Array<T> permute(const Array<T>& x, const std::vector<int>& order);
template <Real T>
Tensor<T> permute(const Tensor<T>& x, const std::vector<int>& order);

/// The indices begin … end - 1 along one axis.
/// Shapes: x (..., n, ...) -> (..., end - begin, ...)
/// Derivative: dx = dy in its place, 0 elsewhere.
/// Use: for one part. For all parts use split: S slices, one a token, cost O(S^2) in backward.
template <Real T>
Tensor<T> slice(const Tensor<T>& x, int axis, int64_t begin, int64_t end);

/// Tensors joined along an existing axis.
/// Shapes: parts (..., n_i, ...) -> (..., sum of n_i, ...)
/// Derivative: each part gets its piece of dy.
/// Use: to multiply several inputs, or several weights, at once.
template <Real T>
Array<T> concat(const std::vector<Array<T>>& parts, int axis);
template <Real T>
Tensor<T> concat(const std::vector<Tensor<T>>& parts, int axis);

/// The reverse of concat: parts of the given sizes, which must add up to the axis. One node, whatever the number of
/// parts, so that the backward of a loop over S tokens costs O(S).
/// Shapes: x (..., n, ...) -> (..., sizes[i], ...) each
/// Derivative: dx = the dy joined, 0 for parts without a gradient.
/// Use: to split a result, such as the queries, keys and values of one product.
template <Real T>
std::vector<Tensor<T>> split(const Tensor<T>& x, int axis, const std::vector<int64_t>& sizes);

/// Tensors of one shape joined along a new axis.
/// Shapes: n parts (...) -> (..., n, ...), the new axis being `axis`
/// Derivative: each part gets its index of dy.
/// Use: to collect the outputs of a loop over tokens.
template <Real T>
Tensor<T> stack(const std::vector<Tensor<T>>& parts, int axis);

/// The reverse of stack: a tensor for each index of an axis, without that axis.
/// Shapes: x (..., n, ...) -> n times (...)
/// Derivative: dx = the dy stacked, 0 for parts without a gradient.
/// Use: to loop over tokens.
template <Real T>
std::vector<Tensor<T>> unstack(const Tensor<T>& x, int axis);

}  // namespace orthoread
