#include "ops/reduce.h"

#include "ops/elementwise.h"
#include "tests/gradient_check.h"
#include "tests/support.h"

using namespace orthoread;

namespace {

/// 0, 1, … in this shape.
Tensor<double> counting(const Shape& shape) {
  Numbers numbers(static_cast<size_t>(count(shape)));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i);
  return constant(shape, numbers);
}

}  // namespace

TEST_CASE("reduce: sums over any axes by a naive loop") {
  const Array<double> x = uniform_array({3, 4, 5}, 1);
  const std::vector<std::vector<int>> choices = {{0}, {1}, {2}, {-1}, {0, 1}, {0, 2}, {-1, 1}, {2, 0, 1}, {}};
  for (const auto& axes : choices) {
    std::vector<bool> reduced(3);
    for (const int axis : axes) reduced[static_cast<size_t>((axis + 3) % 3)] = true;
    const Shape kept = {reduced[0] ? 1 : 3, reduced[1] ? 1 : 4, reduced[2] ? 1 : 5};
    Array<double> expected(kept);
    for (int64_t i = 0; i < 60; ++i) {
      const int64_t a = reduced[0] ? 0 : i / 20, b = reduced[1] ? 0 : i / 5 % 4, c = reduced[2] ? 0 : i % 5;
      expected.edit()[(a * kept[1] + b) * kept[2] + c] += x.data()[i];
    }
    CHECK(relative_error(sum(x, axes, true), expected) <= 1e-15);
    Shape without;
    for (size_t axis = 0; axis < 3; ++axis) {
      if (!reduced[axis]) without.push_back(kept[axis]);
    }
    CHECK(relative_error(sum(x, axes), expected.reshaped(without)) <= 1e-15);
    const double n = 60.0 / static_cast<double>(count(without));
    CHECK(relative_error(scale(mean(Tensor<double>(x), axes), n).value(), expected.reshaped(without)) <= 1e-15);
  }
}

TEST_CASE("reduce: sum, mean and max of everything, and of nothing") {
  CHECK(sum(counting({2, 3})).value().item() == 15);
  CHECK(sum(counting({2, 3})).shape().empty());
  CHECK(mean(counting({2, 3})).value().item() == 2.5);
  CHECK(max(counting({2, 3})).value().item() == 5);
  CHECK(sum(constant({}, {7})).value().item() == 7);
  CHECK(sum(constant({0}, {})).value().item() == 0);
  CHECK(std::isnan(mean(constant({0}, {})).value().item()));
  CHECK(values(sum(constant({3, 0}, {}), {1}).value()) == Numbers{0, 0, 0});
  CHECK(sum(constant({3, 0}, {}), {0}).shape() == Shape{0});
}

TEST_CASE("reduce: max") {
  const Tensor<double> x = constant({2, 3}, {1, 5, 2, 7, 0, 7});
  CHECK(values(max(x, {1}).value()) == Numbers{5, 7});
  CHECK(values(max(x, {0}).value()) == Numbers{7, 5, 7});
  CHECK(max(x, {0}, true).shape() == Shape{1, 3});
  const auto tied = leaf({2, 3}, {1, 5, 2, 7, 0, 7});  // x.amax(1) shares the gradient of ties evenly
  backward(max(tied, {1}), Array<double>({2}, {1, 1}));
  CHECK(values(tied.grad()) == Numbers{0, 1, 0, 0.5, 0, 0.5});
  for (int at = 0; at < 3; ++at) {
    Array<double> bad({3}, {1, 2, 3});
    bad.edit()[at] = kNaN;
    CHECK(std::isnan(max(Tensor<double>(bad)).value().item()));
  }
  CHECK(max(constant({2}, {-kInfinity, -kInfinity})).value().item() == -kInfinity);
}

TEST_CASE("reduce: the rounding error of a sum is small, and NaN propagates") {
  constexpr int64_t kN = 1 << 20;
  CHECK(sum(Array<float>::filled({kN}, 0.1f), {0}).item() == doctest::Approx(kN * 0.1).epsilon(1e-5));
  CHECK(std::isnan(sum(constant({3}, {1, kNaN, 2})).value().item()));
}

