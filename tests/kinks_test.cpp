// Where a function has a kink its gradient is neither right nor wrong, and the checker says so.
#include "ops/elementwise.h"
#include "ops/mlstm.h"
#include "ops/newton_schulz.h"
#include "ops/reduce.h"
#include "tests/gradient_check.h"
#include "tests/support.h"

using namespace orthoread;

TEST_CASE("gradient check: both sides of a kink pass, the kink itself is called one") {
  struct Kink {
    const char* name;
    Functions f;
    std::vector<Input> left, at, right;
  };
  const auto one = [](double x) { return Input(Array<double>({2}, {x, 3})); };
  const Input zeros(Array<double>({2}, {0, 0}));
  // |X|_F against eps = 1e-6
  const auto of_norm = [](double norm) { return Input(Array<double>({2, 2}, {0.6 * norm, 0, 0, 0.8 * norm})); };
  // the memory of one token: max(|q·n|, exp(-m)), with m = max(log_forget, input_gate) and n = exp(input_gate - m) k
  const auto memory = [](double q, double i, double f) {
    return std::vector<Input>{Array<double>({1, 1, 1}, {q}), Array<double>({1, 1, 1}, {1}),
                              Array<double>({1, 1, 1}, {0.7}), Array<double>({1, 1, 1}, {i}),
                              Array<double>({1, 1, 1}, {f})};
  };
  const Functions read([](const auto& x) { return mlstm(x[0], x[1], x[2], x[3], x[4], MemoryRead::ns(2)); });
  const Kink kinks[] = {
      {"abs", Functions([](const auto& x) { return abs(x[0]); }), {one(-1e-4)}, {one(0)}, {one(1e-4)}},
      {"maximum",
       Functions([](const auto& x) { return maximum(x[0], x[1]); }),
       {one(-1e-4), zeros},
       {one(0), zeros},
       {one(1e-4), zeros}},
      {"max", Functions([](const auto& x) { return max(x[0], {0}); }), {one(2.999)}, {one(3)}, {one(3.001)}},
      {"the norm's clamp",
       Functions([](const auto& x) { return newton_schulz(x[0], 2); }),
       {of_norm(0.99e-6)},
       {of_norm(1e-6)},
       {of_norm(1.01e-6)}},
      {"the normaliser", read, memory(0.99, 0, -1), memory(1, 0, -1), memory(1.01, 0, -1)},
      {"the stabiliser", read, memory(2, -0.51, -0.5), memory(2, -0.5, -0.5), memory(2, -0.49, -0.5)},
  };
  for (const Kink& kink : kinks) {
    for (const std::vector<Input>* side : {&kink.left, &kink.right}) check_gradient(kink.name, *side, kink.f);
    const GradientReport report = gradient_report(kink.name, kink.at, kink.f);
    CHECK_MESSAGE(report.verdict() == GradientReport::Verdict::kink, to_text(report));
    REQUIRE(!report.kinks.empty());
    CHECK_MESSAGE(contains(report.kinks[0], ": a kink: slope "), report.kinks[0]);
  }
}

TEST_CASE("gradient check: within a step of a kink is not at it; a wrong gradient beside one is wrong") {
  check_gradient("abs", {Array<double>({2}, {1e-4, -3})}, [](const auto& x) { return abs(x[0]); });
  const auto wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    return record<T>("abs", abs(x[0]).value(), {x[0]},
                     [](const Array<T>& dy, const Want&) -> Grads<T> { return {dy}; });
  };
  const GradientReport beside = gradient_report("op", {Array<double>({2}, {2, -1e-4})}, wrong);
  CHECK(beside.verdict() == GradientReport::Verdict::wrong);
  CHECK(contains(beside.failures[0], "op: input 0 at [1]: "));
  const GradientReport at = gradient_report("op", {Array<double>({2}, {2, 0})}, wrong);
  CHECK(at.verdict() == GradientReport::Verdict::kink);
  CHECK(contains(at.kinks[0], "op: input 0 at [1]: a kink: slope "));
}
