// Finite differences of a function of one number, judged by how they converge.
//
// From f at the points ±h, ±h/2, ±h/4, ±h/8 around 0, where f is 0:
//
//   2-point   D(h) = (f(h) - f(-h)) / (2 h)       = f' + h^2 f''' / 6 + O(h^4)
//   4-point   (4 D(h/2) - D(h)) / 3               = f' + O(h^4)
//   bend      B(h) = (f(h) + f(-h)) / h           = h f'' + O(h^3): the slope on the right less that on the left
//
// Where f is smooth, D changes 4 times less with each halving of h, the 4-point formula 16 times less: the observed
// order, 2 or 4, tells that the figure is a derivative. And the bend halves. At a kink, or with one between -h and h,
// it does not.
#pragma once

#include <array>
#include <functional>

namespace orthoread {

/// Where differences agree to this share of what is allowed, no finer steps are tried.
constexpr double kWell = 1. / 16;

/// What a slope is judged by.
struct SlopeLimits {
  double relative = 1e-6;  // error that is allowed, of `unit` or the slope itself, whichever is larger
  double unit = 0;
  double noise = 0;  // rounding error of f, absolute
};

struct Slope {
  enum class Verdict {
    agrees,     // with the analytic slope
    disagrees,  // the differences converge, to something else
    kink,       // the slopes on both sides differ, however small the step
    rough,      // the differences do not converge, and there is no kink either: noise, or a jump
  };
  Verdict verdict = Verdict::rough;
  double numeric = 0;          // by four points, at the finest steps tried
  double allowed = 0;          // error of it
  double step = 0;             // the largest of them
  double left = 0, right = 0;  // one-sided slopes at `step`
  /// How much the 2- and the 4-point formula moved in the first and in the second halving of those steps; zeros where
  /// only rounding moved them.
  std::array<double, 2> moves2 = {}, moves4 = {};
};

/// Compares f'(0) with `analytic`. f(0) must be 0; scale is the size of what f's argument is added to: steps begin at
/// scale / 32 and shrink to scale / 2^29 as long as the differences do not agree.
Slope compare_slope(const std::function<double(double)>& f, double analytic, double scale, const SlopeLimits& limits);

}  // namespace orthoread
