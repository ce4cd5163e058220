// The statistics of `orthoread report`. The tests compare them with R's stats and survival packages.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace orthoread {

struct Interval {
  double low, high;
};

/// The 95 % interval of a fraction by Wilson's score (1927); total > 0.
Interval wilson_interval(int64_t successes, int64_t total);

struct FisherTest {
  double p;
  double least_p;  // the smallest p that any table with these margins has
};

/// Fisher's exact test of two fractions, two-sided: the probability, with all margins fixed, of the tables that are at
/// most as probable as this one (R's fisher.test).
FisherTest fisher_test(int64_t a_yes, int64_t a_no, int64_t b_yes, int64_t b_no);

/// McNemar's exact test of pairs: of those in which the two differ, `only_a` and `only_b`, each is a toss of a fair
/// coin (R's binom.test). 1 if there are none.
double mcnemar_test(int64_t only_a, int64_t only_b);

/// One subject: when it had its event, or was last seen without it.
struct Survival {
  double time;
  bool event;
};

/// The Kaplan-Meier estimate, at each time at which something happened: events there, subjects at risk just before, and
/// the share without the event just after. Who is censored at a time counts as at risk then.
struct SurvivalPoint {
  double time;
  int64_t at_risk, events, censored;
  double surviving;
};
std::vector<SurvivalPoint> kaplan_meier(std::vector<Survival> subjects);

/// The first time at which at most half survive, if that happens.
std::optional<double> median_time(const std::vector<SurvivalPoint>& curve);

/// The log-rank test of two groups (R's survdiff): chi2 of one degree of freedom, from the events that the first group
/// would have if the hazards were equal. Nothing where that has no variance: no events, or one group at risk.
struct LogRankTest {
  double chi2, p;
  double expected_a, expected_b;
};
std::optional<LogRankTest> log_rank_test(const std::vector<Survival>& a, const std::vector<Survival>& b);

/// A logistic regression by maximum likelihood (R's glm, binomial): log odds = the sum of coefficient times column. A
/// column that is a linear combination of those before it is left out; its coefficient is NaN.
struct LogisticFit {
  std::vector<double> coefficients, standard_errors;
};

/// `rows` hold the columns of each observation, a column of ones among them. Nothing where the likelihood has no
/// maximum: where some combination of the columns separates the outcomes.
std::optional<LogisticFit> logistic_regression(const std::vector<std::vector<double>>& rows,
                                               const std::vector<bool>& outcomes);

/// exp(coefficient) with its 95 % interval by the normal distribution (Wald).
struct Ratio {
  double ratio, low, high;
};
Ratio ratio_of(double coefficient, double standard_error);

/// The quantile of some numbers, between the nearest two (R's type 7); they are not empty.
double quantile(std::vector<double> numbers, double probability);

double mean(const std::vector<double>& numbers);

/// With n - 1; nothing for fewer than two.
std::optional<double> standard_deviation(const std::vector<double>& numbers);

}  // namespace orthoread
