#include "ops/elementwise.h"

#include "tests/gradient_check.h"
#include "tests/support.h"

using namespace orthoread;

namespace {

const Numbers kNumbers = {-3, -0.5, 0, 0.25, 2};

Tensor<double> numbers() { return constant({5}, kNumbers); }

}  // namespace

TEST_CASE("elementwise: values as in PyTorch") {
  // x = torch.tensor([-3, -0.5, 0, 0.25, 2.], dtype=torch.float64); [torch.exp(x), torch.tanh(x), torch.sigmoid(x),
  // F.logsigmoid(x), F.silu(x), F.softplus(x)]
  const auto check = [](const Tensor<double>& y, const Numbers& expected) {
    CHECK(relative_error(y.value(), Array<double>({5}, expected)) <= 1e-15);
  };
  check(exp(numbers()), {0.049787068367863944, 0.6065306597126334, 1.0, 1.2840254166877414, 7.38905609893065});
  check(tanh(numbers()), {-0.9950547536867305, -0.46211715726000974, 0, 0.24491866240370913, 0.9640275800758169});
  check(sigmoid(numbers()), {0.04742587317756678, 0.3775406687981454, 0.5, 0.5621765008857981, 0.8807970779778823});
  check(log_sigmoid(numbers()),
        {-3.048587351573742, -0.9740769841801067, -0.6931471805599453, -0.5759394198788436, -0.1269280110429725});
  check(silu(numbers()), {-0.14227761953270035, -0.1887703343990727, 0, 0.14054412522144952, 1.7615941559557646});
  check(softplus(numbers()),
        {0.04858735157374206, 0.4740769841801067, 0.6931471805599453, 0.8259394198788436, 2.1269280110429727});
  check(abs(numbers()), {3, 0.5, 0, 0.25, 2});
  check(neg(numbers()), {3, 0.5, 0, -0.25, -2});
  check(scale(numbers(), 4.0), {-12, -2, 0, 1, 8});
  check(shift(numbers(), 4.0), {1, 3.5, 4, 4.25, 6});
  check(clamp_min(numbers(), 0.1), {0.1, 0.1, 0.1, 0.25, 2});
  const Tensor<double> positive = constant({3}, {0.1, 1, 7});
  CHECK(values(log(positive).value()) == Numbers{-2.3025850929940455, 0, 1.9459101490553132});
  CHECK(values(sqrt(positive).value()) == Numbers{0.31622776601683794, 1, 2.6457513110645907});
}

TEST_CASE("elementwise: two operands broadcast as in NumPy") {
  const Tensor<double> column = constant({2, 1}, {6, 4}), row = constant({3}, {1, 2, 3});
  CHECK((column + row).shape() == Shape{2, 3});
  CHECK(values((column + row).value()) == Numbers{7, 8, 9, 5, 6, 7});
  CHECK(values((column - row).value()) == Numbers{5, 4, 3, 3, 2, 1});
  CHECK(values((column * row).value()) == Numbers{6, 12, 18, 4, 8, 12});
  CHECK(values((column / row).value()) == Numbers{6, 3, 2, 4, 2, 4.0 / 3});
  CHECK(values(maximum(column, scale(row, 2.0)).value()) == Numbers{6, 6, 6, 4, 4, 6});
  CHECK((column * constant({}, {2})).shape() == Shape{2, 1});
  CHECK((column + constant({4, 1, 0}, {})).shape() == Shape{4, 2, 0});
}

