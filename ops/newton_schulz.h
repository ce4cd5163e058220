// Newton-Schulz iteration: towards the orthogonal factor of a matrix by matrix products alone.
#pragma once

#include "core/tensor.h"

namespace orthoread {

/// One step X <- a X + b X G + c X G^2 with G = X^T X. With X = U S V^T it maps every singular value s to
/// a s + b s^3 + c s^5 and leaves U and V as they are.
struct OddPolynomial {
  double a, b, c;  // of s, s^3 and s^5
};

/// X (3 I - X^T X) / 2: converges to singular values 1 from any in (0, sqrt 3). Used by the article.
constexpr OddPolynomial kCubic = {1.5, -0.5, 0};
/// Muon's quintic (Jordan et al., 2024): faster, but it ends anywhere between about 0.7 and 1.2.
constexpr OddPolynomial kMuonQuintic = {3.4445, -4.7750, 2.0315};

/// X / max(|X|_F, eps), then `steps` steps of the polynomial.
/// Shapes: x (..., m, n) -> the same
/// Derivative: composed of those of matmul, mul and add; for the cubic at most 1.5^steps / |X|_F times dy.
/// Use: to make singular values nearly equal by products alone. To read a memory through it use mlstm.
template <Real T>
Tensor<T> newton_schulz(const Tensor<T>& x, int steps, double eps = 1e-6, OddPolynomial step = kCubic);

}  // namespace orthoread
