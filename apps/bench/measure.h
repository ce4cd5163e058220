// How `orthoread bench` measures: repeated runs after a warm-up, next to the rate of matrix products here.
#pragma once

#include "core/real.h"

#include <cstdint>
#include <functional>
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

/// One product of two size x size matrices, every thread at its own.
template <Real T>
Timing time_gemm(int64_t size, int64_t repeats);

/// Floating-point operations a second of all threads together at products that take `seconds` each.
double gemm_rate(int64_t size, double seconds);

/// The most memory this process has held so far, in MiB.
double peak_memory();

}  // namespace orthoread
