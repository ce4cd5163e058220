#include "ops/softmax.h"

#include "ops/reduce.h"
#include "tests/gradient_check.h"
#include "tests/support.h"

using namespace orthoread;

namespace {

const Array<double> kLogits({4, 3}, {1, 2, 3, 0, -1, 4, 2, 2, 2, -1, 0.5, 0});
const Array<int64_t> kTargets({4}, {2, kIgnored, 0, 1});

}  // namespace

TEST_CASE("softmax: values and gradient as in PyTorch") {
  // l = torch.tensor([[1, 2, 3], [0, -1, 4], [2, 2, 2], [-1, 0.5, 0]], dtype=torch.float64, requires_grad=True)
  // loss = F.cross_entropy(l, torch.tensor([2, -100, 0, 1])); loss.backward(); loss, l.grad, F.log_softmax(l, -1)
  const auto logits = Tensor<double>::leaf(kLogits);
  const Tensor<double> loss = cross_entropy(logits, kTargets);
  CHECK(loss.shape().empty());
  CHECK(loss.value().item() == doctest::Approx(0.7034496194830728).epsilon(1e-15));
  backward(loss);
  CHECK(relative_error(logits.grad(),
                       Array<double>({4, 3}, {0.030010191056793478, 0.08157615701826587, -0.1115863480750594, 0, 0, 0,
                                              -0.2222222222222222, 0.1111111111111111, 0.1111111111111111,
                                              0.040650550769909616, -0.1511502042446068, 0.11049965347469716})) <=
        1e-14);
  CHECK(relative_error(log_softmax<double>(kLogits).value(),
                       Array<double>({4, 3}, {-2.4076059644443806, -1.4076059644443804, -0.4076059644443804,
                                              -4.024744890138822, -5.024744890138822, -0.02474489013882259,
                                              -1.0986122886681098, -1.0986122886681098, -1.0986122886681098,
                                              -2.1041306053367284, -0.6041306053367284, -1.1041306053367284})) <=
        1e-15);
}

TEST_CASE("softmax: with every target ignored the loss is NaN and the gradient 0") {
  const auto logits = Tensor<double>::leaf(kLogits);
  const Tensor<double> loss = cross_entropy(logits, Array<int64_t>::filled({4}, kIgnored));
  CHECK(std::isnan(loss.value().item()));
  backward(loss);
  CHECK(values(logits.grad()) == Numbers(12, 0));
  CHECK(std::isnan(accuracy(kLogits, Array<int64_t>::filled({4}, kIgnored))));
}

TEST_CASE("softmax: accuracy") {
  CHECK(accuracy(kLogits, kTargets) == 1);  // the first of equal largest ones counts
  CHECK(accuracy(kLogits, Array<int64_t>({4}, {1, 2, 1, 1})) == 0.5);
  CHECK(accuracy(kLogits.reshaped({2, 2, 3}), Array<int64_t>({2, 2}, {2, kIgnored, kIgnored, 0})) == 0.5);
}

TEST_CASE("softmax: large numbers neither overflow nor vanish") {
  const Array<double> y = log_softmax(constant({3}, {1e4, 0, -1e4})).value();
  CHECK(values(y) == Numbers{0, -1e4, -2e4});
  CHECK(values(log_softmax(constant({2}, {-1e300, -1e300})).value())[0] == doctest::Approx(-std::log(2.0)));
  CHECK(values(log_softmax(constant({2}, {0, -kInfinity})).value()) == Numbers{0, -kInfinity});
  CHECK(values(log_softmax<float>(Array<float>({2}, {1e4f, 0})).value()) == std::vector<float>{0, -1e4f});
  const auto logits = leaf({1, 2}, {-1e4, 1e4});
  const Tensor<double> loss = cross_entropy(logits, Array<int64_t>({1}, {0}));
  CHECK(loss.value().item() == 2e4);
  backward(loss);
  CHECK(values(logits.grad()) == Numbers{-1, 1});
}

TEST_CASE("softmax: the largest number is found at any position, also in float") {
  constexpr int64_t n = 80;  // full vector registers of any instruction set; n + 3 adds a partial one
  for (int64_t at = 0; at < n + 3; ++at) {
    Array<double> x = uniform_array({1, n + 3}, 1);
    x.edit()[at] = 150;  // exp(150) overflows in float
    Array<double> expected({1, n + 3});
    for (int64_t i = 0; i < n + 3; ++i) expected.edit()[i] = x.data()[i] - 150;
    CAPTURE(at);
    CHECK(relative_error(log_softmax<double>(x).value(), expected) <= 1e-15);
    CHECK(relative_error(log_softmax<float>(cast<float>(x)).value(), expected) <= 1e-7);
  }
}

