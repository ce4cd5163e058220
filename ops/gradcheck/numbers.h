// Small things on arrays of numbers that checks and tests need.
#pragma once

#include "core/array.h"
#include "core/random.h"

#include <cstring>
#include <limits>

namespace orthoread {

/// The numbers in row-major order.
template <class T>
std::vector<T> values(const Array<T>& x) {
  return {x.data(), x.data() + x.size()};
}

/// The same numbers as another type; as Dual they are constants.
template <Real To, Real From>
Array<To> cast(const Array<From>& x) {
  auto y = Array<To>::uninitialized(x.shape());
  To* to = y.edit();
  for (int64_t i = 0; i < x.size(); ++i) to[i] = number<To>(value_of(x.data()[i]));
  return y;
}

/// Numbers uniform on [low, high) that float represents exactly.
inline Array<double> uniform_array(const Shape& shape, uint64_t seed, double low = -2, double high = 2) {
  RandomStream random(seed);
  Array<double> x(shape);
  double* to = x.edit();
  for (int64_t i = 0; i < x.size(); ++i) {
    to[i] = static_cast<double>(static_cast<float>(low + (high - low) * random.uniform()));
  }
  return x;
}

/// The largest absolute value; NaN if one of the numbers is.
template <Real T>
double largest(const Array<T>& x) {
  double most = 0;
  for (int64_t i = 0; i < x.size(); ++i) {
    const double size = std::abs(value_of(x.data()[i]));
    most = size <= most ? most : size;
  }
  return most;
}

/// The largest difference, relative to the largest of the expected numbers, or to `unit` if that is larger. Infinite if
/// shapes differ or if one has a NaN where the other has not.
template <Real T>
double relative_error(const Array<T>& actual, const Array<double>& expected, double unit = 0) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  double most = unit, worst = 0;
  if (actual.shape() != expected.shape()) return kInfinite;
  for (int64_t i = 0; i < expected.size(); ++i) {
    const double a = value_of(actual.data()[i]), e = expected.data()[i];
    if (a == e || (std::isnan(a) && std::isnan(e))) {
      most = std::max(most, std::isfinite(e) ? std::abs(e) : 0);
      continue;
    }
    if (!(std::isfinite(a) && std::isfinite(e))) return kInfinite;
    most = std::max(most, std::abs(e));
    worst = std::max(worst, std::abs(a - e));
  }
  return worst == 0 ? 0 : worst / most;
}

/// Equal shapes, and equal numbers to the last bit.
template <class T>
bool same_bits(const Array<T>& a, const Array<T>& b) {
  return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), static_cast<size_t>(a.size()) * sizeof(T)) == 0;
}

}  // namespace orthoread
