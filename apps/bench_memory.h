// What `orthoread bench` gives the memory to do, and how many floating-point operations that is.
#pragma once

#include "ops/mlstm.h"

namespace orthoread {

struct MemorySize {
  int64_t batch, tokens, heads, width;
  double lanes() const { return static_cast<double>(batch * heads); }
};

template <Real T>
struct MemoryInputs {
  Tensor<T> query, key, value, input_gate, log_forget;  // as mlstm takes them
};

/// Inputs as at the start of training: normal queries, keys and values, forget gates from sigmoid(3) to sigmoid(6) by
/// head, input gates near 1. `worst_case`: two orthogonal keys take turns, and two values, so that C^T C has two
/// eigenvalues of nearly one half: taking one out does not pay, and the series stays as long as it may.
template <Real T>
MemoryInputs<T> memory_inputs(const MemorySize& size, bool worst_case);

/// Terms of the Chebyshev series that the read takes: on average for these inputs, and at most.
struct SeriesTerms {
  double mean = 0, most = 0;
};
template <Real T>
SeriesTerms series_terms(const MemoryRead& read, const MemorySize& size, const MemoryInputs<T>& inputs);

/// Floating-point operations a token and head that the mathematics of ops/lane needs.
struct MemoryFlops {
  double forward, backward;
  double both() const { return forward + backward; }
};
MemoryFlops memory_flops(const MemoryRead& read, int64_t width, double terms);

}  // namespace orthoread
