#include "ops/check/differences.h"

#include <algorithm>
#include <cmath>

namespace orthoread {
namespace {

constexpr int kHalvings = 3;
constexpr double kCoarseKink = 1e-3;  // bends that do not halve, relative: more is not called smooth at coarse steps

/// Differences at steps h, h/2, h/4, h/8.
struct Ladder {
  std::array<double, kHalvings + 1> two, bend;
  std::array<double, kHalvings> four;
  double finest, left, right;  // the smallest step; one-sided slopes at the largest

  Ladder(const std::function<double(double)>& f, double h) {
    for (size_t j = 0; j <= kHalvings; ++j, h /= 2) {
      const double above = f(h), below = f(-h);
      two[j] = (above - below) / (2 * h);
      bend[j] = (above + below) / h;
      if (j == 0) right = above / h, left = -below / h;
      finest = h;
    }
    for (size_t j = 0; j < kHalvings; ++j) four[j] = (4 * two[j + 1] - two[j]) / 3;
  }

  double error() const { return std::abs(four[2] - four[1]); }
  /// 0, but for terms of third order, where f is smooth.
  double kink() const {
    double most = 0;
    for (size_t j = 0; j < kHalvings; ++j) most = std::max(most, std::abs(bend[j] - 2 * bend[j + 1]));
    return most;
  }
};

}  // namespace

Slope compare_slope(const std::function<double(double)>& f, double analytic, double scale, const SlopeLimits& limits) {
  Slope slope;
  const double start = std::exp2(std::round(std::log2(scale)));  // powers of two: few steps are rounded
  for (const int exponent : {-5, -10, -18}) {
    slope.step = std::ldexp(start, exponent);
    const Ladder at(f, slope.step);
    slope.numeric = at.four[2], slope.left = at.left, slope.right = at.right;
    const double unit = std::max(limits.unit, std::abs(slope.numeric)), rounding = 8 * limits.noise / at.finest;
    const double allowed = limits.relative * unit + rounding;
    slope.allowed = allowed;
    if (!std::isfinite(at.kink())) continue;  // f may not be defined so far away
    const bool finest = exponent == -18, converged = at.error() <= allowed;
    const bool bent = at.kink() > (finest ? allowed : kCoarseKink * unit + rounding);
    if (exponent == -5 && !bent) {
      for (size_t j = 0; j < 2; ++j) {
        slope.moves2[j] = std::abs(at.two[j] - at.two[j + 1]);
        slope.moves4[j] = std::abs(at.four[j] - at.four[j + 1]);
      }
      if (!(slope.moves2[1] > rounding)) slope.moves2 = {};
      if (!(slope.moves4[1] > rounding)) slope.moves4 = {};
    }
    if (converged && !bent && std::abs(slope.numeric - analytic) <= allowed) {
      slope.verdict = Slope::Verdict::agrees;
      break;
    }
    slope.verdict = bent ? Slope::Verdict::kink : converged ? Slope::Verdict::disagrees : Slope::Verdict::rough;
  }
  return slope;
}

}  // namespace orthoread
