// The statistics of `orthoread report` against R 4.2 with survival 3.5. The R expression stands beside each value, run
// with options(digits = 15).
#include "apps/report/statistics.h"

#include "tests/support.h"

#include <cmath>

using namespace orthoread;

namespace {

void check_interval(Interval interval, double low, double high) {
  CHECK(interval.low == doctest::Approx(low).epsilon(1e-12));
  CHECK(interval.high == doctest::Approx(high).epsilon(1e-12));
}

void check_p(double p, double expected) { CHECK(p == doctest::Approx(expected).epsilon(1e-12)); }

// Remission of leukaemia in weeks (Freireich et al., 1963), the textbook example of the log-rank test.
const std::vector<Survival> kTreated = {{6, true},   {6, true},   {6, true},   {7, true},   {10, true},  {13, true},
                                        {16, true},  {22, true},  {23, true},  {6, false},  {9, false},  {10, false},
                                        {11, false}, {17, false}, {19, false}, {20, false}, {25, false}, {32, false},
                                        {32, false}, {34, false}, {35, false}};
std::vector<Survival> untreated() {
  std::vector<Survival> subjects;
  for (const int time : {1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23})
    subjects.push_back({static_cast<double>(time), true});
  return subjects;
}

// R's data set mtcars: weight, gears, transmission and engine.
constexpr double kWeight[] = {2.62,  2.875, 2.32,  3.215, 3.44,  3.46,  3.57, 3.19,  3.15,  3.44,  3.44,
                              4.07,  3.73,  3.78,  5.25,  5.424, 5.345, 2.2,  1.615, 1.835, 2.465, 3.52,
                              3.435, 3.84,  3.845, 1.935, 2.14,  1.513, 3.17, 2.77,  3.57,  2.78};
constexpr int kManual[] = {1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                           0, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1};
constexpr int kStraight[] = {0, 0, 1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0,
                             0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1};

}  // namespace

TEST_CASE("statistics: Wilson's interval") {
  check_interval(wilson_interval(3, 16), 0.0659159907142814, 0.4300888096197414);  // prop.test(3, 16, correct = FALSE)
  check_interval(wilson_interval(9, 16), 0.331785563988119, 0.769013475945076);    // prop.test(9, 16, correct = FALSE)
  check_interval(wilson_interval(19, 32), 0.422600248753829, 0.744803651573346);   // prop.test(19, 32, correct = FALSE)
  check_interval(wilson_interval(16, 16), 0.806392319465564, 1);                   // prop.test(16, 16, correct = FALSE)
  const Interval none = wilson_interval(0, 8);
  CHECK(none.low == 0);
  check_p(none.high, 0.32440756488388);  // prop.test(0, 8, correct = FALSE)
  CHECK(thrown([] { wilson_interval(0, 0); }) ==
        "wilson_interval: from 0 to all of at least one trial can succeed, not 0 of 0");
}

TEST_CASE("statistics: Fisher's exact test") {
  check_p(fisher_test(3, 13, 9, 7).p, 0.065892860021602);      // fisher.test(matrix(c(3, 13, 9, 7), 2))$p.value
  check_p(fisher_test(7, 25, 19, 13).p, 0.00466212157434387);  // fisher.test(matrix(c(7, 25, 19, 13), 2))$p.value
  check_p(fisher_test(1, 9, 11, 3).p, 0.00275945618522009);    // fisher.test(matrix(c(1, 9, 11, 3), 2))$p.value
  check_p(fisher_test(0, 8, 3, 5).p, 0.2);                     // fisher.test(matrix(c(0, 8, 3, 5), 2))$p.value
  check_p(fisher_test(120, 80, 90, 130).p,
          0.000133036653973286);  // fisher.test(matrix(c(120, 80, 90, 130), 2))$p.value
  check_p(fisher_test(9, 7, 3, 13).p, fisher_test(3, 13, 9, 7).p);
  CHECK(fisher_test(0, 8, 0, 8).p == 1);
  CHECK(fisher_test(8, 0, 8, 0).p == 1);
  CHECK(fisher_test(0, 0, 3, 5).p == 1);
  check_p(fisher_test(0, 8, 3, 5).least_p, 0.2);  // no table with these margins is more extreme
  check_p(fisher_test(2, 6, 1, 7).least_p, 0.2);
}

TEST_CASE("statistics: McNemar's exact test") {
  check_p(mcnemar_test(1, 8), 0.0390625);     // binom.test(1, 9)$p.value
  check_p(mcnemar_test(8, 0), 0.0078125);     // binom.test(0, 8)$p.value
  check_p(mcnemar_test(5, 7), 0.7744140625);  // binom.test(5, 12)$p.value
  check_p(mcnemar_test(4, 4), 1);             // binom.test(4, 8)$p.value
  CHECK(mcnemar_test(0, 0) == 1);
}

