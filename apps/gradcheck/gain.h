// How much larger the gradient is before the orthogonalization than after it.
//
// For R = NS_k(C) and a cotangent dL/dR, the gain is |dL/dC| |C| / |dL/dR|: free of both scales. It depends on which
// singular values of C the cotangent touches. Take C = U S V^T with a pair of equal singular values s, relative to |C|,
// with left vectors u, u' and right vectors v, v'. Two cotangents isolate the pair:
//
//   turning      (u v'^T - u' v^T) / sqrt 2     gain p(s) / s, p(s) being what NS_k makes of s
//   stretching   (u v^T - u' v'^T) / sqrt 2     gain |p'(s)|
//
// and p(s) / s is at most 3/2 a step. The exact polar factor has p = 1: its stretching gain is 0, its turning gain 1 /
// s grows without bound as C loses rank.
#pragma once

#include "ops/newton_schulz.h"

#include <string>
#include <vector>

namespace orthoread {

struct Gain {
  double turning, stretching;
};

/// Of `steps` steps at a pair of singular values s, from 0 to .7, measured by backward through newton_schulz.
Gain newton_schulz_gain(double s, int steps, OddPolynomial step = kCubic, uint64_t seed = 1);
/// Of the exact polar factor: {1 / s, 0}.
Gain polar_gain(double s);

/// The gains at several singular values (rows) after several numbers of steps (columns).
struct GainTable {
  std::vector<double> singular_values;
  std::vector<int> steps;
  std::vector<std::vector<Gain>> gains;

  GainTable(std::vector<double> singular_values, std::vector<int> steps, OddPolynomial step, uint64_t seed);
  std::string text() const;
};

/// Draws the turning gains and the polar factor's with gnuplot into an .svg or .png file, which appears whole or not at
/// all. An error without gnuplot.
void plot_gains(const std::string& path, OddPolynomial step, uint64_t seed);

}  // namespace orthoread
