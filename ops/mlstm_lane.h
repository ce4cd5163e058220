// The matrix memory of an mLSTM, one lane at a time: one head of one sequence, forward, backward and streaming.
//
// m_t = max(lf_t + m_{t-1}, i_t), f' = exp(lf_t + m_{t-1} - m_t), i' = exp(i_t - m_t),
// C_t = f' C_{t-1} + i' k_t v_t^T, n_t = f' n_{t-1} + i' k_t, and a read of C_t by q_t, see MemoryRead. The cost is
// O(d^2) a token and Chebyshev term, the memory O(d^2) a chunk of tokens; ops/lane/read.h has the derivation.
//
// A lane is computed by one thread, with no state outside its buffers, so results do not depend on the threads. They
// do depend, in rounding, on the instruction set, which is chosen when the program starts.
#pragma once

#include "core/real.h"
#include "ops/memory_read.h"

#include <cstdint>
#include <vector>

namespace orthoread {

/// Strides count numbers: token t of a lane has its query at q + t row, its input gate at input_gate + t gate_row.
struct LaneShape {
  int64_t tokens;
  int64_t width;  // d, the head width
  int64_t row;
  int64_t gate_row;
};

/// k is already divided by sqrt(d). wanted, one byte a token or null for all, says which outputs are used: the others
/// are set to 0 without being read, and their cotangents are taken as 0.
template <Real T>
struct LaneInputs {
  const T *q, *k, *v, *input_gate, *log_forget;
  const uint8_t* wanted = nullptr;
};

/// Where the gradients go, laid out as the inputs; every number of the lane is written.
template <Real T>
struct LaneGradients {
  T *q, *k, *v, *input_gate, *log_forget;
};

/// How many numbers of T the buffers must hold. Checkpoints carry a lane from its forward to its backward; scratch is
/// the thread's own and carries nothing.
template <Real T>
int64_t lane_checkpoint_size(const MemoryRead& read, const LaneShape& shape);
template <Real T>
int64_t lane_forward_scratch_size(const MemoryRead& read, const LaneShape& shape);
template <Real T>
int64_t lane_backward_scratch_size(const MemoryRead& read, const LaneShape& shape);

/// h, laid out as q. checkpoints may be null where no backward will follow.
template <Real T>
void lane_forward(const MemoryRead& read, const LaneShape& shape, const LaneInputs<T>& x, T* h, T* checkpoints,
                  T* scratch);

/// The gradients of sum(h * dh).
template <Real T>
void lane_backward(const MemoryRead& read, const LaneShape& shape, const LaneInputs<T>& x, const T* dh,
                   const T* checkpoints, const LaneGradients<T>& dx, T* scratch);

/// Terms of the read's Chebyshev series: on average over a lane's tokens, and at most for any memory.
struct SeriesTerms {
  double mean = 0, most = 0;
};
/// Those a forward took, read from its checkpoints; all its outputs must have been wanted. 0 for the plain read.
template <Real T>
SeriesTerms lane_series_terms(const MemoryRead& read, const LaneShape& shape, const T* checkpoints);

/// A lane's memory between tokens, for streaming.
template <Real T>
struct LaneState {
  int64_t position = 0;    // tokens seen
  std::vector<T> numbers;  // empty before the first token
};

/// The next shape.tokens tokens of a lane: where every output is wanted the same numbers, to the last bit, as
/// lane_forward on the whole sequence. scratch: lane_forward_scratch_size for this shape.
template <Real T>
void lane_stream(const MemoryRead& read, const LaneShape& shape, const LaneInputs<T>& x, T* h, LaneState<T>& state,
                 T* scratch);

}  // namespace orthoread
