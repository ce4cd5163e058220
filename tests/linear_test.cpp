#include "ops/linear.h"

#include "ops/layout.h"
#include "ops/rows/chunks.h"
#include "tests/chunks.h"
#include "tests/twin.h"

using namespace orthoread;

TEST_CASE("linear: by a naive loop") {
  const Array<double> x = uniform_array({2, 3, 4}, 1), w = uniform_array({5, 4}, 2), bias = uniform_array({5}, 3);
  Array<double> expected({2, 3, 5});
  for (int64_t r = 0; r < 6; ++r) {
    for (int64_t o = 0; o < 5; ++o) {
      double sum = bias.data()[o];
      for (int64_t d = 0; d < 4; ++d) sum += x.data()[r * 4 + d] * w.data()[o * 4 + d];
      expected.edit()[r * 5 + o] = sum;
    }
  }
  CHECK(relative_error(linear<double>(x, w, bias).value(), expected) <= 1e-15);
  CHECK(linear<double>(constant({4}, {1, 2, 3, 4}), w).shape() == Shape{5});
  CHECK(linear<double>(constant({0, 4}, {}), w).shape() == Shape{0, 5});
}

TEST_CASE("linear: blockwise, by a naive loop") {
  const Array<double> x = uniform_array({2, 6}, 1), w = uniform_array({2, 3, 3}, 2);
  Array<double> expected({2, 6});
  for (int64_t r = 0; r < 2; ++r) {
    for (int64_t n = 0; n < 2; ++n) {
      for (int64_t o = 0; o < 3; ++o) {
        double sum = 0;
        for (int64_t d = 0; d < 3; ++d) sum += x.data()[r * 6 + n * 3 + d] * w.data()[(n * 3 + o) * 3 + d];
        expected.edit()[r * 6 + n * 3 + o] = sum;
      }
    }
  }
  CHECK(relative_error(blockwise_linear<double>(x, w).value(), expected) <= 1e-15);
}

TEST_CASE("linear: gradients") {
  check_gradient("linear", {{2, 3, 4}, {5, 4}}, [](const auto& x) { return linear(x[0], x[1]); });
  check_gradient("linear, square", {{4, 4}, {4, 4}}, [](const auto& x) { return linear(x[0], x[1]); });
  check_gradient("linear, bias", {{3, 4}, {2, 4}, {2}}, [](const auto& x) { return linear(x[0], x[1], x[2]); });
  check_gradient("linear, no rows", {{0, 4}, {2, 4}}, [](const auto& x) { return linear(x[0], x[1]); });
  check_gradient("blockwise_linear", {{2, 2, 6}, {2, 3, 3}},
                 [](const auto& x) { return blockwise_linear(x[0], x[1]); });
  // Full and partial tiles of outputs, full and partial registers of features.
  check_gradient("linear, many outputs", {{3, 4}, {19, 4}}, [](const auto& x) { return linear(x[0], x[1]); });
  check_gradient("linear, very many outputs", {{2, 3}, {600, 3}}, [](const auto& x) { return linear(x[0], x[1]); });
  check_gradient("linear, many features", {{3, 21}, {5, 21}}, [](const auto& x) { return linear(x[0], x[1]); });
  check_gradient("linear, whole vector registers", {{3, 32}, {8, 32}},
                 [](const auto& x) { return linear(x[0], x[1]); });
  check_gradient("blockwise_linear, blocks of four", {{3, 36}, {9, 4, 4}},
                 [](const auto& x) { return blockwise_linear(x[0], x[1]); });
  check_gradient("blockwise_linear, blocks of eight", {{3, 40}, {5, 8, 8}},
                 [](const auto& x) { return blockwise_linear(x[0], x[1]); });
  // More rows than a chunk (128) and than a part (512).
  check_gradient("linear, many rows", {{1100, 12}, {3, 12}, {3}},
                 [](const auto& x) { return linear(x[0], x[1], x[2]); });
  check_gradient("blockwise_linear, many rows", {{600, 4}, {2, 2, 2}},
                 [](const auto& x) { return blockwise_linear(x[0], x[1]); });
}

