#include "ops/norm_linear.h"

#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/rows/chunks.h"
#include "tests/chunks.h"
#include "tests/twin.h"

using namespace orthoread;

TEST_CASE("norm_linear: equal to the separate ops") {
  // Partial and full registers, several chunks of rows, no rows.
  for (const Shape& shape : {Shape{2, 5, 6}, {700, 57}, {1, 48}, {0, 6}}) {
    const int64_t width = shape.back();
    const Array<double> x = uniform_array(shape, 1), norm = uniform_array({width}, 2);
    const Array<double> weight = uniform_array({20, width}, 3), bias = uniform_array({20}, 4);
    check_twins(
        "norm_linear", {x, norm, weight, bias}, [](const auto& t) { return norm_linear(t[0], t[1], t[2], t[3], 0.5); },
        [](const auto& t) { return linear(layer_norm(t[0], t[1], 0.5), t[2], t[3]); });
    check_twins(
        "norm_linear_split", {x, norm, weight},
        []<Real T>(const std::vector<Tensor<T>>& t) {
          const auto parts = norm_linear_split(t[0], t[1], t[2], {17, 3}, 0.5);
          return concat<T>({parts[1], parts[0]}, -1);
        },
        []<Real T>(const std::vector<Tensor<T>>& t) {
          const auto parts = split(linear(layer_norm(t[0], t[1], 0.5), t[2]), -1, {17, 3});
          return concat<T>({parts[1], parts[0]}, -1);
        });
    Shape of_residual = shape;
    of_residual.back() = 20;
    check_twins(
        "gated_norm_linear",
        {x, norm, uniform_array({width}, 5), uniform_array(shape, 6), uniform_array(shape, 7), weight,
         uniform_array(of_residual, 8)},
        [](const auto& t) { return gated_norm_linear(t[0], t[1], 3, t[2], t[3], t[4], t[5], t[6], 0.5); },
        [](const auto& t) { return t[6] + linear(gated_norm(t[0], t[1], 3, t[2], t[3], t[4], 0.5), t[5]); });
  }
}

TEST_CASE("norm_linear: gradients") {
  check_gradient("norm_linear", {{3, 5}, {5}, {2, 5}, {2}},
                 [](const auto& x) { return norm_linear(x[0], x[1], x[2], x[3]); });
  check_gradient("norm_linear_split", {{3, 5}, {5}, {3, 5}}, [](const auto& x) {
    return concat(norm_linear_split(x[0], x[1], x[2], {1, 2}), -1);
  });
  check_gradient("norm_linear_split, one part not used", {{3, 5}, {5}, {3, 5}}, [](const auto& x) {
    return norm_linear_split(x[0], x[1], x[2], {1, 2})[1];
  });
  check_gradient("gated_norm_linear", {{4, 6}, {6}, {6}, {4, 6}, {4, 6}, {2, 6}, {4, 2}},
                 [](const auto& x) { return gated_norm_linear(x[0], x[1], 3, x[2], x[3], x[4], x[5], x[6]); });
  // Several chunks of rows; full and partial tiles of outputs and registers of features. Not compared with a twin,
  // which would use the same products.
  for (const Shape& shape : {Shape{600, 12}, {3, 21}}) {
    constexpr int64_t O = 19;
    const int64_t rows = shape[0], D = shape[1];
    const Input x({rows, D}), norm({D}), weight({O, D});
    check_gradient("norm_linear, larger", {x, norm, weight, {O}},
                   [](const auto& t) { return norm_linear(t[0], t[1], t[2], t[3]); });
    check_gradient("norm_linear_split, larger", {x, norm, {O + 2, D}}, [](const auto& t) {
      return concat(norm_linear_split(t[0], t[1], t[2], {O, 2}), -1);
    });
    check_gradient("gated_norm_linear, larger", {x, norm, norm, x, x, weight, {rows, O}},
                   [](const auto& t) { return gated_norm_linear(t[0], t[1], 3, t[2], t[3], t[4], t[5], t[6]); });
  }
}

TEST_CASE("norm_linear: the gradients of weights are sums over chunks of rows, added in order") {
  constexpr int64_t rows = 2 * kSummedRows + 40;
  const Shape x = {rows, 12};
  check_sums_of_chunks("norm_linear", {x}, {{12}, {5, 12}, {5}}, kSummedRows,
                       [](const auto& t, const auto& w) { return norm_linear(t[0], w[0], w[1], w[2]); });
  check_sums_of_chunks(
      "gated_norm_linear", {x, x, x, {rows, 5}}, {{12}, {12}, {5, 12}}, kSummedRows,
      [](const auto& t, const auto& w) { return gated_norm_linear(t[0], w[0], 3, w[1], t[1], t[2], w[2], t[3]); });
}

TEST_CASE("norm_linear: errors") {
  const auto zeros = [](const Shape& shape) { return Tensor<double>(Array<double>(shape)); };
  CHECK(thrown([&] {
          norm_linear(zeros({2, 4}), zeros({3}), zeros({5, 4}), zeros({5}));
        }) ==
        "norm_linear: x must be (..., D) and weight (D), D a multiple of the groups: x is [2, 4], weight is [3], 1 "
        "groups");
  CHECK(thrown([&] {
          norm_linear(zeros({2, 4}), zeros({4}), zeros({5, 3}), zeros({5}));
        }) == "norm_linear: x must be (..., D) and weight (O, D) with O, D >= 1: x is [2, 4], weight is [5, 3]");
  CHECK(thrown([&] {
          norm_linear(zeros({2, 4}), zeros({4}), zeros({5, 4}), zeros({4}));
        }) == "norm_linear: bias must be (O): weight is [5, 4], bias is [4]");
  CHECK(thrown([&] {
          norm_linear_split(zeros({2, 4}), zeros({4}), zeros({5, 4}), {2, 2});
        }) == "norm_linear_split: the sizes [2, 2] must be positive and add up to the rows of the weight [5, 4]");
  CHECK(thrown([&] {
          gated_norm_linear(zeros({2, 4}), zeros({4}), 2, zeros({4}), zeros({2, 4}), zeros({2, 4}), zeros({5, 4}),
                            zeros({2, 4}));
        }) == "gated_norm_linear: residual must be (..., O): weight is [5, 4], residual is [2, 4]");
}
