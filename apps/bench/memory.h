// Inputs for benchmarks of the memory, and the floating-point operations they need.
#pragma once

#include "models/recall_model.h"
#include "ops/mlstm.h"

namespace orthoread {

struct MemorySize {
  int64_t batch, tokens, heads, width;
};

/// Inputs like those at the start of training: normal queries, keys and values, forget gates from sigmoid(3) to
/// sigmoid(6) by head, input gates near 1. `worst_case`: two orthogonal keys and values alternate, so that C^T C has
/// two eigenvalues, about 2/3 and 1/3 of its trace. The larger one makes the series long, and with it deflated the
/// other one does.
template <Real T>
MemoryInputs<T> memory_inputs(const MemorySize& size, bool worst_case);

/// The terms of the series in the read of these inputs; 0 for a raw read, and for narrow heads, which take none.
template <Real T>
SeriesTerms series_terms(const MemoryRead& read, const MemorySize& size, const MemoryInputs<T>& inputs);

/// Floating-point operations per token and head that the formulas of ops/memory need.
struct MemoryFlops {
  double forward, backward;
  double both() const { return forward + backward; }
};
MemoryFlops memory_flops(const MemoryRead& read, int64_t width, double terms);

/// Floating-point operations of a training step on a batch of sequences of `tokens`: those of the memory, with the
/// terms that the read of memory_inputs takes, plus six per token for each entry of a weight matrix (two each for the
/// forward, the gradient of the input and that of the matrix).
template <Real T>
double step_flops(const RecallModelConfig& model, int64_t tokens, int64_t batch_size);

}  // namespace orthoread