TEST_CASE("statistics: Kaplan-Meier") {
  // k <- survfit(Surv(time, event) ~ 1); cbind(k$time, k$n.risk, k$n.event, k$n.censor, k$surv)
  const std::vector<SurvivalPoint> expected = {
      {6, 21, 3, 1, 0.857142857142857},  {7, 17, 1, 0, 0.806722689075630},  {9, 16, 0, 1, 0.806722689075630},
      {10, 15, 1, 1, 0.752941176470588}, {11, 13, 0, 1, 0.752941176470588}, {13, 12, 1, 0, 0.690196078431372},
      {16, 11, 1, 0, 0.627450980392157}, {17, 10, 0, 1, 0.627450980392157}, {19, 9, 0, 1, 0.627450980392157},
      {20, 8, 0, 1, 0.627450980392157},  {22, 7, 1, 0, 0.537815126050420},  {23, 6, 1, 0, 0.448179271708683},
      {25, 5, 0, 1, 0.448179271708683},  {32, 4, 0, 2, 0.448179271708683},  {34, 2, 0, 1, 0.448179271708683},
      {35, 1, 0, 1, 0.448179271708683}};
  const std::vector<SurvivalPoint> curve = kaplan_meier(kTreated);
  REQUIRE(curve.size() == expected.size());
  for (size_t i = 0; i < curve.size(); ++i) {
    CAPTURE(i);
    CHECK(curve[i].time == expected[i].time);
    CHECK(curve[i].at_risk == expected[i].at_risk);
    CHECK(curve[i].events == expected[i].events);
    CHECK(curve[i].censored == expected[i].censored);
    check_p(curve[i].surviving, expected[i].surviving);
  }
  CHECK(median_time(curve) == 23);                     // summary(k)$table["median"]
  CHECK(median_time(kaplan_meier(untreated())) == 8);  // summary(k)$table["median"]
  CHECK(median_time(kaplan_meier({{1, true}, {2, false}, {3, false}})) == std::nullopt);
  CHECK(kaplan_meier({}).empty());
}

TEST_CASE("statistics: log-rank test") {
  const auto test = log_rank_test(kTreated, untreated());  // s <- survdiff(Surv(time, event) ~ group)
  REQUIRE(test.has_value());
  check_p(test->chi2, 16.7929409892165);        // s$chisq
  check_p(test->p, 4.16880910933453e-05);       // pchisq(s$chisq, 1, lower.tail = FALSE)
  check_p(test->expected_a, 19.2505009480311);  // s$exp
  check_p(test->expected_b, 10.7494990519689);
  CHECK_FALSE(log_rank_test({{1, false}}, {{2, false}}).has_value());
  CHECK_FALSE(log_rank_test({{1, true}}, {}).has_value());
}

TEST_CASE("statistics: logistic regression") {
  // g <- glm(vs ~ log(wt) + am, family = binomial, data = mtcars, control = list(epsilon = 1e-14, maxit = 100))
  std::vector<std::vector<double>> rows;
  std::vector<bool> straight;
  for (size_t i = 0; i < std::size(kWeight); ++i) {
    rows.push_back({1, std::log(kWeight[i]), static_cast<double>(kManual[i])});
    straight.push_back(kStraight[i] == 1);
  }
  // coef(summary(g))[, 1:2]
  const double estimates[] = {19.85220474946555, -16.15664057948215, -5.37485505335675},
               errors[] = {8.09191693947279, 6.47386799720287, 2.51340923186141};
  const auto fit = logistic_regression(rows, straight);
  REQUIRE(fit.has_value());
  for (size_t i = 0; i < 3; ++i) {
    CHECK(fit->coefficients[i] == doctest::Approx(estimates[i]).epsilon(1e-9));
    CHECK(fit->standard_errors[i] == doctest::Approx(errors[i]).epsilon(1e-7));
  }
  // exp(coef(g)["am"] + c(0, -1, 1) * qnorm(.975) * coef(summary(g))["am", 2])
  const Ratio ratio = ratio_of(fit->coefficients[2], fit->standard_errors[2]);
  CHECK(ratio.ratio == doctest::Approx(4.63159001830790e-03).epsilon(1e-7));
  CHECK(ratio.low == doctest::Approx(3.35979123214518e-05).epsilon(1e-6));
  CHECK(ratio.high == doctest::Approx(6.38480923827902e-01).epsilon(1e-6));

  for (auto& row : rows) row.insert(row.begin() + 2, 2 * row[1] - row[0]);  // R's glm has NA for such a column, too
  const auto aliased = logistic_regression(rows, straight);
  REQUIRE(aliased.has_value());
  CHECK(std::isnan(aliased->coefficients[2]));
  CHECK(aliased->coefficients[3] == doctest::Approx(estimates[2]).epsilon(1e-9));

  CHECK_FALSE(logistic_regression({{1, 1}, {1, 2}, {1, 3}, {1, 4}}, {false, false, true, true}).has_value());
  CHECK_FALSE(logistic_regression({{1}, {1}}, {true, true}).has_value());
}

TEST_CASE("statistics: quantiles and spread") {
  const std::vector<double> numbers = {3, 1, 4, 1, 5, 9, 2, 6};
  const double expected[] = {1, 1.75, 3.5, 5.25, 9};  // quantile(c(3, 1, 4, 1, 5, 9, 2, 6), c(0, .25, .5, .75, 1))
  for (size_t i = 0; i < 5; ++i) CHECK(quantile(numbers, 0.25 * static_cast<double>(i)) == expected[i]);
  check_p(standard_deviation(numbers).value(), 2.74837614393871);  // sd(c(3, 1, 4, 1, 5, 9, 2, 6))
  CHECK(mean(numbers) == 3.875);
  CHECK_FALSE(standard_deviation({1}).has_value());
}
