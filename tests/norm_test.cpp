#include "ops/norm.h"

#include "ops/elementwise.h"
#include "tests/chunks.h"
#include "tests/twin.h"

using namespace orthoread;

namespace {

const Tensor<double> kX = constant({2, 4}, {1, 2, 4, -1, 0.5, 0, -3, 2}), kWeight = constant({4}, {1, 0.5, 2, -1});

}  // namespace

TEST_CASE("norm: values as in PyTorch") {
  // x = torch.tensor([[1, 2, 4, -1], [0.5, 0, -3, 2]], dtype=torch.float64)
  // w = torch.tensor([1, 0.5, 2, -1], dtype=torch.float64); F.group_norm(x, 2, w); F.layer_norm(x, (4,), w)
  CHECK(relative_error(group_norm(kX, kWeight, 2).value(),
                       Array<double>({2, 4}, {-0.9999800005999799, 0.49999000029998997, 1.99999840000192,
                                              0.99999920000096, 0.9999200095987203, -0.49996000479936015,
                                              -1.99999840000192, -0.99999920000096})) <= 1e-15);
  CHECK(relative_error(layer_norm(kX, kWeight).value(),
                       Array<double>({2, 4}, {-0.2773496714211404, 0.13867483571057038, 2.773496714211406,
                                              1.3867483571057027, 0.34421367338093745, 0.03442136733809374,
                                              -3.166765795104624, -1.1703264894951872})) <= 1e-15);
}

TEST_CASE("norm: invariant under shift and scaling") {
  const Tensor<double> ones = constant({3}, {1, 1, 1});
  CHECK(values(layer_norm(constant({3}, {5, 5, 5}), ones).value()) == Numbers{0, 0, 0});
  const auto small = layer_norm(constant({3}, {0, 1e-3, 2e-3}), ones).value();
  CHECK(small.data()[2] == doctest::Approx(1e-3 / std::sqrt(2e-6 / 3 + 1e-5)).epsilon(1e-14));
  CHECK(layer_norm(constant({3}, {0, 1, 2}), ones, 0.5).value().data()[2] ==
        doctest::Approx(1 / std::sqrt(2.0 / 3 + 0.5)).epsilon(1e-14));
  CHECK(group_norm(constant({4}, {7, 0, 1, 2}), constant({4}, {1, 1, 1, 1}), 2, 0.5).value().data()[3] ==
        doctest::Approx(0.5 / std::sqrt(0.25 + 0.5)).epsilon(1e-14));
  // In float32 a small variance must not be lost beside a large mean: it is mean((x - mean)^2), not E x^2 - (E x)^2.
  const Array<float> y = layer_norm<float>(Array<float>({2}, {4096, 4098}), Array<float>({2}, {1, 1})).value();
  CHECK(y.data()[1] == doctest::Approx(1).epsilon(1e-5));
}

TEST_CASE("norm: gradients") {
  check_gradient("layer_norm", {{2, 3, 5}, {5}}, [](const auto& x) { return layer_norm(x[0], x[1]); });
  check_gradient("layer_norm of one vector", {{4}, {4}}, [](const auto& x) { return layer_norm(x[0], x[1]); });
  check_gradient("group_norm", {{3, 6}, {6}}, [](const auto& x) { return group_norm(x[0], x[1], 2); });
  check_gradient("group_norm, large eps", {{3, 6}, {6}}, [](const auto& x) { return group_norm(x[0], x[1], 3, 0.5); });
  check_gradient("group_norm, many rows", {{600, 4}, {4}}, [](const auto& x) { return group_norm(x[0], x[1], 1); });
  check_gradient("layer_norm, many rows", {{600, 3}, {3}}, [](const auto& x) { return layer_norm(x[0], x[1]); });
  check_gradient("group_norm, no rows", {{0, 4}, {4}}, [](const auto& x) { return group_norm(x[0], x[1], 2); });
}

