// What the checker's report says, and what its caller chooses: names, ways that are off, an input's slack.
#include "ops/gradcheck/differences.h"
#include "tests/wrong_backward.h"

using namespace orthoread;

TEST_CASE("gradient check: the report") {
  const GradientReport report = gradient_report("cube", {Input(uniform_array({2, 3}, 4), "x"), {3}},
                                                [](const auto& x) { return x[0] * x[0] * x[0] + x[1]; });
  CHECK(report.verdict() == GradientReport::Verdict::right);
  REQUIRE(report.inputs.size() == 2);
  const InputReport& x = report.inputs[0];
  CHECK(x.compared == 6);
  CHECK(x.worst.size() == 3);
  CHECK(x.dual_most <= 1e-15);
  CHECK(x.difference_most > 0);
  CHECK(x.difference_median <= x.difference_most);
  CHECK(*x.order2 == doctest::Approx(2).epsilon(0.05));
  CHECK(!report.inputs[1].order2);  // of something linear: only rounding is left
  const std::string text = to_text(report);
  for (const char* part : {"cube: right\n", "Dual against backward", "Jacobian", "differences",
                           "symmetry of the Hessian", "Hessian by differences", "float32", "input 1"}) {
    CHECK_MESSAGE(contains(text, part), part);
  }
  const GradientReport wrong = gradient_report("op", {{3}}, square_spoiled([](auto& dx) { multiply(dx, 1, 1.5); }));
  CHECK(wrong.inputs[0].worst[0].at == "[1]");
  CHECK(wrong.inputs[0].worst[0].analytic == doctest::Approx(1.5 * wrong.inputs[0].worst[0].dual));
  CHECK(contains(to_text(wrong), "op: wrong\n  op: input 0 at [1]: analytic "));
}

TEST_CASE("gradient check: inputs are named") {
  const auto spoil = [](auto& dx) { multiply(dx, 1, 2); };
  CHECK(contains(failure_of({Input(uniform_array({3}, 1), "gate")}, square_spoiled(spoil)), "op: gate at [1]: "));
}

TEST_CASE("gradient check: ways that are off") {
  const auto spoil = [](auto& dx) { multiply(dx, 1, 1 + 1e-3); };
  const auto report_without = [&](std::set<Way> off) {
    return gradient_report("op", {{3}}, square_spoiled(spoil), {.off = std::move(off)});
  };
  const GradientReport by_differences = report_without({Way::dual, Way::jacobian});
  REQUIRE(by_differences.failures.size() == 1);
  CHECK(contains(by_differences.failures[0], "by differences"));
  CHECK(report_without({Way::dual, Way::jacobian, Way::differences}).passed());
  const auto f = [](const auto& x) { return square_and_triple(x[0] * x[1], zero_if_unused); };
  const Way all[] = {Way::value,   Way::dual,     Way::jacobian,         Way::differences, Way::wanted,  Way::outputs,
                     Way::aliased, Way::repeated, Way::backward_on_dual, Way::symmetry,    Way::hessian, Way::float32};
  std::set<Way> off;
  for (const Way way : all) {
    off.insert(way);
    const GradientReport report = gradient_report("op", {{3}, {3}}, f, {.off = off});
    CHECK(report.passed());
    for (const Way other : all) {
      CAPTURE(std::string(name(other)));
      if (other == Way::wanted || other == Way::repeated) continue;  // of bits, which have no worst error
      CHECK(went(report, other).has_value() == !off.contains(other));
    }
  }
  int calls = 0;  // other bits the second time
  const auto restless = [&](auto& dx) { multiply(dx, 2, ++calls == 1 ? 1 : 1 + 1e-15); };
  CHECK(gradient_report("op", {{4}}, square_spoiled(restless), {.off = {Way::repeated}}).passed());
}

TEST_CASE("gradient check: an input's slack") {
  const auto f = [](const auto& x) {
    const auto roughly = [](const auto& dy, const auto& v) {
      auto dx = right(dy, v);
      for (int64_t i = 0; i < dx.size(); ++i) multiply(dx, i, 1 + 1e-10);
      return dx;
    };
    return square(x[0], roughly) + square(x[1], roughly);
  };
  std::vector<Input> inputs = {{3}, {3}};
  for (const size_t i : {0U, 1U}) {
    CHECK(!gradient_report("op", inputs, f).passed());
    inputs[i].slack = 1000;
  }
  // one tensor in place of both, too
  const GradientReport report = gradient_report("op", inputs, f);
  CHECK_MESSAGE(report.passed(), to_text(report));
  CHECK(went(report, Way::dual)->worst <= went(report, Way::dual)->limit);
  CHECK(contains(failure_of({inputs[0], {3}}, f), "op: input 1 at ["));
}

TEST_CASE("gradient check: the Hessian is compared at the step that is nearest") {
  // At the first step the error of differences grows 16 times from each of these functions to the next, so that for one
  // of them it is just allowed there.
  for (const double c : {2, 4, 8, 16, 32, 64}) {
    const GradientReport report = gradient_report(
        "exp", {{3}}, [c]<class T>(const std::vector<Tensor<T>>& x) { return exp(scale(x[0], number<T>(c))); },
        {.off = {Way::float32}});
    CHECK_MESSAGE(report.passed(), to_text(report));
    REQUIRE(went(report, Way::hessian));
    CHECK(went(report, Way::hessian)->worst <= kWell * GradientLimits().hessian);
  }
}
