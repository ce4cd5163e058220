#include "ops/memory/read_series.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <numbers>
#include <utility>

namespace orthoread {
namespace {

using Extended = long double;  // on x86 64 bits of mantissa

constexpr double slack = 2;                  // in units of the precision: rounding adds as much
constexpr double smallest_beta = 1.0 / 256;  // lambda_max >= 1/d; below, the series hardly gets shorter

/// g at x, see the header.
Extended read_polynomial(int steps, Extended x) {
  Extended g = 1, z = x;
  for (int i = 0; i < steps; ++i) {
    const Extended h = (3 - z) / 2;
    g *= h;
    z *= h * h;
  }
  return g;
}

/// -g'(0) = 1.5^k (1 + 2.25 + ... + 2.25^(k-1)) / 3, from h = 3/2 and z' = 2.25^i at the i-th step.
Extended steepest_slope(int steps) {
  Extended z = 1, sum = 0;
  for (int i = 0; i < steps; ++i, z *= Extended(2.25)) sum += z;
  return std::pow(Extended(1.5), Extended(steps)) * sum / 3;
}

/// The first n Chebyshev coefficients of g(beta (1 + cos t) / 2) from its values at the n points
/// t_i = pi (i + 1/2) / n. They are those of g, plus the aliases c_(2n-j), c_(2n+j), ..., which are rounding noise once
/// n is past where c has died away.
std::vector<Extended> interpolate(int steps, Extended beta, int n) {
  // cos(pi m / 2n) for m < 4n, in which every cos(j t_i) = cos(pi j (2i + 1) / 2n) is found exactly reduced.
  const int period = 4 * n;
  std::vector<Extended> cosine(static_cast<size_t>(period));
  for (int m = 0; m < period; ++m)
    cosine[static_cast<size_t>(m)] = std::cos(std::numbers::pi_v<Extended> * Extended(m) / Extended(2 * n));
  std::vector<Extended> value(static_cast<size_t>(n)), c(static_cast<size_t>(n));
  for (size_t i = 0; i < value.size(); ++i) value[i] = read_polynomial(steps, beta * (1 + cosine[2 * i + 1]) / 2);
  for (int j = 0; j < n; ++j) {
    Extended sum = 0;
    for (int i = 0, m = j; i < n; ++i, m = (m + 2 * j) % period)
      sum += value[static_cast<size_t>(i)] * cosine[static_cast<size_t>(m)];
    c[static_cast<size_t>(j)] = sum * Extended(j == 0 ? 1 : 2) / Extended(n);
  }
  return c;
}

/// The first `terms` coefficients of c, the last two changed so that the series' slope is the slope's own series, cut.
///
/// A series that is merely cut has its worst slope at x = 0, where |T_j'| = j^2 and g is steepest. But with
/// g'(x) = sum_j a_j T_j, the slope of the cut series differs from the cut series of the slope through its last two
/// coefficients alone, as T_j' is twice j times the sum of every second T below it:
///   c_j + (j+2)/j c_{j+2} + (j+4)/j c_{j+4} + ...   for the last two j, in place of c_j
/// gives the slope sum_{j < terms-1} a_j T_j, whose error is sum_{j >= terms-1} |a_j|: the same gradients for fewer
/// terms.
ReadSeries cut(const std::vector<Extended>& c, size_t terms, Extended beta, Extended top, Extended steepest) {
  std::vector<Extended> kept(c.begin(), c.begin() + static_cast<std::ptrdiff_t>(terms));
  Extended value_error = 0, slope_error = 0;
  for (size_t i = terms; i < c.size(); ++i) {
    value_error += std::abs(c[i]);
    const size_t last = (i - terms) % 2 == 0 ? terms - 2 : terms - 1;  // of the last two, the one that is even with i
    if (terms >= 2 && last >= 1) kept[last] += Extended(i) / Extended(last) * c[i];
  }
  for (size_t j = 0; j < terms; ++j) value_error += std::abs(kept[j] - c[j]);
  std::vector<Extended> a(c.size() + 2);  // a_{j-1} = a_{j+1} + 2 j c_j 2/beta
  for (size_t j = c.size(); j-- > 1;) a[j - 1] = a[j + 1] + Extended(4 * j) / beta * c[j];
  for (size_t j = terms - 1; j < a.size(); ++j) slope_error += std::abs(a[j]);

  ReadSeries series{static_cast<double>(beta), {}, static_cast<double>(value_error / top), 0};
  if (steepest > 0) series.slope_error = static_cast<double>(slope_error / steepest);
  for (const Extended x : kept) series.coefficients.push_back(static_cast<double>(x));
  return series;
}

}  // namespace

ReadSeries make_read_series(int steps, double beta, double precision) {
  int degree = 0;  // (3^k - 1) / 2
  for (int i = 0; i < steps; ++i) degree = 3 * degree + 1;
  // The terms needed grow as sqrt(beta g'(0)/g(0)) ~ 1.5^k sqrt(beta); these points reach far below long double's
  // 1e-19.
  const int enough = 40 + static_cast<int>(14 * std::pow(1.5, steps) * std::sqrt(beta));
  std::vector<Extended> c = interpolate(steps, Extended(beta), std::min(degree + 1, enough));
  const Extended top = read_polynomial(steps, 0);
  while (c.size() > 1 && std::abs(c.back()) < 16 * std::numeric_limits<Extended>::epsilon() * top)
    c.pop_back();  // noise

  for (size_t terms = 1; terms < c.size(); ++terms) {
    ReadSeries series = cut(c, terms, Extended(beta), top, steepest_slope(steps));
    if (series.value_error <= slack * precision && series.slope_error <= slack * precision) return series;
  }
  return cut(c, c.size(), Extended(beta), top, steepest_slope(steps));
}

const std::vector<ReadSeries>& read_series(int steps, double precision) {
  static std::mutex mutex;
  static std::map<std::pair<int, double>, std::vector<ReadSeries>> made;
  const std::lock_guard lock(mutex);
  std::vector<ReadSeries>& series = made[{steps, precision}];
  if (series.empty())
    for (double beta = 1; beta >= smallest_beta; beta *= kIntervalRatio)
      series.push_back(make_read_series(steps, beta, precision));
  return series;
}

}  // namespace orthoread
