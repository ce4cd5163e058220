// The checker is checked: right gradients pass, and each kind of wrong one is rejected with a message that says where.
#include "tests/gradient_check.h"

#include "ops/broadcast.h"
#include "ops/check/differences.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/layout.h"
#include "ops/mlstm.h"
#include "ops/newton_schulz.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "tests/support.h"

using namespace orthoread;

namespace {

template <class F>
std::vector<std::string> failures_of(const std::vector<Input>& inputs, F f) {
  return gradient_report("op", inputs, f).failures;
}

/// The first failure; "none" if the checker was deceived.
template <class F>
std::string failure_of(const std::vector<Input>& inputs, F f) {
  const std::vector<std::string> failures = failures_of(inputs, f);
  return failures.empty() ? "none" : failures[0];
}

/// x^2 with a backward of the caller's choosing: from dy and x to dx.
template <Real T, class Wrong>
Tensor<T> square(const Tensor<T>& x, Wrong wrong) {
  return record<T>("square", mul(x.value(), x.value()), {x},
                   [x = x.value(), wrong](const Array<T>& dy, const Want&) -> Grads<T> { return {wrong(dy, x)}; });
}

/// The right backward of x^2.
const auto right = [](const auto& dy, const auto& x) { return add(mul(dy, x), mul(dy, x)); };

/// The right backward of x^2, and then something done to the gradient.
template <class Spoil>
auto square_spoiled(Spoil spoil) {
  return [spoil](const auto& x) {
    return square(x[0], [spoil](const auto& dy, const auto& value) {
      auto dx = right(dy, value);
      spoil(dx);
      return dx;
    });
  };
}

/// Multiplies one number.
template <Real T>
void multiply(Array<T>& dx, int64_t i, double factor) {
  dx.edit()[i] *= number<T>(factor);
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("gradient check: right gradients pass") {
  check_gradient("square", {{3, 4}}, [](const auto& x) { return square(x[0], right); });
  check_gradient("scalars", {{}, {}}, [](const auto& x) { return x[0] * x[1]; });
  check_gradient("empty", {{2, 0}}, [](const auto& x) { return square(x[0], right); });
  check_gradient("constant input", {{3}, {2}}, [](const auto& x) { return square(x[0], right); });
  check_gradient("given numbers", {Array<double>({2}, {3, -4})}, [](const auto& x) { return square(x[0], right); });
}

TEST_CASE("gradient check: zero") {
  CHECK(contains(failure_of({{3, 4}}, square_spoiled([](auto& dx) { dx = mul(dx, decltype(dx)(dx.shape())); })),
                 "op: input 0 at ["));
}

TEST_CASE("gradient check: an undefined gradient counts as zero") {
  CHECK(contains(failure_of({{3}}, square_spoiled([](auto& dx) { dx = {}; })), "analytic 0, numeric "));
}

TEST_CASE("gradient check: scaled by 5, and by a little") {
  CHECK(contains(failure_of({{3}}, square_spoiled([](auto& dx) { dx = add(dx, add(add(dx, dx), add(dx, dx))); })),
                 "op: input 0 at [0]: analytic "));
  CHECK(contains(failure_of({{3}},
                            []<class T>(const std::vector<Tensor<T>>& x) {
                              return square(x[0], [](const auto& dy, const auto& value) {
                                return scale(right(dy, value), number<T>(1 + 1e-10));
                              });
                            }),
                 "by Dual"));
}

TEST_CASE("gradient check: sign") {
  CHECK(contains(failure_of({{2, 2}},
                            []<class T>(const std::vector<Tensor<T>>& x) {
                              return square(x[0],
                                            [](const auto& dy, const auto& v) { return scale(right(dy, v), T(-1)); });
                            }),
                 "op: input 0 at [0, 0]: analytic "));
}

TEST_CASE("gradient check: transposed") {
  const auto wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    return record<T>("matmul", matmul(x[0].value(), x[1].value()), x,
                     [a = x[0].value(), b = x[1].value()](const Array<T>& dy, const Want&) -> Grads<T> {
                       return {permute(matmul(dy, b, false, true), {1, 0}), matmul(a, dy, true, false)};
                     });
  };
  CHECK(contains(failure_of({{3, 3}, {3, 3}}, wrong), "op: input 0 at ["));
}

TEST_CASE("gradient check: a missing term") {
  // dlog_softmax without the sum: what a plain sum of the outputs would never show
  const auto wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    return record<T>("log_softmax", log_softmax(x[0]).value(), x,
                     [](const Array<T>& dy, const Want&) -> Grads<T> { return {dy}; });
  };
  CHECK(contains(failure_of({{2, 3}}, wrong), "op: input 0 at ["));
}

TEST_CASE("gradient check: a broadcast that was not summed") {
  const auto wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    return record<T>("add", add(x[0].value(), x[1].value()), x, [](const Array<T>& dy, const Want&) -> Grads<T> {
      return {dy, dy};
    });
  };
  CHECK(failure_of({{2, 3}, {3}}, wrong) ==
        "op: backward of add: the gradient of input 1 must have the input's shape [3], it has [2, 3]");
}

