// What the kernels of one instruction set are given, and the table through which they are called.
#pragma once

#include "ops/mlstm_lane.h"
#include "ops/simd/kernels.h"

#include <cstdint>

namespace orthoread {

/// A Chebyshev series of the read in the kernel's own precision, see ops/read_series.h.
template <Real T>
struct LaneSeries {
  T beta;
  int terms;
  const T* coefficients;
  const T* tails;  // tails[j] = 2 (c_j + c_{j+2} + c_{j+4} + ...), one for each term, and 0
};

/// More terms no series has, which tests/mlstm_lane_test.cpp checks: ten steps take 330 in double.
inline constexpr int kMostSeriesTerms = 352;

/// A MemoryRead, looked up.
template <Real T>
struct LanePlan {
  bool orthogonalized;
  bool gram;  // more than a normalisation: the read needs C^T C
  int steps;
  T alpha;
  double precision;  // half of T's epsilon
  int rungs;
  double rungs_per_log;         // of beta
  const LaneSeries<T>* ladder;  // from beta = 1 downwards in equal ratios
};

template <Real T>
struct LaneKernels {
  int64_t (*checkpoint_size)(bool orthogonalized, int64_t width, int64_t tokens);
  int64_t (*forward_scratch_size)(int64_t width, int terms);
  int64_t (*backward_scratch_size)(int64_t width, int terms);
  int64_t (*state_size)(int64_t width);
  void (*forward)(const LanePlan<T>&, const LaneShape&, const LaneInputs<T>&, T* h, T* checkpoints, T* scratch);
  void (*backward)(const LanePlan<T>&, const LaneShape&, const LaneInputs<T>&, const T* dh, const T* checkpoints,
                   const LaneGradients<T>&, T* scratch);
  int64_t (*series_terms)(const LanePlan<T>&, const LaneShape&, const T* checkpoints);
  void (*stream)(const LanePlan<T>&, const LaneShape&, const LaneInputs<T>&, T* h, T* state, int64_t position,
                 T* scratch);
};

/// Those of the instruction set in use.
template <Real T>
const LaneKernels<T>& lane_kernels() {
  return kernels<LaneKernels, T>();
}

}  // namespace orthoread
