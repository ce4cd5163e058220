// What `orthoread bench` gives the memory to do, and how many floating-point operations that is.
#pragma once

#include "models/recall_model.h"
#include "ops/mlstm.h"

namespace orthoread {

struct MemorySize {
  int64_t batch, tokens, heads, width;
};

/// Inputs as at the start of training: normal queries, keys and values, forget gates from sigmoid(3) to sigmoid(6) by
/// head, input gates near 1. `worst_case`: two orthogonal keys take turns, and two values, so that C^T C has two
/// eigenvalues, about 2/3 and 1/3 of its trace: the larger one makes the series long, and the other keeps it long where
/// that one is deflated.
template <Real T>
MemoryInputs<T> memory_inputs(const MemorySize& size, bool worst_case);

/// The terms that the read of these inputs takes.
template <Real T>
SeriesTerms series_terms(const MemoryRead& read, const MemorySize& size, const MemoryInputs<T>& inputs);

/// Floating-point operations a token and head that the mathematics of ops/memory needs.
struct MemoryFlops {
  double forward, backward;
  double both() const { return forward + backward; }
};
MemoryFlops memory_flops(const MemoryRead& read, int64_t width, double terms);

/// Floating-point operations of a training step on a batch of sequences of `tokens`: those of the memory, with the
/// terms that the read of memory_inputs takes, and, for each token, six for each number of each matrix that multiplies
/// it: two forward, two for the gradient of the product's input and two for that of the matrix.
template <Real T>
double step_flops(const RecallModelConfig& model, int64_t tokens, int64_t batch_size);

}  // namespace orthoread
