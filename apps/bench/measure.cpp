#include "apps/bench/measure.h"

#include "core/parallel.h"
#include "core/random.h"
#include "ops/gemm.h"
#include "ops/simd/instruction_set.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <set>

namespace orthoread {

double Timing::median() const {
  std::vector<double> sorted = seconds_;
  std::sort(sorted.begin(), sorted.end());
  return (sorted[(sorted.size() - 1) / 2] + sorted[sorted.size() / 2]) / 2;
}

double Timing::minimum() const { return *std::min_element(seconds_.begin(), seconds_.end()); }

double seconds_of(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <Real T>
Timing time_gemm(int64_t size, int64_t repeats) {
  RandomStream random(1);
  Array<T> x({size, size});
  std::generate_n(x.edit(), x.size(), [&] { return static_cast<T>(random.normal()); });
  const MatrixView<T> view = {x.data(), size};
  // Enough products to make the start and end of the threads negligible.
  const int64_t products = std::max<int64_t>(1, 400'000'000 / (2 * size * size * size));
  const auto run = [&] {
    parallel_for(threads(), 1, [&](int64_t, int64_t) {
      auto y = Array<T>::uninitialized({size, size});
      for (int64_t i = 0; i < products; ++i) gemm<T>(size, size, size, 1, view, view, 0, y.edit(), size);
    });
  };
  run();
  Timing timing;
  for (int64_t i = 0; i < repeats; ++i) timing.add(seconds_of(run) / static_cast<double>(products));
  return timing;
}

double gemm_rate(int64_t size, double seconds) {
  const auto n = static_cast<double>(size);
  return 2 * n * n * n * threads() / seconds;
}

std::string slow_blas() {
  static const std::set<std::string> with_avx512 = {"SkylakeX", "Cooperlake", "SapphireRapids"};
  static const std::set<std::string> with_avx2 = {"Haswell", "Zen", "Excavator"};
  const std::string core = blas_core();
  const auto leaves = [&](const char* set) {
    const char* chosen = std::getenv("OPENBLAS_CORETYPE");
    return fmt::format("OpenBLAS runs its core {}, which leaves this processor's {} unused{}", core, set,
                       chosen != nullptr ? ": unset OPENBLAS_CORETYPE" : "");
  };
  if (!with_avx512.contains(core)) {
    if (supported(InstructionSet::avx512)) return leaves("AVX-512");
    if (supported(InstructionSet::avx2) && !with_avx2.contains(core)) return leaves("AVX2");
  }
  if (std::getenv("OPENBLAS_L2_SIZE") != nullptr)
    return "OpenBLAS takes the size of the cache from OPENBLAS_L2_SIZE: unset it";
  return "";
}

double peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;  // Linux counts KiB
}

template Timing time_gemm<float>(int64_t, int64_t);
template Timing time_gemm<double>(int64_t, int64_t);

}  // namespace orthoread
