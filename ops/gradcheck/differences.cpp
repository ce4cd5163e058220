#include "ops/gradcheck/differences.h"

#include <algorithm>
#include <cmath>

namespace orthoread {
namespace {

constexpr int kHalvings = 3;
constexpr int kExponents[] = {-5, -10, -14, -18, -22, -26};  // of the largest steps tried, relative to the scale
constexpr double kCoarseKink = 1e-3;  // bends that do not halve, relative: more is not called smooth at coarse steps
// From one exponent to the next, steps 16 times smaller, the kink() of a smooth function falls by 16^3.
constexpr double kFall = 1. / 16;

/// Differences at steps h, h/2, h/4, h/8.
struct HalvedSteps {
  std::array<double, kHalvings + 1> two, bend;
  std::array<double, kHalvings> four;
  double finest, left, right;  // the smallest step; one-sided slopes at the largest

  HalvedSteps(const std::function<double(double)>& f, double h) {
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
  Slope best, slope;
  double best_share = 0, kink_before = 0;
  const double start = std::exp2(std::round(std::log2(scale)));  // powers of two: few steps are rounded
  for (const int exponent : kExponents) {
    slope.step = std::ldexp(start, exponent);
    const HalvedSteps at(f, slope.step);
    slope.numeric = at.four[2], slope.left = at.left, slope.right = at.right;
    const double unit = std::max(limits.unit, std::abs(slope.numeric)), rounding = 8 * limits.noise / at.finest;
    slope.allowed = limits.relative * unit + rounding;
    if (!std::isfinite(at.kink())) continue;  // f may not be defined so far away
    const bool converged = at.error() <= slope.allowed;
    const bool bent = at.kink() > (exponent == kExponents[0] ? kCoarseKink * unit + rounding : slope.allowed);
    for (size_t j = 0; j < 2; ++j) {
      slope.moves2[j] = std::abs(at.two[j] - at.two[j + 1]);
      slope.moves4[j] = std::abs(at.four[j] - at.four[j + 1]);
    }
    if (!(slope.moves2[1] > rounding)) slope.moves2 = {};
    if (!(slope.moves4[1] > rounding)) slope.moves4 = {};
    const double difference = std::abs(slope.numeric - analytic);
    const double share = difference == 0 ? 0 : difference / slope.allowed;
    if (converged && !bent && share <= 1) {
      slope.verdict = Slope::Verdict::agrees;
      if (best.verdict != Slope::Verdict::agrees || share < best_share) best = slope, best_share = share;
      if (share <= kWell) break;
      continue;
    }
    slope.verdict = bent && at.kink() > kink_before * kFall ? Slope::Verdict::kink
                    : bent || !converged                    ? Slope::Verdict::rough
                                                            : Slope::Verdict::disagrees;
    kink_before = at.kink();
  }
  return best.verdict == Slope::Verdict::agrees ? best : slope;
}

}  // namespace orthoread
