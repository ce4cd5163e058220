#include "core/array.h"

#include "tests/support.h"

using namespace orthoread;

TEST_CASE("shape: count") {
  CHECK(count({}) == 1);
  CHECK(count({2, 3, 4}) == 24);
  CHECK(count({2, 0, 4}) == 0);
  CHECK(thrown([] { count({2, -1}); }) == "shape: sizes cannot be negative: [2, -1]");
  CHECK(thrown([] {
          count({int64_t{1} << 40, int64_t{1} << 40});
        }) == "shape: too many numbers: [1099511627776, 1099511627776]");
  CHECK(count({(int64_t{1} << 56) - 1}) == (int64_t{1} << 56) - 1);
  CHECK(thrown([] { count({int64_t{1} << 56}); }) == "shape: too many numbers: [72057594037927936]");
}

TEST_CASE("shape: axes count from either end") {
  CHECK(normal_axis("op", 1, {2, 3}) == 1);
  CHECK(normal_axis("op", -1, {2, 3}) == 1);
  CHECK(normal_axis("op", -2, {2, 3}) == 0);
  CHECK(thrown([] { normal_axis("op", 2, {2, 3}); }) == "op: axis 2 is outside the 2 axes of [2, 3]");
  CHECK(thrown([] { normal_axis("op", 0, {}); }) == "op: axis 0 is outside the 0 axes of []");
}

TEST_CASE("shape: broadcast") {
  CHECK(broadcast("op", {2, 3}, {3}) == Shape{2, 3});
  CHECK(broadcast("op", {}, {3}) == Shape{3});
  CHECK(broadcast("op", {4, 1, 3}, {2, 1}) == Shape{4, 2, 3});
  CHECK(broadcast("op", {1}, {0}) == Shape{0});
  CHECK(thrown([] {
          broadcast("op", {2, 3}, {2});
        }) == "op: sizes must be equal or 1 to broadcast: a is [2, 3], b is [2]");
  CHECK_THROWS_AS(broadcast("op", {0}, {3}), ShapeError);
}

TEST_CASE("array: numbers and shape") {
  const Array<double> x({2, 3}, {0, 1, 2, 3, 4, 5});
  CHECK(x.defined());
  CHECK(x.rank() == 2);
  CHECK(x.size() == 6);
  CHECK(x.dim(-1) == 3);
  CHECK(values(Array<double>({2})) == Numbers{0, 0});
  CHECK(values(Array<float>::filled({2}, 7)) == std::vector<float>{7, 7});
  CHECK(Array<double>({}, {5}).item() == 5);
  CHECK(Array<double>({2, 0}).defined());
  CHECK(!Array<double>().defined());
  std::vector<Array<double>> others;  // one alone might be aligned to 64 by chance
  for (int64_t n = 1; n <= 32; ++n) {
    others.emplace_back(Shape{n});
    CHECK(reinterpret_cast<uintptr_t>(others.back().data()) % 64 == 0);
  }
}

TEST_CASE("array: a copy is never written through") {
  Array<double> a({2}, {1, 2});
  const Array<double> b = a, c = a.reshaped({2, 1});
  CHECK(a.data() == b.data());
  CHECK(a.data() == c.data());
  a.edit()[0] = 9;
  CHECK(values(a) == Numbers{9, 2});
  CHECK(values(b) == Numbers{1, 2});
  CHECK(values(c) == Numbers{1, 2});
  const double* before = a.data();
  a.edit()[1] = 8;
  CHECK(a.data() == before);  // the only owner of its buffer: no copy
}

TEST_CASE("array: errors") {
  CHECK(thrown([] { Array<double>({2, 2}, {1, 2, 3}); }) == "array: 3 values do not fill shape [2, 2]");
  CHECK(thrown([] { Array<double>({2}).item(); }) == "item: needs exactly one number, the shape is [2]");
  CHECK(thrown([] { Array<double>({2, 3}).reshaped({5}); }) == "reshape: [2, 3] has 6 numbers, [5] would have 5");
  CHECK(thrown([] { Array<double>({2}).dim(1); }) == "dim: axis 1 is outside the 1 axes of [2]");
  const char* undefined =
      "array: it is undefined, without numbers; a leaf has a gradient once backward(loss) has reached it";
  CHECK(thrown([] { Array<double>().edit(); }) == undefined);
  CHECK(thrown([] { Array<double>().data(); }) == undefined);
}
