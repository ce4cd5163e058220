#include "ops/layout.h"

#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "tests/gradient_check.h"
#include "tests/support.h"

using namespace orthoread;

namespace {

const Tensor<double> kSix = constant({2, 3}, {0, 1, 2, 3, 4, 5});

}  // namespace

TEST_CASE("layout: reshape") {
  CHECK(reshape(kSix, {3, 2}).shape() == Shape{3, 2});
  CHECK(reshape(kSix, {3, -1}).shape() == Shape{3, 2});
  CHECK(reshape(kSix, {-1}).shape() == Shape{6});
  CHECK(values(reshape(kSix, {6}).value()) == Numbers{0, 1, 2, 3, 4, 5});
  CHECK(reshape(kSix, {3, 2}).value().data() == kSix.value().data());  // no copy
}

TEST_CASE("layout: permute by a naive loop") {
  const Array<double> x = uniform_array({2, 3, 4}, 1);
  CHECK(values(permute(kSix, {1, 0}).value()) == Numbers{0, 3, 1, 4, 2, 5});
  for (const std::vector<int>& order : {std::vector{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}) {
    const Array<double> y = permute(x, order);
    bool equal = true;
    for (int64_t i = 0; i < 24; ++i) {
      const Shape index = {i / 12, i / 4 % 3, i % 4};
      int64_t at = 0;
      for (int axis = 0; axis < 3; ++axis)
        at = at * y.dim(axis) + index[static_cast<size_t>(order[static_cast<size_t>(axis)])];
      equal = equal && y.data()[at] == x.data()[i];
    }
    CHECK(equal);
  }
  CHECK(permute(constant({2, 0, 3}, {}), {2, 0, 1}).shape() == Shape{3, 2, 0});
  CHECK(permute(constant({}, {1}), {}).value().item() == 1);
}

TEST_CASE("layout: slice, split and concat") {
  CHECK(values(slice(kSix, 1, 1, 3).value()) == Numbers{1, 2, 4, 5});
  CHECK(values(slice(kSix, -2, 1, 2).value()) == Numbers{3, 4, 5});
  CHECK(slice(kSix, 1, 2, 2).shape() == Shape{2, 0});
  const auto parts = split(kSix, -1, {1, 0, 2});
  CHECK(values(parts[0].value()) == Numbers{0, 3});
  CHECK(parts[1].shape() == Shape{2, 0});
  CHECK(values(parts[2].value()) == Numbers{1, 2, 4, 5});
  CHECK(values(concat(parts, -1).value()) == values(kSix.value()));
  CHECK(values(concat<double>({kSix, kSix}, 0).value()) == Numbers{0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5});
}

TEST_CASE("layout: permute, long rows") {
  const Array<double> x = uniform_array({3000, 2}, 1), y = permute(x, {1, 0});
  CHECK(y.shape() == Shape{2, 3000});
  for (int64_t i = 0; i < 6000; ++i) CHECK(y.data()[i] == x.data()[i % 3000 * 2 + i / 3000]);
}

TEST_CASE("layout: stack and unstack") {
  const auto rows = unstack(kSix, 0), columns = unstack(kSix, -1);
  CHECK(rows.size() == 2);
  CHECK(columns.size() == 3);
  CHECK(columns[1].shape() == Shape{2});
  CHECK(values(columns[1].value()) == Numbers{1, 4});
  CHECK(values(stack(rows, 0).value()) == values(kSix.value()));
  CHECK(values(stack(columns, -1).value()) == values(kSix.value()));
  CHECK(stack(columns, 0).shape() == Shape{3, 2});
  CHECK(stack<double>({constant({}, {1}), constant({}, {2})}, 0).shape() == Shape{2});
}

TEST_CASE("layout: gradients") {
  check_gradient("reshape", {{2, 6}}, [](const auto& x) { return reshape(x[0], {3, -1}); });
  check_gradient("permute", {{2, 3, 4}}, [](const auto& x) { return permute(x[0], {2, 0, 1}); });
  check_gradient("slice", {{2, 5}}, [](const auto& x) { return slice(x[0], -1, 1, 4); });
  check_gradient("concat", {{2, 3}, {2, 1}, {2, 3}}, [](const auto& x) { return concat(x, 1); });
  check_gradient("split, one part used", {{2, 6}}, [](const auto& x) { return split(x[0], 1, {1, 2, 3})[1]; });
  check_gradient("split, two parts used", {{2, 6}}, [](const auto& x) {
    const auto parts = split(x[0], 1, {2, 2, 2});
    return parts[2] * parts[0] * parts[0];
  });
  check_gradient("stack", {{2, 3}, {2, 3}}, [](const auto& x) { return stack(x, 1); });
  check_gradient("unstack", {{2, 3}}, [](const auto& x) {
    const auto columns = unstack(x[0], 1);
    return columns[0] * columns[2];
  });
  check_gradient("large permute", {{130, 200}}, [](const auto& x) { return permute(x[0], {1, 0}); });
}

TEST_CASE("layout: errors") {
  const Tensor<double> three = constant({3}, {0, 1, 2});
  CHECK(thrown([&] { reshape(kSix, {4}); }) == "reshape: [2, 3] has 6 numbers, [4] would have 4");
  CHECK(thrown([&] {
          reshape(kSix, {4, -1});
        }) == "reshape: no size in place of -1 fits: [2, 3] has 6 numbers, and the other sizes make 4");
  CHECK(thrown([&] {
          reshape(kSix, {0, -1});
        }) == "reshape: no size in place of -1 fits: [2, 3] has 6 numbers, and the other sizes make 0");
  CHECK(thrown([&] { reshape(kSix, {-1, -1}); }) == "shape: sizes cannot be negative: [1, -1]");
  CHECK(thrown([&] { permute(kSix, {0, 0}); }) == "permute: the order [0, 0] must name each axis of [2, 3] once");
  CHECK(thrown([&] { permute(kSix, {0}); }) == "permute: the order [0] must name each axis of [2, 3] once");
  CHECK(thrown([&] { slice(kSix, 1, 2, 4); }) == "slice: the range 2 to 4 is outside axis 1 of [2, 3]");
  CHECK(thrown([&] { slice(kSix, 1, 2, 1); }) == "slice: the range 2 to 1 is outside axis 1 of [2, 3]");
  CHECK(thrown([&] { split(kSix, 1, {1, 1}); }) == "split: the sizes [1, 1] must add up to axis 1 of [2, 3]");
  CHECK(thrown([&] { split(kSix, 1, {4, -1}); }) == "split: the sizes [4, -1] must add up to axis 1 of [2, 3]");
  CHECK(thrown([&] {
          concat<double>({kSix, three}, 0);
        }) == "concat: parts may differ along axis 0 only: [2, 3] and [3]");
  CHECK(thrown([&] { concat(std::vector<Tensor<double>>(), 0); }) == "concat: needs at least one part");
  CHECK(thrown([&] { stack<double>({kSix, three}, 0); }) == "stack: all parts must have one shape: [2, 3] and [3]");
  CHECK(thrown([&] { unstack(kSix, 2); }) == "unstack: axis 2 is outside the 2 axes of [2, 3]");
}
