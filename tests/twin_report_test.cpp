// A fused function against its twin: the check that the tests of fused ops stand on.
#include "ops/reduce.h"
#include "tests/wrong_backward.h"

using namespace orthoread;

TEST_CASE("twin report: a fused function, and one that is not its twin") {
  const auto fused = [](const auto& x) { return sigmoid(x[0]) * x[0]; };
  CHECK(twin_report("silu", {{5}}, Functions([](const auto& x) { return silu(x[0]); }), fused).passed());
  const GradientReport other = twin_report("silu", {{5}}, Functions([](const auto& x) { return x[0]; }), fused);
  REQUIRE(other.verdict() == GradientReport::Verdict::wrong);
  CHECK(contains(other.failures[0], "silu: output: relative error "));
  const GradientReport gradient = twin_report("op", {{3}}, square_spoiled([](auto& dx) { multiply(dx, 1, 2); }),
                                              Functions([](const auto& x) { return x[0] * x[0]; }));
  CHECK(contains(gradient.failures[0], "op: gradient of input 0: relative error "));
  const GradientReport rough = twin_report(
      "op", {{3}},
      []<class T>(const std::vector<Tensor<T>>& x) {
        return shift(x[0] * x[0], number<T>(std::same_as<T, float> ? 1e-3 : 0));
      },
      Functions([](const auto& x) { return x[0] * x[0]; }));
  CHECK(contains(rough.failures[0], "op: output: float's error "));
}

TEST_CASE("twin report: rounding errors are measured by what they come of, small gradients by themselves") {
  // The shift's gradient is 0, and what rounding leaves of it differs from one form to the other.
  const Functions composed([](const auto& x) {
    const auto y = x[0] * x[0] + x[1];
    return exp(y - mean(y, {-1}, true));
  });
  const Functions other([](const auto& x) {
    const auto y = x[0] * x[0] + x[1];
    return exp(y) / exp(mean(y, {-1}, true));
  });
  const GradientReport report = twin_report("shift", {{3, 5}, {}}, other, composed);
  CHECK_MESSAGE(report.passed(), fmt::format("{}", fmt::join(report.failures, "\n")));
  const auto tiny = [](double factor) {
    return Functions([factor]<class T>(const std::vector<Tensor<T>>& x) {
      return scale(x[0] * x[0], number<T>(factor * 1e-13)) + x[1] * x[1];
    });
  };
  CHECK(twin_report("tiny", {{3}, {3}}, tiny(1), tiny(1)).passed());
  CHECK(contains(twin_report("tiny", {{3}, {3}}, tiny(1.5), tiny(1)).failures[0],
                 "tiny: gradient of input 0: relative error "));
}