TEST_CASE("norm: gated_norm equals the separate ops") {
  const auto fused = [](const auto& x) { return gated_norm(x[0], x[1], 3, x[2], x[3], x[4], 0.5); };
  const auto composed = [](const auto& x) { return (group_norm(x[0], x[1], 3, 0.5) + x[2] * x[3]) * silu(x[4]); };
  for (const Shape& shape :
       {Shape{2, 5, 6}, {700, 57}, {1, 48}, {0, 6}}) {  // full and partial vector registers, several chunks
    std::vector<Array<double>> inputs;
    for (uint64_t i = 0; i < 5; ++i) {
      inputs.push_back(uniform_array(i == 1 || i == 2 ? Shape{shape.back()} : shape, 1 + i));
    }
    check_twins("gated_norm", inputs, fused, composed);
  }
  check_gradient("gated_norm", {{4, 6}, {6}, {6}, {4, 6}, {4, 6}},
                 [](const auto& x) { return gated_norm(x[0], x[1], 3, x[2], x[3], x[4]); });
  CHECK(thrown([] {
          gated_norm<double>(Array<double>({2, 6}), Array<double>({6}), 3, Array<double>({6}), Array<double>({2, 6}),
                             Array<double>({2, 5}));
        }) ==
        "gated_norm: x, c and z must have one shape, weight and skip another: x is [2, 6], c is [2, 6], z is [2, 5], "
        "weight is [6], skip is [6]");
}

TEST_CASE("norm: the gradients of weight and skip are sums over chunks of rows, added in order") {
  constexpr int64_t chunk = 256, rows = 2 * chunk + 40;
  check_sums_of_chunks("gated_norm", {{rows, 12}, {rows, 12}, {rows, 12}}, {{12}, {12}}, chunk,
                       [](const auto& x, const auto& w) { return gated_norm(x[0], w[0], 3, w[1], x[1], x[2]); });
}

TEST_CASE("norm: NaN affects only its group") {
  const Array<double> y = group_norm(constant({1, 4}, {kNaN, 1, 2, 3}), constant({4}, {1, 1, 1, 1}), 2).value();
  CHECK(std::isnan(y.data()[0]));
  CHECK(std::isnan(y.data()[1]));
  CHECK(std::isfinite(y.data()[2]));
  CHECK(std::isfinite(y.data()[3]));
}

TEST_CASE("norm: errors") {
  const auto message = [](const char* op, const char* x, const char* weight, int groups) {
    return fmt::format(
        "{}: x must be (..., D) and weight (D), D a multiple of the groups: x is {}, weight is {}, "
        "{} groups",
        op, x, weight, groups);
  };
  CHECK(thrown([] { group_norm(kX, kWeight, 3); }) == message("group_norm", "[2, 4]", "[4]", 3));
  CHECK(thrown([] { group_norm(kX, kWeight, 0); }) == message("group_norm", "[2, 4]", "[4]", 0));
  CHECK(thrown([] { layer_norm(kX, constant({3}, {1, 1, 1})); }) == message("layer_norm", "[2, 4]", "[3]", 1));
}

TEST_CASE("norm: each part of 512 rows has its own sum for the weight's gradient") {
  // Float sums each part exactly, but 2^24 + 1 is rounded to 2^24: a single sum over all rows would stay there.
  const int64_t rows = 1024;
  Array<float> x({rows, 2}), dy({rows, 2});
  for (int64_t i = 0; i < rows; ++i) {
    x.edit()[2 * i] = -1000;  // normalised: -1
    x.edit()[2 * i + 1] = 1000;
    dy.edit()[2 * i + 1] = i == 0 ? 0x1p24f : i < rows / 2 ? 0.0f : 1.0f;
  }
  const Tensor<float> weight = Tensor<float>::leaf(Array<float>::filled({2}, 1));
  backward(group_norm<float>(x, weight, 1), dy);
  CHECK_MESSAGE(weight.grad().data()[1] == 0x1p24f + 512, fmt::format("group_norm: {}", weight.grad().data()[1]));
}