TEST_CASE("reduce: long axes, with outer and inner axes") {
  constexpr int64_t outer = 3, n = 300, inner = 2;
  const Array<double> x = uniform_array({outer, n, inner}, 1);
  Array<double> expected({outer, inner});
  for (int64_t i = 0; i < x.size(); ++i) expected.edit()[i / (n * inner) * inner + i % inner] += x.data()[i];
  CHECK(relative_error(sum(x, {1}), expected) <= 1e-14);
}

TEST_CASE("reduce: cumsum") {
  CHECK(values(cumsum(constant({4}, {1, 2, 3, -1}), 0).value()) == Numbers{1, 3, 6, 5});
  CHECK(values(cumsum(counting({2, 3}), 0).value()) == Numbers{0, 1, 2, 3, 5, 7});
  CHECK(values(cumsum(counting({2, 3}), -1).value()) == Numbers{0, 1, 3, 3, 7, 12});
}

TEST_CASE("reduce: Frobenius norm") {
  const Tensor<double> y = frobenius_norm(constant({2, 1, 2}, {3, 4, 0, 0}));
  CHECK(y.shape() == Shape{2, 1, 1});
  CHECK(values(y.value()) == Numbers{5, 0});
  const auto zero = leaf({2, 2}, {0, 0, 0, 0});
  backward(sum(frobenius_norm(zero)));
  CHECK(values(zero.grad()) == Numbers{0, 0, 0, 0});
}

TEST_CASE("reduce: gradients") {
  check_gradient("sum", {{2, 3, 4}}, [](const auto& x) { return sum(x[0]); });
  check_gradient("sum, outer axes", {{2, 3, 4}}, [](const auto& x) { return sum(x[0], {0, 2}); });
  check_gradient("sum, kept axis", {{2, 3, 4}}, [](const auto& x) { return sum(x[0], {-2}, true); });
  check_gradient("sum, no axes", {{2, 3}}, [](const auto& x) { return sum(x[0], {}); });
  check_gradient("mean", {{2, 3, 4}}, [](const auto& x) { return mean(x[0], {1, 2}); });
  check_gradient("max", {{2, 3, 4}}, [](const auto& x) { return max(x[0], {0, 2}); });
  check_gradient("max, kept axis", {{2, 3, 4}}, [](const auto& x) { return max(x[0], {-1}, true); });
  check_gradient("max of everything", {{2, 3, 4}}, [](const auto& x) { return max(x[0]); });
  check_gradient("cumsum", {{2, 5, 3}}, [](const auto& x) { return cumsum(x[0], 1); });
  check_gradient("cumsum, last axis", {{2, 5}}, [](const auto& x) { return cumsum(x[0], -1); });
  check_gradient("frobenius_norm", {{2, 3, 4}}, [](const auto& x) { return frobenius_norm(x[0]); });
  check_gradient("large sum", {{70, 4, 90}}, [](const auto& x) { return sum(x[0], {0, 2}); });
}

TEST_CASE("reduce: errors") {
  const Tensor<double> x = counting({2, 3});
  CHECK(thrown([&] { sum(x, {2}); }) == "sum: axis 2 is outside the 2 axes of [2, 3]");
  CHECK(thrown([&] { sum(x, {-3}); }) == "sum: axis -3 is outside the 2 axes of [2, 3]");
  CHECK(thrown([&] { sum(x, {1, -1}); }) == "sum: axis -1 is named twice in [1, -1]");
  CHECK(thrown([&] { max(x, {5}); }) == "max: axis 5 is outside the 2 axes of [2, 3]");
  CHECK(thrown([&] { max(constant({0}, {})); }) == "max: there is no largest of no numbers; the shape is [0]");
  CHECK(thrown([&] { cumsum(x, 2); }) == "cumsum: axis 2 is outside the 2 axes of [2, 3]");
  CHECK(thrown([&] { frobenius_norm(sum(x, {0})); }) == "frobenius_norm: needs at least two axes, the shape is [3]");
}
