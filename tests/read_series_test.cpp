#include "ops/memory/read_series.h"

#include "tests/support.h"

using namespace orthoread;

namespace {

using Extended = long double;

/// The value and slope of a function.
struct Jet {
  Extended value, slope;
};

/// g(x) = p_k(s) / s at x = s^2, where NS_k maps s to p_k(s). Its slope by the product rule, step by step.
Jet exact(int steps, Extended x) {
  Jet g{1, 0}, z{x, 1};
  for (int i = 0; i < steps; ++i) {
    const Jet h{(3 - z.value) / 2, -z.slope / 2};
    g = {g.value * h.value, g.slope * h.value + g.value * h.slope};
    z = {z.value * h.value * h.value, z.slope * h.value * h.value + 2 * z.value * h.value * h.slope};
  }
  return g;
}

/// sum_j c_j T_j(2 x / beta - 1) by the recurrence of T_j itself, not by Clenshaw's, which the kernel uses.
Jet sum(const ReadSeries& series, Extended x) {
  const Extended s = 2 * x / Extended(series.beta) - 1, inner = 2 / Extended(series.beta);
  Jet before{1, 0}, now{s, inner}, total{0, 0};
  for (const double c : series.coefficients) {
    total = {total.value + Extended(c) * before.value, total.slope + Extended(c) * before.slope};
    const Jet next{2 * s * now.value - before.value, 2 * (inner * now.value + s * now.slope) - before.slope};
    before = now;
    now = next;
  }
  return total;
}

constexpr double kFloat = 0x1p-24, kDouble = 0x1p-53;
constexpr Extended kWide = std::numeric_limits<Extended>::epsilon();

}  // namespace

TEST_CASE("read_series: value and slope are as accurate as stated, on every interval, for every k") {
  // The stated bounds are those of truncation. Coefficients also have rounding errors: they are computed in long
  // double, dropped below 16 eps g(0) and stored as doubles. Since |T_j| <= 1, |T_j'(s)| <= j^2 and ds/dx = 2/beta,
  // these are for value and slope:
  for (const double precision : {kFloat, kDouble}) {
    for (int steps = 0; steps <= kMostReadSteps; ++steps) {
      CAPTURE(steps);
      CAPTURE(precision);
      const Jet top = exact(steps, 0);
      for (const ReadSeries& series : read_series(steps, precision)) {
        CAPTURE(series.beta);
        CHECK(series.value_error <= 2 * precision);
        CHECK(series.slope_error <= 2 * precision);
        Extended value_rounding = 0, slope_rounding = 0;
        for (size_t j = 0; j <= series.coefficients.size(); ++j) {  // and one dropped coefficient
          const Extended c = j < series.coefficients.size() ? Extended(series.coefficients[j]) : 0;
          const Extended rounding = Extended(kDouble) * std::abs(c) + 16 * kWide * top.value;
          value_rounding += rounding;
          slope_rounding += rounding * Extended(j * j) * 2 / Extended(series.beta);
        }
        Extended value_error = 0, slope_error = 0;
        constexpr int points = 400;
        for (int i = 0; i <= points; ++i) {  // densest at the ends, where slopes are least accurate
          const Extended x = Extended(series.beta) * (1 - std::cos(3.14159265358979323846L * i / points)) / 2;
          const Jet g = exact(steps, x), y = sum(series, x);
          value_error = std::max(value_error, std::abs(y.value - g.value));
          slope_error = std::max(slope_error, std::abs(y.slope - g.slope));
        }
        CHECK(value_error <= Extended(series.value_error) * top.value + value_rounding);
        CHECK(slope_error <= Extended(series.slope_error) * std::abs(top.slope) + slope_rounding);
      }
    }
  }
}

TEST_CASE("read_series: few terms, and fewer on a shorter interval") {
  const auto terms = [](int steps, double precision) {
    return read_series(steps, precision).front().coefficients.size();
  };
  CHECK(read_series(5, kFloat).front().beta == 1);
  CHECK(terms(0, kFloat) == 1);   // g = 1
  CHECK(terms(1, kFloat) == 2);   // g = (3 - x) / 2
  CHECK(terms(2, kDouble) <= 5);  // a polynomial of degree (3^2 - 1) / 2
  CHECK(terms(5, kFloat) == 26);  // this makes the read cheap
  CHECK(terms(5, kDouble) == 43);
  for (int steps = 0; steps <= kMostReadSteps; ++steps) {
    for (const double precision : {kFloat, kDouble}) {
      const std::vector<ReadSeries>& series = read_series(steps, precision);
      for (size_t i = 1; i < series.size(); ++i) {
        CHECK(series[i].beta < series[i - 1].beta);
        CHECK(series[i].coefficients.size() <= series[i - 1].coefficients.size());
      }
      CHECK(series.back().beta < 1.0 / 200);
    }
  }
}
