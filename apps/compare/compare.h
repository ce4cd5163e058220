// Shared by the C++ programs of the comparison.
#pragma once

#include "core/tensor.h"

#include <fmt/format.h>

#include <chrono>

namespace orthoread {

/// The same numbers in every language: 0.5 sin(1.7 i + phase).
inline Array<double> numbers(const Shape& shape, double phase) {
  Array<double> x(shape);
  for (int64_t i = 0; i < x.size(); ++i) x.edit()[i] = 0.5 * std::sin(1.7 * static_cast<double>(i) + phase);
  return x;
}

/// Runs 20 steps, prints the last loss and the shortest time.
template <class Step>
void run_steps(Step step) {
  double loss = 0;
  std::vector<double> times;
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    loss = step();
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  fmt::print("loss {:.12f}\n{:.3f} ms, the fastest step\n", loss, *std::min_element(times.begin(), times.end()));
}

}  // namespace orthoread
