#include "ops/embedding.h"

#include "tests/gradient_check.h"
#include "tests/support.h"

using namespace orthoread;

TEST_CASE("embedding: rows of the table") {
  const Tensor<double> table = constant({3, 2}, {0, 1, 10, 11, 20, 21});
  const Tensor<double> y = embedding(table, Array<int64_t>({2, 2}, {2, 0, 1, 2}));
  CHECK(y.shape() == Shape{2, 2, 2});
  CHECK(values(y.value()) == Numbers{20, 21, 0, 1, 10, 11, 20, 21});
  CHECK(embedding(table, Array<int64_t>({}, {1})).shape() == Shape{2});
  CHECK(embedding(table, Array<int64_t>({0})).shape() == Shape{0, 2});
}

TEST_CASE("embedding: gradients, with a repeated token and an unused row") {
  check_gradient("embedding", {{4, 3}}, [](const auto& x) {
    return embedding(x[0], Array<int64_t>({2, 3}, {2, 0, 2, 3, 2, 0}));
  });
}

TEST_CASE("embedding: more tokens and columns than one thread takes") {
  constexpr int64_t kTokens = 1100, kWidth = 40, kVocab = 7;
  const auto table = Tensor<double>::leaf(uniform_array({kVocab, kWidth}, 1));
  const Array<double> dy = uniform_array({kTokens, kWidth}, 2);
  Array<int64_t> tokens({kTokens});
  Numbers rows, sums(kVocab * kWidth);
  for (int64_t i = 0; i < kTokens; ++i) {
    tokens.edit()[i] = i * i % kVocab;
    for (int64_t j = 0; j < kWidth; ++j) {
      const int64_t at = i * i % kVocab * kWidth + j;
      rows.push_back(table.value().data()[at]);
      sums[static_cast<size_t>(at)] += dy.data()[i * kWidth + j];
    }
  }
  const Tensor<double> y = embedding(table, tokens);
  CHECK(values(y.value()) == rows);
  backward(y, dy);
  CHECK(values(table.grad()) == sums);  // added in the tokens' order
}

TEST_CASE("embedding: errors") {
  const Tensor<double> table = constant({3, 2}, Numbers(6));
  CHECK(thrown([&] {
          embedding(table, Array<int64_t>({2}, {0, 3}));
        }) == "embedding: tokens go from 0 to 2; number 1 is 3");
  CHECK(thrown([&] {
          embedding(table, Array<int64_t>({2}, {-1, 0}));
        }) == "embedding: tokens go from 0 to 2; number 0 is -1");
  CHECK(thrown([] { embedding(constant({3}, Numbers(3)), Array<int64_t>({1}, {0})); }) ==
        "embedding: weight must be (V, D), it is [3]");
}
