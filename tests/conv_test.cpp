#include "ops/conv.h"

#include "ops/elementwise.h"
#include "tests/chunks.h"
#include "tests/twin.h"

using namespace orthoread;

TEST_CASE("conv: values as in PyTorch") {
  // x = torch.arange(1., 11).reshape(1, 5, 2); w = torch.tensor([[[1., 2, 3]], [[-1, 0.5, 2]]])
  // F.conv1d(F.pad(x.transpose(1, 2), (2, 0)), w, torch.tensor([0.5, -0.5]), groups=2).transpose(1, 2)
  const Tensor<double> x = constant({1, 5, 2}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  const Tensor<double> w = constant({2, 1, 3}, {1, 2, 3, -1, 0.5, 2}), bias = constant({2}, {0.5, -0.5});
  CHECK(values(causal_conv(x, w, bias).value()) == Numbers{3.5, 3.5, 11.5, 8.5, 22.5, 11.5, 34.5, 14.5, 46.5, 17.5});
}

TEST_CASE("conv: outputs do not depend on later tokens or other sequences") {
  const Array<double> x = uniform_array({2, 6, 3}, 1), w = uniform_array({3, 1, 4}, 2), bias = uniform_array({3}, 3);
  const Array<double> y = causal_conv<double>(x, w, bias).value();
  Array<double> changed = x;
  for (int64_t i = 9; i < 18; ++i) changed.edit()[i] += 1;  // tokens 3 … 5 of the first sequence
  const Array<double> z = causal_conv<double>(changed, w, bias).value();
  for (int64_t i = 0; i < 36; ++i) CHECK((y.data()[i] == z.data()[i]) == (i < 9 || i >= 18));
}

TEST_CASE("conv: gradients; also with fewer tokens than taps, one tap, many tokens, and no tokens") {
  const std::vector<std::vector<Input>> cases = {{{2, 6, 3}, {3, 1, 4}, {3}},
                                                 {{2, 2, 3}, {3, 1, 4}, {3}},
                                                 {{1, 3, 2}, {2, 1, 1}, {2}},
                                                 {{3, 70, 2}, {2, 1, 4}, {2}},
                                                 {{0, 3, 2}, {2, 1, 4}, {2}}};
  for (const auto& inputs : cases) {
    check_gradient("causal_conv", inputs, [](const auto& x) { return causal_conv(x[0], x[1], x[2]); });
  }
}

TEST_CASE("conv: conv and silu fused equal the two ops") {
  const auto fused = [](const auto& x) { return causal_conv_silu(x[0], x[1], x[2]); };
  const auto composed = [](const auto& x) { return silu(causal_conv(x[0], x[1], x[2])); };
  for (const Shape& shape : {Shape{2, 9, 5}, {3, 2, 16}, {1, 40, 192}, {0, 3, 2}}) {
    check_twins("causal_conv_silu",
                {uniform_array(shape, 1), uniform_array({shape[2], 1, 4}, 2), uniform_array({shape[2]}, 3)}, fused,
                composed);
  }
  check_gradient("causal_conv_silu", {{2, 5, 3}, {3, 1, 4}, {3}},
                 [](const auto& x) { return causal_conv_silu(x[0], x[1], x[2]); });
}

TEST_CASE("conv: silu in float agrees with std::exp, over the whole range of exp") {
  std::vector<float> u;
  for (float x = -88; x <= 88; x += 0.25f) u.push_back(x);
  const auto channels = static_cast<int64_t>(u.size());
  const Tensor<float> one = Array<float>::filled({channels, 1, 1}, 1), none = Array<float>({channels});
  const Array<float> y = causal_conv_silu(Tensor<float>(Array<float>({1, 1, channels}, u)), one, none).value();
  for (int64_t i = 0; i < channels; ++i) {
    const double x = value_of(u[static_cast<size_t>(i)]);
    CAPTURE(x);
    CHECK(std::abs(value_of(y.data()[i]) * (1 + std::exp(-x)) - x) <= 1e-6 * std::abs(x));
  }
}

TEST_CASE("conv: the gradients of weight and bias are those of each sequence, added in order") {
  check_sums_of_chunks("causal_conv", {{6, 9, 20}}, {{20, 1, 4}, {20}}, 1,
                       [](const auto& x, const auto& w) { return causal_conv(x[0], w[0], w[1]); });
  check_sums_of_chunks("causal_conv_silu", {{6, 9, 20}}, {{20, 1, 4}, {20}}, 1,
                       [](const auto& x, const auto& w) { return causal_conv_silu(x[0], w[0], w[1]); });
}

TEST_CASE("conv: errors") {
  const auto zeros = [](const Shape& shape) { return Tensor<double>(Array<double>(shape)); };
  const char* message =
      "causal_conv: x must be (B, S, C), weight (C, 1, K), bias (C): x is [2, 5, 3], weight is [4, 1, 4], bias is [3]";
  CHECK(thrown([&] { causal_conv(zeros({2, 5, 3}), zeros({4, 1, 4}), zeros({3})); }) == message);
  CHECK_THROWS_AS(causal_conv(zeros({5, 3}), zeros({3, 1, 4}), zeros({3})), ShapeError);
  CHECK_THROWS_AS(causal_conv(zeros({2, 5, 3}), zeros({3, 1, 0}), zeros({3})), ShapeError);
  CHECK_THROWS_AS(causal_conv(zeros({2, 5, 3}), zeros({3, 2, 4}), zeros({3})), ShapeError);
  CHECK_THROWS_AS(causal_conv(zeros({2, 5, 3}), zeros({3, 1, 4}), zeros({4})), ShapeError);
}
