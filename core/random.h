// Seeded random numbers, the same bits on every machine: only integer arithmetic and the operations that IEEE 754
// rounds exactly, because log and cos differ from one C library to the next.
#pragma once

#include <cmath>
#include <cstdint>

namespace orthoread {

/// SplitMix64 (Steele, Lea and Flood, 2014).
class RandomStream {
 public:
  explicit RandomStream(uint64_t seed) : state_(seed) {}  // equal seeds, equal numbers

  uint64_t bits() {  // 64 of them
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  /// Uniform on [0, 1), a multiple of 2^-53.
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }

  /// Normal with mean 0 and variance 1: Marsaglia's polar method. For (x, y) uniform in the unit disc and
  /// s = x^2 + y^2, x sqrt(-2 ln(s) / s) is normal.
  double normal() {
    for (;;) {
      const double x = 2 * uniform() - 1, y = 2 * uniform() - 1, s = x * x + y * y;
      if (s > 0 && s < 1) return x * std::sqrt(-2 * log_series(s) / s);
    }
  }

 private:
  /// ln x from + - * / alone: x = m 2^e with m in [1/2, 1), ln m = 2 atanh(r) = 2 (r + r^3/3 + r^5/5 + …) with
  /// r = (m - 1) / (m + 1) in [-1/3, 0): 17 terms reach 1e-17.
  static double log_series(double x) {
    int exponent;
    const double m = std::frexp(x, &exponent);
    const double r = (m - 1) / (m + 1), r2 = r * r;
    double sum = 0;
    for (int power = 33; power >= 1; power -= 2) sum = sum * r2 + 1.0 / power;
    return exponent * 0.693147180559945309417 + 2 * r * sum;  // ln 2 = 0.693…
  }

  uint64_t state_;
};

}  // namespace orthoread