TEST_CASE("linear: the gradients of weights are sums over chunks of rows, added in order") {
  constexpr int64_t rows = 2 * kSummedRows + 40;
  check_sums_of_chunks("linear", {{rows, 12}}, {{3, 12}, {3}}, kSummedRows,
                       [](const auto& x, const auto& w) { return linear(x[0], w[0], w[1]); });
  check_sums_of_chunks("linear_maps", {{rows, 12}}, {{3, 4, 4}, {5, 12}}, kSummedRows,
                       [](const auto& x, const auto& w) { return concat(linear_maps(x[0], {w[0]}, w[1]), -1); });
}

TEST_CASE("linear: several maps in one pass equal the single maps") {
  const auto fused = [](const auto& x) { return concat(linear_maps(x[0], {x[1], x[2]}, x[3]), -1); };
  const auto composed = []<Real T>(const std::vector<Tensor<T>>& x) {
    return concat<T>({blockwise_linear(x[0], x[1]), blockwise_linear(x[0], x[2]), linear(x[0], x[3])}, -1);
  };
  for (const Shape& shape : {Shape{2, 5, 12}, {700, 36}, {1, 32}, {0, 8}}) {  // partial registers, several chunks
    const int64_t width = shape.back();
    const Shape blocks = {width / 4, 4, 4};
    check_twins(
        "linear_maps",
        {uniform_array(shape, 1), uniform_array(blocks, 2), uniform_array(blocks, 3), uniform_array({5, width}, 4)},
        fused, composed);
  }
  check_gradient("linear_maps", {{3, 6}, {2, 3, 3}, {3, 2, 2}, {2, 6}}, [](const auto& x) {
    return concat(linear_maps(x[0], {x[1], x[2]}, x[3]), -1);
  });
  // Not compared with a twin, which would use the same products.
  check_gradient("linear_maps, many rows", {{600, 12}, {3, 4, 4}, {2, 6, 6}, {19, 12}}, [](const auto& x) {
    return concat(linear_maps(x[0], {x[1], x[2]}, x[3]), -1);
  });
  check_gradient("linear_maps, many features", {{3, 21}, {7, 3, 3}, {3, 21}},
                 [](const auto& x) { return concat(linear_maps(x[0], {x[1]}, x[2]), -1); });
  check_gradient("linear_maps, one not used", {{3, 6}, {2, 3, 3}, {2, 6}},
                 [](const auto& x) { return linear_maps(x[0], {x[1]}, x[2])[1]; });
  check_gradient("linear_maps, the dense one not used", {{3, 6}, {2, 3, 3}, {2, 6}},
                 [](const auto& x) { return linear_maps(x[0], {x[1]}, x[2])[0]; });
}

TEST_CASE("linear: errors") {
  const auto zeros = [](const Shape& shape) { return Tensor<double>(Array<double>(shape)); };
  CHECK(thrown([&] {
          linear(zeros({2, 3}), zeros({5, 4}));
        }) == "linear: x must be (..., D) and weight (O, D) with O, D >= 1: x is [2, 3], weight is [5, 4]");
  CHECK(thrown([&] {
          linear(zeros({2, 0}), zeros({5, 0}));
        }) == "linear: x must be (..., D) and weight (O, D) with O, D >= 1: x is [2, 0], weight is [5, 0]");
  CHECK(thrown([&] {
          linear(zeros({2, 3}), zeros({0, 3}));
        }) == "linear: x must be (..., D) and weight (O, D) with O, D >= 1: x is [2, 3], weight is [0, 3]");
  CHECK(thrown([&] {
          linear(zeros({2, 3}), zeros({5, 3}), zeros({3}));
        }) == "linear: weight must be (O, D) and bias (O): weight is [5, 3], bias is [3]");
  CHECK(thrown([&] {
          blockwise_linear(zeros({2, 5}), zeros({2, 3, 3}));
        }) == "blockwise_linear: x must be (..., n b) and weight (n, b, b): x is [2, 5], weight is [2, 3, 3]");
  CHECK(thrown([&] {
          linear_maps(zeros({2, 5}), {zeros({2, 3, 3})}, zeros({1, 5}));
        }) == "linear_maps: x must be (..., n b) and weight (n, b, b): x is [2, 5], weight is [2, 3, 3]");
  CHECK(thrown([&] {
          linear_maps(zeros({2, 6}), {zeros({2, 3, 3})}, zeros({1, 5}));
        }) ==
        "linear_maps: x must be (..., D) and the dense weight (O, D) with O, D >= 1: x is [2, 6], weight is [1, 5]");
}
