// The checker is checked: right gradients pass, and each kind of wrong one is rejected with a message that says where.
#include "tests/gradient_check.h"

#include "ops/gemm.h"
#include "ops/layout.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "tests/wrong_backward.h"

using namespace orthoread;

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
  // a shift that subtracting the mean undoes, after a function that rounds
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

TEST_CASE("gradient check: a number given that is no number") {
  CHECK(failure_of({Array<double>({2}, {1, kNaN})}, [](const auto& x) { return square(x[0], right); }) ==
        "op: input 0 at [1]: the number given is nan");
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
