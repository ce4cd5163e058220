// How much the backward of the orthogonalization enlarges the gradient.
//
// For R = NS_k(C) and a cotangent dL/dR, the gain is |dL/dC| |C| / |dL/dR|, which no scaling changes. It depends on
// which singular values of C the cotangent touches. Let C = U S V^T have a pair of equal singular values s, relative to
// |C|, with left vectors u, u' and right vectors v, v'. Two cotangents isolate the pair:
//
//   turning      (u v'^T - u' v^T) / sqrt 2     gain p(s) / s, where NS_k maps s to p(s)
//   stretching   (u v^T - u' v'^T) / sqrt 2     gain |p'(s)|
//
// p(s) / s grows at most by 3/2 per step. The exact polar factor has p = 1: its stretching gain is 0, and its turning
// gain 1/s grows without bound as C loses rank.
#pragma once

#include "ops/newton_schulz.h"

#include <string>
#include <vector>

namespace orthoread {

struct Gain {
  double turning, stretching;
};

/// The gains of `steps` steps at a pair of singular values s in [0, .7], measured by backward through newton_schulz.
Gain newton_schulz_gain(double s, int steps, OddPolynomial step = kCubic, uint64_t seed = 1);
/// The gains of the exact polar factor: {1 / s, 0}.
Gain polar_gain(double s);

/// The gains at several singular values (rows) after several numbers of steps (columns).
struct GainTable {
  std::vector<double> singular_values;
  std::vector<int> steps;
  std::vector<std::vector<Gain>> gains;

  GainTable(std::vector<double> singular_values, std::vector<int> steps, OddPolynomial step, uint64_t seed);
  std::string text() const;
};

/// Plots the turning gains, and those of the polar factor, to an .svg or .png file, atomically. An Error without
/// gnuplot.
void plot_gains(const std::string& path, OddPolynomial step, uint64_t seed);

}  // namespace orthoread