TEST_CASE("gradient check: a broadcast summed to the wrong axis") {
  const auto wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    return record<T>("add", add(x[0].value(), x[1].value()), x, [](const Array<T>& dy, const Want&) -> Grads<T> {
      return {dy, sum(dy, {1})};
    });
  };
  CHECK(contains(failure_of({{3, 3}, {3}}, wrong), "op: input 1 at ["));
}

TEST_CASE("gradient check: a NaN or an infinity in one entry") {
  for (const double bad : {kNaN, kInfinity}) {
    const auto spoil = [bad](auto& dx) { multiply(dx, 5, bad); };
    CHECK(contains(failure_of({{3, 4}}, square_spoiled(spoil)), "op: input 0 at [1, 1]: analytic "));
  }
  CHECK(contains(failure_of({Input({3}, -2, -1)}, [](const auto& x) { return log(x[0]); }), "op: output at [0]: "));
}

TEST_CASE("gradient check: wrong in one entry of a large tensor") {
  const auto spoil = [](auto& dx) { multiply(dx, 83 * 200 + 45, 1 + 1e-6); };
  CHECK(contains(failure_of({{100, 200}}, square_spoiled(spoil)), "op: input 0 at [83, 45]: analytic "));
}

TEST_CASE("gradient check: wrong for an aliased input alone") {
  const auto wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    return record<T>("mul", mul(x[0].value(), x[1].value()), x,
                     [a = x[0].value(), b = x[1].value()](const Array<T>& dy, const Want&) -> Grads<T> {
                       if (a.data() == b.data()) return {mul(dy, a), {}};
                       return {mul(dy, b), mul(dy, a)};
                     });
  };
  CHECK(contains(failure_of({{4}, {4}}, wrong), "op: input 1 at [0], in place of all of its shape: analytic "));
}

TEST_CASE("gradient check: wrong when another input needs no gradient") {
  const auto wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    return record<T>("mul", mul(x[0].value(), x[1].value()), x,
                     [a = x[0].value(), b = x[1].value()](const Array<T>& dy, const Want& want) -> Grads<T> {
                       return {mul(dy, want[1] ? b : a), mul(dy, a)};
                     });
  };
  CHECK(contains(failure_of({{4}, {4}}, wrong), "op: input 0 at [0]: when no other input needs a gradient "));
}

TEST_CASE("gradient check: a right gradient with a wrong Hessian") {
  // dx = 2 x dy with x's slope lost: right for every number, wrong for its derivative
  const auto wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    return square(x[0], [](const Array<T>& dy, const Array<T>& v) { return right(dy, cast<T>(v)); });
  };
  const std::vector<std::string> failures = failures_of({{4}}, wrong);
  REQUIRE(failures.size() == 1);
  CHECK(contains(failures[0], "op: input 0 at [0]: Hessian times a direction: analytic "));
}

TEST_CASE("gradient check: a Dual forward as wrong as the backward") {
  // Both agree that the derivative is 0; the differences do not.
  const auto wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    const Array<T> constants = cast<T>(x[0].value());
    return record<T>("square", mul(constants, constants), {x[0]},
                     [](const Array<T>& dy, const Want&) -> Grads<T> { return {Array<T>(dy.shape())}; });
  };
  CHECK(contains(failure_of({{4}}, wrong), "by differences"));
}

TEST_CASE("gradient check: a wrong entry of the Jacobian that the cotangent does not see") {
  // Two outputs change places in the backward; a cotangent that is the same for both would hide it, a row does not.
  const auto wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    return record<T>("square", mul(x[0].value(), x[0].value()), {x[0]},
                     [x = x[0].value()](const Array<T>& dy, const Want&) -> Grads<T> {
                       const bool a_row = std::count(dy.data(), dy.data() + dy.size(), T(0)) > 0;
                       Array<T> dx = right(dy, x);
                       if (a_row) std::swap(dx.edit()[0], dx.edit()[1]);
                       return {dx};
                     });
  };
  CHECK(contains(failure_of({{3}}, wrong), "op: input 0 at [0]: Jacobian, output at [0]: analytic 0, numeric "));
}

TEST_CASE("gradient check: inputs are named") {
  const auto spoil = [](auto& dx) { multiply(dx, 1, 2); };
  CHECK(contains(failure_of({Input(uniform_array({3}, 1), "gate")}, square_spoiled(spoil)), "op: gate at [1]: "));
}

TEST_CASE("gradient check: a number given that is no number") {
  CHECK(failure_of({Array<double>({2}, {1, kNaN})}, [](const auto& x) { return square(x[0], right); }) ==
        "op: input 0 at [1]: the number given is nan");
}

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

TEST_CASE("gradient check: other bits the second time") {
  int calls = 0;
  const auto spoil = [&](auto& dx) { multiply(dx, 2, ++calls == 1 ? 1 : 1 + 1e-15); };
  CHECK(contains(failure_of({{4}}, square_spoiled(spoil)), "op: input 0 at [2]: on a second run, 1 threads "));
}

TEST_CASE("gradient check: float computed from too few digits") {
  const auto wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    const T noise = number<T>(std::same_as<T, float> ? 1e-3 : 0);
    return square(shift(x[0], noise), right);
  };
  CHECK(contains(failure_of({{4}}, wrong), "op: output: float differs from double by "));
}
