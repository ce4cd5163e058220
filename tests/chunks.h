// Gradients that are sums over rows. Threads share the rows, and no two threads may add to the same sum.
#pragma once

#include "ops/layout.h"
#include "ops/reduce.h"
#include "tests/support.h"

#include <algorithm>
#include <string>

namespace orthoread {

/// y = f(inputs, weights), where a row of y depends only on the same row of each input. The gradients of the weights
/// must equal, to the bit, the gradients of each `chunk` of rows, added in order.
template <class F>
void check_sums_of_chunks(const std::string& name, const std::vector<Shape>& inputs, const std::vector<Shape>& weights,
                          int64_t chunk, F f) {
  CAPTURE(name);
  uint64_t seed = 0;
  const auto draw = [&](const Shape& shape) { return cast<float>(uniform_array(shape, ++seed)); };
  std::vector<Array<float>> xs, ws;
  std::transform(inputs.begin(), inputs.end(), std::back_inserter(xs), draw);
  std::transform(weights.begin(), weights.end(), std::back_inserter(ws), draw);
  const int64_t rows = inputs[0][0];
  Array<float> dy;

  const auto gradients = [&](int64_t begin, int64_t end) {
    const auto rows_of = [&](const Array<float>& x) { return slice<float>(x, 0, begin, end).value(); };
    std::vector<Tensor<float>> constants, leaves;
    for (const Array<float>& x : xs) constants.emplace_back(rows_of(x));
    for (const Array<float>& w : ws) leaves.push_back(Tensor<float>::leaf(w));
    const Tensor<float> y = f(constants, leaves);
    if (!dy.defined()) dy = draw(y.shape());
    backward(y, rows_of(dy));
    std::vector<Array<float>> grads;
    for (const Tensor<float>& leaf : leaves) grads.push_back(leaf.grad());
    return grads;
  };
  const std::vector<Array<float>> whole = gradients(0, rows);
  std::vector<std::vector<Array<float>>> parts(ws.size());
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    const std::vector<Array<float>> part = gradients(begin, std::min(begin + chunk, rows));
    for (size_t i = 0; i < ws.size(); ++i) parts[i].push_back(part[i].reshaped({1, part[i].size()}));
  }
  for (size_t i = 0; i < ws.size(); ++i) {
    CAPTURE(i);
    CHECK(same_bits(whole[i], sum(concat(parts[i], 0), {0}).reshaped(whole[i].shape())));
  }
}

}  // namespace orthoread
