#include "ops/gemm.h"

#include "core/parallel.h"
#include "ops/layout.h"
#include "tests/gradient_check.h"
#include "tests/support.h"

using namespace orthoread;

namespace {

/// op(a) op(b) of two matrices, by definition.
Array<double> naive(const Array<double>& a, const Array<double>& b, bool transpose_a, bool transpose_b) {
  const int64_t m = a.dim(transpose_a ? 1 : 0), k = a.dim(transpose_a ? 0 : 1), n = b.dim(transpose_b ? 0 : 1);
  Array<double> y({m, n});
  double* to = y.edit();
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t l = 0; l < k; ++l) {
        to[i * n + j] += a.data()[transpose_a ? l * m + i : i * k + l] * b.data()[transpose_b ? j * k + l : l * n + j];
      }
    }
  }
  return y;
}

}  // namespace

TEST_CASE("gemm: all four transpositions by a naive loop, in float, double and Dual") {
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{3, 4, 5}, {1, 7, 1}, {200, 33, 70}}) {
    for (int flags = 0; flags < 4; ++flags) {
      const bool ta = (flags & 1) != 0, tb = (flags & 2) != 0;
      const Array<double> a = uniform_array(ta ? Shape{k, m} : Shape{m, k}, 1);
      const Array<double> b = uniform_array(tb ? Shape{n, k} : Shape{k, n}, 2);
      const Array<double> expected = naive(a, b, ta, tb);
      CHECK(relative_error(matmul(a, b, ta, tb), expected) <= 1e-14);
      CHECK(relative_error(matmul(cast<Dual>(a), cast<Dual>(b), ta, tb), expected) <= 1e-14);
      CHECK(relative_error(matmul(cast<float>(a), cast<float>(b), ta, tb), expected) <= 1e-6);
    }
  }
}

TEST_CASE("gemm: alpha, beta and strides, Dual slopes included") {
  // A 2 x 2 corner of wider matrices: c = alpha a b + beta c. With beta = 0 the old c must not matter.
  const std::vector<Dual> a = {{1, 1}, 2, -9, 3, {4, -1}, -9}, b = {5, 6, -9, 7, {8, 2}, -9};
  std::vector<Dual> c = {{1, 3}, 1, -9, 1, 1, -9};
  gemm<Dual>(2, 2, 2, Dual(2), {a.data(), 3}, {b.data(), 3}, Dual(10), c.data(), 3);
  const Numbers value = {48, 54, -9, 96, 110, -9}, slope = {40, 20, 0, -14, 0, 0};
  for (size_t i = 0; i < c.size(); ++i) {
    CHECK(c[i].value == value[i]);
    CHECK(c[i].slope == slope[i]);
  }
  std::vector<double> x = {2}, y = {3}, z = {kNaN};
  gemm<double>(1, 1, 1, 1, {x.data(), 1}, {y.data(), 1}, 0, z.data(), 1);
  CHECK(z[0] == 6);
  std::vector<Dual> bad = {kNaN};
  gemm<Dual>(1, 1, 1, Dual(1), {a.data(), 1}, {b.data(), 1}, Dual(0), bad.data(), 1);
  CHECK(bad[0].value == 5);
}

TEST_CASE("gemm: batches, with broadcasting, against single products") {
  const Array<double> a = uniform_array({2, 1, 3, 4}, 1), b = uniform_array({5, 4, 2}, 2);
  const Array<double> y = matmul(a, b);
  REQUIRE(y.shape() == Shape{2, 5, 3, 2});
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 5; ++j) {
      const Array<double> ai({3, 4}, Numbers(a.data() + i * 12, a.data() + (i + 1) * 12));
      const Array<double> bj({4, 2}, Numbers(b.data() + j * 8, b.data() + (j + 1) * 8));
      const double* part = y.data() + (i * 5 + j) * 6;
      CHECK(relative_error(Array<double>({3, 2}, Numbers(part, part + 6)), naive(ai, bj, false, false)) <= 1e-15);
    }
  }
}

