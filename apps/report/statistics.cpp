#include "apps/report/statistics.h"

#include "core/check.h"

#include <algorithm>
// long double gains nothing here, and where a tool emulates it as double, such as valgrind, its initialisation throws.
#define BOOST_MATH_PROMOTE_DOUBLE_POLICY false
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/hypergeometric.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <limits>
#include <numeric>

namespace orthoread {
namespace {

/// 95 % of the standard normal distribution lie within this distance of the mean.
double two_sided_95() { return boost::math::quantile(boost::math::normal(), 0.975); }

using Matrix = std::vector<std::vector<double>>;

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// The columns that are not linear combinations of earlier ones, by Gram-Schmidt.
std::vector<size_t> independent_columns(const Matrix& rows) {
  Matrix directions;
  std::vector<size_t> kept;
  for (size_t column = 0; column < rows[0].size(); ++column) {
    std::vector<double> rest;
    for (const auto& row : rows) rest.push_back(row[column]);
    const double before = dot(rest, rest);
    for (int pass = 0; pass < 2; ++pass) {  // the second pass removes the rounding errors of the first
      for (const auto& direction : directions) {
        const double along = dot(rest, direction);
        for (size_t i = 0; i < rest.size(); ++i) rest[i] -= along * direction[i];
      }
    }
    const double after = dot(rest, rest);
    if (!(after > 1e-14 * before)) continue;
    for (double& x : rest) x /= std::sqrt(after);
    directions.push_back(std::move(rest));
    kept.push_back(column);
  }
  return kept;
}

/// The inverse of a symmetric positive definite matrix, by Cholesky; nullopt if it is not positive definite.
std::optional<Matrix> inverse(const Matrix& a) {
  const size_t n = a.size();
  Matrix lower(n, std::vector<double>(n));
  for (size_t j = 0; j < n; ++j) {
    for (size_t i = j; i < n; ++i) {
      double sum = a[i][j];
      for (size_t k = 0; k < j; ++k) sum -= lower[i][k] * lower[j][k];
      if (i == j && !(sum > 1e-12 * a[j][j])) return std::nullopt;
      lower[i][j] = i == j ? std::sqrt(sum) : sum / lower[j][j];
    }
  }
  Matrix result(n, std::vector<double>(n));
  for (size_t column = 0; column < n; ++column) {
    std::vector<double>& x = result[column];  // solves L L^T x = e_column
    for (size_t i = 0; i < n; ++i) {
      double sum = i == column ? 1 : 0;
      for (size_t k = 0; k < i; ++k) sum -= lower[i][k] * x[k];
      x[i] = sum / lower[i][i];
    }
    for (size_t i = n; i-- > 0;) {
      double sum = x[i];
      for (size_t k = i + 1; k < n; ++k) sum -= lower[k][i] * x[k];
      x[i] = sum / lower[i][i];
    }
  }
  return result;
}

}  // namespace

Interval wilson_interval(int64_t successes, int64_t total) {
  check(0 <= successes && successes <= total && total > 0,
        "wilson_interval: from 0 to all of at least one trial can succeed, not {} of {}", successes, total);
  const auto n = static_cast<double>(total);
  const double p = static_cast<double>(successes) / n, z = two_sided_95();
  const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {successes == 0 ? 0 : middle - half, successes == total ? 1 : middle + half};
}

FisherTest fisher_test(int64_t a_yes, int64_t a_no, int64_t b_yes, int64_t b_no) {
  check(std::min({a_yes, a_no, b_yes, b_no}) >= 0, "fisher_test: counts must not be negative");
  const int64_t yes = a_yes + b_yes, a = a_yes + a_no, total = a + b_yes + b_no;
  const int64_t first = std::max<int64_t>(0, a + yes - total), last = std::min(a, yes);
  if (first == last) return {1, 1};
  const boost::math::hypergeometric table(static_cast<unsigned>(yes), static_cast<unsigned>(a),
                                          static_cast<unsigned>(total));
  std::vector<double> probabilities;
  for (int64_t k = first; k <= last; ++k) probabilities.push_back(pdf(table, static_cast<double>(k)));
  const auto at_most = [&](double limit) {
    double sum = 0;
    for (const double p : probabilities) sum += p <= limit * (1 + 1e-7) ? p : 0;  // R's tolerance for ties
    return std::min(sum, 1.0);
  };
  return {at_most(probabilities[static_cast<size_t>(a_yes - first)]),
          at_most(std::min(probabilities.front(), probabilities.back()))};
}

double mcnemar_test(int64_t only_a, int64_t only_b) {
  check(std::min(only_a, only_b) >= 0, "mcnemar_test: counts must not be negative");
  if (only_a + only_b == 0) return 1;
  const boost::math::binomial coin(static_cast<double>(only_a + only_b), 0.5);
  return std::min(1.0, 2 * cdf(coin, static_cast<double>(std::min(only_a, only_b))));
}

std::vector<SurvivalPoint> kaplan_meier(std::vector<Survival> subjects) {
  std::sort(subjects.begin(), subjects.end(), [](const auto& a, const auto& b) { return a.time < b.time; });
  std::vector<SurvivalPoint> curve;
  auto at_risk = static_cast<int64_t>(subjects.size());
  double surviving = 1;
  for (size_t i = 0; i < subjects.size();) {
    SurvivalPoint point = {subjects[i].time, at_risk, 0, 0, 0};
    for (; i < subjects.size() && subjects[i].time == point.time; ++i)
      ++(subjects[i].event ? point.events : point.censored);
    surviving *= 1 - static_cast<double>(point.events) / static_cast<double>(at_risk);
    point.surviving = surviving;
    at_risk -= point.events + point.censored;
    curve.push_back(point);
  }
  return curve;
}

std::optional<double> median_time(const std::vector<SurvivalPoint>& curve) {
  for (const SurvivalPoint& point : curve) {
    if (point.surviving <= 0.5 * (1 + 1e-12)) return point.time;
  }
  return std::nullopt;
}

std::optional<LogRankTest> log_rank_test(const std::vector<Survival>& a, const std::vector<Survival>& b) {
  std::vector<double> times;
  for (const auto* group : {&a, &b})
    for (const Survival& subject : *group)
      if (subject.event) times.push_back(subject.time);
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());

