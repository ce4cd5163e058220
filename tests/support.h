// Helpers of most tests.
#pragma once

#include "core/tensor.h"
#include "ops/gradcheck/numbers.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <limits>
#include <string>

namespace orthoread {

using Numbers = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

/// The folder of the project.
inline const std::filesystem::path kRoot = ORTHOREAD_SOURCE_DIR;

/// The message of the exception that `call` throws.
template <class Call>
std::string thrown(Call call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "no error";
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// A constant, or a leaf, with these numbers.
inline Tensor<double> constant(Shape shape, const Numbers& numbers) { return Array<double>(std::move(shape), numbers); }
inline Tensor<double> leaf(Shape shape, const Numbers& numbers) {
  return Tensor<double>::leaf(Array<double>(std::move(shape), numbers));
}

}  // namespace orthoread
