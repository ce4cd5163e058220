// The statistics of `orthoread report`. The tests compare them with R's stats and survival packages.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace orthoread {

/// In place of a figure that cannot be given.
inline constexpr double kNoFigure = std::numeric_limits<double>::quiet_NaN();

struct Interval {
  double low, high;
};

/// Wilson's 95 % score interval of a fraction (1927); total > 0.
Interval wilson_interval(int64_t successes, int64_t total);

struct FisherTest {
  double p;
  double least_p;  // the smallest p of any table with these margins
};

/// Fisher's exact test of two fractions, two-sided: the probability of all tables with these margins that are at most
/// as probable as this one (R's fisher.test).
FisherTest fisher_test(int64_t a_yes, int64_t a_no, int64_t b_yes, int64_t b_no);

/// McNemar's exact test of paired outcomes: of the pairs that differ, `only_a` and `only_b` are binomial with
/// probability 1/2 (R's binom.test). 1 if no pair differs.
double mcnemar_test(int64_t only_a, int64_t only_b);

/// One subject: the time of its event or, censored, of its last observation.
struct Survival {
  double time;
  bool event;
};

/// The Kaplan-Meier estimate at each time with an event or a censoring: events then, subjects at risk just before, and
/// the fraction without event just after. Subjects censored at a time are at risk then.
struct SurvivalPoint {
  double time;
  int64_t at_risk, events, censored;
  double surviving;
};
std::vector<SurvivalPoint> kaplan_meier(std::vector<Survival> subjects);

/// The first time at which at most half survive; nullopt if there is none.
std::optional<double> median_time(const std::vector<SurvivalPoint>& curve);

/// The log-rank test of two groups (R's survdiff): chi2 with one degree of freedom. expected_a and expected_b are the
/// events under equal hazards. nullopt if their variance is 0: no events, or only one group at risk.
struct LogRankTest {
  double chi2, p;
  double expected_a, expected_b;
};
std::optional<LogRankTest> log_rank_test(const std::vector<Survival>& a, const std::vector<Survival>& b);

/// Logistic regression by maximum likelihood (R's glm, binomial): log odds = sum of coefficient times column. A column
/// that is a linear combination of earlier ones is dropped; its coefficient is NaN.
struct LogisticFit {
  std::vector<double> coefficients, standard_errors;
};

/// `rows` hold the columns of each observation, including one of ones. nullopt if the likelihood has no maximum,
/// because a combination of the columns separates the outcomes.
std::optional<LogisticFit> logistic_regression(const std::vector<std::vector<double>>& rows,
                                               const std::vector<bool>& outcomes);

/// exp(coefficient) with its 95 % Wald interval.
struct Ratio {
  double ratio, low, high;
};
Ratio ratio_of(double coefficient, double standard_error);

/// A quantile, linear between the nearest two numbers (R's type 7); `numbers` must not be empty.
double quantile(std::vector<double> numbers, double probability);

double mean(const std::vector<double>& numbers);

/// With n - 1 in the denominator; nullopt for fewer than two numbers.
std::optional<double> standard_deviation(const std::vector<double>& numbers);

}  // namespace orthoread
