// The polynomial of the orthogonalized read, as Chebyshev series.
//
// One Newton-Schulz step takes every singular value s of X to s (3 - s^2) / 2. k steps take X to the odd polynomial
// NS_k(X) = X g(X^T X), where g(x) = p_k(sqrt x) / sqrt x and p_k is k scalar steps: with z the square of the value so
// far, each step multiplies g by h = (3 - z) / 2 and z by h^2. g(0) = 1.5^k, g falls steeply near 0 and is smooth.
//
// A read needs g only on the spectrum of G = X^T X, which lies in [0, beta] for any beta >= lambda_max(G). A smaller
// beta needs fewer terms for the same accuracy, about sqrt(beta) as many:
//   g(x) = sum_j c_j T_j(2 x / beta - 1),   0 <= x <= beta.
// So there is a series for each of several intervals, and each token takes the shortest that holds its spectrum.
#pragma once

#include "ops/memory_read.h"

#include <cstdint>
#include <vector>

namespace orthoread {

/// A series that is cut after some terms, and the errors of the cut. The coefficients are rounded, too, which the test
/// bounds.
struct ReadSeries {
  double beta = 1;                   // holds on [0, beta]
  std::vector<double> coefficients;  // c_0, c_1, ...
  double value_error = 0;            // bound of |series - g| / g(0) on the interval
  double slope_error = 0;            // bound of |series' - g'| / |g'(0)|: gradients use the series' own slope
};

/// From one interval to the next, 2^(-1/8): at most 5 % more terms than the best beta would need.
inline constexpr double kIntervalRatio = 0.917004043204671;

/// Series for k = `steps`, 0 <= steps <= kMostReadSteps, on intervals from beta = 1 on, each shorter than the one
/// before, with both errors below 2 precision, which is 2^-24 for float and 2^-53 for double. Made once for each
/// (steps, precision) and kept.
const std::vector<ReadSeries>& read_series(int steps, double precision);

/// The series for one interval, cut as above.
ReadSeries make_read_series(int steps, double beta, double precision);

}  // namespace orthoread
