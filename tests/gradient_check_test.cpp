// The checker is checked: right gradients pass, and each kind of wrong one is rejected with a message that says where.
#include "tests/gradient_check.h"

#include "ops/broadcast.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/gradcheck/differences.h"
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

/// The way's worst error and limit; nothing if it was not gone.
std::optional<WayReport> went(const GradientReport& report, Way way) {
  for (const WayReport& at : report.ways)
    if (at.way == way) return at;
  return std::nullopt;
}

/// x^2 and 3 x as one op; `used` hands on the gradient of an output, or what is taken for it if it is undefined.
template <Real T, class Used>
std::vector<Tensor<T>> square_and_triple(const Tensor<T>& x, Used used) {
  return record_many<T>("square_and_triple", {mul(x.value(), x.value()), scale(x.value(), T(3))}, {x},
                        [x = x.value(), used](const std::vector<Array<T>>& dys, const Want&) -> Grads<T> {
                          return {add(right(used(dys, 0), x), scale(used(dys, 1), T(3)))};
                        });
}

/// The gradient of output i, 0 if that output was not used.
const auto zero_if_unused = []<class T>(const std::vector<Array<T>>& dys, size_t i) {
  return dys[i].defined() ? dys[i] : Array<T>(dys[1 - i].shape());
};

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
  for (const double factor : {1 + 1e-6, 1 + 1e-9}) {
    const auto spoil = [factor](auto& dx) { multiply(dx, 83 * 200 + 45, factor); };
    CHECK(contains(failure_of({{100, 200}}, square_spoiled(spoil)), "op: input 0 at [83, 45]: analytic "));
  }
}

TEST_CASE("gradient check: wrong by little more than is allowed") {  // of more entries than have a Jacobian taken
  const auto spoil = [](auto& dx) {
    for (int64_t i = 0; i < dx.size(); ++i) multiply(dx, i, 1 + 4 * GradientLimits().dual);
  };
  CHECK(contains(failure_of({{70}}, square_spoiled(spoil)), "by Dual"));
}

TEST_CASE("gradient check: a gradient that is tiny beside another one's") {
  for (const double factor : {1., 1.5}) {
    const auto f = [factor]<class T>(const std::vector<Tensor<T>>& x) {
      const auto wrong = [factor](const auto& dy, const auto& v) { return scale(right(dy, v), number<T>(factor)); };
      return scale(square(x[0], wrong), number<T>(1e-13)) + x[1] * x[1];
    };
    for (const int64_t size : {3, 70}) {  // with the Jacobian and without
      const std::string failure = failure_of({{size}, {size}}, f);
      CHECK_MESSAGE((factor == 1 ? failure == "none" : contains(failure, "op: input 0 at [")), failure);
    }
  }
}

TEST_CASE("gradient check: a gradient of rounding errors alone passes") {
  // a shift that the mean takes out again, after a function that rounds
  check_gradient("shift", {{3, 5}, {}}, [](const auto& x) {
    const auto y = x[0] * x[0] + x[1];
    return exp(y - mean(y, {-1}, true));
  });
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

TEST_CASE("gradient check: another value on Dual") {
  const auto value_wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    return shift(x[0] * x[0], number<T>(std::same_as<T, Dual> ? 1e-10 : 0));
  };
  CHECK(contains(failure_of({{4}}, value_wrong), "op: output at [0]: on Dual it has another value: "));
  const auto backward_wrong = []<class T>(const std::vector<Tensor<T>>& x) {
    return square(x[0], [](const Array<T>& dy, const Array<T>& v) {
      Array<T> dx = right(dy, v);
      if constexpr (std::same_as<T, Dual>) dx.edit()[2].value += 1e-10;
      return dx;
    });
  };
  CHECK(contains(failure_of({{4}}, backward_wrong), "op: input 0 at [2]: backward on Dual has another value: "));
}

TEST_CASE("gradient check: several outputs") {
  const auto f = [](const auto& x) { return square_and_triple(x[0], zero_if_unused); };
  check_gradient("several outputs", {{3}}, f);
  check_gradient("one that depends on nothing", {{3}}, []<class T>(const std::vector<Tensor<T>>& x) {
    auto ys = square_and_triple(x[0], zero_if_unused);
    ys.emplace_back(Array<T>::filled({2}, T(1)));
    return ys;
  });
  const auto forgets = [](const auto& x) {
    return square_and_triple(x[0], [](const auto& dys, size_t i) { return dys[i].defined() ? dys[i] : dys[1 - i]; });
  };
  CHECK(contains(failure_of({{3}}, forgets), "op: input 0 at [0]: analytic "));
  CHECK(contains(failure_of({{3}}, forgets), " of output 0 alone, "));
  const auto swapped = [](const auto& x) {
    return square_and_triple(x[0], [](const auto& dys, size_t i) { return zero_if_unused(dys, 1 - i); });
  };
  const std::vector<std::string> failures = failures_of({{3}}, swapped);
  REQUIRE(failures.size() >= 2);
  CHECK(contains(failures[1], "op: input 0 at [0]: Jacobian, output 0 at [0]: analytic 3, numeric "));
  CHECK(contains(failure_of({Input({3}, -2, -1)},
                            []<class T>(const std::vector<Tensor<T>>& x) {
                              return std::vector<Tensor<T>>{x[0], log(x[0])};
                            }),
                 "op: output 1 at [0]: "));
}

TEST_CASE("gradient check: a function of double alone") {
  using Doubles = std::vector<Tensor<double>>;
  const GradientReport report =
      gradient_report("square", {{100}, {3}}, [](const Doubles& x) { return square(x[0], right) * sum(x[1]); });
  CHECK_MESSAGE(report.passed(), to_text(report));
  CHECK(went(report, Way::differences));
  for (const Way way : {Way::value, Way::dual, Way::jacobian, Way::symmetry, Way::hessian, Way::float32})
    CHECK(!went(report, way));
  for (int64_t i = 0; i < 100; i += 9) {  // most of them are not among the entries that are looked at one by one
    const auto wrong = [i](const Doubles& x) {
      return square(x[0], [i](const auto& dy, const auto& v) {
        auto dx = right(dy, v);
        multiply(dx, i, 0.9);
        return dx;
      });
    };
    const std::string failure = failure_of({{100}}, wrong);
    CHECK_MESSAGE(contains(failure, fmt::format("op: input 0 at [{}]: analytic ", i)), failure);
    CHECK(contains(failure, "by differences"));
  }
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
