// Ops on one number at a time. Those of two operands broadcast as in NumPy.
//
// The recall model needs few of them. The others, such as sub, sqrt, tanh and softplus, are for models of your own, and
// for writing the twin that a fused op is tested against.
#pragma once

#include "core/tensor.h"

namespace orthoread {

// On plain arrays: what the ops of the same names compute, without history.

/// a + b.
template <Real T>
Array<T> add(const Array<T>& a, const Array<T>& b);
/// a b, number by number.
template <Real T>
Array<T> mul(const Array<T>& a, const Array<T>& b);
/// c x for a constant c.
template <Real T>
Array<T> scale(const Array<T>& x, T c);

// With history.

/// a + b.
/// Shapes: a, b broadcast -> y
/// Derivative: da = dy, db = dy, each summed over the axes along which its operand was repeated.
/// Use: for a bias, a residual connection, a sum of losses.
template <Real T>
Tensor<T> add(const Tensor<T>& a, const Tensor<T>& b);

/// a - b.
/// Shapes: a, b broadcast -> y
/// Derivative: da = dy, db = -dy, each summed to its shape.
/// Use: for the difference of a prediction and a target.
template <Real T>
Tensor<T> sub(const Tensor<T>& a, const Tensor<T>& b);

/// a b, number by number.
/// Shapes: a, b broadcast -> y
/// Derivative: da = dy b, db = dy a, each summed to its shape.
/// Use: for gates and weights; matmul is the product of matrices.
template <Real T>
Tensor<T> mul(const Tensor<T>& a, const Tensor<T>& b);

/// a / b, number by number.
/// Shapes: a, b broadcast -> y
/// Derivative: da = dy / b, db = -dy a / b^2, each summed to its shape.
/// Use: for normalising; keep b away from 0, with clamp_min or shift.
template <Real T>
Tensor<T> div(const Tensor<T>& a, const Tensor<T>& b);

/// The larger one.
/// Shapes: a, b broadcast -> y
/// Derivative: dy goes to the larger one; where a = b each gets half of it, as in PyTorch.
/// Use: for a bound that is itself computed; clamp_min is the one for a constant.
template <Real T>
Tensor<T> maximum(const Tensor<T>& a, const Tensor<T>& b);

/// -x.
/// Shapes: x -> the same
/// Derivative: dx = -dy.
/// Use: for a loss that is to grow: minimise its negative.
template <Real T>
Tensor<T> neg(const Tensor<T>& x);

/// e^x.
/// Shapes: x -> the same
/// Derivative: dx = dy y.
/// Use: for something positive; for probabilities take log_softmax, which cannot overflow.
template <Real T>
Tensor<T> exp(const Tensor<T>& x);

/// The natural logarithm.
/// Shapes: x -> the same
/// Derivative: dx = dy / x.
/// Use: on what is surely positive; of a sum of exponentials take log_softmax, of sigmoid log_sigmoid.
template <Real T>
Tensor<T> log(const Tensor<T>& x);

/// The square root.
/// Shapes: x -> the same
/// Derivative: dx = dy / (2 y), infinite at 0.
/// Use: for a deviation from a variance, with an epsilon added before.
template <Real T>
Tensor<T> sqrt(const Tensor<T>& x);

/// |x|.
/// Shapes: x -> the same
/// Derivative: dx = dy sign(x), at 0 it is 0, as in PyTorch.
/// Use: for a size without a sign, such as the mLSTM's normaliser.
template <Real T>
Tensor<T> abs(const Tensor<T>& x);

/// The hyperbolic tangent, from -1 to 1.
/// Shapes: x -> the same
/// Derivative: dx = dy (1 - y^2).
/// Use: as the non-linearity of a small network.
template <Real T>
Tensor<T> tanh(const Tensor<T>& x);

/// 1 / (1 + exp(-x)), from 0 to 1, without overflow.
/// Shapes: x -> the same
/// Derivative: dx = dy y (1 - y).
/// Use: for a gate.
template <Real T>
Tensor<T> sigmoid(const Tensor<T>& x);

/// log(sigmoid(x)), exact where sigmoid(x) would round to 0.
/// Shapes: x -> the same
/// Derivative: dx = dy sigmoid(-x).
/// Use: for a forget gate whose logarithms are added up.
template <Real T>
Tensor<T> log_sigmoid(const Tensor<T>& x);

/// x sigmoid(x).
/// Shapes: x -> the same
/// Derivative: dx = dy s (1 + x (1 - s)) with s = sigmoid(x).
/// Use: as the smooth non-linearity of current models.
template <Real T>
Tensor<T> silu(const Tensor<T>& x);

/// log(1 + exp(x)), without overflow.
/// Shapes: x -> the same
/// Derivative: dx = dy sigmoid(x).
/// Use: for something positive that must not grow like exp.
template <Real T>
Tensor<T> softplus(const Tensor<T>& x);

/// c x for a constant c.
/// Shapes: x -> the same
/// Derivative: dx = c dy.
/// Use: for a constant factor, such as 1 / sqrt(d): it costs no tensor.
template <Real T>
Tensor<T> scale(const Tensor<T>& x, T c);

/// x + c for a constant c.
/// Shapes: x -> the same
/// Derivative: dx = dy.
/// Use: for a constant offset, such as an epsilon.
template <Real T>
Tensor<T> shift(const Tensor<T>& x, T c);

/// max(x, lower) for a constant.
/// Shapes: x -> the same
/// Derivative: dx = dy where x >= lower, else 0, as in PyTorch.
/// Use: to keep a divisor away from 0.
template <Real T>
Tensor<T> clamp_min(const Tensor<T>& x, T lower);

// add, sub, mul and div by their signs.

template <Real T>
Tensor<T> operator+(const Tensor<T>& a, const Tensor<T>& b) {
  return add(a, b);
}
template <Real T>
Tensor<T> operator-(const Tensor<T>& a, const Tensor<T>& b) {
  return sub(a, b);
}
template <Real T>
Tensor<T> operator*(const Tensor<T>& a, const Tensor<T>& b) {
  return mul(a, b);
}
template <Real T>
Tensor<T> operator/(const Tensor<T>& a, const Tensor<T>& b) {
  return div(a, b);
}

}  // namespace orthoread