TEST_CASE("softmax: probabilities in float down to the smallest normal number") {
  Array<double> x({1, 173});
  for (int64_t i = 0; i < x.size(); ++i) x.edit()[i] = -0.5 * static_cast<double>(i);
  const auto logits = Tensor<float>::leaf(cast<float>(x));
  backward(cross_entropy(logits, Array<int64_t>({1}, {0})));  // the probabilities, minus 1 at the target
  double total = 0;
  for (int64_t i = 0; i < x.size(); ++i) total += std::exp(x.data()[i]);
  for (int64_t i = 1; i < x.size(); ++i) {  // the spacing of floats at 87 is 8e-6
    CHECK(std::abs(value_of(logits.grad().data()[i]) * total / std::exp(x.data()[i]) - 1) <= 1e-5);
  }
}

TEST_CASE("softmax: NaN affects only its row") {
  for (int at = 0; at < 3; ++at) {
    Array<double> x = kLogits;
    x.edit()[3 + at] = kNaN;
    const Array<double> y = log_softmax<double>(x).value();
    for (int64_t i = 0; i < 12; ++i) CHECK(std::isnan(y.data()[i]) == (i / 3 == 1));
  }
  constexpr int64_t n = 35;  // full and partial registers of floats
  for (int64_t at = 0; at < n; ++at) {
    Array<float> x({3, n});
    x.edit()[n + at] = std::numeric_limits<float>::quiet_NaN();
    const Array<float> y = log_softmax<float>(x).value();
    CAPTURE(at);
    for (int64_t i = 0; i < 3 * n; ++i) CHECK(std::isnan(y.data()[i]) == (i / n == 1));
  }
}

TEST_CASE("softmax: gradients") {
  check_gradient("log_softmax", {{2, 3, 5}}, [](const auto& x) { return log_softmax(x[0]); });
  check_gradient("log_softmax, many rows", {{300, 4}}, [](const auto& x) { return log_softmax(x[0]); });
  check_gradient("log_softmax, empty", {{3, 0}}, [](const auto& x) { return log_softmax(x[0]); });
  check_gradient("cross_entropy", {{4, 3}}, [](const auto& x) { return cross_entropy(x[0], kTargets); });
  Array<int64_t> targets({300});
  for (int64_t i = 0; i < 300; ++i) targets.edit()[i] = i % 5 == 0 ? kIgnored : i % 21;
  check_gradient("cross_entropy, many rows", {{300, 21}}, [&](const auto& x) { return cross_entropy(x[0], targets); });
  check_gradient("cross_entropy of one row", {{5}},
                 [](const auto& x) { return cross_entropy(x[0], Array<int64_t>({}, {3})); });
}

TEST_CASE("softmax: errors") {
  const Tensor<double> logits = kLogits;
  CHECK(thrown([&] {
          cross_entropy(logits, Array<int64_t>({4}, {0, 1, 3, 0}));
        }) == "cross_entropy: targets go from 0 to 2, or are -100 to be ignored; number 2 is 3");
  CHECK(thrown([&] {
          cross_entropy(logits, Array<int64_t>({4}, {0, -1, 1, 0}));
        }) == "cross_entropy: targets go from 0 to 2, or are -100 to be ignored; number 1 is -1");
  CHECK(thrown([&] {
          accuracy(kLogits, Array<int64_t>({4}, {0, -99, 1, 0}));
        }) == "accuracy: targets go from 0 to 2, or are -100 to be ignored; number 1 is -99");
  CHECK(thrown([&] {
          cross_entropy(logits, Array<int64_t>({3}, {0, 1, 1}));
        }) == "cross_entropy: logits must be (..., V) and targets (...): logits is [4, 3], targets is [3]");
  CHECK(thrown([] {
          cross_entropy(constant({1, 2, 3}, Numbers(6)), Array<int64_t>({2, 1}));
        }) ==
        "cross_entropy: logits must be (..., V) and targets (...): logits is [1, 2, 3], targets is [2, 1]; batch "
        "and time are exchanged in one of them: permute brings axis 1 to the front");
  CHECK(thrown([] { log_softmax(constant({}, {1})); }) == "log_softmax: needs at least one axis, the shape is []");
}
