// Timing for `orthoread bench`: repeated runs after a warm-up, compared with the rate of matrix products.
#pragma once

#include "core/real.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace orthoread {

/// The seconds of repeated runs.
class Timing {
 public:
  void add(double seconds) { seconds_.push_back(seconds); }
  double median() const;
  double minimum() const;

 private:
  std::vector<double> seconds_;
};

double seconds_of(const std::function<void()>& run);

/// Times one product of two size x size matrices, each thread with its own.
template <Real T>
Timing time_gemm(int64_t size, int64_t repeats);

/// Floating-point operations per second of all threads together, for products that take `seconds` each.
double gemm_rate(int64_t size, double seconds);

/// Why OpenBLAS is slower than it could be on this processor, so that rates relative to it mean little: it runs kernels
/// without the processor's AVX2 or AVX-512, or a size of the cache is given to it. Empty if neither holds.
std::string slow_blas();

/// The peak memory of this process, in MiB.
double peak_memory();

}  // namespace orthoread
