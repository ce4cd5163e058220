// Finite differences of a function of one number, judged by how they converge.
#include "ops/gradcheck/differences.h"

#include "tests/support.h"

using namespace orthoread;

TEST_CASE("differences: they converge with orders 2 and 4") {
  const double x = 0.3;
  const auto f = [x](double t) { return std::sin(x + t) - std::sin(x); };
  const SlopeLimits limits{.unit = 1, .noise = 1e-16};
  const Slope slope = compare_slope(f, std::cos(x), 1, limits);
  CHECK(slope.verdict == Slope::Verdict::agrees);
  CHECK(slope.numeric == doctest::Approx(std::cos(x)).epsilon(1e-9));
  CHECK(std::log2(slope.moves2[0] / slope.moves2[1]) == doctest::Approx(2).epsilon(0.01));
  CHECK(std::log2(slope.moves4[0] / slope.moves4[1]) == doctest::Approx(4).epsilon(0.01));
  CHECK(compare_slope(f, std::cos(x) + 3e-6, 1, limits).verdict == Slope::Verdict::disagrees);
}

TEST_CASE("differences: a step relative to the scale, a kink, a jump, a slope that is not there") {
  const auto verdict = [](auto f, double analytic, double scale, double unit, double noise = 0) {
    return compare_slope(f, analytic, scale, {.unit = unit, .noise = noise}).verdict;
  };
  // sin(1e5 t) / 1e5 at scale 1e-5: a fixed step of 1e-6 would be off by .2 %
  CHECK(verdict([](double t) { return std::sin(1e5 * t) / 1e5; }, 1, 1e-5, 1) == Slope::Verdict::agrees);
  for (const double where : {-0.9, -0.1, 0.0, 0.2, 0.5, 0.7}) {  // of the finest steps
    const double at = where * 0x1p-26;
    const auto bent = [at](double t) { return std::max(t, at) - std::max(0.0, at); };
    CAPTURE(where);
    CHECK(verdict(bent, where < 0 ? 1 : 0, 1, 1) == Slope::Verdict::kink);
  }
  CHECK(verdict([](double t) { return std::max(0.0, t - 1e-4); }, 0, 1, 1) == Slope::Verdict::agrees);
  CHECK(verdict([](double t) { return t > 0 ? 1.0 : 0.0; }, 0, 1, 1) == Slope::Verdict::kink);
  CHECK(verdict([](double t) { return std::sin(1e9 * t); }, 1e9, 1, 1) != Slope::Verdict::agrees);
  CHECK(verdict([](double t) { return std::sqrt(t); }, 0, 1, 1) == Slope::Verdict::rough);  // NaN on the left
}