TEST_CASE("gemm: empty products") {
  CHECK(matmul(Array<double>({0, 3}), Array<double>({3, 2})).shape() == Shape{0, 2});
  CHECK(values(matmul(Array<double>({2, 0}), Array<double>({0, 2}))) == Numbers{0, 0, 0, 0});
  CHECK(matmul(Array<double>({0, 2, 3}), Array<double>({3, 2})).shape() == Shape{0, 2, 2});
  check_gradient("matmul, inner size 0", {{2, 0}, {0, 3}}, [](const auto& x) { return matmul(x[0], x[1]); });
  check_gradient("matmul, empty batch", {{0, 2, 3}, {3, 2}}, [](const auto& x) { return matmul(x[0], x[1]); });
}

TEST_CASE("gemm: gradients") {
  check_gradient("matmul", {{3, 4}, {4, 2}}, [](const auto& x) { return matmul(x[0], x[1]); });
  check_gradient("matmul, a^T", {{4, 3}, {4, 2}}, [](const auto& x) { return matmul(x[0], x[1], true, false); });
  check_gradient("matmul, b^T", {{3, 4}, {2, 4}}, [](const auto& x) { return matmul(x[0], x[1], false, true); });
  check_gradient("matmul, both^T", {{4, 3}, {2, 4}}, [](const auto& x) { return matmul(x[0], x[1], true, true); });
  for (int flags = 0; flags < 4; ++flags) {  // square, so that one tensor can be both factors
    check_gradient(fmt::format("matmul, square, {}", flags), {{2, 3, 3}, {2, 3, 3}},
                   [flags](const auto& x) { return matmul(x[0], x[1], (flags & 1) != 0, (flags & 2) != 0); });
    check_gradient(fmt::format("matmul, broadcast batch, {}", flags), {{2, 1, 3, 3}, {3, 3, 3}},
                   [flags](const auto& x) { return matmul(x[0], x[1], (flags & 1) != 0, (flags & 2) != 0); });
  }
  check_gradient("matmul, one matrix for a batch", {{3, 2}, {4, 2, 3}},
                 [](const auto& x) { return matmul(x[0], x[1]); });
}

TEST_CASE("gemm: the same bits for any number of threads") {
  const Array<double> a = uniform_array({700, 90}, 1), b = uniform_array({90, 300}, 2);
  const Array<double> as = uniform_array({40, 60, 90}, 3);
  const int before = threads();
  set_threads(1);
  const Array<double> y = matmul(a, b), ys = matmul(as, b);
  for (const int n : {2, 3}) {
    set_threads(n);
    CHECK(same_bits(matmul(a, b), y));
    CHECK(same_bits(matmul(as, b), ys));
  }
  set_threads(before);
}

TEST_CASE("gemm: NaN propagates") {
  const Array<double> bad({1, 2}, {kNaN, 0}), b({2, 1}, {0, 0});
  CHECK(std::isnan(matmul(bad, b).item()));
}

TEST_CASE("gemm: errors") {
  const auto zeros = [](const Shape& shape) { return Array<double>(shape); };
  CHECK(thrown([&] {
          matmul(zeros({4, 3}), zeros({4, 5}));
        }) == "matmul: inner sizes differ, 3 and 4: a is [4, 3], b is [4, 5]");
  CHECK(thrown([&] {
          matmul(zeros({4, 3}), zeros({4, 5}), true, true);
        }) ==
        "matmul: inner sizes differ, 4 and 5: a is [4, 3] transposed, b is [4, 5] transposed; b the other way round "
        "would fit");
  CHECK(thrown([&] {
          matmul(zeros({3}), zeros({3, 5}));
        }) == "matmul: both need at least two axes: a is [3], b is [3, 5]");
  CHECK(thrown([&] {
          matmul(zeros({2, 4, 3}), zeros({3, 3, 5}));
        }) == "matmul: sizes must be equal or 1 to broadcast: a is [2], b is [3]");
}