  double observed_a = 0, expected_a = 0, expected_b = 0, variance = 0;
  for (const double time : times) {
    const auto count = [time](const std::vector<Survival>& group, bool events) {
      return static_cast<double>(std::count_if(group.begin(), group.end(), [&](const Survival& subject) {
        return events ? subject.event && subject.time == time : subject.time >= time;
      }));
    };
    const double risk_a = count(a, false), risk_b = count(b, false), risk = risk_a + risk_b;
    const double events_a = count(a, true), events = events_a + count(b, true);
    observed_a += events_a;
    expected_a += events * risk_a / risk;
    expected_b += events * risk_b / risk;
    // Mean and variance of the hypergeometric distribution.
    if (risk > 1) variance += events * (risk_a / risk) * (risk_b / risk) * (risk - events) / (risk - 1);
  }
  if (!(variance > 0)) return std::nullopt;
  const double chi2 = (observed_a - expected_a) * (observed_a - expected_a) / variance;
  return LogRankTest{chi2, cdf(complement(boost::math::chi_squared(1), chi2)), expected_a, expected_b};
}

std::optional<LogisticFit> logistic_regression(const std::vector<std::vector<double>>& rows,
                                               const std::vector<bool>& outcomes) {
  check(!rows.empty() && rows.size() == outcomes.size(),
        "logistic_regression: needs at least one row and an outcome for each, not {} rows and {} outcomes", rows.size(),
        outcomes.size());
  const std::vector<size_t> columns = independent_columns(rows);
  const size_t n = columns.size();
  std::vector<double> beta(n, 0);
  Matrix covariance;
  // Newton's method. The likelihood is concave, and if it has a maximum, under ten steps reach it. If the columns
  // separate the outcomes, the coefficients grow forever, by about one per step.
  constexpr int kMostNewtonSteps = 25;
  for (int step = 0;; ++step) {
    if (step == kMostNewtonSteps) return std::nullopt;
    std::vector<double> gradient(n, 0);
    Matrix information(n, std::vector<double>(n, 0));
    for (size_t r = 0; r < rows.size(); ++r) {
      double odds = 0;
      for (size_t i = 0; i < n; ++i) odds += beta[i] * rows[r][columns[i]];
      const double p = 1 / (1 + std::exp(-odds)), weight = p * (1 - p), residual = (outcomes[r] ? 1 : 0) - p;
      for (size_t i = 0; i < n; ++i) {
        const double x = rows[r][columns[i]];
        gradient[i] += residual * x;
        for (size_t j = 0; j < n; ++j) information[i][j] += weight * x * rows[r][columns[j]];
      }
    }
    const auto inverted = inverse(information);
    if (!inverted) return std::nullopt;
    covariance = *inverted;
    double largest = 0;
    for (size_t i = 0; i < n; ++i) {
      const double move = dot(covariance[i], gradient);
      beta[i] += move;
      largest = std::max(largest, std::abs(move));
    }
    if (largest < 1e-10) break;
  }
  LogisticFit fit = {std::vector<double>(rows[0].size(), kNoFigure), std::vector<double>(rows[0].size(), kNoFigure)};
  for (size_t i = 0; i < n; ++i) {
    fit.coefficients[columns[i]] = beta[i];
    fit.standard_errors[columns[i]] = std::sqrt(covariance[i][i]);
  }
  return fit;
}

Ratio ratio_of(double coefficient, double standard_error) {
  const double half = two_sided_95() * standard_error;
  return {std::exp(coefficient), std::exp(coefficient - half), std::exp(coefficient + half)};
}

double quantile(std::vector<double> numbers, double probability) {
  check(!numbers.empty(), "quantile: needs at least one number");
  std::sort(numbers.begin(), numbers.end());
  const double at = probability * static_cast<double>(numbers.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, numbers.size() - 1);
  return numbers[below] + (at - static_cast<double>(below)) * (numbers[above] - numbers[below]);
}

double mean(const std::vector<double>& numbers) {
  check(!numbers.empty(), "mean: needs at least one number");
  return std::accumulate(numbers.begin(), numbers.end(), 0.0) / static_cast<double>(numbers.size());
}

std::optional<double> standard_deviation(const std::vector<double>& numbers) {
  if (numbers.size() < 2) return std::nullopt;
  const double middle = mean(numbers);
  double sum = 0;
  for (const double x : numbers) sum += (x - middle) * (x - middle);
  return std::sqrt(sum / static_cast<double>(numbers.size() - 1));
}

}  // namespace orthoread
