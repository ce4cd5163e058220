// The kernels of one head's memory, and what they are told about the read.
#pragma once

#include "ops/memory/head.h"
#include "ops/simd/kernels.h"

#include <cstdint>

namespace orthoread {

/// A Chebyshev series of the read, valid on [0, beta], in the kernel's own precision: see ops/memory/read_series.h.
template <Real T>
struct SeriesView {
  T beta;
  int terms;
  const T* coefficients;
  const T* tails;  // tails[j] = 2 (c_j + c_{j+2} + c_{j+4} + ...) for each term, and then a 0
};

/// No series has more terms, as tests/head_test.cpp checks: ten steps take 330 in double.
inline constexpr int kMostSeriesTerms = 352;

/// A MemoryRead and its series.
template <Real T>
struct ReadPlan {
  bool orthogonalized;
  bool gram;  // whether the read needs C^T C: after no step at all it is a normalisation alone
  int steps;
  T alpha;
  double precision;             // half of T's epsilon
  int intervals;                // how many there are: [0, 1], and shorter ones in equal ratios
  double intervals_per_log;     // of beta
  const SeriesView<T>* series;  // one for each interval
  int most_terms;               // of any of them
};

template <Real T>
struct StreamBuffers {
  T* h;
  Wide<T>* state;
  int64_t position;  // tokens before these
  T* scratch;
};

template <Real T>
struct HeadKernels {
  int64_t (*checkpoint_size)(const ReadPlan<T>&, const HeadShape&);
  int64_t (*forward_scratch_size)(const ReadPlan<T>&, const HeadShape&);
  int64_t (*backward_scratch_size)(const ReadPlan<T>&, const HeadShape&);
  int64_t (*state_size)(const ReadPlan<T>&, const HeadShape&);
  void (*forward)(const ReadPlan<T>&, const HeadShape&, const HeadInputs<T>&, const ForwardBuffers<T>&);
  void (*backward)(const ReadPlan<T>&, const HeadShape&, const HeadInputs<T>&, const BackwardBuffers<T>&);
  int64_t (*series_terms)(const ReadPlan<T>&, const HeadShape&, const T* checkpoints);
  void (*stream)(const ReadPlan<T>&, const HeadShape&, const HeadInputs<T>&, const StreamBuffers<T>&);
};

/// Those of the instruction set in use.
template <Real T>
const HeadKernels<T>& head_kernels() {
  return kernels<HeadKernels, T>();
}

}  // namespace orthoread