TEST_CASE("elementwise: broadcasting by a naive loop over four axes") {
  const Shape shapes[] = {{2, 3, 4, 5}, {1, 3, 1, 5}, {2, 1, 4, 1}, {3, 4, 5}, {4, 1}, {5}, {1, 1, 1, 1}, {2, 3, 1, 1}};
  for (const Shape& sa : shapes) {
    for (const Shape& sb : shapes) {
      const Array<double> a = uniform_array(sa, 1), b = uniform_array(sb, 2);
      const Array<double> y = add(a, b);
      const auto at = [](const Array<double>& x, const Shape& index) {  // index: four axes
        int64_t offset = 0;
        for (size_t i = 4 - x.shape().size(); i < 4; ++i) {
          const int64_t n = x.shape()[i - (4 - x.shape().size())];
          offset = offset * n + (n == 1 ? 0 : index[i]);
        }
        return x.data()[offset];
      };
      bool equal = true;
      for (int64_t i = 0; i < 2 * 3 * 4 * 5; ++i) {
        const Shape index = {i / 60, i / 20 % 3, i / 5 % 4, i % 5};
        equal = equal && at(y, index) == at(a, index) + at(b, index);
      }
      CHECK_MESSAGE(equal, fmt::format("{} + {}", sa, sb));
    }
  }
}

TEST_CASE("elementwise: gradients") {
  check_gradient("neg", {{3, 4}}, [](const auto& x) { return neg(x[0]); });
  check_gradient("exp", {{3, 4}}, [](const auto& x) { return exp(x[0]); });
  check_gradient("log", {Input({3, 4}, 0.1, 3)}, [](const auto& x) { return log(x[0]); });
  check_gradient("sqrt", {Input({3, 4}, 0.1, 3)}, [](const auto& x) { return sqrt(x[0]); });
  check_gradient("abs", {{3, 4}}, [](const auto& x) { return abs(x[0]); });
  check_gradient("tanh", {{3, 4}}, [](const auto& x) { return tanh(x[0]); });
  check_gradient("sigmoid", {Input({3, 4}, -5, 5)}, [](const auto& x) { return sigmoid(x[0]); });
  check_gradient("log_sigmoid", {Input({3, 4}, -5, 5)}, [](const auto& x) { return log_sigmoid(x[0]); });
  check_gradient("silu", {Input({3, 4}, -5, 5)}, [](const auto& x) { return silu(x[0]); });
  check_gradient("softplus", {Input({3, 4}, -5, 5)}, [](const auto& x) { return softplus(x[0]); });
  check_gradient("scale", {{3, 4}}, []<Real T>(const std::vector<Tensor<T>>& x) { return scale(x[0], T(-3)); });
  check_gradient("shift", {{3, 4}}, []<Real T>(const std::vector<Tensor<T>>& x) { return shift(x[0], T(7)); });
  check_gradient("clamp_min", {{3, 4}},
                 []<Real T>(const std::vector<Tensor<T>>& x) { return clamp_min(x[0], number<T>(0.5)); });
}

TEST_CASE("elementwise: gradients of two operands, and of broadcast ones") {
  const std::vector<std::vector<Input>> cases = {{{3, 4}, Input({3, 4}, 0.5, 2)},
                                                 {{3, 4}, Input({4}, 0.5, 2)},
                                                 {{2, 1, 3}, Input({4, 1}, 0.5, 2)},
                                                 {{}, Input({2, 3}, 0.5, 2)}};
  for (const auto& inputs : cases) {
    check_gradient("add", inputs, [](const auto& x) { return add(x[0], x[1]); });
    check_gradient("sub", inputs, [](const auto& x) { return sub(x[0], x[1]); });
    check_gradient("mul", inputs, [](const auto& x) { return mul(x[0], x[1]); });
    check_gradient("div", inputs, [](const auto& x) { return div(x[0], x[1]); });
    check_gradient("maximum", inputs, [](const auto& x) { return maximum(x[0], x[1]); });
  }
}

TEST_CASE("elementwise: gradients of arrays that are divided among threads") {
  check_gradient("silu", {{90, 300}}, [](const auto& x) { return silu(x[0]); });
  check_gradient("mul", {{90, 300}, {300}}, [](const auto& x) { return mul(x[0], x[1]); });
  check_gradient("div", {{90, 1}, Input({300}, 0.5, 2)}, [](const auto& x) { return div(x[0], x[1]); });
}

TEST_CASE("elementwise: smooth functions have the right derivative at 0") {
  const Input zero = Array<double>({3}, {0, 1, -1});
  check_gradient("sigmoid", {zero}, [](const auto& x) { return sigmoid(x[0]); });
  check_gradient("log_sigmoid", {zero}, [](const auto& x) { return log_sigmoid(x[0]); });
  check_gradient("silu", {zero}, [](const auto& x) { return silu(x[0]); });
  check_gradient("softplus", {zero}, [](const auto& x) { return softplus(x[0]); });
}

TEST_CASE("elementwise: gradients at kinks as in PyTorch") {
  const auto x = leaf({3}, {0, -1, 2});
  backward(abs(x), Array<double>({3}, {5, 5, 5}));
  CHECK(values(x.grad()) == Numbers{0, -5, 5});
  const auto a = leaf({3}, {1, 2, 3}), b = leaf({3}, {1, 3, 2});
  backward(maximum(a, b), Array<double>({3}, {4, 4, 4}));
  CHECK(values(a.grad()) == Numbers{2, 0, 4});
  CHECK(values(b.grad()) == Numbers{2, 4, 0});
  const auto c = leaf({3}, {1, 2, 0});
  backward(clamp_min(c, 1.0), Array<double>({3}, {5, 5, 5}));
  CHECK(values(c.grad()) == Numbers{5, 5, 0});
}

TEST_CASE("elementwise: NaN propagates") {
  const Tensor<double> bad = constant({1}, {kNaN}), one = constant({1}, {1});
  for (const Tensor<double>& y :
       {maximum(bad, one), maximum(one, bad), maximum(bad, bad), clamp_min(bad, 0.0), abs(bad), sigmoid(bad),
        log_sigmoid(bad), silu(bad), softplus(bad), tanh(bad), bad * one}) {
    CHECK(std::isnan(y.value().item()));
  }
}

TEST_CASE("elementwise: large numbers neither overflow nor vanish") {
  const auto at = [](auto f, double x) { return f(constant({}, {x})).value().item(); };
  const auto slope_at = [](auto f, double x) {
    const auto point = leaf({}, {x});
    backward(f(point));
    return point.grad().item();
  };
  const auto f_softplus = [](const auto& x) { return softplus(x); };
  const auto f_log_sigmoid = [](const auto& x) { return log_sigmoid(x); };
  const auto f_sigmoid = [](const auto& x) { return sigmoid(x); };
  const auto f_silu = [](const auto& x) { return silu(x); };
  CHECK(at(f_softplus, 1000) == 1000);
  CHECK(at(f_softplus, -1000) == 0);
  CHECK(at(f_softplus, -40) == doctest::Approx(std::exp(-40.0)).epsilon(1e-14));
  CHECK(at(f_log_sigmoid, -1000) == -1000);
  CHECK(at(f_log_sigmoid, 40) == doctest::Approx(-std::exp(-40.0)).epsilon(1e-14));
  CHECK(at(f_log_sigmoid, -kInfinity) == -kInfinity);
  CHECK(at(f_sigmoid, 1000) == 1);
  CHECK(at(f_sigmoid, -1000) == 0);
  CHECK(at(f_silu, -1000) == 0);
  CHECK(at(f_silu, 1000) == 1000);
  CHECK(slope_at(f_softplus, 1000) == 1);
  CHECK(slope_at(f_softplus, -1000) == 0);
  CHECK(slope_at(f_log_sigmoid, -1000) == 1);
  CHECK(slope_at(f_silu, 1000) == 1);
  CHECK(slope_at(f_silu, -1000) == 0);
}

TEST_CASE("elementwise: shapes that do not broadcast") {
  const Tensor<double> a = constant({2, 3}, Numbers(6)), b = constant({2}, Numbers(2));
  const auto message = [](const char* op) {
    return fmt::format("{}: sizes must be equal or 1 to broadcast: a is [2, 3], b is [2]", op);
  };
  CHECK(thrown([&] { add(a, b); }) == message("add"));
  CHECK(thrown([&] { sub(a, b); }) == message("sub"));
  CHECK(thrown([&] { mul(a, b); }) == message("mul"));
  CHECK(thrown([&] { div(a, b); }) == message("div"));
  CHECK(thrown([&] { maximum(a, b); }) == message("maximum"));
}
